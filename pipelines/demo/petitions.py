"""Petitions of the demo with their clocks (15, 60 and 30 days), the repeats of a matter, and the ratings after closing."""

from __future__ import annotations

import numpy as np

from pipelines.demo.cases import Character
from pipelines.demo.days import OFFICE, UNKNOWN, Times, Window, hours, later, minute, moments, serials, stream
from pipelines.demo.ground import Ground
from pipelines.demo.plans import Plan
from pipelines.demo.table import Columns, Life, drawn, join, known, latest, take, texts

FIRSTS_PER_HOUSEHOLD_DAY = 6_000 / 730 / 168_174

CATEGORIES = [
    "rural",
    "land_water",
    "construction",
    "labour",
    "health",
    "education",
    "civil",
    "legal",
    "transport_energy",
    "economy",
    "other",
]
SHARE = [0.19, 0.17, 0.13, 0.12, 0.05, 0.05, 0.09, 0.07, 0.07, 0.03, 0.03]
UNIT = texts(
    [
        "农业农村局",
        "自然资源局",
        "住房和城乡建设局",
        "人力资源和社会保障局",
        "卫生健康局",
        "教育局",
        "民政局",
        "司法局",
        "交通运输局",
        "发展和改革局",
        "信访局",
    ]
)
CHANNELS = ["visit", "online", "phone", "letter", "group_visit", "video", "fax"]
CHANNEL_SHARE = [0.38, 0.33, 0.15, 0.09, 0.035, 0.01, 0.005]
ROUTES = ["petition", "statutory", "suggestion", "accusation"]
ROUTE_SHARE = [0.74, 0.13, 0.09, 0.04]
RATED_ROUTES = ["petition", "suggestion"]


def make_petitions(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """About 7,000 petitions in the full county over 24 months, one in seven a repeat."""
    rng = stream(seed, "petitions")
    busy = window.busy((1.05, 1.15, 1.2, 1.05, 1.0, 0.95, 0.95, 0.95, 1.0, 0.9, 1.0, 0.95), 0.25, 0.1, 0.15)
    busy = busy * np.where(window.weekday == 0, 1.35, 1.0)
    busy = busy / busy.mean()
    weight = np.asarray(ground.households * np.sqrt(nature.rate), dtype=np.float64)
    weight[nature.hot] *= 2.2
    if ground.plan.resolved:
        # Enough of them that a figure about them is no small number.
        own = np.isin([v.code for v in ground.villages], ground.plan.resolved)[ground.village_of]
        weight[own] *= 2.0
    total = FIRSTS_PER_HOUSEHOLD_DAY * ground.plan.petitions * ground.households.sum() * busy
    day = np.repeat(np.arange(len(busy)), rng.poisson(total))
    grid = rng.choice(len(weight), len(day), p=weight / weight.sum())
    village_code = texts([v.code for v in ground.villages])[ground.village_of[grid]]
    place = np.where(rng.random(len(day)) < 0.9, texts(ground.grid_code)[grid], village_code)
    town = ground.grid_township[grid]
    government = texts(ground.governments)[town]
    topic = rng.choice(len(CATEGORIES), len(day), p=np.array(SHARE) / np.sum(SHARE))
    firsts: Columns = {
        "place": place,
        "category": texts(CATEGORIES)[topic],
        "unit": np.where(rng.random(len(day)) < 0.45, government, ground.plan.office + UNIT[topic]),
        "kind": np.full(len(day), "first", dtype=object),
        "_town": town,
        "registered_at": minute(moments(window.days[day], OFFICE, rng)),
    }
    firsts = _handled(firsts, nature, rng)
    firsts["petition_id"] = serials(firsts["registered_at"], "XF", 4)
    firsts["matter_key"] = firsts["petition_id"]

    # A matter comes back soon (before it is settled, or within 90 days of it), or only much later.
    soon = rng.random(len(day)) < 0.085 - 0.012 * nature.quality[town]
    if ground.plan.one_time is not None:
        soon = _one_in(1 - ground.plan.one_time, firsts["closed_at"])
    late = ~soon & (rng.random(len(day)) < 0.055)
    end = np.where(
        np.isnat(firsts["closed_at"]),
        firsts["registered_at"] + hours(np.array(24.0 * 60)),
        firsts["closed_at"],
    )
    span = (end - firsts["registered_at"]).astype(np.int64) / 3600
    after = np.where(
        soon, 72 + rng.random(len(day)) * (span + 24 * 82), span + 24 * rng.uniform(92, 320, len(day))
    )
    parts, back = [firsts], np.flatnonzero(soon | late)
    came = firsts["registered_at"][back] + hours(after[back])
    for _ in range(2):
        repeat = take(firsts, back)
        repeat["kind"] = np.full(len(back), "repeat", dtype=object)
        office = moments(came.astype("datetime64[D]"), OFFICE, rng)
        repeat["registered_at"] = minute(np.maximum(office, repeat["registered_at"] + np.timedelta64(1, "h")))
        repeat = _handled(repeat, nature, rng)
        repeat["petition_id"] = np.full(len(back), "", dtype=object)
        parts.append(repeat)
        chosen = rng.random(len(back)) < 0.26
        back, came = back[chosen], came[chosen] + hours(24 * rng.uniform(12, 120, int(chosen.sum())))
    columns = join(parts)
    order = np.argsort(columns["registered_at"], kind="stable")
    columns = take(columns, order)
    again = columns["kind"] == "repeat"
    columns["petition_id"][again] = serials(columns["registered_at"][again], "XC", 4)
    return Life("petitions", "petition_id", "registered_at", columns, petition_state)


def _one_in(share: float, closed: Times) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Marks that share of the closed ones, evenly in the order of closing: it holds for however many are over."""
    order = np.argsort(closed, kind="stable")[: int((~np.isnat(closed)).sum())]
    step = np.floor(np.arange(1, len(order) + 1) * share)
    marked = np.zeros(len(closed), dtype=bool)
    marked[order] = np.diff(step, prepend=0.0) > 0
    return marked


def _handled(columns: Columns, nature: Character, rng: np.random.Generator) -> Columns:
    """The course of each petition from its registration on."""
    registered: Times = columns["registered_at"]
    n = len(registered)
    quality = nature.quality[columns["_town"]]
    route = drawn(ROUTES, ROUTE_SHARE, n, rng)
    channel = drawn(CHANNELS, CHANNEL_SHARE, n, rng)
    group = channel == "group_visit"
    quick = (rng.random(n) < 0.09) & ~group & (route == "petition")
    received = minute(registered + hours(np.where(quick, 0.2, rng.gamma(1.5, 18, n) + 0.5)))
    timely = rng.random(n) < np.clip(0.978 + 0.008 * quality, 0.9, 0.999)
    accepted = received + hours(
        np.where(timely, 24 * 14.5 * rng.beta(1.6, 2.4, n), 24 * rng.uniform(15.2, 24, n))
    )
    accepted = minute(np.where(quick, received + hours(np.array(0.3)), accepted))
    extended = (rng.random(n) < 0.045) & ~quick & (route == "petition")
    limit = np.where(extended, 90.0, 60.0)
    in_time = rng.random(n) < np.clip(0.962 + 0.014 * quality, 0.88, 0.997)
    share = np.where(in_time, rng.beta(2.2, 2.4, n) * 0.985, 1.02 + rng.exponential(0.15, n))
    share = np.where(extended & in_time, np.maximum(share, 0.68), share)
    replied = minute(accepted + hours(np.where(quick, rng.uniform(0.5, 3, n), 24 * limit * share)))
    closed = minute(replied + hours(np.where(quick, 0.2, rng.exponential(30, n))))
    extended_at = minute(accepted + hours(24 * rng.uniform(45, 59, n)))
    refused = (rng.random(n) < 0.012) & (route == "petition") & ~quick
    withdrawn = (rng.random(n) < 0.008) & ~quick & ~refused
    stop = minute(received + hours(24 * rng.uniform(2, 14, n)))
    stopped = refused | withdrawn
    for times in (accepted, replied, closed):
        times[stopped] = UNKNOWN
    extended_at[~extended | stopped] = UNKNOWN
    people = np.where(group, rng.integers(5, 31, n), 1 + (rng.random(n) < 0.1))
    return {
        **columns,
        "channel": channel,
        "route": route,
        "people": people,
        "received_at": received,
        "accepted_at": accepted,
        "extended_at": extended_at,
        "replied_at": replied,
        "closed_at": closed,
        "_stop_at": np.where(stopped, stop, UNKNOWN),
        "_refused": refused,
        "_typing": rng.integers(0, 7200, n),
    }


def petition_state(life: Columns, at: Times) -> Columns:
    """Petitions as they were known at `at`."""
    names = (
        "registered_at",
        "received_at",
        "accepted_at",
        "extended_at",
        "replied_at",
        "closed_at",
        "_stop_at",
    )
    times = {name: known(life[name], at) for name in names}
    has = {name: ~np.isnat(values) for name, values in times.items()}
    status = np.full(len(at), "registered", dtype=object)
    for mask, word in (
        (has["received_at"], "forwarded"),
        (has["accepted_at"], "accepted"),
        (has["accepted_at"] & (later(life["accepted_at"], 72) <= at), "handling"),
        (has["extended_at"], "extended"),
        (has["replied_at"], "replied"),
        (has["closed_at"], "closed"),
        (has["_stop_at"], "withdrawn"),
        (has["_stop_at"] & life["_refused"], "not_accepted"),
    ):
        status[mask] = word
    newest = latest([times[name] for name in names])
    typed = newest + life["_typing"].astype("timedelta64[s]")
    plain = ("petition_id", "place", "category", "channel", "kind", "route", "unit")
    return {
        **{name: life[name] for name in plain},
        "status": status,
        "people": life["people"],
        "matter_key": life["matter_key"],
        **{name: times[name] for name in names if not name.startswith("_")},
        "updated_at": minute(np.minimum(typed, at)),
    }


def make_surveys(petitions: Columns, plan: Plan, window: Window, seed: int) -> Life:
    """Ratings of closed first petitions: two bodies each, two in three rated, nine in ten of those satisfied; of the
    petition department exactly as published where the plan says so.

    `petitions`: the petitions as they are known now.
    """
    rng = stream(seed, "surveys")
    rated = (petitions["kind"] == "first") & ~np.isnat(petitions["closed_at"])
    rated &= np.isin(petitions["route"], RATED_ROUTES)
    rows = np.flatnonzero(rated)
    wait = rng.gamma(2.0, 84.0, len(rows))
    bodies: list[Columns] = []
    for body in ("department", "unit"):
        n = len(rows)
        closed = petitions["closed_at"][rows]
        answered = closed + hours(wait + rng.uniform(0, 2, n) + 2.0)
        answered = answered.astype("datetime64[D]").astype("datetime64[s]") + rng.integers(
            8 * 3600, 18 * 3600, n
        ).astype("timedelta64[s]")
        answered = np.where(answered < closed, answered + np.timedelta64(1, "D"), answered)
        quality = 0.90 if body == "unit" else 0.94
        score = np.where(
            rng.random(n) < quality,
            drawn(["5", "4", "3"], [0.5, 0.32, 0.18], n, rng),
            drawn(["2", "1"], [0.78, 0.22], n, rng),
        )
        silent = drawn(
            ["未评价", "逾期未评", "拒评", "无法联系", "未接通"], [0.4, 0.3, 0.06, 0.12, 0.12], n, rng
        )
        bodies.append(
            {
                "answer_id": np.full(n, "", dtype=object),
                "place": petitions["place"][rows],
                "subject": np.full(n, "petition", dtype=object),
                "subject_id": petitions["petition_id"][rows],
                "kind": petitions["kind"][rows],
                "rated_body": np.full(n, body, dtype=object),
                "rating": np.where(rng.random(n) < 0.655, score, silent),
                "closed_at": closed,
                "answered_at": answered,
                "_typing": rng.integers(60, 86_400, n),
            }
        )
    for back, share in enumerate(plan.satisfied or ()):
        _rate_exactly(bodies[0], window.last_year - back, share, window.cutoff, rng)
    columns = join(bodies)
    columns = take(columns, np.argsort(columns["answered_at"], kind="stable"))
    columns["answer_id"] = serials(columns["answered_at"], "HF", 4)
    return Life("surveys", "answer_id", "answered_at", columns, survey_state)


def _rate_exactly(
    answers: Columns, year: int, share: float, now: np.datetime64, rng: np.random.Generator
) -> None:
    """Of the answers on matters closed in a year as many are ratings, and as many of these satisfied, as make the
    share to four decimals; answers still to come are none."""
    closed = answers["closed_at"].astype("datetime64[Y]").astype(np.int64) + 1970 == year
    typed = answers["answered_at"] + answers["_typing"].astype("timedelta64[s]")
    rated = np.isin(answers["rating"], ["1", "2", "3", "4", "5"])
    own = rng.permutation(np.flatnonzero(closed & rated & (typed <= now)))
    count = next((n for n in range(len(own), 0, -1) if round(round(n * share) / n, 4) == share), len(own))
    good, bad = own[: round(count * share)], own[round(count * share) : count]
    answers["rating"][closed & rated] = "未评价"
    answers["rating"][good] = drawn(["5", "4", "3"], [0.5, 0.32, 0.18], len(good), rng)
    answers["rating"][bad] = drawn(["2", "1"], [0.78, 0.22], len(bad), rng)


def survey_state(life: Columns, at: Times) -> Columns:
    """Answers at `at`: typed in within a day; before that the rating stood as 'not rated'."""
    typed = life["answered_at"] + life["_typing"].astype("timedelta64[s]")
    done = typed <= at
    return {
        **{name: values for name, values in life.items() if not name.startswith("_")},
        "rating": np.where(done, life["rating"], "未评价"),
        "updated_at": np.where(done, typed, np.minimum(life["answered_at"], at)),
    }
