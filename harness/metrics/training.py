"""What the recovery of a candidate took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.meters import NotMeasuredError
from harness.metrics import Reading
from harness.models.opening import LoadedModel
from harness.progress import Progress, silent
from harness.records import Measurement


@dataclass(frozen=True)
class Training:
    """training.speed: tokens a second of wall time that a recovery read. training.peak: resident memory meanwhile.

    Of the candidate alone, by its receipt: as it was when and where the candidate was made. The speed counts the
    measurements of the held-out loss, not the original's passes; the peak counts the original, and none of an
    accelerator's own memory. One reading each, whose spread is not known, so a gate on either stays INCONCLUSIVE.
    """

    provides: ClassVar[tuple[str, ...]] = ("speed", "peak")

    def measure(self, before: LoadedModel, after: LoadedModel, progress: Progress = silent) -> list[Reading]:
        """Two readings without items. Raises NotMeasuredError for a candidate that was not trained here."""
        from compress import is_pruned, read_receipt

        folder = after.sources[0]
        if not is_pruned(folder):
            raise NotMeasuredError("there is no receipt that says how the candidate was made")
        found = read_receipt(folder).recovery
        if found is None or not found.seconds:
            raise NotMeasuredError("the candidate's recipe recovers nothing")
        return [
            (None, Measurement("training.speed", found.tokens / found.seconds, "tokens/s", True, "graded")),
            (None, Measurement("training.peak", float(found.peak_bytes), "bytes", False, "graded")),
        ]
