"""The loader's side: what a batch does, what survives, what a version is made of."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CASE_HEADER, CASES, CASES_MART, PLACES, TREE, load, tiny_site, tiny_store

from warehouse import layout
from warehouse.dataset import Field
from warehouse.marts import contributions, monthly
from warehouse.mistake import Mistake
from warehouse.store import Applied, Batch, Store
from warehouse.text import Text
from warehouse.version import current

FIRST = """
id   | place | reported | due   | closed | updated
c1   | G1    | 01-03    | 01-10 |        | 01-03
c2   | G2    | 01-04    | 01-11 | 01-09  | 01-09
c3   | G3    | 02-01    | 02-08 |        | 02-01
"""


def held(store: Store) -> dict[str, tuple[object, ...]]:
    """case → (place, closed, updated) as day numbers, of the current records."""
    rows = store.connection.execute("select id, place, closed, updated from rec_cases").fetchall()
    return {row[0]: row[1:] for row in rows}


def mart_and_recount(store: Store) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The month mart as published, and as counted from the records; every record is ripe in these tests."""
    store.publish()
    counted = store.connection.execute(monthly(CASES_MART, f"({contributions(CASES_MART, 'rec_cases')})"))
    return current(store.site).rows("select * from cases_month"), counted.fetchall()


def test_a_batch_accounts_for_every_row_it_read(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        applied = load(store, FIRST, bad=[(4, "c4,??", ["refers:place", "required:updated"])])
        assert applied == Applied(batch=1, read=4, kept=3, quarantined=1, new=3, changed=0, stale=0)
        store.publish()
        (source,) = current(store.site).sources
    assert (source.files, source.read, source.kept, source.quarantined) == (1, 4, 3, 1)
    assert source.reasons == {"refers:place": 1, "required:updated": 1}
    assert source.last_load == datetime(2024, 7, 1)


def test_a_file_whose_rows_do_not_add_up_is_not_loaded(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST)
        store.connection.execute("create or replace temp table good as from rec_cases")
        batch = Batch("cases", Text(zh="", en=""), CASES, "b.csv", "b", 9, "good", "bad", None, 24)
        with pytest.raises(Mistake, match=r"b\.csv: 9 rows read, but 3 kept and 0 quarantined"):
            store.apply(batch)
        assert store.publish() is not None
        assert current(store.site).sources[0].read == 3


def test_a_refused_file_is_accounted_and_may_be_tried_again(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        refused = Batch("cases", CASES.label, CASES, "x.csv", "x", 0, "", "", "no header row", 24)
        assert store.apply(refused).read == 0
        assert not store.seen("cases", "x")
        store.publish()
        (source,) = current(store.site).sources
    assert (source.refused, source.refusals, source.last_load) == (1, (("x.csv", "no header row"),), None)


def test_the_same_file_twice_is_seen_and_changes_nothing(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST, sha256="one")
        assert store.seen("cases", "one")
        assert not store.seen("other", "one")
        before = held(store)
        again = load(store, FIRST, sha256="two")
        assert (again.new, again.changed, again.stale) == (0, 0, 3)
        assert held(store) == before


def test_of_a_key_twice_in_a_file_the_later_update_wins_and_at_equal_times_the_later_row(
    tmp_path: Path,
) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        applied = load(
            store,
            """
            id   | place | reported | due | closed | updated
            c1   | G1    | 01-01    |     | 01-05  | 01-05
            c1   | G2    | 01-01    |     |        | 01-02
            c2   | G1    | 01-01    |     |        | 01-02
            c2   | G2    | 01-01    |     |        | 01-02
            """,
        )
        assert (applied.kept, applied.new, applied.stale) == (4, 2, 2)
        assert {case: row[0] for case, row in held(store).items()} == {"c1": "G1", "c2": "G2"}


def test_an_older_row_is_logged_but_not_applied(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST)
        late = load(store, CASE_HEADER + "c2 | G9 | 01-04 | | | 01-05")
        assert (late.new, late.changed, late.stale) == (0, 0, 1)
        assert held(store)["c2"][0] == "G2"
        log = store.connection.execute(
            "select _batch, _kind, _applied, place from log_cases where id = 'c2' order by _batch"
        ).fetchall()
        assert log == [(1, "in", True, "G2"), (2, "in", False, "G9")]


def test_the_log_holds_the_row_that_was_replaced(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST)
        load(store, CASE_HEADER + "c1 | G1 | 01-03 | 01-10 | 01-12 | 01-12")
        log = store.connection.execute(
            "select _kind, closed from log_cases where _batch = 2 order by _kind"
        ).fetchall()
        assert log == [("in", datetime(2024, 1, 12)), ("was", None)]


def test_a_tombstone_removes_and_an_older_row_does_not_bring_back(tmp_path: Path) -> None:
    gone = "id | updated | gone\nc1 | 03-01 | x"
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST)
        store.publish()
        assert load(store, gone).changed == 1
        load(store, CASE_HEADER + "c1 | G1 | 01-03 | 01-10 | 02-01 | 02-01")
        assert set(held(store)) == {"c2", "c3"}
        store.publish()
        assert current(store.site).rows("select count(*) from cases") == [(2,)]
        load(store, CASE_HEADER + "c1 | G1 | 01-03 | 01-10 | 03-02 | 03-02")
        assert set(held(store)) == {"c1", "c2", "c3"}
        kept, counted = mart_and_recount(store)
        assert kept == counted


IMAGES = [(case, day, gone) for case in "abc" for day in range(1, 6) for gone in (False, day == 4)]


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_whatever_the_order_and_the_split_into_batches_the_latest_update_stands(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(IMAGES), min_size=1, unique_by=lambda i: i[:2]))
    cuts = data.draw(st.lists(st.integers(0, len(chosen)), max_size=4).map(sorted))
    publish = data.draw(st.lists(st.booleans(), min_size=5, max_size=5))
    latest = {case: (day, gone) for case, day, gone in sorted(chosen)}
    expected = {case: f"G{day}" for case, (day, gone) in latest.items() if not gone}
    with tiny_store(tiny_site(tmp_path_factory.mktemp("orders"))) as store:
        edges = [0, *cuts, len(chosen)]
        for start, end, out in zip(edges, edges[1:], publish, strict=False):
            lines = [
                f"{case} | G{day} | 01-0{day} | 01-1{day} | | 02-0{day} | {'x' if gone else ''}"
                for case, day, gone in chosen[start:end]
            ]
            if lines:
                load(store, CASE_HEADER.strip() + " | gone\n" + "\n".join(lines))
            if out:
                store.publish()
        assert {case: row[0] for case, row in held(store).items()} == expected
        kept, counted = mart_and_recount(store)
        assert kept == counted
        store.publish()
        assert dict(current(store.site).rows("select id, place from cases")) == expected


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_undoing_a_batch_leaves_what_would_be_had_it_never_come(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    row = st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 9))
    batches = data.draw(st.lists(st.lists(row, min_size=1, max_size=4), min_size=1, max_size=4))
    undone = data.draw(st.sets(st.integers(1, len(batches))))

    def table(rows: list[tuple[str, int, int]]) -> str:
        return CASE_HEADER + "\n".join(
            f"{case} | G{g} | 01-01 | 01-05 | | 02-0{day}" for case, day, g in rows
        )

    with tiny_store(tiny_site(tmp_path_factory.mktemp("undone"))) as store:
        for rows in batches:
            load(store, table(rows))
        store.publish()
        for number in data.draw(st.permutations(sorted(undone))):
            store.undo(number)
        with tiny_store(tiny_site(tmp_path_factory.mktemp("never"))) as oracle:
            load(oracle, CASE_HEADER + "z | G1 | 01-01 | | | 01-01")
            for number, rows in enumerate(batches, start=1):
                if number not in undone:
                    load(oracle, table(rows))
            expected = {case: row for case, row in held(oracle).items() if case != "z"}
        assert held(store) == expected
        kept, counted = mart_and_recount(store)
        assert kept == counted
        store.publish()
        assert dict(current(store.site).rows("select id, place from cases")) == {
            case: row[0] for case, row in expected.items()
        }


def test_an_undone_file_may_be_loaded_again_and_leaves_the_account(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST, sha256="one", bad=[(4, "c4", ["refers:place"])])
        store.undo(1)
        assert not store.seen("cases", "one")
        store.publish()
        (source,) = current(store.site).sources
        assert (source.files, source.read, source.reasons) == (0, 0, {})
        with pytest.raises(Mistake, match="batch 1: no such batch to undo"):
            store.undo(1)
        load(store, FIRST, sha256="one")
        assert len(held(store)) == 3


def test_a_mart_holds_only_what_is_ripe_at_the_cutoff_and_ripens_with_the_clock(tmp_path: Path) -> None:
    early = tiny_site(tmp_path, datetime(2024, 1, 10, 12))
    closing = "select sum(closed__n), sum(closed__d) from cases_month"
    with tiny_store(early) as store:
        load(store, FIRST)
        store.publish()
        assert current(early).rows(closing) == [(0, 1)]
    later = tiny_site(tmp_path, datetime(2024, 1, 12))
    with tiny_store(later) as store:
        assert store.publish() is not None
        assert current(later).rows(closing) == [(1, 2)]
        assert store.publish() is None


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_marts_moved_from_version_to_version_equal_marts_counted_anew(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("moved")
    row = st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 9), st.sampled_from(["", "x"]))
    now = datetime(2024, 1, 1, 12)
    for day in range(1, 6):
        now += timedelta(hours=data.draw(st.integers(0, 48)))
        with tiny_store(tiny_site(folder, now)) as store:
            rows = data.draw(st.lists(row, min_size=1, max_size=3))
            lines = (f"{i} | G{g} | 01-0{n} | 01-0{10 - n} | | 02-0{day} | {x}" for i, g, n, x in rows)
            load(store, CASE_HEADER.strip() + " | gone\n" + "\n".join(lines))
            store.publish()
            moved = current(store.site)
    with tiny_store(tiny_site(folder, now)) as store:
        store.fold()
    anew = current(tiny_site(folder, now))
    assert moved.cutoff == anew.cutoff == now
    for table in ("cases_month", "cases_day"):
        assert moved.rows(f"select * from {table}") == anew.rows(f"select * from {table}")


def test_day_marts_are_by_township_and_month_marts_by_recorded_place(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, TREE, PLACES)
        load(store, FIRST + "c4   | K     | 01-03    |       |        | 01-03")
        store.publish()
        version = current(store.site)
    days = version.rows(
        "select place, day::varchar, reported__n from cases_day where reported__n > 0 order by all"
    )
    assert days == [
        ("K", "2024-01-03", 1),
        ("T1", "2024-01-03", 1),
        ("T1", "2024-01-04", 1),
        ("T2", "2024-02-01", 1),
    ]
    months = version.rows(
        "select place, month::varchar, reported__n from cases_month where reported__n > 0 order by all"
    )
    assert months == [
        ("G1", "2024-01-01", 1), ("G2", "2024-01-01", 1), ("G3", "2024-02-01", 1), ("K", "2024-01-01", 1),
    ]  # fmt: skip


def test_a_moved_grid_takes_its_days_along_to_the_other_township(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, TREE, PLACES)
        load(store, FIRST)
        store.publish()
        load(store, "code | parent | level\nV1 | T2 | village", PLACES)
        store.publish()
        days = current(store.site).rows("select place, sum(reported__n) from cases_day group by place")
    assert days == [("T2", 3)]


def test_a_field_added_later_is_null_in_the_rows_before(tmp_path: Path) -> None:
    wider = CASES.model_copy(
        update={"fields": (*CASES.fields, Field(name="tier", type="code", label=Text(zh="层级", en="Tier")))}
    )
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST)
        store.publish()
        load(store, CASE_HEADER.strip() + " | tier\nc4 | G1 | 03-01 | | | 03-01 | village", wider)
        store.publish()
        rows = current(store.site).rows("select id, tier from cases order by id")
    assert rows == [("c1", None), ("c2", None), ("c3", None), ("c4", "village")]


def test_what_two_sources_deliver_is_united(tmp_path: Path) -> None:
    mine = CASES.model_copy(update={"mapped": ("id", "place")})
    theirs = CASES.model_copy(update={"mapped": ("id", "closed")})
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST, mine, source="hotline")
        load(store, FIRST, theirs, source="grid_workers")
        assert store.datasets["cases"].mapped == ("id", "place", "closed")


def test_a_mart_defined_otherwise_is_counted_anew(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    first, *others = CASES_MART.parts
    twice = replace(first, expressions=(("reported__n", "2"),))
    doubled = replace(CASES_MART, parts=(twice, *others))
    with Store.open(site, marts=[doubled], models=[]) as store:
        assert store.publish() is not None
        assert current(site).rows("select sum(reported__n) from cases_month") == [(6,)]


def test_nothing_new_publishes_nothing(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        assert store.publish() is None
        load(store, FIRST)
        assert store.publish() == "v000001"
        assert store.publish() is None


def test_many_deltas_are_merged_and_folding_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.publish.DELTAS", 3)
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST)
        store.publish()
        for day in range(1, 10):
            load(store, CASE_HEADER + f"c{day % 4} | G{day} | 01-01 | | | 03-0{day}")
            store.publish()
            records = layout.read_manifest(store.site, current(store.site).id).records["cases"]
            assert 1 <= len(records.deltas) <= 3
            version = dict(current(store.site).rows("select id, place from cases"))
            assert version == {case: row[0] for case, row in held(store).items()}
        assert store.fold() == "v000011"
        assert layout.read_manifest(store.site, "v000011").records["cases"].deltas == ()
        assert dict(current(store.site).rows("select id, place from cases")) == version
        assert store.fold() is None


def test_collecting_removes_old_versions_and_only_files_nobody_needs(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        for day in range(1, 9):
            load(store, CASE_HEADER + f"c1 | G{day} | 01-01 | | | 03-0{day}")
            store.publish()
        assert store.collect(set(), last=2) == ()
        hour_ago = time.time() - 3600
        for version in layout.version_ids(store.site)[:6]:
            os.utime(layout.manifest(store.site, version), (hour_ago, hour_ago))
        removed = store.collect({"v000002"}, last=2)
        assert removed == ("v000001", "v000003", "v000004", "v000005")
        assert layout.version_ids(store.site) == ("v000002", "v000006", "v000007", "v000008")
        assert current(store.site).rows("select place from cases") == [("G8",)]
        store.fold()
        gone = timedelta(0)
        store.collect(set(), age=gone, last=1)
        names = [path.name for path in (tmp_path / "warehouse" / "records").glob("*/*")]
        assert names == ["v000009-base.parquet"]


def test_what_a_killed_publish_left_is_removed_at_open(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    half = layout.versions(site) / "v000002"
    half.mkdir()
    (half / "marts.duckdb").write_bytes(b"half")
    stray = site.warehouse / "records" / "cases" / "v000002-delta.parquet"
    stray.write_bytes(b"half")
    with tiny_store(site) as store:
        assert not half.exists()
        assert not stray.exists()
        load(store, CASE_HEADER + "c9 | G1 | 01-01 | | | 03-01")
        assert store.publish() == "v000002"


def test_a_damaged_version_is_replaced_by_a_whole_one(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    layout.marts(site, "v000001").write_bytes(b"broken")
    with pytest.raises(Mistake, match="run 'nerve load'"):
        current(site)
    with tiny_store(site) as store:
        assert store.publish() == "v000002"
    assert current(site).rows("select count(*) from cases") == [(3,)]


def test_a_database_made_anew_publishes_its_own_records_beside_the_old_versions(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    layout.loader(site).unlink()
    with tiny_store(site) as store:
        load(store, CASE_HEADER + "c9 | G1 | 01-01 | | | 03-01")
        assert store.publish() == "v000002"
    assert current(site).rows("select id from cases") == [("c9",)]


def test_a_newer_loader_database_is_refused(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        store.connection.execute("update meta set schema_number = 99")
    with pytest.raises(Mistake, match=r"loader\.duckdb: schema 99 is newer than this program's 1 \(install"):
        tiny_store(site)


def test_a_newer_published_version_is_refused_by_the_loader(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    path = layout.manifest(site, "v000001")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_number": 99}))
    with pytest.raises(Mistake, match=r"manifest\.json: schema 99 is newer"):
        tiny_store(site)


def test_a_second_loader_is_turned_away(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    program = (
        "import sys\nfrom pathlib import Path\nfrom tiny import tiny_site, tiny_store\n"
        "from warehouse.mistake import Mistake\n"
        "try:\n    tiny_store(tiny_site(Path(sys.argv[1])))\nexcept Mistake as mistake:\n    print(mistake)\n"
    )
    with tiny_store(site):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, env=_environment()
        )
    assert "in use by another process (stop the other loader" in done.stdout, done.stderr


KILLED = """
import sys
from pathlib import Path
from tiny import CASE_HEADER, load, tiny_site, tiny_store
with tiny_store(tiny_site(Path(sys.argv[1]))) as store:
    print("ready", flush=True)
    for number in range(int(sys.argv[2])):
        if store.seen("cases", str(number)):
            continue
        row = f"c{number % 7} | G{number % 3} | 01-0{number % 9 + 1} | 02-01 | | 03-01T00:{number:02}"
        load(store, CASE_HEADER + row + f"\\nn{number} | G1 | 01-01 | 02-01 | 01-05 | 03-01", sha256=str(number))
        store.publish()
        if number % 10 == 9:
            store.fold()
    store.publish()
"""


def test_nothing_is_lost_or_doubled_when_the_loader_is_killed_again_and_again(tmp_path: Path) -> None:
    batches, chance, kills = 25, random.Random(5), 0
    while True:
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(batches)],
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        try:
            code = child.wait(chance.uniform(0.02, 0.5) if kills < 8 else 60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            kills += 1
        else:
            assert code == 0
            break
        finally:
            child.stdout.close()
    assert kills > 0
    site = tiny_site(tmp_path)
    version = current(site)
    expected = {f"c{number % 7}": f"G{number % 3}" for number in range(batches)}
    expected |= {f"n{number}": "G1" for number in range(batches)}
    assert dict(version.rows("select id, place from cases")) == expected
    assert version.rows("select sum(reported__n), sum(closed__n) from cases_month") == [
        (batches + 7, batches)
    ]
    assert version.sources[0].files == batches
    assert version.sources[0].kept == 2 * batches
    with tiny_store(site) as store:
        kept, counted = mart_and_recount(store)
        assert kept == counted
        assert store.connection.execute("select count(*) from log_cases where _kind = 'in'").fetchall() == [
            (2 * batches,)
        ]
        used = {name for v in layout.version_ids(site) for name in layout.read_manifest(site, v).files}
        found = {str(p.relative_to(site.warehouse)) for p in (site.warehouse / "records").glob("*/*")}
        assert found <= used


def _environment() -> dict[str, str]:
    here = Path(__file__).parent
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
