"""JavaScript of a suite: no files, no network, no memory of other calls, and an end."""

import pytest

from suites import Reply
from suites.assertions import javascript_code
from suites.assertions.javascript_code import JavaScript


def check(code, text="x"):
    return JavaScript(code).check(Reply(text), None)


def test_there_is_nothing_to_reach_outside_with():
    names = ["require", "fetch", "XMLHttpRequest", "Deno", "WebSocket"]
    assert check("[" + ",".join(f"typeof {name}" for name in names) + "].every(t => t === 'undefined')").passed
    assert check("Object.keys(process.env).length === 0").passed


def test_one_call_knows_nothing_of_another():
    assert check("globalThis.seen = true").passed
    assert check("globalThis.seen === undefined").passed


# An engine that was cut short may still call back once its loop is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_ends_in_time_and_memory(monkeypatch):
    monkeypatch.setattr(javascript_code, "SECONDS", 0.2)
    looped = check("while (true) {}\nreturn true")
    assert (looped.passed, looped.reason) == (False, "the code failed: JavaScript was terminated by timeout")
    monkeypatch.setattr(javascript_code, "SECONDS", 5)
    grown = check("const a = [];\nwhile (true) a.push(new Array(1e6).fill(1));")
    assert (grown.passed, grown.reason) == (False, "the code failed: JavaScript memory limit reached")


def test_an_answer_cannot_become_code():
    assert check("output.length === 18", "'); return true; (' ").passed is False
    assert check("output === context.prompt + ', \\u2028' + '`${1}</script>'", ", \u2028`${1}</script>").passed
