"""Hotspots: where matters come from, per household, on a schematic map of the grids."""

from __future__ import annotations

from dashboard.blocks import Block, Column, Note, Row, Table, Tiles
from dashboard.figures import definitions, tiles
from dashboard.lists import record
from dashboard.mapping import grid_cases, grid_map
from dashboard.view import Page, View
from warehouse.text import Text


def build(view: View) -> tuple[Block, ...]:
    if view.record:
        return record(view)
    grids = grid_cases(view, view.period)
    marked = [g for g in grids if g.marked]
    rows = tuple(
        Row(
            (
                str(position), g.name, f"{g.cases:,}", f"{g.households:,}", f"{g.rate:.1f}",
                f"{g.ratio:.1f}×", g.trend[view.lang],
            ),
            lamp="off" if g.rising else "near",
            address=(("scope", g.code),),
        )
        for position, g in enumerate(marked[:20], start=1)
    )  # fmt: skip
    return (
        Tiles(
            view.text("范围内事件", "Cases in scope"),
            tiles(view, ("cases_reported", "overdue_open_cases", "on_time_closing_rate", "hours_to_close")),
            columns=4,
        ),
        grid_map(
            view,
            grids,
            view.text("每百户事件数（按网格）", "Cases per 100 households, by grid"),
            rings=len(rows),
        ),
        Table(
            title=view.text("需要关注的网格", "Grids to look at"),
            columns=(
                Column(view.text("序", "No."), "right", 0.5),
                Column(view.text("网格", "Grid"), width=3),
                Column(view.text("件数", "Cases"), "right"),
                Column(view.text("户数", "Households"), "right"),
                Column(view.text("每百户", "Per 100"), "right"),
                Column(view.text("与范围均值比", "× average"), "right"),
                Column(view.text("走势", "Trend"), width=1.4),
            ),
            rows=rows,
            total=len(marked),
            sentence=view.text(
                f"{len(grids)} 个网格中 {len(marked)} 个明显高于按户数应有的件数。",
                f"{len(marked)} of {len(grids)} grids stand clearly above what their households would give.",
            ),
            empty=view.text("没有明显偏高的网格。", "No grid stands out."),
        ),
        Note(
            view.text("口径说明", "Definitions"),
            text=view.text(
                "图为示意图，不是实测边界。按每百户件数比较；件数达到按户数应有件数的 2 倍以上、高出 4 个标准差以上且不少于 10 件的网格才圈出。"
                "“新升”指近 90 天的日均件数是此前的 1.5 倍以上。用于补服务，不用于“盯人”。",
                "The map is schematic, not surveyed boundaries. Grids are compared per 100 households; one is ringed only when "
                "its cases are at least twice what its households would give, by more than 4 standard deviations, and 10 or more. "
                "“Rising” means that cases a day in the last 90 days are at least 1.5 times those before. "
                "For sending help, not for watching people.",
            ),
            defines=True,
            items=definitions(view, ("cases_reported", "overdue_open_cases")),
        ),
    )


PAGE = Page("hotspots", Text(zh="热点", en="Hotspots"), "map", build)
