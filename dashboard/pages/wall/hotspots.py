"""The hotspots of the wall: the map at its largest, and the ringed grids by name."""

from __future__ import annotations

from dataclasses import replace

from dashboard.blocks import Block, Column, Row, Table, Tiles
from dashboard.figures import breakdown, choice_labels, no_source
from dashboard.mapping import LABELS, Grid, grid_cases, grid_map
from dashboard.pages.wall.headline import headline, month
from dashboard.scene import Place, Plan, Scene
from dashboard.view import View
from warehouse.text import Text

HEADLINE = (
    "cases_reported",
    "overdue_open_cases",
    "on_time_closing_rate",
    "hours_to_close",
    "repeat_case_rate",
)
NAMED = 10


def build(view: View) -> tuple[Block, ...]:
    last_month = month(view)
    tiles = headline(view, HEADLINE, last_month, "previous")
    if not tiles:
        return (no_source(view),)
    grids = grid_cases(view, last_month)
    return (
        Tiles(view.text("近30天", "Last 30 days"), tiles),
        grid_map(
            view,
            grids,
            view.text("网格事件分布 · 每百户件数", "Cases per 100 households, by grid"),
            rings=NAMED,
        ),
        _named(view, grids),
        breakdown(
            replace(view, period=last_month),
            "cases_reported",
            "category",
            view.text("事件类别", "Cases by category"),
            choice_labels(view, "cases", "category"),
        ),
    )


def _named(view: View, grids: list[Grid]) -> Table:
    """The ringed grids under the numbers they have on the map."""
    marked = [grid for grid in grids if grid.marked]
    return Table(
        title=view.text("圈注网格", "Ringed grids"),
        columns=(
            Column(view.text("序", "No."), "right", 0.5),
            Column(view.text("网格", "Grid"), width=3),
            Column(view.text("件数", "Cases"), "right"),
            Column(view.text("与均值比", "× average"), "right"),
            Column(view.text("走势", "Trend")),
        ),
        rows=tuple(
            Row(
                (
                    str(number),
                    grid.name,
                    f"{grid.spot.cases:,}",
                    f"{grid.ratio:.1f}×",
                    LABELS[grid.spot.label][view.lang],
                ),
                lamp="off" if grid.rising else "near",
            )
            for number, grid in enumerate(marked[:NAMED], start=1)
        ),
        total=len(marked),
        note=view.text(f"共 {len(marked)} 个", f"{len(marked)} in all"),
        empty=view.text("没有明显偏高的网格。", "No grid stands out."),
    )


SCENE = Scene(
    "hotspots",
    Text(zh="热点", en="Hotspots"),
    build,
    places=(Place("map", ("cases",)), Place("named", ("cases",)), Place("kinds", ("cases",))),
    plan=Plan(("map named", "map kinds"), (54, 46), (66, 34)),
    wide=Plan(("map named kinds",), (40, 32, 28), (1,)),
)
