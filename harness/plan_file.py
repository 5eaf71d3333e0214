"""A plan's file, or a packaged plan -> Plan; and what the command line changes of it."""

from __future__ import annotations

from pathlib import Path

from compress import methods
from compress.recipe import Recipe
from harness.candidates.stages import staged
from harness.errors import HarnessError
from harness.plan import Plan
from harness.plan_models import DTYPE, Model
from suites.allowance import Allowance
from suites.document import Document, read, validated
from suites.errors import SuiteError

BUILT_IN = Path(__file__).parent / "plans"
PERMISSIONS = ("allow_code", "allow_outside", "allow_env")


def load_plan(source: str) -> Plan:
    """The plan of a file, or the packaged plan of that name; relative paths are relative to the file.

    Raises HarnessError with every fault of the file: file, line, key, what is allowed.
    """
    path = Path(source)
    if not path.exists() and source in built_in():
        path = BUILT_IN / f"{source}.yaml"
    try:
        document = read(path)
        plan = validated(document, Plan)
        for key in PERMISSIONS:
            if getattr(plan, key):
                option = f"--{key.replace('_', '-')}"
                raise SuiteError(document.fault((key,), f"who runs the plan says so, by {option}"))
        if plan.half:
            raise SuiteError(document.fault(("half",), "`secateur search` parts a plan, its file does not"))
        return staged(_anchored(plan, document))
    except SuiteError as error:
        raise HarnessError(str(error)) from error


def only(plan: Plan, candidate: str) -> Plan:
    """The plan with one of its candidates, which decides then. Raises HarnessError naming those there are."""
    if candidate not in plan.candidates:
        raise HarnessError(f"no candidate {candidate!r} in plan {plan.name}; there are: {', '.join(plan.candidates)}")
    chosen = plan.candidates[candidate].model_copy(update={"severity": "block"})
    return plan.model_copy(update={"candidates": {candidate: chosen}})


def permitting(plan: Plan, granted: Allowance) -> Plan:
    """The plan with what the command line lets its suites do."""
    return plan.model_copy(
        update={
            "skip_unsupported": plan.skip_unsupported or granted.skip_unsupported,
            "allow_code": granted.code,
            "allow_outside": granted.outside,
            "allow_env": sorted(granted.env),
        }
    )


def built_in() -> list[str]:
    """Names of the packaged plans."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def _anchored(plan: Plan, document: Document) -> Plan:
    """The plan with the paths it names made absolute, where such a file or folder is there."""
    folder = Path(document.file).resolve().parent

    def there(name: str | None) -> str | None:
        if name is None:
            return None
        path = folder / Path(name).expanduser()
        looks_like_path = name.startswith((".", "/", "~")) or path.exists()
        return str(path) if looks_like_path else name

    def inline(recipe: Recipe | None) -> Recipe | None:
        return None if recipe is None else recipe.beside(folder)

    candidates = {
        name: candidate.model_copy(
            update={
                "model": candidate.model if candidate.endpoint else there(candidate.model),
                "adapter": there(candidate.adapter),
                "recipe": there(candidate.recipe) if isinstance(candidate.recipe, str) else inline(candidate.recipe),
                **candidate.learning(there),
                "dtype": None if candidate.endpoint else candidate.dtype or plan.original.dtype or DTYPE,
                "engine": None if candidate.endpoint else candidate.engine or plan.original.engine,
            }
        )
        for name, candidate in plan.candidates.items()
    }

    def anchored(model: Model) -> Model:
        if model.endpoint is not None:
            return model
        paths = {"model": there(model.model), "adapter": there(model.adapter)}
        return model.model_copy(update={**paths, "dtype": model.dtype or DTYPE})

    update: dict[str, object] = {
        "original": anchored(plan.original),
        "judge": plan.judge and anchored(plan.judge),
        "embeddings": plan.embeddings and plan.embeddings.model_copy(update={"model": there(plan.embeddings.model)}),
        "candidates": candidates,
        "benchmarks": [one.model_copy(update={"include_path": there(one.include_path)}) for one in plan.benchmarks],
        "suites": [there(name) for name in plan.suites],
        "data_root": there(plan.data_root),
    }
    if plan.fidelity:
        paths = {name: one if one == "builtin" else str(folder / one) for name, one in plan.fidelity.corpora.items()}
        update["fidelity"] = plan.fidelity.model_copy(update={"corpus": paths.get("", paths)})
    if plan.search:
        sources = [name if name in methods.names() else there(name) for name in plan.search.methods]
        update["search"] = plan.search.model_copy(update={"methods": sources})
    return plan.model_copy(update=update)
