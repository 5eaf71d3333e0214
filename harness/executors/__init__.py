"""Where questions are asked when not here: one file an executor, imported only when it is named."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from harness.errors import HarnessError
from harness.executors.errands import Errand
from harness.progress import Progress

NAMES = ("ray",)


class Executor(Protocol):
    """Does errands elsewhere."""

    def run(self, errands: Sequence[Errand], progress: Progress) -> None:
        """Do them in any order, and what `keep` adds, to which every result is handed, here, as it comes.

        An errand is done again if the place where it was being done is lost, and left out if it cannot be done. Raises
        HarnessError for a model that is another one there, or cannot be opened.
        """
        ...


def make(name: str, address: str | None) -> Executor:
    """The executor of this name. address: of a cluster that is there; None: one is started on this machine."""
    if name not in NAMES:
        raise HarnessError(f"no executor {name!r}; there are: {', '.join(NAMES)}")
    made: Executor = import_module(f"{__name__}.{name}").make(address)
    return made
