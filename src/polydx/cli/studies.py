"""Verbs about studies and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polydx import terminal
from polydx.cli.app import app
from polydx.cli.options import DataDir, Jobs, Recipes, Seeds, StudyFile, Variants


@app.command(epilog="Example: polydx init my-folder, then edit my-folder/study.yaml")
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Your spectra and their table.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a study.yaml that is there.")] = False,
) -> None:
    """Look at a folder and write a first study.yaml to edit."""
    from polydx import workflows

    written, notes = workflows.init(folder, force=force)
    for note in notes:
        terminal.line(f"note: {note}")
    for path in written:
        terminal.line(f"written: {path}")
    terminal.line(f"next: look through it, then `polydx check {written[0]}`")


@app.command(epilog="Example: polydx check studies/als-saliva.yaml --data data")
def check(study: StudyFile, data: DataDir = None) -> None:
    """Look for mistakes and leakage without training anything."""
    from polydx import workflows

    findings = []
    names: list[str | None] = [*workflows.variants(study)]
    for variant in names or [None]:
        with terminal.progress() as progress:
            prepared = workflows.check(study, data=data, variant=variant, progress=progress)
        if variant is not None:
            terminal.line(f"variant {variant}:")
        terminal.print_study(prepared.study)
        terminal.print_sizes(prepared.sizes)
        terminal.print_findings(prepared.findings)
        findings += prepared.findings
    if any(f.severity == "error" for f in findings):
        raise typer.Exit(1)


@app.command(epilog="Example: polydx run studies/als-saliva.yaml --data data --out runs/als")
def run(
    study: StudyFile,
    data: DataDir = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Run folder; default runs/<study>. Started again, it goes on where it stopped."
        ),
    ] = None,
    recipe: Recipes = None,
    jobs: Jobs = None,
    seed: Seeds = None,
    variant: Variants = None,
) -> None:
    """Cross-validate every recipe on the same folds: run folder, metrics, report."""
    from polydx import workflows

    with terminal.progress() as progress:
        folder = workflows.run(
            study,
            data=data,
            out=out_dir,
            recipes=recipe or (),
            seeds=seed or (),
            variants=variant or (),
            jobs=jobs,
            progress=progress,
        )
    terminal.print_runs(folder, variant or workflows.variants(study))


@app.command(epilog="Example: polydx demo --out runs/demo")
def demo(
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Run folder.")] = Path("runs/demo"),
    jobs: Jobs = None,
) -> None:
    """Run the main job on a simulated cohort: minutes, no download."""
    from polydx import workflows

    with terminal.progress() as progress:
        folder = workflows.demo(out=out_dir, jobs=jobs, progress=progress)
    terminal.print_run(folder)


@app.command(epilog="Example: polydx report runs/als")
def report(run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")]) -> None:
    """Write report.html of a finished run again."""
    from polydx import workflows

    terminal.line(f"{workflows.report(run_folder)}")


@app.command(epilog="Example: polydx compare runs/als runs/als-without-cnn --out comparison.html")
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Finished run folders.")],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="Where to write.")] = Path(
        "comparison.html"
    ),
) -> None:
    """Put finished runs side by side in one page."""
    from polydx import workflows

    terminal.line(f"{workflows.compare(runs, out=out_file)}")


@app.command(epilog="Example: polydx tune study.yaml --recipe svm --out runs/tune-svm")
def tune(
    study: StudyFile,
    recipe: Annotated[str, typer.Option("--recipe", metavar="NAME", help="A recipe with a `search:` section.")],
    out_dir: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder for the trials. Started again, it goes on where it stopped."),
    ],
    data: DataDir = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Seed of the search.")] = 0,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, metavar="N", help="Settings to try, in place of the YAML's.")
    ] = None,
    variant: Annotated[str | None, typer.Option("--variant", metavar="NAME", help="As this variant has it.")] = None,
) -> None:
    """Search for the settings of a recipe on inner folds of all patients, and see what was tried.

    To judge them, leave `search:` in the recipe and use `run`: it searches inside the training part of every fold.
    """
    from polydx import workflows

    with terminal.progress() as progress:
        folder, found = workflows.tune(
            study, recipe=recipe, out=out_dir, data=data, seed=seed, trials=trials, variant=variant, progress=progress
        )
    terminal.print_search(found)
    terminal.line(f"trials and recipe: {folder}")
