"""Runs side by side: what each found, and whether they may be compared at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from polydx.errors import ConfigError, PolydxError
from polydx.io.atomic import write_text
from polydx.report.blocks import Block, Bullets, Cell, Code, Heading, Notice, Picture, Section, Table, Text
from polydx.report.comparable import differences, run_names, why_not_paired
from polydx.report.figures.intervals import metric_intervals
from polydx.report.html import numbered, render
from polydx.report.sections.common import metric_cell, units
from polydx.report.sections.compared import in_words
from polydx.report.style import drawing, to_svg
from polydx.report.view import View
from polydx.report.words import DASH, TEST_NAMES, interval, listed, metric_name, number, p_value
from polydx.validation.run_folder import Run
from polydx.validation.scores import score_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = ("auroc", "accuracy", "balanced_accuracy")
LEVELS = ("patient", "sample")


def write_comparison(runs: list[Run], out: Path) -> Path:
    """Write one self-contained page that sets the recipes of several runs side by side.

    Differences are tested only between recipes of one name, on the same patients and samples; otherwise the page says
    why not.

    Args:
        runs: at least two finished runs.
        out: the file, or a folder to write compare.html into.

    Returns:
        The path of the page.

    Raises:
        ConfigError: fewer than two runs.
        PolydxError: a predictions table is not what it should be.
    """
    if len(runs) < 2:
        raise ConfigError(f"a comparison needs at least two runs, got {len(runs)}: `polydx compare RUN RUN`")
    views, names = [View(run) for run in runs], run_names(runs)
    warnings = differences(runs, names)
    sections = [
        Section("same", "May they be compared?", _warnings(warnings, names)),
        Section("figures", "What did they find?", _figures(views, names)),
        Section("tests", "Do they differ?", _tests(views, names)),
        Section("settings", "What was done differently?", _settings(views, names)),
    ]
    path = out / "compare.html" if out.suffix != ".html" else out
    page = render(
        title="comparison of polydx runs",
        heading=listed(names),
        subtitle="Recipes of several runs side by side",
        simulated=any(view.simulated for view in views),
        sections=numbered(sections)[0],
        version=str(runs[0].environment.get("polydx", "")),
    )
    write_text(path, page)
    return path


def _warnings(found: Sequence[str], names: Sequence[str]) -> list[Block]:
    if not found:
        return [Text(f"{listed(names)} have the same study, patients, samples, tasks, folds and seeds: yes.")]
    return [Notice("warning", text) for text in found]


def _figures(views: Sequence[View], names: Sequence[str]) -> list[Block]:
    blocks: list[Block] = []
    for task in dict.fromkeys(task for view in views for task in view.tasks):
        blocks.append(Heading(task))
        for level in LEVELS:
            blocks += _level(views, names, task, level)
    return blocks


def _level(views: Sequence[View], names: Sequence[str], task: str, level: str) -> list[Block]:
    rows: list[list[str | Cell]] = []
    drawn: list[dict[str, Any]] = []
    notes: dict[str, None] = {}
    for recipe in dict.fromkeys(r for view in views for r in view.metrics):
        for view, name in zip(views, names, strict=True):
            found = view.figures(recipe, task, level) if recipe in view.metrics else None
            if not found:
                continue
            label = f"{recipe}, {name}"
            people = units(level, found["n"])
            rows.append(
                [recipe, name, people, *(metric_cell(found[m], notes, f"{label}, {metric_name(m)}") for m in METRICS)]
            )
            drawn += [
                {"recipe": label, "metric": m, **{k: found[m].get(k) for k in ("estimate", "low", "high")}}
                for m in METRICS
            ]
    if not rows:
        return []
    head = ["recipe", "run", "n", *map(metric_name, METRICS)]
    caption = f"{task}, {level} level: estimate with 95 % interval."
    table = Table(caption, head, rows, list(notes), numbers=3)
    data = pd.DataFrame(drawn).astype(dict.fromkeys(("estimate", "low", "high"), float))
    order = list(data["recipe"].unique())
    simulated = any(view.simulated for view in views)
    return [
        table,
        _picture(f"{task}-{level}", lambda: metric_intervals(data, {"auroc": 0.5}, order), caption, simulated),
    ]


def _picture(name: str, draw: Callable[[], Figure], caption: str, simulated: bool) -> Picture:
    with drawing():
        svg = to_svg(draw())
    mark = "SIMULATED DATA. " if simulated else ""
    return Picture(name, svg, f"{mark}{caption} The numbers stand in the table above.", f"{mark}{caption}")


def _tests(views: Sequence[View], names: Sequence[str]) -> list[Block]:
    """Return paired differences between runs, for recipes of one name on the same patients and samples."""
    first = views[0]
    endpoint = _endpoint(first)
    blocks: list[Block] = []
    found: list[dict[str, Any]] = []
    for view, name in zip(views[1:], names[1:], strict=True):
        reason = why_not_paired(first.run, view.run, endpoint["task"])
        if reason:
            blocks.append(Text(f"{names[0]} and {name}: not paired, so not tested: {reason}."))
            continue
        try:
            found += _paired(first.run, view.run, names[0], name, endpoint)
        except PolydxError as error:
            blocks.append(Text(f"{names[0]} and {name}: not tested: {error.message}."))
    if found:
        blocks += [
            _tested(found, endpoint),
            Bullets([in_words({**c, "p_holm": c["p"]}).replace(" after Holm", "") for c in found]),
        ]
    return blocks


def _endpoint(view: View) -> dict[str, Any]:
    """Return task, level and metric to test: the first run's declared ones, else AUROC of its first task."""
    declared = view.primary
    if declared is not None:
        return {key: declared[key] for key in ("task", "level", "metric")}
    task = next(iter(view.run.tasks))
    return {"task": task, "level": view.level(task), "metric": "auroc"}


def _paired(a: Run, b: Run, name_a: str, name_b: str, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for recipe in (r for r in a.metrics["recipes"] if r in b.metrics["recipes"]):
        tables = []
        for run, name in ((a, name_a), (b, name_b)):
            own = run.predictions[run.predictions["recipe"] == recipe]
            tables.append(own.assign(recipe=f"{recipe} ({name})"))
        primary = {**endpoint, "recipe": f"{recipe} ({name_a})", "versus": f"{recipe} ({name_b})"}
        resamples, seed = int(a.metrics.get("resamples", 2000)), int(a.config.validation.seeds[0])
        scored = score_predictions(
            pd.concat(tables, ignore_index=True), a.tasks, resamples=resamples, seed=seed, primary=primary
        )
        found += scored["comparisons"]
    return found


def _tested(found: Sequence[dict[str, Any]], endpoint: dict[str, Any]) -> Table:
    rows: list[list[str | Cell]] = [
        [
            f"{c['a']} − {c['b']}",
            Cell(number(c["difference"]), interval(c) or DASH),
            p_value(c["p"]),
            TEST_NAMES.get(c["test"] or "", DASH),
        ]
        for c in found
    ]
    caption = (
        f"Differences in {metric_name(endpoint['metric'])} ({endpoint['task']}, {endpoint['level']} level) of recipes"
        " of one name, paired on the same patients, with 95 % interval. p is not adjusted: none of these comparisons"
        " was declared before the runs."
    )
    notes = [f"{c['a']} − {c['b']}: {c['reason']}." for c in found if c.get("reason")]
    return Table(caption, ["difference", "estimate", "p", "test"], rows, notes)


def _settings(views: Sequence[View], names: Sequence[str]) -> list[Block]:
    """Return the lines of the configurations that are not the same in all runs."""
    from polydx.io.config_file import to_yaml

    texts = [to_yaml(view.run.config).splitlines() for view in views]
    common = set(texts[0]).intersection(*texts[1:])
    blocks: list[Block] = []
    for name, lines in zip(names, texts, strict=True):
        own = [line for line in lines if line not in common and not line.strip().startswith("samples:")]
        blocks += (
            [Heading(name), Code("\n".join(own))] if own else [Heading(name), Text("Nothing that the others have not.")]
        )
    return blocks
