"""Candidates that learn from half of a suite are judged by the other half."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import suites
from compress import Receipt
from harness.candidates.halves import halves
from harness.errors import HarnessError
from harness.inspection import inspected
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan, only
from harness.stores.duckdb_store import DuckdbStore

CUT = "{recipe: {method: cfsp, sparsity: 0.2}, calibration: {suite: words.yaml, windows: 4, tokens: 64}}"
RECOVERY = ", recovery: {rule: uniform, rank: 2, data: {tokens: 512, window: 32}}"
BACK = f"{{recipe: {{method: random, sparsity: 0.2{RECOVERY}}}, recovery: {{data: {{suite: words.yaml}}}}}}"
PLAN = """\
name: tiny
original: ./model
candidates:
  cut: CUT
  back: BACK
suites: [words.yaml]
gates: [{metric: words.pass_rate, margin: 0.1}]
"""


def written(words: list[str], ids: str) -> str:
    """A suite that asks for every word."""
    tests = [{"id": f"{ids}{n}", "vars": {"word": word}} for n, word in enumerate(words)]
    asserting = {"max_new_tokens": 8, "assert": [{"type": "regex", "value": ".*"}]}
    return json.dumps({"prompts": ["Say {{word}} please"], "defaultTest": asserting, "tests": tests})


WORDS = [f"w{n}" for n in range(40)]


@pytest.fixture
def place(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> Path:
    """A folder with a tiny model, a suite, and a plan whose candidates learn from it."""
    tiny(0).model.save_pretrained(tmp_path / "model")
    tiny(0).tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "words.yaml").write_text(written(WORDS, "case"))
    (tmp_path / "plan.yaml").write_text(PLAN.replace("CUT", CUT).replace("BACK", BACK))
    return tmp_path


def asked(cases: tuple[suites.Case, ...]) -> set[str]:
    return {case.messages[0]["content"] for case in cases}


def test_what_a_case_asks_alone_decides_its_half(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(written(WORDS, "a"))
    (tmp_path / "b.yaml").write_text(written([*reversed(WORDS), *WORDS, "another"], "b"))
    one, other = (halves(suites.load(str(tmp_path / name))) for name in ("a.yaml", "b.yaml"))
    assert asked(one.learned) | asked(one.held_out.cases) == asked(one.whole.cases)
    assert len(one.learned) + len(one.held_out.cases) == len(WORDS)
    assert 10 < len(one.learned) < 30
    assert asked(one.learned) <= asked(other.learned)
    assert asked(one.held_out.cases) <= asked(other.held_out.cases)
    assert asked(other.learned).isdisjoint(asked(other.held_out.cases))
    assert one.held_out.digest != one.whole.digest


def test_candidates_learn_from_one_half_and_are_judged_by_the_other(place: Path) -> None:
    outcome = run(load_plan(str(place / "plan.yaml")), place / "out")
    assert outcome.failures == {}
    parted = halves(suites.load(str(place / "words.yaml")))
    store = DuckdbStore(place / "out" / "secateur.duckdb")
    runs = [store.run(one.id) for one in store.runs(outcome.job)]
    assert len(runs) == 4
    for one in runs:
        assert {answer.case for answer in one.answers["words"]} == {case.id for case in parted.held_out.cases}

    (lesson,) = (place / "out" / "models" / "lessons").iterdir()
    rows = [json.loads(line) for line in lesson.read_text().splitlines()]
    learned = {case.id: case.messages for case in parted.learned}
    assert rows
    for row in rows:
        *messages, answer = row["messages"]
        assert messages == learned[row["case"]]
        assert row["text"] == f"<s>user: {messages[0]['content']}</s><s>assistant:{answer['content']}"

    receipts = {one.model.name: store.receipt(one.id) for one in runs}
    cut, back = (Receipt.from_json(receipts[name] or "") for name in ("cut", "back"))
    split = f"{len(learned)} of the 40 cases of suite words ({parted.whole.digest[:12]}), those whose SHA-256"
    assert cut.notes[0].startswith(f"calibration: {split}")
    assert back.notes[0].startswith(f"recovery: {split}")
    assert cut.calibration is not None
    assert (cut.calibration.source, cut.calibration.tokens) == (str(lesson), 256)
    assert back.recovery is not None
    assert back.recovery.data[0].source == str(lesson)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("method: cfsp", "method: magnitude", "candidates.cut.calibration: its recipe reads no text"),
        (RECOVERY, "", "candidates.back.recovery: its recipe recovers nothing"),
        (
            "suites: [words.yaml]",
            "suites: [words.yaml, more.yaml]",
            "suite more asks what it learns from suite words: more0, 1 in all",
        ),
        (
            "data: {suite: words.yaml}",
            "data: {suite: two.yaml}",
            "suite two: too few cases to learn from it: 0 to learn from, 1 held out",
        ),
        (
            "data: {suite: words.yaml}}}\nsuites: [words.yaml]",
            "data: {suite: two.yaml}}}\nsuites: [words.yaml, two.yaml]",
            "suite two: too few cases to learn from one half: 0 to learn from, 1 held out",
        ),
        ("suite: words.yaml, windows", "suite: [], windows", "at least 1 item"),
        ("suite: words.yaml, windows", "suite: 7, windows", "calibration.suite: must be a list, found 7"),
        ("suite: words.yaml, windows", "suite: [words.yaml, words.yaml], windows", "named twice: words.yaml"),
        ("data: {suite: words.yaml}", "data: {suite: none.yaml}", "none.yaml: no such file"),
        ("windows: 4", "window: 4", "unknown key, did you mean 'windows'?"),
        ("recipe: {method: cfsp, sparsity: 0.2}", "model: ./model", "go with 'recipe', not with 'model'"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_before_any_work(place: Path, old: str, new: str, fault: str) -> None:
    parted = halves(suites.load(str(place / "words.yaml")))
    learned, held_out = (cases[0].vars["word"] for cases in (parted.learned, parted.held_out.cases))
    (place / "more.yaml").write_text(written([str(learned), str(held_out)], "more"))
    (place / "two.yaml").write_text(written([str(held_out)], "two"))
    plan = place / "plan.yaml"
    assert old in plan.read_text()
    plan.write_text(plan.read_text().replace(old, new))
    with pytest.raises(HarnessError) as caught:
        inspected(load_plan(str(plan)))
    assert fault in str(caught.value)


def test_of_suites_that_judge_nothing_all_is_learned_beside_half_of_one_that_does(place: Path) -> None:
    parted = halves(suites.load(str(place / "words.yaml")))
    known = [str(cases[0].vars["word"]) for cases in (parted.learned, parted.held_out.cases)]
    (place / "more.yaml").write_text(written([*(f"m{n}" for n in range(9)), *known], "more"))
    plan = place / "plan.yaml"
    text = plan.read_text().replace("suite: words.yaml, windows", "suite: [words.yaml, more.yaml], windows")
    plan.write_text(text.replace("data: {suite: words.yaml}", "data: {suite: more.yaml}"))
    more = suites.load(str(place / "more.yaml"))
    learned = [case.id for case in parted.learned]
    split = f"{len(learned)} of the 40 cases of suite words"
    lines = inspected(load_plan(str(plan)))
    rest = f"9 of the 11 cases of suite more ({more.digest[:12]}), those that no suite of the plan asks"
    assert f"learned from: {rest}" in lines
    assert any(line.startswith(f"learned from: {split}") for line in lines)

    outcome = run(load_plan(str(plan)), place / "out")
    assert outcome.failures == {}
    store = DuckdbStore(place / "out" / "secateur.duckdb")
    receipts = {one.model.name: store.receipt(one.id) for one in store.runs(outcome.job)}
    cut, back = (Receipt.from_json(receipts[name] or "") for name in ("cut", "back"))
    assert cut.calibration is not None
    assert back.recovery is not None
    read = [json.loads(line)["case"] for line in Path(cut.calibration.source).read_text().splitlines()]
    assert read == [*learned, *(f"more{n}" for n in range(9))]
    trained = [json.loads(line)["case"] for line in Path(back.recovery.data[0].source).read_text().splitlines()]
    assert trained == [f"more{n}" for n in range(9)]
    others = f"{rest}, with the original's answers; the others are held out"
    assert cut.notes[0].startswith(f"calibration: {split}")
    assert cut.notes[0].endswith(f"; the others are held out; calibration: {others}")
    assert back.notes[0].endswith(f"recovery: {others}")


def test_a_recovery_can_read_suites_beside_its_own_data(place: Path) -> None:
    (place / "own.txt").write_text("\n\n".join(f"One more line, and it is number {n}." for n in range(200)))
    plan = place / "plan.yaml"
    text = plan.read_text().replace("window: 32}", "window: 32, sources: [own.txt]}")
    plan.write_text(text.replace("data: {suite: words.yaml}", "data: {suite: words.yaml, beside: true}"))
    outcome = run(only(load_plan(str(plan)), "back"), place / "out")
    store = DuckdbStore(place / "out" / "secateur.duckdb")
    receipts = {one.model.name: store.receipt(one.id) for one in store.runs(outcome.job)}
    recovered = Receipt.from_json(receipts["back"] or "").recovery
    assert recovered is not None
    own, lesson = recovered.data
    assert own.source == str(place / "own.txt")
    assert Path(lesson.source).parent == place / "out" / "models" / "lessons"
    assert min(own.tokens, lesson.tokens) > 100


def test_a_check_says_what_is_left_to_ask(place: Path) -> None:
    lines = inspected(load_plan(str(place / "plan.yaml")))
    learned = len(halves(suites.load(str(place / "words.yaml"))).learned)
    assert f"suite words: {40 - learned} cases" in lines
    assert any(line.startswith(f"learned from: {learned} of the 40 cases of suite words") for line in lines)
