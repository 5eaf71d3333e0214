"""`engine: vllm` beside a stand-in for vLLM's server, and, where SECATEUR_VLLM names one, beside vLLM itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.answering.generation import Prompt, answers
from harness.endpoints import Continuation, hosted, scored, served_answers
from harness.endpoints.vllm import version
from harness.errors import HarnessError
from harness.history import STORE
from harness.inspection import inspected
from harness.models import embedded
from harness.models.opening import LoadedModel, open_spec
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.progress import silent
from harness.records import Answer, ModelSpec
from harness.scoring import Request, loglikelihoods
from harness.stores.duckdb_store import DuckdbStore

ROOT = Path(__file__).parents[2]
STAND_IN = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
with open(os.environ["STARTED"], "a") as file:
    print(os.getpid(), file=file)
if "broken" in given["--model"]:
    sys.exit("ValueError: no such architecture")
class Handler(BaseHTTPRequestHandler):
    def say(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.say(b"")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"message": {"content": "said by " + given["--dtype"]}, "finish_reason": "stop"}
        self.say(json.dumps({"choices": [choice]}).encode())
    def log_message(self, *ignored):
        pass
ThreadingHTTPServer((given["--host"], int(given["--port"])), Handler).serve_forever()
"""
PLAN = """\
name: engines
original: ./model
candidates:
  served: {model: ./model, engine: vllm}
suites: [./words.yaml]
gates: [{metric: words.pass_rate, margin: 0.5}]
"""
SUITE = """\
prompts: ["Say {{word}}"]
tests: [{vars: {word: [a, b, c]}, assert: [{type: contains, value: said by float32}]}]
"""


@pytest.fixture
def place(tiny: Callable[[int], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tiny model, a suite, a plan, and a stand-in for vLLM that Python finds."""
    package = tmp_path / "packages" / "vllm"
    (package / "entrypoints" / "openai").mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '9.9'\n")
    (package / "entrypoints" / "openai" / "api_server.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=os.pathsep)
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    monkeypatch.setenv("SECATEUR_VLLM", sys.executable)
    monkeypatch.delenv("SECATEUR_VLLM_ARGS", raising=False)
    version.cache_clear()
    tiny(0).model.save_pretrained(tmp_path / "model")
    tiny(0).tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "words.yaml").write_text(SUITE)
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path


def started(place: Path) -> list[int]:
    path = place / "started"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def test_the_engine_answers_once_and_is_gone(place: Path) -> None:
    """The same weights by both engines are kept apart; a second run asks nobody, so that no server starts."""
    for _ in range(2):
        outcome = run(load_plan(str(place / "plan.yaml")), place / "out")
    (process,) = started(place)
    assert not alive(process)
    store = DuckdbStore(place / "out" / STORE)
    (row,) = store.verdicts(outcome.job)
    after, before = store.run(row.after_run), store.run(row.before_run)
    assert {answer.text for answer in after.answers["words"]} == {"said by float32"}
    assert "said by float32" not in {answer.text for answer in before.answers["words"]}
    assert "vLLM 9.9" in after.facts.values()


def test_a_server_that_cannot_start_says_why(place: Path) -> None:
    (place / "model").rename(place / "broken")
    with pytest.raises(HarnessError, match=r"broken is not served: ValueError: no such architecture \(all it said: "):
        hosted(ModelSpec("served", str(place / "broken"), engine="vllm"), place / "broken", silent)


def test_no_server_outlives_a_killed_run(place: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from harness.endpoints import hosted\n"
        "from harness.records import ModelSpec; from harness.progress import silent\n"
        "kept = hosted(ModelSpec('a', sys.argv[1], engine='vllm'), Path(sys.argv[1]), silent)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    command = [sys.executable, "-c", code, str(place / "model")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "up\n"
        killed.send_signal(signal.SIGKILL)
    (process,) = started(place)
    deadline = time.monotonic() + 30
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(process)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "{model: ./model,",
            "{recipe: cfsp-20,",
            "served: engine vllm: the sizes of its layers are not those of a stock",
        ),
        ("{model: ./model,", "{model: ./model, adapter: ./model,", "takes no 'adapter'"),
        ("{model: ./model,", "{model: ./own,", "own: engine vllm: the sizes of its layers"),
        ("gates:", "sequential: true\ngates:", "--sequential would start its server at every look"),
        (
            "gates:",
            "benchmarks: [{task: arc_easy, apply_chat_template: true}]\ngates:",
            "served is served, and its template is not",
        ),
        ("vllm}", "vllm, endpoint: 'http://localhost:1/v1'}", "'engine': not with 'endpoint'"),
    ],
)
def test_what_it_cannot_do_is_said_before(place: Path, old: str, new: str, said: str) -> None:
    (place / "own").mkdir()
    for file in (place / "model").iterdir():
        (place / "own" / file.name).write_bytes(file.read_bytes())
    config = json.loads((place / "own" / "config.json").read_text())
    (place / "own" / "config.json").write_text(json.dumps({**config, "auto_map": {}}))
    (place / "plan.yaml").write_text(PLAN.replace(old, new))
    with pytest.raises(HarnessError, match=said.replace("(", r"\(")):
        inspected(load_plan(str(place / "plan.yaml")))


def test_without_vllm_it_says_how_to_get_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(HarnessError, match="has no vLLM; install vLLM, best in an environment of its own"):
        run(load_plan(str(place / "plan.yaml")), place / "out")


@pytest.mark.slow
@pytest.mark.skipif("SECATEUR_VLLM" not in os.environ, reason="SECATEUR_VLLM does not name an interpreter with vLLM")
def test_vllm_itself_says_what_the_weights_say() -> None:
    """Four answers are the same text; log-likelihoods are within 1e-3."""
    spec = ModelSpec("served", embedded.NAME, engine="vllm")
    loaded, connection = open_spec(spec), hosted(spec, embedded.bring(), silent)
    try:
        words = ["What is the capital of France?", "What is 12 + 30?", "Name three fruits.", "Write a line about rain."]
        prompts = [Prompt(text, [{"role": "user", "content": text}], 24) for text in words]
        here: list[Answer] = []
        there: list[Answer] = []
        answers(loaded, prompts, here.extend)
        served_answers(connection, prompts, there.extend)
        assert {one.case: one.text for one in there} == {one.case: one.text for one in here}
        theirs = scored(connection, Continuation("The capital of France is", " Paris"))
    finally:
        connection.close()
    ids = [
        loaded.tokenizer(text)["input_ids"] for text in ("The capital of France is", "The capital of France is Paris")
    ]
    (ours,) = loglikelihoods(loaded.model, [Request(tuple(ids[0]), tuple(ids[1][len(ids[0]) :]))])
    assert theirs == (pytest.approx(ours.logprob, abs=1e-3), ours.greedy)
