"""Race of the search against an exhaustive sweep of the same methods: what each finds, and the CPU seconds it took.

    python tests/races/sweep.py DATA_ROOT CORPUS OUT [ORIGINAL]

DATA_ROOT: folder with an index.json and arc_easy, as `data_root` of a plan. CORPUS: JSON lines of text. OUT: new folder
for both results. ORIGINAL: the model, smollm2-135m if not given. The sweep takes an hour of an idle core.

Protocol. Both: arc_easy, its first 300 documents, and 10,000 tokens of the corpus in windows of 256; gates: a margin of
15 points on the accuracy, a perplexity ratio of at most 1.5; no recovery, calibration on the built-in text. Sweep:
`secateur run` with cfsp and flap at 8 sparsities; it finds the largest whose gates all PASS. Search: `secateur search`
between 0.05 and 0.5 with its defaults, on halves of the same items. CPU s: user and system of the process and its
children, importing included.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

SPARSITIES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
METHODS = ("cfsp", "flap")


def main(data: Path, corpus: Path, out: Path, original: str) -> None:
    """Run both and print a row each."""
    print(__doc__)
    out.mkdir()
    shared = {
        "original": original,
        "benchmarks": [{"task": "arc_easy", "limit": 300}],
        "data_root": str(data.resolve()),
        "fidelity": {"corpus": str(corpus.resolve()), "window": 256, "tokens": 10_000},
        "metrics": ["size"],
        "gates": [
            {"metric": "arc_easy.acc", "margin": 0.15},
            {"metric": "fidelity.perplexity_ratio", "max": 1.5},
        ],
    }
    candidates = {f"{m}-{s:g}": {"recipe": {"method": m, "sparsity": s}} for m in METHODS for s in SPARSITIES}
    plans = {
        "run": {"name": "sweep", "candidates": candidates, **shared},
        "search": {"name": "search", "search": {"methods": list(METHODS), "sparsity": [0.05, 0.5]}, **shared},
    }
    print("| way | found | CPU s |\n|---|---|---|")
    for verb, plan in plans.items():
        seconds, found = _timed(verb, plan, out)
        print(f"| {plan['name']} | {_passing(verb, found)} | {seconds:.0f} |", flush=True)


def _timed(verb: str, plan: dict[str, Any], out: Path) -> tuple[float, dict[str, Any]]:
    """CPU seconds of one command, and what it says as JSON."""
    path = out / f"{plan['name']}.yaml"
    path.write_text(yaml.safe_dump(plan))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", "from harness.commands import main; main()", verb, str(path), "--json"]
    done = subprocess.run([*command, "--out", str(out / verb)], stdout=subprocess.PIPE, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found: dict[str, Any] = json.loads(done.stdout)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, found


def _passing(verb: str, found: dict[str, Any]) -> str:
    """The largest cut of every method that passes; of the search its winner."""
    if verb == "search":
        return " ".join(found["sentences"])
    passing = [name.rsplit("-", 1) for name, one in found["candidates"].items() if one["decision"] == "PASS"]
    largest = {method: max(float(s) for m, s in passing if m == method) for method, _ in passing}
    return ", ".join(f"{method} {sparsity:g}" for method, sparsity in largest.items()) or "nothing"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "smollm2-135m")
