"""Scores against a plain pass over each request alone."""

from __future__ import annotations

import pytest
import torch
import transformers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from harness.errors import HarnessError
from harness.scoring import NotFiniteError, Request, context_length, engine, loglikelihoods
from harness.scoring.packing import passes
from harness.scoring.requests import rows
from harness.scoring.sharing import shares_beginnings
from harness.scoring.tree import grown


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


def plain(model: PreTrainedModel, request: Request) -> tuple[float, bool]:
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


@pytest.mark.parametrize("tokens", [1, 12, 100, 100_000])
@pytest.mark.parametrize("form", ["trees", "batches"])
def test_scores_are_those_of_each_request_alone(
    model: LlamaForCausalLM, form: str, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BATCH_TOKENS", tokens)
    monkeypatch.setattr(engine, "ROW_TOKENS", {"cpu": tokens})
    monkeypatch.setattr("harness.scoring.shares_beginnings", lambda model: form == "trees")
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


FAMILY = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GATED = {**FAMILY, "intermediate_size": 48, "num_key_value_heads": 2, "initializer_range": 0.3}
SHARING = {
    "gpt2": transformers.GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "opt": transformers.OPTConfig(**FAMILY, ffn_dim=48, word_embed_proj_dim=32, max_position_embeddings=64),
    "gpt_neox": transformers.GPTNeoXConfig(**FAMILY, intermediate_size=48),
    "qwen3": transformers.Qwen3Config(**GATED, head_dim=8),
    "granite": transformers.GraniteConfig(**GATED),
    "mistral, no window": transformers.MistralConfig(**GATED, sliding_window=None),
}
NOT_SHARING = {
    "bloom, positions from the mask": transformers.BloomConfig(vocab_size=97, hidden_size=32, n_layer=2, n_head=4),
    "mistral, sliding window": transformers.MistralConfig(**GATED, sliding_window=8),
    "gemma3, window in some layers": transformers.Gemma3TextConfig(**GATED, head_dim=8),
    "mamba, running state": transformers.MambaConfig(vocab_size=97, hidden_size=32, num_hidden_layers=2, state_size=4),
}


@pytest.mark.parametrize("name", [*SHARING, *NOT_SHARING])
def test_beginnings_are_shared_where_the_model_allows_it_and_scores_are_the_same(name: str) -> None:
    torch.manual_seed(0)
    config = (SHARING | NOT_SHARING)[name]
    tiny: PreTrainedModel = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in tiny.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    assert shares_beginnings(tiny) == (name in SHARING)
    asked = requests()[:40]
    for request, score in zip(asked, loglikelihoods(tiny, asked), strict=True):
        assert score.logprob == pytest.approx(plain(tiny, request)[0], abs=2e-4)


def looked_at(model: PreTrainedModel, asked: list[Request]) -> list[int]:
    """Tokens of each pass that scores the requests."""
    seen: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    todo = rows(asked, context_length(model))
    scores = [found for part in engine.in_trees(model, todo, asked) for found in part]
    hook.remove()
    assert sorted(scores) == list(range(len(asked)))
    return seen


def test_what_rows_share_is_read_once(model: LlamaForCausalLM) -> None:
    # A question of 10 tokens with four answers of 3 (the last token of a row is not read), and twenty answers of one
    # token after a question of 3: one row of 10 + 4 * 2 + 3 tokens.
    question = tuple(range(10, 20))
    asked = [Request(question, (answer, 5, 6)) for answer in range(4)]
    asked += [Request((1, 2, 3), (token,)) for token in range(20)]
    assert looked_at(model, asked) == [21]


def test_a_trunk_shared_by_many_is_read_once_and_kept(model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ROW_TOKENS", {"cpu": 16})
    examples = tuple(range(20))
    asked = [Request((*examples, first, 7, 8), (answer,)) for first in range(30, 40) for answer in (1, 2)]
    # 20 tokens of examples, then ten questions of 3 tokens in rows of 16.
    assert looked_at(model, asked) == [20, 15, 15]


def test_rows_that_each_begin_the_next_need_no_deep_recursion(model: LlamaForCausalLM) -> None:
    text = tuple(torch.randint(97, (1500,), generator=torch.Generator().manual_seed(2)).tolist())
    asked = [Request(text[:end], (text[end],)) for end in range(1, 1500)]
    forest = grown(rows(asked, 2000), asked)
    assert [step.tokens for step in passes(forest, 256)] == [1499]


def test_memory_that_does_not_suffice_changes_no_score(model: LlamaForCausalLM) -> None:
    asked = requests()
    expected = loglikelihoods(model, asked)

    def too_much(module: object, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        if kwargs["input_ids"].numel() > 60:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    hook = model.register_forward_pre_hook(too_much, with_kwargs=True)
    found = loglikelihoods(model, asked)
    hook.remove()
    assert [score.greedy for score in found] == [score.greedy for score in expected]
    assert [score.logprob for score in found] == pytest.approx([score.logprob for score in expected], abs=1e-4)


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
    with pytest.raises(NotFiniteError, match=r"log-likelihood is NaN; .* comes out of model\.norm$"):
        loglikelihoods(broken, [Request((1, 2), (3,))])
