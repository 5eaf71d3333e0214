"""The ground of every race: windows of WikiText-2, perplexity on them, and what a model has left.

    python tests/races/wikitext.py WIKITEXT2_FOLDER ORIGINAL_FOLDER [PRUNED_FOLDER ...]

Prints the protocol, then one JSON line a model. WIKITEXT2_FOLDER has line_level/{validation,test}.jsonl, one row of the
raw data set a line. Needs torch and transformers alone, so that it runs in every contestant's environment.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

CALIBRATION_WINDOWS, CALIBRATION_CONTEXT = 32, 256
TEST_WINDOWS, TEST_CONTEXT = 16, 512
PROTOCOL = f"""\
Calibration: {CALIBRATION_WINDOWS} windows of {CALIBRATION_CONTEXT} tokens spread evenly over WikiText-2 validation.
Perplexity: of tokens, context {TEST_CONTEXT}, every token but the first of its window, {TEST_WINDOWS} windows spread
evenly over WikiText-2 test: an order of merit on equal tokens, not the figure of the whole split.
Both: raw rows joined by two newlines, no special tokens, float32, one thread. No recovery.
"""


def main(data: Path, original: Path, pruned: list[Path]) -> None:
    """Print the perplexity and the ratios of all models; ratios are against the original."""
    torch.set_num_threads(1)
    print(PROTOCOL)
    windows = held_out(AutoTokenizer.from_pretrained(original), data)
    before = 0
    for folder in (original, *pruned):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        weights, zeros = linear_weights(model)
        before = before or weights
        row = {
            "model": folder.name,
            "r_block": round(1 - weights / before, 4),
            "r_zero": round(zeros / weights, 4),
            "perplexity": round(perplexity(model, windows), 2),
        }
        print(json.dumps(row), flush=True)


def calibration(tokenizer: PreTrainedTokenizerBase, data: Path) -> Tensor:
    """(windows, context) token ids of the validation text."""
    text = joined(data / "line_level" / "validation.jsonl")
    return spread_windows(tokenizer, text, CALIBRATION_WINDOWS, CALIBRATION_CONTEXT)


def held_out(tokenizer: PreTrainedTokenizerBase, data: Path, count: int = TEST_WINDOWS) -> Tensor:
    """(count, context) token ids of the test text."""
    return spread_windows(tokenizer, joined(data / "line_level" / "test.jsonl"), count, TEST_CONTEXT)


def joined(path: Path) -> str:
    """The raw text of a split."""
    return "\n\n".join(json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines())


def spread_windows(tokenizer: PreTrainedTokenizerBase, text: str, count: int, context: int) -> Tensor:
    """(count, context) token ids, evenly spread over the text."""
    rows = all_windows(tokenizer, text, context)
    return rows[torch.linspace(0, len(rows) - 1, count).long()]


def all_windows(tokenizer: PreTrainedTokenizerBase, text: str, context: int) -> Tensor:
    """(windows, context) token ids, the whole text."""
    ids = torch.tensor(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    return ids[: len(ids) // context * context].view(-1, context)


@torch.no_grad()
def perplexity(model: PreTrainedModel, windows: Tensor) -> float:
    """Of every token but the first of its window."""
    total = 0.0
    for ids in windows.split(4):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum"))
    return math.exp(total / (windows.numel() - len(windows)))


def linear_weights(model: PreTrainedModel) -> tuple[int, int]:
    """Weights of the decoder layers' Linears, and the zeros among them."""
    found = [module.weight for module in model.get_decoder().layers.modules() if isinstance(module, torch.nn.Linear)]
    weights = sum(weight.numel() for weight in found)
    return weights, weights - sum(int(weight.count_nonzero()) for weight in found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(folder) for folder in sys.argv[3:]])
