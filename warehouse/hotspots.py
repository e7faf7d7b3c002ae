"""Hotspots: grids with more cases per household than chance and the usual differences between grids explain.

A grid is compared with all grids of the viewer's own scope, so that it is the same hotspot from wherever one
looks. It is tested alone (`statistics.excess`) and with the other grids of its village (Getis-Ord Gi* of the smoothed
rates), each with false-discovery control; see docs/adr/0006. Its label comes from the last twelve whole months.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Literal

from warehouse.catalogue import Level
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Result, Suppressed, Value
from warehouse.scope import Tree, tree_of
from warehouse.statistics import (
    Label,
    Neighbours,
    discoveries,
    excess,
    getis_ord,
    hot,
    smoothed,
    trend_label,
    two_sided,
)
from warehouse.version import Version
from warehouse.viewer import Viewer

MEASURE = "cases_reported"
MONTHS = 12
"""Whole months that a label looks at."""
WATCHED_DAYS = 30
"""Visits are a monthly duty: in a shorter period a grid counts as observed by the 30 days up to its end."""
KEPT = 64
"""Periods held of one version: whoever asks for more of them waits for the tests again."""
COARSEST: tuple[Level, ...] = ("village", "grid", "micro_grid")
"""A patrol or visit on record at these levels was seen at its grids; one of a whole township says nothing of a grid."""

_STRETCH = timedelta(days=WATCHED_DAYS - 1)

State = Literal["observed", "unobserved", "inapplicable", "suppressed", "empty"]
"""Of a grid in a period: nobody visited or patrolled it; it has no households; its cases are hidden; no records yet."""


@dataclass(frozen=True)
class Hotspot:
    """One grid in a period.

    `rate`, `smooth`, `usual`: cases per household, its own, smoothed, and of all grids compared. `own`: how many
    standard deviations its rate lies above the usual; `near`: Gi* of its village's grids, None where there is none.
    `cold`: the village's grids are clearly low. `label`: by the twelve whole months up to the period's end.
    """

    code: str
    state: State
    cases: int
    households: int
    rate: float
    smooth: float
    usual: float
    own: float
    near: float | None
    alone: bool
    together: bool
    cold: bool
    label: Label | None

    @property
    def high(self) -> bool:
        """A hotspot of the period: it stands out alone, or with its village while it is above the usual itself."""
        return self.alone or (self.together and self.smooth > self.usual)

    @property
    def rising(self) -> bool:
        """A hotspot of its last months, which a longer period may still hide."""
        return self.label in ("new", "intensifying")

    @property
    def marked(self) -> bool:
        return self.high or self.rising


def hotspots(version: Version, viewer: Viewer, period: Period) -> tuple[Hotspot, ...]:
    """All grids of the viewer's scope valid in the period, by code; computed once per version."""
    known = _found.setdefault(version, {})
    key = (viewer.scope, period)
    found = known.get(key)
    if found is None:
        if len(known) >= KEPT:
            known.clear()
        found = known[key] = _hotspots(version, viewer, period)
    return found


def months_of(version: Version, period: Period) -> tuple[Period, ...]:
    """The twelve whole months that end with the period, or before the cut-off; oldest first."""
    end = min(period.end, version.cutoff.date())
    after = end + timedelta(days=1)
    last = end if after.day == 1 else end.replace(day=1) - timedelta(days=1)
    first = last.replace(day=1)
    for _ in range(MONTHS - 1):
        first = (first - timedelta(days=1)).replace(day=1)
    return Period(first, last).months()


_found: weakref.WeakKeyDictionary[Version, dict[tuple[str, Period], tuple[Hotspot, ...]]] = (
    weakref.WeakKeyDictionary()
)


@dataclass(frozen=True)
class _Tests:
    """What the statistics say of one window, by the position of the grid."""

    usual: float
    smooth: tuple[float | None, ...]
    own: tuple[float | None, ...]
    near: tuple[float | None, ...]
    alone: tuple[bool, ...]
    together: tuple[bool, ...]
    cold: tuple[bool, ...]


def _hotspots(version: Version, viewer: Viewer, period: Period) -> tuple[Hotspot, ...]:
    tree = tree_of(version)
    windows = list(dict.fromkeys([period, *months_of(version, period)]))
    homes: dict[str, int] = dict(
        version.rows("select code, coalesce(households, 0) from places where level = 'grid' order by code")
    )
    grids = [place for place in tree.at_level(tree.scope(viewer.scope), "grid") if place.valid_in(period)]
    codes = [place.code for place in grids]
    found: dict[Period, dict[str, Result]] = {window: {} for window in windows}
    for cell in query(version, viewer, [MEASURE], viewer.scope, windows, by="grid"):
        found[cell.period][cell.place] = cell.result
    watched = _watched(version, tree, windows)
    neighbours = _same_village(tree, codes)
    exposure = tuple(homes.get(code, 0) for code in codes)
    states: dict[Period, tuple[State, ...]] = {}
    tests: dict[Period, _Tests] = {}
    for window in windows:
        results, seen = found[window], watched[window]
        states[window] = tuple(
            _state(results.get(code), base, seen is None or code in seen)
            for code, base in zip(codes, exposure, strict=True)
        )
        counts = tuple(
            _cases(results.get(code)) if state == "observed" else None
            for code, state in zip(codes, states[window], strict=True)
        )
        tests[window] = _tested(counts, exposure, neighbours)
    cases = [_cases(found[period].get(code)) for code in codes]
    months = [tests[window] for window in months_of(version, period)]
    shown = tests[period]

    def label(i: int) -> Label | None:
        alone = trend_label([m.own[i] for m in months], [m.alone[i] for m in months])
        if alone is not None or (shown.smooth[i] or 0.0) <= shown.usual:
            return alone
        return trend_label([m.near[i] for m in months], [m.together[i] for m in months])

    return tuple(
        Hotspot(
            code=code,
            state=states[period][i],
            cases=cases[i],
            households=exposure[i],
            rate=cases[i] / exposure[i] if exposure[i] else 0.0,
            smooth=shown.smooth[i] or 0.0,
            usual=shown.usual,
            own=shown.own[i] or 0.0,
            near=shown.near[i],
            alone=shown.alone[i],
            together=shown.together[i],
            cold=shown.cold[i],
            label=label(i),
        )
        for i, code in enumerate(codes)
    )


@lru_cache(maxsize=64)
def _tested(counts: tuple[int | None, ...], exposure: tuple[int, ...], neighbours: Neighbours) -> _Tests:
    """The tests of one window: a pure function, so that a month nothing was changed in is tested once."""
    smooth = [one.rate if one else None for one in smoothed(counts, exposure)]
    alone = excess(counts, exposure)
    near = getis_ord(smooth, neighbours)
    stands = discoveries([None if z is None else two_sided(z) for z in near])
    seen = [(count, base) for count, base in zip(counts, exposure, strict=True) if count is not None and base]
    homes = sum(base for _, base in seen)
    return _Tests(
        usual=sum(count for count, _ in seen) / homes if homes else 0.0,
        smooth=tuple(smooth),
        own=tuple(one.z if one else None for one in alone),
        near=tuple(near),
        alone=tuple(discoveries([one.p if one else None for one in alone])),
        together=tuple(hot(near)),
        cold=tuple(flag and z is not None and z < 0 for flag, z in zip(stands, near, strict=True)),
    )


def _cases(result: Result | None) -> int:
    return int(result.value) if isinstance(result, Value) else 0


def _state(result: Result | None, homes: int, watched: bool) -> State:
    if isinstance(result, Suppressed):
        return "suppressed"
    if not homes:
        return "inapplicable"
    if not isinstance(result, Value):
        return "empty"
    return "observed" if watched else "unobserved"


def _same_village(tree: Tree, codes: Sequence[str]) -> Neighbours:
    """The other grids of each grid's village: what is near is known of these alone, for the map is a schematic."""
    village: dict[str | None, list[int]] = {}
    for position, code in enumerate(codes):
        village.setdefault(tree.places[code].parent, []).append(position)
    return tuple(tuple(village[tree.places[code].parent]) for code in codes)


def _watched(version: Version, tree: Tree, windows: Iterable[Period]) -> dict[Period, frozenset[str] | None]:
    """The grids that somebody visited or patrolled in each window; None where there are no such records yet."""
    spans = list(windows)
    parts = []
    if "visits" in version.datasets:
        parts.append("select place, visited_at as at from visits where visited_at is not null")
    if "patrols" in version.datasets:
        parts.append(
            "select place, started_at as at from patrols where started_at is not null and ended_at is not null"
        )
    if not parts:
        return dict.fromkeys(spans)
    seen = f"({' union all '.join(parts)})"  # our own constants
    rows = version.rows(
        f"select q.w, r.place, min(r.at) from {seen} r "  # noqa: S608 - see above
        "join (select unnest($w) as w, unnest($a) as a, unnest($b) as b) q on r.at >= q.a and r.at < q.b "
        "group by q.w, r.place union all "
        f"select -1, null, min(r.at) from {seen} r",
        {
            "w": list(range(len(spans))),
            "a": [datetime.combine(min(s.start, s.end - _STRETCH), time()) for s in spans],
            "b": [datetime.combine(s.end + timedelta(days=1), time()) for s in spans],
        },
    )
    begun: datetime | None = next(at for w, _, at in rows if w == -1)
    places: list[set[str]] = [set() for _ in spans]
    for w, place, _ in rows:
        if w >= 0 and place in tree.places and tree.places[place].level in COARSEST:
            places[w].add(place)
    return {
        span: None if begun is None or span.end < begun.date() else frozenset(_grids(tree, places[w]))
        for w, span in enumerate(spans)
    }


def _grids(tree: Tree, places: Iterable[str]) -> Iterable[str]:
    """The grids that places belong to or hold."""
    for code in places:
        place = tree.places[code]
        if place.level == "village":
            yield from (c for c in tree.below(code) if tree.places[c].level == "grid")
        else:
            yield code if place.level == "grid" else place.parent or code
