"""5. What was done: recipes, validation, tuning, time, learning curves, mean spectra, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from polydx.config import MissingConfig, TrainingConfig
from polydx.errors import counted
from polydx.io.config_file import to_yaml
from polydx.report.blocks import Block, Code, Details, Heading, Section, Table, Text
from polydx.report.figures.fitting import class_spectra, learning_curves
from polydx.report.searches import searched
from polydx.report.sections.common import picture
from polydx.report.sections.tripod import tripod_items
from polydx.report.view import View
from polydx.report.words import DASH, listed, number, percent

CURVES = {"loss": "training patients", "monitor": "inner patients (held out inside training)"}


def what_was_done(view: View) -> Section:
    """Return everything needed to judge and repeat the run."""
    blocks: list[Block] = [
        Heading("Recipes"),
        _recipes(view),
        Text(_tuned(view)),
        Heading("Validation"),
        _validation(view),
    ]
    blocks += _learning(view)
    blocks += _spectra(view)
    blocks += [Heading("Where it ran"), _environment(view), Heading("How to repeat it"), *_repeat(view)]
    blocks.append(Details("Where this report answers TRIPOD+AI", [_tripod(view)]))
    return Section("done", "What was done?", blocks)


def plain(value: Any) -> str:
    """Return a piece of configuration as a reader would write it: 'window 11, order 3'."""
    if isinstance(value, Mapping):
        if "name" in value:
            options = value["params"] if "params" in value else {k: v for k, v in value.items() if k != "name"}
            return str(value["name"]) + (f" ({plain(options)})" if options else "")
        return ", ".join(f"{k} {plain(v)}" for k, v in value.items() if v is not None) or "none"
    if isinstance(value, list | tuple):
        steps = any(isinstance(v, Mapping) for v in value)
        return (" → " if steps else ", ").join(map(plain, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _recipes(view: View) -> Block:
    if view.external:
        about = view.run.metrics["bundle"]["about"]
        return Text(
            f"The bundle holds the recipe {about['recipe']}, fitted with seed {about['seed']} on"
            f" {counted(about['samples'], 'sample')} of {counted(about['patients'], 'patient')} of '{about['study']}'"
            f" by polydx {about['polydx']}; its settings stand in its model card (card.md)."
        )
    rows = []
    for name, config in view.run.config.recipes.items():
        found = config.model_dump(mode="json", exclude_none=True)
        parts = [
            f"{key.replace('_', ' ')}: {plain(value)}"
            for key, value in found.items()
            if key != "kind" and value not in ({}, [])
        ]
        seconds = view.metrics.get(name, {}).get("seconds", {})
        spent = [number(seconds.get(k), 1) for k in ("fit", "predict")]
        rows.append([name, str(found["kind"]), "; ".join(parts), *spent])
    caption = (
        "Recipes as run, defaults included; seconds are summed over all folds and seeds, as measured on the machine"
        " below, and vary."
    )
    return Table(caption, ["recipe", "kind", "settings", "s fitting", "s predicting"], rows, numbers=3)


def _tuned(view: View) -> str:
    """Say what was chosen on which patients."""
    searches = searched(view.run.metrics.get("notes", []))
    before = "with the bundle" if view.external else "in the configuration before the run"
    what = "other settings" if searches else "settings"
    found = [f"What was tuned on what: {what} were fixed {before}; nothing was chosen on test patients.", *searches]
    lengths: dict[str, list[str]] = {}
    for name, config in view.run.config.recipes.items():
        if config.kind == "network":
            lengths.setdefault(_how_long(config.training), []).append(name)
    found += [f"{listed(names)}: {told}." for told, names in lengths.items()]
    for name, config in view.run.config.recipes.items():
        for named, way in (config.calibration or {}).items():
            if way == "temperature":
                whose = "of every task" if named == "*" else f"of {named}"
                found.append(f"{name}: temperature {whose} fitted inside the training part of each fold.")
        for named, point in (config.operating_point or {}).items():
            whom = "every two-class task" if named == "*" else named
            found.append(f"{name}: threshold of {whom} by the rule {plain(point.model_dump(exclude_none=True))}.")
    cuts = view.run.predictions[["recipe", "task", "threshold"]].dropna().drop_duplicates()
    for (recipe, task), own in cuts.groupby(["recipe", "task"], sort=False):
        low, high = own["threshold"].min(), own["threshold"].max()
        where = "on inner patients of training" if view.external else "inside the training part of each fold"
        reach = number(low) if low == high else f"{number(low)} to {number(high)}"
        found.append(f"{recipe}, {task}: threshold fitted {where} ({reach}).")
    if cuts.empty:
        found.append("Two-class tasks are decided at a probability of 0.5, others by the largest probability.")
    return " ".join(found)


def _how_long(training: TrainingConfig) -> str:
    if training.patience is None:
        return f"trained for {counted(training.epochs, 'epoch')}, no early stopping"
    share = percent(training.inner_share)
    return f"epoch chosen by the loss of inner patients, {share} of the training patients of each fold"


def _validation(view: View) -> Table:
    v = view.run.config.validation
    if view.external:
        asked = view.primary
        endpoint = DASH if asked is None else f"{asked['metric']} of {asked['task']}, {asked['level']} level"
        own = [
            ["split", "none: a finished model was evaluated"],
            ["resamples of patients", str(v.bootstrap)],
            ["primary endpoint", endpoint],
        ]
        return Table("Validation settings.", ["setting", "value"], own, numbers=9)
    primary = v.primary
    declared = (
        DASH
        if primary is None
        else (
            f"{primary.metric} of {primary.recipe}, task {primary.task}, {primary.level} level, against"
            f" {listed(primary.opponents) if primary.opponents else 'all others'}"
        )
    )
    rows: list[list[str]] = [
        ["split", v.split],
        ["folds", str(view.run.metrics.get("folds", v.folds))],
        [
            "stratified by",
            (
                plain(v.stratify)
                if v.stratify
                else "the task of the primary endpoint, else the first"
                if "stratified" in v.split
                else DASH
            ),
        ],
        ["seeds", ", ".join(map(str, v.seeds))],
        ["resamples of patients", str(v.bootstrap)],
        ["threads a fit", str(v.threads_per_fit)],
        ["missing at test time", _missing(v.missing)],
        ["primary endpoint", declared],
    ]
    return Table("Validation settings.", ["setting", "value"], rows, numbers=9)


def _missing(asked: MissingConfig) -> str:
    """Return what is taken from the test samples of recipes of several modalities, in words."""
    parts = ["each modality in turn"] * asked.without_each + ["all modalities but each"] * asked.only_each
    parts += [] if asked.at_random is None else [f"{100 * asked.at_random:g} % at random"]
    return listed(parts) if parts else DASH


def learning_frame(history: pd.DataFrame) -> pd.DataFrame:
    """Return `recipe`, `curve`, `epoch`, `median`, `low`, `high` (10th and 90th percentile), `fits` of a history."""
    frames = []
    for column, label in CURVES.items():
        if column not in history:
            continue
        own = history.dropna(subset=[column]).groupby(["recipe", "epoch"], sort=False)[column]
        if own.ngroups:
            found = own.agg(
                median="median", low=lambda x: x.quantile(0.1), high=lambda x: x.quantile(0.9), fits="size"
            ).reset_index()
            frames.append(found.assign(curve=label))
    if not frames:
        return pd.DataFrame(columns=["recipe", "curve", "epoch", "median", "low", "high", "fits"])
    return pd.concat(frames, ignore_index=True).sort_values(
        ["recipe", "curve", "epoch"], ascending=[True, False, True], ignore_index=True
    )


def _learning(view: View) -> list[Block]:
    history = view.run.history
    if history.empty or "epoch" not in history:
        return []
    data = learning_frame(history)
    if data.empty:
        return []
    best: dict[str, list[float]] = {}
    if "best" in history:
        best = {str(r): sorted(own["epoch"]) for r, own in history[history["best"] == 1].groupby("recipe")}
    fits = history.drop_duplicates(["recipe", "seed", "fold"]).groupby("recipe").size()
    told = listed([f"{recipe} {counted(int(n), 'fit')}" for recipe, n in fits.items()])
    caption = (
        f"Learning curves ({told}): median over fits, band from the 10th to the 90th percentile of the fits still"
        " running at that epoch; green ticks: epochs whose weights were kept. A band may leave the frame. No test"
        " patient is in either curve."
    )
    figure = picture(
        view, "learning-curves", lambda: learning_curves(data, best), caption, f"Loss by epoch: {told}", data
    )
    return [Heading("Learning curves"), figure]


def _spectra(view: View) -> list[Block]:
    blocks: list[Block] = []
    for modality, tasks in view.run.study.get("class_means", {}).items():
        for task, found in tasks.items():
            if not found["classes"]:
                continue
            people = listed([f"{own['patients']} {name}" for name, own in found["classes"].items()])
            several = (
                " A patient with samples of several classes counts in each of them."
                if view.run.tasks[task].level == "sample"
                else ""
            )
            caption = (
                f"{modality}: mean spectrum of each class of {task} ({people}, patients in brackets in the figure),"
                " before any preprocessing. Lines: mean of the patients' mean spectra; bands: one standard deviation"
                f" between patients.{several}"
            )
            frame = pd.DataFrame(
                {"cm-1": found["axis"]}
                | {f"{name} {key}": own[key] for name, own in found["classes"].items() for key in ("mean", "sd")}
            )
            blocks.append(
                picture(
                    view,
                    f"spectra-{modality}-{task}",
                    partial(class_spectra, found["axis"], found["classes"]),
                    caption,
                    f"Mean spectra of {people}",
                    frame,
                )
            )
    return [Heading("Mean spectra"), *blocks] if blocks else []


def _environment(view: View) -> Text:
    e = view.run.environment
    packages = ", ".join(f"{name} {version}" for name, version in e.get("packages", {}).items())
    known = [f"{word} {e[key]}" for key, word in (("polydx", "polydx"), ("python", "Python")) if key in e]
    machine = [str(e["system"])] if "system" in e else []
    cores = [counted(int(e["cores"]), "core")] if e.get("cores") else []
    return Text(f"{', '.join([*known, *machine, *cores])}; {packages}.")


def _repeat(view: View) -> list[Block]:
    config = view.run.config
    if config.study.samples is not None:  # where the file lay on somebody's disk is nobody else's business
        config = config.model_copy(
            update={
                "study": config.study.model_copy(
                    update={"samples": config.study.samples.__class__(config.study.samples.name)}
                )
            }
        )
    data = " --data DIR" if config.study.dataset is not None and not view.simulated else ""
    command = f"polydx run config.yaml{data} --out repeated"
    if view.external:
        command = f"polydx evaluate BUNDLE config.yaml{data} --out repeated"
    return [
        Text("In the run folder, with the versions above; the same machine gives the same predictions, byte for byte:"),
        Code(f"{command}\npolydx compare . repeated"),
        Details("The whole configuration (config.yaml)", [Code(to_yaml(config).rstrip())]),
    ]


def _tripod(view: View) -> Table:
    caption = (
        "Items of TRIPOD+AI (Collins et al. 2024, BMJ 385:e078378), shortened, and where they are answered; 'authors'"
        " marks what no software can know."
    )
    return Table(caption, ["item", "what", "where"], [list(row) for row in tripod_items(view.external)], numbers=9)
