"""The register of exports: what was asked, of which data version, and the fingerprint of the file."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from warehouse.mistake import Mistake, nearest
from warehouse.site import Site
from warehouse.text import Lang

_NAMES = {"start": "from", "end": "to"}
"""Fields whose name in the file is another one."""
_ALWAYS = ("id", "page", "scope", "start", "end", "compare", "lang", "version", "sha256", "made", "file")


@dataclass(frozen=True)
class Entry:
    """One export. `start`, `end`: ISO dates; `made`: the site's local time of its first making;
    `file`: its path, relative to the reports' folder where it lies there. Made again from the same `version`
    it has the same `sha256`.

    `page` names the page, or the brief whose `pages` are given in order with its `title`. `asked`: the site's clock
    when it was asked for, `mark` the watermark, `settings` those of the site that shape a page. `figures` are its
    headline figures; `since` the entry of the brief it is compared with, `why` the reasons found for each figure.
    `due`: the moment a schedule asked for it, where one did. `table`: which of the page's tables a CSV file
    holds, from 1. Entries of earlier releases have none of these.
    """

    id: str
    page: str
    scope: str
    start: str
    end: str
    compare: str
    lang: str
    version: str
    sha256: str
    made: str
    file: str
    form: str = ""
    pages: tuple[str, ...] = ()
    title: dict[str, str] = field(default_factory=dict)
    dataset: str = ""
    record: str = ""
    choices: dict[str, str] = field(default_factory=dict)
    viewer: str = ""
    asked: str = ""
    mark: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    since: str = ""
    why: dict[str, list[str]] = field(default_factory=dict)
    due: str = ""
    table: int = 0


def register(
    site: Site,
    *,
    page: str,
    scope: str,
    start: date,
    end: date,
    compare: str,
    lang: Lang,
    version: str,
    content: bytes,
    path: Path,
    **more: Any,
) -> Entry:
    """Append one line to the site's register and give its entry; the same report again gives the first one.

    `more` are further fields of `Entry`. Safe with several processes. Raises Mistake when the register cannot be written or read.
    """
    digest = hashlib.sha256(content).hexdigest()
    question = (page, scope, start.isoformat(), end.isoformat(), compare, lang, version)
    # What a schedule asked for is an entry of its own, though the same was printed by hand before.
    asked = (more["due"],) if more.get("due") else ()
    key = hashlib.sha256("\n".join((*question, digest, *asked)).encode()).hexdigest()[:16]
    made = site.now().isoformat(timespec="seconds")
    entry = Entry(key, *question, sha256=digest, made=made, file=_file(site, path), **more)
    target = _path(site)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a+b") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            for known in entries(site):
                if known.id == key:
                    return known
            # A crash may have left half a line: it is no entry, and must not swallow this one.
            out.truncate(target.read_bytes().rfind(b"\n") + 1)
            out.write(_line(entry))
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise Mistake(
            str(target), f"cannot write: {error.strerror}", "give this user the right to write"
        ) from error
    return entry


def entries(site: Site) -> tuple[Entry, ...]:
    """All exports, oldest first. Raises Mistake naming a line that is not an entry."""
    path = _path(site)
    if not path.is_file():
        return ()
    found: list[Entry] = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line and number < len(lines):
            found.append(_entry(line, f"{path}: line {number}"))
    return tuple(found)


def entry_of(site: Site, id: str) -> Entry:
    """The export of that id, or of the only one that begins so. Raises Mistake with the nearest id."""
    known = entries(site)
    found = [entry for entry in known if entry.id == id] or [e for e in known if id and e.id.startswith(id)]
    if len(found) != 1:
        fault = f"{len(found)} reports begin with '{id}'" if found else f"no report '{id}'"
        raise Mistake(str(_path(site)), fault, nearest(id, [entry.id for entry in known[-50:]]))
    return found[0]


def versions_in_use(site: Site) -> set[str]:
    """Data versions that a registered report refers to: none of them may be collected."""
    return {entry.version for entry in entries(site)}


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path` whole or not at all: written aside, then renamed. Raises Mistake when it cannot."""
    aside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise Mistake(
            str(path), f"cannot write: {error.strerror}", "choose a folder you may write to"
        ) from error


def _path(site: Site) -> Path:
    return site.reports / "register.jsonl"


def _file(site: Site, path: Path) -> str:
    full = path.resolve()
    root = site.reports.resolve()
    return str(full.relative_to(root)) if full.is_relative_to(root) else str(full)


def _line(entry: Entry) -> bytes:
    data = {
        _NAMES.get(name, name): value for name, value in asdict(entry).items() if value or name in _ALWAYS
    }
    return (json.dumps(data, ensure_ascii=False) + "\n").encode()


def _entry(line: bytes, where: str) -> Entry:
    names = {shown: name for name, shown in _NAMES.items()}
    try:
        data: dict[str, Any] = json.loads(line)
        data["pages"] = tuple(data.get("pages", ()))
        return Entry(**{names.get(name, name): value for name, value in data.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise Mistake(where, f"not an entry of the register: {error}", "mend or remove the line") from error
