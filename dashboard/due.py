"""Briefs that make themselves: what the schedules of `reports.toml` ask for and the register does not have yet.

The register is the only memory: whoever asks, and however often, each month has one brief of a template, place, form
and language. Months missed while nothing ran are made up for, from the last one that was made on; the first time only
the latest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.export import Order, issue
from dashboard.printing.register import Entry, entries
from dashboard.templates import Schedule, Template, templates
from dashboard.view import periods, view_of
from warehouse.lock import lock
from warehouse.scope import scope_of, tree_of
from warehouse.site import Site
from warehouse.version import Version, current
from warehouse.viewer import Viewer

MONTHS = 12
"""No more months are made up for."""


@dataclass(frozen=True)
class Due:
    """One brief that is due: of which template, for which place, in which form and language, asked for when."""

    name: str
    template: Template
    scope: str
    form: str
    lang: str
    moment: datetime

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        return (self.name, self.scope, self.form, self.lang, self.moment.isoformat())


def make(site: Site, say: Callable[[str], None]) -> tuple[str, ...]:
    """Make what is due, oldest first, telling of each; the faults of those that could not be made, one line each.

    Raises Mistake where nothing can be begun: a wrong `reports.toml`, no version, an unreadable register."""
    if not any(template.schedule for template in templates(site).briefs.values()):
        return ()
    with lock(site.reports / ".due.lock", "give this user the right to write") as (_, free):
        if not free:
            say("another process makes what is due")
            return ()
        version = current(site)
        faults: list[str] = []
        for one in due(site, version):
            try:
                entry = _make(site, version, one)
            except Exception as fault:
                faults.append(f"{one.name} {one.scope} {one.lang} {one.form} {one.moment:%Y-%m}: {fault}")
            else:
                say(f"{entry.file} · {entry.id} · {entry.version}")
        return tuple(faults)


def due(site: Site, version: Version) -> tuple[Due, ...]:
    """What is due at the site's clock and not registered, oldest first."""
    known = entries(site)
    done = {(e.page, e.scope, e.form, e.lang, e.due) for e in known if e.due}
    found: list[Due] = []
    for name, template in templates(site).briefs.items():
        schedule = template.schedule
        if schedule is None:
            continue
        places = tree_of(version).at_level(scope_of(version, site.home), schedule.level)
        for moment in _moments(schedule, site.now(), [e for e in known if e.page == name and e.due]):
            found += [
                Due(name, template, place.code, form, lang, moment)
                for place in places
                for lang in template.languages or site.languages
                for form in template.forms
            ]
    return tuple(sorted((one for one in found if one.key not in done), key=lambda one: one.moment))


def _moments(schedule: Schedule, now: datetime, made: list[Entry]) -> list[datetime]:
    """The moments that have come since the last brief made (its own among them, for one of them may have failed)."""
    last = max((datetime.fromisoformat(entry.due) for entry in made), default=None)
    moment = now.replace(day=schedule.day, hour=schedule.hour, minute=0, second=0, microsecond=0)
    out: list[datetime] = []
    while len(out) < MONTHS:
        if moment <= now:
            # A month counts as made whatever day the schedule named then.
            if last is not None and (moment.year, moment.month) < (last.year, last.month):
                break
            out.append(
                last
                if last is not None and (moment.year, moment.month) == (last.year, last.month)
                else moment
            )
            if last is None:
                break
        moment = (moment.replace(day=1) - timedelta(days=1)).replace(day=schedule.day)
    return out


def _make(site: Site, version: Version, one: Due) -> Entry:
    period = periods(one.moment)[one.template.period][1]
    view = view_of(
        site,
        version,
        Viewer(site.home),
        {
            "scope": one.scope,
            "from": period.start.isoformat(),
            "to": period.end.isoformat(),
            "lang": one.lang,
            "compare": one.template.compare,
        },
    )
    order = Order(one.name, one.template.pages, one.template.title, one.form, due=one.moment.isoformat())
    name = f"{one.name}-{one.scope}-{period.end}-{one.lang}-{one.form}-{version.id}.pdf"
    _, entry = issue(view, order, site.reports / one.name / f"{one.moment:%Y-%m}" / name)
    return entry
