"""JSON: one object a record."""

from __future__ import annotations

import json
from typing import Any

from pipelines.contract import Contract, heading
from pipelines.reading.headings import Refused, layout_of, no_headings
from pipelines.reading.raw import Cells
from pipelines.reading.text import decode


def read_ndjson(content: bytes, contract: Contract, cells: Cells) -> None:
    """One JSON object a line; a line that is none is a broken record, not a broken file."""
    text = decode(content, contract.files.encoding)
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    lines: list[int] = []
    records: list[dict[str, Any]] = []
    keys: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = decoder.decode(line.strip())
            problem = "" if isinstance(record, dict) else "not an object"
        except (json.JSONDecodeError, RecursionError) as error:
            record, problem = (
                {},
                error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply",
            )
        if problem:
            cells.faults[len(records)] = ("json", f"({len(line)} characters: {problem})")
            record = {}
        keys |= dict.fromkeys(record)
        lines.append(number)
        records.append(record)
    if not records:
        raise Refused("空文件", "empty file")
    if len(cells.faults) == len(records):
        raise Refused("没有一行是 JSON 对象", "no line is a JSON object")
    layout = layout_of(list(keys), contract, merge=True)
    if len(layout.sources) < min(2, sum(1 for rule in contract.fields.values() if rule.headings)):
        raise no_headings(contract)
    spellings: dict[str, list[str]] = {}
    for key in keys:
        spellings.setdefault(heading(key), []).append(key)
    columns = {
        name: [_json_text(next((r[key] for key in spellings[name] if key in r), None)) for r in records]
        for name, _ in layout.used()
    }
    cells.add(layout, lines, columns)


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)
