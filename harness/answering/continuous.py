"""Continuous batching: one forward pass a token for all rows at work, and no place empty while rows wait."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.answering.reading import Reader
from harness.answering.rows import NOT_NUMBERS, TOO_LARGE, Beginning, Finished, Row, Written, end_tokens
from harness.answering.sampling import chosen
from harness.models import caches
from harness.models.exhaustion import is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache

    from harness.models.opening import LoadedModel

JOIN_SHARE = 4
"""Rows join when one place in so many is free: several prompts are read for little more than one."""


@dataclass
class _Batch:
    """Rows at work."""

    numbers: list[int]
    cache: DynamicCache
    mask: Tensor
    """(rows, width): 1 for every token in the cache, 0 for padding."""
    last: Tensor
    """(rows, 1): the newest tokens, not yet in the cache."""

    def keep_(self, places: Sequence[int]) -> None:
        """Only these rows stay; the last of them take the places of those that leave."""
        import torch

        kept, late = set(places), (place for place in places if place >= len(places))
        places = [place if place in kept else next(late) for place in range(len(places))]
        chosen = torch.tensor(places, dtype=torch.long)
        self.numbers = [self.numbers[place] for place in places]
        self.cache.batch_select_indices(chosen)
        self.mask, self.last = self.mask[chosen], self.last[chosen]


class Writer:
    """Writes all rows; each is handed out when it is done."""

    def __init__(self, loaded: LoadedModel, rows: Sequence[Row], beginning: Beginning, finished: Finished) -> None:
        self.rows, self.reader = rows, Reader(loaded, beginning)
        self.limits, self.finished = loaded.batching, finished
        self.waiting = sorted(range(len(rows)), key=lambda number: (rows[number].width, number))
        """Largest last, and taken from there: what does not fit shows at once."""
        self.batch: _Batch | None = None
        self.new: list[list[int]] = [[] for _ in rows]
        self.seconds = [0.0] * len(rows)
        self.ends = frozenset(end_tokens(loaded))

    def run(self) -> Iterator[Written]:
        """Until no row waits and none is at work."""
        while self.waiting or self.batch:
            joining = self._joining()
            try:
                done = self._join(joining) if joining else self._step()
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                done = self._shrink(joining)
            yield from done

    def _joining(self) -> list[int]:
        """The waiting rows that should join now."""
        working = self.batch.numbers if self.batch else []
        free = self.limits.rows - len(working)
        if working and free * JOIN_SHARE < self.limits.rows:
            return []
        width = max((self.rows[number].width for number in working), default=0)
        joining: list[int] = []
        for number in reversed(self.waiting):
            width = max(width, self.rows[number].width)
            count = len(working) + len(joining) + 1
            if count > 1 and (count > self.limits.rows or count * width > self.limits.tokens):
                break
            joining.append(number)
        return joining

    def _join(self, joining: list[int]) -> list[Written]:
        """Read the prompts of new rows and choose their first tokens."""
        from harness.answering.room import make_roomy_

        began = time.perf_counter()
        cache, mask, logits = self.reader.read([self.rows[number] for number in joining])
        batch = _Batch(joining, cache, mask, self._chosen(joining, logits))
        if self.batch:
            self.batch = _together(self.batch, batch)
        else:
            make_roomy_(cache)
            self.batch = batch
        # Those that join were taken from the end, one after the other.
        del self.waiting[-len(joining) :]
        return self._settle(joining, batch.last, logits, began)

    def _step(self) -> list[Written]:
        """One more token for every row at work."""
        from torch.nn import functional

        batch, began = self.batch, time.perf_counter()
        assert batch is not None
        mask = functional.pad(batch.mask, (0, 1), value=1)
        logits = self.reader.logits(batch.last, mask, batch.cache)
        batch.mask, batch.last = mask, self._chosen(batch.numbers, logits)
        return self._settle(batch.numbers, batch.last, logits, began)

    def _chosen(self, numbers: Sequence[int], logits: Tensor) -> Tensor:
        """(rows, 1): the next tokens of these rows."""
        return chosen(logits, [self.rows[number] for number in numbers], [len(self.new[number]) for number in numbers])

    def _settle(self, numbers: Sequence[int], last: Tensor, logits: Tensor, began: float) -> list[Written]:
        """Note the new tokens of some rows; those that are done leave."""
        broken = logits.isnan().any(dim=-1).tolist()
        share = (time.perf_counter() - began) / len(numbers)
        done: list[Written] = []
        for number, token, is_broken in zip(numbers, last.flatten().tolist(), broken, strict=True):
            new = self.new[number]
            new.append(token)
            self.seconds[number] += share
            if is_broken:
                done.append(Written(number, [], self.seconds[number], NOT_NUMBERS))
            elif token in self.ends or len(new) == self.rows[number].new_tokens or self.finished(number, new):
                done.append(Written(number, new, self.seconds[number]))
        if done:
            self._leave({one.number for one in done})
        return done

    def _leave(self, gone: set[int]) -> None:
        assert self.batch is not None
        places = [place for place, number in enumerate(self.batch.numbers) if number not in gone]
        if places:
            self.batch.keep_(places)
        else:
            self.batch = None

    def _shrink(self, joining: list[int]) -> list[Written]:
        """Work on fewer rows after running out of memory; a row that does not fit alone is given up."""
        working = self.batch.numbers if self.batch else []
        if len(working) + len(joining) == 1:
            (number,) = (*working, *joining)
            self.waiting = [one for one in self.waiting if one != number]
            self.batch = None
            return [Written(number, [], self.seconds[number], TOO_LARGE)]
        if joining:
            self.limits = replace(self.limits, rows=len(working) + len(joining) // 2)
            return []
        assert self.batch is not None
        caches.crop_(self.batch.cache, self.batch.mask.shape[1])
        half = len(working) // 2
        self.limits = replace(self.limits, rows=half)
        for number in working[half:]:
            self.new[number] = []
        self.waiting = sorted([*self.waiting, *working[half:]], key=lambda number: (self.rows[number].width, number))
        self.batch.keep_(range(half))
        return []


def _together(one: _Batch, other: _Batch) -> _Batch:
    """Both batches as one, with no more padding than needed."""
    import torch
    from torch.nn import functional

    from harness.answering.room import join_

    width = int(max(batch.mask.sum(dim=1).max() for batch in (one, other)))
    join_(one.cache, other.cache, width)
    # A negative pad cuts.
    masks = [functional.pad(batch.mask, (width - batch.mask.shape[1], 0)) for batch in (one, other)]
    return _Batch([*one.numbers, *other.numbers], one.cache, torch.cat(masks), torch.cat([one.last, other.last]))
