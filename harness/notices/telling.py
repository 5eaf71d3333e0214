"""Send a notice through every channel that wants it."""

from __future__ import annotations

import threading
from pathlib import Path

from harness.errors import HarnessError
from harness.notices import Notice
from harness.notices.channels import Channel, load_channels
from harness.notices.mail import send
from harness.notices.program import start
from harness.notices.webhook import post

DEADLINE_SECONDS = 60.0
"""For one channel, its repeats included."""


def told(notice: Notice, file: Path) -> list[str]:
    """Read the channels' file and send; returns what could not be sent, a line each."""
    try:
        channels = load_channels(file)
    except HarnessError as error:
        return [f"nobody was told: {error}"]
    unsent = []
    for channel in channels:
        if set(channel.on) & set(notice.occasions):
            unsent += sent(notice, channel, file.parent)
    return unsent


def sent(notice: Notice, channel: Channel, folder: Path) -> list[str]:
    """Send through one channel, whatever it waits for; returns a line if that failed."""
    failures: list[str] = []

    def work() -> None:
        try:
            _send(notice, channel, folder)
        except HarnessError as error:
            failures.append(f"{channel.name} was not told: {error}")

    # A server that answers letter by letter would keep within any time limit of a socket.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(DEADLINE_SECONDS)
    return [f"{channel.name}: no end after {DEADLINE_SECONDS:.0f} s"] if thread.is_alive() else failures


def _send(notice: Notice, channel: Channel, folder: Path) -> None:
    if channel.webhook:
        post(notice, channel.webhook)
    elif channel.mail:
        send(notice, channel.mail)
    elif channel.command:
        start(notice, channel.command, folder)
