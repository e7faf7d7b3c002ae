"""Files → raw text: every cell as the source wrote it.

Only columns that the contract maps are ever taken out of a file; blocked and unknown columns reach neither
a table nor a log. Every record of a file is either a row of the raw table or the whole file is refused.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import duckdb

from pipelines.contract import Contract, heading
from pipelines.reading import archives, objects
from pipelines.reading.headings import Refused
from pipelines.reading.parquet import read_parquet
from pipelines.reading.raw import RAW, Cells, Raw, finish, to_table
from pipelines.reading.sheets import demand_no_markup, read_workbook
from pipelines.reading.text import read_csv
from warehouse.mistake import Mistake

__all__ = ["RAW", "Raw", "Refused", "read"]

Form = Literal["csv", "xlsx", "json", "ndjson", "parquet", "archive"]

_SUFFIXES: dict[str, Form] = {
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xlsx",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
_TEXTS = frozenset({".csv", ".tsv", ".txt"})
_NAMES = {
    "csv": ("文本表格", "delimited text"),
    "xlsx": ("工作簿", "a workbook"),
    "json": ("JSON", "JSON"),
    "ndjson": ("JSON", "JSON"),
    "parquet": ("Parquet", "Parquet"),
}
_JSON = re.compile(rb"[\[{]\s*[\"{\[\]}]")
_PARTS = "parts-"
"""Folders of what archives held, named with the process that reads them."""


def read(path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, secret: bytes) -> Raw:
    """Read a file into the TEMP table `incoming_raw`. `secret` keys the pseudonyms.

    An archive counts as one file: the records of its members follow each other. Raises Refused; raises
    Mistake when the file changed meanwhile, and it is to be read again.
    """
    before = _stamp(path)
    folder = _folder(connection)
    form = _form(path, contract)
    if form == "archive":
        raw = _read_archive(path, contract, connection, secret, folder)
    else:
        raw = _read(path, form, contract, connection, secret, folder)
    if _stamp(path) != before:
        raise Mistake(path.name, "changed while it was read", "it is read again when it has settled")
    return raw


def _read(
    path: Path,
    form: Form,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    secret: bytes,
    folder: Path,
) -> Raw:
    if form == "csv":
        return read_csv(path, contract, connection, secret, folder)
    if form == "parquet":
        return read_parquet(path, contract, connection, secret, folder)
    cells = Cells()
    if form == "xlsx":
        read_workbook(path, contract, cells)
    elif form == "json":
        objects.read_json(path, contract, cells)
    else:
        objects.read_ndjson(path, contract, cells)
    return to_table(cells, contract, connection, secret, "json")


def _stamp(path: Path) -> tuple[int, int, int]:
    """(inode, bytes, time of change). Raises Refused for what is not a file of its own."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise Refused(
            "是链接、管道或设备,不是文件:请放入文件本身",
            "a link, pipe or device, not a file: drop the file itself",
        )
    if found.st_size == 0:
        raise Refused("空文件", "empty file")
    return found.st_ino, found.st_size, found.st_mtime_ns


def _folder(connection: duckdb.DuckDBPyConnection) -> Path:
    """Where copies may lie: with the temporary files of the loader's database."""
    row = connection.execute("select current_setting('temp_directory')").fetchone()
    folder = Path(str(row[0])) if row and row[0] else Path()
    if not folder.is_absolute():
        return Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# -- what a file is ------------------------------------------------------------------------------------------


def _form(path: Path, contract: Contract) -> Form:
    """What a file's content says it is; a contract that says otherwise is contradicted. Raises Refused."""
    with path.open("rb") as file:
        head = file.read(4096)
    form = _of_content(path, head, contract)
    said = contract.files.format
    if form == "archive" or said == "auto":
        return form
    stated: Form = "xlsx" if said == "xls" else said
    if stated == form or {stated, form} == {"json", "ndjson"}:
        return stated
    if (stated, form) == ("csv", "xlsx"):
        raise _spreadsheet("")
    (stated_zh, stated_en), (found_zh, found_en) = _NAMES[stated], _NAMES[form]
    raise Refused(
        f"内容是{found_zh},而合约写明 format = '{stated}'({stated_zh})",
        f"holds {found_en}, but the contract says format = '{stated}' ({stated_en})",
    )


def _of_content(path: Path, head: bytes, contract: Contract) -> Form:
    suffix = path.suffix.lower()
    if head.startswith(b"PK"):
        try:
            return "xlsx" if archives.is_workbook(path) else "archive"
        except Refused as refused:
            if _SUFFIXES.get(suffix) == "xlsx":
                raise Refused(
                    f"无法读取的工作簿:{refused.reason.zh}", f"not a readable workbook: {refused.reason.en}"
                ) from refused
            if suffix in _TEXTS:
                raise _spreadsheet(f" ({refused.reason.en})") from refused
            raise
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "xlsx"
    if head.startswith(b"\x1f\x8b"):
        return "archive"
    if head.startswith(b"PAR1"):
        return "parquet"
    said = _SUFFIXES.get(suffix)
    if said in ("xlsx", "parquet") and contract.files.format in ("auto", "xls", said):
        # Its reader says best why it is none.
        return said
    demand_no_markup(head)
    text = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").replace(b"\0", b"")
    if contract.files.format in ("json", "ndjson"):
        return contract.files.format
    if said == "ndjson":
        return "ndjson"
    if suffix == ".json" or _JSON.match(text):
        return objects.form_of(path, contract.files.encoding)
    return "csv"


def _spreadsheet(more: str) -> Refused:
    return Refused(
        "是工作簿而非文本:请以 .xlsx 命名,并在合约中写 format = 'auto'",
        f"a spreadsheet, not text{more}: name it .xlsx and give its contract format = 'auto'",
    )


# -- archives ------------------------------------------------------------------------------------------------


def _read_archive(
    path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, secret: bytes, folder: Path
) -> Raw:
    _sweep(folder)
    with tempfile.TemporaryDirectory(prefix=f"{_PARTS}{os.getpid()}-", dir=folder) as inside:
        parts = archives.unpacked(path, Path(inside))
        whole: Raw | None = None
        for number, part in enumerate(parts, start=1):
            try:
                if part.stat().st_size == 0:
                    raise Refused("空文件", "empty file")
                raw = _read(part, _form(part, contract), contract, connection, secret, folder)
            except Refused as refused:
                if len(parts) == 1:
                    raise
                raise Refused(
                    f"压缩包内第 {number} 个文件:{refused.reason.zh}",
                    f"file {number} of {len(parts)} in the archive: {refused.reason.en}",
                ) from refused
            part.unlink()
            if len(parts) > 1:
                raw = _appended(whole, raw, connection)
            whole = raw
    if whole is None:
        raise Refused("压缩包内没有文件", "no file in the archive")
    if len(parts) > 1:
        finish(connection)
        connection.execute(f"drop table {RAW}")
        connection.execute(f"alter table incoming_parts rename to {RAW}")
    return whole


def _sweep(folder: Path) -> None:
    """Remove what archives held whose reader was killed."""
    for left in folder.glob(_PARTS + "*-*"):
        number = left.name.split("-")[1]
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (ValueError, PermissionError):
            continue


def _appended(whole: Raw | None, raw: Raw, connection: duckdb.DuckDBPyConnection) -> Raw:
    """Add the raw table to `incoming_parts`, where each heading has one column; what both together are."""
    if whole is None:
        connection.execute("drop table if exists incoming_parts")
        connection.execute(f"create temp table incoming_parts as select * from {raw.table}")  # noqa: S608
        return raw
    places = {heading(text): f"c{number}" for number, text in enumerate(whole.headings)}
    headings = list(whole.headings)
    renamed: dict[str, str] = {}
    for number, text in enumerate(raw.headings):
        if heading(text) not in places:
            places[heading(text)] = f"c{len(headings)}"
            headings.append(text)
            connection.execute(f"alter table incoming_parts add column {places[heading(text)]} varchar")
        renamed[f"c{number}"] = places[heading(text)]
    connection.execute(
        f"insert into incoming_parts (_row, _line, _fault, _raw, {', '.join(renamed.values())}) "  # noqa: S608
        f"select _row + $before, _line, _fault, _raw, {', '.join(renamed)} from {raw.table}",
        {"before": whole.read},
    )
    columns = {name: tuple(renamed[column] for column in found) for name, found in raw.columns.items()}
    return replace(
        whole,
        columns={
            name: tuple(dict.fromkeys([*whole.columns.get(name, ()), *columns.get(name, ())]))
            for name in {**whole.columns, **columns}
        },
        headings=tuple(headings),
        form=whole.form if whole.form == raw.form else "json",
        read=whole.read + raw.read,
        ignored=whole.ignored + raw.ignored,
        unknown=tuple(dict.fromkeys([*whole.unknown, *raw.unknown])),
        blocked=tuple(dict.fromkeys([*whole.blocked, *raw.blocked])),
        beside=(*whole.beside, *raw.beside),
    )
