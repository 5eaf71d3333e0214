"""Race of llm-compressor's Wanda and SparseGPT, 2:4, layer after layer.

    python -m venv ENV && ENV/bin/pip install torch==2.13.0 && ENV/bin/pip install torch==2.13.0 llmcompressor==0.14.0.1
    PYTHONPATH=tests/races ENV/bin/python tests/races/peers/llmcompressor_race.py MODEL WIKITEXT2_FOLDER OUT_FOLDER

Prints its protocol and one JSON line a contestant; the pruned models stay in OUT_FOLDER for `tests/races/wikitext.py`.
All Linears of the decoder layers are pruned, the head is left out. All options but the batch are the peer's defaults.
"""

from __future__ import annotations

from functools import partial

import contest
from llmcompressor import oneshot
from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier
from torch import Tensor
from transformers import PreTrainedModel


def prune(model: PreTrainedModel, windows: Tensor, modifier: type[SparseGPTModifier | WandaPruningModifier]) -> None:
    """Set half of the weights to zero, two in every four of a row."""
    recipe = modifier(sparsity=0.5, mask_structure="2:4", targets=["Linear"], ignore=["re:.*lm_head"])
    oneshot(model=model, recipe=recipe, dataset=contest.batches(windows), pipeline="sequential")


CONTESTANTS = {
    "llmcompressor-wanda-2-4": partial(prune, modifier=WandaPruningModifier),
    "llmcompressor-sparsegpt-2-4": partial(prune, modifier=SparseGPTModifier),
}

if __name__ == "__main__":
    contest.main(CONTESTANTS, ("llmcompressor",))
