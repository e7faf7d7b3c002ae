"""Checking: typed values, and all reasons for which a record is not kept."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.check import check
from pipelines.contract import Contract, read_contract
from pipelines.reading import Raw, Refused, read

NOW = datetime(2024, 6, 30, 12, 0)
WELLS = """
dataset = "wells"
label = { zh = "水井", en = "Wells" }
born = "seen_at"
drop = ["户主"]
[files]
match = ["wells*"]
[fields.well_id]
type = "code"
role = "key"
label = { zh = "编号", en = "Number" }
from = ["编号"]
required = true
pattern = "W[0-9]+"
[fields.place]
type = "code"
role = "place"
label = { zh = "网格", en = "Grid" }
from = ["网格"]
required = true
refers = "places"
[fields.state]
type = "int"
label = { zh = "状态", en = "State" }
from = ["状态"]
choices = [
    { code = "1", label = { zh = "有水", en = "wet" }, synonyms = ["ＯＫ"] },
    { code = "2", label = { zh = "干", en = "dry" } },
]
empty = ["未查"]
[fields.unit]
type = "text"
label = { zh = "单位", en = "Unit" }
from = ["单位"]
map = { "水" = "水利站" }
[fields.people]
type = "int"
label = { zh = "人数", en = "People" }
from = ["人数"]
min = 1
max = 5000
[fields.safe]
type = "bool"
label = { zh = "安全", en = "Safe" }
from = ["安全"]
[fields.depth]
type = "float"
label = { zh = "深度", en = "Depth" }
from = ["深度"]
[fields.built]
type = "date"
label = { zh = "建成", en = "Built" }
from = ["建成"]
[fields.seen_at]
type = "time"
role = "event"
label = { zh = "时间", en = "Seen" }
from = ["时间"]
default = "2024-06-01"
[fields.source]
type = "code"
label = { zh = "来源", en = "Source" }
constant = "survey"
[fields.later]
type = "text"
label = { zh = "以后", en = "Later" }
[[rules]]
name = "not_in_future"
check = "seen_at <= now"
label = { zh = "晚于当前时间", en = "in the future" }
[[rules]]
name = "dry_is_unsafe"
check = "state <> 2 or not safe"
label = { zh = "干井却安全", en = "dry but safe" }
"""
PLACES = """code,name_zh,name_en,source_code,valid_from,valid_to
A1,东村,East,E-1,,
A2,西村,West,,,2024-03-31
A3,同名,Twin,,,
A4,同名,Twin,,,
"""


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    path = tmp_path / "wells.toml"
    path.write_text(WELLS, encoding="utf-8")
    return read_contract(path)


@pytest.fixture
def connection(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    path = tmp_path / "places.csv"
    path.write_text(PLACES, encoding="utf-8")
    connection = duckdb.connect()
    connection.execute(
        "create table rec_places as select * from read_csv($path, header = true, columns = {code: 'varchar', "
        "name_zh: 'varchar', name_en: 'varchar', source_code: 'varchar', valid_from: 'date', valid_to: 'date'})",
        {"path": str(path)},
    )
    return connection


def named(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    found = connection.execute(sql)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def checked(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, text: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(kept, quarantined) of a CSV as rows with names."""
    path = tmp_path / "wells.csv"
    path.write_text(text, encoding="utf-8")
    result = check(read(path, contract, connection, b"secret"), contract, connection, NOW)
    good, bad = (
        named(connection, f"select * from {table} order by all") for table in (result.good, result.bad)
    )
    assert (result.kept, result.quarantined) == (len(good), len(bad))
    return good, bad


def test_a_record_becomes_typed_values(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    good, bad = checked(
        tmp_path,
        contract,
        connection,
        "编号,网格,状态,单位,人数,安全,深度,建成,时间\n"
        'W1,A1,有水,水,"1,200",是,3.5,2020年5月6日,2024/1/5 8:05\n'
        "　Ｗ２ ,A1,未查,村,１２,×,,,\n",
    )
    assert bad == []
    assert good == [
        {
            "_row": 1, "well_id": "W1", "place": "A1", "state": 1, "unit": "水利站", "people": 1200, "safe": True,
            "depth": 3.5, "built": date(2020, 5, 6), "seen_at": datetime(2024, 1, 5, 8, 5), "source": "survey",
        },
        {
            "_row": 2, "well_id": "W2", "place": "A1", "state": None, "unit": "村", "people": 12, "safe": False,
            "depth": None, "built": None, "seen_at": datetime(2024, 6, 1), "source": "survey",
        },
    ]  # fmt: skip


def test_a_bad_record_is_quarantined_with_all_its_reasons_its_line_and_its_raw_text(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    good, bad = checked(
        tmp_path,
        contract,
        connection,
        "编号,户主,网格,状态,人数,安全,深度,建成,时间\n"
        "W1,张三,A1,干,1,否,1,2020-01-01,2024-01-01\n"
        'X9,李四,A9,湿,0,或许,"3,5m",2020-02-30,2024-13-01\n'
        ",王五,,干,6000,是,,,2024-07-01\n"
        "W4,A1\n",
    )
    assert [row["well_id"] for row in good] == ["W1"]
    assert bad == [
        {
            "row": 2,
            "line": 3,
            "raw": '{"编号":"X9","网格":"A9","状态":"湿","人数":"0","安全":"或许","深度":"3,5m",'
            '"建成":"2020-02-30","时间":"2024-13-01"}',
            "reasons": [
                "pattern:well_id", "refers:place", "choice:state", "min:people", "type:safe", "type:depth",
                "type:built", "type:seen_at",
            ],
        },
        {
            "row": 3,
            "line": 4,
            "raw": '{"编号":"","网格":"","状态":"干","人数":"6000","安全":"是","深度":"","建成":"","时间":"2024-07-01"}',
            "reasons": ["required:well_id", "required:place", "max:people", "not_in_future", "dry_is_unsafe"],
        },
        {"row": 4, "line": 5, "raw": "(2 of 9 columns) ,…", "reasons": ["columns"]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2024-01-05", datetime(2024, 1, 5)),
        ("2024-1-5 8:05", datetime(2024, 1, 5, 8, 5)),
        ("2024-01-05T08:05:09", datetime(2024, 1, 5, 8, 5, 9)),
        ("2024-01-05 08:05:09.250", datetime(2024, 1, 5, 8, 5, 9, 250000)),
        ("2024/1/5", datetime(2024, 1, 5)),
        ("2024/1/5 8:05", datetime(2024, 1, 5, 8, 5)),
        ("2024/01/05 08:05:09", datetime(2024, 1, 5, 8, 5, 9)),
        ("2024年1月5日", datetime(2024, 1, 5)),
        ("2024年1月5日 8:05", datetime(2024, 1, 5, 8, 5)),
        ("2024年1月5日8时5分", datetime(2024, 1, 5, 8, 5)),
        ("２０２４－０１－０５", datetime(2024, 1, 5)),
        ("2024.1.5", datetime(2024, 1, 5)),
        ("20240105", datetime(2024, 1, 5)),
        ("20240105080509", datetime(2024, 1, 5, 8, 5, 9)),
        ("2024-02-30", None),
        ("2024-01-05 24:00", None),
        ("2024-01-05 24:00:00", None),
        ("2024-01-05 08:05:61", None),
        ("2024-01-05 08:05:09+08:00", datetime(2024, 1, 5, 8, 5, 9)),
        ("2024-01-05T00:05:09Z", datetime(2024, 1, 5, 8, 5, 9)),
        ("2024-01-05T00:05:09.5+0000", datetime(2024, 1, 5, 8, 5, 9, 500000)),
        ("2024-01-04 18:05-06", datetime(2024, 1, 5, 8, 5)),
        ("2024-01-05 08:05+99:00", None),
        ("2024/1/5 下午 3:20", datetime(2024, 1, 5, 15, 20)),
        ("2024年1月5日 下午3时20分", datetime(2024, 1, 5, 15, 20)),
        ("2024-01-05 下午15:20", datetime(2024, 1, 5, 15, 20)),
        ("2024-01-05 上午15:20", None),
        ("2024-01-05 3:20:00 PM", datetime(2024, 1, 5, 15, 20)),
        ("2024-01-05 12:30 a.m.", datetime(2024, 1, 5, 0, 30)),
        ("2024-01-05 下午", None),
        ("2024年1月5日 星期五", datetime(2024, 1, 5)),
        ("2024年1月7日 星期日", datetime(2024, 1, 7)),
        ("2024-01-05（周五）8:05", datetime(2024, 1, 5, 8, 5)),
        ("2024年1月5日 星期四", None),
        ("1/5/2024", None),
        ("5-Jan-24", None),
        ("24-1-5", None),
        ("0024-01-05", None),
        ("2024105", None),
        ("2024年1月", None),
        ("昨天", None),
        ("45296", None),
    ],
)
def test_dates_are_read_as_offices_write_them_and_nothing_is_guessed(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    said: str,
    meant: datetime | None,
) -> None:
    good, bad = checked(tmp_path, contract, connection, f"编号,网格,时间\nW1,A1,{said}\nW2,A1,2024-06-01\n")
    good = [row for row in good if row["well_id"] == "W1"]
    assert [row["seen_at"] for row in good] == ([] if meant is None else [meant])
    assert [row["reasons"] for row in bad] == ([["type:seen_at"]] if meant is None else [])


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("3", 3),
        ("3.0", 3),
        ("+3", 3),
        ("1,234", 1234),
        ("是", 1),
        ("3.7", None),
        ("1,2", None),
        ("3人", None),
    ],
)
def test_a_whole_number_is_never_rounded(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, said: str, meant: int | None
) -> None:
    good, bad = checked(tmp_path, contract, connection, f'编号,网格,人数\nW1,A1,"{said}"\n')
    assert [row["people"] for row in good] == ([] if meant is None else [meant])
    assert [row["reasons"] for row in bad] == ([["type:people"]] if meant is None else [])


def test_a_place_is_known_by_code_then_by_a_name_that_only_it_has_then_by_the_sources_code(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    words = ["A1", "东村", " EAST ", "e-1", "A3", "同名", "Twin", "北村"]
    lines = [f"W{number},{said}" for number, said in enumerate(words, start=1)]
    good, bad = checked(tmp_path, contract, connection, "编号,网格\n" + "\n".join(lines) + "\n")
    assert [(row["well_id"], row["place"]) for row in good] == [
        ("W1", "A1"), ("W2", "A1"), ("W3", "A1"), ("W4", "A1"), ("W5", "A3"),
    ]  # fmt: skip
    assert [(row["raw"], row["reasons"]) for row in bad] == [
        ('{"编号":"W6","网格":"同名"}', ["refers:place"]),
        ('{"编号":"W7","网格":"Twin"}', ["refers:place"]),
        ('{"编号":"W8","网格":"北村"}', ["refers:place"]),
    ]


def test_a_record_of_a_closed_place_is_kept_when_it_was_born_while_the_place_was_valid(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    good, bad = checked(
        tmp_path, contract, connection, "编号,网格,时间\nW1,A2,2024-03-31 23:00\nW2,A2,2024-04-01\n"
    )
    assert [row["well_id"] for row in good] == ["W1"]
    assert [row["reasons"] for row in bad] == [["refers:place"]]


def test_without_any_place_loaded_every_reference_fails(tmp_path: Path, contract: Contract) -> None:
    _, bad = checked(tmp_path, contract, duckdb.connect(), "编号,网格\nW1,A1\n")
    assert [row["reasons"] for row in bad] == [["refers:place"]]


def test_a_file_without_a_required_column_is_refused_and_without_an_optional_one_is_not(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    with pytest.raises(Refused, match="no column for place"):
        checked(tmp_path, contract, connection, "编号,状态\nW1,干\n")
    good, _ = checked(tmp_path, contract, connection, "编号,网格\nW1,A1\n")
    assert good[0]["state"] is None


def test_words_that_look_like_sql_are_only_words(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    evil = "'); drop table rec_places; --"
    good, _ = checked(tmp_path, contract, connection, f"编号,网格,单位\nW1,A1,{evil}\n")
    assert good[0]["unit"] == evil
    assert connection.execute("select count(*) from rec_places").fetchall() == [(4,)]


def variant(tmp_path: Path, **changes: str) -> Contract:
    """WELLS with the text after each named field's `from` line, or of a table at its end."""
    text = WELLS
    for name, more in changes.items():
        if name in ("deleted", "rules"):
            text += more
        else:
            head, mark, tail = text.partition(f"[fields.{name}]\n")
            assert mark, name
            text = f"{head}{mark}{more}\n{tail}"
    path = tmp_path / "variant.toml"
    path.write_text(text, encoding="utf-8")
    return read_contract(path)


def judged(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, text: str
) -> tuple[list[str], dict[str, list[str]], dict[str, int]]:
    """(wells kept, well → reasons, warnings) of a CSV."""
    path = tmp_path / "wells.csv"
    path.write_text(text, encoding="utf-8")
    result = check(read(path, contract, connection, b"secret"), contract, connection, NOW)
    kept = connection.execute(f"select well_id from {result.good} order by _row").fetchall()
    bad = connection.execute(f"select json_extract_string(raw, '编号'), reasons from {result.bad}").fetchall()
    return [row[0] for row in kept], dict(bad), dict(result.warned)


def test_a_severity_of_warn_keeps_the_record_and_counts_it(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    contract = variant(
        tmp_path,
        people='severity = "warn"',
        state='severity = "warn"',
        rules='[[rules]]\nname = "few"\ncheck = "people < 100"\nlabel = { zh = "多", en = "many" }\nseverity = "warn"\n',
    )
    lines = ["W1,A1,干,5", "W2,A1,湿,6000", "W3,A1,湿,200", "W4,A1,干,五", "X5,A1,湿,9000"]
    kept, bad, warned = judged(
        tmp_path, contract, connection, "编号,网格,状态,人数\n" + "\n".join(lines) + "\n"
    )
    assert kept == ["W1", "W2", "W3"]
    assert bad == {"W4": ["type:people"], "X5": ["pattern:well_id"]}
    assert warned == {"choice:state": 2, "few": 2, "max:people": 1}
    assert connection.execute("select state from incoming_good order by _row").fetchall() == [
        (2,),
        (None,),
        (None,),
    ]


def test_what_is_required_rejects_even_where_its_severity_is_warn(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    contract = variant(tmp_path, place='severity = "warn"')
    text = "编号,网格,时间\nW1,A9,2024-06-01\nW2,,2024-06-01\nW3,A2,2024-06-01\n"
    kept, bad, warned = judged(tmp_path, contract, connection, text)
    assert kept == ["W3"]
    assert bad == {"W1": ["refers:place"], "W2": ["required:place"]}
    assert warned == {"refers:place": 1}


def test_a_unique_value_under_a_second_key_is_not_kept_and_under_the_same_key_it_is(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    text = "编号,网格,单位\nX1,A1,甲\nW1,A1,甲\nW2,A1,乙\nW3,A1,甲\nW1,A1,甲\nW4,A9,乙\nW5,A1,\nW6,A1,\n"
    kept, bad, _ = judged(tmp_path, variant(tmp_path, unit="unique = true"), connection, text)
    assert kept == ["W1", "W2", "W1", "W5", "W6"]
    assert bad == {"X1": ["pattern:well_id"], "W3": ["unique:unit"], "W4": ["refers:place"]}
    softer = variant(tmp_path, unit='unique = true\nseverity = "warn"')
    kept, bad, warned = judged(tmp_path, softer, connection, text)
    assert kept == ["W1", "W2", "W3", "W1", "W5", "W6"]
    assert warned == {"unique:unit": 1}


@pytest.mark.parametrize(
    "deleted",
    [
        "[deleted]\nwhen = \"unit = '作废'\"\n",
        '[deleted]\nfield = "unit"\nvalues = ["作废", "删除"]\n',
    ],
)
def test_a_removal_is_marked_and_needs_nothing_but_its_key(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, deleted: str
) -> None:
    text = "编号,网格,单位,人数\nW1,A1,村,1\nW2,,作废,\nX3,A1,作废,1\nW4,A1,作废,9000\n"
    kept, bad, _ = judged(tmp_path, variant(tmp_path, deleted=deleted), connection, text)
    assert kept == ["W1", "W2", "W4"]
    assert bad == {"X3": ["pattern:well_id"]}
    assert connection.execute("select well_id from incoming_good where _deleted").fetchall() == [
        ("W2",),
        ("W4",),
    ]


def test_a_class_that_means_removed_is_named_by_any_of_its_words(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    deleted = '[deleted]\nfield = "state"\nvalues = ["ok"]\n'
    text = "编号,网格,状态\nW1,A1,有水\nW2,A1,干\n"
    kept, _, _ = judged(tmp_path, variant(tmp_path, deleted=deleted), connection, text)
    assert kept == ["W1", "W2"]
    assert connection.execute("select well_id from incoming_good where _deleted").fetchall() == [("W1",)]


def test_a_rule_that_cannot_be_worked_out_is_not_satisfied_and_stops_nothing(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    rule = (
        '[[rules]]\nname = "number"\ncheck = "cast(unit as int) > 3"\nlabel = { zh = "数", en = "number" }\n'
    )
    text = "编号,网格,单位\nW1,A1,4\nW2,A1,村\nW3,A1,2\nW4,A1,\n"
    kept, bad, _ = judged(tmp_path, variant(tmp_path, rules=rule), connection, text)
    assert kept == ["W1", "W4"]
    assert bad == {"W2": ["number"], "W3": ["number"]}


def test_a_name_means_the_place_that_had_it_on_the_day_and_a_closed_one_names_its_successor(
    tmp_path: Path, contract: Contract
) -> None:
    connection = duckdb.connect()
    connection.execute(
        "create table rec_places as select * from (values"
        " ('B1', '一格', null, null, null, date '2024-03-31', 'B2'),"
        " ('B2', '一格', null, null, date '2024-04-01', null, null),"
        " ('B3', '二格', null, null, null, date '2023-12-31', 'B4'),"
        " ('B4', '新二格', null, null, date '2024-01-01', date '2024-02-29', 'B5'),"
        " ('B5', '最新二格', null, null, date '2024-03-01', null, null))"
        " t(code, name_zh, name_en, source_code, valid_from, valid_to, successor)"
    )
    lines = [
        "W1,一格,2024-03-31", "W2,一格,2024-04-01", "W3,B1,2024-05-01", "W4,B3,2024-01-15", "W5,二格,2024-06-01",
        "W6,B2,2024-01-01",
    ]  # fmt: skip
    good, bad = checked(tmp_path, contract, connection, "编号,网格,时间\n" + "\n".join(lines) + "\n")
    assert [(row["well_id"], row["place"]) for row in good] == [("W1", "B1"), ("W2", "B2")]
    assert [row["reasons"] for row in bad] == [
        ["ended:place:B2 一格"], ["ended:place:B4 新二格"], ["ended:place:B5 最新二格"], ["refers:place"],
    ]  # fmt: skip


def test_times_with_an_offset_become_the_sites_own_and_know_its_summer_time(
    tmp_path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "wells.csv"
    path.write_text(
        "编号,网格,时间\nW1,A1,2024-01-05T12:00:00Z\nW2,A1,2024-06-05T12:00:00Z\n", encoding="utf-8"
    )
    check(read(path, contract, connection, b"secret"), contract, connection, NOW, "America/New_York")
    assert connection.execute("select seen_at from incoming_good order by _row").fetchall() == [
        (datetime(2024, 1, 5, 7),), (datetime(2024, 6, 5, 8),),
    ]  # fmt: skip


CELLS = st.one_of(
    st.sampled_from(
        ["W1", "A1", "A2", "干", "5", "9000", "是", "1e400", "2024-06-01", "2024-06-01 下午 1:00", "'"]
    ),
    st.text(alphabet='W1A-:+Z,上午周日\u3000\u200b"\\$\x00𠀀', max_size=6).map(
        lambda t: t.replace("\x00", "")
    ),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(*[CELLS] * 9), min_size=1, max_size=8))
def test_every_record_is_kept_or_has_a_reason(
    tmp_path: Path,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    rows: list[tuple[str, ...]],
) -> None:
    headings = ["编号", "网格", "状态", "单位", "人数", "安全", "深度", "建成", "时间"]
    columns = ", ".join(f"c{number} varchar" for number in range(9))
    connection.execute(
        f"create or replace temp table incoming_raw (_row bigint, _line bigint, _fault varchar, _raw varchar, {columns})"
    )
    connection.executemany(
        f"insert into incoming_raw values (?, ?, null, null{', ?' * 9})",
        [(number, number, *row) for number, row in enumerate(rows, start=1)],
    )
    names = ["well_id", "place", "state", "unit", "people", "safe", "depth", "built", "seen_at"]
    raw = Raw(
        table="incoming_raw", columns={name: (f"c{number}",) for number, name in enumerate(names)},
        headings=tuple(headings), form="csv", read=len(rows), ignored=0, unknown=(), blocked=(),
    )  # fmt: skip
    result = check(raw, contract, connection, NOW)
    assert result.kept + result.quarantined == len(rows)
    rows_of = f"select _row from {result.good} union all select row from {result.bad}"
    assert sorted(connection.execute(rows_of).fetchall()) == [(number + 1,) for number in range(len(rows))]
    assert connection.execute(f"select count(*) from {result.bad} where len(reasons) = 0").fetchall() == [
        (0,)
    ]
