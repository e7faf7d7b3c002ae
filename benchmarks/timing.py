"""Time taken side by side: A B A B …, so that what else the machine does falls on both alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=110, highlight=False)


@dataclass
class Times:
    """Seconds of the repetitions of one thing."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def fastest(self) -> float:
        return min(self.seconds)

    @property
    def slowest(self) -> float:
        return max(self.seconds)

    @property
    def p95(self) -> float:
        """The nearest-rank 95th percentile."""
        return sorted(self.seconds)[math.ceil(0.95 * len(self.seconds)) - 1]


def alternate(jobs: Mapping[str, Callable[[], object]], repetitions: int, warm: int = 2) -> dict[str, Times]:
    """Run all jobs in turn, `warm` rounds unmeasured and then `repetitions` rounds; their times by name."""
    times = {name: Times() for name in jobs}
    for number in range(warm + repetitions):
        for name, job in jobs.items():
            began = perf_counter()
            job()
            taken = perf_counter() - began
            if number >= warm:
                times[name].seconds.append(taken)
    return times


def summed(parts: Sequence[Times]) -> Times:
    """Round by round the sum of the parts."""
    return Times([sum(round_) for round_ in zip(*(part.seconds for part in parts), strict=True)])


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"


def table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> None:
    """Print a table, its first column left, the others right; then its notes."""
    shown = Table()
    for number, heading in enumerate(headings):
        shown.add_column(heading, justify="right" if number else "left", no_wrap=number > 0)
    for row in rows:
        shown.add_row(*row)
    CONSOLE.print(title, style="bold")
    CONSOLE.print(shown)
    for note in notes:
        CONSOLE.print(note)
    CONSOLE.print()


def verdict(what: str, measured: float, target: float, unit: str) -> str:
    """The line that says whether a target is met; lower is better."""
    word = "[green]met[/green]" if measured <= target else "[red]missed[/red]"
    return f"{what}: {measured:.2f}{unit}, target ≤ {target:g}{unit}: {word}"
