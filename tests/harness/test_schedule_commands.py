"""`secateur schedule` as it is typed, and what it writes for other clocks."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.commands import entry
from harness.stores.file import DuckdbFile
from harness.stores.schedules import ScheduleTable

ADD = ["schedule", "add", "demo", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose name means something to shells, cron and systemd."""
    folder = tmp_path / "50 % of $HOME"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_add_list_remove(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry([*ADD, "--name", "nightly", "--jitter", "300"]) == 0
    assert entry(["schedule", "list"]) == 0
    shown = capsys.readouterr().out
    assert "nightly: At 03:00 every day, Europe/Berlin, up to 300 s later (0 3 * * *)" in shown
    assert entry(["schedule", "run-due"]) == 0
    assert entry(["schedule", "remove", "nightly"]) == 0
    assert entry(["schedule", "list"]) == 0
    assert "no schedule yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*ADD[:2], "nowhere.yaml", *ADD[3:]], "nowhere.yaml"),
        ([*ADD[:4], "@daily"], "give five fields"),
        ([*ADD, "--name", "a\nb"], "one line without control characters"),
        (["schedule", "list"], "no store at out"),
    ],
)
def test_a_wrong_schedule_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(arguments) == 3
    assert said in capsys.readouterr().err
    assert list(place.iterdir()) == []


def test_the_line_for_cron_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(ADD) == 0
    capsys.readouterr()
    assert entry(["schedule", "export", "--format", "cron"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    (place / "out" / "secateur.duckdb").unlink()
    command = line.removeprefix("* * * * * ").replace(r"\%", "%")
    assert subprocess.run(command, shell=True, cwd="/", check=False).returncode == 3
    assert f"no store at {place}/out/secateur.duckdb" in (place / "out" / "schedule.log").read_text()


def test_what_a_plan_may_do_is_kept(place: Path) -> None:
    assert entry([*ADD, "--allow-env", "REGION", "--allow-code"]) == 0
    (schedule,) = ScheduleTable(DuckdbFile(place / "out" / "secateur.duckdb", 60)).schedules()
    assert json.loads(schedule.permissions) == {"allow_code": True, "allow_env": ["REGION"]}


def test_a_plan_that_is_gone_is_a_failed_turn(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry([*ADD, "--retries", "0"]) == 0
    table = ScheduleTable(DuckdbFile(place / "out" / "secateur.duckdb", 60))
    table.file.execute("UPDATE schedules SET handled = '2026-01-01T00:00:00+00:00', plan = '/gone.yaml'", [])
    assert entry(["schedule", "run-due"]) == 3
    assert "/gone.yaml: no such file" in capsys.readouterr().out
    assert table.turns()[0].state == "failed"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_units_are_right_to_systemd(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(ADD) == 0
    capsys.readouterr()
    assert entry(["schedule", "export", "--format", "systemd"]) == 0
    service, timer = capsys.readouterr().out.split("# secateur.timer\n")
    units = [place / "secateur.service", place / "secateur.timer"]
    for unit, text in zip(units, (service, timer), strict=True):
        unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan that is scheduled."""
    folder = tmp_path_factory.mktemp("repository")
    with contextlib.chdir(folder):
        assert entry(["init"]) == 0
        assert entry(["schedule", "add", "plan.yaml", *ADD[3:]]) == 0
    return folder


def exported(kind: str, repository: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with contextlib.chdir(repository):
        assert entry(["schedule", "export", "--format", kind]) == 0
    return capsys.readouterr().out


def test_github_gets_cron_and_zone(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = yaml.safe_load(exported("github", repository, capsys))
    assert workflow["on"]["schedule"] == [{"cron": "0 3 * * *", "timezone": "Europe/Berlin"}]
    commands = [step["run"] for step in workflow["jobs"]["regression"]["steps"] if "run" in step]
    assert commands[-1].startswith("secateur run plan.yaml --annotations github")


def test_gitlab_gets_a_job_for_schedules_only(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = exported("gitlab", repository, capsys)
    assert "--cron '0 3 * * *' --cronTimeZone Europe/Berlin" in text
    job = yaml.safe_load(text)["secateur"]
    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
    assert job["script"][-1] == "secateur run plan.yaml --junit junit.xml"


def test_airflow_gets_a_dag_that_compiles(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = exported("airflow", repository, capsys)
    compile(text, "dag.py", "exec")
    assert "CronTriggerTimetable('0 3 * * *', timezone='Europe/Berlin')" in text


def test_a_plan_outside_the_repository_cannot_be_exported(
    repository: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(["schedule", "export", "--format", "github", "--out", str(repository / "out")]) == 3
    assert "call export in the repository's root" in capsys.readouterr().err
