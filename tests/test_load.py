"""Loading: what becomes of each file, that nothing is lost, and that one loader runs at a time."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import run as running
from pipelines.load import Loaded, load_once, waiting
from pipelines.run import load, only_loader, run
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
    assert rows(store, "select refused from batches order by batch desc limit 1") == [(again.reason,)]
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


def test_a_second_loader_is_told_who_has_the_lock(site: Site) -> None:
    with only_loader(site), pytest.raises(Mistake) as mistake, only_loader(site):
        pass
    assert f"process {os.getpid()}" in str(mistake.value) and f"kill {os.getpid()}" in str(mistake.value)
    with only_loader(site):
        pass


def until(done: threading.Event, seconds: float = 20) -> None:
    assert done.wait(seconds), "nothing happened"


def test_the_running_loader_takes_a_file_once_it_has_settled_and_stops_when_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SWEEP_SECONDS", 0.02)
    stop, seen = threading.Event(), threading.Event()
    taken: list[str] = []

    def watched(*args: object, **named: object) -> list[Loaded]:
        result = load_once(*args, **named)  # type: ignore[arg-type]
        taken.extend(loaded.file for loaded in result)
        seen.set()
        return result

    monkeypatch.setattr(running, "load_once", watched)
    worker = threading.Thread(target=run, args=(site, stop))
    worker.start()
    try:
        drop(site, "places.csv", PLACES)
        until(seen)
    finally:
        stop.set()
        worker.join(20)
    assert not worker.is_alive()
    assert taken == ["places.csv"]
    beat = json.loads((site.log / "heartbeat.json").read_text(encoding="utf-8"))
    assert beat["pid"] == os.getpid()
    events = [
        json.loads(line)["event"]
        for line in (site.log / "loader.log").read_text(encoding="utf-8").splitlines()
    ]
    assert events[0] == "started" and events[-1] == "stopped" and "file" in events and "published" in events


def test_a_job_that_raises_is_logged_and_the_loop_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SWEEP_SECONDS", 0.01)
    stop, enough = threading.Event(), threading.Event()
    calls: list[int] = []

    def bad(self: object) -> None:
        calls.append(1)
        if len(calls) > 2:
            enough.set()
        raise RuntimeError("broken sweep")

    monkeypatch.setattr(running._Loader, "sweep", bad)
    worker = threading.Thread(target=run, args=(site, stop))
    worker.start()
    try:
        until(enough)
    finally:
        stop.set()
        worker.join(20)
    assert "broken sweep" in (site.log / "loader.log").read_text(encoding="utf-8")


RUNS = """
import sys, threading
from pathlib import Path
from pipelines.run import run
from warehouse.site import Site
from warehouse.text import Text

class Told(threading.Event):
    def wait(self, timeout=None):
        print("up", flush=True)
        return super().wait(timeout)

run(Site(folder=Path(sys.argv[1]), name=Text(zh="a", en="a"), home="43"), Told())
"""


def test_sigterm_ends_the_loader_cleanly_and_its_lock_is_free(site: Site) -> None:
    loader = subprocess.Popen(
        [sys.executable, "-c", RUNS, str(site.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert loader.stdout is not None
        assert loader.stdout.readline() == "up\n"
        loader.terminate()
        _, errors = loader.communicate(timeout=20)
        assert (loader.returncode, errors) == (0, "")
    finally:
        loader.kill()
    with only_loader(site):
        pass


def test_a_wrong_contract_stops_the_load_before_any_file_is_touched(site: Site) -> None:
    drop(site, "places.csv", PLACES)
    (site.sources / "visits.toml").write_text(CONTRACT.replace("base", "bsae"), encoding="utf-8")
    with pytest.raises(Mistake, match=r"visits\.toml"):
        load(site)
    assert files(site.inbox) == {"places.csv"}
