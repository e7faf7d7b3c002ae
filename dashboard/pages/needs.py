"""Mediation and people's needs: disputes settled at their tier, wishes fulfilled, practical things done."""

from __future__ import annotations

from dashboard.blocks import Block, Note, Tiles
from dashboard.figures import breakdown, choice_labels, definitions, no_source, ranking, tiles, trend
from dashboard.view import Page, View
from warehouse.text import Text

MEDIATION = (
    "mediation_success_rate", "dispute_resolution_rate", "agreement_fulfilment_rate", "escalation_rate",
    "open_disputes", "disputes_settled",
)  # fmt: skip
NEEDS = ("wish_fulfilment_rate", "wishes_fulfilled", "days_to_fulfil", "services_done")
OUTREACH = ("outreach_events", "legal_events")


def build(view: View) -> tuple[Block, ...]:
    groups = (
        (view.text("矛盾纠纷调解", "Mediation of disputes"), MEDIATION, 6),
        (view.text("微心愿与为民办实事", "Wishes and practical services"), NEEDS, 4),
        (view.text("普法与宣讲", "Legal publicity and outreach"), OUTREACH, 2),
    )
    blocks: list[Block] = []
    shown: list[str] = []
    for title, names, columns in groups:
        found = tiles(view, names)
        if found:
            blocks.append(Tiles(title, found, columns=columns))
            shown += names
    if not blocks:
        return (no_source(view),)
    if MEDIATION[0] in shown:
        blocks.append(
            trend(
                view,
                ["mediation_success_rate"],
                view.text("调解成功率与上年同月", "Mediation success, against a year earlier"),
                year_before=True,
            )
        )
    if NEEDS[0] in shown:
        blocks.append(
            trend(
                view,
                ["services_done"],
                view.text("为民办实事与上年同月", "Practical services, against a year earlier"),
                year_before=True,
            )
        )
    if MEDIATION[0] in shown:
        league = ranking(
            view,
            "mediation_success_rate",
            view.text("下级调解成功率", "Mediation success, one level down"),
        )
        if league is not None:
            blocks.append(league)
        for measure, dimension, title in (
            ("mediation_success_rate", "tier", view.text("调解成功率（按层级）", "Mediation success, by tier")),
            ("disputes_settled", "team", view.text("化解件数（按调解组织）", "Disputes settled, by team")),
            ("open_disputes", "risk", view.text("在办矛盾纠纷（按事项风险）", "Open disputes, by risk of the matter")),
        ):  # fmt: skip
            labels = choice_labels(view, "disputes", dimension)
            blocks.append(breakdown(view, measure, dimension, title, labels))
    if NEEDS[0] in shown:
        for measure, dataset, title in (
            ("wishes_fulfilled", "wishes", view.text("实现的微心愿（按类别）", "Wishes fulfilled, by category")),
            ("services_done", "services", view.text("为民办实事（按类别）", "Practical services, by category")),
        ):  # fmt: skip
            labels = choice_labels(view, dataset, "category")
            blocks.append(breakdown(view, measure, "category", title, labels))
    blocks.append(
        Note(
            view.text("口径说明", "Definitions"),
            text=view.text(
                "风险等级是事项的，不是人的；提级调处不设目标，以免该提不提。少于5的记为“<5”，为防推算一并不显示的记为“*”。",
                "Risk is of the matter, never of a person; escalation has no target, so that nobody is kept from "
                "referring upwards. “<5” is fewer than 5; “*” is withheld so that none of those can be worked out.",
            ),
            defines=True,
            items=definitions(view, shown),
        )
    )
    return tuple(blocks)


PAGE = Page("needs", Text(zh="调解与民生", en="Mediation & needs"), "handshake", build)
