"""Which column of a file feeds which field of its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pipelines.contract import Contract, heading
from warehouse.text import Text

HEADER_WITHIN = 30
"""A title, a date line and merged cells may stand above the headings, not a whole page."""
TOTALS = frozenset({"合计", "总计", "小计", "共计", "total", "grandtotal", "subtotal"})
TOTAL_LETTERS = "合总小共TtGgSs"
TOTAL_WITHIN = 16
"""Letters that the word for a total begins with, and characters it has at most, as written."""

_ALIKE = 0.6
_COMPARED = 200


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
    blocked = contract.blocked
    aliases: set[str] = set()
    private: set[str] = set()
    sources: dict[str, tuple[str, ...]] = {}
    for name, rule in contract.fields.items():
        if rule.privacy == "drop":
            continue
        wanted = contract.wanted[name]
        aliases.update(wanted)
        present = [text for text in wanted if text in positions and text not in blocked]
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
    """The row, among the first ones, that names most of the contract's fields.

    Where headings are merged downwards or sideways, two rows together may name more than either: then the
    lower one is found, and its empty cells are named by those above.
    """
    feedable = sum(1 for rule in contract.fields.values() if rule.mapped and rule.headings)
    best: tuple[int, Layout] | None = None
    for at, cells in enumerate(rows[:HEADER_WITHIN]):
        layout = layout_of(cells, contract)
        if at and any(cell.strip() for cell in rows[at - 1]) and any(cell.strip() for cell in cells):
            both = layout_of(_under(rows[at - 1], cells), contract)
            alone = max(len(layout.sources), len(layout_of(rows[at - 1], contract).sources))
            if len(both.sources) > alone:
                layout = both
        if len(layout.sources) >= min(2, feedable) and (
            best is None or len(layout.sources) > len(best[1].sources)
        ):
            best = at, layout
    return best


def _under(above: Sequence[str], below: Sequence[str]) -> list[str]:
    width = max(len(above), len(below))
    upper, lower = ([*row, *[""] * (width - len(row))] for row in (above, below))
    return [low if low.strip() else high for high, low in zip(upper, lower, strict=True)]


def demand_columns(layout: Layout, contract: Contract) -> None:
    """Raise Refused when a required field has no column, naming the heading that may have been meant."""
    for name, rule in contract.fields.items():
        optional = not rule.required or rule.constant is not None or rule.default is not None
        if optional or not rule.mapped or name in layout.sources:
            continue
        near = _near_miss(rule.headings, layout)
        zh = f";文件中有“{near[0]}”,是否即“{near[1]}”?" if near else ""
        en = f"; the file has '{near[0]}': did you mean '{near[1]}'?" if near else ""
        raise Refused(
            f"缺少“{rule.label.zh}”列:应为 {'、'.join(rule.headings)} 之一{zh}",
            f"no column for {name}: expected one of {', '.join(rule.headings)}{en}",
        )


def _near_miss(headings: Sequence[str], layout: Layout) -> tuple[str, str] | None:
    """(a heading of the file that feeds nothing, the one it resembles), the likest pair."""
    pairs = [
        (_likeness(heading(wanted), unknown), layout.spelled[unknown], wanted)
        for unknown in layout.unknown[:_COMPARED]
        for wanted in headings
    ]
    best = max(pairs, key=lambda pair: pair[0], default=None)
    return None if best is None or best[0] < _ALIKE else best[1:]


def _likeness(one: str, other: str) -> float:
    if min(len(one), len(other)) >= 2 and (one in other or other in one):
        return 1.0
    return SequenceMatcher(None, one, other).ratio()


def no_headings(contract: Contract) -> Refused:
    key = contract.fields[contract.dataset.key]
    return Refused(
        f"前 {HEADER_WITHIN} 行内没有“{contract.label.zh}”的表头:应有 {'、'.join(key.headings)} 等",
        f"no headings of '{contract.name}' in the first {HEADER_WITHIN} rows: "
        f"expected {', '.join(key.headings)} and others",
    )


def is_total(cells: Sequence[str]) -> bool:
    """A row of totals: its first cell that is not empty says so. A row without such a cell is none either."""
    for cell in cells:
        if cell and not cell.isspace():
            word = cell.strip()
            return (
                word[0] in TOTAL_LETTERS and len(word) <= TOTAL_WITHIN and heading(word).strip(":") in TOTALS
            )
    return True
