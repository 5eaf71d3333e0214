"""ShortGPT: remove whole decoder layers, those that change the residual stream least (arXiv 2403.03853)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from compress.calibration.stats import Stats


@dataclass(frozen=True)
class Shortgpt:
    """One look at the original, no iteration.

    score: "influence" is the paper's block influence, the mean over tokens of 1 - cos(layer input, layer output).
    "angle" is the mean of the angle instead. "contiguous" takes the layers in one run, the run whose two ends differ
    by the smallest angle at the last token of each window (arXiv 2403.17887). On SmolLM2-135M a run did worse than
    influence where 3 of 30 layers went, and better where 6 did.
    """

    score: Literal["influence", "angle", "contiguous"] = "influence"

    removes: ClassVar[Literal["layers"]] = "layers"

    @property
    def needs(self) -> frozenset[str]:
        """Only what the chosen score reads."""
        return frozenset({"spans" if self.score == "contiguous" else "angles"})

    def layer_scores(self, stats: Stats) -> list[float]:
        """Of each layer alone; "contiguous": the angle over a run of one."""
        if self.score == "contiguous":
            return [block.span(1) for block in stats.blocks]
        return [block.number(self.score) for block in stats.blocks]

    def removed(self, stats: Stats, count: int) -> list[int]:
        """The `count` lowest, or the best run of `count`; of equal ones the earliest."""
        if self.score == "contiguous":
            starts = range(len(stats.blocks) - count + 1)
            first = min(starts, key=lambda start: stats.blocks[start].span(count)) if count else 0
            return list(range(first, first + count))
        scores = self.layer_scores(stats)
        return sorted(sorted(range(len(scores)), key=scores.__getitem__)[:count])
