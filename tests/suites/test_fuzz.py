"""Thousands of broken files: each loads or is refused with a clear message, in time, whatever is wrong with it."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from suites import Allowance, SuiteError, check

FOLDER = Path(__file__).parent / "language"
FRAGMENTS = (
    *("{{", "}}", "{%", "%}", "{#", "#}", "{{ a }}", "{% for x in l %}", "{% endfor %}", "{% set a = a ~ a %}"),
    *("{{ a.__class__ }}", "{{ l | sort | join('x') }}", "{{ range(99999) }}", "{{ 9 ** 99 }}", "{% raw %}", "|", "~"),
    *("file://", "file://../..", "file:///etc/passwd", "file://*", "file://values/text.txt", "tests/*.yaml", "exec:x"),
    *("&a ", "*a", "<<: *a", "$ref: '#/tests/0'", "{$ref: '#/assertionTemplates/polite'}", "!!python/name:os.system "),
    *("- ", "  ", "\t", "\n", ":", ": ", ",", "[", "]", "{", "}", "'", '"', "\\", "#", "|", ">", "? ", "---\n", "..."),
    *("null", "true", "0", "-1", "1e999", ".nan", ".inf", "0x", "9" * 400, "\x00", "\ufeff", "\ud7ff", "é", "🦊"),
    *("assert:", "type: regex", "value: '(a+)+$'", "type: is-json", "threshold: -5", "weight: 1e400", "vars:"),
    *("options:", "metadata: {tags: 3}", "scenarios:", "defaultTest: file://values/default.yaml", "prompts:", "tests:"),
    *("__expected", "__config:__expected9:threshold", '"', '""', ",,,", "\r\n", "a" * 5_000, "[" * 80, "{a: " * 70),
)
SECONDS = 2.0
"""Of the processor, for one file; the usual is a hundredth."""


def seeds() -> dict[str, list[bytes]]:
    """Right files by the end of their names."""
    found: dict[str, list[bytes]] = {}
    for file in sorted(FOLDER.rglob("*")):
        if file.is_file() and file.name != "asked.json":
            found.setdefault(file.suffix, []).append(file.read_bytes())
    return found


def broken(text: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Return the file with a few things wrong."""
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((0, 0, 1, 4, 30, 200)))
        other = rng.choice(others)
        piece = rng.choice(
            (
                rng.choice(FRAGMENTS).encode(),
                rng.choice(FRAGMENTS).encode() * rng.choice((2, 50)),
                rng.randbytes(rng.randrange(4)),
                text[start:end] * 3,
                other[start : start + 80],
                b"",
            )
        )
        text = text[:start] + piece + text[end:]
    return text


def loads_or_is_refused(path: Path) -> None:
    begun = time.process_time()
    try:
        assert check(path, Allowance(skip_unsupported=True))
        said = ""
    except SuiteError as error:
        said = str(error)
    assert len(said) < 200_000
    assert time.process_time() - begun < SECONDS


def fuzz(folder: Path, count: int, seed: int) -> None:
    """Break the suite, or a file that it names, `count` times."""
    rng, right = random.Random(seed), seeds()
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    names = sorted(file.name for file in FOLDER.glob("*.yaml"))
    beside = sorted(file.relative_to(FOLDER) for file in FOLDER.rglob("*") if file.is_file() and file.parent != FOLDER)
    for number in range(count):
        if number % 3:
            target = suite = folder / rng.choice(names)
        else:
            target = folder / rng.choice(beside)
            suite = folder / rng.choice(names)
        kept = target.read_bytes()
        target.write_bytes(broken(kept, right[target.suffix], rng))
        (folder / "last").write_text(f"{suite} {target}")
        loads_or_is_refused(suite)
        if target.suffix in (".csv", ".jsonl"):
            loads_or_is_refused(target)
        target.write_bytes(kept)


def test_hundreds_of_broken_files(tmp_path):
    fuzz(tmp_path, 200, seed=1)


@pytest.mark.slow
def test_ten_thousand_broken_files(tmp_path):
    fuzz(tmp_path, 10_000, seed=2)
