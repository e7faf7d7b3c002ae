"""`nerve published`: what the demo's places published, beside what their records come to."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from nerve.terminal import DEFAULT_SITE, JsonOption, LangOption, SiteOption, console, print_json
from pipelines.demo.published import Compared, compare
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake, nearest
from warehouse.site import load_site
from warehouse.text import LANGS, Lang, Text

HEADS = {
    "place": Text(zh="地方", en="place"),
    "figure": Text(zh="指标", en="figure"),
    "published": Text(zh="公布", en="published"),
    "comparator": Text(zh="比较", en="comparator"),
    "computed": Text(zh="由记录算得", en="computed"),
    "met": Text(zh="相符", en="met"),
    "source": Text(zh="出处", en="source"),
}
COMPARATORS = {
    "=": Text(zh="=", en="="),
    "≥": Text(zh="≥", en="≥"),
    "rounds to": Text(zh="约等于", en="rounds to"),
}
CONTEXT = Text(zh="只作背景，不由记录计算", en="Context: shown with its source, never computed")
POINTS = Text(zh="个百分点", en="points")
TITLE = Text(zh="公布数与记录", en="Published figures and the records")


def published(site: SiteOption = DEFAULT_SITE, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """What the demo's places published, beside what the catalogue computes from their records.

    Ends with 1 when a figure is not met.
    """
    found = load_site(site)
    shown = lang or found.languages[0]
    if shown not in LANGS:
        raise Mistake("--lang", f"unknown language '{shown}'", nearest(shown, LANGS))
    rows = compare(found)
    asked = [row for row in rows if row.equal is not None]
    context = [row for row in rows if row.equal is None]
    if as_json:
        print_json({"figures": [_row(row) for row in asked], "context": [_row(row) for row in context]})
    else:
        _print(asked, context, shown)
    if not all(row.equal for row in asked):
        raise SystemExit(1)


def _row(row: Compared) -> dict[str, Any]:
    figure = row.figure
    out: dict[str, Any] = {
        "place": row.source.label.model_dump(),
        "scope": row.scope,
        "figure": figure.label.model_dump(),
        "published": figure.published.model_dump(),
        "comparator": figure.comparator,
    }
    if row.equal is not None:
        out |= {
            "measure": figure.measure,
            "take": figure.take,
            "period": str(row.period),
            "value": figure.value,
            "computed": row.computed,
            "equal": row.equal,
        }
        if figure.by:
            out |= {"by": figure.by, "classes": list(figure.classes)}
    out["source"] = row.source.source.model_dump()
    if figure.note:
        out["note"] = figure.note.model_dump()
    return out


def _print(asked: list[Compared], context: list[Compared], lang: Lang) -> None:
    table = Table(title=TITLE[lang])
    for name, head in HEADS.items():
        table.add_column(head[lang], justify="right" if name in ("published", "computed") else "left")
    for row in asked:
        table.add_row(
            row.source.label[lang],
            row.figure.label[lang],
            row.figure.published[lang],
            COMPARATORS[row.figure.comparator][lang],
            _computed(row, lang),
            _met(row, lang),
            row.source.source[lang],
        )
    beside = Table(title=CONTEXT[lang])
    for name in ("place", "figure", "published", "source"):
        beside.add_column(HEADS[name][lang])
    for row in context:
        beside.add_row(
            row.source.label[lang],
            row.figure.label[lang],
            row.figure.published[lang],
            row.source.source[lang],
        )
    screen = console()
    screen.print(table)
    if context:
        screen.print(beside)
    for row in (*asked, *context):
        if row.figure.note:
            print(f"{row.source.label[lang]} · {row.figure.label[lang]}: {row.figure.note[lang]}")


def _computed(row: Compared, lang: Lang) -> str:
    """A share with three decimals, so that rounding can be seen; a rise in points."""
    if row.computed is None:
        return "–"
    if row.figure.take == "rise":
        return f"{row.computed * 100:+.3f} {POINTS[lang]}"
    if row.figure.take == "value" and catalogue().get(row.figure.measure).unit == "share":
        return f"{row.computed * 100:.3f} %"
    return f"{row.computed:,.0f}"


def _met(row: Compared, lang: Lang) -> str:
    yes, no = Text(zh="是", en="yes"), Text(zh="否", en="no")
    return (yes if row.equal else no)[lang]
