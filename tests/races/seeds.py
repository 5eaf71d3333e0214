"""Race of the scores against chance: the structured methods at one ratio, each calibrated on three draws of the text.

    python tests/races/seeds.py MODEL_FOLDER WIKITEXT2_FOLDER [NAME ...]

MODEL_FOLDER: any supported model. WIKITEXT2_FOLDER: as `tests/races/wikitext.py` wants it. NAME: methods; none: all
that a width method or shortgpt has a score of. Prints the protocol, then a row of a Markdown table a method.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import wikitext
from prune import WIDTH
from transformers import AutoTokenizer

from compress import Recipe, Stats, apply, open_model
from compress.calibration.collect import collect

SPARSITY, SEEDS, WINDOWS = 0.2, 3, 8
DATA_FREE = ("magnitude", "magnitude, norm max_product")
METHODS = ("random", *DATA_FREE, "wanda_sp", "cfsp", "flap", "blend", "llm_pruner", "saap", "shortgpt")
"""Contestants of `tests/races/prune.py`."""
PROTOCOL = f"""\
At r_block {SPARSITY}, shortgpt at the nearest whole layer; defaults, no compensation, no recovery. Calibration:
{wikitext.CALIBRATION_WINDOWS} windows of {wikitext.CALIBRATION_CONTEXT} tokens drawn without replacement from
WikiText-2 validation with seeds 0 to {SEEDS - 1}; seeds of the score itself for random; magnitude has neither.
Perplexity: context {wikitext.TEST_CONTEXT}, {WINDOWS} windows spread evenly over WikiText-2 test. float32, one thread,
torch {torch.__version__}.
"""


def main(folder: Path, data: Path, names: list[str]) -> None:
    """Run the methods one after the other and print."""
    print(PROTOCOL)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = wikitext.joined(data / "line_level" / "validation.jsonl")
    windows = wikitext.held_out(tokenizer, data, WINDOWS)
    rows = wikitext.all_windows(tokenizer, text, wikitext.CALIBRATION_CONTEXT)
    print("| method | perplexity, by seed |\n|---|---|", flush=True)
    for name in names or METHODS:
        found = []
        for seed in range(1 if name in DATA_FREE else SEEDS):
            draw = torch.Generator().manual_seed(seed)
            chosen = rows[torch.randperm(len(rows), generator=draw)[: wikitext.CALIBRATION_WINDOWS]]
            found.append(cut(folder, name, chosen, windows, seed))
        print(f"| `{name}` | {', '.join(f'{value:.2f}' for value in found)} |", flush=True)


def cut(folder: Path, name: str, calibration: torch.Tensor, windows: torch.Tensor, seed: int) -> float:
    """Perplexity of the model that this method leaves."""
    model = open_model(folder, torch.float32)
    recipe = Recipe.model_validate({**WIDTH[name], "sparsity": SPARSITY, "seed": seed})
    apply(model, recipe, calibration, stats=Stats(collect(model, calibration, recipe.needs)))
    return wikitext.perplexity(model, windows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
