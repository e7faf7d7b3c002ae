"""The raw table that every reader fills: each record of a file as text, one row a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import duckdb
import pyarrow as pa

from pipelines.contract import Contract
from pipelines.privacy import mask, over_distinct, pseudonym
from pipelines.reading.headings import Layout

RAW = "incoming_raw"


@dataclass(frozen=True)
class Raw:
    """A file's records in a temporary table, one row per record.

    Columns: `_row` bigint (1 = the first record), `_line` bigint (line of the text file, row of the
    sheet), `_fault` varchar (`columns`, `json`: the record itself is broken; else null), `_raw` varchar
    (what may be kept of a broken record; else null), then `c0`, `c1`, … varchar in file order.

    `columns`: field → the raw columns it may come from, the first that is not empty wins.
    `headings`: of `c0`, `c1`, … · `read`: records · `ignored`: totals and blank rows, no records.
    """

    table: str
    columns: Mapping[str, tuple[str, ...]]
    headings: tuple[str, ...]
    form: Literal["csv", "json"]
    read: int
    ignored: int
    unknown: tuple[str, ...]
    blocked: tuple[str, ...]


@dataclass
class Cells:
    """What the readers gather: one list per used heading, all of one length."""

    rows: int = 0
    ignored: int = 0
    lines: list[int] = field(default_factory=list)
    faults: dict[int, tuple[str, str]] = field(default_factory=dict)
    columns: dict[str, Sequence[str | None]] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    blocked: dict[str, None] = field(default_factory=dict)

    def add(self, layout: Layout, lines: Sequence[int], columns: Mapping[str, Sequence[str | None]]) -> None:
        """Append records of one sheet; a heading that another sheet lacks is null there."""
        count = len(lines)
        for name in {**self.columns, **columns}:
            before = self.columns.get(name, [None] * self.rows)
            self.columns[name] = [*before, *columns.get(name, [None] * count)] if self.rows else columns[name]
        for name, headings in layout.sources.items():
            known = self.sources.setdefault(name, [])
            known.extend(text for text in headings if text not in known)
        self.spelled = layout.spelled | self.spelled
        self.unknown |= dict.fromkeys(layout.unknown)
        self.blocked |= dict.fromkeys(layout.blocked)
        self.lines.extend(lines)
        self.rows += count


def to_table(
    cells: Cells,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    secret: bytes,
    form: Literal["csv", "json"],
) -> Raw:
    privacy: dict[str, str] = {}
    for name, headings in cells.sources.items():
        how = contract.fields[name].privacy
        for text in headings:
            if how is not None and privacy.get(text) != "pseudonym":
                privacy[text] = how
    names = {text: f"c{number}" for number, text in enumerate(cells.columns)}
    arrays: dict[str, pa.Array[Any]] = {
        "_row": pa.array(range(1, cells.rows + 1), pa.int64()),
        "_line": pa.array(cells.lines, pa.int64()),
        "_fault": pa.array(_sparse(cells, 0), pa.string()),
        "_raw": pa.array(_sparse(cells, 1), pa.string()),
    }
    for text, column in names.items():
        values = cells.columns[text]
        if privacy.get(text) == "pseudonym":
            values = over_distinct(lambda value: pseudonym(secret, value), values)
        elif privacy.get(text) == "mask":
            values = over_distinct(mask, values)
        arrays[column] = pa.array(values, pa.string())
    with registered(connection, "incoming_arrow", pa.table(arrays)):
        connection.execute("create or replace temp table incoming_raw as select * from incoming_arrow")
    return Raw(
        table=RAW,
        columns={name: tuple(names[text] for text in headings) for name, headings in cells.sources.items()},
        headings=tuple(cells.spelled[text] for text in names),
        form=form,
        read=cells.rows,
        ignored=cells.ignored,
        unknown=tuple(cells.spelled[text] for text in cells.unknown),
        blocked=tuple(cells.spelled[text] for text in cells.blocked),
    )


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Let SQL see an Arrow table under a name."""
    # A result that someone has not fetched to its end would forbid it; the next statement ends that one.
    connection.execute("select 1").fetchall()
    connection.register(name, table)
    try:
        yield
    finally:
        connection.unregister(name)


def _sparse(cells: Cells, part: int) -> list[str | None]:
    out: list[str | None] = [None] * cells.rows
    for row, fault in cells.faults.items():
        out[row] = fault[part]
    return out
