"""CSV and its like: DuckDB reads the cells, an independent count of the records proves that none is missing.

What is not written as RFC 4180 says (quotes astray, records that two readers count differently) is read by
Python's `csv` instead, row by row, with the same outcome.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import numpy as np
import pyarrow as pa

from pipelines.contract import Contract
from pipelines.reading.decoding import as_utf8, scratch
from pipelines.reading.headings import (
    HEADER_WITHIN,
    TOTAL_LETTERS,
    TOTAL_WITHIN,
    Layout,
    Refused,
    demand_columns,
    find_header,
    is_total,
    no_headings,
)
from pipelines.reading.raw import RAW, WHITE, Guard, Raw, guarded, raw_of, registered
from pipelines.reading.survey import RECORD_WIDTH, Survey, starts, straighten, survey
from warehouse.masking import mask

DELIMITERS = ",;\t|"
_HEAD = 1 << 16
"""Characters within which the headings end."""
_CELL = 2 << 20
"""Characters of the longest cell; a quote that is never closed is noticed there."""
_MENDED = 2_000
"""Records of another number of cells than the headings that are looked at one by one."""
_WIDEST = 2_000
"""Columns that DuckDB is asked for."""
_BATCH = 20_000
_LINE_END = re.compile(rb"\r\n|\r|\n")
_HEADINGS = "\0headings"
"""Marks a row that repeats the headings; no text holds a NUL."""

csv.field_size_limit(_CELL)


class _Irregular(Exception):
    """The text is not written in the way that DuckDB reads exactly."""


@dataclass(frozen=True)
class _Sheet:
    """A text below its headings. Byte `start` of `file` begins line `line`; `name`: what DuckDB opens."""

    file: BinaryIO
    name: str
    start: int
    line: int
    delimiter: str
    layout: Layout
    headings: tuple[str, ...]
    """The row of headings, as it is written."""

    def is_headings(self, row: Sequence[str]) -> bool:
        return all(row[at] == self.headings[at] for _, at in self.layout.used())


def read_csv(
    path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, secret: bytes, folder: Path
) -> Raw:
    """Read a text file's records. Copies that are needed lie in `folder`, without a name. Raises Refused."""
    with as_utf8(path, contract.files.encoding, folder) as plain:
        head = _head(plain.file, plain.start)
        if not head.strip():
            raise Refused("空文件", "empty file")
        found = _sniff(head, contract)
        if found is None:
            raise no_headings(contract)
        delimiter, headings, lines, layout = found
        demand_columns(layout, contract)
        start = _after_lines(plain.file, plain.start, lines)
        sheet = _Sheet(plain.file, plain.name, start, lines + 1, delimiter, layout, headings)
        with guarded(layout.sources, contract, connection, secret) as guard:
            try:
                read, ignored = _natively(sheet, connection, guard, folder)
            except _Irregular:
                read, ignored = _exactly(sheet, connection, guard)
    return raw_of(layout, "csv", read, ignored)


def _head(file: BinaryIO, start: int) -> str:
    file.seek(start)
    return file.read(4 * _HEAD).decode("utf-8", errors="ignore")[:_HEAD]


def _sniff(head: str, contract: Contract) -> tuple[str, tuple[str, ...], int, Layout] | None:
    """(delimiter, row of headings, lines to its end, layout): those by which most fields are found."""
    best: tuple[str, tuple[str, ...], int, Layout] | None = None
    for delimiter in contract.files.delimiter or DELIMITERS:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
        rows: list[list[str]] = []
        lines: list[int] = []
        try:
            for row in islice(reader, HEADER_WITHIN):
                rows.append(row)
                lines.append(reader.line_num)
        except csv.Error:
            pass
        found = find_header(rows, contract)
        if found and found[0] == len(rows) - 1 < HEADER_WITHIN - 1 and len(head) == _HEAD:
            raise Refused(
                f"表头行过长（超过 {_HEAD:,} 个字符）",
                f"the row of headings is longer than {_HEAD:,} characters",
            )
        if found and (best is None or len(found[1].sources) > len(best[3].sources)):
            headings = rows[found[0]] + [""] * (found[1].width - len(rows[found[0]]))
            best = delimiter, tuple(headings), lines[found[0]], found[1]
    return best


def _after_lines(file: BinaryIO, start: int, lines: int) -> int:
    """The byte after so many lines."""
    file.seek(start)
    content = file.read(8 * _HEAD)
    for number, found in enumerate(_LINE_END.finditer(content), start=1):
        if number == lines:
            return start + found.end()
    return start + len(content)


# -- by DuckDB -----------------------------------------------------------------------------------------------


def _natively(
    sheet: _Sheet, connection: duckdb.DuckDBPyConnection, guard: Guard, folder: Path
) -> tuple[int, int]:
    """(records, ignored rows), filling the raw table. Raises _Irregular, and then it holds nothing."""
    found = survey(sheet.file, sheet.start, sheet.delimiter, sheet.layout.width)
    # Of one column, DuckDB takes blank lines for records.
    if not found.regular or sheet.layout.named < 2 or sheet.layout.named > _WIDEST:
        raise _Irregular
    sheet.file.seek(0)
    above = set(_LINE_END.findall(sheet.file.read(sheet.start)))
    if found.ends == "mixed" or (found.records and above != {found.ends.encode()}):
        with scratch(folder) as (copy, name):
            straighten(sheet.file, sheet.start, sheet.delimiter, copy)
            straight = _Sheet(copy, name, 0, sheet.line, sheet.delimiter, sheet.layout, sheet.headings)
            return _fill(straight, 0, "\n", found, connection, guard)
    return _fill(sheet, sheet.line - 1, found.ends, found, connection, guard)


def _fill(
    sheet: _Sheet,
    skip: int,
    ends: str,
    found: Survey,
    connection: duckdb.DuckDBPyConnection,
    guard: Guard,
) -> tuple[int, int]:
    layout = sheet.layout
    try:
        for width in sorted({layout.named, min(layout.width, _WIDEST)}):
            _scan(sheet, skip, ends, width, connection, guard)
            rejected = [
                int(row[0]) - 1
                for row in connection.execute(
                    "select distinct line_byte_position from incoming_rejects order by 1"
                ).fetchall()
            ]
            if len(rejected) <= _MENDED:
                break
        else:
            raise _Irregular
        others = "select count(*) from incoming_rejects where error_type not in ('MISSING COLUMNS', 'TOO MANY COLUMNS')"
        rows = _count(connection, f"select count(*) from {RAW}")  # noqa: S608 - our own name
        if _count(connection, others) or rows + len(rejected) != found.records:
            raise _Irregular
    except duckdb.InvalidInputException as error:
        raise _Irregular from error
    finally:
        for table in ("incoming_rejects", "incoming_scans"):
            connection.execute(f"drop table if exists {table}")
    ignored = _ignored(connection)
    connection.execute(f"alter table {RAW} drop column _odd")
    last = rows - len(ignored)
    if found.even and not rejected and (not len(ignored) or ignored[0] == last):
        connection.execute(f"delete from {RAW} where rowid >= $last", {"last": last})  # noqa: S608
        connection.execute(
            f"update {RAW} set _row = rowid + 1, _line = rowid + $line",  # noqa: S608
            {"line": sheet.line},
        )
        return last, len(ignored)
    return _place(sheet, rows, rejected, ignored, connection, guard)


def _scan(
    sheet: _Sheet, skip: int, ends: str, width: int, connection: duckdb.DuckDBPyConnection, guard: Guard
) -> None:
    """Make the raw table, still without lines, and `incoming_rejects` of the records of other widths."""
    for table in ("incoming_rejects", "incoming_scans"):
        connection.execute(f"drop table if exists {table}")
    kept = [
        f"{guard.cell(text, f'f{at}')} as c{number}" for number, (text, at) in enumerate(sheet.layout.used())
    ]
    letters = [*TOTAL_LETTERS, *WHITE]
    bound = guard.bound | {
        "name": sheet.name,
        "columns": {f"f{at}": "VARCHAR" for at in range(width)},
        "delimiter": sheet.delimiter,
        "skip": skip,
        # Nothing is null: no cell holds a NUL.
        "nothing": "\0",
        "mark": _HEADINGS,
        "white": WHITE,
        "within": TOTAL_WITHIN,
        "letters": letters,
    }
    bound |= {f"h{at}": sheet.headings[at] for _, at in sheet.layout.used()}
    repeated = " and ".join(f"f{at} = $h{at}" for _, at in sheet.layout.used())
    plain = "f0 >= '!' and f0 < chr(127) and not " + " and not ".join(
        f"(f0 >= '{letter}' and f0 < '{chr(ord(letter) + 1)}')"
        for letter in TOTAL_LETTERS
        if letter.isascii()
    )
    first = "coalesce(" + ", ".join(f"nullif(f{at}, '')" for at in range(width)) + ")"
    filled = "coalesce(" + ", ".join(f"nullif(trim(f{at}, $white), '')" for at in range(width)) + ", '')"
    option = "new_line = '\\n', " if ends == "\n" else ""
    connection.execute(
        f"""
        create or replace temp table {RAW} as
        select 0::bigint as _row, 0::bigint as _line, null::varchar as _fault, null::varchar as _raw,
            {", ".join(kept)},
            case
                when {repeated} then $mark
                when {plain} then null
                when {first} is null then ''
                when list_contains($letters, left({first}, 1)) and length({filled}) <= $within
                then {filled}
            end as _odd,
        from read_csv($name, columns = $columns, auto_detect = false, header = false, delim = $delimiter,
            quote = '"', escape = '"', {option} nullstr = $nothing, skip = $skip, strict_mode = true,
            null_padding = false, compression = 'none', store_rejects = true,
            rejects_table = 'incoming_rejects', rejects_scan = 'incoming_scans', rejects_limit = 1000000)
        """,  # noqa: S608 - columns are numbered by us, values are bound
        bound,
    )


def _ignored(connection: duckdb.DuckDBPyConnection) -> Any:
    """The row ids (int64, ascending) of totals, blank rows and repeated headings."""
    said = connection.execute(f"select distinct _odd from {RAW} where _odd is not null").fetchall()  # noqa: S608
    words = [word for (word,) in said if word == _HEADINGS or is_total([word])]
    if not words:
        return np.empty(0, np.int64)
    found = connection.execute(
        f"select rowid as at from {RAW} where list_contains($words, _odd) order by 1",  # noqa: S608
        {"words": words},
    ).fetchnumpy()
    return np.asarray(found["at"], np.int64)


def _place(
    sheet: _Sheet,
    rows: int,
    rejected: Sequence[int],
    ignored: Any,
    connection: duckdb.DuckDBPyConnection,
    guard: Guard,
) -> tuple[int, int]:
    """Give every row its number and line where they are not simply counted, and add the mended records."""
    begins, lines = starts(sheet.file, sheet.start, sheet.delimiter, sheet.line)
    if len(begins) != rows + len(rejected):
        raise _Irregular
    others = np.searchsorted(begins, np.array(rejected, np.int64))
    if len(rejected) and not np.array_equal(begins[np.minimum(others, len(begins) - 1)], rejected):
        raise _Irregular
    record_of = np.delete(np.arange(len(begins)), others)
    mended: list[tuple[int, list[str] | str]] = []
    kept = np.ones(len(begins), np.bool_)
    kept[record_of[ignored]] = False
    for record in others.tolist():
        row = _shaped(_one(sheet, begins, record), sheet)
        if row is None:
            kept[record] = False
        else:
            mended.append((record, row))
    number = np.cumsum(kept)
    connection.execute(
        f"delete from {RAW} where rowid in (select unnest($rows))",  # noqa: S608
        {"rows": ignored.tolist()},
    )
    at = np.delete(np.arange(rows), ignored)
    places = pa.table(
        {
            "at": pa.array(at),
            "row": pa.array(number[record_of[at]]),
            "line": pa.array(lines[record_of[at]]),
        }
    )
    with registered(connection, "incoming_places", places):
        connection.execute(
            f"update {RAW} set _row = p.row, _line = p.line from incoming_places as p where {RAW}.rowid = p.at"  # noqa: S608
        )
    _insert(
        [(int(number[record]), int(lines[record]), row) for record, row in mended], sheet, connection, guard
    )
    read = int(np.count_nonzero(kept))
    return read, len(kept) - read


def _one(sheet: _Sheet, begins: Any, record: int) -> list[str]:
    sheet.file.seek(int(begins[record]))
    size = int(begins[record + 1] - begins[record]) if record + 1 < len(begins) else -1
    text = sheet.file.read(size).decode("utf-8")
    found = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=sheet.delimiter) if row]
    if len(found) != 1:
        raise _Irregular
    return found[0]


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


# -- row by row ----------------------------------------------------------------------------------------------


def _exactly(sheet: _Sheet, connection: duckdb.DuckDBPyConnection, guard: Guard) -> tuple[int, int]:
    """(records, ignored rows), filling the raw table. Raises Refused."""
    columns = ", ".join(f"c{number} varchar" for number in range(len(sheet.layout.used())))
    connection.execute(
        f"create or replace temp table {RAW} (_row bigint, _line bigint, _fault varchar, _raw varchar, {columns})"
    )
    read = ignored = 0
    batch: list[tuple[int, int, list[str] | str]] = []
    for line, cells in _records(sheet):
        row = _shaped(cells, sheet)
        if row is None:
            ignored += 1
            continue
        read += 1
        batch.append((read, line, row))
        if len(batch) == _BATCH:
            _insert(batch, sheet, connection, guard)
            batch = []
    _insert(batch, sheet, connection, guard)
    return read, ignored


def _shaped(row: list[str], sheet: _Sheet) -> list[str] | str | None:
    """A record's cells, one a heading; or what may be kept of one that is out of step; None: no record."""
    layout = sheet.layout
    if is_total(row):
        return None
    # Columns without a heading, at the end, may be missing or, where empty, too many.
    if len(row) < layout.named or any(row[layout.width :]):
        return _visible(row, layout)
    row = row + [""] * (layout.width - len(row))
    return None if sheet.is_headings(row) else row


def _insert(
    batch: Sequence[tuple[int, int, list[str] | str]],
    sheet: _Sheet,
    connection: duckdb.DuckDBPyConnection,
    guard: Guard,
) -> None:
    """Add (row number, line, cells or what is left of them) to the raw table."""
    if not batch:
        return
    used = sheet.layout.used()
    arrays: dict[str, pa.Array[Any]] = {
        "_row": pa.array([number for number, _, _ in batch], pa.int64()),
        "_line": pa.array([line for _, line, _ in batch], pa.int64()),
        "_fault": pa.array(["columns" if isinstance(row, str) else None for *_, row in batch], pa.string()),
        "_raw": pa.array([row if isinstance(row, str) else None for *_, row in batch], pa.string()),
    }
    for number, (_, at) in enumerate(used):
        cells = ["" if isinstance(row, str) else row[at] for *_, row in batch]
        arrays[f"c{number}"] = pa.array(cells, pa.string())
    kept = [f"{guard.cell(text, f'c{number}')} as c{number}" for number, (text, _) in enumerate(used)]
    with registered(connection, "incoming_batch", pa.table(arrays)):
        connection.execute(
            f"insert into {RAW} select _row, _line, _fault, _raw, {', '.join(kept)} from incoming_batch",  # noqa: S608
            guard.bound,
        )


def _records(sheet: _Sheet) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each record; blank lines are none. Raises Refused."""
    sheet.file.seek(sheet.start)
    text = io.TextIOWrapper(io.BufferedReader(_Kept(sheet.file)), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=sheet.delimiter, strict=True)
    line, before = sheet.line, sheet.line - 1
    try:
        for row in reader:
            if row:
                if before + reader.line_num > line and sheet.layout.width >= RECORD_WIDTH:
                    _demand_closed_quotes(row, sheet.delimiter, sheet.layout.width, line)
                yield line, row
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise Refused(
            f"第 {line} 行的记录引号未闭合或多余",
            f"unclosed or stray quote in the record at line {line}: {error}",
        ) from error


class _Kept(io.RawIOBase):
    """A file that stays open when what reads it is done."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]


def _demand_closed_quotes(row: Sequence[str], delimiter: str, width: int, line: int) -> None:
    """An unclosed quote swallows whole records until the next quote: they stand inside one cell."""
    for cell in row:
        if "\n" in cell or "\r" in cell:
            for inner in re.split("\r\n|\r|\n", cell)[1:-1]:
                if inner.count(delimiter) == width - 1:
                    raise Refused(
                        f"第 {line} 行的记录引号未闭合,吞掉了后面的行",
                        f"unclosed quote in the record at line {line}: it swallows the lines that follow",
                    )


def _visible(row: Sequence[str], layout: Layout) -> str:
    """What may be kept of a record whose cells cannot be matched with headings: the cells before the first
    column that is not loaded, less those that may have moved."""
    missing = max(0, layout.width - len(row))
    whole = layout.private_from == layout.width and not layout.blocked and not layout.unknown
    kept = row if whole else row[: max(0, layout.private_from - missing)]
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([mask(cell) for cell in kept])
    more = "" if len(kept) == len(row) else ",…"
    return f"({len(row)} of {layout.width} columns) {out.getvalue()}{more}"
