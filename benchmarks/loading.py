"""One large CSV from file to published version, against what reads it without judging anything.

`python -m benchmarks.loading [--rows N] [--rounds N] [--large [ROWS]]`: bare DuckDB, pandas (its rows inserted as
`to_sql` does, and its frame taken over whole) and ours in turn, ours by parts and whole; with `--large` a file ten times as long under a memory limit, its peak of memory measured.
Everything is made in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import duckdb
import pandas as pd

from benchmarks.timing import CONSOLE, Times, table, verdict
from pipelines.check import check
from pipelines.contract import contracts
from pipelines.load import load_once
from pipelines.privacy import site_key
from pipelines.reading import read
from warehouse.site import Site, load_site
from warehouse.store import Batch, Store

ROWS = 1_000_000
LARGE = 10_000_000
MEMORY = "4GiB"
ROUNDS = 3
INSERTED = 20_000
"""Rows that pandas inserts as `to_sql` does: its time for all of a file is reckoned from them."""
PER_INSERT = 1_000
OF_BARE, OF_PANDAS = 3.0, 0.5
"""Targets: at most so many times the bare read, and of the time pandas takes."""

_GRIDS = 2_000
_SITE = """
name = { zh = "甲县", en = "Jia County" }
home = "431122"
as_of = 2026-02-01T00:00:00
"""

PARTS = ("read", "check", "apply", "publish")


def run(rows: int = ROWS, rounds: int = ROUNDS, large: int | None = None) -> None:
    """Measure and print. `large`: rows of the file that is loaded under MEMORY (None: left out)."""
    with tempfile.TemporaryDirectory(prefix="nerve-loading-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        compare(scratch, rows, rounds)
        if large is not None:
            measure_large(scratch, large)


def compare(scratch: Path, rows: int, rounds: int) -> None:
    """Bare DuckDB, pandas and ours in turn, after a round that is not counted; print medians and ratios."""
    file = scratch / "cases.csv"
    write_cases(file, rows)
    names = ("bare", "pandas, to_sql", "pandas, frame", *PARTS, "parts together", "whole")
    times = {name: Times() for name in names}
    for number in range(rounds + 1):
        CONSOLE.print(f"loading: round {number} of {rounds}", style="dim")
        spent = {"bare": _bare(file, scratch), "pandas, frame": _pandas(file, scratch)}
        spent["pandas, to_sql"] = _to_sql(file, scratch, rows)
        spent |= _by_parts(file, scratch, rows)
        spent["parts together"] = sum(spent[part] for part in PARTS)
        spent["whole"] = _whole(file, scratch, rows)
        for name, seconds in spent.items():
            if number:
                times[name].seconds.append(seconds)
    bare, to_sql, frame, ours = (
        times[name].median for name in ("bare", "pandas, to_sql", "pandas, frame", "whole")
    )
    table(
        f"{rows:,} cases of 13 columns ({file.stat().st_size / 1e6:,.0f} MB): seconds, median of {rounds}",
        ("", "seconds", "fastest", "rows / s", "of bare"),
        [
            (
                name, f"{times[name].median:.2f}", f"{times[name].fastest:.2f}", f"{rows / times[name].median:,.0f}",
                f"{times[name].median / bare:.2f}",
            )
            for name in names
        ],
        (
            "Bare: create table as select * from read_csv(file), into a file.",
            f"Pandas, to_sql: read_csv, then `insert … values` of {PER_INSERT:,} rows each, reckoned from {INSERTED:,} rows.",
            "Pandas, frame: read_csv, then DuckDB takes the frame over whole.",
            "Parts: read, check, apply and publish, one after the other. Whole: load_once, with hash and archive.",
            verdict("whole, of bare", ours / bare, OF_BARE, "×"),
            verdict("whole, of pandas with to_sql", ours / to_sql, OF_PANDAS, "×"),
            f"whole, of pandas with its frame taken over: {ours / frame:.2f} ×",
        ),
    )  # fmt: skip


def measure_large(scratch: Path, rows: int) -> None:
    """Load a large file in a process of its own under MEMORY; print its parts and its peak of memory."""
    file = scratch / "large.csv"
    write_cases(file, rows)
    found = json.loads(
        subprocess.run(
            [sys.executable, "-m", "benchmarks.loading", "--child", str(file), "--rows", str(rows)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    )
    file.unlink()
    table(
        f"{rows:,} cases under memory_limit {MEMORY}",
        ("", "seconds", "rows / s"),
        [(part, f"{found[part]:.1f}", f"{rows / found[part]:,.0f}") for part in PARTS],
        (f"Peak of the process: {found['peak'] / 2**30:.2f} GiB",),
    )


def write_cases(path: Path, rows: int) -> None:
    """Cases over three years that the contract `cases` accepts, every condition on them holding."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            copy (
                with numbered as (
                    select i, (hash(i) >> 2)::bigint as h,
                        timestamp '2023-01-01' + to_seconds(i * 94608000 // $rows) as t
                    from range($rows) as r(i)
                )
                select 'EV' || printf('%012d', i) as "工单编号",
                    cast(431122000000 + 1000 + h % $grids as varchar) as "所属网格编码",
                    ['公共安全', '生态环境', '矛盾纠纷', '民生服务', '其他'][1 + (h >> 11) % 5] as "事项大类",
                    ['网格上报', '12345热线', '微信', '巡查', '来访'][1 + (h >> 17) % 5] as "办件来源",
                    ['城管局', '环保局', '民政局', '白牙市镇'][1 + (h >> 19) % 4] as "办理单位",
                    case when h % 10 < 8 then '已结案' else '处置中' end as "办件状态",
                    strftime(t, '%Y-%m-%d %H:%M:%S') as "上报时间",
                    strftime(t + interval 20 minute, '%Y-%m-%d %H:%M:%S') as "立案时间",
                    strftime(t + interval 1 hour, '%Y-%m-%d %H:%M:%S') as "派发时间",
                    strftime(t + interval 5 day, '%Y-%m-%d %H:%M:%S') as "办理时限",
                    case when h % 20 = 0 then strftime(t + interval 8 day, '%Y-%m-%d %H:%M:%S') end as "延期后时限",
                    case when h % 10 < 8 then strftime(t + to_seconds(h % 300000), '%Y-%m-%d %H:%M:%S') end
                        as "结案时间",
                    strftime(t + interval 4 day, '%Y-%m-%d %H:%M:%S') as "更新时间",
                from numbered order by i
            ) to $path (header)
            """.replace("$path", "'" + str(path).replace("'", "''") + "'"),
            {"rows": rows, "grids": _GRIDS},
        )


def _bare(file: Path, scratch: Path) -> float:
    def job(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("create table t as select * from read_csv($file)", {"file": str(file)})

    return _into_file(scratch / "bare.duckdb", job)


def _pandas(file: Path, scratch: Path) -> float:
    def job(connection: duckdb.DuckDBPyConnection) -> None:
        frame = pd.read_csv(file)
        connection.register("frame", frame)
        connection.execute("create table t as select * from frame limit 0")
        connection.execute("insert into t select * from frame")

    return _into_file(scratch / "pandas.duckdb", job)


def _to_sql(file: Path, scratch: Path, rows: int) -> float:
    """`read_csv` of all rows, and the insert of INSERTED of them times what there are more."""
    began = perf_counter()
    some = pd.read_csv(file).head(INSERTED)
    reading = perf_counter() - began

    def job(connection: duckdb.DuckDBPyConnection) -> None:
        connection.register("frame", some)
        connection.execute("create table t as select * from frame limit 0")
        found = list(some.itertuples(index=False, name=None))
        one = f"({', '.join('?' * len(some.columns))})"
        connection.begin()
        for at in range(0, len(found), PER_INSERT):
            chunk = found[at : at + PER_INSERT]
            cells = [cell for row in chunk for cell in row]
            connection.execute(f"insert into t values {', '.join([one] * len(chunk))}", cells)  # noqa: S608
        connection.commit()

    return reading + _into_file(scratch / "pandas.duckdb", job) * rows / len(some)


def _into_file(path: Path, job: Callable[[duckdb.DuckDBPyConnection], None]) -> float:
    began = perf_counter()
    with duckdb.connect(str(path)) as connection:
        job(connection)
    spent = perf_counter() - began
    path.unlink()
    return spent


def _by_parts(file: Path, scratch: Path, rows: int, memory: str | None = None) -> dict[str, float]:
    """Seconds of each part, on a site that knows its places."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        site = _site(Path(name), memory)
        contract, secret = contracts(site)["cases"], site_key(site)
        spent: dict[str, float] = {}
        with Store.open(site) as store:
            began = perf_counter()
            raw = read(file, contract, store.connection, secret)
            spent["read"] = perf_counter() - began
            began = perf_counter()
            checked = check(raw, contract, store.connection, site.now(), site.timezone)
            spent["check"] = perf_counter() - began
            _demand_all(checked.kept, rows)
            began = perf_counter()
            store.apply(
                Batch(
                    source=contract.name,
                    label=contract.label,
                    dataset=contract.dataset,
                    file=file.name,
                    sha256="benchmark",
                    read=raw.read,
                    good=checked.good,
                    bad=checked.bad,
                    refused=None,
                    fresh_hours=contract.fresh_hours,
                )
            )
            spent["apply"] = perf_counter() - began
            began = perf_counter()
            store.publish()
            spent["publish"] = perf_counter() - began
    return spent


def _whole(file: Path, scratch: Path, rows: int) -> float:
    """Seconds of the loader's own way: hashed, read, checked, applied, archived, published."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        site = _site(Path(name))
        waiting = site.inbox / file.name
        waiting.hardlink_to(file)
        with Store.open(site) as store:
            began = perf_counter()
            loaded = load_once(site, store)
            spent = perf_counter() - began
        _demand_all(loaded[0].kept, rows)
    return spent


def _demand_all(kept: int, rows: int) -> None:
    if kept != rows:
        raise RuntimeError(f"{rows} cases written, but {kept} kept")


def _site(folder: Path, memory: str | None = None) -> Site:
    """A site with a county of places loaded: 20 townships, 200 villages, _GRIDS grids."""
    limit = f'memory_limit = "{memory}"\n' if memory else ""
    (folder / "site.toml").write_text(_SITE + limit, encoding="utf-8")
    site = load_site(folder)
    site.inbox.mkdir()
    lines = ["code,parent,level,name_zh,name_en,updated_at", "431122,,county,甲县,Jia,2020-01-01"]
    for code, parent, level in [
        *((f"431122{100 + n}", "431122", "township") for n in range(20)),
        *((f"431122{100 + n // 10}{n % 10:03d}", f"431122{100 + n // 10}", "village") for n in range(200)),
        *(
            (str(431122001000 + n), f"431122{100 + n // 100}{n // 10 % 10:03d}", "grid")
            for n in range(_GRIDS)
        ),
    ]:
        lines.append(f"{code},{parent},{level},{level}{code},{level}{code},2020-01-01")
    (site.inbox / "places.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with Store.open(site) as store:
        load_once(site, store)
    return site


def main() -> int:
    """Run what is asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--large", type=int, nargs="?", const=LARGE, help=f"rows under {MEMORY}")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is None:
        run(asked.rows, asked.rounds, asked.large)
        return 0
    spent = _by_parts(asked.child, asked.child.parent, asked.rows, MEMORY)
    # Linux counts the peak in KiB.
    print(json.dumps({**spent, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
