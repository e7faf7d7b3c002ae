"""JSON: one object a record, either one a line (NDJSON) or all in one array.

A file is read in pieces and a record is forgotten once its mapped values are taken. Numbers stay as they are
written. A record that is no plain object is a broken record, not a broken file; a file that ends in the
middle of its array is a broken file.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

from pipelines.contract import Contract, heading
from pipelines.reading.headings import Refused, layout_of, no_headings
from pipelines.reading.raw import Cells
from warehouse.masking import mask

MAX_RECORD = 16 << 20
"""Characters of one record: more is no record but a file without an end of line."""
MAX_KEYS = 1_000
"""Different keys in one file: more are values that stand where keys should."""
MAX_DEPTH = 32
"""Objects and lists within a value."""
CHUNK = 1 << 20
_WHITE = re.compile(r"[ \t\n\r]*")
_HALF = re.compile("[\ud800-\udfff]")
_WHOLE_CHARACTERS = 8
"""So many Chinese characters in a row that are valid UTF-8 are no accident of GBK."""


class Number(str):
    """A number of a JSON text, as it is written there."""

    __slots__ = ()


def read_ndjson(path: Path, contract: Contract, cells: Cells) -> None:
    """One JSON object a line. Raises Refused when no line is one, or none of its keys is known."""
    records = _Records(contract)
    with _opened(path, contract.files.encoding) as text:
        decoder, number = _Decoder(), 0
        while line := text.readline(MAX_RECORD + 1):
            number += 1
            if len(line) > MAX_RECORD:
                raise _too_long(number)
            if not line.isspace():
                records.add(number, *decoder.line(line))
    records.into(cells)


def read_json(path: Path, contract: Contract, cells: Cells) -> None:
    """An array of objects, alone or as the only one within an object: `{"total": 2, "rows": [{…}, {…}]}`.

    Raises Refused: not JSON, cut off, no array of objects or several, none of their keys known.
    """
    records = _Records(contract)
    with _opened(path, contract.files.encoding) as text:
        scanner = _Scanner(text)
        arrays = _arrays(scanner, records, depth=0)
        if arrays > 1:
            raise Refused(
                "文件内有多个对象数组,不知取哪一个", "several arrays of objects: which one is meant?"
            )
        if scanner.peek():
            raise scanner.broken("text after its end")
    if not records.lines:
        raise Refused("没有对象数组,或数组为空", "no array of objects, or an empty one")
    records.into(cells)


def form_of(path: Path, encoding: str) -> Literal["json", "ndjson"]:
    """How a text that begins with { or [ is to be read: NDJSON when its first line is an object by itself
    that others follow, or that holds no array of objects. Raises Refused when it cannot be decoded."""
    decoder = _Decoder()
    with _opened(path, encoding) as text:
        line = "\n"
        while line.isspace():
            line = text.readline(CHUNK)
        record, problem = decoder.line(line)
        if problem or not isinstance(record, dict):
            # Broken lines among whole ones: a second line that is an object tells NDJSON from a broken JSON.
            second, problem = decoder.line(text.readline(CHUNK))
            return "ndjson" if line.startswith("{") and not problem and isinstance(second, dict) else "json"
        rest = text.read(CHUNK)
    return "ndjson" if rest.strip() or not _holds_records(record) else "json"


class _Records:
    """The mapped values of a file's records, a column a key. What a broken record holds is not kept."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.wanted = frozenset[str]().union(*contract.wanted.values()) - contract.blocked
        self.keys: dict[str, str] = {}
        self.lines: list[int] = []
        self.faults: dict[int, tuple[str, str]] = {}
        self.columns: dict[str, list[str | None]] = {}

    def add(self, line: int, record: Any, problem: str) -> None:
        row: dict[str, str | None] = {}
        if not problem and isinstance(record, dict):
            try:
                row = self._row(record)
            except ValueError as error:
                problem = str(error)
        elif not problem:
            problem = "not an object"
        if problem:
            self.faults[len(self.lines)] = ("json", f"({problem})")
            row = {}
        for name, column in self.columns.items():
            column.append(row.get(name))
        self.lines.append(line)

    def _row(self, record: Mapping[str, Any]) -> dict[str, str | None]:
        """Heading → text. Of two keys that are one heading, the first wins. Raises ValueError."""
        row: dict[str, str | None] = {}
        for key, value in record.items():
            name = self.keys.get(key)
            if name is None:
                if len(self.keys) == MAX_KEYS:
                    raise Refused(f"不同的键超过 {MAX_KEYS} 个", f"more than {MAX_KEYS} different keys")
                name = self.keys[key] = heading(key)
                if name in self.wanted:
                    self.columns.setdefault(name, [None] * len(self.lines))
            if name in self.wanted and name not in row:
                row[name] = _text(value)
        return row

    def into(self, cells: Cells) -> None:
        if not self.lines:
            raise Refused("没有记录", "empty file: no records")
        if len(self.faults) == len(self.lines):
            raise Refused("没有一条是 JSON 对象", "no line is a JSON object")
        # Where values stand in the place of keys, keys may hold what no log should.
        layout = layout_of([mask(key) for key in self.keys], self.contract, merge=True)
        feedable = sum(1 for rule in self.contract.fields.values() if rule.headings)
        if len(layout.sources) < min(2, feedable):
            raise no_headings(self.contract)
        for row, fault in self.faults.items():
            cells.faults[cells.rows + row] = fault
        none: list[str | None] = [None] * len(self.lines)
        cells.add(layout, self.lines, {name: self.columns.get(name, none) for name, _ in layout.used()})


class _Scanner:
    """A JSON text read value by value."""

    def __init__(self, text: TextIO) -> None:
        self.text, self.buffer, self.at = text, "", 0
        self.decoder = _Decoder()
        self.line, self.counted = 1, 0
        """The line of the character at `counted` of the buffer."""

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            white = _WHITE.match(self.buffer, self.at)
            self.at = white.end() if white else self.at
            if self.at < len(self.buffer) or not self._more(CHUNK):
                return self.buffer[self.at : self.at + 1]

    def take(self, expected: str) -> str:
        """The next character, which must be one of those expected."""
        found = self.peek()
        if not found or found not in expected:
            raise self.broken("cut off" if not found else f"no {' or '.join(expected)} where one must be")
        self.at += 1
        return found

    def value(self) -> tuple[int, Any, str]:
        """(line, value, problem) of the whole value that follows. Raises Refused."""
        self.peek()
        while True:
            try:
                found, end, problem = self.decoder.value(self.buffer, self.at)
            except json.JSONDecodeError as error:
                if len(self.buffer) - self.at > MAX_RECORD:
                    raise self.broken(f"a record longer than {MAX_RECORD >> 20} MiB, or not JSON") from error
                if not self._more(max(CHUNK, len(self.buffer) - self.at)):
                    raise self.broken(error.msg) from error
                continue
            except RecursionError as error:
                raise self.broken("nested too deeply") from error
            # A number at the end of the buffer may go on.
            if end < len(self.buffer) or not self._more(CHUNK):
                line = self.here()
                self.at = end
                return line, found, problem

    def here(self) -> int:
        """The line of the next character."""
        self.line += self.buffer.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line

    def broken(self, what: str) -> Refused:
        line = self.here()
        return Refused(f"第 {line} 行起不是完整的 JSON", f"not a whole JSON text from line {line} on: {what}")

    def _more(self, size: int) -> bool:
        chunk = self.text.read(size)
        if chunk:
            self.here()
            self.buffer, self.at, self.counted = self.buffer[self.at :] + chunk, 0, 0
        return bool(chunk)


def _arrays(scanner: _Scanner, records: _Records, depth: int) -> int:
    """Go through the array or object that follows, its objects within too; how many arrays of objects."""
    if depth == MAX_DEPTH:
        raise scanner.broken("nested too deeply")
    if scanner.take("[{") == "[":
        if scanner.peek() == "]":
            scanner.take("]")
            return 0
        many = scanner.peek() == "{"
        while True:
            line, value, problem = scanner.value()
            if many or depth == 0:
                records.add(line, value, problem)
            if scanner.take(",]") == "]":
                return int(many)
    if scanner.peek() == "}":
        scanner.take("}")
        return 0
    found = 0
    while True:
        _, key, _ = scanner.value()
        if not isinstance(key, str):
            raise scanner.broken("a key that is no text")
        scanner.take(":")
        if scanner.peek() in ("[", "{"):
            found += _arrays(scanner, records, depth + 1)
        else:
            scanner.value()
        if found > 1 or scanner.take(",}") == "}":
            return found


def _holds_records(value: Any) -> bool:
    """Whether an object holds, at any depth, a list that begins with an object."""
    if isinstance(value, dict):
        return any(_holds_records(inner) for inner in value.values())
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


class _Decoder:
    """JSON → values, numbers as written. What the standard library allows and JSON does not is a problem."""

    def __init__(self) -> None:
        self.problem = ""
        self.json = json.JSONDecoder(
            parse_float=Number,
            parse_int=Number,
            parse_constant=self._constant,
            object_pairs_hook=self._object,
        )

    def line(self, line: str) -> tuple[Any, str]:
        """(value, "") of a line, or (None, what is wrong with it), never quoting it."""
        self.problem = ""
        try:
            value = self.json.decode(line)
        except json.JSONDecodeError as error:
            return None, f"{len(line.strip())} characters: {error.msg}"
        except RecursionError:
            return None, f"{len(line.strip())} characters: nested too deeply"
        return value, self.problem

    def value(self, text: str, at: int) -> tuple[Any, int, str]:
        """(value, where it ends, problem) of the value at `at`. Raises JSONDecodeError, RecursionError."""
        self.problem = ""
        value, end = self.json.raw_decode(text, at)
        return value, end, self.problem

    def _constant(self, _: str) -> None:
        self.problem = "NaN or Infinity is no number"

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self.problem = "a key twice in one object"
        return found


def _text(value: Any) -> str | None:
    """A value as text: objects and lists as JSON. Raises ValueError: too deep, half a character."""
    if value is None:
        return None
    text = value if isinstance(value, str) else _written(value, 0)
    if not text.isascii() and _HALF.search(text):
        raise ValueError("half of a character pair")
    return str(text)


def _written(value: Any, depth: int) -> str:
    """A value as JSON, its numbers as they were."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        inner = (f"{json.dumps(k, ensure_ascii=False)}: {_written(v, depth + 1)}" for k, v in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_written(v, depth + 1) for v in value) + "]"
    return value if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[TextIO]:
    """The file as text, every kind of line end as \\n. Raises Refused where it cannot be decoded."""
    with path.open("rb") as file:
        name = _encoding(file, encoding)
        file.seek(0)
        try:
            yield io.TextIOWrapper(file, encoding=name, newline=None)
        except UnicodeError as error:
            raise Refused(f"无法按 {name} 解码", f"not decodable as {name}") from error


def _encoding(file: io.BufferedIOBase | Any, stated: str) -> str:
    """As the byte order mark says; else as stated; else by the zeros of UTF-16, UTF-8, GB18030 in turn."""
    head = file.read(4)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.startswith(codecs.BOM_UTF8) or stated == "utf-8":
        return "utf-8-sig"
    if b"\0" in head:
        return "utf-16-be" if head[:1] == b"\0" else "utf-16-le"
    if stated != "auto":
        return stated
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    whole = 0
    try:
        while chunk := file.read(CHUNK):
            text = decoder.decode(chunk)
            whole += len(text.encode()) - len(text)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", errors="ignore")
        chinese = whole + len(before.encode()) - len(before)
        return "utf-8" if chinese >= 2 * _WHOLE_CHARACTERS else "gb18030"
    return "utf-8"


def _too_long(line: int) -> Refused:
    return Refused(
        f"第 {line} 行超过 {MAX_RECORD >> 20} MiB", f"line {line} is longer than {MAX_RECORD >> 20} MiB"
    )
