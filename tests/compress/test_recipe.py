from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compress import CompressError, Receipt, Recipe, Shape, apply, budgets, load_recipe, methods, recipe_names


def test_every_packaged_recipe_is_what_its_name_says() -> None:
    assert recipe_names()
    for name in recipe_names():
        method, amount, *more = name.split("-") if "-" in name else (name, "20")
        recipe = load_recipe(name)
        assert recipe.method == method
        if "of" in amount:
            assert recipe.options["pattern"] == amount.replace("of", ":")
        else:
            assert recipe.sparsity == int(amount) / 100
        assert (recipe.compensate == "least_squares") is (more == ["refit"])


def test_defaults_are_filled_in() -> None:
    assert Recipe(method="cfsp", sparsity=0.5).options == {"score": "paper", "attention": False, "round_to": "auto"}


WRONG = {
    "sparsity: 1.5\nmethod: cfsp\n": "r.yaml:1: sparsity: 1.5 is not allowed: a number above 0 and below 1",
    "sparsity: .nan\nmethod: cfsp\n": "r.yaml:1: sparsity: nan is not allowed: a number above 0 and below 1",
    "method: cfsp\n": ("r.yaml: how much to remove is missing: give 'sparsity', or 'target' with 'ratio' and 'value'"),
    "method: cfsp\ntarget: {ratio: r_zero, value: 0.5}\n": (
        "r.yaml: target: cfsp can aim at r_block, r_total, r_ffn, r_group, not at r_zero"
    ),
    "method: cfsp\nsparsity: 0.2\nbudget: unifrom\n": (
        f"r.yaml:3: budget: unknown budget 'unifrom', did you mean 'uniform'?; budgets: {', '.join(budgets.names())}"
    ),
    "method: cfps\nsparsity: 0.2\n": (
        f"r.yaml:1: method: unknown method 'cfps', did you mean 'cfsp'?; methods: {', '.join(methods.names())}"
    ),
    "method: cfsp\nsparsity: 0.2\noptions: {scor: paper}\n": (
        "r.yaml:3: options: unknown option 'scor' of method 'cfsp', did you mean 'score'?; "
        "allowed: score, attention, round_to"
    ),
    "method: cfsp\nsparsity: 0.2\nsparsty: 0.3\n": (
        "r.yaml:3: sparsty: unknown key, did you mean 'sparsity'?; allowed: method, options, sparsity, target, budget, "
        "compensate, equal_layers, recovery, steps, calibration, seed, note"
    ),
    "method: cfsp\nsparsity: 0.2\ncalibration: {windws: 3}\n": (
        "r.yaml:3: calibration.windws: unknown key, did you mean 'windows'?; "
        "allowed: file, field, windows, tokens, seed"
    ),
    "method: cfsp\nmethod: random\nsparsity: 0.2\n": "r.yaml: a key is given twice",
    "- cfsp\n": "r.yaml: a recipe is a mapping with at least 'method'",
    "": "r.yaml: a recipe is a mapping with at least 'method'",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_recipe_is_refused_with_its_line(tmp_path: Path, monkeypatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(text)
    with pytest.raises(CompressError) as error:
        load_recipe("r.yaml")
    assert str(error.value) == WRONG[text]


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("method: nothing\nsparsity: 2\n")
    with pytest.raises(CompressError) as error:
        load_recipe(path)
    assert len(str(error.value).splitlines()) == 2


def test_an_option_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("method: cfsp\nsparsity: 0.2\noptions: {score: best}\n")
    with pytest.raises(CompressError, match=r"r\.yaml:3: options: option of method 'cfsp': score: Input should be"):
        load_recipe(path)


def test_an_unknown_name_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="unknown recipe 'cfsp-21', did you mean 'cfsp-20'"):
        load_recipe("cfsp-21")
    with pytest.raises(CompressError, match=r"gone\.yaml: cannot read recipe: No such file"):
        load_recipe(tmp_path / "gone.yaml")
    (tmp_path / "latin.yaml").write_bytes("# Männer\nmethod: cfsp\n".encode("latin-1"))
    with pytest.raises(CompressError, match=r"latin\.yaml: not UTF-8 at byte 3"):
        load_recipe(tmp_path / "latin.yaml")


def test_calibration_text_is_looked_for_beside_the_recipe(tmp_path: Path, make_model, tokenizer) -> None:
    text = "method: cfsp\nsparsity: 0.2\ncalibration: {file: t.jsonl, field: body, windows: 2, tokens: 32}\n"
    (tmp_path / "r.yaml").write_text(text)
    (tmp_path / "t.jsonl").write_text(
        '{"body": "What is said here is long enough."}\n{"body": "So is this one."}\n' * 3
    )
    receipt = apply(make_model(), load_recipe(tmp_path / "r.yaml"), tokenizer)
    assert receipt.calibration is not None
    assert receipt.calibration.source == str(tmp_path / "t.jsonl")
    assert receipt.calibration.tokens == 64
    (tmp_path / "t.jsonl").write_text('{"body": "fine"}\n{"text": "no body"}\n')
    with pytest.raises(CompressError, match=r"t\.jsonl:2: no field 'body'; fields found: text"):
        apply(make_model(), load_recipe(tmp_path / "r.yaml"), tokenizer)


def test_receipt_and_shape_survive_json(make_model, tokenizer) -> None:
    receipt = apply(make_model(), Recipe(method="cfsp", sparsity=0.2, options={"attention": True}), tokenizer)
    assert receipt.calibration is not None
    assert receipt.calibration.source == "builtin:pydoc_data.topics"
    assert Receipt.from_json(receipt.to_json()) == receipt
    older = json.loads(receipt.to_json())
    del older["score_deciles"]
    assert Receipt.from_json(json.dumps(older)) == replace(receipt, score_deciles=())
    assert Shape.from_json(receipt.shape.to_json()) == receipt.shape
    with pytest.raises(CompressError, match="not a receipt"):
        Receipt.from_json("{}")


def test_a_shape_that_keeps_what_is_not_there_is_refused() -> None:
    text = (
        '{"hidden":8,"head_dim":4,"layers":[{"channels":[1,9],"groups":[0],"intermediate":9,"heads":2,"kv_heads":1}]}'
    )
    with pytest.raises(CompressError, match="layer 0: channels: need ascending indices from 0 to 8"):
        Shape.from_json(text)
    for faulty in ("[0.0,0.5,7]", "[false,true]"):
        with pytest.raises(CompressError, match="layer 0: channels: need ascending indices from 0 to 8"):
            Shape.from_json(text.replace("[1,9]", faulty))
    with pytest.raises(CompressError, match="not a shape"):
        Shape.from_json("[" * 100_000)


def test_a_recipe_does_not_need_torch() -> None:
    code = "import sys, compress; compress.load_recipe('cfsp-20'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
