"""The live feed of the demo: every second or two one small file lands in the inbox, as offices' systems send them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np

from pipelines.demo import forms
from pipelines.demo.cases import CATEGORIES, CHANNEL_SHARE, CHANNELS, DEPARTMENT, SUBCATEGORIES, TIERS
from pipelines.demo.dirt import Sheets
from pipelines.demo.ground import Scale, make_ground
from pipelines.demo.petitions import CATEGORIES as PETITION_CATEGORIES
from pipelines.demo.petitions import UNIT
from pipelines.demo.plans import PLANS
from pipelines.demo.table import Columns
from warehouse.mistake import Mistake
from warehouse.site import Site

Record = dict[str, Any]
"""One record, field → text or whole number; times as ISO texts to the second, '' where unknown."""

ROTATION = (
    "cases",
    "responses",
    "cases",
    "visits",
    "cases",
    "petitions",
    "cases",
    "patrols",
    "surveys",
    "work_items",
)
KEPT = 400
COURSE: Record = {
    "team": "", "valid": "", "signed_at": "", "return_reason": "", "verified_at": "", "verification": "", "urged": 0,
    "supervised_at": "", "supervised_due_at": "", "supervised_done_at": "", "whistled_at": "", "arrived_at": "",
    "followed_up_at": "", "follow_up_valid": "", "contacted": "", "solved": "", "satisfaction": "",
}  # fmt: skip
"""What may happen to a case later on; nothing yet."""


def feed(site: Site, seed: int, stop: threading.Event, every: float = 1.5) -> None:
    """Drop a file into the inbox every `every` seconds until `stop` is set. Needs a site written by `write_demo`."""
    drops = Drops(site, seed)
    while not stop.is_set():
        drops.drop()
        stop.wait(every)


class Drops:
    """Makes one small file after the other.

    New records happen now, by the site's clock; corrections carry on what the demo, or an earlier drop, left open.
    What is still open stands in `demo_open.json`, so that a feed started anew goes on where the last one stopped.
    Items agreed in the calibrated year stay as they are: its totals are the published ones.
    """

    def __init__(self, site: Site, seed: int) -> None:
        """Raises Mistake when the folder holds no demo."""
        self.site = site
        try:
            report = json.loads((site.folder / "demo.json").read_text(encoding="utf-8"))
            self.open: dict[str, list[Record]] = json.loads(
                (site.folder / "demo_open.json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError) as error:
            raise Mistake(
                str(site.folder / "demo.json"), f"no demo here: {error}", "run 'nerve demo' first"
            ) from error
        grounds = [make_ground(cast(Scale, report["scale"]), PLANS[name]) for name in report["places"]]
        self.codes = [code for ground in grounds for code in ground.grid_code]
        self.households = np.concatenate([ground.households for ground in grounds])
        self.governments = [
            ground.governments[t] for ground in grounds for t in ground.grid_township.tolist()
        ]
        self.offices = [ground.plan.office for ground in grounds for _ in ground.grid_code]
        self.calibrated_to = date.fromisoformat(report["window"][1])
        weight = self.households.astype(np.float64)
        for code in (*report["hotspots"], *report["emerging"]):
            weight[self.codes.index(code)] *= 4.0
        self.weight = weight / weight.sum()
        started = datetime.now(UTC)
        self.rng = np.random.default_rng([seed, int(started.timestamp() * 1e6)])
        self.stamp = started.strftime("%Y%m%d%H%M%S%f")[2:16]
        self.count = 0
        self.rated: list[Record] = []
        self.turn = 0

    def drop(self) -> Path:
        """Write the next file; returns its path."""
        while True:
            dataset = ROTATION[self.turn % len(ROTATION)]
            self.turn += 1
            records = self._make(dataset)
            if records:
                path = self._write(dataset, records)
                self._remember()
                return path

    def _make(self, dataset: str) -> list[Record]:
        makers: dict[str, Callable[[datetime], list[Record]]] = {
            "cases": self._cases,
            "petitions": self._petitions,
            "responses": self._responses,
            "patrols": self._patrols,
            "visits": self._visits,
            "surveys": self._surveys,
            "work_items": self._work_items,
        }
        return makers[dataset](self.site.now().replace(microsecond=0))

    def _key(self, prefix: str) -> str:
        """A key no earlier feed has given: its start and a running number."""
        self.count += 1
        return f"{prefix}L{self.stamp}{self.count:05d}"

    def _grid(self) -> int:
        return int(self.rng.choice(len(self.weight), p=self.weight))

    def _any(self, options: tuple[str, ...] | list[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def _take(self, dataset: str, count: int) -> list[Record]:
        """Some open records, taken off the list."""
        waiting = self.open.setdefault(dataset, [])
        return [waiting.pop(int(self.rng.integers(len(waiting)))) for _ in range(min(count, len(waiting)))]

    def _keep(self, dataset: str, records: list[Record]) -> None:
        waiting = self.open.setdefault(dataset, [])
        waiting.extend(dict(record) for record in records)
        del waiting[:-KEPT]

    def _cases(self, now: datetime) -> list[Record]:
        fresh = []
        for _ in range(int(self.rng.integers(1, 3))):
            grid, tier = self._grid(), int(self.rng.choice(4, p=[0.3, 0.34, 0.26, 0.1]))
            category = self._any(CATEGORIES[:8])
            key, subcategory = self._key("SJ"), self._any(SUBCATEGORIES[category])
            reported = now - timedelta(seconds=int(self.rng.integers(1, 40)))
            dispatched = self.rng.random() < 0.6
            fresh.append(
                {
                    "case_id": key,
                    "place": self.codes[grid],
                    "category": category,
                    "subcategory": subcategory,
                    "channel": str(self.rng.choice(CHANNELS, p=CHANNEL_SHARE)),
                    "unit": self.offices[grid] + DEPARTMENT[category]
                    if tier == 3
                    else self.governments[grid],
                    "status": "dispatched" if dispatched else "filed",
                    "matter_key": f"M{key}",
                    "_text": f"{subcategory}问题。请核实处理。",
                    "reported_at": _iso(reported),
                    "filed_at": _iso(now),
                    "dispatched_at": _iso(now) if dispatched else "",
                    "due_at": _iso(now + timedelta(days=(1, 3, 5, 10)[tier])),
                    "extended_due_at": "",
                    "suspended_from": "",
                    "suspended_to": "",
                    "resolved_at": "",
                    "closed_at": "",
                    "closed_tier": "",
                    "cancelled_at": "",
                    "returned": 0,
                    "reworked": 0,
                    **COURSE,
                    "updated_at": _iso(now),
                }
            )
        closed = self._take("cases", int(self.rng.integers(1, 4)))
        for record in closed:
            for name in ("filed_at", "dispatched_at", "resolved_at"):
                record[name] = record[name] or _iso(now)
            record["due_at"] = record["due_at"] or _iso(now + timedelta(days=3))
            if record["suspended_from"] and not record["suspended_to"]:
                record["suspended_to"] = _iso(now)
            at_tier = str(self.rng.choice(TIERS, p=[0.3, 0.34, 0.26, 0.1]))
            record |= {
                "status": "closed",
                "closed_at": _iso(now),
                "closed_tier": at_tier,
                "updated_at": _iso(now),
            }
            self._rate("case", record["case_id"], record["place"], "", now)
        self._keep("cases", fresh)
        return closed + fresh

    def _petitions(self, now: datetime) -> list[Record]:
        topic, grid, key = int(self.rng.integers(len(PETITION_CATEGORIES))), self._grid(), self._key("XF")
        fresh: Record = {
            "petition_id": key,
            "place": self.codes[grid],
            "category": PETITION_CATEGORIES[topic],
            "channel": self._any(["visit", "online", "phone", "letter"]),
            "kind": "first",
            "route": "petition",
            "unit": self.offices[grid] + str(UNIT[topic]),
            "status": "registered",
            "people": 1,
            "matter_key": key,
            "batches": 0,
            "service_window": "",
            "reception_kind": "",
            "forwarded_at": "",
            "resolved_at": "",
            "registered_at": _iso(now - timedelta(seconds=int(self.rng.integers(1, 60)))),
            "received_at": "",
            "accepted_at": "",
            "extended_at": "",
            "replied_at": "",
            "closed_at": "",
            "updated_at": _iso(now),
        }
        closed = self._take("petitions", 1)
        for record in closed:
            for name in ("received_at", "accepted_at", "replied_at"):
                record[name] = record[name] or _iso(now)
            record |= {"status": "closed", "closed_at": _iso(now), "updated_at": _iso(now)}
            if record["kind"] == "first" and record["route"] in ("petition", "suggestion"):
                self._rate("petition", record["petition_id"], record["place"], "first", now)
        self._keep("petitions", [fresh])
        return [*closed, fresh]

    def _rate(self, subject: str, key: str, place: str, kind: str, closed: datetime) -> None:
        """Remember a matter just closed, for the ratings to come."""
        self.rated.append(
            {"subject": subject, "subject_id": key, "place": place, "kind": kind, "closed_at": _iso(closed)}
        )
        del self.rated[:-50]

    def _surveys(self, now: datetime) -> list[Record]:
        petitions = [r for r in self.rated if r["subject"] == "petition"]
        if not petitions:
            return []
        matter = petitions[0]
        self.rated.remove(matter)
        ratings = ["5", "4", "5", "3", "4", "2", "未评价"]
        return [
            {
                "answer_id": self._key("HF"),
                "place": matter["place"],
                "subject": matter["subject"],
                "subject_id": matter["subject_id"],
                "kind": matter["kind"],
                "rated_body": body,
                "rating": self._any(ratings),
                "closed_at": matter["closed_at"],
                "answered_at": _iso(now),
                "updated_at": _iso(now),
            }
            for body in ("department", "unit")
        ]

    def _visits(self, now: datetime) -> list[Record]:
        grid = self._grid()
        need = bool(self.rng.random() < 0.1)
        return [
            {
                "visit_id": self._key("ZF"),
                "place": self.codes[grid],
                "household_key": f"H{self.codes[grid]}{number:03d}",
                "result": "need" if need else "normal",
                "needs_noted": int(need),
                "needs_closed": 0,
                "file_refreshed": 1,
                "visited_at": _iso(now - timedelta(seconds=int(self.rng.integers(1, 600)))),
                "updated_at": _iso(now),
            }
            for number in self.rng.choice(np.arange(1, self.households[grid] + 1), 2, replace=False).tolist()
        ]

    def _patrols(self, now: datetime) -> list[Record]:
        """One shift that has just begun and one that has just ended."""
        records = []
        for begun, length in ((0.1, 3.0), (3.05, 3.0)):
            start = now - timedelta(hours=begun)
            records.append(
                {
                    "patrol_id": self._key("XL"),
                    "place": self.codes[self._grid()],
                    "team_kind": self._any(["auxiliary", "volunteer", "police", "joint"]),
                    "shift": "day" if 6 <= now.hour < 18 else "night",
                    "planned_start": _iso(start),
                    "planned_end": _iso(start + timedelta(hours=length)),
                    "started_at": _iso(start + timedelta(minutes=2)),
                    "ended_at": _iso(now) if begun > length else "",
                    "issues": int(self.rng.poisson(0.2)) if begun > length else 0,
                    "updated_at": _iso(now),
                }
            )
        return records

    def _responses(self, now: datetime) -> list[Record]:
        """An alarm of some minutes ago whose team has arrived; an earlier one is now under control."""
        minutes = float(np.clip(self.rng.lognormal(2.1, 0.4), 3, 28))
        alarm = now - timedelta(minutes=minutes)
        fresh: Record = {
            "response_id": self._key("JC"),
            "place": self.codes[self._grid()],
            "kind": self._any(["fire", "traffic", "security", "missing", "other"]),
            "alarm_at": _iso(alarm),
            "dispatched_at": _iso(alarm + timedelta(seconds=60)),
            "arrived_at": _iso(now),
            "controlled_at": "",
            "updated_at": _iso(now),
        }
        ended = [
            record | {"controlled_at": _iso(now), "updated_at": _iso(now)}
            for record in self._take("responses", 1)
        ]
        self._keep("responses", [fresh])
        return [*ended, fresh]

    def _work_items(self, now: datetime) -> list[Record]:
        """Items of this year's meetings get done."""
        later = [
            r for r in self.open.get("work_items", []) if r["held_at"][:10] > self.calibrated_to.isoformat()
        ]
        self.open["work_items"] = later
        done = self._take("work_items", 1)
        return [r | {"status": "done", "done_at": _iso(now), "updated_at": _iso(now)} for r in done]

    def _write(self, dataset: str, records: list[Record]) -> Path:
        sheets = Sheets(_columns(records), np.zeros(len(records), dtype=np.int64), {}, 0)
        name = f"实时{self.stamp}_{self.turn:06d}"
        inbox, last = self.site.inbox, len(records)
        inbox.mkdir(parents=True, exist_ok=True)
        if dataset in ("petitions", "work_items"):
            path = inbox / f"{'信访台账' if dataset == 'petitions' else '议定事项台账'}_{name}.xlsx"
            made = self.site.now().date()
            data = forms.ledger_bytes(dataset, self.site.name.zh, sheets, 0, last, made, self.rng)
        elif dataset == "visits":
            path = inbox / f"走访_{name}.parquet"
            data = forms.parquet_bytes(forms.parquet_table(sheets, 0, last))
        else:
            texts = forms.text_columns(dataset, sheets, None, seconds=True)
            if dataset in ("surveys", "responses"):
                path = inbox / f"{'回访' if dataset == 'surveys' else '接警'}_{name}.ndjson"
                data = forms.ndjson_bytes(texts, 0, last)
            elif dataset == "cases":
                path, data = inbox / f"事件_{name}.csv", forms.csv_bytes(texts, 0, last, "gb18030", "\r\n")
            else:
                path, data = inbox / f"巡逻_{name}.csv", forms.csv_bytes(texts, 0, last, "utf-8-sig", "\n")
        forms.write_aside(path, data)
        return path

    def _remember(self) -> None:
        text = json.dumps(self.open, ensure_ascii=False)
        forms.write_aside(self.site.folder / "demo_open.json", text.encode())


def _iso(at: datetime) -> str:
    return at.replace(microsecond=0).isoformat()


def _columns(records: list[Record]) -> Columns:
    columns: Columns = {}
    for name in records[0]:
        values = [record[name] for record in records]
        if name.endswith("_at") or name in ("planned_start", "planned_end", "suspended_from", "suspended_to"):
            columns[name] = np.array([v or "NaT" for v in values], dtype="datetime64[s]")
        elif isinstance(values[0], int):
            columns[name] = np.array(values, dtype=np.int64)
        else:
            columns[name] = np.array(values, dtype=object)
    return columns
