"""What surrounds every call into lm-eval: silence, and the seeds that tasks shuffle with."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager

import lm_eval.api.task
import numpy

SEEDS = (0, 1234)
"""lm-eval's own for `random` and numpy."""


@contextmanager
def quiet_and_repeatable() -> Iterator[None]:
    """No log lines or bars of lm-eval's; same shuffles as in a stock run. All is put back afterwards."""
    logger, bar = logging.getLogger("lm_eval"), lm_eval.api.task.tqdm
    level, states = logger.level, (random.getstate(), numpy.random.get_state())
    logger.setLevel(logging.CRITICAL)
    lm_eval.api.task.tqdm = lambda items, **_: items
    random.seed(SEEDS[0])
    numpy.random.seed(SEEDS[1])
    try:
        yield
    finally:
        logger.setLevel(level)
        lm_eval.api.task.tqdm = bar
        random.setstate(states[0])
        numpy.random.set_state(states[1])
