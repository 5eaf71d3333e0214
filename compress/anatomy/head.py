"""Head: the output layer of a model, from the last hidden states to logits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from compress.anatomy.walk import answering, evaluating, passing
from compress.errors import CompressError

TOLERANCE = 1e-3
"""Relative to the largest logit; half precision rounds."""


@dataclass(frozen=True)
class Head:
    """logits = cap(linear(hidden) / divisor); weights are the model's own tensors, detached."""

    weight: Tensor
    """(vocabulary, hidden)"""
    bias: Tensor | None
    """(vocabulary,)"""
    divisor: float = 1.0
    """Granite's, and the reciprocal of Cohere's factor."""
    cap: float | None = None
    """Gemma 2's soft cap: cap * tanh(logits / cap)."""

    def lowered(self, precision: torch.dtype) -> Head:
        """The same, multiplying in bfloat16 if that is it; its own precision is never raised."""
        return self if precision == torch.float32 else replace(self, weight=self.weight.to(precision))

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden: (tokens, hidden). Returns (tokens, vocabulary) in float32."""
        logits = functional.linear(hidden.to(self.weight.dtype), self.weight, self.bias).float()
        if self.divisor != 1.0:
            logits = logits / self.divisor
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)

    def backward(self, slopes: Tensor, logits: Tensor) -> Tensor:
        """slopes: (tokens, vocabulary), a loss's gradient by `logits`. Returns (tokens, hidden), that by the hidden."""
        if self.cap is not None:
            slopes = slopes * (1.0 - (logits / self.cap).square())
        return (slopes / self.divisor if self.divisor != 1.0 else slopes).to(self.weight.dtype) @ self.weight


def head_of(model: PreTrainedModel) -> Head:
    """The output layer, compared with the model's own logits on a few tokens, which no decoder layer is asked for.

    Raises CompressError where the model does something else with them.
    """
    layer = output_layer(model)
    if not isinstance(layer, nn.Linear):
        raise CompressError(f"{type(model).__name__} has no plain output layer")
    cap = getattr(model.config, "final_logit_softcapping", None)
    scaling, factor = (getattr(model.config, key, None) or 1.0 for key in ("logits_scaling", "logit_scale"))
    divisor = float(scaling / factor)
    bias = None if layer.bias is None else layer.bias.detach()
    head = Head(layer.weight.detach(), bias, divisor, cap)
    ids = torch.arange(min(8, layer.out_features), device=layer.weight.device).unsqueeze(0)
    with evaluating(model), answering(model, passing):
        expected = model(input_ids=ids, use_cache=False).logits[0].float()
        found = head.logits(last_hidden(model, ids)[0])
    if float((found - expected).abs().max()) > TOLERANCE * max(1.0, float(expected.abs().max())):
        raise CompressError(
            f"{type(model).__name__}: logits are not its output layer applied to its last hidden states"
        )
    return head


def output_layer(model: PreTrainedModel) -> nn.Module:
    """What makes logits of the last hidden states."""
    layer: nn.Module = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return layer


def last_hidden(model: PreTrainedModel, ids: Tensor, positions: Tensor | None = None) -> Tensor:
    """(rows, tokens, hidden): what the output layer reads. ids, positions: (rows, tokens)."""
    output: Tensor = model.base_model(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
    return output


def behind(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """What the output layer reads where this comes out of the last decoder layer. Both (rows, tokens, hidden)."""
    ids = torch.zeros(hidden.shape[:2], dtype=torch.long, device=hidden.device)
    with answering(model, lambda *args, **kwargs: hidden):
        return last_hidden(model, ids)
