"""A table of an office's database: what changed in it since the last pull, written down as a file of text.

From there on it goes the way of every file (`pipelines.load`): read, check, apply, account. One pull is one
batch; the watermark it reached is committed with it, in the same transaction.

What is late is not missed: every pull looks back by `LATE` from the watermark, for a transaction that began
before the last pull and was committed after it carries an older time. Rows that come again unchanged in that
stretch are told by the digests kept from the last pull and left out, so that no account counts them twice;
without the digests (lost, or of a batch undone since) they are read again, and change nothing.
Rows deleted without a trace are not seen: such a source needs a flag, and `[deleted]` in its contract.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from pipelines.contract import Contract, Database
from pipelines.reading.headings import Layout, Refused, demand_columns, layout_of, no_headings
from warehouse.mistake import Mistake
from warehouse.site import Site

LATE = timedelta(hours=1)
"""So long may a transaction of the source stay open: what it commits carries the time at which it began."""
LATE_STEPS = 1_000
"""The same where the watermark is a number that counts up."""
ROWS = 10_000
"""Rows fetched at a time: what a pull holds in memory."""
CONNECT_SECONDS = 10
ANSWER_SECONDS = 300
"""A database that has not answered for so long is given up until the next try."""
DIGEST_BYTES = 16

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,38}(\.[0-9]+)?")
_CONNECTING: Mapping[str, Mapping[str, Any]] = {
    # Told within half a minute that the other side is gone, whatever the kernel's own patience.
    "postgresql+psycopg": {
        "connect_timeout": CONNECT_SECONDS, "keepalives_idle": 15, "keepalives_interval": 5,
        "keepalives_count": 3, "tcp_user_timeout": 30_000,
    },
    "mysql+pymysql": {"connect_timeout": CONNECT_SECONDS, "read_timeout": ANSWER_SECONDS},
    "sqlite": {"timeout": CONNECT_SECONDS},
}  # fmt: skip
_BEGINNING: Mapping[str, Sequence[str]] = {
    # Times as ISO text that names its offset, whatever the account's own settings.
    "postgresql": (
        "set local timezone to 'UTC'",
        "set local datestyle to 'ISO'",
        "set local bytea_output to 'hex'",
        f"set local statement_timeout to {ANSWER_SECONDS * 1000}",
    ),
}


@dataclass(frozen=True)
class Extract:
    """What one pull brought: a Parquet file, one row per row of the table, cells as text under the source's
    own headings.

    `file` names it in the accounts: `db:cases@2026-11-22T10:15:00` (the site's time). `watermark`: the
    greatest value reached so far; None while the table has none. `digests`: of the rows that the next pull
    will meet again. `refused`: why the table does not fit its contract; then there is no file.
    """

    contract: Contract
    path: Path
    file: str
    rows: int
    watermark: str | None
    digests: frozenset[bytes]
    refused: Refused | None = None


def pull(
    site: Site,
    contract: Contract,
    since: str | None,
    known: frozenset[bytes] = frozenset(),
    stop: Callable[[], bool] = lambda: False,
) -> Extract:
    """Fetch the rows whose watermark is not older than `since` less LATE (None: all), but for those in `known`.

    Touches no warehouse, so it may run beside the loader. Raises Mistake when the address is wrong, the
    database does not answer or break off, or `stop` became true; nothing is left then.
    """
    database = contract.database
    if database is None:
        raise Mistake(str(contract.path), "no [database]", "add one, or drop files into the inbox")
    now = datetime.now(UTC).astimezone(ZoneInfo(site.timezone))
    file = f"db:{contract.name}@{now:%Y-%m-%dT%H:%M:%S}"
    folder = _folder(site)
    path = folder / f"{contract.name}.{now:%Y%m%dT%H%M%S%f}.parquet"
    where = f"{contract.path}: [database]"
    url = _address(site, database, where)
    try:
        with _reading(url) as connection:
            table = _table(database)
            headings = list(
                connection.execute(sa.select(sa.text("*")).select_from(table).where(sa.false())).keys()
            )
            try:
                layout = _layout(headings, contract, database)
            except Refused as refused:
                return Extract(contract, path, file, 0, since, known, refused)
            used = [headings[position] for _, position in layout.used()]
            marks = _Marks(since, now)
            with path.open("xb") as out:
                path.chmod(0o600)
                rows = _write(
                    out, _rows(connection, table, used, database.watermark, marks, stop, where),
                    used, marks, known, file,
                )  # fmt: skip
            return Extract(contract, path, file, rows, marks.reached, marks.digests())
    except (SQLAlchemyError, ImportError) as error:
        path.unlink(missing_ok=True)
        raise _mistake(error, url, database, where) from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def digests(site: Site, source: str, sha256: str) -> frozenset[bytes]:
    """The digests kept with the batch whose extract had this content; none when there are none."""
    with suppress(OSError):
        held = _digests_path(site, source, sha256).read_bytes()
        return frozenset(held[at : at + DIGEST_BYTES] for at in range(0, len(held), DIGEST_BYTES))
    return frozenset()


def keep_digests(site: Site, source: str, sha256: str, kept: Iterable[bytes]) -> None:
    """Keep the digests of a committed batch for the source's next pull, in place of older ones."""
    path = _digests_path(site, source, sha256)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(b"".join(sorted(kept)))
    fresh.replace(path)
    for other in path.parent.glob(f"{source}.*.seen"):
        if other != path:
            other.unlink(missing_ok=True)


def clear_leftovers(site: Site) -> None:
    """Remove the extracts that a killed loader left. Call it under the loader's lock."""
    for path in _folder(site).glob("*.parquet"):
        path.unlink(missing_ok=True)


def _folder(site: Site) -> Path:
    """Where extracts lie between pull and load, open to the loader's user alone: they hold names in clear."""
    folder = site.warehouse / ".pulls"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _digests_path(site: Site, source: str, sha256: str) -> Path:
    return _folder(site) / f"{source}.{sha256[:32]}.seen"


# -- what is asked --------------------------------------------------------------------------------------------


def _table(database: Database) -> sa.TableClause:
    schema, _, name = database.table.rpartition(".")
    return sa.table(name, schema=schema or None)


def _layout(headings: Sequence[str], contract: Contract, database: Database) -> Layout:
    """Which columns feed the contract: no other is selected. Raises Refused when the table has changed."""
    if database.watermark not in headings:
        raise Refused(
            f"表 {database.table} 没有水位列“{database.watermark}”",
            f"table '{database.table}' has no watermark column '{database.watermark}'",
        )
    for name in database.columns:
        if name not in headings:
            raise Refused(
                f"表 {database.table} 没有列“{name}”", f"table '{database.table}' has no column '{name}'"
            )
    asked = [name if name in database.columns or not database.columns else "" for name in headings]
    layout = layout_of(asked, contract)
    if len(layout.sources) < min(2, sum(1 for rule in contract.fields.values() if rule.headings)):
        raise no_headings(contract)
    demand_columns(layout, contract)
    return layout


def _rows(
    connection: sa.Connection,
    table: sa.TableClause,
    used: Sequence[str],
    watermark: str,
    marks: _Marks,
    stop: Callable[[], bool],
    where: str,
) -> Iterator[list[tuple[str | None, ...]]]:
    """Chunks of rows as text, the watermark last. Columns have no type here, so that one value that a driver
    cannot make into Python's (a date of year 20000, 'infinity') does not end the pull."""
    dialect = connection.dialect.name
    moment: sa.ColumnElement[Any] = sa.column(watermark)
    asked = [_as_text(name, dialect) for name in (*used, watermark)]
    query = sa.select(*(column.label(f"c{at}") for at, column in enumerate(asked))).select_from(table)
    since = marks.since(dialect)
    if since is not None:
        bound: sa.BindParameter[Any] = sa.bindparam("since", since, type_=sa.types.NullType())
        query = query.where(sa.or_(moment >= bound, moment.is_(None)))
    for chunk in connection.execute(query).partitions(ROWS):
        if stop():
            raise Mistake(where, "stopped before its end", "the next pull takes it up again")
        yield [tuple(_said(value) for value in row) for row in chunk]


def _as_text(name: str, dialect: str) -> sa.ColumnElement[Any]:
    """PostgreSQL writes every type as exact text itself; the drivers of the others hand over plain values."""
    column: sa.ColumnElement[Any] = sa.column(name)
    return sa.cast(column, sa.Text) if dialect == "postgresql" else column


def _said(value: object) -> str | None:
    """A cell as text: ISO times, exact decimals, whole numbers without '.0'; NaN is no value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


# -- how far it came ------------------------------------------------------------------------------------------


@dataclass
class _Marks:
    """The watermark's way through one pull: moments, or numbers that count up, or else plain text.

    A moment after `now` is no watermark: one slip of the pen in a year would hide all that comes before it.
    """

    start: str | None
    now: datetime
    best: dict[str, tuple[Any, str]] = field(default_factory=dict)
    met: list[tuple[str, Any, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.start is not None:
            kind, value = self._read(self.start)
            self.best[kind] = (value, self.start)

    @property
    def reached(self) -> str | None:
        found = self._leading()
        return None if found is None else self.best[found][1]

    def since(self, dialect: str) -> Any:
        """What the pull begins with, bound as the dialect compares it; None: with everything."""
        if self.start is None:
            return None
        kind, value = self._read(self.start)
        if kind == "number":
            back = value - LATE_STEPS
            whole = int(back) if back == back.to_integral_value() else back
            return (
                str(whole) if dialect == "postgresql" else whole if isinstance(whole, int) else float(whole)
            )
        if kind == "text":
            return self.start
        written = datetime.fromisoformat(self.start) - LATE
        if dialect not in ("postgresql", "sqlite"):
            return written
        # SQLite compares text: it is written as the column writes it.
        if len(self.start) == len("2026-11-22"):
            return written.date().isoformat()
        return written.isoformat(sep="T" if self.start[10] == "T" else " ", timespec="seconds")

    def meet(self, mark: str | None, digest: Callable[[], bytes]) -> bytes | None:
        """Take note of a row by its watermark; its digest where the next pull may meet it again."""
        if mark is None:
            kind, value = "none", None
        else:
            kind, value = self._read(mark)
            if not (kind == "moment" and value > self.now) and (
                kind not in self.best or value > self.best[kind][0]
            ):
                self.best[kind] = (value, mark)
        if not self._again(kind, value):
            return None
        made = digest()
        self.met.append((kind, value, made))
        return made

    def digests(self) -> frozenset[bytes]:
        return frozenset(digest for kind, value, digest in self.met if self._again(kind, value))

    def _again(self, kind: str, value: Any) -> bool:
        """True when a pull that begins where this one stands would meet the row."""
        if kind != self._leading() or kind == "none":
            return True
        best = self.best[kind][0]
        if kind == "text":
            return bool(value >= best)
        # A day more: a date column is compared by days.
        return bool(value >= best - (LATE + timedelta(days=1) if kind == "moment" else LATE_STEPS))

    def _leading(self) -> str | None:
        return next((kind for kind in ("moment", "number", "text") if kind in self.best), None)

    def _read(self, mark: str) -> tuple[str, Any]:
        if _NUMBER.fullmatch(mark):
            return "number", Decimal(mark)
        try:
            moment = datetime.fromisoformat(mark)
        except ValueError:
            return "text", mark
        return "moment", moment if moment.tzinfo else moment.replace(tzinfo=self.now.tzinfo)


def _write(
    out: Any,
    chunks: Iterable[list[tuple[str | None, ...]]],
    used: Sequence[str],
    marks: _Marks,
    known: frozenset[bytes],
    file: str,
) -> int:
    """Write the rows that are not in `known`; how many there are. The name inside makes each extract's content
    its own: two pulls that bring the same rows are not the same file."""
    schema = pa.schema([pa.field(name, pa.string()) for name in used], metadata={"pull": file})
    count = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for chunk in chunks:
            fresh = []
            for row in chunk:
                digest = marks.meet(row[-1], lambda row=row: _digest(row))  # type: ignore[misc]
                if digest is None or digest not in known:
                    fresh.append(row)
            if fresh:
                columns = list(zip(*fresh, strict=True))[: len(used)]
                arrays = [pa.array(column, pa.string()) for column in columns]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                count += len(fresh)
    return count


def _digest(row: tuple[str | None, ...]) -> bytes:
    return hashlib.blake2b(
        repr(row).encode("utf-8", errors="surrogatepass"), digest_size=DIGEST_BYTES
    ).digest()


# -- the connection -------------------------------------------------------------------------------------------


def _address(site: Site, database: Database, where: str) -> sa.URL:
    """The contract's url with its ${NAMES} taken from the environment. No message ever quotes it."""

    def filled(text: str) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name not in os.environ:
                raise Mistake(f"{where}: key 'url'", f"the environment has no '{name}'", f"set {name}")
            return os.environ[name]

        return _VARIABLE.sub(value, text)

    written = database.url
    if _VARIABLE.fullmatch(written):
        written = filled(written)
    try:
        url = sa.make_url(written)
        # Filled in after the parts are told from each other: a password may hold any sign.
        username, password, host, name = (
            text if text is None else filled(str(text))
            for text in (url.username, url.password, url.host, url.database)
        )
        url = url.set(username=username, password=password, host=host, database=name)
    except (ArgumentError, ValueError):
        raise Mistake(
            f"{where}: key 'url'",
            "no address of a database",
            "write dialect://user:${PASSWORD}@host:port/name",
        ) from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith("file:"):
        path = (site.folder / url.database).absolute()
        # Opened to read only: else a wrong name would make an empty database of it.
        url = url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
    return url


@contextmanager
def _reading(url: sa.URL) -> Iterator[sa.Connection]:
    """One read-only transaction that sees one state of the table and streams what it finds."""
    options = _CONNECTING.get(url.drivername) or _CONNECTING.get(url.get_backend_name()) or {}
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=dict(options), hide_parameters=True)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", lambda connection, _: _decode_leniently(connection))
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            for statement in _BEGINNING.get(engine.dialect.name, ()):
                connection.execute(sa.text(statement))
            yield connection.execution_options(stream_results=True, yield_per=ROWS)
    finally:
        engine.dispose()


def _decode_leniently(connection: Any) -> None:
    """SQLite takes any bytes for text: GB18030 where it is no UTF-8, and never the end of a pull."""

    def decode(content: bytes) -> str:
        for encoding in ("utf-8", "gb18030"):
            with suppress(UnicodeDecodeError):
                return content.decode(encoding)
        return content.decode("utf-8", errors="backslashreplace")

    connection.text_factory = decode


def _mistake(error: Exception, url: sa.URL, database: Database, where: str) -> Mistake:
    """One line without the statement, its values or the password."""
    if isinstance(error, NoSuchModuleError | ImportError):
        return Mistake(
            f"{where}: key 'url'",
            f"no driver for '{url.drivername}' is installed",
            "install it, or mend the url",
        )
    said = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
    what = said[0] if not url.password else said[0].replace(str(url.password), "…")
    return Mistake(
        where,
        f"table '{database.table}' cannot be read: {what}",
        "see that the database answers and its account may read the table",
    )
