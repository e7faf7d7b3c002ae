"""The rule: a protected figure resting on 1 to `suppress_below` − 1 matters is not shown, nor is a rate with
so few on either side; and where only one cell of a family is hidden, the smallest other is hidden with it,
for the first could be worked out from the total. Zero is zero.

Protected are measures about people's matters. Counts of work are never hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from warehouse.catalogue import LEVELS, Level, Measure
from warehouse.period import Period
from warehouse.result import Cell, Result, Suppressed, Value


def small(count: float, below: int) -> bool:
    """True for a count that could point to a person."""
    return 0 < count < below


def hides(result: Result, below: int) -> bool:
    """True when a protected result has a count too small to show: n, d, or what n leaves of d."""
    if not isinstance(result, Value):
        return False
    n, d = result.n or 0, result.d
    return small(n, below) or (d is not None and (small(d, below) or small(d - n, below)))


def shown(
    cells: Sequence[Cell], protected: Sequence[bool], families: Iterable[Sequence[int]], below: int
) -> list[Cell]:
    """The cells as they may be shown.

    `protected[i]`: whether cell i is. `families`: indices of cells of one measure that add up to a total
    somebody may know (the places of a scope or of a place in it, the months of a period).
    """
    if below <= 1 or not any(protected):
        return list(cells)
    hidden = {i for i, cell in enumerate(cells) if protected[i] and hides(cell.result, below)}
    if hidden:
        # Small families first: what is hidden for a township's sake often serves its county too.
        kept = sorted((f for f in families if len(f) > 1 and protected[f[0]]), key=len)
        before = -1
        # Hiding one more in a row may leave a single one hidden in a column: until nothing changes.
        while before != len(hidden):
            before = len(hidden)
            for family in kept:
                alone = [i for i in family if i in hidden]
                if len(alone) == 1:
                    open_cells = [i for i in family if i not in hidden and _size(cells[i].result) > 0]
                    if open_cells:
                        hidden.add(min(open_cells, key=lambda i: (_size(cells[i].result), i)))
    return [
        Cell(c.measure, c.place, c.period, c.key, Suppressed(below)) if i in hidden else c
        for i, c in enumerate(cells)
    ]


def too_fine(measure: Measure, levels: Iterable[Level], window: Period, last: date) -> bool:
    """True when a protected figure below the township is asked for days of the asker's choosing.

    Differences of freely chosen days would give away what the threshold hides. Whole months pass, the
    running one up to the cut-off's day `last` too.
    """
    below = any(LEVELS.index(level) > LEVELS.index("township") for level in levels)
    whole = window.start.day == 1 and (window.whole_months or window.end >= last)
    return measure.protected and below and not whole


def _size(result: Result) -> float:
    if not isinstance(result, Value):
        return 0
    return result.d if result.d is not None else (result.n or 0)
