"""secateur compare RUN RUN: judge two stored runs again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("compare", short_help="Judge two stored runs again, with other gates if asked.")
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@click.option("--plan", metavar="PLAN", help="Take gates and suites from this plan instead of the stored one.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
def command(before: str, after: str, plan: str | None, out: Path) -> int:
    """Compare two runs (ids as `secateur ls` shows them): the first is the original, the second the candidate."""
    from harness import outputs
    from harness.history import compared, opened
    from harness.outcome import EXIT_CODES
    from harness.plan import load_plan

    verdict = compared(opened(out), before, after, load_plan(plan) if plan else None)
    click.echo("\n".join(outputs.verdict_lines(verdict)))
    return EXIT_CODES[verdict.decision]
