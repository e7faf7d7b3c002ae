"""The wall: what a county leader sees from five metres. Aggregates and matters only, nothing personal.

Its scenes, in the order they turn. To add one, write its `build` and name it here.
"""

from __future__ import annotations

from dashboard.pages.wall import hotspots, overview
from dashboard.pages.wall.scenes import DUTIES, MEETINGS, NEEDS, PETITIONS, TEAMS
from dashboard.scene import Scene
from dashboard.view import Page
from warehouse.text import Text

SCENES: tuple[Scene, ...] = (
    overview.SCENE, hotspots.SCENE, PETITIONS, MEETINGS, DUTIES, NEEDS, TEAMS,
)  # fmt: skip
PAGE = Page("wall", Text(zh="大屏", en="Wall"), "monitor", overview.build, wall=True)
