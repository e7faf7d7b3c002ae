"""Small numbers under attack: whatever is asked, one by one and in any order, no small count can be worked out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attack import Atoms, Attacker
from tests.world import petition, world
from warehouse.catalogue import Measure, catalogue
from warehouse.period import Period
from warehouse.protection import Protection, Season, seasons
from warehouse.query import cells, protection_of, query
from warehouse.result import NoData, Suppressed, Value
from warehouse.scope import Place, Tree, tree_of
from warehouse.site import Site
from warehouse.text import Text
from warehouse.version import Version, current
from warehouse.viewer import Viewer

LAST = date(2026, 3, 20)
COUNT, RATE = catalogue().get("petitions_registered"), catalogue().get("repeat_petition_share")
ONE_NAME = Text(zh="", en="")


def tree(shape: Sequence[Sequence[int]]) -> Tree:
    """A county of townships, each with villages of so many grids."""
    places = {"K": Place("K", None, "county", ONE_NAME, None, None)}
    for i, villages in enumerate(shape):
        places[f"K{i}"] = Place(f"K{i}", "K", "township", ONE_NAME, None, None)
        for j, grids in enumerate(villages):
            village = f"K{i}v{j}"
            places[village] = Place(village, f"K{i}", "village", ONE_NAME, None, None)
            for k in range(grids):
                places[f"{village}g{k}"] = Place(f"{village}g{k}", village, "grid", ONE_NAME, None, None)
    return Tree(places, {})


class Table:
    """Random records as counts: side × place they are filed under × day × class, and the tables made of them."""

    def __init__(self, shape: Sequence[Sequence[int]], measure: Measure, seed: int, mean: float) -> None:
        self.tree, self.measure = tree(shape), measure
        self.first = date(2025, 10, 1)
        self.days = [self.first + timedelta(days=k) for k in range((LAST - self.first).days + 1)]
        self.codes = tuple(self.tree.places)
        self.classes = ("a", "b", "c", None)
        self.season_pairs = seasons(self.first, LAST)
        dice = np.random.default_rng(seed)
        sides = 2 if measure.kind == "rate" else 1
        weights = dice.gamma(0.5, 2.0, (sides, len(self.codes), 1, len(self.classes)))
        self.counts = dice.poisson(
            np.broadcast_to(weights * mean / 60, (sides, len(self.codes), len(self.days), len(self.classes)))
        ).astype(float)

    def protection(self, second: bool = True) -> Protection:
        made = Protection(self.tree, LAST, 5, lambda _: self.first, self.read)
        made.second = second
        return made

    def read(
        self, measures: Sequence[Measure], scope: str, level: str | None, windows: Sequence[Period],
        dimension: str | None,
    ) -> dict[tuple[int, int, str | None, str | None], tuple[float, float | None]]:  # fmt: skip
        out: dict[tuple[int, int, str | None, str | None], tuple[float, float | None]] = {}
        below = self.tree.below(scope)
        places = [p for p in below if self.tree.places[p].level == level] if level else [scope]
        for w, window in enumerate(windows):
            on = [k for k, day in enumerate(self.days) if window.start <= day <= window.end]
            for place in places:
                rows = [r for r, code in enumerate(self.codes) if code in self.tree.below(place)]
                found = self.counts[:, rows][:, :, on].sum(axis=(1, 2))
                for c, key in enumerate(self.classes) if dimension else [(slice(None), None)]:  # type: ignore[list-item]
                    sides = found[:, c].sum(axis=-1) if dimension is None else found[:, c]
                    if sides.sum():
                        out[0, w, place, key] = (sides[0], sides.sum() if len(sides) > 1 else None)
        return out

    def stretches(self, fine: bool) -> list[tuple[Season, int]]:
        return [(pair[fine], t) for pair in self.season_pairs for t in range(len(pair[fine].columns.spans))]

    def atoms(self, side: int, place: str, period: Period, key: object = ...) -> Atoms:
        """The counts a figure is made of, by side, place, smallest stretch of time, and class."""
        leaves = [leaf for pair in self.season_pairs for leaf in pair[0].leaves]
        on = [k for k, leaf in enumerate(leaves) if period.start <= leaf.start <= period.end]
        rows = [r for r, code in enumerate(self.codes) if code in self.tree.below(place)]
        keys = range(len(self.classes)) if key is ... else [self.classes.index(key)]  # type: ignore[arg-type]
        return frozenset(
            ((side * len(self.codes) + r) * len(leaves) + k) * len(self.classes) + c
            for r in rows
            for k in on
            for c in keys
        )

    def value(self, side: int, place: str, period: Period, key: object = ...) -> float:
        on = [k for k, day in enumerate(self.days) if period.start <= day <= period.end]
        rows = [r for r, code in enumerate(self.codes) if code in self.tree.below(place)]
        keys = list(range(len(self.classes))) if key is ... else [self.classes.index(key)]  # type: ignore[arg-type]
        return float(self.counts[side][rows][:, on][:, :, keys].sum())


def period_of(season: Season, column: int) -> Period:
    a, b = season.columns.spans[column]
    return Period(season.leaves[a].start, season.leaves[b - 1].end)


def recovered(table: Table, protection: Protection, by_class: bool = False, deep: bool = True) -> list[str]:
    """The small counts an attacker knows exactly, of all figures that can be asked of the table: on either side of a
    rate, and of both together."""
    attacker = Attacker(5)
    targets: dict[Atoms, str] = {}
    sides = range(table.counts.shape[0])
    for code in table.codes:
        fine = protection.fine(code)
        if fine and not deep:
            continue
        for season, column in table.stretches(fine):
            period = period_of(season, column)
            for key in (..., *(table.classes if by_class and not fine else ())):
                state = (
                    protection.state(table.measure, code, season, column)
                    if key is ...
                    else protection.class_state(
                        table.measure, "channel", code, season, column, cast("str | None", key)
                    )
                )
                if state is None:
                    continue
                both: Atoms = frozenset()
                for side in sides:
                    atoms, value = table.atoms(side, code, period, key), table.value(side, code, period, key)
                    both |= atoms
                    if state == "":
                        attacker.learn(atoms, value)
                    elif state == "named" and 0 < value < 5:
                        attacker.named.add(atoms)
                    if 0 < value < 5:
                        assert state != "", f"{code} {period} {key}: {value} is told"
                        targets[atoms] = f"{code} {period} {key}: {value:g}"
                total = sum(table.value(side, code, period, key) for side in sides)
                if 0 < total < 5:
                    assert state != "", f"{code} {period} {key}: {total} is told"
                    targets[both] = f"{code} {period} {key}: {total:g} in all"
    found = attacker.spreads(list(targets)) if targets else []
    return [text for text, spread in zip(targets.values(), found, strict=True) if spread < 1 - 1e-6]


shapes = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3), min_size=1, max_size=3)
few = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@few
@given(shapes, st.sampled_from([COUNT, RATE]), st.integers(0, 10**6), st.sampled_from([0.3, 1.0, 3.0]))
def test_no_small_count_of_any_place_and_time_can_be_worked_out(
    shape: list[list[int]], measure: Measure, seed: int, mean: float
) -> None:
    table = Table(shape, measure, seed, mean)
    assert recovered(table, table.protection()) == []


@few
@given(shapes, st.sampled_from([COUNT, RATE]), st.integers(0, 10**6), st.sampled_from([1.0, 3.0, 9.0]))
def test_no_small_count_of_a_class_can_be_worked_out(
    shape: list[list[int]], measure: Measure, seed: int, mean: float
) -> None:
    table = Table(shape, measure, seed, mean)
    assert recovered(table, table.protection(), by_class=True, deep=False) == []


@pytest.mark.parametrize("by_class", [False, True])
def test_the_attack_finds_what_hiding_small_counts_alone_would_leave(by_class: bool) -> None:
    table = Table([[1, 2], [2], [1, 1]], COUNT, 7, 3.0)
    assert recovered(table, table.protection(second=False), by_class, deep=not by_class) != []


# --- the same of published versions, through the only door there is -----------------------------------------


def stretches_of(version: Version, home: str, measure: Measure, fine: bool) -> list[Period]:
    """Everything the product may tell of a measure, and sums of it: months, quarters, halves, years, all of it."""
    first = min(m.start for m in _months(version))
    months = list(_months(version))
    runs = [
        Period(a.start, b.end) for k, a in enumerate(months) for b in months[k : k + 12 : 3 if fine else 1]
    ]
    years = [pair[fine] for pair in seasons(first, version.cutoff.date())]
    own = [period_of(season, t) for season in years for t in range(len(season.columns.spans))]
    return list(dict.fromkeys([*runs, *own, Period(first, version.cutoff.date())]))


def _months(version: Version) -> tuple[Period, ...]:
    last = version.cutoff.date()
    return Period(date(last.year - 1, 1, 1), last).months()


def attack(
    version: Version, home: str, name: str, levels: Sequence[str], every: int
) -> tuple[list[str], int]:
    """The small counts of a measure that can be worked out, and how many were tried, one in `every`."""
    measure, known = catalogue().get(name), tree_of(version)
    scope = known.scope(home)
    places = [home, *(p.code for level in levels for p in known.at_level(scope, level))]  # type: ignore[arg-type]
    leaves = [
        leaf for pair in seasons(_months(version)[0].start, version.cutoff.date()) for leaf in pair[0].leaves
    ]
    # A place's own part of what is filed in it: all that lies under none of the places below it.
    number = {code: r for r, code in enumerate(places)}
    inside = {code: [number[p] for p in places if p in known.below(code)] for code in places}
    bad, tried = [], 0
    sides = 1 if measure.kind == "count" else 2
    facts: list[tuple[str, Period, Any, Any]] = []
    for by in (None, *levels):
        windows = stretches_of(version, home, measure, by not in (None, "township"))
        told = query(version, Viewer(home), [name], home, windows, by=by)
        truth = cells(version, home, [name], windows, by=by)
        facts += [(a.place, a.period, a.result, b.result) for a, b in zip(told, truth, strict=True)]
    for side in range(sides):
        attacker, targets = Attacker(5), {}
        for code, period, told_, true in facts:
            value = 0.0
            if isinstance(true, Value):
                value = float((true.n or 0) if side == 0 else (true.d or 0) - (true.n or 0))
            on = [k for k, leaf in enumerate(leaves) if period.start <= leaf.start <= period.end]
            atoms = frozenset(r * len(leaves) + k for r in inside[code] for k in on)
            if isinstance(told_, Value | NoData):
                attacker.learn(atoms, value)
                assert not 0 < value < 5, f"{name} {code} {period}: {value} is told"
            elif 0 < value < 5:
                if isinstance(told_, Suppressed) and not told_.second:
                    attacker.named.add(atoms)
                targets[atoms] = f"{name} {code} {period}: {value}"
        some = list(targets)[::every]
        tried += len(some)
        for atoms, spread in zip(some, attacker.spreads(some), strict=True):
            if spread < 1 - 1e-6:
                bad.append(targets[atoms])
    return bad, tried


def additive() -> list[str]:
    """The protected measures whose counts add up over places and months."""
    return [n for n, m in catalogue().measures.items() if m.protected and m.cls in ("additive", "keyed")]


def test_no_small_count_of_the_demo_can_be_worked_out(small_site: Site) -> None:
    version, tried = current(small_site), 0
    for name in additive():
        bad, some = attack(version, small_site.home, name, ["township"], 16)
        assert bad == []
        tried += some
    bad, some = attack(version, small_site.home, "petitions_registered", ["township", "village"], 150)
    assert bad == []
    assert tried + some > 150


def test_the_attack_on_the_demo_finds_what_rule_three_hides(
    small_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = current(small_site)
    protection_of(version)
    alone = Protection(
        tree_of(version),
        version.cutoff.date(),
        5,
        protection_of(version)._first,
        protection_of(version)._read,
    )
    alone.second = False
    monkeypatch.setattr("warehouse.query.protection_of", lambda _: alone)
    bad, _ = attack(version, small_site.home, "petitions_registered", ["township"], 1)
    assert bad != []


def test_what_is_hidden_does_not_depend_on_what_is_asked_first() -> None:
    dice = np.random.default_rng(3)
    rows = [
        petition(k, f"K{place}", datetime(2026, 1, 1) + timedelta(days=int(day)), channel=str(channel))
        for k, (place, day, channel) in enumerate(
            zip(
                dice.choice(["1a1", "1a2", "1b1", "2a1"], 60),
                dice.integers(0, 78, 60),
                dice.choice(["letter", "visit", "phone"], 60),
                strict=True,
            )
        )
    ]
    names = ["petitions_registered", "repeat_petition_share"]
    year = Period(date(2026, 1, 1), date(2026, 12, 31))
    asked: list[tuple[str, str | None, str | None]] = [
        ("K", None, None), ("K", "month", None), ("K", "village", "month"), ("K1", "child", None),
        ("G", "month", None), ("K1", "channel", None), ("K", "channel", "month"), ("K1a", "grid", None),
    ]  # fmt: skip
    orders = [asked, asked[::-1]]
    found = []
    for order in orders:
        version = world({"petitions": rows}, datetime(2026, 3, 20, 12))
        found.append(
            {q: query(version, Viewer("K"), names, q[0], [year], by=q[1], then_by=q[2]) for q in order}
        )
    assert found[0] == found[1]
    # A place asked alone answers as it does among the others.
    version = world({"petitions": rows}, datetime(2026, 3, 20, 12))
    for cell in found[0]["K", "village", "month"]:
        assert query(version, Viewer("K"), [cell.measure], cell.place, [cell.period])[0].result == cell.result
