"""Five scenes of one form: tiles, the places one level down, and what moved and where it came from beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dashboard.blocks import Block, Note, Ranking, Tiles, Trend
from dashboard.figures import breakdown, choice_labels, no_source, ranking, trend
from dashboard.pages.wall.headline import TILES, headline, this_year
from dashboard.scene import Place, Plan, Scene
from dashboard.view import View
from warehouse.period import Period
from warehouse.text import Text

Panels = tuple[Block, Block, Block, Block, Block]
PLAN = Plan(("league first second", "league third fourth"), (28, 36, 36), (50, 50))
WIDE = Plan(("league first third second", "league first third fourth"), (22, 28, 28, 22), (60, 40))


def league(view: View, period: Period, name: str, title: str) -> Ranking | Note:
    """The places one level down by one measure; a note where there are none below."""
    found = ranking(replace(view, period=period), name, title)
    if found is None:
        return Note(title, view.text("本级以下不再分列。", "There is no level below this place."))
    return found


def _scene(
    name: str,
    label: Text,
    names: tuple[str, ...],
    rests: tuple[tuple[str, ...], ...],
    panels: Callable[[View], Panels],
) -> Scene:
    """A scene of the year to date: `names` are its headline, `panels` its league and four more."""

    def build(view: View) -> tuple[Block, ...]:
        yearly = this_year(view)
        tiles = headline(view, names[:TILES], yearly.period, "year")
        if not tiles:
            return (no_source(view),)
        return (Tiles(view.text("本年累计", "Year to date"), tiles), *panels(yearly))

    areas = ("league", "first", "second", "third", "fourth")
    places = tuple(Place(area, sets) for area, sets in zip(areas, rests, strict=True))
    return Scene(name, label, build, places, PLAN, WIDE)


def _by(view: View, name: str, by: str, title: str, dataset: str) -> Ranking:
    return breakdown(view, name, by, title, choice_labels(view, dataset, by))


def _against(view: View, name: str, title: str) -> Trend:
    return trend(view, [name], title, year_before=True)


def _petitions(view: View) -> Panels:
    return (
        league(view, view.period, "one_time_resolution_rate", view.text("一次性化解率", "One-time resolution")),
        _against(view, "petitions_registered", view.text("信访量（件次）与上年同月", "Petitions, against a year earlier")),
        _by(view, "petitions_registered", "category", view.text("内容分类", "By subject"), "petitions"),
        trend(view, ["on_time_reply_rate"], view.text("按期答复率（近12个月）", "On-time replies, 12 months")),
        _by(view, "satisfaction_rate", "rated_body", view.text("满意率（按被评价方）", "Satisfaction, by rated body"), "surveys"),
    )  # fmt: skip


def _meetings(view: View) -> Panels:
    return (
        league(view, view.period, "meeting_item_completion", view.text("议定事项办结率", "Agreed items done")),
        trend(view, ["items_on_time_rate"], view.text("按期办结率（近12个月）", "Done on time, 12 months")),
        _by(view, "meeting_item_completion", "category", view.text("办结率（按事项类别）", "Done, by category"), "work_items"),
        _against(view, "meetings_held", view.text("月例会场次与上年同月", "Meetings held, against a year earlier")),
        _by(view, "overdue_items", "owner", view.text("逾期未办结（按责任单位）", "Overdue, by owner"), "work_items"),
    )  # fmt: skip


def _duties(view: View) -> Panels:
    return (
        league(view, view.period, "arrived_in_15_minutes", view.text("15分钟到场率", "Arrived within 15 minutes")),
        _against(view, "arrived_in_15_minutes", view.text("15分钟到场率与上年同月", "Arrived in 15 minutes, a year compared")),
        _by(view, "minutes_to_arrive", "kind", view.text("到场用时（按警情类别）", "Minutes to arrive, by kind"), "responses"),
        _against(view, "patrol_completion", view.text("巡逻完成率与上年同月", "Patrol shifts carried out, a year compared")),
        _by(view, "patrol_completion", "team_kind", view.text("巡逻完成率（按队伍）", "Patrol, by kind of team"), "patrols"),
    )  # fmt: skip


def _needs(view: View) -> Panels:
    return (
        league(view, view.period, "visit_coverage", view.text("入户走访覆盖率", "Household visit coverage")),
        _against(view, "services_done", view.text("为民办实事与上年同月", "Practical services, a year compared")),
        _by(view, "services_done", "category", view.text("为民办实事（按类别）", "Practical services, by category"), "services"),
        _against(view, "wishes_fulfilled", view.text("微心愿实现数与上年同月", "Wishes fulfilled, a year compared")),
        _by(view, "wishes_fulfilled", "category", view.text("实现的微心愿（按类别）", "Wishes fulfilled, by category"), "wishes"),
    )  # fmt: skip


def _teams(view: View) -> Panels:
    return (
        league(view, view.period, "posts_filled_rate", view.text("网格员配备率", "Grid-worker posts filled")),
        _against(view, "platform_entries", view.text("平台录入与上年同月", "Platform entries, a year compared")),
        _by(view, "team_members", "kind", view.text("队伍人数（按类别）", "Members of teams, by kind"), "posts"),
        trend(view, ["training_attendance"], view.text("培训参训率（近12个月）", "Training attendance, 12 months")),
        _by(view, "outreach_events", "kind", view.text("宣讲培训（按类别）", "Outreach events, by kind"), "outreach"),
    )  # fmt: skip


PETITIONS = _scene(
    "petitions",
    Text(zh="信访", en="Petitions"),
    ("one_time_resolution_rate", "repeat_petition_share", "petitions_registered", "timely_acceptance_rate",
     "on_time_reply_rate", "satisfaction_rate", "rating_participation", "days_to_reply"),
    (("petitions",), ("petitions",), ("petitions",), ("petitions",), ("surveys",)),
    _petitions,
)  # fmt: skip
MEETINGS = _scene(
    "meetings",
    Text(zh="月例会", en="Meetings"),
    ("meeting_item_completion", "meetings_held", "meetings_held_rate", "items_on_time_rate", "overdue_items"),
    (("work_items",), ("work_items",), ("work_items",), ("meetings",), ("work_items",)),
    _meetings,
)
DUTIES = _scene(
    "response",
    Text(zh="响应巡防", en="Response"),
    ("arrived_in_15_minutes", "minutes_to_arrive", "minutes_to_arrive:p90", "minutes_to_control",
     "patrol_completion", "night_patrol_completion", "patrol_cover_24h", "issues_per_100_patrol_hours"),
    (("responses",), ("responses",), ("responses",), ("patrols",), ("patrols",)),
    _duties,
)  # fmt: skip
NEEDS = _scene(
    "needs",
    Text(zh="民生", en="Needs"),
    ("services_done", "wishes_fulfilled", "wish_fulfilment_rate", "days_to_fulfil", "visit_coverage",
     "needs_followed_up_rate", "household_files_fresh"),
    (("visits",), ("services",), ("services",), ("wishes",), ("wishes",)),
    _needs,
)  # fmt: skip
TEAMS = _scene(
    "teams",
    Text(zh="队伍", en="Teams"),
    ("posts_filled_rate", "grids_with_a_worker", "posts_in_place", "team_members", "party_members_in_grids",
     "training_attendance", "platform_entries", "problems_found"),
    (("posts",), ("platform_entries",), ("posts",), ("outreach",), ("outreach",)),
    _teams,
)  # fmt: skip
