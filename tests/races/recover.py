"""Race of the recoveries: how much of the perplexity that a cut lost comes back, against CPU minutes.

    python tests/races/recover.py MODEL_FOLDER DATA_FOLDER [NAME ...]

MODEL_FOLDER: any supported model, for example the cached embedded one. DATA_FOLDER has wikitext2/ as
`tests/races/wikitext.py` wants it, wikitext2/document_level/validation.jsonl, c4/sample_300.jsonl and
dolly/alpagasus_dolly_3k.jsonl. NAME: contestants to run; none: all. Every contestant has a process of its own. Prints
the protocol, then one row of a Markdown table a contestant.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import wikitext
from transformers import AutoTokenizer

from compress import Recipe, apply, open_model

SPARSITY = 0.2
REFIT = {"compensate": "least_squares"}
WIKITEXT = {"source": "wikitext2/document_level/validation.jsonl", "field": "page"}
DOLLY = {"source": "dolly/alpagasus_dolly_3k.jsonl"}
ALL_WEIGHTS = {"rule": "full", "objective": "next_token", "precision": "bfloat16", "batch": 4, "learning_rate": 0.002}
RECOVERIES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "none": ({}, None),
    "least_squares in the cut": (REFIT, None),
    "layerwise, 8k tokens": ({}, {"rule": "layerwise", "tokens": 8192}),
    "layerwise, 24k tokens": ({}, {"rule": "layerwise", "tokens": 24_576}),
    "lora, 32k tokens": ({}, {"objective": "next_token", "tokens": 32_768}),
    "distill, 32k tokens": ({}, {"tokens": 32_768}),
    "least_squares, distill, 32k tokens": (REFIT, {"tokens": 32_768}),
    "least_squares, distill, 64k tokens": (REFIT, {"tokens": 65_536}),
    "least_squares, all weights, 128k tokens of Dolly": (REFIT, {**ALL_WEIGHTS, "source": DOLLY, "tokens": 131_072}),
    "least_squares, all weights, 192k tokens of Dolly": (REFIT, {**ALL_WEIGHTS, "source": DOLLY, "tokens": 196_608}),
}
"""Recipe without, and recovery; its tokens are those of the data, for layerwise those that it reads of 65,536."""
PROTOCOL = f"""\
Cut: cfsp at r_block {SPARSITY}, calibrated on {wikitext.CALIBRATION_WINDOWS} windows of {wikitext.CALIBRATION_CONTEXT}
tokens of WikiText-2 validation. Recovery: on whole articles of WikiText-2 validation, packed in rows of 256 tokens, 5 %
of them held out; settings are the defaults. Of Dolly: on its dialogues, next token of the answers, 4 rows a step,
learning rate 0.0002, in bfloat16. Perplexity: of tokens, context {wikitext.TEST_CONTEXT}, every token but the
first of its window, {wikitext.TEST_WINDOWS} windows spread evenly over WikiText-2 test and over a sample of C4.
Gap closed: (pruned - recovered) / (pruned - original); pruned is the cut without any compensation.
CPU s: process time of compensation and recovery, the original's passes and held-out losses counted, calibration and
cut not. float32, one thread, torch {torch.__version__}.
"""


def main(model: Path, data: Path, names: list[str]) -> None:
    """Run the contestants and print."""
    print(PROTOCOL)
    wanted = names or list(RECOVERIES)
    pruned = _run("none", model, data)
    print("| recovery | CPU s | WikiText-2 | gap closed | C4 | gap closed |\n|---|---|---|---|---|---|")
    print(f"| original | | {pruned['original'][0]:.2f} | | {pruned['original'][1]:.2f} | |")
    print(f"| none | 0 | {pruned['found'][0]:.2f} | 0 % | {pruned['found'][1]:.2f} | 0 % |", flush=True)
    for name in (name for name in wanted if name != "none"):
        row = _run(name, model, data)
        cells = []
        for before, after, original in zip(pruned["found"], row["found"], pruned["original"], strict=True):
            cells.append(f"{after:.2f} | {100 * (before - after) / (before - original):.0f} %")
        print(f"| {name} | {row['seconds'] - pruned['seconds']:.0f} | {' | '.join(cells)} |", flush=True)


def _run(name: str, model: Path, data: Path) -> dict[str, Any]:
    lines = subprocess.run(
        [sys.executable, __file__, "--one", name, str(model), str(data)], check=True, capture_output=True, text=True
    ).stdout
    row: dict[str, Any] = json.loads(lines.splitlines()[-1])
    return row


def one(name: str, folder: Path, data: Path) -> dict[str, Any]:
    """Cut and recover once."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = open_model(folder, torch.float32)
    tests = [wikitext.held_out(tokenizer, data / "wikitext2"), c4(tokenizer, data)]
    before = [wikitext.perplexity(model, windows) for windows in tests] if name == "none" else []
    start = time.process_time()
    receipt = apply(model, recipe(name, data), tokenizer)
    seconds = time.process_time() - start
    found = [wikitext.perplexity(model, windows) for windows in tests]
    recovered = receipt.recovery
    print(f"{name}: held out {recovered.before:.4f} to {recovered.after:.4f}" if recovered else name, file=sys.stderr)
    return {"original": before, "found": found, "seconds": seconds}


def recipe(name: str, data: Path) -> Recipe:
    """The cut, and the recovery of this name."""
    more, given = RECOVERIES[name]
    calibration = {"file": str(data / "wikitext2" / "line_level" / "validation.jsonl"), "windows": 32, "tokens": 256}
    cut = {"method": "cfsp", "sparsity": SPARSITY, "calibration": calibration, **more}
    if given is None:
        return Recipe.model_validate(cut)
    asked = dict(given)
    tokens = asked.pop("tokens")
    if asked.get("rule") == "layerwise":
        asked["options"], tokens = {"tokens": tokens}, 65_536
    source = dict(asked.pop("source", WIKITEXT))
    source["source"] = str(data / source["source"])
    return Recipe.model_validate({**cut, "recovery": {**asked, "data": {"sources": [source], "tokens": tokens}}})


def c4(tokenizer: Any, data: Path) -> torch.Tensor:
    """(windows, context) token ids of the sample of C4."""
    return wikitext.spread_windows(tokenizer, c4_text(data), wikitext.TEST_WINDOWS, wikitext.TEST_CONTEXT)


def c4_text(data: Path) -> str:
    """The sample of C4."""
    rows = (data / "c4" / "sample_300.jsonl").read_text(encoding="utf-8").splitlines()
    return "\n\n".join(json.loads(row)["text"] for row in rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "--one":
        print(json.dumps(one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
