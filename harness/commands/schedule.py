"""secateur schedule: regression runs by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.permissions import given, permissions
from harness.commands.saying import say

if TYPE_CHECKING:
    from harness.stores.schedules import ScheduleTable

OUT = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)


@click.group("schedule", short_help="Run plans again by the clock.")
def command() -> None:
    """Regression runs by the clock: a plan, a cron expression and a time zone.

    Something must look at the clock: cron or systemd calling `run-due`, or `daemon` in the foreground.
    """


@command.command("add", short_help="Run a plan again and again.")
@click.argument("plan", metavar="PLAN")
@click.option("--cron", required=True, metavar="'M H D M W'", help="Five fields: minute hour day month weekday.")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Such as Europe/Berlin.")
@click.option("--name", metavar="NAME", help="What to call it.  [default: the plan's name]")
@click.option(
    "--jitter", type=click.IntRange(0, 86400), default=0, metavar="SECONDS", help="Begin up to this much later."
)
@click.option(
    "--retries", type=click.IntRange(0, 10), default=1, show_default=True, help="Of a turn without a verdict."
)
@click.option("--notify", type=click.Path(path_type=Path), metavar="FILE", help="Whom to tell of results.")
@permissions
@OUT
def add(
    plan: str, cron: str, timezone: str, name: str | None, jitter: int, retries: int, notify: Path | None, out: Path
) -> int:
    """Run PLAN whenever CRON is due in ZONE. The plan is checked now, and read again at every turn."""
    from harness.errors import HarnessError
    from harness.inspection import loaded_suites, refuse_impossible
    from harness.notices.channels import load_channels
    from harness.plan_file import PERMISSIONS, load_plan, permitting
    from harness.schedules import Schedule, utc_now
    from harness.schedules.cron import checked
    from harness.schedules.listing import described

    chosen = permitting(load_plan(plan), given())
    refuse_impossible(chosen, loaded_suites(chosen))
    cron, called = " ".join(cron.split()), name or chosen.name
    checked(cron, timezone)
    if not called.isprintable():
        raise HarnessError("--name: give one line without control characters")
    if notify:
        load_channels(notify)
    place = str(Path(plan).resolve()) if Path(plan).exists() else plan
    told = str(notify.resolve()) if notify else None
    allowed = chosen.model_dump_json(include={*PERMISSIONS, "skip_unsupported"}, exclude_defaults=True)
    schedule = Schedule(called, place, cron, timezone, jitter, retries, told, utc_now(), allowed)
    _table(out, new=True).add(schedule)
    for line in described(schedule, utc_now()):
        say(line)
    say("something must look at the clock: `secateur schedule daemon`, or see `secateur schedule export --help`")
    return 0


@command.command("list", short_help="What is scheduled, and what became of it.")
@OUT
def list_(out: Path) -> int:
    """Show every schedule, its next due moment and its last turns."""
    from harness.schedules import utc_now
    from harness.schedules.listing import listed

    for line in listed(_table(out), utc_now()):
        say(line)
    return 0


@command.command("remove", short_help="Forget a schedule.")
@click.argument("name", metavar="NAME")
@OUT
def remove(name: str, out: Path) -> int:
    """Forget the schedule NAME; what it has run stays stored."""
    _table(out).remove(name)
    say(f"removed {name}")
    return 0


@command.command("run-due", short_help="Run what is due now, then end.")
@OUT
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def run_due(out: Path, quiet: bool) -> int:
    """Run every schedule that is due, one after the other; exit with the worst code, 0 if nothing was due.

    Of due moments that were missed only the latest runs. While a turn is still going, its next one is skipped.
    Killed at any moment, the next call goes on with the turn that was killed.
    """
    import time

    from harness.progress import shown
    from harness.schedules import Schedule, Turn, turns, utc_now

    table = _table(out)
    with shown(quiet) as progress:

        def work(schedule: Schedule) -> turns.Result:
            # Loads torch, which every minute of cron should not.
            from harness.schedules.work import worked

            return worked(schedule, out, progress)

        def tell(schedule: Schedule, turn: Turn) -> str:
            from harness.notices.telling import told
            from harness.notices.writing import written

            return (
                "; ".join(told(written(schedule, turn, table, out), Path(schedule.notify))) if schedule.notify else ""
            )

        return turns.run_due(turns.Desk(table, work, tell, utc_now, time.sleep, say))


@command.command("notify", short_help="Try the channels of a file.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
def notify(file: Path) -> int:
    """Send a test message through every channel of FILE, whatever it waits for; exit 3 if one cannot be reached."""
    from harness.notices import Notice
    from harness.notices.channels import load_channels
    from harness.notices.telling import sent

    notice = Notice("test", "none", ("PASS",), "now", ("This is a test; nothing was run.",), "", "")
    unsent = []
    for channel in load_channels(file):
        failures = sent(notice, channel, file.resolve().parent)
        say(failures[0] if failures else f"{channel.name} was told; usually on {', '.join(channel.on)}")
        unsent += failures
    return 3 if unsent else 0


@command.command("daemon", short_help="Wait, and run what is due, until stopped.")
@OUT
def daemon(out: Path) -> int:
    """Stay in the foreground and run every schedule when it is due; Ctrl-C ends it."""
    import time

    from harness.schedules import utc_now
    from harness.schedules.daemon import launched, serve

    serve(_table(out), utc_now, time.sleep, lambda: launched(out), say)
    return 0


@command.command("export", short_help="Let another clock start the turns.")
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["cron", "systemd", "github", "gitlab", "airflow"]),
    required=True,
    help="cron and systemd: one entry for all schedules. The others: the schedule NAME.",
)
@OUT
def export(name: str | None, kind: str, out: Path) -> int:
    """Print what cron, systemd, GitHub Actions, GitLab CI or Airflow need to run schedules."""
    from harness.schedules import export, workflows

    table = _table(out)
    if kind in export.FORMATS:
        click.echo(export.FORMATS[kind](out), nl=False)
    else:
        click.echo(workflows.FORMATS[kind](table.schedule(name)), nl=False)
    return 0


def _table(out: Path, new: bool = False) -> ScheduleTable:
    from harness.history import STORE, opened
    from harness.stores.duckdb_store import DuckdbStore
    from harness.stores.schedules import ScheduleTable

    store = DuckdbStore(out / STORE) if new else opened(out)
    return ScheduleTable(store.file)
