"""What a machine says of the energy that it has used: the counters of its processors, and of its accelerators."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.errors import HarnessError

POWERCAP = Path("/sys/class/powercap")
PACKAGES = "intel-rapl:[0-9]*"
"""Named so on machines of AMD as well; what has a second number is a part of a package, and counted with it."""
NVML = "pynvml"


class NotMeasuredError(HarnessError):
    """The machine does not say it; whatever else is asked of the models goes on."""


class Meter(Protocol):
    """Counts up for ever, but for a counter that begins anew at its range."""

    @property
    def range(self) -> int: ...

    def microjoules(self) -> int: ...


@dataclass(frozen=True)
class Package:
    """One processor package, idle and other work included."""

    folder: Path
    range: int

    def microjoules(self) -> int:
        """Raises NotMeasuredError where only root may read it."""
        return _number(self.folder / "energy_uj")


@dataclass(frozen=True)
class Board:
    """One NVIDIA accelerator, by NVML."""

    handle: Any
    range: int = 2**64 * 1000

    def microjoules(self) -> int:
        return 1000 * int(importlib.import_module(NVML).nvmlDeviceGetTotalEnergyConsumption(self.handle))


def meters(accelerator: bool, root: Path = POWERCAP) -> list[Meter]:
    """All there are, read once; accelerator: whether boards are wanted.

    Raises NotMeasuredError, with the reason, where the machine reports none that counts what is wanted.
    """
    boards = _boards() if accelerator else []
    if accelerator and not boards:
        raise NotMeasuredError(
            f"energy: the accelerator is not counted: no {NVML} (python -m pip install nvidia-ml-py)"
        )
    try:
        return [*boards, *_packages(root)]
    except NotMeasuredError:
        if boards:
            return list(boards)
        raise


def joules(first: Sequence[int], then: Sequence[int], of: Sequence[Meter]) -> float:
    """Between two readings of all meters; one that began anew meanwhile did so once."""
    return sum((b - a) % meter.range for a, b, meter in zip(first, then, of, strict=True)) / 1e6


def _packages(root: Path) -> list[Package]:
    folders = [folder for folder in sorted(root.glob(PACKAGES)) if folder.name.count(":") == 1]
    found = [Package(folder, _number(folder / "max_energy_range_uj") + 1) for folder in folders]
    if not found:
        raise NotMeasuredError(f"this machine reports none: no {PACKAGES} in {root}")
    for package in found:
        package.microjoules()
    return found


def _boards() -> list[Board]:
    if importlib.util.find_spec(NVML) is None:
        return []
    nvml = importlib.import_module(NVML)
    try:
        nvml.nvmlInit()
        return [Board(nvml.nvmlDeviceGetHandleByIndex(number)) for number in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise NotMeasuredError(f"the accelerator is not counted: {error}") from error


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except OSError as error:
        raise NotMeasuredError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise NotMeasuredError(f"{path} holds no number") from error
