"""Real but tiny: a two-layer Llama over bytes."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from harness.models.opening import LoadedModel
from harness.records import ModelSpec
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.rows import append

TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, after three special ones."""
    specials = ["<pad>", "<s>", "</s>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*specials, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    fast.chat_template = TEMPLATE
    return fast


def tiny_llama(seed: int, positions: int = 1024) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=259,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        initializer_range=0.3,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def tiny() -> Callable[[int], LoadedModel]:
    """Seed -> a model with weights of that seed; all share one vocabulary."""

    def loaded(seed: int) -> LoadedModel:
        spec = ModelSpec(f"tiny-{seed}", f"tiny-{seed}")
        return LoadedModel(tiny_llama(seed), byte_tokenizer(), spec, f"fingerprint-{seed}", "cpu", (Path("tiny"),))

    return loaded


SEARCH = """\
name: tiny
original: ./model
suites: [./words.yaml]
fidelity: {corpus: text.jsonl, window: 32, tokens: 600}
metrics: [size]
search:
  methods: [magnitude.yaml]
  sparsity: [0.05, 0.5]
  budget: 10m
  resolution: 0.1
  screen: {tokens: 300, cuts: 2}
gates:
  - {metric: fidelity.kl, max: 0.85}
  - {metric: words.pass_rate, margin: 0.3}
  - {metric: size.bytes, max_ratio: 1.0}
"""


@pytest.fixture(scope="session")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, a suite, a text and a plan that searches."""
    folder = tmp_path_factory.mktemp("place")
    tiny(0).model.save_pretrained(folder / "model")
    tiny(0).tokenizer.save_pretrained(folder / "model")
    cases = [{"vars": {"word": f"w{n}"}, "assert": [{"type": "regex", "value": ".*"}]} for n in range(40)]
    suite = {"prompts": ["Say {{word}}"], "defaultTest": {"max_new_tokens": 2}, "tests": cases}
    (folder / "words.yaml").write_text(json.dumps(suite))
    words = random.Random(0)
    rows = [{"text": " ".join(str(words.randrange(999)) for _ in range(6))} for _ in range(80)]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "magnitude.yaml").write_text("{method: magnitude, sparsity: 0.1, options: {round_to: 1}}")
    (folder / "plan.yaml").write_text(SEARCH)
    return folder


FINDING = {
    "gate": {"metric": "words.pass_rate", "margin": 0.05},
    "decision": "PASS",
    "severity": "block",
    "reason": "the drop is small.",
    "before": 0.8,
    "n": 200,
}


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without rows, to be copied: making one takes four times as long."""
    return DuckdbStore(tmp_path_factory.mktemp("empty") / "secateur.duckdb").file.path


@pytest.fixture
def nights(tmp_path: Path, empty: Path) -> Callable[[Sequence[float], str], DuckdbStore]:
    """Pass rates and a letter for the model of each night -> a store with a job for each, job0, job1, ..."""

    def stored(values: Sequence[float], models: str) -> DuckdbStore:
        (tmp_path / "out").mkdir()
        store = DuckdbStore(Path(shutil.copy(empty, tmp_path / "out")))
        rows = [_night(night, value, model) for night, (value, model) in enumerate(zip(values, models, strict=True))]

        def write(db: duckdb.DuckDBPyConnection) -> None:
            for table in rows[0]:
                append(db, table, [night[table] for night in rows])

        store.file.transaction(write)
        return store

    return stored


def _night(night: int, value: float, model: str) -> dict[str, dict[str, object]]:
    """Table -> the row of one night."""
    job, run = f"job{night}", f"run{night}"
    started = (datetime(2026, 9, 1, 3, tzinfo=UTC) + timedelta(days=night)).isoformat()
    key = {"job": job, "candidate": "small"}
    findings = json.dumps([FINDING | {"after": value}])
    return {
        "jobs": {"id": job, "plan_name": "nightly", "plan": "{}", "digest": "d", "command": "", "facts": "{}",
                 "fresh": False, "started": started, "finished": started, "exit_code": 0},
        "runs": {"id": run, "job": job, "model": "small", "source": "./small", "dtype": "float32",
                 "fingerprint": model, "created": started},
        "verdicts": {**key, "decision": "PASS", "reason": "All pass.", "before_run": f"old{night}", "after_run": run,
                     "findings": findings, "created": started},
        "deltas": {**key, "metric": "words.pass_rate", "unit": "share", "higher_is_better": True, "before": 0.8,
                   "after": value, "drop": 0.8 - value, "n": 200, "losses": 0, "gains": 0},
    }  # fmt: skip
