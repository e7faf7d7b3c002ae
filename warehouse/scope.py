"""Scopes: a place with all below it, or a place group; and the tree of places they are cut from.

Ancestors follow `parent`; a code is never parsed.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from warehouse.catalogue import LEVELS, Level
from warehouse.mistake import Mistake, nearest
from warehouse.period import Period
from warehouse.text import Text
from warehouse.viewer import Viewer

if TYPE_CHECKING:
    from warehouse.version import Version

ANCESTORS: tuple[Level, ...] = ("county", "township", "village", "grid", "micro_grid")
"""The levels `places` has a column for: the code of the ancestor-or-self at that level."""


@dataclass(frozen=True)
class Place:
    """One place as the tree holds it."""

    code: str
    parent: str | None
    level: Level
    name: Text
    valid_from: date | None
    valid_to: date | None

    def valid_in(self, period: Period) -> bool:
        """Valid on at least one day of the period."""
        return (self.valid_from is None or self.valid_from <= period.end) and (
            self.valid_to is None or self.valid_to >= period.start
        )


@dataclass(frozen=True)
class Scope:
    """What a question is about. `level` is the coarsest level of what it covers at the top.

    `parents`: the breadcrumb, outermost first, (code, name). `child_level`: the level just below, None at
    the bottom, which is the grid: a micro-grid is some ten households, and nothing is counted by so few. Below a group lie its members, and it is the finest level of these. `tops`: the places it consists
    of: itself, or the members of a group. `whole`: no place of the site lies outside.
    """

    code: str
    name: Text
    level: Level
    parents: tuple[tuple[str, Text], ...]
    child_level: Level | None
    tops: tuple[str, ...]
    group: bool
    whole: bool


class Tree:
    """All places of a version, by code, with what lies below each."""

    def __init__(
        self, places: Mapping[str, Place], groups: Mapping[str, tuple[Text, tuple[str, ...]]]
    ) -> None:
        self.places = places
        self.groups = groups
        self._children: dict[str, list[str]] = {}
        for place in places.values():
            if place.parent is not None:
                self._children.setdefault(place.parent, []).append(place.code)
        self._below: dict[str, frozenset[str]] = {}
        self._bounds: dict[str, tuple[str, str]] = {}
        self._scopes: dict[str, Scope] = {}

    def children(self, code: str) -> tuple[Place, ...]:
        """The places just below a place, or the members of a group."""
        below = self.groups[code][1] if code in self.groups else self._children.get(code, ())
        return tuple(self.places[c] for c in sorted(below))

    def groups_of(self, code: str) -> tuple[Scope, ...]:
        """The groups whose members lie just below a place, by code."""
        inside = set(self._children.get(code, ()))
        return tuple(
            self.scope(group)
            for group, (_, members) in sorted(self.groups.items())
            if inside.issuperset(members)
        )

    def below(self, code: str) -> frozenset[str]:
        """A place or group and every place under it, by code."""
        known = self._below.get(code)
        if known is None:
            found: set[str] = set()
            rest = list(self.groups[code][1] if code in self.groups else (code,))
            while rest:
                one = rest.pop()
                if one not in found:
                    found.add(one)
                    rest.extend(self._children.get(one, ()))
            known = self._below[code] = frozenset(found)
        return known

    def bounds(self, code: str) -> tuple[str, str]:
        """The least and the greatest code in a scope, as text."""
        known = self._bounds.get(code)
        if known is None:
            known = self._bounds[code] = (min(self.below(code)), max(self.below(code)))
        return known

    def at_level(self, scope: Scope, level: Level) -> tuple[Place, ...]:
        """The places of one level in a scope, by code."""
        codes = self.below(scope.code)
        return tuple(self.places[c] for c in sorted(codes) if self.places[c].level == level)

    def scope(self, code: str) -> Scope:
        known = self._scopes.get(code)
        if known is None:
            known = self._scopes[code] = self._make(code)
        return known

    def _make(self, code: str) -> Scope:
        if code in self.groups:
            name, members = self.groups[code]
            tops = tuple(sorted(members))
            levels = sorted((self.places[m].level for m in tops), key=LEVELS.index)
            above = self._parents(tops[0]) if len({self.places[m].parent for m in tops}) == 1 else ()
            return Scope(code, name, levels[0], above, levels[-1], tops, True, self._whole(code))
        place = self.places.get(code)
        if place is None:
            raise Mistake("scope", f"unknown place '{code}'", _remedy(code, (*self.places, *self.groups)))
        below: list[Level] = [c.level for c in self.children(code) if c.level != "micro_grid"]
        child = max(below, key=lambda level: below.count(level), default=None)
        return Scope(
            code, place.name, place.level, self._parents(code), child, (code,), False, self._whole(code)
        )

    def _whole(self, code: str) -> bool:
        return len(self.below(code)) == len(self.places)

    def _parents(self, code: str) -> tuple[tuple[str, Text], ...]:
        out: list[tuple[str, Text]] = []
        parent = self.places[code].parent
        while parent is not None and parent in self.places and all(parent != c for c, _ in out):
            out.append((parent, self.places[parent].name))
            parent = self.places[parent].parent
        return tuple(reversed(out))


_trees: weakref.WeakKeyDictionary[Version, Tree] = weakref.WeakKeyDictionary()


def tree_of(version: Version) -> Tree:
    """The tree of a version's places, read once per version."""
    tree = _trees.get(version)
    if tree is None:
        tree = _trees[version] = _read(version)
    return tree


def scope_of(version: Version, code: str) -> Scope:
    """The scope of a place code or a group code. Raises Mistake with the nearest on an unknown one."""
    return tree_of(version).scope(code)


def trail(version: Version, viewer: Viewer, scope: Scope) -> tuple[tuple[str, Text], ...]:
    """The breadcrumb of a scope up to the viewer's own, outermost first. A group the viewer comes from is above its
    members, though it is no parent of theirs."""
    tree = tree_of(version)
    own = tree.scope(viewer.scope)
    if scope.code == own.code:
        return ()
    inside = tree.below(own.code)
    above = tuple((code, name) for code, name in scope.parents if code in inside)
    return ((own.code, own.name), *above) if own.group else above


def clip(version: Version, viewer: Viewer, code: str) -> Scope:
    """The asked scope within the viewer's: itself, or the viewer's own where it asks for more.

    Raises Mistake when the two have nothing in common, or the code is unknown.
    """
    tree = tree_of(version)
    asked = tree.scope(code)
    if code == viewer.scope:
        return asked
    own = tree.scope(viewer.scope)
    if own.whole or tree.below(code) <= tree.below(own.code):
        return asked
    if tree.below(own.code) <= tree.below(code):
        return own
    raise Mistake(
        "scope", f"'{code}' lies outside your own scope '{own.code}'", f"choose {own.code} or below"
    )


def _read(version: Version) -> Tree:
    places: dict[str, Place] = {}
    for code, parent, level, zh, en, start, end in version.rows(
        "select code, parent, level, name_zh, name_en, valid_from, valid_to from places"
    ):
        places[code] = Place(code, parent, level, Text(zh=zh or code, en=en or zh or code), start, end)
    groups: dict[str, tuple[Text, tuple[str, ...]]] = {}
    if "place_groups" in version.datasets:
        day = version.cutoff.date()
        for code, zh, en, place in version.rows(
            "select group_code, name_zh, name_en, place from place_groups "
            "where (valid_from is null or valid_from <= $day) and (valid_to is null or valid_to >= $day) "
            "order by group_code, place",
            {"day": day},
        ):
            if place in places and code not in places:
                name, members = groups.get(code, (Text(zh=zh or code, en=en or zh or code), ()))
                groups[code] = (name, (*members, place))
    return Tree(places, groups)


def _remedy(code: str, known: tuple[str, ...]) -> str:
    """The nearest code; with thousands of places a list of all would be no line."""
    if len(known) <= 30:
        return nearest(code, known)
    close = nearest(code, known)
    return (
        close
        if close.startswith("did you mean")
        else f"use a code of the places loaded, such as {min(known, key=len)}"
    )
