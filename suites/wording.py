"""Wording: what a suite itself asks of a judge, promptfoo's `rubricPrompt`.

Whoever writes the words decides what the judge is told and how it replies; replies are then read as promptfoo reads
them. Deliberately different: a reply that holds nothing of what is looked for is none, where promptfoo passes or fails
the answer; a variable that there is not is a fault; marks of chat templates in the answer are broken.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateSyntaxError, UndefinedError

from suites.advice import Advice, Question
from suites.assertions import Assertion
from suites.errors import SuiteError, UndecidedError
from suites.files import FILE, Files
from suites.filters import dump
from suites.judge import harmless, replied, unreadable
from suites.objects import objects, strict_json
from suites.parse import parse_yaml
from suites.prompts import YAML_CHAT, chat_of, json_in
from suites.reply import Reply
from suites.templates import Templates

ANY_REPLY = '{"steps": ["Read it."]}'
"""A reply after which a judge is asked whatever else a type asks."""


class FaultyWordingError(UndecidedError):
    """The words are no template, or name what there never is, or make no chat."""


@dataclass(frozen=True)
class Wording:
    """A template for the question of a judge: text, or a chat in JSON or YAML."""

    text: str
    surroundings: tuple[tuple[str, str], ...] = ()
    """What `env.NAME` may name."""

    def reply(self, answer: Reply, facts: Mapping[str, object]) -> str:
        """Return what was replied; raises UndecidedError if nothing was, or nothing could be asked.

        facts: what the template may name; mappings are JSON in it, as in promptfoo.
        """
        templates = _templates(self.surroundings)
        # Each question is counted for itself: however often a suite is graded, it never costs too much.
        templates.work.done = 0
        try:
            asked = self._question(templates, {name: _plain(fact) for name, fact in facts.items()})
        except SuiteError as error:
            faulty = isinstance(error.__cause__, UndefinedError | TemplateSyntaxError | None)
            raise (FaultyWordingError if faulty else UndecidedError)(f"rubricPrompt: {error}") from error
        return replied(answer, asked)

    def object_in_reply(self, answer: Reply, facts: Mapping[str, object], key: str = "") -> dict[str, Any]:
        """Return the first JSON object in the reply, or the first with a key; raises UndecidedError without one."""
        text = self.reply(answer, facts)
        for found in objects(text):
            if not key or key in found:
                return found
        raise unreadable(text)

    def _question(self, templates: Templates, values: Mapping[str, object]) -> Question:
        """Return the question; what is data before it is filled in needs no escapes, as in a prompt of a suite."""
        data = json_in(self.text)
        if data is None and self.text.lstrip().startswith(YAML_CHAT):
            data = _chat_in_yaml(self.text)
        if data is not None:
            return _of_data(templates.filled(data, values))
        text = templates.render(self.text, values)
        if self.text.lstrip().startswith(YAML_CHAT):
            return _of_data(parse_yaml(text, "chat").data)
        data = json_in(text) if self.text.lstrip().startswith("[") else None
        return Question("judge", text) if data is None else _of_data(data)


Words = Wording | Mapping[str, Wording] | Sequence[Wording]
"""One wording; or several, by the name or the number of the question, of types that ask several."""


def words_of(given: object, files: Files, templates: Templates) -> Words:
    """Return the wording that a suite gives; raises SuiteError for one that cannot be used."""
    if isinstance(given, dict) and given and given.keys() <= {"steps", "evaluate"}:
        return {name: _wording(one, files, templates) for name, one in given.items()}
    if isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        return [_wording(one, files, templates) for one in given]
    return _wording(given, files, templates)


def single(words: Words | None) -> Wording | None:
    """Return the wording of a type that asks one question; None where there is none for it."""
    if isinstance(words, Sequence):
        return Wording(dump([one.text for one in words]), words[0].surroundings)
    return words if isinstance(words, Wording) else None


def named(words: Words | None, name: str | int) -> Wording | None:
    """Return the wording of one question of a type that asks several; None where there is none for it."""
    if isinstance(words, Mapping):
        return words.get(str(name))
    return words[name] if isinstance(words, Sequence) and isinstance(name, int) and name < len(words) else None


def refuse_faulty(rule: Assertion, values: Mapping[str, object]) -> None:
    """Raise SuiteError if the words of a rule cannot be used whatever the answer is, by asking them once of nobody."""

    def advised(question: Question) -> Advice:
        return Advice(ANY_REPLY if question.kind == "judge" else None)

    try:
        rule.check(Reply("?", prompt="?", vars=values, advised=advised), Reply("!"))
    except FaultyWordingError as error:
        raise SuiteError(str(error)) from error
    except UndecidedError:
        pass


def parsed(text: str) -> object:
    """Return an answer as promptfoo's templates are told it: what it is as JSON, or else the text."""
    text = harmless(text)
    try:
        return strict_json(text)
    except (ValueError, RecursionError):
        return text


def _wording(given: object, files: Files, templates: Templates) -> Wording:
    if isinstance(given, str) and given.startswith(FILE):
        text = files.text(files.one(given))
    else:
        text = given if isinstance(given, str) else dump(given)
    if not text.strip() or not isinstance(given, str | list | dict):
        raise SuiteError("rubricPrompt: give text, a chat, a file of one, or steps and evaluate of g-eval; not empty")
    return Wording(text, tuple(templates.surroundings.items()))


@functools.lru_cache(maxsize=64)
def _templates(surroundings: tuple[tuple[str, str], ...]) -> Templates:
    return Templates(dict(surroundings))


def _plain(value: object) -> object:
    """Return a value as it stands in a template: mappings as JSON, also those in a list."""
    if isinstance(value, dict):
        return dump(value)
    return [dump(one) if isinstance(one, dict | list) else one for one in value] if isinstance(value, list) else value


def _of_data(data: object) -> Question:
    chat = chat_of(data)
    return Question("judge", dump(data)) if chat is None else Question("judge", dump(chat), chat=True)


def _chat_in_yaml(text: str) -> object:
    """Return the chat that a text is before it is filled in; None if its templates make the chat."""
    try:
        data = parse_yaml(text, "chat").data
        return data if chat_of(data) else None
    except SuiteError:
        return None
