"""An outcome as annotations of GitHub Actions: lines that its runner shows beside the plan's file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.verdicts.finding import Finding
from harness.verdicts.outcome import Outcome
from suites.document import read
from suites.errors import SuiteError

TEXT_ESCAPES = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
FIELD_ESCAPES = (*TEXT_ESCAPES, (":", "%3A"), (",", "%2C"))


def annotated(outcome: Outcome, plan: str) -> Iterator[str]:
    """A line for each gate that did not pass, at its line of the plan, and for each candidate that was not judged."""
    lines = _gate_lines(plan)
    for verdict in outcome.verdicts:
        for number, finding in enumerate(verdict.findings):
            if finding.decision != "PASS":
                place = {"file": plan, "line": str(lines[number])} if lines else {}
                title = f"{verdict.candidate}: {finding.gate.title}: {finding.decision}"
                yield _command(_level(finding), {**place, "title": title}, finding.reason)
    for name, why in outcome.failures.items():
        place = {"file": plan} if lines else {}
        yield _command("error", {**place, "title": f"{name}: could not finish"}, why)


def _level(finding: Finding) -> str:
    if finding.severity == "warn":
        return "notice"
    return "error" if finding.decision == "REGRESSION" else "warning"


def _gate_lines(plan: str) -> Sequence[int]:
    """The line of each gate in the plan's file; none for a built-in plan."""
    if not Path(plan).is_file():
        return []
    try:
        document = read(plan)
    except SuiteError as error:
        raise HarnessError(str(error)) from error
    gates = document.data.get("gates", []) if isinstance(document.data, dict) else []
    return [document.line(["gates", number]) for number in range(len(gates))]


def _command(level: str, fields: dict[str, str], text: str) -> str:
    said = ",".join(f"{name}={_escaped(value, FIELD_ESCAPES)}" for name, value in fields.items())
    return f"::{level} {said}::{_escaped(text, TEXT_ESCAPES)}"


def _escaped(text: str, escapes: Sequence[tuple[str, str]]) -> str:
    for letter, escaped in escapes:
        text = text.replace(letter, escaped)
    return text
