"""How often a whole search declares a candidate that should have failed: this project's way beside others.

    python tests/races/search.py [SEARCHES]

Protocol. No models. A cut s loses and gains items at random, so that its true drop is that of its truth and FLIPS of
the items flip at least; each cut for itself, which gives chance the most attempts. The gate is a margin of MARGIN on
yes-or-no items, half of them searched and half held out, by the exact verdict. The search is the project's own
(harness/search/strategy.py), told nothing beforehand; divergence is 4 s^2, exactly. A wrong PASS declares a cut whose
true drop is the margin or more.
Truths: "step": equal to the original up to a sparsity between 0.05 and 0.5, from there on exactly at the margin, the
worst there is; "square": the drop grows with the square and meets the margin there; "nothing": every cut is exactly at
the margin; "misled": the same, and all passed among the searched items, which are of another kind than those held out.
Ways to judge, after one and the same search:
- finalists: this project's; from the largest downwards to the first PASS, each at its share of alpha; held-out items;
- at whole alpha: the same without the shares;
- upwards: the same finalists from the safest on, at the whole alpha, while each PASSes;
- largest: only what passed among the searched items, at the whole alpha; held-out items;
- no halves: the search on all items, and the largest that passed there is declared.
Found: mean of the declared sparsity by the one where the gate breaks, 0 where nothing is declared. Verdicts: the mean.
"""

import math
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import NormalDist

import numpy as np

from harness.search.room import Taken
from harness.search.strategy import TRIALS, Bracket, Levels, expected, finalists, next_sparsity
from harness.statistics.exact import proving_losses
from harness.statistics.paired import wilson
from harness.statistics.rising import Rising

ALPHA, MARGIN, ITEMS, FLIPS = 0.05, 0.05, 300, 0.06
SPAN, RESOLUTION = (0.05, 0.5), 0.02
DIVERGENCE = Rising(np.array([0.0, 0.5]), np.array([[0.0, 1.0]] * 2))
Truth = Callable[[float], float]
"""Sparsity -> true drop."""


@dataclass
class Items:
    """Some items, and what each cut that was asked them has lost and gained."""

    count: int
    truth: Truth
    rng: np.random.Generator
    seen: dict[float, tuple[int, int]] = field(default_factory=dict)

    def table(self, sparsity: float) -> tuple[int, int]:
        """Losses and gains; asked again, the same."""
        if sparsity not in self.seen:
            drop = self.truth(sparsity)
            flips = max(FLIPS, drop)
            chances = [(flips + drop) / 2, (flips - drop) / 2, 1 - flips]
            losses, gains, _ = self.rng.multinomial(self.count, chances)
            self.seen[sparsity] = int(losses), int(gains)
        return self.seen[sparsity]

    def breaking(self, sparsity: float) -> float:
        """Where these items say that the gate breaks, in nats a token."""
        losses, gains = self.table(sparsity)
        drop, flips = (losses - gains) / self.count, (losses + gains) / self.count
        width = NormalDist().inv_cdf(1 - ALPHA) * math.sqrt((flips - drop**2) / self.count)
        return Taken(drop, width, MARGIN).limit(DIVERGENCE.height(sparsity).middle)

    def passes(self, sparsity: float, alpha: float = ALPHA) -> bool:
        """Whether the gate PASSes on these items."""
        losses, gains = self.table(sparsity)
        return bool(losses <= _most_losses(self.count, alpha)[losses + gains])


@cache
def _most_losses(n: int, alpha: float) -> np.ndarray:
    return proving_losses(n, np.arange(n + 1), MARGIN, alpha, "non-inferior")


def _searched(items: Items) -> float | None:
    """The largest sparsity that passes, as the project searches for it."""
    bracket, levels = Bracket(), Levels()
    for _ in range(TRIALS):
        sparsity = next_sparsity(bracket, expected(DIVERGENCE, levels, []), SPAN, RESOLUTION)
        if sparsity is None:
            break
        passes, level = items.passes(sparsity), DIVERGENCE.height(sparsity).middle
        bracket = bracket.with_trial(sparsity, passes)
        levels = levels.with_trial(level, passes, items.breaking(sparsity))
    return bracket.passed


def _upwards(sequence: Sequence[float], items: Items) -> tuple[float, int]:
    declared = 0.0
    for number, sparsity in enumerate(sequence, start=1):
        if not items.passes(sparsity):
            return declared, number
        declared = sparsity
    return declared, len(sequence)


def _downwards(sequence: Sequence[float], items: Items, alpha: float) -> tuple[float, int]:
    for number, sparsity in enumerate(sequence, start=1):
        if items.passes(sparsity, alpha):
            return sparsity, number
    return 0.0, len(sequence)


def one(truth: Truth, misled: bool, rng: np.random.Generator) -> dict[str, tuple[float, int]]:
    """Way -> what it declares, 0 for nothing, and the verdicts on held-out items that it took; of one search."""
    searched, held_out, everything = (Items(count, truth, rng) for count in (ITEMS, ITEMS, 2 * ITEMS))
    found = SPAN[1] if misled else _searched(searched)
    in_all = found if misled else _searched(everything)
    order = finalists(found, SPAN[0], RESOLUTION) if found else []
    return {
        "finalists": _downwards(order, held_out, ALPHA / max(1, len(order))),
        "at whole alpha": _downwards(order, held_out, ALPHA),
        "upwards": _upwards(order[::-1], held_out),
        "largest": _downwards(order[:1], held_out, ALPHA),
        "no halves": (in_all or 0.0, 0),
    }


def _truth(name: str, rng: np.random.Generator) -> tuple[Truth, float]:
    """A truth, and where its gate breaks."""
    breaks = float(rng.uniform(*SPAN))
    return {
        "step": (lambda s: MARGIN if s >= breaks else 0.0, breaks),
        "square": (lambda s: min(MARGIN * (s / breaks) ** 2, 0.3), breaks),
        "nothing": (lambda s: MARGIN, SPAN[0]),
        "misled": (lambda s: MARGIN, SPAN[0]),
    }[name]


def main(searches: int) -> None:
    """Run and print."""
    print(__doc__)
    print(f"{platform.machine()}, {searches} searches a truth, margin {MARGIN}, {ITEMS} + {ITEMS} items\n")
    print("| truth | way | wrong PASS | 95 % interval | something declared | found | verdicts |")
    print("|---|---|---|---|---|---|---|")
    start = time.process_time()
    for name in ("step", "square", "nothing", "misled"):
        rng = np.random.default_rng(9)
        results: dict[str, list[tuple[float, float, int]]] = {}
        for _ in range(searches):
            truth, breaks = _truth(name, rng)
            for way, (declared, verdicts) in one(truth, name == "misled", rng).items():
                results.setdefault(way, []).append((declared, breaks, verdicts))
        for way, rows in results.items():
            print(f"| {name} | {way} | {_rates(rows, name in ('step', 'square'))} |", flush=True)
    print(f"\n{time.process_time() - start:.0f} CPU s")


def _rates(rows: Sequence[tuple[float, float, int]], breaks_within: bool) -> str:
    wrong = sum(declared >= breaks for declared, breaks, _ in rows)
    low, high = wilson(wrong, len(rows), 0.025)
    some = sum(declared > 0 for declared, _, _ in rows) / len(rows)
    found = f"{np.mean([declared / breaks for declared, breaks, _ in rows]):.2f}" if breaks_within else ""
    verdicts = np.mean([verdicts for _, _, verdicts in rows])
    rate = f"{100 * wrong / len(rows):.2f} % | {100 * low:.2f} to {100 * high:.2f} %"
    return f"{rate} | {100 * some:.0f} % | {found} | {verdicts:.2f}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
