"""Keep transformers' own progress bars and notices off the terminal while we work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers, and put its settings back afterwards."""
    import logging

    from transformers.utils import logging as notices

    verbosity, bars = notices.get_verbosity(), notices.is_progress_bar_enabled()
    notices.set_verbosity(logging.CRITICAL)
    notices.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        notices.set_verbosity(verbosity)
        if bars:
            notices.enable_progress_bar()  # type: ignore[no-untyped-call]
