"""The pages, in the order of the navigation. To add one, write its module and name it here."""

from __future__ import annotations

from dashboard.pages import (
    agenda,
    cases,
    compare,
    data,
    duties,
    hotspots,
    measures,
    meetings,
    needs,
    overview,
    petitions,
    teams,
    wall,
)
from dashboard.view import Page
from warehouse.mistake import Mistake, nearest

PAGES: tuple[Page, ...] = (
    wall.PAGE, overview.PAGE, agenda.PAGE, cases.PAGE, petitions.PAGE, duties.PAGE, meetings.PAGE, needs.PAGE,
    teams.PAGE, hotspots.PAGE, data.PAGE, measures.PAGE, compare.PAGE,
)  # fmt: skip


def page(name: str) -> Page:
    """The page of that name. Raises Mistake with the nearest right one."""
    for found in PAGES:
        if found.name == name:
            return found
    raise Mistake("page", f"no such page '{name}'", nearest(name, [p.name for p in PAGES]))
