"""Encoding: documents -> token ids, and which of them the loss counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2.exceptions import TemplateError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress.errors import CompressError
from compress.training.formats import Document, Turn
from compress.training.packing import Tokens

HEADINGS = {"system": "### Setting", "user": "### Instruction", "assistant": "### Answer"}
"""Layout of a dialogue for a tokenizer without a chat template."""

Parts = list[tuple[str, bool]]
"""Pieces of a dialogue's text in order, and whether the assistant says them."""


@dataclass(frozen=True)
class Encoder:
    """A tokenizer, and what a model says when it has finished."""

    tokenizer: PreTrainedTokenizerBase
    ends: tuple[int, ...]
    """Token ids that end an answer; the first is added where a document has none. Empty: the model knows none."""
    response_only: bool

    def __call__(self, document: Document) -> Tokens:
        """Text: all counts. A dialogue: what the assistant says with its end token, or all without `response_only`.

        Raises CompressError if the chat template refuses the dialogue.
        """
        if isinstance(document, str):
            ids = (*self.beginning(), *self.ids(document), *self.ends[:1])
            return Tokens(ids, (True,) * len(ids))
        return self._spoken(self._parts(document))

    def ids(self, text: str) -> list[int]:
        """Of a piece of text; nothing is added."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return found

    def beginning(self) -> list[int]:
        """The beginning-of-text token, if the tokenizer sets one before every text by itself."""
        begin = self.tokenizer.bos_token_id
        usual = self.tokenizer("a", verbose=False)["input_ids"]
        return [begin] if begin is not None and usual[:1] == [begin] else []

    def prompt(self, text: str) -> tuple[int, ...]:
        """A question, up to where the assistant begins; the text as it is without a chat template."""
        if self.tokenizer.chat_template:
            return tuple(self.ids(self._rendered((Turn("user", text),), True)))
        return (*self.beginning(), *self.ids(text))

    def _spoken(self, parts: Parts) -> Tokens:
        ids: list[int] = []
        counted: list[bool] = []
        for place, (text, spoken) in enumerate(parts):
            new = self.ids(text)
            said = self._length(new) if spoken else 0
            if place == len(parts) - 1:
                new = new[:said] if said and new[said - 1] in self.ends else [*new, *self.ends[:1]]
                said = len(new)
            ids += new
            counted += [True] * said + [False] * (len(new) - said)
        return Tokens(tuple(ids), tuple(counted) if self.response_only else (True,) * len(ids))

    def _length(self, ids: Sequence[int]) -> int:
        """Up to and with the last end token; what a template sets behind it, the assistant does not say."""
        return next((place + 1 for place in reversed(range(len(ids))) if ids[place] in self.ends), len(ids))

    def _parts(self, turns: tuple[Turn, ...]) -> Parts:
        if not self.tokenizer.chat_template:
            return self._plain(turns)
        whole, parts, done = self._rendered(turns, False), [], 0
        for place, turn in enumerate(turns):
            if turn.role != "assistant":
                continue
            before, after = self._rendered(turns[:place], True), self._rendered(turns[: place + 1], False)
            if not (whole.startswith(after) and after.startswith(before) and len(before) >= done):
                # A template that writes earlier turns differently later on: only the last answer counts.
                return [(self._rendered(turns[:-1], True), False), (turns[-1].content, True)]
            parts += [(whole[done : len(before)], False), (whole[len(before) : len(after)], True)]
            done = len(after)
        return parts

    def _plain(self, turns: tuple[Turn, ...]) -> Parts:
        begin = self.tokenizer.decode(self.beginning())
        end = self.tokenizer.decode(list(self.ends[:1]))
        parts: Parts = [(str(begin), False)]
        for place, turn in enumerate(turns):
            said = turn.role == "assistant"
            gap = "\n\n" if place else ""
            parts += [(f"{gap}{HEADINGS[turn.role]}\n", False), (f"{turn.content}{end if said else ''}", said)]
        return parts

    def _rendered(self, turns: tuple[Turn, ...], asking: bool) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asking))
        except TemplateError as error:
            roles = ", ".join(turn.role for turn in turns)
            raise CompressError(f"the chat template refuses messages by {roles}: {error}") from None


def encoder(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, response_only: bool) -> Encoder:
    """Ends: the tokenizer's, then those of the model's generation config."""
    config = model.generation_config
    of_model = config.eos_token_id if config is not None else None
    more = of_model if isinstance(of_model, list) else [of_model]
    ends = dict.fromkeys(end for end in [tokenizer.eos_token_id, *more] if isinstance(end, int))
    return Encoder(tokenizer, tuple(ends), response_only)
