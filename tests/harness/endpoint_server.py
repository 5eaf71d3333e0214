"""An OpenAI-compatible server on loopback: answers as the tiny model does in process and, where asked, misbehaves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from harness.answering.generation import Prompt, answers
from harness.models.opening import LoadedModel
from harness.records import Answer

Json = dict[str, Any]
Fault = tuple[int, bytes, dict[str, str]]
"""Status, body and headers to answer with; status 0: hang up without a word."""
KEY = "sk-loopback-0123456789"


def error(status: int, message: str = "no", **headers: str) -> Fault:
    """A fault in OpenAI's form; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, json.dumps({"error": {"message": message}}).encode(), named


@dataclass
class EndpointServer:
    """One model. `fault` is asked first, with the path, the body and how many requests came before."""

    loaded: LoadedModel
    fault: Callable[[str, Json, int], Fault | None] = lambda path, body, number: None
    scores: bool = True
    """Whether log-probabilities are served, or what asks for them is ignored."""
    key: str | None = None
    drip_seconds: float = 0.0
    """Between two bytes of a reply."""
    asked: list[Json] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    model: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def texts(self) -> list[str]:
        """What was asked in earnest: the last message or the prompt of each request, without the small ones."""
        return [text for body in self.asked if (text := body.get("prompt") or body["messages"][-1]["content"]) != "Hi"]

    def answer(self, path: str, body: Json) -> Json:
        with self.model:
            if path == "/v1/chat/completions":
                return self._chat(body)
            if body.get("echo") and self.scores:
                return self._scored(body["prompt"])
            return self._completed(body)

    def _chat(self, body: Json) -> Json:
        found: list[Answer] = []
        answers(self.loaded, [Prompt("one", body["messages"], body["max_tokens"])], found.extend)
        (one,) = found
        if one.text is None:
            raise ValueError(one.error)
        return {
            "choices": [{"message": {"role": "assistant", "content": one.text}, "finish_reason": one.finish}],
            "usage": {"prompt_tokens": one.prompt_tokens, "completion_tokens": one.new_tokens},
        }

    def _completed(self, body: Json) -> Json:
        inputs = self.loaded.tokenizer(body["prompt"], return_tensors="pt")
        output = self.loaded.model.generate(**inputs, do_sample=False, max_new_tokens=body["max_tokens"])
        new = output[0, inputs["input_ids"].shape[1] :]
        text = self.loaded.tokenizer.decode(new, skip_special_tokens=True)
        for end in body.get("stop", []):
            text = text[: text.find(end) + len(end)] if end in text else text
        usage = {"prompt_tokens": inputs["input_ids"].shape[1], "completion_tokens": len(new)}
        return {"choices": [{"text": text, "finish_reason": "length"}], "usage": usage}

    def _scored(self, prompt: str) -> Json:
        ids = self.loaded.tokenizer(prompt)["input_ids"]
        with torch.no_grad():
            logits = self.loaded.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        ids.append(int(logits[-1].argmax()))
        names = [self.loaded.tokenizer.decode([token]) for token in ids]
        chosen = [None, *(logits[place, token].item() for place, token in enumerate(ids[1:]))]
        best: list[Json | None] = [None]
        for place, token in enumerate(ids[1:]):
            most = int(logits[place].argmax())
            best.append({str(token): chosen[place + 1], str(most): logits[place, most].item()})
        columns = {"tokens": names, "token_logprobs": chosen, "top_logprobs": best}
        usage = {"prompt_tokens": len(ids) - 1, "completion_tokens": 1}
        return {"choices": [{"text": prompt, "logprobs": columns, "finish_reason": "length"}], "usage": usage}


@contextmanager
def serving(server: EndpointServer) -> Iterator[EndpointServer]:
    """The server at `server.url`, in threads of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with server.lock:
                number = len(server.asked)
                server.asked.append(body)
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self._reply(*self._found(body, number))
            finally:
                with server.lock:
                    server.at_once -= 1

        def _found(self, body: Json, number: int) -> Fault:
            if server.key and self.headers.get("authorization") != f"Bearer {server.key}":
                return error(401, f"wrong key {self.headers.get('authorization')}")
            if fault := server.fault(self.path, body, number):
                return fault
            try:
                return 200, json.dumps(server.answer(self.path, body)).encode(), {}
            except ValueError as why:
                return error(400, str(why))

        def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if not server.drip_seconds:
                self.wfile.write(body)
                return
            for byte in body:
                time.sleep(server.drip_seconds)
                with suppress(OSError):
                    self.wfile.write(bytes([byte]))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def slowly(seconds: float) -> Callable[[str, Json, int], None]:
    """A fault that is none: the answer comes late."""

    def late(path: str, body: Json, number: int) -> None:
        time.sleep(seconds)

    return late
