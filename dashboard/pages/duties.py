"""Visits, patrol and response: households called on, shifts carried out, teams there in time.

Teams and villages are the finest level for people at work: no figure here is of one person.
"""

from __future__ import annotations

from dashboard.blocks import Block, Note, Tiles
from dashboard.figures import breakdown, choice_labels, definitions, no_source, ranking, tiles, trend
from dashboard.view import Page, View
from warehouse.text import Text

VISITS = ("visit_coverage", "needs_followed_up_rate", "household_files_fresh")
PATROL = ("patrol_completion", "night_patrol_completion", "patrol_cover_24h", "issues_per_100_patrol_hours")
RESPONSE = (
    "arrived_in_15_minutes", "minutes_to_arrive", "minutes_to_arrive:p90", "minutes_to_control",
)  # fmt: skip


def build(view: View) -> tuple[Block, ...]:
    groups = [
        (view.text("入户走访", "Household visits"), VISITS, "visit_coverage"),
        (view.text("巡逻", "Patrol"), PATROL, "patrol_completion"),
        (view.text("应急处置", "Emergency response"), RESPONSE, "arrived_in_15_minutes"),
    ]
    blocks: list[Block] = []
    shown: list[str] = []
    for title, names, _ in groups:
        found = tiles(view, names)
        if found:
            blocks.append(Tiles(title, found, columns=4))
            shown += names
    if not blocks:
        return (no_source(view),)
    titles = {
        "visit_coverage": view.text("走访覆盖率与上年同月", "Visit coverage, against a year earlier"),
        "patrol_completion": view.text("巡逻完成率与上年同月", "Patrol shifts carried out, against a year earlier"),
        "arrived_in_15_minutes": view.text("15分钟到场率与上年同月", "Arrived within 15 minutes, against a year earlier"),
    }  # fmt: skip
    leagues = {
        "visit_coverage": view.text("下级走访覆盖率", "Visit coverage, one level down"),
        "patrol_completion": view.text("下级巡逻完成率", "Patrol shifts carried out, one level down"),
        "arrived_in_15_minutes": view.text("下级15分钟到场率", "Arrived within 15 minutes, one level down"),
    }
    for _, names, main in groups:
        if names[0] not in shown:
            continue
        blocks.append(trend(view, [main], titles[main], year_before=True))
        league = ranking(view, main, leagues[main])
        if league is not None:
            blocks.append(league)
    if RESPONSE[0] in shown:
        blocks.append(
            breakdown(
                view,
                "minutes_to_arrive",
                "kind",
                view.text("到场用时中位数（按警情类别）", "Minutes to arrive, median, by kind"),
                choice_labels(view, "responses", "kind"),
            )
        )
    blocks.append(
        Note(
            view.text("口径说明", "Definitions"),
            text=view.text(
                "督事不督人：只统计到班组和村（社区），不对个人打分或排名。",
                "Matters, not persons: teams and villages are the finest level, and nobody is scored or ranked.",
            ),
            defines=True,
            items=definitions(view, shown),
        )
    )
    return tuple(blocks)


PAGE = Page("duties", Text(zh="走访巡防", en="Visits & patrol"), "directions_walk", build)
