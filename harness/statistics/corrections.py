"""Many tests at once: which of them hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.statistics.paired import FloatArray

Holds = NDArray[np.bool_]


def holm(p: FloatArray, alpha: float) -> Holds:
    """Which tests hold so that the chance of even one false one is at most alpha. Holm 1979, Scand. J. Stat. 6:65."""
    order = np.argsort(p)
    fails = p[order] > alpha / (p.size - np.arange(p.size))
    holds = np.zeros(p.size, dtype=bool)
    holds[order[: fails.argmax() if fails.any() else p.size]] = True
    return holds


def benjamini_hochberg(p: FloatArray, alpha: float) -> Holds:
    """Which tests hold so that on average at most the share alpha of them is false: for lists of where to look.

    Benjamini and Hochberg 1995, JRSS B 57:289.
    """
    order = np.argsort(p)
    passing = np.flatnonzero(p[order] <= alpha * (1 + np.arange(p.size)) / p.size)
    holds = np.zeros(p.size, dtype=bool)
    holds[order[: passing[-1] + 1 if passing.size else 0]] = True
    return holds
