"""A model with zeros among its weights, and whether anything multiplies them faster here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.records import SIMULATED, SPARSE

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def sparse_(model: PreTrainedModel, source: Path) -> dict[str, str]:
    """Give a placed model whose receipt says zeros to sparse kernels, where there are any; says which, or why not.

    Nothing is done to other models, or said of them.
    """
    from compress.cutting.semi_structured import accelerate_, obstacle

    if not _has_zeros(source):
        return {}
    if getattr(model, "hf_device_map", {}):
        return {SIMULATED: "sparse kernels take a model in one place, and this one is spread"}
    if reason := obstacle(model.device, model.dtype):
        return {SIMULATED: reason}
    fast, of = accelerate_(model)
    if not fast:
        return {SIMULATED: f"none of {of} projections has 2:4 zeros and sizes that sparse kernels take"}
    return {SPARSE: f"{fast} of {of} projections run on sparse tensor cores"}


def _has_zeros(source: Path) -> bool:
    """By its receipt; one that cannot be read is not ours."""
    from compress import CompressError, is_pruned, read_receipt

    try:
        return is_pruned(source) and read_receipt(source).recipe.chosen().removes == "weights"
    except CompressError:
        return False
