"""Small random worlds: every measure at four levels equals the independent calculation over the same records.

Records are drawn for every record set field by field, by nothing but its contract: classes from their choices,
places from the tree of `tests.world`, times from a year and a half; those that break a rule of the contract are dropped, as
loading would.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.contract import Contract, FieldRule, read_contract
from tests.oracle import BY_TOWNSHIP, BY_VILLAGE, Answer, Oracle
from tests.test_figures import Key, compare, measures
from tests.world import CONTRACTS, GRIDS, PLACES, VILLAGES, datasets, world
from warehouse.dataset import DUCK_TYPES
from warehouse.period import Period
from warehouse.query import cells

CUTOFF = datetime(2026, 6, 15, 12)
FIRST = datetime(2025, 1, 1)
PERIODS = (
    Period(date(2026, 3, 1), date(2026, 3, 31)),
    Period(date(2025, 1, 1), date(2025, 12, 31)),
    Period(date(2026, 1, 10), date(2026, 6, 15)),
)
SCOPES = {"K": "county", "K1": "township", "K1a": "village", "K1a1": "grid"}
MANY = 40
SILENT = frozenset({"patrol_cover_24h"})
"""Its days go on for a year after the last shift at a key site, of which a random world may have none for longer."""
"""Records of one set in one world."""

ContractOf = dict[str, Contract]


@pytest.fixture(scope="module")
def known() -> ContractOf:
    """dataset → a contract of ours for it; places come from the tree."""
    out: ContractOf = {}
    for path in sorted(CONTRACTS.glob("*.toml")):
        contract = read_contract(path)
        if contract.dataset.name not in ("places", "place_groups"):
            out.setdefault(contract.dataset.name, contract)
    return out


def drawn(
    name: str, rule: FieldRule, number: int, chance: random.Random, role: str | None, last: datetime
) -> Any:
    """One value of a field; now and then nothing where it may say nothing, the first two records say no more than
    they must. Times lie after `last`."""
    if role == "key":
        return f"{name}-{number}"
    if rule.constant is not None or rule.privacy == "drop":
        return None
    if not rule.required and (number < 2 or chance.random() < 0.25):
        return None
    if rule.refers:
        return chance.choice((*GRIDS, *GRIDS, *VILLAGES))
    if rule.choices:
        return chance.choice(rule.choices).code
    match rule.type:
        case "time":
            return _after(last, chance)
        case "date":
            return _after(last, chance).date()
        case "bool":
            return chance.random() < 0.5
        case "int" | "float":
            low = int(rule.min or 0)
            return chance.randint(low, int(min(rule.max if rule.max is not None else low + 9, low + 9)))
    return chance.choice(("a", "b", "c"))


def _after(last: datetime, chance: random.Random) -> datetime:
    return min(last + timedelta(hours=chance.choice((0, 1, 12, 30, 300, 1_000, 2_500))), CUTOFF)


def records(contract: Contract, count: int, chance: random.Random) -> list[dict[str, Any]]:
    """So many drawn records, without those that break a rule of the contract."""
    dataset = datasets()[contract.dataset.name]
    roles = {name: role for role in ("key", "updated") for name in dataset.of_role(role)}
    rows = []
    for number in range(count):
        # Before its first record a set has no data, which is not zero, and a year after its last no duties: the
        # first two records enclose what is asked for.
        span = int((CUTOFF - FIRST).total_seconds() // 3600)
        hours = chance.randrange(span) if number > 1 else number * (span - 240)
        last = born = FIRST + timedelta(hours=hours)
        row: dict[str, Any] = {}
        for name in (field.name for field in dataset.fields):
            rule = contract.fields[name]
            if name == dataset.born:
                row[name] = born if rule.type == "time" else born.date()
                continue
            row[name] = drawn(name, rule, number, chance, roles.get(name), last)
            # One thing mostly happens after another, in the order of the contract.
            if isinstance(row[name], datetime) and chance.random() < 0.8:
                last = row[name]
        if dataset.updated is not None:
            times = [row[name] for name in dataset.of_role("event") if row.get(name) is not None]
            row[dataset.updated] = max(times, default=FIRST)
        rows.append(row)
    kinds = {field.name: DUCK_TYPES[field.type] for field in dataset.fields}
    with duckdb.connect() as connection:
        connection.execute(
            f"create table t ({', '.join(f'{n} {k}' for n, k in kinds.items())}, now timestamp)"
        )
        connection.executemany(
            f"insert into t values ({', '.join('?' * (len(kinds) + 1))})",
            [[*row.values(), CUTOFF] for row in rows],
        ) if rows else None
        rules = " and ".join(f"coalesce(try(({rule})), true)" for rule in rules_of(contract)) or "true"
        found = connection.execute(f"select * exclude (now) from t where {rules}")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def rules_of(contract: Contract) -> list[str]:
    """The contract's own, and that only what had a due time is extended: else no definition says when it is due."""
    own = [rule.check for rule in contract.rules]
    extended = [
        f"{name} is null or due_at is not null" for name in contract.fields if name == "extended_due_at"
    ]
    return own + extended


def oracle_of(folder: Path, given_: dict[str, list[dict[str, Any]]]) -> Oracle:
    (folder / "site.toml").write_text(
        f'name = {{ zh = "小", en = "Tiny" }}\nhome = "K"\nas_of = {CUTOFF.isoformat()}\n', encoding="utf-8"
    )
    oracle = Oracle(folder)
    fields = [field.name for field in datasets()["places"].fields]
    oracle.records |= given_ | {"places": [dict.fromkeys(fields) | dict(place) for place in PLACES]}
    return oracle


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_every_measure_of_a_random_world_equals_the_independent_calculation(
    known: ContractOf, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    chance = random.Random(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    sizes = {name: data.draw(st.integers(2, MANY), label=name) for name in known}
    given_ = {name: records(known[name], sizes[name], chance) for name in known}
    oracle = oracle_of(tmp_path_factory.mktemp("random"), given_)
    version = world(given_, CUTOFF)
    for scope, level in SCOPES.items():
        names = list(asked(level))
        answers: dict[Key, Answer] = {
            (name, scope, period, None): oracle.answer(name, scope, period.start, period.end)
            for name in names
            for period in PERIODS
        }
        compare(cells(version, scope, names, PERIODS), answers)


def asked(level: str) -> Iterable[str]:
    hidden = BY_TOWNSHIP if level in ("village", "grid") else frozenset()
    hidden |= BY_VILLAGE if level == "grid" else frozenset()
    return (name for name in measures() if name.partition(":")[0] not in hidden | SILENT)
