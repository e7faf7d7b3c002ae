"""Nasty files: one small generator a kind, the ending each must come to, and a mutator for fuzzing.

`python -m tests.nasty FOLDER` loads the whole corpus into a fresh site in FOLDER, under a limit of memory, and
prints what became of each file as JSON: the tests run it as a process of its own, for a file that kills
its reader must not kill the test.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import resource
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
import xlwt

from pipelines.check import check
from pipelines.contract import Contract
from pipelines.reading import Refused, biff, read
from pipelines.run import load
from warehouse.site import load_site

MEMORY = 4 << 30
"""Bytes of address space that loading the whole corpus may take."""
SECRET = "x9q7zJ-never-to-be-seen"
"""Stands in a file outside the site; nothing of the site may hold it."""
SITE = 'name = { zh = "甲县", en = "Jia" }\nhome = "43"\n'
PLACES = "区划代码,上级代码,层级,名称,英文名称,更新时间\n43,,县,甲县,Jia,2024-01-01\n431,43,乡镇,乙镇,Yi,2024-01-01\n"
CONTRACT = """
base = "visits"
[files]
match = ["*visits*"]
format = "auto"
[fields.visit_id]
[fields.place]
[fields.household_key]
[fields.result]
[fields.visited_at]
[fields.updated_at]
"""
HEAD = ["走访编号", "所属网格", "户编号", "走访结果", "走访时间", "更新时间"]


def record(number: int) -> list[str]:
    """A record that is kept."""
    return [f"V{number}", "431", f"H{number}", "正常", "2024-05-01", "2024-05-02"]


def table(count: int = 3, delimiter: str = ",", end: str = "\n") -> str:
    return "".join(delimiter.join(row) + end for row in [HEAD, *map(record, range(1, count + 1))])


GOOD = table()

Ending = Literal["kept", "quarantined", "refused", "left alone"]


@dataclass(frozen=True)
class Nasty:
    """A file to be dropped into an inbox, and how its loading must end.

    `kept`: every record; `quarantined`: at least one; `refused`: the whole file, and `reason` is part of why;
    `left alone`: it stays where it is. `rows`: records read, where they are known.
    """

    kind: str
    name: str
    make: Callable[[Path], object]
    ends: Ending
    rows: int | None = None
    reason: str = ""


def text(content: str | bytes | Callable[[], bytes], encoding: str = "utf-8") -> Callable[[Path], object]:
    def make(path: Path) -> None:
        data = content() if callable(content) else content
        path.write_bytes(data.encode(encoding) if isinstance(data, str) else data)

    return make


# -- workbooks -----------------------------------------------------------------------------------------------

SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SHEET_HEAD = f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{SPREADSHEET}"><sheetData>'
SHEET_TAIL = "</sheetData></worksheet>"
SHEET = "xl/worksheets/sheet1.xml"


def workbook(count: int = 3, sheets: int = 1) -> bytes:
    """An XLSX whose first sheet holds good records."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.set_properties({"created": datetime(2024, 1, 1)})
    for number in range(sheets):
        sheet = book.add_worksheet()
        for at, row in enumerate([HEAD, *map(record, range(1, count + 1))] if number == 0 else ()):
            sheet.write_row(at, 0, row)
    book.close()
    return out.getvalue()


def rewritten(path: Path, parts: Mapping[str, str | bytes | None], source: bytes | None = None) -> Path:
    """A workbook with some parts replaced, added, or (None) taken out."""
    before = zipfile.ZipFile(io.BytesIO(source or workbook()))
    held = {name: before.read(name) for name in before.namelist()} | dict(parts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as after:
        for name, content in held.items():
            if content is not None:
                after.writestr(name, content)
    return path


def cells(*rows: str) -> str:
    return SHEET_HEAD + "".join(rows) + SHEET_TAIL


def strings(row: int, values: list[str]) -> str:
    """A row of texts written into the sheet itself."""
    inner = "".join(
        f'<c r="{chr(65 + at)}{row}" t="str"><v>{value}</v></c>' for at, value in enumerate(values)
    )
    return f'<row r="{row}">{inner}</row>'


SHEET_GOOD = strings(1, HEAD) + strings(2, record(1))
LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    + "".join(f'<!ENTITY {chr(99 + n)} "{f"&{chr(98 + n)};" * 10}">' for n in range(9))
    + "]>"
)


def with_sheet(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: rewritten(path, {SHEET: content})


def with_doctype(declared: str, word: str) -> Callable[[Path], object]:
    sheet = cells(SHEET_GOOD, strings(3, [word, *record(2)[1:]])).replace("?>", "?>" + declared, 1)
    return with_sheet(sheet)


def external_entity(path: Path) -> None:
    secret = outside(path)
    with_doctype(f'<!DOCTYPE a [<!ENTITY e SYSTEM "{secret.as_uri()}">]>', "&e;")(path)


def external_sheet(path: Path) -> None:
    """The sheet is said to lie in a file outside."""
    links = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="{outside(path).as_uri()}" TargetMode="External"/>'
        "</Relationships>"
    )
    rewritten(path, {"xl/_rels/workbook.xml.rels": links})


def sheet_above(path: Path) -> None:
    links = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="../../../{outside(path).name}"/></Relationships>'
    )
    rewritten(path, {"xl/_rels/workbook.xml.rels": links})


def outside(path: Path) -> Path:
    """The file beside the site's folder that nothing may read."""
    return path.parents[2] / "secret.csv"


def macros(path: Path) -> None:
    rewritten(path, {"xl/vbaProject.bin": os.urandom(2000), "xl/media/image1.png": bytes(3 << 20)})


def many_strings(path: Path) -> None:
    """A list of words that says it holds 4 billion of them."""
    source = zipfile.ZipFile(io.BytesIO(workbook()))
    words = source.read("xl/sharedStrings.xml").decode()
    start = words.index(" count=")
    end = words.index(">", start)
    rewritten(
        path,
        {
            "xl/sharedStrings.xml": words[:start]
            + ' count="4294967295" uniqueCount="4294967295"'
            + words[end:]
        },
    )


# -- old workbooks -------------------------------------------------------------------------------------------


def old_workbook(count: int = 3, extra: int = 0) -> bytes:
    """An XLS of good records, padded with more cells beside them."""
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("表")
    for at, row in enumerate([HEAD, *map(record, range(1, count + 1))]):
        for place, value in enumerate(row):
            sheet.write(at, place, value)
        for place in range(len(row), len(row) + extra):
            sheet.write(at, place, at)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def old_stream() -> bytearray:
    """The cells' stream of an XLS."""
    return bytearray(biff._cells_of(old_workbook()))


def with_record(stream: bytearray, kind: int, change: Callable[[bytes], bytes]) -> bytes:
    """A compound file in which the first record of a kind is changed, its length kept."""
    at = 0
    while at + 4 <= len(stream):
        found, size = struct.unpack_from("<2H", stream, at)
        if found == kind:
            stream[at : at + 4 + size] = change(bytes(stream[at : at + 4 + size]))
            break
        at += 4 + size
    return biff.compound("Workbook", bytes(stream))


def fat_loop(path: Path) -> None:
    """The chain of the cells' stream leads back to its own beginning."""
    data = bytearray(biff.compound("Workbook", bytes(old_stream())))
    (fat,) = struct.unpack_from("<L", data, 76)
    struct.pack_into("<L", data, (fat + 1) * 512 + 4 * 4, 0)
    path.write_bytes(data)


def many_cells(path: Path) -> None:
    """Two cells at the ends of a sheet, again and again: small in the file, huge in memory."""
    corners = cells(
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    )
    rewritten(path, {SHEET: corners})


def old_password(path: Path) -> None:
    """The record that says how the rest is encrypted stands in for the code page."""
    path.write_bytes(with_record(old_stream(), 0x42, lambda found: b"\x2f\0" + found[2:]))


def old_size(path: Path) -> None:
    """A sheet that says it reaches to row 4,294,967,295."""
    stream = old_stream()
    huge = struct.pack("<2LHH", 0, 0xFFFFFFFF, 0, 0xFFFF)
    path.write_bytes(with_record(stream, 0x200, lambda found: found[:4] + huge + found[4 + len(huge) :]))


def old_words(path: Path) -> None:
    """A list of words that says it holds 2 billion of them."""
    path.write_bytes(
        with_record(
            old_stream(),
            0xFC,
            lambda found: found[:4] + struct.pack("<2l", 2**31 - 1, 2**31 - 1) + found[12:],
        )
    )


# -- archives ------------------------------------------------------------------------------------------------


def zipped(members: Mapping[str, str | bytes], link: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)  # of 1980, so that the same members make the same bytes
            info.compress_type = zipfile.ZIP_DEFLATED
            if name == link:
                info.create_system = 3
                info.external_attr = 0o120777 << 16
            archive.writestr(info, content)
    return out.getvalue()


def link_in_zip(path: Path) -> None:
    path.write_bytes(zipped({"visits.csv": str(outside(path))}, link="visits.csv"))


def with_password(content: bytes) -> bytes:
    """Every member of a zip marked as encrypted."""
    changed = bytearray(content)
    for signature, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        place = changed.find(signature)
        while place >= 0:
            changed[place + at] |= 1
            place = changed.find(signature, place + 4)
    return bytes(changed)


# -- everything else -----------------------------------------------------------------------------------------


def parquet() -> bytes:
    out = io.BytesIO()
    rows = [record(number) for number in range(1, 4)]
    pq.write_table(pa.table(dict(zip(HEAD, map(list, zip(*rows, strict=True)), strict=True))), out)
    return out.getvalue()


def objects(count: int = 3) -> list[str]:
    return [
        json.dumps(dict(zip(HEAD, record(number), strict=True)), ensure_ascii=False)
        for number in range(1, count + 1)
    ]


def quoted(field_text: str) -> str:
    return '"' + field_text.replace('"', '""') + '"'


HTML = "<html><head><meta charset=utf-8></head><body><table>{}</table></body></html>".format(
    "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in [HEAD, record(1)])
)
XML_TABLE = (
    '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>'
)
MIXED = GOOD.encode() + "V4,431,H4,未遇,2024-05-01,2024-05-02\n".encode("gb18030")


def truncated(kind: str, name: str, whole: bytes, points: int = 5) -> list[Nasty]:
    """A file cut off at several points; for what is compressed or has its index at the end, all are refused."""
    places = [len(whole) * (point + 1) // (points + 1) for point in range(points)] + [len(whole) - 1]
    return [
        Nasty(f"{kind} cut off at {place} of {len(whole)}", f"{place}-{name}", text(whole[:place]), "refused")
        for place in places
    ]


def corpus() -> list[Nasty]:
    """All kinds."""
    good_zip = zipped({"visits.csv": GOOD})
    return [
        # Dialects of CSV.
        *(
            Nasty(f"csv, {kind}", f"visits-{number}.csv", text(content), "kept", 3)
            for number, (kind, content) in enumerate(
                {
                    "plain": GOOD.encode(),
                    "byte order mark": GOOD.encode("utf-8-sig"),
                    "crlf": table(end="\r\n").encode(),
                    "lone cr": table(end="\r").encode(),
                    "no end of line": GOOD.strip().encode(),
                    "semicolons": table(delimiter=";").encode(),
                    "tabs": table(delimiter="\t").encode(),
                    "bars": table(delimiter="|").encode(),
                    "gb18030": GOOD.encode("gb18030"),
                    "gb18030, bars, crlf": table(delimiter="|", end="\r\n").encode("gb18030"),
                    "utf-16": GOOD.encode("utf-16"),
                    "utf-16 without mark": GOOD.encode("utf-16-le"),
                    "utf-16, big end first, without mark": GOOD.encode("utf-16-be"),
                    "all quoted": "\n".join(",".join(map(quoted, line.split(","))) for line in GOOD.split()).encode(),
                    "blank lines": GOOD.replace("\n", "\n\n").encode(),
                    "title and total": ("走访台账,,,,,\n" + GOOD + "合计,,,,,3\n").encode(),
                    "empty columns at the end": GOOD.replace("\n", ",,,\n").encode(),
                    "a column of tabs": GOOD.replace("V1", "\tV1\t").encode(),
                }.items()
            )
        ),
        Nasty("csv, only a header", "visits-header.csv", text(",".join(HEAD) + "\n"), "kept", 0),
        Nasty("csv, formulas in cells", "visits-cmd.csv",
              text(GOOD + "=cmd|'/C calc'!A0,431,H4,=1+1,2024-05-01,2024-05-02\n@SUM(A1),431,+1,-1,2024-05-01,2024-05-02\n"),
              "quarantined", 5),
        Nasty("csv, too many and too few cells", "visits-step.csv", text(GOOD + "V4,431\nV5,431,H5,正常,2024-05-01,2024-05-02,x\n"),
              "quarantined", 5),
        Nasty("csv, markup in cells", "visits-markup.csv",
              text(GOOD + '<script>alert(1)</script>,431,H4,<img src=x>,2024-05-01,2024-05-02\n'), "quarantined", 4),
        Nasty("csv, mixed encodings", "visits-mixed.csv", text(MIXED), "refused"),
        Nasty("csv, utf-7", "visits-utf7.csv", text(GOOD.encode("utf-7")), "refused", reason="no headings"),
        Nasty("csv, utf-32", "visits-utf32.csv", text(GOOD.encode("utf-32")), "refused"),
        Nasty("csv, ebcdic", "visits-ebcdic.csv", text("visit_id,place,result\nV1,431,normal\n".encode("cp037")), "refused"),
        Nasty("csv, nul bytes", "visits-nul.csv", text(GOOD.replace("V2", "V\0")), "refused"),
        Nasty("csv, only nul bytes", "visits-nuls.csv", text(bytes(100_000)), "refused"),
        Nasty("csv, unclosed quote", "visits-quote.csv", text(GOOD.replace("正常", '"正常', 1)), "refused", reason="quote"),
        Nasty("csv, a million quotes", "visits-quotes.csv", text(b'"' * 1_000_000), "refused"),
        Nasty("csv, a million quotes below the header", "visits-quotes2.csv", text(GOOD.encode() + b'"' * 1_000_001), "refused"),
        Nasty("csv, an odd number of quotes in every line", "visits-quotes3.csv",
              text(GOOD + 'V4,"431,H4,正常,2024-05-01,2024-05-02\n' * 1001), "refused"),
        Nasty("csv, one endless line", "visits-line.csv", text(lambda: b"x" * (9 << 20)), "refused"),
        Nasty("csv, one endless cell", "visits-cell.csv", text(lambda: GOOD.encode() + b"V4,431," + b"x" * (9 << 20) + b"\n"), "refused"),
        Nasty("csv, three thousand columns", "visits-wide.csv", text(GOOD.replace("\n", "," * 3_000 + "\n")), "kept", 3),
        Nasty("csv, a record of five thousand cells", "visits-long.csv", text(GOOD + "," * 5_000 + "x\n"), "quarantined", 4),
        Nasty("csv, only delimiters", "visits-commas.csv", text("," * 100_000 + "\n"), "refused"),
        Nasty("csv, the wrong columns", "visits-other.csv", text("a,b,c\n1,2,3\n"), "refused", reason="no headings"),
        Nasty("csv, a required column is missing", "visits-lacks.csv", text("走访编号,所属网格\nV1,431\n"), "refused", reason="no column for"),
        Nasty("an empty file", "visits-empty.csv", text(""), "refused", reason="empty file"),
        Nasty("white space only", "visits-white.csv", text(" \n\t\r\n" * 1000), "refused", reason="empty file"),
        Nasty("random bytes", "visits-random.csv", text(random.Random(7).randbytes(50_000)), "refused"),
        Nasty("a picture", "visits-picture.csv", text(b"\x89PNG\r\n\x1a\n" + bytes(1000)), "refused", reason="not a text file"),
        # One form under another's name.
        Nasty("xlsx named .csv", "visits-book.csv", text(workbook(4)), "kept", 4),
        Nasty("xls named .xlsx", "visits-old.xlsx", text(old_workbook(4)), "kept", 4),
        Nasty("csv named .xlsx", "visits-text.xlsx", text(table(30)), "refused", reason="not a readable workbook"),
        Nasty("html named .xls", "visits-html.xls", text(HTML), "refused", reason="web page"),
        Nasty("html named .xls, gb18030", "visits-html2.xls", text("\r\n" + HTML, "gb18030"), "refused", reason="web page"),
        Nasty("xml table named .xls", "visits-xml.xls", text(XML_TABLE), "refused", reason="XML"),
        Nasty("html named .csv", "visits-html.csv", text(HTML + "\n"), "refused", reason="web page"),
        Nasty("a document named .xlsx", "visits-word.xlsx", text(zipped({"word/document.xml": "<a/>"})), "refused"),
        Nasty("a Word document named .xls", "visits-word.xls", text(biff.compound("WordDocument", b"x")), "refused", reason="no workbook"),
        # Workbooks.
        Nasty("xlsx", "visits.xlsx", text(workbook()), "kept", 3),
        Nasty("xlsx with macros and pictures", "visits-macros.xlsm", macros, "kept", 3),
        Nasty("xlsx, entity bomb", "visits-laughs.xlsx", with_doctype(LAUGHS, "&k;"), "refused", reason="document type"),
        Nasty("xlsx, entity bomb among its words", "visits-laughs2.xlsx",
              lambda path: rewritten(path, {"xl/sharedStrings.xml": f'<?xml version="1.0"?>{LAUGHS}<sst><si><t>&k;</t></si></sst>'}),
              "refused", reason="document type"),
        Nasty("xlsx, entity bomb in its list of sheets", "visits-laughs3.xlsx",
              lambda path: rewritten(path, {"xl/workbook.xml": f'<?xml version="1.0"?>{LAUGHS}<workbook>&k;</workbook>'}),
              "refused", reason="document type"),
        Nasty("xlsx, external entity", "visits-xxe.xlsx", external_entity, "refused", reason="document type"),
        Nasty("xlsx, external sheet", "visits-external.xlsx", external_sheet, "refused"),
        Nasty("xlsx, a sheet above its folder", "visits-above.xlsx", sheet_above, "refused"),
        Nasty("xlsx, bomb", "visits-bomb.xlsx", lambda path: with_sheet(SHEET_HEAD + " " * (90 << 20) + SHEET_TAIL)(path), "refused", reason="too large"),
        Nasty("xlsx, cells far apart", "visits-far.xlsx", many_cells, "refused", reason="too large"),
        Nasty("xlsx, a place past the format", "visits-past.xlsx",
              with_sheet(cells('<row r="9999999"><c r="ZZZ9999999"><v>1</v></c></row>')), "refused"),
        Nasty("xlsx, a place that is none", "visits-place.xlsx", with_sheet(cells('<row r="1"><c r="1A"><v>1</v></c></row>')), "refused"),
        Nasty("xlsx, merged over the whole sheet", "visits-merged.xlsx",
              with_sheet(SHEET_HEAD + SHEET_GOOD + "</sheetData><mergeCells>" + '<mergeCell ref="A2:XFD1048576"/>' * 2000
                          + "</mergeCells></worksheet>"), "kept", 1),
        Nasty("xlsx, billions of words", "visits-words.xlsx", many_strings, "refused", reason="list of words"),
        Nasty("xlsx, a word that is not there", "visits-noword.xlsx",
              with_sheet(cells(SHEET_GOOD, '<row r="3"><c r="A3" t="s"><v>99999999</v></c></row>')), "refused"),
        Nasty("xlsx, 300 sheets", "visits-sheets.xlsx", text(lambda: workbook(sheets=300)), "refused"),
        Nasty("xlsx, xml cut off", "visits-cutxml.xlsx", with_sheet(SHEET_HEAD + SHEET_GOOD), "refused"),
        Nasty("xlsx, xml in utf-16", "visits-utf16.xlsx", with_sheet(cells(SHEET_GOOD).encode("utf-16")), "refused"),
        Nasty("xlsx, no sheet", "visits-nosheet.xlsx", lambda path: rewritten(path, {SHEET: None}), "refused"),
        Nasty("xlsx, deep xml", "visits-deep.xlsx", with_sheet(SHEET_HEAD + "<row>" * 200_000 + SHEET_TAIL), "refused"),
        Nasty("xlsx, formulas without values and errors", "visits-formula.xlsx",
              with_sheet(cells(SHEET_GOOD, '<row r="3"><c r="A3"><f>1+1</f></c></row>',
                               '<row r="4"><c r="A4" t="e"><v>#REF!</v></c><c r="B4"><v>431</v></c></row>')), "quarantined", 3),
        Nasty("xlsx, a long number for a code", "visits-digits.xlsx",
              with_sheet(cells(SHEET_GOOD, '<row r="3"><c r="A3"><v>1.2345678901234567E+17</v></c></row>')), "quarantined", 2),
        Nasty("xlsx with a password", "visits-password.xlsx", text(biff.compound("EncryptedPackage", bytes(5000))), "refused",
              reason="password"),
        Nasty("xlsb", "visits-binary.xlsb", text(zipped({"xl/workbook.bin": b"x", "_rels/.rels":
              f'<Relationships><Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.bin"/></Relationships>'})),
              "refused", reason=".xlsb"),
        *truncated("xlsx", "visits.xlsx", workbook(), points=8),
        # Old workbooks.
        Nasty("xls", "visits.xls", text(old_workbook()), "kept", 3),
        Nasty("xls, a chain that goes round", "visits-loop.xls", fat_loop, "refused"),
        Nasty("xls with a password", "visits-password.xls", old_password, "refused", reason="password"),
        Nasty("xls, billions of rows", "visits-size.xls", old_size, "kept", 3),
        Nasty("xls, billions of words", "visits-words.xls", old_words, "refused"),
        *truncated("xls", "visits.xls", old_workbook(200)[:-3000], points=8),
        # JSON.
        Nasty("ndjson", "visits.ndjson", text("\n".join(objects())), "kept", 3),
        Nasty("json", "visits.json", text(f'{{"total": 3, "rows": [{",".join(objects())}]}}'), "kept", 3),
        Nasty("json, broken records", "visits-broken.ndjson",
              text("\n".join([*objects(), '{"走访编号": NaN}', '{"走访编号": "a", "走访编号": "b"}', "{", "[" * 100_000, '{"走访编号": "\\ud800"}'])),
              "quarantined", 8),
        Nasty("json, deep", "visits-deep.json", text("[" * 1_000_000), "refused", reason="nested too deeply"),
        Nasty("json, deep objects", "visits-deep2.json", text('{"a":' * 1_000_000), "refused", reason="nested too deeply"),
        Nasty("json, one endless line", "visits-line.ndjson", text(lambda: ('{"走访编号": "' + "x" * (17 << 20)).encode()), "refused"),
        Nasty("json, an endless number", "visits-number.json", text(lambda: ("[" + "9" * (17 << 20)).encode()), "refused"),
        Nasty("json, keys without end", "visits-keys.ndjson", text("\n".join(f'{{"k{n}": 1, "走访编号": "a"}}' for n in range(2000))),
              "refused", reason="different keys"),
        Nasty("json, lists for objects", "visits-lists.json", text(json.dumps([HEAD, record(1)])), "refused"),
        *truncated("json", "visits.json", f'[{",".join(objects())}]'.encode()),
        # Parquet.
        Nasty("parquet", "visits.parquet", text(parquet()), "kept", 3),
        *truncated("parquet", "visits.parquet", parquet()),
        # Archives.
        Nasty("zip", "visits.zip", text(good_zip), "kept", 3),
        Nasty("zip of several forms", "visits-several.zip",
              text(zipped({"一/a.csv": GOOD, "b.xlsx": workbook(), "c.ndjson": "\n".join(objects()), "__MACOSX/._a": b"\0"})), "kept", 9),
        Nasty("gzip", "visits.csv.gz", text(gzip.compress(GOOD.encode())), "kept", 3),
        Nasty("zip, a name that leads out", "visits-out.zip", text(zipped({"../../../../escaped.csv": GOOD})), "refused", reason="leads out"),
        Nasty("zip, an absolute name", "visits-abs.zip", text(zipped({"/tmp/nerve-escaped.csv": GOOD})), "refused", reason="leads out"),
        Nasty("zip, a name of Windows that leads out", "visits-out2.zip", text(zipped({"..\\..\\escaped.csv": GOOD})), "refused", reason="leads out"),
        Nasty("zip, a link", "visits-link.zip", link_in_zip, "refused", reason="link"),
        Nasty("zip with a password", "visits-password.zip", text(with_password(good_zip)), "refused", reason="password"),
        Nasty("zip in zip", "visits-nested.zip", text(zipped({"visits.zip": good_zip})), "refused", reason="archive itself"),
        Nasty("zip bomb", "visits-bomb.zip", text(lambda: zipped({"visits.csv": bytes(90 << 20)})), "refused", reason="too much"),
        Nasty("gzip bomb", "visits-bomb.csv.gz", text(lambda: gzip.compress(bytes(90 << 20))), "refused", reason="too much"),
        Nasty("zip of an empty file", "visits-empty.zip", text(zipped({"visits.csv": b""})), "refused", reason="empty file"),
        Nasty("zip of nothing", "visits-nothing.zip", text(zipped({})), "refused"),
        Nasty("zip, one member is no table", "visits-readme.zip", text(zipped({"visits.csv": GOOD, "readme.txt": "hello"})), "refused",
              reason="file 2 of 2"),
        *truncated("zip", "visits.zip", good_zip, points=8),
        *truncated("gzip", "visits.csv.gz", gzip.compress(GOOD.encode(), mtime=0), points=8),
        # Names.
        *(
            Nasty(f"a name, {kind}", name, text(table(number)), "kept", number)
            for number, (kind, name) in enumerate(
                {
                    "leading dash": "-rf visits.csv",
                    "two dots": "visits..csv",
                    "quotes": "visits'; drop table batches; --\".csv",
                    "a line break": "visits\n2.csv",
                    "a format": "visits %s {0} $x `id`.csv",
                    "odd characters": "走访 visits ’\u202e\U0001f4a9.csv",
                    "no utf-8": os.fsdecode(b"visits-\xff\xfe.csv"),
                    "very long": "visits" + "长" * 80 + ".csv",
                }.items(),
                start=4,
            )
        ),
        # Things that are no files.
        Nasty("a link", "visits-link.csv", lambda path: path.symlink_to(outside(path)), "refused"),
        Nasty("a link to nothing", "visits-nolink.csv", lambda path: path.symlink_to(path.with_name("gone")), "refused"),
        Nasty("a pipe", "visits-pipe.csv", lambda path: os.mkfifo(path), "refused"),
        Nasty("a folder", "visits-folder.csv", lambda path: path.mkdir(), "left alone"),
        Nasty("a hidden file", "..visits.csv", text(GOOD), "left alone"),
    ]  # fmt: skip


# -- fuzzing -------------------------------------------------------------------------------------------------

FUZZED = """
dataset = "wells"
label = { zh = "水井", en = "Wells" }
drop = ["户主"]
[files]
match = ["wells*"]
[fields.well_id]
type = "code"
role = "key"
label = { zh = "编号", en = "Number" }
from = ["编号"]
required = true
[fields.depth]
type = "float"
label = { zh = "深度", en = "Depth" }
from = ["深度"]
min = 0
[fields.dug]
type = "date"
label = { zh = "日期", en = "Dug" }
from = ["日期"]
[fields.state]
type = "code"
label = { zh = "状态", en = "State" }
from = ["状态"]
choices = [{ code = "good", label = { zh = "好", en = "good" } }, { code = "bad", label = { zh = "坏", en = "bad" } }]
[fields.remark]
type = "text"
label = { zh = "备注", en = "Remark" }
from = ["备注"]
privacy = "mask"
"""
WELL_HEAD = ["编号", "户主", "深度", "日期", "状态", "备注"]
WELLS = [
    ["W1", "张三", "3.5", "2024-01-05", "好", "平常"],
    ["W2", "李四", "-1", "2024/1/6", "坏", '多\n行, "引"'],
    ["W3", "王五", "", "45296", "", "电话13812345678"],
]


@cache
def seeds() -> dict[str, bytes]:
    """One small sound file of each form, by the name it would have."""
    lines = [",".join(map(quoted, row)) for row in [WELL_HEAD, *WELLS]]
    plain = "\n".join(lines) + "\n"
    bare = "".join(",".join(row[:5]) + "\n" for row in [WELL_HEAD, *WELLS])
    records = [json.dumps(dict(zip(WELL_HEAD, row, strict=True)), ensure_ascii=False) for row in WELLS]
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.set_properties({"created": datetime(2024, 1, 1)})
    sheet = book.add_worksheet()
    for at, row in enumerate([WELL_HEAD, *WELLS]):
        sheet.write_row(at + 1, 1, row)
    sheet.merge_range("A1:C1", "台账")
    sheet.write_formula("D6", "=1+1", value=2)
    book.close()
    old = io.BytesIO()
    older = xlwt.Workbook(encoding="utf-8")
    page = older.add_sheet("表")
    for at, row in enumerate([WELL_HEAD, *WELLS]):
        for place, value in enumerate(row):
            page.write(at, place, float(value) if value.replace(".", "").isdigit() else value)
    older.save(old)
    columnar = io.BytesIO()
    columns = dict(zip(WELL_HEAD, map(list, zip(*WELLS, strict=True)), strict=True))
    pq.write_table(pa.table(columns), columnar)
    return {
        "wells.csv": plain.encode(),
        "wells-gb.csv": bare.replace("\n", "\r\n").encode("gb18030"),
        "wells-utf16.csv": bare.replace(",", "\t").encode("utf-16"),
        "wells.ndjson": "\n".join(records).encode(),
        "wells.json": f'{{"total": 3, "rows": [{", ".join(records)}]}}'.encode(),
        "wells.xlsx": out.getvalue(),
        "wells.xls": old.getvalue(),
        "wells.parquet": columnar.getvalue(),
        "wells.csv.gz": gzip.compress(plain.encode(), mtime=0),
        "wells.zip": zipped({"a.csv": plain, "b.ndjson": "\n".join(records)}),
    }


def mutant(number: int) -> tuple[str, bytes]:
    """(name, content) of a damaged file: the same for the same number. What is packed is mostly damaged within,
    and packed again, for a damaged packing is found at once."""
    rng = random.Random(number)
    sound = seeds()
    name = rng.choice(sorted(sound))
    content = sound[name]
    within = rng.random() < 0.8
    if name.endswith(".gz") and within:
        return name, gzip.compress(_damaged(gzip.decompress(content), rng, sound), mtime=0)
    if name.endswith((".zip", ".xlsx")) and within:
        before = zipfile.ZipFile(io.BytesIO(content))
        members = {member: before.read(member) for member in before.namelist()}
        hit = rng.choice(sorted(member for member in members if not member.startswith("docProps")))
        members[hit] = _damaged(members[hit], rng, sound)
        return name, zipped(members)
    if name.endswith(".xls") and within:
        return name, biff.compound("Workbook", _damaged(biff._cells_of(content).rstrip(b"\0"), rng, sound))
    return name, _damaged(content, rng, sound)


_INSERTED = (b'"', b"\n", b"\r", b"\0", b",", b"\xff", b"\xe6\xb0", b"<", b">", b"{", b"[", b"]", b"}", b"\\", b"&", b"=",
             b"\xef\xbb\xbf", b"99999999999999999999", b"NaN", b"-", b"\t", b"'", b";")  # fmt: skip


def _damaged(content: bytes, rng: random.Random, sound: Mapping[str, bytes]) -> bytes:
    """One to five faults: bits and bytes changed, pieces cut, doubled, moved, or taken from another file."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((1, 2, 4, 16, 200))
        what = rng.randrange(9)
        if what == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1 and at < len(data):
            data[at] = rng.randrange(256)
        elif what == 2:
            del data[at : at + length]
        elif what == 3:
            data[at:at] = rng.choice(_INSERTED) * rng.choice((1, 1, 1, 3, 1000))
        elif what == 4:
            data[at:at] = data[at : at + length]
        elif what == 5:
            other = rng.choice(sorted(sound))
            place = rng.randrange(len(sound[other]))
            data[at : at + length] = sound[other][place : place + length]
        elif what == 6 and rng.random() < 0.3:
            del data[at:]
        elif what == 7:
            value = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, len(data)))
            data[at : at + 4] = struct.pack("<L", value)
        else:
            data[at : at + length] = rng.randbytes(min(length, 4))
    return bytes(data)


def end_of(path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection) -> Ending:
    """Read and check a file as the loader does: how it ends. What is wrong with the account is an AssertionError;
    any other exception is a fault."""
    try:
        raw = read(path, contract, connection, b"0" * 32)
    except Refused as refused:
        assert refused.reason.zh and refused.reason.en and "\n" not in refused.reason.en, refused.reason
        return "refused"
    checked = check(raw, contract, connection, datetime(2026, 1, 1))
    found = connection.execute(
        f"select (select count(*) from {raw.table}), (select count(*) from {checked.good}), "
        f"(select count(*) from {checked.bad}), (select count(*) from {checked.bad} where len(reasons) = 0)"
    ).fetchone()
    assert found == (raw.read, checked.kept, checked.quarantined, 0), found
    assert checked.kept + checked.quarantined == raw.read
    for column in raw.columns.get("remark", ()):
        remarks = connection.execute(f"select {column} from {raw.table}").fetchall()
        assert not any("13812345678" in (remark or "") for (remark,) in remarks), (
            "a phone number is not masked"
        )
    return "quarantined" if checked.quarantined else "kept"


# -- the corpus, loaded --------------------------------------------------------------------------------------


def main(folder: Path) -> None:
    """Load the corpus in `folder`/site and print a JSON list of what became of each file."""
    site_folder = folder / "site"
    (site_folder / "inbox").mkdir(parents=True)
    (site_folder / "sources").mkdir()
    (site_folder / "site.toml").write_text(SITE, encoding="utf-8")
    (site_folder / "sources" / "visits.toml").write_text(CONTRACT, encoding="utf-8")
    (site_folder / "inbox" / "places.csv").write_text(PLACES, encoding="utf-8")
    (folder / "secret.csv").write_text(GOOD.replace("V1", SECRET), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for case in corpus():
            case.make(site_folder / "inbox" / case.name)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    loaded = load(
        load_site(site_folder), progress=lambda name, *_: print(repr(name), file=sys.stderr, flush=True)
    )
    print(
        json.dumps(
            [{**asdict(one), "path": repr(one.path.name if one.path else "")} for one in loaded], default=str
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
