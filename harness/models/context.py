"""How much a model reads at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAMES = ("max_position_embeddings", "n_positions", "n_ctx")
"""What families call it."""


def stated_context(model: PreTrainedModel) -> int | None:
    """In tokens; None: its configuration does not say."""
    config = model.config.get_text_config()
    return next((int(length) for name in NAMES if (length := getattr(config, name, None))), None)
