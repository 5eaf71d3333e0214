"""Recipe: what to do, from YAML. Receipt: what was done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from compress import budgets, methods
from compress.errors import CompressError
from compress.plugins import nearest
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


Ratio = Literal["r_total", "r_block", "r_ffn", "r_group", "r_zero"]

RATIOS: dict[str, tuple[str, ...]] = {
    "width": ("r_block", "r_total", "r_ffn"),
    "weights": ("r_zero",),
    "layers": ("r_block", "r_total"),
}
"""What a method removes -> the ratios that can be its target; the first is what a bare `sparsity` means.

Not r_group: with few whole groups a layer, one share of both channels and groups cannot be met.
"""


class Target(BaseModel):
    """How much to remove, by one of the ratio definitions of `ratios.measure`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ratio: Ratio
    value: float = Field(gt=0, lt=1, allow_inf_nan=False)


class BudgetChoice(BaseModel):
    """Which rule hands the sparsity out over the layers; a bare name is short for its defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return {"rule": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _known(self) -> Self:
        self.chosen()
        return self

    def chosen(self) -> budgets.Budget:
        """The rule with its options."""
        return budgets.make(self.rule, self.options)


class Recipe(BaseModel):
    """How to make a model smaller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    options: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    """The method's own options; those not given are filled in with their defaults."""
    sparsity: float | None = Field(default=None, gt=0, lt=1, allow_inf_nan=False)
    """How much to remove: r_block, or r_zero for methods that zero single weights."""
    target: Target | None = None
    """The same by another ratio; one of the two."""
    budget: BudgetChoice | None = None
    """None: the method's own rule."""
    compensate: Literal["none", "bias", "least_squares"] = "none"
    """What makes up for the removed channels and groups in the weights that stay."""
    equal_layers: bool = False
    """Every layer keeps the same number of channels and groups, so that stock classes open the result."""
    calibration: Calibration = Calibration()
    seed: int = Field(default=0, ge=0)
    """For what the method itself draws at random."""

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        methods.FOLDER.load(name)
        return name

    @field_validator("options")
    @classmethod
    def _complete(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "method" not in info.data:
            return options
        return methods.options(methods.make(info.data["method"], options))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        method = self.chosen()
        allowed = RATIOS[method.removes]
        if self.sparsity is not None and self.target is not None:
            raise ValueError("give either 'sparsity' or 'target', not both")
        patterned = method.removes == "weights" and method.kept(0, 1) is not None
        if self.sparsity is None and self.target is None and not patterned:
            raise ValueError("how much to remove is missing: give 'sparsity', or 'target' with 'ratio' and 'value'")
        if patterned and (self.sparsity is not None or self.target is not None):
            raise ValueError("the N:M pattern says how much to remove; leave 'sparsity' and 'target' out")
        if self.target is not None and self.target.ratio not in allowed:
            raise ValueError(f"target: {self.method} can aim at {', '.join(allowed)}, not at {self.target.ratio}")
        if method.removes != "width":
            refit = method.removes == "layers" and self.compensate == "least_squares"
            compensate = self.compensate != "none" and not refit
            chosen = {"budget": self.budget, "compensate": compensate, "equal_layers": self.equal_layers}
            for key in (key for key, value in chosen.items() if value):
                raise ValueError(f"{key}: goes with methods that remove channels; {self.method} does not")
        return self

    def chosen(self) -> Any:
        """The method with its options: a `methods.Width`, `Sparse` or `Depth`."""
        return methods.make(self.method, self.options)

    def rule(self) -> budgets.Budget:
        """The budget rule: the recipe's, or else the method's own."""
        return self.budget.chosen() if self.budget else budgets.make(self.chosen().budget, {})

    @property
    def goal(self) -> Target | None:
        """How much to remove; None only where an N:M pattern says it."""
        if self.target is not None or self.sparsity is None:
            return self.target
        return Target.model_validate({"ratio": RATIOS[self.chosen().removes][0], "value": self.sparsity})

    @property
    def needs(self) -> frozenset[str]:
        """What one calibration of the original has to gather; any of `stats.NEEDS`."""
        method = self.chosen()
        needs: frozenset[str] = method.needs
        if method.removes == "weights" and method.sequential:
            return frozenset()
        if method.removes == "width":
            needs = needs | self.rule().needs
            if self.compensate == "bias":
                needs = needs | {"activations"}
        return needs


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
    """Share of each decoder layer's Linear weights that was removed or zeroed."""
    ratios: dict[str, float | None]
    """r_total, r_block, r_ffn, r_group, r_zero, as `ratios.measure` defines them; None where one does not apply."""
    seconds: dict[str, float]
    """By stage: calibrate, plan, cut."""
    peak_bytes: int
    """Highest resident memory of the whole process so far, so an upper bound of what compression needed."""
    calibration: CalibrationFacts | None
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    """What a reader has to know, in sentences."""

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
            "notes": self.notes,
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
                notes=tuple(raw.get("notes", ())),
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
        hint = nearest(str(name_or_path), names) or ";"
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
        raise CompressError(f"{where}: a recipe is a mapping with at least 'method'")
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
        parts: dict[str, type[BaseModel]] = {"calibration": Calibration, "target": Target, "budget": BudgetChoice}
        model: type[BaseModel] = Recipe if len(fault["loc"]) == 1 else parts[str(fault["loc"][0])]
        message = f"unknown key; allowed: {', '.join(model.model_fields)}"
    if fault["loc"] == ("sparsity",) and "input" in fault and fault["type"] != "missing":
        message = f"{fault['input']!r} is not allowed: a number above 0 and below 1"
    place = f"{where}:{line}" if line else where
    return f"{place}: {key}: {message}" if key else f"{place}: {message}"


def _beside(recipe: Recipe, folder: Path) -> Recipe:
    if recipe.calibration.file is None:
        return recipe
    calibration = recipe.calibration.model_copy(update={"file": folder / recipe.calibration.file})
    return recipe.model_copy(update={"calibration": calibration})
