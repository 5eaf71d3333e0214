"""Meters against a hand count; those that depend on the machine against what must hold on any."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import metrics
from harness.errors import HarnessError
from harness.metrics.memory import Memory
from harness.metrics.size import Size
from harness.metrics.speed import Speed
from harness.models.opening import LoadedModel, open_spec
from harness.records import Measurement, ModelSpec

PARAMETERS = 2 * 259 * 32 + 32 + 2 * (2 * 32 + 32 * (32 + 16 + 16 + 32) + 3 * 32 * 48)
"""Embedding and head, final norm; twice: two norms, q k v o with half as many kv heads, gate up down."""


@pytest.fixture
def saved(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> Callable[[bool], LoadedModel]:
    """A model on disk, opened; True: with its head tied to the embedding."""

    def made(tied: bool) -> LoadedModel:
        loaded = tiny(0)
        loaded.model.config.tie_word_embeddings = tied
        loaded.model.tie_weights()
        folder = tmp_path / f"tied-{tied}"
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        return open_spec(ModelSpec(folder.name, str(folder)))

    return made


def by_name(pairs: list[metrics.Pair]) -> dict[str, tuple[Measurement, Measurement]]:
    assert all(before.metric == after.metric and before.unit == after.unit for before, after in pairs)
    return {before.metric: (before, after) for before, after in pairs}


@pytest.mark.parametrize("name", metrics.names())
def test_every_metric_is_found_by_its_file_name(name: str) -> None:
    assert metrics.load(name).__name__.lower() == name.replace("_", "")
    assert hasattr(metrics.load(name)(), "measure")


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(HarnessError, match="unknown metric 'sped', did you mean 'speed'"):
        metrics.load("sped")


def test_size_counts_tied_weights_once(saved: Callable[[bool], LoadedModel]) -> None:
    found = by_name(Size().measure(saved(False), saved(True)))
    assert [m.value for m in found["size.parameters"]] == [PARAMETERS, PARAMETERS - 259 * 32]
    for loaded, measurement in zip((saved(False), saved(True)), found["size.bytes"], strict=True):
        assert measurement.value == os.path.getsize(loaded.sources[0] / "model.safetensors")


@pytest.mark.slow
def test_memory_is_read_in_a_process_of_its_own(saved: Callable[[bool], LoadedModel]) -> None:
    found = by_name(Memory().measure(saved(False), saved(True)))
    assert [m.value - 4 * PARAMETERS for m in found["memory.weights"]] == [8 * 4, 8 * 4 - 4 * 259 * 32]
    for measurement in found["memory.peak"]:
        # At least the weights; far from what this test process holds with torch and pytest.
        assert 4 * (PARAMETERS - 259 * 32) < measurement.value < 200e6


@pytest.mark.slow
def test_memory_says_why_it_could_not_be_read(saved: Callable[[bool], LoadedModel]) -> None:
    loaded = saved(False)
    (loaded.sources[0] / "config.json").unlink()
    with pytest.raises(HarnessError, match=r"memory\.peak could not be measured: .*no config\.json"):
        Memory().measure(loaded, loaded)


def test_speed_pairs_blocks_of_both_models(tiny: Callable[[int], LoadedModel]) -> None:
    turns: list[str] = []
    before, after = tiny(0), tiny(1)
    for name, loaded in (("before", before), ("after", after)):
        loaded.model.register_forward_hook(lambda *_, name=name: turns.append(name))
    found = by_name(Speed(blocks=4, repeats=2, prompt_tokens=64, new_tokens=4).measure(before, after))
    assert turns[::6] == ["before", "after", "after", "before", "before", "after", "after", "before", "before", "after"]
    assert turns.count("before") == turns.count("after") == 5 * 6
    for first, second in found.values():
        assert [item.hash for item in first.items] == [item.hash for item in second.items]
        assert len({item.hash for item in first.items}) == 4
        assert first.value == pytest.approx(sum(item.value for item in first.items) / 4)
        assert first.higher_is_better
        assert first.scale == "reading"


def test_speed_is_refused_where_the_context_is_too_short(tiny: Callable[[int], LoadedModel]) -> None:
    with pytest.raises(HarnessError, match="context of 1024 tokens is too short"):
        Speed(blocks=1, prompt_tokens=1020).measure(tiny(0), tiny(0))
