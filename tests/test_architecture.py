"""The import arrows: compress, suites and reports know nothing of each other; harness drives them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"compress", "suites", "reports", "harness"}
MAY_IMPORT = {"compress": set(), "suites": set(), "reports": set(), "harness": {"compress", "suites", "reports"}}
ONE_FILE_EACH = {
    "lm_eval": {"harness/benchmarks"},
    "duckdb": {"harness/stores"},
    "cronsim": {"harness/schedules/cron.py"},
    "httpx": {"harness/endpoints"},
    "peft": {"compress/adapters.py"},
    "promptlayer": {"harness/telling/promptlayer.py"},
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Top-level packages that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", sorted(OURS))
def test_packages_import_only_what_the_star_allows(package: str) -> None:
    for path in sources(package):
        ours = set(imports(path)) & OURS - {package}
        assert ours <= MAY_IMPORT[package], path


@pytest.mark.parametrize("library", sorted(ONE_FILE_EACH))
def test_a_foreign_library_has_one_home(library: str) -> None:
    homes = ONE_FILE_EACH[library]
    users = {
        path.relative_to(ROOT).as_posix() for package in OURS for path in sources(package) if library in imports(path)
    }
    assert users
    assert all(any(user.startswith(home) for home in homes) for user in users), users


@pytest.mark.parametrize("command", ["", "run", "report", "ls", "suite check"])
def test_help_starts_without_heavy_libraries(command: str) -> None:
    code = (
        "import sys; from harness.commands import entry\n"
        f"code = entry('{command} --help'.split())\n"
        "heavy = {'torch', 'transformers', 'lm_eval', 'promptlayer', 'duckdb', 'pandas', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: secateur" in done.stdout


def test_the_store_is_read_without_heavy_libraries() -> None:
    """`ls`, `show`, `trend` and a cron job every minute import this; judging again needs scipy, and no more."""
    code = (
        "import sys; import harness.history, harness.schedules.turns, harness.trends.listing\n"
        "heavy = {'torch', 'transformers', 'lm_eval', 'promptlayer', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
