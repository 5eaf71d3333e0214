"""The text that fidelity is measured on, and its windows of tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.candidates.halves import in_first_half
from harness.digest import digest
from harness.errors import HarnessError
from harness.plan import Fidelity
from harness.search.form import Half

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BUILT_IN = Path(__file__).parent.parent / "tasks" / "heldout.jsonl"


@dataclass(frozen=True)
class Corpus:
    """Documents, and how much of them is looked at."""

    name: str
    documents: tuple[str, ...]
    window: int
    """Tokens in one window at most."""
    tokens: int
    """Tokens in all at most."""
    label: str = ""
    """What its metrics are told apart by; empty: it is the only one."""

    @cached_property
    def identity(self) -> str:
        """Equal for equal text cut in the same way, wherever it lies."""
        return digest("corpus", self.documents, self.window, self.tokens)


@dataclass(frozen=True)
class Window:
    """A piece of one document; every token but the first is predicted from those before it."""

    document: int
    number: int
    tokens: tuple[int, ...]

    @property
    def scored(self) -> int:
        """Tokens that are predicted."""
        return len(self.tokens) - 1

    @property
    def id(self) -> str:
        """Unique in its corpus."""
        return f"{self.document}/{self.number}"


def load_corpora(fidelity: Fidelity, half: Half | None = None) -> list[Corpus]:
    """The corpora of a plan, or of each the documents that are of this half.

    JSON lines hold a document each, in one field. A .txt file holds documents with blank lines between them, or if it
    has none, a document a line. Raises HarnessError with file and line.
    """
    return [_half(_loaded(fidelity, label, name), half) for label, name in fidelity.corpora.items()]


def _half(corpus: Corpus, half: Half | None) -> Corpus:
    if half is None:
        return corpus
    chosen = tuple(text for text in corpus.documents if in_first_half(text) == (half == "searched"))
    if not chosen:
        raise HarnessError(f"{corpus.name}: too few documents to part in halves: {len(corpus.documents)}")
    return replace(corpus, documents=chosen)


def _loaded(fidelity: Fidelity, label: str, name: str) -> Corpus:
    path = BUILT_IN if name == "builtin" else Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"{path}: the fidelity corpus cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    if path.suffix == ".txt":
        documents = _paragraphs(text)
    elif path.suffix == ".jsonl":
        lines = enumerate(text.split("\n"), 1)
        documents = [_field(line, fidelity.field, f"{path}:{number}") for number, line in lines if line.strip()]
    else:
        raise HarnessError(f"{path}: a fidelity corpus is a .txt or a .jsonl file, or builtin")
    documents = [document for document in documents if document.strip()]
    if not documents:
        raise HarnessError(f"{path}: no text in it")
    return Corpus(name, tuple(documents), fidelity.window, fidelity.tokens, label)


def windows(corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> list[Window]:
    """The first windows of the corpus; none crosses a document, and each starts anew, with the beginning token
    if the tokenizer sets one before a text.

    Raises HarnessError if nothing is left to predict.
    """
    start = _beginning(tokenizer)
    cut: list[Window] = []
    left = corpus.tokens
    for number, document in enumerate(corpus.documents):
        tokens = tokenizer.encode(document, add_special_tokens=False)
        for index, piece in enumerate(_pieces(tokens[:left], corpus.window - len(start))):
            left -= len(piece)
            if len(start) + len(piece) > 1:
                cut.append(Window(number, index, (*start, *piece)))
        if left <= 0:
            break
    if not cut:
        raise HarnessError(f"{corpus.name}: no window of two tokens or more")
    return cut


def _pieces(tokens: Sequence[int], length: int) -> list[Sequence[int]]:
    return [tokens[start : start + length] for start in range(0, len(tokens), length)]


def _beginning(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The beginning token, if `encode` itself sets it before a text."""
    first = tokenizer.encode("a")[:1]
    return tuple(first) if first == [tokenizer.bos_token_id] else ()


def _paragraphs(text: str) -> list[str]:
    blocks = [block.strip() for block in text.replace("\r\n", "\n").split("\n\n")]
    return blocks if len(blocks) > 1 else text.splitlines()


def _field(line: str, field: str, where: str) -> str:
    """The text of one line of JSON."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise HarnessError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get(field), str):
        has = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise HarnessError(f"{where}: no text in field {field!r}; the line has: {has}")
    return str(row[field])
