"""Before any work: does an endpoint answer, and can it do what a plan asks of it?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from harness.answering.generation import Prompt
from harness.endpoints import CHAT, answers, continuations
from harness.endpoints.connection import Connection, EndpointError, Patience, RefusedError
from harness.endpoints.continuations import Continuation
from harness.errors import HarnessError
from harness.records import Endpoint

FIRST = Patience(tries=3)
"""Somebody waits for the first answer; one that needs minutes to start is asked again by the same command."""
HINT = "; is the address complete? most end in /v1"


def refuse_unable(endpoint: Endpoint, needs: Collection[str]) -> None:
    """Ask the least of each kind that is needed. Raises HarnessError, one line, for the first that is not served."""
    connection = Connection(endpoint, FIRST)
    try:
        for what, ask in (ASKS[need] for need in ASKS if need in needs):
            _tried(connection, what, ask)
    finally:
        connection.close()


def _tried(connection: Connection, what: str, ask: Callable[[Connection], object]) -> None:
    url, model = connection.endpoint.url, connection.endpoint.model
    try:
        ask(connection)
    except RefusedError as error:
        raise HarnessError(f"endpoint {url}, model {model}: does not serve {what}: {error}") from error
    except EndpointError as error:
        hint = HINT if "status 404" in str(error) and not url.endswith("/v1") else ""
        raise EndpointError(f"{error}{hint}") from error


def _chats(connection: Connection) -> None:
    hello = [{"role": "user", "content": "Hi"}]
    answers.said(connection.post(answers.PATH, answers.chat(connection.endpoint.model, Prompt("", hello, 1))))


def _continues(connection: Connection) -> None:
    continuations.continued(connection, "Hi", (), 1)


def _scores(connection: Connection) -> None:
    """A server that ignores what it does not know answers too, but without log-probabilities."""
    continuations.scored(connection, Continuation("One, two, three,", " four"))


def _never(connection: Connection) -> None:
    raise RefusedError("they are cut by the model's own tokenizer and context; leave the benchmark out")


ASKS: Mapping[str, tuple[str, Callable[[Connection], None]]] = {
    CHAT: ("chat completions", _chats),
    "generate_until": ("completions", _continues),
    "loglikelihood": ("log-likelihoods, which are completions with echo and logprobs", _scores),
    "multiple_choice": ("log-likelihoods, which are completions with echo and logprobs", _scores),
    "loglikelihood_rolling": ("log-likelihoods of whole texts", _never),
}
