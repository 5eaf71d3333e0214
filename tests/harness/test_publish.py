"""What the page says of tags and flips."""

from pathlib import Path

import pytest

from harness.gates import Gate
from harness.records import Answer, ModelSpec, Run
from harness.showing.publish import Heading, Judged, page
from harness.verdicts.compare import compare
from harness.verdicts.gate import judge
from suites import load
from suites.schema import Suite

HEADING = Heading("p", "today", "secateur run p", ())
CASES = 12


@pytest.fixture
def words(tmp_path: Path) -> Suite:
    """Two tags of 12 cases each; an answer is right if it has an x."""
    path = tmp_path / "words.yaml"
    cases = [
        f"  - {{vars: {{word: w{n}}}, metadata: {{tags: [{tag}]}}, assert: [{{type: contains, value: x}}]}}"
        for tag in ("hard", "soft")
        for n in range(CASES)
    ]
    path.write_text("\n".join(["prompts: ['say {{word}}']", "tests:", *cases]))
    return load(str(path))


def candidate(suite: Suite, wrong: dict[str, int]):
    """The candidate's page if it loses so many of the cases of each tag, all of which the original has right."""

    def run(name: str, wrong: dict[str, int]) -> Run:
        left = dict(wrong)
        answers = []
        for case in suite.cases:
            (tag,) = case.tags
            left[tag] = left.get(tag, 0) - 1
            answers.append(Answer(case.id, "say", "o" if left[tag] >= 0 else "x", "stop", 1, 1, 0.1))
        return Run(name, ModelSpec(name, "m"), "f", answers={suite.name: tuple(answers)})

    before, after = run("original", {}), run("small", wrong)
    comparison = compare(before, after, [suite])
    verdict = judge(comparison, [Gate(metric="words.pass_rate", margin=0.5)])
    return page(HEADING, [Judged(before, after, comparison, verdict, None)]).candidates[0]


def test_a_tag_is_marked_only_where_chance_is_unlikely_among_all_tags(words: Suite) -> None:
    rows = {row.tag: row for row in candidate(words, {"hard": 9, "soft": 2}).tags}
    assert (rows["hard"].after, rows["hard"].n, rows["hard"].change) == (0.25, CASES, "worse")
    assert rows["soft"].change == "unclear"
    # Six losses and no gain have p = 0.031: a mark alone, none among two tags of which the other says nothing.
    assert [row.change for row in candidate(words, {"hard": 6}).tags] == ["unclear", "unclear"]


def test_flips_are_shown_with_wilsons_interval(words: Suite) -> None:
    row = next(row for row in candidate(words, {"hard": 6}).numbers if row.metric == "words.pass_rate")
    assert row.flips == 0.25
    # Wilson's interval at z = 1.645: (0.25 + z^2/48 -+ z sqrt(0.1875/24 + z^2/2304)) / (1 + z^2/24).
    assert (row.flips_low, row.flips_high) == pytest.approx((0.1352, 0.4155), abs=1e-4)


def test_both_answers_of_a_case_carry_their_score(words: Suite) -> None:
    (lost,) = (row for row in candidate(words, {"hard": 1}).cases if row.kind == "loss")
    assert (lost.before.score, lost.after.score) == (1.0, 0.0)
    assert [check.score for check in lost.after.checks] == [0.0]
