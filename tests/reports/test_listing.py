from __future__ import annotations

import math

import pytest

from reports.cases import AnswerRow, CaseRow, Kind
from reports.listing import Listed, listing


def case(name: str, kind: Kind, before: AnswerRow, after: AnswerRow) -> CaseRow:
    return CaseRow("smoke", name, kind, before, after, tags=(kind,))


def of_kinds(*kinds: Kind) -> tuple[CaseRow, ...]:
    return tuple(case(str(at), kind, AnswerRow(""), AnswerRow("")) for at, kind in enumerate(kinds))


def test_kinds_come_in_their_order_and_are_counted() -> None:
    listed = listing(of_kinds("pass", "pass", "fail", "dropped", "churn", "gain", "loss", "loss"))
    assert [row.case.id for row in listed.rows] == ["6", "7", "5", "4", "2", "0", "1", "3"]
    assert listed.counts == {"loss": 2, "gain": 1, "churn": 1, "fail": 1, "pass": 2, "dropped": 1}
    assert listed.tags == ("churn", "dropped", "fail", "gain", "loss", "pass")


def test_only_changes_come_first() -> None:
    assert [row.kind for row in listing(of_kinds("pass", "churn", "loss")).first] == ["loss", "churn"]
    assert len(listing(of_kinds(*["loss"] * 30)).first) == 20


def test_in_a_kind_the_larger_change_comes_first_by_score_then_by_edits() -> None:
    near = case("near", "churn", AnswerRow("Rome", score=0.5), AnswerRow("Rom", score=0.5))
    far = case("far", "churn", AnswerRow("Rome", score=0.5), AnswerRow("Lyon", score=0.5))
    scored = case("scored", "churn", AnswerRow("Rome", score=0.25), AnswerRow("Rome.", score=0.75))
    assert listing((near, far, scored)).rows == (
        Listed(scored, 2, 0.5, 1),
        Listed(far, 1, 0.0, 4),
        Listed(near, 0, 0.0, 1),
    )


@pytest.mark.parametrize("score", [None, math.nan])
def test_without_scores_a_flip_is_a_whole_change(score: float | None) -> None:
    rows = listing((case("a", "loss", AnswerRow("x", score=1.0), AnswerRow(None, score=score)), *of_kinds("pass"))).rows
    assert [row.score for row in rows] == [1.0, 0.0]
