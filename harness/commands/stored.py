"""Where a command reads stored results from."""

from __future__ import annotations

from pathlib import Path

import click

OUT = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
SHARED = click.option(
    "--store",
    "shared",
    metavar="FOLDER|URL",
    help="Read what `secateur store push` put there instead: a shared folder, or s3://bucket/team.",
)
