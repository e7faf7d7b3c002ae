"""A brief: chosen pages of one view as one document, with what they say in sentences and one chapter of definitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from dashboard.blocks import (
    Block,
    Brief,
    Chapter,
    Column,
    Definition,
    Feed,
    Map,
    Note,
    Ranking,
    Row,
    Sheet,
    Table,
    Tile,
    Tiles,
    Trend,
)  # fmt: skip
from dashboard.said import headline, sentences
from dashboard.view import Page, View, build
from warehouse.text import Lang, Text

LISTED = 20
"""Off-target measures named in the key points."""
SLIDE_TILES = 8
"""Figures of a chapter on slides: one slide of them."""
SLIDE_ROWS = 9
"""Rows of a table on slides, as many as one holds."""
SLIDE_MARKS = 5
"""Places marked on a map on slides, as many as are named beside it."""
SLIDE_BARS = (3, 5)
"""Places of a ranking on slides: so many from its head, so many from its foot."""
WORDS: dict[str, Text] = {
    "key": Text(zh="要点", en="Key points"),
    "off": Text(zh="未达标指标", en="Off target"),
    "measure": Text(zh="指标", en="Measure"),
    "now": Text(zh="本期", en="This period"),
    "target": Text(zh="目标", en="Target"),
    "change": Text(zh="变化", en="Change"),
    "chapter": Text(zh="章节", en="Chapter"),
    "none_off": Text(zh="没有未达标的指标。", en="No measure is off target."),
    "figures": Text(zh="主要指标", en="Main figures"),
    "slides": Text(
        zh="幻灯片只列重点：未达标和接近目标的指标优先，排名取首尾，其余见 A4 版和工作簿。",
        en="Slides show what matters: figures off or near their targets first, the head and foot of a ranking. "
        "All of it is in the A4 brief and the workbook.",
    ),
    "cut": Text(
        zh="列出首 {head} 位和末 {foot} 位，共 {total} 位。",
        en="The first {head} and the last {foot} of {total}.",
    ),
    "left_out": Text(
        zh="逐条记录不打印，请在系统中查看：{titles}。",
        en="Lists of single records are not printed; see them on screen: {titles}.",
    ),
}
SEPARATOR: dict[Lang, str] = {"zh": "：", "en": ": "}


def compose(
    view: View, pages: Sequence[Page], title: Text, *, changes: Sequence[Block] = (), mark: str = ""
) -> Brief:
    """The brief of `pages` in order, after its key points. `changes` open it: what became of the last brief."""
    sheets = [build(page, view) for page in pages]
    first = sheets[0]
    tiles = distinct(sheets)
    definitions, common = _definitions(tiles, view.lang)
    key = Chapter(
        WORDS["key"][view.lang], headline(tiles, view.lang), (*changes, *_off_target(sheets, view.lang))
    )
    return Brief(
        title=title[view.lang],
        place=first.place,
        period=first.period,
        compare=first.compare,
        cutoff=first.cutoff,
        version=first.version,
        lang=view.lang,
        notices=first.notices,
        chapters=(key, *(_chapter(sheet, view.lang) for sheet in sheets)),
        definitions=definitions,
        common=common,
        remarks=tuple(_remarks(sheets, view.lang)),
        mark=mark,
    )


def for_slides(brief: Brief) -> Brief:
    """The brief as it is shown in a room: of each chapter one slide of figures, those off or near their targets first
    in the choice, never in the order, its first trend, map and ranking (of a chapter without one its first table), and
    the definitions of what is off target. The key points stay."""
    lang: Lang = "zh" if brief.lang == "zh" else "en"
    key, *rest = brief.chapters
    off = {
        tile.label
        for c in rest
        for b in c.blocks
        if isinstance(b, Tiles)
        for tile in b.tiles
        if tile.lamp == "off"
    }
    return dataclasses.replace(
        brief,
        chapters=(
            dataclasses.replace(key, blocks=tuple(_cut(block, lang) for block in key.blocks)),
            *(dataclasses.replace(chapter, blocks=_chosen(chapter.blocks, lang)) for chapter in rest),
        ),
        definitions=tuple(one for one in brief.definitions if one.label in off),
        remarks=((brief.title, WORDS["slides"][lang]), *brief.remarks),
    )


def _chosen(blocks: Sequence[Block], lang: Lang) -> tuple[Block, ...]:
    tiles = [tile for block in blocks if isinstance(block, Tiles) for tile in block.tiles]
    weight = {"off": 0, "near": 1, "good": 2, "neutral": 2, "none": 3}
    chosen = sorted(tiles, key=lambda tile: weight[tile.lamp])[:SLIDE_TILES]
    out: list[Block] = []
    if tiles:
        shown = tuple(tile for tile in tiles if tile in chosen)
        out.append(Tiles(WORDS["figures"][lang], shown, columns=4))
    # Where no place has a figure yet, a ranking says nothing.
    ranked: list[Block] = [
        b for b in blocks if isinstance(b, Ranking) and any(bar.value is not None for bar in b.bars)
    ]
    for found in (
        [block for block in blocks if isinstance(block, Trend)],
        [block for block in blocks if isinstance(block, Map)],
        ranked or [block for block in blocks if isinstance(block, Table)],
    ):
        out += [_cut(block, lang) for block in found[:1]]
    return (*out, *(block for block in blocks if isinstance(block, Note | Feed)))


def _cut(block: Block, lang: Lang) -> Block:
    if isinstance(block, Table):
        total = max(block.total, len(block.rows))
        return dataclasses.replace(block, rows=block.rows[:SLIDE_ROWS], total=total)
    if isinstance(block, Map):
        rings = sorted(
            {shape.ring for shape in block.shapes if shape.ring}, key=lambda ring: (len(ring), ring)
        )
        kept = {"", *rings[:SLIDE_MARKS]}
        shapes = tuple(s if s.ring in kept else dataclasses.replace(s, ring="") for s in block.shapes)
        return dataclasses.replace(block, shapes=shapes)
    head, foot = SLIDE_BARS
    if isinstance(block, Ranking) and len(block.bars) > head + foot:
        said = WORDS["cut"][lang].format(head=head, foot=foot, total=len(block.bars))
        bars = (*block.bars[:head], *block.bars[-foot:])
        return dataclasses.replace(block, bars=bars, note=f"{said} {block.note}".strip())
    return block


def joined(sheets: Sequence[Sheet], title: str) -> Sheet:
    """Several pages as one sheet, for a workbook."""
    return dataclasses.replace(
        sheets[0], title=title, blocks=tuple(block for sheet in sheets for block in sheet.blocks)
    )


def distinct(sheets: Iterable[Sheet]) -> tuple[Tile, ...]:
    """The headline figures of the pages, each measure once, where it first stands."""
    found: dict[str, Tile] = {}
    for sheet in sheets:
        for block in sheet.blocks:
            if isinstance(block, Tiles):
                for tile in block.tiles:
                    found.setdefault(tile.measure, tile)
    return tuple(found.values())


def _chapter(sheet: Sheet, lang: Lang) -> Chapter:
    blocks = tuple(
        block
        for block in sheet.blocks
        if not (isinstance(block, Note) and block.defines)
        and not (isinstance(block, Table) and not block.printed)
    )
    return Chapter(sheet.title, sentences(blocks, lang), blocks)


def _remarks(sheets: Iterable[Sheet], lang: Lang) -> Iterable[tuple[str, str]]:
    """What the definitions of a page say besides them, and what of it is not printed."""
    for sheet in sheets:
        for block in sheet.blocks:
            if isinstance(block, Note) and block.defines and block.text:
                yield sheet.title, block.text
        titles = [block.title for block in sheet.blocks if isinstance(block, Table) and not block.printed]
        if titles:
            shown = ("、" if lang == "zh" else ", ").join(titles)
            yield sheet.title, WORDS["left_out"][lang].format(titles=shown)


def _off_target(sheets: Sequence[Sheet], lang: Lang) -> tuple[Block, ...]:
    where: dict[str, str] = {}
    for sheet in sheets:
        for tile in distinct([sheet]):
            where.setdefault(tile.measure, sheet.title)
    tiles = distinct(sheets)
    if not any(tile.lamp in ("good", "near", "off") for tile in tiles):
        return ()
    off = [tile for tile in tiles if tile.lamp == "off"]
    rows = [
        Row(
            (
                tile.label,
                f"{tile.value} {tile.unit}".strip(),
                tile.target.partition(" ")[2] or tile.target,
                " ".join((tile.changes[0].label, tile.changes[0].text)) if tile.changes else "–",
                where[tile.measure],
            ),
            lamp="off",
        )
        for tile in off
    ]
    return (
        Table(
            title=WORDS["off"][lang],
            columns=(
                Column(WORDS["measure"][lang], width=2.4),
                Column(WORDS["now"][lang], "right"),
                Column(WORDS["target"][lang], "right"),
                Column(WORDS["change"][lang], width=2.4),
                Column(WORDS["chapter"][lang], width=1.2),
            ),
            rows=tuple(rows[:LISTED]),
            total=len(rows),
            empty=WORDS["none_off"][lang],
        ),
    )


def _definitions(tiles: Sequence[Tile], lang: Lang) -> tuple[tuple[Definition, ...], tuple[str, ...]]:
    """The definitions, and the passport lines that hold for all of them.

    A passport begins with the measure and its definition and ends with the command that gives the figure again.
    """
    passports = [tile.passport for tile in tiles if len(tile.passport) > 3]
    if not passports:
        return (), ()
    colon = SEPARATOR[lang]
    shared = (
        [line for line in passports[0] if all(line in other for other in passports)] if passports[1:] else []
    )
    out = []
    for tile in tiles:
        if len(tile.passport) <= 3:
            continue
        target = f" [{tile.target}]" if tile.target else ""
        target += f" {tile.note}" if tile.note else ""
        own = [f"{label}{colon}{text}" for label, text in tile.passport[2:-1] if (label, text) not in shared]
        out.append(Definition(tile.label, tile.passport[1][1] + target, (tile.measure, *own)))
    again, command = passports[0][-1]
    words = command.split(" ")
    words[2:3] = ["<指标>" if lang == "zh" else "<measure>"]
    common = [f"{label}{colon}{text}" for label, text in (*shared, (again, " ".join(words)))]
    return tuple(out), ((" · ").join(common),)
