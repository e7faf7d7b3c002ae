"""Periods: whole days, first and last included."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

from warehouse.mistake import Mistake


@dataclass(frozen=True, order=True)
class Period:
    """From `start` to `end`, both days included."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise Mistake("period", f"ends {self.end} before it starts {self.start}", "swap --from and --to")

    def __str__(self) -> str:
        return f"{self.start}/{self.end}"

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def whole_months(self) -> bool:
        return self.start.day == 1 and (self.end + timedelta(days=1)).day == 1

    def previous(self) -> Period:
        """The period of the same length just before; for whole months, as many months before."""
        if self.whole_months:
            months = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month + 1
            return Period(_months_before(self.start, months), self.start - timedelta(days=1))
        return Period(self.start - timedelta(days=self.days), self.start - timedelta(days=1))

    def year_before(self) -> Period:
        """The same days a year earlier; a month's last day stays a month's last day."""
        return self._earlier(12)

    def progress_before(self, last: date) -> Period:
        """The same days of the unit before, as far as this period has come by day `last`.

        A period from the first of a month, within it, is compared with the month before; one from the first of a
        quarter, within it, with the quarter before; any longer one from 1 January with the year before. A month's last
        day is the earlier month's last day. Of any other period: as many days just before it.
        """
        end = min(self.end, last) if last >= self.start else self.end
        span = (end.year - self.start.year) * 12 + end.month - self.start.month + 1
        if self.start.day == 1 and span == 1:
            months = 1
        elif self.start.day == 1 and self.start.month == 1 and span <= 12:
            months = 12
        elif self.start.day == 1 and self.start.month % 3 == 1 and span <= 3:
            months = 3
        else:
            return Period(self.start, end).previous()
        return Period(self.start, end)._earlier(months)

    def months(self) -> tuple[Period, ...]:
        """The calendar months touched, each cut to this period."""
        out: list[Period] = []
        first = self.start
        while first <= self.end:
            last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
            out.append(Period(first, min(last, self.end)))
            first = last + timedelta(days=1)
        return tuple(out)

    def _earlier(self, months: int) -> Period:
        """The same days so many months earlier; a month's last day stays a month's last day."""
        end = _months_before(self.end, months)
        if (self.end + timedelta(days=1)).day == 1:
            end = end.replace(day=calendar.monthrange(end.year, end.month)[1])
        return Period(_months_before(self.start, months), end)


def _months_before(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
