"""Data: the sources of a recipe -> training rows and held-out rows."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress.calibration.calibrate import embedded_tokens
from compress.errors import CompressError
from compress.progress import Progress, silent
from compress.training import prompts
from compress.training.encoding import Encoder, encoder
from compress.training.facts import SourceFacts
from compress.training.formats import Document
from compress.training.holding import Quota, parted, quotas
from compress.training.packing import Tokens, isolates, packed
from compress.training.pieces import in_turns
from compress.training.rows import Corpus
from compress.training.self_answers import BATCH, Ids, Sampling, answers
from compress.training.settings import Data, Source
from compress.training.sources import listing, refuse_mute


@dataclass(frozen=True)
class _Reader:
    """What all sources are read with."""

    encoder: Encoder
    original: PreTrainedModel
    seed: int
    window: int
    progress: Progress
    cache: Path | None
    pieces: bool
    precision: torch.dtype


@dataclass(frozen=True)
class _Drawn:
    """One document of a source, in drawn order."""

    text: str
    """What its checksum is taken over."""
    tokens: Tokens
    plain: bool = False
    """Text, of which a piece can be read alone; a dialogue cannot."""


@dataclass(frozen=True)
class _Part:
    """What one source gives."""

    held: list[Tokens]
    train: list[Tokens]
    facts: SourceFacts


def corpus(
    data: Data,
    tokenizer: PreTrainedTokenizerBase,
    original: PreTrainedModel,
    seed: int,
    progress: Progress = silent,
    cache: Path | None = None,
    precision: torch.dtype = torch.float32,
) -> Corpus:
    """Read, encode, hold out and pack; the same arguments give the same corpus.

    cache: a folder that keeps what the original answers (source self), which it does in this precision. A document that
    occurs twice is read once, so none is both trained on and held out. Raises CompressError on data that are
    unreadable, of another format, too few, or beyond the model's embedding.
    """
    longest = getattr(original.config, "max_position_embeddings", None)
    if longest is not None and data.window > longest:
        raise CompressError(f"training data: {data.window} tokens a window, but the model reads at most {longest}")
    encoded = encoder(tokenizer, original, data.response_only)
    reader = _Reader(encoded, original, seed, data.window, progress, cache, data.pieces, precision)
    seen = set[str]()
    parts = [_part(source, quota, reader, seen) for source, quota in zip(data.sources, quotas(data), strict=True)]
    train = [document for part in parts for document in part.train]
    held = [document for part in parts for document in part.held]
    _check(data, train, held)
    filler = reader.encoder.ends[0] if reader.encoder.ends else 0
    mixed = random.Random(seed).sample(train, len(train))
    together = isolates(original)
    rows = [packed(documents, data.window, filler, together) for documents in (mixed, held)]
    made = Corpus(rows[0], rows[1], tuple(part.facts for part in parts))
    _check_counted(made)
    return made


def _part(source: Source, quota: Quota, reader: _Reader, seen: set[str]) -> _Part:
    """seen: texts of the sources before; those of this one are added."""
    documents = _sound(_drawn(source, quota, reader), source, reader, seen)
    if reader.pieces:
        documents = _in_pieces(documents, quota, reader)
    what = "answering prompts" if source.source == "self" else f"reading {source.source}"
    pool: list[_Drawn] = []
    while True:
        held, train = parted([drawn.tokens for drawn in pool], quota)
        missing = quota.missing(held, train)
        reader.progress(what, quota.total - missing, quota.total)
        more = _taken(documents, missing, lambda left: reader.progress(what, quota.total - left, quota.total))
        if not more:
            break
        pool += more
    read = dict.fromkeys(drawn.text for drawn in pool)
    digest = hashlib.sha256("\0".join(read).encode(errors="surrogatepass")).hexdigest()
    facts = SourceFacts(source.source, digest, len(read), sum(map(len, train)))
    return _Part(held, train, facts)


def _taken(documents: Iterator[_Drawn], tokens: int, told: Callable[[int], None]) -> list[_Drawn]:
    """The next documents, until there are so many tokens. told: of the tokens that are still missing."""
    taken: list[_Drawn] = []
    while tokens > 0 and (drawn := next(documents, None)) is not None:
        taken.append(drawn)
        tokens -= len(drawn.tokens)
        told(max(1, tokens))
    return taken


def _sound(documents: Iterator[_Drawn], source: Source, reader: _Reader, seen: set[str]) -> Iterator[_Drawn]:
    """Each document that was not seen, once; refused if the model has no embedding for one of its tokens."""
    known = embedded_tokens(reader.original)
    for drawn in documents:
        if drawn.text in seen:
            continue
        seen.add(drawn.text)
        highest = max(drawn.tokens.ids, default=0)
        if highest >= known:
            raise CompressError(
                f"{source.source}: the tokenizer gives token {highest}, but the model knows only {known} tokens"
            )
        yield drawn


def _in_pieces(documents: Iterator[_Drawn], quota: Quota, reader: _Reader) -> Iterator[_Drawn]:
    """Plain texts in pieces of a row, in turns, after as many whole ones as are held out; dialogues as they are."""
    first = next(documents, None)
    if first is None:
        return
    if not first.plain:
        yield from chain([first], documents)
        return
    texts: list[str] = []

    def numbered() -> Iterator[Tokens]:
        for drawn in chain([first], documents):
            texts.append(drawn.text)
            yield replace(drawn.tokens, document=len(texts) - 1)

    found = numbered()
    whole = _first_whole(found, quota)
    for tokens in chain(whole, in_turns(found, reader.window, reader.seed)):
        assert tokens.document is not None
        yield _Drawn(texts[tokens.document], tokens)


def _first_whole(documents: Iterator[Tokens], quota: Quota) -> Iterator[Tokens]:
    """As many as `parted` holds out; the others are left in the iterator."""
    missing = max(quota.held, quota.floor)
    while missing > 0 and (document := next(documents, None)) is not None:
        missing -= min(len(document), quota.longest)
        yield document


def _drawn(source: Source, quota: Quota, reader: _Reader) -> Iterator[_Drawn]:
    return _answered(source, quota, reader) if source.source == "self" else _listed(source, reader)


def _listed(source: Source, reader: _Reader) -> Iterator[_Drawn]:
    found = listing(source)
    if source.file is not None:
        refuse_mute(source, found)
    for number in random.Random(reader.seed).sample(range(found.length), found.length):
        document = found.document(number)
        if document is None:
            continue
        try:
            yield _Drawn(_text(document), reader.encoder(document), plain=isinstance(document, str))
        except CompressError as error:
            raise CompressError(f"{found.place(number)}: {error}") from None


def _answered(source: Source, quota: Quota, reader: _Reader) -> Iterator[_Drawn]:
    """Prompts with the original's answers; together at most a window, of which a prompt may take half."""
    asked = prompts.asked(source, reader.seed)
    longest = reader.window // 2
    given = [(text, ids) for text in asked if 0 < len(ids := reader.encoder.prompt(text)) <= longest]
    if not given:
        raise CompressError(f"self: none of {len(asked)} prompts has at most {longest} tokens, half a window")
    likely = math.ceil(quota.total / longest)
    sampling = Sampling(
        reader.seed, reader.window, reader.encoder.ends, min(likely, BATCH), source.temperature, reader.precision
    )
    for place, answer in answers(reader.original, [ids for _, ids in given], sampling, reader.cache):
        text, prompt = given[place]
        yield _Drawn(f"{text}\0{answer}", _asked_and_said(prompt, answer, reader.encoder.response_only))


def _asked_and_said(prompt: Ids, answer: Ids, response_only: bool) -> Tokens:
    return Tokens(prompt + answer, (not response_only,) * len(prompt) + (True,) * len(answer))


def _text(document: Document) -> str:
    return document if isinstance(document, str) else "\0".join(f"{turn.role}\0{turn.content}" for turn in document)


def _check(data: Data, train: list[Tokens], held: list[Tokens]) -> None:
    needed, found = min(data.window, data.tokens), sum(map(len, train))
    names = ", ".join(source.source for source in data.sources)
    if not held:
        raise CompressError(
            f"{names}: one document at most, but one is to be held out; needs at least 2 different ones"
        )
    if found < needed:
        raise CompressError(
            f"{names}: too little to train on: need at least {needed} tokens, found {found} beside "
            f"{sum(map(len, held))} held out"
        )


def _check_counted(made: Corpus) -> None:
    for rows, what in ((made.train, "training"), (made.held_out, "held-out")):
        if not rows.tokens:
            raise CompressError(f"{what} data: nothing that the loss counts; are the answers empty, or the documents?")
