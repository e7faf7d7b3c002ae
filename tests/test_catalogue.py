"""The catalogue: complete in both languages, sound, and strict about what it reads."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.world import datasets, world
from warehouse.catalogue import MODELS, PARAM, catalogue, load, with_lets, worded, words
from warehouse.marts import mart_tables
from warehouse.mistake import Mistake
from warehouse.passport import passport
from warehouse.period import Period
from warehouse.scope import scope_of
from warehouse.site import Params
from warehouse.text import LANGS, Text

MEASURES = list(catalogue().measures.values())
NAMES = [m.name for m in MEASURES]
WANTED = """
cases_reported filing_rate dispatch_rate closing_rate on_time_closing_rate rework_rate extension_rate return_rate
hours_to_close overdue_open_cases due_soon_cases settled_in_village settled_in_township timely_acceptance_rate
on_time_reply_rate one_time_resolution_rate repeat_petition_share petitions_registered rating_participation
satisfaction_rate visit_coverage needs_followed_up_rate patrol_completion arrived_in_15_minutes minutes_to_arrive
minutes_to_control meeting_item_completion meetings_held meetings_held_rate items_on_time_rate overdue_items
"""

SQL_WORDS = """
and or not is null in case when then else end cast as interval second minute hour day timestamp decimal true
coalesce least greatest epoch date_trunc false
"""
"""What the expressions may use of SQL: words that mean the same on other engines."""

SMALL = """
[measures.one_time]
number = "1"
label = { zh = "甲", en = "A" }
definition = { zh = "甲", en = "A" }
unit = "share"
kind = "rate"
table = "cases"
at = "reported_at"
numerator = "filed_at is not null"
denominator = "1 = 1"
source = { zh = "甲", en = "A" }
dates = { zh = "甲", en = "A" }
examples = [{ period = [2026-01-01, 2026-01-31], cutoff = 2026-02-01T00:00:00, rows = {} }]
"""


def test_every_measure_the_product_promises_is_there() -> None:
    assert set(WANTED.split()) <= set(NAMES)


@pytest.mark.parametrize("measure", MEASURES, ids=NAMES)
def test_a_measure_speaks_both_languages(measure: object) -> None:
    texts = [t for t in vars(measure).values() if isinstance(t, Text)]
    assert len(texts) >= 5
    for text in texts:
        for lang in LANGS:
            assert text[lang].strip()


@pytest.mark.parametrize("measure", MEASURES, ids=NAMES)
def test_a_measure_uses_only_fields_that_its_table_has(measure: object) -> None:
    m = catalogue().get(vars(measure)["name"])
    if m.table in catalogue().model or m.table in catalogue().view:
        return  # the columns of a model or a view are tried by its worked example
    fields = {f.name for f in datasets()[m.table].fields}
    lets = catalogue().lets.get(m.table, {})
    expressions = (m.at, m.matures, m.numerator, m.denominator, m.value, m.ended)
    used = words(*expressions, *with_lets(lets, expressions).values())
    known = set(SQL_WORDS.split())
    assert used - fields - set(lets) - known - set(Params.model_fields) - {"cutoff"} == set()
    for need in m.needs:
        dataset, _, field = need.rpartition(".")
        assert field in {f.name for f in datasets()[dataset or m.table].fields}
    for dimension in m.dimensions:
        assert datasets()[m.table].field(dimension).role == "dimension"


@pytest.mark.parametrize("measure", MEASURES, ids=NAMES)
def test_a_measure_about_people_is_protected_and_only_those(measure: object) -> None:
    m = catalogue().get(vars(measure)["name"])
    about = {d for d in catalogue().reads(m.table) if datasets()[d].protected}
    assert m.protected == bool(about)


@pytest.mark.parametrize("measure", MEASURES, ids=NAMES)
def test_targets_stand_on_the_right_side_of_floors(measure: object) -> None:
    m = catalogue().get(vars(measure)["name"])
    if m.direction == "none":
        assert m.target is None and m.floor is None
    if m.target is not None and m.floor is not None:
        assert (m.target > m.floor) == (m.direction == "up")


@pytest.mark.parametrize("name", [*NAMES, "hours_to_close:p90"])
def test_a_passport_says_what_was_counted_and_how_to_get_it_again(name: str) -> None:
    version = world({})
    scope = scope_of(version, "K1")
    lines = passport(version, name, scope, Period(date(2026, 1, 1), date(2026, 1, 31)), version.cutoff)
    english = {label.en: text.en for label, text in lines}
    m = catalogue().get(name)
    assert english["Definition"] == worded(m.definition, version.params).en
    assert "{" not in english["Definition"]
    assert english["Cut-off"] == "2026-06-15 12:00:00"
    assert english["Data version"] == "v000001"
    assert english["To get it again"].startswith("nerve value ")
    assert "--scope K1 --from 2026-01-01 --to 2026-01-31" in english["To get it again"]
    assert ("Small numbers" in english) == m.protected
    used = set(PARAM.findall(" ".join((m.at, m.matures, m.numerator, m.denominator)))) - {"cutoff"}
    for param in used:
        assert any(param in text for text in english.values())


def test_a_statistic_is_asked_by_its_name_and_the_median_is_the_default() -> None:
    known = catalogue()
    assert known.get("hours_to_close").quantile == 0.5
    assert known.get("hours_to_close:p90").quantile == 0.9
    assert known.get("hours_to_close:p90").target == 168
    with pytest.raises(Mistake, match="did you mean 'p90'"):
        known.get("hours_to_close:p91")
    with pytest.raises(Mistake, match="has no statistic 'p90'"):
        known.get("closing_rate:p90")


def test_an_unknown_measure_is_answered_with_the_nearest() -> None:
    with pytest.raises(Mistake, match=r"unknown measure 'closing_rat'.*did you mean 'closing_rate'"):
        catalogue().get("closing_rat")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("denominator =", "denomnator ="), "unknown key 'denomnator' (did you mean 'denominator'?)"),
        (('unit = "share"', 'unit = "shares"'), "key 'unit'"),
        (('denominator = "1 = 1"\n', ""), "a rate needs 'denominator'"),
        (
            ('numerator = "filed_at', 'numerator = "$repeat_day > 1 and filed_at'),
            "unknown parameter '$repeat_day'",
        ),
        (('at = "reported_at"\n', ""), "'at' says which time"),
        (('number = "1"\n', ""), "missing key 'number'"),
        (("[measures.one_time]", "[mesures.one_time]"), "unknown key 'mesures'"),
    ],
)
def test_a_wrong_block_is_named_with_its_file_its_measure_and_the_remedy(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    (tmp_path / "petitions.toml").write_text(SMALL.replace(*change), encoding="utf-8")
    with pytest.raises(Mistake) as caught:
        load(tmp_path, MODELS)
    assert said in str(caught.value)
    assert str(caught.value).startswith("petitions.toml")
    assert "\n" not in str(caught.value)


def test_a_measure_defined_twice_is_a_mistake(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(SMALL, encoding="utf-8")
    with pytest.raises(Mistake, match=r"b.toml: measure 'one_time': defined twice"):
        load(tmp_path, MODELS)


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.sql")), ids=lambda p: p.stem)
def test_a_model_states_its_grain_and_what_it_reads(path: Path) -> None:
    model = catalogue().model[path.stem]
    assert model.sql.startswith("-- One row per ")
    assert set(model.reads) <= set(datasets())


def test_a_site_without_a_source_has_no_mart_of_it() -> None:
    only = {name: d for name, d in datasets().items() if name in ("cases", "places")}
    assert [m.name for m in mart_tables(catalogue(), only, Params())] == ["cases"]


def test_measures_that_count_the_same_share_a_column() -> None:
    (mart,) = (m for m in mart_tables(catalogue(), datasets(), Params()) if m.name == "cases")
    known = catalogue()
    same = {mart.column(known.get(n), "d") for n in ("closing_rate", "on_time_closing_rate", "rework_rate")}
    assert same == {"closing_rate__d"}


def test_a_model_reads_other_relations_when_told_so() -> None:
    sql = catalogue().model["household_months"].over({"visits": "(select 1)"})
    assert sql.count("(select 1) as visits") == 2
    assert "join places as g" in sql


def test_the_rows_of_worked_examples_have_only_fields_of_their_dataset() -> None:
    for measure in MEASURES:
        for example in measure.examples:
            for name, rows in example.rows.items():
                fields = {f.name for f in datasets()[name].fields}
                assert all(row.keys() <= fields for row in rows), measure.name
