"""What further happened to cases, petitions, visits and ratings: signing, verification, whistles, call-backs, redoing.

Drawn from streams of their own, so that what happened before does not move.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.demo.days import UNKNOWN, Times, later, minute, stream
from pipelines.demo.table import Column, Columns, Life, known, texts

YES, NO = "是", "否"


def _bool(values: Column, where: Column) -> Column:
    """是 or 否 where it is known, else nothing."""
    out = np.full(len(values), "", dtype=object)
    out[where & values] = YES
    out[where & ~values] = NO
    return out


def with_courses(cases: Life, quality: Column, seed: int) -> Life:
    """Cases with signing, verification, whistles, supervision and the hotline's call-backs. `quality`: per case."""
    rng = stream(seed, "case courses")
    columns, n = cases.columns, len(cases)
    hotline = columns["channel"] == "hotline"
    grid_side = np.isin(columns["channel"], ["grid_worker", "patrol", "visit"])
    dispatched, closed, resolved = columns["dispatched_at"], columns["closed_at"], columns["resolved_at"]
    signed = minute(
        later(
            dispatched,
            np.where(
                rng.random(n) < 0.955 + 0.01 * quality, rng.gamma(1.4, 2.6, n), rng.uniform(24.2, 60, n)
            ),
        )
    )
    signed = np.where(signed < closed, signed, np.where(np.isnat(closed), signed, dispatched))
    checked = ~np.isnat(closed) & (rng.random(n) < 0.62)
    verified = np.where(checked, minute(later(closed, -(rng.uniform(0.0, 0.6, n)))), UNKNOWN)
    verified = np.where(verified < resolved, resolved, verified)
    verified = np.where(np.isnat(resolved), UNKNOWN, verified)
    whistled = np.where(
        ~np.isnat(dispatched) & grid_side & (rng.random(n) < 0.03),
        minute(later(dispatched, rng.uniform(0.1, 1.5, n))),
        UNKNOWN,
    )
    limit = columns["due_at"]
    watched = np.where(
        ~np.isnat(limit) & (np.isnat(closed) | (closed > limit)) & (rng.random(n) < 0.16),
        minute(later(limit, rng.uniform(1, 40, n))),
        UNKNOWN,
    )
    watched = np.where(closed <= watched, UNKNOWN, watched)
    ended = ~np.isnat(closed)
    called = np.where(
        hotline & ended & (rng.random(n) < 0.88), minute(later(closed, rng.gamma(2.0, 20.0, n) + 1)), UNKNOWN
    )
    content = rng.random(n)
    solved = content < 0.905 + 0.02 * quality
    mood = np.where(
        solved,
        np.where(rng.random(n) < 0.8, "satisfied", "basically"),
        np.where(rng.random(n) < 0.3, "basically", "dissatisfied"),
    )
    extra: Columns = {
        "team": np.where(grid_side, np.char.add(columns["unit"].astype(str), "网格组"), "").astype(object),
        "_judged_at": np.where(
            grid_side, minute(later(columns["reported_at"], rng.uniform(0.5, 30, n))), UNKNOWN
        ),
        "_valid": (rng.random(n) < 0.955) & ~np.isnat(columns["filed_at"]),
        "signed_at": signed,
        "_reason": texts(["wrong_unit", "unclear", "duplicate", "other"])[
            rng.choice(4, n, p=[0.55, 0.26, 0.08, 0.11])
        ],
        "verified_at": verified,
        "_passed": rng.random(n) < 0.965,
        "urged": (rng.random(n) < 0.03).astype(np.int64),
        "supervised_at": watched,
        "supervised_due_at": later(watched, rng.choice([48.0, 72.0, 120.0], n)),
        "_watched_done": rng.random(n) < 0.97,
        "whistled_at": whistled,
        "arrived_at": minute(later(whistled, rng.lognormal(-1.25, 0.45, n))),
        "followed_up_at": called,
        "_reached": rng.random(n) < 0.83,
        "_contacted": rng.random(n) < 0.978 + 0.004 * quality,
        "_solved": solved,
        "_mood": mood.astype(object),
    }
    before = cases.state

    def state(life: Columns, at: Times) -> Columns:
        out = before(life, at)
        updated = out.pop("updated_at")
        names = (
            "signed_at",
            "verified_at",
            "supervised_at",
            "whistled_at",
            "arrived_at",
            "followed_up_at",
            "_judged_at",
        )
        times = {name: known(life[name], at) for name in names}
        done = np.where(life["_watched_done"], known(life["closed_at"], at), UNKNOWN)
        newest = np.fmax(np.fmax(times["followed_up_at"], times["supervised_at"]), times["arrived_at"])
        judged, checked = ~np.isnat(times["_judged_at"]), ~np.isnat(times["verified_at"])
        called = ~np.isnat(times["followed_up_at"])
        valid = called & life["_reached"]
        return {
            **out,
            "team": life["team"],
            "valid": _bool(life["_valid"], judged),
            "signed_at": times["signed_at"],
            "return_reason": np.where(out["returned"] > 0, life["_reason"], ""),
            "verified_at": times["verified_at"],
            "verification": np.where(checked, np.where(life["_passed"], "passed", "failed"), ""),
            "urged": np.where(np.isnat(times["signed_at"]), 0, life["urged"]),
            "supervised_at": times["supervised_at"],
            "supervised_due_at": np.where(
                np.isnat(times["supervised_at"]), UNKNOWN, life["supervised_due_at"]
            ),
            "supervised_done_at": np.where(np.isnat(times["supervised_at"]), UNKNOWN, done),
            "whistled_at": times["whistled_at"],
            "arrived_at": times["arrived_at"],
            "followed_up_at": times["followed_up_at"],
            "follow_up_valid": _bool(life["_reached"], called),
            "contacted": _bool(life["_contacted"], valid),
            "solved": _bool(life["_solved"], valid),
            "satisfaction": np.where(valid, life["_mood"], ""),
            # A call-back is written down when it is made.
            "updated_at": minute(np.minimum(np.fmax(updated, newest), at)),
        }

    return replace(cases, columns=columns | extra, state=state)


def with_forwarding(petitions: Life, seed: int) -> Life:
    """Petitions with batches, windows, receptions, the department's forwarding and the day they were resolved."""
    rng = stream(seed, "petition courses")
    columns, n = petitions.columns, len(petitions)
    visit = np.isin(columns["channel"], ["visit", "group_visit"])
    closed = columns["closed_at"]
    received = columns["received_at"]
    forwarded = np.where(
        rng.random(n) < 0.012, later(columns["registered_at"], 24 * rng.uniform(15.2, 19, n)), received
    )
    extra: Columns = {
        "batches": visit.astype(np.int64),
        "service_window": np.where(
            visit,
            texts(["综合窗口", "劳动社保窗口", "国土住建窗口", "法律服务窗口"])[
                rng.choice(4, n, p=[0.5, 0.18, 0.2, 0.12])
            ],
            "",
        ),
        "reception_kind": np.where(
            visit & (rng.random(n) < 0.16),
            texts(["reception", "field_visit", "with_case", "lead"])[
                rng.choice(4, n, p=[0.6, 0.25, 0.1, 0.05])
            ],
            "",
        ),
        "forwarded_at": minute(forwarded),
        "resolved_at": np.where(rng.random(n) < 0.955, closed, UNKNOWN),
    }
    before = petitions.state

    def state(life: Columns, at: Times) -> Columns:
        out = before(life, at)
        updated = out.pop("updated_at")
        return {
            **out,
            **{name: life[name] for name in ("batches", "service_window", "reception_kind")},
            "forwarded_at": known(life["forwarded_at"], at),
            "resolved_at": known(life["resolved_at"], at),
            "updated_at": minute(np.minimum(np.fmax(updated, known(life["forwarded_at"], at)), at)),
        }

    return replace(petitions, columns=columns | extra, state=state)


def with_all_resolved(petitions: Life, villages: tuple[str, ...]) -> Life:
    """In these villages every first petition accepted is replied to, closed and resolved within its time limit."""
    if not villages:
        return petitions
    columns = petitions.columns
    own = np.array([code.startswith(villages) for code in columns["place"].tolist()], dtype=bool)
    accepted = columns["accepted_at"]
    own &= (columns["kind"] == "first") & ~np.isnat(accepted)
    limit = np.where(np.isnat(columns["extended_at"]), 60.0, 90.0) * 24
    late = own & ~(columns["closed_at"] <= later(accepted, limit))
    replied = np.where(late, minute(later(accepted, 0.8 * limit)), columns["replied_at"])
    closed = np.where(late, minute(later(replied, 24.0)), columns["closed_at"])
    resolved = np.where(own, closed, columns["resolved_at"])
    changed: Columns = {"replied_at": replied, "closed_at": closed, "resolved_at": resolved}
    return replace(petitions, columns=columns | changed)


def with_files(visits: Life, seed: int) -> Life:
    """Visits that refresh a household's file, and when the next one is due."""
    rng = stream(seed, "visit courses")
    columns, n = visits.columns, len(visits)
    fresh = (rng.random(n) < 0.94) & np.isin(columns["result"], ["normal", "need"])
    visited = columns["visited_at"]
    extra: Columns = {
        "file_refreshed": fresh.astype(np.int64),
        "next_due_at": later(
            (visited.astype("datetime64[M]") + 1).astype("datetime64[s]"),
            np.asarray(24.0 * rng.integers(0, 25, n), dtype=np.float64),
        ),
    }
    before = visits.state

    def state(life: Columns, at: Times) -> Columns:
        out = before(life, at)
        updated = out.pop("updated_at")
        return {
            **out,
            "file_refreshed": life["file_refreshed"],
            "next_due_at": life["next_due_at"],
            "updated_at": updated,
        }

    return replace(visits, columns=columns | extra, state=state)


def with_redoing(surveys: Life, seed: int) -> Life:
    """Ratings with the day on which a dissatisfied matter was handled again."""
    rng = stream(seed, "survey courses")
    columns, n = surveys.columns, len(surveys)
    bad = np.isin(columns["rating"], ["1", "2"])
    redone = np.where(
        bad & (rng.random(n) < 0.93),
        later(columns["answered_at"], 24 * rng.gamma(2.0, 6.0, n) + 24),
        UNKNOWN,
    )
    before = surveys.state

    def state(life: Columns, at: Times) -> Columns:
        out = before(life, at)
        updated = out.pop("updated_at")
        redone = known(life["redone_at"], at)
        return {**out, "redone_at": redone, "updated_at": np.minimum(np.fmax(updated, redone), at)}

    return replace(surveys, columns=columns | {"redone_at": redone}, state=state)
