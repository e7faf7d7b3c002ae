"""Processes a benchmark starts: each ends with it, on Ctrl-C, on SIGTERM and when it is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from warehouse.mistake import Mistake

PATIENCE = 60.0
"""Seconds a process may take to start, and to end before it is killed."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def nerve(*arguments: str) -> list[str]:
    """The command line of the console script, by this interpreter."""
    return [sys.executable, "-m", "nerve.cli", *arguments]


@contextmanager
def running(
    arguments: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in `folder`, what it prints in `log`. On leaving, it and all it started are ended."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            arguments,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
    try:
        yield process
    finally:
        # Its session is its own: the signal reaches its children too, which it may not pass on.
        _end(process, signal.SIGTERM, 10.0)
        _end(process, signal.SIGKILL, PATIENCE)


def answering(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers. Raises Mistake when it ended or takes too long."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise Mistake(str(log), f"no answer from {url}", "see the log")


def _end(process: subprocess.Popen[bytes], number: signal.Signals, patience: float) -> None:
    """Send a signal to the process's group and wait until nothing of the group is left."""
    limit = time.monotonic() + patience
    try:
        os.killpg(process.pid, number)
        while time.monotonic() < limit:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    except ProcessLookupError:
        process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
