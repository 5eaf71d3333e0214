"""Make a model smaller. Knows nothing of suites, stores or reports; importing it imports nothing that takes time."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from compress.errors import CompressError

if TYPE_CHECKING:
    from compress.calibration.calibrate import calibrate
    from compress.calibration.stats import Stats
    from compress.checkpoints.checkpoint import is_pruned, read_receipt, save
    from compress.checkpoints.opening import open_model
    from compress.cutting.cut import cut_
    from compress.loader import load_recipe, recipe_names
    from compress.planning.plan import plan
    from compress.prune import apply
    from compress.receipt import CalibrationFacts, Receipt
    from compress.recipe import Calibration, Recipe
    from compress.shape import LayerShape, Shape

LAZY = {
    "Calibration": "compress.recipe",
    "CalibrationFacts": "compress.receipt",
    "LayerShape": "compress.shape",
    "Receipt": "compress.receipt",
    "Recipe": "compress.recipe",
    "Shape": "compress.shape",
    "Stats": "compress.calibration.stats",
    "apply": "compress.prune",
    "calibrate": "compress.calibration.calibrate",
    "cut_": "compress.cutting.cut",
    "is_pruned": "compress.checkpoints.checkpoint",
    "load_recipe": "compress.loader",
    "open_model": "compress.checkpoints.opening",
    "plan": "compress.planning.plan",
    "read_receipt": "compress.checkpoints.checkpoint",
    "recipe_names": "compress.loader",
    "save": "compress.checkpoints.checkpoint",
}
"""Public names -> the module that has them."""

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
