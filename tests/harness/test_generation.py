"""Batched answers against transformers' own generate, one prompt at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, MistralConfig

from harness.answering.generation import Prompt, answers, prompt_text
from harness.answering.rows import end_tokens
from harness.models.batching import Batching
from harness.models.opening import LoadedModel, open_spec
from harness.records import Answer, ModelSpec
from harness.scoring.sharing import shares_beginnings

DEFAULT = Batching()
ENDS = [2, *range(40, 80)]
"""So many of 259 tokens that some answers of a random model stop and some do not."""


@pytest.fixture
def loaded(tiny: Callable[[int], LoadedModel]) -> LoadedModel:
    made = tiny(3)
    made.model.generation_config.eos_token_id = ENDS
    return made


def asked(count: int = 23) -> list[Prompt]:
    """Prompts of many lengths and limits, and one that is the beginning of another."""
    line = "what is the capital of France and how does one count to ten?"
    texts = [line[number % 7 : number % 7 + 1 + number * 11 % 53] for number in range(count)]
    return [Prompt(f"case {n}", [{"role": "user", "content": text}], 3 + n * 7 % 20) for n, text in enumerate(texts)]


def answered(loaded: LoadedModel, prompts: list[Prompt], batching: Batching = DEFAULT) -> dict[str, Answer]:
    found: list[Answer] = []
    answers(replace(loaded, batching=batching), prompts, found.extend)
    assert len({answer.case for answer in found}) == len(found) == len(prompts)
    return {answer.case: answer for answer in found}


def alone(loaded: LoadedModel, prompt: Prompt) -> tuple[str, str]:
    """Text and finish by plain transformers: no batch, no shared beginning."""
    inputs = loaded.tokenizer(prompt_text(loaded, prompt.messages), add_special_tokens=False, return_tensors="pt")
    output = loaded.model.generate(**inputs, do_sample=False, max_new_tokens=prompt.max_new_tokens)
    new = output[0, inputs["input_ids"].shape[1] :].tolist()
    text = loaded.tokenizer.decode(
        [token for token in new if token not in end_tokens(loaded)], skip_special_tokens=True
    )
    return text.strip(), "stop" if new[-1] in end_tokens(loaded) else "length"


@pytest.mark.parametrize("rows", [1, 4, 64])
@pytest.mark.parametrize("shared_from", [1, 10_000])
def test_answers_are_those_of_each_prompt_alone(loaded: LoadedModel, rows: int, shared_from: int) -> None:
    found = answered(loaded, asked(), Batching(rows=rows, shared_from=shared_from))
    for prompt in asked():
        assert (found[prompt.case].text, found[prompt.case].finish) == alone(loaded, prompt)
    assert {answer.finish for answer in found.values()} == {"stop", "length"}


SIZES = {"vocab_size": 259, "hidden_size": 64}
OTHERS = {
    "sliding window": MistralConfig(
        **SIZES,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=16,
    ),
    "positions from the mask": BloomConfig(**SIZES, n_layer=2, n_head=4),
}


@pytest.mark.parametrize("family", OTHERS)
def test_a_model_that_reads_no_trees_answers_as_alone(loaded: LoadedModel, family: str) -> None:
    torch.manual_seed(0)
    other = replace(loaded, model=AutoModelForCausalLM.from_config(OTHERS[family]).eval())
    other.model.generation_config.eos_token_id = ENDS
    found = answered(other, asked(9))
    assert {p.case: (found[p.case].text, found[p.case].finish) for p in asked(9)} == {
        p.case: alone(other, p) for p in asked(9)
    }


def test_prompts_are_read_without_padding_and_what_they_share_once(loaded: LoadedModel) -> None:
    texts = ["to be or not to be, that is the question: " + end for end in ("yes", "no", "nobody knows")]
    texts += ["ten", *texts]
    prompts = [Prompt(f"case {n}", [{"role": "user", "content": text}], 1) for n, text in enumerate(texts)]
    read: list[int] = []
    shares_beginnings(loaded.model)
    hook = loaded.model.model.embed_tokens.register_forward_hook(lambda _, args, output: read.append(args[0].numel()))
    found = answered(loaded, prompts, Batching(shared_from=10_000))
    hook.remove()
    rows = [loaded.tokenizer(answer.prompt, add_special_tokens=False)["input_ids"] for answer in found.values()]
    assert sum(read) == len({tuple(row[:end]) for row in rows for end in range(1, len(row) + 1)})
    assert sum(read) < sum(map(len, rows)) / 3
    assert all((found[p.case].text, found[p.case].finish) == alone(loaded, p) for p in prompts)


@pytest.mark.parametrize("rows", [4, 48])
def test_a_prompt_whose_logits_are_not_numbers_spoils_no_other(loaded: LoadedModel, rows: int) -> None:
    (token,) = loaded.tokenizer("F", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        loaded.model.model.embed_tokens.weight[token] = torch.nan
    found = answered(loaded, asked(), Batching(rows=rows))
    whole = {prompt.case: "F" not in prompt.messages[0]["content"] for prompt in asked()}
    assert set(whole.values()) == {True, False}
    assert {case: answer.error is None for case, answer in found.items()} == whole


def test_an_answer_says_what_was_sent_and_how_much_was_written(loaded: LoadedModel) -> None:
    for prompt in asked():
        answer = answered(loaded, [prompt])[prompt.case]
        assert answer.prompt == f"<s>user: {prompt.messages[0]['content']}</s><s>assistant:"
        # Bytes, but one token for each of "<s>", "</s>", "<s>".
        assert answer.prompt_tokens == len(answer.prompt) - 3 - 4 - 3 + 3
        assert answer.new_tokens == prompt.max_new_tokens or answer.finish == "stop"
        assert answer.seconds > 0


def test_a_batch_is_no_larger_than_its_token_budget(loaded: LoadedModel) -> None:
    seen: list[torch.Size] = []
    hook = loaded.model.model.embed_tokens.register_forward_hook(lambda _, args, output: seen.append(args[0].shape))
    answered(loaded, asked(), Batching(tokens=300, shared_from=10_000))
    hook.remove()
    assert max(rows for rows, _ in seen) > 1
    assert all(rows * width <= 300 for rows, width in seen)


def test_prompts_that_cannot_be_asked_are_answered_with_the_reason(loaded: LoadedModel) -> None:
    loaded.tokenizer.chat_template = (
        "{% if messages[0]['role'] != 'user' %}{{ raise_exception('the user speaks first') }}{% endif %}"
        "{{ messages[0]['content'] }}"
    )
    prompts = [
        Prompt("long", [{"role": "user", "content": "x" * 1020}], 5),
        Prompt("just fits", [{"role": "user", "content": "x" * 1019}], 5),
        Prompt("refused", [{"role": "assistant", "content": "hello"}], 5),
        Prompt("empty", [{"role": "user", "content": ""}], 5),
    ]
    found = answered(loaded, prompts)
    errors = {case: answer.error for case, answer in found.items() if answer.text is None}
    assert errors == {
        "long": "the prompt is too long: 1020 tokens and 5 new ones, the model's context is 1024",
        "refused": "the chat template refuses the messages: TemplateError: the user speaks first",
        "empty": "the prompt is empty",
    }
    assert found["long"].finish == "error"
    assert found["just fits"].text is not None


def test_without_a_chat_template_messages_are_joined_plainly(loaded: LoadedModel) -> None:
    loaded.tokenizer.chat_template = None
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert answered(loaded, [Prompt("plain", messages, 4)])["plain"].prompt == "Be brief.\n\nHello"


def test_too_large_a_batch_is_halved(loaded: LoadedModel) -> None:
    expected = answered(loaded, asked())

    def refuse(module: torch.nn.Module, args: tuple[torch.Tensor]) -> None:
        if len(args[0]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = loaded.model.model.embed_tokens.register_forward_pre_hook(refuse)
    found = answered(loaded, asked())
    hook.remove()
    assert {case: answer.text for case, answer in found.items()} == {c: a.text for c, a in expected.items()}


def test_logits_that_are_not_numbers_are_no_answer(loaded: LoadedModel) -> None:
    with torch.no_grad():
        loaded.model.model.norm.weight[0] = torch.nan
    assert {answer.error for answer in answered(loaded, asked(3)).values()} == {
        "the model's logits are not numbers (NaN); the first value that is not finite comes out of model.norm"
    }


def test_a_checkpoint_may_not_bend_greedy_decoding(loaded: LoadedModel) -> None:
    expected = answered(loaded, asked())
    for name, value in {"do_sample": True, "temperature": 5.0, "repetition_penalty": 3.0, "top_k": 3}.items():
        setattr(loaded.model.generation_config, name, value)
    found = answered(loaded, asked())
    assert [replace(found[case], seconds=0) for case in expected] == [replace(a, seconds=0) for a in expected.values()]


@pytest.mark.slow
def test_the_embedded_model_answers_in_batches_as_alone() -> None:
    loaded = open_spec(ModelSpec("original", "smollm2-135m"))
    questions = ["What is the capital of France?", "What is 12 + 30?", "Name three fruits.", "Say hello in French."]
    lists = [f"{question}\n\n{number}. Answer briefly." for number in (1, 22) for question in questions]
    prompts = [Prompt(text, [{"role": "user", "content": text}], 24) for text in [*questions, *lists]]
    found = answered(loaded, prompts)
    assert "Paris" in str(found[questions[0]].text)
    differ = [p for p in prompts if (found[p.case].text, found[p.case].finish) != alone(loaded, p)]
    assert all(_near_tie(loaded, prompt, found[prompt.case]) for prompt in differ)


def _near_tie(loaded: LoadedModel, prompt: Prompt, answer: Answer) -> bool:
    """Whether the two best logits were within 1e-3 where the two answers part."""
    ours = loaded.tokenizer(str(answer.text), add_special_tokens=False)["input_ids"]
    theirs = loaded.tokenizer(alone(loaded, prompt)[0], add_special_tokens=False)["input_ids"]
    parted = next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
    )
    start = loaded.tokenizer(answer.prompt, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        best = loaded.model(torch.tensor([[*start, *ours[:parted]]])).logits[0, -1].topk(2).values
    return float(best[0] - best[1]) < 1e-3
