"""Damaged files without end: each is read and checked as the loader does, and must end in an account.

`python -m benchmarks.fuzz [--count N] [--first N]` prints how many ended how and every fault with the number of
its file, which makes the same file again. Each share of the work is a process of its own with a limit of memory:
a file that kills its reader, or takes too long, is a fault like any other.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import duckdb
from rich.table import Table

from benchmarks.timing import CONSOLE
from pipelines.contract import read_contract
from tests.nasty import FUZZED, MEMORY, end_of, mutant

COUNT = 10_000
SHARE = 500
"""Files of one process."""
SECONDS = 20
"""After so long on one file its process is ended."""


@dataclass
class Found:
    """`ends`: how many files of each form ended how; `faults`: the number of a file → what went wrong."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[int, str] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, -1)


def run(count: int = COUNT, first: int = 0) -> Found:
    """Try the damaged files `first` to `first + count`, print and return what was found."""
    found = Found()
    started = perf_counter()
    at = first
    while at < first + count:
        at = _share(at, min(at + SHARE, first + count), found)
    _print(found, count, perf_counter() - started)
    return found


def _share(first: int, end: int, found: Found) -> int:
    """Have a process try some files; the number of the next one to be tried."""
    command = [sys.executable, "-m", "benchmarks.fuzz", "--try", str(first), str(end)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        at = first
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            number, name, ending, seconds = json.loads(line)
            at = number + 1
            if ending.startswith("!"):
                found.faults[number] = f"{name}: {ending[1:]}"
            found.ends[Path(name).suffix, ending.partition("!")[0] or "fault"] += 1
            found.slowest = max(found.slowest, (seconds, number))
        said = process.stderr.read()
    if at < end:
        name, _ = mutant(at)
        found.faults[at] = f"{name}: its process died ({process.returncode}): {said.strip()[:200]}"
        found.ends[Path(name).suffix, "fault"] += 1
        return at + 1
    return end


def _try(first: int, end: int) -> None:
    """Try some files; a line of JSON for each: its number, name, ending (after ! what went wrong), seconds."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = duckdb.connect()
    with tempfile.TemporaryDirectory(prefix="nerve-fuzz-") as folder:
        (Path(folder) / "wells.toml").write_text(FUZZED, encoding="utf-8")
        contract = read_contract(Path(folder) / "wells.toml")
        for number in range(first, end):
            name, content = mutant(number)
            path = Path(folder) / name
            path.write_bytes(content)
            started = perf_counter()
            # The process ends itself: Python's own signals would wait for the C code to return.
            resource.setrlimit(resource.RLIMIT_CPU, (int(_cpu_seconds()) + SECONDS, resource.RLIM_INFINITY))
            try:
                ending: str = end_of(path, contract, connection)
            except Exception as error:
                ending = f"!{type(error).__name__}: {error}".splitlines()[0][:300]
            print(json.dumps([number, name, ending, perf_counter() - started]), flush=True)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _print(found: Found, count: int, seconds: float) -> None:
    endings = ("kept", "quarantined", "refused", "fault")
    table = Table(title=f"{count:,} damaged files in {seconds:.0f} s")
    table.add_column("form")
    for ending in endings:
        table.add_column(ending, justify="right")
    for form in sorted({form for form, _ in found.ends}):
        table.add_row(form, *(f"{found.ends[form, ending]:,}" for ending in endings))
    CONSOLE.print(table)
    CONSOLE.print(f"slowest: {found.slowest[0]:.2f} s (number {found.slowest[1]})", highlight=False)
    for number, what in sorted(found.faults.items()):
        CONSOLE.print(f"fault {number}: {what}", highlight=False, markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every file ended in an account, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help=f"files to try (default {COUNT:,})")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--try", type=int, nargs=2, dest="share", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.share:
        _try(*asked.share)
        return 0
    return 1 if run(asked.count, asked.first).faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
