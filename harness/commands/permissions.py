"""The options by which who runs a command lets its suites do more than ask and compare."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from harness.commands.keeping import Command, given_all, kept, said

if TYPE_CHECKING:
    from suites import Allowance

KEPT = "secateur.permissions"


def permissions(command: Command) -> Command:
    """Give a command these options; `given` says what they say. They are no arguments of its function."""
    return given_all(command, OPTIONS)


def given(more: Collection[str] = ()) -> Allowance:
    """What the options of the running command allow. more: what assertions may need besides the facts of an answer."""
    from harness.records import GIVEN
    from suites import Allowance

    allowed = said(KEPT)
    return Allowance(
        code=allowed["allow_code"],
        skip_unsupported=allowed["skip_unsupported"],
        known=GIVEN | set(more),
        outside=allowed["allow_outside"],
        env=frozenset(allowed["allow_env"]),
    )


OPTIONS = (
    kept(
        KEPT,
        "--skip-unsupported",
        is_flag=True,
        help="Count assertions that cannot be checked here as not checked, instead of refusing the suite.",
    ),
    kept(
        KEPT,
        "--allow-code",
        is_flag=True,
        help="Let suites run their Python code; only if you trust their author.",
    ),
    kept(
        KEPT,
        "--allow-outside",
        is_flag=True,
        help="Let suites name files outside their own folder.",
    ),
    kept(
        KEPT,
        "--allow-env",
        metavar="NAME",
        multiple=True,
        help="Let templates read this environment variable, as env.NAME. May be given several times.",
    ),
)
