"""Plug-in folders: file name = name in a recipe = class name in snake case; the class's fields are its options."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Folder:
    """One folder of plug-ins."""

    package: ModuleType
    what: str
    """What one of them is called in messages, for example "method"."""

    def names(self) -> list[str]:
        """All plug-ins: the files of the folder."""
        return sorted(module.name for module in pkgutil.iter_modules(self.package.__path__))

    def load(self, name: str) -> Any:
        """The class of one plug-in. Raises ValueError naming all of them and the nearest."""
        known = self.names()
        if name not in known:
            raise ValueError(f"unknown {self.what} '{name}'{nearest(name, known)}; {self.what}s: {', '.join(known)}")
        module = importlib.import_module(f"{self.package.__name__}.{name}")
        return getattr(module, "".join(part.capitalize() for part in name.split("_")))

    def make(self, name: str, given: Mapping[str, Any]) -> Any:
        """One plug-in with its options. Raises ValueError for an unknown option, or a value of the wrong kind."""
        from pydantic import TypeAdapter, ValidationError

        kind = self.load(name)
        allowed = [field.name for field in fields(kind)]
        for option in given:
            if option not in allowed:
                raise ValueError(
                    f"unknown option '{option}' of {self.what} '{name}'{nearest(option, allowed)}; "
                    f"allowed: {', '.join(allowed) or 'none'}"
                )
        try:
            return TypeAdapter(kind).validate_python(dict(given))
        except ValidationError as error:
            faults = "; ".join(
                ": ".join([*(str(part) for part in fault["loc"][:1]), fault["msg"].removeprefix("Value error, ")])
                for fault in error.errors()
            )
            raise ValueError(f"option of {self.what} '{name}': {faults}") from None


def options_of(plugin: Any) -> dict[str, Any]:
    """All options of one plug-in, defaults included."""
    return asdict(plugin)


def nearest(name: str, known: list[str]) -> str:
    """ ", did you mean 'x'?", or nothing."""
    near = difflib.get_close_matches(str(name), known, n=1)
    return f", did you mean '{near[0]}'?" if near else ""
