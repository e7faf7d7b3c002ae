# ruff: noqa: S608 - names of datasets, fields and marts are formatted in, quoted; every value is bound
"""The loader's side of the warehouse: batches in, immutable versions out.

All records live in one DuckDB file that only the loader opens. A batch is one transaction: what came and what
it replaced, the quarantine and the account commit together or not at all. `publish` then writes everything
later than CURRENT as a new version (warehouse/publish.py) and moves CURRENT; a loader killed anywhere finds
itself again by the same path.

Tables of the loader's file, by grain:
    rec_<dataset>, gone_<dataset>, past_<dataset>   one row per image (warehouse/images.py)
    model_<name>    a model's rows
    places          one row per place, with its ancestors
    batches         one row per batch: a file, a pull, a retry, an undo; also refused files and duplicates
    quarantine      one row per record not kept; `retried_by`: the batch that took it out again
    sources, datasets, derived, meta
"""

from __future__ import annotations

import errno
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from warehouse import layout
from warehouse.catalogue import Model, catalogue
from warehouse.dataset import Dataset
from warehouse.images import Images, Taken, hash_of, relation
from warehouse.layout import LEVELS, columns, quoted
from warehouse.marts import MartTable, mart_tables
from warehouse.mistake import Mistake
from warehouse.publish import Publisher, transaction
from warehouse.site import Site
from warehouse.text import Text

__all__ = ["Applied", "Batch", "BatchAccount", "QuarantinedRow", "Store", "rebuild"]

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
    retry_of bigint, duplicate_of bigint, rebuilt_from varchar,
    watermark varchar, warned map(varchar, bigint), mark varchar,
);
create table if not exists quarantine (
    batch bigint, source varchar, file varchar, row bigint, line bigint, raw varchar, reasons varchar[],
    retried_by bigint,
);
create table if not exists sources (
    source varchar, dataset varchar, label varchar, fresh_hours double, mapped varchar[],
);
create table if not exists datasets (name varchar, json varchar);
create table if not exists derived (name varchar, stamp varchar);
create table if not exists meta (schema_number integer, warehouse varchar, hashes uinteger);
"""

_PLACES = f"""
create or replace table places as
with recursive
    recorded as (from {{recorded}}),
    up as (
        select code, code as at_code, level, parent, 0 as steps from recorded
        union all
        -- The bound on steps ends a ring of parents.
        select up.code, p.code, p.level, p.parent, up.steps + 1
        from up join recorded p on p.code = up.parent
        where up.steps < 12
    ),
    ancestors as (
        select code, {", ".join(f"arg_min(at_code, steps) filter (level = '{x}') as {x}" for x in LEVELS)}
        from up group by code
    )
select p.*, a.* exclude (code)
from recorded p join ancestors a using (code)
order by code
"""
"""One row per place of `{recorded}`; the code of its ancestor or itself at each level, by following `parent`."""


@dataclass(frozen=True)
class Batch:
    """One file's rows, checked: what `apply` takes.

    `good`: name of a temp table of the store's connection with the dataset's fields, typed, `_row` bigint
    (order of arrival, unique) and, where the source has tombstones, `_deleted` boolean. `bad`: temp table (row
    bigint, line bigint, raw varchar, reasons varchar[]). `read` rows = rows in good + rows in bad, unless
    `refused` says why the file was refused whole, or `duplicate_of` names the batch that had the same content;
    then the tables are not looked at. `fresh_hours`: the age at which the source counts as stale.

    `retry_of`: the rows were in that batch's quarantine, `_row` and `row` are their row numbers there; `read` is
    0, for they were read once. `watermark`: how far a database was read. `warned`: reason → rows kept with it.
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
    watermark: str | None = None
    retry_of: int | None = None
    duplicate_of: int | None = None
    warned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Applied:
    """What became of a batch: read = kept + quarantined, kept = new + changed + stale.

    `new`: keys never seen; `changed`: records replaced or removed; `stale`: rows that changed nothing,
    being older than what is known, equal to it, or followed by a newer row of the same file. A retry reads 0,
    keeps rows that were quarantined and counts them off there: `quarantined` is minus `kept`.
    """

    batch: int
    read: int
    kept: int
    quarantined: int
    new: int
    changed: int
    stale: int


@dataclass(frozen=True)
class BatchAccount:
    """One batch as the accounts hold it. Times are the site's, without zone.

    `undone_by`: the batch that revoked it; `undoes`: the batch it revoked itself. `retry_of`, `duplicate_of`: as
    in Batch. `rebuilt_from`: the version whose records it holds, after the database was made anew.
    Over the batches of a source neither undone nor undoing, read = kept + quarantined.
    """

    batch: int
    source: str
    dataset: str
    file: str
    sha256: str
    read: int
    kept: int
    quarantined: int
    refused: str | None
    started_at: datetime
    committed_at: datetime
    new: int
    changed: int
    stale: int
    undone_by: int | None = None
    undoes: int | None = None
    retry_of: int | None = None
    duplicate_of: int | None = None
    rebuilt_from: str | None = None
    watermark: str | None = None
    warned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class QuarantinedRow:
    """One record that was not kept: `row` its number among the file's records, `line` where it began, `raw` its
    text (None once purged), `reasons` every rule it broke."""

    batch: int
    source: str
    file: str
    row: int
    line: int | None
    raw: str | None
    reasons: tuple[str, ...]


class Store:
    """The loader's warehouse; one process at a time. Use `with Store.open(site) as store`.

    Methods may be called from several threads; they run one after the other. `connection` is the loader's
    own: temp tables made on it are seen by `apply`.

    Every method raises Mistake when the disk is full, cannot be written, or a file of the database is damaged;
    nothing of the batch or version at hand remains then, and the next call starts afresh.
    """

    def __init__(
        self,
        site: Site,
        marts: Sequence[MartTable] | None,
        models: Sequence[Model] | None,
        path: Path,
    ) -> None:
        """Open, or make, the database at `path`; see `open`."""
        self.site = site
        self._path = path
        self._given_marts = marts
        self._models = tuple(catalogue().model.values() if models is None else models)
        self._lock = threading.RLock()
        self._since_rest = (0, 0)
        self._broken = False
        self._start()

    @classmethod
    def open(
        cls,
        site: Site,
        marts: Sequence[MartTable] | None = None,
        models: Sequence[Model] | None = None,
    ) -> Store:
        """Open, or make, the site's loader database and clear what a killed loader left.

        `marts` and `models` default to the catalogue's. Raises Mistake when another process has it open, it is
        damaged, of another schema, or gone while versions made from it are there.
        """
        path = layout.loader(site)
        # DuckDB makes a file that is gone or empty anew: what it would publish next lacks all that was loaded.
        if not (path.is_file() and path.stat().st_size) and _was_published(site):
            raise Mistake(str(path), "gone or empty, though versions were made from it", _REMEDY)
        store = cls(site, marts, models, path)
        layout.fresh(path).unlink(missing_ok=True)
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
            self._connection.close()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The loader's own connection; opened again after an error that DuckDB does not survive."""
        with self._lock:
            if self._broken:
                self._start()
            return self._connection

    @property
    def datasets(self) -> Mapping[str, Dataset]:
        """The datasets that have been loaded, by name; `mapped` is the union over their sources."""
        return self._datasets

    # -- batches in ---------------------------------------------------------------------------------------

    def seen(self, source: str, sha256: str) -> int | None:
        """The batch that loaded the same content from this source before, unless it was undone; else None."""
        with self._working():
            found = self._value(
                "select max(batch) from batches where source = $source and sha256 = $sha256 and refused is null"
                " and undone_by is null and undoes is null and retry_of is null and duplicate_of is null",
                {"source": source, "sha256": sha256},
            )
            return None if found is None else int(found)

    def apply(self, batch: Batch) -> Applied:
        """Take in one batch in one transaction: records, quarantine, account.

        Of each key the row with the latest update time wins, at equal times the later arrival. Raises
        Mistake when read ≠ kept + quarantined, or a row to retry is not in quarantine; then, as after any error,
        nothing of the batch remains.
        """
        with self._working():
            started = self.site.now()
            if batch.refused is not None or batch.duplicate_of is not None:
                with transaction(self.connection):
                    applied = Applied(self._next_batch(), 0, 0, 0, 0, 0, 0)
                    self._account(batch, applied, started)
                return applied
            kept, quarantined = self._count(batch.good), self._count(batch.bad)
            if batch.retry_of is not None:
                self._require_quarantined(batch, batch.retry_of)
                quarantined = -kept
            if batch.read != kept + quarantined:
                raise Mistake(
                    batch.file,
                    f"{batch.read} rows read, but {kept} kept and {quarantined} quarantined",
                    "nothing was loaded; mend the file and drop it again",
                )
            dataset = self._ready(batch)
            with transaction(self.connection):
                number = self._next_batch()
                taken = self._take(dataset, lambda images: images.take(batch.good, number))
                if taken.new + taken.changed + taken.stale != kept:
                    raise RuntimeError(f"{batch.file}: {kept} rows kept, but {taken}: is `_row` unique?")
                applied = Applied(
                    number, batch.read, kept, quarantined, taken.new, taken.changed, taken.stale
                )
                self._quarantine(batch, number)
                self._account(batch, applied, started)
            self._rest_if_due(kept)
            return applied

    def undo(self, batch: int) -> Applied:
        """Revoke a batch, and retries of its quarantine: every key it touched goes back to its newest image from
        batches not revoked. Undoing a retry puts its rows back into quarantine.

        This is itself a batch, published like any other. Raises Mistake for a batch that does not exist, brought
        nothing (refused, duplicate), is revoked already or itself an undo, or holds what a rebuild found.
        """
        with self._working():
            started = self.site.now()
            account = self._accounts("where batch = $batch", {"batch": batch})
            fault = _cannot_undo(account[0]) if account else "no such batch to undo"
            if fault is not None:
                raise Mistake(f"batch {batch}", fault, "see 'nerve batches' for the batches")
            revoked = account[0]
            with transaction(self.connection):
                number = self._next_batch()
                undone = [
                    int(row[0])
                    for row in self.connection.execute(
                        "update batches set undone_by = $number"
                        " where (batch = $batch or retry_of = $batch) and undone_by is null returning batch",
                        {"number": number, "batch": batch},
                    ).fetchall()
                ]
                self.connection.execute(
                    "update quarantine set retried_by = null where retried_by in (select unnest($undone))",
                    {"undone": undone},
                )
                dataset = self._datasets[revoked.dataset]
                taken = self._take(dataset, lambda images: images.take_back(undone, number))
                self._write(
                    replace(
                        revoked, batch=number, read=0, kept=0, quarantined=0, started_at=started,
                        committed_at=self.site.now(), new=taken.new, changed=taken.changed, stale=0,
                        undoes=batch, retry_of=None, watermark=None, warned={},
                    )
                )  # fmt: skip
            return Applied(number, 0, 0, 0, taken.new, taken.changed, 0)

    # -- accounts -----------------------------------------------------------------------------------------

    def batches(self, source: str | None = None, last: int | None = 50) -> list[BatchAccount]:
        """The `last` batches (None: all), of one source or of all, newest first."""
        with self._working():
            return self._accounts(
                "where source = coalesce($source, source) order by batch desc limit $last",
                {"source": source, "last": last},
            )

    def quarantined(
        self,
        source: str | None = None,
        batch: int | None = None,
        reason: str | None = None,
        limit: int | None = None,
    ) -> list[QuarantinedRow]:
        """The rows in quarantine, oldest first: not those of batches undone, nor those a retry took out."""
        with self._working():
            rows = self.connection.execute(
                "select batch, q.source, q.file, row, line, raw, reasons from quarantine q join batches b using (batch)"
                " where b.undone_by is null and retried_by is null and q.source = coalesce($source, q.source)"
                " and batch = coalesce($batch, batch) and ($reason is null or list_contains(reasons, $reason))"
                " order by batch, row limit $limit",
                {"source": source, "batch": batch, "reason": reason, "limit": limit},
            ).fetchall()
            return [
                QuarantinedRow(number, name, file, row, line, raw, tuple(reasons))
                for number, name, file, row, line, raw, reasons in rows
            ]

    def watermark(self, source: str) -> str | None:
        """How far the source was read: the watermark of its newest batch that is neither refused nor undone and
        has one."""
        with self._working():
            found = self._value(
                "select arg_max(watermark, batch) from batches where source = $source and refused is null"
                " and undone_by is null and watermark is not null",
                {"source": source},
            )
            return None if found is None else str(found)

    def purge(self, source: str, before: datetime) -> int:
        """Remove the raw text of rows quarantined in batches of `source` committed before `before` (site's
        time); the rows that lost it. Reasons and accounts stay."""
        with self._working():
            purged = self.connection.execute(
                "update quarantine set raw = null where raw is not null and source = $source and batch in"
                " (select batch from batches where source = $source and committed_at < $before)",
                {"source": source, "before": before},
            ).fetchone()
            if purged and purged[0]:
                # Until then the text is still in the write-ahead log.
                self.checkpoint()
            return int(purged[0]) if purged else 0

    # -- versions out -------------------------------------------------------------------------------------

    def publish(self) -> str | None:
        """Publish everything later than CURRENT as a new version; its id, or None when nothing changed.

        The version is whole (marts, records and accounts up to the same batch) before CURRENT names it.
        """
        with self._working():
            return self._publisher.publish(self._datasets, self._marts)

    def fold(self) -> str | None:
        """Write the record files anew without deltas, count the marts anew and checkpoint: for idle times.

        Publishes a version when there were deltas, and returns its id.
        """
        with self._working():
            published = self._publisher.publish(self._datasets, self._marts, self._publisher.has_deltas)
            self.checkpoint()
            return published

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file; for idle times."""
        with self._working():
            self.connection.execute("checkpoint")
            self._since_rest = (0, 0)

    def collect(
        self, keep: set[str], age: timedelta = timedelta(minutes=15), last: int = 20
    ) -> tuple[str, ...]:
        """Remove old versions and the record files no remaining one needs; the ids removed.

        A version stays when `keep` names it (a report refers to it), it is among the `last` newest, or it
        was still current less than `age` ago, for a reader may hold it that long.
        """
        with self._working():
            return self._publisher.collect(keep, age, last)

    # -- opening ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Open the file, or open it again."""
        self._connection = _connect(self._path, self.site)
        self._broken = False
        try:
            with transaction(self._connection):
                warehouse = self._read_in()
            self._publisher = Publisher(self.site, self._connection, warehouse, self._models)
            self._define_marts()
        except BaseException as error:
            self._give_up()
            disk = _disk_mistake(self.site, self._path, error)
            if disk is None:
                raise
            raise disk from error

    def _give_up(self) -> None:
        """Close after an error that DuckDB does not survive; what was committed is read again at the next call."""
        self._broken = True
        self._connection.close()

    def _read_in(self) -> str:
        """Make the tables of accounts, or read what is there; the database's id."""
        run = self.connection.execute
        old = run(
            "select count(*) from duckdb_tables() where table_name = 'meta' and database_name = current_database()"
        ).fetchone()
        found = run("select schema_number from meta").fetchone() if old and old[0] else None
        if found is not None and found[0] > layout.SCHEMA:
            raise layout.newer_schema(self._path, found[0])
        if found is not None and found[0] < layout.SCHEMA:
            raise Mistake(
                str(self._path),
                f"schema {found[0]} is older than this program's {layout.SCHEMA}",
                "move it away and let 'nerve doctor --repair' rebuild it from the newest version",
            )
        run(_ACCOUNTS)
        hashes = self._value(f"select {hash_of('$probe')}", {"probe": "网格 grid"})
        meta = run("select warehouse, hashes from meta").fetchone()
        if meta is None:
            meta = (uuid.uuid4().hex, hashes)
            run(
                "insert into meta values ($schema, $id, $hashes)",
                {"schema": layout.SCHEMA, "id": meta[0], "hashes": hashes},
            )
        self._datasets: dict[str, Dataset] = {}
        for (text,) in run("select json from datasets order by name").fetchall():
            dataset = Dataset.model_validate_json(text)
            self._datasets[dataset.name] = dataset
            if meta[1] != hashes:
                Images(self.connection, dataset).rehash()
        if meta[1] != hashes:
            run("update meta set hashes = $hashes", {"hashes": hashes})
        return str(meta[0])

    @contextmanager
    def _working(self) -> Iterator[None]:
        """One caller at a time; what the disk refuses is said plainly, and a database that an error closed is
        opened again."""
        with self._lock:
            try:
                if self._broken:
                    self._start()
                yield
            except (duckdb.Error, OSError) as error:
                if isinstance(error, _FATAL):
                    self._give_up()
                mistake = _disk_mistake(self.site, self._path, error)
                if mistake is None:
                    raise
                raise mistake from error

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
            self._make(dataset)
        self._datasets[dataset.name] = dataset
        self._define_marts()
        return dataset

    def _make(self, dataset: Dataset) -> None:
        """Make a dataset's tables; `places` gains ancestors."""
        run = self.connection.execute
        Images(self.connection, dataset).make()
        run("delete from datasets where name = $name", {"name": dataset.name})
        run(
            "insert into datasets values ($name, $json)",
            {"name": dataset.name, "json": dataset.model_dump_json()},
        )
        self._place(dataset)

    def _take(self, dataset: Dataset, take: Callable[[Images], Taken]) -> Taken:
        taken = take(Images(self.connection, dataset))
        self._place(dataset)
        return taken

    def _place(self, dataset: Dataset) -> None:
        """Of the dataset `places`: find every place's ancestors."""
        if dataset.name == "places":
            self.connection.execute(_PLACES.format(recorded=relation(self.connection, dataset)))

    def _require_quarantined(self, batch: Batch, of: int) -> None:
        """Raises Mistake unless each row of a retry is in the quarantine of batch `of`, and none comes twice."""
        tried, there = self.connection.execute(
            f"with tried as (select _row as row from {quoted(batch.good)} union all select row from {quoted(batch.bad)})"
            " select (select count(*) from tried),"
            " (select count(*) from quarantine q join batches b using (batch)"
            "  where batch = $of and b.source = $source and b.undone_by is null and q.retried_by is null"
            "  and row in (select row from tried))",
            {"of": of, "source": batch.source},
        ).fetchone() or (0, 0)
        if tried != there:
            raise Mistake(
                f"batch {of}",
                f"{tried} rows to retry, but only {there} of them are in its quarantine",
                "nothing was loaded; list the quarantine again",
            )

    def _quarantine(self, batch: Batch, number: int) -> None:
        """Put the batch's bad rows into quarantine; of a retry, mark the good rows and say the bad ones anew."""
        run = self.connection.execute
        if batch.retry_of is None:
            run(
                f"insert into quarantine select $batch, $source, $file, row, line, raw, reasons, null"
                f" from {quoted(batch.bad)}",
                {"batch": number, "source": batch.source, "file": batch.file},
            )
            return
        run(
            f"update quarantine set retried_by = $batch where batch = $of and row in"
            f" (select _row from {quoted(batch.good)})",
            {"batch": number, "of": batch.retry_of},
        )
        run(
            f"update quarantine set raw = bad.raw, reasons = bad.reasons from {quoted(batch.bad)} as bad"
            f" where quarantine.batch = $of and quarantine.row = bad.row",
            {"of": batch.retry_of},
        )

    def _account(self, batch: Batch, applied: Applied, started: datetime) -> None:
        run = self.connection.execute
        known = run(
            "select dataset, label, fresh_hours, mapped from sources where source = $source",
            {"source": batch.source},
        ).fetchone()
        # A file that was not loaded says nothing about what its source delivers.
        loaded = batch.refused is None and batch.duplicate_of is None
        mapped = list(batch.dataset.mapped) if loaded else list(known[3]) if known else []
        row = (batch.dataset.name, batch.label.model_dump_json(), float(batch.fresh_hours), mapped)
        if known != row:
            run("delete from sources where source = $source", {"source": batch.source})
            run("insert into sources values (?, ?, ?, ?, ?)", [batch.source, *row])
        self._write(
            BatchAccount(
                applied.batch, batch.source, batch.dataset.name, batch.file, batch.sha256, applied.read,
                applied.kept, applied.quarantined, batch.refused, started, self.site.now(), applied.new,
                applied.changed, applied.stale, retry_of=batch.retry_of, duplicate_of=batch.duplicate_of,
                watermark=batch.watermark, warned=batch.warned,
            )
        )  # fmt: skip

    def _write(self, account: BatchAccount) -> None:
        bound = {name: getattr(account, name) for name in _COLUMNS if name != "warned"}
        self.connection.execute(
            f"insert into batches ({columns(_COLUMNS)}, mark)"
            f" select {', '.join('$' + name for name in _COLUMNS if name != 'warned')},"
            " map($reasons::varchar[], $rows::bigint[]), $mark",
            bound
            | {
                "reasons": list(account.warned),
                "rows": list(account.warned.values()),
                "mark": uuid.uuid4().hex,
            },
        )

    def _accounts(self, clause: str, bound: Mapping[str, object]) -> list[BatchAccount]:
        rows = self.connection.execute(f"select {columns(_COLUMNS)} from batches {clause}", bound).fetchall()
        return [BatchAccount(*row) for row in rows]

    def _rest_if_due(self, rows: int) -> None:
        self._since_rest = (self._since_rest[0] + rows, self._since_rest[1] + 1)
        if self._since_rest[0] > REST_ROWS or self._since_rest[1] > REST_BATCHES:
            self._since_rest = (0, 0)
            try:
                self.connection.execute("checkpoint")
            except _FATAL:
                # The batch is committed, whatever became of its rest: it must not seem to have failed.
                self._give_up()

    def fill(self, manifest: layout.Manifest) -> None:
        """Take in the records and totals of a published version; see `rebuild`. The database is new."""
        run = self.connection.execute
        totals = [source for source in manifest.sources if source.last_load is not None]
        with self._working(), transaction(self.connection):
            rows: dict[str, int] = {}
            for dataset in manifest.datasets:
                self._make(dataset)
                batch = next(n for n, source in enumerate(totals, 1) if source.dataset == dataset.name)
                rows[dataset.name] = Images(self.connection, dataset).refill(
                    self.site.warehouse, manifest.records[dataset.name], batch
                )
                self._place(dataset)
            for number, source in enumerate(totals, 1):
                run(
                    "insert into sources values (?, ?, ?, ?, ?)",
                    [
                        source.name, source.dataset, source.label.model_dump_json(), source.fresh_hours,
                        next(list(d.mapped) for d in manifest.datasets if d.name == source.dataset),
                    ],
                )  # fmt: skip
                moment = source.last_load or manifest.made_at
                self._write(
                    BatchAccount(
                        number, source.name, source.dataset, manifest.id, "", source.read, source.kept,
                        source.quarantined, None, moment, moment, rows.pop(source.dataset, 0), 0, 0,
                        rebuilt_from=manifest.id, warned=source.warned,
                    )
                )  # fmt: skip
        self._datasets = {dataset.name: dataset for dataset in manifest.datasets}

    # -- small things -------------------------------------------------------------------------------------

    def _value(self, sql: str, bound: Mapping[str, object] | None = None) -> Any:
        row = self.connection.execute(sql, bound or {}).fetchone()
        return None if row is None else row[0]

    def _count(self, table: str) -> int:
        return int(self._value(f"select count(*) from {quoted(table)}"))

    def _next_batch(self) -> int:
        return int(self._value("select coalesce(max(batch), 0) + 1 from batches"))


_COLUMNS = tuple(field.name for field in fields(BatchAccount))

_REMEDY = "restore a backup, or let 'nerve doctor --repair' rebuild it from the newest version"
_HEADERS = 3 * 4096
"""Bytes before the first block of a DuckDB file."""
_FATAL = (duckdb.FatalException, duckdb.ConnectionException)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def rebuild(site: Site) -> str:
    """Make the loader's database anew from the newest version that can be read; the version's id.

    The current records come back (and tombstones not folded away yet). Lost are past images, the rows in
    quarantine, watermarks and what single batches did: each source keeps one batch that holds its totals and
    cannot be undone. Files loaded before are not known any more: loaded again, they change no record but count
    twice. Publish afterwards: the new database's first version is written whole.

    Raises Mistake when the database is there, or no version can be read.
    """
    path = layout.loader(site)
    if path.is_file() and path.stat().st_size:
        raise Mistake(str(path), "is there", "move it away to have it rebuilt")
    manifest = layout.newest_whole(site)
    if manifest is None:
        raise Mistake(str(layout.versions(site)), "no version can be read", "restore a backup")
    fresh, log = layout.fresh(path), path.with_name(path.name + ".wal")
    for leftover in (fresh, fresh.with_name(fresh.name + ".wal")):
        leftover.unlink(missing_ok=True)
    with Store(site, (), (), fresh) as store:
        store.fill(manifest)
    layout.flush(fresh)
    # A write-ahead log of the lost database must not be taken for one of the new.
    log.unlink(missing_ok=True)
    fresh.replace(path)
    layout.flush(path.parent)
    return manifest.id


def _connect(path: Path, site: Site) -> duckdb.DuckDBPyConnection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Checkpoints at commit take seconds on a large file: they are made when the loader rests.
    config: dict[str, str | bool | int | float | list[str]] = {
        "checkpoint_threshold": "1TB",
        "temp_directory": str(site.temp),
    }
    if site.memory_limit is not None:
        config["memory_limit"] = site.memory_limit
    try:
        connection = duckdb.connect(str(path), config=config)
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        if "lock" in text.lower():
            raise Mistake(
                str(path), "in use by another process", "stop the other loader, or let it do the work"
            ) from error
        disk = _disk_mistake(site, path, error)
        raise disk or Mistake(str(path), f"cannot be opened: {text}", _REMEDY) from error
    try:
        _require_whole(connection, path)
    except BaseException:
        connection.close()
        raise
    # No other process has the file now: what lies there is of one that was killed.
    for leftover in site.temp.glob("duckdb_temp_*"):
        leftover.unlink(missing_ok=True)
    return connection


def _require_whole(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raises Mistake when the file is cut short: DuckDB opens it, and fails when the end is asked for.

    A whole file may be short of blocks that a killed loader was given and had not written; no table has those.
    """
    size, blocks = connection.execute(
        "select block_size, total_blocks from pragma_database_size()"
    ).fetchone() or (1, 0)
    there = (path.stat().st_size - _HEADERS) // size
    if there >= blocks:
        return
    for (name,) in connection.execute(
        "select table_name from duckdb_tables() where database_name = current_database() and not temporary"
    ).fetchall():
        (last,) = connection.execute(
            "select max(block_id) from pragma_storage_info($name)", {"name": name}
        ).fetchone() or (None,)
        if last is not None and last >= there:
            raise Mistake(str(path), f"cut short: {there} of its {blocks} blocks are there", _REMEDY)


def _disk_mistake(site: Site, path: Path, error: BaseException) -> Mistake | None:
    """What the disk refused, in one line; None for an error that is none of the disk's."""
    text = (str(error).splitlines() or [""])[0]
    number = None
    if isinstance(error, OSError):
        number = error.errno
    elif isinstance(error, duckdb.Error):
        number = next((n for n in (*_FULL, *_FORBIDDEN) if os.strerror(n) in str(error)), None)
    if number in _FULL:
        return Mistake(
            str(site.warehouse),
            f"no space left: {text}",
            "free some; what was published stays, and what was at hand can be loaded again",
        )
    if number in _FORBIDDEN:
        return Mistake(str(site.warehouse), f"cannot be written: {text}", "let the loader's user write there")
    if isinstance(error, duckdb.OutOfMemoryException):
        return Mistake(
            str(site.folder / "site.toml"),
            f"not enough memory: {text}",
            "raise memory_limit, or free space in temp",
        )
    if isinstance(error, duckdb.IOException | duckdb.FatalException):
        return Mistake(str(path), f"damaged: {text}", _REMEDY)
    return None


def _cannot_undo(account: BatchAccount) -> str | None:
    if account.undone_by is not None:
        return f"is undone already, by batch {account.undone_by}"
    if account.undoes is not None:
        return "is an undo itself; load the file again instead"
    if account.refused is not None or account.duplicate_of is not None:
        return "brought nothing"
    if account.rebuilt_from is not None:
        return f"holds all that version {account.rebuilt_from} held"
    return None


def _was_published(site: Site) -> bool:
    return any(layout.manifest(site, version).exists() for version in layout.version_ids(site))
