"""Who can be asked in one job, opened when somebody is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.advising import Adviser
from harness.advising.embedder import Embedder
from harness.advising.judge import Judge
from harness.plan import Plan
from harness.plan_models import spec
from harness.progress import Progress, silent
from harness.records import ModelSpec
from suites.advice import Kind


@dataclass(frozen=True)
class Panel:
    """The models that advise, by what they are asked for; those that are not named are not asked."""

    specs: Mapping[Kind, ModelSpec]
    owner: str = ""
    """The job that replies belong to where a model may change."""
    progress: Progress = silent
    _seated: dict[Kind, Adviser] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, owner: str, progress: Progress) -> Panel:
        """The panel that a plan names."""
        specs: dict[Kind, ModelSpec] = {}
        if plan.judge is not None:
            specs["judge"] = spec("judge", plan.judge)
        if plan.embeddings is not None:
            specs["embeddings"] = ModelSpec("embeddings", plan.embeddings.model, plan.embeddings.revision)
        return cls(specs, owner, progress)

    def adviser(self, kind: Kind) -> Adviser:
        if kind not in self._seated:
            one = self.specs[kind]
            judging = kind == "judge"
            self._seated[kind] = Judge(one, self.owner, self.progress) if judging else Embedder(one, self.progress)
        return self._seated[kind]

    def release(self) -> None:
        for adviser in self._seated.values():
            adviser.release()
