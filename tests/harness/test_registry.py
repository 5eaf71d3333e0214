"""Prompts from PromptLayer's registry: brought once, asked as they were, and linked from the requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.commands import entry
from harness.telling.registry import frozen_of
from suites import SuiteError, load
from tests.harness.contract_server import KEY, ContractServer, serving


def chat(text: str, form: str = "f-string", role: str = "user") -> dict[str, Any]:
    message = {"role": role, "content": [{"type": "text", "text": text}], "template_format": form}
    return {"type": "chat", "messages": [message]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ContractServer]:
    versions = [{"labels": ["prod"], "template": chat("Hi {who}!")}, {"labels": [], "template": chat("Dear {who}")}]
    with serving(ContractServer(templates={"mail/greeting": versions})) as one:
        monkeypatch.setenv("PROMPTLAYER_BASE_URL", one.url)
        monkeypatch.setenv("PROMPTLAYER_API_KEY", KEY)
        yield one


def suite(folder: Path, address: str) -> Path:
    file = folder / "mail.yaml"
    file.write_text(f"prompts: ['{address}']\ntests: [{{vars: {{who: Ada}}}}]\n")
    return file


@pytest.mark.parametrize(
    ("address", "asked", "version"),
    [
        ("promptlayer://mail/greeting@prod", "Hi Ada!", 1),
        ("promptlayer://mail/greeting@2", "Dear Ada", 2),
        ("promptlayer://mail/greeting", "Dear Ada", 2),
    ],
)
def test_a_prompt_is_brought_and_asked(
    server: ContractServer, tmp_path: Path, address: str, asked: str, version: int
) -> None:
    file = suite(tmp_path, address)
    assert entry(["suite", "pull", str(file)]) == 0
    (case,) = load(file).cases
    assert case.messages == [{"role": "user", "content": asked}]
    assert case.metadata == {"promptlayer_prompt": "mail/greeting", "promptlayer_version": version}


def test_it_stays_as_it_was_until_it_is_brought_again(
    server: ContractServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = suite(tmp_path, "promptlayer://mail/greeting@prod")
    with pytest.raises(SuiteError, match=r"mail\.yaml:1: prompts\[0\]: .*is not here yet; `secateur suite pull"):
        load(file)
    entry(["suite", "pull", str(file)])
    first = load(file).digest
    server.templates["mail/greeting"][0]["labels"] = []
    server.templates["mail/greeting"][1]["labels"] = ["prod"]
    assert load(file).digest == first
    entry(["suite", "pull", str(file)])
    assert "version 2, changed" in capsys.readouterr().out
    assert load(file).digest != first
    entry(["suite", "pull", str(file)])
    assert "version 2, as before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("promptlayer://mail/greeting@staging", "404 Prompt template not found"),
        ("promptlayer://@prod", "names no prompt"),
        ("Hi {{ who }}", "names no prompt of the registry"),
    ],
)
def test_what_cannot_be_brought_is_one_line(
    server: ContractServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, said: str
) -> None:
    assert entry(["suite", "pull", str(suite(tmp_path, address))]) == 3
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown
    assert [path.name for path in tmp_path.iterdir()] == ["mail.yaml"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "no template"),
        ({"type": "chat", "messages": [7]}, "a message that is none"),
        (chat("x", role="tool"), "a message of role 'tool' cannot be asked"),
        (chat("{who.name}"), "the variable 'who.name' is no plain name"),
        (chat("{who"), "expected '}'"),
        (chat("x") | {"tools": [{}]}, "the prompt has tools"),
        ({"type": "chat", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not text"),
        ({"type": "chat", "messages": []}, "no message"),
    ],
)
def test_what_a_suite_cannot_ask_is_refused(template: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        frozen_of({"prompt_name": "p", "version": 1, "prompt_template": template})


@pytest.mark.parametrize(
    ("template", "asked"),
    [
        (chat("{who}: {{json}} {{ and }}"), "Ada: {json} { and }"),
        (chat("{{% raw %}}"), "{% raw %}"),
        (chat("{{ who }}: {json}", "jinja2"), "Ada: {json}"),
        ({"type": "completion", "content": [{"type": "text", "text": "To {who}"}]}, "To Ada"),
    ],
)
def test_both_kinds_of_templates_ask_the_same_as_there(tmp_path: Path, template: dict[str, Any], asked: str) -> None:
    kept = frozen_of({"prompt_name": "p", "version": 1, "prompt_template": template})
    (tmp_path / "promptlayer").mkdir()
    (tmp_path / "promptlayer" / "p.json").write_text(json.dumps(kept.model_dump()))
    assert load(suite(tmp_path, "promptlayer://p")).cases[0].messages[0]["content"] == asked


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../b", "a\\b", "%2e%2e"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    from suites.registry import file_of

    assert file_of(f"promptlayer://{name}", tmp_path).parent == tmp_path / "promptlayer"
