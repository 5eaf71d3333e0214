"""One process at a time runs turns, and a process that was killed holds nobody up.

A lease is not a lock of the operating system, which would not tell who holds it, but a row that names process, machine
and time. On the same machine the holder is looked for; from elsewhere only a lease that is no longer renewed is free.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from harness.errors import HarnessError
from harness.schedules import Clock, Lease, Place
from harness.stores.schedules import ScheduleTable

RENEWED_EVERY = timedelta(minutes=1)
FREE_AFTER = timedelta(minutes=5)
BIRTH_TOLERANCE_SECONDS = 2.0
"""The moment of birth is read from a clock that may have been set since."""


def here() -> Place:
    """This machine, as it is now."""
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return Place(
        platform.node(),
        boot.read_text().strip() if boot.exists() else "",
        os.readlink(space) if space.exists() else "",
    )


def mine(clock: Clock) -> Lease:
    """The lease as this process would hold it."""
    import psutil

    moment = clock()
    return Lease(os.getpid(), psutil.Process().create_time(), here(), moment, moment)


def alive(lease: Lease, me: Lease) -> bool:
    """Whether the holder still works, seen from another process."""
    fresh = me.taken - lease.renewed < FREE_AFTER
    if lease.place != me.place:
        rebooted = lease.place.host == me.place.host and lease.place.boot != me.place.boot
        return fresh and not rebooted
    born = _born(lease.pid)
    if born is None:
        return False
    return fresh or abs(born - lease.process_started) < BIRTH_TOLERANCE_SECONDS


def _born(pid: int) -> float | None:
    """When the process came to life; None if there is none, or only its remains."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


@contextmanager
def kept(table: ScheduleTable, lease: Lease, clock: Clock) -> Iterator[None]:
    """Renew a lease that was taken for as long as the work lasts, then give it back."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEWED_EVERY.total_seconds()):
            # A store that is busy now is asked again in a minute; the lease is good for longer.
            with suppress(HarnessError):
                table.renew(lease, clock())

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        # All turns are stored; a lease whose process has ended is as good as given back.
        with suppress(HarnessError):
            table.release(lease)
