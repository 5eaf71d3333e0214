"""Notices reach real local servers; what cannot be sent is one line without a secret, and changes nothing."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from harness.commands import entry
from harness.errors import HarnessError
from harness.notices import Notice, telling, webhook
from harness.notices.channels import Webhook, load_channels
from harness.notices.telling import told
from harness.notices.writing import written
from harness.schedules import Schedule, Turn
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.schedules import ScheduleTable

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
ROOT = Path(__file__).parents[2]
SECRET = "T0/B0/letters-nobody-may-see"
DUE = "2026-11-29 03:00 CET"
NOTICE = Notice("nightly", "p.yaml", ("REGRESSION", "DRIFT"), DUE, ("drop < 5 & > 4",), "j1", "/r.html")


class Hook(BaseHTTPRequestHandler):
    """Answers with the statuses it was given, then 200."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, dict(self.headers), json.loads(body)))  # type: ignore[attr-defined]
        statuses = self.server.statuses  # type: ignore[attr-defined]
        self.send_response(statuses.pop(0) if statuses else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.received, server.statuses = [], []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{server.server_port}/{SECRET}")
    monkeypatch.setattr(webhook, "PAUSES_SECONDS", (0.01, 0.01))
    yield server
    server.shutdown()
    server.server_close()


def channels(folder: Path, text: str) -> Path:
    path = folder / "notify.yaml"
    path.write_text(text)
    return path


def test_a_webhook_gets_what_slack_takes(
    hook: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "t")
    assert told(NOTICE, channels(tmp_path, "- webhook: {url_env: HOOK, token_env: TOKEN}")) == []
    ((path, headers, body),) = hook.received  # type: ignore[attr-defined]
    assert (path, headers["Authorization"], headers["Content-Type"]) == (f"/{SECRET}", "Bearer t", "application/json")
    lines = ["secateur nightly: REGRESSION, DRIFT", "drop &lt; 5 &amp; &gt; 4", f"due {DUE}; job j1; /r.html"]
    assert body == {"text": "\n".join(lines)}


@pytest.mark.parametrize(
    ("statuses", "posts", "said"),
    [
        ([503, 429], 3, []),
        ([500, 500, 500], 3, ["webhook HOOK was not told: the server answered 500"]),
        ([404], 1, ["webhook HOOK was not told: the server answered 404"]),
        ([302], 1, ["webhook HOOK was not told: the server answered 302"]),
    ],
)
def test_a_webhook_in_trouble(
    statuses: list[int], posts: int, said: list[str], hook: ThreadingHTTPServer, tmp_path: Path
) -> None:
    hook.statuses = statuses  # type: ignore[attr-defined]
    assert told(NOTICE, channels(tmp_path, "- webhook: {url_env: HOOK}")) == said
    assert len(hook.received) == posts  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (None, "the environment variable HOOK is not set"),
        (f"ftp://{SECRET}", "HOOK does not hold an http or https address"),
        (f"http://[{SECRET}", "HOOK does not hold an http or https address"),
        (f"http://127.0.0.1:9/{SECRET}", "the server does not answer"),
        (f"http://127.0.0.1:port/{SECRET}", "the server does not answer"),
    ],
)
def test_a_wrong_address_is_never_shown(address: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    if address:
        monkeypatch.setenv("HOOK", address)
    with pytest.raises(HarnessError) as caught:
        webhook.post(NOTICE, Webhook(url_env="HOOK"), lambda seconds: None)
    assert str(caught.value) == said


class Drip(socketserver.BaseRequestHandler):
    """Never comes to an end, and never stays silent for long."""

    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 200 OK\r\n")
        while not self.server.over.wait(0.05):  # type: ignore[attr-defined]
            self.request.sendall(b"X")


def test_a_server_that_drips_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip) as server:
        server.over = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{server.server_address[1]}/")
        monkeypatch.setattr(telling, "DEADLINE_SECONDS", 0.5)
        assert told(NOTICE, channels(tmp_path, "- webhook: {url_env: HOOK}")) == ["webhook HOOK: no end after 0 s"]
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()


class Inbox:
    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802
        self.mails.append(BytesParser().parsebytes(envelope.original_content))  # type: ignore[attr-defined]
        return "250 kept"


def knows(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
    right = (data.login, data.password) == (b"bot", b"sesame")  # type: ignore[attr-defined]
    return AuthResult(success=right, handled=False)


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    box = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    needs = {"authenticator": knows, "auth_require_tls": False, "auth_required": True}
    controller = Controller(box, hostname="127.0.0.1", port=port, **needs)
    controller.start()
    yield box, port
    controller.stop()


MAIL = """\
- mail:
    server: 127.0.0.1
    port: {port}
    security: {security}
    user: bot
    password_env: MAIL_PASSWORD
    sender: secateur@example.org
    to: [team@example.org, lead@example.org]
"""


def test_mail_reaches_a_server(inbox: tuple[Inbox, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box, port = inbox
    monkeypatch.setenv("MAIL_PASSWORD", "sesame")
    assert told(NOTICE, channels(tmp_path, MAIL.format(port=port, security="none"))) == []
    (mail,) = box.mails
    assert mail["Subject"] == "secateur nightly: REGRESSION, DRIFT"
    assert mail["To"] == "team@example.org, lead@example.org"
    assert mail.get_payload().splitlines() == NOTICE.text.splitlines()


@pytest.mark.parametrize(
    ("password", "security", "said"),
    [
        ("guess", "none", "127.0.0.1 answered 535"),
        ("geheim\u00e4", "none", "UnicodeEncodeError"),
        ("sesame", "starttls", "STARTTLS extension not supported"),
        ("sesame", "tls", "127.0.0.1:"),
    ],
)
def test_mail_that_is_refused(
    password: str, security: str, said: str, inbox: tuple[Inbox, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, port = inbox
    monkeypatch.setenv("MAIL_PASSWORD", password)
    (line,) = told(NOTICE, channels(tmp_path, MAIL.format(port=port, security=security)))
    assert line.startswith("mail to team@example.org, lead@example.org was not told: ")
    assert said in line
    assert password not in line
    assert box.mails == []


def test_a_program_gets_the_notice_as_json(tmp_path: Path) -> None:
    (tmp_path / "keep.py").write_text("import sys; open('kept.json', 'w').write(sys.stdin.read())")
    (tmp_path / "fail.py").write_text("import sys; sys.exit('out of paper')")
    text = "".join(f"- command: [{sys.executable}, {name}]\n" for name in ("keep.py", "fail.py"))
    (line,) = told(NOTICE, channels(tmp_path, text + "- {command: [./none], on: [PASS]}\n"))
    assert line == f"command {sys.executable} was not told: exit code 1: out of paper"
    kept = json.loads((tmp_path / "kept.json").read_text())
    assert (kept["occasions"], kept["job"], kept["text"]) == (["REGRESSION", "DRIFT"], "j1", NOTICE.text)


def test_the_channels_of_the_docs_are_right(tmp_path: Path) -> None:
    text = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "schedules.md").read_text(), re.DOTALL)[0]
    assert len(load_channels(channels(tmp_path, text))) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- webhook: {url: 'https://hooks.example.org/T0'}", "url"),
        ("- webhook: {url_env: 'https://hooks.example.org/T0'}", "url_env"),
        ("- mail: {server: s, sender: a@b, to: [c@d], password: x}", "password"),
        ("- mail: {server: s, sender: a@b, to: [c@d], user: x}", "give both 'user' and 'password_env'"),
        ('- mail: {server: s, sender: a@b, to: ["c@d\\nBcc: e@f"]}', "to[0]"),
        ("- {webhook: {url_env: A}, command: [b]}", "give exactly one of 'webhook', 'mail' and 'command'"),
        ("- {command: [b], on: [REGRESSIONS]}", "on[0]"),
    ],
)
def test_a_wrong_file_says_where(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError) as caught:
        load_channels(channels(tmp_path, text))
    assert said in str(caught.value)
    assert "notify.yaml:1: " in str(caught.value)


def test_what_a_turn_tells(nights: Callable[[Sequence[float], str], DuckdbStore], tmp_path: Path) -> None:
    """A night of drift, then one of PASS after a REGRESSION."""
    store = nights([0.8, 0.8, 0.7], "aab")
    assert entry(["baseline", "bless", "job0", "--name", "prod", "--out", str(tmp_path / "out")]) == 0
    table, moments = ScheduleTable(store.file), [datetime(2026, 11, day, 3, tzinfo=UTC) for day in (27, 28)]
    schedule = Schedule("nightly", "p.yaml", "0 3 * * *", "Europe/Berlin", 0, 0, None, moments[0])
    bad, good = (
        Turn("nightly", moment, "done", moment, moment, 1, code, job)
        for moment, code, job in zip(moments, (1, 0), ("job2", "job1"), strict=True)
    )
    table.save(bad)
    table.save(good)
    first = written(schedule, bad, table, tmp_path)
    assert first.occasions == ("REGRESSION", "DRIFT")
    assert first.lines == ("small: words.pass_rate: drift: worse than baseline prod (80.0 %) by 10.0 points",)
    assert first.due == "2026-11-27 04:00 CET"
    assert written(schedule, good, table, tmp_path).occasions == ("PASS", "RECOVERED")


def test_channels_can_be_tried(hook: ThreadingHTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = channels(tmp_path, "- webhook: {url_env: HOOK}\n- {command: [./none], on: [PASS]}\n")
    assert entry(["schedule", "notify", str(path)]) == 3
    assert capsys.readouterr().out.splitlines() == [
        "webhook HOOK was told; usually on REGRESSION, ERROR, DRIFT, RECOVERED",
        "command ./none was not told: cannot be started: No such file or directory",
    ]
