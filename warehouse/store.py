# ruff: noqa: S608 - names of datasets, fields and marts are formatted in, quoted; every value is bound
"""The loader's side of the warehouse: batches in, immutable versions out.

All records live in one DuckDB file that only the loader opens. A batch is one transaction: the log of what
came and what it replaced, the current records, the quarantine and the account commit together or not at
all. `publish` then writes everything later than CURRENT as a new version (warehouse/publish.py) and moves
CURRENT; a loader killed anywhere finds itself again by the same path.

Tables of the loader's file, by grain:
    rec_<dataset>   one row per business key: the fields, `_hash`, and `_batch`, `_row` of its newest image
    gone_<dataset>  the same for keys whose newest image is a tombstone
    log_<dataset>   one row per row that came ('in'), was replaced ('was') or brought back by an undo ('back')
    model_<name>    a model's rows
    places          one row per place, with its ancestors
    batches, quarantine, sources, datasets, derived, meta
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import duckdb

from warehouse import layout
from warehouse.catalogue import Model, catalogue
from warehouse.dataset import DUCK_TYPES, Dataset
from warehouse.layout import LEVELS, columns, quoted
from warehouse.marts import MartTable, mart_tables
from warehouse.mistake import Mistake
from warehouse.publish import Publisher, transaction
from warehouse.site import Site
from warehouse.text import Text

REST_ROWS = 200_000
REST_BATCHES = 60
"""After so many rows or batches the database file is checkpointed even when the loader is never idle."""

_OWN_TABLES = frozenset({"batches", "quarantine", "sources", "datasets", "derived", "meta"})

_ACCOUNTS = """
create table if not exists batches (
    batch bigint, source varchar, dataset varchar, file varchar, sha256 varchar,
    read bigint, kept bigint, quarantined bigint, refused varchar,
    started_at timestamp, committed_at timestamp,
    new bigint, changed bigint, stale bigint, undone_by bigint, undoes bigint,
);
create table if not exists quarantine (
    batch bigint, source varchar, file varchar, row bigint, line bigint, raw varchar, reasons varchar[],
);
create table if not exists sources (
    source varchar, dataset varchar, label varchar, fresh_hours double, mapped varchar[],
);
create table if not exists datasets (name varchar, json varchar);
create table if not exists derived (name varchar, stamp varchar);
"""

_PLACES = f"""
create or replace table places as
with recursive
    up as (
        select code, code as at_code, level, parent, 0 as steps from rec_places
        union all
        -- The bound on steps ends a ring of parents.
        select up.code, p.code, p.level, p.parent, up.steps + 1
        from up join rec_places p on p.code = up.parent
        where up.steps < 12
    ),
    ancestors as (
        select code, {", ".join(f"arg_min(at_code, steps) filter (level = '{x}') as {x}" for x in LEVELS)}
        from up group by code
    )
select p.* exclude (_hash, _batch, _row), a.* exclude (code)
from rec_places p join ancestors a using (code)
order by code
"""
"""One row per place; the code of its ancestor or itself at each level, by following `parent`."""


@dataclass(frozen=True)
class Batch:
    """One file's rows, checked: what `apply` takes.

    `good`: name of a temp table of the store's connection with the dataset's fields, typed, `_row` bigint
    (order of arrival) and, where the source has tombstones, `_deleted` boolean. `bad`: temp table (row
    bigint, line bigint, raw varchar, reasons varchar[]). `read` rows = rows in good + rows in bad, unless
    `refused` says why the file was refused whole; then the tables are not looked at.
    `fresh_hours`: the age at which the source counts as stale.
    """

    source: str
    label: Text
    dataset: Dataset
    file: str
    sha256: str
    read: int
    good: str
    bad: str
    refused: str | None
    fresh_hours: float


@dataclass(frozen=True)
class Applied:
    """What became of a batch: read = kept + quarantined, kept = new + changed + stale.

    `new`: keys never seen; `changed`: records replaced or removed; `stale`: rows that changed nothing,
    being older than what is known, equal to it, or followed by a newer row of the same file.
    """

    batch: int
    read: int
    kept: int
    quarantined: int
    new: int
    changed: int
    stale: int


class Store:
    """The loader's warehouse; one process at a time. Use `with Store.open(site) as store`.

    Methods may be called from several threads; they run one after the other. `connection` is the loader's
    own: temp tables made on it are seen by `apply`.
    """

    def __init__(
        self,
        site: Site,
        connection: duckdb.DuckDBPyConnection,
        marts: Sequence[MartTable] | None,
        models: Sequence[Model] | None,
    ) -> None:
        self.site = site
        self.connection = connection
        self._given_marts = marts
        self._models = tuple(catalogue().model.values() if models is None else models)
        self._lock = threading.RLock()
        self._datasets: dict[str, Dataset] = {}
        self._marts: tuple[MartTable, ...] = ()
        self._since_rest = (0, 0)

    @classmethod
    def open(
        cls,
        site: Site,
        marts: Sequence[MartTable] | None = None,
        models: Sequence[Model] | None = None,
    ) -> Store:
        """Open, or make, the site's loader database and clear what a killed publish left.

        `marts` and `models` default to the catalogue's. Raises Mistake when another process
        has it open, it is damaged, or it is of a newer schema.
        """
        path = layout.loader(site)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Checkpoints at commit take seconds on a large file: they are made when the loader rests.
            connection = duckdb.connect(str(path), config={"checkpoint_threshold": "1TB"})
        except duckdb.Error as error:
            text = str(error).splitlines()[0]
            if "lock" in text.lower():
                raise Mistake(
                    str(path), "in use by another process", "stop the other loader, or let it do the work"
                ) from error
            raise Mistake(
                str(path),
                f"cannot be opened: {text}",
                "restore it from a backup, or remove it and load again",
            ) from error
        store = cls(site, connection, marts, models)
        try:
            store._begin()
        except BaseException:
            connection.close()
            raise
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Checkpoint and close."""
        with self._lock:
            self.connection.close()

    @property
    def datasets(self) -> Mapping[str, Dataset]:
        """The datasets that have been loaded, by name; `mapped` is the union over their sources."""
        return self._datasets

    # -- batches in ---------------------------------------------------------------------------------------

    def seen(self, source: str, sha256: str) -> bool:
        """True when the same content was loaded from this source before, and neither refused nor undone."""
        with self._lock:
            return bool(
                self._value(
                    "select count(*) from batches where source = $source and sha256 = $sha256"
                    " and refused is null and undone_by is null and undoes is null",
                    {"source": source, "sha256": sha256},
                )
            )

    def apply(self, batch: Batch) -> Applied:
        """Take in one batch in one transaction: log, records, quarantine, account.

        Of each key the row with the latest update time wins, at equal times the later arrival. Raises
        Mistake when read ≠ kept + quarantined; then, as after any error, nothing of the batch remains.
        """
        with self._lock:
            started = self.site.now()
            if batch.refused is not None:
                with transaction(self.connection):
                    number = self._next_batch()
                    self._account(number, batch, Applied(number, 0, 0, 0, 0, 0, 0), started)
                return Applied(number, 0, 0, 0, 0, 0, 0)
            kept, quarantined = self._count(batch.good), self._count(batch.bad)
            if batch.read != kept + quarantined:
                raise Mistake(
                    batch.file,
                    f"{batch.read} rows read, but {kept} kept and {quarantined} quarantined",
                    "nothing was loaded; mend the file and drop it again",
                )
            dataset = self._ready(batch)
            with transaction(self.connection):
                number = self._next_batch()
                self._rank(dataset, batch.good)
                new, changed = self._upsert(dataset, number)
                applied = Applied(number, batch.read, kept, quarantined, new, changed, kept - new - changed)
                self.connection.execute(
                    f"insert into quarantine select $batch, $source, $file, row, line, raw, reasons"
                    f" from {quoted(batch.bad)}",
                    {"batch": number, "source": batch.source, "file": batch.file},
                )
                self._account(number, batch, applied, started)
            self._rest_if_due(kept)
            return applied

    def undo(self, batch: int) -> Applied:
        """Revoke a batch: every key it touched goes back to its newest image from batches not revoked.

        This is itself a batch, logged and published like any other. Raises Mistake for a batch that does
        not exist, was refused, or is revoked already.
        """
        with self._lock:
            started = self.site.now()
            row = self.connection.execute(
                "select source, dataset, file, sha256 from batches where batch = $batch and refused is null"
                " and undone_by is null and undoes is null",
                {"batch": batch},
            ).fetchone()
            if row is None:
                raise Mistake(f"batch {batch}", "no such batch to undo", "see 'nerve status' for the batches")
            source, name, file, sha256 = row
            dataset = self._datasets[name]
            with transaction(self.connection):
                number = self._next_batch()
                self.connection.execute(
                    "update batches set undone_by = $number where batch = $batch",
                    {"number": number, "batch": batch},
                )
                self._rank_back(dataset, batch)
                new, changed = self._upsert(dataset, number, kind="back")
                applied = Applied(number, 0, 0, 0, new, changed, 0)
                self.connection.execute(
                    "insert into batches values ($number, $source, $dataset, $file, $sha256, 0, 0, 0, null,"
                    " $started, $committed, $new, $changed, 0, null, $batch)",
                    {
                        "number": number, "source": source, "dataset": name, "file": file, "sha256": sha256,
                        "started": started, "committed": self.site.now(), "new": new, "changed": changed,
                        "batch": batch,
                    },
                )  # fmt: skip
            return applied

    # -- versions out -------------------------------------------------------------------------------------

    def publish(self) -> str | None:
        """Publish everything later than CURRENT as a new version; its id, or None when nothing changed.

        The version is whole (marts, records and accounts up to the same batch) before CURRENT names it.
        """
        with self._lock:
            return self._publisher.publish(self._datasets, self._marts)

    def fold(self) -> str | None:
        """Write the record files anew without deltas, count the marts anew and checkpoint: for idle times.

        Publishes a version when there were deltas, and returns its id.
        """
        with self._lock:
            published = self._publisher.publish(self._datasets, self._marts, self._publisher.has_deltas)
            self.checkpoint()
            return published

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file; for idle times."""
        with self._lock:
            self.connection.execute("checkpoint")
            self._since_rest = (0, 0)

    def collect(
        self, keep: set[str], age: timedelta = timedelta(minutes=15), last: int = 20
    ) -> tuple[str, ...]:
        """Remove old versions and the record files no remaining one needs; the ids removed.

        A version stays when `keep` names it (a report refers to it), it is among the `last` newest, or it
        was still current less than `age` ago, for a reader may hold it that long.
        """
        with self._lock:
            return self._publisher.collect(keep, age, last)

    # -- opening ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        with transaction(self.connection):
            self.connection.execute(
                "create table if not exists meta (schema_number integer, warehouse varchar)"
            )
            row = self.connection.execute("select schema_number, warehouse from meta").fetchone()
            if row is None:
                row = (layout.SCHEMA, uuid.uuid4().hex)
                self.connection.execute(
                    "insert into meta values ($schema, $id)", {"schema": row[0], "id": row[1]}
                )
            if row[0] > layout.SCHEMA:
                raise layout.newer_schema(layout.loader(self.site), row[0])
            warehouse = str(row[1])
            self.connection.execute(_ACCOUNTS)
            for (text,) in self.connection.execute("select json from datasets order by name").fetchall():
                dataset = Dataset.model_validate_json(text)
                self._datasets[dataset.name] = dataset
        self._publisher = Publisher(self.site, self.connection, warehouse, self._models)
        self._define_marts()

    def _define_marts(self) -> None:
        """Choose the marts that the datasets at hand allow."""
        if self._given_marts is None:
            tables = mart_tables(catalogue(), self._datasets, self.site.params)
        else:
            tables = tuple(self._given_marts)
        self._marts = tuple(m for m in tables if all(name in self._datasets for name in m.reads))

    # -- applying -----------------------------------------------------------------------------------------

    def _ready(self, batch: Batch) -> Dataset:
        """The batch's dataset with tables for all its fields; `mapped` united with its other sources'."""
        dataset = batch.dataset
        if dataset.name in _OWN_TABLES:
            raise Mistake(batch.source, f"dataset '{dataset.name}' has a name of our own", "give it another")
        others = self.connection.execute(
            "select mapped from sources where dataset = $dataset and source <> $source",
            {"dataset": dataset.name, "source": batch.source},
        ).fetchall()
        delivered = set(dataset.mapped).union(*(row[0] for row in others))
        mapped = tuple(field.name for field in dataset.fields if field.name in delivered)
        dataset = dataset.model_copy(update={"mapped": mapped})
        if self._datasets.get(dataset.name) == dataset:
            return dataset
        with transaction(self.connection):
            own = {"_hash": "ubigint", "_batch": "bigint", "_row": "bigint"}
            logged = {
                "_batch": "bigint", "_kind": "varchar", "_row": "bigint", "_applied": "boolean",
                "_deleted": "boolean", "_hash": "ubigint",
            }  # fmt: skip
            self._make_table(f"rec_{dataset.name}", dataset, own)
            self._make_table(f"gone_{dataset.name}", dataset, own)
            self._make_table(f"log_{dataset.name}", dataset, logged)
            self.connection.execute("delete from datasets where name = $name", {"name": dataset.name})
            self.connection.execute(
                "insert into datasets values ($name, $json)",
                {"name": dataset.name, "json": dataset.model_dump_json()},
            )
            self._show(dataset)
        self._datasets[dataset.name] = dataset
        self._define_marts()
        return dataset

    def _make_table(self, table: str, dataset: Dataset, own: dict[str, str]) -> None:
        """Make the table, or give it the fields it lacks."""
        wanted = {field.name: DUCK_TYPES[field.type] for field in dataset.fields}
        found: dict[str, str] = dict(
            self.connection.execute(
                "select column_name, lower(data_type) from duckdb_columns()"
                " where table_name = $table and database_name = current_database()",
                {"table": table},
            ).fetchall()
        )
        if not found:
            body = ", ".join(f"{quoted(name)} {kind}" for name, kind in (wanted | own).items())
            self.connection.execute(f"create table {quoted(table)} ({body})")
            return
        for name, kind in wanted.items():
            if name not in found:
                self.connection.execute(f"alter table {quoted(table)} add column {quoted(name)} {kind}")
            elif found[name] != kind:
                try:
                    self.connection.execute(f"alter table {quoted(table)} alter {quoted(name)} type {kind}")
                except duckdb.Error as error:
                    raise Mistake(
                        f"dataset '{dataset.name}'",
                        f"field '{name}' is now of type {kind}, but values loaded before are not",
                        f"give the field another name, or leave it {found[name]}",
                    ) from error

    def _show(self, dataset: Dataset) -> None:
        """Give models the dataset under its own name: a view, but for `places`, which gains ancestors."""
        if dataset.name == "places":
            self.connection.execute(_PLACES)
        else:
            self.connection.execute(
                f"create or replace view {quoted(dataset.name)} as"
                f" select {columns(f.name for f in dataset.fields)} from {quoted('rec_' + dataset.name)}"
            )

    def _rank(self, dataset: Dataset, good: str) -> None:
        """Make `ranked` from the rows that came: each with `_applied`, true for at most one row of a key."""
        has = {row[0] for row in self.connection.execute(f"describe {quoted(good)}").fetchall()}
        fields = ", ".join(
            quoted(f.name) if f.name in has else f"null::{DUCK_TYPES[f.type]} as {quoted(f.name)}"
            for f in dataset.fields
        )
        deleted = "coalesce(_deleted, false)" if "_deleted" in has else "false"
        key = quoted(dataset.key)
        self.connection.execute(
            f"create or replace temp table incoming as select {fields}, {deleted} as _deleted,"
            f" {_hash(dataset)} as _hash, _row from {quoted(good)}"
        )
        self._find_known(dataset)
        newest_first, not_older = "i._row desc", "true"
        if dataset.updated is not None:
            updated = quoted(dataset.updated)
            newest_first = f"i.{updated} desc nulls last, i._row desc"
            not_older = f"(k.{updated} is null or coalesce(i.{updated} >= k.{updated}, false))"
        of_incoming = columns((f.name for f in dataset.fields), "i")
        of_known = columns((f.name for f in dataset.fields), "k")
        differs = f"(i._deleted, {of_incoming}) is distinct from (k._deleted, {of_known})"
        self.connection.execute(
            f"create or replace temp table ranked as select {of_incoming}, i._deleted, i._hash, i._row,"
            f" row_number() over (partition by i.{key} order by {newest_first}) = 1"
            f" and (k._hash is null or ({not_older} and {differs})) as _applied"
            f" from incoming i left join known k on k._hash = i._hash and k.{key} = i.{key}"
        )

    def _rank_back(self, dataset: Dataset, batch: int) -> None:
        """Make `ranked` from the log: for each key of the batch its newest image not revoked, or a tombstone."""
        key = quoted(dataset.key)
        order = f"l.{quoted(dataset.updated)} desc nulls last, " if dataset.updated is not None else ""
        others = [f.name for f in dataset.fields if f.name != dataset.key]
        log = quoted("log_" + dataset.name)
        self.connection.execute(
            f"create or replace temp table incoming as select {key}, any_value(_hash) as _hash, max(_row) as _row"
            f" from {log} where _batch = $batch and _kind = 'in' group by {key}",
            {"batch": batch},
        )
        self._find_known(dataset)
        self.connection.execute(
            f"create or replace temp table ranked as"
            f" with image as ("
            f"  select l.* from {log} l semi join incoming i on l._hash = i._hash and l.{key} = i.{key}"
            f"  join batches b on b.batch = l._batch"
            f"  where l._kind = 'in' and b.undone_by is null"
            f"  qualify row_number() over (partition by l.{key} order by {order}l._batch desc, l._row desc) = 1"
            f" )"
            f" select i.{key}, {columns(others, 'm') + ', ' if others else ''}"
            f" coalesce(m._deleted, true) as _deleted, i._hash, coalesce(m._row, i._row) as _row,"
            f" (coalesce(m._deleted, true), i.{key}{', ' + columns(others, 'm') if others else ''})"
            f" is distinct from (k._deleted, k.{key}{', ' + columns(others, 'k') if others else ''}) as _applied"
            f" from incoming i left join image m on m._hash = i._hash and m.{key} = i.{key}"
            f" left join known k on k._hash = i._hash and k.{key} = i.{key}"
        )

    def _find_known(self, dataset: Dataset) -> None:
        """Make `known`: the image now held of each key in `incoming`, with `_at`, its row id in its table."""
        names = columns(f.name for f in dataset.fields)
        halves = (
            f"select {names}, {deleted} as _deleted, _hash, _row, rowid as _at from {quoted(table + dataset.name)}"
            f" semi join incoming using (_hash, {quoted(dataset.key)})"
            for table, deleted in (("rec_", "false"), ("gone_", "true"))
        )
        self.connection.execute("create or replace temp table known as " + " union all ".join(halves))

    def _upsert(self, dataset: Dataset, number: int, kind: str = "in") -> tuple[int, int]:
        """Put the applied rows of `ranked` in the place of what `known` holds; (new keys, changed keys).

        The log gets the rows of `ranked` as `kind` ('in', or 'back' for images an undo brings back), and
        those replaced as 'was'.
        """
        run = self.connection.execute
        bound: dict[str, object] = {"batch": number}
        names = columns(f.name for f in dataset.fields)
        key, suffix = quoted(dataset.key), dataset.name
        log_columns = f"_batch, _kind, _row, _applied, _deleted, _hash, {names}"
        run(
            f"insert into {quoted('log_' + suffix)} ({log_columns})"
            f" select $batch, $kind, _row, _applied, _deleted, _hash, {names} from ranked",
            bound | {"kind": kind},
        )
        run(
            f"create or replace temp table replaced as select k.* from known k"
            f" semi join (select * from ranked where _applied) r on r._hash = k._hash and r.{key} = k.{key}"
        )
        run(
            f"insert into {quoted('log_' + suffix)} ({log_columns})"
            f" select $batch, 'was', _row, true, _deleted, _hash, {names} from replaced",
            bound,
        )
        # Delete and insert, never update: an update of a wide row in place costs more and fragments the file.
        for table, deleted in (("rec_", "false"), ("gone_", "true")):
            run(
                f"delete from {quoted(table + suffix)} where rowid in"
                f" (select _at from replaced where _deleted = {deleted})"
            )
            run(
                f"insert into {quoted(table + suffix)} ({names}, _hash, _batch, _row)"
                f" select {names}, _hash, $batch, _row from ranked where _applied and _deleted = {deleted}",
                bound,
            )
        if suffix == "places":
            run(_PLACES)
        applied = int(self._value("select count(*) from ranked where _applied"))
        changed = self._count("replaced")
        return applied - changed, changed

    def _account(self, number: int, batch: Batch, applied: Applied, started: datetime) -> None:
        run = self.connection.execute
        refused = batch.refused is not None
        known = run(
            "select dataset, label, fresh_hours, mapped from sources where source = $source",
            {"source": batch.source},
        ).fetchone()
        # A refused file says nothing about what its source delivers.
        mapped = (list(known[3]) if known else []) if refused else list(batch.dataset.mapped)
        row = (batch.dataset.name, batch.label.model_dump_json(), float(batch.fresh_hours), mapped)
        if known != row:
            run("delete from sources where source = $source", {"source": batch.source})
            run("insert into sources values (?, ?, ?, ?, ?)", [batch.source, *row])
        run(
            "insert into batches values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, null)",
            [
                number, batch.source, batch.dataset.name, batch.file, batch.sha256, applied.read, applied.kept,
                applied.quarantined, batch.refused, started, self.site.now(), applied.new, applied.changed,
                applied.stale,
            ],
        )  # fmt: skip

    def _rest_if_due(self, rows: int) -> None:
        self._since_rest = (self._since_rest[0] + rows, self._since_rest[1] + 1)
        if self._since_rest[0] > REST_ROWS or self._since_rest[1] > REST_BATCHES:
            self.checkpoint()

    # -- small things -------------------------------------------------------------------------------------

    def _value(self, sql: str, bound: Mapping[str, object] | None = None) -> Any:
        row = self.connection.execute(sql, bound or {}).fetchone()
        return None if row is None else row[0]

    def _count(self, table: str) -> int:
        return int(self._value(f"select count(*) from {quoted(table)}"))

    def _next_batch(self) -> int:
        return int(self._value("select coalesce(max(batch), 0) + 1 from batches"))


def _hash(dataset: Dataset) -> str:
    """The key's hash as SQL: half of its MD5, the same in every version of DuckDB."""
    return f"md5_number_lower({quoted(dataset.key)}::varchar)"
