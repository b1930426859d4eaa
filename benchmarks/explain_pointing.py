"""Whether maps of `polydx explain` point at the bands that carry a task: the pointing game on simulated patients."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from polydx.datasets.simulated import informative_bands, simulate_cohort, simulate_two_class
from polydx.explain.choice import targets
from polydx.explain.gradients import grad_cam, integrated_gradients
from polydx.explain.pointing import TOLERANCE, pointing_game
from polydx.explain.spectral import explain_spectra, occlusion
from polydx.explain.subjects import Subject
from polydx.recipes.build import build_recipes

DERIVATIVE = [{"savitzky_golay": {"window": 11, "order": 3, "derivative": 1}}, "snv"]
NETWORK = {"kind": "network", "training": {"epochs": 30, "batch_size": 16, "lr": 0.003, "patience": None}}
RECIPES = {
    "logistic": {
        "kind": "classical", "model": "logistic_regression", "params": {"C": 0.01},
        "preprocessing": {"raman": [*DERIVATIVE, "standardise"]},
    },
    "cnn": {**NETWORK, "backbones": {"raman": {"name": "cnn"}}, "preprocessing": {"raman": DERIVATIVE}},
}  # fmt: skip
METHODS = {"occlusion": occlusion(), "integrated_gradients": integrated_gradients(), "grad_cam": grad_cam()}


def main() -> None:
    print(f"| task | recipe | method | maps | points at a band (± {TOLERANCE:g} cm⁻¹) | top 5 peaks | by chance |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    cohorts = {
        "disease": simulate_two_class(patients=60, spectra_per_patient=4, seed=0, effect=4.0),
        "n_stage": simulate_cohort(patients=60, spectra_per_patient=4, seed=0, effect=3.0, missing_labels=0.0),
    }
    for task, study in cohorts.items():
        fold = study.patient_codes[0] % 3
        for name, recipe in build_recipes(RECIPES, study).items():
            halves = [(study.take(np.flatnonzero(fold != i)), study.take(np.flatnonzero(fold == i))) for i in range(3)]
            subjects = [Subject(recipe.fit(train, i), train, test, 0, i) for i, (train, test) in enumerate(halves)]
            ends = [targets(study, task, c)[0] for c in (study.tasks[task].classes[0], study.tasks[task].classes[-1])]
            for method, explain in METHODS.items():
                if name == "logistic" and method != "occlusion":
                    continue
                found = explain_spectra(subjects, explain, "raman", ends)
                maps = np.vstack([f.maps for m in found for f in m.folds])
                game = pointing_game(maps, found[0].axis, informative_bands(task))
                tops = [pointing_game(m.mean[None], m.axis, informative_bands(task)).top for m in found]
                shares = [f"{100 * share:.0f} %" for share in (game.score, np.mean(tops), game.chance)]
                print(f"| {' | '.join([task, name, method, str(game.maps), *shares])} |")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
