"""The frame round a page: bar on top, where you are, notices, and calm words when there is nothing to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.blocks import Sheet
from dashboard.web.markup import Markup, join, tag
from dashboard.web.words import WORDS
from warehouse.mistake import Mistake
from warehouse.text import LANGS, Lang


@dataclass(frozen=True)
class Link:
    """A word that leads somewhere; `current` marks the page one is on."""

    label: str
    href: str
    current: bool = False


def bar(center: str, pages: Sequence[Link], language: Link | None, lang: Lang) -> Markup:
    """Whose centre this is, its pages, and the other language."""
    links = [
        tag(
            "a",
            link.label,
            class_="n-go",
            href=link.href,
            aria_current="page" if link.current else None,
        )
        for link in pages
    ]
    other = (
        tag(
            "a", language.label, class_="n-go n-lang", href=language.href, lang="en" if lang == "zh" else "zh"
        )
        if language
        else None
    )
    return tag(
        "div",
        tag("span", center, class_="n-brand"),
        tag("nav", *links, aria_label=WORDS["menu"][lang]),
        other,
        class_="n-bar-top",
    )


def heading(sheet: Sheet, parents: Sequence[Link], lang: Lang) -> Markup:
    """Notices, the way down to the place, the page's name, its period, and what the figures rest on."""
    way: list[Markup] = []
    for link in parents:
        way += [tag("a", link.label, class_="n-go", href=link.href), tag("i", "/")]
    return join(
        *(tag("p", notice, class_="n-notice", role="note") for notice in sheet.notices),
        tag(
            "div",
            tag("nav", *way, aria_label=WORDS["path"][lang]) if way else None,
            tag("h1", sheet.place),
            tag("span", f"{sheet.title} · {sheet.period}", class_="n-page-name"),
            tag(
                "span",
                f"{WORDS['cutoff'][lang]} {sheet.cutoff} · {WORDS['version'][lang]} {sheet.version}",
                class_="n-cut",
            ),
            class_="n-where",
        ),
    )


def calm(what: str, more: str, line: str = "", home: str = "") -> Markup:
    """A note in both languages instead of a page: `what` and `more` are keys of the words, `line` the detail."""
    halves = [
        tag("section", tag("h2", WORDS[what][lang]), tag("p", WORDS[more][lang]) if more else None, lang=lang)
        for lang in LANGS
    ]
    back = [tag("a", WORDS["back"][lang], class_="n-go", href=home) for lang in LANGS] if home else []
    return tag("div", *halves, tag("code", line) if line else None, *back, class_="n-calm", role="status")


def mistaken(mistake: Mistake, home: str = "") -> Markup:
    """A mistake as a calm note: what is wrong and the remedy, in its own line."""
    return calm("mistake", "", str(mistake), home)
