"""A site's own targets: for everything, for a level, for a year, or for both."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.figures import ranking, tiles
from dashboard.view import view_of
from warehouse.mistake import Mistake
from warehouse.site import Site, Target, load_site
from warehouse.version import current
from warehouse.viewer import Viewer

OWN = """
name = { zh = "甲县", en = "Jia County" }
home = "43"
[targets.closing_rate]
target = 0.9
floor = 0.8
by = [
    { year = 2027, target = 0.91 },
    { level = "village", target = 0.95, floor = 0.9 },
    { level = "village", year = 2027, target = 0.96 },
    { level = "township", target = 0.92 },
    { level = "township", target = 0.93 },
]
"""


@pytest.mark.parametrize(
    ("level", "year", "target"),
    [
        ("county", 2026, 0.9),
        ("county", 2027, 0.91),
        ("village", 2026, 0.95),
        ("village", 2027, 0.96),
        ("township", 2027, 0.93),
    ],
)
def test_the_goal_that_fits_closest_holds(tmp_path: Path, level: str, year: int, target: float) -> None:
    (tmp_path / "site.toml").write_text(OWN, encoding="utf-8")
    assert load_site(tmp_path).targets["closing_rate"].of(level, year).target == target


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("{ target = 0.9 }", "neither level nor year"),
        ('{ level = "street", target = 0.9 }', "targets.closing_rate.by.0.level"),
        (
            '{ level = "village", tagret = 0.9 }',
            "unknown key 'targets.closing_rate.by.0.tagret' (did you mean 'target'?)",
        ),
    ],
)
def test_a_goal_that_is_for_nothing_is_refused(tmp_path: Path, by: str, said: str) -> None:
    text = OWN.partition("[targets")[0] + f"[targets.closing_rate]\nby = [{by}]\n"
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    with pytest.raises(Mistake) as mistake:
        load_site(tmp_path)
    assert said in str(mistake.value)


def test_a_tile_has_the_goal_of_its_place_and_a_ranking_that_of_the_places_ranked(small_site: Site) -> None:
    target = Target.model_validate(
        {"target": 0.5, "by": [{"level": "township", "target": 1.0}, {"level": "village", "target": 0.25}]}
    )
    site = small_site.model_copy(update={"targets": {"closing_rate": target}})
    view = view_of(site, current(small_site), Viewer(site.home), {"lang": "en"})
    (tile,) = tiles(view, ["closing_rate"])
    ranked = ranking(view, "closing_rate", "")
    assert (tile.target, tile.lamp) == ("target ≥ 50 %", "good")
    assert ranked is not None and ranked.target == (100.0, "target ≥ 100 %")
    assert {bar.lamp for bar in ranked.bars} == {"off"}
