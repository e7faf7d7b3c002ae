"""Scenes of the wall: which blocks stand where, and which scenes one screen shows in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.blocks import Block
from dashboard.view import Page, View
from warehouse.mistake import Mistake, nearest
from warehouse.text import Text

EVERY_SECONDS = 30
SHORTEST, LONGEST = 5, 3600


@dataclass(frozen=True)
class Place:
    """Where one block stands, and the record sets its figures rest on: when one is older than allowed, it says so."""

    area: str
    rests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The areas row by row, as in a CSS grid template, and the shares of columns and rows."""

    rows: tuple[str, ...]
    columns: tuple[float, ...]
    heights: tuple[float, ...]


@dataclass(frozen=True)
class Scene:
    """One picture of the wall. `build` gives its tiles, then one block for each of `places`; a single block
    (a note) where the site has no source for it.

    `plan` is for a screen of 16:9 or so, `wide` for one much wider. `pace`: how many seconds a picture may lag behind
    the newest version, for what moves by the month need not be computed with every file; each shows its own cut-off.
    """

    name: str
    label: Text
    build: Callable[[View], tuple[Block, ...]]
    places: tuple[Place, ...]
    plan: Plan
    wide: Plan
    pace: float = 30.0

    @property
    def page(self) -> Page:
        """The scene as a page of its own. Live, for the stage keeps its newest sheet and nobody asks for an older."""
        return Page(f"wall/{self.name}", self.label, "monitor", self.build, wall=True, live=True)


@dataclass(frozen=True)
class Turn:
    """The scenes of one screen in their order, each shown for `every` seconds."""

    scenes: tuple[Scene, ...]
    every: int


def turn(scenes: Sequence[Scene], params: Mapping[str, str]) -> Turn:
    """What the address asks for: `scenes` by name with commas, `every` in seconds; all of them by default.

    Raises Mistake on an unknown scene or a number out of bounds."""
    known = {scene.name: scene for scene in scenes}
    names = [name.strip() for name in params.get("scenes", "").split(",") if name.strip()] or list(known)
    for name in names:
        if name not in known:
            raise Mistake("scenes", f"no such scene '{name}'", nearest(name, known))
    asked = params.get("every") or str(EVERY_SECONDS)
    if not asked.isascii() or not asked.isdigit() or not SHORTEST <= int(asked) <= LONGEST:
        raise Mistake("every", f"'{asked}' is no number of seconds", f"give {SHORTEST} to {LONGEST}")
    return Turn(tuple(known[name] for name in dict.fromkeys(names)), int(asked))
