from pydantic import TypeAdapter

from polydx.config import RecipeConfig
from polydx.recipes.sizes import network_sizes


def test_networks_are_counted_as_they_will_be_built(make_study):
    """Two channels averaged to 10 points, 20 values to 4, and 4 to 2 classes: counted by hand."""
    study = make_study(points=60)
    configs = {
        "net": {
            "kind": "network",
            "backbones": {"raman": {"name": "mlp", "hidden": [4], "points": 10}},
            "preprocessing": {"raman": {"channels": [["snv"], ["snv"]]}},
        },
        "logistic": {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["snv"]}},
    }
    found = network_sizes({n: TypeAdapter(RecipeConfig).validate_python(c) for n, c in configs.items()}, study)
    assert list(found) == ["net"]
    assert found["net"].parameters == (2 * 10 * 4 + 4) + (4 * 2 + 2)
    assert found["net"].multiply_adds == 2 * 10 * 4 + 4 * 2
