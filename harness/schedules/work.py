"""The work of one turn: run the schedule's plan as it is now."""

from __future__ import annotations

import json
from pathlib import Path

from compress import CompressError
from harness.errors import HarnessError
from harness.live.telling import told
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.progress import Progress
from harness.schedules import Schedule
from harness.schedules.turns import Result
from harness.telling.delivery import after_run
from harness.verdicts.outcome import COULD_NOT_FINISH, sentence
from reports.errors import ReportError
from suites.errors import SuiteError


def worked(schedule: Schedule, out: Path, progress: Progress) -> Result:
    """Read the plan again, run it, and say what came of it; a plan that cannot be run is a result too."""
    try:
        plan = load_plan(schedule.plan).model_copy(update=json.loads(schedule.permissions))
        with told(out, plan.name, progress) as telling:
            outcome = run(plan, out, progress=telling, command=f"secateur run {schedule.plan}")
            telling.ended(outcome.job, outcome.exit_code)
    except (HarnessError, SuiteError, CompressError, ReportError, OSError) as error:
        return Result(COULD_NOT_FINISH, note=str(error))
    failures = [f"{name} could not finish: {why}" for name, why in outcome.failures.items()]
    said = [sentence(outcome.verdicts)] if outcome.verdicts else []
    return Result(
        outcome.exit_code, outcome.job, " ".join([*said, *failures, *after_run(plan, out, outcome.job, progress)])
    )
