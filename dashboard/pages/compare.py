"""Two briefs side by side: each figure then and now, and why it changed; the same answer as `nerve diff`."""

from __future__ import annotations

from collections.abc import Callable

from dashboard.blocks import Address, Block, Column, Note, Row, Table
from dashboard.changed import items, table
from dashboard.printing.register import Entry, entries
from dashboard.view import Page, View
from warehouse.mistake import Mistake
from warehouse.scope import clip
from warehouse.text import Text

LISTED = 12
"""Briefs to choose from, the newest first."""


def build(view: View) -> tuple[Block, ...]:
    # Loaded here: what exports pages knows them all.
    from dashboard.export import difference

    picked: tuple[Block, ...] = ()
    then, now = view.chosen("then"), view.chosen("now")
    if then and now:
        first, second, why = difference(view.site, (then, now))
        if clip(view.version, view.viewer, first.scope).code != first.scope:
            raise Mistake(
                "compare", f"'{first.scope}' lies outside your own scope", "choose reports of your own"
            )
        found = table(view, first, items(first, second.figures, why))
        said = [
            (view.text("较早", "Then"), _said(view, first)),
            (view.text("较新", "Now"), _said(view, second)),
        ]
        picked = (found, Note(view.text("所比的两期", "The two briefs"), items=tuple(said)))
    return (
        *picked,
        on_record(
            view, view.text("选择较早一期", "Choose the earlier one"), lambda e: (("then", e.id),), then
        ),
        on_record(view, view.text("选择较新一期", "Choose the later one"), lambda e: (("now", e.id),), now),
    )


def on_record(view: View, title: str, leads: Callable[[Entry], Address], chosen: str = "") -> Table:
    """The registered exports of this place that have figures, each question once, the newest first."""
    known = {
        (entry.page, entry.pages, entry.start, entry.end, entry.version): entry
        for entry in entries(view.site)
        if entry.figures and entry.scope == view.scope.code
    }
    newest = list(reversed(known.values()))
    return Table(
        title=title,
        columns=(
            Column(view.text("简报", "Brief"), width=1.4),
            Column(view.text("统计时段", "Period"), width=2.4),
            Column(view.text("印制", "Made"), width=1.4),
            Column(view.text("版本", "Version")),
        ),
        rows=tuple(
            Row(
                (
                    _title(view, entry),
                    f"{entry.start} – {entry.end}",
                    entry.made[:16].replace("T", " "),
                    entry.version,
                ),
                lamp="good" if chosen and entry.id.startswith(chosen) else "none",
                address=leads(entry),
            )
            for entry in newest[:LISTED]
        ),
        total=len(newest),
        empty=view.text("此地区尚无已登记的简报。", "No brief of this place has been registered yet."),
        printed=False,
    )


def _title(view: View, entry: Entry) -> str:
    # Loaded here: it holds this page too.
    from dashboard.pages import PAGES

    if entry.title:
        return entry.title.get(view.lang) or entry.page
    return next((page.label[view.lang] for page in PAGES if page.name == entry.page), entry.page)


def _said(view: View, entry: Entry) -> str:
    return f"{_title(view, entry)} · {entry.start} – {entry.end} · {entry.version} · {entry.id}"


PAGE = Page(
    "compare",
    Text(zh="两期对比", en="Two briefs"),
    "compare",
    build,
    live=True,
    menu=False,
    asks=("then", "now"),
)
