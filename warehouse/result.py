"""What a measure can answer: a value with its counts, or plainly why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.period import Period


@dataclass(frozen=True)
class Value:
    """A figure. A rate is a share (0.91), with whole `n` of `d`; a count has only `n`; a quantile has
    `n` = how many records it rests on. Units stand in the catalogue."""

    value: float
    n: float | None = None
    d: float | None = None


@dataclass(frozen=True)
class NoData:
    """Nothing to count: 0/0, or no record yet. Never zero."""


@dataclass(frozen=True)
class Suppressed:
    """Counted, but not shown, to protect the people concerned: fewer than `below`, or (`second`) because a figure
    that is could be worked out."""

    below: int
    second: bool = False


@dataclass(frozen=True)
class NotApplicable:
    """Cannot be asked here: the site has no such source, or the grain is too fine. `otherwise`: the same is told of
    another stretch of time, or not by class."""

    reason: str
    otherwise: bool = False


Result = Value | NoData | Suppressed | NotApplicable


def status_of(result: Result) -> str:
    """The status as JSON spells it: value, no_data, suppressed, not_applicable."""
    return {Value: "value", NoData: "no_data", Suppressed: "suppressed", NotApplicable: "not_applicable"}[
        type(result)
    ]


def reason_of(result: Result) -> str | None:
    """Why there is no figure, in a few words; None where there is one, or simply no data."""
    match result:
        case Suppressed(below=below, second=False):
            return f"fewer than {below}"
        case Suppressed():
            return "a figure that is not shown could be worked out from it"
        case NotApplicable(reason=reason):
            return reason
    return None


@dataclass(frozen=True)
class Cell:
    """One answered cell: a measure for one place, one period and, where asked for, one class."""

    measure: str
    place: str
    period: Period
    key: str | None
    result: Result
