"""The wall: what a county leader sees from five metres. Aggregates and matters only, nothing personal.

Its blocks stand in a fixed order: tiles, ranking, hours of today, map, alerts, latest matters, freshness.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dashboard.blocks import Block, Column, Feed, FeedItem, Row, Series, Table, Tile, Tiles, Trend
from dashboard.figures import axis, choice_labels, number, plotted, ranking, tiles
from dashboard.freshness import freshness
from dashboard.mapping import Grid, grid_cases, grid_map
from dashboard.names import place_names
from dashboard.view import Page, View
from warehouse.catalogue import catalogue
from warehouse.latest import latest
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Value
from warehouse.text import Text

TODAY = ("cases_reported",)
MONTH = ("on_time_closing_rate", "arrived_in_15_minutes")
YEAR = ("one_time_resolution_rate", "satisfaction_rate", "meeting_item_completion", "visit_coverage")
ORDER = (
    "cases_reported", "overdue_open_cases", "on_time_closing_rate", "one_time_resolution_rate",
    "satisfaction_rate", "meeting_item_completion", "visit_coverage", "arrived_in_15_minutes",
)  # fmt: skip


def build(view: View) -> tuple[Block, ...]:
    today = view.cutoff.date()
    day = Period(today, today)
    month = Period(today - timedelta(days=29), today)
    year = Period(today.replace(month=1, day=1), today)
    tagged: dict[str, Tile] = {}
    for names, period, note in (
        (TODAY, day, view.text("今日", "today")),
        (("overdue_open_cases",), day, view.text("当前", "now")),
        (MONTH, month, view.text("近30天", "last 30 days")),
        (YEAR, year, view.text("本年", "this year")),
    ):
        then = replace(view, period=period, compare="previous" if period is month else "year")
        if period is day:
            then = replace(then, compare="none")
        for tile in tiles(then, names):
            tagged[tile.measure] = replace(tile, note=note, passport=())
    grids = grid_cases(view, month)
    league = ranking(
        replace(view, period=month),
        "on_time_closing_rate",
        view.text("按期结案率 · 近30天", "On-time closing · 30 days"),
        limit=15,
    )
    blocks: list[Block] = [Tiles("", tuple(tagged[name] for name in ORDER), columns=8)]
    if league is not None:
        blocks.append(league)
    blocks += [
        _hours(view, day),
        grid_map(
            view,
            grids,
            view.text("网格事件分布 · 近30天每百户", "Cases per 100 households · 30 days"),
            rings=5,
        ),
        _alerts(view, grids),
        _latest(view),
        _sources(view),
    ]
    return tuple(blocks)


def _hours(view: View, day: Period) -> Trend:
    """Cases reported by the hour, today against yesterday."""
    measure = catalogue().get("cases_reported")
    yesterday = day.previous()
    cells = query(view.version, view.viewer, [measure.name], view.scope.code, [day, yesterday], by="hour")
    lines: dict[Period, list[float | None]] = {day: [None] * 24, yesterday: [None] * 24}
    texts: dict[Period, list[str]] = {day: ["–"] * 24, yesterday: ["–"] * 24}
    for cell in cells:
        hour = int(cell.key or 0)
        lines[cell.period][hour] = plotted(measure, cell.result)
        texts[cell.period][hour] = number(measure, cell.result, view.lang)
    for hour in range(24):
        if lines[yesterday][hour] is None:
            lines[yesterday][hour], texts[yesterday][hour] = 0.0, "0"
        if hour > view.cutoff.hour:
            lines[day][hour], texts[day][hour] = None, ""
        elif lines[day][hour] is None:
            lines[day][hour], texts[day][hour] = 0.0, "0"
    return Trend(
        title=view.text("今日逐时上报", "Cases by the hour"),
        labels=tuple(f"{hour:02d}" for hour in range(24)),
        series=(
            Series(view.text("今日", "today"), tuple(lines[day]), tuple(texts[day])),
            Series(
                view.text("昨日", "yesterday"), tuple(lines[yesterday]), tuple(texts[yesterday]), "dashed"
            ),
        ),
        axis=axis([*lines[day], *lines[yesterday]], zero=True, percent=False),
        note=view.text("件/小时", "per hour"),
    )


def _alerts(view: View, grids: list[Grid]) -> Feed:
    """What needs a decision: silent sources, grids on the rise, townships with the most overdue cases."""
    items: list[FeedItem] = []
    for state in freshness(view):
        if state.lamp == "off":
            items.append(
                FeedItem(
                    "", "", view.text(f"{state.source.label.zh}数据超过应有时效", f"{state.source.label.en}: data older than allowed"),
                    view.text("数据", "data"), "off",
                )
            )  # fmt: skip
    for grid in [g for g in grids if g.marked and g.rising][:2]:
        items.append(
            FeedItem(
                "", grid.name, view.text(f"事件数新升，为均值 {grid.ratio:.1f} 倍", f"rising, {grid.ratio:.1f}× the average"),
                view.text("热点", "hotspot"), "off",
            )
        )  # fmt: skip
    if view.scope.child_level is not None:
        measure = catalogue().get("overdue_open_cases")
        today = view.cutoff.date()
        cells = query(
            view.version, view.viewer, [measure.name], view.scope.code, [Period(today, today)], by="child"
        )
        ranked = sorted(
            ((c.result.value, c.place) for c in cells if isinstance(c.result, Value) and c.result.value > 0),
            reverse=True,
        )
        names = place_names(view)
        for value, place in ranked[:2]:
            items.append(
                FeedItem(
                    "", names.get(place, place), view.text(f"超期未结 {value:,.0f} 件", f"{value:,.0f} overdue cases"),
                    view.text("督办", "follow up"), "near",
                )
            )  # fmt: skip
    return Feed(
        view.text("预警", "Alerts"),
        tuple(items[:4]),
        note=view.text(f"{len(items)} 条", f"{len(items)} open"),
        empty=view.text("暂无预警", "Nothing to report"),
    )


def _latest(view: View) -> Feed:
    categories = choice_labels(view, "cases", "category")
    states = choice_labels(view, "cases", "status")
    items = []
    for row in latest(view.version, view.viewer, view.scope.code, 10):
        closed = row.status == "closed"
        name = row.township
        items.append(
            FeedItem(
                f"{row.at:%H:%M:%S}",
                name[view.lang],
                (categories[row.category][view.lang] if row.category in categories else row.category)
                + " · " + row.place[view.lang],
                states[row.status][view.lang] if row.status in states else row.status,
                "good" if closed else "near" if row.status in ("reported", "accepted", "filed") else "neutral",
            )
        )  # fmt: skip
    return Feed(
        view.text("实时事件", "Latest cases"),
        tuple(items),
        note=view.text("滚动更新", "live"),
        empty=view.text("今日尚无事件", "No case yet today"),
    )


SOURCES = 8
"""Sources named at the wall's foot; there is no room for more to be read from afar."""
SHOWN = ("cases", "petitions", "surveys", "work_items", "meetings", "visits", "responses", "patrols")
"""Record sets that the wall's figures rest on, in the order of its tiles."""


def _sources(view: View) -> Table:
    """Name, time of the last load (ISO, site time) and allowed age in hours; the renderer shows ages by its clock.

    Those older than allowed come first, then those the wall's figures rest on, then others while there is room.
    """
    order = {name: position for position, name in enumerate(SHOWN)}
    states = [state for state in freshness(view) if state.source.dataset != "places"]
    states.sort(key=lambda state: (state.lamp != "off", order.get(state.source.dataset, len(order))))
    return Table(
        title=view.text("数据时效", "Data freshness"),
        columns=(
            Column(view.text("来源", "Source")),
            Column(view.text("最近入库", "Last load")),
            Column(view.text("时限（小时）", "Allowed (h)"), "right"),
        ),
        rows=tuple(
            Row(
                (
                    state.source.label[view.lang],
                    state.source.last_load.isoformat(timespec="seconds") if state.source.last_load else "",
                    f"{state.source.fresh_hours:g}",
                ),
                lamp=state.lamp,
            )
            for state in states[:SOURCES]
        ),
    )


PAGE = Page("wall", Text(zh="大屏", en="Wall"), "monitor", build, wall=True)
