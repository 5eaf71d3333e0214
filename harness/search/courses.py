"""How it goes with each variant: screened, dropped or followed, trial by trial, to where its gates break."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness import metrics
from harness.search.bench import Bench
from harness.search.room import breaking, held
from harness.search.screening import Screen, Screening, screen_of
from harness.search.strategy import TRIALS, Bracket, Levels, expected, kept, next_sparsity
from harness.search.trials import Trials
from harness.search.variants import NONE, Variant
from harness.statistics.rising import Band
from harness.stores.trials import TrialRow

FIRST = 2
"""Cuts of every method that are looked at before methods are compared."""
VERDICTS = 2
"""Finalists whose judging the budget must still last for when one more trial is begun."""

Look = tuple[Variant, Sequence[float]]
"""A variant, and the sparsities at which it is looked at."""


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

    def held_beyond(self, sparsity: float) -> frozenset[str]:
        """What larger cuts left within its gates, so that this one does too: their sources."""
        return frozenset().union(*(held(row) for row in self.trials if row.sparsity > sparsity))

    @property
    def best(self) -> TrialRow | None:
        """The trial with the largest sparsity that passed."""
        return next((row for row in self.trials if row.sparsity == self.bracket.passed), None)


def screened(bench: Bench) -> list[Course]:
    """Every variant that was looked at, the most promising first; hopeless ones are already dropped.

    First the bare cuts of all methods, from the lowest up, then the recoveries of the methods that are left, which are
    dear and so only looked at near where their bare cut stands.
    """
    form, (low, high) = bench.form, bench.form.sparsity
    even = [round(low + (high - low) * step / (form.screen.cuts - 1), 3) for step in range(form.screen.cuts)]
    plain = [(one, even) for one in bench.variants if one.recovery == NONE]
    screen = screen_of(bench)
    bare, standing = _climbed(plain, [], FIRST, screen)
    near = {course.variant.method: standing[course.variant.name].middle for course in bare if not course.dropped}
    others = [
        (one, _near(near[one.method], form.sparsity))
        for one in bench.variants
        if one.recovery != NONE and one.method in near
    ]
    for course in bare if NONE not in form.recovery else ():
        course.dropped = course.dropped or "looked at for its recoveries only"
    recovered, found = _climbed(others, [course for course in bare if not course.dropped], 1, screen)
    standing |= found
    return sorted((*bare, *recovered), key=lambda course: -standing[course.variant.name].middle)


def _near(place: float, span: tuple[float, float]) -> list[float]:
    """Where to look at a recovery: where its bare cut stands, and halfway to the highest."""
    near = min(max(place, span[0]), span[1])
    return sorted({round(near, 3), round((near + span[1]) / 2, 3)})


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
            row = trials.tried(course.variant, sparsity, seen, divergence, course.held_beyond(sparsity))
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


def _climbed(
    looks: Sequence[Look], beside: Sequence[Course], first: int, screen: Screen
) -> tuple[list[Course], dict[str, Band]]:
    """Screen variants cut by cut, from the lowest up, and after each drop those that are left behind.

    It ends once the gates of all that are left are seen to break. first: cuts before the first comparison; beside:
    others that they are compared with. Also returned: where each variant stands, as a sparsity.
    """
    courses: dict[str, Course] = {}
    standing: dict[str, Band] = {}
    for count in range(first, max((len(places) for _, places in looks), default=0) + 1):
        for variant, places in looks:
            course = courses.get(variant.name)
            if count > first and (course is None or course.dropped):
                continue
            screening = _looked_at(variant, places[:count], screen)
            if screening is not None:
                courses.setdefault(variant.name, Course(screening)).screening = screening
        compared = [course for course in (*beside, *courses.values()) if not course.dropped]
        standing |= _drop_worse_(compared)
        bands = [standing[course.variant.name] for course in compared if not course.dropped]
        if all(course.screening.gated for course in compared) and all(math.isfinite(band.high) for band in bands):
            break
    return list(courses.values()), standing


def _looked_at(variant: Variant, places: Sequence[float], screen: Screen) -> Screening | None:
    """What a variant does to text, so far as the budget lasts; None, and written down why, where nothing is known."""
    ledger = screen.bench.ledger
    seen = [place for place in places if ledger.affords("screen", variant.name, place, ledger.dearest("screen"))]
    screening = screen.screened(variant, seen) if seen else None
    if screening is None:
        why = "what it says is no number" if seen else "no time was left in the budget to look at it"
        ledger.note(replace(ledger.begun("variant", variant.name, 0.0), reason=why))
    return screening


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
    levels = Levels()
    for row in (row for course in courses for row in course.trials):
        if row.divergence is not None:
            levels = levels.with_trial(row.divergence, row.decision == "PASS", breaking(row))
    return levels


def _beaten(course: Course, seen: Band | None, courses: Sequence[Course], bench: Bench) -> str:
    """Why a variant is not expected to be the smallest, by half a resolution at least; empty: it is, or who knows."""
    found = [other for other in courses if other is not course and other.best is not None]
    if seen is None or not found or course.best is not None or bench.form.minimise == "latency":
        return ""
    best = min(found, key=_measure)
    low, high = bench.form.sparsity
    reach = max(low, min(seen.middle - bench.form.resolution / 2, high))
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
