"""A store of two million items: how long `ls`, `show`, `trend`, `report` and `suggest` take, start included.

    python tests/races/store.py [FOLDER]
    python tests/races/store.py [FOLDER] --shared --nights 1000 --documents 10000

One plan, run on 400 nights: a benchmark of 5,000 documents and a suite of 500 cases, the original asked once, a new
candidate every night. Every command runs in a process of its own, three times; the median is printed. FOLDER is kept
and used again. With --shared the store is pushed to a folder, which is read instead: first without a catalogue in the
cache, then when one more job came, then with one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from harness.digest import digest
from harness.plan_file import load_plan
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.rows import Connection
from suites import load

CASES, REPEATS = 500, 3
SHARED = ("ls", "show job{last}", "show run{last}", "trend", "trend words.pass_rate", "trend --resources", "report")
COMMANDS = (*SHARED, "suggest")
RUN = "import sys; from harness.commands import entry; sys.exit(entry(sys.argv[1:]))"
PLAN = """\
name: nightly
original: smollm2-135m
candidates: {small: {recipe: cfsp-20}}
suites: [./words.yaml]
benchmarks: [docs]
metrics: [size, speed]
gates: [{metric: words.pass_rate, margin: 0.05}, {metric: docs.acc, margin: 0.05}]
"""
STARTED = "strftime(TIMESTAMP '2025-10-01 03:00:00' + INTERVAL (night) DAY, '%Y-%m-%dT%H:%M:%S.000000+00:00')"


def tables(suite: str, plan: str, receipt: str, size: tuple[int, int]) -> dict[str, str]:
    """Table -> the rows of all nights. A stage's name says its night, -1 is the original's. size: nights, documents."""
    (last, documents), facts = size, json.dumps({"digest": suite})
    nights = f"(SELECT unnest(range({last})) AS night)"
    sides = f"(SELECT unnest(range(-1, {last})) AS night)"
    right = "hash(night, n) % 100 < 80"
    finding = (
        "'[' || array_to_string([json_object('gate', json_object('metric', m, 'margin', 0.05), 'decision', 'PASS',"
        " 'severity', 'block', 'reason', 'ok.', 'before', 0.8, 'after', 0.8, 'estimate', 0.0, 'of', 'drop',"
        " 'low', -0.02, 'high', 0.03, 'n', 500) FOR m IN ['words.pass_rate', 'docs.acc']], ',') || ']'"
    )
    metrics = (
        "(VALUES ('words.pass_rate', 'share', true, 500), ('words.score', 'score', true, 500),"
        " ('docs.acc', 'share', true, 5000), ('docs.acc_norm', 'share', true, 5000), ('size.bytes', 'bytes', false, 0),"
        " ('speed.decode', 'tokens/s', true, 8), ('speed.prefill', 'tokens/s', true, 8)) m(metric, unit, better, n)"
    )
    return {
        "jobs": f"SELECT 'job' || night AS id, 'nightly' AS plan_name, '{plan}' AS plan, 'd' AS digest, '' AS command,"
        f" '{{}}' AS facts, false AS fresh, {STARTED} AS started, {STARTED} AS finished, 0 AS exit_code FROM {nights}",
        "stages": "SELECT kind || night AS id, 'f' || night AS fingerprint, kind AS key, kind, name,"
        f" {STARTED} AS started, {STARTED} AS finished, '{facts}' AS facts"
        f" FROM {sides}, (VALUES ('suite', 'words'), ('benchmark', 'docs')) k(kind, name)",
        "runs": "SELECT side || night AS id, 'job' || night AS job, model, './m' AS source, NULL AS revision,"
        f" NULL AS adapter, 'float32' AS dtype, 'f' || night AS fingerprint, {STARTED} AS created"
        f" FROM {nights}, (VALUES ('old', 'original'), ('run', 'small')) s(side, model)",
        "run_stages": "SELECT side || night AS run, kind || CASE WHEN side = 'old' THEN -1 ELSE night END AS stage"
        f" FROM {nights}, (VALUES ('old'), ('run')) s(side), (VALUES ('suite'), ('benchmark')) k(kind)",
        "answers": "SELECT 'suite' || night AS stage, 'w' || n AS case_id, 'say w' || n AS prompt,"
        f" CASE WHEN {right} THEN 'x' ELSE 'o' END AS text, 'stop' AS finish, 5 AS prompt_tokens, 2 AS new_tokens,"
        f" 0.1 AS seconds FROM {sides}, (SELECT unnest(range({CASES})) AS n)",
        "measurements": "SELECT 'benchmark' || night AS stage, 'docs.acc' AS metric, 0.8 AS value, 'share' AS unit,"
        f" true AS higher_is_better, 'binary' AS scale FROM {sides}",
        "items": "SELECT 'benchmark' || night AS stage, 'docs.acc' AS metric, n AS position, n::VARCHAR AS id,"
        f" md5(n::VARCHAR) AS hash, ({right})::INT AS value, '' AS cluster, 1.0 AS weight"
        f" FROM {sides}, (SELECT unnest(range({documents})) AS n)",
        "receipts": f"SELECT 'run' || night AS run, '{receipt}' AS receipt FROM {nights}"
        f" WHERE night < {last - 1}",
        "verdicts": "SELECT 'job' || night AS job, 'small' AS candidate, 'PASS' AS decision, 'All pass.' AS reason,"
        f" 'old' || night AS before_run, 'run' || night AS after_run, {finding} AS findings, {STARTED} AS created"
        f" FROM {nights}",
        "deltas": "SELECT 'job' || night AS job, 'small' AS candidate, metric, unit, better AS higher_is_better,"
        " 0.8 AS before, 0.78 + hash(night, metric) % 100 / 3000 AS after, 0.0 AS drop, -0.02 AS low, 0.02 AS high, n,"
        f" 9 AS losses, 9 AS gains FROM {nights}, {metrics}",
        "checks": "SELECT 'run' || night AS run, 'words' AS suite, 'w' || n AS case_id, 0 AS position,"
        f" 'contains' AS type, {right} AS passed, 1.0 AS score, '' AS reason"
        f" FROM {nights}, (SELECT unnest(range({CASES})) AS n)",
        "flips": "SELECT 'job' || night AS job, 'small' AS candidate, 'docs.acc' AS metric, n::VARCHAR AS item,"
        f" 'loss' AS kind FROM {nights}, (SELECT unnest(range(50)) AS n)",
    }  # fmt: skip


def build(folder: Path, nights: int, documents: int) -> Path:
    """The store, with its suite beside it; the folder in which commands find it."""
    cases = [f"  - {{id: w{n}, vars: {{w: w{n}}}, assert: [{{type: contains, value: x}}]}}" for n in range(CASES)]
    (folder / "words.yaml").write_text("\n".join(["prompts: ['say {{w}}']", "tests:", *cases]))
    (folder / "plan.yaml").write_text(PLAN)
    plan = load_plan(str(folder / "plan.yaml")).model_dump_json()
    recipe = {"recipe": {"method": "cfsp", "sparsity": 0.2}, "digest": digest(0)}
    rows = tables(load(str(folder / "words.yaml")).digest, plan, json.dumps(recipe), (nights, documents))
    store = DuckdbStore(folder / "out" / "secateur.duckdb")

    def write(db: Connection) -> None:
        for table, query in rows.items():
            db.execute(f"INSERT INTO {table} BY NAME {query}")

    began = time.perf_counter()
    store.file.transaction(write)
    count = store.file.rows("SELECT count(*) FROM items")[0][0]
    size = store.file.path.stat().st_size / 1e6
    print(f"{count:,} items, {nights} jobs, {size:.0f} MB, written in {time.perf_counter() - began:.0f} s")
    return folder / "out"


def timed(command: Sequence[str], where: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process: a command, and the options that say where results are."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", RUN, *command, *where], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(command: str, where: Sequence[str], repeats: int = REPEATS) -> None:
    """Print a command's medians."""
    runs = [timed(command.split(), where) for _ in range(repeats)]
    wall, cpu = (statistics.median(side) for side in zip(*runs, strict=True))
    print(f"{command:32}{wall:8.2f}{cpu:8.2f}", flush=True)


def race_shared(folder: Path, out: Path, last: int) -> None:
    """Push, if that was not done yet, and read."""
    place, cache = folder / "shared", folder / "cache"
    os.environ["SECATEUR_CACHE"] = str(cache)
    if not place.exists():
        wall, cpu = timed(["store", "push", str(place)], ["--out", str(out)])
        print(f"{'push':32}{wall:8.2f}{cpu:8.2f}")
    size = sum(file.stat().st_size for file in place.rglob("*.parquet")) / 1e6
    print(
        f"{sum(1 for _ in place.rglob('manifest.json')):,} folders, {size:.0f} MB of Parquet; at first, but for a job:"
    )
    shutil.rmtree(cache, ignore_errors=True)
    where = ["--store", str(place)]
    (newest,) = place.glob(f"schema-*/job=job{last}")
    aside = newest.rename(folder / "newest")
    row("ls", where, 1)
    aside.rename(newest)
    print("that job came:")
    row("ls", where, 1)
    for command in SHARED:
        more = ["--page", str(folder / "page.html")] if command == "report" else []
        row(command.format(last=last), [*where, *more])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--nights", type=int, default=400)
    parser.add_argument("--documents", type=int, default=5_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        known = (folder / "out" / "secateur.duckdb").is_file()
        out = folder / "out" if known else build(folder, given.nights, given.documents)
        print(f"{'command':32}{'wall s':>8}{'CPU s':>8}")
        if given.shared:
            race_shared(folder, out, given.nights - 1)
            return
        for command in COMMANDS:
            row(command.format(last=given.nights - 1), ["--out", str(out)])


if __name__ == "__main__":
    main()
