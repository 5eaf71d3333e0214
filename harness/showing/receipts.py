"""A receipt -> what the page says of how a candidate was made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from compress import Receipt
from reports.compression import AdapterRow, LayerRow, LossPoint, RatioRow, RecoveryRow
from reports.page import Fact

if TYPE_CHECKING:
    from compress.training.facts import Recovered

RATIO_MEANINGS = {
    "r_total": "of all parameters, embeddings included",
    "r_block": "of the decoder layers' Linear weights",
    "r_ffn": "of the FFN channels",
    "r_group": "of the prunable groups, where both kinds were cut",
    "r_zero": "of the Linear weights that are left and zero",
}


def pattern(receipt: Receipt) -> tuple[LayerRow, ...]:
    """What is left of every layer, and what was trained there."""
    trained = receipt.recovery.layers if receipt.recovery else ()
    adapters = {
        receipt.shape.kept[one.layer]: AdapterRow(one.rank, one.relative_norm, one.effective_rank, one.without)
        for one in trained
    }
    return tuple(
        LayerRow(
            index=index,
            width=len(layer.channels),
            width_before=layer.intermediate,
            kv_groups=len(layer.groups),
            kv_groups_before=layer.kv_heads,
            sparsity=sparsity,
            adapters=adapters.get(index),
            scores=receipt.score_deciles[index] if receipt.score_deciles else (),
        )
        for index, (layer, sparsity) in enumerate(zip(receipt.shape.layers, receipt.sparsity_by_block, strict=True))
    )


def ratios(receipt: Receipt) -> tuple[RatioRow, ...]:
    """How much was removed, by every definition."""
    return tuple(RatioRow(name, RATIO_MEANINGS.get(name, ""), value) for name, value in receipt.ratios.items())


def recovery(receipt: Receipt) -> RecoveryRow | None:
    """What was brought back, and how the loss fell; before the first step there is no loss of training."""
    found = receipt.recovery
    if found is None:
        return None
    points = tuple(LossPoint(one.tokens, one.loss if one.step else None, one.held_out) for one in found.points)
    return RecoveryRow(found.rule, found.before, found.after, points)


def notes(receipt: Receipt) -> list[str]:
    """What a reader has to know of the cut, then of the recovery."""
    return [*receipt.notes, *(receipt.recovery.notes if receipt.recovery else ())]


def facts(receipt: Receipt) -> tuple[Fact, ...]:
    """How it was made."""
    seconds = ", ".join(f"{stage} {value:.1f} s" for stage, value in receipt.seconds.items())
    facts = [Fact("compression took", seconds), Fact("seed", str(receipt.seed))]
    if receipt.calibration:
        text = f"{receipt.calibration.tokens} tokens of {receipt.calibration.source}"
        facts.append(Fact("calibration", f"{text}, sha256 {receipt.calibration.sha256}"))
    return (*facts, *(_recovery_facts(receipt.recovery) if receipt.recovery else ()))


def step_lines(recovered: Recovered) -> Iterator[tuple[str, str]]:
    """A name and a sentence for each of several cuts in turn."""
    for number, one in enumerate(recovered.steps, 1):
        came_to = f"{one.ratio} {one.reached:.4f}, held-out loss {one.before:.4f} to {one.after:.4f}"
        took = f"{one.tokens:,} tokens in {one.seconds:,.0f} s"
        yield f"step {number} of {len(recovered.steps)}", "; ".join((f"{came_to}, {took}", *one.notes))


def _recovery_facts(recovered: Recovered) -> Iterator[Fact]:
    held_out = f"held-out loss {recovered.before:.4f} to {recovered.after:.4f} nats a token"
    took = f"{recovered.tokens:,} tokens in {recovered.seconds:,.0f} s, in {recovered.precision}"
    yield Fact("recovery", f"{recovered.rule}: {held_out}; {took}")
    for name, said in step_lines(recovered):
        yield Fact(name, said)
    if recovered.adapters != "none":
        yield Fact("adapters", recovered.adapters)
    if recovered.contest is not None:
        low, high = recovered.contest.interval
        found = f"{recovered.contest.decision}: {recovered.contest.difference:+.4f} nats, {low:+.4f} to {high:+.4f}"
        yield Fact("against uniform ranks", found)
    for source in recovered.data:
        read = f"{source.tokens:,} tokens, {source.documents:,} documents of {source.source}"
        yield Fact("recovery data", f"{read}, sha256 {source.sha256}")
