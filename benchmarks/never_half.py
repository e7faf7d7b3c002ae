"""Kill -9 at any moment: is anything lost or doubled, and what do readers see? `python -m benchmarks.never_half`.

A child process loads, publishes, folds, collects and undoes without end; it is killed again and again, at random
moments and at exact points (when a certain file appears), and started again. A reader asks the published
version all the while. Both know what the sources held: step b of the endless script makes batch b, so what a
version of batch b has to hold can be counted in plain Python.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NoReturn

from benchmarks.timing import Times, table
from warehouse import layout
from warehouse.dataset import Dataset, Field
from warehouse.layout import Manifest
from warehouse.marts import MartTable, Part
from warehouse.site import Site
from warehouse.store import Batch, Store
from warehouse.text import Text
from warehouse.version import current

MOMENTS = 200
SEED = 5
PHASES = ("load", "publish", "fold", "collect", "undo")
SAID = 9
LONGEST = 0.1
"""A random kill comes when the child has begun up to SAID more things, and up to LONGEST seconds later."""
POINTS: tuple[tuple[str, str, bool], ...] = (
    ("a version's folder is made", "versions/*", True),
    ("marts are written", "versions/*/marts.duckdb.wal", True),
    ("a delta is written", "records/cases/*-delta.parquet", True),
    ("a base is written", "records/cases/*-base.parquet", True),
    ("the manifest is about to be put", "versions/*/manifest.new", True),
    ("the manifest is put, CURRENT is not", "versions/*/manifest.json", True),
    ("CURRENT is about to move", "CURRENT.new", True),
    ("the loader's file was checkpointed", "loader.duckdb.wal", False),
    ("a version is being removed", "versions/*/manifest.json", False),
    ("record files are being removed", "records/cases/*", False),
)
"""What is being done when a path that matches comes (or goes) below the warehouse folder."""
KEPT_FOR = timedelta(seconds=5)

_LABEL = Text(zh="案件", en="cases")
_TYPES = {"id": "code", "place": "code", "reported": "time", "updated": "time"}
CASES = Dataset.model_validate(
    {
        "name": "cases",
        "label": _LABEL,
        "born": "reported",
        "fields": [
            Field.model_validate({"name": name, "type": kind, "role": role, "label": _LABEL})
            for (name, kind), role in zip(_TYPES.items(), ("key", "place", "event", "updated"), strict=True)
        ],
        "mapped": tuple(_TYPES),
    }
)
MART = MartTable(
    name="cases",
    model=False,
    reads=("cases",),
    place="place",
    columns=(("reported__n", "bigint"),),
    parts=(Part("reported", "reported", 0, (("reported__n", "1"),)),),
    lets=(),
    column_of={},
)
START = datetime(2024, 1, 1)  # noqa: DTZ001 - the site's own time


@dataclass(frozen=True)
class Row:
    id: str
    place: str
    updated: int
    gone: bool


@dataclass(frozen=True)
class Step:
    """One batch: rows to load, or the batch to undo."""

    rows: tuple[Row, ...]
    undoes: int | None


@cache
def script() -> tuple[Step, ...]:
    """What the child does, step by step; step b makes batch b."""
    chance = random.Random(SEED)
    steps: list[Step] = []
    standing: list[int] = []
    for number in range(1, 20_000):
        if number % 6 == 0:
            picked = standing.pop(chance.randrange(len(standing)))
            steps.append(Step((), picked))
            continue
        rows = [Row(f"n{number}", f"G{number % 9}", 0, False)]
        rows += [
            # Corrections of a few keys over and over, in no order of time, some of them tombstones.
            Row(f"c{chance.randrange(9)}", f"G{number % 9}", chance.randrange(1000), chance.random() < 0.1)
            for _ in range(2)
        ]
        steps.append(Step(tuple(rows), None))
        standing.append(number)
    return tuple(steps)


@cache
def expected(batch: int) -> frozenset[tuple[str, str]]:
    """(id, place) of the records after so many steps, counted from what the sources held."""
    steps = script()[:batch]
    undone = {step.undoes for step in steps}
    best: dict[str, tuple[tuple[int, int, int], Row]] = {}
    for number, step in enumerate(steps, start=1):
        for at, row in enumerate(step.rows if number not in undone else ()):
            rank = (row.updated, number, at)
            if row.id not in best or best[row.id][0] < rank:
                best[row.id] = (rank, row)
    return frozenset((row.id, row.place) for _, row in best.values() if not row.gone)


def fault_of(manifest: Manifest, held: frozenset[tuple[str, str]], counted: int) -> str | None:
    """What a version says that is not so: its records, its mart, its account, against its own batch."""
    steps = script()[: manifest.batch]
    undone = {step.undoes for step in steps}
    loads = [step for number, step in enumerate(steps, 1) if step.rows and number not in undone]
    (source,) = manifest.sources
    account = (source.files, source.read, source.kept, source.quarantined)
    kept = sum(len(step.rows) for step in loads)
    right = expected(manifest.batch)
    if held != right:
        return f"{manifest.id}: lost {sorted(right - held)[:5]}, too many {sorted(held - right)[:5]}"
    if counted != len(right):
        return f"{manifest.id}: the mart counts {counted} of {len(right)} records"
    if account != (len(loads), kept + len(loads), kept, len(loads)):
        return f"{manifest.id}: account {account}, but {len(loads)} files with {kept} rows and a bad one each"
    return None


# -- the child ------------------------------------------------------------------------------------------------


def site_of(folder: Path) -> Site:
    return Site(folder=folder, name=_LABEL, home="K", as_of=datetime(2024, 7, 1))  # noqa: DTZ001 - the site's


def work(folder: Path, say: Callable[[str], None]) -> None:
    """Go on with the script where the last child was killed, until a file `stop` is there."""
    site = site_of(folder)
    with Store.open(site, marts=[MART], models=[]) as store:
        _nothing_lost(store)
        say("ready")
        say("publish")
        store.publish()
        done = len(store.batches(last=None))
        for number, step in enumerate(script()[done:], start=done + 1):
            if step.undoes is None:
                say("load")
                load(store, step, number)
            else:
                say("undo")
                store.undo(step.undoes)
            say("publish")
            store.publish()
            if number % 5 == 0:
                say("fold")
                store.fold()
            if number % 4 == 0:
                say("collect")
                store.collect(set(), age=KEPT_FOR, last=3)
            if (folder / "stop").exists():
                return


def load(store: Store, step: Step, number: int) -> None:
    """One file of the script: its rows, and a bad one."""
    run = store.connection.execute
    run(
        "create or replace temp table good (id varchar, place varchar, reported timestamp, updated timestamp,"
        " _deleted boolean, _row bigint)"
    )
    for at, row in enumerate(step.rows, start=1):
        moment = START + timedelta(hours=row.updated)
        run("insert into good values (?, ?, ?, ?, ?, ?)", [row.id, row.place, START, moment, row.gone, at])
    run(
        "create or replace temp table bad as select 9::bigint as row, 9::bigint as line, 'x' as raw, ['y'] as reasons"
    )
    name, rows = f"{number}.csv", len(step.rows) + 1
    store.apply(Batch("cases", _LABEL, CASES, name, str(number), rows, "good", "bad", None, 24))


def _nothing_lost(store: Store) -> None:
    """Raises AssertionError when the database, as found, is not what some number of whole steps makes, or a
    leftover of the last child lies about."""
    done = store.batches(last=None)
    steps = script()[: len(done)]
    assert [account.batch for account in done] == list(range(len(done), 0, -1)), "batches are missing"
    if not done:
        return
    run = store.connection.execute
    held = frozenset(run("select id, place from rec_cases").fetchall())
    assert held == expected(len(done)), f"after batch {len(done)}: {sorted(held ^ expected(len(done)))[:5]}"
    assert len(held) == run("select count(*) from rec_cases").fetchall()[0][0], "a record is there twice"
    # Every row of every file is held once; copies that an undo made apart.
    (images,) = run(
        "select count(*) from (select _batch from rec_cases union all select _batch from gone_cases"
        " union all select _batch from past_cases) i join batches b on b.batch = i._batch where b.undoes is null"
    ).fetchone() or (0,)
    assert images == sum(len(step.rows) for step in steps), f"{images} images"
    warehouse = store.site.warehouse
    stray = [str(path) for path in warehouse.rglob("*.new")]
    stray += [v for v in layout.version_ids(store.site) if not layout.manifest(store.site, v).exists()]
    used = {
        name for v in layout.version_ids(store.site) for name in layout.read_manifest(store.site, v).files
    }
    stray += [
        str(path)
        for path in itertools.chain(warehouse.glob("records/*/*"), warehouse.glob("versions/*/*.duckdb*"))
        if str(path.relative_to(warehouse)) not in used
    ]
    stray += [str(path) for path in store.site.temp.glob("*")]
    assert not stray, f"leftovers: {stray}"


def watch(folder: Path) -> None:
    """Ask the current version again and again until a file `stop` is there; write what was seen to `seen.json`."""
    site = site_of(folder)
    reads, versions, faults = 0, set[str](), list[str]()
    while not (folder / "stop").exists():
        try:
            version = current(site)
            manifest = layout.read_manifest(site, version.id)
            held = frozenset(version.rows("select id, place from cases"))
            ((counted,),) = version.rows("select sum(reported__n)::bigint from cases_month")
            fault = fault_of(manifest, held, counted)
            versions.add(version.id)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        if fault is not None:
            faults.append(fault)
        reads += 1
    seen = {"reads": reads, "versions": len(versions), "faults": faults}
    (folder / "seen.json").write_text(json.dumps(seen), encoding="utf-8")


def nursery(news: int) -> NoReturn:
    """Fork a child for every line `work FOLDER` or `watch FOLDER` of standard input and print its process id; for
    `ended FOLDER` wait for the last worker and print how it ended. One import of everything, however many are
    killed.

    `news`: where the workers write what they are at, a line each.
    """
    worker = 0
    for line in sys.stdin:
        what, folder = line.split()
        if what == "ended":
            print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
            continue
        child = os.fork()
        if child == 0:
            try:
                if what == "work":
                    work(Path(folder), lambda phase: _say(news, phase))
                else:
                    watch(Path(folder))
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        worker = child if what == "work" else worker
        print(child, flush=True)
    sys.exit(0)


def _say(news: int, phase: str) -> None:
    os.write(news, f"{phase}\n".encode())


# -- the killer -----------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What came of it. `phases`: kills by what the child was at; `points`: kills at exact points, and how many of
    them were met. `recovered`: seconds from a start to records checked. `faults` should be empty."""

    phases: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    recovered: list[float] = field(default_factory=list)
    batches: int = 0
    reads: int = 0
    versions: int = 0
    faults: list[str] = field(default_factory=list)


def endure(folder: Path, moments: int, points: int, seed: int = SEED) -> Report:
    """Kill a child `moments` times at random and `points` times at exact points, in `folder`; what came of it."""
    chance = random.Random(seed)
    report = Report()
    hows: list[tuple[str, str, bool] | None] = [None] * moments + [
        POINTS[n % len(POINTS)] for n in range(points)
    ]
    chance.shuffle(hows)
    with _nursery(folder) as (nurse, news):
        for number, how in enumerate(hows):
            began = time.monotonic()
            child = nurse("work")
            if not news.until("ready"):
                break
            report.recovered.append(time.monotonic() - began)
            if number == 0:
                news.until("load", times=2)
                nurse("watch")
            if how is None:
                news.follow(chance.randrange(SAID))
                news.read(chance.uniform(0, LONGEST))
            elif _changes(site_of(folder).warehouse, how[1], how[2], news):
                report.points[how[0]] += 1
            os.kill(child, signal.SIGKILL)
            code = nurse("ended")
            report.phases[news.read(0)] += 1
            if code != -signal.SIGKILL:
                break
        (folder / "stop").touch()
        nurse("work")
        code = nurse("ended")
    if code != 0:
        report.faults.append((folder / "errors").read_text(encoding="utf-8"))
        return report
    seen = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
    report.reads, report.versions = seen["reads"], seen["versions"]
    report.faults += seen["faults"]
    with Store.open(site_of(folder), marts=[MART], models=[]) as store:
        _nothing_lost(store)
        report.batches = len(store.batches(last=None))
    return report


class _News:
    """What the child at hand says it is at, read from a pipe."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._last = ""
        os.set_blocking(handle, False)

    def read(self, seconds: float) -> str:
        """Read on for so long; the newest."""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self._handle], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return self._last
            self._last = os.read(self._handle, 1 << 16).decode().split()[-1]

    def until(self, phase: str, times: int = 1) -> bool:
        """Read until the child has said it so often; False when it has not in a minute."""
        return self._wait(times, lambda said: said.count(phase))

    def follow(self, times: int) -> bool:
        """Read until the child has said so much more."""
        return self._wait(times, len)

    def _wait(self, times: int, told: Callable[[list[str]], int]) -> bool:
        end = time.monotonic() + 60
        while times > 0 and select.select([self._handle], [], [], max(0.0, end - time.monotonic()))[0]:
            said = os.read(self._handle, 1 << 16).decode().split()
            self._last = said[-1]
            times -= told(said)
        return times <= 0


@contextmanager
def _nursery(folder: Path) -> Iterator[tuple[Callable[[str], int], _News]]:
    """The nursery's process: a function that has it fork a child and gives its process id ('ended': how the last
    one ended), and what its children say."""
    folder.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.never_half", "--nursery", str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=(writing,),
            cwd=Path(__file__).parents[1],
            text=True,
        )
    os.close(writing)
    assert process.stdin is not None
    assert process.stdout is not None
    asked, answers = process.stdin, process.stdout

    def nurse(what: str) -> int:
        asked.write(f"{what} {folder}\n")
        asked.flush()
        return int(answers.readline())

    try:
        yield nurse, _News(reading)
    finally:
        asked.close()
        # It ends once its last child, the reader, has: that holds the same pipe.
        answers.read()
        process.wait()
        answers.close()
        os.close(reading)


def _changes(warehouse: Path, pattern: str, comes: bool, news: _News) -> bool:
    """Wait until a path that matches comes, or goes; False when none did in a minute."""
    before = set(warehouse.glob(pattern))
    end = time.monotonic() + 60
    while time.monotonic() < end:
        now = set(warehouse.glob(pattern))
        if now - before if comes else before - now:
            return True
        before = now
        news.read(0)
    return False


def run(moments: int = MOMENTS, points: int = 40, seed: int = SEED) -> Report:
    """Print what came of so many kills."""
    with tempfile.TemporaryDirectory(prefix="nerve-kills-") as name:
        report = endure(Path(name), moments, points, seed)
    recovered = Times(report.recovered)
    lines = [(phase, str(report.phases[phase])) for phase in sorted(report.phases)]
    lines += [(f"at the point: {name}", str(count)) for name, count in sorted(report.points.items())]
    table(
        f"{len(report.recovered)} kills at random moments and exact points",
        ("the child was at", "kills"),
        lines,
        (
            f"{report.batches:,} batches, every row held once.",
            f"{report.reads:,} reads of {report.versions:,} versions; faults: {len(report.faults)}.",
            f"Start to records checked: median {recovered.median:.2f} s, slowest {recovered.slowest:.2f} s.",
            *report.faults[:5],
        ),
    )
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.never_half", description=__doc__)
    parser.add_argument("--moments", type=int, default=MOMENTS, help="kills at random moments")
    parser.add_argument("--points", type=int, default=40, help="kills at exact points")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--nursery", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.nursery is not None:
        nursery(asked.nursery)
    return 1 if run(asked.moments, asked.points, asked.seed).faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
