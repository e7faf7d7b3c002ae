"""Parquet: only the columns that the contract maps are read."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.contract import Contract
from pipelines.reading.headings import Refused, demand_columns, layout_of, no_headings
from pipelines.reading.raw import Cells, registered


def read_parquet(path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, cells: Cells) -> None:
    """Only the mapped columns are read from the file; DuckDB casts each to text."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            layout = layout_of(names, contract)
            if len(layout.sources) < min(2, sum(1 for rule in contract.fields.values() if rule.headings)):
                raise no_headings(contract)
            demand_columns(layout, contract)
            used = layout.used()
            table = file.read(columns=[names[position] for _, position in used])
    except (pa.ArrowException, OSError) as error:
        what = str(error).splitlines()[0]
        raise Refused("无法读取的 Parquet 文件", f"not a readable Parquet file: {what}") from error
    table = table.select([names[position] for _, position in used])
    numbered = table.rename_columns([f"c{number}" for number in range(len(used))])
    texts = [_as_text(column.name, column.type) for column in numbered.schema]
    query = f"select {', '.join(texts)} from incoming_parquet"  # noqa: S608 - columns are numbered by us
    with registered(connection, "incoming_parquet", numbered):
        rows = connection.execute(query).fetchall()
    columns = {name: [row[number] for row in rows] for number, (name, _) in enumerate(used)}
    cells.add(layout, range(1, len(rows) + 1), columns)


def _as_text(column: str, kind: pa.DataType) -> str:
    """A whole number kept as a float (as tables with gaps come out of pandas) has no '.0'; NaN is no value."""
    if pa.types.is_floating(kind):
        return (
            f"case when isnan({column}) then null when {column} = trunc({column}) and abs({column}) < 1e15 "
            f"then cast(cast({column} as bigint) as varchar) else cast({column} as varchar) end"
        )
    return f"cast({column} as varchar)"
