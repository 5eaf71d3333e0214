"""Race of answering a suite: this package's decoding against transformers' batched `generate`, on the same prompts.

    python tests/races/answering.py MODEL_FOLDER [--suite smoke] [--cases 60]

Prints the protocol, then one row of a Markdown table for each contestant, and how many answers differ.
"""

from __future__ import annotations

import argparse
import time

import torch

import suites
from harness.answering.generation import Prompt, answers, prompt_text
from harness.answering.rows import end_tokens
from harness.models.opening import LoadedModel, open_spec
from harness.quiet import quiet
from harness.records import Answer, ModelSpec

BATCH_SIZES = (8, 24, 48)


def theirs(loaded: LoadedModel, prompts: list[Prompt], size: int) -> dict[str, list[int]]:
    """Prompts of like length together, padded on the left, each batch to the highest limit in it."""
    found = {}
    encoded = [
        (prompt, loaded.tokenizer(prompt_text(loaded, prompt.messages), add_special_tokens=False)["input_ids"])
        for prompt in prompts
    ]
    encoded.sort(key=lambda pair: len(pair[1]))
    ends = end_tokens(loaded)
    for start in range(0, len(encoded), size):
        batch = encoded[start : start + size]
        width = max(len(ids) for _, ids in batch)
        ids = torch.tensor([[0] * (width - len(ids)) + ids for _, ids in batch])
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for _, ids in batch])
        output = loaded.model.generate(
            ids,
            attention_mask=mask,
            do_sample=False,
            pad_token_id=0,
            max_new_tokens=max(p.max_new_tokens for p, _ in batch),
        )
        for (prompt, _), new in zip(batch, output[:, width:].tolist(), strict=True):
            cut = new[: prompt.max_new_tokens]
            found[prompt.case] = cut[: next((i for i, token in enumerate(cut) if token in ends), len(cut))]
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--suite", default="smoke")
    parser.add_argument("--cases", type=int, default=1000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    loaded = open_spec(ModelSpec("model", given.model))
    suite = suites.load(given.suite)
    prompts = [Prompt(case.id, case.messages, case.max_new_tokens) for case in suite.cases][: given.cases]
    print(f"""\
{given.model}, float32, one thread, torch {torch.__version__}; the first {len(prompts)} cases of the suite
{given.suite}, greedy. CPU seconds, by turns: ours, generate at each batch size, ours again; ours is the mean of two.
""")
    ours: dict[str, Answer] = {}

    def once() -> float:
        start = time.process_time()
        answers(loaded, prompts, lambda batch: ours.update({one.case: one for one in batch}))
        return time.process_time() - start

    first = once()
    others: dict[int, float] = {}
    differ = 0
    for size in BATCH_SIZES:
        start = time.process_time()
        with quiet():
            found = theirs(loaded, prompts, size)
        others[size] = time.process_time() - start
        texts = {case: loaded.tokenizer.decode(new, skip_special_tokens=True).strip() for case, new in found.items()}
        differ = max(differ, sum(texts[case] != ours[case].text for case in texts))
    seconds = (first + once()) / 2
    print("| contestant | CPU s | ratio |\n|---|---|---|")
    print(f"| secateur | {seconds:.1f} | 1 |")
    for size, each in others.items():
        print(f"| generate, batches of {size} | {each:.1f} | {each / seconds:.2f} |")
    print(f"\nAnswers that differ from generate's in some batch size: {differ} of {len(prompts)} at most.")


if __name__ == "__main__":
    main()
