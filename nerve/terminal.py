"""What every command shares: its options, its console, its JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warehouse.mistake import Mistake
from warehouse.period import Period

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SiteOption = Annotated[
    Path,
    typer.Option("--site", envvar="NERVE_SITE", help="The folder that holds one deployment's site.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LangOption = Annotated[str | None, typer.Option("--lang", help="zh or en (default: the site's first).")]
DEFAULT_SITE = Path("demo-site")


def console() -> Console:
    """A terminal's own width; wide where the output is piped, so that nothing is cut."""
    # Loaded here, as is the table: a command that draws none need not wait for what does.
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200)


def grid(title: str) -> Table:
    """An empty table for the console."""
    from rich.table import Table

    return Table(title=title)


def print_json(value: object) -> None:
    """Print a value; a mapping of any kind is an object."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def period_of(cutoff: datetime, start: str | None, end: str | None) -> Period:
    """The days `--from` and `--to` name; by default the cut-off's year so far. Raises Mistake."""
    last = day_of("--to", end) or cutoff.date()
    return Period(day_of("--from", start) or last.replace(month=1, day=1), last)


def day_of(option: str, value: str | None) -> date | None:
    """Raises Mistake for what is no date."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise Mistake(option, f"'{value}' is not a date", "write it as 2026-01-31") from error


def time_of(option: str, value: str | None) -> datetime | None:
    """Raises Mistake for what is no time."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise Mistake(option, f"'{value}' is not a time", "write it as 2026-01-31T18:00") from error
