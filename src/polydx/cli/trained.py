"""Verbs that make models, and that use them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from polydx import terminal
from polydx.cli.app import app
from polydx.cli.options import DataDir, StudyFile
from polydx.errors import ConfigError


@app.command(epilog="Example: polydx train studies/als-saliva.yaml --data data --recipe logistic --out als.zip")
def train(
    study: StudyFile,
    recipe: Annotated[str, typer.Option("--recipe", metavar="NAME", help="The recipe to fit on all patients.")],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE.zip", help="Where to write the bundle.")],
    data: DataDir = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Seed of the fit.")] = 0,
    variant: Annotated[str | None, typer.Option("--variant", metavar="NAME", help="As this variant has it.")] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="RUN", help="A run whose figures the bundle states; default: runs/<study>."),
    ] = None,
    include_training_data: Annotated[
        bool,
        typer.Option("--include-training-data", help="Allow models that keep patients' measurements (knn, svm)."),
    ] = False,
    sets: Annotated[
        bool, typer.Option("--sets/--no-sets", help="Fit inner folds too, for prediction sets (5 fits more).")
    ] = True,
) -> None:
    """Fit one recipe on all patients and write the model as a bundle: one file that runs without torch."""
    from polydx import workflows

    with terminal.progress() as progress:
        path = workflows.train(
            study,
            recipe=recipe,
            out=out_file,
            data=data,
            seed=seed,
            variant=variant,
            run=run,
            include_training_data=include_training_data,
            sets=sets,
            progress=progress,
        )
    terminal.line(f"bundle: {path}")


@app.command(epilog="Example: polydx predict als.zip new/*.txt --out answers.csv")
def predict(
    model: Annotated[Path, typer.Argument(metavar="BUNDLE", help="File that `polydx train` wrote.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES...", help="Spectra or images; or one table of samples that names them, a column a modality."
        ),
    ],
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="A .csv, .parquet or .json file; default: CSV on the terminal."),
    ] = None,
    patients: Annotated[
        str | None,
        typer.Option(
            "--patients",
            metavar="folder|COLUMN",
            help="Answers a patient too: files of a folder, or of a column's value.",
        ),
    ] = None,
) -> None:
    """Predict with a bundle: one answer a spectrum or image, or a file if the study had `unit: patient`."""
    from polydx import workflows
    from polydx.bundle.writing import as_text, check_ending
    from polydx.io.atomic import check_writable

    if patients is not None and out_file is None:
        raise ConfigError("`--patients` writes a second file, with an answer a patient: name the first by --out")
    if out_file is not None:
        check_ending(out_file)
        check_writable(out_file)
    with terminal.progress() as progress:
        if out_file is not None:
            count, written = workflows.predict_into(model, files, out_file, patients=patients, progress=progress)
        else:
            answers = workflows.predict(model, files, patients=patients, progress=progress)
    if out_file is None:
        sys.stdout.write(as_text(answers).to_csv(index=False))
        return
    terminal.err.print(f"{count} predictions: {', '.join(map(str, written))}")


@app.command(epilog="Example: polydx evaluate mine.zip other-centre/study.yaml --out runs/other-centre")
def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A file that `polydx train` wrote.")],
    study: StudyFile,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Run folder; default: runs/<study>-external.")
    ] = None,
    data: DataDir = None,
    variant: Annotated[str | None, typer.Option("--variant", metavar="NAME", help="As this variant has it.")] = None,
    seen: Annotated[
        Path | None,
        typer.Option("--seen", metavar="FILE", help="Write the samples here that the model was trained on."),
    ] = None,
) -> None:
    """External validation: how well a bundle does on labelled patients of another centre."""
    from polydx import workflows

    with terminal.progress() as progress:
        folder = workflows.evaluate(
            bundle, study, out=out_dir, data=data, variant=variant, seen=seen, progress=progress
        )
    terminal.print_run(folder)


@app.command(
    epilog="Example: polydx explain runs/demo --recipe cnn --task grade --method integrated_gradients --sanity"
)
def explain(
    model: Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="A finished run folder, or a bundle.")],
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="A study.yaml or a study's name; a run knows its own.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="The task to explain; needed where there are several.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME", help="Which one, of a run with several recipes.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Default: the positive class of two, all of more.")
    ] = None,
    sample: Annotated[
        str | None, typer.Option("--sample", metavar="ID", help="This sample alone; default: all test samples.")
    ] = None,
    method: Annotated[
        Literal["occlusion", "integrated_gradients", "grad_cam", "shapley", "permutation", "modalities"],
        typer.Option(
            "--method",
            help="Maps over spectra or images: occlusion of any recipe, grad_cam of networks; over spectra also "
            "integrated_gradients. Columns of a table: shapley, permutation. modalities: the share of each.",
        ),
    ] = "occlusion",
    modality: Annotated[
        str | None, typer.Option("--modality", metavar="NAME", help="Where the recipe uses several of the kind.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="CLASS", help="Held against it, or `none`; default: all other classes."),
    ] = None,
    window: Annotated[float, typer.Option("--window", metavar="CM-1", help="Width of an occluded window.")] = 20.0,
    stage: Annotated[str | None, typer.Option("--stage", metavar="STAGE", help="Of grad_cam, such as stage2.")] = None,
    sanity: Annotated[
        bool, typer.Option("--sanity", help="Compare with models that have learnt nothing: the map must change.")
    ] = False,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Default: explain/... in the run folder.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Show which part of a measurement the answers rest on: maps, figures, bands with what they may be."""
    from polydx import workflows

    options = workflows.ExplainOptions(method, modality, reference, window, stage, sanity)
    with terminal.progress() as progress:
        folder = workflows.explain(
            model,
            study,
            task=task,
            recipe=recipe,
            label=label,
            sample=sample,
            options=options,
            out=out_dir,
            data=data,
            progress=progress,
        )
    terminal.print_explanation(folder)


@app.command(epilog="Example: polydx serve models/als.zip --port 8000")
def serve(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Bundles that `polydx train` wrote.")],
    host: Annotated[str, typer.Option("--host", help="Address; only this machine by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="TCP port.")] = 8000,
    api_key_file: Annotated[
        Path | None, typer.Option("--api-key-file", metavar="FILE", help="Keys, one a line; requests must carry one.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Clients may call the server so; may be repeated."),
    ] = None,
    max_mb: Annotated[float, typer.Option("--max-mb", min=0.001, help="Of one request, in MB.")] = 64,
    max_files: Annotated[int, typer.Option("--max-files", min=1, help="Files or frames of one request.")] = 256,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to ask, and to answer.")] = 30,
) -> None:
    """Serve bundles on a web page and as a REST API; torch is not needed."""
    from polydx.serve import server
    from polydx.serve.options import Options, read_keys

    keys = read_keys(api_key_file) if api_key_file is not None else ()
    options = Options(host, port, keys, max_mb, max_files, timeout, tuple(allow_host or ()))
    server.run(server.load_all(bundles), options, say=terminal.tell)


@app.command(
    epilog="Example: polydx pretrain studies/covid-saliva.yaml --data data --recipe simclr --out covid.safetensors"
)
def pretrain(
    study: StudyFile,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME", help="A network recipe with a `pretrain:` section.")
    ],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE.safetensors", help="Where to write the weights.")],
    data: DataDir = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Seed of the fit.")] = 0,
) -> None:
    """Pretrain a network on a study; the weights record which patients they saw."""
    from polydx import workflows

    with terminal.progress() as progress:
        path, notes = workflows.pretrain(study, recipe=recipe, out=out_file, data=data, seed=seed, progress=progress)
    for note in notes:
        terminal.line(f"note: {note}")
    terminal.line(f"weights: {path}")


@app.command(
    epilog="Example: polydx extract als.zip studies/als-saliva.yaml --data data --stage embedding --out als.parquet"
)
def extract(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Bundle, pretrained weights, or run folder.")],
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study.yaml, or the name of a study.")],
    stage: Annotated[str, typer.Option("--stage", metavar="STAGE", help="Such as raman.stage3, or embedding.")],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .parquet or .csv file.")],
    flat: Annotated[bool, typer.Option("--flat", help="All positions side by side, not their mean.")] = False,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME", help="Of a run folder with several.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Cut the features of a network at a stage: one row a sample, with its id."""
    from polydx import workflows

    pool: Literal["average", "flat"] = "flat" if flat else "average"
    path, shape = workflows.extract(model, study, stage=stage, out=out_file, pool=pool, recipe=recipe, data=data)
    terminal.line(f"{shape[0]} samples x {shape[1]} features: {path}")
