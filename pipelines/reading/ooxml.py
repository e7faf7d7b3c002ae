"""XLSX: what a workbook's zip may hold, checked before anything parses it.

The reader of cells (calamine) never sees the file itself. It gets a new, uncompressed workbook of the parts
that hold cells, each of them unpacked within limits, well-formed, in UTF-8 and without a document type: no
entity is ever declared, so none can be expanded or fetched. Macros, pictures and links to other files are
not among those parts.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from pipelines.reading.archives import HARMLESS, MAX_RATIO, Member, content, members
from pipelines.reading.headings import Refused

MAX_XML = 512 << 20
"""Bytes of the parts that hold cells, unpacked: about a million rows of 13 columns."""
MAX_CELLS = 10_000_000
"""Rows times columns of all sheets together: calamine holds the empty cells between the others too."""
MAX_SHEETS = 256
MAX_ROW, MAX_COLUMN = 1 << 20, 1 << 14
"""The format's own limits."""

Odd = Literal["formula", "error"]
"""A cell without a value of its own: a formula that was never calculated, or one that came to an error."""

_PIECE = 1 << 20
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_ERROR_SIGNS = (b'="e"', b"='e'", b"= ")
_NAME_ENDS = np.isin(np.arange(256), list(b" \t\r\n/>"))
_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@dataclass
class Facts:
    """What a sheet's own records say and its cells, once read, no longer show.

    `odd`: (row, column), both from 0 → why the cell there has no value.
    """

    rows: int = 0
    columns: int = 0
    odd: dict[tuple[int, int], Odd] = field(default_factory=dict)

    def reach(self, row: int, column: int) -> None:
        """Take in that a cell there has a value. Raises Refused: past the format's limits."""
        if not (0 <= row < MAX_ROW and 0 <= column < MAX_COLUMN):
            raise too_large()
        self.rows, self.columns = max(self.rows, row + 1), max(self.columns, column + 1)


@dataclass(frozen=True)
class Workbook:
    """A workbook that is safe to parse: `file` holds the sheets of `facts`, in their order, and no more."""

    file: BinaryIO
    facts: tuple[Facts, ...]
    from_1904: bool


def opened(path: Path) -> Workbook:
    """Check a workbook and copy what holds cells. Raises Refused."""
    with path.open("rb") as file:
        parts = {member.name.casefold(): member for member in members(file)}
        reader = _Parts(file, parts)
        book = _Book()
        home = reader.main()
        reader.parse(home, book.element)
        links = reader.links(home)
        # A chart has a sheet of its own too; it has no cells.
        sheets = [links[key][1] for key in book.sheets if key in links and links[key][0] == "worksheet"]
        if not sheets or len(sheets) > MAX_SHEETS or len(set(sheets)) < len(sheets):
            raise _not_a_workbook(f"{len(sheets)} sheets")
        extras = {kind: target for kind, target in links.values() if kind in ("sharedStrings", "styles")}
        reader.demand_small([*sheets, *extras.values()])
        out = io.BytesIO()
        facts: list[Facts] = []
        room = MAX_CELLS
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as clean:
            for name, frame in _frame(len(sheets), extras, book.from_1904).items():
                clean.writestr(name, frame)
            for kind, target in extras.items():
                text = reader.text(target)
                _demand_true_counts(text)
                clean.writestr(f"xl/{kind}.xml", text)
            for number, target in enumerate(sheets, start=1):
                text = reader.text(target)
                facts.append(_survey(text, book.uncalculated, room))
                room -= facts[-1].rows * facts[-1].columns
                clean.writestr(f"xl/worksheets/sheet{number}.xml", text)
    out.seek(0)
    return Workbook(out, tuple(facts), book.from_1904)


def too_large() -> Refused:
    return Refused(
        f"工作簿过大(上限 {MAX_CELLS:,} 个单元格、{MAX_XML >> 20} MiB):请分成几个文件,或导出为 CSV",
        f"the workbook is too large (at most {MAX_CELLS:,} cells, {MAX_XML >> 20} MiB): split it, or send CSV",
    )


def _not_a_workbook(what: str) -> Refused:
    return Refused("无法读取的工作簿", f"not a readable workbook: {what}")


@dataclass
class _Book:
    """What xl/workbook.xml says: its sheets, by their link, and how its numbers are to be taken.

    `uncalculated`: it asks to be calculated when opened, so a formula's 0 is only a place held.
    """

    sheets: list[str] = field(default_factory=list)
    from_1904: bool = False
    uncalculated: bool = False

    def element(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            self.sheets += [value for key, value in attributes.items() if key.rpartition(":")[2] == "id"]
        elif name == "workbookPr":
            self.from_1904 = attributes.get("date1904") in ("1", "true")
        elif name == "calcPr":
            self.uncalculated = attributes.get("fullCalcOnLoad") in ("1", "true")


class _Parts:
    """The parts of a workbook's zip."""

    def __init__(self, file: BinaryIO, parts: Mapping[str, Member]) -> None:
        self.file, self.parts = file, parts

    def main(self) -> str:
        """The name of the part that lists the sheets."""
        if "_rels/.rels" in self.parts:
            for kind, target in self.links("").values():
                if kind == "officeDocument":
                    if target.endswith(".bin"):
                        raise Refused(
                            "二进制工作簿(.xlsb):请另存为 .xlsx",
                            "a binary workbook (.xlsb): save it as .xlsx",
                        )
                    return target
        return "xl/workbook.xml"

    def links(self, part: str) -> dict[str, tuple[str, str]]:
        """Link → (its kind, the part it leads to). Links out of the workbook are left out."""
        folder, name = posixpath.split(part)
        found: dict[str, tuple[str, str]] = {}

        def element(tag: str, attributes: Mapping[str, str]) -> None:
            if tag == "Relationship" and attributes.get("TargetMode") != "External":
                target = attributes.get("Target", "").replace("\\", "/")
                target = posixpath.normpath(posixpath.join("/" + folder, target)).lstrip("/")
                kind = attributes.get("Type", "").rpartition("/")[2]
                found[attributes.get("Id", str(len(found)))] = kind, target

        self.parse(posixpath.join(folder, "_rels", name + ".rels"), element)
        return found

    def parse(self, name: str, element: Callable[[str, Mapping[str, str]], None]) -> None:
        """Call `element` with the local name and attributes of each element of a small part."""
        self.demand_small([name])

        def start(tag: str, attributes: dict[str, str]) -> None:
            element(tag.rpartition(":")[2], attributes)

        _parser(start).Parse(self.text(name), True)

    def demand_small(self, names: list[str]) -> None:
        """Raises Refused when the parts unpack, or say they do, to more than a workbook may."""
        found = [self.member(name) for name in names]
        size, packed = sum(part.size for part in found), sum(part.packed for part in found)
        if size > MAX_XML or (size > HARMLESS and size > packed * MAX_RATIO):
            raise too_large()

    def text(self, name: str) -> bytes:
        """A part's XML, proven to be well-formed, in UTF-8 and without a document type."""
        text = b"".join(content(self.file, self.member(name)))
        try:
            _parser().Parse(text, True)
        except expat.ExpatError as error:
            raise _not_a_workbook(f"{expat.errors.messages[error.code]} in its XML") from error
        return text

    def member(self, name: str) -> Member:
        try:
            return self.parts[name.casefold()]
        except KeyError:
            raise _not_a_workbook("a part is missing") from None


def _demand_true_counts(text: bytes) -> None:
    """The reader makes room for as many words as a list says it holds. Raises Refused: more than it can."""
    parser = _parser()

    def root(_: str, attributes: dict[str, str]) -> None:
        parser.StartElementHandler = None
        for name in ("count", "uniqueCount"):
            said = attributes.get(name, "0")
            if not (said.isascii() and said.isdigit() and int(said) <= len(text)):
                raise _not_a_workbook("its list of words is not as long as it says")

    parser.StartElementHandler = root
    parser.Parse(text, True)


def _parser(start: Callable[[str, dict[str, str]], None] | None = None) -> expat.XMLParserType:
    def declared(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _UTF8:
            raise _not_a_workbook("its XML is not in UTF-8")

    def document_type(*_: object) -> None:
        raise Refused(
            "工作簿的 XML 中有实体声明,不予读取", "the workbook's XML declares a document type: never read"
        )

    parser = expat.ParserCreate("utf-8")
    parser.XmlDeclHandler = declared
    parser.StartDoctypeDeclHandler = document_type
    if start is not None:
        parser.StartElementHandler = start
    return parser


def _frame(sheets: int, extras: Mapping[str, str], from_1904: bool) -> dict[str, str]:
    """The parts around the sheets, written anew: nothing in them comes from the file but the date system."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    links = {f"s{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, sheets + 1)}
    links |= {kind: (kind, f"{kind}.xml") for kind in extras}
    listed = "".join(f'<sheet name="{n}" sheetId="{n}" r:id="s{n}"/>' for n in range(1, sheets + 1))
    related = "".join(
        f'<Relationship Id="{key}" Type="{office}/{kind}" Target={quoteattr(target)}/>'
        for key, (kind, target) in links.items()
    )
    return {
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="b" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{related}</Relationships>',
        "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        f'xmlns:r="{office}"><workbookPr date1904="{int(from_1904)}"/><sheets>{listed}</sheets></workbook>',
    }


def _survey(text: bytes, uncalculated: bool, room: int) -> Facts:
    """How far a sheet's cells reach and which of them have no value. Raises Refused: more than `room` cells."""
    facts = Facts() if any(sign in text for sign in _ERROR_SIGNS) else _survey_quickly(text)
    if facts is None or not facts.rows or facts.rows * facts.columns > room:
        facts = _Survey(uncalculated).of(text)
    if facts.rows * facts.columns > room:
        raise too_large()
    return facts


def _survey_quickly(text: bytes) -> Facts | None:
    """How far a sheet reaches, cells with a format only included; None where it takes a closer look: formulas,
    or cells not written as every common program writes them, `<c r="B7"`."""
    facts = Facts()
    for piece in _pieces(text):
        code = np.frombuffer(piece + bytes(16), np.uint8)
        if len(_elements(code, b"f")):
            return None
        at = _elements(code, b"c")
        if not len(at):
            continue
        if not all(bool((code[at + place] == byte).all()) for place, byte in enumerate(b' r="', start=1)):
            return None
        at = at + 5
        column, at = _digits(code, at, 3, base=26, first=ord("A"), zero=ord("A") - 1)
        row, at = _digits(code, at, 7, base=10, first=ord("0"), zero=ord("0"))
        if not (code[at] == ord('"')).all() or not column.all() or not row.all():
            return None
        facts.reach(int(row.max()) - 1, int(column.max()) - 1)
    return facts


def _elements(code: _Bytes, name: bytes) -> _Places:
    """Where the elements of a name of one letter begin, with a prefix or without: the place of the letter."""
    at: _Places = np.flatnonzero(code[1:-16] == name[0]) + 1
    before = code[at - 1]
    found: _Places = at[((before == ord("<")) | (before == ord(":"))) & _NAME_ENDS[code[at + 1]]]
    return found


def _digits(
    code: _Bytes, at: _Places, most: int, base: int, first: int, zero: int
) -> tuple[_Places, _Places]:
    """(numbers, where they end) of the digits that stand at each place: at most so many, `base` of them."""
    number = np.zeros(len(at), np.int64)
    for _ in range(most):
        digit = code[at].astype(np.int64)
        is_one = (digit >= first) & (digit < first + base)
        number = np.where(is_one, number * base + digit - zero, number)
        at = at + is_one
    return number, at


class _Survey:
    """The same, element by element, cells with a format only left out."""

    def __init__(self, uncalculated: bool) -> None:
        self.uncalculated = uncalculated
        self.facts = Facts()
        self.row, self.column = -1, -1
        self.kind: str | None = None
        self.value: str | None = None
        self.formula = self.filled = self.within = False

    def of(self, text: bytes) -> Facts:
        parser = _parser(self._start)
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.buffer_text = True
        parser.Parse(text, True)
        return self.facts

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "v":
            self.within, self.value, self.filled = True, "", True
        elif name == "c":
            place = attributes.get("r")
            if place is None:
                self.column += 1
            else:
                self.column, self.row = _place(place)
            self.kind, self.value, self.formula, self.filled = attributes.get("t"), None, False, False
        elif name == "row":
            place = attributes.get("r")
            self.row, self.column = self.row + 1 if place is None else _number(place) - 1, -1
        elif name == "f":
            self.formula = True
        elif name == "is":
            self.filled = True

    def _characters(self, text: str) -> None:
        if self.within:
            self.value = (self.value or "") + text

    def _end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name == "v":
            self.within = False
        elif name == "c":
            if self.kind == "e":
                self.facts.odd[self.row, self.column] = "error"
            elif self.formula and self._is_uncalculated():
                self.facts.odd[self.row, self.column] = "formula"
            if self.filled or self.formula:
                self.facts.reach(self.row, self.column)

    def _is_uncalculated(self) -> bool:
        """An empty text is a result, and is written as such; else what is empty was never calculated."""
        if self.value is None:
            return True
        if not self.value.strip():
            return self.kind != "str"
        return self.uncalculated and self.kind in (None, "n") and self.value.strip() == "0"


def _pieces(text: bytes) -> Iterator[bytes]:
    """The text in pieces that begin and end between two tags."""
    at = 0
    while at < len(text):
        end = text.find(b"<", at + _PIECE)
        end = len(text) if end < 0 else end
        yield text[at:end]
        at = end


def _place(text: str) -> tuple[int, int]:
    """B7 → (1, 6). Raises Refused."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise _not_a_workbook("a cell without a place")
    return _column(match[1]), int(match[2]) - 1


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise _not_a_workbook("a row without a number")
    return int(text)


def _column(letters: str) -> int:
    """A → 0, Z → 25, AA → 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
