"""Working days against the State Council's notices, and the Spring Festival."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.calendar import (
    Override,
    add_working_days,
    is_working_day,
    load_override,
    lunar_aligned,
    near_spring_festival,
    provisional,
    spring_festival,
    working_days_between,
)
from warehouse.mistake import Mistake
from warehouse.period import Period

# 国务院办公厅关于某年部分节假日安排的通知, written out by hand: spans off (first-last), and weekend days worked.
# 2020 with its extension of the Spring Festival to 2 February (国办发明电〔2020〕1号), which took back 1 February.
NOTICES = """
2020 国办发明电〔2019〕16号 off 0101 0124-0202 0404-0406 0501-0505 0625-0627 1001-1008 work 0119 0426 0509 0628 0927 1010
2021 国办发明电〔2020〕27号 off 0101-0103 0211-0217 0403-0405 0501-0505 0612-0614 0919-0921 1001-1007 work 0207 0220 0425 0508 0918 0926 1009
2022 国办发明电〔2021〕11号 off 0101-0103 0131-0206 0403-0405 0430-0504 0603-0605 0910-0912 1001-1007 work 0129 0130 0402 0424 0507 1008 1009
2023 国办发明电〔2022〕16号 off 0101-0102 0121-0127 0405 0429-0503 0622-0624 0929-1006 work 0128 0129 0423 0506 0625 1007 1008
2024 国办发明电〔2023〕7号 off 0101 0210-0217 0404-0406 0501-0505 0610 0915-0917 1001-1007 work 0204 0218 0407 0428 0511 0914 0929 1012
2025 国办发明电〔2024〕12号 off 0101 0128-0204 0404-0406 0501-0505 0531-0602 1001-1008 work 0126 0208 0427 0928 1011
2026 国办发明电〔2025〕7号 off 0101-0103 0215-0223 0404-0406 0501-0505 0619-0621 0925-0927 1001-1007 work 0104 0214 0228 0509 0920 1010
"""

# The first to ask for a year waits for the holidays library.
patient = settings(deadline=None)
DAYS = st.dates(date(2022, 1, 1), date(2028, 12, 31))
DAY = timedelta(days=1)


def _days(year: int, span: str) -> list[date]:
    first, _, last = span.partition("-")
    begin, end = (date(year, int(day[:2]), int(day[2:])) for day in (first, last or first))
    return [begin + i * DAY for i in range((end - begin).days + 1)]


def _period(text: str) -> Period:
    start, _, end = text.partition("/")
    return Period(date.fromisoformat(start), date.fromisoformat(end))


@pytest.mark.parametrize("notice", NOTICES.strip().split("\n"), ids=lambda line: line[:4])
def test_every_day_of_a_year_is_worked_or_off_as_its_notice_says(notice: str) -> None:
    head, _, worked = notice.partition(" work ")
    year, _, *spans = head.replace(" off ", " ").split()
    off = {day for span in spans for day in _days(int(year), span)}
    work = {day for span in worked.split() for day in _days(int(year), span)}
    assert all(day.weekday() >= 5 for day in work) and not off & work
    every = (date(int(year), 1, 1) + i * DAY for i in range(366))
    wrong = [
        day
        for day in every
        if day.year == int(year)
        and is_working_day(day) != (day in work or (day.weekday() < 5 and day not in off))
    ]
    assert wrong == []
    assert not provisional(int(year))


def test_a_make_up_sunday_is_worked_and_its_bridge_day_is_off() -> None:
    assert is_working_day(date(2026, 1, 4))
    assert is_working_day(datetime(2026, 1, 4, 23, 59))
    assert not is_working_day(date(2026, 1, 2))
    assert not is_working_day(datetime(2026, 1, 2, 8, 0))


def test_a_year_not_yet_published_is_provisional_with_weekends_and_festivals_assumed() -> None:
    assert provisional(2099) and provisional(1999)
    # 2099: 1 May is a Friday, its second day off a Saturday; 21 January is New Year.
    assert not is_working_day(date(2099, 5, 1))
    assert not is_working_day(date(2099, 1, 21))
    assert not is_working_day(date(2099, 3, 7)) and not is_working_day(date(2099, 3, 8))
    assert is_working_day(date(2099, 3, 9))


def test_a_year_without_calendar_says_which_years_there_are() -> None:
    with pytest.raises(Mistake, match=r"no working days for the year 1949 \(ask for 1950 to 2100\)"):
        is_working_day(date(1949, 12, 30))


#   January 2026   Th 1 off | Fr 2 off | Sa 3 off | Su 4 WORKED | Mo 5 …
@pytest.mark.parametrize(
    ("day", "n", "then"),
    [
        ("2025-12-31", 1, "2026-01-04"),
        ("2025-12-31", 2, "2026-01-05"),
        ("2026-01-02", 0, "2026-01-02"),
        ("2026-01-02", 1, "2026-01-04"),
        ("2026-01-05", -1, "2026-01-04"),
        ("2026-01-05", -2, "2025-12-31"),
        ("2026-02-13", 2, "2026-02-24"),
        # 15 working days of a petition received before the Spring Festival.
        ("2026-02-06", 15, "2026-03-05"),
    ],
)
def test_working_days_are_counted_from_the_day_after(day: str, n: int, then: str) -> None:
    assert add_working_days(date.fromisoformat(day), n) == date.fromisoformat(then)


@patient
@given(DAYS, st.integers(-120, 120))
def test_adding_and_counting_working_days_are_inverse(day: date, n: int) -> None:
    then = add_working_days(day, n)
    assert working_days_between(day, then) == n
    assert n == 0 or is_working_day(then)
    if is_working_day(day):
        assert add_working_days(then, -n) == day


@patient
@given(st.tuples(DAYS, DAYS, DAYS).map(sorted))
def test_working_days_of_adjoining_spans_add_up(days: list[date]) -> None:
    a, b, c = days
    assert working_days_between(a, b) + working_days_between(b, c) == working_days_between(a, c)
    assert working_days_between(c, b) + working_days_between(b, a) == working_days_between(c, a)


# A site's own days


def _written(folder: Path, text: str) -> Override:
    (folder / "calendar.toml").write_text(text, encoding="utf-8")
    return load_override(folder)


def test_a_site_without_its_own_file_has_the_national_calendar(tmp_path: Path) -> None:
    assert load_override(tmp_path) == Override()


def test_a_sites_own_days_win_over_the_national_ones(tmp_path: Path) -> None:
    own = _written(tmp_path, 'holidays = [2026-06-24, "2026-01-04"]\nworkdays = [2026-06-27, 2026-01-02]\n')
    week = [date(2026, 6, 22) + i * DAY for i in range(7)]
    assert [is_working_day(day, own) for day in week] == [True, True, False, True, True, True, False]
    assert not is_working_day(date(2026, 1, 4), own) and is_working_day(date(2026, 1, 2), own)
    assert add_working_days(date(2026, 6, 23), 1, own) == date(2026, 6, 25)
    assert working_days_between(date(2026, 6, 21), date(2026, 6, 28), own) == 5


def test_a_site_can_write_a_new_notice_out_before_the_library_knows_it(tmp_path: Path) -> None:
    own = _written(
        tmp_path, "published = [2099]\nholidays = [2099-01-01, 2099-01-23]\nworkdays = [2099-01-24]\n"
    )
    assert provisional(2099) and not provisional(2099, own)
    assert not is_working_day(date(2099, 1, 23), own) and is_working_day(date(2099, 1, 24), own)
    # What was assumed for that year no longer is.
    assert not is_working_day(date(2099, 1, 22)) and is_working_day(date(2099, 1, 22), own)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("holidays = [2026-06-24", "not valid TOML"),
        ("holiday = [2026-06-24]", "unknown key 'holiday' (did you mean 'holidays'?)"),
        ("holidays = [20260624]", "not a day such as 2026-10-01"),
        ("holidays = [2026-06-24T08:00:00]", "not a day such as 2026-10-01"),
        ('holidays = ["24.6.2026"]', "24.6.2026"),
        ("holidays = [2026-06-24]\nworkdays = [2026-06-24]", "2026-06-24 is in 'holidays' and in 'workdays'"),
        (
            "published = [2027]\nholidays = [2026-06-24]",
            "'published' names 2027, 'holidays' has no day of it",
        ),
    ],
)
def test_a_wrong_calendar_is_told_with_file_key_and_remedy(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(Mistake) as caught:
        _written(tmp_path, text)
    assert str(tmp_path / "calendar.toml") in str(caught.value)
    assert told in str(caught.value)


# The Spring Festival


# Well known, and the hard ones: 1985 and 2034 (late), 2033 (leap eleventh month), 2027 and 2030 (new moon within
# minutes of midnight), 1916 (Beijing's own time).
KNOWN = """
1900-01-31 1916-02-03 1949-01-29 1976-01-31 1985-02-20 2000-02-05 2020-01-25 2021-02-12 2022-02-01 2023-01-22
2024-02-10 2025-01-29 2026-02-17 2027-02-06 2030-02-03 2033-01-31 2034-02-19 2100-02-09
"""


@pytest.mark.parametrize("day", KNOWN.split())
def test_the_spring_festival_falls_on_its_known_day(day: str) -> None:
    assert spring_festival(int(day[:4])) == date.fromisoformat(day)


def test_the_spring_festivals_are_those_of_the_holidays_library() -> None:
    from holidays.calendars.chinese import _ChineseLunisolar

    theirs = _ChineseLunisolar()
    other = [y for y in range(1901, 2100) if theirs.lunar_new_year_date(y)[0] != spring_festival(y)]
    assert other == [1916]


def test_lunar_years_are_of_twelve_or_thirteen_moons() -> None:
    gaps = {(spring_festival(y + 1) - spring_festival(y)).days for y in range(1900, 2100)}
    assert gaps <= {353, 354, 355, 383, 384, 385}


@pytest.mark.parametrize("year", [1899, 2101])
def test_an_unknown_spring_festival_is_a_mistake(year: int) -> None:
    with pytest.raises(Mistake, match="ask for 1900 to 2100"):
        spring_festival(year)


@pytest.mark.parametrize(
    ("period", "before"),
    [
        # The holiday week: 17 February 2026 against 29 January 2025.
        ("2026-02-15/2026-02-23", "2025-01-27/2025-02-04"),
        # A month near the festival.
        ("2026-02-01/2026-02-28", "2025-01-13/2025-02-09"),
        ("2023-01-01/2023-01-31", "2022-01-11/2022-02-10"),
        # 45 days before is aligned, 46 is not.
        ("2026-01-03/2026-01-10", "2024-12-15/2024-12-22"),
        ("2026-01-02/2026-01-10", "2025-01-02/2025-01-10"),
        # Beginning in the old year; 2023's festival was on 22 January.
        ("2022-12-20/2023-01-05", "2021-12-30/2022-01-15"),
        # Far from it, and longer than its neighbourhood: plain.
        ("2026-06-01/2026-06-30", "2025-06-01/2025-06-30"),
        ("2026-01-01/2026-03-31", "2025-01-01/2025-03-31"),
        ("2024-01-01/2024-12-31", "2023-01-01/2023-12-31"),
        ("2025-11-01/2025-12-20", "2024-11-01/2024-12-20"),
    ],
)
def test_a_period_near_the_spring_festival_is_compared_at_the_same_distance(period: str, before: str) -> None:
    assert lunar_aligned(_period(period)) == _period(before)


@patient
@given(st.dates(date(1902, 1, 1), date(2100, 11, 30)), st.integers(0, 120))
def test_an_aligned_period_is_as_long_and_as_far_from_the_festival(start: date, days: int) -> None:
    period = Period(start, start + days * DAY)
    if period.end > date(2100, 11, 30):
        return
    before = lunar_aligned(period)
    if not near_spring_festival(period):
        assert before == period.year_before()
        return
    year = period.end.year + (period.end.month == 12)
    assert before.days == period.days
    assert before.start - spring_festival(year - 1) == period.start - spring_festival(year)
