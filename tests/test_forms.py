"""Workbooks, JSON and archives: what is taken out of them, and what refuses a whole file."""

from __future__ import annotations

import gzip
import io
import json
import re
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import Contract, read_contract
from pipelines.reading import Raw, Refused, archives, biff, objects, ooxml, read
from tests.nasty import SHEET_HEAD, SHEET_TAIL, rewritten

SECRET = b"0123456789abcdef"
WELLS = """
dataset = "wells"
label = { zh = "水井", en = "Wells" }
drop = ["户主"]
[files]
match = ["wells*"]
[fields.well_id]
type = "code"
role = "key"
label = { zh = "编号", en = "Number" }
from = ["编号", "well_id"]
required = true
[fields.town]
type = "text"
label = { zh = "乡镇", en = "Town" }
from = ["乡镇"]
[fields.depth]
type = "float"
label = { zh = "深度", en = "Depth" }
from = ["深度"]
[fields.dug]
type = "date"
label = { zh = "开挖日期", en = "Dug" }
from = ["开挖日期"]
[fields.seen]
type = "time"
label = { zh = "登记时间", en = "Seen" }
from = ["登记时间", "时间"]
[fields.closed]
type = "time"
label = { zh = "办结时间", en = "Closed" }
from = ["办结时间"]
"""


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path = tmp_path_factory.mktemp("contract") / "wells.toml"
    path.write_text(WELLS, encoding="utf-8")
    return read_contract(path)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


Look = Callable[[Path], tuple[Raw, list[dict[str, Any]]]]


@pytest.fixture
def look(contract: Contract, connection: duckdb.DuckDBPyConnection) -> Look:
    """Read a file: what was said of it, and its records as field → text, without what is empty."""

    def look(path: Path) -> tuple[Raw, list[dict[str, Any]]]:
        raw = read(path, contract, connection, SECRET)
        columns = {name: f"coalesce({', '.join(found)})" for name, found in raw.columns.items()}
        chosen = ", ".join(["_line", "_fault", *(f"{sql} as {name}" for name, sql in columns.items())])
        rows = connection.execute(f"select {chosen} from {raw.table} order by _row").fetchall()
        names = ["line", "fault", *columns]
        return raw, [
            {name: value for name, value in zip(names, row, strict=True) if value not in (None, "")}
            for row in rows
        ]

    return look


def book(path: Path, *sheets: Sequence[Sequence[Any]], **options: Any) -> Path:
    """An XLSX of the rows of some sheets; dates as dates."""
    file = xlsxwriter.Workbook(str(path), {"default_date_format": "yyyy-mm-dd hh:mm", **options})
    for rows in sheets:
        sheet = file.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    file.close()
    return path


HEAD = ["编号", "乡镇", "深度", "开挖日期", "登记时间"]


def test_dates_text_dates_and_serial_numbers_of_one_column_are_dates(tmp_path: Path, look: Look) -> None:
    rows = [
        HEAD,
        ["W1", "甲", 3, date(2024, 1, 5), datetime(2024, 1, 5, 8, 30)],
        ["W2", "甲", 45296, "2024年1月5日", "2024/1/5 8:30"],
        ["W3", 45296, 3.5, 45296, 45296.354166666664],
        ["W4", "甲", 3, 20240105, 2024],
        ["W5", "甲", 3, 59, 61],
        ["W6", "甲", 3, 60, 0.5],
    ]
    _, records = look(book(tmp_path / "wells.xlsx", rows))
    assert records == [
        {"line": 2, "well_id": "W1", "town": "甲", "depth": "3", "dug": "2024-01-05", "seen": "2024-01-05 08:30:00"},
        {"line": 3, "well_id": "W2", "town": "甲", "depth": "45296", "dug": "2024年1月5日", "seen": "2024/1/5 8:30"},
        {"line": 4, "well_id": "W3", "town": "45296", "depth": "3.5", "dug": "2024-01-05", "seen": "2024-01-05 08:30:00"},
        {"line": 5, "well_id": "W4", "town": "甲", "depth": "3", "dug": "20240105", "seen": "2024"},
        {"line": 6, "well_id": "W5", "town": "甲", "depth": "3", "dug": "1900-02-28", "seen": "1900-03-01"},
        {"line": 7, "well_id": "W6", "town": "甲", "depth": "3", "dug": "60", "seen": "0.5"},
    ]  # fmt: skip


def test_a_workbook_that_counts_from_1904_gives_the_same_days(tmp_path: Path, look: Look) -> None:
    rows = [["编号", "开挖日期"], ["W1", date(2024, 1, 5)], ["W2", 45296 - 1462]]
    _, records = look(book(tmp_path / "wells.xlsx", rows, date_1904=True))
    assert [record["dug"] for record in records] == ["2024-01-05", "2024-01-05"]


def test_a_cell_merged_over_rows_holds_for_each_record_and_makes_none(tmp_path: Path, look: Look) -> None:
    path = tmp_path / "wells.xlsx"
    file = xlsxwriter.Workbook(str(path))
    sheet = file.add_worksheet()
    sheet.merge_range("A1:C1", "水井台账")
    sheet.write_row("A2", ["乡镇", "编号", "深度"])
    sheet.merge_range("A3:A6", "甲镇")
    sheet.write_column("B3", ["W1", "W2", "小计"])
    sheet.write_column("C3", [1, 2, 3])
    sheet.merge_range("A7:A8", "乙镇")
    sheet.write_column("B7", ["W3", "W4"])
    file.close()
    raw, records = look(path)
    assert [(r["line"], r["well_id"], r.get("town")) for r in records] == [
        (3, "W1", "甲镇"),
        (4, "W2", "甲镇"),
        (7, "W3", "乙镇"),
        (8, "W4", "乙镇"),
    ]
    assert raw.ignored == 2


def test_headings_of_two_rows_are_named_by_the_group_merged_above_them(tmp_path: Path, look: Look) -> None:
    path = tmp_path / "wells.xlsx"
    file = xlsxwriter.Workbook(str(path))
    sheet = file.add_worksheet()
    sheet.merge_range("A1:D1", "水井台账")
    sheet.merge_range("A2:A3", "编号")
    sheet.merge_range("B2:C2", "登记")
    sheet.merge_range("D2:E2", "办结")
    sheet.write_row("B3", ["时间", "单位", "时间", "单位"])
    sheet.write_row("A4", ["W1", "2024-01-05", "甲", "2024-01-06", "乙"])
    file.close()
    _, records = look(path)
    assert records == [{"line": 4, "well_id": "W1", "seen": "2024-01-05", "closed": "2024-01-06"}]


def test_every_sheet_with_the_headings_counts_hidden_or_not_and_the_others_are_named_and_ignored(
    tmp_path: Path, look: Look
) -> None:
    path = tmp_path / "wells.xlsx"
    file = xlsxwriter.Workbook(str(path))
    notes = file.add_worksheet("说明")
    notes.write_column("A1", ["填表说明", "一律按实填写"])
    for number, name in enumerate(["一月", "二月"], start=1):
        sheet = file.add_worksheet(name)
        sheet.write_row("A1", ["编号", "深度"])
        sheet.write_row("A2", [f"W{number}", number])
        sheet.write_row("A3", [f"X{number}", number])
        sheet.set_row(2, options={"hidden": True})
    file.worksheets()[2].hide()
    summary = file.add_worksheet("汇总")
    summary.write_row("A1", ["乡镇", "深度"])
    summary.write_row("A2", ["甲镇", 4])
    file.close()
    raw, records = look(path)
    assert [record["well_id"] for record in records] == ["W1", "X1", "W2", "X2"]
    assert (raw.read, raw.ignored, raw.beside) == (4, 4, (1, 4))


def test_a_sheet_that_starts_below_and_right_of_its_corner_is_read_at_its_place(
    tmp_path: Path, look: Look
) -> None:
    rows = [[None] * 5, [None] * 5, [None, None, "编号", "深度"], [None, None, "W1", 3.25]]
    _, records = look(book(tmp_path / "wells.xlsx", rows))
    assert records == [{"line": 4, "well_id": "W1", "depth": "3.25"}]


def test_a_formula_that_was_never_calculated_marks_its_record_and_a_calculated_one_counts(
    tmp_path: Path, look: Look
) -> None:
    cells = (
        '<row r="1"><c r="A1" t="str"><v>编号</v></c><c r="B1" t="str"><v>深度</v></c><c r="C1" t="str"><v>井深</v></c></row>'
        '<row r="2"><c r="A2" t="str"><v>W1</v></c><c r="B2"><f>1+1</f><v>2</v></c></row>'
        '<row r="3"><c r="A3" t="str"><v>W2</v></c><c r="B3"><f>1+1</f></c></row>'
        '<row r="4"><c r="A4" t="str"><v>W3</v></c><c r="B4"><f>1+1</f><v></v></c></row>'
        '<row r="5"><c r="A5" t="str"><v>W4</v></c><c r="B5" t="str"><f>""</f><v></v></c></row>'
        '<row r="6"><c r="A6" t="str"><v>W5</v></c><c r="C6"><f>1+1</f></c></row>'
        '<row r="7"><c r="A7"><f>B3</f></c></row>'
        '<row r="8"><c r="A8" t="str"><v>合计</v></c><c r="B8"><f>sum(B2:B5)</f></c></row>'
        '<row r="9"><c r="B9"><f>1+1</f></c></row>'
    )
    path = rewritten(tmp_path / "wells.xlsx", {"xl/worksheets/sheet1.xml": SHEET_HEAD + cells + SHEET_TAIL})
    raw, records = look(path)
    assert [(r["line"], r.get("fault"), r.get("well_id"), r.get("depth")) for r in records] == [
        (2, None, "W1", "2"),
        (3, "formula", "W2", None),
        (4, "formula", "W3", None),
        (5, None, "W4", None),
        (6, None, "W5", None),
        (7, "formula", None, None),
        (9, "formula", None, None),
    ]
    assert raw.ignored == 1


def test_where_a_workbook_asks_to_be_calculated_the_zero_of_a_formula_is_no_value(
    tmp_path: Path, look: Look
) -> None:
    # As xlsxwriter does: every formula's result is 0 until a spreadsheet program opens the file.
    rows = [["编号", "深度"], ["W1", "=1+1"], ["W2", 0]]
    _, records = look(book(tmp_path / "wells.xlsx", rows))
    assert [(r["well_id"], r.get("fault"), r.get("depth")) for r in records] == [
        ("W1", "formula", "0"),
        ("W2", None, "0"),
    ]


def test_a_number_of_16_digits_in_a_code_marks_its_record_for_its_last_digits_are_lost(
    tmp_path: Path, look: Look
) -> None:
    rows = [
        ["编号", "深度"],
        [123456789012345, 1],
        [1234567890123456, 2],
        ["1234567890123456", 3],
        ["W4", 1234567890123456],
    ]
    _, records = look(book(tmp_path / "wells.xlsx", rows))
    assert [(r.get("fault"), r["well_id"]) for r in records] == [
        (None, "123456789012345"),
        ("digits", "1234567890123456.0"),
        (None, "1234567890123456"),
        (None, "W4"),
    ]


def test_an_error_cell_is_no_value_and_marks_its_record_where_a_value_is_required(
    tmp_path: Path, look: Look
) -> None:
    cells = (
        '<row r="1"><c r="A1" t="str"><v>编号</v></c><c r="B1" t="str"><v>深度</v></c></row>'
        '<row r="2"><c r="A2" t="str"><v>W1</v></c><c r="B2" t="e"><v>#DIV/0!</v></c></row>'
        '<row r="3"><c r="A3" t="e"><v>#REF!</v></c><c r="B3"><v>1</v></c></row>'
    )
    path = rewritten(tmp_path / "wells.xlsx", {"xl/worksheets/sheet1.xml": SHEET_HEAD + cells + SHEET_TAIL})
    _, records = look(path)
    assert records == [
        {"line": 2, "well_id": "W1"},
        {"line": 3, "fault": "error", "depth": "1"},
    ]


@pytest.mark.parametrize(
    "sheet",
    [
        ('<row r="1"><c r="A1" t="str"><v>编号</v></c><c r="B1" t="str"><v>深度</v></c></row>'
        '<row r="2"><c r="A2" t="str"><v>W1</v></c><c r="B2"><v>3</v></c></row>'),
        '<row><c t="str"><v>编号</v></c><c t="str"><v>深度</v></c></row><row><c t="str"><v>W1</v></c><c><v>3</v></c></row>',
        ("<row r='1'><c t='str' r='A1'><v>编号</v></c><c t='str' r='B1'><v>深度</v></c></row>"
        "<row r='2'><c t='str' r='A2'><v>W1</v></c><c r='B2'><v>3</v></c></row>"),
        ('<row r="1"><c r="A1" t="inlineStr"><is><t>编号</t></is></c><c r="B1" t="inlineStr"><is><r><t>深</t></r><r><t>度</t></r></is></c></row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>W1</t></is></c><c r="B2"><v>3</v></c></row>'
        '<row r="1048576"><c r="XFD1048576" s="0"/></row>'),
    ],
    ids=["common", "without places", "single quotes, places last", "inline texts, a format far below"],
)  # fmt: skip
def test_every_way_of_writing_a_sheet_gives_the_same_records(tmp_path: Path, look: Look, sheet: str) -> None:
    path = rewritten(tmp_path / "wells.xlsx", {"xl/worksheets/sheet1.xml": SHEET_HEAD + sheet + SHEET_TAIL})
    _, records = look(path)
    assert [(r["well_id"], r["depth"]) for r in records] == [("W1", "3")]


CELL = st.one_of(
    st.none(),
    st.text(alphabet="ab井 0.", max_size=4),
    st.integers(-(10**14), 10**14),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.booleans(),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.dictionaries(st.tuples(st.integers(0, 40), st.integers(0, 30)), CELL, max_size=20))
def test_the_quick_look_at_a_sheet_sees_as_far_as_the_exact_one(
    tmp_path: Path, cells: Mapping[tuple[int, int], Any]
) -> None:
    path = tmp_path / "survey.xlsx"
    file = xlsxwriter.Workbook(str(path))
    sheet = file.add_worksheet()
    for (row, column), value in cells.items():
        sheet.write(row, column, value)
    file.close()
    text = zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml")
    quick, exact = ooxml._survey_quickly(text), ooxml._Survey(False).of(text)
    assert quick is not None
    assert (quick.rows, quick.columns) == (exact.rows, exact.columns)


def old_book(path: Path, *sheets: Sequence[Sequence[Any]], from_1904: bool = False) -> Path:
    """An XLS of the rows of some sheets; dates as dates."""
    file = xlwt.Workbook(encoding="utf-8")
    file.dates_1904 = from_1904
    style = xlwt.easyxf(num_format_str="yyyy-mm-dd hh:mm")
    for number, rows in enumerate(sheets):
        sheet = file.add_sheet(f"表{number}")
        for at, row in enumerate(rows):
            for place, value in enumerate(row):
                sheet.write(at, place, value, *([style] if isinstance(value, date) else []))
    file.save(str(path))
    return path


@pytest.mark.parametrize("from_1904", [False, True])
def test_an_xls_is_read_as_an_xlsx_is(tmp_path: Path, look: Look, from_1904: bool) -> None:
    days = 45296 - 1462 * from_1904
    rows = [
        ["水井台账"],
        HEAD,
        ["W1", "甲", 3, datetime(2024, 1, 5), datetime(2024, 1, 5, 8, 30)],
        [1002, "甲", 3.5, days, days + 0.5],
        [1234567890123456, "甲", 1, "", ""],
        ["合计", "", 7, "", ""],
    ]
    raw, records = look(old_book(tmp_path / "wells.xls", rows, [["说明"]], from_1904=from_1904))
    assert records == [
        {"line": 3, "well_id": "W1", "town": "甲", "depth": "3", "dug": "2024-01-05", "seen": "2024-01-05 08:30:00"},
        {"line": 4, "well_id": "1002", "town": "甲", "depth": "3.5", "dug": "2024-01-05", "seen": "2024-01-05 12:00:00"},
        {"line": 5, "fault": "digits", "well_id": "1234567890123456.0", "town": "甲", "depth": "1"},
    ]  # fmt: skip
    assert raw.ignored == 2


def test_an_xls_of_many_sectors_is_read_whole_and_one_of_few_too(tmp_path: Path, look: Look) -> None:
    rows = [["编号", "深度"], *([f"W{number}", number] for number in range(8_000))]
    _, records = look(old_book(tmp_path / "wells.xls", rows))
    assert [record["depth"] for record in records] == [str(number) for number in range(8_000)]
    _, records = look(old_book(tmp_path / "wells2.xls", rows[:2]))
    assert [record["well_id"] for record in records] == ["W0"]


def test_a_compound_file_gives_back_its_stream_however_long_it_is() -> None:
    for length in (1, 4095, 4096, 70_000, 7_200_000):
        stream = bytes(range(256)) * (length // 256 + 1)
        whole = biff._cells_of(biff.compound("Workbook", stream[:length]))
        assert whole[:length] == stream[:length] and not whole[length:].strip(b"\0")


# -- JSON ----------------------------------------------------------------------------------------------------

WELL = '{"编号": "W1", "深度": 3.50, "户主": "张三"}'
OTHER = '{"well_id": 20240001, "乡镇": {"名": "甲", "n": [1.50, 1e5, null, true]}}'
BOTH_WELLS = [
    {"well_id": "W1", "depth": "3.50"},
    {"well_id": "20240001", "town": '{"名": "甲", "n": [1.50, 1e5, null, true]}'},
]


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("wells.ndjson", f"{WELL}\n{OTHER}\n".encode(), [1, 2]),
        ("wells.ndjson", f"\ufeff{WELL}\r\n\r\n{OTHER}".encode(), [1, 3]),
        ("wells.jsonl", f"{WELL}\r{OTHER}".encode(), [1, 2]),
        ("wells.ndjson", f"{WELL}\n{OTHER}".encode("utf-16"), [1, 2]),
        ("wells.ndjson", f"{WELL}\n{OTHER}".encode("utf-16-be"), [1, 2]),
        ("wells.ndjson", f"{WELL}\n{OTHER}".encode("gb18030"), [1, 2]),
        ("wells.json", f"{WELL}\n{OTHER}".encode(), [1, 2]),
        ("wells.json", f"[{WELL},{OTHER}]".encode(), [1, 1]),
        ("wells.json", f"[\n{WELL},\n\n{OTHER}\n]\n".encode("utf-16"), [2, 4]),
        ("wells.json", f'{{"total": 2, "rows": [{WELL}, {OTHER}], "more": [1, 2]}}'.encode(), [1, 1]),
        ("wells.json", f'{{"code": 0,\n"data": {{"rows": [\n{WELL},\n{OTHER}]}}}}'.encode("gb18030"), [3, 4]),
    ],
    ids=["lines", "mark, blank lines", "lone CR", "utf-16", "utf-16 without mark", "gb18030", "lines named .json",
         "array", "array, utf-16", "array within", "array deep within"],
)  # fmt: skip
def test_objects_are_read_by_key_with_their_numbers_as_written(
    tmp_path: Path, look: Look, name: str, content: bytes, lines: list[int]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    _, records = look(path)
    assert [record.pop("line") for record in records] == lines
    assert records == BOTH_WELLS


@pytest.mark.parametrize(
    "broken",
    ['{"编号": "W2", "编号": "W3"}', '{"编号": NaN}', '{"深度": -Infinity}', "[1, 2]", "7", '{"编号": "\\ud800"}',
     '{"乡镇": ' + "[" * 40 + "]" * 40 + "}"],
    ids=["a key twice", "NaN", "Infinity", "a list", "a number", "half a character", "deep"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["lines", "array"])
def test_what_is_no_plain_object_is_a_broken_record_and_the_others_are_read(
    tmp_path: Path, look: Look, connection: duckdb.DuckDBPyConnection, broken: str, form: str
) -> None:
    path = tmp_path / "wells.json"
    text = "\n".join([WELL, broken, OTHER]) if form == "lines" else f"[{WELL}, {broken}, {OTHER}]"
    path.write_text(text, encoding="utf-8")
    raw, records = look(path)
    assert raw.read == 3
    assert [record.get("fault") for record in records] == [None, "json", None]
    held = repr(connection.execute("select * from incoming_raw").fetchall())
    assert "张三" not in held and "W2" not in held


@pytest.mark.parametrize("cut", ["{", '{"编号"', '{"编号": "W2', '{"编号": "W2"}}', '"W2": 1}', "[" * 5000])
def test_a_line_that_is_no_json_is_a_broken_record(tmp_path: Path, look: Look, cut: str) -> None:
    path = tmp_path / "wells.ndjson"
    path.write_text(f"{WELL}\n{cut}\n{OTHER}\n", encoding="utf-8")
    _, records = look(path)
    assert [record.get("fault") for record in records] == [None, "json", None]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(
        st.fixed_dictionaries(
            {"编号": st.text(max_size=5), "深度": st.one_of(st.none(), st.text(max_size=3), st.booleans())}
        ),
        min_size=1,
        max_size=9,
    ),
    chunk=st.integers(1, 9),
    indent=st.sampled_from([None, 0, 2]),
)
def test_an_array_is_read_the_same_however_its_text_falls_into_pieces(
    tmp_path: Path, contract: Contract, records: list[dict[str, Any]], chunk: int, indent: int | None
) -> None:
    text = json.dumps(records, ensure_ascii=False, indent=indent)
    taken = objects._Records(contract)
    scanner = objects._Scanner(_Slow(text, chunk))
    assert objects._arrays(scanner, taken, depth=0) == 1
    assert scanner.peek() == ""
    bad = [bool(re.search("[\ud800-\udfff]", record["编号"])) for record in records]
    assert list(taken.faults) == [number for number, is_bad in enumerate(bad) if is_bad]
    assert [v for v, is_bad in zip(taken.columns["编号"], bad, strict=True) if not is_bad] == [
        record["编号"] for record, is_bad in zip(records, bad, strict=True) if not is_bad
    ]


class _Slow(io.StringIO):
    """A text that gives only a few characters at a time."""

    def __init__(self, text: str, chunk: int) -> None:
        super().__init__(text)
        self.chunk = chunk

    def read(self, size: int | None = -1) -> str:
        return super().read(self.chunk)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "no array of objects"),
        (f'{{"a": [{WELL}], "b": [{WELL}]}}', "several arrays of objects"),
        (f"[{WELL}, {WELL}", "not a whole JSON text from line 1 on: cut off"),
        (f"[{WELL},\n{WELL[:-4]}", "not a whole JSON text from line 2 on"),
        (f"[{WELL}] {WELL}", "text after its end"),
        (f"[{WELL} {WELL}]", "no , or ] where one must be"),
        ("[" + "[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[1, 2, 3]", "no line is a JSON object"),
        ('[{"a": 1}]', "no headings of 'wells'"),
        ('[{"' + '": 1, "'.join(f"k{n}" for n in range(1001)) + '": 1}]', "more than 1000 different keys"),
    ],
    ids=lambda value: value[:20],
)
def test_a_json_that_cannot_be_trusted_is_refused_whole(
    tmp_path: Path, look: Look, content: str, reason: str
) -> None:
    path = tmp_path / "wells.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(Refused) as refused:
        look(path)
    assert reason in refused.value.reason.en
    assert refused.value.reason.zh


def test_a_record_longer_than_the_bound_refuses_the_file_before_it_is_in_memory(
    tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MAX_RECORD", 1000)
    monkeypatch.setattr(objects, "CHUNK", 100)
    for name, text in (
        ("wells.ndjson", f"{WELL}\n" + "x" * 2000),
        ("wells.json", f"[{WELL}, {{" + " " * 2000),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(Refused):
            look(path)


# -- archives ------------------------------------------------------------------------------------------------

PLAIN = "编号,深度\nW1,3\n".encode()
MORE = "编号,深度\nW2,4\nW3,5\n".encode()


def zipped(path: Path, members: Mapping[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_the_records_of_all_members_of_an_archive_are_one_file(tmp_path: Path, look: Look) -> None:
    inner = book(tmp_path / "inner.xlsx", [["编号", "深度"], ["W4", 6]]).read_bytes()
    path = zipped(
        tmp_path / "wells.zip",
        {
            "一月/水井.csv": PLAIN,
            "二月\\水井.csv": MORE,
            "三月/": b"",
            "三月.xlsx": inner,
            "__MACOSX/._水井.csv": b"\0",
        },
    )
    raw, records = look(path)
    assert [record["well_id"] for record in records] == ["W1", "W2", "W3", "W4"]
    assert raw.read == 4


def test_a_gzip_is_read_to_the_end_of_its_last_stream(tmp_path: Path, look: Look) -> None:
    path = tmp_path / "wells.csv.gz"
    path.write_bytes(gzip.compress(PLAIN) + gzip.compress(b"W2,4\n") + bytes(512))
    _, records = look(path)
    assert [record["well_id"] for record in records] == ["W1", "W2"]


def test_names_in_gbk_are_understood_and_none_becomes_a_name_on_the_disk(tmp_path: Path) -> None:
    path = zipped(tmp_path / "wells.zip", {"xx/xxxx.csv": PLAIN, "yyyy.XLSX": b"x"})
    content = path.read_bytes().replace(b"xx/xxxx.csv", "井/水井.csv".encode("gb18030") + b"")
    assert len("井/水井.csv".encode("gb18030")) == len(b"xx/xxxx.csv")
    path.write_bytes(content)
    with path.open("rb") as file:
        assert [member.name for member in archives.members(file)] == ["井/水井.csv", "yyyy.XLSX"]
    folder = tmp_path / "out"
    folder.mkdir()
    assert [part.name for part in archives.unpacked(path, folder)] == ["0001.csv", "0002.xlsx"]


def link(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info


def twice(path: Path) -> Path:
    zipped(path, {"a.csv": PLAIN, "b.csv": PLAIN})
    path.write_bytes(path.read_bytes().replace(b"b.csv", b"a.csv"))
    return path


def overlapping(path: Path) -> Path:
    """Two entries of the list name the same bytes, as in a bomb without nesting."""
    zipped(path, {"a.csv": PLAIN, "b.csv": PLAIN})
    content = bytearray(path.read_bytes())
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 4)
    content[second + 42 : second + 46] = bytes(4)
    content[second + 46] = ord("a")
    path.write_bytes(bytes(content).replace(b"a.csv", b"A.csv", 1))
    return path


def flagged(path: Path, at: int, value: bytes) -> Path:
    """Change a field of the only entry of the list of members."""
    zipped(path, {"a.csv": PLAIN})
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\1\2")
    content[entry + at : entry + at + len(value)] = value
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: zipped(path, {}), "no file in the archive"),
        (lambda path: zipped(path, {"a/": b""}), "no file in the archive"),
        (lambda path: zipped(path, {"../a.csv": PLAIN}), "leads out of the archive"),
        (lambda path: zipped(path, {"a/../../b.csv": PLAIN}), "leads out of the archive"),
        (lambda path: zipped(path, {"..\\a.csv": PLAIN}), "leads out of the archive"),
        (lambda path: zipped(path, {"/etc/a.csv": PLAIN}), "leads out of the archive"),
        (lambda path: zipped(path, {"C:\\a.csv": PLAIN}), "leads out of the archive"),
        (lambda path: zipped(path, {link("a.csv", stat.S_IFLNK): b"/etc/hostname"}), "a link or a device"),
        (lambda path: zipped(path, {link("a.csv", stat.S_IFIFO): b""}), "a link or a device"),
        (twice, "two files of the same name"),
        (overlapping, "a damaged or cut-off archive"),
        (lambda path: flagged(path, 8, b"\1\0"), "has a password"),
        (lambda path: flagged(path, 10, b"\x0c\0"), "an unusual compression"),
        (lambda path: flagged(path, 24, b"\1\0\0\0"), "a damaged or cut-off archive"),
        (lambda path: flagged(path, 16, b"\1\0\0\0"), "a damaged or cut-off archive"),
        (lambda path: flagged(path, 34, b"\1\0"), "a damaged or cut-off archive"),
        (lambda path: zipped(path, {"a.zip": zipped(path.with_name("in"), {"b": b""}).read_bytes()}), "an archive itself"),
        (lambda path: zipped(path, {"a.csv.gz": gzip.compress(PLAIN)}), "an archive itself"),
        (lambda path: zipped(path, {"a.tar": bytes(257) + b"ustar" + bytes(250)}), "an archive itself"),
        (lambda path: zipped(path, {f"{n}.csv": PLAIN for n in range(1001)}), "too many files"),
        (lambda path: zipped(path, {"mimetype": b"x", "content.xml": b"x"}), "OpenDocument"),
        (lambda path: zipped(path, {"[Content_Types].xml": b"x", "word/document.xml": b"x"}), "not a workbook"),
        (lambda path: zipped(path, {"a.csv": bytes(80 << 20)}), "unpacks to too much"),
        (lambda path: path.write_bytes(gzip.compress(bytes(80 << 20))) and path, "unpacks to too much"),
        (lambda path: path.write_bytes(gzip.compress(PLAIN)[:-3]) and path, "a damaged or cut-off archive"),
        (lambda path: path.write_bytes(gzip.compress(PLAIN) + b"more") and path, "a damaged or cut-off archive"),
    ],
    ids=["empty", "a folder only", "../", "inner ../", "..\\", "absolute", "drive", "link", "pipe", "twice",
         "overlapping", "password", "method", "size", "checksum", "split", "zip in zip", "gzip in zip", "tar in zip",
         "many", "ods", "docx", "bomb", "gzip bomb", "gzip cut off", "gzip with more"],
)  # fmt: skip
def test_an_archive_that_cannot_be_trusted_is_refused_and_leaves_nothing_behind(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    path = make(tmp_path / "wells.zip")
    folder = tmp_path / "out"
    folder.mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Refused) as refused:
        archives.unpacked(path, folder)
    assert reason in refused.value.reason.en
    assert refused.value.reason.zh
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", {"a.csv": PLAIN, "b.csv": MORE}).read_bytes()
    folder = tmp_path / "out"
    folder.mkdir()
    for length in range(4, len(whole)):
        path = tmp_path / "wells.zip"
        path.write_bytes(whole[:length])
        with pytest.raises(Refused):
            archives.unpacked(path, folder)
    assert list(folder.iterdir()) == []
