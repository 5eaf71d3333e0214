"""A search for the best model that is fast or small enough: the table by hand, the rest on a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from compress import Shape
from compress.shape import LayerShape
from harness.errors import HarnessError
from harness.models.opening import LoadedModel
from harness.plan_file import load_plan
from harness.progress import silent
from harness.search.latency import Stand, latency
from harness.search.searching import search
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.soundness import faults
from suites.errors import SuiteError


def layer(channels: int, groups: int) -> LayerShape:
    return LayerShape(tuple(range(channels)), tuple(range(groups)), 48, 4, 2)


def test_a_shape_takes_what_its_layers_take() -> None:
    table = latency(5.0, [(16, 2.0), (32, 6.0), (40, 5.0), (48, 9.0)], [(1, 7.0), (2, 9.0)])
    assert table.channels == ((16, 2.0), (32, 5.5), (40, 5.5), (48, 9.0)), "less never takes longer"
    # 5 + 9, then halfway from 2 to 5.5, then 2 with a group less, which saves 2.
    assert table.seconds(Shape(32, 8, (layer(48, 2),))) == 14.0
    assert table.seconds(Shape(32, 8, (layer(24, 2), layer(16, 1)))) == pytest.approx(5 + 3.75 + 0.0)
    assert table.seconds(Shape(32, 8, (layer(48, 2), layer(0, 0)))) == 14.0


def test_a_table_is_read_once_for_every_width(tiny: Callable[[int], LoadedModel]) -> None:
    read = {"layers": 12.0, "rest": 4.0, "channels": 10.0, "groups": 8.0}
    asked: list[tuple[str, float]] = []

    def timed(name: str, kept: float, reading: Callable[[], float]) -> float:
        asked.append((name, kept))
        return read[name]

    table = Stand(tiny(0), False, silent).table(timed, with_groups=True)
    assert asked == [("layers", 2), ("rest", 0), *(("channels", n) for n in (6, 12, 24, 36)), ("groups", 1)]
    assert (table.rest, table.channels[0], table.channels[-1]) == (4.0, (6, 3.0), (48, 4.0))
    assert table.groups == ((1, 2.0), (2, 4.0))


def test_narrow_layers_are_timed_as_they_are(tiny: Callable[[int], LoadedModel]) -> None:
    stand = Stand(tiny(0), False, silent)
    table = stand.table(lambda name, kept, reading: reading(), with_groups=False)
    assert [kept for kept, _ in table.channels] == [6, 12, 24, 36, 48]
    assert [kept for kept, _ in table.groups] == [2]
    assert table.seconds(Shape(32, 8, (layer(48, 2), layer(48, 2)))) > 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{memory: 1.2x}", "memory: 1.2x asks nothing of a cut; give a multiple below 1x"),
        ("{decode_tokens_per_second: 0.9x}", "asks nothing of a cut; give a multiple above 1x"),
        ("{memory: 0.9y}", "'0.9y' is no target; give a number, or a multiple of the original's like 1.3x"),
        ("{}", "give exactly one of decode_tokens_per_second, prefill_tokens_per_second, memory; found none"),
        ("{memory: 0.9x}\n  minimise: memory", "give either 'target' or 'minimise'"),
    ],
)
def test_what_is_no_target_is_said_in_a_line(place: Path, target: str, message: str) -> None:
    with pytest.raises((HarnessError, SuiteError), match=message):
        load_plan(str(aimed(place, target)))


def aimed(place: Path, target: str, methods: str = "[magnitude.yaml]") -> Path:
    text = (place / "plan.yaml").read_text()
    path = place / "aimed.yaml"
    path.write_text(text.replace("methods: [magnitude.yaml]", f"methods: {methods}\n  target: {target}"))
    return path


@pytest.mark.slow
def test_of_those_that_are_small_enough_the_nearest_to_the_original_is_judged(place: Path, tmp_path: Path) -> None:
    (place / "random.yaml").write_text("{method: random, sparsity: 0.1, options: {round_to: 1}}")
    account = search(load_plan(str(aimed(place, "{memory: 0.9x}", "[magnitude.yaml, random.yaml]"))), tmp_path)
    assert account.winner is not None
    assert account.winner.variant == "magnitude"
    aims = {row.variant: row.measured for row in account.of("aim")}
    assert all(0.89 < (aim or 0) <= 0.9 for aim in aims.values()), "as little as is enough"
    assert len(account.of("screen")) == 2
    assert [row.variant for row in account.of("gates")] == ["magnitude"]
    (memory,) = [one for one in json.loads(account.winner.findings) if one["gate"]["metric"] == "memory.weights"]
    assert memory["estimate"] == pytest.approx(aims["magnitude"], abs=1e-6)
    expected = f"memory.weights: expected at {aims['magnitude']:.3g}x, the target is 0.9x, measured"
    assert expected in account.sentences()[0]
    assert not faults(DuckdbStore(tmp_path / "secateur.duckdb").file)
    assert "aimed" in (tmp_path / "search.html").read_text()


@pytest.mark.slow
def test_a_speed_is_predicted_and_measured(place: Path, tmp_path: Path) -> None:
    plan = load_plan(str(aimed(place, "{decode_tokens_per_second: 0.5}")))
    account = search(plan, tmp_path)
    assert account.winner is not None
    assert account.winner.sparsity == 0.05, "anything is fast enough"
    assert {row.variant for row in account.of("latency")} == {"layers", "rest", "channels"}
    assert "the target is 0.5 tokens/s, measured" in account.sentences()[0]
    out_of_reach = search(load_plan(str(aimed(place, "{prefill_tokens_per_second: 9000x}"))), tmp_path / "out")
    assert (out_of_reach.exit_code, out_of_reach.of("screen")) == (2, [])
    assert "cut by 0.5 speed.prefill is expected at" in " ".join(out_of_reach.sentences())


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["memory", "latency"])
def test_the_smallest_by_another_measure_wins(place: Path, tmp_path: Path, measure: str) -> None:
    (place / "random.yaml").write_text("{method: random, sparsity: 0.1, options: {round_to: 1}}")
    text = (place / "plan.yaml").read_text().replace("kl, max: 0.85", "kl, max: 1.5")
    methods = f"methods: [magnitude.yaml, random.yaml]\n  minimise: {measure}"
    (place / "other.yaml").write_text(text.replace("methods: [magnitude.yaml]", methods))
    account = search(load_plan(str(place / "other.yaml")), tmp_path)
    assert account.winner is not None
    best: dict[str, float | None] = {}
    for row in account.of("gates"):
        if row.decision == "PASS":
            best[row.variant] = row.measured
            assert measure == "latency" or row.measured == 4 * row.parameters, "float32"
    if len(best) > 1:
        assert account.winner.variant == min(best, key=lambda name: best[name] or 0.0)
