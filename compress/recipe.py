"""Recipe: what to do to a model, from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from compress import budgets, methods
from compress.plugins import options_of
from compress.training.settings import Recovery


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

WHY = {
    "width": "which removes channels and leaves no zeros",
    "weights": "which zeroes weights that have to stay zero",
    "layers": "which removes layers and leaves no zeros",
}
"""What a method removes -> what that means for its recovery."""

SIMULATED = "simulated sparsity: zeros are stored and multiplied like any weight, so nothing gets smaller or faster"
RATIOS: dict[str, tuple[str, ...]] = {
    "width": ("r_block", "r_total", "r_ffn", "r_group"),
    "weights": ("r_zero",),
    "layers": ("r_block", "r_total", "r_ffn"),
}
"""What a method removes -> the ratios that can be its target; the first is what a bare `sparsity` means.

The others are 0, or not defined, whatever it does.
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
    recovery: Recovery | None = None
    """What brings lost quality back after the cut; None, or the name none: nothing."""
    steps: int = Field(default=1, ge=1, le=100)
    """Cuts and recoveries in turns: each of an equal part of the target, on an equal part of the data."""
    calibration: Calibration = Calibration()
    seed: int = Field(default=0, ge=0)
    """For what the method itself draws at random."""
    note: str = ""
    """What a reader of the receipt has to know, such as where its files come from."""

    @field_validator("recovery", mode="before")
    @classmethod
    def _none_by_name(cls, given: Any) -> Any:
        return None if given == "none" else given

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
        return options_of(methods.make(info.data["method"], options))

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
        if self.target is not None and self.target.ratio == "r_group" and not method.attention:
            raise ValueError("target: r_group is the share of channels and of kv groups; set attention: true")
        if method.removes != "width":
            refit = method.removes == "layers" and self.compensate == "least_squares"
            compensate = self.compensate != "none" and not refit
            chosen = {"budget": self.budget, "compensate": compensate, "equal_layers": self.equal_layers}
            for key in (key for key, value in chosen.items() if value):
                raise ValueError(f"{key}: goes with methods that remove channels; {self.method} does not")
        if self.steps > 1:
            self._refuse_steps(method.removes)
        if self.recovery is not None and method.removes not in self.recovery.chosen().suits:
            raise ValueError(
                f"recovery: the rule {self.recovery.rule} does not go with {self.method}, {WHY[method.removes]}"
            )
        return self

    def _refuse_steps(self, removes: str) -> None:
        if removes != "width":
            raise ValueError(f"steps: goes with methods that remove channels; {self.method} does not")
        if self.recovery is None:
            raise ValueError("steps: each cut needs a recovery after it; give 'recovery' too")
        if self.recovery.apart:
            raise ValueError("steps: adapters have to be merged before the next cut; leave 'merge: false' out")
        if self.target is not None and self.target.ratio == "r_group":
            raise ValueError("steps: shares of r_group do not add up to one; aim at r_block, r_total or r_ffn")

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
    def notes(self) -> tuple[str, ...]:
        """What a reader of the receipt has to know by the recipe alone."""
        simulated = SIMULATED if self.chosen().removes == "weights" else ""
        return tuple(filter(None, (self.note, simulated)))

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it reads."""
        text = () if self.calibration.file is None else (self.calibration.file,)
        return text if self.recovery is None else (*text, *self.recovery.data.files)

    def beside(self, folder: Path) -> Recipe:
        """The same with all its files looked for in this folder."""
        changes: dict[str, Any] = {}
        if self.calibration.file is not None:
            changes["calibration"] = self.calibration.model_copy(update={"file": folder / self.calibration.file})
        if self.recovery is not None:
            changes["recovery"] = self.recovery.model_copy(update={"data": self.recovery.data.beside(folder)})
        return self.model_copy(update=changes)

    @property
    def needs(self) -> frozenset[str]:
        """What one calibration of the original has to gather; any of `stats.NEEDS`."""
        method = self.chosen()
        if method.removes == "weights" and method.sequential:
            return self.needs_of_what_stays
        scores: frozenset[str] = method.needs
        if method.removes == "width":
            scores = scores | self.rule().needs
        return scores | self.needs_of_what_stays

    @property
    def needs_of_what_stays(self) -> frozenset[str]:
        """The part of `needs` that is left where no scores are wanted: for compensation and recovery."""
        needs = frozenset[str]({"activations"} if self.compensate == "bias" else ())
        return needs if self.recovery is None else needs | self.recovery.chosen().needs
