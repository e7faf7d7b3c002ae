"""Databases: what a pull brings, what it leaves there, and that late, equal and repeated rows end right."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import database as databases
from pipelines.contract import Contract, read_contract
from pipelines.database import pull
from pipelines.load import Loaded, load_once
from pipelines.run import pull_once, reached
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Store
from warehouse.text import Text

CASE = """
dataset = "repairs"
label = {{ zh = "维修", en = "Repairs" }}
drop = ["户主"]

[database]
url = "{url}"
table = "{table}"
watermark = "改于"
every = "10 minutes"

[deleted]
when = "gone"

[fields.id]
type = "code"
role = "key"
label = {{ zh = "编号", en = "Number" }}
from = ["编 号"]
required = true

[fields.what]
type = "text"
label = {{ zh = "事项", en = "What" }}
from = ["事项%"]

[fields.cost]
type = "float"
label = {{ zh = "费用", en = "Cost" }}
from = ['费"用']

[fields.done]
type = "bool"
label = {{ zh = "办结", en = "Done" }}
from = ["办结"]

[fields.gone]
type = "bool"
label = {{ zh = "删除", en = "Removed" }}
from = ["删除"]

[fields.updated]
type = "time"
role = "updated"
label = {{ zh = "改于", en = "Updated" }}
from = ["改于"]
required = true
"""
TYPES = {
    "sqlite": ("integer", "text", "numeric", "boolean", "text"),
    "postgresql": ("bigint", "text", "numeric(12,2)", "boolean", "timestamp with time zone"),
}
"""Of number, text, cost, flag and time. SQLite has no times: they are text."""


@dataclass(frozen=True)
class Office:
    """An office's database with one table of repairs, as the office itself sees it."""

    engine: sa.Engine
    url: str
    table: str
    site: Site

    def say(self, sql: str, **bound: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(sql.replace("@", self.table)), bound)

    def put(
        self, number: int, at: str | None, what: str = "路灯", gone: bool = False, cost: float = 1.5
    ) -> None:
        """Write a row as the office does: one row a number. `at`: 05-01 08:00, in 2024 at the site."""
        self.say('delete from @ where "编 号" = :number', number=number)
        self.say(
            "insert into @ values (:number, :what, :cost, false, :gone, :at, '张三')",
            number=number, what=what, cost=cost, gone=gone, at=None if at is None else time(self, at),
        )  # fmt: skip


def time(office: Office, at: str) -> str:
    zone = "+08:00" if office.engine.dialect.name == "postgresql" else ""
    return f"2024-{at}:00{zone}"


def make(engine: sa.Engine, url: str, table: str, folder: Path) -> Office:
    site = Site(folder=folder / "site", name=Text(zh="甲县", en="Jia"), home="43")
    site.sources.mkdir(parents=True)
    (site.sources / "repairs.toml").write_text(
        CASE.format(url=url, table=table.replace('"', "")), encoding="utf-8"
    )
    office = Office(engine, url, table, site)
    number, text, cost, flag, moment = TYPES[engine.dialect.name]
    office.say(
        f'create table @ ("编 号" {number}, "事项%" {text}, "费""用" {cost}, "办结" {flag}, "删除" {flag},'
        f' "改于" {moment}, "户主" {text})'
    )
    return office


@pytest.fixture(scope="session")
def server() -> Iterator[Path]:
    """The folder of the socket of a PostgreSQL of our own, that listens nowhere else."""
    programs = [Path(found).parent for found in (shutil.which("initdb"), shutil.which("postgres")) if found]
    programs += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    program = next(
        (folder for folder in programs if (folder / "postgres").exists() and (folder / "initdb").exists()),
        None,
    )
    if program is None:
        pytest.skip("no PostgreSQL here: install Debian's package 'postgresql'")
    folder = Path(tempfile.mkdtemp(prefix="nerve-pg-"))
    # Neither program runs as root.
    other = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    who = {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []} if other else {}
    if other:
        os.chown(folder, other.pw_uid, other.pw_gid)
    try:
        subprocess.run(
            [program / "initdb", "-D", folder / "data", "-U", "nerve", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync"],
            check=True, capture_output=True, cwd=folder, **who,
        )  # fmt: skip
        running = subprocess.Popen(
            [program / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
            stderr=subprocess.PIPE, text=True, cwd=folder, **who,
        )  # fmt: skip
        assert running.stderr is not None
        said = []
        for line in running.stderr:
            said.append(line)
            if "ready to accept connections" in line:
                break
        assert running.poll() is None and said, "".join(said)
        threading.Thread(target=running.stderr.read, daemon=True).start()
        try:
            yield folder
        finally:
            running.send_signal(2)
            running.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sqlite(folder: Path) -> Office:
    path = folder / "office.db"
    return make(
        sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool),
        "sqlite:///../office.db",
        '"repairs"',
        folder,
    )


@pytest.fixture
def postgres(server: Path, tmp_path: Path) -> Iterator[Office]:
    url = f"postgresql+psycopg://nerve@/postgres?host={server}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    schema = f"s{os.urandom(4).hex()}"
    with engine.begin() as connection:
        connection.execute(sa.text(f"create schema {schema}"))
    yield make(engine, url, f'{schema}."维修 记录"', tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Office:
    if request.param == "sqlite":
        return sqlite(tmp_path)
    found: Office = request.getfixturevalue("postgres")
    return found


def contract(office: Office) -> Contract:
    return read_contract(office.site.sources / "repairs.toml")


def opened(office: Office) -> Store:
    return Store.open(office.site, marts=[], models=[])


def once(office: Office, store: Store, since: bool = True) -> Loaded:
    """One pull, loaded."""
    mark, known = reached(office.site, store, "repairs") if since else (None, frozenset[bytes]())
    own = contract(office)
    extract = pull(office.site, own, mark, known)
    (loaded,) = load_once(office.site, store, files=(), known={"repairs": own}, extracts=[extract])
    return loaded


def counts(loaded: Loaded) -> tuple[object, ...]:
    return (loaded.status, loaded.read, loaded.new, loaded.changed, loaded.stale, loaded.quarantined)


def held(store: Store) -> list[tuple[object, ...]]:
    return store.connection.execute("select id, what from rec_repairs order by id").fetchall()


def left(office: Office) -> list[str]:
    return sorted(path.suffix for path in (office.site.warehouse / ".pulls").iterdir())


def test_the_first_pull_brings_all_and_the_next_ones_what_has_changed(office: Office) -> None:
    with opened(office) as store:
        office.put(1, "05-01 08:00")
        office.put(2, "05-02 08:00")
        assert counts(once(office, store)) == ("loaded", 2, 2, 0, 0, 0)
        assert counts(once(office, store)) == ("loaded", 0, 0, 0, 0, 0)
        office.put(2, "05-02 09:30", what="路面")
        office.put(3, "05-02 09:00")
        assert counts(once(office, store)) == ("loaded", 2, 1, 1, 0, 0)
        assert held(store) == [("1", "路灯"), ("2", "路面"), ("3", "路灯")]
        assert left(office) == [".seen"]
        (account, *_) = store.batches("repairs")
        assert account.file.startswith("db:repairs@20") and account.watermark is not None


def test_a_row_of_the_same_time_or_committed_late_is_not_missed(office: Office) -> None:
    with opened(office) as store:
        office.put(1, "05-02 08:00")
        once(office, store)
        office.put(2, "05-02 08:00")  # the same time
        office.put(3, "05-02 07:10")  # its transaction began 50 minutes earlier
        assert counts(once(office, store)) == ("loaded", 2, 2, 0, 0, 0)
        assert counts(once(office, store)) == ("loaded", 0, 0, 0, 0, 0)


def test_what_is_later_than_the_stretch_looked_back_comes_with_a_whole_pull(tmp_path: Path) -> None:
    office = sqlite(tmp_path)
    with opened(office) as store:
        office.put(1, "05-02 08:00")
        once(office, store)
        office.put(2, "05-01 08:00")
        assert once(office, store).read == 0
        assert counts(once(office, store, since=False)) == ("loaded", 2, 1, 0, 1, 0)


def test_a_row_without_a_time_is_quarantined_once_not_at_every_pull(office: Office) -> None:
    with opened(office) as store:
        office.put(1, "05-02 08:00")
        office.put(2, None)
        assert counts(once(office, store)) == ("loaded", 2, 1, 0, 0, 1)
        assert counts(once(office, store)) == ("loaded", 0, 0, 0, 0, 0)
        office.put(2, "05-02 08:00")
        assert counts(once(office, store)) == ("loaded", 1, 1, 0, 0, 0)


def test_a_time_far_ahead_hides_no_row_that_comes_after_it(office: Office) -> None:
    with opened(office) as store:
        office.put(1, "05-02 08:00")
        office.say("""insert into @ values (9, '路', 1, false, false, '2199-01-01 00:00:00', 'x')""")
        once(office, store)
        office.put(2, "05-02 09:00")
        assert counts(once(office, store)) == ("loaded", 1, 1, 0, 0, 0)


def test_a_row_flagged_as_removed_is_a_tombstone(office: Office) -> None:
    with opened(office) as store:
        office.put(1, "05-01 08:00")
        office.put(2, "05-01 08:00")
        once(office, store)
        office.put(1, "05-01 08:30", gone=True)
        assert counts(once(office, store)) == ("loaded", 1, 0, 1, 0, 0)
        assert held(store) == [("2", "路灯")]


def test_a_blocked_column_never_leaves_the_database(office: Office) -> None:
    office.put(1, "05-01 08:00", what="张三家路灯")
    asked: list[str] = []

    def hear(*arguments: object) -> None:
        asked.append(str(arguments[2]))

    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        extract = pull(office.site, contract(office), None)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)
    assert pq.read_schema(extract.path).names == ["编 号", "事项%", '费"用', "办结", "删除", "改于"]
    assert [sql for sql in asked if "户主" in sql] == [] and any("改于" in sql for sql in asked)
    assert extract.path.stat().st_mode & 0o077 == 0 and extract.path.parent.stat().st_mode & 0o077 == 0


def test_a_table_that_lost_a_column_is_refused_with_the_reason_and_accounted_once(office: Office) -> None:
    with opened(office) as store:
        office.put(1, "05-01 08:00")
        once(office, store)
        office.say('alter table @ rename column "编 号" to "新编号"')
        first, second = once(office, store), once(office, store)
        assert (first.status, second.status) == ("refused", "refused")
        assert "编 号" in str(first.reason)
        assert [batch.refused is not None for batch in store.batches("repairs")] == [True, False]
        office.say('alter table @ rename column "改于" to "时间"')
        assert "改于" in str(once(office, store).reason)


def test_a_database_that_cannot_be_read_is_a_mistake_that_leaves_nothing(office: Office) -> None:
    office.say("drop table @")
    with pytest.raises(Mistake, match=r"repairs\.toml: \[database\].*cannot be read") as mistake:
        pull(office.site, contract(office), None)
    assert "\n" not in str(mistake.value) and left(office) == []


def test_an_undone_pull_is_read_again(tmp_path: Path) -> None:
    office = sqlite(tmp_path)
    with opened(office) as store:
        office.put(1, "05-01 08:00")
        once(office, store)
        office.put(2, "05-01 08:20")
        second = once(office, store)
        assert second.batch is not None
        store.undo(second.batch)
        assert held(store) == [("1", "路灯")]
        # The digests are of a batch that counts no more: what it met is read again.
        assert counts(once(office, store)) == ("loaded", 2, 0, 1, 1, 0)
        assert held(store) == [("1", "路灯"), ("2", "路灯")]


def test_lost_digests_cost_a_second_reading_and_change_nothing(tmp_path: Path) -> None:
    office = sqlite(tmp_path)
    with opened(office) as store:
        office.put(1, "05-01 08:00")
        once(office, store)
        for path in (office.site.warehouse / ".pulls").iterdir():
            path.unlink()
        assert counts(once(office, store)) == ("loaded", 1, 0, 0, 1, 0)


def test_many_rows_are_fetched_in_pieces(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "ROWS", 3)
    for number in range(10):
        office.put(number, f"05-01 08:0{number}")
    extract = pull(office.site, contract(office), None)
    assert pq.read_metadata(extract.path).num_row_groups == 4
    assert extract.rows == 10
    with pytest.raises(Mistake, match="stopped"):
        pull(office.site, contract(office), None, stop=lambda: True)
    assert left(office) == [".parquet"]


def test_cells_arrive_as_they_were(office: Office) -> None:
    text = 'a "quoted", 逗号\r\nsecond line\t🌾 % {x} $1 \\'
    with opened(office) as store:
        office.put(1, "05-01 08:00", what=text, cost=1234567.25)
        office.say("""update @ set "办结" = true""")
        once(office, store)
        found = store.connection.execute("select id, what, cost, done, updated from rec_repairs").fetchall()
    assert found == [("1", text, 1234567.25, True, datetime(2024, 5, 1, 8, 0))]


def test_pull_names_a_source_that_has_no_database(tmp_path: Path) -> None:
    office = sqlite(tmp_path)
    with pytest.raises(Mistake, match="did you mean 'repairs'"):
        pull_once(office.site, ["repair"])


def test_pull_loads_publishes_and_says_what_failed(tmp_path: Path) -> None:
    office = sqlite(tmp_path)
    office.put(1, "05-01 08:00")
    assert [counts(one) for one in pull_once(office.site)] == [("loaded", 1, 1, 0, 0, 0)]
    assert [counts(one) for one in pull_once(office.site, whole=True)] == [("loaded", 1, 0, 0, 1, 0)]
    office.say("drop table @")
    (failed,) = pull_once(office.site, ["repairs"])
    assert failed.status == "failed" and "no such table" in str(failed.reason)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    office = sqlite(tmp_path)
    (tmp_path / "office.db").unlink()
    with pytest.raises(Mistake, match="cannot be read"):
        pull(office.site, contract(office), None)
    assert not (tmp_path / "office.db").exists()


def test_text_that_is_no_utf8_is_read_as_gb18030(tmp_path: Path) -> None:
    office = sqlite(tmp_path)
    office.put(1, "05-01 08:00")
    office.say('update @ set "事项%" = cast(:raw as text)', raw="村道".encode("gb18030"))
    with opened(office) as store:
        once(office, store)
        assert held(store) == [("1", "村道")]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:${NERVE_NO_SUCH}@h/db", "NERVE_NO_SUCH"),
        ("${NERVE_TEST_URL}", "no address of a database"),
        ("postgresql+nothing://u@h/db", "no driver"),
        ("postgresql+psycopg://u:${NERVE_TEST_PASSWORD}@/db?host=/nowhere", "cannot be read"),
    ],
)
def test_a_wrong_address_is_said_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, says: str
) -> None:
    monkeypatch.setenv("NERVE_TEST_URL", "s3cr:et@")
    monkeypatch.setenv("NERVE_TEST_PASSWORD", "s3cr:et@")
    office = sqlite(tmp_path)
    path = office.site.sources / "repairs.toml"
    path.write_text(CASE.format(url=url, table="repairs"), encoding="utf-8")
    with pytest.raises(Mistake, match=says) as mistake:
        pull(office.site, contract(office), None)
    assert "s3cr" not in str(mistake.value)


# -- PostgreSQL alone -----------------------------------------------------------------------------------------


def test_a_password_may_hold_any_sign(postgres: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERVE_TEST_PASSWORD", "p@ss:w/o#r%d")
    path = postgres.site.sources / "repairs.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("nerve@", "nerve:${NERVE_TEST_PASSWORD}@"), encoding="utf-8"
    )
    postgres.put(1, "05-01 08:00")
    assert pull(postgres.site, contract(postgres), None).rows == 1


def test_a_transaction_that_commits_after_the_pull_is_not_missed(postgres: Office) -> None:
    """Its row carries the time at which it began, older than the watermark that the pull reached."""
    insert = "insert into @ values (:number, '路灯', 1, false, false, now(), 'x')".replace(
        "@", postgres.table
    )
    with opened(postgres) as store, postgres.engine.connect() as slow:
        slow.execute(sa.text(insert), {"number": 1})
        postgres.say(insert, number=2)
        assert once(postgres, store).read == 1
        slow.commit()
        assert counts(once(postgres, store)) == ("loaded", 1, 1, 0, 0, 0)
        assert held(store) == [("1", "路灯"), ("2", "路灯")]


def test_a_value_no_driver_can_read_is_quarantined_and_ends_nothing(postgres: Office) -> None:
    postgres.put(1, "05-01 08:00")
    postgres.say("insert into @ values (2, '路', 'NaN', false, false, 'infinity', 'x')")
    postgres.say("insert into @ values (3, '路', 1, false, false, '20000-01-01', 'x')")
    with opened(postgres) as store:
        assert counts(once(postgres, store)) == ("loaded", 3, 1, 0, 0, 2)
        postgres.put(4, "05-01 08:30")
        assert counts(once(postgres, store)) == ("loaded", 1, 1, 0, 0, 0)


def test_the_transaction_can_only_read(postgres: Office) -> None:
    postgres.put(1, "05-01 08:00")
    schema = postgres.table.split(".")[0]
    postgres.say(f"create table {schema}.trap (x int)")
    postgres.say(
        f"create function {schema}.spring() returns text language sql volatile"
        f" as $$ insert into {schema}.trap values (1); select '路灯' $$"
    )
    postgres.say(f'create view {schema}.seen as select "编 号", {schema}.spring() as "事项%", "改于" from @')
    path = postgres.site.sources / "repairs.toml"
    text = (
        path.read_text(encoding="utf-8")
        .replace("维修 记录", "seen")
        .replace('[deleted]\nwhen = "gone"\n', "")
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Mistake, match="read-only transaction"):
        pull(postgres.site, contract(postgres), None)


# -- always ---------------------------------------------------------------------------------------------------

CHANGES = st.lists(
    st.one_of(
        st.just("pull"),
        # (number, minutes that the clock went on, minutes that its transaction lasted, what)
        st.tuples(
            st.integers(1, 4), st.integers(0, 90), st.integers(0, 59), st.sampled_from(["灯", "路", "桥"])
        ),
    ),
    min_size=1,
    max_size=12,
)


@given(changes=CHANGES)
@settings(max_examples=30, deadline=None)
def test_whatever_is_written_between_pulls_each_state_of_a_row_arrives_and_the_last_one_last(
    changes: list[str | tuple[int, int, int, str]],
) -> None:
    """Each row's time lies up to an hour before its commit; the rows of a key are in the order of their times."""
    with tempfile.TemporaryDirectory() as folder:
        office = sqlite(Path(folder))
        own = contract(office)
        clock = datetime(2024, 5, 1, 8, 0)
        newest: dict[int, datetime] = {}
        mark: str | None = None
        known: frozenset[bytes] = frozenset()
        arrived: dict[str, str] = {}
        brought = 0
        for change in [*changes, "pull", "pull"]:
            if isinstance(change, str):
                extract = pull(office.site, own, mark, known)
                mark, known, brought = extract.watermark, extract.digests, extract.rows
                table = pq.read_table(extract.path)
                arrived |= dict(zip(table["编 号"].to_pylist(), table["事项%"].to_pylist(), strict=True))
                continue
            number, later, lasted, what = change
            clock += timedelta(minutes=later)
            newest[number] = max(
                clock - timedelta(minutes=lasted), newest.get(number, clock - databases.LATE)
            )
            office.put(number, f"{newest[number]:%m-%d %H:%M}", what=what)
        with office.engine.connect() as connection:
            rows = connection.execute(
                sa.text('select cast("编 号" as text), "事项%" from repairs')
            ).fetchall()
        assert arrived == {str(number): what for number, what in rows}
        assert brought == 0, "the second of two pulls in a row brings nothing again"
