"""The workbook: what the page shows, as typed cells that Excel can sum and filter; no text of it is run."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import re
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from dashboard.blocks import Block, Column, Note, Row, Sheet, Table, Tile, Tiles
from dashboard.pages import PAGES
from dashboard.view import build, view_of
from dashboard.workbook import TITLE_WIDTH, render_xlsx
from tests.sheets import sample_sheet
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.text import LANGS, Lang
from warehouse.version import current
from warehouse.viewer import Viewer

MADE = datetime(2026, 1, 31, 18, 0)


def sheet_of(*blocks: Block) -> Sheet:
    return Sheet(
        "page", "Page", "Place", "2026", "", "2026-01-31 18:00", "v000001", "en", ("Synthetic.",), blocks
    )


def table_of(rows: list[tuple[str, ...]], *columns: Column, title: str = "Sources") -> Table:
    return Table(title, columns, tuple(Row(cells) for cells in rows), total=len(rows))


def book_of(sheet: Sheet) -> CalamineWorkbook:
    return CalamineWorkbook.from_filelike(io.BytesIO(render_xlsx(sheet, "Site", made=MADE)))


def parts_of(sheet: Sheet) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(render_xlsx(sheet, "Site", made=MADE))) as book:
        return {name: book.read(name).decode() for name in book.namelist()}


@pytest.mark.parametrize("lang", LANGS)
def test_every_block_but_record_lists_is_in_the_workbook(lang: Lang) -> None:
    sheet = sample_sheet(lang)
    book = book_of(sheet)
    left_out = [b.title for b in sheet.blocks if isinstance(b, Table) and not b.printed]
    shown = [b.title for b in sheet.blocks if not isinstance(b, Tiles | Note) and b.title not in left_out]
    assert {title[:TITLE_WIDTH] for title in shown} <= set(book.sheet_names)
    assert left_out
    about = [str(cell) for row in book.get_sheet_by_index(0).to_python() for cell in row]
    assert set(left_out) <= set(about)
    assert sheet.version in about
    assert set(sheet.notices) <= set(about)


def test_a_figure_is_a_number_and_what_is_hidden_stays_text() -> None:
    tiles = Tiles(
        "Cases",
        (
            Tile("a", "Reported", "70,066", "cases"),
            Tile("b", "On time", "92.9", "%", counts="62,239 / 67,019"),
            Tile("c", "Repeat", "<5", "", status="too few to show"),
            Tile("d", "Change", "−3", "points"),
        ),
    )
    rows = book_of(sheet_of(tiles)).get_sheet_by_name("Figures").to_python()
    assert [row[2] for row in rows[1:]] == [70066.0, 92.9, "<5", -3.0]
    assert rows[2][6] == "62,239 / 67,019"


def test_only_columns_of_figures_hold_numbers_and_codes_stay_whole() -> None:
    table = table_of(
        [("431122100001002003", "1,204", "0.51 %", "2026-01-05 08:30"), ("007", "–", "0", "soon")],
        Column("Code"), Column("Read", "right"), Column("Share", "right"), Column("Last load"),
    )  # fmt: skip
    rows = book_of(sheet_of(table)).get_sheet_by_name("Sources").to_python()
    assert rows[1] == ["431122100001002003", 1204.0, 0.51, datetime(2026, 1, 5, 8, 30)]
    assert rows[2] == ["007", "–", 0.0, "soon"]


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "http://a.b/c", "mailto:x@y", "\t=1", "{=A1}"]
)
def test_no_text_becomes_a_formula_or_a_link(text: str) -> None:
    sheet = sheet_of(
        table_of([(text, text)], Column("A"), Column("B", "right")), Note(text, text, ((text, text),))
    )
    parts = parts_of(sheet)
    assert not any("<f>" in part or "<f " in part or "hyperlink" in part for part in parts.values())
    assert book_of(sheet).get_sheet_by_name("Sources").to_python()[1] == [text, text]


def test_headings_stay_in_view_and_filter_their_columns() -> None:
    table = table_of([("a", "1"), ("b", "2")], Column("Name"), Column("Rows", "right"))
    page = parts_of(sheet_of(table))["xl/worksheets/sheet2.xml"]
    assert '<autoFilter ref="A1:B3"/>' in page
    assert 'state="frozen"' in page


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        (["a/b:c", "a\\b*c"], ["a b c", "a b c (2)"]),
        (["x" * 40, "x" * 40], ["x" * 31, "x" * 27 + " (2)"]),
        (["𠮷" * 20, "𠮷" * 20], ["𠮷" * 15, "𠮷" * 13 + " (2)"]),
        (["'", ""], ["-", "- (2)"]),
        (["History"], ["History "]),
    ],
)
def test_titles_become_names_that_excel_allows(titles: list[str], names: list[str]) -> None:
    sheet = sheet_of(*(table_of([("a",)], Column("Name"), title=title) for title in titles))
    assert book_of(sheet).sheet_names[1:] == names


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_any_text_gives_a_workbook_that_opens(texts: list[str]) -> None:
    table = table_of([(text, text) for text in texts], Column("A"), Column("B", "right"), title=texts[0])
    assert len(book_of(sheet_of(table)).sheet_names) == 2


def test_a_text_longer_than_a_cell_is_cut_and_control_characters_are_replaced() -> None:
    table = table_of([("x" * 40_000, "a\x00b\x1fc")], Column("A"), Column("B"))
    long, odd = book_of(sheet_of(table)).get_sheet_by_name("Sources").to_python()[1]
    assert len(long) == 32_767
    assert odd == "a\ufffdb\ufffdc"


def test_the_same_sheet_gives_the_same_bytes() -> None:
    sheet = sample_sheet("zh")
    assert render_xlsx(sheet, "东安", made=MADE) == render_xlsx(dataclasses.replace(sheet), "东安", made=MADE)


def test_the_rights_of_the_process_are_not_in_the_bytes() -> None:
    sheet = sample_sheet("zh")
    before = os.umask(0o077)
    try:
        closed = render_xlsx(sheet, "东安", made=MADE)
        os.umask(0o022)
        assert render_xlsx(sheet, "东安", made=MADE) == closed
    finally:
        os.umask(before)


def test_without_room_for_its_files_a_workbook_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("xlsxwriter.worksheet.tempfile.mkstemp", full)
    with pytest.raises(Mistake, match="No space left"):
        render_xlsx(sample_sheet("zh"), "东安", made=MADE)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_long_table_takes_little_memory(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tables", "30000", form], capture_output=True, text=True, check=True
    )
    taken = int(re.search(r"(\d+) MB of it", done.stdout)[1])  # type: ignore[index]
    assert taken < 30, done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if not page.wall], ids=lambda page: page.name)
@pytest.mark.parametrize("lang", LANGS)
def test_every_page_of_a_site_becomes_a_workbook_with_the_same_figures(
    small_site: Site, page: object, lang: Lang
) -> None:
    version = current(small_site)
    view = view_of(small_site, version, Viewer(small_site.home), {"lang": lang})
    sheet = build(page, view)  # type: ignore[arg-type]
    book = CalamineWorkbook.from_filelike(io.BytesIO(render_xlsx(sheet, "Site", made=version.made_at)))
    tiles = [tile for block in sheet.blocks if isinstance(block, Tiles) for tile in block.tiles]
    if tiles:
        name = "指标" if lang == "zh" else "Figures"
        shown = [row[2] for row in book.get_sheet_by_name(name).to_python()[1:]]
        assert [_text(cell) for cell in shown] == [_text(tile.value) for tile in tiles]
    assert len(book.sheet_names) == len(set(book.sheet_names))


def _text(cell: object) -> str:
    """A figure however it is written: 70066.0 and "70,066" alike."""
    text = str(cell).replace(",", "").replace("−", "-")
    return f"{float(text):g}" if re.fullmatch(r"-?\d+(\.\d+)?", text) else text


def test_a_long_table_is_written_whole(tmp_path: Path) -> None:
    rows = [(f"village {k}", f"{k:,}") for k in range(20_000)]
    book = book_of(sheet_of(table_of(rows, Column("Village"), Column("Cases", "right"))))
    sheet = book.get_sheet_by_name("Sources").to_python()
    assert len(sheet) == 20_001
    assert sheet[-1] == ["village 19999", 19_999.0]
