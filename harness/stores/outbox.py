"""Letters in the store's file: taken to be sent, settled, counted, sent again, thrown away.

A letter is pending while it is surely not there yet, and inflight from the moment it is taken until its fate is
known. So one whose sender was killed, or whose answer was lost, stays inflight, and is looked up before it is sent
again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from harness.stores import Kind, Letter
from harness.stores.file import DuckdbFile, now
from harness.stores.rows import Connection, Row, append

State = Literal["pending", "inflight", "sent", "dead", "skipped"]
LETTER = "id, account, job, run, case_id, side, kind, payload, depends_on"
OPEN = "('pending', 'inflight')"

SKIP = """
UPDATE outbox SET state = 'skipped', error_text = 'needs a letter that was refused' WHERE state = 'pending' AND id IN (
  SELECT o.id FROM (SELECT id, unnest(depends_on) AS needed FROM outbox) o JOIN outbox n ON n.id = o.needed
  WHERE n.state IN ('dead', 'skipped'))
RETURNING id
"""
READY = f"""
SELECT *, CASE state WHEN 'pending' THEN next_attempt_at ELSE lease_until END AS due FROM outbox
WHERE account = $account AND state IN {OPEN}
  AND id NOT IN (
    SELECT o.id FROM (SELECT id, unnest(depends_on) AS needed FROM outbox WHERE state IN {OPEN}) o
    JOIN outbox n ON n.id = o.needed WHERE n.state <> 'sent')
  AND NOT (kind = 'import' AND run IN (SELECT run FROM outbox WHERE kind = 'log' AND state IN {OPEN}))
"""
"""Open letters that wait for no other. A sheet is filled when nothing of its run is left to be logged."""


@dataclass(frozen=True)
class Taken:
    """A letter that is about to be sent, leased to whoever took it."""

    letter: Letter
    attempts: int
    """How often it was sent before."""
    doubtful: bool
    """It was sent before, and nobody knows whether it arrived."""
    needed: tuple[str, ...] = ()
    """The ids at PromptLayer of what it depends on."""
    requests: tuple[int, ...] = ()
    """For an import: the ids of all requests of the run."""


@dataclass(frozen=True)
class Fate:
    """What became of a letter that was taken."""

    letter: str
    state: State
    wait_seconds: float = 0.0
    """Until it is sent again (pending), or looked up (inflight)."""
    attempts: int = 0
    """How often it has been sent by now."""
    http_status: int | None = None
    error_class: str | None = None
    error_text: str | None = None
    remote_id: str | None = None
    remote_url: str | None = None


@dataclass(frozen=True)
class Census:
    """How many letters of one account and kind are in one state, and the last thing said against one of them."""

    account: str
    kind: Kind
    state: State
    letters: int
    error: str | None


def enqueue(db: Connection, letters: Sequence[Letter]) -> None:
    moment = now()
    rows = [
        {"id": one.id, "account": one.account, "job": one.job, "run": one.run, "case_id": one.case, "side": one.side,
         "kind": one.kind, "depends_on": list(one.depends_on), "payload": one.payload, "state": "pending",
         "attempts": 0, "next_attempt_at": moment, "created_at": moment}
        for one in letters
    ]  # fmt: skip
    append(db, "outbox", rows)


class Outbox:
    """The letters of one store; every method is one transaction."""

    def __init__(self, file: DuckdbFile) -> None:
        self.file = file

    def take(self, account: str, most: int, lease_seconds: float) -> list[Taken]:
        """Lease the letters that are due, in the order in which they must be sent."""

        def work(db: Connection) -> list[Taken]:
            # Again until nothing changes: what needs a skipped letter is skipped too.
            while db.execute(SKIP).fetchall():
                pass
            rows = db.execute(
                f"SELECT {LETTER}, attempts, state = 'inflight' FROM ({READY}) WHERE due <= $now"
                " ORDER BY list_position($kinds, kind), created_at, id LIMIT $most",
                {"account": account, "now": now(), "kinds": list(get_args(Kind)), "most": most},
            ).fetchall()
            db.execute(
                "UPDATE outbox SET state = 'inflight', lease_until = ? WHERE id IN ?",
                [now(lease_seconds), [row[0] for row in rows]],
            )
            return [_taken(db, row) for row in rows]

        return self.file.transaction(work)

    def next_due(self, account: str) -> str | None:
        """The moment at which something can be taken again; None: never, nothing is open."""
        rows = self.file.transaction(
            lambda db: db.execute(f"SELECT min(due) FROM ({READY})", {"account": account}).fetchall()
        )
        return None if rows[0][0] is None else str(rows[0][0])

    def settle(self, fates: Sequence[Fate]) -> None:
        """Write what became of letters, all of them or none."""

        def work(db: Connection) -> None:
            for fate in fates:
                again = now(fate.wait_seconds)
                db.execute(
                    "UPDATE outbox SET state = ?, attempts = ?, next_attempt_at = ?, lease_until = ?, http_status = ?,"
                    " error_class = ?, error_text = ?, remote_id = ?, remote_url = ?, sent_at = ? WHERE id = ?",
                    [fate.state, fate.attempts, again, again, fate.http_status, fate.error_class, fate.error_text,
                     fate.remote_id, fate.remote_url, now() if fate.state == "sent" else None, fate.letter],
                )  # fmt: skip

        self.file.transaction(work)

    def accounts(self) -> list[str]:
        """Those for which something waits."""
        rows = self.file.rows(f"SELECT DISTINCT account FROM outbox WHERE state IN {OPEN} ORDER BY account")
        return [str(row[0]) for row in rows]

    def waiting(self, account: str) -> int:
        """Letters whose fate is open."""
        rows = self.file.rows(f"SELECT count(*) FROM outbox WHERE account = ? AND state IN {OPEN}", [account])
        return int(rows[0][0])

    def census(self) -> list[Census]:
        rows = self.file.rows(
            "SELECT account, kind, state, count(*), max(error_text) FROM outbox GROUP BY account, kind, state"
        )
        order = get_args(Kind)
        return sorted((Census(*row) for row in rows), key=lambda one: (one.account, order.index(one.kind), one.state))

    def counted(self, job: str) -> dict[str, int]:
        """How many letters of a job were sent, wait, or were refused; empty if there are none."""
        found = self.file.rows("SELECT state, count(*) FROM outbox WHERE job = ? GROUP BY state", [job])
        rows = {str(state): int(count) for state, count in found}
        named = {"sent": ("sent",), "waiting": ("pending", "inflight"), "refused": ("dead", "skipped")}
        return {name: sum(rows.get(state, 0) for state in states) for name, states in named.items()} if rows else {}

    def refused(self) -> list[tuple[str, str, str]]:
        """Id, what it is of, and why, of every dead letter."""
        return [
            (str(name), f"{kind} {run} {case}".rstrip(), str(why))
            for name, kind, run, case, why in self.file.rows(
                "SELECT id, kind, run, case_id, error_text FROM outbox WHERE state = 'dead'"
                " ORDER BY created_at, list_position(?, kind), id",
                [list(get_args(Kind))],
            )
        ]

    def retry(self, letter: str | None = None) -> int:
        """Let dead letters be sent again, and with them those that need them; returns how many. None: all."""

        def work(db: Connection) -> int:
            moment = now()
            chosen = db.execute(
                "UPDATE outbox SET attempts = 0, next_attempt_at = $now, lease_until = $now,"
                " state = CASE WHEN error_class = 'unsure' THEN 'inflight' ELSE 'pending' END"
                " WHERE state = 'dead' AND ($id IS NULL OR starts_with(id, $id)) RETURNING id",
                {"now": moment, "id": letter},
            ).fetchall()
            if chosen:
                db.execute("UPDATE outbox SET state = 'pending', error_text = NULL WHERE state = 'skipped'")
            return len(chosen)

        return self.file.transaction(work)

    def purge(self, states: Collection[State]) -> int:
        """Forget the letters of every job that has none in another state than these; returns how many.

        Whole jobs, because what is still to be sent needs the ids of what was. Sheets that are there stay: reports link
        to them.
        """
        rows = self.file.rows(
            "DELETE FROM outbox WHERE job NOT IN (SELECT job FROM outbox WHERE state NOT IN ?)"
            " AND NOT (kind = 'sheet' AND state = 'sent') RETURNING id",
            [list(states)],
        )
        return len(rows)

    def links(self, job: str) -> dict[str, str]:
        """Run -> where PromptLayer shows it, for the runs of a job that are there."""
        rows = self.file.rows(
            "SELECT run, remote_url FROM outbox WHERE job = ? AND kind = 'sheet' AND remote_url IS NOT NULL", [job]
        )
        return {str(run): str(url) for run, url in rows}


def _taken(db: Connection, row: Row) -> Taken:
    name, account, job, run, case, side, kind, payload, depends_on, attempts, doubtful = row
    letter = Letter(name, account, job, run, case, side, kind, payload, tuple(depends_on))
    known = dict(db.execute("SELECT id, remote_id FROM outbox WHERE id IN ?", [depends_on]).fetchall())
    requests: list[Row] = []
    if kind == "import":
        requests = db.execute(
            "SELECT remote_id FROM outbox WHERE run = ? AND kind = 'log' AND state = 'sent' ORDER BY case_id, id", [run]
        ).fetchall()
    needed = tuple(str(known[one]) for one in depends_on)
    return Taken(letter, attempts, doubtful, needed, tuple(int(number) for (number,) in requests))
