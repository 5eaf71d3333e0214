"""How much memory a model takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.errors import HarnessError
from harness.metrics import Pair
from harness.models.opening import LoadedModel, open_spec
from harness.models.placement import own_parameters
from harness.progress import Progress, silent
from harness.records import Measurement, ModelSpec
from harness.workload import Workload, decode, prefill

if TYPE_CHECKING:
    from torch import Tensor

WORK = Workload(prompt_tokens=512, new_tokens=16)
EVERY_SECONDS = 0.002


@dataclass(frozen=True)
class Memory:
    """memory.weights: bytes of parameters and buffers once opened. memory.peak: the most while answering one prompt.

    The peak is read in a fresh process for each model, which opens it, reads 512 tokens and writes 16: on a CPU the
    highest resident memory during that work, less what the process held with all libraries imported and no model open;
    on an accelerator the most that torch had allocated there. So it holds weights, keys and values and working memory.
    One reading each, which repeats within one to three parts in a hundred; how far is not known for a given machine, so
    a gate on memory.peak stays INCONCLUSIVE. memory.weights is exact.
    """

    provides: ClassVar[tuple[str, ...]] = ("weights", "peak")

    def measure(self, before: LoadedModel, after: LoadedModel, progress: Progress = silent) -> list[Pair]:
        """Readings without items."""
        progress("memory", 0, 2)
        first = _peak(before)
        progress("memory", 1, 2)
        second = _peak(after)
        progress("memory", 2, 2)
        return [(_weights(before), _weights(after)), (first, second)]


def _weights(loaded: LoadedModel) -> Measurement:
    return Measurement("memory.weights", float(held(loaded)), "bytes", False, "reading")


def held(loaded: LoadedModel) -> int:
    """Bytes of parameters and buffers, wherever and in whatever they are kept; shared ones once."""
    tensors = (*own_parameters(loaded.model), *loaded.model.buffers())
    return sum(part.numel() * part.element_size() for tensor in tensors for part in _parts(tensor))


def _parts(tensor: Tensor) -> list[Tensor]:
    """What is kept of a tensor: itself, or, where sparse kernels have it, what is not zero and where it stands."""
    from torch.utils._python_dispatch import is_traceable_wrapper_subclass

    if not is_traceable_wrapper_subclass(tensor):
        return [tensor]
    names, _ = tensor.__tensor_flatten__()
    return [getattr(tensor, name) for name in names]


def _peak(loaded: LoadedModel) -> Measurement:
    spec = replace(loaded.spec, source=str(loaded.sources[0].absolute()))
    root = str(Path(__file__).parents[2])
    # -P: the folder that we happen to be in must not offer modules of its own.
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"from {__name__} import child; child()"],
        input=json.dumps(asdict(spec)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise HarnessError(f"{spec.source}: memory.peak could not be measured: {reason}")
    return Measurement("memory.peak", float(done.stdout), "bytes", False, "graded")


def child() -> None:
    """The fresh process: a ModelSpec as JSON on standard input, bytes on standard output."""
    import torch
    import transformers.models.auto.modeling_auto  # noqa: F401

    import compress.checkpoints.checkpoint  # noqa: F401
    from compress.costs import resident_bytes, watched

    spec = ModelSpec(**json.load(sys.stdin))
    libraries = resident_bytes()
    loaded = open_spec(spec)
    if loaded.device.startswith("cuda"):
        boards = range(torch.cuda.device_count())
        for board in boards:
            torch.cuda.reset_peak_memory_stats(board)
        _answer(loaded)
        print(sum(torch.cuda.max_memory_allocated(board) for board in boards))
        return
    with watched(EVERY_SECONDS) as peak:
        _answer(loaded)
    print(peak[0] - libraries)


def _answer(loaded: LoadedModel) -> None:
    token, cache = prefill(loaded, WORK.prompt(loaded))
    decode(loaded, token, cache, WORK.new_tokens)
