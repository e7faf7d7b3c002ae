"""What teams and grid workers do by plan or at an alarm: household visits, patrol shifts, emergency turn-outs."""

from __future__ import annotations

import numpy as np

from pipelines.demo.cases import Character
from pipelines.demo.days import (
    ALARMS,
    UNKNOWN,
    VISITING,
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
from pipelines.demo.table import Columns, Life, drawn, join, known, latest, take, texts

PATROLS_PER_DAY = 35_000 / 730 / 1326
ALARMS_PER_HOUSEHOLD_DAY = 2_500 / 730 / 168_174

COVERED = 0.962
DRIVE_DAYS = 95
ALARM_KINDS = ["fire", "traffic", "drowning", "security", "natural", "missing", "other"]
ALARM_SHARE = np.array([0.16, 0.27, 0.02, 0.30, 0.06, 0.07, 0.12])
ALARM_SEASON = {
    "fire": (1.7, 1.6, 1.2, 1.5, 0.7, 0.5, 0.6, 0.7, 0.9, 1.5, 1.3, 1.6),
    "drowning": (0.1, 0.1, 0.3, 0.6, 1.5, 2.6, 3.2, 2.8, 1.0, 0.3, 0.1, 0.1),
    "natural": (0.4, 0.4, 0.7, 1.6, 2.2, 2.8, 2.2, 1.2, 0.5, 0.3, 0.2, 0.3),
    "traffic": (1.2, 1.3, 0.9, 0.9, 1.0, 0.9, 0.9, 0.9, 1.0, 1.2, 0.9, 1.0),
}


def make_visits(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """One visit for nearly every duty household and month; a few households are visited twice, some nobody opens.

    At the end of the window a drive for the household files calls on most households once.
    """
    rng = stream(seed, "visits")
    grids, months = len(ground.grid_code), len(window.months)
    duty = np.repeat(np.arange(grids * months), np.tile(ground.to_visit, months))
    month, grid = duty // grids, duty % grids
    nth = np.arange(len(duty)) - np.searchsorted(duty, duty)
    household = (month * ground.to_visit[grid] + nth) % ground.households[grid] + 1
    level = np.clip(COVERED + 0.016 * nature.quality[ground.grid_township[grid]], 0.82, 0.99)
    festive = np.unique(window.days[window.spring_festival].astype("datetime64[M]"))
    level = level - np.where(np.isin(window.months[month], festive), 0.035, 0.0)
    rows = np.flatnonzero(rng.random(len(duty)) < level)
    twice = rng.choice(rows, len(rows) // 60, replace=False)
    rows = np.sort(np.concatenate([rows, twice]))
    n = len(rows)
    month, grid, household = month[rows], grid[rows], household[rows]
    first = window.months[month].astype("datetime64[D]")
    length = ((window.months[month] + 1).astype("datetime64[D]") - first).astype(np.int64)
    day = np.minimum((rng.random(n) * length).astype(np.int64), length - 1)
    rest = ((first + day).astype(np.int64) + 3) % 7 >= 5
    day = np.where(rest & (rng.random(n) < 0.6), (rng.random(n) * length).astype(np.int64), day)
    visited = moments(first + day, VISITING, rng)
    result = drawn(["normal", "need", "absent", "declined"], [0.883, 0.085, 0.022, 0.010], n, rng)
    noted = np.where(result == "need", rng.integers(1, 3, n), 0)
    solved = np.where(rng.random(n) < 0.93, noted, 0)
    keys = [f"H{ground.grid_code[g]}{h:03d}" for g, h in zip(grid.tolist(), household.tolist(), strict=True)]
    columns: Columns = {
        "visit_id": serials(visited, "ZF", 5),
        "place": texts(ground.grid_code)[grid],
        "household_key": texts(keys),
        "result": result,
        "needs_noted": noted,
        "needs_closed": solved,
        "visited_at": visited,
        "_solved_at": np.where(solved > 0, visited + hours(24 * rng.gamma(2.0, 4.5, n) + 1), UNKNOWN),
        "_typing": rng.integers(60, 14_400, n),
    }
    columns = join([columns, _file_drive(ground, nature, window, seed)])
    columns = take(columns, np.argsort(columns["visited_at"], kind="stable"))
    return Life("visits", "visit_id", "visited_at", columns, visit_state)


def _file_drive(ground: Ground, nature: Character, window: Window, seed: int) -> Columns:
    """Visits of the drive that renews the household files: four households in five in the last `DRIVE_DAYS`.

    The monthly duty is a few households a grid; without the drive one file in sixteen would be fresh.
    """
    rng = stream(seed, "file drive")
    grid = np.repeat(np.arange(len(ground.grid_code)), ground.households)
    household = np.arange(len(grid)) - np.searchsorted(grid, grid) + 1
    level = np.clip(0.8 + 0.06 * nature.quality[ground.grid_township[grid]], 0.6, 0.92)
    rows = np.flatnonzero(rng.random(len(grid)) < level)
    n = len(rows)
    grid, household = grid[rows], household[rows]
    visited = moments(window.days[-DRIVE_DAYS:][rng.integers(0, DRIVE_DAYS, n)], VISITING, rng)
    result = drawn(["normal", "need", "absent"], [0.955, 0.035, 0.01], n, rng)
    noted = np.where(result == "need", 1, 0)
    solved = np.where(rng.random(n) < 0.93, noted, 0)
    keys = [f"H{ground.grid_code[g]}{h:03d}" for g, h in zip(grid.tolist(), household.tolist(), strict=True)]
    return {
        "visit_id": serials(visited, "DA", 5),
        "place": texts(ground.grid_code)[grid],
        "household_key": texts(keys),
        "result": result,
        "needs_noted": noted,
        "needs_closed": solved,
        "visited_at": visited,
        "_solved_at": np.where(solved > 0, visited + hours(24 * rng.gamma(2.0, 4.5, n) + 1), UNKNOWN),
        "_typing": rng.integers(60, 14_400, n),
    }


def visit_state(life: Columns, at: Times) -> Columns:
    """Visits at `at`: needs are closed some days after they were noted."""
    solved = known(life["_solved_at"], at)
    typed = latest([life["visited_at"], solved]) + life["_typing"].astype("timedelta64[s]")
    return {
        **{name: values for name, values in life.items() if not name.startswith("_")},
        "needs_closed": np.where(np.isnat(solved), 0, life["needs_closed"]),
        "updated_at": np.minimum(typed, at),
    }


def make_patrols(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """About 35,000 planned shifts in the full county, 94 % carried out; more at weekends and on holidays."""
    rng = stream(seed, "patrols")
    busy = window.busy((1.1, 1.1, 1, 1, 1, 1.05, 1.08, 1.05, 1, 1.05, 1, 1.1), 1.12, 1.3, 1.2)
    busy = busy / busy.mean()
    grids = len(ground.grid_code)
    day = np.repeat(np.arange(len(busy)), rng.poisson(PATROLS_PER_DAY * ground.plan.pace * grids * busy))
    n = len(day)
    weight = np.ones(grids)
    weight[nature.hot] = 2.5
    grid = rng.choice(grids, n, p=weight / weight.sum())
    shift = drawn(["day", "night", "all_day"], [0.43, 0.54, 0.03], n, rng)
    hour = np.where(shift == "night", rng.choice([19, 20, 21, 22], n), rng.choice([8, 9, 14, 15], n))
    hour = np.where(shift == "all_day", 8, hour)
    start = later(window.days[day].astype("datetime64[s]"), hour.astype(np.float64))
    length = np.where(shift == "all_day", 12.0, rng.choice([2.0, 3.0, 4.0], n))
    end = later(start, length)
    level = np.clip(0.94 + 0.018 * nature.quality[ground.grid_township[grid]], 0.8, 0.99)
    done = rng.random(n) < level
    late = rng.normal(0.0, 0.12, n)
    started = np.where(done, minute(later(start, late)), UNKNOWN)
    ended = np.where(done, minute(later(end, rng.normal(-0.05, 0.15, n))), UNKNOWN)
    rate = np.where(np.isin(grid, np.append(nature.hot, nature.emerging)), 0.4, 0.11)
    columns: Columns = {
        "patrol_id": serials(start, "XL", 4),
        "place": texts(ground.grid_code)[grid],
        "team_kind": drawn(
            ["auxiliary", "volunteer", "police", "full_time", "joint", "enterprise"],
            [0.34, 0.27, 0.14, 0.13, 0.09, 0.03],
            n,
            rng,
        ),
        "shift": shift,
        "planned_start": start,
        "planned_end": end,
        "started_at": started,
        "ended_at": ended,
        "issues": np.where(done, rng.poisson(rate), 0),
        "_typing": rng.integers(60, 3600, n),
    }
    columns = take(columns, np.argsort(start, kind="stable"))
    return Life("patrols", "patrol_id", "planned_start", columns, patrol_state)


def patrol_state(life: Columns, at: Times) -> Columns:
    """Shifts at `at`: planned, begun or over; issues are written down when a shift is over."""
    started = known(life["started_at"], at)
    ended = np.where(np.isnat(started), UNKNOWN, known(life["ended_at"], at))
    planned = np.minimum(life["planned_start"] - np.timedelta64(12, "h"), at)
    typed = latest([planned, started, ended]) + life["_typing"].astype("timedelta64[s]")
    return {
        **{name: values for name, values in life.items() if not name.startswith("_")},
        "started_at": started,
        "ended_at": ended,
        "issues": np.where(np.isnat(ended), 0, life["issues"]),
        "updated_at": minute(np.minimum(typed, at)),
    }


def make_responses(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """About 2,500 alarms in the full county, 88 % reached within 15 minutes."""
    rng = stream(seed, "responses")
    busy = window.busy((1.05, 1.05, 0.95, 1, 1, 1.05, 1.08, 1.05, 0.95, 1, 0.95, 1.0), 1.1, 1.35, 1.3)
    busy = busy * np.where(window.tomb_sweeping, 1.5, 1.0)
    busy = busy / busy.mean()
    total = ALARMS_PER_HOUSEHOLD_DAY * ground.households.sum() * busy
    day = np.repeat(np.arange(len(busy)), rng.poisson(total))
    n = len(day)
    weight = ground.households * np.sqrt(nature.rate)
    grid = rng.choice(len(weight), n, p=weight / weight.sum())
    alarm = moments(window.days[day], ALARMS, rng)
    kind = texts(ALARM_KINDS)[_kinds(window.month_of_day[day], rng.random(n))]
    remote = rng.permutation(len(ground.villages)) % 5 == 0
    usual = np.where(remote[ground.village_of[grid]], 10.8, 8.5) * np.exp(
        -0.07 * nature.quality[ground.grid_township[grid]]
    )
    out = rng.uniform(0.4, 2.2, n)
    arrive = np.maximum(out + 0.8, usual * rng.lognormal(0.0, 0.42, n))
    control = arrive + np.where(kind == "fire", rng.gamma(6.0, 5.0, n), rng.gamma(3.0, 7.0, n)) + 2
    columns: Columns = {
        "response_id": serials(alarm, "JC", 3),
        "place": texts(ground.grid_code)[grid],
        "kind": kind,
        "alarm_at": alarm,
        "dispatched_at": alarm + hours(out / 60),
        "arrived_at": alarm + hours(arrive / 60),
        "controlled_at": alarm + hours(control / 60),
        "_typing": rng.integers(5, 1200, n),
    }
    never = rng.random(n) < 0.006
    for name in ("arrived_at", "controlled_at"):
        columns[name] = np.where(never, UNKNOWN, columns[name])
    columns = take(columns, np.argsort(alarm, kind="stable"))
    return Life("responses", "response_id", "alarm_at", columns, response_state)


def _kinds(month: Ints, draw: Floats) -> Ints:
    kind = np.empty(len(month), dtype=np.int64)
    for m in range(1, 13):
        season = np.array([ALARM_SEASON.get(k, (1.0,) * 12)[m - 1] for k in ALARM_KINDS])
        share = np.cumsum(ALARM_SHARE * season)
        own = month == m
        kind[own] = np.searchsorted(share[:-1] / share[-1], draw[own], side="right")
    return kind


def response_state(life: Columns, at: Times) -> Columns:
    """Turn-outs at `at`."""
    names = ("alarm_at", "dispatched_at", "arrived_at", "controlled_at")
    times = {name: known(life[name], at) for name in names}
    typed = latest([times[name] for name in names]) + life["_typing"].astype("timedelta64[s]")
    return {
        **{name: life[name] for name in ("response_id", "place", "kind")},
        **times,
        "updated_at": np.minimum(typed, at),
    }
