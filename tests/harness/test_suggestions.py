"""Which sparsity to try next: only what stored verdicts support."""

from __future__ import annotations

from typing import Any

import pytest

from harness.stores.attempts import AttemptRow
from harness.suggestions import suggested

SETTING = {"gates": [], "original": "m"}


def finding(high: float | None, metric: str = "s.pass_rate", severity: str = "block", **gate: float) -> dict[str, Any]:
    """Of a margin of ten points unless another rule is given; high: the upper bound of what it found."""
    rule = {"metric": metric, **(gate or {"margin": 0.1})}
    return {"gate": rule, "severity": severity, "high": high, "low": -0.1, "before": 0.9}


def row(sparsity: float, decision: str = "PASS", high: float | None = 0.02, **more: Any) -> AttemptRow:
    findings = more.pop("findings", (finding(high),))
    recipe = {"method": "cfsp", "sparsity": sparsity, "recovery": None, **more.pop("recipe", {})}
    name = f"c{100 * sparsity:g}"
    fields = {"plan": "p", "setting": SETTING, "candidate": name, "run": f"run-{name}", **more}
    return AttemptRow(recipe=recipe, decision=decision, findings=findings, **fields)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        # The first line of the brief: 0.02 of 0.1 used, a fifth further.
        ([row(0.15)], "cfsp 0.15 passes with 0.8 of the margin left: try 0.18; rests on run-c15 (c15)"),
        ([row(0.15, high=0.09)], "cfsp 0.15 passes with 0.1 of the margin left: nothing further is suggested"),
        # On the line through (0.10, 0.2) and (0.20, 0.7) all is used at 0.26, but a fifth further ends at 0.24.
        ([row(0.1, high=0.02), row(0.2, high=0.07)], "cfsp 0.2 passes with 0.3 of the margin left: try 0.24"),
        # Through (0.10, 0.1) and (0.20, 0.7) at 0.25; through (0.18, 0.1) and (0.20, 0.7) at 0.21.
        ([row(0.18, high=0.01), row(0.2, high=0.07)], "cfsp 0.2 passes with 0.3 of the margin left: try 0.21"),
        # From 0.5 at 0.10 to 2.0 at 0.30: used up at 0.1667, rounded down.
        (
            [row(0.1, high=0.05), row(0.3, "REGRESSION", 0.2)],
            "cfsp 0.1 passes and 0.3 does not (REGRESSION): try 0.16; rests on run-c10 (c10), run-c30 (c30)",
        ),
        ([row(0.1), row(0.11, "REGRESSION", 0.2)], "cfsp 0.1 passes and 0.11 does not (REGRESSION): nothing is left"),
        ([row(0.1, "REGRESSION", 0.2)], "cfsp 0.1 does not pass (REGRESSION), and nothing smaller was tried: try 0.05"),
        ([row(0.1, "INCONCLUSIVE"), row(0.2)], "cfsp 0.2 passes and 0.1 does not, so that is noise: no suggestion"),
        ([row(0.15, high=None)], "cfsp 0.15 passes, and no gate says how much is left: no suggestion"),
        ([row(0.1, "REGRESSION", 0.2), row(0.1)], "cfsp 0.1 passes with 0.8 of the margin left: try 0.12"),
    ],
)
def test_what_is_suggested(rows: list[AttemptRow], said: str) -> None:
    (line,) = suggested(rows)
    assert line.startswith(f"p: {said}")


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (finding(1.06, "fidelity.perplexity_ratio", max=1.1), "0.4"),
        (finding(0.5, "fidelity.kl", max=2.0), "0.75"),
        (finding(0.09, severity="warn"), "0.8"),
        (finding(0.09, "size.bytes", max_ratio=0.9), "0.8"),
        (finding(0.0, "s.losses", max=0), "0.8"),
    ],
)
def test_of_all_gates_the_nearest_to_its_limit_counts(found: dict[str, Any], left: str) -> None:
    (line,) = suggested([row(0.1, findings=(finding(0.02), found))])
    assert f"with {left} of the margin" in line


def test_only_what_differs_in_sparsity_alone_under_the_plan_as_it_is_now_is_one_row() -> None:
    other = {"recovery": {"rule": "uniform"}}
    rows = [
        row(0.3, setting={**SETTING, "original": "older"}),
        row(0.1),
        row(0.2, "REGRESSION", 0.3, recipe=other),
        row(0.4, recipe={"sparsity": None}),
    ]
    assert [line.partition(";")[0] for line in suggested(rows)] == [
        "p: cfsp 0.1 passes with 0.8 of the margin left: try 0.12",
        "p: cfsp with uniform recovery 0.2 does not pass (REGRESSION), and nothing smaller was tried: try 0.1",
    ]
