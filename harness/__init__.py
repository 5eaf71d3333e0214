"""Ask both models, keep the answers, decide. `run` and `compare` from Python; importing this imports no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.judgement import assert_no_regression
    from harness.pipeline import run
    from harness.plan import Plan
    from harness.plan_file import load_plan
    from harness.verdicts.compare import compare
    from harness.verdicts.gate import judge

LAZY = {
    "Plan": "harness.plan",
    "assert_no_regression": "harness.judgement",
    "compare": "harness.verdicts.compare",
    "judge": "harness.verdicts.gate",
    "load_plan": "harness.plan_file",
    "run": "harness.pipeline",
}
"""Public names -> the module that has them."""

__all__ = ["HarnessError", "Plan", "assert_no_regression", "compare", "judge", "load_plan", "run"]


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    return getattr(importlib.import_module(LAZY[name]), name)
