"""Suites as large as they may be: what they take of memory and time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Not ru_maxrss: there a child begins with what its parent held.
MEASURE = (
    "import sys, time, suites\n"
    "suite = suites.load(sys.argv[1])\n"
    "(peak,) = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
    "print(len(suite.cases), int(peak) // 1024, time.process_time())\n"
)


def sentence(number: int, words: int) -> str:
    return " ".join(f"word{(number + place) % 97}" for place in range(words))


def as_yaml(count: int) -> Iterator[str]:
    yield "prompts: ['Answer: {{ q }}']\ntests:\n"
    for number in range(count):
        yield f"  - id: c{number}\n    vars: {{q: '{sentence(number, 20)}', a: 'word {number}'}}\n"
        yield "    assert: [{type: icontains, value: '{{ a }}'}, {type: word-count, value: {min: 1, max: 50}}]\n"


def as_table(count: int) -> Iterator[str]:
    yield "prompt,__expected\n"
    for number in range(count):
        yield f'"{sentence(number, 280)}","icontains: word {number}"\n'


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize(
    ("name", "rows", "count", "mebibytes"), [("s.yaml", as_yaml, 50_000, 800), ("t.csv", as_table, 90_000, 500)]
)
def test_a_large_suite_in_bounded_memory(
    tmp_path: Path, name: str, rows: Callable[[int], Iterator[str]], count: int, mebibytes: int
) -> None:
    file = tmp_path / name
    with file.open("w") as handle:
        handle.writelines(rows(count))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(file)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    cases, used, seconds = done.stdout.split()
    print(f"{name}: {file.stat().st_size / 1e6:.0f} MB, {cases} cases, {used} MiB, {float(seconds):.0f} CPU seconds")
    assert int(cases) == count
    assert int(used) < mebibytes
