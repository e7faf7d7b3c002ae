"""Printed briefs: pages never built before, built and typeset; and the whole command in a new process."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from benchmarks.processes import nerve
from benchmarks.timing import Times, summed, table, verdict
from dashboard.brief import compose
from dashboard.pages import page
from dashboard.printing import FORMS, render_brief
from dashboard.templates import BRIEF
from dashboard.view import view_of
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.text import LANGS
from warehouse.version import current
from warehouse.viewer import Viewer

WARM, COLD = 0.4, 1.0
"""Seconds for a brief of one chapter, six or seven printed pages."""
PROCESSES = 5
BRIEFS: dict[str, tuple[str, ...]] = {"Overview": ("overview",), "all chapters": BRIEF.pages}


def measure(site: Site, repetitions: int, scratch: Path) -> None:
    """Print warm and cold times. Writes into `scratch` only."""
    version = current(site)
    first = version.cutoff.date()
    build_times = {(name, lang): Times() for name in BRIEFS for lang in LANGS}
    print_times = {(name, form, lang): Times() for name in BRIEFS for form in FORMS for lang in LANGS}
    size: dict[tuple[str, str, str], str] = {}
    for number in range(-1, repetitions):
        # A period no sheet was built for: neither the page's cache nor the typesetter's helps.
        for shift, (name, pages) in enumerate(BRIEFS.items()):
            end = first - timedelta(days=(number + 1) * len(BRIEFS) + shift)
            for lang in LANGS:
                params = {
                    "from": end.replace(month=1, day=1).isoformat(),
                    "to": end.isoformat(),
                    "lang": lang,
                }
                view = view_of(site, version, Viewer(site.home), params)
                began = perf_counter()
                brief = compose(view, [page(one) for one in pages], BRIEF.title)
                taken = perf_counter() - began
                if number >= 0:
                    build_times[name, lang].seconds.append(taken)
                for form in FORMS:
                    began = perf_counter()
                    pdf = render_brief(brief, site.name[lang], made=version.made_at, form=form)
                    taken = perf_counter() - began
                    if number >= 0:
                        print_times[name, form, lang].seconds.append(taken)
                        printed = len(re.findall(rb"/Type\s*/Page\b", pdf))
                        size[name, form, lang] = f"{printed} pages, {len(pdf) / 1024:.0f} KB"
    rows = []
    warm: dict[str, float] = {}
    for name in BRIEFS:
        for lang in LANGS:
            rows.append((f"{name}, {lang}: build", *_figures(build_times[name, lang]), ""))
            for form in FORMS:
                key = (name, form, lang)
                rows.append((f"{name}, {lang}: typeset {form}", *_figures(print_times[key]), size[key]))
            warm[f"{name}, {lang}"] = summed([build_times[name, lang], print_times[name, "a4", lang]]).median
    cold = {name: _cold(site, pages, scratch / name.replace(" ", "-")) for name, pages in BRIEFS.items()}
    for name, times in cold.items():
        rows.append((f"{name}: 'nerve report', {PROCESSES} new processes", *_figures(times), ""))
    table(
        f"PDF briefs, {version.id}: seconds, median of {repetitions}, a period of its own each time",
        ("", "fastest", "median", "p95", "size"),
        rows,
        (
            *(verdict(f"Overview warm, {lang}", warm[f"Overview, {lang}"], WARM, " s") for lang in LANGS),
            verdict("Overview cold", cold["Overview"].median, COLD, " s"),
        ),
    )


def _cold(site: Site, pages: Sequence[str], scratch: Path) -> Times:
    """A brief by the command line, each time in a new process."""
    times = Times()
    own = _beside(site, scratch)
    for number in range(PROCESSES):
        out = scratch / f"brief{number}.pdf"
        start = perf_counter()
        done = subprocess.run(
            nerve("report", *pages, "--site", str(own), "--out", str(out)), capture_output=True, text=True
        )
        times.seconds.append(perf_counter() - start)
        if done.returncode:
            raise Mistake("nerve report", done.stderr.strip() or "failed", "run it by hand")
    return times


def _figures(times: Times) -> tuple[str, str, str]:
    return f"{times.fastest:.2f}", f"{times.median:.2f}", f"{times.p95:.2f}"


def _beside(site: Site, scratch: Path) -> Path:
    """A folder of the same site with reports of its own: a printed report is registered where its site is."""
    own = scratch / "site"
    own.mkdir(parents=True)
    for name in ("site.toml", "sources", "warehouse"):
        if (site.folder / name).exists():
            (own / name).symlink_to(site.folder / name)
    return own
