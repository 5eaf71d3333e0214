"""Suite and Case, and the form in which a promptfoo file states them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator

from suites.assertions import build, kind_of, load
from suites.combining import Asserted
from suites.errors import SuiteError
from suites.prompts import has_template
from suites.unsupported import reason_against

MAX_NEW_TOKENS = 64
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


class FilePart(BaseModel):
    """A piece of a suite file: unknown keys refused, and text is not taken for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AssertionPart(FilePart):
    """One entry of `assert`."""

    later: ClassVar[tuple[str, ...]] = ("$ref", "contextTransform", "transform")
    type: str
    value: object = None
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    metric: str | None = None
    config: object = None
    provider: object = None
    rubric_prompt: object = Field(default=None, alias="rubricPrompt")
    assertions: list[AssertionPart] | None = Field(default=None, alias="assert", min_length=1)

    @property
    def given(self) -> dict[str, object]:
        """The options of the assertion itself, under their names in the file."""
        options = {"value": "value", "threshold": "threshold", "config": "config"}
        options |= {"provider": "provider", "rubric_prompt": "rubricPrompt"}
        return {shown: getattr(self, name) for name, shown in options.items() if name in self.model_fields_set}

    @field_validator("type")
    @classmethod
    def _known(cls, type: str) -> str:
        if type == ASSERT_SET or reason_against(type):
            return type
        try:
            load(type.removeprefix("not-"))
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
            if not has_template(self.value):
                build(self.type, self.given)
        except SuiteError as error:
            raise ValueError(str(error)) from error
        return self


class OptionsPart(FilePart):
    """`options` of a test."""

    later: ClassVar[tuple[str, ...]] = (
        *("disableConversationVar", "postprocess", "provider", "repeat", "rubricPrompt", "runSerially"),
        *("storeOutputAs", "transform", "transformVars"),
    )
    prefix: str = ""
    suffix: str = ""
    disable_var_expansion: bool = Field(default=False, alias="disableVarExpansion")
    disable_default_asserts: bool = Field(default=False, alias="disableDefaultAsserts")


class DefaultPart(FilePart):
    """`defaultTest`: what every test starts from. Our own extensions: `tags`, `max_new_tokens`."""

    later: ClassVar[tuple[str, ...]] = (
        *("assertScoringFunction", "prompts", "provider", "providerOutput", "providers"),
    )
    vars: dict[str, object] = {}
    assertions: list[AssertionPart] = Field(default=[], alias="assert")
    options: OptionsPart = OptionsPart()
    metadata: dict[str, object] = {}
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    tags: list[str] = []
    max_new_tokens: int | None = Field(default=None, gt=0, le=32768)


class MessagePart(FilePart):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class CasePart(DefaultPart):
    """One entry of `tests`. Our own extensions: `id`, and `messages` (a chat in place of the suite's prompts)."""

    id: str | None = Field(default=None, min_length=1)
    description: str = ""
    messages: list[MessagePart] | None = Field(default=None, min_length=1)


class CasesPart(RootModel[list[CasePart]]):
    """A file of tests."""

    model_config = ConfigDict(frozen=True, strict=True)


class SuitePart(FilePart):
    """The whole file. `providers` and `targets` are read and not used: the plan says which models are asked."""

    later: ClassVar[tuple[str, ...]] = (
        *("assertionTemplates", "commandLineOptions", "derivedMetrics", "env", "evaluateOptions", "extensions"),
        *("metadata", "nunjucksFilters", "outputPath", "redteam", "scenarios", "sharing", "tags", "tracing"),
    )
    description: str = ""
    prompts: str | list[str] = []
    providers: object = None
    targets: object = None
    default_test: DefaultPart = Field(default=DefaultPart(), alias="defaultTest")
    tests: str | list[CasePart | str] = []
