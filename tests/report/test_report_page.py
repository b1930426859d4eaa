import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_pages import Page
from report_runs import TWO, build_run, build_study

from polydx.config import MissingConfig, NetworkConfig
from polydx.report.figures.fitting import learning_curves
from polydx.report.html import write_report
from polydx.report.sections.believe import patients_on_both_sides
from polydx.report.sections.calibrated import footnotes
from polydx.report.sections.compared import in_words
from polydx.report.sections.tree import tree_tables
from polydx.report.view import View
from polydx.study import NO_PATIENTS, Task

pytestmark = pytest.mark.slow  # whole runs and pages

SMEARS = {
    "malignancy": Task(("benign", "malignant"), level="sample"),
    "subtype": Task(("pre-B", "pro-B", "early"), level="sample", parent=("malignancy", "malignant")),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return build_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run):
    return Page(write_report(run))


def test_the_five_questions_are_answered_in_order(page):
    assert [re.sub(r"^\d\. ", "", h) for h in page.headings()] == [
        "How good is it?", "Compared with what?", "Can I believe it?", "Where does it fail?", "What was done?",
    ]  # fmt: skip


def test_the_headline_is_the_declared_endpoint_and_no_other(run, page):
    found = run.metrics["recipes"]["logistic"]["tasks"]["disease"]["patient"]["auroc"]
    headline = re.search(r'class="notice headline">(.*?)</p>', page.source)[1].replace("\u00a0", " ")
    assert "recipe logistic, task disease, patient level: AUROC" in headline
    assert f"{found['estimate']:.3f} (95 % interval {found['low']:.3f} to {found['high']:.3f}" in headline
    assert "12 patients (6 healthy and 6 ill)" in headline


def test_groups_in_place_of_patients_are_told_beside_the_headline(run, page, tmp_path):
    assert "Patients are not known" not in page.source
    note = f"{NO_PATIENTS}: `patient` is a group of images"
    grouped = replace(run, folder=tmp_path, study=run.study | {"notes": [note]})
    source = Page(write_report(grouped)).source
    assert source.index('class="notice headline"') < source.index("Patients are not known") < source.index("<table")


def test_every_number_of_the_metric_tables_is_the_one_in_the_metrics(run, page):
    names = {"AUROC": "auroc", "accuracy": "accuracy", "balanced accuracy": "balanced_accuracy"}
    checked = 0
    tables = [t for t in page.tables if t[0][:2] == ["recipe", "AUROC"]]
    for level, table in zip(("patient", "sample"), tables, strict=False):
        for row in table[1:]:
            figures = run.metrics["recipes"][row[0]]["tasks"]["disease"][level]
            for head, cell in zip(table[0], row, strict=True):
                if head not in names:
                    continue
                own = figures[names[head]]
                assert cell == f"{own['estimate']:.3f} {own['low']:.3f} to {own['high']:.3f}"
                checked += 1
    assert checked == 2 * 2 * 3


def test_all_metrics_stand_in_the_long_table(run, page):
    table = next(t for t in page.tables if t[0][0] == "metric")
    assert len(table) - 1 == 14
    figures = run.metrics["recipes"]["forest"]["tasks"]["disease"]["patient"]
    brier = next(row for row in table if row[0] == "Brier score")
    assert brier[2].startswith(f"{figures['brier']['estimate']:.3f} ")


def test_the_page_needs_nothing_from_outside(page):
    links = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "xlink:href", "action")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "//" not in re.sub(r"<pre>.*?</pre>", "", page.source, flags=re.DOTALL)
    assert "@import" not in page.source


def test_ids_are_unique_and_every_reference_leads_to_one(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    wanted = {attrs["xlink:href"][1:] for _, attrs in page.tags if "xlink:href" in attrs}
    wanted |= set(re.findall(r"url\(#([^)]*)\)", page.source))
    wanted |= {attrs[k] for _, attrs in page.tags for k in ("aria-labelledby",) if k in attrs}
    assert wanted <= set(ids)


def test_every_figure_has_a_caption_an_alternative_text_and_files(run, page):
    drawings = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(drawings) == len(page.captions) > 8
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 10 for attrs in drawings)
    assert len(list((run.folder / "figures").glob("*.svg"))) == len(drawings)
    assert len(list((run.folder / "figures").glob("*.csv"))) == len(drawings)
    for path in (run.folder / "figures").glob("*.csv"):
        assert len(pd.read_csv(path)) > 0


def test_the_same_run_gives_the_same_bytes(run, page, tmp_path):
    again = replace(run, folder=tmp_path)
    assert write_report(again).read_bytes() == page.source.encode()
    for path in (run.folder / "figures").iterdir():
        assert (tmp_path / "figures" / path.name).read_bytes() == path.read_bytes()


def test_figures_of_an_earlier_report_do_not_stay(run):
    stale = run.folder / "figures" / "99-gone.svg"
    stale.write_text("old")
    write_report(run)
    assert not stale.exists()


def test_names_are_text_and_never_markup(tmp_path):
    nasty = "<script>alert(1)</script>"
    study = build_study(tasks={"disease": Task((nasty, "$ill_2$"))}, names=[f"tiny/<b>p{i}</b>" for i in range(12)])
    path = write_report(build_run(tmp_path, study, recipes=("logistic",)))
    page = Page(path)
    assert "script" not in {tag for tag, _ in page.tags}
    assert nasty in page.text
    assert "<b>p1</b>" not in page.source
    assert "<script" not in "".join(p.read_text() for p in (tmp_path / "figures").glob("*.svg"))


def test_a_simulated_study_says_so_everywhere(tmp_path):
    run = build_run(tmp_path, build_study(simulated=True), recipes=("logistic",))
    page = Page(write_report(run))
    assert re.search(r"<title>SIMULATED", page.source)
    assert page.source.index("SIMULATED DATA: no patient") < page.source.index("<h1>")
    assert all("SIMULATED DATA." in caption for caption in page.captions)
    assert all(a["aria-label"].startswith("SIMULATED") for tag, a in page.tags if tag == "svg")
    real = build_run(tmp_path / "real", recipes=("logistic",))
    plain = write_report(real).read_text()
    assert "SIMULATED" not in plain
    name = next(p.name for p in (tmp_path / "figures").glob("*-roc-*.svg"))
    assert len((tmp_path / "figures" / name).read_text()) > len((tmp_path / "real" / "figures" / name).read_text())


def test_no_declared_endpoint_means_no_headline(tmp_path):
    page = Page(write_report(build_run(tmp_path, primary=None)))
    assert "No primary endpoint was declared" in page.text
    assert 'class="notice headline"' not in page.source
    assert "No tests: no primary endpoint was declared." in page.text


def test_tasks_of_samples_give_the_reason_for_no_patient_level(tmp_path):
    page = Page(write_report(build_run(tmp_path, build_study(tasks=SMEARS, patients=14), recipes=("logistic",))))
    reason = "no patient-level figures: the task is answered for each sample, and samples of one patient may differ."
    assert f"Patient level: {reason}" in page.text
    assert {"malignancy", "subtype", "malignancy/leaves"} <= set(page.headings("h3"))
    assert "share of the patient's samples answered rightly" in page.text
    assert "asked for subtype, if malignant" in page.text


def test_where_every_patient_has_one_sample_no_table_says_the_same_twice(tmp_path):
    one = Page(write_report(build_run(tmp_path / "one", build_study(each=1))))
    several = Page(write_report(build_run(tmp_path / "several", build_study(each=3))))
    told = "Every patient has one sample, so that figures of samples are the same."
    assert told in one.text
    assert "disease, sample level" not in one.text
    assert told not in several.text
    assert "disease, sample level" in several.text


def test_the_tree_tells_sensitivities_given_the_parent_and_end_to_end(tmp_path):
    run = build_run(tmp_path, build_study(tasks=SMEARS, patients=14), recipes=("logistic",))
    about, table = tree_tables(View(run), "malignancy/leaves")
    assert "a wrong parent counts as wrong" in about.text
    rows = {row[0].text: [getattr(cell, "text", cell) for cell in row] for row in table.rows}
    assert list(rows) == ["benign", "malignant", "↳ pre-B", "↳ pro-B", "↳ early"]
    wide = run.predictions.pivot_table(index="sample", columns=["task", "class"], values="probability")
    truth = run.predictions.drop_duplicates(["sample", "task"]).pivot(index="sample", columns="task", values="label")
    given = wide["subtype"].idxmax(axis=1)
    leaf = wide["subtype"].mul(wide["malignancy"]["malignant"], axis=0).assign(benign=wide["malignancy"]["benign"])
    for name in ("pre-B", "pro-B", "early"):
        own = truth["subtype"] == name
        told = [f"{(answers[own] == name).mean():.3f}" for answers in (given, leaf.idxmax(axis=1))]
        assert [rows[f"↳ {name}"][column] for column in (3, 4)] == told
        assert rows[f"↳ {name}"][2] == str(own.sum())
    assert rows["benign"][4] == f"{(leaf.idxmax(axis=1)[truth['malignancy'] == 'benign'] == 'benign').mean():.3f}"
    assert rows["malignant"][4] == "–"


def test_a_metric_that_is_null_is_a_dash_with_its_reason(tmp_path):
    run = build_run(tmp_path)
    figures = run.metrics["recipes"]["forest"]["tasks"]["disease"]["patient"]
    figures["auroc"] = {"estimate": None, "low": None, "high": None, "reason": "no labelled patient of class 'ill'"}
    figures["specificity"] |= {"low": None, "high": None, "reason": "all resamples agree"}
    page = Page(write_report(run))
    row = next(r for r in page.tables[0] if r[0] == "forest")
    assert row[1] == "–"
    assert row[5].endswith("–")
    assert "forest, AUROC: estimate –: no labelled patient of class 'ill'." in page.text
    assert "forest, specificity: interval –: all resamples agree." in page.text


def test_a_declared_endpoint_that_is_null_says_why(tmp_path):
    run = build_run(tmp_path)
    run.metrics["recipes"]["logistic"]["tasks"]["disease"]["patient"]["auroc"] = {
        "estimate": None,
        "reason": "one class",
    }
    assert "not defined, one class." in Page(write_report(run)).text


def test_missing_labels_many_classes_and_seeds(tmp_path):
    tasks = {"stage": Task(tuple(f"a stage with a very long name, number {i}" for i in range(7))), **TWO}
    study = build_study(patients=28, each=2, tasks=tasks, missing=(1, 2))
    run = build_run(tmp_path, study, recipes=("logistic",), seeds=(0, 1, 2))
    page = Page(write_report(run))
    assert "28 patients, 56 samples" in page.text
    assert "labelled for stage" in page.text
    assert "26 patients, 52 samples" in page.text
    assert "Standard deviation over 3 seeds (0, 1, 2)" in page.text
    assert "Mean counts over 3 seeds" in page.text
    table = next(t for t in page.tables if t[0][:2] == ["what", "samples with it"])
    assert table[-1] == ["label of disease", "52", "4", "7 %"]
    found = run.metrics["recipes"]["logistic"]["tasks"]["stage"]["patient"]
    table = next(
        t for t in page.tables if t[0][:4] == ["recipe", "AUROC", "accuracy", "balanced accuracy (mean sensitivity)"]
    )
    for name, cell in zip(("auroc", "accuracy", "sensitivity", "specificity", "f1"), table[1][1:], strict=True):
        own = found[name]
        assert cell == f"{own['estimate']:.3f} {own['low']:.3f} to {own['high']:.3f} ± {own['sd_seeds']:.3f}"
    assert "AUROC, specificity and F1 are means over classes" in page.text
    first = next(t for t in page.tables if t[0][0] == "metric")  # of the stage, patient level
    told = dict(first[1:])["top-2 accuracy"]
    assert told.startswith(f"{found['top2_accuracy']['estimate']:.3f} {found['top2_accuracy']['low']:.3f} to ")


def test_hundreds_of_patients_are_still_one_figure(tmp_path):
    page = Page(write_report(build_run(tmp_path, build_study(patients=150, each=1), recipes=("logistic",), spread=3.0)))
    assert "(n = 150)" in page.text
    assert "nothing to compare it with" in page.text
    svg = next((tmp_path / "figures").glob("*-patients-*.svg")).read_text()
    height = float(re.search(r'height="([\d.]+)pt"', svg)[1])
    assert height < 72 * 12


def test_each_patient_answered_wrongly_is_listed(run, page):
    table = next(t for t in page.tables if t[0][0] == "patient")
    own = run.predictions.query("recipe == 'logistic' and `class` == 'ill'").groupby("patient")
    probability, label = own["probability"].mean(), own["label"].first()
    wrong = set(probability.index[(probability >= 0.5) != (label == "ill")])
    assert wrong
    assert {row[0] for row in table[1:]} == wrong
    for row in table[1:]:
        assert row[4] == f"{probability[row[0]] if label[row[0]] == 'ill' else 1 - probability[row[0]]:.3f}"


def test_learning_curves_stand_where_there_is_a_history(run, page, tmp_path):
    assert "Learning curves" not in page.text
    rows = [
        {"recipe": "forest", "seed": 0, "fold": f, "epoch": float(e), "loss": 1 / (e + 1), "monitor": 1.1 / (e + 1), "best": float(e == 3)}
        for f in range(3)
        for e in range(5 + f)
    ]  # fmt: skip
    found = Page(write_report(replace(run, folder=tmp_path, history=pd.DataFrame(rows))))
    assert "Learning curves (forest 3 fits)" in found.text
    data = pd.read_csv(next((tmp_path / "figures").glob("*-learning-curves.csv")))
    last = data[(data["epoch"] == 6) & (data["curve"] == "training patients")].iloc[0]
    assert last["fits"] == 1
    assert np.isclose(last["median"], 1 / 7)


def test_one_epoch_is_drawn_as_a_point_at_a_whole_epoch():
    one = {
        "recipe": "net",
        "curve": "training patients",
        "epoch": 0.0,
        "median": 0.7,
        "low": 0.6,
        "high": 0.8,
        "fits": 3,
    }
    ax = learning_curves(pd.DataFrame([one]), {"net": [0.0]}).axes[0]
    assert ax.get_lines()[0].get_marker() == "o"
    assert ax.get_xlim() == (-0.5, 0.5)
    assert [t for t in ax.get_xticks() if -0.5 <= t <= 0.5] == [0]


def test_networks_fitted_alike_are_told_in_one_sentence_and_the_gaps_asked_for_stand_in_the_settings(run, tmp_path):
    network = NetworkConfig.model_validate(
        {"kind": "network", "backbones": {"raman": "cnn"}, "training": {"epochs": 1, "patience": None}}
    )
    taken = run.config.validation.model_copy(update={"missing": MissingConfig(at_random=0.3)})
    config = run.config.model_copy(
        update={"recipes": {**run.config.recipes, "one": network, "two": network}, "validation": taken}
    )
    page = Page(write_report(replace(run, folder=tmp_path, config=config)))
    assert "one and two: trained for 1 epoch, no early stopping." in page.text
    settings = next(t for t in page.tables if t[0] == ["setting", "value"])
    assert ["missing at test time", "each modality in turn and 30 % at random"] in settings


def test_a_study_without_subgroups_has_no_subgroup_figure(run, tmp_path):
    study = {**run.study, "participants": [], "sample_groups": {}}
    page = Page(write_report(replace(run, folder=tmp_path, study=study)))
    assert not list((tmp_path / "figures").glob("*subgroups*"))
    assert "by subgroup" not in page.text


def test_a_subgroup_without_labelled_patients_is_left_out(tmp_path):
    study = build_study(missing=tuple(range(0, 12, 2)), tasks={"disease": Task(("healthy", "ill"), level="sample")})
    write_report(build_run(tmp_path, study, recipes=("logistic",)))
    found = pd.read_csv(next((tmp_path / "figures").glob("*subgroups*.csv")))
    assert set(found.loc[found["column"] == "centre", "group"]) == {"B"}
    assert (found["n"] > 0).all()
    assert set(found["column"]) == {"centre", "sex", "age", "site"}


def test_a_patient_on_both_sides_is_counted_and_shouted(run, tmp_path):
    assert patients_on_both_sides(run.splits) == 0
    broken = run.splits.copy()
    broken.loc[broken.index[0], "role"] = "test" if broken.loc[broken.index[0], "role"] == "train" else "train"
    assert patients_on_both_sides(broken) == 1
    page = Page(write_report(replace(run, folder=tmp_path, splits=broken)))
    assert "1 case of a patient on both sides of a fold" in page.text


def test_the_leakage_gap_is_told_in_a_sentence(page):
    assert "a split by sample would have claimed 0.170 more: accuracy (sample level) of logistic is 0.971" in page.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "No difference in AUROC between a and b could be shown: 0.020, 95 % interval −0.050 to 0.090 (p = 0.570"),
        ({"p_holm": 0.01}, "AUROC of a was higher (better) than that of b: 0.020"),
        ({"p_holm": 0.0004, "metric": "brier"}, "Brier score of a was higher (worse) than that of b"),
        ({"difference": None, "reason": "undefined"}, "a and b could not be compared: undefined."),
        ({"p_holm": None, "reason": "no variance"}, "it could not be tested: no variance."),
    ],
)
def test_comparisons_in_plain_words(change, told):
    found = {
        "a": "a",
        "b": "b",
        "metric": "auroc",
        "difference": 0.02,
        "low": -0.05,
        "high": 0.09,
        "p": 0.57,
        "p_holm": 0.57,
    }
    assert told in in_words(found | change)


def test_labels_of_one_class_give_dashes_and_reasons_not_errors(tmp_path):
    study = build_study(missing=tuple(range(1, 12, 2)))
    page = Page(write_report(build_run(tmp_path, study, recipes=("logistic",))))
    assert "disease: no ROC curve, since all labels are of one class." in page.text
    assert "not defined, no labelled patient of class 'ill'." in page.text
    assert page.tables[0][1][:2] == ["logistic", "–"]


def test_small_subgroups_are_counted_in_patients(page):
    warning = re.search(r"Subgroups of fewer than 10 patients say little: (.*?)\n?\.", page.text)[1]
    assert "A (centre, 6 patients)" in warning
    assert "not known (sex, 1 patient)" in warning
    assert "n =" not in warning


def test_calibration_footnotes_give_each_reason_once():
    def figures(**slope):
        fine = {"estimate": 0.2, "low": 0.1, "high": 0.3}
        ece = {"estimate": 0.1, "low": None, "high": None, "reason": "chance raises it"}
        return {"calibration_slope": fine | slope, "calibration_intercept": fine, "ece": ece, "brier": fine}

    gone = {"estimate": None, "low": None, "high": None, "reason": "one class"}
    found = {"a": figures(undefined=1), "b": figures(undefined=3), "c": figures(**gone), "d": figures()}
    left_out = "which the interval leaves out: it is too narrow."
    assert footnotes(found) == [
        f"Calibration slope of a is not defined in 1 resample, {left_out}",
        f"Calibration slope of b is not defined in 3 resamples, {left_out}",
        "Calibration slope of c has no estimate: one class.",
        "ECE has no interval: chance raises it.",
    ]
    assert footnotes({"d": figures()} | {"e": figures()})[0] == "ECE has no interval: chance raises it."


def test_mean_spectra_of_a_task_of_samples_say_that_a_patient_may_count_twice(tmp_path, page):
    told = "A patient with samples of several classes counts in each of them."
    assert told not in page.text
    study = build_study(tasks={"smear": Task(("benign", "malignant"), level="sample")})
    assert told in Page(write_report(build_run(tmp_path, study, recipes=("logistic",)))).text
