"""Prompts -> what a model keeps of them, ready to be continued side by side, and what it says after each."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.answering.rows import Beginning, Row, padded
from harness.models import caches
from harness.scoring.engine import places_in, usual_tokens
from harness.scoring.packing import Pass, passes
from harness.scoring.passes import Runner
from harness.scoring.requests import Request
from harness.scoring.requests import rows as distinct
from harness.scoring.sharing import shares_beginnings
from harness.scoring.tree import grown

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache

    from harness.models.opening import LoadedModel


class Read(NamedTuple):
    """Rows that were read, padded on the left."""

    cache: DynamicCache
    mask: Tensor
    """(rows, width): 1 for every token in the cache, 0 for padding."""
    logits: Tensor
    """(rows, vocabulary) after the last token."""


class Reader:
    """Reads prompts, several at a time, and what is written after them."""

    def __init__(self, loaded: LoadedModel, beginning: Beginning) -> None:
        self.loaded, self.beginning = loaded, beginning
        self.places_given = "position_ids" in inspect.signature(loaded.model.forward).parameters

    def read(self, rows: Sequence[Row]) -> Read:
        """In trees, without padding and what they begin with in common once, where the model can; else side by side.

        In a tree NaN of one row would reach the others: where there is any, they are read again side by side.
        """
        if len(rows) > 1 and shares_beginnings(self.loaded.model):
            found = self._in_trees(rows)
            if not bool(found.logits.isnan().any()):
                return found
        return self._side_by_side(rows)

    def logits(self, tokens: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        """(rows, vocabulary) after the last of `tokens`, which are added to the cache. mask: of the cache with them."""
        import torch

        inputs: dict[str, Any] = {"attention_mask": mask, "cache": cache, "use_cache": True}
        if self.places_given:
            inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        with torch.inference_mode():
            logits: Tensor = self.loaded.model(tokens, logits_to_keep=1, **inputs).logits
        return logits[:, -1]

    def _side_by_side(self, rows: Sequence[Row]) -> Read:
        shared = len(self.beginning.tokens)
        tokens, mask = (tensor.to(self.loaded.device) for tensor in padded(rows, shared))
        cache = self._begun()
        if shared:
            cache.batch_repeat_interleave(len(rows))
        logits = self.logits(tokens, mask, cache)
        # Padding stands between the beginning and what follows it. It sorts before tokens, and tokens keep their order.
        order = mask.argsort(dim=1, stable=True)[:, None, :, None]
        for layer in caches.layers(cache):
            layer.keys, layer.values = (
                part.gather(2, order.to(part.device).expand(-1, part.shape[1], -1, part.shape[3]))
                for part in caches.parts(layer)
            )
        return Read(cache, mask.sort(dim=1).values, logits)

    def _in_trees(self, rows: Sequence[Row]) -> Read:
        import torch

        model, shared = self.loaded.model, len(self.beginning.tokens)
        asked = [Request(tuple(row.tokens), (0,)) for row in rows]
        forest = grown(distinct(asked, max(len(row.tokens) for row in rows)), asked, shared)
        begun = self._begun()
        kept, runner = _Kept(rows, begun, shared), Runner(model, begun)
        logits: dict[int, Tensor] = {}
        for step in passes(forest, usual_tokens(model, self.loaded.batching.packed), shared):
            looked = places_in(step.nodes)
            found = runner.run(step, looked.columns)
            logits |= {one.request: found[at] for one, at in zip(looked.wanted, looked.at, strict=True)}
            assert runner.trunk is not None
            kept.add_(step, runner.trunk)
        mask = padded(rows, 0)[1].to(self.loaded.device)
        cache = kept.side_by_side(caches.empty(model))
        return Read(cache, mask, torch.stack([logits[number] for number in range(len(rows))]))

    def _begun(self) -> DynamicCache:
        """What is kept of the beginning, to be added to."""
        cache = copy.deepcopy(self.beginning.cache)
        assert cache is not None
        return cache


class _Kept:
    """Keys and values in the order in which tokens were read, and which of them are whose."""

    def __init__(self, rows: Sequence[Row], cache: DynamicCache, shared: int) -> None:
        self.rows, self.tokens = rows, shared
        self.places = [list(range(shared)) for _ in rows]
        self.layers = [[caches.parts(layer)] if shared else [] for layer in caches.layers(cache)]

    def add_(self, step: Pass, cache: DynamicCache) -> None:
        """What a pass has added to the cache after its trunk."""
        for layer, pieces in zip(caches.layers(cache), self.layers, strict=True):
            keys, values = caches.parts(layer)
            pieces.append((keys[:, :, step.trunk :], values[:, :, step.trunk :]))
        for node in step.nodes:
            for number in {one.request for below in node.below() for one in below.wanted}:
                needed = min(len(self.rows[number].tokens), node.end) - node.start
                self.places[number].extend(range(self.tokens, self.tokens + needed))
            self.tokens += len(node.tokens)

    def side_by_side(self, empty: DynamicCache) -> DynamicCache:
        """Each row's own, padded on the left with what the mask hides."""
        import torch

        width = max(map(len, self.places))
        order = torch.tensor([[0] * (width - len(places)) + places for places in self.places])
        for number, pieces in enumerate(self.layers):
            # (1, heads, tokens, size) -> (rows, heads, width, size)
            keys, values = (torch.cat(part, dim=2)[0][:, order].transpose(0, 1) for part in zip(*pieces, strict=True))
            empty.update(keys, values, number)
            pieces.clear()
        return empty
