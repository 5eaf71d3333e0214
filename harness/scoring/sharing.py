"""Whether a model gives the same scores when rows share what they begin with: looked at, then tried."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from harness.models.caches import can_be_parted
from harness.quiet import quiet
from harness.scoring.engine import in_batches, in_trees
from harness.scoring.requests import Request, Score, rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRIED = (
    *(Request((*range(1, 23), branch), (9, branch)) for branch in (1, 2, 3, 4)),
    *(Request((5, branch, 7), (branch, 8)) for branch in (6, 9)),
)
"""A trunk with four branches and a small tree, so that every kind of pass is tried; 30 tokens."""
TRIED_ROW_TOKENS = 12
_KNOWN: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()
"""A model is tried once, however many benchmarks it is asked."""


def shares_beginnings(model: PreTrainedModel) -> bool:
    """Whether trees of rows may be used."""
    if model not in _KNOWN:
        _KNOWN[model] = _tried(model)
    return _KNOWN[model]


def _tried(model: PreTrainedModel) -> bool:
    """Whether it gives the same scores both ways.

    Not where layers forget the trunk (sliding windows, running states), nor where the trial differs from plain
    rows: positions that the model derives from the mask or from the row (ALiBi), masks that it does not take.
    """
    import torch

    if not can_be_parted(model):
        return False
    vocabulary = int(model.config.get_text_config().vocab_size)
    asked = [
        Request(*(tuple(token % vocabulary for token in part) for part in (one.context, one.continuation)))
        for one in TRIED
    ]
    todo = rows(asked, max(len(one.context) for one in asked) + 1)
    plain: dict[int, Score] = {}
    shared: dict[int, Score] = {}
    for found in in_batches(model, todo, asked):
        plain |= found
    try:
        with quiet():
            for found in in_trees(model, todo, asked, TRIED_ROW_TOKENS):
                shared |= found
    except Exception:  # noqa: BLE001 - a model that takes no such call may raise anything, and is then not called so
        return False
    # A layer that rounds to int8 turns what float32 rounds off into whole steps.
    rounds = any(parameter.dtype == torch.int8 for parameter in model.parameters())
    bound = torch.finfo(torch.bfloat16 if rounds else model.dtype).eps ** 0.5
    # NaN is within no bound.
    return all(
        abs(score.logprob - shared[index].logprob) <= bound * max(1.0, abs(score.logprob))
        for index, score in plain.items()
    )
