"""Decoding of many token rows at once; knows nothing of text.

What all rows begin with is computed once; a row that is finished leaves the batch and a waiting one takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.answering.continuous import Writer
from harness.answering.rows import NOT_NUMBERS, TOO_LARGE, Beginning, Finished, Row, Written, end_tokens, never, padded
from harness.answering.sampling import chosen
from harness.models import caches
from harness.models.batching import Batching
from harness.models.exhaustion import is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GenerationConfig

    from harness.models.opening import LoadedModel


def written(loaded: LoadedModel, rows: Sequence[Row], finished: Finished = never) -> Iterator[Written]:
    """Continue rows, each to its end token or its limit, as they come.

    Greedily, or drawn where the rows say so: what a checkpoint says of sampling or repetition is overruled, its end
    tokens are not. Where memory does not suffice, fewer rows are worked on at once.
    """
    beginning = _shared_beginning(loaded, rows)
    if beginning.cache is not None:
        yield from Writer(loaded, rows, beginning, finished).run()
        return
    for batch in _batches(rows, loaded.batching):
        yield from _by_generate(loaded, rows, batch, finished)


def _shared_beginning(loaded: LoadedModel, rows: Sequence[Row]) -> Beginning:
    """The longest beginning common to all rows, computed if it is long enough to pay.

    Every row keeps a token of its own.
    """
    import torch

    if not caches.can_be_parted(loaded.model):
        return Beginning([], None)
    cache = caches.empty(loaded.model)
    if len(rows) < 2:
        return Beginning([], cache)
    # What the first and the last in order have in common, all in between have too.
    first, last = min(row.tokens for row in rows), max(row.tokens for row in rows)
    most = min(len(row.tokens) for row in rows) - 1
    length = next((i for i in range(most) if first[i] != last[i]), most)
    if length < loaded.batching.shared_from:
        return Beginning([], cache)
    with torch.inference_mode():
        loaded.model(torch.tensor([first[:length]], device=loaded.device), cache=cache, logits_to_keep=1)
    return Beginning(first[:length], cache)


def _batches(rows: Sequence[Row], limits: Batching) -> Iterator[list[int]]:
    """Rows of like length together, the largest first, so that too large a batch shows at once."""
    batch: list[int] = []
    for number in sorted(range(len(rows)), key=lambda n: (len(rows[n].tokens), rows[n].new_tokens), reverse=True):
        some = [rows[n] for n in (*batch, number)]
        width = max(len(row.tokens) for row in some) + max(row.new_tokens for row in some)
        if batch and (len(some) > limits.rows or width * len(some) > limits.tokens):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _by_generate(
    loaded: LoadedModel, rows: Sequence[Row], batch: Sequence[int], finished: Finished
) -> Iterator[Written]:
    """The rows of a batch through transformers' own `generate`; where memory does not suffice, its halves."""
    try:
        found = _generated(loaded, rows, batch, finished)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(batch) == 1:
            yield Written(batch[0], [], 0.0, TOO_LARGE)
            return
    else:
        yield from found
        return
    middle = len(batch) // 2
    yield from _by_generate(loaded, rows, batch[:middle], finished)
    yield from _by_generate(loaded, rows, batch[middle:], finished)


def _generated(loaded: LoadedModel, rows: Sequence[Row], batch: Sequence[int], finished: Finished) -> list[Written]:
    import time

    import torch
    from transformers import LogitsProcessorList, StoppingCriteriaList

    began = time.perf_counter()
    tokens, mask = (tensor.to(loaded.device) for tensor in padded([rows[number] for number in batch], 0))
    width = tokens.shape[1]
    broken: set[int] = set()

    def next_ones(ids: Tensor, scores: Tensor) -> Tensor:
        """Only our choice is left to greedy decoding."""
        broken.update(batch[place] for place in scores.isnan().any(dim=-1).nonzero().flatten().tolist())
        places = [ids.shape[1] - width] * len(batch)
        tokens = chosen(scores, [rows[number] for number in batch], places)
        return torch.full_like(scores, -torch.inf).scatter(1, tokens, 0.0)

    def enough(ids: Tensor, _: Tensor) -> Tensor:
        done = [finished(number, new) for number, new in zip(batch, ids[:, width:].tolist(), strict=True)]
        return torch.tensor(done, device=ids.device)

    with torch.inference_mode():
        output = loaded.model.generate(  # type: ignore[operator]
            tokens,
            attention_mask=mask,
            generation_config=_greedy(loaded, max(rows[number].new_tokens for number in batch)),
            logits_processor=LogitsProcessorList([next_ones]),
            stopping_criteria=StoppingCriteriaList([enough]),
        )
    seconds = (time.perf_counter() - began) / len(batch)
    ends = end_tokens(loaded)
    return [
        Written(number, [], seconds, NOT_NUMBERS)
        if number in broken
        else Written(number, _until_end(new[: rows[number].new_tokens], ends), seconds)
        for number, new in zip(batch, output[:, width:].tolist(), strict=True)
    ]


def _until_end(new: list[int], ends: Sequence[int]) -> list[int]:
    """Up to and with the first end token."""
    return new[: next((place for place, token in enumerate(new) if token in ends), len(new)) + 1]


def _greedy(loaded: LoadedModel, new_tokens: int) -> GenerationConfig:
    from transformers import GenerationConfig

    return GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=new_tokens,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        eos_token_id=end_tokens(loaded) or None,
        pad_token_id=0,
    )
