"""How a peer is measured: each contestant twice, each time in a process that does nothing but load, prune and save.

CPU s: user and system time of the pruning alone, children included; not imports, loading, calibration text or saving.
Peak: the largest resident set of the process, up to the end of the pruning; `loaded` is the same before the pruning.
Of two runs the lower figure is printed, since others may use the machine.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import wikitext
from torch import Tensor, no_grad
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

RUNS = 2
BATCH = 4
Prune = Callable[[PreTrainedModel, Tensor], None]
"""(model, calibration windows): changes the model."""


def main(contestants: dict[str, Prune], packages: tuple[str, ...]) -> None:
    """Measure all contestants and the floor, or, where the command line ends in a name, run that one here."""
    model, data, out, *name = sys.argv[1:]
    entered = {"floor": forward, **contestants}
    if name:
        print(json.dumps(run(entered[name[0]], Path(model), Path(data), Path(out) / name[0])))
        return
    print(wikitext.PROTOCOL + __doc__)
    versions = [f"{package} {importlib.metadata.version(package)}" for package in ("torch", "transformers", *packages)]
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {', '.join(versions)}\n")
    for contestant in entered:
        runs = [in_own_process(contestant) for _ in range(RUNS)]
        print(json.dumps({"name": contestant, **{key: min(row[key] for row in runs) for key in runs[0]}}), flush=True)


def in_own_process(contestant: str) -> dict[str, float]:
    """One run's figures."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *sys.argv, contestant]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def run(prune: Prune, model: Path, data: Path, out: Path) -> dict[str, float]:
    """Load, prune, save; the figures of the pruning."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    windows = wikitext.calibration(tokenizer, data)
    network = AutoModelForCausalLM.from_pretrained(model, dtype="float32").eval()
    loaded = peak_megabytes()
    before = sum(os.times()[:4])
    prune(network, windows)
    cost = {
        "cpu_s": round(sum(os.times()[:4]) - before, 1),
        "peak_mb": peak_megabytes(),
        "loaded_mb": loaded,
    }
    network.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return cost


def peak_megabytes() -> int:
    """Largest resident set so far, in 10^6 bytes; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6


def batches(windows: Tensor) -> DataLoader:
    """The calibration windows as the peers take them, without a mask: all tokens count."""
    return DataLoader([{"input_ids": window} for window in windows], batch_size=BATCH)


@no_grad()
def forward(model: PreTrainedModel, windows: Tensor) -> None:
    """The floor: a scorer that reads the calibration windows once can't be cheaper."""
    for batch in batches(windows):
        model.get_decoder()(**batch, use_cache=False)
