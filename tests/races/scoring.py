"""Race of the scorer: this package's against lm-eval's own transformers backend, on the same requests.

    python tests/races/scoring.py MODEL_FOLDER DATA_FOLDER [--share 0.2] [--tasks arc_easy mmlu-5]

DATA_FOLDER: benchmark data with an index.json. Prints the protocol, then one row of a Markdown table for each task: the
ratio of CPU seconds, the floor that shared work allows, and whether both say the same.

The floor is lm-eval's work over the least possible, in multiplications: its distinct rows, each token through blocks
and output layer, over the distinct beginnings of rows through the blocks and the distinct places that are scored
through the output layer. Padding, attention and everything that is no matrix product are in neither.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM

from harness.benchmarks.conditions import quiet_and_repeatable
from harness.benchmarks.lm import ScoringLM
from harness.benchmarks.tasks import build
from harness.models.opening import LoadedModel, open_spec
from harness.plan import Benchmark
from harness.records import ModelSpec
from harness.scoring import context_length
from harness.scoring.requests import Request, rows
from harness.scoring.sharing import shares_beginnings
from harness.scoring.tree import grown

ZERO_SHOT = ("arc_easy", "hellaswag", "piqa", "winogrande", "boolq", "openbookqa")
SUBJECTS = ("abstract_algebra", "anatomy", "astronomy", "business_ethics")
FEW_SHOT = {"arc_challenge": 25, "hellaswag": 10, "winogrande": 5, **{f"mmlu_{name}": 5 for name in SUBJECTS}}
DOCUMENTS = {"zero": 300, "few": 40, "mmlu": 50}
BATCH_SIZES = (1, 4, 8, 16)
TRIAL_DOCUMENTS = 12


@dataclass(frozen=True)
class Entry:
    """One line of the table; mmlu is several tasks in one."""

    name: str
    tasks: tuple[Benchmark, ...]
    few: bool


@dataclass
class Logged:
    """What one contestant said of each document, and how long it took."""

    seconds: float
    values: list[tuple[float, ...]]
    """Log-likelihoods of the choices of each document."""
    right: list[float]


def entries(share: float, wanted: Sequence[str]) -> list[Entry]:
    """All lines, with `share` of the documents; a name ends in -N for N examples."""

    def benchmark(task: str, kind: str, shots: int) -> Benchmark:
        return Benchmark(task=task, limit=max(2, round(DOCUMENTS[kind] * share)), num_fewshot=shots)

    found = [Entry(task, (benchmark(task, "zero", 0),), False) for task in ZERO_SHOT]
    single = [task for task in FEW_SHOT if not task.startswith("mmlu")]
    found += [Entry(f"{task}-{FEW_SHOT[task]}", (benchmark(task, "few", FEW_SHOT[task]),), True) for task in single]
    found.append(Entry("mmlu-5", tuple(benchmark(f"mmlu_{name}", "mmlu", 5) for name in SUBJECTS), True))
    return [entry for entry in found if not wanted or entry.name in wanted]


def asked(make: Callable[[], Any], benchmarks: Sequence[Benchmark], data: Path) -> Logged:
    """Run one contestant over the tasks of a line."""
    total = Logged(0.0, [], [])
    tasks: dict[str, Any] = {"tasks": {}, "groups": {}, "group_map": {}}
    for benchmark in benchmarks:
        for kind, known in build(benchmark, data).tasks.items():
            tasks[kind] |= known
    model = make()
    model.loglikelihood = timed(model.loglikelihood, total)
    with quiet_and_repeatable():
        results = evaluate(lm=model, task_dict=tasks, limit=benchmarks[0].limit, bootstrap_iters=0, log_samples=True)
    for benchmark in benchmarks:
        for row in results["samples"][benchmark.task]:
            total.values.append(tuple(float(answer[0]) for answer in row["filtered_resps"]))
            total.right.append(float(row["acc"]))
    return total


def timed(scoring: Callable[..., Any], total: Logged) -> Callable[..., Any]:
    """The same call, its CPU seconds added up."""

    def call(*arguments: Any, **named: Any) -> Any:
        start = time.process_time()
        try:
            return scoring(*arguments, **named)
        finally:
            total.seconds += time.process_time() - start

    return call


def best_batch(theirs: Callable[[int], Any], entry: Entry, data: Path) -> int:
    """The batch size with which lm-eval is fastest on the first documents."""
    small = entry.tasks[0].model_copy(update={"limit": min(TRIAL_DOCUMENTS // (3 if entry.few else 1), 12)})
    sizes = BATCH_SIZES[:3] if entry.few else BATCH_SIZES
    return min(sizes, key=lambda size: asked(lambda: theirs(size), [small], data).seconds)


class Overheard(ScoringLM):
    """Notes the requests and answers nothing worth having."""

    heard: list[Request]

    def _score(self, requests: list[Request]) -> list[tuple[float, bool]]:
        self.heard = [*getattr(self, "heard", []), *requests]
        return [(0.0, False)] * len(requests)


def floor(loaded: LoadedModel, entry: Entry, data: Path) -> float:
    """lm-eval's multiplications over the fewest possible."""
    config = loaded.model.config
    head = config.vocab_size * config.hidden_size
    tied = 1 if config.tie_word_embeddings else 2
    block = sum(weight.numel() for weight in loaded.model.parameters() if weight.dim() == 2) - tied * head
    model = Overheard(loaded)
    asked(lambda: model, entry.tasks, data)
    todo = rows(model.heard, context_length(loaded.model))
    nodes = [node for top in grown(todo, model.heard) for node in top.below()]
    theirs = sum(len(row.tokens) for row in todo) * (block + head)
    least = sum(len(node.tokens) for node in nodes) * block
    least += sum(len({one.offset for one in node.wanted}) for node in nodes) * head
    return theirs / least


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--tasks", nargs="*", default=())
    parser.add_argument("--share", type=float, default=1.0, help="of the protocol's documents")
    given = parser.parse_args()
    torch.set_num_threads(1)
    loaded = open_spec(ModelSpec("model", given.model))
    start = time.process_time()
    assert shares_beginnings(loaded.model)
    trial = time.process_time() - start
    counts = ", ".join(f"{kind} {round(count * given.share)}" for kind, count in DOCUMENTS.items())
    print(f"""\
{given.model}, float32, one thread, torch {torch.__version__}. First documents: {counts} (mmlu: of each of
{len(SUBJECTS)} subjects). CPU seconds of each backend's `loglikelihood`, tokenization included, under lm-eval's
`evaluate`; by turns: ours, lm-eval's, ours; ours is the mean of two. lm-eval's backend at the best of batch sizes
{BATCH_SIZES} on {TRIAL_DOCUMENTS} documents or fewer. Not counted: the trial
whether the model may share, once for a model, {trial:.1f} s.
""")
    print("| task | lm-eval s (batch) | ours s | ratio | floor | of floor | accuracy | largest difference |")
    print("|---|---|---|---|---|---|---|---|")

    def theirs(size: int) -> HFLM:
        return HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=size)

    shares: dict[bool, list[float]] = {False: [], True: []}
    for entry in entries(given.share, given.tasks):
        limit = floor(loaded, entry, given.data)
        size = best_batch(theirs, entry, given.data)
        first = asked(lambda: ScoringLM(loaded), entry.tasks, given.data)
        other = asked(lambda size=size: theirs(size), entry.tasks, given.data)
        again = asked(lambda: ScoringLM(loaded), entry.tasks, given.data)
        ours = (first.seconds + again.seconds) / 2
        ratio = other.seconds / ours
        shares[entry.few].append(ratio)
        apart = max(
            abs(a - b) for x, y in zip(first.values, other.values, strict=True) for a, b in zip(x, y, strict=True)
        )
        same = "same" if first.right == other.right else "DIFFERENT"
        print(
            f"| {entry.name} | {other.seconds:.1f} ({size}) | {ours:.1f} | {ratio:.2f} | {limit:.2f}"
            f" | {ratio / limit:.2f} | {same} | {apart:.0e} |",
            flush=True,
        )
    for few, ratios in shares.items():
        if ratios:
            mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
            print(f"\nGeometric mean, {'few' if few else 'zero'}-shot: {mean:.2f}")


if __name__ == "__main__":
    main()
