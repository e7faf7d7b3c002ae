"""Signs that figures may not say what they seem to: questions to a township, with the figures behind them.

A sign is a rule with a threshold of the site (`[signs]` in site.toml) and is raised only where the figures are beyond it by more
than chance. It asks; it accuses nobody, and goes no finer than the township.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from warehouse.catalogue import LEVELS, catalogue
from warehouse.disclosure import small
from warehouse.scope import Scope, tree_of
from warehouse.site import Signs, Site
from warehouse.statistics import real_change_of_count, wilson
from warehouse.text import Text
from warehouse.version import Version


@dataclass(frozen=True)
class Raised:
    """One question: to which place, and the figures behind it."""

    sign: str
    place: str
    figures: Text


@dataclass(frozen=True)
class Sign:
    """What is asked, by which rule (its thresholds in braces), and the fields it needs, "cases.closed_at"."""

    name: str
    question: Text
    rule: Text
    needs: tuple[str, ...]
    find: Callable[[_Ask], Iterable[Raised]]

    def ruled(self, site: Site) -> Text:
        """The rule with this site's thresholds."""
        shown = {
            name: f"{value * 100:g} %" if name.endswith("share") else f"{value:g}"
            for name, value in site.signs.model_dump().items()
        }
        return Text(zh=self.rule.zh.format(**shown), en=self.rule.en.format(**shown))

    def asked(self, version: Version) -> bool:
        """Whether the site has what the sign needs."""
        named = (need.split(".") for need in self.needs)
        return all(d in version.datasets and field in version.datasets[d].mapped for d, field in named)


@dataclass(frozen=True)
class _Ask:
    version: Version
    site: Site
    townships: frozenset[str]
    scope: Scope

    @property
    def signs(self) -> Signs:
        return self.site.signs

    @property
    def start(self) -> datetime:
        return self.version.cutoff - timedelta(days=self.signs.days)

    def rows(self, name: str, records: str = "", **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a sign's SQL for the townships of the scope; `records` defines what it reads as such."""
        found = self.version.rows(
            f"{records}{_sql(name)}", {"start": self.start, "cutoff": self.version.cutoff} | values
        )
        return sorted(row for row in found if row[0] in self.townships)


def raised(version: Version, site: Site, scope: Scope) -> tuple[Raised, ...]:
    """The questions the figures of a scope raise, once per version; none below the township."""
    known = _found.setdefault(version, {})
    key = (scope.code, site.signs, tuple(sorted(site.targets.items(), key=str)))
    if key not in known:
        tree = tree_of(version)
        ask = _Ask(version, site, frozenset(p.code for p in tree.at_level(scope, "township")), scope)
        known[key] = tuple(
            one
            for sign in SIGNS
            if sign.asked(version) and LEVELS.index(scope.level) <= LEVELS.index("township")
            for one in sign.find(ask)
        )
    return known[key]


_found: weakref.WeakKeyDictionary[Version, dict[tuple[Any, ...], tuple[Raised, ...]]] = (
    weakref.WeakKeyDictionary()
)


def _bunched(ask: _Ask) -> Iterable[Raised]:
    hours = ask.signs.bunched_hours
    for place, n, d in ask.rows("bunched", hours=hours):
        if d >= ask.signs.least and wilson(n, d)[0] > ask.signs.bunched_share:
            yield Raised(
                "bunched",
                place,
                Text(
                    zh=f"按期结案 {d:,} 件，其中 {n:,} 件（{n / d:.0%}）在时限前 {hours:g} 小时内结案",
                    en=f"{n:,} of {d:,} cases closed in time ({n / d:.0%}) were closed in the last {hours:g} hours",
                ),
            )


def _repeated(ask: _Ask) -> Iterable[Raised]:
    days = ask.signs.repeated_days
    for place, n, d in ask.rows("repeated", days=days):
        if d >= ask.signs.least and wilson(n, d)[0] > ask.signs.repeated_share:
            yield Raised(
                "repeated",
                place,
                Text(
                    zh=f"结案 {d:,} 件，其中 {n:,} 件（{n / d:.0%}）返工，或 {days} 天内同一事项再次上报",
                    en=f"{n:,} of {d:,} closed cases ({n / d:.0%}) were reworked, or reported again within {days} days",
                ),
            )


def _rated(ask: _Ask) -> Iterable[Raised]:
    for place, n, d in ask.rows("rated"):
        if d >= ask.signs.least and wilson(n, d)[1] < ask.signs.rated_share:
            # Who has not rated is not told either: the same rule as for the measure.
            few = small(n, ask.version.params.suppress_below)
            given = f"<{ask.version.params.suppress_below}" if few else f"{n:,}"
            yield Raised(
                "rated",
                place,
                Text(
                    zh=f"应评价 {d:,} 件，实际评价 {given} 件",
                    en=f"{given} of {d:,} ratings asked for were given",
                ),
            )


def _silent(ask: _Ask) -> Iterable[Raised]:
    today = ask.version.cutoff.date()
    for dataset in ask.version.datasets.values():
        if dataset.born is None or dataset.place is None:
            continue
        rows = [
            (place, last, int(pause))
            for place, n, last, pause in ask.rows(
                "silent",
                _records(dataset.name, dataset.place, dataset.born),
                start=ask.version.cutoff - timedelta(days=2 * ask.signs.days),
            )
            if n >= ask.signs.least
        ]
        quiet = [
            (place, last, pause)
            for place, last, pause in rows
            if (today - last).days > max(ask.signs.silent_days, ask.signs.silent_times * pause)
        ]
        if len(quiet) == len(rows) > 1:
            quiet = [(ask.scope.code, max(row[1] for row in quiet), max(row[2] for row in quiet))]
        for place, last, pause in quiet:
            silence = (today - last).days
            yield Raised(
                "silent",
                place,
                Text(
                    zh=f"{dataset.label.zh}：最近一条为 {last}，已 {silence} 天没有；此前最长间隔 {pause} 天",
                    en=f"{dataset.label.en}: the last is of {last}, {silence} days ago; the longest pause before was {pause} days",
                ),
            )


def _dropped(ask: _Ask) -> Iterable[Raised]:
    today = ask.version.cutoff.date()
    known = catalogue()
    for name, target in ask.site.targets.items():
        if target.since is None or name not in known.measures:
            continue
        measure = known.get(name)
        dataset = ask.version.datasets.get(known.reads(measure.table)[0])
        after = min((today - target.since).days + 1, ask.signs.dropped_days)
        if dataset is None or dataset.born is None or dataset.place is None or after < ask.signs.silent_days:
            continue
        rows = ask.rows(
            "dropped",
            _records(dataset.name, dataset.place, dataset.born),
            start=_midnight(target.since - timedelta(days=ask.signs.dropped_days)),
            since=_midnight(target.since),
            until=_midnight(target.since + timedelta(days=after)),
        )
        for place, n, d in rows:
            if d < ask.signs.least:
                continue
            change = real_change_of_count(n, d, after, ask.signs.dropped_days)
            if change.direction == "down" and (change.size or 0) < -100 * ask.signs.dropped_share:
                few = dataset.protected and small(n, ask.version.params.suppress_below)
                now = f"<{ask.version.params.suppress_below}" if few else f"{n:,}"
                yield Raised(
                    "dropped",
                    place,
                    Text(
                        zh=f"{measure.label.zh}自 {target.since} 设目标：此前 {ask.signs.dropped_days} 天{dataset.label.zh} {d:,} 件，此后 {after} 天 {now} 件",
                        en=f"target for “{measure.label.en}” since {target.since}: {dataset.label.en} {d:,} in the {ask.signs.dropped_days} days before, {now} in the {after} days after",
                    ),
                )


SIGNS = (
    Sign(
        "bunched",
        Text(zh="是否在时限将到时集中点击结案？", en="Are cases closed in bulk just before they fall due?"),
        Text(
            zh="近{days}天按期结案的事件中，在时限前{bunched_hours}小时内结案的占比超过{bunched_share}。",
            en="Of the cases closed in time in the last {days} days, more than {bunched_share} were closed in the last {bunched_hours} hours before they fell due.",
        ),
        ("cases.closed_at", "cases.due_at"),
        _bunched,
    ),
    Sign(
        "repeated",
        Text(zh="是否问题未解决就已结案？", en="Are cases closed before the matter is settled?"),
        Text(
            zh="近{days}天结案的事件中，返工或{repeated_days}天内同一地点同一事项再次上报的占比超过{repeated_share}。",
            en="Of the cases closed in the last {days} days, more than {repeated_share} were reworked, or the same matter was reported in the same place within {repeated_days} days.",
        ),
        ("cases.closed_at", "cases.matter_key"),
        _repeated,
    ),
    Sign(
        "rated",
        Text(
            zh="满意率是否只代表少数人的评价？",
            en="Does the satisfaction rate speak for a few only?",
        ),
        Text(
            zh="近{days}天办结的初次信访事项中，参评率低于{rated_share}。",
            en="Of the ratings asked for on first petitions closed in the last {days} days, fewer than {rated_share} were given.",
        ),
        ("surveys.rating", "surveys.closed_at"),
        _rated,
    ),
    Sign(
        "silent",
        Text(zh="是否漏报或停止报送？", en="Has reporting stopped?"),
        Text(
            zh="没有新记录的天数超过{silent_days}天，且超过此前最长间隔的{silent_times}倍。",
            en="No new record for more than {silent_days} days, and for more than {silent_times} times the longest pause before.",
        ),
        (),
        _silent,
    ),
    Sign(
        "dropped",
        Text(
            zh="设定目标后上报骤减，是否有该报未报？",
            en="Reports fell when a target was set: is something no longer reported?",
        ),
        Text(
            zh="设定目标（site.toml 中注明 since 的）后{dropped_days}天内，有关记录的日均数比此前{dropped_days}天下降超过{dropped_share}。",
            en="In the {dropped_days} days after a target was set (dated “since” in site.toml), the records a day it rests on fell by more than {dropped_share} against the {dropped_days} days before.",
        ),
        (),
        _dropped,
    ),
)


def by_name() -> Mapping[str, Sign]:
    return {sign.name: sign for sign in SIGNS}


@cache
def _sql(name: str) -> str:
    return (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")


def _records(dataset: str, place: str, at: str) -> str:
    # Names of our own manifest.
    return f"with records as (select {place} as place, cast({at} as timestamp) as at from {dataset})\n"  # noqa: S608


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
