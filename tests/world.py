"""A tiny world: a county K of two townships, three villages and four grids, and whatever records a test gives.

    K ─┬─ K1 ─┬─ K1a ─┬─ K1a1
       │      │       └─ K1a2
       │      └─ K1b ─── K1b1
       └─ K2 ─── K2a ─── K2a1        group G = K1b and K2

It answers like a published version (same relations, same marts), from memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa

from pipelines.contract import read_contract
from warehouse.catalogue import catalogue
from warehouse.dataset import DUCK_TYPES, Dataset
from warehouse.marts import GRAINS, counted_by, mart_tables
from warehouse.scope import ANCESTORS
from warehouse.site import Params
from warehouse.text import Text
from warehouse.version import Version

CONTRACTS = Path(__file__).parent.parent / "pipelines" / "sources"
COUNTY = "K"
GRIDS = ("K1a1", "K1a2", "K1b1", "K2a1")
VILLAGES = ("K1a", "K1b", "K2a")

Row = Mapping[str, Any]

_ARROW: dict[str, pa.DataType] = {
    "varchar": pa.string(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
    "date": pa.date32(), "timestamp": pa.timestamp("us"),
}  # fmt: skip


@cache
def datasets() -> dict[str, Dataset]:
    """The product's own datasets, every field mapped."""
    out: dict[str, Dataset] = {}
    for path in sorted(CONTRACTS.glob("*.toml")):
        dataset = read_contract(path).dataset
        out.setdefault(
            dataset.name, dataset.model_copy(update={"mapped": tuple(f.name for f in dataset.fields)})
        )
    return out


def place(code: str, parent: str | None, level: str, **more: Any) -> dict[str, Any]:
    return {
        "code": code,
        "parent": parent,
        "level": level,
        "name_zh": code + "处",
        "name_en": f"Place {code}",
    } | more


PLACES: tuple[Row, ...] = (
    place("K", None, "county"),
    place("K1", "K", "township"),
    place("K2", "K", "township"),
    place("K1a", "K1", "village"),
    place("K1b", "K1", "village"),
    place("K2a", "K2", "village"),
    *(place(grid, grid[:-1], "grid", households=5, households_to_visit=3) for grid in GRIDS),
)
GROUPS: tuple[Row, ...] = tuple(
    {
        "member_id": f"G-{code}",
        "group_code": "G",
        "kind": "area",
        "name_zh": "一片区",
        "name_en": "Area one",
        "place": code,
    }
    for code in ("K1b", "K2")
)


class World:
    """Stands in for `warehouse.version.Version`."""

    def __init__(
        self,
        records: Mapping[str, Iterable[Row]],
        cutoff: datetime,
        params: Params | None = None,
        places: Sequence[Row] = PLACES,
        known: Mapping[str, Dataset] | None = None,
    ) -> None:
        self.id = "v000001"
        self.made_at = self.cutoff = cutoff
        self.params = params or Params()
        self.datasets = dict(known or datasets())
        self.sources = ()
        self.site_name = Text(zh="小世界", en="Tiny world")
        self._connection = duckdb.connect()
        given = {"places": places, "place_groups": GROUPS} | dict(records)
        self._given = {name for name, rows in given.items() if rows}
        for name, dataset in self.datasets.items():
            self._fill(dataset, [_complete(dataset, row) for row in given.get(name, ())])
        self._ancestors(places)
        self._derive()

    def rows(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            return cursor.execute(sql, params).fetchall()

    def _fill(self, dataset: Dataset, rows: Sequence[Row]) -> None:
        types = {f.name: DUCK_TYPES[f.type] for f in dataset.fields}
        columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
        self._connection.execute(f"create table {dataset.name} ({columns})")
        if rows:
            schema = pa.schema([(name, _ARROW[kind]) for name, kind in types.items()])
            self._connection.register("given", pa.Table.from_pylist([dict(r) for r in rows], schema=schema))
            self._connection.execute(f"insert into {dataset.name} select * from given")
            self._connection.unregister("given")

    def _ancestors(self, places: Sequence[Row]) -> None:
        by_code = {p["code"]: p for p in places}
        for level in ANCESTORS:
            self._connection.execute(f"alter table places add column {level} varchar")
        for code in by_code:
            one: str | None = code
            while one is not None and one in by_code:
                level = by_code[one]["level"]
                if level in ANCESTORS:
                    self._connection.execute(f"update places set {level} = ? where code = ?", [one, code])
                one = by_code[one]["parent"]

    def _derive(self) -> None:
        run = self._connection.execute
        for name, model in catalogue().model.items():
            if all(read in self.datasets for read in model.reads):
                run(f"create table {name} as {model.sql}")
        for mart in mart_tables(catalogue(), self.datasets, self.params):
            if not self._given.intersection(mart.reads) - {"places"}:
                columns = ", ".join(f"{name} {kind}" for name, kind in mart.columns)
                for grain in GRAINS:
                    run(f"create table {mart.name}_{grain} (place varchar, {grain} date, {columns})")
                continue
            for grain in GRAINS:
                run(
                    f"create table {mart.name}_{grain} as {counted_by(mart, grain, mart.name, 'places')}",
                    {"cutoff": self.cutoff},
                )


def world(
    records: Mapping[str, Iterable[Row]],
    cutoff: datetime = datetime(2026, 6, 15, 12),
    params: Params | None = None,
    places: Sequence[Row] = PLACES,
    known: Mapping[str, Dataset] | None = None,
) -> Version:
    """A published version of these records."""
    return cast(Version, World(records, cutoff, params, places, known))


def case(number: int, place: str, reported: datetime, **more: Any) -> dict[str, Any]:
    return {
        "case_id": f"c{number:04}", "place": place, "category": "safety", "channel": "hotline", "reported_at": reported,
    } | more  # fmt: skip


def petition(number: int, place: str, registered: datetime, **more: Any) -> dict[str, Any]:
    return {
        "petition_id": f"p{number:04}", "place": place, "category": "rural", "channel": "letter", "kind": "first",
        "route": "petition", "registered_at": registered,
    } | more  # fmt: skip


def day(text: str) -> date:
    return date.fromisoformat(text)


def _complete(dataset: Dataset, row: Row) -> Row:
    """The row with an update time: that of its last event, as a source would give it."""
    updated = dataset.updated
    if updated is None or row.get(updated) is not None:
        return row
    times = [row[name] for name in dataset.of_role("event") if row.get(name) is not None]
    return {**row, updated: max(times, default=datetime(2025, 1, 1))}
