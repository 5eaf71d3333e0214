"""What a search does next: pure rules over what it has seen. `tests/races/search.py` measures their error rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.statistics.rising import Band, Rising

TRIALS = 6
"""Candidates of one variant that are held against the gates at most."""
GRAIN = 0.005
"""Sparsities that are tried are multiples of this."""
STEP = 4.0
"""Divergence grows about with the square of sparsity: this much more of it is twice the cut."""
SAFER = (1.0, 0.75, 0.5)
"""What finalists cut, as shares of what passed among the searched cases."""


@dataclass(frozen=True)
class Bracket:
    """Where the gates of one variant break."""

    passed: float | None = None
    """The largest sparsity that passed."""
    failed: float | None = None
    """The smallest that did not."""

    def with_trial(self, sparsity: float, passes: bool) -> Bracket:
        """After one more trial; one that fails below another that passed makes that one a stroke of luck."""
        if passes and (self.failed is None or sparsity < self.failed):
            return replace(self, passed=sparsity)
        if passes:
            return self
        unlucky = self.passed is not None and self.passed >= sparsity
        return Bracket(None if unlucky else self.passed, sparsity)


@dataclass(frozen=True)
class Levels:
    """How far from the original candidates of any variant were, in nats a token, that passed or did not."""

    passed: tuple[float, ...] = ()
    failed: tuple[float, ...] = ()
    breaks: float | None = None
    """Where the last trial's own figures say that its gates break."""

    def with_trial(self, level: float, passes: bool, breaks: float | None) -> Levels:
        """After one more trial."""
        return Levels(self.passed + (level,) * passes, self.failed + (level,) * (not passes), breaks)

    def band(self) -> Band | None:
        """Where the gates seem to break; None before the first trial."""
        if not (self.passed or self.failed):
            return None
        low = max(self.passed) if self.passed else min(self.failed) / STEP
        high = min(self.failed) if self.failed else low * STEP
        low, high = sorted((low, high))
        middle = math.sqrt(low * high) if self.breaks is None else min(max(self.breaks, low), high)
        return Band(low, middle, high)


def expected(divergence: Rising, levels: Levels, gated: Sequence[Band]) -> Band | None:
    """At which sparsity the gates break. gated: where each gate on fidelity does, by the screen alone.

    Once candidates have passed and failed, what they were says more than the screen.
    """
    band = levels.band()
    bands = [] if band is None else [Band(*(divergence.reaches(level).middle for level in band))]
    if not (levels.passed and levels.failed):
        bands += gated
    return Band(*map(min, zip(*bands, strict=True))) if bands else None


def next_sparsity(bracket: Bracket, seen: Band | None, span: tuple[float, float], resolution: float) -> float | None:
    """What to try next; None: the bracket is narrow enough, or ends where the search does.

    The first trial is where the gates should still hold. From there it goes to where they are expected to break, a
    whole number of resolutions away, so that a right guess ends the search.
    """
    low, high = span
    passed, failed = bracket.passed, bracket.failed
    if (passed is not None and passed >= high) or (failed is not None and failed <= low):
        return None
    if passed is not None and failed is not None:
        if failed - passed <= resolution + 1e-9:
            return None
        ends = sorted((passed + resolution, failed - resolution))
        if failed - passed <= 2 * resolution:
            return _on_grain(sum(ends) / 2, (passed, failed))
        wanted = seen.middle if seen else (passed + failed) / 2
        return _on_grain(min(max(wanted, ends[0]), ends[1]), (passed, failed))
    if passed is not None:
        wanted = min(seen.middle if seen else (passed + high) / 2, high)
        higher = passed + resolution * max(1, round((wanted - passed) / resolution))
        return high if higher > high - resolution / 2 else _on_grain(higher, (passed, high))
    if failed is not None:
        wanted = max(seen.middle if seen else (low + failed) / 2, low)
        lower = failed - resolution * max(1, round((failed - wanted) / resolution))
        return low if lower < low + resolution / 2 else _on_grain(lower, (low, failed))
    return _on_grain(min(max(seen.low, low), high) if seen else (low + high) / 2, (low - GRAIN, high + GRAIN))


def _on_grain(wanted: float, between: tuple[float, float]) -> float:
    """The nearest multiple of GRAIN that lies strictly between the two; as it is where there is none."""
    low, high = between
    near = round(round(wanted / GRAIN) * GRAIN, 6)
    return near if low < near < high else round(wanted, 6)


def kept(standing: Mapping[str, Band]) -> list[str]:
    """The variants worth holding against the gates, the best first: one round of successive halving.

    standing: variant -> the sparsity at which it is as far from the original as the others are at theirs. Out are those
    that are clearly worse than the best, and of three or more the worse half.
    """
    order = sorted(standing, key=lambda name: -standing[name].middle)
    best = standing[order[0]]
    level = [name for name in order if standing[name].high >= best.low]
    return level[: max(1, math.ceil(len(order) / 2))] if len(order) > 2 else level


def finalists(passed: float, low: float, resolution: float) -> list[float]:
    """The sparsities to be judged on held-out cases, in this order, until one PASSes; each at its share of alpha.

    passed: the largest that passed among the searched cases, which it did partly by luck, so safer ones follow. Each
    is one more chance of a wrong PASS, hence the shares (Bonferroni). Upwards from the safest, while each PASSes, every
    one could be judged at the whole alpha; that found about the same, with more verdicts: `docs/search.md`.
    """
    found: list[float] = []
    for share in SAFER:
        sparsity = max(low, _on_grain(share * passed, (0.0, passed + GRAIN)))
        if not found or found[-1] - sparsity >= resolution - 1e-9:
            found.append(sparsity)
    return found
