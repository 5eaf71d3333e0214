"""The CI templates, step by step, as their runners would run them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import kubernetes_validate
import pytest
import yaml

from harness.commands.run import command as run_command

ROOT = Path(__file__).parents[1]
CI = ROOT / "examples" / "ci"
CLUSTER = ROOT / "examples" / "cluster"
PLAN = """\
name: ci
original: smollm2-135m
candidates:
  itself: {model: smollm2-135m}
suites: [./tiny.yaml]
gates:
  - {metric: tiny.pass_rate, margin: 0.05}
  - {metric: tiny.losses, max: 0}
"""
SUITE = "prompts: ['Say {{word}}']\ntests:\n" + "".join(
    f"  - {{vars: {{word: w{n}}}, max_new_tokens: 1, assert: [{{type: regex, value: '.*'}}]}}\n" for n in range(3)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a plan that is INCONCLUSIVE: three cases prove no margin. Results stay, as in a cache."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "a plan.yaml").write_text(PLAN)
    (folder / "tiny.yaml").write_text(SUITE)
    return folder


def run(script: str, place: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As GitHub and GitLab do: bash, ending at the first error. pip may not fetch anything: all is there."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PIP_NO_INDEX": "1", "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=place, env=env, capture_output=True, text=True, check=False
    )


def filled(text: str, inputs: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: inputs[found[1]], text)


def steps(inputs: dict[str, str], place: Path) -> list[tuple[str, dict[str, str]]]:
    """The composite action's commands with their variables."""
    action: dict[str, Any] = yaml.safe_load((CI / "github" / "action.yml").read_text())
    defaults = {name: str(value.get("default", "")) for name, value in action["inputs"].items()}
    given = {**defaults, **inputs}
    files = {name: str(place / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    return [
        (step["run"], {**files, **{name: filled(value, given) for name, value in step["env"].items()}})
        for step in action["runs"]["steps"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("allow", "code"), [("false", 2), ("true", 0)])
def test_the_action_for_github(allow: str, code: int, place: Path) -> None:
    install, check, main = steps({"plan": "a plan.yaml", "allow-inconclusive": allow}, place)
    assert run(install[0], place, install[1]).returncode == 0
    assert "CANNOT PASS" in run(check[0], place, check[1]).stdout
    done = run(main[0], place, main[1])
    assert done.returncode == code, done.stderr
    told = "::warning file=a plan.yaml,line=7,title=itself%3A tiny.pass_rate%3A INCONCLUSIVE::"
    assert told in done.stderr
    assert (place / "GITHUB_OUTPUT").read_text().endswith(f"exit-code={code}\nreport=out/report.html\n")
    assert "### itself: INCONCLUSIVE" in (place / "GITHUB_STEP_SUMMARY").read_text()
    assert ElementTree.parse(place / "out" / "junit.xml").getroot().tag == "testsuites"
    assert (place / "out" / "report.html").is_file()


@pytest.mark.slow
def test_the_template_for_gitlab(place: Path) -> None:
    job = yaml.safe_load((CI / "gitlab" / "secateur.gitlab-ci.yml").read_text())[".secateur"]
    script = "\n".join([*job["before_script"], *job["script"]])
    done = run(script, place, {**job["variables"], "SECATEUR_PLAN": "a plan.yaml"})
    assert done.returncode == 2 == job["allow_failure"]["exit_codes"][0], done.stderr
    artifacts = [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]]
    assert all((place / path.replace("$SECATEUR_OUT", "out")).is_file() for path in artifacts)


def test_the_workflow_uses_the_inputs_that_the_action_has() -> None:
    workflow = yaml.safe_load((CI / "github" / "workflow.yml").read_text())
    action = yaml.safe_load((CI / "github" / "action.yml").read_text())
    (used,) = (step for step in workflow["jobs"]["regression"]["steps"] if step["uses"].endswith("/secateur"))
    needed = {name for name, value in action["inputs"].items() if value.get("required")}
    assert needed <= used["with"].keys() <= action["inputs"].keys()


def test_no_input_of_the_action_is_read_as_shell(tmp_path: Path) -> None:
    hostile = "$(touch stolen); `touch stolen`; touch stolen"
    for command, variables in steps({"plan": hostile, "out": hostile, "package": hostile}, tmp_path)[1:]:
        assert "${{" not in command
        script = "secateur() { return 0; }; " + command
        run(script, tmp_path, variables)
    assert not list(tmp_path.rglob("stolen"))


def test_the_examples_for_clusters_call_what_there_is() -> None:
    """The script is good bash; both call `secateur run` with options that it has, and the job's pods all see /work.

    Kubernetes' own schema knows every field of the pods; that of RayJob is in no package.
    """
    subprocess.run(["bash", "-n", str(CLUSTER / "slurm.sh")], check=True)
    job = yaml.safe_load((CLUSTER / "rayjob.yaml").read_text())["spec"]
    script = next(line for line in (CLUSTER / "slurm.sh").read_text().splitlines() if line.startswith("secateur run"))
    for line in (job["entrypoint"], script.partition("||")[0]):
        context = run_command.make_context("run", shlex.split(line)[2:])
        assert context.params["executor"] == "ray"
        assert context.params["address"]
    groups = [job["rayClusterSpec"]["headGroupSpec"], *job["rayClusterSpec"]["workerGroupSpecs"]]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/work"]
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": group["template"]}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
