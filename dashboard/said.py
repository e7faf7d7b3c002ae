"""What blocks say, in sentences as an official would write them. Each is made of the words of its block alone:
a rise or fall is called one only where `Change.said` does, which asks the test of the difference."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.blocks import Block, Ranking, Table, Tile, Tiles
from warehouse.text import Lang

SENTENCES = 6
"""Sentences of one chapter."""
NAMED = 6
"""Measures named in one sentence."""


def sentences(blocks: Sequence[Block], lang: Lang) -> tuple[str, ...]:
    """The sentences of a chapter: its leading figures (off target first in the choice, never in the order), and
    what its rankings say; of a chapter without figures what its tables say."""
    tiles = [tile for block in blocks if isinstance(block, Tiles) for tile in block.tiles]
    leading = [block.tiles[0] for block in blocks if isinstance(block, Tiles) and block.tiles]
    weight = {"off": 0, "near": 1, "good": 3, "neutral": 4, "none": 9}
    known = [tile for tile in tiles if tile.lamp != "none"]
    chosen = sorted(known, key=lambda t: weight[t.lamp] - (2.5 if t in leading else 0))[: SENTENCES - 1]
    said = [of_tile(tile, lang) for tile in tiles if tile in chosen]
    said += [
        f"{block.title}{'：' if lang == 'zh' else ': '}{block.sentence}"
        for block in blocks
        if isinstance(block, Ranking) and block.sentence and any(bar.low is not None for bar in block.bars)
    ][:1]
    if not tiles:
        said += [block.sentence for block in blocks if isinstance(block, Table) and block.sentence][
            :SENTENCES
        ]
    return tuple(said)


def of_tile(tile: Tile, lang: Lang) -> str:
    """One figure as a sentence: "Closing rate 91.2 %, up 0.8 points on the previous period, on target (≥ 90 %)."""
    comma, stop = ("，", "。") if lang == "zh" else (", ", ".")
    if lang == "zh":
        parts = [f"{tile.label}{tile.value}{tile.unit}"]
    else:
        # "Cases reported: 70,038", not "70,038 cases".
        shown = "" if tile.unit.lower() in tile.label.lower() else f" {tile.unit}"
        parts = [f"{tile.label}: {tile.value}{shown}".rstrip()]
    parts += [change.said for change in tile.changes[:1] if change.said]
    if tile.lamp in ("good", "near", "off") and tile.target:
        parts.append(_aim(tile, lang))
    return comma.join(parts) + stop


def headline(tiles: Sequence[Tile], lang: Lang) -> tuple[str, ...]:
    """The figures of a whole brief in two or three sentences: how many meet their targets, what really moved."""
    count = {lamp: sum(tile.lamp == lamp for tile in tiles) for lamp in ("good", "near", "off")}
    total = sum(count.values())
    out: list[str] = []
    if total and lang == "zh":
        out.append(
            f"{total} 项有目标的指标中，{count['good']} 项达标，{count['near']} 项接近，{count['off']} 项未达标。"
        )
    elif total:
        out.append(
            f"Of {total} measures with a target {count['good']} are on target, {count['near']} near it "
            f"and {count['off']} off it."
        )
    for lamp, zh, en in (("good", "明显向好", "Better"), ("off", "明显变差", "Worse")):
        moved = [tile for tile in tiles if tile.changes and tile.changes[0].lamp == lamp]
        if moved:
            than = moved[0].changes[0].than or moved[0].changes[0].label
            out.append(
                _listed(
                    [tile.label for tile in moved],
                    f"{than}{zh}" if lang == "zh" else f"{en} {than}",
                    lang,
                )
            )
    return tuple(out)


def _listed(names: Sequence[str], what: str, lang: Lang) -> str:
    shown = list(names[:NAMED])
    rest = len(names) - len(shown)
    if lang == "zh":
        return f"{what}：{'、'.join(shown)}{f'等 {len(names)} 项' if rest else ''}。"
    return f"{what}: {', '.join(shown)}{f' and {rest} more' if rest else ''}."


def _aim(tile: Tile, lang: Lang) -> str:
    target = tile.target.partition(" ")[2] or tile.target
    if lang == "zh":
        word = {"good": "达标", "near": "接近目标", "off": "未达标"}[tile.lamp]
        return f"{word}（目标{target}）"
    word = {"good": "on target", "near": "near target", "off": "off target"}[tile.lamp]
    return f"{word} ({target})"
