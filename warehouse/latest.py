"""The newest cases as a wall may show them: when, where, of which class, how far; no number, nothing personal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warehouse.scope import clip, tree_of
from warehouse.text import Text
from warehouse.version import Version
from warehouse.viewer import Viewer

UNKNOWN = Text(zh="–", en="–")


@dataclass(frozen=True)
class Latest:
    """One case: `at` when it was reported; `township` and `place` by name (`place` as filed)."""

    at: datetime
    township: Text
    place: Text
    category: str
    status: str


def latest(version: Version, viewer: Viewer, scope: str, limit: int) -> list[Latest]:
    """The newest cases of a scope, clipped to the viewer's own; empty where there is no source of cases."""
    if "cases" not in version.datasets:
        return []
    codes = sorted(tree_of(version).below(clip(version, viewer, scope).code))
    places = tree_of(version).places
    rows = version.rows(
        "select c.reported_at, p.township, c.place, c.category, c.status from cases as c "
        "join places as p on p.code = c.place "
        "where c.place in (select unnest($codes)) and c.reported_at >= $since "
        "order by c.reported_at desc, c.case_id limit $limit",
        {"codes": codes, "since": version.cutoff.replace(hour=0, minute=0, second=0), "limit": limit},
    )
    return [
        Latest(
            at,
            places[township].name if township in places else UNKNOWN,
            places[place].name,
            str(category or ""),
            str(status or ""),
        )
        for at, township, place, category, status in rows
    ]
