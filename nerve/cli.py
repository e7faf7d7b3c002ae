"""The `nerve` console script: one command per job, every one of them about one site folder."""

from __future__ import annotations

import json
import os
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dashboard.pages import page as page_of
from dashboard.view import build, view_of
from nerve import contract, loading, quarantine, service, upkeep
from nerve.server import serve as serve_job
from pipelines.run import loader_lines
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Value, status_of
from warehouse.site import load_site
from warehouse.version import current
from warehouse.viewer import Viewer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Nerve Center 治理中枢: load the offices' files, serve the wall and the pages, print the brief.",
)
app.add_typer(contract.app, name="contract")
app.add_typer(quarantine.app, name="quarantine")
for command in (
    loading.load, loading.run, loading.pull, upkeep.batches, upkeep.rollback, upkeep.backup, upkeep.restore,
    upkeep.doctor, service.service,
):  # fmt: skip
    app.command()(command)
SiteOption = Annotated[
    Path,
    typer.Option("--site", envvar="NERVE_SITE", help="The folder that holds one deployment's site.toml."),
]
DEFAULT_SITE = Path("demo-site")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run a command; a mistake a person can mend is one line on stderr and exit code 2."""
    try:
        app()
    except Mistake as mistake:
        print(f"nerve: {mistake}", file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as fault:
        if os.environ.get("NERVE_TRACE"):
            raise
        print(
            f"nerve: a fault of ours: {type(fault).__name__}: {fault} "
            "(nothing was published; set NERVE_TRACE=1 to see where, and report it)".replace("\n", " "),
            file=sys.stderr,
        )
        raise SystemExit(1) from None


@app.command()
def demo(
    site: SiteOption = DEFAULT_SITE,
    place: Annotated[str, typer.Option(help="Which place to make.")] = "dongan",
    until: Annotated[str | None, typer.Option(help="Last day of the data (default: today, live).")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 20260101,
    scale: Annotated[str, typer.Option(help="full, or small: two townships.")] = "full",
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Start the feed and the app.")] = True,
    port: Annotated[int | None, typer.Option(help="Port of the app.")] = None,
) -> None:
    """Make the demo's source files, load them, publish, and start the live feed and the app."""
    # Loaded here: making places needs scipy, which no other command should wait for.
    from nerve.demo import demo as make_demo

    make_demo(site, place=place, until=_day("--until", until), seed=seed, scale=scale, serve=serve, port=port)


@app.command()
def serve(
    site: SiteOption = DEFAULT_SITE,
    port: Annotated[int | None, typer.Option(help="Port (default: the site's).")] = None,
) -> None:
    """Serve the wall and the pages, on loopback only: there is no sign-in yet."""
    found = load_site(site)
    raise SystemExit(serve_job(found, port or found.port))


@app.command()
def status(site: SiteOption = DEFAULT_SITE, as_json: JsonOption = False) -> None:
    """Per source: files, rows read, kept, quarantined, last load, age; and the data version."""
    found = load_site(site)
    version = current(found)
    now = found.now()
    sources = [
        {
            "source": s.name,
            "dataset": s.dataset,
            "files": s.files,
            "read": s.read,
            "kept": s.kept,
            "quarantined": s.quarantined,
            "refused": s.refused,
            "duplicates": s.duplicates,
            "warned": dict(s.warned),
            "last_load": s.last_load.isoformat(timespec="seconds") if s.last_load else None,
            "age_seconds": round((now - s.last_load).total_seconds(), 1) if s.last_load else None,
            "fresh_hours": s.fresh_hours,
            "reasons": dict(s.reasons),
        }
        for s in version.sources
    ]
    if as_json:
        _json({"version": version.id, "cutoff": version.cutoff.isoformat(), "sources": sources})
        return
    table = Table(title=f"{found.name.en} · {version.id} · as of {version.cutoff:%Y-%m-%d %H:%M:%S}")
    for heading in ("source", "files", "read", "kept", "quarantined", "refused", "last load", "age (s)"):
        table.add_column(heading, justify="left" if heading in ("source", "last load") else "right")
    for row in sources:
        table.add_row(
            *(
                str(row[key])
                for key in (
                    "source", "files", "read", "kept", "quarantined", "refused", "last_load", "age_seconds",
                )
            )
        )  # fmt: skip
    _console().print(table)
    for line in loader_lines(found):
        print(line)


@app.command()
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
    as_json: JsonOption = False,
) -> None:
    """Answer one measure, through the same code path as the pages."""
    found = load_site(site)
    version = current(found)
    period = _period(version.cutoff, start, end)
    cells = query(
        version,
        Viewer(found.home),
        [measure],
        scope or found.home,
        [period],
        by=by,
        cutoff=_time("--cutoff", cutoff),
    )
    unit = catalogue().get(measure).unit
    rows: list[dict[str, Any]] = []
    for cell in cells:
        known = cell.result if isinstance(cell.result, Value) else None
        row: dict[str, Any] = {
            "place": cell.place,
            "period": str(cell.period),
            "value": known.value if known else None,
            "numerator": known.n if known else None,
            "denominator": known.d if known else None,
            "status": status_of(cell.result),
            "unit": unit,
            "version": version.id,
        }
        if cell.key is not None:
            row["key"] = cell.key
        rows.append(row)
    if as_json:
        _json(rows)
        return
    table = Table(title=catalogue().get(measure).label.en)
    for heading in rows[0] if rows else ():
        table.add_column(heading)
    for row in rows:
        table.add_row(*("–" if item is None else str(item) for item in row.values()))
    _console().print(table)


@app.command()
def report(
    page: Annotated[str, typer.Argument(help="A page, such as overview, cases or petitions.")],
    out: Annotated[Path, typer.Option(help="The file to write: .pdf or .xlsx.")],
    site: SiteOption = DEFAULT_SITE,
    scope: Annotated[str | None, typer.Option(help="Place or group code (default: the site's home).")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First day.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    lang: Annotated[str, typer.Option(help="zh or en.")] = "zh",
    compare: Annotated[str, typer.Option(help="both, previous, year or none.")] = "both",
) -> None:
    """Print a page as an A4 brief, or write it as a workbook; registered with its data version."""
    from dashboard.export import export, form_of

    form_of(out)
    found = load_site(site)
    chosen = page_of(page)
    if chosen.wall:
        raise Mistake("page", "the wall is not printed", "print 'overview' instead")
    version = current(found)
    period = _period(version.cutoff, start, end)
    view = view_of(
        found,
        version,
        Viewer(found.home),
        {
            "scope": scope or found.home,
            "from": period.start.isoformat(),
            "to": period.end.isoformat(),
            "lang": lang,
            "compare": compare,
        },
    )
    _, entry = export(build(chosen, view), view, out)
    print(f"{out} · {entry.id} · {version.id}")


def _period(cutoff: datetime, start: str | None, end: str | None) -> Period:
    last = _day("--to", end) or cutoff.date()
    return Period(_day("--from", start) or last.replace(month=1, day=1), last)


def _day(option: str, value: str | None) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise Mistake(option, f"'{value}' is not a date", "write it as 2026-01-31") from error


def _time(option: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise Mistake(option, f"'{value}' is not a time", "write it as 2026-01-31T18:00") from error


def _console() -> Console:
    """A terminal's own width; wide where the output is piped, so that nothing is cut."""
    return Console(width=None if sys.stdout.isatty() else 200)


def _json(value: object) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write(os.linesep)


if __name__ == "__main__":
    main()
