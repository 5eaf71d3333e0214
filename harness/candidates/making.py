"""Make a smaller model from an original, as an order says."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from compress import Calibration, Receipt, Recipe, Shape, load_recipe
from compress.shape import Layout
from harness.errors import HarnessError
from harness.models.opening import located, open_tokenizer
from harness.models.subject import Subject
from harness.progress import Progress
from harness.quiet import quiet
from harness.records import ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from compress import Stats
    from compress.exports import Export
    from compress.training.performance import Observation
    from harness.models.opening import LoadedModel


Observed = Callable[[], "Sequence[Observation]"]
"""Asked only by rules that learn from earlier recoveries."""


@dataclass(frozen=True)
class Order:
    """What to make, and where to put it."""

    recipe: Recipe
    target: Path
    """Folder, or file of an export."""
    layout: Layout = "auto"
    export: str | None = None
    """Format to write instead of a folder of safetensors."""
    shape: Shape | None = None
    """What to keep, instead of what the method would choose."""
    work: Path | None = None
    """Where the recovery is worked on, for another order to go on from; the caller removes it. None: beside the target,
    and removed in the end."""
    probe: bool = False
    """Note in the receipt what became of the loss on a little text."""

    @property
    def needs(self) -> frozenset[str]:
        """What calibration has to gather for it; a given shape needs no scores."""
        return self.recipe.needs if self.shape is None else self.recipe.needs_of_what_stays


def make(
    original: Subject,
    order: Order,
    progress: Progress,
    stats: Stats | None = None,
    observations: Observed = tuple,
) -> Receipt:
    """Compress a copy of the original into the target, which appears whole or not at all.

    Raises CompressError if the target is already there, or the order cannot be obeyed.
    """
    from compress import apply
    from compress.checkpoints import checkpoint
    from compress.recover import Resources

    checkpoint.refuse_target(order.target)
    loaded = original.plain()
    export = exporter(order.export, loaded, order.target) if order.export else None
    if export is not None and order.recipe.recovery and order.recipe.recovery.apart:
        raise HarnessError(f"--export {order.export} writes one model, but this recovery keeps its adapters apart")
    model = copy.deepcopy(loaded.model)
    work = order.work or recovery_place(order.target)
    resources = Resources(loaded.model, work, observations)
    receipt = apply(
        model, order.recipe, loaded.tokenizer, stats=stats, shape=order.shape, resources=resources, progress=progress
    )
    if order.shape is not None:
        receipt = noted(receipt, "what stays was given as a shape, not chosen by the method")
    if order.probe:
        receipt = noted(receipt, *probed(loaded, model, order.recipe.calibration))
    progress(f"saving {order.target.name}", 0, 1)
    with quiet():
        if export is None:
            adapter = work / "adapter" if receipt.recovery and receipt.recovery.adapters == "apart" else None
            receipt = checkpoint.save(model, loaded.tokenizer, order.target, receipt, order.layout, adapter)
        else:
            receipt = noted(receipt, *export.write(model, loaded.tokenizer, order.target, receipt))
    progress(f"saving {order.target.name}", 1, 1)
    if order.work is None:
        shutil.rmtree(work, ignore_errors=True)
    return receipt


def recovery_place(target: Path) -> Path:
    """The hidden folder beside the target from which an interrupted recovery goes on."""
    return target.with_name(f".{target.name}.recovery")


def exporter(name: str, loaded: LoadedModel, target: Path) -> Export:
    """The export of this name. Raises before long work what can be known to be impossible."""
    from compress import exports

    export = exports.make(name)
    if target.suffix != export.suffix:
        wanted = f"a file that ends in {export.suffix}" if export.suffix else "a folder"
        raise HarnessError(f"{target}: --export {name} writes {wanted}")
    export.refuse(loaded.model, loaded.tokenizer)
    return export


def streamed(spec: ModelSpec, order: Order, progress: Progress) -> Receipt:
    """As `make`, with two layers in memory instead of the model and its copy; only from a folder of safetensors.

    Raises HarnessError for any other source, and CompressError for what needs the whole model at once.
    """
    import torch

    from compress.streaming.stream import Choices, stream

    folder = located(spec, progress)
    if not folder.is_dir():
        raise HarnessError(f"{spec.source}: --low-memory reads a folder of safetensors, not a {folder.suffix} file")
    choices = Choices(open_tokenizer(folder), getattr(torch, spec.dtype), order.layout, order.shape)
    with quiet():
        return stream(folder, order.recipe, order.target, progress, choices)


def noted(receipt: Receipt, *notes: str) -> Receipt:
    """The receipt with more notes."""
    return replace(receipt, notes=(*receipt.notes, *notes))


def probed(before: LoadedModel, after: PreTrainedModel, calibration: Calibration) -> tuple[str, ...]:
    """What became of the perplexity, and a warning if the model looks broken."""
    from compress.cutting import probe

    ids = probe.sample(before.model, before.tokenizer, calibration)
    old, new = probe.probe(before.model, ids), probe.probe(after, ids)
    seen = f"perplexity on {ids.numel()} tokens of calibration text: {perplexity(old)} before, {perplexity(new)} after"
    warning = probe.warning(old, new)
    return (seen,) if warning is None else (seen, f"WARNING: {warning}")


def perplexity(loss: float) -> str:
    """Of a mean loss in nats."""
    return f"{math.exp(loss):.4g}" if loss < 99 else "beyond all numbers"


def adjusted(recipe: Recipe, sparsity: float | None, layout: Layout) -> Recipe:
    """The recipe with what the command line says otherwise. Raises HarnessError for what does not go together."""
    changes: dict[str, Any] = {}
    if sparsity is not None:
        changes |= {"sparsity": sparsity, "target": None}
    if layout == "uniform" and recipe.chosen().removes == "width":
        changes["equal_layers"] = True
    try:
        return Recipe.model_validate({**recipe.model_dump(), **changes})
    except ValidationError as error:
        messages = [fault["msg"].removeprefix("Value error, ") for fault in error.errors()]
        raise HarnessError(f"recipe with --sparsity {sparsity}: {'; '.join(messages)}") from None


def recipe_of(recipe: str | Recipe) -> Recipe:
    """A recipe of the plan: inline, or by name or file."""
    return load_recipe(recipe) if isinstance(recipe, str) else recipe
