"""The raw table that every reader fills: each record of a file as text, one row a record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import duckdb
import pyarrow as pa

from pipelines.contract import Contract
from pipelines.privacy import PSEUDONYM_HEX
from pipelines.reading.headings import Layout
from warehouse.masking import SUSPECT, mask

RAW = "incoming_raw"
WHITE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
"""Everything that Python's `strip` takes away; no white space lies beyond U+3000."""
_BLOCK = 64
"""Bytes of a block of SHA-256, for HMAC (RFC 2104)."""


@dataclass(frozen=True)
class Raw:
    """A file's records in a temporary table, one row per record.

    Columns: `_row` bigint (1 = the first record), `_line` bigint (line of the text file, row of the
    sheet), `_fault` varchar (`columns`, `json`: the record itself is broken; else null), `_raw` varchar
    (what may be kept of a broken record; else null), then `c0`, `c1`, … varchar in file order.

    `columns`: field → the raw columns it may come from, the first that is not empty wins.
    `headings`: of `c0`, `c1`, … · `read`: records · `ignored`: totals, blank rows and repeated headings,
    no records. `beside`: numbers of the sheets of a workbook (1: the first) that hold something, but no records.
    """

    table: str
    columns: Mapping[str, tuple[str, ...]]
    headings: tuple[str, ...]
    form: Literal["csv", "json"]
    read: int
    ignored: int
    unknown: tuple[str, ...]
    blocked: tuple[str, ...]
    beside: tuple[int, ...] = ()


@dataclass
class Cells:
    """What the readers gather that have no faster way: one list per used heading, all of one length."""

    rows: int = 0
    ignored: int = 0
    lines: list[int] = field(default_factory=list)
    faults: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    columns: dict[str, Sequence[str | None]] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    blocked: dict[str, None] = field(default_factory=dict)
    beside: list[int] = field(default_factory=list)

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


@dataclass(frozen=True)
class Guard:
    """What stands between a file's cells and every table: SQL that masks a text or replaces an identity.

    `bound` holds the values that the expressions of `cell` need, and no others.
    """

    key: bytes
    privacy: Mapping[str, str]
    bound: dict[str, Any] = field(default_factory=dict)

    def cell(self, heading: str, value: str) -> str:
        """The SQL of what may be kept of `value`, a cell below `heading`."""
        how = self.privacy.get(heading)
        if how == "mask":
            self.bound["suspect"] = SUSPECT
            return f"case when regexp_matches({value}, $suspect) then nerve_mask({value}) else {value} end"
        if how == "pseudonym":
            # HMAC-SHA256 as `privacy.pseudonym` makes it, at several times its speed.
            key = hashlib.sha256(self.key).digest() if len(self.key) > _BLOCK else self.key
            padded = key.ljust(_BLOCK, b"\0")
            self.bound.update(
                inner=bytes(byte ^ 0x36 for byte in padded),
                outer=bytes(byte ^ 0x5C for byte in padded),
                white=WHITE,
            )
            said = f"trim({value}, $white)"
            digest = f"sha256($outer || unhex(sha256($inner || encode({said}))))"
            return f"case when {said} = '' then '' else left({digest}, {PSEUDONYM_HEX}) end"
        return value


@contextmanager
def guarded(
    sources: Mapping[str, Sequence[str]],
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    secret: bytes,
) -> Iterator[Guard]:
    """A guard for the headings that feed each field; of two fields the one with the pseudonym decides."""
    privacy: dict[str, str] = {}
    for name, headings in sources.items():
        how = contract.fields[name].privacy
        for text in headings:
            if how is not None and privacy.get(text) != "pseudonym":
                privacy[text] = how
    if "mask" not in privacy.values():
        yield Guard(secret, privacy)
        return
    with masking(connection):
        yield Guard(secret, privacy)


@contextmanager
def masking(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let SQL call `nerve_mask(text)`."""
    finish(connection)
    connection.create_function("nerve_mask", lru_cache(1 << 16)(mask), ["VARCHAR"], "VARCHAR")
    try:
        yield
    finally:
        finish(connection)
        connection.remove_function("nerve_mask")


def finish(connection: duckdb.DuckDBPyConnection) -> None:
    """End a result that nobody fetched to its end: it would forbid what is not a query."""
    connection.execute("select 1").fetchall()


def to_table(
    cells: Cells,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    secret: bytes,
    form: Literal["csv", "json"],
) -> Raw:
    """Make the raw table of what a reader gathered."""
    names = {text: f"c{number}" for number, text in enumerate(cells.columns)}
    arrays: dict[str, pa.Array[Any]] = {
        "_row": pa.array(range(1, cells.rows + 1), pa.int64()),
        "_line": pa.array(cells.lines, pa.int64()),
        "_fault": pa.array(_sparse(cells, 0), pa.string()),
        "_raw": pa.array(_sparse(cells, 1), pa.string()),
    }
    arrays |= {column: pa.array(cells.columns[text], pa.string()) for text, column in names.items()}
    with (
        guarded(cells.sources, contract, connection, secret) as guard,
        registered(connection, "incoming_arrow", pa.table(arrays)),
    ):
        kept = [f"{guard.cell(text, column)} as {column}" for text, column in names.items()]
        connection.execute(
            f"create or replace temp table {RAW} as select {', '.join(['_row, _line, _fault, _raw', *kept])} "  # noqa: S608 - columns are numbered by us
            "from incoming_arrow",
            guard.bound,
        )
    return Raw(
        table=RAW,
        columns={name: tuple(names[text] for text in headings) for name, headings in cells.sources.items()},
        headings=tuple(cells.spelled[text] for text in names),
        form=form,
        read=cells.rows,
        ignored=cells.ignored,
        unknown=tuple(cells.spelled[text] for text in cells.unknown),
        blocked=tuple(cells.spelled[text] for text in cells.blocked),
        beside=tuple(cells.beside),
    )


def raw_of(layout: Layout, form: Literal["csv", "json"], read: int, ignored: int) -> Raw:
    """What a reader says of a raw table that it filled itself: `c0`, `c1`, … are the layout's used columns."""
    names = {text: f"c{number}" for number, (text, _) in enumerate(layout.used())}
    return Raw(
        table=RAW,
        columns={name: tuple(names[text] for text in headings) for name, headings in layout.sources.items()},
        headings=tuple(layout.spelled[text] for text in names),
        form=form,
        read=read,
        ignored=ignored,
        unknown=tuple(layout.spelled[text] for text in layout.unknown),
        blocked=tuple(layout.spelled[text] for text in layout.blocked),
    )


@contextmanager
def registered(
    connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table | pa.RecordBatchReader
) -> Iterator[None]:
    """Let SQL see an Arrow table under a name."""
    finish(connection)
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
