"""Which column of a file feeds which field of its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.contract import Contract, heading
from warehouse.text import Text

HEADER_WITHIN = 30
"""A title, a date line and merged cells may stand above the headings, not a whole page."""
TOTALS = frozenset({"合计", "总计", "小计", "共计", "total", "grandtotal", "subtotal"})


class Refused(Exception):
    """The whole file cannot be trusted; `reason` says why in one line, without quoting its content."""

    def __init__(self, zh: str, en: str) -> None:
        self.reason = Text(zh=zh, en=en)
        super().__init__(en)


@dataclass(frozen=True)
class Layout:
    """Which column of a sheet feeds which field. Headings are compared by `contract.heading`."""

    width: int
    positions: Mapping[str, int]
    sources: Mapping[str, tuple[str, ...]]
    spelled: dict[str, str]
    unknown: tuple[str, ...]
    blocked: tuple[str, ...]
    private_from: int
    named: int

    def used(self) -> list[tuple[str, int]]:
        """(heading, position) of every column that is loaded, in file order."""
        wanted = {text for headings in self.sources.values() for text in headings}
        return sorted(((text, self.positions[text]) for text in wanted), key=lambda item: item[1])


def layout_of(cells: Sequence[str], contract: Contract, merge: bool = False) -> Layout:
    """Match one row of headings. With `merge`, all aliases present are taken (the first not empty wins)."""
    names = [heading(cell) for cell in cells]
    positions: dict[str, int] = {}
    for position, name in enumerate(names):
        if name:
            positions.setdefault(name, position)
    blocked = {heading(text) for text in contract.drop}
    aliases: set[str] = set()
    private: set[str] = set()
    sources: dict[str, tuple[str, ...]] = {}
    for name, rule in contract.fields.items():
        wanted = [heading(text) for text in rule.headings]
        if rule.privacy == "drop":
            blocked.update(wanted)
            continue
        aliases.update(wanted)
        present = [text for text in dict.fromkeys(wanted) if text in positions and text not in blocked]
        if present:
            sources[name] = tuple(present if rule.coalesce or merge else present[:1])
        if rule.privacy == "pseudonym":
            private.update(present)
    used = {text for headings in sources.values() for text in headings}
    open_to_all = used - private
    private_from = next(
        (at for at, name in enumerate(names) if name and (name not in open_to_all or positions[name] != at)),
        len(names),
    )
    return Layout(
        width=len(names),
        positions=positions,
        sources=sources,
        spelled={name: cells[position].strip() for name, position in positions.items()},
        unknown=tuple(text for text in positions if text not in aliases and text not in blocked),
        blocked=tuple(text for text in positions if text in blocked),
        private_from=private_from,
        named=max((at for at, name in enumerate(names) if name), default=-1) + 1,
    )


def find_header(rows: Sequence[Sequence[str]], contract: Contract) -> tuple[int, Layout] | None:
    """The row, among the first ones, that names most of the contract's fields."""
    feedable = sum(1 for rule in contract.fields.values() if rule.mapped and rule.headings)
    best: tuple[int, Layout] | None = None
    for at, cells in enumerate(rows[:HEADER_WITHIN]):
        layout = layout_of(cells, contract)
        if len(layout.sources) >= min(2, feedable) and (
            best is None or len(layout.sources) > len(best[1].sources)
        ):
            best = at, layout
    return best


def demand_columns(layout: Layout, contract: Contract) -> None:
    for name, rule in contract.fields.items():
        optional = not rule.required or rule.constant is not None or rule.default is not None
        if not optional and rule.mapped and name not in layout.sources:
            raise Refused(
                f"缺少“{rule.label.zh}”列:应为 {'、'.join(rule.headings)} 之一",
                f"no column for {name}: expected one of {', '.join(rule.headings)}",
            )


def no_headings(contract: Contract) -> Refused:
    key = contract.fields[contract.dataset.key]
    return Refused(
        f"前 {HEADER_WITHIN} 行内没有“{contract.label.zh}”的表头:应有 {'、'.join(key.headings)} 等",
        f"no headings of '{contract.name}' in the first {HEADER_WITHIN} rows: "
        f"expected {', '.join(key.headings)} and others",
    )


def is_total(cells: Sequence[str]) -> bool:
    """A row of totals: its first cell that is not empty says so."""
    for cell in cells:
        if cell and not cell.isspace():
            return (
                cell.lstrip()[0] in "合总小共TtGgSs"
                and len(cell) <= 16
                and heading(cell).strip(":") in TOTALS
            )
    return True
