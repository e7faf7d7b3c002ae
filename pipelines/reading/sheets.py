"""Workbooks: the sheets that carry a contract's headings."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from pipelines.contract import Contract
from pipelines.reading.headings import Refused, demand_columns, find_header, is_total, no_headings
from pipelines.reading.raw import Cells


def read_xlsx(path: Path, contract: Contract, cells: Cells) -> None:
    """All sheets that carry the contract's headings; merged titles stand above them."""
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            sheets = [
                book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names
            ]
    except (CalamineError, OSError, ValueError) as error:
        raise Refused("无法读取的工作簿", f"not a readable workbook: {error}") from error
    found_any = False
    for sheet in sheets:
        texts = [[_cell_text(cell) for cell in row] for row in sheet]
        found = find_header(texts, contract)
        if found is None:
            continue
        found_any = True
        at, layout = found
        demand_columns(layout, contract)
        numbered = [(number, row) for number, row in enumerate(texts, start=1) if number > at + 1]
        kept = [(number, row) for number, row in numbered if not is_total(row)]
        cells.ignored += len(numbered) - len(kept)
        columns = {name: [row[position] for _, row in kept] for name, position in layout.used()}
        cells.add(layout, [number for number, _ in kept], columns)
    if not found_any:
        raise no_headings(contract)


def _cell_text(cell: Any) -> str:
    """A cell as text: ISO dates, whole numbers without '.0', yes/no as true/false."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell)
