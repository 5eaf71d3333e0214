"""A notice for a program of the user's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from harness.errors import HarnessError
from harness.notices import Notice

DEADLINE_SECONDS = 30.0


def start(notice: Notice, command: Sequence[str], folder: Path) -> None:
    """Run the command, without a shell, in `folder`, with the notice as JSON on its standard input.

    Raises HarnessError if it is not there, fails, or takes longer than half a minute.
    """
    content = json.dumps({**asdict(notice), "title": notice.title, "text": notice.text})
    try:
        done = subprocess.run(
            list(command),
            cwd=folder,
            input=content.encode(),
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"took longer than {DEADLINE_SECONDS:.0f} s and was ended") from error
    except OSError as error:
        raise HarnessError(f"cannot be started: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise HarnessError(f"exit code {done.returncode}{': ' + said[-1] if said else ''}")
