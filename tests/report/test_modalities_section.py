"""The report of recipes of several modalities: what they need, and whom they answer."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_pages import Page
from report_runs import RESAMPLES, build_run

from polydx.report.html import write_report
from polydx.report.sections.good import how_good
from polydx.report.sections.modalities import loss_in_words, named, which_modalities
from polydx.report.view import View
from polydx.validation.missing import missing_figures, scenario_losses
from polydx.validation.scores import score_predictions


def several(run, absent=()):
    """The run as if its recipes used an image too, which the patients `absent` lack; scenarios and weights with it."""
    table, rng = run.predictions, np.random.default_rng(5)
    lists = [["raman"] if p in absent else ["raman", "image"] for p in table["patient"]]
    table = table.assign(modalities=lists)
    noise = np.repeat(rng.uniform(0.2, 0.8, len(table) // 2), 2)
    first = np.arange(len(table)) % 2 == 0
    poor = table.assign(probability=np.where(first, noise, 1 - noise))
    without = poor.assign(scenario="without:image", modalities=[["raman"]] * len(table))
    scenarios = pd.concat([without, poor.assign(scenario="at-random:0.3")], ignore_index=True)
    samples = table.drop_duplicates(["recipe", "sample"])[["recipe", "seed", "fold", "sample", "patient"]]
    weights = pd.concat([samples.assign(modality=m, weight=w) for m, w in (("raman", 0.25), ("image", 0.75))])
    metrics = dict(run.metrics)
    for name, by_task in missing_figures(table, scenarios, run.tasks, resamples=RESAMPLES, seed=0).items():
        for task, found in by_task.items():
            metrics["recipes"][name]["tasks"][task] |= found
    primary = metrics["primary"]
    metrics["scenario_losses"] = scenario_losses(
        table, scenarios, run.tasks, resamples=RESAMPLES, seed=0, primary=primary
    )
    return replace(run, predictions=table, metrics=metrics, scenarios=scenarios, modality_weights=weights)


def test_a_run_of_single_modalities_has_no_such_section(tmp_path):
    assert which_modalities(View(build_run(tmp_path))) is None


@pytest.mark.slow
def test_the_section_says_what_recipes_lose_and_what_they_weighed(tmp_path):
    run = several(build_run(tmp_path), absent=("tiny/p000", "tiny/p001", "tiny/p002"))
    page = Page(write_report(run))
    assert "6. Which modalities does it need?" in page.text
    uses = next(t for t in page.tables if t[0] == ["recipe", "uses", "answers"])
    assert uses[1] == ["logistic", "raman, image", "12 patients, 36 samples"]
    taken = next(t for t in page.tables if t[0][:2] == ["recipe", "test samples"])
    assert [row[:3] for row in taken[1:3]] == [
        ["logistic", "without image", "12"],
        ["logistic", "30 % missing at random", "12"],
    ]
    found = run.metrics["recipes"]["logistic"]["tasks"]["disease"]["scenarios"]["without:image"]["patient"]
    assert taken[1][3].startswith(f"{found['auroc']['estimate']:.3f}")
    patterns = next(t for t in page.tables if t[0][1] == "patients with")
    assert [row[:3] for row in patterns[1:3]] == [["logistic", "image + raman", "9"], ["logistic", "raman", "3"]]
    assert any("Attention weights, not importance" in caption for caption in page.captions)
    assert "loses less than half" in page.text or "could be shown" in page.text
    data = pd.read_csv(next((tmp_path / "figures").glob("*modality-weights.csv")))
    assert list(data["median"]) == [0.25, 0.75] * 2


@pytest.mark.slow
def test_recipes_that_answer_fewer_patients_are_named_and_compared_on_those_both_answer(tmp_path):
    run = build_run(tmp_path)
    table = run.predictions
    gone = (table["recipe"] == "forest") & table["patient"].isin(["tiny/p000", "tiny/p001"])
    own = np.where(table["recipe"] == "forest", "image", "raman")
    lists = [
        ["raman", "image"] if r == "raman" and p > "tiny/p001" else [r]
        for r, p in zip(own, table["patient"], strict=True)
    ]
    table = table.assign(modalities=lists)[~gone].reset_index(drop=True)
    scored = score_predictions(table, run.tasks, resamples=RESAMPLES, primary=run.metrics["primary"])
    for found in scored["recipes"].values():
        found["seconds"] = {"fit": 1.0, "predict": 1.0}
    page = Page(write_report(replace(run, predictions=table, metrics=run.metrics | scored)))
    assert "forest answers 10 of 12 patients: the others have none of its modalities." in page.text
    assert "logistic − forest: on the 10 patients that both answer." in page.text
    assert "confusion matrix, 10 patients" in page.text


def test_decisions_at_a_fitted_threshold_stand_in_a_table_of_their_own(tmp_path):
    run = build_run(tmp_path)
    cut = np.where(run.predictions["recipe"] == "forest", 0.3, np.nan)
    section = how_good(View(replace(run, predictions=run.predictions.assign(threshold=cut))))
    decided = [b for b in section.blocks if b.kind == "table" and list(b.head[:2]) == ["recipe", "threshold"]]
    assert [b.head[2:] for b in decided] == [["accuracy", "sensitivity", "specificity", "PPV", "NPV"]] * 2
    assert [row[:2] for row in decided[0].rows] == [["forest", "0.30"]]


@pytest.mark.parametrize(
    ("scenario", "words"),
    [("without:image", "without image"), ("only:raman", "raman only"), ("at-random:0.3", "30 % missing at random")],
)
def test_scenarios_have_names_a_reader_understands(scenario, words):
    assert named(scenario) == words


def loss(difference, half, **changes):
    def spread(bounds):
        return {"estimate": sum(bounds) / 2, "low": bounds[0], "high": bounds[1]}

    return {
        "scenario": "at-random:0.3", "task": "als", "level": "patient", "metric": "auroc", "a": "attention",
        "b": "concat", "n": 40, "loss_a": spread((0.0, 0.1)), "loss_b": spread((0.1, 0.3)),
        "difference": spread(difference), "half": spread(half), "ratio": {"estimate": None, "low": None, "high": None},
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("difference", "half", "words"),
    [
        ((-0.3, -0.1), (-0.2, -0.01), "attention loses less than half of what concat loses."),
        ((-0.3, -0.1), (-0.1, 0.1), "attention loses less than concat; that it loses less than half of it could not"),
        ((0.1, 0.3), (0.1, 0.4), "attention loses more than concat."),
        ((-0.1, 0.3), (-0.1, 0.4), "no difference between the losses of attention and concat could be shown."),
    ],
)
def test_losses_are_told_by_their_intervals(difference, half, words):
    assert words in loss_in_words(loss(difference, half))


def test_losses_that_were_not_compared_say_why():
    told = loss_in_words({**{k: v for k, v in loss((0, 1), (0, 1)).items() if k != "loss_a"}, "reason": "no unit"})
    assert told == "AUROC of als, 30 % missing at random: attention and concat could not be compared: no unit."
