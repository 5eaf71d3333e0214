"""Pruning methods: one file each. A method decides what stays; it never touches the model.

File name = name in a recipe = class name in snake case; the fields of its frozen dataclass are its options.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from compress.calibration import BlockStats, Stats
    from compress.families import Block


class Method(Protocol):
    """What `plan` asks of a pruning method."""

    @property
    def attention(self) -> bool:
        """Whether kv groups are removed besides FFN channels."""

    @property
    def round_to(self) -> int | Literal["auto"]:
        """FFN widths are multiples of this. auto: 128 where the FFN is 4096 wide or more, else 8."""

    @property
    def needs(self) -> frozenset[str]:
        """What calibration has to gather: any of "channels", "heads", "angles"; empty: no data."""

    def keep_shares(self, stats: Stats, removed: float) -> list[float]:
        """The share that each layer keeps; their mean is 1 - removed."""

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """(channels,) importance of each FFN channel; the highest stay."""

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """(kv_heads,) importance of each kv group; the highest stay."""


def names() -> list[str]:
    """All methods: the files of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> type[Method]:
    """The class of a method. Raises ValueError naming all methods and the nearest."""
    if name not in names():
        raise ValueError(f"unknown method '{name}'{_nearest(name, names())}; methods: {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    method: type[Method] = getattr(module, "".join(part.capitalize() for part in name.split("_")))
    return method


def make(name: str, given: Mapping[str, Any]) -> Method:
    """A method with its options. Raises ValueError for an unknown option, or a value of the wrong kind."""
    from pydantic import TypeAdapter, ValidationError

    kind: Any = load(name)
    allowed = [field.name for field in fields(kind)]
    for option in given:
        if option not in allowed:
            raise ValueError(
                f"unknown option '{option}' of method '{name}'{_nearest(option, allowed)}; "
                f"allowed: {', '.join(allowed) or 'none'}"
            )
    try:
        method: Method = TypeAdapter(kind).validate_python(dict(given))
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise ValueError(f"option of method '{name}': {faults}") from None
    return method


def options(method: Any) -> dict[str, Any]:
    """All options of a method, defaults included."""
    return asdict(method)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    return f", did you mean '{near[0]}'?" if near else ""
