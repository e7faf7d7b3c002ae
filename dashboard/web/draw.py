"""Blocks as markup for the exploring pages. Knows shapes and scales, nothing of the domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.blocks import (
    Address,
    Axis,
    Bar,
    Block,
    Feed,
    Gap,
    Lamp,
    Map,
    Note,
    Pick,
    Ranking,
    Row,
    Series,
    Table,
    Tile,
    Tiles,
    Trend,
)
from dashboard.web.markup import Markup, join, tag
from dashboard.web.schematic import layout, text_width
from dashboard.web.words import WORDS
from warehouse.text import Lang

GRID = 12
"""Columns of the page; a card takes 6 or 12 of them."""
GAPS: dict[Gap, str] = {
    "empty": "M0,6L6,0",
    "unobserved": "M1.5,1.5h.01M4.5,4.5h.01",
    "inapplicable": "M0,0L6,6M0,6L6,0",
    "suppressed": "M0,3H6",
}
"""What is drawn in a cell of the map without a figure, repeated every six units."""


@dataclass(frozen=True)
class Pen:
    """What drawing needs besides the block: the language, the link an address becomes, and where each block's table
    can be fetched, by the block's position on the page."""

    lang: Lang
    href: Callable[[Address], str]
    files: Mapping[int, str] = field(default_factory=dict)

    def word(self, name: str) -> str:
        return WORDS[name][self.lang]

    def link(self, address: Address) -> str | None:
        return self.href(address) if address else None


def page(blocks: Sequence[Block], pen: Pen) -> Markup:
    """All cards of a page on a grid of twelve columns, rows filled."""
    cards = [
        tag(
            "section",
            draw(block, pen),
            _fetched(position, pen),
            class_=f"n-card n-span-{span} n-{block.kind}",
        )
        for position, (block, span) in enumerate(zip(blocks, spans(blocks), strict=True))
    ]
    return tag("div", *cards, class_="n-page")


def _fetched(position: int, pen: Pen) -> Markup | None:
    href = pen.files.get(position)
    return tag("a", pen.word("csv"), class_="n-csv", href=href, download=True) if href else None


def spans(blocks: Sequence[Block]) -> list[int]:
    """Columns of each card: halves go side by side in order, a half left alone takes the whole row."""
    wanted = [_span(block) for block in blocks]
    out: list[int] = []
    at = 0
    while at < len(wanted):
        pair = wanted[at] == 6 and at + 1 < len(wanted) and wanted[at + 1] == 6
        out += [6, 6] if pair else [GRID]
        at += 2 if pair else 1
    return out


def draw(block: Block, pen: Pen) -> Markup:
    """One block as the inside of its card."""
    drawer: Callable[[Any, Pen], Markup] = DRAWERS[type(block)]
    return drawer(block, pen)


def lamp(state: Lamp) -> Markup:
    """A lamp's mark: its shape says what its colour says."""
    return tag("span", class_=f"n-lamp n-{state}", aria_hidden="true")


def _span(block: Block) -> int:
    if isinstance(block, Tiles):
        return GRID
    if isinstance(block, Table):
        return 6 if block.beside or len(block.columns) <= 4 else GRID
    if isinstance(block, Note):
        return GRID if len(block.text) > 160 or len(block.items) > 6 else 6
    return 6


def _head(title: str, aside: str = "", sentence: str = "") -> Markup:
    return join(
        tag("header", tag("h2", title), tag("span", aside, class_="n-aside") if aside else None)
        if title or aside
        else None,
        tag("p", sentence, class_="n-sentence") if sentence else None,
    )


def _foot(note: str) -> Markup | None:
    return tag("p", note, class_="n-note-line") if note else None


def _tiles(block: Tiles, pen: Pen) -> Markup:
    count = len(block.tiles)
    wide = 6 if count % 6 == 0 else 5 if count % 5 == 0 and count % 4 else min(block.columns, count) or 1
    narrow = count if count <= 5 else 3 if count % 3 == 0 and count % 4 else 4
    body = tag(
        "div",
        *(_tile(tile, pen) for tile in block.tiles),
        class_="n-tiles-grid",
        style=f"--wide:{wide};--narrow:{narrow or 1}",
    )
    return join(_head(block.title), body)


def _tile(tile: Tile, pen: Pen) -> Markup:
    href = pen.link(tile.address)
    label = tag("a", tile.label, class_="n-go", href=href) if href else tag("span", tile.label)
    return tag(
        "article",
        tag("div", tag("h3", label), _spark(tile.spark), class_="n-tile-head"),
        tag(
            "p",
            tag("b", tile.value, class_="n-figure"),
            tag("span", tile.unit, class_="n-unit") if tile.unit else None,
            tag("span", tile.counts, class_="n-counts") if tile.counts else None,
            class_="n-tile-value",
        ),
        tag(
            "p",
            lamp(tile.lamp) if tile.status else None,
            tag("span", tile.status, class_=f"n-word n-{tile.lamp}") if tile.status else None,
            tag("span", tile.target, class_="n-target") if tile.target else None,
            class_="n-tile-lamp",
        ),
        tag(
            "p",
            *(
                tag("span", tag("b", change.text, class_=f"n-{change.lamp}"), " ", change.label)
                for change in tile.changes
            ),
            class_="n-tile-changes",
        ),
        tag(
            "div",
            tag("span", tile.note, class_="n-tile-note") if tile.note else None,
            _passport(tile, pen),
            class_="n-tile-foot",
        ),
        class_="n-tile",
        data_measure=tile.measure,
    )


def _passport(tile: Tile, pen: Pen) -> Markup | None:
    if not tile.passport:
        return None
    return tag(
        "details",
        tag("summary", pen.word("definition")),
        tag(
            "div",
            tag("h4", tile.label),
            tag("dl", *(join(tag("dt", term), tag("dd", text)) for term, text in tile.passport)),
            class_="n-passport",
        ),
        name="passport",
    )


def _spark(values: Sequence[float | None]) -> Markup | None:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    spread = (high - low) or 1.0
    step = 100 / max(len(values) - 1, 1)
    points = [
        None if value is None else (index * step, 26 - (value - low) / spread * 22)
        for index, value in enumerate(values)
    ]
    return tag(
        "svg",
        tag("path", d=_path(points), class_="n-spark-line"),
        viewBox="0 0 100 30",
        preserveAspectRatio="none",
        class_="n-spark",
        aria_hidden="true",
    )


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """Path data through the points, broken at gaps; a lone point is a stroke of no length (a dot)."""
    out: list[str] = []
    open_ = False
    for point in points:
        if point is None:
            open_ = False
            continue
        out.append(f"{'L' if open_ else 'M'}{point[0]:.2f},{point[1]:.2f}" + ("" if open_ else "h0.01"))
        open_ = True
    return "".join(out)


def _share(value: float, axis: Axis) -> float:
    """Where a value stands on its axis, 0 to 100, clipped."""
    spread = (axis.high - axis.low) or 1.0
    return min(max((value - axis.low) / spread, 0.0), 1.0) * 100


def _trend(block: Trend, pen: Pen) -> Markup:
    count = len(block.labels)
    slot = 100 / max(count, 1)
    marks: list[Markup] = []
    bars = [series for series in block.series if series.mark == "bar"]
    for order, series in enumerate(bars):
        width = slot * 0.62 / len(bars)
        floor = 100 - _share(max(block.axis.low, 0.0), block.axis)
        for index, value in enumerate(series.values):
            if value is not None:
                top = 100 - _share(value, block.axis)
                marks.append(
                    tag(
                        "rect",
                        x=index * slot + slot * 0.19 + order * width,
                        y=min(top, floor),
                        width=width,
                        height=abs(floor - top),
                        class_=f"n-bar n-s{block.series.index(series)}",
                    )
                )
    if block.target:
        y = 100 - _share(block.target[0], block.axis)
        marks.append(tag("line", x1=0.0, x2=100.0, y1=y, y2=y, class_="n-target-line"))
    ends: list[Markup] = []
    for order, series in enumerate(block.series):
        if series.mark == "bar":
            continue
        points = [
            None if value is None else ((index + 0.5) * slot, 100 - _share(value, block.axis))
            for index, value in enumerate(series.values)
        ]
        marks.append(tag("path", d=_path(points), class_=f"n-line n-{series.mark} n-s{order}"))
        last = next((point for point in reversed(points) if point is not None), None)
        if last is not None and series.mark == "line":
            ends.append(tag("i", class_=f"n-end n-s{order}", style=f"left:{last[0]:.2f}%;top:{last[1]:.2f}%"))
    ticks = [
        tag("div", tag("span", label), class_="n-tick", style=f"bottom:{_share(value, block.axis):.2f}%")
        for value, label in block.axis.ticks
    ]
    # About twelve labels fit a half-width card; more are left to the pointer.
    every = max(1, -(-count // (12 if max((len(x) for x in block.labels), default=0) < 6 else 8)))
    labels = [
        tag("span", label, style=f"left:{(index + 0.5) * slot:.2f}%")
        for index, label in enumerate(block.labels)
        if index % every == 0
    ]
    hovers = [
        tag("i", data_tip=_tip(block, index), style=f"left:{index * slot:.3f}%;width:{slot:.3f}%")
        for index in range(count)
    ]
    target = (
        tag(
            "span",
            block.target[1],
            class_="n-target-label",
            style=f"bottom:{_share(block.target[0], block.axis):.2f}%",
        )
        if block.target
        else None
    )
    legend = tag(
        "p",
        *(
            tag("span", tag("i", class_=f"n-key n-{series.mark} n-s{order}"), series.name)
            for order, series in enumerate(block.series)
        ),
        class_="n-legend",
    )
    plot = tag(
        "div",
        *ticks,
        tag("svg", *marks, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true"),
        *ends,
        target,
        tag("div", *hovers, class_="n-hovers"),
        class_="n-plot",
    )
    return join(
        _head(block.title, block.axis.unit, block.sentence),
        legend,
        tag("figure", plot, tag("div", *labels, class_="n-x"), role="img", aria_label=block.title),
        _numbers(block, pen),
        _foot(block.note),
    )


def _tip(block: Trend, index: int) -> str:
    return "\n".join(
        [
            block.labels[index],
            *(f"{s.name}  {s.texts[index]}" for s in block.series if index < len(s.texts)),
        ]
    )


def _numbers(block: Trend, pen: Pen) -> Markup:
    """The trend's figures as a table, for reading aloud and copying."""
    head = tag("tr", tag("th", ""), *(tag("th", series.name, class_="n-right") for series in block.series))

    def cell(series: Series, index: int) -> Markup:
        return tag("td", series.texts[index] if index < len(series.texts) else "", class_="n-right")

    rows = [
        tag("tr", tag("th", label), *(cell(series, index) for series in block.series))
        for index, label in enumerate(block.labels)
    ]
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return tag(
        "details",
        tag("summary", pen.word("table_view")),
        tag("div", table, class_="n-table-box"),
        class_="n-numbers",
    )


def _ranking(block: Ranking, pen: Pen) -> Markup:
    target = (
        tag(
            "span",
            tag("em", block.target[1]),
            class_="n-rank-target",
            style=f"left:{_share(block.target[0], block.axis):.2f}%",
        )
        if block.target
        else None
    )
    ticks = [
        tag("span", label, style=f"left:{_share(value, block.axis):.2f}%")
        for value, label in block.axis.ticks
    ]
    # The columns left and right of the bars take the room their texts need, no more.
    rank = 26 if any(bar.rank for bar in block.bars) else 0
    side = rank + min(max((text_width(bar.label, 14) for bar in block.bars), default=0.0) + 18, 200)
    tail = 168 if any(bar.counts for bar in block.bars) else 68
    return join(
        _head(block.title, block.axis.unit, block.sentence),
        tag(
            "div",
            tag("div", *(_bar(bar, block.axis, pen) for bar in block.bars), class_="n-bars"),
            tag("div", target, class_="n-overlay") if target else None,
            tag("div", *ticks, class_="n-rank-x"),
            class_="n-rank-box" + (" n-has-target" if target else ""),
            style=f"--rank:{rank}px;--side:{side:.0f}px;--tail:{tail}px;--rows:{len(block.bars)}",
        ),
        _foot(block.note),
    )


def _bar(bar: Bar, axis: Axis, pen: Pen) -> Markup:
    track = tag(
        "span",
        tag("i", class_=f"n-fill n-{bar.lamp}", style=f"width:{_share(bar.value, axis):.2f}%")
        if bar.value is not None
        else None,
        tag(
            "i",
            class_="n-whisker",
            style=f"left:{_share(bar.low, axis):.2f}%;right:{100 - _share(bar.high, axis):.2f}%",
        )
        if bar.low is not None and bar.high is not None
        else None,
        class_="n-track",
    )
    href = pen.link(bar.address)
    return tag(
        "a" if href else "div",
        tag("span", bar.rank, class_="n-rank"),
        tag("span", bar.label, class_="n-name"),
        track,
        tag("span", bar.text, class_="n-value" + ("" if bar.value is not None else " n-muted")),
        tag("span", bar.counts, class_="n-counts"),
        class_="n-bar-row n-go" if href else "n-bar-row",
        href=href,
        data_tip="\n".join(part for part in (bar.label, f"{bar.text}  {bar.counts}".strip()) if part),
    )


def _table(block: Table, pen: Pen) -> Markup:
    lamps = any(row.lamp != "none" for row in block.rows)
    if not block.rows:
        body = tag("p", block.empty or pen.word("nothing"), class_="n-empty")
    else:
        head = tag(
            "tr",
            tag("th", class_="n-lamp-cell") if lamps else None,
            *(
                tag(
                    "th",
                    column.label,
                    class_=f"n-{column.align}",
                    scope="col",
                    style=f"width:{100 * column.width / max(sum(c.width for c in block.columns), 0.1):.1f}%",
                )
                for column in block.columns
            ),
        )
        rows = [_row(row, block, lamps, pen) for row in block.rows]
        whole = tag("table", tag("thead", head), tag("tbody", *rows))
        body = tag("div", whole, class_="n-table-box n-beside" if block.beside else "n-table-box")
    cut = block.total > len(block.rows)
    aside = pen.word("shown_of").format(shown=f"{len(block.rows):,}", total=f"{block.total:,}") if cut else ""
    return join(_head(block.title, aside, block.sentence), body, _foot(block.note))


def _row(row: Row, block: Table, lamps: bool, pen: Pen) -> Markup:
    href = pen.link(row.address)
    # The link stands in the first column of words: a running number says nothing when read aloud.
    named = next((i for i, column in enumerate(block.columns) if column.align == "left"), 0)
    cells = [
        tag(
            "td",
            tag("a", text, class_="n-go", href=href) if href and index == named else text,
            class_=f"n-{block.columns[index].align}" if index < len(block.columns) else None,
        )
        for index, text in enumerate(row.cells)
    ]
    first = tag("td", lamp(row.lamp) if row.lamp != "none" else None, class_="n-lamp-cell")
    return tag("tr", first if lamps else None, *cells, class_="n-linked" if href else None)


def _map(block: Map, pen: Pen) -> Markup:
    plan = layout(block, 760, 470, 13)
    last = max(len(block.classes) - 1, 1)
    cells: list[Markup] = []
    for shape, path in zip(block.shapes, plan.cells, strict=True):
        shade = shape.gap if shape.level is None else str(round(shape.level * 6 / last))
        cell = tag(
            "path",
            d=path,
            class_=f"n-cell n-c{shade}",
            fill=f"url(#n-{shade})" if shape.level is None else None,
            data_tip="\n".join(part for part in (shape.label, shape.text) if part),
        )
        href = pen.link(shape.address)
        # Hundreds of cells would be hundreds of stops of the tab key: the ranking and the picker lead there too.
        cells.append(tag("a", cell, class_="n-go", href=href, tabindex="-1") if href else cell)
    borders = [tag("path", d=path, class_="n-border") for path in plan.borders]
    labels = [
        tag("text", label.text, x=label.x, y=label.y + 4, class_="n-map-label") for label in plan.labels
    ]
    marks = [
        join(
            tag("circle", cx=mark.x, cy=mark.y, r=mark.r, class_="n-ring"),
            tag("text", mark.number, x=mark.x, y=mark.y - mark.r - 3, class_="n-ring-number"),
        )
        for mark in plan.marks
    ]
    gaps = [gap for gap in GAPS if any(shape.level is None and shape.gap == gap for shape in block.shapes)]
    words = dict(block.gaps)
    picture = tag(
        "svg",
        tag("defs", *(_pattern(gap) for gap in gaps)) if gaps else None,
        *cells,
        *borders,
        *labels,
        *marks,
        viewBox=f"0 0 {plan.width:.0f} {plan.height:.0f}",
        role="img",
        aria_label=block.title,
        class_="n-map-svg",
    )
    legend = tag(
        "p",
        tag("b", block.legend) if block.legend else None,
        *(
            tag("span", tag("i", class_=f"n-swatch n-c{round(index * 6 / last)}"), text)
            for index, text in enumerate(block.classes)
        ),
        *(
            tag("span", tag("i", class_=f"n-swatch n-c{gap}"), words.get(gap) or pen.word("no_data"))
            for gap in gaps
        ),
        class_="n-map-legend",
    )
    picks = [_pick(pick, pen) for pick in block.picks]
    return join(_head(block.title, block.note, block.sentence), *picks, picture, legend)


def _pattern(gap: Gap) -> Markup:
    """The pattern that says why a cell has no figure."""
    return tag(
        "pattern",
        tag("path", d=GAPS[gap]),
        id=f"n-{gap}",
        class_="n-gap",
        width=6.0,
        height=6.0,
        patternUnits="userSpaceOnUse",
    )


def _pick(pick: Pick, pen: Pen) -> Markup:
    """A row of links, one of them current: what is chosen stands in the address."""
    return tag(
        "nav",
        tag("b", pick.label),
        *(
            tag(
                "a",
                option.label,
                class_="n-go",
                href=pen.href(option.address),
                aria_current="true" if option.current else None,
            )
            for option in pick.options
        ),
        class_="n-pick",
        aria_label=pick.label,
    )


def _feed(block: Feed, pen: Pen) -> Markup:
    if not block.items:
        return join(
            _head(block.title, block.note), tag("p", block.empty or pen.word("nothing"), class_="n-empty")
        )
    items = [
        tag(
            "li",
            tag("time", item.time),
            tag("b", item.place),
            tag("span", item.text, class_="n-feed-text"),
            tag("span", lamp(item.lamp), item.state, class_=f"n-state n-{item.lamp}") if item.state else None,
        )
        for item in block.items
    ]
    return join(_head(block.title, block.note), tag("ul", *items, class_="n-feed-list"))


def _note(block: Note, pen: Pen) -> Markup:
    return tag(
        "div",
        _head(block.title),
        tag("p", block.text) if block.text else None,
        tag("dl", *(join(tag("dt", term), tag("dd", text)) for term, text in block.items))
        if block.items
        else None,
        class_=f"n-note-body n-{block.tone}",
    )


DRAWERS: dict[type[Any], Callable[[Any, Pen], Markup]] = {
    Tiles: _tiles,
    Trend: _trend,
    Ranking: _ranking,
    Table: _table,
    Map: _map,
    Feed: _feed,
    Note: _note,
}
