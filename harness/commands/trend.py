"""secateur trend METRIC: how a metric went, job after job."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say
from harness.commands.stored import OUT, SHARED


@click.command("trend", short_help="How a metric went, and whether it declines.")
@click.argument("metric", metavar="[METRIC]", required=False)
@click.option("--plan", metavar="NAME", help="Only this plan.")
@click.option("--candidate", metavar="NAME", help="Only this candidate.")
@click.option("--last", type=click.IntRange(1), default=12, show_default=True, metavar="N", help="Rows of the table.")
@click.option("--resources", is_flag=True, help="Instead, what candidates need: size, memory, speed and their like.")
@click.option("--strict", is_flag=True, help="Exit 1 if the newest run has drifted from its baseline.")
@OUT
@SHARED
def command(
    metric: str | None,
    plan: str | None,
    candidate: str | None,
    last: int,
    resources: bool,
    strict: bool,
    out: Path,
    shared: str | None,
) -> int:
    """Show METRIC of every candidate over time: chart, table, changes of level, outliers, drift from the baseline.

    Without METRIC: a line for each there is, or with --resources a table of what candidates need.
    """
    from harness.history import opened
    from harness.stores.baselines import BaselineTable
    from harness.trends.events import events
    from harness.trends.listing import overview, shown
    from harness.trends.reading import histories
    from harness.trends.resources import is_resource, used

    table = BaselineTable(opened(out, shared).file)
    chosen = histories(table, metric, plan, candidate)
    if resources:
        say("\n".join(used(one for one in chosen if is_resource(one.metric))))
        return 0
    found = [(one, events(one)) for one in chosen]
    if metric is None:
        say("\n".join(overview(found)))
    else:
        say("\n\n".join("\n".join(shown(history, unusual, last)) for history, unusual in found))
    declined = any(event.kind == "drift" and event.now for _, unusual in found for event in unusual)
    return 1 if strict and declined else 0
