"""Two files of results made elsewhere -> a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.gates import Gate
from harness.imports import imported
from harness.imports.promptfoo_results import PASS_RATE
from harness.records import ORIGINAL, Run
from harness.verdicts.compare import compare
from harness.verdicts.gate import Verdict, judge


def judged_files(before: str, after: str, gates: Sequence[Gate] | None = None, margin: float = 0.05) -> Verdict:
    """Judge the second file against the first. gates: None for this margin on every yes-or-no metric of both.

    Raises HarnessError for files of different kinds or questions.
    """
    old, new = imported(before, ORIGINAL), imported(after, after)
    if old.facts["format"] != new.facts["format"]:
        raise HarnessError(f"{before} is {old.facts['format']}, {after} is {new.facts['format']}: not the same kind")
    chosen = gates if gates is not None else _gates(old, new, margin)
    return judge(compare(old, new, ()), chosen)


def _gates(before: Run, after: Run, margin: float) -> list[Gate]:
    shared = [name for name, one in before.measurements.items() if one.scale == "binary" and name in after.measurements]
    if not shared:
        old, new = (", ".join(run.measurements) for run in (before, after))
        raise HarnessError(f"no yes-or-no metric is in both: {old} before, {new} after; give gates by --plan")
    # Named scores of promptfoo are parts of what its pass rate says.
    return [Gate(metric=name, margin=margin) for name in ([PASS_RATE] if PASS_RATE in shared else shared)]
