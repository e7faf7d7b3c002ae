"""Whatever comes, in whatever order, and whatever is undone later: the records are what they would be had only
the batches that stand ever come. The oracle is plain Python and never sees a revoked batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CASES, CASES_MART, text

from warehouse.images import relation
from warehouse.marts import GRAINS, counted_by
from warehouse.mistake import Mistake
from warehouse.site import Site
from warehouse.store import Applied, Batch, Store
from warehouse.version import current

START = datetime(2024, 1, 1)


@dataclass(frozen=True)
class Row:
    """A case as a source sends it; `updated` and `due` in days from the start."""

    id: str
    place: str
    updated: int | None
    due: int
    gone: bool = False


class Clocked(Site):
    """A site whose clock the test sets."""

    def now(self) -> datetime:
        return _clock[0]


_clock = [START]

rows = st.builds(
    Row,
    id=st.sampled_from("abcd"),
    place=st.sampled_from(("G1", "G2", "G3")),
    updated=st.one_of(st.none(), st.integers(1, 5)),
    due=st.integers(0, 6),
    gone=st.sampled_from((False, False, False, True)),
)


@dataclass
class Oracle:
    """What stands: batch → its rows, in order of arrival."""

    batches: dict[int, list[Row]] = field(default_factory=dict)

    def records(self) -> dict[str, Row]:
        """Of each key the image with the latest update time, then the latest arrival; tombstones left out."""
        best: dict[str, tuple[tuple[bool, int, int, int], Row]] = {}
        for batch, images in self.batches.items():
            for number, row in enumerate(images):
                rank = (row.updated is not None, row.updated or 0, batch, number)
                if row.id not in best or best[row.id][0] < rank:
                    best[row.id] = (rank, row)
        return {key: row for key, (_, row) in best.items() if not row.gone}


def apply(
    store: Store,
    good: Sequence[Row],
    bad: Iterable[int] = (),
    retry_of: int | None = None,
    numbers: Sequence[int] | None = None,
) -> Applied:
    """One batch; `numbers`: the rows' numbers in the file, from 1 when left out. `bad`: those of bad rows."""
    run = store.connection.execute
    run(
        "create or replace temp table good (id varchar, place varchar, reported timestamp, due timestamp,"
        " closed timestamp, updated timestamp, _row bigint, _deleted boolean)"
    )
    days = [
        (row.id, row.place, START, START + timedelta(days=row.due), None, moment(row), number, row.gone)
        for number, row in zip(numbers or range(1, len(good) + 1), good, strict=True)
    ]
    marks = ", ".join("(" + ", ".join("?" * len(cells)) + ")" for cells in days)
    run(f"insert into good values {marks}", [cell for cells in days for cell in cells])
    run("create or replace temp table bad (row bigint, line bigint, raw varchar, reasons varchar[])")
    bad = list(bad)
    for number in bad:
        run("insert into bad values (?, ?, 'raw', ['pattern:id'])", [number, number + 1])
    read = 0 if retry_of is not None else len(good) + len(bad)
    return store.apply(
        Batch("cases", CASES.label, CASES, "cases.csv", "x", read, "good", "bad", None, 24, retry_of=retry_of)
    )


def moment(row: Row) -> datetime | None:
    return None if row.updated is None else START + timedelta(days=row.updated)


def shown(row: Row) -> tuple[object, ...]:
    return (row.id, row.place, moment(row))


def images(store: Store, kind: str) -> str:
    return relation(store.connection, store.datasets["cases"], kind, ["_batch"])


def records(store: Store, kind: str = "rec") -> list[tuple[object, ...]]:
    rows = images(store, kind)
    return store.connection.execute(f"select id, place, updated from {rows} order by id").fetchall()


def known_after(store: Store, batch: int) -> list[tuple[object, ...]]:
    """The records as they were known after a batch, from the images."""
    return store.connection.execute(
        f"select id, place, updated from {images(store, 'rec')} where _batch <= $batch"
        " union all select id, place, updated from past_cases where not _deleted and _batch <= $batch and $batch < _until order by id",
        {"batch": batch},
    ).fetchall()


def published_and_counted_anew(store: Store) -> None:
    store.publish()
    found = current(store.site)
    assert found.rows("select id, place, updated from cases order by id") == records(store)
    for grain in GRAINS:
        anew = store.connection.execute(
            counted_by(
                CASES_MART, grain, images(store, "rec"), "(select null as code, null as township limit 0)"
            ),
            {"cutoff": found.cutoff},
        ).fetchall()
        assert found.rows(f"select * from cases_{grain}") == anew


def opened(folder: Path) -> Store:
    return Store.open(Clocked(folder=folder, name=text("Small"), home="K"), marts=[CASES_MART], models=[])


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_after_any_history_the_records_are_those_of_the_batches_that_stand(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("history")
    _clock[0] = START
    oracle = Oracle()
    after: dict[int, dict[str, Row]] = {}
    waiting: dict[int, dict[int, Row]] = {}
    retries: dict[int, list[int]] = {}
    store = opened(folder)
    try:
        for _ in range(data.draw(st.integers(3, 8), label="steps")):
            step = data.draw(st.sampled_from(("load", "load", "load", "undo", "retry", "reopen", "fold")))
            if step == "load":
                good = data.draw(st.lists(rows, min_size=1, max_size=4))
                wrong = data.draw(st.lists(rows, max_size=2))
                number = apply(store, good, range(len(good) + 1, len(good) + 1 + len(wrong))).batch
                oracle.batches[number] = good
                waiting[number] = dict(enumerate(wrong, len(good) + 1))
            elif step == "undo" and oracle.batches:
                number = data.draw(st.sampled_from(sorted(oracle.batches)))
                undo = store.undo(number).batch
                for revoked in (number, *retries.pop(number, ())):
                    oracle.batches.pop(revoked, None)
                waiting.pop(number, None)
                number = undo
            elif step == "retry" and any(waiting.values()):
                of = data.draw(st.sampled_from([batch for batch, there in waiting.items() if there]))
                chosen = data.draw(st.lists(st.sampled_from(sorted(waiting[of])), min_size=1, unique=True))
                mended = [waiting[of].pop(at) for at in sorted(chosen)]
                number = apply(store, mended, retry_of=of, numbers=sorted(chosen)).batch
                oracle.batches[number] = mended
                retries.setdefault(of, []).append(number)
                # A retry is undone with the batch it mends; here not by itself.
                waiting.setdefault(number, {})
            elif step == "reopen":
                store.close()
                store = opened(folder)
                continue
            else:
                store.fold()
                continue
            _clock[0] += timedelta(hours=data.draw(st.integers(0, 30)))
            after[number] = oracle.records()
            assert records(store) == sorted(map(shown, oracle.records().values()))
            published_and_counted_anew(store)
        for number, known in after.items():
            assert known_after(store, number) == sorted(map(shown, known.values()))
        (account,) = current(store.site).sources if after else (None,)
        if account is not None:
            assert account.read == account.kept + account.quarantined
            assert account.quarantined == len(store.quarantined())
    finally:
        store.close()


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_order_and_split_make_no_difference_and_the_same_again_changes_nothing(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _clock[0] = START
    # Two images of a key with the same update time are told apart by their arrival alone: none such here.
    images = data.draw(
        st.lists(
            rows.filter(lambda row: row.updated), min_size=1, unique_by=lambda row: (row.id, row.updated)
        )
    )
    expected = sorted(map(shown, Oracle({1: images}).records().values()))
    shuffled = data.draw(st.permutations(images))
    cut = data.draw(st.integers(0, len(images)))
    with opened(tmp_path_factory.mktemp("orders")) as store:
        for part in (shuffled[:cut], shuffled[cut:]):
            if part:
                apply(store, part)
                published_and_counted_anew(store)
        assert records(store) == expected
        version = current(store.site).id
        again = apply(store, images)
        assert (again.new, again.changed, again.stale) == (0, 0, len(images))
        assert records(store) == expected
        store.publish()
        assert (
            current(store.site).rows("select * from cases order by id")
            == store.connection.execute(
                "select id, place, reported, due, closed, updated from cases order by id"
            ).fetchall()
        )
        assert current(store.site).id >= version


def test_a_restored_image_is_undone_with_the_batch_that_first_brought_it(tmp_path: Path) -> None:
    first, second = Row("a", "G1", 1, 0), Row("a", "G2", 2, 0)
    with opened(tmp_path) as store:
        apply(store, [first])
        apply(store, [second])
        store.undo(2)
        assert records(store) == [shown(first)]
        store.undo(1)
        assert records(store) == []
        assert records(store, "gone") == [("a", None, None)]


def test_a_stale_image_comes_to_count_when_all_later_ones_are_undone(tmp_path: Path) -> None:
    newer, older = Row("a", "G2", 5, 0), Row("a", "G1", 1, 0)
    with opened(tmp_path) as store:
        apply(store, [newer])
        assert apply(store, [older]).stale == 1
        store.undo(1)
        assert records(store) == [shown(older)]


def test_what_cannot_be_undone_says_why(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        apply(store, [Row("a", "G1", 1, 0)])
        store.apply(Batch("cases", CASES.label, CASES, "b.csv", "b", 0, "", "", "no header", 24))
        undo = store.undo(1).batch
        for batch, why in (
            (1, "is undone already, by batch 3"),
            (2, "brought nothing"),
            (undo, "is an undo itself"),
            (9, "no such batch"),
        ):
            with pytest.raises(Mistake, match=f"batch {batch}: {why}"):
                store.undo(batch)
