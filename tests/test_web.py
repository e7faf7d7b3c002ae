"""The screens: blocks as markup, the wall's data, and both in a real browser."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.blocks import (
    Block,
    Feed,
    Gap,
    Map,
    Note,
    Option,
    Pick,
    Ranking,
    Shape,
    Sheet,
    Table,
    Tile,
    Tiles,
    Trend,
)
from dashboard.web.draw import DRAWERS, Pen, draw, page, spans
from dashboard.web.markup import Markup, join, tag
from dashboard.web.routes import ASSETS
from dashboard.web.schematic import layout, text_width
from dashboard.web.screen import Link, bar, calm, heading, mistaken
from dashboard.web.words import WORDS
from tests.sheets import sample_sheet
from warehouse.mistake import Mistake
from warehouse.text import LANGS, Lang

ROOT = Path(__file__).parent.parent
HOSTILE = "<img src=x onerror=alert(1)>\"'&"
NOON = datetime(2026, 11, 21, 12, 0)
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def pen(lang: Lang = "zh") -> Pen:
    return Pen(lang, lambda address: "?" + "&".join(f"{key}={text}" for key, text in address))


# ---- markup


def test_a_tag_escapes_its_texts_and_attributes_and_keeps_markup() -> None:
    made = tag("a", HOSTILE, tag("b", "x"), href='"><script>', hidden=True, title=None)
    assert made == (
        '<a href="&quot;&gt;&lt;script&gt;" hidden>&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;<b>x</b></a>'
    )
    assert join("<", Markup("<i></i>")) == "&lt;<i></i>"


def test_every_kind_of_block_has_a_drawer() -> None:
    assert set(DRAWERS) == set(get_args(Block))


@pytest.mark.parametrize("lang", LANGS)
def test_the_sample_sheet_is_drawn_in_its_language(lang: Lang) -> None:
    sheet = sample_sheet(lang)
    html = page(sheet.blocks, pen(lang))
    for block in sheet.blocks:
        assert block.title.replace("'", "&#x27;") in html
    assert "NaN" not in html and "None" not in html


@pytest.mark.parametrize("block", sample_sheet("zh").blocks, ids=lambda block: f"{block.kind}-{block.title}")
def test_every_text_of_a_block_is_escaped(block: Block) -> None:
    html = draw(hostile(block), pen())
    assert "&lt;img" in html
    assert "<img" not in html and 'onerror=alert(1)>"' not in html


def test_the_frame_and_the_notes_escape_what_they_are_given() -> None:
    sheet: Sheet = dataclasses.replace(sample_sheet("zh"), place=HOSTILE, notices=(HOSTILE,), title=HOSTILE)
    link = Link(HOSTILE, HOSTILE)
    for made in (
        bar(HOSTILE, [link], link, "zh"),
        heading(sheet, [link], "zh"),
        calm("mistake", "", HOSTILE, HOSTILE),
        mistaken(Mistake(HOSTILE, HOSTILE, HOSTILE)),
    ):
        assert "<img" not in made


def test_a_tile_says_its_lamp_by_shape_and_word_and_shows_its_passport() -> None:
    tile = Tile(
        "closing_rate", "结案率", "91.1", "%", "near", status="接近", counts="3,930 / 4,316",
        passport=(("分子", "已结案"), ("分母", "应结案")),
    )  # fmt: skip
    html = draw(Tiles("", (tile,)), pen())
    assert 'class="n-lamp n-near"' in html and ">接近<" in html and "3,930 / 4,316" in html
    assert "<dt>分子</dt><dd>已结案</dd>" in html


def test_a_missing_value_is_a_gap_in_a_trend_and_an_empty_bar_in_a_ranking() -> None:
    trend = next(block for block in sample_sheet("zh").blocks if isinstance(block, Trend))
    html = draw(trend, pen())
    # The second line has one gap: it starts twice.
    second = html.split('class="n-line n-line n-s1"')[0].rsplit('d="', 1)[1]
    assert second.count("M") == 2
    ranking = next(block for block in sample_sheet("zh").blocks if isinstance(block, Ranking))
    row = draw(ranking, pen()).split("水岭乡")[-1]
    assert "n-fill" not in row and "无数据" in row


def test_rows_of_a_page_are_filled() -> None:
    blocks = sample_sheet("zh").blocks
    widths = spans(blocks)
    at = 0
    for width in widths:
        at += width
        assert at <= 12
        at %= 12
    assert at == 0
    assert spans((Note("a"),)) == [12]


def test_every_word_of_the_chrome_is_there_in_both_languages() -> None:
    assert all(text.zh.strip() and text.en.strip() for text in WORDS.values())


# ---- the map


def test_a_map_fits_its_box_with_north_up_and_labels_apart() -> None:
    block = next(block for block in sample_sheet("en").blocks if isinstance(block, Map))
    plan = layout(block, 640, 400, 13)
    assert plan.width <= 640.01 and plan.height <= 400.01
    assert len(plan.cells) == len(block.shapes) and len(plan.marks) == 3
    boxes = [
        (x.x - text_width(x.text, 13) / 2, x.y - 6, x.x + text_width(x.text, 13) / 2, x.y + 6)
        for x in plan.labels
    ]
    assert not any(
        a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        for i, a in enumerate(boxes)
        for b in boxes[i + 1 :]
    )
    square = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    north = Shape("n", "", (tuple((x, y + 10) for x, y in square),), 0, "", ring="1")
    south = Shape("s", "", (square,), 0, "", ring="2")
    upper, lower = layout(Map("", (north, south), ("a",)), 100, 200, 10).marks
    assert upper.y < lower.y


def test_a_cell_without_a_figure_shows_why_by_a_pattern_of_its_own() -> None:
    square = (((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)),)
    shapes = [Shape("z", "zero", square, 0, "0")]
    shapes += [Shape(gap, gap, square, None, "", gap=gap) for gap in get_args(Gap)]
    block = Map("", tuple(shapes), ("< 5", "≥ 5"), gaps=tuple((gap, f"why {gap}") for gap in get_args(Gap)))
    drawn = draw(block, pen())
    for gap in get_args(Gap):
        assert f'fill="url(#n-{gap})"' in drawn and f"why {gap}" in drawn
    assert len({drawn.split(f'id="n-{gap}"')[1].split("</pattern>")[0] for gap in get_args(Gap)}) == 4
    assert drawn.count("url(#") == 4, "zero is a figure"


def test_what_one_may_choose_of_a_map_are_links_and_the_chosen_one_is_marked() -> None:
    pick = Pick("Layer", (Option("Rate", (("layer", "rate"),)), Option("Count", (("layer", "count"),), True)))
    drawn = draw(Map("", (), (), picks=(pick,)), pen())
    assert drawn.count("n-go") == 2 and drawn.count("aria-current") == 1
    assert drawn.index("aria-current") > drawn.index("Rate")


# ---- the wall's data


def test_fonts_are_all_there_and_nothing_is_asked_of_the_net() -> None:
    css = (ASSETS / "fonts.css").read_text(encoding="utf-8")
    named = {part.split('"')[0] for part in css.split('url("')[1:]}
    assert named == {f"fonts/{path.name}" for path in (ASSETS / "fonts").glob("*.woff2")}
    assert sum(path.stat().st_size for path in (ASSETS / "fonts").iterdir()) < 12_000_000
    for path in ASSETS.iterdir():
        if path.suffix in (".js", ".css"):
            assert "//cdn" not in (text := path.read_text(encoding="utf-8")) and "https:" not in text


# ---- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for path in CHROMIUM if Path(path).exists()), None)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield running
        running.close()


@pytest.fixture(scope="module")
def sample() -> Iterator[str]:
    with served("tests/web_sample_app.py") as address:
        yield address


@contextmanager
def served(script: str, **environment: str) -> Iterator[str]:
    """A server of its own for the script, up when its health says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        # It prints its address when it listens.
        for line in process.stdout:
            if b"http://" in line:
                break
        address = f"http://127.0.0.1:{port}"
        assert urlopen(f"{address}/_stcore/health").status == 200
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def opened(browser: Browser, address: str, wait: str, wide: int = 1366, tall: int = 768) -> Page:
    seen = browser.new_page(viewport={"width": wide, "height": tall})
    seen.goto(address)
    seen.wait_for_selector(wait)
    return seen


def test_the_sample_is_shown_in_both_languages_and_asks_nothing_of_the_net(
    browser: Browser, sample: str
) -> None:
    asked: list[str] = []
    seen = browser.new_page()
    seen.on("request", lambda request: asked.append(request.url))
    for lang in LANGS:
        seen.goto(f"{sample}/?lang={lang}")
        seen.wait_for_selector(".n-map")
        sheet = sample_sheet(lang)
        assert seen.inner_text("h1") == sheet.place
        assert seen.inner_text(".n-notice") == sheet.notices[0]
        shown = seen.inner_text(".n-page")
        assert all(block.title in shown for block in sheet.blocks)
        assert seen.evaluate("document.documentElement.lang") == {"zh": "zh-CN", "en": "en"}[lang]
    assert [url for url in asked if not url.startswith((sample, "data:", "blob:"))] == []
    assert any(url.endswith(".woff2") for url in asked)
    seen.close()


def test_a_click_on_a_bar_changes_the_address_without_loading_the_page_again(
    browser: Browser, sample: str
) -> None:
    seen = opened(browser, f"{sample}/?lang=zh", ".n-bar-row")
    seen.evaluate("window.stayed = true")
    seen.click(".n-bar-row >> nth=2")
    seen.wait_for_url("**scope=431122102**")
    assert seen.evaluate("window.stayed")
    seen.focus(".n-bar-row >> nth=3")
    seen.keyboard.press("Enter")
    seen.wait_for_url("**scope=431122103**")
    seen.go_back()
    seen.wait_for_url("**scope=431122102**")
    seen.close()


def test_a_hint_follows_the_pointer(browser: Browser, sample: str) -> None:
    seen = opened(browser, f"{sample}/?lang=zh", ".n-bar-row")
    seen.hover(".n-bar-row >> nth=0")
    seen.wait_for_selector("#n-tip.n-on")
    assert "2,796 / 2,900" in seen.inner_text("#n-tip")
    seen.close()


def test_without_a_site_the_product_says_so_in_both_languages(browser: Browser, tmp_path: Path) -> None:
    with served("app.py", NERVE_SITE=str(tmp_path / "nowhere")) as address:
        seen = opened(browser, address, ".n-calm")
        shown = seen.inner_text("body")
        assert WORDS["mistake"].zh in shown and WORDS["mistake"].en in shown and "site.toml" in shown
        assert "Traceback" not in shown
        seen.close()


def test_before_the_first_data_both_kinds_of_page_wait(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        'name = {zh = "甲县", en = "A County"}\nhome = "431122"\n', encoding="utf-8"
    )
    with served("app.py", NERVE_SITE=str(tmp_path)) as address:
        seen = opened(browser, f"{address}/overview", ".n-calm")
        shown = seen.inner_text("body")
        assert WORDS["not_yet"].zh in shown and WORDS["not_yet"].en in shown
        seen.close()
        seen = opened(browser, f"{address}/wall", ".waiting")
        assert WORDS["not_yet"].en in seen.inner_text(".waiting")
        seen.close()


# ---- hostile texts


def hostile(value: Any) -> Any:
    """The same block with every free text replaced by one that tries to be markup."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(hostile(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        return dataclasses.replace(
            value,
            **{
                field.name: hostile(getattr(value, field.name))
                for field in dataclasses.fields(value)
                if get_origin(hints[field.name]) is not Literal and field.init
            },
        )
    return value


def test_the_replacement_reaches_every_kind() -> None:
    made = [hostile(block) for block in sample_sheet("zh").blocks]
    assert {type(block) for block in made} == {Tiles, Trend, Ranking, Map, Table, Feed, Note}
    assert all(block.title == HOSTILE for block in made)
