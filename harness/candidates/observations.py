"""What earlier recoveries tell of ranks: trials in stored receipts, for rules that learn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compress import CompressError, Receipt

if TYPE_CHECKING:
    from compress.training.performance import Observation
    from harness.stores import Store


def observations(store: Store) -> list[Observation]:
    """Every stored trial; those of one cut of one model, on the same data, are a group.

    Receipts that cannot be read are left out: they are of a newer version.
    """
    from compress.training.performance import Observation

    found = []
    for text in store.receipts():
        try:
            receipt = Receipt.from_json(text)
        except CompressError:
            continue
        if receipt.recovery is None:
            continue
        read = "+".join(source.sha256[:12] for source in receipt.recovery.data)
        group = f"{receipt.shape.digest[:12]} {read}"
        shares = tuple(receipt.sparsity_by_block[layer] for layer in receipt.shape.kept)
        found += [Observation(trial.ranks, trial.score, group, shares) for trial in receipt.recovery.trials]
    return found
