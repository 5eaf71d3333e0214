"""How long work tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""(what, done, total); called often, so it has to be cheap. Behind ": " in `what` may stand how it goes."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
