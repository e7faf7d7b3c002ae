"""Measures: every figure the system can show, what it counts and where its definition comes from."""

from __future__ import annotations

from dashboard.blocks import Block, Column, Note, Row, Table
from dashboard.figures import target_text, unit
from dashboard.view import Page, View
from warehouse.catalogue import Measure, catalogue, worded
from warehouse.text import Text


def build(view: View) -> tuple[Block, ...]:
    known = catalogue()
    groups: dict[str, list[Measure]] = {}
    for measure in known.measures.values():
        groups.setdefault(known.reads(measure.table)[0], []).append(measure)
    # Record sets of this site in the order they are named by it, then what it has no source of.
    have = [name for name in view.version.datasets if name in groups]
    tables = [_table(view, view.version.datasets[name].label[view.lang], groups.pop(name)) for name in have]
    if groups:
        rest = [measure for measures in groups.values() for measure in measures]
        tables.append(_table(view, view.text("本部署无数据来源", "No source on this site"), rest))
    return (
        *tables,
        Note(
            view.text("怎样读一个数", "How to read a figure"),
            text=view.text(
                "分母是“应当”的，不只是已办的；分母为零是“无数据”，不是0%。每个数都可用 nerve value 一条命令复算。",
                "Denominators are what was due, not only what was done; 0 of 0 is “no data”, never 0 %. "
                "Every figure can be had again with one command, nerve value.",
            ),
        ),
    )


def _table(view: View, title: str, measures: list[Measure]) -> Table:
    return Table(
        title=title,
        columns=(
            Column(view.text("指标", "Measure"), width=1.6),
            Column(view.text("口径", "Definition"), width=4.2),
            Column(view.text("归集日期", "Dated"), width=1.5),
            Column(view.text("单位", "Unit"), width=0.7),
            Column(view.text("目标", "Target"), width=0.9),
            Column(view.text("依据", "Source"), width=2),
            Column(view.text("名称", "Name"), width=1.7),
        ),
        rows=tuple(
            Row(
                (
                    measure.label[view.lang],
                    worded(measure.definition, view.version.params)[view.lang],
                    worded(measure.dates, view.version.params)[view.lang],
                    unit(measure, view.lang),
                    target_text(view, measure) or "–",
                    measure.source[view.lang],
                    measure.name,
                )
            )
            for measure in measures
        ),
        total=len(measures),
    )


PAGE = Page("measures", Text(zh="指标", en="Measures"), "menu_book", build)
