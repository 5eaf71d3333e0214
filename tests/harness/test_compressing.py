"""secateur compress: dry runs, stored statistics, shapes as files, and what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from compress import open_model, read_receipt
from compress.anatomy.blocks import blocks
from harness.commands import entry
from harness.models.opening import LoadedModel

RECIPE = "# A trial.\nmethod: {method}\nsparsity: 0.3\noptions: {{round_to: 1}}\n"
TEXT = "calibration: {file: text.txt, windows: 4, tokens: 64}\n"

ROOT = Path(__file__).parents[2]

Say = Callable[..., str]


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and recipes."""
    folder = tmp_path_factory.mktemp("place")
    tiny(0).model.save_pretrained(folder / "model")
    tiny(0).tokenizer.save_pretrained(folder / "model")
    for method in ("cfsp", "wanda_sp", "magnitude"):
        (folder / f"{method}.yaml").write_text(RECIPE.format(method=method) + TEXT)
    (folder / "text.txt").write_text(Path(__file__).read_text())
    return folder


@pytest.fixture
def say(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run `secateur compress` on the tiny model; returns what it printed."""
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))

    def run(recipe: str, *arguments: str | Path, code: int = 0) -> str:
        words = ["compress", str(place / "model"), "--recipe", str(place / f"{recipe}.yaml"), "-q"]
        assert entry([*words, *map(str, arguments)]) == code
        shown = capsys.readouterr()
        return shown.err if code else shown.out

    return run


def test_a_second_dry_run_reads_no_text_again(say: Say, tmp_path: Path) -> None:
    first = say("cfsp", "--dry-run")
    assert re.search(r"statistics +gathered in [\d.]+ s, 256 tokens of .*text\.txt", first)
    assert re.search(r"r_block +0\.3\d", first)
    for line in (say("cfsp", "--dry-run", "--sparsity", "0.5"), say("wanda_sp", "--dry-run")):
        assert re.search(r"statistics +stored \d{4}-\d\d-\d\d", line)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_stored_statistics_give_the_same_model(say: Say, place: Path, tmp_path: Path) -> None:
    for name in ("fresh", "again"):
        say("cfsp", "--out", tmp_path / name)
    fresh, again = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("fresh", "again"))
    assert fresh == again
    assert read_receipt(tmp_path / "fresh").calibration == read_receipt(tmp_path / "again").calibration


def test_other_text_and_damaged_files_are_gathered_again(say: Say, place: Path, tmp_path: Path) -> None:
    text = place / "text.txt"
    kept = text.read_text()
    say("cfsp", "--dry-run")
    try:
        text.write_text(kept + " ")
        assert "gathered in" in say("cfsp", "--dry-run")
    finally:
        text.write_text(kept)
    for path in (tmp_path / "cache").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-8])
    assert "gathered in" in say("cfsp", "--dry-run")
    assert "stored" in say("cfsp", "--dry-run")


def test_the_same_text_is_read_once_for_methods_that_need_different_sums(say: Say, place: Path) -> None:
    (place / "flap.yaml").write_text((place / "wanda_sp.yaml").read_text().replace("wanda_sp", "flap"))
    assert "gathered in" in say("flap", "--dry-run")
    assert "stored" in say("cfsp", "--dry-run")


def test_a_method_without_data_gathers_nothing(say: Say, tmp_path: Path) -> None:
    assert "statistics  none needed" in say("magnitude", "--dry-run")
    assert list(tmp_path.iterdir()) == []


def test_a_shape_is_written_edited_and_obeyed(say: Say, tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    said = say("cfsp", "--dry-run", "--shape-out", file)
    assert f"--shape {file}" in said
    raw = json.loads(file.read_text())
    raw["layers"][0]["channels"] = [0, 5, 47]
    raw["layers"][1]["groups"] = [1]
    file.write_text(json.dumps(raw))
    assert re.search(r"\n0 +3 of 48 +2 of 2 ", say("cfsp", "--shape", file, "--dry-run"))
    said = say("cfsp", "--shape", file, "--out", tmp_path / "cut")
    assert "what stays was given as a shape" in said
    cut = blocks(open_model(tmp_path / "cut"))
    assert [(block.channels, block.kv_heads) for block in cut] == [(3, 2), (len(raw["layers"][1]["channels"]), 1)]


def test_a_place_for_the_shape_that_cannot_be_is_refused_before_the_work(say: Say, tmp_path: Path) -> None:
    said = say("cfsp", "--out", tmp_path / "cut", "--shape-out", tmp_path / "nowhere" / "s.json", code=3)
    assert "s.json: cannot write: no folder " in said
    assert not (tmp_path / "cut").exists()
    assert "missing.json: cannot read the shape: No such file" in say(
        "cfsp", "--dry-run", "--shape", tmp_path / "missing.json", code=3
    )


def test_a_target_that_removes_nothing_is_said_so(say: Say, tmp_path: Path) -> None:
    assert "nothing was removed" in say("cfsp", "--out", tmp_path / "cut", "--sparsity", "0.0005")


@pytest.mark.parametrize("change", [{"intermediate": 49}, {"channels": [3, 2]}, {"groups": [2]}])
def test_a_shape_that_does_not_fit_cuts_nothing(say: Say, tmp_path: Path, change: dict[str, object]) -> None:
    file = tmp_path / "s.json"
    say("cfsp", "--dry-run", "--shape-out", file)
    raw = json.loads(file.read_text())
    raw["layers"][1].update(change)
    file.write_text(json.dumps(raw))
    for target in (("--dry-run",), ("--out", tmp_path / "cut")):
        assert "layer 1" in say("cfsp", "--shape", file, *target, code=3)
    assert not (tmp_path / "cut").exists()


def test_what_happened_to_the_perplexity_is_said_and_kept(say: Say, tmp_path: Path) -> None:
    said = say("cfsp", "--out", tmp_path / "cut")
    note = next(note for note in read_receipt(tmp_path / "cut").notes if note.startswith("perplexity"))
    assert re.fullmatch(r"perplexity on 256 tokens of calibration text: [\d.e+]+ before, [\d.e+]+ after", note)
    assert note in said


def test_equal_layers_can_be_asked_for(say: Say, tmp_path: Path) -> None:
    say("cfsp", "--layout", "uniform", "--out", tmp_path / "cut")
    receipt = read_receipt(tmp_path / "cut")
    assert receipt.recipe.equal_layers
    assert receipt.shape.uniform


def test_low_memory_makes_the_same_weights(say: Say, tmp_path: Path) -> None:
    for name, how in (("whole", []), ("streamed", ["--low-memory"])):
        say("cfsp", "--out", tmp_path / name, *how)
    whole, streamed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "streamed"))
    assert whole.keys() == streamed.keys()
    assert all(torch.equal(whole[key], streamed[key]) for key in whole)


def test_padded_layers_open_as_the_stock_class(say: Say, tmp_path: Path) -> None:
    assert "trust_remote_code" not in say("cfsp", "--layout", "padded", "--out", tmp_path / "cut")
    assert {block.channels for block in blocks(open_model(tmp_path / "cut"))} == {48}


def test_an_export_takes_the_place_of_the_folder(say: Say, place: Path, tmp_path: Path) -> None:
    said = say("cfsp", "--export", "decilm", "--out", tmp_path / "deci")
    assert "vLLM" in said
    widths = read_receipt(tmp_path / "deci").widths
    config = json.loads((tmp_path / "deci" / "config.json").read_text())
    assert [block["ffn"]["intermediate_size"] for block in config["block_configs"]] == list(widths)
    assert entry(["compress", str(place / "model"), "--export", "decilm", "--out", str(tmp_path / "as-is"), "-q"]) == 0
    config = json.loads((tmp_path / "as-is" / "config.json").read_text())
    assert [block["ffn"]["intermediate_size"] for block in config["block_configs"]] == [48, 48]
    assert "writes a file that ends in .gguf" in say("cfsp", "--export", "gguf", "--out", tmp_path / "x", code=3)
    assert "no merges" in say("cfsp", "--export", "gguf", "--out", tmp_path / "x.gguf", code=3)
    assert not (tmp_path / "x.gguf").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either --out PATH or --dry-run"),
        (["--dry-run", "--out", "x"], "give either --out PATH or --dry-run"),
        (["--dry-run", "--low-memory"], "--low-memory writes folders only"),
        (["--out", "x", "--export", "decilm", "--layout", "padded"], "--export has a layout of its own"),
        (["--dry-run", "--sparsity", "2"], "less than 1"),
        (["--dry-run", "--sparsity", "0.99"], "cannot be reached"),
        (["--dry-run", "--shape", "s.json", "--sparsity", "0.2"], "leave --sparsity out"),
        (["--dry-run", "--shape", "nowhere.json"], "nowhere.json"),
        (["--dry-run", "--shape-out", "no/folder/s.json"], "no/folder/s.json: cannot write"),
    ],
)
def test_what_does_not_go_together_is_refused(say: Say, arguments: list[str], said: str) -> None:
    assert said in say("magnitude", *arguments, code=3)


def test_recipes_and_methods_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["recipes"]) == 0
    line = "cfsp-10         A mild cut: 10 % of the decoder layers' weights, FFN channels only.\n"
    assert line in capsys.readouterr().out
    assert entry(["methods"]) == 0
    shown = capsys.readouterr().out
    assert "\n      option   score: paper | released = paper\n" in shown
    assert "\n      option   round_to: whole number >= 1 | auto = auto\n" in shown
    assert "\n  uniform: LoRA with the same rank in every decoder layer" in shown
    assert "\n      after    methods that remove channels or single weights or layers\n" in shown


def test_listing_does_not_import_torch() -> None:
    code = (
        "import sys; from harness.commands import entry; entry(['recipes']); entry(['methods']);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0


def test_only_an_export_goes_without_a_recipe(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["compress", str(place / "model"), "--out", "x"]) == 3
    assert "--recipe is missing; only --export goes without" in capsys.readouterr().err
