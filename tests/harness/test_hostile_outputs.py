"""Hostile names and reasons stay text for a terminal, GitHub's runner, Markdown and XML."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from harness.commands import entry
from harness.gates import Gate, Where
from harness.progress import shown
from harness.showing import outputs
from harness.showing.github import annotated
from harness.statistics.delta import Delta
from harness.verdicts.finding import Finding
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import Outcome
from reports.visible import visible
from tests.browser.hostile import strings

ROOT = Path(__file__).parents[2]
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal acts on, but for tab and newline."""


def outcome(text: str) -> Outcome:
    """One judged candidate and one that failed, with the text wherever a plan, a suite or a server may bring it in."""
    gate = Gate.model_construct(metric=f"{text}.pass_rate", margin=0.05, where=Where.model_construct(tag=text))
    delta = Delta(gate.metric, "share", "drop", 0.8, 0.7, 0.1, 0.1, 0.02, 0.18, 100, 100, "Tango score")
    verdict = Verdict("small", "REGRESSION", (Finding(gate, "REGRESSION", text, delta, "block"),))
    return Outcome(text, "j", (verdict,), {"gone": text}, not_checked=(text,), noise=(text,))


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_markdown_shows_every_string_as_text(tmp_path: Path) -> None:
    reader = MarkdownIt("commonmark").enable("table")
    plain = kinds(reader, written(outcome("plainword"), tmp_path / "plain.md"))
    for number, text in enumerate(filter(str.strip, strings())):
        source = written(outcome(text), tmp_path / f"{number}.md")
        assert kinds(reader, source) == plain, text
        content = "".join(
            "".join(part.content for part in token.children if part.type in ("text", "text_special"))
            for token in reader.parse(source)
            if token.children
        )
        assert content.count(squeezed(visible(text))) >= 7, text
        assert not re.search(r"https?://|www\.", source), text


def written(done: Outcome, path: Path) -> str:
    outputs.append_markdown(done, path)
    return path.read_text("utf-8")


def kinds(reader: MarkdownIt, source: str) -> list[str]:
    """What the text is made of, text itself left out."""
    tokens = reader.parse(source)
    inner = [part.type for token in tokens for part in token.children or () if not part.type.startswith("text")]
    return [token.type for token in tokens] + inner


def test_junit_can_be_read_whatever_it_says(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    for text in strings():
        outputs.write_junit(outcome(text), path)
        suites = ElementTree.parse(path).getroot()
        assert [[part.tag for part in suite] for suite in suites] == [["testcase"], ["testcase"]], text
        assert {part.tag for part in suites.iter()} == {"testsuites", "testsuite", "testcase", "failure", "error"}


def test_an_annotation_is_one_command_of_the_runner() -> None:
    """A line each, and what the runner reads back is what was said."""
    for text in strings():
        for line in annotated(outcome(text), "demo"):
            said = re.fullmatch(r"::error title=([^,:\r\n]*)::([^\r\n]*)", line)
            assert said, text
            unescaped = said[2].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
            assert unescaped == text


def test_no_command_prints_but_through_say() -> None:
    """Other programs read what is printed without an end of line, or as JSON; a person reads the rest."""
    for path in (ROOT / "harness/commands").glob("*.py"):
        if path.name != "saying.py":
            for line in re.findall(r"(?:click\.echo|print)\(.*", path.read_text()):
                assert "nl=False" in line or "json.dumps" in line, path


def test_no_letter_of_a_file_reaches_the_terminal_as_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text('prompts: ["x\\e]0;title\\a{{a}}"]\ntests: [{vars: {a: "b\\e[2J\\x9bK"}, tags: ["\\e[31m"]}]\n')
    assert entry(["suite", "show", str(suite)]) == 0
    suite.write_text('prompts: [a]\ntests: [{assert: [{type: equals, value: a, "t\\e[31mreshold": 1}]}]\n')
    assert entry(["suite", "check", str(suite)]) == 3
    said = capsys.readouterr()
    assert not OBEYED.search(said.out + said.err)
    assert "␛[31m" in said.out
    assert "t␛[31mreshold: unknown key" in said.err


def test_progress_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with shown(quiet=False) as progress:
        progress("suite [/b]\x1b[2J", 1, 1)
    assert "suite [/b]␛[2J: done" in capsys.readouterr().err
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    with shown(quiet=False) as progress:
        progress("suite [/b]\x1b[2J", 1, 2)
    assert "suite [/b]␛[2J" in terminal.getvalue()
