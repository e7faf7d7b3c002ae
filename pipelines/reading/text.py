"""CSV and its like: bytes → text → records."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from pipelines.contract import Contract
from pipelines.privacy import mask
from pipelines.reading.headings import (
    HEADER_WITHIN,
    Layout,
    Refused,
    demand_columns,
    find_header,
    is_total,
    no_headings,
)
from pipelines.reading.raw import Cells

DELIMITERS = ",;\t|"
RECORD_WIDTH = 4
"""From so many columns on, a line inside a quoted cell that splits like a record is taken for a record."""


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


def read_csv(content: bytes, contract: Contract, cells: Cells) -> None:
    text = decode(content, contract.files.encoding)
    if not text.strip():
        raise Refused("空文件", "empty file")
    delimiter, found = _sniff(text, contract)
    if found is None:
        raise no_headings(contract)
    at, layout = found
    demand_columns(layout, contract)
    lines: list[int] = []
    rows: list[list[str]] = []
    used = layout.used()
    blank = [""] * layout.width
    for line, row in _records(text, delimiter, skip=at + 1, width=layout.width):
        if is_total(row):
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


def _sniff(text: str, contract: Contract) -> tuple[str, tuple[int, Layout] | None]:
    """The delimiter with which most headings are found, and where they stand (counted in records)."""
    head = text[:65536]
    best: tuple[str, tuple[int, Layout] | None] = (",", None)
    for delimiter in DELIMITERS:
        rows: list[list[str]] = []
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) == HEADER_WITHIN:
                break
        found = find_header(rows, contract)
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
