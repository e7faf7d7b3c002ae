"""The wall: a sheet as one JSON that the wall's own element patches into its DOM, beat by beat.

The element is mounted once; each beat sends some kilobytes. The map's geometry goes once, by URL.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import streamlit as st

from dashboard.blocks import Axis, Block, Feed, Map, Ranking, Sheet, Table, Tiles, Trend
from dashboard.web.draw import GAPS
from dashboard.web.pane import base
from dashboard.web.routes import keep_geometry
from dashboard.web.schematic import layout
from dashboard.web.words import WORDS
from warehouse.text import Lang

ASSETS = Path(__file__).parent / "assets"
MAP_WIDTH, MAP_HEIGHT, MAP_FONT = 900.0, 560.0, 15.0
"""The map's box in the wall's own pixels (1920 × 1080)."""
LATEST, ALERTS = 10, 4
"""Rows sent at most; the panel shows those that fit."""

WallData = dict[str, Any]
"""What the element receives: plain JSON, every text final and unescaped (it is set as text, never as markup)."""

Found = TypeVar("Found", bound=Block)


@dataclass(frozen=True)
class Clock:
    """The site's clock as the wall shows it; a stopped one does not tick."""

    now: datetime
    stopped: bool


def wall_data(sheet: Sheet, title: str, lang: Lang, clock: Clock, beat: float, home: str = "") -> WallData:
    """A sheet of the wall's blocks as the element's JSON. `beat` differs at every call: it is the heartbeat.
    `home`: where the title leads.

    Blocks are found by kind and order: Tiles, Ranking, Trend, Map, Feed (alerts), Feed (latest), Table
    (source, last load in ISO, allowed hours). A missing one leaves its panel empty.
    """
    return {
        **_body(sheet, lang),
        "title": title,
        "lang": lang,
        "now": clock.now.isoformat(timespec="milliseconds"),
        "stopped": clock.stopped,
        "beat": beat,
        "home": home,
    }


def trouble(line: str) -> WallData:
    """A beat without figures: the wall keeps the last ones, or shows this line if it never had any."""
    return {"trouble": line}


def wall(data: WallData | None) -> None:
    """Mount the element or, where it is mounted already, hand it the next beat. None: nothing published yet."""
    _component()(key="wall", data={**(data or {"empty": True}), "base": base(), "code": _code()})


@cache
def wall_style() -> str:
    """Streamlit's own chrome, out of sight on the wall."""
    return (
        "<style>[data-testid=stHeader],[data-testid=stToolbar],[data-testid=stStatusWidget],"
        "[data-testid=stSidebar],[data-testid=stDialog],[data-testid=stToastContainer]{display:none!important}"
        "html,body,[data-testid=stAppViewContainer]{background:#040b18!important;overflow:hidden!important}"
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
        b"".join((ASSETS / name).read_bytes() for name in ("wall.js", "wall.css"))
    ).hexdigest()[:12]


_bodies: OrderedDict[tuple[int, Lang], tuple[Sheet, WallData]] = OrderedDict()
_lock = Lock()


def _body(sheet: Sheet, lang: Lang) -> WallData:
    """What does not change while the sheet is the same object; the sheet is held so that its id stays its own."""
    key = (id(sheet), lang)
    with _lock:
        if key in _bodies:
            _bodies.move_to_end(key)
            return _bodies[key][1]
    body = _compose(sheet, lang)
    with _lock:
        _bodies[key] = (sheet, body)
        while len(_bodies) > 16:
            _bodies.popitem(last=False)
    return body


def _compose(sheet: Sheet, lang: Lang) -> WallData:
    feeds = [block for block in sheet.blocks if isinstance(block, Feed)]
    return {
        "subtitle": WORDS["center"]["en" if lang == "zh" else "zh"],
        "place": sheet.place,
        "notice": " ".join(sheet.notices),
        "cutoff": sheet.cutoff,
        "version": sheet.version,
        "words": {name: text[lang] for name, text in WORDS.items()},
        "tiles": _tiles(_first(sheet, Tiles)),
        "ranking": _ranking(_first(sheet, Ranking)),
        "trend": _trend(_first(sheet, Trend)),
        "map": _map(_first(sheet, Map)),
        "alerts": _feed(feeds[0] if len(feeds) > 1 else None, ALERTS),
        "latest": _feed(feeds[-1] if feeds else None, LATEST),
        "sources": _sources(_first(sheet, Table)),
    }


def _first(sheet: Sheet, kind: type[Found]) -> Found | None:
    return next((block for block in sheet.blocks if isinstance(block, kind)), None)


def _share(value: float | None, axis: Axis) -> float | None:
    """Where a value stands on its axis, 0 to 100, clipped; None stays a gap."""
    if value is None:
        return None
    return round(min(max((value - axis.low) / ((axis.high - axis.low) or 1.0), 0.0), 1.0) * 100, 2)


def _tiles(block: Tiles | None) -> list[WallData]:
    return [
        {
            "measure": tile.measure,
            "label": tile.label,
            "value": tile.value,
            "unit": tile.unit,
            "lamp": tile.lamp,
            "status": tile.status,
            "target": tile.target,
            "note": tile.note,
            "change": [tile.changes[0].text, tile.changes[0].label, tile.changes[0].lamp]
            if tile.changes
            else None,
            "spark": list(tile.spark),
        }
        for tile in (block.tiles[:8] if block else ())
    ]


def _ranking(block: Ranking | None) -> WallData | None:
    if block is None:
        return None
    return {
        "title": block.title,
        "unit": block.axis.unit,
        "target": [_share(block.target[0], block.axis), block.target[1]] if block.target else None,
        "bars": [
            {
                "label": bar.label,
                "rank": bar.rank,
                "text": bar.text,
                "lamp": bar.lamp,
                "at": _share(bar.value, block.axis),
                "low": _share(bar.low, block.axis),
                "high": _share(bar.high, block.axis),
            }
            for bar in block.bars
        ],
    }


def _trend(block: Trend | None) -> WallData | None:
    if block is None:
        return None
    return {
        "title": block.title,
        "aside": block.note or block.axis.unit,
        "labels": list(block.labels),
        "ticks": [[_share(value, block.axis), label] for value, label in block.axis.ticks],
        "series": [
            {
                "name": series.name,
                "mark": series.mark,
                "points": [_share(value, block.axis) for value in series.values],
            }
            for series in block.series
        ],
    }


def _map(block: Map | None) -> WallData | None:
    if block is None:
        return None
    plan = layout(block, MAP_WIDTH, MAP_HEIGHT, MAP_FONT)
    geometry = json.dumps(
        {"width": plan.width, "height": plan.height, "cells": plan.cells, "borders": plan.borders},
        separators=(",", ":"),
    ).encode()
    key = hashlib.sha256(geometry).hexdigest()[:24]
    keep_geometry(key, geometry)
    last = max(len(block.classes) - 1, 1)
    words = dict(block.gaps)
    return {
        "title": block.title,
        "note": block.note,
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
        "labels": [[label.text, round(label.x, 1), round(label.y, 1)] for label in plan.labels],
        "marks": [[mark.number, round(mark.x, 1), round(mark.y, 1), round(mark.r, 1)] for mark in plan.marks],
    }


def _feed(block: Feed | None, rows: int) -> WallData | None:
    if block is None:
        return None
    return {
        "title": block.title,
        "note": block.note,
        "empty": block.empty,
        "items": [[item.time, item.place, item.text, item.state, item.lamp] for item in block.items[:rows]],
    }


def _sources(block: Table | None) -> WallData | None:
    if block is None:
        return None
    return {"title": block.title, "items": [[*row.cells[:3], row.lamp] for row in block.rows]}
