"""Prompts: a text, or the messages of a chat, with places for vars -> the messages of one case."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

from suites.document import suggestion
from suites.errors import SuiteError
from suites.filters import dump
from suites.parse import parse_yaml
from suites.templates import Templates, Vars

YAML_CHAT = "- role:"
"""How a chat in YAML begins."""
ROLES = ("system", "user", "assistant")
SAME_ROLE = {"developer": "system"}
"""What others call a role of ours."""
Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Prompt:
    """One way to ask; what it asks of a case is filled in from the vars."""

    text: str
    label: str = ""
    """As `prompts` of a test may name it."""
    id: str = ""
    origin: tuple[tuple[str, object], ...] = ()
    """What the cases' metadata say of where it comes from."""

    @functools.cached_property
    def data(self) -> object:
        """What a prompt that is JSON before it is filled in says; None: it is text."""
        return json_in(self.text)

    @functools.cached_property
    def chat(self) -> Messages | None:
        """The messages of such a prompt, their templates not filled in; None: it is no chat."""
        return chat_of(self.data)

    def called(self, reference: str) -> bool:
        """Return whether a test that names this reference means the prompt: its label or id, or the start of one."""
        start = reference.removesuffix("*") if reference.endswith("*") else f"{reference}:"
        return any(name == reference or (bool(name) and name.startswith(start)) for name in (self.label, self.id))


def messages_of(prompt: Prompt, values: Vars, templates: Templates) -> Messages:
    """Return the chat that a prompt makes: messages where it is a chat once filled in, other text from the user.

    In a prompt that is JSON before it is filled in, vars are put inside its texts and need no JSON escapes. Raises
    SuiteError also for a variable that there is not, and whose name is nearly that of a var.
    """
    try:
        return _messages(prompt, values, templates)
    finally:
        for name in templates.absent or ():
            near = "" if name in values else suggestion(name, values)
            if near:
                raise SuiteError(f"template: {name!r} is undefined{near} vars: {', '.join(values)}")


def _messages(prompt: Prompt, values: Vars, templates: Templates) -> Messages:
    if prompt.chat is not None:
        return [{"role": each["role"], "content": templates.render(each["content"], values)} for each in prompt.chat]
    if prompt.data is not None:
        return [{"role": "user", "content": dump(templates.filled(prompt.data, values), indent=2)}]
    text = templates.render(prompt.text, values)
    if not text.strip():
        raise SuiteError("the prompt is empty")
    data = parse_yaml(text, "prompt").data if text.lstrip().startswith(YAML_CHAT) else json_in(text)
    return chat_of(data) or [{"role": "user", "content": text}]


def json_in(text: str) -> object:
    """Return the data of a text that is JSON, a list or a mapping; None if it is not."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def chat_of(data: object) -> Messages | None:
    """Return the messages if the data are a list of them, None if they are something else."""
    if not isinstance(data, list) or not data:
        return None
    if not all(isinstance(part, dict) and "role" in part for part in data):
        return None
    return [_message(part, number) for number, part in enumerate(data, 1)]


def _message(part: dict[str, object], number: int) -> dict[str, str]:
    role, content = part["role"], _content(part.get("content"))
    role = SAME_ROLE.get(role, role) if isinstance(role, str) else None
    if part.keys() != {"role", "content"} or role not in ROLES or content is None:
        raise SuiteError(f"chat message {number}: give a role ({', '.join(ROLES)}) and a content of text, no more")
    return {"role": role, "content": content}


def _content(content: object) -> str | None:
    """Return the text of a message, which may be given in parts; None if a part is no text."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(content) or not all(isinstance(text, str) for text in texts):
        return None
    return "\n".join(map(str, texts))
