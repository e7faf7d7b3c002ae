"""What a version does not tell of people's matters: each table decided once, when it is first needed.

The tables (see disclosure.py), each of one measure:
- places × time: what lies directly under a place, by the stretches of a year: the year (the running one so far), in
  earlier years the part up to the cut-off's day and the rest, the months, and their pieces where the last 7 or 30
  days or the same days of a year earlier begin or end. Below the township a year and its months only.
- classes × time: the classes of a dimension of an outermost place, by the same stretches; and places × classes: the
  same of the places one level below, by year.
A stock is told as of a moment, and each moment is a table of its own: stocks are not summed.

What is asked is made of such cells; if one of them is not told, neither is the sum. So whoever asks, in whatever
order, learns the same cells and sums of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from threading import RLock

import numpy as np

from warehouse.catalogue import LEVELS, Measure
from warehouse.disclosure import FREE, Columns, Flags, Numbers, Told, decide
from warehouse.period import Period
from warehouse.scope import ANCESTORS, Tree

DAY = timedelta(days=1)
COARSE = LEVELS.index("township")
Counts = Mapping[tuple[int, int, str | None, str | None], tuple[float, float | None]]
"""(measure's position, window's position, place, class) → n and d; what is not there is zero. Of a place itself, not
by level, `place` is the one asked."""
Read = Callable[[Sequence[Measure], str, str | None, Sequence[Period], str | None], Counts]
"""Counts of measures in a place, by a level below it or not, by window, by a dimension or not."""


@dataclass(frozen=True)
class Season:
    """A stretch of time whose figures are decided together: a year up to the cut-off, or a moment.

    `leaves` are its smallest pieces, `columns` the stretches made of them that can be told.
    """

    leaves: tuple[Period, ...]
    columns: Columns

    def of(self, window: Period) -> tuple[int, ...] | None:
        """The columns that make up what a window has of this season; None where it cuts a piece."""
        inside = [
            k for k, leaf in enumerate(self.leaves) if window.start <= leaf.end and leaf.start <= window.end
        ]
        if not inside:
            return ()
        a, b = inside[0], inside[-1] + 1
        if self.leaves[a].start < window.start or self.leaves[b - 1].end > window.end:
            return None
        return self.columns.tiled(a, b)


def seasons(first: date, last: date) -> tuple[tuple[Season, Season], ...]:
    """The years from the month of day `first` to the cut-off's day `last`: each as told of townships and above, and as
    told below."""
    out = []
    for year in range(first.year, last.year + 1):
        whole = Period(max(date(year, 1, 1), first.replace(day=1)), min(date(year, 12, 31), last))
        months = whole.months()
        # A year earlier, the day before the same day; 29 February is its month's last.
        turn = _same_day(last, year) + DAY if year < last.year else None
        cuts = {last - DAY * 6, last - DAY * 29} | ({turn} if turn else set())
        leaves = tuple(piece for month in months for piece in _cut(month, cuts))
        spans = [(k, k + 1) for k in range(len(leaves))]
        part = 0 if turn is None else sum(leaf.end < turn for leaf in leaves)
        parts = [(0, part), (part, len(leaves))] if 0 < part < len(leaves) else []
        for month in months:
            inside = [k for k, leaf in enumerate(leaves) if month.start <= leaf.start <= month.end]
            if not inside[0] < part <= inside[-1]:
                spans.append((inside[0], inside[-1] + 1))
        coarse = Season(leaves, Columns.of([(0, len(leaves)), *parts, *spans]))
        plain = Columns.of([(0, len(months)), *((k, k + 1) for k in range(len(months)))])
        out.append((coarse, Season(months, plain)))
    return tuple(out)


def _same_day(day: date, year: int) -> date:
    return day.replace(year=year, day=28) if (day.month, day.day) == (2, 29) else day.replace(year=year)


def _cut(period: Period, cuts: Iterable[date]) -> tuple[Period, ...]:
    """A period cut before each day of `cuts` within it."""
    starts = sorted({period.start, *(day for day in cuts if period.start < day <= period.end)})
    ends = [*(day - DAY for day in starts[1:]), period.end]
    return tuple(Period(a, b) for a, b in zip(starts, ends, strict=True))


@dataclass(frozen=True)
class _Rows:
    """The rows directly under a place, or an outermost place alone: their codes, values by leaf, and what is told."""

    codes: tuple[str, ...]
    leaves: Numbers
    told: Told


@dataclass(frozen=True)
class _Classes:
    """The classes of one dimension in one season: of the outermost place by time, and of places below by class."""

    keys: tuple[str | None, ...]
    time: Told
    places: tuple[str, ...]
    below: Told | None


class Protection:
    """The tables of one version; `read` reads its counts. Safe to use from several threads."""

    def __init__(
        self, tree: Tree, last: date, below: int, first: Callable[[Measure], date | None], read: Read
    ) -> None:
        self.second = True
        """Whether rule 3 is kept: False in tests, to see that it is needed."""
        self._tree, self._last, self._below = tree, last, below
        self._first, self._read = first, read
        self._lock = RLock()
        self._seasons: dict[date, tuple[tuple[Season, Season], ...]] = {}
        self._rows: dict[tuple[str, Season, str, bool], _Rows] = {}
        self._classes: dict[tuple[str, Season, str, str], _Classes | None] = {}

    def pieces(self, measure: Measure, window: Period, fine: bool) -> tuple[tuple[Season, int], ...] | None:
        """The cells of time that make up a window, below the township (`fine`) or not; None for a window that cuts
        one: of people's matters no days are told that anybody may choose."""
        first = self._first(measure)
        if first is None or window.start > self._last or window.end < first:
            return ()
        if measure.cls == "as_of":
            day = min(window.end, self._last)
            known = self._years(first)
            ends = {leaf.end for pair in known for leaf in pair[fine].leaves}
            if day not in ends or (fine and window.start.day != 1 and day != self._last):
                return None
            return ((Season((Period(day, day),), Columns.of([(0, 1)])), 0),)
        found: list[tuple[Season, int]] = []
        window = Period(window.start, max(min(window.end, self._last), window.start))
        for pair in self._years(first):
            columns = pair[fine].of(window)
            if columns is None:
                return None
            found.extend((pair[fine], t) for t in columns)
        return tuple(found)

    def state(self, measure: Measure, place: str, season: Season, column: int) -> str:
        """'' for a cell that is told, 'named' for one said to be below the threshold, 'hidden' for any other."""
        rows = self._under(measure, season, place)
        return _said(rows.told, rows.codes.index(place), column)

    def alone(self, measure: Measure, place: str) -> bool:
        """True where a figure is part of no other: it is hidden by its own size, and no table is needed."""
        return measure.cls == "as_of" and self._parent(place)[1]

    def class_state(
        self, measure: Measure, dimension: str, place: str, season: Season, column: int, key: str | None
    ) -> str | None:
        """The same of a class; None for one that is not told by place or by time."""
        root = self._root(place)
        found = self._of_classes(measure, dimension, root, season)
        if found is None or (place != root and column != 0):
            return None
        if place == root:
            if key not in found.keys:
                return self.state(measure, root, season, column)
            return _said(found.time, found.keys.index(key), column)
        if found.below is None or place not in found.places:
            return None
        r = found.places.index(place)
        at = 1 + found.keys.index(key) if key in found.keys else 0
        return _said(found.below, r, at if len(found.keys) > 1 else 0)

    def keys(self, measure: Measure, dimension: str, place: str, season: Season) -> tuple[str | None, ...]:
        """The classes there are of a dimension, in any place."""
        found = self._of_classes(measure, dimension, self._root(place), season)
        return found.keys if found is not None else ()

    def prepare(self, asked: Iterable[tuple[Measure, Season, str]]) -> None:
        """Read the counts of many cells' tables at once: (measure, season, place)."""
        wanted: dict[tuple[str, bool], dict[Season, dict[str, Measure]]] = {}
        with self._lock:
            for measure, season, place in asked:
                for code in (*self._above(place), place):
                    parent, alone = self._parent(code)
                    own = self._season_of(measure, season, code)
                    if (measure.base, own, parent, alone) not in self._rows:
                        some = wanted.setdefault((parent, alone), {}).setdefault(own, {})
                        some.setdefault(measure.base, measure)
            # Outermost first: a row above is decided before those under it.
            for (parent, alone), by_season in wanted.items():
                self._fill(parent, alone, by_season)

    def _fill(self, parent: str, alone: bool, by_season: Mapping[Season, Mapping[str, Measure]]) -> None:
        measures = {name: m for some in by_season.values() for name, m in some.items()}
        order = list(measures.values())
        windows = list(dict.fromkeys(leaf for season in by_season for leaf in season.leaves))
        at = {window: w for w, window in enumerate(windows)}
        codes = (parent,) if alone else tuple(p.code for p in self._tree.children(parent))
        counts = self._counts(order, parent, alone, windows)
        for season, some in by_season.items():
            for i, measure in enumerate(order):
                if measure.base not in some:
                    continue
                leaves = np.zeros((1 if measure.kind != "rate" else 2, len(codes), len(season.leaves)))
                for r, code in enumerate(codes):
                    for k, leaf in enumerate(season.leaves):
                        leaves[:, r, k] = _sides(counts.get((i, at[leaf], code, None)), len(leaves))
                self._rows[measure.base, season, parent, alone] = self._decided(
                    measure, season, parent, alone, codes, leaves
                )

    def _counts(
        self, measures: Sequence[Measure], parent: str, alone: bool, windows: Sequence[Period]
    ) -> Counts:
        """The counts of a place itself, or of each place directly under it."""
        if alone:
            return self._read(measures, parent, None, windows, None)
        found: dict[tuple[int, int, str | None, str | None], tuple[float, float | None]] = {}
        for level in self._levels(parent):
            if level in ANCESTORS:
                found.update(self._read(measures, parent, level, windows, None))
            else:
                for child in self._tree.children(parent):
                    if child.level == level:
                        found.update(self._read(measures, child.code, None, windows, None))
        return found

    def _decided(
        self,
        measure: Measure,
        season: Season,
        parent: str,
        alone: bool,
        codes: tuple[str, ...],
        leaves: Numbers,
    ) -> _Rows:
        above: Flags | None = None
        if not alone:
            rows, other = self._row_of(measure, season, parent)
            at = rows.codes.index(parent)
            own = _onto(rows.leaves[:, at, :], other, season) - leaves.sum(axis=1)
            # What was filed under the place itself is a row too: nobody asks for it, but it could be worked out.
            codes, leaves = (*codes, ""), np.concatenate([leaves, own[:, None, :]], axis=1)
            above = _hidden_onto(rows.told.hidden[at], other, season)
        told = decide(season.columns.sums(leaves), season.columns, above, self._below, second=self.second)
        assert told is not None
        return _Rows(codes, leaves, told)

    def _row_of(self, measure: Measure, season: Season, place: str) -> tuple[_Rows, Season]:
        """The rows a place stands in, and the season they are of."""
        season = self._season_of(measure, season, place)
        return self._under(measure, season, place), season

    def _season_of(self, measure: Measure, season: Season, place: str) -> Season:
        """A season as it is told of a place: of townships and above in finer pieces than of what lies below."""
        if measure.cls == "as_of" or self.fine(place):
            return season
        first = self._first(measure)
        assert first is not None
        return next(pair[0] for pair in self._years(first) if season in pair)

    def _under(self, measure: Measure, season: Season, place: str) -> _Rows:
        parent, alone = self._parent(place)
        key = (measure.base, season, parent, alone)
        with self._lock:
            if key not in self._rows:
                if not alone:
                    self._row_of(measure, season, parent)
                self._fill(parent, alone, {season: {measure.base: measure}})
            return self._rows[key]

    def _of_classes(self, measure: Measure, dimension: str, root: str, season: Season) -> _Classes | None:
        key = (measure.base, season, root, dimension)
        with self._lock:
            if key not in self._classes:
                self._classes[key] = self._classed(measure, dimension, root, season)
            return self._classes[key]

    def _classed(self, measure: Measure, dimension: str, root: str, season: Season) -> _Classes:
        whole = self._under(measure, season, root).told.hidden[0]
        levels = [lv for lv in self._levels(root) if LEVELS.index(lv) <= COARSE]
        places = tuple(p.code for p in self._tree.children(root) if p.level in levels)
        counts: dict[tuple[int, str, str | None], tuple[float, float | None]] = {}
        total: dict[tuple[int, str | None], tuple[float, float | None]] = {}
        for (_, w, _, k), found in self._read([measure], root, None, season.leaves, dimension).items():
            total[w, k] = found
        for level in levels:
            for (_, w, code, k), found in self._read(
                [measure], root, level, season.leaves, dimension
            ).items():
                counts[w, code or root, k] = found
        keys = tuple(sorted({k for _, k in total}, key=lambda k: (k is None, k or "")))
        sides = 2 if measure.kind == "rate" else 1
        # side × place × class × leaf; the last place is what was filed under none of them.
        cube = np.zeros((sides, len(places) + 1, len(keys), len(season.leaves)))
        for j, k in enumerate(keys):
            for w in range(len(season.leaves)):
                for r, code in enumerate(places):
                    cube[:, r, j, w] = _sides(counts.get((w, code, k)), sides)
                cube[:, -1, j, w] = _sides(total.get((w, k)), sides) - cube[:, :-1, j, w].sum(axis=1)
        if not keys:
            return _Classes((), Told(np.zeros((0, 0), bool), np.zeros((0, 0), bool)), (), None)
        if places:
            both = self._both(measure, season, cube, keys, places, whole)
            if both is not None:
                return both
        # Told by time alone, nothing else bounds what could move.
        by_time = decide(
            season.columns.sums(cube.sum(axis=1)), season.columns, whole, self._below, second=self.second
        )
        assert by_time is not None
        return _Classes(keys, by_time, (), None)

    def _both(
        self, measure: Measure, season: Season, cube: Numbers, keys: tuple[str | None, ...],
        places: tuple[str, ...], whole: Flags,
    ) -> _Classes | None:  # fmt: skip
        """Classes by time and classes by place, each so that the other gives nothing away; None where that fails."""
        by_time_values = season.columns.sums(cube)

        def in_one_place(side: int, k: int, t: int) -> tuple[Numbers, Numbers]:
            """A matter changes its class at one time, another the other way at another: both in the same place."""
            if season.columns.above[t] < 0:
                return _free(cube.shape[2], by_time_values.shape[3])
            v = by_time_values[side]
            to = np.minimum(v[:, k, None, :], v[:, :, t, None]).sum(axis=0)
            away = np.minimum(v[:, k, t][:, None, None], v).sum(axis=0)
            return to, away

        by_time = decide(
            by_time_values.sum(axis=1),
            season.columns,
            whole,
            self._below,
            caps=in_one_place,
            second=self.second,
        )
        if by_time is None:
            return None
        columns = Columns.of([(0, len(keys)), *((j, j + 1) for j in range(len(keys)))])
        by_class = cube.sum(axis=3)

        def at_one_time(side: int, r: int, j: int) -> tuple[Numbers, Numbers]:
            """The same in two places: both at the same time."""
            v = cube[side]
            k = columns.spans[j][0]
            to = np.minimum(v[r][None, :, :], v[:, k, None, :]).sum(axis=2)
            away = np.minimum(v[r, k][None, None, :], v).sum(axis=2)
            total = np.full((len(v), 1), FREE)
            return (
                (np.concatenate([total, to], axis=1), np.concatenate([total, away], axis=1))
                if len(keys) > 1
                else _free(len(v), 1)
            )

        rows = [self.state(measure, code, season, 0) for code in places]
        hidden = np.zeros((len(places) + 1, len(columns.spans)), dtype=bool)
        hidden[:, 0] = [*(state != "" for state in rows), self._rest_hidden(measure, season, places[0])]
        above = np.array([whole[0], *by_time.hidden[:, 0]] if len(keys) > 1 else [whole[0]])
        below = decide(
            columns.sums(by_class), columns, above, self._below, hidden, at_one_time, second=self.second
        )
        if below is None:
            return None
        return _Classes(keys, by_time, places, below)

    def _rest_hidden(self, measure: Measure, season: Season, child: str) -> bool:
        return bool(self._under(measure, season, child).told.hidden[-1, 0])

    def _years(self, first: date) -> tuple[tuple[Season, Season], ...]:
        if first not in self._seasons:
            self._seasons[first] = seasons(first, self._last)
        return self._seasons[first]

    def _parent(self, place: str) -> tuple[str, bool]:
        """The place that a place's row stands under; itself, alone, where there is none."""
        parent = self._tree.places[place].parent
        return (parent, False) if parent is not None and parent in self._tree.places else (place, True)

    def _above(self, place: str) -> tuple[str, ...]:
        return tuple(code for code, _ in self._tree.scope(place).parents)

    def _root(self, place: str) -> str:
        return next(iter(self._above(place)), place)

    def _levels(self, parent: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p.level for p in self._tree.children(parent)))

    def fine(self, place: str) -> bool:
        """True for a place below the township."""
        return LEVELS.index(self._tree.places[place].level) > COARSE


def _said(told: Told, row: int, column: int) -> str:
    if not told.hidden[row, column]:
        return ""
    return "named" if told.named[row, column] else "hidden"


def _sides(found: tuple[float, float | None] | None, sides: int) -> Numbers:
    n, d = found or (0.0, None)
    return np.array([n] if sides == 1 else [n, (d or 0.0) - n])


def _free(rows: int, columns: int) -> tuple[Numbers, Numbers]:
    return np.full((rows, columns), FREE), np.full((rows, columns), FREE)


def _onto(leaves: Numbers, of: Season, onto: Season) -> Numbers:
    """Values by the leaves of one season as values by those of another, which are made of them."""
    if of == onto:
        return leaves
    parts = [[k for k, leaf in enumerate(of.leaves) if w.start <= leaf.start <= w.end] for w in onto.leaves]
    return np.stack([leaves[:, part].sum(axis=1) for part in parts], axis=1)


def _hidden_onto(hidden: Flags, of: Season, onto: Season) -> Flags:
    """Which columns of one season are hidden by those of another: what it does not have is, where a piece of it is."""
    if of == onto:
        return hidden
    out = []
    for a, b in onto.columns.spans:
        window = Period(onto.leaves[a].start, onto.leaves[b - 1].end)
        columns = of.of(window)
        assert columns is not None
        out.append(any(hidden[t] for t in columns))
    return np.array(out)
