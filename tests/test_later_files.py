"""Files that arrive after the first version: corrections, moves, late and stale rows, ties, and one taken back.

Marts follow them by differences and records by deltas; the independent calculation starts over each time.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.load import Loaded, load_once
from tests.oracle import BY_VILLAGE, Oracle, Row
from tests.test_figures import ODD, RUNNING, YEAR, Key, compare, measures
from warehouse.period import Period
from warehouse.query import cells
from warehouse.site import Site, load_site
from warehouse.store import Store
from warehouse.version import current

HOUR = timedelta(hours=1)
PERIODS = (YEAR, ODD, RUNNING, Period(date(2025, 7, 1), date(2025, 7, 31)))


@dataclass
class Desk:
    """A copy of the small site, open for loading."""

    site: Site
    store: Store
    home: str

    def load(self) -> list[Loaded]:
        return load_once(self.site, self.store)

    def oracle(self) -> Oracle:
        return Oracle(self.site.folder)

    def check(self, oracle: Oracle) -> None:
        """Every measure, at the county, a township, a village and the places of the changed records."""
        version = current(self.site)
        township, village = (
            oracle.below_scope(self.home, "township")[0],
            oracle.below_scope(self.home, "village")[3],
        )
        for scope in (self.home, township, village):
            answers: dict[Key, Any] = {
                (name, scope, period, None): oracle.answer(name, scope, period.start, period.end)
                for name in measures()
                for period in PERIODS
            }
            compare(cells(version, scope, measures(), PERIODS), answers)
        for level in ("village", "grid"):
            names = [n for n in measures() if level == "village" or n.partition(":")[0] not in BY_VILLAGE]
            answers = {
                (name, code, YEAR, None): answer
                for name in names
                for code, answer in oracle.by_level(name, self.home, YEAR.start, YEAR.end, level).items()
            }
            compare(cells(version, self.home, names, [YEAR], by=level), answers)


@pytest.fixture
def desk(small_site: Site, tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "site"
    shutil.copytree(small_site.folder, folder)
    site = load_site(folder)
    with Store.open(site) as store:
        yield Desk(site, store, site.home)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def drop(site: Site, name: str, rows: Sequence[Row]) -> None:
    """Put records into the inbox under our own field names, as CSV or NDJSON by the file's suffix."""
    path = site.inbox / name
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({key: _text(value) for key, value in row.items()} for row in rows)
        return
    lines = [
        json.dumps({key: _text(value) for key, value in row.items()}, ensure_ascii=False) for row in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def corrected(oracle: Oracle) -> dict[str, list[Row]]:
    """File name → rows: every seventh record moved, dated or classed anew, under a later update time."""
    grids = oracle.below_scope("431122", "grid")
    villages = oracle.below_scope("431122", "village")
    out: dict[str, list[Row]] = {}

    def change(dataset: str, name: str, step: int, **changes: Any) -> None:
        rows: list[Row] = []
        for number, row in enumerate(oracle.records[dataset][::step]):
            new = row | {"updated_at": row["updated_at"] + HOUR}
            for field, make in changes.items():
                new[field] = make(number, row)
            rows.append(new)
        out[name] = rows

    def moved(number: int, row: Row) -> str:
        return grids[number % len(grids)]

    def later(field: str, days: int) -> Any:
        return lambda number, row: (
            None if row[field] is None else min(row[field] + timedelta(days=days), oracle.now)
        )

    change(
        "cases", "事件_9更正.csv", 7, place=moved, closed_at=later("closed_at", 3),
        category=lambda number, row: "other", reworked=lambda number, row: number % 2,
    )  # fmt: skip
    change(
        "petitions", "信访更正.csv", 5, place=moved, matter_key=lambda number, row: f"MK{number % 9}",
        closed_at=later("closed_at", 20), route=lambda number, row: "petition",
    )  # fmt: skip
    change(
        "surveys", "回访_9更正.ndjson", 4, rating=lambda number, row: [None, 1, 3, 5][number % 4], place=moved
    )
    change(
        "visits",
        "走访_9更正.ndjson",
        6,
        place=moved,
        result=lambda number, row: ["normal", "absent"][number % 2],
    )
    change("patrols", "巡逻_9更正.csv", 3, ended_at=lambda number, row: None)
    change("responses", "接警_9更正.ndjson", 2, arrived_at=later("arrived_at", 0), place=moved)
    change("meetings", "meetings_9.csv", 8, place=lambda number, row: villages[number % len(villages)])
    change(
        "work_items",
        "work_items_9.csv",
        3,
        done_at=lambda number, row: None,
        status=lambda number, row: "open",
    )
    return out


def test_corrections_that_come_later_move_every_figure(desk: Desk) -> None:
    for name, rows in corrected(desk.oracle()).items():
        drop(desk.site, name, rows)
    loaded = desk.load()
    assert all(one.status == "loaded" and one.quarantined == 0 for one in loaded), loaded
    assert all(one.changed == one.read for one in loaded), loaded
    desk.check(desk.oracle())
    desk.store.fold()
    desk.check(desk.oracle())


def test_stale_rows_change_nothing_and_a_tie_goes_to_the_later_arrival(desk: Desk) -> None:
    before = desk.oracle()
    rows = [row for row in before.records["cases"] if row["category"] != "suggestion"]
    stale = [row | {"updated_at": row["updated_at"] - HOUR, "category": "other"} for row in rows[:40]]
    tied = [row | {"category": "suggestion"} for row in rows[40:80]]
    drop(desk.site, "事件_9旧.csv", [*stale, *tied])
    (loaded,) = desk.load()
    assert (loaded.stale, loaded.changed, loaded.new) == (40, 40, 0)
    desk.check(desk.oracle())


def test_the_same_content_under_another_name_changes_nothing(desk: Desk) -> None:
    before, version = desk.oracle(), current(desk.site).id
    archived = next(path for path in desk.site.archived.rglob("事件_202505*"))
    shutil.copy(archived, desk.site.inbox / "事件_again.csv")
    (loaded,) = desk.load()
    assert loaded.status == "duplicate"
    assert {s.name: (s.read, s.kept, s.quarantined) for s in current(desk.site).sources if s.files} == {
        name: (a.read, a.kept, a.quarantined) for name, a in before.accounts.items() if a.files
    }
    desk.check(before)
    assert current(desk.site).id >= version


def test_a_batch_taken_back_leaves_every_figure_as_it_was(desk: Desk) -> None:
    before = desk.oracle()
    for name, rows in corrected(before).items():
        drop(desk.site, name, rows)
    desk.load()
    numbers = desk.store.connection.execute("select max(batch) from batches").fetchall()
    last: int = numbers[0][0]
    for batch in range(last - 7, last + 1):
        desk.store.undo(batch)
    desk.store.publish()
    desk.check(before)
