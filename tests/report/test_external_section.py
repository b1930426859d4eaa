"""What the report of an external validation says beside its figures."""

from __future__ import annotations

from types import SimpleNamespace

from polydx.report.blocks import Notice, Table, Text
from polydx.report.sections.external import beside_validation, many_warnings, other_centre
from polydx.study import Task
from polydx.validation.run_folder import WARNED


def figure(value):
    return {"estimate": value, "low": value - 0.1, "high": value + 0.1}


FIGURES = {
    "auroc": figure(0.7),
    "accuracy": figure(0.6),
    "balanced_accuracy": {"estimate": None, "reason": "one class"},
}


def view_of(validation=None, warnings=None, sets=None, groups=()):
    levels = {"patient": FIGURES, **({"prediction_sets": sets} if sets else {})}
    recipes = {"it": {"tasks": {"grade": levels}}}
    bundle = {"name": "m", "about": {"recipe": "it", "study": "home"}, "validation": validation}
    metrics = {"bundle": bundle, "warnings": warnings or {}, "recipes": recipes, "notes": ["an axis"]}
    run = SimpleNamespace(metrics=metrics, study={"name": "away"}, tasks={"grade": Task(("G1", "G2"))})
    return SimpleNamespace(
        run=run, metrics=recipes, tasks=["grade"], level=lambda *_: "patient",
        figures=lambda *_: FIGURES, groups=lambda *_: {name: {} for name in groups},
    )  # fmt: skip


def told(blocks):
    return " ".join(block.text for block in blocks if not isinstance(block, Table))


def test_the_models_own_validation_stands_beside_the_figures():
    stated = {"split": "leave-one-patient-out", "tasks": {"grade": {"patient": {"auroc": figure(0.9)}}}}
    text, table = beside_validation(view_of(stated))
    assert "no paired test can be made" in text.text
    assert "leave-one-patient-out" in table.caption
    home, away = ([cell if isinstance(cell, str) else cell.text for cell in row] for row in table.rows)
    assert home == ["grade", "patient", "home (validation)", "0.900", "–", "–"]
    assert away == ["grade", "patient", "away", "0.700", "0.600", "–"]
    assert table.notes == ["grade, balanced accuracy: estimate –: one class."]


def test_a_bundle_without_figures_of_its_own_says_so():
    (text,) = beside_validation(view_of({"absent": "no run was given"}))
    assert text.text.endswith("Nor are there figures of its own validation to set beside these: no run was given.")
    (text,) = beside_validation(view_of({"split": "x", "tasks": {"stage": {"patient": {}}}}))
    assert text.text.endswith("are of other tasks or levels.")


def test_warnings_stand_beside_the_headline_where_many_patients_have_one():
    own = {"samples": 4, "of_samples": 60, "patients": 2, "of_patients": 20, "first": "unlike the training spectra"}
    assert many_warnings(view_of(warnings={"raman": own})) == []
    (notice,) = many_warnings(view_of(warnings={"raman": {**own, "patients": 3}}))
    assert "3 of 20 patients (raman)" in notice.text
    blocks = other_centre(view_of(warnings={"raman": own}, groups=[WARNED]))
    assert "4 of 60 samples, of 2 of 20 patients (10 %), carry a warning; the first: unlike the" in told(blocks)
    assert "section 4 shows how it did with and without" in told(blocks)
    assert "section 4" not in told(other_centre(view_of(warnings={"raman": own})))
    assert "None: no answer carries a warning of its own." in told(other_centre(view_of()))


def test_sets_that_hold_all_classes_are_called_empty_words():
    sets = {"n": 5, "coverage": figure(0.8), "per_class": {"G1": {"n": 5, "coverage": figure(0.8)}}, "mean_size": 2.0}
    blocks = other_centre(view_of(sets=sets))
    assert "Every set of grade holds all classes" in told(blocks)
    assert next(b.text for b in blocks if isinstance(b, Notice)) == "an axis"
    assert isinstance(blocks[1], Text)
    assert "Every set" not in told(other_centre(view_of(sets={**sets, "mean_size": 1.4})))
