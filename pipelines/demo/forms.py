"""Files as offices send them: GB18030 and UTF-8 CSV, XLSX ledgers under a merged title, NDJSON, Parquet.

Headings and words come from the contracts in `pipelines/sources`, so that the demo cannot speak a language they do
not read: the first heading of each field, a class by its Chinese label or one of its other spellings.
"""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from pipelines.demo.days import Times
from pipelines.demo.dirt import Sheets
from pipelines.demo.table import Column

EXTRA_HEADINGS = {"_text": "事件描述"}
"""Free text that loading is known to drop."""

TITLES = {
    "disputes": "矛盾纠纷排查调处台账(演示合成数据)",
    "outreach": "宣讲培训台账(演示合成数据)",
    "posts": "网格队伍岗位台账(演示合成数据)",
    "petitions": "信访事项登记台账(演示合成数据)",
    "meetings": "乡村振兴月例会台账(演示合成数据)",
    "work_items": "月例会议定事项台账(演示合成数据)",
}
"""What follows the name of the place."""
SLASHED = 0.3
"""Share of times written 2025/3/4 9:05 instead of 2025-03-04 09:05."""


@dataclass(frozen=True)
class Wording:
    """How a contract's dataset is spelled: field → heading, and field → code → spellings (the usual one first)."""

    headings: dict[str, str]
    spellings: dict[str, dict[str, list[str]]] = field(default_factory=dict)


@cache
def wording(dataset: str) -> Wording:
    """The wording of one of our own contracts."""
    source = resources.files("pipelines").joinpath(f"sources/{dataset}.toml")
    contract = tomllib.loads(source.read_text(encoding="utf-8"))
    fields: dict[str, Any] = contract["fields"]
    return Wording(
        {name: spec["from"][0] for name, spec in fields.items()},
        {
            name: {c["code"]: _spellings(c) for c in spec["choices"]}
            for name, spec in fields.items()
            if "choices" in spec
        },
    )


def _spellings(choice: dict[str, Any]) -> list[str]:
    """The label and up to three other Chinese spellings; bare numbers and English words stay out."""
    others = [s for s in choice["synonyms"] if all("\u4e00" <= letter <= "\u9fff" for letter in s)]
    return [choice["label"]["zh"], *others[:3]]


def spelled(dataset: str, name: str, values: Column, rng: np.random.Generator | None) -> list[str]:
    """Codes as words: seven in ten by the label, the rest by another spelling (all by the label without `rng`)."""
    known = wording(dataset).spellings[name]
    if rng is None:
        return [known[code][0] if code in known else code for code in values.tolist()]
    roll = np.maximum(0.0, rng.random(len(values)) - 0.7) / 0.3
    return [
        known[code][int(r * len(known[code]))] if code in known else code
        for code, r in zip(values.tolist(), roll.tolist(), strict=True)
    ]


@cache
def _days(slashed: bool) -> tuple[int, list[str]]:
    first = date(2015, 1, 1).toordinal()
    days = [date.fromordinal(first + i) for i in range(40 * 366)]
    return first, [f"{d.year}/{d.month}/{d.day} " if slashed else f"{d.isoformat()} " for d in days]


_CLOCK = [f"{m // 60:02d}:{m % 60:02d}" for m in range(1440)]
_LOOSE = [f"{m // 60}:{m % 60:02d}" for m in range(1440)]
_EPOCH = date(1970, 1, 1).toordinal()


def minutes_text(times: Times, rng: np.random.Generator | None) -> list[str]:
    """Times to the minute, ISO or (three in ten, given `rng`) as 2025/3/4 9:05; '' where unknown."""
    first, iso = _days(False)
    _, loose = _days(True)
    slashed = np.zeros(len(times), dtype=bool) if rng is None else rng.random(len(times)) < SLASHED
    out = [""] * len(times)
    rows = np.flatnonzero(~np.isnat(times))
    day, clock = np.divmod(times[rows].astype("datetime64[m]").astype(np.int64), 1440)
    day = day + _EPOCH - first
    for row, d, c, s in zip(rows.tolist(), day.tolist(), clock.tolist(), slashed[rows].tolist(), strict=True):
        out[row] = loose[d] + _LOOSE[c] if s else iso[d] + _CLOCK[c]
    return out


def seconds_text(times: Times, letter: str = " ") -> list[str]:
    """Times to the second; '' where unknown."""
    written = np.datetime_as_string(times, unit="s").tolist()
    return ["" if t == "NaT" else t.replace("T", letter) for t in written]


def text_columns(
    dataset: str, sheets: Sheets, rng: np.random.Generator | None, seconds: bool = False
) -> dict[str, list[str]]:
    """All fields as the texts that stand in the file, heading → one per row."""
    words = wording(dataset)
    out: dict[str, list[str]] = {}
    for name, values in sheets.columns.items():
        if values.dtype.kind == "M":
            texts = seconds_text(values) if seconds else minutes_text(values, rng)
        elif name in words.spellings and name != "rating":
            texts = spelled(dataset, name, values, rng)
        elif name == "rating":
            texts = [
                words.spellings[name][v][0] if v in words.spellings[name] else v for v in values.tolist()
            ]
        else:
            texts = [str(v) for v in values.tolist()]
        for row, raw in sheets.raw.get(name, {}).items():
            texts[row] = str(raw)
        out[words.headings.get(name) or EXTRA_HEADINGS[name]] = texts
    return out


def write_aside(path: Path, data: bytes) -> None:
    """Write under a hidden name, then give the file its name: a reader never sees half a file."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def slices(sheets: Sheets, count: int) -> Iterator[tuple[int, int]]:
    """First and past-last row of each file."""
    edges = np.searchsorted(sheets.file, np.arange(count + 1)).tolist()
    yield from pairwise(edges)


def csv_bytes(columns: dict[str, list[str]], first: int, last: int, encoding: str, end: str) -> bytes:
    """Rows of a CSV without quotes: no field holds a comma, a quote or a line end."""
    lines = [",".join(columns), *map(",".join, zip(*(c[first:last] for c in columns.values()), strict=True))]
    return (end.join(lines) + end).encode(encoding)


def ndjson_bytes(columns: dict[str, list[str]], first: int, last: int) -> bytes:
    """One JSON object a line; unknown is null."""
    names = list(columns)
    rows = zip(*(c[first:last] for c in columns.values()), strict=True)
    dump = json.JSONEncoder(ensure_ascii=False).encode
    return "".join(
        dump({k: v or None for k, v in zip(names, row, strict=True)}) + "\n" for row in rows
    ).encode()


def ledger_bytes(
    dataset: str, place: str, sheets: Sheets, first: int, last: int, made: date, rng: np.random.Generator
) -> bytes:
    """An XLSX ledger of a place: merged title, a line with the date, headings, rows, a line of totals.

    Times are date cells, one in seven a text; the workbook's own dates are fixed, so that bytes repeat.
    """
    words, title = wording(dataset), place + TITLES[dataset]
    headings = ["序号", *(words.headings[name] for name in sheets.columns)]
    memory = io.BytesIO()
    with xlsxwriter.Workbook(
        memory, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    ) as book:
        book.set_properties({"title": title, "created": datetime(made.year, made.month, made.day)})  # noqa: DTZ001
        sheet = book.add_worksheet("台账")
        bold = book.add_format({"bold": True, "align": "center", "font_size": 16})
        head = book.add_format({"bold": True, "bottom": 1})
        times = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.set_column(0, 0, 6)
        sheet.set_column(1, len(headings) - 1, 18)
        sheet.merge_range(0, 0, 0, len(headings) - 1, title, bold)
        sheet.write_string(1, 0, f"制表日期:{made.year}年{made.month}月{made.day}日")
        for column, heading in enumerate(headings):
            sheet.write_string(2, column, heading, head)
        cells = [_ledger_cells(dataset, name, sheets, first, last, rng) for name in sheets.columns]
        for at, row in enumerate(zip(*cells, strict=True), start=3):
            sheet.write_number(at, 0, at - 2)
            for column, (value, is_time) in enumerate(row, start=1):
                if is_time:
                    sheet.write_number(at, column, value, times)
                elif isinstance(value, int):
                    sheet.write_number(at, column, value)
                elif value:
                    sheet.write_string(at, column, value)
        end = 3 + last - first
        sheet.write_string(end, 0, "合计", head)
        for column, (name, values) in enumerate(sheets.columns.items(), start=1):
            if values.dtype.kind == "i":
                sheet.write_number(end, column, int(values[first:last].sum()), head)
            elif name == "title":
                sheet.write_string(end, column, f"共{last - first}项", head)
    return memory.getvalue()


def _ledger_cells(
    dataset: str, name: str, sheets: Sheets, first: int, last: int, rng: np.random.Generator
) -> Sequence[tuple[Any, bool]]:
    values = sheets.columns[name][first:last]
    cells: list[tuple[Any, bool]]
    if values.dtype.kind == "M":
        written = minutes_text(values, rng)
        serial = (values.astype("datetime64[s]").astype(np.int64) / 86_400 + 25_569).tolist()
        as_text = (rng.random(len(values)) < 1 / 7).tolist()
        cells = [
            ("", False) if not w else (w, False) if t else (s, True)
            for w, s, t in zip(written, serial, as_text, strict=True)
        ]
    elif name in wording(dataset).spellings:
        cells = [(word, False) for word in spelled(dataset, name, values, rng)]
    else:
        cells = [(value, False) for value in values.tolist()]
    for row, raw in sheets.raw.get(name, {}).items():
        if first <= row < last:
            cells[row - first] = (str(raw), False)
    return cells


def parquet_table(sheets: Sheets, first: int, last: int) -> pa.Table:
    """Typed columns under their English names; codes as codes."""
    out: dict[str, Any] = {}
    for name, values in sheets.columns.items():
        part = values[first:last]
        if part.dtype.kind == "M":
            out[name] = pa.array(part.astype("datetime64[ms]"), pa.timestamp("ms"))
            continue
        cells = part.tolist()
        for row, raw in sheets.raw.get(name, {}).items():
            if first <= row < last:
                cells[row - first] = raw
        out[name] = pa.array(cells, pa.int64() if part.dtype.kind == "i" else pa.string())
    return pa.table(out)


def parquet_bytes(table: pa.Table) -> bytes:
    memory = io.BytesIO()
    pq.write_table(table, memory, compression="zstd")
    return memory.getvalue()
