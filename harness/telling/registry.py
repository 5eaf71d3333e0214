"""Bring prompts of PromptLayer's registry into the folder of a suite, in the suite's own form."""

from __future__ import annotations

import json
import os
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import drafts
from harness.errors import HarnessError
from harness.telling.outbox import PACE, NotSentError
from suites.form import MessagePart
from suites.registry import REGISTRY, Frozen, addresses, file_of, named

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
MOST_REQUESTS = 1000


def pulled(suite: Path, account: str) -> Iterator[str]:
    """Bring every registry prompt that a suite names; a line each. account: the variable that holds the API key.

    Raises HarnessError for a prompt that is not there or cannot be asked as text; what was brought before it stays.
    """
    from harness.telling.promptlayer import connected

    found = addresses(suite)
    if not found:
        raise HarnessError(f"{suite} names no prompt of the registry; write prompts: {REGISTRY}NAME@LABEL")
    key = os.environ.get(account, "").strip()
    if not key:
        raise HarnessError(f"{account} is not set, so nothing can be asked of PromptLayer")
    with connected(key, PACE, MOST_REQUESTS) as client:
        for address in found:
            try:
                prompt = frozen_of(client.template(*named(address)))
            except (NotSentError, ValueError) as error:
                raise HarnessError(f"{address}: {error}") from error
            yield f"{address}: {_kept(prompt, file_of(address, suite.parent))}"


def _kept(prompt: Frozen, file: Path) -> str:
    """Write the file, and say what changed."""
    text = json.dumps(prompt.model_dump(), indent=2, ensure_ascii=False) + "\n"
    before = file.read_text(encoding="utf-8") if file.is_file() else None
    if before == text:
        return f"version {prompt.version}, as before"
    file.parent.mkdir(exist_ok=True)
    drafts.write(file, [text])
    return f"version {prompt.version}, {'brought' if before is None else 'changed'}: {file}"


def frozen_of(answer: dict[str, Any]) -> Frozen:
    """What PromptLayer answers, as a suite asks it. Raises ValueError for what is no text, or no such answer."""
    template = answer.get("prompt_template")
    if not isinstance(template, dict):
        raise ValueError("the answer holds no template")
    chat = template.get("messages")
    parts = chat if isinstance(chat, list) else [{"role": "user", **template}]
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError("the answer holds a message that is none")
    for extra in ("tools", "functions"):
        if template.get(extra):
            raise ValueError(f"the prompt has {extra}, which a suite cannot give to a model")
    name, version = answer.get("prompt_name"), answer.get("version")
    if not isinstance(name, str) or type(version) is not int or not parts:
        raise ValueError("the answer holds no name, no version or no message")
    messages = [MessagePart.model_validate({"role": _role(part), "content": _text(part)}) for part in parts]
    return Frozen(name=name, version=version, messages=messages)


def _role(message: dict[str, Any]) -> str:
    role = message.get("role")
    if role not in ROLES:
        raise ValueError(f"a message of role {role!r} cannot be asked; allowed: {', '.join(ROLES)}")
    return ROLES[role]


def _text(message: dict[str, Any]) -> str:
    text = content_of(message)
    return text if message.get("template_format") == "jinja2" else _from_f_string(text)


def content_of(message: dict[str, Any]) -> str:
    """The text of a message's pieces. Raises ValueError for what is not text."""
    content = message.get("content")
    texts = [piece.get("text") for piece in content if isinstance(piece, dict)] if isinstance(content, list) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("the prompt has content that is not text")
    return "".join(map(str, texts))


def literal(text: str) -> str:
    """The text with braces that mean themselves kept apart from those of templates."""
    return "".join(f"{{{{ '{letter}' }}}}" if letter in "{}" else letter for letter in text)


def _from_f_string(template: str) -> str:
    """PromptLayer's "{name}" as "{{ name }}", with braces that mean themselves kept apart from those of templates."""
    found = []
    for text, variable, form, conversion in string.Formatter().parse(template):
        found.append(literal(text))
        if variable is None:
            continue
        if not variable.isidentifier() or form or conversion:
            raise ValueError(f"the variable {variable!r} is no plain name")
        found.append(f"{{{{ {variable} }}}}")
    return "".join(found)
