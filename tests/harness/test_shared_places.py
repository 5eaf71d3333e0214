"""Results of many machines at one place: each once, whole or not at all, and read as a store of one's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from harness.commands import entry
from harness.errors import HarnessError
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.stores.catalogue import catalogue
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.migrations import STEPS
from harness.stores.places import place
from harness.stores.pushing import OURS, Pushed, push, tables
from harness.stores.rows import Row
from tests.harness.test_merging import work
from tests.harness.test_parquet import PLACE, TABLES, filled


@pytest.fixture(autouse=True)
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two finished jobs, and one that goes on."""
    store = DuckdbStore(tmp_path_factory.mktemp("made") / "secateur.duckdb")
    for name, exit_code in (("one", 0), ("two", 1), ("three", None)):
        work(store, name, exit_code)
    return store.file.path


@pytest.fixture
def store(made: Path, tmp_path: Path) -> DuckdbStore:
    return DuckdbStore(Path(shutil.copy(made, tmp_path / "secateur.duckdb")))


def rows(path: Path, names: list[str]) -> dict[str, list[Row]]:
    with duckdb.connect(str(path), read_only=True) as db:
        return {name: db.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in names}


@pytest.mark.parametrize("where", [PLACE, "memory://bucket/team"])
def test_every_column_of_every_table_comes_back(where: str, tmp_path: Path) -> None:
    there = place(where if "://" in where else str(tmp_path / where))
    made = filled(tmp_path / "secateur.duckdb")
    assert push(made.file, there) == Pushed(1, 0)
    assert push(made.file, there) == Pushed(0, 0)
    names = [*tables(), "v_latest", "v_findings", "v_trend"]
    assert rows(catalogue(there), names) == rows(made.file.path, names)


def test_what_is_not_shared_is_known() -> None:
    with duckdb.connect() as db:
        from harness.stores.file import migrate

        migrate(db)
        every = {name for (name,) in db.execute(TABLES).fetchall()}
    assert every - set(tables()) == {"scores", "outbox", "schedules", "turns", "leases"}


def test_finished_jobs_of_two_stores_are_read_together_each_once(store: DuckdbStore, tmp_path: Path) -> None:
    there = place(str(tmp_path / "there"))
    assert push(store.file, there) == Pushed(2, 1)
    first = catalogue(there)
    assert first == catalogue(there)
    second = DuckdbStore(Path(shutil.copy(store.file.path, tmp_path / "second.duckdb")))
    work(second, "four")
    assert push(second.file, there) == Pushed(1, 1)
    read = DuckdbStore(catalogue(there))
    assert sorted(job.plan_name for job in read.jobs()) == ["four", "one", "two"]
    assert [len(read.run(f"r-{name}").answers["smoke"]) for name in ("one", "two", "four")] == [2, 2, 2]
    assert read.run("r-four").measurements["task.acc"].items == second.run("r-four").measurements["task.acc"].items
    assert catalogue(there) != first
    shutil.rmtree(only(tmp_path / "there", "*/job=*"))
    assert len(DuckdbStore(catalogue(there)).jobs()) == 2
    assert not [path for path in (tmp_path / "there").iterdir() if path.name != OURS]


def test_a_stage_that_a_later_job_may_go_on_with_stays_here(store: DuckdbStore, tmp_path: Path) -> None:
    store.file.execute("UPDATE stages SET finished = NULL WHERE key = ?", ["two"])
    assert push(store.file, place(str(tmp_path / "there"))) == Pushed(1, 2)


def test_another_job_of_the_same_name_is_refused(store: DuckdbStore, tmp_path: Path) -> None:
    there = place(str(tmp_path / "there"))
    push(store.file, there)
    store.file.execute("UPDATE jobs SET started = '1999' WHERE plan_name = ?", ["one"])
    with pytest.raises(HarnessError, match=r"there is another job \w{8}, begun 20.*, here 1999; nothing was pushed"):
        push(store.file, there)


def only(folder: Path, pattern: str) -> Path:
    return next(iter(sorted(folder.glob(pattern))))


def spoiled(pattern: str, columns: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = only(folder, pattern)
        duckdb.execute(f"COPY (SELECT {columns}) TO '{path}' (FORMAT parquet)")

    return write


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: only(folder, "*/job=*/jobs.parquet").write_bytes(b"PAR1"), r"jobs\.parquet of a folder cannot"),
        (spoiled("*/job=*/runs.parquet", "1 AS id"), f"not the columns of schema {len(STEPS)}, which are id VARCHAR"),
        (spoiled("*/stage=*/items.parquet", "'x' AS stage"), f"not the columns of schema {len(STEPS)}"),
        (lambda folder: (folder / OURS).rename(folder / "schema-99"), "holds schema-99 too, where .* reads and writes"),
        (lambda folder: shutil.rmtree(folder), "nothing is shared at .* yet; `secateur store push"),
    ],
)  # fmt: skip
def test_what_is_wrong_there_is_said_in_a_line(
    spoil: Callable[[Path], object], said: str, store: DuckdbStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "there"
    push(store.file, place(str(folder)))
    spoil(folder)
    with pytest.raises(HarnessError, match=said):
        catalogue(place(str(folder)))
    assert entry(["ls", "--store", str(folder)]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_of_items_that_is_cut_off_is_met_when_it_is_read(store: DuckdbStore, tmp_path: Path) -> None:
    there = place(str(tmp_path / "there"))
    push(store.file, there)
    path = sorted((tmp_path / "there").glob("*/stage=*/items.parquet"))[-1]
    path.write_bytes(path.read_bytes()[:-9])
    read = DuckdbStore(catalogue(there))
    with pytest.raises(HarnessError, match=r"cannot use the store .*items\.parquet"):
        [read.run(run.id) for run in read.runs()]


def test_what_was_not_put_there_whole_is_not_read(store: DuckdbStore, tmp_path: Path) -> None:
    there = place(str(tmp_path / "there"))
    push(store.file, there)
    job = only(tmp_path / "there", "*/job=*")
    (job / "manifest.json").unlink()
    assert [found.id for found in DuckdbStore(catalogue(there)).jobs()] == [
        found.id for found in store.jobs() if found.finished and found.id != job.name.removeprefix("job=")
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: {name: size + 1 for name, size in files.items()}, r"is not whole; its manifest says \d+ bytes"),
        (lambda files: {"../../jobs.parquet": 1}, "not a manifest; it has the form"),
    ],
)
def test_what_is_fetched_is_what_its_manifest_says(
    change: Callable[[dict[str, int]], dict[str, int]], said: str, store: DuckdbStore, cached: Path
) -> None:
    import fsspec

    there = place("memory://spoiled")
    push(store.file, there)
    system = fsspec.filesystem("memory")
    path = system.glob("/spoiled/*/job=*/manifest.json")[0]
    told = json.loads(system.cat_file(path))
    system.pipe_file(path, json.dumps(told | {"files": change(told["files"])}).encode())
    with pytest.raises(HarnessError, match=said):
        catalogue(there)
    assert not list(cached.rglob(".*"))


def test_an_unknown_url_is_said_in_a_line() -> None:
    with pytest.raises(HarnessError, match="gopher://x: "):
        place("gopher://x")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket of a server here that speaks S3."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    try:
        boto3.client("s3").create_bucket(Bucket="results")
        yield "s3://results/team"
    finally:
        server.stop()


@pytest.mark.slow
def test_an_object_store_is_read_as_the_store_that_was_pushed(
    bucket: str, tiny: Callable[[int], LoadedModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same lines of ls, show and trend, and the same page."""
    for name, seed in (("model", 0), ("other", 1)):
        tiny(seed).model.save_pretrained(tmp_path / name)
        tiny(seed).tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "words.yaml").write_text(
        "prompts: ['Say {{word}}']\n"
        "tests: [{vars: {word: [a, b, c, d]}, max_new_tokens: 4, assert: [{type: regex, value: '[a-m]'}]}]\n"
    )
    (tmp_path / "plan.yaml").write_text(
        "name: p\noriginal: ./model\ncandidates: {other: {model: ./other}}\nsuites: [./words.yaml]\nmetrics: [size]\n"
        "gates: [{metric: words.pass_rate, margin: 0.1}]\n"
    )
    out = tmp_path / "out"
    job = run(load_plan(str(tmp_path / "plan.yaml")), out).job
    assert entry(["store", "push", bucket, "--out", str(out)]) == 0
    capsys.readouterr()
    page = tmp_path / "page.html"
    said = []
    for where in (["--out", str(out)], ["--store", bucket]):
        for words in (["ls"], ["show", job], ["trend"], ["trend", "words.pass_rate"], ["report", "--page", str(page)]):
            assert entry([*words, *where]) == 0
        said.append((capsys.readouterr().out, page.read_text()))
    assert said[0] == said[1]
    assert entry(["ls", "--store", bucket.replace("results", "none")]) == 3
    assert "none" in capsys.readouterr().err
