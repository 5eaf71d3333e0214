"""Prune and recover in turns: each step takes an equal part of the target, and learns from a share of the data.

As iterative pruning does (arXiv 1506.02626): what goes is chosen anew on the model that has recovered, and
no step cuts deep. Equal parts are ours.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from compress import ratios
from compress.accounts import UNCUT
from compress.planning.plan import whole
from compress.recover import Resources, workplace
from compress.training.facts import Recovered, Step

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from compress.calibration.stats import Stats
    from compress.progress import Progress
    from compress.receipt import Receipt
    from compress.recipe import Recipe
    from compress.shape import Shape

NOTHING = 1e-9
"""A share that no unit of channels is as small as: a step that the ones before have already done only recovers."""


@dataclass(frozen=True)
class _Turn:
    """What one step did, and what it has come to."""

    receipt: Receipt
    """Of the step alone, as if the model before it were the original."""
    shape: Shape
    """Of all steps so far, in the original's indices."""
    ratios: dict[str, float | None]
    """Against the original."""


def in_steps_(
    model: PreTrainedModel,
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    given: tuple[Stats | None, Resources],
    progress: Progress,
) -> Receipt:
    """Compress the model in place in as many steps as the recipe says; the receipt is of all of them.

    given: statistics of the original, for the first step, as every other one calibrates on the model that it finds; and
    what recoveries may use. Raises CompressError as `apply` does, and where there are fewer training rows than steps.
    """
    from compress.anatomy.blocks import blocks
    from compress.prune import apply

    stats, resources = given
    before, shape = ratios.count(model), whole(blocks(model))
    original = resources.original or copy.deepcopy(model)
    turns: list[_Turn] = []
    with workplace(resources.work) as work:
        for number in range(1, recipe.steps + 1):
            mine = replace(resources, original=original, work=work, part=(number - 1, recipe.steps))
            step = step_of(recipe, number, turns[-1].ratios if turns else None)
            told = f"step {number} of {recipe.steps}"

            def shown(what: str, done: int, of: int, told: str = told) -> None:
                progress(f"{told}: {what}", done, of)

            receipt = apply(
                model, step, tokenizer, stats=stats if number == 1 else None, resources=mine, progress=shown
            )
            shape = shape.then(receipt.shape)
            turns.append(_Turn(receipt, shape, ratios.measure(before, ratios.count(model))))
    after = ratios.aligned(ratios.count(model), shape)
    return _whole(recipe, turns, ratios.by_block(before, after))


def step_of(recipe: Recipe, number: int, reached: Mapping[str, float | None] | None) -> Recipe:
    """The recipe of one step, from 1, on a model of which so much has gone; None: nothing yet."""
    goal = recipe.goal
    assert goal is not None, "only N:M patterns go without"
    gone = (reached or {}).get(goal.ratio) or 0.0
    share = 1.0 - (1.0 - goal.value * number / recipe.steps) / (1.0 - gone)
    target = goal.model_copy(update={"value": max(share, NOTHING)})
    return recipe.model_copy(update={"sparsity": None, "target": target, "steps": 1, "note": ""})


def _whole(recipe: Recipe, turns: Sequence[_Turn], by_block: tuple[float, ...]) -> Receipt:
    """One receipt of all steps."""
    receipts = [turn.receipt for turn in turns]
    stages = dict.fromkeys(stage for receipt in receipts for stage in receipt.seconds)
    notes = dict.fromkeys(note for receipt in receipts for note in receipt.notes if note != UNCUT)
    return replace(
        receipts[0],
        recipe=recipe,
        shape=turns[-1].shape,
        sparsity_by_block=by_block,
        ratios=turns[-1].ratios,
        seconds={stage: sum(receipt.seconds.get(stage, 0.0) for receipt in receipts) for stage in stages},
        peak_bytes=max(receipt.peak_bytes for receipt in receipts),
        notes=(*recipe.notes, *notes),
        recovery=_recovered(recipe, turns),
    )


def _recovered(recipe: Recipe, turns: Sequence[_Turn]) -> Recovered:
    """All recoveries as one: its loss before is that after the last cut."""
    goal = recipe.goal
    assert goal is not None
    found, steps, points = [], [], []
    read = taken = 0
    for turn in turns:
        mine = turn.receipt.recovery
        assert mine is not None, "steps go with a recovery"
        found.append(mine)
        reached = turn.ratios[goal.ratio] or 0.0
        steps.append(Step(goal.ratio, reached, mine.before, mine.after, mine.tokens, mine.seconds, mine.notes))
        points += [replace(one, step=one.step + taken, tokens=one.tokens + read) for one in mine.points]
        read += mine.tokens
        taken += mine.points[-1].step if mine.points else 0
    return replace(
        found[-1],
        points=tuple(points),
        seconds=sum(one.seconds for one in found),
        tokens=read,
        peak_bytes=max(one.peak_bytes for one in found),
        trials=tuple(trial for one in found for trial in one.trials),
        steps=tuple(steps),
    )
