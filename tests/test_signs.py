"""Questions about the data: each planted in a small world and found there, and an honest world raises none.

Records of 1 March to 15 June 2026 in the townships K1 and K2; the cut-off is 15 June at noon.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from dashboard.blocks import Table
from dashboard.pages.data import PAGE
from dashboard.view import view_of
from tests.world import Row, case, world
from warehouse.scope import scope_of
from warehouse.signs import SIGNS, Raised, by_name, raised
from warehouse.site import Signs, Site, Target
from warehouse.text import Text
from warehouse.version import Version, current
from warehouse.viewer import Viewer

CUTOFF = datetime(2026, 6, 15, 12)
FIRST = datetime(2026, 3, 1, 9)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def honest(grid: str, serial: int) -> Iterator[dict[str, Any]]:
    """Two cases a day, due in three days, closed after 5 to 66 hours, each a matter of its own."""
    for k in range(2 * 106):
        reported = FIRST + k // 2 * DAY + k % 2 * 5 * HOUR
        closed = reported + (5 + k * 37 % 62) * HOUR
        more = {"closed_at": closed} if closed <= CUTOFF else {}
        yield case(
            serial + k,
            grid,
            reported,
            due_at=reported + 3 * DAY,
            matter_key=f"m{grid}{k}",
            reworked=0,
            **more,
        )


def cases() -> list[dict[str, Any]]:
    return [*honest("K1a1", 0), *honest("K2a1", 1000)]


def reworked() -> list[dict[str, Any]]:
    """Every sixth case of K1 had to be done again."""
    given = cases()
    for one in given[:212:6]:
        one["reworked"] = 1
    return given


def answers(place: str, given: int, asked: int) -> list[Row]:
    return [
        {
            "answer_id": f"s{place}{k}", "place": place, "subject": "petition", "kind": "first", "rated_body": "unit",
            "rating": 5 if k < given else None, "closed_at": datetime(2026, 5, 1, 9),
        }
        for k in range(asked)
    ]  # fmt: skip


def site(**more: Any) -> Site:
    return Site(folder="/nowhere", name=Text(zh="县", en="County"), home="K", as_of=CUTOFF, **more)


def found(version: Version, place: Site | None = None, scope: str = "K") -> tuple[Raised, ...]:
    return raised(version, place or site(), scope_of(version, scope))


def asked(version: Version, place: Site | None = None, scope: str = "K") -> list[tuple[str, str]]:
    return [(one.sign, one.place) for one in found(version, place, scope)]


def test_an_honest_world_raises_no_question() -> None:
    version = world({"cases": cases(), "surveys": answers("K1a1", 30, 60)}, CUTOFF)
    assert asked(version, site(targets={"closing_rate": Target(target=0.9, since=date(2026, 5, 1))})) == []


def test_the_demo_raises_no_question(small_site: Site) -> None:
    version = current(small_site)
    assert raised(version, small_site, scope_of(version, small_site.home)) == ()


def test_cases_closed_just_before_they_fall_due_raise_a_question_to_their_township() -> None:
    given = cases()
    for one in [c for c in given if c["place"] == "K2a1" and "closed_at" in c][::3]:
        one["closed_at"] = one["due_at"] - timedelta(minutes=20)
    (one,) = found(world({"cases": given}, CUTOFF))
    assert (one.sign, one.place) == ("bunched", "K2")
    assert " were closed in the last 2 hours" in one.figures.en


def test_matters_that_come_again_soon_after_closing_raise_a_question() -> None:
    given = cases()
    for before, after in zip(given[212::4], given[214::4], strict=False):
        before["closed_at"] = before["reported_at"] + 5 * HOUR
        after["matter_key"] = before["matter_key"]
    assert asked(world({"cases": given}, CUTOFF)) == [("repeated", "K2")]


def test_cases_that_had_to_be_done_again_raise_the_same_question() -> None:
    assert asked(world({"cases": reworked()}, CUTOFF)) == [("repeated", "K1")]


def test_ratings_from_too_few_raise_a_question_without_telling_how_few() -> None:
    version = world({"surveys": [*answers("K1a1", 3, 60), *answers("K2a1", 20, 60)]}, CUTOFF)
    (one,) = found(version)
    assert (one.sign, one.place) == ("rated", "K1")
    assert one.figures.en == "<5 of 60 ratings asked for were given"


def test_a_township_gone_silent_raises_a_question_and_a_whole_source_only_one() -> None:
    until = datetime(2026, 6, 3)
    quiet = [c for c in cases() if c["place"] != "K2a1" or c["reported_at"] < until]
    (one,) = found(world({"cases": quiet}, CUTOFF))
    assert (one.sign, one.place) == ("silent", "K2") and "13 days ago" in one.figures.en
    assert asked(world({"cases": [c for c in cases() if c["reported_at"] < until]}, CUTOFF)) == [
        ("silent", "K")
    ]


def test_a_source_that_reports_once_a_month_is_not_silent_between() -> None:
    monthly = [
        case(month * 100 + 50 * half + k, grid, datetime(2026, month, 2, 9))
        for month in (1, 2, 3, 4, 5)
        for half, grid in enumerate(("K1a1", "K2a1"))
        for k in range(30)
    ]
    assert asked(world({"cases": monthly}, CUTOFF)) == []


def test_reports_that_fall_when_a_target_is_set_raise_a_question() -> None:
    since = date(2026, 5, 10)
    fewer = [
        c
        for k, c in enumerate(cases())
        if c["place"] != "K1a1" or c["reported_at"].date() < since or k % 3 == 0
    ]
    version = world({"cases": fewer}, CUTOFF)
    (one,) = found(version, site(targets={"closing_rate": Target(target=0.9, since=since)}))
    assert (one.sign, one.place) == ("dropped", "K1")
    assert "60 in the 30 days before, 20 in the 30 days after" in one.figures.en
    assert asked(version, site(targets={"closing_rate": Target(target=0.9)})) == []


def test_a_threshold_of_the_site_decides() -> None:
    assert asked(world({"cases": reworked()}, CUTOFF), site(signs=Signs(repeated_share=0.3))) == []


def test_below_the_township_nothing_is_asked_and_a_township_is_asked_alone() -> None:
    version = world({"cases": reworked()}, CUTOFF)
    assert asked(version, scope="K1") == [("repeated", "K1")]
    assert asked(version, scope="K2") == asked(version, scope="K1a") == asked(version, scope="K1a1") == []


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_every_sign_is_a_question_with_its_rule_in_both_languages(sign: Any) -> None:
    rule = sign.ruled(site())
    assert sign.question.zh.endswith("？") and "是否" in sign.question.zh
    assert sign.question.en.endswith("?")
    for text in (sign.question.en, rule.en):
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in text) and "{" not in rule.zh + text


def test_the_data_page_shows_the_question_with_its_figures() -> None:
    view = view_of(site(), world({"cases": reworked()}, CUTOFF), Viewer("K"), {"lang": "en"}, asked=CUTOFF)
    table = next(
        b for b in PAGE.build(view) if isinstance(b, Table) and b.title == "Questions about the data"
    )
    (row,) = table.rows
    assert row.cells[:2] == (by_name()["repeated"].question.en, "Place K1")
    assert row.address == (("scope", "K1"),) and "reworked" in row.cells[2]
