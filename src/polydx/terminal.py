"""What the command line shows: progress, studies, findings, runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table

from polydx.errors import counted

WIDE = 120
"""Columns where there is no terminal to ask."""

SHOWN = 10
"""Settings of a search that are shown."""

out, err = Console(highlight=False), Console(stderr=True, highlight=False)


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
            columns = (
                TextColumn("{task.fields[what]:<28}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self.bar = Bar(*columns, console=err)
            self.bar.start()
            self.task = self.bar.add_task("", total=total, what=what)

    def step(self, what: str) -> None:
        """Advance it."""
        self.done += 1
        if self.bar is not None:
            self.bar.update(self.task, advance=1, what=what)
        elif self.done == self.total or self.done % max(1, self.total // 20) == 0:
            err.print(f"{self.what} {self.done}/{self.total}: {what}", markup=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        err.print(text, markup=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


@contextmanager
def progress() -> Iterator[Terminal]:
    """Give a progress display that is closed however the work ends."""
    terminal = Terminal()
    try:
        yield terminal
    finally:
        terminal.close()


def line(text: str) -> None:
    """Print one line as it is: no markup, no wrapping that would break a path."""
    out.print(text, markup=False, soft_wrap=True)


def tell(text: str) -> None:
    """Print one line as it is to stderr."""
    err.print(text, markup=False, soft_wrap=True)


def print_study(study: Any) -> None:
    """Print what a study holds."""
    described = study.describe()
    label = " [SIMULATED]" if described["simulated"] else ""
    line(f"{described['name']}{label}: {described['samples']} samples of {described['patients']} patients")
    for name, m in described["modalities"].items():
        extent = f", {m['points']} points {m['from']:g}-{m['to']:g} cm^-1" if "points" in m else ""
        kind = "rows of a table" if m["kind"] == "table" else m["kind"]
        there = described["samples"] - m["samples_without"]
        line(f"  {name}: {m['rows']} {kind}{extent}; {there} samples with, {m['samples_without']} without")
    if len(described["modalities"]) > 1:
        told = [
            f"{n['samples']} {pattern.replace('+', ' + ') or 'none of them'}"
            for pattern, n in described["availability"].items()
        ]
        line(f"  samples by what they have: {', '.join(told)}")
    for name, t in described["tasks"].items():
        classes = ", ".join(f"{c} {n['patients']} ({n['samples']})" for c, n in t["classes"].items())
        line(f"  {name} ({t['level']}): patients (samples) {classes}; {t['unlabelled']} samples unlabelled")
    for note in described["notes"]:
        line(f"  note: {note}")


def print_sizes(sizes: Mapping[str, Any]) -> None:
    """Print how large each network is, one a line."""
    for name, size in sizes.items():
        line(f"  recipe {name}: {size.parameters:,} parameters, {size.multiply_adds:,} multiply-adds an input")


def print_findings(findings: list[Any]) -> None:
    """Print the findings of the checks, one a line."""
    for f in findings:
        line(f"{f.severity}: {f.check}: {f.where}: {f.message}")
    if not findings:
        line("no problems found")


def print_runs(folder: Path, variants: Sequence[str]) -> None:
    """Print a finished run, or those of the variants that ran, and the page that sets them side by side."""
    for name in variants:
        if (folder / name / "metrics.json").is_file():
            line(f"variant {name}")
            print_run(folder / name)
    if not variants:
        print_run(folder)
    if len(variants) > 1 and (folder / "compare.html").is_file():
        line(f"side by side: {folder / 'compare.html'}")


def print_run(folder: Path) -> None:
    """Print the table that matters and where the report is."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    simulated = " (SIMULATED)" if metrics["simulated"] else ""
    table = Table(title=f"{metrics['study']}{simulated}: {metrics['split']}, 95 % intervals", box=box.SIMPLE)
    for column in ("task", "recipe", "n", "AUROC", "accuracy", "balanced accuracy"):
        table.add_column(column, no_wrap=True)
    for task in next(iter(metrics["recipes"].values()))["tasks"]:
        for recipe, found in metrics["recipes"].items():
            table.add_row(task, recipe, *_row(found["tasks"][task]))
    console = out if out.is_terminal else Console(width=WIDE, highlight=False)
    console.print(table)
    print_endpoint(metrics)
    line(f"report: {folder / 'report.html'}")


def print_explanation(folder: Path) -> None:
    """Print the strongest bands or parts of each class, and where the files are."""
    from polydx.report.explained import UNITS

    about = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    for found in about["classes"]:
        told = "" if found["correlation_of_folds"] is None else f"; folds correlate {found['correlation_of_folds']:.2f}"
        against = "" if found["against"] == "none" else f" against {found['against']}"
        line(f"{about['task']}: {found['class']}{against}, {counted(found['patients'], 'patient')}{told}")
        if found.get("parts") or found.get("bands"):
            what = "mean, and mean size" if "parts" in found else "strongest bands"
            line(f"  {what}; {UNITS[about['method']]}")
        for part in found.get("parts", []):
            line(f"  {part['part']:<24} {part['mean']:+.4f}  size {part['size']:.4f}")
        for band in found.get("bands", []):
            line(f"  {band['wavenumber']:7.1f} cm^-1  {band['value']:+.4f}  {band['molecules']}")
        if "sanity" in found:
            verdict = (
                "depends on what was learnt" if found["sanity"]["passed"] else "DOES NOT DEPEND on what was learnt"
            )
            line(f"  sanity: the map {verdict} (rank correlation {found['sanity']['similarity']:.2f})")
    for found in about.get("auroc", []):
        _print_auroc(found, about["repeats"])
    line(f"explanation: {folder}")


def _print_auroc(found: Mapping[str, Any], repeats: int) -> None:
    """Print by how much the AUROC of a class falls, column by column."""
    what = f"AUROC of {found['class']} against the rest, {counted(found['n'], found['level'])}"
    if found["reason"]:
        line(f"{what}: none, since {found['reason']}")
        return
    line(f"{what}: {found['auroc']:.3f}; it loses, ± SD over {repeats} repeats,")
    for part in found["parts"][:8]:
        line(f"  {part['part']:<24} {part['drop']:+.3f} ± {part['sd']:.3f}")


def print_endpoint(metrics: Mapping[str, Any]) -> None:
    """Print the declared endpoint of an external validation, or its comparisons, each in one line."""
    primary = metrics.get("primary")
    if primary is not None and metrics["split"] == "external":
        found = metrics["recipes"][primary["recipe"]]["tasks"][primary["task"]][primary["level"]][primary["metric"]]
        line(f"primary endpoint, {primary['metric']} of {primary['task']} by {primary['level']}: {_interval(found)}")
    for c in metrics["comparisons"]:
        pair = f"primary endpoint, {c['metric']} of {c['task']} by {c['level']}: {c['a']} - {c['b']}"
        if c.get("difference") is None:
            line(f"{pair}: not compared ({c.get('reason', 'no reason given')})")
            continue
        reach = f"({c['reason']})" if c.get("low") is None else f"({c['low']:+.3f} to {c['high']:+.3f})"
        tested = "not tested" if c.get("p_holm") is None else f"p = {c['p_holm']:.3g}"
        line(f"{pair} = {c['difference']:+.3f} {reach}, {tested} ({c['test']}, Holm)")


def _row(levels: Mapping[str, Any]) -> list[str]:
    level = "patient" if levels.get("patient") else "sample"
    found = levels.get(level) or {}
    cells = [_interval(found.get(k)) for k in ("auroc", "accuracy", "balanced_accuracy")]
    return [f"{found['n']} {level}s" if "n" in found else "-", *cells]


def _interval(found: Any) -> str:
    if not found or found.get("estimate") is None:
        return "-"
    if found.get("low") is None:
        return f"{found['estimate']:.3f}"
    return f"{found['estimate']:.3f} ({found['low']:.3f}-{found['high']:.3f})"


@contextmanager
def download_bar(what: str) -> Iterator[Any]:
    """Give a callback (bytes done, bytes in all or None) that draws a download."""
    if not err.is_terminal:
        yield _told_downloads(what)
        return
    with Bar(TextColumn(what, markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=err) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _told_downloads(what: str) -> Any:
    """Tell a log every 10 MiB."""
    told = [-1]

    def tell(done: int, total: int | None) -> None:
        if done // (10 << 20) > told[0]:
            told[0] = done // (10 << 20)
            err.print(f"{what}: {done >> 20} MiB" + (f" of {total >> 20} MiB" if total else ""))

    return tell


def print_search(found: Any) -> None:
    """Print the best settings of a search, and what is written."""
    from polydx.recipes.search import in_words

    metric = found.metric.replace("_", " ")
    table = Table(box=box.SIMPLE)
    for column in ("trial", metric, "settings"):
        table.add_column(column)
    for trial in found.ranked[:SHOWN]:
        table.add_row(str(trial.number), f"{trial.score:.4g}", in_words(trial.settings) or "as written")
    out.print(table)
    line(f"{found.note()}. Chosen on these patients: to judge it, `polydx run` with the `search:` in place")
