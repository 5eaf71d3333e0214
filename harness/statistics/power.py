"""What a number of items can show, before or after it was measured."""

from __future__ import annotations

import math
import sys

import numpy as np
from scipy import special

from harness.statistics.exact import GAMMA, TAIL, Claim, proves, proving_losses, proving_probability
from harness.statistics.paired import tango_z

MOST_ITEMS = 100_000
"""Beyond this many items, saying how many would settle a gate helps nobody."""


def detectable_drop(n: int, discordance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true drop that n yes-or-no pairs show with this power.

    It solves drop * sqrt(n) = za sqrt(psi) + zb sqrt(psi - drop^2), psi = discordance. A drop cannot exceed
    psi: where the solution would, or nothing flipped, psi is the drop itself.
    """
    za, zb = float(special.ndtri(1 - alpha)), float(special.ndtri(power))
    # The positive root of the squared equation (n + zb^2) d^2 - 2 za sqrt(n psi) d + (za^2 - zb^2) psi = 0.
    root = zb * math.sqrt(discordance * max(n + zb**2 - za**2, 0.0))
    drop = (za * math.sqrt(n * discordance) + root) / (n + zb**2)
    if 0 < drop <= discordance:
        return drop
    # With psi = d: sqrt(d n) = za + zb sqrt(1 - d).
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if math.sqrt(middle * n) < za + zb * math.sqrt(1 - middle):
            low = middle
        else:
            high = middle
    return high


def failing_drop(n: int, discordance: float, margin: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true drop that a margin gate over n yes-or-no pairs calls a REGRESSION with this power.

    Normal approximation around the expected table, with Tango's variance at the margin. A drop cannot exceed the
    discordance: where it would, that is the drop itself. 1.0 where no drop is enough.
    """
    za, zb = float(special.ndtri(1 - alpha)), float(special.ndtri(power))
    low, high = margin, 1.0
    for _ in range(60):
        drop = (low + high) / 2
        psi = max(discordance, drop)
        null_error = (drop - margin) / float(tango_z(1, (psi + drop) / 2, (psi - drop) / 2, margin))
        if (drop - margin) * math.sqrt(n) < za * null_error + zb * math.sqrt(psi - drop**2):
            low = drop
        else:
            high = drop
    return high


def detectable_shift(error: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true shift of a mean with this standard error that is shown with this power."""
    return (float(special.ndtri(1 - alpha)) + float(special.ndtri(power))) * error


def smallest_passing(margin: float, alpha: float = 0.05) -> int:
    """Fewest yes-or-no items with which a margin gate can PASS at all: without one flip, (1 - margin)^n <= alpha."""
    exact = math.log(max(alpha - GAMMA - 3 * TAIL, sys.float_info.min)) / math.log1p(-margin)
    asymptotic = float(special.ndtri(1 - alpha)) ** 2 * (1 - margin) / margin
    return math.ceil(max(exact, asymptotic))


def passing_power(n: int, discordance: float, margin: float, alpha: float = 0.05) -> float:
    """Exact probability that a margin gate PASSes when the two models are equally good."""
    flips = np.arange(n + 1)
    likely = flips[np.abs(flips - n * discordance) <= 6 * math.sqrt(n * discordance) + 6]
    rule = (likely, proving_losses(n, likely, margin, alpha, "non-inferior"))
    return proving_probability(n, discordance, 0.0, rule, "non-inferior")


def passing_items(discordance: float, margin: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """About how many items let a margin gate PASS with this power when the two models are equally good.

    Normal approximation around the expected table, with Tango's variance at the margin; never fewer than can PASS.
    """
    za, zb = float(special.ndtri(1 - alpha)), float(special.ndtri(power))
    expected_z = float(tango_z(1, discordance / 2, discordance / 2, margin))
    items = ((za * margin / -expected_z + zb * math.sqrt(discordance)) / margin) ** 2
    return max(math.ceil(items), smallest_passing(margin, alpha))


def items_to_settle(estimate: float, bound: float, limit: float, n: int) -> int | None:
    """About how many items bring `bound` to the limit if the estimate stays; None beyond MOST_ITEMS.

    The distance of a bound from its estimate falls with the square root of the items.
    """
    room = abs(limit - estimate)
    if room == 0 or not math.isfinite(bound):
        return None
    items = math.ceil(n * ((bound - estimate) / room) ** 2)
    return max(items, n + 1) if items <= MOST_ITEMS else None


def pairs_to_settle(n: int, losses: int, gains: int, margin: float, alpha: float) -> int | None:
    """About how many yes-or-no items, losing and gaining at the rates seen, give PASS or REGRESSION."""
    claim: Claim = "non-inferior" if losses - gains < margin * n else "worse"
    items = max(n + 1, smallest_passing(margin, alpha)) if claim == "non-inferior" else n + 1
    while items <= MOST_ITEMS:
        scaled = round(losses * items / n), round(gains * items / n)
        if proves(items, *scaled, margin, alpha, claim):
            return items
        items = math.ceil(items * 1.05)
    return None
