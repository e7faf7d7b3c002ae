"""The loader as a process: one a site, timed jobs, reloading, databases beside the inbox, and what it tells."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import schedule
import sqlalchemy as sa
import time_machine
from structlog.typing import FilteringBoundLogger

from nerve.loading import account, shown
from nerve.service import units
from pipelines import database as databases
from pipelines import run as running
from pipelines.load import Loaded, load_once
from pipelines.run import Loader, due_in, load, loader_lines, loader_pid, logger, only_loader, run
from warehouse import layout
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Store
from warehouse.text import Text

THINGS = """
dataset = "things"
label = { zh = "物", en = "Things" }
[files]
match = ["things*.csv"]
[fields.id]
type = "code"
role = "key"
label = { zh = "编号", en = "Number" }
from = ["id"]
[fields.what]
type = "text"
label = { zh = "事", en = "What" }
from = ["what"]
"""
FILE = "id,what\n1,灯\n"
PULLED = """
[database]
url = "sqlite:///office.db"
table = "things"
watermark = "at"
every = "10 minutes"
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(folder=tmp_path, name=Text(zh="甲县", en="Jia"), home="43")
    site.inbox.mkdir()
    site.sources.mkdir()
    write(site, THINGS)
    return site


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with Store.open(site, marts=[], models=[]) as store:
        yield store


@pytest.fixture
def log(site: Site) -> Iterator[FilteringBoundLogger]:
    with logger(site) as log:
        yield log


@pytest.fixture
def loader(site: Site, store: Store, log: FilteringBoundLogger) -> Loader:
    return made(site, store, log)


def made(site: Site, store: Store, log: FilteringBoundLogger, **named: Any) -> Loader:
    """A loader that knows one contract, and has published what there was."""
    from pipelines.contract import read_contract

    loader = Loader(site, store, log, {"things": read_contract(site.sources / "things.toml")}, **named)
    loader.turn()
    return loader


def write(site: Site, contract: str) -> None:
    (site.sources / "things.toml").write_text(contract, encoding="utf-8")


def drop(site: Site, name: str, text: str = FILE) -> None:
    (site.inbox / name).write_text(text, encoding="utf-8")


def events(site: Site) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (site.log / "loader.log").read_text(encoding="utf-8").splitlines()]


def beat(loader: Loader) -> dict[str, Any]:
    running.write_heartbeat(loader)
    found: dict[str, Any] = json.loads((loader.site.log / "heartbeat.json").read_text(encoding="utf-8"))
    return found


def until(done: threading.Event, seconds: float = 60) -> None:
    assert done.wait(seconds), "nothing happened"


# -- one loader a site ----------------------------------------------------------------------------------------


def test_a_second_loader_is_told_who_has_the_lock(site: Site) -> None:
    with only_loader(site), pytest.raises(Mistake) as mistake, only_loader(site):
        pass
    assert f"process {os.getpid()}" in str(mistake.value) and f"kill {os.getpid()}" in str(mistake.value)
    with only_loader(site):
        assert loader_pid(site) == os.getpid()
    assert loader_pid(site) is None


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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_however_a_loader_ends_its_lock_is_free(site: Site, how: signal.Signals) -> None:
    told = site.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service_manager:
        service_manager.bind(str(told))
        loader = subprocess.Popen(
            [sys.executable, "-c", RUNS, str(site.folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "NOTIFY_SOCKET": str(told)},
        )  # fmt: skip
        try:
            assert loader.stdout is not None
            assert loader.stdout.readline() == "up\n"
            assert loader_pid(site) == loader.pid
            with pytest.raises(Mistake, match=f"process {loader.pid}"):
                load(site)
            loader.send_signal(how)
            _, errors = loader.communicate(timeout=60)
            assert (loader.returncode, errors) == (0 if how == signal.SIGTERM else -how, "")
        finally:
            loader.kill()
        service_manager.setblocking(False)
        states = []
        while True:
            try:
                states.append(service_manager.recv(1000).decode())
            except BlockingIOError:
                break
    assert "READY=1" in states and ("STOPPING=1" in states) == (how == signal.SIGTERM)
    with only_loader(site):
        assert loader_pid(site) == os.getpid()


# -- the loop -------------------------------------------------------------------------------------------------


def test_the_running_loader_takes_a_file_once_it_has_settled_and_stops_when_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SWEEP_SECONDS", 0.02)
    stop, seen = threading.Event(), threading.Event()
    taken: list[str] = []

    def watched(*args: Any, **named: Any) -> list[Loaded]:
        result = load_once(*args, **named)
        taken.extend(loaded.file for loaded in result)
        seen.set()
        return result

    monkeypatch.setattr(running, "load_once", watched)
    worker = threading.Thread(target=run, args=(site, stop))
    worker.start()
    try:
        drop(site, "things.csv")
        until(seen)
    finally:
        stop.set()
        worker.join(60)
    assert not worker.is_alive()
    assert taken == ["things.csv"]
    found = json.loads((site.log / "heartbeat.json").read_text(encoding="utf-8"))
    assert (found["pid"], found["waiting"], found["last_file"]) == (os.getpid(), 0, "things.csv")
    said = [event["event"] for event in events(site)]
    assert said[0] == "started" and said[-1] == "stopped" and "file" in said and "published" in said


def test_a_job_that_raises_is_logged_and_shown_and_the_loop_goes_on(
    site: Site, store: Store, log: FilteringBoundLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad(self: object) -> None:
        raise RuntimeError("broken fold, call 13812345678")

    monkeypatch.setattr(Loader, "fold", bad)
    loader = made(site, store, log)
    (job,) = loader.jobs.get_jobs("fold")
    before = datetime.now()  # noqa: DTZ005 - as `schedule` counts
    job.next_run = before - timedelta(seconds=1)
    loader.turn()
    assert job.next_run > before, "its next run was not moved on"
    text = (site.log / "loader.log").read_text(encoding="utf-8")
    assert "broken fold" in text and "13812345678" not in text
    assert "broken fold, call [电话]" in beat(loader)["last_error"]["what"]
    drop(site, "things.csv")
    loader.turn()
    loader.turn()
    assert loader.last_file == "things.csv"


def test_a_full_disk_is_tried_again_after_a_while_not_at_every_sweep(
    loader: Loader, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "things.csv")
    calls: list[int] = []

    def full(*_: Any, **__: Any) -> list[Loaded]:
        calls.append(1)
        raise Mistake(str(site.folder), "the disk takes no more", "free space")

    with monkeypatch.context() as patch:
        patch.setattr(running, "load_once", full)
        for _ in range(4):
            loader.turn()
    assert len(calls) == 1
    assert "takes no more" in beat(loader)["last_error"]["what"]
    loader._paused_until = 0
    loader.turn()
    assert loader.last_file == "things.csv"


def test_a_file_that_failed_is_tried_again_when_it_changes_and_shown_until_then(
    loader: Loader, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "things.csv")
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.load.read", lambda *_: 1 / 0)
        for _ in range(4):
            loader.turn()
    assert [event["event"] for event in events(site)].count("failed") == 1
    assert "ZeroDivisionError" in beat(loader)["failed"]["things.csv"]
    drop(site, "things.csv", FILE + "2,路\n")
    loader.turn()
    loader.turn()
    assert beat(loader)["failed"] == {} and list(site.inbox.iterdir()) == []


def test_what_was_committed_and_not_published_is_published_at_the_start(
    site: Site, store: Store, log: FilteringBoundLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "things.csv")
    with monkeypatch.context() as patch:
        patch.setattr(store, "publish", lambda: None)
        load_once(site, store)
    assert layout.read_pointer(site) is None
    made(site, store, log)
    assert layout.read_pointer(site) == "v000001"


def test_a_folder_in_the_inbox_is_said_once_in_the_log_and_as_long_as_it_is_there_in_the_heartbeat(
    loader: Loader, site: Site
) -> None:
    (site.inbox / "2024").mkdir()
    for _ in range(3):
        loader.turn()
    assert len([event for event in events(site) if event.get("folder") == "2024"]) == 1
    assert beat(loader)["folders"] == ["2024"]


# -- contracts and site.toml ----------------------------------------------------------------------------------


def test_a_changed_contract_is_in_force_for_the_next_file(loader: Loader, site: Site) -> None:
    write(site, THINGS.replace('"things*.csv"', '"stuff*.csv"'))
    drop(site, "stuff.csv")
    loader.turn()
    loader.turn()
    assert loader.last_file == "stuff.csv"
    reloaded = [event for event in events(site) if event["event"] == "contracts reloaded"]
    assert "things" in reloaded[0]["changed"]


def test_a_wrong_contract_leaves_the_old_one_in_force_and_is_said_until_it_is_mended(
    loader: Loader, site: Site
) -> None:
    write(site, THINGS.replace("match", "mtach"))
    drop(site, "things.csv")
    loader.turn()
    loader.turn()
    assert loader.last_file == "things.csv"
    assert "mtach" in beat(loader)["contracts"] and "match" in beat(loader)["contracts"]
    with only_loader(site):
        assert any("mtach" in line and "old ones stay in force" in line for line in loader_lines(site))
    write(site, THINGS)
    loader.turn()
    assert beat(loader)["contracts"] is None


def test_a_change_of_site_toml_is_said_and_a_wrong_one_named(loader: Loader, site: Site) -> None:
    (site.folder / "site.toml").write_text(
        'home = "43"\nprot = 1\n[name]\nzh = "甲"\nen = "Jia"\n', encoding="utf-8"
    )
    loader.turn()
    assert "prot" in beat(loader)["site"] and "goes on" in beat(loader)["site"]
    (site.folder / "site.toml").write_text('home = "43"\n[name]\nzh = "甲"\nen = "Jia"\n', encoding="utf-8")
    loader.turn()
    assert "restart" in beat(loader)["site"]


def test_sighup_asks_for_the_contracts_and_sigterm_for_the_end() -> None:
    with running._signals() as asked:
        os.kill(os.getpid(), signal.SIGHUP)
        assert (asked.reload, asked.stop) == (True, False)
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.stop


# -- timed jobs -----------------------------------------------------------------------------------------------

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("every", "last", "due"),
    [
        # It is 2024-05-10 12:00 in Shanghai.
        ("10 minutes", None, 0),  # never: now
        ("10 minutes", "2024-05-10 11:58", 8),
        ("10 minutes", "2024-05-10 11:40", 0),  # missed once or often: once, now
        ("hour", "2024-05-10 11:15", 15),
        ("2 days", "2024-05-09 12:00", 1440),
        ("day at 02:30", "2024-05-10 02:31", None),  # as planned: tomorrow
        ("day at 02:30", "2024-05-10 02:29", 0),  # missed
        ("day at 02:30", "2024-03-01 00:00", 0),
        ("day at 23:30", "2024-05-09 23:45", None),  # as planned: tonight
        ("day at 23:30", "2024-05-09 23:00", 0),  # yesterday's
        ("10 minutes", "2025-01-01 00:00", None),  # the clock was set back since
    ],
)
def test_a_missed_job_is_due_once_and_others_in_their_time(
    every: str, last: str | None, due: int | None
) -> None:
    now = datetime(2024, 5, 10, 12, 0, tzinfo=SHANGHAI)
    ran = None if last is None else datetime.fromisoformat(last).replace(tzinfo=SHANGHAI)
    found = due_in(every, ran, now, "Asia/Shanghai")
    assert found == (None if due is None else timedelta(minutes=due))


def test_a_daily_job_runs_by_the_sites_clock_wherever_the_machine_stands(
    site: Site, store: Store, log: FilteringBoundLogger
) -> None:
    with time_machine.travel(datetime(2024, 5, 10, 3, 0, tzinfo=UTC), tick=False):
        loader = made(site, store, log)
        (job,) = loader.jobs.get_jobs("upkeep")
        # 03:30 in Shanghai is 19:30 the day before in Greenwich.
        assert job.next_run.astimezone(UTC) == datetime(2024, 5, 10, 19, 30, tzinfo=UTC)


def test_upkeep_missed_for_days_runs_once_and_then_each_day(
    site: Site, store: Store, log: FilteringBoundLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[datetime] = []
    expire = running.expire

    def counted(site: Site, store: Store, now: datetime) -> Any:
        ran.append(now)
        return expire(site, store, now)

    monkeypatch.setattr(running, "expire", counted)
    start = datetime(2024, 5, 10, 3, 0, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        made(site, store, log)
        assert ran == [], "nothing to make up for on the first day"
        clock.shift(timedelta(days=3, hours=20))
        loader = made(site, store, log)
        loader.turn()
        assert len(ran) == 1
        clock.shift(timedelta(days=1))
        loader.turn()
        loader.turn()
        assert len(ran) == 2


def test_a_clock_that_jumps_back_does_not_put_jobs_off_for_the_length_of_the_jump(
    loader: Loader, site: Site
) -> None:
    (fold,) = loader.jobs.get_jobs("fold")
    loader._clock += 7 * 3600  # as if it had shown so much more until now
    far = datetime.now() + timedelta(hours=7)  # noqa: DTZ005 - as `schedule` counts
    fold.next_run = far
    loader.turn()
    assert all(job.next_run < far for job in loader.jobs.get_jobs("fold"))
    assert any("clock jumped" in event["event"] for event in events(site))


def test_every_rhythm_a_contract_may_have_can_be_planned() -> None:
    jobs = schedule.Scheduler()
    for every in ("30 seconds", "minute", "10 minutes", "hour", "3 hours", "day", "2 days", "day at 02:30"):
        running._scheduled(jobs, every, "Asia/Shanghai").do(lambda: None)
    assert len(jobs.get_jobs()) == 8


# -- databases ------------------------------------------------------------------------------------------------


@pytest.fixture
def office(site: Site) -> sa.Engine:
    """A database with one thing in it, and a contract that has it pulled."""
    write(site, THINGS + PULLED)
    engine = sa.create_engine(f"sqlite:///{site.folder / 'office.db'}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("create table things (id integer, what text, at text)"))
        connection.execute(sa.text("insert into things values (1, '灯', '2024-05-01 08:00:00')"))
    return engine


def finish(loader: Loader) -> None:
    thread = loader.pulls["things"].running
    assert thread is not None
    thread.join(60)
    loader.turn()


def test_a_database_is_pulled_at_the_start_and_in_its_own_rhythm(
    site: Site, store: Store, log: FilteringBoundLogger, office: sa.Engine
) -> None:
    with time_machine.travel(datetime(2024, 5, 10, 3, 0, tzinfo=UTC), tick=False) as clock:
        loader = made(site, store, log)
        finish(loader)
        assert [(batch.read, batch.kept) for batch in store.batches("things")] == [(1, 1)]
        clock.shift(timedelta(minutes=4))
        again = made(site, store, log)
        assert again.pulls["things"].running is None, "a restart is no reason to ask before it is time"
        clock.shift(timedelta(minutes=7))
        again.turn()
        finish(again)
        assert len(store.batches("things")) == 2


def test_a_database_that_hangs_does_not_keep_the_inbox_waiting_nor_is_it_asked_twice(
    site: Site, store: Store, log: FilteringBoundLogger, office: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    asked: list[int] = []
    pull = databases.pull

    def hanging(*arguments: Any) -> Any:
        asked.append(1)
        until(answer)
        return pull(*arguments)

    monkeypatch.setattr(databases, "pull", hanging)
    loader = made(site, store, log)
    drop(site, "things.csv")
    loader.turn()
    loader.turn()
    assert loader.last_file == "things.csv"
    loader.begin_pull("things")
    answer.set()
    finish(loader)
    assert asked == [1] and beat(loader)["pulls"]["things"]["error"] is None


def test_a_database_that_does_not_answer_is_tried_again_later_and_later_and_shown(
    site: Site, store: Store, log: FilteringBoundLogger, office: sa.Engine
) -> None:
    (site.folder / "office.db").rename(site.folder / "away.db")
    with time_machine.travel(datetime(2024, 5, 10, 3, 0, tzinfo=UTC), tick=False) as clock:
        loader = made(site, store, log)
        finish(loader)
        waits = []
        for _ in range(3):
            (again,) = loader.jobs.get_jobs("again things")
            waits.append(again.interval)
            clock.shift(timedelta(seconds=again.interval + 1))
            loader.turn()
            finish(loader)
        assert waits == [30, 60, 120]
        assert "cannot be read" in beat(loader)["pulls"]["things"]["error"]
        (site.folder / "away.db").rename(site.folder / "office.db")
        (again,) = loader.jobs.get_jobs("again things")
        clock.shift(timedelta(seconds=again.interval + 1))
        loader.turn()
        finish(loader)
    found = beat(loader)["pulls"]["things"]
    assert (found["failures"], found["error"]) == (0, None)
    assert loader.jobs.get_jobs("again things") == [] and store.batches("things")[0].read == 1


# -- what a person sees ---------------------------------------------------------------------------------------


def test_without_a_terminal_a_load_says_a_line_a_file_and_the_accounts(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    drop(site, "things.csv")
    drop(site, "holiday.jpg")
    with shown() as (progress, phase), pytest.raises(SystemExit) as ended:
        account(load(site, progress, phase))
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[1:] == [
        "things.csv: loaded, 1 read = 1 kept + 0 quarantined",
        "2 files: 1 loaded, 1 refused; 1 rows read = 1 kept + 0 quarantined",
    ]
    assert err.splitlines()[:2] == ["1/2 holiday.jpg", "2/2 things.csv"]
    assert "holiday.jpg: 没有合约与此文件名相符" in err and "lies in refused/" in err


def test_on_a_terminal_a_bar_shows_the_file_the_phase_and_the_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with shown() as (progress, phase):
        progress("things.csv", 1, 2)
        phase("checking", 1234)
    assert "things.csv: checking 1,234 rows" in capsys.readouterr().err


# -- the log --------------------------------------------------------------------------------------------------


def test_a_log_that_grows_too_large_is_put_aside_under_a_name_that_expires(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LOG_BYTES", 500)
    with logger(site) as log:
        for number in range(10):
            log.info("some event", number=number)
    aside = [path for path in site.log.iterdir() if path.name != "loader.log"]
    assert aside and all(path.match("loader.*-20[0-9][0-9]-[0-9][0-9]-[0-9][0-9].log") for path in aside)
    lines = [line for path in site.log.iterdir() for line in path.read_text(encoding="utf-8").splitlines()]
    assert sorted(json.loads(line)["number"] for line in lines) == list(range(10))


def test_a_log_that_cannot_be_written_stops_no_one() -> None:
    log = running._Log(Path("/dev/full"))
    log.write("a line\n")
    log.flush()
    log.close()


# -- the service ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["/srv/nerve/dongan", "/srv/two words/100% $home 东安"])
def test_the_units_are_what_systemd_takes(folder: str, tmp_path: Path) -> None:
    site = Site(folder=Path(folder), name=Text(zh="甲县", en="Jia"), home="43")
    made = units(site, "daemon", Path("/bin/true"))
    assert set(made) == {"nerve-loader.service", "nerve-app.service"}
    loader = made["nerve-loader.service"]
    assert "@" not in loader.replace("@system-service", "")
    assert "ProtectSystem=strict" in loader and "NoNewPrivileges=yes" in loader
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here: the units are not verified")
    for name, text in made.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    paths = [tmp_path / name for name in made]
    verified = subprocess.run(
        [program, "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(
    ("folder", "user", "says"),
    [
        ("/srv/a", "two words", "no name of a user"),
        ("/srv/a\nb", "nerve", "sign"),
        ("/tmp/a", "nerve", "temporary"),
    ],
)
def test_a_folder_or_user_that_a_unit_cannot_name_is_a_mistake(folder: str, user: str, says: str) -> None:
    site = Site(folder=Path(folder), name=Text(zh="甲县", en="Jia"), home="43")
    with pytest.raises(Mistake, match=says):
        units(site, user, Path("/bin/true"))
