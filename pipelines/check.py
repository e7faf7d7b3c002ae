"""Contract → SQL: typed columns and every reason for which a record is not kept.

The statement is made of the contract's own names (validated when it was read) and macros; every value
(words, patterns, limits, the clock) is bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb

from pipelines.contract import Contract, FieldRule, word
from pipelines.reading import Raw
from warehouse.dataset import DUCK_TYPES

GOOD = "incoming_good"
BAD = "incoming_bad"
_WHITE = " \t\r\n\v\f\u3000\u00a0\ufeff"
_WIDE = "".join(chr(0xFF01 + at) for at in range(94))
_NARROW = "".join(chr(0x21 + at) for at in range(94))

MACROS = (
    # Without white space at the ends, the ideographic and the non-breaking one too; null where nothing is left.
    f"""create or replace temp macro bare(x) as nullif(case
            when regexp_matches(x, '^[{_WHITE}]|[{_WHITE}]$') then trim(x, '{_WHITE}') else x end, '')""",
    # Full-width → half-width: what NFKC does to digits, letters and signs (translate is slow: only if needed).
    f"""create or replace temp macro narrow(x) as case when regexp_matches(x, '[！-～]')
            then translate(x, '{_WIDE}', '{_NARROW.replace("'", "''")}') else x end""",
    # 2024-1-5, 2024/1/5 8:05, 2024年1月5日 8时5分, 20240105, 2024.1.5, ISO with T.
    """create or replace temp macro plain_time(x) as
            case when strlen(x) = length(x) then replace(replace(x, '/', '-'), 'T', ' ')
            else rtrim(replace(translate(x, '年月/日号T时点分秒', '---   :::'), '  ', ' '), ' :') end""",
    """create or replace temp macro as_time(x) as case
            when contains(x, '-') then try_strptime(x, [
                '%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M', '%Y-%m-%d', '%Y-%m-%d%H:%M', '%Y-%m-%d %H:%M:%S.%f'])
            when contains(x, '.') then try_strptime(x, ['%Y.%m.%d', '%Y.%m.%d %H:%M', '%Y.%m.%d %H:%M:%S'])
            when length(x) in (8, 14) then try_strptime(x, ['%Y%m%d', '%Y%m%d%H%M%S']) end""",
    r"""create or replace temp macro as_int(x) as case
            when regexp_full_match(x, '[+-]?(\d{1,18}|\d{1,3}(,\d{3}){1,5})(\.0+)?')
            then try_cast(split_part(replace(x, ',', ''), '.', 1) as bigint)
            when x = '是' then 1 when x = '否' then 0 end""",
    r"""create or replace temp macro as_float(x) as case
            when regexp_full_match(x, '[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?([eE][+-]?\d{1,3})?')
             and isfinite(try_cast(replace(x, ',', '') as double))
            then try_cast(replace(x, ',', '') as double) end""",
    """create or replace temp macro as_bool(x) as case
            when lower(x) in ('是', 'y', 'yes', '1', 'true', '√', '有') then true
            when lower(x) in ('否', 'n', 'no', '0', 'false', '×', '无') then false end""",
)
_PARSE = {
    "code": "{}",
    "text": "{}",
    "int": "as_int({})",
    "float": "as_float({})",
    "bool": "as_bool({})",
    "date": "cast(as_time({}) as date)",
    "time": "as_time({})",
}


@dataclass(frozen=True)
class Checked:
    """Temporary tables. `good`: the dataset's fields, typed, and `_row`. `bad`: row, line, raw, reasons."""

    good: str
    bad: str
    kept: int
    quarantined: int


def check(raw: Raw, contract: Contract, connection: duckdb.DuckDBPyConnection, now: datetime) -> Checked:
    """Judge every record of a raw table: kept + quarantined = read.

    Reasons: `required:F`, `type:F`, `choice:F`, `refers:F`, `pattern:F`, `min:F`, `max:F`, the name of a
    rule, or the fault found in reading (`columns`, `json`).
    """
    for macro in MACROS:
        connection.execute(macro)
    _clean(raw, contract, connection)
    _look_up(contract, connection)
    _judge(contract, connection, now)
    _split(raw, contract, connection)
    kept, quarantined = (_count(connection, table) for table in (GOOD, BAD))
    if kept + quarantined != raw.read:
        raise RuntimeError(f"{contract.name}: {raw.read} read, but {kept} kept and {quarantined} quarantined")
    return Checked(GOOD, BAD, kept, quarantined)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()  # noqa: S608 - our own table names
    return int(row[0]) if row else 0


def _clean(raw: Raw, contract: Contract, connection: duckdb.DuckDBPyConnection) -> None:
    """TEMP incoming_clean: `x_<field>` = what the source says, trimmed; null where it says nothing."""
    bound: dict[str, Any] = {}
    columns: list[str] = []
    for name, rule in contract.fields.items():
        if rule.constant is not None and rule.privacy != "drop":
            said = _bind(bound, f"constant_{name}", rule.constant)
        elif name in raw.columns:
            said = f"coalesce({', '.join(f'bare({column})' for column in raw.columns[name])})"
            if rule.empty:
                words = _bind(bound, f"empty_{name}", [word(text) for text in rule.empty])
                said = f"case when not list_contains({words}, lower({said})) then {said} end"
        else:
            said = "cast(null as varchar)"
        if rule.default is not None and rule.privacy != "drop":
            said = f"coalesce({said}, {_bind(bound, f'default_{name}', rule.default)})"
        if rule.type != "text" and not _looked_up(rule):
            said = f"narrow({said})"
        if rule.type in ("date", "time"):
            said = f"plain_time({said})"
        columns.append(f"case when _fault is null then {said} end as x_{name}")
    connection.execute(
        f"create or replace temp table incoming_clean as select _row, _line, _fault, {', '.join(columns)} "  # noqa: S608
        f"from {raw.table}",
        bound,
    )


def _bind(bound: dict[str, Any], name: str, value: Any) -> str:
    bound[name] = value
    return f"${name}"


def _look_up(contract: Contract, connection: duckdb.DuckDBPyConnection) -> None:
    """TEMP incoming_words: for classes, mapped words and references, each word said → its code."""
    connection.execute(
        "create or replace temp table incoming_words "
        "(field varchar, said varchar, code varchar, valid_from date, valid_to date)"
    )
    found: list[tuple[str, str, str, date | None, date | None]] = []
    for name, rule in contract.fields.items():
        if not _looked_up(rule):
            continue
        said = [
            str(row[0])
            for row in connection.execute(
                f"select distinct x_{name} from incoming_clean where x_{name} is not null"  # noqa: S608
            ).fetchall()
        ]
        if rule.refers:
            words = {key: rule.map.get(key, key) for key in said}
            places = _places(connection, set(words.values()))
            found += [(name, key, *places[value]) for key, value in words.items() if value in places]
        elif rule.choices:
            codes = rule.codes()
            found += [(name, text, codes[word(text)], None, None) for text in said if word(text) in codes]
        else:
            mapped = {word(key): value for key, value in rule.map.items()}
            found += [(name, text, mapped.get(word(text), text), None, None) for text in said]
    if found:
        columns = ["field", "said", "code", "valid_from", "valid_to"]
        connection.execute(
            "insert into incoming_words select * from (select unnest($field), unnest($said), unnest($code), "
            "unnest($valid_from::date[]), unnest($valid_to::date[]))",
            dict(zip(columns, map(list, zip(*found, strict=True)), strict=True)),
        )


def _looked_up(rule: FieldRule) -> bool:
    return bool(rule.choices or rule.refers or rule.map)


def _places(
    connection: duckdb.DuckDBPyConnection, said: set[str]
) -> dict[str, tuple[str, date | None, date | None]]:
    """Words → (code, valid from, valid to) of a place: by code, else by a name that only one place has,
    else by the source's own code."""
    if not said:
        return {}
    try:
        rows = connection.execute(
            "select code, name_zh, name_en, source_code, valid_from, valid_to from rec_places"
        ).fetchall()
    except duckdb.CatalogException:
        return {}
    by_code = {row[0]: (row[0], row[4], row[5]) for row in rows}
    if said <= by_code.keys():
        return {text: by_code[text] for text in said}
    by_name: dict[str, set[str]] = {}
    by_source: dict[str, set[str]] = {}
    for code, name_zh, name_en, source_code, _, _ in rows:
        for name in {word(name) for name in (name_zh, name_en) if name}:
            by_name.setdefault(name, set()).add(code)
        if source_code:
            by_source.setdefault(word(source_code), set()).add(code)
    out: dict[str, tuple[str, date | None, date | None]] = {}
    for text in said:
        codes = {text} & by_code.keys() or by_name.get(word(text)) or by_source.get(word(text)) or set()
        if len(codes) == 1:
            out[text] = by_code[next(iter(codes))]
    return out


def _typed(name: str, rule: FieldRule, type_: str) -> str:
    if rule.choices or rule.refers:
        return f"try_cast(w_{name}.code as {type_})"
    said = f"w_{name}.code" if rule.map else f"x_{name}"
    return f"cast({_PARSE[rule.type].format(said)} as {type_})"


def _judge(contract: Contract, connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """TEMP incoming_checked: typed fields and `reasons` (null = kept), in one statement."""
    bound: dict[str, Any] = {"now": now}
    typed: list[str] = []
    joins: list[str] = []
    failures: list[tuple[str, str]] = []
    born = (
        f"coalesce(cast({contract.dataset.born} as date), cast(now as date))" if contract.dataset.born else ""
    )
    for name, rule in contract.fields.items():
        type_ = DUCK_TYPES[rule.type]
        typed.append(f"{_typed(name, rule, type_)} as {name}")
        if _looked_up(rule):
            joins.append(
                f"left join incoming_words as w_{name} on w_{name}.field = '{name}' and w_{name}.said = x_{name}"
            )
        if rule.required:
            failures.append((f"required:{name}", f"x_{name} is null"))
        wrong = f"x_{name} is not null and {name} is null"
        if rule.refers:
            typed += [f"w_{name}.valid_from as from_{name}", f"w_{name}.valid_to as to_{name}"]
            day = born or "cast(now as date)"
            outside = f"not ({day} between coalesce(from_{name}, {day}) and coalesce(to_{name}, {day}))"
            failures.append((f"refers:{name}", f"({wrong}) or ({name} is not null and {outside})"))
        elif rule.choices:
            failures.append((f"choice:{name}", wrong))
        elif rule.type in ("date", "time"):
            # Two-digit years and slips of the pen are not dates of our time.
            failures.append((f"type:{name}", f"({wrong}) or year({name}) not between 1900 and 2199"))
        elif rule.type not in ("code", "text"):
            failures.append((f"type:{name}", wrong))
        if rule.pattern is not None:
            pattern = _bind(bound, f"pattern_{name}", rule.pattern)
            failures.append((f"pattern:{name}", f"not regexp_full_match(x_{name}, {pattern})"))
        if rule.min is not None:
            failures.append((f"min:{name}", f"{name} < {_bind(bound, f'min_{name}', rule.min)}"))
        if rule.max is not None:
            failures.append((f"max:{name}", f"{name} > {_bind(bound, f'max_{name}', rule.max)}"))
    failures += [(rule.name, f"not ({rule.check})") for rule in contract.rules]
    # A condition that is null (nothing to judge) does not fail.
    tests = [f"coalesce({test}, false)" for _, test in failures]
    named = [
        f"case when {test} then '{reason}' end" for (reason, _), test in zip(failures, tests, strict=True)
    ]
    fields = ", ".join(contract.fields)
    connection.execute(
        f"""
        create or replace temp table incoming_checked as
        with typed as (
            select _row, _line, _fault, cast($now as timestamp) as now,
                {", ".join(f"x_{name}" for name in contract.fields)},
                {", ".join(typed)},
            from incoming_clean {" ".join(joins)}
        )
        select _row, _line, {fields},
            case
                when _fault is not null then [_fault]
                when {" or ".join(tests) or "false"}
                then list_filter([{", ".join(named)}]::varchar[], lambda reason: reason is not null)
            end as reasons,
        from typed
        """,  # noqa: S608 - names come from a validated contract, values are bound
        bound,
    )


def _split(raw: Raw, contract: Contract, connection: duckdb.DuckDBPyConnection) -> None:
    """TEMP incoming_good and incoming_bad. The raw text of a bad record holds loaded columns only."""
    connection.execute(
        f"create or replace temp table {GOOD} as select _row, {', '.join(contract.fields)} "  # noqa: S608
        "from incoming_checked where reasons is null"
    )
    columns = [f"c{number}" for number in range(len(raw.headings))]
    bound: dict[str, str] = {}
    if raw.form == "json":
        bound = {f"heading_{column}": text for column, text in zip(columns, raw.headings, strict=True)}
        text = f"json_object({', '.join(f'$heading_{column}, {column}' for column in columns)})"
    else:
        quoted = [
            f"case when regexp_matches(coalesce({column}, ''), '[\",\\r\\n]') "
            f"then '\"' || replace({column}, '\"', '\"\"') || '\"' else coalesce({column}, '') end"
            for column in columns
        ]
        text = f"concat_ws(',', {', '.join(quoted)})"
    connection.execute(
        f"""
        create or replace temp table {BAD} as
        select checked._row as row, checked._line as line, coalesce(raw._raw, {text}) as raw, checked.reasons,
        from incoming_checked as checked
        join {raw.table} as raw on raw._row = checked._row
        where checked.reasons is not null
        order by checked._row
        """,  # noqa: S608 - our own names; headings are bound
        bound,
    )
