"""Lessons: what is learned from of suites and the original's answers to it, as a file that a recipe reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
    """What is learned from one suite."""

    name: str
    """Of the suite."""
    rows: tuple[dict[str, Any], ...]
    """A case each."""
    note: str
    """What they are, in a sentence."""


def taught(original: Subject, context: Context) -> dict[str, Recipe]:
    """The recipe of every candidate that is made here, reading what the plan wants it to learn from.

    Raises HarnessError where the original answers nothing, or a file cannot be written.
    """
    folder = context.out / "models" / FOLDER
    found = {source: _lesson(parted, original, context) for source, parted in learned_suites(context.plan).items()}
    recipes = {}
    for name, candidate in context.plan.candidates.items():
        if candidate.recipe is not None:
            lessons = {purpose: [found[one] for one in read] for purpose, read in candidate.learns.items()}
            files = {purpose: _written(each, folder) for purpose, each in lessons.items()}
            recipe = _reading(candidate, recipe_of(candidate.recipe), files)
            notes = "; ".join(filter(None, (recipe.note, *_notes(lessons))))
            recipes[name] = recipe.model_copy(update={"note": notes}) if lessons else recipe
    return recipes


def _lesson(parted: Halves, original: Subject, context: Context) -> Lesson:
    """Ask the original what is not answered yet."""
    greedy = settled(replace(parted.whole, sampling=None))
    (stage,) = asked(original, greedy, parted.learned, context)
    answers = {answer.case: answer for answer in context.store.answers(stage)}
    rows = list(_rows(parted, answers))
    if not rows:
        raise HarnessError(f"suite {parted.whole.name}: the original answers none of the cases to learn from")
    silent = len(parted.learned) - len(rows)
    without = f"; {silent} without an answer left out" if silent else ""
    others = "; the others are held out" if parted.held_out.cases else ""
    note = f"{parted.line()}, with the original's answers{without}{others}"
    return Lesson(parted.whole.name, tuple(rows), note)


def _written(lessons: Sequence[Lesson], folder: Path) -> Path:
    """The file of all their rows, one suite after the other."""
    rows = [row for lesson in lessons for row in lesson.rows]
    more = f"-and-{len(lessons) - 1}-more" if len(lessons) > 1 else ""
    file = folder / f"{lessons[0].name}{more}-{digest(rows)[:12]}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"{folder}: cannot make the folder: {error.strerror}") from None
    drafts.write(file, (json.dumps(row) + "\n" for row in rows))
    return file


def _rows(parted: Halves, answers: Mapping[str, Answer]) -> Iterator[dict[str, Any]]:
    """A case's messages and answer, for a recovery; and as the very text that the original read and wrote."""
    for case in parted.learned:
        answer = answers[case.id]
        if answer.text:
            said = {"role": "assistant", "content": answer.text}
            yield {"case": case.id, "messages": [*case.messages, said], "text": answer.prompt + answer.text}


def _reading(candidate: Candidate, recipe: Recipe, files: Mapping[str, Path]) -> Recipe:
    """The recipe with the files of the lessons, by purpose."""
    changes: dict[str, Any] = {}
    if candidate.calibration is not None:
        asked_for = candidate.calibration.model_dump(include={"windows", "tokens"}, exclude_none=True)
        changes["calibration"] = recipe.calibration.model_copy(
            update={"file": files["calibration"], "field": "text", **asked_for}
        )
    if candidate.recovery is not None and recipe.recovery is not None:
        source = Source(source=str(files["recovery"]), format="chat")
        others = recipe.recovery.data.sources if candidate.recovery.data.beside else ()
        data = recipe.recovery.data.model_copy(update={"sources": (*others, source)})
        changes["recovery"] = recipe.recovery.model_copy(update={"data": data})
    return recipe.model_copy(update=changes)


def _notes(lessons: Mapping[str, Sequence[Lesson]]) -> Iterator[str]:
    """One sentence a suite."""
    for note in dict.fromkeys(lesson.note for each in lessons.values() for lesson in each):
        purposes = (purpose for purpose, each in lessons.items() if note in [lesson.note for lesson in each])
        yield f"{' and '.join(purposes)}: {note}"
