"""Strings that want to be more than text, and pages made of nothing else."""

from __future__ import annotations

import dataclasses
import functools
import json
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from reports.page import CandidatePage, Page

FILE = Path(__file__).with_suffix(".json")

OURS: dict[tuple[str, str], object] = {
    ("Link", "page"): "jobs/0a.html",
    ("Entry", "page"): "jobs/0a.html",
    ("Strip", "cells"): "plgf-",
    ("HistoryPoint", "started"): "2026-11-24 03:00 UTC",
    ("HistoryPart", "levels"): ((0, 0.5),),
}
"""Class and field -> what stands in fields of which nobody else writes any part."""


@functools.cache
def strings() -> tuple[str, ...]:
    """All strings of hostile.json, where [text, times] stands for a long one."""
    families = json.loads(FILE.read_text("utf-8")).values()
    entries = [entry for family in families for entry in family]
    return tuple(entry if isinstance(entry, str) else entry[0] * entry[1] for entry in entries)


def page_of(text: str, choice: int = 0) -> Page:
    """A page with one of everything, and this text in every field that takes any; fields to come are filled as well.

    choice: which word is taken where a field allows only some, counted round.
    """
    page = filled(Page, (text,), choice)
    assert isinstance(page, Page)
    return page


def page_of_all() -> Page:
    """A page with one candidate, in which every list has an entry for each of the strings, all different."""
    page, candidate = filled(Page, strings()), filled(CandidatePage, strings())
    assert isinstance(page, Page)
    assert isinstance(candidate, CandidatePage)
    return dataclasses.replace(page, candidates=(candidate,))


def filled(kind: Any, texts: tuple[str, ...], choice: int = 0) -> Any:
    """A value of the type; lists get one entry for each text, but inside of lists only one."""
    if kind is str:
        return texts[0]
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        given = {field.name: OURS.get((kind.__name__, field.name)) for field in dataclasses.fields(kind)}
        return kind(**{name: ours or filled(hints[name], texts, choice) for name, ours in given.items()})
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return inner[choice % len(inner)]
    if origin is tuple and inner[-1] is not ...:
        return tuple(filled(part, texts, choice) for part in inner)
    if origin is tuple:
        return tuple(filled(inner[0], (text,), choice + at) for at, text in enumerate(texts))
    if origin in (Union, UnionType):
        return filled(inner[0], texts, choice)
    return {bool: bool(choice % 2), int: 1, float: 0.5, datetime: datetime.now(UTC)}[kind]
