"""What a view is compared with: a named period before it, or two dates of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from warehouse.calendar import lunar_aligned, near_spring_festival
from warehouse.mistake import Mistake, nearest
from warehouse.period import Period
from warehouse.text import Text

COMPARES: dict[str, Text] = {
    "both": Text(zh="环比与同比", en="Previous and last year"),
    "previous": Text(zh="环比（上一周期）", en="Previous period"),
    "year": Text(zh="同比（上年同期）", en="Same period last year"),
    "to_date": Text(zh="同期进度（上月、上季、上年）", en="Same days to date"),
    "lunar": Text(zh="同比（春节对齐）", en="Last year by the lunar calendar"),
    "none": Text(zh="不对比", en="No comparison"),
}
"""The named comparisons; besides them two days, such as 2025-01-01..2025-03-31."""
OWN = Text(zh="自选时段", en="Own dates")
BETWEEN = ".."


@dataclass(frozen=True)
class Comparison:
    """An earlier period, how it stands beside a change ("vs last year") and in a sentence ("on the same period last year"),
    and after better or worse ("than in the same period last year")."""

    period: Period
    label: Text
    said: Text
    than: Text


def checked(compare: str) -> str:
    """The comparison as an address holds it. Raises Mistake on an unknown name or wrong days."""
    if compare not in COMPARES:
        own_period(compare)
    return compare


def own_period(compare: str) -> Period | None:
    """The period of a comparison of one's own, None for a named one. Raises Mistake as `checked` does."""
    if compare in COMPARES:
        return None
    first, dots, last = compare.partition(BETWEEN)
    if not dots:
        near = nearest(compare, COMPARES)
        raise Mistake(
            "compare", f"unknown comparison '{compare}'", f"{near}, or two days: 2025-01-01..2025-03-31"
        )
    try:
        return Period(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as error:
        raise Mistake(
            "compare", f"'{compare}' is not two dates", "write them as 2025-01-01..2025-03-31"
        ) from error


def comparisons(compare: str, period: Period, cutoff: datetime) -> tuple[Comparison, ...]:
    """What a period is compared with; nothing for `none`. Raises Mistake as `checked` does."""
    own = own_period(compare)
    if own is not None:
        label = Text(zh=f"较{own.start}至{own.end}", en=f"vs {own.start} – {own.end}")
        than = Text(zh=label.zh, en=f"than in {own.start} – {own.end}")
        return (Comparison(own, label, Text(zh=label.zh, en=f"on {own.start} – {own.end}"), than),)
    previous = Comparison(period.previous(), *_words("较上期", "previous", "the previous period"))
    year = Comparison(period.year_before(), *_words("较上年同期", "last year", "the same period last year"))
    if compare == "both":
        return previous, year
    if compare == "to_date":
        before = period.progress_before(cutoff.date())
        return (Comparison(before, *_words("较上期同进度", "same days before", "the same days before")),)
    if compare == "lunar" and near_spring_festival(period):
        words = _words(
            "较上年春节同期", "last year, lunar", "the same days around last year's Spring Festival"
        )
        return (Comparison(lunar_aligned(period), *words),)
    return {"previous": (previous,), "none": ()}.get(compare, (year,))


def compared_text(compare: str, period: Period, cutoff: datetime) -> Text:
    """The comparison as a heading says it, with the days where the name does not tell them."""
    found = comparisons(compare, period, cutoff)
    name = COMPARES.get(compare, OWN)
    if compare in ("both", "none"):
        return name
    days = f"{found[0].period.start} – {found[0].period.end}"
    return Text(zh=f"{name.zh}：{days}", en=f"{name.en}: {days}")


def _words(zh: str, beside: str, noun: str) -> tuple[Text, Text, Text]:
    than = "than on" if "days" in noun else "than in"
    return Text(zh=zh, en=f"vs {beside}"), Text(zh=zh, en=f"on {noun}"), Text(zh=zh, en=f"{than} {noun}")
