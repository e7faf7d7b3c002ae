"""What leaves the house: a built page as a file, written whole and registered with its data version."""

from __future__ import annotations

from pathlib import Path

from dashboard.blocks import Sheet
from dashboard.printing.register import Entry, register, write_whole
from dashboard.view import View
from warehouse.mistake import Mistake, nearest

FORMS = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The forms of an export, by the ending of its file, each with its media type."""


def form_of(path: Path) -> str:
    """The form that a file's ending asks for. Raises Mistake for another one."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise Mistake(str(path), f"cannot write '{path.suffix}'", nearest(form, FORMS))
    return form


def file_name(sheet: Sheet, view: View, form: str) -> str:
    """A name that tells exports of different places, days, languages and versions apart."""
    return f"{sheet.page}-{view.scope.code}-{view.period.end}-{view.lang}-{sheet.version}.{form}"


def export(sheet: Sheet, view: View, path: Path) -> tuple[bytes, Entry]:
    """Render the sheet in the form of the path's ending, write it there and register it; its bytes and entry."""
    # Loaded at the first export: neither renderer is of any use to a page.
    name, made = view.site.name[view.lang], view.version.made_at
    if form_of(path) == "pdf":
        from dashboard.printing import render_pdf

        content = render_pdf(sheet, name, made=made)
    else:
        from dashboard.workbook import render_xlsx

        content = render_xlsx(sheet, name, made=made)
    write_whole(path, content)
    entry = register(
        view.site,
        page=sheet.page,
        scope=view.scope.code,
        start=view.period.start,
        end=view.period.end,
        compare=view.compare,
        lang=view.lang,
        version=sheet.version,
        content=content,
        path=path,
    )
    return content, entry
