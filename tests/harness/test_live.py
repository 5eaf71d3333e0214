"""A run tells how far it is, and one that was killed does not look alive."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from harness.live import FILE, Piece, Sign
from harness.live.telling import Telling, told
from harness.live.watching import going, seen
from harness.progress import silent
from harness.records import Answer
from harness.schedules import utc_now
from harness.tally import Tally
from suites import load

RUN = """
import sys, time
from pathlib import Path
from harness.live.telling import told
from harness.progress import silent
with told(Path(sys.argv[1]), "nightly", silent) as telling:
    telling("original: smoke", 3, 9)
    time.sleep(60)
"""
SUITE = """
prompts: ["{{q}}"]
tests:
  - {vars: {q: a}, assert: [{type: equals, value: yes it is}]}
  - {vars: {q: b}, assert: [{type: equals, value: yes it is}]}
  - {vars: {q: c}, assert: [{type: equals, value: yes it is}]}
"""


def told_of(sign: Sign | None) -> Sign:
    assert sign is not None
    return sign


def test_a_piece_of_work_begins_goes_on_and_is_over() -> None:
    handed: list[tuple[str, int, int]] = []
    telling = Telling("nightly", lambda *said: handed.append(said))
    telling("original: smoke", 0, 4)
    telling("original: smoke, 50.0 % right", 2, 4)
    now = telling.sign.now
    assert now is not None
    assert (now.what, now.how, now.done, now.total) == ("original", "smoke, 50.0 % right", 2, 4)
    telling("original: smoke, 75.0 % right", 4, 4)
    assert telling.sign.now is None
    assert [(piece.what, piece.done) for piece in telling.sign.over] == [("original", 4)]
    assert handed[1] == ("original: smoke, 50.0 % right", 2, 4)


def test_time_left_is_that_of_the_pace_so_far() -> None:
    assert Piece("original", "", 2, 8, seconds=3.0).seconds_left == 9.0
    assert Piece("original", "", 0, 8, seconds=3.0).seconds_left is None


def test_how_a_run_ended_is_written_down(tmp_path: Path) -> None:
    with told(tmp_path, "nightly", silent) as telling:
        telling.ended("job1", 2)
    sign = told_of(seen(tmp_path))
    assert (sign.state, sign.job, sign.exit_code, sign.pid) == ("ended", "job1", 2, os.getpid())
    assert sign.memory_bytes > 1e6
    with pytest.raises(ValueError, match="no disk"), told(tmp_path, "nightly", silent):
        raise ValueError("no disk")
    sign = told_of(seen(tmp_path))
    assert (sign.state, sign.note, going(sign, utc_now)) == ("stopped", "no disk", False)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_no_folder_is_made_for_a_run_that_has_none(tmp_path: Path) -> None:
    with told(tmp_path / "out", "nightly", silent):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_is_not_going_on(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 30
    while seen(tmp_path) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    sign = told_of(seen(tmp_path))
    assert sign.now is not None
    assert (sign.plan, sign.now.done, going(sign, utc_now)) == ("nightly", 3, True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = told_of(seen(tmp_path))
    assert (killed.state, going(killed, utc_now)) == ("running", False)


def test_a_run_elsewhere_is_believed_while_it_writes() -> None:
    sign = Telling("nightly", silent).sign
    elsewhere = replace(sign, place=replace(sign.place, host="other", boot="b"), pid=1)
    assert going(elsewhere, utc_now)
    assert not going(elsewhere, lambda: utc_now() + timedelta(seconds=61))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"plan": 1}', "[" * 100_000])
def test_what_no_run_wrote_is_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    assert seen(tmp_path) is None


def test_a_field_of_another_kind_is_nothing(tmp_path: Path) -> None:
    with told(tmp_path, "nightly", silent):
        pass
    written = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(written | {"over": "x"}))
    assert seen(tmp_path) is None


def test_a_tally_says_what_is_right_so_far(tmp_path: Path) -> None:
    (tmp_path / "words.yaml").write_text(SUITE)
    suite = load(tmp_path / "words.yaml")
    tally = Tally(suite)
    assert str(tally) == "words"
    names = [case.id for case in suite.cases]
    tally.add([Answer(names[0], "", "yes it is", "stop", 1, 3, 0.1), Answer(names[1], "", "no", "stop", 1, 1, 0.1)])
    assert str(tally).startswith("words, 50.0 % of 2 right, ")
    assert str(tally).endswith(" tokens/s")
    tally.add([Answer(names[2], "", None, "error", 1, 0, 0.1, "too long")])
    assert str(tally).startswith("words, 33.3 % of 3 right")
