"""Vectors of texts, as a model of embeddings replied them, and how near two of them are."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from suites.advice import Question
from suites.errors import UndecidedError
from suites.reply import Reply

Vector = Sequence[float]


def vector(answer: Reply, text: str) -> Vector:
    """Return the vector of a text; raises UndecidedError if there is none."""
    advice = answer.advised(Question("embeddings", text))
    if advice.reply is None:
        raise UndecidedError(advice.error)
    found: list[float] = json.loads(advice.reply)
    return found


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of the angle between two vectors, 0 if one of them has no length."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return dot(one, other) / lengths if lengths else 0.0


def dot(one: Vector, other: Vector) -> float:
    """Return the dot product of two vectors."""
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def distance(one: Vector, other: Vector) -> float:
    """Return the Euclidean distance of two vectors."""
    return math.dist(one, other)
