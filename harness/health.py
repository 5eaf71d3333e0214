"""What this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.models.fingerprint import MISSED
from harness.models.placement import found_device
from harness.telling.sharing import DEFAULT_ACCOUNT

LIBRARIES = ("torch", "transformers", "peft", "lm-eval", "duckdb", "datasets", "gguf")
NEEDED_FREE_BYTES = 3 * 2**30
UNTESTED = (
    "CUDA, sparse tensor cores, several GPUs, MPS, Windows, models over a few hundred million parameters,"
    " hub downloads, PromptLayer itself, GitHub, GitLab and Airflow themselves, mail over TLS, meters of energy"
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `mend` is what to do when it is missing."""

    name: str
    value: str
    missing: bool = False
    mend: str = ""

    def line(self) -> str:
        mark = "MISSING" if self.missing else "ok"
        return f"{mark:8s}{self.name}: {self.value}" + (f"; {self.mend}" if self.mend else "")


def examined(out: Path) -> list[Finding]:
    """Look at libraries, machine, cache, disk and store, without loading a model."""
    return [
        Finding("python", platform.python_version(), sys.version_info < (3, 11), ""),
        *(_library(name) for name in LIBRARIES),
        _processor(),
        _memory(),
        _disk(out),
        _folder(out),
        _embedded(),
        Finding("fingerprints", f"of every byte of a model; in a plan, fingerprint: sampled reads {MISSED}"),
        _hub(),
        _promptlayer(),
        Finding("not exercised by any recorded test", UNTESTED),
    ]


def _library(name: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "not installed", True, f"python -m pip install {name}")


def _processor() -> Finding:
    import torch

    device = {"mps": "MPS", "cpu": "CPU only"}.get(found_device()) or torch.cuda.get_device_name()
    return Finding("compute", f"{device}, {os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    return Finding("memory", f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free")


def _disk(out: Path) -> Finding:
    free = shutil.disk_usage(_existing(out)).free
    few = free < NEEDED_FREE_BYTES
    return Finding("disk", f"{free / 2**30:.1f} GiB free for {out}", few, "free at least 3 GiB" if few else "")


def _folder(out: Path) -> Finding:
    place = _existing(out)
    writable = os.access(place, os.W_OK)
    mend = "" if writable else "make it writable, or choose another by --out"
    return Finding("results", f"{place.resolve()} {'can' if writable else 'cannot'} be written", not writable, mend)


def _existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    path = path.resolve()
    while not path.exists():
        path = path.parent
    return path


def _embedded() -> Finding:
    from harness.models import embedded

    folder = embedded.default_cache() / embedded.NAME
    if not embedded.is_sound(folder):
        return Finding("embedded model", "not in the cache yet", False, "secateur doctor --bring")
    return Finding("embedded model", str(folder))


def _hub() -> Finding:
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    return Finding(
        "hub", "switched off by HF_HUB_OFFLINE" if offline else "asked when a plan names a hub model or data set"
    )


def _promptlayer() -> Finding:
    """Never missing: it is wanted only by plans that name it."""
    key = "is set" if os.environ.get(DEFAULT_ACCOUNT) else "is not set"
    try:
        version = importlib.metadata.version("promptlayer")
    except importlib.metadata.PackageNotFoundError:
        return Finding("promptlayer", "not installed", mend="wanted? python -m pip install 'secateur[promptlayer]'")
    return Finding("promptlayer", f"{version}, {DEFAULT_ACCOUNT} {key}")
