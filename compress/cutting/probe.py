"""A quick look at what compression did: the loss on a few tokens, before and after."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress.anatomy.walk import evaluating
from compress.calibration.calibrate import read
from compress.recipe import Calibration

TOKENS = 512
"""Enough to see a broken model. Both models read the same text, so most of the noise falls out."""
EXPLOSION = 2.0
"""A perplexity that grew by more than this is worth a warning."""


def sample(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, calibration: Calibration) -> Tensor:
    """(windows, tokens) about TOKENS token ids of the calibration text."""
    windows = min(calibration.windows, max(1, TOKENS // calibration.tokens))
    ids, _ = read(model, tokenizer, calibration.model_copy(update={"windows": windows}))
    return ids[:, :TOKENS]


def probe(model: PreTrainedModel, ids: Tensor) -> float:
    """Mean loss, in nats, of the next token in ids: (windows, tokens)."""
    total = 0.0
    with evaluating(model):
        for window in ids.to(model.device):
            logits = model(input_ids=window.unsqueeze(0), use_cache=False).logits[0, :-1]
            total += float(functional.cross_entropy(logits.float(), window[1:], reduction="sum"))
    return total / (ids.numel() - len(ids))


def warning(before: float, after: float) -> str | None:
    """A sentence if the loss exploded; NaN did."""
    if after - before <= math.log(EXPLOSION):
        return None
    return f"perplexity grew more than {EXPLOSION:g} times, so this model is probably broken"
