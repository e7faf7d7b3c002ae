"""`nerve contract`: every contract of ours is right, a sample proves one, a file drafts one."""

from __future__ import annotations

import csv
import gzip
import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nerve.contract import app
from pipelines.contract import OURS, read_contract
from pipelines.draft import draft
from pipelines.proof import prove
from warehouse.mistake import Mistake
from warehouse.site import Site

BOSTON = Path(__file__).parent.parent / "examples" / "boston"
WELLS = """
dataset = "wells"
label = { zh = "水井", en = "Wells" }
born = "seen_at"
fresh_hours = 48
drop = ["户主"]
[files]
match = ["wells*.csv"]
[deleted]
when = "state = 'gone'"
[fields.well_id]
type = "code"
role = "key"
label = { zh = "编号", en = "Number" }
from = ["编号"]
required = true
[fields.state]
type = "code"
label = { zh = "状态", en = "State" }
from = ["状态"]
choices = [
    { code = "dry", label = { zh = "干", en = "dry" } },
    { code = "gone", label = { zh = "已填", en = "gone" } },
]
[fields.depth]
type = "float"
label = { zh = "深度", en = "Depth" }
from = ["深度"]
max = 500
severity = "warn"
[fields.note]
type = "int"
label = { zh = "备注", en = "Note" }
from = ["备注"]
privacy = "mask"
[fields.seen_at]
type = "time"
role = "event"
label = { zh = "时间", en = "Seen" }
from = ["时间"]
[fields.checked_at]
type = "time"
role = "updated"
label = { zh = "更新", en = "Checked" }
from = ["更新"]
[[rules]]
name = "not_in_future"
check = "seen_at <= now"
label = { zh = "晚于当前时间", en = "in the future" }
"""
SAMPLE = """编号,户主,状态,深度,备注,时间,颜色
W1,张三,干,3,,2024-01-01,红
W2,张三,湿,900,,2024-01-02,红
W3,张三,湿,x,,2024-13-01,红
W3,张三,已填,,,2099-01-01,红
W4,张三,干,,13800138000,2099-01-01,红
,张三,干 13800138000,,,2024-01-01,红
"""


@pytest.mark.parametrize("path", sorted(OURS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_contract_of_ours_is_right_by_name_and_by_file(path: Path) -> None:
    for argument in (path.stem, str(path)):
        result = CliRunner().invoke(app, ["check", argument])
        assert result.exit_code == 0, result.output
        assert f"{path}: right." in result.output


def test_a_sample_shows_what_would_be_kept_what_not_and_why(tmp_path: Path) -> None:
    (tmp_path / "wells.toml").write_text(WELLS, encoding="utf-8")
    (tmp_path / "wells.csv").write_text(SAMPLE, encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    arguments = ["check", str(tmp_path / "wells.toml"), "--sample", str(tmp_path / "wells.csv"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    proof = json.loads(result.output)
    assert {key: proof[key] for key in ("read", "kept", "quarantined", "removals", "references")} == {
        "read": 6, "kept": 2, "quarantined": 4, "removals": 1, "references": "none",
    }  # fmt: skip
    assert proof["columns"]["well_id"] == ["编号"]
    assert (proof["missing"], proof["unknown"], proof["blocked"]) == (["checked_at"], ["颜色"], ["户主"])
    assert {r["reason"]: (r["rows"], r["lines"], r["words"]) for r in proof["reasons"]} == {
        "choice:state": (3, [3, 4, 7], ["湿", "干 [电话]"]),
        "not_in_future": (1, [6], []),
        "required:well_id": (1, [7], []),
        "type:depth": (1, [4], ["x"]),
        "type:note": (1, [6], []),
        "type:seen_at": (1, [4], ["2024-13-01"]),
    }
    assert proof["warned"] == []
    assert [(w["field"], w["word"], w["rows"]) for w in proof["words"]] == [
        ("state", "湿", 2),
        ("state", "干 [电话]", 1),
    ]
    assert [note["en"] for note in proof["notes"]] == [
        "no record states 'checked_at': nothing tells which row of a key is newer"
    ]
    assert "13800138000" not in result.output and "张三" not in result.output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sample_is_shown_to_people_as_tables(tmp_path: Path) -> None:
    (tmp_path / "wells.toml").write_text(WELLS, encoding="utf-8")
    (tmp_path / "wells.csv").write_text(SAMPLE.replace(",900,", ",3,"), encoding="utf-8")
    result = CliRunner().invoke(
        app, ["check", str(tmp_path / "wells.toml"), "--sample", str(tmp_path / "wells.csv")]
    )
    assert "6 read = 2 would be kept (1 of them removals) + 4 quarantined" in result.output
    assert "headings not in the contract, not loaded: 颜色" in result.output


def test_a_refused_sample_ends_with_2_and_a_wrong_contract_is_told(tmp_path: Path) -> None:
    (tmp_path / "wells.toml").write_text(WELLS, encoding="utf-8")
    (tmp_path / "wells.csv").write_text("状态,时间\n干,2024-01-01\n", encoding="utf-8")
    arguments = ["check", str(tmp_path / "wells.toml"), "--sample", str(tmp_path / "wells.csv")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "refused whole: no column for well_id" in result.output
    (tmp_path / "wells.toml").write_text(WELLS.replace("max = 500", "mxa = 500"), encoding="utf-8")
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, Mistake) and "did you mean 'max'?" in str(result.exception)
    result = CliRunner().invoke(app, ["check", "casses"])
    assert "did you mean 'cases'?" in str(result.exception)


def test_references_are_proved_against_the_places_a_site_has_published(
    small_site: Site, tmp_path: Path
) -> None:
    sample = next(path for path in small_site.archived.rglob("巡逻_*.csv"))
    rows = list(csv.reader(sample.read_text(encoding="utf-8-sig").splitlines()))[:3]
    at = rows[0].index("所属网格编码")
    rows.append([*rows[2][:at], "999", *rows[2][at + 1 :]])
    (tmp_path / "巡逻.csv").write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    contract = read_contract(OURS / "patrols.toml")
    unproved, proved = (prove(contract, tmp_path / "巡逻.csv", site) for site in (None, small_site))
    assert (unproved.references, unproved.kept, unproved.reasons) == ("unproved", 3, ())
    assert (proved.references, proved.kept) == ("proved", 2)
    assert [(r.reason, r.rows, r.lines, r.words) for r in proved.reasons] == [
        ("refers:place", 1, (4,), ("999",))
    ]


@pytest.mark.parametrize(
    ("pattern", "dataset"),
    [
        ("事件_*.csv", "cases"),
        ("区划网格.csv", "places"),
        ("议定事项台账_*.xlsx", "work_items"),
        ("接警_*.ndjson", "responses"),
        ("走访_*.parquet", "visits"),
    ],
)
def test_a_draft_from_a_demo_file_of_each_form_keeps_what_our_contract_keeps(
    small_site: Site, tmp_path: Path, pattern: str, dataset: str
) -> None:
    sample = min(small_site.archived.rglob(pattern))
    written = draft(sample, site=small_site)
    assert written.dataset == dataset
    path = tmp_path / "draft.toml"
    path.write_text(written.text, encoding="utf-8")
    ours, drafted = (prove(read_contract(p), sample, small_site) for p in (OURS / f"{dataset}.toml", path))
    assert drafted.refused is None
    assert (drafted.read, drafted.kept, drafted.reasons) == (ours.read, ours.kept, ours.reasons)
    assert drafted.columns == ours.columns


def test_a_draft_from_another_citys_file_says_what_to_decide_and_is_whole_once_it_is_decided(
    tmp_path: Path,
) -> None:
    sample = BOSTON / "data" / "boston311.csv"
    written = draft(sample)
    text = written.text
    path = tmp_path / "draft.toml"
    path.write_text(text, encoding="utf-8")
    assert tomllib.loads(text)["base"] == "cases"
    assert any("28 words of REASON are none of 'category'" in decision for decision in written.decisions)
    for private in ("LOCATION_STREET_NAME", "LATITUDE", "CLOSURE_REASON"):
        assert private in tomllib.loads(text)["drop"]
    undecided = prove(read_contract(path), sample, None)
    assert undecided.kept == 0 and undecided.words[0].word == "Street Cleaning"
    decided = text.replace("= ''  #", "= 'other'  #")
    path.write_text(
        "\n".join(
            line.removeprefix("# ") if line.startswith('# "') else line for line in decided.split("\n")
        ),
        encoding="utf-8",
    )
    proof = prove(read_contract(path), sample, None)
    assert [(r.reason, r.rows) for r in proof.reasons] == [("required:place", 2000 - proof.kept)]
    assert proof.columns is not None and proof.columns["updated_at"] == ("CLOSED_DT", "OPEN_DT")


TREES = "Tree No;Species;Ward;Planted;Height m;Owner Name;Remarks;树种\n" + "".join(
    f"T{number};{'Oak' if number % 3 else 'Elm'};W{number % 4};2021-0{number % 9 + 1}-11;{number}.5;张三;fell;{'橡' if number % 3 else '榆'}\n"
    for number in range(1, 31)
)


def test_a_draft_for_records_of_another_kind_is_a_contract_of_its_own(tmp_path: Path) -> None:
    sample = tmp_path / "trees.csv"
    sample.write_text(TREES, encoding="gb18030")
    out = tmp_path / "trees.toml"
    result = CliRunner().invoke(app, ["draft", str(sample), "--out", str(out)])
    assert result.exit_code == 0, result.output
    contract = read_contract(out)
    assert contract.dataset.name == "trees"
    assert (contract.dataset.key, contract.dataset.place, contract.dataset.born) == (
        "tree_no",
        "ward",
        "planted",
    )
    assert {name: rule.type for name, rule in contract.fields.items()} == {
        "tree_no": "code", "species": "code", "ward": "code", "planted": "time", "height_m": "float", "field_6": "code",
    }  # fmt: skip
    assert [choice.code for choice in contract.fields["species"].choices] == ["oak", "elm"]
    assert set(contract.drop) == {"Owner Name", "Remarks"}
    assert "GB18030, columns parted by ';'" in out.read_text(encoding="utf-8")
    proof = prove(contract, sample, None)
    assert (proof.read, proof.kept, proof.unknown) == (30, 30, ())
    again = CliRunner().invoke(app, ["draft", str(sample), "--out", str(out)])
    assert "exists already" in str(again.exception)


def test_a_key_that_nobody_can_see_is_left_to_decide(tmp_path: Path) -> None:
    sample = tmp_path / "trees.csv"
    sample.write_text("a,b\nx,1\nx,2\ny,2\n", encoding="utf-8")
    written = draft(sample, dataset="new")
    assert any("which column is the key?" in decision for decision in written.decisions)
    path = tmp_path / "draft.toml"
    path.write_text(written.text, encoding="utf-8")
    refused = prove(read_contract(path), sample, None).refused
    assert refused is not None and "no column for key" in refused.en


def test_names_and_numbers_of_persons_are_dropped_by_what_they_look_like(tmp_path: Path) -> None:
    people = [("王芳", "张伟", "李娜", "刘洋")[n % 4] + "明亮华"[n % 3] for n in range(12)]
    lines = [f"R{n},{people[n]},1380013{8000 + n},{n}" for n in range(12)]
    sample = tmp_path / "x.csv.gz"
    sample.write_bytes(gzip.compress(("r,甲,乙,丙\n" + "\n".join(lines)).encode()))
    written = draft(sample, name="x")
    assert set(tomllib.loads(written.text)["drop"]) == {"甲", "乙"}
    assert not any(person in written.text for person in people)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv"], "no such file"),
        (["{file}", "--dataset", "casses"], "did you mean 'cases'?"),
        (["{file}", "--name", "My Trees"], "not a name"),
        (["{empty}"], "empty file"),
        (["{header}"], "no records"),
    ],
)
def test_a_draft_that_cannot_be_made_says_why(tmp_path: Path, arguments: list[str], said: str) -> None:
    files = {"file": "a,b\n1,2\n", "empty": "", "header": "a,b\n"}
    for name, content in files.items():
        (tmp_path / f"{name}.csv").write_text(content, encoding="utf-8")
    paths = {name: str(tmp_path / f"{name}.csv") for name in files}
    result = CliRunner().invoke(app, ["draft", *(argument.format(**paths) for argument in arguments)])
    assert isinstance(result.exception, Mistake) and said in str(result.exception)
