"""secateur compress with a recovery: what it says, what it leaves, and what a kill costs."""

from __future__ import annotations

import copy
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compress import Recipe, apply, load_recipe, read_receipt
from compress.recover import Resources
from compress.shape import Shape
from compress.training.facts import Trial
from compress.training.settings import Recovery
from harness.candidates.making import Order
from harness.candidates.observations import observations
from harness.candidates.workshop import Workshop
from harness.commands import entry
from harness.models.opening import LoadedModel
from harness.models.subject import Subject
from harness.progress import silent
from harness.records import ModelSpec
from harness.showing import receipts
from harness.stores.duckdb_store import DuckdbStore

RECIPE = """
method: random
sparsity: 0.3
options: {round_to: 1}
recovery:
  rule: uniform
  data: {sources: text.txt, tokens: 2048, window: 64}
  rank: 2
  epochs: 4
  learning_rate: 0.01
  evaluate_every: 4
  save_every: 2
"""


@pytest.fixture
def place(tiny: Callable[[int], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tiny model, a recipe and its text."""
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    tiny(0).model.save_pretrained(tmp_path / "model")
    tiny(0).tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "r.yaml").write_text(RECIPE)
    (tmp_path / "text.txt").write_text(Path(__file__).read_text())
    return tmp_path


def words(place: Path, out: str) -> list[str]:
    return ["compress", str(place / "model"), "--recipe", str(place / "r.yaml"), "--out", str(place / out)]


def test_what_a_recovery_brought_is_said_and_written_down(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry([*words(place, "small"), "-q"]) == 0
    said = capsys.readouterr().out
    assert "recovery    uniform, objective distill" in said
    assert "held out    loss " in said
    assert "ranks       2 in every layer" in said
    assert "adapters    merged" in said
    assert sorted(path.name for path in place.glob(".*")) == []  # nothing is left of the work
    receipt = read_receipt(place / "small")
    assert receipt.recovery is not None
    assert receipt.recovery.after <= receipt.recovery.before
    assert set(receipt.seconds) == {"calibrate", "plan", "cut", "recover"} - ({"calibrate"} - set(receipt.seconds))
    facts = {fact.name: fact.value for fact in receipts.facts(receipt)}
    assert facts["recovery"].startswith(f"uniform: held-out loss {receipt.recovery.before:.4f} to ")
    assert "text.txt, sha256 " in facts["recovery data"]
    assert [row.adapters.rank for row in receipts.pattern(receipt) if row.adapters] == [2, 2]


def test_each_of_several_steps_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "r.yaml").write_text(RECIPE.replace("epochs: 4", "epochs: 1") + "steps: 2\n")
    assert entry([*words(place, "small"), "-q"]) == 0
    said = capsys.readouterr().out
    assert "steps       2, each a cut and a recovery" in said
    assert re.search(r"step 1 of 2 r_block 0\.1[45]\d+, held-out loss \d+\.\d+ to \d+\.\d+, 1,024 tokens in", said)
    receipt = read_receipt(place / "small")
    assert "step 2 of 2" in {fact.name for fact in receipts.facts(receipt)}
    assert receipt.recovery is not None
    assert [step.tokens for step in receipt.recovery.steps] == [1024, 1024]
    assert sorted(path.name for path in place.glob(".*")) == []
    capsys.readouterr()
    assert entry(["compress", str(place / "model"), "--recipe", str(place / "r.yaml"), "--dry-run", "-q"]) == 0
    assert "shown is one cut of all" in capsys.readouterr().out


def test_the_command_line_chooses_another_recovery(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry([*words(place, "small"), "-q", "--recovery", "none"]) == 0
    assert read_receipt(place / "small").recovery is None
    assert entry([*words(place, "other"), "-q", "--recovery", "lorra"]) == 3
    assert "unknown recovery 'lorra'; allowed: none, layerwise, lora, distill, full" in capsys.readouterr().err
    assert not (place / "other").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "reached"), [("", "."), ("steps: 2\n", "step-1"), ("steps: 2\n", "step-2")], ids=["whole", "1st", "2nd"]
)
def test_killed_by_sigkill_the_same_command_goes_on_and_ends_with_the_same_bytes(
    place: Path, more: str, reached: str
) -> None:
    (place / "r.yaml").write_text(RECIPE + more)
    assert entry([*words(place, "whole"), "-q"]) == 0
    work = place / ".killed.recovery"
    state = work / reached / "lora.safetensors"
    command = [sys.executable, "-c", "import sys; from harness.commands import entry; sys.exit(entry(sys.argv[1:]))"]
    running = subprocess.Popen([*command, *words(place, "killed"), "-q"], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 120
    while not state.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert state.exists()
    assert not (place / "killed").exists()
    assert entry([*words(place, "killed"), "-q"]) == 0
    assert not work.exists()
    found = [(place / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert found[0] == found[1]


def test_data_that_change_under_an_interrupted_training_are_an_error(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class StopError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr("compress.training.lora.measured", stop)
        assert entry([*words(place, "small"), "-q"]) == 3
    assert (place / ".small.recovery" / "lora.safetensors").exists()
    (place / "text.txt").write_text("something else to read " * 400 + "\n\n" + "and more of it " * 400)
    capsys.readouterr()
    assert entry([*words(place, "small"), "-q"]) == 3
    assert "this training was begun with other data; put that back to go on" in capsys.readouterr().err


def test_unusable_data_leave_nothing_behind(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "text.txt").write_text("")
    assert entry([*words(place, "small"), "-q"]) == 3
    assert "text.txt: empty, so there is no training data in it" in capsys.readouterr().err
    assert not [path.name for path in place.iterdir() if "small" in path.name]


@pytest.mark.slow
def test_a_plan_makes_a_candidate_anew_when_its_recovery_data_change(place: Path) -> None:
    original = Subject(ModelSpec("original", str(place / "model")), silent)
    recipe = load_recipe(place / "r.yaml")

    def made(recipe: Recipe) -> Path:
        return Workshop(original, place / "models", {"small": recipe}, silent).made("small")

    first = made(recipe)
    assert made(recipe) == first
    (place / "text.txt").write_text("something else to read " * 400 + "\n\n" + "and more of it " * 400)
    assert made(recipe) != first


def test_stored_trials_are_what_a_later_search_learns_from(place: Path) -> None:
    assert entry([*words(place, "small"), "-q"]) == 0
    receipt = read_receipt(place / "small")
    assert receipt.recovery is not None
    trials = (Trial((1, 3), 0, 2.5), Trial((2, 2), 0, 2.4))
    store = DuckdbStore(place / "secateur.duckdb")
    store.save_receipt("one", replace(receipt, recovery=replace(receipt.recovery, trials=trials)).to_json())
    store.save_receipt("two", replace(receipt, recovery=None).to_json())
    store.save_receipt("three", '{"of": "another version"}')
    slower = receipt.recipe.recovery.model_copy(update={"learning_rate": 0.5}) if receipt.recipe.recovery else None
    trained_otherwise = replace(receipt, recipe=receipt.recipe.model_copy(update={"recovery": slower}))
    trained_otherwise = replace(trained_otherwise, recovery=replace(receipt.recovery, trials=trials[:1]))
    store.save_receipt("four", trained_otherwise.to_json())
    *found, other = observations(store)
    assert other.group != found[0].group
    assert [(one.ranks, one.score) for one in found] == [((1, 3), 2.5), ((2, 2), 2.4)]
    assert found[0].group == found[1].group
    assert found[0].shares == receipt.sparsity_by_block


def test_a_given_shape_is_calibrated_for_what_the_recovery_needs() -> None:
    recipe = Recipe(method="random", sparsity=0.1, recovery=Recovery(rule="importance"))
    assert Order(recipe, Path("out"), shape=Shape(8, 4, ())).needs == {"angles"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--low-memory"], "a recovery needs the whole model"),
        (["--dry-run"], "give either --out PATH or --dry-run"),
    ],
)
def test_what_cannot_be_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert entry([*words(place, "small"), "-q", *more]) == 3
    assert message in capsys.readouterr().err
    assert not (place / "small").exists()


@pytest.mark.slow
def test_least_squares_recovers_the_embedded_model() -> None:
    """On the built-in text, of which the held-out part is of the same kind; docs/recovery.md has other corpora."""
    original = Subject(ModelSpec("original", "smollm2-135m"), silent).loaded()
    data = {"tokens": 4096, "window": 128, "held_out": 0.2}
    recovery = {"rule": "layerwise", "options": {"tokens": 4096}, "data": data}
    calibration = {"windows": 8, "tokens": 128}
    recipe = {"method": "cfsp", "sparsity": 0.2, "calibration": calibration, "recovery": recovery}
    model = copy.deepcopy(original.model)
    resources = Resources(original=original.model)
    receipt = apply(model, Recipe.model_validate(recipe), original.tokenizer, resources=resources)
    assert receipt.recovery is not None
    assert receipt.recovery.notes == ()
    assert receipt.recovery.after < 0.95 * receipt.recovery.before
