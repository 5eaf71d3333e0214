"""Asking an endpoint, over real HTTP on loopback: the model's own answers, whatever the server does in between."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from harness.answering.generation import Prompt, answers
from harness.endpoints import (
    Connection,
    Continuation,
    EndpointError,
    Patience,
    RefusedError,
    continued,
    refuse_unable,
    scored,
    served_answers,
)
from harness.endpoints.connection import MOST_BYTES
from harness.endpoints.crowd import finished
from harness.errors import HarnessError
from harness.models.opening import LoadedModel
from harness.records import Answer, Endpoint
from tests.harness.endpoint_server import KEY, EndpointServer, Fault, Json, error, serving, slowly

QUICK = Patience(tries=3, first_seconds=0.01, most_seconds=0.02, most_asked_seconds=3.0)
FAR = "Sat, 28 Nov 2026 18:00:00 +99999999999999"
WORDS = ["stone", "river", "a", "glass of water", "one, two", "Äpfel", "x" * 40, "paper"]


@pytest.fixture(scope="module")
def model(tiny: Callable[[int], LoadedModel]) -> LoadedModel:
    return tiny(3)


@pytest.fixture
def server(model: LoadedModel) -> Iterator[EndpointServer]:
    with serving(EndpointServer(model)) as running:
        yield running


def prompts(words: Sequence[str] = WORDS) -> list[Prompt]:
    return [Prompt(word, [{"role": "user", "content": word}], 4 + len(word) % 3) for word in words]


def connected(server: EndpointServer, **settings: object) -> Connection:
    return Connection(Endpoint(server.url, "tiny", **settings), QUICK)  # type: ignore[arg-type]


def answered(connection: Connection, asked: Sequence[Prompt]) -> dict[str, Answer]:
    found: list[Answer] = []
    served_answers(connection, asked, found.extend)
    assert len({answer.case for answer in found}) == len(found)
    return {answer.case: answer for answer in found}


def test_answers_are_those_in_process_many_at_a_time(server: EndpointServer, model: LoadedModel) -> None:
    server.fault = slowly(0.05)
    found, here = answered(connected(server, concurrency=3), prompts()), []
    answers(model, prompts(), here.extend)
    assert {case: (a.text, a.finish, a.prompt_tokens, a.new_tokens) for case, a in found.items()} == {
        a.case: (a.text, a.finish, a.prompt_tokens, a.new_tokens) for a in here
    }
    assert all(answer.seconds >= 0.05 for answer in found.values())
    assert server.most_at_once == 3
    assert json.loads(found["a"].prompt) == [{"role": "user", "content": "a"}]
    (body,) = [body for body in server.asked if body["messages"][0]["content"] == "a"]
    assert body == {**body, "model": "tiny", "temperature": 0, "seed": 0, "max_tokens": 5}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(error(429, retry_after="0"), id="429"),
        pytest.param(error(429, retry_after=FAR), id="429 and no moment"),
        pytest.param(error(500), id="500"),
        pytest.param(error(503), id="503"),
        pytest.param((0, b"", {}), id="dropped"),
        pytest.param((200, b"<html>", {}), id="html"),
        pytest.param((200, b"[" * 9999, {}), id="deep"),
    ],
)
def test_what_may_pass_is_tried_again(server: EndpointServer, fault: Fault) -> None:
    server.fault = lambda path, body, number: fault if number < 2 else None
    assert answered(connected(server, concurrency=1), prompts(["stone"]))["stone"].text
    assert len(server.asked) == 3


@pytest.mark.parametrize("moment", [False, True], ids=["seconds", "date"])
def test_a_server_that_asks_to_wait_is_left_alone_so_long(server: EndpointServer, moment: bool) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=2.5), usegmt=True)
    server.fault = lambda path, body, number: None if number else error(429, retry_after=at if moment else "1")
    began = time.monotonic()
    answered(connected(server), prompts(["stone"]))
    assert 1.0 <= time.monotonic() - began < 4.0


def test_a_server_that_asks_to_wait_for_an_hour_is_down(server: EndpointServer) -> None:
    server.fault = lambda path, body, number: error(429, "quota", retry_after="3600")
    with pytest.raises(EndpointError, match="status 429: quota; it asks to wait 3600 s"):
        answered(connected(server), prompts(["stone"]))


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_case_that_finally_fails_is_not_answered_for_a_reason(server: EndpointServer, status: int) -> None:
    faults = {"river": error(status, "too\nlong \x1b[31m"), "Hi": error(400, "too short")}
    server.fault = lambda path, body, number: faults.get(body["messages"][0]["content"])
    found = answered(connected(server), prompts())
    often = ", 3 times" if status == 500 else ""
    assert [(a.text, a.finish, a.error) for a in found.values() if a.text is None] == [
        (None, "error", f"status {status}: too long [31m{often}")
    ]
    assert len(found) == len(WORDS)


def test_a_case_without_an_answer_in_time_is_not_answered(server: EndpointServer) -> None:
    def slow_river(path: str, body: Json, number: int) -> None:
        time.sleep(0.6 if body["messages"][0]["content"] == "river" else 0)

    server.fault = slow_river
    found = answered(connected(server, timeout_seconds=0.4), prompts(["stone", "river"]))
    assert found["stone"].text
    assert found["river"].error == "no answer within 0.4 s, 2 times"


def test_a_reply_that_drips_is_late_too(server: EndpointServer) -> None:
    server.drip_seconds = 0.02
    with pytest.raises(EndpointError, match=r"no answer within 0\.2 s"):
        answered(connected(server, timeout_seconds=0.2), prompts(["stone"]))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (error(500), "status 500: no, 3 times"),
        (error(502), "status 502: no, 3 times"),
        ((0, b"", {}), "the connection failed"),
        (error(401, "no such key"), "status 401: no such key"),
        (error(404, "no model tiny"), "status 404: no model tiny"),
        ((307, b"", {"location": "http://127.0.0.1:1/v1"}), "status 307: no reason given"),
    ],
)
def test_an_endpoint_that_goes_down_keeps_what_it_answered(server: EndpointServer, fault: Fault, said: str) -> None:
    server.fault = lambda path, body, number: fault if number >= 3 else None
    kept: list[Answer] = []
    with pytest.raises(EndpointError, match=f"endpoint {server.url}, model tiny: {said}"):
        served_answers(connected(server, concurrency=2), prompts(), kept.extend)
    assert len(kept) == 3
    assert all(answer.text is not None for answer in kept)


def test_nobody_there_is_one_line() -> None:
    connection = Connection(Endpoint("http://127.0.0.1:9/v1", "m"), QUICK)
    with pytest.raises(
        EndpointError, match=r"^endpoint http://127\.0\.0\.1:9/v1, model m: the connection failed .*3 times$"
    ):
        answered(connection, prompts())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "a reply without choices"),
        ({"choices": [None]}, "a reply without choices"),
        ({"choices": [{"finish_reason": "stop"}]}, "a reply without a message"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}, "ended by 'content_filter'"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": [1]}]}, "ended by 'no reason'"),
    ],
)
def test_a_reply_of_another_form_is_no_answer(server: EndpointServer, body: Json, said: str) -> None:
    server.fault = lambda path, asked, number: (200, json.dumps(body).encode(), {})
    assert said in str(answered(connected(server), prompts(["stone"]))["stone"].error)


def test_hostile_parts_of_a_reply_are_made_harmless(server: EndpointServer) -> None:
    usage = {"prompt_tokens": 10**30, "completion_tokens": "many"}
    body = {"choices": [{"message": {"content": " \ud800x "}, "finish_reason": "stop"}], "usage": usage}
    server.fault = lambda path, asked, number: (200, json.dumps(body).encode(), {})
    answer = answered(connected(server), prompts(["stone"]))["stone"]
    assert (answer.text, answer.prompt_tokens, answer.new_tokens) == ("?x", 0, 0)


def test_a_reply_without_end_is_cut_off(server: EndpointServer) -> None:
    server.fault = lambda path, body, number: (200, b"x" * (MOST_BYTES + 1), {})
    assert "larger than" in str(answered(connected(server), prompts(["stone"]))["stone"].error)


def test_the_key_is_sent_and_never_repeated(server: EndpointServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = KEY
    monkeypatch.setenv("MY_KEY", KEY)
    server.fault = lambda path, body, number: error(400, f"you said {KEY}")
    found = answered(connected(server, api_key_env="MY_KEY"), prompts(["stone"]))
    assert found["stone"].error == "status 400: you said [key]"
    monkeypatch.setenv("MY_KEY", KEY + "9")
    with pytest.raises(EndpointError, match=r"status 401: wrong key Bearer \[key\]"):
        answered(connected(server, api_key_env="MY_KEY"), prompts(["stone"]))
    for wrong in ("", "two words", "\x07"):
        monkeypatch.setenv("MY_KEY", wrong)
        with pytest.raises(HarnessError, match="MY_KEY"):
            connected(server, api_key_env="MY_KEY")


@pytest.mark.parametrize(
    ("context", "text"),
    [("What is", " copper"), ("Sentence. ", "One"), ("Äh", "pfel é"), ("a", "b")],
)
def test_a_continuation_is_scored_as_in_process(
    server: EndpointServer, model: LoadedModel, context: str, text: str
) -> None:
    from lm_eval.api.instance import Instance

    from harness.benchmarks import ScoringLM

    request = Instance("loglikelihood", {}, (context, text), 0)
    ((logprob, greedy),) = ScoringLM(model).loglikelihood([request])
    assert scored(connected(server), Continuation(context, text)) == (pytest.approx(logprob, abs=1e-4), greedy)
    # Where the tokens' own texts do not tell, the context is counted; in ASCII they do.
    assert len(server.asked) == (1 if (context + text).isascii() else 2)


def test_a_character_of_two_tokens_is_scored_whole(server: EndpointServer) -> None:
    """As vLLM shows it: the first of the two without text, the whole character with the second."""
    columns = {
        "tokens": ["of", "", " Ä", "th", "."],
        "token_logprobs": [None, -1.0, -2.0, -4.0, -8.0],
        "top_logprobs": [None, {"": -1.0}, {" Ä": -2.0}, {"th": -4.0}, {".": -8.0}],
    }
    body = {"choices": [{"logprobs": columns}], "usage": {"prompt_tokens": 4, "completion_tokens": 1}}
    server.fault = lambda path, asked, number: (200, json.dumps(body).encode(), {})
    assert scored(connected(server), Continuation("of", " Äth")) == (-7.0, True)
    assert len(server.asked) == 1


def test_a_text_goes_on_to_the_first_stop_string(server: EndpointServer) -> None:
    whole = continued(connected(server), "One, two", (), 12)
    assert continued(connected(server), "One, two", (whole[3:5],), 12) == whole.split(whole[3:5])[0]


@pytest.mark.parametrize(
    "columns",
    [
        None,
        "x",
        {},
        {"tokens": ["a"], "token_logprobs": [0.1], "top_logprobs": None},
        {"tokens": ["a", "b"], "token_logprobs": [None, "x"], "top_logprobs": [None, {}]},
    ],
)
def test_log_probabilities_of_another_form_are_refused(server: EndpointServer, columns: object) -> None:
    body = {"choices": [{"text": "ab", "logprobs": columns}]}
    server.fault = lambda path, asked, number: (200, json.dumps(body).encode(), {})
    with pytest.raises(RefusedError, match="log-probabilities of the prompt"):
        scored(connected(server), Continuation("a", "b"))


def test_what_an_endpoint_cannot_do_is_said_before_any_work(server: EndpointServer) -> None:
    endpoint = Endpoint(server.url, "tiny")
    refuse_unable(endpoint, {"chat", "generate_until", "multiple_choice"})
    assert server.texts() == ["One, two, three, four"]
    server.scores = False
    refuse_unable(endpoint, {"chat", "generate_until"})
    with pytest.raises(HarnessError, match=r"does not serve log-likelihoods.*: no log-probabilities of the prompt"):
        refuse_unable(endpoint, {"chat", "multiple_choice"})
    with pytest.raises(HarnessError, match="leave the benchmark out"):
        refuse_unable(endpoint, {"loglikelihood_rolling"})
    server.fault = lambda path, body, number: error(404, "Not Found")
    with pytest.raises(EndpointError, match=r"status 404: Not Found; is the address complete\? most end in /v1"):
        refuse_unable(Endpoint(server.url.removesuffix("/v1"), "tiny"), {"chat"})


def test_an_error_ends_the_crowd_and_loses_nothing_under_way() -> None:
    begun: list[int] = []
    slow = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise ValueError("two")
        if number == 1:
            slow.wait(0.2)
        return number

    found: list[int] = []
    with pytest.raises(ValueError, match="two"):
        found.extend(number for batch in finished(work, range(100), 2) for number in batch)
    assert sorted(found) == [number for number in sorted(begun) if number != 2]
    assert len(begun) < 50
