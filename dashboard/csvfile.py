"""One table as a CSV file: for Excel as it opens by a double click, and for programs.

UTF-8 with its mark, lines end in CR LF. Figures are plain numbers, days ISO; what is hidden stays "<5". A text that Excel
would take for a formula has an apostrophe before it. What every copy must carry stands below the rows, each line
beginning with "#".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from dashboard.grids import NUMBER, Cell, Grid

RISKY = ("=", "+", "-", "@", "\t", "\r")


def render_csv(grid: Grid, facts: Iterable[tuple[str, str]]) -> bytes:
    """The grid's heading and rows, then the facts about the copy."""
    out = io.BytesIO()
    with io.TextIOWrapper(
        out, encoding="utf-8-sig", errors="replace", newline="", write_through=True
    ) as text:
        writer = csv.writer(text)
        writer.writerow([_safe(label) for label in grid.heading])
        writer.writerows(_line(row, grid.numeric) for row in grid.rows)
        for term, said in facts:
            writer.writerow([f"# {term}: {said}"])
        text.flush()
        return out.getvalue()


def _line(row: Sequence[Cell], numeric: frozenset[int]) -> list[str]:
    return [_cell(cell, column in numeric) for column, cell in enumerate(row)]


def _cell(cell: Cell, numeric: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.1f}"
    if numeric and NUMBER.fullmatch(cell):
        return cell.replace(",", "").replace("−", "-").replace(" ", "")
    return _safe(cell)


def _safe(text: str) -> str:
    text = text.replace("\x00", "\ufffd")
    return f"'{text}" if text.startswith(RISKY) else text
