"""Plans whose models are served: the main job over real HTTP on loopback, interrupted and gone on with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from harness.endpoints import EndpointError
from harness.errors import HarnessError
from harness.inspection import inspected
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.verdicts.outcome import Outcome
from tests.harness.endpoint_server import KEY, EndpointServer, Fault, Json, error, serving, slowly

ROOT = Path(__file__).parents[2]
CASES = 8
SUITE = 'prompts: ["Say {{word}}"]\ntests:\n'
CASE = "  - {{vars: {{word: w{n}}}, max_new_tokens: 4, assert: [{{type: regex, value: '.*'}}]}}\n"
PLAN = """\
name: served
original: ./model
candidates:
  served: {endpoint: "URL", model: tiny, concurrency: 4}
suites: [./words.yaml]
gates: [{metric: words.pass_rate, margin: 0.5}]
"""
BENCHMARKS = """\
benchmarks: [{task: secateur_everyday, limit: 5}, {task: short_answers, limit: 2, include_path: ./data}]
data_root: ./data
"""
TASK = """\
task: short_answers
dataset_path: some/questions
dataset_name: main
output_type: generate_until
test_split: test
doc_to_text: "Question: {{question}} Answer:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["#"], max_gen_toks: 8}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, a suite and the data of a benchmark."""
    folder = tmp_path_factory.mktemp("place")
    tiny(0).model.save_pretrained(folder / "model")
    tiny(0).tokenizer.save_pretrained(folder / "model")
    (folder / "words.yaml").write_text(SUITE + "".join(CASE.format(n=n) for n in range(CASES)))
    (folder / "data").mkdir()
    (folder / "data" / "short_answers.yaml").write_text(TASK)
    documents = [{"question": f"How many {word}s?", "answer": word} for word in ("stone", "river", "cloud")]
    (folder / "data" / "documents.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    index = {"aliases": {}, "datasets": {"some/questions": {"main": {"test": "documents.jsonl"}}}}
    (folder / "data" / "index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def server(tiny: Callable[[int], LoadedModel]) -> Iterator[EndpointServer]:
    with serving(EndpointServer(tiny(0))) as running:
        yield running


def written(place: Path, server: EndpointServer, text: str = PLAN) -> str:
    path = place / f"{server.url.rpartition(':')[2].partition('/')[0]}.yaml"
    path.write_text(text.replace("URL", server.url))
    return str(path)


def rows(out: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(out / "secateur.duckdb"), read_only=True) as db:
        return db.execute(sql).fetchall()


def judged(outcome: Outcome) -> dict[str, str]:
    return {verdict.candidate: verdict.decision for verdict in outcome.verdicts}


def test_a_served_model_is_judged_as_the_same_model_in_process(
    place: Path, server: EndpointServer, tmp_path: Path
) -> None:
    outcome = run(load_plan(written(place, server, PLAN + BENCHMARKS)), tmp_path)
    assert (judged(outcome), outcome.exit_code) == ({"served": "PASS"}, 0)
    answers = "SELECT {} FROM answers JOIN stages ON stage = stages.id WHERE kind = 'suite'"
    assert rows(tmp_path, answers.format("count(DISTINCT (case_id, text, finish, prompt_tokens, new_tokens))")) == [
        (CASES,)
    ]
    assert rows(tmp_path, answers.format("count(*), min(seconds) > 0")) == [(2 * CASES, True)]
    both = "SELECT metric, id, count(*), count(DISTINCT value), count(DISTINCT hash) FROM items GROUP BY ALL"
    found = rows(tmp_path, both)
    assert {row[0] for row in found} >= {"secateur_everyday.acc", "short_answers.exact_match"}
    assert {row[2:] for row in found} == {(2, 1, 1)}
    assert set(Counter(server.texts()).values()) == {1}
    assert outcome.report
    assert "tiny at http://127.0.0.1" in outcome.report.read_text()


def test_down_in_the_middle_the_same_command_goes_on_and_asks_nothing_twice(
    place: Path, server: EndpointServer, tmp_path: Path
) -> None:
    plan = load_plan(written(place, server, PLAN + BENCHMARKS))
    # Three small requests, the suite and the first benchmark are through, and one text of the second is written.
    stop = 3 + CASES + 4 * 5 + 1
    server.fault = lambda path, body, number: error(404, "gone") if number >= stop else None
    outcome = run(plan, tmp_path)
    assert "model tiny: status 404: gone; the same command asks for the rest" in outcome.failures["served"]
    assert outcome.exit_code == 3
    server.fault = lambda path, body, number: None
    ended = run(plan, tmp_path)
    assert (ended.job, judged(ended)) == (outcome.job, {"served": "PASS"})
    asked_twice = {text: times for text, times in Counter(server.texts()).items() if times > 1}
    assert list(asked_twice.values()) == [2]
    assert "How many" in next(iter(asked_twice))
    assert rows(tmp_path, "SELECT count(*), count(exit_code) FROM jobs") == [(1, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_killed_in_the_middle_it_goes_on_and_asks_nothing_twice(
    place: Path, server: EndpointServer, tmp_path: Path, seconds: float
) -> None:
    server.fault = slowly(0.1)
    plan = written(place, server, PLAN.replace("./model", "{endpoint: 'URL', model: other, concurrency: 2}"))
    command = [sys.executable, "-c", "from harness.commands import main; main()", "run", plan, "--out", str(tmp_path)]
    process = subprocess.Popen([*command, "--quiet"], cwd=ROOT, stdout=subprocess.DEVNULL)
    while len(server.texts()) < 2:
        time.sleep(0.02)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.3)
    sent, kept = Counter(map(asked_of, server.asked)), rows(tmp_path, "SELECT count(*) FROM answers")[0][0]
    assert judged(run(load_plan(plan), tmp_path)) == {"served": "PASS"}
    twice = sum((Counter(map(asked_of, server.asked)) - sent).values()) + kept - 2 * CASES
    # What was kept is never asked again; only the first small request to each model is.
    assert twice == 2
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT (stage, case_id)) FROM answers") == [(2 * CASES, 2 * CASES)]


def asked_of(body: Json) -> tuple[str, str]:
    return body["model"], body["messages"][-1]["content"]


def test_an_endpoint_against_itself_is_asked_twice_and_again_unless_it_has_a_revision(
    place: Path, server: EndpointServer, tmp_path: Path
) -> None:
    """What differs between its two sides is the server's own noise."""
    text = PLAN.replace("model: tiny", "model: tiny, revision: '2026-11-28'")
    plan = load_plan(written(place, server, text.replace("./model", "{endpoint: 'URL', model: tiny}")))
    run(plan, tmp_path)
    assert set(Counter(server.texts()).values()) == {2}
    run(plan, tmp_path)
    assert set(Counter(server.texts()).values()) == {3}


def test_what_is_not_served_is_refused_before_any_work(place: Path, server: EndpointServer, tmp_path: Path) -> None:
    plan = load_plan(written(place, server, PLAN + BENCHMARKS))
    server.scores = False
    with pytest.raises(HarnessError, match="model tiny: does not serve log-likelihoods"):
        run(plan, tmp_path)
    server.fault = lambda path, body, number: error(404, "no model tiny")
    with pytest.raises(EndpointError, match="status 404: no model tiny"):
        run(plan, tmp_path)
    assert rows(tmp_path, "SELECT count(*) FROM answers") == [(0,)]
    assert len(set(server.texts())) <= 1


def test_a_case_that_is_refused_counts_as_failed_and_the_key_is_nowhere_in_the_results(
    place: Path, server: EndpointServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, body: Json, number: int) -> Fault | None:
        return error(400, f"{KEY} may not") if body["messages"][-1]["content"] == "Say w7" else None

    server.key, server.fault = KEY, refuse
    plan = load_plan(written(place, server, PLAN.replace("model: tiny", "model: tiny, api_key_env: LOOPBACK_KEY")))
    monkeypatch.delenv("LOOPBACK_KEY", raising=False)
    with pytest.raises(HarnessError, match=r"served: api_key_env: the environment variable LOOPBACK_KEY is not set"):
        run(plan, tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    outcome = run(plan, tmp_path)
    assert outcome.report
    assert "1 items not answered by the candidate, counted as failed" in outcome.report.read_text()
    assert rows(tmp_path, "SELECT error FROM answers WHERE text IS NULL") == [("status 400: [key] may not",)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_check_asks_no_endpoint(place: Path, server: EndpointServer) -> None:
    text = PLAN.replace("./model", "{endpoint: 'URL', model: tiny}")
    assert "plan served: tiny against served" in inspected(load_plan(written(place, server, text)))
    assert not server.asked


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("metric: words", "metric: size", "metrics.size: needs weights, and served is an endpoint"),
        ("suites:", "fidelity: {tokens: 500}\nsuites:", "fidelity: needs weights, and served is an endpoint"),
        ("original: ./model", "original: {endpoint: 'URL', model: m}", "a recipe needs the original's weights"),
        ("suites:", "benchmarks: [{task: secateur_everyday, apply_chat_template: true}]\nsuites:", "template is not"),
    ],
)
def test_what_needs_weights_is_refused_at_load(
    place: Path, server: EndpointServer, tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = PLAN.replace(old, new)
    if "metric: size" in new:
        text = text.replace("size.pass_rate, margin", "size.bytes, max").replace("suites:", "metrics: [size]\nsuites:")
    if "original" in new:
        text = text.replace("candidates:", "candidates:\n  made: {recipe: cfsp-20}")
    with pytest.raises(HarnessError, match=said):
        run(load_plan(written(place, server, text)), tmp_path)
    assert not server.asked
    assert not list(tmp_path.iterdir())
