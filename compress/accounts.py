"""What was done, as a receipt."""

from __future__ import annotations

from compress import ratios
from compress.costs import Clock, peak_bytes, versions
from compress.receipt import Receipt
from compress.recipe import Recipe
from compress.shape import Shape

UNCUT = "nothing was removed: the target is less than half of the smallest unit, so this is the original"


def receipt_of(recipe: Recipe, shape: Shape, counts: tuple[ratios.Counts, ratios.Counts], clock: Clock) -> Receipt:
    """All that follows from these. counts: of the model before and after; of the latter, its own layers only."""
    before, after = counts[0], ratios.aligned(counts[1], shape)
    uncut = (UNCUT,) if shape.whole and recipe.chosen().removes != "weights" else ()
    return Receipt(
        recipe=recipe,
        shape=shape,
        sparsity_by_block=ratios.by_block(before, after),
        ratios=ratios.measure(before, after),
        seconds=clock.seconds,
        peak_bytes=peak_bytes(),
        calibration=None,
        versions=versions(),
        notes=(*recipe.notes, *uncut),
    )
