"""The command line: one file per verb, loaded only when called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from compress.errors import CompressError
from harness.commands.saying import say
from harness.errors import HarnessError
from reports.errors import ReportError
from suites.errors import SuiteError

COMMANDS = (
    "init",
    "check",
    "power",
    "run",
    "search",
    "compress",
    "recipes",
    "methods",
    "compare",
    "report",
    "site",
    "view",
    "trend",
    "suggest",
    "baseline",
    "store",
    "schedule",
    "ls",
    "show",
    "sync",
    "outbox",
    "suite",
    "assertions",
    "lm-eval",
    "doctor",
)
COULD_NOT_FINISH = 3
INTERRUPTED = 130


class Commands(click.Group):
    """A group whose commands are the modules beside this file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"harness.commands.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
@click.version_option(package_name="secateur")
def secateur(debug: bool) -> None:
    """Prune a language model, compare it with its original, and say honestly whether it still does its job.

    Exit codes: 0 PASS, 1 REGRESSION, 2 INCONCLUSIVE, 3 bad input or could not finish.
    """


def entry(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code."""
    debug = "--debug" in arguments
    try:
        return int(secateur.main(list(arguments), prog_name="secateur", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 0
    except click.ClickException as error:
        error.show()
        return COULD_NOT_FINISH
    except (click.Abort, KeyboardInterrupt):
        say("secateur: interrupted; the same command goes on where it stopped", err=True)
        return INTERRUPTED
    except (HarnessError, SuiteError, CompressError, ReportError, OSError) as error:
        if debug:
            raise
        say(f"secateur: {error}", err=True)
        return COULD_NOT_FINISH
    except Exception as error:
        if debug:
            raise
        say(f"secateur: a bug: {type(error).__name__}: {error}; `secateur --debug ...` shows where", err=True)
        return COULD_NOT_FINISH


def main() -> None:
    sys.exit(entry(sys.argv[1:]))
