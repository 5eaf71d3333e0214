"""The performance model: from the ranks of all layers to the score that a recovery will reach."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from compress.errors import CompressError

MEMBERS = 5
HIDDEN = (64, 64, 32, 16)
FOLDS = 5
EPOCHS = 50
REFIT_EPOCHS = 25
LEARNING_RATE = 1e-3
FEWEST = 20
"""Distinct rank vectors without which skill cannot be told: four in each fold."""
SKILL_NEEDED = 0.2
"""R2 above which a model may steer. It is above 0 because noise alone reaches it in about one of 25 sets of FEWEST
vectors (4 of 100, for 6 and for 30 layers), and passes 0 far more often."""


@dataclass(frozen=True)
class Observation:
    """What one allocation of ranks came to."""

    ranks: tuple[int, ...]
    """By decoder layer."""
    score: float
    """Lower is better, for example the held-out loss; only compared within one group."""
    group: str = ""
    """Model, pruning and task that it was measured on."""
    shares: tuple[float, ...] = ()
    """What pruning removed of each layer, 0 to 1; empty: not known."""


@dataclass(frozen=True)
class Performance:
    """Five MLPs n -> 64 -> 64 -> 32 -> 16 -> 1 with ReLU, after RankAdaptor (arXiv 2406.15734).

    The paper has one of five linear layers; widths, activation, training and the ensemble are a reconstruction.
    Inputs are (rank - lowest) / (highest - lowest), then the pruned shares if all observations have them.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Weights (members, in, out) and biases (members, 1, out)."""
    lowest: int
    highest: int
    shared: bool
    """Whether it reads the pruned shares."""

    def predict(self, ranks: Sequence[tuple[int, ...]], shares: tuple[float, ...] = ()) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation over the members, (vectors,) each.

        In standard deviations of a group's scores from their mean: below 0 is better than the group.
        """
        inputs = self._inputs([Observation(one, 0.0, shares=shares) for one in ranks])
        found = _forward(self.layers, inputs)
        return found.mean(dim=0), found.std(dim=0)

    def refit(self, observations: Sequence[Observation], epochs: int = REFIT_EPOCHS) -> Performance:
        """A copy of this one, trained further on observations of the group that predictions are wanted for."""
        targets = _standard(observations, torch.ones(1, len(observations)))
        inputs = self._inputs(observations)
        return replace(self, layers=_trained(self.layers, inputs, targets, torch.ones_like(targets), epochs))

    def _inputs(self, observations: Sequence[Observation]) -> Tensor:
        """(observations, inputs)."""
        ranks = torch.tensor([one.ranks for one in observations], dtype=torch.float32)
        scaled = (ranks - self.lowest) / max(self.highest - self.lowest, 1)
        if not self.shared:
            return scaled
        return torch.cat([scaled, torch.tensor([one.shares for one in observations], dtype=torch.float32)], dim=1)


def fit(observations: Sequence[Observation], seed: int = 0) -> Performance:
    """Train on all observations; those of one group are only compared with each other.

    Raises CompressError where there are none, or layers differ in number.
    """
    model = _fresh(observations, MEMBERS, seed)
    targets = _standard(observations, torch.ones(1, len(observations)))
    return replace(
        model, layers=_trained(model.layers, model._inputs(observations), targets, torch.ones_like(targets), EPOCHS)
    )


def skill(observations: Sequence[Observation], seed: int = 0) -> float | None:
    """Five-fold cross-validated R2: 1 is perfect, 0 as good as the group's mean, below 0 worse than that.

    Folds part distinct rank vectors, so no vector is both learnt and asked. Means and spreads of the groups are those
    of the learnt part. None where fewer than FEWEST distinct vectors are there.
    """
    vectors = sorted({one.ranks for one in observations})
    if len(vectors) < FEWEST:
        return None
    random.Random(seed).shuffle(vectors)
    fold = {vector: index % FOLDS for index, vector in enumerate(vectors)}
    folds = torch.tensor([fold[one.ranks] for one in observations])
    learnt = (folds != torch.arange(FOLDS).unsqueeze(1)).float()
    model = _fresh(observations, FOLDS * MEMBERS, seed)
    inputs, targets = model._inputs(observations), _standard(observations, learnt)
    each = learnt.repeat_interleave(MEMBERS, dim=0)
    layers = _trained(model.layers, inputs, targets.repeat_interleave(MEMBERS, dim=0), each, EPOCHS)
    found = _forward(layers, inputs).view(FOLDS, MEMBERS, -1).mean(dim=1)
    asked = 1 - learnt
    error, spread = ((targets - found) ** 2 * asked).sum(), (targets**2 * asked).sum()
    return float(1 - error / spread) if spread > 0 else None


def steers(found: float | None) -> bool:
    """Whether a model of this skill may choose what is tried next."""
    return found is not None and found > SKILL_NEEDED


def _standard(observations: Sequence[Observation], learnt: Tensor) -> Tensor:
    """learnt: (folds, observations), 1 or 0. Returns scores as z-scores of their group's learnt part, same shape.

    A group of which nothing was learnt has nothing to be compared with: 0.
    """
    scores = torch.tensor([one.score for one in observations], dtype=torch.float64)
    names = sorted({one.group for one in observations})
    found = torch.zeros(learnt.shape, dtype=torch.float64)
    for name in names:
        inside = torch.tensor([one.group == name for one in observations])
        weight = learnt.double() * inside
        count = weight.sum(dim=1, keepdim=True)
        mean = (weight * scores).sum(dim=1, keepdim=True) / count.clamp(min=1)
        spread = ((weight * (scores - mean) ** 2).sum(dim=1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
        scaled = (scores - mean) / spread.where(spread > 0, torch.ones_like(spread))
        found = found.where(~inside | (count == 0), scaled)
    return found.float()


def _fresh(observations: Sequence[Observation], members: int, seed: int) -> Performance:
    """Members with first values as those of torch.nn.Linear, all different."""
    lengths = {len(one.ranks) for one in observations}
    if len(lengths) != 1:
        raise CompressError(f"observations of ranks need one number of layers; found {sorted(lengths) or 'none'}")
    count = lengths.pop()
    shared = all(len(one.shares) == count for one in observations)
    sizes = (count * 2 if shared else count, *HIDDEN, 1)
    draw = torch.Generator().manual_seed(seed)
    layers = []
    for size, width in itertools.pairwise(sizes):
        values = (torch.rand(members, size + 1, width, generator=draw) * 2 - 1) * size**-0.5
        layers.append((values[:, :-1].contiguous(), values[:, -1:].contiguous()))
    every = [rank for one in observations for rank in one.ranks]
    return Performance(tuple(layers), min(every), max(every), shared)


def _forward(layers: tuple[tuple[Tensor, Tensor], ...], inputs: Tensor) -> Tensor:
    """inputs: (rows, inputs). Returns (members, rows)."""
    *inner, (weight, bias) = layers
    state = inputs.expand(len(weight), -1, -1)
    for inner_weight, inner_bias in inner:
        state = torch.baddbmm(inner_bias, state, inner_weight).relu()
    return torch.baddbmm(bias, state, weight).squeeze(2)


def _trained(
    layers: tuple[tuple[Tensor, Tensor], ...], inputs: Tensor, targets: Tensor, learnt: Tensor, epochs: int
) -> tuple[tuple[Tensor, Tensor], ...]:
    """A copy trained by full-batch Adam on the squared error. targets, learnt: (members or 1, rows).

    Epochs are few and fixed: there is too little data to hold some out, and longer training only learns its noise.
    """
    values = [tensor.detach().clone().requires_grad_() for pair in layers for tensor in pair]
    pairs = tuple(zip(values[::2], values[1::2], strict=True))
    optimiser = torch.optim.Adam(values, lr=LEARNING_RATE, fused=True)
    with torch.enable_grad():
        for _ in range(epochs):
            errors = (_forward(pairs, inputs) - targets) ** 2 * learnt
            # A sum over members: each is trained as if it were alone.
            loss = (errors.sum(dim=1) / learnt.sum(dim=1).clamp(min=1)).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return tuple((weight.detach(), bias.detach()) for weight, bias in pairs)
