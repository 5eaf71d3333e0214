"""What earlier recoveries tell of ranks: trials in stored receipts, for rules that learn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compress import CompressError, Receipt

if TYPE_CHECKING:
    from compress.training.performance import Observation
    from harness.stores import Store


ASIDE = {"seed", "data", "save_every", "checkpointing", "merge", "epochs", "evaluate_every", "patience"}
"""What does not move the loss that a trial comes to, or is told apart by other means."""


def observations(store: Store) -> list[Observation]:
    """Every stored trial; those of one cut of one model, on the same data and trained alike, are a group.

    Receipts that cannot be read are left out: they are of a newer version. So are recoveries in steps, whose trials are
    of cuts that the receipt has not.
    """
    from compress.training.performance import Observation

    found = []
    for text in store.receipts():
        try:
            receipt = Receipt.from_json(text)
        except CompressError:
            continue
        if receipt.recovery is None or receipt.recipe.recovery is None or receipt.recipe.steps > 1:
            continue
        read = "+".join(source.sha256[:12] for source in receipt.recovery.data)
        group = f"{receipt.shape.digest[:12]} {read} {receipt.recipe.recovery.model_dump_json(exclude=ASIDE)}"
        shares = tuple(receipt.sparsity_by_block[layer] for layer in receipt.shape.kept)
        found += [Observation(trial.ranks, trial.score, group, shares) for trial in receipt.recovery.trials]
    return found
