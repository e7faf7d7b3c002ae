# ruff: noqa: S608 - names of datasets and fields are formatted in, quoted; every value is bound
"""The images of a dataset's records: which one of each key counts, and every one that does not.

An image is one row as a source once sent it. Three tables hold each image once, by what became of it:
    rec_<dataset>    one row per business key: its current image
    gone_<dataset>   one row per business key whose current image is a tombstone
    past_<dataset>   every other image: replaced ones, and stale ones, which never counted
A table has the columns that some image filled: of our datasets' many fields a site's sources deliver some, and an
empty column costs as much to write as a full one. `relation` reads a table with all fields.

`_batch` is the batch that brought an image, `_row` its row there, `_until` (in past_) the batch that replaced
it, for a stale image its own. So batch b brought the images with `_batch = b`, and what was known after it are
those with `_batch <= b < _until`.

An undo brings images back: as copies of its own batch, so that whoever asks what came since finds them. A
copy is never brought back again: the image it was made of is.

Every method runs in the caller's transaction and uses temp tables of the connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from warehouse.dataset import DUCK_TYPES, Dataset
from warehouse.layout import Records, columns, quoted, spelled
from warehouse.mistake import Mistake

_OWN = {"_hash": "uinteger", "_batch": "bigint", "_row": "bigint"}
_OWN_PAST = _OWN | {"_deleted": "boolean", "_until": "bigint"}


def hash_of(key: str) -> str:
    """SQL: half of DuckDB's own hash of a key.

    Keys are sought by it first: a column of small numbers is read ten times as fast as one of texts. It may
    change with DuckDB; see Images.rehash.
    """
    return f"(hash({key}::varchar) >> 32)::uinteger"


@dataclass(frozen=True)
class Taken:
    """Keys never seen, records replaced or removed, and rows that changed nothing."""

    new: int
    changed: int
    stale: int


class Images:
    """The images of one dataset in the loader's database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
        self._run = connection.execute
        self._connection = connection
        self._dataset = dataset
        self._key = quoted(dataset.key)
        self._rec, self._gone, self._past = tables(dataset.name)
        self._fields: list[str] = []
        self._names = ""

    def make(self) -> None:
        """Make the tables, or give the columns they have the types that the dataset says.

        Raises Mistake when a field changed its type and what was loaded before cannot follow.
        """
        self._make(self._rec, _OWN)
        self._make(self._gone, _OWN)
        self._make(self._past, _OWN_PAST)
        self._show()

    def rehash(self) -> None:
        """Write `_hash` anew: for a database whose hashes another DuckDB made."""
        for table in (self._rec, self._gone, self._past):
            self._run(f"update {table} set _hash = {hash_of(self._key)}")

    def take(self, good: str, batch: int) -> Taken:
        """Take in the rows of `good` as batch `batch`. Of each key the image with the latest update time
        counts, at equal times the later arrival; one equal to what is known changes nothing."""
        has = {row[0] for row in self._run(f"describe {quoted(good)}").fetchall()}
        self._look()
        lacking = [f.name for f in self._dataset.fields if f.name in has and f.name not in self._fields]
        if lacking:
            counts = ", ".join(f"count({quoted(name)})" for name in lacking)
            rows = self._run(f"select {counts} from {quoted(good)}").fetchone() or ()
            self._hold(name for name, count in zip(lacking, rows, strict=True) if count)
        fields = spelled((f for f in self._dataset.fields if f.name in self._fields), has)
        deleted = "coalesce(_deleted, false)" if "_deleted" in has else "false"
        self._run(
            f"create or replace temp view incoming as"
            f" select {fields}, {deleted} as _deleted, {hash_of(self._key)} as _hash, _row from {quoted(good)}"
        )
        self._find_known("incoming")
        self._judge()
        stale = int(
            self._value(
                f"insert into {self._past} ({self._names}, _deleted, _hash, _batch, _row, _until)"
                f" select {self._names}, _deleted, _hash, $batch, _row, $batch from judged where not _wins",
                {"batch": batch},
            )
        )
        new, changed = self._exchange("incoming anti join (from judged where not _wins) using (_row)", batch)
        return Taken(new, changed, stale)

    def take_back(self, revoked: Sequence[int], batch: int) -> Taken:
        """Give every key that the batches `revoked` touched its newest image from batches not undone, or a
        tombstone where there is none; what changes is batch `batch`."""
        self._look()
        three = (
            (self._rec, "false as _deleted"),
            (self._gone, "true as _deleted"),
            (self._past, "_deleted"),
        )  # fmt: skip
        brought = " union all ".join(
            f"select {self._key}, _hash, _row from {table} where _batch in (select unnest($revoked))"
            for table, _ in three
        )
        self._run(
            f"create or replace temp table touched as"
            f" select {self._key}, any_value(_hash) as _hash, max(_row) as _row from ({brought}) group by 1",
            {"revoked": list(revoked)},
        )
        images = " union all ".join(
            f"select {self._names}, {deleted}, _hash, _batch, _row from {table} semi join touched using (_hash)"
            for table, deleted in three
        )
        others = columns(name for name in self._fields if name != self._dataset.key)
        self._find_known("touched")
        self._run(
            f"create or replace temp table judged as"
            f" with image as ("
            f"  select i.* from ({images}) i semi join touched t on t.{self._key} = i.{self._key}"
            f"  join batches b on b.batch = i._batch where b.undone_by is null and b.undoes is null"
            f"  qualify row_number() over (partition by i.{self._key} order by {self._newest_first('i')}"
            f"   i._batch desc, i._row desc) = 1"
            f" ), restored as ("
            f"  select t.{self._key}{', ' + others if others else ''}, coalesce(m._deleted, true) as _deleted,"
            f"   t._hash, coalesce(m._row, t._row) as _row"
            f"  from touched t left join image m on m.{self._key} = t.{self._key}"
            f" )"
            f" select {self._names}, _deleted, _hash, _row, true as _wins from restored"
            f" anti join known on {self._same('restored', 'known')}"
        )
        new, changed = self._exchange("judged", batch)
        return Taken(new, changed, 0)

    def refill(self, warehouse: Path, records: Records, batch: int) -> int:
        """Take the records of a published version as images of batch `batch` into empty tables; how many."""
        self._look()
        absent = () if records.deltas else records.absent
        self._hold(f.name for f in self._dataset.fields if f.name not in absent)
        files = [str(warehouse / name) for name in records.deltas]
        deltas = (
            "read_parquet($files)" if files else f"(select *, false as _deleted from {self._rec} limit 0)"
        )
        self._run(
            f"create or replace temp table later as select {self._names}, _deleted from {deltas}"
            f" qualify row_number() over (partition by {self._key} order by _batch desc) = 1",
            {"files": files} if files else {},
        )
        base = f"select {records.of_base(self._dataset)} from read_parquet($base)"
        of_base = {"base": str(warehouse / records.base)}
        for table, rows, bound in (
            (self._rec, f"({base}) anti join later using ({self._key})", of_base),
            (self._rec, "later where not _deleted", {}),
            (self._gone, "later where _deleted", {}),
        ):
            self._run(
                f"insert into {table} ({self._names}, _hash, _batch, _row)"
                f" select {self._names}, {hash_of(self._key)}, $batch, 0 from {rows}",
                {"batch": batch} | bound,
            )
        return int(self._value(f"select count(*) from {self._rec}", {}))

    def _make(self, table: str, own: dict[str, str]) -> None:
        wanted = {field.name: DUCK_TYPES[field.type] for field in self._dataset.fields}
        first = dict.fromkeys(name for name in (self._dataset.key, self._dataset.updated) if name)
        kinds = {name: wanted[name] for name in first} | own
        body = ", ".join(f"{quoted(name)} {kind}" for name, kind in kinds.items())
        self._run(f"create table if not exists {table} ({body})")
        found = {row[0]: row[1].lower() for row in self._run(f"describe {table}").fetchall()}
        for name, kind in wanted.items():
            if found.get(name, kind) != kind:
                try:
                    self._run(f"alter table {table} alter {quoted(name)} type {kind}")
                except duckdb.Error as error:
                    raise Mistake(
                        f"dataset '{self._dataset.name}'",
                        f"field '{name}' is now of type {kind}, but values loaded before are not",
                        f"give the field another name, or leave it {found[name]}",
                    ) from error

    def _look(self) -> None:
        """See which fields the tables hold."""
        has = held(self._connection, self._dataset)
        self._fields = [field.name for field in self._dataset.fields if field.name in has]
        self._names = columns(self._fields)

    def _hold(self, names: Iterable[str]) -> None:
        """Give the tables columns for fields that had no value so far."""
        kinds = {field.name: DUCK_TYPES[field.type] for field in self._dataset.fields}
        new = [name for name in names if name not in self._fields]
        for table in (self._rec, self._gone, self._past):
            for name in new:
                self._run(f"alter table {table} add column {quoted(name)} {kinds[name]}")
        if new:
            self._look()
            self._show()

    def _show(self) -> None:
        """Give models the current records under the dataset's own name; `places` is a table of its own."""
        if self._dataset.name != "places":
            rows = relation(self._connection, self._dataset)
            self._run(f"create or replace view {quoted(self._dataset.name)} as from {rows}")

    def _find_known(self, incoming: str) -> None:
        """Make `known`: the current image of each key in `incoming`, with `_at`, its row id in its table."""
        halves = (
            f"select {self._names}, {deleted} as _deleted, _hash, _batch, _row, rowid as _at from {table}"
            # Row ids by hash, then those rows alone: else every key of the table is unpacked and compared.
            f" where rowid in (select rowid from {table} semi join {incoming} using (_hash))"
            for table, deleted in ((self._rec, "false"), (self._gone, "true"))
        )
        self._run(
            f"create or replace temp table known as"
            f" select k.* from ({' union all '.join(halves)}) k semi join {incoming} i on i.{self._key} = k.{self._key}"
        )

    def _judge(self) -> None:
        """Make `judged`: of `incoming` the rows whose key is known or comes twice, each with `_wins`, true for
        at most one row of a key. All others are new and need no judging."""
        not_older = "true"
        if self._dataset.updated is not None:
            updated = quoted(self._dataset.updated)
            not_older = f"(k.{updated} is null or coalesce(i.{updated} >= k.{updated}, false))"
        self._run(
            f"create or replace temp table judged as"
            f" with contested as ("
            f"  select {self._key} from known union all"
            f"  select {self._key} from incoming group by 1 having count(*) > 1"
            f" )"
            f" select i.*, row_number() over (partition by i.{self._key} order by {self._newest_first('i')}i._row desc) = 1"
            f" and (k._at is null or ({not_older} and not ({self._same('i', 'k')}))) as _wins"
            f" from (from incoming semi join contested using ({self._key})) i"
            f" left join known k on k.{self._key} = i.{self._key}"
        )

    def _exchange(self, arriving: str, batch: int) -> tuple[int, int]:
        """Put the rows of `arriving` in the place of what `known` holds of them; (new keys, changed keys).

        What leaves is what `known` holds of the keys that win in `judged`.
        """
        bound = {"batch": batch}
        self._run(
            f"create or replace temp table leaving as"
            f" from known semi join (from judged where _wins) using ({self._key})"
        )
        changed = int(
            self._value(
                f"insert into {self._past} ({self._names}, _deleted, _hash, _batch, _row, _until)"
                f" select {self._names}, _deleted, _hash, _batch, _row, $batch from leaving",
                bound,
            )
        )
        arrived = 0
        # Delete and insert, never update: an update of a wide row in place costs more and fragments the file.
        for table, deleted in ((self._rec, "false"), (self._gone, "true")):
            if changed:
                self._run(
                    f"delete from {table} where rowid in (select _at from leaving where _deleted = {deleted})"
                )
            arrived += int(
                self._value(
                    f"insert into {table} ({self._names}, _hash, _batch, _row)"
                    f" select {self._names}, _hash, $batch, _row from {arriving} where _deleted = {deleted}",
                    bound,
                )
            )
        return arrived - changed, changed

    def _newest_first(self, of: str) -> str:
        updated = self._dataset.updated
        return "" if updated is None else f"{of}.{quoted(updated)} desc nulls last, "

    def _same(self, one: str, other: str) -> str:
        """SQL: two images say the same."""
        names = ["_deleted", *self._fields]
        return f"({columns(names, one)}) is not distinct from ({columns(names, other)})"

    def _value(self, sql: str, bound: dict[str, Any]) -> Any:
        row = self._run(sql, bound).fetchone()
        return None if row is None else row[0]


def tables(name: str) -> tuple[str, str, str]:
    """The names of a dataset's three tables as SQL: current, gone, past."""
    return quoted(f"rec_{name}"), quoted(f"gone_{name}"), quoted(f"past_{name}")


def held(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> frozenset[str]:
    """The fields that a dataset's tables have columns for."""
    found = connection.execute(f"from {tables(dataset.name)[0]} limit 0")
    return frozenset(column[0] for column in found.description or ()) & {f.name for f in dataset.fields}


def relation(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, kind: str = "rec", own: Sequence[str] = ()
) -> str:
    """SELECT of a dataset's current records (`kind` gone, past: of the other images) with all its fields, null
    where no image has a value, and the columns `own` beside them."""
    fields = spelled(dataset.fields, held(connection, dataset))
    return f"(select {', '.join([fields, *own])} from {quoted(f'{kind}_{dataset.name}')})"


def came(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> str:
    """SELECT of a dataset's records that came after batch $batch and count."""
    return f"(from {relation(connection, dataset, 'rec', ['_batch'])} where _batch > $batch)"


def went(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> str:
    """SELECT of a dataset's records that counted after batch $batch and no longer do."""
    past = relation(connection, dataset, "past", ["_batch", "_until", "_deleted"])
    return f"(from {past} where _until > $batch and _batch <= $batch and not _deleted)"
