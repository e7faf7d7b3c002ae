"""A first contract from a data file: what a person begins with, not what a person is spared.

Guesses are few and each is said. What nobody can read off a file (which of our classes a word stands for,
which column is the update time) is left open with `DECIDE`; proving the draft against the same file then
names it again. Columns of persons and free text go to `drop`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from python_calamine import CalamineWorkbook

from pipelines import values
from pipelines.contract import NAME, OURS, Contract, FieldRule, Files, contracts, heading, read_contract, word
from pipelines.reading import Raw, Refused, archives, biff, decoding, objects, ooxml, read
from pipelines.reading.headings import HEADER_WITHIN
from warehouse import layout
from warehouse.dataset import Dataset, Field, FieldType
from warehouse.masking import mask
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site
from warehouse.text import Text
from warehouse.version import current

NEW = "new"
_HEAD = 65_536
_LOOKED_AT = 20_000
"""Rows whose cells are looked at for types and words; keys are counted over all."""
_CLASSES = 30
"""So many different words at most make a class."""
_DELIMITERS = ",;\t|"
_SURE = 0.95
_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_PERSONAL = re.compile(
    r"姓名|联系人|户主|电话|手机|身份证|证件|住址|地址|户籍|民族|宗教|银行卡|账号|邮箱|微信号|车牌|经纬度|经度|纬度|照片"
    r"|^((first|last|full|contact|owner|customer|applicant)[ _]?)?name$|phone|mobile|e-?mail|address|street|\bssn\b|passport"
    r"|birth|latitude|longitude|geocod|geom|photo|zip",
    re.IGNORECASE,
)
_PROSE = re.compile(
    r"备注|意见|说明|内容|描述|简述|记录$|remark|comment|descri|notes?$|free[ _]?text", re.IGNORECASE
)
_PLACE = re.compile(
    r"网格|村|社区|街道|乡镇|镇街|区划|属地|辖区|grid|village|neighbou?rhood|district|borough|ward|community|zone|precinct",
    re.IGNORECASE,
)
_KEY = re.compile(r"编号|单号|流水|序列|(^|_|\b)(id|no|number|key|ref|code)$", re.IGNORECASE)
_UPDATED = re.compile(r"更新|修改|变更|updat|modif|changed", re.IGNORECASE)


@dataclass(frozen=True)
class Draft:
    """A contract as text, and what a person must decide in it."""

    text: str
    dataset: str
    fields: int
    decisions: tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """What stands in one column. Shares are of the cells that say something, `words` the commonest first."""

    heading: str
    rows: int
    filled: int
    distinct: int
    earliest: Any
    longest: int
    shares: Mapping[str, float]
    words: Sequence[tuple[str, int]]

    @property
    def unique(self) -> bool:
        return self.filled == self.rows == self.distinct and self.rows > 0

    @property
    def type(self) -> FieldType:
        """What its cells are, as far as they all are it; a number with leading zeros is a code."""
        if not self.filled:
            return "text"
        zeros = any(len(text) > 1 and text.startswith("0") and text.isdigit() for text, _ in self.words)
        kinds: tuple[FieldType, ...] = ("time", "int", "float", "bool")
        for kind in kinds:
            if self.shares[kind] >= _SURE and not (zeros and kind in ("int", "float")):
                return kind
        return "code" if self.longest <= 40 and not self.prose else "text"

    @property
    def prose(self) -> bool:
        """Sentences: they may hold anything, names among it."""
        return self.longest > 60 and self.distinct > _CLASSES

    @property
    def classes(self) -> bool:
        return (
            self.type in ("code", "text")
            and 0 < self.distinct <= _CLASSES
            and self.distinct * 3 <= self.filled
        )

    def personal(self) -> str | None:
        """Why the column is not to be loaded; None where nothing speaks against it."""
        if _PERSONAL.search(self.heading):
            return "its heading speaks of persons, addresses or positions"
        if _PROSE.search(self.heading) and self.type in ("code", "text"):
            return "its heading speaks of free text"
        said = [text for text, _ in self.words]
        if said and sum(mask(text) != text for text in said) * 10 >= len(said):
            return "holds phone, ID or card numbers"
        names = sum(2 <= len(text) <= 3 and text[0] in _SURNAMES for text in said)
        if len(said) >= 10 and names * 10 >= 6 * len(said):
            return "looks like names of persons"
        return "free text" if self.prose else None


@dataclass
class _Text:
    """The contract as it grows."""

    lines: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    fields: int = 0

    def add(self, *lines: str) -> None:
        self.lines += lines

    def decide(self, what: str) -> str:
        self.decisions.append(what)
        return f"# DECIDE 待定: {what}"


def draft(
    data: Path, *, dataset: str | None = None, name: str | None = None, site: Site | None = None
) -> Draft:
    """A first contract for files like `data`: with a base where a known dataset is near (or named), else with a
    dataset of its own (`dataset = "new"`).

    Writes nothing. Raises Mistake: no such file, an unreadable one, an unknown dataset, a wrong name.
    """
    known = _bases(site)
    if dataset is not None and dataset not in (*known, NEW):
        raise Mistake(f"--dataset {dataset}", "no such dataset", nearest(dataset, (*known, NEW)))
    if name is not None and not NAME.fullmatch(name):
        raise Mistake(f"--name {name}", "not a name", "use lower-case letters, digits and _")
    if not data.is_file():
        raise Mistake(str(data), "no such file", "name a file as the source sends it")
    try:
        columns, remark = _columns(data)
    except Refused as refused:
        raise Mistake(str(data), f"{refused.reason.en} · {refused.reason.zh}", "mend the file") from refused
    base = known.get(dataset) if dataset else _nearest(columns, known)
    if dataset == NEW:
        base = None
    text = _Text()
    text.add(f"# Drafted from {data.name}: {columns[0].rows:,} records. {remark}")
    if base is not None:
        _with_base(text, base, columns, data, name or base.name, _place_words(site))
        return Draft(_joined(text), base.dataset.name, text.fields, tuple(text.decisions))
    named = name or _slug(data.stem) or "records"
    _of_its_own(text, columns, data, named, _place_words(site))
    return Draft(_joined(text), named, text.fields, tuple(text.decisions))


def _joined(text: _Text) -> str:
    return "\n".join(text.lines) + "\n"


def _bases(site: Site | None) -> dict[str, Contract]:
    """Our contracts that define a dataset, by their names."""
    if site is not None:
        contracts(site)  # a wrong contract of the site is told before another is drafted
    read_ = (read_contract(path) for path in sorted(OURS.glob("*.toml")))
    return {contract.name: contract for contract in read_ if contract.name == contract.dataset.name}


# -- looking at the file -------------------------------------------------------------------------------------


def _columns(path: Path) -> tuple[list[_Column], str]:
    """Every column of the file and what was found out about its form."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"temp_directory": ""}) as connection:
        names, remark = _headings(path, Path(folder))
        names = list({heading(text): text for text in reversed(names) if heading(text)}.values())[::-1]
        if not names:
            raise Refused("没有表头", "no headings")
        raw = read(path, _everything(path, names), connection, b"")
        values.define(connection)
        found = [_column(raw, number, connection) for number in range(len(raw.headings))]
    if not found or not found[0].rows:
        raise Refused("没有记录", "no records")
    return found, remark


def _everything(path: Path, names: Sequence[str]) -> Contract:
    """A contract that loads every column as it is, for looking only: what it reads is seen by nobody."""
    fields = {
        f"f{number}": FieldRule.model_validate(
            {
                "type": "text",
                "privacy": "keep",
                "role": "detail" if number else "key",
                "label": {"zh": text, "en": text},
                "from": [text],
            }
        )
        for number, text in enumerate(names)
    }
    label = Text(zh=path.stem, en=path.stem)
    return Contract(
        name="draft",
        path=path,
        label=label,
        dataset=Dataset(
            name="draft",
            label=label,
            fields=tuple(Field(name=n, type="text", role=r.role, label=r.label) for n, r in fields.items()),
            mapped=tuple(fields),
        ),
        fresh_hours=24,
        drop=(),
        files=Files(match=("*",)),
        fields=fields,
        rules=(),
    )


def _headings(path: Path, folder: Path) -> tuple[list[str], str]:
    """The headings of a file and a remark on its form."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise Refused("空文件", "empty file")
    if head.startswith(b"PK") and archives.is_workbook(path):
        return _of_sheet(ooxml.opened(path).file), "A workbook."
    if head.startswith(biff.MAGIC):
        return _of_sheet(biff.opened(path).file), "A workbook (XLS)."
    if head.startswith((b"PK", b"\x1f\x8b")):
        inside, remark = _headings(archives.unpacked(path, folder)[0], folder)
        return inside, f"An archive. {remark}"
    if head.startswith(b"PAR1"):
        return list(pq.read_schema(path).names), "Parquet."
    begin = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]
    if begin in (b"{", b"["):
        form = objects.form_of(path, "auto")
        with decoding.as_utf8(path, "auto", folder) as plain:
            plain.file.seek(plain.start)
            return _of_objects(
                plain.file.read(16 * _HEAD).decode("utf-8", errors="ignore")
            ), form.upper() + "."
    with decoding.as_utf8(path, "auto", folder) as plain:
        plain.file.seek(plain.start)
        names, delimiter = _of_text(plain.file.read(_HEAD).decode("utf-8", errors="ignore"))
    shown = {"\t": "tab"}.get(delimiter, delimiter)
    return names, f"Text, {_encoding(head)}, columns parted by '{shown}'."


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head[:4096]:
        return "UTF-16"
    try:
        head[: len(head) - 3 if len(head) == _HEAD else None].decode("utf-8")
    except UnicodeDecodeError as error:
        return "UTF-8" if error.start >= len(head) - 6 else "GB18030"
    return "UTF-8"


def _of_sheet(file: Any) -> list[str]:
    best: list[str] = []
    with CalamineWorkbook.from_filelike(file) as book:
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            texts = [
                ["" if cell is None else str(cell) for cell in row] for row in rows[: HEADER_WITHIN + 20]
            ]
            found = _header(texts)
            best = max(best, found, key=len)
    return best


def _of_text(head: str) -> tuple[list[str], str]:
    found: list[tuple[int, list[str], str]] = []
    for delimiter in _DELIMITERS:
        rows: list[list[str]] = []
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) > HEADER_WITHIN + 20:
                break
        names = _header(rows)
        found.append((len(names), names, delimiter))
    _, names, delimiter = max(found, key=lambda one: one[0])
    return names, delimiter


def _header(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first row as wide as any that holds no number and nothing twice, as headings do; else the widest."""
    said = [[cell.strip() for cell in row] for row in rows]
    width = max((sum(map(bool, row)) for row in said), default=0)
    for row in said[:HEADER_WITHIN]:
        cells = [cell for cell in row if cell]
        if len(cells) * 10 >= width * 8 and not any(_is_datum(cell) for cell in cells):
            return cells
    return max(([cell for cell in row if cell] for row in said[:HEADER_WITHIN]), key=len, default=[])


def _is_datum(cell: str) -> bool:
    return re.fullmatch(r"[-+]?[\d,.]+%?|\d{4}[-/年.]\d{1,2}.*", cell) is not None


def _of_objects(text: str) -> list[str]:
    """The keys of the first objects in a text of JSON, whole or cut off."""
    decoder = json.JSONDecoder()
    keys: dict[str, None] = {}
    at = text.find("{")
    for _ in range(500):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            # An object that only holds the array of records: look inside it.
            value, end = None, at + 1
        if isinstance(value, dict):
            rows = [
                rows
                for rows in value.values()
                if isinstance(rows, list) and rows and isinstance(rows[0], dict)
            ]
            for record in rows[0][:500] if rows else [value]:
                keys |= dict.fromkeys(record)
        at = text.find("{", end)
    return list(keys)


def _column(raw: Raw, number: int, connection: duckdb.DuckDBPyConnection) -> _Column:
    cell = f"bare(c{number})"
    times = f"bare_time(c{number})"
    row = connection.execute(
        f"select count(*), count({cell}), count(distinct {cell}), max(length({cell})) from {raw.table}"  # noqa: S608
    ).fetchone()
    shares = connection.execute(
        "select avg(cast(t is not null as int)), min(t), avg(cast(i is not null as int)), "  # noqa: S608
        "avg(cast(f is not null as int)), avg(cast(b is not null as int)) from ("
        f"select any_time(x, 'UTC') as t, as_int(y) as i, as_float(y) as f, as_bool(y) as b from ("
        f"select {times} as x, bare_narrow(c{number}) as y from {raw.table} where {cell} is not null limit {_LOOKED_AT}))"
    ).fetchone()
    words = connection.execute(
        f"select {cell}, count(*) from (from {raw.table} limit {_LOOKED_AT}) where {cell} is not null "  # noqa: S608
        "group by 1 order by 2 desc, 1 limit 500"
    ).fetchall()
    time, earliest, whole, number_, yes = (
        shares if shares and shares[0] is not None else (0.0, None, 0.0, 0.0, 0.0)
    )
    return _Column(
        heading=raw.headings[number],
        rows=row[0] if row else 0,
        filled=row[1] if row else 0,
        distinct=row[2] if row else 0,
        earliest=earliest,
        longest=(row[3] if row else 0) or 0,
        shares={"time": time, "int": whole, "float": number_, "bool": yes},
        words=words,
    )


def _place_words(site: Site | None) -> frozenset[str]:
    """Codes and names of the published places, as words."""
    if site is None or layout.read_pointer(site) is None:
        return frozenset()
    version = current(site)
    if "places" not in version.tables:
        return frozenset()
    rows = version.rows("select code, name_zh, name_en, source_code from places")
    return frozenset(word(text) for row in rows for text in row if text)


# -- with a base ---------------------------------------------------------------------------------------------


def _aliases(name: str, rule: FieldRule) -> list[str]:
    texts = [*rule.headings, name, rule.label.zh, rule.label.en]
    return list(dict.fromkeys(heading(text.replace("_", "")) for text in texts)) + [heading(t) for t in texts]


def _matched(columns: Sequence[_Column], base: Contract) -> dict[str, list[_Column]]:
    """Field → the columns whose heading is one of its aliases, the best first; each column for one field."""
    spelled: dict[str, _Column] = {}
    for column in columns:
        spelled.setdefault(heading(column.heading), column)
        spelled.setdefault(heading(column.heading.replace("_", "")), column)
    blocked = {heading(text) for text in base.drop}
    out: dict[str, list[_Column]] = {}
    taken: set[str] = set()
    for name, rule in base.fields.items():
        found = [spelled[alias] for alias in _aliases(name, rule) if alias in spelled]
        free = [c for c in found if c.heading not in taken and heading(c.heading) not in blocked]
        if free:
            out[name] = free[:1]
            taken.add(free[0].heading)
    return out


def _nearest(columns: Sequence[_Column], known: Mapping[str, Contract]) -> Contract | None:
    """The dataset most of whose required fields the headings name, of at least three and half of them."""
    best: tuple[float, int, Contract] | None = None
    for contract in known.values():
        found = _matched(columns, contract)
        required = [name for name, rule in contract.fields.items() if rule.required]
        share = sum(name in found for name in required) / max(1, len(required))
        score = (share + len(found) / len(columns), len(found), contract)
        if len(found) >= 3 and share >= 0.5 and (best is None or score[:2] > best[:2]):
            best = score
    return best[2] if best else None


def _with_base(
    text: _Text, base: Contract, columns: Sequence[_Column], data: Path, name: str, places: frozenset[str]
) -> None:
    found = _matched(columns, base)
    guessed = _guessed(base, found, columns, places)
    taken = {c.heading for group in (*found.values(), *guessed.values()) for c in group}
    rest = [c for c in columns if c.heading not in taken]
    blocked = {heading(text) for text in base.drop}
    text.add(
        f"# Types, classes and rules are those of our contract '{base.name}'; here stands where each field comes from.",
        f'base = "{base.name}"',
        f"label = {_label(base.label.zh, base.label.en)}",
        text.decide(f"after how many hours without a file is the source late? (ours: {base.fresh_hours:g})"),
        f"fresh_hours = {base.fresh_hours:g}",
    )
    _drop(text, [c for c in rest if heading(c.heading) not in blocked], rest)
    _files(text, data, name)
    for field_, rule in base.fields.items():
        mine = found.get(field_) or guessed.get(field_)
        indispensable = rule.role in ("key", "place", "updated") or field_ == base.dataset.born
        if not mine and not indispensable:
            continue
        text.fields += 1
        text.add("", f"[fields.{field_}]")
        if not mine:
            text.add(
                text.decide(
                    f"which column is '{field_}' ({rule.label.en} {rule.label.zh})? None was recognised."
                ),
                'from = ["?"]',
            )
            continue
        if field_ in guessed:
            text.add(
                text.decide(f"'{field_}' ({rule.label.en} {rule.label.zh}) from {_names(mine)} is a guess.")
            )
        text.add(f"from = {_list(c.heading for c in mine)}")
        if len(mine) > 1:
            text.add("coalesce = true")
        if rule.choices:
            _unknown_words(text, field_, rule, mine[0])
    unused = [c.heading for c in rest if c.personal() is None and heading(c.heading) not in blocked]
    if unused:
        text.add("", f"# Columns that are not loaded: {', '.join(map(_one_line, unused))}")


def _guessed(
    base: Contract, found: Mapping[str, list[_Column]], columns: Sequence[_Column], places: frozenset[str]
) -> dict[str, list[_Column]]:
    """Columns for indispensable fields that no alias names: by contents, and by hints in headings."""
    taken = {c.heading for group in found.values() for c in group}
    free = [c for c in columns if c.heading not in taken and c.personal() is None]
    out: dict[str, list[_Column]] = {}
    for name, rule in base.fields.items():
        if name in found:
            continue
        if rule.role == "key" and (key := _key_of(free)):
            out[name] = [key]
        elif rule.role == "place" and (place := _place_of(free, places)):
            out[name] = [place]
        elif name == base.dataset.born and (times := _times(free)):
            out[name] = times[:1]
    for group in out.values():
        free = [c for c in free if c not in group]
    updated = base.dataset.updated
    if updated is not None and updated not in found:
        hinted = [c for c in _times(free) if _UPDATED.search(c.heading)]
        # Without an update time a record last changed when the last thing happened to it.
        events = [
            group[0]
            for name, group in [*found.items(), *out.items()]
            if base.fields[name].role == "event" and group[0].type == "time"
        ]
        events.sort(key=lambda c: c.earliest, reverse=True)
        events.sort(key=lambda c: c.filled)
        if hinted or events:
            out[updated] = hinted[:1] or events
    return out


def _key_of(columns: Sequence[_Column]) -> _Column | None:
    unique = [c for c in columns if c.unique and c.type in ("code", "int") and not c.prose]
    return next((c for c in unique if _KEY.search(c.heading)), unique[0] if unique else None)


def _place_of(columns: Sequence[_Column], places: frozenset[str]) -> _Column | None:
    def known(column: _Column) -> float:
        rows = sum(count for _, count in column.words)
        return sum(count for text, count in column.words if word(text) in places) / rows if rows else 0.0

    best = max(columns, key=known, default=None)
    if best is not None and known(best) >= 0.5:
        return best
    return next((c for c in columns if _PLACE.search(c.heading) and c.type in ("code", "text", "int")), None)


def _times(columns: Sequence[_Column]) -> list[_Column]:
    """Columns of times: the fullest, then the earliest first."""
    times = [c for c in columns if c.type == "time"]
    return sorted(times, key=lambda c: (-c.filled, c.earliest))


def _unknown_words(text: _Text, name: str, rule: FieldRule, column: _Column) -> None:
    """The words of a class that none of ours knows, as lines to fill in."""
    known = {*rule.codes(), *(word(said) for said in rule.empty)}
    unknown = [(said, rows) for said, rows in column.words if word(said) not in known][: 2 * _CLASSES]
    if not unknown:
        return
    codes = ", ".join(choice.code for choice in rule.choices)
    text.add(
        text.decide(f"{len(unknown)} words of {_one_line(column.heading)} are none of '{name}': {codes}."),
        f"[fields.{name}.map]",
        *(f"# {_quoted(mask(said))} = ''  # in {rows:,} records" for said, rows in unknown),
    )


# -- of its own ----------------------------------------------------------------------------------------------


def _of_its_own(
    text: _Text, columns: Sequence[_Column], data: Path, name: str, places: frozenset[str]
) -> None:
    loaded = [c for c in columns if c.personal() is None and c.filled]
    key = _key_of(loaded)
    place = _place_of([c for c in loaded if c is not key], places)
    times = _times([c for c in loaded if c is not key])
    updated = next((c for c in times if _UPDATED.search(c.heading)), None)
    born = next((c for c in times if c is not updated), None)
    named = _field_names(loaded)
    text.add(
        text.decide("what are these records called, in Chinese and in English?"),
        f'dataset = "{name}"',
        f"label = {_label(data.stem, data.stem)}",
    )
    if born is not None:
        text.add(
            text.decide(f"is a record born at {_one_line(born.heading)}?"), f'born = "{named[born.heading]}"'
        )
    text.add(
        text.decide("after how many hours without a file is the source late?"),
        "fresh_hours = 24",
        text.decide("are these matters of people, whose small counts must not show? Then protected = true."),
        "protected = false",
    )
    rest = [c for c in columns if c not in loaded]
    _drop(text, rest, rest)
    _files(text, data, name)
    if key is None:
        text.add("", "[fields.key]", 'type = "code"', 'role = "key"', 'label = { zh = "编号", en = "Key" }')
        text.add(text.decide("which column is the key? None holds a value of its own in every record."))
        text.add('from = ["?"]', "required = true")
        text.fields += 1
    for column in loaded:
        text.fields += 1
        text.add("", f"[fields.{named[column.heading]}]")
        if column is place:
            text.add(text.decide(f"is {_one_line(column.heading)} the place a record is filed under?"))
        role = _role(column, key=key, place=place, updated=updated)
        type_ = "code" if column in (key, place) else column.type
        text.add(f'type = "{type_}"')
        if role != "detail":
            text.add(f'role = "{role}"')
        text.add(f"label = {_label(column.heading, column.heading)}", f"from = {_list([column.heading])}")
        if column is key or (column is updated and column.filled == column.rows):
            text.add("required = true")
        if column is place and places:
            text.add('refers = "places"')
        if column.classes and column not in (key, place) and column.type in ("code", "text"):
            _choices(text, column)


def _role(column: _Column, *, key: _Column | None, place: _Column | None, updated: _Column | None) -> str:
    if column is key:
        return "key"
    if column is place:
        return "place"
    if column is updated:
        return "updated"
    if column.type == "time":
        return "event"
    return "dimension" if column.classes else "detail"


def _choices(text: _Text, column: _Column) -> None:
    codes: dict[str, str] = {}
    for number, (said, _) in enumerate(column.words, start=1):
        code = _slug(said) or f"c{number}"
        codes[said] = code if code not in codes.values() else f"{code}_{number}"
    text.add(
        text.decide(
            f"are these all the classes of {_one_line(column.heading)}? Name them in both languages."
        ),
        "choices = [",
        *(
            f'    {{ code = "{code}", label = {_label(said, said)} }},'
            for said, code in _apart(codes).items()
        ),
        "]",
    )


def _apart(codes: Mapping[str, str]) -> dict[str, str]:
    """Words that differ in width or case only are one class."""
    out: dict[str, str] = {}
    seen: set[str] = set()
    for said, code in codes.items():
        if not {word(said), code} & seen:
            out[said] = code
        seen |= {word(said), code}
    return out


def _field_names(columns: Sequence[_Column]) -> dict[str, str]:
    out: dict[str, str] = {}
    for number, column in enumerate(columns, start=1):
        name = _slug(column.heading) or f"field_{number}"
        out[column.heading] = name if name not in {*out.values(), "now", "key"} else f"{name}_{number}"
    return out


# -- spelling ------------------------------------------------------------------------------------------------


def _drop(text: _Text, columns: Sequence[_Column], all_: Sequence[_Column]) -> None:
    why = [(c, reason) for c in columns if (reason := c.personal()) is not None]
    text.add("# Never loaded: persons, addresses, free text.")
    if not why:
        text.add("drop = []")
        return
    text.add("drop = [", *(f"    {_quoted(c.heading)},  # {reason}" for c, reason in why), "]")


def _files(text: _Text, data: Path, name: str) -> None:
    stem = re.sub(r"\d{4,}(?:[-_.]?\d+)*(?:[HQ]\d)?", "*", data.stem)
    pattern = re.sub(r"\*+", "*", f"{stem}*") + data.suffix.lower()
    text.add(
        "", "[files]", text.decide("by which names are these files known?"), f"match = {_list([pattern])}"
    )


def _label(zh: str, en: str) -> str:
    return f"{{ zh = {_quoted(zh)}, en = {_quoted(en)} }}"


def _names(columns: Sequence[_Column]) -> str:
    return ", ".join(_one_line(c.heading) for c in columns)


def _list(texts: Iterator[str] | Sequence[str]) -> str:
    return "[" + ", ".join(map(_quoted, texts)) + "]"


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's."""
    return json.dumps(_one_line(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _slug(text: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return found if NAME.fullmatch(found) and re.search(r"[a-z]", found) and text.isascii() else ""
