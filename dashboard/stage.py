"""The newest sheets of the wall's scenes. Each is made once, by whoever asks first; nobody waits for another's."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from dashboard.blocks import Sheet
from dashboard.scene import Scene
from dashboard.view import View, build

BUDGET_SECONDS = 0.25
"""A beat that has spent this on making sheets leaves the rest to the next one."""
KEPT = 256

Key = tuple[object, ...]


@dataclass(frozen=True)
class _Kept:
    sheet: Sheet
    version: str
    made: float


_kept: OrderedDict[Key, _Kept] = OrderedDict()
_busy: set[Key] = set()
_lock = Lock()


def staged(scenes: Sequence[Scene], view: View) -> list[Sheet | None]:
    """The newest sheet there is of each scene; None for one that is still to be made, or being made.

    The one furthest behind is made first, but the first scene before all others.
    """
    keys = {scene.name: _key(scene, view) for scene in scenes}
    began = time.monotonic()
    for scene in sorted(scenes, key=lambda one: (one is not scenes[0], _made(keys[one.name]))):
        if time.monotonic() - began > BUDGET_SECONDS:
            break
        _refresh(scene, view, keys[scene.name])
    with _lock:
        return [kept.sheet if (kept := _kept.get(keys[scene.name])) else None for scene in scenes]


def _key(scene: Scene, view: View) -> Key:
    return (str(view.site.folder), view.viewer, view.scope.code, view.lang, scene.name)


def _made(key: Key) -> float:
    with _lock:
        return _kept[key].made if key in _kept else 0.0


def _refresh(scene: Scene, view: View, key: Key) -> None:
    now = time.monotonic()
    with _lock:
        kept = _kept.get(key)
        if kept is not None:
            _kept.move_to_end(key)
            if kept.version == view.version.id or now - kept.made < scene.pace:
                return
        if key in _busy:
            return
        _busy.add(key)
    try:
        sheet = build(scene.page, view)
        with _lock:
            _kept[key] = _Kept(sheet, view.version.id, now)
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
    finally:
        with _lock:
            _busy.discard(key)
