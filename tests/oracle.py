"""The independent calculation: every figure again, in plain Python, from the files the offices sent.

It shares nothing with the product but the contracts (read here as a specification) and the written
definitions: no SQL, no DuckDB, no data frames, no code of `warehouse` or `pipelines`. Where the two
disagree, one of them is wrong.

    oracle = Oracle(folder)                              # reads site.toml, contracts, inbox and archive
    oracle.accounts["cases"]                             # read, kept, quarantined, reasons
    oracle.answer("closing_rate", "431122", start, end)  # Answer(value, n, d); value None = no data
"""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
from python_calamine import CalamineWorkbook

OURS = Path(__file__).parent.parent / "pipelines" / "sources"
LEVELS = ("province", "city", "county", "township", "village", "grid", "micro_grid")
DAY = timedelta(days=1)
Row = dict[str, Any]


# --- contracts as a specification ------------------------------------------------------------------------


@dataclass(frozen=True)
class Spec:
    """One source's contract: the parts of its TOML that decide whether a record is kept."""

    name: str
    dataset: str
    match: tuple[str, ...]
    encoding: str
    born: str | None
    fields: Mapping[str, Mapping[str, Any]]
    rules: tuple[tuple[str, Callable[[Mapping[str, Any]], Any]], ...]

    def of_role(self, role: str) -> tuple[str, ...]:
        return tuple(name for name, rule in self.fields.items() if rule.get("role") == role)


def specs(folder: Path) -> dict[str, Spec]:
    """All contracts of a site folder by name: its own win over ours."""
    paths = {path.stem: path for path in OURS.glob("*.toml")}
    paths |= {path.stem: path for path in (folder / "sources").glob("*.toml")}
    return {name: _spec(path) for name, path in sorted(paths.items())}


def _spec(path: Path) -> Spec:
    data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    if "base" in data:
        base = tomllib.loads((OURS / f"{data['base']}.toml").read_text(encoding="utf-8"))
        fields: dict[str, dict[str, Any]] = {}
        for name, rule in base["fields"].items():
            own = data["fields"].get(name)
            shape = {key: value for key, value in rule.items() if key not in ("from", "required")}
            if own is not None:
                shape |= {"required": rule.get("required", False)} | own
                if "from" not in own and "constant" not in own:
                    shape["from"] = rule.get("from", [])
            fields[name] = shape
        data = {**base, **data, "fields": fields, "rules": base.get("rules", []) + data.get("rules", [])}
    return Spec(
        name=path.stem,
        dataset=data["dataset"],
        match=tuple(data["files"]["match"]),
        encoding=data["files"].get("encoding", "auto"),
        born=data.get("born"),
        fields=data["fields"],
        rules=tuple((rule["name"], condition(rule["check"])) for rule in data.get("rules", ())),
    )


def condition(text: str) -> Callable[[Mapping[str, Any]], Any]:
    """A contract's check as a function of a record: True, False, or None where an operand is unknown."""
    tokens = re.findall(r"'[^']*'|[A-Za-z_]\w*|\d+(?:\.\d+)?|<=|>=|<>|[-+*/<>=(),]", text)
    at = 0

    def peek() -> str:
        return tokens[at].lower() if at < len(tokens) else ""

    def take(*expected: str) -> str:
        nonlocal at
        if expected and peek() not in expected:
            raise ValueError(f"expected {expected}, not {peek()!r} in {text!r}")
        token: str = tokens[at]
        at += 1
        return token

    def either() -> Callable[[Mapping[str, Any]], Any]:
        parts = [both()]
        while peek() == "or":
            take("or")
            parts.append(both())

        def value(row: Mapping[str, Any]) -> Any:
            found = [part(row) for part in parts]
            return True if any(found) else None if None in found else False

        return value if len(parts) > 1 else parts[0]

    def both() -> Callable[[Mapping[str, Any]], Any]:
        parts = [negated()]
        while peek() == "and":
            take("and")
            parts.append(negated())

        def value(row: Mapping[str, Any]) -> Any:
            found = [part(row) for part in parts]
            return False if any(one is False for one in found) else None if None in found else True

        return value if len(parts) > 1 else parts[0]

    def negated() -> Callable[[Mapping[str, Any]], Any]:
        if peek() != "not":
            return compared()
        take("not")
        inner = negated()
        return lambda row: None if (found := inner(row)) is None else not found

    def compared() -> Callable[[Mapping[str, Any]], Any]:
        left = term()
        if peek() == "is":
            take("is")
            positive = peek() != "not"
            if not positive:
                take("not")
            take("null")
            return lambda row: (left(row) is None) == positive
        if peek() not in ("<", ">", "<=", ">=", "=", "<>"):
            return left
        sign = take()
        right = term()
        return lambda row: _compare(sign, left(row), right(row))

    def term() -> Callable[[Mapping[str, Any]], Any]:
        if peek() == "(":
            take("(")
            inner = either()
            take(")")
            return inner
        token = take()
        if token.startswith("'"):
            return lambda row: token[1:-1]
        if token[0].isdigit():
            return lambda row: float(token)
        if token.lower() == "coalesce":
            take("(")
            parts = [term()]
            while peek() == ",":
                take(",")
                parts.append(term())
            take(")")
            return lambda row: next((v for part in parts if (v := part(row)) is not None), None)
        return lambda row: row[token]

    whole = either()
    if at != len(tokens):
        raise ValueError(f"cannot read {text!r} past token {at}")
    return whole


def _compare(sign: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    return bool(
        {
            "<": lambda: left < right,
            ">": lambda: left > right,
            "<=": lambda: left <= right,
            ">=": lambda: left >= right,
            "=": lambda: left == right,
            "<>": lambda: left != right,
        }[sign]()
    )


# --- cells → typed values --------------------------------------------------------------------------------


def folded(text: str) -> str:
    """Full-width → half-width, trimmed, lower case: how classes are compared."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def folded_heading(text: str) -> str:
    return "".join(folded(text).split()).strip("*")


_TIME = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[ T]?(\d{1,2})[::时](\d{1,2})(?:[::分](\d{1,2})(?:\.(\d{1,6})\d*)?秒?)?分?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?"
)


def moment(text: str, zone: ZoneInfo) -> datetime | None:
    """A time as offices write it, in the site's local time; None when it is no time."""
    text = unicodedata.normalize("NFKC", text).strip()
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        out = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "0").ljust(6, "0")),
        )  # fmt: skip
    except ValueError:
        return None
    if offset:
        zoned = datetime.fromisoformat(out.isoformat() + ("+00:00" if offset == "Z" else offset))
        out = zoned.astimezone(zone).replace(tzinfo=None)
    return out


def typed(kind: str, text: str, zone: ZoneInfo) -> Any:
    """The value of a cell, or None when its text is not of this type."""
    if kind in ("code", "text"):
        return text
    if kind == "time":
        return moment(text, zone)
    if kind == "date":
        found = moment(text, zone)
        return found.date() if found else None
    plain = unicodedata.normalize("NFKC", text).strip().replace(",", "")
    if kind == "bool":
        yes, no = ("是", "y", "yes", "1", "true", "√"), ("否", "n", "no", "0", "false", "×")
        return True if plain.lower() in yes else False if plain.lower() in no else None
    try:
        number = float(plain)
    except ValueError:
        return None
    if kind == "int":
        return int(number) if number.is_integer() else None
    return number


@dataclass
class Account:
    """What became of one source's records. A record with two reasons counts in both."""

    files: int = 0
    refused: int = 0
    read: int = 0
    kept: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def place_of(text: str, places: Mapping[str, Row]) -> str | None:
    """A place by its code, else by a name that only one place has, else by the source's own code."""
    if text in places:
        return text
    for names in (("name_zh", "name_en"), ("source_code",)):
        codes = [
            code for code, row in places.items() if folded(text) in {folded(row[n] or "") for n in names}
        ]
        if codes:
            return codes[0] if len(codes) == 1 else None
    return None


def judge(
    spec: Spec, cells: Mapping[str, str], now: datetime, zone: ZoneInfo, places: Mapping[str, Row]
) -> tuple[Row, list[str]]:
    """One record → (typed row, all its faults). `cells`: field → text as the source wrote it."""
    row: Row = {}
    faults: list[str] = []
    for name, rule in spec.fields.items():
        text = rule.get("constant", cells.get(name, "")).strip()
        if text in rule.get("empty", ()):
            text = ""
        if not text:
            text = rule.get("default", "")
        if not text:
            row[name] = None
            if rule.get("required"):
                faults.append(f"required:{name}")
            continue
        if "choices" in rule:
            codes = {folded(key): code for key, code in rule.get("map", {}).items()}
            for choice in rule["choices"]:
                for word in (choice["code"], *choice["label"].values(), *choice["synonyms"]):
                    codes.setdefault(folded(word), choice["code"])
            code = codes.get(folded(text))
            row[name] = int(code) if code is not None and rule["type"] == "int" else code
            if code is None:
                faults.append(f"choice:{name}")
            continue
        if rule.get("refers") == "places":
            row[name] = place_of(text, places)
            if row[name] is None:
                faults.append(f"refers:{name}")
            continue
        value = typed(rule["type"], rule.get("map", {}).get(text, text), zone)
        row[name] = value
        if value is None:
            faults.append(f"type:{name}")
            continue
        if "pattern" in rule and not re.fullmatch(rule["pattern"], text):
            faults.append(f"pattern:{name}")
        if "min" in rule and value < rule["min"]:
            faults.append(f"min:{name}")
        if "max" in rule and value > rule["max"]:
            faults.append(f"max:{name}")
    day = next((row[name] for name in (spec.born,) if name and row[name] is not None), now).date()
    for name, rule in spec.fields.items():
        place = row[name] if rule.get("refers") == "places" else None
        if place is not None and not in_use(places[place], day):
            faults.append(f"refers:{name}")
    for name, check in spec.rules:
        if check({**row, "now": now}) is False:
            faults.append(name)
    return row, faults


# --- files → cells ---------------------------------------------------------------------------------------


def records_of(path: Path, spec: Spec) -> Iterator[Mapping[str, str] | str]:
    """Each record of a file as field → text, or the word for what broke it."""
    suffix = path.suffix.lower()
    if suffix in (".ndjson", ".jsonl"):
        for line in _decoded(path.read_bytes(), spec.encoding).split("\n"):
            if line.strip():
                yield _from_json(line, spec)
        return
    if suffix == ".parquet":
        for record in pq.ParquetFile(path).read().to_pylist():
            yield _from_named({key: _cell(value) for key, value in record.items()}, spec)
        return
    if suffix in (".xlsx", ".xls"):
        book = CalamineWorkbook.from_path(str(path))
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            yield from _from_table([[_cell(cell) for cell in row] for row in rows], spec)
        return
    yield from _from_table(
        list(csv.reader(io.StringIO(_decoded(path.read_bytes(), spec.encoding), newline=""))), spec
    )


def _decoded(content: bytes, encoding: str) -> str:
    for name in ("utf-8-sig", "gb18030") if encoding == "auto" else (encoding,):
        try:
            return content.decode(name).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
    raise ValueError("not decodable")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)


def _from_json(line: str, spec: Spec) -> Mapping[str, str] | str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return "json"
    if not isinstance(record, dict):
        return "json"
    return _from_named({key: _cell(value) for key, value in record.items()}, spec)


def _from_named(record: Mapping[str, str], spec: Spec) -> Mapping[str, str]:
    by_heading = {folded_heading(key): value for key, value in record.items()}
    out: dict[str, str] = {}
    for name, rule in spec.fields.items():
        aliases = [folded_heading(alias) for alias in rule.get("from", ())]
        present = [by_heading[alias] for alias in aliases if alias in by_heading]
        if present:
            out[name] = next((text for text in present if text.strip()), "")
    return out


def _from_table(rows: Sequence[Sequence[str]], spec: Spec) -> Iterator[Mapping[str, str] | str]:
    """Records under the row that names most of the contract's headings; totals and blank rows are none."""
    aliases = {name: [folded_heading(a) for a in rule.get("from", ())] for name, rule in spec.fields.items()}
    every = {alias for group in aliases.values() for alias in group}

    def named(row: Sequence[str]) -> int:
        return sum(folded_heading(cell) in every for cell in row)

    if not rows:
        return
    head = max(range(min(30, len(rows))), key=lambda index: named(rows[index]))
    if named(rows[head]) < 2:
        return
    headings = [folded_heading(cell) for cell in rows[head]]
    where = {
        name: [headings.index(alias) for alias in group if alias in headings]
        for name, group in aliases.items()
    }
    coalesced = {name for name, rule in spec.fields.items() if rule.get("coalesce")}
    for row in rows[head + 1 :]:
        first = next((cell for cell in row if cell.strip()), None)
        if first is None or folded_heading(first).rstrip(":") in ("合计", "总计", "小计", "共计"):
            continue
        if len(row) != len(headings):
            yield "columns"
            continue
        yield {
            name: next((row[at] for at in spots if row[at].strip()), "")
            if name in coalesced
            else row[spots[0]]
            for name, spots in where.items()
            if spots
        }


def in_use(place: Row, start: date, end: date | None = None) -> bool:
    """Whether a place was in use on a day, or on some day of a period."""
    begun = place["valid_from"] is None or place["valid_from"] <= (end or start)
    return begun and (place["valid_to"] is None or place["valid_to"] >= start)


# --- answers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A figure again. `value` None: nothing to count (0/0). A rate carries n and d, a count n, a quantile
    the number of records it rests on as n."""

    value: float | None
    n: float | None = None
    d: float | None = None


@dataclass(frozen=True)
class Fact:
    """What one record (or one place's month) adds to a measure.

    `at` dates it, at `ripe` it may be counted; `n` of `d` for a rate, `n` alone for a count; `size` is the
    quantity of a quantile; `row` holds the classes to break down by.
    """

    place: str
    at: datetime
    n: float = 0
    d: float = 0
    ripe: datetime | None = None
    size: float = 0
    row: Mapping[str, Any] = field(default_factory=dict)


QUANTILES = {"p50": 0.5, "p90": 0.9}
PROTECTED = frozenset(
    {
        "timely_acceptance_rate",
        "on_time_reply_rate",
        "one_time_resolution_rate",
        "repeat_petition_share",
        "rating_participation",
        "satisfaction_rate",
        "visit_coverage",
        "needs_followed_up_rate",
        "petitions_registered",
    }
)
"""Measures of people's matters: petitions, ratings, visits."""
BY_VILLAGE = frozenset(
    {
        "meeting_item_completion",
        "meetings_held",
        "meetings_held_rate",
        "items_on_time_rate",
        "overdue_items",
        "patrol_completion",
        "issues_per_100_patrol_hours",
        "visit_coverage",
        "needs_followed_up_rate",
    }
)
"""Measures that say nothing of a grid: their records belong to a village, or they are about people at work,
of whom villages and teams are the finest level."""


class Oracle:
    """All figures of one site folder. `now`: the site's clock when the files were loaded. `later`: names of
    the files of later sweeps, in their order of arrival."""

    def __init__(self, folder: Path, now: datetime | None = None, later: Sequence[str] = ()) -> None:
        site = tomllib.loads((folder / "site.toml").read_text(encoding="utf-8-sig"))
        stopped: Any = site.get("as_of")
        if now is None and stopped is None:
            raise ValueError("the site's clock runs: say at what time its files were loaded")
        self.now: datetime = now or (
            stopped if isinstance(stopped, datetime) else datetime.fromisoformat(stopped)
        )
        self.zone = ZoneInfo(site.get("timezone", "Asia/Shanghai"))
        params = site.get("params", {})
        self.window = timedelta(days=params.get("repeat_window_days", 90))
        self.satisfied_from: int = params.get("satisfied_from", 3)
        self.due_rule: str = params.get("due_rule", "earlier")
        self.below: int = params.get("suppress_below", 5)
        self.specs = specs(folder)
        self.accounts: dict[str, Account] = {name: Account() for name in self.specs}
        self.records: dict[str, list[Row]] = {spec.dataset: [] for spec in self.specs.values()}
        self._load(folder, list(later))
        self._facts: dict[tuple[str, datetime], list[Fact]] = {}

    # loading

    def _load(self, folder: Path, later: Sequence[str]) -> None:
        """Files in the order a sweep of the inbox takes them: places before the records that name them,
        then by name."""

        def rank(one: tuple[Path, Spec]) -> tuple[int, bool, str]:
            path, spec = one
            arrival = later.index(path.name) + 1 if path.name in later else 0
            return arrival, spec.dataset != "places", path.name

        found = [path for top in ("archive", "inbox") for path in (folder / top).rglob("*") if path.is_file()]
        taken = [(path, spec) for path in found if (spec := self._spec_of(path)) is not None]
        taken.sort(key=rank)
        current: dict[str, dict[str, Row]] = {name: {} for name in self.records}
        contents: set[tuple[str, bytes]] = set()
        for path, spec in taken:
            content = path.read_bytes()
            if (spec.name, content) in contents:
                continue
            contents.add((spec.name, content))
            self._take(path, spec, current)
        self.records = {name: list(rows.values()) for name, rows in current.items()}

    def _spec_of(self, path: Path) -> Spec | None:
        name = path.name.lower()
        fits = [
            (len(pattern), spec.name)
            for spec in self.specs.values()
            for pattern in spec.match
            if fnmatchcase(name, pattern.lower())
        ]
        return self.specs[max(fits)[1]] if fits else None

    def _take(self, path: Path, spec: Spec, current: dict[str, dict[str, Row]]) -> None:
        account = self.accounts[spec.name]
        account.files += 1
        (key,), (updated,) = spec.of_role("key"), spec.of_role("updated")
        places = current["places"]
        rows = current[spec.dataset]
        for cells in records_of(path, spec):
            account.read += 1
            if isinstance(cells, str):
                faults = [cells]
                row = Row()
            else:
                row, faults = judge(spec, cells, self.now, self.zone, places)
            if faults:
                account.quarantined += 1
                for fault in faults:
                    account.reasons[fault] = account.reasons.get(fault, 0) + 1
                continue
            account.kept += 1
            before = rows.get(row[key])
            if before is None or row[updated] >= before[updated]:
                rows[row[key]] = row

    # places

    @cached_property
    def places(self) -> dict[str, Row]:
        return {row["code"]: row for row in self.records["places"]}

    @cached_property
    def lineage(self) -> dict[str, tuple[str, ...]]:
        """Place → itself and all above it, found by their parents."""
        out: dict[str, tuple[str, ...]] = {}
        for code in self.places:
            chain = [code]
            while (parent := self.places[chain[-1]]["parent"]) in self.places:
                chain.append(parent)
            out[code] = tuple(chain)
        return out

    def within(self, place: str, scope: str) -> bool:
        return scope in self.lineage[place]

    def at_level(self, place: str, level: str) -> str | None:
        return next((code for code in self.lineage[place] if self.places[code]["level"] == level), None)

    def below_scope(self, scope: str, level: str) -> list[str]:
        """All places of a level in a scope."""
        return sorted(c for c, row in self.places.items() if row["level"] == level and self.within(c, scope))

    # measures

    def answer(
        self, measure: str, scope: str, start: date, end: date, cutoff: datetime | None = None
    ) -> Answer:
        """One figure. `measure` may carry a statistic (`hours_to_close:p90`)."""
        if datetime(start.year, start.month, start.day) > min(cutoff or self.now, self.now):
            return Answer(None)  # not zero: it is still to come
        facts = [f for f in self._of(measure, start, end, cutoff) if self.within(f.place, scope)]
        return self._exposed(measure, facts, scope, end, cutoff)

    def _exposed(
        self, measure: str, facts: Sequence[Fact], scope: str, end: date, cutoff: datetime | None
    ) -> Answer:
        """The sum; of a rate per households, over those of the grids in use on the last day."""
        if measure not in EXPOSED:
            return _sum(measure, facts)
        day = min(end, min(cutoff or self.now, self.now).date())
        households = sum(
            place["households"] or 0
            for code, place in self.places.items()
            if place["level"] == "grid" and self.within(code, scope) and in_use(place, day)
        )
        n = sum(fact.n for fact in facts)
        return Answer(PER[measure] * n / households if households else None, n, households)

    def filed_under(self, measure: str, place: str, start: date, end: date) -> Answer:
        """Of a figure the part filed under the place itself, not under one below it."""
        own = [fact for fact in self._of(measure, start, end, None) if fact.place == place]
        return Answer(None, sum(f.n for f in own), 0) if measure in EXPOSED else _sum(measure, own)

    def by_class(
        self, measure: str, scope: str, start: date, end: date, dimension: str, cutoff: datetime | None = None
    ) -> dict[str | None, Answer]:
        """The figure for each class that occurs (None: the record says none)."""
        groups: dict[str | None, list[Fact]] = {}
        for fact in self._of(measure, start, end, cutoff):
            if self.within(fact.place, scope):
                groups.setdefault(fact.row[dimension], []).append(fact)
        return {key: self._exposed(measure, facts, scope, end, cutoff) for key, facts in groups.items()}

    def by_level(
        self, measure: str, scope: str, start: date, end: date, level: str, cutoff: datetime | None = None
    ) -> dict[str, Answer]:
        """The figure for every place of a level in the scope."""
        groups: dict[str, list[Fact]] = {code: [] for code in self.below_scope(scope, level)}
        for fact in self._of(measure, start, end, cutoff):
            code = self.at_level(fact.place, level)
            if code in groups:
                groups[code].append(fact)
        return {code: self._exposed(measure, facts, code, end, cutoff) for code, facts in groups.items()}

    def too_fine(
        self, measure: str, place: str, start: date, end: date, cutoff: datetime | None = None
    ) -> bool:
        """Whether a figure about people's matters is asked for other than whole months (the running one up to the
        cut-off counts as whole; the last 7 and 30 days are not asked here)."""
        if measure.partition(":")[0] not in PROTECTED:
            return False
        if measure.partition(":")[0] in AS_OF and self.places[place]["level"] in LEVELS[:4]:
            start = start.replace(day=1)
        last = min(cutoff or self.now, self.now).date()
        return start.day != 1 or not ((end + DAY).day == 1 or end >= last)

    def suppressed(self, measure: str, answer: Answer) -> bool:
        """Whether a figure about people's matters rests on so few that it may not be shown."""
        name = measure.partition(":")[0]
        if name not in PROTECTED or answer.value is None:
            return False
        counts = [answer.n] if answer.d is None else [answer.n, answer.d, answer.d - (answer.n or 0)]
        return any(0 < (count or 0) < self.below for count in counts)

    def _of(self, measure: str, start: date, end: date, cutoff: datetime | None) -> Iterable[Fact]:
        name = measure.partition(":")[0]
        known = min(cutoff or self.now, self.now)
        first, past = (
            datetime(start.year, start.month, start.day),
            datetime(end.year, end.month, end.day) + DAY,
        )
        if name in AS_OF:
            return AS_OF[name](self, min(known, past))
        key = (name, known)
        if key not in self._facts:
            self._facts[key] = list(DATED[name](self, known))
        return [f for f in self._facts[key] if first <= f.at < past and max(f.at, f.ripe or f.at) <= known]

    def seen(self, dataset: str, cutoff: datetime) -> list[Row]:
        """The records as a past cut-off would have found them: what happened later had not happened."""
        rows = self.records[dataset]
        if cutoff >= self.now:
            return rows
        spec = next(spec for spec in self.specs.values() if spec.dataset == dataset)
        events = spec.of_role("event")
        (updated,) = spec.of_role("updated")
        born = spec.born
        assert born is not None
        out: list[Row] = []
        for row in rows:
            if row[born] <= cutoff:
                hidden = [name for name in events if row[name] is not None and row[name] > cutoff]
                if "status" in row and row[updated] > cutoff:
                    hidden.append("status")  # how it stood before its last update is not on record
                out.append(row | dict.fromkeys(hidden))
        return out


def _sum(measure: str, facts: Sequence[Fact]) -> Answer:
    name, _, statistic = measure.partition(":")
    if name in SIZED:
        sizes = sorted(fact.size for fact in facts)
        if not sizes:
            return Answer(None, 0)
        spot = QUANTILES[statistic or "p50"] * (len(sizes) - 1)
        low = int(spot)
        high = min(low + 1, len(sizes) - 1)
        return Answer(sizes[low] + (sizes[high] - sizes[low]) * (spot - low), len(sizes))
    n = sum(fact.n for fact in facts)
    if name in COUNTS:
        return Answer(n, n)
    d = sum(fact.d for fact in facts)
    return Answer(PER.get(name, 1) * n / d if d else None, n, d)


# --- definitions: cases ----------------------------------------------------------------------------------


def is_cancelled(case: Row) -> bool:
    """Cancelled 作废, with or without the time on record."""
    return case["cancelled_at"] is not None or case["status"] == "cancelled"


def due_of(case: Row) -> datetime | None:
    """The (extended) due time, moved by a suspension that has ended."""
    due: datetime | None = case["extended_due_at"] or case["due_at"]
    if due is not None and case["suspended_from"] and case["suspended_to"]:
        due += case["suspended_to"] - case["suspended_from"]
    return due


def _each(
    dataset: str, date_field: str, d: Callable[[Row], bool], n: Callable[[Row], bool]
) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    """A rate over the records of a dataset that meet `d`, dated by one of their fields."""

    def facts(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
        for row in oracle.seen(dataset, cutoff):
            if row[date_field] is not None and d(row):
                yield Fact(row["place"], row[date_field], n=n(row), d=1, row=row)

    return facts


def _due_to_close(n: Callable[[Row, datetime], bool]) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    """Filed, with a due time, not cancelled, not suspended; each case once, on the earlier of its closing
    and its due time."""

    def facts(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
        for case in oracle.seen("cases", cutoff):
            due = due_of(case)
            suspended = case["suspended_from"] is not None and case["suspended_to"] is None
            if case["filed_at"] is None or case["due_at"] is None or due is None:
                continue
            if is_cancelled(case) or suspended:
                continue
            closed = case["closed_at"]
            at = min(closed, due) if closed is not None and oracle.due_rule == "earlier" else due
            yield Fact(case["place"], at, n=n(case, due), d=1, row=case)

    return facts


def _settled(*tiers: str) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    return _each(
        "cases",
        "closed_at",
        lambda case: not is_cancelled(case),
        lambda case: case["closed_tier"] in tiers,
    )


def _took(
    dataset: str, start: str, end: str, dated: str, seconds: float, d: Callable[[Row], bool]
) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    """How long each took, in units of `seconds`."""

    def facts(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
        for row in oracle.seen(dataset, cutoff):
            if row[start] is not None and row[end] is not None and d(row):
                took = (row[end] - row[start]).total_seconds() / seconds
                yield Fact(row["place"], row[dated], n=1, size=took, row=row)

    return facts


def _open(oracle: Oracle, as_of: datetime) -> Iterator[tuple[Row, datetime]]:
    """Cases still open whose clock runs, with their due time."""
    for case in oracle.seen("cases", as_of):
        due = due_of(case)
        over = case["closed_at"] or is_cancelled(case) or case["status"] == "not_accepted"
        suspended = case["suspended_from"] is not None and case["suspended_to"] is None
        if case["due_at"] is not None and due is not None and not over and not suspended:
            yield case, due


def _overdue_cases(oracle: Oracle, as_of: datetime) -> Iterator[Fact]:
    return (Fact(case["place"], due, n=1, row=case) for case, due in _open(oracle, as_of) if due < as_of)


def _due_soon(oracle: Oracle, as_of: datetime) -> Iterator[Fact]:
    soon = as_of + timedelta(hours=72)
    return (
        Fact(case["place"], due, n=1, row=case) for case, due in _open(oracle, as_of) if as_of <= due <= soon
    )


# --- definitions: petitions, ratings ---------------------------------------------------------------------


def _timely_acceptance(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("petitions", cutoff):
        if row["route"] == "petition" and row["received_at"] is not None:
            at = row["received_at"] + timedelta(days=15)
            yield Fact(
                row["place"], at, n=row["accepted_at"] is not None and row["accepted_at"] <= at, d=1, row=row
            )


def _on_time_reply(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("petitions", cutoff):
        if row["route"] == "petition" and row["accepted_at"] is not None:
            at = row["accepted_at"] + timedelta(days=90 if row["extended_at"] is not None else 60)
            yield Fact(
                row["place"], at, n=row["replied_at"] is not None and row["replied_at"] <= at, d=1, row=row
            )


def _neighbours(rows: Sequence[Row]) -> Iterator[tuple[Row, bool, Row | None]]:
    """Each petition, whether its matter was registered before, and the next registration of the matter.

    A matter is known by the number of its main petition 主件编号, which itself may name none. Two registrations
    at the same moment stand in the order of their numbers.
    """
    matters: dict[str, list[Row]] = {}
    for row in rows:
        matters.setdefault(row["matter_key"] or row["petition_id"], []).append(row)
    for matter in matters.values():
        matter.sort(key=lambda row: (row["registered_at"], row["petition_id"]))
        for number, row in enumerate(matter):
            yield row, number > 0, matter[number + 1] if number + 1 < len(matter) else None


def _one_time(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    """A petition marked as first whose matter was registered before is no first one."""
    for row, before, following in _neighbours(oracle.seen("petitions", cutoff)):
        if row["kind"] == "first" and not before and row["closed_at"] is not None:
            until = row["closed_at"] + oracle.window
            again = following is not None and following["registered_at"] <= until
            yield Fact(row["place"], row["closed_at"], n=not again, d=1, ripe=until, row=row)


def _repeats(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row, before, _ in _neighbours(oracle.seen("petitions", cutoff)):
        yield Fact(row["place"], row["registered_at"], n=row["kind"] == "repeat" or before, d=1, row=row)


def _of_first_petition(answer: Row) -> bool:
    return bool(answer["subject"] == "petition" and answer["kind"] == "first")


def _satisfaction(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("surveys", cutoff):
        if _of_first_petition(row) and row["rating"] is not None and row["closed_at"] is not None:
            yield Fact(row["place"], row["closed_at"], n=row["rating"] >= oracle.satisfied_from, d=1, row=row)


# --- definitions: month by month -------------------------------------------------------------------------


def _months(first: datetime, cutoff: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each whole month from that of `first` on, over at the cut-off: (its first day, the next one's)."""
    start = datetime(first.year, first.month, 1)
    while True:
        following = (start + timedelta(days=32)).replace(day=1)
        if following > cutoff:
            return
        yield start, following
        start = following


def _visit_coverage(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    visits = oracle.seen("visits", cutoff)
    if not visits:
        return
    visited: dict[tuple[str, datetime], set[str]] = {}
    for visit in visits:
        grid = oracle.at_level(visit["place"], "grid")
        if grid is not None and visit["result"] != "absent":
            month = visit["visited_at"].replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            visited.setdefault((grid, month), set()).add(visit["household_key"])
    for start, following in _months(min(visit["visited_at"] for visit in visits), cutoff):
        for code, place in oracle.places.items():
            if place["level"] == "grid" and place["households_to_visit"] and in_use(place, start.date()):
                due = place["households_to_visit"]
                yield Fact(
                    code, start, n=min(len(visited.get((code, start), ())), due), d=due, ripe=following
                )


def _meetings_held_rate(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    meetings = oracle.seen("meetings", cutoff)
    if not meetings:
        return
    met = {(oracle.at_level(m["place"], "village"), m["held_at"].year, m["held_at"].month) for m in meetings}
    for start, following in _months(min(meeting["held_at"] for meeting in meetings), cutoff):
        for code, place in oracle.places.items():
            if place["level"] == "village" and in_use(place, start.date()):
                yield Fact(code, start, n=(code, start.year, start.month) in met, d=1, ripe=following)


# --- definitions: meetings and their items ---------------------------------------------------------------


def _agreed(item: Row) -> bool:
    return bool(item["status"] != "cancelled")


def due_end(item: Row) -> datetime:
    """When an item's due time is over: a date without an hour means the end of that day."""
    due: datetime = item["due_at"]
    return due + DAY - timedelta(seconds=1) if due == datetime(due.year, due.month, due.day) else due


def _items_on_time(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for item in oracle.seen("work_items", cutoff):
        if _agreed(item):
            done, end = item["done_at"], due_end(item)
            yield Fact(
                item["place"], item["due_at"], n=done is not None and done <= end, d=1, ripe=end, row=item
            )


def _overdue_items(oracle: Oracle, as_of: datetime) -> Iterator[Fact]:
    for item in oracle.seen("work_items", as_of):
        if item["done_at"] is None and _agreed(item) and due_end(item) < as_of:
            yield Fact(item["place"], item["due_at"], n=1, row=item)


# --- definitions: patrols, turn-outs, needs --------------------------------------------------------------


def _issues_per_hour(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("patrols", cutoff):
        if row["started_at"] is not None and row["ended_at"] is not None:
            hours = (row["ended_at"] - row["started_at"]).total_seconds() / 3600
            yield Fact(row["place"], row["started_at"], n=row["issues"] or 0, d=hours, row=row)


def _arrived(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("responses", cutoff):
        if row["dispatched_at"] is not None:
            limit = row["alarm_at"] + timedelta(minutes=15)
            in_time = row["arrived_at"] is not None and row["arrived_at"] <= limit
            yield Fact(row["place"], row["alarm_at"], n=in_time, d=1, ripe=limit, row=row)


def _needs(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("visits", cutoff):
        yield Fact(
            row["place"], row["visited_at"], n=row["needs_closed"] or 0, d=row["needs_noted"] or 0, row=row
        )


def _always(row: Row) -> bool:
    return True


def _has(*names: str) -> Callable[[Row], bool]:
    return lambda row: all(row[name] is not None for name in names)


DATED: dict[str, Callable[[Oracle, datetime], Iterator[Fact]]] = {
    "cases_reported": _each("cases", "reported_at", _always, _always),
    "filing_rate": _each("cases", "reported_at", _always, _has("filed_at")),
    "dispatch_rate": _each("cases", "filed_at", _always, _has("dispatched_at")),
    "return_rate": _each("cases", "dispatched_at", _always, lambda case: (case["returned"] or 0) >= 1),
    "closing_rate": _due_to_close(lambda case, due: case["closed_at"] is not None),
    "on_time_closing_rate": _due_to_close(
        lambda case, due: case["closed_at"] is not None and case["closed_at"] <= due
    ),
    "rework_rate": _due_to_close(lambda case, due: (case["reworked"] or 0) >= 1),
    "extension_rate": _due_to_close(lambda case, due: case["extended_due_at"] is not None),
    "hours_to_close": _took(
        "cases", "reported_at", "closed_at", "closed_at", 3600, lambda case: not is_cancelled(case)
    ),
    "settled_in_village": _settled("grid", "village"),
    "settled_in_township": _settled("grid", "village", "township"),
    "timely_acceptance_rate": _timely_acceptance,
    "on_time_reply_rate": _on_time_reply,
    "one_time_resolution_rate": _one_time,
    "repeat_petition_share": _repeats,
    "petitions_registered": _each("petitions", "registered_at", _always, _always),
    "rating_participation": _each("surveys", "closed_at", _of_first_petition, _has("rating")),
    "satisfaction_rate": _satisfaction,
    "visit_coverage": _visit_coverage,
    "patrol_completion": _each("patrols", "planned_end", _always, _has("started_at", "ended_at")),
    "arrived_in_15_minutes": _arrived,
    "minutes_to_arrive": _took("responses", "alarm_at", "arrived_at", "alarm_at", 60, _always),
    "minutes_to_control": _took("responses", "alarm_at", "controlled_at", "alarm_at", 60, _always),
    "meeting_item_completion": _each("work_items", "held_at", _agreed, _has("done_at")),
    "meetings_held": _each("meetings", "held_at", _always, _always),
    "meetings_held_rate": _meetings_held_rate,
    "items_on_time_rate": _items_on_time,
    "issues_per_100_patrol_hours": _issues_per_hour,
    "needs_followed_up_rate": _needs,
}
"""Measures dated by their records."""
AS_OF: dict[str, Callable[[Oracle, datetime], Iterator[Fact]]] = {
    "overdue_open_cases": _overdue_cases,
    "due_soon_cases": _due_soon,
    "overdue_items": _overdue_items,
}
"""Measures of a moment: the end of the period, or the cut-off where that comes first."""
COUNTS = frozenset({"cases_reported", "petitions_registered", "meetings_held", *AS_OF})
PER = {"issues_per_100_patrol_hours": 100}
SIZED = frozenset({"hours_to_close", "minutes_to_arrive", "minutes_to_control"})


# --- definitions: cases and the hotline, further ---------------------------------------------------------


def _within(
    dataset: str, start: str, end: str, limit: timedelta, d: Callable[[Row], bool] = lambda row: True
) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    """What ended within a limit of its start; counted once the limit has passed."""

    def facts(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
        for row in oracle.seen(dataset, cutoff):
            if row[start] is not None and d(row):
                due = row[start] + limit
                in_time = row[end] is not None and row[end] <= due
                yield Fact(row["place"], row[start], n=in_time, d=1, ripe=due, row=row)

    return facts


def _repeat_cases(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    """An earlier case of the same matter and place within 90 days. Two at one moment stand in the order of
    their numbers."""
    matters: dict[tuple[str, str], list[Row]] = {}
    for case in oracle.seen("cases", cutoff):
        matters.setdefault((case["matter_key"] or case["case_id"], case["place"]), []).append(case)
    for same in matters.values():
        same.sort(key=lambda case: (case["reported_at"], case["case_id"]))
        for number, case in enumerate(same):
            before = same[number - 1] if number else None
            again = before is not None and case["reported_at"] - before["reported_at"] <= timedelta(days=90)
            yield Fact(case["place"], case["reported_at"], n=again, d=1, row=case)


def _supervised(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for case in oracle.seen("cases", cutoff):
        if case["supervised_due_at"] is not None and not is_cancelled(case):
            done = case["supervised_done_at"] is not None
            yield Fact(case["place"], case["supervised_due_at"], n=done, d=1, row=case)


def _wrong_unit(case: Row) -> bool:
    return (case["returned"] or 0) >= 1 and case["return_reason"] == "wrong_unit"


def _hotline(points: Callable[[Row], float]) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    """Points over the valid follow-ups of hotline demands."""

    def facts(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
        for case in oracle.seen("cases", cutoff):
            if (
                case["channel"] == "hotline"
                and case["followed_up_at"] is not None
                and case["follow_up_valid"]
            ):
                yield Fact(case["place"], case["reported_at"], n=points(case), d=1, row=case)

    return facts


def _content(case: Row) -> float:
    return {"satisfied": 1.0, "basically": 0.9}.get(case["satisfaction"], 0.0)


def _composite(case: Row) -> float:
    return 0.1 * bool(case["contacted"]) + 0.5 * bool(case["solved"]) + 0.4 * _content(case)


# --- definitions: petitions, further ---------------------------------------------------------------------


def _same_day(row: Row) -> bool:
    return row["closed_at"] is not None and row["closed_at"].date() == row["registered_at"].date()


def _forwarded(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("petitions", cutoff):
        if row["route"] == "petition":
            due = row["registered_at"] + timedelta(days=15)
            in_time = row["forwarded_at"] is not None and row["forwarded_at"] <= due
            yield Fact(row["place"], due, n=in_time, d=1, row=row)


def _first_ones(oracle: Oracle, cutoff: datetime) -> Iterator[tuple[Row, Row | None]]:
    """First petitions, with the next registration of their matter."""
    for row, before, following in _neighbours(oracle.seen("petitions", cutoff)):
        if row["kind"] != "repeat" and not before:
            yield row, following


def _first_resolved(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row, _ in _first_ones(oracle, cutoff):
        if row["route"] == "petition" and row["accepted_at"] is not None:
            due = row["accepted_at"] + timedelta(days=90 if row["extended_at"] is not None else 60)
            yield Fact(row["place"], due, n=row["resolved_at"] is not None, d=1, row=row)


def _came_again(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row, following in _first_ones(oracle, cutoff):
        if row["closed_at"] is not None:
            yield Fact(row["place"], row["closed_at"], n=following is not None, d=1, row=row)


def _first_took(start: str, end: str) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    def facts(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
        for row, _ in _first_ones(oracle, cutoff):
            if row[start] is not None and row[end] is not None:
                took = (row[end] - row[start]).total_seconds() / 86_400
                yield Fact(row["place"], row[end], n=1, size=took, row=row)

    return facts


def _strict(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("surveys", cutoff):
        if _of_first_petition(row) and row["rating"] is not None and row["closed_at"] is not None:
            yield Fact(row["place"], row["closed_at"], n=row["rating"] in (4, 5), d=1, row=row)


def _redone(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("surveys", cutoff):
        if row["rating"] is not None and row["rating"] < oracle.satisfied_from:
            yield Fact(row["place"], row["answered_at"], n=row["redone_at"] is not None, d=1, row=row)


def _counted(
    dataset: str, dated: str, number: Callable[[Row], float]
) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    """A count of something a record has so many of."""

    def facts(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
        for row in oracle.seen(dataset, cutoff):
            if row[dated] is not None and number(row):
                yield Fact(row["place"], row[dated], n=number(row), row=row)

    return facts


# --- definitions: disputes -------------------------------------------------------------------------------

HEIGHTS = ("neighbour", "village", "station", "township", "county")


def _ladders(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The mediations of each dispute, in the order they were registered."""
    disputes: dict[str, list[Row]] = {}
    for row in rows:
        disputes.setdefault(row["dispute_id"], []).append(row)
    for steps in disputes.values():
        yield sorted(steps, key=lambda row: (row["registered_at"], row["mediation_id"]))


def _resolved_disputes(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for steps in _ladders(oracle.seen("disputes", cutoff)):
        settled = any(row["outcome"] == "agreed" and row["concluded_at"] is not None for row in steps)
        yield Fact(steps[0]["place"], steps[0]["registered_at"], n=settled, d=1, row=steps[0])


def _raised(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for steps in _ladders(oracle.seen("disputes", cutoff)):
        for number, row in enumerate(steps):
            if row["concluded_at"] is not None:
                above = steps[number + 1 : number + 2]
                up = any(HEIGHTS.index(one["tier"]) > HEIGHTS.index(row["tier"]) for one in above)
                yield Fact(row["place"], row["concluded_at"], n=up, d=1, row=row)


def _fulfilled(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("disputes", cutoff):
        if (
            row["agreement_due_at"] is not None
            and row["concluded_at"] is not None
            and row["outcome"] == "agreed"
        ):
            done = row["fulfilled_at"] is not None
            yield Fact(row["place"], row["agreement_due_at"], n=done, d=1, row=row)


def _open_disputes(oracle: Oracle, as_of: datetime) -> Iterator[Fact]:
    for steps in _ladders(oracle.seen("disputes", as_of)):
        over = any(
            row["concluded_at"] is not None and row["outcome"] in ("agreed", "ended", "referred")
            for row in steps
        )
        if not over:
            yield Fact(steps[0]["place"], steps[0]["registered_at"], n=1, row=steps[0])


# --- definitions: files, posts, key sites ----------------------------------------------------------------


def _fresh_files(oracle: Oracle, as_of: datetime) -> Iterator[Fact]:
    if not _begun(oracle, "visits", as_of):
        return
    fresh: dict[str, set[str]] = {}
    for visit in oracle.seen("visits", as_of):
        grid = oracle.at_level(visit["place"], "grid")
        if grid and visit["file_refreshed"] and as_of - timedelta(days=90) < visit["visited_at"] <= as_of:
            fresh.setdefault(grid, set()).add(visit["household_key"])
    for code, place in oracle.places.items():
        if place["level"] == "grid" and place["households"] and in_use(place, as_of.date()):
            households = place["households"]
            yield Fact(code, as_of, n=min(len(fresh.get(code, ())), households), d=households)


def _begun(oracle: Oracle, dataset: str, as_of: datetime) -> bool:
    """Whether records of this kind had begun: before the month of the first one nothing is known."""
    spec = next(spec for spec in oracle.specs.values() if spec.dataset == dataset)
    assert spec.born is not None
    times = [row[spec.born] for row in oracle.records[dataset] if row[spec.born] is not None]
    return bool(times) and min(times).replace(day=1, hour=0, minute=0, second=0) < as_of


def _staffed(oracle: Oracle, as_of: datetime) -> Iterator[Fact]:
    if not _begun(oracle, "posts", as_of):
        return
    workers = {
        oracle.at_level(post["place"], "grid")
        for post in _posts(oracle, as_of)
        if post["kind"] in ("grid_worker", "grid_part_time") and post["filled"] > 0
    }
    for code, place in oracle.places.items():
        if place["level"] == "grid" and in_use(place, as_of.date()):
            yield Fact(code, as_of, n=code in workers, d=1)


def _posts(oracle: Oracle, as_of: datetime) -> Iterator[Row]:
    """Posts in place at a moment."""
    for post in oracle.seen("posts", as_of):
        if post["from_at"] <= as_of and (post["to_at"] is None or post["to_at"] > as_of):
            yield post


PARTY = ("party_member", "party_branch", "party_group", "party_household", "station", "mediation_room")


def _standing(level: str) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    """The places of a level in use at a moment."""
    return lambda oracle, as_of: (
        Fact(code, as_of, n=1, row=place)
        for code, place in oracle.places.items()
        if place["level"] == level and in_use(place, as_of.date())
    )


def _groups(oracle: Oracle, as_of: datetime) -> Iterator[Fact]:
    """The place groups of a kind in use at a moment, at the first of their members."""
    members: dict[str, list[Row]] = {}
    for row in oracle.records["place_groups"]:
        if row["kind"] and in_use(row, as_of.date()):
            members.setdefault(row["group_code"], []).append(row)
    for rows in members.values():
        yield Fact(min(row["place"] for row in rows), as_of, n=1, row=rows[0])


def _in_place(
    n: Callable[[Row], float], d: Callable[[Row], float] = lambda post: 0
) -> Callable[[Oracle, datetime], Iterator[Fact]]:
    return lambda oracle, as_of: (
        Fact(post["place"], post["from_at"], n=n(post), d=d(post), row=post)
        for post in _posts(oracle, as_of)
        if n(post) or d(post)
    )


def _grid_worker(post: Row) -> bool:
    return post["kind"] in ("grid_worker", "grid_part_time")


def _cover(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    """Minute by minute would do; here the covered stretches of each site are merged, then cut at midnights."""
    stretches: dict[str, list[tuple[datetime, datetime]]] = {}
    for shift in oracle.seen("patrols", cutoff):
        begun, ended = shift["started_at"], shift["ended_at"]
        if shift["site_id"] and begun is not None and ended is not None and ended > begun:
            stretches.setdefault(shift["site_id"], []).append((begun, ended))
    if not stretches:
        return
    first = min(start for own in stretches.values() for start, _ in own)
    hours: dict[tuple[str, date], float] = {}
    for site, own in stretches.items():
        merged: list[list[datetime]] = []
        for start, end in sorted(own):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        for start, end in merged:
            while start < end:
                midnight = datetime(start.year, start.month, start.day) + DAY
                stop = min(end, midnight)
                key = (site, start.date())
                hours[key] = hours.get(key, 0.0) + (stop - start).total_seconds() / 3600
                start = stop
    for site in oracle.seen("key_sites", cutoff):
        day = datetime(first.year, first.month, first.day)
        while day + DAY <= cutoff:
            removed = site["removed_at"]
            if site["listed_at"] <= day and (removed is None or removed >= day + DAY):
                covered = hours.get((site["site_id"], day.date()), 0.0)
                yield Fact(site["place"], day, n=round(covered, 4), d=24, ripe=day + DAY, row=site)
            day += DAY


DATED |= {
    "verification_pass_rate": _each(
        "cases", "verified_at", _always, lambda case: case["verification"] == "passed"
    ),
    "repeat_case_rate": _repeat_cases,
    "valid_report_rate": _each("cases", "reported_at", _always, lambda case: bool(case["valid"])),
    "timely_signing_rate": _within("cases", "dispatched_at", "signed_at", timedelta(hours=24)),
    "accurate_dispatch_rate": _each("cases", "dispatched_at", _always, lambda case: not _wrong_unit(case)),
    "whistle_on_time_rate": _within("cases", "whistled_at", "arrived_at", timedelta(minutes=30)),
    "supervised_items_done_rate": _supervised,
    "hotline_response_rate": _hotline(lambda case: bool(case["contacted"])),
    "hotline_resolution_rate": _hotline(lambda case: bool(case["solved"])),
    "hotline_satisfaction": _hotline(_content),
    "hotline_composite": _hotline(_composite),
    "hotline_demands": _counted("cases", "reported_at", lambda case: case["channel"] == "hotline"),
    "hotline_demands_per_1000_households": _each(
        "cases", "reported_at", _always, lambda case: case["channel"] == "hotline"
    ),
    "satisfaction_rate_strict": _strict,
    "petition_batches": _counted("petitions", "registered_at", lambda row: row["batches"] or 0),
    "petition_people": _counted("petitions", "registered_at", lambda row: row["people"] or 0),
    "timely_acceptance_rate_department": _forwarded,
    "first_petition_resolution_rate": _first_resolved,
    "same_day_resolution_rate": _each("petitions", "registered_at", _always, _same_day),
    "repeat_after_closing_rate": _came_again,
    "days_to_accept": _first_took("received_at", "accepted_at"),
    "days_to_reply": _first_took("accepted_at", "replied_at"),
    "redone_after_dissatisfied_rate": _redone,
    "visits_down": _counted("receptions", "held_at", lambda row: 1),
    "settled_on_the_spot": _counted("receptions", "held_at", lambda row: row["settled"] or 0),
    "night_patrol_completion": _each(
        "patrols", "planned_end", lambda row: row["shift"] == "night", _has("started_at", "ended_at")
    ),
    "patrol_cover_24h": _cover,
    "mediation_success_rate": _each(
        "disputes", "concluded_at", _always, lambda row: row["outcome"] == "agreed"
    ),
    "disputes_settled": _counted("disputes", "concluded_at", lambda row: row["outcome"] == "agreed"),
    "dispute_resolution_rate": _resolved_disputes,
    "agreement_fulfilment_rate": _fulfilled,
    "escalation_rate": _raised,
    "wish_fulfilment_rate": _each("wishes", "collected_at", _has("claimed_at"), _has("fulfilled_at")),
    "wishes_fulfilled": _counted("wishes", "fulfilled_at", lambda row: 1),
    "days_to_fulfil": _took("wishes", "collected_at", "fulfilled_at", "collected_at", 86_400, _always),
    "services_done": _counted("services", "done_at", lambda row: 1),
    "outreach_events": _counted("outreach", "held_at", lambda row: 1),
    "legal_events": _counted("outreach", "held_at", lambda row: row["kind"] == "legal"),
    "platform_entries": _counted("platform_entries", "entered_at", lambda row: row["kind"] == "entry"),
    "problems_found": _counted("platform_entries", "found_at", lambda row: 1),
    "posts_replaced": _counted("posts", "replaced_at", lambda row: 1),
}


def _training(oracle: Oracle, cutoff: datetime) -> Iterator[Fact]:
    for row in oracle.seen("outreach", cutoff):
        if row["kind"] == "training" and (row["expected"] or 0) > 0:
            yield Fact(row["place"], row["held_at"], n=row["attended"] or 0, d=row["expected"], row=row)


DATED["training_attendance"] = _training
AS_OF |= {
    "household_files_fresh": _fresh_files,
    "grids_with_a_worker": _staffed,
    "open_disputes": _open_disputes,
    "townships_in_use": _standing("township"),
    "villages_in_use": _standing("village"),
    "grids_in_use": _standing("grid"),
    "micro_grids_in_use": _standing("micro_grid"),
    "groups_in_use": _groups,
    "posts_filled_rate": _in_place(
        lambda post: min(post["filled"], post["headcount"]) if _grid_worker(post) else 0,
        lambda post: post["headcount"] if _grid_worker(post) else 0,
    ),
    "team_members": _in_place(lambda post: 0 if post["kind"] in PARTY else post["filled"]),
    "posts_in_place": _in_place(lambda post: 1),
    "party_members_in_grids": _in_place(lambda post: post["filled"] if post["kind"] == "party_member" else 0),
}
COUNTS |= {
    "hotline_demands", "petition_batches", "petition_people", "visits_down", "settled_on_the_spot",
    "disputes_settled", "wishes_fulfilled", "services_done", "outreach_events", "legal_events",
    "platform_entries", "problems_found", "posts_replaced", "open_disputes", "team_members", "posts_in_place",
    "party_members_in_grids", "townships_in_use", "villages_in_use", "grids_in_use", "micro_grids_in_use",
    "groups_in_use",
}  # fmt: skip
PER |= {"hotline_composite": 100, "hotline_demands_per_1000_households": 1000}
SIZED |= {"days_to_accept", "days_to_reply", "days_to_fulfil"}
PROTECTED |= {
    "satisfaction_rate_strict", "petition_batches", "petition_people", "timely_acceptance_rate_department",
    "first_petition_resolution_rate", "same_day_resolution_rate", "repeat_after_closing_rate", "days_to_accept",
    "days_to_reply", "redone_after_dissatisfied_rate", "visits_down", "settled_on_the_spot",
    "household_files_fresh", "mediation_success_rate", "disputes_settled", "dispute_resolution_rate",
    "agreement_fulfilment_rate", "escalation_rate", "open_disputes", "wish_fulfilment_rate", "wishes_fulfilled",
    "days_to_fulfil",
}  # fmt: skip
BY_VILLAGE |= {
    "valid_report_rate", "visits_down", "settled_on_the_spot", "household_files_fresh",
    "night_patrol_completion", "patrol_cover_24h", "outreach_events", "legal_events", "training_attendance",
    "posts_filled_rate", "grids_with_a_worker", "team_members", "posts_in_place", "party_members_in_grids",
    "villages_in_use",
}  # fmt: skip
BY_TOWNSHIP = frozenset({"posts_replaced", "townships_in_use"})
"""Counted down to the township only."""
EXPOSED = frozenset({"hotline_demands_per_1000_households"})
"""Rates told per so many households of the grids in use on the last day."""
