"""Race of the recoveries by answers: how many of the cases that a cut lost come back, in fifteen CPU minutes.

    python tests/races/passes.py MODEL_FOLDER DATA_FOLDER WORK_FOLDER [NAME ...]

MODEL_FOLDER: any supported model, for example the cached embedded one. DATA_FOLDER: as `tests/races/recover.py` wants
it, and gsm8k/train.jsonl. WORK_FOLDER keeps models, answers and results: what is there is not made again.
NAME: contestants; none: all. Every contestant has a process of its own. Prints the protocol, then one row of a Markdown
table a contestant.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from shutil import copyfile
from typing import Any

import recover
import torch
import wikitext
from transformers import AutoTokenizer

import suites
from compress import Recipe, apply, open_model, save
from compress.text_files import rows
from compress.training.encoding import Encoder, encoder
from compress.training.formats import document
from harness.marking import pass_rate
from harness.records import ModelSpec
from harness.trial import tried

LONGEST = 256
"""Tokens of a question and its answer."""
REFIT = {"compensate": "least_squares"}
DISTILL = {"data": {"tokens": 40_960, "response_only": False}}
NEXT_TOKEN = {"objective": "next_token", "data": {"tokens": 61_440}}
LARGE_STEPS = {"batch": 4, "learning_rate": 0.002}
FAST = {"precision": "bfloat16", **LARGE_STEPS}
NEXT_TOKEN_FAST = {**FAST, "objective": "next_token", "data": {"tokens": 147_456}}
NEXT_TOKEN_LONGER = {**FAST, "objective": "next_token", "data": {"tokens": 180_224}}
ANSWERS_FAST = {**FAST, "data": {"tokens": 122_880}}
FULL_FAST = {**recover.ALL_WEIGHTS, "data": {"tokens": 131_072}}
MIXED_FAST = {**FAST, "next_token": 0.5, "data": {"tokens": 122_880}}
OTHERS = ("chat", "instruction-following", "structured-output", "reasoning", "safety", "pruning-probes")
"""Built-in suites whose answers by the original are the lessons."""
DIALOGUES, SPOKEN, SUMS, LESSONS = "dialogues.jsonl", "text.jsonl", "sums.jsonl", "lessons.jsonl"
ARTICLES = "articles.jsonl"
"""What a contestant may read, in the work folder."""
BY_ARTICLES = {"calibration": {"file": ARTICLES, "windows": 32, "tokens": 256}}
"""As in tests/races/recover.py."""


def by_lessons(windows: int) -> dict[str, Any]:
    """Calibrated on so many windows of them, with least squares."""
    return {**REFIT, "calibration": {"file": LESSONS, "windows": windows, "tokens": 256}}


def three_kinds(tokens: int, shares: tuple[int, int, int] = (7, 5, 4)) -> dict[str, Any]:
    """Next token of dialogues, sums and lessons."""
    kinds = zip((DIALOGUES, SUMS, LESSONS), shares, strict=True)
    sources = [{"source": source, "tokens": tokens * share // 16} for source, share in kinds]
    data = {"tokens": tokens, "sources": sources}
    return {**LARGE_STEPS, "objective": "next_token", "data": data}


def all_weights(tokens: int) -> dict[str, Any]:
    """Next token of three kinds, more of it dialogues, by whole weights in bfloat16."""
    return three_kinds(tokens, (10, 3, 3)) | recover.ALL_WEIGHTS


CONTESTANTS: dict[str, tuple[float, dict[str, Any], dict[str, Any] | None]] = {
    "original": (0.0, {}, None),
    "cfsp-10": (0.1, {}, None),
    "cfsp-20": (0.2, {}, None),
    "cfsp-20, calibrated on the built-in text": (0.2, {"calibration": {"windows": 32}}, None),
    "cfsp-20, least squares": (0.2, REFIT, None),
    "cfsp-20, least squares, distill": (0.2, REFIT, DISTILL),
    "cfsp-20, least squares, next_token": (0.2, REFIT, NEXT_TOKEN),
    "cfsp-20, least squares, next_token in bfloat16": (0.2, REFIT, NEXT_TOKEN_FAST),
    "cfsp-20, least squares, next_token in bfloat16, longer": (0.2, REFIT, NEXT_TOKEN_LONGER),
    "cfsp-20, least squares, half and half in bfloat16": (0.2, REFIT, MIXED_FAST),
    "cfsp-20, least squares, distill answers in bfloat16": (0.2, REFIT, ANSWERS_FAST),
    "cfsp-20, least squares, next_token, all weights in bfloat16": (0.2, REFIT, FULL_FAST),
    "cfsp-20 by 144 windows of lessons, least squares": (0.2, by_lessons(144), None),
    "cfsp-20 by 48, least squares, three kinds": (0.2, by_lessons(48), three_kinds(48_000)),
    "cfsp-20 by 64, least squares, three kinds, longer": (0.2, by_lessons(64), three_kinds(80_000)),
    "cfsp-20 by 64, least squares, three kinds, longest": (0.2, by_lessons(64), three_kinds(140_000)),
    "cfsp-20 by articles": (0.2, BY_ARTICLES, None),
    "cfsp-20 by articles, least squares, three kinds, all weights": (0.2, REFIT | BY_ARTICLES, all_weights(192_000)),
    "cfsp-10, least squares, distill": (0.1, REFIT, DISTILL),
}
"""Sparsity, rest of the recipe, recovery."""
PROTOCOL = f"""\
Cut: cfsp at r_block 0.1 or 0.2, calibrated on 32 windows of 256 tokens of Dolly's dialogues, as the chat template
writes them. Recovery: on dialogues of at most {LONGEST} tokens, 5 % of them held out, packed in rows of 256; settings
are the defaults but for the data. distill: 40,960 tokens, all count. next_token: 61,440 tokens, answers count.
Passes: of the {len(suites.load("smoke").cases)} cases of smoke, greedy. Perplexity: as in tests/races/recover.py.
CPU s: process time of calibration, cut, compensation and recovery, and of asking the original for lessons. float32
unless said, one thread, torch {torch.__version__}.
Lessons: the original's answers to {", ".join(OTHERS)}, without the cases that smoke asks too. Three kinds:
dialogues, the training questions of GSM8K, and lessons, 7 tokens to 5 to 4; 48,000, longer 80,000, or longest 140,000
in all, and by all weights 192,000, 10 tokens to 3 to 3, in bfloat16. By articles: calibrated on WikiText-2 validation,
as in tests/races/recover.py.
"""


def main(model: Path, data: Path, work: Path, names: list[str]) -> None:
    """Run the contestants and print."""
    print(PROTOCOL)
    print("| | CPU s | held out | passes | WikiText-2 | C4 |\n|---|---|---|---|---|---|")
    for name in names or list(CONTESTANTS):
        kept = work / f"{name}.json"
        if not kept.exists():
            subprocess.run([sys.executable, __file__, "--one", name, *map(str, (model, data, work))], check=True)
        row = json.loads(kept.read_text())
        held_out = " to ".join(f"{loss:.3f}" for loss in row["held_out"])
        perplexities = " | ".join(f"{found:.2f}" for found in row["perplexities"])
        passes = f"{100 * row['passes']:.1f} %"
        print(f"| {name} | {row['seconds']:.0f} | {held_out} | {passes} | {perplexities} |", flush=True)


def one(name: str, folder: Path, data: Path, work: Path) -> None:
    """Cut, recover and ask one contestant, and keep what came of it."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    place, seconds, held_out = folder, 0.0, ()
    if CONTESTANTS[name][0]:
        asking = lessons(folder, work) if LESSONS in json.dumps(CONTESTANTS[name]) else 0.0
        model = open_model(folder, torch.float32)
        chosen = recipe(name, data, work, encoder(tokenizer, model, response_only=True))
        start = time.process_time()
        receipt = apply(model, chosen, tokenizer)
        seconds, place = asking + time.process_time() - start, work / name
        if not place.exists():
            save(model, tokenizer, place, receipt)
        held_out = (receipt.recovery.before, receipt.recovery.after) if receipt.recovery else ()
    suite = suites.load("smoke")
    passes = pass_rate(tried(ModelSpec(name, str(place)), suite, suite.cases, work / "answers" / name))
    tests = wikitext.held_out(tokenizer, data / "wikitext2"), recover.c4(tokenizer, data)
    model = open_model(place, torch.float32)
    found = [wikitext.perplexity(model, windows) for windows in tests]
    row = {"seconds": seconds, "held_out": held_out, "passes": passes, "perplexities": found}
    (work / f"{name}.json").write_text(json.dumps(row))


def recipe(name: str, data: Path, work: Path, encoded: Encoder) -> Recipe:
    """The cut and the recovery of this name."""
    sparsity, more, recovery = CONTESTANTS[name]
    dialogues(data / "dolly" / "alpagasus_dolly_3k.jsonl", work, encoded)
    sums(data / "gsm8k" / "train.jsonl", work)
    copyfile(data / "wikitext2" / "line_level" / "validation.jsonl", work / ARTICLES)
    calibration = {"file": SPOKEN, "windows": 32, "tokens": 256}
    cut = {"method": "cfsp", "sparsity": sparsity, "calibration": calibration, **more}
    if recovery is not None:
        cut["recovery"] = {**recovery, "data": {"sources": [DIALOGUES], **recovery["data"]}}
    return Recipe.model_validate(cut).beside(work)


def dialogues(file: Path, work: Path, encoded: Encoder) -> None:
    """The short ones: as rows, and as the text that the model would read."""
    found = [(row, document(row, "instruction", "text")) for row in rows(file, "dialogues")]
    short = [(row, one) for row, one in found if one is not None and len(encoded(one)) <= LONGEST]
    texts = [encoded.tokenizer.decode(encoded(one).ids) for _, one in short]
    (work / DIALOGUES).write_text("".join(json.dumps(dict(row.fields)) + "\n" for row, _ in short))
    (work / SPOKEN).write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def sums(file: Path, work: Path) -> None:
    """Questions of at most 600 letters with their answers, without the marks of a calculator, as a person would say."""
    with (work / SUMS).open("w", encoding="utf-8") as made:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            steps, _, result = re.sub(r"<<.*?>>", "", row["answer"]).partition("####")
            said = f"{steps.strip()}\nThe answer is {result.strip()}."
            if len(row["question"]) + len(said) <= 600:
                turns = [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": said}]
                made.write(json.dumps({"messages": turns}) + "\n")


def lessons(folder: Path, work: Path) -> float:
    """Ask the original the other suites, once for all contestants. Returns the CPU seconds that it took."""
    cost = work / "asking.json"
    if not cost.exists():
        start = time.process_time()
        known = [case.messages for case in suites.load("smoke").cases]
        with (work / LESSONS).open("w", encoding="utf-8") as made:
            for suite in map(suites.load, OTHERS):
                others = [case for case in suite.cases if case.messages not in known]
                for one in tried(ModelSpec("original", str(folder)), suite, others, work / "answers" / "original"):
                    if one.answer is not None and one.text:
                        made.write(json.dumps({"text": one.answer.prompt + one.text}) + "\n")
        cost.write_text(json.dumps(time.process_time() - start))
    return float(json.loads(cost.read_text()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "--one":
        one(sys.argv[2], *map(Path, sys.argv[3:]))
    else:
        main(*map(Path, sys.argv[1:4]), sys.argv[4:])
