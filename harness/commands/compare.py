"""secateur compare A B: judge two stored runs again, or results made elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say


@click.command("compare", short_help="Judge two stored runs again, or two files of results made elsewhere.")
@click.argument("before", metavar="RUN|FILE")
@click.argument("after", metavar="RUN|FILE")
@click.option("--plan", metavar="PLAN", help="Take gates and suites from this plan instead of the stored one.")
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Of files, without a plan: how much worse every yes-or-no metric may get.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where stored runs are."
)
def command(before: str, after: str, plan: str | None, margin: float, out: Path) -> int:
    """Compare two runs (ids as `secateur ls` shows them): the first is the original, the second the candidate.

    A FILE is what another tool wrote: lm-eval samples (a file, or a folder of them), an Inspect log as JSON, or
    promptfoo's results as JSON (FILE#PROVIDER if there are several).
    """
    from harness.history import compared, opened
    from harness.imports import are_files
    from harness.imports.judging import judged_files
    from harness.plan_file import load_plan
    from harness.showing import outputs
    from harness.verdicts.outcome import EXIT_CODES

    chosen = load_plan(plan) if plan else None
    if are_files(before, after):
        verdict = judged_files(before, after, chosen.gates if chosen else None, margin)
    else:
        verdict = compared(opened(out), before, after, chosen)
    say("\n".join(outputs.verdict_lines(verdict)))
    return EXIT_CODES[verdict.decision]
