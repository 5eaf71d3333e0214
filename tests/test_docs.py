"""The documents name all that there is, and what they show is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import compress
import suites
from compress import methods, recovery
from compress.training.settings import NAMED, Data, Recovery
from harness import metrics
from harness.commands import COMMANDS
from harness.plan import Plan
from harness.plan_file import built_in
from harness.telling.sharing import Selection, Sharing, Telemetry

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMPRESSION = (ROOT / "docs" / "compression.md").read_text()
RECOVERY = (ROOT / "docs" / "recovery.md").read_text()
SUITES = (ROOT / "docs" / "suites.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"`secateur {command}" in README


@pytest.mark.parametrize("name", [*metrics.names(), *built_in()])
def test_every_metric_and_built_in_plan_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README or f"secateur run {name}" in README


@pytest.mark.parametrize("name", [*methods.names(), *compress.recipe_names()])
def test_every_method_and_recipe_is_documented(name: str) -> None:
    assert f"`{name}`" in COMPRESSION


@pytest.mark.parametrize("name", [*recovery.FOLDER.names(), *NAMED])
def test_every_recovery_is_documented(name: str) -> None:
    assert f"| `{name}` |" in RECOVERY


def test_the_recovery_of_the_docs_has_every_setting_at_its_default() -> None:
    text = next(iter(re.findall(r"```yaml\n(.*?)```", RECOVERY, re.DOTALL)))
    shown = yaml.safe_load(text)["recovery"]
    assert shown["data"].pop("sources") == ["mine.jsonl", "self"]
    assert set(shown) == set(Recovery.model_fields)
    assert set(shown["data"]) == set(Data.model_fields) - {"sources"}
    assert Recovery.model_validate(shown) == Recovery()


@pytest.mark.parametrize("name", suites.names())
def test_every_suite_is_documented(name: str) -> None:
    assert f"`{name}`" in SUITES


@pytest.mark.parametrize(("key", "form"), [("promptlayer", Sharing), ("otlp", Telemetry)])
def test_what_may_leave_is_documented_with_every_setting(key: str, form: type[Selection]) -> None:
    document = (ROOT / "docs" / {"promptlayer": "promptlayer.md", "otlp": "telemetry.md"}[key]).read_text()
    shown = yaml.safe_load(next(iter(re.findall(r"```yaml\n(.*?)```", document, re.DOTALL))))[key]
    assert set(shown) == set(form.model_fields)
    assert form.model_validate(shown).send == form().send


def test_the_plan_of_the_readme_is_a_plan() -> None:
    text = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "original:" in block)
    assert Plan.model_validate(yaml.safe_load(text)).name == "support-bot"


def test_the_plan_of_the_built_in_suites_is_a_plan() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "suites-built-in.md").read_text(), re.DOTALL)
    models = {"name": "t", "original": "smollm2-135m", "candidates": {"c": {"recipe": "cfsp-05"}}}
    assert set(Plan.model_validate({**models, **yaml.safe_load(text)}).suites) <= {*suites.names()}


def test_links_lead_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_file_the_tree_names_is_there() -> None:
    tree = re.search(r"## The tree\n\n```\n(.*?)```", README, re.DOTALL)
    assert tree
    folder = ""
    for line in tree[1].splitlines()[1:]:
        if not line.startswith(" "):
            folder = line.split("/")[0]
            continue
        for name in re.findall(r"\S+\.py|\S+/", line[:40].split("   ")[0] if "   " in line[2:] else line):
            assert (ROOT / folder / name.strip()).exists(), f"{folder}/{name}"
