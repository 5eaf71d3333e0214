"""A suite from PromptLayer's request history: asked again as it was asked, redacted, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.commands import entry
from harness.telling.outbox import Pace
from harness.telling.requests import Wanted, logged_of, remembered
from suites import load
from suites.reply import Reply
from tests.harness.contract_server import KEY, ContractServer, serving

ACCOUNT = "PROMPTLAYER_API_KEY"
FAST = Pace(first_wait_seconds=0.01, longest_wait_seconds=0.02)


def message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def log(text: str, said: str, tag: str = "prod", user: str = "ada") -> dict[str, Any]:
    turns = [message("system", "Be brief."), message("user", text)]
    output = {"type": "chat", "messages": [message("assistant", said)]}
    tags, metadata = [tag], {"user": user}
    return {
        "input": {"type": "chat", "messages": turns},
        "output": output,
        "tags": tags,
        "metadata": metadata,
        "seen": 0,
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ContractServer]:
    logs = {n: log(f"Add {{{{ {n} }}}} to {n}, mail a@b.org", f'{{"sum": {2 * n}}}') for n in range(1, 61)}
    logs[61] = log("Add {{ 60 }} to 60, mail a@b.org", "once more")
    logs[62] = log("Other", "x", tag="test")
    logs[63] = log("Whose?", "x", user="bob")
    with serving(ContractServer(logs=logs)) as one:
        monkeypatch.setenv("PROMPTLAYER_BASE_URL", one.url)
        monkeypatch.setenv(ACCOUNT, KEY)
        yield one


def test_a_suite_asks_again_what_was_asked(server: ContractServer, tmp_path: Path) -> None:
    """Newest first, over several pages; braces mean themselves; what is asked twice is asked once."""
    file = tmp_path / "old.yaml"
    options = ["--tag", "prod", "--metadata", "user", "ada", "--most", "55", "--redact", r"\S+@\S+"]
    assert entry(["suite", "from-promptlayer", *options, "--type", "equals", "--to", str(file)]) == 0
    cases = load(str(file)).cases
    assert len(cases) == 54
    assert cases[0].id == "request-61"
    assert cases[1].id == "request-59"
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Add {{ 59 }} to 59, mail [redacted]"},
    ]
    assert cases[1].messages == turns
    assert cases[1].metadata["promptlayer_request"] == 59
    assert cases[1].assertions[0].check(Reply('{"sum": 118}'), None).passed
    assert "# left out, 1: it asks what another one asks" in file.read_text()
    assert server.calls["/api/public/v2/requests/search"] == 3
    assert entry(["suite", "from-promptlayer", "--to", str(file)]) == 3


def test_reading_is_tried_again_where_that_helps(server: ContractServer) -> None:
    server.fault = lambda path, number: "429" if number % 2 else None
    text = "".join(remembered(Wanted(ACCOUNT, most=2), FAST))
    assert [case["id"] for case in yaml.safe_load(text)["tests"]] == ["request-63", "request-62"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tag", "none"], "no request of PromptLayer's history can be asked (none was found)"),
        (["--redact", "("], "--redact: Value error, pattern '(' is not valid"),
        (["--type", "icontain"], "did you mean"),
        (["--api-key-env", "OTHER"], "OTHER is not set"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(
    server: ContractServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert entry(["suite", "from-promptlayer", *options, "--to", str(tmp_path / "s.yaml")]) == 3
    shown = capsys.readouterr().err
    assert said in shown
    assert len(shown.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("blueprint", "said"),
    [
        (None, "no chat"),
        ({"prompt_template": {"type": "completion", "content": []}}, "no chat"),
        ({"messages": [message("assistant", "x")]}, "asks nothing"),
        ({"messages": [message("tool", "x")]}, "another role"),
        ({"messages": [message("user", "x")], "tools": [{}]}, "has tools"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not text"),
        ({"messages": [7]}, "another role"),
    ],
)
def test_what_a_suite_cannot_ask_is_left_out(blueprint: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        logged_of(1, {"prompt_blueprint": blueprint})
