"""Place groups of the demo: the areas of a plan, and the five places as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pipelines.demo import forms
from pipelines.demo.ground import Ground
from pipelines.demo.plans import FIVE, FIVE_NAME, Areas

FIELDS = ("member_id", "group_code", "kind", "name_zh", "name_en", "place", "valid_from", "updated_at")
SINCE, LISTED = "2023-01-01", "2024-01-01 00:00:00"


def groups_csv(ground: Ground) -> str:
    """One row per member of each group of a place: neighbouring villages or grids, in the order of their codes."""
    rows = []
    for area in ground.plan.areas:
        members = [code for code in _codes(ground, area) if code.startswith(area.at)]
        for number, part in enumerate(np.array_split(members, area.count), start=1):
            zh, en = area.name.zh.format(number), area.name.en.format(number)
            group = f"{area.at or ground.plan.code}-{area.kind}-{number:03d}"
            rows += [(group, area.kind, zh, en, code) for code in part.tolist()]
    return _csv(rows)


def five_csv(places: Sequence[str]) -> str:
    """The members of the group that is home to a site of several places."""
    return _csv((FIVE, "", FIVE_NAME.zh, FIVE_NAME.en, code) for code in places)


def _codes(ground: Ground, area: Areas) -> Sequence[str]:
    return ground.grid_code if area.of == "grid" else [v.code for v in ground.villages]


def _csv(rows: Iterable[tuple[str, str, str, str, str]]) -> str:
    words = forms.wording("place_groups")
    kinds = {code: spelling[0] for code, spelling in words.spellings["kind"].items()} | {"": ""}
    lines = [",".join(words.headings[name] for name in FIELDS)]
    lines += [
        f"{group}-{code},{group},{kinds[kind]},{zh},{en},{code},{SINCE},{LISTED}"
        for group, kind, zh, en, code in rows
    ]
    return "\n".join(lines) + "\n"
