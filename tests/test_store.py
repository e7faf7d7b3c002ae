"""The loader's side: what a batch does, what survives, what a version is made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CASE_HEADER, CASES, CASES_MART, PLACES, TREE, load, load_tables, tiny_site, tiny_store

from warehouse import layout
from warehouse.dataset import Field
from warehouse.marts import counted_by
from warehouse.mistake import Mistake
from warehouse.store import Applied, Batch, QuarantinedRow, Store
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
    rows = store.connection.execute("select id, place, closed, updated from cases").fetchall()
    return {row[0]: row[1:] for row in rows}


def mart_and_recount(store: Store) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The month mart as published, and as counted from the records."""
    store.publish()
    counted = store.connection.execute(
        counted_by(CASES_MART, "month", "cases", "places"), {"cutoff": current(store.site).cutoff}
    )
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


def images(store: Store, case: str) -> list[tuple[object, ...]]:
    """Every image of a case, in order of its batch: (batch, until, place, closed)."""
    return store.connection.execute(
        "select _batch, null::bigint as _until, place, closed from rec_cases where id = $id union all"
        " select _batch, null, place, closed from gone_cases where id = $id union all"
        " select _batch, _until, place, closed from past_cases where id = $id order by _batch, _until nulls last",
        {"id": case},
    ).fetchall()


def test_an_older_row_is_kept_but_never_counted(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST)
        late = load(store, CASE_HEADER + "c2 | G9 | 01-04 | | | 01-05")
        assert (late.new, late.changed, late.stale) == (0, 0, 1)
        assert held(store)["c2"][0] == "G2"
        assert images(store, "c2") == [(1, None, "G2", datetime(2024, 1, 9)), (2, 2, "G9", None)]


def test_each_row_is_held_once_and_says_from_which_batch_to_which_it_counted(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST)
        load(store, CASE_HEADER + "c1 | G1 | 01-03 | 01-10 | 01-12 | 01-12")
        assert images(store, "c1") == [(1, 2, "G1", None), (2, None, "G1", datetime(2024, 1, 12))]


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


def test_an_undone_file_may_be_loaded_again_and_leaves_the_account(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST, sha256="one", bad=[(4, "c4", ["refers:place"])])
        store.undo(1)
        assert not store.seen("cases", "one")
        store.publish()
        (source,) = current(store.site).sources
        assert (source.files, source.read, source.reasons) == (0, 0, {})
        with pytest.raises(Mistake, match="batch 1: is undone already, by batch 2"):
            store.undo(1)
        with pytest.raises(Mistake, match="batch 9: no such batch"):
            store.undo(9)
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


def test_a_column_is_made_when_a_field_first_has_a_value(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:

        def held() -> list[str]:
            found = store.connection.execute("describe rec_cases").fetchall()
            return [row[0] for row in found if not row[0].startswith("_")]

        load(store, CASE_HEADER + "c1 | G1 | 01-03 | | | 01-03")
        store.publish()
        assert held() == ["id", "updated", "place", "reported"]
        load(store, CASE_HEADER + "c2 | G2 | 01-04 | 01-11 | | 01-09")
        assert held() == ["id", "updated", "place", "reported", "due"]
        load(store, CASE_HEADER + "c1 | G1 | 01-03 | | 01-08 | 01-08")
        store.publish()
        assert current(store.site).rows(
            "select id, due::date::varchar, closed::date::varchar from cases"
        ) == [
            ("c1", None, "2024-01-08"),
            ("c2", "2024-01-11", None),
        ]
        store.undo(3)
        store.publish()
        assert current(store.site).rows("select id, closed from cases order by id") == [
            ("c1", None),
            ("c2", None),
        ]


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


def test_a_newer_loader_database_is_refused(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        store.connection.execute("update meta set schema_number = 99")
    with pytest.raises(Mistake, match=r"loader\.duckdb: schema 99 is newer than this program's 2 \(install"):
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


def retry(store: Store, of: int, table: str, rows: list[int], bad: list[int]) -> Applied:
    """Apply the rows of a drawn table as rows `rows` of batch `of`'s quarantine; `bad`: rows that fail again."""
    load_tables(store, table, CASES, [(row, "again", ["type:due"]) for row in bad])
    for at, row in enumerate(rows, start=1):
        store.connection.execute("update good set _row = $row where _row = $at", {"row": -row, "at": at})
    store.connection.execute("update good set _row = -_row")
    return store.apply(
        Batch("cases", CASES.label, CASES, "cases.csv", "", 0, "good", "bad", None, 24, retry_of=of)
    )


BAD = [(7, "c7,??", ["refers:place"]), (8, "c8,??", ["refers:place"])]
MENDED = CASE_HEADER + "c7 | G1 | 01-03 | | | 01-03"


def waiting(store: Store) -> list[tuple[int, int, tuple[str, ...]]]:
    return [(row.batch, row.row, row.reasons) for row in store.quarantined()]


def account(store: Store) -> tuple[int, int, int, dict[str, int]]:
    """read, kept, quarantined and the reasons of the one source, as published."""
    store.publish()
    (source,) = current(store.site).sources
    return source.read, source.kept, source.quarantined, source.reasons


def test_a_row_mended_and_tried_again_leaves_quarantine_exactly_once(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST, bad=BAD)
        assert account(store) == (5, 3, 2, {"refers:place": 2})
        tried = retry(store, 1, MENDED, [7], [8])
        assert tried == Applied(batch=2, read=0, kept=1, quarantined=-1, new=1, changed=0, stale=0)
        assert "c7" in held(store)
        assert waiting(store) == [(1, 8, ("type:due",))]
        assert account(store) == (5, 4, 1, {"type:due": 1})
        with pytest.raises(Mistake, match=r"batch 1: 1 rows to retry, but only 0 .* \(nothing was loaded"):
            retry(store, 1, MENDED, [7], [])
        with pytest.raises(Mistake, match="batch 2: 1 rows to retry, but only 0"):
            retry(store, 2, MENDED, [7], [])
        assert account(store) == (5, 4, 1, {"type:due": 1})


def test_undoing_a_retry_puts_its_rows_back_and_undoing_the_file_undoes_its_retries(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST, bad=BAD)
        retry(store, 1, MENDED, [7], [])
        store.undo(2)
        assert "c7" not in held(store)
        assert [row for _, row, _ in waiting(store)] == [7, 8]
        assert account(store) == (5, 3, 2, {"refers:place": 2})
        retry(store, 1, MENDED, [7], [])
        store.undo(1)
        assert held(store) == {}
        assert waiting(store) == []
        assert account(store) == (0, 0, 0, {})
        with pytest.raises(Mistake, match="batch 1: 1 rows to retry, but only 0"):
            retry(store, 1, MENDED, [8], [])


def test_rows_in_quarantine_are_found_by_source_batch_and_reason(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST, bad=BAD)
        load(store, FIRST, source="hotline", bad=[(1, "x", ["type:due", "required:id"])])
        assert store.quarantined(reason="required:id") == [
            QuarantinedRow(2, "hotline", "cases.csv", 1, 2, "x", ("type:due", "required:id"))
        ]
        assert [row.row for row in store.quarantined(source="cases")] == [7, 8]
        assert [row.row for row in store.quarantined(batch=1, limit=1)] == [7]


def test_purging_removes_the_raw_text_of_older_batches_and_nothing_else(tmp_path: Path) -> None:
    early, late = datetime(2024, 6, 1), datetime(2024, 7, 1)
    with tiny_store(tiny_site(tmp_path, early)) as store:
        load(store, FIRST, bad=BAD)
    with tiny_store(tiny_site(tmp_path, late)) as store:
        load(store, FIRST, sha256="two", bad=BAD)
        before = account(store)
        assert store.purge("other", late) == 0
        assert store.purge("cases", late) == 2
        assert store.purge("cases", late) == 0
        assert [(row.batch, row.raw is None) for row in store.quarantined()] == [
            (1, True), (1, True), (2, False), (2, False),
        ]  # fmt: skip
        assert account(store) == before


def test_the_same_content_again_is_counted_as_a_duplicate_not_as_a_file_refused(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        load(store, FIRST, sha256="one")
        of = store.seen("cases", "one")
        again = Batch("cases", CASES.label, CASES, "b.csv", "one", 0, "", "", None, 24, duplicate_of=of)
        assert store.apply(again) == Applied(2, 0, 0, 0, 0, 0, 0)
        store.publish()
        (source,) = current(store.site).sources
        assert (source.files, source.refused, source.duplicates, source.read) == (1, 0, 1, 3)
        assert store.seen("cases", "one") == 1
        assert [(a.batch, a.duplicate_of) for a in store.batches()] == [(2, 1), (1, None)]


def test_the_watermark_is_that_of_the_newest_batch_that_stands(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        assert store.watermark("cases") is None
        for number, mark in enumerate(("2024-01-01", "2024-01-02", None), start=1):
            load_tables(store, CASE_HEADER + f"c{number} | G1 | 01-03 | | | 01-03", CASES)
            pulled = Batch("cases", CASES.label, CASES, "db", f"{mark}", 1, "good", "bad", None, 24, mark)
            store.apply(pulled)
        assert store.watermark("cases") == "2024-01-02"
        store.undo(2)
        assert store.watermark("cases") == "2024-01-01"
        assert store.watermark("other") is None


def test_warnings_are_counted_and_leave_with_an_undone_batch(tmp_path: Path) -> None:
    with tiny_store(tiny_site(tmp_path)) as store:
        for number in (1, 2):
            load_tables(store, CASE_HEADER + f"c{number} | G1 | 01-03 | | | 01-03", CASES)
            warned = {"max:due": 1, f"w{number}": 1}
            store.apply(
                Batch("cases", CASES.label, CASES, "x", "x", 1, "good", "bad", None, 24, warned=warned)
            )
        store.publish()
        assert current(store.site).sources[0].warned == {"max:due": 2, "w1": 1, "w2": 1}
        assert store.batches(last=1)[0].warned == {"max:due": 1, "w2": 1}
        store.undo(2)
        store.publish()
        assert current(store.site).sources[0].warned == {"max:due": 1, "w1": 1}


def test_hashes_of_another_duckdb_are_made_anew_at_open(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        load(store, "id | updated | gone\nc3 | 03-01 | x")
        for table in ("rec_cases", "gone_cases", "past_cases"):
            store.connection.execute(f"update {table} set _hash = 7")
        store.connection.execute("update meta set hashes = 7")
    with tiny_store(site) as store:
        late = load(store, CASE_HEADER + "c1 | G9 | 01-03 | | | 02-01\nc3 | G9 | 02-01 | | | 02-02")
        assert (late.new, late.changed, late.stale) == (0, 1, 1)
        assert {case: row[0] for case, row in held(store).items()} == {"c1": "G9", "c2": "G2"}


def test_a_database_of_an_older_schema_is_refused_with_a_way_on(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        store.connection.execute("update meta set schema_number = 1")
    with pytest.raises(Mistake, match=r"schema 1 is older than this program's 2 \(move it away and let"):
        tiny_store(site)


def test_the_site_says_how_much_memory_the_loader_may_take(tmp_path: Path) -> None:
    site = tiny_site(tmp_path).model_copy(update={"memory_limit": "512MiB"})
    with tiny_store(site) as store:
        assert store.connection.execute(
            "select current_setting('memory_limit'), current_setting('temp_directory')"
        ).fetchall() == [("512.0 MiB", str(tmp_path / "temp"))]


def _environment() -> dict[str, str]:
    here = Path(__file__).parent
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
