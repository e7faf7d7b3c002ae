"""The load of all of a site's files, against a bare read of the same files that checks and keeps nothing."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from pathlib import Path
from time import perf_counter

import duckdb
from python_calamine import CalamineWorkbook

from benchmarks.timing import CONSOLE, Times, table
from pipelines.run import load
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site

READERS = {
    ".csv": "select * from read_csv($file, all_varchar = true, header = true)",
    ".ndjson": "select * from read_json($file, format = 'newline_delimited')",
    ".parquet": "select * from read_parquet($file)",
}


def measure(site: Site, rounds: int, scratch: Path) -> None:
    """Load and read in turn, `rounds` times, and print per kind of file. Writes into `scratch` only."""
    files = sorted(path for path in site.archived.rglob("*") if path.is_file())
    if not files:
        raise Mistake(str(site.archived), "no files that were loaded", "leave --site out: a demo is made")
    ours: dict[str, Times] = {}
    bare: dict[str, Times] = {}
    whole, read = Times(), Times()
    rows: Counter[str] = Counter()
    kept = 0
    for number in range(rounds):
        CONSOLE.print(f"load: round {number + 1} of {rounds}", style="dim")
        own = _unloaded(site, files, scratch / f"load{number}")
        began = perf_counter()
        loaded = load(own)
        whole.seconds.append(perf_counter() - began)
        failed = [one for one in loaded if one.status == "failed"]
        if failed:
            raise Mistake(failed[0].file, str(failed[0].reason), "load it by hand")
        rows = Counter()
        taken: dict[str, float] = defaultdict(float)
        for one in loaded:
            rows[Path(one.file).suffix] += one.read
            taken[Path(one.file).suffix] += one.seconds
        kept = sum(one.kept for one in loaded)
        began = perf_counter()
        spent = _read(files, scratch / "plain.csv")
        read.seconds.append(perf_counter() - began)
        for suffix, seconds in taken.items():
            ours.setdefault(suffix, Times()).seconds.append(seconds)
            bare.setdefault(suffix, Times()).seconds.append(spent[suffix])
        shutil.rmtree(own.folder)
    lines = [_line(suffix, rows[suffix], ours[suffix], bare[suffix]) for suffix in sorted(ours)]
    lines.append(_line("all, published", sum(rows.values()), whole, read))
    table(
        f"Load of {len(files)} files, {kept:,} of {sum(rows.values()):,} rows kept: seconds, median of {rounds}",
        ("files", "rows", "ours", "rows / s", "bare read", "ratio"),
        lines,
        ("Bare read: DuckDB's readers into a table of text; GB18030 decoded first; XLSX by calamine alone.",),
    )


def _line(name: str, rows: int, ours: Times, bare: Times) -> tuple[str, ...]:
    return (
        name, f"{rows:,}", f"{ours.median:.2f}", f"{rows / ours.median:,.0f}", f"{bare.median:.2f}",
        f"{ours.median / bare.median:.1f}",
    )  # fmt: skip


def _unloaded(site: Site, files: list[Path], folder: Path) -> Site:
    """The same site before its first load."""
    inbox = folder / "inbox"
    inbox.mkdir(parents=True)
    for name in ("site.toml", "secret.key"):
        if (site.folder / name).is_file():
            shutil.copy2(site.folder / name, folder / name)
    if site.sources.is_dir():
        shutil.copytree(site.sources, folder / "sources")
    for path in files:
        shutil.copy2(path, inbox / path.name)
    return load_site(folder)


def _read(files: list[Path], plain: Path) -> dict[str, float]:
    """Read every file into a table and drop it; seconds by suffix."""
    spent: dict[str, float] = defaultdict(float)
    with duckdb.connect() as connection:
        for path in files:
            began = perf_counter()
            if path.suffix in READERS:
                source = path
                if path.suffix == ".csv":
                    plain.write_text(_text(path), encoding="utf-8", newline="")
                    source = plain
                connection.execute(
                    f"create or replace table bare as {READERS[path.suffix]}", {"file": str(source)}
                )
            else:
                workbook = CalamineWorkbook.from_path(path)
                for name in workbook.sheet_names:
                    workbook.get_sheet_by_name(name).to_python()
            spent[path.suffix] += perf_counter() - began
    return spent


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030")
