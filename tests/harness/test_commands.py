"""The command line: help, exit codes, one clear line for wrong input, nothing half-written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.commands import COMMANDS, entry

ROOT = Path(__file__).parents[2]
PLAN = """\
name: p
original: {model}
candidates: {{c: {{recipe: cfsp-20}}}}
suites: [{suite}]
benchmarks: [secateur_everyday]
metrics: [size]
gates: [{{metric: {metric}, margin: {margin}}}]
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: secateur {name}" in shown
    assert len(shown.splitlines()) > 4


def test_help_starts_at_once() -> None:
    def seconds(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        return time.perf_counter() - start

    help_code = "from harness.commands import entry; entry(['--help'])"
    # What our code adds to Python itself; the smallest of a few, for the machine may be busy.
    assert min(seconds(help_code) - seconds("pass") for _ in range(5)) < 0.4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rn"], "No such command 'rn'"),
        (["run"], "Missing argument 'PLAN'"),
        (["run", "nothing.yaml"], "nothing.yaml"),
        (["compress", "./nowhere", "--recipe", "cfsp-20", "--out", "o"], "nowhere"),
        (["compress", "smollm2-135m", "--recipe", "cfsp-2", "--out", "o"], "did you mean 'cfsp-20'"),
        (["power", "nothing.yaml"], "nothing.yaml"),
        (["report"], "no store at out"),
        (["show", "abc"], "no store at out"),
        (["suite", "check", "smok"], "smok"),
    ],
)
def test_wrong_input_is_exit_3_and_a_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert entry(arguments) == 3
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert os.listdir(tmp_path) == []


def planned(folder: Path, **values: str) -> str:
    text = PLAN.format(
        **{"model": "smollm2-135m", "suite": "smoke", "metric": "smoke.pass_rate", "margin": "0.05", **values}
    )
    (folder / "plan.yaml").write_text(text)
    return str(folder / "plan.yaml")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"suite": "smokee"}, "smokee"),
        ({"suite": "./none.yaml"}, "none.yaml"),
        ({"metric": "smoke.pass_rat"}, "did you mean 'pass_rate'"),
        ({"metric": "smok.pass_rate"}, "did you mean 'smoke'"),
        ({"metric": "smoke.losses"}, "a count of losses takes max, not margin"),
        ({"metric": "smoke.pass_rate", "margin": "5"}, "did you mean 0.05?"),
        ({"metric": "size.byte"}, "did you mean 'bytes'"),
        ({"metric": "secateur_everyday.accc"}, "did you mean 'acc'"),
        ({"margin": "0.05, where: {tag: critcal}"}, "did you mean 'critical'"),
        ({"model": "./model-without-weights"}, "no weights"),
        ({"model": "./nowhere"}, "nowhere: no such folder or file"),
    ],
)
def test_a_plan_that_cannot_be_run_measures_nothing(
    values: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model-without-weights").mkdir()
    (tmp_path / "model-without-weights" / "config.json").write_text("{}")
    assert entry(["run", planned(tmp_path, **values), "--out", str(tmp_path / "out"), "-q"]) == 3
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert not (tmp_path / "out").exists()


def test_check_says_what_a_gate_can_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["check", planned(tmp_path)]) == 0
    assert "finds a true drop of" in capsys.readouterr().out


def test_check_says_what_would_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PROMPTLAYER_API_KEY", raising=False)
    monkeypatch.setenv("COLLECTOR", "http://localhost:4318")
    plan = Path(planned(tmp_path))
    plan.write_text(plan.read_text() + "promptlayer: {sample: 5}\notlp: {send: none, endpoint_env: COLLECTOR}\n")
    assert entry(["check", str(plan)]) == 0
    shown = capsys.readouterr().out
    assert "promptlayer: send flips, at most 5 cases a candidate; PROMPTLAYER_API_KEY is not set" in shown
    assert "otlp: send none; COLLECTOR is set" in shown


def test_a_gate_with_too_few_items_is_called_hopeless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["check", planned(tmp_path, margin="0.05, where: {tag: critical}")]) == 0
    assert "CANNOT PASS" in capsys.readouterr().out


def test_run_warns_of_a_gate_that_cannot_pass_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(tmp_path, model="./nowhere", margin="0.05, where: {tag: critical}")
    assert entry(["run", plan, "--out", str(tmp_path / "out"), "-q"]) == 3
    shown = capsys.readouterr().err
    assert "warning: smoke.pass_rate [critical]" in shown
    assert shown.index("CANNOT PASS") < shown.index("no such folder")


def test_power_says_what_a_gate_shows_and_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["power", planned(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"smoke.pass_rate +5 points +235 +2\.\d / 3\.6 / 5\.1 points +8\.9 / 8\.9 / 9\.4 points", shown)
    assert "107 / 167 / 274 items" in shown


def test_power_names_the_gates_of_which_nothing_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(tmp_path, metric="smoke.losses", margin="0.05")
    Path(plan).write_text(Path(plan).read_text().replace("margin: 0.05", "max: 0"))
    assert entry(["power", plan]) == 0
    assert "nothing is known beforehand: smoke.losses" in capsys.readouterr().out


def test_the_starter_is_right_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["init", str(tmp_path)]) == 0
    plan = tmp_path / "plan.yaml"
    assert entry(["check", str(plan)]) == 0
    plan.write_text("mine")
    assert entry(["init", str(tmp_path)]) == 0
    assert plan.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert entry(["run", "demo", "--out", str(tmp_path / "out")]) == 3
    assert "cannot make the folder" in capsys.readouterr().err
