"""Figures that offices published with their counts come out exactly when fed as records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.world import GRIDS, datasets, world
from warehouse.catalogue import catalogue
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Value
from warehouse.viewer import Viewer

REPORTED, DUE, CLOSED, LATE = (
    datetime(2026, 1, 2, 8),
    datetime(2026, 1, 9, 8),
    datetime(2026, 1, 6, 8),
    datetime(2026, 1, 20, 8),
)
YEAR = Period(datetime(2026, 1, 1).date(), datetime(2026, 12, 31).date())
FILED = {"reported_at": REPORTED, "filed_at": REPORTED, "due_at": DUE}
AGREED = {"held_at": REPORTED, "due_at": DUE, "meeting_id": "t1", "owner": "村委会"}

PUBLISHED: list[tuple[str, str, int, int, str, dict[str, Any], dict[str, Any]]] = [
    ("closing_rate", "cases", 43_523, 52_434, "83.01", FILED | {"closed_at": LATE}, FILED),
    (
        "on_time_closing_rate",
        "cases",
        737,
        972,
        "75.82",
        FILED | {"closed_at": CLOSED},
        FILED | {"closed_at": LATE},
    ),
    ("extension_rate", "cases", 101, 18_086, "0.56", FILED | {"extended_due_at": LATE}, FILED),
    ("meeting_item_completion", "work_items", 3_930, 4_316, "91.06", AGREED | {"done_at": LATE}, AGREED),
    ("on_time_closing_rate", "cases", 51_229, 51_571, "99.34", FILED | {"closed_at": CLOSED}, FILED),
]


@pytest.mark.parametrize(("name", "table", "n", "d", "printed", "hit", "miss"), PUBLISHED)
def test_a_published_figure_comes_out_of_its_records(
    name: str, table: str, n: int, d: int, printed: str, hit: dict[str, Any], miss: dict[str, Any]
) -> None:
    key = datasets()[table].key
    rows = [{key: f"r{k:06}", "place": GRIDS[k % 4], **(hit if k < n else miss)} for k in range(d)]
    names = {"places", "place_groups", *catalogue().reads(table)}
    known = {name: dataset for name, dataset in datasets().items() if name in names}
    version = world({table: rows}, datetime(2026, 12, 31), known=known)
    (cell,) = query(version, Viewer("K"), [name], "K", [YEAR])
    assert isinstance(cell.result, Value)
    assert (cell.result.n, cell.result.d) == (n, d)
    assert f"{cell.result.value * 100:.2f}" == printed
