"""Anytime-valid bounds: games worked by hand, and how often they are wrong at any look."""

import math
from itertools import permutations

import numpy as np
import pytest

from harness.statistics.paired import wilson
from harness.statistics.sequential import log_wealth, look_sizes, sequence_interval

ALPHA = 0.05
ENDLESS = 10**12


def wealth(values, mean, total):
    """After each item."""
    return np.exp(log_wealth(np.array(values, dtype=float), mean, total, range(1, len(values) + 1)))


def test_stakes_on_a_right_answer_win_what_the_odds_pay():
    # At odds of 1/2 a stake c makes 1 + c; c is 0.05 .. 0.95, so c is 0.5 and c^2 is 0.325 on average.
    assert wealth([1, 1], 0.5, ENDLESS) == pytest.approx([1.5, 1 + 2 * 0.5 + 0.325])
    assert wealth([1, 0], 0.5, ENDLESS) == pytest.approx([1.5, 1 - 0.325])


def test_what_the_rest_of_the_set_must_average_makes_no_money():
    # Two items that average 1/2: after a 0 the other is a 1 for certain, so nothing is won on it...
    assert wealth([0, 1], 0.5, 2) == pytest.approx([0.5, 0.5])
    # ...and after a 1 the other is a 0 for certain, but the source may still give either, so the odds stay at 1/2.
    assert wealth([1, 0], 0.5, 2) == pytest.approx([1.5, 0.675])


@pytest.mark.parametrize("items", [(1, 0, 0), (1, 1, 0, 0.5), (0, 0, 0.3, 1, 0.2)])
def test_no_item_of_the_set_makes_money_on_average_whatever_came_before(items):
    """All orders of a small set: the next wealth, averaged over what may come next, is at most the wealth now."""
    mean = sum(items) / len(items)
    paths = {order: wealth(order, mean, len(items)) for order in permutations(items)}
    for order, path in paths.items():
        for seen in range(len(items)):
            now = path[seen - 1] if seen else 1.0
            rest = [other[seen] for order_, other in paths.items() if order_[:seen] == order[:seen]]
            assert np.mean(rest) <= now + 1e-12


def test_one_item_rules_out_a_mean_of_nothing():
    assert wealth([0, 0.01], 0.0, ENDLESS) == pytest.approx([1, math.inf])


def test_bounds_are_where_the_wealth_is_one_over_alpha():
    values = np.r_[np.ones(30), np.zeros(90)]
    np.random.default_rng(0).shuffle(values)
    low, high = sequence_interval(values, ALPHA, 400)
    assert low < 0.25 < high
    assert wealth(values, low, 400)[-1] == pytest.approx(1 / ALPHA, rel=1e-4)
    assert wealth(1 - values, 1 - high, 400)[-1] == pytest.approx(1 / ALPHA, rel=1e-4)
    assert sequence_interval(2 * values - 1, ALPHA, 400, (-1, 1)) == pytest.approx((2 * low - 1, 2 * high - 1))


def test_looks_grow_and_the_last_sees_everything():
    assert look_sizes(70) == [32, 40, 50, 63, 70]
    assert look_sizes(50) == [32, 40, 50]
    assert look_sizes(5) == [5]


def test_no_item_no_knowledge():
    assert sequence_interval(np.empty(0), ALPHA, 100, (-1, 1)) == pytest.approx((-1, 1))


SETS = {
    "one in five flips": np.r_[np.ones(30), np.zeros(10), np.full(160, 0.5)],
    "yes or no": np.r_[np.ones(60), np.zeros(140)],
    "graded": np.resize([0.0, 0.1, 0.3, 0.5, 0.5, 1.0], 200),
}


@pytest.mark.parametrize("source", ["this set", "endless"])
@pytest.mark.parametrize("name", SETS)
def test_looking_at_every_item_is_wrong_no_more_often_than_alpha(name, source):
    """The wealth at the true mean must stay below 1 / alpha at every look, in both directions."""
    items, rng, games = SETS[name], np.random.default_rng(1), 1000
    draws = np.array([rng.permutation(items) if source == "this set" else rng.choice(items, 200) for _ in range(games)])
    for values in (draws, 1 - draws):
        mean = float(items.mean() if values is draws else 1 - items.mean())
        wrong = int(np.sum(log_wealth(values, mean, 200, range(1, 201)).max(axis=-1) >= -math.log(ALPHA)))
        assert wilson(wrong, games, 0.025)[0] <= ALPHA


def test_clear_failures_and_equal_models_are_seen_long_before_the_set_ends():
    rng = np.random.default_rng(3)
    drops = rng.choice([1.0, -1.0, 0.0], 1000, p=[0.5, 0.1, 0.4])
    assert sequence_interval(drops[:40], ALPHA, 1000, (-1, 1))[0] > 0.05
    drops = rng.choice([1.0, -1.0, 0.0], 1000, p=[0.025, 0.025, 0.95])
    assert sequence_interval(drops[:400], ALPHA, 1000, (-1, 1))[1] < 0.05


def test_the_fixed_interval_of_the_same_level_would_not_survive_so_many_looks():
    rng = np.random.default_rng(2)
    draws = rng.choice(SETS["yes or no"], (2000, 300))
    counts = np.arange(1, 301)
    z = (np.cumsum(draws, axis=1) - 0.3 * counts) / np.sqrt(0.21 * counts)
    assert np.mean((z[:, 20:] > 1.645).any(axis=1)) > 2 * ALPHA
