"""What became of the items written down here: for the meeting, for the list of the day, and for the head of a brief."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from dashboard.blocks import Column, Lamp, Row, Table
from dashboard.figures import choice_labels
from dashboard.journal import PREFIX, Decision, decisions
from dashboard.names import place_names
from dashboard.view import View
from warehouse.scope import tree_of

FOLLOWED = 10
"""Items named in what became of them: the overdue first, then the open, then the done."""
WRITTEN = 20
"""Items of the journal listed, the newest first."""
SLOW_SECONDS = 60
"""A line that the loader has not taken after so long is no longer only on its way."""


@dataclass(frozen=True)
class _Item:
    """An agreed item of the version: `due_at` is the end of its day."""

    title: str
    place: str
    owner: str
    held_at: datetime
    due_at: datetime
    done_at: datetime | None
    status: str

    def state(self, cutoff: datetime) -> Lamp:
        """good: done; off: overdue; neutral: open; none: withdrawn."""
        if self.status == "cancelled":
            return "none"
        if self.done_at is not None:
            return "good"
        return "off" if self.due_at < cutoff else "neutral"


def followed_up(view: View) -> Table | None:
    """What became, by the cut-off, of the items written down at earlier meetings: those held since the period before
    the view's began, and older ones still open; not those of the cut-off's own day. None where there are none. Made of
    the version alone."""
    since = datetime.combine(view.period.previous().start, time())
    today = datetime.combine(view.cutoff.date(), time())
    found = [
        item
        for item in _items(view)
        if item.status != "cancelled"
        and item.held_at < today
        and (item.done_at is None or item.held_at >= since)
    ]
    if not found:
        return None
    states = [item.state(view.cutoff) for item in found]
    done, overdue = states.count("good"), states.count("off")
    order: dict[Lamp, int] = {"off": 0, "neutral": 1, "good": 2}
    found.sort(key=lambda item: (order[item.state(view.cutoff)], item.due_at, item.title))
    places = place_names(view)
    rows = tuple(
        Row(
            (
                item.title, places.get(item.place, item.place), item.owner, f"{item.due_at:%Y-%m-%d}",
                _word(view, item),
            ),
            lamp=item.state(view.cutoff),
        )
        for item in found[:FOLLOWED]
    )  # fmt: skip
    return Table(
        title=view.text("上次议定事项的落实情况", "What became of what was decided"),
        columns=_columns(view),
        rows=rows,
        total=len(found),
        sentence=view.text(
            f"本平台登记的议定事项 {len(found)} 项：办结 {done} 项，办理中 {len(found) - done} 项，其中逾期 {overdue} 项。",
            f"Of {len(found)} items written down here {done} are done and {len(found) - done} open, "
            f"{overdue} of them overdue.",
        ),
    )


def written_down(view: View) -> Table:
    """The items of the journal in this scope as their last lines have them, those not yet loaded among them."""
    held = in_scope(view)
    waiting = not_loaded(view, held)
    places = place_names(view)
    rows = [
        Row(
            (
                decision.title,
                places.get(decision.place, decision.place),
                decision.owner,
                decision.due_at[:10],
                waiting.get(decision.item_id) or _word(view, _read(decision)),
            ),
            lamp="near" if decision.item_id in waiting else _read(decision).state(view.asked),
        )
        for decision in reversed(held)
    ]
    return Table(
        title=view.text("本平台登记的议定事项", "Items written down here"),
        columns=_columns(view),
        rows=tuple(rows[:WRITTEN]),
        total=len(rows),
        note=view.text(
            "登记后数秒内入库，并计入办结率、按期办结率和逾期件数。",
            "Loaded within seconds; they count as agreed items, done, on time and overdue.",
        ),
        empty=view.text("尚未在本平台登记议定事项。", "No item has been written down here yet."),
        printed=False,
    )


def in_scope(view: View) -> list[Decision]:
    """The journal's items of this place and below, in the order in which they were decided."""
    if not view.viewer.official:
        return []
    inside = tree_of(view.version).below(view.scope.code)
    return [decision for decision in decisions(view.site) if decision.place in inside]


def not_loaded(view: View, held: Sequence[Decision]) -> Mapping[str, str]:
    """What is said of each item whose last line is not in the version yet, by its number."""
    if not held:
        return {}
    known: dict[str, datetime] = {}
    if "work_items" in view.version.datasets:
        known = dict(
            view.version.rows(
                "select item_id, updated_at from work_items where item_id in (select unnest($ids))",
                {"ids": [decision.item_id for decision in held]},
            )
        )
    now = datetime.now().astimezone()
    out: dict[str, str] = {}
    for decision in held:
        loaded = known.get(decision.item_id)
        if loaded is not None and loaded >= datetime.fromisoformat(decision.updated_at):
            continue
        late = (now - datetime.fromisoformat(decision.written_at)).total_seconds() > SLOW_SECONDS
        out[decision.item_id] = (
            view.text("仍未入库，请检查入库程序", "still not loaded: is the loader running?")
            if late
            else view.text("待入库", "being loaded")
        )
    return out


def owners(view: View) -> list[str]:
    """Units that own agreed items in this scope, those with most first."""
    if "work_items" not in view.version.datasets:
        return []
    return [
        str(owner)
        for (owner,) in view.version.rows(
            "select owner from work_items where place in (select unnest($places)) and owner is not null "
            "group by owner order by count(*) desc, owner",
            {"places": sorted(tree_of(view.version).below(view.scope.code))},
        )
    ]


def categories(view: View) -> dict[str, str]:
    """The classes an agreed item may have, by code."""
    labels = choice_labels(view, "work_items", "category")
    return {code: label[view.lang] for code, label in labels.items()}


def _items(view: View) -> list[_Item]:
    if "work_items" not in view.version.datasets or not view.viewer.official:
        return []
    rows = view.version.rows(
        "select title, place, owner, held_at, due_at, done_at, coalesce(status, '') from work_items "
        "where starts_with(item_id, $prefix) and place in (select unnest($places))",
        {"prefix": PREFIX, "places": sorted(tree_of(view.version).below(view.scope.code))},
    )
    return [
        _Item(title, place, owner, held_at, _end(due_at), done_at, status)
        for title, place, owner, held_at, due_at, done_at, status in rows
    ]


def _read(decision: Decision) -> _Item:
    return _Item(
        decision.title,
        decision.place,
        decision.owner,
        datetime.fromisoformat(decision.held_at),
        _end(datetime.fromisoformat(decision.due_at)),
        datetime.fromisoformat(decision.done_at) if decision.done_at else None,
        decision.status,
    )


def _end(due: datetime) -> datetime:
    """A due date given without an hour means the end of that day, as in the measures."""
    return due + timedelta(seconds=86399) if due.time() == time() else due


def _word(view: View, item: _Item) -> str:
    match item.state(view.cutoff):
        case "good":
            return view.text(f"已办结（{item.done_at:%m-%d}）", f"done on {item.done_at:%m-%d}")
        case "off":
            days = max(1, (view.cutoff - item.due_at).days)
            return view.text(f"逾期 {days} 天", f"{days} d overdue")
        case "none":
            return view.text("已撤销", "withdrawn")
        case _:
            return view.text("办理中", "open")


def _columns(view: View) -> tuple[Column, ...]:
    return (
        Column(view.text("议定事项", "Item"), width=2.6),
        Column(view.text("地区", "Place"), width=1.2),
        Column(view.text("责任单位", "Owner"), width=1.6),
        Column(view.text("完成时限", "Due")),
        Column(view.text("落实情况", "State"), width=1.4),
    )
