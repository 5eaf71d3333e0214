"""GGUF files, asked in real llama.cpp: the same text from the same tokens."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from compress import CompressError, LayerShape, Recipe, Shape, apply, cut_
from compress.checkpoints.vocabulary import LLAMA3_SPLIT, QWEN2_SPLIT, vocabulary
from compress.exports import make

TEXT = Path(__file__).read_text()
IDS = [(7 * place) % 256 for place in range(40)]
TRICKY = "It's 1234567 o'clock,\n\n  3 x  2.5\tÄpfel!!! <end>«naïve»\r\n\r\n日本語 I'LL   "
SPLITS = {
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "llama-bpe": [
        pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ],
    "qwen2": [
        pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ],
}


def trained(split: str = "gpt-2") -> PreTrainedTokenizerFast:
    """A real byte-level BPE of 320 tokens over this file."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=split == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(SPLITS[split])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    options = {"initial_alphabet": alphabet, "special_tokens": ["<end>"], "show_progress": False}
    tokenizer.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=320, **options))
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    made.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    return made


class LlamaCpp:
    """One file, open in llama.cpp."""

    def __init__(self, path: Path) -> None:
        library = pytest.importorskip("xllamacpp")
        parameters = library.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = 256, 1, 1
        parameters.cache_type_k = parameters.cache_type_v = library.ggml_type.GGML_TYPE_F32
        parameters.flash_attn_type = library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.warmup, parameters.verbosity = False, -1
        self.server = library.Server(parameters)

    def tokens(self, text: str) -> list[int]:
        """As llama.cpp reads text, special tokens included."""
        body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
        request = urllib.request.Request(f"{self.server.listening_address}/tokenize", body)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]

    def next(self, prompt: list[int]) -> dict[int, float]:
        """Log-probabilities of the best next tokens; none if the best ends within a UTF-8 character."""
        asked = {"prompt": prompt, "n_predict": 1, "temperature": 0.0, "n_probs": 20}
        found = self.server.handle_completions(asked)["choices"][0]["logprobs"]
        return {one["id"]: one["logprob"] for one in found["content"][0]["top_logprobs"]} if found else {}

    def text(self, prompt: str, count: int) -> str:
        """What llama.cpp goes on with, greedily."""
        asked = {"prompt": prompt, "n_predict": count, "temperature": 0.0}
        return str(self.server.handle_completions(asked)["choices"][0]["text"])


def same_answers(model: PreTrainedModel, path: Path, ids: list[int]) -> None:
    """The best next token and the log-probabilities are those of the model in memory, after prompts of any length."""
    opened, compared = LlamaCpp(path), 0
    for end in range(5, len(ids), 3):
        with torch.no_grad():
            wanted = model(torch.tensor([ids[:end]])).logits[0, -1].float()
        wanted = wanted.log_softmax(-1)
        if found := opened.next(ids[:end]):
            assert max(found, key=lambda token: found[token]) == int(wanted.argmax())
            assert max(abs(wanted[token] - value) for token, value in found.items()) < 2e-3
            compared += 1
    assert compared >= 5


def shape(*sizes: tuple[int, int]) -> Shape:
    """The first channels and groups of every layer."""
    return Shape(72, 8, tuple(LayerShape(tuple(range(c)), tuple(range(g)), 64, 9, 3) for c, g in sizes))


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 50_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
MODELS = {
    "llama": ("llama", {}, shape((40, 3), (40, 3), (40, 3))),
    "llama-hetero": ("llama", {}, shape((40, 3), (33, 1), (64, 2))),
    "llama-dropped": ("llama", {}, shape((40, 3), (0, 0), (40, 3))),
    "llama-biased": ("llama", {"attention_bias": True, "mlp_bias": True}, shape((40, 3), (24, 2), (64, 3))),
    "llama-untied": ("llama", {"tie_word_embeddings": False}, shape((40, 3), (24, 2), (64, 3))),
    "llama-llama3": ("llama", {"rope_parameters": LLAMA3}, shape((40, 3), (24, 3), (40, 3))),
    "mistral": ("mistral", {"sliding_window": None}, shape((40, 2), (40, 2), (40, 2))),
    "qwen2": ("qwen2", {}, shape((40, 3), (40, 3), (40, 3))),
    "qwen3": ("qwen3", {}, shape((40, 2), (40, 2), (40, 2))),
}


@pytest.mark.parametrize("name", MODELS)
def test_llama_cpp_answers_as_the_model(make_model, tmp_path: Path, name: str) -> None:
    family, changes, kept = MODELS[name]
    model = make_model(family, **changes)
    cut_(model, kept)
    make("gguf").write(model, trained(), tmp_path / "m.gguf", None)
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]
    same_answers(model, tmp_path / "m.gguf", IDS)


def test_biases_of_a_compensation_and_the_receipt_go_along(make_model, tmp_path: Path) -> None:
    from gguf import GGUFReader

    from compress import Calibration, Receipt

    model, tokenizer = make_model(), trained()
    calibration = Calibration(file=Path(__file__), windows=4, tokens=32)
    recipe = Recipe(method="flap", sparsity=0.3, compensate="bias", calibration=calibration, options={"round_to": 1})
    receipt = apply(model, recipe, tokenizer)
    notes = make("gguf").write(model, tokenizer, tmp_path / "m.gguf", receipt)
    assert "deci" in notes[0]
    same_answers(model, tmp_path / "m.gguf", IDS)
    kept = GGUFReader(tmp_path / "m.gguf").get_field("secateur.receipt")
    assert kept is not None
    assert Receipt.from_json(kept.contents()) == receipt


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_keep_their_dtype(make_model, tmp_path: Path, dtype: torch.dtype) -> None:
    from gguf import GGUFReader

    model = make_model().to(dtype)
    make("gguf").write(model, trained(), tmp_path / "m.gguf", None)
    tensors = {tensor.name: tensor for tensor in GGUFReader(tmp_path / "m.gguf").tensors}
    bits = torch.from_numpy(tensors["blk.1.ffn_down.weight"].data.copy()).view(torch.uint8)
    assert torch.equal(bits, model.model.layers[1].mlp.down_proj.weight.view(torch.uint8))
    found = LlamaCpp(tmp_path / "m.gguf").next(IDS)
    with torch.no_grad():
        wanted = model.float()(torch.tensor([IDS])).logits[0, -1].log_softmax(-1)
    assert max(abs(wanted[token] - value) for token, value in found.items()) < 0.1


@pytest.mark.parametrize("split", SPLITS)
def test_llama_cpp_reads_text_as_the_tokenizer(make_model, tmp_path: Path, split: str) -> None:
    tokenizer = trained(split)
    assert vocabulary(tokenizer, 320).split == split
    make("gguf").write(make_model(), tokenizer, tmp_path / "m.gguf", None)
    opened = LlamaCpp(tmp_path / "m.gguf")
    for text in (TRICKY, TEXT):
        assert opened.tokens(text) == tokenizer(text)["input_ids"]


def test_what_llama_cpp_cannot_say_is_refused_by_name(make_model, tokenizer, tmp_path: Path) -> None:
    qwen = make_model("qwen2")
    cut_(qwen, shape((40, 2), (24, 2), (40, 2)))
    headless = make_model("qwen2")
    cut_(headless, shape((40, 2), (40, 2), (40, 2)))
    word_piece = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordPiece({"a": 0}, unk_token="a")))
    odd = trained()
    odd.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    windowed = make_model("mistral", sliding_window=8)
    yarn = make_model(rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0})
    for model, words, said in (
        (qwen, trained(), "only for Llama, not for qwen2; set equal_layers: true"),
        (headless, trained(), "qwen2 takes no fewer query heads"),
        (make_model("gpt2"), trained(), "family 'gpt2' is not written"),
        (windowed, trained(), "sliding window"),
        (yarn, trained(), "rotary embedding 'yarn'"),
        (make_model(), word_piece, "a WordPiece tokenizer is not written"),
        (make_model(), odd, 'splits text by {"type": "Whitespace"}'),
        (make_model(vocab_size=300), trained(), "the tokenizer has token 319, the model only 300 tokens"),
        (make_model(), tokenizer, "no merges"),
    ):
        with pytest.raises(CompressError, match="gguf: ") as error:
            make("gguf").write(model, words, tmp_path / "m.gguf", None)
        assert said in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("equal_layers", [True, False])
def test_the_embedded_model_pruned_says_the_same_in_llama_cpp(tmp_path: Path, equal_layers: bool) -> None:
    from transformers import AutoTokenizer

    from compress import open_model
    from harness.models import embedded

    folder = embedded.bring()
    model, tokenizer = open_model(folder), AutoTokenizer.from_pretrained(folder)
    recipe = Recipe(method="cfsp", sparsity=0.15, options={"attention": True}, equal_layers=equal_layers)
    receipt = apply(model, recipe, tokenizer)
    notes = make("gguf").write(model, tokenizer, tmp_path / "m.gguf", receipt)
    assert ("deci" in "".join(notes)) is not equal_layers
    opened = LlamaCpp(tmp_path / "m.gguf")
    assert opened.tokens(TRICKY) == tokenizer(TRICKY)["input_ids"]
    same_answers(model, tmp_path / "m.gguf", tokenizer(TEXT)["input_ids"][:40])
    for prompt in ("The capital of France is", "<|im_start|>user\nSay 12 words.<|im_end|>\n<|im_start|>assistant\n"):
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        answer = model.generate(ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :]
        assert opened.text(prompt, 24) == tokenizer.decode(answer, skip_special_tokens=True)
