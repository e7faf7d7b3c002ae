"""The loader as a process: it watches the inbox, loads what has settled, and keeps its warehouse in shape."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import schedule
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.contract import Contract, contracts
from pipelines.load import Loaded, Progress, load_once, waiting
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Store

SWEEP_SECONDS = 0.3
"""A file is taken when two sweeps in a row see the same size and time."""
HEARTBEAT_SECONDS = 5
FOLD_MINUTES = 10
COLLECT_MINUTES = 5
"""A version is some 5 MB and a busy inbox makes one every two seconds: two gigabytes lie there at the most."""
KEPT_FOR = timedelta(minutes=5)
"""Longer than any page or print takes."""
IDLE_SECONDS = 30
"""Maintenance waits until nothing has been loaded for so long."""
RETRY_SECONDS = 60
"""A file that failed by a fault of ours is tried again after so long, or when it changes."""
_VERSION = re.compile(r"\bv[0-9]{6,}\b")


@contextmanager
def only_loader(site: Site) -> Iterator[None]:
    """Hold the site's loader lock. Raises Mistake naming the process that has it."""
    path = site.warehouse / "loader.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise Mistake(
                str(path),
                f"a loader is running already (process {pid})",
                f"drop files into {site.inbox}, or stop it: kill {pid}",
            ) from error
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@contextmanager
def logger(site: Site) -> Iterator[FilteringBoundLogger]:
    """JSON lines to log/loader.log: file names, counts and headings, never cells."""
    site.log.mkdir(parents=True, exist_ok=True)
    with (site.log / "loader.log").open("a", encoding="utf-8") as file:
        yield structlog.wrap_logger(
            structlog.WriteLogger(file),
            wrapper_class=structlog.make_filtering_bound_logger("info"),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )


def load(site: Site, progress: Progress | None = None) -> list[Loaded]:
    """Load what waits in the inbox, once, and publish. Raises Mistake (another loader, a wrong contract)."""
    known = contracts(site)
    site.inbox.mkdir(parents=True, exist_ok=True)
    with only_loader(site), logger(site) as log, Store.open(site) as store:
        return load_once(site, store, progress, log=log, known=known)


def run(site: Site, stop: threading.Event | None = None) -> None:
    """Load until `stop` is set or the process gets SIGTERM or SIGINT. Raises Mistake at the start only."""
    stop = stop or threading.Event()
    known = contracts(site)
    site.inbox.mkdir(parents=True, exist_ok=True)
    with only_loader(site), logger(site) as log, Store.open(site) as store, _signals() as asked:
        log.info("started", pid=os.getpid(), inbox=str(site.inbox))
        loader = _Loader(site, store, log, known)
        jobs = loader.jobs()
        loader.heartbeat()
        while not (stop.is_set() or asked):
            _safely(log, "sweep", loader.sweep)
            _safely(log, "jobs", jobs.run_pending)
            stop.wait(SWEEP_SECONDS)
        log.info("stopped", pid=os.getpid())


@dataclass
class _Loader:
    site: Site
    store: Store
    log: FilteringBoundLogger
    known: dict[str, Contract]
    last_look: dict[Path, tuple[int, int]] = field(default_factory=dict)
    failed: dict[Path, tuple[tuple[int, int], float]] = field(default_factory=dict)
    last_load: float = field(default_factory=monotonic)
    last_file: str | None = None

    def sweep(self) -> None:
        look = waiting(self.site)
        settled = [
            path
            for path, seen in look.items()
            if self.last_look.get(path) == seen and not self._hopeless(path, seen)
        ]
        self.last_look = look
        if not settled:
            return
        loaded = load_once(self.site, self.store, files=settled, log=self.log, known=self.known)
        for path, result in ((self.site.inbox / result.file, result) for result in loaded):
            if result.status == "failed":
                self.failed[path] = (look[path], monotonic())
            else:
                self.failed.pop(path, None)
                self.last_file = result.file
        self.last_load = monotonic()

    def _hopeless(self, path: Path, seen: tuple[int, int]) -> bool:
        before = self.failed.get(path)
        return before is not None and before[0] == seen and monotonic() - before[1] < RETRY_SECONDS

    def jobs(self) -> schedule.Scheduler:
        """The timed jobs. Each is wrapped: an exception would leave its `next_run` where it was, for ever."""
        jobs = schedule.Scheduler()
        jobs.every(HEARTBEAT_SECONDS).seconds.do(_safely, self.log, "heartbeat", self.heartbeat)
        jobs.every(FOLD_MINUTES).minutes.do(_safely, self.log, "fold", self.fold)
        jobs.every(COLLECT_MINUTES).minutes.do(_safely, self.log, "collect", self.collect)
        return jobs

    def heartbeat(self) -> None:
        """log/heartbeat.json: that the loader lives, and how many files wait."""
        beat = {
            "pid": os.getpid(),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "waiting": len(self.last_look),
            "failed": len([path for path in self.failed if path in self.last_look]),
            "last_file": self.last_file,
        }
        path = self.site.log / "heartbeat.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(beat, ensure_ascii=False) + "\n", encoding="utf-8")
        fresh.replace(path)

    def fold(self) -> None:
        if monotonic() - self.last_load < IDLE_SECONDS:
            return
        version = self.store.fold()
        self.log.info("folded", version=version)

    def collect(self) -> None:
        removed = self.store.collect(_versions_of_reports(self.site), age=KEPT_FOR)
        if removed:
            self.log.info("collected", versions=list(removed))


def _versions_of_reports(site: Site) -> set[str]:
    """Versions that a registered report names: they are kept as long as the report is."""
    if not site.reports.is_dir():
        return set()
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in site.reports.rglob("*.json*"))
    return {version for text in texts for version in _VERSION.findall(text)}


def _safely(log: FilteringBoundLogger, name: str, job: Callable[[], object]) -> None:
    """Run a job; what it raises is logged and never ends the loop."""
    try:
        job()
    except Exception:
        log.exception("job failed", job=name)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The list takes in SIGTERM and SIGINT, so that the loop ends after the file at hand.

    Not an Event: its lock, taken in a handler while the same thread holds it, would never come free.
    Only the main thread may ask for signals.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    wanted = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda got, _: asked.append(got)) for number in wanted}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
