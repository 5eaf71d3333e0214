"""One list of the channels and kv groups of all layers; the lowest scores go, whichever layer they are in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from compress.budgets import Layer, Shares
from compress.errors import CompressError

if TYPE_CHECKING:
    from compress.planning.apportion import Target


@dataclass
class _Pool:
    """The kv groups, or the FFN channels, of one layer."""

    scores: Tensor
    cost: int
    """Weights that one unit takes along."""
    averaged: int
    """Columns that a unit's score is about."""
    least: int
    """Units that stay whatever they score."""
    kept: int

    @property
    def share(self) -> float:
        """Kept, of all."""
        return self.kept / len(self.scores)


def global_shares(layers: Sequence[Layer], target: Target, standardise: bool, floor: float) -> Shares:
    """What each layer keeps when the lowest scores of the whole model go until `target.weights` are gone.

    Where the target is `apart`, there are two such lists, of kv groups and of channels, and each loses its share.

    A unit counts by the weights that it takes along: FLAP's 512/3 channels a head (arXiv 2312.11983), for heads of any
    size and with GQA. Equal scores: kv groups go before channels, then the earlier layer's.

    standardise: z-scores of each (layer, kind) first, those of kv groups divided by the root of the attention_out
    columns that one owns: so much narrower are averages over so many. FLAP averages z-scores of columns, which only
    its own method can (`standardise=False`). With a spread of 1, far too many kv groups went.
    floor: the share of its channels that every layer keeps at least. One kv group and `round_to` channels always stay.
    Raises CompressError if a score is not finite, or if the floor does not leave enough to remove.
    """
    channels = [_channels(layer, target, floor) for layer in layers]
    groups = [_groups(layer) for layer in layers]
    together = [*groups, *channels] if target.attention else channels
    for pools in (groups, channels) if target.apart else (together,):
        share = target.removed * sum(pool.kept * pool.cost for pool in pools)
        weights = share if target.apart else target.weights
        _check(pools, weights, target.round_to * channels[-1].cost / 2, 0.0 if pools is groups else floor)
        _remove_(pools, weights, standardise)
    return Shares([pool.share for pool in channels], [pool.share for pool in groups])


def _remove_(pools: Sequence[_Pool], weights: float, standardise: bool) -> None:
    """Let the lowest scores of these pools go until so many weights are gone."""
    scores = torch.cat([_comparable(pool, standardise) for pool in pools])
    owners = [pool for pool in pools for _ in range(len(pool.scores))]
    gone = 0
    for unit in torch.sort(scores, stable=True).indices.tolist():
        pool = owners[unit]
        if pool.kept == pool.least:
            continue
        if gone + pool.cost / 2 > weights:
            break
        pool.kept -= 1
        gone += pool.cost


def _comparable(pool: _Pool, standardise: bool) -> Tensor:
    """Its scores as they stand in the list. Where all are zero, the layer puts out nothing, and they come first."""
    if not bool(pool.scores.any()):
        return torch.full_like(pool.scores, -math.inf)
    return z_scores(pool.scores) / pool.averaged**0.5 if standardise else pool.scores


def _channels(layer: Layer, target: Target, floor: float) -> _Pool:
    count, cost = layer.block.channels, layer.block.channel_weights
    least = target.round_to * math.ceil(max(floor * count / target.round_to, 1) - 1e-9)
    return _Pool(layer.channel_scores.double().cpu(), cost, 1, min(least, count), count)


def _groups(layer: Layer) -> _Pool:
    count, cost = layer.block.kv_heads, layer.block.group_weights
    columns = layer.block.attention_out.in_features // count
    scores = torch.zeros(count) if layer.group_scores is None else layer.group_scores
    return _Pool(scores.double().cpu(), cost, columns, 1, count)


def z_scores(scores: Tensor) -> Tensor:
    """Same shape, with mean 0 and standard deviation 1; all zeros where all are equal."""
    if bool(scores.max() == scores.min()):
        return torch.zeros_like(scores)
    return (scores - scores.mean()) / scores.std()


def _check(pools: Sequence[_Pool], weights: float, slack: float, floor: float) -> None:
    if not all(bool(torch.isfinite(pool.scores).all()) for pool in pools):
        raise CompressError("a score is NaN or infinite; weights or activations of this model are broken")
    most = sum((pool.kept - pool.least) * pool.cost for pool in pools)
    if weights > most + slack:
        lower = f"with floor {floor:g} only {most} can: lower the floor"
        little = f"only {most} can, as every layer keeps a little: lower the target"
        raise CompressError(f"{weights:.0f} weights have to go, but {lower if floor else little}")
