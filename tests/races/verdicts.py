"""How often verdicts are wrong: this project's rule beside rules in common use.

    python tests/races/verdicts.py            # everything
    python tests/races/verdicts.py --quick    # fewer sizes, fewer simulations

Protocol. The true drop equals the margin, where a wrong verdict is likeliest; PASS and REGRESSION are then both wrong.
1. Yes-or-no items, unclustered: exact enumeration, no chance involved. For every n and margin the probability of a
   wrong verdict is computed at GRID discordances from the margin to 20 %, and the largest is printed.
2. Clustered yes-or-no items and graded items: simulation, with the 95 % interval of the simulated rate. An item keeps
   its result or changes by one of a few amounts; within a cluster these chances vary by a Dirichlet distribution with
   the intra-cluster correlation given.
Peers that look at both models' rates need one: the original is right on 70 % of the items.
"""

import argparse
import math
import platform
import time
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from harness.statistics.bounded import score_z
from harness.statistics.exact import proves, proving_losses, proving_probability
from harness.statistics.paired import Table, newcombe_interval, tango_p, wilson

ALPHA = 0.05
Z = float(special.ndtri(1 - ALPHA))
SIZES = (50, 75, 100, 137, 150, 175, 200, 225, 250, 270, 300, 400, 500, 700, 1000, 1500, 2000)
MARGINS = (0.01, 0.02, 0.03, 0.05)
GRID = 300
RIGHT_BEFORE = 0.7
CLAIMS = {"non-inferior": "false PASS", "worse": "false REGRESSION"}


# The rules: does this table prove that the drop is below the margin (sign -1) or above it (sign 1)?


def by_point(table: Table, margin: float, sign: int) -> bool:
    return sign * (table.drop - margin) > 0


def by_unpaired_z(table: Table, margin: float, sign: int) -> bool:
    before = (table.n11 + table.n10) / table.n
    after = before - table.drop
    error = math.sqrt((before * (1 - before) + after * (1 - after)) / table.n)
    return sign * (table.drop - margin) > Z * error


def by_paired_t(table: Table, margin: float, sign: int) -> bool:
    variance = max(table.discordant / table.n - table.drop**2, 0.0) / (table.n - 1)
    return sign * (table.drop - margin) > float(special.stdtrit(table.n - 1, 1 - ALPHA)) * math.sqrt(variance)


def by_newcombe(table: Table, margin: float, sign: int) -> bool:
    low, high = newcombe_interval(table, ALPHA)
    return low > margin if sign > 0 else high < margin


def by_tango(table: Table, margin: float, sign: int) -> bool:
    p = tango_p(table, margin)
    return (1 - p if sign > 0 else p) <= ALPHA


PEERS = {
    "point estimate": by_point,
    "unpaired z": by_unpaired_z,
    "paired t": by_paired_t,
    "Newcombe": by_newcombe,
    "plain Tango": by_tango,
}


def table_of(n: int, losses: int, flips: int) -> Table:
    right = max(round(RIGHT_BEFORE * n), losses)
    right = min(right, n - (flips - losses))
    return Table(right - losses, losses, flips - losses, n - right - (flips - losses))


def edges(rule, n: int, flips: np.ndarray, margin: float, sign: int) -> np.ndarray:
    """The most losses that still PASS, or the fewest that are a REGRESSION, for each number of flips."""
    found = []
    for k in flips:
        low, high = -1, int(k) + 1
        while high - low > 1:
            middle = (low + high) // 2
            if rule(table_of(n, middle, int(k)), margin, sign) == (sign < 0):
                low = middle
            else:
                high = middle
        found.append(low if sign < 0 else high)
    return np.array(found)


def enumerated(n: int, margin: float) -> dict[tuple[str, str], float]:
    """(rule, claim) -> largest probability of the wrong verdict at drop = margin."""
    flips = np.arange(min(n, math.ceil(0.2 * n + 7 * math.sqrt(0.16 * n))) + 1)
    discordances = margin + np.linspace(0, math.sqrt(0.2 - margin), GRID) ** 2
    rates = {}
    for claim in CLAIMS:
        sign = -1 if claim == "non-inferior" else 1
        rules = {name: edges(rule, n, flips, margin, sign) for name, rule in PEERS.items()}
        rules["secateur"] = proving_losses(n, flips, margin, ALPHA, claim)
        for name, edge in rules.items():
            rates[name, claim] = max(
                proving_probability(n, min(psi, 0.2), margin, (flips, edge), claim) for psi in discordances
            )
    return rates


def race_exact(sizes: tuple[int, ...]) -> None:
    rates = {(n, margin): enumerated(n, margin) for n in sizes for margin in MARGINS}
    names = [*PEERS, "secateur"]
    for claim, title in CLAIMS.items():
        print(f"\n{title}, largest over n = {', '.join(map(str, sizes))} (percent)\n")
        print("| margin | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
        for margin in MARGINS:
            worst = [max(rates[n, margin][name, claim] for n in sizes) for name in names]
            print(f"| {100 * margin:.0f} points | " + " | ".join(f"{100 * rate:.2f}" for rate in worst) + " |")


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
    Setting(40, 5, 0.1, 0.10, 0.05),
    Setting(40, 5, 0.3, 0.10, 0.05),
    Setting(40, 5, 0.7, 0.06, 0.05),
    Setting(40, 10, 0.3, 0.20, 0.03),
    Setting(100, 5, 0.3, 0.10, 0.02),
    Setting(200, 5, 0.1, 0.05, 0.02),
    Setting(60, 1, 0.0, 0.15, 0.05, (0.25, 0.5, 0.75, 1.0)),
    Setting(200, 1, 0.0, 0.05, 0.02, (0.25, 0.5, 0.75, 1.0)),
    Setting(200, 1, 0.0, 0.20, 0.05, (0.25, 0.5, 0.75, 1.0)),
    Setting(500, 1, 0.0, 0.10, 0.02, (0.25, 0.5, 0.75, 1.0)),
    Setting(40, 5, 0.3, 0.20, 0.05, (0.25, 0.5, 0.75, 1.0)),
    Setting(100, 5, 0.3, 0.20, 0.02, (0.25, 0.5, 0.75, 1.0)),
)


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


def race_simulated(setting: Setting, count: int, seed: int) -> None:
    """Print one row: rates of wrong verdicts of the rules, ours last with its interval."""
    rng = np.random.default_rng(seed)
    wrong = {claim: dict.fromkeys(("point estimate", "paired t", "secateur"), 0) for claim in CLAIMS}
    n = setting.clusters * setting.size
    for _ in range(count // 5000):
        values, counts = simulated(setting, 5000, rng)
        sums, pooled = counts @ values, counts.sum(axis=1)
        mean = sums.sum(axis=1) / n
        plain = np.sqrt((pooled @ values**2 / n - mean**2) / (n - 1))
        robust = np.sqrt(((sums - setting.size * mean[:, None]) ** 2).sum(axis=1)) / n
        robust *= math.sqrt(setting.clusters / (setting.clusters - 1))
        for claim in CLAIMS:
            beyond = (mean - setting.margin) * (-1 if claim == "non-inferior" else 1)
            critical = special.stdtrit(setting.clusters - 1, 1 - ALPHA)
            ours = np.flatnonzero(beyond > critical * robust)
            inflated = np.divide(robust, plain, out=np.ones_like(plain), where=plain > 0)
            reach = (critical if setting.size > 1 else Z) * np.maximum(1, inflated)
            wrong[claim]["point estimate"] += int(np.sum(beyond > 0))
            wrong[claim]["paired t"] += int(np.sum(beyond > special.stdtrit(n - 1, 1 - ALPHA) * plain))
            wrong[claim]["secateur"] += sum(agreed(setting, (values, pooled[i]), reach[i], claim) for i in ours)
    runs = count // 5000 * 5000
    cells = [setting.kind, f"{setting.clusters} x {setting.size}", f"{setting.correlation:g}"]
    cells += [f"{100 * setting.changed:g}", f"{100 * setting.margin:g}"]
    for claim in CLAIMS:
        cells += [f"{100 * wrong[claim][name] / runs:.1f}" for name in ("point estimate", "paired t")]
        low, high = wilson(wrong[claim]["secateur"], runs, 0.025)
        cells.append(f"{100 * wrong[claim]['secateur'] / runs:.2f} ({100 * low:.2f}-{100 * high:.2f})")
    print("| " + " | ".join(cells) + " |", flush=True)


def agreed(setting: Setting, drops: tuple[np.ndarray, np.ndarray], reach: float, claim: str) -> bool:
    """Whether the score test, which ours needs beside the robust t, says the same; drops: values and their counts."""
    values, counts = (array[drops[1] > 0] for array in drops)
    z = score_z(values, counts.astype(float), setting.margin)
    if (z if claim == "worse" else -z) <= reach:
        return False
    if not np.isin(values, (-1, 0, 1)).all():
        return True
    losses, gains = (int(counts[values == value].sum()) for value in (1, -1))
    return proved(setting.clusters * setting.size, losses, gains, setting.margin, claim)


@cache
def proved(n: int, losses: int, gains: int, margin: float, claim: str) -> bool:
    return proves(n, losses, gains, margin, ALPHA, claim)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    start = time.process_time()
    print(__doc__.split("Protocol.")[1].strip())
    print(f"\nalpha {ALPHA}, {GRID} discordances, Python {platform.python_version()}, numpy {np.__version__}")
    race_exact((50, 225, 270) if quick else SIZES)
    count = 10_000 if quick else 100_000
    print(f"\nSimulated, {count} times each: wrong verdicts at drop = margin (percent)\n")
    peers = "point estimate | paired t | secateur (95 % interval)"
    print(f"| items | clusters | correlation | changed | margin | PASS: {peers} | REGRESSION: {peers} |")
    print("|" + "---|" * 11)
    for seed, setting in enumerate(SETTINGS):
        race_simulated(setting, count, seed)
    print(f"\n{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
