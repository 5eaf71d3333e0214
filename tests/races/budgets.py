"""Race of the budget rules: perplexity after one cut, with each method's own rule and with others.

    python tests/races/budgets.py MODEL_FOLDER DATA_FOLDER

MODEL_FOLDER: any supported model, for example the cached embedded one. DATA_FOLDER has wikitext2/ and c4/, as
`tests/races/recover.py` wants them. Prints the protocol, then one row of a Markdown table a cut.
"""

from __future__ import annotations

import copy
import sys
import time
from pathlib import Path
from typing import Any

import torch
import wikitext
from recover import c4_text
from transformers import AutoTokenizer, PreTrainedModel

from compress import Recipe, apply, calibrate, open_model

SPARSITY = 0.2
METHODS = ("cfsp", "flap")
RULES: dict[str, dict[str, Any] | None] = {
    "own": None,
    "uniform": {"rule": "uniform"},
    **{f"sensitivity {power}": {"rule": "sensitivity", "options": {"power": power}} for power in (2, 4, 8)},
}
WINDOWS, CONTEXT = 16, 256
PROTOCOL = f"""\
Cut: r_block {SPARSITY}, no compensation, no recovery, calibrated once on 32 windows of 256 tokens of WikiText-2
validation; lesions on the first two of them. Perplexity: of tokens, {WINDOWS} windows of {CONTEXT} tokens spread evenly
over WikiText-2 test and over a sample of C4, every token but the first of its window. float32, one thread, torch
{torch.__version__}.
"""


def main(folder: Path, data: Path) -> None:
    """Cut and print."""
    print(PROTOCOL)
    tokenizer, original = AutoTokenizer.from_pretrained(folder), open_model(folder, torch.float32)
    texts = [wikitext.joined(data / "wikitext2" / "line_level" / "test.jsonl"), c4_text(data)]
    tests = [wikitext.spread_windows(tokenizer, text, WINDOWS, CONTEXT) for text in texts]
    calibration = {"file": str(data / "wikitext2" / "line_level" / "validation.jsonl"), "windows": 32, "tokens": 256}
    first = Recipe.model_validate({"method": "cfsp", "sparsity": SPARSITY, "calibration": calibration})
    needs = frozenset({"activations", "angles", "lesions"})
    start = time.process_time()
    stats = calibrate(original, tokenizer, first.calibration, needs)
    print(f"calibration: {time.process_time() - start:.0f} CPU s; lesions, nats a token, layer by layer:")
    print(", ".join(f"{block.number('lesion'):.3f}" for block in stats.blocks), end="\n\n")
    print("| method | budget | WikiText-2 | C4 |\n|---|---|---|---|")
    print(f"| original | | {_perplexities(original, tests)} |", flush=True)
    for method in METHODS:
        for name, rule in RULES.items():
            recipe = Recipe.model_validate({**first.model_dump(), "method": method, "options": {}, "budget": rule})
            model = copy.deepcopy(original)
            apply(model, recipe, tokenizer, stats=stats)
            print(f"| {method} | {name} | {_perplexities(model, tests)} |", flush=True)


def _perplexities(model: PreTrainedModel, tests: list[torch.Tensor]) -> str:
    return " | ".join(f"{wikitext.perplexity(model, windows):.2f}" for windows in tests)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
