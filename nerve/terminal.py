"""What every command shares: its options, its console, its JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

SiteOption = Annotated[
    Path,
    typer.Option("--site", envvar="NERVE_SITE", help="The folder that holds one deployment's site.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LangOption = Annotated[str | None, typer.Option("--lang", help="zh or en (default: the site's first).")]
DEFAULT_SITE = Path("demo-site")


def console() -> Console:
    """A terminal's own width; wide where the output is piped, so that nothing is cut."""
    return Console(width=None if sys.stdout.isatty() else 200)


def print_json(value: object) -> None:
    """Print a value; a mapping of any kind is an object."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
