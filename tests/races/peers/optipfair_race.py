"""Race of optipfair's width pruning: static, and driven by calibration data.

    python -m venv ENV && ENV/bin/pip install torch==2.13.0 && ENV/bin/pip install torch==2.13.0 optipfair==0.4.2
    PYTHONPATH=tests/races ENV/bin/python tests/races/peers/optipfair_race.py MODEL WIKITEXT2_FOLDER OUT_FOLDER

Prints its protocol and one JSON line a contestant; the pruned models stay in OUT_FOLDER for `tests/races/wikitext.py`.
The peer cuts every layer to one width. A contestant's number is the target in r_block, met to the nearest channel,
or the share of the FFN channels.
"""

from __future__ import annotations

from functools import partial

import contest
import optipfair
from torch import Tensor, nn
from transformers import PreTrainedModel

R_BLOCK = (0.1, 0.2, 0.3, 0.5)
R_FFN = 0.25


def by_block(model: PreTrainedModel, windows: Tensor, target: float, driven: bool) -> None:
    """Remove this share of the decoder layers' Linear weights."""
    layer = model.model.layers[0]
    weights = sum(module.weight.numel() for module in layer.modules() if isinstance(module, nn.Linear))
    channel = 3 * layer.mlp.gate_proj.in_features
    remove(model, windows, round(target * weights / channel), driven)


def by_ffn(model: PreTrainedModel, windows: Tensor, target: float, driven: bool) -> None:
    """Remove this share of the FFN channels."""
    remove(model, windows, round(target * model.config.intermediate_size), driven)


def remove(model: PreTrainedModel, windows: Tensor, channels: int, driven: bool) -> None:
    """Remove so many channels of each layer."""
    # The peer rounds down; half a channel more keeps its floating-point product above the whole number.
    percentage = 100 * (channels + 0.5) / model.config.intermediate_size
    dataloader = contest.batches(windows) if driven else None
    optipfair.prune_model(model, pruning_percentage=percentage, dataloader=dataloader, show_progress=False)


CONTESTANTS = {
    f"optipfair-{'data' if driven else 'static'}-{label}": partial(prune, target=target, driven=driven)
    for driven in (False, True)
    for label, prune, target in (
        *((f"block-{target}", by_block, target) for target in R_BLOCK),
        (f"ffn-{R_FFN}", by_ffn, R_FFN),
    )
}

if __name__ == "__main__":
    contest.main(CONTESTANTS, ("optipfair",))
