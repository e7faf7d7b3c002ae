"""Every worked example of the catalogue, answered by the real query."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.world import datasets, world
from warehouse.catalogue import Example, Measure, catalogue
from warehouse.dataset import Dataset
from warehouse.query import query
from warehouse.result import NoData, Value
from warehouse.site import Params
from warehouse.viewer import Viewer


def needed(measure: Measure) -> dict[str, Dataset]:
    """Only what the measure reads: a world of everything takes ten times as long to make."""
    names = {"places", "place_groups", *catalogue().reads(measure.table)}
    return {name: dataset for name, dataset in datasets().items() if name in names}


EXAMPLES = [
    pytest.param(measure, example, id=f"{measure.name}-{position + 1}")
    for measure in catalogue().measures.values()
    for position, example in enumerate(measure.examples)
]


@pytest.mark.parametrize(("measure", "example"), EXAMPLES)
def test_a_worked_example_comes_out_as_the_catalogue_says(measure: Measure, example: Example) -> None:
    # Small protected counts are shown here: the example is about the count.
    params = Params(**({"suppress_below": 0} | dict(example.params)))
    version = world(example.rows, example.cutoff, params, known=needed(measure))
    (cell,) = query(version, Viewer("K"), [measure.name], example.scope, [example.period])
    if example.n is None and example.value is None:
        assert cell.result == NoData()
        return
    assert isinstance(cell.result, Value)
    assert cell.result.n == example.n
    assert cell.result.d == example.d
    expected = example.value
    if expected is None and example.n is not None:
        expected = example.n / example.d * measure.scale if example.d else example.n
    assert cell.result.value == pytest.approx(expected)


@pytest.mark.parametrize(("measure", "example"), EXAMPLES)
def test_a_worked_example_comes_out_the_same_from_the_records_of_a_later_version(
    measure: Measure, example: Example
) -> None:
    params = Params(**({"suppress_below": 0} | dict(example.params)))
    at_once = world(example.rows, example.cutoff, params, known=needed(measure))
    later = world(example.rows, example.cutoff + timedelta(days=400), params, known=needed(measure))
    asked = ([measure.name], example.scope, [example.period])
    now = query(at_once, Viewer("K"), *asked)
    then = query(later, Viewer("K"), *asked, cutoff=example.cutoff)
    assert then == now
