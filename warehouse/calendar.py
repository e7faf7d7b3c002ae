"""Working days, and the Spring Festival that moves.

China's working days are weekdays, less the official days off, with the weekend days that are worked instead
(调休). The State Council publishes them year by year, in the November before (国办发明电); the `holidays` library
has them from 2001 on. A year not yet published is provisional: ordinary weekends, the statutory festivals on
their known dates, a festival that falls on a weekend made up for on the next working days (全国年节及纪念日放假办法).

A site's own days stand in `calendar.toml` in its folder, and win:

    holidays = [2026-06-24]     # days off besides
    workdays = [2026-06-27]     # days worked besides
    published = [2027]          # years whose notice is written out above, days off and days worked instead

With the last, a new notice needs no new release.
"""

from __future__ import annotations

import tomllib
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.site import mistake_of

FIRST, LAST = 1950, 2100
"""Years with working days: those of the People's Republic that the library knows."""
NEAR = timedelta(days=45)
"""How far before and after the Spring Festival a period is aligned by it."""

_DAY = timedelta(days=1)


def _as_day(value: object) -> object:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("not a day such as 2026-10-01")
    return value


_Day = Annotated[date, BeforeValidator(_as_day)]


class Override(BaseModel):
    """A site's own days: off, worked, and the years for which they are the whole official calendar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holidays: frozenset[_Day] = frozenset()
    workdays: frozenset[_Day] = frozenset()
    published: frozenset[int] = frozenset()


NONE = Override()


def load_override(folder: Path) -> Override:
    """Read `folder/calendar.toml`; without one there are no own days. Raises Mistake, naming file and key."""
    path = folder / "calendar.toml"
    if not path.is_file():
        return NONE
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(str(path), f"not valid TOML: {error}", "mend the line it names") from error
    try:
        own = Override(**data)
    except ValidationError as error:
        raise mistake_of(error, path, set(Override.model_fields)) from error
    for day in sorted(own.holidays & own.workdays):
        raise Mistake(str(path), f"{day} is in 'holidays' and in 'workdays'", "leave it in one")
    for year in sorted(own.published - {day.year for day in own.holidays}):
        raise Mistake(
            str(path), f"'published' names {year}, 'holidays' has no day of it", "write the notice's days out"
        )
    return own


def is_working_day(day: date, own: Override = NONE) -> bool:
    """Whether offices work on this day. Raises Mistake for a year before 1950 or after 2100."""
    if isinstance(day, datetime):
        day = day.date()
    if day in own.holidays:
        return False
    if day in own.workdays:
        return True
    if day.year in own.published:
        return day.weekday() < 5
    off, worked = _official(day.year)
    return day in worked or (day.weekday() < 5 and day not in off)


def provisional(year: int, own: Override = NONE) -> bool:
    """Whether the year's official calendar is unknown (not yet published, or before 2001), so that it is assumed.

    A published year is known by its make-up workdays: every notice since 2001 has had some.
    """
    return year not in own.published and not _official(year)[1]


def add_working_days(day: date, n: int, own: Override = NONE) -> date:
    """The n-th working day after `day`, which is not counted; before it for n < 0; `day` itself for 0.

    The first working day from `day` on, to which a term that ends on a day off is extended (民法典 art. 203), is
    `add_working_days(day - timedelta(days=1), 1)`.
    """
    step = _DAY if n > 0 else -_DAY
    left = abs(n)
    while left:
        day += step
        left -= is_working_day(day, own)
    return day


def working_days_between(start: date, end: date, own: Override = NONE) -> int:
    """The working days after `start` up to and with `end`; for an earlier `end`, minus those from it to before `start`.

    So `working_days_between(day, add_working_days(day, n)) == n`, and the day a term begins is not counted
    (民法典 art. 201).
    """
    if end < start:
        return -_working(end, start, own)
    return _working(start + _DAY, end + _DAY, own)


def _working(first: date, stop: date, own: Override) -> int:
    return sum(is_working_day(first + timedelta(days=i), own) for i in range((stop - first).days))


@lru_cache(maxsize=256)
def _official(year: int) -> tuple[frozenset[date], frozenset[date]]:
    """The official days off of a year, and the weekend days worked instead; none of these before 2001."""
    if not FIRST <= year <= LAST:
        raise Mistake("calendar", f"no working days for the year {year}", f"ask for {FIRST} to {LAST}")
    # 0.2 s to import: only for those who ask.
    from holidays import country_holidays

    known = country_holidays("CN", years=year, expand=False)
    return frozenset(known), frozenset(day for day in known.weekend_workdays if day.year == year)


# The Spring Festival

_FESTIVALS = """
1900 0131 0219 0208 0129 0216 0204 0125 0213 0202 0122
1910 0210 0130 0218 0206 0126 0214 0203 0123 0211 0201
1920 0220 0208 0128 0216 0205 0124 0213 0202 0123 0210
1930 0130 0217 0206 0126 0214 0204 0124 0211 0131 0219
1940 0208 0127 0215 0205 0125 0213 0202 0122 0210 0129
1950 0217 0206 0127 0214 0203 0124 0212 0131 0218 0208
1960 0128 0215 0205 0125 0213 0202 0121 0209 0130 0217
1970 0206 0127 0215 0203 0123 0211 0131 0218 0207 0128
1980 0216 0205 0125 0213 0202 0220 0209 0129 0217 0206
1990 0127 0215 0204 0123 0210 0131 0219 0207 0128 0216
2000 0205 0124 0212 0201 0122 0209 0129 0218 0207 0126
2010 0214 0203 0123 0210 0131 0219 0208 0128 0216 0205
2020 0125 0212 0201 0122 0210 0129 0217 0206 0126 0213
2030 0203 0123 0211 0131 0219 0208 0128 0215 0204 0124
2040 0212 0201 0122 0210 0130 0217 0206 0126 0214 0202
2050 0123 0211 0201 0219 0208 0128 0215 0204 0124 0212
2060 0202 0121 0209 0129 0217 0205 0126 0214 0203 0123
2070 0211 0131 0219 0207 0127 0215 0205 0124 0212 0202
2080 0122 0209 0129 0217 0206 0126 0214 0203 0124 0210
2090 0130 0218 0207 0127 0215 0205 0125 0212 0201 0121
2100 0209
"""
"""Month and day of the first day of the first lunar month, ten years a line.

GB/T 33661-2017: the second new moon after the winter solstice, the third where a leap month comes between, by the
date at UTC+8; computed with PyEphem 4.2 and equal to borax 4.1 for 1900-2100 and holidays 0.109 for 1901-2099, but
for 1916: then Beijing's own noon still counted (until 1929), and the new moon of 23:51 on 3 February was that day's.
"""


@lru_cache(maxsize=1)
def _festivals() -> dict[int, date]:
    out: dict[int, date] = {}
    for line in _FESTIVALS.split("\n"):
        decade, *days = line.split() or ["0"]
        for year, day in enumerate(days, start=int(decade)):
            out[year] = date(year, int(day[:2]), int(day[2:]))
    return out


def spring_festival(year: int) -> date:
    """The first day of the lunar year that begins in `year`, 1900 to 2100; else raises Mistake."""
    try:
        return _festivals()[year]
    except KeyError:
        raise Mistake("calendar", f"no Spring Festival known for {year}", "ask for 1900 to 2100") from None


def near_spring_festival(period: Period) -> bool:
    """Whether the whole period lies within 45 days of a Spring Festival, so that `lunar_aligned` shifts it."""
    return _festival_near(period) is not None


def lunar_aligned(period: Period) -> Period:
    """The period to compare with a year earlier.

    A period that lies wholly within 45 days before or after a Spring Festival is moved by as many days as lie
    between that festival and the one before: the same length, as far from the festival, not the same
    weekdays. Any other period, a whole quarter or year too, is `period.year_before()`.
    """
    festival = _festival_near(period)
    if festival is None:
        return period.year_before()
    shift = festival - spring_festival(festival.year - 1)
    return Period(period.start - shift, period.end - shift)


def _festival_near(period: Period) -> date | None:
    # From 7 December, 45 days before the earliest festival, to 7 April.
    if 4 < period.end.month < 12:
        return None
    festival = spring_festival(period.end.year + (period.end.month == 12))
    return festival if festival - NEAR <= period.start and period.end <= festival + NEAR else None
