"""What a site forgets, and when: `[retention]` of site.toml, carried out once a day by the loader."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from warehouse import layout
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Store

KEPT_FOR = timedelta(minutes=5)
"""A version that was current so lately may still be read: longer than any page or print takes."""

_VERSION = re.compile(r"\bv[0-9]{6,}\b")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_TURNED = re.compile(r".+-[0-9]{4}-[0-9]{2}-[0-9]{2}\.log")


@dataclass(frozen=True)
class Expired:
    """What one `expire` did away with.

    `archived`: files of the archive; `refused`: of `refused/`; `purged`: quarantined rows that lost their raw text; `logs`: log files
    removed; `turned`: logs begun anew; `versions`: ids of published versions; `skipped`: what was left alone
    and why, a line each.
    """

    archived: int
    refused: int
    purged: int
    logs: int
    turned: int
    versions: tuple[str, ...]
    skipped: tuple[str, ...]


def expire(site: Site, store: Store, now: datetime) -> Expired:
    """Do away with what `[retention]` no longer allows at `now` (the site's local time). Safe to repeat.

    Only files inside the site's archive, refused and log folders are touched, and no link is followed. An error with
    one file (no right to remove it) is a line of `skipped`, and hinders nothing else.
    """
    skipped: list[str] = []
    archived = _expire_archive(site, now, skipped)
    refused = _expire_refused(site, now, skipped)
    purged = _purge(site, store, now)
    logs = _expire_logs(site, now, skipped)
    turned = _turn_logs(site, now, skipped)
    versions = store.collect(versions_wanted(site, now), age=KEPT_FOR, last=site.retention.versions)
    return Expired(archived, refused, purged, logs, turned, versions, tuple(skipped))


def versions_of_reports(site: Site) -> set[str]:
    """The versions that a registered report names: each is kept as long as the report is."""
    if not site.reports.is_dir():
        return set()
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in site.reports.rglob("*.json*"))
    return {version for text in texts for version in _VERSION.findall(text)}


def versions_wanted(site: Site, now: datetime) -> set[str]:
    """Those that a report names, and the last of each of the days for which a figure can be asked as known then."""
    last: dict[date, str] = {}
    first = now.date() - timedelta(days=site.retention.days)
    for version in reversed(layout.version_ids(site)):
        try:
            day = layout.read_manifest(site, version).made_at.date()
        except Mistake:
            continue
        if day < first:
            break
        last.setdefault(day, version)
    return versions_of_reports(site) | set(last.values())


def overdue(connection: duckdb.DuckDBPyConnection, before: datetime) -> int:
    """Quarantined rows of batches committed before `before` that still have their raw text.

    `connection`: to the loader's database, also read-only.
    """
    row = connection.execute(
        "select count(*) from quarantine where raw is not null"
        " and batch in (select batch from batches where committed_at < $before)",
        {"before": before},
    ).fetchone()
    return 0 if row is None else int(row[0])


def _purge(site: Site, store: Store, now: datetime) -> int:
    if site.retention.quarantine_days is None:
        return 0
    before = now - timedelta(days=site.retention.quarantine_days)
    sources = store.connection.execute(
        "select distinct source from quarantine where raw is not null order by source"
    ).fetchall()
    return sum(store.purge(str(source), before) for (source,) in sources)


def _expire_archive(site: Site, now: datetime, skipped: list[str]) -> int:
    """Remove the archive's files loaded more than archive_days ago, and the folders that this empties."""
    if site.retention.archive_days is None:
        return 0
    before = now - timedelta(days=site.retention.archive_days)
    removed = 0
    for path, name, folder, status in _files_below(site.archived, skipped):
        if _loaded_at(site, path, status) < before and _remove(name, folder, path, skipped):
            removed += 1
    for month in sorted(site.archived.glob("*")) if removed else ():
        if month.is_dir() and not month.is_symlink() and not any(month.iterdir()):
            month.rmdir()
    return removed


def _expire_refused(site: Site, now: datetime, skipped: list[str]) -> int:
    """Remove what was refused more than refused_days ago, each file with its reason."""
    if site.retention.refused_days is None:
        return 0
    before = now - timedelta(days=site.retention.refused_days)
    removed = 0
    for path, name, folder, status in _files_below(site.folder / "refused", skipped):
        removed += _local(site, status.st_ctime) < before and _remove(name, folder, path, skipped)
    return removed


def _loaded_at(site: Site, path: Path, status: os.stat_result) -> datetime:
    """When a file came into the archive, as the site's local time.

    Its own time of change would be the office's. What moves is the time of its inode; the folder of its month
    says it too, when the archive was copied to another disk since.
    """
    moved = _local(site, status.st_ctime)
    month = _MONTH.fullmatch(path.relative_to(site.archived).parts[0])
    if month is None:
        return moved
    year, number = int(month[1]), int(month[2])
    ended = datetime(year + number // 12, number % 12 + 1, 1)  # noqa: DTZ001 - the site's local time
    return min(moved, ended)


def _turn_logs(site: Site, now: datetime, skipped: list[str]) -> int:
    """Begin each log anew, once a day: what it held goes to `<name>-<day>.log`.

    Copied and cut, not renamed: processes that write it hold it open, for appending.
    """
    turned = 0
    for path, _, _, status in _files_below(site.log, skipped):
        if path.suffix != ".log" or path.parent != site.log or _TURNED.fullmatch(path.name):
            continue
        aside = path.with_name(f"{path.stem}-{now:%Y-%m-%d}.log")
        if status.st_size == 0 or aside.is_symlink() or aside.exists():
            continue
        try:
            with path.open("rb+") as log, aside.open("xb") as out:
                shutil.copyfileobj(log, out)
                out.flush()
                os.fsync(out.fileno())
                log.truncate(0)
            turned += 1
        except OSError as error:
            skipped.append(f"{path}: {error.strerror}")
    return turned


def _expire_logs(site: Site, now: datetime, skipped: list[str]) -> int:
    if site.retention.log_days is None:
        return 0
    before = now - timedelta(days=site.retention.log_days)
    removed = 0
    for path, name, folder, status in _files_below(site.log, skipped):
        old = _local(site, status.st_mtime) < before
        if _TURNED.fullmatch(name) and old and _remove(name, folder, path, skipped):
            removed += 1
    return removed


def _files_below(top: Path, skipped: list[str]) -> Iterator[tuple[Path, str, int, os.stat_result]]:
    """(path, name, descriptor of its folder, status) of every plain file below `top`; no link is followed.

    A file is named by its folder's descriptor: exchanging a folder for a link meanwhile leads nowhere.
    """
    if top.is_symlink():
        skipped.append(f"{top}: is a link, left alone")
        return
    if not top.is_dir():
        return
    for folder, _, names, descriptor in os.fwalk(top, follow_symlinks=False):
        for name in sorted(names):
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield Path(folder, name), name, descriptor, status


def _remove(name: str, folder: int, path: Path, skipped: list[str]) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError as error:
        skipped.append(f"{path}: {error.strerror}")
        return False
    return True


def _local(site: Site, seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone(ZoneInfo(site.timezone)).replace(tzinfo=None)
