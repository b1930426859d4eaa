"""The command line: parse, call one workflow, print. One verb a job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from polydx import __version__
from polydx.errors import PolydxError

app = typer.Typer(
    name="polydx",
    help="Diagnostic classifiers from patients' spectra, images and tables, judged on patients the model never saw.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data_app = typer.Typer(help="Named studies: look at them.", no_args_is_help=True)
app.add_typer(data_app, name="data")
out, err = Console(), Console(stderr=True, highlight=False)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study: data, tasks, recipes, validation.")]
DataDir = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder with one folder a named study (or POLYDX_DATA).")]
Recipes = Annotated[list[str] | None, typer.Option("--recipe", metavar="NAME", help="Only this recipe; may be repeated.")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, metavar="N", help="Fits side by side; default: all cores. Results do not depend on it.")]
Seeds = Annotated[list[int] | None, typer.Option("--seed", min=0, metavar="N", help="In place of the YAML's seeds; may be repeated.")]


class Terminal:
    """Progress on a terminal: a bar; elsewhere: plain lines."""

    def __init__(self) -> None:
        self.bar: Bar | None = None
        self.task: Any = None
        self.done = self.total = 0
        self.what = ""

    def begin(self, what: str, total: int) -> None:
        """Start a bar."""
        self.close()
        self.what, self.total, self.done = what, total, 0
        if err.is_terminal:
            columns = (TextColumn("{task.fields[what]:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
            self.bar = Bar(*columns, console=err)
            self.bar.start()
            self.task = self.bar.add_task("", total=total, what=what)

    def step(self, what: str) -> None:
        """Advance it."""
        self.done += 1
        if self.bar is not None:
            self.bar.update(self.task, advance=1, what=what)
        elif self.done == self.total or self.done % max(1, self.total // 20) == 0:
            err.print(f"{self.what} {self.done}/{self.total}: {what}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        err.print(text, markup=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


@contextmanager
def _progress() -> Iterator[Terminal]:
    terminal = Terminal()
    try:
        yield terminal
    finally:
        terminal.close()


@app.command(epilog="Example: polydx check studies/als-saliva.yaml --data data")
def check(study: StudyFile, data: DataDir = None) -> None:
    """Look for mistakes and leakage without training anything."""
    from polydx import workflows

    with _progress() as progress:
        prepared = workflows.check(study, data=data, progress=progress)
    _print_study(prepared.study)
    _print_findings(prepared.findings)
    if any(f.severity == "error" for f in prepared.findings):
        raise typer.Exit(1)


@app.command(epilog="Example: polydx run studies/als-saliva.yaml --data data --out runs/als")
def run(
    study: StudyFile,
    data: DataDir = None,
    out_dir: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Run folder; default runs/<study>. Started again, it goes on where it stopped.")] = None,
    recipe: Recipes = None,
    jobs: Jobs = None,
    seed: Seeds = None,
) -> None:
    """Cross-validate every recipe on the same folds: run folder, metrics, report."""
    from polydx import workflows

    with _progress() as progress:
        folder = workflows.run(study, data=data, out=out_dir, recipes=recipe or (), seeds=seed or (), jobs=jobs, progress=progress)
    _print_run(folder)


@app.command(epilog="Example: polydx demo --out runs/demo")
def demo(
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Run folder.")] = Path("runs/demo"), jobs: Jobs = None
) -> None:
    """Run the main job on a simulated cohort: minutes, no download."""
    from polydx import workflows

    with _progress() as progress:
        folder = workflows.demo(out=out_dir, jobs=jobs, progress=progress)
    _print_run(folder)


@app.command(epilog="Example: polydx report runs/als")
def report(run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")]) -> None:
    """Write report.html of a finished run again."""
    from polydx import workflows

    out.print(f"{workflows.report(run_folder)}")


@app.command(epilog="Example: polydx train studies/als-saliva.yaml --data data --recipe logistic --out models/als")
def train(
    study: StudyFile,
    recipe: Annotated[str, typer.Option("--recipe", metavar="NAME", help="The recipe to fit on all patients.")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model.")],
    data: DataDir = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Seed of the fit.")] = 0,
) -> None:
    """Fit one recipe on all patients and write the model."""
    from polydx import workflows

    with _progress() as progress:
        folder = workflows.train(study, recipe=recipe, out=out_dir, data=data, seed=seed, progress=progress)
    out.print(f"model: {folder}")


@app.command(epilog="Example: polydx predict models/als new/*.txt --out answers.csv")
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `polydx train` wrote.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Spectra; a file may hold several.")],
    out_file: Annotated[Path | None, typer.Option("--out", metavar="FILE.csv", help="Where to write; default: the terminal.")] = None,
) -> None:
    """Predict spectra with a trained model."""
    from polydx import workflows
    from polydx.io.atomic import replacing

    with _progress() as progress:
        answers = workflows.predict(model, files, progress=progress)
    if out_file is None:
        sys.stdout.write(answers.to_csv(index=False))
        return
    with replacing(out_file) as temporary:
        answers.to_csv(temporary, index=False)
    err.print(f"{len(answers)} predictions: {out_file}")


@data_app.command("inspect", epilog="Example: polydx data inspect als-saliva --data data")
def inspect(
    name: Annotated[str, typer.Argument(metavar="NAME|STUDY.yaml", help="A named study, or your own.")], data: DataDir = None
) -> None:
    """Show what a study holds: patients, measurements, classes, what the reader noticed."""
    from polydx import load_study

    _print_study(load_study(name, data))


@app.callback(invoke_without_command=True)
def version_option(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Print the version if asked."""
    if version:
        out.print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; an error of the user's becomes one message and exit code 1."""
    try:
        app()
    except PolydxError as error:
        err.print(f"{type(error).__name__}: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("stopped; finished folds are kept: the same command goes on from there")
        sys.exit(130)


def _print_study(study: Any) -> None:
    described = study.describe()
    label = " [SIMULATED]" if described["simulated"] else ""
    out.print(f"{described['name']}{label}: {described['samples']} samples of {described['patients']} patients", markup=False)
    for name, m in described["modalities"].items():
        extent = f", {m['points']} points {m['from']:g}-{m['to']:g} cm^-1" if "points" in m else ""
        out.print(f"  {name}: {m['rows']} {m['kind']}{extent}; {m['samples_without']} samples without", markup=False)
    for name, t in described["tasks"].items():
        classes = ", ".join(f"{c} {n['patients']} ({n['samples']})" for c, n in t["classes"].items())
        out.print(f"  {name} ({t['level']}): patients (samples) {classes}; {t['unlabelled']} samples unlabelled", markup=False)
    for note in described["notes"]:
        out.print(f"  note: {note}", markup=False)


def _print_findings(findings: list[Any]) -> None:
    for f in findings:
        out.print(f"{f.severity}: {f.check}: {f.where}: {f.message}", markup=False)
    if not findings:
        out.print("no problems found")


def _print_run(folder: Path) -> None:
    """Print the table that matters and where the report is."""
    import json

    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    simulated = " (SIMULATED)" if metrics["simulated"] else ""
    table = Table(title=f"{metrics['study']}{simulated}: {metrics['split']}, 95 % intervals")
    for column in ("recipe", "task", "level", "n", "AUROC", "accuracy", "balanced accuracy"):
        table.add_column(column)
    for recipe, found in metrics["recipes"].items():
        for task, levels in found["tasks"].items():
            level = "patient" if levels.get("patient") else "sample"
            m = levels[level]
            cells = [_interval(m.get(k)) for k in ("auroc", "accuracy", "balanced_accuracy")]
            table.add_row(recipe, task, level, str(m.get("n", "")), *cells)
    out.print(table)
    out.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def _interval(found: Any) -> str:
    if not found or found.get("estimate") is None:
        return "-"
    if found.get("low") is None:
        return f"{found['estimate']:.3f}"
    return f"{found['estimate']:.3f} ({found['low']:.3f}-{found['high']:.3f})"
