"""Cases: what came in, how fast it was closed, by whom and at which tier, and what is overdue."""

from __future__ import annotations

from dashboard.blocks import Block, Note, Option, Pick, Tiles
from dashboard.figures import breakdown, choice_labels, definitions, no_source, ranking, tiles, trend
from dashboard.lists import latest_cases, overdue_cases, record
from dashboard.view import Page, View
from warehouse.mistake import Mistake, nearest
from warehouse.query import query
from warehouse.result import Value
from warehouse.text import Text

HEADLINE = (
    "cases_reported", "overdue_open_cases", "due_soon_cases", "on_time_closing_rate",
    "closing_rate", "hours_to_close", "hours_to_close:p90", "dispatch_rate",
)  # fmt: skip
QUALITY = (
    "return_rate", "accurate_dispatch_rate", "timely_signing_rate", "rework_rate", "extension_rate",
    "verification_pass_rate", "repeat_case_rate", "supervised_items_done_rate", "settled_in_village",
    "settled_in_township",
)  # fmt: skip
HOTLINE = (
    "hotline_demands", "hotline_response_rate", "hotline_resolution_rate", "hotline_satisfaction",
    "hotline_composite",
)  # fmt: skip


def build(view: View) -> tuple[Block, ...]:
    if view.record:
        return record(view)
    narrowed = _narrowed(view)
    headline = tiles(view, HEADLINE)
    if not headline:
        return (no_source(view),)
    blocks: list[Block] = [Tiles(view.text("受理与办结", "Received and closed"), headline, columns=4)]
    quality = tiles(view, QUALITY)
    if quality:
        blocks.append(Tiles(view.text("办理质量与层级", "Quality and tier"), quality, columns=5))
    hotline = tiles(view, HOTLINE)
    if hotline:
        blocks.append(Tiles(view.text("12345 热线", "12345 hotline"), hotline, columns=5))
    blocks += [
        trend(
            view,
            ["cases_reported"],
            view.text("事件上报数与上年同月", "Cases reported, against a year earlier"),
            year_before=True,
        ),
        trend(
            view,
            ["on_time_closing_rate"],
            view.text("按期结案率与上年同月", "On-time closing rate, against a year earlier"),
            year_before=True,
        ),
    ]
    league = ranking(
        view, "on_time_closing_rate", view.text("下级按期结案率", "On-time closing, one level down")
    )
    if league is not None:
        blocks.append(league)
    for dimension, title in (
        ("category", view.text("事件类别", "By category")),
        ("channel", view.text("来源渠道", "By channel")),
    ):
        if dimension == "category" and narrowed:
            continue
        blocks.append(
            breakdown(view, "cases_reported", dimension, title, choice_labels(view, "cases", dimension))
        )
    blocks += [
        breakdown(
            view,
            "overdue_open_cases",
            "unit",
            view.text("超期未结（按承办单位）", "Overdue, by handling unit"),
            choice_labels(view, "cases", "unit"),
        ),
        overdue_cases(view),
        latest_cases(view),
        Note(
            view.text("口径说明", "Definitions"),
            defines=True,
            items=definitions(view, (*HEADLINE, *QUALITY, *HOTLINE)),
        ),
    ]
    return tuple(blocks)


def _narrowed(view: View) -> str:
    """The category the page is narrowed to, or "". Raises Mistake on one that the source does not know."""
    code, known = view.chosen("category"), choice_labels(view, "cases", "category")
    if code and known and code not in known:
        raise Mistake("category", f"unknown category '{code}'", nearest(code, known))
    return code


def offers(view: View) -> tuple[Pick, ...]:
    """The categories there are cases of in this place and period, and the one chosen."""
    if "cases" not in view.version.datasets or "category" not in view.version.datasets["cases"].mapped:
        return ()
    labels, chosen = choice_labels(view, "cases", "category"), _narrowed(view)
    cells = query(
        view.version, view.viewer, ["cases_reported"], view.scope.code, [view.period], by="category"
    )
    present = [c.key for c in cells if c.key and isinstance(c.result, Value) and c.result.value]
    codes = [code for code in (labels or present) if code in present or code == chosen]
    options = [
        Option(labels[code][view.lang] if code in labels else code, (("category", code),), code == chosen)
        for code in codes
    ]
    every = Option(view.text("全部类别", "All"), (("category", ""),), not chosen)
    return (Pick(view.text("类别", "Category"), (every, *options)),)


PAGE = Page("cases", Text(zh="事件", en="Cases"), "assignment", build, asks=("category",), offers=offers)
