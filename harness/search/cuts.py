"""Candidates of a search: scored once a method, cut in memory at any sparsity; only what is recovered lies on disk."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.candidates.calibrations import gathered
from harness.candidates.workshop import Workshop, made_key
from harness.models.subject import Made, Subject
from harness.progress import Progress, named
from harness.records import ModelSpec
from harness.search.variants import Variant

if TYPE_CHECKING:
    from compress import Shape, Stats
    from compress.budgets import Layer
    from compress.planning.forecast import Forecast
    from compress.training.performance import Observation
    from harness.models.opening import LoadedModel


class Cuts:
    """Of one original."""

    def __init__(
        self, original: Subject, folder: Path, progress: Progress, observations: Callable[[], list[Observation]]
    ) -> None:
        """folder: where what is recovered goes, and where the main job finds it again."""
        self._original = original
        self._folder = folder
        self._progress = progress
        self._observations = observations
        self._scored: dict[str, tuple[Stats, list[Layer]]] = {}

    def subject(self, variant: Variant, sparsity: float) -> Subject:
        """The candidate; a bare cut is made when it is opened, a recovered one now unless it lies there."""
        name, recipe = variant.candidate(sparsity), variant.at(sparsity)
        dtype = self._original.spec.dtype
        if recipe.recovery is not None:
            workshop = Workshop(self._original, self._folder, {name: recipe}, self._progress, self._observations)
            return Subject(ModelSpec(name, str(workshop.made(name)), dtype=dtype), self._progress)
        spec = ModelSpec(name, f"{variant.name} at {sparsity:g} of {self._original.spec.source}", dtype=dtype)
        made = Made(made_key(self._original, recipe), lambda: self._cut(variant, sparsity, spec))
        return Subject(spec, self._progress, made)

    def forecast(self, variant: Variant, sparsity: float) -> Forecast:
        """What it comes to. Raises CompressError if so much cannot be removed."""
        from compress.planning.forecast import forecast

        return forecast(self._original.plain().model, self.shape(variant, sparsity))

    def _cut(self, variant: Variant, sparsity: float, spec: ModelSpec) -> LoadedModel:
        from compress import apply

        loaded = self._original.plain()
        stats, _ = self._scores(variant)
        model = copy.deepcopy(loaded.model)
        shape = self.shape(variant, sparsity)
        apply(model, variant.at(sparsity), loaded.tokenizer, stats=stats, shape=shape)
        return replace(loaded, model=model, spec=spec, fingerprint=made_key(self._original, variant.at(sparsity)))

    def shape(self, variant: Variant, sparsity: float) -> Shape:
        """What stays of each layer. Raises CompressError if so much cannot be removed."""
        from compress import ratios
        from compress.planning.plan import shape_of

        _, layers = self._scores(variant)
        return shape_of(layers, variant.at(sparsity), ratios.parameters(self._original.plain().model))

    def _scores(self, variant: Variant) -> tuple[Stats, list[Layer]]:
        """Recoveries do not change them."""
        from compress.planning.plan import scores

        if variant.method not in self._scored:
            recipe, progress = variant.recipe, named(self._progress, f"{variant.method}: scores")
            stats = gathered(self._original, recipe.calibration, recipe.needs, progress).stats
            self._scored[variant.method] = (stats, scores(self._original.plain().model, recipe, stats, progress))
        return self._scored[variant.method]
