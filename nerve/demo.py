"""The main job in one go: make the demo's files, load and publish them, then feed, load and serve until stopped."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Literal, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from nerve.server import APP, LOOPBACK, command, environment, require_free
from pipelines.demo import write_demo
from pipelines.demo.feed import feed
from pipelines.run import load
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site, load_site

SCALES = ("full", "small")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def demo(
    folder: Path,
    *,
    place: str,
    until: date | None,
    seed: int,
    scale: str,
    serve: bool,
    port: int | None,
) -> None:
    """Run the main job. Every process started here ends with this one, however it ends."""
    if scale not in SCALES:
        raise Mistake("--scale", f"unknown scale '{scale}'", nearest(scale, SCALES))
    console = Console()
    began = time.monotonic()
    with Progress(
        TextColumn("{task.description:<34}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(), console=console,
    ) as progress:  # fmt: skip
        making = progress.add_task("source files", total=1.0)
        summary = write_demo(
            folder,
            place=place,
            seed=seed,
            until=until,
            scale=cast(Literal["full", "small"], scale),
            progress=_shown(progress, making, "source files"),
        )
        progress.update(making, completed=1.0)
        site = load_site(folder)
        if serve:
            require_free(port or site.port)
        loading = progress.add_task("load, check, publish", total=1.0)
        shown = _shown(progress, loading, "load")
        loaded = load(site, lambda name, number, total: shown(name, (number - 1) / total))
        progress.update(loading, completed=1.0)
    console.print(
        f"{len(loaded)} files, {sum(one.read for one in loaded):,} rows read, "
        f"{sum(one.kept for one in loaded):,} kept, {sum(one.quarantined for one in loaded):,} quarantined "
        f"in {time.monotonic() - began:.0f} s"
    )
    console.print(
        f"{site.name.en}: {summary.meetings:,} meetings, {summary.done:,} of {summary.items:,} items done "
        f"({summary.window[0]} to {summary.window[1]})"
    )
    if serve:
        _serve(site, seed, port or site.port, console)


def _shown(progress: Progress, task: object, prefix: str) -> Callable[[str, float], None]:
    def show(what: str, share: float) -> None:
        progress.update(task, completed=share, description=f"{prefix}: {what}"[:34])  # type: ignore[arg-type]

    return show


def _serve(site: Site, seed: int, port: int, console: Console) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    children: list[subprocess.Popen[bytes]] = []
    feeding = threading.Thread(target=feed, args=(site, seed, stop), daemon=True)
    try:
        children.append(_child([sys.executable, "-m", "nerve.cli", "run", "--site", str(site.folder)], site))
        children.append(_child(command(port), site))
        feeding.start()
        url = f"http://{LOOPBACK}:{port}"
        if _answers(url, children[1], stop):
            console.print(
                f"\n[bold]{url}/wall[/bold]  wall\n[bold]{url}/overview[/bold]  pages\nCtrl-C stops everything"
            )
        while not stop.wait(0.5):
            for child in children:
                if child.poll() is not None:
                    raise Mistake(
                        str(site.log), f"a process ended with code {child.returncode}", "see the log there"
                    )
    finally:
        stop.set()
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if feeding.is_alive():
            feeding.join(timeout=5)


def _child(arguments: Sequence[str], site: Site) -> subprocess.Popen[bytes]:
    """A child process that ends when this one does, even when this one is killed."""
    site.log.mkdir(parents=True, exist_ok=True)
    with (site.log / "demo.log").open("ab") as log:
        return subprocess.Popen(
            arguments,
            env=environment(site),
            cwd=APP.parent,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _answers(url: str, server: subprocess.Popen[bytes], stop: threading.Event) -> bool:
    """Wait until the server answers; False when it ended or we are to stop."""
    while not stop.is_set() and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            stop.wait(0.2)
    return False
