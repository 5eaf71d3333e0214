"""Plain text -> what an endpoint writes after it, or the log-likelihood it gives to what stands there.

No tokenizer is needed: the server says which tokens a text has. Where a continuation begins among them is lm-eval's
rule: behind as many tokens as the context has alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.endpoints.connection import Body, Connection, RefusedError, Reply
from harness.endpoints.replies import choice_of, text_of, tokens_of

PATH = "completions"


@dataclass(frozen=True)
class Continuation:
    """A text to score after another; together they are what the model reads."""

    context: str
    text: str

    @property
    def parts(self) -> tuple[str, str]:
        """White space at the end of the context belongs to what follows, as in lm-eval."""
        context = self.context.rstrip()
        return context, self.context[len(context) :] + self.text


@dataclass(frozen=True)
class _Token:
    text: str
    logprob: float | None
    """None: nothing stands before it."""
    best: float
    """Log-probability of the most likely token in its place."""


def scored(connection: Connection, asked: Continuation) -> tuple[float, bool]:
    """(log-probability, greedy) of a continuation after its context.

    Raises RefusedError where the endpoint does not say log-probabilities of what it reads.
    """
    context, continuation = asked.parts
    tokens = _read(connection.post(PATH, scoring(connection.endpoint.model, context + continuation)))
    start = _first(tokens, continuation)
    if start is None:
        reply = connection.post(PATH, plain(connection.endpoint.model, context, 1))
        start = tokens_of(reply, "prompt_tokens")
    chosen = tokens[start:]
    values = [token.logprob for token in chosen if token.logprob is not None]
    if not chosen or len(values) < len(chosen):
        raise RefusedError(f"no log-probability for each token of {continuation[:40]!r}")
    return math.fsum(values), all(value >= token.best for value, token in zip(values, chosen, strict=True))


def continued(connection: Connection, prompt: str, until: Sequence[str], new_tokens: int) -> str:
    """What follows a text, greedily, up to the first of some strings."""
    body = {**plain(connection.endpoint.model, prompt, new_tokens), **({"stop": list(until)} if until else {})}
    text = text_of(choice_of(connection.post(PATH, body)).get("text"))
    # Some servers leave the string at which they stopped in the text.
    for end in until:
        text = text.partition(end)[0]
    return text


def plain(model: str, prompt: str, new_tokens: int) -> Body:
    """A request to go on after a text, greedily."""
    return {"model": model, "prompt": prompt, "max_tokens": new_tokens, "temperature": 0, "seed": 0}


def scoring(model: str, text: str) -> Body:
    """A request for the log-probabilities of a text; a token must be written too."""
    return {**plain(model, text, 1), "echo": True, "logprobs": 1}


def _read(reply: Reply) -> list[_Token]:
    """The tokens of the text that was sent, without what was written behind it."""
    found = choice_of(reply).get("logprobs")
    names = ("tokens", "token_logprobs", "top_logprobs")
    columns = [found.get(name) for name in names] if isinstance(found, dict) else []
    if not columns or not all(isinstance(column, list) for column in columns):
        raise RefusedError("no log-probabilities of the prompt in the reply")
    written = tokens_of(reply, "completion_tokens") or 1
    try:
        tokens = [_token(*row) for row in zip(*columns, strict=True)]
    except (TypeError, ValueError) as error:
        raise RefusedError("log-probabilities of the prompt of another form") from error
    if len(tokens) <= written:
        raise RefusedError("no log-probabilities of the prompt in the reply")
    return tokens[:-written]


def _token(text: object, logprob: object, best: object) -> _Token:
    """Raises TypeError or ValueError for a row that is not one."""
    if logprob is None:
        return _Token(text_of(text), None, 0.0)
    values = [float(value) for value in best.values()] if isinstance(best, dict) else []
    return _Token(text_of(text), float(logprob), max(values))  # type: ignore[arg-type]


def _first(tokens: Sequence[_Token], continuation: str) -> int | None:
    """Where the tokens begin that are exactly the continuation; None if the text of tokens does not tell."""
    place, text = len(tokens), ""
    # A token without text is the first part of a character that the next one completes.
    while place and (len(text) < len(continuation) or not tokens[place - 1].text):
        place -= 1
        text = tokens[place].text + text
    return place if text == continuation else None
