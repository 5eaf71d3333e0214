"""The plug-in as its user has it: a test file of theirs, run by pytest in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.models.opening import LoadedModel

ROOT = Path(__file__).parents[2]
FILES = """\
from harness import assert_no_regression


def test_files(secateur_compare):
    assert_no_regression(secateur_compare("a.jsonl", "b.jsonl", margin=0.02))


def test_few(secateur_compare):
    assert_no_regression(secateur_compare("a.jsonl", "a.jsonl", margin=0.001), allow_inconclusive=True)
"""
PLANNED = """\
from harness import assert_no_regression


def test_plan(secateur_compare):
    assert_no_regression(secateur_compare("plan.yaml", candidate="other"))
"""
PLAN = """\
name: p
original: ./a
candidates: {same: {model: ./a}, other: {model: ./b}}
suites: [./words.yaml]
gates: [{metric: words.losses, max: 0}]
"""
SUITE = "prompts: ['Say {{ w }}']\ndefaultTest: {max_new_tokens: 4, assert: [{type: same-answer}]}\ntests:\n" + "".join(
    f"  - {{id: w{n}, vars: {{w: w{n}}}}}\n" for n in range(8)
)


def rows(wrong: int) -> str:
    hashes = {"prompt_hash": "", "target_hash": "", "filter": "none", "metrics": ["acc"]}
    made = ({"doc_id": n, "doc_hash": str(n), "acc": float(n >= wrong)} | hashes for n in range(200))
    return "".join(json.dumps(row) + "\n" for row in made)


def shown(folder: Path, text: str) -> str:
    """What pytest says of a user's test file."""
    (folder / "test_theirs.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "test_theirs.py"]
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    # Nothing of ours stands between their line and the message.
    assert "judgement.py" not in done.stdout
    return done.stdout


@pytest.mark.slow
def test_a_failing_gate_of_files_reads_well(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(rows(0))
    (tmp_path / "b.jsonl").write_text(rows(60))
    lines = shown(tmp_path, FILES).splitlines()
    assert lines[-1].startswith("1 failed, 1 passed")
    assert "E       AssertionError: b.jsonl: REGRESSION" in lines
    assert "E         samples.acc  100.0 %  70.0 %  drop 25.0 to 35.6 points  200    REGRESSION" in lines


@pytest.mark.slow
def test_a_failing_gate_of_a_plan_tells_the_lost_cases(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        tiny(seed).model.save_pretrained(tmp_path / name)
        tiny(seed).tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "words.yaml").write_text(SUITE)
    said = shown(tmp_path, PLANNED)
    for line in (
        "AssertionError: other: REGRESSION",
        "other: lost 8 cases",
        "  w0: '",
        "... and 3 more",
        "report.html",
    ):
        assert line in said, said


def test_loading_the_plug_in_loads_nothing_heavy() -> None:
    code = "import sys, harness.pytest_plugin; sys.exit(str({'torch', 'duckdb', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
