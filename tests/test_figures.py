"""Every figure of the product against the independent calculation of `oracle`, over the same files.

The walk is over the catalogue: a measure without an oracle fails. Where the two disagree, the message
lists the questions with both answers.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.load import load_once
from tests.oracle import (
    AS_OF,
    BY_TOWNSHIP,
    BY_VILLAGE,
    COUNTS,
    DATED,
    PER,
    PROTECTED,
    SIZED,
    Answer,
    Oracle,
    condition,
)
from warehouse.catalogue import catalogue
from warehouse.period import Period
from warehouse.query import cells, query
from warehouse.result import Cell, NotApplicable, Result, Suppressed, Value, status_of
from warehouse.site import Site, load_site
from warehouse.store import Store
from warehouse.version import Version, current
from warehouse.viewer import Viewer

PERIODS = (
    Period(date(2025, 1, 1), date(2025, 12, 31)),
    Period(date(2026, 3, 1), date(2026, 3, 31)),
    Period(date(2025, 11, 13), date(2026, 2, 5)),
    Period(date(2026, 6, 1), date(2026, 6, 30)),
)
"""A year, a month, an odd range of days, and the month that is not over."""
YEAR, MONTH, ODD, RUNNING = PERIODS
SAMPLE = (
    "county",
    "township 1",
    "township 2",
    *(f"village {i}" for i in range(1, 5)),
    *(f"grid {i}" for i in range(1, 8)),
)


@dataclass(frozen=True)
class World:
    """The small site: its published version, the independent calculation, and the places asked about."""

    site: Site
    version: Version
    oracle: Oracle
    sample: dict[str, str]

    def ask(
        self,
        measures: Sequence[str],
        scope: str,
        periods: Sequence[Period],
        by: str | None = None,
        **more: Any,
    ) -> list[Cell]:
        return query(self.version, Viewer(self.site.home), measures, scope, periods, by=by, **more)


@pytest.fixture(scope="session")
def world(small_site: Site) -> World:
    version = current(small_site)
    oracle = Oracle(small_site.folder, now=version.cutoff)
    return World(small_site, version, oracle, _sample(oracle, small_site.home))


def _sample(oracle: Oracle, home: str) -> dict[str, str]:
    """The county, its townships, villages and grids: the busiest (the hotspots), the first, the last, and the
    quietest, so that full and empty cells both occur."""
    cases: dict[str, int] = {}
    for row in oracle.records["cases"]:
        for code in oracle.lineage[row["place"]]:
            cases[code] = cases.get(code, 0) + 1

    def chosen(level: str, count: int) -> list[str]:
        codes = oracle.below_scope(home, level)
        busy = sorted(codes, key=lambda code: (-cases.get(code, 0), code))
        wanted = [*busy[: count - 3], codes[0], codes[-1], busy[-1], *busy]
        return list(dict.fromkeys(wanted))[:count]

    out = {"county": home}
    for level, count in (("township", 2), ("village", 4), ("grid", 7)):
        codes = oracle.below_scope(home, level) if level == "township" else chosen(level, count)
        out |= {f"{level} {number}": code for number, code in enumerate(codes[:count], start=1)}
    return out


def measures() -> list[str]:
    """Every measure of the catalogue, a quantile once per statistic; not that of place groups, of which these sites
    have no source."""
    out: list[str] = []
    for name, measure in catalogue().measures.items():
        if "place_groups" in catalogue().reads(measure.table):
            continue
        out += [f"{name}:{statistic}" for statistic in measure.statistics] or [name]
    return out


Key = tuple[str, str, Period, str | None]
"""A cell's name: measure, place, period, class."""


def equal(measure: str, found: float | None, wanted: float | None) -> bool:
    """Whole counts exactly, quotients to nine digits; patrol hours are kept to four decimals a shift."""
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted, rel_tol=1e-4 if measure in PER else 1e-9)


def differs(measure: str, result: Result, answer: Answer) -> bool:
    if answer.value is None or not isinstance(result, Value):
        return status_of(result) != "no_data" or answer.value is not None
    pairs = ((result.value, answer.value), (result.n, answer.n), (result.d, answer.d))
    return not all(equal(measure, found, wanted) for found, wanted in pairs)


def complain(faults: Iterable[str]) -> None:
    lines = list(faults)
    assert not lines, f"{len(lines)} figures differ:\n" + "\n".join(lines[:40])


def compare(found: Iterable[Cell], answers: Mapping[Key, Answer], by_class: bool = False) -> None:
    """Each cell, nothing hidden, equals its answer; none is missing and none is there twice.

    A class that has records (not stated is a class too), but none that count here, may be answered with zero.
    """
    faults: list[str] = []
    seen: set[Key] = set()
    for cell in found:
        key = (cell.measure, cell.place, cell.period, cell.key)
        if key in seen:
            faults.append(f"{key}: answered twice")
        seen.add(key)
        empty = Answer(0, 0) if cell.measure in COUNTS else Answer(None)
        answer = answers.get(key, empty if by_class else None)
        if answer is None:
            faults.append(f"{key}: {cell.result}, not expected at all")
        elif differs(cell.measure, cell.result, answer):
            faults.append(f"{key}: {cell.result}, expected {answer}")
    complain(
        [*faults, *(f"{key}: not answered, expected {answers[key]}" for key in answers if key not in seen)]
    )


def check_hidden(oracle: Oracle, shown: Iterable[Cell], answers: Mapping[Key, Answer]) -> None:
    """What is shown equals its answer, and what is small is not shown.

    Of people's matters more may be hidden, so that it cannot be worked out (see test_disclosure.py).
    """
    faults: list[str] = []
    for cell in shown:
        key = (cell.measure, cell.place, cell.period, cell.key)
        if key not in answers:
            continue
        answer, status = answers[key], status_of(cell.result)
        if oracle.too_fine(cell.measure, cell.place, cell.period.start, cell.period.end):
            wanted = "not_applicable"
        elif answer.value is None:
            wanted = "no_data"
        else:
            wanted = "suppressed" if oracle.suppressed(cell.measure, answer) else "value"
        more = status == "suppressed" and wanted in ("value", "no_data")
        more = more and cell.measure.partition(":")[0] in PROTECTED
        # Of classes below the county only years are told.
        more |= isinstance(cell.result, NotApplicable) and cell.result.otherwise and cell.key is not None
        if status != wanted and not more:
            faults.append(f"{key}: {cell.result}, expected {wanted} {answer}")
        elif status == "value" and differs(cell.measure, cell.result, answer):
            faults.append(f"{key}: {cell.result}, expected {answer}")
    complain(faults)


# --- the walk --------------------------------------------------------------------------------------------


def test_every_measure_of_the_catalogue_has_an_independent_definition() -> None:
    assert set(catalogue().measures) <= {*DATED, *AS_OF}


def test_the_measures_the_job_demands_are_in_the_catalogue() -> None:
    demanded = {
        "cases_reported", "dispatch_rate", "closing_rate", "on_time_closing_rate", "hours_to_close",
        "overdue_open_cases", "settled_in_village", "settled_in_township", "timely_acceptance_rate",
        "on_time_reply_rate", "one_time_resolution_rate", "repeat_petition_share", "rating_participation",
        "satisfaction_rate", "visit_coverage", "patrol_completion", "arrived_in_15_minutes",
        "minutes_to_arrive", "minutes_to_control", "meeting_item_completion", "meetings_held_rate",
        "items_on_time_rate", "overdue_items",
    }  # fmt: skip
    assert demanded <= set(catalogue().measures)


@pytest.mark.parametrize("name", sorted(catalogue().measures))
def test_kind_grain_and_protection_of_a_measure_are_those_written(name: str) -> None:
    measure = catalogue().measures[name]
    assert measure.kind == ("count" if name in COUNTS else "quantile" if name in SIZED else "rate")
    assert measure.protected == (name in PROTECTED)
    finest = "township" if name in BY_TOWNSHIP else "village" if name in BY_VILLAGE else "grid"
    assert measure.finest == finest


# --- the files -------------------------------------------------------------------------------------------


def test_the_demo_holds_honest_dirt(world: World) -> None:
    read = sum(account.read for account in world.oracle.accounts.values())
    bad = sum(account.quarantined for account in world.oracle.accounts.values())
    assert read > 10_000
    assert 0.003 < bad / read < 0.02


def test_every_source_accounts_for_the_same_records_and_reasons(world: World) -> None:
    loaded = {source.name: source for source in world.version.sources}
    faults: list[str] = []
    for name, account in world.oracle.accounts.items():
        if account.files == 0:
            continue
        source = loaded[name]
        assert source.read == source.kept + source.quarantined
        for what in ("files", "read", "kept", "quarantined"):
            if getattr(source, what) != getattr(account, what):
                faults.append(f"{name}: {what} {getattr(source, what)}, expected {getattr(account, what)}")
        if dict(source.reasons) != account.reasons:
            faults.append(f"{name}: {dict(source.reasons)}, expected {account.reasons}")
    complain(faults)


def test_the_current_records_are_the_same_after_corrections(world: World) -> None:
    """Every field of every record, but the pseudonyms (whose key is the site's secret)."""
    faults: list[str] = []
    for dataset, rows in world.oracle.records.items():
        if not rows:
            continue
        names = [name for name in rows[0] if name != "household_key"]
        key = names.index(world.version.datasets[dataset].key)
        stored = world.version.rows(f'select {", ".join(names)} from "{dataset}"')
        loaded = {row[key]: row for row in stored}
        wanted = {row[names[key]]: tuple(row[name] for name in names) for row in rows}
        if len(stored) != len(wanted):
            faults.append(f"{dataset}: {len(stored)} records, expected {len(wanted)}")
        faults += [
            f"{dataset}: {loaded.get(k)}, expected {row}" for k, row in wanted.items() if loaded.get(k) != row
        ]
    complain(faults)


# --- the figures -----------------------------------------------------------------------------------------


def names_for(spot: str) -> list[str]:
    """The measures that can be asked of a place of the sample, or by a level."""
    hidden = BY_TOWNSHIP if spot.startswith(("village", "grid")) else frozenset()
    hidden |= BY_VILLAGE if spot.startswith("grid") else frozenset()
    return [name for name in measures() if name.partition(":")[0] not in hidden]


@pytest.mark.parametrize("spot", SAMPLE)
def test_every_measure_equals_the_independent_calculation(world: World, spot: str) -> None:
    scope, names = world.sample[spot], names_for(spot)
    answers: dict[Key, Answer] = {
        (name, scope, period, None): world.oracle.answer(name, scope, period.start, period.end)
        for name in names
        for period in PERIODS
    }
    shown = world.ask(names, scope, PERIODS)
    assert len(shown) == len(answers)
    check_hidden(world.oracle, shown, answers)
    compare(cells(world.version, scope, names, PERIODS), answers)


@pytest.mark.parametrize("name", sorted(BY_VILLAGE))
def test_a_measure_of_villages_says_that_it_does_not_apply_to_a_grid(world: World, name: str) -> None:
    (cell,) = world.ask([name], world.sample["grid 1"], [YEAR])
    assert status_of(cell.result) == "not_applicable"


@pytest.mark.parametrize("spot", ["county", "township 1", "village 1", "grid 1"])
def test_every_measure_by_month_equals_the_independent_calculation(world: World, spot: str) -> None:
    scope, names = world.sample[spot], names_for(spot)
    months = [*YEAR.months(), *Period(date(2026, 1, 1), date(2026, 6, 30)).months()]
    answers: dict[Key, Answer] = {
        (name, scope, month, None): world.oracle.answer(name, scope, month.start, month.end)
        for name in names
        for month in months
    }
    period = Period(YEAR.start, months[-1].end)
    compare(cells(world.version, scope, names, [period], by="month"), answers)
    check_hidden(world.oracle, world.ask(names, scope, [period], by="month"), answers)


@pytest.mark.parametrize("spot", ["county", "township 2"])
def test_every_measure_by_day_equals_the_independent_calculation(world: World, spot: str) -> None:
    scope, names = world.sample[spot], names_for(spot)
    period = Period(date(2026, 5, 20), date(2026, 6, 18))
    days = [Period(day, day) for day in (period.start + timedelta(days=i) for i in range(period.days))]
    answers: dict[Key, Answer] = {
        (name, scope, day, None): world.oracle.answer(name, scope, day.start, day.end)
        for name in names
        for day in days
    }
    compare(cells(world.version, scope, names, [period], by="day"), answers)


@pytest.mark.parametrize("period", PERIODS, ids=str)
@pytest.mark.parametrize("level", ["township", "village", "grid"])
def test_every_measure_by_place_equals_the_independent_calculation(
    world: World, level: str, period: Period
) -> None:
    home, names = world.site.home, names_for(level)
    answers: dict[Key, Answer] = {
        (name, code, period, None): answer
        for name in names
        for code, answer in world.oracle.by_level(name, home, period.start, period.end, level).items()
    }
    compare(cells(world.version, home, names, [period], by=level), answers)
    check_hidden(world.oracle, world.ask(names, home, [period], by=level), answers)


@pytest.mark.parametrize("period", [YEAR, ODD], ids=str)
def test_every_breakdown_by_class_equals_the_independent_calculation(world: World, period: Period) -> None:
    home = world.site.home
    for name in measures():
        for dimension in catalogue().get(name).dimensions:
            found = world.oracle.by_class(name, home, period.start, period.end, dimension)
            answers: dict[Key, Answer] = {
                (name, home, period, None if key is None else str(key)): answer
                for key, answer in found.items()
            }
            compare(cells(world.version, home, [name], [period], by=dimension), answers, by_class=True)
            check_hidden(world.oracle, world.ask([name], home, [period], by=dimension), answers)


@pytest.mark.parametrize("cutoff", [datetime(2026, 1, 20, 15, 30), datetime(2025, 3, 1)], ids=str)
@pytest.mark.parametrize("spot", ["county", "township 2", "village 1", "grid 1"])
def test_an_earlier_cutoff_sees_only_what_had_happened(world: World, spot: str, cutoff: datetime) -> None:
    scope, names = world.sample[spot], names_for(spot)
    answers: dict[Key, Answer] = {
        (name, scope, period, None): world.oracle.answer(name, scope, period.start, period.end, cutoff)
        for name in names
        for period in (YEAR, ODD)
    }
    compare(cells(world.version, scope, names, [YEAR, ODD], cutoff=cutoff), answers)


# --- one total -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", PERIODS, ids=str)
def test_children_add_up_to_their_parents(world: World, period: Period) -> None:
    """Beneath suppression: grids to their village, villages to their township, townships to the county.

    What was filed under the parent itself, with no place below it named, is added.
    """
    home = world.site.home
    names = [name for name in measures() if catalogue().get(name).kind != "quantile"]
    faults: list[str] = []
    for name in names:
        levels = ["county", "township"]
        if name not in BY_TOWNSHIP:
            levels += ["village"] + ([] if name in BY_VILLAGE else ["grid"])
        found = {
            cell.place: cell.result
            for level in levels
            for cell in cells(world.version, home, [name], [period], by=level)
        }
        for level in levels[1:]:
            added: dict[str, tuple[float, float]] = {}
            for code in world.oracle.below_scope(home, level):
                parent = world.oracle.lineage[code][1]
                n, d = added.get(parent, (0, 0))
                result = found[code]
                if isinstance(result, Value):
                    n, d = n + (result.n or 0), d + (result.d or 0)
                added[parent] = (n, d)
            for parent, (n, d) in added.items():
                rest = world.oracle.filed_under(name, parent, period.start, period.end)
                total = (n + (rest.n or 0), d + (rest.d or 0))
                result = found[parent]
                own = (result.n or 0, result.d or 0) if isinstance(result, Value) else (0, 0)
                if not all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(total, own, strict=True)):
                    faults.append(f"{name} {period} {parent}: {own}, its parts {total}")
    complain(faults)


def test_totals_of_county_and_townships_are_hidden_only_for_a_small_one(world: World) -> None:
    """A county's year is hidden where it is small; a township's, where it or the other of the two is."""
    home, oracle = world.site.home, world.oracle
    for name in sorted(PROTECTED):
        small = {
            code: oracle.suppressed(name, oracle.answer(name, code, YEAR.start, YEAR.end))
            for code in (home, *oracle.below_scope(home, "township"))
        }
        (county,) = world.ask([name], home, [YEAR])
        assert isinstance(county.result, Suppressed) == small.pop(home), name
        for cell in world.ask([name], home, [YEAR], by="township"):
            assert any(small.values()) or not isinstance(cell.result, Suppressed), (name, cell)


# --- the command line ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "spot", "period", "by"),
    [
        ("closing_rate", "county", YEAR, "month"),
        ("cases_reported", "township 1", ODD, "village"),
        ("hours_to_close:p90", "village 1", MONTH, None),
        ("one_time_resolution_rate", "county", YEAR, "township"),
        ("petitions_registered", "township 2", MONTH, "village"),
        ("meeting_item_completion", "township 2", YEAR, "village"),
        ("overdue_open_cases", "county", RUNNING, "grid"),
    ],
)
def test_the_command_line_gives_the_same_figures(
    world: World, name: str, spot: str, period: Period, by: str | None
) -> None:
    scope = world.sample[spot]
    command = [
        sys.executable,
        "-m",
        "nerve.cli",
        "value",
        name,
        "--site",
        str(world.site.folder),
        "--scope",
        scope,
    ]
    command += ["--from", str(period.start), "--to", str(period.end), "--json", *(["--by", by] if by else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if by == "month":
        wanted = {
            (scope, str(month)): world.oracle.answer(name, scope, month.start, month.end)
            for month in period.months()
        }
    elif by is None:
        wanted = {(scope, str(period)): world.oracle.answer(name, scope, period.start, period.end)}
    else:
        found = world.oracle.by_level(name, scope, period.start, period.end, by)
        wanted = {(code, str(period)): answer for code, answer in found.items()}
    rows = {(row["place"], row["period"]): row for row in json.loads(done.stdout)}
    assert set(rows) == set(wanted)
    for key, answer in wanted.items():
        row = rows[key]
        assert row["version"] == world.version.id
        small = world.oracle.suppressed(name, answer)
        allowed = {"suppressed"} if small else {"no_data" if answer.value is None else "value"}
        if name in PROTECTED:
            allowed.add("suppressed")
        assert row["status"] in allowed, (key, row, answer)
        if row["status"] == "value":
            assert row["value"] == pytest.approx(answer.value, rel=1e-9)
            assert (row["numerator"], row["denominator"]) == (answer.n, answer.d)
        else:
            assert (row["value"], row["numerator"], row["denominator"]) == (None, None, None)


# --- the published figures -------------------------------------------------------------------------------


@pytest.mark.xdist_group("full")
def test_the_full_demo_meets_the_published_meetings_and_items(full_site: Site) -> None:
    """Dong'an published 2,046 meetings and 3,930 of 4,316 agreed items from 1 January to 26 December."""
    period = Period(date(2025, 1, 1), date(2025, 12, 26))
    names = ["meetings_held", "meeting_item_completion"]
    cells = query(current(full_site), Viewer(full_site.home), names, full_site.home, [period])
    found = {cell.measure: cell.result for cell in cells}
    held, items = found["meetings_held"], found["meeting_item_completion"]
    assert isinstance(held, Value)
    assert held.value == 2046
    assert isinstance(items, Value)
    assert (items.n, items.d) == (3930, 4316)


@pytest.mark.xdist_group("full")
def test_the_full_demo_meets_the_other_published_totals(full_site: Site) -> None:
    """7,865 practical things, 4,687 wishes; 317 disputes and 12 legal events of the five elders; the posts."""
    period = Period(date(2025, 1, 1), date(2025, 12, 26))
    version, home = current(full_site), full_site.home

    def found(name: str, key: str | None = None, by: str | None = None) -> float:
        (cell,) = (c for c in cells(version, home, [name], [period], by=by) if c.key == key)
        assert isinstance(cell.result, Value)
        return cell.result.value

    assert found("services_done") == 7865
    assert found("wishes_fulfilled") == 4687
    assert found("disputes_settled", "five_elders", "team") == 317
    assert found("legal_events", "five_elders", "team") == 12
    assert found("team_members", "five_elders", "kind") == 50
    assert found("team_members", "responder", "kind") == 890
    assert found("team_members", "volunteer_driver", "kind") > 400
    assert found("team_members", "auxiliary", "kind") == found("posts_in_place", "auxiliary", "kind") == 344
    fires = version.rows(
        "select min(epoch(controlled_at) - epoch(alarm_at)) / 60 from responses where kind = 'fire'"
    )
    assert fires[0][0] <= 40


# --- a second city ---------------------------------------------------------------------------------------


def test_a_city_that_came_by_contracts_alone_has_the_same_figures(tmp_path: Path) -> None:
    """Boston's 311 requests: other headings, places by name, no dispatching, no meetings."""
    folder = tmp_path / "boston"
    shutil.copytree(Path(__file__).parent.parent / "examples" / "boston", folder)
    shutil.copytree(folder / "data", folder / "inbox")
    site = load_site(folder)
    with Store.open(site) as store:
        load_once(site, store)
    oracle, version = Oracle(folder), current(site)
    (source,) = [source for source in version.sources if source.name == "cases"]
    account = oracle.accounts["cases"]
    assert (source.read, source.kept, dict(source.reasons)) == (account.read, account.kept, account.reasons)
    names = [
        "cases_reported", "filing_rate", "closing_rate", "on_time_closing_rate", "hours_to_close:p50",
        "hours_to_close:p90", "overdue_open_cases", "due_soon_cases", "hotline_demands", "townships_in_use",
        "villages_in_use", "grids_in_use", "micro_grids_in_use",
    ]  # fmt: skip
    for period in (Period(date(2022, 1, 1), date(2022, 12, 31)), Period(date(2023, 2, 7), date(2024, 3, 12))):
        for by, scopes in ((None, [site.home]), ("township", oracle.below_scope(site.home, "township"))):
            answers: dict[Key, Answer] = {
                (name, scope, period, None): oracle.answer(name, scope, period.start, period.end)
                for name in names
                for scope in scopes
            }
            compare(query(version, Viewer(site.home), names, site.home, [period], by=by), answers)
    others = [name for name in measures() if name not in names]
    refused = query(version, Viewer(site.home), others, site.home, [period])
    assert {status_of(cell.result) for cell in refused} == {"not_applicable"}


# --- the oracle itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "row", "verdict"),
    [
        ("a is null or a <= b", {"a": None, "b": 1}, True),
        ("a is null or a <= b", {"a": 2, "b": 1}, False),
        ("a is null or a <= b", {"a": 2, "b": None}, None),
        ("a <> 'x' or a is null or b is not null", {"a": "x", "b": None}, False),
        ("a is null or (b is not null and a >= b)", {"a": 1, "b": None}, False),
        ("a <= coalesce(b, 0)", {"a": 1, "b": None}, False),
        ("not (a > b and b > 0)", {"a": 1, "b": None}, None),
    ],
)
def test_the_oracle_reads_a_check_with_unknowns_as_written(
    check: str, row: dict[str, Any], verdict: bool | None
) -> None:
    assert condition(check)(row) is verdict


def test_the_oracle_hides_small_counts_of_peoples_matters_only(world: World) -> None:
    oracle = world.oracle
    assert oracle.suppressed("petitions_registered", Answer(4, 4))
    assert not oracle.suppressed("petitions_registered", Answer(0, 0))
    assert oracle.suppressed("satisfaction_rate", Answer(0.98, 98, 100))
    assert not oracle.suppressed("satisfaction_rate", Answer(1.0, 100, 100))
    assert not oracle.suppressed("cases_reported", Answer(1, 1))
