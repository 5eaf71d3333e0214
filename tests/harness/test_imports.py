"""Results made elsewhere: what they say, item by item, and the verdict on them from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.commands import entry
from harness.errors import HarnessError
from harness.imports import imported

ITEMS = 200


def lm_eval_rows(wrong: set[int], filters: tuple[str, ...] = ("none",), salt: str = "") -> str:
    rows = [
        {"doc_id": n, "doc": {}, "filter": name, "metrics": ["acc", "bpb"], "acc": float(n not in wrong), "bpb": [1, 2]}
        | {"doc_hash": f"d{n}{salt}", "prompt_hash": "p", "target_hash": "t"}
        for n in range(ITEMS)
        for name in filters
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def inspect_log(wrong: set[int], epochs: int = 1) -> dict[str, Any]:
    samples = [
        {"id": n, "epoch": epoch, "input": f"q{n}", "target": "a"}
        | {"scores": {"match": {"value": "I" if n in wrong else "C"}}}
        for n in range(ITEMS)
        for epoch in range(1, epochs + 1)
    ]
    return {"version": 2, "status": "success", "eval": {"task": "sums", "model": "m"}, "samples": samples}


def promptfoo(wrong: set[int], *providers: str) -> dict[str, Any]:
    rows = [
        {"testIdx": n, "promptIdx": 0, "prompt": {"raw": f"q{n}"}, "vars": {"n": n}}
        | {"provider": {"id": "x", "label": provider}, "failureReason": 0, "namedScores": {"polite": 1}}
        | {"success": n not in wrong, "score": 0.5 + 0.5 * (n not in wrong)}
        for provider in providers or ("one",)
        for n in range(ITEMS)
    ]
    return {"results": {"version": 3, "results": rows}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(name: str, content: object) -> str:
    Path(name).parent.mkdir(exist_ok=True, parents=True)
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


WORSE = set(range(60))


@pytest.mark.parametrize("form", ["lm-eval", "inspect", "promptfoo"])
def test_the_same_is_a_pass_and_much_worse_a_regression(
    form: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {"lm-eval": lm_eval_rows, "inspect": inspect_log, "promptfoo": promptfoo}[form]
    name = "samples_sums_2026-01-01T00-00-00.jsonl" if form == "lm-eval" else "log.json"
    before, same, worse = (written(f"{d}/{name}", made(w)) for d, w in (("a", {1}), ("b", {1}), ("c", WORSE)))
    metric = {"lm-eval": "sums.acc", "inspect": "sums.match", "promptfoo": "promptfoo.pass_rate"}[form]
    assert entry(["compare", before, same]) == 0
    assert f"  {metric}  99.5 %  99.5 %" in capsys.readouterr().out
    assert entry(["compare", before, worse]) == 1
    assert "99.5 %  70.0 %" in capsys.readouterr().out
    assert entry(["compare", before, worse, "--margin", "0.4"]) == 0


def test_a_folder_of_lm_eval_samples_and_a_task_with_two_filters(folder: Path) -> None:
    written("a/m/samples_x_2026-01-01T00-00-00.000001.jsonl", lm_eval_rows(set()))
    written("a/m/samples_gsm_8k_2026-01-01T00-00-00.jsonl", lm_eval_rows({3}, ("strict", "loose")))
    run = imported("a", "original")
    assert {name: one.value for name, one in run.measurements.items()} == {
        "gsm_8k.acc.loose": 0.995,
        "gsm_8k.acc.strict": 0.995,
        "x.acc": 1.0,
    }
    written("a/n/samples_x_2026-01-02T00-00-00.jsonl", lm_eval_rows(set()))
    with pytest.raises(HarnessError, match=r"task x is in samples_x_2026-01-01T00-00-00\.000001\.jsonl too"):
        imported("a", "original")


def test_epochs_of_a_sample_are_one_cluster_and_errors_have_no_value(folder: Path) -> None:
    log = inspect_log({0}, epochs=2)
    log["samples"][5] = {**log["samples"][5], "error": {"message": "out of memory"}}
    log["samples"][7]["scores"]["match"]["value"] = {"exact": 1, "style": 0.5, "note": "a"}
    measurements = imported(written("log.json", log), "original").measurements
    assert {name: len(one.items) for name, one in measurements.items()} == {
        "sums.match": 2 * ITEMS - 2,
        "sums.match.exact": 1,
        "sums.match.style": 1,
    }
    assert [(item.id, item.cluster) for item in measurements["sums.match"].items[:2]] == [("0", "0"), ("0/2", "0")]


def test_one_of_two_providers(folder: Path) -> None:
    file = written("r.json", promptfoo({0}, "one", "two"))
    with pytest.raises(HarnessError, match=r"write r.json#NAME with one of one, two"):
        imported(file, "original")
    with pytest.raises(HarnessError, match=r"no provider 'three'"):
        imported(f"{file}#three", "original")
    run = imported(f"{file}#two", "original")
    assert (run.model.source, run.measurements["promptfoo.pass_rate"].value) == ("two", 0.995)


WRONG = [
    ("x.json", "{", "x.json: not valid JSON"),
    ("x.json", "[" * 100_000, "x.json: not valid JSON"),
    ("x.json", "{}", "x.json: none of lm-eval samples"),
    ("x.json", {"results": {"arc": {}}}, "totals only; lm-eval writes every document with --log_samples"),
    ("x.json", {"eval": {}, "status": "started", "samples": []}, "status: must be success, error or cancelled"),
    ("x.json", {"eval": {}, "status": "success", "samples": {}}, "samples: must be a list, found dict"),
    ("x.json", {"results": {"results": [3]}}, r"results\[0\]: must be a mapping, found int"),
    ("x.json", {"results": {"results": []}}, "no number of any item in it"),
    ("x.jsonl", "{}\n", "x.jsonl:1: no doc_hash"),
    ("x.jsonl", "[]\n", "x.jsonl:1: must be a mapping, found list"),
    ("x.eval", "PK", "a packed log; `inspect log convert --to json` unpacks it"),
    ("d/x.txt", "", "no samples_\\*.jsonl in the folder"),
]


@pytest.mark.parametrize(("name", "content", "message"), WRONG, ids=[row[2] for row in WRONG])
def test_wrong_file(name: str, content: object, message: str, folder: Path) -> None:
    written(name, content)
    with pytest.raises(HarnessError, match=message):
        imported(name.partition("/")[0], "original")


def test_what_cannot_be_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, other = written("a.jsonl", lm_eval_rows(set())), written("b.jsonl", lm_eval_rows(set(), salt="x"))
    log = written("c.json", inspect_log(set()))
    for before, after, said in (
        (rows, other, "was not the same question for both models"),
        (rows, log, "not the same kind"),
        (rows, "d.jsonl", "d.jsonl: no such file; compare two files, or two stored runs"),
    ):
        assert entry(["compare", before, after]) == 3
        assert said in capsys.readouterr().err
