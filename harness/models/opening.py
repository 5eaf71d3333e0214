"""ModelSpec -> an open model with its tokenizer, whatever the source."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.digest import digest
from harness.endpoints.keys import key_of
from harness.errors import HarnessError
from harness.models import embedded
from harness.models.batching import Batching
from harness.models.fingerprint import MISSED, PATTERNS, identity
from harness.models.placement import found_device, input_device, refuse_unsupported, spread, told
from harness.models.sparse import sparse_
from harness.progress import Progress, silent
from harness.records import ModelSpec

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

INT8 = "int8"
"""The dtype whose model is opened in float32 and rounded then."""
DTYPES = ("float32", "bfloat16", "float16", INT8)
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
NO_TEMPLATE = "none: the messages of a prompt are joined by blank lines"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to answer: in evaluation mode, on its device, with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    spec: ModelSpec
    fingerprint: str
    device: str
    sources: tuple[Path, ...] = ()
    """Where it was read from: a folder or .gguf file, then the adapter's folder if there is one."""
    facts: dict[str, str] = field(default_factory=dict)
    """What a reader of its results should know."""
    batching: Batching = field(default_factory=Batching)


def open_spec(spec: ModelSpec, progress: Progress = silent, plain: bool = False) -> LoadedModel:
    """Open the model that `spec` names; remote code is never run and pickled weights are never read.

    A hub id is brought into the hub's own cache first and then opened like any folder. plain: its weights are as they
    are stored, to be cut, and not in the form that sparse kernels want.
    Raises HarnessError or CompressError, one line, for every source that cannot be opened.
    """
    if spec.dtype not in DTYPES:
        raise HarnessError(f"{spec.source}: dtype '{spec.dtype}' is not known; allowed: {', '.join(DTYPES)}")
    device = found_device()
    if spec.dtype == INT8 and device != "cpu":
        raise HarnessError(f"{spec.source}: dtype int8 is for the CPU, and models are on {device} here")
    source, adapter = located(spec, progress), _adapter(spec)
    what = f"opening {spec.source}"
    progress(what, 0, 2)
    model, tokenizer = _opened(source, spec)
    progress(what, 1, 2)
    placed = _placed_(model, spec, device)
    facts = placed | _facts(tokenizer, source)
    facts |= {} if plain else sparse_(model, source)
    facts |= {"fingerprint": f"of {MISSED}"} if spec.sampled else {}
    sources = (source,) if adapter is None else (source, adapter)
    fingerprint = identity(sources, spec.dtype, spec.sampled)
    progress(what, 2, 2)
    return LoadedModel(model, tokenizer, spec, fingerprint, placed["device"], sources, facts)


def located(spec: ModelSpec, progress: Progress = silent) -> Path:
    """The folder or .gguf file of a spec, brought here first if it is elsewhere; no weight is loaded."""
    path = Path(spec.source).expanduser()
    if spec.source == embedded.NAME:
        return embedded.bring(progress=progress)
    if path.suffix == ".gguf" or path.exists():
        if not path.exists():
            raise HarnessError(f"{spec.source}: no such file")
        return path
    if not HUB_ID.fullmatch(spec.source):
        raise HarnessError(
            f"{spec.source}: no such folder (a model is a folder, a .gguf file, a hub id, {embedded.NAME})"
        )
    return _from_hub(spec)


def refuse_missing(spec: ModelSpec) -> None:
    """Raise HarnessError if the spec names a path where no model can be; nothing is opened, nobody is asked."""
    if spec.endpoint is not None:
        key_of(spec.endpoint)
        return
    path = Path(spec.source).expanduser()
    if not path.is_dir():
        if spec.source != embedded.NAME and not HUB_ID.fullmatch(spec.source) and not path.is_file():
            raise HarnessError(f"{spec.source}: no such folder or file")
    elif not (path / "config.json").is_file():
        raise HarnessError(f"{spec.source}: no config.json, so this is not a model folder")
    elif not any(path.glob("*.safetensors")):
        raise HarnessError(f"{spec.source}: no weights: looked for *.safetensors (pickles are never read)")
    if spec.engine == "vllm":
        from harness.endpoints import refuse_unreadable

        refuse_unreadable(spec, path)
    adapter = _adapter(spec)
    if adapter is not None and not (adapter / "adapter_config.json").is_file():
        raise HarnessError(f"{spec.adapter}: no adapter_config.json, so this is not an adapter folder")


def fingerprint_of(spec: ModelSpec, progress: Progress = silent) -> str:
    """The fingerprint that `open_spec` would give, without loading the model; of an endpoint, what it is called."""
    if spec.endpoint is not None:
        return digest("endpoint", spec.endpoint.url, spec.endpoint.model, spec.revision)
    source, adapter = located(spec, progress), _adapter(spec)
    return identity((source,) if adapter is None else (source, adapter), spec.dtype, spec.sampled)


def _adapter(spec: ModelSpec) -> Path | None:
    return None if spec.adapter is None else Path(spec.adapter).expanduser()


def _from_hub(spec: ModelSpec) -> Path:
    from huggingface_hub import constants, snapshot_download

    try:
        return Path(snapshot_download(spec.source, revision=spec.revision, allow_patterns=list(PATTERNS)))
    except (OSError, ValueError) as error:
        reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else type(error).__name__
        revision = f" (revision {spec.revision})" if spec.revision else ""
        raise HarnessError(
            f"{spec.source}{revision}: neither a folder here nor a model that can be had from the hub ({reason})"
        ) from error


def _opened(source: Path, spec: ModelSpec) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """With its adapter merged; on the CPU, or spread."""
    import torch

    from compress import open_model
    from harness.models.gguf_file import open_gguf
    from harness.quiet import quiet

    dtype = torch.float32 if spec.dtype == INT8 else getattr(torch, spec.dtype)
    with quiet():
        if spec.device_map is not None:
            model, tokenizer = spread(source, spec, dtype), open_tokenizer(source)
        elif source.is_file():
            model, tokenizer = open_gguf(source, dtype)
        else:
            _refuse_pickle(source)
            model, tokenizer = open_model(source, dtype), open_tokenizer(source)
    adapter = _adapter(spec)
    if adapter is not None:
        from compress.adapters import merged

        model = merged(model, adapter)
    return model, tokenizer


def _placed_(model: PreTrainedModel, spec: ModelSpec, device: str) -> dict[str, str]:
    """Round a model if wanted, and put it on its device; returns what a reader should know, `device` at least."""
    if spec.device_map is not None:
        return {"device": str(input_device(model)), "device_map": told(model)}
    facts = {"device": device}
    if spec.dtype == INT8:
        from harness.models.int8 import quantise_

        facts[INT8] = quantise_(model, spec.source)
    module: torch.nn.Module = model
    module.to(device).eval()
    if device == "mps":
        refuse_unsupported(model, spec.source)
    return facts


def _refuse_pickle(folder: Path) -> None:
    pickled = next(folder.glob("pytorch_model*.bin"), None)
    if pickled is not None and not any(folder.glob("*.safetensors")):
        raise HarnessError(f"{folder}: {pickled.name} is a pickle, which is never read; save the model as safetensors")


def open_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder. Raises HarnessError if there is none, or it is damaged."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise HarnessError(f"{folder}: no tokenizer: looked for {', '.join(TOKENIZER_FILES)}")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # tokenizers raises bare Exception for a damaged tokenizer.json
        raise HarnessError(f"{folder}: the tokenizer cannot be opened: {' '.join(str(error).split())}") from error
    return tokenizer


def _facts(tokenizer: PreTrainedTokenizerBase, source: Path) -> dict[str, str]:
    facts = {"chat template": "of the model" if tokenizer.chat_template else NO_TEMPLATE}
    if source.is_file():
        facts["weights"] = "dequantised from GGUF; the tokenizer is rebuilt from the same file"
    return facts
