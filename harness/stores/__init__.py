"""Where facts are kept. One file per store; `Store` is what the pipeline asks of any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from harness.records import Answer, AnswerDivergence, Divergence, Measurement, Run
from harness.stores.derived import Derived
from suites.advice import Advice, Question


@dataclass(frozen=True)
class Stage:
    """One piece of work on one model: a suite, advice on one, a benchmark, a fidelity corpus or a metric."""

    id: str
    fingerprint: str
    key: str
    """Hash of all that could change the result, the model aside."""
    kind: str
    """"suite", "advice", "divergence", "benchmark", "fidelity" or "metric"."""
    name: str
    finished: bool
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What a job is begun with; the fields are those of Job."""

    plan_name: str
    plan: str
    digest: str
    command: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    fresh: bool = False


@dataclass(frozen=True)
class Job:
    """One execution of a plan. Interrupted, the same plan goes on with the same job."""

    id: str
    plan_name: str
    plan: str
    """The plan as JSON."""
    digest: str
    command: str
    """What was typed."""
    facts: dict[str, str]
    """Versions and machine."""
    fresh: bool
    """True: nothing measured before `started` is used again."""
    started: str
    finished: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class VerdictRow:
    """A decision as stored: which runs it compared, and the findings as JSON for readers of the store."""

    job: str
    candidate: str
    decision: str
    reason: str
    before_run: str
    after_run: str
    findings: str
    created: str = ""


Side = Literal["original", "candidate"]
Kind = Literal["group", "log", "score", "member", "table", "sheet", "import", "scorecard", "spans", "metrics"]


@dataclass(frozen=True)
class Letter:
    """One thing to tell PromptLayer, or a collector (spans, metrics)."""

    id: str
    """The same for the same thing, so that it is there once; also what it is looked up by at PromptLayer."""
    account: str
    """Name of the environment variable that holds the API key, or the collector's address."""
    job: str
    run: str
    case: str
    """"suite/case"; empty for what concerns a whole run."""
    side: Side
    kind: Kind
    payload: str
    """JSON, redacted."""
    depends_on: tuple[str, ...] = ()
    """Letters whose ids at PromptLayer the payload needs, in that order."""


class Store(Protocol):
    """Every method is one transaction; what has returned survives a SIGKILL."""

    def begin_job(self, asked: Asked) -> Job:
        """The unfinished job of this digest and freshness, or a new one."""
        ...

    def finish_job(self, job: str, exit_code: int) -> None: ...

    def jobs(self) -> list[Job]:
        """Newest first."""
        ...

    def begin_stage(self, fingerprint: str, key: str, kind: str, name: str, *, not_before: str = "") -> Stage:
        """The newest stage with this fingerprint and key that began at `not_before` or later, or a new one."""
        ...

    def finish_stage(
        self,
        stage: str,
        measurements: Sequence[Measurement] = (),
        facts: dict[str, str] | None = None,
        divergence: Divergence | None = None,
    ) -> None:
        """Measurements, facts and the mark that all is there, in one transaction."""
        ...

    def note_stage(self, stage: str, facts: dict[str, str]) -> None:
        """Facts of a stage that is not finished."""
        ...

    def finish_stages(
        self, work: Mapping[str, Sequence[Measurement]], facts: Mapping[str, dict[str, str]] | None = None
    ) -> None:
        """The same for several stages at once: all of them or none. facts: by stage."""
        ...

    def add_answers(self, stage: str, answers: Sequence[Answer]) -> None:
        """Append; an answer already there is left as it is."""
        ...

    def answers(self, stage: str) -> list[Answer]: ...

    def add_advice(self, stage: str, replies: Mapping[Question, Advice]) -> None:
        """Append; a question that has its reply there is left as it is."""
        ...

    def advice(self, stage: str) -> dict[str, Advice]:
        """By the id of the question."""
        ...

    def advice_of(self, fingerprint: str, questions: Sequence[str], not_before: str) -> dict[str, Advice]:
        """Those of these questions that this model replied to in any stage begun at `not_before` or later."""
        ...

    def add_spoken(self, stage: str, divergences: Sequence[AnswerDivergence]) -> None:
        """Append; an answer already there is left as it is."""
        ...

    def spoken(self, stage: str) -> dict[tuple[str, int], AnswerDivergence]:
        """By case and repeat."""
        ...

    def measurements(self, stage: str) -> list[Measurement]: ...

    def add_scores(self, stage: str, scores: dict[str, tuple[float, bool]]) -> None:
        """Append (log-likelihood, greedy) by request hash; what is already there is left as it is."""
        ...

    def scores(self, stage: str) -> dict[str, tuple[float, bool]]: ...

    def save_run(self, run: Run, job: str, stages: Sequence[str]) -> None:
        """Record which stages make up a run of a job. Saving again replaces."""
        ...

    def runs(self, job: str | None = None) -> list[Run]:
        """Heads only: no answers, no measurements."""
        ...

    def run(self, run: str) -> Run:
        """A whole run."""
        ...

    def save_receipt(self, run: str, receipt: str) -> None: ...

    def receipt(self, run: str) -> str | None: ...

    def receipts(self) -> list[str]: ...

    def save_verdict(self, verdict: VerdictRow, letters: Sequence[Letter] = ()) -> None:
        """The decision and what is to be told of it, in one transaction; a letter already there is left as it is."""
        ...

    def links(self, job: str) -> dict[str, str]:
        """Run -> where PromptLayer shows it, for the runs of a job that are there."""
        ...

    def save_derived(self, job: str, candidate: str, derived: Derived) -> None:
        """Write what is derived from a candidate's comparison, in place of what was."""
        ...

    def verdicts(self, job: str | None = None) -> list[VerdictRow]: ...
