"""The wall: scenes as JSON that the wall's own element patches into its DOM, beat by beat.

The element is mounted once. A beat is some kilobytes: the clock, the sources, and under which key each scene's
figures are to be fetched; they travel once per change, a map's geometry once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from weakref import ref

import streamlit as st

from dashboard.blocks import Axis, Block, Feed, Map, Note, Ranking, Sheet, Table, Tile, Tiles, Trend
from dashboard.scene import Plan, Scene
from dashboard.web.draw import GAPS
from dashboard.web.pane import base
from dashboard.web.routes import GEOMETRIES, SCENES
from dashboard.web.schematic import layout
from dashboard.web.words import WORDS
from warehouse.text import Lang

ASSETS = Path(__file__).parent / "assets"
MAP_WIDTH, MAP_HEIGHT, MAP_FONT = 900.0, 560.0, 20.0
"""The map's box in the wall's own pixels (1080 of them make the height)."""
NAMED = 5
"""So many marked places are named below the map; more of them have a table beside it."""
LATEST = 10
"""Rows of a feed sent at most; the panel shows those that fit."""

WallData = dict[str, Any]
"""What the element receives: plain JSON, every text final and unescaped (it is set as text, never as markup)."""

Rests = Callable[[str], Sequence[str]]
"""The record sets that a measure's figures rest on."""


@dataclass(frozen=True)
class Clock:
    """The site's clock as the wall shows it; a stopped one does not tick."""

    now: datetime
    stopped: bool


@dataclass(frozen=True)
class Origin:
    """A record set as the wall watches it: last load by the site's clock, hours it may be old; `shown` at the foot."""

    dataset: str
    label: str
    last_load: datetime | None
    fresh_hours: float
    shown: bool


@dataclass(frozen=True)
class Frame:
    """What stands round the scenes: title and where it leads, language, seconds per scene, sources, notices."""

    title: str
    home: str
    lang: Lang
    every: int
    origins: tuple[Origin, ...]
    notices: tuple[str, ...] = ()


def wall_data(
    frame: Frame, scenes: Sequence[tuple[Scene, Sheet | None]], rests: Rests, clock: Clock, beat: float
) -> WallData:
    """The element's JSON. `beat` differs at every call: it is the heartbeat. A scene without a sheet is still to
    come; its panels are the sheet's blocks after the tiles, at the scene's places in order."""
    lang = frame.lang
    return {
        "title": frame.title,
        "subtitle": WORDS["center"]["en" if lang == "zh" else "zh"],
        "notice": " ".join(frame.notices),
        "lang": lang,
        "every": frame.every,
        "words": {name: text[lang] for name, text in WORDS.items()},
        "sources": [
            [
                origin.dataset,
                origin.label,
                origin.last_load.isoformat(timespec="seconds") if origin.last_load else "",
                origin.fresh_hours,
                origin.shown,
            ]
            for origin in frame.origins
        ],
        "scenes": [
            {
                "name": scene.name,
                "label": scene.label[lang],
                "key": _kept(scene, sheet, rests) if sheet else "",
                "cutoff": sheet.cutoff if sheet else "",
                "version": sheet.version if sheet else "",
            }
            for scene, sheet in scenes
        ],
        "now": clock.now.isoformat(timespec="milliseconds"),
        "stopped": clock.stopped,
        "beat": beat,
        "home": frame.home,
    }


def trouble(line: str, lang: Lang) -> WallData:
    """A beat without figures: the wall keeps the last ones and says so, or shows this line if it never had any."""
    return {"trouble": line, "lang": lang, "words": {name: text[lang] for name, text in WORDS.items()}}


def wall(data: WallData | None) -> None:
    """Mount the element or, where it is mounted already, hand it the next beat. None: nothing published yet."""
    _component()(key="wall", data={**(data or {"empty": True}), "base": base(), "code": _code()})


@cache
def wall_style() -> str:
    """Streamlit's own chrome, out of sight on the wall."""
    return (
        "<style>[data-testid=stHeader],[data-testid=stToolbar],[data-testid=stStatusWidget],"
        "[data-testid=stConnectionStatus],[data-testid=stSidebar],[data-testid=stDialog],"
        "[data-testid=stToastContainer],[data-testid=stSkeleton],[data-testid=stAppSkeleton]"
        "{display:none!important}"
        "html,body,[data-testid=stApp],[data-testid=stAppViewContainer]"
        "{background:#040b18!important;overflow:hidden!important}"
        "[data-stale=true]{opacity:1!important}</style>"
    )


# Streamlit sends a component's code with every message: the real one is a module the browser fetches once.
_LOADER = """export default function (component) {
  const { base, code } = component.data;
  import(`${location.origin}${base}/assets/wall.js?v=${code}`).then((wall) => wall.default(component));
}"""


@cache
def _component() -> Any:
    return st.components.v2.component("nerve_wall", js=_LOADER, isolate_styles=True)


@cache
def _code() -> str:
    """Names the state of the wall's code, so that browsers do not keep an old one."""
    return hashlib.sha256(
        b"".join((ASSETS / name).read_bytes() for name in ("wall.js", "panels.js", "wall.css"))
    ).hexdigest()[:12]


_composed: dict[tuple[int, str], tuple[ref[Sheet], str, bytes]] = {}
"""By a sheet's id and its scene; an entry goes with its sheet."""


def _kept(scene: Scene, sheet: Sheet, rests: Rests) -> str:
    """The key of a scene's figures, ready to be fetched."""
    place = (id(sheet), scene.name)
    found = _composed.get(place)
    if found is None or found[0]() is not sheet:
        body = json.dumps(
            compose(scene, sheet, rests), ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()
        found = (
            ref(sheet, lambda _: _composed.pop(place, None)), hashlib.sha256(body).hexdigest()[:32], body,
        )  # fmt: skip
        _composed[place] = found
    SCENES.keep(found[1], found[2])
    return found[1]


def compose(scene: Scene, sheet: Sheet, rests: Rests) -> WallData:
    """A scene's figures as JSON: what is in it changes only when they do."""
    tiles = sheet.blocks[0] if sheet.blocks and isinstance(sheet.blocks[0], Tiles) else None
    blocks = sheet.blocks[1:] if tiles else ()
    return {
        "place": sheet.place,
        "period": tiles.title if tiles else "",
        "plans": [_plan(scene.plan), _plan(scene.wide)],
        "tiles": [_tile(tile, rests) for tile in (tiles.tiles if tiles else ())],
        "panels": [
            {"area": place.area, "rests": list(place.rests), **_panel(block)}
            for place, block in zip(scene.places, blocks, strict=False)
        ],
        "instead": [_panel(block) for block in sheet.blocks] if tiles is None else [],
    }


def _plan(plan: Plan) -> WallData:
    return {"rows": list(plan.rows), "columns": list(plan.columns), "heights": list(plan.heights)}


def _share(value: float | None, axis: Axis) -> float | None:
    """Where a value stands on its axis, 0 to 100, clipped; None stays a gap."""
    if value is None:
        return None
    return round(min(max((value - axis.low) / ((axis.high - axis.low) or 1.0), 0.0), 1.0) * 100, 2)


def _tile(tile: Tile, rests: Rests) -> WallData:
    return {
        "rests": list(rests(tile.measure)),
        "label": tile.label,
        "value": tile.value,
        "unit": tile.unit,
        "lamp": tile.lamp,
        "status": tile.status,
        "target": tile.target,
        "change": [tile.changes[0].text, tile.changes[0].label, tile.changes[0].lamp]
        if tile.changes
        else None,
        "spark": list(tile.spark),
    }


def _panel(block: Block) -> WallData:
    """What one block's panel shows."""
    match block:
        case Ranking():
            shown = _ranking(block)
        case Trend():
            shown = _trend(block)
        case Map():
            shown = _map(block)
        case Feed():
            shown = _feed(block)
        case Table():
            shown = _table(block)
        case Note():
            shown = {"aside": "", "text": block.text}
        case Tiles():
            shown = {"aside": "", "text": ""}
    return {"kind": block.kind, "title": block.title, **shown}


def _ranking(block: Ranking) -> WallData:
    return {
        "aside": block.axis.unit,
        "target": [_share(block.target[0], block.axis), block.target[1]] if block.target else None,
        "bars": [
            [
                bar.label, bar.rank, bar.text, bar.lamp, _share(bar.value, block.axis),
                _share(bar.low, block.axis), _share(bar.high, block.axis),
            ]
            for bar in block.bars
        ],
    }  # fmt: skip


def _trend(block: Trend) -> WallData:
    return {
        "aside": block.note or block.axis.unit,
        "labels": list(block.labels),
        "ticks": [[_share(value, block.axis), label] for value, label in block.axis.ticks],
        "target": [_share(block.target[0], block.axis), block.target[1]] if block.target else None,
        "series": [
            [series.name, series.mark, [_share(value, block.axis) for value in series.values]]
            for series in block.series
        ],
    }


def _map(block: Map) -> WallData:
    plan = layout(block, MAP_WIDTH, MAP_HEIGHT, MAP_FONT)
    geometry = json.dumps(
        {"width": plan.width, "height": plan.height, "cells": plan.cells, "borders": plan.borders},
        separators=(",", ":"),
    ).encode()
    key = hashlib.sha256(geometry).hexdigest()[:24]
    GEOMETRIES.keep(key, geometry)
    last = max(len(block.classes) - 1, 1)
    words = dict(block.gaps)
    marked = [shape for shape in block.shapes if shape.ring]
    return {
        "aside": block.note,
        "legend": block.legend,
        "classes": [[round(index * 6 / last), text] for index, text in enumerate(block.classes)],
        "gaps": [
            [gap, words.get(gap, "")]
            for gap in GAPS
            if any(s.level is None and s.gap == gap for s in block.shapes)
        ],
        "key": key,
        "width": plan.width,
        "height": plan.height,
        "levels": "".join(
            shape.gap[0] if shape.level is None else str(round(shape.level * 6 / last))
            for shape in block.shapes
        ),
        "names": [[shape.ring, shape.label] for shape in sorted(marked, key=lambda one: len(one.ring))]
        if len(marked) <= NAMED
        else [],
        "labels": [[label.text, round(label.x, 1), round(label.y, 1)] for label in plan.labels],
        "marks": [[mark.number, round(mark.x, 1), round(mark.y, 1), round(mark.r, 1)] for mark in plan.marks],
    }


def _feed(block: Feed) -> WallData:
    return {
        "aside": block.note,
        "empty": block.empty,
        "items": [[item.time, item.place, item.text, item.state, item.lamp] for item in block.items[:LATEST]],
    }


def _table(block: Table) -> WallData:
    shown = block.rows if block.printed else ()
    return {
        "aside": block.note,
        "empty": block.empty,
        "columns": [[column.label, column.align, column.width] for column in block.columns],
        "rows": [[list(row.cells), row.lamp] for row in shown],
    }
