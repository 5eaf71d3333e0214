"""Stages of a candidate: how it was after the cut, and with its adapters apart, beside how it ends."""

from __future__ import annotations

from collections.abc import Iterator

from compress import CompressError, Recipe
from harness.candidates.making import recipe_of
from harness.errors import HarnessError
from harness.plan import Plan
from harness.plan_models import Candidate

PRUNED, RECOVERED = "pruned", "recovered"


def staged(plan: Plan) -> Plan:
    """The plan with a candidate of severity warn for every stage that is asked for, before the candidate itself.

    Raises HarnessError for stages that cannot be, and for a name that is taken.
    """
    candidates: dict[str, Candidate] = {}
    for name, candidate in plan.candidates.items():
        if candidate.stages:
            for stage, made in _stages(f"candidates.{name}.stages", candidate):
                if (other := f"{name}-{stage}") in plan.candidates:
                    raise HarnessError(f"plan {plan.name}: candidates.{name}.stages: {other} is a candidate already")
                candidates[other] = made
        candidates[name] = candidate.model_copy(update={"stages": False})
    return plan.model_copy(update={"candidates": candidates})


def _stages(where: str, candidate: Candidate) -> Iterator[tuple[str, Candidate]]:
    """By name. Of a rule without adapters, what is recovered is what there is in the end."""
    recipe = _recipe(where, candidate)
    shown = {"severity": "warn", "stages": False}
    pruned = recipe.model_copy(update={"recovery": None})
    yield PRUNED, candidate.model_copy(update={"recipe": pruned, "recovery": None, **shown})
    assert recipe.recovery is not None
    if recipe.recovery.merge and recipe.recovery.chosen().merges:
        apart = recipe.recovery.model_copy(update={"merge": False})
        yield RECOVERED, candidate.model_copy(update={"recipe": recipe.model_copy(update={"recovery": apart}), **shown})


def _recipe(where: str, candidate: Candidate) -> Recipe:
    assert candidate.recipe is not None, "a plan lets stages go with recipes only"
    try:
        recipe = recipe_of(candidate.recipe)
    except CompressError as error:
        raise HarnessError(f"{where}: {error}") from None
    if recipe.recovery is None:
        raise HarnessError(f"{where}: its recipe recovers nothing; name one that does, like cfsp-20+distill")
    if recipe.steps > 1:
        raise HarnessError(f"{where}: a recipe in {recipe.steps} steps is cut as often; leave 'stages' or 'steps' out")
    return recipe
