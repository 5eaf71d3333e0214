"""What the live page is told of a run, as the values that its script draws."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from harness.live import Piece, Sign
from harness.live.watching import going, seen
from harness.schedules import Clock
from harness.site import job_file
from harness.verdicts.outcome import COULD_NOT_FINISH, EXIT_CODES
from reports.visible import visible

NOTHING = "No run has said anything in this results folder yet; one that starts is shown here."
GOING = "It is going on."
GONE = "It was killed, or its machine is gone: the same command goes on where it stopped."
WORDS = {code: word for word, code in EXIT_CODES.items()} | {COULD_NOT_FINISH: "it could not finish"}


@dataclass(frozen=True)
class PieceTold:
    """A piece of work; `left`: seconds, None: not known."""

    what: str
    how: str
    done: int
    total: int
    seconds: float
    left: float | None


@dataclass(frozen=True)
class Told:
    """The names are those that templates/site/scripts/live.js reads."""

    line: str
    plan: str = ""
    job: str = ""
    file: str = ""
    """The page of the job, once there is one."""
    memory_bytes: int | None = None
    seconds: float = 0.0
    now: PieceTold | None = None
    over: tuple[PieceTold, ...] = ()


def followed(out: Path, clock: Clock) -> dict[str, object]:
    """How far the run of a results folder is, as plain values."""
    sign = seen(out)
    return asdict(Told(NOTHING) if sign is None else _told(sign, clock))


def _told(sign: Sign, clock: Clock) -> Told:
    alive = going(sign, clock)
    until = clock() if alive else sign.renewed
    return Told(
        line=visible(_line(sign, alive)),
        plan=visible(sign.plan),
        job=visible(sign.job),
        file=job_file(sign.job) if sign.job else "",
        memory_bytes=sign.memory_bytes if alive else None,
        seconds=max(0.0, (until - sign.started).total_seconds()),
        now=_piece(sign.now) if sign.now and alive else None,
        over=tuple(map(_piece, sign.over)),
    )


def _line(sign: Sign, alive: bool) -> str:
    if sign.state == "running":
        return GOING if alive else GONE
    if sign.state == "stopped":
        return f"It stopped: {sign.note}"
    return f"It has ended: {WORDS.get(sign.exit_code or 0, f'exit code {sign.exit_code}')}."


def _piece(piece: Piece) -> PieceTold:
    said = {name: visible(getattr(piece, name)) for name in ("what", "how")}
    return PieceTold(**said, done=piece.done, total=piece.total, seconds=piece.seconds, left=piece.seconds_left)
