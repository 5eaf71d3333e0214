"""Exports: one file each. The same weights in a format of another program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from compress.plugins import Folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from compress.receipt import Receipt

FOLDER = Folder(sys.modules[__name__], "export")


class Export(Protocol):
    """What all exports have."""

    suffix: ClassVar[str]
    """Of the file that is written; empty: a folder."""

    def refuse(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raise CompressError, with the reason, for a model that the format cannot say."""

    def write(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, target: Path, receipt: Receipt | None
    ) -> tuple[str, ...]:
        """Write it, whole or not at all; returns what a user has to know, in sentences.

        receipt: of the compression; None: the model is exported as it is. Raises CompressError.
        """


def names() -> list[str]:
    """All exports."""
    return FOLDER.names()


def make(name: str) -> Export:
    """An export. Raises ValueError naming all of them and the nearest."""
    export: Export = FOLDER.make(name, {})
    return export
