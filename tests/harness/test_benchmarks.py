"""Our engine against lm-eval's own, task by task and document by document."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest
from lm_eval.api.instance import Instance

from harness.benchmarks import (
    BenchmarkResult,
    ScoringLM,
    count_items,
    drawable,
    measure_benchmark,
    metric_names,
    task_identity,
)
from harness.benchmarks.tasks import build
from harness.commands import entry
from harness.errors import HarnessError
from harness.inspection import refuse_impossible
from harness.models.embedded import bring as embedded_folder
from harness.models.opening import LoadedModel, open_spec
from harness.plan import Benchmark, Plan
from harness.records import CUT, Measurement, ModelSpec
from tests.harness.conftest import tiny_llama

WORDS = [
    "river",
    "stone",
    "glass",
    "paper",
    "cloud",
    "engine",
    "garden",
    "winter",
    "signal",
    "copper",
    "needle",
    "basket",
    "ladder",
    "market",
]
ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SECATEUR_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few made-up documents in the columns of four stock tasks; ARC has no validation split on purpose."""
    root = tmp_path_factory.mktemp("data")
    draw = random.Random(7)

    def text(words: int) -> str:
        return " ".join(draw.choices(WORDS, k=words))

    def arc(number: int) -> dict[str, Any]:
        choices = {"text": [text(draw.randint(1, 4)) for _ in range(4)], "label": list("ABCD")}
        return {"id": str(number), "question": text(8), "choices": choices, "answerKey": draw.choice("ABCD")}

    def gsm(number: int) -> dict[str, Any]:
        return {"question": text(6), "answer": f"{text(3)} #### {number}"}

    files = {
        "arc.jsonl": [arc(number) for number in range(12)],
        "arc_train.jsonl": [arc(number) for number in range(100, 106)],
        "gsm.jsonl": [gsm(number) for number in range(3)],
        "wiki.jsonl": [{"page": text(words)} for words in (5, 40, 300)],
        "lambada.jsonl": [{"text": text(9)} for _ in range(5)],
    }
    for name, rows in files.items():
        (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    index = {
        "aliases": {"ai2_arc": "allenai/ai2_arc"},
        "datasets": {
            "allenai/ai2_arc": {"ARC-Easy": {"test": "arc.jsonl", "train": "arc_train.jsonl"}},
            "openai/gsm8k": {"main": {"test": "gsm.jsonl", "train": "gsm.jsonl"}},
            "EleutherAI/wikitext_document_level": {"wikitext-2-raw-v1": {"test": "wiki.jsonl"}},
            "EleutherAI/lambada_openai": {"default": {"test": "lambada.jsonl"}},
        },
    }
    (root / "index.json").write_text(json.dumps(index))
    return root


def stock(loaded: LoadedModel, benchmark: Benchmark, data_root: Path | None) -> dict[str, Any]:
    """The same benchmark through lm-eval's simple_evaluate and its own transformers backend."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    from harness.benchmarks.data import data_from
    from harness.benchmarks.tasks import index_of

    with data_from(data_root, []):
        results = simple_evaluate(
            model=HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=4),
            tasks=[benchmark.task],
            task_manager=index_of(benchmark).manager,
            num_fewshot=benchmark.num_fewshot,
            limit=benchmark.limit,
            apply_chat_template=benchmark.apply_chat_template,
            bootstrap_iters=0,
        )
    assert isinstance(results, dict)
    return results


def by_name(result: BenchmarkResult) -> dict[str, Measurement]:
    return {measurement.metric: measurement for measurement in result.measurements}


def values(measurement: Measurement) -> list[float]:
    return [item.value for item in measurement.items]


@pytest.mark.parametrize("benchmark", [Benchmark(task="arc_easy"), Benchmark(task="arc_easy", num_fewshot=2, limit=5)])
def test_choices_as_the_stock_engine(tiny: Callable[[int], LoadedModel], data_root: Path, benchmark: Benchmark) -> None:
    ours = by_name(measure_benchmark(tiny(0), benchmark, data_root))
    theirs = stock(tiny(0), benchmark, data_root)
    rows = theirs["samples"]["arc_easy"]
    assert len(rows) == (benchmark.limit or 12)
    for metric in ("acc", "acc_norm"):
        measurement = ours[f"arc_easy.{metric}"]
        assert values(measurement) == [row[metric] for row in rows]
        assert measurement.value == theirs["results"]["arc_easy"][f"{metric},none"]
        assert measurement.scale == "binary"
        assert measurement.higher_is_better
        for item, row in zip(measurement.items, rows, strict=True):
            assert item.choices == pytest.approx([logprob for logprob, _ in row["filtered_resps"]], abs=1e-3)


def test_what_does_not_fit_the_context_is_counted(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    """A byte is a token, and the last one is only predicted."""
    short = replace(tiny(0), model=tiny_llama(0, positions=80))
    rows = [json.loads(line) for line in (data_root / "arc.jsonl").read_text().splitlines()]
    asked = [f"Question: {row['question']}\nAnswer: {choice}" for row in rows for choice in row["choices"]["text"]]
    cut = sum(len(text) > 81 for text in asked)
    assert 0 < cut < len(asked)
    facts = measure_benchmark(short, Benchmark(task="arc_easy"), data_root).facts
    assert facts[CUT] == f"{cut} of {len(asked)} rows were longer than the model's context, cut from the left"
    assert CUT not in measure_benchmark(tiny(0), Benchmark(task="arc_easy", limit=1), data_root).facts


def test_chat_template_as_the_stock_engine(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    benchmark = Benchmark(task="arc_easy", num_fewshot=1, limit=4, apply_chat_template=True)
    ours = by_name(measure_benchmark(tiny(1), benchmark, data_root))["arc_easy.acc"]
    assert values(ours) == [row["acc"] for row in stock(tiny(1), benchmark, data_root)["samples"]["arc_easy"]]


def test_perplexity_as_the_stock_engine(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    """The longest page is longer than the model's context, so windows are tried too."""
    benchmark = Benchmark(task="wikitext")
    ours = by_name(measure_benchmark(tiny(0), benchmark, data_root))
    theirs = stock(tiny(0), benchmark, data_root)
    for metric in ("word_perplexity", "byte_perplexity", "bits_per_byte"):
        found, expected = ours[f"wikitext.{metric}"].value, theirs["results"]["wikitext"][f"{metric},none"]
        assert math.log(found) == pytest.approx(math.log(expected), 1e-6)  # an exponential multiplies its rounding
        assert not ours[f"wikitext.{metric}"].higher_is_better
    for item, row in zip(ours["wikitext.loglikelihood"].items, theirs["samples"]["wikitext"], strict=True):
        total, words = row["word_perplexity"]
        assert item.value * item.weight == pytest.approx(total, abs=1e-3)
        assert item.weight == words


def test_last_words_as_the_stock_engine(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    benchmark = Benchmark(task="lambada_openai")
    ours = by_name(measure_benchmark(tiny(0), benchmark, data_root))
    rows = stock(tiny(0), benchmark, data_root)["samples"]["lambada_openai"]
    assert values(ours["lambada_openai.acc"]) == [row["acc"] for row in rows]
    assert values(ours["lambada_openai.loglikelihood"]) == pytest.approx([row["perplexity"] for row in rows], abs=1e-3)


def test_generated_text_as_the_stock_engine(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    """Text is compared through lm-eval's own requests: a random model answers nothing right."""
    from lm_eval.models.huggingface import HFLM

    loaded = tiny(0)
    options = [{"until": ["\n", "a"], "max_gen_toks": 12}, {"until": [], "max_gen_toks": 9, "do_sample": False}]
    requests = [
        Instance("generate_until", {}, (" ".join(WORDS[: 1 + number % 5]), options[number % 2]), number)
        for number in range(9)
    ]
    theirs = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=3).generate_until(requests)
    assert ScoringLM(loaded).generate_until(requests) == theirs
    assert len(set(theirs)) > 3


def test_filters_are_named_where_a_task_has_several(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    result = by_name(measure_benchmark(tiny(0), Benchmark(task="gsm8k", num_fewshot=1, limit=1), data_root))
    assert set(result) == {"gsm8k.exact_match.flexible-extract", "gsm8k.exact_match.strict-match"}


def test_items_of_two_models_pair(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    benchmark = Benchmark(task="arc_easy")
    first, second = (by_name(measure_benchmark(tiny(seed), benchmark, data_root))["arc_easy.acc"] for seed in (0, 1))
    shots = Benchmark(task="arc_easy", num_fewshot=1)
    other = by_name(measure_benchmark(tiny(0), shots, data_root))["arc_easy.acc"]
    assert [(item.id, item.hash) for item in first.items] == [(item.id, item.hash) for item in second.items]
    assert {item.hash for item in first.items}.isdisjoint(item.hash for item in other.items)


def test_a_group_is_one_measurement_with_its_tasks_as_clusters(
    tiny: Callable[[int], LoadedModel], tmp_path: Path
) -> None:
    from harness.benchmarks.tasks import index_of

    subjects = [config["dataset_name"] for config in index_of(Benchmark(task="mmlu_stem")).configs]
    for number, subject in enumerate(subjects):
        row = {"question": f"{subject}?", "subject": subject, "choices": WORDS[:4], "answer": number % 4}
        (tmp_path / f"{subject}.jsonl").write_text((json.dumps(row) + "\n") * (1 + number % 3))
    files = {subject: dict.fromkeys(("test", "dev"), f"{subject}.jsonl") for subject in subjects}
    (tmp_path / "index.json").write_text(json.dumps({"datasets": {"cais/mmlu": files}}))

    benchmark = Benchmark(task="mmlu_stem", limit=2)
    (ours,) = measure_benchmark(tiny(0), benchmark, tmp_path).measurements
    assert ours.metric == "mmlu_stem.acc"
    assert {item.cluster for item in ours.items} == {f"mmlu_{subject}" for subject in subjects}
    assert len({item.id for item in ours.items}) == len(ours.items) == count_items(benchmark, tmp_path)
    assert sum(values(ours)) / len(ours.items) == pytest.approx(ours.value)
    assert ours.value == stock(tiny(0), benchmark, tmp_path)["results"]["mmlu_stem"]["acc,none"]
    with pytest.raises(HarnessError, match="allowed: none, for it is a group of tasks"):
        measure_benchmark(tiny(0), Benchmark(task="mmlu_stem", documents=(0,)), tmp_path)


def test_dropped_split_is_said(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    facts = measure_benchmark(tiny(0), Benchmark(task="arc_easy", limit=2), data_root).facts
    assert "split 'validation' is not in the data; dropped" in facts["benchmark arc_easy"]
    assert "2 of 12 documents" in facts["benchmark arc_easy"]


def test_progress_counts_requests(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    seen: list[tuple[object, ...]] = []
    measure_benchmark(tiny(0), Benchmark(task="arc_easy", limit=3), data_root, lambda *step: seen.append(step))
    assert seen[-1] == ("arc_easy", 12, 12)


def test_chosen_documents_are_those_of_the_whole(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    whole = by_name(measure_benchmark(tiny(0), Benchmark(task="arc_easy"), data_root))["arc_easy.acc"]
    some = measure_benchmark(tiny(0), Benchmark(task="arc_easy", documents=(7, 2, 11)), data_root)
    chosen = [item for item in whole.items if item.id in ("2", "7", "11")]
    for found, expected in zip(by_name(some)["arc_easy.acc"].items, chosen, strict=True):
        assert (found.id, found.hash, found.value) == (expected.id, expected.hash, expected.value)
    assert "3 of 12 documents" in some.facts["benchmark arc_easy"]
    assert count_items(Benchmark(task="arc_easy", documents=(7, 2)), data_root) == 2


def test_only_tasks_of_choices_have_a_divergence_of_choices(data_root: Path) -> None:
    assert metric_names(Benchmark(task="arc_easy"), data_root) == ("acc", "acc_norm", "choice_kl")
    assert "choice_kl" not in metric_names(Benchmark(task="gsm8k"), data_root)
    gate = {"metric": "arc_easy.choice_kl", "margin": 0.1}
    plan = Plan.model_validate(
        {"name": "p", "original": {"model": "smollm2-135m"}, "candidates": {"same": {"model": "smollm2-135m"}},
         "benchmarks": ["arc_easy"], "data_root": str(data_root), "gates": [gate]}
    )  # fmt: skip
    with pytest.raises(HarnessError, match="measured on the candidate alone; use max or min, not margin"):
        refuse_impossible(plan, [])


def test_documents_that_are_not_there_are_refused(tiny: Callable[[int], LoadedModel], data_root: Path) -> None:
    with pytest.raises(HarnessError, match="benchmark 'arc_easy': no such documents; allowed: 0 to 11"):
        measure_benchmark(tiny(0), Benchmark(task="arc_easy", documents=(12,)), data_root)
    with pytest.raises(HarnessError, match="allowed: 0 to 11"):
        count_items(Benchmark(task="arc_easy", documents=(12,)), data_root)


def test_only_single_tasks_without_examples_are_drawn(data_root: Path) -> None:
    assert drawable(Benchmark(task="arc_easy"), data_root) == tuple(range(12))
    assert drawable(Benchmark(task="arc_easy", limit=5), data_root) == tuple(range(5))
    assert drawable(Benchmark(task="arc_easy", documents=(7, 2)), data_root) == (2, 7)
    for whole in (
        Benchmark(task="arc_easy", num_fewshot=2),
        Benchmark(task="gsm8k", num_fewshot=0),
        Benchmark(task="mmlu_stem"),
    ):
        assert drawable(whole, data_root) is None


def test_unlisted_data_are_refused(data_root: Path) -> None:
    with pytest.raises(HarnessError, match=r"index.json: no data set 'baber/piqa', which task 'piqa' reads"):
        count_items(Benchmark(task="piqa"), data_root)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"ARC-Challenge": {"test": "x.jsonl"}}, "no configuration 'ARC-Easy', which task .* has: ARC-C"),
        ({"ARC-Easy": {"test": "absent.jsonl"}}, r"absent\.jsonl: cannot be read: No such file"),
        ({"ARC-Easy": {"train": "x.jsonl"}}, "in split 'validation' or 'test', which is not .*, which have: train"),
        ({"ARC-Easy": {"test": ["x.jsonl"]}}, r"index\.json: data set 'allenai/ai2_arc': expected {\"datasets\": {id"),
        (["ARC-Easy"], r"index\.json: data set 'allenai/ai2_arc': expected"),
    ],
)  # fmt: skip
def test_an_index_that_lacks_something_says_what(tmp_path: Path, listed: object, message: str) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"datasets": {"allenai/ai2_arc": listed}}))
    (tmp_path / "x.jsonl").write_text('{"question": "?"}\n')
    with pytest.raises(HarnessError, match=message):
        build(Benchmark(task="arc_easy"), tmp_path)


def test_data_of_the_hub_without_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HarnessError, match=r"Couldn't reach .*; a data_root, with an index\.json that lists its files"):
        build(Benchmark(task="arc_easy"), None)


def test_unknown_task_names_the_nearest() -> None:
    with pytest.raises(HarnessError, match="unknown benchmark 'arc_eesy'; nearest: arc_easy"):
        count_items(Benchmark(task="arc_eesy"), None)


def test_items_are_counted_without_a_model(data_root: Path) -> None:
    assert count_items(Benchmark(task="arc_easy"), data_root) == 12
    assert count_items(Benchmark(task="arc_easy", limit=5), data_root) == 5
    assert count_items(Benchmark(task="arc_easy"), None) is None


def test_identity_changes_with_settings_and_data(data_root: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(task="arc_easy")
    identity = task_identity(benchmark, data_root)
    assert identity == task_identity(benchmark, data_root)
    for file in data_root.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert identity == task_identity(benchmark, tmp_path)
    with (tmp_path / "arc_train.jsonl").open("a") as file:
        file.write("\n")
    others = [
        task_identity(benchmark, tmp_path),
        task_identity(benchmark, None),
        task_identity(Benchmark(task="arc_easy", limit=5), data_root),
        task_identity(Benchmark(task="arc_easy", num_fewshot=1), data_root),
        task_identity(Benchmark(task="wikitext"), data_root),
    ]
    assert len({identity, *others}) == 6


def test_a_task_of_the_users_own(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl").write_text('{"q": "sky", "a": "blue"}\n{"q": "grass", "a": "green"}\n')
    task = tmp_path / "colours.yaml"
    task.write_text(
        "task: colours\ndataset_path: json\ndataset_kwargs: {data_files: {test: docs.jsonl}}\ntest_split: test\n"
        "output_type: multiple_choice\ndoc_to_text: '{{q}} is'\ndoc_to_choice: [blue, green]\n"
        "doc_to_target: '{{a}}'\nmetric_list: [{metric: acc}]\n"
    )
    benchmark = Benchmark(task="colours", include_path=str(tmp_path))
    assert len(by_name(measure_benchmark(tiny(0), benchmark))["colours.acc"].items) == 2
    assert count_items(benchmark, None) == 2
    task.write_text(task.read_text() + "process_docs: !function steal.everything\n")
    with pytest.raises(HarnessError, match=r"colours\.yaml: '!function' runs Python"):
        count_items(benchmark, None)


def test_lm_evals_model_arguments(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    loaded = tiny(0)
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    request = [Instance("loglikelihood", {}, ("a", " b"), 0)]
    opened = ScoringLM.create_from_arg_string(f"pretrained={tmp_path},dtype=float32", {"device": "cuda:0"})
    assert opened.loglikelihood(request) == ScoringLM(loaded).loglikelihood(request)
    with pytest.raises(HarnessError, match="model argument 'load_in_8bit'; allowed: pretrained, adapter"):
        ScoringLM.create_from_arg_string(f"pretrained={tmp_path},load_in_8bit=True")


@pytest.mark.slow
def test_lm_evals_own_command_line(tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip(f"no benchmark data in {SHARED}; set SECATEUR_DATA")
    arguments = ["--model_args", f"pretrained={embedded_folder()}", "--tasks", "arc_easy", "--limit", "8"]
    code = entry(["lm-eval", "--data-root", str(SHARED), *arguments, "--output_path", str(tmp_path)])
    results = json.loads(next(tmp_path.rglob("results_*.json")).read_text())
    assert code == 0
    ours = measure_benchmark(open_spec(ModelSpec("m", "smollm2-135m")), Benchmark(task="arc_easy", limit=8), SHARED)
    assert results["results"]["arc_easy"]["acc,none"] == by_name(ours)["arc_easy.acc"].value


@pytest.fixture(scope="module")
def embedded() -> LoadedModel:
    return open_spec(ModelSpec("original", "smollm2-135m"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "root"),
    [
        (Benchmark(task="secateur_everyday", limit=60), None),
        (Benchmark(task="arc_easy", limit=60), SHARED),
        (Benchmark(task="piqa", limit=60), SHARED),
    ],
    ids=lambda value: getattr(value, "task", ""),
)
def test_real_model_as_the_stock_engine(embedded: LoadedModel, benchmark: Benchmark, root: Path | None) -> None:
    if root and not root.exists():
        pytest.skip(f"no benchmark data in {root}; set SECATEUR_DATA")
    ours = by_name(measure_benchmark(embedded, benchmark, root))
    theirs = stock(embedded, benchmark, root)
    rows = theirs["samples"][benchmark.task]
    for metric in ("acc", "acc_norm"):
        assert values(ours[f"{benchmark.task}.{metric}"]) == [row[metric] for row in rows]
    requests = [request for row in rows for request in row["arguments"]][:40]
    scores = [score for row in rows for score in row["filtered_resps"]][:40]
    again = ScoringLM(embedded).loglikelihood([Instance("loglikelihood", {}, request, 0) for request in requests])
    assert [score[0] for score in again] == pytest.approx([score[0] for score in scores], abs=1e-3)
    assert [score[1] for score in again] == [score[1] for score in scores]
