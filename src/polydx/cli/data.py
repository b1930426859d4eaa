"""Verbs about named studies: `polydx data ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polydx import terminal
from polydx.cli.app import data_app
from polydx.cli.options import DataDir


@data_app.command("list", epilog="Example: polydx data list")
def list_datasets(data: DataDir = None) -> None:
    """List the named studies and whether they are here."""
    from polydx import workflows

    known = workflows.list_datasets(data)
    width = max(len(name) for name, _, _ in known)
    for name, summary, where in known:
        terminal.line(f"{name:<{width}} {summary}")
        terminal.line(f"{'':<{width}} {where}")


@data_app.command("fetch", epilog="Example: polydx data fetch als-saliva --data data")
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A named study; see `polydx data list`.")],
    from_dir: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Register this local copy instead of downloading.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Download a named study and verify every file, or register a local copy."""
    from polydx import workflows

    with terminal.download_bar(name) as tell:
        folder = workflows.fetch(name, from_dir=from_dir, data=data, progress=tell)
    terminal.line(f"{name}: {folder}")


@data_app.command("inspect", epilog="Example: polydx data inspect als-saliva --data data")
def inspect(
    name: Annotated[str, typer.Argument(metavar="NAME|STUDY.yaml", help="A named study, or your own.")],
    data: DataDir = None,
) -> None:
    """Show what a study holds: patients, measurements, classes, what the reader noticed."""
    from polydx import load_study

    terminal.print_study(load_study(name, data))
