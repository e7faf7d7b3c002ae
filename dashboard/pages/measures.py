"""Measures: every figure the system can show, what it counts, where it is shown and where its definition comes from."""

from __future__ import annotations

from dataclasses import replace

from dashboard.blocks import Address, Block, Column, Map, Note, Ranking, Row, Table, Tiles, Trend
from dashboard.figures import counts, number, target_text, unit
from dashboard.view import Page, View
from dashboard.view import build as built
from warehouse.catalogue import Example, Measure, catalogue, worded
from warehouse.passport import passport
from warehouse.result import NoData, Result, Value
from warehouse.text import LANGS, Text


def build(view: View) -> tuple[Block, ...]:
    known = catalogue()
    groups: dict[str, list[Measure]] = {}
    for measure in known.measures.values():
        if _sought(measure, view.chosen("q")):
            groups.setdefault(known.reads(measure.table)[0], []).append(measure)
    # Record sets of this site in the order they are named by it, then what it has no source of.
    have = [name for name in view.version.datasets if name in groups]
    tables = [_table(view, view.version.datasets[name].label[view.lang], groups.pop(name)) for name in have]
    if groups:
        rest = [measure for measures in groups.values() for measure in measures]
        tables.append(_table(view, view.text("本部署无数据来源", "No source on this site"), rest))
    if not tables:
        tables.append(_table(view, view.text("没有找到", "Nothing found"), []))
    opened = view.chosen("measure")
    return (
        *(_opened(view, known.get(opened)) if opened else ()),
        *tables,
        Note(
            view.text("怎样读一个数", "How to read a figure"),
            text=view.text(
                "分母是“应当”的，不只是已办的；分母为零是“无数据”，不是0%。每个数都可用 nerve value 一条命令复算。",
                "Denominators are what was due, not only what was done; 0 of 0 is “no data”, never 0 %. "
                "Every figure can be had again with one command, nerve value.",
            ),
        ),
    )


def _sought(measure: Measure, words: str) -> bool:
    """Whether every word stands in the measure's name, number, or label in either language."""
    text = " ".join((measure.name, measure.name.replace("_", " "), *(measure.label[lang] for lang in LANGS)))
    return all(word == measure.number or word in text.lower() for word in words.lower().split())


def _table(view: View, title: str, measures: list[Measure]) -> Table:
    return Table(
        title=title,
        columns=(
            Column(view.text("指标", "Measure"), width=1.6),
            Column(view.text("口径", "Definition"), width=4.2),
            Column(view.text("归集日期", "Dated"), width=1.5),
            Column(view.text("单位", "Unit"), width=0.7),
            Column(view.text("目标", "Target"), width=0.9),
            Column(view.text("依据", "Source"), width=2),
            Column(view.text("名称", "Name"), width=1.7),
        ),
        rows=tuple(
            Row(
                (
                    measure.label[view.lang],
                    worded(measure.definition, view.version.params)[view.lang],
                    worded(measure.dates, view.version.params)[view.lang],
                    unit(measure, view.lang),
                    target_text(view, measure).partition(" ")[2] or "–",
                    measure.source[view.lang],
                    measure.name,
                ),
                address=(("measure", measure.name),),
            )
            for measure in measures
        ),
        total=len(measures),
        empty=view.text("没有符合的指标，请换一个词。", "No measure has these words; try another."),
    )


# One measure


def _opened(view: View, measure: Measure) -> tuple[Block, ...]:
    """All that is known of one measure: its passport, where it is shown, its worked examples."""
    lines = passport(view.version, measure.name, view.scope, view.period, view.cutoff)
    target = target_text(view, measure)
    return (
        Note(
            measure.label[view.lang],
            items=(
                *((term[view.lang], said[view.lang]) for term, said in lines),
                *(((view.text("目标", "Target"), target.partition(" ")[2] or target),) if target else ()),
            ),
        ),
        _shown_at(view, measure),
        *(
            table
            for position, example in enumerate(measure.examples, start=1)
            for table in _example(view, measure, example, position)
        ),
    )


def _shown_at(view: View, measure: Measure) -> Table:
    """The pages and sections that show the measure, read from their blocks as built for this view."""
    # The pages name this one among them.
    from dashboard.pages import PAGES

    plain = replace(view, choices=(), record="", dataset="")
    rows = [
        Row((page.label[view.lang], title or "–"), address=_way(page))
        for page in PAGES
        if page.name != PAGE.name
        for title in dict.fromkeys(
            block.title for block in built(page, plain).blocks if measure.name in _named(block)
        )
    ]
    return Table(
        title=view.text("用在哪里", "Where it is shown"),
        columns=(
            Column(view.text("页面", "Page")),
            Column(view.text("栏目", "Section"), width=2.5),
        ),
        rows=tuple(rows),
        total=len(rows),
        empty=view.text(
            "没有页面显示；可用 nerve value 查询。", "No page shows it; ask for it with nerve value."
        ),
    )


def _named(block: Block) -> tuple[str, ...]:
    """The measures a block shows."""
    match block:
        case Tiles():
            return tuple(tile.measure for tile in block.tiles)
        case Trend() | Ranking() | Map():
            return block.measures
        case _:
            return ()


def _way(page: Page) -> Address:
    return (("page", page.name), ("measure", ""), ("q", ""))


def _example(view: View, measure: Measure, example: Example, position: int) -> tuple[Table, ...]:
    """A worked example: the records, and what the measure must answer over them."""
    result: Result = NoData()
    if example.value is not None:
        result = Value(example.value, example.n, example.d)
    elif example.n is not None:
        share = example.n / example.d * measure.scale if example.d else example.n
        result = Value(share, example.n, example.d)
    shown = number(measure, result, view.lang)
    figure = (
        f"{shown} {unit(measure, view.lang)}" if isinstance(result, Value) else view.text("无数据", "no data")
    )
    answer = " = ".join(part for part in (counts(result), figure) if part)
    asked = view.text(
        f"统计期 {example.period.start} 至 {example.period.end}，截至 {example.cutoff:%Y-%m-%d %H:%M}：{answer}。",
        f"{example.period.start} to {example.period.end}, as of {example.cutoff:%Y-%m-%d %H:%M}: {answer}.",
    )
    tables = []
    for dataset, records in example.rows.items():
        names = list(dict.fromkeys(name for record in records for name in record))
        known = view.version.datasets.get(dataset)
        fields = {f.name: f.label[view.lang] for f in known.fields} if known else {}
        title = known.label[view.lang] if known else dataset
        tables.append(
            Table(
                title=view.text(f"算例 {position}：{title}", f"Worked example {position}: {title}"),
                columns=tuple(Column(fields.get(name, name)) for name in names),
                rows=tuple(Row(tuple(_cell(record.get(name)) for name in names)) for record in records),
                total=len(records),
                sentence=asked,
            )
        )
    return tuple(tables)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "hour") else str(value)


PAGE = Page("measures", Text(zh="指标", en="Measures"), "menu_book", build, asks=("q", "measure"))
