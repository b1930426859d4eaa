"""The trust benchmarks run, fill the page between its markers, and count what they say they count."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # whole runs and pages

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "trust"
PAGE = "before\n<!-- coverage: begin -->\nreplace me\n<!-- coverage: end -->\nafter\n"
NUMBER = r"(\*\*)?\d+\.\d(\*\*)?( \(\d+ % given\))?"


def run(*arguments):
    command = [sys.executable, str(FOLDER / "run_all.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def test_coverage_is_written_between_the_markers(tmp_path):
    page = tmp_path / "trust.md"
    page.write_text(PAGE)
    done = run("--quick", "--only", "coverage", "--write", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("before\n<!-- coverage: begin -->\n**Coverage of 95 % intervals, 30 patients")
    assert text.endswith("<!-- coverage: end -->\nafter\n")
    assert "replace me" not in text
    rows = [line for line in text.splitlines() if line.startswith(("| patient", "| sample"))]
    assert len(rows) > 60
    for row in rows:
        for cell in row.strip("| ").split(" | ")[1:]:
            assert re.fullmatch(rf"{NUMBER}( / (\d+\.\d|no test))?|none given", cell), row


def test_a_page_without_markers_is_refused(scripts):
    from run_all import replaced

    with pytest.raises(SystemExit, match="noise: begin"):
        replaced(PAGE, "noise", "text")


def test_intervals_and_tests_are_counted(scripts):
    from interval_coverage import Tally

    tally = Tally()
    for low, high, p in ((0.4, 0.6, 0.01), (0.6, 0.7, 0.5), (None, None, None), (0.3, 0.5, 0.05)):
        tally.add(low, high, 0.5, p)
    assert tally.coverage() == "**66.7** (75 % given)"
    assert tally.rejected() == "66.7"


def test_truth_is_what_the_scores_were_made_for(scripts):
    from simulated_scores import Cell, truths

    cell = Cell(30, (0.7, 0.3), (0.7, 0.95))
    found = truths(cell, 20_000)
    assert found["r0", "patient", "auroc"] == pytest.approx(0.7, abs=0.01)
    assert found["r1", "patient", "auroc"] == pytest.approx(0.95, abs=0.01)
    rates = [found["r1", "patient", rate] for rate in ("specificity", "sensitivity")]
    assert found["r1", "patient", "accuracy"] == pytest.approx(np.dot((0.7, 0.3), rates), abs=0.001)


def test_areas_within_folds_match_scikit_learn(scripts):
    import pandas as pd
    from pure_noise import within_folds
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    fold, p = np.arange(24) % 3, rng.uniform(size=24)
    ill = rng.permutation(np.arange(24) % 2)
    table = pd.DataFrame({"fold": fold, "patient": np.arange(24), "probability": p, "class": "disease"})
    table["label"] = np.where(ill == 1, "disease", "control")
    expected = np.mean([roc_auc_score(ill[fold == f], p[fold == f]) for f in range(3)])
    assert within_folds(table) == pytest.approx(expected)


@pytest.mark.slow
def test_pure_noise_and_planted_leaks_run():
    done = run("--quick", "--only", "leaks", "noise")
    assert done.returncode == 0, done.stderr
    assert "**Planted leaks**" in done.stdout
    assert "NOT " not in done.stdout
    assert "(control)" in done.stdout
