"""The journal: what officials write down in a meeting, and what they say later of what was agreed.

Each line of `journal/decisions-<day>.ndjson` is an agreed item as it stands after one act; lines are only ever added,
so the journal is its own audit. The loader takes the files like those of any other source; a later line of an item
wins by its `updated_at`. Nothing is stored anywhere else.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from dashboard.view import View
from warehouse.scope import tree_of
from warehouse.site import Site
from warehouse.text import Text

PREFIX = "DEC-"
"""How the number of every item begins that was written down here."""
MOST = {"title": 200, "owner": 40}
"""Characters."""
Act = Literal["decided", "amended", "done", "reopened", "withdrawn"]
ACTS: dict[Act, Text] = {
    "done": Text(zh="已办结", en="done"),
    "amended": Text(zh="修改", en="amend"),
    "reopened": Text(zh="重新打开", en="open again"),
    "withdrawn": Text(zh="撤销", en="withdraw"),
}
"""What may be said of an item once it is written down."""
_STATUS: dict[Act, str] = {
    "decided": "open", "amended": "open", "done": "done", "reopened": "open", "withdrawn": "cancelled",
}  # fmt: skip


class NotWritten(Exception):
    """Why nothing was written, in both languages, with the remedy."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.reason = Text(zh=zh, en=en)


@dataclass(frozen=True)
class Decision:
    """An agreed item as its last line has it. Times are the site's local ones as the contract reads them, a day
    meaning its end where something is due; `written_at` is the moment of the line, in UTC."""

    item_id: str
    place: str
    meeting_id: str
    title: str
    category: str
    owner: str
    held_at: str
    due_at: str
    done_at: str
    status: str
    updated_at: str
    act: Act
    written_at: str

    @property
    def closed(self) -> bool:
        return self.status in ("done", "cancelled")


def decide(
    view: View, place: str | None, title: str, owner: str, held: date | None, due: date | None, category: str
) -> Decision:
    """Write down one item agreed on the day `held`. The same item of the same meeting is one, however often it is
    sent. Raises NotWritten."""
    if place is None or not place:
        raise NotWritten("请选择地区。", "Choose the place.")
    if place not in tree_of(view.version).below(view.viewer.scope):
        raise NotWritten(
            f"没有地区“{place}”，请从列表中选择。", f"No place '{place}' here: choose one of the list."
        )
    said, unit = _title(title), _owner(owner)
    if held is None or due is None:
        raise NotWritten("请填写会议日期和完成时限。", "Give the day of the meeting and the due date.")
    _days(view, held, due)
    content = "\n".join((place, held.isoformat(), said, unit))
    now = _clock(view.site)
    first = Decision(
        item_id=f"{PREFIX}{held:%Y%m%d}-{hashlib.sha256(content.encode()).hexdigest()[:10]}",
        place=place,
        meeting_id=f"{PREFIX}{place}-{held:%Y%m%d}",
        title=said,
        category=category or "other",
        owner=unit,
        held_at=held.isoformat(),
        due_at=due.isoformat(),
        done_at="",
        status="open",
        updated_at=_second(now),
        act="decided",
        written_at=_written(),
    )
    with _writing(view.site) as append:
        known = _latest(view.site).get(first.item_id)
        if known is None:
            append(first)
            return first
        if known.status != "cancelled":
            return known
        return append(_next(known, "reopened", now, {}))


def change(
    view: View, item_id: str, act: Act, *, title: str = "", owner: str = "", due: date | None = None
) -> Decision:
    """Write down what became of an item: done, reopened, withdrawn, or amended in what is given. Saying the same again
    adds no line. Raises NotWritten."""
    now = _clock(view.site)
    with _writing(view.site) as append:
        known = _latest(view.site).get(item_id)
        if known is None or known.place not in tree_of(view.version).below(view.viewer.scope):
            raise NotWritten(
                f"本平台没有登记过事项“{item_id}”。", f"No item '{item_id}' was written down here."
            )
        more: dict[str, str] = {}
        if act == "amended":
            if known.closed:
                raise NotWritten("该事项已了结，请先重新打开。", "This item is closed: open it again first.")
            if title.strip():
                more["title"] = _title(title)
            if owner.strip():
                more["owner"] = _owner(owner)
            if due is not None and due.isoformat() != known.due_at:
                _days(view, date.fromisoformat(known.held_at), due)
                more["due_at"] = due.isoformat()
            if not more:
                raise NotWritten("没有填写要修改的内容。", "Nothing to amend was given.")
        made = _next(known, act, now, more)
        same = ("title", "owner", "due_at", "status")
        if all(getattr(made, name) == getattr(known, name) for name in same):
            return known
        return append(made)


def decisions(site: Site) -> tuple[Decision, ...]:
    """Every item written down, as its last line has it, in the order in which they were decided."""
    return tuple(_latest(site).values())


# -- what may be written --------------------------------------------------------------------------------------


def _title(text: str) -> str:
    """The matter, masked as a source's free text is. Raises NotWritten."""
    # Loaded where something is written: its patterns take longer to make than a page.
    from warehouse.masking import mask

    return mask(_plain(text, "title", Text(zh="议定事项", en="the matter")))


def _owner(text: str) -> str:
    from warehouse.masking import is_person, mask

    unit = _plain(text, "owner", Text(zh="责任单位", en="the owner"))
    if mask(unit) != unit or is_person(unit) or sum(sign.isdecimal() for sign in unit) >= 7:
        raise NotWritten(
            "责任单位请填写单位或岗位，不填个人姓名或电话。",
            "The owner is a unit or a post: write no person's name and no number.",
        )
    return unit


def _plain(text: str, name: str, label: Text) -> str:
    """One line of text without signs that cannot be shown. Raises NotWritten where nothing or too much is left."""
    line = "".join(" " if unicodedata.category(sign) in ("Zl", "Zp") else sign for sign in text)
    line = " ".join(line.split())
    odd = next((sign for sign in line if unicodedata.category(sign) in ("Cc", "Cs")), None)
    if odd is not None:
        code = f"U+{ord(odd):04X}"
        raise NotWritten(
            f"{label.zh}中有无法显示的字符（{code}），请删除。",
            f"In {label.en} stands a sign that cannot be shown ({code}): remove it.",
        )
    if not line:
        raise NotWritten(f"请填写{label.zh}。", f"Write down {label.en}.")
    if len(line) > MOST[name]:
        raise NotWritten(
            f"{label.zh}有 {len(line):,} 字，最多 {MOST[name]} 字，请精简。",
            f"{label.en.capitalize()} has {len(line):,} characters, {MOST[name]} at most: shorten it.",
        )
    return line


def _days(view: View, held: date, due: date) -> None:
    today = view.asked.date()
    if held > today:
        raise NotWritten(
            f"会议日期 {held} 晚于今天（{today}）。", f"The meeting on {held} lies after today, {today}."
        )
    if due < max(held, today):
        raise NotWritten(
            f"完成时限 {due} 已过，请填写今天（{today}）或以后的日期。",
            f"The due date {due} has passed: give today, {today}, or a later day.",
        )


# -- lines ----------------------------------------------------------------------------------------------------


def _next(known: Decision, act: Act, now: datetime, more: Mapping[str, str]) -> Decision:
    # Two lines of one second, or a clock that was set back, must not leave the older one in force.
    moment = max(now, datetime.fromisoformat(known.updated_at) + timedelta(seconds=1))
    return replace(
        known,
        status=_STATUS[act],
        done_at=_second(now) if act == "done" else "",
        updated_at=_second(moment),
        act=act,
        written_at=_written(),
        **more,
    )


def _clock(site: Site) -> datetime:
    return site.now().replace(microsecond=0)


def _second(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")


def _written() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


_NAMES = tuple(field.name for field in fields(Decision))


def _latest(site: Site) -> dict[str, Decision]:
    found: dict[str, Decision] = {}
    for path in sorted(site.journal.glob("decisions-*.ndjson")):
        with suppress(OSError):
            for line in path.read_bytes().split(b"\n")[:-1]:
                decision = _decision(line)
                if decision is None:
                    continue
                known = found.get(decision.item_id)
                if known is None or known.updated_at <= decision.updated_at:
                    found[decision.item_id] = decision
    return found


def _decision(line: bytes) -> Decision | None:
    """The item of a line; None where a hand has spoilt it, which the loader's quarantine tells."""
    try:
        data: Any = json.loads(line)
        return Decision(**{name: str(data[name] or "") for name in _NAMES})  # type: ignore[arg-type]
    except (ValueError, TypeError, KeyError):
        return None


class _Append:
    """Adds lines to the file of the day; each is on the disk when the call returns, or not there at all."""

    def __init__(self, site: Site) -> None:
        self._path: Path = site.journal / f"decisions-{site.now():%Y-%m-%d}.ndjson"

    def __call__(self, decision: Decision) -> Decision:
        line = json.dumps({k: v or None for k, v in asdict(decision).items()}, ensure_ascii=False) + "\n"
        # Without a buffer: what a full disk refused must not be tried again at the closing of the file.
        with self._path.open("a+b", buffering=0) as out:
            # A crash may have left half a line: it is no entry, and must not swallow this one.
            whole = self._path.read_bytes().rfind(b"\n") + 1
            out.truncate(whole)
            try:
                if out.write(line.encode()) != len(line.encode()):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(out.fileno())
            except OSError:
                with suppress(OSError):
                    out.truncate(whole)
                raise
        return decision


@contextmanager
def _writing(site: Site) -> Iterator[_Append]:
    """Hold the journal alone, over all processes: its folder is the lock. Raises NotWritten when it cannot be
    written."""
    try:
        site.journal.mkdir(parents=True, exist_ok=True)
        folder = os.open(site.journal, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield _Append(site)
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise NotWritten(
            f"未能写入 {site.journal}（{error.strerror}）；内容仍在表单中，处理后请再次提交。",
            f"Nothing was written: {site.journal}: {error.strerror}. What you typed is still in the form: "
            "mend this and send it again.",
        ) from error
