"""The sample sheet through the screens' own renderers, for tests and for looking at: NERVE_SAMPLE=wall|explore."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import streamlit as st

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from dashboard.blocks import (  # noqa: E402
    Axis,
    Column,
    Feed,
    FeedItem,
    Map,
    Ranking,
    Row,
    Series,
    Sheet,
    Table,
    Tiles,
    Trend,
)
from dashboard.web.draw import Pen, page  # noqa: E402
from dashboard.web.markup import join  # noqa: E402
from dashboard.web.pane import href, pane, style  # noqa: E402
from dashboard.web.routes import routes  # noqa: E402
from dashboard.web.screen import Link, bar, heading  # noqa: E402
from dashboard.web.wall import Clock, wall, wall_data, wall_style  # noqa: E402
from tests.sheets import sample_sheet  # noqa: E402
from warehouse.text import Lang  # noqa: E402

NOON = datetime(2026, 11, 21, 15, 4, 0)


def wall_sheet(lang: Lang, beat: int) -> Sheet:
    """The seven blocks of a wall made of the sample's; figures move with `beat`."""
    zh = lang == "zh"
    sheet = sample_sheet(lang)
    of = {type(block): block for block in reversed(sheet.blocks)}
    tiles = cast(Tiles, of[Tiles])
    eight = tuple(
        dataclasses.replace(
            tile,
            value=f"{52434 + beat * 7:,}" if tile.measure == "cases_reported" else tile.value,
            note="本年" if zh else "this year",
        )
        for tile in tiles.tiles[:8]
    )
    today = [float((i * 37) % 60 + 40) if i <= 15 else None for i in range(24)]
    yesterday = [float((i * 23) % 50 + 35) for i in range(24)]
    feed = cast(Feed, of[Feed])
    moved = FeedItem(
        f"15:{beat % 60:02d}", feed.items[beat % 8].place, feed.items[0].text, "新" if zh else "New"
    )
    alerts = Feed(
        "预警" if zh else "Alerts",
        (
            FeedItem("", "", "信访数据超过应有时效" if zh else "Petitions: data older than allowed", "数据" if zh else "data", "off"),
            FeedItem("", "白牙市镇 网格 012" if zh else "Baiyashi, grid 012", "事件数新升,为均值 3.1 倍" if zh else "rising, 3.1× the average", "热点" if zh else "hotspot", "off"),
            FeedItem("14:47", "井头圩镇" if zh else "Jingtouxu", "超期未结 22 件" if zh else "22 overdue cases", "督办" if zh else "follow up", "near"),
        ),
        note="3 条" if zh else "3 open",
    )  # fmt: skip
    sources = Table(
        "数据时效" if zh else "Data freshness",
        (Column("来源"), Column("最近入库"), Column("时限")),
        tuple(
            Row((name, (NOON - age).isoformat(timespec="seconds") if age else "", hours))
            for name, age, hours in (
                ("网格事件" if zh else "Grid cases", timedelta(seconds=8), "1"),
                ("12345 热线" if zh else "Hotline", timedelta(minutes=4), "1"),
                ("信访" if zh else "Petitions", timedelta(hours=30), "24"),
                ("入户走访" if zh else "Visits", timedelta(hours=3), "24"),
                ("巡逻" if zh else "Patrols", timedelta(minutes=40), "24"),
                ("应急处置" if zh else "Responses", None, "24"),
            )
        ),
    )
    return dataclasses.replace(
        sheet,
        blocks=(
            dataclasses.replace(tiles, tiles=eight),
            cast(Ranking, of[Ranking]),
            Trend(
                "今日逐时上报" if zh else "Cases by the hour",
                tuple(f"{i:02d}" for i in range(24)),
                (
                    Series("今日" if zh else "today", tuple(today), ("",) * 24),
                    Series("昨日" if zh else "yesterday", tuple(yesterday), ("",) * 24, "dashed"),
                ),
                Axis(0, 120, ((0, "0"), (40, "40"), (80, "80"), (120, "120"))),
                note="件/小时" if zh else "per hour",
            ),
            cast(Map, of[Map]),
            alerts,
            dataclasses.replace(feed, items=(moved, *feed.items)),
            sources,
        ),
    )


def script() -> None:
    asked = st.query_params.get("lang", "zh")
    lang: Lang = "en" if asked == "en" else "zh"
    zh = lang == "zh"
    st.set_page_config(page_title="sample", layout="wide")
    if os.environ.get("NERVE_SAMPLE") == "wall" or "wall" in st.query_params:
        st.html(wall_style())

        @st.fragment(run_every=1)
        def beat() -> None:
            number = st.session_state["beat"] = st.session_state.get("beat", 0) + 1
            title = "东安县治理指挥中心" if zh else "Dong'an County · Governance Command Center"
            now = NOON + timedelta(seconds=number)
            wall(wall_data(wall_sheet(lang, number), title, lang, Clock(now, False), time.time()))

        beat()
        return
    st.html(style())
    sheet = sample_sheet(lang)
    clicked = st.session_state.setdefault("clicked", [])
    names = (
        ("大屏", "总览", "信访", "月例会", "热点", "数据")
        if zh
        else ("Wall", "Overview", "Petitions", "Meetings", "Hotspots", "Data")
    )
    head = join(
        bar(
            "东安县治理指挥中心" if zh else "Dong'an County · Governance Command Center",
            [Link(name, href("", {"lang": lang, "p": name}), i == 1) for i, name in enumerate(names)],
            Link("English" if zh else "中文", href("", {"lang": "en" if zh else "zh"})),
            lang,
        ),
        heading(sheet, [Link("湖南省" if zh else "Hunan", href("", {"lang": lang, "scope": "43"}))], lang),
    )

    def going(name: str, params: dict[str, str]) -> None:
        clicked.append((name, params))
        st.query_params.from_dict(params)

    pane(head, "head", going, lang)
    pane(page(sheet.blocks, Pen(lang, lambda a: href("", {"lang": lang, **dict(a)}))), "body", going, lang)


app = st.App(__file__, routes=routes())
if st.runtime.exists():
    script()
