import numpy as np
import pandas as pd
import pytest
from report_runs import build_run

from polydx.explain.assignments import band_table
from polydx.explain.store import Explanation, write_explanation
from polydx.report.explained import figures
from polydx.report.html import write_report

ABOUT = {
    "recipe": "logistic", "method": "occlusion", "modality": "raman", "kind": "spectra", "task": "disease",
    "study": "tiny", "simulated": False, "sample": None, "of": "run", "options": {}, "patients": 6, "fits": 3,
}  # fmt: skip


@pytest.fixture
def spectra():
    axis = np.linspace(400, 1800, 141)
    mean = np.exp(-(((axis - 1000) / 20) ** 2))
    frame = pd.DataFrame({"wavenumber": axis, "mean": mean, "sd_folds": 0.1, "spectrum": mean + 1, "reference": 1.0})
    bands = band_table(mean, axis, [mean]).assign(**{"class": "ill"})
    entry = {
        "class": "ill", "against": "healthy", "patients": 6, "fits": 3, "correlation_of_folds": 0.5,
        "bands": bands.head(1)[["wavenumber", "value", "molecules"]].to_dict("records"),
        "sanity": {"similarity": 0.9, "passed": False},
    }  # fmt: skip
    tables = {"maps": frame.assign(task="disease", **{"class": "ill"}), "bands": bands}
    return Explanation({**ABOUT, "classes": [entry]}, tables)


@pytest.mark.slow
def test_a_report_shows_the_explanations_that_are_there(tmp_path, spectra):
    run = build_run(tmp_path / "run")
    plain = write_report(run).read_text()
    assert "What do the answers rest on?" not in plain
    write_explanation(run.folder / "explain" / "one", spectra)
    shares = pd.DataFrame(
        {"task": "disease", "class": "ill", "part": ["age", "sex"], "mean": [0.5, -0.1], "size": [0.6, 0.2],
         "low": [0.4, 0.1], "high": [0.8, 0.3]}
    )  # fmt: skip
    people = pd.DataFrame({"class": "ill", "part": ["age", "sex"], "value": [0.5, -0.1]})
    entry = {"class": "ill", "against": "healthy", "patients": 6, "fits": 3, "correlation_of_folds": None}
    entry["parts"] = shares[["part", "mean", "size"]].to_dict("records")
    about = {**ABOUT, "method": "shapley", "modality": "clinical", "kind": "table", "classes": [entry]}
    write_explanation(run.folder / "explain" / "two", Explanation(about, {"shares": shares}, people))
    drops = [{"class": "ill", "part": "age", "auroc": 0.9, "drop": 0.0412, "sd": 0.011},
             {"class": "odd", "part": "age", "auroc": np.nan, "drop": np.nan, "sd": np.nan}]  # fmt: skip
    told = [{"class": "ill", "level": "patient", "n": 6, "auroc": 0.9, "reason": None, "parts": []},
            {"class": "odd", "level": "patient", "n": 6, "auroc": None, "reason": "nobody is", "parts": []}]  # fmt: skip
    about = {**about, "method": "permutation", "auroc": told, "repeats": 10}
    tables = {"shares": shares, "auroc": pd.DataFrame(drops)}
    write_explanation(run.folder / "explain" / "three", Explanation(about, tables, people))
    page = write_report(run).read_text()
    assert "lost when the column is another patient's; 6 patients, ± SD over 10 repeats" in page.replace("&#39;", "'")
    assert "0.041" in page
    assert "± 0.011" in page
    assert "Beside: AUROC lost, dots with ± SD over repeats." in page
    assert "odd: no AUROC, since nobody is." in page
    assert "What do the answers rest on?" in page
    assert "phenylalanine (1003)" in page
    assert "much like those of models that have learnt nothing" in page
    assert "mean correlation of two folds 0.50" in page
    assert "Bars of the shares for ill; largest: age and sex." in page
    assert write_report(run).read_text() == page


def test_figures_are_named_so_that_any_file_system_takes_them(spectra):
    about = spectra.about | {"classes": [spectra.about["classes"][0] | {"class": c} for c in ("a/b", "a b")]}
    tables = {n: pd.concat([t.assign(**{"class": c}) for c in ("a/b", "a b")]) for n, t in spectra.tables.items()}
    assert list(figures(Explanation(about, tables))) == ["spectra-a-b", "spectra-a-b-1"]
