"""Print: a sheet or a brief as PDF, A4 or 16:9 slides, tagged (PDF/A-2a, PDF/UA-1), the same bytes for the same version.

The template is constant (`parts.typ` draws the blocks, `paper.typ` and `slides.typ` lay them out); what is printed
reaches it only as JSON, so no text of a place or a matter is
ever read as markup. The typesetter sees an empty folder and our own fonts, nothing else of the machine.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timezone
from pathlib import Path
from typing import Any, Literal, assert_never, get_args

import typst

from dashboard.blocks import Block, Brief, Feed, Gap, Map, Note, Ranking, Shape, Sheet, Table, Tiles, Trend
from dashboard.printing.glyphs import FONTS, printable, shortened
from dashboard.printing.register import Entry, entries, register, versions_in_use, write_whole
from warehouse.text import Lang, Text

__all__ = [
    "FORMS",
    "Entry",
    "Form",
    "entries",
    "register",
    "render_brief",
    "render_pdf",
    "versions_in_use",
    "write_whole",
]

PRINTED_ROWS = 200
"""Rows of a table on paper; the rest is in the workbook, and the page says so."""
NAME_LIMIT = 90
"""Width of a name (a Chinese character counts two) where there is no room to wrap it: tiles, bars, legends."""
TITLE_LIMIT = 160
"""Width of the banner and of a block's title."""
REMARK_LIMIT = 800
"""Width of a sentence or note, which must stay on the page of its chart."""

SLIDE_CELL = 120
"""Width of a table's cell on a slide, which holds ten rows."""
SLIDE_REMARK = 150
"""Width of what a slide says in large type, two lines of it."""
SLIDE_ITEM = 700
"""Width of one paragraph on a slide."""

Form = Literal["a4", "slide"]
FORMS: tuple[Form, ...] = ("a4", "slide")
GAPS: tuple[Gap, ...] = get_args(Gap)
LAYOUT: dict[Form, str] = {"a4": "paper.typ", "slide": "slides.typ"}

WORDS: dict[str, Text] = {
    "continued": Text(zh="（续）", en=" (continued)"),
    "contents": Text(zh="目录", en="Contents"),
    "asked": Text(zh="导出", en="Exported"),
    "definitions": Text(zh="口径与说明", en="Definitions"),
    "figures": Text(zh="指标口径", en="How each figure is made"),
    "period": Text(zh="统计时段", en="Period"),
    "compare": Text(zh="比较", en="Comparison"),
    "cutoff": Text(zh="数据截至", en="Data as of"),
    "version": Text(zh="数据版本", en="Data version"),
    "page": Text(zh="第 {page} 页 / 共 {pages} 页", en="Page {page} of {pages}"),
    "good": Text(zh="达标", en="On target"),
    "near": Text(zh="接近", en="Near target"),
    "off": Text(zh="未达标", en="Off target"),
    "neutral": Text(zh="不作评价", en="Not judged"),
    "none": Text(zh="无数据或不公布", en="No data or not shown"),
    "better": Text(zh="向好", en="better"),
    "worse": Text(zh="向差", en="worse"),
    "rank": Text(zh="位次", en="Rank"),
    "value": Text(zh="数值", en="Value"),
    "state": Text(zh="状态", en="State"),
    "counts": Text(zh="分子 / 分母", en="Count / of"),
    "name": Text(zh="名称", en="Name"),
    "baseline": Text(zh="横轴起点为 {low}。", en="The axis starts at {low}."),
    "baseline_up": Text(zh="纵轴起点为 {low}。", en="The axis starts at {low}."),
    "records": Text(
        zh="“{title}”为逐条记录，不打印，请在系统中查看。",
        en="“{title}” lists single records, which are not printed; see them on screen.",
    ),
    "cut": Text(zh="列出 {shown} 行，共 {total} 行。", en="{shown} of {total} rows shown."),
    "nothing": Text(zh="本期无内容。", en="Nothing in this period."),
    "empty_sheet": Text(zh="本页没有可打印的内容。", en="This page has nothing to print."),
    "no_class": Text(zh="无数据", en="No data"),
    "unlabelled": Text(zh="图上未标名：", en="Not named on the map: "),
    "marked": Text(zh="标记：", en="Marked: "),
    "separator": Text(zh="；", en="; "),
    "time": Text(zh="时间", en="Time"),
    "place": Text(zh="地点", en="Place"),
    "matter": Text(zh="事项", en="Matter"),
    "chart": Text(zh="图表：", en="Chart: "),
}


def render_pdf(sheet: Sheet, site_name: str, *, made: datetime, form: Form = "a4", mark: str = "") -> bytes:
    """The sheet as a PDF in its own language, with its notices on every page and no cover.

    `made` is the time of the data version, not of printing, so that a version always gives the same bytes;
    without a zone it is written as UTC. Tables with `printed=False` are named and left out; of longer tables
    the first `PRINTED_ROWS` rows are printed. What is longer than its `…_LIMIT` ends in "…"; on A4 cells and
    definitions are printed whole. `mark` stands faintly across every page.
    """
    title = " · ".join(part for part in (sheet.title, sheet.place) if part)
    chapter = {
        "title": title,
        "said": (),
        "blocks": [_block(block, _lang(sheet.lang)) for block in sheet.blocks],
    }
    head = {name: getattr(sheet, name) for name in _HEAD}
    return _typeset({**head, "cover": False, "chapters": [chapter]}, site_name, form, mark, sheet.lang, made)


def render_brief(brief: Brief, site_name: str, *, made: datetime, form: Form = "a4") -> bytes:
    """The brief with its cover, one chapter after the other, and its definitions at the end; else as `render_pdf`."""
    lang = _lang(brief.lang)
    chapters: list[dict[str, Any]] = [
        {"title": c.title, "said": c.said, "blocks": [_block(block, lang) for block in c.blocks]}
        for c in brief.chapters
    ]
    if brief.definitions or brief.remarks:
        items = [{"label": d.label, "said": d.text, "lines": d.lines} for d in brief.definitions]
        figures = {
            "kind": "definitions",
            "title": WORDS["figures"][lang],
            "text": brief.common,
            "items": items,
        }
        colon = "：" if lang == "zh" else ": "
        chapters.append(
            {
                "title": WORDS["definitions"][lang],
                "said": tuple(f"{chapter}{colon}{text}" for chapter, text in brief.remarks),
                "blocks": [figures] if items else [],
            }
        )
    head = {name: getattr(brief, name) for name in _HEAD}
    return _typeset(
        {**head, "cover": True, "chapters": chapters}, site_name, form, brief.mark, brief.lang, made
    )


_HEAD = ("title", "place", "period", "compare", "cutoff", "version", "notices")


def _typeset(data: dict[str, Any], site_name: str, form: Form, mark: str, lang: str, made: datetime) -> bytes:
    text = json.dumps(_whole(data, site_name, form, mark, _lang(lang)), ensure_ascii=False, allow_nan=False)
    # The compiler keeps its inputs from call to call and is no place for two threads at once.
    with _LOCK:
        pdf = _compiler().compile(
            input=_template(form),
            sys_inputs={"data": text},
            format="pdf",
            pdf_standards=["a-2a", "ua-1"],
            timestamp=_stamp(made),
        )
    assert isinstance(pdf, bytes)
    return pdf


def _lang(lang: str) -> Lang:
    return "zh" if lang == "zh" else "en"


_LOCK = threading.Lock()


def _stamp(made: datetime) -> datetime:
    """Whole seconds at a fixed offset, which is all the typesetter takes."""
    offset = made.utcoffset()
    return made.replace(microsecond=0, tzinfo=UTC if offset is None else timezone(offset))


@functools.cache
def _template(form: Form) -> bytes:
    folder = Path(__file__).parent
    return (folder / "parts.typ").read_bytes() + b"\n" + (folder / LAYOUT[form]).read_bytes()


@functools.cache
def _empty_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="nerve-print-")


@functools.cache
def _compiler() -> typst.Compiler:
    folder = _empty_folder().name
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FONTS)])
    return typst.Compiler(
        input=_template("a4"),
        root=folder,
        font_paths=fonts,
        ignore_system_fonts=True,
        package_path=folder,
        package_cache_path=folder,
    )


def _whole(data: dict[str, Any], site_name: str, form: Form, mark: str, lang: Lang) -> dict[str, Any]:
    """Everything the template reads; each text printable, each number finite."""
    texts = {
        **data,
        "site": _short(site_name, NAME_LIMIT),
        "short_title": _short(data["title"], 40),
        "short_place": _short(data["place"], 30),
        "short_site": _short(site_name, 36),
        "short_cutoff": data["cutoff"][:16],
        "short_notice": _short(" ".join(data["notices"]), 130),
        "notices": [_short(notice, 4 * NAME_LIMIT) for notice in data["notices"]],
        "stamp": _short(mark, NAME_LIMIT),
        "asked": mark if data["cover"] else "",
    }
    limits = _LIMITS | (_SLIDE_LIMITS if form == "slide" else {})
    words = {name: text[lang] for name, text in WORDS.items()}
    return {**_clean(texts, limits), "lang": lang, "form": form, "words": words}


def _short(text: str, limit: int) -> str:
    return shortened(printable(text[: 4 * limit]), limit)


def _block(block: Block, lang: Lang) -> dict[str, Any]:
    match block:
        case Table():
            return _table(block, lang)
        case Map():
            return _map(block)
        case Note():
            return {**dataclasses.asdict(block), "text": block.text.splitlines()}
        case Tiles() | Trend() | Ranking() | Feed():
            return dataclasses.asdict(block)
        case _:
            assert_never(block)


def _table(table: Table, lang: Lang) -> dict[str, Any]:
    if not table.printed:
        title = shortened(table.title, NAME_LIMIT)
        return {"kind": "left_out", "text": WORDS["records"][lang].format(title=title)}
    rows = table.rows[:PRINTED_ROWS]
    total = max(table.total, len(table.rows))
    cut = WORDS["cut"][lang].format(shown=f"{len(rows):,}", total=f"{total:,}") if total > len(rows) else ""
    return {
        "kind": "table",
        "title": table.title,
        "columns": [dataclasses.asdict(column) for column in table.columns],
        "rows": [{"cells": row.cells, "lamp": row.lamp} for row in rows],
        "sentence": table.sentence,
        "note": table.note,
        "empty": table.empty,
        "cut": cut,
        "worded": _worded(table),
    }


def _worded(table: Table) -> bool:
    """Whether a column says the lamps in words of its own ("overdue", "fresh"), so that no key is needed."""
    for i, column in enumerate(table.columns):
        said = {(row.cells[i], row.lamp) for row in table.rows if i < len(row.cells)}
        words = {word for word, _ in said}
        if column.align == "left" and len(words) == len(said) <= 6 < len(table.rows) and "" not in words:
            return True
    return False


def _map(block: Map) -> dict[str, Any]:
    """The map in its own frame: x and y from 0 to 1, y downwards, `aspect` = height / width. All cells of a
    class become one path, which keeps a map of some thousand cells quick."""
    points = [point for shape in (*block.shapes, *block.outlines) for ring in shape.rings for point in ring]
    points = [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]
    left, right = min((x for x, _ in points), default=0.0), max((x for x, _ in points), default=1.0)
    bottom, top = min((y for _, y in points), default=0.0), max((y for _, y in points), default=1.0)
    wide, tall = (right - left) or 1.0, (top - bottom) or 1.0

    def rings(shape: Shape) -> list[list[tuple[float, float]]]:
        return [
            [
                (round((x - left) / wide, 5), round((top - y) / tall, 5))
                for x, y in ring
                if math.isfinite(x + y)
            ]
            for ring in shape.rings
            if len(ring) >= 3
        ]

    levels: dict[int, list[list[tuple[float, float]]]] = {}
    for shape in block.shapes:
        known = shape.level is not None and 0 <= shape.level < len(block.classes)
        gap = GAPS.index(shape.gap if shape.level is None else "empty")
        levels.setdefault(shape.level if known and shape.level is not None else -1 - gap, []).extend(
            rings(shape)
        )
    named: Sequence[Shape] = block.outlines or (block.shapes if len(block.shapes) <= 60 else ())
    return {
        "kind": "map",
        "title": block.title,
        "sentence": block.sentence,
        "note": block.note,
        "legend": block.legend,
        "classes": block.classes,
        "tabled": block.tabled,
        "aspect": tall / wide,
        "gaps": [
            {"level": -1 - i, "text": dict(block.gaps).get(gap, "")}
            for i, gap in enumerate(GAPS)
            if -1 - i in levels
        ],
        "levels": [{"level": level, "rings": paths} for level, paths in sorted(levels.items())],
        "outlines": [path for shape in block.outlines for path in rings(shape)],
        "names": [
            {"text": shortened(shape.label, NAME_LIMIT), "at": _middle(rings(shape))}
            for shape in named
            if shape.label and rings(shape)
        ],
        "marks": [
            {"ring": shape.ring, "at": _middle(rings(shape)), "label": shape.label, "text": shape.text}
            for shape in sorted(block.shapes, key=lambda shape: (len(shape.ring), shape.ring))
            if shape.ring and rings(shape)
        ],
    }


def _middle(rings: Sequence[Sequence[tuple[float, float]]]) -> tuple[float, float]:
    """The centroid of the largest ring (shoelace formula); the middle of its box where it has no area."""

    def moments(ring: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
        area = x_sum = y_sum = 0.0
        for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True):
            cross = x0 * y1 - x1 * y0
            area, x_sum, y_sum = area + cross, x_sum + (x0 + x1) * cross, y_sum + (y0 + y1) * cross
        return area, x_sum, y_sum

    ring = max(rings, key=lambda ring: abs(moments(ring)[0]))
    area, x_sum, y_sum = moments(ring)
    if abs(area) < 1e-9:
        xs, ys = [x for x, _ in ring], [y for _, y in ring]
        return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    return round(x_sum / (3 * area), 5), round(y_sum / (3 * area), 5)


_KEPT = frozenset({"kind", "lamp", "mark", "align", "tone"})
_DROPPED = frozenset({"address", "passport", "measures"})
_LIMITS = {
    **dict.fromkeys(("label", "labels", "classes", "name", "counts", "target", "status", "unit"), NAME_LIMIT),
    **dict.fromkeys(("state", "legend", "period", "compare", "cutoff", "version", "asked"), NAME_LIMIT),
    **dict.fromkeys(("title", "place"), TITLE_LIMIT),
    **dict.fromkeys(("sentence", "note"), REMARK_LIMIT),
}
_SLIDE_LIMITS = {
    **dict.fromkeys(("cells", "title", "place"), SLIDE_CELL),
    **dict.fromkeys(("sentence", "note"), SLIDE_REMARK),
    **dict.fromkeys(("text", "items", "said"), SLIDE_ITEM),
}


def _clean(value: Any, limits: dict[str, int], name: str = "") -> Any:
    """Every text printable, cut to the limit of its field; every number that is not finite a gap."""
    match value:
        case str():
            # What stands for a missing character is longer than it, so the length is that of what is printed.
            shown = printable(value if name not in limits else value[: 4 * limits[name]])
            return shortened(shown, limits[name]) if name in limits else shown
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {
                key: item if key in _KEPT else _clean(item, limits, key)
                for key, item in value.items()
                if key not in _DROPPED
            }
        case list() | tuple():
            return [_clean(item, limits, name) for item in value]
        case _:
            return value
