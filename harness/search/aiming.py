"""The best model that reaches a target: every variant cut just far enough, what is nearest to the original first."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness.search.bench import Bench
from harness.search.courses import Course
from harness.search.finals import judged
from harness.search.latency import Latency, Stand
from harness.search.screening import screen_of
from harness.search.strategy import GRAIN, SAFER, kept
from harness.search.target import Target
from harness.search.trials import Trials
from harness.search.variants import NONE, Variant
from harness.statistics.rising import Band
from harness.stores.trials import TrialRow

SPARE = 0.04
"""So much more than its target a speed is aimed at: the prediction may be off, and the meter has noise."""


@dataclass(frozen=True)
class Sights:
    """Predicts what candidates come to, on the scale of the target."""

    bench: Bench
    target: Target

    def predicted(self, variant: Variant, sparsity: float) -> float:
        """What it comes to at this sparsity."""
        if self.target.metric == "memory.weights":
            before, after = self.bench.cuts.forecast(variant, sparsity).weights_bytes
            after, before = after + self._buffers, before + self._buffers
            return after / before if self.target.relative else float(after)
        speed = 1 / self._latency.seconds(self.bench.cuts.shape(variant, sparsity))
        return speed * self._whole if self.target.relative else speed

    def least(self, variant: Variant, spare: float) -> float | None:
        """The smallest sparsity that reaches so much more than the target; None: the highest does not."""
        low, high = self.bench.form.sparsity
        steps = [low, *(step * GRAIN for step in range(math.ceil(low / GRAIN) + 1, math.ceil(high / GRAIN))), high]
        first, last = 0, len(steps)
        while first < last:
            middle = (first + last) // 2
            value = self.predicted(variant, steps[middle])
            first, last = (first, middle) if self.target.reached(value / (1 + spare)) else (middle + 1, last)
        return round(steps[first], 6) if first < len(steps) else None

    def noted(self, variant: Variant, sparsity: float) -> TrialRow:
        """A prediction, written down."""
        row = self.bench.ledger.begun("aim", variant.name, sparsity)
        value = self.predicted(variant, sparsity)
        parameters = self.bench.cuts.forecast(variant, sparsity).parameters[1]
        why = f"{self.target.metric}: expected at {self.target.shown(value)}, the target is {self._goal}"
        return self.bench.ledger.note(replace(row, parameters=parameters, measured=value, reason=why))

    def short(self, variant: Variant) -> str:
        """Why a variant cannot reach the target."""
        high = self.bench.form.sparsity[1]
        found = self.target.shown(self.predicted(variant, high))
        return f"cut by {high:g} {self.target.metric} is expected at {found}, the target is {self._goal}"

    @property
    def _goal(self) -> str:
        return self.target.shown(self.target.value)

    @property
    def spare(self) -> float:
        """How much more than the target is aimed at; a memory is known exactly."""
        return 0.0 if self.target.metric == "memory.weights" else SPARE

    @cached_property
    def _buffers(self) -> int:
        """Bytes that no cut removes and no weight file holds."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.bench.original.plain().model.buffers())

    @cached_property
    def _latency(self) -> Latency:
        ledger = self.bench.ledger

        def timed(name: str, kept: float, read: Callable[[], float]) -> float:
            row = ledger.begun("latency", name, kept)
            return ledger.step(row, lambda: replace(row, measured=read())).measured or 0.0

        with_groups = any(variant.recipe.chosen().attention for variant in self.bench.variants)
        stand = Stand(self.bench.original.plain(), self.target.metric == "speed.prefill", self.bench.searched.progress)
        return stand.table(timed, with_groups)

    @cached_property
    def _whole(self) -> float:
        """Seconds of the original, by the same table."""
        from compress.anatomy.blocks import blocks
        from compress.planning.plan import whole

        return self._latency.seconds(whole(blocks(self.bench.original.plain().model)))


def aimed(bench: Bench, target: Target, command: str) -> list[Course]:
    """Judge the variant that reaches the target and is nearest to the original; returns what became of all."""
    sights = Sights(bench, target)
    bare = _looked_at([one for one in bench.variants if one.recovery == NONE], sights)
    methods = {course.variant.method for course in bare if not course.dropped}
    recovered = _looked_at([one for one in bench.variants if one.recovery != NONE and one.method in methods], sights)
    for course in bare if NONE not in bench.form.recovery else ():
        course.dropped = course.dropped or "looked at for its recoveries only"
    courses = sorted((*bare, *recovered), key=_distance)
    _drop_farther_([course for course in courses if not course.dropped])
    best = next((course for course in courses if not course.dropped and _holds_(course, bench)), None)
    if best is not None:
        for course in courses[courses.index(best) + 1 :]:
            course.dropped = course.dropped or f"{best.variant.name} is nearer to the original at the target"
        _judge(best, sights, command)
    return courses


def _looked_at(variants: Sequence[Variant], sights: Sights) -> list[Course]:
    """Each where it just reaches the target; those that are clearly farther from the original are dropped."""
    screen, ledger, courses = screen_of(sights.bench), sights.bench.ledger, []
    for variant in variants:
        place = sights.least(variant, sights.spare)
        screening = None
        if place is not None and ledger.affords("screen", variant.name, place, ledger.dearest("screen")):
            sights.noted(variant, place)
            screening = screen.screened(variant, [place])
        if screening is not None:
            courses.append(Course(screening))
        else:
            why = sights.short(variant) if place is None else "no time was left to look at it, or it says no number"
            ledger.note(replace(ledger.begun("variant", variant.name, 0.0), reason=why))
    _drop_farther_(courses)
    return courses


def _drop_farther_(courses: Sequence[Course]) -> None:
    """One round of successive halving, by the divergence at the target."""
    if not courses:
        return
    bands = {course.variant.name: _band(course) for course in courses}
    left = kept({name: Band(-band.high, -band.middle, -band.low) for name, band in bands.items()})
    for course in courses:
        if course.variant.name not in left:
            near, far = bands[left[0]].middle, bands[course.variant.name].middle
            course.dropped = f"{far:.3g} nats a token from the original at the target, {left[0]} {near:.3g}"


def _band(course: Course) -> Band:
    return course.screening.divergence.height(_place(course))


def _distance(course: Course) -> float:
    return _band(course).middle


def _place(course: Course) -> float:
    """The sparsity at which it was looked at."""
    return float(course.screening.divergence.places[-1])


def _holds_(course: Course, bench: Bench) -> bool:
    """Whether it keeps within the gates on the searched half."""
    place, ledger = _place(course), bench.ledger
    if not ledger.affords("gates", course.variant.name, place, ledger.dearest("gates")):
        course.dropped = f"no time was left in the budget to try {place:g}"
        return False
    row = Trials(bench).tried(course.variant, place, None, _band(course))
    course.trials.append(row)
    course.bracket = course.bracket.with_trial(place, row.decision == "PASS")
    return row.decision == "PASS"


def _judge(course: Course, sights: Sights, command: str) -> None:
    """The verdict; cut further, and judged again, while it only falls short of the target."""
    sparsity: float | None = _place(course)
    spare, tried = sights.spare, set[float]()
    for number in range(len(SAFER)):
        if sparsity is None or sparsity in tried:
            return
        if number and not sights.bench.ledger.affords("verdict", course.variant.name, sparsity):
            return
        tried.add(sparsity)
        aim = sights.noted(course.variant, sparsity)
        row = judged(course, sparsity, command, sights.bench, len(SAFER))
        missed = [one for one in json.loads(row.findings) if one["decision"] != "PASS" and one["severity"] == "block"]
        if [one["gate"]["metric"] for one in missed] != [sights.target.metric]:
            return
        (short,) = missed
        expected, bound = aim.measured or 0.0, short["low"] or short["estimate"] or aim.measured or 1.0
        spare = max(spare + SPARE, expected / bound - 1 + SPARE)
        sparsity = sights.least(course.variant, spare)
