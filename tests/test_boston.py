"""A second city loads through contracts alone: counts against a plain reading of its file."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from pipelines.load import load_once
from warehouse.site import load_site
from warehouse.store import Store

BOSTON = Path(__file__).parent.parent / "examples" / "boston"
UNSTATED = "2507000-99"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("boston") / "site"
    shutil.copytree(BOSTON, folder)
    shutil.copytree(folder / "data", folder / "inbox")
    site = load_site(folder)
    with Store.open(site) as store:
        loaded = {result.file: result for result in load_once(site, store)}
        assert {name: result.status for name, result in loaded.items()} == {
            "places.csv": "loaded",
            "boston311.csv": "loaded",
        }
        yield store


@pytest.fixture(scope="module")
def requests() -> list[dict[str, str]]:
    with (BOSTON / "data" / "boston311.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    return store.connection.execute(sql).fetchall()


def test_all_2000_requests_are_kept_or_quarantined_and_only_blank_neighbourhoods_are_not_kept(
    store: Store, requests: list[dict[str, str]]
) -> None:
    blank = sum(1 for request in requests if not request["neighborhood"].strip())
    assert rows(store, "select read, kept, quarantined from batches where source = 'cases'") == [
        (2000, 2000 - blank, blank)
    ]
    assert rows(store, "select reasons, count(*) from quarantine group by reasons") == [
        (["required:place"], blank)
    ]


def test_counts_per_neighbourhood_equal_a_plain_count(store: Store, requests: list[dict[str, str]]) -> None:
    with (BOSTON / "data" / "places.csv").open(encoding="utf-8", newline="") as file:
        codes = {row["source_code"] or row["name_en"]: row["code"] for row in csv.DictReader(file)}
    expected = Counter(codes[r["neighborhood"].strip()] for r in requests if r["neighborhood"].strip())
    found = rows(store, "select place, count(*) from rec_cases group by place")
    assert {row[0]: row[1] for row in found} == expected
    assert expected[UNSTATED] == 78
    assert set(expected) | {"2507000"} == {str(row[0]) for row in rows(store, "select code from rec_places")}


def test_times_channels_and_units_are_those_of_the_source(
    store: Store, requests: list[dict[str, str]]
) -> None:
    def time(text: str) -> datetime | None:
        return datetime.fromisoformat(text) if text else None

    expected = {
        r["CASE_ENQUIRY_ID"]: (
            time(r["OPEN_DT"]),
            time(r["OPEN_DT"]),
            time(r["TARGET_DT"]),
            time(r["CLOSED_DT"]),
        )
        for r in requests
        if r["neighborhood"].strip()
    }
    found = rows(store, "select case_id, reported_at, filed_at, due_at, closed_at from rec_cases")
    assert {row[0]: row[1:] for row in found} == expected
    assert rows(
        store, "select count(*) from rec_cases where updated_at <> closed_at or status <> 'closed'"
    ) == [(0,)]
    hotline = sum(1 for r in requests if r["Source"] == "Constituent Call" and r["neighborhood"].strip())
    assert rows(store, "select count(*) from rec_cases where channel = 'hotline'") == [(hotline,)]
    assert rows(store, "select count(*) from rec_cases where unit like '%\\_%' escape '\\'") == [(0,)]


def test_free_text_addresses_and_positions_are_nowhere_in_the_warehouse(
    store: Store, requests: list[dict[str, str]]
) -> None:
    held = repr(rows(store, "select * from rec_cases")) + repr(rows(store, "select * from quarantine"))
    for request in requests:
        for heading in ("CLOSURE_REASON", "LOCATION_STREET_NAME", "LATITUDE", "Geocoded_Location"):
            text = request[heading].strip()
            assert len(text) < 8 or text not in held


def test_what_the_source_does_not_deliver_is_not_mapped(store: Store) -> None:
    mapped = store.datasets["cases"].mapped
    assert {"case_id", "place", "category", "filed_at", "due_at", "closed_at"} <= set(mapped)
    assert not {"dispatched_at", "reworked", "closed_tier", "matter_key"} & set(mapped)
