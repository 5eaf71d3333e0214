"""secateur sync: send what waits for PromptLayer or a collector."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say


@click.command("sync", short_help="Send what waits for PromptLayer or a collector.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.option("--max-requests", type=click.IntRange(1), default=2000, show_default=True, help="Then stop.")
@click.option("--max-seconds", type=click.FloatRange(1), default=600, show_default=True, help="Then stop.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(out: Path, dry_run: bool, max_requests: int, max_seconds: float, quiet: bool) -> int:
    """Send the letters in the outbox, each once. What is not sent waits for the next time.

    Key or address come from the environment variable that the plan names, PROMPTLAYER_API_KEY or
    OTEL_EXPORTER_OTLP_ENDPOINT by default. Exit code 3 if one is missing, could not be used or refused something; a
    limit that was reached is no fault.
    """
    from harness.history import opened
    from harness.progress import shown
    from harness.stores.outbox import Outbox
    from harness.telling.delivery import announced, delivered
    from harness.telling.outbox import Limits

    store = opened(out)
    waiting = list(announced(Outbox(store.file)))
    if dry_run or not waiting:
        say("\n".join(waiting) or "nothing waits to be sent")
        return 0
    with shown(quiet) as progress:
        deliveries = list(delivered(store, Limits(max_requests, max_seconds), progress))
    for delivery in deliveries:
        say(delivery.line())
    return 3 if any(delivery.troubled for delivery in deliveries) else 0
