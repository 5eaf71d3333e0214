"""Simulated gates on items that come in clusters, and on graded items.

An item keeps its result or changes by one of a few amounts; within a cluster these chances vary by a Dirichlet
distribution with the intra-cluster correlation given. The true drop equals the margin, so every verdict is wrong.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from rules import ALPHA, Z
from scipy import special

from harness.statistics.bounded import cluster_end, score_z
from harness.statistics.exact import proves
from harness.statistics.paired import wilson

CHUNK = 5000
CLAIMS = ("non-inferior", "worse")
STEPS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Setting:
    """What is simulated."""

    clusters: int
    size: int
    correlation: float
    changed: float
    """Share of items whose result changes."""
    margin: float
    amounts: tuple[float, ...] = (1.0,)
    """How far a changed item moves, equally often each."""

    @property
    def kind(self) -> str:
        return "yes-or-no" if self.amounts == (1.0,) else "graded"


SETTINGS = (
    Setting(40, 5, 0.1, 0.06, 0.05),
    Setting(40, 5, 0.1, 0.10, 0.05),
    Setting(40, 5, 0.3, 0.10, 0.05),
    Setting(40, 5, 0.5, 0.10, 0.05),
    Setting(40, 5, 0.7, 0.06, 0.05),
    Setting(40, 2, 0.9, 0.06, 0.05),
    Setting(40, 20, 0.1, 0.06, 0.05),
    Setting(40, 20, 0.3, 0.06, 0.05),
    Setting(40, 100, 0.2, 0.053, 0.05),
    Setting(40, 10, 0.3, 0.20, 0.03),
    Setting(57, 100, 0.05, 0.05, 0.02),
    Setting(57, 100, 0.3, 0.03, 0.02),
    Setting(57, 100, 0.05, 0.024, 0.02),
    Setting(100, 5, 0.3, 0.10, 0.02),
    Setting(100, 10, 0.7, 0.03, 0.02),
    Setting(200, 5, 0.1, 0.05, 0.02),
    Setting(200, 5, 0.7, 0.02, 0.01),
    Setting(60, 1, 0.0, 0.15, 0.05, STEPS),
    Setting(200, 1, 0.0, 0.05, 0.02, STEPS),
    Setting(200, 1, 0.0, 0.20, 0.05, STEPS),
    Setting(500, 1, 0.0, 0.10, 0.02, STEPS),
    Setting(40, 5, 0.3, 0.20, 0.05, STEPS),
    Setting(40, 5, 0.7, 0.10, 0.05, STEPS),
    Setting(57, 100, 0.2, 0.084, 0.05, STEPS),
    Setting(57, 100, 0.4, 0.084, 0.05, STEPS),
    Setting(100, 5, 0.3, 0.20, 0.02, STEPS),
)


@dataclass(frozen=True)
class Sample:
    """One simulated gate."""

    values: np.ndarray
    """(kinds,) the drops an item can have."""
    counts: np.ndarray
    """(kinds,) how often each came up."""
    clusters: np.ndarray
    """(clusters,) mean drop of each."""
    changed: int
    """Clusters with a changed item."""


def simulated(setting: Setting, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """values: (kinds,) drops an item can have; counts: (count, clusters, kinds) how often each came up."""
    amounts = np.array(setting.amounts)
    loss = (setting.changed + setting.margin / amounts.mean()) / 2
    gain = setting.changed - loss
    share = np.full(amounts.size, 1 / amounts.size)
    values = np.concatenate([[0.0], amounts, -amounts])
    chance = np.concatenate([[1 - setting.changed], loss * share, gain * share])
    if setting.correlation:
        precision = 1 / setting.correlation - 1
        chance = rng.dirichlet(chance * precision, size=(count, setting.clusters))
    return values, rng.multinomial(setting.size, chance, size=None if chance.ndim > 1 else (count, setting.clusters))


def race_clusters(count: int) -> None:
    """Print a row a setting: rates of wrong verdicts of the rules, ours last with its 95 % interval."""
    rules = "point | t | secateur (95 % interval)"
    print(f"| items | clusters | r | changed | margin | false PASS: {rules} | false REGRESSION: {rules} |")
    print("|" + "---|" * 11)
    for seed, setting in enumerate(SETTINGS):
        _race(setting, count, np.random.default_rng(seed))


def _race(setting: Setting, count: int, rng: np.random.Generator) -> None:
    wrong = {(claim, rule): 0 for claim in CLAIMS for rule in ("point", "t", "secateur")}
    for _ in range(count // CHUNK):
        for key, times in _wrong(setting, rng).items():
            wrong[key] += times
    runs = count // CHUNK * CHUNK
    cells = [setting.kind, f"{setting.clusters} x {setting.size}", f"{setting.correlation:g}"]
    cells += [f"{100 * setting.changed:g}", f"{100 * setting.margin:g}"]
    for claim in CLAIMS:
        cells += [f"{100 * wrong[claim, rule] / runs:.1f}" for rule in ("point", "t")]
        low, high = wilson(wrong[claim, "secateur"], runs, 0.025)
        cells.append(f"{100 * wrong[claim, 'secateur'] / runs:.2f} ({100 * low:.2f}-{100 * high:.2f})")
    print("| " + " | ".join(cells) + " |", flush=True)


def _wrong(setting: Setting, rng: np.random.Generator) -> dict[tuple[str, str], int]:
    """How many of CHUNK gates each rule decides, all of them wrongly."""
    values, counts = simulated(setting, CHUNK, rng)
    n = setting.clusters * setting.size
    sums, pooled, changed = counts @ values, counts.sum(axis=1), (counts[:, :, 1:].sum(axis=2) > 0).sum(axis=1)
    mean = sums.sum(axis=1) / n
    plain = np.sqrt((pooled @ values**2 / n - mean**2) / (n - 1))
    robust = np.sqrt(((sums - setting.size * mean[:, None]) ** 2).sum(axis=1)) / n
    robust *= math.sqrt(setting.clusters / (setting.clusters - 1))
    critical = special.stdtrit(setting.clusters - 1, 1 - ALPHA)
    inflated = np.maximum(1, np.divide(robust, plain, out=np.ones_like(plain), where=plain > 0))
    wrong = {}
    for claim in CLAIMS:
        beyond = (mean - setting.margin) * (-1 if claim == "non-inferior" else 1)
        wrong[claim, "point"] = int(np.sum(beyond > 0))
        wrong[claim, "t"] = int(np.sum(beyond > special.stdtrit(n - 1, 1 - ALPHA) * plain))
        wrong[claim, "secateur"] = 0
        for i in np.flatnonzero(beyond > critical * robust):
            sample = Sample(values, pooled[i], sums[i] / setting.size, int(changed[i]))
            reach = critical * inflated[i] if setting.size > 1 else Z
            wrong[claim, "secateur"] += _agreed(setting, sample, reach, claim)
    return wrong


def _agreed(setting: Setting, sample: Sample, reach: float, claim: str) -> bool:
    """Whether the score tests, which ours needs beside the robust t, say the same."""
    sign = 1 if claim == "worse" else -1
    values, counts = (array[sample.counts > 0] for array in (sample.values, sample.counts))
    if sign * score_z(values, counts.astype(float), setting.margin) <= reach:
        return False
    if setting.size > 1:
        end = cluster_end(float(np.abs(sample.clusters).max()), sample.changed, 1.0)
        means, times = np.unique(sample.clusters / end, return_counts=True)
        critical = special.stdtrit(setting.clusters - 1, 1 - ALPHA)
        if sign * score_z(means, times.astype(float), setting.margin / end) <= critical:
            return False
    if not np.isin(values, (-1, 0, 1)).all():
        return True
    losses, gains = (int(counts[values == value].sum()) for value in (1, -1))
    return _proved(setting.clusters * setting.size, losses, gains, setting.margin, claim)


@cache
def _proved(n: int, losses: int, gains: int, margin: float, claim: str) -> bool:
    return proves(n, losses, gains, margin, ALPHA, claim)
