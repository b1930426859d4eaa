from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import Field

from polydx.params import check_params, closest, unknown


class Filter:
    def __init__(
        self,
        window: Annotated[int, Field(ge=1)],
        mode: Literal["fast", "exact"] = "fast",
        strength: float = 1.0,
        hidden: tuple[int, ...] = (),
        points: list[float] | None = None,
        path: Path | None = None,
        anything=None,
    ):
        pass


def takes_any(size: int = 1, **others: int) -> None:
    pass


def problems(**params):
    return [(p.where, p.what) for p in check_params(Filter, params, "filter")]


@pytest.mark.parametrize(
    "params",
    [
        {"window": 3},
        {"window": np.int64(3), "strength": np.float32(0.5)},
        {"window": 3, "strength": 2, "hidden": [4, 5], "points": [1, 2.5]},
        {"window": 3, "points": np.array([1.0, 2.0]), "path": "some/file.csv", "anything": object()},
    ],
)
def test_a_sound_call_has_no_problems(params):
    assert problems(**params) == []


def test_an_unknown_parameter_is_named_with_the_one_that_was_meant():
    ((where, what),) = problems(window=3, strenght=2.0)
    assert where == "filter.strenght"
    assert "did you mean 'strength'?" in what
    assert "window, mode" in what


def test_a_missing_parameter_is_named():
    assert problems() == [("filter.window", "is missing; it has no default")]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"window": 0}, "greater than or equal to 1, found 0"),
        ({"window": "3"}, "expected a valid integer, found '3'"),
        ({"window": 2.5}, "found 2.5"),
        ({"window": True}, "expected a valid integer, found True"),
        ({"window": 1, "mode": "slow"}, "expected `fast` or `exact`, found 'slow'"),
        ({"window": 1, "strength": float("nan")}, "finite number, found nan"),
        ({"window": 1, "hidden": ["a"]}, "found ['a']"),
        ({"window": 1, "strength": None}, "found None"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused(params, said):
    ((_, what),) = problems(**params)
    assert said in what


def test_a_hidden_parameter_does_not_exist_for_the_user():
    ((where, what),) = [(p.where, p.what) for p in check_params(Filter, {"path": "x"}, "f", hidden=["path", "window"])]
    assert where == "f.path"
    assert "path," not in what.split("expected")[1]
    assert "window" not in what


def test_all_problems_are_found_at_once():
    assert len(problems(mode="slow", strength="x", windw=1)) == 4


def test_a_function_that_takes_any_name_is_asked_about_the_named_ones_only():
    assert check_params(takes_any, {"other": "x"}, "f") == []
    assert [p.where for p in check_params(takes_any, {"size": "x"}, "f")] == ["f.size"]


def test_the_closest_name_overlooks_case_and_dashes():
    assert closest("Savitzky-Golay", ["snv", "savitzky_golay"]) == "savitzky_golay"
    assert closest("qqq", ["snv", "msc"]) is None


def test_an_unknown_name_is_told_all_options():
    assert unknown("step", "svn", ["snv", "msc"]) == "unknown step 'svn'; did you mean 'snv'? expected one of: snv, msc"
    assert unknown("step", "q", []) == "unknown step 'q'; expected one of: (none)"
