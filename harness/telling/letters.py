"""Comparison + Verdict -> letters: what PromptLayer is told of one candidate. Pure; the store keeps them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.digest import digest
from harness.records import Answer, Run
from harness.showing.publish import Judged
from harness.stores import Job, Kind, Letter, Side
from harness.telling.sharing import Selection, Sharing, redacted
from harness.verdicts.pairing import CasePair
from suites.grading import Graded
from suites.registry import NAME, VERSION

TAG_LENGTH = 512
ERROR_LENGTH = 1024
TITLE_LENGTH = 255
ORDER = {"loss": 0, "gain": 1}
PASSED, CASE = "secateur_passed", "secateur_case"
"""Variables that become columns of the sheet."""


@dataclass(frozen=True)
class Told:
    """One run as PromptLayer is told of it."""

    sharing: Sharing
    job: Job
    judged: Judged
    side: Side
    moment: float
    """When it was judged, in seconds since 1970: answers know how long they took, not when."""

    @property
    def run(self) -> Run:
        return self.judged.before if self.side == "original" else self.judged.after

    def identity(self, kind: Kind, case: str = "", name: str = "") -> str:
        """The same for the same thing, told twice. name: apart from others of its kind and case."""
        return digest(self.job.id, self.judged.verdict.candidate, self.side, kind, case, name)[:24]

    def letter(
        self, kind: Kind, payload: Mapping[str, object], *needs: Letter, case: str = "", name: str = ""
    ) -> Letter:
        return Letter(
            id=self.identity(kind, case, name),
            account=self.sharing.api_key_env,
            job=self.job.id,
            run=self.run.id,
            case=case,
            side=self.side,
            kind=kind,
            payload=json.dumps(payload, ensure_ascii=False),
            depends_on=tuple(one.id for one in needs),
        )


def letters(sharing: Sharing, job: Job, judged: Judged) -> list[Letter]:
    """Both sides of the cases to be told, their scores and groups, and a table with a sheet a side; none: nothing."""
    pairs = chosen(sharing, judged.comparison.cases)
    if not pairs:
        return []
    moment = time.time()
    before = Told(sharing, job, judged, "original", moment)
    after = Told(sharing, job, judged, "candidate", moment)
    tables = _tables(before, after) if sharing.tables else ()
    return [*_requests(before, pairs), *_requests(after, pairs), *tables]


def chosen(sharing: Selection, cases: Sequence[CasePair]) -> list[CasePair]:
    """The cases to be told, losses first."""
    if sharing.send == "none":
        return []
    wanted = [pair for pair in cases if sharing.send == "all" or pair.kind in ORDER]
    wanted.sort(key=lambda pair: (ORDER.get(pair.kind, 2), digest(pair.suite, pair.case.id)))
    return wanted[: sharing.sample]


def _requests(told: Told, pairs: Sequence[CasePair]) -> Iterator[Letter]:
    group = told.letter("group", {})
    yield group
    for pair in pairs:
        case = f"{pair.suite}/{pair.case.id}"
        graded = pair.before_graded if told.side == "original" else pair.after_graded
        log = told.letter("log", _request(told, pair, told.identity("log", case)), case=case)
        yield log
        for name, score in _scores(graded).items():
            yield told.letter("score", {"name": name, "score": score}, log, case=case, name=name)
        yield told.letter("member", {}, log, group, case=case)


def _request(told: Told, pair: CasePair, identity: str) -> dict[str, object]:
    """The body of a logged request, in PromptLayer's words. identity: of its letter."""
    answer = pair.before if told.side == "original" else pair.after
    graded = pair.before_graded if told.side == "original" else pair.after_graded
    hide = told.sharing.hidden(told.sharing.api_key_env)
    passed = 100 * (graded is not None and graded.decided and graded.passed)
    text = answer.text if answer else None
    messages = [_message(turn["role"], redacted(turn["content"], hide)) for turn in pair.case.messages]
    reply = [] if text is None else [_message("assistant", redacted(text, hide))]
    variables = {name: redacted(str(value), hide) for name, value in pair.case.vars.items()}
    body: dict[str, object] = {
        "provider": "secateur",
        "model": told.run.model.name if told.side == "candidate" else _original(told.run.model.source),
        "input": {"type": "chat", "messages": messages},
        "output": {"type": "chat", "messages": reply},
        "request_start_time": told.moment - (answer.seconds if answer else 0.0),
        "request_end_time": told.moment,
        "parameters": {"do_sample": False, "max_new_tokens": pair.case.max_new_tokens},
        "tags": [tag[:TAG_LENGTH] for tag in _tags(told, pair)],
        "metadata": _metadata(told, pair, graded) | {"secateur_id": identity},
        "prompt_input_variables": variables | {CASE: pair.case.id, PASSED: str(passed)},
        "input_tokens": answer.prompt_tokens if answer else 0,
        "output_tokens": answer.new_tokens if answer else 0,
        "score": passed,
        "score_name": "passed",
    }
    if isinstance(name := pair.case.metadata.get(NAME), str):
        body |= {"prompt_name": name, "prompt_version_number": pair.case.metadata.get(VERSION)}
    if text is None:
        body |= {
            "status": "ERROR",
            "error_type": "PROVIDER_ERROR",
            "error_message": redacted(_why(answer), hide)[:ERROR_LENGTH],
        }
    return body


def _tables(before: Told, after: Told) -> Iterator[Letter]:
    """A table with a sheet a side, filled from the requests, each with a scorecard; the original's is the baseline."""
    job = before.job
    title = f"{before.judged.verdict.candidate}, job {job.id}: {job.plan_name}"
    table = before.letter("table", {"title": title[:TITLE_LENGTH]})
    yield table
    sheets: list[Letter] = []
    for told in (before, after):
        sheet = told.letter("sheet", {"title": told.side}, table)
        rows = told.letter("import", {"variables_to_parse": [CASE, PASSED]}, sheet)
        yield from (
            sheet,
            rows,
            told.letter("scorecard", {"name": "pass rate", "column": PASSED}, sheet, rows, *sheets),
        )
        sheets.append(sheet)


def _original(source: str) -> str:
    """The original by its own name: without folders, or without the address of an endpoint."""
    return Path(source.partition(" at ")[0]).name


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _why(answer: Answer | None) -> str:
    return (answer.error if answer else None) or "not answered"


def _tags(told: Told, pair: CasePair) -> list[str]:
    flip = [f"flip:{pair.kind}"] if told.side == "candidate" and pair.kind in ORDER else []
    return [
        *("secateur", pair.suite, f"run:{told.run.id}", f"side:{told.side}", told.judged.verdict.decision, *flip),
        *sorted(pair.case.tags),
        *told.sharing.tags,
    ]


def _metadata(told: Told, pair: CasePair, graded: Graded | None) -> dict[str, str]:
    """Text to text, as PromptLayer wants it; raw scores keep all their digits here."""
    other = told.judged.after if told.side == "original" else told.judged.before
    known = {
        "plan": told.job.plan_name,
        "job": told.job.id,
        "run": told.run.id,
        "paired_run": other.id,
        "candidate": told.judged.verdict.candidate,
        "verdict": told.judged.verdict.decision,
        "suite": pair.suite,
        "case": pair.case.id,
        "kind": pair.kind,
        "prompt_hash": digest(pair.case.messages)[:16],
        "fingerprint": told.run.fingerprint[:16],
        "adapter": Path(told.run.model.adapter).name if told.run.model.adapter else "",
        "score": "" if graded is None else repr(graded.score),
        "report": told.sharing.report_url or "",
    }
    return {name: value for name, value in known.items() if value}


def _scores(graded: Graded | None) -> dict[str, int]:
    """Scores beside `passed`, which goes with the request itself: 0 to 100, each its own series."""
    if graded is None or not graded.decided:
        return {}
    named = {check.metric: round(100 * check.score) for check in graded.checks if check.metric}
    score = round(100 * graded.score)
    return named if score == 100 * graded.passed else {"score": score, **named}
