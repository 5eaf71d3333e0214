"""Log-probabilities of answers against a plain pass of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.answering.confidence import with_logprobs
from harness.answering.generation import Prompt, answers, prompt_tokens
from harness.errors import HarnessError
from harness.gates import Gate
from harness.inspection import loaded_suites
from harness.models.opening import LoadedModel
from harness.plan import Candidate, Model, Plan
from harness.records import Answer


def test_each_token_has_the_log_probability_of_a_plain_pass(tiny: Callable[[int], LoadedModel]) -> None:
    loaded = tiny(0)
    said: list[Answer] = []
    prompts = [Prompt(f"c{n}", [{"role": "user", "content": f"Say {n} twice"}], 6) for n in range(3)]
    answers(loaded, prompts, said.extend)
    for answer in with_logprobs(loaded, said):
        assert answer.tokens is not None
        prompt = prompt_tokens(loaded, answer.prompt)
        assert loaded.tokenizer.decode(answer.tokens, skip_special_tokens=True).strip() == answer.text
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([[*prompt, *answer.tokens]])).logits[0, len(prompt) - 1 : -1]
        plain = logits.log_softmax(-1)[torch.arange(len(answer.tokens)), torch.tensor(answer.tokens, dtype=torch.long)]
        assert answer.logprobs == pytest.approx(plain.tolist(), abs=1e-4)


def test_what_was_not_answered_stays_as_it_is(tiny: Callable[[int], LoadedModel]) -> None:
    silent = Answer("c", "p", None, "error", 1, 0, 0.0, "out of memory")
    empty = Answer("e", "p", "", "stop", 1, 1, 0.0, tokens=())
    assert with_logprobs(tiny(0), [silent, empty]) == [silent, Answer("e", "p", "", "stop", 1, 1, 0.0, None, (), ())]


def test_an_endpoint_is_not_asked_for_what_it_does_not_tell(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("tests: [{vars: {prompt: x}, assert: [{type: perplexity, threshold: 9}]}]\n")
    served = Candidate(endpoint="http://localhost:1/v1", model="m")
    gates = [Gate(metric="s.pass_rate", margin=0.1)]
    plan = Plan(
        name="p", original=Model(model="m"), candidates={"c": served}, suites=[f"{tmp_path}/s.yaml"], gates=gates
    )
    with pytest.raises(
        HarnessError, match=r"s\.yaml:1: .*perplexity cannot be checked here: .* an endpoint is not asked"
    ):
        loaded_suites(plan)
    with pytest.raises(HarnessError, match="none of the 1 cases has an assertion that can be checked here"):
        loaded_suites(plan.model_copy(update={"skip_unsupported": True}))
