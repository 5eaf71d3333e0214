"""Make a model smaller. Knows nothing of suites, stores or reports; importing it does not import torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from compress.errors import CompressError
from compress.recipe import Calibration, CalibrationFacts, Receipt, Recipe, load_recipe, recipe_names
from compress.shape import LayerShape, Shape

if TYPE_CHECKING:
    from compress.calibration import calibrate
    from compress.checkpoint import is_pruned, read_receipt, save
    from compress.cut import cut_
    from compress.opening import open_model
    from compress.planning import plan
    from compress.prune import apply
    from compress.stats import Stats

LAZY = {
    "Stats": "compress.stats",
    "apply": "compress.prune",
    "calibrate": "compress.calibration",
    "cut_": "compress.cut",
    "is_pruned": "compress.checkpoint",
    "open_model": "compress.opening",
    "plan": "compress.planning",
    "read_receipt": "compress.checkpoint",
    "save": "compress.checkpoint",
}
"""Public names that need torch -> the module that has them."""

__all__ = [
    "Calibration",
    "CalibrationFacts",
    "CompressError",
    "LayerShape",
    "Receipt",
    "Recipe",
    "Shape",
    "Stats",
    "apply",
    "calibrate",
    "cut_",
    "is_pruned",
    "load_recipe",
    "open_model",
    "plan",
    "read_receipt",
    "recipe_names",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'compress' has no attribute '{name}'")
    return getattr(importlib.import_module(LAZY[name]), name)
