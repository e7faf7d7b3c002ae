"""What is done for residents: disputes mediated, wishes fulfilled, practical things done, events, entries, receptions.

Calibrated to what Dong'an published for 1 January to 26 December: 7,865 practical things, 4,687 wishes fulfilled, and
by the political-legal "five elders" 317 disputes settled and 12 legal events.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from pipelines.demo.cases import Character
from pipelines.demo.days import (
    OFFICE,
    UNKNOWN,
    Floats,
    Ints,
    Times,
    Window,
    later,
    minute,
    moments,
    serials,
    stream,
)
from pipelines.demo.ground import Ground
from pipelines.demo.table import Columns, Life, drawn, known, latest, take, texts

SERVICES, WISHES, SETTLED, EVENTS = 7_865, 4_687, 317, 12
"""Published: practical things done, wishes fulfilled, disputes settled and legal events held by the five elders."""

WISH_WORDS = {
    "goods": ("一床过冬棉被", "一辆二手轮椅", "一口电饭煲"),
    "repair": ("修好漏雨的屋顶", "换掉老化的电线", "疏通堵住的下水道"),
    "care": ("有人陪着看一次病", "逢年过节有人说说话", "帮忙理一次发"),
    "study": ("一套新学期的文具", "周末有人辅导功课", "一盏护眼台灯"),
    "health": ("测一次血压血糖", "学会用电子医保卡", "请医生上门看看"),
    "job": ("在家门口找份活干", "学一门手艺", "帮忙卖掉自家的柑橘"),
    "facility": ("门口装一盏路灯", "晒谷坪铺平一点", "村口添一张长椅"),
    "other": ("拍一张全家福", "学会和外地的孩子视频"),
}
WISHES_OF = list(WISH_WORDS)


def published(ground: Ground, total: int) -> int:
    """A published total of Dong'an in proportion to this ground."""
    return round(total * ground.share)


def _inside(times: Times, window: Window) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    first, last = window.published
    return np.asarray(
        (times >= np.datetime64(first, "s")) & (times < np.datetime64(last, "s") + np.timedelta64(1, "D"))
    )


def _days(
    window: Window,
    busy: Floats,
    total: int,
    share: float,
    rng: np.random.Generator,
    within: tuple[date, date] | None = None,
) -> Ints:
    """Days (indices into `window.days`) for records: exactly `total` in the published window (or `within`), `share`
    of that pace in the rest."""
    first, last = (np.datetime64(day, "D") for day in within or window.published)
    inside = (window.days >= first) & (window.days <= last)
    pace = total / busy[inside].sum()
    own = rng.choice(np.flatnonzero(inside), total, p=busy[inside] / busy[inside].sum())
    rest = np.repeat(np.arange(len(busy)), rng.poisson(np.where(inside, 0.0, busy * pace * share)))
    return np.sort(np.concatenate([own, rest]))


def _grids(ground: Ground, nature: Character, count: int, rng: np.random.Generator) -> Ints:
    """Grids by households, more where the township is active."""
    weight = ground.households * np.exp(0.12 * nature.quality[ground.grid_township])
    return np.asarray(rng.choice(len(weight), count, p=weight / weight.sum()))


def make_services(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """Practical things done for residents; in the published window exactly as many as published."""
    rng = stream(seed, "services")
    busy = window.busy((1.25, 1.1, 1, 1, 1, 1.05, 1.05, 1, 1, 1, 1.05, 1.2), 0.75, 0.6, 0.8)
    day = _days(window, busy, published(ground, SERVICES), 0.5, rng)
    n = len(day)
    done = minute(moments(window.days[day], OFFICE, rng))
    columns: Columns = {
        "service_id": serials(done, "SS", 4),
        "place": texts(ground.grid_code)[_grids(ground, nature, n, rng)],
        "category": drawn(
            [
                "errand",
                "relief",
                "environment",
                "roads_water",
                "policy",
                "elderly",
                "health",
                "jobs",
                "education",
            ],
            [0.2, 0.14, 0.13, 0.11, 0.15, 0.12, 0.07, 0.04, 0.04],
            n,
            rng,
        ),
        "team": drawn(
            ["grid", "auxiliary", "party_member", "committee", "volunteer", "department"],
            [0.34, 0.2, 0.17, 0.16, 0.1, 0.03],
            n,
            rng,
        ),
        "done_at": done,
        "_typing": rng.integers(3600, 3 * 86_400, n),
    }
    return Life(
        "services", "service_id", "done_at", take(columns, np.argsort(done, kind="stable")), _typed("done_at")
    )


def make_wishes(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """Wishes from collection to fulfilment; in the published window exactly as many fulfilled as published."""
    rng = stream(seed, "wishes")
    total = published(ground, WISHES)
    busy = window.busy((1.3, 1.2, 1.05, 1, 0.95, 1, 0.95, 1, 1.05, 1, 1, 1.15), 0.8, 0.4, 0.6)
    day = _days(window, busy, round(total * 1.22), 0.55, rng)
    n = len(day)
    grid = _grids(ground, nature, n, rng)
    quality = nature.quality[ground.grid_township[grid]]
    collected = minute(moments(window.days[day], OFFICE, rng))
    claimed = minute(later(collected, 24 * rng.gamma(1.3, 2.6, n) + 0.5))
    claimed[rng.random(n) < 0.045] = UNKNOWN
    fulfilled = minute(later(claimed, 24 * rng.gamma(1.8, 8.5, n) * np.exp(-0.1 * quality) + 1))
    # The hardest are never fulfilled; in the published window exactly the published number is.
    hard = rng.random(n) * np.exp(0.1 * quality)
    fulfilled[(hard < 0.07) & (rng.random(n) < 0.9)] = UNKNOWN
    inside = np.flatnonzero(_inside(fulfilled, window) & (fulfilled <= window.cutoff))
    spare = inside[np.argsort(hard[inside], kind="stable")]
    if len(spare) > total:
        fulfilled[spare[: len(spare) - total]] = UNKNOWN
    elif len(spare) < total:
        # A few collected and claimed early enough are brought into the window.
        last = np.datetime64(window.published[1], "s")
        free = np.flatnonzero(
            ~_inside(fulfilled, window) & _inside(claimed, window) & (claimed < last - np.timedelta64(3, "D"))
        )
        chosen = free[: total - len(spare)]
        room = (last - claimed[chosen]).astype(np.int64) / 3600
        fulfilled[chosen] = minute(later(claimed[chosen], room * rng.uniform(0.2, 0.9, len(chosen))))
    kind = drawn(WISHES_OF, [0.21, 0.19, 0.17, 0.12, 0.12, 0.08, 0.08, 0.03], n, rng)
    pick = rng.random(n)
    columns: Columns = {
        "wish_id": serials(collected, "XY", 4),
        "place": texts(ground.grid_code)[grid],
        "kind": drawn(["wish", "visit", "wall", "mailbox"], [0.62, 0.2, 0.11, 0.07], n, rng),
        "category": kind,
        "title": texts(
            [
                WISH_WORDS[k][int(p * len(WISH_WORDS[k]))]
                for k, p in zip(kind.tolist(), pick.tolist(), strict=True)
            ]
        ),
        "_by": drawn(
            ["party_member", "volunteer", "committee", "department", "enterprise"],
            [0.38, 0.24, 0.18, 0.12, 0.08],
            n,
            rng,
        ),
        "collected_at": collected,
        "claimed_at": claimed,
        "fulfilled_at": fulfilled,
        "_withdrawn": rng.random(n) < 0.3,
        "_typing": rng.integers(60, 7200, n),
    }
    return Life(
        "wishes", "wish_id", "collected_at", take(columns, np.argsort(collected, kind="stable")), wish_state
    )


def wish_state(life: Columns, at: Times) -> Columns:
    """Wishes at `at`."""
    claimed, fulfilled = known(life["claimed_at"], at), known(life["fulfilled_at"], at)
    status = np.full(len(at), "collected", dtype=object)
    old = (at - life["collected_at"]).astype(np.int64) > 120 * 86_400
    status[~np.isnat(claimed)] = "claimed"
    status[old & np.isnat(fulfilled)] = "impossible"
    status[old & np.isnat(claimed) & life["_withdrawn"]] = "withdrawn"
    status[~np.isnat(fulfilled)] = "fulfilled"
    typed = latest([life["collected_at"], claimed, fulfilled]) + life["_typing"].astype("timedelta64[s]")
    return {
        **{name: life[name] for name in ("wish_id", "place", "kind", "category", "title")},
        "claimed_by": np.where(np.isnat(claimed), "", life["_by"]),
        "collected_at": life["collected_at"],
        "claimed_at": claimed,
        "fulfilled_at": fulfilled,
        "status": status,
        "updated_at": minute(np.minimum(typed, at)),
    }


CATEGORIES = [
    "neighbour",
    "family",
    "land",
    "homestead",
    "damages",
    "contract",
    "wages",
    "lending",
    "road",
    "water",
    "property",
    "labour",
    "consumer",
    "expropriation",
    "production",
    "school",
    "medical",
    "other",
]
SHARE = [
    0.2,
    0.17,
    0.13,
    0.09,
    0.08,
    0.06,
    0.05,
    0.05,
    0.04,
    0.03,
    0.03,
    0.02,
    0.01,
    0.01,
    0.01,
    0.01,
    0.005,
    0.025,
]
TIERS = ["neighbour", "village", "station", "township", "county"]


def make_disputes(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """Disputes with a row for each tier; the five elders settle exactly the published number in the window."""
    rng = stream(seed, "disputes")
    busy = window.busy((1.35, 1.4, 1, 0.95, 0.95, 0.95, 1, 0.95, 1, 1, 1, 1.2), 0.6, 0.5, 0.5)
    day = _days(window, busy, published(ground, 1_400), 0.95, rng)
    n = len(day)
    grid = _grids(ground, nature, n, rng)
    quality = nature.quality[ground.grid_township[grid]]
    first: Columns = {
        "dispute_id": np.array([f"JF{i:06d}" for i in range(n)], dtype=object),
        "place": texts(ground.grid_code)[grid],
        "category": drawn(CATEGORIES, SHARE, n, rng),
        "source": drawn(["inspection", "registered", "moved"], [0.55, 0.34, 0.11], n, rng),
        "risk": drawn(["low", "medium", "high"], [0.74, 0.21, 0.05], n, rng),
        "people": 2 + rng.poisson(0.6, n),
        "_quality": quality,
        "registered_at": minute(moments(window.days[day], OFFICE, rng)),
        "_tier": rng.choice(4, n, p=[0.16, 0.6, 0.08, 0.16]),
    }
    parts, now = [], first
    for _ in range(3):
        part = _mediated(now, rng)
        parts.append(part)
        back = np.flatnonzero(
            (part["_outcome"] == "failed") & (rng.random(len(part["place"])) < 0.78) & (part["_tier"] < 4)
        )
        now = {name: part[name][back] for name in first}
        now["_tier"] = now["_tier"] + 1
        now["registered_at"] = minute(
            later(part["concluded_at"][back], 24 * rng.gamma(1.4, 2.5, len(back)) + 2)
        )
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # The five elders: those they settle in the window are the published number, the rest of theirs are others'.
    elders = (
        (columns["_outcome"] == "agreed")
        & _inside(columns["concluded_at"], window)
        & (columns["concluded_at"] <= window.cutoff)
    )
    chosen = rng.permutation(np.flatnonzero(elders & np.isin(columns["_tier"], [1, 3])))[
        : published(ground, SETTLED)
    ]
    tried = rng.random(len(columns["place"])) < 0.12
    columns["team"] = np.where(tried & ~(elders), "five_elders", columns["team"])
    columns["team"][chosen] = "five_elders"
    if ground.plan.tiers is not None:
        own = [TIERS.index(tier) for tier in ground.plan.tiers]
        nearest = [next((t for t in own if t >= tier), own[-1]) for tier in range(len(TIERS))]
        columns["_tier"] = np.array(nearest)[columns["_tier"]]
    order = np.argsort(columns["registered_at"], kind="stable")
    columns = take(columns, order)
    columns["mediation_id"] = serials(columns["registered_at"], "TJ", 4)
    del columns["_quality"]
    return Life("disputes", "mediation_id", "registered_at", columns, dispute_state)


def _mediated(columns: Columns, rng: np.random.Generator) -> Columns:
    """One tier's mediation of disputes."""
    n = len(columns["place"])
    registered: Times = columns["registered_at"]
    height = columns["_tier"]
    chance = np.clip(
        np.where(height == 0, 0.66, np.where(height == 1, 0.86, 0.88)) + 0.03 * columns["_quality"], 0.4, 0.97
    )
    chance = chance - np.where(columns["risk"] == "high", 0.18, 0.0)
    outcome = np.where(
        rng.random(n) < chance, "agreed", drawn(["failed", "ended", "referred"], [0.78, 0.09, 0.13], n, rng)
    )
    concluded = minute(
        later(registered, 24 * rng.gamma(1.5, np.where(columns["risk"] == "high", 9.0, 4.2)) + 1)
    )
    term = rng.choice([0.0, 7.0, 15.0, 30.0, 60.0], n, p=[0.1, 0.25, 0.25, 0.3, 0.1])
    due = later(later(concluded, 24 * term).astype("datetime64[D]").astype("datetime64[s]"), 18.0)
    dated = (outcome == "agreed") & (rng.random(n) < 0.72) & (due > concluded)
    late = rng.random(n) < 0.06
    span = (due - concluded).astype(np.int64) / 3600
    fulfilled = minute(
        later(
            concluded,
            np.maximum(span, 1) * np.where(late, rng.uniform(1.05, 2.4, n), rng.uniform(0.05, 0.98, n)),
        )
    )
    fulfilled[~dated | (rng.random(n) < 0.03)] = UNKNOWN
    return {
        **columns,
        "kind": np.where(
            height == 2,
            "administrative",
            drawn(
                ["peoples", "sector", "lawyer", "judicial", "administrative"],
                [0.82, 0.06, 0.04, 0.03, 0.05],
                n,
                rng,
            ),
        ),
        "team": np.where(
            height == 2,
            "police",
            drawn(
                ["committee", "grid_worker", "squire", "women", "police"],
                [0.6, 0.18, 0.1, 0.07, 0.05],
                n,
                rng,
            ),
        ),
        "concluded_at": concluded,
        "agreement_due_at": np.where(dated, due, UNKNOWN),
        "fulfilled_at": fulfilled,
        "_outcome": outcome,
        "_typing": rng.integers(60, 7200, n),
    }


def dispute_state(life: Columns, at: Times) -> Columns:
    """Mediations at `at`."""
    concluded, fulfilled = known(life["concluded_at"], at), known(life["fulfilled_at"], at)
    over = ~np.isnat(concluded)
    agreed = over & (life["_outcome"] == "agreed")
    status = np.full(len(at), "registered", dtype=object)
    status[(at - life["registered_at"]).astype(np.int64) > 43_200] = "mediating"
    status[over] = "concluded"
    status[agreed & (life["agreement_due_at"] < at)] = "unfulfilled"
    status[~np.isnat(fulfilled)] = "fulfilled"
    typed = latest([life["registered_at"], concluded, fulfilled]) + life["_typing"].astype("timedelta64[s]")
    return {
        **{
            name: life[name] for name in ("mediation_id", "dispute_id", "place", "category", "source", "risk")
        },
        "tier": texts(TIERS)[life["_tier"]],
        **{name: life[name] for name in ("kind", "team", "people", "registered_at")},
        "concluded_at": concluded,
        "outcome": np.where(over, life["_outcome"], ""),
        "agreement_due_at": np.where(agreed, life["agreement_due_at"], UNKNOWN),
        "fulfilled_at": fulfilled,
        "status": status,
        "updated_at": minute(np.minimum(typed, at)),
    }


def make_outreach(ground: Ground, window: Window, seed: int) -> Life:
    """Training in every township each month, school lectures, campaigns, and the five elders' legal events."""
    rng = stream(seed, "outreach")
    towns = len(ground.townships)
    codes = texts([t.code for t in ground.townships])
    months = window.months.astype("datetime64[D]")
    rows: list[Columns] = []

    def add(
        place: np.ndarray, day: Times, kind: str, team: np.ndarray, partner: str, size: tuple[int, int]
    ) -> None:
        n = len(place)
        expected = rng.integers(size[0], size[1] + 1, n)
        rows.append(
            {
                "place": place,
                "kind": np.full(n, kind, dtype=object),
                "team": team,
                "partner": np.full(n, partner, dtype=object),
                "expected": expected,
                "attended": np.minimum(expected, rng.binomial(expected, 0.925)),
                "held_at": later(day.astype("datetime64[s]"), rng.choice([9.0, 9.5, 14.5, 15.0], n)),
            }
        )

    month = np.repeat(months, towns)
    n = len(month)
    add(
        np.tile(codes, len(months)),
        month + rng.integers(4, 24, n).astype("timedelta64[D]"),
        "training",
        np.full(n, "grid", dtype=object),
        "none",
        (40, 110),
    )
    n = max(4, round(130 * towns / 15))
    schooldays = window.days[np.isin(window.month_of_day, (3, 4, 5, 6, 9, 10, 11, 12)) & (window.weekday < 5)]
    add(
        codes[rng.integers(0, towns, n)],
        np.sort(rng.choice(schooldays, n)),
        "school",
        drawn(["police", "justice", "fire"], [0.5, 0.3, 0.2], n, rng),
        "school",
        (120, 900),
    )
    for kind, team, total in (("fraud", "police", 90), ("fire", "fire", 60), ("legal", "justice", 70)):
        n = max(3, round(total * towns / 15))
        add(
            codes[rng.integers(0, towns, n)],
            rng.choice(window.days, n),
            kind,
            np.full(n, team, dtype=object),
            "village",
            (30, 260),
        )
    n = published(ground, EVENTS)
    first, last = (np.datetime64(day, "D") for day in window.published)
    own = window.days[(window.days >= first) & (window.days <= last)]
    add(
        codes[rng.integers(0, towns, n)],
        rng.choice(own, n, replace=False),
        "legal",
        np.full(n, "five_elders", dtype=object),
        "village",
        (60, 240),
    )
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    columns = take(columns, np.argsort(columns["held_at"], kind="stable"))
    columns = {"event_id": serials(columns["held_at"], "HD", 3), **columns}
    columns["_typing"] = rng.integers(3600, 4 * 86_400, len(columns["place"]))
    return Life("outreach", "event_id", "held_at", columns, outreach_state)


def outreach_state(life: Columns, at: Times) -> Columns:
    """Events at `at`: those who came are counted from the list some days later."""
    out = _typed("held_at")(life, at)
    done = life["held_at"] + life["_typing"].astype("timedelta64[s]") <= at
    return out | {"attended": np.where(done, life["attended"], life["attended"] // 10 * 10)}


def make_entries(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """Entries on the information platform, and what the quarterly assessment of areas finds."""
    rng = stream(seed, "platform_entries")
    busy = window.busy((1,) * 12, 0.5, 0.3, 0.4)
    plan = ground.plan
    if plan.entries is None or plan.problems is None:
        day = _days(window, busy, published(ground, 800), 0.9, rng)
        assessment = None
    else:
        year = date(window.last_year, 1, 1), date(window.last_year, 12, 31)
        entries = _days(window, busy, plan.entries, 0.4, rng, year)
        findings = _days(window, busy, plan.problems, 0.9, rng, year)
        day = np.concatenate([entries, findings])
        assessment = np.arange(len(day)) >= len(entries)
    n = len(day)
    entered = minute(moments(window.days[day], OFFICE, rng))
    if assessment is None:
        assessment = rng.random(n) < 0.03
    found = assessment | (rng.random(n) < 0.05)
    noticed = minute(later(entered, -(rng.uniform(0.2, 30, n))))
    if plan.problems is not None:
        noticed = np.maximum(noticed, entered.astype("datetime64[Y]").astype("datetime64[s]"))
    columns: Columns = {
        "entry_id": serials(entered, "PT", 4),
        "place": texts(ground.grid_code)[_grids(ground, nature, n, rng)],
        "kind": np.where(assessment, "assessment", "entry").astype(object),
        "category": drawn(
            ["population", "housing", "safety", "environment", "service"],
            [0.34, 0.2, 0.2, 0.14, 0.12],
            n,
            rng,
        ),
        "entered_at": entered,
        "found_at": np.where(found, noticed, UNKNOWN),
        "_typing": rng.integers(60, 86_400, n),
    }
    return Life(
        "platform_entries",
        "entry_id",
        "entered_at",
        take(columns, np.argsort(entered, kind="stable")),
        _typed("entered_at"),
    )


def make_receptions(ground: Ground, window: Window, seed: int) -> Life:
    """Officials receive or visit residents in every township once or twice a month."""
    rng = stream(seed, "receptions")
    towns, months = len(ground.townships), len(window.months)
    count = 1 + (rng.random(towns * months) < 0.45)
    spot = np.repeat(np.arange(towns * months), count)
    n = len(spot)
    day = window.months.astype("datetime64[D]")[spot // towns] + rng.integers(1, 27, n)
    held = later(day.astype("datetime64[s]"), rng.choice([9.0, 9.5, 14.5, 15.0], n))
    matters = 1 + rng.poisson(2.4, n)
    columns: Columns = {
        "session_id": serials(held, "JF", 3),
        "place": texts([t.code for t in ground.townships])[spot % towns],
        "kind": drawn(["reception", "field_visit", "with_case", "lead"], [0.52, 0.3, 0.12, 0.06], n, rng),
        "tier": drawn(["township", "county"], [0.72, 0.28], n, rng),
        "matters": matters,
        "settled": rng.binomial(matters, 0.46),
        "held_at": held,
        "_typing": rng.integers(3600, 3 * 86_400, n),
    }
    return Life(
        "receptions", "session_id", "held_at", take(columns, np.argsort(held, kind="stable")), reception_state
    )


def reception_state(life: Columns, at: Times) -> Columns:
    """Sessions at `at`: what was settled is written down some days later."""
    out = _typed("held_at")(life, at)
    done = life["held_at"] + life["_typing"].astype("timedelta64[s]") <= at
    return out | {"settled": np.where(done, life["settled"], 0)}


class _typed:
    """The state of records that happen once: typed in some time after."""

    def __init__(self, born: str) -> None:
        self.born = born

    def __call__(self, life: Columns, at: Times) -> Columns:
        written = life[self.born] + life["_typing"].astype("timedelta64[s]")
        return {
            **{name: values for name, values in life.items() if not name.startswith("_")},
            "updated_at": minute(np.minimum(written, at)),
        }
