"""Models opened in int8: products by hand, rows alone and together, and an A/B against the same folder in float32."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from harness.commands import entry
from harness.errors import HarnessError
from harness.metrics.memory import held
from harness.metrics.size import Size
from harness.models.int8 import Int8Linear, rounded
from harness.models.opening import LoadedModel, fingerprint_of, open_spec
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.records import ModelSpec
from harness.scoring.sharing import shares_beginnings

IN_LAYERS = 2 * (32 * (32 + 16 + 16 + 32) + 3 * 32 * 48)
"""Weights of the tiny model's Linear layers; its embedding and head have 259 * 32 each, its norms 32."""
ROWS = 2 * (32 + 16 + 16 + 32 + 48 + 48 + 32)
PLAN = """\
name: eight
original: ./model
candidates:
  eight: {model: ./model, dtype: int8}
fidelity: {corpus: text.txt, window: 32, tokens: 400}
metrics: [size]
gates:
  - {metric: fidelity.kl, max: 0.05}
  - {metric: size.bytes, max_ratio: 1}
"""


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, a corpus and a plan."""
    folder = tmp_path_factory.mktemp("eight")
    tiny(0).model.save_pretrained(folder / "model")
    tiny(0).tokenizer.save_pretrained(folder / "model")
    (folder / "text.txt").write_text("\n\n".join(f"Line {n} of {n * n} is not {n * 7}." for n in range(30)))
    (folder / "plan.yaml").write_text(PLAN)
    return folder


def spec(place: Path, dtype: str) -> ModelSpec:
    return ModelSpec(dtype, str(place / "model"), dtype=dtype)


def linear(*rows: list[float]) -> Int8Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight = nn.Parameter(torch.tensor(rows))
    return Int8Linear(layer)


def test_a_product_by_hand() -> None:
    """127 steps either way of the largest of a row: 0.3 of 1 is 38.1 steps, 1 of 2 is 63.5 and goes to the even 64."""
    layer = linear([1.0, -0.3], [0.0, 2.0])
    assert layer.weight.tolist() == [[127, -38], [0, 127]]
    assert layer.scale.tolist() == pytest.approx([1 / 127, 2 / 127])
    found = layer(torch.tensor([[[1.0, 2.0]]]))
    # Levels 64 and 127 of steps of 2/127.
    assert found.flatten().tolist() == pytest.approx(
        [(127 * 64 - 38 * 127) / 127 * 2 / 127, (127 * 127) * 2 / 127 * 2 / 127]
    )


def test_a_row_is_the_same_alone_and_beside_any_other() -> None:
    torch.manual_seed(0)
    layer = Int8Linear(nn.Linear(40, 24))
    some = torch.randn(9, 40)
    some[3] *= 1e4
    together = layer(some)
    for row, found in zip(some, together, strict=True):
        assert torch.equal(layer(row), found)


def test_zeros_and_what_is_no_number_come_through() -> None:
    layer = linear([1.0, 2.0])
    inputs = torch.tensor([[0.0, 0.0], [1.0, torch.nan], [torch.inf, 1.0]])
    assert layer(inputs[:1]).item() == 0
    assert not layer(inputs[1:]).isfinite().any()
    assert rounded(torch.zeros(1, 2))[0].tolist() == [[0, 0]]


def test_what_int8_weighs(place: Path) -> None:
    """One byte a weight and four for the scale of each row; the folder that it is opened from stays as large."""
    before, after = open_spec(spec(place, "float32")), open_spec(spec(place, "int8"))
    assert held(before) - held(after) == 3 * IN_LAYERS - 4 * ROWS
    found = {a.metric: (a.value, b.value) for a, b in Size().measure(before, after)}
    assert found["size.parameters"][0] == found["size.parameters"][1]
    assert found["size.bytes"][0] == found["size.bytes"][1]
    assert after.facts["int8"].startswith("14 Linear layers with 0.0154 of 0.0321 million weights")
    assert after.fingerprint == fingerprint_of(spec(place, "int8")) != before.fingerprint
    assert shares_beginnings(after.model), "its rounding is not taken for another way of reading"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system which files are mapped")
def test_the_file_of_float_weights_is_let_go(place: Path, tmp_path: Path) -> None:
    weights = shutil.copytree(place / "model", tmp_path / "model") / "model.safetensors"

    def mapped(dtype: str) -> bool:
        loaded = open_spec(ModelSpec("m", str(weights.parent), dtype=dtype))
        return loaded.model.training or str(weights) in {each.path for each in psutil.Process().memory_maps()}

    assert not mapped("int8")
    assert mapped("float32")


def test_the_same_folder_in_both_is_a_plan(place: Path, tmp_path: Path) -> None:
    outcome = run(load_plan(str(place / "plan.yaml")), tmp_path / "out")
    (verdict,) = outcome.verdicts
    assert verdict.decision == "PASS"
    assert 0 < verdict.findings[0].delta.after < 0.05
    assert outcome.report
    assert "int8" in outcome.report.read_text()


def test_it_is_refused_where_it_cannot_be(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=259)).save_pretrained(tmp_path / "gpt2")
    for file in (place / "model").glob("tok*"):
        (tmp_path / "gpt2" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(HarnessError, match="dtype int8: GPT2LMHeadModel has no Linear layer but its output layer"):
        open_spec(ModelSpec("other", str(tmp_path / "gpt2"), dtype="int8"))
    cutting = PLAN.replace("original: ./model", "original: {model: ./model, dtype: int8}").replace(
        "{model: ./model, dtype: int8}\nfid", "{recipe: {method: magnitude, sparsity: 0.4}}\nfid"
    )
    (place / "cutting.yaml").write_text(cutting)
    assert entry(["check", str(place / "cutting.yaml")]) == 3
    assert "a recipe cuts float weights in one place; of the original, its dtype is int8" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(HarnessError, match="dtype int8 is for the CPU, and models are on cuda here"):
        open_spec(spec(place, "int8"))
