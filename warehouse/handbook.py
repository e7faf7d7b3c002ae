"""The handbook of measures: `docs/measures.md`, written from the catalogue so that the two cannot differ.

python -m warehouse.handbook      # writes docs/measures.md anew
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from warehouse.catalogue import Catalogue, Measure, catalogue, worded
from warehouse.site import Params

PAGE = Path(__file__).parent.parent / "docs" / "measures.md"
CLASSES = {
    "additive": "summed ahead by place and day",
    "keyed": "summed ahead, over a table that joins the records of a key",
    "as_of": "as of a moment",
    "record": "from the records whenever it is asked",
}
DIRECTIONS = {"up": "higher is better", "down": "lower is better", "none": "context: no colour, no ranking"}


def handbook(known: Catalogue, params: Params) -> str:
    """The page as Markdown: every measure in the order of its number, with the parameters' defaults put in."""
    measures = sorted(known.measures.values(), key=lambda m: int(m.number))
    return (
        "\n".join((*_head(measures), *(line for m in measures for line in _entry(known, m, params)))) + "\n"
    )


def _head(measures: list[Measure]) -> Iterator[str]:
    yield "# Measures"
    yield "Written from `warehouse/measures/*.toml` by `python -m warehouse.handbook`; change it there."
    yield f"{len(measures)} measures. Numbers in the first column group what belongs together."
    yield ""
    yield "Targets are defaults of a site, never of the product. `0/0` is “no data”, never 0 %."
    yield "Figures about people's matters (protected) hide counts below the site's threshold."
    yield ""
    yield "| no. | name | 中文 | English | target | floor |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for m in measures:
        yield (
            f"| {m.number} | [`{m.name}`](#{m.name}) | {m.label.zh} | {m.label.en} "
            f"| {_amount(m, m.target)} | {_amount(m, m.floor)} |"
        )


def _entry(known: Catalogue, m: Measure, params: Params) -> Iterator[str]:
    definition, dates = worded(m.definition, params), worded(m.dates, params)
    yield ""
    yield f"## {m.name}"
    yield f"{m.label.zh} · {m.label.en}"
    yield ""
    yield f"- {definition.zh}"
    yield f"- {definition.en}"
    yield f"- Dated: {dates.zh} / {dates.en}"
    yield f"- Source: {m.source.zh} / {m.source.en}"
    if m.note:
        note = worded(m.note, params)
        yield f"- Note: {note.zh} / {note.en}"
    yield f"- Unit: {m.unit_label.zh} / {m.unit_label.en}; {DIRECTIONS[m.direction]}; {CLASSES[m.cls]}"
    where = f"finest place: {m.finest}"
    if m.protected:
        where += "; protected"
    if m.dimensions:
        where += f"; by {', '.join(m.dimensions)}"
    yield f"- {where[0].upper()}{where[1:]}"
    yield f"- Rests on {', '.join(known.reads(m.table))}; definition version {m.version}"
    for statistic in m.statistics:
        one = known.get(f"{m.name}:{statistic}")
        yield f"- `{one.name}`: {one.label.zh} / {one.label.en}; target {_amount(one, one.target) or 'none'}"
    for example in m.examples:
        rows = sum(len(rows) for rows in example.rows.values())
        asked = f"{example.period.start} to {example.period.end} as of {example.cutoff:%Y-%m-%d %H:%M}"
        yield f"- Worked example: of {rows} records, {asked}: {_answer(m, example.n, example.d, example.value)}"


def _answer(m: Measure, n: float | None, d: float | None, value: float | None) -> str:
    if n is None and value is None:
        return "no data"
    if d is not None:
        return f"{n:g} / {d:g}"
    return f"{value:g}" if value is not None else f"{n:g}"


def _amount(m: Measure, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0%}" if m.unit == "share" else f"{value:g}"


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(handbook(catalogue(), Params()), encoding="utf-8")


if __name__ == "__main__":
    main()
