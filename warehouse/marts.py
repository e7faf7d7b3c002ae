# ruff: noqa: S608 - names and expressions of the catalogue are formatted in; they are ours, not a user's
"""Marts: sums of additive and keyed measures by place and day, so that a page never reads records for them.

How the loader uses this, for each `mart` of `mart_tables(…)`:
1. Ledger: keep cells `place, day, <columns>` as the sum of `contributions(mart, relation)` over all current
   records (add a new row's, subtract a replaced row's). A day of the ledger may lie in the future (a due date).
2. Publish: `matured(mart, ledger, relation, cutoff)` → cells of what counts at the version's cut-off;
   over those `monthly(mart, cells)` → table `<name>_month`, `daily(mart, cells, places)` → `<name>_day`.
   The published marts hold only what is mature at the version's own cut-off: readers take whole cells.
A mart of a model is the same with the model's table as relation and its contributions as ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from warehouse.catalogue import Catalogue, Measure, settled, with_lets
from warehouse.dataset import Dataset
from warehouse.site import Params

COUNT_TYPE = "bigint"
AMOUNT_TYPE = "decimal(18, 4)"
"""Amounts are decimal: a sum of doubles depends on its order, and a report is made again byte for byte."""


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


def contributions(mart: MartTable, relation: str) -> str:
    """SELECT of `place, day, <columns>`: what the rows of `relation` add to the ledger.

    `relation` is any table, view or parenthesised select with the table's columns. Columns are never null;
    rows without a time of attribution, and cells that would be all zero, are left out.
    """
    return _cells(mart, (_branch(mart, part, "1 = 1") for part in mart.parts), relation)


def matured(mart: MartTable, ledger: str, relation: str, cutoff: datetime) -> str:
    """SELECT of `place, day, <columns>`: what counts at `cutoff`, from the ledger for whole days that are
    past and ripe, from the records of `relation` for the days since."""
    ripe = {name: _day(cutoff, part.lag_days) for part in mart.parts for name, _ in part.expressions}
    kept = ", ".join(
        f"case when day < {ripe[name]} then {name} else 0 end as {name}" for name, _ in mart.columns
    )
    old = f"select place, day, {kept} from {ledger} where day < {_day(cutoff, 0)}"
    now = _time(cutoff)
    new = (
        _branch(
            mart,
            p,
            f"({p.at}) >= {_day(cutoff, p.lag_days)} and ({p.at}) <= {now} and ({p.matures}) <= {now}",
        )
        for p in mart.parts
    )
    return _cells(mart, (old, *new), relation)


def monthly(mart: MartTable, cells: str) -> str:
    """SELECT of `place, month, <columns>` from cells by day, one row per recorded place and month, in order."""
    return (
        f"select place, cast(date_trunc('month', day) as date) as month, {_sums(mart)} "
        f"from {cells} group by place, month order by place, month"
    )


def daily(mart: MartTable, cells: str, places: str) -> str:
    """SELECT of `place, day, <columns>`, one row per township and day, in order.

    A record filed above the townships keeps its own place. `places` has `code` and `township`.
    """
    return (
        f"select coalesce(p.township, k.place) as place, k.day as day, {_sums(mart, 'k.')} "
        f"from {cells} k left join {places} p on p.code = k.place "
        "group by coalesce(p.township, k.place), k.day order by place, day"
    )


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


def _branch(mart: MartTable, part: Part, condition: str) -> str:
    own = dict(part.expressions)
    values = ", ".join(f"{own.get(name, '0')} as {name}" for name, _ in mart.columns)
    return (
        f"select {mart.place} as place, cast({part.at} as date) as day, {values} from _records "
        f"where ({part.at}) is not null and {condition}"
    )


def _cells(mart: MartTable, branches: Iterable[str], relation: str) -> str:
    something = " or ".join(f"{name} <> 0" for name, _ in mart.columns)
    return (
        f"with _records as (select * from {named(relation, mart.lets)}) "
        f"select place, day, {_sums(mart)} from ({' union all '.join(branches)}) "
        f"where {something} group by place, day"
    )


def _sums(mart: MartTable, prefix: str = "") -> str:
    return ", ".join(f"cast(sum({prefix}{name}) as {kind}) as {name}" for name, kind in mart.columns)


def _day(cutoff: datetime, lag_days: int) -> str:
    return f"date '{(cutoff - timedelta(days=lag_days)).date().isoformat()}'"


def _time(moment: datetime) -> str:
    return f"timestamp '{moment.isoformat(sep=' ')}'"
