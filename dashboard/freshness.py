"""How old each source is against how old it may be."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.blocks import Lamp
from dashboard.view import View
from warehouse.version import Source


@dataclass(frozen=True)
class State:
    """One source's age in seconds at the site's clock, its lamp, and the lamp in words."""

    source: Source
    age_seconds: float
    lamp: Lamp
    word: str


def freshness(view: View) -> tuple[State, ...]:
    """One state per source that has been loaded, in the order of the version."""
    now = view.asked
    out: list[State] = []
    for source in view.version.sources:
        if source.last_load is None:
            continue
        age = max(0.0, (now - source.last_load).total_seconds())
        late = age > source.fresh_hours * 3600
        out.append(
            State(
                source,
                age,
                "off" if late else "good",
                view.text("超过应有时效", "older than allowed") if late else view.text("正常", "fresh"),
            )
        )
    return tuple(out)


def age_text(view: View, seconds: float) -> str:
    """An age as one reads it at a glance: 8 s, 4 min, 3 h, 2 d."""
    for limit, size, zh, en in ((90, 1, "秒", "s"), (5400, 60, "分钟", "min"), (172800, 3600, "小时", "h")):
        if seconds < limit:
            return f"{round(seconds / size)} {view.text(zh, en)}"
    return f"{round(seconds / 86400)} {view.text('天', 'd')}"
