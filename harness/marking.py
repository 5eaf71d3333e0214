"""The answers of one model to a suite, graded: what passes, what fails and why. No comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.records import DIGEST, Answer
from harness.stores import Store
from harness.verdicts.pairing import reply_of
from suites import Case, Graded, Suite, grade

SHOWN = 200
"""Characters of an answer that a terminal shows."""


@dataclass(frozen=True)
class Marked:
    """One case with its answer and what that is worth."""

    case: Case
    answer: Answer | None
    graded: Graded

    @property
    def text(self) -> str | None:
        return self.answer.text if self.answer else None


def marked(cases: Sequence[Case], answers: Sequence[Answer]) -> list[Marked]:
    """Every case with its answer; one without fails."""
    by_case = {answer.case: answer for answer in answers}
    return [Marked(case, by_case.get(case.id), grade(case, reply_of(by_case.get(case.id)))) for case in cases]


def failing(store: Store, run: str, suite: Suite) -> frozenset[str]:
    """Ids of the cases that failed in a stored run. Raises HarnessError if the run did not ask this very suite."""
    stored = store.run(run)
    if suite.name not in stored.answers:
        asked = ", ".join(stored.answers) or "none"
        raise HarnessError(f"run {run} was not asked the suite {suite.name}; it was asked: {asked}")
    if stored.facts.get(f"{suite.name}: {DIGEST}", suite.digest) != suite.digest:
        raise HarnessError(f"suite {suite.name} has changed since run {run} was made; its failures are of other cases")
    return frozenset(each.case.id for each in marked(suite.cases, stored.answers[suite.name]) if not each.graded.passed)


def pass_rate(results: Sequence[Marked]) -> float:
    return sum(each.graded.passed for each in results) / len(results)


def told(suite: str, model: str, results: Sequence[Marked]) -> Iterator[str]:
    """Yield lines for a terminal: every case that fails with its answer and the reason, then counts by tag."""
    yield f"{suite}: {len(results)} cases, {model}"
    for each in results:
        if not each.graded.passed:
            yield f"  FAIL {each.case.id}: {each.graded.reason}"
            yield f"       answer: {_shortened(each)}"
    passed = sum(each.graded.passed for each in results)
    score = sum(each.graded.score for each in results) / len(results)
    yield f"passed {passed} of {len(results)} ({100 * pass_rate(results):.1f} %), mean score {score:.3f}"
    asked = Counter(tag for each in results for tag in each.case.tags)
    right = Counter(tag for each in results if each.graded.passed for tag in each.case.tags)
    yield from (f"  {tag}: {right[tag]} of {count}" for tag, count in sorted(asked.items()))
    alone = Counter(check.type for each in results for check in each.graded.checks if not check.checked)
    if alone:
        yield "not checked: " + ", ".join(f"{type} {count}" for type, count in sorted(alone.items()))


def _shortened(result: Marked) -> str:
    if result.text is None:
        return f"none: {result.answer.error if result.answer else 'not asked'}"
    text = result.text if len(result.text) <= SHOWN else f"{result.text[:SHOWN]}..."
    return repr(text)


def rows(results: Sequence[Marked]) -> list[dict[str, object]]:
    """The same for programs: one mapping a case."""
    return [
        {
            "id": each.case.id,
            "tags": sorted(each.case.tags),
            "passed": each.graded.passed,
            "score": each.graded.score,
            "answer": each.text,
            "reason": each.graded.reason,
            "not_checked": [check.type for check in each.graded.checks if not check.checked],
        }
        for each in results
    ]
