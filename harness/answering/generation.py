"""Prompts -> answers, in batches.

The batching never changes an answer, except where two next tokens are so close that rounding decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.answering.decoding import written
from harness.answering.rows import NOT_NUMBERS, Row, end_tokens
from harness.answering.sampling import seed_of
from harness.models.context import stated_context
from harness.progress import Progress, silent
from harness.quiet import quiet
from harness.records import Answer
from harness.scoring.nan import where_broken

if TYPE_CHECKING:
    from harness.models.opening import LoadedModel
    from suites.sampling import Sampling


HAND_SECONDS = 1.0
"""Answers are handed on together that came in this time: whoever keeps them pays for each time."""


@dataclass(frozen=True)
class Prompt:
    """What to ask for one case."""

    case: str
    messages: Sequence[dict[str, str]]
    """Role and content each."""
    max_new_tokens: int
    sampling: Sampling | None = None
    """None: greedy."""
    repeat: int = 0
    """How often the case was asked before."""

    @property
    def seed(self) -> int:
        """Of what is drawn for this answer; 0 for a greedy one."""
        return seed_of(self.sampling, self.case, self.repeat) if self.sampling else 0


@dataclass(frozen=True)
class _Encoded:
    prompt: Prompt
    text: str
    row: Row


def answers(
    loaded: LoadedModel,
    prompts: Sequence[Prompt],
    on_batch: Callable[[list[Answer]], None],
    progress: Progress = silent,
) -> None:
    """Answer every prompt once, handing finished answers to `on_batch` as they come, in an order of our own.

    Decoding is greedy, or as the prompts say: what a checkpoint's generation config says of sampling or repetition is
    not used, its end-of-text tokens are. `Answer.text` is without special tokens and white space at its two ends.
    A prompt that the chat template refuses, or that does not fit the model's context with its new tokens, or whose
    logits are not numbers, or that is too large for memory even alone, gets an answer with `text` None and the reason.
    """
    what, done = "answers", 0
    encoded = [_encode(loaded, prompt) for prompt in prompts]
    refused = [one for one in encoded if isinstance(one, Answer)]
    ready = [one for one in encoded if isinstance(one, _Encoded)]
    progress(what, done, len(prompts))
    if refused:
        on_batch(refused)
        done += len(refused)
    with quiet():
        kept: list[Answer] = []
        handed = time.monotonic()
        for number, new, seconds, error in written(loaded, [one.row for one in ready]):
            one = ready[number]
            if error == NOT_NUMBERS:
                error += where_broken(loaded.model, one.row.tokens)
            kept.append(_unanswered(one, error) if error else _answer(loaded, one, new, seconds))
            if time.monotonic() - handed > HAND_SECONDS:
                on_batch(kept)
                done += len(kept)
                progress(what, done, len(prompts))
                kept, handed = [], time.monotonic()
        if kept:
            on_batch(kept)
            progress(what, len(prompts), len(prompts))


def prompt_text(loaded: LoadedModel, messages: Sequence[dict[str, str]]) -> str:
    """The text the model is sent: its chat template applied, or else the contents joined by blank lines.

    Raises jinja2.TemplateError if the template refuses the messages.
    """
    if not loaded.tokenizer.chat_template:
        return "\n\n".join(message["content"] for message in messages)
    return str(loaded.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))


def prompt_tokens(loaded: LoadedModel, text: str) -> list[int]:
    """The tokens of a prompt; a chat template writes those that begin a text itself."""
    return list(loaded.tokenizer(text, add_special_tokens=not loaded.tokenizer.chat_template)["input_ids"])


def _encode(loaded: LoadedModel, prompt: Prompt) -> _Encoded | Answer:
    try:
        text = prompt_text(loaded, prompt.messages)
    except Exception as error:  # noqa: BLE001 - a template is foreign code and may raise anything
        why = f"the chat template refuses the messages: {type(error).__name__}: {error}"
        return _unanswered(_Encoded(prompt, "", Row([], 0)), why)
    tokens = prompt_tokens(loaded, text)
    encoded = _Encoded(prompt, text, Row(tokens, prompt.max_new_tokens, prompt.sampling, prompt.seed))
    context = stated_context(loaded.model)
    if not encoded.row.tokens:
        return _unanswered(encoded, "the prompt is empty")
    if context is not None and len(encoded.row.tokens) + prompt.max_new_tokens > context:
        needed = f"{len(encoded.row.tokens)} tokens and {prompt.max_new_tokens} new ones"
        return _unanswered(encoded, f"the prompt is too long: {needed}, the model's context is {context}")
    return encoded


def _unanswered(encoded: _Encoded, error: str) -> Answer:
    prompt = encoded.prompt
    return Answer(
        prompt.case, encoded.text, None, "error", len(encoded.row.tokens), 0, 0.0, error, repeat=prompt.repeat
    )


def _answer(loaded: LoadedModel, one: _Encoded, new: list[int], seconds: float) -> Answer:
    stopped = new[-1] in end_tokens(loaded)
    said = new[:-1] if stopped else new
    text = str(loaded.tokenizer.decode(said, skip_special_tokens=True)).strip()
    return Answer(
        case=one.prompt.case,
        prompt=one.text,
        text=text,
        finish="stop" if stopped else "length",
        prompt_tokens=len(one.row.tokens),
        new_tokens=len(new),
        seconds=seconds,
        tokens=tuple(said),
        repeat=one.prompt.repeat,
    )
