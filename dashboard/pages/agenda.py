"""The agenda of a meeting: what became of what was decided, then what is out of order, worst first and few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time

from dashboard.blocks import Block, Change, Column, Row, Table
from dashboard.brief import distinct
from dashboard.decisions import followed_up, written_down
from dashboard.figures import change, compared, goal
from dashboard.freshness import age_text, freshness
from dashboard.pages import cases, duties, meetings, needs, overview, petitions, teams
from dashboard.pages.compare import on_record
from dashboard.view import Page, View
from dashboard.view import build as built
from warehouse.catalogue import catalogue
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Result, Value
from warehouse.text import Text

LISTED = 10
"""Matters of one meeting."""
LOOKED_AT = (overview, cases, petitions, duties, meetings, needs, teams)
"""Pages whose figures may come onto the agenda, each led to where it first stands."""
OVERDUE = ("overdue_items", "overdue_open_cases")
"""What is past its due time is on the agenda whenever there is any, with or without a target."""
NAMED = 3
"""Silent sources named."""


def build(view: View) -> tuple[Block, ...]:
    before = followed_up(view)
    (figures,) = built(_FIGURES, view).blocks
    assert isinstance(figures, Table)
    silent = _silent(view)
    rows = [*figures.rows[: LISTED - len(silent)], *silent]
    agenda = replace(
        figures,
        rows=tuple(replace(row, cells=(str(i), *row.cells)) for i, row in enumerate(rows, start=1)),
        total=figures.total + len(silent),
    )
    briefs = on_record(
        view,
        view.text(
            "历次简报（选中一期，与其上一期对比）", "Briefs on record: choose one to compare it with the last"
        ),
        lambda entry: (("page", "compare"), ("then", entry.since), ("now", entry.id)),
    )
    return (*((before,) if before is not None else ()), agenda, written_down(view), briefs)


def _out_of_order(view: View) -> tuple[Block, ...]:
    """The figures that are out of order, all of them: off target and worse, overdue, off target, worse; of each kind
    those farthest from their target first. Built once per version, for the page around it tells ages."""
    sheets = [built(page.PAGE, view) for page in LOOKED_AT]
    tiles = {tile.measure: tile for tile in distinct(sheets) if tile.lamp != "none"}
    where = {tile.measure: sheet.page for sheet in reversed(sheets) for tile in distinct([sheet])}
    off = {m for m, tile in tiles.items() if tile.lamp == "off" or (m in OVERDUE and tile.value != "0")}
    asked = [m for m, tile in tiles.items() if m in off or any(c.lamp == "off" for c in tile.changes)]
    found: list[tuple[int, float, Row]] = []
    worsened = 0
    for name, (gap, changes) in _at_same_age(view, asked).items():
        worse = next((one for one in changes if one.lamp == "off"), None)
        if name not in off and worse is None:
            continue
        worsened += worse is not None
        tile, overdue = tiles[name], name in off and name in OVERDUE
        shown = worse or next(iter(changes), None)
        why = [
            view.text("有逾期", "overdue")
            if overdue
            else view.text("未达标", "off target")
            if name in off
            else "",
            view.text("明显变差", "really worse") if worse else "",
        ]
        row = Row(
            (
                tile.label,
                f"{tile.value} {tile.unit}".strip(),
                tile.target.partition(" ")[2] or "–",
                f"{shown.label} {shown.text}" if shown else "–",
                view.text("、", ", ").join(part for part in why if part),
            ),
            lamp=tile.lamp,
            address=(("page", where[name]),),
        )
        found.append((0 if name in off and worse else 1 if overdue else 2 if name in off else 3, -gap, row))
    found.sort(key=lambda one: one[:2])
    return (
        Table(
            title=view.text("本次会议议题", "Agenda"),
            columns=(
                Column("", "right", 0.3),
                Column(view.text("议题", "Matter"), width=2.2),
                Column(view.text("本期", "Now"), "right", 1.1),
                Column(view.text("目标", "Target"), "right"),
                Column(view.text("变化", "Change"), width=2),
                Column(view.text("缘由", "Why"), width=1.6),
            ),
            rows=tuple(row for _, _, row in found),
            total=len(found),
            sentence=_sentence(view, [kind for kind, _, _ in found], worsened),
            note=view.text(
                "列入：未达标的；同期同进度比较显著变差的（95% 检验）；有逾期的；来源超过应有时效的。",
                "On it: what is off target; what is worse than an earlier period was at the same age, by a test at "
                "95 %; what is overdue; sources silent longer than allowed.",
            ),
            empty=view.text("没有需要提请会议研究的异常。", "Nothing is out of order."),
        ),
    )


def _sentence(view: View, kinds: Sequence[int], worsened: int) -> str:
    off = sum(kind < 3 for kind in kinds)
    if not kinds:
        return ""
    return view.text(
        f"指标异常 {len(kinds)} 项：未达标 {off} 项，明显变差 {worsened} 项。",
        f"{len(kinds)} figures are out of order: {off} off target, {worsened} really worse.",
    )


def _at_same_age(view: View, names: Sequence[str]) -> dict[str, tuple[float, list[Change]]]:
    """How far each measure is from its target, and its changes against the earlier periods as they stood at the age
    this one has at the cut-off: what a young month has not done yet is no decline."""
    if not names:
        return {}
    now = _asked(view, names, view.period, view.cutoff)
    out = {name: (_gap(view, name, now[name]), list[Change]()) for name in names}
    for other in compared(view):
        period = other.period
        age = view.cutoff - datetime.combine(view.period.start, time())
        then = min(datetime.combine(period.start, time()) + age, view.cutoff)
        before = _asked(view, names, period, then)
        days = (_begun(view.period, view.cutoff), _begun(period, then))
        for name in names:
            found = change(view, catalogue().get(name), now[name], before[name], other, days)
            if found is not None:
                out[name][1].append(found)
    return out


def _asked(view: View, names: Sequence[str], period: Period, cutoff: datetime) -> dict[str, Result]:
    cells = query(view.version, view.viewer, names, view.scope.code, [period], cutoff=cutoff)
    return {cell.measure: cell.result for cell in cells}


def _begun(period: Period, at: datetime) -> float:
    """Days of a period that have begun at a moment, at least one."""
    return max(1.0, (min(period.end, at.date()) - period.start).days + 1.0)


def _gap(view: View, name: str, now: Result) -> float:
    """How far a figure is from its target: in shares, or as a share of the target; 0 where there is none."""
    measure = catalogue().get(name)
    target = goal(view, measure).target
    if target is None or not isinstance(now, Value):
        return 0.0
    distance = abs(now.value - target)
    return distance if measure.unit == "share" else distance / max(abs(target), 1.0)


def _silent(view: View) -> list[Row]:
    late = sorted(
        (state for state in freshness(view) if state.lamp == "off"),
        key=lambda state: state.source.fresh_hours * 3600 - state.age_seconds,
    )
    if not late:
        return []
    listed = view.text("、", ", ").join(state.source.label[view.lang] for state in late[:NAMED])
    if len(late) > NAMED:
        listed += view.text(f"等 {len(late)} 个", f" and {len(late) - NAMED} more")
    first = late[0]
    row = Row(
        (
            view.text(f"来源未按时报送：{listed}", f"Silent sources: {listed}"),
            age_text(view, first.age_seconds),
            f"≤ {age_text(view, first.source.fresh_hours * 3600)}",
            "–",
            first.word,
        ),
        lamp="off",
        address=(("page", "data"),),
    )
    return [row]


_FIGURES = Page("figures", Text(zh="议题", en="Matters"), "", _out_of_order)
PAGE = Page("agenda", Text(zh="议程", en="Agenda"), "checklist", build, live=True, minutes=True)
