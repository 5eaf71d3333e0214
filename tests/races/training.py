"""Race of the training loop: this package's against peft with transformers' Trainer, on the same rows.

    python tests/races/training.py MODEL_FOLDER DATA_FOLDER

MODEL_FOLDER: any supported model. DATA_FOLDER: as `tests/races/recover.py` wants it. Each contestant has a process of
its own, by turns, so that its peak memory is its own. Prints the protocol, then one row of a Markdown table for each.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import wikitext
from transformers import AutoTokenizer

ROUNDS, STEPS, BATCH, RANK = 3, 4, 4, 16
CONTESTANTS = ("secateur", "peft and Trainer", "secateur, bfloat16", "peft and Trainer, bfloat16")
PROTOCOL = f"""\
LoRA of rank {RANK} on every projection, next-token loss, AdamW, {STEPS} steps of {BATCH} rows of
{wikitext.CALIBRATION_CONTEXT} tokens of WikiText-2 validation, float32 unless said, one thread, torch
{torch.__version__}; no evaluation, nothing saved. Tokens a CPU second: median of {ROUNDS} rounds by turns (lowest -
highest), without loading. Peak: highest resident memory of the process. Loss: mean over the steps, which tells that
all train the same.
"""


def main(model: Path, data: Path) -> None:
    """Run the contestants by turns and print."""
    print(PROTOCOL)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(ROUNDS):
        for name, rows in found.items():
            run = [sys.executable, __file__, "--one", name, str(model), str(data)]
            lines = subprocess.run(run, check=True, capture_output=True, text=True).stdout
            rows.append(json.loads(lines.splitlines()[-1]))
    print("| contestant | tokens a CPU s | peak GB | loss |\n|---|---|---|---|")
    for name, rows in found.items():
        pace = sorted(row["pace"] for row in rows)
        peak, loss = max(row["peak"] for row in rows), rows[0]["loss"]
        print(f"| {name} | {pace[ROUNDS // 2]:.1f} ({pace[0]:.1f} - {pace[-1]:.1f}) | {peak:.2f} | {loss:.3f} |")


def one(name: str, folder: Path, data: Path) -> dict[str, float]:
    """Train once."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = wikitext.calibration(tokenizer, data / "wikitext2")[: STEPS * BATCH]
    with tempfile.TemporaryDirectory() as room:
        contestant, _, precision = name.partition(", ")
        run = ours if contestant == "secateur" else theirs
        seconds, loss = run(folder, ids, Path(room), precision or "float32")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"pace": ids.numel() / seconds, "peak": peak, "loss": loss}


def ours(folder: Path, ids: torch.Tensor, room: Path, precision: str) -> tuple[float, float]:
    """(CPU seconds, mean loss)"""
    from compress import adapters, open_model
    from compress.calibration.stats import BlockStats, Stats
    from compress.progress import silent
    from compress.training.job import Job
    from compress.training.rows import Corpus, Rows
    from compress.training.settings import Recovery
    from compress.training.train import fit_

    model = open_model(folder, torch.float32)
    counted = torch.ones_like(ids, dtype=torch.bool)
    counted[:, 0] = False
    rows = Rows(ids, torch.arange(ids.shape[1]).expand_as(ids).clone(), counted)
    none = Rows(ids[:1, :2], rows.positions[:1, :2], counted[:1, :2])
    once = {"evaluate_every": 10**6, "save_every": 10**6}
    settings = {"objective": "next_token", "rank": RANK, "batch": BATCH, "precision": precision, **once}
    recovery = Recovery.model_validate(settings)
    stats = Stats((BlockStats(),) * model.config.num_hidden_layers)
    job = Job(model, model, recovery, Corpus(rows, none, ()), stats, room, silent)
    adapters.attach_(model, job.uniform, seed=0)
    start = time.process_time()
    fitted = fit_(job, "lora")
    return time.process_time() - start, fitted.points[-1].loss


def theirs(folder: Path, ids: torch.Tensor, room: Path, precision: str) -> tuple[float, float]:
    """(CPU seconds, mean loss)"""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=names))
    arguments = TrainingArguments(
        output_dir=str(room),
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16=precision == "bfloat16",
        seed=0,
    )
    data = [{"input_ids": row, "labels": row} for row in ids]
    trainer = Trainer(model=adapted, args=arguments, train_dataset=data)  # type: ignore[arg-type]
    start = time.process_time()
    loss = trainer.train().training_loss
    return time.process_time() - start, loss


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "--one":
        print(json.dumps(one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
