"""systemd units for one site: the loader and the app as services that start with the machine."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from warehouse.mistake import Mistake
from warehouse.site import Site, load_site

UNITS = ("nerve-loader.service", "nerve-app.service")
MEMORY = "75%"
"""Of the machine's: what is left runs the machine, so that a great file ends the loader and not the machine."""
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?")


def units(site: Site, user: str, program: Path | None = None, memory: str = MEMORY) -> dict[str, str]:
    """Unit name → its text. `program`: the `nerve` to run (default: this one). Raises Mistake for a user or a
    folder that a unit cannot name."""
    if _USER.fullmatch(user) is None:
        raise Mistake(
            "--user", f"'{user}' is no name of a user", "name the account that owns the site's folder"
        )
    program = program or _program()
    for path in (site.folder, program):
        if any(not sign.isprintable() for sign in str(path)):
            raise Mistake(str(path), "has a sign that a unit cannot hold", "give it another name")
        if path.parts[1:2] == ("tmp",) or path.parts[1:3] == ("var", "tmp"):
            raise Mistake(
                str(path), "lies in a folder for what is temporary", "move it: a service has its own"
            )
    values = {
        "PATH": _quoted(site.folder),
        "TITLE": str(site.folder).replace("%", "%%"),
        "USER": user,
        "NERVE": _argument(program),
        "SITE": _argument(site.folder),
        "MEMORY": memory,
        # A site, or a program, in a home folder has to be seen.
        "HOME": "read-only" if any(_in_home(path) for path in (site.folder, program)) else "yes",
    }
    folder = Path(__file__).parent
    return {
        name: _PLACEHOLDER.sub(lambda found: values[found[1]], (folder / name).read_text(encoding="utf-8"))
        for name in UNITS
    }


def service(
    site: Annotated[
        Path,
        typer.Option("--site", envvar="NERVE_SITE", help="The folder that holds one deployment's site.toml."),
    ],
    user: Annotated[str, typer.Option("--user", help="The account the services run under.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the units into this folder (such as /etc/systemd/system).")
    ] = None,
) -> None:
    """Print the systemd units of a site's loader and app, or write them."""
    for name, text in units(load_site(site), user).items():
        if out is None:
            print(f"# ---- {name}\n{text}")
            continue
        try:
            (out / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise Mistake(
                str(out / name), f"cannot be written: {error.strerror}", "run it as root"
            ) from error
        print(out / name)
    if out is not None:
        print("systemctl daemon-reload && systemctl enable --now " + " ".join(UNITS))


def _program() -> Path:
    beside = Path(sys.executable).with_name("nerve")
    found = beside if beside.is_file() else shutil.which("nerve")
    if found is None:
        raise Mistake(
            "nerve", "is not installed as a program", "install the package, then run 'nerve service' again"
        )
    return Path(found).absolute()


def _argument(path: Path) -> str:
    """A path in a command: there $ begins a variable besides."""
    return _quoted(path).replace("$", "$$")


def _quoted(path: Path) -> str:
    """A path as systemd reads it: % begins a specifier, and a space ends a word."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if re.search(r"[\s'\";\\]", text) else text


def _in_home(path: Path) -> bool:
    return path.parts[1:2] in (("home",), ("root",)) or path.parts[1:3] == ("run", "user")
