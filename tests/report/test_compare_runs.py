from dataclasses import replace

import numpy as np
import pytest
from report_pages import Page
from report_runs import build_run, build_study

from polydx.errors import ConfigError
from polydx.report.comparable import differences, run_names
from polydx.report.compare import write_comparison
from polydx.study import Task
from polydx.validation.scores import score_predictions

pytestmark = pytest.mark.slow  # whole runs and pages


def test_the_same_study_twice_is_compared_in_pairs(tmp_path):
    a, b = build_run(tmp_path / "a"), build_run(tmp_path / "b", spread=1.0)
    page = Page(write_comparison([a, b], tmp_path / "compare.html"))
    assert "have the same study, patients, samples, tasks, folds and seeds: yes." in page.text
    assert "not paired" not in page.text
    table = next(t for t in page.tables if t[0][0] == "difference")
    assert [row[0] for row in table[1:]] == ["logistic (a) − logistic (b)", "forest (a) − forest (b)"]
    own, other = (r.metrics["recipes"]["logistic"]["tasks"]["disease"]["patient"]["auroc"]["estimate"] for r in (a, b))
    assert table[1][1].startswith(f"{own - other:.3f}".replace("-", "−"))


def test_the_tables_hold_the_numbers_of_each_run(tmp_path):
    runs = [build_run(tmp_path / name, spread=s) for name, s in (("a", 1.0), ("b", 2.0))]
    page = Page(write_comparison(runs, tmp_path))
    assert (tmp_path / "compare.html").is_file()
    table = next(t for t in page.tables if t[0][:2] == ["recipe", "run"])
    for row in table[1:]:
        own = runs["ab".index(row[1])].metrics["recipes"][row[0]]["tasks"]["disease"]["patient"]["accuracy"]
        assert row[4] == f"{own['estimate']:.3f} {own['low']:.3f} to {own['high']:.3f}"


def test_other_patients_are_warned_of_and_not_paired(tmp_path):
    a, b = build_run(tmp_path / "a"), build_run(tmp_path / "b", build_study(patients=15))
    page = Page(write_comparison([a, b], tmp_path / "c.html"))
    assert "b has other patients than a: a 12 (12 shared) and b 15 (12 shared)." in page.text
    assert "b has other folds than a." in page.text
    assert "a and b: not paired, so not tested: their patients are not the same." in page.text
    assert not any(t[0][0] == "difference" for t in page.tables)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": (0, 1)}, "their seeds are not the same"),
        ({"recipes": ("svm",)}, "no recipe stands in both"),
        ({"study": build_study(tasks={"disease": Task(("healthy", "ill", "dying"))})}, "with the same classes"),
        ({"study": build_study(each=4)}, "their samples or labels are not the same"),
    ],
)
def test_what_cannot_be_paired_says_why(tmp_path, changes, reason):
    a, b = build_run(tmp_path / "a"), build_run(tmp_path / "b", **changes)
    assert reason in Page(write_comparison([a, b], tmp_path / "c.html")).text


def test_simulated_and_real_runs_do_not_mix_unseen(tmp_path):
    a, b = build_run(tmp_path / "a"), build_run(tmp_path / "b", build_study(simulated=True))
    page = Page(write_comparison([a, b], tmp_path / "c.html"))
    assert "Some runs are of simulated patients and some of real ones." in page.text
    assert "SIMULATED DATA: no patient" in page.text


def test_one_run_is_nothing_to_compare(tmp_path):
    with pytest.raises(ConfigError, match="at least two runs, got 1"):
        write_comparison([build_run(tmp_path / "a")], tmp_path / "c.html")


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    runs = [build_run(tmp_path / where / "run") for where in ("x", "y")]
    assert run_names(runs) == ["x/run", "y/run"]


def test_a_run_beside_itself_differs_nowhere(tmp_path):
    run = build_run(tmp_path / "a", primary=None)
    twice = score_predictions(run.predictions, run.tasks, resamples=100)
    assert np.isclose(
        twice["recipes"]["logistic"]["tasks"]["disease"]["patient"]["auroc"]["estimate"],
        run.metrics["recipes"]["logistic"]["tasks"]["disease"]["patient"]["auroc"]["estimate"],
    )
    copy = build_run(tmp_path / "b", primary=None)
    page = Page(write_comparison([run, copy], tmp_path / "c.html"))
    table = next(t for t in page.tables if t[0][0] == "difference")
    assert [row[1].split()[0] for row in table[1:]] == ["0.000", "0.000"]


def test_patients_of_different_studies_are_never_shared(tmp_path):
    a, b = build_run(tmp_path / "a"), build_run(tmp_path / "b", build_study(names=[f"other/q{i}" for i in range(12)]))
    other = replace(b, study=b.study | {"name": "other"})
    assert "b has other patients than a: a 12 (0 shared) and b 12 (0 shared)." in differences([a, other], ["a", "b"])
    alike = build_run(tmp_path / "c", build_study(patients=15))  # names of its own that happen to be the same
    alike = replace(alike, study=alike.study | {"name": "other"})
    assert "c has other patients than a: a 12 (0 shared) and c 15 (0 shared)." in differences([a, alike], ["a", "c"])
