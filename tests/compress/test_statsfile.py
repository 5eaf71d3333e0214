"""Statistics as a file: the same bits back, and nothing that is not ours."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from compress import Calibration, CompressError, Stats, calibrate
from compress.calibration import statsfile
from compress.calibration.stats import NEEDS

CALIBRATION = Calibration(file=Path(__file__), windows=4, tokens=32)


def same(first: object, second: object) -> bool:
    """Equal to the last bit, through all nesting."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


@pytest.fixture(scope="module")
def stats(make_model, tokenizer) -> Stats:
    return calibrate(make_model(), tokenizer, CALIBRATION, frozenset(NEEDS) - {"grams"})


@pytest.fixture
def saved(stats: Stats, tmp_path: Path) -> Path:
    statsfile.save(stats, tmp_path / "s.safetensors")
    return tmp_path / "s.safetensors"


def test_the_same_bits_come_back_and_nothing_else_is_left(stats: Stats, saved: Path) -> None:
    assert same(asdict(statsfile.load(saved)), asdict(stats))
    first = saved.read_bytes()
    statsfile.save(stats, saved)
    assert saved.read_bytes() == first
    assert list(saved.parent.iterdir()) == [saved]


def test_more_than_asked_is_the_same_as_what_was_asked(make_model, tokenizer, stats: Stats) -> None:
    for needs in ({"activations"}, {"angles", "activations"}):
        alone = calibrate(make_model(), tokenizer, CALIBRATION, frozenset(needs))
        for block, more in zip(alone.blocks, stats.blocks, strict=True):
            assert all(same(asdict(seen), asdict(more.inputs[name])) for name, seen in block.inputs.items())
            assert block.angle in (None, more.angle)


def test_gram_matrices_are_refused(make_model, tokenizer, tmp_path: Path) -> None:
    grams = calibrate(make_model(), tokenizer, CALIBRATION, frozenset({"grams"}))
    with pytest.raises(CompressError, match="Gram matrices are not stored"):
        statsfile.save(grams, tmp_path / "g.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(stats: Stats, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CompressError, match=r"s\.safetensors: cannot write: "):
        statsfile.save(stats, tmp_path / "file" / "s.safetensors")


def test_any_other_file_is_refused(saved: Path, tmp_path: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        header = json.loads(file.metadata()[statsfile.KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = next(name for name in tensors if name.endswith("/sums"))
    wrong_headers = [
        {**header, "version": 0},
        {**header, "blocks": header["blocks"][:-1]},
        {**header, "blocks": [{**header["blocks"][0], "angle": "0.1"}, *header["blocks"][1:]]},
        {**header, "blocks": None},
        {**header, "facts": {"source": 1, "sha256": "", "tokens": 1}},
        [],
    ]
    wrong_tensors = [
        {**tensors, name: tensors[name].float()},
        {**tensors, name: tensors[name] * float("nan")},
        {**tensors, name: tensors[name].unsqueeze(0)},
        {**tensors, "x": torch.zeros(1)},
        {key: value for key, value in tensors.items() if key != name},
    ]
    files = [(wrong, tensors) for wrong in wrong_headers] + [(header, wrong) for wrong in wrong_tensors]
    for wrong_header, content in files:
        save_file(content, saved, metadata={statsfile.KEY: json.dumps(wrong_header)})
        with pytest.raises(CompressError, match="not the statistics of a calibration"):
            statsfile.load(saved)
    for content in (b"", b"\xff" * 100, b"\x80\x04."):
        saved.write_bytes(content)
        with pytest.raises(CompressError, match="not the statistics of a calibration"):
            statsfile.load(saved)
    with pytest.raises(CompressError, match="not the statistics of a calibration"):
        statsfile.load(tmp_path / "gone")
