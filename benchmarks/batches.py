"""Small batches on a long history: commit → visible. `python -m benchmarks.batches [--seconds 600]`.

A warehouse of cases (the product's own contract, places and measures) is filled, then a batch of 1,000 rows
(200 of them corrections from all of history) comes every second or two while two readers, processes of their
own, ask the current version. Measured is from the start of `apply` to the moment CURRENT names the version.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.timing import CONSOLE, Times, table, verdict
from pipelines.contract import read_contract
from warehouse.dataset import Dataset
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Batch, Store
from warehouse.text import Text
from warehouse.version import current

HISTORIES = (1_000_000, 10_000_000)
SECONDS = 60
CHUNK = 1_000_000
NEW, CORRECTED = 800, 200
EVERY = (0.5, 1.5)
"""Seconds between the end of a batch and the next one."""
READERS = 2
RATIO, P95, STALL = 1.5, 2.0, 3.0

_SOURCES = Path(__file__).parents[1] / "pipelines" / "sources"
_TREE = """
with
    t as (select 'K' || lpad(i::varchar, 2, '0') as code, 'K' as parent from range(24) r(i)),
    v as (select t.code || lpad(i::varchar, 2, '0') as code, t.code as parent from t, range(12) r(i)),
    g as (select v.code || lpad(i::varchar, 2, '0') as code, v.code as parent from v, range(3) r(i))
select *, row_number() over () as _row,
from (
    select 'K' as code, null as parent, 'county' as level
    union all select *, 'township' from t
    union all select *, 'village' from v
    union all select *, 'grid' from g
)
"""
"""A county of 24 townships, 288 villages and 864 grids."""
_CASES = """
with
    numbered as (
        select i from range($first, $first + $new) r(i)
        union all
        -- Each correction of another case.
        select distinct hash(i * 7919 + $batch) % greatest($first, 1) from range($corrected) r(i)
    ),
    dated as (select i, timestamp '2023-07-01' + to_seconds((hash(i) % 94608000)::bigint) as reported from numbered)
select
    'AJ' || lpad(i::varchar, 12, '0') as case_id,
    format('K{:02d}{:02d}{:02d}', hash(i + 1) % 24, hash(i + 2) % 12, hash(i + 3) % 3) as place,
    ['upkeep', 'safety', 'environment', 'disputes', 'livelihood'][1 + (hash(i + 4) % 5)::int] as category,
    ['hotline', 'grid_worker', 'online', 'patrol'][1 + (hash(i + 5) % 4)::int] as channel,
    'unit ' || hash(i + 6) % 40 as unit,
    'closed' as status,
    reported as reported_at,
    reported + interval 1 hour as filed_at,
    reported + interval 2 hour as dispatched_at,
    reported + interval 5 day as due_at,
    reported + to_hours((1 + hash(i + 7 + $batch) % 200)::int) as closed_at,
    'village' as closed_tier,
    (hash(i + 8) % 10 = 0)::bigint as returned,
    0::bigint as reworked,
    timestamp '2026-07-01' + to_seconds($batch) as updated_at,
    row_number() over () as _row,
from dated
"""


@dataclass
class Ran:
    """Seconds of a run on one history. `visible`: from the start of apply until CURRENT names the version."""

    history: int
    filled: float = 0.0
    applied: Times = field(default_factory=Times)
    visible: Times = field(default_factory=Times)
    reads: Times = field(default_factory=Times)
    opened: Times = field(default_factory=Times)
    faults: list[str] = field(default_factory=list)


def measure(folder: Path, history: int, seconds: float) -> Ran:
    """Fill a warehouse below `folder` with `history` cases, then load small batches for so long."""
    site = Site(folder=folder, name=Text(zh="批次", en="Batches"), home="K")
    ran = Ran(history)
    with Store.open(site) as store:
        began = time.perf_counter()
        _prepare(store, _TREE, {})
        _take(store, "places", "places")
        for first in range(0, history, CHUNK):
            _prepare(store, _CASES, _numbers(first, min(CHUNK, history - first), 0, first // CHUNK))
            _take(store, "cases", f"history {first}")
        store.publish()
        store.fold()
        # Else the batches wait for the disk to take in the history.
        os.sync()
        ran.filled = time.perf_counter() - began
        chance = random.Random(history)
        with ExitStack() as stack:
            readers = [stack.enter_context(_reader(folder)) for _ in range(READERS)]
            for reader in readers:
                assert reader.stdout is not None
                reader.stdout.readline()
            number, due = 0, time.monotonic() + seconds
            while time.monotonic() < due:
                _prepare(store, _CASES, _numbers(history + number * NEW, NEW, CORRECTED, 1000 + number))
                began = time.perf_counter()
                _take(store, "cases", f"batch {number}")
                ran.applied.seconds.append(time.perf_counter() - began)
                store.publish()
                ran.visible.seconds.append(time.perf_counter() - began)
                number += 1
                if number % 100 == 0:
                    store.collect(set())
                time.sleep(chance.uniform(*EVERY))
            for reader in readers:
                reader.send_signal(signal.SIGTERM)
                assert reader.stdout is not None
                seen = json.loads(reader.stdout.readline())
                ran.reads.seconds += seen["reads"]
                ran.opened.seconds += seen["opened"]
                ran.faults += seen["faults"]
        ((held,),) = store.connection.execute("select count(*) from rec_cases").fetchall()
        if held != history + number * NEW:
            raise Mistake("benchmark", f"{held} cases, not {history + number * NEW}", "look into the store")
    return ran


def _dataset(name: str) -> Dataset:
    dataset = read_contract(_SOURCES / f"{name}.toml").dataset
    return dataset.model_copy(update={"mapped": tuple(one.name for one in dataset.fields)})


def _numbers(first: int, new: int, corrected: int, batch: int) -> dict[str, int]:
    return {"first": first, "new": new, "corrected": corrected, "batch": batch}


def _prepare(store: Store, sql: str, bound: dict[str, int]) -> None:
    """Make the tables that reading and checking a file leaves."""
    store.connection.execute(f"create or replace temp table good as {sql}", bound)
    store.connection.execute(
        "create or replace temp table bad (row bigint, line bigint, raw varchar, reasons varchar[])"
    )


def _take(store: Store, name: str, file: str) -> None:
    dataset = _dataset(name)
    ((rows,),) = store.connection.execute("select count(*) from good").fetchall()
    store.apply(Batch(name, dataset.label, dataset, file, file, rows, "good", "bad", None, 24))


def _reader(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.batches", "--reader", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )


def _read(folder: Path) -> None:
    """Ask the current version as pages do, four times a second, until SIGTERM; then print what it took."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    site = Site(folder=folder, name=Text(zh="批次", en="Batches"), home="K")
    times: dict[str, list[float]] = {"reads": [], "opened": []}
    faults: list[str] = []
    print("reading", flush=True)
    while not ended:
        try:
            began = time.perf_counter()
            version = current(site)
            times["opened"].append(time.perf_counter() - began)
            began = time.perf_counter()
            ((reported,),) = version.rows("select sum(cases_reported__n)::bigint from cases_month")
            version.rows(
                "select place, sum(closing_rate__n), sum(closing_rate__d) from cases_day group by place"
            )
            version.rows("select * from cases where place = 'K010101' order by reported_at desc limit 20")
            times["reads"].append(time.perf_counter() - began)
            (kept,) = (source.kept for source in version.sources if source.name == "cases")
            if reported > kept:
                faults.append(f"{version.id}: {reported} cases counted of {kept} rows kept")
        except Mistake as mistake:
            faults.append(str(mistake))
        time.sleep(0.25)
    print(json.dumps({**times, "faults": faults}), flush=True)


def run(histories: tuple[int, ...] = HISTORIES, seconds: float = SECONDS) -> None:
    """Print commit → visible on each history, and whether the targets are met."""
    rans = []
    for history in histories:
        CONSOLE.print(f"batches: {history:,} cases, {seconds:.0f} s", style="dim")
        with tempfile.TemporaryDirectory(prefix="nerve-batches-") as name:
            rans.append(measure(Path(name), history, seconds))
    table(
        f"Batches of {NEW + CORRECTED:,} rows ({CORRECTED} corrections) with {READERS} readers: seconds",
        ("history", "batches", "commit p50", "p95", "visible p50", "p95", "max", "page p50", "p95", "faults"),
        [
            (
                f"{ran.history:,}", f"{len(ran.visible.seconds):,}", f"{ran.applied.median:.2f}",
                f"{ran.applied.p95:.2f}", f"{ran.visible.median:.2f}", f"{ran.visible.p95:.2f}",
                f"{ran.visible.slowest:.2f}", f"{ran.reads.median:.2f}", f"{ran.reads.p95:.2f}",
                f"{len(ran.faults)}",
            )
            for ran in rans
        ],
        tuple(
            f"{ran.history:,}: filled in {ran.filled:.0f} s; a version is opened in {ran.opened.p95:.2f} s (p95)."
            for ran in rans
        ),
    )  # fmt: skip
    longest = rans[-1]
    CONSOLE.print(verdict("p95 from apply to visible", longest.visible.p95, P95, " s"))
    CONSOLE.print(verdict("longest", longest.visible.slowest, STALL, " s"))
    if len(rans) > 1:
        ratio = longest.visible.median / rans[0].visible.median
        CONSOLE.print(
            verdict(f"{longest.history:,} over {rans[0].history:,} rows of history", ratio, RATIO, "×")
        )
    for fault in [fault for ran in rans for fault in ran.faults][:5]:
        CONSOLE.print(fault)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of batches on each history")
    parser.add_argument("--rows", type=int, action="append", help="rows of history; may be given again")
    parser.add_argument("--reader", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.reader is not None:
        _read(asked.reader)
    else:
        run(tuple(asked.rows or HISTORIES), asked.seconds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
