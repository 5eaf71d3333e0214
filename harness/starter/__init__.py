"""A plan and a suite that run as they are, to be changed by the user."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
FILES = {"plan.yaml": "plan.yaml", "support.yaml": "suites/support.yaml"}


def write_starter(folder: Path) -> list[Path]:
    """Copy the starter files into `folder`; returns those written. A file already there is left alone."""
    written = []
    for source, target in FILES.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text((HERE / source).read_text(encoding="utf-8"), encoding="utf-8")
            written.append(path)
    return written
