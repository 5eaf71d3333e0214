"""A schedule in the words of services that have a clock of their own: GitHub Actions, GitLab CI, Airflow.

They keep no results folder of ours, so they run the plan itself; the folder is carried along as their cache or volume.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from harness.errors import HarnessError
from harness.schedules import Schedule

INSTALL = "python -m pip install secateur"
OUT = "out"


def github(schedule: Schedule) -> str:
    """A workflow file; GitHub knows time zones."""
    plan = _beside(schedule)
    if "${{" in plan:
        raise HarnessError(f"{plan}: GitHub would read ${{{{ in the path as an expression; rename the file")
    run = f'secateur run {shlex.quote(plan)} --annotations github --summary "$GITHUB_STEP_SUMMARY"'
    cached = {"path": OUT, "key": "secateur-${{ github.run_id }}"}
    report = {"name": "report", "path": f"{OUT}/report.html"}
    steps: list[dict[str, Any]] = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
        {"uses": "actions/cache/restore@v4", "with": {**cached, "restore-keys": "secateur-"}},
        {"run": INSTALL},
        {"run": run},
        # A regression fails the job, and its results are history all the same.
        {"uses": "actions/cache/save@v4", "if": "always()", "with": cached},
        {"uses": "actions/upload-artifact@v4", "if": "always()", "with": report},
    ]
    when = {"cron": schedule.cron, "timezone": schedule.timezone}
    return _yaml(
        "# .github/workflows/secateur.yml",
        {
            "name": f"secateur {schedule.name}",
            "on": {"schedule": [when], "workflow_dispatch": None},
            "concurrency": {"group": f"secateur-{schedule.name}"},
            "jobs": {"regression": {"runs-on": "ubuntu-latest", "timeout-minutes": 360, "steps": steps}},
        },
    )


def gitlab(schedule: Schedule) -> str:
    """A job; GitLab keeps the time outside of files, so the command that sets it is in the comment."""
    when = shlex.join(["--cron", schedule.cron, "--cronTimeZone", schedule.timezone, "--description", schedule.name])
    job = {
        "image": "python:3.12",
        "rules": [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}],
        "resource_group": "secateur",
        "cache": {"key": "secateur", "paths": [OUT]},
        "script": [INSTALL, f"secateur run {shlex.quote(_beside(schedule))} --junit junit.xml"],
        "artifacts": {"when": "always", "paths": [f"{OUT}/report.html"], "reports": {"junit": "junit.xml"}},
    }
    head = f"# .gitlab-ci.yml; the clock is set once by: glab schedule create --ref main {when}"
    return _yaml(head, {"secateur": job})


def airflow(schedule: Schedule) -> str:
    """A DAG file for Airflow 3."""
    command = f"cd {shlex.quote(str(Path.cwd()))} && secateur run {shlex.quote(_beside(schedule))}"
    # Braces would be templates to Airflow.
    if "{{" in command or "{%" in command:
        raise HarnessError(f"{command}: Airflow would read the braces as a template; rename the folder or file")
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in schedule.name)
    return f"""\
# dags/secateur_{name}.py
import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.timetables.trigger import CronTriggerTimetable

with DAG(
    dag_id={f"secateur_{name}"!r},
    schedule=CronTriggerTimetable({schedule.cron!r}, timezone={schedule.timezone!r}),
    start_date=pendulum.datetime(2026, 1, 1, tz={schedule.timezone!r}),
    catchup=False,
    max_active_runs=1,
):
    # The trailing blank keeps Airflow from taking the command for a template file.
    BashOperator(task_id="run", bash_command={command + " "!r}, retries={schedule.retries})
"""


def _beside(schedule: Schedule) -> str:
    """The plan's path as it is in the repository, whose root is the working folder; a built-in plan's name."""
    path = Path(schedule.plan)
    if not path.is_absolute():
        return schedule.plan
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError as error:
        raise HarnessError(f"{path} is not below {Path.cwd()}; call export in the repository's root") from error


def _yaml(head: str, content: dict[str, Any]) -> str:
    return f"{head}\n{yaml.safe_dump(content, sort_keys=False, width=120)}"


FORMATS = {"github": github, "gitlab": gitlab, "airflow": airflow}
