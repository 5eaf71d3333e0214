"""secateur compress MODEL --recipe R --out DIR: one candidate and its receipt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from compress import Shape
    from harness.making import Layout, Order
    from harness.progress import Progress
    from harness.subject import Subject

PATH = click.Path(path_type=Path)


@click.command("compress", short_help="Make one smaller model, and say what was done to it.")
@click.argument("model", metavar="MODEL")
@click.option("--recipe", required=True, metavar="NAME|FILE", help="A packaged recipe, or a YAML file.")
@click.option("--out", "target", type=PATH, metavar="DIR", help="New folder.")
@click.option("--dry-run", is_flag=True, help="Print what would be cut, and change nothing.")
@click.option("--sparsity", type=float, metavar="SHARE", help="Remove this much, whatever the recipe says.")
@click.option("--shape-out", type=PATH, metavar="FILE", help="Also write what stays, layer by layer, to edit it.")
@click.option("--shape", "shape_in", type=PATH, metavar="FILE", help="Keep what this file says.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "uniform", "hetero", "padded"]),
    default="auto",
    show_default=True,
    help="uniform: equal layers; hetero: a class of its own in any case; padded: zeros up to the stock sizes.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Of the weights.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(
    model: str,
    recipe: str,
    target: Path | None,
    dry_run: bool,
    sparsity: float | None,
    shape_out: Path | None,
    shape_in: Path | None,
    layout: Layout,
    dtype: str,
    quiet: bool,
) -> int:
    """Compress MODEL (hub id, folder, .gguf file or smollm2-135m) by a recipe into the new folder DIR.

    --dry-run prints the plan instead. What a calibration saw is kept in the cache, so another sparsity or method on
    the same text needs no second pass.
    """
    from compress import load_recipe
    from harness.making import Order, adjusted
    from harness.preview import previewed, read_shape, write_shape
    from harness.progress import shown
    from harness.records import ModelSpec
    from harness.subject import Subject

    if (target is None) != dry_run:
        raise click.UsageError("give either --out DIR or --dry-run")
    if shape_in is not None and sparsity is not None:
        raise click.UsageError("--shape says what stays, so leave --sparsity out")
    chosen = adjusted(load_recipe(recipe), sparsity, layout)
    if (shape_in or shape_out) and chosen.chosen().removes == "weights":
        raise click.UsageError(f"{chosen.method} zeroes single weights, so all layers keep their shape")
    shape = read_shape(shape_in) if shape_in else None
    order = Order(chosen, target or Path(), layout, shape=shape, probe=True)
    with shown(quiet) as progress:
        original = Subject(ModelSpec("original", model, dtype=dtype), progress)
        found, lines = (previewed if target is None else _made)(original, order, progress)
    if shape_out is not None and found is not None:
        write_shape(found, shape_out)
        lines.append(f"what stays is in {shape_out}; edit it, and cut with --shape {shape_out}")
    click.echo("\n".join(lines))
    return 0


def _made(original: Subject, order: Order, progress: Progress) -> tuple[Shape | None, list[str]]:
    """Compress, and say what came of it."""
    from compress import checkpoint
    from harness.calibrations import gathered
    from harness.making import make
    from harness.preview import fact, ratio_lines, recipe_lines

    checkpoint.refuse_target(order.target)
    seen = gathered(original, order.recipe.calibration, order.needs, progress)
    receipt = make(original, order, progress, seen.stats)
    trust = ", trust_remote_code=True" if (order.target / checkpoint.MODELING).is_file() else ""
    return receipt.shape, [
        *recipe_lines(order.recipe),
        fact("statistics", seen.line()),
        *ratio_lines(receipt.ratios),
        *(fact("note", note) for note in receipt.notes),
        f"saved in {order.target}, with receipt.json beside the weights",
        f"open it: AutoModelForCausalLM.from_pretrained({str(order.target)!r}{trust})",
    ]
