"""Candidates of one plan share what can be shared, and are the same as if made alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compress import Recipe
from harness.candidates.workshop import Workshop
from harness.models.opening import LoadedModel
from harness.models.subject import Subject
from harness.records import ModelSpec

TEXT = {"file": str(Path(__file__)), "windows": 4, "tokens": 64}


def recipe(method: str, sparsity: float, tokens: int = 64) -> Recipe:
    calibration = {**TEXT, "tokens": tokens}
    return Recipe(method=method, sparsity=sparsity, options={"round_to": 1}, calibration=calibration)


RECIPES = {
    "a": recipe("cfsp", 0.2),
    "b": recipe("cfsp", 0.4),
    "c": recipe("wanda_sp", 0.3),
    "d": recipe("llm_pruner", 0.3),
    "e": recipe("magnitude", 0.3),
    "f": recipe("cfsp", 0.2, tokens=32),
}


@pytest.fixture(scope="module")
def model(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny(0).model.save_pretrained(folder)
    tiny(0).tokenizer.save_pretrained(folder)
    return folder


def made(model: Path, folder: Path, recipes: dict[str, Recipe]) -> tuple[dict[str, bytes], int]:
    """(weights of each candidate, how often text was read)."""
    passes = 0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal passes
        passes += what == "calibrating" and done == total

    workshop = Workshop(Subject(ModelSpec("original", str(model)), progress), folder, recipes, progress)
    return {name: (workshop.made(name) / "model.safetensors").read_bytes() for name in recipes}, passes


def test_recipes_on_one_text_share_one_pass_and_are_what_they_are_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    together, passes = made(model, tmp_path / "together", RECIPES)
    assert passes == 2
    for name, one in RECIPES.items():
        monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / f"cache of {name}"))
        alone, _ = made(model, tmp_path / name, {name: one})
        assert alone[name] == together[name]
    again, passes = made(model, tmp_path / "together", RECIPES)
    assert (again, passes) == (together, 0)
