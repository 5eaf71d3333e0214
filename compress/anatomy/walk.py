"""Walk a model layer by layer: hidden states of the calibration tokens, in front of one decoder layer at a time.

The layers' own arguments (masks, position embeddings) are taken from a real forward pass of the model in which the
decoder layers are held back; nothing is assumed about their names, so the families need no code here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compress.anatomy.blocks import Block
from compress.anatomy.families import decoder_layers
from compress.errors import CompressError

TOKENS_A_BATCH = 1024
"""Bounds the memory of one forward pass, not the result."""


Loaded = Callable[[Block], AbstractContextManager[None]]
"""Inside what it gives, the layer has its weights."""


def in_memory(block: Block) -> AbstractContextManager[None]:
    """It has them all the time."""
    return nullcontext()


@dataclass(frozen=True)
class Call:
    """What a model hands to one decoder layer besides the hidden states."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass
class Stream:
    """What stands in front of one decoder layer."""

    hidden: list[Tensor]
    """Batch by batch: (rows, tokens, hidden)."""
    calls: list[list[Call]]
    """For every batch, and in it for every layer."""

    def outputs(self, layer: nn.Module, index: int) -> Iterator[Tensor]:
        """What the layer makes of each batch; the stream stays where it is."""
        for batch, calls in zip(self.hidden, self.calls, strict=True):
            yield ran(layer, batch, calls[index])

    def advance(self, layer: nn.Module, index: int) -> None:
        """Go through the layer: its outputs are the next layer's inputs.

        Raises CompressError as `check_finite` does.
        """
        for place, output in enumerate(self.outputs(layer, index)):
            self.hidden[place] = output
        self.check_finite(index)

    def check_finite(self, index: int) -> None:
        """Raise CompressError if what this layer has put out is NaN or infinite."""
        if not all(math.isfinite(float(batch.float().sum())) for batch in self.hidden):
            raise CompressError(f"layer {index}: NaN or infinite activations")

    def fork(self) -> Stream:
        """A second stream from here; going on with one leaves the other where it is."""
        return Stream(list(self.hidden), self.calls)


def ran(layer: nn.Module, hidden: Tensor, call: Call) -> Tensor:
    """(rows, tokens, hidden) after one decoder layer, whether it returns a tensor or a tuple."""
    output = layer(hidden, *call.args, **call.kwargs)
    result: Tensor = output[0] if isinstance(output, tuple) else output
    return result


def entrance(model: PreTrainedModel, ids: Tensor, rows: int | None = None) -> Stream:
    """The stream in front of the first decoder layer. ids: (windows, tokens).

    rows: windows in one batch; None: as many as make up TOKENS_A_BATCH.
    """
    stream = Stream([], [])
    for batch in torch.split(ids, rows or max(1, TOKENS_A_BATCH // ids.shape[1])):
        with held_back(model, stream):
            model.base_model(input_ids=batch.to(model.device), use_cache=False)
    return stream


def refuse_broken(model: PreTrainedModel, ids: Tensor) -> None:
    """Raise CompressError naming the first layer that puts out NaN or infinity for ids: (windows, tokens), if any."""
    with evaluating(model):
        stream = entrance(model, ids)
        for index, layer in enumerate(decoder_layers(model)):
            stream.advance(layer, index)


@contextmanager
def held_back(model: PreTrainedModel, stream: Stream) -> Iterator[None]:
    """Inside, decoder layers only write into `stream` what they are called with, one batch more."""
    calls: list[Call] = []

    def note(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not calls:
            stream.hidden.append(hidden_states)
        calls.append(Call(args, kwargs))
        return hidden_states

    with answering(model, note):
        yield
    stream.calls.append(calls)


def passing(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """For `answering`: a layer that adds nothing."""
    return hidden_states


@contextmanager
def answering(model: PreTrainedModel, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Inside, this is called instead of every decoder layer."""
    layers = decoder_layers(model)
    for layer in layers:
        vars(layer)["forward"] = forward
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout and gradients inside; as it was afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
