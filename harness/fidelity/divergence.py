"""How the divergences of single tokens lie: their histogram, their percentiles, and the text where they are largest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.fidelity.corpus import Window
from harness.records import Divergence, Passage

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

EDGES = (0.0, *(10 ** (step / 4) for step in range(-16, 6)))
"""Lower ends of the histogram's bins in nats, four a decade, the same for every candidate; the last bin is open."""
SHARES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
PASSAGES = 6
PASSAGE_TOKENS = 96
"""At most in one passage; the page colours every one of them."""
FEWEST_TOKENS = 32
"""A shorter window, the end of a document, is far off more often by chance, and gives a reader too little to read."""


def divergence(label: str, cut: Sequence[Window], kl: Tensor, tokenizer: PreTrainedTokenizerBase) -> Divergence:
    """kl: (tokens,), of each predicted token, window after window. label: of the corpus."""
    from torch import bucketize, quantile, tensor

    bins = bucketize(kl, tensor(EDGES[1:], dtype=kl.dtype), right=True)
    return Divergence(
        label=label,
        edges=EDGES,
        counts=tuple(bins.bincount(minlength=len(EDGES)).tolist()),
        percentiles=tuple((share, quantile(kl, share).item()) for share in SHARES),
        passages=tuple(_passages(cut, kl, tokenizer)),
    )


def _passages(cut: Sequence[Window], kl: Tensor, tokenizer: PreTrainedTokenizerBase) -> list[Passage]:
    """Of the windows with the largest mean, worst first, the stretch with the largest sum."""
    parts = kl.split([window.scored for window in cut])  # type: ignore[no-untyped-call]
    pairs = [(window, part) for window, part in zip(cut, parts, strict=True) if window.scored >= FEWEST_TOKENS]
    pairs = pairs or list(zip(cut, parts, strict=True))
    worst = sorted(pairs, key=lambda pair: -pair[1].mean().item())[:PASSAGES]
    return [_passage(window, part, tokenizer) for window, part in worst]


def _passage(window: Window, kl: Tensor, tokenizer: PreTrainedTokenizerBase) -> Passage:
    length = min(PASSAGE_TOKENS, len(kl))
    start = int(kl.unfold(0, length, 1).sum(dim=1).argmax().item())
    stretch = slice(start, start + length)
    return Passage(
        window=window.id,
        start=start,
        mean=kl.mean().item(),
        # The first token is only read: kl is of those that follow it.
        texts=pieces(window.tokens[start : start + length + 1], tokenizer),
        kl=(0.0, *kl[stretch].tolist()),
    )


def pieces(tokens: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The text of each token; a letter of several tokens is with the last of them."""
    pieces, known = [], ""
    for end in range(1, len(tokens) + 1):
        text = str(tokenizer.decode(list(tokens[:end]), skip_special_tokens=True, clean_up_tokenization_spaces=False))
        whole = text if end == len(tokens) else text.rstrip("\ufffd")
        pieces.append(whole[len(known) :])
        known = whole if len(whole) > len(known) else known
    return tuple(pieces)
