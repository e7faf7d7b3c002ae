# ruff: noqa: S608 - names and expressions of the catalogue are formatted in; every value is bound
"""Why a figure differs between two versions: the parts of the difference, which add up to it.

Each record that counts otherwise is looked at in both versions: one that was not known then, one that is known no
more, one of which something happened since, one of which something was put right, or one that only came of age. What
the site's parameters changed stands apart. Where a measure counts no single records (household-months, stocks of a
moment past), what happened beneath is one part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal

from warehouse.catalogue import Measure, catalogue, settled, with_lets
from warehouse.disclosure import small
from warehouse.layout import quoted
from warehouse.marts import counted, named
from warehouse.period import Period
from warehouse.query import STATE, cells
from warehouse.result import Result, Value
from warehouse.scope import tree_of
from warehouse.site import Params
from warehouse.text import Text

if TYPE_CHECKING:
    from warehouse.version import Version

Why = Literal["records", "closings", "corrections", "removed", "matured", "recounted", "definition"]
WHY: dict[Why, Text] = {
    "records": Text(zh="新增记录", en="new records"),
    "closings": Text(zh="当时已知、此后有进展的", en="known then, moved on since"),
    "corrections": Text(zh="更正或补录", en="corrected, or entered late"),
    "removed": Text(zh="删除或撤销", en="removed or undone"),
    "matured": Text(zh="到期计入", en="came of age"),
    "recounted": Text(zh="基础记录有变（不逐条列出）", en="what lies beneath changed"),
    "definition": Text(zh="口径或参数变化", en="definition or settings changed"),
}


@dataclass(frozen=True)
class Part:
    """What one reason added to n and, of a rate, to d; over how many records (0: not counted one by one)."""

    why: Why
    n: float
    d: float
    records: int


def difference(then: Version, now: Version, measure: str, scope: str, period: Period) -> tuple[Part, ...]:
    """The parts by which a figure of `now` differs from that of `then`, in the order of WHY; those of nothing are
    left out. Before anything is hidden: see `tellable`. Raises Mistake where a version has no such place."""
    m = catalogue().get(measure)
    before, after = (_sides(cells(v, scope, [measure], [period])[0].result) for v in (then, now))
    sums: dict[Why, list[float]] = {}
    key = _key(then, now, m)
    if m.cls == "as_of" and _after(period) < now.cutoff:
        key = (
            None  # A stock of a moment past is told of records as known then, which are no version's records.
        )
    if key is not None:
        old = _counted(then, m, key, scope, period, then.params)
        new = _counted(now, m, key, scope, period, then.params)
        differing = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        reasons = _reasons(then, now, m, key, differing, old)
        for k in differing:
            n, d = (b - a for a, b in zip(old.get(k, (0.0, 0.0)), new.get(k, (0.0, 0.0)), strict=True))
            part = sums.setdefault(reasons[k], [0.0, 0.0, 0])
            part[0], part[1], part[2] = part[0] + n, part[1] + d, part[2] + 1
        # What is left, no record accounts for: other parameters, or a program that counted otherwise.
        rest: Why = "definition"
    else:
        same = then.params == now.params
        rest = "recounted" if same else "definition"
    left = [
        round(b - a - sum(part[i] for part in sums.values()), 6)
        for i, (a, b) in enumerate(zip(before, after, strict=True))
    ]
    if any(left):
        sums[rest] = [*left, 0]
    return tuple(
        Part(why, round(sums[why][0], 6), round(sums[why][1], 6), int(sums[why][2]))
        for why in WHY
        if why in sums
    )


def tellable(parts: Sequence[Part], measure: Measure, below: int) -> bool:
    """Whether the parts may be told: of people's matters no small one, for it could point to somebody."""
    if not measure.protected or below <= 1:
        return True
    return not any(
        small(abs(x), below) for p in parts for x in (p.n, p.d, p.d - p.n if p.d else 0, float(p.records))
    )


def _sides(result: Result) -> tuple[float, float]:
    return (result.n or 0.0, result.d or 0.0) if isinstance(result, Value) else (0.0, 0.0)


def _after(period: Period) -> datetime:
    return datetime.combine(period.end + timedelta(days=1), time())


def _key(then: Version, now: Version, measure: Measure) -> str | None:
    """The field that names a record of the measure's table in both versions; None where there is none."""
    known = catalogue()
    table = measure.table
    if measure.exposure or table in known.view or measure.kind == "quantile":
        return None
    name = known.reads(table)[0]
    if any(name not in v.datasets for v in (then, now)):
        return None
    key = now.datasets[name].key
    for version in (then, now):
        if key not in _columns(version, table):
            return None
    return key


def _columns(version: Version, table: str) -> tuple[str, ...]:
    return tuple(row[0] for row in version.rows(f"describe {quoted(table)}"))


def _counted(
    version: Version, measure: Measure, key: str, scope: str, period: Period, params: Params
) -> dict[str, tuple[float, float]]:
    """Record → (n, d), of those that count at the version's cut-off, by the parameters given."""
    sides = dict(counted(measure))
    n, d = settled(sides["n"], params), settled(sides.get("d", "0"), params)
    start, after = datetime.combine(period.start, time()), _after(period)
    moment = min(after, version.cutoff) if measure.cls == "as_of" else version.cutoff
    place = version.datasets[catalogue().reads(measure.table)[0]].place or "place"
    bound: dict[str, Any] = {"cutoff": moment, "codes": sorted(tree_of(version).below(scope))}
    conditions = [f"{place} in (select unnest($codes))"]
    expressions = [n, d]
    if measure.cls == "as_of":
        if start > version.cutoff:
            return {}
    else:
        at, matures = settled(measure.at, params), settled(measure.matures, params)
        expressions += [at, matures]
        conditions += [
            f"({at}) >= $start and ({at}) < $after and ({at}) <= $cutoff and ({matures}) <= $cutoff"
        ]
        bound |= {"start": start, "after": after}
    lets = with_lets(catalogue().lets.get(measure.table, {}), expressions)
    rows = named(measure.table, [(k, settled(e, params)) for k, e in lets.items()])
    found = version.rows(
        f"select {quoted(key)}, sum(cast({n} as double)) as n, sum(cast({d} as double)) as d from {rows}"
        f" where {' and '.join(conditions)} group by 1 having n <> 0 or d <> 0",
        {
            name: value
            for name, value in bound.items()
            if f"${name}" in f"{n} {d} {rows} {' '.join(conditions)}"
        },
    )
    return {str(k): (float(a), float(b)) for k, a, b in found}


def _reasons(
    then: Version,
    now: Version,
    measure: Measure,
    key: str,
    records: Sequence[str],
    counted_then: Mapping[str, tuple[float, float]],
) -> dict[str, Why]:
    """Why each of these records counts otherwise than then."""
    columns = [c for c in _columns(then, measure.table) if c in _columns(now, measure.table)]
    old, new = (_rows(version, measure.table, key, columns, records) for version in (then, now))
    dataset = now.datasets[catalogue().reads(measure.table)[0]]
    events = {c for c in columns if c not in {f.name for f in dataset.fields}} | set(dataset.of_role("event"))
    out: dict[str, Why] = {}
    for k in records:
        if k not in old:
            out[k] = "records"
        elif k not in new:
            out[k] = "removed"
        else:
            changed = {c: (a, b) for c, a, b in zip(columns, old[k], new[k], strict=True) if a != b}
            out[k] = _why(changed, events, {dataset.updated or "", STATE}, dataset.place or "", then.cutoff)
            if out[k] == "matured" and counted_then.get(k) and measure.cls != "as_of":
                out[k] = "recounted"  # It counted then, nothing of it changed: places were redrawn.
    return out


def _why(
    changed: Mapping[str, tuple[Any, Any]], events: set[str], standing: set[str], place: str, cutoff: datetime
) -> Why:
    """Of a record known in both: nothing changed, something happened since, or something was put right."""
    if not changed:
        return "matured"
    times = {
        c: pair for c, pair in changed.items() if c in events and isinstance(pair[1] or pair[0], datetime)
    }
    happened = [c for c, (a, b) in times.items() if a is None and b is not None and b > cutoff]
    if happened and len(happened) == len(times) and place not in changed:
        return "closings"
    return "closings" if changed.keys() <= standing else "corrections"


def _rows(
    version: Version, table: str, key: str, columns: Sequence[str], records: Sequence[str]
) -> dict[str, tuple[Any, ...]]:
    names = ", ".join(quoted(c) for c in columns)
    found = version.rows(
        f"select {quoted(key)}, {names} from {quoted(table)} where {quoted(key)} in (select unnest($records))",
        {"records": list(records)},
    )
    return {str(row[0]): row[1:] for row in found}
