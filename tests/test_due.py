"""Briefs that make themselves: each month once, missed months made up for, and nothing of it stops the loader."""

from __future__ import annotations

import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import dashboard.due as due_module
from dashboard.due import due, make
from dashboard.export import Order, again, issue
from dashboard.printing import entries
from dashboard.templates import templates
from dashboard.view import view_of
from pipelines.run import Loader, logger
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site
from warehouse.store import Store
from warehouse.text import Text
from warehouse.version import current
from warehouse.viewer import Viewer

MONTHLY = """
[briefs.monthly]
title = { zh = "月报", en = "Monthly" }
pages = ["meetings"]
forms = ["a4"]
languages = ["zh"]
period = "last_month"
"""
TIMED = "[briefs.monthly.schedule]\nday = 3\nhour = 6\n"


@pytest.fixture
def site(small_site: Site, tmp_path: Path) -> Site:
    """The small site with reports of its own; its clock stands at 2026-06-30 23:59:59."""
    shutil.copy(small_site.folder / "site.toml", tmp_path / "site.toml")
    (tmp_path / "warehouse").symlink_to(small_site.folder / "warehouse")
    (tmp_path / "reports.toml").write_text(MONTHLY + TIMED, encoding="utf-8")
    return load_site(tmp_path)


def at(site: Site, clock: str) -> Site:
    return site.model_copy(update={"as_of": datetime.fromisoformat(clock)})


def asked(site: Site) -> list[tuple[str, str]]:
    """Place and month of everything that is due."""
    return [(one.scope, f"{one.moment:%Y-%m}") for one in due(site, current(site))]


def said(site: Site) -> list[str]:
    out: list[str] = []
    assert make(site, out.append) == ()
    return out


def test_each_township_has_one_brief_a_month_and_never_a_second(site: Site) -> None:
    assert len({scope for scope, _ in asked(site)}) == 2, "two townships"
    assert len(said(site)) == 2 and said(site) == [] and asked(site) == []
    for entry in entries(site):
        assert (entry.page, entry.start, entry.end) == ("monthly", "2026-05-01", "2026-05-31")
        assert entry.due == "2026-06-03T06:00:00"
        content = (site.reports / entry.file).read_bytes()
        (site.reports / entry.file).unlink()
        assert again(site, entry.id)[0] == content


def test_without_a_schedule_nothing_is_due(site: Site) -> None:
    (site.folder / "reports.toml").write_text(MONTHLY, encoding="utf-8")
    assert said(site) == [] and due(site, current(site)) == ()


def test_before_its_hour_the_brief_of_the_month_before_is_due(site: Site) -> None:
    assert {month for _, month in asked(at(site, "2026-06-03 05:59:00"))} == {"2026-05"}
    assert {month for _, month in asked(at(site, "2026-06-03 06:00:00"))} == {"2026-06"}


def test_months_missed_are_made_up_for_from_the_last_one_made(site: Site) -> None:
    said(site)
    later = at(site, "2026-09-10 12:00:00")
    assert [month for _, month in asked(later)] == ["2026-07"] * 2 + ["2026-08"] * 2 + ["2026-09"] * 2
    (site.folder / "reports.toml").write_text(MONTHLY + TIMED.replace("3", "20"), encoding="utf-8")
    assert [month for _, month in asked(later)] == ["2026-07"] * 2 + ["2026-08"] * 2, (
        "the 20th is still to come"
    )


def test_the_same_printed_by_hand_before_does_not_stand_in_for_it(site: Site) -> None:
    period = {"from": "2026-05-01", "to": "2026-05-31", "lang": "zh", "scope": asked(site)[0][0]}
    view = view_of(site, current(site), Viewer(site.home), period)
    order = Order("monthly", ("meetings",), Text(zh="月报", en="Monthly"))
    by_hand, _ = issue(view, order, site.reports / "by_hand.pdf")
    assert len(said(site)) == 2
    first, second, _ = entries(site)
    assert first.sha256 == second.sha256 and first.id != second.id and again(site, second.id)[0] == by_hand


def test_one_that_fails_stops_no_other_and_is_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = asked(site)[0][0]
    real = due_module.issue

    def failing(view: Any, *more: Any) -> Any:
        if view.scope.code == bad:
            raise Mistake("disk", "full", "free space")
        return real(view, *more)

    monkeypatch.setattr(due_module, "issue", failing)
    out: list[str] = []
    (fault,) = make(site, out.append)
    assert bad in fault and "disk: full" in fault and len(out) == 1
    monkeypatch.undo()
    assert asked(site) == [(bad, "2026-06")] and len(said(site)) == 1


@pytest.mark.parametrize(
    ("schedule", "fault"),
    [
        ("day = 31", "less than or equal to 28"),
        ("day = 3\nhour = 24", "less than or equal to 23"),
        ("hour = 3", "missing key 'briefs.monthly.schedule.day'"),
        ("day = 3\nlevels = 'village'", "did you mean 'level'?"),
        ("day = 3\nlevel = 'grid'", "'township'"),
    ],
)
def test_a_mistake_in_a_schedule_names_its_key(site: Site, schedule: str, fault: str) -> None:
    (site.folder / "reports.toml").write_text(
        f"{MONTHLY}[briefs.monthly.schedule]\n{schedule}\n", encoding="utf-8"
    )
    with pytest.raises(Mistake) as caught:
        templates(site)
    assert fault in str(caught.value) and "reports.toml" in str(caught.value)


def test_the_loader_has_them_made_beside_it_and_goes_on_when_that_fails(
    small_site: Site, tmp_path: Path
) -> None:
    shutil.copytree(small_site.folder, tmp_path / "site")
    site = load_site(tmp_path / "site")
    (site.folder / "reports.toml").write_text(MONTHLY + TIMED + "[oops", encoding="utf-8")
    with logger(site) as log, Store.open(site) as store:
        loader = Loader(site, store, log, {})
        turned(loader)
        assert loader.last_error is not None and "not valid TOML" in loader.last_error[1]
        (site.folder / "reports.toml").write_text(MONTHLY + TIMED, encoding="utf-8")
        loader.begin_briefs()
        turned(loader)
    assert {entry.due for entry in entries(site)} == {"2026-06-03T06:00:00"}
    assert '"event": "briefs"' in (site.log / "loader.log").read_text(encoding="utf-8")


def turned(loader: Loader) -> None:
    """Turn the loader until the process it started for the briefs has ended."""
    loader.turn()
    limit = time.monotonic() + 60
    while loader.making_briefs:
        assert time.monotonic() < limit, "the briefs were not made"
        loader.turn()
        time.sleep(0.05)
