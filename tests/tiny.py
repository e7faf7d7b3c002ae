"""A store small enough to see: one dataset of cases, one mart, rows written as a table in the test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from warehouse.dataset import Dataset, Field
from warehouse.marts import MartTable, Part
from warehouse.site import Site
from warehouse.store import Applied, Batch, Store
from warehouse.text import Text


def text(word: str) -> Text:
    return Text(zh=word, en=word)


CASES = Dataset(
    name="cases",
    label=text("cases"),
    born="reported",
    fields=(
        Field(name="id", type="code", role="key", label=text("id")),
        Field(name="place", type="code", role="place", label=text("place")),
        Field(name="reported", type="time", role="event", label=text("reported")),
        Field(name="due", type="time", role="due", label=text("due")),
        Field(name="closed", type="time", role="event", label=text("closed")),
        Field(name="updated", type="time", role="updated", label=text("updated")),
    ),
    mapped=("id", "place", "reported", "due", "closed", "updated"),
)

PLACES = Dataset(
    name="places",
    label=text("places"),
    fields=(
        Field(name="code", type="code", role="key", label=text("code")),
        Field(name="parent", type="code", label=text("parent")),
        Field(name="level", type="code", role="dimension", label=text("level")),
    ),
    mapped=("code", "parent", "level"),
)

CASES_MART = MartTable(
    name="cases",
    model=False,
    reads=("cases",),
    place="place",
    columns=(("reported__n", "bigint"), ("closed__n", "bigint"), ("closed__d", "bigint")),
    parts=(
        Part("reported", "reported", 0, (("reported__n", "1"),)),
        Part(
            "due",
            "due",
            0,
            (("closed__n", "case when closed is not null then 1 else 0 end"), ("closed__d", "1")),
        ),
    ),
    lets=(),
    column_of={},
)

TREE = """
code | parent | level
K    |        | county
T1   | K      | township
T2   | K      | township
V1   | T1     | village
G1   | V1     | grid
G2   | V1     | grid
G3   | T2     | grid
"""

CASE_HEADER = "id | place | reported | due | closed | updated\n"


def tiny_site(folder: Path, now: datetime = datetime(2024, 7, 1)) -> Site:
    return Site(folder=folder, name=text("Small"), home="K", as_of=now)


def tiny_store(site: Site) -> Store:
    return Store.open(site, marts=[CASES_MART], models=[])


def rows_of(table: str) -> list[dict[str, str | None]]:
    """The rows of a table drawn with `|`; an empty cell is null."""
    lines = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    return [{name: cell or None for name, cell in zip(lines[0], line, strict=True)} for line in lines[1:]]


def load(
    store: Store,
    table: str,
    dataset: Dataset = CASES,
    source: str | None = None,
    bad: Sequence[tuple[int, str, list[str]]] = (),
    sha256: str | None = None,
) -> Applied:
    """Apply a drawn table as one batch. Days are written 01-31 and lie in 2024; a column `gone` = x deletes.

    `bad`: (row, raw text, reasons) of rows for the quarantine.
    """
    read = load_tables(store, table, dataset, bad)
    return store.apply(
        Batch(
            source=source or dataset.name,
            label=dataset.label,
            dataset=dataset,
            file=f"{dataset.name}.csv",
            sha256=sha256 or f"{table}{bad}",
            read=read,
            good="good",
            bad="bad",
            refused=None,
            fresh_hours=24,
        )
    )


def load_tables(
    store: Store, table: str, dataset: Dataset, bad: Sequence[tuple[int, str, list[str]]] = ()
) -> int:
    """Make the temp tables `good` and `bad` of a batch; how many rows they have."""
    rows = rows_of(table)
    types = {f.name: f.type for f in dataset.fields}
    run = store.connection.execute
    named = [name for name in rows[0] if name != "gone"] if rows else []
    kinds = {"time": "timestamp", "code": "varchar", "text": "varchar", "int": "bigint"}
    body = "".join(f"{name} {kinds[types[name]]}, " for name in named)
    run(f"create or replace temp table good ({body}_row bigint, _deleted boolean)")
    for number, row in enumerate(rows, start=1):
        values = [
            None if row[n] is None else f"2024-{row[n]}" if types[n] == "time" else row[n] for n in named
        ]
        marks = ", ".join("?" * (len(values) + 2))
        run(f"insert into good values ({marks})", [*values, number, row.get("gone") == "x"])
    run("create or replace temp table bad (row bigint, line bigint, raw varchar, reasons varchar[])")
    for number, raw, reasons in bad:
        run("insert into bad values (?, ?, ?, ?)", [number, number + 1, raw, reasons])
    return len(rows) + len(bad)
