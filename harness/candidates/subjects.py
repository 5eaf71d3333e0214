"""Candidates as models: made here from their recipes, or already there."""

from __future__ import annotations

from pathlib import Path

from harness.candidates.workshop import Workshop
from harness.models.subject import Subject
from harness.plan import Plan
from harness.plan_models import DTYPE, spec
from harness.progress import Progress
from harness.records import ModelSpec


def candidate_subject(name: str, plan: Plan, workshop: Workshop, progress: Progress) -> Subject:
    """A candidate of the plan; what has a recipe is made now, unless it is there."""
    if plan.candidates[name].recipe is None:
        return Subject(spec(name, plan.candidates[name]), progress)
    return Subject(made_spec(name, plan, workshop.made(name)), progress)


def made_spec(name: str, plan: Plan, folder: Path) -> ModelSpec:
    """How a candidate that is made in this folder is opened."""
    candidate = plan.candidates[name]
    dtype = candidate.dtype or plan.original.dtype or DTYPE
    engine = candidate.engine or ModelSpec.engine
    return ModelSpec(name, str(folder), dtype=dtype, device_map=candidate.device_map, engine=engine)
