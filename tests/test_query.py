"""What a question answers: the same from marts and records, clipped, hidden where small, honest where empty."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.world import GRIDS, VILLAGES, case, datasets, petition, world
from warehouse.catalogue import LEVELS, catalogue
from warehouse.listing import records
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.query import cells, query
from warehouse.result import Cell, NoData, NotApplicable, Result, Suppressed, Value
from warehouse.scope import clip, scope_of, trail, tree_of
from warehouse.site import Params
from warehouse.version import Version
from warehouse.viewer import Viewer

ALL = list(catalogue().measures)
COUNTY = Viewer("K")
JANUARY = Period(date(2026, 1, 1), date(2026, 1, 31))
CUTOFF = datetime(2026, 3, 20, 12)


def results(found: list[Cell]) -> list[Result]:
    return [cell.result for cell in found]


def total(found: list[Cell]) -> tuple[float, float]:
    values = [c.result for c in found if isinstance(c.result, Value)]
    return sum(v.n or 0 for v in values), sum(v.d or 0 for v in values)


# --- random worlds ---------------------------------------------------------------------------------------

minute = st.integers(0, 140 * 24 * 60)
"""Minutes since 1 November 2025; the cut-off lies at day 139.5."""
place = st.sampled_from([*GRIDS, "K1a", "K2", "K"])


def at(minutes: int) -> datetime:
    return datetime(2025, 11, 1) + timedelta(minutes=minutes)


def seen(minutes: int) -> datetime | None:
    """An event, if it has happened by the cut-off."""
    return at(minutes) if at(minutes) <= CUTOFF else None


@st.composite
def a_case(draw: st.DrawFn, number: int) -> dict[str, Any] | None:
    start = draw(minute)
    if at(start) > CUTOFF:
        return None
    filed = draw(st.booleans())
    due = start + draw(st.integers(0, 30 * 24 * 60))
    closed = seen(start + draw(st.integers(0, 40 * 24 * 60))) if draw(st.booleans()) else None
    return case(
        number, draw(place), at(start),
        category=draw(st.sampled_from(["safety", "rural", "other"])),
        filed_at=at(start) if filed else None,
        due_at=at(due) if draw(st.integers(0, 4)) else None,
        extended_due_at=at(due + 1440) if draw(st.integers(0, 4)) == 0 else None,
        dispatched_at=at(start) if filed and draw(st.booleans()) else None,
        closed_at=closed, status="closed" if closed else "handling",
        closed_tier=draw(st.sampled_from(["village", "county", None])),
        cancelled_at=seen(start + 60) if draw(st.integers(0, 9)) == 0 else None,
        reworked=draw(st.integers(0, 1)), returned=draw(st.integers(0, 1)),
    )  # fmt: skip


@st.composite
def a_petition(draw: st.DrawFn, number: int) -> dict[str, Any] | None:
    start = draw(minute)
    if at(start) > CUTOFF:
        return None
    accepted = seen(start + draw(st.integers(0, 25 * 24 * 60)))
    return petition(
        number, draw(place), at(start),
        matter_key=f"m{draw(st.integers(0, 8))}",
        route=draw(st.sampled_from(["petition", "petition", "statutory"])),
        received_at=at(start), accepted_at=accepted,
        extended_at=accepted if draw(st.booleans()) else None,
        replied_at=seen(start + draw(st.integers(25 * 24 * 60, 90 * 24 * 60))) if accepted else None,
        closed_at=seen(start + draw(st.integers(0, 60 * 24 * 60))) if draw(st.booleans()) else None,
    )  # fmt: skip


@st.composite
def a_visit(draw: st.DrawFn, number: int) -> dict[str, Any] | None:
    start = draw(minute)
    if at(start) > CUTOFF:
        return None
    return {
        "visit_id": f"v{number}", "place": draw(st.sampled_from(GRIDS)), "visited_at": at(start),
        "household_key": f"h{draw(st.integers(0, 4))}", "result": draw(st.sampled_from(["normal", "absent", None])),
        "needs_noted": 2, "needs_closed": draw(st.integers(0, 2)),
    }  # fmt: skip


@st.composite
def a_meeting(draw: st.DrawFn, number: int) -> dict[str, Any] | None:
    start = draw(minute)
    if at(start) > CUTOFF:
        return None
    return {"meeting_id": f"t{number}", "place": draw(st.sampled_from(VILLAGES)), "held_at": at(start)}


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    made = {
        "cases": [draw(a_case(k)) for k in range(draw(st.integers(0, 25)))],
        "petitions": [draw(a_petition(k)) for k in range(draw(st.integers(0, 20)))],
        "visits": [draw(a_visit(k)) for k in range(draw(st.integers(0, 15)))],
        "meetings": [draw(a_meeting(k)) for k in range(draw(st.integers(0, 8)))],
    }
    return {name: [row for row in rows if row is not None] for name, rows in made.items()}


periods = st.tuples(st.integers(0, 150), st.integers(0, 150)).map(
    lambda p: Period(date(2025, 11, 1) + timedelta(days=min(p)), date(2025, 11, 1) + timedelta(days=max(p)))
)
few = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@few
@given(worlds(), periods, st.sampled_from(["K", "K1", "K2", "K1a", "K1b1", "G"]))
def test_months_and_days_and_the_rest_give_the_same_as_records_alone(
    made: dict[str, list[dict[str, Any]]], period: Period, scope: str
) -> None:
    known = {name: d for name, d in datasets().items() if name in (*made, "places", "place_groups")}
    now = world(made, CUTOFF, known=known)
    # A later version, asked as of the earlier time, answers from records only.
    later = world(made, CUTOFF + timedelta(days=300), known=known)
    asked = (scope, ALL, [period, JANUARY])
    assert cells(later, *asked, cutoff=CUTOFF) == cells(now, *asked)
    assert cells(later, *asked, by="month", cutoff=CUTOFF) == cells(now, *asked, by="month")
    if scope != "K1b1":
        assert cells(later, *asked, by="child", cutoff=CUTOFF) == cells(now, *asked, by="child")
        assert cells(later, *asked, by="village", then_by="month", cutoff=CUTOFF) == cells(
            now, *asked, by="village", then_by="month"
        )


@few
@given(worlds(), periods)
def test_parts_add_up_to_the_whole_beneath_suppression(
    made: dict[str, list[dict[str, Any]]], period: Period
) -> None:
    for rows in made.values():
        for row in rows:
            row["place"] = row["place"] if row["place"] in (*GRIDS, *VILLAGES) else GRIDS[0]
    version = world(made, CUTOFF)
    rest = {name for name in datasets() if name not in (*made, "places", "place_groups")}
    known = catalogue()
    measures = [
        n for n in ALL if known.get(n).kind != "quantile" and not rest & set(known.reads(known.get(n).table))
    ]

    def totals(names: list[str], **split: Any) -> dict[str, tuple[float, float]]:
        found = cells(version, "K", names, [period], **split)
        return {name: total([cell for cell in found if cell.measure == name]) for name in names}

    whole = totals(measures)
    for level in ("township", "village"):
        names = [n for n in measures if LEVELS.index(known.get(n).finest) >= LEVELS.index(level)]
        assert totals(names, by=level) == {name: whole[name] for name in names}
    flows = [n for n in measures if known.get(n).cls != "as_of" and not known.get(n).exposure]
    flow = {name: whole[name] for name in flows}
    for split in ({"by": "month"}, {"by": "day"}, {"by": "village", "then_by": "month"}):
        assert totals(flows, **split) == flow
    for dimension in {d for n in measures for d in known.get(n).dimensions}:
        names = [n for n in measures if dimension in known.get(n).dimensions and not known.get(n).exposure]
        assert totals(names, by=dimension) == {name: whole[name] for name in names}


# --- nothing, hidden, not applicable ---------------------------------------------------------------------


def test_nothing_over_nothing_is_no_data_and_no_case_in_a_covered_month_is_zero() -> None:
    version = world({"cases": [case(1, "K1a1", datetime(2026, 1, 5))]}, CUTOFF)
    february, before, after = (
        Period(date(2026, 2, 1), date(2026, 2, 28)),
        Period(date(2025, 12, 1), date(2025, 12, 31)),
        Period(date(2026, 3, 21), date(2026, 3, 31)),
    )
    assert results(query(version, COUNTY, ["closing_rate"], "K", [JANUARY])) == [NoData()]
    assert results(query(version, COUNTY, ["cases_reported"], "K", [JANUARY, february, before, after])) == [
        Value(1, 1), Value(0, 0), NoData(), NoData(),
    ]  # fmt: skip
    assert results(query(version, COUNTY, ["overdue_open_cases"], "K", [february, after])) == [
        Value(0, 0),
        NoData(),
    ]


def test_an_empty_source_is_no_data() -> None:
    version, known = world({}, CUTOFF), catalogue()
    registers = ("places", "place_groups")  # of which a world has some
    names = [name for name in ALL if known.reads(known.get(name).table)[0] not in registers]
    assert set(results(query(version, COUNTY, names, "K", [JANUARY]))) == {NoData()}


def test_every_place_of_the_level_answers_even_with_nothing() -> None:
    version = world({"cases": [case(1, "K1a1", datetime(2026, 1, 5))]}, CUTOFF)
    found = query(version, COUNTY, ["cases_reported", "closing_rate"], "K", [JANUARY], by="grid")
    assert [(c.place, c.result) for c in found[:4]] == [
        ("K1a1", Value(1, 1)), ("K1a2", Value(0, 0)), ("K1b1", Value(0, 0)), ("K2a1", Value(0, 0)),
    ]  # fmt: skip
    assert [c.result for c in found[4:]] == [NoData()] * 4


def _petitions(counts: dict[str, int]) -> Version:
    rows = [place for place, count in counts.items() for _ in range(count)]
    return world(
        {"petitions": [petition(k, place, datetime(2026, 1, 5)) for k, place in enumerate(rows)]}, CUTOFF
    )


YEAR = Period(date(2026, 1, 1), date(2026, 12, 31))
HIDDEN = Suppressed(5, second=True)
"""Not told, because a figure below 5 could be worked out from it."""


def test_a_small_protected_count_is_suppressed_and_zero_is_zero() -> None:
    version = _petitions({"K1a1": 4})
    assert results(query(version, COUNTY, ["petitions_registered"], "K", [YEAR])) == [Suppressed(5)]
    assert results(cells(version, "K", ["petitions_registered"], [YEAR])) == [Value(4, 4)]
    version = _petitions({"K1a1": 9})
    assert results(query(version, COUNTY, ["petitions_registered"], "K2", [YEAR, JANUARY])) == [
        Value(0, 0), Value(0, 0),
    ]  # fmt: skip


def test_beneath_a_hidden_figure_nothing_is_told() -> None:
    version = _petitions({"K1a1": 4})
    for scope, period in (("K", JANUARY), ("K1", YEAR), ("K2", YEAR)):
        assert results(query(version, COUNTY, ["petitions_registered"], scope, [period])) == [HIDDEN]


def test_a_count_of_work_is_never_suppressed() -> None:
    version = world({"cases": [case(1, "K1a1", datetime(2026, 1, 5))]}, CUTOFF)
    assert results(query(version, COUNTY, ["cases_reported"], "K", [JANUARY])) == [Value(1, 1)]


def test_a_rate_with_few_on_either_side_is_suppressed() -> None:
    rows = [petition(k, "K1a1", datetime(2026, 1, 5), kind="repeat" if k else "first") for k in range(9)]
    version = world({"petitions": rows}, CUTOFF)
    assert results(query(version, COUNTY, ["repeat_petition_share"], "K", [YEAR])) == [Suppressed(5)]
    rows = [petition(k, "K1a1", datetime(2026, 1, 5), kind="repeat") for k in range(9)]
    version = world({"petitions": rows}, CUTOFF)
    assert results(query(version, COUNTY, ["repeat_petition_share"], "K", [JANUARY])) == [Value(1, 9, 9)]


def test_a_single_hidden_place_takes_another_of_its_parent_with_it() -> None:
    version = _petitions({"K1a1": 3, "K1b1": 10, "K2a1": 7})
    found = query(version, COUNTY, ["petitions_registered"], "K", [YEAR], by="village")
    assert results(found) == [Suppressed(5), HIDDEN, Value(7, 7)]
    found = query(
        _petitions({"K1a1": 3, "K2a1": 7}), COUNTY, ["petitions_registered"], "K", [YEAR], by="township"
    )
    assert results(found) == [Suppressed(5), HIDDEN]


def test_a_place_asked_alone_is_as_hidden_as_beside_its_neighbours() -> None:
    version = _petitions({"K1a1": 3, "K1b1": 10, "K2a1": 7})
    alone = [query(version, COUNTY, ["petitions_registered"], code, [YEAR])[0].result for code in VILLAGES]
    assert alone == [Suppressed(5), HIDDEN, Value(7, 7)]
    # The group is that village and another township: told with the village, it would give it away.
    assert results(query(version, COUNTY, ["petitions_registered"], "G", [YEAR])) == [HIDDEN]


def test_a_single_hidden_month_takes_another_with_it() -> None:
    days = [datetime(2026, 1, 5)] * 9 + [datetime(2026, 2, 5)] * 3 + [datetime(2026, 3, 5)] * 8
    version = world({"petitions": [petition(k, "K1a1", d) for k, d in enumerate(days)]}, CUTOFF)
    quarter = Period(date(2026, 1, 1), date(2026, 3, 31))
    found = query(version, COUNTY, ["petitions_registered"], "K", [quarter], by="month")
    assert results(found) == [Value(9, 9), Suppressed(5), HIDDEN]
    halves = [Period(quarter.start, date(2026, 2, 28)), Period(date(2026, 2, 1), quarter.end), quarter]
    found = query(version, COUNTY, ["petitions_registered"], "K", halves)
    assert results(found) == [HIDDEN, HIDDEN, Value(20, 20)]


def test_a_single_hidden_class_takes_another_with_it() -> None:
    kinds = ["letter"] * 9 + ["phone"] * 3 + ["visit"] * 8
    rows = [petition(k, "K1a1", datetime(2026, 1, 5), channel=kind) for k, kind in enumerate(kinds)]
    found = query(
        world({"petitions": rows}, CUTOFF), COUNTY, ["petitions_registered"], "K", [YEAR], by="channel"
    )
    assert [(c.key, c.result) for c in found] == [
        ("letter", Value(9, 9)), ("phone", Suppressed(5)), ("visit", HIDDEN),
    ]  # fmt: skip


def test_the_threshold_is_the_site_s() -> None:
    version = world(
        {"petitions": [petition(1, "K1a1", datetime(2026, 1, 5))]}, CUTOFF, Params(suppress_below=0)
    )
    assert results(query(version, COUNTY, ["petitions_registered"], "K", [JANUARY])) == [Value(1, 1)]


def test_people_s_matters_come_by_whole_month_only() -> None:
    version = _petitions({"K1a1": 9})
    free = Period(date(2026, 1, 2), date(2026, 1, 31))
    running = Period(date(2026, 1, 1), CUTOFF.date())
    for scope in ("K", "K1", "K1a"):
        (cell,) = query(version, COUNTY, ["petitions_registered"], scope, [free])
        assert isinstance(cell.result, NotApplicable)
        assert cell.result.otherwise
        assert results(query(version, COUNTY, ["petitions_registered"], scope, [JANUARY, running])) == [
            Value(9, 9), Value(9, 9),
        ]  # fmt: skip
    assert results(query(version, COUNTY, ["cases_reported"], "K", [free])) == [NoData()]


def test_of_earlier_years_the_part_up_to_the_cut_off_s_day_is_told_too() -> None:
    days = [datetime(2025, 1, 5)] * 9 + [datetime(2025, 3, 20)] * 9 + [datetime(2025, 3, 21)] * 9
    version = world({"petitions": [petition(k, "K1a1", d) for k, d in enumerate(days)]}, CUTOFF)
    to_date = Period(date(2026, 1, 1), CUTOFF.date()).year_before()
    assert results(query(version, COUNTY, ["petitions_registered"], "K1", [to_date])) == [Value(18, 18)]
    day_less = Period(to_date.start, to_date.end - timedelta(days=1))
    (cell,) = query(version, COUNTY, ["petitions_registered"], "K1", [day_less])
    assert isinstance(cell.result, NotApplicable)


def test_what_the_site_has_no_source_for_is_not_applicable() -> None:
    only = {name: d for name, d in datasets().items() if name in ("cases", "places")}
    poor = only["cases"].model_copy(
        update={"mapped": tuple(f for f in only["cases"].mapped if f != "dispatched_at")}
    )
    version = world(
        {"cases": [case(1, "K1a1", datetime(2026, 1, 5), filed_at=datetime(2026, 1, 5))]},
        CUTOFF,
        known=only | {"cases": poor},
    )
    found = query(version, COUNTY, ["dispatch_rate", "petitions_registered", "filing_rate"], "K", [JANUARY])
    assert results(found) == [
        NotApplicable("the source of cases has no dispatched_at"), NotApplicable("no source of petitions"),
        Value(1, 1, 1),
    ]  # fmt: skip


def test_people_at_work_are_never_shown_below_the_village() -> None:
    version = world({}, CUTOFF)
    for scope, by in (("K1a1", None), ("K", "grid")):
        for cell in query(version, COUNTY, ["patrol_completion", "visit_coverage"], scope, [JANUARY], by=by):
            assert cell.result == NotApplicable("counted by village at the finest")


# --- breakdowns, clocks ----------------------------------------------------------------------------------


def test_a_breakdown_gives_every_class_present_under_its_code() -> None:
    rows = [
        case(k, "K1a1", datetime(2026, 1, 5), category=c) for k, c in enumerate(["rural", "safety", "rural"])
    ]
    version = world({"cases": rows}, CUTOFF)
    found = query(version, COUNTY, ["cases_reported"], "K", [JANUARY], by="category")
    assert [(c.key, c.place, c.result) for c in found] == [
        ("rural", "K", Value(2, 2)),
        ("safety", "K", Value(1, 1)),
    ]


def test_months_and_days_are_cut_to_the_period() -> None:
    version = world({"cases": [case(1, "K1a1", datetime(2026, 1, 5))]}, CUTOFF)
    period = Period(date(2026, 1, 5), date(2026, 2, 3))
    found = query(version, COUNTY, ["cases_reported"], "K", [period], by="month")
    assert [(c.period, c.result) for c in found] == [
        (Period(date(2026, 1, 5), date(2026, 1, 31)), Value(1, 1)),
        (Period(date(2026, 2, 1), date(2026, 2, 3)), Value(0, 0)),
    ]
    assert len(query(version, COUNTY, ["cases_reported"], "K", [period], by="day")) == 30


def test_an_earlier_cut_off_does_not_know_what_came_later() -> None:
    row = case(
        1, "K1a1", datetime(2026, 1, 5), filed_at=datetime(2026, 1, 5), due_at=datetime(2026, 1, 8),
        closed_at=datetime(2026, 1, 12), status="closed",
    )  # fmt: skip
    version = world({"cases": [row, case(2, "K1a1", datetime(2026, 1, 20))]}, CUTOFF)
    asked = (["cases_reported", "closing_rate", "overdue_open_cases"], "K", [JANUARY])
    then = query(version, COUNTY, *asked, cutoff=datetime(2026, 1, 10))
    assert results(then) == [Value(1, 1), Value(0, 0, 1), Value(1, 1)]
    assert results(query(version, COUNTY, *asked)) == [Value(2, 2), Value(1, 1, 1), Value(0, 0)]


def test_a_cut_off_after_the_version_s_own_is_the_version_s_own() -> None:
    version = world({"cases": [case(1, "K1a1", datetime(2026, 1, 5))]}, CUTOFF)
    asked = (["cases_reported"], "K", [Period(date(2026, 1, 1), date(2026, 12, 31))])
    assert query(version, COUNTY, *asked, cutoff=datetime(2027, 1, 1)) == query(version, COUNTY, *asked)


def test_what_moves_with_the_clock_is_as_of_each_month_s_end() -> None:
    rows = [
        case(1, "K1a1", datetime(2026, 1, 5), due_at=datetime(2026, 1, 8), closed_at=datetime(2026, 2, 2)),
        case(2, "K2a1", datetime(2026, 2, 5), due_at=datetime(2026, 2, 8)),
    ]
    version = world({"cases": rows}, CUTOFF)
    quarter = Period(date(2026, 1, 1), date(2026, 3, 31))
    found = query(version, COUNTY, ["overdue_open_cases"], "K", [quarter], by="month")
    assert results(found) == [Value(1, 1), Value(1, 1), Value(1, 1)]
    found = query(version, COUNTY, ["overdue_open_cases"], "K", [quarter], by="township", then_by="month")
    assert results(found) == [Value(1, 1), Value(0, 0), Value(0, 0), Value(1, 1), Value(0, 0), Value(1, 1)]


def test_a_median_and_a_p90_come_side_by_side() -> None:
    rows = [
        case(k, "K1a1", datetime(2026, 1, 5), closed_at=datetime(2026, 1, 5) + timedelta(hours=k))
        for k in range(11)
    ]
    version = world({"cases": rows}, CUTOFF)
    found = query(version, COUNTY, ["hours_to_close", "hours_to_close:p90"], "K", [JANUARY])
    assert [(c.measure, c.result) for c in found] == [
        ("hours_to_close", Value(5, 11)), ("hours_to_close:p90", Value(9, 11)),
    ]  # fmt: skip


def test_cells_come_in_the_order_asked() -> None:
    version = world({}, CUTOFF)
    found = query(version, COUNTY, ["closing_rate", "cases_reported"], "K", [JANUARY.previous(), JANUARY])
    assert [(c.measure, c.period) for c in found] == [
        (m, p) for m in ("closing_rate", "cases_reported") for p in (JANUARY.previous(), JANUARY)
    ]


def test_a_record_filed_above_the_level_counts_in_the_total_only() -> None:
    version = world(
        {"cases": [case(1, "K", datetime(2026, 1, 5)), case(2, "K1", datetime(2026, 1, 5))]}, CUTOFF
    )
    assert results(query(version, COUNTY, ["cases_reported"], "K", [JANUARY])) == [Value(2, 2)]
    assert results(query(version, COUNTY, ["cases_reported"], "K", [JANUARY], by="township")) == [
        Value(1, 1), Value(0, 0),
    ]  # fmt: skip


# --- scopes ----------------------------------------------------------------------------------------------


def test_a_viewer_who_asks_above_gets_the_own_scope() -> None:
    rows = [case(1, "K1a1", datetime(2026, 1, 5)), case(2, "K2a1", datetime(2026, 1, 5))]
    version = world({"cases": rows}, CUTOFF)
    (cell,) = query(version, Viewer("K1"), ["cases_reported"], "K", [JANUARY])
    assert (cell.place, cell.result) == ("K1", Value(1, 1))
    assert clip(version, Viewer("K1"), "K1a1").code == "K1a1"


@pytest.mark.parametrize("scope", ["K2", "K2a1", "G"])
def test_a_viewer_who_asks_elsewhere_is_refused(scope: str) -> None:
    version = world({}, CUTOFF)
    with pytest.raises(Mistake, match="lies outside your own scope 'K1'"):
        query(version, Viewer("K1"), ["cases_reported"], scope, [JANUARY])


def test_a_group_is_a_scope_of_its_members() -> None:
    rows = [case(k, grid, datetime(2026, 1, 5)) for k, grid in enumerate(GRIDS)]
    version = world({"cases": rows}, CUTOFF)
    assert results(query(version, COUNTY, ["cases_reported"], "G", [JANUARY])) == [Value(2, 2)]
    odd = Period(date(2026, 1, 3), date(2026, 1, 6))
    assert results(query(version, COUNTY, ["cases_reported"], "G", [odd])) == [Value(2, 2)]


def test_the_children_of_a_group_are_its_members_whatever_their_levels() -> None:
    rows = [case(k, grid, datetime(2026, 1, 5)) for k, grid in enumerate(GRIDS)]
    version = world({"cases": rows}, CUTOFF)
    scope = scope_of(version, "G")
    assert (scope.level, scope.child_level, scope.tops) == ("township", "village", ("K1b", "K2"))
    found = query(version, COUNTY, ["cases_reported"], "G", [JANUARY], by="child")
    assert [(cell.place, cell.result) for cell in found] == [("K1b", Value(1, 1)), ("K2", Value(1, 1))]
    months = query(version, COUNTY, ["cases_reported"], "G", [JANUARY], by="child", then_by="month")
    assert [cell.result for cell in months] == [Value(1, 1), Value(1, 1)]
    tree = tree_of(version)
    assert [place.code for place in tree.children("G")] == ["K1b", "K2"]
    assert tree.groups_of("K") == () and tree.groups_of("K1") == ()


def test_the_breadcrumb_ends_at_the_viewer_s_own_scope_group_or_place() -> None:
    version = world({}, CUTOFF)

    def above(own: str, code: str) -> list[str]:
        return [parent for parent, _ in trail(version, Viewer(own), scope_of(version, code))]

    assert above("K", "K2a1") == ["K", "K2", "K2a"]
    assert above("K2", "K2a1") == ["K2", "K2a"]
    assert above("G", "K2a1") == ["G", "K2", "K2a"]
    assert above("G", "K1b1") == ["G", "K1b"]
    assert above("G", "G") == above("K2", "K2") == []


def test_a_scope_knows_its_parents_and_its_children_s_level() -> None:
    version = world({}, CUTOFF)
    scope = scope_of(version, "K1a")
    assert ([code for code, _ in scope.parents], scope.level, scope.child_level) == (
        ["K", "K1"],
        "village",
        "grid",
    )
    assert scope_of(version, "K1a1").child_level is None


@pytest.mark.parametrize(
    ("measure", "scope", "by", "said"),
    [
        ("closing_rat", "K", None, "did you mean 'closing_rate'"),
        ("closing_rate", "K1x", None, "unknown place 'K1x'"),
        ("closing_rate", "K", "categry", "did you mean 'category'"),
        ("closing_rate", "K1a", "township", "lies above 'K1a'"),
        ("closing_rate", "K1a1", "child", "has no places below"),
    ],
)
def test_an_unknown_name_is_answered_with_a_remedy(
    measure: str, scope: str, by: str | None, said: str
) -> None:
    with pytest.raises(Mistake, match=said):
        query(world({}, CUTOFF), COUNTY, [measure], scope, [JANUARY], by=by)


def test_a_period_that_ends_before_it_starts_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="ends 2026-01-01 before it starts 2026-01-31"):
        Period(date(2026, 1, 31), date(2026, 1, 1))


# --- record lists ----------------------------------------------------------------------------------------


def test_records_are_listed_newest_first_with_their_number() -> None:
    rows = [case(k, grid, datetime(2026, 1, 5 + k)) for k, grid in enumerate(GRIDS)]
    version = world({"cases": rows}, CUTOFF)
    columns, found, count = records(version, COUNTY, "cases", "K1", JANUARY, limit=2)
    key = columns.index("case_id")
    assert ([row[key] for row in found], count) == (["c0002", "c0001"], 3)
    assert records(version, COUNTY, "cases", "K1", JANUARY, limit=2, offset=5)[1:] == ([], 3)
    assert records(version, COUNTY, "cases", "K", where={"place": "K2a1"})[2] == 1


def test_the_records_behind_a_figure_can_be_listed() -> None:
    rows = [
        case(1, "K1a1", datetime(2026, 1, 5), due_at=datetime(2026, 1, 8)),
        case(2, "K1a1", datetime(2026, 1, 5), due_at=datetime(2026, 5, 8)),
    ]
    version = world({"cases": rows}, CUTOFF)
    columns, found, count = records(version, COUNTY, "cases", "K", where={"counts_in": "overdue_open_cases"})
    assert (count, found[0][columns.index("case_id")]) == (1, "c0001")


def test_records_are_for_officials_within_their_own_scope() -> None:
    version = world({}, CUTOFF)
    with pytest.raises(Mistake, match="for officials"):
        records(version, Viewer("K", official=False), "cases", "K")
    with pytest.raises(Mistake, match="outside your own scope"):
        records(version, Viewer("K1"), "cases", "K2")
    for wrong in ({"where": {"x": "1"}}, {"order": "title; drop table cases"}):
        with pytest.raises(Mistake):
            records(version, COUNTY, "cases", "K", **wrong)
