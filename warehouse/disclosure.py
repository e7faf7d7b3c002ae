"""Which figures about people's matters are not told: decided over whole tables, never over one question.

Small is a count of 1 to `below` - 1, on either side of a rate. A table has places (or classes) down its side and
stretches of time along its top; both are trees, every figure is the sum of those below it, and what is asked is a
figure of the table or a sum of such. The rule:

1. A small figure is not told. Zero is zero.
2. Beneath a figure that is not told nothing is told, zeros included.
3. Each topmost small figure has a *square*: itself, another row under the same place, another column under the same
   stretch of time, and where those meet. All four are not told. What one of them had more and its neighbours less
   changes no sum that is told, so at least `SPREAD` + 1 values of it fit all that is told (two, where the figures of
   the table leave no more). This is the hypercube method of statistical offices (Repsilber; the GHMITER of tau-Argus).

Nothing depends on the rows below: a table is decided from the top down, as deep as is asked, and always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.result import Result, Value

SPREAD = 2
"""By how much the values that fit a small figure must differ at least, where its table allows: 1 to 4 have three to
differ by, and a spread of two leaves three of them."""
FREE = 1e9
"""As many as one likes."""

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Caps = Callable[[int, int, int], tuple[Numbers, Numbers]]
"""Of a side, row and column: how much more and how much less that cell could have at most, by each other row and
column, for a reason outside the table."""


def small(count: float, below: int) -> bool:
    """True for a count that could point to a person."""
    return 0 < count < below


def hides(result: Result, below: int) -> bool:
    """True when a protected result has a count too small to show: n, d, or what n leaves of d."""
    if not isinstance(result, Value):
        return False
    n, d = result.n or 0, result.d
    return small(n, below) or (d is not None and (small(d, below) or small(d - n, below)))


@dataclass(frozen=True)
class Columns:
    """The columns of a table as a forest: each covers `leaves[a:b]`, and comes after the one `above` it (-1: none)."""

    spans: tuple[tuple[int, int], ...]
    above: tuple[int, ...]

    @classmethod
    def of(cls, spans: Sequence[tuple[int, int]]) -> Columns:
        """Spans that are nested or apart, in any order; of equal ones one is kept."""
        ordered = sorted(set(spans), key=lambda s: (s[0] - s[1], s[0]))
        above = []
        for k, (a, b) in enumerate(ordered):
            # The narrowest of those before it that covers it.
            covering = [j for j in range(k) if ordered[j][0] <= a and b <= ordered[j][1]]
            above.append(covering[-1] if covering else -1)
        return cls(tuple(ordered), tuple(above))

    def tiled(self, a: int, b: int) -> tuple[int, ...]:
        """The widest columns that make up leaves[a:b]."""
        inside = [k for k, (x, y) in enumerate(self.spans) if a <= x and y <= b]
        return tuple(k for k in inside if self.above[k] not in inside)

    def sums(self, leaves: Numbers) -> Numbers:
        """Values by column of values by leaf, along the last axis."""
        before = np.concatenate([np.zeros((*leaves.shape[:-1], 1)), np.cumsum(leaves, axis=-1)], axis=-1)
        ends, starts = [b for _, b in self.spans], [a for a, _ in self.spans]
        found: Numbers = np.round(before[..., ends] - before[..., starts], 6)
        return found


@dataclass(frozen=True)
class Told:
    """What may be told of a table's rows. `hidden`: not told. `named`: said to be fewer than the threshold, which is
    true of it and gives nothing away; any other that is hidden is only said to be."""

    hidden: Flags
    named: Flags


def decide(
    values: Numbers,
    columns: Columns,
    above: Flags | None,
    below: int,
    hidden: Flags | None = None,
    caps: Caps | None = None,
    *,
    second: bool = True,
) -> Told | None:
    """What may be told of the rows that together make up one row above.

    `values`: side × row × column; the sides of a rate are what n counts and what it leaves of d. `above`: which
    columns of the row above are hidden; None where there is no such row, and one row only. `hidden`: cells that are
    so by another table, in which the outermost columns were decided. `caps`: what bounds a move besides; None is then
    answered where a cell finds no square within them. `second` = False leaves rule 3 out: for tests, to see that it
    is needed.
    """
    sides, rows, _ = values.shape
    # Amounts may be fractions; nearly nothing is nothing.
    values = np.where(np.abs(values) < 1e-6, 0.0, values)
    tiny = (values > 0) & (values < below)
    covered: Flags = np.zeros(values.shape[1:], dtype=bool) if hidden is None else hidden.copy()
    covered |= tiny.any(axis=0)
    if sides > 1:
        total = values.sum(axis=0)
        covered |= (total > 0) & (total < below)
    if above is not None:
        covered |= above[None, :]
    _close(covered, columns)
    named: Flags = np.any(tiny, axis=0, out=np.zeros_like(covered))
    for t, over in enumerate(columns.above):
        if over >= 0:
            named[:, t] &= ~covered[:, over]
        if above is not None and above[t]:
            named[:, t] = False
    if not second:
        return Told(covered, named)
    table = _Table(values, columns, covered, named, tiny, below)
    for t, over in enumerate(columns.above):
        if (above is not None and above[t]) or (hidden is not None and over < 0):
            continue
        for r in range(rows):
            for side in range(sides):
                deep = over >= 0 and covered[r, over]
                if tiny[side, r, t] and not deep and not table.cover(side, r, t, above is None, caps):
                    return None
    for t, over in enumerate(columns.above):
        if over >= 0:
            named[:, t] &= ~covered[:, over]
    return Told(covered, named)


def _close(covered: Flags, columns: Columns) -> None:
    for t, over in enumerate(columns.above):
        if over >= 0:
            covered[:, t] |= covered[:, over]


class _Table:
    """A table while it is decided: `covered` and `named` only ever grow and shrink."""

    def __init__(
        self, values: Numbers, columns: Columns, covered: Flags, named: Flags, tiny: Flags, below: int
    ) -> None:
        self.values, self.columns, self.below = values, columns, below
        self.covered, self.named, self.tiny = covered, named, tiny
        self.siblings = [
            [k for k, over in enumerate(columns.above) if over == columns.above[t] and k != t]
            if columns.above[t] >= 0
            else []
            for t in range(len(columns.spans))
        ]

    def cover(self, side: int, r: int, t: int, alone: bool, caps: Caps | None) -> bool:
        """Find the cell its square, and cover that; False where there is none. `alone`: it has no row above."""
        other_rows = [] if alone else [k for k in range(self.values.shape[1]) if k != r]
        other_columns = self.siblings[t]
        if alone and not other_columns:
            return True  # Nothing it is a part of is told.
        if not alone and self.columns.above[t] < 0:
            other_columns = [t]  # No longer time is told: a neighbour alone can take up the difference.
        if alone:
            other_rows = [r]
        if not other_rows or not other_columns:
            return caps is None
        square = _Square(self, side, r, t, other_rows, other_columns)
        limits = (np.array(FREE), np.array(FREE))
        if caps is not None:
            to, away = caps(side, r, t)
            limits = to[np.ix_(other_rows, other_columns)], away[np.ix_(other_rows, other_columns)]
        enough = square.enough()
        want = max(1, min(SPREAD, self.below - 2))
        # The other side first gives what this one takes: a count of both may be told by another measure.
        for tied in (True, False) if len(self.values) > 1 else (False,):
            for named in (True, False):
                moves = square.moves(named, tied)
                up, down = (np.minimum(m, c) for m, c in zip(moves, limits, strict=True))
                room = np.maximum(up, 0) + np.maximum(down, 0)
                good = enough & (room >= want)
                if not named and not good.any():
                    good = enough & (room >= 1)
                    good &= room == room.max(initial=0, where=good)
                if good.any():
                    self._take(square, np.where(good, square.cost(), np.inf), named)
                    return True
        return False

    def _take(self, square: _Square, cost: Numbers, named: bool) -> None:
        i, j = np.unravel_index(int(np.argmin(cost)), cost.shape)
        for r, t in square.corners(int(i), int(j)):
            if not self.covered[r, t]:
                self.covered[r, t] = True
                a, b = self.columns.spans[t]
                for k, (x, y) in enumerate(self.columns.spans):
                    if a <= x and y <= b:
                        self.covered[r, k] = True
                        self.named[r, k] = False
            if not named:
                self.named[r, t] = False


class _Square:
    """A cell with every square it could have: one per other row and other column."""

    def __init__(
        self, table: _Table, side: int, r: int, t: int, rows: Sequence[int], columns: Sequence[int]
    ) -> None:
        self.table, self.side, self.r, self.t = table, side, r, t
        self.rows, self.columns = np.array(rows), np.array(columns)
        self.places = ((r, t), (r, self.columns), (self.rows, t), np.ix_(self.rows, self.columns))
        self.flat_rows = bool(len(rows) == 1 and rows[0] == r)
        self.flat_columns = bool(len(columns) == 1 and columns[0] == t)

    def corners(self, i: int, j: int) -> tuple[tuple[int, int], ...]:
        other, later = int(self.rows[i]), int(self.columns[j])
        return tuple(dict.fromkeys([(self.r, self.t), (self.r, later), (other, self.t), (other, later)]))

    def _slack(self, at: object, named: bool, tied: bool) -> tuple[Numbers, Numbers]:
        """How much less and how much more a cell could have, for all that is said of it; `tied`: with the sum of both
        its sides as it is."""
        down, up = self._slack_of(self.side, at, named)
        if tied:
            other_down, other_up = self._slack_of(1 - self.side, at, named)
            return np.minimum(down, other_up), np.minimum(up, other_down)
        return down, up

    def _slack_of(self, side: int, at: object, named: bool) -> tuple[Numbers, Numbers]:
        x = np.asarray(self.table.values[side][at])
        if not named:
            return x, np.full_like(x, FREE)
        said = np.asarray((self.table.named & self.table.tiny[side])[at])
        return np.where(said, x - 1, x), np.where(said, self.table.below - 1 - x, FREE)

    def moves(self, named: bool, tied: bool) -> tuple[Numbers, Numbers]:
        """How much more and how much less the cell could have within each square, as rows × columns."""
        shape = (len(self.rows), len(self.columns))
        less, more = [], []
        for k, at in enumerate(self.places):
            down, up = self._slack(at, named, tied)
            if k == 2:
                down, up = down[:, None], up[:, None]
            less.append(np.broadcast_to(down, shape))
            more.append(np.broadcast_to(up, shape))
        if self.flat_rows:  # no row above: the other column alone takes up the difference
            return np.minimum(more[0], less[1]), np.minimum(less[0], more[1])
        if self.flat_columns:
            return np.minimum(more[0], less[2]), np.minimum(less[0], more[2])
        up = np.minimum(np.minimum(more[0], less[1]), np.minimum(less[2], more[3]))
        down = np.minimum(np.minimum(less[0], more[1]), np.minimum(more[2], less[3]))
        return up, down

    def enough(self) -> Flags:
        """Whether what is hidden beside the cell, under one place and under one time, comes to no small number: as
        much can be worked out."""
        x = self.table.values[self.side]
        dark = np.where(self.table.covered, x, 0.0)
        light = x - dark
        among = dark[:, self.t].sum() + light[self.rows, self.t]
        along = dark[self.r, [self.t, *self.table.siblings[self.t]]].sum() + light[self.r, self.columns]
        good_rows = np.full(len(self.rows), True) if self.flat_rows else among >= self.table.below
        good_columns = np.full(len(self.columns), True) if self.flat_columns else along >= self.table.below
        return np.asarray(good_rows[:, None] & good_columns[None, :])

    def cost(self) -> Numbers:
        """How many matters each square would hide that are told so far, and half a matter per figure."""
        total = self.table.values.sum(axis=0)
        price = np.where(self.table.covered, 0.0, total + 0.5)
        if self.flat_rows:
            return np.asarray(price[self.r, self.columns][None, :])
        if self.flat_columns:
            return np.asarray(price[self.rows, self.t][:, None])
        return np.asarray(
            price[self.r, self.columns][None, :] + price[self.rows, self.t][:, None] + price[self.places[3]]
        )
