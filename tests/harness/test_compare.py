"""Two runs side by side: what pairs, what is missing, which way is worse."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.records import Answer, Item, Measurement, ModelSpec, Run
from harness.verdicts.compare import compare
from suites import Suite, load

SUITE = """
tests:
  - {id: paris, vars: {q: Capital of France?}, tags: [facts], assert: [{type: icontains, value: paris}]}
  - {id: two, vars: {q: 1 + 1?}, tags: [maths], assert: [{type: contains, value: "2"}, {type: contains, value: equals}]}
  - {id: rome, vars: {q: Capital of Italy?}, tags: [facts], assert: [{type: icontains, value: rome}]}
  - {id: oslo, vars: {q: Capital of Norway?}, tags: [facts], assert: [{type: icontains, value: oslo}]}
prompts: ["{{q}}"]
"""


@pytest.fixture
def suite(tmp_path) -> Suite:
    path = tmp_path / "capitals.yaml"
    path.write_text(SUITE)
    return load(path)


def run(name="original", answers=None, measurements=()):
    said = tuple(
        Answer(
            case, "prompt", text, "error" if text is None else "stop", 3, 2, 0.1, "too long" if text is None else None
        )
        for case, text in (answers or {}).items()
    )
    return Run(
        id=f"run-{name}",
        model=ModelSpec(name, "somewhere"),
        fingerprint="f",
        answers={"capitals": said} if answers is not None else {},
        measurements={one.metric: one for one in measurements},
    )


def measured(metric, values, **changed):
    items = tuple(Item(str(i), f"hash {i}", value) for i, value in enumerate(values))
    fields = {"unit": "share", "higher_is_better": True, "scale": "binary", **changed}
    return Measurement(
        metric, float(np.mean(values)) if values else math.nan, items=fields.pop("items", items), **fields
    )


ALL_RIGHT = {"paris": "Paris", "two": "2 equals", "rome": "Rome", "oslo": "Oslo"}


def test_cases_pair_by_id_and_are_graded_on_both_sides(suite):
    before = run(answers={**ALL_RIGHT, "oslo": "Bergen"})
    after = run("small", {"oslo": "Oslo", "rome": "Milan", "two": "2 is", "paris": "Paris!"})
    comparison = compare(before, after, [suite])
    assert {pair.case.id: pair.kind for pair in comparison.cases} == {
        "paris": "same",
        "two": "loss",
        "rome": "loss",
        "oslo": "gain",
    }
    rate, score = comparison.deltas["capitals.pass_rate"], comparison.deltas["capitals.score"]
    assert (rate.before, rate.after, rate.drop, rate.losses, rate.gains) == (0.75, 0.5, 0.25, 2, 1)
    assert (score.before, score.after) == (0.75, 0.625)
    assert comparison.deltas["capitals.losses"].estimate == 2
    assert [(flip.id, flip.kind, flip.before, flip.after) for flip in comparison.flips] == [
        ("two", "loss", "2 equals", "2 is"),
        ("rome", "loss", "Rome", "Milan"),
        ("oslo", "gain", "Bergen", "Oslo"),
    ]
    lost = comparison.flips[0].after_graded
    assert lost is not None
    assert [check.passed for check in lost.checks] == [True, False]


def test_two_different_wrong_answers_are_churn(suite):
    before = run(answers={**ALL_RIGHT, "rome": "Milan", "oslo": "Bergen"})
    after = run("small", {**ALL_RIGHT, "rome": "Turin", "oslo": "Bergen"})
    kinds = {pair.case.id: pair.kind for pair in compare(before, after, [suite]).cases}
    assert (kinds["rome"], kinds["oslo"]) == ("churn", "same")


def test_unanswered_by_the_candidate_fails_and_by_the_original_is_left_out(suite):
    before = run(answers={**ALL_RIGHT, "rome": None})
    after = run("small", {"paris": None, "rome": "Rome", "oslo": "Oslo"})  # two: no answer at all
    delta = compare(before, after, [suite]).deltas["capitals.pass_rate"]
    assert (delta.n, delta.dropped, delta.unanswered, delta.losses) == (3, 1, 2, 2)
    assert (delta.before, delta.after) == (1.0, pytest.approx(1 / 3))


def test_a_suite_the_candidate_was_never_asked_is_absent_not_failed(suite):
    delta = compare(run(answers=ALL_RIGHT), run("small"), [suite]).deltas["capitals.pass_rate"]
    assert (delta.before, delta.after, delta.drop, delta.low) == (1.0, None, None, None)


def test_answers_to_unknown_cases_are_refused(suite):
    with pytest.raises(HarnessError, match="answered 1 cases that suite capitals does not have, for example bern"):
        compare(run(answers={**ALL_RIGHT, "bern": "Bern"}), run("small", ALL_RIGHT), [suite])


def test_items_with_another_hash_are_refused_by_metric_and_item():
    other = (Item("0", "hash 0", 1.0), Item("1", "another", 1.0))
    after = run("small", measurements=[measured("arc_easy.acc", [1, 1], items=other)])
    with pytest.raises(HarnessError, match=r"arc_easy\.acc: item 1 was not the same question"):
        compare(run(measurements=[measured("arc_easy.acc", [1, 1])]), after, [])


def test_benchmark_items_pair_whatever_their_order():
    shuffled = (Item("1", "hash 1", 0.0), Item("0", "hash 0", 1.0))
    before = run(measurements=[measured("arc_easy.acc", [1, 1])])
    comparison = compare(before, run("small", measurements=[measured("arc_easy.acc", [0, 1], items=shuffled)]), [])
    assert [(flip.metric, flip.id, flip.kind) for flip in comparison.flips] == [("arc_easy.acc", "1", "loss")]


def test_a_yes_or_no_item_the_candidate_lacks_is_failed_and_a_graded_one_breaks_the_metric():
    missing = (Item("0", "hash 0", 1.0), Item("1", "hash 1", math.nan))
    for scale, after in (("binary", 1 / 3), ("graded", None)):
        before = run(measurements=[measured("task.acc", [1, 1, 1], scale=scale)])
        candidate = run("small", measurements=[measured("task.acc", [1, 1], scale=scale, items=missing)])
        delta = compare(before, candidate, []).deltas["task.acc"]
        assert delta.after == (pytest.approx(after) if after else None)


def test_a_drop_is_how_much_worse_whichever_way_is_better():
    before = run(
        measurements=[
            measured("up", [0.5, 0.7], scale="graded"),
            measured("down", [5, 7], scale="graded", higher_is_better=False),
        ]
    )
    after = run(
        "small",
        measurements=[
            measured("up", [0.4, 0.5], scale="graded"),
            measured("down", [6, 9], scale="graded", higher_is_better=False),
        ],
    )
    deltas = compare(before, after, []).deltas
    assert deltas["up"].drop == pytest.approx(0.15)
    assert deltas["down"].drop == pytest.approx(1.5)


def test_fewer_errors_are_gains_where_lower_is_better():
    before = run(measurements=[measured("errors", [1, 1, 0, 0], higher_is_better=False)])
    after = run("small", measurements=[measured("errors", [0, 1, 0, 1], higher_is_better=False)])
    delta = compare(before, after, []).deltas["errors"]
    assert (delta.losses, delta.gains, delta.drop) == (1, 1, 0)


def test_a_perplexity_ratio_is_exp_of_the_weighted_mean_and_the_candidates_own():
    items = tuple(
        Item(str(i), "h", value, f"doc {i // 2}", weight)
        for i, (value, weight) in enumerate([(0.1, 100), (0.3, 300), (0.2, 50), (0.0, 50)])
    )
    ratio = Measurement("fidelity.perplexity_ratio", math.exp(0.22), "ratio", False, "graded", items)
    delta = compare(run(), run("small", measurements=[ratio]), []).deltas["fidelity.perplexity_ratio"]
    assert (delta.of, delta.before, delta.n, delta.clusters) == ("value", None, 4, 2)
    assert delta.after == pytest.approx(math.exp((0.1 * 100 + 0.3 * 300 + 0.2 * 50) / 500))
    # residuals -.12*100 + .08*300 = 12 and -.02*50 - .22*50 = -12; error sqrt(288)/500 * sqrt(2/1); t_1(.95) = 6.3138
    reach = 6.3138 * math.sqrt(288) / 500 * math.sqrt(2)
    assert math.log(delta.high) == pytest.approx(0.22 + reach, abs=1e-4)


def test_a_reading_without_items_is_exact():
    def size(value):
        return Measurement("size.bytes", value, "bytes", False, "reading")

    delta = compare(run(measurements=[size(100)]), run("small", measurements=[size(80)]), []).deltas["size.bytes"]
    assert (delta.drop, delta.low, delta.high, delta.method) == (-20, -20, -20, "exact reading")


def choosing(metric, choices, **changed):
    """A benchmark whose documents, by number, were given these probabilities of their choices."""
    items = tuple(
        Item(str(n), f"hash {n}", 1.0, choices=tuple(math.log(p) if p else -math.inf for p in document))
        for n, document in enumerate(choices)
    )
    return measured(metric, [1.0] * len(items), **{"items": items, **changed})


def test_choices_diverge_by_how_far_their_probabilities_moved():
    """By hand: 0.5 ln(0.5 / 0.25) + 0.5 ln(0.5 / 0.75) = 0.143841; a choice that was impossible adds nothing."""
    before = run(measurements=[choosing("arc.acc", [(0.5, 0.5), (0.2, 0.2), (0.5, 0.5, 0.0)])])
    after = run("small", measurements=[choosing("arc.acc", [(0.25, 0.75), (0.1, 0.1), (0.25, 0.25, 0.5)])])
    comparison = compare(before, after, [])
    assert comparison.series["arc.choice_kl"].after == pytest.approx([0.143841, 0.0, math.log(2)], abs=1e-6)
    delta = comparison.deltas["arc.choice_kl"]
    assert (delta.of, delta.unit, delta.before, delta.n) == ("value", "nats", None, 3)
    assert delta.estimate == pytest.approx((0.143841 + math.log(2)) / 3, abs=1e-6)
    assert delta.low < delta.estimate < delta.high


def test_one_divergence_a_benchmark_and_none_where_choices_were_not_kept():
    kept = [choosing("arc.acc", [(0.5, 0.5)]), choosing("arc.acc_norm", [(0.5, 0.5)])]
    plain = [measured("arc.acc", [1.0]), measured("arc.acc_norm", [1.0])]
    found = compare(run(measurements=kept), run("small", measurements=kept), []).series
    assert [name for name in found if "choice" in name] == ["arc.choice_kl"]
    for before, after in ((plain, kept), (kept, plain), (plain, plain)):
        assert set(compare(run(measurements=before), run("small", measurements=after), []).series) == {
            "arc.acc",
            "arc.acc_norm",
        }


def test_a_divergence_that_is_not_known_is_not_zero():
    before = run(measurements=[choosing("arc.acc", [(0.5, 0.5)])])
    for lost in ([], [choosing("arc.acc", [(0.0, 0.0)])]):
        assert compare(before, run("small", measurements=lost), []).deltas["arc.choice_kl"].estimate is None
    fewer = [choosing("arc.acc", [(0.4, 0.3, 0.3)])]
    with pytest.raises(HarnessError, match="item 0 had 2 choices before and 3 after"):
        compare(before, run("small", measurements=fewer), [])


def several(*texts):
    """Answers to the case `paris`, one a repeat."""
    return tuple(
        Answer("paris", "prompt", text, "error" if text is None else "stop", 3, 2, 0.1, repeat=repeat)
        for repeat, text in enumerate(texts)
    )


def test_a_case_asked_several_times_is_one_item(tmp_path):
    (tmp_path / "capitals.yaml").write_text(
        "prompts: ['{{q}}']\ndefaultTest: {repeat: {n: 4, min_pass: 2}}\ntests:\n"
        "  - {id: paris, vars: {q: Capital of France?}, assert: [{type: icontains, value: paris}]}\n"
    )
    suite = load(tmp_path / "capitals.yaml")
    before = replace(run(), answers={"capitals": several("Paris", "Paris", "Lyon", "Paris")})
    after = replace(run("small"), answers={"capitals": several("Nice", "Paris", "Lyon", "Nice")})
    comparison = compare(before, after, [suite])
    assert {name: (list(one.before), list(one.after)) for name, one in comparison.series.items()} == {
        "capitals.pass_rate": ([0.75], [0.25]),
        "capitals.case_rate": ([1.0], [0.0]),
        "capitals.score": ([0.75], [0.25]),
        "capitals.losses": ([1.0], [0.0]),
    }
    (pair,) = comparison.cases
    assert (pair.kind, pair.before.text, pair.after.text, pair.flaky) == ("loss", "Paris", "Nice", True)
    assert pair.after_graded.reason.startswith("1 of 4 answers pass, 2 must; for example: ")
    assert [flip.id for flip in comparison.flips] == ["paris"]


def test_a_repeat_without_an_answer_fails_or_drops_its_case(tmp_path):
    (tmp_path / "capitals.yaml").write_text(
        "prompts: ['{{q}}']\ntests:\n  - {id: paris, vars: {q: Capital of France?}, repeat: {n: 2, min_pass: 1}}\n"
    )
    suite = load(tmp_path / "capitals.yaml")
    all_there = replace(run(), answers={"capitals": several("Paris", "Paris")})
    one_lacks = replace(run("small"), answers={"capitals": several("Paris", None)})
    found = compare(all_there, one_lacks, [suite])
    assert (found.deltas["capitals.pass_rate"].after, found.deltas["capitals.case_rate"].after) == (0.5, 1.0)
    (pair,) = compare(one_lacks, all_there, [suite]).cases
    assert (pair.kind, pair.before.text, pair.before_graded, pair.flaky) == ("unknown", None, None, False)


def test_what_did_not_fit_is_said_of_whom():
    def noted(before, after):
        old, new = (replace(run(), facts={"arc: cut": why} if why else {}) for why in (before, after))
        return compare(old, new, []).notes

    assert noted("2 of 9 rows", "2 of 9 rows") == ("arc: 2 of 9 rows, for both models",)
    assert noted("2 of 9 rows", "3 of 9 rows") == (
        "arc: 2 of 9 rows, for the original",
        "arc: 3 of 9 rows, for the candidate",
    )
    assert noted("", "3 of 9 rows") == ("arc: 3 of 9 rows, for the candidate",)
    assert noted("", "") == ()


def test_what_was_not_answered_is_counted_with_a_reason(suite):
    before, after = run(answers=ALL_RIGHT), run("small", {**ALL_RIGHT, "two": None, "oslo": None})
    assert compare(before, after, [suite]).notes == (
        "capitals: 2 of 4 prompts not answered by the candidate; the first, two: too long",
    )
