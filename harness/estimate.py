"""About how long a plan takes, before anything is loaded: arithmetic over tokens, at the speed of this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.models.weighing import parameters
from harness.plan import Plan
from suites import Suite

TOKENS_A_DOCUMENT = 100
"""Of a benchmark, all choices together; zero-shot tasks have about that many, few-shot ones many more."""
LETTERS_A_TOKEN = 4
TEMPLATE_TOKENS = 30
NEW_TOKEN_WEIGHT = 4
"""A token that is written costs about as much as so many that are read: it goes through the model in small batches."""
SIZE = 1024
ROUNDS = 20


def estimated_seconds(plan: Plan, suites: Sequence[Suite], documents: int) -> float | None:
    """Asking the original and every candidate that runs here once; loading, making and meters come on top.

    A multiply-add for each parameter and token (two operations), at the measured rate of a float32 matrix product.
    None: the original's size cannot be seen without loading it.
    """
    count = None if plan.original.endpoint else parameters(plan.original.model)
    if count is None:
        return None
    tokens = documents * TOKENS_A_DOCUMENT + (plan.fidelity.tokens * len(plan.fidelity.corpora) if plan.fidelity else 0)
    for suite in suites:
        for case in suite.cases:
            letters = sum(len(message["content"]) for message in case.messages)
            once = letters // LETTERS_A_TOKEN + TEMPLATE_TOKENS + case.max_new_tokens * NEW_TOKEN_WEIGHT
            tokens += once * case.tries
    models = 1 + sum(candidate.endpoint is None for candidate in plan.candidates.values())
    return 2.0 * count * tokens * models / _operations_a_second()


def _operations_a_second() -> float:
    import torch

    square = torch.ones(SIZE, SIZE)
    square @ square
    start = time.perf_counter()
    for _ in range(ROUNDS):
        square @ square
    return ROUNDS * 2 * SIZE**3 / (time.perf_counter() - start)
