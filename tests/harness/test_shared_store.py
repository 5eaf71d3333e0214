"""A store under kills, and under eight processes at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.plan_file import load_plan
from harness.records import DIGEST, Answer, ModelSpec, Run
from harness.schedules import Schedule, utc_now
from harness.stores import Asked, VerdictRow
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.schedules import ScheduleTable
from suites import load

ROOT = Path(__file__).parents[2]
KILLS, BATCHES = 200, 60
PLAN = """\
{name: nightly, original: smollm2-135m, candidates: {small: {model: smollm2-135m}}, suites: [./words.yaml],
 gates: [{metric: words.losses, max: 0}]}
"""
SUITE = "prompts: ['say {{w}}']\ntests:\n  - {id: a, vars: {w: a}, assert: [{type: contains, value: x}]}\n"
WRITER = f"""
import sys
from pathlib import Path
from harness.records import Answer
from harness.stores.duckdb_store import DuckdbStore
store = DuckdbStore(Path(sys.argv[1]))
stage = store.begin_stage("writer", "key", "suite", "words")
for batch in range({BATCHES}):
    store.add_answers(stage.id, [Answer(f"{{batch}}-{{n}}", "p", "t", "stop", 1, 1, 0.0) for n in range(50)])
"""
CLI = "import sys; from harness.commands import entry; sys.exit(entry(sys.argv[1:]))"
OTHERS = ("report", "ls", "sync -q", "schedule run-due", "baseline bless", "trend", "store check")


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """About 70 CPU seconds: kills of a write, a migration, a sync, a schedule's turns and a merge."""
    command = [sys.executable, str(ROOT / "tests" / "harness" / "killing.py"), str(tmp_path), str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["write", "migrate", "sync", "schedule", "merge"]
    assert all(line.endswith(", 0 wrong") for line in lines), done.stdout + done.stderr
    assert sum(int(line.split()[1]) for line in lines) == KILLS


def judged_night(folder: Path) -> Path:
    """A results folder with one finished job, whose page can be drawn, and a schedule that is not due."""
    (folder / "words.yaml").write_text(SUITE)
    (folder / "plan.yaml").write_text(PLAN)
    plan, suite = load_plan(str(folder / "plan.yaml")), load(str(folder / "words.yaml"))
    store = DuckdbStore(folder / "out" / "secateur.duckdb")
    job = store.begin_job(Asked("nightly", plan.model_dump_json(), "d"))
    for run, model in (("old", "original"), ("new", "small")):
        stage = store.begin_stage(model, "key", "suite", "words")
        store.add_answers(stage.id, [Answer("a", "say a", "x", "stop", 1, 1, 0.0)])
        store.finish_stage(stage.id, facts={DIGEST: suite.digest})
        store.save_run(Run(run, ModelSpec(model, "m"), model), job.id, [stage.id])
    store.save_verdict(VerdictRow(job.id, "small", "PASS", "All pass.", "old", "new", "[]"))
    store.finish_job(job.id, 0)
    store.file.execute(
        "INSERT INTO deltas VALUES (?, 'small', 'words.pass_rate', 'share', true, 1, 1, 0, 0, 0, 1, 0, 0)", [job.id]
    )
    ScheduleTable(store.file).add(Schedule("s", "p.yaml", "0 3 1 1 *", "UTC", 0, 0, None, utc_now()))
    return folder / "out"


@pytest.mark.slow
def test_eight_processes_at_once_on_one_store(tmp_path: Path) -> None:
    """About 12 CPU seconds: one writes sixty batches, seven commands come and go; nobody fails, nothing is lost."""
    out = judged_night(tmp_path)
    path = out / "secateur.duckdb"
    commands = [[sys.executable, "-c", WRITER, str(path)]]
    commands += [[sys.executable, "-c", CLI, *other.split(), "--out", str(out)] for other in OTHERS]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(one, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) for one in commands]
    ended = {" ".join(process.args[3:]): (process.communicate(timeout=300), process.returncode) for process in running}
    assert {name: said for name, (said, code) in ended.items() if code} == {}
    store = DuckdbStore(path)
    written = "SELECT count(*), count(DISTINCT case_id) FROM answers WHERE case_id != 'a'"
    assert store.file.rows(written) == [(BATCHES * 50, BATCHES * 50)]
    assert store.file.rows("SELECT count(*) FROM baselines") == [(1,)]
    assert "nightly" in (out / "report.html").read_text()
