"""Hotspots on a made ground where the truth is known: twelve villages of four grids, 100 households each.

Every grid has six cases a month from January to June 2026, unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any, cast

import pytest

from dashboard.blocks import Map, Table
from dashboard.pages.hotspots import PAGE
from dashboard.view import View, address, asked_of, view_of
from tests.world import case, place, world
from warehouse.hotspots import Hotspot, hotspots, months_of
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.site import Site
from warehouse.text import Text
from warehouse.version import Version
from warehouse.viewer import Viewer

VILLAGES = [f"K1{letter}" for letter in "abcdefghijkl"]
GRIDS = [f"{village}{number}" for village in VILLAGES for number in "1234"]
YEAR, JUNE = Period(date(2026, 1, 1), date(2026, 6, 30)), Period(date(2026, 6, 1), date(2026, 6, 30))
CUTOFF = datetime(2026, 6, 30, 23, 59, 59)
Monthly = Mapping[str, tuple[int, ...]]


def square(position: int) -> str:
    x, y = position % 8 * 10, position // 8 * 10
    return f"{x},{y} {x + 10},{y} {x + 10},{y + 10} {x},{y + 10}"


def ground(monthly: Monthly, unwatched: Mapping[str, int] = {}, homes: Mapping[str, int] = {}) -> Version:
    """`monthly`: a grid's cases from January to June; `unwatched`: a grid and the first month nobody went there."""
    places = [
        place("K", None, "county"),
        place("K1", "K", "township"),
        *(place(village, "K1", "village") for village in VILLAGES),
        *(
            place(grid, grid[:-1], "grid", households=homes.get(grid, 100), shape=square(i))
            for i, grid in enumerate(GRIDS)
        ),
    ]
    cases: list[dict[str, Any]] = []
    visits: list[dict[str, Any]] = []
    for grid in GRIDS:
        for month, count in enumerate(monthly.get(grid, (6,) * 6), start=1):
            cases += [case(len(cases) + k, grid, datetime(2026, month, 1 + k % 28, 9)) for k in range(count)]
            if month < unwatched.get(grid, 99):
                visits.append(
                    {
                        "visit_id": f"v{grid}{month}", "place": grid, "household_key": "h", "result": "normal",
                        "visited_at": datetime(2026, month, 3, 10),
                    }
                )  # fmt: skip
    return world({"cases": cases, "visits": visits}, CUTOFF, places=places)


def found(version: Version, period: Period = YEAR) -> dict[str, Hotspot]:
    return {spot.code: spot for spot in hotspots(version, Viewer("K"), period)}


def test_where_all_grids_are_alike_there_is_no_hotspot() -> None:
    spots = found(ground({}))
    assert len(spots) == len(GRIDS)
    assert not any(spot.marked or spot.label or spot.cold for spot in spots.values())


@pytest.mark.parametrize(
    ("monthly", "label", "high"),
    [
        ((40, 42, 38, 41, 39, 40), "persistent", True),
        ((6, 5, 7, 6, 42, 40), "new", True),
        ((20, 26, 32, 38, 44, 50), "intensifying", True),
        ((40, 42, 38, 41, 39, 6), "fading", True),
        ((6, 6, 6, 6, 6, 20), "new", False),
        ((7, 5, 6, 8, 6, 7), None, False),
    ],
)
def test_one_grid_far_above_the_usual_is_found_alone_and_labelled_by_its_months(
    monthly: tuple[int, ...], label: str | None, high: bool
) -> None:
    spots = found(ground({"K1c2": monthly}))
    spot = spots["K1c2"]
    assert (spot.label, spot.high, spot.marked) == (label, high, label is not None)
    assert [s.code for s in spots.values() if s.marked and s.code[:-1] != "K1c"] == []


def test_a_village_a_little_high_in_every_grid_is_found_together_though_none_is_alone() -> None:
    differing = {grid: ((2,), (5,), (7,), (10,))[int(grid[-1]) - 1] * 6 for grid in GRIDS}
    spots = found(ground(differing | {f"K1d{n}": (12,) * 6 for n in "1234"}), JUNE)
    village = [spots[f"K1d{n}"] for n in "1234"]
    assert all(spot.together and spot.high and not spot.alone for spot in village)
    assert len({spot.near for spot in village}) == 1, "the grids of a village are each other's neighbours"


def test_a_quiet_grid_in_a_high_village_is_no_hotspot() -> None:
    spots = found(ground({"K1d1": (40,) * 6, "K1d2": (40,) * 6, "K1d3": (40,) * 6, "K1d4": (1,) * 6}))
    assert spots["K1d4"].together and not spots["K1d4"].marked and spots["K1d4"].label is None


def test_the_same_cases_on_more_households_are_no_hotspot() -> None:
    few, many = ground({"K1c2": (40,) * 6}), ground({"K1c2": (40,) * 6}, homes={"K1c2": 660})
    assert found(few)["K1c2"].marked and not found(many)["K1c2"].marked


def test_a_grid_nobody_went_to_is_not_observed_and_not_cold() -> None:
    version = ground({"K1c2": (0,) * 6}, unwatched={"K1c2": 1})
    spot = found(version)["K1c2"]
    assert (spot.state, spot.own, spot.near, spot.cold, spot.label) == ("unobserved", 0.0, None, False, None)
    assert found(ground({"K1c2": (0,) * 6}))["K1c2"].state == "observed"


def test_a_grid_visited_in_the_thirty_days_before_is_observed_in_a_single_week() -> None:
    week = Period(date(2026, 6, 24), date(2026, 6, 30))
    assert found(ground({}), week)["K1a1"].state == "observed"
    assert found(ground({}, unwatched={"K1a1": 6}), week)["K1a1"].state == "unobserved"


def test_without_records_of_visits_and_patrols_every_grid_counts_as_observed() -> None:
    assert all(s.state == "observed" for s in found(ground({}, unwatched=dict.fromkeys(GRIDS, 1))).values())


def test_a_grid_without_households_is_not_applicable_and_one_before_the_first_record_is_empty() -> None:
    version = ground({}, homes={"K1a1": 0})
    assert found(version)["K1a1"].state == "inapplicable"
    before = Period(date(2025, 6, 1), date(2025, 6, 30))
    assert {spot.state for code, spot in found(version, before).items() if code != "K1a1"} == {"empty"}


def test_the_months_of_the_trend_are_the_twelve_that_are_over() -> None:
    version = ground({})
    assert [str(m.start) for m in months_of(version, YEAR)][::11] == ["2025-07-01", "2026-06-01"]
    half = Period(date(2026, 1, 1), date(2026, 6, 29))
    assert months_of(version, half)[-1] == Period(date(2026, 5, 1), date(2026, 5, 31))


# The page


def seen(version: Version, **params: str) -> View:
    site = Site(folder="/nowhere", name=Text(zh="县", en="County"), home="K", as_of=CUTOFF)  # type: ignore[arg-type]
    period = {"from": "2026-01-01", "to": "2026-06-30"}
    return view_of(site, version, Viewer("K"), period | params, asked=CUTOFF)


@pytest.fixture(scope="module")
def one_hot() -> Version:
    return ground({"K1c2": (6, 5, 7, 6, 42, 40)}, unwatched={"K1a1": 1}, homes={"K1a2": 0})


def blocks(view: View) -> tuple[Map, Table]:
    built = PAGE.build(view)
    return next(b for b in built if isinstance(b, Map)), next(b for b in built if isinstance(b, Table))


@pytest.mark.parametrize("layer", ["rate", "count", "test", "label"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_layer_colours_the_grids_and_rings_the_same_hotspot(
    one_hot: Version, layer: str, lang: str
) -> None:
    plan, table = blocks(seen(one_hot, layer=layer, lang=lang))
    assert [shape.code for shape in plan.shapes if shape.ring] == ["K1c2"]
    assert [row.address for row in table.rows] == [(("scope", "K1c2"),)]
    assert all(s.level is None or 0 <= s.level < len(plan.classes) for s in plan.shapes)
    top = max(s.level for s in plan.shapes if s.level is not None)
    assert next(s.level for s in plan.shapes if s.code == "K1c2") == top or layer == "test"


def test_what_has_no_figure_says_why_and_is_not_the_lowest_class(one_hot: Version) -> None:
    plan, _ = blocks(seen(one_hot, lang="zh"))
    gaps = {shape.code: shape.gap for shape in plan.shapes if shape.level is None}
    assert gaps == {"K1a1": "unobserved", "K1a2": "inapplicable"}
    assert dict(plan.gaps) == {"unobserved": "未巡访", "inapplicable": "不适用（无住户）"}


def test_a_month_of_the_address_is_the_month_shown(one_hot: Version) -> None:
    view = seen(one_hot, month="2026-04", layer="count")
    plan, table = blocks(view)
    assert "2026-04" in plan.title and not table.rows
    assert address(view)["month"] == "2026-04" and address(view)["layer"] == "count"
    current = [option.label for pick in plan.picks for option in pick.options if option.current]
    assert current == ["件数", "26-04"]
    assert "month" not in address(view, month="")
    assert "layer" not in asked_of(replace(PAGE, asks=()), address(view))


@pytest.mark.parametrize(
    ("params", "told"),
    [({"layer": "labl"}, "did you mean 'label'"), ({"month": "2026-13"}, "no month '2026-13'")],
)
def test_a_wrong_choice_names_the_nearest(one_hot: Version, params: dict[str, str], told: str) -> None:
    with pytest.raises(Mistake, match=told):
        PAGE.build(seen(one_hot, **params))


def test_a_hotspot_is_the_same_from_wherever_one_looks(one_hot: Version) -> None:
    whole, _ = blocks(seen(one_hot, lang="en"))
    part, _ = blocks(seen(one_hot, lang="en", scope="K1c"))
    words = {shape.code: shape.text for shape in whole.shapes}
    assert {shape.code: shape.text for shape in part.shapes} == {
        code: words[code] for code in ("K1c1", "K1c2", "K1c3", "K1c4")
    }
    assert cast(str, words["K1c2"]).endswith("new")
