"""Meetings: what the villages agreed, who owns it, what is done and what is overdue."""

from __future__ import annotations

from dashboard.blocks import Block, Column, Note, Row, Table, Tiles
from dashboard.decisions import written_down
from dashboard.figures import (
    choice_labels,
    counts,
    definitions,
    lamp,
    no_source,
    number,
    ranking,
    status,
    tiles,
    trend,
)
from dashboard.lists import overdue_items, record
from dashboard.view import Page, View
from warehouse.catalogue import catalogue
from warehouse.query import query
from warehouse.result import Result, Value
from warehouse.text import Text

HEADLINE = (
    "meeting_item_completion", "meetings_held", "meetings_held_rate", "items_on_time_rate", "overdue_items",
)  # fmt: skip

LISTED = 15
"""Owners shown, those with most items first."""


def build(view: View) -> tuple[Block, ...]:
    if view.record:
        return record(view)
    headline = tiles(view, HEADLINE)
    if not headline:
        return (no_source(view),)
    blocks: list[Block] = [
        Tiles(view.text("核心指标", "Headline measures"), headline, columns=5),
        trend(
            view,
            ["meeting_item_completion", "items_on_time_rate"],
            view.text(
                "议定事项办结率与按期办结率（近12个月）", "Agreed items done and done on time, 12 months"
            ),
        ),
        trend(
            view,
            ["meetings_held"],
            view.text("月例会召开场次与上年同月", "Meetings held, against a year earlier"),
            year_before=True,
        ),
    ]
    league = ranking(
        view,
        "meeting_item_completion",
        view.text("下级议定事项办结率", "Agreed items done, one level down"),
    )
    if league is not None:
        blocks.append(league)
    blocks += [
        _by(view, "owner", view.text("责任单位", "Owner"), view.text("按责任单位", "By owner"), {}),
        _by(
            view,
            "category",
            view.text("事项类别", "Category"),
            view.text("按事项类别", "By category"),
            choice_labels(view, "work_items", "category"),
        ),
        overdue_items(view),
        written_down(view),
        Note(view.text("口径说明", "Definitions"), defines=True, items=definitions(view, HEADLINE)),
    ]
    return tuple(blocks)


def _by(view: View, dimension: str, heading: str, title: str, labels: dict[str, Text]) -> Table:
    """Agreed, done, completion and overdue by a class of the items."""
    names = ("meeting_item_completion", "items_on_time_rate", "overdue_items")
    found: dict[str, dict[str, Result]] = {}
    for cell in query(view.version, view.viewer, names, view.scope.code, [view.period], by=dimension):
        if cell.key is not None:
            found.setdefault(cell.key, {})[cell.measure] = cell.result
    done, on_time, overdue = (catalogue().get(name) for name in names)

    def agreed(results: dict[str, Result]) -> float:
        result = results.get(done.name)
        return (result.d or 0) if isinstance(result, Value) else 0

    rows = []
    for key, results in sorted(found.items(), key=lambda kv: (-agreed(kv[1]), kv[0])):
        first = results.get(done.name)
        if first is None:
            continue
        rows.append(
            Row(
                (
                    labels[key][view.lang] if key in labels else key,
                    counts(first),
                    f"{number(done, first, view.lang)} %"
                    if isinstance(first, Value)
                    else number(done, first, view.lang),
                    status(view, done, first),
                    *(
                        number(m, results[m.name], view.lang)
                        + (" %" if m is on_time and isinstance(results[m.name], Value) else "")
                        if m.name in results
                        else "–"
                        for m in (on_time, overdue)
                    ),
                ),
                lamp=lamp(view, done, first),
            )
        )
    return Table(
        title=title,
        columns=(
            Column(heading, width=2.2),
            Column(view.text("办结 / 议定", "Done / agreed"), "right", 1.4),
            Column(view.text("办结率", "Done"), "right"),
            Column(view.text("状态", "Status")),
            Column(view.text("按期", "On time"), "right"),
            Column(view.text("逾期", "Overdue"), "right"),
        ),
        rows=tuple(rows[:LISTED]),
        total=len(rows),
        empty=view.text("本期无议定事项。", "No items agreed in this period."),
    )


PAGE = Page("meetings", Text(zh="月例会", en="Meetings"), "event", build, live=True, minutes=True)
