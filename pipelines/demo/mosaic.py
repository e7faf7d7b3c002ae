"""A schematic map: grid cells that tile a county, nested in villages and townships. No border in it is real.

Townships are placed by their anchors and take an area in proportion to their grids; villages share a township,
grids a village. What is drawn is the Voronoi diagram of the grids' seeds, so neighbours share their edges exactly,
and every outline is the dissolved edge of the cells it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Voronoi, cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WIDTH = 1000.0
SAMPLES_PER_GRID = 48

ASPECT = (1.3, 0.72)
"""The county is stretched east to west, to sit well on a wide screen; the map is schematic anyway."""


@dataclass(frozen=True)
class Mosaic:
    """Outlines as closed rings of (x, y), the first point not repeated; x to the east, y to the north, x from 0 to 1000.

    `grids` in the order given; `villages` and `townships` by their index; `county` one ring.
    """

    grids: tuple[Floats, ...]
    villages: tuple[Floats, ...]
    townships: tuple[Floats, ...]
    county: Floats


def ring_text(ring: Floats) -> str:
    """A ring as the places file spells it: 'x,y x,y …', two decimals."""
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in ring.tolist())


def beside(mosaics: Sequence[Mosaic]) -> list[Mosaic]:
    """Several mosaics on one sheet, 1000 wide, a grid as large in each: one column each for the first two, the others
    below one another in a third. What lies beside what says nothing."""
    if len(mosaics) == 1:
        return list(mosaics)
    scale = [np.sqrt(len(mosaic.grids)) / np.sqrt(_area(mosaic.county)) for mosaic in mosaics]
    size = [mosaic.county.max(axis=0) * s for mosaic, s in zip(mosaics, scale, strict=True)]
    columns = [[0], [1], list(range(2, len(mosaics)))]
    gap = 0.1 * max(width for width, _ in size)
    tall = [sum(size[i][1] + gap for i in column) - gap for column in columns]
    corner: dict[int, Floats] = {}
    x = 0.0
    for column, height in zip(columns, tall, strict=True):
        width, y = max((size[i][0] for i in column), default=0.0), (max(tall) + height) / 2
        for i in column:
            y -= size[i][1]
            corner[i] = np.array([x + (width - size[i][0]) / 2, y])
            y -= gap
        x += width + gap
    whole = WIDTH / (x - gap)
    return [_moved(m, scale[i] * whole, corner[i] * whole) for i, m in enumerate(mosaics)]


def _area(ring: Floats) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2)


def _moved(mosaic: Mosaic, scale: float, corner: Floats) -> Mosaic:
    def ring(points: Floats) -> Floats:
        return np.round(points * scale + corner, 2)

    grids, villages, townships = (
        tuple(map(ring, rings)) for rings in (mosaic.grids, mosaic.villages, mosaic.townships)
    )
    return Mosaic(grids, villages, townships, ring(mosaic.county))


def lay_out(anchors: Floats, township_of: Sequence[int], village_of: Sequence[int], seed: int) -> Mosaic:
    """Lay out the cells of all grids.

    `anchors`: (townships, 2), any unit, y north. `township_of`: per village the index of its township.
    `village_of`: per grid the index of its village. Every village needs at least one grid.
    Raises RuntimeError when no connected layout is found (does not happen for the demo's own data).
    """
    rng = np.random.default_rng([seed, 7])
    township = np.asarray(township_of, dtype=np.int64)
    village = np.asarray(village_of, dtype=np.int64)
    grids_of_township = np.bincount(township[village], minlength=len(anchors)).astype(np.float64)
    centres = _spread(anchors, grids_of_township)
    inside, outside, pitch = _county(centres, grids_of_township, rng)
    owner, _ = _share(inside, centres, grids_of_township, rounds=140, pull=0.25)
    weight = rng.uniform(0.7, 1.35, len(village))
    seeds = np.empty((len(village), 2))
    for t in range(len(anchors)):
        ground = inside[owner == t]
        villages = np.flatnonzero(township == t)
        need = np.array([weight[village == v].sum() for v in villages])
        start = ground[_far_apart(ground, len(villages), rng)]
        part, _ = _share(ground, start, need, rounds=60, pull=0.0)
        for i, v in enumerate(villages):
            plot = ground[part == i]
            cells = np.flatnonzero(village == v)
            start = plot[_far_apart(plot, len(cells), rng)]
            _, seeds[cells] = _share(plot, start, weight[cells], rounds=25, pull=0.0)
    ghosts = _ring_of_ghosts(outside, pitch, rng)
    return _draw(seeds, ghosts, village, township)


def _spread(anchors: Floats, need: Floats) -> Floats:
    """Push anchors apart until each has room for a disc of its area, keeping their relative positions."""
    radius = np.sqrt(need / np.pi)
    span = anchors.max(axis=0) - anchors.min(axis=0)
    home = (anchors - anchors.mean(axis=0)) / np.where(span > 0, span, 1.0)
    extent = 1.75 * np.sqrt(need.sum() / np.pi)
    home = home * np.array(ASPECT) * extent
    at = home.copy()
    for _ in range(400):
        gap = at[:, None, :] - at[None, :, :]
        distance = np.sqrt((gap**2).sum(axis=2)) + np.eye(len(at))
        overlap = np.maximum(0.0, 0.97 * (radius[:, None] + radius[None, :]) - distance)
        np.fill_diagonal(overlap, 0.0)
        at = at + 0.4 * (gap / distance[:, :, None] * overlap[:, :, None]).sum(axis=1) * 0.5
        at = at + 0.01 * (home - at) - 0.006 * at
    return np.asarray(at)


def _county(centres: Floats, need: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, float]:
    """Sample points inside and just outside an organic blob around the discs; one grid has unit area."""
    radius = np.sqrt(need / np.pi)
    low = (centres - radius[:, None]).min(axis=0) - 6.0
    high = (centres + radius[:, None]).max(axis=0) + 6.0
    step = 1.0 / np.sqrt(SAMPLES_PER_GRID)
    nx, ny = (int(n) for n in np.ceil((high - low) / step))
    column, row = np.meshgrid(np.arange(nx), np.arange(ny))
    points = np.column_stack([column.ravel(), row.ravel()]) * step + low
    points += rng.uniform(-0.45, 0.45, points.shape) * step
    field = np.zeros(len(points))
    for centre, r in zip(centres, radius, strict=True):
        field += np.exp(-((points - centre) ** 2).sum(axis=1) / (0.85 * r) ** 2)
    size = np.sqrt(need.sum())
    # A wide bell over all of it fills the bays between the discs.
    middle, reach = np.average(centres, axis=0, weights=need), centres.std(axis=0) + 0.45 * radius.mean()
    field *= np.exp(-0.34 * (((points - middle) / reach) ** 2).sum(axis=1))
    field += 0.9 * np.exp(-0.42 * (((points - middle) / reach) ** 2).sum(axis=1))
    for waves, strength in ((5.0, 0.10), (11.0, 0.055), (23.0, 0.03)):
        turn, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 2)
        u = points @ np.array([np.cos(turn), np.sin(turn)]) / size * waves
        v = points @ np.array([-np.sin(turn), np.cos(turn)]) / size * waves
        field *= 1.0 + strength * np.sin(2.1 * u + phase[0]) + strength * np.cos(1.9 * v + phase[1])
    count = int(need.sum() * SAMPLES_PER_GRID)
    order = np.argsort(-field, kind="stable")
    inside = points[np.sort(order[:count])]
    rest = points[np.sort(order[count:])]
    near, _ = cKDTree(inside).query(rest, distance_upper_bound=3.0)
    return inside, rest[np.isfinite(near)], 1.0


def _far_apart(points: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Indices of `count` points, each next one far from those before: a good start for sharing."""
    chosen = [int(rng.integers(len(points)))]
    distance = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance * rng.uniform(0.6, 1.0, len(points)))))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen, dtype=np.int64)


def _share(points: Floats, start: Floats, need: Floats, rounds: int, pull: float) -> tuple[Ints, Floats]:
    """Cut the points into convex parts in proportion to `need`: a power diagram whose weights follow the need.

    Returns the part of each point and the parts' centres. `pull` (0 to 1) holds the centres back at their start.
    """
    want = need / need.sum() * len(points)
    room = len(points) / len(start)
    spread = float(points.var(axis=0).sum()) / len(start)
    centre, weight = start.copy(), np.zeros(len(start))
    squared = (points**2).sum(axis=1)[:, None]
    part = np.zeros(len(points), dtype=np.int64)
    for i in range(rounds):
        cost = squared - 2.0 * points @ centre.T + (centre**2).sum(axis=1) - weight
        part = cost.argmin(axis=1)
        have = np.bincount(part, minlength=len(start)).astype(np.float64)
        sums = np.column_stack([np.bincount(part, points[:, k], minlength=len(start)) for k in (0, 1)])
        mean = np.where(have[:, None] > 0, sums / np.maximum(have, 1.0)[:, None], centre)
        if i + 1 < rounds:
            centre = pull * start + (1 - pull) * mean
            weight += 0.6 * spread * np.clip((want - have) / room, -0.6, 0.6)
        else:
            centre = mean
    return part, centre


def _ring_of_ghosts(outside: Floats, pitch: float, rng: np.random.Generator) -> Floats:
    """Seeds that no grid owns, all round the county, so that its edge is made of cell sides too."""
    count = max(8, int(len(outside) / SAMPLES_PER_GRID / (0.55 * pitch)))
    seeds = outside[rng.choice(len(outside), count, replace=False)]
    for _ in range(12):
        _, part = cKDTree(seeds).query(outside)
        have = np.maximum(np.bincount(part, minlength=count), 1)
        seeds = np.column_stack([np.bincount(part, outside[:, k], minlength=count) / have for k in (0, 1)])
    return seeds


def _draw(seeds: Floats, ghosts: Floats, village: Ints, township: Ints) -> Mosaic:
    """The diagram of the seeds and its dissolved outlines; seeds of a torn village are drawn together until it is whole."""
    count = len(seeds)
    town = township[village]
    for _ in range(40):
        diagram = Voronoi(np.vstack([seeds, ghosts]))
        pairs = np.asarray(diagram.ridge_points)
        ends = np.array([r if -1 not in r else (-1, -1) for r in diagram.ridge_vertices])
        kept = (ends[:, 0] >= 0) & (pairs < count).any(axis=1)
        pairs, ends = pairs[kept], ends[kept]
        labels = {
            "grid": np.concatenate([np.arange(count), np.full(len(ghosts), -1)]),
            "village": np.concatenate([village, np.full(len(ghosts), -1)]),
            "township": np.concatenate([town, np.full(len(ghosts), -1)]),
            "county": np.concatenate([np.zeros(count, dtype=np.int64), np.full(len(ghosts), -1)]),
        }
        rings = {name: _outlines(label, pairs, ends) for name, label in labels.items()}
        torn = [v for v, loops in rings["village"].items() if len(loops) > 1]
        split = [t for t, loops in rings["township"].items() if len(loops) > 1]
        if not torn and not split and len(rings["county"][0]) == 1:
            return _scaled(diagram.vertices, rings)
        for label, places in ((village, torn), (town, split)):
            for place in places:
                own = label == place
                seeds[own] += 0.12 * (seeds[own].mean(axis=0) - seeds[own])
    raise RuntimeError("no connected mosaic found")


def _outlines(label: Ints, pairs: Ints, ends: Ints) -> dict[int, list[list[int]]]:
    """Per label the closed loops of vertices around its cells."""
    next_to: dict[int, dict[int, list[int]]] = {}
    sides = label[pairs]
    border = sides[:, 0] != sides[:, 1]
    for (a, b), (p, q) in zip(sides[border].tolist(), ends[border].tolist(), strict=True):
        for place in (a, b):
            if place >= 0:
                corners = next_to.setdefault(place, {})
                corners.setdefault(p, []).append(q)
                corners.setdefault(q, []).append(p)
    loops: dict[int, list[list[int]]] = {}
    for place, corners in next_to.items():
        loops[place] = []
        left = set(corners)
        while left:
            first = min(left)
            loop, before, here = [first], -1, first
            while True:
                one, two = corners[here][0], corners[here][-1]
                after = one if one != before else two
                if after == first:
                    break
                loop.append(after)
                before, here = here, after
            left -= set(loop)
            loops[place].append(loop)
    return loops


def _scaled(vertices: Floats, rings: dict[str, dict[int, list[list[int]]]]) -> Mosaic:
    county = vertices[rings["county"][0][0]]
    low = county.min(axis=0)
    scale = WIDTH / (county[:, 0].max() - low[0])
    at = np.round((vertices - low) * scale, 2) + 0.0

    def ring(loop: list[int]) -> Floats:
        points = at[loop]
        x, y = points[:, 0], points[:, 1]
        turned = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() < 0
        return np.ascontiguousarray(points[::-1] if turned else points)

    def all_of(name: str) -> tuple[Floats, ...]:
        return tuple(ring(rings[name][i][0]) for i in range(len(rings[name])))

    return Mosaic(all_of("grid"), all_of("village"), all_of("township"), ring(rings["county"][0][0]))
