"""JavaScript of a suite: no files, no network, no memory of other calls, and an end."""

import json

import pytest

from suites import Allowance, Reply, SuiteError, grade, load, script
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
    monkeypatch.setattr(script, "SECONDS", 0.2)
    looped = check("while (true) {}\nreturn true")
    assert (looped.passed, looped.reason) == (False, "the code failed: JavaScript was terminated by timeout")
    monkeypatch.setattr(script, "SECONDS", 5)
    grown = check("const a = [];\nwhile (true) a.push(new Array(1e6).fill(1));")
    assert (grown.passed, grown.reason) == (False, "the code failed: JavaScript memory limit reached")


def test_an_answer_cannot_become_code():
    assert check("output.length === 18", "'); return true; (' ").passed is False
    assert check("output === context.prompt + ', \\u2028' + '`${1}</script>'", ", \u2028`${1}</script>").passed


EXPORTS = {
    "a.js": "module.exports = (output, context) => output === context.vars.want;",
    "a.cjs": "const f = (o, c) => o === c.vars.want;\nmodule.exports = { default: f, named: () => false };",
    "a.mjs": "export default async function (o, c) {\n  return { pass: o === c.vars.want, score: 1, reason: '' };\n}",
    "b.js": "export const named = (o, c) => o === c.vars.want;",
    "c.js": "const other = (o, c) => o === c.vars.want;\nexport { other as named };",
}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_file_says_what_its_function_does(tmp_path, name):
    (tmp_path / name).write_text(EXPORTS[name], "utf-8")
    value = f"file://{name}{':named' if name[0] in 'bc' else ''}"
    test = {"vars": {"want": "yes"}, "assert": [{"type": "javascript", "value": value}]}
    (tmp_path / "s.json").write_text(json.dumps({"prompts": ["?"], "tests": [test]}), "utf-8")
    case = load(tmp_path / "s.json", Allowance(code=True)).cases[0]
    assert [grade(case, answer).passed for answer in ("yes", "no")] == [True, False]


WRONG = [
    (
        "const fs = require('fs');\nmodule.exports = () => true;",
        "it brings in .fs.; JavaScript runs here",
    ),
    ("import { a,\n  b } from './b.js';\nexport default a;", "it brings in './b.js'"),
]


@pytest.mark.parametrize(("code", "message"), WRONG)
def test_a_file_that_needs_modules_is_refused(tmp_path, code, message):
    (tmp_path / "a.js").write_text(code, "utf-8")
    transform = {"type": "equals", "value": "A", "transform": "file://a.js"}
    for assertion in ({"type": "javascript", "value": "file://a.js"}, transform):
        (tmp_path / "s.json").write_text(json.dumps({"prompts": ["?"], "tests": [{"assert": [assertion]}]}), "utf-8")
        with pytest.raises(SuiteError, match=message):
            load(tmp_path / "s.json", Allowance(code=True))
    assertions = [assertion, {"type": "equals", "value": "A"}]
    (tmp_path / "s.json").write_text(json.dumps({"prompts": ["?"], "tests": [{"assert": assertions}]}), "utf-8")
    assert load(tmp_path / "s.json", Allowance(code=True, skip_unsupported=True)).not_checked == "equals 1"


FAILS = {
    "() => new Promise(() => {})": "its promise never ends: there are no timers here",
    "() => { throw new Error('no') }": "Error: no",
    "async () => { throw new Error('no') }": "Error: no",
    "7": "Error: it exports no function",
}


@pytest.mark.parametrize("code", FAILS)
def test_a_function_that_fails_says_why(code):
    with pytest.raises(SuiteError, match=FAILS[code]):
        script.Script(f"module.exports = {code};").result("x", {})
