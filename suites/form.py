"""The form of a promptfoo file: what each of its parts may say, what is read and not used, what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, RootModel, model_validator

from suites.sampling import Repeat, Sampling
from suites.schema import JUDGE, PROGRAM, AssertionPart, FilePart, Number, Text

MAX_REPEATS = 100
DERIVED = "a number made of means has no value for a case, so nothing pairs; gate the metrics that it is made of"
MODELS = "the plan says which models are asked, and how"


class FactualityPart(FilePart):
    """`factuality`: the score of each thing that a judge can find; above 0 passes."""

    lenient: ClassVar[bool] = False
    subset: float = Field(default=1.0, ge=0, le=1)
    superset: float = Field(default=1.0, ge=0, le=1)
    agree: float = Field(default=1.0, ge=0, le=1)
    disagree: float = Field(default=0.0, ge=0, le=1)
    differ_but_factual: float = Field(default=1.0, ge=0, le=1, alias="differButFactual")

    @property
    def scores(self) -> dict[str, float]:
        """By the letters that a judge replies with."""
        kinds = (self.subset, self.superset, self.agree, self.disagree, self.differ_but_factual)
        return dict(zip("ABCDE", kinds, strict=True))


class OptionsPart(FilePart):
    """`options` of a test."""

    refused: ClassVar[Mapping[str, str]] = {
        "transformVars": PROGRAM,
        "storeOutputAs": "a test knows nothing of another",
    }
    unused: ClassVar[Mapping[str, str]] = {
        "disable_conversation_var": "a test knows nothing of another anyway",
        "provider": JUDGE,
        "run_serially": "the order changes no answer",
    }
    prefix: str = ""
    suffix: str = ""
    transform: str | None = None
    postprocess: str | None = None
    disable_var_expansion: bool = Field(default=False, alias="disableVarExpansion")
    disable_default_asserts: bool = Field(default=False, alias="disableDefaultAsserts")
    factuality: FactualityPart | None = None
    disable_conversation_var: object = Field(default=None, alias="disableConversationVar")
    provider: object = None
    repeat: int | None = Field(default=None, ge=1, le=MAX_REPEATS)
    rubric_prompt: object = Field(default=None, alias="rubricPrompt")
    run_serially: object = Field(default=None, alias="runSerially")


class SamplingPart(FilePart):
    """`sampling`: how answers are drawn."""

    lenient: ClassVar[bool] = False
    temperature: float = Field(gt=0, le=10, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int = Field(default=0, ge=0)

    @property
    def value(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.seed)


class RepeatPart(FilePart):
    """`repeat`: how often a case is asked; without `min_pass` all of its answers must pass."""

    lenient: ClassVar[bool] = False
    n: int = Field(ge=1, le=MAX_REPEATS)
    min_pass: int | None = Field(default=None, ge=1)

    @property
    def value(self) -> Repeat:
        return Repeat(self.n, self.min_pass or self.n)

    @model_validator(mode="after")
    def _no_more_than_are_asked(self) -> RepeatPart:
        if self.min_pass is not None and self.min_pass > self.n:
            raise ValueError(f"min_pass: {self.min_pass} of {self.n} answers cannot pass")
        return self


class DefaultPart(FilePart):
    """`defaultTest`: what every test starts from. Our own extensions: `tags`, `max_new_tokens`, `repeat`."""

    refused: ClassVar[Mapping[str, str]] = {
        "assertScoringFunction": PROGRAM,
        "providerOutput": "an answer given beforehand is none of the models'",
    }
    unused: ClassVar[Mapping[str, str]] = {"provider": MODELS, "providers": MODELS}
    description: Text = ""
    vars: dict[str, object] | str | list[str] = Field(default={})
    assertions: list[AssertionPart] = Field(default=[], alias="assert")
    options: OptionsPart = OptionsPart()
    metadata: dict[str, object] = Field(default={})
    threshold: Number | None = Field(default=None, allow_inf_nan=False)
    prompts: str | list[str] | None = None
    provider: object = None
    providers: object = None
    tags: list[str] = Field(default=[])
    max_new_tokens: int | None = Field(default=None, gt=0, le=32768)
    repeat: RepeatPart | None = None

    @property
    def repeats(self) -> RepeatPart | None:
        """Our own key, or else promptfoo's option."""
        return self.repeat or (RepeatPart(n=self.options.repeat) if self.options.repeat else None)


class MessagePart(FilePart):
    """One chat message."""

    lenient: ClassVar[bool] = False
    role: Literal["system", "user", "assistant"]
    content: str


class CasePart(DefaultPart):
    """One entry of `tests`. Our own extensions: `id`, and `messages` (a chat in place of the suite's prompts)."""

    refused: ClassVar[Mapping[str, str]] = {
        **DefaultPart.refused,
        **dict.fromkeys(("path", "config"), "what makes tests is a program; write down what it makes"),
    }
    id: str | None = Field(default=None, min_length=1)
    messages: list[MessagePart] | None = Field(default=None, min_length=1)


class CasesPart(RootModel[CasePart | list[CasePart]]):
    """A file of tests, or of one."""

    model_config = ConfigDict(frozen=True, strict=True)

    @property
    def all(self) -> list[CasePart]:
        return self.root if isinstance(self.root, list) else [self.root]


class ScenarioPart(FilePart):
    """One entry of `scenarios`: every row of `config` goes with every test."""

    description: str = ""
    config: list[CasePart] = Field(min_length=1)
    tests: str | list[CasePart | str] | None = None


class ScenariosPart(RootModel[ScenarioPart | list[ScenarioPart]]):
    """A file of scenarios, or of one."""

    model_config = ConfigDict(frozen=True, strict=True)


class PromptPart(FilePart):
    """A prompt with a label; `id` names a file where there is no `raw` text."""

    unused: ClassVar[Mapping[str, str]] = {"config": MODELS}
    raw: str | None = None
    id: str | None = None
    label: str | None = None
    config: object = None

    @property
    def text(self) -> str:
        return self.raw or self.id or ""


class PromptsPart(RootModel[str | list[str | PromptPart] | dict[str, str]]):
    """All prompts, or a file of them; a mapping is of text or file to label."""

    model_config = ConfigDict(frozen=True, strict=True)


class SuitePart(FilePart):
    """The whole file. Our own extension: `sampling`."""

    refused: ClassVar[Mapping[str, str]] = {
        "extensions": PROGRAM,
        "nunjucksFilters": PROGRAM,
    }
    unused: ClassVar[Mapping[str, str]] = {
        "providers": MODELS,
        "targets": MODELS,
        "command_line_options": "they are of promptfoo's command line",
        "derived_metrics": DERIVED,
        "evaluate_options": "all but repeat is about how promptfoo asks",
        "output_path": "results go to the store",
        "redteam": "attacks are not made here; what tests there are is asked",
        "sharing": "nothing is shared",
        "tags": "they are about the file, not about a test",
        "tracing": "nothing is traced",
        "write_latest_results": "results go to the store",
    }
    description: str = ""
    prompts: PromptsPart = PromptsPart([])
    providers: object = None
    targets: object = None
    default_test: DefaultPart | str = Field(default=DefaultPart(), alias="defaultTest")
    tests: str | list[CasePart | str] | None = None
    scenarios: str | list[ScenarioPart | str] = Field(default=[])
    metadata: dict[str, object] = Field(default={})
    env: dict[str, str | int | float | bool] = Field(default={})
    assertion_templates: object = Field(default=None, alias="assertionTemplates")
    command_line_options: object = Field(default=None, alias="commandLineOptions")
    derived_metrics: object = Field(default=None, alias="derivedMetrics")
    evaluate_options: dict[str, object] | None = Field(default=None, alias="evaluateOptions")
    output_path: object = Field(default=None, alias="outputPath")
    redteam: object = None
    sampling: SamplingPart | None = None
    sharing: object = None
    tags: object = None
    tracing: object = None
    write_latest_results: object = Field(default=None, alias="writeLatestResults")

    @property
    def derived(self) -> tuple[str, ...]:
        """Names of the derived metrics."""
        given = self.derived_metrics if isinstance(self.derived_metrics, list) else []
        return tuple(str(one["name"]) for one in given if isinstance(one, dict) and "name" in one)


def unused_in(part: FilePart) -> Iterator[str]:
    """Yield a line for every key of a part, and of its options, that is read and not used."""
    unused: Mapping[str, str] = getattr(part, "unused", {})
    fields = type(part).model_fields
    for name in sorted(part.model_fields_set & unused.keys()):
        yield f"{fields[name].alias or name}: not used: {unused[name]}"
    if isinstance(part, DefaultPart):
        yield from (f"options.{line}" for line in unused_in(part.options))
        yield from (f"assert.{line}" for one in part.assertions for line in unused_in(one))
    if isinstance(part, SuitePart) and isinstance(part.default_test, DefaultPart):
        yield from (f"defaultTest.{line}" for line in unused_in(part.default_test))
    if isinstance(part, AssertionPart):
        yield from (line for one in part.assertions or () for line in unused_in(one))
