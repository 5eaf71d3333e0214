"""Token rows to continue, what limits the work on them, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache

    from harness.models.opening import LoadedModel
    from suites.sampling import Sampling

NOT_NUMBERS = "the model's logits are not numbers (NaN)"
TOO_LARGE = "out of memory, even alone"


@dataclass(frozen=True)
class Row:
    """Tokens to continue, and how many to write at most."""

    tokens: list[int]
    new_tokens: int
    sampling: Sampling | None = None
    """None: greedy."""
    seed: int = 0
    """Of what is drawn for this row."""

    @property
    def width(self) -> int:
        """Tokens when it is written to its limit."""
        return len(self.tokens) + self.new_tokens


@dataclass(frozen=True)
class Beginning:
    """What all rows begin with, perhaps nothing, and its keys and values."""

    tokens: list[int]
    cache: DynamicCache | None
    """None: the cache of this model cannot be taken apart, so nothing is shared and no row is replaced."""


class Written(NamedTuple):
    """What became of one row."""

    number: int
    tokens: list[int]
    """What followed it, its end token included."""
    seconds: float
    """Its share of the time of the passes it was in."""
    error: str | None = None


Finished = Callable[[int, list[int]], bool]
"""Whether what was written for the row of this number is enough, beside its end token and its limit."""


def never(number: int, tokens: list[int]) -> bool:
    """For rows that end by themselves."""
    return False


def end_tokens(loaded: LoadedModel) -> list[int]:
    """Tokens that end an answer: of the generation config, or else of the tokenizer."""
    config = loaded.model.generation_config
    ends = config.eos_token_id if config is not None else None
    if ends is None:
        ends = loaded.tokenizer.eos_token_id
    if ends is None:
        return []
    return list(ends) if isinstance(ends, (list, tuple)) else [int(ends)]


def padded(rows: Sequence[Row], shared: int) -> tuple[Tensor, Tensor]:
    """What each row has after `shared` common tokens, (rows, width), padded on the left; and the mask of the whole.

    mask: (rows, shared + width), 1 for every token.
    """
    import torch

    width = max(len(row.tokens) for row in rows) - shared
    tokens = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), shared + width), dtype=torch.long)
    mask[:, :shared] = 1
    for number, row in enumerate(rows):
        own = len(row.tokens) - shared
        tokens[number, width - own :] = torch.tensor(row.tokens[shared:])
        mask[number, shared + width - own :] = 1
    return tokens, mask
