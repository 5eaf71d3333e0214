"""Corrections for many tests: the steps by hand, and scipy."""

import numpy as np
import pytest
from scipy import stats

from harness.statistics.corrections import benjamini_hochberg, holm


@pytest.mark.parametrize(
    ("p", "holds"),
    [
        ([0.01, 0.04, 0.03], [True, False, False]),  # 0.01 <= .05/3, but 0.03 > .05/2 ends it
        ([0.01, 0.04, 0.02], [True, True, True]),  # .05/3, .05/2, .05/1
        ([0.02, 0.001], [True, True]),
        ([0.02, 0.02, 0.02], [False, False, False]),
        ([], []),
    ],
)
def test_holm_steps_down_until_one_fails(p, holds):
    assert holm(np.array(p), 0.05).tolist() == holds


def test_benjamini_hochberg_is_scipys():
    rng = np.random.default_rng(0)
    for size in (1, 7, 40):
        p = rng.uniform(size=size) ** 3
        expected = stats.false_discovery_control(p) <= 0.05
        assert benjamini_hochberg(p, 0.05).tolist() == expected.tolist()


def test_no_test_holds_nothing():
    assert benjamini_hochberg(np.array([]), 0.05).size == 0
