"""Python code of a suite, which runs only where the user allows it."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from suites.errors import SuiteError

RUNNER = Path(__file__).with_name("program_runner.py")
SECONDS = 10.0
INLINE = "inline"
KEPT = 20_000
"""Results kept, since every answer is graded once for the verdict and once for the page."""


@dataclass(frozen=True)
class Program:
    """One function of a piece of Python."""

    code: str
    function: str
    name: str = INLINE
    folder: str = ""
    """Where it may import modules from; the working folder if empty."""

    def result(self, *arguments: object) -> object:
        """Return what the function returns, both ways as JSON.

        Raises SuiteError with the last line of what Python says if it fails, takes longer than 10 seconds, or returns
        what JSON cannot hold.
        """
        try:
            return json.loads(_result(self, json.dumps(arguments)))
        except (ValueError, RecursionError) as error:
            raise SuiteError(f"it returned what is no JSON: {error}") from error


def inline(text: str) -> Program:
    """Return the program of an expression, or of a function's body if it has several lines, over output and context."""
    lines = text.split("\n") if "\n" in text else [f"return {text}"]
    body = "\n".join(f"    {line}" for line in lines)
    return Program(f"def main(output, context):\n{body}\n", "main")


def refuse_broken(program: Program) -> None:
    """Raise SuiteError for code that is no Python; nothing runs."""
    try:
        compile(program.code, program.name, "exec")
    except (SyntaxError, ValueError) as error:
        number = error.lineno or 0 if isinstance(error, SyntaxError) else 0
        # Before the lines of an inline program stands one of ours.
        number -= program.name == INLINE
        line = f" on its line {number}" if number > 0 else ""
        raise SuiteError(f"it is no Python{line}: {error.args[0]}") from error


@functools.lru_cache(maxsize=KEPT)
def _result(program: Program, arguments: str) -> str:
    asked = json.dumps({**vars(program), "arguments": json.loads(arguments)})
    command = [sys.executable, str(RUNNER)]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SuiteError(f"it took more than {SECONDS:g} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
        raise SuiteError(said[-1])
    return done.stdout
