"""How far a candidate's next-token distribution is from its original's, on the same tokens.

Means are over tokens; items are windows with their number of predicted tokens as weight, and the windows of a document
are one cluster. The quantities are those of llama.cpp's perplexity tool, but over all tokens of a window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.digest import digest
from harness.errors import HarnessError
from harness.fidelity.corpus import Corpus, Window, windows
from harness.fidelity.divergence import divergence
from harness.fidelity.reference import (
    FidelityRefusedError,
    Reference,
    read_reference,
    reference,
    refuse_broken,
    sweep,
    text_digest,
)
from harness.models.placement import input_device
from harness.progress import Progress, silent
from harness.records import Divergence, Item, Measurement
from harness.scoring import NotFiniteError
from harness.statistics.delta import exp_or_inf
from harness.statistics.means import item_mean

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.opening import LoadedModel

FIGURES = {
    "kl": "nats/token",
    "top1": "share",
    "perplexity_ratio": "ratio",
    "probability_change": "probability",
    "probability_rms": "probability",
    "kl_p50": "nats",
    "kl_p90": "nats",
    "kl_p99": "nats",
    "kl_max": "nats",
}
"""What compares two models -> unit. probability_*: mean and root mean square of what p of the true token changed."""
MEANS = ("kl", "top1", "perplexity_ratio", "probability_change")
"""Those that are means over tokens, and so have items."""
HIGHER_IS_BETTER = {"top1", "probability_change"}

__all__ = ["FidelityRefusedError", "compared", "measure_fidelity", "not_measured", "original_perplexity", "reference"]


class _Tokens(NamedTuple):
    """One value for each predicted token; each (tokens,) in float64."""

    kl: Tensor
    """sum over the vocabulary of p_original (log p_original - log p_candidate), nats"""
    same: Tensor
    """1 where both find the same token most likely, else 0"""
    log_ratio: Tensor
    """-log p_candidate + log p_original of the token that follows, nats"""
    nll: Tensor
    """-log p_candidate of the token that follows, nats"""
    change: Tensor
    """p_candidate - p_original of the token that follows"""


class FidelityResult(NamedTuple):
    """How true a candidate is to its original on one corpus: FIGURES and `perplexity`, and where it is not."""

    measurements: list[Measurement]
    divergence: Divergence


def measure_fidelity(path: Path, candidate: LoadedModel, corpus: Corpus, progress: Progress = silent) -> FidelityResult:
    """How true a candidate is to the original behind the reference at `path`.

    The items of `perplexity_ratio` are mean log-ratios, its value the exponential of their weighted mean.
    Raises FidelityRefusedError if tokenizers or vocabularies differ, NotFiniteError for NaN.
    """
    known = read_reference(path)
    cut = windows(corpus, candidate.tokenizer)
    name = candidate.spec.name
    if text_digest(cut) != known.text:
        raise FidelityRefusedError(f"{name}: its tokenizer cuts the corpus into other tokens than the original's")
    device = input_device(candidate.model)
    known = replace(known, head=known.head.to(device), bias=known.bias.to(device))
    tokens = _compared(known, candidate, cut, progress)
    refuse_broken(candidate, corpus, cut, *tokens)
    means = zip(MEANS, (tokens.kl, tokens.same, tokens.log_ratio, tokens.change), strict=True)
    others = {"probability_rms": tokens.change.square().mean().sqrt().item(), **_spread(tokens.kl)}
    measured = [
        *(_mean_figure(corpus.label, name, _items(cut, values)) for name, values in means),
        *(_figure(corpus.label, name, value) for name, value in others.items()),
        _perplexity(corpus.label, tokens.nll),
    ]
    return FidelityResult(measured, divergence(corpus.label, cut, tokens.kl, candidate.tokenizer))


def compared(
    path: Path, candidate: LoadedModel, corpus: Corpus, progress: Progress = silent
) -> FidelityResult | HarnessError:
    """The same, or why this candidate has no such numbers."""
    try:
        return measure_fidelity(path, candidate, corpus, progress)
    except (NotFiniteError, FidelityRefusedError) as error:
        return error


def original_perplexity(path: Path, corpus: Corpus) -> Measurement:
    """`perplexity` of the original behind a reference."""
    return _perplexity(corpus.label, read_reference(path).nll)


def not_measured(label: str) -> list[Measurement]:
    """What stands for a candidate that could not be compared: NaN, which breaks every gate on it."""
    return [*(_figure(label, name, math.nan) for name in FIGURES), _perplexity_of(label, math.nan)]


def over_corpora(parts: Mapping[str, Sequence[Measurement]]) -> list[Measurement]:
    """The mean over corpora, each of which counts the same, however long it is. parts: label -> its measurements.

    Items keep their windows and documents; their weights say what share of the mean they are.
    """
    found = []
    for name in MEANS:
        of_each = {label: _named(label, name, measured) for label, measured in parts.items()}
        items = tuple(
            replace(item, id=f"{label}/{item.id}", cluster=f"{label}/{item.cluster}", weight=item.weight / total)
            for label, one in of_each.items()
            for total in [math.fsum(item.weight for item in one.items)]
            for item in one.items
        )
        known = all(one.items for one in of_each.values())
        found.append(_mean_figure("", name, items) if known else _figure("", name, math.nan))
    return found


def _named(label: str, name: str, measured: Sequence[Measurement]) -> Measurement:
    return next(one for one in measured if one.metric == _metric(label, name))


def _metric(label: str, name: str) -> str:
    return ".".join(part for part in ("fidelity", label, name) if part)


def _mean_figure(label: str, name: str, items: tuple[Item, ...]) -> Measurement:
    """The mean of its items, of log-ratios its exponential."""
    mean = item_mean(items)
    return _figure(label, name, exp_or_inf(mean) if name == "perplexity_ratio" else mean, items)


def _figure(label: str, name: str, value: float, items: tuple[Item, ...] = ()) -> Measurement:
    return Measurement(_metric(label, name), value, FIGURES[name], name in HIGHER_IS_BETTER, "graded", items)


def _spread(kl: Tensor) -> dict[str, float]:
    """Between which values the divergences of single tokens lie; percentiles by linear interpolation."""
    from torch import quantile

    ordered = {f"kl_p{100 * share:g}": quantile(kl, share).item() for share in (0.5, 0.9, 0.99)}
    return {**ordered, "kl_max": kl.max().item()}


def _compared(known: Reference, candidate: LoadedModel, cut: Sequence[Window], progress: Progress) -> _Tokens:
    """One pass of the candidate, each token beside what is known of the original."""
    import torch

    count = len(known.nll)
    kl, same, nll = (torch.empty(count, dtype=torch.float64) for _ in range(3))
    for at, targets, _, logits in sweep(candidate, cut, progress):
        if logits.shape[-1] != len(known.head):
            sizes = f"a vocabulary of {logits.shape[-1]} tokens, the original's has {len(known.head)}"
            raise FidelityRefusedError(f"{candidate.spec.name}: {sizes}")
        before, after = known.logits(at).log_softmax(dim=-1), logits.log_softmax(dim=-1)
        # Rounding can make the sum slightly negative where the distributions are equal.
        kl[at] = (before.exp() * (before - after)).sum(dim=-1).clamp(min=0).cpu().double()
        same[at] = (after.argmax(dim=-1).cpu() == known.best[at]).double()
        nll[at] = -after.gather(1, targets[:, None])[:, 0].cpu().double()
    return _Tokens(kl, same, nll - known.nll, nll, (-nll).exp() - (-known.nll.double()).exp())


def _items(cut: Sequence[Window], values: Tensor) -> tuple[Item, ...]:
    """The mean of each window."""
    parts = values.split([window.scored for window in cut])  # type: ignore[no-untyped-call]
    return tuple(
        Item(window.id, digest(window.tokens), part.mean().item(), str(window.document), float(window.scored))
        for window, part in zip(cut, parts, strict=True)
    )


def _perplexity(label: str, nll: Tensor) -> Measurement:
    return _perplexity_of(label, exp_or_inf(nll.double().mean().item()))


def _perplexity_of(label: str, value: float) -> Measurement:
    """No items: two models are paired through the ratio."""
    return Measurement(_metric(label, "perplexity"), value, "perplexity", False, "graded")
