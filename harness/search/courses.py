"""How it goes with each variant: screened, dropped or followed, trial by trial, to where its gates break."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness import metrics
from harness.search.bench import Bench
from harness.search.screening import Screening, screen_of
from harness.search.strategy import TRIALS, Bracket, Levels, expected, kept, next_sparsity
from harness.search.trials import Trials
from harness.search.variants import NONE, Variant
from harness.statistics.rising import Band
from harness.stores.trials import TrialRow

VERDICTS = 2
"""Finalists whose judging the budget must still last for when one more trial is begun."""


@dataclass
class Course:
    """Of one variant."""

    screening: Screening
    bracket: Bracket = field(default_factory=Bracket)
    trials: list[TrialRow] = field(default_factory=list)
    dropped: str = ""
    """Why it was given up; empty: it was followed to where its gates break."""

    @property
    def variant(self) -> Variant:
        return self.screening.variant

    @property
    def best(self) -> TrialRow | None:
        """The trial with the largest sparsity that passed."""
        return next((row for row in self.trials if row.sparsity == self.bracket.passed), None)


def screened(bench: Bench) -> list[Course]:
    """Every variant that was looked at, the most promising first; hopeless ones are already dropped.

    First the bare cuts of all methods, then the recoveries of the methods that are left.
    """
    bare = _looked_at([one for one in bench.variants if one.recovery == NONE], bench, {})
    standing = _drop_worse_(bare)
    methods = {course.variant.method for course in bare if not course.dropped}
    others = [one for one in bench.variants if one.recovery != NONE and one.method in methods]
    recovered = _looked_at(others, bench, standing)
    for course in bare if NONE not in bench.form.recovery else ():
        course.dropped = course.dropped or "looked at for its recoveries only"
    left = [course for course in (*bare, *recovered) if not course.dropped]
    standing |= _drop_worse_(left)
    return sorted((*bare, *recovered), key=lambda course: -standing[course.variant.name].middle)


def follow_(course: Course, courses: Sequence[Course], bench: Bench) -> None:
    """Hold candidates of one variant against the gates until it is known where they break."""
    form, ledger, trials, name = bench.form, bench.ledger, Trials(bench), course.variant.name
    while len(course.trials) < TRIALS and not course.dropped:
        seen = expected(course.screening.divergence, _levels(courses), course.screening.gated)
        sparsity = next_sparsity(course.bracket, seen, form.sparsity, form.resolution)
        if sparsity is None:
            return
        course.dropped = _beaten(course, seen, courses, bench)
        if not ledger.affords("gates", name, sparsity, VERDICTS * ledger.dearest("gates")):
            course.dropped = f"no time was left in the budget to try {sparsity:g}"
        if not course.dropped:
            divergence = course.screening.divergence.height(sparsity)
            row = trials.tried(course.variant, sparsity, seen, divergence)
            course.trials.append(row)
            course.bracket = course.bracket.with_trial(sparsity, row.decision == "PASS")


def winner(courses: Sequence[Course], bench: Bench) -> Course | None:
    """The variant whose best candidate is the smallest, by what the search minimises; None: nothing passed."""
    found = [course for course in courses if course.best is not None]
    if bench.form.minimise == "latency" and len(found) > 1:
        for course in found:
            _clock_(course, bench)
    return min(found, key=_measure, default=None)


def write_down(course: Course, bench: Bench) -> None:
    """What became of a variant, for who reads the store."""
    row = TrialRow(bench.searched.job.id, "variant", course.variant.name, course.bracket.passed or 0.0, 0)
    if course.trials:
        first = course.trials[0]
        row = replace(
            row, predicted=first.predicted, predicted_low=first.predicted_low, predicted_high=first.predicted_high
        )
    parameters = course.best.parameters if course.best else 0
    bench.ledger.note(replace(row, parameters=parameters, reason=course.dropped))


def _looked_at(variants: Sequence[Variant], bench: Bench, standing: dict[str, Band]) -> list[Course]:
    """Screen variants; those with a recovery, which is dear, only near where their bare cut stands."""
    screen, ledger, (low, high) = screen_of(bench), bench.ledger, bench.form.sparsity
    courses = []
    for variant in variants:
        cuts = bench.form.screen.cuts
        places = [round(low + (high - low) * step / (cuts - 1), 3) for step in range(cuts)]
        if variant.recovery != NONE:
            near = min(max(standing[variant.method].middle, low), high)
            places = sorted({round(near, 3), round((near + high) / 2, 3)})
        affordable = ledger.affords("screen", variant.name, places[0], ledger.dearest("screen"))
        screening = screen.screened(variant, places) if affordable else None
        if screening is not None:
            courses.append(Course(screening))
        else:
            why = "what it says is no number" if affordable else "no time was left in the budget to look at it"
            ledger.note(TrialRow(bench.searched.job.id, "variant", variant.name, 0.0, 0, reason=why))
    return courses


def _drop_worse_(courses: Sequence[Course]) -> dict[str, Band]:
    """Drop those that the others leave behind; variant -> where it stands among them, as a sparsity."""
    standing = _standing([course.screening for course in courses])
    if not courses:
        return {}
    left = kept(standing)
    best = standing[left[0]]
    for course in courses:
        band = standing[course.variant.name]
        if course.variant.name not in left:
            course.dropped = f"as far from the original at {shown(band)} as {left[0]} is at {shown(best)}"
    return standing


def _standing(screenings: Sequence[Screening]) -> dict[str, Band]:
    """The sparsity at which each is as far from the original as the others are at theirs.

    Where a gate looks at fidelity that is where it breaks; else where the divergence is that of the middling variant in
    the middle of the search.
    """
    if all(one.gated for one in screenings):
        return {one.variant.name: Band(*map(min, zip(*one.gated, strict=True))) for one in screenings}
    middle = max(one.divergence.places[-1] for one in screenings) / 2
    level = statistics.median(one.divergence.height(middle).middle for one in screenings)
    return {one.variant.name: one.divergence.reaches(level) for one in screenings}


def shown(band: Band) -> str:
    """A sparsity with its ends."""
    ends = [f"{end:.2f}" if math.isfinite(end) else "beyond" for end in band]
    return f"{ends[1]} ({ends[0]} to {ends[2]})"


def _levels(courses: Sequence[Course]) -> Levels:
    """Of all trials of all variants: how far from the original a candidate may be is about the same for all."""
    known = [
        (row.divergence, row.decision) for course in courses for row in course.trials if row.divergence is not None
    ]
    passed = tuple(level for level, decision in known if decision == "PASS")
    return Levels(passed, tuple(level for level, decision in known if decision != "PASS"))


def _beaten(course: Course, seen: Band | None, courses: Sequence[Course], bench: Bench) -> str:
    """Why a variant cannot be the smallest any more; empty: it can, or nothing is known."""
    found = [other for other in courses if other is not course and other.best is not None]
    if seen is None or not found or course.best is not None or bench.form.minimise == "latency":
        return ""
    best = min(found, key=_measure)
    low, high = bench.form.sparsity
    reach = max(low, min(seen.high, high))
    if best.best is None or bench.cuts.forecast(course.variant, reach).parameters[1] < best.best.parameters:
        return ""
    return f"its gates are expected to break at {shown(seen)}, and {best.variant.name} passed {best.best.sparsity:g}"


def _measure(course: Course) -> float:
    """What the search minimises, of the best candidate of a variant."""
    row = course.best
    if row is None:
        return math.inf
    return row.measured if row.measured is not None else float(row.parameters)


def _clock_(course: Course, bench: Bench) -> None:
    """Seconds a token of the best candidate."""
    row = course.best
    if row is None or row.measured is not None:
        return
    subject = bench.cuts.subject(course.variant, row.sparsity)
    pairs = metrics.load("speed")().measure(bench.original.loaded(), subject.loaded(), bench.searched.progress)
    subject.release()
    (decode,) = (after.value for _, after in pairs if after.metric == "speed.decode")
    timed = bench.ledger.note(replace(row, measured=1.0 / decode))
    course.trials = [timed if one.sparsity == row.sparsity else one for one in course.trials]
