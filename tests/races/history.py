"""How often a history cries wolf, and how many runs it needs to see a decline, beside rules in common use.

    nice python tests/races/history.py            # everything, about ten CPU minutes
    nice python tests/races/history.py --quick    # fewer histories

Protocol. A pass rate of 80 % is measured every night; the noise from run to run is one point and the margin five. The
result of night 14 is blessed. Every night the whole history so far is examined as `secateur trend` does.
1. False alarms: nothing happens for 365 further nights, under four kinds of noise.
2. Detection: from night 30 on the level drops at once, or by a little every night, so that no step is beyond the
   margin.
An alarm is drift, or a new level that is worse. An outlier is a note and counted apart.
Peers: a step beyond the margin; the newest result beyond the margin from the blessed one; beyond three sigmas from it,
with the noise known.
"""

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from harness.trends import History, Point
from harness.trends.events import events

SIGMA, MARGIN, LEVEL = 0.01, 0.05, 0.8
WARM, YEAR, FALL = 14, 365, 30
PATIENCE = 150
ITEMS = 400
SAME_LEVEL = 10
"""A new level found a few runs away from where it was found before is the same one."""
Noise = Callable[[np.random.Generator, int], np.ndarray]


def normal(rng: np.random.Generator, nights: int) -> np.ndarray:
    return rng.normal(size=nights)


def heavy(rng: np.random.Generator, nights: int) -> np.ndarray:
    return rng.standard_t(3, size=nights) / np.sqrt(3)


def correlated(rng: np.random.Generator, nights: int) -> np.ndarray:
    noise = rng.normal(size=nights)
    for night in range(1, nights):
        noise[night] = 0.3 * noise[night - 1] + np.sqrt(1 - 0.09) * noise[night]
    return noise


def counted(rng: np.random.Generator, nights: int) -> np.ndarray:
    """Of 400 items 16 are tossed up anew every night: 16 x 1/4 = 4 items squared, half a point."""
    return 2 * (rng.binomial(16, 0.5, size=nights) - 8) / ITEMS / SIGMA


NOISES: dict[str, Noise] = {
    "normal": normal,
    "heavy tails (t, 3 degrees)": heavy,
    "correlated (0.3 from night to night)": correlated,
    "whole items": counted,
}


def history(values: np.ndarray) -> History:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    points = tuple(Point(start + timedelta(days=n), f"j{n}", "a", float(v), "PASS") for n, v in enumerate(values))
    return History("p", "c", "s.pass_rate", "share", True, ITEMS, points, MARGIN, "prod", WARM - 1)


@dataclass
class Alarms:
    """Night -> what was said, by rule."""

    drift: list[int] = field(default_factory=list)
    change: list[int] = field(default_factory=list)
    outlier: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    blessed: list[int] = field(default_factory=list)
    sigmas: list[int] = field(default_factory=list)


def examined(values: np.ndarray, first: bool = False) -> Alarms:
    """Look at every night in turn. first: stop at the first drift and the first change."""
    alarms, seen = Alarms(), {"drift": [], "change": [], "outlier": []}
    for night in range(WARM, len(values)):
        for event in events(history(values[: night + 1])):
            near = SAME_LEVEL if event.kind == "change" else 1
            known = any(abs(event.index - other) < near for other in seen[event.kind])
            if event.worse and not known:
                getattr(alarms, event.kind).append(night)
            seen[event.kind].append(event.index)
        if first and alarms.drift and alarms.change:
            break
    alarms.step = [int(night) + 1 for night in np.flatnonzero(-np.diff(values) > MARGIN)]
    drops = values[WARM - 1] - values
    alarms.blessed = [int(night) for night in np.flatnonzero(drops > MARGIN) if night >= WARM]
    alarms.sigmas = [int(night) for night in np.flatnonzero(drops > 3 * SIGMA) if night >= WARM]
    return alarms


def false_alarms(name: str, years: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = [examined(LEVEL + SIGMA * NOISES[name](rng, WARM + YEAR)) for _ in range(years)]
    cells = [name]
    for rule in ("drift", "change", "outlier", "step", "blessed", "sigmas"):
        cells.append(f"{sum(len(getattr(one, rule)) for one in found) / years:.2f}")
    bad = sum(bool(one.drift or one.change) for one in found)
    print("| " + " | ".join([*cells, f"{bad} of {years}"]) + " |", flush=True)


def detection(name: str, decline: np.ndarray, histories: int, seed: int) -> None:
    """decline: how far down the level is, in points, from night FALL on."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(histories):
        values = LEVEL + SIGMA * normal(rng, FALL + PATIENCE)
        values[FALL:] -= decline / 100
        found.append(examined(values, first=True))
    cells = [name]
    for rule in ("drift", "change", "blessed", "step"):
        waits = [min((n for n in getattr(one, rule) if n >= FALL), default=FALL + PATIENCE) - FALL + 1 for one in found]
        low, high = np.percentile(waits, [50, 90])
        caught = sum(wait <= PATIENCE for wait in waits)
        level = decline[min(int(low), PATIENCE) - 1]
        cells.append(
            f"{low:.0f} ({high:.0f}), at {level:.1f}" if caught > 0.9 * histories else f"{caught} of {histories}"
        )
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    start, histories = time.process_time(), 40 if quick else 300
    print(__doc__.split("Protocol.")[1].strip())
    print(f"\nPython {platform.python_version()}, numpy {np.__version__}")
    print("\nFalse alarms a year; last: years with any of ours\n")
    print("| noise | drift | new level | outliers | step | beyond margin | 3 sigmas | years |\n|" + "---|" * 8)
    for seed, name in enumerate(NOISES):
        false_alarms(name, histories, seed)
    print(f"\nRuns until seen, median (90 %), and how many points down it was; else how many were seen in {PATIENCE}\n")
    print("| decline | drift | new level | beyond margin | step |\n|" + "---|" * 5)
    for points in (2, 3, 4, 6):
        detection(f"{points} points at once", np.full(PATIENCE, float(points)), histories, points)
    for slope in (0.05, 0.1, 0.2, 0.5):
        decline = slope * np.arange(1, PATIENCE + 1)
        detection(f"{slope} points a night", decline, histories, round(100 * slope))
    print(f"\n{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
