"""3. Can I believe it: the split, what a split by sample would have claimed, checks, calibration."""

from __future__ import annotations

from typing import Any

import pandas as pd

from polydx.errors import counted
from polydx.report.blocks import Block, Details, Heading, Notice, Section, Table, Text
from polydx.report.figures.intervals import leakage_gap
from polydx.report.sections.calibrated import calibration_blocks
from polydx.report.sections.common import picture
from polydx.report.sections.external import other_centre
from polydx.report.view import View
from polydx.report.words import DASH, estimate, interval, metric_name, number

SEVERITIES = ("error", "warning", "note")


def can_i_believe_it(view: View) -> Section:
    """Return everything that bears on trust in the figures."""
    blocks: list[Block] = []
    if view.simulated:
        blocks.append(
            Notice(
                "simulated",
                "The data are simulated: the figures say how the method works on made-up patients, and nothing about"
                " real ones.",
            )
        )
    if view.external:
        blocks += other_centre(view)
        blocks += [Heading("Checks of the data"), *_checks(view)]
        blocks += [Heading("Resampling"), *_undefined(view)]
    else:
        blocks += [Heading("Split by patient"), *_split(view)]
        blocks += [Heading("What a split by sample would have claimed"), *_gap(view)]
        blocks += [Heading("Checks of the data before training"), *_checks(view)]
        blocks += [Heading("Repetition and resampling"), *_seeds(view), Text(SHARED_TRAINING), *_undefined(view)]
    blocks += [Heading("Calibration"), *calibration_blocks(view)]
    return Section("believe", "Can I believe it?", blocks)


def patients_on_both_sides(splits: pd.DataFrame) -> int:
    """Return in how many cases a patient stands in training and test of one fold, counted from splits.csv."""
    sides = splits.drop_duplicates(["seed", "fold", "patient", "role"])
    return int(sides.duplicated(["seed", "fold", "patient"]).sum())


SHARED_TRAINING = (
    "Intervals and tests take the predictions of different patients as independent. Models of different folds share"
    " most of their training patients, so they are not quite, and the intervals are somewhat too narrow: where there"
    " is nothing to learn they hold the truth in fewer than 95 % of cohorts (docs/trust.md says in how many). They do"
    " not say how a model trained on other patients would have done."
)


def _how(view: View) -> str:
    """Say in words how patients were held out."""
    split, folds, patients = view.run.metrics.get("split"), view.run.metrics.get("folds"), view.run.study["patients"]
    column = view.run.config.validation.column
    if split == "leave-one-patient-out":
        return (
            f"Leave one patient out: each of the {patients} patients was left out once; all samples of that patient "
            "were predicted by models fitted on the samples of the others."
        )
    if split == "leave-one-centre-out":
        return (
            f"Leave one centre out (column {column or 'centre'}, {folds} centres): all patients of a centre were"
            " predicted by models fitted on the patients of the other centres."
        )
    if split == "predefined":
        return f"Folds as the study defines them (column {column}): {folds} folds, whole patients only."
    stratified = ", stratified by class" if split == "stratified-group-k-fold" else ""
    return (
        f"{folds}-fold cross-validation by patient{stratified}: each of the {patients} patients was in the test part"
        " once per seed, with all samples."
    )


def _split(view: View) -> list[Block]:
    splits = view.run.splits
    how = (
        _how(view)
        + " Everything that is fitted (preprocessing, model, calibration, early stopping) was fitted inside the"
        " training part of each fold."
    )
    blocks: list[Block] = [Text(how)]
    if splits.empty:
        return [
            *blocks,
            Notice(
                "warning", "splits.csv is not there or empty: that patients were kept apart could not be counted again."
            ),
        ]
    both = patients_on_both_sides(splits)
    done = splits.drop_duplicates(["seed", "fold"])
    if both:
        blocks.append(
            Notice(
                "error",
                f"{counted(both, 'case')} of a patient on both sides of a fold: the figures of this run are not valid.",
            )
        )
    else:
        blocks.append(
            Text(
                f"Counted again from splits.csv: in none of the {counted(len(done), 'fold')}"
                f" ({counted(done['seed'].nunique(), 'seed')}) does a patient stand on both sides."
            )
        )
    return blocks


def _gap(view: View) -> list[Block]:
    found: dict[str, Any] = view.run.metrics.get("leakage_gap") or {}
    if not found:
        return [Text("Not measured: the run has no recipe for it.")]
    known = {task: gap for task, gap in found.items() if _both(gap)}
    blocks: list[Block] = [Text(_gap_sentence(task, gap)) for task, gap in found.items()]
    if not known:
        return blocks
    rows = pd.DataFrame(
        [
            {
                "task": task,
                "metric": gap["metric"],
                "split": name,
                **{k: gap[key].get(k) for k in ("estimate", "low", "high")},
            }
            for task, gap in known.items()
            for key, name in (("by_sample", "by sample"), ("by_patient", "by patient"))
        ]
    ).astype(dict.fromkeys(("estimate", "low", "high"), float))
    any_gap = next(iter(known.values()))
    caption = (
        f"The same recipe ({any_gap['recipe']}), metric and size of the training set, {any_gap['level']} level, once"
        " split by sample (a patient's samples on both sides) and once by patient. Whiskers: 95 % interval, resampled"
        " by patient. All other figures of this report are split by patient."
    )
    alt = " ".join(_gap_sentence(task, gap) for task, gap in known.items())
    return [*blocks, picture(view, "leakage-gap", lambda: leakage_gap(rows), caption, alt, rows)]


def _both(gap: dict[str, Any]) -> bool:
    return all((gap.get(key) or {}).get("estimate") is not None for key in ("by_sample", "by_patient"))


def _gap_sentence(task: str, gap: dict[str, Any]) -> str:
    if not _both(gap):
        return f"{task}: not measured: {gap.get('reason', 'not computed')}."
    by_sample, by_patient = gap["by_sample"], gap["by_patient"]
    claimed = by_sample["estimate"] - by_patient["estimate"]
    bounds = interval(gap.get("gap") or {})
    spread = f" (95 % interval {bounds})" if bounds else ""
    told = (
        f"would have claimed {number(claimed)}{spread} more"
        if claimed > 0
        else f"would have claimed no more: {number(claimed)}{spread}"
    )
    return (
        f"{task}: a split by sample {told}: {metric_name(gap['metric'])} ({gap['level']} level) of {gap['recipe']} "
        f"is {estimate(by_sample)} by sample and {estimate(by_patient)} by patient."
    )


def _checks(view: View) -> list[Block]:
    found = sorted(view.run.checks, key=lambda f: SEVERITIES.index(f.get("severity", "note")))
    if not found:
        return [
            Text("No findings: no copies across patients, no column that gives the answer away, no class too small.")
        ]
    return [Notice(f.get("severity", "note"), f"{f['check']} ({f['where']}): {f['message']}") for f in found]


def _seeds(view: View) -> list[Block]:
    seeds = view.run.metrics.get("seeds", [0])
    if len(seeds) < 2:
        return [
            Text(
                f"One seed ({', '.join(map(str, seeds))}): how far figures move when folds and fits are drawn anew was"
                " not measured."
            )
        ]
    rows = []
    for task in view.tasks:
        for recipe in view.recipes(task):
            figures = view.figures(recipe, task, view.level(task))
            if figures:
                spread = [figures[m].get("sd_seeds") for m in ("auroc", "accuracy", "balanced_accuracy")]
                rows.append([recipe, task, view.level(task), *map(number, spread)])
    head = ["recipe", "task", "level", *map(metric_name, ("auroc", "accuracy", "balanced_accuracy"))]
    return [
        Table(
            f"Standard deviation over {len(seeds)} seeds ({', '.join(map(str, seeds))}) of each seed's metric.",
            head,
            rows,
            numbers=3,
        )
    ]


def undefined_counts(view: View) -> list[list[str]]:
    """Return recipe, task, level, metric and number of the resamples in which a metric is not defined."""
    found = []
    for recipe, content in view.metrics.items():
        for task, levels in content["tasks"].items():
            for level in ("patient", "sample"):
                for metric, value in (levels.get(level) or {}).items():
                    if isinstance(value, dict) and value.get("undefined"):
                        found.append([recipe, task, level, metric_name(metric), str(value["undefined"])])
    return found


def _undefined(view: View) -> list[Block]:
    rows = undefined_counts(view)
    resamples = view.run.metrics.get("resamples", DASH)
    if not rows:
        return [Text(f"Every metric was defined in all {resamples} resamples of patients.")]
    told = (
        f"{counted(len(rows), 'figure')} could not be computed in some of the {resamples} resamples of patients (a"
        " class not predicted, or perfectly separated). Their intervals leave those resamples out and are too narrow."
    )
    table = Table(
        f"Resamples, of {resamples}, in which a metric was not defined.",
        ["recipe", "task", "level", "metric", "resamples"],
        rows,
        numbers=4,
    )
    return [Text(told), Details("Which figures", [table])]
