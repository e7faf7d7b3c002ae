"""The loader as a process: it watches the inbox, pulls the databases, and keeps its warehouse in shape."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import schedule
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from pipelines.contract import EVERY, OURS, Contract, contracts
from pipelines.load import Loaded, Look, Phase, Progress, folders, load_once, waiting
from pipelines.upkeep import KEPT_FOR, expire, versions_wanted
from warehouse import layout
from warehouse.heartbeat import heartbeat_file
from warehouse.lock import lock
from warehouse.masking import mask
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site, load_site
from warehouse.store import Store

if TYPE_CHECKING:
    from pipelines.database import Extract

SWEEP_SECONDS = 0.3
"""A file is taken when two sweeps in a row see the same size, time and inode."""
BEAT_SECONDS = 2
FOLD_MINUTES = 10
COLLECT_MINUTES = 5
"""A version is some 5 MB and a busy inbox makes one every two seconds: two gigabytes lie there at the most."""
IDLE_SECONDS = 30
"""Maintenance waits until nothing has been loaded for so long."""
RETRY_SECONDS = 60
"""What failed by a fault of ours is tried again after so long; a file, when it changes."""
LONGEST_RETRY_SECONDS = 900
"""A database that does not answer is tried after 30 s, 60 s, … and at last every 15 minutes."""
UPKEEP = "day at 03:30"
NEW_DAY = "day at 00:00"
"""Some measures move with the day: a version is published when one begins, though nothing was loaded."""
JUMP_SECONDS = 60
"""The clock was set, or the machine slept, when it moved so much against the process's own."""
LOG_BYTES = 32 << 20
"""A log that grows past this within a day is put aside at once."""


# -- one loader a site ----------------------------------------------------------------------------------------


@contextmanager
def only_loader(site: Site) -> Iterator[None]:
    """Hold the site's loader lock. Raises Mistake naming the process that has it."""
    path = site.warehouse / "loader.lock"
    with lock(path, "let the loader's user write there") as (file, ours):
        file.seek(0)
        if not ours:
            pid = file.read().strip() or "unknown"
            raise Mistake(
                str(path),
                f"a loader is running already (process {pid})",
                f"drop files into {site.inbox}, or stop it: kill {pid}",
            )
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def loader_pid(site: Site) -> int | None:
    """The process that holds the site's loader lock; None when no loader runs."""
    try:
        file = (site.warehouse / "loader.lock").open("r", encoding="ascii")
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            pid = file.read().strip()
            return int(pid) if pid.isdigit() else 0
    return None


# -- the log --------------------------------------------------------------------------------------------------


@contextmanager
def logger(site: Site) -> Iterator[FilteringBoundLogger]:
    """JSON lines to log/loader.log: file names, counts and headings, never cells."""
    site.log.mkdir(parents=True, exist_ok=True)
    log = _Log(site.log / "loader.log")
    try:
        yield structlog.wrap_logger(
            structlog.WriteLogger(log),  # type: ignore[arg-type]
            wrapper_class=structlog.make_filtering_bound_logger("info"),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                _masked,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    finally:
        log.close()


class _Log:
    """A log file that is put aside (as `loader.<time>-<day>.log`) when it grows too large. That it cannot be
    written stops no one: the disk is full just when there is most to say."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

    def write(self, text: str) -> int:
        with suppress(OSError):
            if os.fstat(self._file.fileno()).st_size > LOG_BYTES:
                self._file.close()
                self._path.rename(
                    self._path.with_name(f"{self._path.stem}.{datetime.now(UTC):%H%M%S-%Y-%m-%d}.log")
                )
                self._file = self._path.open("a", encoding="utf-8", errors="backslashreplace")
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


def _masked(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """An error of a library may quote the value it fell over."""
    if isinstance(event.get("exception"), str):
        event["exception"] = mask(event["exception"])
    return event


# -- once -----------------------------------------------------------------------------------------------------


def load(site: Site, progress: Progress | None = None, phase: Phase | None = None) -> list[Loaded]:
    """Load what waits, once, and publish. Raises Mistake (another loader, a wrong contract, a full disk)."""
    known = contracts(site)
    _make_inbox(site)
    with only_loader(site), logger(site) as log, Store.open(site) as store:
        files, growing = _settled(site)
        loaded = load_once(site, store, progress, files, log, known, phase=phase)
        if all(one.batch is None for one in loaded) and (version := store.publish()) is not None:
            # A loader was killed after it had committed and before it published.
            log.info("published", version=version)
        loaded += [Loaded(path.name, "unknown", "failed", reason=_GROWING, path=path) for path in growing]
        loaded += [
            Loaded(path.name, "unknown", "failed", reason=_FOLDER, path=path) for path in folders(site)
        ]
        return loaded


_GROWING = "仍在写入 | still being written"
_FOLDER = "是文件夹:请将其中的文件直接放入收件箱 | a folder: put the files in it into the inbox itself"


def _settled(site: Site) -> tuple[list[Path], list[Path]]:
    """(files, those still growing): where one was written just now, a second look is taken."""
    first = waiting(site)
    if not any(abs(time.time() - seen[1] / 1e9) < SWEEP_SECONDS for seen in first.values()):
        return list(first), []
    time.sleep(SWEEP_SECONDS)
    second = waiting(site)
    growing = [path for path in first if path in second and second[path] != first[path]]
    return [path for path in first if path not in growing], growing


def _make_inbox(site: Site) -> None:
    try:
        site.inbox.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Mistake(
            str(site.inbox), f"cannot be made: {error.strerror}", "make it, or let us write there"
        ) from error


def pull_once(
    site: Site,
    sources: Sequence[str] = (),
    whole: bool = False,
    progress: Progress | None = None,
    phase: Phase | None = None,
) -> list[Loaded]:
    """Pull the databases of `sources` (none named: of all that have one) and load what they brought.

    `whole`: every row again, not only what is new since the watermark; what is known changes nothing. Raises
    Mistake: another loader runs, a wrong contract or name. A database that does not answer is `failed`.
    """
    known = contracts(site)
    having = {name: contract for name, contract in known.items() if contract.database is not None}
    for name in sources:
        if name not in having:
            raise Mistake(f"source '{name}'", "has no [database] in its contract", nearest(name, having))
    if not having:
        raise Mistake(str(site.sources), "no contract has a [database]", "see docs/site.md")
    loaded: list[Loaded] = []
    with only_loader(site), logger(site) as log, Store.open(site) as store:
        # Loaded here: only a site with a database waits for its library.
        from pipelines.database import clear_leftovers, pull

        clear_leftovers(site)
        ledger = _Ledger(site)
        for name in sources or sorted(having):
            if phase is not None:
                phase("pulling", 0)
            began = datetime.now(UTC)
            try:
                since, digests = (None, frozenset[bytes]()) if whole else reached(site, store, name)
                extract = pull(site, having[name], since, digests)
            except Mistake as mistake:
                log.error("pull failed", source=name, what=str(mistake))
                loaded.append(Loaded(f"db:{name}", name, "failed", reason=str(mistake)))
                continue
            loaded += load_once(site, store, progress, (), log, known, (extract,), phase)
            ledger.note(f"pull {name}", began)
    return loaded


def reached(site: Site, store: Store, source: str) -> tuple[str | None, frozenset[bytes]]:
    """The watermark of a source's last pull that counts, and the digests kept with it."""
    from pipelines.database import digests

    watermark = store.watermark(source)
    if watermark is None:
        return None, frozenset()
    for batch in store.batches(source):
        if batch.watermark is not None and batch.refused is None and batch.undone_by is None:
            return watermark, digests(site, source, batch.sha256)
    return watermark, frozenset()


# -- for as long as the process lives -------------------------------------------------------------------------


def run(
    site: Site,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    phase: Phase | None = None,
) -> None:
    """Load until `stop` is set or the process gets SIGTERM or SIGINT; SIGHUP reloads the contracts.

    Raises Mistake at the start only.
    """
    stop = stop or threading.Event()
    known = contracts(site)
    _make_inbox(site)
    with only_loader(site), logger(site) as log, Store.open(site) as store, _signals() as asked:
        log.info("started", pid=os.getpid(), inbox=str(site.inbox))
        loader = Loader(site, store, log, known, lambda: stop.is_set() or asked.stop, progress, phase)
        with _beating(loader):
            _notify("READY=1")
            while not (stop.is_set() or asked.stop):
                if asked.reload:
                    asked.reload = False
                    loader.safely("contracts", loader.reload)
                loader.turn()
                stop.wait(SWEEP_SECONDS)
            _notify("STOPPING=1")
            loader.end_briefs()
        log.info("stopped", pid=os.getpid())


@dataclass
class _Pull:
    """How a source's database has fared in this process."""

    running: threading.Thread | None = None
    began: datetime | None = None
    failures: int = 0
    error: str | None = None


@dataclass
class Loader:
    """The state of a running loader. Everything that touches the warehouse happens in `turn`, one thing after
    the other; only the fetching of a database's rows runs beside it, a thread a source."""

    site: Site
    store: Store
    log: FilteringBoundLogger
    known: Mapping[str, Contract]
    asked_to_stop: Callable[[], bool] = lambda: False
    progress: Progress | None = None
    phase: Phase | None = None
    jobs: schedule.Scheduler = field(default_factory=schedule.Scheduler)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    doing: str = "starting"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_look: dict[Path, Look] = field(default_factory=dict)
    done: dict[Path, Look] = field(default_factory=dict)
    failed: dict[Path, tuple[Look, float, str]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    last_load: float = field(default_factory=monotonic)
    last_file: str | None = None
    last_error: tuple[datetime, str] | None = None
    contract_mistake: str | None = None
    site_note: str | None = None
    pulls: dict[str, _Pull] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ledger = _Ledger(self.site)
        self._pulled: SimpleQueue[tuple[str, Extract | Mistake]] = SimpleQueue()
        self._contract_files = _stamps(OURS, self.site.sources)
        self._site_file = _stamp(self.site.folder / "site.toml")
        self._clock = time.time() - monotonic()
        self._paused_until = 0.0
        self._unpublished = True
        self._file = ""
        self._briefs: tuple[IO[bytes], subprocess.Popen[bytes]] | None = None
        if any(contract.database is not None for contract in self.known.values()):
            from pipelines.database import clear_leftovers

            clear_leftovers(self.site)
        self.plan()

    # -- one turn ---------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """One look at everything: contracts, inbox, what was pulled, the clock, the timed jobs."""
        self.safely("contracts", self.watch_files)
        self.safely("publish", self.publish_late)
        self.safely("sweep", self.sweep)
        self.safely("pulled", self.take_pulled)
        self.safely("clock", self.watch_clock)
        self.safely("briefs", self.take_briefs)
        self.safely("jobs", self.jobs.run_pending)

    def safely(self, name: str, job: Callable[[], object]) -> None:
        """Run a job; what it raises is logged, shown, and never ends the loop."""
        try:
            job()
        except Mistake as mistake:
            self.log.error("job failed", job=name, what=str(mistake))
            self.last_error = (datetime.now(UTC), f"{name}: {mistake}")
        except Exception as error:
            self.log.exception("job failed", job=name)
            self.last_error = (
                datetime.now(UTC),
                mask(f"{name}: {type(error).__name__}: {error}".splitlines()[0]),
            )
        finally:
            self._now_doing("waiting for files")

    def _now_doing(self, what: str) -> None:
        if what != self.doing:
            self.doing, self.since = what, datetime.now(UTC)

    def sweep(self) -> None:
        if monotonic() < self._paused_until:
            return
        look = waiting(self.site)
        settled = [
            path
            for path, seen in look.items()
            if self.last_look.get(path) == seen
            and self.done.get(path) != seen
            and not self._hopeless(path, seen)
        ]
        self.last_look = look
        self.done = {path: seen for path, seen in self.done.items() if path in look}
        self.failed = {path: failure for path, failure in self.failed.items() if path in look}
        self._tell_of_folders()
        if settled:
            self._load(settled, ())

    def _load(self, files: Sequence[Path], extracts: Sequence[Extract]) -> list[Loaded]:
        try:
            loaded = load_once(
                self.site, self.store, self._progress, files, self.log, self.known, extracts, self._phase,
                self.asked_to_stop,
            )  # fmt: skip
        except Exception:
            # Not one file's fault: the disk, or the warehouse. What is committed is published later.
            self._paused_until = monotonic() + RETRY_SECONDS
            self._unpublished = True
            raise
        for result in loaded:
            path = result.path
            if result.status == "failed":
                self.last_error = (datetime.now(UTC), f"{result.file}: {result.reason}")
            if path is None or path not in self.last_look:
                continue
            if result.status == "failed":
                self.failed[path] = (self.last_look[path], monotonic(), str(result.reason))
            else:
                self.failed.pop(path, None)
                self.last_file = result.file
                seen = self.last_look.pop(path)
                if path.parent == self.site.journal:
                    self.done[path] = self.last_look[path] = seen
        self.last_load = monotonic()
        return loaded

    def _hopeless(self, path: Path, seen: Look) -> bool:
        before = self.failed.get(path)
        return before is not None and before[0] == seen and monotonic() - before[1] < RETRY_SECONDS

    def _tell_of_folders(self) -> None:
        found = [path.name for path in folders(self.site)]
        for name in found:
            if name not in self.folders:
                self.log.warning("a folder in the inbox: nothing in it is loaded", folder=name)
        self.folders = found

    def _progress(self, name: str, number: int, total: int) -> None:
        self._file = name
        self._now_doing(f"{name} ({number} of {total})")
        if self.progress is not None:
            self.progress(name, number, total)

    def _phase(self, name: str, rows: int) -> None:
        self._now_doing(
            name if name == "publishing" else f"{name} {self._file}" + (f", {rows:,} rows" if rows else "")
        )
        if self.phase is not None:
            self.phase(name, rows)

    def publish_late(self) -> None:
        """What was committed before a kill or an error is published as soon as that can be."""
        if not self._unpublished or monotonic() < self._paused_until:
            return
        self._now_doing("publishing")
        try:
            version = self.store.publish()
        except Exception:
            self._paused_until = monotonic() + RETRY_SECONDS
            raise
        self._unpublished = False
        if version is not None:
            self.log.info("published", version=version)

    # -- contracts and site.toml ------------------------------------------------------------------------------

    def watch_files(self) -> None:
        found = _stamps(OURS, self.site.sources)
        if found != self._contract_files:
            self._contract_files = found
            self.reload()
        stamp = _stamp(self.site.folder / "site.toml")
        if stamp != self._site_file:
            self._site_file = stamp
            try:
                load_site(self.site.folder)
                self.site_note = "site.toml changed since the loader started: restart it to follow"
                self.log.warning(self.site_note)
            except Mistake as mistake:
                self.site_note = f"{mistake}; the loader goes on with what it read at its start"
                self.log.error("site.toml is wrong", what=str(mistake))

    def reload(self) -> None:
        """Read the contracts again. A mistake in one leaves all as they were, and is said until it is mended."""
        try:
            known = contracts(self.site)
        except Mistake as mistake:
            self.contract_mistake = str(mistake)
            self.log.error("contracts not reloaded: the old ones stay in force", what=str(mistake))
            return
        self.contract_mistake = None
        changed = sorted(name for name in {*known, *self.known} if known.get(name) != self.known.get(name))
        self.known = known
        self.log.info("contracts reloaded", changed=changed)
        self.plan()

    # -- timed jobs -------------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Plan all timed jobs anew. One whose time passed while nobody ran it runs once, at the next turn."""
        self.jobs.clear()
        self.jobs.every(FOLD_MINUTES).minutes.do(self.safely, "fold", self.fold).tag("fold")
        self.jobs.every(COLLECT_MINUTES).minutes.do(self.safely, "collect", self.collect).tag("collect")
        briefs = self.jobs.every().hour.at(":00").do(self.safely, "briefs", self.begin_briefs).tag("briefs")
        briefs.next_run = datetime.now()  # noqa: DTZ005 - as `schedule` counts
        for name, every, job in (("new day", NEW_DAY, self.new_day), ("upkeep", UPKEEP, self.upkeep)):
            if self._ledger.last(name) is None:
                # Nothing to make up for on a site's first day.
                self._ledger.note(name, datetime.now(UTC))
            self._plan(name, every, job)
        asked = [contract for contract in self.known.values() if contract.database is not None]
        self.pulls = {contract.name: self.pulls.get(contract.name, _Pull()) for contract in asked}
        for contract in asked:
            if contract.database is not None:
                name = contract.name
                self._plan(f"pull {name}", contract.database.every, partial(self.begin_pull, name))

    def _plan(self, name: str, every: str, job: Callable[[], object]) -> None:
        planned = _scheduled(self.jobs, every, self.site.timezone).do(self.safely, name, job)
        planned.tag(name)
        wait = due_in(every, self._ledger.last(name), datetime.now(UTC), self.site.timezone)
        if wait is not None:
            # `schedule` counts in the machine's own time, without zone.
            planned.next_run = datetime.now() + wait  # noqa: DTZ005

    def watch_clock(self) -> None:
        """A clock that jumped leaves jobs planned for a time long gone, or not to come for hours."""
        clock = time.time() - monotonic()
        if abs(clock - self._clock) > JUMP_SECONDS:
            self.log.warning("the clock jumped, or the machine slept", seconds=round(clock - self._clock))
            self._clock = clock
            self.plan()

    def new_day(self) -> None:
        self._unpublished = True
        self._ledger.note("new day", datetime.now(UTC))

    def upkeep(self) -> None:
        self._now_doing("upkeep")
        began = datetime.now(UTC)
        # Noted first: what fails is tried tomorrow, not at every turn.
        self._ledger.note("upkeep", began)
        expired = expire(self.site, self.store, self.site.now())
        self.log.info("upkeep", **{key: value for key, value in expired.__dict__.items() if value})

    def fold(self) -> None:
        if monotonic() - self.last_load < IDLE_SECONDS:
            return
        self._now_doing("folding")
        version = self.store.fold()
        self.log.info("folded", version=version)

    def collect(self) -> None:
        self._now_doing("collecting old versions")
        wanted = versions_wanted(self.site, self.site.now())
        removed = self.store.collect(wanted, age=KEPT_FOR, last=self.site.retention.versions)
        if removed:
            self.log.info("collected", versions=list(removed))

    # -- briefs that make themselves ----------------------------------------------------------------------------

    def begin_briefs(self) -> None:
        """Have a process of its own make the briefs that are due: what prints is large and stays in memory, and
        whatever becomes of it, the loader goes on. It asks the register what is missing, so that asking it once an
        hour, and at the start, misses nothing and makes nothing twice."""
        if self._briefs is None and (self.site.folder / "reports.toml").is_file():
            said = TemporaryFile()  # noqa: SIM115 - it is read, and closed, when the process has ended
            self._briefs = said, subprocess.Popen(
                [sys.executable, "-m", "nerve.cli", "report", "--due", "--site", str(self.site.folder)],
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def making_briefs(self) -> bool:
        return self._briefs is not None

    def take_briefs(self) -> None:
        """Log what that process said, once it has ended."""
        if self._briefs is None or self._briefs[1].poll() is None:
            return
        said, process = self._briefs
        self._briefs = None
        with said:
            said.seek(0)
            lines = said.read().decode("utf-8", errors="replace").splitlines()
        for line in lines:
            self.log.info("briefs", what=line)
        if process.returncode:
            what = lines[-1] if lines else f"ended with {process.returncode}"
            self.log.error("briefs failed", what=what)
            self.last_error = (datetime.now(UTC), mask(f"briefs: {what}"))

    def end_briefs(self) -> None:
        """What is being made is left: it is made whole after the next start."""
        if self._briefs is not None:
            self._briefs[1].terminate()
            self._briefs[1].wait()

    # -- databases --------------------------------------------------------------------------------------------

    def begin_pull(self, source: str) -> None:
        """Have a thread fetch what is new; `take_pulled` loads it. One that still runs is not run twice."""
        state, contract = self.pulls[source], self.known.get(source)
        if contract is None or contract.database is None:
            return
        if state.running is not None and state.began is not None:
            state.error = f"still under way since {state.began:%H:%M:%S} UTC"
            self.log.warning("the last pull is still under way", source=source)
            return
        since, known = reached(self.site, self.store, source)
        state.began = datetime.now(UTC)
        state.running = threading.Thread(
            target=self._pull, args=(contract, since, known), name=f"pull {source}", daemon=True
        )
        state.running.start()

    def _pull(self, contract: Contract, since: str | None, known: frozenset[bytes]) -> None:
        from pipelines.database import pull

        try:
            self._pulled.put((contract.name, pull(self.site, contract, since, known, self.asked_to_stop)))
        except Mistake as mistake:
            self._pulled.put((contract.name, mistake))
        except Exception as error:
            what = mask(f"{type(error).__name__}: {error}".splitlines()[0])
            self._pulled.put(
                (contract.name, Mistake(f"source '{contract.name}'", what, "a fault of ours: report it"))
            )

    def take_pulled(self) -> None:
        with suppress(Empty):
            while True:
                source, brought = self._pulled.get_nowait()
                state = self.pulls.setdefault(source, _Pull())
                state.running = None
                error: str | None = None
                try:
                    if isinstance(brought, Mistake):
                        error = str(brought)
                    else:
                        (loaded,) = self._load((), (brought,)) or (None,)
                        if loaded is None or loaded.status != "loaded":
                            error = "stopped" if loaded is None else str(loaded.reason)
                except Mistake as mistake:
                    error = str(mistake)
                self._after_pull(source, state, error)

    def _after_pull(self, source: str, state: _Pull, error: str | None) -> None:
        began = state.began or datetime.now(UTC)
        state.error = error
        if error is None:
            state.failures = 0
            self._ledger.note(f"pull {source}", began)
            return
        state.failures += 1
        wait = min(30 * 2 ** min(state.failures - 1, 10), LONGEST_RETRY_SECONDS)
        self.log.error("pull failed", source=source, what=error, failures=state.failures, again_in=wait)
        self.last_error = (datetime.now(UTC), error)
        for job in self.jobs.get_jobs(f"again {source}"):
            self.jobs.cancel_job(job)

        def again() -> type[schedule.CancelJob]:
            self.safely(f"pull {source}", lambda: self.begin_pull(source))
            return schedule.CancelJob

        self.jobs.every(wait).seconds.do(again).tag(f"again {source}")


# -- when a job is due ----------------------------------------------------------------------------------------


def _scheduled(jobs: schedule.Scheduler, every: str, timezone: str) -> schedule.Job:
    """`10 minutes`, `hour`, `day at 02:30` (in the site's time zone) as `schedule` knows it."""
    found = _parts(every)
    if found["hour"] is not None:
        job: schedule.Job = jobs.every().day.at(f"{found['hour']}:{found['minute']}", timezone)
    else:
        job = jobs.every(int(found["count"] or 1))
        job.unit = f"{found['unit'] or found['one']}s"
    return job


def due_in(every: str, last: datetime | None, now: datetime, timezone: str) -> timedelta | None:
    """How long until a job last run at `last` is due, when that is sooner than `schedule` would have it, which
    counts from now: zero for one that was missed, once, however often. None: as `schedule` has it."""
    found = _parts(every)
    if last is None:
        return timedelta(0)
    if found["hour"] is None:
        period = timedelta(**{f"{found['unit'] or found['one']}s": int(found["count"] or 1)})
        return max(last + period - now, timedelta(0)) if last <= now else None
    zone = ZoneInfo(timezone)
    at = now.astimezone(zone).replace(
        hour=int(found["hour"]), minute=int(found["minute"]), second=0, microsecond=0
    )
    if at > now:
        at -= timedelta(days=1)
    return timedelta(0) if last < at else None


def _parts(every: str) -> Mapping[str, Any]:
    found = EVERY.fullmatch(every)
    if found is None:
        raise Mistake("every", f"'{every}' is no rhythm", "write '10 minutes', 'hour' or 'day at 02:30'")
    return found.groupdict()


class _Ledger:
    """warehouse/jobs.json: when each timed job last ran, so that a loader that was down knows what it missed."""

    def __init__(self, site: Site) -> None:
        self._path = site.warehouse / "jobs.json"

    def last(self, job: str) -> datetime | None:
        try:
            return datetime.fromisoformat(self._read()[job]).astimezone(UTC)
        except (KeyError, ValueError, TypeError):
            return None

    def note(self, job: str, at: datetime) -> None:
        held = self._read() | {job: at.isoformat(timespec="seconds")}
        layout.put(self._path, json.dumps(held, indent=1, sort_keys=True) + "\n")

    def _read(self) -> dict[str, str]:
        try:
            held = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return held if isinstance(held, dict) else {}


def _stamps(*folders: Path) -> dict[Path, Look | None]:
    return {path: _stamp(path) for folder in folders for path in folder.glob("*.toml")}


def _stamp(path: Path) -> Look | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


# -- what others see ------------------------------------------------------------------------------------------


@contextmanager
def _beating(loader: Loader) -> Iterator[None]:
    """Write log/heartbeat.json every few seconds from beside the loader: a long batch is no silence."""
    over = threading.Event()

    def beat() -> None:
        while True:
            with suppress(OSError, RuntimeError):
                write_heartbeat(loader)
            _notify(f"STATUS={loader.doing}")
            if over.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(OSError):
            write_heartbeat(loader)


def write_heartbeat(loader: Loader) -> None:
    """log/heartbeat.json: what the loader does and since when, what waits, what failed and why."""

    def iso(moment: datetime) -> str:
        return moment.isoformat(timespec="seconds")

    waiting_now = [
        path for path in list(loader.last_look) if loader.done.get(path) != loader.last_look.get(path)
    ]
    beat = {
        "pid": os.getpid(),
        "started": iso(loader.started),
        "at": iso(datetime.now(UTC)),
        "doing": loader.doing,
        "doing_since": iso(loader.since),
        "waiting": len(waiting_now),
        "failed": {path.name: failure[2] for path, failure in list(loader.failed.items())},
        "folders": loader.folders,
        "last_file": loader.last_file,
        "last_error": loader.last_error and {"at": iso(loader.last_error[0]), "what": loader.last_error[1]},
        "contracts": loader.contract_mistake,
        "site": loader.site_note,
        "pulls": {
            name: {"began": pull.began and iso(pull.began), "failures": pull.failures, "error": pull.error}
            for name, pull in list(loader.pulls.items())
        },
    }
    path = heartbeat_file(loader.site)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(beat, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace")
    fresh.replace(path)


def loader_lines(site: Site) -> list[str]:
    """What `nerve status` says of the site's loader: whether it runs, what it does, what is wrong."""
    pid = loader_pid(site)
    if pid is None:
        return ["loader: not running (start it: nerve run)"]
    try:
        beat: dict[str, Any] = json.loads(heartbeat_file(site).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        beat = {}
    if beat.get("pid") != pid:
        return [f"loader: process {pid} works on this site"]
    silent = datetime.now(UTC) - datetime.fromisoformat(beat["at"])
    lines = [
        f"loader: process {pid}, {beat['doing']} since {beat['doing_since']}; {beat['waiting']} files wait"
    ]
    if silent > timedelta(seconds=30 * BEAT_SECONDS):
        lines.append(
            f"loader: no heartbeat for {round(silent.total_seconds())} s: see {site.log / 'loader.log'}"
        )
    if beat["contracts"]:
        lines.append(f"contracts: {beat['contracts']}; the old ones stay in force")
    if beat["site"]:
        lines.append(f"site.toml: {beat['site']}")
    lines += [f"failed: {name}: {reason}" for name, reason in beat["failed"].items()]
    lines += [f"folder in the inbox, not loaded: {name}" for name in beat["folders"]]
    lines += [
        f"database of '{name}': {pull['error']} (failed {pull['failures']} times)"
        for name, pull in beat["pulls"].items()
        if pull["error"]
    ]
    if beat["last_error"]:
        lines.append(f"last error: {beat['last_error']['at']}: {beat['last_error']['what']}")
    return lines


def _notify(state: str) -> None:
    """Tell systemd how we fare (sd_notify), where it asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


@dataclass
class _Asked:
    """Plain flags, no Events: an Event's lock, taken in a handler while the same thread holds it, would never
    come free."""

    stop: bool = False
    reload: bool = False


@contextmanager
def _signals() -> Iterator[_Asked]:
    """SIGTERM and SIGINT end the loop after the file at hand, SIGHUP reloads. Only the main thread may ask."""
    asked = _Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def take(number: int, _: object) -> None:
        if number == signal.SIGHUP:
            asked.reload = True
        else:
            asked.stop = True

    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, take) for number in wanted}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
