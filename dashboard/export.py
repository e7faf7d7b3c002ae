"""What leaves the house: a built page or a brief as a file, written whole and registered with its data version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from dashboard.blocks import Sheet
from dashboard.brief import compose, distinct, for_slides, joined
from dashboard.changed import figures, items, last_of, period_of, reasons, table
from dashboard.csvfile import render_csv
from dashboard.decisions import followed_up
from dashboard.grids import carried, grids
from dashboard.pages import page as page_of
from dashboard.printing.register import Entry, entries, entry_of, register, write_whole
from dashboard.templates import DEFAULT, Template, templates
from dashboard.view import View, build, view_of
from warehouse.layout import version_ids
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site
from warehouse.text import Text
from warehouse.version import Version, version
from warehouse.viewer import Viewer

FORMS = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The forms of an export, by the ending of its file, each with its media type."""
CSV = "csv"
"""The form of one table."""
SHAPING = {"name", "synthetic", "notice", "targets", "params", "signs"}
"""What of a site's settings shapes a page: kept with an export, so that it can be made again after a change."""


@dataclass(frozen=True)
class Order:
    """A brief to be made: its name, its pages in order, its title, on A4 or slides; `who` asks for it, or a schedule
    for the moment `due`."""

    name: str
    pages: tuple[str, ...]
    title: Text
    form: str = "a4"
    who: str = ""
    due: str = ""


def form_of(path: Path) -> str:
    """The form that a file's ending asks for. Raises Mistake for another one."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise Mistake(str(path), f"cannot write '{path.suffix}'", nearest(form, FORMS))
    return form


def file_name(sheet: Sheet, view: View, form: str) -> str:
    """A name that tells exports of different places, days, choices, languages and versions apart."""
    chosen = "".join(f"-{re.sub(r'[^0-9a-z-]', '', value)}" for _, value in view.choices)
    return f"{sheet.page}{chosen}-{view.scope.code}-{view.period.end}-{view.lang}-{sheet.version}.{form}"


def ordered(site: Site, names: Sequence[str], form: str = "", who: str = "") -> tuple[Order, Template]:
    """The brief that names of pages, or the name of one of the site's briefs, ask for; with the template it follows.

    Raises Mistake with the nearest name, or for a wall."""
    named = templates(site).briefs
    wanted = list(names) or [DEFAULT]
    if len(wanted) == 1 and wanted[0] in named:
        template = named[wanted[0]]
        return Order(wanted[0], template.pages, template.title, form or template.forms[0], who), template
    pages: list[str] = []
    for name in wanted:
        for one in named[name].pages if name in named else (name,):
            if _printed(one, list(named)).name not in pages:
                pages.append(one)
    title = page_of(pages[0]).label if len(pages) == 1 else named[DEFAULT].title
    name = pages[0] if len(pages) == 1 else DEFAULT
    template = Template(title=title, pages=tuple(pages))
    return Order(name, template.pages, title, form or "a4", who), template


def _printed(name: str, briefs: Sequence[str]) -> Any:
    try:
        page = page_of(name)
    except Mistake as mistake:
        if nearest(name, briefs).startswith("did you mean"):
            raise Mistake("page", mistake.what, nearest(name, briefs)) from None
        raise
    if page.wall:
        raise Mistake("page", "the wall is not printed", "print 'overview' instead")
    if not page.menu:
        raise Mistake("page", f"'{name}' is no chapter of a brief", "export it from the screen")
    return page


def export(sheet: Sheet, view: View, path: Path) -> tuple[bytes, Entry]:
    """Render the page seen in the form of the path's ending, write it there and register it; its bytes and entry."""
    form = "xlsx" if form_of(path) == "xlsx" else "a4"
    mark = _mark(view, "") if form != "xlsx" else ""
    content = _page(sheet, view, form, mark)
    write_whole(path, content)
    entry = _registered(
        view, sheet.page, path, content, form=form, mark=mark, figures=_headline(view, [sheet])
    )
    return content, entry


def export_table(sheet: Sheet, view: View, number: int, path: Path) -> tuple[bytes, Entry]:
    """Write one table of the page, by its number from 1, as CSV and register it; its bytes and entry. Raises Mistake
    where the page has no such table."""
    content = _table(sheet, view, number)
    write_whole(path, content)
    return content, _registered(view, sheet.page, path, content, form=CSV, table=number)


def export_tables(view: View, order: Order, folder: Path) -> Iterator[tuple[Path, Entry]]:
    """Every table of the pages as a CSV file in the folder; the path and the entry of each."""
    for name in order.pages:
        sheet = build(page_of(name), view)
        for number, _ in enumerate(grids(sheet.blocks, view.lang), start=1):
            path = folder / table_name(sheet, view, number)
            yield path, export_table(sheet, view, number, path)[1]


def table_name(sheet: Sheet, view: View, number: int) -> str:
    """As `file_name`, for one table of the page."""
    return f"{Path(file_name(sheet, view, CSV)).stem}-{number}.{CSV}"


def issue(view: View, order: Order, path: Path) -> tuple[bytes, Entry]:
    """Make the brief, write it at `path` and register it; its bytes and entry. It opens with what became of the last
    brief of the same pages and place, where the register has one."""
    form = "xlsx" if form_of(path) == "xlsx" else order.form
    sheets = [build(page_of(name), view) for name in order.pages]
    found = _headline(view, sheets)
    before = last_of(entries(view.site), order.pages, view.scope.code, view.period, view.version.id)
    why = reasons(before, found, view.period, _then(view.site, before), view.version) if before else {}
    mark = _mark(view, order.who) if form != "xlsx" else ""
    content = _brief(view, order.pages, order.title, form, mark, found, before, why)
    write_whole(path, content)
    entry = _registered(
        view,
        order.name,
        path,
        content,
        form=form,
        mark=mark,
        figures=found,
        pages=order.pages,
        title=order.title.model_dump(),
        since=before.id if before is not None else "",
        why=why,
        due=order.due,
    )
    return content, entry


def again(site: Site, id: str, path: Path | None = None) -> tuple[bytes, Entry, Path]:
    """The same bytes as the registered export of that id, written to `path` or where it was; with its entry.

    Raises Mistake when there is no such export, when its data version has been collected, or when this program or
    its measures have changed so that it would come out otherwise; then nothing is written.
    """
    entry = entry_of(site, id)
    view = view_again(site, entry)
    if entry.pages:
        before = entry_of(site, entry.since) if entry.since else None
        title = Text.model_validate(entry.title)
        content = _brief(view, entry.pages, title, entry.form, entry.mark, entry.figures, before, entry.why)
    else:
        if entry.form == CSV:
            content = _table(build(page_of(entry.page), view), view, entry.table)
        else:
            form = entry.form or Path(entry.file).suffix.removeprefix(".").replace("pdf", "a4")
            content = _page(build(page_of(entry.page), view), view, form, entry.mark)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise Mistake(
            f"report {entry.id}",
            "comes out otherwise: this program, its measures or its fonts have changed since",
            "use the release that made it, or print it anew",
        )
    target = path or site.reports / entry.file
    write_whole(target, content)
    return content, entry, target


def view_again(site: Site, entry: Entry) -> View:
    """The view of a registered export. Raises Mistake when its data version has been collected."""
    if entry.version not in version_ids(site):
        raise Mistake(
            f"report {entry.id}",
            f"its data version {entry.version} has been collected",
            "print it anew from the current version with 'nerve report'",
        )
    kept = {name: value for name, value in entry.settings.items() if name in SHAPING}
    then = Site.model_validate({**site.model_dump(), **kept})
    params = {
        "scope": entry.scope,
        "from": entry.start,
        "to": entry.end,
        "compare": entry.compare,
        "lang": entry.lang,
        "dataset": entry.dataset,
        "record": entry.record,
        **entry.choices,
        "as_of": entry.settings.get("as_of", ""),
    }
    asked = datetime.fromisoformat(entry.asked) if entry.asked else None
    return view_of(then, version(site, entry.version), Viewer(entry.viewer or site.home), params, asked=asked)


def difference(site: Site, ids: tuple[str, str]) -> tuple[Entry, Entry, dict[str, list[str]]]:
    """Two registered exports of one place, the earlier first, and why each of their figures differs."""
    first, second = (entry_of(site, id) for id in ids)
    if first.scope != second.scope:
        raise Mistake(
            "diff",
            f"report {first.id} is about {first.scope}, {second.id} about {second.scope}",
            "give two reports of one place",
        )
    for entry in (first, second):
        if not entry.figures:
            raise Mistake(f"report {entry.id}", "was registered without figures", "print it anew")
    try:
        view = view_again(site, second)
    except Mistake:
        untold = {m: ["untold"] for m in dict.fromkeys([*second.figures, *first.figures])}
        return first, second, untold
    why = reasons(first, second.figures, period_of(second), _then(site, first), view.version)
    return first, second, why


def _then(site: Site, entry: Entry) -> Version | None:
    """The data version of a registered export; None where it is gone: none that the register names is collected."""
    try:
        return version(site, entry.version)
    except Mistake:
        return None


def _headline(view: View, sheets: Sequence[Sheet]) -> dict[str, dict[str, Any]]:
    return figures(view, [tile.measure for tile in distinct(sheets)])


def _page(sheet: Sheet, view: View, form: str, mark: str) -> bytes:
    # Loaded at the first export: neither renderer is of any use to a page.
    name, made = view.site.name[view.lang], view.version.made_at
    if form == "xlsx":
        from dashboard.workbook import render_xlsx

        return render_xlsx(sheet, name, made=made)
    from dashboard.printing import Form, render_pdf

    return render_pdf(sheet, name, made=made, form=cast(Form, form), mark=mark)


def _table(sheet: Sheet, view: View, number: int) -> bytes:
    found = grids(sheet.blocks, view.lang)
    if not 1 <= number <= len(found):
        known = "; ".join(f"{n} {grid.title}" for n, grid in enumerate(found, start=1))
        raise Mistake("table", f"'{sheet.page}' has no table {number}", f"choose of: {known}")
    return render_csv(found[number - 1], carried(sheet, view.lang))


def _brief(
    view: View,
    pages: Sequence[str],
    title: Text,
    form: str,
    mark: str,
    found: Mapping[str, Mapping[str, Any]],
    before: Entry | None,
    why: Mapping[str, Sequence[str]],
) -> bytes:
    chosen = [page_of(name) for name in pages]
    if form == "xlsx":
        return _page(joined([build(page, view) for page in chosen], title[view.lang]), view, form, mark)
    from dashboard.printing import Form, render_brief

    decided = followed_up(view)
    changes = [decided] if decided is not None else []
    changes += [table(view, before, items(before, found, why))] if before is not None else []
    brief = compose(view, chosen, title, changes=changes, mark=mark)
    if form == "slide":
        brief = for_slides(brief)
    return render_brief(brief, view.site.name[view.lang], made=view.version.made_at, form=cast(Form, form))


def _mark(view: View, who: str) -> str:
    """Who asked for this copy and when, where the site wants it on each; kept with the entry, for `again`."""
    if not templates(view.site).watermark:
        return ""
    return " · ".join(
        part for part in (who or view.site.name[view.lang], f"{view.site.now():%Y-%m-%d %H:%M:%S}") if part
    )


def _registered(view: View, page: str, path: Path, content: bytes, **more: Any) -> Entry:
    settings = view.site.model_dump(mode="json", include=SHAPING, exclude_none=True)
    return register(
        view.site,
        page=page,
        scope=view.scope.code,
        start=view.period.start,
        end=view.period.end,
        compare=view.compare,
        lang=view.lang,
        version=view.version.id,
        content=content,
        path=path,
        dataset=view.dataset,
        record=view.record,
        choices=dict(view.choices),
        viewer=view.viewer.scope,
        asked=view.asked.isoformat(),
        settings={
            **settings,
            "cutoff": view.cutoff.isoformat(),
            **({"as_of": view.as_of} if view.as_of else {}),
        },
        **more,
    )
