"""What of a gate can be seen to be wrong before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import metrics
from harness.gates import Gate
from harness.metering import provided
from harness.outlook import cases_of
from harness.plan import Plan
from harness.records import ORIGINAL
from harness.verdicts.beside import SIZE
from harness.verdicts.choices import CHOICE_KL
from harness.verdicts.finding import limit_of
from harness.verdicts.measured import of_candidate_alone
from harness.verdicts.pairing import CASE_RATE
from suites import Suite
from suites.document import suggestion
from suites.form import DERIVED

SUITE_METRICS = ("pass_rate", "score", "losses")
FIDELITY_METRICS = ("kl", "top1", "perplexity_ratio", "probability_change")
SHARES = ("pass_rate", CASE_RATE, "top1", "exact_match")


def gate_faults(gate: Gate, plan: Plan, suites: Sequence[Suite]) -> list[str]:
    """Sentences for whoever wrote the gate; empty: it can be measured and judged."""
    names = {suite.name: suite for suite in suites}
    tasks = [benchmark.task for benchmark in plan.benchmarks]
    known = [*names, *tasks, *plan.metrics, *(["fidelity"] if plan.fidelity else [])]
    source = next((name for name in known if gate.metric.startswith(f"{name}.")), None)
    if source is None:
        guess = gate.metric.rpartition(".")[0]
        sources = ", ".join(known) or "nothing: the plan measures nothing"
        return [f"gate {gate.metric}: nothing in this plan measures it{suggestion(guess, known)}; measured: {sources}"]
    metric = gate.metric.removeprefix(f"{source}.")
    allowed = _metrics_of(source, plan, names)
    if source in names and metric in names[source].derived:
        return [f"gate {gate.metric}: {DERIVED}: {', '.join(sorted(names[source].metrics)) or 'none is named'}"]
    if allowed and metric not in allowed and metric.partition(".")[0] not in allowed:
        options = ", ".join(f"{source}.{name}" for name in allowed)
        return [f"gate {gate.metric}: no such metric{suggestion(metric, allowed)}; there are {options}"]
    faults = (*_form_faults(gate, metric), *_tag_faults(gate, source, names), *_reference_faults(gate, source, names))
    return [f"gate {gate.title}: {fault}" for fault in faults]


def _metrics_of(source: str, plan: Plan, suites: Mapping[str, Suite]) -> tuple[str, ...]:
    """Names of what a suite, fidelity, a meter or a benchmark measures; empty: not known before it is run."""
    if source in suites:
        rate = [CASE_RATE] if suites[source].tries > 1 else []
        return (*SUITE_METRICS, *rate, *sorted(suites[source].metrics - {*SUITE_METRICS, *rate}))
    if source == "fidelity":
        labels = [f"{label}." for label in plan.fidelity.corpora if label] if plan.fidelity else []
        return tuple(f"{label}{name}" for label in ("", *labels) for name in FIDELITY_METRICS)
    if source in metrics.names():
        return provided(source, plan)
    from harness.benchmarks import metric_names

    root = Path(plan.data_root) if plan.data_root else None
    return next(metric_names(benchmark, root) for benchmark in plan.benchmarks if benchmark.task == source)


def _form_faults(gate: Gate, metric: str) -> list[str]:
    """A rule that does not go with its metric."""
    form, limit = limit_of(gate)
    if metric == "losses" and form != "max":
        return [f"a count of losses takes max, not {form}"]
    alone = of_candidate_alone(gate.metric) or gate.metric.endswith(f".{CHOICE_KL}")
    if alone and form not in ("max", "min"):
        return [f"it is measured on the candidate alone; use max or min, not {form}"]
    is_share = metric in SHARES or metric.startswith("acc")
    if is_share and form in ("margin", "max", "min") and limit >= 1 and not (form == "max" and limit == 1):
        return [f"a share lies between 0 and 1; {form}: {limit:g} is out of reach, did you mean {limit / 100:g}?"]
    return []


def _tag_faults(gate: Gate, source: str, suites: Mapping[str, Suite]) -> list[str]:
    if gate.where is None:
        return []
    if source not in suites:
        return [f"'where' selects cases of a suite; {source} has no tags"]
    if cases_of(gate, suites[source]):
        return []
    tags = sorted({tag for case in suites[source].cases for tag in case.tags})
    return [f"no case has tag {gate.where.tag!r}{suggestion(gate.where.tag, tags)}; tags: {', '.join(tags) or 'none'}"]


def _reference_faults(gate: Gate, source: str, suites: Mapping[str, Suite]) -> list[str]:
    """What a gate asks of a baseline that nothing stored can answer."""
    form, _ = limit_of(gate)
    if gate.against == ORIGINAL:
        return []
    if source == "fidelity":
        return ["fidelity says how far a model is from its original, and pairs with no other result"]
    if source in metrics.names() and not gate.metric.startswith(SIZE):
        return [f"{source} depends on the machine and its moment; what was read then is no measure for now"]
    of_both = f".{CHOICE_KL}" if source not in suites else ".losses"
    if form in ("max", "min") and not gate.metric.endswith(of_both):
        return [f"{form} looks at the candidate alone; use margin, max_ratio or min_ratio"]
    return []
