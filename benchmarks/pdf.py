"""The printed Overview: a sheet never built before, built and typeset; and the whole command in a new process."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from benchmarks.processes import nerve
from benchmarks.timing import Times, summed, table, verdict
from dashboard.pages.overview import PAGE
from dashboard.printing import render_pdf
from dashboard.view import build, view_of
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.text import LANGS
from warehouse.version import current
from warehouse.viewer import Viewer

TARGET = 1.0
COLD = 5


def measure(site: Site, repetitions: int, scratch: Path) -> None:
    """Print warm and cold times. Writes into `scratch` only."""
    version = current(site)
    began = {"build": {lang: Times() for lang in LANGS}, "typeset": {lang: Times() for lang in LANGS}}
    size: dict[str, int] = {}
    first = version.cutoff.date()
    for number in range(-1, repetitions):
        # A period no sheet was built for: neither the page's cache nor the typesetter's helps.
        end = first - timedelta(days=number + 1)
        for lang in LANGS:
            params = {"from": end.replace(month=1, day=1).isoformat(), "to": end.isoformat(), "lang": lang}
            times = [perf_counter()]
            sheet = build(PAGE, view_of(site, version, Viewer(site.home), params))
            times.append(perf_counter())
            pdf = render_pdf(sheet, site.name[lang], made=version.made_at)
            times.append(perf_counter())
            if number >= 0:
                began["build"][lang].seconds.append(times[1] - times[0])
                began["typeset"][lang].seconds.append(times[2] - times[1])
                size[lang] = len(pdf)
    cold = Times()
    own = _beside(site, scratch)
    for number in range(COLD):
        out = scratch / f"overview{number}.pdf"
        start = perf_counter()
        done = subprocess.run(
            nerve("report", "overview", "--site", str(own), "--out", str(out)), capture_output=True, text=True
        )
        cold.seconds.append(perf_counter() - start)
        if done.returncode:
            raise Mistake("nerve report", done.stderr.strip() or "failed", "run it by hand")
    rows = []
    whole = {lang: summed([began["build"][lang], began["typeset"][lang]]) for lang in LANGS}
    for lang in LANGS:
        for name, times_ in (("build", began["build"][lang]), ("typeset", began["typeset"][lang])):
            rows.append((f"{lang}: {name}", *_figures(times_), ""))
        rows.append((f"{lang}: warm, both", *_figures(whole[lang]), f"{size[lang] / 1024:.0f} KB"))
    rows.append((f"cold: 'nerve report', {COLD} new processes", *_figures(cold), ""))
    table(
        f"PDF of the Overview, {version.id}: seconds, median of {repetitions}, a period of its own each time",
        ("", "fastest", "median", "p95", "size"),
        rows,
        tuple(verdict(f"PDF warm, {lang}", whole[lang].median, TARGET, " s") for lang in LANGS),
    )


def _figures(times: Times) -> tuple[str, str, str]:
    return f"{times.fastest:.2f}", f"{times.median:.2f}", f"{times.p95:.2f}"


def _beside(site: Site, scratch: Path) -> Path:
    """A folder of the same site with reports of its own: a printed report is registered where its site is."""
    own = scratch / "printing"
    own.mkdir()
    for name in ("site.toml", "sources", "warehouse"):
        if (site.folder / name).exists():
            (own / name).symlink_to(site.folder / name)
    return own
