"""Prompts -> greedy answers, in batches.

The batching never changes an answer, except where the two best next tokens are so close that rounding decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.decoding import Beginning, Row, end_tokens, shared_beginning, written
from harness.exhaustion import is_out_of_memory
from harness.progress import Progress, silent
from harness.quiet import quiet
from harness.records import Answer

if TYPE_CHECKING:
    from harness.models import LoadedModel


@dataclass(frozen=True)
class Prompt:
    """What to ask for one case."""

    case: str
    messages: Sequence[dict[str, str]]
    """Role and content each."""
    max_new_tokens: int


@dataclass(frozen=True)
class GenerationSettings:
    """How much is worked on at once; it decides speed and memory, not answers."""

    batch_rows: int = 24
    batch_tokens: int = 8192
    """Prompt and new tokens of one batch at most, padding included; a single longer prompt is a batch of its own."""
    shared_from: int = 8
    """Shortest common beginning of all prompts, in tokens, that is computed once."""


@dataclass(frozen=True)
class _Encoded:
    prompt: Prompt
    text: str
    row: Row


def answers(
    loaded: LoadedModel,
    prompts: Sequence[Prompt],
    settings: GenerationSettings,
    on_batch: Callable[[list[Answer]], None],
    progress: Progress = silent,
) -> None:
    """Answer every prompt once, handing finished answers to `on_batch` as they come, in an order of our own.

    Decoding is plain greedy: what a checkpoint's generation config says of sampling or repetition is not used, its
    end-of-text tokens are. `Answer.text` is without special tokens and without white space at its two ends.
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
        beginning = shared_beginning(loaded, [one.row for one in ready], settings.shared_from)
        for batch in _batches(ready, settings):
            for part in _answered(loaded, batch, beginning):
                on_batch(part)
                done += len(part)
                progress(what, done, len(prompts))


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
    encoded = _Encoded(prompt, text, Row(tokens, prompt.max_new_tokens))
    context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if not encoded.row.tokens:
        return _unanswered(encoded, "the prompt is empty")
    if context is not None and len(encoded.row.tokens) + prompt.max_new_tokens > context:
        needed = f"{len(encoded.row.tokens)} tokens and {prompt.max_new_tokens} new ones"
        return _unanswered(encoded, f"the prompt is too long: {needed}, the model's context is {context}")
    return encoded


def _unanswered(encoded: _Encoded, error: str) -> Answer:
    return Answer(encoded.prompt.case, encoded.text, None, "error", len(encoded.row.tokens), 0, 0.0, error)


def _batches(ready: Sequence[_Encoded], settings: GenerationSettings) -> Iterator[list[_Encoded]]:
    """Prompts of like length together, the largest first, so that too large a batch shows at once."""
    batch: list[_Encoded] = []
    for one in sorted(ready, key=lambda e: (len(e.row.tokens), e.row.new_tokens), reverse=True):
        width = max(len(e.row.tokens) for e in [*batch, one]) + max(e.row.new_tokens for e in [*batch, one])
        if batch and (len(batch) == settings.batch_rows or width * (len(batch) + 1) > settings.batch_tokens):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _answered(loaded: LoadedModel, batch: list[_Encoded], beginning: Beginning) -> Iterator[list[Answer]]:
    """Answers of a batch; where memory does not suffice, of its halves."""
    try:
        yield _generated(loaded, batch, beginning)
        return
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    if len(batch) == 1:
        yield [_unanswered(batch[0], "out of memory, even alone")]
        return
    middle = len(batch) // 2
    yield from _answered(loaded, batch[:middle], beginning)
    yield from _answered(loaded, batch[middle:], beginning)


def _generated(loaded: LoadedModel, batch: list[_Encoded], beginning: Beginning) -> list[Answer]:
    began = time.perf_counter()
    found = written(loaded, [one.row for one in batch], beginning)
    seconds = (time.perf_counter() - began) / len(batch)
    return [
        _unanswered(one, "the model's logits are not numbers (NaN)")
        if number in found.broken
        else _answer(loaded, one, found.rows[number], seconds)
        for number, one in enumerate(batch)
    ]


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
    )
