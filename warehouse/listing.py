# ruff: noqa: S608 - names of fields are formatted in after a check; every value is bound
"""Record lists: the matters behind a figure, for officials' own eyes. Never for a wall or a print."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from warehouse.catalogue import catalogue, settled, with_lets
from warehouse.marts import named
from warehouse.mistake import Mistake, nearest
from warehouse.period import Period
from warehouse.scope import ANCESTORS, clip, tree_of
from warehouse.viewer import Viewer

if TYPE_CHECKING:
    from warehouse.version import Version

MOST = 10_000
"""No list is longer: whoever needs all records has the source."""


def records(
    version: Version,
    viewer: Viewer,
    dataset: str,
    scope: str,
    period: Period | None = None,
    where: Mapping[str, str] | None = None,
    order: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> tuple[tuple[str, ...], list[tuple[Any, ...]], int]:
    """(names of the fields, rows, how many there are in all), newest first unless `order` says "field [desc]".

    `period` is by the day a record was born. `where`: field → value, as text; "" is not stated; and
    `counts_in` → a measure of this dataset: only records it counts (of a rate: in the denominator but not
    the numerator; of a count as of now: those counted). Raises Mistake for a viewer who is no official, an
    unknown dataset or field, or a scope outside the viewer's.
    """
    if not viewer.official:
        raise Mistake("records", "record lists are for officials", "sign in as one, or look at the figures")
    shape = version.datasets.get(dataset)
    if shape is None or shape.place is None:
        known = (d.name for d in version.datasets.values() if d.place)
        raise Mistake("records", f"unknown dataset '{dataset}'", nearest(dataset, known))
    place = clip(version, viewer, scope)
    names = tuple(f.name for f in shape.fields)
    values: dict[str, Any] = {}
    conditions: list[str] = []
    lets: dict[str, str] = {}
    for field, value in (where or {}).items():
        if field == "counts_in":
            condition, lets = _counted(version, dataset, value)
            conditions.append(condition)
            if "$cutoff" in condition or any("$cutoff" in e for e in lets.values()):
                values["cutoff"] = version.cutoff
            continue
        if field not in names:
            raise Mistake("records", f"{dataset} has no field '{field}'", nearest(field, names))
        if value == "":
            conditions.append(f"r.{field} is null")
        else:
            values[f"w{len(values)}"] = value
            conditions.append(f"cast(r.{field} as varchar) = $w{len(values) - 1}")
    if period is not None and shape.born is not None:
        values["start"] = datetime.combine(period.start, time())
        values["after"] = datetime.combine(period.end + timedelta(days=1), time())
        conditions.append(f"r.{shape.born} >= $start and r.{shape.born} < $after")
    tree = tree_of(version)
    level = tree.places[place.tops[0]].level
    if len(place.tops) == 1 and level in ANCESTORS:
        values["scope"] = place.tops[0]
        inside = f"select code from places where {level} = $scope"
    else:
        values["scope"] = sorted(tree.below(place.code))
        inside = "select unnest($scope)"
    conditions.append(f"r.{shape.place} in ({inside})")
    field, _, way = (order or f"{shape.born or shape.key} desc").partition(" ")
    if field not in names or way not in ("", "asc", "desc"):
        raise Mistake("records", f"cannot order by '{order}'", nearest(field, names) + " with asc or desc")
    columns = ", ".join(f"r.{name}" for name in names)
    rows = version.rows(
        f"select count(*) over (), {columns} from {named(dataset, lets.items())} r where {' and '.join(conditions)} "
        f"order by r.{field} {way} nulls last, r.{shape.key} limit $limit offset $offset",
        values | {"limit": max(0, min(limit, MOST)), "offset": max(0, offset)},
    )
    total = int(rows[0][0]) if rows else 0
    if not rows and offset:
        return names, [], records(version, viewer, dataset, scope, period, where, order, 1, 0)[2]
    return names, [row[1:] for row in rows], total


def _counted(version: Version, dataset: str, name: str) -> tuple[str, dict[str, str]]:
    measure = catalogue().get(name)
    if measure.table != dataset:
        raise Mistake("records", f"measure '{name}' does not count {dataset}", f"it counts {measure.table}")
    condition = measure.numerator
    if measure.kind == "rate":
        condition = f"({measure.denominator}) and not coalesce({measure.numerator}, false)"
    elif measure.kind == "quantile":
        condition = measure.denominator
    condition = f"({settled(condition, version.params)})"
    lets = with_lets(catalogue().lets.get(dataset, {}), [condition])
    return condition, {k: settled(e, version.params) for k, e in lets.items()}
