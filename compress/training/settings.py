"""Recovery: what is trained after a cut, on what, towards what; from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from compress import recovery as rules
from compress.plugins import options_of

NAMED: dict[str, dict[str, Any]] = {
    "layerwise": {"rule": "layerwise"},
    "lora": {"objective": "next_token"},
    "distill": {"objective": "distill"},
    "full": {"rule": "full", "objective": "next_token", "batch": 4, "learning_rate": 0.002},
}
"""What a bare name stands for."""


class Part(BaseModel):
    """A piece of a recipe: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Part):
    """Text to train on; a bare string is short for its `source`."""

    source: str = Field(min_length=1)
    """self: prompts answered by the original. builtin. A .jsonl or text file. hub:NAME, or hub:NAME:CONFIG."""
    format: Literal["auto", "text", "instruction", "chat"] = "auto"
    """auto: told from the fields of the first row."""
    field: str = "text"
    """Where a row of format text keeps its text, and one of format chat its messages ("messages" if that is there)."""
    split: str = "train"
    """Of a hub data set."""
    prompts: str | None = None
    """For self: a .jsonl or text file with one prompt a row; none: the built-in ones."""
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """For self: at which answers are drawn; 1 is the original's whole distribution, less is nearer to its likeliest."""
    tokens: int | None = Field(default=None, ge=1)
    """Of this source at most; None: its even share of all tokens asked for."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return {"source": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _keys_of_self(self) -> Self:
        if self.source != "self" and (self.prompts is not None or self.temperature != 1.0):
            raise ValueError("'prompts' and 'temperature' go with the source self, whose answers are drawn")
        return self

    @property
    def file(self) -> Path | None:
        """Where its rows are, if that is a file."""
        named = self.source in ("self", "builtin") or self.source.startswith("hub:")
        return None if named else Path(self.source)

    def beside(self, folder: Path) -> Source:
        """The same with its files looked for in this folder."""
        found = {"source": str(folder / self.file)} if self.file else {}
        if self.prompts is not None:
            found["prompts"] = str(folder / self.prompts)
        return self.model_copy(update=found)


class Data(Part):
    """What is trained on; a bare string or a list is short for its `sources`."""

    sources: tuple[Source, ...] = Field(default=(Source(source="builtin"),), min_length=1)
    tokens: int = Field(default=65_536, ge=64)
    """Training tokens at most, over all sources, without those held out."""
    held_out: float = Field(default=0.05, gt=0, lt=0.5, allow_inf_nan=False)
    """Share of the documents that only decides which checkpoint is best."""
    window: int = Field(default=256, ge=16)
    """Tokens in one row; documents are packed into rows and do not see each other."""
    pieces: bool = False
    """Plain text: of every document a window at random, then of every one a second, instead of whole documents."""
    response_only: bool = True
    """Instruction and chat data: the loss counts what the assistant says, not what it is asked."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            given = {"sources": given}
        alone = isinstance(given.get("sources"), str | dict)
        return {**given, "sources": [given["sources"]]} if alone else given

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it reads."""
        named = [path for source in self.sources for path in (source.file, source.prompts) if path is not None]
        return tuple(Path(path) for path in named)

    def beside(self, folder: Path) -> Data:
        """The same with all files looked for in this folder."""
        return self.model_copy(update={"sources": tuple(source.beside(folder) for source in self.sources)})


class Recovery(Part):
    """How lost quality is brought back; a bare name is short for one of NAMED."""

    rule: str = "uniform"
    """A plug-in of `compress.recovery`."""
    options: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    """The rule's own options; those not given are filled in with their defaults."""
    objective: Literal["next_token", "distill"] = "distill"
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Of both distributions in distillation."""
    next_token: float = Field(default=0.0, ge=0, le=1)
    """Share of the next-token loss in the objective distill."""
    hidden: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Weight of the relative squared error of the residual stream behind every decoder layer."""
    data: Data = Data()
    epochs: int = Field(default=1, ge=1)
    rank: int = Field(default=16, ge=1)
    """LoRA rank of every projection, or the mean that a rule hands out; alpha is twice the rank, so the scale is 2."""
    norms: bool = True
    """Train norm weights and biases of the decoder layers and the final norm too."""
    learning_rate: float = Field(default=1e-3, gt=0, lt=1, allow_inf_nan=False)
    """The highest, after warm-up; a cosine takes it to a tenth."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    batch: int = Field(default=1, ge=1)
    """Rows of one optimiser step."""
    accumulate: int = Field(default=1, ge=1)
    """Forward passes that a step is parted into; it saves memory, not time."""
    clip: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Highest norm of a step's gradient."""
    evaluate_every: int = Field(default=100, ge=1)
    """Steps between two measurements of the held-out loss."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many of them without a new best; None: never before the end."""
    save_every: int = Field(default=100, ge=1)
    """Steps between two states on disk, from which an interrupted training goes on."""
    checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward and backward pass. auto: bfloat16 where the machine has instructions for it, else float32."""
    merge: bool = True
    """Add the adapters into the weights; false: keep them apart, in the folder adapter/ of the saved model."""
    seed: int = Field(default=0, ge=0)
    """Of the adapters' first values and of the order of the rows."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if given not in NAMED:
            raise ValueError(f"unknown recovery '{given}'; allowed: none, {', '.join(NAMED)}, or a mapping")
        return NAMED[given]

    @field_validator("rule")
    @classmethod
    def _known(cls, name: str) -> str:
        rules.FOLDER.load(name)
        return name

    @field_validator("options")
    @classmethod
    def _complete(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "rule" not in info.data:
            return options
        return options_of(rules.FOLDER.make(info.data["rule"], options))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.objective == "next_token" and (self.next_token or self.hidden):
            raise ValueError("'next_token' and 'hidden' mix into the objective distill; objective is next_token")
        if self.objective == "next_token" and self.temperature != 1.0:
            raise ValueError("'temperature' is of the objective distill; objective is next_token")
        if not (self.merge or self.chosen().merges or self.chosen().apart):
            raise ValueError(f"the rule {self.rule} has no adapters that could stay apart; leave 'merge: false' out")
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} rows cannot be parted into {self.accumulate} equal parts")
        return self

    @property
    def apart(self) -> bool:
        """Whether adapters stay beside the weights."""
        return self.chosen().apart or not self.merge

    def chosen(self) -> rules.Rule:
        """The rule with its options."""
        made: rules.Rule = rules.FOLDER.make(self.rule, self.options)
        return made
