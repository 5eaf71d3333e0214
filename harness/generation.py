"""Batched greedy answers through transformers' own `generate`.

What every prompt starts with (the system message of a chat template, most often) is computed once. The batching never
changes an answer, except where the two best next tokens are so close that rounding decides.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from harness.progress import Progress, silent
from harness.quiet import quiet
from harness.records import Answer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, GenerationConfig

    from harness.models import LoadedModel


STRIDE = 8
"""New tokens between two looks at which rows are finished."""


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

    batch_rows: int = 16
    batch_tokens: int = 8192
    """Prompt and new tokens of one batch at most, padding included; a single longer prompt is a batch of its own."""
    shared_from: int = 8
    """Shortest common beginning of all prompts, in tokens, that is computed once."""


@dataclass(frozen=True)
class _Encoded:
    prompt: Prompt
    text: str
    tokens: list[int]


@dataclass(frozen=True)
class _Start:
    """The common beginning of all prompts, perhaps empty, and its keys and values."""

    tokens: list[int]
    cache: DynamicCache | None
    """None: a model whose cache cannot be taken apart."""


@dataclass
class _Watch:
    """A logits processor that changes nothing and notes the rows whose logits were NaN."""

    rows: list[int]
    """Which rows of the batch are being computed."""
    broken: set[int] = field(default_factory=set)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        places = scores.isnan().any(dim=-1).nonzero().flatten().tolist()
        self.broken.update(self.rows[place] for place in places)
        return scores


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
        start = _start(loaded, ready, settings)
        for batch in _batches(ready, settings):
            for part in _answered(loaded, batch, start):
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


def _encode(loaded: LoadedModel, prompt: Prompt) -> _Encoded | Answer:
    try:
        text = prompt_text(loaded, prompt.messages)
    except TemplateError as error:
        return _unanswered(_Encoded(prompt, "", []), f"the chat template refuses the messages: {error}")
    # A template writes the tokens that begin a text itself.
    tokens = loaded.tokenizer(text, add_special_tokens=not loaded.tokenizer.chat_template)["input_ids"]
    encoded = _Encoded(prompt, text, list(tokens))
    context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if not encoded.tokens:
        return _unanswered(encoded, "the prompt is empty")
    if context is not None and len(encoded.tokens) + prompt.max_new_tokens > context:
        needed = f"{len(encoded.tokens)} tokens and {prompt.max_new_tokens} new ones"
        return _unanswered(encoded, f"the prompt is too long: {needed}, the model's context is {context}")
    return encoded


def _unanswered(encoded: _Encoded, error: str) -> Answer:
    return Answer(encoded.prompt.case, encoded.text, None, "error", len(encoded.tokens), 0, 0.0, error)


def _batches(ready: Sequence[_Encoded], settings: GenerationSettings) -> Iterator[list[_Encoded]]:
    """Prompts of like length together, the largest first, so that too large a batch shows at once."""
    batch: list[_Encoded] = []
    for one in sorted(ready, key=lambda e: (len(e.tokens), e.prompt.max_new_tokens), reverse=True):
        width = max(len(e.tokens) for e in [*batch, one]) + max(e.prompt.max_new_tokens for e in [*batch, one])
        if batch and (len(batch) == settings.batch_rows or width * (len(batch) + 1) > settings.batch_tokens):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _start(loaded: LoadedModel, ready: Sequence[_Encoded], settings: GenerationSettings) -> _Start:
    """The longest common beginning, computed; every prompt keeps a token of its own."""
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    cache = DynamicCache(config=loaded.model.config)
    # A layer with a window or a running state cannot be continued from after a gap of padding.
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        return _Start([], None)
    if len(ready) < 2:
        return _Start([], cache)
    first, last = min(e.tokens for e in ready), max(e.tokens for e in ready)
    shortest = min(len(e.tokens) for e in ready) - 1
    length = next((i for i in range(shortest) if first[i] != last[i]), shortest)
    if length < settings.shared_from:
        return _Start([], cache)
    with torch.inference_mode():
        loaded.model(torch.tensor([first[:length]], device=loaded.device), cache=cache, logits_to_keep=1)
    return _Start(first[:length], cache)


def _answered(loaded: LoadedModel, batch: list[_Encoded], start: _Start) -> Iterator[list[Answer]]:
    """Answers of a batch; where memory does not suffice, of its halves."""
    try:
        yield _generated(loaded, batch, start)
        return
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
    if len(batch) == 1:
        yield [_unanswered(batch[0], "out of memory, even alone")]
        return
    middle = len(batch) // 2
    yield from _answered(loaded, batch[:middle], start)
    yield from _answered(loaded, batch[middle:], start)


def _out_of_memory(error: Exception) -> bool:
    import torch

    # On a CPU torch raises a plain RuntimeError that says "can't allocate memory".
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def _generated(loaded: LoadedModel, batch: list[_Encoded], start: _Start) -> list[Answer]:
    began = time.perf_counter()
    watch = _Watch(list(range(len(batch))))
    rows = _written(loaded, batch, start, watch)
    seconds = (time.perf_counter() - began) / len(batch)
    return [
        _unanswered(one, "the model's logits are not numbers (NaN)")
        if number in watch.broken
        else _answer(loaded, one, row, seconds)
        for number, (one, row) in enumerate(zip(batch, rows, strict=True))
    ]


def _written(loaded: LoadedModel, batch: list[_Encoded], start: _Start, watch: _Watch) -> list[list[int]]:
    """New tokens of each row, at least to its end. `generate` is called a few steps at a time and goes on without
    the rows that are finished, for it keeps computing them itself.
    """
    import torch
    from transformers import LogitsProcessorList

    tokens, mask = (tensor.to(loaded.device) for tensor in _padded(batch, len(start.tokens), _pad(loaded)))
    width = tokens.shape[1]
    cache = copy.deepcopy(start.cache)
    if cache is not None and start.tokens:
        cache.batch_repeat_interleave(len(batch))
    rows: list[list[int]] = [[] for _ in batch]
    while watch.rows:
        left = max(batch[number].prompt.max_new_tokens for number in watch.rows) + width - tokens.shape[1]
        with torch.inference_mode():
            tokens = loaded.model.generate(  # type: ignore[operator]
                tokens,
                attention_mask=mask,
                cache=cache,
                generation_config=_greedy(loaded, left if cache is None else min(left, STRIDE)),
                logits_processor=LogitsProcessorList([watch]),
            )
        for number, new in zip(watch.rows, tokens[:, width:].tolist(), strict=True):
            rows[number] = new
        going = [place for place, number in enumerate(watch.rows) if not _ended(loaded, batch[number], rows[number])]
        watch.rows = [watch.rows[place] for place in going]
        if cache is not None and going:
            chosen = torch.tensor(going, device=tokens.device)
            mask = torch.nn.functional.pad(mask, (0, tokens.shape[1] - mask.shape[1]), value=1)[chosen]
            tokens = tokens[chosen]
            cache.batch_select_indices(chosen)
    return rows


def _greedy(loaded: LoadedModel, new_tokens: int) -> GenerationConfig:
    from transformers import GenerationConfig

    return GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=new_tokens,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        eos_token_id=end_tokens(loaded) or None,
        pad_token_id=_pad(loaded),
    )


def _pad(loaded: LoadedModel) -> int:
    """Any token will do: what is padded is masked."""
    pad = loaded.tokenizer.pad_token_id
    return int(pad) if pad is not None else (end_tokens(loaded) or [0])[0]


def _ended(loaded: LoadedModel, one: _Encoded, new: list[int]) -> bool:
    return len(new) >= one.prompt.max_new_tokens or not set(new).isdisjoint(end_tokens(loaded))


def _padded(batch: list[_Encoded], shared: int, pad: int) -> tuple[Tensor, Tensor]:
    """Tokens and attention mask, (rows, width): the shared beginning, then padding, then what is a prompt's own."""
    import torch

    width = max(len(one.tokens) for one in batch)
    tokens = torch.full((len(batch), width), pad)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for row, one in enumerate(batch):
        own = width - len(one.tokens) + shared
        tokens[row, :shared] = torch.tensor(one.tokens[:shared], dtype=torch.long)
        tokens[row, own:] = torch.tensor(one.tokens[shared:])
        mask[row, :shared] = mask[row, own:] = 1
    return tokens, mask


def _answer(loaded: LoadedModel, one: _Encoded, row: list[int], seconds: float) -> Answer:
    """Cut a row at its own limit and its first end token; a row goes on while others of its batch do."""
    ends = end_tokens(loaded)
    limit = one.prompt.max_new_tokens
    stop = next((i for i, token in enumerate(row[:limit]) if token in ends), None)
    kept = row[:limit] if stop is None else row[:stop]
    text = str(loaded.tokenizer.decode(kept, skip_special_tokens=True)).strip()
    if stop is None:
        return Answer(one.prompt.case, one.text, text, "length", len(one.tokens), len(kept), seconds)
    return Answer(one.prompt.case, one.text, text, "stop", len(one.tokens), stop + 1, seconds)


def end_tokens(loaded: LoadedModel) -> list[int]:
    """Tokens that end an answer: of the generation config, or else of the tokenizer."""
    config = loaded.model.generation_config
    ends = config.eos_token_id if config is not None else None
    if ends is None:
        ends = loaded.tokenizer.eos_token_id
    if ends is None:
        return []
    return list(ends) if isinstance(ends, (list, tuple)) else [int(ends)]
