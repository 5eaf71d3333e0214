"""Whether another allocation of ranks is better than uniform ranks: a paired t interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from compress.errors import CompressError
from compress.training.facts import Contest

FEWEST_SEEDS = 3
CONFIDENCE = 0.95


def contest(uniform: Sequence[float], other: Sequence[float]) -> Contest:
    """Compare held-out losses, one a seed, both in the same order of seeds.

    The other is "better" or "worse" only if the interval is wholly above or below 0. Its losses must come from seeds
    that had no part in choosing it; otherwise luck in the choice counts as merit.

    Raises CompressError for fewer than three seeds, unequal numbers of them, or a loss that is not finite.
    """
    count = len(uniform)
    if count != len(other) or count < FEWEST_SEEDS:
        raise CompressError(f"a contest needs {FEWEST_SEEDS} or more seeds each; found {count} and {len(other)}")
    if not all(math.isfinite(loss) for loss in (*uniform, *other)):
        raise CompressError("a contest needs finite held-out losses; one of them is NaN or infinite")
    differences = [before - after for before, after in zip(uniform, other, strict=True)]
    low, mean, high = _interval(differences)
    decision: Literal["better", "no difference seen", "worse"] = "no difference seen"
    if low > 0:
        decision = "better"
    elif high < 0:
        decision = "worse"
    return Contest(tuple(uniform), tuple(other), mean, (low, high), decision)


def _interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower bound, mean and upper bound of Student's t interval of the mean."""
    from scipy.stats import t

    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * math.sqrt(variance / count)
    return mean - reach, mean, mean + reach
