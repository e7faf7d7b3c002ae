"""Who looks: a viewer sees one place and what lies below it, whatever page or cache asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Viewer:
    """A viewer's own scope is a place code (its prefix rule gives all below). `official` may open record lists."""

    scope: str
    official: bool = True
