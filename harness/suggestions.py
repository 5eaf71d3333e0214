"""What to try next, from stored verdicts: how much sparsity the gates still have room for.

Candidates count as one row of trials if they differ in nothing but the sparsity of their recipe, under the same plan.
Of each sparsity the newest verdict counts. Between a sparsity that passes and one that does not, the upper bounds of
the gates are taken to grow in a line; quality falls faster and faster, so that the line errs to the cautious side.
Beyond what was tried there is no such safety, and nothing further than REACH is suggested.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness import metrics
from harness.gates import LIMITS
from harness.stores.attempts import AttemptRow

REACH = 1.2
"""At most so many times the largest sparsity that passed."""
LEAST_LEFT = 0.25
"""Of the margin; with less, nothing further is suggested."""
STEP = 0.01
"""Sparsities closer than two steps have nothing worth trying between them."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Trial:
    """One sparsity and what became of it."""

    sparsity: float
    candidate: str
    run: str
    decision: str
    used: Mapping[str, float]
    """Blocking gate on quality -> which share of what it allows its bound uses up; above 1 it does not pass."""

    @property
    def passes(self) -> bool:
        return self.decision == "PASS"

    @property
    def left(self) -> float | None:
        """Share of the margin that the gate with the least of it has left; None: no gate says."""
        return 1 - max(self.used.values()) if self.used else None


def suggested(rows: Sequence[AttemptRow]) -> Iterator[str]:
    """A line for each plan and recipe with a sparsity. rows: oldest first."""
    newest = {row.plan: row.setting for row in rows}
    trials: dict[tuple[str, str], dict[float, Trial]] = {}
    for row in rows:
        sparsity = row.recipe.get("sparsity")
        if sparsity is not None and row.setting == newest[row.plan]:
            made = {key: value for key, value in row.recipe.items() if key not in ("sparsity", "note")}
            trials.setdefault((row.plan, json.dumps(made, sort_keys=True)), {})[sparsity] = _trial(row, sparsity)
    for (plan, recipe), found in trials.items():
        tried = [found[sparsity] for sparsity in sorted(found)]
        said, rests = _said(_name(json.loads(recipe)), tried)
        runs = ", ".join(f"{trial.run} ({trial.candidate})" for trial in rests)
        yield f"{plan}: {said}; rests on {runs}"


def _name(recipe: Mapping[str, Any]) -> str:
    recovery = recipe.get("recovery")
    return f"{recipe['method']} with {recovery['rule']} recovery" if recovery else str(recipe["method"])


def _trial(row: AttemptRow, sparsity: float) -> Trial:
    shares = ((json.dumps(finding["gate"], sort_keys=True), _used(finding)) for finding in row.findings)
    used = {gate: share for gate, share in shares if share is not None}
    return Trial(sparsity, row.candidate, row.run, row.decision, used)


def _used(finding: Mapping[str, Any]) -> float | None:
    """None for what only warns, meters, which get better with sparsity, and gates whose room has no known beginning."""
    gate = finding["gate"]
    if finding["severity"] != "block" or gate["metric"].partition(".")[0] in metrics.names():
        return None
    form = next(name for name in LIMITS if name in gate)
    nothing_lost = _nothing_lost(form, gate["metric"], finding["before"])
    bound = finding["low" if form.startswith("min") else "high"]
    if bound is None or nothing_lost is None or nothing_lost == gate[form]:
        return None
    return float((bound - nothing_lost) / (gate[form] - nothing_lost))


def _nothing_lost(form: str, metric: str, before: float | None) -> float | None:
    """Where a gate finds a candidate that is its original."""
    if form in ("max", "min"):
        known = {"perplexity_ratio": 1.0, "kl": 0.0, "choice_kl": 0.0, "losses": 0.0, "top1": 1.0}
        return known.get(metric.rpartition(".")[2], before)
    return 0.0 if form == "margin" else 1.0


def _said(name: str, tried: Sequence[Trial]) -> tuple[str, Sequence[Trial]]:
    """A suggestion and the trials it rests on. tried: by sparsity, at least one."""
    for smaller, larger in pairwise(tried):
        if larger.passes and not smaller.passes:
            what = f"{name} {larger.sparsity:g} passes and {smaller.sparsity:g} does not"
            return f"{what}, so that is noise: no suggestion", (smaller, larger)
    passed = [trial for trial in tried if trial.passes]
    failed = [trial for trial in tried if not trial.passes]
    if not passed:
        first = failed[0]
        what = f"{name} {first.sparsity:g} does not pass ({first.decision}), and nothing smaller was tried"
        lower = _rounded(first.sparsity / 2)
        return what + (f": try {lower:g}" if lower >= STEP else ""), failed[:1]
    best = passed[-1]
    if not failed:
        return _beyond(name, passed), passed[-2:]
    worse = failed[0]
    what = f"{name} {best.sparsity:g} passes and {worse.sparsity:g} does not ({worse.decision})"
    if worse.sparsity - best.sparsity < 2 * STEP - ROUNDING:
        return f"{what}: nothing is left to try between them", (best, worse)
    return f"{what}: try {_between(best, worse):g}", (best, worse)


def _beyond(name: str, passed: Sequence[Trial]) -> str:
    """Further than all that was tried, all of which passed."""
    best = passed[-1]
    if best.left is None:
        return f"{name} {best.sparsity:g} passes, and no gate says how much is left: no suggestion"
    what = f"{name} {best.sparsity:g} passes with {best.left:.2g} of the margin left"
    furthest = _rounded(min([best.sparsity * REACH, *(_crossing(old, best) for old in passed[-2:-1])]))
    if best.left < LEAST_LEFT or furthest <= best.sparsity:
        return f"{what}: nothing further is suggested"
    return f"{what}: try {furthest:g}"


def _between(best: Trial, worse: Trial) -> float:
    """Where the line from one to the other leaves what the gates allow; the middle where no gate says."""
    crossing = _crossing(best, worse)
    middle = (best.sparsity + worse.sparsity) / 2
    found = crossing if crossing < worse.sparsity else middle
    return min(max(_rounded(found), _rounded(best.sparsity + STEP)), _rounded(worse.sparsity - STEP))


def _crossing(smaller: Trial, larger: Trial) -> float:
    """The sparsity at which the first gate has used up all, on the line through both; infinity if none gets worse."""
    found = [math.inf]
    for gate, there in larger.used.items():
        here = smaller.used.get(gate)
        if here is not None and there > here:
            steepness = (there - here) / (larger.sparsity - smaller.sparsity)
            found.append(smaller.sparsity + (1 - here) / steepness)
    return min(found)


def _rounded(sparsity: float) -> float:
    """Down to whole steps."""
    return math.floor(sparsity / STEP + ROUNDING) * STEP
