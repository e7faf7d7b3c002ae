"""What officials write down in a meeting: what may be written, that it is safe on the disk, and that it counts."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pypdf
import pytest

from dashboard.decisions import followed_up, not_loaded, written_down
from dashboard.export import Order, again, issue
from dashboard.journal import Decision, NotWritten, change, decide, decisions
from dashboard.pages import page
from dashboard.view import View, build, view_of
from pipelines.run import load
from warehouse.masking import is_person
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Value
from warehouse.site import Site, load_site
from warehouse.text import Text
from warehouse.version import current
from warehouse.viewer import Viewer

HELD = date(2026, 6, 10)
DUE = date(2026, 7, 31)
JUNE = {"from": "2026-06-01", "to": "2026-06-30"}
TOWNSHIP = "431122100"


@pytest.fixture
def site(small_site: Site, tmp_path: Path) -> Site:
    """The small site with a journal of its own: its data is only read."""
    for name in ("site.toml", "secret.key"):
        shutil.copy(small_site.folder / name, tmp_path / name)
    (tmp_path / "warehouse").symlink_to(small_site.folder / "warehouse")
    return load_site(tmp_path)


@pytest.fixture
def loading_site(small_site: Site, tmp_path: Path) -> Site:
    """A copy of the small site that may be loaded into."""
    shutil.copytree(small_site.folder, tmp_path / "site")
    return load_site(tmp_path / "site")


def view_in(site: Site, **params: str) -> View:
    return view_of(site, current(site), Viewer(site.home), JUNE | params)


def write(view: View, title: str = "修缮村口道路", place: str = TOWNSHIP, **more: object) -> Decision:
    given: dict[str, object] = {"owner": "县交通运输局", "held": HELD, "due": DUE, "category": "roads_water"}
    return decide(view, place, title, **(given | more))  # type: ignore[arg-type]


def lines(site: Site) -> list[dict[str, str]]:
    files = sorted(site.journal.glob("*.ndjson"))
    return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def figures(site: Site, scope: str, *names: str) -> dict[str, tuple[float | None, float | None]]:
    """Numerator and denominator of June to September 2026."""
    period = Period(date(2026, 6, 1), date(2026, 9, 30))
    cells = query(current(site), Viewer(site.home), list(names), scope, [period])
    return {c.measure: (c.result.n, c.result.d) for c in cells if isinstance(c.result, Value)}


def test_a_decision_is_one_line_and_the_same_again_adds_none(site: Site) -> None:
    view = view_in(site)
    made = write(view)
    assert write(view) == made and write(view, "  修缮村口道路\n") == made
    (line,) = lines(site)
    assert line["item_id"].startswith("DEC-20260610-") and line["act"] == "decided"
    assert (line["place"], line["owner"], line["held_at"], line["due_at"]) == (
        TOWNSHIP, "县交通运输局", "2026-06-10", "2026-07-31",
    )  # fmt: skip
    assert write(view, "清淤渠道").item_id != made.item_id


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"title": " \n "}, "Write down the matter"),
        ({"title": "修" * 5000}, "5,000 characters, 200 at most"),
        ({"title": "修缮\x07道路"}, "U+0007"),
        ({"owner": ""}, "Write down the owner"),
        ({"owner": "王小明"}, "no person's name"),
        ({"owner": "王主任"}, "no person's name"),
        ({"owner": "交通局 13812345678"}, "no number"),
        ({"place": "999"}, "No place '999'"),
        ({"place": ""}, "Choose the place"),
        ({"due": date(2026, 6, 29)}, "has passed"),
        ({"due": None}, "due date"),
        ({"held": date(2026, 7, 1)}, "after today"),
    ],
)
def test_what_may_not_be_written_is_said_in_both_languages_and_leaves_no_line(
    site: Site, more: dict[str, object], said: str
) -> None:
    with pytest.raises(NotWritten) as caught:
        write(view_in(site), **more)  # type: ignore[arg-type]
    assert said in caught.value.reason.en and caught.value.reason.zh.endswith("。")
    assert lines(site) == []


@pytest.mark.parametrize(
    "title", ["修𠮷䶮㐂路 😀👨‍👩‍👧", "طريق القرية", '"},{"a":1}\\n', "=1+1", "# *a* [b](c)"]
)
def test_signs_of_any_script_are_written_as_they_are(site: Site, title: str) -> None:
    assert write(view_in(site), title).title == title
    assert [one.title for one in decisions(site)] == [title]


def test_a_matter_is_masked_before_it_is_written(site: Site) -> None:
    assert write(view_in(site), "联系人：王小明，电话13812345678").title == "联系人：[姓名]，电话[电话]"
    assert "13812345678" not in (site.journal / "decisions-2026-06-30.ndjson").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "person"),
    [
        ("李建国", True), ("王芳", True), ("张书记", True), ("陈局长", True),
        ("万安村", False), ("司法所", False), ("县交通运输局", False), ("党委书记", False), ("河长办", False), ("江口镇", False),
    ],
)  # fmt: skip
def test_an_owner_that_can_only_be_a_person_is_told_from_a_unit(text: str, person: bool) -> None:
    assert is_person(text) is person


def test_what_became_of_an_item_is_said_by_later_lines(site: Site) -> None:
    view = view_in(site)
    item = write(view).item_id
    assert change(view, item, "done").status == "done"
    assert change(view, item, "done") == decisions(site)[0], "saying the same again adds no line"
    assert change(view, item, "reopened").done_at == ""
    assert change(view, item, "amended", due=date(2026, 8, 15)).due_at == "2026-08-15"
    assert change(view, item, "withdrawn").status == "cancelled"
    assert [line["act"] for line in lines(site)] == ["decided", "done", "reopened", "amended", "withdrawn"]
    stamps = [line["updated_at"] for line in lines(site)]
    assert stamps == sorted(set(stamps)), "of two lines of one second the later one wins"
    with pytest.raises(NotWritten, match="open it again first"):
        change(view, item, "amended", due=date(2026, 8, 20))
    with pytest.raises(NotWritten, match="No item 'DEC-1'"):
        change(view, "DEC-1", "done")
    assert write(view).act == "reopened", "agreed once more after it was withdrawn"


def test_a_place_outside_the_viewer_s_own_is_no_place(site: Site) -> None:
    view = view_of(site, current(site), Viewer(TOWNSHIP), JUNE)
    with pytest.raises(NotWritten, match="No place '431122'"):
        write(view, place="431122")


@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_a_full_disk_leaves_no_half_line_and_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    view = view_in(site)
    write(view)
    before = (site.journal / "decisions-2026-06-30.ndjson").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if fails == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(NotWritten, match="still in the form"):
            write(view, "清淤渠道")
    finally:
        if fails == "write":
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (site.journal / "decisions-2026-06-30.ndjson").read_bytes() == before


def test_a_journal_that_cannot_be_written_says_so(site: Site) -> None:
    site.journal.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(NotWritten, match="Nothing was written"):
        write(view_in(site))


def test_half_a_line_of_a_crash_swallows_nothing(site: Site) -> None:
    view = view_in(site)
    first = write(view)
    with (site.journal / "decisions-2026-06-30.ndjson").open("ab") as out:
        out.write(b'{"item_id": "DEC-2026')
    second = write(view, "清淤渠道")
    assert [one.item_id for one in decisions(site)] == [first.item_id, second.item_id]
    assert len(lines(site)) == 2


def test_writers_at_once_lose_and_double_nothing(site: Site) -> None:
    view = view_in(site)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: write(view, f"事项{n % 12}"), range(36)))
    assert sorted(line["title"] for line in lines(site)) == sorted(f"事项{n}" for n in range(12))


def test_a_decision_counts_as_soon_as_it_is_loaded_and_the_next_brief_opens_with_it(
    loading_site: Site,
) -> None:
    site = loading_site
    names = ("meeting_item_completion", "items_on_time_rate", "overdue_items")
    before = figures(site, site.home, *names)
    view = view_in(site)
    county = write(view, "全县道路排查", place=site.home).item_id
    road = write(view).item_id
    due_today = write(view, "当日完成", due=date(2026, 6, 30)).item_id
    change(view, due_today, "done")
    waiting = not_loaded(view, decisions(site))
    assert set(waiting) == {county, road, due_today} and set(waiting.values()) == {"待入库"}
    assert [row.cells[0] for row in written_down(view).rows] == ["当日完成", "修缮村口道路", "全县道路排查"]
    assert followed_up(view) is None, "the version does not know them yet"

    (loaded,) = load(site)
    assert (loaded.source, loaded.kept, loaded.quarantined) == ("decisions", 4, 0)
    view = view_in(site)
    assert not_loaded(view, decisions(site)) == {}
    after = figures(site, site.home, *names)
    n, d = before["meeting_item_completion"]
    assert n is not None and d is not None
    assert after["meeting_item_completion"] == (n + 1, d + 3)
    assert after["overdue_items"] == before["overdue_items"]
    known = followed_up(view)
    assert known is not None and "3 项：办结 1 项，办理中 2 项，其中逾期 0 项" in known.sentence
    assert known.rows[-1].cells[0] == "当日完成" and known.rows[-1].lamp == "good"
    assert known == build(page("agenda"), view).blocks[0]

    order = Order("brief", ("meetings",), Text(zh="月报", en="Monthly brief"))
    content, entry = issue(view, order, site.reports / "b.pdf")
    text = "".join("".join(one.extract_text().split()) for one in pypdf.PdfReader(io.BytesIO(content)).pages)
    assert "上次议定事项的落实情况" in text and "修缮村口道路" in text and "全县道路排查" in text

    change(view, road, "withdrawn")
    assert again(site, entry.id)[0] == content, "the journal goes on, the brief of then stays"
    load(site)
    assert figures(site, site.home, *names)["meeting_item_completion"] == (n + 1, d + 2)


def test_an_item_past_its_due_date_counts_as_overdue_and_stands_first(loading_site: Site) -> None:
    site = loading_site
    before = figures(site, TOWNSHIP, "overdue_items")["overdue_items"][0]
    view = view_in(site)
    write(view, "已逾期事项")
    path = site.journal / "decisions-2026-06-30.ndjson"
    path.write_text(path.read_text(encoding="utf-8").replace("2026-07-31", "2026-06-20"), encoding="utf-8")
    load(site)
    assert before is not None
    assert figures(site, TOWNSHIP, "overdue_items")["overdue_items"][0] == before + 1
    found = followed_up(view_in(site, lang="en"))
    assert found is not None and found.rows[0].lamp == "off" and found.rows[0].cells[-1] == "10 d overdue"
