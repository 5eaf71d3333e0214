"""Recipes by name or from YAML files, all faults of a file in one message."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from compress.errors import CompressError
from compress.plugins import nearest
from compress.recipe import Recipe
from compress.training.settings import NAMED, Recovery


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    files = resources.files("compress").joinpath("library").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A packaged recipe by name, or a YAML file; "cfsp-20+distill" is cfsp-20 with the recovery of that name.

    Files that a recipe names are looked for beside it. Raises CompressError with all faults, one a line.
    """
    base, plus, recovery = str(name_or_path).rpartition("+")
    known = ["none", *NAMED]
    if plus and recovery in known:
        return with_recovery(load_recipe(base), recovery)
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        recipe = _parsed(str(path), _read(path))
        return recipe.beside(path.parent)
    names = recipe_names()
    if base in names:
        raise CompressError(
            f"unknown recovery '{recovery}'{nearest(recovery, known) or ';'} with {base} go: {', '.join(known)}"
        )
    if str(name_or_path) not in names:
        hint = nearest(str(name_or_path), names) or ";"
        raise CompressError(
            f"unknown recipe '{name_or_path}'{hint} packaged recipes: {', '.join(names)}; or give a .yaml file"
        )
    file = resources.files("compress").joinpath("library", f"{name_or_path}.yaml")
    return _parsed(f"{name_or_path}.yaml", file.read_text(encoding="utf-8"))


def with_recovery(recipe: Recipe, name: str) -> Recipe:
    """The same recipe with another recovery. Raises CompressError for one that is not known or does not go with it."""
    try:
        chosen = None if name == "none" else Recovery.model_validate(name)
    except ValidationError as error:
        raise CompressError(f"recovery: {_first(error)}") from None
    try:
        return Recipe.model_validate({**recipe.model_dump(), "recovery": chosen})
    except ValidationError as error:
        raise CompressError(f"with recovery {name}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


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
    if len({key.value for key, _ in node.value}) < len(node.value):
        raise CompressError(f"{where}: a key is given twice")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise CompressError("\n".join(_fault(where, node, fault) for fault in error.errors())) from None


def _fault(where: str, node: yaml.Node, fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        allowed = list(_model_of(fault["loc"]).model_fields)
        message = f"unknown key{nearest(str(fault['loc'][-1]), allowed)}; allowed: {', '.join(allowed)}"
    if fault["loc"] == ("sparsity",) and "input" in fault and fault["type"] != "missing":
        message = f"{fault['input']!r} is not allowed: a number above 0 and below 1"
    line = _line(node, fault["loc"])
    place = f"{where}:{line}" if line else where
    return f"{place}: {key}: {message}" if key else f"{place}: {message}"


def _line(node: yaml.Node, place: tuple[int | str, ...]) -> int | None:
    """Line of the innermost key of `place` that the file has, counted from 1; None for the file as a whole."""
    line = None
    for part in place:
        pairs = {key.value: (key, value) for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        if part in pairs:
            key, node = pairs[part]
            line = key.start_mark.line + 1
    return line


def _model_of(place: tuple[int | str, ...]) -> type[BaseModel]:
    """The part of a recipe that the last key of `place` was given to."""
    model: type[BaseModel] = Recipe
    for part in place[:-1]:
        if part in model.model_fields:
            model = _models(model.model_fields[str(part)].annotation)[0]
    return model


def _models(annotation: Any) -> list[type[BaseModel]]:
    """All models in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]
