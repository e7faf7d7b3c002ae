"""`nerve value`: one figure through the same code path as the pages, beside other periods and as known before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import typer

from dashboard.comparison import Comparison
from dashboard.figures import change, compared, days_of
from dashboard.view import View, view_of
from nerve.terminal import DEFAULT_SITE, JsonOption, SiteOption, console, grid, period_of, print_json, time_of
from warehouse.catalogue import catalogue
from warehouse.difference import WHY, difference, tellable
from warehouse.mistake import Mistake
from warehouse.passport import passport
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Cell, NoData, Value, reason_of, status_of
from warehouse.scope import scope_of
from warehouse.site import Site, load_site
from warehouse.text import Text
from warehouse.version import Version, as_of, current
from warehouse.viewer import Viewer

_UNSAID = ("definition", "passport", "changes")
"""Parts of an answer that the table leaves out or puts otherwise."""


def value(
    measure: Annotated[
        str, typer.Argument(help="A measure's name, such as closing_rate or hours_to_close:p90.")
    ],
    site: SiteOption = DEFAULT_SITE,
    scope: Annotated[str | None, typer.Option(help="Place or group code (default: the site's home).")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First day, 2026-01-01.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    by: Annotated[
        str | None, typer.Option(help="month, day, township, village, grid, or a class such as category.")
    ] = None,
    cutoff: Annotated[str | None, typer.Option(help="As of this time (default: the version's).")] = None,
    compare: Annotated[
        str,
        typer.Option(help="both, previous, year, to_date, lunar, none, or two days: 2025-01-01..2025-03-31."),
    ] = "none",
    only: Annotated[str | None, typer.Option(help="One class alone, such as category=safety.")] = None,
    known: Annotated[
        str | None,
        typer.Option(
            "--as-of", help="As known then: a version, or the newest of a day or time, and why it differs."
        ),
    ] = None,
    with_passport: Annotated[
        bool, typer.Option("--passport", help="What each figure rests on, and how to get it again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer one measure, through the same code path as the pages."""
    found = load_site(site)
    now = current(found)
    version = as_of(found, known) if known else now
    asked = _Asked(
        found,
        measure,
        scope or found.home,
        period_of(version.cutoff if known and not end else now.cutoff, start, end),
        by,
        time_of("--cutoff", cutoff),
        compare,
        _class(only),
    )
    rows = asked.rows(version)
    passports = asked.passports(version) if with_passport else []
    if known is None or by is not None or cutoff is not None or only is not None:
        _show(asked, rows, passports, as_json)
    else:
        _show_difference(asked, version, now, rows, passports, as_json)


@dataclass(frozen=True)
class _Asked:
    """What is asked, of whichever version."""

    site: Site
    measure: str
    scope: str
    period: Period
    by: str | None
    cutoff: datetime | None
    compare: str
    only: tuple[str, str] | None

    @property
    def title(self) -> str:
        return catalogue().get(self.measure).label.en

    def view(self, version: Version) -> View:
        params = {
            "scope": self.scope,
            "from": self.period.start.isoformat(),
            "to": self.period.end.isoformat(),
            "compare": self.compare,
            "lang": "en",
        }
        view = view_of(self.site, version, Viewer(self.site.home), params)
        return replace(view, cutoff=min(self.cutoff or version.cutoff, version.cutoff))

    def cells(self, version: Version, others: tuple[Comparison, ...] = ()) -> list[Cell]:
        spans = list(dict.fromkeys([self.period, *(other.period for other in others)]))
        return query(
            version, Viewer(self.site.home), [self.measure], self.scope, spans, by=self.by, cutoff=self.cutoff,
            only=self.only,
        )  # fmt: skip

    def rows(self, version: Version) -> list[dict[str, Any]]:
        view = self.view(version)
        others = compared(view)
        if others and self.by in ("month", "day"):
            raise Mistake(
                "--compare", f"cannot compare by {self.by}", "leave --by out, or give a level or a class"
            )
        cells = self.cells(version, others)
        before = {(cell.place, cell.key, cell.period): cell for cell in cells}
        rows = []
        for cell in cells:
            if cell.period != self.period and self.by not in ("month", "day"):
                continue
            row = _row(version, cell)
            if others:
                row["changes"] = [
                    self._change(view, cell, before.get((cell.place, cell.key, other.period)), other)
                    for other in others
                ]
            rows.append(row)
        return rows

    def passports(self, version: Version) -> list[tuple[tuple[Text, Text], ...]]:
        return [
            passport(
                version, self.measure, scope_of(version, cell.place), cell.period, self.cutoff, cell.result,
                self.by if cell.key else None, self.only,
            )
            for cell in self.cells(version)
        ]  # fmt: skip

    def _change(self, view: View, cell: Cell, before: Cell | None, other: Comparison) -> dict[str, Any]:
        then = before.result if before is not None else NoData()
        days = (days_of(view, self.period), days_of(view, other.period))
        found = change(view, catalogue().get(self.measure), cell.result, then, other, days)
        return {
            "against": str(other.period),
            "value": then.value if isinstance(then, Value) else None,
            "status": status_of(then),
            "change": found.text if found else None,
            "real": (found.real or "untested") if found else None,
            "said": found.said if found else None,
        }


def _row(version: Version, cell: Cell) -> dict[str, Any]:
    known = cell.result if isinstance(cell.result, Value) else None
    measure = catalogue().get(cell.measure)
    row: dict[str, Any] = {
        "place": cell.place,
        "period": str(cell.period),
        "value": known.value if known else None,
        "numerator": known.n if known else None,
        "denominator": known.d if known else None,
        "status": status_of(cell.result),
        "reason": reason_of(cell.result),
        "unit": measure.unit,
        "definition": measure.version,
        "version": version.id,
    }
    if cell.key is not None:
        row["key"] = cell.key
    return row


def _show(
    asked: _Asked, rows: list[dict[str, Any]], passports: list[tuple[tuple[Text, Text], ...]], as_json: bool
) -> None:
    if not as_json:
        _print_rows(asked.title, rows)
        _print_passports(passports)
        return
    for row, lines in zip(rows, passports, strict=False):
        row["passport"] = _plain(lines)
    print_json(rows)


def _show_difference(
    asked: _Asked,
    then: Version,
    now: Version,
    rows: list[dict[str, Any]],
    passports: list[tuple[tuple[Text, Text], ...]],
    as_json: bool,
) -> None:
    """A figure then and now, and the parts of its difference."""
    measure = catalogue().get(asked.measure)
    (later,) = asked.rows(now)
    parts = difference(then, now, asked.measure, later["place"], asked.period)
    told = tellable(parts, measure, now.params.suppress_below)
    if as_json:
        items = [{"why": p.why, "numerator": p.n, "denominator": p.d, "records": p.records} for p in parts]
        answer = {"then": rows[0], "now": later, "parts": items if told else None}
        if passports:
            answer["passport"] = _plain(passports[0])
        print_json(answer)
        return
    _print_rows(asked.title, [rows[0], later])
    if not told:
        print("What it differs by is not listed: a part of it is too small to show.")
    for part in parts if told else ():
        of = f" of {part.d:+,g}" if measure.kind == "rate" else ""
        counted = f" ({part.records} records)" if part.records else ""
        print(f"{WHY[part.why].en}: {part.n:+,g}{of}{counted}")
    _print_passports(passports)


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    shown = [heading for heading in (rows[0] if rows else ()) if heading not in _UNSAID]
    shown = [heading for heading in shown if heading != "reason" or any(row[heading] for row in rows)]
    others = [one["against"] for one in rows[0].get("changes", ())] if rows else []
    table = grid(title)
    for heading in (*shown, *(f"vs {other}" for other in others)):
        table.add_column(heading)
    for row in rows:
        cells = [row[heading] for heading in shown] + [one["change"] for one in row.get("changes", ())]
        table.add_row(*("–" if cell is None else str(cell) for cell in cells))
    console().print(table)


def _print_passports(passports: list[tuple[tuple[Text, Text], ...]]) -> None:
    for lines in passports:
        print()
        for label, text in lines:
            print(f"{label.en}: {text.en}")


def _plain(lines: tuple[tuple[Text, Text], ...]) -> dict[str, str]:
    return {label.en: text.en for label, text in lines}


def _class(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    dimension, sign, code = text.partition("=")
    if not (dimension and sign and code):
        raise Mistake("--only", f"'{text}' names no class", "write it as category=safety")
    return dimension, code
