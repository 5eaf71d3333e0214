"""Receipt: what compression did to one model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

from pydantic import TypeAdapter

from compress.errors import CompressError
from compress.recipe import Recipe
from compress.shape import Shape
from compress.training.facts import Recovered


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
    """By stage: calibrate, plan, cut, recover."""
    peak_bytes: int
    """Highest resident memory of the whole process so far, so an upper bound of what compression needed."""
    calibration: CalibrationFacts | None
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    """What a reader has to know, in sentences."""
    recovery: Recovered | None = None
    """None: nothing was recovered."""
    score_deciles: tuple[tuple[float, ...], ...] = ()
    """By layer, the scores that 0, 10, ..., 100 % of its FFN channels did not exceed; empty: none were scored."""

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
            "score_deciles": self.score_deciles,
            "versions": self.versions,
            "notes": self.notes,
            "recovery": asdict(self.recovery) if self.recovery else None,
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
                recovery=TypeAdapter(Recovered | None).validate_python(raw.get("recovery")),
                score_deciles=tuple(tuple(layer) for layer in raw.get("score_deciles", ())),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CompressError(f"not a receipt: {error!r}") from None
