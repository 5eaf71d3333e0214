"""secateur compress MODEL --recipe R --out DIR: one candidate and its receipt."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("compress", short_help="Make one smaller model, and say what was done to it.")
@click.argument("model", metavar="MODEL")
@click.option("--recipe", required=True, metavar="NAME|FILE", help="A packaged recipe, or a YAML file.")
@click.option("--out", "folder", type=click.Path(path_type=Path), required=True, metavar="DIR", help="New folder.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(model: str, recipe: str, folder: Path, quiet: bool) -> int:
    """Compress MODEL (hub id, folder, .gguf file or smollm2-135m) by a recipe into the new folder DIR."""
    from compress import load_recipe
    from harness.making import make
    from harness.progress import shown
    from harness.records import ModelSpec
    from harness.subject import Subject

    chosen = load_recipe(recipe)
    with shown(quiet) as progress:
        receipt = make(Subject(ModelSpec("original", model), progress), chosen, folder, progress)
    for name, value in receipt.ratios.items():
        click.echo(f"{name:8s} {'-' if value is None else format(value, '.4f')}")
    click.echo(f"saved in {folder}, with receipt.json beside the weights")
    trust = "" if receipt.shape.uniform else ", trust_remote_code=True"
    click.echo(f"open it: AutoModelForCausalLM.from_pretrained({str(folder)!r}{trust})")
    return 0
