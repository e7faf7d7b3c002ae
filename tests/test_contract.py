"""Contracts: what may be written, what is inherited, and how a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.contract import OURS, contracts, heading, match, read_contract, word
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.text import Text

WELLS = """
dataset = "wells"
label = { zh = "水井", en = "Wells" }
born = "seen_at"
drop = ["户主"]
[files]
match = ["wells*.csv"]
[fields.well_id]
type = "code"
role = "key"
label = { zh = "编号", en = "Number" }
from = ["编号", "well_id"]
required = true
[fields.state]
type = "code"
label = { zh = "状态", en = "State" }
from = ["状态"]
choices = [
    { code = "dry", label = { zh = "干", en = "dry" }, synonyms = ["无水"] },
    { code = "wet", label = { zh = "有水", en = "wet" } },
]
[fields.seen_at]
type = "time"
role = "event"
label = { zh = "时间", en = "Seen" }
from = ["时间"]
[[rules]]
name = "not_in_future"
check = "seen_at <= now"
label = { zh = "晚于当前时间", en = "in the future" }
"""


def site_at(folder: Path) -> Site:
    (folder / "sources").mkdir(exist_ok=True)
    return Site(folder=folder, name=Text(zh="测试", en="Test"), home="1")


def written(folder: Path, text: str, name: str = "wells.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_contract_of_ours_is_read_with_labels_in_both_languages(tmp_path: Path) -> None:
    known = contracts(site_at(tmp_path))
    assert set(known) == {path.stem for path in OURS.glob("*.toml")}
    for contract in known.values():
        labels = [contract.label, *(field.label for field in contract.dataset.fields)]
        labels += [rule.label for rule in contract.rules]
        assert all(label.zh and label.en for label in labels)
        assert contract.dataset.key in contract.dataset.mapped


def test_a_contract_gives_the_shape_of_its_dataset(tmp_path: Path) -> None:
    contract = read_contract(written(tmp_path, WELLS))
    assert contract.name == "wells"
    assert contract.dataset.key == "well_id"
    assert contract.dataset.born == "seen_at"
    assert contract.dataset.mapped == ("well_id", "state", "seen_at")
    assert contract.dataset.rules["not_in_future"].en == "in the future"
    assert contract.fields["state"].codes() == {
        "dry": "dry",
        "wet": "wet",
        "干": "dry",
        "有水": "wet",
        "无水": "dry",
    }


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('role = "key"', 'rolle = "key"', "field 'well_id': unknown key 'rolle' (did you mean 'role'?)"),
        (
            'type = "time"',
            'type = "tiem"',
            "field 'seen_at': key 'type': unknown value 'tiem' (did you mean 'time'?)",
        ),
        ("match =", "macth =", "[files]: unknown key 'macth' (did you mean 'match'?)"),
        ('match = ["wells*.csv"]', "", "[files]: missing key 'match' (add 'match = …')"),
        ("born =", "borne =", "unknown key 'borne' (did you mean 'born'?)"),
        ('"seen_at <= now"', '"seen <= now"', "rule 'not_in_future': key 'check': unknown field 'seen'"),
        ('"seen_at <= now"', '"seen_at <= ("', "rule 'not_in_future': key 'check': not SQL"),
        ('"seen_at <= now"', '"seen_at < (select max(seen_at) from x)"', "more than one expression"),
        ('role = "key"', 'role = "detail"', "no field has role 'key'"),
        ('from = ["时间"]', 'from = ["户主"]', "field 'seen_at': heading '户主' is blocked by 'drop'"),
        ('["无水"]', '["有水"]', "field 'state': '有水' means both 'dry' and 'wet'"),
        ('born = "seen_at"', 'born = "seen"', "key 'born': no field 'seen' (did you mean 'seen_at'?)"),
        ('dataset = "wells"', "dataset =", "not valid TOML"),
        ('"seen_at <= now"', '"seen_at <= nwo"', "unknown field 'nwo' (did you mean 'now'?)"),
        ('"seen_at <= now"', "\"date_dif('day', seen_at, now) > 1\"", "(did you mean 'date_diff'?)"),
        ('"seen_at <= now"', '"seen_at <= 5"', "Cannot compare values of type TIMESTAMP"),
        ('"seen_at <= now"', '"seen_at"', "gives timestamp, no yes or no"),
        ('"seen_at <= now"', '"max(seen_at) <= now"', "cannot contain aggregates"),
        ('"seen_at <= now"', '"seen_at <= current_date"', "'current_date' is not the same in every run"),
        ('"seen_at <= now"', '"random() < 0.5"', "'random' is not the same in every run (use now"),
        ('"seen_at <= now"', '"seen_at <= $now"', "rule 'not_in_future': key 'check'"),
        ('"seen_at <= now"', '"true) or (true"', "rule 'not_in_future': key 'check': not SQL"),
        ('"seen_at <= now"', '"exists (from x)"', "rule 'not_in_future': key 'check'"),
        ('name = "not_in_future"', 'name = "not_in_future"\nseverity = "warning"', "(did you mean 'warn'?)"),
        (
            '["状态"]',
            '["状态"]\nseverty = "warn"',
            "field 'state': unknown key 'severty' (did you mean 'severity'?)",
        ),
        ('["时间"]', '["时间"]\nseverity = "warn"', "field 'seen_at': nothing to warn of"),
        ('["时间"]', '["时间"]\ndefault = "2024-02-30"', "field 'seen_at': default '2024-02-30' is no time"),
        ('["编号", "well_id"]', '["编号"]\nunique = true', "field 'well_id': 'unique' on the key"),
        ('["编号", "well_id"]', '["编号"]\npattern = "W[0-9"', "field 'well_id': key 'pattern': 'W[0-9'"),
        ('["编号", "well_id"]', '["编号"]\npattern = "(?<!W)1"', "key 'pattern': '(?<!W)1'"),
        ('born = "seen_at"', 'born = "state"', "key 'born': field 'state' is no time"),
        ("[files]", "[deleted]\nwhen = \"state = 'dried' and\"\n[files]", "[deleted]: key 'when': not SQL"),
        (
            "[files]",
            '[deleted]\nfield = "state"\nvalues = ["dri"]\n[files]',
            "'dri' is no choice of 'state' (did you mean 'dry'?)",
        ),
        (
            "[files]",
            '[deleted]\nfield = "stat"\nvalues = ["dry"]\n[files]',
            "no field 'stat' (did you mean 'state'?)",
        ),
        ("[files]", "[deleted]\n[files]", "[deleted]: needs 'when' or 'field'"),
        ("[files]", '[files]\ndelimiter = ";;"', "[files]: key 'delimiter': one sign"),
        ("[files]", '[files]\nencoding = "gbk2"', "unknown value 'gbk2' (did you mean 'gbk'?)"),
        ("[files]", '[files]\nquarantine = "seal"', "unknown value 'seal' (did you mean 'sealed'?)"),
        (
            "[files]",
            '[database]\nurl = "sqlite:///x"\ntable = "t"\nwatermark = "u"\nevery = "10 min"\n[files]',
            "[database]: key 'every': a rhythm such as",
        ),
        (
            "[files]",
            '[database]\nurl = "mysql://u:secret@h/d"\ntable = "t"\nwatermark = "u"\n[files]',
            "[database]: key 'url': holds a password",
        ),
        ("[fields.state]", "[fields.now]", "field 'now' is the clock's name"),
    ],
)
def test_a_mistake_names_file_key_and_the_nearest_right_one(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert right in WELLS
    path = written(tmp_path, WELLS.replace(right, wrong, 1))
    with pytest.raises(Mistake) as mistake:
        read_contract(path)
    assert str(path) in str(mistake.value)
    assert said in str(mistake.value)
    assert "\n" not in str(mistake.value)
    assert "secret" not in str(mistake.value)


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ('role = "key"', 'rolle = "key"', 10),
        ("[files]", "[filse]", 6),
        ('code = "wet"', 'cod = "wet"', 20),
        ('"seen_at <= now"', '"seen <= now"', 29),
        ('label = { zh = "时间", en = "Seen" }', 'label = { zh = "时间" }', 25),
        ('["无水"]', '["有水"]', 20),
    ],
)
def test_a_mistake_names_its_line(tmp_path: Path, right: str, wrong: str, line: int) -> None:
    assert right in WELLS
    path = written(tmp_path, WELLS.replace(right, wrong, 1))
    with pytest.raises(Mistake) as mistake:
        read_contract(path)
    assert str(mistake.value).startswith(f"{path}:{line}: ")


def test_a_table_of_a_database_takes_the_place_of_files(tmp_path: Path) -> None:
    database = (
        'url = "postgresql://u:${PASSWORD}@h/d"\ntable = "s.wells"\nwatermark = "u"\nevery = "day at 02:30"'
    )
    text = WELLS.replace('[files]\nmatch = ["wells*.csv"]', "[database]\n" + database)
    contract = read_contract(written(tmp_path, text))
    assert contract.database is not None and contract.database.table == "s.wells"
    assert match({"wells": contract}, "wells.csv") is None
    with pytest.raises(Mistake, match=r"neither \[files\] nor \[database\]"):
        read_contract(written(tmp_path, WELLS.replace('[files]\nmatch = ["wells*.csv"]', "")))


def test_the_longest_pattern_wins_and_case_does_not_matter(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    written(site.sources, WELLS.replace("wells*.csv", "*.csv"), "any.toml")
    known = contracts(site)
    assert getattr(match(known, "CASES_2024.CSV"), "name", None) == "cases"
    assert getattr(match(known, "网格事件202401.csv"), "name", None) == "cases"
    assert getattr(match(known, "x.csv"), "name", None) == "any"
    assert match(known, "x.pdf") is None


def test_a_sites_contract_wins_over_ours_by_name(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    written(site.sources, WELLS, "cases.toml")
    known = contracts(site)
    assert known["cases"].dataset.name == "wells"
    assert known["visits"].dataset.name == "visits"


BASED = """
base = "cases"
label = { zh = "外地工单", en = "Foreign cases" }
drop = ["Remarks"]
[files]
match = ["foreign*.csv"]
[fields.case_id]
from = ["Number"]
[fields.place]
from = ["Quarter"]
default = "43"
[fields.category]
from = ["Kind"]
map = { "Street Lights" = "upkeep" }
[fields.channel]
constant = "hotline"
[fields.reported_at]
[fields.updated_at]
from = ["Closed", "Opened"]
coalesce = true
"""


def test_a_contract_with_a_base_inherits_the_shape_and_says_where_fields_come_from(tmp_path: Path) -> None:
    contract = read_contract(written(tmp_path, BASED, "foreign.toml"))
    ours = read_contract(OURS / "cases.toml")
    assert contract.dataset.name == "cases"
    assert contract.dataset.fields == ours.dataset.fields
    assert contract.dataset.mapped == ("case_id", "place", "category", "channel", "reported_at", "updated_at")
    assert contract.fields["case_id"].headings == ("Number",)
    assert contract.fields["case_id"].required
    assert contract.fields["reported_at"].headings == ours.fields["reported_at"].headings
    assert contract.fields["category"].codes()["street lights"] == "upkeep"
    assert not contract.fields["unit"].required and not contract.fields["unit"].mapped
    assert contract.rules == ours.rules
    assert "Remarks" in contract.drop and "姓名" in contract.drop


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('base = "cases"', 'base = "casses"', "no such contract 'casses' (did you mean 'cases'?)"),
        (
            "[fields.channel]",
            "[fields.chanel]",
            "field 'chanel': not a field of 'cases' (did you mean 'channel'?)",
        ),
        ("coalesce = true", 'type = "text"', "field 'updated_at': key 'type' belongs to the base"),
        ('= "upkeep"', '= "upkep"', "map 'Street Lights' = 'upkep' is no choice (did you mean 'upkeep'?)"),
        ('constant = "hotline"', 'constant = "hotlin"', "constant 'hotlin' is no choice"),
        ("[fields.reported_at]", "", "field 'reported_at': missing"),
        (
            'label = { zh = "外地工单", en = "Foreign cases" }',
            'born = "due_at"',
            "belongs to the base 'born'",
        ),
        ('["Quarter"]', '["姓名"]', "heading '姓名' is blocked by 'drop'"),
    ],
)
def test_a_mistake_in_a_contract_with_a_base_is_told_as_plainly(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert right in BASED
    with pytest.raises(Mistake) as mistake:
        read_contract(written(tmp_path, BASED.replace(right, wrong, 1)))
    assert said in str(mistake.value)


def test_a_contract_with_a_base_changes_the_severity_of_its_rules_and_nothing_else_of_them(
    tmp_path: Path,
) -> None:
    softer = BASED + '[[rules]]\nname = "closed_has_time"\nseverity = "warn"\n'
    contract = read_contract(written(tmp_path, softer, "foreign.toml"))
    assert {rule.name: rule.severity for rule in contract.rules}["closed_has_time"] == "warn"
    assert {rule.severity for rule in contract.rules if rule.name != "closed_has_time"} == {"reject"}
    with pytest.raises(Mistake, match="key 'check' belongs to the base 'cases'"):
        read_contract(written(tmp_path, softer + 'check = "true"\n', "foreign.toml"))


def test_a_contract_with_a_base_inherits_neither_its_files_nor_its_removals(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"neither \[files\] nor \[database\]"):
        read_contract(
            written(tmp_path, BASED.replace('[files]\nmatch = ["foreign*.csv"]', ""), "foreign.toml")
        )


def test_words_and_headings_are_compared_without_width_case_and_space() -> None:
    assert word("  Ａｂｃ ") == "abc"
    assert heading("\ufeff 工单 编号＊") == heading("工单\n编号*") == "工单编号"
    assert heading("Case ID") == "caseid"
