"""Files → raw text: CSV, XLSX, NDJSON and Parquet, every cell as the source wrote it.

Only columns that the contract maps are ever taken out of a file; blocked and unknown columns reach neither
a table nor a log. Every record of a file is either a row of the raw table or the whole file is refused.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineWorkbook

from pipelines.contract import Contract, heading
from pipelines.privacy import mask, over_distinct, pseudonym
from warehouse.text import Text

RAW = "incoming_raw"
HEADER_WITHIN = 30
"""A title, a date line and merged cells may stand above the headings, not a whole page."""
DELIMITERS = ",;\t|"
TOTALS = frozenset({"合计", "总计", "小计", "共计", "total", "grandtotal", "subtotal"})
RECORD_WIDTH = 4
"""From so many columns on, a line inside a quoted cell that splits like a record is taken for a record."""
SUFFIXES = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xlsx",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}


class Refused(Exception):
    """The whole file cannot be trusted; `reason` says why in one line, without quoting its content."""

    def __init__(self, zh: str, en: str) -> None:
        self.reason = Text(zh=zh, en=en)
        super().__init__(en)


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
class _Cells:
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

    def add(self, layout: _Layout, lines: Sequence[int], columns: Mapping[str, Sequence[str | None]]) -> None:
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
class _Layout:
    """Which column of a sheet feeds which field. Headings are compared by `contract.heading`."""

    width: int
    positions: Mapping[str, int]
    sources: Mapping[str, tuple[str, ...]]
    spelled: dict[str, str]
    unknown: tuple[str, ...]
    blocked: tuple[str, ...]
    private_from: int
    named: int

    def used(self) -> list[tuple[str, int]]:
        """(heading, position) of every column that is loaded, in file order."""
        wanted = {text for headings in self.sources.values() for text in headings}
        return sorted(((text, self.positions[text]) for text in wanted), key=lambda item: item[1])


def _layout(cells: Sequence[str], contract: Contract, merge: bool = False) -> _Layout:
    """Match one row of headings. With `merge`, all aliases present are taken (the first not empty wins)."""
    names = [heading(cell) for cell in cells]
    positions: dict[str, int] = {}
    for position, name in enumerate(names):
        if name:
            positions.setdefault(name, position)
    blocked = {heading(text) for text in contract.drop}
    aliases: set[str] = set()
    private: set[str] = set()
    sources: dict[str, tuple[str, ...]] = {}
    for name, rule in contract.fields.items():
        wanted = [heading(text) for text in rule.headings]
        if rule.privacy == "drop":
            blocked.update(wanted)
            continue
        aliases.update(wanted)
        present = [text for text in dict.fromkeys(wanted) if text in positions and text not in blocked]
        if present:
            sources[name] = tuple(present if rule.coalesce or merge else present[:1])
        if rule.privacy == "pseudonym":
            private.update(present)
    used = {text for headings in sources.values() for text in headings}
    open_to_all = used - private
    private_from = next(
        (at for at, name in enumerate(names) if name and (name not in open_to_all or positions[name] != at)),
        len(names),
    )
    return _Layout(
        width=len(names),
        positions=positions,
        sources=sources,
        spelled={name: cells[position].strip() for name, position in positions.items()},
        unknown=tuple(text for text in positions if text not in aliases and text not in blocked),
        blocked=tuple(text for text in positions if text in blocked),
        private_from=private_from,
        named=max((at for at, name in enumerate(names) if name), default=-1) + 1,
    )


def _find_header(rows: Sequence[Sequence[str]], contract: Contract) -> tuple[int, _Layout] | None:
    """The row, among the first ones, that names most of the contract's fields."""
    feedable = sum(1 for rule in contract.fields.values() if rule.mapped and rule.headings)
    best: tuple[int, _Layout] | None = None
    for at, cells in enumerate(rows[:HEADER_WITHIN]):
        layout = _layout(cells, contract)
        if len(layout.sources) >= min(2, feedable) and (
            best is None or len(layout.sources) > len(best[1].sources)
        ):
            best = at, layout
    return best


def _demand_columns(layout: _Layout, contract: Contract) -> None:
    for name, rule in contract.fields.items():
        optional = not rule.required or rule.constant is not None or rule.default is not None
        if not optional and rule.mapped and name not in layout.sources:
            raise Refused(
                f"缺少“{rule.label.zh}”列:应为 {'、'.join(rule.headings)} 之一",
                f"no column for {name}: expected one of {', '.join(rule.headings)}",
            )


def _no_headings(contract: Contract) -> Refused:
    key = contract.fields[contract.dataset.key]
    return Refused(
        f"前 {HEADER_WITHIN} 行内没有“{contract.label.zh}”的表头:应有 {'、'.join(key.headings)} 等",
        f"no headings of '{contract.name}' in the first {HEADER_WITHIN} rows: "
        f"expected {', '.join(key.headings)} and others",
    )


def read(path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, secret: bytes) -> Raw:
    """Read a file into the TEMP table `incoming_raw`. `secret` keys the pseudonyms. Raises Refused."""
    form = contract.files.format
    if form == "auto":
        form = SUFFIXES.get(path.suffix.lower(), "csv")  # type: ignore[assignment]
    if path.stat().st_size == 0:
        raise Refused("空文件", "empty file")
    cells = _Cells()
    if form == "csv":
        _read_csv(path.read_bytes(), contract, cells)
    elif form == "xlsx":
        _read_xlsx(path, contract, cells)
    elif form == "ndjson":
        _read_ndjson(path.read_bytes(), contract, cells)
    else:
        _read_parquet(path, contract, connection, cells)
    return _to_table(cells, contract, connection, secret, "csv" if form == "csv" else "json")


def _to_table(
    cells: _Cells,
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
    with _registered(connection, "incoming_arrow", pa.table(arrays)):
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
def _registered(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Let SQL see an Arrow table under a name."""
    # A result that someone has not fetched to its end would forbid it; the next statement ends that one.
    connection.execute("select 1").fetchall()
    connection.register(name, table)
    try:
        yield
    finally:
        connection.unregister(name)


def _sparse(cells: _Cells, part: int) -> list[str | None]:
    out: list[str | None] = [None] * cells.rows
    for row, fault in cells.faults.items():
        out[row] = fault[part]
    return out


def _is_total(cells: Sequence[str]) -> bool:
    """A row of totals: its first cell that is not empty says so."""
    for cell in cells:
        if cell and not cell.isspace():
            return (
                cell.lstrip()[0] in "合总小共TtGgSs"
                and len(cell) <= 16
                and heading(cell).strip(":") in TOTALS
            )
    return True


# --- CSV -------------------------------------------------------------------------------------------------


def decode(content: bytes, encoding: str = "auto") -> str:
    """Bytes → text: a byte order mark, else UTF-8, else GB18030; or as stated. Raises Refused."""
    if content[:4] == b"PK\x03\x04" or content[:4] == b"\xd0\xcf\x11\xe0":
        raise Refused(
            "是工作簿而非文本:请以 .xlsx 命名,并在合约中写 format = 'auto'",
            "a spreadsheet, not text: name it .xlsx and give its contract format = 'auto'",
        )
    if content[:4] in (b"PAR1", b"%PDF", b"\x89PNG", b"\x1f\x8b\x08\x00"):
        raise Refused("不是文本文件", "not a text file")
    if encoding == "auto":
        encoding = _guess(content)
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = content[:at].count(b"\n") + 1
        raise Refused(
            f"第 {line} 行(第 {at} 字节)无法按 {encoding} 解码",
            f"not decodable as {encoding} at line {line} (byte {at})",
        ) from error


def _guess(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    head = content[:4096]
    if b"\0" in head:
        return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        broken = content.decode("utf-8", errors="replace").count("\ufffd")
        whole = len(re.findall(rb"[\xe3-\xe9][\x80-\xbf]{2}", content))
        # A few faults among many whole characters: damaged UTF-8, which GB18030 would read as nonsense.
        return "utf-8" if whole > 10 * broken else "gb18030"


def _read_csv(content: bytes, contract: Contract, cells: _Cells) -> None:
    text = decode(content, contract.files.encoding)
    if not text.strip():
        raise Refused("空文件", "empty file")
    delimiter, found = _sniff(text, contract)
    if found is None:
        raise _no_headings(contract)
    at, layout = found
    _demand_columns(layout, contract)
    lines: list[int] = []
    rows: list[list[str]] = []
    used = layout.used()
    blank = [""] * layout.width
    for line, row in _records(text, delimiter, skip=at + 1, width=layout.width):
        if _is_total(row):
            cells.ignored += 1
            continue
        # Columns without a heading, at the end, may be missing or, where empty, too many.
        if len(row) < layout.named or any(row[layout.width :]):
            cells.faults[len(rows)] = ("columns", _visible(row, layout))
            row = blank
        elif len(row) < layout.width:
            row = row + blank[len(row) :]
        lines.append(line)
        rows.append(row)
    cells.add(layout, lines, {name: [row[position] for row in rows] for name, position in used})


def _sniff(text: str, contract: Contract) -> tuple[str, tuple[int, _Layout] | None]:
    """The delimiter with which most headings are found, and where they stand (counted in records)."""
    head = text[:65536]
    best: tuple[str, tuple[int, _Layout] | None] = (",", None)
    for delimiter in DELIMITERS:
        rows: list[list[str]] = []
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) == HEADER_WITHIN:
                break
        found = _find_header(rows, contract)
        if found and (best[1] is None or len(found[1].sources) > len(best[1][1].sources)):
            best = delimiter, found
    return best


def _records(text: str, delimiter: str, skip: int, width: int) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each record after `skip` of them; blank lines are none. Raises Refused."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for number, row in enumerate(reader):
            if row and number >= skip:
                if reader.line_num > line and width >= RECORD_WIDTH:
                    _demand_closed_quotes(row, delimiter, width, line)
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise Refused(
            f"第 {line} 行的记录引号未闭合或多余",
            f"unclosed or stray quote in the record at line {line}: {error}",
        ) from error


def _demand_closed_quotes(row: Sequence[str], delimiter: str, width: int, line: int) -> None:
    """An unclosed quote swallows whole records until the next quote: they stand inside one cell."""
    for cell in row:
        if "\n" in cell or "\r" in cell:
            for inner in cell.splitlines()[1:-1]:
                if inner.count(delimiter) == width - 1:
                    raise Refused(
                        f"第 {line} 行的记录引号未闭合,吞掉了后面的行",
                        f"unclosed quote in the record at line {line}: it swallows the lines that follow",
                    )


def _visible(row: Sequence[str], layout: _Layout) -> str:
    """What may be kept of a record whose cells cannot be matched with headings: the cells before the first
    column that is not loaded, less those that may have moved."""
    missing = max(0, layout.width - len(row))
    whole = layout.private_from == layout.width and not layout.blocked and not layout.unknown
    kept = row if whole else row[: max(0, layout.private_from - missing)]
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([mask(cell) for cell in kept])
    more = "" if len(kept) == len(row) else ",…"
    return f"({len(row)} of {layout.width} columns) {out.getvalue()}{more}"


# --- XLSX ------------------------------------------------------------------------------------------------


def _read_xlsx(path: Path, contract: Contract, cells: _Cells) -> None:
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
        found = _find_header(texts, contract)
        if found is None:
            continue
        found_any = True
        at, layout = found
        _demand_columns(layout, contract)
        numbered = [(number, row) for number, row in enumerate(texts, start=1) if number > at + 1]
        kept = [(number, row) for number, row in numbered if not _is_total(row)]
        cells.ignored += len(numbered) - len(kept)
        columns = {name: [row[position] for _, row in kept] for name, position in layout.used()}
        cells.add(layout, [number for number, _ in kept], columns)
    if not found_any:
        raise _no_headings(contract)


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


# --- NDJSON ----------------------------------------------------------------------------------------------


def _read_ndjson(content: bytes, contract: Contract, cells: _Cells) -> None:
    """One JSON object a line; a line that is none is a broken record, not a broken file."""
    text = decode(content, contract.files.encoding)
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    lines: list[int] = []
    records: list[dict[str, Any]] = []
    keys: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = decoder.decode(line.strip())
            problem = "" if isinstance(record, dict) else "not an object"
        except (json.JSONDecodeError, RecursionError) as error:
            record, problem = (
                {},
                error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply",
            )
        if problem:
            cells.faults[len(records)] = ("json", f"({len(line)} characters: {problem})")
            record = {}
        keys |= dict.fromkeys(record)
        lines.append(number)
        records.append(record)
    if not records:
        raise Refused("空文件", "empty file")
    if len(cells.faults) == len(records):
        raise Refused("没有一行是 JSON 对象", "no line is a JSON object")
    layout = _layout(list(keys), contract, merge=True)
    if len(layout.sources) < min(2, sum(1 for rule in contract.fields.values() if rule.headings)):
        raise _no_headings(contract)
    spellings: dict[str, list[str]] = {}
    for key in keys:
        spellings.setdefault(heading(key), []).append(key)
    columns = {
        name: [_json_text(next((r[key] for key in spellings[name] if key in r), None)) for r in records]
        for name, _ in layout.used()
    }
    cells.add(layout, lines, columns)


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


# --- Parquet ---------------------------------------------------------------------------------------------


def _read_parquet(
    path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, cells: _Cells
) -> None:
    """Only the mapped columns are read from the file; DuckDB casts each to text."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            layout = _layout(names, contract)
            if len(layout.sources) < min(2, sum(1 for rule in contract.fields.values() if rule.headings)):
                raise _no_headings(contract)
            _demand_columns(layout, contract)
            used = layout.used()
            table = file.read(columns=[names[position] for _, position in used])
    except (pa.ArrowException, OSError) as error:
        what = str(error).splitlines()[0]
        raise Refused("无法读取的 Parquet 文件", f"not a readable Parquet file: {what}") from error
    table = table.select([names[position] for _, position in used])
    numbered = table.rename_columns([f"c{number}" for number in range(len(used))])
    texts = [_as_text(column.name, column.type) for column in numbered.schema]
    query = f"select {', '.join(texts)} from incoming_parquet"  # noqa: S608 - columns are numbered by us
    with _registered(connection, "incoming_parquet", numbered):
        rows = connection.execute(query).fetchall()
    columns = {name: [row[number] for row in rows] for number, (name, _) in enumerate(used)}
    cells.add(layout, range(1, len(rows) + 1), columns)


def _as_text(column: str, kind: pa.DataType) -> str:
    """A whole number kept as a float (as tables with gaps come out of pandas) has no '.0'; NaN is no value."""
    if pa.types.is_floating(kind):
        return (
            f"case when isnan({column}) then null when {column} = trunc({column}) and abs({column}) < 1e15 "
            f"then cast(cast({column} as bigint) as varchar) else cast({column} as varchar) end"
        )
    return f"cast({column} as varchar)"
