"""Lists of single matters, for officials on the screen: never on a wall, never in print."""

from __future__ import annotations

from datetime import date, datetime

from dashboard.blocks import Block, Column, Note, Row, Table
from dashboard.names import place_names
from dashboard.view import View
from warehouse.dataset import Dataset
from warehouse.listing import records
from warehouse.mistake import Mistake, nearest
from warehouse.text import Text

SHOWN = 20
CASE_FIELDS = ("reported_at", "place", "category", "channel", "status", "due_at", "closed_at")
ITEM_FIELDS = ("title", "place", "owner", "held_at", "due_at")


def latest_cases(view: View) -> Table:
    """The newest cases of the period in scope, each opening its record."""
    return _table(
        view,
        "cases",
        CASE_FIELDS,
        view.text("最近事件", "Latest cases"),
        view.text("选中一行查看办理过程。", "Open a row to see how it was handled."),
        order="reported_at desc",
    )


def overdue_cases(view: View) -> Table:
    """Cases open past their due time at the cut-off, the longest overdue first."""
    return _table(
        view,
        "cases",
        CASE_FIELDS,
        view.text("超期未结事件", "Overdue open cases"),
        view.text("按超期时间排列。", "Longest overdue first."),
        order="due_at",
        counts_in="overdue_open_cases",
    )


def overdue_items(view: View) -> Table:
    """Agreed items open past their due date at the cut-off, the longest overdue first."""
    return _table(
        view,
        "work_items",
        ITEM_FIELDS,
        view.text("逾期未办结议定事项", "Overdue agreed items"),
        view.text("按逾期时间排列。", "Longest overdue first."),
        order="due_at",
        counts_in="overdue_items",
    )


def _table(
    view: View,
    dataset: str,
    names: tuple[str, ...],
    title: str,
    note: str,
    *,
    order: str,
    counts_in: str = "",
) -> Table:
    known = view.version.datasets.get(dataset)
    empty = view.text("没有记录。", "No records.")
    if known is None or not view.viewer.official:
        return Table(title, (), (), empty=empty, printed=False)
    columns_found, found, total = records(
        view.version,
        view.viewer,
        dataset,
        view.scope.code,
        None if counts_in else view.period,
        where={
            key: value
            for key, value in (("counts_in", counts_in), ("category", view.chosen("category")))
            if value
        },
        order=order,
        limit=SHOWN,
    )
    places = place_names(view)
    columns = [
        Column(known.field(n).label[view.lang], width=2.4 if n in ("title", "place") else 1.4) for n in names
    ]
    rows = []
    for row in found:
        values = dict(zip(columns_found, row, strict=True))
        rows.append(
            Row(
                tuple(shown(view, known, n, values.get(n), places) for n in names),
                address=(("dataset", dataset), ("record", str(values[known.key]))),
                lamp="off" if counts_in else "none",
            )
        )
    return Table(
        title=title,
        columns=tuple(columns),
        rows=tuple(rows),
        total=total,
        note=note,
        empty=empty,
        printed=False,
    )


def record(view: View) -> tuple[Block, ...]:
    """One record: what it is, and what happened to it when. Raises Mistake when it is not in scope."""
    known = view.version.datasets.get(view.dataset)
    if known is None:
        raise Mistake(
            "dataset", f"unknown record set '{view.dataset}'", nearest(view.dataset, view.version.datasets)
        )
    names, rows, _ = records(
        view.version, view.viewer, view.dataset, view.scope.code, where={known.key: view.record}, limit=1
    )
    if not rows:
        raise Mistake(
            "record", f"no {view.dataset} record '{view.record}' in this place", "go back to the list"
        )
    values = dict(zip(names, rows[0], strict=True))
    places = place_names(view)
    facts: list[tuple[str, str]] = []
    moments: list[tuple[datetime | date, str, str]] = []
    for field in known.fields:
        value = values.get(field.name)
        if value is None:
            continue
        text = shown(view, known, field.name, value, places)
        if field.role in ("event", "due", "updated"):
            kind = {
                "event": view.text("发生", "happened"),
                "due": view.text("时限", "due"),
                "updated": view.text("更新", "updated"),
            }[field.role]
            moments.append((value, field.label[view.lang], kind))
        else:
            facts.append((field.label[view.lang], text))
    moments.sort(key=lambda m: str(m[0]))
    return (
        Note(f"{known.label[view.lang]} {view.record}", items=tuple(facts)),
        Table(
            title=view.text("办理过程", "Timeline"),
            columns=(
                Column(view.text("时间", "Time"), width=1.4),
                Column(view.text("环节", "Step"), width=2),
                Column(view.text("类别", "Kind")),
            ),
            rows=tuple(Row((_time(moment), label, kind)) for moment, label, kind in moments),
            total=len(moments),
            printed=False,
        ),
    )


def shown(view: View, dataset: Dataset, name: str, value: object, places: dict[str, str]) -> str:
    """One value as read: times short, choices by label, places by name."""
    if value is None:
        return "–"
    field = dataset.field(name)
    if isinstance(value, datetime | date):
        return _time(value)
    if field.role == "place":
        return places.get(str(value), str(value))
    if field.choices:
        label: Text | None = next((c.label for c in field.choices if c.code == str(value)), None)
        return label[view.lang] if label else str(value)
    return str(value)


def _time(value: datetime | date) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return value.isoformat()
