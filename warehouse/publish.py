# ruff: noqa: S608 - names of datasets, fields and marts are formatted in, quoted; every value is bound
"""Writing versions: everything in the loader's database later than CURRENT becomes a new version.

The marts live in the published versions alone. The next version's are the last one's, plus what the records that
came since then add and those that went take away, plus what the clock let ripen. What has yet to ripen is kept in
temp tables `ahead_<mart>`, so that no publish looks through all records for it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from time import time

import duckdb

from warehouse import layout
from warehouse.catalogue import Model
from warehouse.dataset import Dataset
from warehouse.images import came, held, relation, went
from warehouse.layout import LEVELS, Manifest, Records, Source, columns, quoted
from warehouse.marts import GRAINS, MartTable, counted_by, effects, rolled
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.text import Text

DELTAS = 30
"""So many small record files before they are merged into one; each costs a reader a file to open."""

_NO_PLACES = {
    "places": "select null::varchar as code, null::varchar as parent, null::varchar as level,"
    " null::varchar as name_zh, null::varchar as name_en, null::varchar as kind, null::bigint as households,"
    " null::bigint as households_to_visit, null::date as valid_from, null::date as valid_to,"
    " null::varchar as successor, null::varchar as source_code, null::varchar as shape, "
    + ", ".join(f"null::varchar as {level}" for level in LEVELS)
    + " limit 0",
    "place_groups": "select null::varchar as member_id, null::varchar as group_code, null::varchar as kind,"
    " null::varchar as name_zh, null::varchar as name_en, null::varchar as place, null::date as valid_from,"
    " null::date as valid_to limit 0",
}
"""The tables of places for a site that has not loaded any: empty, so that queries need not ask."""


class Publisher:
    """The one who writes versions from a loader database and moves CURRENT."""

    def __init__(
        self, site: Site, connection: duckdb.DuckDBPyConnection, warehouse: str, models: Sequence[Model]
    ) -> None:
        """Take up where the last publish ended, and clear what a killed one left.

        `warehouse` names the loader database. Raises Mistake when CURRENT is of a newer schema.
        """
        self.site = site
        self.connection = connection
        self._warehouse = warehouse
        self._models = {model.name: model for model in models}
        self._datasets: Mapping[str, Dataset] = {}
        self._marts: Sequence[MartTable] = ()
        self._last_batch: dict[str, int] = {}
        self._ahead_of: dict[str, str] = {}
        self._previous = self._read_previous()
        self._sweep()

    @property
    def has_deltas(self) -> bool:
        """True when the current version has record files that folding would do away with."""
        return self._previous is not None and any(r.deltas for r in self._previous.records.values())

    def publish(
        self, datasets: Mapping[str, Dataset], marts: Sequence[MartTable], fold: bool = False
    ) -> str | None:
        """Publish a version if anything changed since CURRENT, or to `fold`; its id or None.

        Besides batches, a change of definitions or parameters counts, and the start of a new day.
        """
        self._datasets, self._marts = datasets, marts
        previous = self._previous
        cutoff = self.site.now()
        self._last_batch = self._last_batches()
        self._run_models()
        last, mark = self.connection.execute(
            "select coalesce(max(batch), 0), arg_max(mark, batch) from batches"
        ).fetchone() or (0, None)
        stamps = self._stamps()
        about = self._about()
        if (
            previous is not None
            and not fold
            and (previous.batch, previous.tables) == (last, stamps)
            and previous.cutoff.date() == cutoff.date()
            and about == {name: getattr(previous, name) for name in about}
        ):
            return None
        if previous is None and last == 0:
            return None
        newest = max((layout.number(v) or 0 for v in layout.version_ids(self.site)), default=0)
        version = f"v{newest + 1:06d}"
        folder = layout.versions(self.site) / version
        folder.mkdir(parents=True)
        try:
            records = self._write_records(version, previous, fold)
            anew = fold or previous is None or cutoff < previous.cutoff
            self._write_marts(version, None if anew else previous, stamps, cutoff, records)
            if fold:
                # Now there is time for it: the next publish has a batch to show.
                self._look_ahead(version, cutoff)
            new_files = {str(layout.marts(self.site, version).relative_to(self.site.warehouse))}
            new_files |= {name for r in records.values() for name in r.files}
            manifest = Manifest.model_validate(
                {
                    "schema_number": layout.SCHEMA,
                    "id": version,
                    "warehouse": self._warehouse,
                    "batch": last,
                    "mark": mark,
                    "made_at": cutoff,
                    "cutoff": cutoff,
                    **about,
                    "sources": self._sources(),
                    "records": records,
                    "tables": stamps,
                    "files": {
                        name: (self.site.warehouse / name).stat().st_size for name in sorted(new_files)
                    },
                }
            )
            self._finish(manifest, previous)
        except BaseException:
            if layout.read_pointer(self.site) != version:
                shutil.rmtree(folder, ignore_errors=True)
            self._ahead_of.clear()
            self._previous = self._read_previous()
            raise
        self._previous = manifest
        return version

    def collect(self, keep: set[str], age: timedelta, last: int) -> tuple[str, ...]:
        """Remove old versions, and the record files no remaining one needs; see Store.collect."""
        ids = layout.version_ids(self.site)
        removed = []
        for version, successor in pairwise(ids[: len(ids) - last + 1]):
            if version in keep or (self._previous is not None and version == self._previous.id):
                continue
            # A version ceased to be current when its successor was finished.
            path = layout.manifest(self.site, successor)
            if path.exists() and time() - path.stat().st_mtime < age.total_seconds():
                break
            self._remove_version(version)
            removed.append(version)
        if removed:
            self._remove_unused_records()
        return tuple(removed)

    def _read_previous(self) -> Manifest | None:
        """The manifest of CURRENT, if it is whole and came from this database; else None, and the next
        publish starts from new files. Raises Mistake when it is of a newer schema, or has more than this
        database, which then lost what was loaded last."""
        try:
            version = layout.read_pointer(self.site)
            found = layout.read_manifest(self.site, version) if version else None
        except layout.NewerSchema:
            raise
        except Mistake:
            return None
        if found is None or found.warehouse != self._warehouse:
            return None
        known = self.connection.execute(
            "select mark from batches where batch = $batch", {"batch": found.batch}
        ).fetchone()
        if known != (found.mark,):
            raise Mistake(
                str(layout.loader(self.site)),
                f"lacks batch {found.batch}, which version {found.id} has",
                "put the newer file back with its .wal, or move it away and let 'nerve doctor --repair' rebuild it",
            )
        return None if layout.fault_of(self.site, found) else found

    def _sweep(self) -> None:
        """Remove what a killed publish or collect left: versions without a manifest, files of no version, files
        about to be put."""
        layout.fresh(layout.pointer(self.site)).unlink(missing_ok=True)
        for version in layout.unfinished(self.site):
            self._remove_version(version)
        self._remove_unused_records()

    def _about(self) -> dict[str, object]:
        """What a manifest says of the site and its datasets; a change of it is a new version."""
        site = self.site
        return {
            "site_name": site.name,
            "synthetic": site.synthetic,
            "notice": site.notice,
            "params": site.params,
            "datasets": tuple(self._datasets.values()),
        }

    def _run_models(self) -> None:
        """Run the models whose inputs or text changed."""
        for model in self._models.values():
            if not all(name in self._datasets for name in model.reads):
                continue
            table = f"model_{model.name}"
            stamp = _digest(model.sql, [self._dataset_stamp(name) for name in model.reads])
            if self._stamp(table) != stamp:
                with transaction(self.connection):
                    self.connection.execute(f"create or replace table {quoted(table)} as {model.sql}")
                    self._set_stamp(table, stamp)

    def _stamps(self) -> dict[str, str]:
        """A stamp of every table that marts.duckdb is to have, as `definition:content`, the clock apart."""
        places = self._dataset_stamp("places")
        stamps = {"places": places, "place_groups": self._dataset_stamp("place_groups")}
        for name in self._models:
            stamp = self._stamp(f"model_{name}")
            if stamp is not None:
                stamps[name] = f"{stamp}:"
        for mart in self._marts:
            definition = _digest(effects(mart, "relation"), mart.columns)
            content = ",".join(self._dataset_stamp(name) for name in mart.reads)
            stamps[f"{mart.name}_month"] = f"{definition}:{content}"
            stamps[f"{mart.name}_day"] = f"{_digest(definition, places)}:{content}"
        return stamps

    def _write_marts(
        self,
        version: str,
        previous: Manifest | None,
        stamps: Mapping[str, str],
        cutoff: datetime,
        records: Mapping[str, Records],
    ) -> None:
        """Make marts.duckdb: a copy of the previous one, in which only tables that changed are written."""
        path = layout.marts(self.site, version)
        if previous is not None:
            shutil.copyfile(layout.marts(self.site, previous.id), path)
        old = {} if previous is None else previous.tables
        run = self.connection.execute
        # Most tables are small: below 64 KiB DuckDB packs no bits, above it the rest of a block is wasted.
        run("attach $path as pub" + ("" if previous else " (block_size 65536)"), {"path": str(path)})
        try:
            with transaction(self.connection):
                for name in old.keys() - stamps.keys():
                    run(f"drop table pub.{quoted(name)}")
                for name in ("places", "place_groups", *self._models):
                    if name in stamps and old.get(name) != stamps[name]:
                        run(f"create or replace table pub.{quoted(name)} as {self._content(name)}")
                for mart in self._marts:
                    if previous is not None and self._can_move(mart, old, stamps):
                        changed = old[f"{mart.name}_month"] != stamps[f"{mart.name}_month"]
                        self._move_mart(mart, previous, cutoff, changed)
                        self._ahead_of[mart.name] = version
                    else:
                        self._count_mart(mart, cutoff, records)
            run("checkpoint pub")
        finally:
            run("detach pub")

    def _can_move(self, mart: MartTable, old: Mapping[str, str], stamps: Mapping[str, str]) -> bool:
        """True when the mart's last published tables can be moved on by what came and went since."""
        for name in (f"{mart.name}_month", f"{mart.name}_day"):
            before, after = old.get(name, ""), stamps[name]
            # Of a model's rows nobody knows what came and went: when they changed, its mart is counted anew.
            if before.partition(":")[0] != after.partition(":")[0] or (mart.model and before != after):
                return False
        return True

    def _count_mart(self, mart: MartTable, cutoff: datetime, records: Mapping[str, Records]) -> None:
        """Write a mart's tables from all its records: what is ripe at `cutoff`."""
        rows = self._relation(mart)
        if not mart.model and not records[mart.name].deltas:
            # Said to be null, a field that no row has is not looked at, nor what is counted by it.
            rows = f"(select {records[mart.name].of_base(self._datasets[mart.name])} from {rows})"
        for grain in GRAINS:
            self.connection.execute(
                f"create or replace table pub.{quoted(f'{mart.name}_{grain}')} as"
                f" {counted_by(mart, grain, rows, self._places)}",
                {"cutoff": cutoff},
            )

    def _look_ahead(self, version: str, cutoff: datetime) -> None:
        """Note for every mart what had not ripened at `cutoff`, by the records as they are now."""
        for mart in self._marts:
            self.connection.execute(
                f"create or replace temp table {_ahead(mart)} as"
                f" from ({effects(mart, self._relation(mart))}) where ripe_at > $cutoff",
                {"cutoff": cutoff},
            )
            self._ahead_of[mart.name] = version

    def _move_mart(self, mart: MartTable, previous: Manifest, cutoff: datetime, changed: bool) -> None:
        """Move the mart's tables in `pub` from the last version to `cutoff`; cells not touched stay.

        `changed` is false when no record of it came or went since.
        """
        run = self.connection.execute
        since: dict[str, object] = {"since": previous.cutoff}
        ahead = _ahead(mart)
        names = columns(name for name, _ in mart.columns)
        negative = ", ".join(f"-{quoted(name)} as {quoted(name)}" for name, _ in mart.columns)
        if changed:
            dataset = self._datasets[mart.name]
            for table, rows in (
                ("arrived", came(self.connection, dataset)),
                ("left_over", went(self.connection, dataset)),
            ):
                run(
                    f"create or replace temp table {table} as {effects(mart, rows)}",
                    {"batch": previous.batch},
                )
        else:
            empty = f"{effects(mart, self._relation(mart))} limit 0"
            for table in ("arrived", "left_over"):
                run(f"create or replace temp table {table} as {empty}")
        changes = f"(from arrived union all select place, day, ripe_at, {negative} from left_over)"
        # What was known at the last cut-off and not ripe then; by records of now, if nobody kept it since.
        if self._ahead_of.get(mart.name) == previous.id:
            before = f"(from {ahead} where ripe_at > $since union all from {changes} where ripe_at > $since)"
        else:
            before = f"(from ({effects(mart, self._relation(mart))}) where ripe_at > $since)"
        run(f"create or replace temp table {ahead} as from {before}", since)
        run(
            f"create or replace temp table moved as select place, day, {names} from ("
            f" from {changes} where ripe_at <= $since union all from {ahead} where ripe_at <= $cutoff)",
            since | {"cutoff": cutoff},
        )
        if run("select 1 from moved limit 1").fetchone() is None:
            return
        summed = ", ".join(f"sum({quoted(name)})::{kind} as {quoted(name)}" for name, kind in mart.columns)
        some = " or ".join(f"sum({quoted(name)}) <> 0" for name, _ in mart.columns)
        for grain in GRAINS:
            table = f"pub.{quoted(f'{mart.name}_{grain}')}"
            run(f"create or replace temp table touched as {rolled(mart, grain, 'moved', self._places)}")
            run(
                f"create or replace table {table} as"
                f" with cells as ("
                f"  select * from {table} semi join touched using (place, {grain})"
                f"  union all select * from touched"
                f" )"
                f" select * from {table} anti join touched using (place, {grain})"
                f" union all"
                f" select place, {grain}, {summed} from cells group by place, {grain} having {some}"
                f" order by place, {grain}"
            )

    @property
    def _places(self) -> str:
        return "places" if "places" in self._datasets else f"({_NO_PLACES['places']})"

    def _relation(self, mart: MartTable) -> str:
        if mart.model:
            return quoted(f"model_{mart.name}")
        return relation(self.connection, self._datasets[mart.name])

    def _content(self, name: str) -> str:
        """SELECT of a table that is published as it stands: places, place groups, a model."""
        if name in self._models:
            return f"select * from {quoted('model_' + name)} order by place"
        return f"select * from {quoted(name)} order by all" if name in self._datasets else _NO_PLACES[name]

    def _write_records(self, version: str, previous: Manifest | None, fold: bool) -> dict[str, Records]:
        """Write the record files that this version adds; what each dataset now consists of."""
        old = {} if previous is None else previous.records
        shapes = {} if previous is None else {d.name: _shape(d) for d in previous.datasets}
        out = {}
        for name, dataset in self._datasets.items():
            batch = self._last_batch.get(name, 0)
            before = old.get(name)
            if before is not None and shapes.get(name) == _shape(dataset):
                if before.batch == batch and not (fold and before.deltas):
                    out[name] = before
                    continue
                # A base is rewritten when its deltas have grown to a quarter of it; until then they are
                # stacked, and merged into one when there are many.
                if not fold and before.delta_rows <= max(50_000, before.base_rows // 4):
                    merge = len(before.deltas) >= DELTAS
                    since = before.base_batch if merge else before.batch
                    path, rows = self._write_delta(version, dataset, since)
                    out[name] = before.model_copy(
                        update={
                            "deltas": (path,) if merge else (*before.deltas, path),
                            "delta_rows": rows if merge else before.delta_rows + rows,
                            "batch": batch,
                        }
                    )
                    continue
            out[name] = self._write_base(version, dataset, batch)
        return out

    def _write_base(self, version: str, dataset: Dataset, batch: int) -> Records:
        """Write a dataset's current rows, without the fields that no row has: of our datasets' many fields a
        site's sources deliver some, and a sort carries every column along."""
        table = quoted(f"rec_{dataset.name}")
        columns_here = held(self.connection, dataset)
        names = [f.name for f in dataset.fields if f.name in columns_here]
        counts = self.connection.execute(
            f"select {', '.join(f'count({quoted(name)})' for name in names)} from {table}"
        ).fetchone()
        filled = {n for n, rows in zip(names, counts or (), strict=True) if rows} | {dataset.key}
        absent = tuple(f.name for f in dataset.fields if f.name not in filled)
        here = columns(name for name in names if name in filled)
        path, rows = self._write_rows(
            version, dataset, "base", f"select {here}, _batch, false as _deleted from {table}", {}, absent
        )
        return Records(base=path, base_batch=batch, base_rows=rows, absent=absent, batch=batch)

    def _write_delta(self, version: str, dataset: Dataset, since: int) -> tuple[str, int]:
        """Write a dataset's rows and tombstones later than batch `since`; the file, and its rows."""
        rows = " union all ".join(
            f"select *, {deleted} as _deleted from {relation(self.connection, dataset, kind, ['_batch'])}"
            " where _batch > $since"
            for kind, deleted in (("rec", "false"), ("gone", "true"))
        )
        return self._write_rows(version, dataset, "delta", rows, {"since": since})

    def _write_rows(
        self,
        version: str,
        dataset: Dataset,
        kind: str,
        rows: str,
        bound: Mapping[str, object],
        absent: Sequence[str] = (),
    ) -> tuple[str, int]:
        """Write a SELECT to one Parquet file, by place and time; its path below the warehouse folder, its rows."""
        path = self.site.warehouse / "records" / dataset.name / f"{version}-{kind}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        by = [name for name in (dataset.place, dataset.born) if name is not None and name not in absent]
        (count,) = self.connection.execute(
            f"copy (select * from ({rows}) order by {columns(by or [dataset.key])}) to $path"
            " (format parquet, parquet_version v2, compression zstd, row_group_size 20480)",
            {"path": str(path), **bound},
        ).fetchone() or (0,)
        return str(path.relative_to(self.site.warehouse)), int(count)

    def _sources(self) -> tuple[Source, ...]:
        run = self.connection.execute
        counts: dict[str, dict[str, dict[str, int]]] = {"reasons": {}, "warned": {}}
        for kind, source, reason, rows in run(
            "with undone as (select batch from batches where undone_by is not null)"
            " select 'reasons', source, reason, count(*) as rows from"
            " (select source, unnest(reasons) as reason from quarantine"
            "  where retried_by is null and batch not in (from undone)) group by all"
            " union all"
            " select 'warned', source, warning.key, sum(warning.value)::bigint from"
            " (select source, unnest(map_entries(warned)) as warning from batches where batch not in (from undone))"
            " group by all"
            " order by 1, 2, rows desc, 3"
        ).fetchall():
            counts[kind].setdefault(source, {})[reason] = rows
        refusals: dict[str, list[tuple[str, str]]] = {}
        for source, file, reason in run(
            "select source, file, refused from batches where refused is not null"
            " qualify row_number() over (partition by source order by batch desc) <= 20"
            " order by source, batch desc"
        ).fetchall():
            refusals.setdefault(source, []).append((file, reason))
        rows = run(
            "select s.source, s.label, s.dataset, s.fresh_hours,"
            " count(b.batch) filter (where b.retry_of is null and b.duplicate_of is null),"
            " coalesce(sum(b.read), 0)::bigint, coalesce(sum(b.kept), 0)::bigint,"
            " coalesce(sum(b.quarantined), 0)::bigint, count(b.refused),"
            " max(b.committed_at) filter (where b.refused is null and b.retry_of is null and b.duplicate_of is null),"
            " count(b.duplicate_of)"
            " from sources s left join batches b"
            "  on b.source = s.source and b.undone_by is null and b.undoes is null"
            " group by s.source, s.label, s.dataset, s.fresh_hours order by s.source"
        ).fetchall()
        return tuple(
            Source(
                name=name,
                label=Text.model_validate_json(label),
                dataset=dataset,
                files=files,
                read=read,
                kept=kept,
                quarantined=quarantined,
                refused=refused,
                last_load=last_load,
                fresh_hours=fresh_hours,
                reasons=counts["reasons"].get(name, {}),
                refusals=tuple(refusals.get(name, [])),
                duplicates=duplicates,
                warned=counts["warned"].get(name, {}),
            )
            for (
                name,
                label,
                dataset,
                fresh_hours,
                files,
                read,
                kept,
                quarantined,
                refused,
                last_load,
                duplicates,
            ) in rows
        )

    def _finish(self, manifest: Manifest, previous: Manifest | None) -> None:
        """Bring the version to the disk, then name it in CURRENT; after this a power cut loses nothing."""
        warehouse = self.site.warehouse
        old = set() if previous is None else set(previous.files)
        touched = [warehouse / name for name in manifest.files if name not in old]
        for file in touched:
            layout.flush(file)
        # A manifest is there whole or not at all: it is what makes a folder a version.
        path = layout.manifest(self.site, manifest.id)
        layout.put(path, manifest.model_dump_json(indent=1))
        for folder in {file.parent for file in touched} | {layout.versions(self.site)}:
            layout.flush(folder)
        layout.put(layout.pointer(self.site), manifest.id + "\n")

    def _remove_version(self, version: str) -> None:
        # The manifest goes first: without it a folder is a leftover, whenever this is cut short.
        layout.manifest(self.site, version).unlink(missing_ok=True)
        shutil.rmtree(layout.versions(self.site) / version, ignore_errors=True)

    def _remove_unused_records(self) -> None:
        for path in layout.unused_records(self.site):
            path.unlink()

    def _last_batches(self) -> dict[str, int]:
        """dataset → the last batch that changed a record of it."""
        return dict(
            self.connection.execute(
                "select dataset, max(batch) from batches where new + changed > 0 group by dataset"
            ).fetchall()
        )

    def _stamp(self, name: str) -> str | None:
        row = self.connection.execute(
            "select stamp from derived where name = $name", {"name": name}
        ).fetchone()
        return None if row is None else str(row[0])

    def _set_stamp(self, name: str, stamp: str) -> None:
        self.connection.execute("delete from derived where name = $name", {"name": name})
        self.connection.execute("insert into derived values ($name, $stamp)", {"name": name, "stamp": stamp})

    def _dataset_stamp(self, name: str) -> str:
        dataset = self._datasets.get(name)
        return "none" if dataset is None else f"{self._last_batch.get(name, 0)}-{_digest(_shape(dataset))}"


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or, after any error, nothing."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        # After a fatal error there is no transaction left.
        with suppress(duckdb.Error):
            connection.rollback()
        raise


def _ahead(mart: MartTable) -> str:
    return quoted(f"ahead_{mart.name}")


def _shape(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.type) for field in dataset.fields)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
