"""Prompts -> answers of an endpoint, by chat completions, many at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal

from harness.answering.generation import Prompt
from harness.endpoints.connection import Body, Connection, RefusedError, Reply
from harness.endpoints.crowd import finished
from harness.endpoints.replies import choice_of, text_of, tokens_of
from harness.progress import Progress, silent
from harness.records import Answer

PATH = "chat/completions"
ENDS: dict[object, Literal["stop", "length"]] = {"stop": "stop", "length": "length"}
"""What a server gives as the reason of an end -> what we call it; an answer that ends for another reason is none."""


def served_answers(
    connection: Connection,
    prompts: Sequence[Prompt],
    on_batch: Callable[[list[Answer]], None],
    progress: Progress = silent,
) -> None:
    """Answer every prompt once, handing answers to `on_batch` as they come.

    `Answer.text` is without white space at its two ends, as in process; `Answer.seconds` is of the one request that was
    answered. A prompt that the endpoint refuses, or fails on again and again while it answers others, gets an answer
    with `text` None and the reason. Raises EndpointError when the endpoint answers nothing any more; what was under
    way and is still answered has been handed over then.
    """
    done = 0
    progress("answers", done, len(prompts))
    asked = finished(lambda prompt: _answer(connection, prompt), prompts, connection.endpoint.concurrency)
    for batch in asked:
        on_batch(batch)
        done += len(batch)
        progress("answers", done, len(prompts))


def chat(model: str, prompt: Prompt) -> Body:
    """A request for one answer."""
    drawn = prompt.sampling
    how = {"temperature": drawn.temperature, "top_p": drawn.top_p} if drawn else {"temperature": 0}
    asked = {"model": model, "messages": list(prompt.messages), "max_tokens": prompt.max_new_tokens}
    return {**asked, **how, "seed": prompt.seed}


def said(reply: Reply) -> tuple[str, Literal["stop", "length"]]:
    """The text of an answer, and why it ended. Raises RefusedError if it is none."""
    choice = choice_of(reply)
    message, reason = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict):
        raise RefusedError("a reply without a message")
    if not isinstance(reason, str) or reason not in ENDS:
        raise RefusedError(f"the answer ended by {text_of(reason)[:40] or 'no reason'!r}, not by stop or length")
    return text_of(message.get("content")).strip(), ENDS[reason]


def _answer(connection: Connection, prompt: Prompt) -> Answer:
    sent = text_of(json.dumps(list(prompt.messages), ensure_ascii=False))
    try:
        reply = connection.post(PATH, chat(connection.endpoint.model, prompt))
        text, finish = said(reply)
    except RefusedError as error:
        return Answer(prompt.case, sent, None, "error", 0, 0, 0.0, str(error), repeat=prompt.repeat)
    counts = tokens_of(reply, "prompt_tokens"), tokens_of(reply, "completion_tokens")
    return Answer(prompt.case, sent, text, finish, *counts, seconds=reply.seconds, repeat=prompt.repeat)
