"""An attacker: whoever asks every question there is, one by one, and does the sums.

What is known to them: every figure told, that counts are whole and never negative, and that what is said to be fewer
than the threshold lies between 1 and one less. Of a rate they are even given on which side that is. For each small
count they find the least and the greatest value that fit all of it, by linear programming; where both are the same,
it is recovered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

Atoms = frozenset[int]
"""The smallest counts a figure is the sum of, by number."""


@dataclass
class Attacker:
    """What is known: sums of unknown counts (`told`), and those said to be fewer than `below` (`named`)."""

    below: int
    told: dict[Atoms, float] = field(default_factory=dict)
    named: set[Atoms] = field(default_factory=set)

    def learn(self, atoms: Iterable[int], value: float) -> None:
        key = frozenset(atoms)
        assert self.told.get(key, value) == value, "told two ways"
        self.told[key] = value

    def spreads(self, targets: Sequence[Atoms]) -> list[float]:
        """Greatest less least value of each target."""
        zero = {a for atoms, value in self.told.items() if value == 0 for a in atoms}
        live = sorted({a for atoms in (*self.told, *self.named, *targets) for a in atoms} - zero)
        # Counts that stand in the same figures throughout need one unknown between them.
        known = [atoms for atoms in (*self.told, *self.named) if atoms - zero]
        member: dict[int, list[int]] = {a: [] for a in live}
        for k, atoms in enumerate((*known, *targets)):
            for a in atoms - zero:
                member[a].append(k)
        groups: dict[tuple[int, ...], int] = {}
        column = {a: groups.setdefault(tuple(member[a]), len(groups)) for a in live}
        rows = [sorted({column[a] for a in atoms - zero}) for atoms in known]
        equal = [
            (row, self.told[atoms]) for row, atoms in zip(rows, known, strict=True) if atoms in self.told
        ]
        within = [row for row, atoms in zip(rows, known, strict=True) if atoms in self.named]
        a_eq, b_eq = _matrix([row for row, _ in equal], len(groups)), [value for _, value in equal]
        more = _matrix(within, len(groups)) if within else None
        a_ub = None if more is None else _stack(more, -more)
        b_ub = None if more is None else [self.below - 1.0] * len(within) + [-1.0] * len(within)
        out = []
        for target in targets:
            goal = np.zeros(len(groups))
            goal[sorted({column[a] for a in target - zero})] = 1
            ends = []
            for sign in (1, -1):
                found = linprog(sign * goal, a_ub, b_ub, a_eq, b_eq, bounds=(0, None), method="highs")
                assert found.status in (0, 3), found.message
                ends.append(np.inf if found.status == 3 else sign * found.fun)
            out.append(abs(ends[1] - ends[0]))
        return out


def _matrix(rows: Sequence[Sequence[int]], columns: int) -> csr_matrix:
    down = [r for r, row in enumerate(rows) for _ in row]
    along = [c for row in rows for c in row]
    return csr_matrix((np.ones(len(down)), (down, along)), shape=(len(rows), columns))


def _stack(one: csr_matrix, other: csr_matrix) -> csr_matrix:
    from scipy.sparse import vstack

    return csr_matrix(vstack([one, other]))
