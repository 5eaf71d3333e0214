"""secateur suite run FILE: ask one model, without a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.commands.advisers import advisers, named, panel
from harness.commands.choice import choice, chosen_of
from harness.commands.permissions import given, permissions
from harness.commands.saying import say


@click.command("run", short_help="Ask one model and grade its answers; no comparison.")
@click.argument("file", metavar="FILE|NAME")
@click.option("--model", default="smollm2-135m", show_default=True, help="Hub id, folder, .gguf file or built-in name.")
@click.option("--adapter", metavar="DIR", help="A LoRA adapter on top.")
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16", "int8"]), default="float32", show_default=True
)
@choice
@permissions
@advisers
@click.option("--fail-below", type=click.FloatRange(0, 1), metavar="SHARE", help="Exit 1 if fewer pass.")
@click.option("--json", "as_json", is_flag=True, help="Print every case as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(
    file: str,
    model: str,
    adapter: str | None,
    dtype: str,
    out: Path,
    fail_below: float | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Ask the cases of a suite, or some of them, and say which answers pass.

    Answers are kept where a job would keep them: what was asked before is not asked again, here or there.
    """
    import suites
    from harness import marking
    from harness.progress import shown
    from harness.records import ModelSpec
    from harness.trial import tried

    suite = suites.load(file, given(named()))
    cases = chosen_of(suite, out)
    with shown(quiet) as progress:
        results = tried(ModelSpec(model, model, adapter=adapter, dtype=dtype), suite, cases, out, panel(progress))
    rate = marking.pass_rate(results)
    if as_json:
        said = {"suite": suite.name, "model": model, "pass_rate": rate, "cases": marking.rows(results)}
        click.echo(json.dumps(said, indent=2))
    else:
        say("\n".join(marking.told(suite.name, model, results)))
        if suite.not_checked:
            say(f"skipped in the whole suite: {suite.not_checked}")
    return int(fail_below is not None and rate < fail_below)
