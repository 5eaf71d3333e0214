"""Where single tokens lie and which passages are shown, by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from harness.fidelity.corpus import Window
from harness.fidelity.divergence import EDGES, PASSAGE_TOKENS, PASSAGES, divergence
from harness.models.opening import LoadedModel
from harness.records import Divergence, ModelSpec, Run
from harness.stores import Asked
from harness.stores.duckdb_store import DuckdbStore

Found = Callable[[Sequence[str], Sequence[float]], Divergence]


@pytest.fixture
def found(tiny: Callable[[int], LoadedModel]) -> Found:
    """Texts, a window each, and the divergence of every byte but the first of each -> what is kept."""
    tokenizer = tiny(0).tokenizer

    def of(texts: Sequence[str], kl: Sequence[float]) -> Divergence:
        cut = [
            Window(document, 0, tuple(tokenizer.encode(text, add_special_tokens=False)))
            for document, text in enumerate(texts)
        ]
        return divergence("news", cut, torch.tensor(kl, dtype=torch.float64), tokenizer)

    return of


def test_every_token_is_in_one_bin_and_an_edge_belongs_to_the_bin_above(found: Found) -> None:
    one = found(["abcdef"], [0.0, 1.0, 1.5, 2.0, 100.0])
    filled = [(edge, count) for edge, count in zip(one.edges, one.counts, strict=True) if count]
    assert filled == [(0.0, 1), (1.0, 2), (10**0.25, 1), (EDGES[-1], 1)]
    assert dict(one.percentiles)[0.5] == 1.5
    assert dict(one.percentiles)[0.25] == 1.0


def test_the_worst_windows_come_first_and_short_ones_not_at_all(found: Found) -> None:
    texts = [f"window {number} is long enough to be shown" for number in range(PASSAGES + 2)]
    kl = [float(number) for number, text in enumerate(texts) for _ in text[1:]]
    one = found([*texts, "ab"], [*kl, 99.0])
    assert [passage.window for passage in one.passages] == [f"{number}/0" for number in range(7, 1, -1)]
    assert one.passages[0].mean == 7.0
    assert "".join(one.passages[0].texts) == "window 7 is long enough to be shown"


def test_of_a_long_window_the_stretch_with_the_largest_sum_is_kept(found: Found) -> None:
    text = "x" * 100 + "y" * PASSAGE_TOKENS + "z" * 50
    (passage,) = found([text], [2.0 if letter == "y" else 1.0 for letter in text[1:]]).passages
    assert (passage.start, "".join(passage.texts)) == (99, "x" + "y" * PASSAGE_TOKENS)
    assert passage.kl == (0.0, *(2.0,) * PASSAGE_TOKENS)


def test_a_letter_of_several_tokens_is_whole(found: Found) -> None:
    (passage,) = found(["aä€b"], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).passages
    assert passage.texts == ("a", "", "ä", "", "", "€", "b")


def test_it_comes_back_from_the_store_as_it_went_in(found: Found, tmp_path: Path) -> None:
    store = DuckdbStore(tmp_path / "s.duckdb")
    job = store.begin_job(Asked("p", "{}", "d"))
    stage = store.begin_stage("model", "key", "fidelity", "fidelity")
    kept = found(["A kettle ‘sang’."], [0.25] * 19)
    store.finish_stage(stage.id, divergence=kept)
    old = store.begin_stage("model", "older", "fidelity", "fidelity")
    store.finish_stage(old.id)
    store.save_run(Run("r", ModelSpec("small", "m"), "model"), job.id, [stage.id, old.id])
    assert store.run("r").divergences == (kept,)
