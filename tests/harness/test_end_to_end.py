"""The main job on the embedded model: a real model, pruned, asked, judged, and opened by plain transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import compress
from harness.pipeline import run
from harness.plan_file import load_plan

PLAN = """\
name: small
original: smollm2-135m
candidates:
  itself: {model: smollm2-135m}
  cut: {recipe: {method: cfsp, sparsity: 0.4, calibration: {windows: 8, tokens: 128}}}
suites: [./support.yaml]
benchmarks: [{task: secateur_everyday, limit: 60}]
fidelity: {corpus: builtin, window: 64, tokens: 4500}
metrics: [size, speed]
gates:
  - {metric: secateur_everyday.acc, margin: 0.1}
  - {metric: fidelity.perplexity_ratio, max: 1.05}
  - {metric: support.losses, where: {tag: critical}, max: 0}
  - {metric: size.bytes, max_ratio: 1.0}
  - {metric: speed.prefill, min_ratio: 0.9, severity: warn}
"""
PLAIN = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, kept = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
tokens = AutoTokenizer.from_pretrained(folder)("The capital of France is", return_tensors="pt")
with torch.no_grad():
    assert torch.equal(model(**tokens).logits, torch.load(kept, weights_only=True))
    model.generate(**tokens, max_new_tokens=4)
assert "compress" not in sys.modules
"""


@pytest.mark.slow
def test_the_embedded_model_from_plan_to_verdict(tmp_path: Path) -> None:
    starter = Path(__file__).parents[2] / "harness" / "starter" / "support.yaml"
    (tmp_path / "support.yaml").write_text(starter.read_text())
    (tmp_path / "plan.yaml").write_text(PLAN)
    outcome = run(load_plan(str(tmp_path / "plan.yaml")), tmp_path / "out")
    assert not outcome.failures
    itself, cut = outcome.verdicts
    assert (itself.decision, cut.decision) == ("PASS", "REGRESSION")
    assert outcome.report
    assert "layer" in outcome.report.read_text()

    (folder,) = (path for path in (tmp_path / "out" / "models").iterdir() if path.is_dir())
    widths = compress.read_receipt(folder).widths
    assert len(set(widths)) > 1
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        logits = compress.open_model(folder)(**tokens).logits
    torch.save(logits, tmp_path / "logits.pt")
    command = [sys.executable, "-c", PLAIN, str(folder), str(tmp_path / "logits.pt")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
