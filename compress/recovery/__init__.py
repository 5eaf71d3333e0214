"""Recovery rules: one file each. A rule says how a pruned model gets its quality back.

Most hand out LoRA ranks over the layers and leave the training to `training.lora`; some train otherwise, or not at
all.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from compress.plugins import Folder

if TYPE_CHECKING:
    from compress.training.job import Job, Recovered

FOLDER = Folder(sys.modules[__name__], "recovery rule")


class Rule(Protocol):
    """Brings quality back, in place."""

    @property
    def needs(self) -> frozenset[str]:
        """What one calibration of the original has to gather besides: any of `stats.NEEDS`."""

    @property
    def suits(self) -> frozenset[str]:
        """Methods that remove these: any of `methods.Removes`."""

    @property
    def apart(self) -> bool:
        """Whether it leaves adapters that may not be merged."""

    @property
    def merges(self) -> bool:
        """Whether it trains adapters that are merged unless the recipe says otherwise."""

    def recover_(self, job: Job) -> Recovered:
        """Change the job's model. Raises CompressError, with everything that was acknowledged kept on disk."""
