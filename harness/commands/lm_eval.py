"""secateur lm-eval ...: lm-eval's own command line on our engine."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "lm-eval",
    short_help="lm-eval's own command line, scored by this engine.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.option(
    "--data-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with data sets and an index.json, instead of the hub.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(data_root: Path | None, arguments: tuple[str, ...]) -> int:
    """lm-eval with `--model secateur`: its options, its output, the same scores in fewer CPU seconds.

    For example: secateur lm-eval --model_args pretrained=FOLDER --tasks arc_easy. `secateur lm-eval -- --help` shows
    lm-eval's own options.
    """
    from harness.benchmarks import run_lm_eval

    run_lm_eval(arguments, data_root)
    return 0
