# ruff: noqa: S608 - names and expressions of the catalogue are formatted in; every value is bound
"""The only place that composes a measure's SELECT at read time.

A question is cut into windows (its periods, or their months or days) and groups (places of a level, or the
classes of a dimension). At the version's own cut-off a window is answered from the marts, whose cells hold
what is mature then: whole months, and for townships and above single days. The rest comes from the records:
odd days below the township, breakdowns, quantiles, what moves with the clock, and any earlier cut-off, for
which the records are taken as they were known then. Everything goes out as one statement.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from warehouse.catalogue import LEVELS, Catalogue, Level, Measure, catalogue, settled, with_lets, words
from warehouse.dataset import Dataset
from warehouse.disclosure import hides
from warehouse.marts import MartTable, counted, mart_tables, named
from warehouse.mistake import Mistake, nearest
from warehouse.period import Period
from warehouse.protection import Protection
from warehouse.result import Cell, NoData, NotApplicable, Result, Suppressed, Value
from warehouse.scope import ANCESTORS, Scope, Tree, clip, tree_of
from warehouse.viewer import Viewer

if TYPE_CHECKING:
    from warehouse.version import Version

DAY = timedelta(days=1)
EVER = datetime(9999, 12, 31)  # noqa: DTZ001 - the site's local time, like every other
"""Later than any record."""
HOUR = "hour"
"""The breakdown by the hour of attribution, "00" to "23"."""
BETWEEN, UNSAID = chr(31), chr(30)
"""Between a place and a class in one key, and a class not stated there."""
STATE = "status"
"""The field that says how a record stands now; it is unknown as of a time before the record's last update."""


def query(
    version: Version,
    viewer: Viewer,
    measures: Sequence[str],
    scope: str,
    periods: Sequence[Period],
    by: str | None = None,
    cutoff: datetime | None = None,
    then_by: str | None = None,
    only: tuple[str, str] | None = None,
) -> list[Cell]:
    """One Cell per measure × window × group, in the order asked, places and classes in order of their code.

    `by`: None; 'month' or 'day' (a cell per month or day touched, cut to the period); a level of place, or
    'child' for the one below the scope (a cell per place valid in any period); or a dimension of the
    measures (a cell per class present, `key` its code, None where not stated). `then_by`: 'month' or 'day',
    with a place or a dimension. `by` = 'hour': the hour of the day, `key` "00" to "23". `cutoff`: as known then; never later than the version's own.
    `only`: (dimension, code), the records of one class alone; not of people's matters, whose small classes could be worked out so.

    The scope is clipped to the viewer's. Small protected counts are Suppressed. Raises Mistake, with the
    nearest right one, for an unknown measure, scope or breakdown, and for a scope outside the viewer's.
    """
    place = clip(version, viewer, scope)
    return _answer(
        version, place, measures, periods, by, cutoff, then_by, version.params.suppress_below, only
    )


def cells(
    version: Version,
    scope: str,
    measures: Sequence[str],
    periods: Sequence[Period],
    by: str | None = None,
    cutoff: datetime | None = None,
    then_by: str | None = None,
) -> list[Cell]:
    """What `query` answers before anything is hidden: additive, for tests and checks. Never for a page."""
    place = tree_of(version).scope(scope)
    return _answer(version, place, measures, periods, by, cutoff, then_by, 0)


@dataclass(frozen=True)
class _Ask:
    """A question, checked: `level` or `dimension` says how windows are split into groups, if at all.

    `members`: by the members of a group, whatever their levels; `level` is then the finest.
    """

    version: Version
    catalogue: Catalogue
    scope: Scope
    windows: tuple[Period, ...]
    level: Level | None
    dimension: str | None
    cutoff: datetime
    members: bool = False
    only: tuple[str, str] | None = None

    @property
    def own(self) -> bool:
        """Asked at the version's own cut-off, so that its marts hold."""
        return self.cutoff == self.version.cutoff

    @property
    def levels(self) -> tuple[Level, ...]:
        return (self.scope.level, self.level) if self.level else (self.scope.level,)


@dataclass(frozen=True)
class _Column:
    """One number of a block's rows: its measure's position in the question, its side, its SQL."""

    measure: int
    side: str
    sql: str


Found = dict[tuple[int, int, str | None], dict[str, float]]


class _Statement:
    """The blocks of one question and the values bound in them."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.columns: list[tuple[tuple[int, str, int], ...]] = []
        self.folds: list[dict[str, Sequence[int]] | None] = []
        self.values: dict[str, Any] = {}
        self._names: dict[Any, str] = {}

    def bind(self, value: Any) -> str:
        """The placeholder of a value."""
        hashable = not isinstance(value, list)
        if hashable and (type(value), value) in self._names:
            return self._names[type(value), value]
        name = f"v{len(self.values)}"
        self.values[name] = value
        if hashable:
            self._names[type(value), value] = f"${name}"
        return f"${name}"

    def add(
        self,
        columns: Sequence[_Column],
        source: str,
        window: str,
        group: str,
        by: str,
        fold: Mapping[date, Sequence[int]] | None = None,
    ) -> None:
        """A block: `source` is everything from FROM to WHERE; `window` and `group` are SQL, `by` the GROUP BY.

        `window` gives a window's position, or with `fold` a day that `fold` maps to windows.
        """
        # Two measures may count the same: it is computed once.
        unique = list(dict.fromkeys(c.sql for c in columns))
        position = {sql: k for k, sql in enumerate(unique)}
        numbers = ", ".join(f"cast({sql} as double)" for sql in unique)
        self.blocks.append(
            f"select {len(self.blocks)} as block, cast({window} as varchar) as w, {group} as g, [{numbers}] as numbers {source} {by}"
        )
        # The type of `w` differs: as text, blocks of positions and of days can stand in one statement.
        self.columns.append(tuple((c.measure, c.side, position[c.sql]) for c in columns))
        self.folds.append({str(day): windows for day, windows in fold.items()} if fold is not None else None)

    def run(self, version: Version) -> Found:
        found: Found = {}
        if not self.blocks:
            return found
        for block, window, group, numbers in version.rows(" union all ".join(self.blocks), self.values):
            fold = self.folds[block]
            for w in (int(window),) if fold is None else fold.get(window, ()):
                for measure, side, k in self.columns[block]:
                    number = numbers[k]
                    if number is not None:
                        sides = found.setdefault((measure, w, group), {})
                        sides[side] = sides.get(side, 0) + number
        return found


def _answer(
    version: Version,
    scope: Scope,
    names: Sequence[str],
    periods: Sequence[Period],
    by: str | None,
    cutoff: datetime | None,
    then_by: str | None,
    below: int,
    only: tuple[str, str] | None = None,
) -> list[Cell]:
    known = catalogue()
    measures = [known.get(name) for name in names]
    split, level, dimension = _breakdown(version, scope, measures, by, then_by)
    windows = _windows(periods, split)
    moment = min(cutoff or version.cutoff, version.cutoff)
    members = by == "child" and scope.group
    ask = _Ask(version, known, scope, windows, level, dimension, moment, members, only)
    refusals = [_refusal(ask, measure) for measure in measures]
    found = _found(ask, [(i, m) for i, m in enumerate(measures) if refusals[i] is None])
    groups = _groups(ask, found)
    guard = _Guard(ask, [m for i, m in enumerate(measures) if refusals[i] is None]) if below > 1 else None
    if guard is not None:
        groups = guard.with_classes(groups)
        guard.prepare(groups)
    out: list[Cell] = []
    for i, measure in enumerate(measures):
        refused = refusals[i]
        for w, window in enumerate(windows):
            for group in groups if refused is None else groups if level else (None,):
                at = group if level and group is not None else scope.code
                result: Result
                if refused is not None:
                    result = refused
                else:
                    result = _result(ask, measure, at, window, found.get((i, w, group)))
                    if guard is not None and measure.protected:
                        result = guard.shown(result, measure, at, window, group if dimension else None)
                out.append(Cell(names[i], at, window, group if dimension else None, result))
    return out


class _Guard:
    """What of a question's cells may be told: each as the version's own tables say, whatever else is asked."""

    def __init__(self, ask: _Ask, measures: Sequence[Measure]) -> None:
        self._ask = ask
        self._measures = [m for m in measures if m.protected]
        self._below = ask.version.params.suppress_below
        self._tables = protection_of(ask.version)
        self._tree = tree_of(ask.version)

    def with_classes(self, groups: tuple[str | None, ...]) -> tuple[str | None, ...]:
        """The classes present anywhere: one that is listed where it is hidden would be known not to be zero."""
        ask = self._ask
        if ask.dimension is None or ask.dimension == HOUR or not ask.own:
            return groups
        found = set(groups)
        for measure in self._measures:
            for window in ask.windows:
                for season, _ in self._tables.pieces(measure, window, False) or ():
                    found.update(self._tables.keys(measure, ask.dimension, ask.scope.tops[0], season))
        return tuple(sorted(found, key=lambda g: (g is None, g or "")))

    def prepare(self, groups: Sequence[str | None]) -> None:
        """Read at once what the cells need."""
        ask = self._ask
        if not ask.own:
            return
        places = [g for g in groups if g] if ask.level else list(ask.scope.tops)
        self._tables.prepare(
            (measure, season, place)
            for measure in self._measures
            for window in ask.windows
            for place in places
            if ask.dimension or not self._tables.alone(measure, place)
            for season, _ in self._tables.pieces(measure, window, self._tables.fine(place)) or ()
        )

    def shown(self, result: Result, measure: Measure, place: str, window: Period, key: str | None) -> Result:
        """A protected result as it may be told."""
        if isinstance(result, NotApplicable):
            return result
        ask = self._ask
        if not ask.own:
            return NotApplicable("figures about people are told as of the version's own cut-off")
        if ask.dimension == HOUR:
            return NotApplicable("figures about people are not told by the hour")
        tops = ask.scope.tops if place == ask.scope.code else (place,)
        fine = any(self._tables.fine(top) for top in tops)
        pieces = self._tables.pieces(measure, window, fine)
        if pieces is None:
            return NotApplicable("figures about people come by whole months only", otherwise=True)
        states = []
        for top in tops:
            for season, column in pieces:
                state: str | None
                if ask.dimension:
                    state = self._tables.class_state(measure, ask.dimension, top, season, column, key)
                elif self._tables.alone(measure, top) and len(tops) == 1:
                    state = "named" if hides(result, self._below) else ""
                else:
                    state = self._tables.state(measure, top, season, column)
                if state is None:
                    return NotApplicable(
                        "classes of figures about people come by month for the whole area, by year one level below",
                        otherwise=True,
                    )
                states.append(state)
        if not any(states):
            return result
        return Suppressed(self._below, second=states != ["named"])


_protections: weakref.WeakKeyDictionary[Version, Protection] = weakref.WeakKeyDictionary()


def protection_of(version: Version) -> Protection:
    """What a version does not tell of people's matters, by whom and however it is asked."""
    known = _protections.get(version)
    if known is None:
        known = _protections[version] = Protection(
            tree_of(version),
            version.cutoff.date(),
            version.params.suppress_below,
            partial(_begins, weakref.ref(version)),
            partial(_counts, weakref.ref(version)),
        )
    return known


def _begins(of: weakref.ref[Version], measure: Measure) -> date | None:
    """The first day of the month in which a measure has anything to count."""
    version = cast("Version", of())
    first = _first_day(version, catalogue().reads(measure.table)[0])
    if measure.cls in ("additive", "keyed"):
        known = _earliest.setdefault(version, {})
        if measure.table not in known:
            known[measure.table] = version.rows(f"select min(month) from {measure.table}_month")[0][0]
        dates = [day for day in (first, known[measure.table]) if day is not None]
        first = min(dates, default=None)
    return first


def _counts(
    of: weakref.ref[Version],
    measures: Sequence[Measure],
    scope: str,
    level: str | None,
    windows: Sequence[Period],
    dimension: str | None,
) -> dict[tuple[int, int, str | None, str | None], tuple[float, float | None]]:
    """What is counted, before anything is hidden; of a quantile, the records it rests on."""
    version = cast("Version", of())
    place = tree_of(version).scope(scope)
    ask = _Ask(
        version, catalogue(), place, tuple(windows), cast("Level | None", level), dimension, version.cutoff
    )
    plain = [
        replace(m, kind="count", numerator=m.denominator, denominator="") if m.kind == "quantile" else m
        for m in measures
    ]
    out: dict[tuple[int, int, str | None, str | None], tuple[float, float | None]] = {}
    for (i, w, group), sides in _found(ask, list(enumerate(plain))).items():
        at, key = group, None
        if level and dimension:
            at, _, text = cast(str, group).partition(BETWEEN)
            key = None if text == UNSAID else text
        elif dimension:
            at, key = scope, group
        out[i, w, at or scope, key] = (sides["n"], sides.get("d"))
    return out


_earliest: weakref.WeakKeyDictionary[Version, dict[str, date | None]] = weakref.WeakKeyDictionary()


def _breakdown(
    version: Version, scope: Scope, measures: Sequence[Measure], by: str | None, then_by: str | None
) -> tuple[str | None, Level | None, str | None]:
    """(None, 'month' or 'day'; level; dimension) of a question."""
    if then_by not in (None, "month", "day"):
        raise Mistake("then_by", f"unknown '{then_by}'", "use month or day")
    if by in ("month", "day"):
        if then_by is not None:
            raise Mistake("then_by", f"'{then_by}' after '{by}'", "leave one of the two out")
        return by, None, None
    if by is None:
        return then_by, None, None
    if by == "child":
        if scope.child_level is None:
            raise Mistake("by", f"'{scope.code}' has no places below it", "leave 'by' out")
        return then_by, scope.child_level, None
    if by in LEVELS:
        if by not in ANCESTORS or (not scope.group and LEVELS.index(by) < LEVELS.index(scope.level)):
            raise Mistake("by", f"'{by}' lies above '{scope.code}'", f"use a level below {scope.level}")
        return then_by, by, None
    for measure in measures:
        if by == HOUR and measure.cls in ("additive", "keyed"):
            continue
        if by not in measure.dimensions:
            others = ("month", "day", "child", *ANCESTORS, *measure.dimensions)
            raise Mistake("by", f"measure '{measure.name}' has no breakdown '{by}'", nearest(by, others))
    return then_by, None, by


def _windows(periods: Sequence[Period], split: str | None) -> tuple[Period, ...]:
    """The windows of a question."""
    out: list[Period] = []
    for period in periods:
        if split == "month":
            out.extend(period.months())
        elif split == "day":
            out.extend(Period(d, d) for d in (period.start + DAY * k for k in range(period.days)))
        else:
            out.append(period)
    return tuple(out)


def _refusal(ask: _Ask, measure: Measure) -> NotApplicable | None:
    """Why a measure cannot be asked here, if it cannot."""
    datasets = ask.version.datasets
    reads = ask.catalogue.reads(measure.table)
    needs = [(*need.split("."),) if "." in need else (reads[0], need) for need in measure.needs]
    if ask.dimension and ask.dimension != HOUR:
        needs.append((reads[0], ask.dimension))
    if ask.only:
        if measure.protected:
            return NotApplicable("figures about people are told by class only side by side")
        if ask.only[0] not in measure.dimensions:
            return NotApplicable(f"not counted by {ask.only[0]}")
        needs.append((reads[0], ask.only[0]))
    for name in reads:
        if name not in datasets:
            return NotApplicable(f"no source of {name}")
    for name, field in needs:
        if name not in datasets or field not in datasets[name].mapped:
            return NotApplicable(f"the source of {name} has no {field}")
    finest = LEVELS.index(measure.finest)
    for level in ask.levels:
        if LEVELS.index(level) > finest:
            return NotApplicable(f"counted by {measure.finest} at the finest")
    return None


def _groups(ask: _Ask, found: Found) -> tuple[str | None, ...]:
    if ask.level is None and ask.dimension is None:
        return (None,)
    present = {group for _, _, group in found}
    if ask.dimension is not None:
        return tuple(sorted(present, key=lambda g: (g is None, g or ""))) or (None,)
    tree = tree_of(ask.version)
    inside = (
        tree.children(ask.scope.code) if ask.members else tree.at_level(ask.scope, cast(Level, ask.level))
    )
    return tuple(p.code for p in inside if p.code in present or any(p.valid_in(w) for w in ask.windows))


def _result(
    ask: _Ask, measure: Measure, place: str, window: Period, sides: Mapping[str, float] | None
) -> Result:
    if measure.kind == "count" or measure.exposure or measure.cls == "as_of":
        first = _first_day(ask.version, ask.catalogue.reads(measure.table)[0])
        if window.start > ask.cutoff.date() or first is None or window.end < first:
            return NoData()
    if measure.kind == "count":
        n = _number(sides["n"] if sides else 0)
        return Value(n, n)
    if measure.exposure:
        n, exposed = _number(sides["n"] if sides else 0), _exposed(ask, measure.exposure, place, window)
        return Value(n / exposed * measure.scale, n, exposed) if exposed else NoData()
    if not sides:
        return NoData()
    n = _number(sides["n"])
    if measure.kind == "quantile":
        return Value(sides["value"], n) if n else NoData()
    d = _number(sides["d"])
    return Value(n / d * measure.scale, n, d) if d else NoData()


def _number(value: float) -> float:
    """Whole numbers as int, so that they print as such."""
    return int(value) if value == int(value) else round(value, 4)


_exposure: weakref.WeakKeyDictionary[Version, dict[str, dict[str, int]]] = weakref.WeakKeyDictionary()


def _exposed(ask: _Ask, what: str, place: str, window: Period) -> int:
    """The sum of a number of `places` over the grids of a place in use on a window's last day."""
    known = _exposure.setdefault(ask.version, {})
    if what not in known:
        known[what] = dict(
            ask.version.rows(f"select code, {what} from places where level = 'grid' and {what} > 0")
        )
    tree, last = tree_of(ask.version), min(window.end, ask.cutoff.date())
    day = Period(last, last)
    return sum(
        number
        for code, number in known[what].items()
        if code in tree.below(place) and tree.places[code].valid_in(day)
    )


_first: weakref.WeakKeyDictionary[Version, dict[str, date | None]] = weakref.WeakKeyDictionary()


def _first_day(version: Version, dataset: str) -> date | None:
    """The first day of the month in which a dataset's records begin: before it there is no data, not zero. A register
    has no such day: its rows say themselves from when they hold."""
    known = _first.setdefault(version, {})
    if dataset not in known:
        born = version.datasets[dataset].born
        rows = version.rows(f"select min({born}) from {dataset}") if born else [(date.min,)]
        value = rows[0][0]
        known[dataset] = value.date().replace(day=1) if isinstance(value, datetime) else value
    return known[dataset]


_marts: weakref.WeakKeyDictionary[Version, dict[str, MartTable]] = weakref.WeakKeyDictionary()


def _mart(version: Version, table: str) -> MartTable:
    if version not in _marts:
        _marts[version] = {m.name: m for m in mart_tables(catalogue(), version.datasets, version.params)}
    return _marts[version][table]


def _found(ask: _Ask, measures: Sequence[tuple[int, Measure]]) -> Found:
    statement = _Statement()
    by_table: dict[str, list[tuple[int, Measure]]] = {}
    by_attribution: dict[tuple[str, str, str], list[tuple[int, Measure]]] = {}
    by_ended: dict[tuple[str, str], list[tuple[int, Measure]]] = {}
    for i, measure in measures:
        if measure.cls == "as_of":
            by_ended.setdefault((measure.table, measure.ended), []).append((i, measure))
        elif measure.cls == "record" or ask.dimension is not None or ask.only is not None or not ask.own:
            by_attribution.setdefault((measure.table, measure.at, measure.matures), []).append((i, measure))
        else:
            by_table.setdefault(measure.table, []).append((i, measure))
    for table, some in by_table.items():
        rest = _from_marts(statement, ask, table, some)
        if rest:
            attributed: dict[tuple[str, str], list[tuple[int, Measure]]] = {}
            for i, measure in some:
                attributed.setdefault((measure.at, measure.matures), []).append((i, measure))
            for same in attributed.values():
                _from_records(statement, ask, same, rest)
    everything = [(w, p.start, p.end) for w, p in enumerate(ask.windows) if p.start <= ask.cutoff.date()]
    for same in by_attribution.values():
        _from_records(statement, ask, same, everything)
    for same in by_ended.values():
        if same[0][1].table in ask.catalogue.view:
            _as_of_view(statement, ask, same)
        else:
            _as_of(statement, ask, same)
    return statement.run(ask.version)


Range = tuple[int, date, date]
"""A window's position and the first and last day of a stretch of it (for months: their first days)."""


def _pieces(window: Period, last: date) -> tuple[tuple[date, date] | None, tuple[tuple[date, date], ...]]:
    """The whole months of a window (first days of the first and last), and the other days, up to day `last`.

    The running month is whole when the window reaches `last`: nothing later has matured.
    """
    if window.start > last:
        return None, ()
    reaches = window.end >= last
    end = min(window.end, last)
    first = window.start if window.start.day == 1 else (window.start.replace(day=28) + DAY * 4).replace(day=1)
    after = (end.replace(day=28) + DAY * 4).replace(day=1)
    final = end.replace(day=1)
    if not reaches and end + DAY != after:
        after, final = final, (final - DAY).replace(day=1)
    if first > final:
        return None, ((window.start, end),)
    rest = []
    if window.start < first:
        rest.append((window.start, first - DAY))
    if after <= end:
        rest.append((after, end))
    return (first, final), tuple(rest)


def _from_marts(
    statement: _Statement, ask: _Ask, table: str, measures: Sequence[tuple[int, Measure]]
) -> list[Range]:
    """Add the blocks that marts answer; the days left for the records."""
    months: list[Range] = []
    days: list[Range] = []
    for w, window in enumerate(ask.windows):
        whole, rest = _pieces(window, ask.cutoff.date())
        if whole:
            months.append((w, *whole))
        days.extend((w, *piece) for piece in rest)
    mart = _mart(ask.version, table)
    columns = [
        _Column(i, side, mart.column(measure, side))
        for i, measure in measures
        for side, _ in counted(measure)
    ]
    coarse = LEVELS.index("township")
    tree = tree_of(ask.version)
    tops = [LEVELS.index(tree.places[top].level) for top in ask.scope.tops]
    fine = max(tops) > coarse or (ask.level is not None and LEVELS.index(ask.level) > coarse)
    if days and not fine and ask.level is None:
        last = ask.cutoff.date()
        windows = [(w, p.start, min(p.end, last)) for w, p in enumerate(ask.windows) if p.start <= last]
        _day_block(statement, ask, f"{table}_day", columns, windows)
        return []
    if months:
        _mart_block(statement, ask, f"{table}_month", "month", columns, months)
    if fine:
        return days
    if days:
        _mart_block(statement, ask, f"{table}_day", "day", columns, days)
    return []


def _day_block(
    statement: _Statement, ask: _Ask, mart: str, columns: Sequence[_Column], ranges: Sequence[Range]
) -> None:
    """Any windows of one scope from the mart by day: summed by day first, then by window."""
    low, high = min(a for _, a, _ in ranges), max(b for _, _, b in ranges)
    names = ", ".join(f"sum(k.{name}) as {name}" for name in dict.fromkeys(c.sql for c in columns))
    days = (
        f"(select k.day, {names} from {mart} k {_places(statement, ask, 'k.place')} "
        f"where k.day between {statement.bind(low)} and {statement.bind(high)} group by k.day)"
    )
    sums = [_Column(c.measure, c.side, f"sum(d.{c.sql})") for c in columns]
    windows = _ranges(statement, ranges)
    statement.add(
        sums,
        f"from {days} d join {windows} q on d.day between q._a and q._b",
        "q._w",
        "null",
        "group by q._w",
    )


def _mart_block(
    statement: _Statement,
    ask: _Ask,
    mart: str,
    unit: str,
    columns: Sequence[_Column],
    ranges: Sequence[Range],
) -> None:
    single = all(a == b for _, a, b in ranges)
    coarse = ask.level is None or LEVELS.index(ask.level) <= LEVELS.index("township")
    if len(ranges) > 1 and not single and not coarse:
        for one in ranges:
            _mart_block(statement, ask, mart, unit, columns, [one])
        return
    low, high = min(a for _, a, _ in ranges), max(b for _, _, b in ranges)
    between = f"k.{unit} between {statement.bind(low)} and {statement.bind(high)}"
    join = _places(statement, ask, "k.place")
    group = "p._g" if ask.level else "null"
    sums = [_Column(c.measure, c.side, f"sum(k.{c.sql})") for c in columns]
    if len(ranges) == 1:
        by = "group by p._g" if ask.level else "having count(*) > 0"
        statement.add(sums, f"from {mart} k {join} where {between}", str(ranges[0][0]), group, by)
        return
    # A few rows per month or day: the windows, however many, are folded outside. Planning a join with
    # them would cost more than all the sums.
    by = f"group by k.{unit}" + (", p._g" if ask.level else "")
    statement.add(sums, f"from {mart} k {join} where {between}", f"k.{unit}", group, by, _fold(unit, ranges))


def _fold(unit: str, ranges: Sequence[Range]) -> dict[date, list[int]]:
    """Month or day → the windows it counts in."""
    out: dict[date, list[int]] = {}
    for w, day, last in ranges:
        while day <= last:
            out.setdefault(day, []).append(w)
            day = day + DAY if unit == "day" else (day + DAY * 31).replace(day=1)
    return out


def _places(statement: _Statement, ask: _Ask, place: str) -> str:
    """The join that keeps a scope's records and names their group `p._g`; nothing when all are kept."""
    if ask.scope.whole and ask.level is None:
        return ""
    tops = ask.scope.tops
    tree = tree_of(ask.version)
    group = _member(statement, tree, tops) if ask.members else ask.level
    chosen = f", {group} as _g" if ask.level else ""
    conditions = []
    if not ask.scope.whole:
        if len(tops) == 1 and tree.places[tops[0]].level in ANCESTORS:
            conditions.append(f"{tree.places[tops[0]].level} = {statement.bind(tops[0])}")
        else:
            codes = sorted(tree.below(ask.scope.code))
            conditions.append(f"code in (select unnest({statement.bind(codes)}))")
    if ask.level:
        conditions.append(f"{group} is not null")
    join = f"join (select code as _code{chosen} from places where {' and '.join(conditions)}) p on p._code = {place}"
    if not ask.scope.whole:
        # Marts and records lie sorted by place: bounds let whole stretches be skipped. They decide nothing.
        low, high = tree.bounds(ask.scope.code)
        join += f" and {place} between {statement.bind(low)} and {statement.bind(high)}"
    return join


def _member(statement: _Statement, tree: Tree, tops: Sequence[str]) -> str:
    """The member of a group that a place belongs to: its ancestor among them, or itself."""
    levels: dict[Level, list[str]] = {}
    for top in tops:
        levels.setdefault(tree.places[top].level, []).append(top)
    cases = [
        f"when {level} in (select unnest({statement.bind(codes)})) then {level}"
        for level, codes in sorted(levels.items(), key=lambda one: LEVELS.index(one[0]))
        if level in ANCESTORS
    ]
    return f"case {' '.join(cases)} end" if cases else "null"


def _ranges(statement: _Statement, ranges: Sequence[tuple[int, Any, Any]]) -> str:
    """The windows as a relation (_w, _a, _b)."""
    w, a, b = (statement.bind([r[k] for r in ranges]) for k in range(3))
    return f"(select unnest({w}) as _w, unnest({a}) as _a, unnest({b}) as _b)"


def _from_records(
    statement: _Statement, ask: _Ask, measures: Sequence[tuple[int, Measure]], ranges: Sequence[Range]
) -> None:
    """Add the block of measures that share table and attribution, from records mature at the cut-off."""
    if not ranges:
        return
    params = ask.version.params
    one = measures[0][1]
    columns: list[_Column] = []
    values: dict[str, str] = {}
    for i, measure in measures:
        if measure.kind == "quantile":
            # Once per record, below the join with the windows; two statistics of a measure share it.
            value = settled(f"case when {measure.denominator} then {measure.value} end", params)
            name = values.setdefault(value, f"_value{len(values)}")
            columns.append(_Column(i, "n", f"count({name})"))
            columns.append(_Column(i, "value", f"quantile_cont({name}, {measure.quantile})"))
        else:
            columns.extend(_Column(i, side, settled(f"sum({e})", params)) for side, e in counted(measure))
    at, matures = settled(one.at, params), settled(one.matures, params)
    cutoff = statement.bind(ask.cutoff)
    lets = _lets(ask, one.table, [at, matures, *values, *(c.sql for c in columns)])
    relation = _as_it_is(ask, one.table) if ask.own else _as_known(ask, one.table, cutoff)
    rows = named(
        relation, (*lets, ("_at", at), ("_matures", matures), *((name, e) for e, name in values.items()))
    )
    starts = [(w, _midnight(a), _midnight(b + DAY)) for w, a, b in ranges]
    low, high = min(r[1] for r in starts), max(r[2] for r in starts)
    conditions = [f"_at >= {statement.bind(low)}", f"_at < {statement.bind(high)}", f"_at <= {cutoff}"]
    if matures != at:
        conditions.append(f"_matures <= {cutoff}")
    window, join = str(starts[0][0]), ""
    if len(starts) > 1:
        window, join = "q._w", f"join {_ranges(statement, starts)} q on _at >= q._a and _at < q._b"
    _record_block(statement, ask, columns, rows, join, conditions, window)


def _as_of(statement: _Statement, ask: _Ask, measures: Sequence[tuple[int, Measure]]) -> None:
    """Add the blocks of measures that move with the clock: each window as of its end, or the cut-off."""
    params = ask.version.params
    one = measures[0][1]
    dataset = ask.version.datasets[one.table]
    moments = [
        (w, min(_midnight(p.end + DAY), ask.cutoff))
        for w, p in enumerate(ask.windows)
        if p.start <= ask.cutoff.date()
    ]
    ended = settled(one.ended, params)
    if all(moment == ask.version.cutoff for _, moment in moments):
        # What stands now needs no looking back: one pass over the records as they are.
        for w, _ in moments:
            now = statement.bind(ask.version.cutoff)
            columns = _sums(measures, params, now)
            lets = _lets(ask, one.table, [c.sql for c in columns], now)
            any_of = _any(measures, params, now)
            _record_block(statement, ask, columns, named(one.table, lets), "", [any_of], str(w))
        return
    columns = _sums(measures, params, "_b")
    lets = _lets(ask, one.table, [c.sql for c in columns], "_b")
    # `_a`: up to when records are known. At the version's own cut-off they are taken as they are.
    own = ask.version.cutoff
    windows = _ranges(statement, [(w, EVER if moment == own else moment, moment) for w, moment in moments])
    before = _lets(ask, one.table, [ended])
    first = statement.bind(min(moment for _, moment in moments))
    still = (
        f"(select r.*, q._w, q._a, q._b from {named(one.table, (*before, ('_ended', ended)))} r join {windows} q "
        f"on r.{dataset.born} <= q._a and coalesce(r._ended, timestamp '9999-12-31') > q._b "
        f"where coalesce(r._ended, timestamp '9999-12-31') > {first})"
        if dataset.born and ended
        else f"(select r.*, q._w, q._a, q._b from {one.table} r cross join {windows} q)"
    )
    needed = words(*(e for _, e in lets), *(c.sql for c in columns), *(ask.only or ())[:1])
    known = _known(dataset, still, "_a", needed, ("_w", "_b"), ask.dimension, always="_a > _b or ")
    _record_block(statement, ask, columns, named(known, lets), "", [_any(measures, params, "_b")], "_w")


def _as_of_view(statement: _Statement, ask: _Ask, measures: Sequence[tuple[int, Measure]]) -> None:
    """The same over a view, which is computed for each moment from the records as known then."""
    table = measures[0][1].table
    for w, period in enumerate(ask.windows):
        if period.start > ask.cutoff.date():
            continue
        moment = min(_midnight(period.end + DAY), ask.cutoff)
        now = statement.bind(moment)
        relation = (
            _as_it_is(ask, table) if moment == ask.version.cutoff else _as_known(ask, table, now)
        ).replace("$cutoff", now)
        columns = _sums(measures, ask.version.params, now)
        lets = _lets(ask, table, [c.sql for c in columns], now)
        _record_block(statement, ask, columns, named(relation, lets), "", [], str(w))


def _sums(measures: Sequence[tuple[int, Measure]], params: Any, moment: str) -> list[_Column]:
    return [
        _Column(i, side, f"sum({settled(e, params).replace('$cutoff', moment)})")
        for i, measure in measures
        for side, e in counted(measure)
    ]


def _any(measures: Sequence[tuple[int, Measure]], params: Any, moment: str) -> str:
    """The condition that a row counts in at least one of the measures."""
    sides = ((m.denominator or m.numerator, m.sums) for _, m in measures)
    conditions = (f"({e}) <> 0" if sums else f"({e})" for e, sums in sides)
    return f"({settled(' or '.join(conditions), params).replace('$cutoff', moment)})"


def _record_block(
    statement: _Statement,
    ask: _Ask,
    columns: Sequence[_Column],
    rows: str,
    join: str,
    conditions: Sequence[str],
    window: str,
) -> None:
    group = "p._g" if ask.level else "null"
    if ask.dimension == HOUR:
        group = "lpad(cast(extract('hour' from _at) as varchar), 2, '0')"
    elif ask.dimension:
        group = f"cast({ask.dimension} as varchar)"
        if ask.level:
            group = f"p._g || '{BETWEEN}' || coalesce({group}, '{UNSAID}')"
    keys = [key for key in (window, group) if key != "null" and not key.isdigit()]
    by = f"group by {', '.join(keys)}" if keys else "having count(*) > 0"
    if ask.only:
        # A dimension of the measure, so a name of the catalogue.
        conditions = [*conditions, f"cast({ask.only[0]} as varchar) = {statement.bind(ask.only[1])}"]
    where = f"where {' and '.join(conditions)}" if conditions else ""
    statement.add(
        columns, f"from {rows} r {_places(statement, ask, 'r.place')} {join} {where}", window, group, by
    )


def _lets(
    ask: _Ask, table: str, expressions: Sequence[str], moment: str = "$cutoff"
) -> tuple[tuple[str, str], ...]:
    used = with_lets(ask.catalogue.lets.get(table, {}), expressions)
    return tuple(
        (name, settled(e, ask.version.params).replace("$cutoff", moment)) for name, e in used.items()
    )


def _as_known(ask: _Ask, table: str, moment: str) -> str:
    """A table as it was known at a moment: of a dataset its records then, of a model its SQL over those."""
    model = ask.catalogue.model.get(table) or ask.catalogue.view.get(table)
    if model is None:
        dataset = ask.version.datasets[table]
        return _known(dataset, table, moment, {f.name for f in dataset.fields}, (), None, born=True)
    then = {
        name: _as_known(ask, name, moment)
        for name in model.reads
        if name not in ("places", "place_groups")  # where a place lies is not an event
    }
    return f"({replace(model, sql=settled(model.sql, ask.version.params)).over(then)})"


def _as_it_is(ask: _Ask, table: str) -> str:
    """A table at the version's own cut-off: a view is computed, all else lies there."""
    view = ask.catalogue.view.get(table)
    return f"({settled(view.sql, ask.version.params)})" if view else table


def _known(
    dataset: Dataset,
    relation: str,
    moment: str,
    needed: set[str],
    extra: Sequence[str],
    dimension: str | None,
    born: bool = False,
    always: str = "",
) -> str:
    """A dataset's rows as known at a moment: later events null, later records absent.

    How a record stands (`status`) is known only where it has not been updated since.
    """
    fields = []
    for field in dataset.fields:
        name = field.name
        if name not in needed and name not in (dimension, dataset.place):
            continue
        if field.role == "event":
            fields.append(f"case when {always}{name} <= {moment} then {name} end as {name}")
        elif name == STATE and dataset.updated:
            fields.append(f"case when {always}{dataset.updated} <= {moment} then {name} end as {name}")
        else:
            fields.append(name)
    where = f" where {dataset.born} <= {moment}" if born and dataset.born else ""
    return f"(select {', '.join((*fields, *extra))} from {relation}{where})"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
