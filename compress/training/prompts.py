"""Prompts: questions that a model answers for its own recovery."""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib import resources
from itertools import product
from pathlib import Path
from string import Formatter

import yaml

from compress.errors import CompressError
from compress.text_files import Row, rows, texts
from compress.training.settings import Source

FIELDS = ("prompt", "instruction", "question", "text")
"""Where a JSONL row may keep a prompt, looked for in this order."""


def asked(source: Source, seed: int) -> list[str]:
    """The prompts of a source `self`, in drawn order."""
    return builtin(seed) if source.prompts is None else read(Path(source.prompts), source.field, seed)


def builtin(seed: int) -> list[str]:
    """Every built-in form with every topic, the other slots drawn, in drawn order."""
    file = resources.files("compress").joinpath("text", "prompts.yaml")
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    drawn = random.Random(seed)
    prompts = [_filled(form, topic, found["slots"], drawn) for form, topic in product(found["forms"], found["topics"])]
    return drawn.sample(prompts, len(prompts))


def _filled(form: str, topic: dict[str, str], slots: dict[str, Sequence[object]], drawn: random.Random) -> str:
    names = [name for _, name, _, _ in Formatter().parse(form) if name]
    return form.format(**{name: topic[name] if name in topic else drawn.choice(slots[name]) for name in names})


def read(path: Path, field: str, seed: int) -> list[str]:
    """The prompts of a file, each once, in drawn order: one a row of .jsonl, one a line of any other name.

    field: where a row keeps its prompt, before the usual ones. Raises CompressError.
    """
    found = [_prompt(row, field) for row in rows(path, "prompts")] if path.suffix == ".jsonl" else lines(path)
    unlike = list(dict.fromkeys(prompt.strip() for prompt in found if prompt.strip()))
    return random.Random(seed).sample(unlike, len(unlike))


def lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank."""
    return "\n".join(texts(path, "prompts")).split("\n")


def _prompt(row: Row, field: str) -> str:
    named = (field,) if field != "text" else ()
    name = next((name for name in (*named, *FIELDS) if name in row.fields), None)
    if name is None:
        wanted = ", ".join((*named, *FIELDS))
        raise CompressError(f"{row.place}: no prompt; needs one of {wanted}; fields found: {row.names()}")
    return row.text(name)
