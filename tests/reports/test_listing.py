from __future__ import annotations

from reports.listing import listing
from reports.page import AnswerRow, CaseRow, Kind


def case(name: str, kind: Kind) -> CaseRow:
    return CaseRow("smoke", name, kind, AnswerRow(""), AnswerRow(""), tags=(kind,))


def test_keeps_what_changed_and_counts_the_rest() -> None:
    kinds: tuple[Kind, ...] = ("pass", "pass", "fail", "pass", "dropped", "churn", "gain", "loss", "loss")
    listed = listing(tuple(case(str(at), kind) for at, kind in enumerate(kinds)), limit=2)
    assert [row.kind for row in listed.cases] == ["loss", "loss", "gain", "churn", "fail", "pass", "dropped"]
    assert [row.id for row in listed.cases][:2] == ["7", "8"]
    assert listed.counts == {"loss": 2, "gain": 1, "churn": 1, "fail": 1, "pass": 3, "dropped": 1}
    assert listed.left_out == 2
