"""The fixed work on which speed and memory are measured: one prompt read, then tokens written one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.models.context import stated_context
from harness.progress import Progress
from harness.records import Item, Measurement

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache

    from harness.models.opening import LoadedModel


@dataclass(frozen=True)
class Workload:
    """A single prompt of so many tokens, and so many new ones; what the tokens say does not matter."""

    prompt_tokens: int
    new_tokens: int

    def prompt(self, loaded: LoadedModel) -> Tensor:
        """(1, prompt_tokens) spread over the vocabulary. Raises HarnessError where the context is too short."""
        import torch

        config, context = loaded.model.config.get_text_config(), stated_context(loaded.model)
        if context is not None and context < self.prompt_tokens + self.new_tokens:
            raise HarnessError(f"{loaded.spec.source}: its context of {context} tokens is too short to measure on")
        tokens = torch.linspace(0, config.vocab_size - 1, self.prompt_tokens).long()
        return tokens.unsqueeze(0).to(loaded.device)


def turns(before: LoadedModel, after: LoadedModel, blocks: int) -> Iterator[tuple[int, int, LoadedModel]]:
    """Block, side (0: before, 1: after) and model: both in each block, the other one first in each next.

    Block -1 comes first, to be left out: it warms both up.
    """
    for block in range(-1, blocks):
        sides = ((block, 0, before), (block, 1, after))
        yield from sides if block % 2 else reversed(sides)


def read_in_turns(
    metric: str,
    models: tuple[LoadedModel, LoadedModel],
    blocks: int,
    read: Callable[[LoadedModel], tuple[float, float]],
    progress: Progress,
) -> dict[str, tuple[list[float], list[float]]]:
    """METRIC.prefill and METRIC.decode -> what `read` gave of either in every block, before and after."""
    prefilled: tuple[list[float], list[float]] = ([], [])
    decoded: tuple[list[float], list[float]] = ([], [])
    for block, which, loaded in turns(*models, blocks):
        progress(metric, max(block, 0), blocks)
        first, second = read(loaded)
        if block >= 0:
            prefilled[which].append(first)
            decoded[which].append(second)
    progress(metric, blocks, blocks)
    return {f"{metric}.prefill": prefilled, f"{metric}.decode": decoded}


def blocked(metric: str, values: Sequence[float], work: Workload, unit: str, higher_is_better: bool) -> Measurement:
    """A reading with one item a block; the same block of both models is a pair."""
    items = tuple(
        Item(f"block-{number}", hashlib.sha256(f"{metric} {work} block {number}".encode()).hexdigest(), value)
        for number, value in enumerate(values)
    )
    return Measurement(metric, fmean(values), unit, higher_is_better, "reading", items)


def prefill(loaded: LoadedModel, prompt: Tensor) -> tuple[Tensor, Cache]:
    """Read the prompt: (1, 1) the next token, and the keys and values so far. Waits for an accelerator to finish."""
    import torch

    with torch.inference_mode():
        output = loaded.model(prompt, use_cache=True, logits_to_keep=1)
    _wait(loaded)
    return output.logits[:, -1:].argmax(-1), output.cache


def decode(loaded: LoadedModel, token: Tensor, cache: Cache, new_tokens: int) -> Tensor:
    """Write exactly `new_tokens` more, greedily; an end token does not end it. Returns the next one, (1, 1)."""
    import torch

    with torch.inference_mode():
        for _ in range(new_tokens):
            token = loaded.model(token, cache=cache, use_cache=True).logits[:, -1:].argmax(-1)
    _wait(loaded)
    return token


def _wait(loaded: LoadedModel) -> None:
    import torch

    if loaded.device.startswith("cuda"):
        torch.cuda.synchronize()
    elif loaded.device == "mps":
        torch.mps.synchronize()
