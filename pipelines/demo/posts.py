"""Posts and teams of a place, and its key sites with the patrols that guard them by day and night.

Calibrated to what Dong'an published: one auxiliary-police post in each of 344 villages, 890 responders of the
15-minute circle, 50 political-legal "five elders", more than 400 volunteer drivers and couriers. What the other
places published stands in their plans.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.demo.cases import Character
from pipelines.demo.days import UNKNOWN, Ints, Times, Window, later, minute, serials, stream
from pipelines.demo.ground import Ground
from pipelines.demo.micro import MicroGrids
from pipelines.demo.plans import DONGAN, Squad
from pipelines.demo.residents import published
from pipelines.demo.table import Column, Columns, Life, drawn, join, known, take, texts

RESPONDERS, ELDERS, DRIVERS = 890, 50, 412
"""Published: 890, 50, "more than 400"."""
SMALL_SITES = 2
Flags = NDArray[np.bool_]
LISTED = np.datetime64("2024-01-01T00:00:00", "s")


def shared(total: int, weight: np.ndarray, rng: np.random.Generator) -> Ints:
    """A total shared out in whole numbers, each at least one."""
    own = np.ones(len(weight), dtype=np.int64)
    return own + np.bincount(
        rng.choice(len(weight), total - len(weight), p=weight / weight.sum()), minlength=len(weight)
    )


def make_posts(ground: Ground, micro: MicroGrids, nature: Character, window: Window, seed: int) -> Life:
    """A grid worker's post in every grid, teams in townships and villages; in Dong'an an auxiliary's in every village."""
    rng = stream(seed, "posts")
    towns, villages, grids = len(ground.townships), len(ground.villages), len(ground.grid_code)
    town = texts([t.code for t in ground.townships])
    village = texts([v.code for v in ground.villages])
    grid = texts(ground.grid_code)
    rows: list[Columns] = []

    def add(place: np.ndarray, kind: str, form: str, headcount: Ints, filled: Ints) -> None:
        n = len(place)
        rows.append(
            {
                "place": place,
                "kind": np.full(n, kind, dtype=object),
                "form": np.full(n, form, dtype=object),
                "headcount": headcount.astype(np.int64),
                "filled": filled.astype(np.int64),
            }
        )

    one = np.ones(grids, dtype=np.int64)
    level = np.clip(0.982 + 0.006 * nature.quality[ground.grid_township], 0.93, 0.998)
    add(grid, "grid_worker", "post", one, (rng.random(grids) < level).astype(np.int64))
    if ground.plan is DONGAN:
        part = np.sort(rng.choice(grids, max(1, grids // 9), replace=False))
        add(grid[part], "grid_part_time", "post", one[: len(part)], one[: len(part)])
        full = np.ones(villages, dtype=np.int64)
        add(village, "auxiliary", "post", full, full)
        people = np.bincount(ground.village_of, weights=ground.households, minlength=villages)
        members = 2 + rng.poisson(people / 26)
        add(village, "party_member", "team", members, members)
        weight = np.bincount(ground.township_of, minlength=towns).astype(np.float64)
        for kind, total in (
            ("responder", RESPONDERS),
            ("volunteer_driver", DRIVERS),
            ("five_elders", ELDERS),
        ):
            number = shared(max(published(ground, total), towns), weight, rng)
            add(town, kind, "team", number, number)
        mediators = 3 + rng.integers(0, 4, villages)
        add(village, "mediator", "team", mediators, mediators)
    for squad in ground.plan.squads:
        number = shared(squad.people, np.ones(squad.rows), rng)
        add(_spread(ground, squad), squad.kind, squad.form, number, number)
    if micro.since is not None:
        informed = np.ones(len(micro), dtype=np.int64)
        add(texts(micro.codes), "micro_grid", "post", informed, informed)
    patrol = 8 + rng.integers(0, 9, towns)
    add(town, "patrol", "team", patrol, patrol - (rng.random(towns) < 0.3))
    columns = join(rows)
    n = len(columns["place"])
    # Posts are older than the window, but no older than the grids (2023); a few changed hands, a few were given up.
    began = LISTED - (rng.integers(0, 360, n) * 86_400).astype("timedelta64[s]")
    if micro.since is not None:
        began[columns["kind"] == "micro_grid"] = np.datetime64(micro.since, "s")
    span = len(window.days)
    replaced = later(window.days[rng.integers(0, span, n)].astype("datetime64[s]"), 9.0)
    changed = (
        (columns["form"] == "post")
        & (columns["kind"] != "auxiliary")
        & (rng.random(n) < 0.06)
        & (columns["filled"] > 0)
    )
    ended = window.days[rng.integers(0, span, n)].astype("datetime64[s]") + np.timedelta64(17, "h")
    gone = (columns["kind"] == "grid_part_time") & (rng.random(n) < 0.12)
    if ground.plan.replaced is not None:
        changed, replaced = _replaced(columns["kind"] == "grid_worker", window, ground.plan.replaced, rng)
    columns = {
        "post_id": np.array([f"GW{i:05d}" for i in range(1, n + 1)], dtype=object),
        **columns,
        "from_at": began,
        "to_at": np.where(gone, ended, UNKNOWN),
        "replaced_at": np.where(changed & ~gone, replaced, UNKNOWN),
        "_typing": rng.integers(3600, 9 * 86_400, n),
    }
    return Life("posts", "post_id", "from_at", take(columns, np.argsort(began, kind="stable")), post_state)


def _spread(ground: Ground, squad: Squad) -> Column:
    """The village of each row of a squad: all of them in turn; mediation rooms stand in villages, not communities."""
    own = [v for v in ground.villages if v.code.startswith(squad.at)]
    if squad.kind == "mediation_room":
        own = [v for v in own if v.zh.endswith("村")]
    return texts(
        [
            own[i * len(own) // squad.rows if squad.rows < len(own) else i % len(own)].code
            for i in range(squad.rows)
        ]
    )


def _replaced(workers: Flags, window: Window, count: int, rng: np.random.Generator) -> tuple[Flags, Times]:
    """Exactly so many posts replaced in the last two complete years, and when; none at other times."""
    first, last = np.datetime64(f"{window.last_year - 1}-01-01"), np.datetime64(f"{window.last_year}-12-31")
    chosen = rng.choice(np.flatnonzero(workers), count, replace=False)
    changed = np.zeros(len(workers), dtype=bool)
    changed[chosen] = True
    day = first + rng.integers(0, int((last - first).astype(np.int64)) + 1, len(workers))
    return changed, later(day.astype("datetime64[s]"), 9.0)


def post_state(life: Columns, at: Times) -> Columns:
    """Posts at `at`."""
    ended, replaced = known(life["to_at"], at), known(life["replaced_at"], at)
    newest = np.fmax(np.fmax(life["from_at"], ended), replaced)
    status = np.where(life["filled"] > 0, "filled", "vacant").astype(object)
    status[~np.isnat(ended)] = "left"
    return {
        **{name: values for name, values in life.items() if not name.startswith("_")},
        "to_at": ended,
        "replaced_at": replaced,
        "status": status,
        "updated_at": minute(np.minimum(newest + life["_typing"].astype("timedelta64[s]"), at)),
    }


def _sites(ground: Ground) -> Ints:
    """The grids the key sites lie in: of the first township, spread over its villages."""
    count = len(ground.plan.sites) if len(ground.grid_code) > 200 else SMALL_SITES
    own = np.flatnonzero(ground.grid_township == 0)
    return own[np.linspace(0, len(own) - 1, count).astype(np.int64)]


def _site_ids(ground: Ground, count: int) -> Column:
    return texts([f"ZD{ground.plan.tag}{i:03d}" for i in range(1, count + 1)])


def key_sites(ground: Ground) -> Columns:
    """The register of key sites."""
    grid = _sites(ground)
    n = len(grid)
    return {
        "site_id": _site_ids(ground, n),
        "place": texts(ground.grid_code)[grid],
        "name": texts([name for name, _ in ground.plan.sites[:n]]),
        "kind": texts([kind for _, kind in ground.plan.sites[:n]]),
        "listed_at": np.full(n, LISTED),
        "removed_at": np.full(n, UNKNOWN),
        "updated_at": np.full(n, LISTED),
    }


def with_guards(patrols: Life, ground: Ground, window: Window, seed: int) -> Life:
    """The patrols and, beside them, a watch of twenty-four hours at every key site each day, nearly all carried
    out."""
    rng = stream(seed, "guards")
    grid = _sites(ground)
    spots, days = len(grid), len(window.days)
    n = spots * days
    site = np.repeat(np.arange(spots), days)
    start = later(np.tile(window.days.astype("datetime64[s]"), spots), 8.0)
    end = later(start, 24.0)
    done = rng.random(n) < 0.97
    columns: Columns = {
        "patrol_id": np.full(n, "", dtype=object),
        "place": texts(ground.grid_code)[grid][site],
        "team_kind": drawn(["joint", "police", "auxiliary", "full_time"], [0.4, 0.2, 0.25, 0.15], n, rng),
        "shift": np.full(n, "all_day", dtype=object),
        "planned_start": start,
        "planned_end": end,
        "started_at": np.where(done, minute(later(start, rng.normal(0.0, 0.08, n))), UNKNOWN),
        "ended_at": np.where(done, minute(later(end, rng.normal(-0.02, 0.1, n))), UNKNOWN),
        "issues": np.where(done, rng.poisson(0.15, n), 0),
        "_typing": rng.integers(60, 3600, n),
        "site_id": _site_ids(ground, spots)[site],
    }
    order = np.argsort(start, kind="stable")
    columns = take(columns, order)
    columns["patrol_id"] = serials(columns["planned_start"], "ZB", 3)
    old = patrols.columns | {"site_id": np.full(len(patrols), "", dtype=object)}
    both = join([old, {name: columns[name] for name in old}])
    both = take(both, np.argsort(both["planned_start"], kind="stable"))
    return Life(patrols.dataset, patrols.key, patrols.born, both, patrols.state)
