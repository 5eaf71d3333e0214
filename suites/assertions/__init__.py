"""Assertions: one file a family, each with `TYPES: dict[str, type]` from the name in YAML to a frozen dataclass.

The fields of the dataclass are the YAML options (`value`, `threshold`). It raises SuiteError when built from values it
cannot use. Every type has its `not-` form for nothing.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, ClassVar, Protocol

from suites.document import suggestion
from suites.errors import SuiteError
from suites.reply import Reply


@dataclass(frozen=True)
class Check:
    """What one assertion found in one answer."""

    type: str
    passed: bool
    score: float
    """0 to 1."""
    reason: str
    """The evidence, a sentence that is true whether it speaks for or against the answer."""
    weight: float = 1.0
    """0: for information only, always passed."""
    metric: str | None = None
    """Name under which the score is shown."""
    checked: bool = True
    """False: it could not be decided, and counts neither for nor against the answer."""
    undecided: bool = False
    """Not checked because whoever was asked about this answer gave no advice; of another answer it might."""
    turned: tuple[bool, float] | None = None
    """Passed and score of the `not-` form, where they are not simply the reverse."""
    parts: tuple[Check, ...] = ()
    """The checks that it is made of, of a set."""


class Assertion(Protocol):
    """A rule on an answer; `original` is what the original model answered, None where there is no such answer."""

    @property
    def needs(self) -> frozenset[str]:
        """What it must be given besides the text: names of `suites.allowance.HOW`, graded, original, and vars.NAME."""
        ...

    def check(self, answer: Reply, original: Reply | None) -> Check: ...


@dataclass(frozen=True)
class Not:
    """The `not-` form: passed and score turned round, the evidence kept."""

    inner: Assertion

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs

    def check(self, answer: Reply, original: Reply | None) -> Check:
        found = self.inner.check(answer, original)
        passed, score = (not found.passed, 1 - found.score) if found.checked else (found.passed, found.score)
        passed, score = found.turned or (passed, score)
        return replace(found, type=f"not-{found.type}", passed=passed, score=score)


@dataclass(frozen=True)
class Unchecked:
    """Stands for an assertion that cannot be checked here."""

    type: str
    why: str
    needs: ClassVar[frozenset[str]] = frozenset()

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return unchecked(self.type, self.why)


def found(type: str, passed: bool, reason: str) -> Check:
    """Return the check of a rule that holds or does not, with nothing between."""
    return Check(type, passed, float(passed), reason)


def graded_check(type: str, score: float, threshold: float | None, default: float) -> Check:
    """Return the check of a rule that holds from a threshold on. score: 0 to 1."""
    limit = default if threshold is None else threshold
    return Check(type, score >= limit, score, f"{type} is {score:.4f}, the rule says {limit:g} at least")


def references(type: str, value: object) -> list[str]:
    """Return the texts of which an answer should be like one; raises SuiteError for a value that is no text."""
    given = value if isinstance(value, list) else [value]
    texts = [text for text in given if isinstance(text, str)]
    if not texts or len(texts) < len(given):
        raise SuiteError(f"{type}: the value must be text, or a list of it, not empty")
    return texts


def unchecked(type: str, why: str) -> Check:
    """Return the check of a rule that could not be decided."""
    return Check(type, True, 0.0, f"not checked: {why}", checked=False)


def undecided(type: str, why: object) -> Check:
    """Return the check of a rule on which no advice could be had for this answer."""
    return replace(unchecked(type, str(why)), undecided=True)


def shown(text: str) -> str:
    """Return the text quoted, and cut where it is long, for a reason."""
    return repr(text) if len(text) <= 80 else f"{text[:77]!r}..."


def names() -> tuple[str, ...]:
    """Return every assertion type, without the `not-` forms."""
    return tuple(sorted(_types()))


def load(name: str) -> type[Any]:
    """Return the dataclass of a type (given without `not-`); raises SuiteError with the nearest known name."""
    known = _types()
    if name not in known:
        near = suggestion(name, known) or ";"
        raise SuiteError(f"unknown assertion {name!r}{near} `secateur assertions` lists them")
    return known[name]


def base_of(type: str) -> str:
    """Return the type without its `not-`; one type begins with it by nature."""
    return type if type in _types() else type.removeprefix("not-")


def takes(type: str, option: str) -> bool:
    """Return whether the type, with or without `not-`, has an option, such as a suite's own words for a judge."""
    return any(each.name == option for each in fields(load(base_of(type))))


def kind_of(type: str, given: Collection[str]) -> type[Any]:
    """Return the dataclass of a type, with or without `not-`; raises SuiteError for options it does not take."""
    kind = load(base_of(type))
    known = {each.name: each for each in fields(kind)}
    if surplus := sorted(set(given) - known.keys()):
        raise SuiteError(f"{type} takes no {surplus[0]}")
    for name, each in known.items():
        if each.default is MISSING and name not in given:
            raise SuiteError(f"{type} needs a {name}")
    return kind


def build(type: str, options: Mapping[str, object]) -> Assertion:
    """Return the assertion of a type, with or without `not-`; raises SuiteError for options that it cannot use."""
    rule: Assertion = kind_of(type, options)(**options)
    return rule if type == base_of(type) else Not(rule)


@functools.cache
def _types() -> dict[str, type[Any]]:
    families = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {name: kind for family in families for name, kind in family.TYPES.items()}
