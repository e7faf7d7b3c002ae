"""A brief: chosen pages of one view as one document, with what they say in sentences and one chapter of definitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from dashboard.blocks import Block, Brief, Chapter, Column, Definition, Note, Row, Sheet, Table, Tile, Tiles
from dashboard.said import headline, sentences
from dashboard.view import Page, View, build
from warehouse.text import Lang, Text

LISTED = 20
"""Off-target measures named in the key points."""
WORDS: dict[str, Text] = {
    "key": Text(zh="要点", en="Key points"),
    "off": Text(zh="未达标指标", en="Off target"),
    "measure": Text(zh="指标", en="Measure"),
    "now": Text(zh="本期", en="This period"),
    "target": Text(zh="目标", en="Target"),
    "change": Text(zh="变化", en="Change"),
    "chapter": Text(zh="章节", en="Chapter"),
    "none_off": Text(zh="没有未达标的指标。", en="No measure is off target."),
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
