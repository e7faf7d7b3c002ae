"""Data: how fresh each source is, what was kept, what was set aside and why."""

from __future__ import annotations

from dashboard.blocks import Block, Column, Note, Row, Table
from dashboard.freshness import age_text, freshness
from dashboard.names import place_names
from dashboard.reasons import in_words
from dashboard.view import Page, View
from warehouse.signs import SIGNS, by_name, raised
from warehouse.text import Text


def build(view: View) -> tuple[Block, ...]:
    sources = view.version.sources
    rows = []
    for state in freshness(view):
        s = state.source
        share = s.quarantined / s.read * 100 if s.read else 0.0
        rows.append(
            Row(
                (
                    s.label[view.lang], f"{s.files:,}", f"{s.duplicates:,}", f"{s.read:,}", f"{s.kept:,}", f"{s.quarantined:,}",
                    f"{share:.2f} %", f"{s.last_load:%Y-%m-%d %H:%M:%S}" if s.last_load else "–",
                    age_text(view, state.age_seconds), state.word,
                ),
                lamp=state.lamp,
            )
        )  # fmt: skip
    reasons = sorted(
        ((s.label[view.lang], reason, count) for s in sources for reason, count in s.reasons.items()),
        key=lambda r: -r[2],
    )
    refusals = [
        (s.label[view.lang], file, _in_language(view, reason)) for s in sources for file, reason in s.refusals
    ]
    return (
        Table(
            title=view.text("数据来源", "Sources"),
            columns=(
                Column(view.text("来源", "Source"), width=1.8),
                Column(view.text("文件", "Files"), "right"),
                Column(view.text("重复", "Again"), "right"),
                Column(view.text("读取", "Read"), "right"),
                Column(view.text("入库", "Kept"), "right"),
                Column(view.text("隔离", "Quarantined"), "right"),
                Column(view.text("隔离率", "Share"), "right"),
                Column(view.text("最近入库", "Last load"), width=1.8),
                Column(view.text("距今", "Age"), "right"),
                Column(view.text("状态", "State")),
            ),
            rows=tuple(rows),
            total=len(rows),
            sentence=view.text(
                f"读取 {sum(s.read for s in sources):,} 行 = 入库 {sum(s.kept for s in sources):,} 行 + 隔离 {sum(s.quarantined for s in sources):,} 行。",
                f"{sum(s.read for s in sources):,} rows read = {sum(s.kept for s in sources):,} kept + {sum(s.quarantined for s in sources):,} quarantined.",
            ),
            note=view.text(
                "“重复”为内容相同、再次送来的文件，不改变任何数据。",
                "“Again”: files that came again with the same content; they change nothing.",
            ),
            empty=view.text("尚无来源入库。", "No source has been loaded yet."),
        ),
        *_signs(view),
        Table(
            title=view.text("隔离原因", "Why rows were set aside"),
            columns=(
                Column(view.text("来源", "Source"), width=1.5),
                Column(view.text("原因", "Reason"), width=4),
                Column(view.text("行数", "Rows"), "right"),
            ),
            rows=tuple(
                Row((label, _in_words(view, name, reason), f"{count:,}"))
                for label, name, reason, count in (
                    (s.label[view.lang], s.dataset, reason, count)
                    for s in sources
                    for reason, count in sorted(s.reasons.items(), key=lambda kv: -kv[1])
                )
            ),
            total=len(reasons),
            note=view.text(
                "一行可有多个原因。原始行只留在入库端，不在页面显示。",
                "A row may have several reasons. Raw rows stay with the loader and are not shown.",
            ),
            empty=view.text("没有被隔离的行。", "No row is in quarantine."),
        ),
        *_warnings(view),
        Table(
            title=view.text("整份拒收的文件", "Files refused whole"),
            columns=(
                Column(view.text("来源", "Source")),
                Column(view.text("文件", "File"), width=2),
                Column(view.text("原因", "Reason"), width=3),
            ),
            rows=tuple(Row(r, lamp="off") for r in refusals[-50:]),
            total=len(refusals),
            empty=view.text("没有被拒收的文件。", "No file has been refused."),
        ),
        Note(
            view.text("数据版本", "Data version"),
            items=(
                (view.text("版本", "Version"), view.version.id),
                (view.text("发布时间", "Published"), f"{view.version.made_at:%Y-%m-%d %H:%M:%S}"),
                (view.text("数据截至", "Cut-off"), f"{view.cutoff:%Y-%m-%d %H:%M:%S}"),
            ),
        ),
    )


def _signs(view: View) -> tuple[Table, Note]:
    """What should be looked into, as questions, and the rules that ask them."""
    names = place_names(view)
    signs = by_name()
    found = raised(view.version, view.site, view.scope)
    table = Table(
        title=view.text("数据诚信提示", "Questions about the data"),
        columns=(
            Column(view.text("需要核实的问题", "To be looked into"), width=2.4),
            Column(view.text("地区", "Place"), width=1.2),
            Column(view.text("依据", "Figures"), width=4),
        ),
        rows=tuple(
            Row(
                (signs[one.sign].question[view.lang], names[one.place], one.figures[view.lang]),
                lamp="near",
                address=(("scope", one.place),),
            )
            for one in found
        ),
        total=len(found),
        sentence=view.text(
            "只提问题，不下结论：可能另有原因，请向有关乡镇了解。",
            "Questions, not findings: there may be good reasons. Ask the township.",
        ),
        empty=view.text("没有需要核实的问题。", "Nothing to ask."),
    )
    note = Note(
        view.text("提示规则", "When a question is asked"),
        text=view.text(
            f"只到乡镇（街道），记录不少于 {view.site.signs.least} 条，且非偶然所能解释。阈值见 site.toml 的 [signs]。",
            f"By township at the finest, from {view.site.signs.least} records on, beyond chance. Thresholds: site.toml, [signs].",
        ),
        items=tuple(
            (sign.question[view.lang], sign.ruled(view.site)[view.lang])
            for sign in SIGNS
            if sign.asked(view.version)
        ),
    )
    return table, note


def _warnings(view: View) -> tuple[Table, ...]:
    """Rows kept with a warning; no table where no contract warns."""
    warned = [(s, reason, rows) for s in view.version.sources for reason, rows in s.warned.items()]
    if not warned:
        return ()
    return (
        Table(
            title=view.text("入库但有提示的行", "Rows kept with a warning"),
            columns=(
                Column(view.text("来源", "Source"), width=1.5),
                Column(view.text("提示", "Warning"), width=4),
                Column(view.text("行数", "Rows"), "right"),
            ),
            rows=tuple(
                Row((s.label[view.lang], _in_words(view, s.dataset, reason), f"{rows:,}"))
                for s, reason, rows in sorted(warned, key=lambda w: (w[0].name, -w[2], w[1]))
            ),
            total=len(warned),
        ),
    )


def _in_words(view: View, dataset: str, reason: str) -> str:
    return in_words(view.version.datasets.get(dataset), reason, view.lang)


def _in_language(view: View, reason: str) -> str:
    """The loader writes a refusal as "中文 | English"."""
    zh, _, en = reason.partition(" | ")
    return zh if view.lang == "zh" or not en else en


PAGE = Page("data", Text(zh="数据", en="Data"), "database", build, live=True)
