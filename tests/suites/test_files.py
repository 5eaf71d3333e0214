"""Which files a suite may name: kinds, globs, folders, and none outside its own folder unless that is allowed."""

import os

import pytest

from suites import Allowance, SuiteError, load


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder `in` with a suite, and a file outside it."""
    (tmp_path / "in" / "tests").mkdir(parents=True)
    (tmp_path / "outside.txt").write_text("out")
    for name in ("b", "a"):
        (tmp_path / "in" / "tests" / f"{name}.yaml").write_text(f"- vars: {{prompt: {name}}}\n")
    (tmp_path / "in" / "tests" / "notes.md").write_text("no test")
    monkeypatch.chdir(tmp_path / "in")

    def write(text: str) -> str:
        (tmp_path / "in" / "s.yaml").write_text(text)
        return "s.yaml"

    return write


def asked(path, allowance=Allowance()):  # noqa: B008
    return [case.messages[0]["content"] for case in load(path, allowance).cases]


@pytest.mark.parametrize(
    "tests", ["tests/*.yaml", "file://tests/*.yaml", "tests", "[tests/a.yaml, 'file://tests/b.yaml']", "'**/[ab].yaml'"]
)
def test_tests_in_files(folder, tests):
    assert asked(folder(f"tests: {tests}\n")) == ["a", "b"]


OUTSIDE = [
    "prompts: [file://../outside.txt]\ntests: [{}]\n",
    "prompts: [a]\ntests: ['../**/*.yaml']\n",
    "prompts: ['{{ a }}']\ntests: [{vars: {a: file://../outside.txt}}]\n",
    "prompts: [a]\ntests: [{assert: [{type: equals, value: file://../outside.txt}]}]\n",
    "prompts: [a]\ndefaultTest: file:///etc/hosts\ntests: [{}]\n",
    "prompts: [file://link.txt]\ntests: [{}]\n",
]


@pytest.mark.parametrize("text", OUTSIDE)
def test_no_file_outside_the_folder(folder, text):
    os.symlink("../outside.txt", "link.txt")
    with pytest.raises(SuiteError, match=r"leads out of the suite's folder; allow it by --allow-outside"):
        load(folder(text))


def test_a_file_outside_the_folder_where_it_is_allowed(folder, tmp_path):
    assert asked(folder(OUTSIDE[2]), Allowance(outside=True)) == ["out"]
    absolute = OUTSIDE[2].replace("../outside.txt", str(tmp_path / "outside.txt"))
    assert asked(folder(absolute), Allowance(outside=True)) == ["out"]


def test_a_scenario_in_a_file(folder, tmp_path):
    scenario = "config: [{vars: {a: 1}}, {vars: {a: 2}}]\ntests: [{vars: {b: x}}, {vars: {b: y}}]\n"
    (tmp_path / "in" / "scenario.yaml").write_text(scenario)
    text = "prompts: ['{{ a }}{{ b }}']\nscenarios: ['file://scen*.yaml']\n"
    assert asked(folder(text)) == ["1x", "1y", "2x", "2y"]


def test_variables_of_the_environment_by_name_only(folder, monkeypatch):
    monkeypatch.setenv("SHOWN", "shown")
    monkeypatch.setenv("HIDDEN", "hidden")
    text = "env: {OWN: own}\nprompts: ['{{ env.OWN }} {{ env.%s }}']\ntests: [{}]\n"
    allowance = Allowance(env=frozenset({"SHOWN"}))
    assert asked(folder(text % "SHOWN"), allowance) == ["own shown"]
    with pytest.raises(SuiteError, match=r"no attribute 'HIDDEN'.*--allow-env"):
        load(folder(text % "HIDDEN"), allowance)
