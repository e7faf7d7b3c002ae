"""One sweep of the inbox: each file becomes one batch, then one version is published.

A file leaves the inbox only after its batch is committed. Killed in between, the loader finds the file again,
recognises its content and changes nothing.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Literal
from zoneinfo import ZoneInfo

from structlog.typing import FilteringBoundLogger

from pipelines.check import check
from pipelines.contract import Contract, contracts, match
from pipelines.privacy import site_key
from pipelines.reading import Refused, read
from warehouse.dataset import Dataset
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Applied, Batch, Store
from warehouse.text import Text

Status = Literal["loaded", "duplicate", "refused", "failed"]
Progress = Callable[[str, int, int], None]
"""Called before each file with its name, its number (from 1) and how many there are."""

UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")
"""Endings of files that someone is still writing."""

BOTH = " | "
"""Between the Chinese and the English of a refusal where it is kept as one line."""

UNKNOWN = "unknown"
UNKNOWN_DATASET = Dataset(name=UNKNOWN, label=Text(zh="未知来源", en="Unknown source"), fields=())


@dataclass(frozen=True)
class Loaded:
    """What became of one file.

    `refused`: the file was taken whole to `refused/`, `reason` says why (Chinese, `BOTH`, English);
    `failed`: by a fault of ours, it stays in the inbox.
    `ignored`: totals and blank rows, which are no records. read = kept + quarantined.
    """

    file: str
    source: str
    status: Status
    read: int = 0
    kept: int = 0
    quarantined: int = 0
    new: int = 0
    changed: int = 0
    stale: int = 0
    ignored: int = 0
    reason: str | None = None
    seconds: float = 0.0


def waiting(site: Site) -> dict[Path, tuple[int, int]]:
    """The files in the inbox, with size and modification time; hidden and unfinished ones are left alone."""
    found: dict[Path, tuple[int, int]] = {}
    if not site.inbox.is_dir():
        return found
    for path in sorted(site.inbox.iterdir()):
        if path.name.startswith((".", "~$")) or path.name.lower().endswith(UNFINISHED) or not path.is_file():
            continue
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found[path] = (stat.st_size, stat.st_mtime_ns)
    return found


def load_once(
    site: Site,
    store: Store,
    progress: Progress | None = None,
    files: Iterable[Path] | None = None,
    log: FilteringBoundLogger | None = None,
    known: Mapping[str, Contract] | None = None,
) -> list[Loaded]:
    """Load `files` (default: all that wait in the inbox), places first, and publish once.

    Raises Mistake when a contract is wrong. What goes wrong with one file stops no other.
    """
    known = contracts(site) if known is None else known
    secret = site_key(site)
    paths = _in_order(waiting(site) if files is None else files, known)
    out: list[Loaded] = []
    for number, path in enumerate(paths, start=1):
        if progress is not None:
            progress(path.name, number, len(paths))
        started = monotonic()
        try:
            loaded = _load(path, match(known, path.name), site, store, secret, log)
        except Exception as error:
            if log is not None:
                log.exception("failed", file=path.name)
            loaded = Loaded(
                path.name, UNKNOWN, "failed", reason=f"{type(error).__name__}: {error}".splitlines()[0]
            )
        loaded = Loaded(**{**loaded.__dict__, "seconds": round(monotonic() - started, 3)})
        if log is not None and loaded.status != "failed":
            log.info("file", **{key: value for key, value in loaded.__dict__.items() if value is not None})
        out.append(loaded)
    if any(loaded.status != "failed" for loaded in out):
        version = store.publish()
        if log is not None and version is not None:
            log.info("published", version=version)
    return out


def _in_order(paths: Iterable[Path], known: Mapping[str, Contract]) -> list[Path]:
    """Places before the records that refer to them, then by name."""

    def rank(path: Path) -> tuple[bool, str]:
        contract = match(known, path.name)
        return (contract is None or contract.dataset.name != "places", path.name)

    return sorted(paths, key=rank)


def _load(
    path: Path,
    contract: Contract | None,
    site: Site,
    store: Store,
    secret: bytes,
    log: FilteringBoundLogger | None,
) -> Loaded:
    sha256 = _sha256(path)
    if contract is None:
        reason = _line(
            "没有合约与此文件名相符",
            "no contract for a file of this name: see [files] match in the contracts",
        )
        store.apply(_refusal(path, sha256, None, reason))
        _set_aside(path, site, reason)
        return Loaded(path.name, UNKNOWN, "refused", reason=reason)
    if store.seen(contract.name, sha256):
        reason = _line("重复:相同内容已载入", "duplicate: the same content was loaded before")
        store.apply(_refusal(path, sha256, contract, reason))
        _archive(path, site)
        return Loaded(path.name, contract.name, "duplicate", reason=reason)
    try:
        raw = read(path, contract, store.connection, secret)
    except Refused as refused:
        reason = _line(refused.reason.zh, refused.reason.en)
        store.apply(_refusal(path, sha256, contract, reason))
        _set_aside(path, site, reason)
        return Loaded(path.name, contract.name, "refused", reason=reason)
    if log is not None and raw.unknown:
        log.warning("headings not in the contract, not loaded", file=path.name, headings=list(raw.unknown))
    checked = check(raw, contract, store.connection, site.now())
    applied: Applied = store.apply(
        Batch(
            source=contract.name,
            label=contract.label,
            dataset=contract.dataset,
            file=path.name,
            sha256=sha256,
            read=raw.read,
            good=checked.good,
            bad=checked.bad,
            refused=None,
            fresh_hours=contract.fresh_hours,
        )
    )
    _archive(path, site)
    return Loaded(
        file=path.name,
        source=contract.name,
        status="loaded",
        read=applied.read,
        kept=applied.kept,
        quarantined=applied.quarantined,
        new=applied.new,
        changed=applied.changed,
        stale=applied.stale,
        ignored=raw.ignored,
    )


def _line(zh: str, en: str) -> str:
    return zh + BOTH + en


def _refusal(path: Path, sha256: str, contract: Contract | None, reason: str) -> Batch:
    return Batch(
        source=UNKNOWN if contract is None else contract.name,
        label=UNKNOWN_DATASET.label if contract is None else contract.label,
        dataset=UNKNOWN_DATASET if contract is None else contract.dataset,
        file=path.name,
        sha256=sha256,
        read=0,
        good="",
        bad="",
        refused=reason,
        fresh_hours=24.0 if contract is None else contract.fresh_hours,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _archive(path: Path, site: Site) -> None:
    """A loaded file goes to archive/YYYY-MM (of the day it was loaded), or away where the site says so."""
    if site.archive == "delete":
        path.unlink()
        return
    month = datetime.now(UTC).astimezone(ZoneInfo(site.timezone)).strftime("%Y-%m")
    _move(path, site.archived / month)


def _set_aside(path: Path, site: Site, reason: str) -> None:
    """A refused file goes to refused/, with the reason beside it; mended, it can be dropped again."""
    moved = _move(path, site.folder / "refused")
    moved.with_name(moved.name + ".reason.txt").write_text(
        reason.replace(BOTH, "\n") + "\n", encoding="utf-8"
    )


def _move(path: Path, folder: Path) -> Path:
    """Move without ever overwriting: a second file of the same name gets a number."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target, number = folder / path.name, 1
        while target.exists():
            number += 1
            target = folder / f"{path.stem}.{number}{path.suffix}"
        shutil.move(path, target)
    except OSError as error:
        raise Mistake(
            str(path), f"loaded, but cannot be moved: {error.strerror}", f"free {folder}"
        ) from error
    return target
