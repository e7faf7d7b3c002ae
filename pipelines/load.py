"""One sweep: each file, and each extract of a database, becomes one batch; then one version is published.

A file leaves the inbox only after its batch is committed. Killed in between, the loader finds the file again,
recognises its content and changes nothing. The app's journal stays where it is: the app goes on writing it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

import duckdb
from structlog.typing import FilteringBoundLogger

from pipelines.check import check
from pipelines.contract import Contract, contracts, match
from pipelines.privacy import site_key
from pipelines.quarantine import seal_rows
from pipelines.reading import Refused, read
from warehouse.dataset import Dataset
from warehouse.masking import mask
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Batch, Store
from warehouse.text import Text

if TYPE_CHECKING:
    from pipelines.database import Extract

Status = Literal["loaded", "duplicate", "refused", "failed", "gone"]
Progress = Callable[[str, int, int], None]
"""Called before each file with its name, its number (from 1) and how many there are."""
Phase = Callable[[str, int], None]
"""Called as the work goes on: 'reading', 'checking', 'storing', 'publishing', and the rows at hand (0: not known)."""

UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")
"""Endings of files that someone is still writing."""

BOTH = " | "
"""Between the Chinese and the English of a refusal where it is kept as one line."""

UNKNOWN = "unknown"
UNKNOWN_DATASET = Dataset(name=UNKNOWN, label=Text(zh="未知来源", en="Unknown source"), fields=())
NAME_BYTES = 255
"""The longest name a file system takes."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@dataclass(frozen=True)
class Loaded:
    """What became of one file.

    `refused`: the file was taken whole to `refused/`, `reason` says why (Chinese, `BOTH`, English);
    `duplicate`: its content was loaded before, `reason` names the batch; `failed`: it stays where it is, by a
    fault of ours or because it cannot be read now; `gone`: someone took it away before it was read.
    `warned`: rows kept with a warning. `ignored`: totals and blank rows, which are no records.
    read = kept + quarantined, kept = new + changed + stale.
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
    warned: int = 0
    ignored: int = 0
    batch: int | None = None
    reason: str | None = None
    seconds: float = 0.0
    path: Path | None = None

    def line(self) -> str:
        """Its account as one line."""
        rows = f"{self.read:,} read = {self.kept:,} kept + {self.quarantined:,} quarantined"
        if self.warned:
            rows += f" ({self.warned:,} kept with a warning)"
        if self.status == "loaded":
            return f"{self.file}: {self.status}, {rows}"
        return (
            f"{self.file}: {self.status}, {rows}; {self.reason}"
            if self.reason
            else f"{self.file}: {self.status}"
        )


def total(loaded: Sequence[Loaded]) -> str:
    """The account of a whole load as one line."""
    read, kept, quarantined = (
        sum(getattr(one, name) for one in loaded) for name in ("read", "kept", "quarantined")
    )
    counts = {
        status: sum(one.status == status for one in loaded)
        for status in ("loaded", "duplicate", "refused", "failed")
    }
    files = ", ".join(f"{count} {status}" for status, count in counts.items() if count or status == "loaded")
    return f"{len(loaded)} files: {files}; {read:,} rows read = {kept:,} kept + {quarantined:,} quarantined"


Look = tuple[int, int, int]
"""Size, modification time (ns) and inode of a file: it has settled when two looks see the same."""


def waiting(site: Site) -> dict[Path, Look]:
    """What waits in the inbox and the journal; hidden and unfinished files and folders are left alone.

    Links and other things that are no files are among them: loading refuses them, with a reason.
    """
    found: dict[Path, Look] = {}
    for folder in (site.inbox, site.journal):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.startswith((".", "~$")) or path.name.lower().endswith(UNFINISHED):
                continue
            seen = look(path)
            if seen is not None:
                found[path] = seen
    return found


def look(path: Path) -> Look | None:
    """A file as it is now, no link followed; None for a folder and for what is no longer there."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return None if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns, status.st_ino)


def folders(site: Site) -> list[Path]:
    """Folders in the inbox: nothing in them is loaded, and someone should be told."""
    found = sorted(site.inbox.iterdir()) if site.inbox.is_dir() else []
    return [
        path for path in found if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    ]


def load_once(
    site: Site,
    store: Store,
    progress: Progress | None = None,
    files: Iterable[Path] | None = None,
    log: FilteringBoundLogger | None = None,
    known: Mapping[str, Contract] | None = None,
    extracts: Sequence[Extract] = (),
    phase: Phase | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Loaded]:
    """Load `files` (default: all that wait) and `extracts`, places first, and publish once.

    Raises Mistake when a contract is wrong, and when the disk takes no more; what is committed by then is
    published if that can be. What goes wrong with one file stops no other. `stop` is asked between files.
    """
    known = contracts(site) if known is None else known
    sweep = _Sweep(site, store, site_key(site), log, phase or (lambda name, rows: None))
    work = _in_order(
        [*_arrivals(waiting(site) if files is None else files, known, site), *map(_arrival_of, extracts)]
    )
    out: list[Loaded] = []
    no_room: Mistake | None = None
    for number, arrival in enumerate(work, start=1):
        if stop():
            break
        if progress is not None:
            progress(arrival.name, number, len(work))
        started = monotonic()
        try:
            loaded = sweep.load(arrival)
        except Exception as error:
            no_room = _no_room(error, site, arrival.name)
            if arrival.extract is None and look(arrival.path) is None:
                loaded = Loaded(arrival.name, arrival.source, "gone")
            else:
                loaded = arrival.failed(_first_line(error))
                if log is not None:
                    log.error(
                        "failed",
                        file=arrival.name,
                        exc_info=not isinstance(error, Mistake),
                        what=loaded.reason,
                    )
        loaded = replace(loaded, seconds=round(monotonic() - started, 3), path=arrival.path)
        if log is not None and loaded.status != "failed":
            account = {
                key: value for key, value in loaded.__dict__.items() if value is not None and key != "path"
            }
            log.info("file", **account)
        out.append(loaded)
        if no_room is not None:
            break
    for extract in extracts:
        extract.path.unlink(missing_ok=True)
    if any(loaded.batch is not None for loaded in out):
        sweep.phase("publishing", 0)
        try:
            version = store.publish()
        except Exception as error:
            no_room = no_room or _no_room(error, site, "the new version")
            if no_room is None:
                raise
        else:
            if log is not None and version is not None:
                log.info("published", version=version)
    if no_room is not None:
        raise no_room
    return out


@dataclass(frozen=True)
class _Arrival:
    """Something to load. `stays`: the journal, which the app writes on. `extract`: what a pull brought."""

    path: Path
    name: str
    contract: Contract | None
    stays: bool = False
    extract: Extract | None = None

    @property
    def source(self) -> str:
        return UNKNOWN if self.contract is None else self.contract.name

    def failed(self, reason: str) -> Loaded:
        return Loaded(self.name, self.source, "failed", reason=reason)


def _arrivals(paths: Iterable[Path], known: Mapping[str, Contract], site: Site) -> list[_Arrival]:
    names = {path: _shown(path) for path in paths}
    return [
        _Arrival(path, name, match(known, name), stays=path.parent == site.journal)
        for path, name in names.items()
    ]


def _arrival_of(extract: Extract) -> _Arrival:
    # What its contract says of the form of files is said of files.
    files = extract.contract.files.model_copy(update={"format": "parquet"})
    return _Arrival(extract.path, extract.file, replace(extract.contract, files=files), extract=extract)


def _shown(path: Path) -> str:
    """A file's name as text: GB18030 where it is no UTF-8, without signs that would break a line."""
    raw = os.fsencode(path.name)
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("gb18030", errors="replace")
    return "".join(sign if sign.isprintable() else "�" for sign in name)


def _in_order(arrivals: list[_Arrival]) -> list[_Arrival]:
    """Places before the records that refer to them, then by name."""

    def rank(arrival: _Arrival) -> tuple[bool, str]:
        return (arrival.contract is None or arrival.contract.dataset.name != "places", arrival.name)

    return sorted(arrivals, key=rank)


@dataclass(frozen=True)
class _Sweep:
    """What loading one file needs."""

    site: Site
    store: Store
    secret: bytes
    log: FilteringBoundLogger | None
    phase: Phase

    def load(self, arrival: _Arrival) -> Loaded:
        before = look(arrival.path)
        if arrival.extract is not None and arrival.extract.refused is not None:
            return self._refuse(arrival, "", arrival.extract.refused)
        if before is None:
            return Loaded(arrival.name, arrival.source, "gone")
        if not stat.S_ISREG(arrival.path.lstat().st_mode):
            return self._refuse(
                arrival,
                "",
                Refused("不是普通文件（链接、管道等）", "no plain file: a link, a pipe or the like"),
            )
        self.phase("reading", 0)
        sha256 = _sha256(arrival.path)
        contract = arrival.contract
        if contract is None:
            return self._refuse(
                arrival,
                sha256,
                Refused(
                    "没有合约与此文件名相符",
                    "no contract for a file of this name: see [files] match in the contracts",
                ),
            )
        if arrival.extract is None and (first := self.store.seen(contract.name, sha256)) is not None:
            return self._again(arrival, sha256, first)
        try:
            raw = read(arrival.path, contract, self.store.connection, self.secret)
        except Refused as refused:
            if look(arrival.path) != before:
                return self._changed(arrival)
            return self._refuse(arrival, sha256, refused)
        if self.log is not None and raw.unknown and arrival.extract is None:
            self.log.warning(
                "headings not in the contract, not loaded",
                file=arrival.name,
                headings=[mask(text) for text in raw.unknown],
            )
        if self.log is not None and raw.beside:
            self.log.warning(
                "sheets without the contract's headings, not loaded",
                file=arrival.name,
                sheets=list(raw.beside),
            )
        self.phase("checking", raw.read)
        checked = check(raw, contract, self.store.connection, self.site.now(), self.site.timezone)
        if contract.files.quarantine == "sealed":
            seal_rows(arrival.path, raw, checked.bad, contract, self.store.connection, self.secret)
        # What was hashed, read and is now taken away must be one and the same.
        if look(arrival.path) != before:
            return self._changed(arrival)
        _demand_room(self._goes_to(arrival))
        self.phase("storing", raw.read)
        applied = self.store.apply(
            replace(
                _batch(arrival, sha256),
                read=raw.read,
                good=checked.good,
                bad=checked.bad,
                watermark=None if arrival.extract is None else arrival.extract.watermark,
                warned=checked.warned,
            )
        )
        reason = None
        try:
            self._take_away(arrival, sha256)
        except (OSError, Mistake) as error:
            # It is loaded all the same; met again, it is recognised.
            reason = _first_line(error)
        return Loaded(
            file=arrival.name,
            source=contract.name,
            status="loaded",
            read=applied.read,
            kept=applied.kept,
            quarantined=applied.quarantined,
            new=applied.new,
            changed=applied.changed,
            stale=applied.stale,
            warned=sum(checked.warned.values()),
            ignored=raw.ignored,
            batch=applied.batch,
            reason=reason,
        )

    def _again(self, arrival: _Arrival, sha256: str, first: int) -> Loaded:
        """The same content once more: accounted, unless it is the journal, met again at every start."""
        reason = _line(
            f"重复:相同内容已在批次 {first} 载入", f"duplicate: batch {first} loaded the same content"
        )
        number = None
        if not arrival.stays:
            # Away first: what cannot be moved would be accounted again at every try.
            self._take_away(arrival, sha256)
            number = self.store.apply(replace(_batch(arrival, sha256), duplicate_of=first)).batch
        return Loaded(arrival.name, arrival.source, "duplicate", batch=number, reason=reason)

    def _refuse(self, arrival: _Arrival, sha256: str, refused: Refused) -> Loaded:
        reason = _line(refused.reason.zh, refused.reason.en)
        number = None
        if arrival.extract is None or not self._said_before(arrival.source, reason):
            number = self.store.apply(replace(_batch(arrival, sha256), refused=reason)).batch
        if arrival.extract is None and not arrival.stays:
            _set_aside(arrival.path, self.site, reason)
        return Loaded(arrival.name, arrival.source, "refused", batch=number, reason=reason)

    def _said_before(self, source: str, reason: str) -> bool:
        """A table that has changed is pulled every few minutes: its refusal is accounted once."""
        return any(batch.refused == reason for batch in self.store.batches(source, last=1))

    def _changed(self, arrival: _Arrival) -> Loaded:
        return arrival.failed(
            _line("读取过程中文件有变化,稍后再读", "it changed while it was read; it is read again later")
        )

    def _goes_to(self, arrival: _Arrival) -> Path | None:
        """Where a loaded file goes: archive/YYYY-MM of the day it was loaded; None where it is not moved."""
        if arrival.stays or arrival.extract is not None or self.site.archive == "delete":
            return None
        month = datetime.now(UTC).astimezone(ZoneInfo(self.site.timezone)).strftime("%Y-%m")
        return self.site.archived / month

    def _take_away(self, arrival: _Arrival, sha256: str) -> None:
        if arrival.extract is not None:
            # Loaded here: a site without a database does not wait for its library.
            from pipelines.database import keep_digests

            keep_digests(self.site, arrival.source, sha256, arrival.extract.digests)
        elif (folder := self._goes_to(arrival)) is not None:
            _move(arrival.path, folder)
        elif not arrival.stays:
            arrival.path.unlink()


def _line(zh: str, en: str) -> str:
    return zh + BOTH + en


def _batch(arrival: _Arrival, sha256: str) -> Batch:
    """An account of no rows; what came of the file is filled in."""
    contract = arrival.contract
    return Batch(
        source=arrival.source,
        label=UNKNOWN_DATASET.label if contract is None else contract.label,
        dataset=UNKNOWN_DATASET if contract is None else contract.dataset,
        file=arrival.name,
        sha256=sha256,
        read=0,
        good="",
        bad="",
        refused=None,
        fresh_hours=24.0 if contract is None else contract.fresh_hours,
    )


def _sha256(path: Path) -> str:
    # Not through a link that takes the file's place now, nor waiting for a pipe's other end.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    if isinstance(error, Mistake):
        return str(error)
    # An error of a library may quote the value it fell over.
    return mask(f"{type(error).__name__}: {error}".splitlines()[0])


def _no_room(error: Exception, site: Site, name: str) -> Mistake | None:
    """The one mistake that stands for all when the disk takes no more: no other file would fare better."""
    cause = error.__cause__ if isinstance(error, Mistake) and error.__cause__ is not None else error
    if isinstance(cause, OSError):
        full = cause.errno in _NO_ROOM
    else:
        full = isinstance(cause, duckdb.Error) and any(
            os.strerror(number) in str(cause) for number in _NO_ROOM
        )
    if not full:
        return None
    return Mistake(
        str(site.folder),
        f"the disk takes no more: {name} was not loaded: {_first_line(cause)}",
        "free space on it, or make it writable; what waits stays where it is and is tried again",
    )


def _demand_room(folder: Path | None) -> None:
    """Before a batch is committed: its file can be moved away afterwards. Raises Mistake."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise
        raise Mistake(
            str(folder), f"cannot be made: {error.strerror}", "let the loader's user write there"
        ) from error
    if not os.access(folder, os.W_OK):
        raise Mistake(str(folder), "cannot be written", "let the loader's user write there")


def _set_aside(path: Path, site: Site, reason: str) -> None:
    """A refused file goes to refused/, with the reason beside it; mended, it can be dropped again."""
    moved = _move(path, site.folder / "refused")
    beside = moved.with_name(_fitting(moved.name, ".reason.txt"))
    beside.write_text(reason.replace(BOTH, "\n") + "\n", encoding="utf-8")


def _move(path: Path, folder: Path) -> Path:
    """Move without ever overwriting: a second file of the same name gets a number."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target, number = folder / path.name, 1
        while os.path.lexists(target):
            number += 1
            target = folder / _fitting(path.stem, f".{number}{path.suffix}")
        shutil.move(path, target)
    except OSError as error:
        raise Mistake(
            str(path),
            f"accounted for, but cannot be moved: {error.strerror}",
            f"let the loader's user write in {folder}",
        ) from error
    return target


def _fitting(stem: str, ending: str) -> str:
    """A name with an ending, its stem cut where it would be longer than a file system takes."""
    room = NAME_BYTES - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending
