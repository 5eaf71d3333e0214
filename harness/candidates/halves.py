"""Halves of a suite: one is learned from or searched with, the other judges; what a case asks alone decides.

Of a suite that judges nothing, all is learned from that nothing else judges by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain, filterfalse

import suites as suite_files
from harness.candidates.making import recipe_of
from harness.digest import digest
from harness.errors import HarnessError
from harness.plan import Plan, allowance
from harness.plan_models import Candidate
from suites import Case, Suite
from suites.errors import SuiteError

RULE = "SHA-256 of the messages begins with an even hex digit"
"""Of the cases that are learned from; it goes into the receipt."""
UNASKED = "that no suite of the plan asks"
"""The same of a suite that judges nothing."""


@dataclass(frozen=True)
class Halves:
    """All cases of one suite, each learned from or held out."""

    whole: Suite
    learned: tuple[Case, ...]
    held_out: Suite
    """Of another digest than the whole, so that results of the one are never taken for those of the other."""
    rule: str
    """What those that are learned from have in common."""

    @property
    def searched(self) -> Suite:
        """The cases that are not held out, as a suite of their own."""
        return replace(self.whole, cases=self.learned, digest=digest(self.whole.digest, "only", RULE))

    def line(self) -> str:
        """What was learned from, for receipts and `secateur check`."""
        suite = f"{len(self.whole.cases)} cases of suite {self.whole.name} ({self.whole.digest[:12]})"
        if not self.held_out.cases:
            return f"all {suite}"
        return f"{len(self.learned)} of the {suite}, those {self.rule}"


def halves(suite: Suite) -> Halves:
    """The suite, parted. Cases that ask the same are in the same half, whatever they are called."""
    learned, rest = _sorted_out(suite, lambda case: in_first_half(case.messages))
    held_out = replace(suite, cases=rest, digest=digest(suite.digest, "without", RULE))
    return Halves(suite, learned, held_out, f"whose {RULE}")


def _undivided(suite: Suite, asked: Set[str]) -> Halves:
    """All of it to learn from, but what is asked. asked: digests of messages."""
    learned, rest = _sorted_out(suite, lambda case: digest(case.messages) not in asked)
    return Halves(suite, learned, replace(suite, cases=rest, digest=digest(suite.digest, "without", UNASKED)), UNASKED)


def _sorted_out(suite: Suite, chosen: Callable[[Case], bool]) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """The cases that are chosen, and the others."""
    return tuple(filter(chosen, suite.cases)), tuple(filterfalse(chosen, suite.cases))


def in_first_half(content: object) -> bool:
    """Whether content, by its hash alone, is of the half that is learned from, or searched with."""
    return int(digest(content)[0], 16) % 2 == 0


def learned_suites(plan: Plan) -> dict[str, Halves]:
    """Every suite that a candidate learns from, by its name in the plan.

    Of a suite that the plan asks, half is learned from; of another, all that no suite of the plan asks.
    Raises HarnessError for a suite that is wrong.
    """
    wanted = learned_sources(plan.candidates.values())
    if not wanted:
        return {}
    try:
        loaded = {source: suite_files.load(source, allowance(plan)) for source in {*wanted, *plan.suites}}
    except SuiteError as error:
        raise HarnessError(str(error)) from error
    asked = {digest(case.messages) for source in plan.suites for case in loaded[source].cases}
    return {
        source: halves(loaded[source]) if source in plan.suites else _undivided(loaded[source], asked)
        for source in wanted
    }


def learned_sources(candidates: Iterable[Candidate]) -> list[str]:
    """The names in the plan of all suites that these learn from."""
    read = (names for candidate in candidates for names in candidate.learns.values())
    return sorted(set(chain.from_iterable(read)))


def learning_faults(plan: Plan, suites: Sequence[Suite]) -> list[str]:
    """Why candidates cannot learn from their suites, or could not be judged by these afterwards."""
    found = learned_suites(plan)
    faults = [
        f"suite {parted.whole.name}: too few cases to learn from {'one half' if source in plan.suites else 'it'}: "
        f"{len(parted.learned)} to learn from, {len(parted.held_out.cases)} held out"
        for source, parted in found.items()
        if not parted.learned or (source in plan.suites and not parted.held_out.cases)
    ]
    for name, candidate in plan.candidates.items():
        faults += [f"candidates.{name}.{fault}" for fault in _unread(candidate)]
        faults += [f"candidates.{name}: {fault}" for fault in _overlaps(candidate, found, suites)]
    return faults


def _unread(candidate: Candidate) -> list[str]:
    """What the candidate's recipe would not read."""
    if candidate.recipe is None:
        return []
    recipe = recipe_of(candidate.recipe)
    faults = []
    if candidate.calibration and not (recipe.needs or recipe.chosen().needs or recipe.compensate != "none"):
        faults.append(f"calibration: its recipe reads no text, for {recipe.method} needs none")
    if candidate.recovery and recipe.recovery is None:
        faults.append("recovery: its recipe recovers nothing; name one that does, like cfsp-20+distill")
    return faults


def _overlaps(candidate: Candidate, found: Mapping[str, Halves], suites: Sequence[Suite]) -> list[str]:
    """Suites of the plan that ask what the candidate has learned from another one."""
    faults = []
    for source in learned_sources([candidate]):
        known = {digest(case.messages) for case in found[source].learned}
        for suite in suites:
            same = [case.id for case in suite.cases if digest(case.messages) in known]
            if same:
                learned = found[source].whole.name
                asks = f"suite {suite.name} asks what it learns from suite {learned}: {same[0]}, {len(same)} in all"
                faults.append(f"{asks}; leave these cases out of one of the two")
    return faults
