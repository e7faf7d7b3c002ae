"""The sample sheet through the screens' own renderers, for tests and for looking at: `?wall=1` shows it as a wall."""

from __future__ import annotations

import dataclasses
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
    Feed,
    FeedItem,
    Map,
    Ranking,
    Series,
    Sheet,
    Table,
    Tiles,
    Trend,
)
from dashboard.scene import Place, Plan, Scene  # noqa: E402
from dashboard.web.draw import Pen, page  # noqa: E402
from dashboard.web.markup import join  # noqa: E402
from dashboard.web.pane import href, pane, style  # noqa: E402
from dashboard.web.routes import routes  # noqa: E402
from dashboard.web.screen import Link, bar, heading  # noqa: E402
from dashboard.web.wall import Clock, Frame, Origin, wall, wall_data, wall_style  # noqa: E402
from tests.sheets import sample_sheet  # noqa: E402
from warehouse.text import Lang, Text  # noqa: E402

NOON = datetime(2026, 11, 21, 15, 4, 0)


def wall_sheet(lang: Lang, beat: int) -> Sheet:
    """The blocks of a wall's overview made of the sample's; figures move with `beat`."""
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
        ),
    )


SCENES = (
    Scene(
        "first",
        Text(zh="总览", en="Overview"),
        lambda view: (),
        tuple(Place(area, ("cases",)) for area in ("league", "hours", "map", "alerts", "latest")),
        Plan(("league map alerts", "hours map latest"), (24, 50, 26), (57, 43)),
        Plan(("league hours map alerts latest",), (17, 17, 32, 16, 18), (1,)),
    ),
    Scene(
        "second",
        Text(zh="信访", en="Petitions"),
        lambda view: (),
        (Place("league", ("petitions",)), Place("trend", ("petitions",)), Place("named")),
        Plan(("league trend", "league named"), (40, 60), (50, 50)),
        Plan(("league trend named",), (33, 33, 34), (1,)),
    ),
)


def second_sheet(lang: Lang) -> Sheet:
    """Tiles, a ranking, a trend and the table of the sample."""
    sheet = sample_sheet(lang)
    of = {type(block): block for block in reversed(sheet.blocks)}
    table = cast(Table, of[Table])
    return dataclasses.replace(
        sheet,
        blocks=(
            dataclasses.replace(cast(Tiles, of[Tiles]), tiles=cast(Tiles, of[Tiles]).tiles[:6]),
            of[Ranking],
            of[Trend],
            dataclasses.replace(table, rows=table.rows[:12]),
        ),
    )


def frame(lang: Lang, every: int) -> Frame:
    zh = lang == "zh"
    return Frame(
        "东安县治理指挥中心" if zh else "Dong'an County · Governance Command Center",
        "",
        lang,
        every,
        tuple(
            Origin(dataset, name, NOON - age if age else None, hours, True)
            for dataset, name, age, hours in (
                ("cases", "网格事件" if zh else "Grid cases", timedelta(seconds=8), 1.0),
                ("petitions", "信访事项" if zh else "Petitions", timedelta(hours=30), 24.0),
                ("visits", "入户走访" if zh else "Visits", timedelta(hours=3), 24.0),
                ("responses", "应急处置" if zh else "Responses", None, 24.0),
            )
        ),
        sample_sheet(lang).notices,
    )


def script() -> None:
    asked = st.query_params.get("lang", "zh")
    lang: Lang = "en" if asked == "en" else "zh"
    zh = lang == "zh"
    st.set_page_config(page_title="sample", layout="wide")
    if "wall" in st.query_params:
        st.html(wall_style())

        @st.fragment(run_every=float(st.query_params.get("beat", "1")))
        def beat() -> None:
            number = st.session_state["beat"] = st.session_state.get("beat", 0) + 1
            sheets = (wall_sheet(lang, number), second_sheet(lang))
            now = NOON.replace(hour=int(st.query_params.get("hour", NOON.hour))) + timedelta(seconds=number)
            wall(
                wall_data(
                    frame(lang, int(st.query_params.get("every", "3600"))),
                    list(zip(SCENES, sheets, strict=True)),
                    lambda measure: ("petitions",) if measure == "one_time_resolution_rate" else ("cases",),
                    Clock(now, False),
                    time.time(),
                )
            )

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
