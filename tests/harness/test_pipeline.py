"""The main job on tiny models: real pruning, real DuckDB, a real page."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from harness.commands import entry
from harness.errors import HarnessError
from harness.history import compared, found, judged_again, opened
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan, only
from harness.schedules import Turn
from harness.showing import outputs
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.schedules import ScheduleTable
from harness.verdicts.outcome import Outcome
from tests.harness.contract_server import KEY, ContractServer, serving

ROOT = Path(__file__).parents[2]
CASES = 40
SUITE = """\
description: tiny
prompts: ["Say {{word}}"]
tests:
{cases}
"""
CASE = (
    "  - {{vars: {{word: w{n}}}, metadata: {{tags: [{tag}]}}, max_new_tokens: 4,"
    " assert: [{{type: regex, value: '.*'}}, {{type: ruby, value: 'true'}},"
    " {{type: first-divergence, threshold: 0}}, {{type: perplexity, threshold: 1000000}}]}}"
)
PLAN = """\
name: tiny
original: ./model
candidates:
  same: {model: ./model}
  cut: {recipe: {method: magnitude, sparsity: 0.4, options: {round_to: 1}}}
suites: [./words.yaml]
skip_unsupported: true
fidelity: {corpus: text.jsonl, window: 32, tokens: 4000}
metrics: [size]
gates:
  - {metric: words.pass_rate, margin: 0.1}
  - {metric: fidelity.perplexity_ratio, max: 1.05}
  - {metric: words.losses, where: {tag: even}, max: 0}
  - {metric: size.bytes, max_ratio: 0.9, severity: warn}
"""


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, a suite, a corpus and a plan."""
    folder = tmp_path_factory.mktemp("place")
    tiny(0).model.save_pretrained(folder / "model")
    tiny(0).tokenizer.save_pretrained(folder / "model")
    cases = [CASE.format(n=n, tag="even" if n % 2 == 0 else "odd") for n in range(CASES)]
    (folder / "words.yaml").write_text(SUITE.replace("{cases}", "\n".join(cases)))
    words = random.Random(0)
    rows = [{"text": " ".join(str(words.randrange(999)) for _ in range(12))} for _ in range(70)]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "plan.yaml").write_text(PLAN)
    return folder


def rows(out: Path, table: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(out / "secateur.duckdb"), read_only=True) as db:
        return db.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()


@pytest.fixture(scope="module")
def done(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A results folder with one finished job."""
    out = tmp_path_factory.mktemp("out")
    return out, run(load_plan(str(place / "plan.yaml")), out)


def test_a_job_from_plan_to_page(done: tuple[Path, Outcome]) -> None:
    out, outcome = done
    same, cut = outcome.verdicts
    assert (same.candidate, same.decision) == ("same", "PASS")
    assert (cut.candidate, cut.decision) == ("cut", "REGRESSION")
    assert outcome.exit_code == 1
    assert outcome.report
    page = outcome.report.read_text()
    assert "REGRESSION" in page
    assert "fidelity.perplexity_ratio" in page
    # The original answered once for both candidates, and the copy of it not at all: same weights, same answers.
    assert len(rows(out, "answers")) == 2 * CASES


def test_a_candidate_is_held_against_what_was_blessed(
    place: Path, done: tuple[Path, Outcome], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked again; blessing another result later does not change what this job was held against."""
    out = tmp_path / "out"
    shutil.copytree(done[0], out)
    gates = "gates:\n  - {metric: size.bytes, max_ratio: 1.1, against: baseline:prod}\n"
    lines = [line for line in PLAN.splitlines(True) if "fidelity" not in line and "cut:" not in line]
    text = "".join(lines).replace("gates:\n", gates) + "against: [original, baseline:prod]\n"
    (place / "against.yaml").write_text(text.replace("name: tiny", "name: later"))
    assert entry(["run", str(place / "against.yaml"), "--out", str(out), "-q"]) == 3
    assert "no such baseline" in capsys.readouterr().err
    bless = ["baseline", "bless", done[1].job, "--name", "prod", "--out", str(out)]
    assert entry([*bless, "--candidate", "cut"]) == 0
    outcome = run(load_plan(str(place / "against.yaml")), out)
    assert [one.decision for one in outcome.verdicts[0].findings] == ["REGRESSION", "PASS", "PASS", "REGRESSION"]
    assert outcome.report is not None
    held = outcome.report.read_text()
    assert "Against baseline:prod" in held
    assert entry([*bless, "--candidate", "same"]) == 0
    assert entry(["report", outcome.job, "--out", str(out)]) == 0
    assert outcome.report.read_text() == held


def test_what_to_try_next_rests_on_what_was_judged(
    done: tuple[Path, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(["suggest", "--out", str(done[0])]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "tiny: magnitude 0.4 does not pass (REGRESSION), and nothing smaller was tried: try 0.2; rests"
    )


def test_fidelity_on_two_corpora_and_over_both(place: Path, tmp_path: Path) -> None:
    (place / "notes.txt").write_text("One two three four.\n\nFive six seven eight nine ten.\n")
    text = PLAN.replace("corpus: text.jsonl", "corpus: {rows: text.jsonl, notes: notes.txt}")
    text = text.replace("  cut:", "  # cut:")
    (place / "two.yaml").write_text(text)
    outcome = run(load_plan(str(place / "two.yaml")), tmp_path)
    assert [finding.decision for finding in outcome.verdicts[0].findings[:2]] == ["PASS", "PASS"]
    assert outcome.report
    page = outcome.report.read_text()
    assert all(f"fidelity.{name}" in page for name in ("kl", "rows.kl", "notes.kl", "notes.perplexity"))


def test_what_is_noise_is_measured_and_shown(place: Path, tmp_path: Path) -> None:
    plan = load_plan(str(place / "plan.yaml"))
    small = plan.model_copy(update={"noise": True, "fidelity": None, "metrics": [], "gates": plan.gates[:1]})
    outcome = run(only(small, "same"), tmp_path)
    (line, *_) = [line for line in outcome.noise if "words.pass_rate" in line]
    assert line.startswith(f"noise of words.pass_rate: 0 of {CASES} flip")
    assert line in outputs.as_text(outcome, 0)
    assert outcome.report
    assert f'data-label="Noise">0 of {CASES} flip</td>' in outcome.report.read_text()
    # Asked twice, and once more for nothing: the candidate is the original.
    assert len(rows(tmp_path, "answers")) == 2 * CASES


def test_tokens_and_their_log_probabilities_reach_the_assertions(done: tuple[Path, Outcome]) -> None:
    out, outcome = done
    store = opened(out)
    cases = judged_again(store, found(store, outcome.job)).candidates[0].cases
    reasons = " ".join(check.reason for case in cases for check in case.after.checks)
    assert "tokens are the original's" in reasons
    assert "the perplexity of the answer is" in reasons
    columns = [(row[9], row[10]) for row in rows(out, "answers")]
    assert all(len(tokens) == len(logprobs) for tokens, logprobs in columns)


def test_what_was_not_checked_is_said_everywhere(done: tuple[Path, Outcome]) -> None:
    _, outcome = done
    line = "words: not checked: ruby 40"
    assert outcome.not_checked == (line,)
    assert outcome.report
    assert line in outcome.report.read_text()
    assert line in outputs.as_text(outcome, 0)
    assert json.loads(outputs.as_json(outcome))["not_checked"] == [line]


def test_the_page_says_that_sparsity_is_simulated(place: Path, tmp_path: Path) -> None:
    masked = PLAN.replace("magnitude, sparsity: 0.4, options: {round_to: 1}", "magnitude, options: {pattern: '2:4'}")
    (place / "masked.yaml").write_text(masked)
    outcome = run(only(load_plan(str(place / "masked.yaml")), "cut"), tmp_path)
    assert outcome.report
    assert "simulated sparsity" in outcome.report.read_text()


def test_a_second_job_asks_nothing_again_unless_fresh(done: tuple[Path, Outcome], place: Path) -> None:
    (out, first), plan = done, load_plan(str(place / "plan.yaml"))
    answers, items = rows(out, "answers"), rows(out, "items")
    asked: list[str] = []
    second = run(plan, out, progress=lambda what, done, total: asked.append(what))
    assert second.job != first.job
    assert [v.decision for v in second.verdicts] == [v.decision for v in first.verdicts]
    assert not [what for what in asked if "words" in what or "fidelity" in what]
    assert rows(out, "answers") == answers
    assert [row for row in rows(out, "items") if row in items] == items
    run(plan, out, fresh=True)
    assert len(rows(out, "answers")) == 2 * 2 * CASES


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_a_random_moment_it_goes_on(place: Path, tmp_path: Path, seed: int) -> None:
    command = [sys.executable, "-c", "from harness.commands import main; main()"]
    command += ["run", str(place / "plan.yaml"), "--out", str(tmp_path), "--quiet"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while not (tmp_path / "secateur.duckdb").exists():
        time.sleep(0.02)
    time.sleep(random.Random(seed).uniform(0.0, 3.0))
    process.send_signal(signal.SIGKILL)
    process.wait()
    outcome = run(load_plan(str(place / "plan.yaml")), tmp_path)
    assert [verdict.decision for verdict in outcome.verdicts] == ["PASS", "REGRESSION"]
    for table, key in (("answers", "stage, case_id"), ("items", "stage, metric, id"), ("verdicts", "job, candidate")):
        assert len(rows(tmp_path, table)) == len(rows(tmp_path, f"(SELECT DISTINCT {key} FROM {table})"))
    assert len(rows(tmp_path, "answers")) == 2 * CASES


def test_one_candidate_that_cannot_be_made_does_not_stop_the_other(place: Path, tmp_path: Path) -> None:
    broken = (place / "plan.yaml").read_text().replace("sparsity: 0.4", "sparsity: 0.99")
    (place / "broken.yaml").write_text(broken)
    outcome = run(load_plan(str(place / "broken.yaml")), tmp_path)
    assert list(outcome.failures) == ["cut"]
    assert [verdict.candidate for verdict in outcome.verdicts] == ["same"]
    assert outcome.exit_code == 3
    assert outcome.report
    assert "could not be judged" in outcome.report.read_text()


def test_stored_runs_can_be_listed_shown_compared_and_drawn(
    done: tuple[Path, Outcome], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, outcome = done
    out = ["--out", str(folder)]
    assert entry(["ls", *out]) == 0
    assert "REGRESSION" in capsys.readouterr().out
    assert entry(["show", outcome.job, *out]) == 0
    assert "words.pass_rate: PASS" in capsys.readouterr().out
    store = DuckdbStore(folder / "secateur.duckdb")
    row = next(row for row in store.verdicts(outcome.job) if row.candidate == "cut")
    assert entry(["show", row.after_run, *out]) == 0
    assert f"words: {CASES} answers" in capsys.readouterr().out
    assert entry(["compare", row.before_run, row.after_run, *out]) == 1
    assert "cut: REGRESSION" in capsys.readouterr().out
    page = tmp_path / "again.html"
    assert entry(["report", outcome.job[:6], *out, "--page", str(page)]) == 0
    assert "cut" in page.read_text()
    assert entry(["report", outcome.job, *out, "--folder", str(tmp_path / "page")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "page" / "index.html")
    assert entry(["report", *out, "--folder", str(tmp_path), "--page", str(page)]) == 3


def test_a_candidate_that_was_edited_is_made_again(place: Path, tmp_path: Path) -> None:
    plan = only(load_plan(str(place / "plan.yaml")), "cut")
    assert run(plan, tmp_path).verdicts[0].decision == "REGRESSION"
    (folder,) = (path for path in (tmp_path / "models").iterdir() if path.is_dir())
    for name in ("model.safetensors", "config.json"):
        shutil.copy(place / "model" / name, folder / name)
    assert run(plan, tmp_path).verdicts[0].decision == "REGRESSION"
    (folder / "receipt.json").unlink()
    assert run(plan, tmp_path).verdicts[0].decision == "REGRESSION"


def test_old_answers_are_not_graded_by_another_suite(place: Path, tmp_path: Path) -> None:
    suite = (place / "words.yaml").read_text()
    (tmp_path / "words.yaml").write_text(suite)
    (tmp_path / "plan.yaml").write_text((place / "plan.yaml").read_text().replace("./model", str(place / "model")))
    shutil.copy(place / "text.jsonl", tmp_path)
    plan, out = only(load_plan(str(tmp_path / "plan.yaml")), "same"), tmp_path / "out"
    outcome = run(plan, out)
    store = DuckdbStore(out / "secateur.duckdb")
    (row,) = store.verdicts(outcome.job)
    with pytest.raises(HarnessError, match="takes the original's run first"):
        compared(store, row.after_run, row.before_run, None)
    (tmp_path / "words.yaml").write_text(suite.replace("Say", "Shout"))
    with pytest.raises(HarnessError, match="suite words has changed since run"):
        compared(store, row.before_run, row.after_run, None)


def test_promptlayer_is_told_and_the_verdict_stands(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "promptlayer: {send: all, sample: 3, api_key_env: TEAM_KEY}\n"
    (place / "told.yaml").write_text(PLAN + told)
    command = ["run", str(place / "told.yaml"), "--candidate", "same", "--out", str(tmp_path), "-q"]
    out = ["--out", str(tmp_path)]
    with serving(ContractServer()) as server:
        monkeypatch.setenv("PROMPTLAYER_BASE_URL", server.url)
        monkeypatch.setenv("TEAM_KEY", "pl_wrong")
        assert entry(command) == 0
        assert "access is refused: 401" in capsys.readouterr().err
        monkeypatch.delenv("TEAM_KEY")
        assert entry(["sync", "--dry-run", *out]) == 0
        assert "TEAM_KEY: 2 group (pending), 6 log (pending)" in capsys.readouterr().out
        assert entry(["sync", *out]) == 3
        assert "TEAM_KEY: not set; 21 waiting for `secateur sync`" in capsys.readouterr().out
        monkeypatch.setenv("TEAM_KEY", KEY)
        assert entry(["sync", "-q", *out]) == 0
        assert "TEAM_KEY: 21 sent\n" in capsys.readouterr().out
        assert (len(server.logs), len(server.tables), server.doubled()) == (6, 1, 0)
        assert entry(["report", *out]) == 0
        assert "21 sent, 0 waiting, 0 refused" in (tmp_path / "report.html").read_text()
        capsys.readouterr()
        assert entry(["outbox", "ls", *out]) == 0
        assert "TEAM_KEY                log         sent           6" in capsys.readouterr().out
        assert entry(["sync", *out]) == 0
        assert "nothing waits" in capsys.readouterr().out
        assert entry(["outbox", "retry", "none", *out]) == 3
        assert "no refused letter starts with 'none'" in capsys.readouterr().err
        assert entry(["outbox", "purge", *out]) == 0
        assert "19 letters forgotten" in capsys.readouterr().out
        assert entry(["report", *out]) == 0
        assert "/smart-tables/table-1?sheet=sheet-" in (tmp_path / "report.html").read_text()
    assert KEY.encode() not in (tmp_path / "secateur.duckdb").read_bytes()


QUERIES = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "store.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(10))
def test_the_queries_of_the_docs_find_something(number: int, done: tuple[Path, Outcome]) -> None:
    assert len(QUERIES) == 10
    file = DuckdbStore(done[0] / "secateur.duckdb").file
    if "FROM turns" in QUERIES[number]:
        moment = datetime(2026, 11, 28, tzinfo=UTC)
        ScheduleTable(file).save(Turn("nightly", moment, "done", moment))
    if "FROM v_flips" in QUERIES[number]:
        # Every answer of this suite passes, so one is taken for a loss.
        case = "(SELECT min(case_id) FROM answers)"
        flip = f"SELECT job, candidate, 'words.pass_rate', {case}, 'loss' FROM verdicts"
        file.execute(f"INSERT INTO flips {flip} ON CONFLICT DO NOTHING", [])
    with duckdb.connect(str(done[0] / "secateur.duckdb"), read_only=True) as db:
        assert db.execute(QUERIES[number]).fetchall()


def test_views_and_frames_say_what_the_verdict_says(done: tuple[Path, Outcome]) -> None:
    out, outcome = done
    store, cut = DuckdbStore(out / "secateur.duckdb"), outcome.verdicts[1]
    findings = store.frame("v_findings", {"job": outcome.job, "candidate": "cut"})
    findings = findings.sort_values("position")
    assert list(findings["decision"]) == [finding.decision for finding in cut.findings]
    assert list(findings["tag"].fillna("")) == ["", "", "even", ""]
    trend = store.frame("v_trend", {"job": outcome.job, "metric": "size.bytes", "candidate": "cut"})
    assert trend["after"][0] == cut.findings[3].delta.after
    assert (trend["started"].dtype.kind, str(trend["started"].dt.tz)) == ("M", "UTC")
    tradeoff = store.frame("v_tradeoff", {"candidate": "cut", "metric": "words.pass_rate"})
    assert (tradeoff["method"][0], tradeoff["size_ratio"][0] < 1) == ("magnitude", True)
    latest = store.frame("v_latest")
    assert dict(zip(latest["candidate"], latest["decision"], strict=True)) == {"same": "PASS", "cut": "REGRESSION"}
    with pytest.raises(HarnessError, match="no table or view 'v_flip', did you mean 'v_flips'"):
        store.frame("v_flip")
    with pytest.raises(HarnessError, match="no column of v_flips 'jobb', did you mean 'job'"):
        store.frame("v_flips", {"jobb": "x"})


def test_derived_tables_are_made_again_as_they_were(
    done: tuple[Path, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = done
    tables = {table: rows(out, table) for table in ("deltas", "checks", "grades")}
    assert all(tables.values())
    DuckdbStore(out / "secateur.duckdb").file.execute("DELETE FROM deltas", [])
    assert entry(["store", "check", "--out", str(out)]) == 3
    assert "verdicts without derived rows" in capsys.readouterr().out
    assert entry(["store", "check", "--rebuild", "--out", str(out)]) == 0
    assert {table: rows(out, table) for table in tables} == tables
