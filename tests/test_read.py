"""Reading: every form of file, and what refuses a whole one."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import Contract, read_contract
from pipelines.privacy import pseudonym
from pipelines.reading import Raw, Refused, decoding, read, text
from warehouse.masking import SUSPECT, mask, valid_id_number
from warehouse.mistake import Mistake

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
        ("证号１１０１０５１９４９１２３１００２Ｘ", "证号[证件号码]"),
        ("证号110105 19491231 002X", "证号[证件号码]"),
        ("旧证110105490101001", "旧证[证件号码]"),
        ("+86 138-1234-5678，(0746)4212345", "[电话]，[电话]"),
        ("138\u200b1234\ufeff5678", "[电话]"),
        ("1 3 8 1 2 3 4 5 6 7 8", "[电话]"),
        ("2024-01-05 13812345678来电", "2024-01-05 [电话]来电"),
        ("电话4212345转8", "电话[电话]转8"),
        ("申请人：王小二、李四，户主 周五", "申请人：[姓名]、[姓名]，户主 [姓名]"),
        ("姓名：张　三 男", "姓名：[姓名] 男"),
        ("Name: John Smith, tel 4212345", "Name: [姓名], tel [电话]"),
        ("联系人电话不详，姓名：不详", "联系人电话不详，姓名：不详"),
        ("案号SJ20240105000123，2024-01-05 13:20办理", "案号SJ20240105000123，2024-01-05 13:20办理"),
        ("案号431122240105001于电话2024-01-05回访", "案号431122240105001于电话2024-01-05回访"),
        ("工单2024010512345678901", "工单2024010512345678901"),
        ("经度111.612345，纬度26.123456", "经度111.612345，纬度26.123456"),
        ("编号１２ 没有个人信息", "编号１２ 没有个人信息"),
    ],
)  # fmt: skip
def test_masking_takes_numbers_and_names_and_leaves_the_rest(text: str, masked: str) -> None:
    assert mask(text) == masked


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet="0123456789１Ｘ X-\u200b\u3000（)+.，姓名我叫:户主张三电话tel\n", max_size=40)
    | st.from_regex(r"\A(\+86|0746|电话)?[- ]?1[3-9]([- \u200b]?[0-9]){9,16}[Xx]?\Z")
)
def test_what_sql_passes_over_holds_nothing_to_mask(text: str) -> None:
    suspect = duckdb.execute("select regexp_matches($text, $suspect)", {"text": text, "suspect": SUSPECT})
    assert suspect.fetchall() == [(True,)] or mask(text) == text


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


def rows(connection: duckdb.DuckDBPyConnection, raw: Raw, *fields: str) -> list[tuple[object, ...]]:
    """(_row, _line, fault, fields …) of every record, in order."""
    wanted = ", ".join(raw.columns[field][0] for field in fields)
    return connection.execute(
        f"select _row, _line, _fault, {wanted} from {raw.table} order by _row"
    ).fetchall()


@pytest.mark.parametrize(
    ("content", "expected", "ignored"),
    [
        ("编号,深度(米)\rW1,3\rW2,4\r", [(1, 2, None, "W1", "3"), (2, 3, None, "W2", "4")], 0),
        ("编号,深度(米)\nW1,3\r\nW2,4\rW3,5", [(1, 2, None, "W1", "3"), (2, 3, None, "W2", "4"), (3, 4, None, "W3", "5")], 0),
        ('编号,深度(米)\r\nW1,"a\nb"\r\nW2,4\r\n', [(1, 2, None, "W1", "a\nb"), (2, 4, None, "W2", "4")], 0),
        ('"编号","深度(米)"\n"W1","a\r\nb"\n"W2","4"\n', [(1, 2, None, "W1", "a\r\nb"), (2, 4, None, "W2", "4")], 0),
        ("编号,深度(米)\nW1,3\n\n\nW2,4\n\n", [(1, 2, None, "W1", "3"), (2, 5, None, "W2", "4")], 0),
        ("编号,深度(米)\nW1,3\n编号,深度(米)\nW2,4\n", [(1, 2, None, "W1", "3"), (2, 4, None, "W2", "4")], 1),
        ("序号,编号,深度(米)\n1,W1,3\n小计,,3\n2,W2,4\n　,,\n总 计,,7\n", [(1, 2, None, "W1", "3"), (2, 4, None, "W2", "4")], 3),
        ("编号,深度(米),,\nW1,3,,\nW2,4\nW3,5,,x\n", [(1, 2, None, "W1", "3"), (2, 3, None, "W2", "4"), (3, 4, None, "W3", "5")], 0),
        ("编号,深度(米)\nW1,3,,\nW2,4,x\nW3\n", [(1, 2, None, "W1", "3"), (2, 3, "columns", "", ""), (3, 4, "columns", "", "")], 0),
        ("基本情况,,\n编号,户主,深度(米)\nW1,x,3\n", [(1, 3, None, "W1", "3")], 0),
        ("编号,水井,,\n,深度(米),时间,备注\nW1,3,,x\n", [(1, 3, None, "W1", "3")], 0),
        ('"编\n号","深度\n(米)"\nW1,3\n', [(1, 4, None, "W1", "3")], 0),
        ('编号\t深度(米)\nW1\t5" pipe\nW2\t"4"\n', [(1, 2, None, "W1", '5" pipe'), (2, 3, None, "W2", "4")], 0),
        ('编号|深度(米)\nW1| "3"\n', [(1, 2, None, "W1", ' "3"')], 0),
        ("编号,深度(米)\n", [], 0),
    ],
    ids=["lone returns", "mixed line ends", "LF within CRLF", "CRLF within LF", "blank lines", "headings repeated",
         "totals below another column", "columns without heading", "ragged", "merged heading above",
         "headings in two rows", "line ends in headings", "stray quote in a cell", "blank before a quote", "no record"],
)  # fmt: skip
def test_what_tables_from_offices_look_like_has_a_defined_outcome(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    content: str,
    expected: list[tuple[object, ...]],
    ignored: int,
) -> None:
    path = tmp_path / "wells.csv"
    path.write_bytes(content.encode("utf-8"))
    raw = read(path, contract, connection, SECRET)
    assert (rows(connection, raw, "well_id", "depth"), raw.ignored) == (expected, ignored)
    assert raw.read == len(expected)


def test_a_delimiter_that_the_contract_states_is_the_only_one(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.toml"
    path.write_text(WELLS.replace("[files]", "[files]\ndelimiter = '~'"), encoding="utf-8")
    contract = read_contract(path)
    path = tmp_path / "wells.csv"
    path.write_text("编号~深度(米)\nW,1~3\n", encoding="utf-8")
    assert rows(connection, read(path, contract, connection, SECRET), "well_id") == [(1, 2, None, "W,1")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xbb" + PLAIN.encode("gb18030"), "not decodable as gb18030 at line 1"),
        ((PLAIN + "W3,\0\n").encode(), "a NUL character at line 4: damaged, or not text"),
        ((PLAIN + "W3,\0\n").encode("utf-16"), "a NUL character at line 4"),
        ("编号码,深度(米),时间\nW1,3,\n".encode(), "the file has '编号码': did you mean '编号'?"),
        (b"<html><table><tr><td>W1</td></tr></table>", "a web page (HTML)"),
        (b"%PDF-1.7 x", "not a text file"),
        (b"x" * 3_000, "a line of more than"),
    ],
)
def test_files_that_are_no_tables_are_refused_in_plain_words(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    reason: str,
) -> None:
    monkeypatch.setattr(decoding, "BLOCK", 2_000)
    path = tmp_path / "wells.csv"
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        read(path, contract, connection, SECRET)
    assert reason in refused.value.reason.en


def test_a_link_or_a_pipe_is_refused_and_never_opened(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    (tmp_path / "outside").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "wells.csv").symlink_to(tmp_path / "outside")
    os.mkfifo(tmp_path / "wells_pipe.csv")
    for name in ("wells.csv", "wells_pipe.csv"):
        with pytest.raises(Refused, match="a link, pipe or device, not a file"):
            read(tmp_path / name, contract, connection, SECRET)


def test_a_file_that_changes_while_it_is_read_is_to_be_read_again(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "wells.csv"
    path.write_text(PLAIN, encoding="utf-8")
    found = text.survey

    def grown(*of: object) -> object:
        with path.open("a", encoding="utf-8") as file:
            file.write("W3,5\n")
        return found(*of)  # type: ignore[arg-type]

    monkeypatch.setattr(text, "survey", grown)
    with pytest.raises(Mistake, match="changed while it was read"):
        read(path, contract, connection, SECRET)


def test_the_members_of_an_archive_are_one_file_and_what_they_held_is_gone(
    tmp_path: Path, contract: Contract
) -> None:
    path = tmp_path / "wells.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("一.csv", PLAIN)
        archive.writestr("二.csv", "时间,编号\n2024-01-01,W3\n".encode("gb18030"))
    temp = tmp_path / "temp"
    # No process has this number.
    (temp / f"parts-{2**30}-killed").mkdir(parents=True)
    with duckdb.connect(tmp_path / "own.duckdb", config={"temp_directory": str(temp)}) as connection:
        raw = read(path, contract, connection, SECRET)
        assert rows(connection, raw, "well_id", "depth", "seen_at") == [
            (1, 2, None, "W1", "3.5", None),
            (2, 3, None, "W2", "4", None),
            (3, 2, None, "W3", None, "2024-01-01"),
        ]
        assert list(temp.glob("parts-*")) == []
        path = tmp_path / "wells.csv.gz"
        path.write_bytes(gzip.compress(PLAIN.encode()))
        assert read(path, contract, connection, SECRET).read == 2
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("一.csv", PLAIN)
            archive.writestr("二.csv", "x\n1\n")
        with pytest.raises(Refused, match="file 2 of 2 in the archive: no headings"):
            read(path, contract, connection, SECRET)
        assert list(temp.glob("*")) == []


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
    # Two rows of totals and the line of the cover sheet.
    assert (raw.read, raw.ignored) == (2, 3)
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


def test_parquet_values_read_as_a_csv_would_have_them(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells[1].parquet"
    moment = datetime(2024, 1, 5, 16, 30, tzinfo=UTC)
    table = pa.table(
        {
            "编号": pa.array(["W1", "W2", "W1"]).dictionary_encode(),
            "深度(米)": pa.array([Decimal("3.00"), Decimal("3.25"), None]),
            "时间": pa.array([moment, None, moment], pa.timestamp("ms", "Asia/Shanghai")),
            "户编号": pa.array([b" H7", b"H8", None]),
            "备注": pa.array([{"井": [1, 2]}, None, {"井": []}]),
        }
    )
    pq.write_table(table, path, row_group_size=2)
    raw = read(path, contract, connection, SECRET)
    assert rows(connection, raw, "well_id", "depth", "seen_at", "household", "remark") == [
        (1, 1, None, "W1", "3", "2024-01-05 16:30:00Z", pseudonym(SECRET, "H7"), '{"井":[1,2]}'),
        (2, 2, None, "W2", "3.25", None, pseudonym(SECRET, "H8"), None),
        (3, 3, None, "W1", None, "2024-01-05 16:30:00Z", None, '{"井":[]}'),
    ]


CELLS = st.text(alphabet='ab,;"\n\r\t 井合计0', max_size=6)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.text(max_size=8) | st.sampled_from([" H7 ", "\u3000H7\u2003", "\x1fH\x85"]), max_size=5
    )
)
def test_a_pseudonym_made_in_sql_is_the_one_made_in_python(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, values: list[str]
) -> None:
    path = tmp_path / "wells.parquet"
    pq.write_table(pa.table({"编号": [str(at) for at in range(len(values))], "户编号": values}), path)
    raw = read(path, contract, connection, SECRET)
    assert column(connection, raw, "household") == [pseudonym(SECRET, value) for value in values]


HEADINGS = ("编号", "深度(米)", "时间", "备注", "户主", "")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(st.lists(CELLS, min_size=3, max_size=7), max_size=7),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-be"]),
    block=st.sampled_from([97, 1_000, 1 << 20]),
    fault=st.none() | st.tuples(st.integers(0, 200), st.sampled_from('"\n\r,')),
)
def test_duckdb_and_the_exact_reader_find_the_same_records_or_refuse_alike(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    table: list[list[str]],
    delimiter: str,
    end: str,
    quoting: int,
    encoding: str,
    block: int,
    fault: tuple[int, str] | None,
) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([HEADINGS, *table])
    content = written.getvalue()
    if fault is not None:
        at = fault[0] % len(content)
        content = content[:at] + fault[1] + content[at:]
    path = tmp_path / "wells.csv"
    path.write_bytes(content.encode(encoding))

    def found() -> object:
        try:
            raw = read(path, contract, connection, SECRET)
        except Refused as refused:
            return refused.reason.en
        everything = connection.execute("select * from incoming_raw order by _row").fetchall()
        return raw.read, raw.ignored, raw.headings, everything

    def irregular(*_: object) -> None:
        raise text._Irregular

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "BLOCK", block)
        native = found()
        patch.setattr(text, "_natively", irregular)
        assert native == found()


def test_a_regular_file_is_not_left_to_the_exact_reader(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exact(*_: object) -> None:
        raise AssertionError("read row by row")

    monkeypatch.setattr(text, "_exactly", exact)
    path = tmp_path / "wells.csv"
    wells = [f'W{at},"{at}"' if at % 7 else f"W{at}" for at in range(5_000)]
    path.write_text("台账\n编号,深度(米)\n\n" + "\n".join(wells) + "\n合计,1\n", encoding="gb18030")
    raw = read(path, contract, connection, SECRET)
    assert (raw.read, raw.ignored) == (5_000, 1)
    assert rows(connection, raw, "well_id") == [
        (at + 1, at + 4, None if at % 7 else "columns", f"W{at}" if at % 7 else "") for at in range(5_000)
    ]
