import pytest

from polydx.errors import ConfigError
from polydx.recipes.build import build_recipes

CLASSICAL = {"kind": "classical", "model": "logistic_regression"}
NETWORK = {"kind": "network", "backbones": {"raman": "cnn"}}


def places(config, study):
    with pytest.raises(ConfigError) as caught:
        build_recipes({"it": config}, study)
    return [p.where for p in caught.value.problems]


@pytest.mark.parametrize("recipe", [CLASSICAL, NETWORK])
@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["snw"], ["snw"]),
        (["snw", "snw"], ["snw"]),
        ([{"savitzky_golay": {"widow": 3}}, "snw"], ["savitzky_golay.widow", "savitzky_golay.window", "snw"]),
        ([{"crop": {"low": 900, "high": 800}}], ["crop.low"]),
    ],
)
def test_a_wrong_step_is_told_with_its_place_and_once(make_study, recipe, steps, expected):
    found = places(recipe | {"preprocessing": {"raman": steps}}, make_study())
    assert set(found) <= {f"recipes.it.preprocessing.raman.{place}" for place in expected}
    assert f"recipes.it.preprocessing.raman.{expected[0]}" in found
    assert len(set(found)) == len(found)
