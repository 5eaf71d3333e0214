"""A judge first writes down how to judge, then does: g-eval (Liu et al., arXiv 2303.16634).

Deliberate difference from the paper: the score is the one that the judge writes, not weighted by token probabilities,
which most judges do not tell. promptfoo does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from suites.assertions import Check
from suites.errors import SuiteError
from suites.filters import dump
from suites.judge import REASON, json_only, number_in, object_in, question, reason_in, unreadable
from suites.reply import Reply
from suites.wording import Wording, Words, named, parsed

STEPS = """\
You are going to judge answers of language models by one criterion. Before you see any answer, write down three to \
five short steps by which a careful person would judge one."""
STEPS_FORM = json_only('{"steps": ["first step", "second step", "third step"]}')
GRADE = """\
Judge the answer by the criterion. Go through the steps one by one, then give a score from 0, the criterion is not met \
at all, to 10, it is met fully."""
MOST = 10
"""The best score."""
GRADE_FORM = json_only(f'{{{REASON}, "score": a number from 0 to 10}}')


@dataclass(frozen=True)
class GEval:
    """A judge, by steps that it made itself, finds the value met to the threshold, 0.7 if none is given.

    The value is a criterion in words, or a list of them, of which the mean counts.
    """

    value: object
    threshold: float | None = None
    wording: Words | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"judge"})

    def __post_init__(self) -> None:
        _criteria(self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        grades = [self._grade(criterion, answer) for criterion in _criteria(self.value)]
        score = fmean(grade for grade, _ in grades)
        limit = 0.7 if self.threshold is None else self.threshold
        reasons = "; ".join(reason for _, reason in grades)
        reason = f"{reasons} (score {score:.4g}, the rule says {limit:g} at least)"
        return Check("g-eval", score >= limit, score, reason)

    def _grade(self, criterion: str, answer: Reply) -> tuple[float, str]:
        """Return the score, 0 to 1, and the judge's reason."""
        steps = _steps(criterion, answer, named(self.wording, "steps"))
        words = named(self.wording, "evaluate")
        if words is not None:
            facts = {"criteria": criterion, "steps": "\n- ".join(steps), "maxScore": str(MOST)}
            told = {**facts, "input": parsed(answer.prompt), "output": parsed(answer.text)}
            said = words.object_in_reply(answer, told, "score")
            said |= {"score": _number(said["score"])}
        else:
            material = {"criterion": criterion, "question": answer.prompt, "answer": answer.text}
            task = "\n".join([GRADE, "", "The steps:", *(f"{number}. {step}" for number, step in enumerate(steps, 1))])
            said = object_in(answer, question(task, GRADE_FORM, material))
        return number_in(said, "score", MOST) / MOST, reason_in(said)


def _criteria(value: object) -> list[str]:
    given = value if isinstance(value, list) else [value]
    criteria = [one for one in given if isinstance(one, str) and one.strip()]
    if not criteria or len(criteria) < len(given):
        raise SuiteError("g-eval: the value must be a criterion in words, or a list of them, not empty")
    return criteria


def _number(value: object) -> object:
    """Return the number that a text is, for a judge asked in other words may write one; anything else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _steps(criterion: str, answer: Reply, words: Wording | None) -> list[str]:
    """Return the judge's own steps, the same for every answer that is held against the criterion."""
    if words is not None:
        said = words.object_in_reply(answer, {"criteria": criterion}, "steps")
    else:
        said = object_in(answer, question(STEPS, STEPS_FORM, {"criterion": criterion}))
    steps = said.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, str) and step.strip() for step in steps):
        raise unreadable(dump(said))
    return [" ".join(step.split()) for step in steps]


TYPES: dict[str, type] = {"g-eval": GEval}
