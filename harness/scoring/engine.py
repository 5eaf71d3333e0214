"""Rows -> scores, by trees of rows or row by row; both give the same scores."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import HarnessError
from harness.models.exhaustion import is_out_of_memory
from harness.models.placement import input_device
from harness.scoring.packing import Pass, passes
from harness.scoring.passes import Picked, Runner, picked, select
from harness.scoring.requests import Request, Row, Score
from harness.scoring.tree import Node, Wanted, grown

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

ROW_TOKENS = {"cpu": 256}
"""Tokens of one packed row, by device: no more than keep it busy, for attention in a row grows with the square."""
ROW_TOKENS_ELSEWHERE = 2048
BATCH_TOKENS = 2048
"""Tokens of one pass of rows side by side, padding counted; a longer row goes alone."""


def usual_tokens(model: PreTrainedModel, packed: int | None = None) -> int:
    """Tokens of one row of several; packed: if it is to be so many."""
    return packed or ROW_TOKENS.get(input_device(model).type, ROW_TOKENS_ELSEWHERE)


class Sheet:
    """What is known of each request so far."""

    def __init__(self, todo: Sequence[Row], requests: Sequence[Request]) -> None:
        self.requests = requests
        self.lengths = {index: len(row.tokens) for row in todo for index in row.requests}
        self.logprobs: defaultdict[int, list[float]] = defaultdict(list)
        self.greedy: defaultdict[int, bool] = defaultdict(lambda: True)

    def write(self, wanted: Sequence[Wanted], found: Picked) -> dict[int, Score]:
        """Add what was looked up; returns the scores of the requests that are complete by it."""
        done = {}
        for (_, _, index), logprob, greedy in zip(wanted, found.logprobs, found.greedy, strict=True):
            self.logprobs[index].append(logprob)
            self.greedy[index] &= greedy
            if len(self.logprobs[index]) == len(self.requests[index].continuation):
                done[index] = self._score(index)
        return done

    def _score(self, index: int) -> Score:
        request = self.requests[index]
        total = math.fsum(self.logprobs.pop(index))
        cut = len(request.context) + len(request.continuation) - 1 - self.lengths[index]
        return Score(total, self.greedy.pop(index), cut)


def in_trees(
    model: PreTrainedModel, todo: Sequence[Row], requests: Sequence[Request], packed: int | None = None
) -> Iterator[dict[int, Score]]:
    """Number of the request -> score, as they come; what rows begin with in common goes through the model once."""
    sheet, runner = Sheet(todo, requests), Runner(model)
    most = usual_tokens(model, packed)
    for step in passes(grown(todo, requests), most):
        for places, logits in _performed(runner, step, most):
            yield sheet.write(places.wanted, picked(logits, places.at, [one.target for one in places.wanted]))


def _performed(runner: Runner, step: Pass, row_tokens: int) -> Iterator[tuple[Places, Tensor]]:
    """A pass; where memory does not suffice, its trees in shorter rows, which gives the same scores."""
    places = places_in(step.nodes)
    try:
        logits = runner.run(step, places.columns)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(step.nodes) == 1:
            raise HarnessError(f"out of memory for one row of {step.trunk + step.tokens} tokens, even alone") from error
    else:
        yield places, logits
        return
    tops = [node for node in step.nodes if node.parent is None]
    for part in passes(tops, row_tokens // 2, step.trunk):
        yield from _performed(runner, part, row_tokens // 2)


def in_batches(
    model: PreTrainedModel, todo: Sequence[Row], requests: Sequence[Request], packed: int | None = None
) -> Iterator[dict[int, Score]]:
    """The same for a model that can only read whole rows: side by side, padded, longest first."""
    sheet = Sheet(todo, requests)
    for batch in _batches(sorted(todo, key=lambda row: -len(row.tokens)), packed or BATCH_TOKENS):
        for part, logits in _side_by_side(model, batch):
            at: list[int] = []
            wanted: list[Wanted] = []
            end = 0
            for row in part:
                end += row.scored
                for index in row.requests:
                    targets = requests[index].continuation
                    at.extend(range(end - len(targets), end))
                    wanted.extend(Wanted(0, target, index) for target in targets)
            yield sheet.write(wanted, picked(logits, at, [one.target for one in wanted]))


def _side_by_side(model: PreTrainedModel, batch: Sequence[Row]) -> Iterator[tuple[Sequence[Row], Tensor]]:
    """The scored positions of a batch; where memory does not suffice, of its halves."""
    positions = [range(len(row.tokens) - row.scored, len(row.tokens)) for row in batch]
    try:
        logits = select(model, [row.tokens for row in batch], positions).logits
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(batch) == 1:
            raise HarnessError(f"out of memory for one row of {len(batch[0].tokens)} tokens, even alone") from error
    else:
        yield batch, logits
        return
    middle = len(batch) // 2
    yield from _side_by_side(model, batch[:middle])
    yield from _side_by_side(model, batch[middle:])


class Places(NamedTuple):
    columns: list[int]
    """Where in the row of a pass something is looked at, each place once."""
    at: list[int]
    """For each thing wanted, which of the columns."""
    wanted: list[Wanted]


def places_in(nodes: Sequence[Node]) -> Places:
    found = Places([], [], [])
    begin = 0
    for node in nodes:
        offsets = sorted({one.offset for one in node.wanted})
        line = {offset: len(found.columns) + number for number, offset in enumerate(offsets)}
        found.columns.extend(begin + offset for offset in offsets)
        found.at.extend(line[one.offset] for one in node.wanted)
        found.wanted.extend(node.wanted)
        begin += len(node.tokens)
    return found


def _batches(todo: Sequence[Row], most: int) -> Iterator[list[Row]]:
    """Rows in the order given, as many at a time as `most` tokens allow, but at least one."""
    batch: list[Row] = []
    for row in todo:
        if batch and (len(batch) + 1) * len(batch[0].tokens) > most:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
