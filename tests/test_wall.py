"""The wall: its scenes as data, and in a real browser how they fit, turn, stay calm and say what is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import dashboard.stage as stage
from dashboard.blocks import Block, Feed, Map, Note, Sheet, Table, Tiles
from dashboard.pages.wall import SCENES
from dashboard.scene import EVERY_SECONDS, Place, Plan, Scene, turn
from dashboard.stage import staged
from dashboard.view import Page as ViewPage
from dashboard.view import View, build, view_of
from dashboard.web.routes import GEOMETRIES
from dashboard.web.routes import SCENES as KEPT
from dashboard.web.wall import Clock, Frame, Origin, _composed, compose, wall_data
from dashboard.web.words import WORDS
from nerve.server import command, environment
from pipelines.run import BEAT_SECONDS
from tests.sheets import sample_sheet
from warehouse.heartbeat import LATE_SECONDS, heartbeat_file, last_beat
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site
from warehouse.text import LANGS, Lang, Text
from warehouse.version import current
from warehouse.viewer import Viewer

pytestmark = pytest.mark.xdist_group("wall")
ROOT = Path(__file__).parent.parent
FITS = (ROOT / "tests" / "fits.js").read_text(encoding="utf-8")
NOON = datetime(2026, 11, 21, 12, 0)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SHADOW = "[...document.querySelectorAll('*')].find((n) => n.shadowRoot?.querySelector('.stage'))?.shadowRoot"
PLAN = Plan(("one two", "one three"), (1, 1), (1, 1))


def view_at(site: Site, lang: Lang = "zh", scope: str = "") -> View:
    return view_of(site, current(site), Viewer(site.home), {"lang": lang, "scope": scope or site.home})


def scene_of(name: str, blocks: Sequence[Block] = (), **more: Any) -> Scene:
    """A scene that shows these blocks, for tests of what carries scenes."""
    return Scene(
        name, Text(zh=name, en=name), lambda view: tuple(blocks),
        (Place("one", ("cases",)), Place("two"), Place("three")), PLAN, PLAN, **more,
    )  # fmt: skip


# ---- scenes as data


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_has_a_name_in_both_languages_and_a_place_for_each_panel_on_both_plans(scene: Scene) -> None:
    assert scene.label.zh.strip() and scene.label.en.strip()
    areas = {place.area for place in scene.places}
    assert len(areas) == len(scene.places)
    for plan in (scene.plan, scene.wide):
        assert {area for row in plan.rows for area in row.split()} == areas
        assert {len(row.split()) for row in plan.rows} == {len(plan.columns)}
        assert len(plan.rows) == len(plan.heights)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("level", ["county", "township", "village", "grid"])
def test_every_scene_is_built_at_every_level_and_holds_no_record(
    small_site: Site, lang: Lang, level: str
) -> None:
    ((scope,),) = current(small_site).rows(
        "select code from places where level = $level order by code limit 1", {"level": level}
    )
    view = view_at(small_site, lang, str(scope))
    bare = []
    for scene in SCENES:
        tiles, *blocks = build(scene.page, view).blocks
        if isinstance(tiles, Note):
            bare.append(scene.name)
            continue
        assert isinstance(tiles, Tiles) and 5 <= len(tiles.tiles) <= 8, scene.name
        assert len(blocks) == len(scene.places), scene.name
        assert all(block.printed for block in blocks if isinstance(block, Table))
        assert not any(tile.passport for tile in tiles.tiles)
    # A village meets; a grid does not.
    assert bare == (["meetings"] if level == "grid" else [])


def test_the_overview_has_a_live_list_by_place_and_kind_and_never_a_case_number(small_site: Site) -> None:
    feed = build(SCENES[0].page, view_at(small_site)).blocks[-1]
    assert isinstance(feed, Feed) and feed.items
    numbers = {str(n) for (n,) in current(small_site).rows("select case_id from cases")}
    said = json.dumps(compose(SCENES[0], build(SCENES[0].page, view_at(small_site)), lambda name: ()))
    assert not [number for number in numbers if number in said]


def test_an_address_says_which_scenes_turn_and_how_fast() -> None:
    assert turn(SCENES, {}) == dataclasses.replace(turn(SCENES, {}), scenes=SCENES, every=EVERY_SECONDS)
    asked = turn(SCENES, {"scenes": "petitions, overview,petitions", "every": "45"})
    assert [scene.name for scene in asked.scenes] == ["petitions", "overview"] and asked.every == 45


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"scenes": "petitons"}, "no such scene 'petitons' (did you mean 'petitions'?)"),
        ({"every": "0"}, "'0' is no number of seconds"),
        ({"every": "½"}, "'½' is no number of seconds"),
        ({"every": "-30"}, "'-30' is no number of seconds"),
    ],
)
def test_a_wrong_scene_or_rhythm_is_named_with_its_remedy(params: dict[str, str], said: str) -> None:
    with pytest.raises(Mistake) as raised:
        turn(SCENES, params)
    assert said.split(" (")[0] in str(raised.value) and said.split(" (")[-1].rstrip(")") in str(raised.value)


# ---- the stage


def test_the_first_scene_is_made_at_once_and_the_others_when_their_pace_has_passed(
    small_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    clock = [100.0]
    monkeypatch.setattr(stage, "_kept", type(stage._kept)())
    monkeypatch.setattr(stage.time, "monotonic", lambda: clock[0])

    def counted(page: ViewPage, view: View) -> Sheet:
        made.append(page.name)
        return dataclasses.replace(sample_sheet("zh"), version=view.version.id)

    monkeypatch.setattr(stage, "build", counted)
    scenes = (scene_of("quick", pace=0.0), scene_of("slow", pace=30.0))
    view = view_at(small_site)
    assert all(staged(scenes, view)) and made == ["wall/quick", "wall/slow"]
    assert all(staged(scenes, view)) and len(made) == 2, "the same version is made once"

    newer = dataclasses.replace(view, version=_renamed(view.version, "v000099"))
    clock[0] += 5
    shown = staged(scenes, newer)
    assert made[2:] == ["wall/quick"]
    assert [sheet.version for sheet in shown if sheet] == ["v000099", view.version.id]
    clock[0] += 30
    staged(scenes, newer)
    assert made[3:] == ["wall/slow"]


def test_a_hundred_walls_at_once_make_a_scene_once_and_wait_for_nobody(
    small_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []
    monkeypatch.setattr(stage, "_kept", type(stage._kept)())

    def slow(page: ViewPage, view: View) -> Sheet:
        made.append(page.name)
        begun.set()
        assert go_on.wait(10)
        return sample_sheet("zh")

    monkeypatch.setattr(stage, "build", slow)
    scenes, view = (scene_of("only"),), view_at(small_site)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(staged, scenes, view)
        assert begun.wait(10)
        assert [staged(scenes, view) for _ in range(100)] == [[None]] * 100
        go_on.set()
        assert first.result()[0] is not None
    assert made == ["wall/only"]


def _renamed(version: Any, name: str) -> Any:
    """A version that differs in nothing but its name."""

    class Other:
        id = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(version, attribute)

    return Other()


# ---- what the element receives


def frame(lang: Lang = "zh") -> Frame:
    return Frame(
        "东安县治理指挥中心", "/overview", lang, 30, (Origin("cases", "事件", NOON, 24.0, True),), ("合成",)
    )


def test_a_beat_is_small_and_the_figures_stand_under_their_contents_key() -> None:
    sheet = sample_sheet("zh")
    of = {type(block): block for block in reversed(sheet.blocks)}
    shown = dataclasses.replace(sheet, blocks=(of[Tiles], of[Map], of[Table], of[Feed]))
    scene = scene_of("overview")
    beat = wall_data(
        frame(), [(scene, shown), (scene_of("later"), None)], lambda name: ("cases",), Clock(NOON, False), 1.0
    )
    assert len(json.dumps(beat, ensure_ascii=False, allow_nan=False).encode()) < 6_000
    assert beat["notice"] == "合成" and beat["scenes"][1]["key"] == ""
    kept = KEPT.get(beat["scenes"][0]["key"])
    assert kept is not None and len(kept) < 30_000
    figures = json.loads(kept)
    assert [one["area"] for one in figures["panels"]] == ["one", "two", "three"]
    assert figures["panels"][0]["rests"] == ["cases"] and figures["tiles"][0]["rests"] == ["cases"]
    shapes = of[Map].shapes  # type: ignore[union-attr]
    assert len(figures["panels"][0]["levels"]) == len(shapes)
    geometry = GEOMETRIES.get(figures["panels"][0]["key"])
    assert geometry is not None and len(json.loads(geometry)["cells"]) == len(shapes)


def test_figures_no_longer_shown_leave_no_sheet_behind() -> None:
    held = set(_composed)
    sheet = sample_sheet("en")
    wall_data(frame("en"), [(scene_of("x"), sheet)], lambda name: (), Clock(NOON, False), 1.0)
    assert len(set(_composed) - held) == 1
    del sheet
    assert set(_composed) - held == set()


def test_a_list_of_records_never_reaches_a_wall() -> None:
    sheet = sample_sheet("zh")
    hidden = next(block for block in sheet.blocks if isinstance(block, Table) and not block.printed)
    tiles = next(block for block in sheet.blocks if isinstance(block, Tiles))
    figures = compose(scene_of("x"), dataclasses.replace(sheet, blocks=(tiles, hidden)), lambda name: ())
    assert hidden.rows and figures["panels"][0]["rows"] == []
    assert "RECORD-" not in json.dumps(figures)


def test_a_scene_without_a_source_says_so_instead_of_its_panels() -> None:
    sheet = dataclasses.replace(sample_sheet("en"), blocks=(Note("No source", "This site has no source."),))
    figures = compose(scene_of("x"), sheet, lambda name: ())
    assert figures["tiles"] == [] and figures["panels"] == []
    assert figures["instead"][0]["text"] == "This site has no source."


# ---- the loader's sign of life


def test_five_beats_may_be_missed_and_silence_is_known_within_15_seconds(tmp_path: Path) -> None:
    script = (ROOT / "dashboard" / "web" / "assets" / "wall.js").read_text(encoding="utf-8")
    found = re.search(r"PULSE_EVERY = ([\d_]+)", script)
    assert found is not None
    assert LATE_SECONDS >= 5 * BEAT_SECONDS and LATE_SECONDS + int(found[1]) / 1000 < 15
    site = site_at(tmp_path)
    assert last_beat(site) is None
    beat(site, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert last_beat(site) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for damaged in ("", "[]", "{}", '{"at": 7}', '{"at": "noon"}'):
        heartbeat_file(site).write_text(damaged)
        assert last_beat(site) is None


def site_at(folder: Path) -> Site:
    (folder / "site.toml").write_text('name = {zh = "甲县", en = "A"}\nhome = "K"\n', encoding="utf-8")
    return load_site(folder)


def beat(site: Site, at: datetime) -> None:
    site.log.mkdir(exist_ok=True)
    heartbeat_file(site).write_text(json.dumps({"at": at.isoformat()}))


# ---- in a browser


@dataclasses.dataclass
class Served:
    """A server that can be killed and started again on its port."""

    command: list[str]
    environment: dict[str, str]
    url: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self.process.stdout is not None
        # It prints its address when it listens.
        for line in self.process.stdout:
            if b"http://" in line:
                break
        assert urllib.request.urlopen(f"{self.url}/_stcore/health").status == 200

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=20)
            self.process = None


def port_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def site(small_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A copy of the small site whose loader has just given a sign."""
    folder = tmp_path_factory.mktemp("wall") / "site"
    shutil.copytree(small_site.folder, folder)
    return load_site(folder)


@pytest.fixture(scope="module")
def live(site: Site) -> Iterator[Served]:
    port = port_free()
    served = Served(command(port), environment(site), f"http://127.0.0.1:{port}")
    served.start()
    yield served
    served.kill()


@pytest.fixture(scope="module")
def sample(site: Site) -> Iterator[Served]:
    port = port_free()
    script = [sys.executable, "-m", "streamlit", "run", "tests/web_sample_app.py", "--server.port", str(port)]
    served = Served(script, environment(site), f"http://127.0.0.1:{port}")
    served.start()
    yield served
    served.kill()


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.set_default_timeout(40_000)
    page.on("pageerror", lambda error: pytest.fail(f"script error on the wall: {error}"))
    yield page
    page.close()


def opened(page: Page, address: str, scenes: int) -> None:
    """The wall at this address, once all its scenes are there."""
    page.goto(address)
    page.wait_for_function(f"{SHADOW}?.querySelectorAll('.scene .panel').length >= {scenes} * 3")
    page.wait_for_function(
        f"[...{SHADOW}.querySelectorAll('.scene')].length === {scenes} && "
        f"[...{SHADOW}.querySelectorAll('.scene')].every((scene) => scene.querySelector('.panel'))"
    )
    page.evaluate("document.fonts.ready")


def faults(page: Page) -> list[str]:
    """What does not fit, once nothing moves: a row that slides in is above its list for a moment."""
    page.wait_for_function(
        f"{SHADOW}.querySelector('.stage').getAnimations({{ subtree: true }})"
        ".every((one) => one.animationName !== 'enter' || one.playState === 'finished')"
    )
    found = page.evaluate(FITS)
    assert found["texts"] > 60
    return found["faults"]  # type: ignore[no-any-return]


def state(page: Page, wanted: str, timeout: float = 30_000) -> str:
    """What the wall says of itself, once its state is the one wanted."""
    page.wait_for_function(
        f"(wanted) => {SHADOW}?.querySelector('.stage').dataset.state === wanted", arg=wanted, timeout=timeout
    )
    return str(
        page.evaluate(
            f"{SHADOW}.querySelector('.lost').checkVisibility() ? {SHADOW}.querySelector('.lost').innerText : ''"
        )
    )


def foreign(page: Page) -> list[str]:
    """What of Streamlit's own dialogs, spinners and faults can be seen."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('[data-testid=stDialog],[role=dialog],[data-testid=stStatusWidget],"
        "[data-testid=stConnectionStatus],[data-testid=stException],[data-testid=stToast],[data-testid=stSpinner]')]"
        ".filter((node) => node.checkVisibility({ visibilityProperty: true })).map((node) => node.outerHTML)"
    )
    return found


# All sizes in both languages, on the whole county: python -m benchmarks.wall fit
@pytest.mark.parametrize(
    ("lang", "sizes"),
    [("zh", ((1366, 768), (6656, 1792))), ("en", ((1366, 768), (3840, 2160), (6656, 1792)))],
)
def test_every_scene_fits_every_screen_exactly_and_can_be_read(
    live: Served, page: Page, lang: Lang, sizes: tuple[tuple[int, int], ...]
) -> None:
    opened(page, f"{live.url}/wall?lang={lang}&every=3600", len(SCENES))
    for wide, tall in sizes:
        page.set_viewport_size({"width": wide, "height": tall})
        page.wait_for_function(
            f"(wide) => Math.abs({SHADOW}.querySelector('.stage').getBoundingClientRect().width - wide) < 1",
            arg=wide,
        )
        for number, scene in enumerate(SCENES, start=1):
            page.keyboard.press(str(number))
            page.wait_for_function(
                f"(name) => {SHADOW}.querySelector('.stage').dataset.scene === name", arg=scene.name
            )
            assert faults(page) == [], (scene.name, lang, wide, tall)


def test_the_measure_of_fit_finds_what_does_not_fit(sample: Served, page: Page) -> None:
    opened(page, f"{sample.url}/?wall=1&lang=en&beat=600", 2)
    assert faults(page) == []
    for selector, change, fault in (
        (".scene.on h3", "node.style.fontSize = '14px'", "small"),
        (".scene.on .value", "node.style.width = '4px'", "wider than its box"),
        (".scene.on .tile h3", "node.style.marginTop = '-60px'", "cut"),
        (".asof", "node.style.position = 'absolute'; node.style.left = '40px'", "overlap"),
    ):
        before = page.evaluate(f"(s) => {SHADOW}.querySelector(s).style.cssText", selector)
        page.evaluate(f"(s) => {{ const node = {SHADOW}.querySelector(s); {change}; }}", selector)
        assert any(fault in line for line in faults(page)), fault
        page.evaluate(
            f"([s, css]) => {{ const node = {SHADOW}.querySelector(s); node.style.cssText = css; }}",
            [selector, before],
        )


def test_the_wall_keeps_its_nodes_over_twenty_beats_and_a_change_of_scene_and_back(
    sample: Served, page: Page
) -> None:
    opened(page, f"{sample.url}/?wall=1&lang=zh&beat=0.2", 2)
    page.wait_for_function(f"{SHADOW}.querySelectorAll('.cell').length > 200")
    beats = f"Number({SHADOW}.querySelector('.stage').dataset.beats)"
    page.evaluate(f"window.nodes = [...{SHADOW}.querySelectorAll('*')]; window.begun = {beats}")
    figures = page.evaluate(f"[...{SHADOW}.querySelectorAll('.figure b')].map((n) => n.textContent)")
    page.wait_for_function(f"{beats} >= window.begun + 10")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{SHADOW}.querySelector('.stage').dataset.scene === 'second'")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"{beats} >= window.begun + 20")
    lost = page.evaluate(
        "window.nodes.filter((n) => !n.isConnected).map((n) => n.closest('li') ? 'row' : n.className)"
    )
    # A row of the feed that is no longer among the latest goes; nothing else does.
    assert set(lost) <= {"row"} and len(lost) <= 60
    assert page.evaluate("window.nodes.length") > 800
    assert page.evaluate(f"[...{SHADOW}.querySelectorAll('.figure b')].map((n) => n.textContent)") != figures


def test_scenes_turn_by_themselves_stop_at_a_key_and_go_on_after_a_while(sample: Served, page: Page) -> None:
    page.clock.install()
    on = f"{SHADOW}?.querySelector('.stage').dataset.scene"
    held = f"{SHADOW}.querySelector('span.held')"

    def passing(seconds: int) -> str:
        """The wall's clock is hastened in steps between which real beats come; the scene then on show."""
        for _ in range(0, seconds, 15):
            page.clock.run_for(15_000)
            page.wait_for_timeout(200)
        return str(page.evaluate(on))

    page.goto(f"{sample.url}/?wall=1&lang=en&every=35&beat=0.1")
    page.wait_for_function(f"{SHADOW}?.querySelectorAll('.scene .panel').length >= 8", polling=100)
    assert page.evaluate(on) == "first"
    assert passing(45) == "second" and passing(30) == "first"
    page.mouse.click(960, 700)
    assert passing(90) == "first"
    assert re.fullmatch(r"Paused, goes on in 0:\d\d", page.evaluate(f"{held}.innerText").strip())
    assert passing(75) == "second"
    assert not page.evaluate(f"{held}.checkVisibility()")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(on) == "first" and page.evaluate(f"{held}.checkVisibility()")
    page.keyboard.press("Escape")
    assert not page.evaluate(f"{held}.checkVisibility()") and passing(45) == "second"


def test_a_page_that_ran_for_long_is_loaded_anew_at_four_at_night_and_only_once(
    sample: Served, page: Page
) -> None:
    # The first load believes to have run for three hours, and its minute of the half hour to be the first.
    page.add_init_script(
        "sessionStorage.loads = Number(sessionStorage.loads || 0) + 1; Math.random = () => 0;"
        "const now = performance.now.bind(performance);"
        "if (sessionStorage.loads === '1') performance.now = () => now() + 3 * 3600e3;"
    )
    page.goto(f"{sample.url}/?wall=1&hour=4")
    page.wait_for_function("sessionStorage.loads === '2'")
    page.wait_for_function(f"Number({SHADOW}?.querySelector('.stage').dataset.beats) > 2")
    assert page.evaluate("sessionStorage.loads") == "2"


def test_data_older_than_its_source_allows_is_said_on_the_panels_that_rest_on_it(
    sample: Served, page: Page
) -> None:
    opened(page, f"{sample.url}/?wall=1&lang=zh", 2)
    page.keyboard.press("2")
    late = page.evaluate(
        f"[...{SHADOW}.querySelectorAll('.scene.on .panel.old h2')].map((n) => n.textContent)"
    )
    titles = page.evaluate(f"[...{SHADOW}.querySelectorAll('.scene.on .panel h2')].map((n) => n.textContent)")
    assert late == titles[:2] and len(titles) == 3
    assert "数据停在 11-20 09:04" in page.evaluate(
        f"{SHADOW}.querySelector('.scene.on .panel.old .late').innerText"
    )
    assert page.evaluate(f"{SHADOW}.querySelectorAll('.scene.on .tile.old').length") > 0
    page.keyboard.press("1")
    assert page.evaluate(f"{SHADOW}.querySelectorAll('.scene.on .panel.old').length") == 0
    alert = page.evaluate(f"{SHADOW}.querySelector('.scene.on .panel.alerts li').innerText")
    assert "信访事项" in alert and WORDS["silent"].zh in alert
    assert page.evaluate(f"{SHADOW}.querySelector('.source.old').innerText").split() == [
        "信访事项",
        "30",
        "小时",
        "已过时效",
    ]


def test_a_wrong_address_of_a_wall_is_said_calmly(live: Served, page: Page) -> None:
    page.goto(f"{live.url}/wall?scenes=petitons&lang=en")
    page.wait_for_function(f"{SHADOW}?.querySelector('.waiting').innerText")
    assert "did you mean 'petitions'?" in page.evaluate(f"{SHADOW}.querySelector('.waiting').innerText")


def test_a_loader_that_fell_silent_is_named_within_15_seconds_and_old_data_still_fits(
    live: Served, site: Site, page: Page
) -> None:
    settings = site.folder / "site.toml"
    stopped = settings.read_text(encoding="utf-8")
    # A stopped clock misses no loader.
    beat(site, datetime.now(UTC) - timedelta(minutes=5))
    opened(page, f"{live.url}/wall?lang=en&scenes=overview", 1)
    assert state(page, "well") == ""
    try:
        settings.write_text(
            "".join(line for line in stopped.splitlines(True) if "as_of" not in line), encoding="utf-8"
        )
        assert "No sign of the loader since" in state(page, "lost_loader", 15_000)
        assert page.evaluate(f"{SHADOW}.querySelectorAll('.scene.on .tile').length") == 8
        page.set_viewport_size({"width": 1366, "height": 768})
        opened(page, f"{live.url}/wall?lang=en&every=3600", len(SCENES))
        for number in range(1, len(SCENES) + 1):
            page.keyboard.press(str(number))
            assert page.evaluate(f"{SHADOW}.querySelectorAll('.scene.on .tile.old').length") > 0
            assert faults(page) == [], SCENES[number - 1].name
        beat(site, datetime.now(UTC) + timedelta(minutes=5))
        assert state(page, "well", 15_000) == ""
    finally:
        settings.write_text(stopped, encoding="utf-8")


def test_without_a_network_the_wall_says_so_and_recovers_by_itself(
    live: Served, site: Site, page: Page
) -> None:
    beat(site, datetime.now(UTC) + timedelta(minutes=5))
    opened(page, f"{live.url}/wall?lang=zh&scenes=overview", 1)
    state(page, "well")
    page.context.set_offline(True)
    assert state(page, "lost_network", 15_000).startswith("网络中断，画面为 06-30")
    assert foreign(page) == []
    page.context.set_offline(False)
    state(page, "well")


def test_a_killed_server_is_named_within_15_seconds_and_its_return_needs_nobody(
    live: Served, site: Site, page: Page
) -> None:
    beat(site, datetime.now(UTC) + timedelta(minutes=5))
    opened(page, f"{live.url}/wall?lang=en&scenes=overview,petitions&every=3600", 2)
    state(page, "well")
    figures = page.evaluate(f"[...{SHADOW}.querySelectorAll('.figure b')].map((n) => n.textContent)")
    live.kill()
    assert "The server does not answer. Showing data of 06-30" in state(page, "lost_server", 15_000)
    assert page.evaluate(f"[...{SHADOW}.querySelectorAll('.figure b')].map((n) => n.textContent)") == figures
    # Streamlit has its say too, where nobody sees it.
    page.wait_for_selector("[data-testid=stDialog]", state="attached", timeout=15_000)
    assert foreign(page) == []
    live.start()
    state(page, "well", 60_000)
    assert (
        page.evaluate(f"[...{SHADOW}.querySelectorAll('.figure b')].map((n) => n.textContent)")[:8]
        == figures[:8]
    )
    assert foreign(page) == []
