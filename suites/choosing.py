"""Some of a suite's cases: by tag, by id, at random, the first ones."""

from __future__ import annotations

import fnmatch
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from suites.document import suggestion
from suites.errors import SuiteError
from suites.schema import Case, Suite

SEED = 0


@dataclass(frozen=True)
class Choice:
    """Which cases are wanted; what is not given leaves none out. `sample` is drawn before `first` counts."""

    tags: tuple[str, ...] = ()
    """A case with any of them."""
    cases: tuple[str, ...] = ()
    """Ids, or patterns of ids such as "json-*"."""
    sample: int | None = None
    first: int | None = None


def chosen(suite: Suite, choice: Choice, among: Collection[str] | None = None) -> tuple[Case, ...]:
    """Return the cases that are wanted, in the order of the suite; among: ids, of which the others are left out.

    A sample is the same every time. Raises SuiteError where a tag or an id names no case, and where none is left.
    """
    _refuse_unknown(suite, choice)
    cases: Sequence[Case] = [case for case in suite.cases if _wanted(case, choice)]
    if among is not None:
        cases = [case for case in cases if case.id in among]
    if not cases:
        raise SuiteError(f"{suite.name}: no case is left of {len(suite.cases)}")
    if choice.sample is not None and choice.sample < len(cases):
        drawn = random.Random(SEED).sample(range(len(cases)), choice.sample)
        cases = [cases[number] for number in sorted(drawn)]
    return tuple(cases[: choice.first])


def _wanted(case: Case, choice: Choice) -> bool:
    tagged = not choice.tags or not case.tags.isdisjoint(choice.tags)
    return tagged and (not choice.cases or any(fnmatch.fnmatchcase(case.id, name) for name in choice.cases))


def _refuse_unknown(suite: Suite, choice: Choice) -> None:
    tags, ids = sorted({tag for case in suite.cases for tag in case.tags}), [case.id for case in suite.cases]
    for tag in choice.tags:
        if tag not in tags:
            near = suggestion(tag, tags) or ";"
            raise SuiteError(f"{suite.name}: no case has the tag {tag!r}{near} there are: {', '.join(tags) or 'none'}")
    for name in choice.cases:
        if not fnmatch.filter(ids, name) and name not in ids:
            raise SuiteError(f"{suite.name}: no case is called {name!r}{suggestion(name, ids)}")
