"""What an operator relies on beside loading: retention, rollback, a backup that comes back, a doctor that is right."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from nerve import doctor as looking
from nerve import upkeep
from nerve.backup import MANIFEST, unpack, write_backup
from nerve.doctor import examine
from pipelines.load import load_once
from pipelines.privacy import site_key
from pipelines.run import only_loader
from pipelines.upkeep import expire, overdue, versions_of_reports
from tests.offices import NEW_PLACE, SITE, drop, known, office, places
from warehouse import layout
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site
from warehouse.store import Store

app = typer.Typer()
for command in (upkeep.rollback, upkeep.batches, upkeep.backup, upkeep.restore, upkeep.doctor):
    app.command()(command)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return office(tmp_path / "site")


def run(*arguments: str | Path, code: int = 0, answer: str | None = None) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False, input=answer)
    assert done.exit_code == code, done.output
    return done.output


def rows(site: Site, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(layout.loader(site)), read_only=True) as connection:
        return connection.execute(sql).fetchall()


# -- retention --------------------------------------------------------------------------------------------


def archived(site: Site) -> set[str]:
    return {str(path.relative_to(site.archived)) for path in site.archived.rglob("*")}


def test_archived_files_go_when_their_days_are_over_and_not_before(tmp_path: Path) -> None:
    site = office(tmp_path / "site", "retention = { archive_days = 30 }")
    names = archived(site)
    assert len(names) == 3
    with Store.open(site) as store:
        assert expire(site, store, site.now() + timedelta(days=29)).archived == 0
        assert archived(site) == names
        assert expire(site, store, site.now() + timedelta(days=31)).archived == 2
    assert archived(site) == set()


def test_an_archived_file_in_a_folder_of_a_past_month_is_as_old_as_that_month(tmp_path: Path) -> None:
    """A copy to another disk makes every file young; the folder it lies in does not change."""
    site = office(tmp_path / "site", "retention = { archive_days = 30 }")
    old = site.archived / "2024-01" / "old.csv"
    old.parent.mkdir()
    old.write_text("x")
    with Store.open(site) as store:
        assert expire(site, store, site.now()).archived == 1
    assert not old.parent.exists()


def test_refused_files_go_with_their_reasons_when_their_days_are_over(tmp_path: Path) -> None:
    site = office(tmp_path / "site", "retention = { refused_days = 30 }")
    (site.inbox / "nobody.csv").write_text("x\n1\n", encoding="utf-8")
    with Store.open(site) as store:
        load_once(site, store)
        names = {path.name for path in (site.folder / "refused").iterdir()}
        assert names == {"nobody.csv", "nobody.csv.reason.txt"}
        assert expire(site, store, site.now() + timedelta(days=29)).refused == 0
        assert expire(site, store, site.now() + timedelta(days=31)).refused == 2
    assert list((site.folder / "refused").iterdir()) == []


def test_without_archive_days_the_archive_is_kept_for_ever(site: Site) -> None:
    before = archived(site)
    with Store.open(site) as store:
        assert expire(site, store, site.now() + timedelta(days=36_500)).archived == 0
    assert archived(site) == before


def test_retention_follows_no_link_out_of_the_archive(tmp_path: Path) -> None:
    site = office(tmp_path / "site", "retention = { archive_days = 1 }")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep.csv").write_text("x")
    (site.archived / "2024-01").symlink_to(outside)
    (site.archived / "2024-02").mkdir()
    (site.archived / "2024-02" / "link.csv").symlink_to(outside / "keep.csv")
    with Store.open(site) as store:
        expire(site, store, site.now() + timedelta(days=400))
        assert (outside / "keep.csv").read_text() == "x"
        # The archive itself a link: nothing in it is touched, and that is said.
        for path in sorted(site.archived.rglob("*"), reverse=True):
            path.unlink() if path.is_symlink() or path.is_file() else path.rmdir()
        site.archived.rmdir()
        site.archived.symlink_to(outside)
        done = expire(site, store, site.now() + timedelta(days=400))
    assert (outside / "keep.csv").read_text() == "x"
    assert "is a link" in str(done.skipped)


def test_raw_text_is_purged_after_its_days_and_the_accounts_stay(site: Site) -> None:
    with Store.open(site) as store:
        held = len(store.quarantined())
        assert expire(site, store, site.now() + timedelta(days=89)).purged == 0
        late = site.now() + timedelta(days=91)
        assert overdue(store.connection, late - timedelta(days=90)) == held == 3
        assert expire(site, store, late).purged == held
        assert overdue(store.connection, late) == 0
        assert [row.raw for row in store.quarantined()] == [None] * held
        assert [row.reasons for row in store.quarantined()] == [
            ("refers:place",), ("choice:result", "type:visited_at"), ("columns",),
        ]  # fmt: skip
        assert expire(site, store, late).purged == 0


def test_a_log_is_begun_anew_each_day_and_old_ones_go(tmp_path: Path) -> None:
    site = office(tmp_path / "site", "retention = { log_days = 7 }")
    site.log.mkdir(exist_ok=True)
    log = site.log / "loader.log"
    today = site.now()
    with Store.open(site) as store, log.open("a") as writer:
        writer.write("one\n")
        writer.flush()
        assert expire(site, store, today).turned == 1
        writer.write("two\n")
        writer.flush()
        assert expire(site, store, today).turned == 0
        aside = site.log / f"loader-{today:%Y-%m-%d}.log"
        assert (aside.read_text(), log.read_text()) == ("one\n", "two\n")
        assert expire(site, store, today + timedelta(days=8)).logs == 1
    assert not aside.exists()
    assert log.exists()


def test_versions_beyond_the_sites_number_go_but_not_those_a_report_names(tmp_path: Path) -> None:
    site = office(tmp_path / "site", "retention = { versions = 1 }")
    site.reports.mkdir(exist_ok=True)
    first = layout.version_ids(site)[0]
    (site.reports / "register.jsonl").write_text(json.dumps({"version": first}) + "\n")
    assert versions_of_reports(site) == {first}
    with Store.open(site) as store:
        for number in range(3):
            drop(site, store, f"places{number}.csv", NEW_PLACE.replace("丙", "丙" * (number + 2)))
        ids = layout.version_ids(site)
        for name in ids:  # as if they had been superseded long ago
            os.utime(layout.manifest(site, name), (0, 0))
        removed = expire(site, store, site.now()).versions
    assert removed == ids[1:-1]
    assert layout.version_ids(site) == (first, ids[-1])


# -- rollback ---------------------------------------------------------------------------------------------


def test_a_batch_is_taken_back_and_published_and_its_file_can_come_again(site: Site) -> None:
    with Store.open(site) as store:
        drop(site, store, "places2.csv", NEW_PLACE)
    assert places(site) == 3
    batch = json.loads(run("batches", "--site", site.folder, "--json", "--last", "1"))[0]
    assert (batch["file"], batch["new"], batch["stale"]) == ("places2.csv", 1, 2)
    done = json.loads(run("rollback", str(batch["batch"]), "--site", site.folder, "--yes", "--json"))
    assert (done["changed"], done["version"]) == (1, layout.read_pointer(site))
    assert places(site) == 2
    with Store.open(site) as store:
        drop(site, store, "places2.csv", NEW_PLACE)
    assert places(site) == 3


def test_a_rollback_that_is_not_confirmed_changes_nothing(site: Site) -> None:
    before = layout.read_pointer(site)
    with pytest.raises(Mistake, match="nothing was changed"):
        run("rollback", "1", "--site", site.folder, answer="n\n")
    with pytest.raises(Mistake, match="--yes"):
        run("rollback", "1", "--site", site.folder, "--json")
    with pytest.raises(Mistake, match="no such batch"):
        run("rollback", "99", "--site", site.folder, "--yes")
    assert layout.read_pointer(site) == before
    assert places(site) == 2


def test_rollback_says_what_the_batch_was(site: Site) -> None:
    said = run("rollback", "2", "--site", site.folder, answer="y\n")
    assert "visits.csv" in said
    assert "4 read = 1 kept + 3 quarantined" in said
    assert "published v" in said
    assert "taken back by batch 3" in run("batches", "--site", site.folder)


# -- backup and restore -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".tar.zst", ".tar.gz"])
def test_a_restored_site_gives_the_same_figures_and_loading_goes_on_where_it_stopped(
    site: Site, tmp_path: Path, ending: str
) -> None:
    (site.journal).mkdir(exist_ok=True)
    (site.journal / "decisions-1.ndjson").write_text("{}\n")
    site.reports.mkdir(exist_ok=True)
    (site.reports / "register.jsonl").write_text(json.dumps({"version": "v000001"}) + "\n")
    settings = {"reports.toml": "watermark = true\n", "calendar.toml": "off = [2026-05-04]\n"}
    for name, text in settings.items():
        (site.folder / name).write_text(text, encoding="utf-8")
    archive, folder = tmp_path / f"b{ending}", tmp_path / "new" / "site"
    said = run("backup", "--site", site.folder, "--out", archive)
    assert "secret.key" in said
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    run("restore", archive, "--site", folder, code=0)
    back = load_site(folder)
    assert contents(back) == contents(site)
    assert {name: (folder / name).read_text(encoding="utf-8") for name in settings} == settings
    assert site_key(back) == site_key(site)
    assert stat.S_IMODE((folder / "secret.key").stat().st_mode) == 0o600
    assert layout.read_pointer(back) == layout.read_pointer(site)
    assert {"v000001", layout.read_pointer(site)} <= set(layout.version_ids(back))
    with Store.open(back) as store:
        assert store.seen("places", str(store.batches(source="places")[0].sha256)) is not None
        drop(back, store, "places2.csv", NEW_PLACE)
        assert len(store.quarantined()) == 3
    assert places(back) == 3
    assert places(site) == 2


def contents(site: Site) -> dict[str, list[tuple[object, ...]]]:
    """Every table of the loader's database, and the tables of the current version."""
    from warehouse.version import current

    with duckdb.connect(str(layout.loader(site)), read_only=True) as connection:
        names = [
            row[0]
            for row in connection.execute("select table_name from duckdb_tables() order by 1").fetchall()
        ]
        held = {name: connection.execute(f'from "{name}" order by all').fetchall() for name in names}
    version = current(site)
    return held | {
        f"v.{name}": version.rows(f'from "{name}" order by all') for name in sorted(version.tables)
    }


def test_while_a_loader_runs_a_backup_needs_to_be_told_to_leave_its_database_out(
    site: Site, tmp_path: Path
) -> None:
    archive, folder = tmp_path / "b.tar.zst", tmp_path / "new"
    with only_loader(site):
        with pytest.raises(Mistake, match="--published-only"):
            run("backup", "--site", site.folder, "--out", archive)
        assert not archive.exists()
        with Store.open(site):
            said = run("backup", "--site", site.folder, "--out", archive, "--published-only")
    assert "WITHOUT the loader's own database" in said
    run("restore", archive, "--site", folder)
    back = load_site(folder)
    assert places(back) == 2
    with Store.open(back) as store:
        drop(back, store, "places2.csv", NEW_PLACE)
    assert places(back) == 3


def packed(path: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> Path:
    """The archive again with its members changed."""
    members: list[tuple[tarfile.TarInfo, bytes]] = []
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            members.append((member, b"" if file is None else file.read()))
    change(members)
    out = path.with_name("changed.tar.gz")
    with tarfile.open(out, "w:gz") as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return out


def rename(name: str) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[0][0].name = name

    return change


def add_link(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    link = tarfile.TarInfo("sources/link.toml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members.insert(0, (link, b""))


def alter(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    member, content = members[1]
    members[1] = (member, content[:-1] + b"0" if content[-1:] != b"0" else content[:-1] + b"1")


def forget_manifest(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    assert members.pop()[0].name == MANIFEST


def add_file(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.insert(0, (tarfile.TarInfo("sources/more.toml"), b"x"))


def drop_file(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    del members[2]


def nonsense(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[-1] = (members[-1][0], b"[")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("archive")
    path = folder / "b.tar.gz"
    write_backup(office(folder / "site"), path, loader=True)
    yield path


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (rename("../evil.toml"), "which no backup has"),
        (rename("/etc/evil.toml"), "which no backup has"),
        (rename("sources/../../evil.toml"), "which no backup has"),
        (rename("elsewhere/evil.toml"), "which no backup has"),
        (rename("sources\\..\\evil.toml"), "which no backup has"),
        (add_link, "which no backup has"),
        (alter, "is not as its manifest says"),
        (add_file, "is not as its manifest says"),
        (drop_file, "is not as its manifest says"),
        (forget_manifest, "cut short"),
        (nonsense, "no JSON"),
    ],
)
def test_an_archive_that_was_tampered_with_restores_nothing(
    archive: Path, tmp_path: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None], what: str
) -> None:
    changed = packed(archive, change)
    with pytest.raises(Mistake, match=what):
        unpack(changed, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("ending", [".tar.gz", ".tar.zst"])
def test_an_archive_cut_short_restores_nothing(
    tmp_path: Path, archive: Path, ending: str, share: float
) -> None:
    whole = archive if ending == ".tar.gz" else archive.with_name("b.tar.zst")
    if not whole.exists():
        write_backup(load_site(archive.with_name("site")), whole, loader=True)
    content = whole.read_bytes()
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Mistake, match="damaged"):
        unpack(cut, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_restore_goes_into_an_empty_folder_only(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(Mistake, match="not an empty folder"):
        unpack(archive, tmp_path / "full")
    assert (tmp_path / "full" / "x").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert unpack(archive, tmp_path / "empty").loader
    with pytest.raises(Mistake, match=r"name it"):
        unpack(tmp_path / "b.rar", tmp_path / "other")
    with pytest.raises(Mistake, match="no such file"):
        unpack(tmp_path / "none.tar.gz", tmp_path / "other")


def test_a_backup_that_cannot_be_written_leaves_the_last_one_as_it_was(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "b.tar.gz"
    out.write_text("the last one")
    missing = (
        site.warehouse / layout.read_manifest(site, layout.read_pointer(site) or "").records["places"].base
    )
    missing.unlink()
    with pytest.raises(Mistake, match="missing"):
        write_backup(site, out, loader=True)
    assert out.read_text() == "the last one"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


# -- the doctor -------------------------------------------------------------------------------------------


def states(site: Site) -> dict[str, str]:
    """check → the worst that was found."""
    rank = {"ok": 0, "warn": 1, "wrong": 2}
    out: dict[str, str] = {}
    for one in examine(site.folder):
        out[one.check] = max(out.get(one.check, "ok"), one.state, key=rank.__getitem__)
    return out


def test_a_good_site_is_found_good_in_both_languages(site: Site) -> None:
    found = examine(site.folder)
    assert {one.check: (one.state, one.what.en) for one in found if one.state != "ok"} == {}
    assert all(one.what.zh and one.what.en for one in found)
    assert {one.check for one in found} >= {
        "site.toml", "contracts", "secret.key", "folders", "disk", "clock", "loader", "inbox", "version",
        "leftovers", "loader.duckdb", "quarantine", "manifest", "freshness",
    }  # fmt: skip
    assert "WRONG" not in run("doctor", "--site", site.folder)


def test_looking_changes_nothing(site: Site) -> None:
    def whole() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in site.folder.rglob("*")
            if path.is_file()
        }

    before = whole()
    examine(site.folder)
    assert whole() == before


def spoil_current(site: Site) -> None:
    layout.pointer(site).write_text("nonsense\n")


def lose_current(site: Site) -> None:
    layout.pointer(site).unlink()


def cut_marts(site: Site) -> None:
    path = layout.marts(site, layout.read_pointer(site) or "")
    path.write_bytes(path.read_bytes()[:-100])


def spoil_marts(site: Site) -> None:
    path = layout.marts(site, layout.read_pointer(site) or "")
    path.write_bytes(b"x" * path.stat().st_size)


def spoil_records(site: Site) -> None:
    manifest = layout.read_manifest(site, layout.read_pointer(site) or "")
    path = site.warehouse / manifest.records["places"].base
    path.write_bytes(b"x" * path.stat().st_size)


def open_key(site: Site) -> None:
    (site.folder / "secret.key").chmod(0o644)


def lose_key(site: Site) -> None:
    (site.folder / "secret.key").unlink()


def leave_half_a_version(site: Site) -> None:
    (layout.versions(site) / "v000099").mkdir()
    (layout.versions(site) / "v000099" / "marts.duckdb").write_text("x")
    (site.warehouse / "records" / "places" / "v000099-base.parquet").write_text("x")


def spoil_database(site: Site) -> None:
    path = layout.loader(site)
    path.write_bytes(b"x" * path.stat().st_size)


def cut_database(site: Site) -> None:
    path = layout.loader(site)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def lose_database(site: Site) -> None:
    layout.loader(site).unlink()


def forge_account(site: Site) -> None:
    change(site, "update batches set read = 5 where batch = 2")


def lose_quarantine(site: Site) -> None:
    change(site, "delete from quarantine where row = 3")


def forge_manifest(site: Site) -> None:
    path = layout.manifest(site, layout.read_pointer(site) or "")
    path.write_text(path.read_text(encoding="utf-8").replace('"kept": 1,', '"kept": 2,'), encoding="utf-8")


def change(site: Site, sql: str) -> None:
    with duckdb.connect(str(layout.loader(site))) as connection:
        connection.execute(sql)


def old_file(site: Site) -> None:
    path = site.inbox / "visits-late.csv"
    path.write_text("x")
    os.utime(path, (0, 0))


def half_file(site: Site) -> None:
    path = site.inbox / "visits.csv.part"
    path.write_text("x")
    os.utime(path, (0, 0))


def spoil_contract(site: Site) -> None:
    (site.sources / "visits.toml").write_text("base = ", encoding="utf-8")


def kill_loader(site: Site) -> None:
    (site.warehouse / "loader.lock").write_text("4194304\n")


def stop_clock(site: Site) -> None:
    path = site.folder / "site.toml"
    path.write_text("as_of = 2024-07-01T00:00:00\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "check", "state", "mended"),
    [
        (spoil_current, "version", "wrong", True),
        (lose_current, "version", "wrong", True),
        (cut_marts, "version", "wrong", True),
        (spoil_marts, "version", "wrong", True),
        (spoil_records, "version", "wrong", False),
        (open_key, "secret.key", "wrong", True),
        (lose_key, "secret.key", "wrong", False),
        (leave_half_a_version, "leftovers", "warn", True),
        (spoil_database, "loader.duckdb", "wrong", True),
        (cut_database, "loader.duckdb", "wrong", True),
        (lose_database, "loader.duckdb", "wrong", True),
        (forge_account, "loader.duckdb", "wrong", False),
        (lose_quarantine, "loader.duckdb", "wrong", False),
        (forge_manifest, "manifest", "wrong", False),
        (old_file, "inbox", "warn", False),
        (half_file, "inbox", "warn", False),
        (spoil_contract, "contracts", "wrong", False),
        (kill_loader, "loader", "warn", False),
        (stop_clock, "clock", "warn", False),
    ],
)
def test_the_doctor_names_each_harm_and_mends_what_can_be_mended(
    site: Site,
    harm: Callable[[Site], None],
    check: str,
    state: str,
    mended: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if check != "contracts":  # reading them all takes longer than everything else
        monkeypatch.setattr(looking, "contracts", known)
    harm(site)
    assert states(site)[check] == state
    remedies = [one.remedy for one in examine(site.folder) if one.check == check and one.state != "ok"]
    assert all(remedy is not None and remedy.zh and remedy.en for remedy in remedies)
    CliRunner().invoke(
        app, ["doctor", "--site", str(site.folder), "--repair", "--yes"], catch_exceptions=False
    )
    assert (states(site)[check] == "ok") == mended
    if mended:
        assert places(site) == 2


def test_a_rebuilt_database_loads_on_and_the_broken_one_was_put_aside(site: Site) -> None:
    spoil_database(site)
    said = run("doctor", "--site", site.folder, "--repair", "--yes", "--lang", "en")
    assert "rebuilt" in said
    assert list(site.warehouse.glob("loader.duckdb.broken-*"))
    with Store.open(site) as store:
        drop(site, store, "places2.csv", NEW_PLACE)
    assert places(site) == 3


def test_a_database_is_not_rebuilt_unasked(site: Site) -> None:
    lose_database(site)
    run("doctor", "--site", site.folder, "--repair", answer="n\n", code=2)
    assert not layout.loader(site).exists()


def test_a_source_that_is_silent_too_long_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    later = site.now() + timedelta(days=40)
    monkeypatch.setattr(Site, "now", lambda _: later)
    found = [one for one in examine(site.folder) if one.check == "freshness"]
    assert {one.state for one in found} == {"warn"}
    assert "visits" in str([one.what.en for one in found])


def test_raw_text_past_its_retention_and_old_refused_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = office(tmp_path / "site", "retention = { archive_days = 1 }")
    later = site.now() + timedelta(days=92)
    monkeypatch.setattr(Site, "now", lambda _: later)
    assert states(site)["quarantine"] == "warn"


def test_a_clock_behind_the_published_version_is_wrong(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Site, "now", lambda _: datetime(2024, 1, 1))
    assert states(site)["clock"] == "wrong"


def test_too_little_space_is_said_before_it_is_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = looking.shutil.disk_usage(site.folder)
    monkeypatch.setattr(looking.shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    assert states(site)["disk"] == "wrong"


def test_a_running_loader_is_not_disturbed_and_a_silent_one_is_wrong(site: Site) -> None:
    site.log.mkdir(exist_ok=True)
    beat = {
        "pid": os.getpid(),
        "at": "2024-01-01T00:00:00+00:00",
        "contracts": "cases.toml: wrong",
        "failed": {},
    }
    (site.log / "heartbeat.json").write_text(json.dumps(beat))
    with only_loader(site), Store.open(site):
        found = states(site)
        assert (found["loader"], found["contracts"], found["loader.duckdb"]) == ("wrong", "wrong", "ok")
        with pytest.raises(Mistake, match="stop it"):
            open_key(site)
            run("doctor", "--site", site.folder, "--repair")


def test_a_folder_without_a_site_is_one_line(tmp_path: Path) -> None:
    found = examine(tmp_path)
    assert [(one.check, one.state) for one in found] == [("site.toml", "wrong")]
    out = json.loads(run("doctor", "--site", tmp_path, "--json", code=2))
    assert out["findings"][0]["remedy"]["en"]


# -- site.toml --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("retention = { archiv_days = 3 }", "did you mean 'archive_days'?"),
        ("retention = { archive_days = 0 }", "retention.archive_days"),
        ("params = { due_rul = 'due' }", "did you mean 'due_rule'?"),
        ("targets = { a = { targt = 1 } }", "did you mean 'target'?"),
        ('memory_limit = "4"', "memory_limit"),
        ('temp = "."', "a folder of its own"),
        ('temp = "inbox"', "a folder of its own"),
        ('temp = ".."', "a folder of its own"),
    ],
)
def test_a_wrong_setting_is_named_with_the_right_one(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "site.toml").write_text(f"{line}\n{SITE}", encoding="utf-8")
    with pytest.raises(Mistake) as caught:
        load_site(tmp_path)
    assert said in str(caught.value)


def test_what_is_not_set_has_its_default_and_forever_is_for_ever(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        f'retention = {{ quarantine_days = "forever" }}\n{SITE}', encoding="utf-8"
    )
    site = load_site(tmp_path)
    assert (site.retention.archive_days, site.retention.quarantine_days, site.retention.versions) == (
        None,
        None,
        20,
    )
    assert site.temp == tmp_path / "temp"
    assert site.memory_limit is None
