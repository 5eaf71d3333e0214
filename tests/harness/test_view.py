"""The site served to this machine: who may ask, for what, and what a run says of itself."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from harness.commands import entry
from harness.live.telling import told
from harness.progress import silent
from harness.schedules import utc_now
from harness.site.following import followed
from harness.site.serving import served
from harness.site.viewing import Viewed, pages, watch
from harness.stores.duckdb_store import DuckdbStore

Nights = Callable[[Sequence[float], str], DuckdbStore]


@dataclass(frozen=True)
class Asked:
    """An answer of the server."""

    status: int
    headers: dict[str, str]
    body: str


Ask = Callable[..., Asked]


def viewed(out: Path) -> Viewed:
    return Viewed(out, 0, silent, lambda line: pytest.fail(line))


@pytest.fixture
def ask(nights: Nights, tmp_path: Path) -> Iterator[Ask]:
    """A path, and more where it is unusual -> what the server of a drawn site says."""
    nights([0.8, 0.7], "ab")
    view = viewed(tmp_path / "out")
    view.refresh()
    with served(pages(view), 0) as address:
        port = urlsplit(address).port

        def asked(path: str, method: str = "GET", host: str = f"127.0.0.1:{port}") -> Asked:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", host)
            connection.endheaders()
            reply = connection.getresponse()
            return Asked(reply.status, dict(reply.getheaders()), reply.read().decode())

        yield asked


def test_pages_are_served_as_they_are_on_disk(ask: Ask, tmp_path: Path) -> None:
    index = ask("/")
    assert (index.status, index.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert index.body == (tmp_path / "out/site/index.html").read_text()
    assert "70.0 %" in ask("/jobs/job1.html?x=1").body
    assert index.headers["Cache-Control"] == "no-store"


OUTSIDE = (
    "/site.json", "/jobs", "/jobs/", "/../secateur.duckdb", "/jobs/../../secateur.duckdb", "/%2e%2e/secateur.duckdb",
    "//etc/passwd", "/jobs/..%2findex.html", "/nothing.html", "/jobs/job1.html/", "/progress.json", "/index.html%00",
)  # fmt: skip


def test_nothing_else_is_served_and_only_to_who_asks_for_this_address(ask: Ask) -> None:
    assert {path: ask(path).status for path in OUTSIDE} == dict.fromkeys(OUTSIDE, 404)
    for host in ("evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:80", ""):
        assert ask("/", host=host).status == 403
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert ask("/", method=method).status == 501


def test_what_a_run_says_is_served(ask: Ask, tmp_path: Path) -> None:
    assert json.loads(ask("/live.json").body)["plan"] == ""
    with told(tmp_path / "out", "nightly", silent) as telling:
        telling("original: smoke, 50.0 % right", 2, 8)
    reply = ask("/live.json")
    assert (reply.headers["Content-Type"], json.loads(reply.body)["plan"]) == ("application/json", "nightly")


def test_a_run_is_told_of_while_it_goes_on_and_after(tmp_path: Path) -> None:
    with told(tmp_path, "night\u202ely", silent) as telling:
        telling("original: smoke, 50.0 % right", 2, 8)
        while not (tmp_path / "progress.json").is_file():
            pass
        going = followed(tmp_path, utc_now)
        telling("original: smoke, 60.0 % right", 8, 8)
        telling.ended("ab12", 1)
    assert (going["line"], going["plan"]) == ("It is going on.", "night⟨U+202E⟩ly")
    assert isinstance(going["now"], dict)
    assert (going["now"]["how"], going["now"]["done"]) == ("smoke, 50.0 % right", 2)
    ended = followed(tmp_path, utc_now)
    assert (ended["line"], ended["file"], ended["now"]) == ("It has ended: REGRESSION.", "jobs/ab12.html", None)


def test_pages_follow_the_store(nights: Nights, tmp_path: Path) -> None:
    store, view = nights([0.8], "a"), viewed(tmp_path / "out")
    rounds: list[bool] = []

    def sleep(_: float) -> None:
        rounds.append((view.folder / "jobs/job0.html").is_file())
        if len(rounds) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(view, sleep)
    assert rounds == [True, True, True]
    # Nothing is open: another process may write at once.
    store.file.execute("UPDATE verdicts SET reason = 'x'", [])


def test_without_a_store_the_live_page_is_there(tmp_path: Path) -> None:
    page = pages(viewed(tmp_path))
    for path in ("", "index.html", "live.html"):
        reply = page(path)
        assert reply is not None
        assert "What runs now" in reply.body.decode()
    assert page("jobs/x.html") is None


def test_the_command_serves_until_it_is_stopped(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nights([0.8], "a")
    opened: list[str] = []
    found: list[int] = []

    def stopped(view: Viewed) -> None:
        view.refresh()
        found.append(httpx.get(opened[0], timeout=10).status_code)
        raise KeyboardInterrupt

    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("harness.site.viewing.watch", stopped)
    assert entry(["view", "--out", str(tmp_path / "out"), "--quiet"]) == 0
    address, ended = capsys.readouterr().out.splitlines()
    assert address == f"{opened[0]} (Ctrl-C ends it)"
    assert (found, ended) == ([200], "ended")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "nowhere"], "no results folder nowhere"),
        (["--port", "{taken}", "--out", "."], "cannot serve on port"),
    ],
)
def test_what_cannot_be_served_is_a_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert entry(["view", "--no-open", *(word.replace("{taken}", port) for word in arguments)]) == 3
    assert said in capsys.readouterr().err
