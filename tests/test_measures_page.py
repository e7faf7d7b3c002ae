"""The page of measures: found by its words, opened with its worked example and where it is shown."""

from __future__ import annotations

import pytest

from dashboard.blocks import Note, Row, Table, Tiles
from dashboard.pages import PAGES
from dashboard.pages.measures import PAGE, _example
from dashboard.view import View, build, view_of
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.text import Lang
from warehouse.version import current
from warehouse.viewer import Viewer


def seen(site: Site, **params: str) -> View:
    return view_of(site, current(site), Viewer(site.home), params)


def names(view: View) -> list[str]:
    """The measures listed, in order."""
    return [row.cells[-1] for table in tables(view) for row in table.rows if len(row.cells) == 7]


def tables(view: View) -> list[Table]:
    return [block for block in PAGE.build(view) if isinstance(block, Table)]


@pytest.mark.parametrize(
    ("words", "lang", "found"),
    [
        ("结案率", "zh", {"closing_rate", "on_time_closing_rate"}),
        ("结案率", "en", {"closing_rate", "on_time_closing_rate"}),
        ("Closing RATE on-time", "zh", {"on_time_closing_rate"}),
        ("repeat_case", "zh", {"repeat_case_rate"}),
        ("repeat case", "en", {"repeat_case_rate"}),
        ("46", "en", {"hotline_demands", "hotline_demands_per_1000_households"}),
        ("xyzzy", "en", set()),
    ],
)
def test_a_measure_is_found_by_words_of_its_name_in_either_language(
    small_site: Site, words: str, lang: str, found: set[str]
) -> None:
    assert set(names(seen(small_site, q=words, lang=lang))) == found


def test_without_words_all_measures_are_listed_and_without_a_hit_that_is_said(small_site: Site) -> None:
    assert set(names(seen(small_site))) == set(catalogue().measures)
    (nothing,) = tables(seen(small_site, q="xyzzy", lang="en"))
    assert nothing.empty.startswith("No measure has these words")


def test_an_opened_measure_says_its_definition_source_target_and_example(small_site: Site) -> None:
    blocks = PAGE.build(seen(small_site, q="xyzzy", measure="closing_rate", lang="en"))
    first = blocks[0]
    assert isinstance(first, Note) and first.title == "Closing rate"
    terms = dict(first.items)
    assert {"Definition", "Source of the definition", "Target", "To get it again"} <= set(terms)
    example = next(b for b in blocks if isinstance(b, Table) and b.title == "Worked example 1: Cases")
    assert example.sentence.endswith(": 1 / 2 = 50.0 %.") and len(example.rows) == 6


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_worked_example_of_the_catalogue_can_be_shown(small_site: Site, lang: Lang) -> None:
    for name, measure in catalogue().measures.items():
        for position, example in enumerate(measure.examples, start=1):
            shown = _example(seen(small_site, lang=lang), measure, example, position)
            assert len(shown) == len(example.rows), name
            assert all(len(row.cells) == len(table.columns) for table in shown for row in table.rows)


def test_where_a_measure_is_shown_is_read_from_the_pages_themselves(small_site: Site) -> None:
    view = seen(small_site, lang="en")

    def listed(name: str) -> list[Row]:
        opened = tables(seen(small_site, lang="en", measure=name, q="xyzzy"))
        return list(next(table for table in opened if table.title == "Where it is shown").rows)

    for name in ("closing_rate", "visit_coverage", "cases_reported"):
        rows = listed(name)
        pages = {dict(row.address)["page"] for row in rows}
        shown = {
            page.name
            for page in PAGES
            for block in build(page, view).blocks
            if isinstance(block, Tiles) and name in [tile.measure for tile in block.tiles]
        }
        assert shown and shown <= pages
    assert ["Cases", "Cases reported, against a year earlier"] in [
        list(r.cells) for r in listed("cases_reported")
    ]


def test_an_unknown_measure_is_a_mistake_with_the_nearest(small_site: Site) -> None:
    with pytest.raises(Mistake, match="did you mean 'closing_rate'"):
        PAGE.build(seen(small_site, measure="closing_rat"))
