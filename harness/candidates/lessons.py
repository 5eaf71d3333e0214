"""Lessons: the learned half of a suite and the original's answers to it, as a file that a recipe reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress import Recipe
from compress.training.settings import Source
from harness import drafts
from harness.asking import asked
from harness.candidates.halves import Halves, learned_suites
from harness.candidates.making import recipe_of
from harness.digest import digest
from harness.errors import HarnessError
from harness.measuring import Context
from harness.models.subject import Subject
from harness.plan_models import Candidate
from harness.records import Answer
from suites.repeating import settled

FOLDER = "lessons"


@dataclass(frozen=True)
class Lesson:
    """One suite's file, and what it holds in a sentence."""

    file: Path
    note: str


def taught(original: Subject, context: Context) -> dict[str, Recipe]:
    """The recipe of every candidate that is made here, reading what the plan wants it to learn from.

    Raises HarnessError where the original answers nothing, or a file cannot be written.
    """
    candidates = context.plan.candidates.items()
    lessons = {source: _lesson(parted, original, context) for source, parted in learned_suites(context.plan).items()}
    return {name: _reading(one, recipe_of(one.recipe), lessons) for name, one in candidates if one.recipe is not None}


def _lesson(parted: Halves, original: Subject, context: Context) -> Lesson:
    """Ask the original what is not answered yet, and write down what it said."""
    greedy = settled(replace(parted.whole, sampling=None))
    (stage,) = asked(original, greedy, parted.learned, context)
    answers = {answer.case: answer for answer in context.store.answers(stage)}
    rows = list(_rows(parted, answers))
    if not rows:
        raise HarnessError(f"suite {parted.whole.name}: the original answers none of the cases to learn from")
    file = context.out / "models" / FOLDER / f"{parted.whole.name}-{digest(rows)[:12]}.jsonl"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"{file.parent}: cannot make the folder: {error.strerror}") from None
    drafts.write(file, (json.dumps(row) + "\n" for row in rows))
    silent = len(parted.learned) - len(rows)
    without = f"; {silent} without an answer left out" if silent else ""
    return Lesson(file, f"{parted.line()}, with the original's answers{without}; the others are held out")


def _rows(parted: Halves, answers: Mapping[str, Answer]) -> Iterator[dict[str, Any]]:
    """A case's messages and answer, for a recovery; and as the very text that the original read and wrote."""
    for case in parted.learned:
        answer = answers[case.id]
        if answer.text:
            said = {"role": "assistant", "content": answer.text}
            yield {"case": case.id, "messages": [*case.messages, said], "text": answer.prompt + answer.text}


def _reading(candidate: Candidate, recipe: Recipe, lessons: Mapping[str, Lesson]) -> Recipe:
    """The recipe with the files of the lessons, and a note that says so."""
    changes: dict[str, Any] = {}
    if candidate.calibration is not None:
        asked_for = candidate.calibration.model_dump(include={"windows", "tokens"}, exclude_none=True)
        lesson = lessons[candidate.calibration.suite]
        changes["calibration"] = recipe.calibration.model_copy(
            update={"file": lesson.file, "field": "text", **asked_for}
        )
    if candidate.recovery is not None and recipe.recovery is not None:
        source = Source(source=str(lessons[candidate.recovery.data.suite].file), format="chat")
        data = recipe.recovery.data.model_copy(update={"sources": (source,)})
        changes["recovery"] = recipe.recovery.model_copy(update={"data": data})
    if changes:
        changes["note"] = "; ".join(filter(None, (recipe.note, *_notes(candidate.learns, lessons))))
    return recipe.model_copy(update=changes)


def _notes(learns: Mapping[str, str], lessons: Mapping[str, Lesson]) -> Iterator[str]:
    """One sentence a suite."""
    for source in dict.fromkeys(learns.values()):
        purposes = " and ".join(purpose for purpose, read in learns.items() if read == source)
        yield f"{purposes}: {lessons[source].note}"
