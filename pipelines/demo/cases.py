"""Cases of the demo: where and when they are reported, how they are filed, handled and closed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipelines.demo.days import (
    OFFICE,
    UNKNOWN,
    Floats,
    Ints,
    Times,
    Window,
    hours,
    later,
    minute,
    moments,
    serials,
    stream,
)
from pipelines.demo.ground import Ground
from pipelines.demo.table import Columns, Life, drawn, known, latest, texts

CASES_PER_HOUSEHOLD_DAY = 150_000 / 730 / 168_174

SUBCATEGORIES: dict[str, tuple[str, ...]] = {
    "upkeep": ("市容环境", "占道经营", "违法建设", "道路设施", "给排水", "路灯", "停车秩序"),
    "safety": ("消防隐患", "燃气用电", "道路交通安全", "安全生产", "防汛防溺水", "食品药品", "校园及周边"),
    "environment": ("垃圾清运", "污水", "噪声", "油烟扬尘", "焚烧", "畜禽养殖"),
    "disputes": ("婚姻家庭", "邻里", "土地山林", "劳资", "物业", "其他"),
    "livelihood": ("社保医保", "救助帮扶", "养老助残", "就业", "教育", "水电气暖"),
    "crime_prevention": ("反诈宣防", "盗窃线索", "寻人寻物", "其他求助"),
    "emergency": ("火情", "自然灾害", "公共卫生", "交通事故", "其他"),
    "rural": ("人居环境", "产业发展", "集体资产", "惠民政策"),
    "suggestion": ("政策", "服务", "其他"),
    "other": ("其他",),
}
CATEGORIES = list(SUBCATEGORIES)
SHARE = (0.24, 0.14, 0.16, 0.09, 0.17, 0.06, 0.02, 0.08, 0.025, 0.015)
SEASON: dict[str, tuple[float, ...]] = {
    "safety": (1.5, 1.4, 1.0, 1.1, 1.2, 1.5, 1.6, 1.3, 0.9, 1.0, 1.2, 1.5),  # winter fire, summer flood
    "environment": (
        0.8,
        0.8,
        0.9,
        1.0,
        1.1,
        1.2,
        1.3,
        1.2,
        1.2,
        1.5,
        1.2,
        0.8,
    ),  # straw burning after harvest
    "rural": (0.7, 0.9, 1.5, 1.6, 1.3, 0.9, 0.9, 0.9, 1.4, 1.5, 1.0, 0.8),  # sowing and harvest
    "disputes": (
        1.5,
        1.4,
        0.9,
        0.9,
        0.9,
        0.9,
        0.9,
        0.9,
        1.0,
        1.0,
        1.0,
        1.3,
    ),  # people come home for the festival
    "emergency": (1.1, 1.0, 1.0, 1.2, 1.4, 1.8, 1.8, 1.4, 0.9, 0.9, 1.0, 1.1),
}
CHANNELS = [
    "grid_worker",
    "hotline",
    "online",
    "patrol",
    "resident",
    "sensor",
    "assigned",
    "visit",
    "mailbox",
]
CHANNEL_SHARE = [0.46, 0.17, 0.12, 0.09, 0.08, 0.03, 0.02, 0.02, 0.01]
TIERS = ["grid", "village", "township", "county"]
TIER_SHARE = [0.30, 0.34, 0.26, 0.10]
TIER_HOURS = np.array([24.0, 72.0, 120.0, 240.0])
DEPARTMENT = {
    "upkeep": "城市管理和综合执法局",
    "safety": "应急管理局",
    "environment": "生态环境分局",
    "disputes": "司法局",
    "livelihood": "民政局",
    "crime_prevention": "公安局",
    "emergency": "消防救援大队",
    "rural": "农业农村局",
    "suggestion": "信访局",
    "other": "政务服务中心",
}
"""What follows the name of the office: 县应急管理局, 区应急管理局."""


@dataclass(frozen=True)
class Character:
    """What differs from place to place; `quality` per township is how well it keeps its dates (about 0, higher is
    better), `rate` per grid how much happens there, `hot` the persistent hotspot grids, `emerging` the one of the
    last three months."""

    quality: Floats
    rate: Floats
    hot: Ints
    emerging: int


def character(ground: Ground, seed: int) -> Character:
    """Townships differ, one in seven is slow; a few grids are far above their neighbours, one only lately."""
    rng = stream(seed, "character")
    towns = len(ground.townships)
    quality = np.clip(rng.normal(0.3, 0.5, towns), -0.6, 1.2)
    slow = rng.choice(towns, max(1, towns // 7), replace=False)
    quality[slow] = -1.9
    if ground.plan.quality is not None:
        quality[:] = ground.plan.quality
    rate = rng.lognormal(0.0, 0.16, towns)[ground.grid_township] * rng.lognormal(
        -0.02, 0.2, len(ground.grid_code)
    )
    rate *= np.array([1.15 if v.en.endswith("Community") else 0.97 for v in ground.villages])[
        ground.village_of
    ]
    large = min(110.0, float(np.median(ground.households)))
    usual = np.flatnonzero((np.array(ground.kind) == "comprehensive") & (ground.households >= large))
    count = 6 if len(ground.grid_code) > 200 else 3
    chosen: list[int] = []
    for grid in rng.permutation(usual).tolist():
        town = ground.grid_township[grid]
        alike = sum(bool(ground.grid_township[g] == town) for g in chosen)
        if alike < (1 if towns > count else 2) and all(
            ground.village_of[g] != ground.village_of[grid] for g in chosen
        ):
            chosen.append(grid)
        if len(chosen) == count:
            break
    rate[chosen] = 1.0
    return Character(
        quality, rate / np.average(rate, weights=ground.households), np.array(chosen[1:]), chosen[0]
    )


def with_fewest_demands(cases: Life, ground: Ground) -> Life:
    """The plan's quiet village has fewer hotline demands than any of its peers, in every year: what exceeds half of
    the least came by its grid workers instead."""
    plan = ground.plan
    if not plan.quiet:
        return cases
    channel = cases.columns["channel"].copy()
    village = np.array([code[: len(plan.quiet)] for code in cases.columns["place"].tolist()])
    year = cases.columns["reported_at"].astype("datetime64[Y]")
    hotline = channel == "hotline"
    for one in np.unique(year):
        calls = hotline & (year == one)
        least = min(int((calls & (village == peer)).sum()) for peer in plan.urban if peer != plan.quiet)
        channel[np.flatnonzero(calls & (village == plan.quiet))[least // 2 :]] = "grid_worker"
    return replace(cases, columns=cases.columns | {"channel": channel})


def make_cases(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """About 150,000 cases in the full county over 24 months."""
    rng = stream(seed, "cases")
    busy = window.busy((1.0, 0.95, 1.02, 1.03, 1.02, 1.06, 1.08, 1.02, 1.0, 1.04, 1.0, 1.0), 0.72, 0.45, 0.6)
    busy = busy / busy.mean() * np.linspace(0.94, 1.06, len(busy))
    rate = CASES_PER_HOUSEHOLD_DAY * ground.plan.pace
    expected = np.outer(ground.households * nature.rate * rate, busy)
    expected[nature.hot] *= 4.6
    recent = window.days >= np.datetime64(window.until, "D") - 90
    expected[nature.emerging] *= np.where(recent, 4.8, 0.9)
    count = rng.poisson(expected)
    grid = np.repeat(np.arange(len(ground.grid_code)), count.sum(axis=1))
    day = np.repeat(np.tile(np.arange(len(window.days)), len(ground.grid_code)), count.ravel())
    reported = minute(moments(window.days[day], OFFICE, rng))
    order = np.lexsort((reported, grid))
    grid, day, reported = grid[order], day[order], reported[order]
    n = len(grid)

    category = _categories(window.month_of_day[day], rng)
    hot = np.isin(grid, np.append(nature.hot, nature.emerging))
    category[hot & (rng.random(n) < 0.45)] = CATEGORIES.index("environment")
    spread = rng.random(n)
    key = serials(reported, "SJ", 6)
    # The same matter again: takes the matter of the last new one in the same grid.
    again = rng.random(n) < np.where(hot, 0.16, 0.075)
    again[np.r_[True, grid[1:] != grid[:-1]]] = False
    root = np.maximum.accumulate(np.where(again, 0, np.arange(n)))
    category, spread = category[root], spread[root]
    subcategory = texts(
        [
            SUBCATEGORIES[CATEGORIES[c]][int(s * len(SUBCATEGORIES[CATEGORIES[c]]))]
            for c, s in zip(category.tolist(), spread.tolist(), strict=True)
        ]
    )

    town = ground.grid_township[grid]
    tier = rng.choice(4, n, p=TIER_SHARE)
    government = texts(ground.governments)
    department = texts([ground.plan.office + DEPARTMENT[c] for c in CATEGORIES])
    unit = np.where(tier == 3, department[category], government[town])

    refused = rng.random(n) < 0.038
    wait = np.minimum(rng.lognormal(-1.1, 0.9, n), 20.0)
    filed = minute(reported + hours(wait + 0.02))
    dispatched = minute(filed + hours(np.minimum(rng.lognormal(-1.4, 0.8, n), 10.0)))
    dispatched[rng.random(n) < 0.008] = UNKNOWN
    limit = TIER_HOURS[tier]
    due = minute(filed + hours(limit))
    on_time = rng.random(n) < 1 / (1 + np.exp(-(2.5 + 0.62 * nature.quality[town])))
    share = np.where(on_time, rng.beta(1.6, 2.1, n) * 0.97, 1.0 + rng.exponential(0.45, n))
    extended = rng.random(n) < np.where(on_time, 0.002, 0.05)
    extended_at = minute(filed + hours(limit * 0.9))
    extended_due = minute(due + hours(limit * 0.6))
    pause = rng.random(n) < 0.008
    share = np.where(pause, np.maximum(share, 0.35), share)
    paused_from = minute(filed + hours(limit * 0.3))
    pause_hours = rng.uniform(48, 500, n)
    paused_to = minute(paused_from + hours(pause_hours))
    closed = filed + hours(limit * share + np.where(pause, pause_hours, 0.0))
    night = (closed - closed.astype("datetime64[D]")).astype(np.int64) < 7 * 3600
    earlier = closed - np.timedelta64(9, "h")
    closed = np.where(night & (earlier > filed + np.timedelta64(1, "h")) & ~pause, earlier, closed)
    closed = np.maximum(minute(closed), filed + np.timedelta64(300, "s"))
    dispatched = np.where(dispatched < closed, dispatched, UNKNOWN)
    resolved = np.maximum(
        minute(closed - hours(np.minimum(rng.lognormal(0.6, 0.7, n), limit * share * 0.3))), filed
    )
    forgotten = rng.random(n) < 0.0008
    cancelled_at = minute(filed + hours(rng.uniform(0.5, 30, n)))
    cancelled = (rng.random(n) < 0.009) & (cancelled_at < closed) & ~pause & ~refused
    gone = refused | cancelled | forgotten
    for times in (closed, resolved):
        times[gone] = UNKNOWN
    for times, keep in (
        (filed, ~refused),
        (dispatched, ~refused & ~(cancelled & (dispatched > cancelled_at))),
        (due, ~refused),
        (extended_at, extended & ~refused & ~cancelled),
        (extended_due, extended & ~refused & ~cancelled),
        (paused_from, pause & ~refused),
        (paused_to, pause & ~refused),
        (cancelled_at, cancelled),
    ):
        times[~keep] = UNKNOWN
    returned = np.where(rng.random(n) < 0.036, 1 + (rng.random(n) < 0.12), 0)
    reworked = np.where(rng.random(n) < 0.011, 1 + (rng.random(n) < 0.08), 0)
    columns: Columns = {
        "case_id": key,
        "place": texts(ground.grid_code)[grid],
        "category": texts(CATEGORIES)[category],
        "subcategory": subcategory,
        "channel": drawn(CHANNELS, CHANNEL_SHARE, n, rng),
        "unit": unit,
        "matter_key": np.char.add("M", key[root].astype(str)).astype(object),
        "_text": texts([f"{s}问题。请核实处理。" for s in SUBCATEGORIES_FLAT])[_flat(category, spread)],
        "reported_at": reported,
        "filed_at": filed,
        "dispatched_at": dispatched,
        "due_at": due,
        "extended_due_at": extended_due,
        "suspended_from": paused_from,
        "suspended_to": paused_to,
        "resolved_at": resolved,
        "closed_at": closed,
        "_tier": texts(TIERS)[tier],
        "cancelled_at": cancelled_at,
        "returned": returned,
        "reworked": reworked,
        "_extended_at": extended_at,
        "_refused_at": np.where(refused, minute(reported + hours(wait + 0.1)), UNKNOWN),
        "_typing": rng.integers(0, 600, n),
    }
    order = np.argsort(reported, kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    return Life("cases", "case_id", "reported_at", columns, case_state)


SUBCATEGORIES_FLAT = [s for group in SUBCATEGORIES.values() for s in group]


def _flat(category: Ints, spread: Floats) -> Ints:
    size = np.array([len(SUBCATEGORIES[c]) for c in CATEGORIES])
    start = np.r_[0, np.cumsum(size)[:-1]]
    return np.asarray(start[category] + (spread * size[category]).astype(np.int64))


def _categories(month: Ints, rng: np.random.Generator) -> Ints:
    draw = rng.random(len(month))
    category = np.empty(len(month), dtype=np.int64)
    for m in range(1, 13):
        share = np.array(
            [s * SEASON.get(c, (1.0,) * 12)[m - 1] for c, s in zip(CATEGORIES, SHARE, strict=True)]
        )
        own = month == m
        category[own] = np.searchsorted(np.cumsum(share / share.sum())[:-1], draw[own], side="right")
    return category


def case_state(life: Columns, at: Times) -> Columns:
    """Cases as they were known at `at`: later events unknown, the status that follows from the known ones."""
    times = {
        name: known(life[name], at)
        for name in (
            "reported_at",
            "filed_at",
            "dispatched_at",
            "suspended_from",
            "suspended_to",
            "resolved_at",
            "closed_at",
            "cancelled_at",
            "_extended_at",
            "_refused_at",
        )
    }
    has = {name: ~np.isnat(values) for name, values in times.items()}
    sent_back = (life["returned"] > 0) & has["dispatched_at"] & (later(life["dispatched_at"], 6) <= at)
    redone = (life["reworked"] > 0) & has["resolved_at"] & (later(life["resolved_at"], 1 / 6) <= at)
    redone |= (life["reworked"] > 0) & has["closed_at"]
    status = np.full(len(at), "reported", dtype=object)
    for mask, word in (
        (has["filed_at"], "filed"),
        (has["dispatched_at"], "dispatched"),
        (has["dispatched_at"] & (later(life["dispatched_at"], 1) <= at), "signed"),
        (has["dispatched_at"] & (later(life["dispatched_at"], 3) <= at), "handling"),
        (sent_back & (later(life["dispatched_at"], 18) > at), "returned"),
        (has["_extended_at"], "extended"),
        (has["suspended_from"] & ~has["suspended_to"], "suspended"),
        (has["resolved_at"], "resolved"),
        (redone, "rework"),
        (has["_refused_at"], "not_accepted"),
        (has["closed_at"], "closed"),
        (has["cancelled_at"], "cancelled"),
    ):
        status[mask] = word
    newest = latest([times["reported_at"], *(v for name, v in times.items() if name != "reported_at")])
    typed = newest + life["_typing"].astype("timedelta64[s]")
    return {
        **{name: life[name] for name in ("case_id", "place", "category", "subcategory", "channel", "unit")},
        "status": status,
        "matter_key": life["matter_key"],
        "_text": life["_text"],
        **{name: times[name] for name in ("reported_at", "filed_at", "dispatched_at")},
        "due_at": np.where(has["filed_at"], life["due_at"], UNKNOWN),
        "extended_due_at": np.where(has["_extended_at"], life["extended_due_at"], UNKNOWN),
        **{name: times[name] for name in ("suspended_from", "suspended_to", "resolved_at", "closed_at")},
        "closed_tier": np.where(has["closed_at"], life["_tier"], ""),
        "cancelled_at": times["cancelled_at"],
        "returned": np.where(sent_back, life["returned"], 0),
        "reworked": np.where(redone, life["reworked"], 0),
        "updated_at": minute(np.minimum(typed, at)),
    }
