"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study: data, tasks, recipes, validation.")]
DataDir = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder with one folder a named study (or POLYDX_DATA).")
]
Recipes = Annotated[
    list[str] | None, typer.Option("--recipe", metavar="NAME", help="Only this recipe; may be repeated.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, metavar="N", help="Fits side by side; default: all cores. Results do not depend on it."
    ),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="In place of the YAML's seeds; may be repeated."),
]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", metavar="NAME", help="Only this one of the YAML's `variants:`; may be repeated."),
]
