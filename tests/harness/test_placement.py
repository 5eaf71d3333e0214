"""Models spread over memory and disk say what they say in one place; what cannot be spread is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.answering.generation import Prompt, answers
from harness.commands import entry
from harness.errors import HarnessError
from harness.fidelity.corpus import load_corpora
from harness.fidelity.measure import measure_fidelity, reference
from harness.metrics.memory import held
from harness.models.opening import LoadedModel, open_spec
from harness.models.placement import found_device, refuse_unsupported
from harness.plan import Fidelity
from harness.records import Answer, ModelSpec
from harness.scoring import NotFiniteError, Request, loglikelihoods
from harness.scoring.sharing import shares_beginnings

APART = {
    "model.embed_tokens": "cpu",
    "model.rotary_emb": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.norm": "cpu",
    "lm_head": "disk",
}
ASKED = [Request((5, 6, 7, *range(n, n + 9)), (n, 4)) for n in (10, 20, 30)]
PLAN = """\
name: apart
original: ./model
candidates:
  apart: {model: ./model, device_map: DEVICE_MAP}
suites: [few.yaml]
fidelity: {corpus: text.txt, window: 32, tokens: 300}
metrics: [size]
gates: [{metric: fidelity.kl, max: 0.000001}, {metric: few.losses, max: 0}]
"""
CASES = """\
prompts: ["Say {{word}}"]
tests: [{vars: {word: a}, assert: [{type: regex, value: ".*"}]}, {vars: {word: b}, max_new_tokens: 3}]
"""


@pytest.fixture
def place(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> Path:
    """A folder with a tiny model, a suite and a corpus."""
    tiny(0).model.save_pretrained(tmp_path / "model")
    tiny(0).tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "few.yaml").write_text(CASES)
    (tmp_path / "text.txt").write_text("\n\n".join(f"Line {n} of {n * n} is not {n * 7}." for n in range(20)))
    return tmp_path


@pytest.fixture(params=[False, True], ids=["", "tied"])
def both(tiny: Callable[[int], LoadedModel], place: Path, request: pytest.FixtureRequest) -> tuple[LoadedModel, ...]:
    """In one place, and apart; tied: the output layer is the embedding, and both wait on the disk."""
    if request.param:
        model = tiny(0).model
        model.config.tie_word_embeddings = True
        model.tie_weights()
        model.save_pretrained(place / "model")
    spec = ModelSpec("whole", str(place / "model"))
    apart = APART | ({"model.embed_tokens": "disk"} if request.param else {})
    return open_spec(spec), open_spec(replace(spec, name="apart", device_map=apart))


def said(loaded: LoadedModel) -> dict[str, str | None]:
    found: list[Answer] = []
    prompts = [Prompt(word, [{"role": "user", "content": word}], length) for word, length in (("a", 9), ("of", 4))]
    answers(loaded, prompts, found.extend)
    return {one.case: one.text for one in found}


def test_apart_it_says_the_same(both: tuple[LoadedModel, LoadedModel]) -> None:
    whole, apart = both
    assert apart.model.lm_head.weight.device.type == "meta", "or nothing is tried here"
    assert apart.facts["device_map"] in ("4 modules on cpu, 2 modules on disk", "3 modules on disk, 3 modules on cpu")
    assert loglikelihoods(apart.model, ASKED) == loglikelihoods(whole.model, ASKED)
    assert shares_beginnings(apart.model)
    assert said(apart) == said(whole)
    assert held(apart) == held(whole)
    assert apart.fingerprint == whole.fingerprint


def test_fidelity_reads_an_output_layer_that_waits_on_the_disk(
    place: Path, both: tuple[LoadedModel, LoadedModel]
) -> None:
    corpus = load_corpora(Fidelity(corpus=str(place / "text.txt"), window=32, tokens=300), None)[0]

    class Known:
        fingerprint = "known"

        def __init__(self, loaded: LoadedModel) -> None:
            self.loaded = lambda: loaded

    whole, apart = both
    path = reference(Known(apart), corpus, place / "apart")
    assert path.read_bytes() == reference(Known(whole), corpus, place / "whole").read_bytes()
    assert measure_fidelity(path, apart, corpus).measurements == measure_fidelity(path, whole, corpus).measurements


def test_a_layer_that_breaks_is_named_there_too(tiny: Callable[[int], LoadedModel], place: Path) -> None:
    broken = tiny(0).model
    broken.model.layers[1].mlp.down_proj.weight.data[:] = float("nan")
    broken.save_pretrained(place / "model")
    apart = open_spec(ModelSpec("apart", str(place / "model"), device_map=APART))
    with pytest.raises(NotFiniteError, match=r"comes out of model.layers.1.mlp.down_proj"):
        loglikelihoods(apart.model, ASKED)


def test_a_plan_spreads_a_candidate(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "plan.yaml").write_text(PLAN.replace("DEVICE_MAP", str(APART)))
    assert entry(["run", str(place / "plan.yaml"), "--out", str(place / "out"), "--fresh", "-q"]) == 0
    assert "apart: PASS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("everywhere", "device_map"),
        ("auto, dtype: int8", "'device_map' spreads weights as they lie: not with 'adapter' or 'dtype: int8'"),
        ("{'': tpu}", "device_map.: give cpu, disk, mps, cuda:0 or another GPU, or a GPU's number"),
    ],
)
def test_what_cannot_be_spread_is_refused(
    place: Path, given: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "plan.yaml").write_text(PLAN.replace("DEVICE_MAP", given))
    assert entry(["check", str(place / "plan.yaml")]) == 3
    assert fault in capsys.readouterr().err


def test_absent_devices_and_modules_are_named(place: Path) -> None:
    spec = ModelSpec("m", str(place / "model"))
    with pytest.raises(HarnessError, match=r"'model' on 7: not on this machine; allowed: .*cpu, disk"):
        open_spec(replace(spec, device_map={"model": 7, "lm_head": "cpu"}))
    with pytest.raises(HarnessError, match="spreads a plain folder of safetensors, not one with an adapter"):
        open_spec(replace(spec, device_map="auto", adapter="somewhere"))
    with pytest.raises(HarnessError, match="device_map: "):
        open_spec(replace(spec, device_map={"model": "disk"}))
    assert open_spec(replace(spec, device_map="auto")).facts["device_map"] == f"all on {found_device()}"


def test_an_operation_that_a_device_lacks_is_said(tiny: Callable[[int], LoadedModel]) -> None:
    def lacking(*_: object) -> None:
        raise NotImplementedError("The operator 'aten::tril' is not implemented for the MPS device.\nMore.")

    model = tiny(0).model
    refuse_unsupported(model, "tiny")
    model.lm_head.register_forward_pre_hook(lacking)
    with pytest.raises(
        HarnessError, match=r"tiny: cpu lacks an operation: The operator 'aten::tril' .* MPS device\.; PY"
    ):
        refuse_unsupported(model, "tiny")
