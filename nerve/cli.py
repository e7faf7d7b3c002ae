"""The `nerve` console script: one command per job, every one of them about one site folder."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from dashboard.view import periods, view_of
from nerve.terminal import DEFAULT_SITE, JsonOption, SiteOption, console, day_of, grid, period_of, print_json
from warehouse.catalogue import catalogue
from warehouse.mistake import Mistake, nearest
from warehouse.period import Period
from warehouse.result import Value, status_of
from warehouse.site import Site, load_site
from warehouse.text import Lang
from warehouse.version import current
from warehouse.viewer import Viewer

ELSEWHERE = {
    "value": "nerve.value:value",
    "load": "nerve.loading:load",
    "run": "nerve.loading:run",
    "pull": "nerve.loading:pull",
    "quarantine": "nerve.quarantine:app",
    "batches": "nerve.upkeep:batches",
    "rollback": "nerve.upkeep:rollback",
    "contract": "nerve.contract:app",
    "backup": "nerve.upkeep:backup",
    "restore": "nerve.upkeep:restore",
    "doctor": "nerve.upkeep:doctor",
    "published": "nerve.published:published",
    "service": "nerve.service:service",
}
"""Commands of other modules, each with where it is."""


class Commands(TyperGroup):
    """Our commands, those of ELSEWHERE loaded when asked for: what reads files takes longer to load than a
    brief to print."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *ELSEWHERE]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = ELSEWHERE[cmd_name].partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            return get_command(alone)
        group = get_group(found)
        group.name = cmd_name
        return group


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Nerve Center 治理中枢: load the offices' files, serve the wall and the pages, print the brief.",
)


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
    place: Annotated[
        str, typer.Option(help="dongan, xinhui, houqiao, chucun, tianmushan, or all five in one site.")
    ] = "dongan",
    until: Annotated[str | None, typer.Option(help="Last day of the data (default: today, live).")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 20260101,
    scale: Annotated[str, typer.Option(help="full, or small: two townships of Dong'an.")] = "full",
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Start the feed and the app.")] = True,
    port: Annotated[int | None, typer.Option(help="Port of the app.")] = None,
) -> None:
    """Make the demo's source files, load them, publish, and start the live feed and the app."""
    # Loaded here: making places needs scipy, which no other command should wait for.
    from nerve.demo import demo as make_demo

    make_demo(
        site, place=place, until=day_of("--until", until), seed=seed, scale=scale, serve=serve, port=port
    )


@app.command()
def serve(
    site: SiteOption = DEFAULT_SITE,
    port: Annotated[int | None, typer.Option(help="Port (default: the site's).")] = None,
) -> None:
    """Serve the wall and the pages, on loopback only: there is no sign-in yet."""
    from nerve.server import serve as serve_job

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
        print_json({"version": version.id, "cutoff": version.cutoff.isoformat(), "sources": sources})
        return
    table = grid(title=f"{found.name.en} · {version.id} · as of {version.cutoff:%Y-%m-%d %H:%M:%S}")
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
    console().print(table)
    from pipelines.run import loader_lines

    for line in loader_lines(found):
        print(line)


@app.command()
def report(
    pages: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pages in order, such as overview petitions, or one of the site's briefs (default: brief)."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write (.pdf or .xlsx), or a folder for all forms and languages."),
    ] = None,
    site: SiteOption = DEFAULT_SITE,
    scope: Annotated[str | None, typer.Option(help="Place or group code (default: the site's home).")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First day.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    lang: Annotated[str | None, typer.Option(help="zh or en.")] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="both, previous, year, to_date, lunar, none, or two days: 2025-01-01..2025-03-31."),
    ] = None,
    form: Annotated[
        str | None, typer.Option(help="a4, slide, or csv: every table of the pages into a folder.")
    ] = None,
    who: Annotated[str, typer.Option("--for", help="Who asks for it, for the watermark.")] = "",
    again: Annotated[
        str | None, typer.Option(help="Make a registered report again, byte for byte, by its id.")
    ] = None,
    due: Annotated[
        bool,
        typer.Option("--due", help="Make what the schedules of reports.toml ask for and is not made yet."),
    ] = False,
) -> None:
    """Print pages as one brief, on A4 or slides, or write them as a workbook; registered with its data version."""
    from dashboard.export import CSV, export_tables, form_of, issue, ordered
    from dashboard.export import again as make_again
    from dashboard.printing import FORMS

    found = load_site(site)
    if due:
        if again or out or pages or form or lang or scope or start or end or compare:
            raise Mistake("--due", "takes its questions from reports.toml", "give it alone")
        _make_due(found)
        return
    if again is not None:
        if pages or form or lang or scope or start or end or compare:
            raise Mistake(
                "--again", "takes its question from the register", "give only the id, and --out if wanted"
            )
        _, entry, path = make_again(found, again, out)
        print(f"{path} · {entry.id} · {entry.version}")
        return
    if out is None:
        raise Mistake("--out", "no file given", "name one, such as --out brief.pdf")
    if form is not None and form not in (*FORMS, CSV):
        raise Mistake("--form", f"no such form '{form}'", nearest(form, (*FORMS, CSV)))
    folder = _is_folder(out)
    if not folder and CSV in (form, out.suffix.removeprefix(".")):
        raise Mistake(
            "--out", f"'{out}' is one file, and a page has several tables", "give a folder and --form csv"
        )
    if not folder:
        form_of(out)
    order, template = ordered(found, pages or [], form or "", who)
    version = current(found)
    usual = periods(version.cutoff)[template.period][1]
    # A last day alone asks for its year so far, as everywhere.
    period = (
        period_of(version.cutoff, start, end)
        if end
        else Period(day_of("--from", start) or usual.start, usual.end)
    )
    languages = [lang] if lang else list(template.languages or found.languages)
    forms = [form] if form else list(template.forms)
    for language in languages if folder else languages[:1]:
        for shape in forms if folder else forms[:1]:
            view = view_of(
                found,
                version,
                Viewer(found.home),
                {
                    "scope": scope or found.home,
                    "from": period.start.isoformat(),
                    "to": period.end.isoformat(),
                    "lang": language,
                    "compare": compare or template.compare,
                },
            )
            if shape == CSV:
                for path, entry in export_tables(view, order, out):
                    print(f"{path} · {entry.id} · {version.id}")
                continue
            path = out
            if folder:
                name = f"{order.name}-{view.scope.code}-{view.period.end}-{language}-{shape}-{version.id}.pdf"
                path = out / name
            _, entry = issue(view, replace(order, form=shape), path)
            print(f"{path} · {entry.id} · {version.id}")


def _is_folder(path: Path) -> bool:
    try:
        return path.suffix == "" or path.is_dir()
    except OSError:
        # A name too long for one: writing it says so.
        return False


def _make_due(site: Site) -> None:
    from dashboard.due import make

    # The loader's unit has one limit of memory for both: where it is met, a brief can wait, loading cannot.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    faults = make(site, print)
    for fault in faults:
        print(f"nerve: {fault}", file=sys.stderr)
    if faults:
        raise SystemExit(2)


@app.command()
def diff(
    ids: Annotated[
        tuple[str, str], typer.Argument(metavar="ID ID", help="Two registered reports, the earlier first.")
    ],
    site: SiteOption = DEFAULT_SITE,
    lang: Annotated[str | None, typer.Option(help="zh or en.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Each headline figure of two reports, then and now, and why it changed."""
    from dashboard.changed import WHY, items
    from dashboard.export import difference
    from dashboard.figures import number

    found = load_site(site)
    first, second, why = difference(found, ids)
    shown: Lang = "zh" if (lang or found.languages[0]) == "zh" else "en"
    rows: list[dict[str, Any]] = []
    for item in items(first, second.figures, why):
        measure = catalogue().get(item.measure)
        row: dict[str, Any] = {"measure": item.measure, "label": measure.label[shown]}
        for name, result in (("then", item.then), ("now", item.now)):
            if as_json:
                row[name] = result.value if isinstance(result, Value) else None
                row[f"{name}_status"] = "absent" if result is None else status_of(result)
            else:
                row[name] = "–" if result is None else number(measure, result, shown)
        row["why"] = list(item.why) if as_json else "; ".join(WHY[one][shown] for one in item.why)
        rows.append(row)
    if as_json:
        heads = [
            {"id": e.id, "version": e.version, "from": e.start, "to": e.end, "scope": e.scope}
            for e in (first, second)
        ]
        print_json({"reports": heads, "figures": rows})
        return
    table = grid(
        title=f"{first.id} {first.start}/{first.end} {first.version} → {second.id} {second.start}/{second.end} {second.version}"
    )
    for heading in ("label", "then", "now", "why"):
        table.add_column(heading, justify="right" if heading in ("then", "now") else "left")
    for row in rows:
        table.add_row(*(row[heading] for heading in ("label", "then", "now", "why")))
    console().print(table)


if __name__ == "__main__":
    main()
