"""The days of the demo: its window, and how busy a day is by season, weekday and holiday."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

import holidays
import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]
Spans = NDArray[np.timedelta64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MONTHS = 24
UNKNOWN = np.datetime64("NaT", "s")


def stream(seed: int, name: str) -> np.random.Generator:
    """A generator of its own for each record set, so that one may change without moving the others."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


@dataclass(frozen=True)
class Window:
    """Calendar months (24) that end with the month of `until`; nothing happens after `now` (site's local time)."""

    until: date
    now: datetime
    length: int = MONTHS

    @cached_property
    def start(self) -> date:
        index = self.until.year * 12 + self.until.month - self.length
        return date(index // 12, index % 12 + 1, 1)

    @property
    def cutoff(self) -> np.datetime64:
        return np.datetime64(self.now.replace(microsecond=0), "s")

    @property
    def published(self) -> tuple[date, date]:
        """The published window moved to the last calendar year that ended before `until`: 1 January to 26 December."""
        return date(self.last_year, 1, 1), date(self.last_year, 12, 26)

    @property
    def last_year(self) -> int:
        """The last calendar year that ended before `until`."""
        return self.until.year - 1

    @property
    def begun(self) -> date:
        """A day before any record: 1 January, three years before the last complete one."""
        return date(self.last_year - 3, 1, 1)

    @property
    def middle(self) -> date:
        """The first day of the month half-way through."""
        index = self.start.year * 12 + self.start.month - 1 + self.length // 2
        return date(index // 12, index % 12 + 1, 1)

    @cached_property
    def days(self) -> Times:
        """Every day of the window, `until` included."""
        return np.arange(np.datetime64(self.start, "D"), np.datetime64(self.until + timedelta(days=1), "D"))

    @cached_property
    def months(self) -> Times:
        return np.arange(np.datetime64(self.start, "M"), np.datetime64(self.until, "M") + 1)

    @cached_property
    def month_of_day(self) -> Ints:
        """1 to 12, per day."""
        return self.days.astype("datetime64[M]").astype(np.int64) % 12 + 1

    @cached_property
    def weekday(self) -> Ints:
        """0 Monday to 6 Sunday, per day."""
        return (self.days.astype("datetime64[D]").astype(np.int64) + 3) % 7

    @cached_property
    def spring_festival(self) -> NDArray[np.bool_]:
        return self._named(("Chinese New Year",), days_after=5)

    @cached_property
    def national_day(self) -> NDArray[np.bool_]:
        return self._named(("National Day",), days_after=3)

    @cached_property
    def tomb_sweeping(self) -> NDArray[np.bool_]:
        return self._named(("Tomb-Sweeping",), days_after=1)

    def _named(self, names: tuple[str, ...], days_after: int) -> NDArray[np.bool_]:
        years = range(self.start.year, self.until.year + 1)
        known = holidays.country_holidays("CN", years=years, language="en_US")
        marked: set[date] = set()
        for day, name in known.items():
            if any(part in name for part in names):
                marked.update(day + timedelta(days=i) for i in range(days_after + 1))
        return np.array([day in marked for day in self.days.astype(object)])

    def busy(self, by_month: tuple[float, ...], weekend: float, festival: float, holiday: float) -> Floats:
        """How busy each day is (1 = usual): a factor per month, for weekends, the Spring Festival, National Day."""
        level = np.array(by_month)[self.month_of_day - 1]
        level = level * np.where(self.weekday >= 5, weekend, 1.0)
        level = level * np.where(self.spring_festival, festival, 1.0)
        return np.asarray(level * np.where(self.national_day, holiday, 1.0))


OFFICE = (1, 0.5, 0.4, 0.3, 0.4, 1, 3, 8, 16, 20, 18, 12, 7, 8, 15, 17, 15, 11, 8, 7, 6, 4, 3, 2)
VISITING = (0, 0, 0, 0, 0, 0, 0, 1, 9, 14, 14, 8, 2, 3, 9, 13, 12, 9, 8, 10, 6, 1, 0, 0)
ALARMS = (3, 2, 2, 1, 1, 2, 3, 5, 6, 6, 7, 7, 7, 6, 7, 7, 8, 8, 8, 8, 7, 6, 5, 4)


def moments(days: Times, hours: tuple[float, ...], rng: np.random.Generator) -> Times:
    """A time on each day, drawn by the profile of its 24 hours; whole seconds."""
    share = np.array(hours, dtype=np.float64)
    hour = rng.choice(24, len(days), p=share / share.sum())
    second = hour * 3600 + rng.integers(0, 3600, len(days))
    return np.asarray(days.astype("datetime64[s]") + second.astype("timedelta64[s]"))


def hours(amount: Floats) -> Spans:
    """Hours as a span of whole seconds."""
    return np.round(amount * 3600).astype(np.int64).astype("timedelta64[s]")


def later(times: Times, amount: Floats | float) -> Times:
    """The times that many hours on."""
    return np.asarray(times + hours(np.asarray(amount, dtype=np.float64)))


def minute(times: Times) -> Times:
    """Cut to the minute, as ledgers write it."""
    return times.astype("datetime64[m]").astype("datetime64[s]")


def serials(born: Times, prefix: str, width: int) -> NDArray[np.object_]:
    """Business keys: prefix, day, running number of that day; in the order of `born`."""
    day = born.astype("datetime64[D]")
    order = np.lexsort((born, day))
    number = np.empty(len(born), dtype=np.int64)
    sorted_day = day[order]
    first = np.r_[True, sorted_day[1:] != sorted_day[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(born)), 0))
    number[order] = np.arange(len(born)) - start + 1
    written = np.datetime_as_string(day).tolist()
    keys = [
        f"{prefix}{d[:4]}{d[5:7]}{d[8:10]}{n:0{width}d}"
        for d, n in zip(written, number.tolist(), strict=True)
    ]
    return np.array(keys, dtype=object)
