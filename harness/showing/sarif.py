"""An outcome as SARIF 2.1.0, which code scanning of GitHub, GitLab and Azure reads.

One result a gate that did not pass, at its line of the plan. Code scanning takes results with equal fingerprints for
the same alert, and closes an alert whose result is gone: so a gate that fails night after night is one alert.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness import drafts
from harness.digest import digest
from harness.showing.remarks import Remark, is_file, remarks
from harness.verdicts.outcome import Outcome

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def write_sarif(outcome: Outcome, plan: str, path: Path) -> None:
    """Write one run of the tool. plan: as it was typed, and so relative to where the command ran."""
    found = list(remarks(outcome, plan))
    rules = list(dict.fromkeys(remark.rule for remark in found))
    driver = {
        "name": "secateur",
        "version": importlib.metadata.version("secateur"),
        "rules": [{"id": rule, "shortDescription": {"text": rule}} for rule in rules],
    }
    results = [_result(remark, rules, outcome.plan, plan) for remark in found]
    content = {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    drafts.write(path, [json.dumps(content, indent=2), "\n"])


def _result(remark: Remark, rules: Sequence[str], name: str, plan: str) -> dict[str, object]:
    return {
        "ruleId": remark.rule,
        "ruleIndex": rules.index(remark.rule),
        "level": remark.level,
        "message": {"text": f"{remark.candidate}: {remark.what}: {remark.text}"},
        "partialFingerprints": {"gate/v1": digest(name, remark.candidate, remark.rule)},
        **({"locations": [_location(remark, plan)]} if is_file(plan) else {}),
    }


def _location(remark: Remark, plan: str) -> dict[str, object]:
    path = Path(plan)
    file = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": remark.line or 1}}}
