"""Recipe: what to do, from YAML. Receipt: what was done."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from compress import methods
from compress.errors import CompressError
from compress.shape import Shape


class Calibration(BaseModel):
    """The text that data-driven methods watch the model read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path | None = None
    """A .jsonl file, or plain text of any other name; none: the built-in text."""
    field: str = "text"
    """Where a JSONL row keeps its text."""
    windows: int = Field(default=16, ge=1)
    tokens: int = Field(default=256, ge=2)
    """Tokens in one window."""
    seed: int = 0
    """Which windows of the text are read."""


class Recipe(BaseModel):
    """How to make a model smaller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    options: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    """The method's own options; those not given are filled in with their defaults."""
    sparsity: float = Field(gt=0, lt=1, allow_inf_nan=False)
    """r_block: the share of the decoder layers' Linear weights to remove."""
    calibration: Calibration = Calibration()
    seed: int = Field(default=0, ge=0)
    """For what the method itself draws at random."""

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        methods.load(name)
        return name

    @field_validator("options")
    @classmethod
    def _complete(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "method" not in info.data:
            return options
        return methods.options(methods.make(info.data["method"], options))

    def chosen(self) -> methods.Method:
        """The method with its options."""
        return methods.make(self.method, self.options)


@dataclass(frozen=True)
class CalibrationFacts:
    """What was read: where from, the sha256 of the whole text in UTF-8, and how many tokens of it."""

    source: str
    sha256: str
    tokens: int


@dataclass(frozen=True)
class Receipt:
    """What compression did to one model."""

    recipe: Recipe
    shape: Shape
    sparsity_by_block: tuple[float, ...]
    """Share of each decoder layer's Linear weights that was removed."""
    ratios: dict[str, float | None]
    """r_total, r_block, r_ffn, r_group, r_zero, as `ratios.measure` defines them; None where one does not apply."""
    seconds: dict[str, float]
    """By stage: calibrate, plan, cut."""
    peak_bytes: int
    """Highest resident memory of the whole process so far, so an upper bound of what compression needed."""
    calibration: CalibrationFacts | None
    versions: dict[str, str]

    @property
    def widths(self) -> tuple[int, ...]:
        """FFN channels kept in each layer."""
        return tuple(len(layer.channels) for layer in self.shape.layers)

    @property
    def kv_groups(self) -> tuple[int, ...]:
        """kv groups kept in each layer."""
        return tuple(len(layer.groups) for layer in self.shape.layers)

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return self.recipe.seed

    def to_json(self) -> str:
        """One key a line, the long shape last."""
        content = {
            "recipe": self.recipe.model_dump(mode="json"),
            "sparsity_by_block": self.sparsity_by_block,
            "widths": self.widths,
            "kv_groups": self.kv_groups,
            "ratios": self.ratios,
            "seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
            "calibration": asdict(self.calibration) if self.calibration else None,
            "seed": self.seed,
            "versions": self.versions,
            "shape_digest": self.shape.digest,
            "shape": asdict(self.shape),
        }
        return "{\n" + ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in content.items()) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`. Raises CompressError on anything else."""
        try:
            raw = json.loads(text)
            return cls(
                recipe=Recipe.model_validate(raw["recipe"]),
                shape=Shape.from_json(json.dumps(raw["shape"])),
                sparsity_by_block=tuple(raw["sparsity_by_block"]),
                ratios=raw["ratios"],
                seconds=raw["seconds"],
                peak_bytes=raw["peak_bytes"],
                calibration=CalibrationFacts(**raw["calibration"]) if raw["calibration"] else None,
                versions=raw["versions"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CompressError(f"not a receipt: {error!r}") from None


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    files = resources.files("compress").joinpath("library").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A packaged recipe by name, or a YAML file.

    A calibration file is looked for beside the recipe file. Raises CompressError with all faults, one a line.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        recipe = _parsed(str(path), _read(path))
        return _beside(recipe, path.parent)
    names = recipe_names()
    if str(name_or_path) not in names:
        near = difflib.get_close_matches(str(name_or_path), names, n=1)
        hint = f", did you mean '{near[0]}'?" if near else ";"
        raise CompressError(
            f"unknown recipe '{name_or_path}'{hint} packaged recipes: {', '.join(names)}; or give a .yaml file"
        )
    file = resources.files("compress").joinpath("library", f"{name_or_path}.yaml")
    return _parsed(f"{name_or_path}.yaml", file.read_text(encoding="utf-8"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CompressError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise CompressError(f"{path}: cannot read recipe: {error.strerror}") from None


def _parsed(where: str, text: str) -> Recipe:
    try:
        content = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise CompressError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not isinstance(node, yaml.MappingNode):
        raise CompressError(f"{where}: a recipe is a mapping with at least 'method' and 'sparsity'")
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
    if len(lines) < len(node.value):
        raise CompressError(f"{where}: a key is given twice")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise CompressError("\n".join(_fault(where, lines, fault) for fault in error.errors())) from None


def _fault(where: str, lines: dict[str, int], fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    line = lines.get(str(fault["loc"][0])) if fault["loc"] else None
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        model = Recipe if len(fault["loc"]) == 1 else Calibration
        message = f"unknown key; allowed: {', '.join(model.model_fields)}"
    if fault["loc"] == ("sparsity",) and "input" in fault and fault["type"] != "missing":
        message = f"{fault['input']!r} is not allowed: a number above 0 and below 1"
    return f"{where}:{line}: {key}: {message}" if line else f"{where}: {key}: {message}"


def _beside(recipe: Recipe, folder: Path) -> Recipe:
    if recipe.calibration.file is None:
        return recipe
    calibration = recipe.calibration.model_copy(update={"file": folder / recipe.calibration.file})
    return recipe.model_copy(update={"calibration": calibration})
