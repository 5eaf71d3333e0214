"""How many GPUs a model is given: by its parameters and dtype, on nodes that say that they have some."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.executors import make, ray, ray_cluster
from harness.executors.errands import Errand, Task
from harness.executors.sizing import SHARE, Cluster
from harness.models.opening import LoadedModel, fingerprint_of
from harness.models.weighing import weight_bytes
from harness.progress import silent
from harness.records import ModelSpec


@dataclass(frozen=True)
class Look:
    """Tells what it was given."""

    def done(self, loaded: LoadedModel) -> tuple[int, str, str]:
        gpus = len(os.environ["CUDA_VISIBLE_DEVICES"].split(","))
        return gpus, loaded.facts.get("device_map", "not spread"), os.getcwd()


@dataclass(frozen=True)
class Break:
    """Counts its tries, and fails."""

    file: Path

    def done(self, loaded: LoadedModel) -> None:
        with self.file.open("a") as file:
            file.write("x")
        raise OSError("of this node alone")


@pytest.fixture(scope="module")
def spec(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("sized")
    tiny(0).model.save_pretrained(folder)
    tiny(0).tokenizer.save_pretrained(folder)
    return ModelSpec("m", str(folder))


def errand(
    spec: ModelSpec, copies: int = 1, task: Task = Look(), keep: Callable[[Any], Sequence[Errand]] = tuple
) -> Errand:
    return Errand(spec, fingerprint_of(spec), task, keep, copies)


def test_weights_are_parameters_times_the_bytes_of_their_dtype(
    tiny: Callable[[int], LoadedModel], spec: ModelSpec, tmp_path: Path
) -> None:
    count = sum(tensor.numel() for tensor in tiny(0).model.state_dict().values())
    assert weight_bytes(spec) == 4 * count
    assert weight_bytes(replace(spec, dtype="bfloat16")) == 2 * count
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 7)
    assert weight_bytes(ModelSpec("m", str(tmp_path))) is None
    assert weight_bytes(ModelSpec("m", "someone/elsewhere")) is None


def test_a_model_gets_as_many_gpus_as_its_weights_need(spec: ModelSpec) -> None:
    size = weight_bytes(spec)
    assert size is not None

    def needed(of_memory: float, spec: ModelSpec = spec, copies: int = 1) -> int | None:
        """of_memory: of what weights may take of one GPU, how much these take."""
        cluster = Cluster(8, (4, 2), round(size / SHARE / of_memory))
        return cluster.needed(errand(spec, copies))

    assert [needed(share) for share in (0.1, 0.99, 1.01, 1.99, 2.01, 3.9)] == [1, 1, 2, 2, 3, 4]
    assert needed(50) == 4, "a node has no more; the rest waits in its memory"
    assert needed(1.5, replace(spec, dtype="float16")) == 1
    assert [needed(share, copies=2) for share in (0.49, 0.51)] == [1, None], "to cut, both are on one device"
    assert needed(9, replace(spec, dtype="int8")) == 1, "cannot be spread"
    assert needed(0.1, replace(spec, device_map={"model": 0, "lm_head": "cuda:2", "norm": "cpu"})) == 3
    assert Cluster(8, (4, 2), None).needed(errand(spec)) == 1
    assert Cluster(8).needed(errand(spec)) == 0


def test_a_cluster_has_room_by_node() -> None:
    cluster = Cluster(64, (4, 2, 8))
    assert [cluster.room(gpus) for gpus in (1, 2, 3, 8)] == [14, 7, 3, 1]
    assert (Cluster(6).room(0), Cluster(0).room(0)) == (6, 1)


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster whose one node says that it has four, and whose workers know this file's errands in any folder."""
    from ray.cluster_utils import Cluster as Nodes

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's spelling
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = Nodes(initialize_head=True, head_node_args={"num_cpus": 4, "num_gpus": 4, "include_dashboard": False})
    try:
        yield made.address
    finally:
        made.shutdown()


@pytest.mark.slow
def test_actors_have_the_gpus_that_their_model_needs(
    spec: ModelSpec, four_gpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch sees no GPU here, so that `auto` puts all on the CPU; that the placement is asked for is what is seen."""
    found: list[tuple[str, tuple[int, str, str]]] = []
    small, size, seen = replace(spec, dtype="bfloat16"), weight_bytes(spec), []
    assert size is not None

    def with_small_gpus() -> Cluster:
        seen.append(ray_cluster.seen())
        return replace(seen[0], gpu_bytes=round(size / SHARE / 1.5))

    def keeping(name: str, more: Sequence[Errand] = ()) -> Callable[[Any], Sequence[Errand]]:
        def keep(result: tuple[int, str, str]) -> Sequence[Errand]:
            found.append((name, result))
            return more

        return keep

    monkeypatch.setattr(ray, "seen", with_small_gpus)
    monkeypatch.chdir(tmp_path)
    later = [errand(small, keep=keeping("small")) for _ in range(2)]
    first = [errand(spec, keep=keeping("large", later)), errand(small, 2, keep=keeping("copied"))]
    broken, nowhere = tmp_path / "tries", replace(spec, dtype="float16", device_map={"model": "cuda:0"})
    first += [errand(small, task=Break(broken)), *[errand(nowhere, keep=keeping("nowhere"))] * 9]
    make("ray", four_gpus).run(first, silent)
    assert seen == [Cluster(4, (4,), None)]
    here = str(tmp_path)
    assert sorted(found) == [("large", (2, "all on cpu", here)), *[("small", (1, "not spread", here))] * 2]
    assert broken.read_text() == "x", "what fails there is left, and only that"
    with pytest.raises(HarnessError, match="another model there than here; all nodes must see the same files"):
        make("ray", four_gpus).run([Errand(spec, "another", Look(), tuple)], silent)


def test_an_address_where_nobody_listens_is_refused_at_once() -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(HarnessError, match=f"--address {address}: no cluster there"):
            make("ray", address).run([], silent)
