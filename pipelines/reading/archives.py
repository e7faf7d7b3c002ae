"""Archives: gzip and zip, opened without trusting a word of what they say about themselves.

Nothing is unpacked under a name that an archive chose, so no name can lead out of the folder; names that
try are refused all the same, for such an archive was made to do harm. Sizes are counted while unpacking.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipelines.reading.headings import Refused

MAX_MEMBERS = 1_000
MAX_UNPACKED = 8 << 30
"""Bytes of all members of one archive together: some fifty million records."""
MAX_RATIO = 200
"""Unpacked to packed. Tables of many equal words reach 50; bombs reach 1000."""
HARMLESS = 64 << 20
"""Bytes that may be unpacked at any ratio: a small file of one word over and over is no bomb."""
MAX_DIRECTORY = 4 << 20
"""Bytes of a zip's list of members, which is read into memory."""
CHUNK = 1 << 18

_SUFFIXES = frozenset(
    {".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".xls", ".json", ".ndjson", ".jsonl", ".parquet"}
)
_LITTER = ("__macosx/", "._", ".ds_store", "thumbs.db", "desktop.ini")
"""What a desktop adds to an archive: never records."""
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED, _UTF8 = 0x0041, 0x0800
_STORED, _DEFLATED = 0, 8
_NESTED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True)
class Member:
    """One file in a zip. `start`: where its bytes begin, `number`: its place in the list, from 1."""

    number: int
    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int


def unpacked(path: Path, folder: Path) -> list[Path]:
    """The files in a gzip (one) or zip archive, written into `folder` as 0001.csv, 0002.xlsx, …

    The order is the archive's. Folders and a desktop's litter are left out. Raises Refused, leaving nothing
    behind, for an archive that is damaged, encrypted, empty or too large, that holds names leading out of
    it, links, the same name twice, overlapping members, or another archive.
    """
    written: list[Path] = []
    try:
        with path.open("rb") as file:
            if file.read(2) == b"\x1f\x8b":
                written.append(folder / f"0001{_suffix(path.name.lower().removesuffix('.gz'))}")
                _write(_gunzipped(file), written[0], path.stat().st_size)
            else:
                found = [member for member in members(file) if not _litter(member.name)]
                _demand_no_document({member.name for member in found})
                if len(found) > MAX_MEMBERS:
                    raise _too_many()
                if sum(member.size for member in found) > MAX_UNPACKED:
                    raise _too_large()
                budget = MAX_UNPACKED
                for number, member in enumerate(found, start=1):
                    written.append(folder / f"{number:04d}{_suffix(member.name)}")
                    budget -= _write(content(file, member), written[-1], member.packed, budget)
        if not written:
            raise Refused("压缩包内没有文件", "no file in the archive")
        for number, part in enumerate(written, start=1):
            _demand_no_archive(part, number)
    except BaseException:
        for part in written:
            part.unlink(missing_ok=True)
        raise
    return written


def is_workbook(path: Path) -> bool:
    """Whether a zip is a workbook: it holds parts below xl/. Raises Refused when the zip is damaged."""
    with path.open("rb") as file:
        return any(member.name.lower().startswith("xl/") for member in members(file))


def members(file: BinaryIO) -> list[Member]:
    """The files of a zip, folders left out; every statement that can be checked is checked.

    Raises Refused: damaged, encrypted, split, names that lead out, links, a name twice, overlaps.
    """
    try:
        directory, count, begin = _directory(file)
        found = [member for member in _entries(directory, count, file, begin) if member is not None]
    except (struct.error, IndexError) as error:
        raise _damaged("its list of members") from error
    names = [member.name.casefold() for member in found]
    if len(set(names)) < len(names):
        raise Refused("压缩包内有同名文件", "two files of the same name in the archive")
    spans = sorted((member.start, member.start + member.packed) for member in found)
    if any(end > start for (_, end), (start, _) in pairwise(spans)) or (spans and spans[-1][1] > begin):
        raise Refused("压缩包内文件相互重叠", "overlapping files in the archive")
    return found


def content(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """A member's bytes, unpacked in chunks; never more than it declares. Raises Refused: size or checksum."""
    file.seek(member.start)
    whole = _deflated if member.method == _DEFLATED else _stored
    size = crc = 0
    try:
        for chunk in whole(file, member.packed):
            size += len(chunk)
            if size > member.size:
                break
            crc = zlib.crc32(chunk, crc)
            yield chunk
    except (zlib.error, EOFError) as error:
        raise _damaged(f"member {member.number}") from error
    if size != member.size or crc != member.crc:
        raise _damaged(f"member {member.number}: its size or checksum")


def _stored(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left:
        chunk = file.read(min(left, CHUNK))
        if not chunk:
            raise EOFError
        left -= len(chunk)
        yield chunk


def _deflated(file: BinaryIO, left: int) -> Iterator[bytes]:
    """Raises zlib.error, EOFError: the stream does not end exactly where its bytes do."""
    inflate, packed = zlib.decompressobj(-15), b""
    while not inflate.eof:
        if not packed:
            packed = file.read(min(left, CHUNK))
            left -= len(packed)
        chunk = inflate.decompress(packed, CHUNK)
        if not (chunk or packed):
            raise EOFError
        packed = inflate.unconsumed_tail
        yield chunk
    if left or inflate.unused_data:
        raise EOFError


def _gunzipped(file: BinaryIO) -> Iterator[bytes]:
    """All streams of a gzip one after the other, as gzip itself does; zeros may pad the end."""
    file.seek(0)
    packed = file.read(CHUNK)
    try:
        while packed:
            inflate = zlib.decompressobj(31)
            while not inflate.eof:
                chunk = inflate.decompress(packed, CHUNK)
                if not (chunk or packed):
                    raise _damaged("it ends too early")
                yield chunk
                packed = inflate.unconsumed_tail or (b"" if inflate.eof else file.read(CHUNK))
            packed = inflate.unused_data.lstrip(b"\0")
            while not packed and (more := file.read(CHUNK)):
                packed = more.lstrip(b"\0")
    except zlib.error as error:
        raise _damaged("a gzip stream") from error


def _write(chunks: Iterator[bytes], target: Path, packed: int, budget: int = MAX_UNPACKED) -> int:
    """Write what an archive's member unpacks to; the number of bytes."""
    size, limit = 0, max(HARMLESS, packed * MAX_RATIO)
    with target.open("xb") as out:
        for chunk in chunks:
            size += len(chunk)
            if size > min(limit, budget):
                raise _too_large()
            out.write(chunk)
    return size


def _directory(file: BinaryIO) -> tuple[bytes, int, int]:
    """(central directory, number of its entries, where it begins). Raises Refused, struct.error."""
    length = file.seek(0, 2)
    tail_at = max(0, length - _END.size - _FULL16)
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise _damaged("it ends too early")
    end = tail_at + at
    _, disk, first, here, count, size, begin, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise _damaged("its end")
    closes = end
    if _FULL16 in (here, count) or _FULL32 in (size, begin):
        closes, disk, first, here, count, size, begin = _directory64(file, end)
    if disk or first or here != count:
        raise Refused("分卷压缩包", "one part of a split archive")
    if size > MAX_DIRECTORY:
        raise _too_many()
    if begin + size != closes:
        raise _damaged("its list of members")
    file.seek(begin)
    return file.read(size), count, begin


def _directory64(file: BinaryIO, end: int) -> tuple[int, int, int, int, int, int, int]:
    file.seek(max(0, end - _LOCATOR.size))
    signature, _, at, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if signature != b"PK\6\7" or at >= end:
        raise _damaged("its end")
    file.seek(at)
    signature, _, _, _, disk, first, here, count, size, begin = _END64.unpack(file.read(_END64.size))
    if signature != b"PK\6\6":
        raise _damaged("its end")
    return at, disk, first, here, count, size, begin


def _entries(directory: bytes, count: int, file: BinaryIO, begin: int) -> Iterator[Member | None]:
    at = 0
    for number in range(1, count + 1):
        (signature, _, _, flags, method, _, _, crc, packed, size, named, extra, noted, disk, _, attributes, offset) = (
            _CENTRAL.unpack_from(directory, at)
        )  # fmt: skip
        at += _CENTRAL.size
        raw = directory[at : at + named]
        more = directory[at + named : at + named + extra]
        at += named + extra + noted
        if signature != b"PK\1\2" or at > len(directory) or disk not in (0, _FULL16):
            raise _damaged("its list of members")
        size, packed, offset = _wide(more, size, packed, offset)
        name = _name(raw, flags)
        _demand_safe(name, number, attributes >> 16)
        if name.endswith("/"):
            yield None
            continue
        if flags & _ENCRYPTED or method == 99:
            raise Refused("压缩包有密码,请去掉密码后重发", "the archive has a password: send it without one")
        if method not in (_STORED, _DEFLATED):
            raise Refused(
                "压缩方式不常见,请用普通 ZIP 重新压缩",
                "an unusual compression: pack it again as an ordinary zip",
            )
        if method == _STORED and packed != size:
            raise _damaged(f"member {number}")
        yield Member(
            number, name, method, crc, packed, size, _start(file, offset, begin, raw, method, number)
        )
    if at != len(directory):
        raise _damaged("its list of members")


def _wide(more: bytes, *values: int) -> Sequence[int]:
    """Sizes past 4 GiB stand in the extra field 1, in order, for those that say 0xFFFFFFFF."""
    out, at = list(values), 0
    while at + 4 <= len(more):
        kind, length = struct.unpack_from("<2H", more, at)
        if kind == 1:
            inner = at + 4
            for place, value in enumerate(out):
                if value == _FULL32:
                    (out[place],) = struct.unpack_from("<Q", more, inner)
                    inner += 8
            break
        at += 4 + length
    return out


def _start(file: BinaryIO, offset: int, begin: int, raw: bytes, method: int, number: int) -> int:
    """Where a member's bytes begin. Raises Refused when its own header says otherwise than the list."""
    if offset + _LOCAL.size > begin:
        raise _damaged(f"member {number}")
    file.seek(offset)
    signature, _, flags, own, *_, named, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    if signature != b"PK\3\4" or file.read(named) != raw or own != method or flags & _ENCRYPTED:
        raise _damaged(f"member {number}")
    return offset + _LOCAL.size + int(named) + int(extra)


def _name(raw: bytes, flags: int) -> str:
    """A member's name with / between its parts; without the UTF-8 flag, Chinese systems write GBK."""
    if flags & _UTF8:
        return raw.decode("utf-8", errors="replace").replace("\\", "/")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding).replace("\\", "/")
        except UnicodeDecodeError:
            continue
    return raw.decode("cp437").replace("\\", "/")


def _demand_safe(name: str, number: int, mode: int) -> None:
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "\0" in name or name[1:2] == ":":
        raise Refused(
            f"压缩包内第 {number} 个文件名指向包外", f"the name of member {number} leads out of the archive"
        )
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(
            f"压缩包内第 {number} 个是链接或设备,不是文件",
            f"member {number} of the archive is a link or a device, not a file",
        )


def _litter(name: str) -> bool:
    lower = name.lower()
    return lower.startswith(_LITTER[0]) or PurePosixPath(lower).name.startswith(_LITTER[1:])


def _suffix(name: str) -> str:
    suffix = PurePosixPath(name.lower()).suffix
    return suffix if suffix in _SUFFIXES else ""


def _demand_no_document(names: Set[str]) -> None:
    """Raises Refused for the zips that office programs save: unpacked, they are XML that no contract fits."""
    if {"mimetype", "content.xml"} <= names:
        raise Refused(
            "OpenDocument 文件(.ods 等):请另存为 .xlsx", "an OpenDocument file (.ods): save it as .xlsx"
        )
    if any(name.startswith(("word/", "ppt/")) for name in names):
        raise Refused("Office 文档,不是工作簿", "a document of an office program, not a workbook")


def _demand_no_archive(part: Path, number: int) -> None:
    with part.open("rb") as file:
        head = file.read(512)
    nested = head.startswith(_NESTED) or head[257:262] == b"ustar"
    if nested or (head.startswith(b"PK\3\4") and not is_workbook(part)):
        raise Refused(
            f"压缩包内第 {number} 个文件又是压缩包", f"member {number} of the archive is an archive itself"
        )


def _damaged(what: str) -> Refused:
    return Refused("压缩包不完整或已损坏", f"a damaged or cut-off archive ({what})")


def _too_many() -> Refused:
    return Refused(
        f"压缩包内文件过多(最多 {MAX_MEMBERS} 个)", f"too many files in the archive (at most {MAX_MEMBERS})"
    )


def _too_large() -> Refused:
    return Refused(
        f"压缩包展开后过大(上限 {MAX_UNPACKED >> 30} GiB 或 {MAX_RATIO} 倍)",
        f"the archive unpacks to too much (at most {MAX_UNPACKED >> 30} GiB or {MAX_RATIO} times its size)",
    )
