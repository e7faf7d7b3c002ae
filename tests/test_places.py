"""The demo's other places: their records come to what they published, and a home of several places holds together."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nerve.cli import app
from pipelines.demo import write_demo
from pipelines.demo.cases import DEPARTMENT
from pipelines.demo.days import Window
from pipelines.demo.feed import ROTATION, Drops
from pipelines.demo.ground import make_ground, village_name
from pipelines.demo.micro import make_micro_grids
from pipelines.demo.mosaic import beside
from pipelines.demo.plans import CHUCUN, HOUQIAO, PLANS, TIANMUSHAN, XINHUI, ZHENXING
from pipelines.demo.published import Figure, compare, published
from tests.conftest import SEED, UNTIL
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Value
from warehouse.scope import scope_of
from warehouse.site import Site, load_site
from warehouse.text import Text
from warehouse.version import current
from warehouse.viewer import Viewer


@pytest.mark.parametrize("name", ["houqiao", "tianmushan"])
def test_what_a_small_place_published_comes_out_of_its_records(
    name: str, request: pytest.FixtureRequest
) -> None:
    site: Site = request.getfixturevalue(f"{name}_site")
    rows = compare(site)
    missed = [
        (row.figure.label.en, row.figure.published.en, row.computed) for row in rows if row.equal is False
    ]
    assert not missed
    assert sum(row.equal is True for row in rows) == {"houqiao": 5, "tianmushan": 8}[name]
    assert {row.source.code for row in rows} == {PLANS[name].code}


@pytest.mark.parametrize("name", ["houqiao", "tianmushan"])
def test_a_place_is_a_pure_function_of_seed_and_end(name: str, tmp_path: Path) -> None:
    def made(folder: str, seed: int) -> dict[str, str]:
        write_demo(tmp_path / folder, place=name, seed=seed, until=UNTIL)
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((tmp_path / folder).rglob("*"))
            if path.is_file()
        }

    first = made("first", SEED)
    assert made("again", SEED) == first
    other = made("other", SEED + 1)
    label = PLANS[name].label.zh
    assert other[f"区划网格_{label}.csv"] == first[f"区划网格_{label}.csv"]
    assert other[f"事件_{label}.csv"] != first[f"事件_{label}.csv"]


def test_zhenxing_is_cut_into_micro_grids_half_way_and_no_trend_breaks(tianmushan_site: Site) -> None:
    version, viewer = current(tianmushan_site), Viewer(tianmushan_site.home)
    micro = make_micro_grids(make_ground("full", TIANMUSHAN), Window(UNTIL, datetime(2026, 6, 30)))
    assert (len(micro), micro.since) == (52, date(2025, 7, 1))
    filed = dict(
        version.rows(
            "select p.level, [min(c.reported_at), max(c.reported_at)] from cases c join places p on p.code = c.place "
            "where p.village = $village group by p.level",
            {"village": ZHENXING},
        )
    )
    # What was filed under a grid stays there; what came later is filed under its micro-grid.
    assert filed["grid"][1] < datetime(2025, 7, 1) <= filed["micro_grid"][0]
    window = Period(date(2024, 7, 1), UNTIL)
    ask = ("cases_reported", ZHENXING, [window])
    whole = query(version, viewer, [ask[0]], ask[1], ask[2], by="month")
    assert all(isinstance(cell.result, Value) and cell.result.value > 0 for cell in whole)
    before = sum(c.result.value for c in whole[:12] if isinstance(c.result, Value))
    after = sum(c.result.value for c in whole[12:] if isinstance(c.result, Value))
    assert 0.7 < after / before < 1.4
    assert scope_of(version, f"{ZHENXING}001").child_level is None
    grids = query(version, viewer, [ask[0]], ask[1], ask[2], by="grid")
    assert len(grids) == 6
    assert sum(c.result.value for c in grids if isinstance(c.result, Value)) == before + after


def test_the_grounds_have_the_villages_and_grids_that_were_published() -> None:
    def counted(name: str) -> tuple[int, int, int]:
        ground = make_ground("full", PLANS[name])
        return len(ground.townships), len(ground.villages), len(ground.grid_code)

    assert counted("xinhui") == (11, 237, 640)
    assert counted("houqiao") == (1, 9, 100)
    assert counted("chucun") == (1, 40, 70)
    assert counted("tianmushan") == (1, 22, 104)
    xinhui, chucun = make_ground("full", XINHUI), make_ground("full", CHUCUN)
    assert sum(code.startswith("440705109") for code in xinhui.grid_code) == 35
    assert (chucun.kind.count("enterprise"), chucun.kind.count("school")) == (7, 3)
    named = {v.code: v.zh for v in make_ground("full", TIANMUSHAN).villages}
    assert named[ZHENXING] == "振兴社区"
    assert [village_name(name) for name in ("北山村委会", "柳溪村村委会", "江北居委会", "下街社区村民委员会")] == [
        "北山村", "柳溪村", "江北居委会", "下街社区",
    ]  # fmt: skip


def test_mosaics_beside_one_another_do_not_touch() -> None:
    shapes = [make_ground("full", plan).mosaic() for plan in (HOUQIAO, CHUCUN, TIANMUSHAN)]
    assert beside(shapes[:1]) == shapes[:1]
    boxes = [(one.county.min(axis=0), one.county.max(axis=0)) for one in beside(shapes)]
    for i, (low, high) in enumerate(boxes):
        assert (low >= -0.01).all() and high[0] <= 1000.01
        for other_low, other_high in boxes[i + 1 :]:
            assert np.any(high < other_low) or np.any(other_high < low)


def test_every_published_figure_asks_a_measure_what_it_can_answer() -> None:
    places, figures = published()
    assert {name: source.code for name, source in places.items()} == {p.name: p.code for p in PLANS.values()}
    for figure in figures:
        if figure.comparator == "context":
            continue
        measure = catalogue().get(figure.measure)
        assert figure.by is None or figure.by in measure.dimensions, figure.label.en
        assert figure.scope.startswith(places[figure.place].code) or not figure.scope
        fields = catalogue().reads(measure.table)
        assert fields
        if figure.classes:
            assert figure.by is not None
    assert {figure.place for figure in figures} == set(PLANS)


def test_a_figure_is_met_by_its_comparator() -> None:
    def met(comparator: str, value: float, computed: float) -> bool:
        text = Text(zh="数", en="figure")
        return Figure.model_validate(
            {
                "place": "dongan", "label": text, "published": text, "comparator": comparator,
                "value": value, "measure": "cases_reported",
            }
        ).met(computed)  # fmt: skip

    assert met("=", 12, 12) and not met("=", 12, 13)
    assert met("≥", 801, 836) and not met("≥", 801, 800)
    assert met("rounds to", 0.9291, 0.92908) and not met("rounds to", 0.9291, 0.92917)
    assert met("rounds to", 0.91, 3930 / 4316) and not met("rounds to", 0.91, 0.9151)


def test_published_names_what_is_not_met_and_ends_with_one(small_site: Site) -> None:
    done = CliRunner().invoke(app, ["published", "--site", str(small_site.folder), "--json"])
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    # The small world has two townships of the fifteen.
    (townships,) = [row for row in said["figures"] if row["measure"] == "townships_in_use"]
    assert (townships["value"], townships["computed"], townships["equal"]) == (15, 2, False)
    assert all("computed" not in row and row["source"]["en"] for row in said["context"])


def test_published_in_words_says_place_figure_and_source(houqiao_site: Site) -> None:
    done = CliRunner().invoke(app, ["published", "--site", str(houqiao_site.folder), "--lang", "en"])
    assert done.exit_code == 0
    assert (
        "Party members on the grid" in done.stdout and "969" in done.stdout and "Dong'an" not in done.stdout
    )
    done = CliRunner().invoke(app, ["published", "--site", str(houqiao_site.folder)])
    assert "编入网格党员" in done.stdout and "猴桥镇" in done.stdout


def test_published_needs_a_demo_and_a_small_world_is_dongan_alone(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        'home = "1"\n[name]\nzh = "某县"\nen = "A county"\n', encoding="utf-8"
    )
    done = CliRunner().invoke(app, ["published", "--site", str(tmp_path)])
    assert isinstance(done.exception, Mistake) and "no demo here" in str(done.exception)
    with pytest.raises(Mistake, match="no small world of 'houqiao'"):
        write_demo(tmp_path / "new", place="houqiao", scale="small")


def test_the_feed_of_another_place_files_under_its_own_grids_and_offices(tmp_path: Path) -> None:
    write_demo(tmp_path, place="houqiao", seed=SEED, until=UNTIL)
    drops = Drops(load_site(tmp_path), SEED)
    paths = [drops.drop() for _ in range(2 * len(ROTATION))]
    rows = [
        row
        for path in paths
        if path.name.startswith("事件")
        for row in csv.DictReader(path.read_bytes().decode("gb18030").splitlines())
    ]
    assert rows and all(row["所属网格编码"].startswith("530581104") for row in rows)
    assert {row["办理单位"] for row in rows} <= {
        "猴桥镇人民政府",
        *(f"市{name}" for name in DEPARTMENT.values()),
    }
