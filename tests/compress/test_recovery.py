"""Every recovery rule from recipe to saved folder, and what recipes say about recovery."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compress import CompressError, Receipt, Recipe, apply, cut_, load_recipe, open_model, read_receipt, save
from compress.anatomy.blocks import blocks
from compress.calibration.stats import Stats
from compress.planning.plan import whole
from compress.progress import silent
from compress.recover import Resources
from compress.recovery import FOLDER
from compress.recovery.importance import allocation
from compress.recovery.layerwise import refit_
from compress.training.job import Job
from compress.training.rows import Corpus, Rows
from compress.training.settings import Data, Recovery

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "one", "dog", "that", "ran", "to", "its", "old", "barn"]
IDS = torch.arange(24).view(1, 24)

OPTIONS: dict[str, dict[str, object]] = {
    "importance": {"trial_steps": 1},
    "layerwise": {"tokens": 1024},
    "rank_adaptor": {"trial_steps": 1, "rounds": 1},
}
"""What makes a rule quick."""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    draw = torch.Generator().manual_seed(0)
    path = tmp_path / "text.jsonl"
    with path.open("w") as file:
        for _ in range(60):
            picks = torch.randint(0, len(WORDS), (12,), generator=draw).tolist()
            file.write(json.dumps({"text": " ".join(WORDS[pick] for pick in picks)}) + "\n")
    return path


def recipe(rule: str, text: Path, **settings: object) -> Recipe:
    sparse = FOLDER.load(rule).suits == {"weights"}
    method = {"method": "magnitude", "options": {"pattern": "2:4"}} if sparse else {"method": "random", "sparsity": 0.2}
    data = {"sources": [str(text)], "tokens": 1280, "window": 64}
    given = {"rule": rule, "options": OPTIONS.get(rule, {}), "data": data, "rank": 2, "learning_rate": 0.01}
    return Recipe.model_validate({**method, "recovery": {**given, "evaluate_every": 2, **settings}})


@pytest.mark.parametrize("rule", FOLDER.names())
def test_every_rule_never_makes_it_worse_and_what_it_leaves_is_saved_and_opened(
    make_model, tokenizer, text: Path, tmp_path: Path, rule: str
) -> None:
    model, resources = make_model(), Resources(work=tmp_path / "work")
    receipt = apply(model, recipe(rule, text), tokenizer, resources=resources)
    found = receipt.recovery
    assert found is not None
    assert found.rule == rule
    assert found.after <= found.before + (0.05 if rule == "grouped" else 0.0)  # a coarse grid costs something first
    apart = tmp_path / "work" / "adapter" if found.adapters == "apart" else None
    assert (found.adapters == "apart") == FOLDER.load(rule).apart
    save(model, tokenizer, tmp_path / "saved", receipt, adapter=apart)
    assert read_receipt(tmp_path / "saved") == Receipt.from_json(receipt.to_json()) == receipt
    with torch.no_grad():
        again, plain = open_model(tmp_path / "saved")(IDS).logits, model(IDS).logits
    assert torch.allclose(again, plain, atol=1e-5) != (found.adapters == "apart")


@pytest.mark.parametrize("rule", ["uniform", "layerwise"])
def test_the_same_recipe_gives_the_same_weights(make_model, tokenizer, text: Path, rule: str) -> None:
    found = []
    for _ in range(2):
        model = make_model()
        apply(model, recipe(rule, text), tokenizer)
        found.append(torch.cat([value.flatten() for value in model.parameters()]))
    assert torch.equal(*found)


def test_an_allocation_sums_to_that_of_uniform_ranks_and_follows_importance() -> None:
    angles = [0.35, 0.05, 0.1, 0.2]
    ranks, inverse = allocation(angles, 8, "important"), allocation(angles, 8, "inverse")
    assert sum(ranks) == sum(inverse) == 32
    assert sorted(range(4), key=lambda layer: ranks[layer]) == [1, 2, 3, 0]
    assert sorted(range(4), key=lambda layer: inverse[layer]) == [0, 3, 2, 1]
    # By hand: sigmoids of 13.1072 * (angle - 0.175) are .9084, .1627, .2725, .5812; they sum to 1.9248.
    assert ranks == (15, 3, 4, 10)
    assert allocation([0.1] * 5, 3, "important") == (3,) * 5
    assert min(allocation([0.9, *[0.0] * 20], 2, "important")) >= 1


def test_layerwise_refits_layers_against_those_that_they_were(make_model, tmp_path: Path) -> None:
    """Of four layers the second is dropped: the first has nothing to make up for, the third has."""
    original, model = make_model(num_hidden_layers=4), make_model(num_hidden_layers=4)
    all_of_it = whole(blocks(model))
    gone = replace(all_of_it.layers[1], channels=(), groups=())
    cut_(model, replace(all_of_it, layers=(all_of_it.layers[0], gone, *all_of_it.layers[2:])))
    before = [block.mlp_out.weight.clone() for block in blocks(model)]
    none = Rows(*[torch.zeros(0, 8, dtype=torch.int64)] * 2, torch.zeros(0, 8, dtype=torch.bool))
    job = Job(model, original, Recovery(), Corpus(none, none, ()), Stats(()), tmp_path, silent, kept=(0, 2, 3))
    refit_(job, torch.arange(2048).view(16, 128) % 250, ridge=10.0)
    change = [float((b.mlp_out.weight - old).norm() / old.norm()) for b, old in zip(blocks(model), before, strict=True)]
    assert change[0] < 1e-5
    assert change[1] > 0.01


def test_bare_names_stand_for_recoveries() -> None:
    plain = load_recipe("cfsp-20")
    assert plain.recovery is None
    assert load_recipe("cfsp-20+none") == plain
    assert load_recipe("cfsp-20+distill").recovery == Recovery(objective="distill")
    assert load_recipe("cfsp-20+lora").recovery == Recovery(objective="next_token")
    full = load_recipe("cfsp-20+full").recovery
    assert full == Recovery(rule="full", objective="next_token", batch=4, learning_rate=0.002)
    assert load_recipe("cfsp-20+layerwise").recovery == Recovery(rule="layerwise")
    assert Recipe(method="random", sparsity=0.1, recovery="distill").recovery == Recovery(objective="distill")
    assert Recipe(method="random", sparsity=0.1, recovery="none").recovery is None


def test_an_unknown_recovery_of_a_recipe_is_told_from_an_unknown_recipe() -> None:
    with pytest.raises(CompressError, match=r"recovery 'ful', did you mean 'full'\? with cfsp-20 go: none, layerwise"):
        load_recipe("cfsp-20+ful")


def test_files_are_looked_for_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "method: cfsp\nsparsity: 0.2\n"
        "recovery:\n  data: [text.jsonl, {source: self, prompts: p.txt}, builtin, hub:a/b]\n"
    )
    found = load_recipe(tmp_path / "r.yaml")
    assert found.files == (tmp_path / "text.jsonl", tmp_path / "p.txt")
    assert found.recovery is not None
    assert [source.source for source in found.recovery.data.sources] == [
        str(tmp_path / "text.jsonl"),
        "self",
        "builtin",
        "hub:a/b",
    ]


WRONG = {
    "recovery: lorra": "recovery: unknown recovery 'lorra'; allowed: none, layerwise, lora, distill, full, "
    "or a mapping",
    "recovery: {rul: uniform}": "recovery.rul: unknown key, did you mean 'rule'?; allowed: rule, options, objective",
    "recovery: {rule: uniformm}": "recovery.rule: unknown recovery rule 'uniformm', did you mean 'uniform'?",
    "recovery: {rule: lazy}": "the rule lazy does not go with cfsp, which removes channels and leaves no zeros",
    "recovery: {rule: importance, options: {seeds: 2}}": "greater than or equal to 3",
    "recovery: {data: {tokns: 3}}": "recovery.data.tokns: unknown key, did you mean 'tokens'?",
    "recovery: {data: [{source: builtin, feld: x}]}": "data.sources.0.feld: unknown key, did you mean 'field'?",
    "recovery: {objective: next_token, hidden: 1.0}": "mix into the objective distill; objective is next_token",
    "recovery: {objective: next_token, temperature: 2}": "'temperature' is of the objective distill",
    "recovery: {rule: full, merge: false}": "the rule full has no adapters that could stay apart; leave 'merge: false'",
    "recovery: {batch: 3, accumulate: 2}": "a batch of 3 rows cannot be parted into 2 equal parts",
    "recovery: {learning_rate: 0}": "recovery.learning_rate: Input should be greater than 0",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_recovery_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"method: cfsp\nsparsity: 0.2\n{line}\n")
    with pytest.raises(CompressError) as error:
        load_recipe(path)
    assert str(error.value).startswith(f"{path}:")
    assert WRONG[line] in str(error.value)


def test_recovery_needs_a_tokenizer_and_says_so_before_the_model_is_touched(make_model, text: Path) -> None:
    model = make_model()
    before = torch.cat([value.flatten() for value in model.parameters()])
    with pytest.raises(CompressError, match="recovery reads text, so it needs the model's tokenizer"):
        apply(model, recipe("uniform", text))
    assert torch.equal(torch.cat([value.flatten() for value in model.parameters()]), before)


def test_faulty_data_are_found_before_the_model_is_touched(make_model, tokenizer, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"body": 1}\n')
    model = make_model()
    shapes = [value.shape for value in model.parameters()]
    with pytest.raises(CompressError, match=r"bad\.jsonl:2: no field 'text'; fields found: body"):
        apply(model, recipe("uniform", tmp_path / "bad.jsonl"), tokenizer)
    assert [value.shape for value in model.parameters()] == shapes


def test_data_is_short_for_its_sources() -> None:
    assert Data.model_validate("self") == Data.model_validate(["self"]) == Data.model_validate({"sources": ["self"]})
