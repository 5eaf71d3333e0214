"""Reading files that are right, wrong and hostile; every message word for word."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from suites import SuiteError
from suites.document import read, validated


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recipe(Part):
    refused: ClassVar[Mapping[str, str]] = {"recovery": "not supported yet"}
    method: str
    sparsity: float = Field(gt=0, lt=1)


class Candidate(Part):
    recipe: str | Recipe | None = None
    model: str | None = None


class Plan(Part):
    name: str
    candidates: dict[str, Candidate] = {}
    severity: Literal["block", "warn"] = "block"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write plan.yaml, or another name, into the working folder and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(content: str | bytes, name: str = "plan.yaml") -> str:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write


def refusal(path) -> list[str]:
    with pytest.raises(SuiteError) as error:
        validated(read(path), Plan)
    return str(error.value).split("\n")


def test_values_follow_yaml_1_2_as_in_promptfoo(file):
    document = read(file("a: [yes, no, on, 2024-01-05, 12:30, 1e3, 007, 0x1F, .5, ~, true, '1', !!str 1]\n1: key\n"))
    expected = ["yes", "no", "on", "2024-01-05", "12:30", 1000.0, 7, 31, 0.5, None, True, "1", "1"]
    assert document.data == {"a": expected, "1": "key"}


def test_merge_keys_and_aliases(file):
    document = read(file("base: &base {a: 1, b: 2}\nmine: {<<: *base, b: 3}\nsame: *base\n"))
    assert document.data == {"base": {"a": 1, "b": 2}, "mine": {"a": 1, "b": 3}, "same": {"a": 1, "b": 2}}


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.yaml", "# comment\na:\n  - b: 1\n    c: |\n      text\n      more\n  - d: 2\n", [2, 2, 3, 4, 7]),
        ("a.json", '{\n"a":\n[{"b": 1,\n"c": "[\\n\\"}"},\n\n\n{"d": 2}]}', [1, 2, 3, 4, 7]),
    ],
)
def test_every_key_knows_its_line(file, name, text, lines):
    document = read(file(text, name))
    assert [document.line(path) for path in ([], ["a"], ["a", 0, "b"], ["a", 0, "c"], ["a", 1, "d"])] == lines
    assert document.line(["a", 1, "absent", 5]) == 7


def test_jsonl_lines(file):
    document = read(file('{"a": 1}\n\n{"a": "\\ud83d\\ude00"}\n', "a.jsonl"))
    assert document.data == [{"a": 1}, {"a": "😀"}]
    assert [document.line([0]), document.line([1, "a"])] == [1, 3]


def test_byte_order_mark_is_no_content(file):
    assert read(file(b"\xef\xbb\xbfname: x\n")).data == {"name": "x"}


WRONG_FILES = [
    ("latin-1", b"name: x\nb: caf\xe9\n", "plan.yaml:2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    ("utf-16", "name: x\n".encode("utf-16"), "plan.yaml:1: byte 0xff is not UTF-8; save the file as UTF-8"),
    ("empty", b"", "plan.yaml: the file is empty"),
    ("only a comment", b"# nothing\n", "plan.yaml: the file is empty"),
    ("control character", b"a: 1\nb: \x00\n", "plan.yaml:2: control character U+0000 is not allowed"),
    ("broken", b"a: 1\nb: [1\nc: 2\n", "plan.yaml:3: not valid YAML: did not find expected ',' or ']'"),
    ("duplicate key", b"a: 1\nb: 2\na: 3\n", "plan.yaml:3: key 'a' is given twice (first on line 1)"),
    ("two documents", b"a: 1\n---\nb: 2\n", "plan.yaml:2: a second YAML document starts here; a file holds one"),
    ("a tag", b"a: !!python/name:os.system x\n", "plan.yaml:1: YAML tag '!!python/name:os.system' is not allowed"),
    ("depth", b"a: " + b"[" * 100 + b"]" * 100, "plan.yaml:1: nested deeper than 64 levels"),
    ("an alias in itself", b"a: &a [*a]\n", "plan.yaml:1: alias '*a' has no finished anchor before it"),
    ("a list as a key", b"? [a]\n: 1\n", "plan.yaml:1: a key must be a plain word or text"),
    ("a very long number", b"a: " + b"9" * 5000, "plan.yaml:1: a number of 5000 digits is not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), [row[1:] for row in WRONG_FILES], ids=[row[0] for row in WRONG_FILES])
def test_wrong_file(file, content, message):
    assert refusal(file(content)) == [message]


def test_alias_bomb_is_refused_before_it_grows(file):
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    assert refusal(file("\n".join(layers))) == ["plan.yaml:7: more than 2000000 values once aliases are written out"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"a": 1,\n "a": 2}', "a.json:2: key 'a' is given twice (first on line 1)"),
        ("a.json", '{"a": 1,\n b: 2}', "a.json:2: not valid JSON: Expecting property name enclosed in double quotes"),
        ("a.json", "[NaN]", "a.json:1: not valid JSON: NaN is no JSON number"),
        ("a.json", '["\\ud800"]', "a.json:1: half of a surrogate pair is not a character"),
        ("a.json", "[" * 100_000, "a.json:1: nested deeper than 64 levels"),
        ("a.jsonl", '{"a": 1}\n{"a": 1\n', "a.jsonl:2: not valid JSON: Expecting ',' delimiter"),
        ("a.txt", "a", "a.txt: the name must end in .yaml, .yml, .json, .jsonl"),
    ],
)
def test_wrong_json(file, name, text, message):
    assert refusal(file(text, name)) == [message]


def test_no_file_and_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    assert refusal("absent.yaml") == ["absent.yaml: no such file"]
    assert refusal("folder.yaml") == ["folder.yaml: is a folder; give a file"]
    assert refusal(tmp_path) == [f"{tmp_path}: is a folder; give a file"]


def test_all_faults_at_once(file):
    text = """\
name: 3
severity: blok
candidates:
  a: {recepi: cfsp}
  b:
    recipe: {method: x, sparsity: 1.5, recovery: 1}
  c: {recipe: [1]}
  d: {recipe: {}}
  e: 7
  f: {recipe: 8}
"""
    assert refusal(file(text)) == [
        "plan.yaml:1: name: must be text, found 3",
        "plan.yaml:2: severity: must be 'block' or 'warn', found 'blok', did you mean 'block'?",
        "plan.yaml:4: candidates.a.recepi: unknown key, did you mean 'recipe'? allowed: model, recipe",
        "plan.yaml:6: candidates.b.recipe.sparsity: must be less than 1, found 1.5",
        "plan.yaml:6: candidates.b.recipe.recovery: not supported yet; allowed: method, sparsity",
        "plan.yaml:7: candidates.c.recipe: must be text or a mapping",
        "plan.yaml:8: candidates.d.recipe.method: missing",
        "plan.yaml:8: candidates.d.recipe.sparsity: missing",
        "plan.yaml:9: candidates.e: must be a mapping, found 7",
        "plan.yaml:10: candidates.f.recipe: must be text or a mapping, found 8",
    ]


def test_a_list_where_a_mapping_belongs(file):
    assert refusal(file("- 1\n")) == ["plan.yaml:1: must be a mapping"]
