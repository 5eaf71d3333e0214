"""The plug-in for pytest: the fixture `secateur_compare`. Loading it loads nothing heavy.

def test_no_worse(secateur_compare):
    assert_no_regression(secateur_compare("plan.yaml"))
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.judgement import Judgement


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("secateur")
    group.addoption("--secateur-out", default="out", metavar="DIR", help="Where secateur keeps results.")


@pytest.fixture(scope="session")
def secateur_compare(request: pytest.FixtureRequest) -> Callable[..., Judgement]:
    """A function that compares and gives a Judgement, for `harness.assert_no_regression`.

    secateur_compare("plan.yaml", candidate=None): runs a plan; what is stored is not asked again.
    secateur_compare("before.jsonl", "after.jsonl", margin=0.05): two files of results made elsewhere, or ids of two
    stored runs.
    """
    out = Path(request.config.getoption("--secateur-out"))

    def compared(
        first: str | Path, second: str | Path | None = None, *, candidate: str | None = None, margin: float = 0.05
    ) -> Judgement:
        from harness.judgement import judged_pair, judged_plan

        if second is None:
            return judged_plan(first, out, candidate)
        return judged_pair(str(first), str(second), margin, out)

    return compared
