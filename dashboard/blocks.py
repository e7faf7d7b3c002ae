"""Blocks: a page as data. Every text is final (language chosen, numbers formatted), every scale computed.

A page's `build` gives a tuple of blocks; the web, print and sheet renderers draw them and know nothing of
the domain. Colours are never in a block: a `Lamp` says what a mark means, each renderer has its palette.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Lamp = Literal["good", "near", "off", "neutral", "none"]
"""good: at target or better; near: between floor and target; off: beyond the floor; neutral: no target or
context only; none: no data, suppressed, too few."""

Address = tuple[tuple[str, str], ...]
"""Query parameters that a click sets, such as (("scope", "431122100"),)."""


@dataclass(frozen=True)
class Change:
    """One comparison: "+0.8" "points vs previous period"; `lamp` good/off where it really changed, and for better
    or worse; `said` in a sentence: "up 0.8 points on the previous period"; `than` after better or worse: "than in the
    previous period"; `real`: whether and which way it really changed, "" where there is no test."""

    label: str
    text: str
    lamp: Lamp = "neutral"
    said: str = ""
    than: str = ""
    real: Literal["up", "down", "none", ""] = ""


@dataclass(frozen=True)
class Tile:
    """One headline figure. `value` is "91.1", "–" or "<5"; `counts` "3,930 / 4,316"; `status` the lamp in words."""

    measure: str
    label: str
    value: str
    unit: str
    lamp: Lamp = "neutral"
    status: str = ""
    target: str = ""
    counts: str = ""
    note: str = ""
    changes: tuple[Change, ...] = ()
    spark: tuple[float | None, ...] = ()
    address: Address = ()
    passport: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Tiles:
    title: str
    tiles: tuple[Tile, ...]
    columns: int = 4
    kind: Literal["tiles"] = "tiles"


@dataclass(frozen=True)
class Axis:
    """A numeric axis: range and ticks with their labels, computed by the block."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    unit: str = ""


@dataclass(frozen=True)
class Series:
    """One line or bar series; `values` are plotted (axis units), `texts` shown; None is a gap."""

    name: str
    values: tuple[float | None, ...]
    texts: tuple[str, ...]
    mark: Literal["line", "dashed", "bar"] = "line"


@dataclass(frozen=True)
class Trend:
    """Values over time. `labels` are the x labels; `target` a line with its label; `measures` those it shows."""

    title: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    axis: Axis
    target: tuple[float, str] | None = None
    sentence: str = ""
    note: str = ""
    measures: tuple[str, ...] = ()
    kind: Literal["trend"] = "trend"


@dataclass(frozen=True)
class Bar:
    """One ranked place or class. `low`/`high`: the interval's ends (axis units). `rank` "1" or "" (not ranked)."""

    label: str
    value: float | None
    text: str
    rank: str = ""
    counts: str = ""
    lamp: Lamp = "neutral"
    low: float | None = None
    high: float | None = None
    address: Address = ()


@dataclass(frozen=True)
class Ranking:
    title: str
    bars: tuple[Bar, ...]
    axis: Axis
    target: tuple[float, str] | None = None
    sentence: str = ""
    note: str = ""
    measures: tuple[str, ...] = ()
    kind: Literal["ranking"] = "ranking"


@dataclass(frozen=True)
class Column:
    label: str
    align: Literal["left", "right"] = "left"
    width: float = 1.0


@dataclass(frozen=True)
class Row:
    cells: tuple[str, ...]
    lamp: Lamp = "none"
    address: Address = ()


@dataclass(frozen=True)
class Table:
    """Rows of final text. `total`: how many rows there are where `rows` is cut. `printed=False`: never in
    print or on a wall (record lists). `beside`: it stands beside what comes before it, however many columns."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: int = 0
    sentence: str = ""
    note: str = ""
    empty: str = ""
    printed: bool = True
    beside: bool = False
    kind: Literal["table"] = "table"


Gap = Literal["empty", "unobserved", "inapplicable", "suppressed"]
"""Why there is no figure: no record yet; nobody looked; cannot be asked there; too few to show. None of them is zero."""


@dataclass(frozen=True)
class Shape:
    """One cell of the map: rings of (x, y) in the map's own coordinates (x east, y north). `level` is the
    class index into `Map.classes`, None where there is no figure, for the reason `gap`. `ring` numbers a marked
    hotspot."""

    code: str
    label: str
    rings: tuple[tuple[tuple[float, float], ...], ...]
    level: int | None
    text: str
    ring: str = ""
    address: Address = ()
    gap: Gap = "empty"


@dataclass(frozen=True)
class Option:
    """One of a pick: its word, the address it leads to, and whether it is the one shown."""

    label: str
    address: Address
    current: bool = False


@dataclass(frozen=True)
class Pick:
    """What a reader may choose of a block on the screen; on paper the title says what was chosen."""

    label: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Map:
    """A schematic map of places coloured by class; `outlines` are the parents' borders with their labels. `gaps`: the
    words of the gaps its shapes have. `tabled`: the table after it says what its rings are, so that paper need not."""

    title: str
    shapes: tuple[Shape, ...]
    classes: tuple[str, ...]
    outlines: tuple[Shape, ...] = ()
    legend: str = ""
    sentence: str = ""
    note: str = ""
    picks: tuple[Pick, ...] = ()
    gaps: tuple[tuple[Gap, str], ...] = ()
    tabled: bool = False
    measures: tuple[str, ...] = ()
    kind: Literal["map"] = "map"


@dataclass(frozen=True)
class FeedItem:
    time: str
    place: str
    text: str
    state: str
    lamp: Lamp = "neutral"


@dataclass(frozen=True)
class Feed:
    """Latest matters, newest first; nothing personal."""

    title: str
    items: tuple[FeedItem, ...]
    note: str = ""
    empty: str = ""
    kind: Literal["feed"] = "feed"


@dataclass(frozen=True)
class Note:
    """A paragraph or a list of (term, text). `defines`: the items define the page's measures; a brief says them once."""

    title: str
    text: str = ""
    items: tuple[tuple[str, str], ...] = ()
    tone: Literal["plain", "warning"] = "plain"
    defines: bool = False
    kind: Literal["note"] = "note"


Block = Tiles | Trend | Ranking | Table | Map | Feed | Note


@dataclass(frozen=True)
class Sheet:
    """A built page: heading, what it is about, its blocks, and what every copy of it must carry.

    `notices`: lines shown on screen and on every printed page ("Synthetic demo data …").
    `version`, `cutoff`: the data version and the cut-off as shown. `choices`: what the row of controls offers besides.
    """

    page: str
    title: str
    place: str
    period: str
    compare: str
    cutoff: str
    version: str
    lang: str
    notices: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = field(default=())
    choices: tuple[Pick, ...] = ()


@dataclass(frozen=True)
class Chapter:
    """One page in a brief: what it says in sentences, then its blocks."""

    title: str
    said: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Definition:
    """How one measure is counted, and the further lines of its passport ("Dated: …")."""

    label: str
    text: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Brief:
    """Several pages as one document. `definitions` and `remarks` (chapter, text) stand once, at its end; `common`
    are the passport lines that hold for every figure; `mark`: who asked for this copy and when, or ""."""

    title: str
    place: str
    period: str
    compare: str
    cutoff: str
    version: str
    lang: str
    notices: tuple[str, ...]
    chapters: tuple[Chapter, ...]
    definitions: tuple[Definition, ...] = ()
    common: tuple[str, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    mark: str = ""
