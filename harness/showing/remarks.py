"""An outcome as remarks on the plan's file: one for each gate that did not pass, at its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import HarnessError
from harness.verdicts.finding import Finding
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import Outcome
from suites.document import read
from suites.errors import SuiteError

NOT_JUDGED = "could not finish"
Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Remark:
    """Something that whoever reads the plan should see."""

    level: Level
    """error: REGRESSION, or not judged. warning: INCONCLUSIVE. note: a gate or a candidate that only warns."""
    candidate: str
    rule: str
    """The gate's title, or NOT_JUDGED."""
    what: str
    """The same with the decision."""
    text: str
    line: int | None
    """Of the plan; None: of the whole file."""


def remarks(outcome: Outcome, plan: str) -> Iterator[Remark]:
    """Gates that did not pass, and candidates that were not judged."""
    lines = _gate_lines(plan)
    for verdict in outcome.verdicts:
        for number, finding in enumerate(verdict.findings):
            if finding.decision != "PASS":
                title = finding.gate.title
                line = lines[number] if lines else None
                what = f"{title}: {finding.decision}"
                yield Remark(_level(finding, verdict), verdict.candidate, title, what, finding.reason, line)
    for name, why in outcome.failures.items():
        yield Remark("note" if name in outcome.warning_only else "error", name, NOT_JUDGED, NOT_JUDGED, why, None)


def is_file(plan: str) -> bool:
    """Whether there is a file to remark on; a built-in plan is none."""
    return Path(plan).is_file()


def _level(finding: Finding, verdict: Verdict) -> Level:
    if "warn" in (finding.severity, verdict.severity):
        return "note"
    return "error" if finding.decision == "REGRESSION" else "warning"


def _gate_lines(plan: str) -> Sequence[int]:
    """The line of each gate in the plan's file; none for a built-in plan."""
    if not is_file(plan):
        return []
    try:
        document = read(plan)
    except SuiteError as error:
        raise HarnessError(str(error)) from error
    gates = document.data.get("gates", []) if isinstance(document.data, dict) else []
    return [document.line(["gates", number]) for number in range(len(gates))]
