"""An outcome for people and machines that do not open the page: text, JSON, JUnit XML, Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from harness import drafts
from harness.errors import HarnessError
from harness.statistics.delta import Delta
from harness.verdicts.beside import Beside
from harness.verdicts.finding import Finding
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import WARNING, Outcome, only_warns, sentence
from harness.verdicts.reasons import amount
from reports.visible import visible

MEANINGFUL = re.compile(r"^[#>+=-]|[\\`*~$\[\]]|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.", re.IGNORECASE)
"""What Markdown takes for more than text, and what makes a link of a bare address on GitHub."""
SHOWN_FLAKY = 5
"""Flaky cases that a terminal names."""
XML_LETTERS = (range(9, 11), range(0x20, 0xD800), range(0xE000, 0xFFFE), range(0x10000, 0x110000))


def as_text(outcome: Outcome, exit_code: int) -> str:
    """What the terminal shows at the end of a job. exit_code: that of the command."""
    lines = [line for verdict in outcome.verdicts for line in (*verdict_lines(verdict), "")]
    lines += [f"{name}: could not finish{_heeded(outcome, name)}: {why}" for name, why in outcome.failures.items()]
    lines += (*outcome.not_checked, *outcome.noise)
    if outcome.report:
        lines.append(f"report: {outcome.report}")
    lines.append(f"job {outcome.job}, exit code {exit_code}")
    return "\n".join(lines)


def _heeded(outcome: Outcome, name: str) -> str:
    """What is said of a failure that the exit code does not heed."""
    return f" ({WARNING})" if name in outcome.warning_only else ""


def verdict_lines(verdict: Verdict) -> list[str]:
    """A heading and a table of gates."""
    rows = [("gate", "before", "after", "bounds", "items", "decision"), *(_cells(f) for f in verdict.findings)]
    table = _table(rows)
    unmet = [finding for finding in verdict.findings if finding.severity == "block" and finding.decision != "PASS"]
    reasons = [f"  {finding.gate.title}: {finding.reason}" for finding in unmet]
    flaky = [f"  {line}" for line in flaky_lines(verdict)]
    others = [line for one in verdict.beside for line in _beside_lines(one)]
    notes = [f"  {note}" for note in verdict.notes]
    return [f"{verdict.candidate}: {verdict.decision}{only_warns(verdict)}", *table, *reasons, *flaky, *notes, *others]


def _beside_lines(one: Beside) -> list[str]:
    """What it is, and every number of both."""
    deltas = one.comparison.deltas.items()
    rows = [("metric", "before", "after", "bounds", "items"), *((name, *_numbers(delta)) for name, delta in deltas)]
    return [f"  {one.told}", *_table(rows)]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def flaky_lines(verdict: Verdict) -> list[str]:
    """The first flaky cases, and how many more there are; no line if none is."""
    if not verdict.flaky:
        return []
    more = f"; and {len(verdict.flaky) - SHOWN_FLAKY} more" if len(verdict.flaky) > SHOWN_FLAKY else ""
    named = "; ".join(verdict.flaky[:SHOWN_FLAKY])
    return [f"flaky, some answers to a case pass and some do not: {named}{more}"]


def _cells(finding: Finding) -> tuple[str, ...]:
    decision = finding.decision + (f" ({WARNING})" if finding.severity == "warn" else "")
    return (finding.gate.title, *_numbers(finding.delta), decision)


def _numbers(delta: Delta) -> tuple[str, str, str, str]:
    """Before, after, bounds, items."""
    bounds = "-"
    if delta.low is not None and delta.high is not None and delta.low != delta.high:
        bounds = f"{delta.of} {amount(delta.low, delta, unit=False)} to {amount(delta.high, delta)}"
    return (
        _value(delta.before, delta.unit),
        _value(delta.after, delta.unit),
        bounds,
        f"{delta.n} of {delta.drawn_from}" if delta.drawn_from else str(delta.n or "-"),
    )


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def as_json(outcome: Outcome) -> str:
    """Everything the verdicts say."""
    content = {
        "plan": outcome.plan,
        "job": outcome.job,
        "exit_code": outcome.exit_code,
        "report": str(outcome.report) if outcome.report else None,
        "candidates": {
            verdict.candidate: {
                "decision": verdict.decision,
                "severity": verdict.severity,
                "reason": sentence([verdict]),
                "findings": [finding_facts(finding) for finding in verdict.findings],
                "beside": {one.name: _beside_facts(one) for one in verdict.beside},
                "notes": list(verdict.notes),
                "flaky": list(verdict.flaky),
            }
            for verdict in outcome.verdicts
        },
        "failures": outcome.failures,
        "not_checked": list(outcome.not_checked),
        "noise": list(outcome.noise),
    }
    return json.dumps(content, indent=2)


def _beside_facts(one: Beside) -> dict[str, object]:
    numbers = {name: _delta_facts(delta) for name, delta in one.comparison.deltas.items()}
    return {"run": one.run, "left_out": one.left_out, "numbers": numbers}


def finding_facts(finding: Finding) -> dict[str, object]:
    """A finding as plain values."""
    return {
        "gate": finding.gate.model_dump(mode="json", exclude_none=True),
        "decision": finding.decision,
        "severity": finding.severity,
        "reason": finding.reason,
        **_delta_facts(finding.delta),
        "items_needed": finding.items_needed,
    }


def _delta_facts(delta: Delta) -> dict[str, object]:
    return {
        "before": delta.before,
        "after": delta.after,
        "estimate": delta.estimate,
        "of": delta.of,
        "low": delta.low,
        "high": delta.high,
        "n": delta.n,
        "drawn_from": delta.drawn_from,
        "method": delta.method,
        "losses": delta.losses,
        "gains": delta.gains,
        "detectable": delta.detectable,
    }


def write_junit(outcome: Outcome, path: Path) -> None:
    """One suite a candidate, one test a gate. REGRESSION: failure. INCONCLUSIVE: skipped. Not judged: error."""
    root = ElementTree.Element("testsuites", name=_printable(f"secateur {outcome.plan}"))
    for verdict in outcome.verdicts:
        suite = ElementTree.SubElement(root, "testsuite", name=verdict.candidate, tests=str(len(verdict.findings)))
        for finding in verdict.findings:
            _junit_case(suite, finding, verdict.severity == "warn" or finding.severity == "warn")
    for name, why in outcome.failures.items():
        warns = name in outcome.warning_only
        suite = ElementTree.SubElement(root, "testsuite", name=name, tests="1", errors="0" if warns else "1")
        case = ElementTree.SubElement(suite, "testcase", name="could not finish", classname=name)
        message = _printable(f"{WARNING}: {why}" if warns else why)
        ElementTree.SubElement(case, "skipped" if warns else "error", message=message)
    for suite in root:
        for tag, count in (("failure", "failures"), ("skipped", "skipped")):
            suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))
    ElementTree.indent(root)
    drafts.write(path, [ElementTree.tostring(root, encoding="unicode", xml_declaration=True), "\n"])


def _junit_case(suite: ElementTree.Element, finding: Finding, warns: bool) -> None:
    name = _printable(finding.gate.title)
    case = ElementTree.SubElement(suite, "testcase", name=name, classname=suite.get("name", ""))
    warning = f"{WARNING}: " if warns else ""
    if finding.decision == "INCONCLUSIVE" or (warns and finding.decision == "REGRESSION"):
        ElementTree.SubElement(case, "skipped", message=_printable(warning + finding.reason))
    elif finding.decision == "REGRESSION":
        ElementTree.SubElement(case, "failure", message=_printable(finding.reason))


def _printable(text: str) -> str:
    """Without the characters that XML 1.0 forbids."""
    return "".join(letter for letter in text if any(ord(letter) in part for part in XML_LETTERS))


def append_markdown(outcome: Outcome, path: Path) -> None:
    """Append a summary, as CI systems want it in their step summary file."""
    lines = [f"## secateur: {_inline(outcome.plan)}", ""]
    for verdict in outcome.verdicts:
        lines += [
            f"### {verdict.candidate}: {verdict.decision}{only_warns(verdict)}",
            "",
            _inline(sentence([verdict])),
            "",
        ]
        lines += ["| gate | before | after | bounds | items | decision |", "|---|---|---|---|---|---|"]
        lines += ["| " + " | ".join(_escaped(_cells(finding))) + " |" for finding in verdict.findings]
        told = (*flaky_lines(verdict), *verdict.notes, *(one.told for one in verdict.beside))
        lines += [*(f"- {_inline(line)}" for line in told), ""]
    failures = outcome.failures.items()
    lines += [f"- {name}: could not finish{_heeded(outcome, name)}: {_inline(why)}" for name, why in failures]
    lines += [f"- {_inline(line)}" for line in (*outcome.not_checked, *outcome.noise)]
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror}") from error


def _escaped(cells: Iterable[str]) -> list[str]:
    return [_inline(cell).replace("|", "\\|") for cell in cells]


def _inline(text: str) -> str:
    """One line of Markdown that is nothing but text: no HTML, no image, no link, no emphasis."""
    line = MEANINGFUL.sub(r"\\\g<0>", " ".join(visible(text).split()))
    return line.replace("&", "&amp;").replace("<", "&lt;")
