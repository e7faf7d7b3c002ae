"""The commands that load: once, for as long as the process lives, and from databases; and what a person sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from nerve.terminal import DEFAULT_SITE, SiteOption
from pipelines.load import Loaded, total
from pipelines.run import load as load_inbox
from pipelines.run import pull_once
from pipelines.run import run as run_loader
from warehouse.site import load_site


def load(site: SiteOption = DEFAULT_SITE) -> None:
    """Load what lies in the inbox, publish one version, and say what was kept and what was not."""
    found = load_site(site)
    with shown() as (progress, phase):
        loaded = load_inbox(found, progress, phase)
    if not account(loaded):
        print(f"nothing to load in {found.inbox}")


def run(site: SiteOption = DEFAULT_SITE) -> None:
    """Watch the inbox, pull the databases, and load for as long as the process lives."""
    with shown() as (progress, phase):
        run_loader(load_site(site), progress=progress, phase=phase)


def pull(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Sources to pull (default: all with a database).")
    ] = None,
    site: SiteOption = DEFAULT_SITE,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read the whole table again; what is known changes nothing.")
    ] = False,
) -> None:
    """Pull what is new in the offices' databases now, and load it."""
    found = load_site(site)
    with shown() as (progress, phase):
        loaded = pull_once(found, sources or (), whole, progress, phase)
    account(loaded)


def account(loaded: Sequence[Loaded]) -> int:
    """Print what became of each file and of all; how many there were. Ends the program with code 2 when one was
    refused or failed."""
    # The app's journal lies where it lay: unchanged, it is no news.
    loaded = [one for one in loaded if one.status != "duplicate" or one.batch is not None]
    for one in loaded:
        print(one.line())
    if len(loaded) > 1:
        print(total(loaded))
    bad = [one for one in loaded if one.status in ("refused", "failed")]
    for one in bad:
        print(f"nerve: {one.file}: {one.reason} ({_remedy(one)})", file=sys.stderr)
    if bad:
        raise SystemExit(2)
    return len(loaded)


def _remedy(one: Loaded) -> str:
    if one.file.startswith("db:"):
        return "its table is pulled again"
    if one.status == "failed":
        return "it lies where it was: mend it, or load again"
    return "it lies in refused/, with its reason: mend it and drop it again"


@contextmanager
def shown() -> Iterator[tuple[Callable[[str, int, int], None], Callable[[str, int], None]]]:
    """Callbacks for a load: a progress bar where a person watches (stderr is a terminal), else a line a file."""
    if not sys.stderr.isatty():
        yield (
            lambda name, number, total: print(f"{number}/{total} {name}", file=sys.stderr),
            lambda name, rows: None,
        )
        return
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("waiting", total=None)
        file = [""]

        def progress(name: str, number: int, total: int) -> None:
            file[0] = name
            bar.reset(task, total=total, completed=number - 1, description=name)

        def phase(name: str, rows: int) -> None:
            over = name == "publishing"
            what = name if over else f"{file[0]}: {name}" + (f" {rows:,} rows" if rows else "")
            bar.update(task, description=what)

        yield progress, phase
