"""What a difference, a rank or a hotspot is worth: intervals, tests and smoothing, as pure functions.

Places are positions in a sequence; `neighbours[i]` holds the positions next to place i. None among the values
is a place that was not observed: it is left out of every sum, and is answered with None. All tests take the
records as one draw of what could have happened: 12 of 20 is weaker evidence than 1,200 of 2,000.
Words for people are made elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from statistics import NormalDist
from typing import Literal

from warehouse.mistake import Mistake

Direction = Literal["up", "down", "none"]
Label = Literal["new", "persistent", "intensifying", "fading"]
Neighbours = Sequence[Collection[int]]

LEVEL = 0.95
RANK_FROM = 20
"""Below this denominator no rank is given; a site sets `rank_from`."""
LABEL_FROM = 4
"""Fewer observed months than this give no label but `new`."""
NEW_UP_TO = 3
"""A hotspot of more months in a row than this is no longer new."""

_NORMAL = NormalDist()


# Rates and counts


def wilson(n: float, d: float, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of the share n/d, from 0 to 1, for 0 ≤ n ≤ d and d > 0; else raises Mistake.

    (n + z²/2 ± z √(n(d−n)/d + z²/4)) / (d + z²), where z is the normal quantile of (1 + level)/2.
    0/d begins at exactly 0, d/d ends at exactly 1. Source: Wilson, JASA 22 (1927) 209; Newcombe, Statistics
    in Medicine 17 (1998) 857, method 3.
    """
    if not (d > 0 and 0 <= n <= d):
        raise Mistake("wilson", f"no share: {n} of {d}", "give 0 ≤ n ≤ d and d > 0; 0/0 is no data")
    if not 0 < level < 1:
        raise Mistake("wilson", f"no level: {level}", "give a level between 0 and 1, such as 0.95")
    # From the lower tail: 1 − level is exact where the level is near 1.
    z = -_NORMAL.inv_cdf((1 - level) / 2)
    centre = (n + z * z / 2) / (d + z * z)
    half = z / (d + z * z) * math.sqrt(n * (d - n) / d + z * z / 4)
    low = 0.0 if n == 0 else max(0.0, centre - half)
    high = 1.0 if n == d else min(1.0, centre + half)
    return low, high


@dataclass(frozen=True)
class Change:
    """Whether a figure really changed, and by how much.

    `direction` is "none" where chance alone could make the difference. `size` is the observed difference: for a
    rate in percentage points, with its interval `low` to `high` in points; for a count in percent of the earlier
    one, None where that was 0, and without interval.
    """

    direction: Direction
    size: float | None
    unit: Literal["points", "percent"]
    low: float | None = None
    high: float | None = None


def real_change(n1: float, d1: float, n0: float, d0: float, level: float = LEVEL) -> Change:
    """The change of a rate from n0/d0 to n1/d1, in percentage points.

    Real where Newcombe's interval of the difference leaves out 0: with p = n/d and (l, u) its Wilson interval,
    p1 − p0 − √((p1−l1)² + (u0−p0)²) to p1 − p0 + √((u1−p1)² + (p0−l0)²). Raises Mistake as `wilson` does.
    Source: Newcombe, Statistics in Medicine 17 (1998) 873, method 10 (hybrid score, no continuity correction).
    """
    low, high = _newcombe(n1, d1, n0, d0, level)
    direction: Direction = "up" if low > 0 else "down" if high < 0 else "none"
    return Change(direction, 100 * (n1 / d1 - n0 / d0), "points", 100 * low, 100 * high)


def real_change_of_count(
    n1: int, n0: int, exposure1: float = 1.0, exposure0: float = 1.0, level: float = LEVEL
) -> Change:
    """The change of a count from n0 to n1, in percent; of n/exposure where the exposures (days, households) differ.

    Real where the exact conditional test of two Poisson counts says so: given n1 + n0, n1 is binomial with
    probability e1/(e1+e0); p is twice the smaller tail (the central test, which agrees with its interval).
    Cases that come in clusters vary more than Poisson counts do: then "up" and "down" are said too easily.
    Raises Mistake for a negative count or an exposure of 0. Source: Przyborowski & Wilenski, Biometrika 31
    (1940) 313; Fay, R Journal 2(1) (2010) 53.
    """
    if n1 < 0 or n0 < 0 or n1 != int(n1) or n0 != int(n0):
        raise Mistake("real_change_of_count", f"no counts: {n1} and {n0}", "give whole numbers from 0")
    if exposure1 <= 0 or exposure0 <= 0:
        raise Mistake(
            "real_change_of_count", f"no exposure: {exposure1} and {exposure0}", "give exposures above 0"
        )
    expected = (n1 + n0) * exposure1 / (exposure1 + exposure0)
    p = _central_p(int(n1), int(n0), exposure1 / (exposure1 + exposure0))
    direction: Direction = "none"
    if p <= 1 - level:
        direction = "up" if n1 > expected else "down"
    size = 100 * (n1 * exposure0 / (n0 * exposure1) - 1) if n0 else None
    return Change(direction, size, "percent")


def _newcombe(n1: float, d1: float, n0: float, d0: float, level: float) -> tuple[float, float]:
    l1, u1 = wilson(n1, d1, level)
    l0, u0 = wilson(n0, d0, level)
    p1, p0 = n1 / d1, n0 / d0
    return p1 - p0 - math.hypot(p1 - l1, u0 - p0), p1 - p0 + math.hypot(u1 - p1, p0 - l0)


def _central_p(n1: int, n0: int, share: float) -> float:
    """Twice the smaller tail of Binomial(n1 + n0, share) at n1, at most 1."""
    if n1 < (n1 + n0) * share:
        # The lower tail of n1 is the upper tail of n0.
        n1, n0, share = n0, n1, 1 - share
    total = n1 + n0
    if total == 0:
        return 1.0
    # P(X ≥ n1), from n1 up: above the mean each term is smaller than the one before.
    term = math.exp(
        math.lgamma(total + 1) - math.lgamma(n1 + 1) - math.lgamma(n0 + 1)
        + n1 * math.log(share) + n0 * math.log1p(-share)
    )  # fmt: skip
    tail = term
    for k in range(n1, total):
        term *= (total - k) / (k + 1) * share / (1 - share)
        tail += term
        if term < tail * 1e-17:
            break
    return min(1.0, 2 * tail)


# Ranks


def bands(
    rates: Sequence[tuple[float, float]],
    *,
    best: Literal["high", "low"] = "high",
    rank_from: float = RANK_FROM,
    level: float = LEVEL,
) -> list[int | None]:
    """The band of each rate (n, d), 1 the best; rates that cannot be told apart share one. None where d < rank_from.

    Two rates are told apart where Newcombe's interval of their difference (`real_change`) leaves out 0 at the level
    1 − (1 − level)/k, with k = m(m−1)/2 pairs of m ranked rates (Bonferroni). In the order of the rates a new band
    begins where every rate on the one side is told apart from every rate on the other. So the chance that any
    band boundary is mistaken is about 1 − level (5 %) at most, as near as Newcombe's interval holds; rates of different bands are always told apart;
    a better rate is never in a worse band; the order of the rates given does not matter. What cannot be told
    apart is not transitive (A like B, B like C, A unlike C): such a chain is one band, so bands are few and
    one small place can join two. `rank_ranges` says more about each place.
    """
    order = _ranked(rates, best, rank_from)
    apart = _told_apart([rates[i] for i in order], level)
    out: list[int | None] = [None] * len(rates)
    # How far down each rate reaches: the last one it cannot be told apart from; then the farthest so far.
    reach = accumulate((max(j for j, told in enumerate(row) if not told) for row in apart), max)
    band = 1
    for position, farthest in enumerate(reach):
        out[order[position]] = band
        if farthest == position:
            band += 1
    return out


def rank_ranges(
    rates: Sequence[tuple[float, float]],
    *,
    best: Literal["high", "low"] = "high",
    rank_from: float = RANK_FROM,
    level: float = LEVEL,
) -> list[tuple[int, int] | None]:
    """The ranks each rate (n, d) may truly have, first and last; None where d < rank_from.

    First = 1 + how many are told apart as better, last = m − how many are told apart as worse, told apart as
    in `bands`: all ranges hold together with probability `level` or more, as near as that interval holds. Source: Mogstad, Romano, Shaikh & Wilhelm,
    Review of Economic Studies 91 (2024) 476; Goldstein & Spiegelhalter, JRSS A 159 (1996) 385.
    """
    order = _ranked(rates, best, rank_from)
    apart = _told_apart([rates[i] for i in order], level)
    out: list[tuple[int, int] | None] = [None] * len(rates)
    for position, place in enumerate(order):
        better, worse = sum(row[position] for row in apart), sum(apart[position])
        out[place] = (1 + better, len(order) - worse)
    return out


def _ranked(
    rates: Sequence[tuple[float, float]], best: Literal["high", "low"], rank_from: float
) -> list[int]:
    """The positions of the rates that are ranked, the best rate first."""
    sign = -1 if best == "high" else 1
    ranked = [i for i, (_, d) in enumerate(rates) if d > 0 and d >= rank_from]
    return sorted(ranked, key=lambda i: sign * rates[i][0] / rates[i][1])


def _told_apart(ordered: Sequence[tuple[float, float]], level: float) -> list[list[bool]]:
    """For rates in order, whether row i is told apart from the later row j; False elsewhere.

    Plain numbers: the places of one scope are a few dozen, and loading numpy takes longer than they do."""
    size = len(ordered)
    apart = [[False] * size for _ in range(size)]
    if size < 2:
        return apart
    pairs = size * (size - 1) / 2
    # In order, each rate is at most as high as the one before it, or each at least: one side of the interval decides.
    p = [n / d for n, d in ordered]
    sign = 1.0 if p[0] >= p[-1] else -1.0
    intervals = [wilson(n, d, 1 - (1 - level) / pairs) for n, d in ordered]
    down = [rate - low for rate, (low, _) in zip(p, intervals, strict=True)]
    up = [high - rate for rate, (_, high) in zip(p, intervals, strict=True)]
    near, far = (down, up) if sign > 0 else (up, down)
    for i, row in enumerate(apart):
        for j in range(i + 1, size):
            row[j] = sign * (p[i] - p[j]) > math.hypot(near[i], far[j])
    return apart


# Hotspots


@dataclass(frozen=True)
class Smoothed:
    """A smoothed rate, in events per unit of exposure, and the variance that is left."""

    rate: float
    variance: float


def smoothed(
    counts: Sequence[float | None], exposure: Sequence[float | None], neighbours: Neighbours | None = None
) -> list[Smoothed | None]:
    """Empirical Bayes rates: a rate on little exposure is drawn towards the mean. Exposure 0 or None: None.

    With r = count/exposure, m = Σ counts/Σ exposure and ē = mean exposure:
    A = max(0, Σ exposure (r − m)²/Σ exposure − m/ē), the variance between the true rates;
    W = A/(A + m/exposure); rate = m + W (r − m); variance = A (1 − W), which leaves out that m and A are
    themselves estimated. Without `neighbours` all places are taken (global); with them each place and its
    neighbours (local). Gi* wants the global one: the local one has already averaged the neighbours, which Gi*
    would then find alike. Raises Mistake where lengths differ or a number is negative.
    Source: Marshall, Applied Statistics 40 (1991) 283.
    """
    seen = _seen(counts, exposure)
    if neighbours is None:
        prior = _prior(list(seen.values()))
        return [_shrunk(*seen[i], *prior) if i in seen else None for i in range(len(counts))]
    around = _around(neighbours, seen, len(counts), own=True)
    return [
        _shrunk(*seen[i], *_prior([seen[j] for j in around[i]])) if i in seen else None
        for i in range(len(counts))
    ]


def _seen(counts: Sequence[float | None], exposure: Sequence[float | None]) -> dict[int, tuple[float, float]]:
    """The (count, exposure) of each place that was observed and has any, by its position."""
    if len(counts) != len(exposure):
        raise Mistake(
            "smoothed", f"{len(counts)} counts, {len(exposure)} exposures", "give one exposure for each count"
        )
    for count, base in zip(counts, exposure, strict=True):
        if (count is not None and count < 0) or (base is not None and base < 0):
            raise Mistake("smoothed", f"negative: {count} on {base}", "give counts and exposures from 0")
    return {
        i: (float(count), float(base))
        for i, (count, base) in enumerate(zip(counts, exposure, strict=True))
        if count is not None and base
    }


def _prior(places: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Marshall's mean and variance between the true rates, from (count, exposure)."""
    exposure = math.fsum(base for _, base in places)
    if not exposure:
        return 0.0, 0.0
    mean = math.fsum(count for count, _ in places) / exposure
    spread = math.fsum(base * (count / base - mean) ** 2 for count, base in places) / exposure
    return mean, max(0.0, spread - mean * len(places) / exposure)


def _shrunk(count: float, exposure: float, mean: float, between: float) -> Smoothed:
    weight = between / (between + mean / exposure) if between else 0.0
    return Smoothed(mean + weight * (count / exposure - mean), between * (1 - weight))


@dataclass(frozen=True)
class Excess:
    """How far a place's own count lies above the usual: `z` standardised, `p` the chance of as many or more."""

    z: float
    p: float


def excess(
    counts: Sequence[float | None], exposure: Sequence[float | None], q: float = 0.05
) -> list[Excess | None]:
    """Each place on its own: could a place like the others have so many? Exposure 0 or None: None.

    A place's true rate is taken as drawn from a gamma distribution with the mean m and variance A of `smoothed`, so
    that its count is negative binomial with mean m e and variance m e + A e²: chance and the usual differences
    between places are both usual. z = (count/e − m)/√(A + m/e), p = P(X ≥ count). A few places far above the
    others would hide each other in A: m and A are taken once more without those whose p stands (`discoveries`).
    Where Gi* asks for a neighbourhood, this finds the single place. Raises Mistake as `smoothed` does.
    Source: Clayton & Kaldor, Biometrics 43 (1987) 671; z: Assunção & Reis, Statistics in Medicine 18 (1999) 2147.
    """
    seen = _seen(counts, exposure)
    usual = seen
    for _ in range(2):
        mean, between = _prior(list(usual.values()))
        tails = dict(zip(seen, _upper_tails(list(seen.values()), mean, between), strict=True))
        found = dict(zip(seen, discoveries(list(tails.values()), q), strict=True))
        usual = {i: place for i, place in seen.items() if not found[i]}
    out: list[Excess | None] = [None] * len(counts)
    for i, (count, base) in seen.items():
        deviation = math.sqrt(between + mean / base)
        out[i] = Excess((count / base - mean) / deviation if deviation else 0.0, tails[i])
    return out


def _upper_tails(places: Sequence[tuple[float, float]], mean: float, between: float) -> list[float]:
    """P(X ≥ count) of each (count, exposure), X negative binomial; Poisson where `between` is 0."""
    if not mean:
        return [1.0] * len(places)
    # Loaded here: nothing else in this module needs it.
    import numpy as np

    # A shape of 10⁷ differs from Poisson by less than 10⁻⁶ and keeps the gamma functions apart.
    shape = min(mean * mean / between if between else math.inf, 1e7)
    n = np.array([count for count, _ in places])
    share = np.array([mean * base / (mean * base + shape) for _, base in places])
    first = np.array(
        [math.lgamma(count + shape) - math.lgamma(count + 1) - math.lgamma(shape) for count, _ in places]
    )
    term = np.exp(first + shape * np.log1p(-share) + n * np.log(share))
    tail = term.copy()
    rising = n < mean * np.array([base for _, base in places])
    while np.any((term > tail * 1e-12) & (term > 0) | rising):
        term = term * (n + shape) / (n + 1) * share
        n = n + 1
        tail += term
        rising = rising & (n < shape * share / (1 - share))
    return [min(1.0, float(p)) for p in tail]


def getis_ord(values: Sequence[float | None], neighbours: Neighbours) -> list[float | None]:
    """Gi* of each place as a z-score: how far the sum over it and its neighbours lies from what chance gives.

    z = (Σ x_j − w x̄) / (s √(w (N − w)/(N − 1))), over the w places of the neighbourhood, itself included; x̄ and
    s (by N) over all N observed places; weights binary. None where the place was not observed, where all values are
    equal, or where the neighbourhood is everything. Source: Ord & Getis, Geographical Analysis 27 (1995) 286.
    """
    seen = {i: float(value) for i, value in enumerate(values) if value is not None}
    around = _around(neighbours, seen, len(values), own=True)
    out: list[float | None] = [None] * len(values)
    size = len(seen)
    if size < 2 or min(seen.values()) == max(seen.values()):
        return out
    mean = math.fsum(seen.values()) / size
    deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in seen.values()) / size)
    for i in seen:
        weight = len(around[i])
        if weight < size:
            above = math.fsum(seen[j] - mean for j in around[i])
            out[i] = above / (deviation * math.sqrt(weight * (size - weight) / (size - 1)))
    return out


@dataclass(frozen=True)
class Moran:
    """Moran's I: `i` above `expected` where like lies next to like; `p` two-sided, from the normal `z`."""

    i: float
    expected: float
    z: float
    p: float


def moran(
    values: Sequence[float | None],
    neighbours: Neighbours,
    assumption: Literal["randomisation", "normality"] = "randomisation",
) -> Moran | None:
    """Moran's I of the observed places, with weights that sum to 1 over each place's neighbours.

    I = N/S0 · Σ_i Σ_j w_ij z_i z_j / Σ z_i², z = x − x̄; expected −1/(N−1); its variance under randomisation (the
    values dealt out anew: right for skewed rates) or normality. None for fewer than four places, values all
    equal, or no neighbours at all. Source: Cliff & Ord, Spatial Processes (1981) 21, 44.
    """
    seen = {i: float(value) for i, value in enumerate(values) if value is not None}
    around = _around(neighbours, seen, len(values), own=False)
    size = len(seen)
    if size < 4 or min(seen.values()) == max(seen.values()) or not any(around.values()):
        return None
    mean = math.fsum(seen.values()) / size
    z = {i: x - mean for i, x in seen.items()}
    weight = {i: {j: 1 / len(js) for j in js} for i, js in around.items()}
    into: dict[int, list[float]] = {i: [] for i in seen}
    for row in weight.values():
        for j, w in row.items():
            into[j].append(w)
    s0 = float(sum(1 for js in around.values() if js))
    # ½ Σ (w_ij + w_ji)² = Σ w_ij² + Σ w_ij w_ji.
    s1 = math.fsum(w * w + w * weight[j].get(i, 0.0) for i, row in weight.items() for j, w in row.items())
    s2 = math.fsum((math.fsum(weight[i].values()) + math.fsum(into[i])) ** 2 for i in seen)
    squares = math.fsum(x * x for x in z.values())
    cross = math.fsum(w * z[i] * z[j] for i, row in weight.items() for j, w in row.items())
    found, expected = size / s0 * cross / squares, -1 / (size - 1)
    if assumption == "normality":
        variance = (size * size * s1 - size * s2 + 3 * s0 * s0) / ((size - 1) * (size + 1) * s0 * s0)
    else:
        kurtosis = size * math.fsum(x**4 for x in z.values()) / (squares * squares)
        a = size * ((size * size - 3 * size + 3) * s1 - size * s2 + 3 * s0 * s0)
        b = kurtosis * ((size * size - size) * s1 - 2 * size * s2 + 6 * s0 * s0)
        variance = (a - b) / ((size - 1) * (size - 2) * (size - 3) * s0 * s0)
    variance -= expected * expected
    # Where everyone is everyone's neighbour I is always the expected one.
    score = (found - expected) / math.sqrt(variance) if variance > 1e-15 else 0.0
    return Moran(found, expected, score, two_sided(score))


def two_sided(z: float) -> float:
    """The two-sided p-value of a normal z-score."""
    return math.erfc(abs(z) / math.sqrt(2))


def discoveries(p: Sequence[float | None], q: float = 0.05) -> list[bool]:
    """Which p-values stand, when at most the share q of those that do may be false (on average).

    Benjamini & Hochberg, JRSS B 57 (1995) 289: the k smallest, for the largest k with p_(k) ≤ q k/m. None does not
    count and does not stand. It holds under positive dependence; neighbouring Gi* share values, so they depend
    positively, and it was found to hold for them (Caldas de Castro & Singer, Geographical Analysis 38 (2006) 180).
    """
    tested = sorted(value for value in p if value is not None)
    bound = max((x for k, x in enumerate(tested, start=1) if x <= q * k / len(tested)), default=-1.0)
    return [value is not None and value <= bound for value in p]


def hot(z: Sequence[float | None], q: float = 0.05) -> list[bool]:
    """The hotspots among Gi* z-scores: discoveries (two-sided, so that cold ones are tested too) that are high."""
    found = discoveries([None if score is None else two_sided(score) for score in z], q)
    return [stands and score is not None and score > 0 for stands, score in zip(found, z, strict=True)]


@dataclass(frozen=True)
class Trend:
    """Mann–Kendall: `s` = rises less falls over all pairs of values; `p` two-sided, from the normal `z`."""

    s: int
    z: float
    p: float


def mann_kendall(values: Sequence[float]) -> Trend:
    """Whether a series rises or falls throughout, whatever its shape.

    S = Σ_{i<j} sign(x_j − x_i); variance (n(n−1)(2n+5) − Σ t(t−1)(2t+5))/18 over groups of t equal values;
    z = (S ∓ 1)/√variance (continuity). With four values or fewer p never reaches 0.05.
    Source: Mann, Econometrica 13 (1945) 245; Kendall, Rank Correlation Methods (1975).
    """
    n = len(values)
    s = sum((values[j] > values[i]) - (values[j] < values[i]) for i in range(n) for j in range(i + 1, n))
    ties = [len(list(group)) for _, group in groupby(sorted(values))]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    z = (s - math.copysign(1, s)) / math.sqrt(variance) if s else 0.0
    return Trend(s, z, two_sided(z))


def trend_label(z: Sequence[float | None], is_hot: Sequence[bool]) -> Label | None:
    """What kind of hotspot a place is in the last of the months given, oldest first; None: none, or none of the four.

    `z` are its Gi* scores month by month (each month from its own records), None where not observed; `is_hot` is
    `hot` of that month. Months not observed are left out, but the last must be observed. "The run" is the hot
    months in a row that end with the last. Of the k months observed:

    - the last month hot:
      - `new`: the run has 1 to 3 months, and before it there was a month, and never a hot one;
      - else, with k ≥ 4 and the run longer than 3 months or half of the k months hot: by Mann–Kendall over all k
        scores `intensifying` where they rise (two-sided p ≤ 0.05), `fading` where they fall, else `persistent`;
      - else None: too few months, or it comes and goes;
    - the last month not hot: `fading` with k ≥ 4, at least half of the months before hot, and one of the three
      just before; else None.

    After ESRI's Emerging Hot Spot Analysis, whose eight categories become four: new and a short consecutive →
    new; a longer consecutive → by its trend; intensifying, persistent; diminishing, and historical of late →
    fading; sporadic and oscillating → none. ESRI asks for 90 % of the steps, here it is half: false-discovery
    control on a month's few records misses real hotspots in single months. Raises Mistake where lengths differ.
    """
    if len(z) != len(is_hot):
        raise Mistake("trend_label", f"{len(z)} scores, {len(is_hot)} months", "give both for each month")
    if not z or z[-1] is None:
        return None
    months = [(score, flag) for score, flag in zip(z, is_hot, strict=True) if score is not None]
    flags = [flag for _, flag in months]
    before = flags[:-1]
    if not flags[-1]:
        late = len(flags) >= LABEL_FROM and 2 * sum(before) >= len(before) and any(before[-3:])
        return "fading" if late else None
    run = next((i for i, flag in enumerate(reversed(flags)) if not flag), len(flags))
    if run <= NEW_UP_TO and run < len(flags) and sum(flags) == run:
        return "new"
    if len(flags) < LABEL_FROM or not (run > NEW_UP_TO or 2 * sum(flags) >= len(flags)):
        return None
    trend = mann_kendall([score for score, _ in months])
    if trend.p > 0.05:
        return "persistent"
    return "intensifying" if trend.s > 0 else "fading"


def _around(neighbours: Neighbours, seen: Collection[int], size: int, *, own: bool) -> dict[int, list[int]]:
    """The observed neighbours of each observed place, in order, with or without itself."""
    if len(neighbours) != size:
        raise Mistake("neighbours", f"{len(neighbours)} lists for {size} places", "give one list for each")
    for i, others in enumerate(neighbours):
        for j in others:
            if not 0 <= j < size:
                raise Mistake(
                    "neighbours", f"place {i} has the neighbour {j}", f"give positions below {size}"
                )
    return {
        i: sorted({j for j in neighbours[i] if j in seen and j != i} | ({i} if own else set())) for i in seen
    }
