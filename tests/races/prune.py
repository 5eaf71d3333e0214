"""Race of the pruning methods: perplexity on WikiText-2 test at equal r_block, untuned.

    python tests/races/prune.py MODEL_FOLDER WIKITEXT2_FOLDER

MODEL_FOLDER: any supported model, for example the cached embedded one. WIKITEXT2_FOLDER: has line_level/test.jsonl,
one row of the raw data set a line. Prints its protocol and a Markdown table.
"""

from __future__ import annotations

import copy
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from compress import Calibration, Recipe, apply, calibrate, open_model

CONTEXT = 512
WINDOWS = 8
"""Of the test text, spread evenly over it."""
SEEDS = (0, 1, 2)
SPARSITIES = (0.1, 0.2)
METHODS = {
    "cfsp, score: paper": ("cfsp", {"score": "paper"}),
    "cfsp, score: released": ("cfsp", {"score": "released"}),
    "magnitude": ("magnitude", {}),
    "random": ("random", {}),
}
PROTOCOL = f"""\
Token perplexity, context {CONTEXT}, of {WINDOWS} windows spread evenly over WikiText-2 test (rows joined by two
newlines): an order of merit on equal tokens, not the figure of the whole split. Untuned;
calibration on 16 windows of 256 tokens of the built-in text, which is not of the kind that is tested.
Mean (lowest - highest) over seeds {", ".join(map(str, SEEDS))}, which draw the calibration windows or the random
scores. CPU s: process time of calibrate + plan + cut at the highest sparsity, mean, with
{torch.get_num_threads()} thread(s).
"""


@dataclass(frozen=True)
class Ground:
    """What all contestants share."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    test: Tensor
    """(windows, context) token ids."""


def main(model: Path, data: Path) -> None:
    """Run all contestants and print."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    test = spread_windows(tokenizer, joined(data / "line_level" / "test.jsonl"))
    ground = Ground(open_model(model, torch.float32), tokenizer, test)
    print(PROTOCOL)
    print(f"Original: {perplexity(ground.model, ground.test):.2f}\n")
    print(f"| method | {' | '.join(f'r_block {sparsity}' for sparsity in SPARSITIES)} | CPU s |")
    print(f"|---|{'---|' * len(SPARSITIES)}---|")
    for name in METHODS:
        print(row(ground, name), flush=True)


def row(ground: Ground, name: str) -> str:
    """One line of the table."""
    method, options = METHODS[name]
    found: dict[float, list[float]] = {sparsity: [] for sparsity in SPARSITIES}
    seconds = []
    for seed in SEEDS if method != "magnitude" else SEEDS[:1]:
        calibration = Calibration(seed=seed)
        needs = Recipe(method=method, options=options, sparsity=0.1).chosen().needs
        start = time.process_time()
        stats = calibrate(ground.model, ground.tokenizer, calibration, needs)
        calibrated = time.process_time() - start
        for sparsity in SPARSITIES:
            model = copy.deepcopy(ground.model)
            recipe = Recipe(method=method, options=options, sparsity=sparsity, calibration=calibration, seed=seed)
            start = time.process_time()
            apply(model, recipe, stats=stats)
            applied = time.process_time() - start
            found[sparsity].append(perplexity(model, ground.test))
        seconds.append(calibrated + applied)
    cells = [cell(values) for values in found.values()]
    return f"| {name} | {' | '.join(cells)} | {sum(seconds) / len(seconds):.1f} |"


def cell(values: list[float]) -> str:
    """Mean, and the range where there is one."""
    mean = sum(values) / len(values)
    return f"{mean:.1f} ({min(values):.1f} - {max(values):.1f})" if len(values) > 1 else f"{mean:.1f}"


def joined(path: Path) -> str:
    """The raw text of a split."""
    return "\n\n".join(json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines())


def spread_windows(tokenizer: PreTrainedTokenizerBase, text: str) -> Tensor:
    """(WINDOWS, CONTEXT) token ids, evenly spread over the text."""
    ids = torch.tensor(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    rows = ids[: len(ids) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    return rows[torch.linspace(0, len(rows) - 1, WINDOWS).long()]


@torch.no_grad()
def perplexity(model: PreTrainedModel, windows: Tensor) -> float:
    """Of every token but the first of its window."""
    total = 0.0
    for ids in windows.split(4):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum"))
    return math.exp(total / (windows.numel() - len(windows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
