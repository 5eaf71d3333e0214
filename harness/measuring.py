"""Ask one model, or a pair, what the plan asks, and keep every answer; what is already kept is not asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from harness.advising.panel import Panel
from harness.asking import PROTOCOL, asked, own, suite_stages
from harness.benchmarks import BenchmarkResult, kinds, measure_benchmark, measure_served, task_identity
from harness.digest import digest
from harness.drawing import set_fact
from harness.endpoints import CHAT
from harness.errors import HarnessError
from harness.fidelity.corpus import Corpus
from harness.fidelity.measure import FidelityResult, compared, not_measured, original_perplexity, over_corpora
from harness.fidelity.reference import reference
from harness.metering import UNMEASURED, metered
from harness.models.subject import Subject
from harness.plan import Benchmark, Plan
from harness.progress import Progress, named
from harness.records import DRAWN, ORIGINAL, Answer, Measurement
from harness.scoring import NotFiniteError
from harness.stores import Job, Stage, Store
from suites import Suite


@dataclass(frozen=True)
class Context:
    """What every stage of one job needs."""

    plan: Plan
    suites: Sequence[Suite]
    job: Job
    store: Store
    out: Path
    progress: Progress

    @property
    def since(self) -> str:
        """Results from before this moment are not used again."""
        return self.job.started if self.job.fresh else ""

    @property
    def owner(self) -> str:
        """Whose results those are of a model that may change."""
        return self.job.id

    @property
    def references(self) -> Path:
        """Where the original's passes over corpora are kept; a fresh job makes its own."""
        return self.out / "fidelity" / (self.job.id if self.job.fresh else "")

    @cached_property
    def panel(self) -> Panel:
        """Who is asked about answers."""
        return Panel.of(self.plan, self.job.id, self.progress)

    @property
    def data_root(self) -> Path | None:
        return Path(self.plan.data_root) if self.plan.data_root else None


@dataclass(frozen=True)
class PairStages:
    """Ids of the stages of work that needs both models."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def measured(subject: Subject, context: Context) -> tuple[str, ...]:
    """Suites and benchmarks on one model; returns the ids of their stages."""
    suites = [stage for suite in context.suites for stage in asked(subject, suite, suite.cases, context)]
    return (*suites, *(benchmarked(subject, benchmark, context) for benchmark in context.plan.benchmarks))


def measured_pair(before: Subject, after: Subject, corpora: Sequence[Corpus], context: Context) -> PairStages:
    """Fidelity and the plan's metrics on a candidate against its original."""
    pairs = [faithful(before, after, corpus, context) for corpus in corpora]
    if len(corpora) > 1:
        stages = {corpus.label: stage for corpus, (_, stage) in zip(corpora, pairs, strict=True)}
        pairs.append((pairs[0][0], _macro(after, stages, context)))
    pairs += metered(before, after, context)
    return PairStages(tuple(b for b, _ in pairs), tuple(a for _, a in pairs))


def unfinished(subject: Subject, context: Context) -> set[str]:
    """What must still be asked of a model: CHAT for suites, and what benchmarks ask, as lm-eval names it."""
    stages = [stage for suite in context.suites for stage in suite_stages(subject, suite, context)]
    tasks = [task for task in context.plan.benchmarks if not benchmark_stage(subject, task, context).finished]
    return {CHAT for stage in stages if not stage.finished}.union(*(kinds(task) for task in tasks))


def refuse_whole_texts(benchmarks: Sequence[Benchmark]) -> None:
    """Raise HarnessError for what no server scores."""
    for benchmark in benchmarks:
        if "loglikelihood_rolling" in kinds(benchmark):
            raise HarnessError(f"benchmarks.{benchmark.task}: engine vllm scores no whole texts; leave it out")


def benchmark_stage(subject: Subject, benchmark: Benchmark, context: Context, *more: str) -> Stage:
    """Where the results of a benchmark are kept."""
    identity = task_identity(benchmark, context.data_root)
    key = digest("benchmark with choices", PROTOCOL, identity, *own(subject, context), asdict(subject.batching), *more)
    return context.store.begin_stage(subject.fingerprint, key, "benchmark", benchmark.task, not_before=context.since)


@dataclass(frozen=True)
class Drawn:
    """Documents of a benchmark that were drawn."""

    documents: tuple[int, ...]
    whole: tuple[int, ...]
    """Those that they were drawn from."""


def benchmarked(subject: Subject, benchmark: Benchmark, context: Context, drawn: Drawn | None = None) -> str:
    """Ask a benchmark, or of it what was drawn; returns the id of the stage.

    Scores are kept with the whole benchmark: what one look has asked the next does not ask again.
    """
    store, part, facts = context.store, benchmark, dict[str, str]()
    whole = stage = benchmark_stage(subject, benchmark, context)
    if drawn:
        part = benchmark.model_copy(update={"documents": drawn.documents, "limit": None})
        facts = {DRAWN: set_fact(drawn.whole)}
        stage = benchmark_stage(subject, part, context, DRAWN, facts[DRAWN])
    if not stage.finished:
        progress = named(context.progress, f"{subject.spec.name}: {benchmark.task}")
        try:
            result = _measured(subject, part, context, progress, StageMemory(store, whole.id))
            store.finish_stage(stage.id, result.measurements, result.facts | facts)
        except NotFiniteError as error:
            _not_measured(subject, stage.id, error, context)
    return stage.id


def _measured(
    subject: Subject, benchmark: Benchmark, context: Context, progress: Progress, memory: StageMemory
) -> BenchmarkResult:
    connection = subject.connection()
    if connection is not None:
        return measure_served(connection, benchmark, context.data_root, progress, memory)
    return measure_benchmark(subject.loaded(), benchmark, context.data_root, progress, memory)


@dataclass(frozen=True)
class StageMemory:
    """The scores and texts of one stage, kept in the store batch by batch."""

    store: Store
    stage: str

    def known(self) -> dict[str, tuple[float, bool]]:
        return self.store.scores(self.stage)

    def keep(self, scores: dict[str, tuple[float, bool]]) -> None:
        self.store.add_scores(self.stage, scores)

    def known_texts(self) -> dict[str, str]:
        return {answer.case: answer.text or "" for answer in self.store.answers(self.stage)}

    def keep_texts(self, texts: dict[str, str]) -> None:
        kept = [Answer(request, "", text, "stop", 0, 0, 0.0) for request, text in texts.items()]
        self.store.add_answers(self.stage, kept)


def _not_measured(
    subject: Subject, stage: str, error: HarnessError, context: Context, instead: Sequence[Measurement] = ()
) -> None:
    """A candidate whose output is no number has no measurement, which breaks its gates; an original ends the job."""
    if subject.spec.name == ORIGINAL:
        raise error
    context.store.finish_stage(stage, instead, {UNMEASURED: str(error)})


def faithful(before: Subject, after: Subject, corpus: Corpus, context: Context) -> tuple[str, str]:
    """Fidelity on one corpus; returns the ids of both stages.

    The original's pass over the corpus is kept on disk: for another candidate it does not run again.
    """
    first, second = original_stage(before, corpus, context), fidelity_stage(before, after, corpus, context)
    if not (first.finished and second.finished):
        progress = named(context.progress, f"{before.spec.name}: fidelity")
        path = reference(before, corpus, context.references, progress)
        context.store.finish_stage(first.id, [original_perplexity(path, corpus)])
        progress = named(context.progress, f"{after.spec.name}: fidelity")
        keep_fidelity(compared(path, after.loaded(), corpus, progress), after, second, corpus, context)
    return first.id, second.id


def original_stage(before: Subject, corpus: Corpus, context: Context) -> Stage:
    """Where the original's perplexity on a corpus is kept."""
    key = _fidelity_key(corpus)
    return context.store.begin_stage(before.fingerprint, key, "fidelity", "fidelity", not_before=context.since)


def fidelity_stage(before: Subject, after: Subject, corpus: Corpus, context: Context) -> Stage:
    """Where it is kept how true a candidate is to its original on a corpus."""
    key = digest(_fidelity_key(corpus), before.fingerprint)
    return context.store.begin_stage(after.fingerprint, key, "fidelity", "fidelity", not_before=context.since)


def _fidelity_key(corpus: Corpus) -> str:
    return digest("fidelity", PROTOCOL, corpus.identity, corpus.label)


def keep_fidelity(
    found: FidelityResult | HarnessError, after: Subject, stage: Stage, corpus: Corpus, context: Context
) -> None:
    """Finish a candidate's stage with what `compared` found."""
    if isinstance(found, HarnessError):
        _not_measured(after, stage.id, found, context, not_measured(corpus.label))
    else:
        context.store.finish_stage(stage.id, found.measurements, divergence=found.divergence)


def _macro(after: Subject, stages: dict[str, str], context: Context) -> str:
    """The mean over corpora. stages: label -> the candidate's stage on that corpus."""
    store = context.store
    key = digest("fidelity of all", PROTOCOL, stages)
    stage = store.begin_stage(after.fingerprint, key, "fidelity", "fidelity", not_before=context.since)
    if not stage.finished:
        store.finish_stage(stage.id, over_corpora({label: store.measurements(one) for label, one in stages.items()}))
    return stage.id
