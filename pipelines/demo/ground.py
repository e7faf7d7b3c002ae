"""The ground of the demo: Dong'an's real townships and villages, and 1,326 grids of our own making."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.demo.mosaic import Mosaic, lay_out

Scale = Literal["full", "small"]

COUNTY = "431122"
FOREST_FARMS = ("431122400", "431122401")
GRIDS = 1326
VILLAGES = 344

SMALL_WORLD = {"431122100": 14, "431122102": 10}
"""Township → how many of its villages the small world has."""

SCHEMATIC = {
    "431122103": (111.535, 26.345),  # 横塘镇: east, between 井头圩 and 石期市
    "431122110": (111.250, 26.660),  # 花桥镇: north-west, west of 新圩江
    "431122111": (111.480, 26.760),  # 大盛镇: north-east, above 芦洪市
    "431122112": (111.245, 26.555),  # 南桥镇: west of 鹿马桥
}
"""Townships without a published box (longitude, latitude): put into gaps the boxes leave. Not surveyed."""


@dataclass(frozen=True)
class Place:
    """A township or village: its code, both names and its parent's code."""

    code: str
    parent: str
    zh: str
    en: str


@dataclass(frozen=True)
class Ground:
    """All places, and for each grid arrays of equal length in the order of their codes."""

    county: Place
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

    def mosaic(self) -> Mosaic:
        """The schematic outlines (2 s for the full county); the same at any seed of the records."""
        return lay_out(self.anchors, self.township_of.tolist(), self.village_of.tolist(), seed=431122)


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("pipelines.demo").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def village_name(official: str) -> str:
    """柳溪村村委会 → 柳溪村; what would lose its kind of place keeps its suffix: 江北居委会."""
    for suffix in ("村委会", "居委会"):
        short = official.removesuffix(suffix)
        if short != official and short.endswith(("村", "社区")):
            return short
    return official


def make_ground(scale: Scale) -> Ground:
    """The ground of the full county (15 townships, 344 villages, 1,326 grids) or of the small world (2, 24, 93)."""
    rows = [r for r in _rows("dongan_431122.csv") if r["code"][:9] not in FOREST_FARMS]
    county = next(_place(r) for r in rows if r["level"] == "county")
    townships = [_place(r) for r in rows if r["level"] == "township"]
    villages = [_place(r) for r in rows if r["level"] == "village"]
    if scale == "small":
        townships = [t for t in townships if t.code in SMALL_WORLD]
        villages = [v for t in townships for v in _some(villages, t.code, SMALL_WORLD[t.code])]
    index = {t.code: i for i, t in enumerate(townships)}
    township_of = np.array([index[v.parent] for v in villages])
    rng = np.random.default_rng(344)
    size = _grids_per_village(villages, round(GRIDS * len(villages) / VILLAGES), rng)
    village_of = np.repeat(np.arange(len(villages)), size)
    ordinal = np.concatenate([np.arange(1, n + 1) for n in size])
    urban = np.array([v.en.endswith("Community") for v in villages])[village_of]
    households = np.clip(np.round(rng.normal(np.where(urban, 150, 123), 27)), 60, 220).astype(np.int64)
    kind = np.full(len(village_of), "comprehensive", dtype=object)
    spare = np.flatnonzero((ordinal == size[village_of]) & (size[village_of] >= 4))
    dedicated = rng.choice(spare, max(3, len(village_of) // 28), replace=False)
    kind[dedicated] = rng.choice(["enterprise", "school", "market"], len(dedicated), p=[0.4, 0.35, 0.25])
    households[dedicated] = rng.integers(60, 91, len(dedicated))
    to_visit = np.clip(np.round(households / 46 + rng.normal(0, 0.75, len(households))), 1, 5).astype(
        np.int64
    )
    return Ground(
        county=county,
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
        anchors=_anchors(townships),
    )


def _place(row: dict[str, str]) -> Place:
    return Place(row["code"], row["parent_code"], village_name(row["name_zh"]), row["name_en"])


def _some(villages: list[Place], township: str, count: int) -> list[Place]:
    """`count` villages spread evenly over the township's list, so that communities and villages both occur."""
    own = [v for v in villages if v.parent == township]
    return [own[i * len(own) // count] for i in range(count)]


def _grids_per_village(villages: list[Place], total: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """2 to 6 grids per village, communities more, `total` in all."""
    urban = np.array([v.en.endswith("Community") for v in villages])
    size = np.clip(np.round(rng.normal(np.where(urban, 4.8, 3.7), 0.9)), 2, 6).astype(np.int64)
    while (short := total - int(size.sum())) != 0:
        free = np.flatnonzero(size < 6 if short > 0 else size > 2)
        chosen = rng.choice(free, min(abs(short), len(free)), replace=False)
        size[chosen] += 1 if short > 0 else -1
    return size


def _anchors(townships: list[Place]) -> NDArray[np.float64]:
    """East and north of each township: the centre of its published box, else its schematic position."""
    centre = {
        r["code"]: (float(r["center_lon"]), float(r["center_lat"])) for r in _rows("township_bbox_431122.csv")
    }
    degrees = np.array([centre.get(t.code) or SCHEMATIC[t.code] for t in townships])
    return np.asarray(degrees * np.array([np.cos(np.radians(26.5)), 1.0]))
