"""Requests of PromptLayer's history -> a suite in YAML, one case a request."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from harness.errors import HarnessError
from harness.telling.outbox import PACE, NotSentError, Pace
from harness.telling.promptlayer import Client, connected
from harness.telling.registry import ROLES, content_of, literal
from harness.telling.sharing import Sharing, redacted
from suites.assertions import load

MOST_CALLS = 2000
TRIES = 6
ANSWER = "logged"
"""The variable of a case that holds what was answered then."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Wanted:
    """Which requests, and what to make of them."""

    account: str
    """The variable that holds the API key."""
    tags: Sequence[str] = ()
    """All of them."""
    metadata: Sequence[tuple[str, str]] = ()
    """All of them, key and value."""
    most: int = 100
    """The newest so many."""
    redact: Sequence[str] = ()
    """Regular expressions, blacked out before anything is written."""
    type: str | None = None
    """The assertion that holds a new answer against the logged one; None: nothing is asserted."""

    @property
    def filters(self) -> list[dict[str, str]]:
        tagged = [{"field": "tags", "operator": "contains", "value": tag} for tag in self.tags]
        named = [
            {"field": "metadata", "operator": "key_equals", "nested_key": key, "value": value}
            for key, value in self.metadata
        ]
        return [*tagged, *named]


@dataclass(frozen=True)
class Logged:
    """One request: what was asked, and what was answered."""

    number: int
    messages: tuple[dict[str, str], ...]
    answer: str


def remembered(wanted: Wanted, pace: Pace = PACE) -> Iterator[str]:
    """Yield the text of a suite, piece by piece.

    The last piece is a comment on what was left out. Raises HarnessError if nothing is found that can be asked.
    """
    if wanted.type is not None:
        load(wanted.type.removeprefix("not-"))
    key = os.environ.get(wanted.account, "").strip()
    if not key:
        raise HarnessError(f"{wanted.account} is not set, so nothing can be asked of PromptLayer")
    hide = _hidden(wanted)
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    yield "description: made from PromptLayer's request history\ntests:\n"
    with connected(key, pace, MOST_CALLS) as client:
        for number in _numbers(client, wanted, pace):
            try:
                logged = logged_of(number, _patiently(partial(client.request, number), pace))
            except ValueError as error:
                left_out[str(error)] += 1
                continue
            case = _case(logged, wanted.type, hide)
            asked = yaml.safe_dump(case["messages"])
            if asked in seen:
                left_out["it asks what another one asks"] += 1
                continue
            seen.add(asked)
            yield yaml.safe_dump([case], allow_unicode=True, sort_keys=False, width=110)
    if not seen:
        said = "; ".join(f"{count}: {why}" for why, count in left_out.items()) or "none was found"
        raise HarnessError(f"no request of PromptLayer's history can be asked ({said})")
    yield from (f"# left out, {count}: {why}\n" for why, count in left_out.items())


def _hidden(wanted: Wanted) -> list[str]:
    try:
        return Sharing(redact=list(wanted.redact)).hidden(wanted.account)
    except ValidationError as error:
        raise HarnessError(f"--redact: {error.errors()[0]['msg']}") from error


def _numbers(client: Client, wanted: Wanted, pace: Pace) -> Iterator[int]:
    """Ids of the newest requests."""
    page, found = 1, 0
    while found < wanted.most:
        numbers, more = _patiently(partial(client.history, wanted.filters, page), pace)
        yield from numbers[: wanted.most - found]
        found, page = found + len(numbers), page + 1
        if not more or not numbers:
            return


def _patiently(call: Callable[[], Result], pace: Pace) -> Result:
    """Again where that may help: reading changes nothing. Searching is limited to ten calls a minute."""
    for attempt in range(TRIES):
        try:
            return call()
        except NotSentError as error:
            if error.trouble not in ("later", "unsure") or attempt == TRIES - 1:
                raise HarnessError(f"PromptLayer: {error}") from error
            time.sleep(pace.back_off(attempt, error.wait_seconds))
    raise AssertionError("the last try returns or raises")


def logged_of(number: int, answer: dict[str, Any]) -> Logged:
    """A request as PromptLayer tells it. Raises ValueError, which says why, for one that a suite cannot ask."""
    blueprint = answer.get("prompt_blueprint")
    blueprint = blueprint if isinstance(blueprint, dict) else {}
    template = blueprint.get("prompt_template", blueprint)
    if not isinstance(template, dict) or not isinstance(template.get("messages"), list):
        raise ValueError("it is no chat")
    if any(template.get(extra) for extra in ("tools", "functions")):
        raise ValueError("it has tools, which a suite cannot give to a model")
    messages = [_message(message) for message in template["messages"]]
    said = messages.pop()["content"] if messages and messages[-1]["role"] == "assistant" else ""
    if not messages:
        raise ValueError("it asks nothing")
    return Logged(number, tuple(messages), said)


def _message(message: object) -> dict[str, str]:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise ValueError(f"it has a message of another role than {', '.join(ROLES)}")
    return {"role": ROLES[message["role"]], "content": content_of(message)}


def _case(logged: Logged, type_: str | None, hide: Sequence[str]) -> dict[str, Any]:
    """What was asked stays as it was: braces in it are no template."""
    messages = [{**one, "content": literal(redacted(one["content"], hide))} for one in logged.messages]
    case: dict[str, Any] = {"id": f"request-{logged.number}", "messages": messages}
    if logged.answer:
        case["vars"] = {ANSWER: literal(redacted(logged.answer, hide))}
    if logged.answer and type_ is not None:
        case["assert"] = [{"type": type_, "value": f"{{{{ {ANSWER} }}}}"}]
    return {**case, "metadata": {"promptlayer_request": logged.number}}
