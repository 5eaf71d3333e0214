"""What a job came to: decisions, exit codes, and the words for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.gates import Gate
from harness.verdicts.finding import Decision, Finding, limit_of
from harness.verdicts.gate import Verdict

EXIT_CODES: dict[Decision, int] = {"PASS": 0, "REGRESSION": 1, "INCONCLUSIVE": 2}
COULD_NOT_FINISH = 3
WARNING = "warning only"
"""Said of what does not decide."""
WORST_FIRST: tuple[Decision, ...] = ("REGRESSION", "INCONCLUSIVE", "PASS")


@dataclass(frozen=True)
class Outcome:
    """One finished job."""

    plan: str
    job: str
    verdicts: tuple[Verdict, ...]
    failures: dict[str, str] = field(default_factory=dict)
    """Candidate -> why it could not be judged."""
    report: Path | None = None
    """The HTML page; none if no candidate could be judged."""
    not_checked: tuple[str, ...] = ()
    """What of the suites is not checked, a line a suite."""
    noise: tuple[str, ...] = ()
    """What differs when the original is asked twice, a line a metric."""
    warning_only: frozenset[str] = frozenset()
    """Candidates that the exit code does not heed, judged or not."""

    @property
    def exit_code(self) -> int:
        """The worst over the candidates that decide: 3 > 1 > 2 > 0."""
        if self.failures.keys() - self.warning_only:
            return COULD_NOT_FINISH
        return EXIT_CODES[worst([verdict.decision for verdict in deciders(self.verdicts)])]


def worst(decisions: Sequence[Decision]) -> Decision:
    """REGRESSION before INCONCLUSIVE before PASS."""
    return next(decision for decision in WORST_FIRST if decision in decisions)


def deciders(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that decide for the job; where none could be judged that does, all."""
    return [verdict for verdict in verdicts if verdict.severity == "block"] or list(verdicts)


def only_warns(verdict: Verdict) -> str:
    """What is said behind its decision; empty where it decides."""
    return f" ({WARNING})" if verdict.severity == "warn" else ""


def deciding(verdict: Verdict) -> list[Finding]:
    """The blocking findings that made the decision."""
    return [f for f in verdict.findings if f.severity == "block" and f.decision == verdict.decision]


def sentence(verdicts: Sequence[Verdict]) -> str:
    """The result in one sentence: of one candidate with its first reason, of several by name."""
    if len(verdicts) > 1:
        return ", ".join(f"{each.candidate}: {each.decision}{only_warns(each)}" for each in verdicts) + "."
    verdict = verdicts[0]
    reasons = deciding(verdict)
    head = f"{WARNING.capitalize()}. " if verdict.severity == "warn" else ""
    if verdict.decision == "PASS":
        return f"{head}All {len(reasons)} blocking gates pass."
    others = ", ".join(finding.gate.title for finding in reasons[1:])
    return f"{head}{reasons[0].gate.title}: {reasons[0].reason}" + (f" Also: {others}." if others else "")


def rule(gate: Gate, unit: str = "") -> str:
    """A gate in words. unit: of its metric, where known."""
    name, limit = limit_of(gate)
    value = f"{limit * 100:g} points" if name == "margin" and unit == "share" else f"{limit:g}"
    words = {
        "margin": f"may get worse by less than {value}",
        "max": f"at most {value}",
        "min": f"at least {value}",
        "max_ratio": f"at most {value} times {gate.reference}",
        "min_ratio": f"at least {value} times {gate.reference}",
    }
    return words[name]
