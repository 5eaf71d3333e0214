"""secateur doctor: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say


@click.command("doctor", short_help="What this machine has, what is missing, and how to mend it.")
@click.option("--bring", is_flag=True, help="Bring the embedded model into the cache first.")
@click.option("--noise", is_flag=True, help="Ask the embedded model twice in other batches, and say what differs.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results go."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(bring: bool, noise: bool, out: Path, quiet: bool) -> int:
    """Check versions, machine, cache, store and hub; exit 3 if something needed is missing."""
    from harness.health import examined
    from harness.progress import shown

    if bring:
        from harness.models import embedded

        with shown(quiet) as progress:
            say(f"embedded model: {embedded.bring(progress=progress)}")
    if noise:
        from harness.noise import floor_lines, noise_of
        from harness.plan_file import load_plan

        with shown(quiet) as progress:
            found = noise_of(load_plan("noise"), progress)
        say("\n".join(floor_lines(found)))
    findings = examined(out)
    for finding in findings:
        say(finding.line())
    return 3 if any(finding.missing for finding in findings) else 0
