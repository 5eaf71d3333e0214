"""What work costs, and what its result may depend on."""

from __future__ import annotations

import ctypes
import importlib.metadata
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import torch
import transformers


@dataclass
class Clock:
    """Wall seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is done inside counts as this stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def peak_bytes() -> int:
    """Highest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """Resident memory of this process now."""
    return int(psutil.Process().memory_info().rss)


@contextmanager
def watched(every_seconds: float) -> Iterator[list[int]]:
    """The highest resident memory while the body runs, in the one place of the list; read whole at its end."""
    peak, over = [resident_bytes()], threading.Event()

    def watch() -> None:
        while not over.wait(every_seconds):
            peak[0] = max(peak[0], resident_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
        peak[0] = max(peak[0], resident_bytes())


def versions() -> dict[str, str]:
    """What the result may depend on."""
    known = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
    try:
        return {"secateur": importlib.metadata.version("secateur"), **known}
    except importlib.metadata.PackageNotFoundError:
        return known


def give_back() -> None:
    """Hand freed memory to the system. glibc keeps pieces that the next layer does not fit into, and they add up."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
