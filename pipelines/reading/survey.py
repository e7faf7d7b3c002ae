"""The physical records of a CSV text, counted independently of whoever reads them.

Only line ends, quotes and delimiters are looked at, a block at a time. A record is a line that is not empty;
a line end between quotes ends none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.reading.decoding import blocks

RECORD_WIDTH = 4
"""From so many columns on, a line inside a quoted cell that splits like a record is taken for a record."""

EXCESS = 1000
"""So many cells too many make a record irregular: DuckDB would write one reject for each, with the whole line."""

_LF, _CR, _QUOTE = 10, 13, 34
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """What stands in a text. `records`: those that are not blank. `regular`: quotes stand only around whole
    cells, are doubled within, no cell looks as if it had swallowed records, and no record has far too many. `even`: every record is one
    line and none is blank. `ends`: how records end (`mixed`: not all alike, or not as within the cells)."""

    records: int
    regular: bool
    even: bool
    ends: str


@dataclass
class _Lines:
    """A block's lines: where each begins and ends, whether it begins and ends between quotes."""

    begin: Positions
    end: Positions
    opens_inside: npt.NDArray[np.bool_]
    closes_inside: npt.NDArray[np.bool_]
    blank: npt.NDArray[np.bool_]
    returns: Positions
    """Of each \\r that is half of a \\r\\n."""
    lone: Positions
    regular: bool


def survey(file: BinaryIO, start: int, delimiter: str, width: int) -> Survey:
    """Look through the text from byte `start` on, of records of `width` cells."""
    records = 0
    regular = even = True
    outer: set[str] = set()
    inner: set[str] = set()
    inside = False
    for _, _, lines in _lines(file, start, ord(delimiter), width):
        ends_record = ~lines.closes_inside
        records += int(np.count_nonzero(~lines.opens_inside & ~lines.blank))
        regular = regular and lines.regular
        even = even and bool(ends_record.all()) and not bool(lines.blank.any())
        _styles(lines, ends_record, outer)
        _styles(lines, lines.closes_inside, inner)
        inside = bool(lines.closes_inside[-1])
    both = outer | inner
    ends = next(iter(outer), "\n") if len(outer) < 2 else "mixed"
    # A reader told of \n alone leaves every \r within cells as it is; one of \r\n needs the same within.
    if ends == "\r" or (ends == "\r\n" and len(both) > 1):
        ends = "mixed"
    return Survey(records, regular and not inside, even, ends)


def starts(file: BinaryIO, start: int, delimiter: str, line: int) -> tuple[Positions, Positions]:
    """(byte at which each record begins, its first line); byte `start` begins line `line`."""
    at: list[Positions] = []
    numbers: list[Positions] = []
    for offset, _, lines in _lines(file, start, ord(delimiter), 0):
        begins = ~lines.opens_inside & ~lines.blank
        at.append(lines.begin[begins] + offset)
        numbers.append(np.flatnonzero(begins).astype(np.int64) + line)
        line += len(lines.begin)
    none = np.empty(0, np.int64)
    return np.concatenate([none, *at]), np.concatenate([none, *numbers])


def straighten(file: BinaryIO, start: int, delimiter: str, copy: BinaryIO) -> None:
    """Write the text from `start` on with \\n after every record; cells keep their own line ends."""
    for _, block, lines in _lines(file, start, ord(delimiter), 0):
        outside = _outside(lines, lines.returns)
        lone = lines.lone[_outside(lines, lines.lone)]
        straight = block.copy()
        straight[lone] = _LF
        straight = np.delete(straight, lines.returns[outside])
        data = memoryview(straight.data)
        while data:
            data = data[copy.write(data) :]


def _outside(lines: _Lines, at: Positions) -> npt.NDArray[np.bool_]:
    """Which of the line ends `at` end a record."""
    return ~lines.closes_inside[np.searchsorted(lines.end, at)]


def _styles(lines: _Lines, chosen: npt.NDArray[np.bool_], found: set[str]) -> None:
    some = int(np.count_nonzero(chosen))
    if not some:
        return
    of_two = int(np.count_nonzero(chosen[np.searchsorted(lines.end, lines.returns)]))
    of_one = int(np.count_nonzero(chosen[np.searchsorted(lines.end, lines.lone)]))
    if of_two:
        found.add("\r\n")
    if of_one:
        found.add("\r")
    if some > of_two + of_one:
        found.add("\n")


def _lines(
    file: BinaryIO, start: int, delimiter: int, width: int
) -> Iterator[tuple[int, npt.NDArray[np.uint8], _Lines]]:
    """(offset, bytes, lines) of each block."""
    inside = False
    for offset, buffer, used in blocks(file, start):
        block: npt.NDArray[np.uint8] = np.frombuffer(buffer, np.uint8, used)
        end = np.flatnonzero(block == _LF)
        returns = lone = np.empty(0, np.int64)
        if buffer.find(b"\r", 0, used) >= 0:
            carriage = np.flatnonzero(block == _CR)
            paired = np.append(block[1:], 0)[carriage] == _LF
            returns, lone = carriage[paired], carriage[~paired]
            if lone.size:
                end = np.sort(np.concatenate([end, lone]))
        begin = np.concatenate([[0], end[:-1] + 1])
        length = end - begin
        if returns.size:
            length[np.searchsorted(end, returns)] -= 1
        closes = np.zeros(len(end), np.bool_)
        regular = True
        if buffer.find(b'"', 0, used) >= 0:
            quotes = np.flatnonzero(block == _QUOTE)
            regular = _regular(block, quotes, delimiter, inside)
            closes = ((np.searchsorted(quotes, end) + inside) & 1).astype(np.bool_)
        elif inside:
            closes[:] = True
        opens = np.concatenate([[inside], closes[:-1]])
        swallowing = width >= RECORD_WIDTH and bool(closes.any())
        long = length > width + EXCESS
        if width and (swallowing or long.any()):
            delimiters = np.diff(np.searchsorted(np.flatnonzero(block == delimiter), np.append(begin, used)))
            regular = regular and not bool((long & (delimiters > width + EXCESS)).any())
            if swallowing:
                regular = regular and not bool((opens & closes & (delimiters == width - 1)).any())
        inside = bool(closes[-1])
        blank = (length == 0) & ~opens & ~closes
        yield offset, block, _Lines(begin, end, opens, closes, blank, returns, lone, regular)
        # A view keeps the buffer from being used again.
        del block


def _regular(block: npt.NDArray[np.uint8], quotes: Positions, delimiter: int, inside: bool) -> bool:
    """True when each quote that opens follows a delimiter or a line end, each that closes precedes one, or
    two stand together within a cell."""
    beside = np.zeros(256, np.bool_)
    beside[[delimiter, _LF, _CR, _QUOTE]] = True
    opening, closing = quotes[int(inside) :: 2], quotes[1 - int(inside) :: 2]
    # A block begins after a line end and ends with one.
    before = block[opening[opening > 0] - 1]
    return bool(beside[before].all()) and bool(beside[block[closing + 1]].all())
