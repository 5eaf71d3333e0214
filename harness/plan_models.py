"""The models of a plan, as its file names them: opened here, made here, or served at an endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from compress.recipe import Recipe
from harness.records import Endpoint, Engine, ModelSpec

DTYPE = "float32"
"""Of a model that is opened here, where the plan does not say."""
NO_ADDRESS = "not an address; give one like http://localhost:8000/v1"
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
DEVICE = re.compile(r"cpu|disk|mps|cuda:[0-9]+")
HOST = re.compile(r"[A-Za-z0-9._:-]+")
PATH = re.compile(r"[A-Za-z0-9._~%:@+/-]*")
OF_ENDPOINTS = ("api_key_env", "concurrency", "timeout")
OF_WEIGHTS = ("adapter", "dtype", "fingerprint", "device_map", "engine")

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")]
"""Text that is shown in terminals and reports: no control characters, one line."""
CandidateName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
"""Also the name of a folder."""


def _device(given: object) -> object:
    if type(given) is int and given >= 0:
        return given
    if isinstance(given, str) and DEVICE.fullmatch(given):
        return given
    raise ValueError("give cpu, disk, mps, cuda:0 or another GPU, or a GPU's number")


Device = Annotated[int | str, BeforeValidator(_device)]
"""A number is that of a GPU."""


class Part(BaseModel):
    """A piece of the plan: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Part):
    """Where a model is: here, or served at an endpoint."""

    model: Line | None = None
    """Hub id, folder, .gguf file or the embedded one; with an endpoint, the name it is served under."""
    revision: Line | None = None
    """With an endpoint: what its owner says is served there; while it stays the same, stored answers are used again."""
    adapter: str | None = None
    dtype: Literal["float32", "bfloat16", "float16", "int8"] | None = None
    """int8: rounded when opened. None: that of the original, so that nothing else differs."""
    fingerprint: Literal["full", "sampled"] | None = None
    """sampled: for huge files, of which only some is read to tell whether they changed. None: full."""
    device_map: Literal["auto", "balanced"] | Annotated[dict[str, Device], Field(min_length=1)] | None = None
    """Spreads its weights over devices, memory and disk: by itself, or each module where it says."""
    engine: Engine | None = None
    """What answers for it. None: what answers for the original; for the original itself, transformers."""
    endpoint: str | None = None
    """Address of an OpenAI-compatible server, up to the version."""
    api_key_env: str | None = None
    concurrency: int | None = Field(default=None, ge=1, le=256)
    timeout: float | None = Field(default=None, gt=0, le=3600)
    """Seconds for one request."""

    @field_validator("endpoint", "api_key_env", mode="before")
    @classmethod
    def _no_secret(cls, value: object, info: ValidationInfo) -> object:
        """What was given is repeated in no message: it may hold a password or be the key."""
        if value is None:
            return None
        return variable(value) if info.field_name == "api_key_env" else _address(value)

    @property
    def served(self) -> bool:
        """Whether it is asked over HTTP, wherever its server runs."""
        return self.endpoint is not None or self.engine == "vllm"

    @model_validator(mode="after")
    def _keys_go_together(self) -> Source:
        wrong, why = (OF_WEIGHTS, "not") if self.endpoint else (OF_ENDPOINTS, "only")
        if given := [repr(key) for key in wrong if getattr(self, key) is not None]:
            raise ValueError(f"{' and '.join(given)}: {why} with 'endpoint'")
        if self.device_map is not None and (self.adapter or self.dtype == "int8"):
            raise ValueError("'device_map' spreads weights as they lie: not with 'adapter' or 'dtype: int8'")
        return self

    @property
    def not_cut(self) -> str:
        """Why no recipe can cut this model; empty: one can."""
        if self.dtype == "int8":
            return "its dtype is int8"
        return "device_map spreads it" if self.device_map is not None else ""


class Model(Source):
    """A model that exists."""

    model: Line


class Embeddings(Part):
    """A model that texts are turned into vectors by."""

    model: Line
    """Hub id or folder."""
    revision: Line | None = None


class SuiteText(Part):
    """Suites, by name or file, that are learned from with the original's answers; of those that the plan asks, half."""

    suite: tuple[Line, ...] = Field(min_length=1)
    """One or several; a bare name is short for one."""

    @field_validator("suite", mode="before")
    @classmethod
    def _bare(cls, given: object) -> object:
        return [given] if isinstance(given, str) else given

    @field_validator("suite")
    @classmethod
    def _each_once(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({name for name in given if given.count(name) > 1}):
            raise ValueError(f"named twice: {', '.join(twice)}")
        return given


class SuiteCalibration(SuiteText):
    """The same as calibration text; what is not given stays as the recipe has it."""

    windows: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=2)


class SuiteData(SuiteText):
    """The same as training data."""

    beside: bool = False
    """Beside the data that the recipe names, and not in their place."""


class SuiteRecovery(Part):
    """What a recovery trains on."""

    data: SuiteData


class Candidate(Source):
    """A model to judge: made here from a recipe (name, file or inline), or one that exists."""

    recipe: str | Recipe | None = None
    calibration: SuiteCalibration | None = None
    """None: the recipe's own text."""
    recovery: SuiteRecovery | None = None
    """None: the recipe's own data."""
    severity: Literal["block", "warn"] = "block"
    """warn: measured, judged, shown and stored like any other, but no part of the job's decision and exit code."""
    stages: bool = False
    """Judge the model as it was after the cut, and with its adapters apart, too: as candidates that warn."""

    @model_validator(mode="after")
    def _one_source(self) -> Candidate:
        if (self.recipe is None) == (self.model is None):
            raise ValueError("give either 'recipe' (made here) or 'model' (already there)")
        if self.recipe is not None and (self.adapter or self.revision or self.endpoint or self.fingerprint):
            raise ValueError("'adapter', 'revision', 'endpoint' and 'fingerprint' go with 'model', not with 'recipe'")
        if self.recipe is None and self.stages:
            raise ValueError("'stages' goes with 'recipe', not with 'model', whose stages are not known")
        if self.recipe is None and self.learns:
            raise ValueError("'calibration' and 'recovery' go with 'recipe', not with 'model'")
        return self

    @property
    def learns(self) -> dict[str, tuple[str, ...]]:
        """What suites are read for, `calibration` or `recovery` -> the suites."""
        found = {"calibration": self.calibration, "recovery": self.recovery.data if self.recovery else None}
        return {purpose: text.suite for purpose, text in found.items() if text is not None}

    def learning(self, place: Callable[[str], str | None]) -> dict[str, SuiteCalibration | SuiteRecovery]:
        """`calibration` and `recovery`, where they are given, with their suites where `place` says."""
        found: dict[str, SuiteCalibration | SuiteRecovery] = {}
        placed = {purpose: {"suite": tuple(map(place, names))} for purpose, names in self.learns.items()}
        if self.calibration is not None:
            found["calibration"] = self.calibration.model_copy(update=placed["calibration"])
        if self.recovery is not None:
            data = self.recovery.data.model_copy(update=placed["recovery"])
            found["recovery"] = self.recovery.model_copy(update={"data": data})
        return found


def spec(name: str, model: Model | Candidate) -> ModelSpec:
    """The model of a plan's entry that is already there."""
    assert model.model is not None, "a candidate with a recipe is made first"
    if model.endpoint is None:
        how = ModelSpec(name, model.model, model.revision, model.adapter, model.dtype or DTYPE)
        sampled, engine = model.fingerprint == "sampled", model.engine or ModelSpec.engine
        return replace(how, sampled=sampled, device_map=model.device_map, engine=engine)
    concurrency, timeout = model.concurrency or Endpoint.concurrency, model.timeout or Endpoint.timeout_seconds
    endpoint = Endpoint(model.endpoint, model.model, model.api_key_env, concurrency, timeout)
    return ModelSpec(name, f"{model.model} at {model.endpoint}", model.revision, dtype="", endpoint=endpoint)


def variable(given: object) -> str:
    """The name of an environment variable. Raises ValueError, which does not repeat what was given."""
    if not isinstance(given, str) or not VARIABLE.fullmatch(given):
        raise ValueError("give the name of an environment variable, in capitals; never write here what it holds")
    return given


def _address(given: object) -> str:
    """The address in its one form, so that equal endpoints are equal text."""
    try:
        parts = urlsplit(str(given).strip())
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise ValueError(NO_ADDRESS) from error
    if parts.scheme not in ("http", "https") or not HOST.fullmatch(host) or not PATH.fullmatch(parts.path):
        raise ValueError(NO_ADDRESS)
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an address has no user, password, '?' or '#' here; a key goes by api_key_env: NAME")
    if parts.path.rstrip("/").endswith("/completions"):
        raise ValueError("give the address up to the version, like http://localhost:8000/v1")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path.rstrip('/')}"
