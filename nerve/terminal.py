"""What every command shares: its options, its console, its JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
