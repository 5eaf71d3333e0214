"""How often verdicts are wrong, and how often there is none: this project's rule beside rules in common use.

    python tests/races/verdicts.py            # everything
    python tests/races/verdicts.py --quick    # fewer sizes, fewer simulations

Protocol. Alpha is 5 % for each side; wrong is a PASS at a true drop of the margin or more, a REGRESSION at one of the
margin or less.
1. Yes-or-no items, unclustered: exact enumeration, no chance involved. The largest rate at drop = margin, where a wrong
   verdict is likeliest, over GRID shares of flips from the margin to 20 %.
2. The same at equality, at the margin and at twice the margin, for a few shares of flips: wrong verdicts at worst, and
   INCONCLUSIVE on average. Looking early (looks.py) is simulated beside it, with the items it took.
3. What early looks cost: items until a verdict when the models are equal, and when the candidate is clearly worse.
4. Items in clusters and graded items (clusters.py): simulation, with the 95 % interval of the simulated rate.
"""

import argparse
import math
import platform
import time
from functools import cache

import numpy as np
from clusters import race_clusters
from looks import Looked, looked
from rules import ALPHA, MOST_FLIPS, NAMES, Truth, rate

from harness.statistics.paired import wilson
from harness.statistics.power import passing_items

SIZES = (50, 75, 100, 137, 150, 175, 200, 225, 250, 270, 300, 400, 500, 700, 1000, 1500, 2000)
MARGINS = (0.01, 0.02, 0.03, 0.05)
GRID = 300
CLAIMS = {"non-inferior": "false PASS", "worse": "false REGRESSION"}
FEW_SIZES = (50, 100, 200, 500, 1000, 2000)
FEW_FLIPS = (0.01, 0.02, 0.05, 0.1, 0.2)
PRICED = (
    (0.05, 0.0, 0.0),
    (0.05, 0.02, 0.0),
    (0.05, 0.05, 0.0),
    (0.05, 0.1, 0.0),
    (0.02, 0.02, 0.0),
    (0.02, 0.05, 0.0),
    (0.05, 0.15, 0.1),
    (0.05, 0.25, 0.2),
    (0.05, 0.5, 0.4),
    (0.02, 0.5, 0.4),
    (0.05, 0.06, 0.05),
    (0.02, 0.1, 0.02),
)
"""Margin, share of flips, true drop."""
TRUTHS = {"equality": 0.0, "the margin": 1.0, "twice the margin": 2.0}
"""Name -> true drop in margins."""


def race_boundary(sizes: tuple[int, ...]) -> None:
    """The largest rate of wrong verdicts at drop = margin."""
    for claim, title in CLAIMS.items():
        print(f"\n{title}, largest over n = {', '.join(map(str, sizes))} (percent)\n")
        print("| margin | " + " | ".join(NAMES) + " |\n|" + "---|" * (len(NAMES) + 1))
        for margin in MARGINS:
            shares = np.minimum(margin + np.linspace(0, math.sqrt(MOST_FLIPS - margin), GRID) ** 2, MOST_FLIPS)
            truths = [Truth(n, float(share), margin, margin) for n in sizes for share in shares]
            worst = [max(rate(name, truth, claim) for truth in truths) for name in NAMES]
            print(
                f"| {100 * margin:.0f} points | " + " | ".join(f"{100 * one:.2f}" for one in worst) + " |", flush=True
            )


def race_truths(margin: float, gates: int) -> None:
    """A row a rule: at three truths the largest rate of wrong verdicts, and how often there is no verdict."""
    print(f"\nMargin {100 * margin:g} points (percent)\n\n| rule | " + " | ".join(
        f"{name}: false PASS | false REGRESSION | INCONCLUSIVE" for name in TRUTHS) + " |")  # fmt: skip
    print("|" + "---|" * 10)
    for name in (*NAMES, "secateur, early looks"):
        cells = []
        for times in TRUTHS.values():
            truths = [Truth(n, share, times * margin, margin)
                      for n in FEW_SIZES for share in FEW_FLIPS if share >= times * margin]  # fmt: skip
            rates = np.array([_rates(name, truth, gates) for truth in truths])
            cells.append(f"{100 * rates[:, 0].max():.2f}" if times >= 1 else "-")
            cells.append(f"{100 * rates[:, 1].max():.2f}" if times <= 1 else "-")
            cells.append(f"{100 * (1 - rates.sum(axis=1)).mean():.1f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _rates(name: str, truth: Truth, gates: int) -> tuple[float, float]:
    """PASS and REGRESSION."""
    if name in NAMES:
        return rate(name, truth, "non-inferior"), rate(name, truth, "worse")
    found = _looked(truth, gates)
    return found.passed, found.regressed


@cache
def _looked(truth: Truth, gates: int) -> Looked:
    return looked(truth, gates, np.random.default_rng(0))


def race_price(gates: int) -> None:
    """Items until a verdict, out of a set of 2,000; beside it the number that one look needs for a power of 80 %."""
    print("\n| margin | flips | true drop | median items | 90 % of gates | one look | PASS | REGRESSION |")
    print("|" + "---|" * 8)
    for margin, flips, drop in PRICED:
        found = _looked(Truth(2000, flips, drop, margin), gates)
        one = passing_items(flips, margin, ALPHA) if drop == 0 else "-"
        cells = [f"{100 * margin:g}", f"{100 * flips:g}", f"{100 * drop:g}", f"{np.median(found.items):.0f}"]
        cells += [f"{np.quantile(found.items, 0.9):.0f}", f"{one}", _percent(found.passed, gates)]
        print("| " + " | ".join([*cells, _percent(found.regressed, gates)]) + " |", flush=True)


def _percent(rate: float, gates: int) -> str:
    low, high = wilson(rate * gates, gates, 0.025)
    return f"{100 * rate:.2f} ({100 * low:.2f}-{100 * high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    start = time.process_time()
    print(__doc__.split("Protocol.")[1].strip())
    print(f"\nalpha {ALPHA}, {GRID} shares of flips, Python {platform.python_version()}, numpy {np.__version__}")
    race_boundary((50, 225, 270) if quick else SIZES)
    gates = 1000 if quick else 10_000
    print(f"\nn = {', '.join(map(str, FEW_SIZES))}; {', '.join(f'{100 * f:g} %' for f in FEW_FLIPS)} of the items flip")
    print(f"Early looks: {gates} simulated gates each")
    for margin in (0.02, 0.05):
        race_truths(margin, gates)
    print("\nWhat early looks cost")
    race_price(gates)
    count = 10_000 if quick else 100_000
    print(f"\nClusters and graded items, simulated {count} times each: wrong verdicts at drop = margin (percent)\n")
    race_clusters(count)
    print(f"\n{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
