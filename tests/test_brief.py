"""The brief of several pages: what it holds, how it looks on A4 and slides, and that it can be made again."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pypdf
import pytest
from python_calamine import CalamineWorkbook

from dashboard.blocks import (
    Bar,
    Block,
    Brief,
    Chapter,
    Column,
    Feed,
    Note,
    Ranking,
    Row,
    Sheet,
    Table,
    Tiles,
)  # fmt: skip
from dashboard.brief import compose, for_slides
from dashboard.changed import figures, reasons
from dashboard.comparison import comparisons
from dashboard.export import Order, again, export, export_tables, file_name, issue, ordered
from dashboard.figures import change
from dashboard.pages import page
from dashboard.printing import FORMS, Form, entries, render_brief, render_pdf
from dashboard.templates import BRIEF, templates
from dashboard.view import View, build, view_of
from tests.boxes import faults
from tests.sheets import sample_sheet
from tests.test_printing import AXIS, INJECTIONS, KINDS, MADE, NAMED, sheet_of, squeezed
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.result import Value
from warehouse.site import Site, load_site
from warehouse.text import LANGS, Lang, Text
from warehouse.version import current
from warehouse.viewer import Viewer

LEAST = {"a4": 8.0, "slide": 14.0}
FEBRUARY = {"from": "2026-02-01", "to": "2026-02-28"}
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}
AGAINST = comparisons("previous", Period(date(2026, 3, 1), date(2026, 3, 31)), datetime(2026, 6, 30))[0]
PAGES = ("overview", "petitions", "meetings")


def view_in(site: Site, **params: str) -> View:
    return view_of(site, current(site), Viewer(site.home), params)


def order_of(form: str = "a4", pages: tuple[str, ...] = PAGES) -> Order:
    return Order("brief", pages, Text(zh="简报", en="Brief"), form)


def text_of(pdf: bytes) -> list[str]:
    return [squeezed(one.extract_text()) for one in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def outline_of(pdf: bytes) -> list[tuple[int, str]]:
    """Depth and title of every bookmark."""
    out: list[tuple[int, str]] = []

    def walk(marks: Any, depth: int) -> None:
        for mark in marks:
            walk(mark, depth + 1) if isinstance(mark, list) else out.append((depth, mark.title))

    walk(pypdf.PdfReader(io.BytesIO(pdf)).outline, 1)
    return out


@pytest.fixture
def site(small_site: Site, tmp_path: Path) -> Site:
    """The small site with reports of its own: its data is only read."""
    shutil.copy(small_site.folder / "site.toml", tmp_path / "site.toml")
    (tmp_path / "warehouse").symlink_to(small_site.folder / "warehouse")
    return load_site(tmp_path)


def nerve(site: Site, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nerve.cli", *map(str, arguments), "--site", str(site.folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("form", FORMS)
def test_nothing_in_a_brief_is_too_small_overlaps_or_leaves_the_page(
    site: Site, form: Form, lang: Lang
) -> None:
    brief = compose(view_in(site, lang=lang), [page(name) for name in BRIEF.pages], BRIEF.title)
    pdf = render_brief(brief, site.name[lang], made=MADE, form=form)
    assert faults(pdf, LEAST[form]) == []
    assert faults(render_pdf(sample_sheet(lang), "Site", made=MADE, form=form), LEAST[form]) == []


def test_the_measuring_of_boxes_sees_what_is_wrong() -> None:
    pdf = render_pdf(sample_sheet("en"), "Site", made=MADE)
    assert any("pt" in fault for fault in faults(pdf, 9.0))


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("form", FORMS)
def test_a_brief_has_cover_contents_chapters_and_one_chapter_of_definitions(
    site: Site, form: Form, lang: Lang
) -> None:
    pages = [page(name) for name in PAGES]
    brief = compose(view_in(site, lang=lang), pages, Text(zh="月度简报", en="Monthly brief"))
    pdf = render_brief(brief, site.name[lang], made=MADE, form=form)
    texts = text_of(pdf)
    cover = texts[0] + texts[1]
    shown = [brief.title, brief.place, brief.period, brief.cutoff, brief.version, *brief.notices]
    assert [part for part in shown if squeezed(part) not in cover] == []
    chapters = [title for depth, title in outline_of(pdf) if depth == 1]
    labels = [one.label[lang] for one in pages]
    assert chapters[1:-1] == labels and all(squeezed(label) in cover for label in chapters)
    titles = [b.title for c in brief.chapters for b in c.blocks if not isinstance(b, Note) and b.title]
    assert {title for depth, title in outline_of(pdf) if depth == 2} >= set(titles)
    for definition in brief.definitions:
        assert "".join(texts).count(squeezed(definition.text)) == 1, definition.label
    for number, text in enumerate(texts, start=1):
        said = f"第{number}页/共{len(texts)}页" if lang == "zh" else f"Page{number}of{len(texts)}"
        assert said in text and brief.version in text
        assert all(squeezed(notice) in text for notice in brief.notices)
    info = pypdf.PdfReader(io.BytesIO(pdf)).metadata
    assert info is not None and info.title is not None and brief.title in info.title


def test_each_page_begins_a_chapter_on_a_page_of_its_own(site: Site) -> None:
    brief = compose(view_in(site, lang="en"), [page(name) for name in PAGES], Text(zh="简报", en="Brief"))
    reader = pypdf.PdfReader(io.BytesIO(render_brief(brief, "Site", made=MADE)))
    starts = [
        reader.get_destination_page_number(mark) for mark in reader.outline if not isinstance(mark, list)
    ]
    assert len(set(starts)) == len(starts) == len(PAGES) + 2


def test_a_slide_holds_ten_rows_at_most_and_goes_on_with_the_same_title() -> None:
    rows = tuple(Row((f"matter {i:02}", str(i))) for i in range(25))
    table = Table("Long one", (Column("Matter"), Column("Count", "right")), rows)
    texts = text_of(render_pdf(sheet_of(table), "Site", made=MADE, form="slide"))
    slides = [text for text in texts if "matter" in text]
    assert len(slides) == 3 and all("Longone" in text for text in slides)
    assert ["(continued)" in text for text in slides] == [False, True, True]
    assert [text.count("matter") for text in slides] == [9, 9, 7]


@pytest.mark.parametrize("kind", KINDS)
def test_markup_prints_literally_on_slides(kind: type) -> None:
    for said in INJECTIONS:
        text = "".join(text_of(render_pdf(sheet_of(NAMED[kind](said)), "Site", made=MADE, form="slide")))
        assert squeezed(said) in text, said


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name",
    ["县" * 5000, "a" * 5000, "ab " * 1700, "𠮷䶮㐂 😀 مرحبا \x07\x00 e\u0301" * 3],
    ids=["han", "word", "words", "rare"],
)
def test_names_of_any_length_and_script_leave_every_page_whole(form: Form, name: str) -> None:
    blocks: tuple[Block, ...] = tuple(NAMED[kind](name) for kind in KINDS)
    sheet = sheet_of(*blocks, title=name, place=name, notices=(name,))
    assert faults(render_pdf(sheet, name, made=MADE, form=form), LEAST[form]) == []


def test_a_page_seen_is_printed_as_it_is_and_registered(site: Site) -> None:
    view = view_in(site, lang="en", **MARCH)
    sheet = build(page("petitions"), view)
    content, entry = export(sheet, view, site.reports / "p.pdf")
    assert content == render_pdf(sheet, site.name["en"], made=view.version.made_at)
    assert entry.page == "petitions" and entry.pages == () and "one_time_resolution_rate" in entry.figures


def test_a_brief_made_again_has_the_same_bytes_on_another_day_and_elsewhere(
    site: Site, tmp_path: Path
) -> None:
    (site.folder / "reports.toml").write_text("watermark = true\n", encoding="utf-8")
    first = nerve(
        site,
        "report",
        *PAGES,
        "data",
        "--out",
        tmp_path / "a.pdf",
        "--for",
        "Li",
        PYTHONHASHSEED="0",
        TZ="UTC",
    )
    assert first.returncode == 0, first.stderr
    id = first.stdout.split(" · ")[1]
    (site.folder / "reports.toml").unlink()
    with (site.folder / "site.toml").open("a", encoding="utf-8") as out:
        out.write("\n[targets.closing_rate]\ntarget = 0.5\n")
    text = (site.folder / "site.toml").read_text(encoding="utf-8")
    (site.folder / "site.toml").write_text(
        "as_of = 2031-05-06T07:08:09\n" + re.sub(r"(?m)^as_of.*\n", "", text), encoding="utf-8"
    )
    done = nerve(
        site,
        "report",
        "--again",
        id[:9],
        "--out",
        tmp_path / "b.pdf",
        PYTHONHASHSEED="7",
        TZ="America/New_York",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert "Li·" in text_of((tmp_path / "b.pdf").read_bytes())[0]


@pytest.mark.parametrize("form", [*FORMS, "xlsx"])
def test_every_form_can_be_made_again(site: Site, form: str) -> None:
    path = site.reports / ("b.xlsx" if form == "xlsx" else "b.pdf")
    content, entry = issue(
        view_in(site, **MARCH), order_of("a4" if form == "xlsx" else form, ("meetings",)), path
    )
    path.unlink()
    made, same, target = again(site, entry.id)
    assert made == content and same == entry and target.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("hotspots", {"layer": "count", "month": "2026-02"}), ("cases", {"category": "environment"})],
)
def test_what_was_chosen_on_a_page_is_kept_with_its_export(
    site: Site, name: str, chosen: dict[str, str]
) -> None:
    view = view_in(site, **MARCH, **chosen)
    sheet = build(page(name), view)
    path = site.reports / file_name(sheet, view, "pdf")
    assert path.name.startswith("-".join((name, *chosen.values())))
    content, entry = export(sheet, view, path)
    assert entry.choices == chosen and again(site, entry.id)[0] == content
    plain = view_in(site, **MARCH)
    assert export(build(page(name), plain), plain, site.reports / "plain.pdf")[
        1
    ].figures != entry.figures or (name == "hotspots")


def test_a_version_that_has_been_collected_is_said_plainly(site: Site) -> None:
    _, entry = issue(view_in(site, **MARCH), order_of(), site.reports / "b.pdf")
    line = (site.reports / "register.jsonl").read_text(encoding="utf-8")
    (site.reports / "register.jsonl").write_text(line.replace(entry.version, "v999999"), encoding="utf-8")
    with pytest.raises(Mistake, match="v999999 has been collected"):
        again(site, entry.id)


def test_a_report_that_comes_out_otherwise_is_not_written(site: Site) -> None:
    _, entry = issue(view_in(site, **MARCH), order_of(), site.reports / "b.pdf")
    line = (site.reports / "register.jsonl").read_text(encoding="utf-8")
    (site.reports / "register.jsonl").write_text(line.replace(entry.sha256, "0" * 64), encoding="utf-8")
    with pytest.raises(Mistake, match="comes out otherwise"):
        again(site, entry.id, site.reports / "c.pdf")
    assert not (site.reports / "c.pdf").exists()


def test_a_full_disk_leaves_no_file_and_no_entry(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Mistake, match="No space left"):
        issue(view_in(site, **MARCH), order_of(), site.reports / "b.pdf")
    assert list(site.reports.iterdir()) == [] and entries(site) == ()


def test_a_brief_opens_with_what_became_of_the_last_one(site: Site) -> None:
    first, before = issue(view_in(site, lang="en", **FEBRUARY), order_of(), site.reports / "1.pdf")
    assert "Sincethelastbrief" not in "".join(text_of(first))
    second, entry = issue(view_in(site, lang="en", **MARCH), order_of(), site.reports / "2.pdf")
    assert entry.since == before.id
    chapter = next(text for text in text_of(second) if "Sincethelastbrief" in text)
    assert "theperiodmovedon" in chapter and "2026-02-01to2026-02-28" in chapter
    _, slides = issue(view_in(site, lang="zh", **MARCH), order_of("slide"), site.reports / "3.pdf")
    assert slides.since == before.id, "the other forms of one brief are not compared with each other"
    assert again(site, slides.id)[0] == (site.reports / "3.pdf").read_bytes()


def test_a_brief_of_another_place_or_of_other_pages_is_not_compared(site: Site) -> None:
    issue(view_in(site, **FEBRUARY), order_of(), site.reports / "1.pdf")
    _, other = issue(view_in(site, **MARCH), order_of(pages=("overview",)), site.reports / "2.pdf")
    assert other.since == ""


def test_reasons_name_what_changed_beneath_and_what_cannot_be_told(site: Site) -> None:
    view = view_in(site, **FEBRUARY)
    names = ["cases_reported", "closing_rate", "meetings_held", "overdue_items"]
    _, entry = issue(view, order_of(pages=("overview", "meetings")), site.reports / "1.pdf")
    found = figures(view, names)
    kept = json.loads(json.dumps({name: entry.figures[name] for name in names[:3]}))
    # Not what its version gives: somebody wrote in the register.
    kept["cases_reported"] |= {
        "value": kept["cases_reported"]["value"] + 1,
        "n": kept["cases_reported"]["n"] + 1,
    }
    kept["closing_rate"]["definition"] = "another"
    before = type(entry)(**{**vars(entry), "figures": kept})
    why = reasons(before, found, view.period, view.version, view.version)
    assert why == {
        "cases_reported": ["untold"],
        "closing_rate": ["definition"],
        "meetings_held": ["same"],
        "overdue_items": ["added"],
    }
    march = view_in(site, **MARCH)
    why = reasons(entry, figures(march, names), march.period, view.version, march.version)
    assert why["cases_reported"] == ["period"]
    # Without the version of the earlier brief nothing can be said of what changed.
    why = reasons(entry, figures(march, names), march.period, None, march.version)
    assert why["cases_reported"] == ["untold"]


def test_two_reports_are_compared_at_the_command_line(site: Site) -> None:
    _, one = issue(view_in(site, **FEBRUARY), order_of(), site.reports / "1.pdf")
    _, two = issue(view_in(site, **MARCH), order_of(), site.reports / "2.pdf")
    done = nerve(site, "diff", one.id, two.id, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    row = next(row for row in answer["figures"] if row["measure"] == "cases_reported")
    assert row["then"] == one.figures["cases_reported"]["value"] and row["why"] == ["period"]
    assert "no report 'zzzz'" in nerve(site, "diff", one.id, "zzzz").stderr


def test_the_page_of_two_briefs_says_what_nerve_diff_says(site: Site) -> None:
    _, one = issue(view_in(site, **FEBRUARY), order_of(), site.reports / "1.pdf")
    _, two = issue(view_in(site, **MARCH), order_of(), site.reports / "2.pdf")
    done = nerve(site, "diff", one.id, two.id, "--lang", "en", "--json")
    changed = [row for row in json.loads(done.stdout)["figures"] if row["why"] != ["same"]]
    view = view_in(site, lang="en", then=one.id[:9], now=two.id)
    found, _, earlier, later = build(page("compare"), view).blocks
    assert isinstance(found, Table) and isinstance(earlier, Table) and isinstance(later, Table)
    assert [row.cells[0] for row in found.rows] == [row["label"] for row in changed]
    assert {row.cells[3] for row in found.rows} == {"the period moved on"}
    assert [row.address for row in later.rows] == [(("now", two.id),), (("now", one.id),)]
    assert [row.lamp for row in earlier.rows] == ["none", "good"]
    content, entry = export(build(page("compare"), view), view, site.reports / "c.pdf")
    issue(view_in(site, **MARCH), order_of("slide"), site.reports / "3.pdf")
    assert again(site, entry.id)[0] == content, "the register has grown, the comparison is the same"


def test_two_briefs_that_cannot_be_compared_are_a_note(site: Site) -> None:
    _, one = issue(view_in(site, **FEBRUARY), order_of(), site.reports / "1.pdf")
    _, other = issue(view_in(site, scope="431122100", **MARCH), order_of(), site.reports / "2.pdf")
    for now, said in ((other.id, "two reports of one place"), ("zzzz", "no report 'zzzz'")):
        with pytest.raises(Mistake, match=said):
            build(page("compare"), view_in(site, then=one.id, now=now))
    outside = view_of(site, current(site), Viewer("431122102"), {"then": one.id, "now": one.id})
    with pytest.raises(Mistake, match="outside your own scope"):
        build(page("compare"), outside)
    nothing = build(page("compare"), view_in(site, scope="431122102")).blocks
    assert len(nothing) == 2 and all(isinstance(block, Table) and not block.rows for block in nothing)


def test_the_watermark_says_when_the_copy_was_asked_for(site: Site) -> None:
    (site.folder / "reports.toml").write_text("watermark = true\n", encoding="utf-8")
    view = view_in(site, lang="zh")
    later = dataclasses.replace(view, site=site.model_copy(update={"as_of": datetime(2026, 7, 1, 8, 30)}))
    content, entry = export(build(page("meetings"), view), later, site.reports / "m.pdf")
    assert entry.mark == "东安县 · 2026-07-01 08:30:00" and "2026-07-0108:30:00" in text_of(content)[0]
    assert again(site, entry.id)[0] == content


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ('[briefs.m]\ntitle={zh="月",en="M"}\npages=["overvew"]', "did you mean 'overview'?"),
        ('[briefs.m]\ntitle={zh="月",en="M"}\npages=["wall"]', "no such page 'wall'"),
        ('[briefs.m]\ntitle={zh="月",en="M"}\npages=[]', "no page"),
        ('[briefs.m]\ntitle={zh="月",en="M"}\npages=["cases","cases"]', "'cases' stands twice"),
        ('[briefs.m]\ntitle={zh="月"}\npages=["overview"]', "missing key 'briefs.m.title.en'"),
        ('[briefs.m]\ntitle={zh="月",en="M"}\npage=["overview"]', "did you mean 'pages'?"),
        ('[briefs.m]\ntitle={zh="月",en="M"}\npages=["cases"]\nforms=["slides"]', "did you mean 'slide'?"),
        ('[briefs.m]\ntitle={zh="月",en="M"}\npages=["cases"]\nlanguages=["cn"]', "no such language 'cn'"),
        ('[briefs.m]\ntitle={zh="月",en="M"}\npages=["cases"]\nperiod="last_mont"', "did you mean 'last_month'?"),
        ('[briefs.cases]\ntitle={zh="月",en="M"}\npages=["cases"]', "a page has this name"),
        ('watermarks = true', "did you mean 'watermark'?"),
        ("[briefs.m", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_templates_names_file_key_and_remedy(site: Site, said: str, fault: str) -> None:
    (site.folder / "reports.toml").write_text(said, encoding="utf-8")
    with pytest.raises(Mistake) as caught:
        templates(site)
    assert fault in str(caught.value) and "reports.toml" in str(caught.value)


def test_a_named_brief_is_made_in_all_its_forms_and_languages(site: Site, tmp_path: Path) -> None:
    (site.folder / "reports.toml").write_text(
        '[briefs.monthly]\ntitle = { zh = "信访月报", en = "Petitions monthly" }\npages = ["petitions"]\n'
        'forms = ["slide", "a4"]\nlanguages = ["en", "zh"]\nperiod = "last_month"\n',
        encoding="utf-8",
    )
    done = nerve(site, "report", "monthly", "--out", tmp_path / "made")
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert [re.sub(r"-v\d+\.pdf", "", name).split("-", 5)[-1] for name in made] == [
        "en-a4",
        "en-slide",
        "zh-a4",
        "zh-slide",
    ]
    assert all("2026-05-31" in name for name in made)
    assert "信访月报" in text_of((tmp_path / "made" / made[2]).read_bytes())[0]
    order, _ = ordered(site, ["monthly"])
    assert order.form == "slide"


def test_a_scope_without_data_is_a_page_that_says_so(site: Site) -> None:
    view = view_in(site, lang="en", **{"from": "2001-01-01", "to": "2001-01-31"})
    for form in FORMS:
        brief = compose(view, [page(name) for name in BRIEF.pages], BRIEF.title)
        assert faults(render_brief(brief, "Site", made=MADE, form=form), LEAST[form]) == []


@pytest.mark.parametrize(
    "title",
    ["县" * 5000, "𠮷䶮㐂 😀👨‍👩‍👧", "تقرير شهري", "月\x07报\x00", '#read("/etc/passwd") =1+1'],
    ids=["long", "rare", "arabic", "control", "markup"],
)
def test_a_template_may_have_any_title_in_any_form(site: Site, title: str) -> None:
    written = json.dumps(title, ensure_ascii=False)  # as TOML writes a text too
    (site.folder / "reports.toml").write_text(
        f'[briefs.m]\ntitle = {{ zh = {written}, en = {written} }}\npages = ["petitions"]\n', encoding="utf-8"
    )
    order, _ = ordered(site, ["m"])
    view = view_in(site, **MARCH)
    for form in FORMS:
        content, entry = issue(view, dataclasses.replace(order, form=form), site.reports / f"{form}.pdf")
        assert faults(content, LEAST[form]) == [] and again(site, entry.id)[0] == content
    content, entry = issue(view, order, site.reports / "m.xlsx")
    assert again(site, entry.id)[0] == content


def test_a_scope_without_data_is_a_workbook_and_tables_that_say_so(site: Site, tmp_path: Path) -> None:
    view = view_in(site, lang="zh", **{"from": "2001-01-01", "to": "2001-01-31"})
    content, _ = issue(view, order_of(), tmp_path / "x.xlsx")
    figures_sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name("指标").to_python()
    assert {row[2] for row in figures_sheet[1:]} <= {"–", 0.0, "—"}
    made = dict(export_tables(view, order_of(pages=("overview",)), tmp_path / "csv"))
    assert made and all("–" in path.read_text("utf-8-sig") for path in list(made)[:1])


def test_a_folder_that_may_not_be_written_is_one_line_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    for arguments in (
        ["overview", "--out", tmp_path / "file" / "x.pdf"],
        ["overview", "--out", tmp_path / ("x" * 300 + ".pdf")],
    ):
        done = nerve(site, "report", *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1) and "x.pdf" in done.stderr
    assert entries(site) == () and not list(tmp_path.glob("*.part"))


def test_a_wrong_question_is_one_line(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "x.pdf"
    for arguments, said in (
        (["overview", "petitons"], "did you mean 'petitions'?"),
        (["wall"], "the wall is not printed"),
        (["overview", "--form", "slides"], "did you mean 'slide'?"),
        (["overview", "--again", "abc"], "takes its question from the register"),
    ):
        done = nerve(site, "report", *arguments, "--out", out)
        assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        ((13, 20), (11, 20), "no real change on the previous period"),
        ((1300, 2000), (1100, 2000), "up 10.0 points on the previous period"),
        ((1100, 2000), (1300, 2000), "down 10.0 points on the previous period"),
    ],
)
def test_a_rise_is_said_only_where_the_test_finds_one(
    site: Site, now: tuple[int, int], before: tuple[int, int], said: str
) -> None:
    view = view_in(site, lang="en")
    results = [Value(n / d, n, d) for n, d in (now, before)]
    found = change(view, catalogue().get("closing_rate"), *results, AGAINST)
    assert found is not None and found.said == said
    assert (found.lamp == "neutral") == ("no real change" in said)


def test_a_difference_without_a_test_is_shown_and_not_judged(site: Site) -> None:
    view = view_in(site, lang="en")
    found = change(view, catalogue().get("hours_to_close"), Value(30.0, 50), Value(20.0, 60), AGAINST)
    assert found is not None and found.text == "+10.0 hours" and found.lamp == "neutral"


@pytest.mark.parametrize("lang", LANGS)
def test_every_chapter_says_its_figures_in_sentences_of_its_own_blocks(site: Site, lang: Lang) -> None:
    brief = compose(view_in(site, lang=lang), [page(name) for name in BRIEF.pages], BRIEF.title)
    for chapter in brief.chapters:
        tiles = [tile for block in chapter.blocks if isinstance(block, Tiles) for tile in block.tiles]
        assert chapter.said
        if tiles:
            assert any(tile.label in said and tile.value in said for said in chapter.said for tile in tiles)


def test_slides_show_what_matters_and_say_that_the_rest_is_elsewhere(site: Site) -> None:
    whole = compose(view_in(site, lang="en"), [page(name) for name in BRIEF.pages], BRIEF.title)
    short = for_slides(whole)
    for chapter, full in zip(short.chapters[1:], whole.chapters[1:], strict=True):
        tiles = [tile for block in chapter.blocks if isinstance(block, Tiles) for tile in block.tiles]
        every = [tile for block in full.blocks if isinstance(block, Tiles) for tile in block.tiles]
        assert len(tiles) == min(8, len(every)) and tiles == [tile for tile in every if tile in tiles], (
            "in order"
        )
        urgent = [tile for tile in every if tile.lamp in ("off", "near")]
        assert len(urgent) > 8 or all(tile in tiles for tile in urgent)
        assert len([block for block in chapter.blocks if not isinstance(block, Note | Feed)]) <= 4
    off = {
        t.label
        for c in whole.chapters[1:]
        for b in c.blocks
        if isinstance(b, Tiles)
        for t in b.tiles
        if t.lamp == "off"
    }
    assert {one.label for one in short.definitions} == off
    pages = [
        len(pypdf.PdfReader(io.BytesIO(render_brief(one, "Site", made=MADE, form="slide"))).pages)
        for one in (whole, short)
    ]
    assert pages[1] <= 40 and pages[1] < 0.65 * pages[0], pages
    assert "All of it is in the A4 brief" in short.remarks[0][1]


def test_a_long_ranking_on_slides_has_its_head_and_its_foot() -> None:
    bars = tuple(Bar(f"place {n}", float(n), str(n), rank=str(n)) for n in range(1, 16))
    found = short_of(Ranking("R", bars, AXIS), Table("T", (Column("c"),), (Row(("x",)),)))
    (ranking,) = found
    assert isinstance(ranking, Ranking)
    assert [bar.rank for bar in ranking.bars] == ["1", "2", "3", "11", "12", "13", "14", "15"]
    assert "first 3 and the last 5 of 15" in ranking.note
    empty = Ranking("R", tuple(dataclasses.replace(bar, value=None) for bar in bars), AXIS)
    (table,) = short_of(empty, Table("T", (Column("c"),), tuple(Row((str(n),)) for n in range(30))))
    assert isinstance(table, Table) and len(table.rows) == 9 and table.total == 30


def short_of(*blocks: Block) -> tuple[Block, ...]:
    """The blocks of a chapter as slides have them."""
    chapters = (Chapter("Key", (), ()), Chapter("One", (), blocks))
    return for_slides(Brief("B", "P", "2026", "", "2026-01-31", "v1", "en", (), chapters)).chapters[1].blocks


def test_an_empty_sheet_on_a_slide_says_so() -> None:
    empty: Sheet = sheet_of()
    assert "Thispagehasnothingtoprint" in "".join(text_of(render_pdf(empty, "Site", made=MADE, form="slide")))
