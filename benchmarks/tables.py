"""How long a table of many rows takes as CSV and as XLSX, and how much memory: python -m benchmarks.tables [ROWS].

Each form is written in a process of its own; the peak is that of the process, less what it had before it wrote."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from datetime import datetime

from dashboard.blocks import Column, Row, Sheet, Table


def sheet(rows: int) -> Sheet:
    columns = (
        Column("事项"), Column("网格"), Column("上报"), Column("办结"), Column("状态"), Column("件", "right"), Column("率", "right"),
    )  # fmt: skip
    table = Table(
        "事件",
        columns,
        tuple(
            Row(
                (
                    f"道路破损{n}", f"第{n % 1326}网格", "2026-01-05 08:30", "2026-01-06 09:00", "已办结", f"{n:,}", "91.1 %",
                )
            )
            for n in range(rows)
        ),
        total=rows,
    )  # fmt: skip
    return Sheet("page", "事件", "东安县", "2026", "", "2026-01-31 18:00", "v000001", "zh", (), (table,))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(form: str, rows: int) -> None:
    from dashboard.csvfile import render_csv
    from dashboard.grids import carried, grids
    from dashboard.workbook import render_xlsx

    made = sheet(rows)
    before, started = peak_mb(), time.perf_counter()
    if form == "csv":
        content = render_csv(grids(made.blocks, "zh")[0], carried(made, "zh"))
    else:
        content = render_xlsx(made, "东安", made=datetime.fromisoformat("2026-01-31"))
    taken = time.perf_counter() - started
    print(
        f"{form}: {rows:,} rows, {taken:.1f} s, {len(content) / 1e6:.1f} MB; peak {peak_mb():.0f} MB, "
        f"{peak_mb() - before:.0f} MB of it for writing"
    )


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    if len(sys.argv) > 2:
        measure(sys.argv[2], rows)
        return
    for form in ("csv", "xlsx"):
        subprocess.run([sys.executable, "-m", "benchmarks.tables", str(rows), form], check=True)


if __name__ == "__main__":
    main()
