"""Files that arrive after the first version: corrections, moves, late and stale rows, ties, and one taken back.

Marts follow them by differences and records by deltas; the independent calculation starts over each time.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.load import Loaded, load_once
from tests.oracle import BY_TOWNSHIP, BY_VILLAGE, Answer, Oracle, Row, in_use
from tests.test_figures import ODD, RUNNING, YEAR, Key, compare, measures
from warehouse.period import Period
from warehouse.query import cells
from warehouse.site import Site, load_site
from warehouse.store import Store
from warehouse.version import current

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
CUTOFF = datetime(2026, 3, 10, 12)
PERIODS = (YEAR, ODD, RUNNING, Period(date(2025, 7, 1), date(2025, 7, 31)))


@dataclass
class Desk:
    """A copy of the small site, open for loading."""

    site: Site
    store: Store
    home: str
    later: list[str] = field(default_factory=list)

    def load(self) -> list[Loaded]:
        loaded = load_once(self.site, self.store)
        self.later += [one.file for one in loaded]
        return loaded

    def oracle(self) -> Oracle:
        return Oracle(self.site.folder, later=self.later)

    def check(self, oracle: Oracle) -> None:
        """Every measure, at the county, a township, a village and the places of the changed records."""
        version = current(self.site)
        township, village = (
            oracle.below_scope(self.home, "township")[0],
            oracle.below_scope(self.home, "village")[3],
        )
        for scope in (self.home, township, village):
            names = [n for n in measures() if scope != village or n not in BY_TOWNSHIP]
            answers: dict[Key, Answer] = {
                (name, scope, period, None): oracle.answer(name, scope, period.start, period.end)
                for name in names
                for period in PERIODS
            }
            compare(cells(version, scope, names, PERIODS), answers)
        for source in version.sources:
            account = oracle.accounts[source.name]
            assert (source.read, source.kept, source.quarantined) == (
                account.read,
                account.kept,
                account.quarantined,
            )
            assert dict(source.reasons) == account.reasons
        earlier: dict[Key, Answer] = {
            (name, self.home, period, None): oracle.answer(name, self.home, period.start, period.end, CUTOFF)
            for name in measures()
            for period in PERIODS
        }
        compare(cells(version, self.home, measures(), PERIODS, cutoff=CUTOFF), earlier)
        for level in ("village", "grid"):
            unanswered = BY_TOWNSHIP | (BY_VILLAGE if level == "grid" else frozenset())
            names = [n for n in measures() if n.partition(":")[0] not in unanswered]
            found = cells(version, self.home, names, [YEAR], by=level)
            # A place that was not in use is answered only where it has records all the same.
            named = {cell.place for cell in found}
            answers = {
                (name, code, YEAR, None): answer
                for name in names
                for code, answer in oracle.by_level(name, self.home, YEAR.start, YEAR.end, level).items()
                if code in named or in_use(oracle.places[code], YEAR.start, YEAR.end)
            }
            compare(found, answers)


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

    def change(dataset: str, file: str, step: int, **changes: Any) -> None:
        rows: list[Row] = []
        for number, row in enumerate(oracle.records[dataset][::step]):
            new = row | {"updated_at": row["updated_at"] + HOUR}
            for name, make in changes.items():
                new[name] = make(number, row)
            rows.append(new)
        out[file] = rows

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


def on_the_edge(oracle: Oracle) -> dict[str, list[Row]]:
    """File name → rows: records at the very limit of a definition, and one step beyond."""
    return {
        "事件_9边界.csv": _edge_cases(oracle),
        "信访边界.csv": _edge_petitions(oracle),
        "接警_9边界.ndjson": _variants(
            oracle.records["responses"],
            lambda row: {"arrived_at": row["alarm_at"] + timedelta(minutes=15), "controlled_at": None},
            lambda row: {
                "arrived_at": row["alarm_at"] + timedelta(minutes=15, seconds=1),
                "controlled_at": None,
            },
            lambda row: {"dispatched_at": None, "arrived_at": None, "controlled_at": None},
        ),
        "work_items_9.csv": _edge_items(oracle),
        "巡逻_9边界.csv": _variants(
            oracle.records["patrols"],
            lambda row: {"ended_at": None},
            lambda row: {"started_at": None, "ended_at": None},
            lambda row: {"issues": None},
            lambda row: {"planned_end": oracle.now},
            lambda row: {"planned_end": oracle.now + SECOND},
        ),
        "走访_9边界.ndjson": _variants(
            oracle.records["visits"][::5],
            lambda row: {"result": "absent"},
            lambda row: {"result": "declined"},
            lambda row: {"result": None},
            lambda row: {"needs_noted": 2, "needs_closed": None},
            lambda row: {"place": oracle.lineage[row["place"]][1]},
        ),
        "places_9.csv": _micro_grids(oracle),
        "走访_9微网格.ndjson": _variants(
            oracle.records["visits"][1::5], lambda row: {"place": f"{row['place']}001", "result": "normal"}
        ),
        "回访_9边界.ndjson": _variants(
            oracle.records["surveys"],
            lambda row: {"rating": 3},
            lambda row: {"rating": 2},
            lambda row: {"rating": None},
            lambda row: {"subject": "case"},
            lambda row: {"kind": "repeat"},
            lambda row: {"kind": None},
        ),
    }


def _variants(rows: Sequence[Row], *makers: Callable[[Row], Row]) -> list[Row]:
    """The rows, each changed by one of the makers in turn and updated an hour later."""
    changed = ((row, makers[number % len(makers)]) for number, row in enumerate(rows))
    return [row | make(row) | {"updated_at": row["updated_at"] + HOUR} for row, make in changed]


def _micro_grids(oracle: Oracle) -> list[Row]:
    """A micro-grid below every grid."""
    below = {"level": "micro_grid", "households": None, "households_to_visit": None}
    grids = [row for row in oracle.records["places"] if row["level"] == "grid"]
    return _variants(grids, lambda row: below | {"code": f"{row['code']}001", "parent": row["code"]})


def redrawn(oracle: Oracle) -> list[Row]:
    """Villages and grids that come into use, or fall out of it, in the year."""
    first, second = date(2025, 4, 1), date(2025, 9, 15)
    places = oracle.records["places"]
    return _variants(
        [
            *[row for row in places if row["level"] == "village"][1:5],
            *[row for row in places if row["level"] == "grid"][1:9],
        ],
        lambda row: {"valid_from": first},
        lambda row: {"valid_from": second},
        lambda row: {"valid_to": first},
        lambda row: {"valid_from": date(2024, 1, 1), "valid_to": date(2024, 12, 31)},
    )


def _edge_cases(oracle: Oracle) -> list[Row]:
    now, three = oracle.now, timedelta(days=3)

    def opened(row: Row, **more: Any) -> Row:
        plain = dict.fromkeys(
            ("extended_due_at", "suspended_from", "suspended_to", "closed_at", "cancelled_at")
        )
        return (
            {"status": "handling", "due_at": row["reported_at"] + three, "closed_tier": None} | plain | more
        )

    def closed(row: Row, after_due: timedelta, **more: Any) -> Row:
        done = {
            "status": "closed",
            "closed_tier": "village",
            "closed_at": row["reported_at"] + three + after_due,
        }
        return opened(row) | done | more

    def paused(row: Row, days: int) -> Row:
        start = row["reported_at"] + HOUR
        return {"suspended_from": start, "suspended_to": start + timedelta(days=days)}

    rows = [row for row in oracle.records["cases"] if row["filed_at"] and row["reported_at"].year == 2025]
    return _variants(
        rows[::20],
        lambda row: closed(row, timedelta(0)),
        lambda row: closed(row, SECOND),
        lambda row: closed(row, timedelta(days=2), **paused(row, 2)),
        lambda row: closed(row, timedelta(days=2) + SECOND, **paused(row, 2)),
        lambda row: closed(row, HOUR, extended_due_at=row["reported_at"] + three + HOUR),
        lambda row: closed(row, HOUR, closed_tier=None),
        lambda row: opened(row, status="cancelled"),
        lambda row: closed(row, HOUR, status="cancelled"),
        lambda row: opened(row, cancelled_at=row["reported_at"] + HOUR),
        lambda row: opened(row, suspended_from=row["reported_at"] + HOUR, status="suspended"),
        lambda row: opened(row, status="not_accepted"),
        lambda row: opened(row, due_at=None),
        lambda row: opened(row, due_at=now),
        lambda row: opened(row, due_at=now - SECOND),
        lambda row: opened(row, due_at=now + three),
        lambda row: opened(row, due_at=now + three + SECOND),
        lambda row: opened(row, returned=None, reworked=None),
        lambda row: opened(row, returned=2, reworked=2),
        lambda row: {"place": oracle.lineage[row["place"]][1]},
    )


def _edge_petitions(oracle: Oracle) -> list[Row]:
    def accepted(row: Row, after: timedelta, **more: Any) -> Row:
        start = row["registered_at"]
        plain = {"route": "petition", "received_at": start, "extended_at": None, "replied_at": None}
        return plain | {"accepted_at": start + after} | more

    def replied(row: Row, after: timedelta, **more: Any) -> Row:
        begun = accepted(row, timedelta(days=1))
        return begun | {"replied_at": begun["accepted_at"] + after} | more

    def extended(row: Row) -> datetime:
        start: datetime = row["registered_at"]
        return start + timedelta(days=50)

    old = [
        row for row in oracle.records["petitions"] if row["registered_at"] < oracle.now - timedelta(days=220)
    ]
    out = _variants(
        old[::3],
        lambda row: accepted(row, timedelta(days=15)),
        lambda row: accepted(row, timedelta(days=15) + SECOND),
        lambda row: replied(row, timedelta(days=60)),
        lambda row: replied(row, timedelta(days=60) + SECOND),
        lambda row: replied(row, timedelta(days=90), extended_at=extended(row)),
        lambda row: replied(row, timedelta(days=90) + SECOND, extended_at=extended(row)),
        lambda row: accepted(row, HOUR, route="statutory"),
        lambda row: {"matter_key": None, "kind": "first"},
    )
    bare = dict.fromkeys(
        ("forwarded_at", "received_at", "accepted_at", "extended_at", "replied_at", "resolved_at")
    )
    for number, row in enumerate(old[1::9]):
        # A matter that comes again at the end of its window or a second later; and, of every third, a twin
        # registered at the same moment.
        end = row["registered_at"] + timedelta(days=1)
        later = end + oracle.window + SECOND * (number % 2)
        first = (
            row
            | bare
            | {"kind": "first", "matter_key": f"EDGE-{number}", "status": "closed", "closed_at": end}
        )
        again = {
            "petition_id": f"EDGE-{number}-2",
            "registered_at": later,
            "closed_at": None,
            "status": "handling",
        }
        twin = {"petition_id": f"EDGE-{number}-1"}
        out += _variants([first, first | again, *([first | twin] if number % 3 == 0 else [])], lambda one: {})
    return out


def _edge_items(oracle: Oracle) -> list[Row]:
    def item(row: Row, days: int, hours: int | None, **more: Any) -> Row:
        """Due on a day without an hour, done so many hours after its midnight."""
        midnight = row["held_at"].replace(hour=0, minute=0, second=0) + timedelta(days=days)
        done = None if hours is None else midnight + timedelta(hours=hours)
        return {"due_at": midnight, "done_at": done, "status": "handling" if done is None else "done"} | more

    def timed(row: Row, late: timedelta) -> Row:
        return {"due_at": row["held_at"] + HOUR, "done_at": row["held_at"] + HOUR + late, "status": "done"}

    past = [row for row in oracle.records["work_items"] if row["held_at"] < oracle.now - timedelta(days=40)]
    return _variants(
        past,
        lambda row: item(row, 30, 15),
        lambda row: item(row, 30, 24),
        lambda row: item(row, 30, None),
        lambda row: item(row, 30, None, status="cancelled"),
        lambda row: item(row, 30, 15, status="cancelled"),
        lambda row: item(row, (oracle.now.date() - row["held_at"].date()).days, None),
        lambda row: item(row, max(1, (CUTOFF.date() - row["held_at"].date()).days), None),
        lambda row: timed(row, timedelta(0)),
        lambda row: timed(row, SECOND),
    )


def test_records_at_the_limit_of_a_definition_fall_on_the_written_side(desk: Desk) -> None:
    for name, rows in on_the_edge(desk.oracle()).items():
        drop(desk.site, name, rows)
    loaded = desk.load()
    assert [one for one in loaded if one.status != "loaded" or one.quarantined] == []
    desk.check(desk.oracle())


def test_corrections_that_come_later_move_every_figure(desk: Desk) -> None:
    for name, rows in corrected(desk.oracle()).items():
        drop(desk.site, name, rows)
    loaded = desk.load()
    assert [one for one in loaded if one.status != "loaded" or one.quarantined] == []
    assert all(one.changed == one.read for one in loaded), loaded
    desk.check(desk.oracle())
    desk.store.fold()
    desk.check(desk.oracle())


def test_places_count_while_they_are_in_use(desk: Desk) -> None:
    """Records of a day when their place was not in use are refused; months before and after are not due."""
    before = desk.oracle()
    drop(desk.site, "places_9.csv", redrawn(before))
    for name, rows in corrected(before).items():
        drop(desk.site, name, rows)
    assert sum(one.quarantined for one in desk.load()) > 100
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
