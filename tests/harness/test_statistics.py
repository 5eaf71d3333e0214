"""Paired statistics against printed tables, hand calculations and scipy."""

import numpy as np
import pytest
from scipy import stats

from harness.statistics.bounded import bounded_interval, score_z
from harness.statistics.exact import proves, proving_losses, proving_probability
from harness.statistics.means import cluster_error, labels, mean
from harness.statistics.paired import (
    Table,
    clopper_pearson,
    inverted,
    mcnemar,
    newcombe_interval,
    tabulate,
    tango_interval,
    tango_z,
    wilson,
)
from harness.statistics.power import (
    detectable_drop,
    detectable_shift,
    failing_drop,
    items_to_settle,
    pairs_to_settle,
    passing_items,
    passing_power,
    smallest_passing,
)

TANGO_1998 = Table(n11=36, n10=12, n01=2, n00=0)


def spread(table):
    """The table as one drop an item."""
    return np.repeat([1.0, -1.0, 0.0], [table.n10, table.n01, table.n11 + table.n00])


def test_intervals_of_the_published_table():
    assert tango_interval(TANGO_1998, 0.025) == pytest.approx((0.0611, 0.3447), abs=5e-5)
    assert newcombe_interval(TANGO_1998, 0.025) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_swapping_the_models_mirrors_the_intervals():
    swapped = Table(36, 2, 12, 0)
    for interval in (tango_interval, newcombe_interval):
        low, high = interval(TANGO_1998, 0.05)
        assert interval(swapped, 0.05) == pytest.approx((-high, -low))


@pytest.mark.parametrize("margin", [0.01, 0.05, -0.03])
@pytest.mark.parametrize("table", [TANGO_1998, Table(90, 3, 1, 6), Table(95, 0, 5, 0), Table(50, 0, 0, 0)])
def test_tango_uses_the_numerical_restricted_maximum_likelihood(table, margin):
    gain = np.linspace(max(0, -margin), (1 - margin) / 2, 2_000_001)[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = (
            np.where(table.n01, table.n01 * np.log(gain), 0)
            + np.where(table.n10, table.n10 * np.log(gain + margin), 0)
            + (table.n11 + table.n00) * np.log(1 - 2 * gain - margin)
        )
    best = gain[np.nanargmax(likelihood)]
    z = (table.n10 - table.n01 - table.n * margin) / np.sqrt(table.n * (2 * best + margin - margin**2))
    assert float(tango_z(table.n, table.n10, table.n01, margin)) == pytest.approx(z, abs=1e-4)


def test_tabulate_counts_losses_and_gains():
    before, after = np.array([1, 1, 1, 0, 0, 0.5]), np.array([1, 0, 0, 1, 0, 0.5])
    assert tabulate(before, after) == Table(1, 2, 1, 2)


def test_mcnemar_is_the_binomial_test_of_the_flips():
    assert mcnemar(12, 2) == pytest.approx(stats.binomtest(12, 14, 0.5).pvalue)
    assert mcnemar(12, 2, "worse") == pytest.approx(stats.binomtest(12, 14, 0.5, alternative="greater").pvalue)
    assert mcnemar(12, 2, "mid-p") == pytest.approx(mcnemar(12, 2) - stats.binom.pmf(2, 14, 0.5))
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1.0


def test_share_intervals_are_scipys():
    both = stats.binomtest(7, 40)
    for alpha in (0.05, 0.025):
        expected = both.proportion_ci(1 - 2 * alpha, method="wilson")
        assert wilson(7, 40, alpha) == pytest.approx((expected.low, expected.high))
        expected = both.proportion_ci(1 - 2 * alpha, method="exact")
        assert clopper_pearson(7, 40, alpha) == pytest.approx((expected.low, expected.high))


def test_the_mean_of_single_items_is_the_paired_t_test():
    before, after = np.random.default_rng(0).normal(size=(2, 31))
    expected = stats.ttest_rel(before, after).confidence_interval(0.9)
    assert mean(before - after).interval(0.05) == pytest.approx((expected.low, expected.high))


def test_cluster_error_by_hand():
    # mean 0.5; residuals -.5 .5 | .5 .5 | -.5 -.5; cluster sums 0, 1, -1; error sqrt(2) / 6
    values, groups = np.array([0.0, 1, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 2, 2])
    assert cluster_error(values, groups) == pytest.approx(2**0.5 / 6)
    assert mean(values, groups).error == pytest.approx(2**0.5 / 6 * 1.5**0.5)
    assert mean(values, groups).clusters == 3


def test_weights_count_as_repeated_items():
    values, weights = np.array([0.2, 0.9, 0.4]), np.array([1.0, 2.0, 3.0])
    repeated = np.repeat(values, [1, 2, 3])
    assert cluster_error(values, np.arange(3), weights) == pytest.approx(
        cluster_error(repeated, np.repeat(np.arange(3), [1, 2, 3]))
    )


def test_one_cluster_has_no_error():
    assert np.isnan(mean(np.array([1.0, 2.0]), np.array([0, 0])).error)


def test_without_a_flip_forty_clusters_are_forty_items_however_large():
    # The score test of n items without a flip: z^2 = n m / (1 - m), so the bound is m = t^2 / (n + t^2).
    drops, groups = np.zeros(400), np.repeat(np.arange(40), 10)
    t = stats.t.ppf(0.95, 39)
    assert bounded_interval(drops, 0.05, groups)[1] == pytest.approx(t**2 / (40 + t**2))


@pytest.mark.parametrize(("losing", "end"), [(2, 1.0), (4, 0.55), (14, 0.55), (20, 0.15)])
def test_clusters_are_items_that_may_move_beyond_what_was_seen(losing, end):
    # One item of ten lost in so many clusters: 0.1 is the farthest seen, 1 the farthest there is.
    drops, groups = np.zeros(400), np.repeat(np.arange(40), 10)
    drops[: losing * 10 : 10] = 1
    t, values, counts = stats.t.ppf(0.95, 39), np.array([0.0, 0.1 / end]), np.array([40.0 - losing, losing])
    clusters = inverted(lambda drop: score_z(values, counts, drop), t)
    items = inverted(lambda drop: float(tango_z(400, losing, 0, drop)), t)
    expected = min(items[0], end * clusters[0]), max(items[1], end * clusters[1])
    assert bounded_interval(drops, 0.05, groups) == pytest.approx(expected, abs=1e-9)


def test_an_empty_cluster_name_is_a_cluster_of_its_own():
    assert labels(("a", "", "a", "")).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("table", [TANGO_1998, Table(90, 5, 0, 5), Table(133, 0, 0, 0), Table(5, 1, 9, 2)])
def test_the_bounded_score_of_yes_or_no_items_is_tangos(table):
    values, counts = np.unique(spread(table), return_counts=True)
    for drop in (-0.2, -0.01, 0.02, 0.3):
        expected = float(tango_z(table.n, table.n10, table.n01, drop))
        assert score_z(values, counts.astype(float), drop) == pytest.approx(expected, abs=1e-6)
    assert bounded_interval(spread(table), 0.05) == pytest.approx(tango_interval(table, 0.05), abs=1e-6)


def test_the_bounded_score_of_many_graded_items_is_the_t_interval():
    drops = np.random.default_rng(1).uniform(-1, 1, 4000)
    assert bounded_interval(drops, 0.05) == pytest.approx(mean(drops).interval(0.05), abs=2e-4)


@pytest.mark.parametrize(
    ("n", "points"), [(200, (3.9, 5.5, 7.8)), (500, (2.5, 3.5, 5.0)), (1000, (1.8, 2.5, 3.5)), (5000, (0.79, 1.1, 1.6))]
)
def test_detectable_drop_solves_its_equation(n, points):
    z_alpha, z_power = stats.norm.ppf([0.95, 0.8])
    for psi, expected in zip((0.05, 0.1, 0.2), points, strict=True):
        drop = detectable_drop(n, psi)
        assert 100 * drop == pytest.approx(expected, abs=0.05)
        assert drop * n**0.5 == pytest.approx(z_alpha * psi**0.5 + z_power * (psi - drop**2) ** 0.5)


@pytest.mark.parametrize(("n", "psi"), [(100, 0.02), (200, 0.0), (500, 0.0)])
def test_a_detectable_drop_beyond_the_discordance_is_itself_the_discordance(n, psi):
    z_alpha, z_power = stats.norm.ppf([0.95, 0.8])
    drop = detectable_drop(n, psi)
    assert drop > psi
    assert drop * n**0.5 == pytest.approx(z_alpha * drop**0.5 + z_power * (drop - drop**2) ** 0.5)


@pytest.mark.parametrize(("n", "psi", "margin"), [(235, 0.02, 0.05), (235, 0.1, 0.05), (500, 0.1, 0.02)])
def test_a_failing_drop_is_a_regression_in_four_of_five_samples(n, psi, margin):
    drop, flips = failing_drop(n, psi, margin), np.arange(n // 3)
    rule = flips, proving_losses(n, flips, margin, 0.05, "worse")
    assert proving_probability(n, max(psi, drop), drop, rule, "worse") == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("psi", "margin"), [(0.02, 0.05), (0.05, 0.05), (0.05, 0.02)])
def test_passing_items_pass_an_equal_model_in_four_of_five_samples(psi, margin):
    assert passing_power(passing_items(psi, margin), psi, margin) == pytest.approx(0.8, abs=0.05)


def test_without_flips_the_fewest_items_that_can_pass_do():
    assert passing_items(0.0, 0.05) == smallest_passing(0.05) == 59


def test_detectable_shift():
    assert detectable_shift(0.01) == pytest.approx(0.01 * (1.6449 + 0.8416), abs=1e-5)


def test_smallest_passing_is_where_a_full_loss_of_the_margin_would_have_shown():
    # ln 0.05 / ln(1 - margin), rounded up
    assert [smallest_passing(margin) for margin in (0.01, 0.02, 0.03, 0.05)] == [299, 149, 99, 59]


def test_power_at_equality():
    assert passing_power(200, 0.05, 0.05) == pytest.approx(0.89, abs=0.005)
    assert passing_power(200, 0.05, 0.02) == pytest.approx(0.32, abs=0.005)
    few = [(losses, gains) for losses in range(8) for gains in range(12)]
    by_hand = sum(
        stats.multinomial.pmf([losses, gains, 60 - losses - gains], 60, [0.02, 0.02, 0.96])
        for losses, gains in few
        if proves(60, losses, gains, 0.05, 0.05, "non-inferior")
    )
    assert passing_power(60, 0.04, 0.05) == pytest.approx(by_hand, abs=1e-4)


def test_items_to_settle():
    assert items_to_settle(estimate=0.0, bound=0.5, limit=0.25, n=100) == 400  # twice as near: four times the items
    assert items_to_settle(estimate=0.25, bound=0.5, limit=0.25, n=100) is None
    needed = pairs_to_settle(200, 5, 5, 0.02, 0.05)
    assert needed is not None
    assert 350 < needed < 500  # z = 1.645 = sqrt(n) * 0.02 / sqrt(0.05) at n = 338, and the score test asks for more
    assert pairs_to_settle(200, 4, 0, 0.02, 0.05) is None
