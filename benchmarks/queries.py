"""All queries of the Overview page against the best SQL written by hand over the same marts and records.

Both run in the same version's connection, in turn. Before anything is timed, every cell of ours is compared
with the hand-written number; one that differs ends the run.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.timing import alternate, ms, summed, table, verdict
from dashboard import figures
from dashboard.pages import overview
from dashboard.view import View, view_of
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake, nearest
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Cell, NoData, NotApplicable, Suppressed, Value
from warehouse.site import Site
from warehouse.version import Version, current
from warehouse.viewer import Viewer

SQL = Path(__file__).with_name("overview.sql")
TARGET = 1.5
DAY = timedelta(days=1)

Key = tuple[int | None, str | None]
"""A window's position, and the place or class of a breakdown."""


@dataclass(frozen=True)
class Call:
    """One call of `query` by the page: its arguments by name, and what it was answered."""

    asked: Mapping[str, Any]
    cells: tuple[Cell, ...]

    @property
    def group(self) -> str:
        return group_of(self.cells[0].measure)


@dataclass(frozen=True)
class Statement:
    """What a statement of overview.sql returns, column by column; `key` columns first."""

    keys: tuple[str, ...]
    columns: tuple[str, ...]


STATEMENTS = {
    "cases_marts": Statement(
        ("window", "class"),
        ("reported", "on_time", "closed", "to_close", "dispatched", "filed", "in_village", "in_township", "settled"),
    ),
    "cases_hours": Statement(("window",), ("closed", "hours")),
    "cases_overdue": Statement(("window",), ("overdue",)),
    "cases_categories": Statement(("class",), ("reported",)),
    "petitions_marts": Statement(
        ("window",),
        ("one_time_n", "one_time_d", "repeat_n", "repeat_d", "accepted_n", "accepted_d", "replied_n", "replied_d",
         "satisfied_n", "satisfied_d", "rated_n", "rated_d"),
    ),
    "duties_marts": Statement(
        ("window",), ("visited_n", "visited_d", "patrol_n", "patrol_d", "arrived_n", "arrived_d")
    ),
    "duties_minutes": Statement(("window",), ("arrived", "to_arrive", "controlled", "to_control")),
    "meetings_marts": Statement(
        ("window",), ("done_n", "done_d", "on_time_n", "on_time_d", "held_n", "held_d")
    ),
    "meetings_overdue": Statement(("window",), ("overdue",)),
}  # fmt: skip
"""By name; the first word of a name is its group, and our calls are grouped alike."""

FIGURES: dict[str, tuple[str, str, str]] = {
    "cases_reported": ("cases_marts", "reported", ""),
    "on_time_closing_rate": ("cases_marts", "on_time", "to_close"),
    "closing_rate": ("cases_marts", "closed", "to_close"),
    "dispatch_rate": ("cases_marts", "dispatched", "filed"),
    "settled_in_village": ("cases_marts", "in_village", "settled"),
    "settled_in_township": ("cases_marts", "in_township", "settled"),
    "hours_to_close": ("cases_hours", "closed", "hours"),
    "overdue_open_cases": ("cases_overdue", "overdue", ""),
    "one_time_resolution_rate": ("petitions_marts", "one_time_n", "one_time_d"),
    "repeat_petition_share": ("petitions_marts", "repeat_n", "repeat_d"),
    "timely_acceptance_rate": ("petitions_marts", "accepted_n", "accepted_d"),
    "on_time_reply_rate": ("petitions_marts", "replied_n", "replied_d"),
    "satisfaction_rate": ("petitions_marts", "satisfied_n", "satisfied_d"),
    "rating_participation": ("petitions_marts", "rated_n", "rated_d"),
    "visit_coverage": ("duties_marts", "visited_n", "visited_d"),
    "patrol_completion": ("duties_marts", "patrol_n", "patrol_d"),
    "arrived_in_15_minutes": ("duties_marts", "arrived_n", "arrived_d"),
    "minutes_to_arrive": ("duties_minutes", "arrived", "to_arrive"),
    "minutes_to_control": ("duties_minutes", "controlled", "to_control"),
    "meeting_item_completion": ("meetings_marts", "done_n", "done_d"),
    "items_on_time_rate": ("meetings_marts", "on_time_n", "on_time_d"),
    "meetings_held_rate": ("meetings_marts", "held_n", "held_d"),
    "overdue_items": ("meetings_overdue", "overdue", ""),
}
"""Measure → its statement, the column of its numerator (a count, or how many records a quantile rests on), and
the column of its denominator, or of the quantile itself."""


def group_of(measure: str) -> str:
    """The group a measure is compared in. Raises Mistake for one without a hand-written number."""
    if measure not in FIGURES:
        raise Mistake(
            f"{SQL.name}: measure '{measure}'",
            "no hand-written number",
            "add it there and to benchmarks/queries.py",
        )
    return FIGURES[measure][0].partition("_")[0]


def capture(view: View) -> list[Call]:
    """The calls of `query` that building the Overview page makes, in their order."""
    calls: list[Call] = []
    names = inspect.signature(query)

    def spy(*args: Any, **named: Any) -> list[Cell]:
        cells = query(*args, **named)
        calls.append(Call(names.bind(*args, **named).arguments, tuple(cells)))
        return cells

    with patch.object(figures, "query", spy):
        overview.build(view)
    return calls


def replay(calls: Sequence[Call]) -> None:
    for call in calls:
        query(**call.asked)


class Hand:
    """The hand-written statements, bound to the windows of captured calls."""

    def __init__(self, view: View, calls: Sequence[Call]) -> None:
        self.view = view
        texts = dict(_statements())
        self.bound: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        self.windows: dict[str, dict[Period, int]] = {}
        for call in calls:
            known = self.windows.setdefault(call.group, {})
            for cell in call.cells:
                known.setdefault(cell.period, len(known))
        for name in STATEMENTS:
            group = name.partition("_")[0]
            if group in self.windows:
                values = _values(view, self.windows[group])
                used = set(re.findall(r"\$(\w+)", texts[name]))
                bound = (name, texts[name], {key: value for key, value in values.items() if key in used})
                self.bound.setdefault(group, []).append(bound)

    def run(self, group: str) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of a group's statements, by name."""
        return {name: self.view.version.rows(sql, values) for name, sql, values in self.bound[group]}

    def numbers(self, group: str) -> dict[str, dict[Key, dict[str, float]]]:
        """The same as numbers by statement, key and column."""
        out: dict[str, dict[Key, dict[str, float]]] = {}
        for name, rows in self.run(group).items():
            statement = STATEMENTS[name]
            for row in rows:
                key = dict(zip(statement.keys, row, strict=False))
                values = zip(statement.columns, row[len(statement.keys) :], strict=True)
                at = out.setdefault(name, {}).setdefault((key.get("window"), key.get("class")), {})
                at |= {column: float(value) for column, value in values if value is not None}
        return out


def compare(hand: Hand, calls: Sequence[Call]) -> tuple[int, int]:
    """How many cells are the same, and how many of them we do not show, being figures about people.

    Raises Mistake at the first that differs.
    """
    same = hidden = 0
    numbers = {group: hand.numbers(group) for group in hand.windows}
    for call in calls:
        by = call.asked.get("by")
        for cell in call.cells:
            group = group_of(cell.measure)
            statement, n, d = FIGURES[cell.measure]
            key: Key = (hand.windows[group][cell.period], None)
            if by == "child":
                key = (None, cell.place)
            elif by not in (None, "month"):
                statement, key = "cases_categories", (None, cell.key)
            found = numbers[group].get(statement, {}).get(key, {})
            hidden += isinstance(cell.result, Suppressed | NotApplicable)
            if not _equal(cell, found.get(n, 0), found.get(d) if d else None):
                raise Mistake(
                    f"{SQL.name}: {statement}",
                    f"{found.get(n)} / {found.get(d)} where we have {cell}",
                    "mend one",
                )
            same += 1
    return same, hidden


def _equal(cell: Cell, n: float, other: float | None) -> bool:
    """Whether a cell has the hand-written counts and, for a quantile, value."""
    measure = catalogue().get(cell.measure)
    match cell.result:
        case Value(value=value, n=ours, d=d):
            if measure.kind == "quantile":
                return ours == n and other is not None and math.isclose(value, other, rel_tol=1e-12)
            return ours == n and (d is None or (d == other and math.isclose(value, n / d * measure.scale)))
        case Suppressed():
            return n > 0 or bool(other)
        case NoData():
            return n == 0 and not other
        case NotApplicable(otherwise=True):
            return True
    return False


def measure(site: Site, repetitions: int) -> tuple[float, float]:
    """Compare, time and print; seconds of all queries, ours and by hand, medians. Reads the site only."""
    version = current(site)
    view = view_of(site, version, Viewer(site.home), {})
    if not view.scope.whole:
        raise Mistake(
            "benchmarks", f"'{view.scope.code}' is not the whole site", "the SQL by hand is for all of it"
        )
    calls = capture(view)
    hand = Hand(view, calls)
    same, hidden = compare(hand, calls)
    groups = {g: [c for c in calls if c.group == g] for g in hand.windows}
    jobs: dict[str, Callable[[], object]] = {}
    with _sent(version) as sent:
        counts: dict[str, tuple[int, int]] = {}
        for group, some in groups.items():
            before = len(sent)
            replay(some)
            between = len(sent)
            hand.run(group)
            counts[group] = (between - before, len(sent) - between)
    for group, some in groups.items():
        jobs[f"{group} ours"] = lambda some=some: replay(some)  # type: ignore[misc]
        jobs[f"{group} hand"] = lambda group=group: hand.run(group)  # type: ignore[misc]
    jobs["page"] = lambda: overview.build(view)
    times = alternate(jobs, repetitions)
    rows = []
    for group, some in groups.items():
        ours, by_hand = times[f"{group} ours"], times[f"{group} hand"]
        rows.append(
            (group, f"{len(some)}", f"{counts[group][0]} / {counts[group][1]}", ms(ours.median), ms(by_hand.median),
             f"{ours.median / by_hand.median:.2f}", f"{ours.fastest / by_hand.fastest:.2f}")
        )  # fmt: skip
    ours = summed([times[f"{group} ours"] for group in groups])
    by_hand = summed([times[f"{group} hand"] for group in groups])
    rows.append(
        ("all", f"{len(calls)}", f"{sum(a for a, _ in counts.values())} / {sum(b for _, b in counts.values())}",
         ms(ours.median), ms(by_hand.median), f"{ours.median / by_hand.median:.2f}",
         f"{ours.fastest / by_hand.fastest:.2f}")
    )  # fmt: skip
    rows.append(("page built", "", "", ms(times["page"].median), "", "", ""))
    table(
        f"Queries of the Overview, {view.scope.name.en}, {view.period}, {version.id}: ms, median of {repetitions}",
        ("group", "calls", "statements", "ours", "by hand", "ratio", "of fastest"),
        rows,
        (
            f"{same} cells are equal to the hand-written numbers"
            + (f", {hidden} of them not shown, being about people" if hidden else ""),
            verdict("All queries, ours / by hand", ours.median / by_hand.median, TARGET, "×"),
        ),
    )
    return ours.median, by_hand.median


@contextmanager
def _sent(version: Version) -> Iterator[list[str]]:
    """The statements sent to a version."""
    sent: list[str] = []
    rows = Version.rows

    def noted(self: Version, sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
        sent.append(sql)
        return rows(self, sql, params)

    with patch.object(Version, "rows", noted):
        yield sent


def _statements() -> Iterator[tuple[str, str]]:
    for part in SQL.read_text(encoding="utf-8").split("-- name: ")[1:]:
        name, _, sql = part.partition("\n")
        if name not in STATEMENTS:
            raise Mistake(SQL.name, f"unknown statement '{name}'", nearest(name, STATEMENTS))
        yield name, sql


def _values(view: View, windows: dict[Period, int]) -> dict[str, Any]:
    """Every value a statement may bind."""
    cutoff = view.cutoff
    starts = [_midnight(window.start) for window in windows]
    stops = [_midnight(window.end + DAY) for window in windows]
    moments = [min(stop, cutoff) for stop in stops]
    return {
        "w": list(windows.values()),
        "a": [window.start for window in windows],
        "b": [window.end for window in windows],
        "start": starts,
        "stop": stops,
        "m": moments,
        "low": min(starts),
        "first": min(moments),
        "cutoff": cutoff,
        "from": view.period.start,
        "to": view.period.end,
        "since": _midnight(view.period.start),
        "until": _midnight(view.period.end + DAY),
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
