"""Passes of a model in which its output layer sees only the positions that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.errors import HarnessError
from harness.models import caches
from harness.models.placement import input_device
from harness.scoring.packing import Pass
from harness.scoring.tree import Node

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module
    from transformers import DynamicCache, PreTrainedModel

LOGIT_ROWS = 256
"""Positions whose float32 log-softmax is in memory at a time."""


class Selected(NamedTuple):
    """What came into the output layer and what came out of the model, at chosen positions."""

    hidden: Tensor
    """(positions, hidden)"""
    logits: Tensor
    """(positions, vocabulary)"""


class Picked(NamedTuple):
    """One entry for each token looked up."""

    logprobs: list[float]
    greedy: list[bool]


def select(model: PreTrainedModel, rows: Sequence[Sequence[int]], positions: Sequence[range]) -> Selected:
    """One forward pass in which the output layer sees only `positions` of each row, concatenated row by row.

    Rows are padded on the right and need no mask: in a causal model no real position sees what follows it. The model
    itself applies its output layer, so that soft caps and scales stay as they are.
    """
    import torch

    length = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows], device=input_device(model))
    lines = [i for i, chosen in enumerate(positions) for _ in chosen]
    columns = [column for chosen in positions for column in chosen]
    return _forward(model, lines, columns, {"input_ids": ids, "use_cache": False})


class Runner:
    """Runs the passes of one forest in their order, and keeps the trunk that they grow on."""

    def __init__(self, model: PreTrainedModel, trunk: DynamicCache | None = None) -> None:
        """trunk: what the forest grows on, perhaps nothing; if it is given, what was read last is kept in it."""
        self.model, self.trunk, self.keeps = model, trunk, trunk is not None

    def run(self, step: Pass, columns: Sequence[int]) -> Tensor:
        """Logits (columns, vocabulary) at the chosen columns of the pass."""
        import torch

        device = input_device(self.model)
        inputs: dict[str, Any] = {
            "input_ids": torch.tensor([[token for node in step.nodes for token in node.tokens]], device=device),
            "use_cache": False,
        }
        if not step.is_line:
            places = [place for node in step.nodes for place in range(node.start, node.end)]
            inputs["position_ids"] = torch.tensor([places], device=device)
            inputs["attention_mask"] = _sight(step, self.model.dtype).to(device)
        self._forget(step.trunk)
        if self.trunk is None and (step.keep or self.keeps):
            self.trunk = caches.empty(self.model)
        if self.trunk is not None:
            inputs |= {"cache": self.trunk, "use_cache": True}
        return _forward(self.model, [0] * len(columns), columns, inputs).logits

    def _forget(self, trunk: int) -> None:
        """Keep the first `trunk` tokens only."""
        if trunk == 0:
            self.trunk = None
        elif self.trunk is not None:
            caches.crop_(self.trunk, trunk)


def picked(logits: Tensor, lines: Sequence[int], targets: Sequence[int]) -> Picked:
    """Log-probability of each target at its line of `logits`, in float32, and whether it is the largest there.

    logits: (positions, vocabulary).
    """
    import torch

    at, wanted = (torch.tensor(these, dtype=torch.long, device=logits.device) for these in (lines, targets))
    chunks = torch.split(logits, LOGIT_ROWS)
    totals = torch.cat([chunk.float().logsumexp(dim=-1) for chunk in chunks])
    best = torch.cat([chunk.argmax(dim=-1) for chunk in chunks])
    logprobs = logits[at, wanted].float() - totals[at]
    return Picked(logprobs.tolist(), (best[at] == wanted).tolist())


def _forward(
    model: PreTrainedModel, lines: Sequence[int], columns: Sequence[int], inputs: Mapping[str, Any]
) -> Selected:
    """One call of the model whose output layer is handed only (line, column) of what comes to it."""
    import torch

    head: Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        raise HarnessError(f"{type(model).__name__} has no output layer: give a causal language model")
    chosen = tuple(torch.tensor(places, dtype=torch.long) for places in (lines, columns))
    caught: list[Tensor] = []

    def keep_chosen(_: object, arguments: tuple[Tensor, ...]) -> tuple[Tensor]:
        caught.append(arguments[0][chosen])
        return (caught[0].unsqueeze(0),)

    hook = head.register_forward_pre_hook(keep_chosen)
    try:
        with torch.inference_mode():
            logits = model(**inputs).logits[0]
    finally:
        hook.remove()
    return Selected(caught[0].to(logits.device), logits)


def _sight(step: Pass, dtype: torch.dtype) -> Tensor:
    """(1, 1, tokens, trunk + tokens), added to attention: 0 where a token may look, the lowest number elsewhere.

    Every token sees the trunk, its own node up to itself, and what its parent's last token sees.
    """
    import torch

    tokens = step.tokens
    sees = torch.zeros(tokens, tokens, dtype=torch.bool)
    last: dict[Node, int] = {}
    begin = 0
    for node in step.nodes:
        end = begin + len(node.tokens)
        if node.parent in last:
            sees[begin:end] = sees[last[node.parent]]
        sees[begin:end, begin:end] = torch.ones(end - begin, end - begin, dtype=torch.bool).tril()
        last[node] = end - 1
        begin = end
    hidden = torch.zeros(tokens, step.trunk + tokens, dtype=dtype)
    hidden[:, step.trunk :].masked_fill_(~sees, torch.finfo(dtype).min)
    return hidden[None, None]
