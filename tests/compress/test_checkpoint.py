"""A saved model opens everywhere and is the model in memory, or opening it fails loudly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from compress import (
    CompressError,
    LayerShape,
    Receipt,
    Recipe,
    Shape,
    apply,
    cut_,
    is_pruned,
    open_model,
    read_receipt,
    save,
)
from compress.anatomy.blocks import blocks
from compress.anatomy.families import FAMILIES, family
from compress.checkpoints.layout import add_bias_

PLAIN = """
import sys, torch
from transformers import AutoModelForCausalLM
torch.set_num_threads(1)
ids = torch.arange(24).view(2, 12)
for folder in sys.argv[1:]:
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    saved = torch.load(folder + ".pt", weights_only=True)
    assert torch.equal(model(ids).logits, saved["logits"]), folder
    assert torch.equal(model.generate(ids, max_new_tokens=8, do_sample=False), saved["tokens"]), folder
    assert torch.equal(model.generate(ids, max_new_tokens=8, do_sample=False, use_cache=False), saved["tokens"]), folder
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == model.config.tie_word_embeddings, folder
assert "compress" not in sys.modules
"""


ROTATIONS = {"full_attention": 50_000.0, "sliding_attention": 20_000.0}


def pruned(model, sparsity: float = 0.3, method: str = "random", seed: int = 0) -> Receipt:
    return apply(model, Recipe(method=method, sparsity=sparsity, options={"attention": True}, seed=seed))


def shaped(model, widths: tuple[int, ...], groups: tuple[tuple[int, ...], ...]) -> Receipt:
    """Keep the first channels and, where the family can lose any, these kv groups."""
    layers = []
    for block, width, chosen in zip(blocks(model), widths, groups, strict=True):
        kept = chosen if family(model).attention or not width else tuple(range(block.kv_heads))
        layers.append(LayerShape(tuple(range(width)), kept, block.channels, block.heads, block.kv_heads))
    return apply(model, Recipe(method="random", sparsity=0.1), shape=Shape(72, 8, tuple(layers)))


def uneven(model) -> Receipt:
    """Layers of different widths and head counts."""
    return shaped(model, (16, 40, 32), ((0,), (0, 2), (0,)))


def biased(model) -> Receipt:
    """The same in two projections with a bias that the stock class has not."""
    receipt = uneven(model)
    for projection in (blocks(model)[0].mlp_out, blocks(model)[2].attention_out):
        add_bias_(projection)
        projection.module.bias.data.normal_()
    return receipt


def whole(block) -> LayerShape:
    return LayerShape(
        tuple(range(block.channels)), tuple(range(block.kv_heads)), block.channels, block.heads, block.kv_heads
    )


def gone(block) -> LayerShape:
    return LayerShape((), (), block.channels, block.heads, block.kv_heads)


@torch.no_grad()
def remembered(model, folder: Path) -> None:
    """What a fresh process has to see again."""
    ids = torch.arange(24).view(2, 12)
    seen = {"logits": model(ids).logits, "tokens": model.generate(ids, max_new_tokens=8, do_sample=False)}
    torch.save(seen, f"{folder}.pt")


@pytest.mark.slow
def test_plain_transformers_opens_what_was_saved(make_model, tokenizer, tmp_path: Path) -> None:
    """In a process that has never heard of us."""
    folders = [shorter(make_model(kind), kind, tokenizer, tmp_path) for kind in ("llama", "phi3", "gpt2", "gpt_neox")]
    for make in (uneven, biased):
        model = make_model()
        folders.append(tmp_path / make.__name__)
        save(model, tokenizer, folders[-1], make(model))
        remembered(model, folders[-1])
    for method in ("magnitude", "cfsp"):
        model = make_model(seed=1)
        folders.append(tmp_path / method)
        receipt = apply(model, Recipe(method=method, sparsity=0.25), tokenizer)
        save(model, tokenizer, folders[-1], receipt)
        remembered(model, folders[-1])
    opened_plainly(folders)


@pytest.mark.slow
def test_plain_transformers_opens_every_family(make_model, tokenizer, tmp_path: Path) -> None:
    tied = {kind: make_model(kind, tie_word_embeddings=kind != "qwen3") for kind in FAMILIES}
    opened_plainly([shorter(model, kind, tokenizer, tmp_path) for kind, model in tied.items()])


def shorter(model, kind: str, tokenizer, place: Path) -> Path:
    """Saved with a layer less and the others unequal."""
    folder = place / f"shorter-{kind}"
    save(model, tokenizer, folder, shaped(model, (16, 0, 32), ((0,), (), (0, 2))))
    remembered(model, folder)
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == kind
    assert config["auto_map"]
    return folder


def opened_plainly(folders: list[Path]) -> None:
    for folder in folders:
        ids = torch.arange(24).view(2, 12)
        assert torch.equal(open_model(folder)(ids).logits, torch.load(f"{folder}.pt")["logits"])
    place = folders[0].parent
    command = [sys.executable, "-c", PLAIN, *map(str, folders)]
    environment = {**os.environ, "HF_MODULES_CACHE": str(place / "modules")}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_equal_layers_are_a_stock_model(make_model, tokenizer, tmp_path: Path) -> None:
    model = make_model("qwen2")
    # A third of the attention and 24 of 64 channels: half of 1/3 + 24/64.
    receipt = pruned(model, 17 / 48, "magnitude")
    assert (receipt.widths, receipt.kv_groups) == ((40, 40, 40), (2, 2, 2))
    assert receipt.shape.uniform
    save(model, tokenizer, tmp_path / "out", receipt)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]) == (6, 2, 8)
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert not {"auto_map", "per_layer_config", "allow_global_per_layer_attribute_access"} & set(config)
    assert not (tmp_path / "out" / "modeling_pruned.py").exists()


def test_equal_layers_with_a_modelling_file(make_model, tokenizer, tmp_path: Path) -> None:
    model = make_model("qwen2")
    receipt = pruned(model, 17 / 48, "magnitude")
    save(model, tokenizer, tmp_path / "out", receipt, layout="hetero")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["auto_map"] == {"AutoModelForCausalLM": "modeling_pruned.PrunedQwen2ForCausalLM"}
    assert config["num_attention_heads"] == 6


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox", "phi3", "qwen3"])
def test_padded_is_a_stock_model_of_the_old_sizes(make_model, tmp_path: Path, kind: str) -> None:
    model = make_model(kind)
    old = {name: weight.shape for name, weight in model.state_dict().items()}
    receipt = uneven(model)
    saved = save(model, None, tmp_path / "out", receipt, layout="padded")
    assert saved == read_receipt(tmp_path / "out")
    assert saved.notes[-1].startswith("padded: ")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert type(again).__name__ in again.config.architectures
    assert {name: weight.shape for name, weight in again.state_dict().items()} == old
    ids = torch.arange(24).view(2, 12)
    assert torch.allclose(again(ids).logits, model(ids).logits, atol=1e-5)
    zeros = sum(int((weight == 0).sum()) for weight in again.state_dict().values())
    assert zeros == sum(shape.numel() for shape in old.values()) - sum(w.numel() for w in model.state_dict().values())


def test_equal_layers_are_padded_to_what_they_were(make_model, tmp_path: Path) -> None:
    model = make_model()
    save(model, None, tmp_path / "out", pruned(model, 17 / 48, "magnitude"), layout="padded")
    assert open_model(tmp_path / "out").config.intermediate_size == 64


def test_a_stock_model_is_refused_where_layers_differ(make_model, tmp_path: Path) -> None:
    model = make_model()
    receipt = uneven(model)
    with pytest.raises(CompressError, match=r"intermediate_size differs from layer to layer, 16 to 40; .*equal_layers"):
        save(model, None, tmp_path / "out", receipt, layout="uniform")
    model = make_model("gemma2", num_attention_heads=8, num_key_value_heads=8)
    receipt = shaped(model, (64, 64, 64), (tuple(range(7)),) * 3)
    with pytest.raises(CompressError, match="Gemma2Config refuses 7 heads for a hidden size of 72"):
        save(model, None, tmp_path / "out", receipt, layout="uniform")
    save(model, None, tmp_path / "out", receipt)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["auto_map"]
    model = make_model()
    receipt = biased(model)
    for layout in ("uniform", "padded"):
        with pytest.raises(CompressError, match="compensation gave 2 projections a bias"):
            save(model, None, tmp_path / "biased", receipt, layout=layout)


def test_added_biases_are_named_in_config(make_model, tmp_path: Path) -> None:
    model = make_model()
    save(model, None, tmp_path / "out", biased(model))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["added_biases"] == ["model.layers.0.mlp.down_proj", "model.layers.2.self_attn.o_proj"]
    opened = open_model(tmp_path / "out")
    cut_(opened, Shape(72, 8, (gone(blocks(opened)[0]), *map(whole, blocks(opened)[1:]))))
    save(opened, None, tmp_path / "again", read_receipt(tmp_path / "out"))
    config = json.loads((tmp_path / "again" / "config.json").read_text())
    assert config["added_biases"] == ["model.layers.1.self_attn.o_proj"]
    for wrong in ("model.layers.0.mlp.down_proj", ["lm_head"], ["model.layers.2.self_attn.o_proj"]):
        (tmp_path / "again" / "config.json").write_text(json.dumps({**config, "added_biases": wrong}))
        with pytest.raises(CompressError, match="added_biases: expected a list of projections"):
            open_model(tmp_path / "again")


def test_both_rotations_of_gemma_are_written_for_old_readers(make_model, tmp_path: Path) -> None:
    rope = {name: {"rope_type": "default", "rope_theta": theta} for name, theta in ROTATIONS.items()}
    model = make_model("gemma3_text", rope_parameters=rope)
    save(model, None, tmp_path / "out", uneven(model))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["rope_theta"], config["rope_local_base_freq"]) == (50_000, 20_000)
    assert config["rope_parameters"] == rope


def test_a_head_count_that_llama_refuses_is_saved_as_mistral(make_model, tokenizer, tmp_path: Path) -> None:
    """Seven heads do not divide a hidden size of 72."""
    model = make_model(num_attention_heads=8, num_key_value_heads=8)
    layer = LayerShape(tuple(range(64)), tuple(range(7)), 64, 8, 8)
    receipt = pruned(make_model(), 0.1)
    cut_(model, Shape(72, 8, (layer,) * 3))
    save(model, tokenizer, tmp_path / "out", receipt)
    opened = open_model(tmp_path / "out")
    assert (opened.config.model_type, opened.config.num_attention_heads) == ("mistral", 7)
    assert opened.config.sliding_window is None
    assert opened.config.rope_parameters["rope_theta"] == 50_000


def test_what_else_is_in_the_folder(make_model, tokenizer, tmp_path: Path) -> None:
    model = make_model()
    model.generation_config.max_length = 77
    receipt = uneven(model)
    save(model, tokenizer, tmp_path / "out", receipt)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 50_000
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["allow_global_per_layer_attribute_access"] is True
    assert config["per_layer_config"]["1"] == {
        "intermediate_size": 40,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
    }
    assert open_model(tmp_path / "out").generation_config.max_length == 77
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template == tokenizer.chat_template
    assert read_receipt(tmp_path / "out") == receipt
    assert is_pruned(tmp_path / "out")
    assert not is_pruned(tmp_path)


def test_saving_twice_gives_the_same_bytes(make_model, tokenizer, tmp_path: Path) -> None:
    for name in ("a", "b"):
        model = make_model()
        save(model, tokenizer, tmp_path / name, uneven(model))
    for file in ("model.safetensors", "config.json", "modeling_pruned.py", "generation_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_an_opened_model_can_be_pruned_and_saved_again(make_model, tokenizer, tmp_path: Path) -> None:
    model = make_model()
    save(model, tokenizer, tmp_path / "first", uneven(model))
    model = open_model(tmp_path / "first")
    receipt = pruned(model, 0.1, "magnitude")
    save(model, tokenizer, tmp_path / "second", receipt)
    ids = torch.arange(12).view(1, 12)
    assert torch.equal(open_model(tmp_path / "second")(ids).logits, model(ids).logits)


def test_a_save_that_fails_leaves_nothing(make_model, tokenizer, tmp_path: Path, monkeypatch) -> None:
    model = make_model()
    receipt = pruned(model)
    (tmp_path / "there").mkdir()
    with pytest.raises(CompressError, match="already there"):
        save(model, tokenizer, tmp_path / "there", receipt)
    # A config that lies about its model: a rotation of another speed gives other logits.
    model.config.rope_parameters["rope_theta"] = 10.0
    with pytest.raises(CompressError, match="its logits differ by"):
        save(model, tokenizer, tmp_path / "out", receipt)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_drafts_of_killed_processes_are_removed(make_model, tokenizer, tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for owner in (ended.pid, os.getpid()):
        (tmp_path / f".out-{owner}-x").mkdir()
    model = make_model()
    save(model, tokenizer, tmp_path / "out", pruned(model))
    assert {path.name for path in tmp_path.iterdir()} == {"out", f".out-{os.getpid()}-x"}


def test_a_folder_that_disagrees_with_itself_is_refused(make_model, tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    model = make_model()
    save(model, tokenizer, folder, uneven(model))
    config = json.loads((folder / "config.json").read_text())

    config["per_layer_config"]["1"]["intermediate_size"] = 48
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        CompressError, match=r"model\.layers\.1\.mlp\.down_proj\.weight is \(72, 40\), config\.json wants \(72, 48\)"
    ):
        open_model(folder)

    config["per_layer_config"]["1"]["intermediate_size"] = 40
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.2.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CompressError, match=r"model\.layers\.2\.mlp\.up_proj\.weight is missing \(1 in all\)"):
        open_model(folder)


def test_layers_that_config_json_does_not_know_are_refused(make_model, tmp_path: Path) -> None:
    make_model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["num_hidden_layers"] -= 1
    config.pop("layer_types", None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CompressError, match=r"config\.json has no place for model\.layers\.2"):
        open_model(tmp_path)


def test_folders_without_a_model_are_refused(make_model, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="no such folder"):
        open_model(tmp_path / "nowhere")
    with pytest.raises(CompressError, match=r"no config\.json"):
        open_model(tmp_path)
    make_model().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    assert open_model(tmp_path).config.model_type == "llama"
    config = (tmp_path / "config.json").read_text()
    for wrong in ("{", config.replace('"num_attention_heads": 9', '"num_attention_heads": 7')):
        (tmp_path / "config.json").write_text(wrong)
        with pytest.raises(CompressError, match=r"config\.json: "):
            open_model(tmp_path)
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CompressError, match=r"model\.safetensors: damaged weights"):
        open_model(tmp_path)
    weights.unlink()
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"lm_head.weight": "../model.safetensors"}}))
    with pytest.raises(CompressError, match=r"'\.\./model\.safetensors' is not a file of this folder"):
        open_model(tmp_path)
    index.unlink()
    with pytest.raises(CompressError, match=r"no weights: looked for model\.safetensors"):
        open_model(tmp_path)


def test_code_in_a_folder_is_never_run(make_model, tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    model = make_model()
    save(model, tokenizer, folder, uneven(model))
    (folder / "modeling_pruned.py").write_text("raise SystemExit('remote code ran')")
    assert open_model(folder) is not None
