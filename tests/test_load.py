"""Loading: what becomes of each file, and that nothing is lost."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import load as loading
from pipelines import run as running
from pipelines.contract import read_contract
from pipelines.load import Loaded, load_once, total, waiting
from pipelines.run import load
from warehouse import layout
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Store
from warehouse.text import Text

PLACES = """区划代码,上级代码,层级,名称,英文名称,更新时间
43,,县,甲县,Jia,2024-01-01
431,43,乡镇,乙镇,Yi,2024-01-01
"""
VISITS = "走访编号,所属网格,户编号,走访结果,走访时间,更新时间,户主\n"
FIRST = VISITS + "V1,431,H1,正常,2024-05-01,2024-05-01,张三\nV2,乙镇,H2,有需求,2024-05-02,2024-05-02,李四\n"
CONTRACT = """
base = "visits"
[files]
match = ["visits*.csv"]
format = "csv"
[fields.visit_id]
[fields.place]
[fields.household_key]
[fields.result]
[fields.visited_at]
[fields.updated_at]
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(folder=tmp_path, name=Text(zh="甲县", en="Jia"), home="43")
    site.inbox.mkdir()
    site.sources.mkdir()
    (site.sources / "visits.toml").write_text(CONTRACT, encoding="utf-8")
    return site


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with Store.open(site) as store:
        yield store


def drop(site: Site, name: str, text: str) -> None:
    (site.inbox / name).write_text(text, encoding="utf-8")


def one(loaded: list[Loaded]) -> Loaded:
    assert len(loaded) == 1
    return loaded[0]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    return store.connection.execute(sql).fetchall()


def test_places_are_loaded_before_records_and_one_version_is_published(site: Site, store: Store) -> None:
    drop(site, "VISITS-05.csv", FIRST)
    drop(site, "places.csv", PLACES)
    steps: list[tuple[str, int, int]] = []
    loaded = load_once(site, store, progress=lambda *step: steps.append(step))
    assert steps == [("places.csv", 1, 2), ("VISITS-05.csv", 2, 2)]
    assert [(r.file, r.source, r.status, r.read, r.kept, r.new) for r in loaded] == [
        ("places.csv", "places", "loaded", 2, 2, 2),
        ("VISITS-05.csv", "visits", "loaded", 2, 2, 2),
    ]
    assert list(layout.version_ids(site)) == ["v000001"]
    assert files(site.inbox) == set()
    assert files(site.archived) == {"places.csv", "VISITS-05.csv"}
    assert rows(store, "select place, result from rec_visits order by visit_id") == [
        ("431", "normal"),
        ("431", "need"),
    ]


def test_what_a_killed_load_committed_is_published_by_the_next_one_though_nothing_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "places.csv", PLACES)

    def killed(store: Store) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            load(site)
    assert layout.read_pointer(site) is None
    assert load(site) == []
    assert layout.read_pointer(site) == "v000001"
    assert load(site) == []
    assert layout.read_pointer(site) == "v000001", "nothing changed since"


def test_the_same_content_again_is_accounted_as_a_duplicate_and_changes_nothing(
    site: Site, store: Store
) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST)
    load_once(site, store)
    before = rows(store, "select * from rec_visits order by visit_id")
    drop(site, "visits_again.csv", FIRST)
    again = one(load_once(site, store))
    assert (again.status, again.source, again.new, again.changed) == ("duplicate", "visits", 0, 0)
    assert rows(store, "select * from rec_visits order by visit_id") == before
    (account, first, _) = store.batches()
    assert (account.refused, account.duplicate_of, account.read) == (None, first.batch, 0)
    assert f"batch {first.batch}" in str(again.reason) and account.batch == again.batch
    assert "visits_again.csv" in files(site.archived)


def test_a_later_correction_of_a_key_wins_and_an_older_one_does_not(site: Site, store: Store) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST)
    load_once(site, store)
    drop(
        site,
        "visits2.csv",
        VISITS + "V1,431,H1,未遇,2024-05-01,2024-05-03,\nV2,431,H2,拒访,2024-05-02,2024-04-01,\n",
    )
    result = one(load_once(site, store))
    assert (result.new, result.changed, result.stale) == (0, 1, 1)
    assert rows(store, "select result from rec_visits order by visit_id") == [("absent",), ("need",)]


def test_a_file_without_a_contract_is_set_aside_with_the_reason_and_accounted(
    site: Site, store: Store
) -> None:
    drop(site, "holiday.jpg", "not a table")
    result = one(load_once(site, store))
    assert (result.status, result.source) == ("refused", "unknown")
    assert files(site.folder / "refused") == {"holiday.jpg", "holiday.jpg.reason.txt"}
    assert "no contract" in (site.folder / "refused" / "holiday.jpg.reason.txt").read_text(encoding="utf-8")
    assert rows(store, "select source, file, refused is not null from batches") == [
        ("unknown", "holiday.jpg", True)
    ]


def test_an_unclosed_quote_refuses_the_whole_file_and_the_next_one_still_loads(
    site: Site, store: Store
) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits1.csv", FIRST.replace("正常", '"正常'))
    drop(site, "visits2.csv", FIRST)
    results = load_once(site, store)
    assert [(r.file, r.status) for r in results] == [
        ("places.csv", "loaded"),
        ("visits1.csv", "refused"),
        ("visits2.csv", "loaded"),
    ]
    assert "unclosed" in str(results[1].reason)
    assert rows(store, "select count(*) from rec_visits") == [(2,)]
    drop(site, "visits1.csv", FIRST.replace("正常", '"正常'))
    load_once(site, store)
    assert {"visits1.csv", "visits1.2.csv"} <= files(site.folder / "refused")


def test_a_bad_row_is_quarantined_and_the_rest_of_the_file_loads(site: Site, store: Store) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST + "V3,999,H3,正常,2024-05-32,2024-05-03,王五\n")
    result = load_once(site, store)[1]
    assert (result.read, result.kept, result.quarantined) == (3, 2, 1)
    found = rows(store, "select source, file, row, line, reasons from quarantine")
    assert found == [("visits", "visits.csv", 3, 4, ["refers:place", "type:visited_at"])]


def test_a_blocked_heading_and_a_household_number_are_nowhere_on_the_disk(site: Site) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST + "V3,999,HOUSEHOLD-77,正常,2024-05-32,2024-05-03,王五\n")
    load(site)
    held = b"".join(
        path.read_bytes()
        for folder in (site.warehouse, site.log)
        for path in folder.rglob("*")
        if path.is_file()
    )
    for secret in ("张三", "李四", "王五", "HOUSEHOLD-77"):
        assert secret.encode() not in held


def test_a_file_that_fails_by_our_own_fault_stays_in_the_inbox(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST)

    def broken(batch: object) -> None:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", broken)
        assert [r.status for r in load_once(site, store)] == ["failed", "failed"]
    assert files(site.inbox) == {"places.csv", "visits.csv"}
    assert [r.status for r in load_once(site, store)] == ["loaded", "loaded"]


def test_a_loader_killed_between_commit_and_move_finds_the_file_again_and_changes_nothing(
    site: Site, store: Store
) -> None:
    drop(site, "places.csv", PLACES)
    load_once(site, store)
    drop(site, "places.csv", PLACES)
    assert one(load_once(site, store)).status == "duplicate"
    assert rows(store, "select count(*) from rec_places") == [(2,)]


def test_hidden_and_unfinished_files_are_left_alone(site: Site) -> None:
    for name in (".places.csv", "~$places.xlsx", "places.csv.part", "places.csv.TMP"):
        drop(site, name, PLACES)
    (site.inbox / "folder").mkdir()
    assert waiting(site) == {}


def test_a_loaded_file_is_deleted_where_the_site_says_so(site: Site) -> None:
    drop(site, "places.csv", PLACES)
    load(site.model_copy(update={"archive": "delete"}))
    assert files(site.inbox) == set() and not site.archived.exists()


def test_the_key_of_the_pseudonyms_is_made_once_and_only_its_owner_may_read_it(site: Site) -> None:
    drop(site, "places.csv", PLACES)
    load(site)
    path = site.folder / "secret.key"
    first = path.read_text(encoding="ascii")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    load(site)
    assert path.read_text(encoding="ascii") == first
    path.write_text("not a key", encoding="ascii")
    with pytest.raises(Mistake, match=r"secret\.key"):
        load(site)


def test_a_wrong_contract_stops_the_load_before_any_file_is_touched(site: Site) -> None:
    drop(site, "places.csv", PLACES)
    (site.sources / "visits.toml").write_text(CONTRACT.replace("base", "bsae"), encoding="utf-8")
    with pytest.raises(Mistake, match=r"visits\.toml"):
        load(site)
    assert files(site.inbox) == {"places.csv"}


def test_the_accounts_of_the_files_add_up_to_that_of_the_load(site: Site, store: Store) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST + "V3,999,H3,正常,2024-05-32,2024-05-03,王五\n")
    drop(site, "visits_again.csv", FIRST + "V3,999,H3,正常,2024-05-32,2024-05-03,王五\n")
    drop(site, "holiday.jpg", "not a table")
    loaded = load_once(site, store)
    assert [one.line().partition(" | ")[0] for one in loaded if one.status == "loaded"] == [
        "places.csv: loaded, 2 read = 2 kept + 0 quarantined",
        "visits.csv: loaded, 3 read = 2 kept + 1 quarantined",
    ]
    assert all(one.read == one.kept + one.quarantined for one in loaded)
    assert total(loaded) == (
        "4 files: 2 loaded, 1 duplicate, 1 refused; 5 rows read = 4 kept + 1 quarantined"
    )


def test_a_refused_file_dropped_again_mended_is_loaded(site: Site, store: Store) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST.replace("走访编号", "编"))
    assert [one.status for one in load_once(site, store)] == ["loaded", "refused"]
    drop(site, "visits.csv", FIRST)
    assert one(load_once(site, store)).status == "loaded"
    assert files(site.folder / "refused") == {"visits.csv", "visits.csv.reason.txt"}


def test_a_link_or_a_pipe_is_refused_and_what_it_leads_to_is_neither_read_nor_moved(
    site: Site, store: Store, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text(PLACES, encoding="utf-8")
    (site.inbox / "places.csv").symlink_to(outside)
    (site.inbox / "places2.csv").symlink_to(tmp_path / "nowhere")
    os.mkfifo(site.inbox / "places3.csv")
    assert [(r.file, r.status) for r in load_once(site, store)] == [
        ("places.csv", "refused"),
        ("places2.csv", "refused"),
        ("places3.csv", "refused"),
    ]
    assert outside.read_text(encoding="utf-8") == PLACES and list(site.inbox.iterdir()) == []
    assert (site.folder / "refused" / "places.csv").is_symlink()
    assert store.datasets == {}


def test_a_folder_in_the_inbox_is_left_alone_and_said(site: Site) -> None:
    (site.inbox / "2024").mkdir()
    drop(site, "2024/places.csv", PLACES)
    found = one(load(site))
    assert (found.file, found.status) == ("2024", "failed") and "a folder" in str(found.reason)
    assert (site.inbox / "2024" / "places.csv").exists()


def test_a_file_taken_away_before_it_is_read_is_gone_and_hinders_nothing(site: Site, store: Store) -> None:
    drop(site, "places.csv", PLACES)
    found = load_once(site, store, files=[site.inbox / "places.csv", site.inbox / "visits.csv"])
    assert [(r.file, r.status) for r in found] == [("places.csv", "loaded"), ("visits.csv", "gone")]


def test_a_file_that_changes_while_it_is_read_stays_and_is_loaded_whole_later(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "places.csv", PLACES)
    judge = loading.check

    def slow(*arguments: object) -> object:
        with (site.inbox / "places.csv").open("a", encoding="utf-8") as file:
            file.write("432,43,乡镇,丙镇,Bing,2024-01-01\n")
        return judge(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loading, "check", slow)
        found = one(load_once(site, store))
    assert found.status == "failed" and "changed while" in str(found.reason)
    assert store.batches() == []
    assert one(load_once(site, store)).read == 3


def test_a_file_that_grows_between_two_looks_is_left_for_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST)

    def meanwhile(_: float) -> None:
        with (site.inbox / "visits.csv").open("a", encoding="utf-8") as file:
            file.write("V3")

    monkeypatch.setattr(running, "SWEEP_SECONDS", 60)
    monkeypatch.setattr(time, "sleep", meanwhile)
    assert [(r.file, r.status) for r in load(site)] == [("places.csv", "loaded"), ("visits.csv", "failed")]
    assert files(site.inbox) == {"visits.csv"}


def test_a_file_that_cannot_be_read_stays_and_the_next_one_still_loads(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "places_locked.csv", PLACES)
    drop(site, "visits.csv", FIRST)
    digest = loading._sha256

    def locked(path: Path) -> str:
        if "locked" in path.name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return digest(path)

    monkeypatch.setattr(loading, "_sha256", locked)
    assert [r.status for r in load_once(site, store)] == ["loaded", "failed", "loaded"]
    assert files(site.inbox) == {"places_locked.csv"}


def test_a_full_disk_is_one_mistake_the_file_stays_and_what_was_committed_is_published(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("places.csv", PLACES), ("visits.csv", FIRST), ("visits2.csv", FIRST + FIRST)):
        drop(site, name, text)
    apply = store.apply
    tried: list[str] = []

    def full(batch: loading.Batch) -> object:
        tried.append(batch.file)
        if batch.source == "visits":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "loader.duckdb.wal")
        return apply(batch)

    with (
        monkeypatch.context() as patch,
        pytest.raises(Mistake, match=r"disk takes no more: visits\.csv") as mistake,
    ):
        patch.setattr(store, "apply", full)
        load_once(site, store)
    assert "\n" not in str(mistake.value)
    assert tried == ["places.csv", "visits.csv"], "no other file would fare better"
    assert layout.read_pointer(site) == "v000001" and files(site.inbox) == {"visits.csv", "visits2.csv"}
    assert [r.status for r in load_once(site, store)] == ["loaded", "loaded"]


def test_nothing_is_committed_whose_file_could_not_be_moved_away(site: Site, store: Store) -> None:
    drop(site, "places.csv", PLACES)
    site.archived.write_text("a file where the archive should be", encoding="utf-8")
    found = one(load_once(site, store))
    assert found.status == "failed" and "archive" in str(found.reason)
    assert store.batches() == [] and files(site.inbox) == {"places.csv"}


def test_names_that_are_no_utf8_too_long_or_broken_over_lines_are_accounted_readably(
    site: Site, store: Store
) -> None:
    names = ["走访.jpg".encode("gb18030"), b"a\nb.jpg", b"x" * 251 + b".jpg"]
    for name in names:
        Path(os.fsdecode(os.fsencode(site.inbox) + b"/" + name)).write_text(str(name), encoding="utf-8")
    found = load_once(site, store)
    assert sorted(r.file for r in found) == ["a�b.jpg", "x" * 251 + ".jpg", "走访.jpg"]
    assert [r.status for r in found] == ["refused"] * 3
    assert len(list((site.folder / "refused").iterdir())) == 6


def test_the_journal_is_loaded_where_it_lies_and_again_only_when_it_has_grown(
    site: Site, store: Store
) -> None:
    drop(site, "places.csv", PLACES)
    load_once(site, store)
    site.journal.mkdir()
    written = site.journal / "visits_app.csv"
    written.write_text(FIRST, encoding="utf-8")
    assert [(r.file, r.status, r.new) for r in load_once(site, store)] == [("visits_app.csv", "loaded", 2)]
    before = store.batches()
    assert [(r.status, r.batch) for r in load_once(site, store)] == [("duplicate", None)]
    assert store.batches() == before, "the same content is no news"
    written.write_text(FIRST + "V3,431,H3,正常,2024-05-03,2024-05-03,王五\n", encoding="utf-8")
    again = one(load_once(site, store))
    assert (again.status, again.read, again.new, again.stale) == ("loaded", 3, 1, 2)
    assert written.exists()


def test_a_stop_is_heard_between_two_files(site: Site, store: Store) -> None:
    drop(site, "places.csv", PLACES)
    drop(site, "visits.csv", FIRST)
    seen: list[str] = []
    found = load_once(site, store, progress=lambda name, *_: seen.append(name), stop=lambda: bool(seen))
    assert [r.file for r in found] == ["places.csv"]
    assert layout.read_pointer(site) == "v000001" and files(site.inbox) == {"visits.csv"}


THINGS = """
dataset = "things"
label = { zh = "物", en = "Things" }
[files]
match = ["things*.csv"]
[deleted]
when = "gone"
[fields.id]
type = "code"
role = "key"
label = { zh = "编号", en = "Number" }
from = ["id"]
[fields.what]
type = "text"
label = { zh = "事", en = "What" }
from = ["what"]
[fields.gone]
type = "bool"
label = { zh = "删除", en = "Removed" }
from = ["gone"]
[fields.updated]
type = "time"
role = "updated"
label = { zh = "改于", en = "Updated" }
from = ["updated"]
"""
Row = tuple[int, int, str, bool]
"""Number, day of its update, what it says, whether it is removed."""


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Store, list[int]]]:
    folder = tmp_path_factory.mktemp("things")
    site = Site(folder=folder, name=Text(zh="甲县", en="Jia"), home="43")
    site.inbox.mkdir()
    (folder / "things.toml").write_text(THINGS, encoding="utf-8")
    with Store.open(site, marts=[], models=[]) as store:
        yield site, store, [0]


@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_in_whatever_order_and_split_and_however_often_rows_come_the_warehouse_ends_the_same(
    things: tuple[Site, Store, list[int]], data: st.DataObject
) -> None:
    site, store, example = things
    known = {"things": read_contract(site.folder / "things.toml")}
    example[0] += 1

    def given_in(run: str, lots: list[list[Row]]) -> list[tuple[object, ...]]:
        """Load the lots as files, one after the other, under keys of their own; what is held then."""
        mark = f"{example[0]}{run}"
        for at, lot in enumerate(lots):
            lines = [f"{mark}-{number},{what},{gone},2024-01-{day:02}" for number, day, what, gone in lot]
            drop(site, f"things_{mark}_{at:02}.csv", "\n".join(["id,what,gone,updated", *lines, ""]))
        found = load_once(site, store, known=known)
        assert {one.status for one in found} <= {"loaded", "duplicate"} and len(found) == len(lots)
        return rows(
            store,
            f"select split_part(id, '-', 2), what, updated from rec_things where id like '{mark}-%' order by 1",
        )

    states = data.draw(
        st.lists(
            st.tuples(st.integers(1, 5), st.integers(1, 28), st.sampled_from("甲乙丙"), st.booleans()),
            min_size=1, max_size=15, unique_by=lambda row: row[:2],
        )
    )  # fmt: skip
    repeated = states + data.draw(st.lists(st.sampled_from(states), max_size=8))
    shuffled = data.draw(st.permutations(repeated))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(shuffled)), max_size=3, unique=True)))
    lots = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True) if a < b]
    in_order = sorted(states, key=lambda row: row[1])
    assert given_in("b", lots) == given_in("a", [in_order])
