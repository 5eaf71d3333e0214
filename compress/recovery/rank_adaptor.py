"""RankAdaptor: search a LoRA rank for every layer by a performance model (arXiv 2406.15734)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

if TYPE_CHECKING:
    from compress.training.job import Job, Recovered
    from compress.training.rank_search import Measure, Search

Trained = Callable[["Job", tuple[int, ...]], "Recovered"]
"""The full training with these ranks, in place."""
Tried = Callable[["Job", tuple[int, ...], int, int], float]
"""(job, ranks, seed, steps) -> held-out loss after a short training, which leaves the model as it was."""


@dataclass(frozen=True)
class RankAdaptor:
    """Try allocations of equal cost in short trainings; use the best only if it beats uniform ranks over fresh seeds.

    choices: ranks that a layer may have; none given: 1 to 6 quarters of the recipe's rank.
    rounds: allocations tried, one after another. trial_steps: optimiser steps of each.
    seeds: trials of uniform ranks, and of the best allocation found, that the decision rests on.
    candidates: random allocations that a round chooses from, and as many mutations of the best so far.
    beta: weight of the performance model's own uncertainty in choosing. patience: rounds without a new best.
    tolerance: two predictions in a row that miss by less, in standard deviations of the trials, end the search.
    pin: layers that pruning left whole keep the recipe's rank, where it cut others.

    A reconstruction: the text that could be read names neither the generator of candidates, nor the budget, nor the
    stopping rule. In the measurements published by a co-author the ranks explain nothing of the score, so a
    performance model without cross-validated skill does not steer (`training.performance`).
    """

    choices: tuple[Annotated[int, Field(ge=1)], ...] = ()
    rounds: Annotated[int, Field(ge=1, le=8)] = 8
    trial_steps: Annotated[int, Field(ge=1)] = 8
    seeds: Annotated[int, Field(ge=3)] = 3
    candidates: Annotated[int, Field(ge=1)] = 64
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    patience: Annotated[int, Field(ge=1)] = 3
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.25
    pin: bool = True

    suits: ClassVar[frozenset[str]] = frozenset({"width", "weights", "layers"})
    apart: ClassVar[bool] = False
    merges: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()

    def recover_(self, job: Job) -> Recovered:
        """Search, then train with what was found."""
        from compress.training.lora import trained_, trial

        return recovered_(self, job, trial, trained_)


def recovered_(rule: RankAdaptor, job: Job, trial: Tried, trained_: Trained) -> Recovered:
    """Search by `trial`, then train with what was found."""
    from compress.training.rank_search import search

    problem = problem_of(rule, job)
    found = search(problem, _measure(rule, job, trial), job.observations())
    done = trained_(job, found.ranks)
    return replace(
        done, rule="rank_adaptor", contest=found.contest, trials=found.trials, notes=(*done.notes, *found.notes)
    )


def problem_of(rule: RankAdaptor, job: Job) -> Search:
    """The search for one job; of the original only sizes are read.

    Raises CompressError where no choice of rank fits the budget.
    """
    from compress.anatomy.blocks import blocks
    from compress.training.rank_search import Search
    from compress.training.rank_space import RankSpace, quarters

    pruned, original = blocks(job.model), blocks(job.original)
    # Where whole layers went, it is not known here which of them.
    alike = len(pruned) == len(original)
    shares = tuple(1 - new.weights / old.weights for new, old in zip(pruned, original, strict=True)) if alike else ()
    whole = frozenset(layer for layer, share in enumerate(shares) if share == 0)
    rank = job.recovery.rank
    space = RankSpace(
        rank=rank,
        costs=tuple(sum(one.in_features + one.out_features for one in block.projections) for block in pruned),
        choices=tuple(sorted(set(rule.choices))) or quarters(rank),
        pinned=whole if rule.pin and len(whole) < len(pruned) else frozenset(),
    )
    return Search(
        space=space,
        shares=shares,
        rounds=rule.rounds,
        seeds=rule.seeds,
        candidates=rule.candidates,
        beta=rule.beta,
        patience=rule.patience,
        tolerance=rule.tolerance,
        seed=job.recovery.seed,
    )


def _measure(rule: RankAdaptor, job: Job, trial: Tried) -> Measure:
    """Trials of this job; its progress is told of each."""
    done, most = 0, 2 * rule.seeds + 1 + rule.rounds

    def measured(ranks: tuple[int, ...], seed: int) -> float:
        nonlocal done
        score = trial(job, ranks, seed, rule.trial_steps)
        done += 1
        job.progress("rank trials", done, most)
        return score

    return measured
