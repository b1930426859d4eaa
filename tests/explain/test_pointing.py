import numpy as np
import pytest

from polydx.datasets.simulated import informative_bands
from polydx.explain.choice import targets
from polydx.explain.gradients import grad_cam, integrated_gradients
from polydx.explain.pointing import pointing_game
from polydx.explain.spectral import explain_spectra, occlusion

METHODS = {"occlusion": occlusion(), "integrated_gradients": integrated_gradients(), "grad_cam": grad_cam()}


@pytest.mark.parametrize(
    ("recipe", "method"), [("logistic", "occlusion"), *(("cnn", name) for name in METHODS)], ids=lambda x: x
)
@pytest.mark.slow
def test_every_method_points_at_the_bands_that_carry_the_task(subject, recipe, method):
    own = subject(recipe)
    (mapped,) = explain_spectra([own], METHODS[method], "raman", targets(own.test, "disease"))
    found = pointing_game(mapped.folds[0].maps, mapped.axis, informative_bands("disease"))
    assert found.chance < 0.4
    assert found.score >= 0.75
    assert found.top >= 0.6


def test_the_game_counts_hits_and_knows_its_chance():
    axis = np.arange(0.0, 1000.0)
    maps = np.zeros((4, 1000))
    maps[[0, 1, 2, 3], [105, 500, 95, 800]] = [1.0, -2.0, 3.0, 1.0]
    found = pointing_game(maps, axis, [100.0, 500.0], tolerance=5)
    assert (found.score, found.maps) == (0.75, 4)
    assert found.chance == pytest.approx(0.022)
    assert found.top == pytest.approx(2 / 3)  # 95 and 105 are one band
    maps[:, :600] = np.nan
    assert pointing_game(maps, axis, [100.0, 500.0], tolerance=5).score == 0.0
