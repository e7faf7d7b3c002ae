"""What became of the figures of the last brief: each then and now, and why they differ, as far as it can be told.

The question of the earlier brief is asked again of the later version, and what it gives otherwise is itemised (see
warehouse/difference.py). Where it gives other than what is printed now, the period moved on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from dashboard.blocks import Column, Row, Table
from dashboard.figures import classed, number, unit
from dashboard.printing.register import Entry
from dashboard.view import View
from warehouse import difference
from warehouse.catalogue import catalogue, worded
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import NoData, NotApplicable, Result, Suppressed, Value, status_of
from warehouse.text import Text
from warehouse.version import Version

Why = difference.Why | Literal["same", "period", "added", "dropped", "untold"]
WHY: dict[Why, Text] = {
    "same": Text(zh="未变", en="unchanged"),
    "period": Text(zh="统计时段已变", en="the period moved on"),
    **{why: text for why, text in difference.WHY.items()},
    "added": Text(zh="上期未列", en="not in the last brief"),
    "dropped": Text(zh="本期不再列", en="no longer listed"),
    "untold": Text(zh="原因无法判明", en="the reason cannot be told"),
}
ALIKE = 1.5
"""How many times as long one period may be as the other and still be compared with it: a month with one not yet over."""


@dataclass(frozen=True)
class Item:
    """One figure in two briefs. `then` and `now` are None where the brief did not have it."""

    measure: str
    then: Result | None
    now: Result | None
    why: tuple[Why, ...]


def figures(view: View, measures: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The headline figures as the register keeps them: status, value, counts, and a stamp of the definition."""
    if not measures:
        return {}
    cells = query(
        view.version, view.viewer, list(measures), view.scope.code, [view.period], only=classed(view)
    )
    return {
        cell.measure: {**_kept(cell.result), "definition": _stamp(view.version, cell.measure)}
        for cell in cells
    }


def reasons(
    before: Entry,
    figures: Mapping[str, Mapping[str, Any]],
    period: Period,
    then: Version | None,
    now: Version,
) -> dict[str, list[str]]:
    """Why each figure of `before` or of the later brief is what it is, by measure. `then`: the version of `before`."""
    out: dict[str, list[str]] = {}
    for measure in dict.fromkeys([*figures, *before.figures]):
        if measure not in before.figures:
            out[measure] = ["added"]
        elif measure not in figures:
            out[measure] = ["dropped"]
        else:
            out[measure] = list(_why(before, measure, figures[measure], period, then, now))
    return out


def _why(
    before: Entry,
    measure: str,
    figure: Mapping[str, Any],
    period: Period,
    then: Version | None,
    now: Version,
) -> tuple[Why, ...]:
    old, new = _result(before.figures[measure]), _result(figure)
    if before.figures[measure]["definition"] != figure["definition"]:
        return ("definition",)
    known: tuple[Why, ...] = ("same",) if alike(old, new) else ("untold",)
    if then is None or measure.partition(":")[0] not in catalogue().measures:
        return known
    same_period = period_of(before) == period
    try:
        parts = difference.difference(then, now, measure, before.scope, period_of(before))
    except Mistake:
        return known
    why: list[Why] = [part.why for part in parts]
    if not same_period and not alike(old, new):
        why.append("period")
    return tuple(why) or known


def items(
    before: Entry, figures: Mapping[str, Mapping[str, Any]], why: Mapping[str, Sequence[str]]
) -> tuple[Item, ...]:
    """The comparison, one item per figure, in the order of the later brief."""
    return tuple(
        Item(
            measure,
            _result(before.figures[measure]) if measure in before.figures else None,
            _result(figures[measure]) if measure in figures else None,
            tuple(reason for reason in WHY if reason in parts),
        )
        for measure, parts in why.items()
        if measure in catalogue().measures or measure.partition(":")[0] in catalogue().measures
    )


def last_of(
    known: Sequence[Entry], pages: Sequence[str], scope: str, period: Period, version: str
) -> Entry | None:
    """The newest brief of the same pages and place that another version or period was printed for, where the periods
    are alike: they begin on the same day, or neither is much longer (`ALIKE`)."""
    for entry in reversed(known):
        if entry.pages != tuple(pages) or entry.scope != scope or not entry.figures:
            continue
        then = period_of(entry)
        if entry.version == version and then == period:
            continue
        if then.start == period.start or max(then.days, period.days) <= ALIKE * min(then.days, period.days):
            return entry
    return None


def table(view: View, before: Entry, found: Sequence[Item]) -> Table:
    """The comparison as a table, what changed first named by its sentence; unchanged figures are counted, not listed."""
    changed = [item for item in found if item.why != ("same",)]
    same = len(found) - len(changed)
    then = period_of(before)
    rows = []
    for item in changed:
        measure = catalogue().get(item.measure)
        shown = unit(measure, view.lang)
        cells = [
            "–"
            if result is None
            else number(measure, result, view.lang) + (f" {shown}" if isinstance(result, Value) else "")
            for result in (item.then, item.now)
        ]
        words = view.text("；", "; ").join(WHY[why][view.lang] for why in item.why)
        rows.append(Row((measure.label[view.lang], *cells, words)))
    return Table(
        title=view.text("与上一期简报相比", "Since the last brief"),
        columns=(
            Column(view.text("指标", "Figure"), width=2.4),
            Column(view.text("上一期", "Then"), "right"),
            Column(view.text("本期", "Now"), "right"),
            Column(view.text("原因", "Why"), width=2.6),
        ),
        rows=tuple(rows),
        total=len(rows),
        sentence=view.text(
            f"上一期：{then.start} 至 {then.end}（{before.version}）。{len(found)} 项指标中 {len(changed)} 项有变化，{same} 项未变。",
            f"The last brief: {then.start} to {then.end} ({before.version}). "
            f"Of {len(found)} figures {len(changed)} changed and {same} did not.",
        ),
        empty=view.text("各项指标均未变。", "No figure changed."),
        note=view.text(
            "两期时段可能重叠，此处只列数字，不作升降判断。",
            "The two periods may overlap: figures are set side by side and no rise or fall is claimed.",
        ),
    )


def period_of(entry: Entry) -> Period:
    return Period(date.fromisoformat(entry.start), date.fromisoformat(entry.end))


def alike(a: Result, b: Result) -> bool:
    """The same figure: the same status, value and counts."""
    if isinstance(a, Value) and isinstance(b, Value):
        return abs(a.value - b.value) <= 1e-9 * max(1.0, abs(a.value)) and (a.n, a.d) == (b.n, b.d)
    return type(a) is type(b)


def _kept(result: Result) -> dict[str, Any]:
    if isinstance(result, Value):
        return {"status": "value", "value": result.value, "n": result.n, "d": result.d}
    if isinstance(result, Suppressed):
        return {"status": "suppressed", "below": result.below} | ({"second": True} if result.second else {})
    return {"status": status_of(result)}


def _result(kept: Mapping[str, Any]) -> Result:
    match kept["status"]:
        case "value":
            return Value(kept["value"], kept["n"], kept["d"])
        case "suppressed":
            return Suppressed(kept["below"], kept.get("second", False))
        case "no_data":
            return NoData()
        case _:
            return NotApplicable("")


def _stamp(version: Version, name: str) -> str:
    """Another one when the definition, its wording or a parameter in it changes."""
    measure = catalogue().get(name)
    text = worded(measure.definition, version.params)
    parts = (measure.version, text.zh, worded(measure.dates, version.params).zh)
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:12]
