"""Bytes → UTF-8: which encoding a text file has, and the same text as UTF-8 on the disk, in bounded memory."""

from __future__ import annotations

import codecs
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from pipelines.reading.headings import Refused

BLOCK = 4 << 20
"""Bytes looked at together. A line longer than this is refused."""
_HEAD = 4096
_OPEN_FILES = Path("/proc/self/fd")
_NOT_TEXT = (
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"PAR1",
    b"\x1f\x8b\x08",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\x7fELF",
)
_WHOLE = re.compile(rb"[\xe3-\xe9][\x80-\xbf]{2}")


@dataclass(frozen=True)
class Plain:
    """A text in UTF-8: the open file, a name under which DuckDB can open it too, and where the text starts
    (after a byte order mark)."""

    file: BinaryIO
    name: str
    start: int = 0


@contextmanager
def as_utf8(path: Path, stated: str, folder: Path) -> Iterator[Plain]:
    """The text of a file in UTF-8, every byte of it proven. A copy made for that lies in `folder`, has no
    name, and is gone with this process, however it ends. Raises Refused."""
    with path.open("rb", buffering=0) as file:
        head = file.read(_HEAD)
        _demand_text(head)
        encoding = _marked(head) or "utf-8" if stated == "auto" else stated
        if encoding == "utf-8":
            fault = _first_fault(file)
            if fault is None:
                with named(file, folder) as name:
                    yield Plain(file, name, 3 if head.startswith(codecs.BOM_UTF8) else 0)
                return
            if stated != "auto" or fault.of_utf8:
                raise _undecodable("utf-8", fault.line, fault.at)
            encoding = "gb18030"
        with scratch(folder) as (copy, name):
            _transcode(file, encoding, copy)
            yield Plain(copy, name)


@contextmanager
def scratch(folder: Path) -> Iterator[tuple[BinaryIO, str]]:
    """A temporary file, and the name under which DuckDB can open it while it is open."""
    if _OPEN_FILES.is_dir():
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            yield file, str(_OPEN_FILES / str(file.fileno()))
    else:
        with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
            yield cast(BinaryIO, file.file), file.name


def blocks(file: BinaryIO, start: int = 0) -> Iterator[tuple[int, bytearray, int]]:
    """(offset in the file, buffer, bytes of it in use) of consecutive blocks of whole lines from `start` on.

    A block ends with \\n, or with \\r where there is no \\n in it; where the last line has no end, one is
    added. The buffer is used again for the next block. Raises Refused when a line is longer than a block.
    """
    file.seek(start)
    buffer, held, offset = bytearray(BLOCK + 1), 0, start
    while True:
        # `readinto` of an unbuffered file may give less than asked for.
        got = file.readinto(memoryview(buffer)[held:BLOCK])  # type: ignore[attr-defined]
        held += got
        if not got:
            break
        end = buffer.rfind(b"\n", 0, held) + 1
        if not end:
            # The last \r may be the first half of a \r\n.
            end = buffer.rfind(b"\r", 0, held - 1) + 1
        if not end:
            if held == BLOCK:
                raise Refused(
                    f"有一行超过 {BLOCK >> 20} MiB,不是表格",
                    f"a line of more than {BLOCK >> 20} MiB: no table",
                )
            continue
        yield offset, buffer, end
        buffer[: held - end] = buffer[end:held]
        held, offset = held - end, offset + end
    if held:
        if buffer[held - 1] != 13:
            buffer[held] = 10
            held += 1
        yield offset, buffer, held


@dataclass(frozen=True)
class _Fault:
    line: int
    at: int
    of_utf8: bool


def _first_fault(file: BinaryIO) -> _Fault | None:
    """Where a file ceases to be UTF-8, and whether that is damage rather than another encoding."""
    whole = 0
    for offset, buffer, used in blocks(file):
        if not _is_utf8(buffer, used):
            block = bytes(memoryview(buffer)[:used])
            try:
                block.decode("utf-8")
            except UnicodeDecodeError as error:
                damaged = _damaged_utf8(block, whole)
                return _Fault(_line_at(file, offset + error.start), offset + error.start, damaged)
        if (nul := buffer.find(b"\0", 0, used)) >= 0:
            raise _nul(_line_at(file, offset + nul))
        # Enough to know a damaged text by: nobody needs the exact number.
        if not whole:
            whole = len(_WHOLE.findall(memoryview(buffer)[:used]))
    return None


def _line_at(file: BinaryIO, at: int) -> int:
    """The number of the line that a byte stands in."""
    file.seek(0)
    lines = 1
    while at > 0 and (block := file.read(min(at, BLOCK))):
        lines, at = lines + block.count(b"\n"), at - len(block)
    return lines


def _nul(line: int) -> Refused:
    return Refused(
        f"第 {line} 行含 NUL 字符:文件已损坏或不是文本",
        f"a NUL character at line {line}: damaged, or not text",
    )


def _is_utf8(buffer: bytearray, used: int) -> bool:
    # Arrow checks several times faster than decoding does.
    ends = pa.py_buffer(used.to_bytes(4, "little").rjust(8, b"\0"))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(buffer)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _damaged_utf8(content: bytes, whole: int) -> bool:
    """A few faults among many whole characters: damaged UTF-8, which GB18030 would read as nonsense."""
    broken = content.decode("utf-8", errors="replace").count("\ufffd")
    return whole + len(_WHOLE.findall(content)) > 10 * broken


def _marked(head: bytes) -> str | None:
    """UTF-16, by its mark or by its line ends and zeros; None where there is no sign of it."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" not in head:
        return None
    little, big = head[1::2].count(0), head[::2].count(0)
    # Of a Chinese text only digits, delimiters and line ends have zeros, but it is no UTF-8 either.
    few = (little + big) * 5 < len(head)
    if few and _is_text(head.replace(b"\0", b"")):
        return None
    return "utf-16-le" if little >= big else "utf-16-be"


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _transcode(file: BinaryIO, encoding: str, copy: BinaryIO) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    lines = offset = 0
    first = True
    while True:
        block = file.read(BLOCK)
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeError as error:
            at = getattr(error, "start", 0)
            good = getattr(error, "object", b"")[:at].decode(encoding, errors="replace")
            raise _undecodable(encoding, lines + good.count("\n") + 1, offset - held + at) from error
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        if (nul := text.find("\0")) >= 0:
            raise _nul(lines + text.count("\n", 0, nul) + 1)
        data = memoryview(text.encode("utf-8"))
        while data:
            data = data[copy.write(data) :]
        if not block:
            return
        lines += text.count("\n")
        offset += len(block)


@contextmanager
def named(file: BinaryIO, folder: Path) -> Iterator[str]:
    """A name under which DuckDB opens this very file, whatever its path holds or points to by then."""
    if _OPEN_FILES.is_dir():
        yield str(_OPEN_FILES / str(file.fileno()))
        return
    with scratch(folder) as (copy, name):
        file.seek(0)
        while block := file.read(BLOCK):
            copy.write(block)
        yield name


def _demand_text(head: bytes) -> None:
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Refused(
            "是工作簿而非文本:请以 .xlsx 命名,并在合约中写 format = 'auto'",
            "a spreadsheet, not text: name it .xlsx and give its contract format = 'auto'",
        )
    if head.startswith(_NOT_TEXT):
        raise Refused("不是文本文件", "not a text file")


def _undecodable(encoding: str, line: int, at: int) -> Refused:
    return Refused(
        f"第 {line} 行(第 {at} 字节)无法按 {encoding} 解码",
        f"not decodable as {encoding} at line {line} (byte {at})",
    )
