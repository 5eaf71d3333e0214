"""What must look at the clock, written for cron or systemd: one entry for all schedules.

Both only call `run-due` every minute. Time zones, daylight saving, missed turns and overlap stay with the schedules, as
cron knows one time zone and forgets what it missed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def crontab(out: Path) -> str:
    """A line for `crontab -e`."""
    log = shlex.quote(str(out.resolve() / "schedule.log"))
    command = f"cd {shlex.quote(os.getcwd())} && {shlex.join(_run_due(out))} >> {log} 2>&1"
    # In a crontab % ends the command.
    command = command.replace("%", r"\%")
    return f"# secateur: runs what is due, in each schedule's own time zone\n* * * * * {command}\n"


def systemd(out: Path) -> str:
    """A service and a timer, for ~/.config/systemd/user or /etc/systemd/system."""
    command = " ".join(_quoted(word) for word in _run_due(out))
    return f"""\
# secateur.service
[Unit]
Description=secateur: run what is due

[Service]
Type=oneshot
WorkingDirectory={os.getcwd().replace("%", "%%")}
ExecStart={command}
# A regression is a result, not a failure of the service.
SuccessExitStatus=1 2

# secateur.timer
[Unit]
Description=secateur: look at the clock every minute

[Timer]
OnCalendar=minutely
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def _run_due(out: Path) -> list[str]:
    """The command, by the full path of the program beside this Python: cron knows few folders."""
    beside = Path(sys.executable).with_name("secateur")
    program = str(beside) if beside.exists() else shutil.which("secateur") or "secateur"
    return [program, "schedule", "run-due", "--quiet", "--out", str(out.resolve())]


def _quoted(word: str) -> str:
    """One word of systemd's ExecStart, in which %, $, quotes and backslashes mean something."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


FORMATS = {"cron": crontab, "systemd": systemd}
