"""The exact test: against a plain double sum over all tables, and its error rates by enumeration."""

import numpy as np
import pytest
from scipy.stats import multinomial, norm

from harness.statistics.exact import exact_p, proves, proving_losses, proving_probability
from harness.statistics.paired import tango_z

ALPHA = 0.05


def all_tables(n):
    losses, gains = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    possible = losses + gains <= n
    return losses[possible], gains[possible]


def chances(n, drop, psi):
    losses, gains = all_tables(n)
    return multinomial.pmf(
        np.stack([losses, gains, n - losses - gains], 1), n, [(psi + drop) / 2, (psi - drop) / 2, 1 - psi]
    )


@pytest.mark.parametrize(("n", "losses", "gains", "margin"), [(50, 3, 1, 0.05), (60, 9, 2, 0.03), (60, 5, 0, 0.01)])
def test_p_values_equal_the_plain_sum_over_all_tables(n, losses, gains, margin):
    z = tango_z(n, *all_tables(n), margin)
    seen = tango_z(n, losses, gains, margin)
    grid = [chances(n, margin, psi) for psi in np.linspace(margin, 0.6, 400)]
    non_inferior = max(chance[z <= seen + 1e-9].sum() for chance in grid)
    worse = max(chance[z >= seen - 1e-9].sum() for chance in grid)
    # The plain maximum runs over a grid of discordances and so may be a little too small.
    assert exact_p(n, losses, gains, margin, "non-inferior") == pytest.approx(non_inferior, abs=1e-4)
    assert exact_p(n, losses, gains, margin, "worse") == pytest.approx(worse, abs=1e-4)


def test_the_statistic_rises_with_losses_so_that_an_edge_describes_the_extreme_set():
    for n in (50, 225, 1000):
        for k in (1, 2, 5, 17, 50):
            losses = np.arange(k + 1)
            for margin in (0.01, 0.02, 0.05):
                assert np.all(np.diff(tango_z(n, losses, k - losses, margin)) > 0)


def test_no_flips_pass_only_when_the_margin_would_have_shown():
    assert not proves(148, 0, 0, 0.02, ALPHA, "non-inferior")  # 0.98^148 = 0.0503
    assert proves(149, 0, 0, 0.02, ALPHA, "non-inferior")  # 0.98^149 = 0.0493


def test_the_edges_are_those_of_trying_every_table():
    n, margin = 60, 0.05
    flips = np.arange(20)
    most = proving_losses(n, flips, margin, ALPHA, "non-inferior")
    fewest = proving_losses(n, flips, margin, ALPHA, "worse")
    for k in flips:
        passing = [x for x in range(k + 1) if proves(n, x, k - x, margin, ALPHA, "non-inferior")]
        failing = [x for x in range(k + 1) if proves(n, x, k - x, margin, ALPHA, "worse")]
        assert passing == list(range(most[k] + 1))
        assert failing == list(range(fewest[k], k + 1))


def plain_tango_rate(n, margin, psi, claim):
    z = tango_z(n, *all_tables(n), margin)
    p = norm.cdf(z) if claim == "non-inferior" else norm.sf(z)
    return chances(n, margin, psi)[p <= ALPHA].sum()


def test_plain_tango_alone_is_not_enough():
    assert plain_tango_rate(270, 0.01, 0.01, "non-inferior") == pytest.approx(0.0663, abs=1e-4)
    assert plain_tango_rate(225, 0.01, 0.02, "worse") == pytest.approx(0.090, abs=1e-3)


SIZES = [(n, margin) for n in (50, 137, 225, 270) for margin in (0.01, 0.02, 0.05)] + [(500, 0.01)]


@pytest.mark.parametrize(("n", "margin"), SIZES)
@pytest.mark.parametrize("claim", ["non-inferior", "worse"])
def test_false_verdicts_at_the_margin_are_at_most_alpha(n, margin, claim):
    likely = np.arange(min(n, int(0.2 * n + 7 * np.sqrt(0.16 * n))) + 1)
    rule = likely, proving_losses(n, likely, margin, ALPHA, claim)
    for psi in np.linspace(margin, 0.2, 120):
        assert proving_probability(n, psi, margin, rule, claim) <= ALPHA
