"""lm-eval's own command line, with our engine among its models."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from lm_eval.__main__ import cli_evaluate
from lm_eval.api.registry import register_model

from harness.benchmarks.data import data_from
from harness.benchmarks.lm import ScoringLM

NAME = "secateur"


def run_lm_eval(arguments: Sequence[str], data_root: Path | None) -> None:
    """Call lm-eval's `main` on its own arguments; `--model secateur` unless they name another.

    lm-eval reads no entry points, so this call is what makes our model known to it. data_root: where data sets are read
    from instead of the hub.
    """
    register_model(NAME)(ScoringLM)
    names_model = any(one == "--model" or one.startswith("--model=") for one in arguments)
    before = sys.argv
    sys.argv = ["lm_eval", *arguments, *(() if names_model or not arguments else ("--model", NAME))]
    try:
        with data_from(data_root, []) if data_root else nullcontext():
            cli_evaluate()
    finally:
        sys.argv = before
