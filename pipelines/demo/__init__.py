"""The demo: five real places with synthetic records, 24 months of them in files as offices send them."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from pipelines.demo import forms
from pipelines.demo.cases import Character, character, make_cases, with_fewest_demands
from pipelines.demo.courses import (
    with_all_resolved,
    with_courses,
    with_files,
    with_forwarding,
    with_redoing,
)
from pipelines.demo.days import Ints, Times, Window, stream
from pipelines.demo.dirt import UNKNOWN_GRIDS, Fault, Sheets, scatter
from pipelines.demo.duties import make_patrols, make_responses, make_visits
from pipelines.demo.ground import Ground, Scale, make_ground
from pipelines.demo.groups import five_csv, groups_csv
from pipelines.demo.meetings import calibration, make_items, make_meetings
from pipelines.demo.micro import MicroGrids, make_micro_grids, refiled
from pipelines.demo.mosaic import Mosaic, beside, ring_text
from pipelines.demo.petitions import make_petitions, make_surveys
from pipelines.demo.plans import ALL, DONGAN, FIVE, FIVE_NAME, PLANS, Plan
from pipelines.demo.posts import key_sites, make_posts, with_guards
from pipelines.demo.residents import (
    make_disputes,
    make_entries,
    make_outreach,
    make_receptions,
    make_services,
    make_wishes,
)
from pipelines.demo.table import Columns, Life, take, texts
from warehouse.mistake import Mistake, nearest
from warehouse.text import Text

TIMEZONE = "Asia/Shanghai"
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

    `places`: the names of their plans. `records`: rows per dataset, dirt included; `dirt`: rows of them that are
    faulty, repeated, corrected later, late or out of order. `window`: the published window, moved to the last
    complete year; `meetings`, `items`, `done`: what loading must find in it, in all places together. `hotspots`,
    `emerging`: grids that truly stand out.
    """

    places: tuple[str, ...]
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
    emerging: tuple[str, ...]


def write_demo(
    folder: Path,
    place: str = "dongan",
    seed: int = 20260101,
    until: date | None = None,
    scale: Scale = "full",
    progress: Progress | None = None,
    now: datetime | None = None,
) -> DemoSummary:
    """Write a demo site of one place, or with `place` "all" of the five: `folder/site.toml`, `folder/demo.json` and
    the source files in `folder/inbox`.

    A pure function of (place, seed, until, scale) and, for a running day, `now` (the site's local time; default: its clock).
    An `until` that is not today stops the site's clock at its last second. Files of an earlier demo in this inbox are
    replaced. Raises Mistake for an unknown place, for a small world of any but Dong'an, and for a folder whose site
    is not synthetic.
    """
    if place not in (*PLANS, ALL):
        raise Mistake("nerve demo", f"unknown place '{place}'", nearest(place, (*PLANS, ALL)))
    if scale == "small" and place != DONGAN.name:
        raise Mistake("nerve demo", f"no small world of '{place}'", "leave --scale out, or make dongan")
    plans = tuple(PLANS.values()) if place == ALL else (PLANS[place],)
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
    stopped = window.now if frozen else None
    forms.write_aside(folder / "site.toml", _site_toml(plans, stopped).encode())

    tell("places", 0.0)
    grounds = [make_ground(scale, plan) for plan in plans]
    natures = [character(ground, seed) for ground in grounds]
    desk = _Desk(inbox, window, seed, Counter(), Counter(), [], {})
    for ground, shapes in zip(grounds, beside([ground.mosaic() for ground in grounds]), strict=True):
        _put_places(desk, ground, shapes)
    if len(plans) > 1:
        _put(desk, f"片区_{FIVE_NAME.zh}.csv", five_csv([plan.code for plan in plans]).encode("utf-8-sig"))
        desk.records["place_groups"] += len(plans)
    # A place takes its share of the time by its grids.
    work = np.cumsum([0, *(len(ground.grid_code) for ground in grounds)])
    for i, (ground, nature) in enumerate(zip(grounds, natures, strict=True)):
        begun, part = float(work[i] / work[-1]), float((work[i + 1] - work[i]) / work[-1])
        _put_records(desk, ground, nature, partial(_told, tell, begun, part))

    totals = [calibration(ground) for ground in grounds]
    pairs = list(zip(grounds, natures, strict=True))
    summary = DemoSummary(
        places=tuple(plan.name for plan in plans),
        scale=scale,
        seed=seed,
        until=last,
        now=window.now.replace(microsecond=0),
        records=dict(desk.records),
        dirt=dict(desk.dirt),
        files=tuple(desk.files),
        window=window.published,
        meetings=sum(total.meetings for total in totals),
        items=sum(total.items for total in totals),
        done=sum(total.done for total in totals),
        hotspots=tuple(ground.grid_code[g] for ground, nature in pairs for g in nature.hot.tolist()),
        emerging=tuple(ground.grid_code[nature.emerging] for ground, nature in pairs),
    )
    left = json.dumps(desk.open, ensure_ascii=False).encode()
    forms.write_aside(folder / "demo_open.json", left)
    report = json.dumps(asdict(summary), ensure_ascii=False, indent=1, default=str).encode() + b"\n"
    forms.write_aside(folder / "demo.json", report)
    tell("done", 1.0)
    return summary


def _told(tell: Progress, begun: float, part: float, stage: str, share: float) -> None:
    tell(stage, begun + part * share)


@dataclass(frozen=True)
class _Desk:
    """Where the files go, whose they are, and what has been written so far."""

    inbox: Path
    window: Window
    seed: int
    records: Counter[str]
    dirt: Counter[str]
    files: list[str]
    open: dict[str, list[dict[str, Any]]]
    plan: Plan = DONGAN

    def named(self, pattern: str, label: str = "") -> str:
        """A file's name: of places other than Dong'an it holds the place's."""
        place = self.plan.label.zh if self.plan.tag else ""
        return pattern.format("_".join(part for part in (place, label) if part))

    def span(self, unit: str) -> str:
        """How much time a file covers: Dong'an sends several a dataset, the others one each."""
        return unit if self.plan is DONGAN else "A"


def _put_records(desk: _Desk, ground: Ground, nature: Character, tell: Progress) -> None:
    """Write all records of one place."""
    plan, window, seed = ground.plan, desk.window, desk.seed
    desk = replace(desk, plan=plan)
    micro = make_micro_grids(ground, window)

    def filed(life: Life, *refers: str) -> Life:
        """As the place's office files it: under its micro-grids, with its own numbers."""
        return _numbered(refiled(life, micro, seed), plan.tag, refers)

    tell("cases", 0.12)
    cases = with_fewest_demands(make_cases(ground, nature, window, seed), ground)
    town = {code: t for code, t in zip(ground.grid_code, ground.grid_township.tolist(), strict=True)}
    quality = nature.quality[[town[code] for code in cases.columns["place"].tolist()]]
    cases = filed(with_courses(cases, quality, seed), "matter_key")
    _csv(desk, cases, "M", "事件_{}.csv", "gb18030", "\r\n", mixed=True)
    tell("visits", 0.50)
    _parquet(desk, filed(with_files(make_visits(ground, nature, window, seed), seed)), "H", "走访_{}.parquet")
    tell("patrols", 0.60)
    patrols = with_guards(make_patrols(ground, nature, window, seed), ground, window, seed)
    _csv(desk, filed(patrols), "Q", "巡逻_{}.csv", "utf-8-sig", "\n", mixed=False)
    _sites_csv(desk, ground)
    tell("petitions", 0.70)
    longer = replace(window, length=plan.months)
    petitions = with_forwarding(make_petitions(ground, nature, longer, seed), seed)
    petitions = filed(with_all_resolved(petitions, plan.resolved), "matter_key")
    petitions_now = _ledgers(desk, petitions, "H", "信访台账_{}.xlsx")
    tell("surveys", 0.76)
    surveys = with_redoing(make_surveys(petitions_now, plan, window, seed), seed)
    _ndjson(desk, _numbered(surveys, plan.tag), "回访_{}.ndjson")
    tell("disputes", 0.78)
    disputes = filed(make_disputes(ground, nature, window, seed), "dispute_id")
    _ledgers(desk, disputes, "H", "矛盾纠纷台账_{}.xlsx")
    _ndjson(desk, filed(make_wishes(ground, nature, window, seed)), "微心愿_{}.ndjson")
    services = filed(make_services(ground, nature, window, seed))
    _csv(desk, services, "Q", "办实事_{}.csv", "gb18030", "\r\n", mixed=True)
    _ledgers(desk, filed(make_outreach(ground, window, seed)), "Y", "宣讲培训台账_{}.xlsx")
    _parquet(desk, filed(make_entries(ground, nature, window, seed)), "Y", "平台信息_{}.parquet")
    _ndjson(desk, filed(make_receptions(ground, window, seed)), "接访下访_{}.ndjson")
    posts = make_posts(ground, micro, nature, window, seed)
    _ledgers(desk, _numbered(posts, plan.tag), "A", "队伍岗位台账{}.xlsx")
    tell("responses", 0.82)
    _ndjson(desk, filed(make_responses(ground, nature, window, seed)), "接警_{}.ndjson")
    tell("meetings", 0.85)
    meetings = _ledgers(desk, make_meetings(ground, nature, window, seed), "Y", "月例会台账_{}.xlsx")
    tell("work_items", 0.90)
    items = make_items(meetings, ground, nature, window, seed)
    _ledgers(desk, _numbered(items, plan.tag), "Y", "议定事项台账_{}.xlsx")


def _numbered(life: Life, tag: str, refers: Sequence[str] = ()) -> Life:
    """The records with the place's tag in their numbers, and in those they refer to: five places, one warehouse."""
    if not tag:
        return life
    marked = {
        name: texts([f"{key[:2]}{tag}{key[2:]}" for key in life.columns[name].tolist()])
        for name in (life.key, *refers)
    }
    return replace(life, columns=life.columns | marked)


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


def _site_toml(plans: Sequence[Plan], as_of: datetime | None) -> str:
    home, name = (plans[0].code, plans[0].label) if len(plans) == 1 else (FIVE, FIVE_NAME)
    lines = [
        f'name = {{ zh = "{name.zh}", en = "{name.en}" }}',
        f'home = "{home}"',
        f'timezone = "{TIMEZONE}"',
        "synthetic = true",
        f'notice = {{ zh = "{NOTICE.zh}", en = "{NOTICE.en}" }}',
    ]
    if as_of is not None:
        lines.append(f"as_of = {as_of.isoformat(sep=' ')}")
    return "\n".join(lines) + "\n"


def _put_places(desk: _Desk, ground: Ground, shapes: Mosaic) -> None:
    """The register of a place's places, and of its place groups where there are any."""
    desk = replace(desk, plan=ground.plan)
    text = _places_csv(ground, make_micro_grids(ground, desk.window), shapes, desk.window)
    _put(
        desk, desk.named("区划网格_{}.csv" if ground.plan.tag else "区划网格{}.csv"), text.encode("utf-8-sig")
    )
    desk.records["places"] += text.count("\n") - 1
    if ground.plan.areas:
        text = groups_csv(ground)
        _put(desk, desk.named("片区_{}.csv"), text.encode("utf-8-sig"))
        desk.records["place_groups"] += text.count("\n") - 1


_SINCE, _LISTED = "2023-01-01", "2024-01-01 00:00:00"


def _places_csv(ground: Ground, micro: MicroGrids, shapes: Mosaic, window: Window) -> str:
    """The county, where it is one, townships, villages and grids with their schematic outlines, and micro-grids."""
    words = forms.wording("places")
    level = {code: spelling[0] for code, spelling in words.spellings["level"].items()}
    kind = {code: spelling[0] for code, spelling in words.spellings["kind"].items()}
    fields = ["code", "parent", "level", "name_zh", "name_en", "kind", "households", "households_to_visit"]
    fields += ["valid_from", "shape", "updated_at"]
    towns = list(zip(ground.townships, shapes.townships, strict=True))
    if ground.top in ground.townships:
        rows = [(t, "", "township", s) for t, s in towns]
    else:
        rows = [(ground.top, "", "county", shapes.county), *((t, t.parent, "township", s) for t, s in towns)]
    rows += [(v, v.parent, "village", s) for v, s in zip(ground.villages, shapes.villages, strict=True)]
    lines = [",".join(words.headings[name] for name in fields)]
    tail = f'{_SINCE if ground.plan is DONGAN else window.begun},"{{}}",{_LISTED}'
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
    since = str(micro.since or window.begun)
    for code, g, n, homes in zip(
        micro.codes, micro.grid.tolist(), micro.number.tolist(), micro.households.tolist(), strict=True
    ):
        village, grid = ground.villages[ground.village_of[g]], ground.ordinal[g]
        lines.append(
            f"{code},{ground.grid_code[g]},{level['micro_grid']},{village.zh}第{grid}网格第{n}微网格,"
            f"{village.en} Grid {grid} Micro-grid {n},,{homes},,{since},,{max(f'{since} 00:00:00', _LISTED)}"
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
    file, labels = _period(now[life.born], desk.span(unit))
    rng = stream(desk.seed, f"dirt {life.dataset}{desk.plan.tag}")
    sheets = scatter(life, now, rows, file, FAULTS[life.dataset], rng)
    desk.records[life.dataset] += len(sheets.file)
    desk.dirt[life.dataset] += sheets.dirt
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
    desk.open.setdefault(life.dataset, []).extend(dict(zip(fields, row, strict=True)) for row in rows)


def _csv(desk: _Desk, life: Life, unit: str, pattern: str, encoding: str, end: str, mixed: bool) -> None:
    now, sheets, labels = _prepare(desk, life, unit)
    if life.dataset == "cases":
        _note_open(desk, life, now, "closed_at")
    texts = forms.text_columns(
        life.dataset, sheets, stream(desk.seed, f"form {life.dataset}") if mixed else None
    )
    for label, (first, last) in zip(labels, forms.slices(sheets, len(labels)), strict=True):
        data = forms.csv_bytes(texts, first, last, encoding, end)
        _put(desk, desk.named(pattern, label), data)


def _ndjson(desk: _Desk, life: Life, pattern: str) -> None:
    _, sheets, labels = _prepare(desk, life, "Y")
    texts = forms.text_columns(life.dataset, sheets, None, seconds=True)
    for label, (first, last) in zip(labels, forms.slices(sheets, len(labels)), strict=True):
        _put(desk, desk.named(pattern, label), forms.ndjson_bytes(texts, first, last))


def _sites_csv(desk: _Desk, ground: Ground) -> None:
    """The register of key sites, as it stands: it is short, and kept by hand."""
    columns = key_sites(ground)
    n = len(columns["site_id"])
    texts = forms.text_columns("key_sites", Sheets(columns, np.zeros(n, dtype=np.int64), {}, 0), None)
    _put(desk, desk.named("重点部位{}.csv"), forms.csv_bytes(texts, 0, n, "utf-8-sig", "\n"))
    desk.records["key_sites"] += n


def _parquet(desk: _Desk, life: Life, unit: str, pattern: str) -> None:
    _, sheets, labels = _prepare(desk, life, unit)
    for label, (first, last) in zip(labels, forms.slices(sheets, len(labels)), strict=True):
        _put(desk, desk.named(pattern, label), forms.parquet_bytes(forms.parquet_table(sheets, first, last)))


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
            desk.named(pattern, label),
            forms.ledger_bytes(life.dataset, desk.plan.label.zh, sheets, first, last, desk.window.until, rng),
        )
    return now


def _put(desk: _Desk, name: str, data: bytes) -> None:
    forms.write_aside(desk.inbox / name, data)
    desk.files.append(name)


__all__ = ["DemoSummary", "write_demo"]
