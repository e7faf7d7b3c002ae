"""Text that our fonts can print: under PDF/UA a missing glyph is an error, so none may reach the typesetter."""

from __future__ import annotations

import functools
import re
import struct
import unicodedata
from pathlib import Path

FONTS = Path(__file__).parent.parent / "fonts"
SLACK = 24
"""Letters in a row after which a word may be broken anywhere (an address, a key, a runaway name)."""
ZERO_WIDTH_SPACE = "\u200b"

_LONG_WORD = re.compile(rf"[^\s\u2e80-\U0010ffff]{{{SLACK + 1},}}")


def printable(text: str) -> str:
    """`text` composed (NFC), on one line, with `〓[U+XXXX]` for what the fonts lack or what is a control
    character. Zero-width characters have no printed form and are dropped; over-long words may be broken."""
    covered = coverage()
    out: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        if ord(char) in covered:
            out.append(char)
        elif char.isspace():
            out.append(" ")
        elif unicodedata.category(char) != "Cf":
            out.append(f"〓[U+{ord(char):04X}]")
    return _LONG_WORD.sub(_breakable, re.sub(" {2,}", " ", "".join(out)).strip())


def shortened(text: str, limit: int) -> str:
    """At most `limit` wide, a Chinese character counting two; ends in "…" where something was left out."""
    text = " ".join(text.split())
    width = 0
    for at, char in enumerate(text):
        width += 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
        if width > limit:
            return text[: max(0, at - 1)].rstrip() + "…"
    return text


@functools.cache
def coverage() -> frozenset[int]:
    """Code points that every weight of our fonts can draw, without controls and zero-width characters."""
    fonts = sorted(FONTS.glob("*.ttf"))
    common = frozenset.intersection(*(_code_points(path.read_bytes()) for path in fonts))
    return frozenset(
        code for code in common if code == 0x20 or unicodedata.category(chr(code))[0] not in ("C", "Z")
    )


def _breakable(found: re.Match[str]) -> str:
    word = found.group()
    return ZERO_WIDTH_SPACE.join(word[i : i + SLACK] for i in range(0, len(word), SLACK))


def _code_points(font: bytes) -> frozenset[int]:
    """The code points of a TrueType font's `cmap` (subtable formats 4 and 12; OpenType 1.9, "cmap")."""
    (tables,) = struct.unpack_from(">H", font, 4)
    start = next(
        offset
        for tag, _, offset, _ in struct.iter_unpack(">4sIII", font[12 : 12 + 16 * tables])
        if tag == b"cmap"
    )
    (count,) = struct.unpack_from(">H", font, start + 2)
    codes: set[int] = set()
    for _, _, offset in struct.iter_unpack(">HHI", font[start + 4 : start + 4 + 8 * count]):
        at = start + offset
        (kind,) = struct.unpack_from(">H", font, at)
        if kind == 12:
            (groups,) = struct.unpack_from(">I", font, at + 12)
            for low, high, glyph in struct.iter_unpack(">III", font[at + 16 : at + 16 + 12 * groups]):
                codes.update(range(low + (glyph == 0), high + 1))
        elif kind == 4:
            codes.update(_segments(font, at))
    return frozenset(codes)


def _segments(font: bytes, at: int) -> set[int]:
    """Code points of a format 4 subtable: segments with a delta, or with an offset into a glyph list."""
    (double,) = struct.unpack_from(">H", font, at + 6)
    form = f">{double // 2}H"
    ends = struct.unpack_from(form, font, at + 14)
    starts = struct.unpack_from(form, font, at + 16 + double)
    deltas = struct.unpack_from(form, font, at + 16 + 2 * double)
    ranges_at = at + 16 + 3 * double
    ranges = struct.unpack_from(form, font, ranges_at)
    codes: set[int] = set()
    for i, (low, high, delta, offset) in enumerate(zip(starts, ends, deltas, ranges, strict=True)):
        for code in range(low, min(high, 0xFFFE) + 1):
            glyph = (code + delta) & 0xFFFF
            if offset:
                (glyph,) = struct.unpack_from(">H", font, ranges_at + 2 * i + offset + 2 * (code - low))
            if glyph:
                codes.add(code)
    return codes
