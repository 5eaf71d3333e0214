"""How long the site of a store takes, at first and when one job is new.

    nice python tests/races/site.py                # 1,000 jobs, about two CPU minutes
    nice python tests/races/site.py --jobs 200

Protocol. A store of 1,000 jobs, one every night of five plans, two candidates each: two suites of 100 cases, four
benchmarks, fidelity, size, memory and speed, 20 metrics a candidate; some cases flip, and their answers have 300
letters. It is written row by row, no model runs. Then in a new process each, CPU seconds of it all, start included:
1. `secateur site` into an empty folder, without whole reports;
2. the same again, nothing changed;
3. the same with one more job.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from harness.history import STORE
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.rows import append

PLANS = ("support", "search", "code", "summaries", "triage")
CANDIDATES = ("small", "smaller")
SUITES, CASES = ("smoke", "tone"), 100
READINGS = {"size.bytes": ("bytes", 3e8), "speed.decode": ("tokens/s", 41.0), "speed.prefill": ("tokens/s", 900.0),
            "memory.peak": ("bytes", 9e8), "memory.weights": ("bytes", 6e8)}  # fmt: skip
SHARES = [f"{task}.{end}" for task in ("arc_easy", "piqa", "boolq", "hellaswag") for end in ("acc", "acc_norm")]
RATIOS = ["fidelity.perplexity_ratio", "fidelity.kl", "fidelity.top1"]
TEXT = ("The answer is forty-two, as the manual says on its third page. " * 6)[:300]
Rows = dict[str, list[dict[str, object]]]


def night(number: int, chance: random.Random) -> Iterator[tuple[str, dict[str, object]]]:
    """Table and row, of one job and all that belongs to it."""
    plan, job = PLANS[number % len(PLANS)], f"{number:08x}"
    started = (datetime(2024, 1, 1, 3, tzinfo=UTC) + timedelta(hours=8 * number)).isoformat(timespec="microseconds")
    yield "jobs", {"id": job, "plan_name": plan, "plan": "{}", "digest": plan, "command": f"secateur run {plan}.yaml",
                   "facts": json.dumps({"machine": "made up"}), "fresh": False, "started": started,
                   "finished": started, "exit_code": 0}  # fmt: skip
    for candidate in CANDIDATES:
        yield from judged(job, candidate, started, chance)


def judged(job: str, candidate: str, started: str, chance: random.Random) -> Iterator[tuple[str, dict[str, object]]]:
    key = {"job": job, "candidate": candidate}
    runs = {side: f"{side[0]}{candidate[5:]}{job}" for side in ("before", "after")}
    findings = []
    for metric, unit, before, after in numbers(chance):
        drop = before - after
        yield "deltas", {**key, "metric": metric, "unit": unit, "higher_is_better": unit != "bytes", "before": before,
                         "after": after, "drop": drop, "low": drop - 0.02, "high": drop + 0.02, "n": CASES,
                         "losses": 6, "gains": 3}  # fmt: skip
        if len(findings) < 6 and unit == "share":
            findings.append({"gate": {"metric": metric, "margin": 0.05}, "decision": "PASS", "severity": "block",
                             "reason": "The drop is small.", "before": before, "after": after, "estimate": drop,
                             "of": "drop", "low": drop - 0.02, "high": drop + 0.02, "n": CASES, "drawn_from": None,
                             "method": "tango", "losses": 6, "gains": 3, "detectable": 0.04,
                             "items_needed": None})  # fmt: skip
    for side, run in runs.items():
        model = "original" if side == "before" else candidate
        yield "runs", {"id": run, "job": job, "model": model, "source": f"./{model}", "dtype": "float32",
                       "fingerprint": model, "created": started}  # fmt: skip
    yield "verdicts", {**key, "decision": chance.choice(["PASS", "PASS", "PASS", "REGRESSION", "INCONCLUSIVE"]),
                       "reason": "All gates pass.", "before_run": runs["before"], "after_run": runs["after"],
                       "findings": json.dumps(findings), "created": started}  # fmt: skip
    for suite in SUITES:
        yield from asked(suite, key, runs, started, chance)


def numbers(chance: random.Random) -> Iterator[tuple[str, str, float, float]]:
    for metric in [*(f"{suite}.{end}" for suite in SUITES for end in ("pass_rate", "score")), *SHARES]:
        yield metric, "share", 0.8, 0.79 + chance.gauss(0, 0.01)
    for metric in RATIOS:
        yield metric, "ratio", 1.0, 1.04 + chance.gauss(0, 0.01)
    for metric, (unit, usual) in READINGS.items():
        yield metric, unit, usual, usual * (0.9 + chance.gauss(0, 0.01))


def asked(
    suite: str, key: dict[str, str], runs: dict[str, str], started: str, chance: random.Random
) -> Iterator[tuple[str, dict[str, object]]]:
    for run in runs.values():
        stage = f"{run}-{suite}"
        yield "stages", {"id": stage, "fingerprint": run, "key": stage, "kind": "suite", "name": suite,
                         "started": started, "finished": started, "facts": "{}"}  # fmt: skip
        yield "run_stages", {"run": run, "stage": stage}
    for number in range(CASES):
        case = f"case-{number:03}"
        before, after = chance.random() < 0.95, chance.random() < 0.9
        for run, passed in ((runs["before"], before), (runs["after"], after)):
            yield "grades", {"run": run, "suite": suite, "case_id": case, "passed": passed, "score": float(passed)}
            if before != after:
                yield "answers", {"stage": f"{run}-{suite}", "case_id": case, "prompt": "What is it?", "text": TEXT,
                                  "finish": "stop", "prompt_tokens": 9, "new_tokens": 70, "seconds": 0.1}  # fmt: skip
        if before != after:
            kind = "loss" if before else "gain"
            yield "flips", {**key, "metric": f"{suite}.pass_rate", "item": case, "kind": kind}


def fill(store: DuckdbStore, first: int, last: int) -> None:
    """Write these nights, 100 a transaction."""
    for start in range(first, last, 100):
        rows: Rows = {}
        for number in range(start, min(last, start + 100)):
            for table, row in night(number, random.Random(number)):
                rows.setdefault(table, []).append(row)

        def write(db: duckdb.DuckDBPyConnection, rows: Rows = rows) -> None:
            for table, content in rows.items():
                append(db, table, content)

        store.file.transaction(write)


def drawn(out: Path, folder: Path, what: str) -> None:
    """Draw once in a process of its own, and print what it took."""
    code = "from harness.commands import main; main()"
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", code, "site", str(folder), "--out", str(out), "--reports", "0", "--quiet"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"| {what} | {cpu:.1f} | {wall:.1f} | {lines[-2]} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    jobs = parser.parse_args().jobs
    print(__doc__.split("Protocol.")[1].strip() if __doc__ else "")
    print(f"\nPython {platform.python_version()}, duckdb {duckdb.__version__}, {jobs} jobs")
    with tempfile.TemporaryDirectory() as place:
        out, folder = Path(place) / "out", Path(place) / "site"
        store = DuckdbStore(out / STORE)
        fill(store, 0, jobs)
        print(f"store: {(out / STORE).stat().st_size / 1e6:.0f} MB")
        print("\n| | CPU seconds | wall seconds | |\n|---|---|---|---|")
        drawn(out, folder, "empty folder")
        drawn(out, folder, "nothing changed")
        fill(store, jobs, jobs + 1)
        drawn(out, folder, "one more job")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(
            f"\nsite: {size / 1e6:.0f} MB; largest {max(p.stat().st_size for p in folder.rglob('*.html')) / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()
