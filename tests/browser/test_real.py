"""The way hostile text takes in life, through a whole job: a suite's names, a model's path, a server's answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
import yaml

from harness.commands import entry
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.records import ModelSpec
from tests.browser.hostile import strings
from tests.browser.test_hostile import plain
from tests.harness.conftest import byte_tokenizer, tiny_llama
from tests.harness.endpoint_server import EndpointServer, Fault, Json, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

NAME = "<img src=x onerror=alert(1)> '\"&suite"
MODEL = "</title><script>alert(9)</script>\u202e"
HALVES = re.compile(r"[\ud800-\udfff]")
"""Of surrogate pairs; no text in UTF-8 can hold them."""
ASKED = "Say "


def parroted(path: str, body: Json, number: int) -> Fault:
    """Answer with the string whose number is asked for."""
    asked = body["messages"][-1]["content"]
    text = strings()[int(asked.removeprefix(ASKED))] if asked.startswith(ASKED) else "Hello"
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    reply = {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    return 200, json.dumps(reply).encode(), {}


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[str]:
    """A tiny model in a folder, a server that says the strings, and a suite that is named and described by them."""
    model, tokenizer = tiny_llama(0), byte_tokenizer()
    model.save_pretrained(tmp_path / "<b>model</b>")
    tokenizer.save_pretrained(tmp_path / "<b>model</b>")
    cases = [
        {
            "id": f"{text[:60]}#{number}",
            "description": text,
            "tags": [text],
            "vars": {"number": str(number)},
            "max_new_tokens": 2,
            "assert": [{"type": "contains", "value": "never so"}],
        }
        for number, text in enumerate(one.encode("utf-8", "replace").decode() for one in strings())
    ]
    suite = {"description": strings()[0], "prompts": [ASKED + "{{number}}"], "tests": cases}
    (tmp_path / f"{NAME}.json").write_text(json.dumps(suite))
    spec = ModelSpec("tiny", "tiny")
    server = EndpointServer(LoadedModel(model, tokenizer, spec, "f", "cpu", (Path("tiny"),)), fault=parroted)
    with serving(server):
        content = {
            "name": "<b>plan</b> {{ 7 * 7 }} [x](javascript:y)",
            "original": "./<b>model</b>",
            "candidates": {"served": {"endpoint": server.url, "model": MODEL}},
            "suites": [f"./{NAME}.json"],
            "gates": [
                {"metric": f"{NAME}.pass_rate", "margin": 0.05},
                {"metric": f"{NAME}.losses", "where": {"tag": strings()[0]}, "max": 0},
            ],
        }
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(content))
        yield str(path)


def test_a_job_of_hostile_text_ends_in_a_page_of_text(plan: str, page: Tab, tmp_path: Path) -> None:
    outcome = run(load_plan(plan), tmp_path / "out")
    assert outcome.exit_code == 0
    assert outcome.report
    page.goto(outcome.report.as_uri())
    page.get_by_role("radio", name="All").check()
    page.get_by_role("searchbox").fill("</script><script>alert('h110')</script>")
    page.get_by_text("1 of 260").wait_for()
    page.locator(".case summary").click()
    answer = page.locator(".case .side", has_text="After").locator(".answer")
    assert answer.inner_text() == "</script><script>alert('h110')</script>"
    shown = plain(page.locator("body").inner_text())
    for text in (NAME, MODEL.replace("\u202e", "⟨U+202E⟩"), "<b>plan</b> {{ 7 * 7 }} [x](javascript:y)"):
        assert text in shown
    assert entry(["store", "export", str(tmp_path / "files"), "--out", str(tmp_path / "out")]) == 0
    kept = {text for (text,) in duckdb.read_parquet(str(tmp_path / "files" / "answers.parquet"))["text"].fetchall()}
    # Letter by letter: hidden characters are spelt where they are shown, not where they are kept.
    assert {text.strip() for text in strings() if not HALVES.search(text)} <= kept
