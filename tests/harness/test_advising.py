"""A judge and embeddings in a job: asked once, kept, gone on with, read again, and left out where they cannot say."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from harness.advising.embedder import Embedder
from harness.commands import entry
from harness.history import publish
from harness.models import embedded
from harness.models.opening import LoadedModel, open_spec
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.progress import silent
from harness.records import ModelSpec
from harness.stores.duckdb_store import DuckdbStore
from harness.verdicts.outcome import Outcome
from suites.advice import Advice, Question
from tests.harness.endpoint_server import EndpointServer, Fault, Json, error, serving
from tests.harness.test_servers import llama_cpp

ROOT = Path(__file__).parents[2]
CASES = 6
SUITE = "defaultTest: {max_new_tokens: 4}\ntests:\n" + "".join(
    f"  - {{id: w{n}, vars: {{prompt: Say w{n}}}, assert: [{{type: llm-rubric, value: rule {n}}}]}}\n"
    for n in range(CASES)
)
PLAN = """\
name: judged
original: ./model
candidates: {same: {model: ./model}, other: {model: ./other}}
suites: [./words.yaml]
judge: {model: referee, endpoint: "URL", concurrency: 2}
gates: [{metric: words.losses, max: 0}]
"""


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    for number, name in enumerate(("model", "other")):
        tiny(number).model.save_pretrained(folder / name)
        tiny(number).tokenizer.save_pretrained(folder / name)
    (folder / "words.yaml").write_text(SUITE)
    return folder


@pytest.fixture
def server(tiny: Callable[[int], LoadedModel]) -> Iterator[EndpointServer]:
    with serving(EndpointServer(tiny(0), replies('{"reason": "Fine.", "pass": true, "score": 1}'))) as running:
        yield running


def replies(said: str | Callable[[str], str]) -> Callable[[str, Json, int], Fault]:
    """A judge that says this, or this of what it is asked."""

    def reply(path: str, body: Json, number: int) -> Fault:
        text = said if isinstance(said, str) else said(body["messages"][-1]["content"])
        message = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return 200, json.dumps({"choices": [message]}).encode(), {}

    return reply


def judged(place: Path, server: EndpointServer, out: Path, plan: str = PLAN) -> Outcome:
    return run(load_plan(str(plan_file(place, server, plan))), out)


def plan_file(place: Path, server: EndpointServer, plan: str) -> Path:
    file = place / f"{server.url.rpartition(':')[2].partition('/')[0]}.yaml"
    file.write_text(plan.replace("URL", server.url))
    return file


def rows(out: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(out / "secateur.duckdb"), read_only=True) as db:
        return db.execute(sql).fetchall()


def test_every_question_is_asked_once_and_kept(place: Path, server: EndpointServer, tmp_path: Path) -> None:
    outcome = judged(place, server, tmp_path)
    assert {one.candidate: one.decision for one in outcome.verdicts} == {"same": "PASS", "other": "PASS"}
    # The answers of `same` are the original's, so that only the original's and those of `other` are asked about.
    assert set(Counter(server.texts()).values()) == {1}
    assert len(server.texts()) == 2 * CASES
    (note,) = outcome.verdicts[0].notes
    assert re.match(r"words: judge referee at http://127.0.0.1:\d+/v1, 6 questions; such grading has errors", note)
    assert outcome.report
    assert "such grading has errors of its own" in outcome.report.read_text()
    assert rows(tmp_path, "SELECT count(*), count(reply) FROM advice") == [(6 + 12, 18)]
    asked = len(server.asked)
    store = DuckdbStore(tmp_path / "secateur.duckdb")
    publish(store, store.jobs()[0], tmp_path / "again.html")
    assert len(server.asked) == asked


@pytest.mark.slow
def test_a_loss_has_the_judges_reason(place: Path, server: EndpointServer, tmp_path: Path) -> None:
    said = json.dumps({"reason": "The rule is broken.", "pass": False, "score": 0})
    fine = json.dumps({"reason": "Fine.", "pass": True, "score": 1})
    judged(place, server, tmp_path / "first")
    own = {str(text) for (text,) in rows(tmp_path / "first", "SELECT asked FROM advice JOIN run_stages USING (stage)"
           " JOIN runs ON runs.id = run WHERE model = 'same'")}  # fmt: skip
    server.fault = replies(lambda text: fine if text in own else said)
    outcome = judged(place, server, tmp_path / "second")
    assert [one.decision for one in outcome.verdicts] == ["PASS", "REGRESSION"]
    found = rows(tmp_path / "second", "SELECT DISTINCT reason FROM checks WHERE NOT passed")
    assert found == [("the judge: The rule is broken. (score 0)",)]


def test_a_judge_that_cannot_be_read_leaves_the_case_out(place: Path, server: EndpointServer, tmp_path: Path) -> None:
    server.fault = replies(lambda text: "Hm." if "rule 3" in text else '{"pass": true}')
    outcome = judged(place, server, tmp_path)
    for verdict in outcome.verdicts:
        (finding,) = verdict.findings
        assert verdict.decision == "INCONCLUSIVE"
        assert "1 of 6 items are left out, more than 1 %" in finding.reason
        assert verdict.notes[0].endswith("cases left out because of it: 1")
    assert rows(tmp_path, "SELECT DISTINCT case_id FROM checks WHERE reason LIKE 'not checked%'") == [("w3",)]
    assert rows(tmp_path, "SELECT count(*) FROM grades WHERE case_id = 'w3'") == [(0,)]


@pytest.mark.slow
def test_down_in_the_middle_the_same_command_asks_for_the_rest(
    place: Path, server: EndpointServer, tmp_path: Path
) -> None:
    fine = server.fault
    server.fault = lambda path, body, number: error(404, "gone") if number >= 4 else fine(path, body, number)
    outcome = judged(place, server, tmp_path)
    assert "the same command asks for the rest" in outcome.failures["same"]
    server.fault = fine
    ended = judged(place, server, tmp_path)
    assert (ended.job, ended.exit_code) == (outcome.job, 0)
    done = [text for (text,) in rows(tmp_path, "SELECT DISTINCT asked FROM advice")]
    assert len(done) == 2 * CASES
    times = Counter(server.texts())
    assert sum(count > 1 for count in times.values()) <= 2 + 2


REPEATED = SUITE.replace("defaultTest: {", "sampling: {temperature: 1.0, seed: 3}\ndefaultTest: {repeat: {n: 2}, ")


@pytest.mark.slow
@pytest.mark.parametrize("request_number", [1, 20])
def test_killed_while_the_judge_is_asked_it_goes_on(
    place: Path, server: EndpointServer, tmp_path: Path, request_number: int
) -> None:
    def said(text: str) -> str:
        good = hashlib.sha256(text.encode()).digest()[0] > 80
        return json.dumps({"reason": "So.", "pass": good, "score": int(good)})

    (place / "words.yaml").write_text(REPEATED)
    server.fault = replies(said)
    whole = judged(place, server, tmp_path / "whole")
    server.asked.clear()
    command = [sys.executable, "-c", "from harness.commands import main; main()", "run", "-q"]
    command += [str(plan_file(place, server, PLAN)), "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)

    def fault(path: str, body: Json, number: int) -> Fault:
        if len(server.texts()) >= request_number:
            process.send_signal(signal.SIGKILL)
        return replies(said)(path, body, number)

    server.fault = fault
    assert process.wait(timeout=120) == -signal.SIGKILL
    server.fault = replies(said)
    kept = {str(text) for (text,) in rows(tmp_path / "killed", "SELECT asked FROM advice WHERE reply IS NOT NULL")}
    jobs = rows(tmp_path / "killed", "SELECT id FROM jobs")
    outcome = judged(place, server, tmp_path / "killed")
    (place / "words.yaml").write_text(SUITE)
    times = Counter(server.texts())
    assert {times[text] for text in kept} <= {1}
    assert sum(count > 1 for count in times.values()) <= request_number - len(kept) + 2
    assert jobs == [(outcome.job,)]
    assert [one.decision for one in outcome.verdicts] == [one.decision for one in whole.verdicts]
    found = [rows(tmp_path / name, "SELECT asked, reply FROM advice ORDER BY ALL") for name in ("whole", "killed")]
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_real_server_with_a_real_model_judges_from_plan_to_page(place: Path, tmp_path: Path) -> None:
    from compress.exports import make

    loaded = open_spec(ModelSpec("judge", embedded.NAME))
    make("gguf").write(loaded.model, loaded.tokenizer, tmp_path / "m.gguf", None)
    words = 'rubricPrompt: \'Is "{{ output | length }}" a number? Reply with this JSON: {"pass": true}\''
    judged_case, rest = SUITE.partition("  - {id: w1")[0], "  - {id: w1, vars: {prompt: Say w1}}\n"
    (place / "one.yaml").write_text(judged_case.replace("value: rule 0", words) + rest)
    plan = PLAN.replace("referee", "any").replace("./words.yaml", "./one.yaml").replace("words.losses", "one.losses")
    (place / "real.yaml").write_text(plan.replace(", other: {model: ./other}", ""))
    with llama_cpp(tmp_path / "m.gguf") as endpoint:
        (place / "real.yaml").write_text((place / "real.yaml").read_text().replace("URL", endpoint.url))
        outcome = run(load_plan(str(place / "real.yaml")), tmp_path)
    ((asked, reply),) = rows(tmp_path, "SELECT DISTINCT asked, reply FROM advice")
    assert re.match(r'Is "\d+" a number\? Reply with', str(asked))
    assert reply
    # So small a judge hardly ever says what it is asked for; then its case is left out, and the page says so.
    assert outcome.exit_code in (0, 2)
    assert outcome.report
    assert f"judge any at {endpoint.url}, 1 questions" in outcome.report.read_text()


def test_a_tiny_model_here_is_no_judge_and_says_so(place: Path, server: EndpointServer, tmp_path: Path) -> None:
    plan = PLAN.replace('{model: referee, endpoint: "URL", concurrency: 2}', "./model")
    outcome = judged(place, server, tmp_path, plan)
    assert outcome.exit_code == 3
    assert not server.asked
    assert (
        "words: judge: none of 6 questions has a reply: the judge: the prompt is too long" in outcome.failures["same"]
    )


def test_one_model_alone_is_judged_with_all_reasons(
    place: Path, server: EndpointServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, model = str(place / "words.yaml"), str(place / "model")
    asked = ["suite", "run", suite, "--model", model, "--out", str(tmp_path), "-q", "--first", "2"]
    assert entry(asked) == 3
    assert "llm-rubric cannot be checked here: it needs a judge" in capsys.readouterr().err
    server.fault = replies(lambda text: "Hm." if "rule 1" in text else '{"pass": true, "reason": "Fine."}')
    assert entry([*asked, "--judge", "referee", "--judge-endpoint", server.url]) == 0
    said = capsys.readouterr().out
    assert "  PASS w0: the judge: Fine. (score 1)\n" in said
    assert "  ???? w1: not checked: the judge's reply cannot be read: 'Hm.'\n" in said
    assert "passed 1 of 1 (100.0 %), mean score 1.000\nleft out: 1 cases" in said
    assert entry([*asked, "--judge", "referee", "--judge-endpoint", "ftp://x"]) == 3
    assert "--judge: not an address" in capsys.readouterr().err
    assert entry(["suite", "check", suite]) == 0
    assert "judge: it needs a judge; the plan names one" in capsys.readouterr().out


def test_a_plan_with_looks_asks_no_judge(place: Path, server: EndpointServer, tmp_path: Path) -> None:
    from harness.errors import HarnessError

    with pytest.raises(HarnessError, match="words: judges, embeddings and kl-max come last, not in looks"):
        judged(place, server, tmp_path, PLAN + "sequential: true\n")


@pytest.fixture
def embedder(place: Path) -> Embedder:
    return Embedder(ModelSpec("embeddings", str(place / "model")), silent)


def test_an_embedding_is_the_mean_of_the_last_hidden_states(
    embedder: Embedder, tiny: Callable[[int], LoadedModel]
) -> None:
    found: dict[Question, Advice] = {}
    texts = ["a", "a longer text", "", "a" * 2000]
    embedder.ask([Question("embeddings", text) for text in texts], found.update, silent)
    vectors = [json.loads(found[Question("embeddings", text)].reply or "") for text in texts]
    for text, vector in zip(texts[:2], vectors, strict=False):
        ids = tiny(0).tokenizer(text, return_tensors="pt")["input_ids"]
        states = tiny(0).model.model(ids).last_hidden_state[0]
        assert vector == pytest.approx(states.mean(0).tolist(), abs=1e-5)
    assert set(vectors[2]) == {0.0}
    assert len(vectors[3]) == 32


@pytest.mark.slow
def test_meaning_is_compared_in_a_job(place: Path, server: EndpointServer, tmp_path: Path) -> None:
    near = "{type: similar-to-original, value: embedding, threshold: 0.999}"
    (place / "near.yaml").write_text(SUITE.replace("{type: llm-rubric", near + ", {type: similar, threshold: -1"))
    plan = PLAN.replace('judge: {model: referee, endpoint: "URL", concurrency: 2}', "embeddings: ./model")
    outcome = judged(place, server, tmp_path, plan.replace("words", "near"))
    assert [one.decision for one in outcome.verdicts] == ["PASS", "REGRESSION"]
    assert rows(tmp_path, "SELECT DISTINCT kind FROM advice") == [("embeddings",)]
