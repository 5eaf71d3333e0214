"""Our engine behind lm-eval's model interface: ScoringLM(loaded) goes wherever lm-eval takes an LM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jinja2
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window, simple_parse_args_string

from harness.answering.decoding import written
from harness.answering.rows import Row
from harness.digest import digest
from harness.errors import HarnessError
from harness.models.opening import LoadedModel, open_spec
from harness.progress import Progress, named, silent
from harness.records import ModelSpec
from harness.scoring import Request, Score, context_length, loglikelihoods

DEFAULT_NEW_TOKENS = 256
"""Where a task does not say, as in lm-eval."""
MODEL_ARGUMENTS = ("pretrained", "adapter", "revision", "dtype")
GENERATION_OPTIONS = {"until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k"}


@dataclass(frozen=True)
class _Prompt:
    """One text to continue, and how."""

    tokens: tuple[int, ...]
    until: tuple[str, ...]
    new_tokens: int
    cut: bool
    """Whether its first tokens were left out."""


class Memory(Protocol):
    """Where scores are kept as they come, so that an interrupted benchmark goes on."""

    def known(self) -> dict[str, tuple[float, bool]]:
        """Hash of a request -> (log-likelihood, greedy)."""
        ...

    def keep(self, scores: dict[str, tuple[float, bool]]) -> None: ...


class ScoringLM(TemplateLM):  # type: ignore[misc]
    """Text in, scores or text out; splitting into context and continuation is lm-eval's own."""

    def __init__(
        self,
        loaded: LoadedModel,
        progress: Progress = silent,
        what: str = "benchmark",
        memory: Memory | None = None,
    ) -> None:
        super().__init__()
        self.memory = memory
        self.loaded = loaded
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.fingerprint = loaded.fingerprint
        self.progress = progress
        self.what = what
        self.notes: list[str] = []
        self.cuts: list[str] = []
        """What did not fit the model's context, a line each time it was asked something."""
        self._prefix = str(loaded.tokenizer.decode([self.prefix_token_id]))

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
    ) -> ScoringLM:
        """For lm-eval's own command line: `pretrained`, and `adapter`, `revision`, `dtype` if wanted.

        Its batch sizes are not used, for ours change no score. Its device is "cuda:0" unless told, GPU or not, so only
        a wish for another than ours is refused.
        """
        given = {name: str(value) for name, value in arg_dict.items()}
        if unknown := given.keys() - MODEL_ARGUMENTS:
            raise HarnessError(f"model argument {min(unknown)!r}; allowed: {', '.join(MODEL_ARGUMENTS)}")
        if "pretrained" not in given:
            raise HarnessError("give the model: --model_args pretrained=FOLDER or a hub id")
        chosen = given.get("revision"), given.get("adapter"), given.get("dtype", ModelSpec.dtype)
        loaded = open_spec(ModelSpec("model", given["pretrained"], *chosen))
        device = (additional_config or {}).get("device")
        if device and loaded.device != "cpu" and not str(device).startswith(loaded.device):
            raise HarnessError(f"device {device!r}: the model is on {loaded.device}")
        return cls(loaded)

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: Mapping[str, Any] | None = None) -> ScoringLM:
        """The same from "pretrained=FOLDER,dtype=float32"."""
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    @property
    def tokenizer_name(self) -> str:
        """Distinguishes models in lm-eval's request cache, should a caller turn that on."""
        return self.fingerprint

    @property
    def eot_token_id(self) -> int | None:
        """The token that ends a text."""
        return _token(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has no context: the beginning token, else the end token."""
        for token in (_token(self.tokenizer.bos_token_id), self.eot_token_id):
            if token is not None:
                return token
        raise HarnessError("the tokenizer has neither a beginning nor an end token")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None) -> list[int]:
        """With the tokenizer's special tokens unless told, or unless the text starts with the first of them."""
        if add_special_tokens is None and string.startswith(self._prefix):
            add_special_tokens = False
        if add_special_tokens is None:
            return list(self.tokenizer.encode(string))
        return list(self.tokenizer.encode(string, add_special_tokens=add_special_tokens))

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """(log-probability, greedy) of each continuation after its context."""
        return list(super().loglikelihood(requests, disable_tqdm=True))

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[object, list[int], list[int]]], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        """Each request: (texts, context ids, continuation ids)."""
        return self._score([Request(tuple(context), tuple(rest)) for _, context, rest in requests])

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        """Log-probability of each whole text, in windows of the model's context after one prefix token."""
        owners: list[int] = []
        windows: list[Request] = []
        for number, request in enumerate(requests):
            pairs = get_rolling_token_windows(
                self.tok_encode(request.args[0]), self.prefix_token_id, context_length(self.model), 1
            )
            for context, rest in map(make_disjoint_window, pairs):
                owners.append(number)
                windows.append(Request(tuple(context), tuple(rest)))
        totals = [0.0] * len(requests)
        for owner, score in zip(owners, self._score(windows), strict=True):
            totals[owner] += score[0]
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """Greedy continuations, cut at the first stop string."""
        prompts = [self._prompt(*request.args[:2]) for request in requests]
        if cut := sum(prompt.cut for prompt in prompts):
            self.cuts.append(
                f"{cut} of {len(prompts)} prompts left no room for an answer in the model's context, cut from the left"
            )
        rows = [Row(list(prompt.tokens), prompt.new_tokens) for prompt in prompts]
        texts: dict[int, str] = {}

        def enough(number: int, new: list[int]) -> bool:
            text = self.tokenizer.decode(new, skip_special_tokens=True)
            return any(end in text for end in prompts[number].until)

        for number, new, _, error in written(self.loaded, rows, enough):
            if error:
                raise HarnessError(f"{self.what}: {error}")
            text = str(self.tokenizer.decode(new, skip_special_tokens=True))
            texts[number] = postprocess_generated_text(text, list(prompts[number].until), None)
            self.progress(self.what, len(texts), len(requests))
        return [texts[number] for number in range(len(requests))]

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The history as the model's own template writes it; a template without a system role loses that message."""
        if not self.tokenizer.chat_template:
            raise HarnessError("the model has no chat template: set apply_chat_template to false for this benchmark")
        try:
            return self._templated(chat_history, add_generation_prompt)
        except jinja2.TemplateError:
            self.notes.append("the chat template takes no system message: dropped")
            rest = [message for message in chat_history if message["role"] != "system"]
            return self._templated(rest, add_generation_prompt)

    def _templated(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    def _score(self, requests: list[Request]) -> list[tuple[float, bool]]:
        """(log-likelihood, greedy) of each; those that the memory holds are not computed again."""
        keys = [digest(request.context, request.continuation) for request in requests]
        known = self.memory.known() if self.memory else {}
        missing = [index for index, key in enumerate(keys) if key not in known]

        def keep(scores: dict[int, Score]) -> None:
            found = {keys[missing[index]]: (score.logprob, score.greedy) for index, score in scores.items()}
            known.update(found)
            if self.memory:
                self.memory.keep(found)

        progress = named(self.progress, self.what)
        loglikelihoods(self.model, [requests[index] for index in missing], progress, keep, self.loaded.batching.packed)
        longest = context_length(self.model) + 1
        if cut := sum(len(request.context) + len(request.continuation) > longest for request in requests):
            self.cuts.append(f"{cut} of {len(requests)} rows were longer than the model's context, cut from the left")
        return [known[key] for key in keys]

    def _prompt(self, context: str, options: dict[str, Any]) -> _Prompt:
        until, new_tokens = greedy_settings(options, self.what)
        room = context_length(self.model) - new_tokens
        if room < 1:
            raise HarnessError(
                f"{self.what}: {new_tokens} new tokens do not fit the model's context of {context_length(self.model)}"
            )
        tokens = self.tok_encode(context)
        return _Prompt(tuple(tokens[-room:]), until, new_tokens, len(tokens) > room)


def greedy_settings(options: dict[str, Any], what: str) -> tuple[tuple[str, ...], int]:
    """Stop strings and most new tokens; refuses what is not greedy, and what we would have to ignore."""
    settings = dict(normalize_gen_kwargs(options, DEFAULT_NEW_TOKENS))
    if settings["do_sample"]:
        raise HarnessError(f"{what} samples its answers (do_sample, temperature): only greedy ones pair")
    if unknown := settings.keys() - GENERATION_OPTIONS:
        raise HarnessError(f"{what}: generation options {', '.join(sorted(unknown))} are not supported")
    return tuple(filter(None, settings["until"])), settings["max_gen_toks"]


def _token(value: object) -> int | None:
    """transformers types a special token's id as anything; an int is one, 0 too."""
    return value if isinstance(value, int) else None
