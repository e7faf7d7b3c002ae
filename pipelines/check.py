# ruff: noqa: S608 - names of fields and of our own tables are formatted in, checked or quoted; values are bound
"""Contract → SQL: typed columns and every reason for which a record is not kept.

The statements are made of the contract's own names and conditions (checked when it was read) and macros;
every value (words, patterns, limits, the clock) is bound. One pass over the raw table types and judges all
records; only those that fail, or that are kept with a warning, are looked at again to spell out why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import duckdb

from pipelines import values
from pipelines.contract import Contract, Deleted, FieldRule, word
from pipelines.reading.raw import Raw, masking
from warehouse.dataset import DUCK_TYPES
from warehouse.masking import SUSPECT

GOOD = "incoming_good"
BAD = "incoming_bad"
_JUDGED = "incoming_judged"
_WORDS = "incoming_words"
_DATED = "incoming_dated"
_CLASHES = "incoming_clashes"
_CHUNK = 50_000
_PARAMETER = re.compile(r"\$([a-z_0-9]+)")


@dataclass(frozen=True)
class Checked:
    """Temporary relations. `good`: the fields that the file can fill and the dataset's key and times, typed,
    `_row`, and `_deleted` where the contract says which records are removals. `bad`: row, line, raw, reasons.
    `warned`: reason → rows kept all the same.

    They stand until the next check on the same connection.
    """

    good: str
    bad: str
    kept: int
    quarantined: int
    warned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Failure:
    """One way to fail: its reason as SQL text, the condition over typed fields that is true then."""

    field: str | None
    reason: str
    when: str
    warns: bool = False


def check(
    raw: Raw,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
    timezone: str = "Asia/Shanghai",
) -> Checked:
    """Judge every record of a raw table: kept + quarantined = read.

    `now` is the site's clock, `timezone` its zone: a time with an offset becomes the site's local time.

    Reasons: `required:F`, `type:F`, `choice:F`, `refers:F`, `ended:F:<code name>` (the place of field F was
    not valid on the day of the record; its successor on that day), `pattern:F`, `min:F`, `max:F`,
    `unique:F`, the name of a rule, or the fault found in reading (`columns`, `json`).

    Of records whose `unique` field holds the same value under different keys the first in the file stays,
    counted among those that satisfy everything else.
    """
    values.define(connection)
    asked = _Check(raw, contract, connection, now, timezone)
    asked.look_up()
    asked.judge()
    if asked.any_bad() and (marked := asked.marked_times()):
        asked.marked = marked
        asked.judge()
    asked.find_clashes()
    asked.split()
    warned = asked.warnings()
    kept, quarantined = (_count(connection, table) for table in (GOOD, BAD))
    if kept + quarantined != raw.read:
        raise RuntimeError(f"{contract.name}: {raw.read} read, but {kept} kept and {quarantined} quarantined")
    return Checked(GOOD, BAD, kept, quarantined, warned)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0


@dataclass
class _Check:
    """One raw table under one contract. The levels of a statement: `said` (trimmed texts `_x_<field>`),
    `typed` (fields as values), then what is asked of them. They are nested, never stored."""

    raw: Raw
    contract: Contract
    connection: duckdb.DuckDBPyConnection
    now: datetime
    zone: str
    marked: frozenset[str] = frozenset()
    """Times in which offsets, halves of the day or weekdays occur."""
    dated: frozenset[str] = frozenset()
    """References with words that mean one place before a day and another after it."""
    bound: dict[str, Any] = field(default_factory=dict)
    clashes: bool = False

    def __post_init__(self) -> None:
        self.here = {name: rule for name, rule in self.contract.fields.items() if self.asked(name, rule)}
        """The fields that this file can fill, or that something is asked of. A statement that spells out all
        fields of a contract takes longer to plan than a day's file to judge."""

    def asked(self, name: str, rule: FieldRule) -> bool:
        contract, dataset = self.contract, self.contract.dataset
        conditions = [one.check for one in contract.rules]
        if contract.deleted is not None:
            conditions.append(contract.deleted.when or str(contract.deleted.field))
        return (
            name in self.raw.columns
            or rule.constant is not None
            or rule.default is not None
            or rule.required
            or name in (dataset.key, dataset.born, dataset.updated)
            or any(re.search(rf"\b{name}\b", text) for text in conditions)
        )

    def run(self, sql: str, **more: Any) -> duckdb.DuckDBPyConnection:
        bound = {**self.bound, "now": self.now, "zone": self.zone, **more}
        asked = set(_PARAMETER.findall(sql))
        return self.connection.execute(sql, {name: value for name, value in bound.items() if name in asked})

    def bind(self, name: str, value: Any) -> str:
        self.bound[name] = value
        return f"${name}"

    # -- what the source says

    def said(self, name: str, rule: FieldRule) -> str:
        """SQL over the raw table for what the source says in a field, trimmed; null where it says nothing."""
        if self.direct(name, rule):
            column = self.raw.columns[name][0]
            return column if rule.default is None else f"coalesce({column}, '')"
        open_ = rule.privacy != "drop"
        if rule.constant is not None and open_:
            said = self.bind(f"constant_{name}", rule.constant)
        elif name in self.raw.columns:
            columns = self.raw.columns[name]
            said = (
                columns[0] if len(columns) == 1 else f"coalesce({', '.join(f'bare({c})' for c in columns)})"
            )
            if rule.empty:
                words = self.bind(f"empty_{name}", [word(text) for text in rule.empty])
                said = f"case when not list_contains({words}, lower(narrow(bare({said})))) then {said} end"
        else:
            said = "cast(null as varchar)"
        if rule.default is not None and open_:
            said = f"coalesce(bare({said}), {self.bind(f'default_{name}', rule.default)})"
        return values.cleaned("text" if _looked_up(rule) else rule.type, said)

    def direct(self, name: str, rule: FieldRule) -> bool:
        """A class or reference from one column: its few words are trimmed where they are looked up."""
        return (
            bool(rule.choices or rule.refers)
            and len(self.raw.columns.get(name, ())) == 1
            and rule.constant is None
            and rule.pattern is None
        )

    def said_rows(self, only: str = "") -> str:
        """Level 1: the raw rows, or those of a semi join, with `_x_<field>`."""
        columns = [f"{self.said(name, rule)} as _x_{name}" for name, rule in self.here.items()]
        return f"select _row, _line, _fault, {', '.join(columns)} from {self.raw.table} {only}"

    # -- words, classes and places

    def look_up(self) -> None:
        """For classes, mapped words and references: each word said → its code. One row per field and word;
        `blank` where the word says nothing. A word that is a place's name before a day and another's after
        it has its rows in `incoming_dated`.

        Only words that are known are held: a column full of nonsense costs no memory.
        """
        self.connection.execute(
            f"create or replace temp table {_WORDS} (field varchar, said varchar, code varchar, blank boolean, "
            "valid_from date, valid_to date, later struct(said varchar, since date, until date)[])"
        )
        self.connection.execute(
            f"create or replace temp table {_DATED} "
            "(field varchar, said varchar, code varchar, valid_from date, valid_to date)"
        )
        places: _Places | None = None
        dated: list[_Word] = []
        for name, rule in self.here.items():
            if not _looked_up(rule):
                continue
            if rule.refers and places is None:
                places = _Places.read(self.connection)
            meaning = _Meaning(rule, places if rule.refers else None)
            found: list[_Word] = []
            distinct = self.run(f"select distinct {self.said(name, rule)} from {self.raw.table}")
            while chunk := distinct.fetchmany(_CHUNK):
                for text in (row[0] for row in chunk if row[0] is not None):
                    meant = meaning.of(text)
                    (found if len(meant) == 1 else dated).extend(_Word(name, text, place) for place in meant)
            self._keep_words(_WORDS, found, places)
        self._keep_words(_DATED, dated, None)
        self.dated = frozenset(one.field for one in dated)

    def _keep_words(self, table: str, found: Sequence[_Word], places: _Places | None) -> None:
        if not found:
            return
        columns = ["field", "said", "code", "valid_from", "valid_to"]
        bound: dict[str, Any] = {
            "field": [one.field for one in found],
            "said": [one.said for one in found],
            "code": [one.place.code if one.place else None for one in found],
            "valid_from": [one.place.since if one.place else None for one in found],
            "valid_to": [one.place.until if one.place else None for one in found],
        }
        types = ["varchar", "varchar", "varchar", "date", "date"]
        if table == _WORDS:
            columns += ["blank", "later"]
            types += ["boolean", "struct(said varchar, since date, until date)[]"]
            bound["blank"] = [one.place is None or None for one in found]
            bound["later"] = [places.after(one.place) if places and one.place else [] for one in found]
        parts = (f"unnest(${column}::{kind}[])" for column, kind in zip(columns, types, strict=True))
        self.connection.execute(
            f"insert into {table} ({', '.join(columns)}) select {', '.join(parts)}", bound
        )

    # -- values and tests

    def typed_rows(self, only: str = "") -> str:
        """Level 2: fields as values beside `_x_<field>`, and what is known of their references."""
        columns: list[str] = []
        joins: list[str] = []
        for name, rule in self.here.items():
            type_ = DUCK_TYPES[rule.type]
            if _looked_up(rule):
                joins.append(
                    f"left join {_WORDS} as _w_{name} "
                    f"on _w_{name}.field = '{name}' and _w_{name}.said = _x_{name}"
                )
                code = f"_w_{name}.code"
                if name in self.dated:
                    joins.append(
                        f"left join {_DATED} as _d_{name} on _d_{name}.field = '{name}' "
                        f"and _d_{name}.said = _x_{name} and {self.day()} "
                        f"between coalesce(_d_{name}.valid_from, date '0001-01-01') "
                        f"and coalesce(_d_{name}.valid_to, date '9999-12-31')"
                    )
                    code = f"coalesce({code}, _d_{name}.code)"
                if rule.refers:
                    columns += [f"_w_{name}.{part} as _{part}_{name}" for part in _VALIDITY]
                if rule.map and not (rule.choices or rule.refers):
                    # Words that the map does not name stand for themselves.
                    code = f"coalesce({code}, _x_{name})"
                    if rule.type not in ("code", "text"):
                        columns.append(f"{values.cleaned(rule.type, code)} as _m_{name}")
                        continue
                columns.append(f'try_cast({code} as {type_}) as "{name}"')
            else:
                columns.append(f'cast({self.value(name, rule, f"_x_{name}")} as {type_}) as "{name}"')
        said = ", ".join(
            f"case when _w_{name}.blank is null then _x_{name} end as _x_{name}"
            if self.direct(name, rule)
            else f"_x_{name}"
            for name, rule in self.here.items()
        )
        inner = f"select _row, _line, _fault, {said}, {', '.join(columns)} from ({self.said_rows(only)}) {' '.join(joins)}"
        mapped = [
            f'cast({self.value(name, rule, f"_m_{name}")} as {DUCK_TYPES[rule.type]}) as "{name}"'
            for name, rule in self.here.items()
            if f" as _m_{name}" in inner
        ]
        if mapped:
            inner = f"select *, {', '.join(mapped)} from ({inner})"
        return f"select *, cast($now as timestamp) as now from ({inner})"

    def value(self, name: str, rule: FieldRule, said: str) -> str:
        return values.parsed(rule.type, said, "$zone" if name in self.marked else None)

    def day(self) -> str:
        """SQL for the day at which a record's references must hold: its birth, else today."""
        born = self.contract.dataset.born
        today = "cast($now::timestamp as date)"
        if born is None:
            return today
        rule = self.contract.fields[born]
        return f"coalesce(cast({self.value(born, rule, f'_x_{born}')} as date), {today})"

    def failures(self) -> list[_Failure]:
        """All ways to fail, in the order of the contract."""
        out: list[_Failure] = []
        born = self.contract.dataset.born
        day = "cast(now as date)" if born is None else f'coalesce(cast("{born}" as date), cast(now as date))'
        for name, rule in self.here.items():
            warns = rule.severity == "warn"
            column, said = f'"{name}"', f"_x_{name}"
            if rule.required:
                out.append(_Failure(name, f"'required:{name}'", f"{said} is null"))
            wrong = f"({said} is not null and {column} is null)"
            # A required field would be left without a value: what is unknown cannot be let pass.
            lets = warns and not rule.required
            if rule.refers:
                since, until, later = (f"_{part}_{name}" for part in _VALIDITY)
                out.append(_Failure(name, f"'refers:{name}'", wrong, lets))
                successor = (
                    f"coalesce(list_filter({later}, lambda p: {day} between coalesce(p.since, {day}) "
                    f"and coalesce(p.until, {day})), {later})[-1].said"
                )
                out.append(
                    _Failure(
                        name,
                        f"coalesce('ended:{name}:' || {successor}, 'refers:{name}')",
                        f"({column} is not null and not ({day} between coalesce({since}, {day}) "
                        f"and coalesce({until}, {day})))",
                        warns,
                    )
                )
            elif rule.choices:
                out.append(_Failure(name, f"'choice:{name}'", wrong, lets))
            elif rule.type in ("date", "time"):
                outside = f"({column} not {values.OUR_TIME})"
                out.append(_Failure(name, f"'type:{name}'", f"({wrong} or {outside})"))
            elif rule.type not in ("code", "text"):
                out.append(_Failure(name, f"'type:{name}'", wrong))
            if rule.pattern is not None:
                pattern = self.bind(f"pattern_{name}", rule.pattern)
                when = f"not regexp_full_match({said}, {pattern})"
                out.append(_Failure(name, f"'pattern:{name}'", when, warns))
            if rule.min is not None:
                when = f"{column} < {self.bind(f'min_{name}', rule.min)}"
                out.append(_Failure(name, f"'min:{name}'", when, warns))
            if rule.max is not None:
                when = f"{column} > {self.bind(f'max_{name}', rule.max)}"
                out.append(_Failure(name, f"'max:{name}'", when, warns))
        for rule_ in self.contract.rules:
            # What is null passes; what cannot be worked out does not.
            when = f"not coalesce(try(coalesce(({rule_.check}\n), true)), false)"
            out.append(_Failure(None, f"'{rule_.name}'", when, rule_.severity == "warn"))
        return out

    def deleted(self) -> str | None:
        """SQL for: the source says that it removed this record."""
        deleted = self.contract.deleted
        if deleted is None:
            return None
        if deleted.when is not None:
            return f"coalesce(try(({deleted.when}\n)), false)"
        return self._deleted_by_word(deleted, str(deleted.field))

    def _deleted_by_word(self, deleted: Deleted, name: str) -> str:
        rule = self.contract.fields[name]
        codes = rule.codes()
        words = [codes.get(word(text), word(text)) if rule.choices else word(text) for text in deleted.values]
        said = f'cast("{name}" as varchar)' if rule.choices else f"lower(narrow(_x_{name}))"
        return f"coalesce(list_contains({self.bind('deleted', words)}, {said}), false)"

    def verdict(self) -> tuple[str, str, str]:
        """SQL over level 2 for: not kept; kept with a warning; a removal."""
        deleted = self.deleted()
        dataset = self.contract.dataset
        rejecting = [f for f in self.failures() if not f.warns]
        warning = [f.when for f in self.failures() if f.warns]
        bad = f"coalesce({' or '.join(f.when for f in rejecting) or 'false'}, false)"
        warned = f"coalesce({' or '.join(warning) or 'false'}, false)"
        if deleted is not None:
            needed = [f.when for f in rejecting if f.field in (dataset.key, dataset.updated)]
            bad = f"case when {deleted} then coalesce({' or '.join(needed) or 'false'}, false) else {bad} end"
            warned = f"{warned} and not {deleted}"
        return f"(_fault is not null or {bad})", warned, deleted or "false"

    # -- passes

    def judge(self) -> None:
        """TEMP incoming_judged: one row per record: fields, `_bad`, `_warned`, `_deleted`. The one pass over all."""
        bad, warned, deleted = self.verdict()
        self.run(
            f"create or replace temp table {_JUDGED} as select _row, {self.fields()}, {bad} as _bad, "
            f"{warned} as _warned, {deleted} as _deleted from ({self.typed_rows()})"
        )

    def any_bad(self) -> bool:
        return self.run(f"select 1 from {_JUDGED} where _bad limit 1").fetchone() is not None

    def fields(self) -> str:
        return ", ".join(f'"{name}"' for name in self.here)

    def marked_times(self) -> frozenset[str]:
        """The times that some bad record writes in a way that only the slower reading understands."""
        times = [
            name
            for name, rule in self.here.items()
            if rule.type in ("date", "time") and (name in self.raw.columns or rule.default or rule.constant)
        ]
        if not times:
            return frozenset()
        seen = [f"bool_or(regexp_matches(_x_{name}, $marks))" for name in times]
        row = self.run(
            f"select {', '.join(seen)} from ({self.said_rows(_among('_bad'))})",
            marks=values.MARKS,
        ).fetchone()
        return frozenset(name for name, found in zip(times, row or (), strict=False) if found)

    def find_clashes(self) -> None:
        """TEMP incoming_clashes: rows whose `unique` field holds what an earlier row of another key holds."""
        unique = [name for name, rule in self.here.items() if rule.unique]
        self.clashes = bool(unique)
        if not unique:
            return
        key = self.contract.dataset.key
        found = [
            f"select _row, 'unique:{name}' as reason, {self.contract.fields[name].severity == 'warn'} as warns "
            f'from (select _row, "{key}" as key, first_value("{key}") over (partition by "{name}" order by _row) '
            f'as holder from {_JUDGED} where not _bad and not _deleted and "{name}" is not null) where key <> holder'
            for name in unique
        ]
        self.run(f"create or replace temp table {_CLASHES} as {' union all '.join(found)}")

    def split(self) -> None:
        """The good ones as a view of what was judged, the bad ones with their reasons and their text."""
        rejected = f"select _row from {_CLASHES} where not warns"
        keeps = f" and _row not in ({rejected})" if self.clashes else ""
        deleted = ", _deleted" if self.contract.deleted is not None else ""
        self.run(
            f"create or replace temp view {GOOD} as select _row, {self.fields()}{deleted} from {_JUDGED} "
            f"where not _bad{keeps}"
        )
        if not (self.any_bad() or self.clashes):
            self.run(
                f"create or replace temp table {BAD} (row bigint, line bigint, raw varchar, reasons varchar[])"
            )
            return
        columns = ", ".join(f"c{number}" for number in range(len(self.raw.headings)))
        also = f" or _row in ({rejected})" if self.clashes else ""
        clash = f"select _row, list(reason order by reason) as found from {_CLASHES} where not warns group by _row"
        joined = f" left join ({clash}) using (_row)" if self.clashes else ""
        reasons = "list_concat(reasons, coalesce(found, []))" if self.clashes else "reasons"
        # What a quarantined row keeps of its cells: one that failed stands perhaps where it does not belong, and
        # may hold what its column never holds. Said of a list, for a contract has many columns.
        with masking(self.connection):
            self.run(
                f"""
                create or replace temp table {BAD} as
                with judged as (
                    select _row, _line, _raw, {reasons} as reasons, [{columns}]::varchar[] as cells,
                    from ({self.reasons_of("not warns", _among("_bad" + also))})
                    join (select _row, _raw, {columns or "null"} from {self.raw.table}) using (_row)
                    {joined}
                ),
                named as (
                    select *, list_transform(reasons, lambda reason: split_part(reason, ':', 2)) as failed from judged
                )
                select _row as row, _line as line,
                    coalesce(_raw, '{{' || array_to_string(list_transform(
                        list_zip($headings::varchar[], cells, $feeds::varchar[][]), lambda cell:
                        to_json(cell[1])::varchar || ':' || coalesce(to_json(
                            case when list_has_any(cell[3], failed) and regexp_matches(cell[2], $suspect)
                            then nerve_mask(cell[2]) else cell[2] end)::varchar, 'null')), ',') || '}}') as raw,
                    reasons,
                from named
                order by row
                """,
                headings=list(self.raw.headings),
                feeds=[
                    [name for name, fed in self.raw.columns.items() if f"c{number}" in fed]
                    for number in range(len(self.raw.headings))
                ],
                suspect=SUSPECT,
            )

    def reasons_of(self, kind: str, only: str) -> str:
        """Of some rows: `_row`, `_line` and the list of `reasons` why they are rejected, or warned of."""
        deleted = self.deleted()
        dataset = self.contract.dataset
        named = []
        for failure in self.failures():
            if failure.warns == (kind == "not warns"):
                continue
            when = f"coalesce({failure.when}, false)"
            if deleted is not None and failure.field not in (dataset.key, dataset.updated):
                when = f"{when} and not {deleted}"
            named.append(f"case when {when} then {failure.reason} end")
        return (
            "select _row, _line, case when _fault is not null then [_fault] else "
            f"list_filter([{', '.join(named)}]::varchar[], lambda reason: reason is not null) end as reasons "
            f"from ({self.typed_rows(only)})"
        )

    def warnings(self) -> dict[str, int]:
        """Reason → records kept with it."""
        out: dict[str, int] = {}
        if any(failure.warns for failure in self.failures()):
            among = f"semi join (select _row from {_JUDGED} where _warned and not _bad) using (_row)"
            among += f" semi join {GOOD} using (_row)"
            rows = self.run(
                f"select reason, count(*) from (select unnest(reasons) as reason from ({self.reasons_of('warns', among)}))"
                " group by reason order by reason"
            ).fetchall()
            out.update(rows)
        if self.clashes:
            rows = self.run(
                f"select reason, count(*) from {_CLASHES} semi join {GOOD} using (_row) where warns"
                " group by reason order by reason"
            ).fetchall()
            out.update(rows)
        return out


_VALIDITY = ("valid_from", "valid_to", "later")


def _among(condition: str) -> str:
    return f"semi join (select _row from {_JUDGED} where {condition}) using (_row)"


def _looked_up(rule: FieldRule) -> bool:
    return bool(rule.choices or rule.refers or rule.map)


@dataclass(frozen=True)
class _Place:
    code: str
    since: date | None = None
    until: date | None = None
    successor: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class _Word:
    """A word of a field as the file has it; no place: it says nothing."""

    field: str
    said: str
    place: _Place | None


class _Meaning:
    """What the words of one field stand for. A class is a place without a history."""

    def __init__(self, rule: FieldRule, places: _Places | None) -> None:
        self._rule = rule
        self._places = places
        self._codes = {} if rule.refers else rule.codes()
        self._empty = {word(text) for text in rule.empty}

    def of(self, text: str) -> list[_Place | None]:
        """The code it stands for; several, of which the day tells one; none where it is unknown;
        [None] where it says nothing."""
        said: str | None = text.strip(values.WHITE)
        if not said or word(said) in self._empty:
            said = self._rule.default
        if not said:
            return [None]
        if self._rule.refers:
            return list(self._places.named(self._rule.map.get(said, said))) if self._places else []
        code = self._codes.get(word(said))
        return [] if code is None else [_Place(code)]


@dataclass(frozen=True)
class _Places:
    """The places loaded so far: by code, by name, by the source's own code (compared as words)."""

    by_code: Mapping[str, _Place]
    by_name: Mapping[str, list[_Place]]
    by_source: Mapping[str, list[_Place]]

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection) -> _Places:
        names = ("code", "name_zh", "name_en", "source_code", "valid_from", "valid_to", "successor")
        try:
            found = connection.execute(
                "select columns(lambda c: list_contains($names, c)) from rec_places", {"names": names}
            )
        except duckdb.CatalogException:
            return cls({}, {}, {})
        spelled = [column[0] for column in found.description or ()]
        by_code: dict[str, _Place] = {}
        by_name: dict[str, list[_Place]] = {}
        by_source: dict[str, list[_Place]] = {}
        for row in found.fetchall():
            is_ = dict(zip(spelled, row, strict=True))
            place = _Place(
                is_["code"],
                is_.get("valid_from"),
                is_.get("valid_to"),
                is_.get("successor"),
                is_.get("name_zh") or is_.get("name_en"),
            )
            by_code[place.code] = place
            for name in {word(name) for name in (is_.get("name_zh"), is_.get("name_en")) if name}:
                by_name.setdefault(name, []).append(place)
            if is_.get("source_code"):
                by_source.setdefault(word(is_["source_code"]), []).append(place)
        return cls(by_code, by_name, by_source)

    def named(self, said: str) -> list[_Place]:
        """The places a word stands for: by code, else by name, else by the source's own code.

        Several only where no two are valid on the same day, so that the day tells which is meant.
        """
        if said in self.by_code:
            return [self.by_code[said]]
        meant = self.by_name.get(word(said)) or self.by_source.get(word(said)) or []
        return meant if _apart(meant) else []

    def after(self, place: _Place) -> list[dict[str, Any]]:
        """The successors of a place, one after the other: `code name` and from when to when."""
        out: list[dict[str, Any]] = []
        seen = {place.code}
        while place.successor and place.successor in self.by_code and place.successor not in seen:
            place = self.by_code[place.successor]
            seen.add(place.code)
            said = f"{place.code} {place.name}" if place.name else place.code
            out.append({"said": said, "since": place.since, "until": place.until})
        return out


def _apart(places: Sequence[_Place]) -> bool:
    """No two of them are valid on the same day."""
    spans = sorted((place.since or date.min, place.until or date.max) for place in places)
    return all(before[1] < after[0] for before, after in pairwise(spans))
