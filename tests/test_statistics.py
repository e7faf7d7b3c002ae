"""Intervals, changes, bands, smoothing and hotspots against published figures, and what must always hold."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.mistake import Mistake
from warehouse.statistics import (
    bands,
    discoveries,
    excess,
    getis_ord,
    hot,
    mann_kendall,
    moran,
    rank_ranges,
    real_change,
    real_change_of_count,
    smoothed,
    trend_label,
    two_sided,
    wilson,
)

ESDA = Path(__file__).parent / "data" / "esda"
SHARES = st.integers(1, 5000).flatmap(lambda d: st.tuples(st.integers(0, d), st.just(d)))
TABLES = st.lists(SHARES, max_size=12)
few = settings(max_examples=50, deadline=None)
P_VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30)


def _esda(name: str) -> Any:
    return json.loads((ESDA / f"{name}.json").read_text(encoding="utf-8"))


def test_neither_scipy_nor_pandas_is_loaded_with_the_statistics() -> None:
    told = "import sys, warehouse.statistics as _; print({'scipy', 'pandas', 'esda'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout == "set()\n"


# Intervals


@pytest.mark.parametrize(
    ("n", "d", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_those_newcombe_printed(n: int, d: int, low: float, high: float) -> None:
    assert wilson(n, d) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_a_share_of_none_or_all_has_an_exact_end() -> None:
    z2 = 1.959963984540054**2
    assert wilson(0, 7) == (0.0, pytest.approx(z2 / (7 + z2), rel=1e-12))
    assert wilson(7, 7) == (pytest.approx(7 / (7 + z2), rel=1e-12), 1.0)


@given(SHARES, st.floats(0.5, 0.9999))
def test_a_wilson_interval_lies_in_0_to_1_and_holds_the_share(share: tuple[int, int], level: float) -> None:
    n, d = share
    low, high = wilson(n, d, level)
    assert 0 <= low <= n / d <= high <= 1
    mirrored = wilson(d - n, d, level)
    assert mirrored == (pytest.approx(1 - high, abs=1e-12), pytest.approx(1 - low, abs=1e-12))


@pytest.mark.parametrize(("n", "d", "level"), [(0, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_an_interval_of_nothing_is_a_mistake(n: int, d: int, level: float) -> None:
    with pytest.raises(Mistake, match="wilson: no "):
        wilson(n, d, level)


# Changes


@pytest.mark.parametrize(
    ("now", "before", "low", "high", "direction"),
    # Newcombe, Statistics in Medicine 17 (1998) 873, table II, method 10.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339, "up"),
        ((9, 10), (3, 10), 0.1705, 0.8090, "up"),
        ((6, 7), (2, 7), 0.0582, 0.8062, "up"),
        ((2, 7), (6, 7), -0.8062, -0.0582, "down"),
        ((5, 56), (0, 29), -0.0381, 0.1926, "none"),
        ((0, 10), (0, 20), -0.1611, 0.2775, "none"),
        ((0, 10), (0, 10), -0.2775, 0.2775, "none"),
        ((10, 10), (0, 20), 0.6791, 1.0, "up"),
        ((10, 10), (0, 10), 0.6075, 1.0, "up"),
    ],
)
def test_changes_of_rates_have_the_intervals_newcombe_printed(
    now: tuple[int, int], before: tuple[int, int], low: float, high: float, direction: str
) -> None:
    change = real_change(*now, *before)
    assert change.low == pytest.approx(100 * low, abs=0.005)
    assert change.high == pytest.approx(100 * high, abs=0.005)
    assert (change.direction, change.unit) == (direction, "points")
    assert change.size == pytest.approx(100 * (now[0] / now[1] - before[0] / before[1]))


@given(SHARES, SHARES)
def test_a_change_seen_from_the_other_side_is_its_opposite(a: tuple[int, int], b: tuple[int, int]) -> None:
    there, back = real_change(*a, *b), real_change(*b, *a)
    assert {there.direction, back.direction} in ({"up", "down"}, {"none"})
    assert there.low is not None and there.size is not None and there.high is not None
    assert there.low <= there.size + 1e-9 and there.size <= there.high + 1e-9


@pytest.mark.parametrize(
    ("now", "before", "direction", "percent"),
    [
        (6, 0, "up", None),  # p = 2/64
        (5, 0, "none", None),  # p = 2/32
        (0, 6, "down", -100),
        (0, 0, "none", None),
        (100, 130, "none", pytest.approx(-23.08, abs=0.01)),
        (100, 135, "down", pytest.approx(-25.93, abs=0.01)),
        (1_002_000, 1_000_000, "none", pytest.approx(0.2)),
        (1_003_000, 1_000_000, "up", pytest.approx(0.3)),
    ],
)
def test_a_count_really_changed_where_chance_seldom_does_as_much(
    now: int, before: int, direction: str, percent: float | None
) -> None:
    change = real_change_of_count(now, before)
    assert (change.direction, change.size, change.unit) == (direction, percent, "percent")


def test_counts_are_compared_by_their_exposure() -> None:
    # Fay, R Journal 2(1) (2010) 53: 2 in 17,877 against 10 in 20,000; central p = 0.061 (R's own, by minimum
    # likelihood: 0.042, though its interval holds 1).
    assert real_change_of_count(2, 10, 17_877, 20_000).direction == "none"
    assert real_change_of_count(2, 10, 17_877, 20_000, level=0.93).direction == "down"
    # 29 days against 31: as many a day.
    assert real_change_of_count(290, 310, 29, 31).size == pytest.approx(0)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.1, 10), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_test_of_counts_is_the_binomial_one_summed_term_by_term(
    n1: int, n0: int, exposure: float, level: float
) -> None:
    share, total = exposure / (exposure + 1), n1 + n0
    chance = [math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(total + 1)]
    p = 2 * min(math.fsum(chance[: n1 + 1]), math.fsum(chance[n1:]))
    if abs(p - (1 - level)) > 1e-9:
        assert (real_change_of_count(n1, n0, exposure, 1, level).direction != "none") == (p < 1 - level)


@pytest.mark.parametrize("wrong", [(-1, 2, 1, 1), (1.5, 2, 1, 1), (1, 2, 0, 1)])
def test_what_is_no_count_is_a_mistake(wrong: tuple[Any, Any, Any, Any]) -> None:
    with pytest.raises(Mistake, match="real_change_of_count: no "):
        real_change_of_count(*wrong)


# Ranks


def test_what_cannot_be_told_apart_shares_a_band() -> None:
    #        97.5 %      97 %        60 %       58 %        5 of 5 (too few)
    rates = [(390, 400), (388, 400), (240, 400), (232, 400), (5, 5)]
    assert bands(rates) == [1, 1, 2, 2, None]
    assert bands(rates, best="low") == [2, 2, 1, 1, None]
    assert rank_ranges(rates) == [(1, 2), (1, 2), (3, 4), (3, 4), None]


def test_a_chain_of_near_neighbours_is_one_band_though_its_ends_differ() -> None:
    #        90 %        85 %        80 %        75 %        70 %
    rates = [(270, 300), (255, 300), (240, 300), (225, 300), (210, 300)]
    assert bands(rates) == [1, 1, 1, 1, 1]
    assert rank_ranges(rates) == [(1, 2), (1, 3), (2, 4), (3, 5), (4, 5)]


def test_one_small_place_joins_two_bands_and_below_20_it_does_not() -> None:
    apart = [(190, 200), (160, 200)]
    assert bands(apart) == [1, 2]
    assert bands([*apart, (18, 20)]) == [1, 1, 1]
    assert bands([*apart, (17, 19)]) == [1, 2, None]
    assert bands([*apart, (17, 19)], rank_from=10) == [1, 1, 1]


def test_more_places_make_it_harder_to_tell_two_apart() -> None:
    two = [(180, 200), (160, 200)]
    assert bands(two) == [1, 2]
    assert bands([*two, *[(170, 200)] * 10]) == [1] * 12


@pytest.mark.parametrize(("rates", "found"), [([], []), ([(20, 20)], [1]), ([(0, 0)], [None])])
def test_few_places_have_bands_too(rates: list[tuple[int, int]], found: list[int | None]) -> None:
    assert bands(rates) == found


@few
@given(st.data(), TABLES)
def test_bands_do_not_depend_on_the_order(data: st.DataObject, rates: list[tuple[int, int]]) -> None:
    order = data.draw(st.permutations(range(len(rates))))
    shuffled = [rates[i] for i in order]
    assert bands(shuffled) == [bands(rates)[i] for i in order]
    assert rank_ranges(shuffled) == [rank_ranges(rates)[i] for i in order]


@few
@given(TABLES, st.sampled_from(["high", "low"]))
def test_bands_follow_the_rates_and_differ_only_where_rates_are_told_apart(
    rates: list[tuple[int, int]], best: Literal["high", "low"]
) -> None:
    found = [
        (n / d, band, n, d)
        for (n, d), band in zip(rates, bands(rates, best=best), strict=True)
        if band is not None
    ]
    ranges = [r for r in rank_ranges(rates, best=best) if r is not None]
    assert len(found) == len(ranges) == sum(d >= 20 for _, d in rates)
    assert {band for _, band, _, _ in found} == set(range(1, max((b for _, b, _, _ in found), default=0) + 1))
    for p, band, n, d in found:
        for q, other, m, e in found:
            if p == q:
                assert band == other
            if band < other:
                assert (p > q) == (best == "high")
                # Told apart among many is told apart alone.
                assert real_change(n, d, m, e).direction != "none"
    for first, last in ranges:
        assert 1 <= first <= last <= len(ranges)


@few
@given(TABLES)
def test_the_best_by_the_low_end_are_the_worst_by_the_high_end(rates: list[tuple[int, int]]) -> None:
    high, low = bands(rates), bands(rates, best="low")
    last = max((band for band in high if band is not None), default=0)
    assert low == [None if band is None else last + 1 - band for band in high]


# Smoothing


def test_smoothed_rates_are_those_of_esda() -> None:
    stl = _esda("stl")
    for neighbours, name in ((None, "Empirical_Bayes"), (stl["neighbours"], "Spatial_Empirical_Bayes")):
        ours = [place.rate for place in smoothed(stl["counts"], stl["exposure"], neighbours) if place]
        assert ours == pytest.approx(stl["answers"][name], rel=1e-9)
        printed = stl["published"][name]
        assert ours[: len(printed)] == pytest.approx(printed, rel=1e-8)


def test_a_rate_on_little_exposure_is_drawn_further_to_the_mean() -> None:
    # cases       0   40   20   10
    # households  10 1000 1000 100        mean 70/2110 = 3.3 %
    found = [place.rate for place in smoothed([0, 40, 20, 10], [10, 1000, 1000, 100]) if place]
    mean = 70 / 2110
    assert 0 < mean - found[0] < 0.01  # observed 0 %
    assert mean < found[1] < 0.04
    assert 0.02 < found[2] < mean
    assert mean < found[3] < 0.10


def test_a_grid_without_exposure_is_not_observed_and_counts_for_nothing() -> None:
    alone = smoothed([4, 9], [100, 100])
    assert smoothed([4, 7, 9, None], [100, 0, 100, 50]) == [alone[0], None, alone[1], None]
    assert smoothed([4, 7, 9], [100, None, 100], [[1], [0, 2], [1]])[1] is None
    assert smoothed([], []) == []
    assert smoothed([0, 0], [5, 5]) == smoothed([0, 0], [5, 5], [[1], [0]])


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 200)), max_size=15))
def test_a_smoothed_rate_lies_between_its_own_and_the_mean(table: list[tuple[int, int]]) -> None:
    found = smoothed([n for n, _ in table], [e for _, e in table])
    exposure = sum(e for _, e in table)
    for (count, base), place in zip(table, found, strict=True):
        assert (place is None) == (base == 0)
        if place is not None:
            mean = sum(n for n, e in table if e) / exposure
            low, high = sorted((count / base, mean))
            assert low - 1e-12 <= place.rate <= high + 1e-12
            assert place.variance >= 0


@pytest.mark.parametrize(
    ("counts", "exposure", "told"),
    [
        ([1], [1, 2], "1 counts, 2 exposures"),
        ([-1], [5], "negative: -1 on 5"),
        ([1], [-5], "negative: 1 on -5"),
    ],
)
def test_wrong_counts_are_a_mistake(counts: list[int], exposure: list[int], told: str) -> None:
    with pytest.raises(Mistake, match=told):
        smoothed(counts, exposure)


# One place above the others


@pytest.mark.parametrize(
    ("counts", "exposure"),
    [
        ([3, 9, 30, 6, 2, 11], [100, 150, 100, 90, 60, 200]),  # rates differ by more than chance
        ([6, 9, 7, 6, 5, 12], [100, 150, 100, 90, 80, 200]),  # by chance alone: Poisson
    ],
)
def test_the_excess_of_a_place_is_the_negative_binomial_tail_summed_term_by_term(
    counts: list[int], exposure: list[int]
) -> None:
    mean = sum(counts) / sum(exposure)
    spread = sum(e * (n / e - mean) ** 2 for n, e in zip(counts, exposure, strict=True)) / sum(exposure)
    between = max(0.0, spread - mean * len(counts) / sum(exposure))
    for count, base, found in zip(counts, exposure, excess(counts, exposure, q=0), strict=True):
        assert found is not None
        below, expected = 0.0, mean * base
        for k in range(count):
            if between:
                shape = mean * mean / between
                term = (
                    math.lgamma(k + shape) - math.lgamma(shape) + shape * math.log(shape / (shape + expected))
                )
                term += k * math.log(expected / (shape + expected))
            else:
                term = k * math.log(expected) - expected
            below += math.exp(term - math.lgamma(k + 1))
        assert found.p == pytest.approx(1 - below, rel=1e-4)
        assert found.z == pytest.approx((count / base - mean) / math.sqrt(between + mean / base))


def test_places_far_above_the_others_do_not_hide_each_other() -> None:
    # Of a hundred places with 3 to 9 cases one has 40. Were it taken as usual, 19 and 18 would be too.
    counts = [3, 6, 9, 6] * 25
    counts[3], counts[12], counts[21] = 40, 19, 18
    found = [place.p for place in excess(counts, [100] * 100) if place]
    assert [i for i, stands in enumerate(discoveries(found)) if stands] == [3, 12, 21]


def test_a_place_without_exposure_has_no_excess() -> None:
    assert excess([4, None, 3], [0, 5, None]) == [None, None, None]
    assert [place and place.p for place in excess([0, 0], [5, 5])] == [1.0, 1.0]
    with pytest.raises(Mistake, match="negative"):
        excess([-1], [5])


def test_where_places_differ_as_places_do_hardly_any_stands_out() -> None:
    # 60 draws of 300 places whose true rates spread by a gamma distribution: no hotspot is a true one.
    draw = random.Random(7)

    def poisson(expected: float) -> int:
        limit, k, product = math.exp(-expected), 0, draw.random()
        while product > limit:
            k, product = k + 1, product * draw.random()
        return k

    alarms = 0
    for _ in range(60):
        exposure = [draw.randint(20, 300) for _ in range(300)]
        counts = [poisson(base * 0.06 * draw.gammavariate(12, 1 / 12)) for base in exposure]
        alarms += any(discoveries([place.p if place else None for place in excess(counts, exposure)]))
    assert alarms <= 8


# Hotspots


@pytest.mark.parametrize("name", ["points", "sids2", "stl"])
def test_gi_star_is_that_of_esda(name: str) -> None:
    case = _esda(name)
    ours = getis_ord(case["values"], case["neighbours"])
    assert ours == pytest.approx(case["answers"]["Zs"], abs=1e-9)
    p = [two_sided(z) for z in ours if z is not None]
    assert p == pytest.approx([2 * one for one in case["answers"]["p_norm_one_sided"]], abs=1e-9)
    assert discoveries(p) == [value <= case["answers"]["fdr"] for value in p]
    if "Zs" in case["published"]:
        assert ours == pytest.approx(case["published"]["Zs"], abs=5e-9)


@pytest.mark.parametrize("name", ["points", "sids2", "stl"])
def test_morans_i_is_that_of_esda(name: str) -> None:
    case = _esda(name)
    answers, published = case["answers"], case["published"]
    dealt = moran(case["values"], case["neighbours"])
    normal = moran(case["values"], case["neighbours"], "normality")
    assert dealt is not None and normal is not None
    assert (dealt.i, dealt.expected) == pytest.approx((answers["I"], answers["EI"]), abs=1e-9)
    assert (dealt.z, dealt.p) == pytest.approx((answers["z_rand"], answers["p_rand"]), abs=1e-9)
    assert (normal.z, normal.p) == pytest.approx((answers["z_norm"], answers["p_norm"]), abs=1e-9)
    if "I" in published:
        assert dealt.i == pytest.approx(published["I"], abs=5e-4)
        assert normal.p == pytest.approx(published["p_norm"], rel=1e-9)


def test_a_grid_not_observed_is_neither_hot_nor_cold_nor_anyones_neighbour() -> None:
    #  1 – 2 – ? – 9 – 8      and the same without the third
    line = getis_ord([1, 2, None, 9, 8], [[1], [0, 2], [1, 3], [2, 4], [3]])
    without = getis_ord([1, 2, 9, 8], [[1], [0], [3], [2]])
    assert line[2] is None
    assert [z for z in line if z is not None] == without
    assert hot([None, 9.0, -9.0, 0.0]) == [False, True, False, False]


def test_where_nothing_stands_out_there_is_no_score() -> None:
    assert getis_ord([3, 3, 3], [[1], [0], []]) == [None, None, None]
    assert getis_ord([], []) == [] and getis_ord([5], [[]]) == [None]
    # The middle one's neighbourhood is everything.
    assert getis_ord([1, 2, 4], [[1], [0, 2], [1]])[1] is None
    assert moran([3, 3, 3, 3], [[1], [0], [3], [2]]) is None
    assert moran([1, 2, 3, 4], [[], [], [], []]) is None


def test_where_all_are_neighbours_morans_i_is_the_expected_one() -> None:
    found = moran([1, 5, 2, 9], [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    assert found is not None
    assert (found.i, found.z, found.p) == (pytest.approx(-1 / 3), 0.0, 1.0)


@pytest.mark.parametrize("neighbours", [[[1]], [[1], [2]], [[-1], [0]]])
def test_a_neighbour_that_does_not_exist_is_a_mistake(neighbours: list[list[int]]) -> None:
    with pytest.raises(Mistake, match="neighbours: "):
        getis_ord([1, 2], neighbours)


def test_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    # Their example of 1995, section 3.2: of 15 tests the first four stand, where Bonferroni leaves three.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert discoveries(p) == [True] * 4 + [False] * 11
    # A larger p can carry a smaller one that would not stand alone: 0.03 > 0.05/2, but 0.04 ≤ 0.05.
    assert discoveries([0.03, 0.04]) == [True, True]
    assert discoveries([0.03, 0.9]) == [False, False]
    assert discoveries([]) == [] and discoveries([None]) == [False]


@given(P_VALUES, st.floats(0.001, 0.2), st.floats(0.001, 0.2))
def test_more_tolerance_and_smaller_p_values_never_lose_a_discovery(
    p: list[float | None], q: float, more: float
) -> None:
    found = discoveries(p, q)
    wider = discoveries(p, q + more)
    halved = discoveries([None if x is None else x / 2 for x in p], q)
    for i, stands in enumerate(found):
        assert not stands or (wider[i] and halved[i])
        for j, other in enumerate(found):
            # Whatever is at least as small as one that stands, stands.
            if stands and p[j] is not None and p[j] <= (p[i] or 0):
                assert other


# Months


@pytest.mark.parametrize(
    ("values", "s", "z", "p"),
    # As pymannkendall 1.4 answers (original_test).
    [
        ([1, 2, 3, 4, 5], 10, 2.2045407685048604, 0.0274863361115103),
        ([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], 16, 1.188332399294654, 0.23470247795516075),
        ([2.1, 1.9, 1.9, 1.2, 0.8, 0.9, 0.1], -18, -2.58248538606335, 0.009809151645794323),
        ([7, 7, 7], 0, 0.0, 1.0),
        ([], 0, 0.0, 1.0),
    ],
)
def test_mann_kendall_sees_a_rise_through_ties(values: list[float], s: int, z: float, p: float) -> None:
    trend = mann_kendall(values)
    assert (trend.s, trend.z, trend.p) == (s, pytest.approx(z, abs=1e-12), pytest.approx(p, abs=1e-12))


# A month: its Gi* score, ! where it is a hotspot; – not observed. Oldest first.
@pytest.mark.parametrize(
    ("months", "label"),
    [
        ("0.1 0.3 -0.2 0.4 0.2 3.9!", "new"),
        ("0.1 0.3 -0.2 3.5! 3.9! 3.6!", "new"),
        ("0.1 3.2!", "new"),
        # Not new: no month before; a hot one before; four in a row.
        ("3.2! 3.1! 3.3!", None),
        ("0.2 3.4! 0.1 0.3 0.4 0.2 3.9!", None),
        ("0.4 0.1 0.3 0.2 0.5 3.9! 3.6! 3.7! 3.5!", "persistent"),
        ("3.9! 3.6! 3.8! 3.5! 3.7! 3.6!", "persistent"),
        ("3.9! 2.1 3.8! 3.5! 2.2 3.6!", "persistent"),
        ("3.1! 3.2! 3.4! 3.7! 4.0! 4.4!", "intensifying"),
        ("0.1 0.5 0.9 1.4 3.1! 3.3! 3.6! 3.8!", "intensifying"),
        ("5.0! 4.7! 4.1! 3.9! 3.5! 3.1!", "fading"),
        ("3.9! 3.6! 3.8! 3.5! 1.2", "fading"),
        ("3.9! 3.6! 3.8! 3.5! 1.2 0.9 0.4", "fading"),
        # Long over, or never was.
        ("3.9! 3.6! 3.8! 3.5! 1.2 0.9 0.4 0.3", None),
        ("0.3 0.1 3.1! 0.2 0.4 0.1", None),
        ("0.3 0.1 0.2 0.4", None),
        # A month without patrol or visit is left out; the last one must be seen.
        ("3.1! – 3.2! 3.4! – 3.7! 4.0! 4.4!", "intensifying"),
        ("3.1! 3.2! 3.4! 3.7! –", None),
        ("", None),
    ],
)
def test_a_hotspot_is_labelled_by_its_months(months: str, label: str | None) -> None:
    words = months.split()
    z = [None if word == "–" else float(word.rstrip("!")) for word in words]
    assert trend_label(z, [word.endswith("!") for word in words]) == label


def test_as_many_scores_as_months_are_asked_for() -> None:
    with pytest.raises(Mistake, match="trend_label: 1 scores, 2 months"):
        trend_label([1.0], [True, False])


@few
@given(st.lists(st.floats(0, 100), min_size=25, max_size=25))
def test_gi_star_does_not_depend_on_unit_or_origin(values: list[float]) -> None:
    side = [
        [j for j in (i - 5, i + 5, i - 1, i + 1) if 0 <= j < 25 and abs(i % 5 - j % 5) < 2] for i in range(25)
    ]
    if max(values) - min(values) < 1e-3:
        return
    ours, other = getis_ord(values, side), getis_ord([7 * x + 3 for x in values], side)
    assert all(
        a is not None and b is not None and math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)
        for a, b in zip(ours, other, strict=True)
    )
