"""What a person does, in a real browser against a real loader and a real server."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from dashboard.pages import PAGES
from nerve.server import command, environment
from warehouse.site import Site, load_site
from warehouse.version import current

pytestmark = pytest.mark.xdist_group("browser")

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS / 2)


@dataclass(frozen=True)
class Live:
    """A running site: its folder and the address of its app."""

    site: Site
    url: str


@pytest.fixture(scope="module")
def live(small_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A copy of the small site with its own loader and server; both end with the module."""
    folder = tmp_path_factory.mktemp("live") / "site"
    shutil.copytree(small_site.folder, folder)
    site = load_site(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    loader = subprocess.Popen([sys.executable, "-m", "nerve.cli", "run", "--site", str(folder)])
    server = subprocess.Popen(command(port), env=environment(site))
    url = f"http://127.0.0.1:{port}"
    try:
        _until_answers(url, server)
        yield Live(site, url)
    finally:
        for process in (loader, server):
            process.terminate()
        for process in (loader, server):
            process.wait(timeout=20)


def _until_answers(url: str, server: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 60
    pause = threading.Event()
    while time.monotonic() < limit:
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pause.wait(0.1)
    raise AssertionError("the server did not answer within 60 s")


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1366, "height": 768}, accept_downloads=True)
    page.set_default_timeout(WAIT_MS)
    page.on("pageerror", lambda error: pytest.fail(f"script error on the page: {error}"))
    yield page
    page.close()


def scope_in(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query)["scope"][0]


def deeper(page: Page) -> str:
    """Click the first ranked place; its code, once the page is about it."""
    first = page.locator("a.n-bar-row").first
    name, before = first.locator(".n-name").inner_text(), scope_in(page)
    first.click()
    page.wait_for_function("code => new URL(location).searchParams.get('scope') !== code", arg=before)
    expect(page.locator("h1")).to_contain_text(name)
    settled(page)
    return scope_in(page)


def settled(page: Page) -> None:
    """Wait until the whole page shows the new view: its head is drawn a moment before its body."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def test_an_official_walks_from_the_county_to_one_record_and_back(live: Live, page: Page) -> None:
    page.goto(f"{live.url}/overview?lang=zh&from=2026-01-01&to=2026-06-30")
    expect(page.locator("h1")).to_contain_text("东安县")
    expect(page.get_by_text("数据为演示合成数据").first).to_be_visible()

    settled(page)
    township = deeper(page)
    assert township.startswith("431122")
    village = deeper(page)
    assert village.startswith(township)
    grid = deeper(page)
    assert grid.startswith(village)

    page.locator("tr.n-linked a").first.click()
    page.wait_for_function("new URL(location).searchParams.has('record')")
    number = parse_qs(urlsplit(page.url).query)["record"][0]
    expect(page.locator("h2", has_text=number)).to_be_visible()
    expect(page.locator("h2", has_text="办理过程")).to_be_visible()

    page.go_back()
    expect(page.locator("h2", has_text="最近事件")).to_be_visible()
    assert scope_in(page) == grid
    page.get_by_role("link", name="东安县", exact=True).first.click()
    page.wait_for_function("new URL(location).searchParams.get('scope') === '431122'")


def test_the_address_reproduces_the_view_and_the_language_switches(live: Live, page: Page) -> None:
    page.goto(f"{live.url}/petitions?scope=431122100&from=2025-07-01&to=2025-12-31&compare=year&lang=zh")
    figure = page.locator(".n-figure").first
    expect(figure).to_be_visible()
    shown = page.locator(".n-figure").all_inner_texts()

    page.get_by_text("English", exact=True).click()
    expect(page.get_by_text("Synthetic demo data").first).to_be_visible()
    expect(page.locator("h1")).to_contain_text("Baiyashi Town")
    assert page.locator(".n-figure").all_inner_texts() == shown

    address = page.url
    query = {key: value[0] for key, value in parse_qs(urlsplit(address).query).items()}
    assert query == {
        "scope": "431122100", "from": "2025-07-01", "to": "2025-12-31", "compare": "year", "lang": "en",
    }  # fmt: skip
    page.reload()
    expect(page.locator("h1")).to_contain_text("Baiyashi Town")
    assert page.url == address
    assert page.locator(".n-figure").all_inner_texts() == shown


def test_the_exported_pdf_says_what_the_screen_says(live: Live, page: Page, tmp_path: Path) -> None:
    page.goto(f"{live.url}/overview?scope=431122100&from=2026-01-01&to=2026-03-31&lang=en")
    expect(page.locator(".n-figure").first).to_be_visible()
    figures = [text for text in page.locator(".n-figure").all_inner_texts() if text.strip() not in ("–", "")]
    with page.expect_download() as found:
        page.get_by_role("button", name="Export PDF").click()
    path = tmp_path / "brief.pdf"
    found.value.save_as(path)
    text = "\n".join(p.extract_text() for p in PdfReader(path).pages)
    assert "Baiyashi Town" in text
    assert "Synthetic demo data" in text.replace("\n", " ")
    for figure in figures:
        assert figure in text, figure


def test_the_exported_workbook_holds_what_the_screen_says(live: Live, page: Page, tmp_path: Path) -> None:
    page.goto(f"{live.url}/overview?scope=431122100&from=2026-01-01&to=2026-03-31&lang=en")
    expect(page.locator(".n-figure").first).to_be_visible()
    figures = [text.replace(",", "") for text in page.locator(".n-figure").all_inner_texts()]
    with page.expect_download() as found:
        page.get_by_role("button", name="Export sheet").click()
    path = tmp_path / "page.xlsx"
    found.value.save_as(path)
    rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_name("Figures").to_python()
    written = [f"{row[2]:.10g}" if isinstance(row[2], float) else str(row[2]) for row in rows[1:]]
    assert [_same(text) for text in written] == [_same(text) for text in figures]


def _same(text: str) -> str:
    """A figure without its unit or trailing zeros: "90.0 %" and "90" alike."""
    number = re.match(r"-?\d+(\.\d+)?", text)
    return f"{float(number[0]):g}" if number else text


def test_the_wall_takes_in_a_record_dropped_in_the_inbox(live: Live, page: Page) -> None:
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto(f"{live.url}/wall?lang=zh")
    expect(page.get_by_text("实时事件")).to_be_visible()
    expect(page.get_by_text("23:58:07")).to_have_count(0)
    drop(live.site, "WALL-0001", "2026/6/30 23:58:07")
    expect(page.get_by_text("23:58:07").first).to_be_visible(timeout=20_000)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "the wall scrolls"


def test_what_is_no_table_is_refused_and_the_wall_goes_on(live: Live, page: Page) -> None:
    (live.site.inbox / ".junk.part").write_bytes(b"\x00\x01 this is no table \xff")
    (live.site.inbox / ".junk.part").replace(live.site.inbox / "事件_坏.csv")
    drop(live.site, "WALL-0002", "2026/6/30 23:58:33")
    page.goto(f"{live.url}/wall?lang=zh")
    expect(page.get_by_text("23:58:33").first).to_be_visible(timeout=20_000)
    page.goto(f"{live.url}/data?lang=zh")
    expect(page.get_by_text("事件_坏.csv").first).to_be_visible()


def test_what_a_meeting_decides_is_written_down_loaded_and_counted(live: Live, page: Page) -> None:
    page.goto(f"{live.url}/agenda?lang=zh&scope=431122100&from=2026-06-01&to=2026-06-30")
    form = page.locator(".st-key-minutes")
    send = form.get_by_role("button", name="提交").first
    title = form.get_by_label("议定事项").first
    title.fill("修缮𠮷祥路 😀")
    send.click()
    expect(form.get_by_text("请填写责任单位。")).to_be_visible()
    expect(title).to_have_value("修缮𠮷祥路 😀")
    owner = form.get_by_role("combobox", name="责任单位").first
    owner.click()
    owner.fill("县交通运输局")
    owner.press("Enter")
    for label, day in (("会议日期", "2026-06-10"), ("完成时限", "2026-07-31")):
        field = form.get_by_test_id("stDateInput").filter(has_text=label).first.locator("input")
        field.fill(day)
        field.press("Tab")
    before = completion(live)
    send.dblclick()
    expect(form.get_by_text("已登记，编号")).to_be_visible()
    expect(title).to_have_value("")
    row = page.locator("tr", has_text="修缮𠮷祥路")
    expect(row.last).to_be_visible()
    expect(page.get_by_text("待入库")).to_have_count(0)
    expect(
        page.locator(".n-card", has_text="上次议定事项的落实情况").locator("tr", has_text="修缮")
    ).to_be_visible()
    assert completion(live) == (before[0], before[1] + 1), "one item, though sent twice"

    form.get_by_role("combobox", name="事项").last.click()
    page.get_by_role("option").first.click()
    form.get_by_role("button", name="提交").last.click()
    expect(form.get_by_text("已更新，编号")).to_be_visible()
    expect(row.last).to_contain_text("已办结")
    expect(page.get_by_text("待入库")).to_have_count(0)
    assert completion(live) == (before[0] + 1, before[1] + 1)
    page.goto(f"{live.url}/meetings?lang=zh&scope=431122100&from=2026-06-01&to=2026-06-30")
    shown = page.locator("[data-measure=meeting_item_completion] .n-counts")
    expect(shown).to_have_text(f"{before[0] + 1} / {before[1] + 1}")


def completion(live: Live) -> tuple[int, int]:
    """Items done and agreed in June at the place of the test above, as `nerve value` gives them."""
    done = subprocess.run(
        [sys.executable, "-m", "nerve.cli", "value", "meeting_item_completion", "--site", str(live.site.folder),
         "--scope", "431122100", "--from", "2026-06-01", "--to", "2026-06-30", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (row,) = json.loads(done.stdout)
    return int(row["numerator"]), int(row["denominator"])


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768)])
def test_no_page_is_wider_than_the_screen(live: Live, page: Page, lang: str, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for name in (one.name for one in PAGES if not one.wall):
        page.goto(f"{live.url}/{name}?lang={lang}")
        expect(page.locator(".n-card").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, lang, size)
    menu = page.locator(".n-bar-top nav")
    expect(menu.get_by_role("link")).to_have_count(sum(one.menu for one in PAGES))
    assert menu.evaluate("nav => nav.scrollWidth <= nav.clientWidth"), "a page of the menu is out of sight"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("scope=999999&lang=en", "999999"),
        ("from=2026-03-01&to=2026-01-01&lang=en", "before it starts"),
        ("from=yesterday&lang=en", "yesterday"),
        ("compare=<script>&lang=en", "unknown comparison"),
    ],
)
def test_a_wrong_address_is_a_calm_note_and_no_stack_trace(
    live: Live, page: Page, query: str, said: str
) -> None:
    page.goto(f"{live.url}/overview?{query}")
    expect(page.get_by_text(said).first).to_be_visible()
    expect(page.get_by_text("Traceback")).to_have_count(0)


def test_a_page_says_that_an_older_version_stands_in_for_a_damaged_one(live: Live, page: Page) -> None:
    known = current(live.site).id
    pointer = live.site.warehouse / "CURRENT"
    pointer.write_text("v999999\n", encoding="utf-8")
    try:
        page.goto(f"{live.url}/overview?lang=en")
        expect(page.locator(".n-notice").last).to_contain_text(f"damaged; this is {known}")
    finally:
        pointer.write_text(f"{known}\n", encoding="utf-8")
    page.goto(f"{live.url}/overview?lang=zh")
    expect(page.locator("h1")).to_be_visible()
    expect(page.get_by_text("受损")).to_have_count(0)


def drop(site: Site, number: str, reported: str) -> None:
    """One case as the office sends it, written aside and renamed into the inbox."""
    heading = "工单编号,所属网格编码,事项大类,办件来源,办件状态,上报时间,更新时间"
    grid = next(iter(_grids(site)))
    row = f"{number},{grid},公共安全,网格员,已上报,{reported},{reported}"
    aside = site.inbox / f".{number}.part"
    aside.write_bytes(f"{heading}\r\n{row}\r\n".encode("gb18030"))
    aside.replace(site.inbox / f"事件_{number}.csv")


def _grids(site: Site) -> list[str]:
    return [
        str(code) for (code,) in current(site).rows("select code from places where level = 'grid' order by 1")
    ]
