"""What a search may choose among: every method with every recovery, at any sparsity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from compress import CompressError, Recipe, load_recipe, methods
from compress.loader import with_recovery
from harness.candidates.making import adjusted
from harness.errors import HarnessError
from harness.search.form import Search

NONE = "none"


@dataclass(frozen=True)
class Variant:
    """A method with a recovery; only how much is removed is left open."""

    method: str
    recovery: str
    recipe: Recipe
    """At the lowest sparsity of the search."""

    @property
    def name(self) -> str:
        return self.method if self.recovery == NONE else f"{self.method}+{self.recovery}"

    def at(self, sparsity: float) -> Recipe:
        """The recipe that removes so much."""
        return adjusted(self.recipe, sparsity, "auto")

    def candidate(self, sparsity: float) -> str:
        """Its name as a candidate of a plan."""
        return f"{self.name.replace('+', '-')}-{sparsity:g}"


def variants(form: Search) -> list[Variant]:
    """All of a search, method by method, the bare cut first.

    The bare cut of every method is among them, whatever recoveries are asked for: it is what a screen looks at first.
    Raises HarnessError with every fault of methods and recoveries.
    """
    found: list[Variant] = []
    faults: list[str] = []
    for source in form.methods:
        for recovery in dict.fromkeys((NONE, *form.recovery)):
            try:
                found.append(Variant(Path(source).stem, recovery, _recipe(source, recovery, form.sparsity[0])))
            except (CompressError, HarnessError) as error:
                faults.append(str(error))
                break
    names = [variant.name for variant in found]
    faults += [f"{name} is there twice; rename a file" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults:
        raise HarnessError("\n".join(f"search: {fault}" for fault in faults))
    return found


def _recipe(source: str, recovery: str, sparsity: float) -> Recipe:
    if source in methods.names():
        try:
            recipe = Recipe.model_validate({"method": source, "sparsity": sparsity})
        except ValidationError as error:
            messages = [fault["msg"].removeprefix("Value error, ") for fault in error.errors()]
            raise HarnessError(f"{source}: {'; '.join(messages)}") from None
    else:
        recipe = adjusted(load_recipe(source), sparsity, "auto")
    if recipe.chosen().removes != "width":
        removed = {"weights": "zeroes single weights, so nothing gets smaller", "layers": "removes whole layers only"}
        raise HarnessError(f"{source} {removed[recipe.chosen().removes]}; give methods that cut channels")
    return with_recovery(recipe, recovery)
