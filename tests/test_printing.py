"""The printed brief: everything in a sheet is on paper, as text, in both languages; nothing in it is run."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import random
import typing
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pypdf
import pytest

from dashboard.blocks import (
    Axis,
    Bar,
    Block,
    Change,
    Column,
    Feed,
    FeedItem,
    Gap,
    Map,
    Note,
    Ranking,
    Row,
    Series,
    Shape,
    Sheet,
    Table,
    Tile,
    Tiles,
    Trend,
)
from dashboard.printing import entries, register, render_pdf, versions_in_use, write_whole
from dashboard.printing.glyphs import FONTS, coverage, printable, shortened
from tests.sheets import sample_sheet
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.text import LANGS, Lang, Text

MADE = datetime(2023, 12, 26, 18, 0)
SITE_NAME = {"zh": "东安县基层治理指挥中心", "en": "Dong'an County Governance Centre"}
INJECTIONS = (
    '#read("/etc/passwd")',
    "<script>alert(1)</script>",
    "$x$ and #x",
    "*a* _b_ `c`",
    "@ref <label> #panic()",
    "// no comment /* here */",
    "= no heading",
    "\\u{41} ~ -- --- ... 'q' \"q\"",
    "{{7*7}} ${x} %s [link](http://a)",
)


def sheet_of(*blocks: Block, lang: Lang = "en", **changes: typing.Any) -> Sheet:
    plain = Sheet("page", "Page", "Place", "2023", "", "2023-12-26 18:00", "v000001", lang, ("Synthetic.",))
    return dataclasses.replace(plain, blocks=blocks, **changes)


def pages_of(sheet: Sheet) -> list[str]:
    reader = pypdf.PdfReader(io.BytesIO(render_pdf(sheet, SITE_NAME[sheet.lang], made=MADE)))
    return [page.extract_text() for page in reader.pages]


def read(sheet: Sheet) -> str:
    """All text of the print without any white space, for lines break where they must."""
    return squeezed(" ".join(pages_of(sheet)))


def squeezed(text: str) -> str:
    return "".join(text.replace("\u200b", "").split())


def site_in(folder: Path) -> Site:
    return Site(folder=folder, name=Text(zh="县", en="County"), home="431122", as_of=MADE)


AXIS = Axis(0.0, 100.0, ((0.0, "0"), (50.0, "50"), (100.0, "100")), "%")
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
NAMED: dict[type, Callable[[str], Block]] = {
    Tiles: lambda name: Tiles("Tiles", (Tile("m", name, "91.1", "%", changes=(Change("vs 2022", "+1"),)),)),
    Trend: lambda name: Trend(name, ("2023-01",), (Series("Rate", (50.0,), ("50",)),), AXIS),
    Ranking: lambda name: Ranking("Ranking", (Bar(name, 50.0, "50"),), AXIS),
    Table: lambda name: Table("Table", (Column("Name"),), (Row((name,)),)),
    Map: lambda name: Map(name, (Shape("1", "One", (SQUARE,), 0, "5"),), ("<15",)),
    Feed: lambda name: Feed("Feed", (FeedItem("12-26", "Place", name, "Open"),)),
    Note: lambda name: Note("Note", items=(("Term", name),)),
}
KINDS = typing.get_args(Block)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_block_is_printed(kind: type) -> None:
    assert "NAMEDHERE" in read(sheet_of(NAMED[kind]("NAMEDHERE")))


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_block_of_every_kind_is_printed(kind: type, lang: Lang) -> None:
    empty: dict[type, Block] = {
        Tiles: Tiles("", ()),
        Trend: Trend("", (), (), Axis(0.0, 0.0, ())),
        Ranking: Ranking("", (), Axis(0.0, 0.0, ())),
        Table: Table("", (), ()),
        Map: Map("", (), ()),
        Feed: Feed("", ()),
        Note: Note(""),
    }
    assert len(pages_of(sheet_of(empty[kind], lang=lang))) == 1


@pytest.mark.parametrize("lang", LANGS)
def test_all_words_of_a_sheet_can_be_read_back(lang: Lang) -> None:
    sheet = sample_sheet(lang)
    text = read(sheet)
    shown = [
        sheet.title,
        sheet.place,
        sheet.period,
        sheet.compare,
        sheet.cutoff,
        sheet.version,
        SITE_NAME[lang],
    ]
    for block in sheet.blocks:
        match block:
            case Tiles():
                shown += [
                    part for t in block.tiles for part in (t.label, t.value, t.counts, t.target, t.note)
                ]
                shown += [change.text for t in block.tiles for change in t.changes]
            case Trend():
                shown += [block.title, block.sentence, block.note, *(s.name for s in block.series)]
                shown += [label for _, label in block.axis.ticks] + [block.labels[-1]]
            case Ranking():
                shown += [
                    block.title,
                    *(part for bar in block.bars for part in (bar.label, bar.text, bar.counts)),
                ]
            case Table() if block.printed:
                shown += [column.label for column in block.columns]
                shown += [cell for row in block.rows for cell in row.cells]
            case Map():
                shown += [
                    block.title,
                    *block.classes,
                    block.legend,
                    *(shape.label for shape in block.outlines),
                ]
            case Feed():
                shown += [
                    part for item in block.items for part in (item.time, item.place, item.text, item.state)
                ]
            case Note():
                shown += [block.title, block.text, *(part for item in block.items for part in item)]
    missing = [part for part in shown if squeezed(part) not in text]
    # The font draws "≥" and "…" with glyphs that some readers name otherwise.
    assert [part for part in missing if "≥" not in part] == []


@pytest.mark.parametrize("lang", LANGS)
def test_a_version_gives_the_same_bytes_every_time(lang: Lang) -> None:
    first = render_pdf(sample_sheet(lang), SITE_NAME[lang], made=MADE)
    render_pdf(sheet_of(Note("Another")), "Another site", made=MADE)
    assert render_pdf(sample_sheet(lang), SITE_NAME[lang], made=MADE) == first


def test_nothing_of_one_print_is_left_in_the_next() -> None:
    read(sheet_of(Note("SECRETWORD")))
    assert "SECRETWORD" not in read(sheet_of())


def test_the_time_in_the_file_is_the_time_of_the_version() -> None:
    naive = render_pdf(sheet_of(), "Site", made=MADE)
    info = pypdf.PdfReader(io.BytesIO(naive)).metadata
    assert info is not None
    assert info.creation_date == MADE.replace(tzinfo=UTC)
    assert render_pdf(sheet_of(), "Site", made=MADE.replace(microsecond=123456)) == naive
    there = render_pdf(sheet_of(), "Site", made=MADE.replace(tzinfo=timezone(timedelta(hours=8))))
    assert render_pdf(sheet_of(), "Site", made=MADE.replace(tzinfo=ZoneInfo("Asia/Shanghai"))) == there
    assert there != naive


@pytest.mark.parametrize("lang", LANGS)
def test_the_file_is_tagged_and_says_its_language_and_title(lang: Lang) -> None:
    sheet = sample_sheet(lang)
    reader = pypdf.PdfReader(io.BytesIO(render_pdf(sheet, SITE_NAME[lang], made=MADE)))
    root: typing.Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert str(root["/Lang"]).startswith(lang)
    assert reader.metadata is not None and reader.metadata.title is not None
    assert sheet.title in reader.metadata.title and sheet.place in reader.metadata.title
    assert b"pdfuaid:part" in root["/Metadata"].get_data() and b"pdfaid:part" in root["/Metadata"].get_data()


def test_every_block_has_a_bookmark() -> None:
    sheet = sample_sheet("en")
    reader = pypdf.PdfReader(io.BytesIO(render_pdf(sheet, "Site", made=MADE)))
    marks: list[str] = []

    def walk(outline: typing.Any) -> None:
        for mark in outline:
            walk(mark) if isinstance(mark, list) else marks.append(mark.title)

    walk(reader.outline)
    printed = [block for block in sheet.blocks if not isinstance(block, Table) or block.printed]
    assert marks == [f"{sheet.title} · {sheet.place}", *(block.title for block in printed)]


def test_only_our_own_fonts_are_in_the_file_and_nothing_is_smaller_than_8_points() -> None:
    reader = pypdf.PdfReader(io.BytesIO(render_pdf(sample_sheet("zh"), "Site", made=MADE)))
    fonts: set[str] = set()
    sizes: set[float] = set()

    def visit(text: str, _: object, matrix: list[float], font: dict[str, str] | None, size: float) -> None:
        if text.strip() and font is not None:
            fonts.add(font["/BaseFont"].split("+")[-1])
            sizes.add(round(size * math.hypot(matrix[0], matrix[1]), 2))

    for page in reader.pages:
        page.extract_text(visitor_text=visit)
    assert {name.split("-")[0] for name in fonts} == {"NotoSansSC"}
    assert min(sizes) >= 8
    assert (FONTS / "OFL.txt").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_markup_and_code_print_literally_in_every_block(kind: type) -> None:
    for said in INJECTIONS:
        assert squeezed(said) in read(sheet_of(NAMED[kind](said))), said


@pytest.mark.parametrize("name", ["title", "place", "period", "compare", "cutoff", "version"])
def test_markup_and_code_print_literally_in_the_head(name: str) -> None:
    for said in INJECTIONS:
        changes: typing.Any = {name: said}
        assert squeezed(said) in read(dataclasses.replace(sheet_of(), **changes)), said


def test_markup_in_notices_prints_literally() -> None:
    assert all(squeezed(said) in read(sheet_of(notices=INJECTIONS)) for said in INJECTIONS)


@pytest.mark.parametrize("lang", LANGS)
def test_notices_and_page_numbers_are_on_every_page(lang: Lang) -> None:
    sheet = dataclasses.replace(
        sample_sheet(lang), notices=("Synthetic data.", "Second notice.", "Third one.")
    )
    pages = pages_of(sheet)
    assert len(pages) >= 3
    for number, page in enumerate(pages, start=1):
        assert all(squeezed(notice) in squeezed(page) for notice in sheet.notices)
        assert sheet.version in page and sheet.cutoff in page
        said = f"第{number}页/共{len(pages)}页" if lang == "zh" else f"Page{number}of{len(pages)}"
        assert said in squeezed(page)


@pytest.mark.parametrize("lang", LANGS)
def test_a_list_of_records_is_not_printed_and_that_is_said_once(lang: Lang) -> None:
    sheet = sample_sheet(lang)
    text = read(sheet)
    assert "RECORD-" not in text
    records = next(block for block in sheet.blocks if isinstance(block, Table) and not block.printed)
    assert text.count(squeezed(records.title)) == 1


def test_a_long_table_repeats_its_header_and_says_what_is_cut() -> None:
    rows = tuple(Row((f"row {i}", str(i))) for i in range(500))
    pages = pages_of(
        sheet_of(Table("Long", (Column("Name of it"), Column("Count", "right")), rows, total=900))
    )
    assert all("Name of it" in page for page in pages)
    assert "200 of 900 rows shown" in " ".join(pages)
    assert "row 199" in " ".join(pages) and "row 200" not in " ".join(pages)


def test_what_the_font_lacks_is_replaced_by_its_code() -> None:
    assert printable("ab😀c") == "ab〓[U+1F600]c"
    assert "〓[U+1F600]" in read(sheet_of(Note("Note 😀")))


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("a\x00b\x07c", "a〓[U+0000]b〓[U+0007]c"),
        ("cafe\u0301", "café"),
        ("a\tb\r\nc\u3000d\u00a0e", "a b c d e"),
        ("\ufeff\u202eevil\u202c\u200b", "evil"),
        ("\ud800", "〓[U+D800]"),
        ("\ue000\uffff", "〓[U+E000]〓[U+FFFF]"),
        ("東安縣𠮷", "東安縣〓[U+20BB7]"),
    ],
)
def test_text_is_made_printable(given: str, printed: str) -> None:
    assert printable(given) == printed


def test_the_fonts_cover_common_chinese_and_our_signs() -> None:
    common = "".join(
        bytes((row, cell)).decode("gb2312") for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFF)
    )
    signs = "〓●◆▲■○–—“”’·…÷×±≥≤<>%−+①②③。,:；（）《》"
    assert {char for char in common + signs if ord(char) not in coverage()} == set()


def test_random_text_of_all_planes_never_stops_the_print() -> None:
    rng = random.Random(5)
    for _ in range(8):
        said = "".join(
            chr(rng.choice((rng.randrange(0x300), rng.randrange(0x3000), rng.randrange(0x110000))))
            for _ in range(400)
        )
        assert read(sheet_of(Note(said, said, ((said, said),)), title=said, place=said))


def test_an_empty_sheet_is_one_page_that_says_so() -> None:
    pages = pages_of(sheet_of())
    assert len(pages) == 1 and "nothing to print" in pages[0] and "Synthetic." in pages[0]


@pytest.mark.parametrize(
    "name", ["县" * 5000, "a" * 5000, "ab " * 1700, "Grid-" * 1000], ids=["han", "word", "words", "parts"]
)
def test_a_name_of_5000_characters_is_printed_everywhere(name: str) -> None:
    blocks = tuple(NAMED[kind](name) for kind in KINDS)
    sheet = sheet_of(*blocks, title=name, place=name, period=name, notices=(name,))
    text = read(sheet)
    # Whole where it can wrap: the table's cell, the feed's item and the note.
    assert text.count(squeezed(name)[:3]) > 300
    assert "…" in text or "⋯" in text


def test_many_tiles_series_bars_and_gaps_are_printed() -> None:
    nothing = tuple(None for _ in range(60))
    labels = tuple(f"2023-W{i:02d}" for i in range(60))
    blocks = (
        Tiles("T", tuple(Tile("m", f"tile {i}", "1", "", spark=(None, 1.0, None)) for i in range(7)), columns=9),
        Trend("Gaps", labels, tuple(Series(f"s{i}", nothing, ("–",) * 60) for i in range(9)), AXIS),
        Trend("One", ("only",), (Series("a", (math.nan,), ("–",)), Series("b", (5.0,), ("5",), "bar")), AXIS, (500.0, "T 500")),
        Ranking("R", tuple(Bar(f"bar {i}", -5.0 if i % 2 else None, "–") for i in range(120)), AXIS, (-3.0, "T -3")),
        Map("M", (Shape("1", "point", (((0.0, 0.0),),), 9, ""), Shape("2", "flat", (SQUARE[:2] * 2,), None, "", "1")), ("a",)),
    )  # fmt: skip
    text = read(sheet_of(*blocks))
    assert all(said in text for said in ("tile6", "bar119", "T500", "T-3", "Gaps", "flat"))


def test_marked_cells_are_listed_however_many_there_are() -> None:
    for many in (2, 40):
        cells = tuple(
            Shape(str(i), f"cell {i}", (tuple((x + i, y) for x, y in SQUARE),), 0, f"{i}.5", str(i + 1))
            for i in range(many)
        )
        text = read(sheet_of(Map("Marks", cells, ("a",))))
        assert all(f"{i + 1}cell{i}:{i}.5" in text for i in range(many))


def test_marks_that_a_table_explains_are_not_listed_twice() -> None:
    cells = tuple(
        Shape(str(i), f"cell {i}", (tuple((x + i, y) for x, y in SQUARE),), 0, f"{i}.5", str(i + 1))
        for i in range(6)
    )
    assert "cell3:3.5" not in read(sheet_of(Map("Marks", cells, ("a",), tabled=True)))


def test_a_cell_without_a_figure_is_printed_with_its_reason_in_the_key() -> None:
    gaps = typing.get_args(Gap)
    cells = tuple(Shape(gap, "", (SQUARE,), None, "", gap=gap) for gap in gaps)
    text = read(sheet_of(Map("Gaps", cells, ("a",), gaps=tuple((gap, f"why {gap}") for gap in gaps))))
    assert all(f"why{gap}" in text for gap in gaps)


def test_a_short_name_counts_a_chinese_character_as_two() -> None:
    assert shortened("东安县白牙市镇", 14) == "东安县白牙市镇"
    assert shortened("东安县白牙市镇", 8) == "东安县…"
    assert shortened("a  b\nc", 5) == "a b c"


def test_a_pdf_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "brief.pdf"
    write_whole(target, b"one")
    write_whole(target, b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in target.parent.iterdir()] == ["brief.pdf"]
    with pytest.raises(Mistake, match="cannot write"):
        write_whole(target / "under_a_file.pdf", b"three")


def test_a_report_is_registered_with_its_question_version_and_fingerprint(tmp_path: Path) -> None:
    site = site_in(tmp_path)

    def add(version: str, pdf: bytes) -> typing.Any:
        return register(
            site,
            page="overview",
            scope="431122",
            start=date(2023, 1, 1),
            end=date(2023, 12, 26),
            compare="year",
            lang="zh",
            version=version,
            content=pdf,
            path=site.reports / "a.pdf",
        )

    assert entries(site) == () and versions_in_use(site) == set()
    first = add("v000001", b"one")
    assert add("v000001", b"one") == first
    second = add("v000002", b"two")
    assert entries(site) == (first, second)
    assert versions_in_use(site) == {"v000001", "v000002"}
    line = json.loads((site.reports / "register.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert line["from"] == "2023-01-01" and line["to"] == "2023-12-26" and line["file"] == "a.pdf"
    assert line["made"] == "2023-12-26T18:00:00" and len(line["sha256"]) == 64


def test_half_a_line_after_a_crash_is_no_entry_and_does_not_harm_the_next(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    question = {
        "page": "p",
        "scope": "s",
        "start": date(2023, 1, 1),
        "end": date(2023, 1, 2),
        "compare": "none",
    }
    first = register(site, **question, lang="en", version="v1", content=b"1", path=Path("/x/1.pdf"))  # type: ignore[arg-type]
    with (site.reports / "register.jsonl").open("ab") as out:
        out.write(b'{"id": "to')
    assert entries(site) == (first,)
    second = register(site, **question, lang="en", version="v2", content=b"2", path=Path("/x/2.pdf"))  # type: ignore[arg-type]
    assert entries(site) == (first, second)


def test_a_broken_line_of_the_register_is_named(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    site.reports.mkdir()
    (site.reports / "register.jsonl").write_text('{"id": "1"}\n', encoding="utf-8")
    with pytest.raises(Mistake, match=r"register\.jsonl: line 1"):
        entries(site)
