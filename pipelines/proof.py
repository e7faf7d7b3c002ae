"""A contract proved against a sample: what would be kept, what not, and why. Nothing is written anywhere.

The sample goes through the very reading and checking of a load, into a DuckDB in memory. A sample holds
what the real file holds: of a cell only what a contract loads openly is ever quoted, and that masked.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import duckdb

from pipelines.check import Checked, check
from pipelines.contract import OURS, Contract, FieldRule, read_contract, word
from pipelines.reading import Raw, Refused, read
from warehouse import layout
from warehouse.masking import mask
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site
from warehouse.text import Text
from warehouse.version import current

EXAMPLES = 3
WORDS = 200
"""Unknown words told at most per field; the rest is counted."""
_ZONE = "Asia/Shanghai"
_LONGEST = 40


@dataclass(frozen=True)
class Reason:
    """Why records are not kept, or kept with a warning. `lines`: the first of them in the sample. `words`: what
    stood there most often; none for a rule, or a field that is not loaded openly."""

    reason: str
    rows: int
    lines: tuple[int, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unknown:
    """A word that stands for none of a field's choices, and in how many records it stands."""

    field: str
    word: str
    rows: int


@dataclass(frozen=True)
class Proof:
    """What a load of the sample would come to: read = kept + quarantined, or `refused` whole.

    `columns`: field → the headings that feed it. `missing`: fields with headings of which the sample has none.
    `references`: proved against the places of a published version, unproved where there is none.
    """

    contract: Contract
    sample: Path
    refused: Text | None = None
    read: int = 0
    kept: int = 0
    quarantined: int = 0
    removals: int = 0
    ignored: int = 0
    columns: Mapping[str, tuple[str, ...]] | None = None
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    warned: tuple[Reason, ...] = ()
    words: tuple[Unknown, ...] = ()
    references: Literal["proved", "unproved", "none"] = "none"
    notes: tuple[Text, ...] = ()


def contract_at(written: str, site: Site | None) -> Contract:
    """The contract in a file, or of a source's name: the site's own, else ours. Raises Mistake."""
    path = Path(written)
    if path.is_file() or path.suffix:
        return read_contract(path)
    known = {found.stem: found for found in sorted(OURS.glob("*.toml"))}
    if site is not None:
        known |= {found.stem: found for found in sorted(site.sources.glob("*.toml"))}
    if written not in known:
        raise Mistake(written, "no such file and no such source", nearest(written, known))
    return read_contract(known[written])


def prove(contract: Contract, sample: Path, site: Site | None) -> Proof:
    """Read and check a sample as a load would. Places are those of the site's published version, if any."""
    if not sample.is_file():
        raise Mistake(str(sample), "no such file", "name a file as the source sends it")
    now = site.now() if site else datetime.now(UTC).astimezone(ZoneInfo(_ZONE)).replace(tzinfo=None)
    with duckdb.connect(config={"temp_directory": ""}) as connection:
        references = _places(contract, connection, site)
        judged = contract
        if references == "unproved":
            free = {name: rule.model_copy(update={"refers": None}) for name, rule in contract.fields.items()}
            judged = replace(contract, fields=free)
        try:
            # Pseudonyms of a key that is thrown away: they match nothing, here or elsewhere.
            raw = read(sample, judged, connection, secrets.token_bytes(32))
        except Refused as refused:
            return Proof(contract, sample, refused=refused.reason, references=references)
        checked = check(raw, judged, connection, now, site.timezone if site else _ZONE)
        return Proof(
            contract,
            sample,
            read=raw.read,
            kept=checked.kept,
            quarantined=checked.quarantined,
            removals=_removals(contract, checked, connection),
            ignored=raw.ignored,
            columns={
                name: tuple(_heading(raw, column) for column in found) for name, found in raw.columns.items()
            },
            missing=tuple(
                name
                for name, rule in contract.fields.items()
                if rule.mapped and rule.headings and name not in raw.columns
            ),
            unknown=raw.unknown,
            blocked=raw.blocked,
            reasons=_reasons(contract, raw, checked, connection),
            warned=tuple(Reason(reason, rows) for reason, rows in checked.warned.items()),
            words=_unknown_words(contract, raw, connection),
            references=references,
            notes=_notes(contract, checked, connection, now),
        )


def _places(
    contract: Contract, connection: duckdb.DuckDBPyConnection, site: Site | None
) -> Literal["proved", "unproved", "none"]:
    """Give the connection the published places, if a field refers to them and there are any."""
    if not any(rule.refers for rule in contract.fields.values()):
        return "none"
    if site is None or layout.read_pointer(site) is None:
        return "unproved"
    version = current(site)
    if "places" not in version.tables:
        return "unproved"
    connection.register("published_places", version.arrow("select * from places"))
    connection.execute("create temp table rec_places as select * from published_places")
    connection.unregister("published_places")
    return "proved"


def _heading(raw: Raw, column: str) -> str:
    return raw.headings[int(column.removeprefix("c"))]


def _removals(contract: Contract, checked: Checked, connection: duckdb.DuckDBPyConnection) -> int:
    if contract.deleted is None:
        return 0
    row = connection.execute(f"select count(*) from {checked.good} where _deleted").fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def _reasons(
    contract: Contract, raw: Raw, checked: Checked, connection: duckdb.DuckDBPyConnection
) -> tuple[Reason, ...]:
    found = connection.execute(
        f"select reason, count(*), list(line order by row)[1:{EXAMPLES}] "  # noqa: S608
        f"from (select unnest(reasons) as reason, row, line from {checked.bad}) group by reason order by 2 desc, 1"
    ).fetchall()
    return tuple(
        Reason(reason, rows, tuple(lines), _offending(contract, raw, checked, connection, reason))
        for reason, rows, lines in found
    )


def _offending(
    contract: Contract, raw: Raw, checked: Checked, connection: duckdb.DuckDBPyConnection, reason: str
) -> tuple[str, ...]:
    kind, _, name = reason.partition(":")
    name = name.partition(":")[0]
    rule = contract.fields.get(name)
    if not name or rule is None or kind == "required" or not _open(rule) or name not in raw.columns:
        return ()
    cell = f"coalesce({', '.join(raw.columns[name])})"
    rows = connection.execute(
        f"select {cell} from {checked.bad} join {raw.table} on _row = row "  # noqa: S608
        f"where list_contains(reasons, $reason) and {cell} is not null group by 1 order by count(*) desc, 1 "
        f"limit {EXAMPLES}",
        {"reason": reason},
    ).fetchall()
    return tuple(_shown(row[0]) for row in rows)


def _unknown_words(
    contract: Contract, raw: Raw, connection: duckdb.DuckDBPyConnection
) -> tuple[Unknown, ...]:
    out: list[Unknown] = []
    for name, rule in contract.fields.items():
        if not rule.choices or not _open(rule) or name not in raw.columns:
            continue
        known = {*rule.codes(), *(word(text) for text in rule.empty), ""}
        cell = f"coalesce({', '.join(raw.columns[name])})"
        said = connection.execute(
            f"select {cell}, count(*) from {raw.table} where _fault is null and {cell} is not null "  # noqa: S608
            "group by 1 order by 2 desc, 1"
        )
        left = WORDS
        while left and (row := said.fetchone()) is not None:
            if word(row[0]) not in known:
                out.append(Unknown(name, _shown(row[0]), row[1]))
                left -= 1
    return tuple(out)


def _notes(
    contract: Contract, checked: Checked, connection: duckdb.DuckDBPyConnection, now: datetime
) -> tuple[Text, ...]:
    """What is no fault of a record and yet should be known before the contract is used."""
    notes: list[Text] = []
    dataset = contract.dataset
    repeated = connection.execute(
        f'select count(*) - count(distinct "{dataset.key}") from {checked.good}'  # noqa: S608
    ).fetchone()
    if repeated and repeated[0]:
        notes.append(
            Text(
                zh=f"{repeated[0]} 条记录的“{dataset.key}”在样本中重复:最后更新的一条为准",
                en=f"{repeated[0]} records repeat a '{dataset.key}': the one updated last stands",
            )
        )
    if dataset.updated is None:
        notes.append(
            Text(
                zh="没有 role = 'updated' 的字段:同一编号以后到者为准",
                en="no field has role 'updated': of one key what arrives last stands",
            )
        )
    moment = dataset.updated or dataset.born
    if moment is None:
        return tuple(notes)
    newest = connection.execute(f'select max("{moment}") from {checked.good}').fetchone()  # noqa: S608
    if checked.kept and (newest is None or newest[0] is None):
        notes.append(
            Text(
                zh=f"“{moment}”在样本中始终为空:无从判断同一编号哪一条更新",
                en=f"no record states '{moment}': nothing tells which row of a key is newer",
            )
        )
    if newest and newest[0] is not None:
        last = (
            newest[0] if isinstance(newest[0], datetime) else datetime.combine(newest[0], datetime.min.time())
        )
        if now - last > timedelta(hours=contract.fresh_hours):
            notes.append(
                Text(
                    zh=f"最新一条“{moment}”为 {last:%Y-%m-%d %H:%M},早于允许的 {contract.fresh_hours:g} 小时",
                    en=f"the newest '{moment}' is {last:%Y-%m-%d %H:%M}: "
                    f"older than the {contract.fresh_hours:g} hours allowed",
                )
            )
    return tuple(notes)


def _open(rule: FieldRule) -> bool:
    return rule.privacy in (None, "keep")


def _shown(text: str) -> str:
    """A cell as it may be quoted: masked, on one line, not long."""
    line = " ".join(mask(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def as_json(proof: Proof) -> dict[str, object]:
    """A proof for machines."""

    def reasons(found: Sequence[Reason]) -> list[dict[str, object]]:
        return [
            {"reason": r.reason, "rows": r.rows, "lines": list(r.lines), "words": list(r.words)}
            for r in found
        ]

    return {
        "contract": str(proof.contract.path),
        "source": proof.contract.name,
        "dataset": proof.contract.dataset.name,
        "sample": str(proof.sample),
        "refused": None if proof.refused is None else proof.refused.model_dump(),
        "read": proof.read,
        "kept": proof.kept,
        "quarantined": proof.quarantined,
        "removals": proof.removals,
        "ignored": proof.ignored,
        "references": proof.references,
        "columns": {name: list(found) for name, found in (proof.columns or {}).items()},
        "missing": list(proof.missing),
        "unknown": list(proof.unknown),
        "blocked": list(proof.blocked),
        "reasons": reasons(proof.reasons),
        "warned": reasons(proof.warned),
        "words": [{"field": w.field, "word": w.word, "rows": w.rows} for w in proof.words],
        "notes": [note.model_dump() for note in proof.notes],
    }
