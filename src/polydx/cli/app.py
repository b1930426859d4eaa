"""The program itself: its name, its help, and how its errors are told."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from polydx import __version__, terminal
from polydx.errors import PolydxError

app = typer.Typer(
    name="polydx",
    help="Diagnostic classifiers from patients' spectra, images and tables, judged on patients the model never saw.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data_app = typer.Typer(help="Named studies: list, fetch, inspect.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@app.callback(invoke_without_command=True)
def version_option(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Print the version if asked."""
    if version:
        terminal.out.print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; an error of the user's becomes one message and exit code 1."""
    # Threads of torch that wait in a loop take the cores from those they wait for, as soon as another job runs beside.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        app()
    except PolydxError as error:
        terminal.err.print(f"{_public_name(error)}: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        terminal.err.print(f"{type(error).__name__}: {_told(error)}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        terminal.err.print("stopped; finished folds are kept: the same command goes on from there")
        sys.exit(130)


def _public_name(error: PolydxError) -> str:
    """Return the name of the error's class, or of the one in `polydx.errors` that it refines."""
    return next(c.__name__ for c in type(error).__mro__ if c.__module__ == PolydxError.__module__)


def _told(error: OSError) -> str:
    """Return which file the system refused and why, in one line."""
    if error.filename is None:
        return f"the system refused to read or write a file: {error}"
    return f"{error.filename} cannot be read or written: {error.strerror}; name another place, or mend permissions"
