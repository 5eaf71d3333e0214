"""One candidate held against the gates on the searched half, and given up as soon as one of them is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.digest import digest
from harness.fidelity.corpus import load_corpora
from harness.looks import looked, sources
from harness.measuring import measured_pair
from harness.models.subject import Subject
from harness.records import Run
from harness.search.bench import Bench
from harness.search.blame import blame
from harness.search.variants import Variant
from harness.showing.outputs import finding_facts
from harness.statistics.rising import Band
from harness.stores.trials import TrialRow
from harness.verdicts.compare import Comparison, compare
from harness.verdicts.gate import Verdict, judge
from harness.verdicts.outcome import sentence

EVERY = 2
"""Looks that are asked at once: in a small batch a model reads dearly."""
PairOfStages = tuple[Sequence[str], Sequence[str]]
"""Ids, of the original and of the candidate."""


@dataclass(frozen=True)
class Trials:
    """Holds candidates against the gates."""

    bench: Bench

    def tried(
        self, variant: Variant, sparsity: float, seen: Band | None, divergence: Band, held: frozenset[str] = frozenset()
    ) -> TrialRow:
        """The candidate against the gates, now or before.

        seen: where they were expected to break. held: what a larger cut left within its gates; it is not asked again.
        """
        low, middle, high = seen or (None, None, None)
        forecast = self.bench.cuts.forecast(variant, sparsity)
        row = replace(
            self.bench.ledger.begun("gates", variant.name, sparsity),
            parameters=forecast.parameters[1],
            measured=float(forecast.weights_bytes[1]) if self.bench.form.minimise == "memory" else None,
            divergence=divergence.middle,
            divergence_low=divergence.low,
            divergence_high=divergence.high,
            predicted=middle,
            predicted_low=low,
            predicted_high=high,
        )
        return self.bench.ledger.step(row, lambda: self._judged(row, variant, held))

    def _judged(self, row: TrialRow, variant: Variant, held: frozenset[str]) -> TrialRow:
        after = self.bench.cuts.subject(variant, row.sparsity)
        verdict, comparison = self._asked(after, held)
        after.release()
        reason = sentence([verdict])
        if verdict.decision != "PASS" and (cause := blame(comparison)):
            reason = f"{reason} {cause}"
        if held:
            reason = f"{reason} Not asked, for a larger cut held: {', '.join(sorted(held))}."
        findings = json.dumps([finding_facts(finding) for finding in verdict.findings])
        return replace(row, decision=verdict.decision, reason=reason, findings=findings)

    def _asked(self, after: Subject, held: frozenset[str]) -> tuple[Verdict, Comparison]:
        """Source by source, the shortest first, until one breaks a gate or all were asked."""
        stages: tuple[list[str], list[str]] = ([], [])
        for name, (before_stages, after_stages) in self._sources(after, held):
            stages[0].extend(before_stages)
            stages[1].extend(after_stages)
            comparison = self._compared(after, stages)
            asked = [gate for gate in self.bench.searched.plan.gates if gate.metric in comparison.series]
            own = [gate for gate in asked if gate.metric.startswith(f"{name}.") and gate.severity == "block"]
            if own and judge(comparison, own).decision == "REGRESSION":
                break
        return judge(comparison, asked), comparison

    def _sources(self, after: Subject, held: frozenset[str]) -> Iterator[tuple[str, PairOfStages]]:
        """Name and stages of each thing that a gate looks at and that is not held yet, once it was asked."""
        plan = self.bench.searched.plan
        gated = {gate.metric.partition(".")[0] for gate in plan.gates} - held
        if plan.fidelity and "fidelity" in gated:
            corpora = load_corpora(plan.fidelity, plan.half)
            pair = measured_pair(self.bench.original, after, corpora, self.bench.searched)
            yield "fidelity", (pair.before, pair.after)
        asked = [source for source in sources(self.bench.searched) if source.name in gated]
        for source in sorted(asked, key=lambda one: one.total):
            yield source.name, looked(source, self.bench.original, after, self.bench.searched, EVERY)

    def _compared(self, after: Subject, stages: PairOfStages) -> Comparison:
        """The two models on what was asked so far, as runs of this job."""
        store, job, runs = self.bench.searched.store, self.bench.searched.job, []
        for side, subject, own in zip(("before", "after"), (self.bench.original, after), stages, strict=True):
            run = Run(digest(job.id, after.spec.name, side)[:8], subject.spec, subject.fingerprint)
            store.save_run(run, job.id, own)
            runs.append(store.run(run.id))
        asked = [suite for suite in self.bench.searched.suites if suite.name in runs[1].answers]
        return compare(runs[0], runs[1], asked, in_looks=True)
