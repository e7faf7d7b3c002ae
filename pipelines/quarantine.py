"""The rows that were not kept: export them to be mended, and try them again.

A quarantined row holds its cells by heading (a JSON object), as they were after masking and pseudonyms, or,
where the contract says `quarantine = "sealed"`, as the source wrote them, sealed. Trying again runs the same
check as at first, with the contract and the places of now. What was a pseudonym or masked stays as it is:
only a cell that a person changed passes through privacy again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import xlsxwriter
from python_calamine import CalamineError, CalamineWorkbook

from pipelines.check import check
from pipelines.contract import Contract, FieldRule, contracts, heading
from pipelines.privacy import PSEUDONYM_HEX, pseudonym, site_key
from pipelines.reading import RAW, Raw, Refused, ooxml, read
from pipelines.reading.headings import layout_of
from pipelines.reading.raw import registered
from pipelines.sealing import is_sealed, seal, unseal
from warehouse.dataset import Dataset, Field
from warehouse.masking import mask
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site
from warehouse.store import Batch, QuarantinedRow, Store
from warehouse.text import Lang

Cells = Mapping[str, str | None]
"""A record as its source's headings say it: heading → cell."""

_COLUMNS: dict[Lang, tuple[str, str, str, str, str]] = {
    "zh": ("#批次", "#序号", "#行", "#原因", "#原文"),
    "en": ("#batch", "#row", "#line", "#reasons", "#raw"),
}
"""The columns of an export that are ours; no office heads a column so."""

BROKEN = frozenset({"columns", "json", "formula", "digits", "error"})
"""Faults found in reading: what is held of such a row is not what the source meant. Only a person mends it."""

_RISKY = ("=", "+", "-", "@", "\t", "\r", "'")
_SHEET_ROWS = 1_048_575
_SHEET_CELL = 32_767


@dataclass(frozen=True)
class Retried:
    """What became of the quarantined rows of one batch: tried = kept + left.

    `retry`: the number of the batch that the kept rows and the new reasons came by; None when nothing
    changed. `untried`: rows whose cells are not known (purged, or no record could be read from them); they
    need to be mended from an export.
    """

    batch: int
    source: str
    file: str
    tried: int
    kept: int
    left: int
    untried: int
    retry: int | None


@dataclass(frozen=True)
class Mended:
    """Rows from an exported file: (batch, row) → cells by heading. `path` is for messages."""

    path: Path
    rows: Mapping[tuple[int, int], Cells] = field(default_factory=dict)


def cells_of(raw: str | None) -> dict[str, str | None] | None:
    """A row's cells by heading; None where the raw text holds none (purged, sealed, a broken record)."""
    if raw is None or not raw.startswith("{"):
        return None
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(found, dict) or "" in found:
        return None
    return {
        name: cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
        for name, cell in found.items()
    }


def retry(
    site: Site,
    store: Store,
    *,
    source: str | None = None,
    batch: int | None = None,
    mended: Mended | None = None,
) -> tuple[Retried, ...]:
    """Try quarantined rows again, places first, batch by batch; does not publish.

    With `mended` only its rows are tried, with its cells. Rows that pass leave the quarantine in the
    transaction that keeps them. Raises Mistake (a wrong contract, an unknown source, a mended row that is
    sealed under another key).
    """
    known = contracts(site)
    if source is not None and source not in known:
        raise Mistake(f"--source {source}", "no such source", nearest(source, known))
    key = site_key(site)
    rows = store.quarantined(source=source, batch=batch)
    out: list[Retried] = []

    def order(row: QuarantinedRow) -> tuple[bool, int]:
        contract = known.get(row.source)
        return (contract is None or contract.dataset.name != "places", row.batch)

    for _, group in groupby(sorted(rows, key=order), key=order):
        of_batch = list(group)
        if mended is not None:
            of_batch = [row for row in of_batch if (row.batch, row.row) in mended.rows]
        contract = known.get(of_batch[0].source) if of_batch else None
        if contract is not None:
            out.append(_retry_batch(of_batch, contract, store, key, site, mended))
    return tuple(out)


def _retry_batch(
    rows: Sequence[QuarantinedRow],
    contract: Contract,
    store: Store,
    key: bytes,
    site: Site,
    mended: Mended | None,
) -> Retried:
    records = [_record(row, contract, key, mended) for row in rows]
    ready = [record for record in records if record is not None]
    first = rows[0]
    nothing = Retried(
        first.batch, first.source, first.file, len(ready), 0, len(ready), len(rows) - len(ready), None
    )
    if not ready:
        return nothing
    raw = _to_table(ready, contract, store.connection, key)
    checked = check(raw, contract, store.connection, site.now(), site.timezone)
    _forget_unchanged(ready, checked.bad, store.connection, key)
    changed = store.connection.execute(f'select count(*) from "{checked.bad}"').fetchone()  # noqa: S608 - our own name
    if not checked.kept and changed == (0,):
        return nothing
    applied = store.apply(
        Batch(
            source=contract.name,
            label=contract.label,
            dataset=contract.dataset,
            file=first.file,
            sha256=hashlib.sha256("\n".join(str(record.cells) for record in ready).encode()).hexdigest(),
            read=0,
            good=checked.good,
            bad=checked.bad,
            refused=None,
            fresh_hours=contract.fresh_hours,
            retry_of=first.batch,
            warned=checked.warned,
        )
    )
    return Retried(
        batch=first.batch,
        source=first.source,
        file=first.file,
        tried=len(ready),
        kept=checked.kept,
        left=len(ready) - checked.kept,
        untried=len(rows) - len(ready),
        retry=applied.batch,
    )


@dataclass(frozen=True)
class _Record:
    """A row to be checked. `cells`: heading → (text, whether it is private already). `raw`: its raw text if it
    is quarantined again; None: to be made of its cells. `before`: the reasons and the cells it has."""

    row: int
    line: int | None
    cells: Mapping[str, tuple[str | None, bool]]
    raw: str | None
    before: tuple[tuple[str, ...], Cells | None]


def _record(row: QuarantinedRow, contract: Contract, key: bytes, mended: Mended | None) -> _Record | None:
    """What can be tried of a quarantined row; None when its cells are not known."""
    closed = row.raw is not None and is_sealed(row.raw)
    held = cells_of(_opened(row, key))
    before = (row.reasons, held)
    typed = {} if mended is None else mended.rows[row.batch, row.row]
    # A cell that was emptied counts, a row of which nothing was shown and nothing filled in does not.
    now = {**(held or {}), **typed}
    if not _said(typed) or _said(now) == _said(held):
        if held is None or row.raw is None or not BROKEN.isdisjoint(row.reasons):
            return None
        cells = {name: (text, not closed) for name, text in held.items()}
        return _Record(row.row, row.line, cells, row.raw, before)
    same = {name for name, text in (held or {}).items() if (now[name] or "") == (text or "")}
    cells = {name: (text or None, not closed and name in same) for name, text in now.items()}
    raw = None
    if contract.files.quarantine == "sealed":
        raw = seal(key, json.dumps({name: text for name, (text, _) in cells.items()}, ensure_ascii=False))
    return _Record(row.row, row.line, cells, raw, before)


def _opened(row: QuarantinedRow, key: bytes) -> str | None:
    """The raw text of a row, unsealed. Raises Mistake naming the row."""
    if row.raw is None or not is_sealed(row.raw):
        return row.raw
    try:
        return unseal(key, row.raw)
    except Mistake as mistake:
        raise Mistake(
            f"batch {row.batch}, row {row.row}: {mistake.where}", mistake.what, mistake.remedy
        ) from mistake


def _to_table(
    records: Sequence[_Record], contract: Contract, connection: duckdb.DuckDBPyConnection, key: bytes
) -> Raw:
    """The raw table of `pipelines.reading`, with each record's own row number and raw text."""
    headings = list(dict.fromkeys(name for record in records for name in record.cells))
    layout = layout_of(headings, contract, merge=True)
    privacy: dict[str, str] = {}
    for name, sources in layout.sources.items():
        how = contract.fields[name].privacy
        for text in sources:
            if how is not None and privacy.get(text) != "pseudonym":
                privacy[text] = how
    used = layout.used()
    spellings: dict[str, list[str]] = {text: [] for text, _ in used}
    for name in headings:
        spellings.get(heading(name), []).append(name)
    names = {text: f"c{number}" for number, (text, _) in enumerate(used)}
    columns = {
        text: [_private(_cell(record, spellings[text]), privacy.get(text), key) for record in records]
        for text in names
    }
    table: dict[str, pa.Array[Any]] = {
        "_row": pa.array([record.row for record in records], pa.int64()),
        "_line": pa.array([record.line for record in records], pa.int64()),
        "_fault": pa.nulls(len(records), pa.string()),
        "_raw": pa.array([record.raw for record in records], pa.string()),
    }
    table |= {names[text]: pa.array(columns[text], pa.string()) for text in names}
    with registered(connection, "incoming_arrow", pa.table(table)):
        connection.execute("create or replace temp table incoming_raw as select * from incoming_arrow")
    return Raw(
        table=RAW,
        columns={name: tuple(names[text] for text in texts) for name, texts in layout.sources.items()},
        headings=tuple(layout.spelled[text] for text in names),
        form="json",
        read=len(records),
        ignored=0,
        unknown=(),
        blocked=(),
    )


def _cell(record: _Record, spellings: Iterable[str]) -> tuple[str | None, bool]:
    """The first cell under any spelling of a heading that says something."""
    found = [record.cells[name] for name in spellings if name in record.cells]
    return next((cell for cell in found if cell[0]), found[0] if found else (None, False))


def _private(cell: tuple[str | None, bool], how: str | None, key: bytes) -> str | None:
    """A cell as the contract's privacy leaves it. What was a pseudonym when it was quarantined stays one; a
    field that has become one since is replaced now."""
    text, private = cell
    if text is not None and how == "pseudonym":
        return text if private and _is_pseudonym(text) else pseudonym(key, text)
    return mask(text) if text is not None and how == "mask" else text


def _is_pseudonym(text: str) -> bool:
    return len(text) == PSEUDONYM_HEX and not set(text) - set("0123456789abcdef")


def _forget_unchanged(
    records: Sequence[_Record], bad: str, connection: duckdb.DuckDBPyConnection, key: bytes
) -> None:
    """Take rows out of `bad` that fail as before, so that a retry that changes nothing is none."""
    before = {record.row: record.before for record in records}
    found = connection.execute(f'select row, raw, reasons from "{bad}"').fetchall()  # noqa: S608 - our own name
    same = []
    for row, raw, reasons in found:
        cells = cells_of(unseal(key, raw) if is_sealed(raw) else raw)
        if before[row][0] == tuple(reasons) and _said(before[row][1]) == _said(cells):
            same.append(row)
    if same:
        connection.execute(
            f'delete from "{bad}" where list_contains($same::bigint[], row)',  # noqa: S608 - our own name
            {"same": same},
        )


def _said(cells: Cells | None) -> dict[str, str]:
    """The cells that say something."""
    return {name: text for name, text in (cells or {}).items() if text}


# -- sealing ----------------------------------------------------------------------------------------------


def seal_rows(
    path: Path, raw: Raw, bad: str, contract: Contract, connection: duckdb.DuckDBPyConnection, key: bytes
) -> None:
    """Replace the raw texts of `bad` (see `check`) by the records as the source wrote them, sealed.

    Every column of the file is in a record, those that are never loaded too: the file is read once more, by a
    database of its own that never writes to the disk, and only what is sealed leaves it. A row that is not
    found there again keeps what it holds, sealed.
    """
    rows = connection.execute(f'select row, line, raw from "{bad}"').fetchall()  # noqa: S608 - our own name
    if not rows:
        return
    whole = _whole(path, raw, contract, connection, key, {int(row) for row, _, _ in rows})
    table = pa.table(
        {
            "row": pa.array([row for row, _, _ in rows], pa.int64()),
            "sealed": pa.array(
                [seal(key, whole.get((row, line), held)) for row, line, held in rows], pa.string()
            ),
        }
    )
    with registered(connection, "incoming_sealed", table):
        connection.execute(
            f'create or replace temp table "{bad}" as'  # noqa: S608 - our own name
            f' select row, line, sealed as raw, reasons from "{bad}" join incoming_sealed using (row) order by row'
        )


def _whole(
    path: Path,
    raw: Raw,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    key: bytes,
    rows: set[int],
) -> dict[tuple[int, int | None], str]:
    """(row, line) → all that the source wrote of it: a JSON object of its cells by heading."""
    headings = list(dict.fromkeys((*raw.headings, *raw.unknown, *raw.blocked)))
    label = contract.label
    fields = {
        f"cell_{at}": FieldRule.model_validate({"type": "code", "label": label, "from": [text]})
        for at, text in enumerate(headings)
    }
    # The same headings, none of them blocked, and no privacy: the record as it is.
    shape = Dataset(
        name=contract.dataset.name,
        label=label,
        fields=tuple(Field(name=name, type="code", role="key", label=label) for name in fields),
    )
    bare = replace(contract, drop=(), fields=fields, dataset=shape, rules=())
    held = dict(connection.execute("select name, value from duckdb_settings()").fetchall())
    settings = {name: held[name] for name in ("memory_limit", "temp_directory")}
    with duckdb.connect(config={**settings, "max_temp_directory_size": "0KB"}) as aside:
        again = read(path, bare, aside, key)
        names = [f"c{at}" for at in range(len(again.headings))]
        found = aside.execute(
            f"select _row, _line, _raw, {', '.join(names)} from {again.table}"  # noqa: S608 - numbered by us
            " where list_contains($rows::bigint[], _row)",
            {"rows": sorted(rows)},
        ).fetchall()
    return {
        (row, line): broken or json.dumps(dict(zip(again.headings, cells, strict=True)), ensure_ascii=False)
        for row, line, broken, *cells in found
    }


# -- export and its way back ------------------------------------------------------------------------------


def export(
    site: Site,
    rows: Sequence[QuarantinedRow],
    out: Path,
    *,
    reasons: Mapping[tuple[int, int], str],
    lang: Lang,
    open_seals: bool = False,
) -> tuple[Path, ...]:
    """Write rows to spreadsheets, one a source: `out` itself, or `<out>-<source>` where there are several.

    Columns: ours (`#batch`, `#row`, `#line`, `#reasons`), then the source's headings; rows that hold no cells
    show what is known of them under `#raw`. `reasons`: (batch, row) → the reasons in words. Sealed rows
    stay closed without `open_seals`. Each file is there whole or not at all, readable by its owner only.
    Raises Mistake when the ending is neither .csv nor .xlsx, or the rows do not fit a sheet.
    """
    write = {".csv": _write_csv, ".xlsx": _write_xlsx}.get(out.suffix.lower())
    if write is None:
        raise Mistake(str(out), f"unknown ending '{out.suffix}'", "name it .csv or .xlsx")
    key = site_key(site) if open_seals else b""
    sources = sorted({row.source for row in rows})
    paths: list[Path] = []
    for source in sources:
        path = out if len(sources) == 1 else out.with_name(f"{out.stem}-{source}{out.suffix}")
        table = _table([row for row in rows if row.source == source], reasons, lang, key)
        aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.unlink(missing_ok=True)
            os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            write(aside, table, path)
            aside.replace(path)
        except OSError as error:
            raise Mistake(
                str(path), f"cannot write: {error.strerror}", "choose a folder you may write to"
            ) from error
        finally:
            aside.unlink(missing_ok=True)
        paths.append(path)
    return tuple(paths)


def _table(
    rows: Sequence[QuarantinedRow], reasons: Mapping[tuple[int, int], str], lang: Lang, key: bytes
) -> list[list[str]]:
    """Headings, then a line per row, every cell a text."""
    opened = [_opened(row, key) if key else row.raw for row in rows]
    cells = [cells_of(raw) for raw in opened]
    headings = list(dict.fromkeys(name for found in cells if found is not None for name in found))
    ours = list(_COLUMNS[lang])
    if all(found is not None for found in cells):
        ours.pop()
    lines = [[*ours, *headings]]
    for row, raw, found in zip(rows, opened, cells, strict=True):
        what = reasons.get((row.batch, row.row), ", ".join(row.reasons))
        unread = "" if found is not None else _unread(raw, lang)
        start = [str(row.batch), str(row.row), "" if row.line is None else str(row.line), what, unread][
            : len(ours)
        ]
        lines.append([*start, *((found or {}).get(name) or "" for name in headings)])
    return lines


def _unread(raw: str | None, lang: Lang) -> str:
    """What an export says of a row without cells."""
    if raw is None:
        return "已按期清除" if lang == "zh" else "purged after its retention"
    if is_sealed(raw):
        return "已封存" if lang == "zh" else "sealed"
    return raw


def _write_csv(aside: Path, table: Sequence[Sequence[str]], path: Path) -> None:
    with aside.open("w", encoding="utf-8-sig", newline="", errors="replace") as file:
        csv.writer(file).writerows([_harmless(cell) for cell in line] for line in table)


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; `_plain` is its way back."""
    return "'" + cell if cell.startswith(_RISKY) else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_RISKY) else cell


def _write_xlsx(aside: Path, table: Sequence[Sequence[str]], path: Path) -> None:
    if len(table) > _SHEET_ROWS or any(len(cell) > _SHEET_CELL for line in table for cell in line):
        raise Mistake(str(path), "more rows, or a longer cell, than a sheet holds", "export to .csv")
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {**plain, "in_memory": True}) as book:
        sheet = book.add_worksheet()
        # Written as text: Excel would round long numbers and turn codes into dates.
        text = book.add_format({"num_format": "@"})
        for at, line in enumerate(table):
            for column, cell in enumerate(line):
                sheet.write_string(at, column, cell, text)
        sheet.freeze_panes(1, 0)
    aside.write_bytes(content.getvalue())


def read_mended(path: Path) -> Mended:
    """An exported file as a person mended it. Raises Mistake naming the line that is not one of an export."""
    if not path.is_file():
        raise Mistake(str(path), "no such file", "give the file that 'nerve quarantine export' wrote")
    sheet = path.suffix.lower() == ".xlsx"
    lines = (_lines_of_sheet if sheet else _lines_of_text)(path)
    headings = [cell.strip() for cell in next(lines, [])]
    at: dict[int, int] = {}
    for number in (0, 1):
        names = {columns[number] for columns in _COLUMNS.values()}
        found = [position for position, name in enumerate(headings) if name in names]
        if len(found) != 1:
            raise Mistake(
                str(path),
                f"no column '{_COLUMNS['zh'][number]}' ('{_COLUMNS['en'][number]}')",
                "mend the cells of an exported file and leave its headings",
            )
        at[number] = found[0]
    ours = {name for columns in _COLUMNS.values() for name in columns}
    unread = next((position for position, name in enumerate(headings) if name in ("#原文", "#raw")), None)
    data = [(position, name) for position, name in enumerate(headings) if name and name not in ours]
    rows: dict[tuple[int, int], Cells] = {}
    for number, line in enumerate(lines, start=2):
        if not any(cell.strip() for cell in line):
            continue
        padded = [*line, *[""] * (len(headings) - len(line))]
        try:
            key = (int(float(padded[at[0]])), int(float(padded[at[1]])))
        except ValueError as error:
            raise Mistake(
                f"{path}: line {number}", "its batch or row is no number", "leave these columns as they are"
            ) from error
        if key in rows:
            raise Mistake(f"{path}: line {number}", f"batch {key[0]}, row {key[1]} again", "keep one of them")
        # A row whose cells were not shown: what is empty there was not emptied by anyone.
        hidden = unread is not None and bool(padded[unread])
        rows[key] = {name: padded[position] for position, name in data if padded[position] or not hidden}
    return Mended(path, rows)


def _lines_of_text(path: Path) -> Iterator[list[str]]:
    """CSV as spreadsheets save it: UTF-8, UTF-16 or GB18030; commas, semicolons or tabs."""
    content = path.read_bytes()
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    encodings = ["utf-16"] if marked else ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise Mistake(str(path), "not decodable as text", "save it as CSV UTF-8, or as .xlsx")
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    try:
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            yield [_plain(cell) for cell in line]
    except csv.Error as error:
        raise Mistake(str(path), f"not CSV: {error}", "save it from the spreadsheet again") from error


def _lines_of_sheet(path: Path) -> Iterator[list[str]]:
    """The first sheet of a workbook, checked like any that an office sends."""
    try:
        with CalamineWorkbook.from_filelike(ooxml.opened(path).file) as book:
            lines = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except Refused as refused:
        raise Mistake(str(path), refused.reason.en, "save it as .xlsx again") from refused
    except (CalamineError, OSError, ValueError) as error:
        raise Mistake(str(path), f"not a readable workbook: {error}", "save it as .xlsx again") from error
    for line in lines:
        yield [_text_of(cell) for cell in line]


def _text_of(cell: object) -> str:
    """A cell that a person typed: the spreadsheet may have made a number, a date or yes/no of it."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, date):
        return cell.isoformat()
    return "" if cell is None else str(cell)
