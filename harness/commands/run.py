"""secateur run PLAN: the main job."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.permissions import given, permissions
from harness.commands.saying import say


@click.command("run", short_help="The main job: compress, ask both models, compare, judge, report.")
@click.argument("plan", metavar="PLAN")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results go."
)
@click.option("--fresh", is_flag=True, help="Measure everything again, using nothing stored before.")
@click.option("--sequential", is_flag=True, help="Ask in growing looks, and stop once the gates are decided.")
@click.option("--candidate", metavar="NAME", help="Only this candidate of the plan.")
@click.option("--allow-inconclusive", is_flag=True, help="Exit 0 instead of 2 when the verdict is INCONCLUSIVE.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Also write JUnit XML, one test a gate.")
@click.option("--summary", type=click.Path(path_type=Path), metavar="FILE", help="Also append a Markdown summary.")
@click.option("--sarif", type=click.Path(path_type=Path), metavar="FILE", help="Also write SARIF, one result a gate.")
@click.option("--annotations", type=click.Choice(["github"]), help="Also print what CI shows beside the plan's gates.")
@click.option("--executor", type=click.Choice(["ray"]), help="Make and ask models on a cluster.")
@click.option("--address", help="Of that cluster; without it one is started on this machine.")
@permissions
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(
    plan: str,
    out: Path,
    fresh: bool,
    sequential: bool,
    candidate: str | None,
    allow_inconclusive: bool,
    as_json: bool,
    junit: Path | None,
    summary: Path | None,
    sarif: Path | None,
    annotations: str | None,
    executor: str | None,
    address: str | None,
    quiet: bool,
) -> int:
    """Compress each candidate of PLAN, ask it and the original the same questions, compare, judge and report.

    PLAN is a YAML file, or the built-in plan `demo`. Killed at any moment, the same command goes on where it
    stopped. Exit code: the worst over the candidates, 3 > 1 > 2 > 0.
    """
    from harness import drafts
    from harness.errors import HarnessError
    from harness.executors import make
    from harness.live.telling import told
    from harness.outlook import hopeless
    from harness.pipeline import prepared, run_prepared
    from harness.plan_file import load_plan, only, permitting
    from harness.progress import shown
    from harness.showing import outputs
    from harness.showing.github import annotated
    from harness.showing.sarif import write_sarif
    from harness.telling.delivery import after_run

    chosen = permitting(load_plan(plan), given())
    if candidate:
        chosen = only(chosen, candidate)
    if sequential:
        chosen = chosen.model_copy(update={"sequential": True})
    for target in filter(None, (junit, summary, sarif)):
        if not drafts.has_place(target):
            raise HarnessError(f"cannot write {target}: give a file in a folder that is there")
    if executor and chosen.sequential:
        raise HarnessError("--sequential asks no more than needed, one look after the other; leave --executor out")
    if address and not executor:
        raise HarnessError("--address is where --executor ray finds its cluster; give both")
    elsewhere = make(executor, address) if executor else None
    ready = prepared(chosen)
    for line in hopeless(chosen, ready.suites):
        say(f"warning: {line}", err=True)
    with shown(quiet) as progress, told(out, chosen.name, progress) as telling:
        outcome = run_prepared(
            ready, out, fresh=fresh, progress=telling, command=f"secateur run {plan}", executor=elsewhere
        )
        telling.ended(outcome.job, outcome.exit_code)
    exit_code = 0 if allow_inconclusive and outcome.exit_code == 2 else outcome.exit_code
    say(outputs.as_json(outcome) if as_json else outputs.as_text(outcome, exit_code))
    for line in annotated(outcome, plan) if annotations else ():
        # The runner reads both streams, and --json has standard output for itself.
        say(line, err=True)
    if junit:
        outputs.write_junit(outcome, junit)
    if sarif:
        write_sarif(outcome, plan, sarif)
    if summary:
        outputs.append_markdown(outcome, summary)
    # Last, so that nobody waits for the verdict because of a slow network.
    with shown(quiet) as progress:
        for line in after_run(chosen, out, outcome.job, progress):
            say(line, err=True)
    return exit_code
