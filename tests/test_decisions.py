"""What officials write down in the app is one more source: it goes the way of every other file."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

from pipelines.run import load
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Value
from warehouse.site import Site, load_site
from warehouse.version import current
from warehouse.viewer import Viewer


def test_a_decision_counts_as_an_agreed_item_and_keeps_an_account_of_its_own(
    small_site: Site, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    shutil.copytree(small_site.folder, folder)
    site = load_site(folder)
    village = current(site).rows("select min(code) from places where level = 'village'")[0][0]
    before = agreed(site, village)
    decision = {
        "item_id": "D-1", "place": village, "meeting_id": "M-1", "title": "修缮村口道路",
        "owner": "县交通运输局", "held_at": "2026-06-10 09:00", "due_at": "2026-07-31", "status": "待办",
        "updated_at": "2026-06-10 10:00",
    }  # fmt: skip
    site.inbox.mkdir(exist_ok=True)
    (site.inbox / "decisions_20260610.ndjson").write_text(
        json.dumps(decision, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (loaded,) = load(site)
    assert (loaded.source, loaded.kept, loaded.quarantined) == ("decisions", 1, 0)
    assert agreed(site, village) == before + 1
    own = next(s for s in current(site).sources if s.name == "decisions")
    assert (own.dataset, own.read, own.kept) == ("work_items", 1, 1)


def agreed(site: Site, village: str) -> float:
    """Items the village agreed in June 2026."""
    (cell,) = query(
        current(site),
        Viewer(site.home),
        ["meeting_item_completion"],
        village,
        [Period(date(2026, 6, 1), date(2026, 6, 30))],
    )
    return cell.result.d or 0 if isinstance(cell.result, Value) else 0
