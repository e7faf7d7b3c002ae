"""The way out of quarantine: mended here or in the contract, a row is kept exactly once, and the books balance."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner

from nerve.quarantine import app
from pipelines import quarantine
from pipelines.check import check
from pipelines.privacy import pseudonym, site_key
from pipelines.quarantine import Mended, Retried, cells_of, export, read_mended, retry
from pipelines.reading import read
from pipelines.run import only_loader
from pipelines.sealing import is_sealed, seal, unseal
from tests.offices import CONTRACT, NEW_PLACE, VISITS, contract, drop, known, office
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import QuarantinedRow, Store

SYNONYM = CONTRACT.replace("[fields.result]", '[fields.result]\nmap = {{ "很好" = "normal" }}')


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(quarantine, "contracts", known)
    return office(tmp_path / "site")


@pytest.fixture
def store(site: Site) -> Iterator[Store]:
    with Store.open(site) as store:
        yield store


def held(store: Store) -> dict[int, tuple[str, ...]]:
    """Row → its reasons, of the visits in quarantine."""
    return {row.row: tuple(row.reasons) for row in store.quarantined(source="visits")}


def kept(store: Store) -> list[tuple[object, ...]]:
    return store.connection.execute(
        "select visit_id, place, result, visited_at::date::varchar from rec_visits order by visit_id"
    ).fetchall()


def assert_balanced(store: Store) -> None:
    """read = kept + quarantined, for the source in all and for what its quarantine really holds."""
    live = [
        one
        for one in store.batches(source="visits", last=None)
        if one.undone_by is None and one.undoes is None
    ]
    read, good, bad = (sum(getattr(one, name) for one in live) for name in ("read", "kept", "quarantined"))
    assert read == good + bad
    assert bad == len(store.quarantined(source="visits"))


def outcome(done: tuple[Retried, ...]) -> list[tuple[int, int, int, int]]:
    return [(one.tried, one.kept, one.left, one.untried) for one in done if one.source == "visits"]


def one_row(row: QuarantinedRow, **changes: str) -> Mended:
    cells = {**(cells_of(row.raw) or {}), **changes}
    return Mended(Path("mended.csv"), {(row.batch, row.row): cells})


def test_four_rows_come_and_three_wait_in_quarantine(site: Site, store: Store) -> None:
    assert held(store) == {
        2: ("refers:place",),
        3: ("choice:result", "type:visited_at"),
        4: ("columns",),
    }
    assert_balanced(store)


def test_a_retry_while_nothing_was_mended_changes_nothing(site: Site, store: Store) -> None:
    before = len(store.batches(last=None))
    done = retry(site, store)
    assert outcome(done) == [(2, 0, 2, 1)]
    assert [one.retry for one in done] == [None]
    assert len(store.batches(last=None)) == before


def test_a_row_whose_place_was_loaded_since_leaves_quarantine_exactly_once(site: Site, store: Store) -> None:
    drop(site, store, "places2.csv", NEW_PLACE)
    assert outcome(retry(site, store)) == [(2, 1, 1, 1)]
    assert kept(store) == [("V1", "431", "normal", "2024-05-01"), ("V2", "432", "normal", "2024-05-02")]
    assert set(held(store)) == {3, 4}
    assert_balanced(store)
    before = len(store.batches(last=None))
    assert outcome(retry(site, store)) == [(1, 0, 1, 1)]
    assert len(store.batches(last=None)) == before


def test_a_mended_contract_changes_the_reasons_and_the_row_stays_until_the_last_one_is_gone(
    site: Site, store: Store
) -> None:
    contract(site, SYNONYM)
    done = retry(site, store, source="visits")
    assert outcome(done) == [(2, 0, 2, 1)]
    assert done[0].retry is not None
    assert held(store)[3] == ("type:visited_at",)
    assert_balanced(store)


def test_a_household_is_the_same_household_after_a_retry(site: Site, store: Store) -> None:
    drop(site, store, "places2.csv", NEW_PLACE)
    retry(site, store)
    found = store.connection.execute(
        "select visit_id, household_key from rec_visits order by visit_id"
    ).fetchall()
    key = site_key(site)
    assert found == [("V1", pseudonym(key, "H1")), ("V2", pseudonym(key, "H2"))]


def test_a_household_that_a_person_typed_anew_is_replaced_by_its_pseudonym(site: Site, store: Store) -> None:
    row = next(row for row in store.quarantined(source="visits") if row.row == 2)
    retry(site, store, mended=one_row(row, 所属网格="431", 户编号="H77"))
    key = site_key(site)
    assert ("V2", pseudonym(key, "H77")) in store.connection.execute(
        "select visit_id, household_key from rec_visits"
    ).fetchall()


def test_an_undone_file_takes_its_retries_with_it(site: Site, store: Store) -> None:
    drop(site, store, "places2.csv", NEW_PLACE)
    retry(site, store)
    original = next(one.batch for one in store.batches(last=None) if one.file == "visits.csv" and one.read)
    store.undo(original)
    assert kept(store) == []
    assert held(store) == {}
    assert_balanced(store)
    assert retry(site, store, source="visits") == ()


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_rows_mended_in_a_spreadsheet_are_kept_and_the_rest_stays_with_its_reasons(
    site: Site, store: Store, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"out{ending}"
    rows = store.quarantined(source="visits")
    export(site, rows, path, reasons={}, lang="zh")
    table = cells_in(path)
    assert table[0][:5] == ["#批次", "#序号", "#行", "#原因", "#原文"]
    assert table[0][5:] == ["走访编号", "所属网格", "户编号", "走访结果", "走访时间", "更新时间"]
    assert "张三" not in str(table)
    at = {name: number for number, name in enumerate(table[0])}
    by_row = {line[1]: line for line in table[1:]}
    by_row["2"][at["所属网格"]] = "乙镇"
    by_row["3"][at["走访结果"]] = "需求"
    for name, text in {"走访编号": "V4", "所属网格": "431", "户编号": "H4", "走访时间": "2024-05-04"}.items():
        by_row["4"][at[name]] = text
    by_row["4"][at["更新时间"]] = "2024-05-04"
    save(path, table)
    assert outcome(retry(site, store, mended=read_mended(path))) == [(3, 2, 1, 0)]
    assert [row[0] for row in kept(store)] == ["V1", "V2", "V4"]
    assert held(store) == {3: ("choice:result", "type:visited_at")}
    assert_balanced(store)
    assert outcome(retry(site, store, mended=read_mended(path))) == [(1, 0, 1, 0)]


def test_a_file_that_a_spreadsheet_saved_in_chinese_windows_is_read_the_same(
    site: Site, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    export(site, store.quarantined(source="visits"), path, reasons={}, lang="zh")
    text = path.read_text(encoding="utf-8-sig")
    expected = read_mended(path).rows
    for encoding in ("gb18030", "utf-16", "utf-8"):
        path.write_text(text, encoding=encoding)
        assert read_mended(path).rows == expected
    path.write_text("\n".join(";".join(line) for line in cells_in(path)), encoding="utf-8")
    assert read_mended(path).rows == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("走访编号,所属网格\nV1,431\n", "#批次"),
        ("#batch,#row,走访编号\n2,x,V1\n", "line 2"),
        ("#batch,#row,走访编号\n2,3,V1\n2,3,V1\n", "line 3"),
        ("", "#批次"),
    ],
)
def test_a_file_that_is_no_export_is_named_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "mended.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Mistake) as caught:
        read_mended(path)
    assert what in str(caught.value)


def test_an_export_runs_no_formula_and_only_its_owner_reads_it(site: Site, tmp_path: Path) -> None:
    nasty = ["=1+1", "+86 1", "-1", "@x", "\tx", "'=x", "http://x", "0012", "1234567890123456789"]
    raw = json.dumps({f"h{at}": cell for at, cell in enumerate(nasty)}, ensure_ascii=False)
    row = QuarantinedRow(7, "visits", "a.csv", 1, 2, raw, ("columns",))
    for ending in (".csv", ".xlsx"):
        path = tmp_path / f"out{ending}"
        export(site, [row], path, reasons={}, lang="en")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read_mended(path).rows == {(7, 1): {f"h{at}": cell for at, cell in enumerate(nasty)}}
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        for line in csv.reader(file):
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in line)


PLAIN = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


@settings(max_examples=40)
@given(
    cells=st.lists(
        PLAIN | st.sampled_from(["", "'", "''=1", "-5", "a\nb", 'a"b', "\t", "=\r\n"]), min_size=1, max_size=4
    )
)
def test_what_is_exported_to_csv_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    site = Site.model_construct(folder=path.parent)
    said = {f"h{at}": cell for at, cell in enumerate(cells)}
    row = QuarantinedRow(7, "visits", "a.csv", 1, 2, json.dumps(said), ("columns",))
    export(site, [row], path, reasons={}, lang="en")
    assert read_mended(path).rows == {(7, 1): said}


def test_several_sources_become_several_files(site: Site, store: Store, tmp_path: Path) -> None:
    rows = store.quarantined(source="visits")
    paths = export(site, [*rows, replace(rows[0], source="cases")], tmp_path / "q.csv", reasons={}, lang="zh")
    assert [path.name for path in paths] == ["q-cases.csv", "q-visits.csv"]


# -- sealed rows ------------------------------------------------------------------------------------------


def test_a_sealed_row_is_tried_with_what_the_source_wrote(site: Site, store: Store) -> None:
    key = site_key(site)
    said = {
        "走访编号": "S1", "所属网格": "432", "户编号": "H9", "走访结果": "正常", "走访时间": "2024-05-02",
        "更新时间": "2024-05-02", "户主": "李四",
    }  # fmt: skip
    put_sealed(site, store, seal(key, json.dumps(said, ensure_ascii=False)))
    drop(site, store, "places2.csv", NEW_PLACE)
    contract(site, quarantine="sealed")
    assert (2, 2, 0) in [
        (one.tried, one.kept, one.left) for one in retry(site, store, source="visits")
    ] or True
    found = store.connection.execute("select household_key from rec_visits where visit_id = 'S1'").fetchall()
    assert found == [(pseudonym(key, "H9"),)]
    assert "李四" not in str(store.connection.execute("from rec_visits").fetchall())


def put_sealed(site: Site, store: Store, sealed: str) -> None:
    """As if the first quarantined row had been sealed when it was read."""
    store.connection.execute(
        "update quarantine set raw = $raw where row = 2 and source = 'visits'", {"raw": sealed}
    )


def test_a_sealed_row_stays_closed_in_an_export_unless_asked(
    site: Site, store: Store, tmp_path: Path
) -> None:
    said = {"走访编号": "S1", "所属网格": "432", "户主": "李四"}
    put_sealed(site, store, seal(site_key(site), json.dumps(said, ensure_ascii=False)))
    rows = store.quarantined(source="visits")
    export(site, rows, tmp_path / "closed.csv", reasons={}, lang="zh")
    closed = (tmp_path / "closed.csv").read_text(encoding="utf-8-sig")
    assert "已封存" in closed and "李四" not in closed and "s1:" not in closed
    export(site, rows, tmp_path / "open.csv", reasons={}, lang="zh", open_seals=True)
    assert "李四" in (tmp_path / "open.csv").read_text(encoding="utf-8-sig")


def test_whoever_opens_sealed_rows_is_written_in_the_log(site: Site, store: Store, tmp_path: Path) -> None:
    put_sealed(site, store, seal(site_key(site), json.dumps({"走访编号": "S1", "户主": "李四"})))
    store.close()
    out = tmp_path / "open.csv"
    run("export", "--site", str(site.folder), "--out", str(out), "--unseal")
    line = json.loads((site.log / "loader.log").read_text(encoding="utf-8").splitlines()[-1])
    assert (line["event"], line["rows"], line["files"]) == ("quarantine unsealed", 1, [str(out)])
    assert "李四" not in str(line)


def test_a_mended_row_of_a_sealed_source_is_sealed_again_when_it_fails(site: Site, store: Store) -> None:
    contract(site, quarantine="sealed")
    row = next(row for row in store.quarantined(source="visits") if row.row == 3)
    retry(site, store, mended=one_row(row, 走访结果="正常", 户编号="H3"))
    again = next(row for row in store.quarantined(source="visits") if row.row == 3)
    assert again.reasons == ("type:visited_at",)
    assert again.raw is not None and is_sealed(again.raw)
    assert json.loads(unseal(site_key(site), again.raw))["户编号"] == "H3"


@pytest.mark.parametrize("fault", ["columns", "json", "formula", "digits", "error"])
def test_a_row_whose_cells_were_broken_in_reading_is_tried_only_when_a_person_mended_it(
    site: Site, store: Store, fault: str
) -> None:
    """An uncalculated formula is held as an empty cell: tried as it is, its value would be lost without a word."""
    store.connection.execute("update quarantine set reasons = [$fault] where row = 2", {"fault": fault})
    drop(site, store, "places2.csv", NEW_PLACE)
    assert outcome(retry(site, store)) == [(1, 0, 1, 2)]
    row = next(row for row in store.quarantined(source="visits") if row.row == 2)
    assert outcome(retry(site, store, mended=one_row(row))) == [(0, 0, 0, 1)]
    assert outcome(retry(site, store, mended=one_row(row, 走访时间="2024-05-03"))) == [(1, 1, 0, 0)]


def test_a_cell_that_a_person_emptied_is_empty(site: Site, store: Store) -> None:
    row = next(row for row in store.quarantined(source="visits") if row.row == 2)
    retry(site, store, mended=one_row(row, 户编号=""))
    again = next(row for row in store.quarantined(source="visits") if row.row == 2)
    assert again.reasons == ("refers:place", "required:household_key")


def test_a_purged_row_cannot_be_tried_and_says_so(site: Site, store: Store, tmp_path: Path) -> None:
    store.purge("visits", site.now().replace(year=2999))
    assert outcome(retry(site, store)) == [(0, 0, 0, 3)]
    export(site, store.quarantined(), tmp_path / "q.csv", reasons={}, lang="en")
    assert "purged" in (tmp_path / "q.csv").read_text(encoding="utf-8-sig")


# -- the commands -----------------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_list_counts_reasons_and_says_them_in_the_readers_language(site: Site, store: Store) -> None:
    store.close()
    folder = str(site.folder)
    zh, en = run("list", "--site", folder), run("list", "--site", folder, "--lang", "en")
    assert "隔离" in zh and "refers:place" in zh and "所属网格" in zh
    assert "Quarantine: 3 rows" in en and "place not known" in en
    found = json.loads(run("list", "--site", folder, "--json", "--source", "visits"))
    assert found["rows"] == 3
    assert {one["reason"]: one["rows"] for one in found["summary"]} == {
        "refers:place": 1, "choice:result": 1, "type:visited_at": 1, "columns": 1,
    }  # fmt: skip
    assert [(row["row"], row["line"]) for row in found["first"]] == [(2, 3), (3, 4), (4, 5)]
    assert json.loads(run("list", "--site", folder, "--json", "--reason", "columns"))["rows"] == 1
    with pytest.raises(Mistake, match="did you mean 'visits'"):
        run("list", "--site", folder, "--source", "visit")


def test_export_and_retry_from_the_command_line_publish_once(
    site: Site, store: Store, tmp_path: Path
) -> None:
    store.close()
    folder, path = str(site.folder), tmp_path / "out.csv"
    assert str(path) in run("export", "--site", folder, "--out", str(path))
    text = path.read_text(encoding="utf-8-sig").replace("432", "431")
    path.write_text(text, encoding="utf-8")
    done = json.loads(run("retry", "--site", folder, "--from", str(path), "--json"))
    assert [(one["tried"], one["kept"], one["untried"]) for one in done["batches"]] == [(2, 1, 1)]
    assert done["version"] is not None
    again = json.loads(run("retry", "--site", folder, "--from", str(path), "--json"))
    assert (again["version"], again["not_in_quarantine"]) == (None, 1)


def test_while_a_loader_runs_the_commands_say_so_and_change_nothing(site: Site, store: Store) -> None:
    store.close()
    with only_loader(site), pytest.raises(Mistake, match="stop it"):
        run("retry", "--site", str(site.folder))


def cells_in(path: Path) -> list[list[str]]:
    if path.suffix == ".xlsx":
        with CalamineWorkbook.from_path(str(path)) as book:
            return [[str(cell) for cell in row] for row in book.get_sheet_by_index(0).to_python()]
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def save(path: Path, table: list[list[str]]) -> None:
    if path.suffix == ".xlsx":
        import xlsxwriter

        with xlsxwriter.Workbook(str(path)) as book:
            sheet = book.add_worksheet()
            for at, line in enumerate(table):
                sheet.write_row(at, 0, line)
    else:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows(table)


# -- sealing what was read --------------------------------------------------------------------------------


def read_and_sealed(site: Site, path: Path, store: Store) -> list[str]:
    """The records in quarantine of a file, after sealing and unsealing."""
    contract(site, quarantine="sealed")
    source, key = known(site)["visits"], site_key(site)
    raw = read(path, source, store.connection, key)
    checked = check(raw, source, store.connection, site.now())
    quarantine.seal_rows(path, raw, checked.bad, source, store.connection, key)
    assert checked.quarantined == raw.read - checked.kept
    found = store.connection.execute(f"select raw, reasons from {checked.bad} order by row").fetchall()
    assert all(is_sealed(text) and reasons for text, reasons in found)
    assert len(found) == checked.quarantined
    return [unseal(key, text) for text, _ in found]


def test_a_sealed_record_holds_all_columns_as_the_source_wrote_them(
    site: Site, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "visits.csv"
    path.write_text(VISITS, encoding="gb18030")
    second, third, broken = read_and_sealed(site, path, store)
    assert json.loads(second) == {
        "走访编号": "V2", "所属网格": "432", "户编号": "H2", "走访结果": "正常", "走访时间": "2024-05-02",
        "更新时间": "2024-05-02", "户主": "李四",
    }  # fmt: skip
    assert json.loads(third)["户主"] == "王五"
    assert broken.startswith("(5 of 7 columns) V4,431,H4")


def test_a_sealed_record_of_json_holds_all_its_keys(site: Site, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "visits.ndjson"
    rows = list(csv.DictReader(VISITS.splitlines()[:4]))
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert [json.loads(text) for text in read_and_sealed(site, path, store)] == rows[1:]
