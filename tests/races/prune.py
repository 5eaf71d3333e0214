"""Race of the compression methods: perplexity, CPU seconds and memory at equal ratios. No recovery.

    python tests/races/prune.py MODEL_FOLDER WIKITEXT2_FOLDER [--costs] [NAME ...]

MODEL_FOLDER: any supported model, for example the cached embedded one. WIKITEXT2_FOLDER: as `tests/races/wikitext.py`
wants it. NAME: contestants to run; none: all. --costs: no perplexities. Every contestant has a process of its own, so
that its peak memory is its own. Prints the protocol, then one row of a Markdown table a contestant.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import wikitext
from transformers import AutoTokenizer

from compress import Recipe, Stats, apply, open_model
from compress.calibration.collect import collect

SPARSITIES = (0.1, 0.2, 0.3, 0.5)
WIDTH: dict[str, dict[str, Any]] = {
    "random": {"method": "random"},
    "magnitude": {"method": "magnitude"},
    "magnitude, norm peak_to_peak": {"method": "magnitude", "options": {"norm": "peak_to_peak"}},
    "magnitude, norm max_product": {"method": "magnitude", "options": {"norm": "max_product"}},
    "wanda_sp": {"method": "wanda_sp"},
    "wanda_sp, budget cfsp": {"method": "wanda_sp", "budget": "cfsp"},
    "cfsp": {"method": "cfsp"},
    "cfsp, score: released": {"method": "cfsp", "options": {"score": "released"}},
    "cfsp, budget uniform": {"method": "cfsp", "budget": "uniform"},
    "flap": {"method": "flap"},
    "flap, compensate bias": {"method": "flap", "compensate": "bias"},
    "llm_pruner": {"method": "llm_pruner"},
    "saap": {"method": "saap"},
    "blend": {"method": "blend"},
    "cfsp, compensate bias": {"method": "cfsp", "compensate": "bias"},
    "cfsp, compensate least_squares": {"method": "cfsp", "compensate": "least_squares"},
    "shortgpt": {"method": "shortgpt"},
}
"""At r_block of each sparsity; shortgpt at the nearest whole layer."""
SPARSE: dict[str, dict[str, Any]] = {
    f"{name}, {pattern}": {"method": name, "options": {"pattern": pattern}, **share}
    for name in ("magnitude", "wanda", "sparsegpt", "slope")
    for pattern, share in (("unstructured", {"sparsity": 0.5}), ("2:4", {}))
    if (name, pattern) != ("slope", "unstructured")
}
"""At r_zero 0.5."""
PROTOCOL = f"""\
{wikitext.PROTOCOL}
CPU s: process time of calibrating and compressing once, without load and evaluation. Peak: highest resident memory of
a process that loads the model and does that. With {torch.get_num_threads()} thread(s) on torch {torch.__version__}.
"""


def main(model: Path, data: Path, names: list[str]) -> None:
    """Run the contestants and print."""
    print(PROTOCOL)
    costs = [name for name in names if name == "--costs"]
    print("| contestant | CPU s | peak MB | perplexity, by ratio reached |\n|---|---|---|---|")
    for name in [name for name in names if name not in costs] or ["original", *WIDTH, *SPARSE]:
        run = [sys.executable, __file__, "--one", name, str(model), str(data), *costs]
        lines = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        row = json.loads(lines.splitlines()[-1])
        found = ", ".join(f"{ratio}: {value:.2f}" for ratio, value in row["perplexities"])
        print(f"| {name} | {row['seconds']:.1f} | {row['peak']:.0f} | {found} |", flush=True)


def one(name: str, folder: Path, data: Path, costs_only: bool) -> dict[str, Any]:
    """Compress at the first ratio and take its costs, then evaluate at all of them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = open_model(folder, torch.float32)
    ids = wikitext.calibration(tokenizer, data)
    recipes = contestants(name)
    start = time.process_time()
    stats = Stats(collect(model, ids, recipes[0].needs)) if recipes else None
    receipts = [apply(model, recipes[0], ids, stats=stats)] if recipes else []
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 10**6
    if costs_only:
        return {"seconds": seconds, "peak": peak, "perplexities": []}
    windows = wikitext.held_out(tokenizer, data)
    perplexities = [(ratio(receipts[0]) if receipts else "-", wikitext.perplexity(model, windows))]
    for recipe in recipes[1:]:
        again = open_model(folder, torch.float32)
        receipt = apply(again, recipe, ids, stats=stats)
        perplexities.append((ratio(receipt), wikitext.perplexity(again, windows)))
    return {"seconds": seconds, "peak": peak, "perplexities": perplexities}


def contestants(name: str) -> list[Recipe]:
    """One recipe for every ratio."""
    if name in SPARSE:
        return [Recipe.model_validate(SPARSE[name])]
    if name in WIDTH:
        return [Recipe.model_validate({**WIDTH[name], "sparsity": sparsity}) for sparsity in SPARSITIES]
    return []


def ratio(receipt: Any) -> str:
    """What was reached."""
    kind = "r_block" if receipt.ratios["r_block"] else "r_zero"
    return f"{receipt.ratios[kind]:.3f}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "--one":
        print(json.dumps(one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), len(sys.argv) > 5)))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
