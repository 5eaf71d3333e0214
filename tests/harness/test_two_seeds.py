"""Two seeds of one recipe are no different: the verdict may not call one of them worse more often than alpha allows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from compress import Recipe, apply
from harness.gates import Gate
from harness.models.opening import LoadedModel
from harness.records import Item, Measurement, ModelSpec, Run
from harness.verdicts.compare import compare
from harness.verdicts.gate import judge

PAIRS, ALPHA = 20, 0.05


@torch.no_grad()
def best(model, ids: Tensor) -> Tensor:
    """(rows, tokens) of the most likely next tokens."""
    return model(input_ids=ids).logits.argmax(dim=-1)


def run(name: str, right: Tensor) -> Run:
    """right: (rows, tokens) bool; one row is a cluster."""
    items = tuple(
        Item(f"{row}.{at}", "h", float(value), f"row {row}")
        for row, line in enumerate(right)
        for at, value in enumerate(line)
    )
    found = Measurement("top1.acc", float(right.float().mean()), "share", True, "binary", items)
    return Run(name, ModelSpec(name, "x"), "f", measurements={"top1.acc": found})


@pytest.mark.slow
def test_two_seeds_of_a_recipe_are_not_a_regression(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    loaded = tiny(0)
    text = tmp_path / "text.txt"
    text.write_text(Path(__file__).read_text())
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 259, (60, 10), generator=draw)
    expected = best(loaded.model, ids)

    def recovered(seed: int) -> Run:
        model = copy.deepcopy(loaded.model)
        data = {"sources": str(text), "tokens": 1536, "window": 64}
        recovery = {"data": data, "rank": 2, "epochs": 2, "learning_rate": 0.01, "evaluate_every": 50, "seed": seed}
        recipe = {"method": "random", "sparsity": 0.3, "options": {"round_to": 1}, "recovery": recovery}
        apply(model, Recipe.model_validate(recipe), loaded.tokenizer)
        return run("original" if seed % 2 == 0 else "other", best(model, ids) == expected)

    gate, decisions, differing = Gate(metric="top1.acc", margin=0.05, alpha=ALPHA), [], 0
    for seed in range(0, 2 * PAIRS, 2):
        comparison = compare(recovered(seed), recovered(seed + 1), [])
        differing += len(comparison.flips)
        decisions.append(judge(comparison, [gate]).findings[0].decision)
    assert differing > PAIRS  # else the seeds change nothing, and nothing is tested
    assert decisions.count("REGRESSION") <= binom.ppf(0.95, PAIRS, ALPHA)
