"""Layer by layer gives the same folder as the whole model in memory, and never half of one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from compress import Calibration, CompressError, LayerShape, Recipe, Shape, apply, open_model, read_receipt, save
from compress.anatomy.families import FAMILIES
from compress.streaming.stream import Choices, stream

CALIBRATION = Calibration(file=Path(__file__), windows=6, tokens=64)

RECIPES = {
    "cfsp": {"method": "cfsp", "sparsity": 0.2},
    "cfsp-attention": {"method": "cfsp", "sparsity": 0.3, "options": {"attention": True}},
    "flap": {"method": "flap", "sparsity": 0.2, "options": {"attention": True}},
    "wanda_sp": {"method": "wanda_sp", "sparsity": 0.2, "equal_layers": True},
    "magnitude": {"method": "magnitude", "sparsity": 0.2},
    "bias": {"method": "flap", "sparsity": 0.2, "options": {"attention": True}, "compensate": "bias"},
    "least_squares": {
        "method": "magnitude",
        "sparsity": 0.2,
        "options": {"attention": True},
        "compensate": "least_squares",
    },
    "saap": {"method": "saap", "sparsity": 0.3, "options": {"attention": True}},
    "llm_pruner": {"method": "llm_pruner", "sparsity": 0.2, "budget": "sensitivity"},
    "blend": {"method": "blend", "sparsity": 0.2, "options": {"of": {"cfsp": 1.0, "llm_pruner": 2.0}}},
    "shortgpt": {"method": "shortgpt", "sparsity": 0.3},
    "spans": {"method": "shortgpt", "sparsity": 0.3, "options": {"score": "contiguous"}},
    "unstructured": {"method": "magnitude", "sparsity": 0.5, "options": {"pattern": "unstructured"}},
    "wanda": {"method": "wanda", "options": {"pattern": "2:4"}},
    "wanda-at-once": {"method": "wanda", "sparsity": 0.4, "options": {"sequential": False}},
    "sparsegpt": {"method": "sparsegpt", "options": {"pattern": "2:4"}},
}


def recipe(name: str) -> Recipe:
    return Recipe(calibration=CALIBRATION, **RECIPES[name])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: it for path in folder.glob("*.safetensors") for name, it in load_file(path).items()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_equal_folders(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) and first[name].dtype == second[name].dtype for name in first)
    for file in ("config.json", "generation_config.json", "modeling_pruned.py", "tokenizer.json"):
        assert (one / file).is_file() == (other / file).is_file(), file
        assert not (one / file).is_file() or (one / file).read_bytes() == (other / file).read_bytes(), file


def test_a_head_of_its_own_that_the_config_calls_tied_is_kept(make_model, tmp_path: Path) -> None:
    make_model(tie_word_embeddings=False).save_pretrained(tmp_path / "source")
    config = tmp_path / "source" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "tie_word_embeddings": True}))
    model = open_model(tmp_path / "source")
    save(model, None, tmp_path / "whole", apply(model, recipe("magnitude")))
    stream(tmp_path / "source", recipe("magnitude"), tmp_path / "streamed")
    assert_equal_folders(tmp_path / "streamed", tmp_path / "whole")
    assert "lm_head.weight" in weights(tmp_path / "whole")
    assert json.loads((tmp_path / "whole" / "config.json").read_text())["tie_word_embeddings"] is False


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_folder_as_in_memory(make_model, tokenizer, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    make_model(tie_word_embeddings=name != "cfsp").save_pretrained(source, max_shard_size="100KB")
    assert (source / "model.safetensors.index.json").is_file()
    before = contents(source)
    streamed = stream(source, recipe(name), tmp_path / "streamed", choices=Choices(tokenizer))
    model = open_model(source)
    whole = apply(model, recipe(name), tokenizer)
    save(model, tokenizer, tmp_path / "whole", whole)
    assert_equal_folders(tmp_path / "streamed", tmp_path / "whole")
    for field in (
        "recipe",
        "shape",
        "ratios",
        "sparsity_by_block",
        "calibration",
        "versions",
        "notes",
        "score_deciles",
    ):
        assert getattr(streamed, field) == getattr(whole, field), field
    assert read_receipt(tmp_path / "streamed") == streamed
    ids = torch.arange(24).view(2, 12)
    assert torch.equal(open_model(tmp_path / "streamed")(ids).logits, model(ids).logits)
    assert contents(source) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_layer_by_layer(make_model, tokenizer, tmp_path: Path, family: str) -> None:
    """Buffers that no folder holds, names, ties: whatever a family has beside its layers' weights."""
    options = {"attention": FAMILIES[family].attention}
    chosen = Recipe(method="cfsp", sparsity=0.2, options=options, calibration=CALIBRATION)
    make_model(family).save_pretrained(tmp_path / "source")
    stream(tmp_path / "source", chosen, tmp_path / "streamed", choices=Choices(tokenizer))
    model = open_model(tmp_path / "source")
    save(model, tokenizer, tmp_path / "whole", apply(model, chosen, tokenizer))
    assert_equal_folders(tmp_path / "streamed", tmp_path / "whole")


def test_a_pruned_model_goes_layer_by_layer_again(make_model, tokenizer, tmp_path: Path) -> None:
    """One with layers of different sizes and biases of its own."""
    model = make_model()
    save(model, tokenizer, tmp_path / "source", apply(model, recipe("bias"), tokenizer))
    stream(tmp_path / "source", recipe("flap"), tmp_path / "streamed", choices=Choices(tokenizer))
    model = open_model(tmp_path / "source")
    save(model, tokenizer, tmp_path / "whole", apply(model, recipe("flap"), tokenizer))
    assert_equal_folders(tmp_path / "streamed", tmp_path / "whole")


def test_names_without_the_prefix_of_the_inner_model(make_model, tmp_path: Path) -> None:
    """As some published folders have them."""
    make_model("gpt2").save_pretrained(tmp_path / "source")
    stream(tmp_path / "source", recipe("magnitude"), tmp_path / "before")
    stored = load_file(tmp_path / "source" / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in stored.items()}
    assert bare.keys().isdisjoint(stored)
    save_file(bare, tmp_path / "source" / "model.safetensors", metadata={"format": "pt"})
    stream(tmp_path / "source", recipe("magnitude"), tmp_path / "after")
    assert_equal_folders(tmp_path / "before", tmp_path / "after")


def test_several_files_with_an_index(make_model, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("compress.streaming.shards.SHARD_BYTES", 30_000)
    make_model().save_pretrained(tmp_path / "source")
    stream(tmp_path / "source", recipe("magnitude"), tmp_path / "out")
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    stored = weights(tmp_path / "out")
    assert set(index["weight_map"].values()) == {f"model-0000{part}-of-00004.safetensors" for part in range(1, 5)}
    assert index["weight_map"].keys() == stored.keys()
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in stored.values())


def test_a_shape_and_a_layout_are_obeyed(make_model, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    make_model().save_pretrained(source)
    layer = LayerShape(tuple(range(40)), (0, 2), 64, 9, 3)
    shape = Shape(72, 8, (layer, layer, LayerShape((), (), 64, 9, 3)))
    for layout, own in (("uniform", False), ("hetero", True)):
        receipt = stream(source, recipe("cfsp"), tmp_path / layout, choices=Choices(layout=layout, shape=shape))
        assert receipt.shape == shape
        assert (tmp_path / layout / "modeling_pruned.py").is_file() is own
    uneven = Shape(72, 8, (layer, layer, LayerShape(tuple(range(64)), (0, 2), 64, 9, 3)))
    with pytest.raises(CompressError, match="intermediate_size differs from layer to layer, 40 to 64"):
        stream(source, recipe("magnitude"), out, choices=Choices(layout="uniform", shape=uneven))
    with pytest.raises(CompressError, match="layer by layer: layout padded cannot be written"):
        stream(source, recipe("magnitude"), out, choices=Choices(layout="padded"))


def test_half_precision_stays_half(make_model, tokenizer, tmp_path: Path) -> None:
    make_model().to(torch.bfloat16).save_pretrained(tmp_path / "source")
    stream(tmp_path / "source", recipe("cfsp"), tmp_path / "half", choices=Choices(tokenizer))
    assert {tensor.dtype for tensor in weights(tmp_path / "half").values()} == {torch.bfloat16}
    stream(tmp_path / "source", recipe("cfsp"), tmp_path / "full", choices=Choices(tokenizer, torch.float32))
    assert {tensor.dtype for tensor in weights(tmp_path / "full").values()} == {torch.float32}


def test_a_kill_leaves_no_folder(make_model, tmp_path: Path) -> None:
    def killed(what: str, done: int, total: int) -> None:
        if what == "compressing" and done == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    make_model().save_pretrained(tmp_path / "source")
    child = os.fork()
    if child == 0:
        stream(tmp_path / "source", recipe("magnitude"), tmp_path / "out", killed)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out-*"))
    stream(tmp_path / "source", recipe("magnitude"), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}


def test_a_wrong_layer_is_not_saved(make_model, tmp_path: Path, monkeypatch) -> None:
    """What is on the disk is compared with what was in memory."""
    from compress.streaming import shards

    def damaged(weights, path, metadata):
        shards_written({name: it + ("mlp" in name) * 1e-3 for name, it in weights.items()}, path, metadata=metadata)

    shards_written = shards.save_file
    monkeypatch.setattr("compress.streaming.shards.save_file", damaged)
    make_model().save_pretrained(tmp_path / "source")
    with pytest.raises(CompressError, match="its last hidden states differ by"):
        stream(tmp_path / "source", recipe("magnitude"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_refusals(make_model, tokenizer, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="no such folder"):
        stream(tmp_path / "nowhere", recipe("magnitude"), tmp_path / "out")
    model = make_model()
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    model.save_pretrained(tmp_path / "source")
    with pytest.raises(CompressError, match="layer 1: a weight is NaN"):
        stream(tmp_path / "source", recipe("magnitude"), tmp_path / "out")
    with pytest.raises(CompressError, match="layer 1: NaN or infinite activations"):
        stream(tmp_path / "source", recipe("cfsp"), tmp_path / "out", choices=Choices(tokenizer))
    with pytest.raises(CompressError, match="already there"):
        stream(tmp_path / "source", recipe("magnitude"), tmp_path / "source")
    trained = Recipe(method="magnitude", sparsity=0.2, recovery="layerwise")
    with pytest.raises(CompressError, match="layer by layer: a recovery needs the whole model in memory"):
        stream(tmp_path / "source", trained, tmp_path / "out", choices=Choices(tokenizer))
    config = json.loads((tmp_path / "source" / "config.json").read_text())
    config["intermediate_size"] = 48
    (tmp_path / "source" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CompressError, match=r"is \(72, 64\), config\.json wants \(72, 48\)"):
        stream(tmp_path / "source", recipe("magnitude"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
