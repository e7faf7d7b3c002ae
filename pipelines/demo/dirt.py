"""Honest dirt: what offices' files really have. It adds rows and moves rows, and never changes what is true in the end.

Of 1,000 records about 5 gain a faulty neighbour (to be refused, under a key of its own), 2 are repeated as they are,
3 stand first in an earlier state and are corrected by a later file, 2 come months late in the last file, and 1 is
followed by an older version of itself, out of order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.demo.days import Ints
from pipelines.demo.table import Columns, Life, join, take

SHARE = 0.013
PARTS = {"faulty": 0.40, "repeated": 0.15, "corrected": 0.22, "late": 0.14, "out_of_order": 0.09}

UNKNOWN_GRIDS = ("431122999001001", "431199100001001", "431122100999009")
Fault = tuple[str, Any]
"""A field and what stands in it: a raw text, or for Parquet a value."""


@dataclass(frozen=True)
class Sheets:
    """Rows in the order they are written, over several files.

    `file`: per row the index of its file, ascending. `raw`: field → {row: what stands there instead}.
    `dirt`: how many rows are faulty, repeated, corrected later, late or out of order.
    """

    columns: Columns
    file: Ints
    raw: dict[str, dict[int, Any]]
    dirt: int


def scatter(
    life: Life, now: Columns, rows: Ints, file: Ints, faults: Sequence[Fault], rng: np.random.Generator
) -> Sheets:
    """Spread the records over their files and put the dirt among them.

    `now`: the records as they are known now, `rows` their rows in `life`, `file` the index of the file of each.
    """
    n = len(rows)
    kinds = _split(n, n > 0)
    last = int(file.max()) if n else 0
    born, updated = now[life.born], now["updated_at"]
    aged = (updated - born).astype(np.int64) >= 7200
    free = rng.permutation(n)
    changed = free[aged[free]]
    corrected = changed[: kinds["corrected"]]
    disordered = changed[kinds["corrected"] : kinds["corrected"] + kinds["out_of_order"]]
    free = free[~np.isin(free, np.concatenate([corrected, disordered]))]
    old = free[file[free] <= last - 2] if last >= 2 else free[file[free] < last]
    late = old[: kinds["late"]]
    free = free[~np.isin(free, late)]
    repeated = free[: kinds["repeated"]]
    faulty = free[kinds["repeated"] : kinds["repeated"] + kinds["faulty"]]

    place = file.copy()
    position = np.arange(n, dtype=np.float64)
    place[late] = last
    position[late] += n
    place[corrected] = np.minimum(file[corrected] + 1, last)
    position[corrected] += np.where(file[corrected] == last, 0.2, n)
    earlier = np.concatenate([corrected, disordered])
    age = (updated[earlier] - born[earlier]).astype(np.int64)
    moment = born[earlier] + (age * rng.uniform(0.25, 0.75, len(earlier))).astype(np.int64).astype(
        "timedelta64[s]"
    )
    older = life.at(rows[earlier], moment)
    older_file = np.concatenate([file[corrected], np.minimum(file[disordered] + 1, last)])
    older_at = np.concatenate([corrected - 0.1, disordered + 0.3]).astype(np.float64)

    bad = take(now, faulty)
    bad[life.key] = np.array([f"{key}E" for key in bad[life.key].tolist()], dtype=object)
    columns = join([now, older, take(now, repeated), bad])
    where = np.concatenate([place, older_file, file[repeated], file[faulty]])
    at = np.concatenate([position, older_at, repeated + 0.4, faulty + 0.6])
    order = np.lexsort((at, where))
    written = np.empty(len(order), dtype=np.int64)
    written[order] = np.arange(len(order))
    raw: dict[str, dict[int, Any]] = {}
    for i, row in enumerate(written[len(order) - len(faulty) :].tolist()):
        name, value = faults[i % len(faults)]
        raw.setdefault(name, {})[row] = value
    dirt = len(faulty) + len(repeated) + len(corrected) + len(late) + len(disordered)
    return Sheets(take(columns, order), where[order], raw, dirt)


def _split(count: int, some: bool) -> dict[str, int]:
    """How many rows of each kind; at least one faulty and one repeated where there is anything at all."""
    total = max(2, round(SHARE * count)) if some else 0
    split = {kind: int(total * share) for kind, share in PARTS.items()}
    for kind in list(PARTS)[: total - sum(split.values())]:
        split[kind] += 1
    return split
