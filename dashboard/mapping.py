"""The schematic map: grids coloured by cases per household, the clearly high ones ringed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise

from dashboard.blocks import Map, Shape
from dashboard.names import place_names
from dashboard.view import View
from warehouse.catalogue import Level
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Value
from warehouse.scope import tree_of
from warehouse.text import Text
from warehouse.version import Version

HIGH_Z = 4.0
"""Standard deviations above the expected count at which a grid is ringed. With 1,326 grids compared at once
a bound of 4 lets about 0.04 false alarms through by chance (Bonferroni on the normal approximation of a
Poisson count)."""
HIGH_COUNT = 10
HIGH_RATIO = 2.0
QUANTILES = (0.35, 0.65, 0.85, 0.97)
RECENT_DAYS = 90
RISING = 1.5

Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Grid:
    """One grid in a period: its cases, its households, cases per 100 households, its rate over the scope's."""

    code: str
    name: str
    cases: int
    households: int
    rate: float
    ratio: float
    z: float
    trend: Text

    @property
    def marked(self) -> bool:
        return self.z > HIGH_Z and self.cases >= HIGH_COUNT and self.ratio >= HIGH_RATIO

    @property
    def rising(self) -> bool:
        return self.trend == _RISING


_RISING = Text(zh="新升", en="rising")
_STEADY = Text(zh="持续", en="steady")
_FADING = Text(zh="回落", en="fading")


def grid_cases(view: View, period: Period) -> list[Grid]:
    """The grids of the scope with cases and exposure, the most excessive first.

    Expected cases = the grid's households × the scope's cases per household; z = (cases − expected) / √expected.
    """
    end = min(period.end, view.cutoff.date())
    recent = Period(end - timedelta(days=RECENT_DAYS - 1), end)
    before = Period(recent.start - timedelta(days=3 * RECENT_DAYS), recent.start - timedelta(days=1))
    spans = list(dict.fromkeys([period, recent, before]))
    found: dict[Period, dict[str, float]] = {span: {} for span in spans}
    for cell in query(view.version, view.viewer, ["cases_reported"], view.scope.code, spans, by="grid"):
        if isinstance(cell.result, Value):
            found[cell.period][cell.place] = cell.result.value
    names = place_names(view)
    exposure = {
        str(code): (names[str(code)], int(households))
        for code, households in view.version.rows(
            "select code, households from places where level = 'grid' and households > 0"
        )
    }
    counts = found[period]
    inside = [p.code for p in tree_of(view.version).at_level(view.scope, "grid") if p.code in exposure]
    households = sum(exposure[code][1] for code in inside)
    total = sum(counts.get(code, 0.0) for code in inside)
    overall = total / households if households else 0.0
    out: list[Grid] = []
    for code in inside:
        name, homes = exposure[code]
        cases = counts.get(code, 0.0)
        expected = homes * overall
        z = (cases - expected) / math.sqrt(expected) if expected > 0 else 0.0
        now = found[recent].get(code, 0.0) / recent.days
        then = found[before].get(code, 0.0) / before.days
        trend = _STEADY
        if now > RISING * then:
            trend = _RISING
        elif now * RISING < then:
            trend = _FADING
        out.append(
            Grid(
                code, name, int(cases), homes, cases / homes * 100,
                cases / expected if expected > 0 else 0.0, z, trend,
            )
        )  # fmt: skip
    out.sort(key=lambda g: (-g.z, g.code))
    return out


def grid_map(view: View, grids: Sequence[Grid], title: str, *, rings: int) -> Map:
    """The grids of the scope in five classes of equal count by rate; the first `rings` marked ones numbered."""
    rates = sorted(g.rate for g in grids)
    # Few grids give equal quantiles: a class that would hold nothing is left out.
    breaks = (
        sorted({round(rates[int(len(rates) * q)], 1) for q in QUANTILES} - {round(rates[0], 1)})
        if rates
        else []
    )
    shapes = geometry(view.version)
    marked = {g.code: str(i) for i, g in enumerate((g for g in grids if g.marked), start=1) if i <= rings}
    cells = tuple(
        Shape(
            code=g.code,
            label=g.name,
            rings=shapes[g.code],
            level=sum(round(g.rate, 1) >= b for b in breaks),
            text=view.text(
                f"{g.cases:,} 件 · {g.households:,} 户 · 每百户 {g.rate:.1f}",
                f"{g.cases:,} cases · {g.households:,} households · {g.rate:.1f} per 100",
            ),
            ring=marked.get(g.code, ""),
            address=(("scope", g.code),),
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
    edges = [f"{b:.1f}" for b in breaks]
    classes = (f"< {edges[0]}", *(f"{a}–{b}" for a, b in pairwise(edges)), f"≥ {edges[-1]}") if edges else ()
    return Map(
        title=title,
        shapes=cells,
        classes=classes,
        outlines=outlines,
        legend=view.text("件/百户", "cases per 100 households"),
        note=view.text("示意图，非实测边界", "Schematic, not surveyed boundaries"),
    )


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
