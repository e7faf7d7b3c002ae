"""Overview: every headline measure against its target, the previous period and last year; then where and what."""

from __future__ import annotations

from dashboard.blocks import Block, Note, Tiles
from dashboard.figures import breakdown, choice_labels, definitions, ranking, tiles, trend
from dashboard.lists import latest_cases, record
from dashboard.view import Page, View
from warehouse.text import Text

GROUPS: tuple[tuple[Text, tuple[str, ...]], ...] = (
    (
        Text(zh="事件办理", en="Cases"),
        ("cases_reported", "overdue_open_cases", "on_time_closing_rate", "closing_rate", "hours_to_close",
         "dispatch_rate", "settled_in_village", "settled_in_township"),
    ),
    (
        Text(zh="信访与群众评价", en="Petitions and ratings"),
        ("one_time_resolution_rate", "repeat_petition_share", "timely_acceptance_rate", "on_time_reply_rate",
         "satisfaction_rate", "rating_participation"),
    ),
    (
        Text(zh="走访、巡防与应急", en="Visits, patrol and response"),
        ("visit_coverage", "patrol_completion", "arrived_in_15_minutes", "minutes_to_arrive",
         "minutes_to_control"),
    ),
    (
        Text(zh="乡村振兴月例会", en="Monthly village meetings"),
        ("meeting_item_completion", "meetings_held_rate", "items_on_time_rate", "overdue_items"),
    ),
)  # fmt: skip


def build(view: View) -> tuple[Block, ...]:
    if view.record:
        return record(view)
    groups = [(title[view.lang], tiles(view, names)) for title, names in GROUPS]
    blocks: list[Block] = [Tiles(title, group, columns=4) for title, group in groups if group]
    blocks.append(
        trend(
            view,
            ["on_time_closing_rate", "closing_rate"],
            view.text("按期结案率与结案率（近12个月）", "On-time closing and closing rate, 12 months"),
        )
    )
    blocks.append(
        trend(
            view,
            ["cases_reported"],
            view.text("事件上报数与上年同月", "Cases reported, against a year earlier"),
            year_before=True,
        )
    )
    league = ranking(
        view, "on_time_closing_rate", view.text("下级按期结案率", "On-time closing rate, one level down")
    )
    if league is not None:
        blocks.append(league)
    blocks.append(
        breakdown(
            view,
            "cases_reported",
            "category",
            view.text("事件类别构成", "Cases by category"),
            choice_labels(view, "cases", "category"),
        )
    )
    if view.scope.child_level is None:
        blocks.append(latest_cases(view))
    blocks.append(
        Note(
            view.text("口径说明", "Definitions"),
            defines=True,
            items=definitions(view, [tile.measure for _, group in groups for tile in group]),
        )
    )
    return tuple(blocks)


PAGE = Page("overview", Text(zh="总览", en="Overview"), "dashboard", build)
