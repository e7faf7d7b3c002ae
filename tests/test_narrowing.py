"""A page narrowed to one class: the figures of that class, and only the classes there are."""

from __future__ import annotations

from datetime import date

import pytest

from dashboard.blocks import Table, Tiles
from dashboard.pages.cases import PAGE, offers
from dashboard.view import View, build, view_of
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import NotApplicable, Value
from warehouse.site import Site
from warehouse.version import current
from warehouse.viewer import Viewer

SPRING, DAYS = Period(date(2026, 3, 1), date(2026, 5, 31)), Period(date(2026, 6, 3), date(2026, 6, 20))
OPEN = [m.name for m in catalogue().measures.values() if "category" in m.dimensions and not m.protected]
PROTECTED = [m.name for m in catalogue().measures.values() if "category" in m.dimensions and m.protected]


def seen(site: Site, **params: str) -> View:
    return view_of(site, current(site), Viewer(site.home), {"lang": "en"} | params)


def test_one_class_alone_is_what_the_breakdown_says_of_it(small_site: Site) -> None:
    version, viewer = current(small_site), Viewer(small_site.home)
    side_by_side = query(version, viewer, OPEN, small_site.home, [SPRING, DAYS], by="category")
    for code in ("environment", "safety"):
        alone = query(version, viewer, OPEN, small_site.home, [SPRING, DAYS], only=("category", code))
        expected = {(c.measure, c.period): c.result for c in side_by_side if c.key == code}
        assert any(isinstance(cell.result, Value) for cell in alone)
        for cell in alone:
            if (cell.measure, cell.period) in expected:
                assert cell.result == expected[cell.measure, cell.period], cell.measure


def test_a_class_of_a_place_by_month_adds_up_to_the_class(small_site: Site) -> None:
    version, viewer, only = current(small_site), Viewer(small_site.home), ("category", "environment")

    def counted(by: str | None) -> float:
        cells = query(version, viewer, ["cases_reported"], small_site.home, [SPRING], by=by, only=only)
        return sum(c.result.value for c in cells if isinstance(c.result, Value))

    assert counted("month") == counted("township") == counted("channel") == counted(None) > 0


def test_of_peoples_matters_no_class_is_told_alone(small_site: Site) -> None:
    # Each class alone could be taken from the total, and a hidden one be left over.
    cells = query(
        current(small_site), Viewer(small_site.home), PROTECTED, small_site.home, [SPRING],
        only=("category", "rural"),
    )  # fmt: skip
    assert cells and all(isinstance(cell.result, NotApplicable) for cell in cells)


def test_a_narrowed_page_says_so_and_counts_only_its_class(small_site: Site) -> None:
    view = seen(small_site, category="environment")
    sheet = build(PAGE, view)
    assert sheet.title == "Cases · Environment"
    tiles = [tile for block in sheet.blocks if isinstance(block, Tiles) for tile in block.tiles]
    (cell,) = query(
        view.version, view.viewer, ["cases_reported"], view.scope.code, [view.period],
        only=("category", "environment"),
    )  # fmt: skip
    assert isinstance(cell.result, Value)
    assert tiles[0].value == f"{cell.result.value:,}"
    assert tiles[0].passport[-1][1].endswith("--only category=environment")
    latest = next(b for b in sheet.blocks if isinstance(b, Table) and b.title == "Latest cases")
    column = [c.label for c in latest.columns].index("Category")
    assert {row.cells[column] for row in latest.rows} == {"Environment"} and latest.total == cell.result.value
    assert not any(block.title == "By category" for block in sheet.blocks)


def test_only_the_categories_there_are_in_scope_are_offered(small_site: Site) -> None:
    def offered(**params: str) -> set[str]:
        (pick,) = offers(seen(small_site, **params))
        return {dict(option.address)["category"] for option in pick.options} - {""}

    version = current(small_site)
    newest = "select place, cast(reported_at as date) from cases order by reported_at desc limit 1"
    ((grid, day),) = version.rows(newest)
    there = version.rows(
        "select distinct category from cases where place = ? and cast(reported_at as date) = ?", [grid, day]
    )
    found = offered(scope=grid, **{"from": str(day), "to": str(day)})
    assert found == {row[0] for row in there} and found < offered()


def test_an_unknown_category_names_the_nearest(small_site: Site) -> None:
    with pytest.raises(Mistake, match="did you mean 'environment'"):
        PAGE.build(seen(small_site, category="enviroment"))
