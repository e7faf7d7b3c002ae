"""As known then: a figure of a past version, and why it is another today, in parts that add up to the difference."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.export import Order, issue
from dashboard.export import difference as differing
from dashboard.pages import page
from dashboard.view import address, build, view_of
from pipelines.upkeep import versions_wanted
from tests.tiny import load, tiny_site, tiny_store
from tests.world import GRIDS, case, datasets, petition, world
from warehouse.catalogue import catalogue
from warehouse.difference import Part, difference, tellable
from warehouse.mistake import Mistake
from warehouse.passport import passport
from warehouse.period import Period
from warehouse.query import cells, query
from warehouse.result import Result, Value
from warehouse.scope import scope_of
from warehouse.site import Params, Site
from warehouse.store import Store
from warehouse.text import Text
from warehouse.version import Version, as_of, current
from warehouse.viewer import Viewer

THEN, NOW = datetime(2026, 2, 20, 12), datetime(2026, 3, 20, 12)
YEAR = Period(date(2026, 1, 1), date(2026, 12, 31))
ONLY = {
    name: dataset
    for name, dataset in datasets().items()
    if name in ("cases", "petitions", "places", "place_groups")
}
ASKED = (
    "cases_reported", "closing_rate", "on_time_closing_rate", "overdue_open_cases", "petitions_registered",
    "petition_people", "repeat_petition_share", "one_time_resolution_rate", "same_day_resolution_rate",
)  # fmt: skip
Rows = dict[str, list[dict[str, Any]]]


def made(rows: Rows, cutoff: datetime, params: Params | None = None) -> Version:
    return world(rows, cutoff, params, known=ONLY)


def sides(result: Result) -> tuple[float, float]:
    return (result.n or 0, result.d or 0) if isinstance(result, Value) else (0, 0)


def figure(version: Version, measure: str, scope: str) -> tuple[float, float]:
    return sides(cells(version, scope, [measure], [YEAR])[0].result)


def seen(row: dict[str, Any], cutoff: datetime) -> dict[str, Any]:
    """A row as its office would send it by then: what has not happened is not in it."""
    events = set(datasets()["cases"].of_role("event")) | set(datasets()["petitions"].of_role("event"))
    return {k: v for k, v in row.items() if k not in events or v <= cutoff}


# --- the parts add up ----------------------------------------------------------------------------------------

minutes = st.integers(0, 75 * 24 * 60)


def at(minute: int) -> datetime:
    return datetime(2026, 1, 3) + timedelta(minutes=minute)


@st.composite
def a_case(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(minutes)
    row = case(0, draw(st.sampled_from(GRIDS)), at(start), filed_at=at(start))
    row["due_at"] = at(start + draw(st.integers(60, 20 * 24 * 60)))
    if draw(st.booleans()):
        row["closed_at"] = at(start + draw(st.integers(60, 30 * 24 * 60)))
    return row


@st.composite
def a_petition(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(minutes)
    row = petition(0, draw(st.sampled_from(GRIDS)), at(start), people=draw(st.integers(1, 9)))
    row["matter_key"] = f"m{draw(st.integers(0, 4))}"
    if draw(st.booleans()):
        row["closed_at"] = at(start + draw(st.integers(60, 20 * 24 * 60)))
    return row


@st.composite
def two_batches(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """What was known then and what is known now: some rows came late, some went, some were put right."""
    then: Rows = {"cases": [], "petitions": []}
    now: Rows = {"cases": [], "petitions": []}
    for table, strategy, key in (("cases", a_case(), "case_id"), ("petitions", a_petition(), "petition_id")):
        born = "reported_at" if table == "cases" else "registered_at"
        for number in range(draw(st.integers(0, 12))):
            row = draw(strategy) | {key: f"r{number}"}
            fate = draw(st.sampled_from(["kept", "kept", "late", "gone", "moved", "other"]))
            if fate != "late" and row[born] <= THEN:
                then[table].append(seen(row, THEN))
            if fate == "moved":
                row = row | {"place": draw(st.sampled_from(GRIDS))}
            if fate == "other":
                row = draw(strategy) | {key: f"r{number}"}
            if fate != "gone" and row[born] <= NOW:
                now[table].append(seen(row, NOW))
    return then, now


@settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(two_batches(), st.sampled_from(["K", "K1", "K1a1", "G"]))
def test_the_parts_add_up_to_the_difference_of_both_sides(batches: tuple[Rows, Rows], scope: str) -> None:
    then, now = made(batches[0], THEN), made(batches[1], NOW)
    for measure in ASKED:
        parts = difference(then, now, measure, scope, YEAR)
        before, after = figure(then, measure, scope), figure(now, measure, scope)
        assert (sum(p.n for p in parts), sum(p.d for p in parts)) == (
            after[0] - before[0],
            after[1] - before[1],
        )
        # Every one of them is a record's: nothing is left over that the program could not account for.
        assert not {"definition", "recounted"} & {p.why for p in parts}, (measure, parts)


# --- each reason by itself -----------------------------------------------------------------------------------

JANUARY = datetime(2026, 1, 10, 9)
DUE = datetime(2026, 1, 20, 9)
ONE = case(1, "K1a1", JANUARY, filed_at=JANUARY, due_at=DUE)


def parts_of(
    before: Iterable[dict[str, Any]],
    after: Iterable[dict[str, Any]],
    measure: str = "closing_rate",
    **more: Any,
) -> tuple[Part, ...]:
    return difference(
        made({"cases": list(before)}, THEN), made({"cases": list(after)}, NOW, **more), measure, "K", YEAR
    )


def test_a_record_that_came_since_is_new() -> None:
    assert parts_of([ONE], [ONE, ONE | {"case_id": "c2"}]) == (Part("records", 0, 1, 1),)


def test_a_record_known_then_that_closed_since_moved_on() -> None:
    closed = ONE | {"closed_at": datetime(2026, 3, 1), "status": "closed"}
    assert parts_of([ONE], [closed]) == (Part("closings", 1, 0, 1),)


def test_a_closing_entered_late_is_a_correction() -> None:
    closed = ONE | {"closed_at": datetime(2026, 2, 1), "status": "closed"}
    assert parts_of([ONE], [closed]) == (Part("corrections", 1, 0, 1),)


def test_a_record_removed_or_undone_is_said_to_be() -> None:
    assert parts_of([ONE], []) == (Part("removed", 0, -1, 1),)


def test_a_record_that_fell_due_since_came_of_age() -> None:
    later = ONE | {"due_at": datetime(2026, 3, 1)}
    assert parts_of([later], [later]) == (Part("matured", 0, 1, 1),)
    assert parts_of([later], [later], "overdue_open_cases") == (Part("matured", 1, 0, 1),)


def test_what_a_parameter_of_the_site_changed_stands_apart() -> None:
    late = ONE | {
        "closed_at": datetime(2026, 1, 5),
        "reported_at": datetime(2026, 1, 2),
        "due_at": datetime(2026, 3, 30),
    }
    found = parts_of([late], [late], params=Params(due_rule="due"))
    assert found == (Part("definition", -1, -1, 0),)


def test_small_parts_of_people_s_matters_are_not_told() -> None:
    few = (Part("records", 2, 0, 2),)
    assert not tellable(few, catalogue().get("petitions_registered"), 5)
    assert tellable(few, catalogue().get("cases_reported"), 5)
    assert tellable((Part("records", 7, 0, 7),), catalogue().get("petitions_registered"), 5)


# --- versions by their time ----------------------------------------------------------------------------------


def test_a_version_is_found_by_its_id_its_day_and_its_time(tmp_path: Path) -> None:
    site = tiny_site(tmp_path, datetime(2024, 7, 1, 10))
    heading = "id | place | reported | due | closed | updated\n"
    for day in (1, 3):
        with tiny_store(site.model_copy(update={"as_of": datetime(2024, 7, day, 10)})) as store:
            load(store, heading + f"c{day} | G1 | 01-03 | 01-10 | | 01-03")
            store.publish()
    asked = ("v000001", "2024-07-01", "2024-07-02", "2024-07-03T09:59", "2024-07-03", "2025-01-01")
    assert [as_of(site, text).id for text in asked] == ["v000001"] * 4 + ["v000002"] * 2
    with pytest.raises(
        Mistake, match=r"no version of 2024-06-30 is kept \(the oldest is v000001 of 2024-07-01 10:00"
    ):
        as_of(site, "2024-06-30")
    with pytest.raises(Mistake, match="'yesterday' is no version, day or time"):
        as_of(site, "yesterday")


def test_the_last_version_of_each_day_stays_for_the_days_the_site_says(tmp_path: Path) -> None:
    heading = "id | place | reported | due | closed | updated\n"
    for number, (day, hour) in enumerate([(1, 9), (1, 10), (2, 9), (2, 10), (3, 9), (3, 10)]):
        site = tiny_site(tmp_path, datetime(2024, 7, day, hour))
        with tiny_store(site) as store:
            load(store, heading + f"c{number} | G1 | 01-03 | 01-10 | | 01-03")
            store.publish()
    site = tiny_site(tmp_path, datetime(2024, 7, 3, 12))
    days = site.model_copy(update={"retention": site.retention.model_copy(update={"days": 1})})
    assert versions_wanted(site, site.now()) == {"v000002", "v000004", "v000006"}
    assert versions_wanted(days, site.now()) == {"v000004", "v000006"}


# --- the command line ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undone_site(small_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The small demo with a second version, in which a batch of cases is undone."""
    folder = tmp_path_factory.mktemp("undone") / "site"
    shutil.copytree(small_site.folder, folder)
    site = small_site.model_copy(update={"folder": folder})
    with Store.open(site) as store:
        batch = next(b for b in store.batches(last=None) if b.dataset == "cases" and b.new > 20)
        store.undo(batch.batch)
        store.publish()
    return site


def nerve(site: Site, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "nerve.cli", *words, "--site", str(site.folder), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_line_tells_then_and_now_and_what_lies_between(undone_site: Site) -> None:
    answer = nerve(undone_site, "value", "cases_reported", "--as-of", "v000001", "--from", "2024-07-01")
    then, now = answer["then"], answer["now"]
    assert (then["version"], now["version"]) == ("v000001", current(undone_site).id)
    assert then["value"] != now["value"]
    assert sum(part["numerator"] for part in answer["parts"]) == now["value"] - then["value"]
    assert {part["why"] for part in answer["parts"]} == {"removed"}


@pytest.mark.parametrize(
    "name", ["closing_rate", "petitions_registered", "one_time_resolution_rate", "hours_to_close:p90"]
)
def test_the_command_in_a_passport_gives_the_figure_again(undone_site: Site, name: str) -> None:
    version = as_of(undone_site, "v000001")
    period = Period(date(2025, 7, 1), date(2025, 12, 31))
    scope = scope_of(version, undone_site.home)
    result = query(version, Viewer(scope.code), [name], scope.code, [period])[0].result
    lines = {
        label.en: text.en for label, text in passport(version, name, scope, period, version.cutoff, result)
    }
    command = lines["To get it again"].split(" ")
    assert command[0] == "nerve"
    row = nerve(undone_site, *command[1:])["then"]
    if isinstance(result, Value):
        assert (row["value"], row["numerator"], row["denominator"]) == (result.value, result.n, result.d)
    else:  # Three of 95 came again.
        assert (row["status"], row["reason"], row["value"]) == ("suppressed", "fewer than 5", None)
        assert lines["Small numbers"] == "not shown: fewer than 5"
    asked = {"Data version", "Definition version", "Cut-off", "Last load", "Dated", "Definition"}
    assert asked <= set(lines)
    if catalogue().get(name).kind == "rate" and isinstance(result, Value):
        assert (lines["Numerator"], lines["Denominator"]) == (f"{result.n:,}", f"{result.d:,}")


def test_two_briefs_name_the_same_reasons_as_the_command_line(undone_site: Site) -> None:
    params = {"from": "2024-07-01", "to": "2026-06-30"}
    made = []
    for version in (as_of(undone_site, "v000001"), current(undone_site)):
        view = view_of(undone_site, version, Viewer(undone_site.home), params)
        order = Order("cases", ("cases",), Text(zh="简报", en="Brief"))
        made.append(issue(view, order, undone_site.reports / f"{version.id}.xlsx")[1].id)
    _, _, why = differing(undone_site, (made[0], made[1]))
    assert why["cases_reported"] == ["removed"]


def test_a_page_of_the_past_says_so_and_keeps_it_in_its_address(undone_site: Site) -> None:
    version = as_of(undone_site, "v000001")
    view = view_of(undone_site, version, Viewer(undone_site.home), {"as_of": "v000001", "lang": "en"})
    assert address(view)["as_of"] == "v000001"
    assert any("As known on" in notice for notice in build(page("cases"), view).notices)
    now = view_of(undone_site, current(undone_site), Viewer(undone_site.home), {"lang": "en"})
    assert not any("As known on" in notice for notice in build(page("cases"), now).notices)
