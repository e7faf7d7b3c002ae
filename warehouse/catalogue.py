"""The catalogue of measures: read from `warehouse/measures/*.toml`, the one place where a measure is spelled.

A measure's expressions are SQL over the columns of its `table` (a dataset, a model of `warehouse/models` or a
view of `warehouse/views`), the names its file defines under `[let.<table>]`, and the site's parameters written
`$name`. A model is computed once per version and kept; a view whenever it is asked, over the records as known then.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from warehouse.mistake import Mistake, nearest
from warehouse.period import Period
from warehouse.site import Params
from warehouse.text import Text

MEASURES = Path(__file__).parent / "measures"
MODELS = Path(__file__).parent / "models"
VIEWS = Path(__file__).parent / "views"

Unit = Literal["share", "count", "hours", "minutes", "days", "points", "per_100_hours", "per_1000_households"]
Kind = Literal["rate", "count", "quantile"]
Class = Literal["additive", "keyed", "as_of", "record"]
Direction = Literal["up", "down", "none"]
Level = Literal["province", "city", "county", "township", "village", "grid", "micro_grid"]
LEVELS: tuple[Level, ...] = ("province", "city", "county", "township", "village", "grid", "micro_grid")

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SLOT = re.compile(r"\{([a-z_]+)\}")
PARAM = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True)
class Example:
    """A worked example: tiny rows by dataset and what the measure must answer over them.

    A rate expects `n` and `d`, a count `n`, a quantile `value` (and `n`); `None` for all means no data.
    """

    rows: Mapping[str, tuple[Mapping[str, Any], ...]]
    scope: str
    period: Period
    cutoff: datetime
    params: Mapping[str, Any]
    n: float | None
    d: float | None
    value: float | None


@dataclass(frozen=True)
class Measure:
    """One measure, or one statistic of it (`name` is then `hours_to_close:p90`).

    `at`: the time a record is attributed to; `matures`: when it counts at the earliest, never more than
    `lag_days` after `at`. `numerator` is evaluated within `denominator`; both are conditions, or numbers
    where `sums`. `ended` (class as_of): a time after which a record cannot count any more.
    `value`: the number a quantile is taken of, over records that meet `denominator`.
    `exposure`: a number of `places` (households) whose sum over the grids of a place is the denominator of a
    rate, in whatever period: it is no sum over records.
    `target` and `floor` are in the measure's unit, a share as 0.9.
    """

    name: str
    number: str
    label: Text
    definition: Text
    unit: Unit
    unit_label: Text
    kind: Kind
    cls: Class
    table: str
    at: str
    matures: str
    lag_days: int | str
    numerator: str
    denominator: str
    value: str
    exposure: str
    sums: bool
    ended: str
    scale: float
    quantile: float
    statistics: tuple[str, ...]
    needs: tuple[str, ...]
    dimensions: tuple[str, ...]
    direction: Direction
    target: float | None
    floor: float | None
    finest: Level
    protected: bool
    ranked: bool
    source: Text
    dates: Text
    note: Text | None
    version: int
    examples: tuple[Example, ...]

    @property
    def base(self) -> str:
        """The name without its statistic."""
        return self.name.partition(":")[0]

    def lag(self, params: Params) -> int:
        """Days from `at` to `matures` at most, with the site's parameters."""
        if isinstance(self.lag_days, int):
            return self.lag_days
        return int(getattr(params, self.lag_days.removeprefix("$")))


@dataclass(frozen=True)
class Model:
    """A table computed from datasets; `sql` reads them by name, line 1 states its grain.

    A view's SQL may also use the site's parameters, and `$cutoff` where its measures are as of a moment.
    """

    name: str
    sql: str
    reads: tuple[str, ...]

    def over(self, relations: Mapping[str, str]) -> str:
        """The model's SQL with other relations (names or parenthesised selects) in place of its datasets."""

        def put(match: re.Match[str]) -> str:
            word, name, alias = match.groups()
            relation = relations.get(name)
            if name not in self.reads or relation is None:
                return match.group(0)
            return f"{word} {relation}{alias or f' as {name}'}"

        return re.sub(r"\b(from|join)\s+([a-z_]+)\b(\s+as\s+[a-z_]+\b)?", put, self.sql)


@dataclass(frozen=True)
class Catalogue:
    """All measures, models and views. `lets`: table → named sub-expressions, in the order they may use each
    other."""

    measures: Mapping[str, Measure]
    model: Mapping[str, Model]
    lets: Mapping[str, Mapping[str, str]]
    view: Mapping[str, Model]

    @property
    def models(self) -> Mapping[str, str]:
        """Model name → its SQL over the datasets' own names."""
        return {name: model.sql for name, model in self.model.items()}

    def get(self, name: str) -> Measure:
        """A measure by name, `hours_to_close:p90` for one of its statistics. Raises Mistake with the nearest."""
        return self._get(name)

    def _get(self, name: str) -> Measure:
        base, _, statistic = name.partition(":")
        measure = self.measures.get(base)
        if measure is None:
            raise Mistake("measure", f"unknown measure '{name}'", nearest(base, self.measures))
        if not statistic:
            return measure
        found = _STATISTICS.get((base, statistic))
        if found is None or found.base not in self.measures:
            known = nearest(statistic, measure.statistics) if measure.statistics else "it has only one figure"
            raise Mistake("measure", f"'{base}' has no statistic '{statistic}'", known)
        return found

    def of_table(self, table: str) -> tuple[Measure, ...]:
        return tuple(m for m in self.measures.values() if m.table == table)

    def reads(self, table: str) -> tuple[str, ...]:
        """The datasets a table rests on: itself, or what a model or a view reads."""
        made = self.model.get(table) or self.view.get(table)
        return made.reads if made else (table,)


_STATISTICS: dict[tuple[str, str], Measure] = {}


@cache
def catalogue() -> Catalogue:
    """The product's own catalogue, read once per process."""
    return load(MEASURES, MODELS, VIEWS)


def load(measures: Path, models: Path, views: Path | None = None) -> Catalogue:
    """Read a catalogue. Raises Mistake naming file, measure, key and remedy."""
    known_models = {path.stem: _model(path) for path in sorted(models.glob("*.sql"))}
    known_views = {path.stem: _model(path) for path in sorted(views.glob("*.sql"))} if views else {}
    found: dict[str, Measure] = {}
    lets: dict[str, dict[str, str]] = {}
    for path in sorted(measures.glob("*.toml")):
        data = _toml(path)
        for key in data.keys() - {"let", "measures"}:
            raise Mistake(path.name, f"unknown key '{key}'", nearest(key, ("let", "measures")))
        for table, names in data.get("let", {}).items():
            if table in lets:
                raise Mistake(path.name, f"[let.{table}] stands in two files", "keep a table's names in one")
            lets[table] = {str(k): str(v) for k, v in names.items()}
        for name, entry in data.get("measures", {}).items():
            if name in found:
                raise Mistake(f"{path.name}: measure '{name}'", "defined twice", "remove one of the two")
            found[name] = _measure(path.name, name, entry)
            if found[name].table in known_views and found[name].cls not in ("record", "as_of"):
                raise Mistake(
                    f"{path.name}: measure '{name}'",
                    f"class '{found[name].cls}' over the view '{found[name].table}'",
                    "a view has no mart: use 'record' or 'as_of'",
                )
    return Catalogue(
        MappingProxyType(found),
        MappingProxyType(known_models),
        MappingProxyType(lets),
        MappingProxyType(known_views),
    )


def worded(text: Text, params: Params) -> Text:
    """A text of a measure with the site's own figures in place of `{repeat_window_days}` and its like."""
    values = params.model_dump()

    def put(match: re.Match[str]) -> str:
        return str(values.get(match.group(1), match.group(0)))

    return Text(zh=SLOT.sub(put, text.zh), en=SLOT.sub(put, text.en))


def settled(expression: str, params: Params) -> str:
    """An expression with the site's parameters put in. `$cutoff` stays a bound value.

    Safe because `Params` holds only checked numbers and enumerated words.
    """

    def put(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "cutoff":
            return match.group(0)
        value = getattr(params, name)
        return str(value) if isinstance(value, int | float) else f"'{value}'"

    return PARAM.sub(put, expression)


def words(*expressions: str) -> set[str]:
    """The names an expression may refer to: every word outside quotes."""
    return {w for e in expressions for w in WORD.findall(re.sub(r"'[^']*'", "''", e))}


def with_lets(lets: Mapping[str, str], expressions: Iterable[str]) -> dict[str, str]:
    """The named sub-expressions that `expressions` use, directly or through each other, in their order."""
    used = words(*expressions)
    chosen: dict[str, str] = {}
    for name in reversed(tuple(lets)):
        if name in used:
            chosen[name] = lets[name]
            used |= words(lets[name])
    return dict(reversed(chosen.items()))


class _Statistic(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: Text
    quantile: float
    target: float | None = None
    floor: float | None = None


class _Example(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: dict[str, tuple[dict[str, Any], ...]]
    scope: str = "K"
    period: tuple[date, date]
    cutoff: datetime
    params: dict[str, Any] = {}
    n: float | None = None
    d: float | None = None
    value: float | None = None


class _Entry(BaseModel):
    """A measure as its TOML spells it."""

    model_config = ConfigDict(extra="forbid")

    number: str
    label: Text
    definition: Text
    unit: Unit
    unit_label: Text = Text(zh="%", en="%")
    kind: Kind
    cls: Class = "additive"
    table: str
    at: str = ""
    matures: str = ""
    lag_days: int | str = 0
    numerator: str = ""
    denominator: str = ""
    value: str = ""
    exposure: Literal["", "households"] = ""
    sums: bool = False
    ended: str = ""
    scale: float = 1.0
    statistics: dict[str, _Statistic] = {}
    needs: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    direction: Direction = "none"
    target: float | None = None
    floor: float | None = None
    finest: Level = "grid"
    protected: bool = False
    ranked: bool | None = None
    source: Text
    dates: Text
    note: Text | None = None
    version: int = 1
    examples: tuple[_Example, ...]

    @model_validator(mode="after")
    def _complete(self) -> _Entry:
        wanted = {
            "rate": ("numerator", "exposure" if self.exposure else "denominator"),
            "count": ("numerator",),
            "quantile": ("denominator", "value"),
        }[self.kind]
        for key in wanted:
            if not getattr(self, key):
                raise ValueError(f"a {self.kind} needs '{key}'")
        if self.kind == "quantile" and not self.statistics:
            raise ValueError("a quantile needs 'statistics'")
        if self.cls != "as_of" and not self.at:
            raise ValueError("'at' says which time a record is attributed to; only an as_of measure has none")
        if not self.examples:
            raise ValueError("at least one worked example is needed")
        text = " ".join((self.at, self.matures, self.numerator, self.denominator, self.value, self.ended))
        allowed = set(Params.model_fields) | ({"cutoff"} if self.cls == "as_of" else set())
        for name in PARAM.findall(f"{text} {self.lag_days}"):
            if name not in allowed:
                raise ValueError(f"unknown parameter '${name}' ({nearest(name, allowed)})")
        return self


def _measure(file: str, name: str, entry: object) -> Measure:
    where = f"{file}: measure '{name}'"
    try:
        e = _Entry.model_validate(entry)
    except ValidationError as error:
        raise _mistake(where, error) from error
    common = Measure(
        name=name,
        number=e.number,
        label=e.label,
        definition=e.definition,
        unit=e.unit,
        unit_label=e.unit_label,
        kind=e.kind,
        cls=e.cls,
        table=e.table,
        at=e.at,
        matures=e.matures or e.at,
        lag_days=e.lag_days,
        numerator=e.numerator,
        denominator=e.denominator,
        value=e.value,
        exposure=e.exposure,
        sums=e.sums,
        ended=e.ended,
        scale=e.scale,
        quantile=0.0,
        statistics=tuple(e.statistics),
        needs=e.needs,
        dimensions=e.dimensions,
        direction=e.direction,
        target=e.target,
        floor=e.floor,
        finest=e.finest,
        protected=e.protected,
        ranked=e.direction != "none" if e.ranked is None else e.ranked,
        source=e.source,
        dates=e.dates,
        note=e.note,
        version=e.version,
        examples=tuple(_example(x) for x in e.examples),
    )
    if not e.statistics:
        return common
    first: Measure | None = None
    for statistic, s in e.statistics.items():
        one = replace(
            common,
            name=f"{name}:{statistic}",
            label=s.label,
            quantile=s.quantile,
            target=s.target,
            floor=s.floor,
        )
        _STATISTICS[name, statistic] = one
        first = first or replace(one, name=name)
    assert first is not None
    return first


def _example(e: _Example) -> Example:
    return Example(
        rows=e.rows,
        scope=e.scope,
        period=Period(*e.period),
        cutoff=e.cutoff,
        params=e.params,
        n=e.n,
        d=e.d,
        value=e.value,
    )


def _mistake(where: str, error: ValidationError) -> Mistake:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = (
            _Example if "examples" in first["loc"] else _Statistic if "statistics" in first["loc"] else _Entry
        )
        last = str(first["loc"][-1])
        return Mistake(where, f"unknown key '{key}'", nearest(last, known.model_fields))
    if first["type"] == "missing":
        return Mistake(where, f"missing key '{key}'", f"add '{key} = …'")
    if not key:
        return Mistake(where, first["msg"].removeprefix("Value error, "), "mend the measure")
    return Mistake(where, f"key '{key}': {first['msg']}, not {first.get('input')!r}", "mend the value")


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise Mistake(path.name, f"not valid TOML: {error}", "mend the line it names") from error


def _model(path: Path) -> Model:
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 2 or not lines[0].startswith("-- One row per ") or not lines[1].startswith("-- Reads "):
        raise Mistake(
            path.name, "no grain in line 1 or no sources in line 2", "'-- One row per …', '-- Reads a, b'"
        )
    reads = tuple(name.strip(" .") for name in lines[1].removeprefix("-- Reads ").split(","))
    return Model(path.stem, "\n".join(lines), reads)
