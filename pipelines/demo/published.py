"""What the five places published, asked of the records of a demo site: no figure is stored, each is computed.

The figures and the questions that ask for them stand in `published.toml`.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Cell, Value
from warehouse.site import Site
from warehouse.text import Text
from warehouse.version import Version, current
from warehouse.viewer import Viewer

FILE = "published.toml"
Span = Literal["to_26_december", "year", "two_years", "three_years", "now"]
Take = Literal["value", "n", "d", "classes", "rise", "rank"]
Comparator = Literal["=", "≥", "rounds to", "context"]


class Source(BaseModel):
    """A place and where its figures were published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    label: Text
    source: Text


class Figure(BaseModel):
    """One published figure; all but those of context have a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str
    label: Text
    published: Text
    comparator: Comparator
    value: float | None = None
    measure: str = ""
    scope: str = ""
    period: Span = "year"
    by: str | None = None
    classes: tuple[str, ...] = ()
    take: Take = "value"
    peers: tuple[str, ...] = ()
    note: Text | None = None

    @model_validator(mode="after")
    def _asked(self) -> Figure:
        if (self.comparator == "context") != (self.value is None) or (self.value is None) == bool(
            self.measure
        ):
            raise ValueError("a figure has 'value' and 'measure', and one of context neither")
        return self

    def met(self, computed: float) -> bool:
        """Whether what the records come to meets the figure; "rounds to" goes by the decimals of `value`."""
        value = self.value or 0.0
        if self.comparator == "rounds to":
            return round(computed, len(str(value).partition(".")[2])) == value
        return computed >= value if self.comparator == "≥" else computed == value


@dataclass(frozen=True)
class Compared:
    """A figure, where it was published, and what the records come to: None for context, and where there is none."""

    figure: Figure
    source: Source
    scope: str
    period: Period | None
    computed: float | None

    @property
    def equal(self) -> bool | None:
        """None for context, which is never computed."""
        if self.figure.comparator == "context":
            return None
        return self.computed is not None and self.figure.met(self.computed)


@cache
def published() -> tuple[dict[str, Source], tuple[Figure, ...]]:
    """The places by name, and the figures in the order of the file. Raises Mistake on a wrong entry."""
    text = resources.files("pipelines.demo").joinpath(FILE).read_text(encoding="utf-8")
    data = tomllib.loads(text)
    try:
        places = {name: Source(**entry) for name, entry in data["places"].items()}
        figures = tuple(Figure(**entry) for entry in data["figures"])
    except ValidationError as error:
        first = error.errors()[0]
        raise Mistake(
            FILE, f"{'.'.join(map(str, first['loc']))}: {first['msg']}", "mend the entry"
        ) from error
    for figure in figures:
        if figure.place not in places:
            raise Mistake(FILE, f"unknown place '{figure.place}'", f"use one of {', '.join(places)}")
        if figure.measure:
            catalogue().get(figure.measure)
    return places, figures


def compare(site: Site) -> list[Compared]:
    """Every figure of the places that a demo site holds, computed from its current version, in the order of the file.

    Raises Mistake for a folder that holds no demo, and when nothing is published there.
    """
    try:
        report = json.loads((site.folder / "demo.json").read_text(encoding="utf-8"))
        held, last = set(report["places"]), date.fromisoformat(report["window"][1]).year
    except (OSError, ValueError, KeyError) as error:
        raise Mistake(
            str(site.folder / "demo.json"), f"no demo here: {error}", "run 'nerve demo' first"
        ) from error
    version = current(site)
    places, figures = published()
    return [
        _compared(site, version, figure, places[figure.place], last)
        for figure in figures
        if figure.place in held
    ]


def _compared(site: Site, version: Version, figure: Figure, source: Source, last: int) -> Compared:
    scope = figure.scope or source.code
    if figure.comparator == "context":
        return Compared(figure, source, scope, None, None)
    period = _span(figure.period, last, version.cutoff.date())
    ask = _Asker(site, version, figure, scope)
    computed = ask.number(period)
    if figure.take == "rise":
        before = ask.number(_span(figure.period, last - 1, version.cutoff.date()))
        computed = None if computed is None or before is None else computed - before
    return Compared(figure, source, scope, period, computed)


def _span(span: Span, last: int, today: date) -> Period:
    """The days of a span whose last complete year is `last`."""
    if span == "now":
        return Period(today, today)
    back = {"two_years": 1, "three_years": 2}.get(span, 0)
    return Period(date(last - back, 1, 1), date(last, 12, 26 if span == "to_26_december" else 31))


@dataclass(frozen=True)
class _Asker:
    """Puts a figure's question, by the same path as the pages."""

    site: Site
    version: Version
    figure: Figure
    scope: str

    def number(self, period: Period) -> float | None:
        """What the records of a period come to; None for no data, or what is too few to show."""
        take, peers = self.figure.take, self.figure.peers
        if take == "rank":
            counts = [self._sum(self._cells(peer, period)) for peer in peers]
            own = self._sum(self._cells(self.scope, period))
            known = [count for count in counts if count is not None]
            if own is None or len(known) < len(peers):
                return None
            # As many as another is no first place.
            return float(sum(count <= own for count in known))
        cells = self._cells(self.scope, period)
        if take == "classes":
            return float(len([cell for cell in cells if cell.key is not None]))
        if self.figure.classes:
            cells = [cell for cell in cells if cell.key in self.figure.classes]
        return self._sum(cells)

    def _cells(self, scope: str, period: Period) -> list[Cell]:
        viewer = Viewer(self.site.home)
        return query(self.version, viewer, [self.figure.measure], scope, [period], by=self.figure.by)

    def _sum(self, cells: list[Cell]) -> float | None:
        """One class's number, or several classes' counts added up."""
        known = [cell.result for cell in cells if isinstance(cell.result, Value)]
        if not known or len(known) < len(cells):
            return None
        side = {"n": "n", "d": "d"}.get(self.figure.take, "value")
        numbers = [getattr(result, side) for result in known]
        return None if None in numbers else float(sum(numbers))
