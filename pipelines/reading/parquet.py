"""Parquet: DuckDB reads the mapped columns, and no others, as text."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.contract import Contract
from pipelines.reading.decoding import named
from pipelines.reading.headings import Refused, demand_columns, layout_of, no_headings
from pipelines.reading.raw import RAW, Raw, finish, guarded, raw_of, registered

_WHOLE = 1e15
"""Below this a float holds every whole number exactly."""
_BATCH = 100_000


def read_parquet(
    path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, secret: bytes, folder: Path
) -> Raw:
    """Read a Parquet file's records, `_line` their number. Raises Refused, also when rows are missing."""
    try:
        with path.open("rb", buffering=0) as opened, named(opened, folder) as name:
            with pq.ParquetFile(path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
            layout = layout_of(schema.names, contract)
            if len(layout.sources) < min(2, sum(1 for rule in contract.fields.values() if rule.headings)):
                raise no_headings(contract)
            demand_columns(layout, contract)
            texts = [
                f"{_as_text(f'f{at}', schema.field(at).type)} as t{number}"
                for number, (_, at) in enumerate(layout.used())
            ]
            # Columns by place, for two may have one name.
            columns = ", ".join(f"f{at}" for at in range(len(schema.names)))
            with (
                guarded(layout.sources, contract, connection, secret) as guard,
                duckdb.connect(config={"temp_directory": str(folder), "threads": 2}) as apart,
            ):
                kept = [
                    f"{guard.cell(text, f't{number}')} as c{number}"
                    for number, (text, _) in enumerate(layout.used())
                ]
                # A damaged file may bring down the database that reads it: not the loader's, then.
                read = apart.sql(
                    f"select {', '.join(texts)} "  # noqa: S608 - columns are numbered by us
                    f"from read_parquet($name, binary_as_string = true) as file({columns})",
                    params={"name": name},
                )
                with registered(connection, "incoming_parquet", read.to_arrow_reader(_BATCH)):
                    connection.execute(
                        f"""
                        create or replace temp table {RAW} as
                        select 0::bigint as _row, 0::bigint as _line, null::varchar as _fault,
                            null::varchar as _raw, {", ".join(kept)},
                        from incoming_parquet
                        """,  # noqa: S608 - columns are numbered by us, values are bound
                        guard.bound,
                    )
            connection.execute(f"update {RAW} set _row = rowid + 1, _line = rowid + 1")  # noqa: S608
            found = connection.execute(f"select count(*) from {RAW}").fetchone()  # noqa: S608
    except (pa.ArrowException, OSError, duckdb.Error, UnicodeError) as error:
        what = str(error).splitlines()[0]
        raise Refused("无法读取的 Parquet 文件", f"not a readable Parquet file: {what}") from error
    if found is None or found[0] != rows:
        raise Refused(
            f"Parquet 文件不完整:应有 {rows} 行",
            f"a Parquet file of {rows} rows of which some cannot be read",
        )
    finish(connection)
    return raw_of(layout, "json", rows, 0)


def _as_text(column: str, kind: pa.DataType) -> str:
    """A value as the text that a CSV would hold.

    A whole number kept as a float (as tables with gaps come out of pandas) or a decimal has no '.0'; NaN is
    no value; a moment says its zone (Z); what is nested becomes JSON.
    """
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_floating(kind):
        whole = f"cast(try_cast({column} as bigint) as varchar)"
        return (
            f"case when isnan({column}) then null when abs({column}) < {_WHOLE} and {column} = trunc({column}) "
            f"then {whole} else cast({column} as varchar) end"
        )
    if pa.types.is_decimal(kind) and kind.scale > 0:
        return f"regexp_replace(cast({column} as varchar), '\\.0+$', '')"
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        # Cast to text as it is, the moment would be told in the zone of this machine.
        return f"cast(make_timestamp(epoch_us({column})) as varchar) || 'Z'"
    if pa.types.is_nested(kind):
        return f"cast(to_json({column}) as varchar)"
    return f"cast({column} as varchar)"
