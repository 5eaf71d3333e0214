"""How large a report is, and how soon it can be used, by the number of its cases.

    nice python tests/races/page.py                 # 10,000 and 100,000 cases, about five CPU minutes
    nice python tests/races/page.py --cases 10000

Protocol. Cases of four suites and twenty tags, four in a hundred lost, a prompt of 100 letters. Answers are passages of
Python's own manual (pydoc). "usual": they have 100 to 1,000 letters, and the candidate replaces one word in four;
"most": both have 1,000 letters and nothing in common. The page is written by one process, whose CPU seconds are
"drawn". It is opened in a new Chromium from disk, and as a folder from disk and from a server on this machine. "ready":
from the start of the navigation until the list is drawn and its first case open; "heap": what JavaScript holds then,
after a collection; "search": a text that no case has, looked for in all, and "again" another one; "sort": all cases
by size of change; "turn": the next sheet of them. Times are milliseconds by the clock, medians of three.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import platform
import random
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

from playwright.sync_api import Browser, sync_playwright

import reports
from reports.cases import AnswerRow, CaseRow, CheckRow, Kind, Message
from reports.page import Page
from tests.reports.conftest import example_page

PROSE = " ".join(" ".join(topics.values()).split())
KINDS: dict[Kind, float] = {"loss": 0.04, "gain": 0.02, "churn": 0.1, "fail": 0.23, "pass": 0.6, "dropped": 0.01}
MOST = 1_000
MEASURE = """async () => {
  const found = {};
  const until = async (done) => { while (!done()) await new Promise(requestAnimationFrame); };
  const one = (selector) => document.querySelector(selector);
  const said = () => one("form.filters output").textContent;
  const enter = (name, value) => {
    one(`[name=${name}]`).value = value;
    one(`[name=${name}]`).dispatchEvent(new Event("input", { bubbles: true }));
  };
  const timed = async (name, act, done) => {
    const start = performance.now();
    act();
    await until(done);
    found[name] = performance.now() - start;
  };
  const none = () => said().startsWith("0 of") && !said().includes("searching");
  await until(() => one(".case[open] .body"));
  found.ready = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 300));
  gc();
  found.heap = performance.memory.usedJSHeapSize / 1e6;
  await timed("search", () => enter("text", "no such words"), none);
  await timed("clear", () => enter("text", ""), () => !said().startsWith("0 of"));
  await timed("again", () => enter("text", "nor such words"), none);
  enter("text", "");
  await until(() => !said().startsWith("0 of"));
  one("[name=kind][value=all]").click();
  await timed("sort", () => enter("sort", "size"), () => one("[name=sort]").value === "size");
  await timed("turn", () => one(".turn [value=next]").click(), () => one(".where").textContent.startsWith("51 "));
  return found;
}"""
SHOWN = ("ready", "heap", "search", "again", "sort", "turn")


def page(count: int, most: bool) -> Page:
    """A page with one candidate; `most`: as large as it may be."""
    chance = random.Random(count)
    words = PROSE.split(" ")

    def passage(letters: int) -> str:
        start = chance.randrange(len(PROSE) - letters)
        return PROSE[start : start + letters]

    def case(number: int, kind: Kind) -> CaseRow:
        letters = MOST if most else chance.randint(100, MOST)
        before = passage(letters)
        after = " ".join(chance.choice(words) if chance.random() < 0.25 else word for word in before.split(" "))
        return CaseRow(
            suite=f"suite-{number % 4}",
            id=f"case-{number}",
            kind=kind,
            before=answer(before, kind in ("loss", "pass")),
            after=answer(passage(letters) if most else after[:letters], kind in ("gain", "pass")),
            messages=(Message("user", passage(100)),),
            tags=(f"topic-{chance.randrange(20)}",),
        )

    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=count)
    cases = tuple(case(number, kind) for number, kind in enumerate(kinds))
    example = example_page()
    return replace(example, candidates=(replace(example.candidates[2], cases=cases),))


def answer(text: str, passed: bool) -> AnswerRow:
    reason = "found the word" if passed else "the word is not in the answer"
    return AnswerRow(text, (CheckRow("icontains", passed, reason),), score=float(passed))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


def opened(address: str) -> dict[str, float]:
    """Everything that is measured of a page, in a browser of its own."""
    arguments = ["--js-flags=--expose-gc", "--enable-precise-memory-info"]
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(executable_path=path, args=arguments)
        tab = browser.new_page()
        tab.goto(address, timeout=120_000)
        found: dict[str, float] = tab.evaluate(MEASURE)
        browser.close()
    return found


def row(what: str, file: Path, drawn: float, address: str) -> None:
    several = [opened(address) for _ in range(3)]
    times = " | ".join(f"{statistics.median(one[name] for one in several):,.0f}" for name in SHOWN)
    print(f"| {what} | {file.stat().st_size / 1e6:.1f} | {drawn:.1f} | {times} |", flush=True)


def raced(count: int, place: Path) -> None:
    for name in ("usual", "most"):
        values, path = page(count, name == "most"), place / f"{count}-{name}.html"
        start = time.process_time()
        reports.write(values, path)
        row(f"{count:,}, {name}", path, time.process_time() - start, path.as_uri())
    folder = place / str(count)
    start = time.process_time()
    index = reports.write_folder(values, folder)
    drawn = time.process_time() - start
    row(f"{count:,}, most, folder", index, drawn, index.as_uri())
    with served(folder) as address:
        row(f"{count:,}, most, folder, served", index, drawn, address)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[10_000, 100_000])
    counts = parser.parse_args().cases
    print(__doc__.split("Protocol.")[1].strip() if __doc__ else "")
    print(f"\nPython {platform.python_version()}, {platform.machine()}")
    print("\n| cases | page, MB | drawn, s | ready, ms | heap, MB | search | again | sort | turn |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for count in counts:
            raced(count, Path(place))


if __name__ == "__main__":
    main()
