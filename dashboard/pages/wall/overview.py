"""The overview of the wall: tiles, ranking, hours of today, map, alerts and the latest matters."""

from __future__ import annotations

from dashboard.blocks import Block, Feed, FeedItem, Series, Tile, Tiles, Trend
from dashboard.figures import axis, choice_labels, number, plotted
from dashboard.mapping import Grid, grid_cases, grid_map
from dashboard.names import place_names
from dashboard.pages.wall.headline import headline, month, today, year
from dashboard.pages.wall.scenes import league
from dashboard.scene import Place, Plan, Scene
from dashboard.view import View
from warehouse.catalogue import catalogue
from warehouse.latest import latest
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Value
from warehouse.text import Text

TODAY = ("cases_reported",)
NOW = ("overdue_open_cases",)
MONTH = ("on_time_closing_rate", "arrived_in_15_minutes")
YEAR = ("one_time_resolution_rate", "satisfaction_rate", "meeting_item_completion", "visit_coverage")
ORDER = (
    "cases_reported", "overdue_open_cases", "on_time_closing_rate", "one_time_resolution_rate",
    "satisfaction_rate", "meeting_item_completion", "visit_coverage", "arrived_in_15_minutes",
)  # fmt: skip


def build(view: View) -> tuple[Block, ...]:
    last_month = month(view)
    tagged: dict[str, Tile] = {}
    for tile in (
        *headline(view, TODAY, today(view), "none", view.text("今日", "today")),
        *headline(view, NOW, today(view), "year", view.text("当前", "now")),
        *headline(view, MONTH, last_month, "previous", view.text("近30天", "last 30 days")),
        *headline(view, YEAR, year(view), "year"),
    ):
        tagged[tile.measure] = tile
    grids = grid_cases(view, last_month)
    return (
        Tiles(
            view.text("未注明的为本年累计", "This year unless noted"),
            tuple(tagged[name] for name in ORDER if name in tagged),
            columns=8,
        ),
        league(
            view,
            last_month,
            "on_time_closing_rate",
            view.text("按期结案率 · 近30天", "On-time closing, 30 days"),
        ),
        _hours(view, today(view)),
        grid_map(
            view,
            grids,
            view.text("网格事件分布 · 近30天每百户", "Cases per 100 households, 30 days"),
            rings=5,
        ),
        _alerts(view, grids),
        _latest(view),
    )


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
    """What needs a decision: grids on the rise, townships with the most overdue cases. The wall itself adds sources
    that fell silent: it has the clock."""
    items: list[FeedItem] = []
    for grid in [g for g in grids if g.marked and g.rising][:2]:
        items.append(
            FeedItem(
                "", grid.name, view.text(f"事件数新升，为均值 {grid.ratio:.1f} 倍", f"rising, {grid.ratio:.1f}× the average"),
                view.text("热点", "hotspot"), "off",
            )
        )  # fmt: skip
    if view.scope.child_level is not None:
        measure = catalogue().get("overdue_open_cases")
        cells = query(view.version, view.viewer, [measure.name], view.scope.code, [today(view)], by="child")
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


SCENE = Scene(
    "overview",
    Text(zh="总览", en="Overview"),
    build,
    places=(
        Place("league", ("cases",)),
        Place("hours", ("cases",)),
        Place("map", ("cases",)),
        Place("alerts"),
        Place("latest", ("cases",)),
    ),
    plan=Plan(("league map alerts", "league map latest", "hours map latest"), (24, 50, 26), (51, 6, 43)),
    wide=Plan(("league alerts map latest", "league hours map latest"), (20, 24, 36, 20), (49, 51)),
    pace=0.0,
)
