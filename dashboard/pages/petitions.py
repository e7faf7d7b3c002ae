"""Petitions: settled the first time, in time, and what people said of it."""

from __future__ import annotations

from dashboard.blocks import Block, Note, Tiles
from dashboard.figures import breakdown, choice_labels, definitions, no_source, ranking, tiles, trend
from dashboard.lists import record
from dashboard.view import Page, View
from warehouse.text import Text

HEADLINE = (
    "one_time_resolution_rate", "repeat_petition_share", "petitions_registered", "timely_acceptance_rate",
    "on_time_reply_rate", "satisfaction_rate", "rating_participation", "first_petition_resolution_rate",
    "same_day_resolution_rate", "days_to_accept", "days_to_reply", "visits_down",
)  # fmt: skip


def build(view: View) -> tuple[Block, ...]:
    if view.record:
        return record(view)
    headline = tiles(view, HEADLINE)
    if not headline:
        return (no_source(view),)
    days = view.site.params.repeat_window_days
    blocks: list[Block] = [
        Tiles(view.text("核心指标", "Headline measures"), headline, columns=4),
        trend(
            view,
            ["petitions_registered"],
            view.text("信访量（件次）与上年同月", "Petitions registered, against a year earlier"),
            year_before=True,
        ),
        trend(
            view,
            ["one_time_resolution_rate"],
            view.text(
                f"一次性化解率（办结后{days}天内未重复）",
                f"One-time resolution (no repeat within {days} days)",
            ),
        ),
    ]
    league = ranking(
        view,
        "one_time_resolution_rate",
        view.text("下级一次性化解率", "One-time resolution, one level down"),
    )
    if league is not None:
        blocks.append(league)
    blocks += [
        breakdown(
            view,
            "petitions_registered",
            "category",
            view.text("内容分类", "By subject"),
            choice_labels(view, "petitions", "category"),
        ),
        breakdown(
            view,
            "petitions_registered",
            "channel",
            view.text("信访形式", "By channel"),
            choice_labels(view, "petitions", "channel"),
        ),
        breakdown(
            view,
            "satisfaction_rate",
            "rated_body",
            view.text("满意率（按被评价方）", "Satisfaction, by rated body"),
            choice_labels(view, "surveys", "rated_body"),
        ),
        Note(
            view.text("口径说明", "Definitions"),
            text=view.text(
                "不对信访人去向排名，只看事项是否按期、一次办好。少于5件的记为“<5”，为防推算一并不显示的记为“*”。",
                "We do not rank where petitioners went, only whether the matter was handled on time and at once. "
                "“<5” is fewer than 5; “*” is withheld so that none of those can be worked out.",
            ),
            defines=True,
            items=definitions(view, HEADLINE),
        ),
    ]
    return tuple(blocks)


PAGE = Page("petitions", Text(zh="信访", en="Petitions"), "mail", build)
