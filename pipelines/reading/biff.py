"""XLS: the compound file and the records of the old workbook, checked before anything parses them.

As with XLSX, the reader of cells never sees the file itself but a new compound file with the one stream that
holds cells, in which chains end, sizes are true and sheets stay within their limits. Macros are not in it.
"""

from __future__ import annotations

import io
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.reading.headings import Refused
from pipelines.reading.ooxml import MAX_CELLS, MAX_SHEETS, Facts, Workbook, too_large

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_FILE = 256 << 20
"""Bytes of a file, which is read into memory: some ten full sheets, which have 65,536 rows."""
_SECTOR = 512
_HEADER = struct.Struct("<8s16x5H6x9L")
_ENTRY = struct.Struct("<64sHBB3L16xL16xLL4x")
_END, _FREE, _IS_FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_LAST = 0xFFFFFFFA
"""The greatest number that names a sector."""
_SMALL = 4096
"""Bytes: shorter streams lie in the small sectors of the root's own stream."""

_BOF, _EOF, _SHEET, _PASSWORD, _DATES, _WORDS, _SIZE = 0x0809, 0x0A, 0x85, 0x2F, 0x22, 0xFC, 0x200
_FORMULA, _RESULT_OF, _MANY = (0x06, 0x206, 0x406), 0x0205, 0xBD
_VALUES = frozenset({*_FORMULA, _RESULT_OF, _MANY, 0x203, 0x204, 0xFD, 0x27E, 0xD6})
_TO_CALCULATE = 0x02
"""A formula's flag: its result is 0 until the workbook is opened by a program that calculates."""


def opened(path: Path) -> Workbook:
    """Check a workbook and copy what holds cells. Raises Refused."""
    if path.stat().st_size > MAX_FILE:
        raise too_large()
    try:
        stream = bytearray(_cells_of(path.read_bytes()))
        sheets, from_1904 = _globals(stream)
        facts: list[Facts] = []
        area = 0
        for at in sheets:
            facts.append(_survey(stream, at))
            area += facts[-1].rows * facts[-1].columns
            if area > MAX_CELLS:
                raise too_large()
    except (struct.error, IndexError, ValueError) as error:
        raise _damaged("cut off") from error
    return Workbook(io.BytesIO(compound("Workbook", bytes(stream))), tuple(facts), from_1904)


def compound(name: str, stream: bytes) -> bytes:
    """A compound file with one stream."""
    stream = stream.ljust(_SMALL, b"\0")
    body = -(-len(stream) // _SECTOR)
    fats = 1
    while fats * 128 < body + 1 + fats + _difats(fats):
        fats += 1
    difats = _difats(fats)
    # In this order: the stream, its list of sectors, the lists of those, the directory.
    first_fat, first_difat, directory = body, body + fats, body + fats + difats
    table = array("I", range(1, body + 1))
    table[-1] = _END
    table.extend([_IS_FAT] * fats + [0xFFFFFFFC] * difats + [_END])
    table.extend([_FREE] * (fats * 128 - len(table)))
    places = [first_fat + n for n in range(fats)]
    header = _HEADER.pack(
        MAGIC, 0x3E, 3, 0xFFFE, 9, 6, 0, fats, directory, 0, _SMALL, _END, 0,
        first_difat if difats else _END, difats,
    ) + struct.pack("<109L", *(places[:109] + [_FREE] * (109 - min(109, fats))))  # fmt: skip
    lists = b""
    for number in range(difats):
        part = places[109 + number * 127 : 109 + (number + 1) * 127]
        part += [_FREE] * (127 - len(part)) + [first_difat + number + 1 if number + 1 < difats else _END]
        lists += struct.pack("<128L", *part)

    def entry(text: str, kind: int, child: int, start: int, size: int) -> bytes:
        title = (text + "\0").encode("utf-16-le")
        return _ENTRY.pack(title, len(title), kind, 1, _FREE, _FREE, child, 0, start, size)

    entries = entry("Root Entry", 5, 1, _END, 0) + entry(name, 2, _FREE, 0, len(stream))
    return (
        header + stream.ljust(body * _SECTOR, b"\0") + table.tobytes() + lists + entries.ljust(_SECTOR, b"\0")
    )


def _difats(fats: int) -> int:
    return max(0, -(-(fats - 109) // 127))


@dataclass(frozen=True)
class _Stream:
    name: str
    kind: int
    start: int
    size: int


def _cells_of(data: bytes) -> bytes:
    """The stream of a compound file that holds the cells. Raises Refused, struct.error."""
    (magic, _, version, _, shift, small_shift, _, _, directory, _, _, small_table, _, more, _) = (
        _HEADER.unpack_from(data)
    )
    if magic != MAGIC or (version, shift) not in ((3, 9), (4, 12)) or small_shift != 6:
        raise _damaged("its header")
    size = 1 << shift
    table = _table(data, size, more)
    streams = list(_streams(_chain(data, table, directory, size)))
    names = {stream.name.casefold() for stream in streams}
    if names & {"encryptedpackage", "encryptioninfo"}:
        raise _password()
    wanted = [s for s in streams if s.kind == 2 and s.name.casefold() in ("workbook", "book")]
    if not wanted:
        raise Refused(
            "不是工作簿(可能是 Word 等其他 Office 文件)", "no workbook: another program's file (Word?)"
        )
    best = max(wanted, key=lambda stream: len(stream.name))
    if best.size > len(data):
        raise _damaged("cut off")
    if best.size >= _SMALL:
        found = _chain(data, table, best.start, size)
    else:
        root = next(stream for stream in streams if stream.kind == 5)
        small = array("I", _chain(data, table, small_table, size))
        found = _chain(_chain(data, table, root.start, size), small, best.start, 64, header=0)
    if len(found) < best.size:
        raise _damaged("cut off")
    return found[: best.size]


def _table(data: bytes, size: int, more: int) -> array[int]:
    """The file's table of sectors: each sector → the next one of its chain."""
    places = list(struct.unpack_from("<109L", data, 76))
    seen = 0
    while more <= _LAST:
        *part, more = struct.unpack_from(f"<{size // 4}L", data, (more + 1) * size)
        places += part
        seen += 1
        if seen * size > len(data):
            raise _damaged("its table of sectors goes round")
    table = array("I")
    for place in dict.fromkeys(places):
        if place <= _LAST:
            sector = data[(place + 1) * size : (place + 2) * size]
            table.frombytes(sector[: len(sector) // 4 * 4])
    return table


def _chain(data: bytes, table: array[int], start: int, size: int, header: int = 1) -> bytes:
    """The sectors of a chain one after the other. Raises Refused when it goes round, IndexError when it breaks."""
    sectors: list[int] = []
    at = start
    while at <= _LAST:
        sectors.append(at)
        if len(sectors) > len(table):
            raise _damaged("a chain of sectors goes round")
        at = table[at]
    return b"".join(data[(at + header) * size : (at + header + 1) * size] for at in sectors)


def _streams(directory: bytes) -> Iterator[_Stream]:
    for at in range(0, len(directory) - _ENTRY.size + 1, _ENTRY.size):
        title, length, kind, _, _, _, _, _, start, size = _ENTRY.unpack_from(directory, at)
        yield _Stream(title[: max(0, length - 2)].decode("utf-16-le", errors="replace"), kind, start, size)


def _records(stream: bytearray, at: int) -> Iterator[tuple[int, int, int]]:
    """(kind, where its data begins, length) of each record of a part, from its first, which says that it
    begins, to its last. Raises Refused."""
    depth, length = 0, len(stream)
    while at + 4 <= length:
        kind, size = struct.unpack_from("<2H", stream, at)
        at += 4
        if at + size > length or (depth == 0 and kind != _BOF):
            raise _damaged("a record is cut off")
        yield kind, at, size
        # A chart within a sheet is a part of its own.
        depth += (kind == _BOF) - (kind == _EOF)
        if depth == 0:
            return
        at += size
    raise _damaged("a sheet is cut off")


def _globals(stream: bytearray) -> tuple[list[int], bool]:
    """(where each sheet begins, whether days count from 1904). Raises Refused."""
    sheets: list[int] = []
    from_1904 = False
    for kind, at, size in _records(stream, 0):
        if kind == _PASSWORD:
            raise _password()
        if kind == _DATES and size >= 2:
            from_1904 = stream[at] == 1
        elif kind == _SHEET:
            sheets += struct.unpack_from("<L", stream, at)
        elif kind == _WORDS and struct.unpack_from("<2l", stream, at)[1] not in range(len(stream) // 3 + 1):
            raise _damaged("its list of words")
    if not sheets or len(sheets) > MAX_SHEETS or len(set(sheets)) < len(sheets):
        raise _damaged(f"{len(sheets)} sheets")
    return sheets, from_1904


def _survey(stream: bytearray, at: int) -> Facts:
    """How far a sheet's cells reach and which have no value; its own statement of its size is corrected."""
    facts = Facts()
    statement: tuple[int, int] | None = None
    for kind, begin, size in _records(stream, at):
        if kind == _SIZE:
            statement = begin, size
        elif kind in _VALUES:
            row, column = struct.unpack_from("<2H", stream, begin)
            last = column
            if kind == _MANY:
                (last,) = struct.unpack_from("<H", stream, begin + size - 2)
            elif kind in _FORMULA:
                result, flags = bytes(stream[begin + 6 : begin + 14]), stream[begin + 14]
                if result[6:] == b"\xff\xff" and result[0] == 2:
                    facts.odd[row, column] = "error"
                elif result == bytes(8) and flags & _TO_CALCULATE:
                    facts.odd[row, column] = "formula"
            elif kind == _RESULT_OF and stream[begin + 7]:
                facts.odd[row, column] = "error"
            facts.reach(row, max(column, last))
    if statement is not None:
        _correct(stream, *statement, facts)
    return facts


def _correct(stream: bytearray, begin: int, size: int, facts: Facts) -> None:
    shape = "<LLHH" if size >= 12 else "<4H"
    struct.pack_into(shape, stream, begin, 0, facts.rows, 0, facts.columns)


def _password() -> Refused:
    return Refused("工作簿有密码,请去掉密码后重发", "the workbook has a password: send it without one")


def _damaged(what: str) -> Refused:
    return Refused("无法读取的工作簿", f"not a readable workbook: {what}")
