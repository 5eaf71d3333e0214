"""Race of pruned models against their original: prefill and decoding, against what the removed work allows.

    python tests/races/speed.py MODEL_FOLDER [SPARSITY ...]

Prints the protocol, then a Markdown table. r_flops: share of the matrix-multiply work of one token that was removed,
the head counted. Bound: 1 / (1 - r_flops) up to 0.3; beyond, Amdahl's with the measured share of time that is spent
in matrix products.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from transformers import PreTrainedModel

from compress import Recipe, apply, open_model
from compress.anatomy.blocks import blocks

Work = Callable[[PreTrainedModel], None]
PROMPT, NEW, ROUNDS = 512, 32, 7
SPARSITIES = (0.1, 0.2, 0.3, 0.5)
PROTOCOL = f"""\
Prefill: one prompt of {PROMPT} random tokens. Decode: {NEW} tokens one by one behind 64, with cache. Original and
candidate by turns, {ROUNDS} rounds after one to warm up; ratio of CPU seconds, median over the rounds (lowest -
highest). Channels by `random`, since which ones go does not matter here; float32, one thread,
torch {torch.__version__}.
"""


def main(folder: Path, sparsities: list[float]) -> None:
    """Measure and print."""
    print(PROTOCOL)
    original = open_model(folder, torch.float32)
    shares = [(work, matrix_share(original, work)) for work in (prefill, decode)]
    print(f"Share of the original's CPU time in matrix products: {shares[0][1]:.3f} and {shares[1][1]:.3f}.\n")
    print("| r_block | layers | r_flops | prefill | of its bound | decode | of its bound |")
    print("|---|---|---|---|---|---|---|")
    for sparsity in sparsities:
        for equal in (True, False):
            candidate = open_model(folder, torch.float32)
            options = {} if equal else {"budget": "cfsp"}
            recipe = Recipe.model_validate({"method": "random", "sparsity": sparsity, "equal_layers": equal, **options})
            apply(candidate, recipe, torch.randint(0, 1000, (4, 128)))
            r_flops = 1 - products(candidate) / products(original)
            pair = (original, candidate)
            cells = [cell(pair, work, bound(r_flops, share)) for work, share in shares]
            kind = "equal" if equal else "unequal"
            print(f"| {sparsity} | {kind} | {r_flops:.3f} | {' | '.join(cells)} |", flush=True)


def bound(r_flops: float, share: float) -> float:
    """The speed-up that removing this much of the products allows; share: of the time that they take."""
    return 1 / (1 - r_flops) if r_flops <= 0.3 else 1 / (1 - share * r_flops)


def cell(pair: tuple[PreTrainedModel, PreTrainedModel], work: Work, limit: float) -> str:
    """Two columns: how many times faster than the original the candidate is, and that as a share of the bound."""
    ratios = []
    for turn in range(ROUNDS + 1):
        seconds = [cpu_seconds(model, work) for model in pair]
        if turn:
            ratios.append(seconds[0] / seconds[1])
    middle = statistics.median(ratios)
    return f"{middle:.2f} ({min(ratios):.2f} - {max(ratios):.2f}) | {middle / limit:.2f} of {limit:.2f}"


@torch.no_grad()
def cpu_seconds(model: PreTrainedModel, work: Work) -> float:
    """Of one go."""
    start = time.process_time()
    work(model)
    return time.process_time() - start


def prefill(model: PreTrainedModel) -> None:
    """Read a prompt."""
    model(input_ids=tokens(PROMPT), use_cache=True, logits_to_keep=1)


def decode(model: PreTrainedModel) -> None:
    """Write token after token."""
    seen = model(input_ids=tokens(64), use_cache=True, logits_to_keep=1)
    for _ in range(NEW):
        chosen = seen.logits[:, -1:].argmax(dim=-1)
        seen = model(input_ids=chosen, past_key_values=seen.past_key_values, use_cache=True)


def tokens(count: int) -> Tensor:
    """The same random tokens every time."""
    return torch.randint(0, 1000, (1, count), generator=torch.Generator().manual_seed(0))


def products(model: PreTrainedModel) -> int:
    """Multiply-adds of one token in all weight matrices."""
    head: object = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    assert isinstance(head, nn.Linear)
    return sum(block.weights for block in blocks(model)) + head.weight.numel()


@torch.no_grad()
def matrix_share(model: PreTrainedModel, work: Work) -> float:
    """Share of CPU time in matrix products."""
    work(model)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work(model)
    events = seen.key_averages()
    whole = sum(event.self_cpu_time_total for event in events)
    products = ("aten::mm", "aten::addmm")
    return float(sum(event.self_cpu_time_total for event in events if event.key in products) / whole)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), [float(value) for value in sys.argv[2:]] or list(SPARSITIES))
