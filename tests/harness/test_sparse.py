"""Models with zeros: who gets sparse kernels, what is cut of them, what they hold, and what the page says.

The kernels are made up, as no test has a GPU: one for what is kept, which cannot multiply, and one that can.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.sparse import SparseSemiStructuredTensorCUTLASS
from transformers import LlamaConfig, LlamaForCausalLM

from compress import Recipe, apply, save
from harness.metrics.memory import held
from harness.models.opening import LoadedModel, open_spec
from harness.models.subject import Subject
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.progress import silent
from harness.records import SIMULATED, SPARSE, ModelSpec
from harness.showing import outputs

PLAN = """\
name: zeros
original: {model: ./model, dtype: bfloat16}
candidates:
  masked: {recipe: {method: slope}}
metrics: [speed]
gates: [{metric: speed.decode, min_ratio: 0.01}]
"""


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of sizes that sparse kernels take, and the same by 2:4."""
    folder = tmp_path_factory.mktemp("zeros")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=259,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model, tokenizer = LlamaForCausalLM(config).eval(), tiny(0).tokenizer
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    receipt = apply(model, Recipe(method="slope"))
    save(model, tokenizer, folder / "masked", receipt)
    (folder / "plan.yaml").write_text(PLAN)
    return folder


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Tensor], Tensor]], None]:
    """As if this machine had sparse kernels."""

    def have(compressed: Callable[[Tensor], Tensor]) -> None:
        monkeypatch.setattr("compress.cutting.semi_structured.obstacle", lambda device, dtype: None)
        monkeypatch.setattr("compress.cutting.semi_structured.to_sparse_semi_structured", compressed)

    return have


def packed(weight: Tensor) -> Tensor:
    """torch's own tensor: half of the weights, and two bits for each of them."""
    kept = weight[weight != 0].view(len(weight), -1)
    where = torch.zeros(len(weight), weight.shape[1] // 16, dtype=torch.int16)
    return SparseSemiStructuredTensorCUTLASS(weight.shape, kept, where, None, None, None)


def spec(place: Path, folder: str) -> ModelSpec:
    return ModelSpec(folder, str(place / folder), dtype="bfloat16")


def test_only_zeros_get_them_and_what_is_cut_is_as_stored(place: Path, kernels) -> None:
    kernels(packed)
    assert SPARSE not in open_spec(spec(place, "model")).facts
    subject = Subject(spec(place, "masked"), silent)
    fast, plain = subject.loaded(), subject.plain()
    assert fast.facts[SPARSE] == "14 of 14 projections run on sparse tensor cores"
    assert isinstance(fast.model.model.layers[0].mlp.up_proj.weight, SparseSemiStructuredTensorCUTLASS)
    assert subject.plain() is plain
    assert type(plain.model.model.layers[0].mlp.up_proj.weight) is torch.nn.Parameter
    # Of 16 bits a weight, 8 are kept and one says where.
    weights = 2 * (4 * 64 * 64 + 3 * 64 * 128)
    assert held(plain) - held(fast) == 2 * weights * 7 // 16
    subject.release()


def test_where_there_are_none_it_says_why(place: Path) -> None:
    loaded = open_spec(spec(place, "masked"))
    assert loaded.facts[SIMULATED] == "sparse kernels need a CUDA device, and the model is on cpu"
    assert Subject(spec(place, "masked"), silent).plain().model.dtype == torch.bfloat16


def test_a_verdict_on_speed_says_what_multiplied(place: Path, tmp_path: Path, kernels) -> None:
    kernels(torch.clone)
    outcome = run(load_plan(str(place / "plan.yaml")), tmp_path)
    assert outcome.verdicts[0].decision == "PASS", outputs.as_text(outcome, 0)
    assert outcome.report
    page = outcome.report.read_text()
    assert "14 of 14 projections run on sparse tensor cores" in page
    assert "simulated sparsity" not in page
