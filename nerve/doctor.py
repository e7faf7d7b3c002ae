"""What is wrong with a site, one line each, and what to do about it.

Looking changes nothing: no file is written, no lock is kept, and the loader's database is opened only when no
loader has it. Mending (`repair`) does what cannot lose anything.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow.parquet as pq

from pipelines.contract import contracts
from pipelines.load import UNFINISHED, waiting
from pipelines.privacy import site_key
from pipelines.run import loader_pid
from pipelines.upkeep import overdue
from warehouse import layout
from warehouse.layout import Manifest, quoted
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site
from warehouse.text import Text
from warehouse.version import Version

State = Literal["ok", "warn", "wrong"]

HEARTBEAT_LATE = timedelta(seconds=60)
WAITS_TOO_LONG = timedelta(minutes=15)
UNFINISHED_TOO_LONG = timedelta(days=1)
CLOCK_TOLERANCE = timedelta(minutes=5)
LEAST_SPACE = 512 << 20

_BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
"""No clock of a running site stands before this program was written."""

_REBUILD = (
    "从备份恢复；或 nerve doctor --repair 由最新版本重建（隔离区会丢）",
    "restore a backup, or 'nerve doctor --repair' rebuilds it from the newest version, without its quarantine",
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `check` names it for machines; `remedy` is None where nothing is to be done;
    `mends` where `repair` knows what to do about it."""

    check: str
    state: State
    what: Text
    remedy: Text | None = None
    mends: bool = False


def _ok(check: str, zh: str, en: str) -> Finding:
    return Finding(check, "ok", Text(zh=zh, en=en))


def _bad(
    check: str, state: State, what: tuple[str, str], remedy: tuple[str, str], mends: bool = False
) -> Finding:
    return Finding(check, state, Text(zh=what[0], en=what[1]), Text(zh=remedy[0], en=remedy[1]), mends=mends)


def _mistaken(check: str, mistake: Mistake, mends: bool = False) -> Finding:
    """A Mistake speaks English: where, what and the remedy as they are."""
    what = f"{mistake.where}: {mistake.what}"
    return _bad(check, "wrong", (f"有误：{what}", what), (mistake.remedy, mistake.remedy), mends)


def examine(folder: Path) -> tuple[Finding, ...]:
    """Look at everything of the site in `folder`. Never raises for what is wrong with the site."""
    try:
        site = load_site(folder)
    except Mistake as mistake:
        return (_mistaken("site.toml", mistake),)
    looks: tuple[tuple[str, Callable[[Site], Iterator[Finding]]], ...] = (
        ("contracts", _contracts),
        ("secret.key", _secret),
        ("folders", _folders),
        ("disk", _disk),
        ("clock", _clock),
        ("loader", _loader),
        ("inbox", _inbox),
        ("version", _version),
        ("leftovers", _leftovers),
        ("loader.duckdb", _database),
        ("freshness", _freshness),
        ("refused", _refused),
    )
    found = [
        _ok("site.toml", f"{site.name.zh}，时区 {site.timezone}", f"{site.name.en}, zone {site.timezone}")
    ]
    for name, look in looks:
        try:
            found += look(site)
        except Mistake as mistake:
            found.append(_mistaken(name, mistake))
        except (OSError, ValueError, duckdb.Error) as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            found.append(
                _bad(
                    name,
                    "wrong",
                    (f"无法检查：{text}", f"cannot be looked at: {text}"),
                    ("检查权限与磁盘", "check the rights and the disk"),
                )
            )
    return tuple(found)


def _contracts(site: Site) -> Iterator[Finding]:
    known = contracts(site)
    yield _ok("contracts", f"合约 {len(known)} 份，均可用", f"{len(known)} contracts, all of them good")


def _secret(site: Site) -> Iterator[Finding]:
    path = site.folder / "secret.key"
    if not path.exists():
        if layout.loader(site).exists():
            yield _bad(
                "secret.key",
                "wrong",
                ("secret.key 不见了，而已有数据载入", "secret.key is gone, and files were loaded with it"),
                (
                    "从备份恢复；否则新的化名与旧的对不上，封存的行再也打不开",
                    "restore it from a backup: with a new one pseudonyms no longer match and seals stay closed",
                ),
            )
        else:
            yield _ok("secret.key", "首次载入时生成", "made at the first load")
        return
    site_key(site)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield _bad(
            "secret.key",
            "wrong",
            (f"secret.key 的权限为 {mode:o}，他人可读", f"secret.key has mode {mode:o}: others may read it"),
            (f"chmod 600 {path}", f"chmod 600 {path}"),
            mends=True,
        )
    else:
        yield _ok("secret.key", "只有本用户可读", "readable by its owner only")


def _folders(site: Site) -> Iterator[Finding]:
    folders = (
        site.folder, site.inbox, site.warehouse, site.log, site.archived, site.reports, site.journal,
    )  # fmt: skip
    wrong = False
    for folder in folders:
        if folder.is_symlink():
            wrong = True
            yield _bad(
                "folders",
                "warn",
                (f"{folder.name}/ 是链接", f"{folder.name}/ is a link"),
                (
                    "保留期不清理链接之内的文件：请用挂载代替",
                    "retention leaves it alone: mount the disk there instead",
                ),
            )
        if not folder.exists():
            continue
        read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
        if read_only or not os.access(folder, os.W_OK | os.X_OK):
            wrong = True
            yield _bad(
                "folders",
                "wrong",
                (f"{folder} 不可写", f"{folder} is not writable"),
                (
                    "给运行载入程序的用户写权限，或重新挂载为可写",
                    "give the loader's user the right to write, or mount it writable",
                ),
            )
    if not wrong:
        yield _ok("folders", "均可写", "all writable")


def _disk(site: Site) -> Iterator[Finding]:
    top = site.warehouse if site.warehouse.exists() else site.folder
    free = shutil.disk_usage(top).free
    held = sum(_size(path) for path in site.warehouse.rglob("*")) if site.warehouse.exists() else 0
    loader = _size(layout.loader(site))
    current = _current(site)
    needed = max(LEAST_SPACE, loader + (sum(current.files.values()) if current else 0))
    what = (
        f"空闲 {_bytes(free)}；库占 {_bytes(held)}，合并与重建需 {_bytes(needed)}",
        f"{_bytes(free)} free; the warehouse takes {_bytes(held)}, folding or rebuilding it needs {_bytes(needed)}",
    )
    if free < needed:
        state: State = "wrong" if free < needed // 4 else "warn"
        yield _bad("disk", state, what, ("腾出空间，或缩短保留期", "free space, or shorten [retention]"))
    else:
        yield _ok("disk", *what)


def _clock(site: Site) -> Iterator[Finding]:
    if site.as_of is not None:
        yield _bad(
            "clock",
            "warn",
            (f"时钟停在 {site.as_of}", f"the clock is stopped at {site.as_of}"),
            ("正式运行请删去 as_of", "remove as_of from site.toml for real use"),
        )
        return
    now, current = site.now(), _current(site)
    if datetime.now(UTC) < _BEGINNING or (current and current.cutoff > now + CLOCK_TOLERANCE):
        yield _bad(
            "clock",
            "wrong",
            (
                f"时钟 {now:%Y-%m-%d %H:%M} 早于已发布的版本",
                f"the clock, {now:%Y-%m-%d %H:%M}, is behind the published version",
            ),
            ("校准系统时间(NTP)", "set the machine's clock (NTP)"),
        )
    else:
        yield _ok("clock", f"{now:%Y-%m-%d %H:%M},{site.timezone}", f"{now:%Y-%m-%d %H:%M}, {site.timezone}")


def _loader(site: Site) -> Iterator[Finding]:
    pid, beat = loader_pid(site), _heartbeat(site)
    if pid is None:
        lock = site.warehouse / "loader.lock"
        held = lock.read_text(encoding="ascii", errors="replace").strip() if lock.is_file() else ""
        if held:
            yield _bad(
                "loader",
                "warn",
                (f"没有载入程序；进程 {held} 曾被强行结束", f"no loader runs; process {held} was killed"),
                (
                    "无妨：锁已随它释放；启动 nerve run 即可",
                    "harmless: its lock went with it; start 'nerve run'",
                ),
            )
        else:
            yield _ok("loader", "没有载入程序在运行", "no loader runs")
        return
    if beat is None or beat.pid != pid:
        yield _ok("loader", f"进程 {pid} 在工作", f"process {pid} is at work")
        return
    age = datetime.now(UTC) - beat.at
    if age > HEARTBEAT_LATE:
        yield _bad(
            "loader",
            "wrong",
            (f"进程 {pid} 已 {_span(age, 'zh')}无心跳", f"process {pid} gave no sign for {_span(age, 'en')}"),
            (
                "看 log/loader.log；重启 nerve run 不会丢数据",
                "see log/loader.log; restarting 'nerve run' loses nothing",
            ),
        )
    else:
        yield _ok("loader", f"进程 {pid} 在运行", f"process {pid} runs")
    for check, what in beat.faults:
        yield _bad(
            check,
            "wrong",
            (f"载入程序报告：{what}", f"the loader says: {what}"),
            ("照所说改正；它会自动再试", "mend what it names: it tries again by itself"),
        )


@dataclass(frozen=True)
class _Beat:
    """What log/heartbeat.json says: which process, when, and (check, fault) of what hinders it."""

    pid: int
    at: datetime
    faults: tuple[tuple[str, str], ...]


def _heartbeat(site: Site) -> _Beat | None:
    """The last sign of life; None where there is none to read."""
    try:
        beat = json.loads((site.log / "heartbeat.json").read_text(encoding="utf-8"))
        at = datetime.fromisoformat(beat["at"])
        faults = [("contracts", beat.get("contracts")), ("site.toml", beat.get("site"))]
        faults += [("inbox", f"{name}: {why}") for name, why in beat.get("failed", {}).items()]
        faults += [("inbox", f"{name}/ is a folder and is not loaded") for name in beat.get("folders", [])]
        faults += [
            ("database", f"{name}: {pull['error']}")
            for name, pull in beat.get("pulls", {}).items()
            if pull["error"]
        ]
        said = tuple((check, str(what)) for check, what in faults if what)
        return _Beat(int(beat["pid"]), at if at.tzinfo else at.replace(tzinfo=UTC), said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _inbox(site: Site) -> Iterator[Finding]:
    now = datetime.now(UTC)
    ages = {path: now - datetime.fromtimestamp(seen[1] / 1e9, UTC) for path, seen in waiting(site).items()}
    late = {path: age for path, age in ages.items() if age > WAITS_TOO_LONG}
    if late:
        path, age = max(late.items(), key=lambda item: item[1])
        yield _bad(
            "inbox",
            "warn",
            (
                f"{len(late)} 个文件在收件箱等待过久，最久 {path.name}:{_span(age, 'zh')}",
                f"{len(late)} files wait too long in the inbox, the longest {path.name}: {_span(age, 'en')}",
            ),
            (
                "启动 nerve run；若在运行，看 log/loader.log",
                "start 'nerve run'; if it runs, see log/loader.log",
            ),
        )
    stuck = []
    for path in sorted(site.inbox.glob("*")) if site.inbox.is_dir() else ():
        half = path.name.startswith(".") or path.name.lower().endswith(UNFINISHED)
        if (
            half
            and path.is_file()
            and now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > UNFINISHED_TOO_LONG
        ):
            stuck.append(path.name)
    if stuck:
        yield _bad(
            "inbox",
            "warn",
            (
                f"{len(stuck)} 个文件没有写完：{stuck[0]}",
                f"{len(stuck)} files were never finished: {stuck[0]}",
            ),
            ("请来源单位重发，然后删去", "have the office send it again, then remove it"),
        )
    if not late and not stuck:
        yield _ok("inbox", f"等待 {len(ages)} 个文件", f"{len(ages)} files wait")


def _version(site: Site) -> Iterator[Finding]:
    name = _pointer(site)
    if isinstance(name, Mistake):
        yield _bad(
            "version",
            "wrong",
            (f"CURRENT 有误：{name.what}", f"CURRENT: {name.what}"),
            (
                "nerve doctor --repair 指回最新的完整版本",
                "nerve doctor --repair points it at the newest whole version",
            ),
            mends=True,
        )
        return
    if name is None:
        whole = newest_whole(site)
        if whole is None:
            yield _bad(
                "version",
                "warn",
                ("尚未发布", "nothing is published yet"),
                ("nerve load", "run 'nerve load'"),
            )
        else:
            yield _bad(
                "version",
                "wrong",
                (f"CURRENT 不见了，而 {whole} 完整", f"CURRENT is gone, and {whole} is whole"),
                ("nerve doctor --repair", "nerve doctor --repair points CURRENT at it"),
                mends=True,
            )
        return
    fault = fault_of(site, name)
    if fault is not None:
        yield _bad(
            "version",
            "wrong",
            (f"当前版本 {name} 不完整：{fault}", f"the current version {name} is not whole: {fault}"),
            (
                "nerve doctor --repair，再 nerve load：它会重新发布",
                "nerve doctor --repair, then 'nerve load': it publishes anew",
            ),
            mends=True,
        )
    else:
        manifest = layout.read_manifest(site, name)
        rows = sum(record.base_rows for record in manifest.records.values())
        yield _ok(
            "version",
            f"{name} 完整：{len(manifest.files)} 个文件，约 {rows:,} 条记录",
            f"{name} is whole: {len(manifest.files)} files, about {rows:,} records",
        )


def fault_of(site: Site, name: str) -> str | None:
    """Why a version cannot be served, or None: its manifest, the size of each file, the marts, the records."""
    try:
        manifest = layout.read_manifest(site, name)
    except Mistake as mistake:
        return mistake.what
    missing = layout.fault_of(site, manifest)
    if missing is not None:
        return f"{missing[0].relative_to(site.warehouse)}: {missing[1]}"
    try:
        opened = Version(site, manifest)
        for table in sorted(opened.tables):
            opened.rows(f"select count(*) from {quoted(table)}")  # noqa: S608 - a name of our own manifest
        for dataset, records in manifest.records.items():
            for file in records.files:
                held = pq.ParquetFile(site.warehouse / file).metadata.num_rows
                if file == records.base and held != records.base_rows:
                    return f"{file} holds {held:,} records of '{dataset}', not {records.base_rows:,}"
    except (Mistake, duckdb.Error, OSError, ValueError) as error:
        return str(error).splitlines()[0]
    return None


def newest_whole(site: Site) -> str | None:
    """The newest version that can be served."""
    return next((name for name in reversed(layout.version_ids(site)) if fault_of(site, name) is None), None)


def leftovers(site: Site) -> tuple[Path, ...]:
    """What a killed process left: folders of no version, record files of none, half-written files, temp files."""
    halves = (layout.fresh(layout.pointer(site)), site.log / "heartbeat.new")
    return (
        *(layout.versions(site) / version for version in layout.unfinished(site)),
        *(path for path in halves if path.is_file()),
        *sorted(site.temp.glob("duckdb_temp_*")),
        *layout.unused_records(site),
    )


def _leftovers(site: Site) -> Iterator[Finding]:
    found = leftovers(site) if loader_pid(site) is None else ()
    if found:
        yield _bad(
            "leftovers",
            "warn",
            (
                f"{len(found)} 个残留文件，如 {found[0].name}",
                f"{len(found)} leftovers, such as {found[0].name}",
            ),
            (
                "nerve doctor --repair；载入程序启动时也会清理",
                "nerve doctor --repair; the loader clears them too when it starts",
            ),
            mends=True,
        )
    else:
        yield _ok("leftovers", "没有残留", "none")


def _database(site: Site) -> Iterator[Finding]:
    path = layout.loader(site)
    if loader_pid(site) is not None:
        yield _ok("loader.duckdb", "由载入程序使用中，未检查", "in use by the loader, not looked at")
        return
    if not path.exists():
        if _current(site) is not None:
            what = (
                "loader.duckdb 不见了，而已有发布的版本",
                "loader.duckdb is gone, and versions are published",
            )
            yield _bad("loader.duckdb", "wrong", what, _REBUILD, mends=True)
        else:
            yield _ok("loader.duckdb", "首次载入时生成", "made at the first load")
        return
    fault = _fault_of_database(path)
    if fault is not None:
        what = (f"loader.duckdb 打不开：{fault}", f"loader.duckdb does not open: {fault}")
        yield _bad("loader.duckdb", "wrong", what, _REBUILD, mends=True)
        return
    connection = duckdb.connect(str(path), read_only=True)
    try:
        yield from _accounts(site, connection)
    finally:
        connection.close()


def _fault_of_database(path: Path) -> str | None:
    """Why the loader's database cannot be worked with, or None. Nobody may have it open."""
    if path.stat().st_size == 0:
        return "empty"
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute(
                "select block_size, total_blocks from pragma_database_size()"
            ).fetchone()
            size, blocks = found or (0, 0)
            # A file cut short opens, and fails when its end is asked for.
            if path.stat().st_size < size * blocks:
                return f"cut short: {path.stat().st_size:,} bytes of {size * blocks:,}"
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where not internal"
            ).fetchall():
                connection.execute(f"select count(*) from {quoted(name)}").fetchall()  # noqa: S608 - a name of ours
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return None


def _accounts(site: Site, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Schema, the accounts of batches, the quarantine, and the manifest, against each other."""
    run = connection.execute
    schema = run("select schema_number from meta").fetchone()
    if schema is None or schema[0] > layout.SCHEMA:
        raise layout.newer_schema(layout.loader(site), 0 if schema is None else schema[0])
    broken = run(
        "select batch from batches where refused is null and undoes is null and duplicate_of is null"
        " and (read <> kept + quarantined or kept <> new + changed + stale) order by batch"
    ).fetchall()
    # A retry takes rows out of the quarantine of the batch it retries.
    held = run(
        "with account as (select coalesce(retry_of, batch) as batch, sum(quarantined) as rows from batches"
        "  where undone_by is null and undoes is null group by all),"
        " held as (select batch, count(*) as rows from quarantine where retried_by is null group by all)"
        " select a.batch from account a left join held h using (batch)"
        " join batches b using (batch) where b.undone_by is null and b.rebuilt_from is null"
        " and a.rows <> coalesce(h.rows, 0) order by a.batch"
    ).fetchall()
    (batches,) = run("select count(*) from batches").fetchone() or (0,)
    wrong = sorted({batch for (batch,) in [*broken, *held]})
    if wrong:
        yield _bad(
            "loader.duckdb",
            "wrong",
            (
                f"{len(wrong)} 个批次的账不平，如 {wrong[0]}：读取 ≠ 入库 + 隔离",
                f"{len(wrong)} batches do not reconcile, such as {wrong[0]}: read ≠ kept + quarantined",
            ),
            ("nerve rollback 该批次，再投放其文件", "'nerve rollback' that batch and drop its file again"),
        )
    else:
        yield _ok("loader.duckdb", f"{batches:,} 个批次，账平", f"{batches:,} batches, all reconcile")
    yield from _against(site, connection)
    if site.retention.quarantine_days is not None:
        before = site.now() - timedelta(days=site.retention.quarantine_days)
        late = overdue(connection, before - timedelta(days=1))
        if late:
            yield _bad(
                "quarantine",
                "warn",
                (f"{late:,} 行原文已过保留期", f"the raw text of {late:,} rows is past its retention"),
                ("启动 nerve run：它每天清理", "start 'nerve run': it purges once a day"),
            )
        else:
            yield _ok("quarantine", "没有逾期的原文", "no raw text is past its retention")


def _against(site: Site, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """The sources' accounts in the published manifest against those in the database."""
    manifest = _current(site)
    if manifest is None:
        return
    name = connection.execute("select warehouse from meta").fetchone()
    if name is None or name[0] != manifest.warehouse:
        yield _bad(
            "manifest",
            "wrong",
            ("发布的版本出自另一个 loader.duckdb", "the published version came from another loader.duckdb"),
            ("从备份恢复配套的一份", "restore the one that belongs to it from a backup"),
        )
        return
    last = connection.execute("select coalesce(max(batch), 0) from batches").fetchone() or (0,)
    if last[0] != manifest.batch:
        yield _bad(
            "manifest",
            "warn",
            (
                f"已发布到第 {manifest.batch} 批，库中已有第 {last[0]} 批",
                f"published up to batch {manifest.batch}, the database has {last[0]}",
            ),
            ("nerve load 会发布其余", "'nerve load' publishes the rest"),
        )
        return
    sums = {
        source: (int(read), int(kept), int(quarantined))
        for source, read, kept, quarantined in connection.execute(
            "select source, sum(read), sum(kept), sum(quarantined) from batches"
            " where undone_by is null and undoes is null group by source"
        ).fetchall()
    }
    wrong = [
        s.name for s in manifest.sources if sums.get(s.name, (0, 0, 0)) != (s.read, s.kept, s.quarantined)
    ]
    wrong += [s.name for s in manifest.sources if s.read != s.kept + s.quarantined]
    if wrong:
        yield _bad(
            "manifest",
            "wrong",
            (f"发布的账与库不符：{wrong[0]}", f"the published account differs from the database: {wrong[0]}"),
            ("nerve load 重新发布", "'nerve load' publishes again"),
        )
    else:
        yield _ok("manifest", "发布的账与库一致", "the published accounts agree with the database")


def _freshness(site: Site) -> Iterator[Finding]:
    manifest = _current(site)
    if manifest is None:
        return
    now, stale = site.now(), 0
    for source in manifest.sources:
        if source.last_load is None:
            continue
        age = now - source.last_load
        if age > timedelta(hours=source.fresh_hours):
            stale += 1
            yield _bad(
                "freshness",
                "warn",
                (
                    f"{source.label.zh}({source.name}){_span(age, 'zh')}没有新文件，应在 {source.fresh_hours:g} 小时内",
                    f"{source.name}: nothing for {_span(age, 'en')}, expected every {source.fresh_hours:g} hours",
                ),
                ("问来源单位", "ask the office that sends it"),
            )
    if not stale:
        yield _ok("freshness", "来源均未逾期", "no source is late")


def _refused(site: Site) -> Iterator[Finding]:
    folder, days = site.folder / "refused", site.retention.refused_days
    if days is None or not folder.is_dir():
        return
    before = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    old = [path for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_ctime < before]
    if old:
        yield _bad(
            "refused",
            "warn",
            (
                f"refused/ 有 {len(old)} 个文件已过保留期",
                f"{len(old)} files in refused/ are older than refused_days allows",
            ),
            (
                "由 nerve run 每日清理；没有运行时请手工删去",
                "nerve run removes them once a day; where it does not run, remove them",
            ),
        )


# -- mending ----------------------------------------------------------------------------------------------


def repair(site: Site, rebuild: Callable[[Site], object] | None) -> tuple[Text, ...]:
    """Mend what cannot lose anything; what was done, a line each. Nobody else may have the site's loader lock.

    secret.key's mode, leftovers, CURRENT. With `rebuild` a loader database that is gone or does not open is
    made anew by it, after the broken one was put aside.
    """
    done: list[Text] = []
    key = site.folder / "secret.key"
    if key.is_file() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        key.chmod(0o600)
        done.append(Text(zh="secret.key 权限改为 600", en="secret.key has mode 600 now"))
    name = _pointer(site)
    if isinstance(name, Mistake) or name is None or fault_of(site, name) is not None:
        whole = newest_whole(site)
        if whole is not None:
            layout.put(layout.pointer(site), whole + "\n")
            done.append(Text(zh=f"CURRENT 指向 {whole}", en=f"CURRENT names {whole} now"))
    for path in leftovers(site):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        done.append(Text(zh=f"清理 {path.name}", en=f"removed {path.relative_to(site.folder)}"))
    if rebuild is not None and needs_rebuild(site):
        path = layout.loader(site)
        stamp = f"broken-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        for broken in (path, path.with_name(path.name + ".wal")):
            if broken.exists():
                broken.rename(broken.with_name(f"{broken.name}.{stamp}"))
                done.append(
                    Text(zh=f"{broken.name} 移到一旁(.{stamp})", en=f"{broken.name} was put aside (.{stamp})")
                )
        rebuild(site)
        done.append(
            Text(zh="loader.duckdb 已由最新版本重建", en="loader.duckdb was rebuilt from the newest version")
        )
    return tuple(done)


def needs_rebuild(site: Site) -> bool:
    """Whether the loader's database is gone or does not open while a version is there to rebuild it from."""
    if newest_whole(site) is None:
        return False
    path = layout.loader(site)
    return not path.exists() or _fault_of_database(path) is not None


# -- small things -----------------------------------------------------------------------------------------


def _pointer(site: Site) -> str | Mistake | None:
    try:
        return layout.read_pointer(site)
    except Mistake as mistake:
        return mistake


def _current(site: Site) -> Manifest | None:
    """The manifest of CURRENT where it can be read; what is wrong with it, `_version` says."""
    try:
        name = layout.read_pointer(site)
        return None if name is None else layout.read_manifest(site, name)
    except Mistake:
        return None


def _size(path: Path) -> int:
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _span(age: timedelta, lang: str) -> str:
    minutes = int(age.total_seconds() // 60)
    for size, zh, en in ((1440, "天", "days"), (60, "小时", "hours")):
        if minutes >= 2 * size:
            return f"{minutes // size} {zh}" if lang == "zh" else f"{minutes // size} {en}"
    return f"{minutes} 分钟" if lang == "zh" else f"{minutes} minutes"
