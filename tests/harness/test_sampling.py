"""Drawn answers: by their probabilities, and the same whatever they are batched with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from harness.answering.generation import Prompt, answers
from harness.answering.rows import Row
from harness.answering.sampling import chosen, seed_of
from harness.endpoints import served_answers
from harness.endpoints.connection import Connection
from harness.models.batching import Batching
from harness.models.opening import LoadedModel
from harness.records import Answer, Endpoint
from suites.sampling import Sampling
from tests.harness.endpoint_server import EndpointServer, serving

DRAWN = Sampling(temperature=0.9, top_p=0.95, seed=3)


def shares(logits: list[float], sampling: Sampling, draws: int = 5_000) -> list[float]:
    """How often each token is drawn, each time by another seed."""
    rows = [Row([1], 1, sampling, seed) for seed in range(draws)]
    tokens = chosen(torch.tensor(logits).expand(draws, -1), rows, [0] * draws).flatten()
    return [int((tokens == token).sum()) / draws for token in range(len(logits))]


def test_tokens_are_drawn_by_their_probability() -> None:
    """Five standard errors of a share among 5,000 are at most 0.036."""
    logits = [0.0, 2.0, -1.0, 1.0]
    for temperature in (0.5, 1.0, 2.0):
        expected = (torch.tensor(logits) / temperature).softmax(0).tolist()
        assert shares(logits, Sampling(temperature)) == pytest.approx(expected, abs=0.036)


def test_top_p_leaves_the_likeliest_tokens_that_have_so_much_together() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist()
    assert shares(logits, Sampling(1.0, top_p=0.8)) == pytest.approx([0.625, 0.375, 0, 0], abs=0.036)
    assert shares(logits, Sampling(1.0, top_p=0.81)) == pytest.approx([0.526, 0.316, 0.158, 0], abs=0.036)
    assert shares(logits, Sampling(1.0, top_p=0.1)) == [1, 0, 0, 0]


def test_a_vocabulary_whose_likeliest_tokens_do_not_suffice_is_drawn_from_whole() -> None:
    """Even 1,000 of 2,000 tokens of equal logits have only half of the probability."""
    drawn = {
        int(chosen(torch.zeros(1, 2000), [Row([1], 1, Sampling(1.0, top_p=0.999), seed)], [0])) for seed in range(300)
    }
    assert len(drawn) > 250
    assert max(drawn) > 1900


def asked(repeats: int = 2) -> list[Prompt]:
    texts = ["hello", "what is the capital of France?", "one two three four", "count to ten"]
    return [
        Prompt(f"case {n}", [{"role": "user", "content": text}], 12, DRAWN, repeat)
        for repeat in range(repeats)
        for n, text in enumerate(texts)
    ]


def answered(loaded: LoadedModel, prompts: list[Prompt], rows: int = 48) -> dict[tuple[str, int], str | None]:
    found: list[Answer] = []
    answers(replace(loaded, batching=Batching(rows=rows)), prompts, found.extend)
    return {(answer.case, answer.repeat): answer.text for answer in found}


def test_answers_do_not_depend_on_their_batch(tiny: Callable[[int], LoadedModel]) -> None:
    together = answered(tiny(0), asked())
    assert len(set(together.values())) == len(together), "each case and repeat draws by itself"
    assert answered(tiny(0), asked(), rows=3) == together
    assert answered(tiny(0), asked()[5:6]) == {("case 1", 1): together["case 1", 1]}
    other = [replace(prompt, sampling=replace(DRAWN, seed=4)) for prompt in asked()]
    assert answered(tiny(0), other) != together


def test_nor_where_the_model_is_asked_by_transformers_own_loop(tiny: Callable[[int], LoadedModel]) -> None:
    torch.manual_seed(0)
    loaded = tiny(0)
    size = {name: getattr(loaded.model.config, name) for name in ("vocab_size", "hidden_size", "intermediate_size")}
    config = MistralConfig(**size, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, sliding_window=16)
    windowed = replace(loaded, model=MistralForCausalLM(config).eval())
    together = answered(windowed, asked())
    assert answered(windowed, asked(), rows=1) == together
    assert len(set(together.values())) > 4


@pytest.fixture
def server(tiny: Callable[[int], LoadedModel]) -> Iterator[EndpointServer]:
    with serving(EndpointServer(tiny(0))) as running:
        yield running


def test_an_endpoint_is_asked_with_the_same_seeds(server: EndpointServer) -> None:
    connection = Connection(Endpoint(server.url, "tiny"))
    found: list[Answer] = []
    served_answers(connection, asked(), found.extend)
    connection.close()
    assert {(answer.case, answer.repeat) for answer in found} == {(one.case, one.repeat) for one in asked()}
    assert {body["seed"] for body in server.asked} == {seed_of(DRAWN, one.case, one.repeat) for one in asked()}
    assert {(body["temperature"], body["top_p"]) for body in server.asked} == {(0.9, 0.95)}
    assert max(body["seed"] for body in server.asked) < 2**31
