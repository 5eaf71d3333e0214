"""The cluster of Ray: connected to, or started here, and looked at."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from harness.errors import HarnessError
from harness.executors.sizing import Cluster
from harness.executors.worker import gpu_memory

PATIENCE = 120.0
"""Seconds in which something has to answer that a cluster is asked for."""

CONNECT_SECONDS = 10.0
"""In which the port of a cluster that is named has to take a connection."""


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    there = ray.is_initialized()
    if not there:
        _refuse_absent(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise HarnessError(f"--address {address}: no cluster there: {' '.join(str(error).split())[:200]}") from None
    try:
        yield
    finally:
        if not there:
            ray.shutdown()


def _refuse_absent(address: str | None) -> None:
    """Raise HarnessError if nobody listens at host:port, for which Ray would look for many minutes."""
    named = re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:(\d+)", address or "")
    if named is None:
        return
    try:
        socket.create_connection((named[1], int(named[2])), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise HarnessError(f"--address {address}: no cluster there: {error}") from None


def seen() -> Cluster:
    """What is there now."""
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    with_gpus = {node["NodeID"]: int(node["Resources"].get("GPU", 0)) for node in nodes}
    with_gpus = {node: count for node, count in with_gpus.items() if count}
    cores = int(sum(node["Resources"].get("CPU", 0) for node in nodes))
    return Cluster(cores, tuple(with_gpus.values()), _smallest_gpu(with_gpus) if with_gpus else None)


def _smallest_gpu(nodes: Iterable[str]) -> int | None:
    """Bytes; a GPU of each of these nodes is looked at, unless others have it for long."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, num_gpus=0.01)(gpu_memory)
    places = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
    there = [look.options(scheduling_strategy=place).remote() for place in places]
    ready, _ = ray.wait(there, num_returns=len(there), timeout=PATIENCE)
    found = []
    for one in ready:
        with suppress(RayError):
            found.append(ray.get(one))
    return min((size for size in found if size), default=None)
