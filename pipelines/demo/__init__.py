"""The demo: a synthetic Dong'an County, 24 months of records in files as offices send them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from pipelines.demo import forms
from pipelines.demo.cases import character, make_cases
from pipelines.demo.courses import with_courses, with_files, with_forwarding, with_redoing
from pipelines.demo.days import Ints, Times, Window, stream
from pipelines.demo.dirt import UNKNOWN_GRIDS, Fault, Sheets, scatter
from pipelines.demo.duties import make_patrols, make_responses, make_visits
from pipelines.demo.ground import Ground, Scale, make_ground
from pipelines.demo.meetings import calibration, make_items, make_meetings
from pipelines.demo.mosaic import ring_text
from pipelines.demo.petitions import make_petitions, make_surveys
from pipelines.demo.posts import key_sites, make_posts, with_guards
from pipelines.demo.residents import (
    make_disputes,
    make_entries,
    make_outreach,
    make_receptions,
    make_services,
    make_wishes,
)
from pipelines.demo.table import Columns, Life, take
from warehouse.mistake import Mistake, nearest
from warehouse.text import Text

TIMEZONE = "Asia/Shanghai"
PLACES = {"dongan": "431122"}
NOTICE = Text(
    zh="数据为演示合成数据，按公开总量校准，非真实记录。",
    en="Synthetic demo data calibrated to published totals; not real records.",
)
OPEN_KEPT = {"cases": 300, "petitions": 120, "work_items": 150}
"""How many open records of each dataset are noted for the live feed to close."""

Progress = Callable[[str, float], None]

FAULTS: dict[str, tuple[Fault, ...]] = {
    "cases": (
        ("reported_at", "2025-13-45"),
        ("place", UNKNOWN_GRIDS[0]),
        ("status", "已飞走"),
        ("case_id", ""),
        ("closed_at", "待定"),
        ("place", UNKNOWN_GRIDS[1]),
        ("category", "未分类事项"),
        ("reported_at", "待定"),
    ),
    "petitions": (
        ("registered_at", "2025-13-45"),
        ("place", UNKNOWN_GRIDS[2]),
        ("status", "研究研究"),
        ("petition_id", ""),
        ("registered_at", "待定"),
        ("kind", "不详"),
    ),
    "surveys": (
        ("answered_at", "待定"),
        ("place", UNKNOWN_GRIDS[0]),
        ("rating", "说不清"),
        ("answer_id", ""),
        ("closed_at", "2025-13-45"),
    ),
    "visits": (
        ("place", UNKNOWN_GRIDS[1]),
        ("visit_id", None),
        ("result", "unknown"),
        ("needs_closed", 9),
    ),
    "patrols": (
        ("planned_start", "2025-13-45"),
        ("place", UNKNOWN_GRIDS[0]),
        ("team_kind", "不明队伍"),
        ("patrol_id", ""),
        ("planned_end", "待定"),
    ),
    "responses": (
        ("alarm_at", "2025-13-45T00:00:00"),
        ("place", UNKNOWN_GRIDS[2]),
        ("kind", "不明"),
        ("response_id", ""),
    ),
    "meetings": (
        ("held_at", "待定"),
        ("place", "431122999001"),
        ("meeting_id", ""),
        ("held_at", "2025-13-45"),
    ),
    "disputes": (
        ("registered_at", "2025-13-45"),
        ("place", UNKNOWN_GRIDS[1]),
        ("tier", "再说"),
        ("mediation_id", ""),
        ("outcome", "差不多"),
        ("registered_at", "待定"),
    ),
    "wishes": (
        ("collected_at", "待定"),
        ("place", UNKNOWN_GRIDS[0]),
        ("status", "研究研究"),
        ("wish_id", ""),
    ),
    "services": (
        ("done_at", "2025-13-45"),
        ("place", UNKNOWN_GRIDS[2]),
        ("category", "未分类事项"),
        ("service_id", ""),
    ),
    "outreach": (
        ("held_at", "待定"),
        ("place", "431122999"),
        ("kind", "开会"),
        ("event_id", ""),
    ),
    "platform_entries": (
        ("place", UNKNOWN_GRIDS[1]),
        ("entry_id", None),
        ("kind", "unknown"),
    ),
    "receptions": (
        ("held_at", "待定"),
        ("place", "431122999"),
        ("kind", "开会"),
        ("session_id", ""),
    ),
    "posts": (
        ("from_at", "待定"),
        ("place", UNKNOWN_GRIDS[0]),
        ("kind", "不明岗位"),
        ("post_id", ""),
        ("filled", "若干"),
    ),
    "work_items": (
        ("held_at", "2025-13-45"),
        ("place", "431122999001"),
        ("status", "研究研究"),
        ("item_id", ""),
        ("due_at", "待定"),
    ),
}
"""What is wrong in the faulty rows, by turns; each is a reason to refuse the row."""


@dataclass(frozen=True)
class DemoSummary:
    """What was written.

    `records`: rows per dataset, dirt included; `dirt`: rows of them that are faulty, repeated, corrected later, late
    or out of order. `window`: the published window, moved to the last complete year; `meetings`, `items`, `done`:
    what loading must find in it. `hotspots`, `emerging`: grids that truly stand out.
    """

    place: str
    scale: Scale
    seed: int
    until: date
    now: datetime
    records: Mapping[str, int]
    dirt: Mapping[str, int]
    files: tuple[str, ...]
    window: tuple[date, date]
    meetings: int
    items: int
    done: int
    hotspots: tuple[str, ...]
    emerging: str


def write_demo(
    folder: Path,
    place: str = "dongan",
    seed: int = 20260101,
    until: date | None = None,
    scale: Scale = "full",
    progress: Progress | None = None,
    now: datetime | None = None,
) -> DemoSummary:
    """Write a demo site: `folder/site.toml`, `folder/demo.json` and the source files in `folder/inbox`.

    A pure function of (seed, until, scale) and, for a running day, `now` (the site's local time; default: its clock).
    An `until` that is not today stops the site's clock at its last second. Files of an earlier demo in this inbox are
    replaced. Raises Mistake for an unknown place and for a folder whose site is not synthetic.
    """
    if place not in PLACES:
        raise Mistake("nerve demo", f"unknown place '{place}'", nearest(place, PLACES))
    _refuse_foreign(folder)
    clock = datetime.now(UTC).astimezone(ZoneInfo(TIMEZONE)).replace(tzinfo=None)
    today = (now or clock).date()
    frozen = until is not None and until != today
    last = until or today
    window = Window(last, datetime.combine(last, time(23, 59, 59)) if frozen else now or clock)
    tell = progress or (lambda stage, share: None)

    inbox = folder / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    _clear_earlier(folder)
    forms.write_aside(folder / "site.toml", _site_toml(window.now if frozen else None).encode())

    tell("places", 0.0)
    ground = make_ground(scale)
    nature = character(ground, seed)
    desk = _Desk(inbox, window, seed, {}, {}, [], {})
    forms.write_aside(inbox / "区划网格.csv", _places_csv(ground).encode("utf-8-sig"))
    desk.files.append("区划网格.csv")
    desk.records["places"] = 1 + len(ground.townships) + len(ground.villages) + len(ground.grid_code)

    tell("cases", 0.12)
    cases = make_cases(ground, nature, window, seed)
    town = {code: t for code, t in zip(ground.grid_code, ground.grid_township.tolist(), strict=True)}
    quality = nature.quality[[town[code] for code in cases.columns["place"].tolist()]]
    cases = with_courses(cases, quality, seed)
    _csv(desk, cases, "M", "事件_{}.csv", "gb18030", "\r\n", mixed=True)
    tell("visits", 0.50)
    visits = with_files(make_visits(ground, nature, window, seed), seed)
    _parquet(desk, visits, "H", "走访_{}.parquet")
    tell("patrols", 0.60)
    patrols = with_guards(make_patrols(ground, nature, window, seed), ground, window, seed)
    _csv(desk, patrols, "Q", "巡逻_{}.csv", "utf-8-sig", "\n", mixed=False)
    _sites_csv(desk, ground)
    tell("petitions", 0.70)
    petitions = with_forwarding(make_petitions(ground, nature, window, seed), seed)
    petitions_now = _ledgers(desk, petitions, "H", "信访台账_{}.xlsx")
    tell("surveys", 0.76)
    _ndjson(desk, with_redoing(make_surveys(petitions_now, seed), seed), "回访_{}.ndjson")
    tell("disputes", 0.78)
    _ledgers(desk, make_disputes(ground, nature, window, seed), "H", "矛盾纠纷台账_{}.xlsx")
    _ndjson(desk, make_wishes(ground, nature, window, seed), "微心愿_{}.ndjson")
    services = make_services(ground, nature, window, seed)
    _csv(desk, services, "Q", "办实事_{}.csv", "gb18030", "\r\n", mixed=True)
    _ledgers(desk, make_outreach(ground, window, seed), "Y", "宣讲培训台账_{}.xlsx")
    _parquet(desk, make_entries(ground, nature, window, seed), "Y", "平台信息_{}.parquet")
    _ndjson(desk, make_receptions(ground, window, seed), "接访下访_{}.ndjson")
    _ledgers(desk, make_posts(ground, nature, window, seed), "A", "队伍岗位台账{}.xlsx")
    tell("responses", 0.82)
    _ndjson(desk, make_responses(ground, nature, window, seed), "接警_{}.ndjson")
    tell("meetings", 0.85)
    meetings = _ledgers(desk, make_meetings(ground, nature, window, seed), "Y", "月例会台账_{}.xlsx")
    tell("work_items", 0.90)
    _ledgers(desk, make_items(meetings, ground, nature, window, seed), "Y", "议定事项台账_{}.xlsx")

    total = calibration(ground)
    summary = DemoSummary(
        place=place,
        scale=scale,
        seed=seed,
        until=last,
        now=window.now.replace(microsecond=0),
        records=desk.records,
        dirt=desk.dirt,
        files=tuple(desk.files),
        window=window.published,
        meetings=total.meetings,
        items=total.items,
        done=total.done,
        hotspots=tuple(ground.grid_code[g] for g in nature.hot.tolist()),
        emerging=ground.grid_code[nature.emerging],
    )
    left = json.dumps(desk.open, ensure_ascii=False).encode()
    forms.write_aside(folder / "demo_open.json", left)
    report = json.dumps(asdict(summary), ensure_ascii=False, indent=1, default=str).encode() + b"\n"
    forms.write_aside(folder / "demo.json", report)
    tell("done", 1.0)
    return summary


@dataclass(frozen=True)
class _Desk:
    """Where the files go and what has been written so far."""

    inbox: Path
    window: Window
    seed: int
    records: dict[str, int]
    dirt: dict[str, int]
    files: list[str]
    open: dict[str, list[dict[str, Any]]]


def _refuse_foreign(folder: Path) -> None:
    path = folder / "site.toml"
    if not path.exists():
        return
    try:
        synthetic = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("synthetic", False)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        synthetic = False
    if synthetic is not True:
        raise Mistake(str(path), "belongs to a site that is not a demo", "give another folder with --site")


def _clear_earlier(folder: Path) -> None:
    """Take away what an earlier demo left in the inbox: its months may be others."""
    try:
        files = json.loads((folder / "demo.json").read_text(encoding="utf-8")).get("files", [])
    except (OSError, ValueError):
        return
    for name in files:
        (folder / "inbox" / Path(name).name).unlink(missing_ok=True)


def _site_toml(as_of: datetime | None) -> str:
    lines = [
        'name = { zh = "东安县", en = "Dong\'an County" }',
        'home = "431122"',
        f'timezone = "{TIMEZONE}"',
        "synthetic = true",
        f'notice = {{ zh = "{NOTICE.zh}", en = "{NOTICE.en}" }}',
    ]
    if as_of is not None:
        lines.append(f"as_of = {as_of.isoformat(sep=' ')}")
    return "\n".join(lines) + "\n"


def _places_csv(ground: Ground) -> str:
    """County, townships, villages and grids, each with its schematic outline."""
    shapes = ground.mosaic()
    words = forms.wording("places")
    level = {code: spelling[0] for code, spelling in words.spellings["level"].items()}
    kind = {code: spelling[0] for code, spelling in words.spellings["kind"].items()}
    fields = ["code", "parent", "level", "name_zh", "name_en", "kind", "households", "households_to_visit"]
    fields += ["valid_from", "shape", "updated_at"]
    rows = [(ground.county, "", "county", shapes.county)]
    rows += [(t, t.parent, "township", s) for t, s in zip(ground.townships, shapes.townships, strict=True)]
    rows += [(v, v.parent, "village", s) for v, s in zip(ground.villages, shapes.villages, strict=True)]
    lines = [",".join(words.headings[name] for name in fields)]
    tail = '2023-01-01,"{}",2024-01-01 00:00:00'
    for here, parent, at, ring in rows:
        lines.append(
            f"{here.code},{parent},{level[at]},{here.zh},{here.en},,,,{tail.format(ring_text(ring))}"
        )
    for i, code in enumerate(ground.grid_code):
        village, n = ground.villages[ground.village_of[i]], ground.ordinal[i]
        lines.append(
            f"{code},{village.code},{level['grid']},{village.zh}第{n}网格,{village.en} Grid {n},{kind[ground.kind[i]]},"
            f"{ground.households[i]},{ground.to_visit[i]},{tail.format(ring_text(shapes.grids[i]))}"
        )
    return "\n".join(lines) + "\n"


def _period(times: Times, unit: str) -> tuple[Ints, list[str]]:
    """The file each record belongs to, and the files' labels: 202501, 2025Q1, 2025H1, 2025, or one for all."""
    if unit == "A":
        return np.zeros(len(times), dtype=np.int64), [""]
    month = times.astype("datetime64[M]").astype(np.int64)
    size = {"M": 1, "Q": 3, "H": 6, "Y": 12}[unit]
    block = month // size
    first = int(block.min())
    labels = []
    for b in range(first, int(block.max()) + 1):
        year, at = 1970 + b * size // 12, b * size % 12
        labels.append(
            {
                "M": f"{year}{at + 1:02d}",
                "Q": f"{year}Q{at // 3 + 1}",
                "H": f"{year}H{at // 6 + 1}",
                "Y": f"{year}",
            }[unit]
        )
    return block - first, labels


def _prepare(desk: _Desk, life: Life, unit: str) -> tuple[Columns, Sheets, list[str]]:
    """The records known now, spread over files with their dirt, and the files' labels."""
    rows = np.flatnonzero(life.columns[life.born] <= desk.window.cutoff)
    now = life.at(rows, np.full(len(rows), desk.window.cutoff))
    file, labels = _period(now[life.born], unit)
    rng = stream(desk.seed, f"dirt {life.dataset}")
    sheets = scatter(life, now, rows, file, FAULTS[life.dataset], rng)
    desk.records[life.dataset] = len(sheets.file)
    desk.dirt[life.dataset] = sheets.dirt
    return now, sheets, labels


def _note_open(desk: _Desk, life: Life, now: Columns, ended: str) -> None:
    """Note the latest open records in full, for the feed to close."""
    waiting = np.flatnonzero(
        np.isnat(now[ended]) & ~np.isin(now["status"], ["cancelled", "not_accepted", "withdrawn"])
    )
    chosen = take(now, waiting[-OPEN_KEPT[life.dataset] :])
    fields = {
        name: forms.seconds_text(values, "T") if values.dtype.kind == "M" else values.tolist()
        for name, values in chosen.items()
    }
    rows = zip(*fields.values(), strict=True)
    desk.open[life.dataset] = [dict(zip(fields, row, strict=True)) for row in rows]


def _csv(desk: _Desk, life: Life, unit: str, pattern: str, encoding: str, end: str, mixed: bool) -> None:
    now, sheets, labels = _prepare(desk, life, unit)
    if life.dataset == "cases":
        _note_open(desk, life, now, "closed_at")
    texts = forms.text_columns(
        life.dataset, sheets, stream(desk.seed, f"form {life.dataset}") if mixed else None
    )
    for label, (first, last) in zip(labels, forms.slices(sheets, len(labels)), strict=True):
        data = forms.csv_bytes(texts, first, last, encoding, end)
        _put(desk, pattern.format(label), data)


def _ndjson(desk: _Desk, life: Life, pattern: str) -> None:
    _, sheets, labels = _prepare(desk, life, "Y")
    texts = forms.text_columns(life.dataset, sheets, None, seconds=True)
    for label, (first, last) in zip(labels, forms.slices(sheets, len(labels)), strict=True):
        _put(desk, pattern.format(label), forms.ndjson_bytes(texts, first, last))


def _sites_csv(desk: _Desk, ground: Ground) -> None:
    """The register of key sites, as it stands: it is short, and kept by hand."""
    columns = key_sites(ground)
    n = len(columns["site_id"])
    texts = forms.text_columns("key_sites", Sheets(columns, np.zeros(n, dtype=np.int64), {}, 0), None)
    _put(desk, "重点部位.csv", forms.csv_bytes(texts, 0, n, "utf-8-sig", "\n"))
    desk.records["key_sites"] = n


def _parquet(desk: _Desk, life: Life, unit: str, pattern: str) -> None:
    _, sheets, labels = _prepare(desk, life, unit)
    for label, (first, last) in zip(labels, forms.slices(sheets, len(labels)), strict=True):
        _put(desk, pattern.format(label), forms.parquet_bytes(forms.parquet_table(sheets, first, last)))


def _ledgers(desk: _Desk, life: Life, unit: str, pattern: str) -> Columns:
    """Write the ledgers of a dataset; returns its records as they are known now."""
    now, sheets, labels = _prepare(desk, life, unit)
    if life.dataset == "petitions":
        _note_open(desk, life, now, "closed_at")
    if life.dataset == "work_items":
        _note_open(desk, life, now, "done_at")
    rng = stream(desk.seed, f"form {life.dataset}")
    for label, (first, last) in zip(labels, forms.slices(sheets, len(labels)), strict=True):
        _put(
            desk,
            pattern.format(label),
            forms.ledger_bytes(life.dataset, sheets, first, last, desk.window.until, rng),
        )
    return now


def _put(desk: _Desk, name: str, data: bytes) -> None:
    forms.write_aside(desk.inbox / name, data)
    desk.files.append(name)


__all__ = ["DemoSummary", "write_demo"]
