"""The Overview's queries over a county with very many cases, beside hand-written SQL over the same marts.

`python -m benchmarks.scale --site DIR [--rows N] [--rows N]`: copies a loaded demo, loads so many more cases over the last
three years, and measures as `benchmarks.queries` does; by default 1M and 10M. Needs about 8 GB of room in the temporary folder.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks import queries
from benchmarks.timing import CONSOLE, verdict
from pipelines.load import load_once
from warehouse.site import Site, load_site
from warehouse.store import Store
from warehouse.version import current

ROWS = (1_000_000, 10_000_000)
REPETITIONS = 15
YEARS = 3
GROWTH = 2.0
"""Target: at ten times the cases at most so many times the seconds."""


def run(site: Site, sizes: tuple[int, ...], repetitions: int) -> None:
    """Measure each size in a site of its own; print how the seconds grow."""
    seconds = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="nerve-scale-", ignore_cleanup_errors=True) as name:
            CONSOLE.print(f"loading {rows:,} cases")
            seconds.append(queries.measure(_grown(site, Path(name) / "site", rows), repetitions)[0])
    for rows, later in zip(sizes[1:], seconds[1:], strict=True):
        CONSOLE.print(verdict(f"{rows:,} cases, of {sizes[0]:,}", later / seconds[0], GROWTH, "×"))


def _grown(site: Site, folder: Path, rows: int) -> Site:
    """A copy of the site with so many more cases."""
    shutil.copytree(site.folder, folder, ignore=shutil.ignore_patterns("archive", "reports", "log"))
    grown = load_site(folder)
    grids = [
        code for (code,) in current(site).rows("select code from places where level = 'grid' order by 1")
    ]
    write(grown.inbox / "cases_many.csv", rows, grids, grown.now() - timedelta(days=1))
    with Store.open(grown) as store:
        (loaded,) = load_once(grown, store)
    if loaded.kept != rows:
        raise RuntimeError(f"{rows} cases written, but {loaded.line()}")
    return grown


def write(path: Path, rows: int, grids: list[str], until: datetime) -> None:
    """Cases spread over the grids and over YEARS years up to `until`; all but two in a thousand closed, most of them in time."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            copy (
                with numbered as (
                    select i, (hash(i) >> 2)::bigint as h,
                        $until::timestamp - to_seconds((($rows - i) * $span) // $rows) as t
                    from range($rows) as r(i)
                )
                select 'MANY' || printf('%012d', i) as "工单编号", $grids[1 + h % len($grids)] as "所属网格编码",
                    ['公共安全', '生态环境', '矛盾纠纷', '民生服务', '其他'][1 + (h >> 11) % 5] as "事项大类",
                    ['网格上报', '12345热线', '微信', '巡查', '来访'][1 + (h >> 17) % 5] as "办件来源",
                    ['城管局', '环保局', '民政局', '白牙市镇'][1 + (h >> 19) % 4] as "办理单位",
                    case when closed then '已结案' else '处置中' end as "办件状态",
                    strftime(t, '%Y-%m-%d %H:%M:%S') as "上报时间",
                    strftime(t + interval 20 minute, '%Y-%m-%d %H:%M:%S') as "立案时间",
                    strftime(t + interval 1 hour, '%Y-%m-%d %H:%M:%S') as "派发时间",
                    strftime(t + interval 5 day, '%Y-%m-%d %H:%M:%S') as "办理时限",
                    case when closed then strftime(least(t + to_seconds(h % 480000), $until::timestamp),
                        '%Y-%m-%d %H:%M:%S') end as "结案时间",
                    strftime(t, '%Y-%m-%d %H:%M:%S') as "更新时间",
                from (select *, h % 1000 < 998 as closed from numbered) order by i
            ) to $path (header)
            """.replace("$path", "'" + str(path).replace("'", "''") + "'"),
            {"rows": rows, "grids": grids, "until": until, "span": YEARS * 365 * 86_400},
        )


def main() -> int:
    """Run what is asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--site", type=Path, required=True, help="a loaded demo, only read")
    parser.add_argument("--rows", type=int, action="append", help=f"cases to add (default: {ROWS})")
    parser.add_argument("--repeat", type=int, default=REPETITIONS)
    asked = parser.parse_args()
    run(load_site(asked.site), tuple(asked.rows or ROWS), asked.repeat)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
