"""Nasty files: each ends in exactly one way, everything is accounted for, and nothing outside the site is touched."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import reading
from pipelines.contract import Contract, read_contract
from pipelines.load import BOTH, load_once
from tests import nasty
from tests.nasty import Nasty, corpus
from warehouse.site import Site, load_site
from warehouse.store import Store

GUARD_SECONDS = 600
"""Far more than the corpus takes: it only ends what would never end."""
FUZZED = 500
GROUPS = 10
CASES = corpus()


@dataclass(frozen=True)
class Outcome:
    """The folder around the site, what became of each file by its name's repr, and what was said on the way."""

    folder: Path
    loaded: dict[str, dict[str, Any]]
    said: str


@pytest.fixture(scope="session")
def outcome(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Outcome:
    """The corpus loaded once per run by a process of its own, under a limit of memory."""
    base = tmp_path_factory.getbasetemp()
    root = base if worker_id == "master" else base.parent
    folder, result = root / "nasty", root / "nasty.json"
    with (root / "nasty.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            folder.mkdir()
            done = subprocess.run(
                [sys.executable, "-m", "tests.nasty", str(folder)],
                cwd=Path(__file__).parents[1],
                capture_output=True,
                text=True,
                timeout=GUARD_SECONDS,
                check=False,
            )
            result.write_text(json.dumps([done.returncode, done.stdout, done.stderr]), encoding="utf-8")
    code, out, said = json.loads(result.read_text(encoding="utf-8"))
    assert code == 0, f"the loader died at {said[-3000:]}"
    return Outcome(folder, {one["path"]: one for one in json.loads(out)}, said)


def test_every_case_of_the_corpus_has_a_name_and_a_kind_of_its_own() -> None:
    for field in ("name", "kind"):
        counts = Counter(getattr(case, field) for case in CASES)
        assert [value for value, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_a_nasty_file_ends_as_it_must(outcome: Outcome, case: Nasty) -> None:
    found = outcome.loaded.get(repr(case.name))
    inbox = outcome.folder / "site" / "inbox"
    if case.ends == "left alone":
        assert (inbox / case.name).exists()
        assert found is None or found["status"] == "failed"
        return
    assert found is not None
    assert not (inbox / case.name).exists() and not (inbox / case.name).is_symlink()
    if found["status"] == "refused":
        assert case.ends == "refused", found["reason"]
        zh, en = found["reason"].split(BOTH)
        assert case.reason in en
        assert not zh.isascii() and en
        return
    assert found["status"] == "loaded", found["reason"]
    assert found["read"] == found["kept"] + found["quarantined"]
    assert case.ends == ("quarantined" if found["quarantined"] else "kept")
    assert case.rows is None or found["read"] == case.rows


def test_nothing_outside_the_site_is_written_and_nothing_unpacked_stays(outcome: Outcome) -> None:
    assert sorted(path.name for path in outcome.folder.iterdir()) == ["secret.csv", "site"]
    assert not Path("/tmp/nerve-escaped.csv").exists()
    left = [path for path in outcome.folder.rglob("*") if "escaped" in path.name or "parts-" in path.name]
    assert left == []


def test_nothing_outside_the_site_is_read(outcome: Outcome) -> None:
    site = outcome.folder / "site"
    secret = nasty.SECRET.encode()
    assert secret in (outcome.folder / "secret.csv").read_bytes()
    holding = [
        path
        for path in site.rglob("*")
        if path.is_file() and not path.is_symlink() and secret in path.read_bytes()
    ]
    assert holding == []
    # What is compressed on the disk does not show its text.
    with Store.open(load_site(site)) as store:
        rows = store.connection.execute("select visit_id from rec_visits").fetchall()
        raws = store.connection.execute("select raw from quarantine").fetchall()
    assert rows and nasty.SECRET not in repr(rows) + repr(raws)


def test_every_file_is_in_the_account_once_and_its_rows_add_up(outcome: Outcome) -> None:
    with Store.open(load_site(outcome.folder / "site")) as store:
        rows = store.connection.execute(
            "select batch, read, kept, quarantined, refused is not null, "
            "(select count(*) from quarantine where quarantine.batch = batches.batch) from batches"
        ).fetchall()
    accounted = [one for one in outcome.loaded.values() if one["status"] in ("loaded", "refused")]
    assert len(rows) == len(accounted)
    for _, read, kept, quarantined, refused, held in rows:
        assert read == kept + quarantined and held == quarantined
        assert not (refused and read)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = tmp_path / "site"
    (site / "inbox").mkdir(parents=True)
    (site / "sources").mkdir()
    (site / "site.toml").write_text(nasty.SITE, encoding="utf-8")
    (site / "sources" / "visits.toml").write_text(nasty.CONTRACT, encoding="utf-8")
    (site / "inbox" / "places.csv").write_text(nasty.PLACES, encoding="utf-8")
    return load_site(site)


@pytest.mark.parametrize("name", ["visits.csv", "visits.xlsx", "visits.ndjson", "visits.zip"])
def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_time(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    content = {
        "visits.csv": nasty.GOOD.encode(),
        "visits.xlsx": nasty.workbook(),
        "visits.ndjson": "\n".join(nasty.objects()).encode(),
        "visits.zip": nasty.zipped({"visits.csv": nasty.GOOD}),
    }[name]
    path = site.inbox / name
    path.write_bytes(content[: len(content) // 2])
    before = reading._form

    def form(found: Path, contract: Contract) -> Any:
        """Someone goes on writing once the file has been opened."""
        path.write_bytes(content)
        return before(found, contract)

    with Store.open(site) as store:
        with monkeypatch.context() as patch:
            patch.setattr(reading, "_form", form)
            status = {one.file: one.status for one in load_once(site, store)}
        assert status == {"places.csv": "loaded", name: "failed"}
        assert path.read_bytes() == content
        assert [(one.status, one.kept) for one in load_once(site, store)] == [("loaded", 3)]


@pytest.fixture(scope="session")
def wells(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path = tmp_path_factory.mktemp("wells") / "wells.toml"
    path.write_text(nasty.FUZZED, encoding="utf-8")
    return read_contract(path)


@pytest.mark.parametrize("name", sorted(nasty.seeds()))
def test_the_files_that_are_fuzzed_are_sound(tmp_path: Path, wells: Contract, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(nasty.seeds()[name])
    # One record of each is to be quarantined: its depth is below 0.
    assert nasty.end_of(path, wells, duckdb.connect()) == "quarantined"


@pytest.mark.parametrize("group", range(GROUPS))
def test_however_a_file_is_damaged_its_loading_ends_in_an_account(
    tmp_path: Path, wells: Contract, group: int
) -> None:
    connection = duckdb.connect()
    ends: Counter[str] = Counter()
    for number in range(group * FUZZED // GROUPS, (group + 1) * FUZZED // GROUPS):
        name, content = nasty.mutant(number)
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(content)
        ends[nasty.end_of(path, wells, connection)] += 1
        path.unlink()
    assert ends["refused"] and ends["quarantined"]
