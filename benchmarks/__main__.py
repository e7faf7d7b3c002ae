"""`python -m benchmarks [--site DIR] [--only PART …]`: print one table per part. The site is only read."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from playwright.sync_api import sync_playwright

from benchmarks import landed, load, pdf, queries
from benchmarks.timing import CONSOLE
from nerve.demo import demo
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site

PARTS = ("queries", "landed", "pdf", "load")
REPETITIONS = {"queries": 31, "landed": 40, "pdf": 15, "load": 3}
PORT = 8670
SEED = 20260101
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts asked for; the exit code: 0, 2 on a mistake a person can mend, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--site", type=Path, help="a loaded site, only read (default: a full demo is made)")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part only; may be given again")
    parser.add_argument("--repeat", type=int, help=f"repetitions of every part (default: {REPETITIONS})")
    parser.add_argument("--port", type=int, default=PORT, help="port of the server while 'landed' runs")
    asked = parser.parse_args(arguments)
    if asked.repeat is not None and asked.repeat < 1:
        parser.error("--repeat: give at least 1")
    for number in _ENDING:
        signal.signal(number, _leave)
    try:
        with tempfile.TemporaryDirectory(prefix="nerve-bench-", ignore_cleanup_errors=True) as name:
            scratch = Path(name)
            site = load_site(asked.site) if asked.site else _made(scratch / "demo")
            counts = {part: asked.repeat or REPETITIONS[part] for part in PARTS}
            CONSOLE.print(
                f"{site.name.en}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n"
            )
            for part in PARTS:
                if asked.only is None or part in asked.only:
                    _run(part, site, counts[part], asked.port, scratch)
    except Mistake as mistake:
        print(f"benchmarks: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(part: str, site: Site, count: int, port: int, scratch: Path) -> None:
    if part == "queries":
        queries.measure(site, count)
    elif part == "landed":
        landed.measure(_copy(site, scratch / "landed"), count, port, _chromium())
    elif part == "pdf":
        pdf.measure(site, count, scratch)
    else:
        load.measure(site, count, scratch)


def _made(folder: Path) -> Site:
    """The full demo, made and loaded."""
    demo(folder, place="dongan", until=None, seed=SEED, scale="full", serve=False, port=None)
    return load_site(folder)


def _copy(site: Site, folder: Path) -> Site:
    """A copy to write into: without what was loaded, printed and logged before."""
    shutil.copytree(site.folder, folder, ignore=shutil.ignore_patterns("archive", "inbox", "log", "reports"))
    return load_site(folder)


def _chromium() -> str:
    """The system's browser, else Playwright's own. Raises Mistake when there is neither."""
    for name in BROWSERS:
        found = shutil.which(name)
        if found is not None:
            return found
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).is_file():
        raise Mistake("browser", "no Chromium found", "run 'bash tests/browser.sh'")
    return path


def _leave(number: int, frame: FrameType | None) -> None:
    """End the run and every process it started; once is enough, nothing may break into that."""
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    # On Ctrl-C the browser's driver is gone before us: its lost connection is no news.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
