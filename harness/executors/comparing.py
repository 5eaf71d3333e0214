"""Fidelity elsewhere: the original's pass over a corpus once, then every candidate beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.executors.errands import Compare, Errand, Refer
from harness.measuring import Context, fidelity_stage, keep_fidelity, original_stage
from harness.models.subject import Subject

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.fidelity.corpus import Corpus
    from harness.fidelity.measure import FidelityResult
    from harness.records import Measurement
    from harness.stores import Stage


class Fidelity:
    """On one corpus."""

    def __init__(self, original: Subject, corpus: Corpus, context: Context) -> None:
        self.original, self.corpus, self.context = original, corpus, context
        self.waiting: list[tuple[Subject, Stage]] = []
        """Candidates that the original's pass is not there for yet."""
        self._known: Compare | None = None

    def stage(self, candidate: Subject) -> Stage:
        """Where it is kept how true this candidate is."""
        return fidelity_stage(self.original, candidate, self.corpus, self.context)

    def of_original(self) -> Errand:
        """Its pass over the corpus, and then the candidates that wait for it."""
        return Errand(
            self.original.spec, self.original.fingerprint, Refer(self.corpus, self.context.references), self._referred
        )

    def _referred(self, result: tuple[Path, Measurement, int]) -> Sequence[Errand]:
        path, perplexity, documents = result
        self.context.store.finish_stage(original_stage(self.original, self.corpus, self.context).id, [perplexity])
        # Of a large corpus only the beginning is read; the rest need not travel with every candidate.
        self._known = Compare(path, replace(self.corpus, documents=self.corpus.documents[:documents]))
        return [self._errand(self._known, *one) for one in self.waiting]

    def of_candidate(self, candidate: Subject, stage: Stage) -> Sequence[Errand]:
        """The candidate beside the original, unless it has to wait for that."""
        if self._known is None:
            self.waiting.append((candidate, stage))
            return ()
        return (self._errand(self._known, candidate, stage),)

    def _errand(self, task: Compare, candidate: Subject, stage: Stage) -> Errand:
        def keep(found: FidelityResult | HarnessError) -> Sequence[Errand]:
            keep_fidelity(found, candidate, stage, self.corpus, self.context)
            return ()

        return Errand(candidate.spec, candidate.fingerprint, task, keep)
