# ruff: noqa: S608 - names and expressions of the catalogue are formatted in; they are ours, not a user's
"""Marts: sums of additive and keyed measures by place and day, so that a page never reads records for them.

A record adds its numbers to the day each is attributed to, from the moment they are *ripe*: when that day has
come and the measure's window has passed. Published marts hold only what is ripe at the version's own cut-off:
readers take whole cells. For each `mart` of `mart_tables(…)`:
- counted anew: `counted_by(mart, "month" | "day", relation, places)` over all records;
- moved on: `effects(mart, relation)` of the rows that came and went, with the moment each ripens; those ripe by
  the next cut-off are summed by `rolled(…)` and added to the last version's cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from warehouse.catalogue import Catalogue, Measure, settled, with_lets
from warehouse.dataset import Dataset
from warehouse.site import Params

COUNT_TYPE = "bigint"
AMOUNT_TYPE = "decimal(18, 4)"
"""Amounts are decimal: a sum of doubles depends on its order, and a report is made again byte for byte."""

Grain = Literal["month", "day"]
GRAINS: tuple[Grain, ...] = ("month", "day")


@dataclass(frozen=True)
class Part:
    """The columns of a mart that share one attribution: `expressions` are numbers per record, never null."""

    at: str
    matures: str
    lag_days: int
    expressions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MartTable:
    """The mart of one table. `name` is the dataset's or the model's; `reads` the datasets it rests on.

    `columns`: (name, type) beside `place` and `day`/`month`; measures that count the same share a column.
    """

    name: str
    model: bool
    reads: tuple[str, ...]
    place: str
    columns: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    lets: tuple[tuple[str, str], ...]
    column_of: Mapping[tuple[str, str], str]

    def column(self, measure: Measure, side: str) -> str:
        """The column with the `n` or `d` of a measure."""
        return self.column_of[measure.base, side]


def mart_tables(
    catalogue: Catalogue, datasets: Mapping[str, Dataset], params: Params
) -> tuple[MartTable, ...]:
    """The marts of a site: one per table with additive or keyed measures whose datasets the site has.

    `datasets` are those the site has a source for (name → dataset). Models' marts come last.
    """
    tables = dict.fromkeys(m.table for m in catalogue.measures.values() if m.cls in ("additive", "keyed"))
    here = [t for t in tables if all(name in datasets for name in catalogue.reads(t))]
    return tuple(
        _mart(catalogue, table, datasets, params)
        for table in sorted(here, key=lambda t: t in catalogue.model)
    )


def effects(mart: MartTable, relation: str) -> str:
    """SELECT of `place, day, ripe_at, <columns>`: what the rows of `relation` add to which cell, and from when.

    `relation` is any table, view or parenthesised select with the table's columns. Not summed; numbers are
    never null; what never ripens, and rows that would be all zero, are left out.
    """
    branches = []
    for part in mart.parts:
        own = _numbers(mart, part)
        values = ", ".join(f"{own.get(name, '0')} as {name}" for name, _ in mart.columns)
        some = " or ".join(f"{e} <> 0" for e in own.values())
        branches.append(
            f"select {mart.place} as place, cast({part.at} as date) as day,"
            f" greatest({part.at}, {part.matures}) as ripe_at, {values} from _records"
            f" where ({part.at}) is not null and ({part.matures}) is not null and ({some})"
        )
    return f"{_records(mart, relation)} {' union all '.join(branches)}"


def counted_by(mart: MartTable, grain: Grain, relation: str, places: str) -> str:
    """SELECT of a mart's table `<name>_<grain>` from all records of `relation`: what is ripe at `$cutoff`.

    Each part is summed by itself, its own columns only: a fifth of the work when a mart has five parts.
    """
    branches = []
    for part in mart.parts:
        own = _numbers(mart, part)
        values = ", ".join(f"{e} as {name}" for name, e in own.items())
        sums = ", ".join(
            f"sum({name}) as {name}" if name in own else f"0 as {name}" for name, _ in mart.columns
        )
        ripe = (
            f"(select {mart.place} as place, cast({part.at} as date) as day, {values} from _records"
            f" where ({part.at}) <= $cutoff and ({part.matures}) <= $cutoff)"
        )
        branches.append(f"select {_key(grain)}, {sums} from {_placed(grain, ripe, places)} group by 1, 2")
    cells = " union all ".join(branches)
    return f"{_records(mart, relation)} {_summed(mart, grain, f'({cells})')}"


def rolled(mart: MartTable, grain: Grain, cells: str, places: str) -> str:
    """SELECT of rows as in the mart's table `<name>_<grain>` from `place, day, <columns>`; cells that come to
    nothing in every column are left out."""
    columns = ", ".join(name for name, _ in mart.columns)
    return _summed(mart, grain, f"(select {_key(grain)}, {columns} from {_placed(grain, cells, places)})")


def counted(measure: Measure) -> tuple[tuple[str, str], ...]:
    """The numbers per record of a measure: ("n", expression) and, for a rate, ("d", expression).

    The numerator counts within the denominator. Expressions never give null.
    """
    if measure.sums:
        sides = [("n", measure.numerator), ("d", measure.denominator)]
        return tuple((side, f"coalesce({e}, 0)") for side, e in sides if e)
    if not measure.denominator:
        return (("n", f"case when {measure.numerator} then 1 else 0 end"),)
    both = f"({measure.denominator}) and ({measure.numerator})"
    return (
        ("n", f"case when {both} then 1 else 0 end"),
        ("d", f"case when {measure.denominator} then 1 else 0 end"),
    )


def named(relation: str, lets: Iterable[tuple[str, str]]) -> str:
    """A relation with the table's named sub-expressions as further columns."""
    extra = "".join(f", {e} as {name}" for name, e in lets)
    return f"(select *{extra} from {relation})" if extra else relation


def _mart(catalogue: Catalogue, table: str, datasets: Mapping[str, Dataset], params: Params) -> MartTable:
    lets = {k: settled(v, params) for k, v in catalogue.lets.get(table, {}).items()}
    columns: dict[str, str] = {}
    column_of: dict[tuple[str, str], str] = {}
    parts: dict[tuple[str, str, int], dict[str, str]] = {}
    for measure in catalogue.of_table(table):
        if measure.cls not in ("additive", "keyed"):
            continue
        key = (settled(measure.at, params), settled(measure.matures, params), measure.lag(params))
        part = parts.setdefault(key, {})
        for side, expression in counted(measure):
            expression = settled(expression, params)
            same = next((name for name, e in part.items() if e == expression), None)
            if same is None:
                same = f"{measure.name}__{side}"
                part[same] = expression
                columns[same] = AMOUNT_TYPE if measure.sums else COUNT_TYPE
            column_of[measure.name, side] = same
    used = with_lets(lets, [e for k, p in parts.items() for e in (*k[:2], *p.values())])
    model = table in catalogue.model
    return MartTable(
        name=table,
        model=model,
        reads=catalogue.reads(table),
        place="place" if model else datasets[table].place or "place",
        columns=tuple(columns.items()),
        parts=tuple(Part(*key, tuple(part.items())) for key, part in parts.items()),
        lets=tuple(used.items()),
        column_of=column_of,
    )


def _numbers(mart: MartTable, part: Part) -> dict[str, str]:
    """column → expression; an amount is made decimal before it is summed."""
    kinds = dict(mart.columns)
    return {
        name: f"cast({e} as {AMOUNT_TYPE})" if kinds[name] == AMOUNT_TYPE else f"({e})"
        for name, e in part.expressions
    }


def _records(mart: MartTable, relation: str) -> str:
    # Not materialized: each part needs a few of the columns, and a copy of all of them costs more than it saves.
    return f"with _records as not materialized (select * from {named(relation, mart.lets)})"


def _key(grain: Grain) -> str:
    """The key of a cell from `k` (place, day) and, by day, `p` (its township).

    By month: one row per recorded place and month. By day: one per township; a record filed above the
    townships keeps its own place.
    """
    if grain == "month":
        return "k.place as place, cast(date_trunc('month', k.day) as date) as month"
    return "coalesce(p.township, k.place) as place, k.day as day"


def _placed(grain: Grain, cells: str, places: str) -> str:
    if grain == "month":
        return f"{cells} k"
    return f"{cells} k left join {places} p on p.code = k.place"


def _summed(mart: MartTable, grain: Grain, cells: str) -> str:
    sums = ", ".join(f"cast(sum({name}) as {kind}) as {name}" for name, kind in mart.columns)
    some = " or ".join(f"sum({name}) <> 0" for name, _ in mart.columns)
    return f"select place, {grain}, {sums} from {cells} group by 1, 2 having {some} order by 1, 2"
