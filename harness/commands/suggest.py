"""secateur suggest: what to try next."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say


@click.command("suggest", short_help="Which sparsity to try next, from stored verdicts.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
def command(out: Path) -> int:
    """Say for every plan and recipe which sparsity is worth trying next, and on which runs that rests."""
    from harness.history import opened
    from harness.stores.attempts import attempts
    from harness.suggestions import suggested

    lines = list(suggested(attempts(opened(out).file)))
    say("\n".join(lines) or "no candidate made from a recipe with a sparsity was judged yet")
    return 0
