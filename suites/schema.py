"""Suite and Case; and the form in which a file states an assertion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from suites.assertions import base_of, build, kind_of, load
from suites.combining import Asserted, single
from suites.errors import SuiteError
from suites.files import names_a_file
from suites.filters import text_of
from suites.sampling import Repeat, Sampling
from suites.templates import has_template
from suites.unsupported import reason_against

MAX_NEW_TOKENS = 64
PROGRAM = "it is a program, and a suite runs none"
JUDGE = "the plan says which judge is asked"
ASSERT_SET = "assert-set"


@dataclass(frozen=True)
class Case:
    """One prompt with its assertions, templates already filled in."""

    id: str
    """Unique in its suite, and the same however the file is re-ordered."""
    messages: list[dict[str, str]]
    """Role and content each; a system message only if the suite has one."""
    vars: dict[str, object] = field(default_factory=dict)
    assertions: tuple[Asserted, ...] = ()
    tags: frozenset[str] = frozenset()
    description: str = ""
    threshold: float | None = None
    """Least score to pass; None: every assertion must pass."""
    max_new_tokens: int = MAX_NEW_TOKENS
    metadata: dict[str, object] = field(default_factory=dict)
    repeat: Repeat | None = None
    """None: the suite does not say, and whoever asks it may."""

    @property
    def tries(self) -> int:
        """How often it is asked."""
        return self.repeat.n if self.repeat else 1

    @property
    def metrics(self) -> frozenset[str]:
        """Names that its assertions give their scores, those inside sets as well."""
        return frozenset(each.metric for each in (*self.assertions, *single(self.assertions)) if each.metric)


@dataclass(frozen=True)
class Suite:
    """Cases under one name."""

    name: str
    digest: str
    """SHA-256 of all that decides a result: cases, prompts, assertions."""
    cases: tuple[Case, ...]
    description: str = ""
    notes: tuple[str, ...] = ()
    """What the file says that is not used here, such as providers."""
    not_checked: str = ""
    """How many assertions were skipped, by type, and how many cases are left out for it; empty if none."""
    sampling: Sampling | None = None
    """None: greedy, unless whoever asks it says otherwise."""
    derived: tuple[str, ...] = ()
    """Names of what the file makes of means, which nothing is decided by."""
    unrepeated: int = 0
    """Cases that would be asked several times if answers were not greedy."""

    @property
    def metrics(self) -> frozenset[str]:
        """Names that its assertions give their scores."""
        return frozenset().union(*(case.metrics for case in self.cases))

    @property
    def needs(self) -> frozenset[str]:
        """What its assertions must be given besides the text of an answer."""
        return frozenset().union(*(each.rule.needs for case in self.cases for each in case.assertions))

    @property
    def tries(self) -> int:
        """How often the case is asked that is asked most."""
        return max(case.tries for case in self.cases)


def _as_number(given: object) -> object:
    """Return the number that a text is; anything else as it is."""
    try:
        return float(given) if isinstance(given, str) else given
    except ValueError:
        return given


def _as_text(given: object) -> object:
    """Return a number as text; anything else as it is."""
    return text_of(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


Number = Annotated[float, BeforeValidator(_as_number)]
"""A number, which may be written as text, as in promptfoo."""
Text = Annotated[str, BeforeValidator(_as_text)]
"""A text, which may be a number, as in promptfoo."""


class FilePart(BaseModel):
    """A piece of a suite file: keys that are nearly right are refused, and text is not taken for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    lenient: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, given: object) -> object:
        """A key that stands there with nothing behind it says nothing; only a value may be null."""
        if not isinstance(given, dict) or None not in given.values():
            return given
        return {key: value for key, value in given.items() if value is not None or key == "value"}


class AssertionPart(FilePart):
    """One entry of `assert`."""

    refused: ClassVar[Mapping[str, str]] = {"contextTransform": "the context is the var `context`"}
    unused: ClassVar[Mapping[str, str]] = {"provider": JUDGE}
    type: str
    value: object = None
    threshold: Number | None = Field(default=None, allow_inf_nan=False)
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    metric: str | None = None
    transform: str | None = None
    config: object = None
    provider: object = None
    rubric_prompt: object = Field(default=None, alias="rubricPrompt")
    assertions: list[AssertionPart] | None = Field(default=None, alias="assert", min_length=1)

    @property
    def given(self) -> dict[str, object]:
        """The options of the assertion itself, under their names in the file."""
        options = [name for name in ("value", "threshold", "config") if name in self.model_fields_set]
        named = {name: getattr(self, name) for name in options}
        return {name: option for name, option in named.items() if name == "value" or option is not None}

    @property
    def _needs_words(self) -> bool:
        """Whether it says nothing itself, so that its rule must be in the words for the judge."""
        return base_of(self.type) == "llm-rubric" and self.value is None

    @field_validator("type")
    @classmethod
    def _known(cls, type: str) -> str:
        if type == ASSERT_SET or reason_against(type):
            return type
        if type == f"not-{ASSERT_SET}":
            raise ValueError(f"an {ASSERT_SET} has no not- form; put not- before what is in it")
        try:
            load(base_of(type))
        except SuiteError as error:
            raise ValueError(str(error)) from error
        return type

    @model_validator(mode="after")
    def _usable(self) -> AssertionPart:
        """Refuse what no vars can mend; values with templates are tried again once these are filled in."""
        if (self.type == ASSERT_SET) != (self.assertions is not None):
            raise ValueError(f"a list of assertions under 'assert' goes with type: {ASSERT_SET}, and the reverse")
        if any(inner.type == ASSERT_SET for inner in self.assertions or ()):
            raise ValueError(f"an {ASSERT_SET} inside another is not allowed")
        if self.type == ASSERT_SET or reason_against(self.type):
            return self
        try:
            kind_of(self.type, self.given)
            if not (self._needs_words or has_template(self.value) or names_a_file(self.value)):
                build(self.type, self.given)
        except SuiteError as error:
            raise ValueError(str(error)) from error
        return self
