"""Stages of a candidate: what they are, what they cost, and that they decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from compress import open_model, read_receipt
from harness.errors import HarnessError
from harness.history import listed, shown
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan, only
from harness.showing import outputs
from harness.stores.duckdb_store import DuckdbStore
from tests.harness.test_executors import Elsewhere, judged, same

PLAN = """\
name: stages
original: ./model
candidates:
  small:
    stages: true
    recipe:
      method: random
      sparsity: 0.3
      recovery: {data: {sources: text.txt, tokens: 512, window: 64}, rank: 2, learning_rate: 0.01}
fidelity: {corpus: text.txt, window: 64, tokens: 256}
gates:
  - {metric: fidelity.kl, max: 1000}
  - {metric: size.bytes, max_ratio: 0.9}
metrics: [size]
"""


@pytest.fixture
def place(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> Path:
    tiny(0).model.save_pretrained(tmp_path / "model")
    tiny(0).tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "text.txt").write_text(Path(__file__).read_text())
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path


@pytest.mark.slow
def test_pruned_recovered_and_merged_are_judged_and_trained_once(place: Path) -> None:
    """With adapters beside its weights the recovered one is too large: its gate fails, and the job does not."""
    steps: list[str] = []
    plan = load_plan(str(place / "plan.yaml"))
    outcome = run(plan, place / "out", progress=lambda what, *_: steps.append(what))
    found = [(verdict.candidate, verdict.decision, verdict.severity) for verdict in outcome.verdicts]
    assert found == [
        ("small-pruned", "PASS", "warn"),
        ("small-recovered", "REGRESSION", "warn"),
        ("small", "PASS", "block"),
    ]
    assert outcome.exit_code == 0
    assert sum("training: loss" in what for what in steps) == 512 // 64
    store = DuckdbStore(place / "out" / "secateur.duckdb")
    made = {row.candidate: Path(store.run(row.after_run).model.source) for row in store.verdicts(outcome.job)}
    receipts = {name: read_receipt(folder).recovery for name, folder in made.items()}
    assert receipts["small-pruned"] is None
    assert [receipts[name].adapters for name in ("small-recovered", "small")] == ["apart", "merged"]  # type: ignore[union-attr]
    ids = torch.arange(24).view(1, 24)
    with torch.no_grad():
        pruned, apart, merged = (open_model(made[name])(ids).logits for name, *_ in found)
    assert torch.allclose(apart, merged, atol=1e-4)
    assert not torch.allclose(pruned, merged, atol=1e-3)
    assert [path.name for path in (place / "out" / "models").glob(".*.recovery")] == []
    assert "small-recovered: REGRESSION (warning only)" in outputs.as_text(outcome, 0)
    warned = {line.split()[-6] for line in listed(store) if line.endswith("warning only")}
    assert warned == {"small-pruned", "small-recovered"}
    assert "small-recovered: REGRESSION (warning only): " in "\n".join(shown(store, outcome.job))
    page = (place / "out" / "report.html").read_text()
    assert "(warning only)" in page
    assert "small keeps to its gates" in page
    assert run(only(plan, "small-recovered"), place / "out").exit_code == 1


@pytest.mark.slow
def test_made_elsewhere_they_are_the_same(place: Path) -> None:
    """To the last byte, with the adapters that the second and the third were trained for together."""
    plan, elsewhere = load_plan(str(place / "plan.yaml")), Elsewhere(0.0)
    outcomes = [run(plan, place / "here"), run(plan, place / "there", executor=elsewhere)]
    assert [type(task).__name__ for task in elsewhere.tasks].count("Make") == 2
    here, there = (weights(place / out / "models") for out in ("here", "there"))
    assert len(here) == 4
    assert here == there
    assert same(place / "here", place / "there")
    assert judged(outcomes[0]) == judged(outcomes[1])


def weights(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("recovery: {data", "steps: 2\n      recovery: {data", "stages: a recipe in 2 steps is cut as often"),
        ("stages: true\n", "stages: true\n    recipe: cfsp-20\n", "stages: its recipe recovers nothing; name one that"),
        ("  small:", "  small-pruned: {model: ./model}\n  small:", "stages: small-pruned is a candidate already"),
        (
            "    stages: true\n",
            "    stages: true\n    severity: warn\n",
            "give at least one candidate of severity: block",
        ),
    ],
)
def test_stages_that_cannot_be_are_refused(place: Path, old: str, new: str, message: str) -> None:
    text = (place / "plan.yaml").read_text().replace(old, new)
    if "cfsp-20" in new:
        text = text[: text.index("    recipe:\n")] + text[text.index("fidelity:") :]
    (place / "plan.yaml").write_text(text)
    with pytest.raises(HarnessError, match=message):
        load_plan(str(place / "plan.yaml"))


def test_stages_of_a_model_that_is_already_there_are_refused(place: Path) -> None:
    (place / "plan.yaml").write_text(
        "name: p\noriginal: ./model\ncandidates: {v2: {model: ./model, stages: true}}\n"
        "metrics: [size]\ngates: [{metric: size.bytes, max_ratio: 1}]\n"
    )
    with pytest.raises(HarnessError, match="'stages' goes with 'recipe', not with 'model'"):
        load_plan(str(place / "plan.yaml"))
