"""Every source of a model opens, and every wrong one is refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from compress import CompressError
from harness.errors import HarnessError
from harness.models.fingerprint import BLOCK_BYTES, BLOCKS, MISSED, identity
from harness.models.opening import LoadedModel, fingerprint_of, open_spec
from harness.records import ModelSpec

TOKENS = torch.arange(3, 40).unsqueeze(0)


@pytest.fixture
def folder(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> Path:
    """A model as transformers saves it."""
    target = tmp_path / "model"
    made = tiny(0)
    made.model.save_pretrained(target)
    made.tokenizer.save_pretrained(target)
    return target


def spec(source: Path | str, adapter: Path | None = None, dtype: str = "float32") -> ModelSpec:
    return ModelSpec("original", str(source), adapter=str(adapter) if adapter else None, dtype=dtype)


def logits(loaded: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        return loaded.model(TOKENS.to(loaded.device)).logits.float().cpu()


def test_a_folder_opens_as_it_was_saved(tiny: Callable[[int], LoadedModel], folder: Path) -> None:
    loaded = open_spec(spec(folder))
    assert torch.equal(logits(loaded), logits(tiny(0)))
    assert not loaded.model.training
    assert loaded.model.dtype == torch.float32
    assert loaded.tokenizer.chat_template == tiny(0).tokenizer.chat_template
    assert open_spec(spec(folder, dtype="bfloat16")).model.dtype == torch.bfloat16


def test_an_adapter_is_merged(tiny: Callable[[int], LoadedModel], folder: Path, tmp_path: Path) -> None:
    adapted = get_peft_model(tiny(0).model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        expected = adapted(TOKENS).logits
    merged = open_spec(spec(folder, tmp_path / "adapter"))
    assert torch.allclose(logits(merged), expected, atol=1e-4)
    assert merged.fingerprint != open_spec(spec(folder)).fingerprint


def test_the_fingerprint_follows_content_alone(folder: Path, tmp_path: Path) -> None:
    before = fingerprint_of(spec(folder))
    assert open_spec(spec(folder)).fingerprint == before
    (folder / "README.md").write_text("notes")
    assert fingerprint_of(spec(shutil.copytree(folder, tmp_path / "elsewhere"))) == before
    assert fingerprint_of(spec(folder, dtype="float16")) != before


def test_a_changed_weight_anywhere_is_noticed(folder: Path) -> None:
    """The last byte of the file, the first of the weights, and one of the middle."""
    weights = folder / "model.safetensors"
    saved = weights.read_bytes()
    seen = {fingerprint_of(spec(folder))}
    for place in (len(saved) - 1, 8 + int.from_bytes(saved[:8], "little"), len(saved) // 2):
        weights.write_bytes(saved[:place] + bytes([saved[place] ^ 1]) + saved[place + 1 :])
        seen.add(fingerprint_of(spec(folder)))
    assert len(seen) == 4


def test_a_sampled_fingerprint_sees_what_it_reads_and_says_what_it_misses(folder: Path) -> None:
    """On a file of 80 MB that holds nothing else: blocks of 4 KiB begin every 78 KB."""
    huge = folder / "model-00002-of-00002.safetensors"
    size = 80_000_000

    def fingerprint(place: int | None = None, length: int = size) -> str:
        with huge.open("wb") as file:
            file.truncate(length)
            if place is not None:
                file.seek(place)
                file.write(b"\1")
        return fingerprint_of(replace(spec(folder), sampled=True))

    whole = fingerprint()
    assert (
        len({whole, fingerprint(5), fingerprint(1_000_000), fingerprint(size - 1), fingerprint(length=size + 1)}) == 5
    )
    step = (size - BLOCK_BYTES) / (BLOCKS - 1)
    assert fingerprint(int(500 * step) + 10) != whole
    assert fingerprint(int(500 * step) + BLOCK_BYTES + 10) == whole, "between two blocks: missed, as it says"
    assert "few weights changed in between go unnoticed" in MISSED
    huge.unlink()
    assert fingerprint_of(replace(spec(folder), sampled=True)) != fingerprint_of(spec(folder))
    opened = open_spec(replace(spec(folder), sampled=True))
    assert opened.fingerprint == fingerprint_of(opened.spec)
    assert opened.facts["fingerprint"] == f"of {MISSED}"


def test_the_fingerprint_sees_every_part_of_a_model(folder: Path) -> None:
    seen = [identity([folder], "float32")]
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] += 1e-6
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        seen.append(identity([folder], "float32"))
        (folder / name).write_text((folder / name).read_text() + " ")
    seen.append(identity([folder], "float32"))
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    seen.append(identity([folder], "float32"))
    assert len(set(seen)) == 7


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut_short(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def of_other_size(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}))


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, ["no such folder"]),
        (without_config, ["no config.json"]),
        (without_weights, ["no weights", "model.safetensors"]),
        (pickled, ["pytorch_model.bin is a pickle", "safetensors"]),
        (cut_short, ["model.safetensors", "damaged"]),
        (of_other_size, ["disagree", "mlp.down_proj.weight", "48", "64"]),
        (without_tokenizer, ["no tokenizer", "tokenizer.json"]),
        (damaged_tokenizer, ["the tokenizer cannot be opened"]),
    ],
)
def test_a_folder_that_is_no_model_is_refused_in_one_line(
    folder: Path, spoil: Callable[[Path], None], words: list[str]
) -> None:
    spoil(folder)
    with pytest.raises((HarnessError, CompressError)) as caught:
        open_spec(spec(folder))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in [str(folder), *words]), message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("models/of/mine", "no such folder"),
        ("missing.gguf", "no such file"),
        ("nobody/such-a-model", "neither a folder here nor a model that can be had from the hub"),
    ],
)
def test_a_source_that_is_nowhere_is_refused_in_one_line(
    source: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HarnessError) as caught:
        open_spec(spec(source))
    assert str(caught.value).startswith(source)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path) -> None:
    for content, words in [(b"GGML....", "not a GGUF file"), (b"GGUF\x03", "cannot be opened")]:
        (tmp_path / "model.gguf").write_bytes(content)
        with pytest.raises(HarnessError, match=words):
            open_spec(spec(tmp_path / "model.gguf"))


def test_an_unknown_dtype_is_refused(folder: Path) -> None:
    with pytest.raises(HarnessError, match="allowed: float32, bfloat16, float16"):
        open_spec(spec(folder, dtype="int4"))


def test_a_missing_chat_template_is_said(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    assert open_spec(spec(folder)).facts["chat template"].startswith("none")
