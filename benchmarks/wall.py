"""`python -m benchmarks.wall fit|soak|viewers --site DIR`: what a wall is held to that a test cannot wait for."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.processes import answering, nerve, running
from benchmarks.timing import CONSOLE, Times, ms, table, verdict
from dashboard.pages.wall import SCENES
from nerve.server import APP, LOOPBACK, command, environment, require_free
from pipelines.demo.feed import feed
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site
from warehouse.text import LANGS

SIZES = ((1366, 768), (1920, 1080), (2560, 1440), (3840, 2160), (6656, 1792))
FITS = (Path(__file__).parent.parent / "tests" / "fits.js").read_text(encoding="utf-8")
SHADOW = "[...document.querySelectorAll('*')].find((n) => n.shadowRoot?.querySelector('.stage'))?.shadowRoot"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WAIT_MS = 60_000
DRIFT = 0.10
"""Share by which memory may have grown at the end of a soak."""
SETTLED = 600.0
"""Seconds after which memory should have found its level; a third of a soak shorter than three times that."""
VIEWERS, EVERY, ROUNDS = 100, 5.0, 8
BEAT_TARGET_MS = 150.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wall", description=__doc__)
    parser.add_argument("part", choices=("fit", "soak", "viewers"))
    parser.add_argument("--site", type=Path, required=True, help="a loaded site; 'soak' works on a copy")
    parser.add_argument("--port", type=int, default=8671)
    parser.add_argument("--minutes", type=float, default=120.0, help="how long 'soak' lasts")
    parser.add_argument("--collect", action="store_true", help="with Streamlit's collection after every run")
    asked = parser.parse_args(arguments)
    try:
        require_free(asked.port)
        with tempfile.TemporaryDirectory(prefix="nerve-wall-", ignore_cleanup_errors=True) as name:
            site = load_site(asked.site)
            if asked.part == "fit":
                return fit(site, asked.port, Path(name))
            if asked.part == "viewers":
                return viewers(site, asked.port, Path(name))
            return soak(site, asked.port, Path(name), asked.minutes * 60, asked.collect)
    except Mistake as mistake:
        print(f"benchmarks.wall: {mistake}", file=sys.stderr)
        return 2


@contextmanager
def _served(site: Site, port: int, scratch: Path, *options: str) -> Iterator[tuple[str, int]]:
    """The app for the site: its address and its process."""
    log = scratch / "server.log"
    with running([*command(port), *options], log, environment(site), APP.parent) as server:
        url = f"http://{LOOPBACK}:{port}"
        answering(f"{url}/_stcore/health", server, log)
        yield url, server.pid


@contextmanager
def _browsing() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            yield browser.new_page(viewport={"width": 1920, "height": 1080})
        finally:
            browser.close()


def _opened(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_function(
        f"[...({SHADOW}?.querySelectorAll('.scene') ?? [])].filter((one) => one.querySelector('.panel')).length"
        f" === {len(SCENES)}",
        timeout=WAIT_MS,
    )


# ---- fit


def fit(site: Site, port: int, scratch: Path) -> int:
    """Every scene at every size in both languages: what does not fit, and the smallest text."""
    rows, bad = [], 0
    with _served(site, port, scratch) as (url, _), _browsing() as page:
        for lang in LANGS:
            _opened(page, f"{url}/wall?lang={lang}&every=3600")
            for wide, tall in SIZES:
                page.set_viewport_size({"width": wide, "height": tall})
                page.wait_for_timeout(800)
                faults, smallest, texts = [], 100.0, 0
                for number, scene in enumerate(SCENES, start=1):
                    page.keyboard.press(str(number))
                    page.wait_for_timeout(150)
                    found = page.evaluate(FITS)
                    faults += [f"{scene.name}: {fault}" for fault in found["faults"]]
                    smallest, texts = min(smallest, found["smallest"]), texts + found["texts"]
                bad += len(faults)
                rows.append((f"{lang} {wide} × {tall}", str(texts), f"{smallest:.2f} %", str(len(faults))))
                for fault in faults:
                    CONSOLE.print(f"{lang} {wide} × {tall} {fault}")
    table(
        f"{len(SCENES)} scenes at each size: texts, the smallest in per cent of the height, what does not fit",
        ("screen", "texts", "smallest", "faults"),
        rows,
    )
    return 1 if bad else 0


# ---- soak


@dataclass(frozen=True)
class _Sample:
    seconds: float
    server_mb: float
    heap_mb: float
    nodes: float


def soak(site: Site, port: int, scratch: Path, seconds: float, collect: bool) -> int:
    """One wall turning its scenes over a site that is fed, for a long time: the memory of server and page."""
    folder = scratch / "site"
    shutil.copytree(site.folder, folder, ignore=shutil.ignore_patterns("archive", "inbox", "log", "reports"))
    copy = load_site(folder)
    for needed in (copy.inbox, copy.log):
        needed.mkdir(parents=True, exist_ok=True)
    samples: list[_Sample] = []
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(running(nerve("run", "--site", str(folder)), copy.log / "benchmark.log"))
        options = ("--runner.postScriptGC", "true") if collect else ()
        url, pid = stack.enter_context(_served(copy, port, scratch, *options))
        page = stack.enter_context(_browsing())
        feeding = threading.Thread(target=feed, args=(copy, 1, stop), daemon=True)
        feeding.start()
        stack.callback(feeding.join, 20)
        stack.callback(stop.set)
        _opened(page, f"{url}/wall?every=10")
        tools = page.context.new_cdp_session(page)
        tools.send("Performance.enable")
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            page.wait_for_timeout(min(20_000, (seconds - passed) * 1000))
            tools.send("HeapProfiler.collectGarbage")
            found = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
            samples.append(
                _Sample(
                    time.monotonic() - began, _resident(pid), found["JSHeapUsedSize"] / 1e6, found["Nodes"]
                )
            )
        beats = page.evaluate(f"Number({SHADOW}.querySelector('.stage').dataset.beats)")
    settled = min(SETTLED, seconds / 3)
    before = [one for one in samples if settled * 0.7 <= one.seconds <= settled * 1.3] or samples[:1]
    after = samples[-max(1, len(samples) // 8) :]
    rows, verdicts = [], []
    for name, of in (
        ("server, MB", lambda one: one.server_mb),
        ("page's heap, MB", lambda one: one.heap_mb),
        ("nodes", lambda one: one.nodes),
    ):
        first, last = (sum(map(of, part)) / len(part) for part in (before, after))
        rows.append(
            (name, f"{of(samples[0]):,.1f}", f"{first:,.1f}", f"{last:,.1f}", f"{last / first - 1:+.1%}")
        )
        verdicts.append(verdict(f"{name}, growth", last / first - 1, DRIFT, ""))
    table(
        f"A wall over {seconds / 60:.0f} minutes, {beats:,} beats"
        + (", collecting after every run" if collect else ""),
        ("", "first sample", f"after {settled / 60:.0f} min", "at the end", "growth"),
        rows,
        verdicts,
    )
    return 0


def _resident(pid: int) -> float:
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def _busy(pid: int) -> float:
    """Seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- viewers


def viewers(site: Site, port: int, scratch: Path) -> int:
    """Many walls at once, by Streamlit's own protocol, a beat each every few seconds."""
    with _served(site, port, scratch) as (url, pid):
        alone = asyncio.run(_watch(url, 1, 0.5, 12))
        before, began = _busy(pid), time.monotonic()
        many = asyncio.run(_watch(url, VIEWERS, EVERY, ROUNDS))
        share = (_busy(pid) - before) / (time.monotonic() - began)
    table(
        f"A beat, asked for until finished, milliseconds: {VIEWERS} walls every {EVERY:g} s, {len(many.seconds)} beats",
        ("", "p50", "p95", "max"),
        [
            (name, ms(t.median), ms(t.p95), ms(t.slowest))
            for name, t in (("one wall", alone), (f"{VIEWERS} walls", many))
        ],
        (
            verdict(f"{VIEWERS} walls, p95", many.p95 * 1000, BEAT_TARGET_MS, " ms"),
            f"the server used {share:.0%} of a core, opening the walls included; load of the machine {os.getloadavg()[0]:.1f}",
        ),
    )
    return 0


async def _watch(url: str, count: int, every: float, rounds: int) -> Times:
    times = Times()
    await asyncio.gather(
        *(_one(url, number / count * every, every, rounds, times) for number in range(count))
    )
    return times


async def _one(url: str, delay: float, every: float, rounds: int, times: Times) -> None:
    """One wall: opened, then as many beats; the first ones, while scenes are made, are not counted."""
    await asyncio.sleep(delay)
    address = f"{url.replace('http', 'ws', 1)}/_stcore/stream"
    async with connect(address, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        fragment = await _run(socket, ClientState(query_string="lang=zh"))
        if not fragment:
            raise Mistake(url, "the wall has no beat", "look at it in a browser")
        for number in range(rounds + 2):
            await asyncio.sleep(every)
            began = time.perf_counter()
            await _run(socket, ClientState(query_string="lang=zh", fragment_id=fragment, is_auto_rerun=True))
            if number >= 2:
                times.seconds.append(time.perf_counter() - began)


async def _run(socket: ClientConnection, state: ClientState) -> str:
    """Ask for a run and wait for its end; the fragment that is to be run again by itself, if one was named.

    Raises Mistake when it brought nothing to show."""
    state.page_name = "wall"
    asked, fragment, brought = BackMsg(), "", False
    asked.rerun_script.CopyFrom(state)
    await socket.send(asked.SerializeToString())
    while True:
        message = ForwardMsg()
        message.ParseFromString(await socket.recv(decode=False))
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            fragment = message.auto_rerun.fragment_id
        brought |= kind == "delta" and message.delta.new_element.WhichOneof("type") == "bidi_component"
        # Streamlit sends what the browser has already as a reference to it.
        brought |= kind == "ref_hash"
        if kind == "script_finished":
            if not brought:
                raise Mistake("the wall", "a run brought no beat", "look at it in a browser")
            return fragment


if __name__ == "__main__":
    raise SystemExit(main())
