"""Suites that load, and what is said of those that do not."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suites import Allowance, SuiteError, check, grade, load, names

USER = "user"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder in which to write files by name."""
    monkeypatch.chdir(tmp_path)

    def write(**files: str) -> str:
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text, "utf-8")
        return "s.yaml"

    return write


def asked(suite):
    return [[(each["role"], each["content"]) for each in case.messages] for case in suite.cases]


def faults(path) -> list[str]:
    with pytest.raises(SuiteError) as error:
        load(path)
    return str(error.value).split("\n")


def test_a_whole_suite(folder):
    suite = load(
        folder(
            s__yaml="""\
description: capitals
providers: [openai:gpt-4]
prompts:
  - "What is the capital of {{ country }}?"
  - '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of {{ country }}?"}]'
defaultTest:
  vars: {country: nowhere}
  metadata: {owner: me, tags: [facts]}
  threshold: 0.5
  max_new_tokens: 8
  assert: [{type: word-count, value: {max: 9}, weight: 0, metric: "short-{{ country }}"}]
tests:
  - id: fr
    description: near
    vars: {country: France, capital: Paris}
    tags: [easy]
    assert: [{type: icontains, value: "{{ capital }}", weight: 2}]
  - vars: {country: [Italy, Spain]}
    threshold: 1
    max_new_tokens: 20
    metadata: {tags: [hard]}
    options: {disableDefaultAsserts: true}
    assert: [{type: not-is-json}]
"""
        )
    )
    assert (suite.name, suite.description) == ("s", "capitals")
    assert suite.notes == ("providers: not used: the plan says which models are asked, and how",)
    countries = ["France", "France", "Italy", "Spain", "Italy", "Spain"]
    assert [case.vars["country"] for case in suite.cases] == countries
    assert asked(suite)[:2] == [
        [("user", "What is the capital of France?")],
        [("system", "Be brief."), ("user", "Capital of France?")],
    ]
    assert [sorted(case.tags) for case in suite.cases] == [["easy", "facts"]] * 2 + [["hard"]] * 4
    assert [case.threshold for case in suite.cases] == [0.5] * 2 + [1] * 4
    assert [case.max_new_tokens for case in suite.cases] == [8] * 2 + [20] * 4
    assert suite.cases[0].metadata == {"owner": "me", "tags": ["facts"]}
    first, last = suite.cases[0], suite.cases[-1]
    assert [(each.type, each.weight, each.metric) for each in first.assertions] == [
        ("word-count", 0, "short-France"),
        ("icontains", 2, None),
    ]
    assert [each.type for each in last.assertions] == ["not-is-json"]
    assert check("s.yaml") == [
        "s: 6 cases",
        "tags: easy 2, facts 2, hard 4",
        "assertions: icontains 2, not-is-json 4, word-count 2",
        *suite.notes,
    ]


def test_ids_are_unique_and_survive_a_new_order(folder):
    tests = [
        {"id": "one", "vars": {"q": "a"}},
        {"id": "many", "vars": {"q": ["b", "c"]}},
        {"vars": {"q": "d"}},
        {"vars": {"q": "d"}, "description": "again"},
    ]
    suites = []
    for order in (tests, tests[::-1]):
        suites.append(load(folder(s__yaml=yaml.safe_dump({"prompts": "{{ q }}", "tests": order}))))
    ids = [{case.id: case.vars["q"] for case in suite.cases} for suite in suites]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 5
    assert [name.split("-")[0] for name in ids[0]][:3] == ["one", "many", "many"]


def test_digest_follows_what_decides_a_result(folder):
    text = "prompts: 'Say {{ w }}'\ntests:\n- {vars: {w: hi}, description: x, assert: [{type: contains, value: hi}]}\n"
    same = [text, text.replace("description: x", "description: y"), "# comment\n" + text]
    other = [text.replace("Say", "Tell"), text.replace("contains", "not-contains"), text.replace("x,", "x, tags: [a],")]
    digests = [load(folder(s__yaml=variant)).digest for variant in same + other]
    assert len(set(digests[:3])) == 1
    assert len(set(digests)) == 4


def test_files_beside_the_suite(folder):
    suite = load(
        folder(
            s__yaml="prompts: [file://p.txt, file://c.json]\ntests: [file://t.jsonl, {vars: {q: three}}]\n",
            p__txt="First {{ q }}\n---\nSecond {{ q }}\n",
            c__json='[{"role": "user", "content": "Say \\"{{ q }}\\""}]',
            t__jsonl='{"vars": {"q": "one"}}\n{"vars": {"q": "t\\"wo"}}\n',
        )
    )
    texts = [messages[0][1] for messages in asked(suite)]
    assert texts[:3] == ["First one", "Second one", 'Say "one"']
    assert texts[5] == 'Say "t"wo"'
    assert len(texts) == 9


def test_jsonl_alone_is_a_suite(folder):
    folder(s__jsonl='{"vars": {"prompt": "one"}}\n{"messages": [{"role": "user", "content": "two"}]}\n')
    assert asked(load("s.jsonl")) == [[(USER, "one")], [(USER, "two")]]


def test_prefix_suffix_and_no_expansion(folder):
    text = """\
prompts: "{% for x in list %}{{ x }};{% endfor %}{{ list }}{{ yes }}{{ none }}{{ one }}"
tests:
  - vars: {list: [a, 2], yes: true, none: null, one: 1.0}
    options: {disableVarExpansion: true, prefix: "<", suffix: ">\\n"}
"""
    assert asked(load(folder(s__yaml=text))) == [[(USER, "<a;2;a,2true1>\n")]]


def test_vars_may_be_templates_and_values_of_vars_are_no_templates_twice(folder):
    text = "prompts: '{{ hello }}'\ntests: [{vars: {hello: 'hi {{ name }}', name: '{% raw %}{{ x }}{% endraw %}'}}]\n"
    assert asked(load(folder(s__yaml=text))) == [[(USER, "hi {% raw %}{{ x }}{% endraw %}")]]


def test_what_cannot_be_checked_is_counted_if_the_user_says_so(folder):
    text = """\
prompts: "{{ q }}"
defaultTest: {assert: [{type: webhook, value: x}]}
tests:
  - {id: a, vars: {q: one}, assert: [{type: equals, value: one}]}
  - {id: b, vars: {q: two}, assert: [{type: assert-set, assert: [{type: ruby, value: x}, {type: equals, value: two}]}]}
  - {id: c, vars: {q: three}}
"""
    suite = load(folder(s__yaml=text), Allowance(skip_unsupported=True))
    assert [case.id for case in suite.cases] == ["a", "b"]
    assert suite.not_checked == "ruby 1, webhook 3; 1 cases left out, which have no other assertion"
    for case, right in zip(suite.cases, ("one", "two"), strict=True):
        assert (grade(case, right).passed, grade(case, right).score) == (True, 1.0)
        assert not grade(case, "?").passed
    with pytest.raises(SuiteError, match="none of the 1 cases has an assertion that can be checked here"):
        load(folder(s__yaml="tests: [{vars: {prompt: a}, assert: [{type: pi}]}]"), Allowance(skip_unsupported=True))


WRONG = [
    pytest.param(row["suite"], row["faults"], id=row["why"])
    for row in yaml.safe_load((Path(__file__).parent / "wrong.yaml").read_text("utf-8"))
]


@pytest.mark.parametrize(("text", "messages"), WRONG)
def test_wrong_suite(folder, text, messages):
    assert faults(folder(s__yaml=text)) == messages


def test_a_template_that_grows_without_bound(folder):
    prompt = "{{ '" + "a" * 2000 + "' | replace('a', '" + "a" * 2000 + "') }}"
    text = yaml.safe_dump({"prompts": prompt, "tests": [{}]})
    assert faults(folder(s__yaml=text))[0].endswith("tests[0]: template: the text grows beyond 1000000 characters")


def test_faults_in_a_file_of_tests_name_that_file(folder):
    folder(
        s__yaml="prompts: [a]\ntests: file://t.yaml\n", t__yaml="- assert:\n  - {type: equals}\n  - {tipe: equals}\n"
    )
    assert faults("s.yaml") == [
        "t.yaml:2: [0].assert[0]: equals needs a value",
        "t.yaml:3: [0].assert[1].type: missing",
        "t.yaml:3: [0].assert[1].tipe: unknown key, did you mean 'type'? "
        "allowed: assert, config, metric, rubricPrompt, threshold, transform, type, value, weight",
    ]


def test_many_faults_are_cut(folder):
    tests = [{"assert": [{"type": "equals"}]}] * 60
    assert faults(folder(s__yaml=yaml.safe_dump({"prompts": "a", "tests": tests}, default_flow_style=True)))[-1] == (
        "... and 10 more"
    )


def test_unknown_name():
    expected = f"no suite named 'smokee', did you mean 'smoke'? allowed: {', '.join(names())}, or the path of a file"
    assert faults("smokee") == [expected]


TEMPLATES = ["{{ a }}", "{{ a.b['c'] | upper }}", "{% for x in a %}{{ x }}{% endfor %}", "file://s.yaml", "["]
HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(TEMPLATES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["equals", "contains-any", "regex", "is-json", "not-word-count", "x"])
TEST = st.fixed_dictionaries(
    {},
    optional={
        "vars": st.dictionaries(st.sampled_from(["a", "b", "prompt"]), HOSTILE) | HOSTILE,
        "assert": st.lists(st.fixed_dictionaries({"type": TYPES, "value": HOSTILE})),
        "metadata": HOSTILE,
        "options": HOSTILE,
        "threshold": HOSTILE,
    },
)
SUITE = st.fixed_dictionaries(
    {"tests": st.lists(TEST, min_size=1, max_size=3)},
    optional={"prompts": HOSTILE | st.just("{{ a }}"), "defaultTest": TEST},
)
QUIET = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def loads_or_is_refused(path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        assert load(path).cases
    except SuiteError:
        return


@QUIET
@given(content=st.binary(max_size=200) | st.text(alphabet="[]{}:-,&*!|>%'\"#?a1 \n\t<", max_size=60).map(str.encode))
def test_any_bytes_load_or_are_refused(tmp_path, content):
    for name in ("s.yaml", "s.json", "s.jsonl"):
        loads_or_is_refused(tmp_path / name, content)


@QUIET
@given(data=SUITE)
def test_any_values_load_or_are_refused(tmp_path, data):
    loads_or_is_refused(tmp_path / "s.yaml", yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "replace"))
    loads_or_is_refused(tmp_path / "s.json", json.dumps(data).encode())


def test_keys_that_are_like_none_are_noted_and_those_that_nearly_are_one_refused(folder):
    text = """\
prompts: ["{{ q }}"]
vars: {q: a}
redteam: {plugins: [harmful]}
defaultTest: {options: {temperature: 0, timeout: 5}}
tests:
- {vars: {q: a}, assert: [{type: equals, value: a, comment: why}, {type: equals, value: a, comment: why}]}
"""
    assert load(folder(s__yaml=text)).notes == (
        "redteam: not used: attacks are not made here; what tests there are is asked",
        "vars: not used: no key of a suite",
        "defaultTest.options.temperature: not used: no key of a suite",
        "defaultTest.options.timeout: not used: no key of a suite",
        "tests.assert.comment: not used: no key of a suite (2 times)",
    )
    assert faults(folder(s__yaml=text.replace("comment", "treshold"))) == [
        f"s.yaml:6: tests[0].assert[{number}].treshold: unknown key, did you mean 'threshold'? allowed: assert, "
        "config, metric, rubricPrompt, threshold, transform, type, value, weight"
        for number in (0, 1)
    ]


def test_nothing_behind_a_key_and_numbers_as_text_are_read_as_promptfoo_does(folder):
    text = """\
prompts: [file://chat.yaml]
defaultTest:
scenarios:
tests:
- {description: 12, vars: {turns: [{role: user, said: Hi}, {role: assistant, said: Ho}]}, threshold: '0.5', assert: }
"""
    turns = "{% for one in turns %}\n- {role: {{ one.role }}, content: {{ one.said }}}{% endfor %}"
    chat = f"- role: system\n  content: S\n{turns}"
    (case,) = load(folder(s__yaml=text, chat__yaml=chat)).cases
    assert (case.description, case.threshold, case.assertions) == ("12", 0.5, ())
    assert [message["content"] for message in case.messages] == ["S", "Hi", "Ho"]
    assert faults(folder(s__yaml="prompts: [a]\ntests: [{path: file://t.js, config: {n: 3}}]\n"))[0].startswith(
        "s.yaml:2: tests[0].path: what makes tests is a program; write down what it makes; allowed: "
    )


def test_nothing_is_written_for_a_variable_that_there_is_not_and_a_note_says_so(folder):
    text = """\
prompts: ["{{ q }}|{{ extra }}|{{ user.name.first }}|{% if user.name %}yes{% endif %}"]
tests: [{vars: {q: a}}, {vars: {q: b, extra: c}}]
"""
    suite = load(folder(s__yaml=text))
    assert [messages[0][1] for messages in asked(suite)] == ["a|||", "b|c||"]
    assert suite.notes == (
        "{{ extra }} in prompts: no var of some test, where nothing is written for it",
        "{{ user }} in prompts: no var of some test, where nothing is written for it",
    )
    for wrong in ("{{ env.HOME }}", "{{ q.x }}", "{{ extra | upper }}"):
        with pytest.raises(SuiteError, match=r"undefined|no attribute"):
            load(folder(s__yaml=f"prompts: ['{wrong}']\ntests: [{{vars: {{q: a}}}}]\n"))
