"""The demo's files are what offices send: in form, in dirt, and in the totals they come out at."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

from pipelines.demo import DemoSummary, write_demo
from pipelines.demo.feed import ROTATION, Drops, feed
from pipelines.demo.ground import make_ground
from warehouse.mistake import Mistake
from warehouse.site import load_site

SEED = 7
NOON = datetime(2026, 3, 18, 12, 0)


@pytest.fixture(scope="session")
def demo_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoSummary]:
    """A small demo at noon of a running day: only its files, nothing loaded."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, write_demo(folder, seed=SEED, scale="small", now=NOON)


@pytest.fixture(scope="session")
def full_demo_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoSummary]:
    """The full demo to the end of June 2026: only its files."""
    folder = tmp_path_factory.mktemp("full-demo")
    return folder, write_demo(folder, seed=SEED, until=date(2026, 6, 30))


def ledger(path: Path) -> list[dict[str, Any]]:
    """The rows of a ledger between its headings and its totals."""
    rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert rows[-1][0] == "合计"
    return [dict(zip(map(str, rows[2]), row, strict=True)) for row in rows[3:-1]]


def when(cell: Any) -> datetime | None:
    """A cell's time, or None where it holds none; a date cell at midnight reads as a mere date."""
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)
    if not isinstance(cell, str) or not cell[:4].isdigit() or len(cell) < 10:
        return None
    try:
        if "/" not in cell:
            return datetime.fromisoformat(cell)
        day, clock = cell.split(" ")
        return datetime(*map(int, day.split("/")), *map(int, clock.split(":")))  # type: ignore[arg-type]
    except ValueError:
        return None


def newest(rows: list[dict[str, Any]], key: str, needed: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Per key the row with the latest update, of the rows whose needed times can be read."""
    kept: dict[str, dict[str, Any]] = {}
    for row in rows:
        if not row[key] or any(when(row[name]) is None for name in needed):
            continue
        before = kept.get(row[key])
        if before is None or when(row["更新时间"]) >= when(before["更新时间"]):  # type: ignore[operator]
            kept[row[key]] = row
    return kept


def counted(folder: Path) -> tuple[int, int, int]:
    """Meetings held, items agreed and items done from 1 January to 26 December 2025, counted from the ledgers."""
    villages = {row["区划代码"] for row in table(folder / "inbox" / "区划网格.csv", "utf-8-sig")}
    inbox = folder / "inbox"
    meetings = [row for path in inbox.glob("月例会台账_*.xlsx") for row in ledger(path)]
    items = [row for path in inbox.glob("议定事项台账_*.xlsx") for row in ledger(path)]
    items = [row for row in items if row["落实情况"] != "研究研究"]

    def inside(row: dict[str, Any]) -> bool:
        held = when(row["召开时间"])
        return (
            row["村(社区)编码"] in villages
            and held is not None
            and date(2025, 1, 1) <= held.date() <= date(2025, 12, 26)
        )

    held = [r for r in newest(meetings, "会议编号", ("召开时间",)).values() if inside(r)]
    agreed = [r for r in newest(items, "事项编号", ("召开时间", "完成时限")).values() if inside(r)]
    assert {r["会议编号"] for r in agreed} <= {r["会议编号"] for r in held}
    return len(held), len(agreed), sum(when(r["完成时间"]) is not None for r in agreed)


def table(path: Path, encoding: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(encoding), newline="")))


def texts(folder: Path) -> Iterator[tuple[str, list[dict[str, Any]], str]]:
    """Every dataset of the inbox as rows, with the heading of its key."""
    inbox = folder / "inbox"
    yield "cases", [r for p in sorted(inbox.glob("事件_*.csv")) for r in table(p, "gb18030")], "工单编号"
    yield "patrols", [r for p in sorted(inbox.glob("巡逻_*.csv")) for r in table(p, "utf-8-sig")], "巡逻编号"
    yield "petitions", [r for p in sorted(inbox.glob("信访台账_*.xlsx")) for r in ledger(p)], "信访件编号"
    yield "meetings", [r for p in sorted(inbox.glob("月例会台账_*.xlsx")) for r in ledger(p)], "会议编号"
    yield "work_items", [r for p in sorted(inbox.glob("议定事项台账_*.xlsx")) for r in ledger(p)], "事项编号"
    yield "surveys", [r for p in sorted(inbox.glob("回访_*.ndjson")) for r in lines(p)], "回访编号"
    yield "responses", [r for p in sorted(inbox.glob("接警_*.ndjson")) for r in lines(p)], "接警单编号"
    yield "disputes", [r for p in sorted(inbox.glob("矛盾纠纷台账_*.xlsx")) for r in ledger(p)], "调解编号"
    yield "outreach", [r for p in sorted(inbox.glob("宣讲培训台账_*.xlsx")) for r in ledger(p)], "活动编号"
    yield "posts", ledger(inbox / "队伍岗位台账.xlsx"), "岗位编号"
    yield "services", [r for p in sorted(inbox.glob("办实事_*.csv")) for r in table(p, "gb18030")], "实事编号"
    yield "wishes", [r for p in sorted(inbox.glob("微心愿_*.ndjson")) for r in lines(p)], "心愿编号"
    yield "receptions", [r for p in sorted(inbox.glob("接访下访_*.ndjson")) for r in lines(p)], "场次编号"
    entries = [r for p in sorted(inbox.glob("平台信息_*.parquet")) for r in pq.read_table(p).to_pylist()]
    yield "platform_entries", entries, "entry_id"
    yield (
        "visits",
        [r for p in sorted(inbox.glob("走访_*.parquet")) for r in pq.read_table(p).to_pylist()],
        "visit_id",
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    demo_files: tuple[Path, DemoSummary], tmp_path: Path
) -> None:
    folder, summary = demo_files

    def digest(root: Path) -> dict[str, str]:
        names = [*(f"inbox/{name}" for name in summary.files), "site.toml", "demo.json", "demo_open.json"]
        return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}

    write_demo(tmp_path / "again", seed=SEED, scale="small", now=NOON)
    assert digest(tmp_path / "again") == digest(folder)
    write_demo(tmp_path / "other", seed=SEED + 1, scale="small", now=NOON)
    other = digest(tmp_path / "other")
    assert other["inbox/事件_202503.csv"] != digest(folder)["inbox/事件_202503.csv"]
    assert other["inbox/区划网格.csv"] == digest(folder)["inbox/区划网格.csv"]


def test_cases_come_as_gb18030_with_windows_line_ends_and_both_kinds_of_dates(
    demo_files: tuple[Path, DemoSummary],
) -> None:
    data = (demo_files[0] / "inbox" / "事件_202503.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")
    text = data.decode("gb18030")
    assert text.startswith("工单编号,所属网格编码,事项大类")
    assert text.count("\r\n") == text.count("\n") > 100
    rows = table(demo_files[0] / "inbox" / "事件_202503.csv", "gb18030")
    reported = [row["上报时间"] for row in rows]
    assert any("/" in cell for cell in reported) and any("-" in cell for cell in reported)
    assert {"已结案", "结案", "办结"} <= {row["办件状态"] for row in rows}
    assert all(row["事件描述"].endswith("请核实处理。") for row in rows)


def test_ledgers_have_a_merged_title_a_date_line_headings_and_totals(
    demo_files: tuple[Path, DemoSummary],
) -> None:
    sheet = CalamineWorkbook.from_path(
        str(demo_files[0] / "inbox" / "信访台账_2025H1.xlsx")
    ).get_sheet_by_index(0)
    rows = sheet.to_python(skip_empty_area=False)
    assert rows[0][0] == "东安县信访事项登记台账(演示合成数据)"
    assert (sheet.merged_cell_ranges or [])[0][0] == (0, 0)
    assert str(rows[1][0]).startswith("制表日期")
    assert rows[2][:3] == ["序号", "信访件编号", "问题归属地编码"]
    cells = [row[rows[2].index("登记时间")] for row in rows[3:-1]]
    assert any(isinstance(cell, datetime) for cell in cells) and any(isinstance(cell, str) for cell in cells)
    assert all(cell.second == 0 and cell.microsecond == 0 for cell in cells if isinstance(cell, datetime))
    assert rows[-1][0] == "合计"


def test_patrols_have_a_bom_visits_are_typed_and_answers_are_json_lines(
    demo_files: tuple[Path, DemoSummary],
) -> None:
    inbox = demo_files[0] / "inbox"
    assert (inbox / "巡逻_2025Q1.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert (inbox / "区划网格.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    schema = pq.read_schema(inbox / "走访_2025H1.parquet")
    assert str(schema.field("visited_at").type).startswith("timestamp")
    assert lines(inbox / "回访_2025.ndjson")[0].keys() >= {"回访编号", "评价结果", "办结日期"}
    assert lines(inbox / "接警_2025.ndjson")[0].keys() >= {"接警单编号", "接报时间", "到场时间"}


def test_no_event_lies_after_now_and_today_has_begun(demo_files: tuple[Path, DemoSummary]) -> None:
    planned = {"承诺完成时间", "延期后时限", "完成时限", "计划开始时间", "计划结束时间", "planned_end"}
    planned |= {"督办时限", "协议履行期限", "next_due_at"}
    today = 0
    for dataset, rows, _ in texts(demo_files[0]):
        for row in rows:
            times = {
                name: t for name, cell in row.items() if name not in planned and (t := when(cell)) is not None
            }
            late = {name: t for name, t in times.items() if t > NOON}
            assert not late, f"{dataset}: {late}"
            today += dataset == "cases" and times.get("上报时间", NOON.min).date() == NOON.date()
    assert today > 0


def test_dirt_is_between_a_half_and_two_percent_of_every_dataset(
    demo_files: tuple[Path, DemoSummary],
) -> None:
    folder, summary = demo_files
    for dataset, rows, key in texts(folder):
        assert len(rows) == summary.records[dataset]
        # Of a short list two rows are more than two in a hundred.
        most = max(0.02, 2 / len(rows))
        assert 0.005 <= summary.dirt[dataset] / len(rows) <= most, dataset
        keys = [row[key] for row in rows if row[key]]
        extra = len(rows) - len({k for k in keys if not k.endswith("E")})
        assert 0.005 <= extra / len(rows) <= most, dataset


@pytest.mark.parametrize("until", [date(2026, 1, 3), date(2026, 2, 28), date(2026, 12, 31)])
def test_the_small_world_is_calibrated_in_proportion_at_any_end(tmp_path: Path, until: date) -> None:
    summary = write_demo(tmp_path, seed=SEED, until=until, scale="small")
    assert summary.window == (date(2025, 1, 1), date(2025, 12, 26))
    assert (summary.meetings, summary.items, summary.done) == (143, 301, 274)
    assert counted(tmp_path) == (143, 301, 274)
    assert load_site(tmp_path).as_of == datetime(until.year, until.month, until.day, 23, 59, 59)


def test_the_full_demo_comes_out_as_published_after_its_dirt(
    full_demo_files: tuple[Path, DemoSummary],
) -> None:
    folder, summary = full_demo_files
    assert counted(folder) == (2046, 4316, 3930) == (summary.meetings, summary.items, summary.done)
    assert len(summary.hotspots) == 5 and not set(summary.emerging) & set(summary.hotspots)
    assert 450_000 < sum(summary.records.values()) < 500_000


def test_no_village_meets_in_the_last_days_of_the_calibrated_year(
    demo_files: tuple[Path, DemoSummary],
) -> None:
    for row in ledger(demo_files[0] / "inbox" / "月例会台账_2025.xlsx"):
        held = when(row["召开时间"])
        assert held is None or (held.month, held.day) <= (12, 26)


def test_the_full_ground_has_fifteen_townships_344_villages_and_1326_grids_of_one_piece() -> None:
    ground = make_ground("full")
    assert (len(ground.townships), len(ground.villages), len(ground.grid_code)) == (15, 344, 1326)
    assert len(set(ground.grid_code)) == 1326
    assert all(
        code[:12] == ground.villages[v].code
        for code, v in zip(ground.grid_code, ground.village_of, strict=True)
    )
    per_village = np.bincount(ground.village_of)
    assert per_village.min() >= 2 and per_village.max() <= 6
    assert ground.households.min() >= 60 and ground.households.max() <= 220
    assert ground.to_visit.min() >= 1 and ground.to_visit.max() <= 5


def test_the_mosaic_tiles_the_county_without_gap_or_overlap() -> None:
    ground = make_ground("small")
    shapes = ground.mosaic()

    def area(ring: np.ndarray[Any, Any]) -> float:
        x, y = ring[:, 0], ring[:, 1]
        return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)

    whole = area(shapes.county)
    for rings in (shapes.grids, shapes.villages, shapes.townships):
        assert min(area(ring) for ring in rings) > 0
        assert sum(area(ring) for ring in rings) == pytest.approx(whole, rel=1e-9)
    assert shapes.county[:, 0].min() == 0 and shapes.county[:, 0].max() == 1000
    share = [area(ring) / whole for ring in shapes.townships]
    grids = np.bincount(ground.grid_township) / len(ground.grid_code)
    assert share == pytest.approx(grids.tolist(), rel=0.08)


def test_the_site_says_that_it_is_synthetic(demo_files: tuple[Path, DemoSummary]) -> None:
    site = load_site(demo_files[0])
    assert site.synthetic and site.home == "431122" and site.as_of is None
    assert site.notice is not None and "not real records" in site.notice.en


def test_an_unknown_place_and_a_real_site_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"unknown place 'dongann'.*did you mean 'dongan'"):
        write_demo(tmp_path, place="dongann")
    (tmp_path / "site.toml").write_text('home = "431122"\n', encoding="utf-8")
    with pytest.raises(Mistake, match=r"site\.toml: belongs to a site that is not a demo"):
        write_demo(tmp_path, scale="small")
    assert tomllib.loads((tmp_path / "site.toml").read_text(encoding="utf-8")) == {"home": "431122"}


def test_the_feed_drops_files_of_every_form_that_close_what_was_open(tmp_path: Path) -> None:
    write_demo(tmp_path, seed=SEED, until=date(2026, 6, 30), scale="small")
    written = {path.name for path in (tmp_path / "inbox").iterdir()}
    waiting = {
        r["case_id"] for r in json.loads((tmp_path / "demo_open.json").read_text(encoding="utf-8"))["cases"]
    }
    site = load_site(tmp_path)
    first = Drops(site, SEED)
    paths = [first.drop() for _ in range(2 * len(ROTATION))]
    second = Drops(site, SEED)  # a feed started anew goes on
    paths += [second.drop() for _ in range(len(ROTATION))]
    assert {p.name for p in (tmp_path / "inbox").iterdir()} - written == {p.name for p in paths}
    assert {p.suffix for p in paths} == {".csv", ".xlsx", ".ndjson", ".parquet"}

    cases = [r for p in paths if p.name.startswith("事件") for r in table(p, "gb18030")]
    closed = {r["工单编号"] for r in cases if r["办件状态"] == "已结案"}
    assert closed & waiting and all(r["结案时间"] for r in cases if r["办件状态"] == "已结案")
    fresh = [r["工单编号"] for r in cases if r["办件状态"] != "已结案"]
    assert len(fresh) == len(set(fresh)) > 0 and not set(fresh) & waiting
    for path in paths:
        if path.suffix == ".xlsx":
            assert ledger(path)
        elif path.suffix == ".parquet":
            assert pq.read_table(path).num_rows == 2
        elif path.suffix == ".ndjson":
            assert lines(path)
    done = [r for p in paths if p.name.startswith("议定") for r in ledger(p)]
    assert done and all(str(when(r["召开时间"]))[:10] > "2025-12-26" for r in done)


def test_the_feed_stops_when_told_and_needs_a_demo(
    demo_files: tuple[Path, DemoSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, dropped = threading.Event(), []

    def drop(self: Drops) -> Path:
        dropped.append(self.stamp)
        if len(dropped) == 3:
            stop.set()
        return Path()

    monkeypatch.setattr(Drops, "drop", drop)
    feed(load_site(demo_files[0]), SEED, stop, every=0.001)
    assert len(dropped) == 3
    (tmp_path / "site.toml").write_bytes((demo_files[0] / "site.toml").read_bytes())
    with pytest.raises(Mistake, match="no demo here"):
        Drops(load_site(tmp_path), SEED)
