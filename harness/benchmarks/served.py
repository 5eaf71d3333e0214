"""An endpoint behind lm-eval's model interface: ServedLM(connection, ...) goes wherever lm-eval takes an LM."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from harness.benchmarks.lm import Memory, greedy_settings
from harness.digest import digest
from harness.endpoints import Connection, Continuation, continued, scored
from harness.endpoints.crowd import finished
from harness.errors import HarnessError
from harness.progress import Progress
from harness.scoring import NotFiniteError

Value = TypeVar("Value")
Arguments = tuple[Any, ...]
"""Of one request, as lm-eval gives them."""


class TextMemory(Memory, Protocol):
    """A memory that keeps what was written too."""

    def known_texts(self) -> dict[str, str]:
        """Hash of a request -> what was written."""
        ...

    def keep_texts(self, texts: dict[str, str]) -> None: ...


class ServedLM(LM):  # type: ignore[misc]
    """Text in, scores or text out: many requests at a time, equal ones once, those that the memory holds not at all."""

    def __init__(self, connection: Connection, memory: TextMemory, progress: Progress, what: str) -> None:
        super().__init__()
        self.connection = connection
        self.memory = memory
        self.progress = progress
        self.what = what
        self.notes: list[str] = []
        self.cuts: list[str] = []
        """Empty: what a server does with a long prompt is not known here."""

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """(log-probability, greedy) of each continuation after its context."""
        asked = {digest(request.args): request.args for request in requests}
        known = self.memory.known()
        self._ask({key: args for key, args in asked.items() if key not in known}, self._score, known, self.memory.keep)
        return [known[digest(request.args)] for request in requests]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Greedy continuations, cut at the first stop string."""
        asked = {digest(request.args): request.args for request in requests}
        known = self.memory.known_texts()
        missing = {key: args for key, args in asked.items() if key not in known}
        self._ask(missing, self._write, known, self.memory.keep_texts)
        return [known[digest(request.args)] for request in requests]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Refused: a text is cut into windows of tokens, and an endpoint's tokenizer is not here."""
        raise HarnessError(f"{self.what}: an endpoint does not score whole texts")

    def _score(self, args: Arguments) -> tuple[float, bool]:
        logprob, greedy = scored(self.connection, Continuation(*args))
        if math.isnan(logprob):
            raise NotFiniteError(f"{self.what}: the endpoint's log-likelihood is NaN")
        return logprob, greedy

    def _write(self, args: Arguments) -> str:
        prompt, options = args
        until, new_tokens = greedy_settings(options, self.what)
        return continued(self.connection, prompt, until, new_tokens)

    def _ask(
        self,
        missing: Mapping[str, Arguments],
        work: Callable[[Arguments], Value],
        known: dict[str, Value],
        keep: Callable[[dict[str, Value]], None],
    ) -> None:
        """Fill `known` with what was missing, and keep it as it comes."""
        done = 0
        self.progress(self.what, done, len(missing))
        jobs = list(missing.items())
        for pairs in finished(lambda job: (job[0], work(job[1])), jobs, self.connection.endpoint.concurrency):
            keep(dict(pairs))
            known.update(pairs)
            done += len(pairs)
            self.progress(self.what, done, len(missing))
