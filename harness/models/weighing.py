"""How much the weights of a model take, from the headers of its files."""

from __future__ import annotations

import json
import math
from pathlib import Path

from harness.errors import HarnessError
from harness.models import embedded
from harness.models.opening import located
from harness.records import ModelSpec

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""Of one number."""


def parameters(model: str) -> int | None:
    """Numbers in the safetensors files of a folder, or of the embedded model if it is here; None: there are none."""
    folder = embedded.default_cache() / embedded.NAME if model == embedded.NAME else Path(model)
    counts = [_numbers(path) for path in sorted(folder.glob("*.safetensors"))]
    return sum(counts) if counts else None


def weight_bytes(spec: ModelSpec) -> int | None:
    """What a model takes once it is open; None: that cannot be seen without opening it."""
    try:
        count = parameters(spec.source) or parameters(str(located(spec)))
    except (HarnessError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None if count is None else count * BYTES[spec.dtype]


def _numbers(path: Path) -> int:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
