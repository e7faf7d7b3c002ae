"""docs/measures.md says what the catalogue says."""

from __future__ import annotations

import pytest

from warehouse.catalogue import catalogue
from warehouse.handbook import PAGE, handbook
from warehouse.site import Params


def test_the_handbook_is_the_one_the_catalogue_gives() -> None:
    current = PAGE.read_text(encoding="utf-8")
    assert current == handbook(catalogue(), Params()), "run 'python -m warehouse.handbook'"


@pytest.mark.parametrize("name", catalogue().measures)
def test_every_measure_has_a_heading_and_no_open_slot(name: str) -> None:
    page = handbook(catalogue(), Params())
    assert f"\n## {name}\n" in page
    assert "{" not in page
