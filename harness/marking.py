"""The answers of one model to a suite, graded: what passes, what fails and why. No comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.records import DIGEST, Answer
from harness.stores import Store
from harness.verdicts.pairing import reply_of
from suites import Case, Graded, Suite, grade
from suites.advice import KINDS, Advice, Advised, looked_up
from suites.repeating import whole

SHOWN = 200
"""Characters of an answer that a terminal shows."""
EMPTY: Mapping[str, Advice] = {}


@dataclass(frozen=True)
class Marked:
    """One case with its answer and what that is worth."""

    case: Case
    answer: Answer | None
    graded: Graded

    @property
    def text(self) -> str | None:
        return self.answer.text if self.answer else None


def marked(cases: Sequence[Case], answers: Sequence[Answer], advice: Mapping[str, Advice] = EMPTY) -> list[Marked]:
    """Every case with its answer, of several the one that stands for them; one without fails.

    advice: what was replied, by the id of the question.
    """
    by_case: dict[str, list[Answer | None]] = {}
    for answer in answers:
        by_case.setdefault(answer.case, []).append(answer)
    return [_marked(case, by_case.get(case.id, [None]), looked_up(advice)) for case in cases]


def _marked(case: Case, answers: Sequence[Answer | None], advised: Advised) -> Marked:
    number, graded = whole(case, [grade(case, reply_of(answer, advised)) for answer in answers])
    return Marked(case, answers[number], graded)


def failing(store: Store, run: str, suite: Suite) -> frozenset[str]:
    """Ids of the cases that failed in a stored run. Raises HarnessError if the run did not ask this very suite."""
    stored = store.run(run)
    if suite.name not in stored.answers:
        asked = ", ".join(stored.answers) or "none"
        raise HarnessError(f"run {run} was not asked the suite {suite.name}; it was asked: {asked}")
    if stored.facts.get(f"{suite.name}: {DIGEST}", suite.digest) != suite.digest:
        raise HarnessError(f"suite {suite.name} has changed since run {run} was made; its failures are of other cases")
    results = marked(suite.cases, stored.answers[suite.name], stored.advice)
    return frozenset(each.case.id for each in results if each.graded.decided and not each.graded.passed)


def pass_rate(results: Sequence[Marked]) -> float:
    """Of the cases that could be graded; 0 if none could."""
    decided = [each.graded.passed for each in results if each.graded.decided]
    return sum(decided) / len(decided) if decided else 0.0


def told(suite: str, model: str, results: Sequence[Marked]) -> Iterator[str]:
    """Yield lines for a terminal: every case that fails, or was judged, with its answer and why; counts by tag."""
    yield f"{suite}: {len(results)} cases, {model}"
    for each in results:
        if not each.graded.decided or not each.graded.passed or _judged(each):
            yield f"  {_word(each.graded)} {each.case.id}: {_reasons(each)}"
            yield f"       answer: {_shortened(each)}"
    decided = [each for each in results if each.graded.decided]
    passed = sum(each.graded.passed for each in decided)
    score = sum(each.graded.score for each in decided) / max(len(decided), 1)
    yield f"passed {passed} of {len(decided)} ({100 * pass_rate(results):.1f} %), mean score {score:.3f}"
    asked = Counter(tag for each in decided for tag in each.case.tags)
    right = Counter(tag for each in decided if each.graded.passed for tag in each.case.tags)
    yield from (f"  {tag}: {right[tag]} of {count}" for tag, count in sorted(asked.items()))
    if len(decided) < len(results):
        yield f"left out: {len(results) - len(decided)} cases, which a judge or embeddings did not decide"
    alone = Counter(check.type for each in results for check in each.graded.checks if not check.checked)
    if alone:
        yield "not checked: " + ", ".join(f"{type} {count}" for type, count in sorted(alone.items()))


def _judged(result: Marked) -> bool:
    return any(each.rule.needs & set(KINDS) for each in result.case.assertions)


def _word(graded: Graded) -> str:
    return "????" if not graded.decided else "PASS" if graded.passed else "FAIL"


def _reasons(result: Marked) -> str:
    """Why it failed; of a case that somebody was asked about, all that was found."""
    checks = result.graded.checks if _judged(result) else ()
    return "; ".join(check.reason for check in checks) or result.graded.reason


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
            "passed": each.graded.passed if each.graded.decided else None,
            "score": each.graded.score if each.graded.decided else None,
            "answer": each.text,
            "reason": _reasons(each),
            "not_checked": [check.type for check in each.graded.checks if not check.checked],
        }
        for each in results
    ]
