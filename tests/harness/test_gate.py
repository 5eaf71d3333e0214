"""Every gate form, three ways; what is missing; what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.gates import Gate, Where
from harness.records import Answer, Item, Measurement, ModelSpec, Run
from harness.verdicts.compare import compare
from harness.verdicts.gate import judge
from suites import load


def measurement(metric, values, clusters=1, **changed):
    """clusters: consecutive items in one cluster."""
    items = tuple(Item(str(i), "h", float(value), f"c{i // clusters}") for i, value in enumerate(values))
    fields = {"unit": "share", "higher_is_better": True, "scale": "binary", **changed}
    value = fields.pop("value", float(np.mean(values)) if len(items) else math.nan)
    return Measurement(metric, value, items=items, **fields)


def side_by_side(before, after):
    """Comparison of two lists of measurements."""

    def run(name, measurements):
        return Run(name, ModelSpec(name, "x"), "f", measurements={one.metric: one for one in measurements})

    return compare(run("original", before), run("small", after), [])


def pairs(n, losses, gains, clusters=1):
    """A yes-or-no metric with so many losses and gains."""
    before, after = values_of(n, losses, gains)
    return side_by_side([measurement("t.acc", before, clusters)], [measurement("t.acc", after, clusters)])


def values_of(n, losses, gains):
    """Before and after, item by item."""
    before = np.r_[np.ones(losses), np.zeros(gains), np.ones(n - losses - gains)]
    return before, np.r_[np.zeros(losses), np.ones(gains), np.ones(n - losses - gains)]


def found(comparison, **gate):
    return judge(comparison, [Gate(**{"metric": "t.acc", **gate})]).findings[0]


@pytest.mark.parametrize(
    ("n", "losses", "gains", "margin", "decision"),
    [
        (216, 3, 2, 0.05, "PASS"),
        (216, 40, 5, 0.05, "REGRESSION"),
        (216, 12, 4, 0.05, "INCONCLUSIVE"),
        (148, 0, 0, 0.02, "INCONCLUSIVE"),  # Tango alone would pass: 0.98^148 = 0.0503
        (149, 0, 0, 0.02, "PASS"),
        (270, 0, 0, 0.01, "INCONCLUSIVE"),  # Tango alone would pass: 0.99^270 = 0.066
    ],
)
def test_margin_of_yes_or_no_items(n, losses, gains, margin, decision):
    assert found(pairs(n, losses, gains), margin=margin).decision == decision


def test_reasons_carry_the_numbers():
    assert found(pairs(216, 3, 2), margin=0.05).reason == (
        "the drop is 0.5 points, at most 2.6 points with 95 % confidence; the margin is 5.0 points "
        "(216 items, 3 losses, 2 gains)."
    )
    finding = found(pairs(216, 12, 4), margin=0.05)
    assert finding.items_needed is not None
    assert finding.reason.endswith(f"; about {finding.items_needed} items would settle it.")


def test_the_items_said_to_settle_it_do():
    finding = found(pairs(200, 4, 2), margin=0.02)
    assert finding.decision == "INCONCLUSIVE"
    times = finding.items_needed / 200
    assert found(pairs(finding.items_needed, round(4 * times), round(2 * times)), margin=0.02).decision == "PASS"


def test_clusters_widen_the_interval():
    alone, together = found(pairs(400, 16, 6), margin=0.05), found(pairs(400, 16, 6, clusters=8), margin=0.05)
    assert (alone.decision, together.decision) == ("PASS", "INCONCLUSIVE")
    assert together.delta.clusters == 50
    assert together.delta.high > alone.delta.high
    assert together.delta.low <= alone.delta.low


def graded(before, after, **changed):
    fields = {"scale": "graded", "unit": "score", **changed}
    return side_by_side([measurement("t.f1", before, **fields)], [measurement("t.f1", after, **fields)])


@pytest.mark.parametrize(("shift", "decision"), [(0.0, "PASS"), (0.1, "REGRESSION"), (0.045, "INCONCLUSIVE")])
def test_margin_of_graded_items(shift, decision):
    before = np.random.default_rng(3).uniform(0.3, 0.7, 120)
    noise = np.random.default_rng(4).normal(0, 0.05, 120)
    after = before - shift + noise - noise.mean()
    assert found(graded(before, after), metric="t.f1", margin=0.05).decision == decision


def test_few_equal_graded_items_prove_nothing():
    """A t interval of no differences has no width; the bounded score does."""
    same = np.full(40, 0.6)
    finding = found(graded(same, same), metric="t.f1", margin=0.05)
    assert (finding.decision, finding.delta.drop) == ("INCONCLUSIVE", 0)
    assert found(graded(np.full(59, 0.6), np.full(59, 0.6)), metric="t.f1", margin=0.05).decision == "PASS"


def kl(level):
    values = level + np.random.default_rng(5).uniform(-0.02, 0.02, 60)
    return side_by_side(
        [], [measurement("fidelity.kl", values, 3, unit="nats", scale="graded", higher_is_better=False)]
    )


@pytest.mark.parametrize(("level", "decision"), [(0.05, "PASS"), (0.15, "REGRESSION"), (0.1, "INCONCLUSIVE")])
def test_max_of_the_candidates_own_value(level, decision):
    finding = found(kl(level), metric="fidelity.kl", max=0.1)
    assert (finding.decision, finding.delta.of) == (decision, "value")


@pytest.mark.parametrize(("right", "decision"), [(95, "PASS"), (60, "REGRESSION"), (82, "INCONCLUSIVE")])
def test_min_of_the_candidates_own_share(right, decision):
    after = measurement("t.acc", np.r_[np.ones(right), np.zeros(100 - right)])
    assert found(side_by_side([], [after]), min=0.8).decision == decision


@pytest.mark.parametrize(("ratio", "decision"), [(1.2, "PASS"), (0.9, "REGRESSION"), (1.05, "INCONCLUSIVE")])
def test_min_ratio_of_interleaved_blocks(ratio, decision):
    drift = np.array([100.0, 60, 90, 110, 70, 95])  # both models slow down together: only the pairs matter
    noise = np.array([1.01, 0.99, 1.02, 0.98, 1.0, 1.0])
    before, after = (
        [measurement("speed.decode", values, unit="tokens/s", scale="reading")]
        for values in (drift, drift * ratio * noise)
    )
    assert found(side_by_side(before, after), metric="speed.decode", min_ratio=1.05).decision == decision


@pytest.mark.parametrize(("losses", "decision"), [(0, "PASS"), (40, "REGRESSION"), (10, "INCONCLUSIVE")])
def test_min_ratio_of_a_share(losses, decision):
    assert found(pairs(200, losses, 0), min_ratio=0.95).decision == decision


@pytest.mark.parametrize(("size", "decision"), [(80, "PASS"), (85, "PASS"), (86, "REGRESSION")])
def test_exact_readings_are_compared_exactly(size, decision):
    before, after = (
        [measurement("size.bytes", [], value=value, unit="bytes", scale="reading")] for value in (100, size)
    )
    assert found(side_by_side(before, after), metric="size.bytes", max_ratio=0.85).decision == decision


@pytest.fixture
def capitals(tmp_path):
    """Compares runs of a suite of three cases; arguments: answers of the original and of the candidate."""
    path = tmp_path / "capitals.yaml"
    path.write_text(
        "prompts: ['{{q}}']\ntests:\n"
        "  - {id: paris, vars: {q: France}, tags: [critical], assert: [{type: contains, value: Paris}]}\n"
        "  - {id: rome, vars: {q: Italy}, tags: [critical], assert: [{type: contains, value: Rome}]}\n"
        "  - {id: oslo, vars: {q: Norway}, tags: [other], assert: [{type: contains, value: Oslo}]}\n"
    )
    suite = load(path)

    def run(name, texts):
        said = tuple(
            Answer(case, "p", text, "stop", 1, 1, 0.1)
            for case, text in zip(("paris", "rome", "oslo"), texts, strict=True)
        )
        return Run(name, ModelSpec(name, "x"), "f", {"capitals": said} if said else {})

    return lambda before, after: compare(run("original", before), run("small", after), [suite])


@pytest.mark.parametrize(
    ("after", "tag", "decision"),
    [
        (("Paris", "Rome", "Bergen"), "critical", "PASS"),
        (("Paris", "Rome", "Bergen"), None, "REGRESSION"),
        (("Paris", None, "Oslo"), "critical", "REGRESSION"),
    ],
)
def test_losses_among_named_cases_are_counted_exactly(capitals, after, tag, decision):
    comparison = capitals(("Paris", "Rome", "Oslo"), after)
    where = Where(tag=tag) if tag else None
    assert found(comparison, metric="capitals.losses", where=where, max=0).decision == decision


def test_too_many_unanswered_by_the_original_is_inconclusive(capitals):
    finding = found(capitals(("Paris", None, "Oslo"), ("Paris", "Rome", "Oslo")), metric="capitals.losses", max=0)
    assert finding.decision == "INCONCLUSIVE"
    assert "1 of 3 items are left out, more than 1 %: the original did not answer them" in finding.reason


@pytest.mark.parametrize("missing", [math.nan, math.inf, None])
def test_no_value_on_the_candidate_is_a_regression(missing):
    before = measurement("word_perplexity", [], value=20.0, unit="", scale="reading", higher_is_better=False)
    after = [] if missing is None else [replace(before, value=missing)]
    finding = found(side_by_side([before], after), metric="word_perplexity", max_ratio=1.1)
    assert finding.decision == "REGRESSION"
    assert "the candidate has no value" in finding.reason


def test_a_few_equal_items_prove_nothing():
    def graded(n: int, **limit: float) -> str:
        same = measurement("m", [0.7] * n, scale="graded")
        return found(side_by_side([same], [same]), metric="m", **limit).decision

    assert [graded(19, min=0.5), graded(19, max=0.5), graded(19, max_ratio=1.1)] == ["INCONCLUSIVE"] * 3
    assert [graded(20, min=0.5), graded(20, max=0.5), graded(20, max_ratio=1.1)] == ["PASS", "REGRESSION", "PASS"]


def test_a_value_without_items_has_no_bound():
    before = measurement("f1", [], value=0.5, scale="graded")
    finding = found(side_by_side([before], [before]), metric="f1", margin=0.1)
    assert finding.decision == "INCONCLUSIVE"
    assert "but a value without items has no bound" in finding.reason
    one_cluster = found(pairs(300, 1, 1, clusters=300), margin=0.1)
    assert one_cluster.decision == "INCONCLUSIVE"
    assert "but a single cluster, or a few equal items, give no bound" in one_cluster.reason


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            {"metric": "t.ac", "margin": 0.1},
            r"no such metric was measured, did you mean 't\.acc'\? there are: fidelity\.kl, t\.acc",
        ),
        ({"where": Where(tag="critcal"), "margin": 0.1}, "no item has the tag 'critcal'; its items have no tags"),
        ({"margin": 5}, "margin 5 is not below 1, the most a share can drop; 0.05 is 5 points"),
        ({"metric": "fidelity.kl", "margin": 0.1}, "measured on the candidate alone; use max or min, not margin"),
        ({"metric": "fidelity.kl", "max_ratio": 1.1}, "measured on the candidate alone; use max or min, not max_ratio"),
    ],
)
def test_gates_that_can_check_nothing_are_refused(gate, message):
    own = measurement("fidelity.kl", [0.1, 0.2], scale="graded", higher_is_better=False)
    both = measurement("t.acc", [1, 0, 1])
    with pytest.raises(HarnessError, match=message):
        found(side_by_side([both], [both, own]), **gate)


def test_a_mistyped_tag_names_the_nearest(capitals):
    comparison = capitals(("Paris", "Rome", "Oslo"), ("Paris", "Rome", "Oslo"))
    with pytest.raises(HarnessError, match="no item has the tag 'critcal', did you mean 'critical'"):
        found(comparison, metric="capitals.losses", where=Where(tag="critcal"), max=0)


def test_a_metric_absent_on_the_original_is_refused():
    with pytest.raises(HarnessError, match="the original has no value"):
        found(side_by_side([], [measurement("t.acc", [1, 0])]), margin=0.1)


def test_the_verdict_is_the_worst_blocking_gate():
    comparison = pairs(216, 20, 4)
    passing, failing, open_ = (Gate(metric="t.acc", margin=margin) for margin in (0.2, 0.001, 0.05))
    warning = failing.model_copy(update={"severity": "warn"})
    decisions = [
        judge(comparison, gates).decision
        for gates in ([passing], [passing, open_], [open_, failing, passing], [passing, warning])
    ]
    assert decisions == ["PASS", "INCONCLUSIVE", "REGRESSION", "PASS"]
    assert [finding.severity for finding in judge(comparison, [passing, warning]).findings] == ["block", "warn"]
    assert judge(comparison, [passing]).candidate == "small"


def test_an_alarm_must_hold_among_the_gates_that_chance_can_break():
    comparison = pairs(216, 12, 4)  # worse than 0.1 points with p = 0.027
    alarm, passing = Gate(metric="t.acc", margin=0.001), Gate(metric="t.acc", margin=0.2)
    assert judge(comparison, [alarm]).decision == "REGRESSION"
    corrected = judge(comparison, [alarm, passing])
    assert [finding.decision for finding in corrected.findings] == ["INCONCLUSIVE", "PASS"]
    assert "does not hold among 2 gates that chance can break (Holm)." in corrected.findings[0].reason
    warning = passing.model_copy(update={"severity": "warn"})
    assert judge(comparison, [alarm, warning]).decision == "REGRESSION"


def test_values_without_chance_cost_other_gates_nothing():
    size = [measurement("size.bytes", [], unit="bytes", scale="reading", value=value) for value in (9.0, 5.0)]
    before, after = (measurement("t.acc", values) for values in values_of(216, 12, 4))
    comparison = side_by_side([before, size[0]], [after, size[1]])
    gates = [Gate(metric="t.acc", margin=0.001), Gate(metric="size.bytes", max_ratio=1.0)]
    assert [finding.decision for finding in judge(comparison, gates).findings] == ["REGRESSION", "PASS"]


def test_nothing_to_decide_is_refused():
    for gates in ([], [Gate(metric="t.acc", margin=0.1, severity="warn")]):
        with pytest.raises(HarnessError, match="nothing can be decided"):
            judge(pairs(100, 1, 1), gates)
