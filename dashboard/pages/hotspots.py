"""Hotspots: where matters come from, per household, on a schematic map of the grids."""

from __future__ import annotations

from dataclasses import replace

from dashboard.blocks import Block, Column, Note, Option, Pick, Row, Table, Tiles
from dashboard.figures import definitions, no_source, tiles
from dashboard.lists import record
from dashboard.mapping import LABELS, LAYERS, Grid, Layer, grid_cases, grid_map, tested
from dashboard.view import Page, View
from warehouse.hotspots import MONTHS, WATCHED_DAYS, months_of
from warehouse.mistake import Mistake, nearest
from warehouse.period import Period
from warehouse.text import Text

HEADLINE = ("cases_reported", "overdue_open_cases", "on_time_closing_rate", "hours_to_close")
LISTED = 15


def build(view: View) -> tuple[Block, ...]:
    if view.record:
        return record(view)
    headline = tiles(view, HEADLINE)
    if not headline:
        return (no_source(view),)
    layer, month = _layer(view), _month(view)
    grids = grid_cases(view, month or view.period)
    marked = [g for g in grids if g.marked]
    shown = f"{month.start:%Y-%m}" if month else f"{view.period.start} – {view.period.end}"
    plan = grid_map(view, grids, f"{LAYERS[layer][view.lang]} · {shown}", rings=LISTED, layer=layer)
    return (
        Tiles(view.text("范围内事件", "Cases in scope"), headline, columns=4),
        replace(plan, picks=_picks(view, layer, month), tabled=True),
        Table(
            title=view.text("需要关注的网格", "Grids to look at"),
            columns=(
                Column(view.text("序", "No."), "right", 0.5),
                Column(view.text("网格", "Grid"), width=3),
                Column(view.text("每百户", "Per 100"), "right"),
                Column(view.text("件数", "Cases"), "right", 0.8),
                Column(view.text("检验", "Test"), width=1.3),
                Column(view.text("走势", "Trend"), width=1.1),
            ),
            rows=tuple(
                Row(
                    (
                        str(position),
                        g.name,
                        f"{g.rate:.1f}",
                        f"{g.spot.cases:,}",
                        tested(view, g.spot),
                        LABELS[g.spot.label][view.lang] if g.spot.label else "–",
                    ),
                    lamp="off" if g.rising else "neutral" if g.spot.label == "fading" else "near",
                    address=(("scope", g.code),),
                )
                for position, g in enumerate(marked[:LISTED], start=1)
            ),
            total=len(marked),
            sentence=_sentence(view, grids),
            empty=view.text("没有明显偏高的网格。", "No grid stands out."),
            beside=True,
        ),
        Note(
            view.text("口径说明", "Definitions"),
            text=view.text(
                "图为示意图，不是实测边界。按每户件数比较，并与全部网格的常态（机遇波动加网格间的一般差异）相比："
                "“单点”指该网格自身的件数超出常态；“连片”指同村网格平滑后的件数率合起来偏高（Getis-Ord Gi*），且该网格自身高于平均。两项检验均控制误报率（5%）。"
                "“近月”指全期尚不显著、近几个月才成为热点。"
                f"走势看截至期末的近{MONTHS}个整月：新增（近1–3个月才成为热点）、持续、加剧、消退。"
                f"期内（不足{WATCHED_DAYS}天的取期末前{WATCHED_DAYS}天）无人走访、巡逻的网格为“未巡访”，不参加检验，不等于没有问题。用于补服务，不用于“盯人”。",
                "The map is schematic, not surveyed boundaries. Grids are compared by cases per household with what is usual among "
                "all grids. “Alone”: a grid’s own cases are beyond it. “Village”: the smoothed rates of its village’s grids together "
                "are (Getis-Ord Gi*), and its own is above average. “Lately”: only in the last months. False discoveries are kept to "
                f"5 %. The trend looks at the {MONTHS} whole months to the period’s end: new (1–3 months), persistent, intensifying, "
                f"fading. “Not observed”: nobody visited or patrolled there in the period (or its last {WATCHED_DAYS} days, if shorter): "
                "not tested, not free of trouble. For sending help, not for watching people.",
            ),
            defines=True,
            items=definitions(view, ("cases_reported", "overdue_open_cases")),
        ),
    )


def _layer(view: View) -> Layer:
    asked = view.chosen("layer") or "rate"
    if asked not in LAYERS:
        raise Mistake("layer", f"unknown layer '{asked}'", nearest(asked, LAYERS))
    return asked


def _month(view: View) -> Period | None:
    """The month shown, one of those that the trend looks at; None: the whole period."""
    asked = view.chosen("month")
    if not asked:
        return None
    known = {f"{month.start:%Y-%m}": month for month in months_of(view.version, view.period)}
    if asked not in known:
        raise Mistake("month", f"no month '{asked}' in this view", nearest(asked, known))
    return known[asked]


def _picks(view: View, layer: Layer, month: Period | None) -> tuple[Pick, ...]:
    months = months_of(view.version, view.period)
    return (
        Pick(
            view.text("图层", "Layer"),
            tuple(
                Option(text[view.lang], (("layer", name),), name == layer) for name, text in LAYERS.items()
            ),
        ),
        Pick(
            view.text("月份", "Month"),
            (
                Option(view.text("全期", "whole period"), (("month", ""),), month is None),
                *(Option(f"{m.start:%y-%m}", (("month", f"{m.start:%Y-%m}"),), m == month) for m in months),
            ),
        ),
    )


def _sentence(view: View, grids: list[Grid]) -> str:
    seen = sum(g.spot.state == "observed" for g in grids)
    alone = sum(g.spot.alone for g in grids)
    high = sum(g.spot.high for g in grids)
    lately = sum(g.spot.rising and not g.spot.high for g in grids)
    unseen = sum(g.spot.state == "unobserved" for g in grids)
    said = view.text(
        f"范围内 {seen:,} 个网格中，{high} 个明显偏高（单点 {alone} 个，仅连片 {high - alone} 个）。",
        f"Of {seen:,} grids here {high} are clearly high: {alone} alone, {high - alone} only with their village.",
    )
    if lately:
        said += view.text(f"另有 {lately} 个只在近几个月偏高。", f" {lately} more only in the last months.")
    if unseen:
        said += view.text(f"另有 {unseen:,} 个未巡访。", f" {unseen:,} more were not observed.")
    return said


PAGE = Page("hotspots", Text(zh="热点", en="Hotspots"), "map", build, asks=("layer", "month"))
