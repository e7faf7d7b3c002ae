"""Files → raw text: every cell as the source wrote it.

Only columns that the contract maps are ever taken out of a file; blocked and unknown columns reach neither
a table nor a log. Every record of a file is either a row of the raw table or the whole file is refused.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipelines.contract import Contract
from pipelines.reading.headings import Refused
from pipelines.reading.objects import read_ndjson
from pipelines.reading.parquet import read_parquet
from pipelines.reading.raw import RAW, Cells, Raw, to_table
from pipelines.reading.sheets import read_xlsx
from pipelines.reading.text import read_csv

__all__ = ["RAW", "Raw", "Refused", "read"]

SUFFIXES = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xlsx",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}


def read(path: Path, contract: Contract, connection: duckdb.DuckDBPyConnection, secret: bytes) -> Raw:
    """Read a file into the TEMP table `incoming_raw`. `secret` keys the pseudonyms. Raises Refused."""
    form = contract.files.format
    if form == "auto":
        form = SUFFIXES.get(path.suffix.lower(), "csv")  # type: ignore[assignment]
    if path.stat().st_size == 0:
        raise Refused("空文件", "empty file")
    cells = Cells()
    if form == "csv":
        read_csv(path.read_bytes(), contract, cells)
    elif form == "xlsx":
        read_xlsx(path, contract, cells)
    elif form == "ndjson":
        read_ndjson(path.read_bytes(), contract, cells)
    else:
        read_parquet(path, contract, connection, cells)
    return to_table(cells, contract, connection, secret, "csv" if form == "csv" else "json")
