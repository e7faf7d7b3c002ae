"""File landed → seen: from the moment a case's file has its name in the inbox to its line on the open wall."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
from playwright.sync_api import ElementHandle, Page, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLong

from benchmarks.processes import answering, nerve, running
from benchmarks.timing import Times, table, verdict
from nerve.server import APP, LOOPBACK, command, environment, require_free
from pipelines.contract import Contract, contracts
from warehouse.layout import pointer, read_pointer
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.version import current

TARGET = 3.0
WAIT_MS = 30_000
WARM = 2
"""Files dropped before any is measured: the server builds its first page, the loader imports its readers."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAUSE = (0.5, 3.5)
"""Seconds between a line seen and the next drop, at random: a drop meets every phase of a beat alike."""
SEEN = """([list, time]) => {
    const line = [...list.children].find((node) => node.dataset.key.startsWith(`${time}|`));
    return line && line.getClientRects().length ? Date.now() : false;
}"""


@dataclass
class Drop:
    """One file; all times are seconds since the epoch."""

    file: str
    landed: float = 0.0
    committed: float = 0.0
    published: float = 0.0
    seen: float = 0.0


@dataclass
class _Pointer:
    """When CURRENT changed, watched from a thread every few milliseconds."""

    site: Site
    changes: list[float] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[None]:
        stop = threading.Event()

        def watch() -> None:
            before = read_pointer(self.site)
            while not stop.wait(0.005):
                now = read_pointer(self.site)
                if now != before:
                    self.changes.append(time.time())
                    before = now

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def measure(site: Site, count: int, port: int, chromium: str) -> None:
    """Drop `count` files one by one into `site`, a copy of its own, and print what became of them.

    Raises Mistake when the port is taken, the site's clock stands still, or a line never shows.
    """
    if site.as_of is not None:
        raise Mistake(
            str(site.folder / "site.toml"), "key 'as_of': the clock stands still", "use a live site"
        )
    if not pointer(site).is_file():
        raise Mistake(str(pointer(site)), "nothing is published yet", "run 'nerve load' or 'nerve demo'")
    require_free(port)
    contract = contracts(site)["cases"]
    grids = [
        code for (code,) in current(site).rows("select code from places where level = 'grid' order by code")
    ]
    for folder in (site.inbox, site.log):
        folder.mkdir(parents=True, exist_ok=True)
    url, log = f"http://{LOOPBACK}:{port}", site.log / "benchmark.log"
    watching = _Pointer(site)
    drops: list[Drop] = []
    order = random.Random(1)
    with (
        running(nerve("run", "--site", str(site.folder)), log),
        running(command(port), log, environment(site), APP.parent) as server,
    ):
        answering(f"{url}/_stcore/health", server, log)
        with _wall(f"{url}/wall", chromium) as (page, lines), watching.watched():
            for number in range(WARM + count):
                drops.append(_one(site, contract, order.choice(grids), number, page, lines))
                time.sleep(order.uniform(*PAUSE))
    _fill_in(site, drops, watching.changes)
    _print(drops[WARM:])


@contextmanager
def _wall(url: str, chromium: str) -> Iterator[tuple[Page, ElementHandle]]:
    """The wall in a browser, and the list of its latest cases."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1920, "height": 1080})
            page.goto(url)
            lines = page.wait_for_selector(".panel.latest ul", state="attached", timeout=WAIT_MS)
            if lines is None:
                raise Mistake(url, "the wall has no list of latest cases", "look at it in a browser")
            yield page, lines
        finally:
            browser.close()


def _one(site: Site, contract: Contract, grid: str, number: int, page: Page, lines: ElementHandle) -> Drop:
    reported = site.now().replace(microsecond=0)
    drop = Drop(f"事件_计时{reported:%Y%m%d%H%M%S}_{number:03d}.csv")
    part = site.inbox / f".{drop.file}.part"
    part.write_bytes(_csv(contract, reported, grid, number).encode("gb18030"))
    drop.landed = time.time()
    part.replace(site.inbox / drop.file)
    try:
        seen = page.wait_for_function(
            SEEN, arg=[lines, f"{reported:%H:%M:%S}"], polling="raf", timeout=WAIT_MS
        )
    except TookTooLong as error:
        raise Mistake(
            drop.file, f"not on the wall within {WAIT_MS // 1000} s", f"see {site.log / 'loader.log'}"
        ) from error
    drop.seen = float(seen.json_value()) / 1000
    return drop


def _csv(contract: Contract, reported: datetime, grid: str, number: int) -> str:
    """One case with the headings of the contract, as an office's system exports it."""
    due = reported + timedelta(days=3)
    labels = {
        name: next(c.label.zh for c in contract.fields[name].choices) for name in ("category", "channel")
    }
    values = {
        "case_id": f"JS{reported:%Y%m%d%H%M%S}{number:03d}",
        "place": grid,
        "category": labels["category"],
        "channel": labels["channel"],
        "reported_at": f"{reported:%Y-%m-%d %H:%M:%S}",
        "due_at": f"{due:%Y-%m-%d %H:%M:%S}",
        "updated_at": f"{reported:%Y-%m-%d %H:%M:%S}",
    }
    headings = [contract.fields[name].headings[0] for name in values]
    return f"{','.join(headings)}\r\n{','.join(values.values())}\r\n"


def _fill_in(site: Site, drops: list[Drop], changes: list[float]) -> None:
    """When each file was committed, by the loader's own account, and when the next version was published."""
    zone = ZoneInfo(site.timezone)
    path: Path = site.warehouse / "loader.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("select file, committed_at, kept from batches").fetchall()
    accounts = {file: (at, kept) for file, at, kept in rows}
    for drop in drops:
        at, kept = accounts[drop.file]
        if kept != 1:
            raise Mistake(drop.file, f"{kept} rows kept of 1", "see the quarantine on the Data page")
        drop.committed = at.replace(tzinfo=zone).timestamp()
        drop.published = min(change for change in changes if change >= drop.committed)


def _print(drops: list[Drop]) -> None:
    steps = {
        "landed → committed": Times([d.committed - d.landed for d in drops]),
        "committed → published": Times([d.published - d.committed for d in drops]),
        "published → seen": Times([d.seen - d.published for d in drops]),
        "landed → seen": Times([d.seen - d.landed for d in drops]),
    }
    table(
        f"A case's file landed → its line on the wall: seconds, {len(drops)} files",
        ("step", "fastest", "p50", "p95", "max"),
        [
            (name, *(f"{value:.2f}" for value in (t.fastest, t.median, t.p95, t.slowest)))
            for name, t in steps.items()
        ],
        (verdict("Landed → seen, p95", steps["landed → seen"].p95, TARGET, " s"),),
    )
