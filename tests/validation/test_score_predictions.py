"""metrics.json from the predictions table: shape, intervals, reasons, levels, comparisons."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score, top_k_accuracy_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from validation_tables import ALS, SMEARS, als_table, rows, smears_table, softmax

from polydx.errors import ConfigError
from polydx.study import Task
from polydx.validation.comparisons import holm, mcnemar_exact
from polydx.validation.intervals import wilson
from polydx.validation.metrics import METRICS
from polydx.validation.scores import figures_table, score_predictions

FEW = 200
AUROC = {"recipe": "svm", "versus": None, "task": "als", "level": "patient", "metric": "auroc"}


def score(table, tasks=ALS, **kwargs):
    return score_predictions(table, tasks, resamples=kwargs.pop("resamples", FEW), **kwargs)


def figures(tree):
    """Every figure in a nest of dicts."""
    if "estimate" in tree:
        yield tree
    else:
        for value in tree.values():
            if isinstance(value, dict):
                yield from figures(value)


def test_every_figure_is_a_number_with_bounds_or_null_with_a_reason():
    found = score(als_table(separation := (("svm", 2.0), ("perfect", 400.0))))
    assert [*found["recipes"]] == [name for name, _ in separation]
    json.dumps(found, allow_nan=False)
    all_figures = list(figures(found["recipes"]))
    assert len(all_figures) > 100
    for f in all_figures:
        if f["estimate"] is None or f["low"] is None:
            assert f["reason"]
            assert f["high"] is None
        else:
            assert f["method"] in {"wilson", "delong", "newcombe", "bootstrap", "mover"}
            assert f["low"] <= f["high"]


def test_the_structure_is_that_of_metrics_json():
    task = score(als_table())["recipes"]["svm"]["tasks"]["als"]
    assert set(task) == {"patient", "sample", "mean_within_patient_accuracy"}
    assert (task["patient"]["n"], task["sample"]["n"], task["sample"]["n_patients"]) == (16, 64, 16)
    assert task["sample"]["classes"] == {"CTRL": 8, "ALS": 8}
    assert set(METRICS) < set(task["patient"])
    assert set(task["patient"]["per_class"]) == {"CTRL", "ALS"}
    assert task["patient"]["per_class"]["ALS"]["sensitivity"] == task["patient"]["sensitivity"]


def test_patient_figures_are_those_of_mean_probabilities():
    table = als_table((("svm", 0.5),))
    means = table[table["class"] == "ALS"].groupby("patient").agg(p=("probability", "mean"), y=("label", "first"))
    ill, called = means["y"] == "ALS", means["p"] >= 0.5
    found = score(table)["recipes"]["svm"]["tasks"]["als"]["patient"]
    assert found["auroc"]["estimate"] == pytest.approx(roc_auc_score(ill, means["p"]))
    assert found["auroc"]["method"] == "delong"
    accuracy = (ill == called).mean()
    assert (found["accuracy"]["low"], found["accuracy"]["high"]) == wilson(accuracy, 16)
    ppv = ill[called].mean()
    assert found["ppv"]["estimate"] == pytest.approx(ppv)
    assert (found["ppv"]["low"], found["ppv"]["high"]) == pytest.approx(wilson(ppv, called.sum()))
    assert found["f1"]["method"] == found["brier"]["method"] == "bootstrap"


def test_sample_figures_are_resampled_by_patient():
    table = als_table(patients=10, samples=200, spread=1.5)
    clustered = score(table, resamples=500)["recipes"]["svm"]["tasks"]["als"]["sample"]["accuracy"]
    apart = table.assign(patient=table["sample"])
    alone = score(apart, resamples=500)["recipes"]["svm"]["tasks"]["als"]["sample"]["accuracy"]
    assert clustered["method"] == "bootstrap"
    assert clustered["estimate"] == alone["estimate"]
    assert clustered["high"] - clustered["low"] > 1.5 * (alone["high"] - alone["low"])


def test_the_figure_of_several_seeds_is_the_mean_of_their_figures_not_of_an_ensemble():
    table = als_table(seeds=(0, 1, 2))
    found = score(table)["recipes"]["svm"]["tasks"]["als"]
    each = [score(table[table["seed"] == s])["recipes"]["svm"]["tasks"]["als"] for s in (0, 1, 2)]
    for level in ("patient", "sample"):
        for metric in ("auroc", "accuracy", "brier"):
            singles = [e[level][metric]["estimate"] for e in each]
            assert found[level][metric]["estimate"] == pytest.approx(np.mean(singles))
            assert found[level][metric]["sd_seeds"] == pytest.approx(np.std(singles, ddof=1))
    assert "sd_seeds" not in each[0]["patient"]["auroc"]


def seven_classes(seeds, patients=84):
    """A patient-level task of seven classes, drawn anew for each seed."""
    tasks = {"stage": Task(tuple(f"T{k}" for k in range(7)))}
    labels = np.arange(patients) % 7
    frames = []
    for seed in seeds:
        logits = np.random.default_rng(seed).normal(size=(patients, 7))
        logits[np.arange(patients), labels] += 1.5
        frames.append(rows(softmax(logits), labels, np.arange(patients), "stage", tasks, seed=seed))
    return pd.concat(frames, ignore_index=True), tasks


@pytest.mark.slow
def test_sensitivity_specificity_and_top_k_of_seven_classes_over_seeds_match_scikit_learn():
    table, tasks = seven_classes((0, 1, 2))
    found = score(table, tasks)["recipes"]["svm"]["tasks"]["stage"]["patient"]
    expected = {name: [] for name in ("accuracy", "sensitivity", "specificity", "top2_accuracy", "top3_accuracy")}
    for _, own in table.groupby("seed"):
        wide = own.pivot(index="patient", columns="class", values="probability")
        p, labels = wide.to_numpy(), own.groupby("patient")["label"].first().loc[wide.index].to_numpy()
        decided = wide.columns.to_numpy()[p.argmax(axis=1)]
        expected["accuracy"].append(accuracy_score(labels, decided))
        expected["sensitivity"].append(recall_score(labels, decided, average="macro"))
        expected["specificity"].append(np.mean([recall_score(labels != c, decided != c) for c in wide.columns]))
        for top in (2, 3):
            expected[f"top{top}_accuracy"].append(top_k_accuracy_score(labels, p, k=top, labels=wide.columns))
    for name, each in expected.items():
        assert found[name]["estimate"] == pytest.approx(np.mean(each)), name
        assert found[name]["sd_seeds"] == pytest.approx(np.std(each, ddof=1)), name
        assert found[name]["low"] < found[name]["estimate"] < found[name]["high"], name
    mean = found["top2_accuracy"]["estimate"]
    assert (found["top2_accuracy"]["low"], found["top2_accuracy"]["high"]) == wilson(mean, 84)


def test_top_k_of_a_task_with_no_more_classes_is_null_with_the_reason():
    found = score(als_table())["recipes"]["svm"]["tasks"]["als"]["patient"]
    for top in (2, 3):
        assert found[f"top{top}_accuracy"]["estimate"] is None
        reason = found[f"top{top}_accuracy"]["reason"]
        assert reason == f"the task has 2 classes, so the true one is always among the top {top}"


def test_twenty_of_twenty_never_reads_as_certainty():
    table = als_table((("perfect", 400.0),), patients=20)
    task = score(table)["recipes"]["perfect"]["tasks"]["als"]
    for level in ("patient", "sample"):
        figures_ = task[level]
        for name in ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc"):
            assert figures_[name]["estimate"] == 1.0
            assert 0.5 < figures_[name]["low"] < 0.95, name
        assert figures_["auroc"]["method"] == "newcombe"
        assert figures_["average_precision"]["low"] is None
        assert "all resamples" in figures_["average_precision"]["reason"]
        assert "separate the classes" in figures_["calibration_slope"]["reason"]
    assert task["mean_within_patient_accuracy"]["low"] < 0.95


def test_a_calibration_error_has_no_interval():
    for level in ("patient", "sample"):
        found = score(als_table())["recipes"]["svm"]["tasks"]["als"][level]["ece"]
        assert found["estimate"] > 0
        assert found["low"] is found["high"] is None
        assert "chance alone raises" in found["reason"]


def test_mean_within_patient_accuracy_weighs_patients_alike():
    p = np.array([[0.1, 0.9]] * 9 + [[0.9, 0.1], [0.2, 0.8]])
    table = rows(p, [1] * 9 + [1, 0], [0] * 9 + [1, 2], "als", ALS)
    found = score(table)["recipes"]["svm"]["tasks"]["als"]["mean_within_patient_accuracy"]
    assert found["estimate"] == pytest.approx((1 + 0 + 0) / 3)


def test_a_sample_level_task_is_null_at_patient_level_with_the_reason():
    tasks = score(smears_table(), SMEARS)["recipes"]["svm"]["tasks"]
    assert [*tasks] == ["malignancy", "malignancy/leaves", "subtype"]
    for task in tasks.values():
        assert task["patient"] is None
        assert "samples of one patient may differ" in task["patient_reason"]
    assert tasks["malignancy"]["sample"]["n"] == 60
    assert tasks["malignancy/leaves"]["sample"]["n"] == 56
    assert (
        tasks["subtype"]["sample"]["n"]
        == tasks["malignancy/leaves"]["sample"]["n"]
        - (tasks["malignancy/leaves"]["sample"]["per_class"]["benign"]["n"])
    )
    assert tasks["subtype"]["sample"]["auroc"]["method"] == "bootstrap"


def test_where_a_sample_is_a_patient_both_levels_say_the_same():
    for level in ("patient", "sample"):
        tasks = {"als": Task(("CTRL", "ALS"), level=level)}
        table = als_table(samples=16).assign(level=level)
        task = score(table, tasks)["recipes"]["svm"]["tasks"]["als"]
        assert task["patient"] == task["sample"]
        assert task["sample"]["accuracy"]["method"] == "wilson"


def test_missing_classes_labels_and_predictions_give_reasons():
    rng = np.random.default_rng(0)
    tasks = {"grade": Task(("low", "middle", "high"))}
    labels = np.arange(12) % 2
    table = rows(softmax(rng.normal(size=(12, 3))), labels, np.arange(12), "grade", tasks)
    task = score(table, tasks)["recipes"]["svm"]["tasks"]["grade"]["patient"]
    assert task["accuracy"]["estimate"] is not None
    for name in ("balanced_accuracy", "auroc", "sensitivity"):
        assert task[name] == {
            "estimate": None,
            "low": None,
            "high": None,
            "reason": "no labelled patient of class 'high'",
        }
    assert task["per_class"]["low"]["auroc"]["estimate"] is not None

    always_low = np.tile([0.8, 0.1, 0.1], (12, 1))
    task = score(rows(always_low, np.arange(12) % 3, np.arange(12), "grade", tasks), tasks)
    task = task["recipes"]["svm"]["tasks"]["grade"]["patient"]
    assert task["ppv"]["reason"] == "class 'middle', 'high' is never predicted"
    assert task["per_class"]["low"]["npv"]["reason"] == "class 'low' is always predicted"

    unknown = score(rows(always_low, np.full(12, -1), np.arange(12), "grade", tasks), tasks)
    assert unknown["recipes"]["svm"]["tasks"]["grade"]["sample_reason"] == "no sample has a label"


def test_undefined_resamples_are_counted_not_filled():
    labels = np.array([0] * 12 + [1] * 12)
    owner = np.concatenate([np.arange(6), np.arange(6), np.arange(6, 12), np.arange(6, 12)])
    labels[0] = 2  # one sample of one patient whose other sample is of another class: drawn, or not
    tasks = {"grade": Task(("low", "middle", "high"), level="sample")}
    p = softmax(np.random.default_rng(0).normal(size=(24, 3)))
    found = score(rows(p, labels, owner, "grade", tasks), tasks, resamples=1000)
    found = found["recipes"]["svm"]["tasks"]["grade"]["sample"]
    assert found["auroc"]["undefined"] == pytest.approx(1000 * (5 / 6) ** 6, abs=60)
    assert found["auroc"]["low"] < found["auroc"]["high"]
    assert "undefined" not in found["accuracy"]


def test_a_figure_that_most_resamples_lack_has_no_bounds():
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.62, 0.6, 0.7, 0.8, 0.85, 0.9])  # one pair overlaps: drawn, or separated
    table = rows(np.stack([1 - p, p], axis=1), [0] * 5 + [1] * 5, np.arange(10), "als", ALS)
    slope = score(table)["recipes"]["svm"]["tasks"]["als"]["patient"]["calibration_slope"]
    assert slope["estimate"] > 1
    assert (slope["low"], slope["high"]) == (None, None)
    assert slope["undefined"] > FEW / 2
    assert slope["reason"] == f"not defined in {slope['undefined']} of {FEW} resamples"


def test_figures_do_not_depend_on_which_other_recipes_and_tasks_are_there():
    table = als_table((("svm", 1.0), ("cnn", 2.0)))
    alone = score(table[table["recipe"] == "cnn"])["recipes"]["cnn"]
    assert score(table)["recipes"]["cnn"] == alone
    both = pd.concat([table[table["recipe"] == "cnn"], smears_table().assign(recipe="cnn")])
    both["sample"] = both["task"].str[:1] + both["sample"]
    both["patient"] = both["task"].str[:1] + both["patient"]
    together = score(both, ALS | SMEARS)["recipes"]["cnn"]["tasks"]
    assert together["als"] == alone["tasks"]["als"]


def test_the_seed_decides_the_resamples():
    table = als_table()
    assert score(table, seed=1) == score(table, seed=1)
    assert score(table, seed=1) != score(table, seed=2)


@pytest.mark.slow
def test_auroc_of_patients_is_compared_by_delong_and_adjusted_by_holm():
    table = als_table((("svm", 1.0), ("cnn", 2.0), ("tree", 0.2)), patients=60, samples=120)
    found = score(table, primary=AUROC)["comparisons"]
    assert [(c["a"], c["b"], c["test"]) for c in found] == [("svm", "cnn", "delong"), ("svm", "tree", "delong")]
    keys = ("task", "level", "metric", "a", "b", "difference", "low", "high", "p", "p_holm", "test")
    assert all(tuple(c) == keys for c in found)
    adjusted = multipletests([c["p"] for c in found], method="holm")[1]
    assert [c["p_holm"] for c in found] == pytest.approx(adjusted)
    for c in found:
        assert c["low"] < c["difference"] < c["high"]
        assert (c["p"] < 0.05) == (c["low"] > 0 or c["high"] < 0)


@pytest.mark.slow
def test_delong_and_the_bootstrap_agree_on_the_same_patients():
    table = als_table((("svm", 1.0), ("cnn", 1.5)), patients=150, samples=150, seeds=(0, 1))
    exact = score(table, primary=AUROC)["comparisons"][0]
    part = (table["seed"] == 1) & (table["sample"] == "s149")  # not all seeds complete: no closed form
    drawn = score(table[~part], primary=AUROC, resamples=2000)["comparisons"][0]
    assert (exact["test"], drawn["test"]) == ("delong", "bootstrap")
    assert drawn["difference"] == pytest.approx(exact["difference"], abs=0.01)
    assert drawn["high"] - drawn["low"] == pytest.approx(exact["high"] - exact["low"], rel=0.12)
    assert drawn["p"] == pytest.approx(exact["p"], abs=0.05)


def test_accuracy_of_patients_is_compared_by_mcnemar_with_one_seed_and_resampled_with_more():
    recipes, primary = (("svm", 0.5), ("cnn", 3.0)), AUROC | {"metric": "accuracy", "versus": "cnn"}
    table = als_table(recipes, patients=40, samples=80, seeds=(0, 1))
    single = table[table["seed"] == 0]
    found = score(single, primary=primary)["comparisons"][0]
    means = single[single["class"] == "ALS"].groupby(["recipe", "patient"])["probability"].mean().unstack("recipe")
    truth = single.groupby("patient")["label"].first() == "ALS"
    svm, cnn = ((means[r] >= 0.5) == truth for r in ("svm", "cnn"))
    assert found["test"] == "mcnemar"
    assert found["p"] == pytest.approx(mcnemar(pd.crosstab(svm, cnn), exact=True).pvalue)
    assert found["difference"] == pytest.approx(svm.mean() - cnn.mean())
    assert found["low"] < found["difference"] < found["high"]
    assert score(table, primary=primary)["comparisons"][0]["test"] == "bootstrap"


def test_a_resampled_comparison_pairs_the_patients():
    table = als_table(patients=30, samples=90)
    noisy = table.assign(recipe="noisy")
    noisy["probability"] = np.where(noisy["class"] == "ALS", 0.98, 0.0) * noisy["probability"]
    ill = noisy["class"] == "ALS"
    noisy.loc[~ill, "probability"] = 1 - noisy.loc[ill, "probability"].to_numpy()
    primary = AUROC | {"metric": "log_loss", "level": "sample"}
    found = score(pd.concat([table, noisy]), primary=primary, resamples=500)
    losses = found["recipes"]["svm"]["tasks"]["als"]["sample"]["log_loss"]
    compared = found["comparisons"][0]
    assert compared["test"] == "bootstrap"
    assert compared["high"] - compared["low"] < 0.2 * (losses["high"] - losses["low"])


def test_equal_recipes_do_not_differ_and_the_reason_says_why_there_are_no_bounds():
    table = als_table()
    twin = pd.concat([table, table.assign(recipe="twin")])
    for metric, reason in (("auroc", "order the patients alike"), ("brier", "same difference")):
        found = score(twin, primary=AUROC | {"metric": metric})["comparisons"][0]
        assert (found["difference"], found["p"], found["p_holm"], found["low"]) == (0.0, 1.0, 1.0, None)
        assert reason in found["reason"]


def test_a_comparison_that_cannot_be_made_is_null_with_a_reason():
    table = als_table((("svm", 1.0), ("cnn", 1.0)))
    absent, made = score(table, primary=AUROC | {"versus": ["vgg", "cnn"]})["comparisons"]
    assert (absent["p"], absent["difference"], absent["reason"]) == (None, None, "the run has no recipe 'vgg'")
    assert made["p_holm"] == pytest.approx(min(1.0, 2 * made["p"]))  # the one not made still counts
    smears = AUROC | {"task": "malignancy", "versus": ["cnn"]}
    both = pd.concat([smears_table(), smears_table(random_state=0).assign(recipe="cnn")])
    reason = score(both, SMEARS, primary=smears)["comparisons"][0]["reason"]
    assert "samples of one patient may differ" in reason
    lone = rows(np.array([[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]), [1, 0, 0], np.arange(3), "als", ALS)
    other = rows(np.array([[0.4, 0.6], [0.1, 0.9], [0.5, 0.5]]), [1, 0, 0], np.arange(3), "als", ALS, "cnn")
    assert "one patient" in score(pd.concat([lone, other]), primary=AUROC)["comparisons"][0]["reason"]


@pytest.mark.parametrize("key", ["task", "level", "metric"])
def test_an_unknown_word_in_the_primary_endpoint_is_refused(key):
    with pytest.raises(ConfigError, match=rf"validation.primary.{key} is 'oddity'; expected one of"):
        score(als_table(), primary=AUROC | {key: "oddity"})


@pytest.mark.slow
def test_holm_matches_statsmodels():
    ps = [0.01, 0.04, 0.03, 0.2, 0.9]
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])
    assert holm([None, 0.01]) == [None, 0.02]
    assert holm([]) == []


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (5, 1), (3, 3), (10, 0)])
def test_mcnemar_matches_statsmodels(only_a, only_b):
    assert mcnemar_exact(only_a, only_b) == pytest.approx(mcnemar([[7, only_a], [only_b, 9]], exact=True).pvalue)


def test_the_table_holds_every_figure_of_every_level_once():
    found = score(als_table((("svm", 2.0), ("pls", 1.0))))["recipes"]
    table = figures_table(found)
    assert len(table) == 2 * (2 * len(METRICS) + 1)
    assert not table.duplicated(["recipe", "task", "level", "metric"]).any()
    for row in table.itertuples():
        levels = found[row.recipe]["tasks"][row.task]
        held = levels[row.metric] if row.metric == "mean_within_patient_accuracy" else levels[row.level][row.metric]
        told = [None if np.isnan(v) else v for v in (row.estimate, row.low, row.high)]
        assert told == [held["estimate"], held["low"], held["high"]]
        assert pd.isna(row.method) == ("method" not in held)
        assert pd.isna(row.method) or row.method == held["method"]


def test_the_table_leaves_out_a_level_without_figures():
    table = figures_table(score(smears_table(), SMEARS)["recipes"])
    assert set(table["task"]) == {"malignancy", "malignancy/leaves", "subtype"}
    assert set(table["level"]) == {"sample"}
