"""Race of the calibrations: a cut that looks at the prompts of a suite beside one that looks at the shipped text.

    python tests/races/lessons.py DATA_FOLDER OUT [SUITE ...]

DATA_FOLDER has wikitext2/line_level/test.jsonl. OUT: where models and stores go; interrupted, the same command goes on.
Prints the protocol, then a row of a Markdown table a suite and sparsity.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import wikitext

from harness import Plan, compare, run
from harness.candidates.halves import halves
from harness.records import Run
from harness.statistics.paired import tango_interval
from harness.stores.duckdb_store import DuckdbStore
from suites import Suite, load

SUITES = ("smoke", "pruning-probes")
SPARSITIES = (10,)
WINDOWS, TOKENS = 16, 128
PROTOCOL = f"""\
Original: smollm2-135m. Cut: cfsp, FFN channels, no recovery. Calibration: {WINDOWS} windows of {TOKENS} tokens, of the
text that comes with the package or of one half of the suite, its prompts and the original's answers (docs/suites.md);
asked is the other half, greedily. Pass rates in percent; difference: suite less text, paired, two-sided 95 % by Tango.
Ratio: perplexity on WikiText-2 test by the original's, 4,096 tokens in windows of 512, bounds one-sided 95 %.
float32, torch {torch.__version__}.
"""


def main(data: Path, out: Path, names: tuple[str, ...]) -> None:
    """Run the suites one after the other and print."""
    print(PROTOCOL)
    print("| suite | asked | original | cut | by text | by the suite | difference | ratio by text | by the suite |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    corpus = out / "wikitext.txt"
    out.mkdir(parents=True, exist_ok=True)
    corpus.write_text(wikitext.joined(data / "wikitext2" / "line_level" / "test.jsonl"), encoding="utf-8")
    for name in names:
        plan = _plan(name, corpus)
        outcome = run(plan, out / name)
        store = DuckdbStore(out / name / "secateur.duckdb")
        runs = {found.model.name: store.run(found.id) for found in store.runs(outcome.job)}
        for sparsity in SPARSITIES:
            print(_row(halves(load(name)).held_out, sparsity, runs), flush=True)


def _plan(suite: str, corpus: Path) -> Plan:
    window = {"windows": WINDOWS, "tokens": TOKENS}
    candidates = {}
    for sparsity in SPARSITIES:
        cut = {"method": "cfsp", "sparsity": sparsity / 100}
        candidates[f"text-{sparsity}"] = {"recipe": {**cut, "calibration": window}}
        candidates[f"suite-{sparsity}"] = {"recipe": cut, "calibration": {"suite": suite, **window}}
    return Plan.model_validate(
        {
            "name": f"lessons-{suite}",
            "original": "smollm2-135m",
            "candidates": candidates,
            "suites": [suite],
            "fidelity": {"corpus": str(corpus), "window": 512, "tokens": 4_096},
            "gates": [{"metric": f"{suite}.pass_rate", "margin": 0.05}],
        }
    )


def _row(suite: Suite, sparsity: int, runs: dict[str, Run]) -> str:
    text, learned = runs[f"text-{sparsity}"], runs[f"suite-{sparsity}"]
    found = compare(text, learned, [suite]).deltas[f"{suite.name}.pass_rate"]
    low, high = tango_interval(found.table, 0.025)
    rates = [compare(runs["original"], one, [suite]).deltas for one in (text, learned)]
    cells = [suite.name, found.n, f"{100 * rates[0][found.metric].before:.1f}", f"{sparsity} %"]
    cells += [f"{100 * found.before:.1f}", f"{100 * found.after:.1f}"]
    cells += [f"{-100 * found.drop:+.1f} ({-100 * high:+.1f} to {-100 * low:+.1f})"]
    ratios = [rate["fidelity.perplexity_ratio"] for rate in rates]
    cells += [f"{ratio.estimate:.3f} ({ratio.low:.3f} to {ratio.high:.3f})" for ratio in ratios]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), tuple(sys.argv[3:]) or SUITES)
