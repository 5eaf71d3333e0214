"""The search on a tiny model: it finds where gates break, says so, and goes on after an interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import suites
from harness.candidates.halves import in_first_half
from harness.commands import entry
from harness.errors import HarnessError
from harness.fidelity.corpus import load_corpora
from harness.inspection import loaded_suites
from harness.pipeline import run
from harness.plan import Benchmark
from harness.plan_file import load_plan
from harness.search.account import Account
from harness.search.parting import parted
from harness.search.searching import search
from harness.showing import searches
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.soundness import faults
from harness.stores.trials import TrialRow, TrialTable

ROOT = Path(__file__).parents[2]
ON_ITEMS = "  - {metric: fidelity.kl, max: 0.85}\n  - {metric: words.pass_rate, margin: 0.3}\n"


@pytest.fixture(scope="module")
def done(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Account, list[TrialRow]]:
    """A results folder, what a search came to that was interrupted in a trial, and its rows until then."""
    out = tmp_path_factory.mktemp("out")
    plan = load_plan(str(place / "plan.yaml"))

    def interrupted(what: str, done: int, total: int) -> None:
        if "words" in what and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(plan, out, interrupted)
    store = DuckdbStore(out / "secateur.duckdb")
    before = TrialTable(store.file).rows(store.jobs()[0].id)
    return out, search(plan, out), before


def test_a_search_from_plan_to_verdict(done: tuple[Path, Account, list[TrialRow]]) -> None:
    out, account, _ = done
    assert (account.exit_code, account.winner is not None) == (0, True)
    assert account.winner
    store = DuckdbStore(out / "secateur.duckdb")
    (verdict,) = store.verdicts(account.winner.verdict_job)
    assert verdict.decision == "PASS"
    assert verdict.candidate in (out / "report.html").read_text()
    searched = {row.sparsity: row.decision for row in account.of("gates") if row.variant == account.winner.variant}
    assert searched[account.of("verdict")[0].sparsity] == "PASS"
    assert [row.decision for row in account.of("verdict")].index("PASS") == len(account.of("verdict")) - 1
    assert {"PASS"} < set(searched.values())
    assert account.sentences()[0] == f"{account.winner.variant} {account.winner.sparsity:g} passes on held-out cases."
    assert "fidelity.kl" in account.sentences()[1]
    assert not faults(store.file)
    page = (out / "search.html").read_text()
    assert all(sentence.split(":")[0] in page for sentence in account.sentences())
    again = out / "again.html"
    assert entry(["report", account.job, "--out", str(out), "--page", str(again)]) == 0
    assert again.read_text() == page
    text = searches.as_text(account, out)
    assert f"report of magnitude {account.winner.sparsity:g}" in text
    assert json.loads(searches.as_json(account))["winner"]["sparsity"] == account.winner.sparsity


@pytest.mark.slow
def test_recoveries_are_looked_at_where_the_bare_cut_stands_and_the_worse_are_dropped(
    place: Path, tmp_path: Path
) -> None:
    text = (place / "plan.yaml").read_text()
    asked = "methods: [magnitude.yaml]\n  recovery: [none, layerwise, lora]"
    (place / "recovered.yaml").write_text(
        text.replace("methods: [magnitude.yaml]", asked).replace("cuts: 2", "cuts: 3")
    )
    account = search(load_plan(str(place / "recovered.yaml")), tmp_path)
    looked = [(row.variant, row.sparsity) for row in account.of("screen")]
    bare = [sparsity for variant, sparsity in looked if variant == "magnitude"]
    recovered = {name: [at for variant, at in looked if variant == name] for name, _ in looked[len(bare) :]}
    assert bare == sorted(bare)
    assert set(recovered) == {"magnitude+layerwise", "magnitude+lora"}
    assert all(1 <= len(places) <= 2 and places[0] == recovered["magnitude+lora"][0] for places in recovered.values())
    fates = {row.variant: row.reason for row in account.of("variant")}
    assert set(fates) == {"magnitude", *recovered}
    assert any(fate.startswith("as far from the original") for fate in fates.values()), "of three one half goes"
    assert {row.variant for row in account.of("gates")} <= {name for name, fate in fates.items() if not fate}
    for name, places in recovered.items():
        made = tmp_path.glob(f"models/{name.replace('+', '-')}-{places[0]:g}-*/receipt.json")
        assert [json.loads(path.read_text())["recovery"]["rule"] for path in made]


def test_what_was_done_before_an_interruption_is_not_done_again(done: tuple[Path, Account, list[TrialRow]]) -> None:
    _, account, before = done
    assert "verdict" not in {row.kind for row in before}
    assert list(account.rows[: len(before)]) == before


def test_no_finalist_is_judged_by_what_chose_it(done: tuple[Path, Account, list[TrialRow]], place: Path) -> None:
    out, account, _ = done
    store = DuckdbStore(out / "secateur.duckdb")
    cases = {case.id: case for case in suites.load(str(place / "words.yaml")).cases}
    jobs = {row.verdict_job for row in account.of("verdict")}
    for job in (account.job, *jobs):
        asked = {a.case for head in store.runs(job) for a in store.run(head.id).answers.get("words", ())}
        assert asked
        assert all(in_first_half(cases[name].messages) == (job == account.job) for name in asked)


def test_the_halves_share_nothing_and_are_all_there_is(place: Path) -> None:
    plan = load_plan(str(place / "plan.yaml"))
    plan = plan.model_copy(update={"benchmarks": [Benchmark(task="secateur_everyday", limit=50)]})
    one, other = parted(plan, "searched"), parted(plan, "held_out")
    documents = [half.benchmarks[0].documents or () for half in (one, other)]
    assert sorted(documents[0] + documents[1]) == list(range(50))
    assert min(map(len, documents)) > 10
    assert plan.fidelity
    texts = [load_corpora(plan.fidelity, half.half)[0].documents for half in (one, other)]
    assert sorted(texts[0] + texts[1]) == sorted(load_corpora(plan.fidelity)[0].documents)
    words = [loaded_suites(half)[0] for half in (one, other)]
    assert len({case.id for suite in words for case in suite.cases}) == sum(len(suite.cases) for suite in words) == 40
    assert words[0].digest != words[1].digest


def test_earlier_searches_say_whether_they_expected_right(
    done: tuple[Path, Account, list[TrialRow]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, account, _ = done
    assert entry(["search", "--history", "--out", str(out)]) == 0
    heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split() == ["plan", "variant", "started", "expected", "passed", "failed", "trials", "expectation"]
    assert {line.split()[1] for line in lines} == {row.variant for row in account.of("gates")}
    assert all(line.split()[-1] in ("met", "missed") for line in lines)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("magnitude.yaml", "wanda", "search: wanda zeroes single weights, so nothing gets smaller"),
        ("magnitude.yaml", "shortgpt", "search: shortgpt removes whole layers only"),
        ("magnitude.yaml", "cfps", "search: unknown recipe 'cfps'"),
        ("[magnitude.yaml]", "[magnitude, ./magnitude.yaml]", "search: magnitude is there twice"),
        ("0.05, 0.5", "0.5, 0.05", "give the lowest and the highest sparsity"),
        ("10m", "10 days", "'10 days' is no duration; give one like 90s, 45m or 2h"),
        ("0.05, 0.5", "0.05, 0.9", "search.sparsity: magnitude: sparsity 0.9 cannot be reached"),
        ("search:", "half: searched\nsearch:", "`secateur search` parts a plan, its file does not"),
        ("margin: 0.3", "margin: 0.05", "gate words.pass_rate: 13 items are held out, and a PASS takes 87"),
        (ON_ITEMS, "", "a search needs a blocking gate on a suite, a benchmark or fidelity"),
    ],
)
def test_what_cannot_be_searched_is_said_in_a_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    text = (
        (place / "plan.yaml")
        .read_text()
        .replace("./model", str(place / "model"))
        .replace("./words", str(place / "words"))
    )
    for name in ("text.jsonl", "magnitude.yaml"):
        (tmp_path / name).write_text((place / name).read_text())
    (tmp_path / "plan.yaml").write_text(text.replace(old, new))
    assert entry(["search", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "out"), "-q"]) == 3
    assert message in capsys.readouterr().err


def test_a_plan_without_candidates_is_searched_and_not_run(place: Path, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no candidates to run; `secateur search` makes some"):
        run(load_plan(str(place / "plan.yaml")), tmp_path)
    text = (place / "plan.yaml").read_text()
    (place / "none.yaml").write_text(text[: text.index("search:")] + text[text.index("gates:") :])
    with pytest.raises(HarnessError, match="nothing to judge: give 'candidates', or 'search'"):
        load_plan(str(place / "none.yaml"))


@pytest.mark.slow
def test_a_group_of_tasks_cannot_be_parted(place: Path) -> None:
    plan = load_plan(str(place / "plan.yaml"))
    with pytest.raises(HarnessError, match="benchmark mmlu_stem: a search halves the documents of single tasks"):
        parted(plan.model_copy(update={"benchmarks": [Benchmark(task="mmlu_stem")]}), "searched")


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_result(
    done: tuple[Path, Account, list[TrialRow]], place: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", "from harness.commands import main; main()", "search", str(place / "plan.yaml")]
    command += ["--out", str(tmp_path)]
    for lines in (4, 1, 9, 6, 8):
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            for _ in zip(range(lines), process.stderr, strict=False):
                pass
            process.kill()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    store = DuckdbStore(tmp_path / "secateur.duckdb")
    searches_done = [rows for job in store.jobs() if (rows := TrialTable(store.file).rows(job.id))]
    assert len(searches_done) <= 2, "one, and one more if a search ended just before it was to be killed"
    for rows in searches_done:
        assert sorted(map(decided, rows)) == sorted(map(decided, done[1].rows))
    assert not faults(store.file)


def decided(row: TrialRow) -> tuple[str, str, float, str]:
    return row.kind, row.variant, row.sparsity, row.decision
