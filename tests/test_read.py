"""Reading: every form of file, and what refuses a whole one."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import Contract, read_contract
from pipelines.privacy import mask, pseudonym, valid_id_number
from pipelines.reading import Raw, Refused, read

SECRET = b"0123456789abcdef"
WELLS = """
dataset = "wells"
label = { zh = "水井", en = "Wells" }
drop = ["户主", "电话"]
[files]
match = ["wells*"]
[fields.well_id]
type = "code"
role = "key"
label = { zh = "编号", en = "Number" }
from = ["编号", "well_id"]
required = true
[fields.depth]
type = "float"
label = { zh = "深度", en = "Depth" }
from = ["深度(米)", "depth"]
[fields.seen_at]
type = "time"
label = { zh = "时间", en = "Seen" }
from = ["时间", "登记时间"]
coalesce = true
[fields.household]
type = "code"
label = { zh = "户编号", en = "Household" }
from = ["户编号"]
privacy = "pseudonym"
[fields.remark]
type = "text"
label = { zh = "备注", en = "Remark" }
from = ["备注"]
privacy = "mask"
"""


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    path = tmp_path / "wells.toml"
    path.write_text(WELLS, encoding="utf-8")
    return read_contract(path)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def column(connection: duckdb.DuckDBPyConnection, raw: Raw, field: str) -> list[str | None]:
    return [
        row[0]
        for row in connection.execute(
            f"select {raw.columns[field][0]} from {raw.table} order by _row"
        ).fetchall()
    ]


def lines(connection: duckdb.DuckDBPyConnection) -> list[int]:
    return [row[0] for row in connection.execute("select _line from incoming_raw order by _row").fetchall()]


def everything(connection: duckdb.DuckDBPyConnection) -> str:
    return repr(connection.execute("select * from incoming_raw").fetchall())


PLAIN = "编号,深度(米)\nW1,3.5\nW2,4\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8"),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("gb18030"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.replace("\n", "\r\n").encode("gb18030"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace("编号", " 编 号＊ ").encode(),
        PLAIN.replace("深度(米)", "深度（米）").encode(),
        PLAIN.replace("编号,深度(米)", "WELL_ID,Depth").encode(),
        ("水井台账,\n截至2024年5月,\n" + PLAIN + "合 计,7.5\n").encode("gb18030"),
    ],
    ids=["utf-8", "bom", "gb18030", "utf-16", "utf-16 without bom", "crlf", "semicolon", "tab", "heading spaced",
         "heading full width", "alias", "title, date and total rows"],
)  # fmt: skip
def test_a_csv_is_read_whatever_its_encoding_delimiter_and_headings(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, content: bytes
) -> None:
    path = tmp_path / "wells.csv"
    path.write_bytes(content)
    raw = read(path, contract, connection, SECRET)
    assert raw.read == 2
    assert column(connection, raw, "well_id") == ["W1", "W2"]
    assert column(connection, raw, "depth") == ["3.5", "4"]


def test_titles_totals_and_blank_rows_are_no_records_but_counted(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.csv"
    path.write_text("水井台账,\n\n编号,深度(米)\nW1,3\n,\n小计：,3\nW2,4\n合计,7\n", encoding="utf-8")
    raw = read(path, contract, connection, SECRET)
    assert (raw.read, raw.ignored) == (2, 3)
    assert lines(connection) == [4, 7]


def test_line_numbers_count_the_lines_inside_quoted_cells(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.csv"
    path.write_text('编号,备注\nW1,"two\nlines, ""quoted"""\n\nW2,x\n', encoding="utf-8")
    raw = read(path, contract, connection, SECRET)
    assert lines(connection) == [2, 5]
    assert column(connection, raw, "remark") == ['two\nlines, "quoted"', "x"]


def test_of_two_equal_headings_the_first_wins(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.csv"
    path.write_text("编号,深度(米),深度(米)\nW1,3,99\n", encoding="utf-8")
    raw = read(path, contract, connection, SECRET)
    assert column(connection, raw, "depth") == ["3"]


def test_a_record_with_too_many_or_too_few_columns_is_marked_and_the_rest_is_read(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.csv"
    path.write_text(
        "编号,深度(米),时间\nW1,3\nW2,3,2024-01-01,x\nW3,3,2024-01-01,,\nW4,4,2024-01-01\n", encoding="utf-8"
    )
    raw = read(path, contract, connection, SECRET)
    assert raw.read == 4
    assert connection.execute("select _line, _fault, _raw from incoming_raw order by _row").fetchall() == [
        (2, "columns", "(2 of 3 columns) W1,3"),
        (3, "columns", "(4 of 3 columns) W2,3,2024-01-01,x"),
        (4, None, None),
        (5, None, None),
    ]


def test_blocked_and_unknown_columns_reach_no_table_not_even_from_a_record_that_is_out_of_step(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.csv"
    path.write_text(
        "编号,户主,深度(米),电话,Nickname\n"
        "W1,张三,3,13812345678,Tiger\n"
        "W2,李四,3,13912345678\n"
        "W3,x,王五,3,13712345678,Lion\n"
        "李四,3\n",
        encoding="utf-8",
    )
    raw = read(path, contract, connection, SECRET)
    assert raw.read == 4
    assert raw.blocked == ("户主", "电话")
    assert raw.unknown == ("Nickname",)
    held = everything(connection)
    for secret in ("张三", "李四", "王五", "13812345678", "13912345678", "13712345678", "Tiger", "Lion"):
        assert secret not in held
    assert "W1" in held and "W3" in held


def test_a_household_becomes_a_pseudonym_and_free_text_is_masked_before_anything_is_stored(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.csv"
    path.write_text("编号,户编号,备注\nW1,H7,我叫张三，电话13812345678\nW2,H7,\nW3,,x\n", encoding="utf-8")
    raw = read(path, contract, connection, SECRET)
    first, second, third = column(connection, raw, "household")
    assert first == second == pseudonym(SECRET, " H7 ") != pseudonym(b"another key 1234", "H7")
    assert third == ""
    held = everything(connection)
    assert "H7" not in held and "张三" not in held and "13812345678" not in held


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("证号11010519491231002X。", "证号[证件号码]。"),
        ("证号110105194912310021。", "证号110105194912310021。"),
        ("打13812345678或0746-4212345", "打[电话]或[电话]"),
        ("手机138 1234 5678", "手机[电话]"),
        ("手机１３８１２３４５６７８", "手机[电话]"),
        ("卡号6222 0212 3456 7894 可退", "卡号[银行卡] 可退"),
        ("我叫欧阳小明，住东门", "我叫[姓名]，住东门"),
        ("姓名：李四 电话13912345678", "姓名：[姓名] 电话[电话]"),
        ("修渠120米，投资35000元", "修渠120米，投资35000元"),
    ],
)  # fmt: skip
def test_masking_takes_numbers_and_names_and_leaves_the_rest(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_the_checksum_of_an_id_number_is_gb_11643() -> None:
    assert valid_id_number("11010519491231002X") and valid_id_number("11010519491231002x")
    assert not valid_id_number("110105194912310020")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"  \n\n", "empty file"),
        (b"a,b\n1,2\n", "no headings of 'wells'"),
        ("深度(米),时间\n3,2024-01-01\n".encode(), "no column for well_id: expected one of 编号, well_id"),
        ('编号,深度(米)\nW1,"3\nW2,4\nW3,5\n'.encode(), "unclosed or stray quote in the record at line 2"),
        ('编号,深度(米)\nW1,"3"4\n'.encode(), "unclosed or stray quote in the record at line 2"),
        (
            '编号,深度(米),时间,备注\nW1,3,2024-01-01,"x\nW2,3,2024-01-01,y\nW3,3,2024-01-01,"\nW4,3,2024-01-01,z\n'.encode(),
            "unclosed quote in the record at line 2: it swallows the lines that follow",
        ),
        (b"PK\x03\x04 something", "a spreadsheet, not text"),
        (
            "编号,深度(米)\n村村村村村村村村村村村村村".encode() + b"\xe6\n",
            "not decodable as utf-8 at line 2",
        ),
    ],
)
def test_a_csv_that_cannot_be_trusted_is_refused_whole(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, content: bytes, reason: str
) -> None:
    path = tmp_path / "wells.csv"
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        read(path, contract, connection, SECRET)
    assert reason in refused.value.reason.en
    assert refused.value.reason.zh


def workbook(path: Path) -> None:
    book = xlsxwriter.Workbook(str(path))
    dates = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    cover = book.add_worksheet("说明")
    cover.write("A1", "填表说明")
    for number, name in enumerate(("一月", "二月"), start=1):
        sheet = book.add_worksheet(name)
        sheet.merge_range("A1:D1", "水井台账")
        sheet.write_row("A2", ["编号", "户主", "深度(米)", "时间"])
        sheet.write_row("A3", [1000 + number, "张三", 3.5])
        sheet.write_datetime("D3", datetime(2024, number, 5, 8, 30), dates)
        sheet.write_row("A4", ["合计", "", 3.5])
    book.close()


def test_an_xlsx_ledger_is_read_from_all_sheets_with_its_headings_below_a_merged_title(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.xlsx"
    workbook(path)
    raw = read(path, contract, connection, SECRET)
    assert (raw.read, raw.ignored) == (2, 2)
    assert column(connection, raw, "well_id") == ["1001", "1002"]
    assert column(connection, raw, "seen_at") == ["2024-01-05 08:30:00", "2024-02-05 08:30:00"]
    assert lines(connection) == [3, 3]
    assert "张三" not in everything(connection)


def test_ndjson_is_read_by_key_and_a_broken_line_is_marked_without_being_kept(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.ndjson"
    records = [
        {"编号": "W1", "深度(米)": 3.50, "户主": "张三"},
        {"well_id": 20240001, "登记时间": "2024-01-05"},
    ]
    text = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text(text + '\n\n{"户主": "李四", \n', encoding="utf-8")
    raw = read(path, contract, connection, SECRET)
    assert raw.read == 3
    assert lines(connection) == [1, 2, 4]
    columns = [f"coalesce({', '.join(raw.columns[name])})" for name in ("well_id", "depth", "seen_at")]
    rows = connection.execute(
        f"select _fault, {', '.join(columns)} from incoming_raw order by _row"
    ).fetchall()
    assert rows == [
        (None, "W1", "3.5", None),
        (None, "20240001", None, "2024-01-05"),
        ("json", None, None, None),
    ]
    assert "张三" not in everything(connection) and "李四" not in everything(connection)


def test_parquet_columns_become_text_and_only_mapped_ones_are_read(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.parquet"
    table = pa.table(
        {
            "编号": pa.array([1001.0, 1002.0, float("nan")]),
            "深度(米)": pa.array([3.5, None, 4.0]),
            "时间": pa.array([datetime(2024, 1, 5, 8, 30), None, datetime(2024, 1, 6)], pa.timestamp("us")),
            "登记时间": pa.array([None, date(2024, 1, 7), None], pa.date32()),
            "户主": ["张三", "李四", "王五"],
        }
    )
    pq.write_table(table, path)
    raw = read(path, contract, connection, SECRET)
    assert column(connection, raw, "well_id") == ["1001", "1002", None]
    assert column(connection, raw, "depth") == ["3.5", None, "4"]
    assert raw.columns["seen_at"] == ("c2", "c3")
    assert column(connection, raw, "seen_at") == ["2024-01-05 08:30:00", None, "2024-01-06 00:00:00"]
    assert raw.blocked == ("户主",) and "张三" not in everything(connection)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("wells.xlsx", b"not a workbook", "not a readable workbook"),
        ("wells.xlsx", b"PK\x03\x04 cut off", "not a readable workbook"),
        ("wells.parquet", b"PAR1 cut off", "not a readable Parquet file"),
        ("wells.ndjson", b"{\n[1]\nx\n", "no line is a JSON object"),
        ("wells.ndjson", b'{"a": 1}\n', "no headings of 'wells'"),
        ("wells.ndjson", b"\n\n", "empty file"),
    ],
)
def test_other_files_that_are_not_what_they_say_are_refused_whole(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    name: str,
    content: bytes,
    reason: str,
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        read(path, contract, connection, SECRET)
    assert reason in refused.value.reason.en
    assert refused.value.reason.zh


CELLS = st.text(alphabet='ab,;"\n\r\t 井合计0', max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8))
def test_whatever_a_csv_writer_writes_every_record_is_accounted_for_and_every_value_survives(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    rows: list[tuple[str, str, str]],
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["编号", "深度(米)", "时间"])
    writer.writerows(rows)
    path = tmp_path / "wells.csv"
    path.write_bytes(text.getvalue().encode("utf-8"))
    raw = read(path, contract, connection, SECRET)
    expected = [row for row in rows if "".join(next((c for c in row if c.strip()), "合计").split()) != "合计"]
    kept = connection.execute(
        "select c0, c1, c2 from incoming_raw where _fault is null order by _row"
    ).fetchall()
    assert kept == expected
    assert (raw.read, raw.ignored) == (len(expected), len(rows) - len(expected))
