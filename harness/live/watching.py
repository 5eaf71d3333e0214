"""Read what a run says of itself, and whether it is still there to say it."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.live import FILE, Sign
from harness.schedules import Clock, Lease
from harness.schedules.lease import alive, mine

SILENT_AFTER = timedelta(minutes=1)
"""A run on another machine that has not written for so long counts as gone; clocks of machines may differ a little."""


def seen(out: Path) -> Sign | None:
    """What the run of a results folder last said; None: none has said anything that can be read."""
    try:
        return TypeAdapter(Sign).validate_json((out / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def going(sign: Sign, clock: Clock) -> bool:
    """Whether the run is under way; one that was killed says "running" for ever."""
    me, renewed = mine(clock), sign.renewed.astimezone(UTC)
    if sign.state != "running" or (sign.place != me.place and me.taken - renewed > SILENT_AFTER):
        return False
    return alive(Lease(sign.pid, sign.process_started, sign.place, renewed, renewed), me)
