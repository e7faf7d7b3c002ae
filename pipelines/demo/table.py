"""Records in columns, with what will have happened to them; a state at any moment can be cut from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.demo.days import UNKNOWN, Ints, Times

Column = NDArray[Any]
Columns = dict[str, Column]


@dataclass(frozen=True)
class Life:
    """All records of one dataset with their whole course, known times or not.

    `columns`: equal length; times `datetime64[s]` (NaT: never), text as objects ('' for none), whole numbers.
    Names with a leading underscore are not written. `state(columns, at)` gives the written columns as they were
    known at the moments `at` (one per record), `updated_at` included and never after `at`.
    """

    dataset: str
    key: str
    born: str
    columns: Columns
    state: Callable[[Columns, Times], Columns]

    def __len__(self) -> int:
        return len(self.columns[self.key])

    def at(self, rows: Ints, moments: Times) -> Columns:
        """The state of the given records, each at its own moment."""
        return self.state(take(self.columns, rows), moments)


def take(columns: Columns, rows: Column) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def join(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def known(times: Times, at: Times) -> Times:
    """The times that had come by then; NaT for the rest."""
    return np.where(times <= at, times, UNKNOWN)


def latest(times: list[Times]) -> Times:
    """The latest known time of each record; the first list must be known."""
    newest = times[0]
    for more in times[1:]:
        newest = np.fmax(newest, more)
    return newest


def texts(values: list[str] | tuple[str, ...]) -> NDArray[np.object_]:
    return np.array(values, dtype=object)


def drawn(
    options: list[str], share: list[float], count: int, rng: np.random.Generator
) -> NDArray[np.object_]:
    """`count` draws from options with the given shares (made to sum to 1)."""
    p = np.array(share) / np.sum(share)
    return texts(options)[rng.choice(len(options), count, p=p)]
