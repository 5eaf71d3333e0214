"""The site of a store: what is on its pages, and what is drawn again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.commands import entry
from harness.errors import HarnessError
from harness.gates import Gate
from harness.showing.outputs import finding_facts
from harness.showing.publish import gate_row
from harness.site.building import Built, build
from harness.site.findings import gate_rows
from harness.site.manifest import FILE
from harness.statistics.delta import Delta
from harness.stores import VerdictRow
from harness.stores.derived import DeltaRow
from harness.stores.duckdb_store import DuckdbStore
from harness.verdicts.finding import Finding
from reports.site.drawing import NAME

Nights = Callable[[Sequence[float], str], DuckdbStore]
ALWAYS = {"index.html", "trends.html", "suites.html", "compare.html", "schedules.html", "search.html", "live.html"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def text(path: Path) -> str:
    """What a reader sees of a page, or nearly so."""
    body = re.sub(r"<(style|script)>.*?</\1>", " ", path.read_text("utf-8"), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def data(path: Path) -> object:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def grade(store: DuckdbStore, run: str, **cases: bool) -> None:
    for case, passed in cases.items():
        values = [run, "words", case, passed, float(passed)]
        store.file.execute("INSERT INTO grades (run, suite, case_id, passed, score) VALUES (?, ?, ?, ?, ?)", values)


def test_an_empty_store_has_pages_that_say_what_to_do(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["site", "pages", "--out", str(empty.parent), "--quiet"]) == 0
    assert capsys.readouterr().out == "7 pages drawn, 0 as they were, 0 removed\npages/index.html\n"
    assert files(Path("pages")) == ALWAYS | {FILE}
    for name, said in (("index", "secateur run PLAN"), ("schedules", "secateur schedule add"), ("suites", "No suite")):
        assert said in text(Path("pages") / f"{name}.html")


def test_a_job_has_a_page_and_all_that_leads_to_it(nights: Nights) -> None:
    build(nights([0.8, 0.8, 0.8, 0.7], "aaab"), Path("pages"), 0)
    page = text(Path("pages/jobs/job3.html"))
    assert "plan nightly · 2026-09-04 03:00 UTC" in page
    assert "words.pass_rate" in page
    assert "70.0 %" in page
    assert "Before: 2026-09-03 03:00 UTC" in page
    assert "After:" not in page
    assert "`secateur report job3` draws it" in page
    index = Path("pages/index.html").read_text("utf-8")
    assert [index.count(f'href="jobs/job{night}.html"') for night in range(4)] == [1, 1, 1, 2]
    (history,) = Path("pages/trends").iterdir()
    assert "2026-09-04 worse: the level went from 80.0 % to 70.0 %" in text(history)
    assert f'href="trends/{history.name}"' in Path("pages/trends.html").read_text("utf-8")


def test_only_what_has_changed_is_drawn_again(nights: Nights) -> None:
    store = nights([0.8, 0.8, 0.8], "aaa")
    assert build(store, Path("pages"), 0) == Built(11, 0, 0)
    assert build(store, Path("pages"), 0) == Built(0, 11, 0)
    store.file.execute("UPDATE verdicts SET reason = 'Other.' WHERE job = 'job0'", [])
    before = {name: Path("pages", name).stat().st_mtime_ns for name in files(Path("pages"))}
    build(store, Path("pages"), 0)
    after = {name: Path("pages", name).stat().st_mtime_ns for name in files(Path("pages"))}
    assert {name for name in after if after[name] != before[name]} == {"index.html", "jobs/job0.html", FILE}
    Path("pages/jobs/job2.html").unlink()
    assert build(store, Path("pages"), 0) == Built(1, 10, 0)


def test_pages_of_jobs_that_are_gone_go_and_other_files_stay(nights: Nights) -> None:
    store = nights([0.8, 0.8], "aa")
    build(store, Path("pages"), 0)
    Path("pages/jobs/mine.html").write_text("mine")
    for table in ("verdicts", "deltas"):
        store.file.execute(f"DELETE FROM {table} WHERE job = 'job1'", [])
    store.file.execute("DELETE FROM jobs WHERE id = 'job1'", [])
    assert build(store, Path("pages"), 0).removed == 1
    assert {path.name for path in Path("pages/jobs").iterdir()} == {"job0.html", "mine.html"}


def test_names_of_files_never_come_from_names(nights: Nights) -> None:
    store = nights([0.8, 0.8, 0.7], "aab")
    evil = "../../x<script>alert(1)</script>"
    store.file.execute("UPDATE jobs SET plan_name = ?", [evil])
    for table, column in (("jobs", "id"), ("verdicts", "job"), ("deltas", "job"), ("runs", "job")):
        store.file.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = 'job2'", [evil])
    for table in ("verdicts", "deltas"):
        store.file.execute(f"UPDATE {table} SET candidate = ?", [evil])
    grade(store, "run0", a=True)
    store.file.execute("UPDATE grades SET suite = ?, case_id = ?", [evil, evil])
    build(store, Path("pages"), 0)
    assert {path.name for path in Path().iterdir()} == {"out", "pages"}
    assert all(NAME.fullmatch(name) for name in files(Path("pages")) - {FILE})
    for name in files(Path("pages")) - {FILE}:
        assert "<script>alert" not in Path("pages", name).read_text("utf-8")


def test_a_case_has_its_history(nights: Nights) -> None:
    store = nights([0.8, 0.8, 0.7], "aab")
    grade(store, "old0", a=True, b=True, c=True)
    grade(store, "run0", a=True, b=True, c=True)
    grade(store, "old1", a=True, b=False)
    grade(store, "run1", a=False, b=True)
    grade(store, "old2", a=True, b=False, c=True)
    grade(store, "run2", a=True, b=False, c=True)
    build(store, Path("pages"), 0)
    (page,) = Path("pages/suites").iterdir()
    cells = re.findall(r'<th scope="row">(\w)</th>\s*<td><svg[^>]+aria-label="([^"]+)"', page.read_text("utf-8"))
    assert cells == [("a", "plp"), ("b", "pgf"), ("c", "p-p")]
    assert "words 3 3 2" in text(Path("pages/suites.html"))


def test_runs_are_compared_by_what_is_stored(nights: Nights) -> None:
    build(nights([0.8, 0.7], "ab"), Path("pages"), 0)
    held = data(Path("pages/compare.html"))
    assert isinstance(held, dict)
    assert held["metrics"] == [["words.pass_rate", "share", True]]
    assert [run[0] for run in held["runs"]] == ["old1", "run1", "old0", "run0"]
    assert held["runs"][1][2:] == ["jobs/job1.html", [[0, 0.7, 200]], False]
    assert held["pairs"][0] == [0, 1, "PASS", [[0, pytest.approx(0.1), None, None]]]


def test_everything_with_a_name_is_found(nights: Nights) -> None:
    store = nights([0.8], "a")
    grade(store, "run0", capital=True)
    build(store, Path("pages"), 0)
    entries = data(Path("pages/search.html"))
    assert isinstance(entries, list)
    assert {kind for kind, _, _ in entries} == {"plan", "suite", "job", "metric", "run", "case"}
    assert ["run", "run0 small nightly", "jobs/job0.html"] in entries
    assert all((Path("pages") / file).is_file() for _, _, file in entries)


def test_a_job_that_failed_says_so(nights: Nights) -> None:
    store = nights([0.8, 0.8], "aa")
    store.file.execute(
        "UPDATE verdicts SET decision = 'ERROR', before_run = '', after_run = '', reason = 'no memory'"
        " WHERE job = 'job1'",
        [],
    )
    store.file.execute("UPDATE jobs SET finished = NULL WHERE id = 'job0'", [])
    store.file.execute("UPDATE verdicts SET findings = '[{}]' WHERE job = 'job0'", [])
    build(store, Path("pages"), 5)
    assert "Could not be judged: no memory" in text(Path("pages/jobs/job1.html"))
    assert "Running or interrupted" in text(Path("pages/jobs/job0.html"))
    assert "No gate was judged" in text(Path("pages/jobs/job0.html"))


def test_a_report_that_cannot_be_drawn_says_why_and_is_tried_once(nights: Nights) -> None:
    store = nights([0.8], "a")
    assert build(store, Path("pages"), 5) == Built(9, 0, 0)
    assert "its plan is not such as this version reads" in text(Path("pages/jobs/job0.html"))
    assert build(store, Path("pages"), 5) == Built(0, 9, 0)


def test_a_stored_finding_makes_the_row_that_its_verdict_made() -> None:
    delta = Delta("a.acc", "share", "drop", 0.8, 0.7, 0.1, 0.1, 0.05, 0.15, 200, 200, "tango", detectable=0.04)
    finding = Finding(Gate(metric="a.acc", margin=0.05), "REGRESSION", "It fell.", delta, "block", 300)
    verdict = VerdictRow("j", "small", "REGRESSION", "It fell.", "o", "n", json.dumps([finding_facts(finding)]))
    stored = DeltaRow("a.acc", "share", True, 0.8, 0.7, 0.1, 0.05, 0.15, 200, 30, 10)
    assert gate_rows(verdict, [stored]) == (gate_row(finding),)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (None, "holds other files and no site"),
        ("{}", "not such as this version writes"),
        ('{"made_by": "secateur", "files": {"../x.html": ""}}', "which is no file of a site"),
        ('{"made_by": "other", "files": {}}', "which is no file of a site"),
    ],
)
def test_a_folder_that_is_not_ours_is_left_alone(manifest: str | None, said: str, empty: Path) -> None:
    Path("pages").mkdir()
    Path("pages/index.html").write_text("mine")
    if manifest is not None:
        Path("pages", FILE).write_text(manifest)
    with pytest.raises(HarnessError, match=said):
        build(DuckdbStore(empty), Path("pages"), 0)
    assert Path("pages/index.html").read_text() == "mine"


def test_a_file_instead_of_a_folder_is_a_line(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pages").write_text("x")
    assert entry(["site", "pages", "--out", str(empty.parent)]) == 3
    assert "pages: cannot make a site there" in capsys.readouterr().err
