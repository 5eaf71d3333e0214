"""Drain the outbox: send what is due in its order, wait where the other side asks for it, and lose or double nothing.

This module knows letters and what may become of them; how one is sent is the sender's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeVar

from harness.progress import Progress, silent
from harness.retry_after import back_off
from harness.stores.outbox import Fate, Outbox, Taken

AT_ONCE = 24
"""Letters sent side by side; one look-up holds 25 at most."""
MOST_ATTEMPTS = 8
"""An answer that is unclear so often is not going to come."""
MOST_BAD_ROUNDS = 5
"""Rounds in a row in which nothing arrived."""
LOOKED_UP = ("log", "table", "sheet")
"""Kinds that would be there twice if they were sent twice; the others only say the same again."""

Result = TypeVar("Result")
Trouble = Literal["refused", "later", "unsure", "unauthorised"]
"""refused: wrong whenever it is sent. later: surely not stored. unsure: perhaps stored. unauthorised: the key."""


class NotSentError(Exception):
    """A letter's fate when it is not "sent"."""

    def __init__(self, trouble: Trouble, text: str, status: int | None = None, wait_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.trouble = trouble
        self.status = status
        self.wait_seconds = wait_seconds
        """What the other side asked for."""


@dataclass(frozen=True)
class Reply:
    """What a letter became on the other side."""

    remote_id: str | None = None
    url: str | None = None


class Sender(Protocol):
    """Both methods raise NotSentError; both return after a limited time or never store anything afterwards."""

    @property
    def requests(self) -> int:
        """How many were made."""
        ...

    def send(self, taken: Taken) -> Reply: ...

    def find(self, doubtful: Sequence[Taken]) -> dict[str, Reply]:
        """Which of these letters have arrived after all, by id."""
        ...


@dataclass(frozen=True)
class Pace:
    """How long to wait for what."""

    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    """Between two pieces of an answer."""
    call_seconds: float = 30.0
    """For a whole call."""
    settle_seconds: float = 30.0
    """Before something that may have arrived is looked up: a search finds nothing at once."""
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 300.0

    @property
    def lease_seconds(self) -> float:
        """A letter taken longer ago than this is nobody's."""
        return 2 * self.call_seconds + self.settle_seconds

    def back_off(self, attempts: int, asked_seconds: float = 0.0) -> float:
        """After so many attempts before this one."""
        return back_off(attempts + 1, self.first_wait_seconds, self.longest_wait_seconds, asked_seconds)


PACE = Pace()


@dataclass(frozen=True)
class Limits:
    """When to stop, whatever is left, and how long to wait for what until then."""

    requests: int
    seconds: float
    pace: Pace = PACE


@dataclass(frozen=True)
class Drained:
    """What one drain came to."""

    sent: int
    refused: int
    waiting: int
    stopped: str
    """Why it ended before everything was sent; empty: nothing was left to do."""
    troubled: bool
    """It ended because the other side could not be used, not because a limit was reached."""


@dataclass
class _Tally:
    sent: int = 0
    refused: int = 0
    bad_rounds: int = 0
    error: str = ""
    """What hindered a letter last."""

    def count_(self, fates: Sequence[Fate]) -> None:
        sent = sum(fate.state == "sent" for fate in fates)
        self.sent += sent
        self.refused += sum(fate.state == "dead" for fate in fates)
        self.bad_rounds = 0 if sent else self.bad_rounds + 1
        self.error = next((fate.error_text for fate in fates if fate.error_text), self.error)


def drain(outbox: Outbox, account: str, sender: Sender, limits: Limits, progress: Progress = silent) -> Drained:
    """Send the letters of one account until nothing is due, a limit is reached or the other side does not want more."""
    pace, deadline = limits.pace, time.monotonic() + limits.seconds
    tally = _Tally()
    total = outbox.waiting(account)
    stopped = trouble = ""
    while not stopped:
        if sender.requests >= limits.requests:
            stopped = f"{limits.requests} requests were made, which is the limit"
        elif taken := outbox.take(account, min(AT_ONCE, limits.requests - sender.requests), pace.lease_seconds):
            fates = _round(taken, sender, pace)
            outbox.settle(fates)
            tally.count_(fates)
            trouble = _why_stop(tally, fates)
            stopped = trouble or _waited(_rest(tally, fates, pace), deadline)
            progress(account, min(tally.sent, total), total)
        elif (due := outbox.next_due(account)) is not None:
            stopped = _waited(_seconds_until(due), deadline)
        else:
            break
    if stopped and not trouble and tally.error:
        stopped = f"{stopped}: {tally.error}"
    return Drained(tally.sent, tally.refused, outbox.waiting(account), stopped, bool(trouble))


def _round(taken: Sequence[Taken], sender: Sender, pace: Pace) -> list[Fate]:
    """Look up the doubtful ones, send the rest side by side."""
    doubtful = [one for one in taken if one.doubtful and one.letter.kind in LOOKED_UP]
    found: dict[str, Reply] = {}
    if doubtful:
        (result,) = _side_by_side([lambda: sender.find(doubtful)], pace.call_seconds)
        if isinstance(result, NotSentError):
            rest = _round([one for one in taken if one not in doubtful], sender, pace)
            return [*(_still_doubtful(one, result, pace) for one in doubtful), *rest]
        found = result
    sent = [one for one in taken if one.letter.id not in found]
    replies = _side_by_side([_call(sender, one) for one in sent], pace.call_seconds)
    return [
        *(_arrived(one, found[one.letter.id], one.attempts) for one in taken if one.letter.id in found),
        *(
            _arrived(one, reply, one.attempts + 1) if isinstance(reply, Reply) else _failed(one, reply, pace)
            for one, reply in zip(sent, replies, strict=True)
        ),
    ]


def _call(sender: Sender, taken: Taken) -> Callable[[], Reply]:
    return lambda: sender.send(taken)


def _side_by_side(calls: Sequence[Callable[[], Result]], seconds: float) -> list[Result | NotSentError]:
    """Make all calls at once; one that is not back in time is unsure, and left to itself."""
    late = NotSentError("unsure", f"no answer within {seconds:g} s")
    results: list[Result | NotSentError] = [late] * len(calls)

    def work(number: int) -> None:
        try:
            results[number] = calls[number]()
        except NotSentError as error:
            results[number] = error

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(calls))]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(results)


def _arrived(taken: Taken, reply: Reply, attempts: int) -> Fate:
    return Fate(taken.letter.id, "sent", attempts=attempts, remote_id=reply.remote_id, remote_url=reply.url)


def _still_doubtful(taken: Taken, error: NotSentError, pace: Pace) -> Fate:
    """It could not be looked up."""
    wait = pace.back_off(taken.attempts, error.wait_seconds)
    return Fate(taken.letter.id, "inflight", wait, taken.attempts, error.status, error.trouble, str(error))


def _failed(taken: Taken, error: NotSentError, pace: Pace) -> Fate:
    told = (error.status, error.trouble, str(error))
    if error.trouble == "refused" or (error.trouble == "unsure" and taken.attempts + 1 >= MOST_ATTEMPTS):
        return Fate(taken.letter.id, "dead", 0.0, taken.attempts + 1, *told)
    if error.trouble == "unsure":
        wait = max(pace.settle_seconds, pace.back_off(taken.attempts, error.wait_seconds))
        return Fate(taken.letter.id, "inflight", wait, taken.attempts + 1, *told)
    wait = 0.0 if error.trouble == "unauthorised" else pace.back_off(taken.attempts, error.wait_seconds)
    return Fate(taken.letter.id, "pending", wait, taken.attempts, *told)


def _why_stop(tally: _Tally, fates: Sequence[Fate]) -> str:
    denied = next((fate for fate in fates if fate.error_class == "unauthorised"), None)
    if denied is not None:
        return f"access is refused: {denied.error_text}"
    return f"nothing arrives: {fates[0].error_text}" if tally.bad_rounds >= MOST_BAD_ROUNDS else ""


def _rest(tally: _Tally, fates: Sequence[Fate], pace: Pace) -> float:
    """Seconds before the next round: what hinders one letter now, such as a rate limit, hinders all."""
    asked = max((fate.wait_seconds for fate in fates if fate.state == "pending"), default=0.0)
    return max(asked, pace.back_off(tally.bad_rounds)) if tally.bad_rounds else asked


def _waited(seconds: float, deadline: float) -> str:
    """Sleep so long, or say that there is no time for it."""
    if time.monotonic() + seconds > deadline:
        return f"no time left, the next try is due in {seconds:.0f} s"
    time.sleep(seconds)
    return ""


def _seconds_until(moment: str) -> float:
    return max(0.0, (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds())
