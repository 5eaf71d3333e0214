"""Energy by counters of files that grow, cost by hand, and a job with both."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from compress import read_receipt
from harness import metering
from harness.errors import HarnessError
from harness.inspection import inspected
from harness.meters import NotMeasuredError, Package, joules, meters
from harness.metrics.cost import Cost, charged
from harness.metrics.energy import Energy
from harness.metrics.speed import Speed
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.records import Answer, Item, Measurement, Price
from harness.showing import outputs
from harness.stores.baselines import BaselineTable
from harness.stores.duckdb_store import DuckdbStore
from harness.trends.reading import histories
from harness.trends.resources import used
from suites import Case, Suite

WATTS = 40.0
RANGE = 262143328850


def package(root: Path, name: str, microjoules: int = 0) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


@pytest.fixture
def powercap(tmp_path: Path) -> Iterator[Path]:
    """A machine of one package, with a core inside it, that takes 40 watts whatever it does."""
    counter = package(tmp_path, "intel-rapl:0") / "energy_uj"
    package(tmp_path, "intel-rapl:0:0")
    begun, over = time.perf_counter(), threading.Event()

    def grow() -> None:
        while not over.wait(0.0002):
            draft = counter.with_suffix(".draft")
            draft.write_text(str(int((time.perf_counter() - begun) * WATTS * 1e6)))
            draft.rename(counter)

    thread = threading.Thread(target=grow)
    thread.start()
    yield tmp_path
    over.set()
    thread.join()


def test_energy_is_power_times_time(powercap: Path, tiny: Callable[[int], LoadedModel]) -> None:
    begun = time.perf_counter()
    pairs = Energy(blocks=4, new_tokens=8, root=powercap).measure(tiny(0), tiny(1))
    elapsed = time.perf_counter() - begun
    assert [before.metric for before, _ in pairs] == ["energy.prefill", "energy.decode"]
    whole = 0.0
    for (before, after), tokens in zip(pairs, (3 * 64, 8), strict=True):
        assert [item.hash for item in before.items] == [item.hash for item in after.items]
        assert (len(before.items), before.unit, before.higher_is_better) == (4, "J/token", False)
        whole += sum(item.value * tokens for item in (*before.items, *after.items))
    # Four of five blocks count, and the first is the slowest.
    assert 0.2 * WATTS * elapsed < whole < WATTS * elapsed


def test_a_counter_that_begins_anew_goes_on() -> None:
    one = Package(Path("unread"), RANGE + 1)
    assert joules([RANGE - 999_999], [2_000_000], [one]) == 3.0
    assert joules([0, 5], [1_000_000, 500_005], [one, one]) == 1.5


def test_a_machine_that_reports_no_energy_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotMeasuredError, match=r"this machine reports none: no intel-rapl:\[0-9\]\* in "):
        meters(accelerator=False, root=tmp_path)
    (package(tmp_path, "intel-rapl:0") / "energy_uj").unlink()
    with pytest.raises(NotMeasuredError, match=r"energy_uj cannot be read: No such file"):
        meters(accelerator=False, root=tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("much")
    with pytest.raises(NotMeasuredError, match="energy_uj holds no number"):
        meters(accelerator=False, root=tmp_path)


def test_an_hour_is_paid_for_what_it_reads_and_writes() -> None:
    """3.60 an hour is 0.001 a second; at 2,000 tokens a second a million take 500 seconds."""
    speed = Measurement(
        "speed.prefill", 2500.0, "tokens/s", True, "reading", (Item("0", "a", 2000.0), Item("1", "b", 4000.0))
    )
    cost = Cost(Price(per_hour=3.6))._hourly(speed)
    assert cost.metric == "cost.prefill"
    assert [(item.hash, item.value) for item in cost.items] == [("a", pytest.approx(0.5)), ("b", pytest.approx(0.25))]
    assert (cost.value, cost.higher_is_better) == (pytest.approx(0.375), False)


def test_cost_by_the_hour_is_read_in_turns(tiny: Callable[[int], LoadedModel]) -> None:
    quick = Speed(blocks=2, repeats=1, prompt_tokens=16, new_tokens=2)
    pairs = Cost(Price(per_hour=1.0), quick).measure(tiny(0), tiny(1))
    assert [(before.metric, len(before.items), after.metric) for before, after in pairs] == [
        ("cost.prefill", 2, "cost.prefill"),
        ("cost.decode", 2, "cost.decode"),
    ]
    assert Cost(Price(output_tokens=1.0), quick).measure(tiny(0), tiny(1)) == []


def test_tokens_are_paid_for_answer_by_answer() -> None:
    """0.5 for a million read and 2 for a million written: 100 read and 10 written are 50 + 20 millionths."""
    suite = Suite("words", "digest", (Case("a", [{"role": "user", "content": "hi"}]),))
    answers = [Answer("a", "p", "x", "stop", 100, 10, 0.1), Answer("a", "p", "y", "stop", 100, 20, 0.1, repeat=1)]
    found = charged(Price(input_tokens=0.5, output_tokens=2.0), [suite], {"words": answers})
    assert found.metric == "cost.answer"
    assert [item.value for item in found.items] == pytest.approx([70e-6, 90e-6])
    assert [(item.id, item.cluster) for item in found.items] == [("words/a#0", "words/a"), ("words/a#1", "words/a")]
    assert charged(Price(output_tokens=2.0), [suite], {"words": answers}).value == pytest.approx(30e-6)


PLAN = """\
name: costs
original: ./model
candidates: {other: {model: ./other}}
suites: [./words.yaml]
metrics: [energy, cost]
price: {per_hour: 1.2, per_million_output_tokens: 0.6}
gates:
  - {metric: cost.answer, max_ratio: 1.5}
  - {metric: cost.decode, max_ratio: 9, severity: warn}
"""


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    for seed, name in ((0, "model"), (1, "other")):
        tiny(seed).model.save_pretrained(folder / name)
        tiny(seed).tokenizer.save_pretrained(folder / name)
    tests = "\n".join(f"  - {{vars: {{word: w{n}}}, max_new_tokens: {2 + n % 3}}}" for n in range(20))
    (folder / "words.yaml").write_text(f"prompts: ['Say {{{{word}}}}']\ntests:\n{tests}\n")
    (folder / "plan.yaml").write_text(PLAN)
    return folder


def test_a_job_with_a_price_and_without_a_meter_of_energy(place: Path) -> None:
    outcome = run(load_plan(str(place / "plan.yaml")), place / "out")
    (verdict,) = outcome.verdicts
    store = DuckdbStore(place / "out" / "secateur.duckdb")
    deltas = store.frame("deltas").set_index("metric")
    assert {"cost.answer", "cost.prefill", "cost.decode"} <= set(deltas.index)
    run_id = store.verdicts(outcome.job)[0].before_run
    written = [answer.new_tokens for answer in store.run(run_id).answers["words"]]
    assert deltas.loc["cost.answer", "before"] == pytest.approx(0.6e-6 * sum(written) / len(written))
    assert verdict.findings[0].delta.n == 20
    if not Path("/sys/class/powercap/intel-rapl:0").exists():
        assert any(line.startswith("energy: not measured: this machine reports none") for line in verdict.notes)
        assert "energy: not measured: " in outputs.as_text(outcome, 0)
        assert "energy: not measured: " in (place / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("price: {per_hour: 1.2, per_million_output_tokens: 0.6}\n", "", r"metrics\.cost: what does it cost\?"),
        (
            "metrics: [energy, cost]",
            "metrics: [size]",
            r"price: nothing counts by it; give metrics: \[cost\], or an assertion of type cost",
        ),
        ("per_hour: 1.2, ", "", r"gate cost\.decode: no such metric; there are cost\.answer"),
        ("suites: [./words.yaml]\n", "", "tokens are counted of answers to suites, and this plan has none"),
        ("{per_hour: 1.2, per_million_output_tokens: 0.6}", "{}", "give one or more of per_hour, per_million_input"),
        ("1.2", "-1", "greater than 0"),
    ],
)
def test_prices_that_do_not_go_with_the_plan_are_refused(place: Path, old: str, new: str, message: str) -> None:
    (place / "wrong.yaml").write_text(PLAN.replace(old, new))
    with pytest.raises(HarnessError, match=message):
        inspected(load_plan(str(place / "wrong.yaml")))


TRAINED = """\
name: trained
original: ./model
candidates:
  cut: {recipe: {method: random, sparsity: 0.3}}
  recovered:
    recipe:
      method: random
      sparsity: 0.3
      recovery: {rule: layerwise, data: {sources: text.txt, tokens: 512, window: 64}}
metrics: [size, training]
gates: [{metric: size.bytes, max_ratio: 1}]
"""


def test_what_a_recovery_took_is_read_from_the_receipt(place: Path) -> None:
    (place / "text.txt").write_text(Path(__file__).read_text())
    (place / "trained.yaml").write_text(TRAINED)
    outcome = run(load_plan(str(place / "trained.yaml")), place / "out")
    store = DuckdbStore(place / "out" / "secateur.duckdb")
    rows = {row.candidate: row for row in store.verdicts(outcome.job)}
    cut, recovered = rows["cut"], rows["recovered"]
    took = read_receipt(store.run(recovered.after_run).model.source).recovery
    assert took is not None
    found = store.run(recovered.after_run).measurements
    assert found["training.speed"].value == pytest.approx(512 / took.seconds)
    assert found["training.peak"].value == took.peak_bytes > 50e6
    assert not any(name.startswith("training.") for name in store.run(recovered.before_run).measurements)
    assert store.run(cut.after_run).facts["training: not measured"] == "the candidate's recipe recovers nothing"
    assert "training: not measured: the candidate's recipe recovers nothing" in outputs.as_text(outcome, 0)
    assert all(name in (place / "out" / "report.html").read_text() for name in ("training.speed", "training.peak"))
    deltas = store.frame("deltas").set_index("metric")
    assert deltas.loc["training.peak", "after"] == took.peak_bytes
    assert "training.peak" in "\n".join(used(histories(BaselineTable(store.file))))


def test_gates_on_training_are_refused_where_nothing_is_trained(place: Path) -> None:
    gates = "gates: [{metric: training.speed, min_ratio: 1}]"
    (place / "wrong.yaml").write_text(TRAINED.replace("gates: [{metric: size.bytes, max_ratio: 1}]", gates))
    with pytest.raises(HarnessError, match="gate on training: candidate cut is not trained, its recipe recovers") as e:
        inspected(load_plan(str(place / "wrong.yaml")))
    assert "gate training.speed: it is measured on the candidate alone; use max or min, not min_ratio" in str(e.value)
    assert "candidate recovered" not in str(e.value)


BOARDS = """\
class NVMLError(Exception):
    pass


def nvmlInit():
    pass


def nvmlDeviceGetCount():
    return 1


def nvmlDeviceGetHandleByIndex(number):
    return number


def nvmlDeviceGetTotalEnergyConsumption(handle):
    return 7
"""
"""A module by NVML's names, with one board that has used seven millijoules."""


def test_a_gate_on_energy_goes_by_the_boards_where_models_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "name: joules\noriginal: smollm2-135m\ncandidates: {c: {model: smollm2-135m}}\nmetrics: [energy]\n"
        "gates: [{metric: energy.decode, max_ratio: 1.1}]\n"
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(metering, "meters", partial(meters, root=tmp_path))
    with pytest.raises(HarnessError, match=r"accelerator is not counted: no pynvml \(python -m pip install nvidia-ml"):
        inspected(load_plan(str(plan)))
    (tmp_path / "pynvml.py").write_text(BOARDS)
    monkeypatch.syspath_prepend(tmp_path)
    assert [meter.microjoules() for meter in meters(accelerator=True, root=tmp_path)] == [7000]
    assert inspected(load_plan(str(plan)))
    sys.modules.pop("pynvml")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(HarnessError, match="gate on energy: this machine reports none"):
        inspected(load_plan(str(plan)))
