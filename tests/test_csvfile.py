"""One table as CSV: what Excel and programs read of it, and that it is the table that was seen."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.blocks import Bar, Block, Column, Ranking, Row, Sheet, Table, Tile, Tiles
from dashboard.csvfile import render_csv
from dashboard.export import again, export_table
from dashboard.grids import carried, grids
from dashboard.pages import page
from dashboard.printing import entries
from dashboard.view import build, view_of
from dashboard.web.routes import routes
from tests.sheets import sample_sheet
from tests.test_printing import AXIS, sheet_of
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site
from warehouse.version import current
from warehouse.viewer import Viewer


@pytest.fixture
def site(small_site: Site, tmp_path: Path) -> Site:
    shutil.copy(small_site.folder / "site.toml", tmp_path / "site.toml")
    (tmp_path / "warehouse").symlink_to(small_site.folder / "warehouse")
    return load_site(tmp_path)


def written(*blocks: Block, number: int = 1) -> bytes:
    sheet = sheet_of(*blocks)
    return render_csv(grids(sheet.blocks, "en")[number - 1], carried(sheet, "en"))


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def table_of(*rows: tuple[str, ...]) -> Table:
    columns = tuple(Column(f"c{k}", "left" if k == 0 else "right") for k in range(len(rows[0])))
    return Table("T", columns, tuple(Row(cells) for cells in rows))


def test_figures_are_numbers_days_are_iso_and_what_is_hidden_stays_hidden() -> None:
    content = written(
        table_of(
            ("2026-01-05 08:30", "1,204", "0.51 %"),
            ("007", "−3", "–"),
            ("431122100001002", "<5", ""),
        )
    )
    assert content.startswith(b"\xef\xbb\xbfc0,c1,c2\r\n")
    assert read(content)[1:4] == [
        ["2026-01-05 08:30", "1204", "0.51%"],
        ["007", "-3", "–"],
        ["431122100001002", "<5", ""],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_becomes_a_formula(text: str) -> None:
    line = read(written(table_of((text, text))))[1]
    assert line == [f"'{text}", f"'{text}"]
    heading = read(written(Table(text, (Column(text),), (Row(("a",)),))))[0]
    assert heading == [f"'{text}"]


@pytest.mark.parametrize("text", ['a"b,c\nd', "𠮷䶮㐂 😀 مرحبا", "名" * 5000, "a\x07\x00b\ud800"])
def test_any_text_stays_in_its_cell(text: str) -> None:
    line = read(written(table_of((text, "1"))))[1]
    assert line[1] == "1" and line[0].startswith(text[:1]) and len(line[0]) == len(text)


def test_every_copy_says_what_it_rests_on() -> None:
    last = [line[0] for line in read(written(table_of(("a", "1"))))[2:]]
    assert "# Data version: v000001" in last and "# Notice: Synthetic." in last
    assert all(line.startswith("# ") for line in last)


def test_tiles_are_one_table_and_record_lists_none() -> None:
    sheet = sample_sheet("en")
    found = grids(sheet.blocks, "en")
    assert not {b.title for b in sheet.blocks if isinstance(b, Table) and not b.printed} & {
        g.title for g in found
    }
    tiles = [position for position, block in enumerate(sheet.blocks) if isinstance(block, Tiles)]
    assert [grid.block for grid in found if grid.block in tiles] == tiles[:1]
    two = (
        Tiles("A", (Tile("m", "M", "<5", ""),)),
        Ranking("R", (Bar("b", 50.0, "50", low=40.04, high=60.0),), AXIS),
    )
    assert read(written(*two))[1][1:3] == ["M", "<5"]
    assert read(written(*two, number=2))[1] == ["", "b", "50", "", "40.0", "60.0"]


def test_a_table_seen_is_registered_and_can_be_made_again(site: Site) -> None:
    view = view_of(site, current(site), Viewer(site.home), {"lang": "zh"})
    sheet: Sheet = build(page("overview"), view)
    content, entry = export_table(sheet, view, 2, site.reports / "t.csv")
    (site.reports / "t.csv").unlink()
    assert again(site, entry.id)[0] == content and (entry.form, entry.table) == ("csv", 2)
    with pytest.raises(Mistake, match="'overview' has no table 99"):
        export_table(sheet, view, 99, site.reports / "u.csv")


def test_the_link_beside_a_table_gives_the_version_that_was_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERVE_SITE", str(site.folder))
    query = {"from": "2026-01-01", "to": "2026-06-30", "lang": "zh", "version": current(site).id}
    answer = fetched("meetings", 1, query)
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]
    assert read(bytes(answer.body))[1][1] == "月例会议定事项办结率"
    (entry,) = entries(site)
    assert (site.reports / entry.file).read_bytes() == answer.body
    for name, number, said in (("meetings", 99, "no table 99"), ("wal", 1, "did you mean 'wall'?")):
        wrong = fetched(name, number, query)
        assert wrong.status_code == 400 and said in bytes(wrong.body).decode()


def fetched(name: str, table: int, query: dict[str, str]) -> Response:
    """What the server answers at /csv/<name>/<table>."""
    (route,) = (one for one in routes() if isinstance(one, Route) and one.path.startswith("/csv/"))
    scope = {
        "type": "http", "method": "GET", "headers": [], "path_params": {"page": name, "table": table},
        "query_string": urlencode(query).encode(),
    }  # fmt: skip
    answer: Response = route.endpoint(Request(scope))
    return answer
