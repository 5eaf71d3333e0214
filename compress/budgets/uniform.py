"""Uniform: every layer loses the same share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from compress.budgets import Layer, Shares

if TYPE_CHECKING:
    from compress.planning.apportion import Target


@dataclass(frozen=True)
class Uniform:
    """The same share of channels and of kv groups in every layer."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def shares(self, layers: Sequence[Layer], target: Target) -> Shares:
        """1 - removed everywhere."""
        keep = [1.0 - target.removed] * len(layers)
        return Shares(keep, keep)
