"""Search for an allocation of ranks that beats uniform ranks, by measuring few of them."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from compress.errors import CompressError
from compress.training.contest import contest
from compress.training.facts import Contest, Trial
from compress.training.performance import SKILL_NEEDED, Observation, Performance, fit, skill, steers
from compress.training.rank_space import Ranks, RankSpace, candidates

Measure = Callable[[Ranks, int], float]
"""(ranks, seed) -> held-out loss after a short training."""


@dataclass(frozen=True)
class Search:
    """What is searched, and how long."""

    space: RankSpace
    shares: tuple[float, ...] = ()
    """What pruning removed of each layer; empty: not known."""
    rounds: int = 8
    seeds: int = 3
    """That uniform ranks and the incumbent are contested over."""
    candidates: int = 64
    """Random ones a round, and as many mutations of the incumbent."""
    beta: float = 1.0
    """Weight of the predictions' standard deviation in choosing what to measure."""
    patience: int = 3
    """Rounds without a new incumbent after which to stop."""
    tolerance: float = 0.25
    """Two predictions in a row that miss by less, in standard deviations of the trials, end the search too."""
    seed: int = 0


@dataclass(frozen=True)
class Searched:
    """What a search came to."""

    ranks: Ranks
    """To train with: uniform ranks unless another allocation was better in the contest."""
    incumbent: Ranks
    """The best one tried, contested or not."""
    skill: float | None
    """Of the performance model on the observations given; None: too few of them to tell."""
    contest: Contest | None
    """None: no allocation tried was better than uniform ranks, or its losses were not finite."""
    trials: tuple[Trial, ...]
    """All of them, in the order in which they were made."""
    notes: tuple[str, ...]


def search(problem: Search, measure: Measure, observations: Sequence[Observation] = ()) -> Searched:
    """Measure uniform ranks over all seeds, explore with one more seed, and let the best one found face uniform ranks.

    The seed that the incumbent was chosen by takes no part in the contest, so luck in it cannot decide. A performance
    model without skill on `observations` does not steer: what is tried is then drawn at random.

    Raises CompressError if training with uniform ranks diverges.
    """
    uniform, trials = problem.space.uniform, list[Trial]()

    def tried(ranks: Ranks, seed: int) -> float:
        trials.append(Trial(ranks, seed, measure(ranks, seed)))
        return trials[-1].score

    seeds = range(problem.seed, problem.seed + problem.seeds)
    before = [tried(uniform, seed) for seed in seeds]
    known = _usable(problem, observations)
    found = skill(known, problem.seed)
    model = fit(known, problem.seed) if steers(found) else None
    explored = _explored(problem, model, lambda ranks: tried(ranks, seeds.stop))
    if not all(math.isfinite(score) for score in (*before, explored[0].score)):
        raise CompressError(f"training with uniform rank {problem.space.rank} diverges; lower the learning rate")
    incumbent = min(explored, key=lambda one: one.score).ranks
    after = [tried(incumbent, seed) for seed in seeds] if incumbent != uniform else []
    held = contest(before, after) if after and all(math.isfinite(score) for score in after) else None
    chosen = incumbent if held is not None and held.decision == "better" else uniform
    notes = (_on_skill(found, len(known)), _on_trials(trials, len(explored) - 1), _on_outcome(held, bool(after)))
    return Searched(chosen, incumbent, found, held, tuple(trials), notes)


def _usable(problem: Search, observations: Sequence[Observation]) -> list[Observation]:
    """Those with as many layers and a finite score; with shares only where this model's are known."""
    count = len(problem.space.costs)
    usable = [one for one in observations if len(one.ranks) == count and math.isfinite(one.score)]
    return usable if problem.shares else [replace(one, shares=()) for one in usable]


def _explored(problem: Search, model: Performance | None, measure: Callable[[Ranks], float]) -> list[Observation]:
    """Uniform ranks first, then one allocation a round; a score that is not a number counts as infinite."""
    draw = random.Random(problem.seed)

    def observed(ranks: Ranks) -> Observation:
        score = measure(ranks)
        return Observation(ranks, math.inf if math.isnan(score) else score, shares=problem.shares)

    seen = [observed(problem.space.uniform)]
    best, close = 0, 0
    for number in range(1, problem.rounds + 1):
        incumbent = seen[best].ranks
        fresh = candidates(problem.space, incumbent, problem.candidates, draw)
        fresh = [ranks for ranks in fresh if ranks not in {one.ranks for one in seen}]
        if not fresh:
            break
        ranks, expected = _proposed(problem, model, seen, fresh) if model else (draw.choice(fresh), None)
        seen.append(observed(ranks))
        if seen[-1].score < seen[best].score:
            best = number
        close = close + 1 if expected is not None and _near(problem, expected, seen) else 0
        if close == 2 or number - best == problem.patience:
            break
    return seen


def _proposed(
    problem: Search, model: Performance, seen: Sequence[Observation], fresh: Sequence[Ranks]
) -> tuple[Ranks, float]:
    """The candidate of the lowest mean - beta * std, and the mean, by a model refitted from its offline weights."""
    finite = [one for one in seen if math.isfinite(one.score)]
    if len(finite) > 1:
        model = model.refit(finite)
    mean, spread = model.predict(fresh, problem.shares)
    chosen = int((mean - problem.beta * spread).argmin())
    return fresh[chosen], float(mean[chosen])


def _near(problem: Search, expected: float, seen: Sequence[Observation]) -> bool:
    """Whether the last score is what was expected of it, in standard deviations of those before from their mean."""
    *before, last = (one.score for one in seen)
    finite = [score for score in before if math.isfinite(score)]
    spread = statistics.stdev(finite) if len(finite) > 1 else 0.0
    return spread > 0 and abs((last - statistics.fmean(finite)) / spread - expected) < problem.tolerance


def _on_skill(found: float | None, count: int) -> str:
    """What the performance model was allowed to do, and why."""
    if found is None:
        return f"performance model: too few observations ({count}) to tell its skill; proposals were random"
    done = "steered" if steers(found) else "does not steer, proposals were random"
    return f"performance model: R2 {found:.2f} on {count} observations, {SKILL_NEEDED} needed; {done}"


def _on_trials(trials: Sequence[Trial], rounds: int) -> str:
    """How much was measured."""
    return f"{len(trials)} trials; {rounds} allocations explored besides uniform ranks"


def _on_outcome(held: Contest | None, contested: bool) -> str:
    """Which ranks are used, and why."""
    if held is None:
        why = "training with the best one tried diverges" if contested else "no allocation tried was better"
        return f"uniform ranks: {why}"
    low, high = held.interval
    used = "the best allocation tried" if held.decision == "better" else "uniform ranks"
    return f"{used}: {held.decision}, {held.difference:+.4f} nats ({low:+.4f} to {high:+.4f})"
