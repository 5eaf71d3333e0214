"""Training data: sources and formats, what the loss counts, packing, what is held out, the original's answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from compress.errors import CompressError
from compress.text_files import texts
from compress.training import prompts
from compress.training.data import corpus
from compress.training.encoding import Encoder
from compress.training.formats import Turn
from compress.training.packing import Tokens, isolates, packed
from compress.training.pieces import in_turns
from compress.training.rows import Corpus, Rows
from compress.training.self_answers import Sampling, answers, drawn, sampled
from compress.training.settings import Data, Source
from compress.training.sources import listing

ROOT = Path(__file__).parents[2]
END = 256
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def written(path: Path, rows: list[object]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def read(source: str, **more: object) -> list[object]:
    found = listing(Source(source=source, **more))
    return [found.document(number) for number in range(found.length)]


def documents(rows: Rows, tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """What rows hold, fillers left out; a cut document goes on in the next row."""
    return [text for text in str(tokenizer.decode(rows.ids.flatten())).split("<end>") if text]


def same(one: Corpus, other: Corpus) -> bool:
    parts = [
        torch.equal(getattr(a, name), getattr(b, name))
        for a, b in ((one.train, other.train), (one.held_out, other.held_out))
        for name in ("ids", "positions", "counted")
    ]
    return all(parts) and one.facts == other.facts


@pytest.fixture
def model(make_model):
    return make_model()


@pytest.fixture
def chat(tokenizer: PreTrainedTokenizerFast) -> Encoder:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<end>")
    tokenizer.chat_template = TEMPLATE
    return Encoder(tokenizer, (END,), True)


def counted(encoder: Encoder, tokens: Tokens) -> str:
    return str(encoder.tokenizer.decode([i for i, c in zip(tokens.ids, tokens.counted, strict=True) if c]))


DIALOGUE = (Turn("user", "Hi"), Turn("assistant", "Ho"), Turn("user", "Sum"), Turn("assistant", "12"))


# --- sources and formats


def test_text_files_are_parted_at_blank_lines_or_else_at_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_text("a\nb\n \n\nc\n")
    assert texts(file, "text") == ["a\nb", "c"]
    file.write_text("a\nb\nc\n")
    assert texts(file, "text") == ["a", "b", "c"]


ALPACA = {"instruction": "Add.", "input": "1 and 2", "output": "3", "text": "all of it"}
DOLLY = {"instruction": "Add.", "context": None, "response": "3", "category": "x"}
SHARE = {
    "conversations": [
        {"from": "gpt", "value": "Yes?"},
        {"from": "human", "value": "Hi"},
        {"from": "gpt", "value": "Ho"},
    ]
}
MESSAGES = {
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho"},
        {"role": "user", "content": "?"},
    ]
}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": " a "}, "a"),
        (ALPACA, (Turn("user", "Add.\n\n1 and 2"), Turn("assistant", "3"))),
        (DOLLY, (Turn("user", "Add."), Turn("assistant", "3"))),
        (SHARE, (Turn("user", "Hi"), Turn("assistant", "Ho"))),
        (MESSAGES, (Turn("user", "Hi"), Turn("assistant", "Ho"))),
        ({**ALPACA, "output": " "}, None),
    ],
)
def test_formats_are_told_from_the_first_row(tmp_path: Path, row: object, expected: object) -> None:
    assert read(written(tmp_path / "d.jsonl", [row, row])) == [expected, expected]


@pytest.mark.parametrize(
    ("lines", "more", "message"),
    [
        (['{"text": "a"}', '{"body": "b"}'], {}, "d.jsonl:2: no field 'text'; fields found: body"),
        (['{"text": "a"}', "", "{"], {}, "d.jsonl:3: not JSON"),
        (["[1]"], {}, "d.jsonl:1: expected a JSON object, found list"),
        (['{"body": "b"}'], {}, "d.jsonl:1: no known format.*fields found: body"),
        (['{"text": 3}'], {}, "d.jsonl:1: int instead of text in field 'text'"),
        (['{"instruction": "a"}'], {"format": "instruction"}, "d.jsonl:1: no field 'output'"),
        (['{"messages": [{"role": "tool", "content": ""}]}'], {}, "message 1: unknown role 'tool'; allowed: system"),
        (['{"messages": ["hello"]}'], {}, "message 1: no field 'role'; fields found: none"),
        (['{"messages": "hello"}'], {}, "d.jsonl:1: str instead of a list of messages in field 'messages'"),
        (["", " "], {}, "d.jsonl: empty"),
    ],
)
def test_a_faulty_row_is_named(tmp_path: Path, lines: list[str], more: dict[str, str], message: str) -> None:
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    with pytest.raises(CompressError, match=message):
        read(str(tmp_path / "d.jsonl"), **more)


def test_only_line_feeds_part_rows(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"text": "a\u2028b"}\n', encoding="utf-8")
    assert read(str(tmp_path / "d.jsonl")) == ["a\u2028b"]


def test_a_json_document_is_not_taken_for_text(tmp_path: Path) -> None:
    (tmp_path / "alpaca.json").write_text('[{"instruction": "a", "output": "b"}]')
    with pytest.raises(CompressError, match=r"alpaca.json: one JSON document; give JSON lines in a .jsonl file"):
        read(str(tmp_path / "alpaca.json"))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CompressError, match="self, builtin, hub:NAME or a file"):
        read("no/such.txt")


def test_a_hub_data_set_is_read_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "set").mkdir()
    written(tmp_path / "set" / "train.jsonl", [DOLLY, DOLLY])
    assert read(f"hub:{tmp_path}/set") == [(Turn("user", "Add."), Turn("assistant", "3"))] * 2
    with pytest.raises(CompressError, match=r"row 0: no field 'text'; fields found: instruction, context"):
        read(f"hub:{tmp_path}/set", format="text")
    with pytest.raises(CompressError, match=r"hub:.*split test: cannot load the data set"):
        read(f"hub:{tmp_path}/set", split="test")


def test_a_hub_configuration_and_split_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def load_dataset(name: str, config: str | None, split: str) -> list[dict[str, str]]:
        return [{"text": f"{name} {config} {split}"}]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert read("hub:a/b:c", split="d") == ["a/b c d"]
    assert read("hub:a/b") == ["a/b None train"]


# --- what the loss counts


def test_every_answer_counts_up_to_its_end_token(chat: Encoder) -> None:
    tokens = chat(DIALOGUE)
    assert counted(chat, tokens) == "Ho<end>12<end>"
    whole = "<user>Hi<end>\n<assistant>Ho<end>\n<user>Sum<end>\n<assistant>12<end>"
    assert chat.tokenizer.decode(tokens.ids) == whole


def test_without_response_only_all_counts(chat: Encoder) -> None:
    assert all(Encoder(chat.tokenizer, chat.ends, False)(DIALOGUE).counted)


def test_a_template_that_rewrites_earlier_turns_leaves_the_last_answer(chat: Encoder) -> None:
    chat.tokenizer.chat_template = "{{ messages | length }}" + TEMPLATE
    assert counted(chat, chat(DIALOGUE)) == "12<end>"


def test_a_refusal_of_the_template_is_a_clear_fault(chat: Encoder) -> None:
    chat.tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(CompressError, match="refuses messages by user, assistant: no system role"):
        chat(DIALOGUE[:2])


def test_without_a_template_there_is_a_plain_layout(chat: Encoder) -> None:
    chat.tokenizer.chat_template = None
    tokens = chat(DIALOGUE)
    assert counted(chat, tokens) == "Ho<end>12<end>"
    assert str(chat.tokenizer.decode(tokens.ids)).startswith("### Instruction\nHi\n\n### Answer\nHo<end>\n\n###")
    assert chat.tokenizer.decode(chat.prompt("Hi")) == "Hi"


def test_a_beginning_token_is_set_where_the_tokenizer_does_so(chat: Encoder) -> None:
    chat.tokenizer.chat_template = None
    chat.tokenizer.add_special_tokens({"bos_token": "<start>"})
    assert chat.tokenizer.decode(chat("Hi").ids) == "Hi<end>"
    chat.tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<start> $A", None, [("<start>", 257)])
    assert chat.tokenizer.decode(chat("Hi").ids) == "<start>Hi<end>"
    assert chat.tokenizer.decode(chat.prompt("Hi")) == "<start>Hi"
    assert str(chat.tokenizer.decode(chat(DIALOGUE).ids)).startswith("<start>### Instruction\n")


def test_text_ends_with_the_end_token(chat: Encoder) -> None:
    assert chat.tokenizer.decode(chat("Hi").ids) == "Hi<end>"


# --- packing


def doc(start: int, length: int) -> Tokens:
    return Tokens(tuple(range(start, start + length)), (True,) * length)


def test_packing_fills_rows_with_whole_documents_and_cuts_only_where_none_fits() -> None:
    rows = packed([doc(10, 5), doc(20, 6), doc(30, 3), doc(40, 4)], 8, 0)
    # 10.. and, as the next does not fit, 30..; then 20.., and the first half of 40..; then its rest, and fillers.
    assert rows.ids.tolist() == [
        [10, 11, 12, 13, 14, 30, 31, 32],
        [20, 21, 22, 23, 24, 25, 40, 41],
        [42, 43, 0, 0, 0, 0, 0, 0],
    ]
    assert rows.positions.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2], [0, 1, 2, 3, 4, 5, 0, 1], [0, 1, 0, 0, 0, 0, 0, 0]]
    assert rows.counted.int().tolist() == [[0, 1, 1, 1, 1, 0, 1, 1], [0, 1, 1, 1, 1, 1, 0, 1], [0, 1, 0, 0, 0, 0, 0, 0]]
    assert [rows.read(torch.tensor([row])) for row in range(3)] == [8, 8, 2]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_documents_do_not_see_each_other(make_model, attention: str) -> None:
    model = make_model(attn_implementation=attention)
    documents = [doc(7, 13), doc(3, 1), doc(90, 18)]
    rows = packed(documents, 32, END)
    with torch.no_grad():
        got = model(rows.ids, position_ids=rows.positions, use_cache=False).logits[0]
        alone = [model(torch.tensor([document.ids])).logits[0] for document in documents]
    torch.testing.assert_close(got, torch.cat(alone), rtol=0, atol=1e-5)
    assert isolates(model)


def test_a_family_that_cannot_keep_documents_apart_gets_rows_of_their_own(make_model, tokenizer, tmp_path) -> None:
    model = make_model("opt")
    assert not isolates(model)
    path = written(tmp_path / "d.jsonl", [{"text": f"{number:02d} words"} for number in range(40)])
    made = corpus(Data(sources=(path,), window=16, tokens=64), tokenizer, model, 0)
    assert made.train.ids[:, 9:].eq(END).all()
    assert not made.train.counted[:, 9:].any()


# --- the corpus


def numbered(path: Path, documents: int) -> Data:
    return Data(sources=(written(path, [{"text": f"{n:04d}" * 6} for n in range(documents)]),), window=32, tokens=1600)


def test_held_out_documents_are_whole_and_never_trained_on(tmp_path: Path, tokenizer, model) -> None:
    data = numbered(tmp_path / "d.jsonl", 100)
    made = corpus(data, tokenizer, model, 0)
    held, trained = documents(made.held_out, tokenizer), documents(made.train, tokenizer)
    # A document has 24 letters and an end: 11 of them have 256 tokens that count, and 64 have 1,600 tokens.
    assert {len(text) for text in held + trained} == {24}
    assert (len(held), len(trained), len({*held, *trained})) == (11, 64, 75)
    assert made.train.ids.shape == (50, 32)
    assert made.facts[0].tokens == 1600
    assert made.facts[0].documents == 75


def test_pieces_of_long_texts_are_read_in_turns(tmp_path: Path, tokenizer, model) -> None:
    """Ten texts of 200 equal digits: five whole ones make up the rows, or pieces of all that are not held out."""
    file = written(tmp_path / "t.jsonl", [{"text": str(digit) * 200} for digit in range(10)])

    def found(pieces: bool) -> tuple[Corpus, list[set[str]]]:
        data = Data.model_validate({"sources": file, "tokens": 960, "window": 32, "pieces": pieces})
        made = corpus(data, tokenizer, model, seed=0)
        texts = (str(tokenizer.decode(rows.ids.flatten())) for rows in (made.train, made.held_out))
        return made, [{letter for letter in text if letter.isdigit()} for text in texts]

    (whole, (few, _)), (made, (many, held)) = found(False), found(True)
    assert (len(few), len(many), len(held)) == (5, 8, 2)
    assert not many & held
    assert (whole.facts[0].documents, made.facts[0].documents) == (7, 10)
    assert whole.train.ids.numel() == made.train.ids.numel() == 960
    assert same(made, found(True)[0])
    pieces = [piece.ids for piece in in_turns(iter([doc(0, 5), doc(9, 2)]), 2, 0)]
    assert pieces[1] == (9, 10)
    assert sorted(pieces) == [(0, 1), (2, 3), (4,), (9, 10)]


def test_dialogues_are_not_read_in_pieces(tmp_path: Path, tokenizer, model) -> None:
    rows = [{"instruction": f"say {n}", "output": "so " * 40} for n in range(12)]
    data = {"sources": written(tmp_path / "d.jsonl", rows), "tokens": 512, "window": 64}
    plain, pieces = (
        corpus(Data.model_validate({**data, "pieces": given}), tokenizer, model, 0) for given in (False, True)
    )
    assert same(plain, pieces)


def test_the_same_seed_gives_the_same_corpus_and_another_one_another(tmp_path: Path, tokenizer, model) -> None:
    data = numbered(tmp_path / "d.jsonl", 100)
    first = corpus(data, tokenizer, model, 0)
    assert same(first, corpus(data, tokenizer, model, 0))
    assert not torch.equal(first.train.ids, corpus(data, tokenizer, model, 1).train.ids)


def test_a_small_source_keeps_a_quarter_at_most_for_the_held_out_rows(tmp_path: Path, tokenizer, model) -> None:
    made = corpus(numbered(tmp_path / "d.jsonl", 12), tokenizer, model, 0)
    assert made.facts[0].tokens == 9 * 25
    assert len(made.train) == 8


def test_a_document_with_most_of_the_text_is_trained_on(tmp_path: Path, tokenizer, model) -> None:
    path = written(tmp_path / "d.jsonl", [{"text": "long " * 80}, {"text": "short"}])
    for seed in range(4):
        made = corpus(Data(sources=(path,), window=32, tokens=320), tokenizer, model, seed)
        assert documents(made.held_out, tokenizer) == ["short"]


def test_a_repeated_document_is_read_once(tmp_path: Path, tokenizer, model) -> None:
    path = written(tmp_path / "d.jsonl", [{"text": f"{n % 20:04d}" * 6} for n in range(200)])
    assert corpus(Data(sources=(path,), window=32, tokens=1600), tokenizer, model, 0).facts[0].documents == 20


def test_a_document_of_two_sources_is_read_once(tmp_path: Path, tokenizer, model) -> None:
    rows = [{"text": f"{n:04d}" * 6} for n in range(20)]
    first, second = written(tmp_path / "a.jsonl", rows), written(tmp_path / "b.jsonl", [*rows, {"text": "new"}])
    made = corpus(Data(sources=(first, second), window=32, tokens=3200), tokenizer, model, 0)
    assert [facts.documents for facts in made.facts] == [20, 1]
    assert not set(documents(made.train, tokenizer)) & set(documents(made.held_out, tokenizer))


def test_a_source_without_answers_is_named_beside_another(tmp_path: Path, tokenizer, model) -> None:
    mute = written(tmp_path / "mute.jsonl", [{"instruction": f"say {n}", "output": ""} for n in range(60)])
    with pytest.raises(CompressError, match=r"mute.jsonl: nothing to learn from: none of 60 rows has a text"):
        corpus(Data(sources=("builtin", mute), window=32, tokens=320), tokenizer, model, 0)


def test_sources_share_the_tokens(tmp_path: Path, tokenizer, model) -> None:
    path = written(tmp_path / "d.jsonl", [{"text": f"{n:04d}" * 6} for n in range(200)])
    sources = ({"source": path, "tokens": 100}, "builtin", {"source": path})
    made = corpus(Data(sources=sources, window=32, tokens=1001), tokenizer, model, 0)
    assert [facts.tokens for facts in made.facts] == [100, 451, 450]
    assert len(made.train) == 32


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("only one document", {}, "needs at least 2 different ones"),
        ("a\n\nb\n\nc", {}, r"need at least 32 tokens, found 4 beside 2 held out"),
        ("a\n\nb", {"window": 1024}, "1024 tokens a window, but the model reads at most 512"),
        ("a\n\nb", {"tokens": 64, "sources": ("builtin", {"source": "builtin", "tokens": 64})}, "leave nothing"),
    ],
)
def test_too_little_is_said_clearly(tmp_path: Path, tokenizer, model, text: str, more: dict, message: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(CompressError, match=message):
        corpus(Data(**{"sources": (str(tmp_path / "t.txt"),), "window": 32, **more}), tokenizer, model, 0)


def test_answers_out_of_reach_are_nothing_to_count(tmp_path: Path, tokenizer, model) -> None:
    rows = [{"instruction": f"{n}" * 400, "output": "x"} for n in range(9)]
    data = Data(sources=(written(tmp_path / "d.jsonl", rows),), window=32, tokens=96)
    with pytest.raises(CompressError, match="nothing that the loss counts"):
        corpus(data, tokenizer, model, 0)


def test_a_token_beyond_the_embedding_is_refused(tmp_path: Path, tokenizer, make_model) -> None:
    data = numbered(tmp_path / "d.jsonl", 100)
    with pytest.raises(CompressError, match="gives token 256, but the model knows only 200 tokens"):
        corpus(data, tokenizer, make_model(vocab_size=200, eos_token_id=None, pad_token_id=None), 0)


# --- the original's own answers

ASKED = [(1, 2, 3), (9,), (5, 6, 7, 8, 9, 10), (11, 12)]


def test_answers_are_drawn_from_the_whole_distribution() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.0, 0.2, 0.3]])).expand(4000, 4)
    uniform = torch.rand(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = Counter(drawn(logits, uniform))
    assert counts[1] == 0
    for token, share in ((0, 0.5), (2, 0.2), (3, 0.3)):
        assert counts[token] / 4000 == pytest.approx(share, abs=0.03)
    first = torch.log(torch.tensor([[0.0, 0.4, 0.6, 0.0]]))
    assert [drawn(first, torch.tensor([edge], dtype=torch.float64)) for edge in (0.0, 1.0 - 1e-12)] == [[1], [2]]


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gemma3_text"])
def test_a_batch_answers_as_each_prompt_alone(make_model, family: str) -> None:
    model = make_model(family)
    uniform = torch.rand(4, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ends = tuple(range(0, 320, 16))
    together = sampled(model, ASKED, Sampling(0, 24, ends, 4), uniform)
    for row, (prompt, answer) in enumerate(zip(ASKED, together, strict=True)):
        said: list[int] = []
        while len(prompt) + len(said) < 24 and not (said and said[-1] in ends):
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *said]]), use_cache=False).logits[:, -1]
            said += drawn(logits, uniform[row : row + 1, len(said)])
        assert answer == tuple(said)
    assert len({len(answer) for answer in together}) > 1


def test_a_killed_run_goes_on_to_the_same_answers(tmp_path: Path, model) -> None:
    sampling = Sampling(3, 16, (END,), 2)
    expected = list(answers(model, ASKED, sampling))
    going = answers(model, ASKED, sampling, tmp_path)
    assert next(going) == expected[0]
    going.close()
    (first,) = tmp_path.glob("*/*.json")
    kept = first.stat().st_mtime_ns
    assert list(answers(model, ASKED, sampling, tmp_path)) == expected
    assert first.stat().st_mtime_ns == kept
    first.write_text("[[1, 2")
    assert list(answers(model, ASKED, sampling, tmp_path)) == expected


def test_answers_of_another_model_or_seed_are_not_taken(tmp_path: Path, model, make_model) -> None:
    found = [
        list(answers(asked, ASKED, Sampling(seed, 16, (END,), 4), tmp_path))
        for asked, seed in ((model, 0), (model, 1), (make_model(seed=5), 0))
    ]
    assert found[0] != found[1]
    assert found[0] != found[2]
    assert len(list(tmp_path.iterdir())) == 3


def test_self_trains_on_answers_of_the_original(tmp_path: Path, tokenizer, model) -> None:
    (tmp_path / "p.txt").write_text("\n".join(f"Say {number:02d}" for number in range(60)))
    source = {"source": "self", "prompts": str(tmp_path / "p.txt")}
    data = Data(sources=(source,), window=16, tokens=320)
    made = corpus(data, tokenizer, model, 0, cache=tmp_path / "kept")
    say = torch.tensor(tokenizer("Say ")["input_ids"])
    starts = (made.train.ids.unfold(1, 7, 1)[..., :4] == say).all(dim=-1)
    assert int(starts.sum()) > 10
    # A prompt of six letters does not count; what follows it does.
    assert made.train.counted.unfold(1, 7, 1)[starts].int().unique(dim=0).tolist() == [[0, 0, 0, 0, 0, 0, 1]]
    assert same(made, corpus(data, tokenizer, model, 0, cache=tmp_path / "kept"))
    assert same(made, corpus(data, tokenizer, model, 0))


def test_near_temperature_zero_the_original_gives_its_likeliest_answer(tokenizer, model) -> None:
    prompt = tuple(tokenizer("Say")["input_ids"])
    cold = Sampling(seed=0, window=len(prompt) + 4, ends=(), batch=1, temperature=1e-4)
    ((_, answer),) = answers(model, [prompt], cold)
    likeliest = model.generate(torch.tensor([prompt]), max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert answer == tuple(likeliest[0, len(prompt) :].tolist())
    ((_, warm),) = answers(model, [prompt], replace(cold, temperature=1.0))
    assert warm != answer


def test_in_bfloat16_the_likeliest_answer_is_mostly_the_same_and_the_model_is_left_as_it_was(model) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cold = Sampling(seed=0, window=24, ends=(), batch=4, temperature=1e-4)
    whole = [answer for _, answer in answers(model, ASKED, cold)]
    lowered = [answer for _, answer in answers(model, ASKED, replace(cold, precision=torch.bfloat16))]
    first = [one[0] == other[0] for one, other in zip(whole, lowered, strict=True)]
    assert sum(first) >= len(first) - 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.dtype == torch.float32 for value in model.parameters())


def test_prompts_too_long_for_half_a_window_are_refused(tmp_path: Path, tokenizer, model) -> None:
    (tmp_path / "p.txt").write_text("What is long?\nAnd this?")
    source = {"source": "self", "prompts": str(tmp_path / "p.txt")}
    with pytest.raises(CompressError, match="none of 2 prompts has at most 8 tokens, half a window"):
        corpus(Data(sources=(source,), window=16, tokens=64), tokenizer, model, 0)


def test_builtin_prompts_are_many_and_share_no_wording_with_what_is_asked_in_tests() -> None:
    found = prompts.builtin(0)
    assert len(set(found)) > 1000
    assert found == prompts.builtin(0) != prompts.builtin(1)
    asked = (ROOT / "suites/library/smoke.yaml").read_text()
    asked += "".join(path.read_text() for path in (ROOT / "harness/tasks").glob("*.jsonl"))
    assert runs_of_words(asked).isdisjoint(set().union(*map(runs_of_words, found)))


def runs_of_words(text: str, length: int = 7) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}
