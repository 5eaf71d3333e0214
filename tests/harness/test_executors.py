"""Questions asked elsewhere: the same answers and verdict as asked here, whatever is lost on the way."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import psutil
import pytest

from compress import CompressError
from harness.commands import entry
from harness.errors import HarnessError
from harness.executors import make
from harness.executors.errands import Ask, Compare, Errand, Make, Measure, Refer, Score, Task
from harness.executors.ray import _Run
from harness.models import subject
from harness.models.opening import LoadedModel, open_spec
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.progress import Progress, silent
from harness.records import ModelSpec
from harness.verdicts.outcome import Outcome
from tests.harness.endpoint_server import EndpointServer, Fault, Json, serving

ROOT = Path(__file__).parents[2]
CASES, QUESTIONS = 40, 70
PLAN = """\
name: spread
original: ./model
candidates:
  cut: {recipe: {method: cfsp, sparsity: 0.4, options: {round_to: 1}, calibration: {windows: 4, tokens: 64}}}
  other: {model: ./other}
  itself: {model: ./model}
  damaged: {model: ./damaged}
  impossible: {recipe: {method: magnitude, sparsity: 0.97, options: {round_to: 1}}}
suites: [./words.yaml]
benchmarks: [{task: sums, include_path: ./tasks}]
fidelity: {corpus: {long: text.jsonl, short: few.txt}, window: 24, tokens: 200}
gates:
  - {metric: fidelity.kl, max: 9}
  - {metric: words.pass_rate, margin: 0.1}
  - {metric: sums.acc, margin: 0.1}
"""
TASK = """\
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{metric: acc}]
"""


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, a suite, a benchmark and a plan."""
    folder = tmp_path_factory.mktemp("spread")
    for name, seed in (("model", 0), ("other", 1)):
        tiny(seed).model.save_pretrained(folder / name)
        tiny(seed).tokenizer.save_pretrained(folder / name)
    cases = [
        f"  - {{vars: {{word: w{n}}}, max_new_tokens: 4, assert: [{{type: regex, value: '[a-m]'}}]}}"
        for n in range(CASES)
    ]
    (folder / "words.yaml").write_text("\n".join(["prompts: ['Say {{word}}']", "tests:", *cases]))
    draw = random.Random(0)
    rows = [
        {"question": f"{draw.randrange(99)} and", "choices": [str(draw.randrange(9)), "x"], "answer": n % 2}
        for n in range(QUESTIONS)
    ]
    (folder / "tasks").mkdir()
    (folder / "tasks" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "tasks" / "sums.yaml").write_text(TASK.replace("FILE", str(folder / "tasks" / "rows.jsonl")))
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": f"{n} of {n * n}"}) + "\n" for n in range(60)))
    (folder / "few.txt").write_text("A line.\n\nAnother one.")
    (folder / "plan.yaml").write_text(PLAN)
    shutil.copytree(folder / "other", folder / "damaged")
    os.truncate(folder / "damaged" / "model.safetensors", 9999)
    return folder


def same(one: Path, other: Path) -> bool:
    """Whether every verdict is the same, and every model said the same of every case and document.

    Scores are equal to the bound within which batches differ.
    """
    exact, scores = zip(said(one), said(other), strict=True)
    return exact[0] == exact[1] and np.allclose(scores[0], scores[1], atol=1e-3)


def said(out: Path) -> tuple[list[tuple[Any, ...]], list[float]]:
    of_stage = "JOIN stages s ON s.id = x.stage ORDER BY ALL"
    with duckdb.connect(str(out / "secateur.duckdb"), read_only=True) as db:
        answers = db.execute(f"SELECT s.fingerprint, x.case_id, x.text, x.finish FROM answers x {of_stage}").fetchall()
        items = db.execute(
            f"SELECT s.fingerprint, x.metric, x.position, x.hash, x.value, x.choices FROM items x {of_stage}"
        ).fetchall()
        figures = db.execute(f"SELECT s.fingerprint, x.metric, x.value FROM measurements x {of_stage}").fetchall()
        spread = db.execute(
            "SELECT fingerprint, divergence->>'label', divergence->>'counts' FROM stages WHERE divergence IS NOT NULL "
            "ORDER BY ALL"
        ).fetchall()
        verdicts = db.execute("SELECT candidate, decision, reason FROM verdicts ORDER BY ALL").fetchall()
    exact = [*verdicts, *answers, *spread, *(item[:-1] for item in items), *(figure[:-1] for figure in figures)]
    return exact, [*(figure[-1] for figure in figures), *(score for item in items for score in item[-1] or ())]


Judged = tuple[dict[str, str], dict[str, str]]
Here = tuple[Path, Judged]
"""Where results are, and what came of them."""


def judged(outcome: Outcome) -> Judged:
    """The decision on each candidate, and why others have none."""
    return {one.candidate: one.decision for one in outcome.verdicts}, outcome.failures


class Elsewhere:
    """Does errands in any order, in this process, and loses some for good."""

    def __init__(self, lost: float) -> None:
        self.draw, self.lost = random.Random(0), lost
        self.open: dict[str, LoadedModel] = {}
        self.tasks: list[Task] = []
        """Those that were done."""

    def run(self, errands: Sequence[Errand], progress: Progress) -> None:
        waiting = list(errands)
        while waiting:
            errand = waiting.pop(self.draw.randrange(len(waiting)))
            if self.draw.random() >= self.lost:
                with suppress(HarnessError, CompressError):
                    if errand.fingerprint not in self.open:
                        self.open[errand.fingerprint] = open_spec(errand.spec, silent)
                    result = errand.task.done(replace(self.open[errand.fingerprint], spec=errand.spec))
                    waiting += errand.keep(result)
                    self.tasks.append(errand.task)


@pytest.fixture(scope="module")
def here(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Here:
    """A run without an executor."""
    out = tmp_path_factory.mktemp("here")
    return out, judged(run(load_plan(str(place / "plan.yaml")), out))


@pytest.mark.parametrize("lost", [pytest.param(0.0, marks=pytest.mark.slow), 0.4])
def test_what_is_asked_elsewhere_is_the_same_and_what_is_lost_is_asked_here(
    place: Path, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: float
) -> None:
    executor, opened = Elsewhere(lost), list[str]()

    def counted(spec: ModelSpec, progress: Progress) -> LoadedModel:
        opened.append(spec.name)
        return open_spec(spec, progress)

    monkeypatch.setattr(subject, "open_spec", counted)
    outcome = run(load_plan(str(place / "plan.yaml")), tmp_path, executor=executor)
    assert judged(outcome) == here[1]
    assert same(tmp_path, here[0])
    assert executor.tasks
    # Here a model is opened only for what was lost, or could not be done there: the latter is told here.
    assert (set(opened) == {"original", "damaged"}) == (lost == 0.0)


def graded(path: str, body: Json, number: int) -> Fault:
    """What a judge says of every answer."""
    message = {"role": "assistant", "content": '{"pass": true, "score": 1, "reason": "Fine."}'}
    return 200, json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode(), {}


@pytest.mark.parametrize("there", ["in this process", pytest.param("on a cluster", marks=pytest.mark.slow)])
def test_drawn_and_repeated_answers_that_a_judge_grades_are_the_same(
    place: Path, tiny: Callable[[int], LoadedModel], tmp_path: Path, there: str, request: pytest.FixtureRequest
) -> None:
    nodes = request.getfixturevalue("cluster") if there == "on a cluster" else None
    elsewhere = make("ray", nodes.address) if nodes else Elsewhere(0.3)
    (place / "judged.yaml").write_text(
        "prompts: ['Say {{word}}']\n"
        "tests: [{vars: {word: [a, b, c]}, max_new_tokens: 4, assert: [{type: llm-rubric, value: short}]}]\n"
    )
    with serving(EndpointServer(tiny(0), graded)) as judge:
        (place / "judged-plan.yaml").write_text(
            "name: judged\noriginal: ./model\ncandidates: {other: {model: ./other}}\nsuites: [./judged.yaml]\n"
            "sampling: {temperature: 1.0, seed: 3}\nrepeat: {n: 2}\n"
            f"judge: {{model: referee, endpoint: '{judge.url}'}}\n"
            "gates: [{metric: judged.pass_rate, margin: 0.1}]\n"
        )
        plan, asked = load_plan(str(place / "judged-plan.yaml")), []
        for out, executor in ((tmp_path / "here", None), (tmp_path / "there", elsewhere)):
            run(plan, out, executor=executor)
            with duckdb.connect(str(out / "secateur.duckdb"), read_only=True) as db:
                asked.append(db.execute("SELECT asked FROM advice ORDER BY ALL").fetchall())
    assert asked[0] == asked[1]
    assert len(asked[0]) == 2 * 3 * 2
    assert same(tmp_path / "here", tmp_path / "there")


def test_sequential_looks_and_unknown_executors_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(place / "plan.yaml"), "--out", str(place / "no"), "-q"]
    assert entry([*words, "--executor", "ray", "--sequential"]) == 3
    assert "--sequential asks no more than needed, one look after the other; leave --executor out" in (
        capsys.readouterr().err
    )
    assert entry([*words, "--address", "localhost:1"]) == 3
    assert "--address is where --executor ray finds its cluster" in capsys.readouterr().err


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes of one core each."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's spelling; else whatever runs beside comes first
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield made
    finally:
        made.shutdown()


def kill_node(node: Any) -> None:
    os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)


def kill_worker(node: Any) -> None:
    """One actor's process there."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    os.kill(next(one.pid for one in raylet.children() if one.cmdline()[0].startswith("ray::Worker")), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [kill_node, kill_worker])
def test_a_node_or_a_worker_is_killed_and_nothing_is_lost(
    kill: Callable[[Any], None],
    cluster: Any,
    place: Path,
    here: Here,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGKILL after the second result; the other node and, if need be, this process go on."""
    node = cluster.add_node(num_cpus=1)
    kept, keep = [], _Run._kept

    def counted(self: _Run, errand: Errand, result: Any) -> None:
        keep(self, errand, result)
        kept.append(errand.task)
        if len(kept) == 2:
            kill(node)

    monkeypatch.setattr(_Run, "_kept", counted)
    outcome = run(load_plan(str(place / "plan.yaml")), tmp_path, executor=make("ray", cluster.address))
    assert {type(task) for task in kept} == {Make, Refer, Compare, Ask, Score, Measure}
    assert judged(outcome) == here[1]
    assert same(tmp_path, here[0])


@pytest.mark.slow
def test_a_worker_is_killed_while_it_makes_a_candidate_which_another_one_makes_again(
    cluster: Any, place: Path, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    killed, made = [], []
    hand_out, keep = _Run._hand_out, _Run._kept

    def killing(self: _Run) -> None:
        hand_out(self)
        for actor, errand in [] if killed else self.crew.at_work.values():
            if isinstance(errand.task, Make):
                while not list(tmp_path.glob("models/.cut-*.lock")):
                    time.sleep(0.01)
                ray.kill(actor)
                killed.append(errand.task)

    def counted(self: _Run, errand: Errand, result: Any) -> None:
        keep(self, errand, result)
        made.extend([errand.task] if isinstance(errand.task, Make) else ())

    monkeypatch.setattr(_Run, "_hand_out", killing)
    monkeypatch.setattr(_Run, "_kept", counted)
    outcome = run(load_plan(str(place / "plan.yaml")), tmp_path, executor=make("ray", cluster.address))
    assert killed == made
    assert judged(outcome) == here[1]
    assert same(tmp_path, here[0])


def answered(out: Path) -> set[tuple[Any, ...]]:
    """Answers with their times, which tell one from another to the same case; none while the store is in use."""
    try:
        with duckdb.connect(str(out / "secateur.duckdb"), read_only=True) as db:
            return set(db.execute("SELECT stage, case_id, text, seconds FROM answers").fetchall())
    except duckdb.Error:
        return set()


@pytest.mark.slow
def test_the_process_that_was_started_is_killed_and_the_same_command_goes_on(
    place: Path, here: Here, tmp_path: Path
) -> None:
    """SIGKILL of the driver once there are answers: none of them is asked again, and its cluster goes with it."""
    words = ["run", str(place / "plan.yaml"), "--out", str(tmp_path), "-q", "--executor", "ray"]
    code = "import sys; from harness.commands import entry; sys.exit(entry(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *words]
    env = {**os.environ, "RAY_worker_niceness": "0"}
    driver = subprocess.Popen(command, cwd=ROOT, env=env)
    deadline = time.monotonic() + 300
    while not (before := answered(tmp_path)):
        assert driver.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    others = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    assert psutil.wait_procs(others, timeout=180)[1] == []
    before = answered(tmp_path)
    assert len(before) < 3 * CASES
    assert subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 3, "one candidate is damaged"
    assert before <= answered(tmp_path)
    assert same(tmp_path, here[0])
    with duckdb.connect(str(tmp_path / "secateur.duckdb"), read_only=True) as db:
        assert db.execute("SELECT count(*), count(finished) FROM jobs").fetchall() == [(1, 1)]
