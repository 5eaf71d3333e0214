"""Scores against a plain pass over each request alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from harness.errors import HarnessError
from harness.scoring import NotFiniteError, Request, context_length, loglikelihoods


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def plain(model: LlamaForCausalLM, request: Request) -> tuple[float, bool]:
    """One request, one row, all logits."""
    tokens = (request.context + request.continuation)[-(context_length(model) + 1) :]
    with torch.no_grad():
        logits = model(torch.tensor([tokens[:-1]])).logits[0]
    targets = torch.tensor(request.continuation)
    chosen = functional.log_softmax(logits.float(), dim=-1)[-len(targets) :]
    return chosen.gather(1, targets[:, None]).sum().item(), bool((chosen.argmax(-1) == targets).all())


def requests() -> list[Request]:
    """Contexts of many lengths, continuations of 1 to 5 tokens, some shared rows, some greedy, some too long."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for length in [1, 2, 3, 5, 8, 13, 21, 34, 38, 40, 55]:
        context = tuple(torch.randint(97, (length,), generator=generator).tolist())
        for size in (1, 1, 1, 2, 5):
            made.append(Request(context, tuple(torch.randint(97, (size,), generator=generator).tolist())))
        made.append(Request(context[:-1] or context, (*context[-1:], *made[-2].continuation)))
    return made


@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_scores_are_those_of_each_request_alone(
    model: LlamaForCausalLM, batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.scoring.BATCH_TOKENS", batch_tokens)
    asked = requests()
    for request, score in zip(asked, loglikelihoods(model, asked), strict=True):
        logprob, greedy = plain(model, request)
        assert score.logprob == pytest.approx(logprob, abs=1e-4)
        assert score.greedy == greedy


def test_the_most_likely_continuation_is_greedy(model: LlamaForCausalLM) -> None:
    context = (5, 6, 7)
    with torch.no_grad():
        best = int(model(torch.tensor([context])).logits[0, -1].argmax())
    scores = loglikelihoods(model, [Request(context, (best,)), Request(context, ((best + 1) % 97,))])
    assert [score.greedy for score in scores] == [True, False]


def test_requests_on_one_row_need_one_pass(model: LlamaForCausalLM) -> None:
    rows: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    loglikelihoods(model, [Request((1, 2, 3), (token,)) for token in range(20)] + [Request((1, 2), (3, 9))])
    hook.remove()
    assert rows == [1]


def test_tokens_cut_from_the_left_are_counted(model: LlamaForCausalLM) -> None:
    scores = loglikelihoods(model, [Request(tuple(range(1, 45)), (1, 2)), Request((1,), (2,))])
    assert [score.cut for score in scores] == [5, 0]


def test_progress_ends_at_the_number_of_requests(model: LlamaForCausalLM) -> None:
    seen: list[tuple[str, int, int]] = []
    loglikelihoods(model, requests(), lambda what, done, total: seen.append((what, done, total)))
    assert seen[-1] == ("scoring", len(requests()), len(requests()))


def test_an_empty_part_is_refused(model: LlamaForCausalLM) -> None:
    with pytest.raises(HarnessError, match="request 1: the continuation has no token"):
        loglikelihoods(model, [Request((1,), (2,)), Request((1,), ())])


def test_nan_is_named(model: LlamaForCausalLM) -> None:
    broken = LlamaForCausalLM(model.config).eval()
    broken.load_state_dict(model.state_dict())
    broken.model.norm.weight.data[3] = float("nan")
    with pytest.raises(NotFiniteError, match="request 0: the model's log-likelihood is NaN"):
        loglikelihoods(broken, [Request((1, 2), (3,))])
