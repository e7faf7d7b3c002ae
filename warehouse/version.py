# ruff: noqa: S608 - names of datasets, fields and files of our own manifest are formatted in, quoted
"""The reader's side of the warehouse: a published version, whole and unchanging.

Any number of processes read; none waits for the loader and none sees half a batch. A page takes
`current(site)` once and asks everything of the version it got.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import duckdb

from warehouse import layout
from warehouse.dataset import Dataset
from warehouse.layout import Manifest, Records, Source, columns, quoted
from warehouse.mistake import Mistake
from warehouse.site import Params, Site
from warehouse.text import Text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Source", "Version", "as_of", "current", "version"]

Bound = Sequence[Any] | Mapping[str, Any]


class Version:
    """One published version, open for reading. Safe to use from several threads; keep it for a whole page.

    In `rows` and `arrow` these relations are known: `places` (with the codes of the ancestors `county`,
    `township`, `village`, `grid`, `micro_grid`), `place_groups`, one per dataset (its current records), one
    per model, and the marts `<table>_month` (place, month, …) and `<table>_day` (township, day, …).
    """

    def __init__(self, site: Site, manifest: Manifest) -> None:
        """Open the files of `manifest`. Raises Mistake when one is missing or damaged."""
        self.id: str = manifest.id
        self.made_at: datetime = manifest.made_at
        self.cutoff: datetime = manifest.cutoff
        self.datasets: Mapping[str, Dataset] = MappingProxyType({d.name: d for d in manifest.datasets})
        self.params: Params = manifest.params
        self.site_name: Text = manifest.site_name
        self.synthetic: bool = manifest.synthetic
        self.notice: Text | None = manifest.notice
        self.sources: tuple[Source, ...] = manifest.sources
        self.tables: frozenset[str] = frozenset(manifest.tables)
        """Names of the tables of marts.duckdb: places, models and marts this version has."""
        self.instead_of: Mistake | None = None
        """What is wrong with the version that CURRENT names, when this older one is shown in its place."""
        fault = layout.fault_of(site, manifest)
        if fault is not None:
            raise _damaged(*fault)
        path = layout.marts(site, self.id)
        self._connection = duckdb.connect()
        try:
            # The files never change: what was read of them once stays good.
            self._connection.execute("set validate_external_file_cache = 'no_validation'")
            self._connection.execute("set parquet_metadata_cache = true")
            self._connection.execute("attach $path as published (read_only)", {"path": str(path)})
            for table in sorted(self.tables):
                name = quoted(table)
                self._connection.execute(f"create view {name} as select * from published.main.{name}")
            self._connection.execute("create schema later")
            for dataset in manifest.datasets:
                if dataset.name not in self.tables:
                    records = manifest.records[dataset.name]
                    for statement in _relations(site.warehouse, dataset, records):
                        self._connection.execute(statement)
        except duckdb.Error as error:
            self._connection.close()
            raise _damaged(path.parent, str(error).splitlines()[0]) from error

    def rows(self, sql: str, params: Bound = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, with its `?` or `$name` bound. Raises Mistake when a file of it is gone."""
        with self._connection.cursor() as cursor:
            try:
                return cursor.execute(sql, params).fetchall()
            except duckdb.IOException as error:
                raise self._gone(error) from error

    def arrow(self, sql: str, params: Bound = ()) -> pa.Table:
        """The same as an Arrow table."""
        with self._connection.cursor() as cursor:
            try:
                table: pa.Table = cursor.sql(sql, params=params).to_arrow_table()
                return table
            except duckdb.IOException as error:
                raise self._gone(error) from error

    def _gone(self, error: duckdb.Error) -> Mistake:
        return Mistake(
            f"version {self.id}",
            str(error).splitlines()[0],
            "load the page again to read the current version",
        )


_lock = threading.Lock()
_newest: dict[Path, Version] = {}
_open: weakref.WeakValueDictionary[tuple[Path, str], Version] = weakref.WeakValueDictionary()


def current(site: Site) -> Version:
    """The newest published version: the same object until CURRENT names another.

    Where CURRENT or its version is damaged, the newest that can be read is shown, and says so (`instead_of`).
    Raises Mistake when nothing is published, none can be read, or the version is of a newer schema.
    """
    try:
        found = _named(site)
        found.instead_of = None
    except layout.NewerSchema:
        raise
    except Mistake as mistake:
        found = _last_readable(site, mistake)
        found.instead_of = mistake
    with _lock:
        _newest[site.folder] = found
    return found


def _named(site: Site) -> Version:
    """The version that CURRENT names."""
    for attempt in (1, 2):
        name = layout.read_pointer(site)
        if name is None:
            raise Mistake(
                str(layout.pointer(site)), "nothing is published yet", "run 'nerve load' or 'nerve demo'"
            )
        try:
            return version(site, name)
        except Mistake:
            # It may have been superseded and collected between our two looks.
            if attempt == 2 or layout.read_pointer(site) == name:
                raise
    raise AssertionError


def _last_readable(site: Site, mistake: Mistake) -> Version:
    """The newest version that can be read, CURRENT or not; where there is none, raises `mistake`."""
    for name in reversed(layout.version_ids(site)):
        try:
            return version(site, name)
        except Mistake:
            continue
    raise mistake


def version(site: Site, name: str) -> Version:
    """The version of this id, for a report made again. Raises Mistake when it is unknown or damaged."""
    key = (site.folder, name)
    with _lock:
        found = _open.get(key)
        if found is None:
            if layout.number(name) is None:
                raise Mistake(f"version '{name}'", "no version id", "ids look like v000123")
            found = Version(site, layout.read_manifest(site, name))
            _open[key] = found
        return found


def as_of(site: Site, asked: str) -> Version:
    """The version of an id, or the newest published by the end of a day or by a moment: what was known then.

    Raises Mistake for what is none of these, and where no version of that time is kept any more.
    """
    if layout.number(asked) is not None:
        return version(site, asked)
    try:
        # A day ends when the next begins.
        moment = datetime.fromisoformat(asked)
        until = moment + timedelta(days=1) if len(asked) == len("2026-01-31") else moment
    except ValueError as error:
        raise Mistake(
            "as of", f"'{asked}' is no version, day or time", "write v000123, 2026-01-31 or 2026-01-31T18:00"
        ) from error
    oldest = None
    for name in reversed(layout.version_ids(site)):
        try:
            made = layout.read_manifest(site, name).made_at
        except Mistake:
            continue
        if made < until or made == moment:
            return version(site, name)
        oldest = (name, made)
    if oldest is None:
        raise Mistake(
            str(layout.pointer(site)), "nothing is published yet", "run 'nerve load' or 'nerve demo'"
        )
    raise Mistake(
        "as of",
        f"no version of {asked} is kept",
        f"the oldest is {oldest[0]} of {oldest[1]:%Y-%m-%d %H:%M}; [retention] says how long they stay",
    )


def _relations(warehouse: Path, dataset: Dataset, records: Records) -> tuple[str, ...]:
    """Statements for a dataset's current records as a view: its base without what deltas replace, and these.

    Deltas are small and many: they are read into memory once, not by every query.
    """
    names = columns(field.name for field in dataset.fields)
    name, key = quoted(dataset.name), quoted(dataset.key)
    base = f"read_parquet({_literal(str(warehouse / records.base))})"
    if not records.deltas:
        return (f"create view {name} as select {records.of_base(dataset)} from {base}",)
    files = ", ".join(_literal(str(warehouse / file)) for file in records.deltas)
    later = (
        f"create table later.{name} as select {names}, _batch, _deleted from read_parquet([{files}])"
        f" qualify row_number() over (partition by {key} order by _batch desc) = 1"
    )
    view = (
        f"create view {name} as"
        f" select {records.of_base(dataset)} from {base} b"
        f" anti join later.{name} l on l.{key} = b.{key}"
        f" union all select {names} from later.{name} where not _deleted"
    )
    return later, view


def _literal(text: str) -> str:
    # A view cannot hold bound values; these are paths of our own making, spelled as SQL strings.
    return "'" + text.replace("'", "''") + "'"


def _damaged(path: Path, fault: str) -> Mistake:
    return Mistake(str(path), fault, "run 'nerve load': it publishes a whole version again")
