"""What a period is compared with, and how the difference is said."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from dashboard.blocks import Tile
from dashboard.comparison import COMPARES, compared_text, comparisons
from dashboard.figures import change
from dashboard.said import headline, of_tile
from dashboard.view import view_of
from tests.world import world
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.result import Value
from warehouse.site import Site
from warehouse.text import Text
from warehouse.viewer import Viewer

NOON = datetime(2026, 6, 15, 12)


def days(text: str) -> Period:
    first, last = text.split("/")
    return Period(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("compare", "period", "against"),
    [
        ("previous", "2026-05-01/2026-05-31", ["2026-04-01/2026-04-30"]),
        ("previous", "2026-06-01/2026-06-15", ["2026-05-17/2026-05-31"]),
        ("year", "2026-02-01/2026-02-28", ["2025-02-01/2025-02-28"]),
        ("both", "2026-05-01/2026-05-31", ["2026-04-01/2026-04-30", "2025-05-01/2025-05-31"]),
        ("none", "2026-05-01/2026-05-31", []),
        # As far as the month, quarter or year has come: 15 June.
        ("to_date", "2026-06-01/2026-06-15", ["2026-05-01/2026-05-15"]),
        ("to_date", "2026-06-01/2026-06-30", ["2026-05-01/2026-05-15"]),
        ("to_date", "2026-04-01/2026-06-30", ["2026-01-01/2026-03-15"]),
        ("to_date", "2026-01-01/2026-12-31", ["2025-01-01/2025-06-15"]),
        ("to_date", "2026-04-01/2026-05-31", ["2026-01-01/2026-02-28"]),  # whole months stay whole
        ("to_date", "2026-03-01/2026-03-30", ["2026-02-01/2026-02-28"]),  # February has no 30th
        ("to_date", "2026-06-10/2026-06-20", ["2026-06-04/2026-06-09"]),  # six days have come: the six before
        # Spring Festivals: 17 February 2026, 29 January 2025; nineteen days apart.
        ("lunar", "2026-02-10/2026-02-24", ["2025-01-22/2025-02-05"]),
        ("lunar", "2026-05-01/2026-05-31", ["2025-05-01/2025-05-31"]),
        ("2025-03-03..2025-03-09", "2026-05-01/2026-05-31", ["2025-03-03/2025-03-09"]),
    ],
)
def test_a_period_is_compared_with(compare: str, period: str, against: list[str]) -> None:
    assert [str(one.period) for one in comparisons(compare, days(period), NOON)] == against


@pytest.mark.parametrize("compare", [*COMPARES, "2025-03-03..2025-03-09"])
def test_every_comparison_is_said_in_both_languages(compare: str) -> None:
    period = days("2026-02-10/2026-02-24")
    texts = [compared_text(compare, period, NOON)]
    for one in comparisons(compare, period, NOON):
        texts += [one.label, one.said, one.than]
    for text in texts:
        assert text.zh and text.en
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in text.en)


@pytest.mark.parametrize(
    ("compare", "told"),
    [
        ("yaer", "did you mean 'year'"),
        ("2025-03-03..", "not two dates"),
        ("2025-03-09..2025-03-03", "before it starts"),
    ],
)
def test_a_wrong_comparison_names_the_remedy(compare: str, told: str) -> None:
    with pytest.raises(Mistake, match=told):
        comparisons(compare, days("2026-05-01/2026-05-31"), NOON)


def test_two_dates_in_the_address_are_compared_with_and_named_in_the_sentence() -> None:
    site = Site(folder="/nowhere", name=Text(zh="县", en="County"), home="K", as_of=NOON)  # type: ignore[arg-type]
    own = "2025-03-03..2025-03-09"
    view = view_of(site, world({}), Viewer("K"), {"compare": own, "lang": "en"}, asked=NOON)
    assert view.compare == own
    (other,) = comparisons(own, view.period, view.cutoff)
    rate, count = catalogue().get("closing_rate"), catalogue().get("cases_reported")
    real = change(view, rate, Value(0.65, 1300, 2000), Value(0.55, 1100, 2000), other)
    assert real is not None and real.said == "up 10.0 points on 2025-03-03 – 2025-03-09" and real.real == "up"
    none = change(view, rate, Value(0.65, 13, 20), Value(0.55, 11, 20), other)
    assert none is not None and (none.text, none.real) == ("no real change", "none")
    # About as many cases a day are no real change, however much longer the period is.
    longer = change(view, count, Value(1010, 1010), Value(100, 100), other, days=(70, 7))
    assert longer is not None and longer.text == "no real change"
    more = change(view, count, Value(1500, 1500), Value(100, 100), other, days=(70, 7))
    assert more is not None and more.said == "up 50.0% a day on 2025-03-03 – 2025-03-09"
    tile = Tile("closing_rate", "Closing rate", "65.0", "%", changes=(real,))
    assert of_tile(tile, "en") == "Closing rate: 65.0 %, up 10.0 points on 2025-03-03 – 2025-03-09."
    assert headline([tile], "en") == ("Better than in 2025-03-03 – 2025-03-09: Closing rate.",)
