"""Letters to PromptLayer through its real SDK to a server on loopback: whatever happens, each is there once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.gates import Gate
from harness.records import Answer, ModelSpec, Run
from harness.showing.publish import Judged
from harness.stores import Asked, Job, VerdictRow
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.outbox import Outbox
from harness.telling.letters import letters
from harness.telling.outbox import Drained, Limits, Pace, drain
from harness.telling.promptlayer import connected
from harness.telling.sharing import Sharing
from harness.verdicts.compare import compare
from harness.verdicts.gate import judge
from suites.loader import load
from tests.harness.contract_server import FAULTS, KEY, SLOW_SECONDS, ContractServer, Fault, serving

ROOT = Path(__file__).parents[2]
ACCOUNT = "PROMPTLAYER_API_KEY"
REQUESTS, EVERYTHING = Sharing(tables=False), Sharing()
QUICK = Pace(0.3, 0.15, 1.5, settle_seconds=2 * SLOW_SECONDS, first_wait_seconds=0.02, longest_wait_seconds=0.2)
REFUSALS = ("redirect",)
AMPLE = Limits(100_000, 120.0, QUICK)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ContractServer]:
    with serving(ContractServer()) as one:
        monkeypatch.setenv("PROMPTLAYER_BASE_URL", one.url)
        yield one


def judged(folder: Path, cases: int) -> Judged:
    """A comparison in which the candidate loses every even case and wins every odd one."""
    case = (
        "  - {{id: c{n}, vars: {{n: card 1234{n}}}, tags: [t], "
        "metadata: {{promptlayer_prompt: pay, promptlayer_version: 3}}, assert: [{{type: contains, value: yes}}]}}"
    )
    lines = [case.format(n=n) for n in range(cases)]
    folder.mkdir(exist_ok=True)
    (folder / "flips.yaml").write_text('prompts: ["Pay {{n}}?"]\ntests:\n' + "\n".join(lines))
    suite = load(str(folder / "flips.yaml"))

    def run(name: str, passing: int) -> Run:
        said = [Answer(f"c{n}", "p", "yes" if n % 2 == passing else "no", "stop", 5, 1, 0.25) for n in range(cases)]
        return Run(f"run-{name}", ModelSpec(name, f"/models/{name}"), f"fingerprint-{name}", {"flips": tuple(said)})

    before, after = run("original", 0), run("small", 1)
    comparison = compare(before, after, [suite])
    return Judged(before, after, comparison, judge(comparison, [Gate(metric="flips.losses", max=0)]), None)


def stored(folder: Path, cases: int, sharing: Sharing = REQUESTS) -> tuple[DuckdbStore, Job]:
    """A store with one verdict and its letters: by default those of requests only, which are sent sooner."""
    store = DuckdbStore(folder / "secateur.duckdb")
    job = store.begin_job(Asked("p", "{}", "d"))
    told = letters(sharing, job, judged(folder, cases))
    store.save_verdict(VerdictRow(job.id, "small", "REGRESSION", "because", "run-original", "run-small", "[]"), told)
    return store, job


def drained(store: DuckdbStore, limits: Limits = AMPLE, key: str = KEY) -> Drained:
    with connected(key, QUICK, limits.requests) as client:
        return drain(Outbox(store.file), ACCOUNT, client, limits)


def states(store: DuckdbStore) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for one in Outbox(store.file).census():
        counts[one.state] += one.letters
    return dict(counts)


def all_there_once(server: ContractServer, cases: int, tables: int = 0) -> None:
    assert len(server.logs) == 2 * cases
    assert server.doubled() == 0
    members = [request for group in server.groups.values() for request in group]
    assert sorted(members) == sorted(server.logs)
    assert [len(one["request_log_ids"]) for one in server.imports.values()] == [cases, cases] * tables
    assert sorted(sheet["title"] for sheet in server.sheets.values()) == ["candidate", "original"] * tables
    assert (len(server.tables), len(server.scorecards)) == (tables, 2 * tables)


def test_what_promptlayer_finds(server: ContractServer, tmp_path: Path) -> None:
    sharing = Sharing(tags=["nightly"], redact=[r"\d{4,}"], report_url="https://ci.example/1")
    store, job = stored(tmp_path, 2, sharing)
    result = drained(store)
    assert (result.refused, result.waiting, result.stopped) == (0, 0, "")
    all_there_once(server, 2, tables=1)
    log = next(one for one in server.logs.values() if {"side:candidate", "flip:loss"} <= set(one["tags"]))
    assert log["input"]["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Pay card [redacted]?"}]}]
    assert log["output"]["messages"] == [{"role": "assistant", "content": [{"type": "text", "text": "no"}]}]
    assert {"secateur", "flips", "run:run-small", "REGRESSION", "t", "nightly"} <= set(log["tags"])
    assert log["metadata"].items() >= {"case": "c0", "kind": "loss", "job": job.id, "score": "0.0"}.items()
    assert log["metadata"]["report"] == "https://ci.example/1"
    assert (log["score_name"], log["score"], log["provider"], log["model"]) == ("passed", 0, "secateur", "small")
    assert log["request_end_time"] - log["request_start_time"] == pytest.approx(0.25)
    assert log["prompt_input_variables"] == {
        "n": "card [redacted]", "secateur_case": "c0", "secateur_passed": "0"
    }  # fmt: skip
    before, after = (
        next(s["id"] for s in server.sheets.values() if s["title"] == t) for t in ("original", "candidate")
    )
    assert server.scorecards[after]["baseline_config"] == {"name": "original", "sheet_id": before}
    assert server.scorecards[before]["baseline_config"] is None
    assert (log["prompt_name"], log["prompt_version_number"]) == ("pay", 3)
    assert store.links(job.id)["run-small"].endswith(f"/workspace/42/smart-tables/table-1?sheet={after}")


def test_the_key_is_not_told_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ACCOUNT, "12340")
    told = letters(Sharing(), Job("j", "p", "{}", "d", "", {}, False, "then"), judged(tmp_path, 1))
    assert "[redacted]" in "".join(letter.payload for letter in told)
    assert "12340" not in "".join(letter.payload for letter in told)


def faults(seed: int, rate: float) -> ContractServer:
    """Any fault but those that end in a refusal, at random."""
    chance = random.Random(seed)
    kinds = [fault for fault in FAULTS if fault not in (*REFUSALS, "429 and when")]
    return ContractServer(lambda path, number: chance.choice(kinds) if chance.random() < rate else None)


def until_done(store: DuckdbStore) -> None:
    """As a scheduler would: sync again while something waits."""
    for _ in range(20):
        if drained(store).waiting == 0:
            return


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_or_doubled_among_faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int) -> None:
    store, _ = stored(tmp_path, 12, EVERYTHING)
    with serving(faults(seed, 0.2)) as server:
        monkeypatch.setenv("PROMPTLAYER_BASE_URL", server.url)
        until_done(store)
        assert set(states(store)) == {"sent"}
        all_there_once(server, 12, tables=1)


@pytest.mark.slow
def test_without_looking_up_there_would_be_doubles(
    server: ContractServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.telling.promptlayer.Client.find", lambda self, doubtful: {})
    server.fault = lambda path, number: "stored and dropped" if path == "/log-request" and number < 20 else None
    store, _ = stored(tmp_path, 2)
    drained(store)
    assert server.doubled() > 0


def test_every_fault_of_a_logged_request(server: ContractServer, tmp_path: Path) -> None:
    """A fault for each of the first calls, and a search that sees a request only after a while."""
    server.index_seconds = QUICK.settle_seconds / 2
    left = [fault for fault in FAULTS if fault not in REFUSALS]
    server.fault = lambda path, number: left.pop() if path == "/log-request" and left else None
    store, _ = stored(tmp_path, 8)
    until_done(store)
    assert left == []
    assert set(states(store)) == {"sent"}
    all_there_once(server, 8)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in REFUSALS])
def test_every_fault_of_everything(server: ContractServer, tmp_path: Path, fault: Fault) -> None:
    """The first call of every path goes wrong."""
    server.fault = lambda path, number: None if server.calls[path] else fault
    store, _ = stored(tmp_path, 1, EVERYTHING)
    until_done(store)
    assert set(states(store)) == {"sent"}
    all_there_once(server, 1, tables=1)


def test_a_refused_letter_is_kept_and_sent_again_when_asked(server: ContractServer, tmp_path: Path) -> None:
    server.fault = lambda path, number: "redirect" if path == "/log-request" and not server.calls[path] else None
    store, _ = stored(tmp_path, 1, EVERYTHING)
    outbox = Outbox(store.file)
    assert drained(store).refused == 2
    (letter, what, why), (_, then, _) = outbox.refused()
    assert what.startswith("log run-")
    assert why.startswith("307")
    assert then.startswith("import run-"), "nothing of the run is there"
    assert states(store)["skipped"] == 2, "the request can join no group, the sheet has no score"
    assert outbox.purge(["sent"]) == 0, "what was sent is needed as long as something is not"
    assert outbox.retry(letter[:8]) == 1
    assert outbox.retry() == 1
    assert drained(store).refused == 0
    assert set(states(store)) == {"sent"}
    all_there_once(server, 1, tables=1)
    assert outbox.purge(["sent"]) > 0
    assert states(store) == {"sent": 2}, "the sheets, which reports link to"


def test_retry_after_is_kept_to(server: ContractServer, tmp_path: Path) -> None:
    times: list[float] = []

    def fault(path: str, number: int) -> Fault | None:
        times.append(time.monotonic())
        return "429 and when" if number == 0 else None

    server.fault = fault
    store, _ = stored(tmp_path, 1)
    drained(store)
    all_there_once(server, 1)
    assert all(moment - times[0] < 0.5 or moment - times[0] > 1.0 for moment in times)


def test_a_wrong_key_is_said_once_and_nothing_is_lost(server: ContractServer, tmp_path: Path) -> None:
    store, _ = stored(tmp_path, 1)
    before = states(store)
    result = drained(store, key="pl_wrong")
    assert result.troubled
    assert result.stopped == "access is refused: 401 [key] is not a key"
    assert states(store) == before
    assert sum(server.calls.values()) <= 24, "one round"
    drained(store)
    all_there_once(server, 1)


def test_a_key_revoked_midway(server: ContractServer, tmp_path: Path) -> None:
    def fault(path: str, number: int) -> None:
        if number == 5:
            server.keys.clear()

    server.fault = fault
    store, _ = stored(tmp_path, 3)
    assert drained(store).stopped.startswith("access is refused: 401")
    assert set(states(store)) == {"pending", "sent"}
    server.keys.add("pl_new")
    drained(store, key="pl_new")
    all_there_once(server, 3)


def test_a_budget_is_never_exceeded(server: ContractServer, tmp_path: Path) -> None:
    store, _ = stored(tmp_path, 1)
    for budget in (1, 4, 30):
        calls = server.calls.total()
        result = drained(store, Limits(budget, 60.0, QUICK))
        assert server.calls.total() - calls == budget or not result.waiting
    all_there_once(server, 1)


@pytest.mark.slow
def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTLAYER_BASE_URL", "http://127.0.0.1:9")
    store, _ = stored(tmp_path, 1)
    result = drained(store)
    assert (result.sent, result.refused, result.stopped) == (0, 0, "nothing arrives: cannot connect")
    assert set(states(store)) == {"pending"}


@pytest.mark.parametrize("url", ["http://api.promptlayer.com", "api.promptlayer.com", "ftp://localhost"])
def test_a_key_is_sent_only_where_it_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PROMPTLAYER_BASE_URL", url)
    with pytest.raises(HarnessError, match="PROMPTLAYER_BASE_URL is"), connected(KEY, QUICK, 1):
        pass


def test_without_the_sdk_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "promptlayer", None)
    with pytest.raises(HarnessError, match=r"pip install 'secateur\[promptlayer\]'"), connected(KEY, QUICK, 1):
        pass


def test_what_the_sdk_did_before_it_does_again(server: ContractServer) -> None:
    from promptlayer.utils import _get_requests_session

    before = dict(_get_requests_session().adapters)
    with connected(KEY, QUICK, 1):
        assert dict(_get_requests_session().adapters) != before
    assert dict(_get_requests_session().adapters) == before


DRAIN = """
import sys
from pathlib import Path
from harness.telling.outbox import Limits, Pace, drain
from harness.telling.promptlayer import connected
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.outbox import Outbox
pace = Pace(0.3, 1.0, 1.5, settle_seconds=0.6)
with connected("pl_right", pace, 10_000) as client:
    drain(Outbox(DuckdbStore(Path(sys.argv[1])).file), "PROMPTLAYER_API_KEY", client, Limits(10_000, 60.0, pace))
"""


@pytest.mark.parametrize(
    ("cases", "calls"), [(2, 3), *(pytest.param(8, n, marks=pytest.mark.slow) for n in range(1, 45, 4))]
)
def test_sigkill_midway_loses_and_doubles_nothing(
    server: ContractServer, tmp_path: Path, cases: int, calls: int
) -> None:
    store, _ = stored(tmp_path, cases, EVERYTHING)
    process = subprocess.Popen([sys.executable, "-c", DRAIN, str(store.file.path)], cwd=ROOT)
    while server.calls.total() < calls and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert server.calls.total() >= calls
    until_done(store)
    assert set(states(store)) == {"sent"}
    all_there_once(server, cases, tables=1)


@pytest.mark.slow
def test_two_drains_at_once(server: ContractServer, tmp_path: Path) -> None:
    store, _ = stored(tmp_path, 40, EVERYTHING)
    command = [sys.executable, "-c", DRAIN, str(store.file.path)]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    until_done(store)
    all_there_once(server, 40, tables=1)


@pytest.mark.slow
@pytest.mark.parametrize("found", [{"items": [], "has_next": True}, {"id": None}, {"items": {}}])
def test_a_search_that_says_nothing_sends_nothing_twice(
    server: ContractServer, tmp_path: Path, found: dict[str, Any]
) -> None:
    server.fault = lambda path, number: "stored and dropped" if path == "/log-request" and number < 8 else None
    server.answer = lambda *call: (  # type: ignore[method-assign]
        (200, found) if "search" in call[1] else ContractServer.answer(server, *call)
    )
    store, _ = stored(tmp_path, 2)
    drained(store, Limits(100, 3.0, QUICK))
    assert server.calls["/log-request"] == len(server.logs) == 4
    assert states(store)["inflight"] > 0


@pytest.mark.slow
def test_five_thousand_requests_among_faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store, _ = stored(tmp_path, 2500, EVERYTHING)
    start = time.monotonic()
    with serving(faults(1, 0.1)) as server:
        monkeypatch.setenv("PROMPTLAYER_BASE_URL", server.url)
        until_done(store)
        assert set(states(store)) == {"sent"}
        all_there_once(server, 2500, tables=1)
        print(f"{server.calls.total()} calls, {time.monotonic() - start:.0f} s, {dict(server.calls)}")
    assert time.monotonic() - start < 600
