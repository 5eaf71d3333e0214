"""Gradients of the calibration loss -> how much it would change without each channel or kv group, as Taylor sums.

One layer at a time, and in it one window; a weight's gradient is folded into two running sums as soon as it is known,
so at most one gradient is held besides them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from compress.anatomy.blocks import Block, Part
from compress.anatomy.walk import Loaded, Stream, answering, entrance, evaluating, in_memory, ran
from compress.calibration.stats import Taylor
from compress.errors import CompressError
from compress.progress import Progress, silent


def taylor(
    model: PreTrainedModel,
    found: Sequence[Block],
    ids: Tensor,
    progress: Progress = silent,
    loaded: Loaded = in_memory,
) -> list[dict[str, Taylor]]:
    """For every block: Taylor sums of its "channels" and its "groups". ids: (windows, tokens).

    Layer by layer: forward, what goes into every layer is kept; backward, each layer runs once more to be gone through
    in reverse. So the sums of one layer are held at a time. The model is as it was afterwards, gradients included.
    Raises CompressError on NaN, naming the layer.
    """
    inputs, found_sums = list[list[Tensor]](), list[dict[str, Taylor]]()
    with evaluating(model):
        stream = entrance(model, ids, rows=1)
        for block in found:
            inputs.append(list(stream.hidden))
            with loaded(block):
                stream.advance(block.layer, block.index)
            progress("gradients, forward", block.index + 1, len(found))
        slopes = [_slope(model, *pair) for pair in zip(stream.hidden, torch.split(ids, 1), strict=True)]
        for block in reversed(found):
            with loaded(block), torch.enable_grad():
                found_sums.append(_sums(block, inputs.pop(), slopes, stream))
            progress("gradients, backward", len(found_sums), len(found))
    return found_sums[::-1]


def _slope(model: PreTrainedModel, hidden: Tensor, ids: Tensor) -> Tensor:
    """(1, tokens, hidden): gradient of the loss by what comes out of the last layer."""
    with torch.enable_grad(), answering(model, lambda *args, **kwargs: end):
        end = hidden.detach().requires_grad_()
        loss = next_token_loss(model, ids)
        if not math.isfinite(float(loss.detach())):
            raise CompressError("the head of the model puts out NaN or infinity during calibration")
        (slope,) = torch.autograd.grad(loss, end)
    return slope


def _sums(block: Block, inputs: Sequence[Tensor], slopes: list[Tensor], stream: Stream) -> dict[str, Taylor]:
    """Of one layer. slopes: by what comes out of it, window by window; afterwards by what goes into it."""
    moments = {part.projection.name: Moments(part, len(inputs)) for part in (*block.group_parts, *block.channel_parts)}
    with folding(block.layer, moments):
        for window, hidden in enumerate(inputs):
            start = hidden.detach().requires_grad_()
            end = ran(block.layer, start, stream.calls[window][block.index])
            torch.autograd.backward(end, slopes[window])
            assert start.grad is not None
            slopes[window] = start.grad
    if not all(seen.finite for seen in moments.values()):
        raise CompressError(f"layer {block.index}: NaN or infinite gradients during calibration")
    return {"channels": reduced(block.channel_parts, moments), "groups": reduced(block.group_parts, moments)}


def next_token_loss(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Mean cross entropy in nats of every token but the first of its window. ids: (rows, tokens)."""
    ids = ids.to(model.device)
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


class Moments:
    """Running sums of the gradients of one weight, window by window; `fold` is the weight's gradient hook."""

    def __init__(self, part: Part, windows: int) -> None:
        self.projection, self.axis = part.projection, part.axis
        weight = self.projection.weight
        self.gradients = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        self.squares = torch.zeros_like(self.gradients)
        self.windows = self.squares.new_zeros(windows, 2, self.squares.shape[self.axis])
        """`lines` of w g - w^2 g^2 / 2, with g of one window alone. All are made at once: small tensors that stay,
        made between large ones that go, would scatter the memory."""
        self.seen = 0

    def fold(self, parameter: Tensor) -> None:
        """Take in the gradient of one more window, and free it."""
        assert parameter.grad is not None
        gradient = parameter.grad.to(self.gradients.dtype)
        gradient = gradient.T if self.projection.transposed else gradient
        parameter.grad = None
        self.gradients += gradient
        self.squares.addcmul_(gradient, gradient)
        change = gradient * self.weight
        self.windows[self.seen] = self.lines(change.addcmul_(change, change, value=-0.5))
        self.seen += 1

    @property
    def weight(self) -> Tensor:
        """(out, in), in the precision of the sums."""
        return self.projection.weight.to(self.gradients.dtype)

    @property
    def finite(self) -> bool:
        """Whether no window brought NaN or infinity."""
        return bool(torch.isfinite(self.squares).all())

    def first(self) -> Tensor:
        """`lines` of w g."""
        return self.lines(self.weight * self.gradients / self.seen)

    def second(self) -> Tensor:
        """`lines` of w^2 G2."""
        return self.lines(self.weight.square() * self.squares / self.seen)

    def mixed(self) -> Tensor:
        """`lines` of w g - w^2 G2 / 2."""
        weight = self.weight
        return self.lines(weight * (self.gradients - weight * self.squares / 2) / self.seen)

    def lines(self, change: Tensor) -> Tensor:
        """change: (out, in). Returns (2, rows or columns): |sum| of each, and sum of |.|."""
        across = 1 - self.axis
        return torch.stack([change.sum(dim=across).abs(), change.abs().sum(dim=across)])


def reduced(parts: Sequence[Part], moments: Mapping[str, Moments]) -> Taylor:
    """Sums over all parts of every unit."""

    def over(read: Callable[[Moments], Tensor]) -> Tensor:
        found = [read(moments[part.projection.name]).double()[..., part.index].sum(dim=-1) for part in parts]
        return torch.stack(found).sum(dim=0)

    return Taylor(over(Moments.first), over(Moments.second), over(Moments.mixed), over(lambda moments: moments.windows))


@contextmanager
def folding(layer: nn.Module, moments: Mapping[str, Moments]) -> Iterator[None]:
    """Inside, only the weights of these moments get gradients, which go nowhere but there."""
    before = [(parameter, parameter.requires_grad, parameter.grad) for parameter in layer.parameters()]
    with ExitStack() as hooks:
        layer.requires_grad_(False)
        for one in moments.values():
            weight = one.projection.module.weight
            weight.requires_grad_(True)
            weight.grad = None
            handle = weight.register_post_accumulate_grad_hook(one.fold)  # type: ignore[no-untyped-call]
            hooks.callback(handle.remove)
        try:
            yield
        finally:
            for parameter, wanted, gradient in before:
                parameter.requires_grad_(wanted)
                parameter.grad = gradient
