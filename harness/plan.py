"""Plan: the file the user writes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from harness.gates import Gate, Reference
from harness.plan_models import Candidate, CandidateName, Embeddings, Line, Model, Part
from harness.records import GIVEN, ORIGINAL, SERVED, Price
from harness.search.form import Half, Search
from harness.telling.sharing import Sharing, Telemetry
from suites.advice import KINDS
from suites.allowance import Allowance
from suites.form import RepeatPart, SamplingPart


class Benchmark(Part):
    """One lm-eval task, or group of tasks."""

    task: str
    limit: int | None = Field(default=None, gt=0)
    num_fewshot: int | None = Field(default=None, ge=0)
    apply_chat_template: bool = False
    documents: tuple[int, ...] | None = Field(default=None, min_length=1)
    """Only these of a single task, by their numbers from 0, instead of the first `limit`."""
    include_path: str | None = None
    """Folder with lm-eval task YAML of your own; its names come before lm-eval's."""

    @model_validator(mode="after")
    def _documents_or_limit(self) -> Benchmark:
        if self.documents is None:
            return self
        if self.limit is not None:
            raise ValueError("give either 'documents' or 'limit'")
        if min(self.documents) < 0 or len(set(self.documents)) < len(self.documents):
            raise ValueError("'documents' are different numbers from 0 on")
        return self


CorpusName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=40)]
"""Part of the name of a metric."""


class Fidelity(Part):
    """Token-level comparison on a text corpus: "builtin", a .txt file or a .jsonl file; or on several, by name."""

    corpus: str | Annotated[dict[CorpusName, str], Field(min_length=2)] = "builtin"
    """Of several, each is measured as `fidelity.NAME.kl` and so on, and their mean as `fidelity.kl`."""
    field: str = "text"
    window: int = Field(default=512, ge=16)
    """Tokens in one window at most; a window never crosses a document."""
    tokens: int = Field(default=20_000, ge=100)
    """Of each corpus."""

    @property
    def corpora(self) -> dict[str, str]:
        """Name -> file or "builtin"; a single one has no name."""
        return {"": self.corpus} if isinstance(self.corpus, str) else self.corpus


class PricePart(Part):
    """What an hour of the machine costs, or a million tokens, in any currency."""

    per_hour: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    per_million_input_tokens: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    per_million_output_tokens: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @property
    def value(self) -> Price:
        return Price(self.per_hour, self.per_million_input_tokens, self.per_million_output_tokens)

    @model_validator(mode="after")
    def _something(self) -> PricePart:
        if self.value == Price():
            raise ValueError(f"give one or more of {', '.join(type(self).model_fields)}")
        return self


class Plan(Part):
    """What to compare, on what, and what decides."""

    name: Line
    original: Model
    candidates: dict[CandidateName, Candidate] = Field(default={})
    search: Search | None = None
    """How `secateur search` makes candidates; `run` makes those of `candidates`."""
    suites: list[str] = Field(default=[])
    benchmarks: list[Benchmark] = Field(default=[])
    sampling: SamplingPart | None = None
    """How answers to suites are drawn that do not say it themselves; None: greedily."""
    repeat: RepeatPart | None = None
    """How often cases are asked that do not say it themselves; None: once."""
    fidelity: Fidelity | None = None
    metrics: list[str] = Field(default=[])
    price: PricePart | None = None
    """What `metrics: [cost]` counts by."""
    noise: bool = False
    """Ask the original twice, the second time in other batches, and show what differs beside every number."""
    gates: list[Gate] = Field(min_length=1)
    against: list[Reference] = Field(default=[ORIGINAL])
    """What candidates are held against: the original always, and results that were blessed."""
    sequential: bool = False
    """Ask in growing looks, and stop asking a suite or a benchmark once its gates are decided."""
    data_root: str | None = None
    """Folder with benchmark data and an index.json, instead of the hub."""
    judge: Model | None = None
    """Asked where an assertion needs a judge."""
    embeddings: Embeddings | None = None
    """What assertions on the meaning of texts go by."""
    skip_unsupported: bool = False
    """Count assertions that cannot be checked here as not checked, instead of refusing the suite."""
    allow_code: bool = False
    """Run code of the suites. Only who runs the plan can say this and the next two, never the file."""
    allow_outside: bool = False
    """Let suites name files outside their own folder."""
    allow_env: list[str] = Field(default=[])
    """Environment variables that the templates of suites may read."""
    promptlayer: Sharing | None = None
    """None: nothing is kept for PromptLayer."""
    otlp: Telemetry | None = None
    """None: nothing is kept for a collector."""
    half: Half | None = None
    """Only this half of the suites and corpora; a search says so, never the file."""

    @field_validator("original", "judge", "embeddings", mode="before")
    @classmethod
    def _model_by_name(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @field_validator("gates")
    @classmethod
    def _one_decides(cls, gates: list[Gate]) -> list[Gate]:
        if all(gate.severity == "warn" for gate in gates):
            raise ValueError("nothing can be decided: give at least one gate of severity: block")
        return gates

    @model_validator(mode="after")
    def _something_to_judge(self) -> Plan:
        if not self.candidates and self.search is None:
            raise ValueError("nothing to judge: give 'candidates', or 'search', which makes some")
        if self.candidates and all(one.severity == "warn" for one in self.candidates.values()):
            raise ValueError("nothing can be decided: give at least one candidate of severity: block")
        return self

    @model_validator(mode="after")
    def _known_references(self) -> Plan:
        if ORIGINAL not in self.against:
            raise ValueError(f"'against' lists {ORIGINAL} too: every candidate is held against it")
        unknown = sorted({gate.against for gate in self.gates} - {*self.against})
        if unknown:
            raise ValueError(f"gates are against {', '.join(unknown)}; list it under 'against' of the plan too")
        return self

    @property
    def baselines(self) -> tuple[str, ...]:
        """What candidates are held against besides the original, each once."""
        return tuple(name for name in dict.fromkeys(self.against) if name != ORIGINAL)

    @field_validator("benchmarks", mode="before")
    @classmethod
    def _tasks_by_name(cls, value: Any) -> Any:
        return (
            [{"task": entry} if isinstance(entry, str) else entry for entry in value]
            if isinstance(value, list)
            else value
        )


def allowance(plan: Plan) -> Allowance:
    """What the plan's suites may do, and what is known of every answer."""
    known = SERVED if any(model.served for model in (plan.original, *plan.candidates.values())) else GIVEN
    known |= {kind for kind in KINDS if getattr(plan, kind) is not None}
    known |= {"cost"} if plan.price is not None else set()
    return Allowance(plan.allow_code, plan.skip_unsupported, known, plan.allow_outside, frozenset(plan.allow_env))
