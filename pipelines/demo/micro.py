"""Micro-grids: which grids are cut into them, since when, and the records filed under them from then on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np

from pipelines.demo.days import Ints, Window, stream
from pipelines.demo.ground import Ground
from pipelines.demo.table import Life, texts

TEN = 10


@dataclass(frozen=True)
class MicroGrids:
    """The micro-grids of a place in the order of their codes: the grid of each (its index), its number in that grid
    from 1, its households, and the day from which it is in use (None: from the start)."""

    ground: Ground
    grid: Ints
    number: Ints
    households: Ints
    since: date | None

    def __len__(self) -> int:
        return len(self.grid)

    @cached_property
    def codes(self) -> list[str]:
        return [
            f"{self.ground.grid_code[g]}{n:03d}"
            for g, n in zip(self.grid.tolist(), self.number.tolist(), strict=True)
        ]


def make_micro_grids(ground: Ground, window: Window) -> MicroGrids:
    """Those of a plan: all grids by ten households, or a village's grids into a number of parts, half-way through."""
    plan = ground.plan
    parts = np.zeros(len(ground.grid_code), dtype=np.int64)
    if plan.tenfold:
        parts = np.maximum(1, ground.households // TEN)
    village = np.array([v.code for v in ground.villages])[ground.village_of]
    for code, count in plan.split.items():
        own = np.flatnonzero(village == code)
        parts[own] = [len(part) for part in np.array_split(np.arange(count), len(own))]
    grid = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(grid)) - np.searchsorted(grid, grid) + 1
    share, rest = np.divmod(ground.households[grid], np.maximum(parts[grid], 1))
    since = window.middle if plan.split else None
    return MicroGrids(ground, grid, number, share + (number <= rest), since)


def refiled(life: Life, micro: MicroGrids, seed: int) -> Life:
    """Records born since a grid was cut up are filed under its micro-grids; older ones keep the grid.

    A household belongs to one micro-grid; other records fall into any of their grid's.
    """
    if micro.since is None:
        return life
    count = dict(zip(*np.unique(micro.grid, return_counts=True), strict=True))
    parts = {micro.ground.grid_code[g]: int(n) for g, n in count.items()}
    households = {micro.ground.grid_code[g]: int(micro.ground.households[g]) for g in count}
    place = life.columns["place"]
    moved = np.flatnonzero(
        (life.columns[life.born] >= np.datetime64(micro.since, "s")) & np.isin(place, list(parts))
    )
    draw = stream(seed, f"micro {life.dataset}").random(len(moved))
    if "household_key" in life.columns:
        number = np.array([int(key[-3:]) - 1 for key in life.columns["household_key"][moved].tolist()])
        draw = number / np.array([households[code] for code in place[moved].tolist()])
    filed = place.copy()
    filed[moved] = texts(
        [
            f"{code}{int(share * parts[code]) + 1:03d}"
            for code, share in zip(place[moved].tolist(), draw.tolist(), strict=True)
        ]
    )
    return replace(life, columns=life.columns | {"place": filed})
