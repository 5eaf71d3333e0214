"""Raw facts about one model: what it is, what it answered, what was measured. Frozen, no behaviour.

This module knows nothing of the other model, of margins or of verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from suites.advice import Advice

Engine = Literal["transformers", "vllm"]
Scale = Literal["binary", "graded", "reading"]
"""binary: items are 0 or 1. graded: items are real numbers. reading: a meter, repeated in blocks or exact."""


SERVED = frozenset({"finish", "seconds"})
"""Facts of an answer, besides its text, that assertions are given where a model is served at an endpoint."""
GIVEN = SERVED | {"tokens", "logprobs", "divergences"}
"""The same for a model in process."""
ORIGINAL = "original"
"""The name of the model that every candidate is held against."""
DIGEST = "digest"
"""The fact of a suite's stage that says which cases were asked."""
DECODING = "decoding"
"""The fact of a suite's stage that says how answers are chosen, where it is not plain greedy."""
DRAWN = "drawn from"
"""The fact of a benchmark's stage that says of which documents it asked some."""
SPARSE = "sparse kernels"
"""The fact of a stage that says how much of a model with zeros among its weights was multiplied by what skips them."""
SIMULATED = "simulated sparsity"
"""The fact of a stage that says why nothing of such a model was."""

CUT = "cut"
"""The fact of a benchmark's stage that says how much of what it asked did not fit the model's context."""


@dataclass(frozen=True)
class Endpoint:
    """A model that an OpenAI-compatible server serves, and how to ask for it."""

    url: str
    """Up to the version, such as "http://localhost:8000/v1"; without credentials."""
    model: str
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is kept nowhere."""
    concurrency: int = 8
    """Requests under way at once."""
    timeout_seconds: float = 120.0
    """For one request."""


@dataclass(frozen=True)
class ModelSpec:
    """Enough to open a model again, or to ask it where it is served."""

    name: str
    """"original", or the candidate's name in the plan."""
    source: str
    """Hub id, folder, .gguf file, the embedded "smollm2-135m", or in words what is served where."""
    revision: str | None = None
    adapter: str | None = None
    dtype: str = "float32"
    """Empty: the endpoint's own."""
    endpoint: Endpoint | None = None
    """None: opened here; also where a run is read back from a store."""
    sampled: bool = False
    """Whether its fingerprint is of some of its weights, instead of all."""
    device_map: str | dict[str, int | str] | None = None
    """Over which devices its weights are spread: "auto", "balanced", or module -> device. None: they lie on one."""
    engine: Engine = "transformers"
    """What answers for it; whatever reads its weights opens it by transformers."""


@dataclass(frozen=True)
class Answer:
    """What a model said to one case of a suite."""

    case: str
    prompt: str
    """The text the model was sent, chat template applied."""
    text: str | None
    """None: not answered, and `error` says why."""
    finish: Literal["stop", "length", "error"]
    prompt_tokens: int
    new_tokens: int
    seconds: float
    error: str | None = None
    tokens: tuple[int, ...] | None = None
    """Of the text, without the one that ends it, in the model's own vocabulary; None: not known."""
    logprobs: tuple[float, ...] | None = None
    """Of these tokens, natural logarithms; None: not asked."""
    repeat: int = 0
    """How often the case was asked before, with other seeds."""


@dataclass(frozen=True)
class Item:
    """One document, window or block of a measurement: the unit that is paired between two models."""

    id: str
    hash: str
    """Of everything the model was shown; items pair only if their hashes are equal."""
    value: float
    cluster: str = ""
    """Items of one cluster are not independent of each other; empty: a cluster of its own."""
    weight: float = 1.0
    choices: tuple[float, ...] = ()
    """Log-likelihoods of the answers to choose from, in nats; empty: there are none, or they were not kept."""


@dataclass(frozen=True)
class Measurement:
    """A named number of one model, with the items it is the mean of."""

    metric: str
    """For example "arc_easy.acc", "fidelity.kl", "speed.decode"."""
    value: float
    unit: str
    higher_is_better: bool
    scale: Scale
    items: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Passage:
    """A stretch of a corpus in which a candidate is far from its original."""

    window: str
    """Document and window, such as "3/0"."""
    start: int
    """Predicted tokens of the window before it."""
    mean: float
    """KL divergence of the whole window, nats a token."""
    texts: tuple[str, ...]
    """Of each token; empty for one that is only part of a letter."""
    kl: tuple[float, ...]
    """Of each token, nats; 0 for the first, which only begins the stretch."""


@dataclass(frozen=True)
class Divergence:
    """How the KL divergences of single tokens lie between a candidate and its original on one corpus."""

    label: str
    """Of the corpus; empty: it is the only one."""
    edges: tuple[float, ...]
    """Lower ends of the histogram's bins, nats; the last bin has no upper end."""
    counts: tuple[int, ...]
    """Tokens in each bin."""
    percentiles: tuple[tuple[float, float], ...]
    """Share of the tokens, and the divergence that so many do not exceed."""
    passages: tuple[Passage, ...]
    """The worst windows, worst first, a few."""


@dataclass(frozen=True)
class AnswerDivergence:
    """How far a candidate is from its original where the original's answer to a case was written."""

    case: str
    repeat: int
    texts: tuple[str, ...]
    """Of each token; empty for one that is only part of a letter."""
    kl: tuple[float, ...]
    """Of each token, nats."""


@dataclass(frozen=True)
class Price:
    """In any currency; None: not charged by that."""

    per_hour: float | None = None
    input_tokens: float | None = None
    """A million of them."""
    output_tokens: float | None = None
    """A million of them."""

    @property
    def of_tokens(self) -> bool:
        return self.input_tokens is not None or self.output_tokens is not None


@dataclass(frozen=True)
class Run:
    """Everything measured on one model under one plan."""

    id: str
    model: ModelSpec
    fingerprint: str
    """Identity of weights, tokenizer, template and dtype."""
    answers: dict[str, tuple[Answer, ...]] = field(default_factory=dict)
    """Suite name -> answers, one a case and repeat."""
    measurements: dict[str, Measurement] = field(default_factory=dict)
    """Metric name -> measurement."""
    facts: dict[str, str] = field(default_factory=dict)
    """Provenance to show: versions, machine, dates, notes such as a dropped split."""
    divergences: tuple[Divergence, ...] = ()
    """From the original, one a corpus; none on an original, and in results from before they were kept."""
    spoken: dict[str, dict[tuple[str, int], AnswerDivergence]] = field(default_factory=dict)
    """Suite -> case and repeat -> how far it is from its original over the answer of that."""
    price: Price | None = None
    """What the job's plan says that models cost."""
    advice: dict[str, Advice] = field(default_factory=dict)
    """Id of a question -> what a judge or a model of embeddings replied about answers to suites."""
