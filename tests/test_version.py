"""The reader's side: a version is whole, stays as it is, and is there for every thread."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from tiny import CASE_HEADER, PLACES, TREE, load, tiny_site, tiny_store

from warehouse import layout
from warehouse.catalogue import Model
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Store
from warehouse.version import current, version

FIRST = """
id   | place | reported | due   | closed | updated
c1   | G1    | 01-03    | 01-10 |        | 01-03
c2   | G2    | 01-04    | 01-11 | 01-09  | 01-09
"""


def test_with_nothing_published_the_remedy_is_to_load(tmp_path: Path) -> None:
    with pytest.raises(
        Mistake, match=r"CURRENT: nothing is published yet \(run 'nerve load' or 'nerve demo'\)"
    ):
        current(tiny_site(tmp_path))


def test_a_version_tells_what_it_is(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    found = current(site)
    assert (found.id, found.cutoff, found.made_at) == ("v000001", site.now(), site.now())
    assert found.site_name == site.name
    assert found.datasets["cases"].mapped == ("id", "place", "reported", "due", "closed", "updated")
    assert found.tables == {"places", "place_groups", "cases_month", "cases_day"}


def test_a_field_that_no_row_has_is_left_out_of_the_base_and_read_as_null(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, CASE_HEADER + "c1 | G1 | 01-03 | 01-10 | | 01-03\nc2 | G2 | 01-04 | | | 01-04")
        store.publish()
        assert layout.read_manifest(site, "v000001").records["cases"].absent == ("closed",)
        assert current(site).rows("select id, due is null, closed from cases order by id") == [
            ("c1", False, None),
            ("c2", True, None),
        ]
        load(store, CASE_HEADER + "c2 | G2 | 01-04 | | 01-05 | 01-05")
        store.publish()
        both = [("c1", 0), ("c2", 1)]
        assert current(site).rows("select id, count(closed) from cases group by id order by id") == both
        store.fold()
        assert layout.read_manifest(site, "v000003").records["cases"].absent == ()
        assert current(site).rows("select id, count(closed) from cases group by id order by id") == both


def test_the_same_version_is_opened_once(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
        assert current(site) is current(site)
        assert version(site, "v000001") is current(site)


def test_values_are_bound_by_position_and_by_name(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    found = current(site)
    assert found.rows("select id from cases where place = ?", ["G2"]) == [("c2",)]
    assert found.rows("select id from cases where place = $place", {"place": "G1"}) == [("c1",)]
    table = found.arrow("select id from cases where place = $place", {"place": "G1"})
    assert isinstance(table, pa.Table)
    assert table.to_pydict() == {"id": ["c1"]}


def test_a_reader_keeps_its_version_while_newer_ones_are_published_and_folded(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
        kept = current(site)
        for day in range(1, 5):
            load(
                store,
                CASE_HEADER
                + f"c1 | G1 | 01-03 | 01-10 | 02-0{day} | 02-0{day}\nn{day} | G1 | 01-01 | | | 03-01",
            )
            store.publish()
        store.fold()
        newest = current(site)
        assert kept.rows("select count(*), count(closed) from cases") == [(2, 1)]
        assert kept.rows("select sum(reported__n) from cases_month") == [(2,)]
        assert newest.rows("select count(*), count(closed) from cases") == [(6, 2)]
        assert newest.rows("select sum(reported__n) from cases_month") == [(6,)]
        assert version(site, kept.id) is kept


def test_an_old_version_can_be_asked_again_by_its_id(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
        load(store, CASE_HEADER + "c3 | G1 | 01-03 | | | 01-03")
        store.publish()
    assert version(site, "v000001").rows("select count(*) from cases") == [(2,)]
    assert version(site, "v000002").rows("select count(*) from cases") == [(3,)]
    with pytest.raises(Mistake, match="the version was removed"):
        version(site, "v000009")
    with pytest.raises(Mistake, match="no version id"):
        version(site, "../x")


def test_threads_read_while_the_loader_publishes_and_never_see_half_a_batch(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    torn: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            found = current(site)
            (records,) = found.rows("select count(*) from cases")
            (mart,) = found.rows("select sum(reported__n)::bigint from cases_month")
            if not records == mart == (found.sources[0].kept,):
                torn.append((found.id, records, mart))

    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(12):
            load(
                store, CASE_HEADER + f"n{number} | G1 | 01-03 | | | 01-03\nm{number} | G2 | 01-03 | | | 01-03"
            )
            store.publish()
        done.set()
        for reader in readers:
            reader.join()
    assert torn == []


def test_ancestors_follow_the_parent_and_a_ring_of_parents_ends(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, TREE + "R1 | R2 | village\nR2 | R1 | township\n", PLACES)
        store.publish()
    rows = current(site).rows("select code, county, township, village, grid from places order by code")
    assert rows == [
        ("G1", "K", "T1", "V1", "G1"),
        ("G2", "K", "T1", "V1", "G2"),
        ("G3", "K", "T2", None, "G3"),
        ("K", "K", None, None, None),
        ("R1", None, "R2", "R1", None),
        ("R2", None, "R2", "R1", None),
        ("T1", "K", "T1", None, None),
        ("T2", "K", "T2", None, None),
        ("V1", "K", "T1", "V1", None),
    ]


def test_without_places_their_tables_are_empty_not_missing(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    assert current(site).rows("select code, township from places") == []
    assert current(site).rows("select group_code, place from place_groups") == []


def test_a_model_is_a_table_run_again_only_when_what_it_reads_changed(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    per_place = Model("per_place", "select place, count(*) as n from cases group by place", ("cases",))
    absent = Model("absent", "select * from patrols", ("patrols",))
    with Store.open(site, marts=[], models=[per_place, absent]) as store:
        load(store, FIRST)
        store.publish()
        first = layout.read_manifest(site, "v000001").tables
        assert current(site).rows("select * from per_place order by place") == [("G1", 1), ("G2", 1)]
        load(store, TREE, PLACES)
        store.publish()
        assert layout.read_manifest(site, "v000002").tables["per_place"] == first["per_place"]
        load(store, CASE_HEADER + "c3 | G1 | 01-03 | | | 01-03")
        store.publish()
        assert current(site).rows("select * from per_place order by place") == [("G1", 2), ("G2", 1)]
        assert "absent" not in current(site).tables


def test_a_version_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    path = layout.manifest(site, "v000001")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_number": 99}))
    with pytest.raises(Mistake, match=r"manifest\.json: schema 99 is newer than this program's 2 \(install"):
        current(site)


def damage(site: Site, victim: str, content: bytes | None) -> None:
    """Write other content in the place of a file of version 2, or remove it."""
    path = {
        "marts": layout.marts(site, "v000002"),
        "manifest": layout.manifest(site, "v000002"),
        "records": site.warehouse / "records" / "cases" / "v000002-delta.parquet",
        "pointer": layout.pointer(site),
    }[victim]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content or path.read_bytes()[:-3])


@pytest.mark.parametrize("content", [b"not what it should be", b"", None], ids=["other", "cut", "gone"])
@pytest.mark.parametrize("victim", ["marts", "manifest", "records", "pointer"])
def test_in_place_of_a_damaged_version_the_last_readable_one_is_shown_and_says_so(
    tmp_path: Path, victim: str, content: bytes | None
) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
        load(store, CASE_HEADER + "c3 | G1 | 01-03 | | | 01-03")
        store.publish()
    damage(site, victim, content)
    found = current(site)
    whole = 2 if victim == "pointer" else 1
    assert (found.id, found.rows("select count(*) from cases")) == (f"v00000{whole}", [(whole + 1,)])
    if (victim, content) != ("pointer", b""):
        assert found.instead_of is not None
        assert str(site.warehouse) in found.instead_of.where
        assert (
            "run 'nerve load'" in found.instead_of.remedy or "use the current one" in found.instead_of.remedy
        )
    with tiny_store(site) as store:
        store.publish()
    assert current(site).rows("select count(*) from cases") == [(3,)]
    assert current(site).instead_of is None


def test_where_no_version_can_be_read_the_damaged_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    layout.marts(site, "v000001").write_bytes(b"not what it should be")
    with pytest.raises(Mistake, match=r"marts\.duckdb: cut short or changed: .*run 'nerve load'"):
        current(site)


def test_records_removed_under_a_reader_are_said_plainly(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, FIRST)
        store.publish()
    found = current(site)
    (site.warehouse / "records" / "cases" / "v000001-base.parquet").unlink()
    with pytest.raises(Mistake, match=r"version v000001: .*load the page again"):
        found.rows("select * from cases")
