"""The ground of the demo: a place's real townships and villages, and grids of our own making."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.demo.mosaic import Mosaic, lay_out
from pipelines.demo.plans import DONGAN, Plan

Scale = Literal["full", "small"]

FOREST_FARMS = ("431122400", "431122401")
VILLAGES = 344
"""Of Dong'an: other grounds take their share of what it published."""

SMALL_WORLD = {"431122100": 14, "431122102": 10}
"""Township → how many of its villages the small world has."""


@dataclass(frozen=True)
class Place:
    """A township or village: its code, both names and its parent's code."""

    code: str
    parent: str
    zh: str
    en: str


@dataclass(frozen=True)
class Ground:
    """All places, and for each grid arrays of equal length in the order of their codes.

    `top`: the county, or the township itself, which is then the one of `townships`.
    """

    plan: Plan
    top: Place
    townships: tuple[Place, ...]
    villages: tuple[Place, ...]
    township_of: NDArray[np.int64]
    """Per village the index of its township."""
    grid_code: tuple[str, ...]
    village_of: NDArray[np.int64]
    """Per grid the index of its village."""
    ordinal: NDArray[np.int64]
    kind: tuple[str, ...]
    households: NDArray[np.int64]
    to_visit: NDArray[np.int64]
    anchors: NDArray[np.float64]

    @property
    def grid_township(self) -> NDArray[np.int64]:
        """Per grid the index of its township."""
        return self.township_of[self.village_of]

    @property
    def share(self) -> float:
        """How much happens here against the full Dong'an, by villages and pace."""
        return len(self.villages) * self.plan.pace / VILLAGES

    @property
    def governments(self) -> list[str]:
        """Per township the name of its office."""
        return [t.zh + ("办事处" if t.zh.endswith("街道") else "人民政府") for t in self.townships]

    def mosaic(self) -> Mosaic:
        """The schematic outlines (2 s for the full county); the same at any seed of the records."""
        seed = int(self.plan.code)
        return lay_out(self.anchors, self.township_of.tolist(), self.village_of.tolist(), seed=seed)


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("pipelines.demo").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def village_name(official: str) -> str:
    """柳溪村村委会 → 柳溪村, 北山村委会 → 北山村; what would lose its kind of place keeps its suffix: 江北居委会."""
    for suffix in ("村民委员会", "村委会", "居民委员会", "居委会"):
        short = official.removesuffix(suffix)
        if short == official:
            continue
        if short.endswith(("村", "社区")):
            return short
        return f"{short}村" if suffix.startswith("村") else official
    return official


def make_ground(scale: Scale, plan: Plan = DONGAN) -> Ground:
    """The ground of a place (the full Dong'an: 15 townships, 344 villages, 1,326 grids); `small`, for Dong'an alone:
    2 townships, 24 villages, 93 grids."""
    rows = [r for r in _rows(plan.data) if r["code"][:9] not in FOREST_FARMS]
    top = next(_place(r, plan) for r in rows if r["code"] == plan.code)
    townships = [_place(r, plan) for r in rows if r["level"] == "township"]
    villages = [_place(r, plan) for r in rows if r["level"] == "village"]
    if scale == "small" and plan is DONGAN:
        townships = [t for t in townships if t.code in SMALL_WORLD]
        villages = [v for t in townships for v in _some(villages, t.code, SMALL_WORLD[t.code])]
    index = {t.code: i for i, t in enumerate(townships)}
    township_of = np.array([index[v.parent] for v in villages])
    rng = np.random.default_rng(VILLAGES)
    if plan is DONGAN:
        total = round(plan.grids * len(villages) / VILLAGES)
        size = _grids_per_village(villages, total, (4.8, 3.7, 0.9), (2, 6), rng)
    else:
        size = _planned(plan, villages, rng)
    village_of = np.repeat(np.arange(len(villages)), size)
    ordinal = np.concatenate([np.arange(1, n + 1) for n in size])
    urban = np.array([v.en.endswith("Community") for v in villages])[village_of]
    in_town, outside, spread, least, most = plan.households
    mean = np.where(urban, in_town, outside)
    households = np.clip(np.round(rng.normal(mean, spread)), least, most).astype(np.int64)
    kind = np.full(len(village_of), "comprehensive", dtype=object)
    if plan.dedicated is None:
        spare = np.flatnonzero((ordinal == size[village_of]) & (size[village_of] >= 4))
        dedicated = rng.choice(spare, max(3, len(village_of) // 28), replace=False)
        kind[dedicated] = rng.choice(["enterprise", "school", "market"], len(dedicated), p=[0.4, 0.35, 0.25])
    else:
        words = [word for word, count in plan.dedicated.items() for _ in range(count)]
        spare = np.flatnonzero((ordinal == size[village_of]) & (ordinal > 1))
        dedicated = rng.choice(spare, len(words), replace=False)
        kind[dedicated] = words
    households[dedicated] = rng.integers(60, 91, len(dedicated))
    to_visit = np.clip(np.round(households / 46 + rng.normal(0, 0.75, len(households))), 1, 5).astype(
        np.int64
    )
    return Ground(
        plan=plan,
        top=top,
        townships=tuple(townships),
        villages=tuple(villages),
        township_of=township_of,
        grid_code=tuple(
            f"{villages[v].code}{n:03d}" for v, n in zip(village_of.tolist(), ordinal.tolist(), strict=True)
        ),
        village_of=village_of,
        ordinal=ordinal,
        kind=tuple(kind.tolist()),
        households=households,
        to_visit=to_visit,
        anchors=_anchors(townships, plan),
    )


def _place(row: dict[str, str], plan: Plan) -> Place:
    name = plan.rename.get(row["code"])
    zh, en = (name.zh, name.en) if name else (village_name(row["name_zh"]), row["name_en"])
    return Place(row["code"], row["parent_code"], zh, en)


def _some(villages: list[Place], township: str, count: int) -> list[Place]:
    """`count` villages spread evenly over the township's list, so that communities and villages both occur."""
    own = [v for v in villages if v.parent == township]
    return [own[i * len(own) // count] for i in range(count)]


def _planned(plan: Plan, villages: list[Place], rng: np.random.Generator) -> NDArray[np.int64]:
    """Grids per village: exactly as many as planned where the plan names a township or village, the rest as they come."""
    size = np.zeros(len(villages), dtype=np.int64)
    free = np.ones(len(villages), dtype=bool)
    for code, count in [*plan.exactly.items(), (plan.code, plan.grids - sum(plan.exactly.values()))]:
        own = np.flatnonzero([v.code.startswith(code) for v in villages] & free)
        mean = count / len(own)
        usual, bounds = (1.12 * mean, 0.94 * mean, 0.24 * mean), (max(1, int(mean / 2)), int(2 * mean) + 1)
        size[own] = _grids_per_village([villages[v] for v in own], count, usual, bounds, rng)
        free[own] = False
    return size


def _grids_per_village(
    villages: list[Place],
    total: int,
    usual: tuple[float, float, float],
    bounds: tuple[int, int],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """`total` grids in all, each village within `bounds`; `usual`: a community's, a village's, and the spread."""
    urban = np.array([v.en.endswith("Community") for v in villages])
    least, most = bounds
    size = np.clip(np.round(rng.normal(np.where(urban, usual[0], usual[1]), usual[2])), least, most).astype(
        np.int64
    )
    while (short := total - int(size.sum())) != 0:
        free = np.flatnonzero(size < most if short > 0 else size > least)
        chosen = rng.choice(free, min(abs(short), len(free)), replace=False)
        size[chosen] += 1 if short > 0 else -1
    return size


def _anchors(townships: list[Place], plan: Plan) -> NDArray[np.float64]:
    """East and north of each township: the centre of its published box, else its schematic position. One township
    lies anywhere."""
    if len(townships) == 1:
        return np.zeros((1, 2))
    centre = {r["code"]: (float(r["center_lon"]), float(r["center_lat"])) for r in _rows(plan.boxes)}
    degrees = np.array([centre.get(t.code) or plan.schematic[t.code] for t in townships])
    north = round(float(degrees[:, 1].mean()) * 2) / 2
    return np.asarray(degrees * np.array([np.cos(np.radians(north)), 1.0]))
