"""The registries, walked: what is not named in both languages or not in the glossary fails here."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from dashboard.pages import PAGES
from pipelines.contract import read_contract
from warehouse.catalogue import catalogue
from warehouse.text import Text

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "pipelines" / "sources").glob("*.toml"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_source_has_a_glossary_line(path: Path) -> None:
    dataset = tomllib.loads(path.read_text(encoding="utf-8"))
    name = dataset.get("dataset") or dataset["base"]
    words = {name, name.replace("_", " ")}
    terms = {
        term.strip()
        for line in (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
        for term in line.split("|")[1].split(",")
    }
    assert words & terms, f"{name} is missing in GLOSSARY.md"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.stem != "decisions"], ids=lambda path: path.stem)
def test_every_field_and_rule_of_a_source_is_named_in_both_languages(path: Path) -> None:
    dataset = read_contract(path).dataset
    for text in (dataset.label, *(f.label for f in dataset.fields), *dataset.rules.values()):
        named(text)


def test_every_page_is_named_in_both_languages_and_once() -> None:
    assert len({page.name for page in PAGES}) == len(PAGES)
    for page in PAGES:
        named(page.label)


@pytest.mark.parametrize("name", catalogue().measures)
def test_every_measure_says_what_it_is_in_both_languages_with_an_example(name: str) -> None:
    measure = catalogue().get(name)
    for text in (measure.label, measure.definition, measure.unit_label, measure.source, measure.dates):
        named(text)
    assert measure.examples
    assert measure.version >= 1


def named(text: Text) -> None:
    assert text.zh.strip() and text.en.strip(), text
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in text.en.replace("义警", "")), text.en
