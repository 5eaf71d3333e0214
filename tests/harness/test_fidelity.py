"""Fidelity against a plain computation with both models in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from harness.errors import HarnessError
from harness.fidelity.corpus import Corpus, load_corpora, windows
from harness.fidelity.measure import (
    FidelityRefusedError,
    measure_fidelity,
    not_measured,
    original_perplexity,
    over_corpora,
    reference,
)
from harness.models.opening import LoadedModel
from harness.plan import Fidelity
from harness.scoring import NotFiniteError

CORPUS = Corpus(
    "test",
    (
        "The river bent twice before the mill, and the road bent with it.",
        "Ask.",
        "A kettle sang. Nobody came. " * 6,
        "Never read: the budget of tokens ends before this document.",
    ),
    window=50,
    tokens=230,
)


@dataclass(frozen=True)
class Opened:
    """An original that counts how often it is opened."""

    model: LoadedModel
    openings: list[str]

    @property
    def fingerprint(self) -> str:
        return self.model.fingerprint

    def loaded(self) -> LoadedModel:
        self.openings.append(self.fingerprint)
        return self.model


def measured(before: LoadedModel, after: LoadedModel, folder: Path) -> dict[str, float]:
    path = reference(Opened(before, []), CORPUS, folder)
    return {measurement.metric: measurement.value for measurement in measure_fidelity(path, after, CORPUS).measurements}


def test_values_are_those_of_a_plain_computation(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    before, after = tiny(0), tiny(0)
    with torch.no_grad():
        after.model.lm_head.weight += 0.4 * torch.randn(after.model.lm_head.weight.shape)
    kls, same, ratios, nlls = [], [], [], []
    for window in windows(CORPUS, before.tokenizer):
        ids = torch.tensor([window.tokens])
        with torch.no_grad():
            p, q = (each.model(ids).logits[0, :-1].log_softmax(-1) for each in (before, after))
        kls.append(functional.kl_div(q, p, log_target=True, reduction="none").sum(-1))
        same.append((p.argmax(-1) == q.argmax(-1)).float())
        nlls.append(functional.nll_loss(q, ids[0, 1:], reduction="none"))
        ratios.append(nlls[-1] - functional.nll_loss(p, ids[0, 1:], reduction="none"))

    path = reference(Opened(before, []), CORPUS, tmp_path)
    found = {one.metric.removeprefix("fidelity."): one for one in measure_fidelity(path, after, CORPUS).measurements}
    kl, top1, ratio, perplexity = (found[name] for name in ("kl", "top1", "perplexity_ratio", "perplexity"))
    # float16 hidden states: relative error up to 2**-11 each.
    assert [item.value for item in kl.items] == pytest.approx([part.mean().item() for part in kls], rel=1e-3)
    assert kl.value == pytest.approx(torch.cat(kls).mean().item(), rel=1e-3)
    assert [item.value for item in top1.items] == pytest.approx([part.mean().item() for part in same])
    assert [item.value for item in ratio.items] == pytest.approx([part.mean().item() for part in ratios], abs=1e-5)
    assert ratio.value == pytest.approx(torch.cat(ratios).mean().exp().item(), rel=1e-5)
    assert perplexity.value == pytest.approx(torch.cat(nlls).mean().exp().item(), rel=1e-5)
    assert original_perplexity(path, CORPUS).value * ratio.value == pytest.approx(perplexity.value, rel=1e-6)
    assert found["kl_p99"].value == pytest.approx(torch.cat(kls).quantile(0.99).item(), rel=1e-3)
    assert found["kl_max"].value == pytest.approx(torch.cat(kls).max().item(), rel=1e-3)
    changes = torch.cat([(-b).exp() - (-(b - r)).exp() for b, r in zip(nlls, ratios, strict=True)])
    assert found["probability_change"].value == pytest.approx(changes.mean().item(), abs=1e-6)
    assert found["probability_rms"].value == pytest.approx(changes.square().mean().sqrt().item(), rel=1e-4)
    assert 0 < top1.value < 1
    assert kl.value > 0.1


def test_a_model_is_itself(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    """Only the float16 of the kept hidden states is between the two: it shows in the KL divergence alone."""
    values = measured(tiny(0), tiny(0), tmp_path)
    assert values["fidelity.kl"] < 1e-6
    assert values["fidelity.top1"] == 1.0
    assert values["fidelity.perplexity_ratio"] == pytest.approx(1.0, abs=1e-6)


def test_items_are_windows_in_documents(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    """One token a byte: 64 bytes are windows of 50 and 14; 4 one; 168 are cut at 230 - 68 = 162."""
    path = reference(Opened(tiny(0), []), CORPUS, tmp_path)
    kl = measure_fidelity(path, tiny(1), CORPUS).measurements[0]
    assert [(item.id, item.cluster, item.weight) for item in kl.items] == [
        ("0/0", "0", 49.0),
        ("0/1", "0", 13.0),
        ("1/0", "1", 3.0),
        ("2/0", "2", 49.0),
        ("2/1", "2", 49.0),
        ("2/2", "2", 49.0),
        ("2/3", "2", 11.0),
    ]
    assert kl.value == pytest.approx(math.fsum(item.value * item.weight for item in kl.items) / 223)


def test_the_original_runs_once(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    original = Opened(tiny(0), [])
    first = reference(original, CORPUS, tmp_path)
    assert reference(original, CORPUS, tmp_path) == first
    assert len(original.openings) == 1
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_a_broken_reference_is_made_again(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    original = Opened(tiny(0), [])
    path = reference(original, CORPUS, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(HarnessError, match="not a reference of an original"):
        measure_fidelity(path, tiny(1), CORPUS)
    assert reference(original, CORPUS, tmp_path).read_bytes() == whole
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(HarnessError, match="its content is damaged"):
        measure_fidelity(path, tiny(1), CORPUS)
    assert reference(original, CORPUS, tmp_path).read_bytes() == whole


def test_another_corpus_has_another_reference(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    narrow = Corpus(CORPUS.name, CORPUS.documents, 20, CORPUS.tokens)
    original = Opened(tiny(0), [])
    assert reference(original, CORPUS, tmp_path) != reference(original, narrow, tmp_path)


def test_other_tokens_are_refused(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    other = tiny(1)
    other.tokenizer.add_tokens(["kettle"])
    with pytest.raises(FidelityRefusedError, match="tiny-1: its tokenizer cuts the corpus into other tokens"):
        measured(tiny(0), other, tmp_path)


def test_another_vocabulary_is_refused(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    other = tiny(1)
    other.model.resize_token_embeddings(300)
    with pytest.raises(FidelityRefusedError, match="a vocabulary of 300 tokens, the original's has 259"):
        measured(tiny(0), other, tmp_path)


def test_nan_is_named(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    broken = tiny(1)
    broken.model.model.norm.weight.data[0] = float("nan")
    with pytest.raises(
        NotFiniteError, match=r"tiny-1: its log-likelihood is not finite on .*; the first .* comes out of model\.norm$"
    ):
        measured(tiny(0), broken, tmp_path)


def test_files_of_text(tmp_path: Path) -> None:
    lines, blocks, plain = (tmp_path / name for name in ("a.jsonl", "b.txt", "c.txt"))
    lines.write_text("\n".join(json.dumps({"page": text}) for text in ("One.", "Two\n\nstill two.")))
    blocks.write_text("One.\nStill one.\n\nTwo.\n")
    plain.write_text("One.\nTwo.\n")
    assert load_corpora(Fidelity(corpus=str(lines), field="page"))[0].documents == ("One.", "Two\n\nstill two.")
    assert load_corpora(Fidelity(corpus=str(blocks)))[0].documents == ("One.\nStill one.", "Two.")
    assert load_corpora(Fidelity(corpus=str(plain)))[0].documents == ("One.", "Two.")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"text": "One."}\n{"body": "Two."}', r"a.jsonl:2: no text in field 'text'; the line has: body"),
        ("a.jsonl", '{"text": "One."}\n{"text', r"a.jsonl:2: not JSON"),
        ("a.txt", " \n", r"a.txt: no text in it"),
        ("a.csv", "One.", r"a.csv: a fidelity corpus is a .txt or a .jsonl file, or builtin"),
    ],
)
def test_a_bad_corpus_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(HarnessError, match=message):
        load_corpora(Fidelity(corpus=str(tmp_path / name)))


def test_over_several_corpora_each_counts_the_same(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    before, after = tiny(0), tiny(1)
    short = Corpus("short", ("A kettle sang.",), 50, 100, "short")
    parts = {}
    for corpus in (replace(CORPUS, label="long"), short):
        path = reference(Opened(before, []), corpus, tmp_path)
        parts[corpus.label] = measure_fidelity(path, after, corpus).measurements
    alone = {one.metric: one.value for measured in parts.values() for one in measured}
    kl, top1, ratio, _ = over_corpora(parts)
    assert kl.metric == "fidelity.kl"
    assert kl.value == pytest.approx((alone["fidelity.long.kl"] + alone["fidelity.short.kl"]) / 2)
    both = alone["fidelity.long.perplexity_ratio"] * alone["fidelity.short.perplexity_ratio"]
    assert ratio.value == pytest.approx(both**0.5)
    assert {item.cluster for item in top1.items} == {"long/0", "long/1", "long/2", "short/0"}
    missing = over_corpora({**parts, "short": not_measured("short")})
    assert math.isnan(missing[0].value)
