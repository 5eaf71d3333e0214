"""Two real servers on loopback say over HTTP what the same weights say in process: transformers' own, and llama.cpp."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.answering.generation import Prompt, answers
from harness.endpoints import Connection, EndpointError, continued, refuse_unable, served_answers
from harness.errors import HarnessError
from harness.models import embedded
from harness.models.opening import LoadedModel, open_spec
from harness.records import Answer, Endpoint, ModelSpec

QUESTIONS = [
    "What is the capital of France?",
    "What is 12 + 30?",
    "Name three fruits.",
    "Say hello in French.",
    "Which is larger, the moon or the sun?",
    "Write a line about rain.",
]
NO_SCORES = "does not serve log-likelihoods, which are completions with echo and logprobs: no log-probabilities"


def prompts(new_tokens: int) -> list[Prompt]:
    return [Prompt(text, [{"role": "user", "content": text}], new_tokens) for text in QUESTIONS]


def same_answers(endpoint: Endpoint, loaded: LoadedModel, new_tokens: int) -> None:
    """Text, end and counts of tokens, asked all at once."""
    here: list[Answer] = []
    there: list[Answer] = []
    answers(loaded, prompts(new_tokens), here.extend)
    served_answers(Connection(endpoint), prompts(new_tokens), there.extend)
    ours, theirs = (
        {a.case: (a.text, a.finish, a.prompt_tokens, a.new_tokens, a.error) for a in found} for found in (here, there)
    )
    assert theirs == ours


@contextmanager
def transformers_serve(folder: Path) -> Iterator[Endpoint]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(folder), "--port", str(port)]
    process = subprocess.Popen([*command, "--device", "cpu", "--host", "127.0.0.1"], stderr=subprocess.DEVNULL)
    endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", str(folder))
    try:
        for _ in range(60):
            try:
                refuse_unable(endpoint, {"chat"})
                break
            except EndpointError:
                time.sleep(1)
        yield endpoint
    finally:
        process.kill()
        process.wait()


@contextmanager
def llama_cpp(file: Path) -> Iterator[Endpoint]:
    library = pytest.importorskip("xllamacpp")
    parameters = library.CommonParams()
    parameters.model.path = str(file)
    parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = 2048, 2, 1
    parameters.cache_type_k = parameters.cache_type_v = library.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.warmup, parameters.verbosity = False, -1
    server = library.Server(parameters)
    yield Endpoint(f"{server.listening_address}/v1", "any")
    del server


@pytest.mark.slow
def test_transformers_serve_answers_as_in_process(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    tiny(3).model.save_pretrained(tmp_path)
    tiny(3).tokenizer.save_pretrained(tmp_path)
    loaded = open_spec(ModelSpec("tiny", str(tmp_path)))
    with transformers_serve(tmp_path) as endpoint:
        same_answers(endpoint, loaded, 9)
        whole = continued(Connection(endpoint), "One, two", (), 12)
        assert continued(Connection(endpoint), "One, two", (whole[3:5],), 12) == whole.partition(whole[3:5])[0] != whole
        with pytest.raises(HarnessError, match=NO_SCORES):
            refuse_unable(endpoint, {"multiple_choice"})
        with pytest.raises(HarnessError, match="does not serve chat completions: status 400: Server is pinned to"):
            refuse_unable(Endpoint(endpoint.url, "other"), {"chat"})


@pytest.mark.slow
def test_llama_cpp_answers_as_in_process(tmp_path: Path) -> None:
    from compress.exports import make

    loaded = open_spec(ModelSpec("original", embedded.NAME))
    make("gguf").write(loaded.model, loaded.tokenizer, tmp_path / "m.gguf", None)
    with llama_cpp(tmp_path / "m.gguf") as endpoint:
        same_answers(endpoint, loaded, 24)
        assert continued(Connection(endpoint), "The capital of France is", ("\n", "."), 12) == " Paris"
        with pytest.raises(HarnessError, match=NO_SCORES):
            refuse_unable(endpoint, {"multiple_choice"})
        long = [Prompt("long", [{"role": "user", "content": "word " * 4000}], 4)]
        found: list[Answer] = []
        served_answers(Connection(endpoint), long, found.extend)
        assert "exceeds the available context size" in str(found[0].error)
