"""Headline tiles as a wall says them: short enough to be read from afar, and only what they need there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from dashboard.blocks import Change, Tile
from dashboard.figures import tiles
from dashboard.view import View
from warehouse.period import Period

TILES = 8
"""Tiles that a row of the wall holds."""


def today(view: View) -> Period:
    return Period(view.cutoff.date(), view.cutoff.date())


def month(view: View) -> Period:
    """The last 30 days."""
    return Period(view.cutoff.date() - timedelta(days=29), view.cutoff.date())


def year(view: View) -> Period:
    """The year to date."""
    return Period(view.cutoff.date().replace(month=1, day=1), view.cutoff.date())


def this_year(view: View) -> View:
    """The view of the year to date, compared with the same days last year."""
    return replace(view, period=year(view), compare="year")


def headline(
    view: View, names: Sequence[str], period: Period, compare: str, note: str = ""
) -> tuple[Tile, ...]:
    """Tiles of a period, without passports and with at most one comparison; `note` says the period where needed.

    None at all where the site has no source for any of them."""
    return tuple(
        _brief(view, tile, note) for tile in tiles(replace(view, period=period, compare=compare), names)
    )


def _brief(view: View, tile: Tile, note: str) -> Tile:
    return replace(
        tile,
        label=tile.label + (view.text(" · ", ", ") + note if note else ""),
        target=tile.target.removeprefix("target "),
        note="",
        counts="",
        changes=tuple(_short(view, change) for change in tile.changes[:1]),
        passport=(),
    )


def _short(view: View, change: Change) -> Change:
    """The comparison in the words of the trade: 环比, 同比."""
    return replace(change, label={"较上期": "环比", "较上年同期": "同比"}.get(change.label, change.label))
