"""promptfoo's results as JSON (`promptfoo eval -o results.json`): a row a test, prompt and provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.digest import digest
from harness.errors import HarnessError
from harness.imports.readings import Reading, Readings, mapping, measured, number

PASS_RATE = "promptfoo.pass_rate"
FORMAT = "promptfoo results (.json)"
ERROR = 2
"""promptfoo's `failureReason` of a test that was not answered."""


def readings(rows: Sequence[object], path: Path, provider: str) -> Readings:
    """The numbers of one provider: promptfoo.pass_rate, promptfoo.score, promptfoo.NAME of every named score.

    A test that ended with an error has no value. Raises HarnessError if the file holds several providers and none is
    named, or another.
    """
    given = [mapping(row, f"{path}: results[{number_}]") for number_, row in enumerate(rows)]
    providers = list(dict.fromkeys(_provider(row) for row in given))
    if not provider and len(providers) > 1:
        raise HarnessError(f"{path}: several providers; write {path}#NAME with one of {', '.join(providers)}")
    if provider and provider not in providers:
        raise HarnessError(f"{path}: no provider {provider!r}; there are: {', '.join(providers)}")
    chosen = provider or (providers[0] if providers else "")
    found = [one for row in given if _provider(row) == chosen for one in _row(row)]
    return Readings(FORMAT, chosen, measured(found))


def _provider(row: Mapping[str, Any]) -> str:
    """The label of a provider where it has one, else its id."""
    provider = row.get("provider")
    if isinstance(provider, dict):
        return str(provider.get("label") or provider.get("id"))
    return str(provider)


def _row(row: Mapping[str, Any]) -> Iterator[Reading]:
    if row.get("failureReason") == ERROR or not isinstance(row.get("success"), bool):
        return
    prompt = row.get("prompt")
    raw = prompt.get("raw") if isinstance(prompt, dict) else prompt
    name = f"{row.get('testIdx')}-{row.get('promptIdx')}"
    shown = digest(raw, row.get("vars"), _asserted(row))
    yield Reading(PASS_RATE, name, shown, float(row["success"]))
    scores = row.get("namedScores")
    named = {f"promptfoo.{key}": value for key, value in scores.items()} if isinstance(scores, dict) else {}
    for metric, value in {"promptfoo.score": row.get("score"), **named}.items():
        read = number(value)
        if read is not None:
            yield Reading(metric, name, shown, read)


def _asserted(row: Mapping[str, Any]) -> object:
    case = row.get("testCase")
    return case.get("assert") if isinstance(case, dict) else None
