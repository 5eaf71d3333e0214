"""Which weights go: N:M patterns, and shares of a row or of a whole matrix. Imports no torch, so that methods can."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import AfterValidator

if TYPE_CHECKING:
    from torch import Tensor

UNSTRUCTURED = "unstructured"
CHANNELS = "channels"


def parse(text: str) -> tuple[int, int] | None:
    """(N, M) of "N:M": N of every M neighbouring inputs stay; None for "unstructured". Raises ValueError."""
    if text == UNSTRUCTURED:
        return None
    found = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", text)
    if found is None or int(found[1]) >= int(found[2]):
        raise ValueError(f"'{text}' is no pattern: N:M with 0 < N < M, such as 2:4, or '{UNSTRUCTURED}'")
    return int(found[1]), int(found[2])


def _checked(text: str) -> str:
    parse(text)
    return text


Pattern = Annotated[str, AfterValidator(_checked)]
"""An option that `parse` reads."""
ChannelsOrPattern = Literal["channels"] | Pattern
"""The same for methods that can also remove whole FFN channels."""


class Switch(Protocol):
    """A method that removes channels, or single weights, as its pattern says."""

    @property
    def pattern(self) -> str: ...
    @property
    def attention(self) -> bool: ...
    @property
    def round_to(self) -> int | Literal["auto"]: ...


def refuse_width_options(method: Switch) -> None:
    """Raise ValueError if options of channels are given with a pattern of single weights."""
    if method.pattern != CHANNELS and (method.attention or method.round_to != "auto"):
        raise ValueError(f"attention and round_to go with pattern: {CHANNELS}, not with '{method.pattern}'")


def lowest(scores: Tensor, count: int) -> Tensor:
    """scores: (..., n), finite. True at the `count` lowest of each line; of equal ones the later go first."""
    if count == 0:
        return scores.isnan()
    threshold = scores.kthvalue(count, dim=-1, keepdim=True).values
    gone = scores <= threshold
    surplus = gone.sum(dim=-1, keepdim=True) - count
    if bool(surplus.any()):
        equal = scores == threshold
        gone &= ~(equal & (equal.cumsum(dim=-1) <= surplus))
    return gone


def lowest_in_rows(scores: Tensor, pattern: tuple[int, int] | None, share: float) -> Tensor:
    """scores: (out, in). True at what goes: all but N of every M inputs, or this share of each row."""
    if pattern is None:
        return lowest(scores, round(share * scores.shape[1]))
    n, m = pattern
    return lowest(scores.reshape(len(scores), -1, m), m - n).flatten(1)


def lowest_in_matrix(scores: Tensor, pattern: tuple[int, int] | None, share: float) -> Tensor:
    """scores: (out, in). True at what goes: all but N of every M inputs, or this share of the whole matrix."""
    if pattern is None:
        return lowest(scores.flatten(), round(share * scores.numel())).view_as(scores)
    return lowest_in_rows(scores, pattern, share)


def double_pruned(weight: Tensor, pattern: tuple[int, int]) -> Tensor:
    """W^{R,C} of SLoPe (arXiv 2405.16325): pruned N:M by magnitude along the rows, then what is left along the columns.

    weight: (out, in), both multiples of M. Its transpose is sparse along its rows too, as the gradient of the input
    wants it.
    """
    rows = weight.masked_fill(lowest_in_rows(weight.abs(), pattern, 0.0), 0.0)
    return rows.masked_fill(lowest_in_rows(rows.abs().T, pattern, 0.0).T, 0.0)
