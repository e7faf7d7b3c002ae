"""The schematic map: grids coloured by one layer, hotspots ringed; what a hotspot is, `warehouse.hotspots` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from dashboard.blocks import Gap, Map, Shape
from dashboard.names import place_names
from dashboard.view import View
from warehouse.catalogue import Level
from warehouse.hotspots import MEASURE, Hotspot, hotspots
from warehouse.period import Period
from warehouse.scope import tree_of
from warehouse.statistics import Label
from warehouse.text import Text
from warehouse.version import Version

QUANTILES = (0.35, 0.65, 0.85, 0.97)
CLEAR_Z = 1.96
"""Gi* from which a village's grids are above the usual, were they the only ones looked at."""

Layer = Literal["rate", "count", "test", "label"]
LAYERS: dict[Layer, Text] = {
    "rate": Text(zh="每百户件数", en="Rate"),
    "count": Text(zh="件数", en="Count"),
    "test": Text(zh="连片检验", en="Gi* test"),
    "label": Text(zh="走势", en="Trend"),
}
LABELS: dict[Label | None, Text] = {
    None: Text(zh="无", en="none"),
    "fading": Text(zh="消退", en="fading"),
    "persistent": Text(zh="持续", en="persistent"),
    "intensifying": Text(zh="加剧", en="intensifying"),
    "new": Text(zh="新增", en="new"),
}
"""How a hotspot moves, from what calls least to what calls most for a look."""
GAPS: dict[Gap, Text] = {
    "unobserved": Text(zh="未巡访", en="not observed"),
    "inapplicable": Text(zh="不适用（无住户）", en="not applicable (no households)"),
    "suppressed": Text(zh="不予显示", en="suppressed"),
    "empty": Text(zh="无数据", en="no data"),
}

Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Grid:
    """One grid in a period, by its name in the view's language, with what is known of it."""

    name: str
    spot: Hotspot

    @property
    def code(self) -> str:
        return self.spot.code

    @property
    def marked(self) -> bool:
        return self.spot.marked

    @property
    def rising(self) -> bool:
        return self.spot.rising

    @property
    def rate(self) -> float:
        """Cases per 100 households."""
        return self.spot.rate * 100

    @property
    def ratio(self) -> float:
        """Its rate over that of all grids compared."""
        return self.spot.rate / self.spot.usual if self.spot.usual else 0.0


def grid_cases(view: View, period: Period) -> list[Grid]:
    """The grids of the scope, those furthest above the usual first."""
    names = place_names(view)
    inside = tree_of(view.version).below(view.scope.code)
    found = [spot for spot in hotspots(view.version, view.viewer, period) if spot.code in inside]
    found.sort(key=lambda spot: (not spot.marked, -spot.own, spot.code))
    return [Grid(names[spot.code], spot) for spot in found]


def tested(view: View, spot: Hotspot) -> str:
    """Which test found a hotspot."""
    if spot.alone and spot.together:
        return view.text("单点、连片", "both")
    if spot.alone:
        return view.text("单点", "alone")
    if spot.high:
        return view.text("连片", "village")
    return view.text("近月", "lately") if spot.rising else view.text("不显著", "not clear")


def grid_map(view: View, grids: Sequence[Grid], title: str, *, rings: int, layer: Layer = "rate") -> Map:
    """The grids of the scope by one layer; the first `rings` marked ones numbered."""
    seen = [g for g in grids if g.spot.state == "observed"]
    level, classes, legend = _scale(view, layer, seen)
    shapes = geometry(view.version)
    marked = {g.code: str(i) for i, g in enumerate((g for g in grids if g.marked), start=1) if i <= rings}
    cells = tuple(
        Shape(
            code=g.code,
            label=g.name,
            rings=shapes[g.code],
            level=level(g) if g.spot.state == "observed" else None,
            text=_said(view, g),
            ring=marked.get(g.code, ""),
            address=(("scope", g.code),),
            gap="empty" if g.spot.state == "observed" else g.spot.state,
        )
        for g in grids
        if g.code in shapes
    )
    tree = tree_of(view.version)
    bordering: Level = "township" if view.scope.level in ("province", "city", "county") else "village"
    inside = [p.code for p in tree.at_level(view.scope, bordering)] or [
        code for code, _ in view.scope.parents
    ]
    if view.scope.group:
        inside = list(view.scope.tops)
    names = place_names(view)
    outlines = tuple(
        Shape(code, names[code], shapes[code], None, "", address=(("scope", code),))
        for code in inside
        if code in shapes
    )
    missing = {cell.gap for cell in cells if cell.level is None}
    return Map(
        title=title,
        shapes=cells,
        classes=classes,
        outlines=outlines,
        legend=legend,
        note=view.text("示意图，非实测边界", "Schematic, not surveyed boundaries"),
        measures=(MEASURE,),
        gaps=tuple((gap, text[view.lang]) for gap, text in GAPS.items() if gap in missing),
    )


def _scale(
    view: View, layer: Layer, grids: Sequence[Grid]
) -> tuple[Callable[[Grid], int], tuple[str, ...], str]:
    """The class of a grid, the classes' words, and what they are of."""
    if layer == "label":
        order = list(LABELS)
        words = tuple(LABELS[label][view.lang] for label in order)
        return lambda g: order.index(g.spot.label), words, view.text("近12个月", "over twelve months")
    if layer == "test":
        return (
            lambda g: (
                0 if g.spot.cold else 3 if g.spot.together else 2 if (g.spot.near or 0) >= CLEAR_Z else 1
            ),
            (
                view.text("显著偏低", "clearly low"),
                view.text("不显著", "not clear"),
                view.text("偏高，未达显著", "high, not beyond chance"),
                view.text("显著偏高", "clearly high"),
            ),
            view.text("Gi*（同村网格，控制误报率 5%）", "Gi* of the village's grids, 5 % false discoveries"),
        )
    if layer == "count":
        breaks = _breaks([float(g.spot.cases) for g in grids], 0)
        return (
            lambda g: sum(g.spot.cases >= b for b in breaks),
            _classes([f"{b:,.0f}" for b in breaks]),
            view.text("件", "cases"),
        )
    breaks = _breaks([g.spot.smooth * 100 for g in grids], 1)
    return (
        lambda g: sum(round(g.spot.smooth * 100, 1) >= b for b in breaks),
        _classes([f"{b:.1f}" for b in breaks]),
        view.text("件/百户（平滑后）", "cases per 100 households, smoothed"),
    )


def _breaks(values: Sequence[float], digits: int) -> list[float]:
    """Breaks between five classes. Few grids give equal quantiles: a class that would hold nothing is left out,
    and where all but the highest are alike, that one has a class."""
    ordered = [round(value, digits) for value in sorted(values)]
    if not ordered:
        return []
    found = {ordered[int(len(ordered) * q)] for q in QUANTILES} - {ordered[0]}
    return sorted(found or {ordered[-1]} - {ordered[0]})


def _classes(edges: Sequence[str]) -> tuple[str, ...]:
    if not edges:
        return ("≥ 0",)
    return (f"< {edges[0]}", *(f"{a}–{b}" for a, b in pairwise(edges)), f"≥ {edges[-1]}")


def _said(view: View, grid: Grid) -> str:
    """What is known of a grid, in a line or two."""
    spot = grid.spot
    if spot.state in ("suppressed", "empty"):
        return GAPS[spot.state][view.lang]
    counts = view.text(
        f"{spot.cases:,} 件 · {spot.households:,} 户",
        f"{spot.cases:,} cases · {spot.households:,} households",
    )
    if spot.state != "observed":
        return f"{GAPS[spot.state][view.lang]} · {counts}"
    rate = view.text(
        f"每百户 {grid.rate:.1f}（平滑后 {spot.smooth * 100:.1f}）",
        f"{grid.rate:.1f} per 100 (smoothed {spot.smooth * 100:.1f})",
    )
    near = "" if spot.near is None else f" · Gi* {spot.near:.1f}"
    parts = [counts, rate, f"{tested(view, spot)}{near}"]
    if spot.label is not None:
        parts.append(LABELS[spot.label][view.lang])
    return " · ".join(parts)


def geometry(version: Version) -> dict[str, tuple[Ring, ...]]:
    """The schematic polygons by place code, in the map's coordinates; parsed once while they do not change."""
    rows = version.rows("select code, shape from places where shape is not null order by code")
    return _parsed(tuple((str(code), str(shape)) for code, shape in rows))


@lru_cache(maxsize=2)
def _parsed(rows: tuple[tuple[str, str], ...]) -> dict[str, tuple[Ring, ...]]:
    return {code: (_ring(shape),) for code, shape in rows}


def _ring(shape: str) -> Ring:
    points = []
    for pair in shape.split():
        x, _, y = pair.partition(",")
        points.append((float(x), float(y)))
    return tuple(points)
