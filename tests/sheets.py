"""A realistic sheet with every kind of block, for the tests of the renderers. Its figures are invented."""

from __future__ import annotations

import math
import random

from dashboard.blocks import (
    Axis,
    Bar,
    Block,
    Change,
    Column,
    Feed,
    FeedItem,
    Lamp,
    Map,
    Note,
    Ranking,
    Row,
    Series,
    Shape,
    Sheet,
    Table,
    Tile,
    Tiles,
    Trend,
)
from warehouse.text import Lang

TOWNSHIPS: tuple[tuple[str, str, str], ...] = (
    ("431122100", "白牙市镇", "Baiyashi Town"),
    ("431122101", "大庙口镇", "Damiaokou Town"),
    ("431122102", "紫溪市镇", "Zixishi Town"),
    ("431122103", "横塘镇", "Hengtang Town"),
    ("431122104", "石期市镇", "Shiqishi Town"),
    ("431122105", "井头圩镇", "Jingtouxu Town"),
    ("431122106", "端桥铺镇", "Duanqiaopu Town"),
    ("431122107", "鹿马桥镇", "Lumaqiao Town"),
    ("431122108", "芦洪市镇", "Luhongshi Town"),
    ("431122109", "新圩江镇", "Xinxujiang Town"),
    ("431122110", "花桥镇", "Huaqiao Town"),
    ("431122111", "大盛镇", "Dasheng Town"),
    ("431122112", "南桥镇", "Nanqiao Town"),
    ("431122201", "川岩乡", "Chuanyan Township"),
    ("431122202", "水岭乡", "Shuiling Township"),
)
STATUS: dict[Lamp, tuple[str, str]] = {
    "good": ("达标", "On target"),
    "near": ("接近", "Near target"),
    "off": ("未达标", "Off target"),
    "neutral": ("参考", "For reference"),
    "none": ("无数据", "No data"),
}


def sample_sheet(lang: Lang) -> Sheet:
    """Twelve tiles, two trends of 24 months, a ranking of 15, a table of 60 rows and one of records that is
    not printed, a map of 300 cells, a feed, definitions and a warning. The same at every call."""
    zh = lang == "zh"
    return Sheet(
        page="overview",
        title="总览" if zh else "Overview",
        place="东安县" if zh else "Dong'an County",
        period="2023年1月1日至12月26日" if zh else "1 January to 26 December 2023",
        compare="与上年同期比较" if zh else "Compared with the same period of 2022",
        cutoff="2023-12-26 18:00",
        version="v000123",
        lang=lang,
        notices=(
            "演示数据：按公开发布的总数合成，并非真实记录。"
            if zh
            else "Synthetic demo data, calibrated on published totals; not real records.",
        ),
        blocks=_blocks(lang),
    )


def _blocks(lang: Lang) -> tuple[Block, ...]:
    return (
        _tiles(lang),
        _rates(lang),
        _counts(lang),
        _ranking(lang),
        _map(lang),
        _table(lang),
        _records(lang),
        _feed(lang),
        _definitions(lang),
        _warning(lang),
    )


def _tiles(lang: Lang) -> Tiles:
    zh = lang == "zh"
    rng = random.Random(7)

    def tile(
        measure: str,
        label: str,
        value: str,
        unit: str,
        lamp: Lamp,
        target: str,
        counts: str,
        change: str = "",
        better: Lamp = "neutral",
        note: str = "",
    ) -> Tile:
        level = 90.0
        spark: list[float | None] = []
        for _ in range(12):
            level += rng.uniform(-1.5, 1.7)
            spark.append(round(level, 2))
        if lamp == "none":
            spark = [None, None, 3.0, None, 4.0, 2.0, None, 1.0, None, None, 2.0, None]
        changes = (Change("较上年" if zh else "vs 2022", change, better),) if change else ()
        target = (("目标 " if zh else "Target ") + target) if target else ""
        return Tile(
            measure=measure,
            label=label,
            value=value,
            unit=unit,
            lamp=lamp,
            status=STATUS[lamp][0 if zh else 1],
            target=target,
            counts=counts,
            note=note,
            changes=changes,
            spark=tuple(spark),
            address=(("measure", measure),),
        )

    pp = "个百分点" if zh else " points"
    return Tiles(
        title="核心指标" if zh else "Key figures",
        tiles=(
            tile(
                "overdue_open_cases",
                "超期未结事件数" if zh else "Overdue open cases",
                "137",
                "件" if zh else "cases",
                "off",
                "0",
                "",
                "−24",
                "good",
            ),
            tile(
                "on_time_closing_rate",
                "按期结案率" if zh else "On-time closing rate",
                "86.2",
                "%",
                "near",
                "90 %",
                "37,512 / 43,523",
                "+1.4" + pp,
                "good",
            ),
            tile(
                "closing_rate",
                "结案率" if zh else "Closing rate",
                "95.6",
                "%",
                "good",
                "95 %",
                "41,608 / 43,523",
                "+0.3" + pp,
                "good",
            ),
            tile(
                "cases_reported",
                "事件上报数" if zh else "Cases reported",
                "52,434",
                "件" if zh else "cases",
                "neutral",
                "",
                "",
                "+6.1 %",
            ),
            tile(
                "one_time_resolution_rate",
                "初次信访事项一次性化解率" if zh else "One-time resolution of first petitions",
                "91.0",
                "%",
                "good",
                "90 %",
                "728 / 800",
                "+2.2" + pp,
                "good",
                "90 天窗口" if zh else "90-day window",
            ),
            tile(
                "on_time_reply_rate",
                "按期答复率" if zh else "On-time reply rate",
                "93.1",
                "%",
                "off",
                "100 %",
                "1,120 / 1,203",
                "−0.8" + pp,
                "off",
            ),
            tile(
                "satisfaction_rate",
                "群众满意率" if zh else "Satisfaction among those who rated",
                "92.9",
                "%",
                "good",
                "90 %",
                "5,212 / 5,610",
                "+0.5" + pp,
                "good",
                "参评率 58.3 %" if zh else "Participation 58.3 %",
            ),
            tile(
                "meeting_item_completion",
                "月例会议定事项办结率" if zh else "Agreed items done",
                "91.1",
                "%",
                "good",
                "90 %",
                "3,930 / 4,316",
                "+3.7" + pp,
                "good",
            ),
            tile(
                "meetings_held_rate",
                "月例会召开率" if zh else "Monthly meetings held",
                "49.6",
                "%",
                "off",
                "100 %",
                "2,046 / 4,128",
                "−1.0" + pp,
                "off",
            ),
            tile(
                "arrived_in_15_minutes",
                "15分钟到场率" if zh else "Arrived within 15 minutes",
                "88.4",
                "%",
                "near",
                "90 %",
                "412 / 466",
                "+0.0" + pp,
            ),
            tile(
                "patrol_completion",
                "巡逻任务完成率" if zh else "Patrol shifts carried out",
                "97.3",
                "%",
                "good",
                "95 %",
                "24,310 / 24,985",
                "+0.9" + pp,
                "good",
            ),
            tile(
                "hours_to_close:p90",
                "办结用时（90%分位）" if zh else "Hours to close, 90th percentile",
                "<5",
                "",
                "none",
                "",
                "",
                "",
                "neutral",
                "少于5件不显示" if zh else "Fewer than 5: not shown",
            ),
        ),
    )


def _months(lang: Lang) -> tuple[str, ...]:
    return tuple(f"{2022 + i // 12}-{i % 12 + 1:02d}" for i in range(24))


def _rates(lang: Lang) -> Trend:
    zh = lang == "zh"
    closing = tuple(round(93.4 + 1.6 * math.sin(i / 4) + i * 0.06, 1) for i in range(24))
    on_time: tuple[float | None, ...] = tuple(
        None if i == 9 else round(82.0 + 2.2 * math.sin(i / 3 + 1) + i * 0.18, 1) for i in range(24)
    )
    return Trend(
        title="结案率走势（近24个月）" if zh else "Closing rates, last 24 months",
        labels=_months(lang),
        series=(
            Series("结案率" if zh else "Closing rate", closing, tuple(f"{v:.1f}" for v in closing)),
            Series(
                "按期结案率" if zh else "On-time closing rate",
                on_time,
                tuple("–" if v is None else f"{v:.1f}" for v in on_time),
            ),
        ),
        axis=Axis(75.0, 100.0, tuple((float(v), str(v)) for v in (75, 80, 85, 90, 95, 100)), "%"),
        target=(95.0, "目标 95 %" if zh else "Target 95 %"),
        sentence=(
            "结案率由93.4 %升至95.6 %；按期结案率仍低于目标。"
            if zh
            else "The closing rate rose from 93.4 % to 95.6 %; on-time closing stays below its target."
        ),
        note="2022年10月无按期结案数据。" if zh else "No on-time data for October 2022.",
    )


def _counts(lang: Lang) -> Trend:
    zh = lang == "zh"
    reported = tuple(float(3900 + round(420 * math.sin(i / 2.5)) + 25 * i) for i in range(24))
    closed = tuple(v - 120 + round(90 * math.cos(i)) for i, v in enumerate(reported))
    return Trend(
        title="上报与办结" if zh else "Cases reported and closed",
        labels=_months(lang),
        series=(
            Series("上报" if zh else "Reported", reported, tuple(f"{v:,.0f}" for v in reported), "bar"),
            Series("办结" if zh else "Closed", closed, tuple(f"{v:,.0f}" for v in closed), "dashed"),
        ),
        axis=Axis(
            0.0, 6000.0, tuple((float(v), f"{v:,}") for v in range(0, 6001, 2000)), "件" if zh else "cases"
        ),
        sentence="办结量与上报量同步，积压未扩大。"
        if zh
        else "Closing keeps pace with reporting; no backlog builds up.",
    )


def _ranking(lang: Lang) -> Ranking:
    zh = lang == "zh"
    values = (96.4, 94.8, 93.1, 92.2, 90.6, 90.1, 89.9, 88.2, 87.0, 85.7, 84.1, 82.6, 80.2, 76.4, None)
    bars = []
    for i, ((code, name_zh, name_en), value) in enumerate(zip(TOWNSHIPS, values, strict=True)):
        d = 2900 - 173 * i
        lamp: Lamp = "none"
        if value is not None:
            lamp = "good" if value >= 90 else "near" if value >= 80 else "off"
        half = 0.9 + 0.28 * i
        bars.append(
            Bar(
                label=name_zh if zh else name_en,
                value=value,
                text=("无数据" if zh else "No data") if value is None else f"{value:.1f}",
                rank="" if value is None else str(1 + i - i % 2),
                counts="" if value is None else f"{round(value * d / 100):,} / {d:,}",
                lamp=lamp,
                low=None if value is None else value - half,
                high=None if value is None else min(100.0, value + half),
                address=(("scope", code),),
            )
        )
    return Ranking(
        title="各乡镇按期结案率" if zh else "On-time closing rate by township",
        bars=tuple(bars),
        axis=Axis(70.0, 100.0, tuple((float(v), str(v)) for v in (70, 75, 80, 85, 90, 95, 100)), "%"),
        target=(90.0, "目标 90 %" if zh else "Target 90 %"),
        sentence="白牙市镇最高（96.4 %），川岩乡最低（76.4 %）。"
        if zh
        else "Baiyashi is highest (96.4 %), Chuanyan lowest (76.4 %).",
        note="细线为95 %置信区间；区间重叠者不分先后。"
        if zh
        else "Thin lines: 95 % interval. Places whose intervals overlap share a rank.",
    )


def _map(lang: Lang) -> Map:
    zh = lang == "zh"
    rng = random.Random(11)
    wide, tall, cell = 20, 15, 100.0
    point = {
        (x, y): (x * cell + rng.uniform(-28, 28), y * cell + rng.uniform(-28, 28))
        for x in range(wide + 1)
        for y in range(tall + 1)
    }
    shapes = []
    for y in range(tall):
        for x in range(wide):
            heat = 60 * math.exp(-((x - 5) ** 2 + (y - 10) ** 2) / 9) + 75 * math.exp(
                -((x - 13) ** 2 + (y - 4) ** 2) / 5
            )
            level = min(4, int((heat + rng.uniform(0, 9)) // 15))
            township = (y // 5) * 5 + x // 4
            code = f"{TOWNSHIPS[township][0]}{y:03d}{x:03d}"
            hot = {(13, 4): "1", (12, 4): "2", (5, 10): "3"}.get((x, y), "")
            ring = (point[x, y], point[x + 1, y], point[x + 1, y + 1], point[x, y + 1], point[x, y])
            shapes.append(
                Shape(
                    code=code,
                    label=f"第{y * wide + x + 1}网格" if zh else f"Grid {y * wide + x + 1}",
                    rings=(ring,),
                    level=None if (x, y) in {(0, 0), (19, 14), (18, 14)} else level,
                    text=f"{heat:.1f}",
                    ring=hot,
                    address=(("scope", code),),
                )
            )
    outlines = []
    for index, (code, name_zh, name_en) in enumerate(TOWNSHIPS):
        x0, y0 = index % 5 * 4, index // 5 * 5
        edge = [(x, y0) for x in range(x0, x0 + 5)]
        edge += [(x0 + 4, y) for y in range(y0 + 1, y0 + 6)]
        edge += [(x, y0 + 5) for x in range(x0 + 3, x0 - 1, -1)]
        edge += [(x0, y) for y in range(y0 + 4, y0 - 1, -1)]
        outlines.append(
            Shape(
                code=code,
                label=name_zh if zh else name_en,
                rings=(tuple(point[p] for p in edge),),
                level=None,
                text="",
            )
        )
    return Map(
        title="网格事件密度示意图" if zh else "Cases per 100 households by grid (schematic)",
        shapes=tuple(shapes),
        classes=("<15", "15–30", "30–45", "45–60", "≥60"),
        outlines=tuple(outlines),
        legend="件/百户" if zh else "cases per 100 households",
        sentence="3个网格显著偏高，集中在西北与东南。"
        if zh
        else "Three grids stand out, in the north-west and the south-east.",
        note="示意图，不代表实际界线。" if zh else "Schematic: cells are not boundaries.",
    )


def _table(lang: Lang) -> Table:
    zh = lang == "zh"
    rng = random.Random(3)
    lamps: tuple[Lamp, ...] = ("good", "near", "off", "good", "neutral", "none")
    kinds = (
        ("惠民政策咨询", "Benefit query"),
        ("邻里纠纷", "Neighbour dispute"),
        ("道路设施", "Road facility"),
        ("环境卫生", "Sanitation"),
    )
    rows = []
    for i in range(60):
        _, name_zh, name_en = TOWNSHIPS[i % 15]
        lamp = lamps[i % len(lamps)]
        place = f"{name_zh}第{i + 1}网格" if zh else f"{name_en}, grid {i + 1}"
        if i == 3:
            place = (
                "白牙市镇老矿区家属院合并片区第十七网格（含新安路北段沿街商铺及临时安置点）"
                if zh
                else "Baiyashi Town, Grid 17 of the merged miners' housing area with the shops along Xin'an Road North"
            )
        rows.append(
            Row(
                cells=(
                    str(i + 1),
                    place,
                    kinds[i % 4][0 if zh else 1],
                    str(rng.randint(12, 240)),
                    f"{rng.uniform(71, 99):.1f}",
                    f"{rng.uniform(9, 96):.1f}",
                    STATUS[lamp][0 if zh else 1],
                ),
                lamp=lamp,
                address=(("scope", TOWNSHIPS[i % 15][0]),),
            )
        )
    return Table(
        title="重点网格" if zh else "Grids to watch",
        columns=(
            Column("序" if zh else "No.", "right", 0.5),
            Column("网格" if zh else "Grid", "left", 3.0),
            Column("主要类型" if zh else "Main class", "left", 1.6),
            Column("件数" if zh else "Cases", "right", 0.8),
            Column("结案率 %" if zh else "Closed %", "right", 1.0),
            Column("用时（小时）" if zh else "Hours", "right", 1.0),
            Column("状态" if zh else "State", "left", 1.2),
        ),
        rows=tuple(rows),
        total=1326,
        sentence="按超期件数排列。" if zh else "Ordered by overdue cases.",
        note="用时为中位数。" if zh else "Hours are medians.",
    )


def _records(lang: Lang) -> Table:
    zh = lang == "zh"
    return Table(
        title="超期未结事件明细" if zh else "Overdue cases, one by one",
        columns=(Column("编号" if zh else "Number"), Column("登记时间" if zh else "Reported")),
        rows=tuple(Row((f"RECORD-{i:04d}", f"2023-11-{i + 1:02d} 09:00")) for i in range(20)),
        total=137,
        printed=False,
    )


def _feed(lang: Lang) -> Feed:
    zh = lang == "zh"
    texts = (
        (
            "道路塌陷已围挡，转县交通局",
            "Sunken road fenced off; passed to the county road office",
            "办理中",
            "In hand",
        ),
        ("垃圾清运已完成", "Rubbish cleared", "已办结", "Closed"),
        ("邻里排水纠纷进入镇级调解", "Drainage dispute raised to township mediation", "已督办", "Supervised"),
        ("路灯报修超期", "Street-light repair overdue", "超期", "Overdue"),
    )
    lamps: tuple[Lamp, ...] = ("near", "good", "neutral", "off")
    return Feed(
        title="最新动态" if zh else "Latest matters",
        items=tuple(
            FeedItem(
                time=f"12-26 {17 - i:02d}:{(i * 17) % 60:02d}",
                place=TOWNSHIPS[i][1 if zh else 2],
                text=texts[i % 4][0 if zh else 1],
                state=texts[i % 4][2 if zh else 3],
                lamp=lamps[i % 4],
            )
            for i in range(8)
        ),
        note="只列事项，不涉及个人。" if zh else "Matters only; nothing personal.",
    )


def _definitions(lang: Lang) -> Note:
    zh = lang == "zh"
    return Note(
        title="指标口径" if zh else "Definitions",
        items=(
            (
                "结案率" if zh else "Closing rate",
                "统计期内已结案 ÷ 应结案。应结案指已立案、有办结时限、未作废且未缓办的事件，每件计一次。"
                if zh
                else "Closed by the cut-off ÷ due to close. Due to close: filed, with a time limit, "
                "neither cancelled nor suspended; each case once.",
            ),
            (
                "按期结案率" if zh else "On-time closing rate",
                "时限内结案 ÷ 应结案。" if zh else "Closed within the limit ÷ due to close.",
            ),
            (
                "初次信访事项一次性化解率" if zh else "One-time resolution of first petitions",
                "办结满90天且登记以来未重复的初次信访 ÷ 办结满90天的初次信访。"
                if zh
                else "First petitions closed at least 90 days ago without a repeat ÷ all first petitions "
                "closed at least 90 days ago.",
            ),
            (
                "月例会议定事项办结率" if zh else "Agreed items done",
                "已办结议定事项 ÷ 议定事项。" if zh else "Items done ÷ items agreed.",
            ),
        ),
    )


def _warning(lang: Lang) -> Note:
    zh = lang == "zh"
    return Note(
        title="数据提示" if zh else "About the data",
        text="信访件来源已36小时未更新，相关指标截至12月25日06:00。"
        if zh
        else "The petitions source has not been updated for 36 hours; its figures stand as of 25 December, 06:00.",
        tone="warning",
    )
