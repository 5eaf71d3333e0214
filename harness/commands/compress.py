"""secateur compress MODEL --recipe R --out DIR: one candidate and its receipt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.saying import say

if TYPE_CHECKING:
    from compress import Receipt, Shape
    from compress.shape import Layout
    from harness.candidates.making import Order
    from harness.models.subject import Subject
    from harness.progress import Progress

PATH = click.Path(path_type=Path)


@click.command("compress", short_help="Make one smaller model, and say what was done to it.")
@click.argument("model", metavar="MODEL")
@click.option("--recipe", metavar="NAME|FILE", help="A packaged recipe, or a YAML file.")
@click.option("--out", "target", type=PATH, metavar="PATH", help="New folder, or file of an export.")
@click.option("--dry-run", is_flag=True, help="Print what would be cut, and change nothing.")
@click.option("--sparsity", type=float, metavar="SHARE", help="Remove this much, whatever the recipe says.")
@click.option("--recovery", metavar="NAME", help="none, layerwise, lora, distill or full, whatever the recipe says.")
@click.option("--shape-out", type=PATH, metavar="FILE", help="Also write what stays, layer by layer, to edit it.")
@click.option("--shape", "shape_in", type=PATH, metavar="FILE", help="Keep what this file says.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "uniform", "hetero", "padded"]),
    default="auto",
    show_default=True,
    help="uniform: equal layers; hetero: a class of its own in any case; padded: zeros up to the stock sizes.",
)
@click.option("--export", type=click.Choice(["gguf", "decilm"]), help="Write for llama.cpp or vLLM instead.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Of the weights.",
)
@click.option("--low-memory", is_flag=True, help="Layer by layer, for a model that does not fit into memory.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(
    model: str,
    recipe: str | None,
    target: Path | None,
    dry_run: bool,
    sparsity: float | None,
    recovery: str | None,
    shape_out: Path | None,
    shape_in: Path | None,
    layout: Layout,
    export: str | None,
    dtype: str,
    low_memory: bool,
    quiet: bool,
) -> int:
    """Compress MODEL (hub id, folder, .gguf file or smollm2-135m) by a recipe into the new folder PATH.

    --dry-run prints the plan instead. What a calibration saw is kept in the cache, so another sparsity or method on
    the same text needs no second pass. --export without a recipe writes MODEL as it is.
    """
    from compress.loader import load_recipe, with_recovery
    from harness import drafts
    from harness.candidates.making import Order, adjusted
    from harness.candidates.preview import previewed, read_shape, write_shape
    from harness.errors import HarnessError
    from harness.models.subject import Subject
    from harness.progress import shown
    from harness.records import ModelSpec

    _refuse_any(
        {
            "give either --out PATH or --dry-run": (target is None) != dry_run,
            "--recipe is missing; only --export goes without": recipe is None and (export is None or dry_run),
            "without --recipe nothing is cut, so leave --sparsity, --shape and --shape-out out": recipe is None
            and any((sparsity, shape_in, shape_out)),
            "--shape says what stays, so leave --sparsity out": None not in (shape_in, sparsity),
            "--export has a layout of its own; only --layout uniform goes with it": export is not None
            and layout in ("hetero", "padded"),
            "without --recipe there is nothing to recover, so leave --recovery out": recipe is None
            and recovery is not None,
            "--low-memory writes folders only, and has no --dry-run": low_memory and (dry_run or export is not None),
        }
    )
    spec = ModelSpec("original", model, dtype=dtype)
    with shown(quiet) as progress:
        if recipe is None:
            lines = _exported(Subject(spec, progress), target or Path(), str(export))
        else:
            chosen = adjusted(load_recipe(recipe), sparsity, layout)
            if recovery is not None:
                chosen = with_recovery(chosen, recovery)
            if (shape_in or shape_out) and chosen.chosen().removes == "weights":
                raise click.UsageError(f"{chosen.method} zeroes single weights, so no layer changes its shape")
            shape = read_shape(shape_in) if shape_in else None
            if shape_out is not None and not drafts.has_place(shape_out):
                raise HarnessError(f"{shape_out}: cannot write: no folder {shape_out.parent}, or a folder itself")
            order = Order(chosen, target or Path(), layout, export, shape, probe=True)
            work = _streamed if low_memory else previewed if dry_run else _made
            found, lines = work(Subject(spec, progress), order, progress)
            if shape_out is not None and found is not None:
                write_shape(found, shape_out)
                lines.append(f"what stays is in {shape_out}; edit it, and cut with --shape {shape_out}")
    say("\n".join(lines))
    return 0


def _refuse_any(clashes: dict[str, bool]) -> None:
    for message, wrong in clashes.items():
        if wrong:
            raise click.UsageError(message)


def _made(original: Subject, order: Order, progress: Progress) -> tuple[Shape | None, list[str]]:
    """Compress, and say what came of it."""
    from compress.checkpoints import checkpoint
    from harness.candidates.calibrations import gathered
    from harness.candidates.making import exporter, make
    from harness.candidates.preview import fact

    checkpoint.refuse_target(order.target)
    if order.export is not None:
        exporter(order.export, original.plain(), order.target)
    seen = gathered(original, order.recipe.calibration, order.needs, progress)
    receipt = make(original, order, progress, seen.stats)
    return receipt.shape, _result(receipt, order, fact("statistics", seen.line()))


def _streamed(original: Subject, order: Order, progress: Progress) -> tuple[Shape | None, list[str]]:
    """The same, layer by layer."""
    from harness.candidates.making import streamed

    receipt = streamed(original.spec, order, progress)
    return receipt.shape, _result(receipt, order)


def _exported(original: Subject, target: Path, export: str) -> list[str]:
    """Write the model as it is in another format."""
    from compress.checkpoints import checkpoint
    from harness.candidates.making import exporter
    from harness.candidates.preview import fact

    checkpoint.refuse_target(target)
    loaded = original.plain()
    notes = exporter(export, loaded, target).write(loaded.model, loaded.tokenizer, target, None)
    return [*(fact("note", note) for note in notes), f"saved in {target}"]


def _result(receipt: Receipt, order: Order, *facts: str) -> list[str]:
    """What was done, in lines. facts: more of them, after the recipe."""
    from compress.checkpoints import checkpoint
    from harness.candidates.preview import fact, ratio_lines, recipe_lines, recovery_lines

    notes = [fact("note", note) for note in receipt.notes]
    recovered = recovery_lines(receipt.recovery) if receipt.recovery else []
    lines = [*recipe_lines(order.recipe), *facts, *ratio_lines(receipt.ratios), *recovered, *notes]
    if order.export is not None:
        return [*lines, f"saved in {order.target}, with the receipt"]
    trust = ", trust_remote_code=True" if (order.target / checkpoint.MODELING).is_file() else ""
    return [
        *lines,
        f"saved in {order.target}, with receipt.json beside the weights",
        f"open it: AutoModelForCausalLM.from_pretrained({str(order.target)!r}{trust})",
    ]
