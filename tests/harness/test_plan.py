"""Plans: all faults of a file at once, each with file, line, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.plan import Plan
from harness.plan_file import built_in, load_plan, only
from harness.plan_models import spec
from harness.records import Endpoint

GOOD = """\
name: p
original: smollm2-135m
candidates:
  small: {recipe: cfsp-20}
suites: [smoke]
gates:
  - {metric: smoke.pass_rate, margin: 0.05}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "plan.yaml"
    path.write_text(text)
    return str(path)


def fault(folder: Path, text: str) -> str:
    with pytest.raises(HarnessError) as caught:
        load_plan(written(folder, text))
    return str(caught.value)


def test_paths_are_relative_to_the_plan(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    text = GOOD.replace("smollm2-135m", "./models").replace("[smoke]", "[smoke, ./mine.yaml]")
    plan = load_plan(written(tmp_path, text))
    assert plan.original.model == str(tmp_path / "models")
    assert plan.suites == ["smoke", str(tmp_path / "mine.yaml")]


def test_shorthands(tmp_path: Path) -> None:
    plan = load_plan(written(tmp_path, GOOD + "benchmarks: [arc_easy, {task: piqa, limit: 5}]\n"))
    assert [(b.task, b.limit) for b in plan.benchmarks] == [("arc_easy", None), ("piqa", 5)]


def test_a_misspelt_key_names_line_and_nearest(tmp_path: Path) -> None:
    message = fault(tmp_path, GOOD.replace("recipe:", "recepi:").replace("margin", "margn"))
    lines = message.splitlines()
    assert any("plan.yaml:4:" in line and "recepi" in line and "did you mean 'recipe'" in line for line in lines)
    assert any("plan.yaml:7:" in line and "margn" in line and "did you mean 'margin'" in line for line in lines)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("margin: 0.05", "margin: 0.05, max: 1", "exactly one of margin, max, min, max_ratio, min_ratio"),
        ("margin: 0.05", "margin: -0.05", "greater than 0"),
        ("margin: 0.05", "max: .inf", "finite number"),
        ("margin: 0.05", "max: .nan", "finite number"),
        ("name: p", 'name: "p\\e[2J"', "name"),
        ("margin: 0.05", "margin: 0.05, severity: warn", "at least one gate of severity: block"),
        ("{recipe: cfsp-20}", "{recipe: cfsp-20, model: ./x}", "either 'recipe'"),
        ("{recipe: cfsp-20}", "{recipe: {method: cfsp, sparsity: 1.5}}", "sparsity"),
        ("small:", "../small:", "candidates"),
        ("name: p", "name: p\nbenchmarks: [{task: t, limit: 2, documents: [1]}]", "either 'documents' or 'limit'"),
        ("name: p", "name: p\nbenchmarks: [{task: t, documents: [1, 1]}]", "different numbers from 0 on"),
        ("name: p", "name: p\nbenchmarks: [{task: t, documents: [-1]}]", "different numbers from 0 on"),
        ("name: p", "name: p\nallow_code: true", "plan.yaml:2: allow_code: who runs the plan says so, by --allow-code"),
        (
            "name: p",
            "name: p\nsearch: {target: {speed: 1}}",
            "search.target.speed: unknown key; allowed: decode_tokens",
        ),
        ("  - {metric: smoke.pass_rate, margin: 0.05}", "  []", "at least 1"),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in fault(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("written_key", "said"),
    [
        ("api_key: pl_secret", "unknown key, did you mean 'api_key_env'?"),
        ("api_key_env: pl_secret", "give the name of an environment variable"),
        ("api_key_env: [pl_secret]", "give the name of an environment variable"),
    ],
)
def test_a_literal_key_is_refused_and_not_repeated(tmp_path: Path, written_key: str, said: str) -> None:
    message = fault(tmp_path, GOOD + f"promptlayer: {{{written_key}}}\n")
    assert said in message
    assert "pl_secret" not in message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("send: flip", "did you mean 'flips'?"),
        ("redact: ['(']", "pattern '(' is not valid"),
        ("sample: 0", "greater than 0"),
        ("report_url: 'javascript:1'", "match pattern"),
    ],
)
def test_what_promptlayer_may_be_told_is_checked(tmp_path: Path, given: str, said: str) -> None:
    message = fault(tmp_path, GOOD + f"promptlayer: {{{given}}}\n")
    assert said in message
    assert "plan.yaml:8: promptlayer." in message


SERVED = "{endpoint: 'http://localhost:8000/v1', model: m}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "model: m",
            "model: m, api_key: sk-secret",
            "small.api_key: unknown key, did you mean 'api_key_env'",
        ),
        ("model: m", "model: m, api_key_env: sk-secret", "name of an environment variable"),
        ("model: m", "model: m, api_key_env: [sk-secret]", "name of an environment variable"),
        ("http://", "http://me:sk-secret@", "no user, password"),
        ("8000/v1", "8000/v1?key=sk-secret", "no user, password"),
        ("8000/v1", "8000/v1/chat/completions", "up to the version"),
        ("http://localhost:8000/v1", "ftp://sk-secret", "not an address"),
        ("http://localhost:8000/v1", "http://local host", "not an address"),
        ("http://localhost:8000/v1", "http://h:99999/v1", "not an address"),
        ("'http://localhost:8000/v1'", '"http://h/\\e[2J"', "not an address"),
        (", model: m", "", "either 'recipe'"),
        ("model: m", "model: m, recipe: cfsp-20", "either 'recipe'"),
        ("model: m", "model: m, dtype: float16", "'dtype': not with 'endpoint'"),
        ("endpoint: 'http://localhost:8000/v1', ", "timeout: 3, ", "'timeout': only with 'endpoint'"),
        ("model: m", "model: m, concurrency: 0", "concurrency"),
    ],
)
def test_an_endpoint_is_named_rightly_and_no_secret_is_repeated(tmp_path: Path, old: str, new: str, said: str) -> None:
    message = fault(tmp_path, GOOD.replace("{recipe: cfsp-20}", SERVED.replace(old, new)))
    assert said in message
    assert "sk-secret" not in message


def test_equal_endpoints_are_equal_text(tmp_path: Path) -> None:
    text = GOOD.replace("{recipe: cfsp-20}", SERVED.replace("http://localhost:8000/v1", "HTTP://LocalHost:8000/v1/"))
    plan = load_plan(written(tmp_path, text))
    assert plan.candidates["small"].endpoint == "http://localhost:8000/v1"
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    model = spec("small", plan.candidates["small"])
    assert (model.source, model.dtype) == ("m at http://localhost:8000/v1", "")
    assert model.endpoint == Endpoint("http://localhost:8000/v1", "m")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"nothing\.yaml"):
        load_plan(str(tmp_path / "nothing.yaml"))


def test_only_one_candidate(tmp_path: Path) -> None:
    plan = load_plan(written(tmp_path, GOOD))
    assert list(only(plan, "small").candidates) == ["small"]
    with pytest.raises(HarnessError, match="there are: small"):
        only(plan, "smal")


@pytest.mark.parametrize("name", built_in())
def test_every_built_in_plan_is_right(name: str) -> None:
    assert load_plan(name).name == name
