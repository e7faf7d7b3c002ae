"""Killed, out of space, forbidden to write, its files damaged: the loader loses nothing and says what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import CASE_HEADER, CASES, PLACES, TREE, load, tiny_site, tiny_store

from warehouse import layout
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Applied, Batch, Store, rebuild
from warehouse.version import current

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.never_half import POINTS, endure

ONE = CASE_HEADER + "c1 | G1 | 01-03 | 01-10 | | 01-03"
TWO = CASE_HEADER + "c1 | G2 | 01-03 | 01-10 | | 01-04\nc2 | G2 | 01-03 | 01-10 | | 01-04"


def test_killed_at_twenty_moments_nothing_is_lost_or_doubled_and_no_reader_sees_half(tmp_path: Path) -> None:
    report = endure(tmp_path, moments=20 - len(POINTS), points=len(POINTS))
    assert report.faults == []
    assert report.phases.total() == 20
    assert {name for name, *_ in POINTS} == set(report.points)
    assert report.reads > 0


# -- no space, no right to write ------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, so large. Skips where it cannot be mounted; see the test beside it."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system needs root; the limit on a file's size stands in for it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def many(store: Store, rows: int, first: int) -> Applied:
    """One batch of so many new cases with long ids, which pack badly."""
    run = store.connection.execute
    run(
        "create or replace temp table good as select sha256(i::varchar) as id, 'G1' as place,"
        " timestamp '2024-01-01' + to_hours((i % 999)::int) as reported, timestamp '2024-02-01' as updated,"
        f" i as _row from range({first}, {first + rows}) r(i)"
    )
    run("create or replace temp table bad (row bigint, line bigint, raw varchar, reasons varchar[])")
    return store.apply(
        Batch("cases", CASES.label, CASES, f"{first}.csv", str(first), rows, "good", "bad", None, 24)
    )


def fill_up(store: Store, rows: int = 2000) -> tuple[int, Mistake]:
    """Load and publish until the disk is full; the cases of the last version, and what was said."""
    published = 0
    for number in range(200):
        try:
            many(store, rows, number * rows)
            store.publish()
        except Mistake as mistake:
            return published, mistake
        published += rows
    raise AssertionError("never full")


def served(site: Site) -> int:
    ((rows,),) = current(site).rows("select count(*) from cases")
    assert current(site).rows("select sum(reported__n) from cases_month") == [(rows,)]
    return int(rows)


def test_on_a_full_disk_the_last_version_is_served_and_with_space_again_the_next_load_works(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(4_000_000))
        site = tiny_site(disk / "site")
        with tiny_store(site) as store:
            published, mistake = fill_up(store)
            assert "no space left" in mistake.what
            assert "free some" in mistake.remedy
            assert served(site) == published
            with pytest.raises(Mistake, match="no space left"):
                store.checkpoint()
            assert served(site) == published
            ballast.unlink()
            many(store, 5, 10_000_000)
            store.publish()
            # The batch that met the full disk is there whole or not at all.
            assert served(site) in (published + 5, published + 2005)
            assert served(site) == sum(account.kept for account in store.batches(last=None))
        with tiny_store(site) as store:
            assert store.connection.execute("select count(*) from rec_cases").fetchall() == [(served(site),)]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from test_never_half import fill_up, many, served
from tiny import tiny_site, tiny_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
site = tiny_site(Path(sys.argv[1]))
with tiny_store(site) as store:
    published, mistake = fill_up(store)
    assert "no space left" in mistake.what, mistake
    assert served(site) == published
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    many(store, 5, 10_000_000)
    store.publish()
    assert served(site) == sum(account.kept for account in store.batches(last=None)) >= published + 5
"""


def test_a_file_that_may_not_grow_is_like_a_full_disk(tmp_path: Path) -> None:
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_a_folder_that_cannot_be_written_is_said_plainly_and_its_version_is_served(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        site = tiny_site(disk / "site")
        with tiny_store(site) as store:
            load(store, ONE)
            store.publish()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(
            Mistake, match=r"warehouse: cannot be written: .*let the loader's user write there"
        ):
            tiny_store(site)
        assert served(site) == 1


# -- damage ---------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "other": lambda path: path.write_bytes(b"not a database" * 1000),
    "cut": cut,
}


@pytest.mark.parametrize("damaged", DAMAGES)
def test_a_damaged_loader_database_is_named_and_rebuilt_from_the_newest_version(
    tmp_path: Path, damaged: str
) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, TREE, PLACES)
        load(store, ONE, bad=[(2, "c?", ["required:place"])])
        store.publish()
        load(store, TWO)
        load(store, "id | updated | gone\nc1 | 03-01 | x")
        store.publish()
        held = store.connection.execute("from cases order by id").fetchall()
    before = current(site)
    path = layout.loader(site)
    DAMAGES[damaged](path)
    with pytest.raises(
        Mistake, match=r"loader\.duckdb: .*\(restore a backup, or let 'nerve doctor --repair'"
    ):
        tiny_store(site)
    assert current(site) is before
    if damaged in ("other", "cut"):
        with pytest.raises(Mistake, match=r"loader\.duckdb: is there"):
            rebuild(site)
        path.rename(path.with_name("broken"))
    assert rebuild(site) == before.id
    with tiny_store(site) as store:
        assert store.connection.execute("from cases order by id").fetchall() == held
        assert store.publish() is not None
        assert {s.name: (s.read, s.kept, s.quarantined) for s in current(site).sources} == {
            "cases": (5, 4, 1),
            "places": (7, 7, 0),
        }
        assert current(site).rows("select * from cases_month") == before.rows("select * from cases_month")
        assert current(site).rows("from places order by code") == before.rows("from places order by code")
        # A tombstone came back too: what is older than it stays away.
        load(store, CASE_HEADER + "c1 | G1 | 01-03 | | | 02-01\nc2 | G3 | 01-03 | | | 02-01")
        assert store.connection.execute("select id, place from rec_cases").fetchall() == [("c2", "G3")]
        with pytest.raises(Mistake, match=f"batch 1: holds all that version {before.id} held"):
            store.undo(1)


def test_without_any_readable_version_there_is_nothing_to_rebuild_from(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"versions: no version can be read \(restore a backup\)"):
        rebuild(tiny_site(tmp_path))


def test_a_database_older_than_what_was_published_is_not_published_over_it(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, ONE)
        store.publish()
    older = layout.loader(site).read_bytes()
    with tiny_store(site) as store:
        load(store, TWO)
        store.publish()
    layout.loader(site).write_bytes(older)
    with pytest.raises(Mistake, match=r"loader\.duckdb: lacks batch 2, which version v000002 has"):
        tiny_store(site)
    assert served(site) == 2


def test_leftovers_of_a_killed_loader_are_cleared(tmp_path: Path) -> None:
    site = tiny_site(tmp_path)
    with tiny_store(site) as store:
        load(store, ONE)
        store.publish()
    site.temp.mkdir()
    left = [
        site.temp / "duckdb_temp_storage_DEFAULT-0.tmp",
        site.warehouse / "CURRENT.new",
        site.warehouse / "loader.new",
    ]
    for path in left:
        path.write_bytes(b"half")
    with tiny_store(site) as store:
        assert not any(path.exists() for path in left)
        assert served(site) == 1
        assert store.publish() is None
