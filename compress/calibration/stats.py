"""What one calibration saw, layer by layer; what methods, budgets and compensation read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from compress.errors import CompressError
from compress.receipt import CalibrationFacts

NEEDS = ("angles", "spans", "activations", "inputs", "grams", "taylor", "lesions")
"""What a method may ask for.

angles: how far each layer turns the residual stream. spans: how far several layers in a row do. activations: Inputs of
mlp_out and attention_out. inputs: of every projection. grams: of every projection, with the Gram matrix. taylor:
gradients, which needs a backward pass. lesions: how far the model is from itself without this layer's FFN, which needs
half a forward pass a layer.
"""


@dataclass(frozen=True)
class Inputs:
    """What was seen at the input of one projection, over all calibration tokens; float64."""

    tokens: int
    sums: Tensor
    """(in,)"""
    squares: Tensor
    """(in,)"""
    gram: Tensor | None = None
    """(in, in) sum over tokens of x x^T; None unless "grams" was asked for."""

    @property
    def norms(self) -> Tensor:
        """(in,) Euclidean norm of every feature over the tokens."""
        return self.squares.sqrt()

    @property
    def means(self) -> Tensor:
        """(in,)"""
        return self.sums / self.tokens

    @property
    def variances(self) -> Tensor:
        """(in,) population variance; never negative."""
        return (self.squares / self.tokens - self.means.square()).clamp(min=0.0)


@dataclass(frozen=True)
class Taylor:
    """What the calibration loss would change by without each unit of one kind, to second order at most; float64.

    g: gradient of the mean loss; G2: mean over windows of the squared gradient of that window's loss. Every row or
    column that a unit owns is summed by itself, then all of one unit. Entry 0 of the axis of 2 takes the absolute value
    of each such sum (vector-wise), entry 1 sums absolute values (element-wise).
    """

    first: Tensor
    """(2, units) of w g."""
    second: Tensor
    """(2, units) of w^2 G2; both entries are equal, as nothing in it is negative."""
    mixed: Tensor
    """(2, units) of w g - w^2 G2 / 2."""
    windows: Tensor
    """(windows, 2, units) of w g - w^2 g^2 / 2, with g of one window alone."""


@dataclass(frozen=True)
class BlockStats:
    """What was seen in one decoder layer; what nobody needed is missing."""

    inputs: Mapping[str, Inputs] = field(default_factory=dict)
    """By name of the projection."""
    angle: float | None = None
    """Mean over tokens of arccos(cos(layer input, layer output)) / pi, in [0, 1]."""
    influence: float | None = None
    """Mean over tokens of 1 - cos(layer input, layer output), in [0, 2]."""
    lesion: float | None = None
    """KL divergence from the whole model to that without this layer's FFN, nats a token, over the first tokens."""
    spans: tuple[float, ...] = ()
    """Entry n - 1: as `angle`, between the inputs of this layer and of the one n further on, over the last token of
    each window only; the end of the last layer counts as an input."""
    taylor: Mapping[str, Taylor] = field(default_factory=dict)
    """Of "channels" and of "groups"."""

    def seen(self, projection: str) -> Inputs:
        """Inputs of a projection. Raises CompressError if the calibration did not gather them."""
        if projection not in self.inputs:
            raise CompressError(f"the calibration did not gather the inputs of {projection}")
        return self.inputs[projection]

    def change(self, units: str) -> Taylor:
        """Of "channels" or "groups". Raises CompressError if the calibration did not gather gradients."""
        if units not in self.taylor:
            raise CompressError("the calibration did not gather gradients ('taylor')")
        return self.taylor[units]

    def number(self, name: str) -> float:
        """angle, influence or lesion. Raises CompressError if the calibration did not gather it."""
        value = getattr(self, name)
        if value is None:
            raise CompressError(f"the calibration did not gather '{name}'")
        return float(value)

    def span(self, layers: int) -> float:
        """Over so many layers from here. Raises CompressError if the calibration did not gather spans."""
        if not self.spans:
            raise CompressError("the calibration did not gather 'spans'")
        return self.spans[layers - 1]


@dataclass(frozen=True)
class Stats:
    """What one calibration saw."""

    blocks: tuple[BlockStats, ...]
    facts: CalibrationFacts | None = None
    """None: no data was needed."""
