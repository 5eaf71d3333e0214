"""Where in a model the first NaN comes up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.models.placement import input_device

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedModel


def where_broken(model: PreTrainedModel, tokens: Sequence[int]) -> str:
    """The same as the end of a sentence that says what is not finite."""
    place = first_broken(model, tokens)
    return f"; the first value that is not finite comes out of {place}" if place else ""


def first_broken(model: PreTrainedModel, tokens: Sequence[int]) -> str:
    """Name of the innermost module whose output is the first that is not finite on these tokens; "" if none is."""
    import torch

    found: list[str] = []

    def watch(name: str) -> Any:
        def look(_: Module, __: Any, output: Any) -> None:
            values = output[0] if isinstance(output, tuple) else output
            if not found and isinstance(values, torch.Tensor) and not bool(values.isfinite().all()):
                found.append(name)

        return look

    modules: list[tuple[str, Module]] = list(model.named_modules())
    hooks = [module.register_forward_hook(watch(name)) for name, module in modules if name]
    try:
        with torch.inference_mode():
            model(input_ids=torch.tensor([list(tokens)], device=input_device(model)), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else ""
