import pytest

from polydx.report.sections.done import plain
from polydx.report.words import (
    clipped,
    estimate,
    listed,
    metric_name,
    natural_order,
    number,
    over_seeds,
    p_value,
    percent,
    short_names,
)


@pytest.mark.parametrize(("value", "text"), [(0.12345, "0.123"), (-0.5, "−0.500"), (-0.0001, "0.000"), (None, "–")])
def test_numbers_have_three_digits_a_true_minus_and_no_negative_zero(value, text):
    assert number(value) == text


def test_estimates_carry_their_interval_if_they_have_one():
    assert estimate({"estimate": 0.9, "low": 0.8, "high": 1.0}) == "0.900 (0.800 to 1.000)"
    assert estimate({"estimate": 0.9, "low": None, "high": None}) == "0.900"
    assert estimate({"estimate": None}) == estimate(None) == "–"


def test_the_spread_over_seeds_follows_the_estimate_where_there_are_several():
    found = {"estimate": 0.9, "low": 0.8, "high": 1.0, "sd_seeds": 0.0126}
    assert estimate(found) == "0.900 ± 0.013 (0.800 to 1.000)"
    assert estimate({**found, "low": None}) == "0.900 ± 0.013"
    assert (over_seeds(found), over_seeds({"estimate": 0.9}), over_seeds(None)) == ("± 0.013", "", "")


def test_balanced_accuracy_of_several_classes_is_named_for_what_it_also_is():
    assert metric_name("balanced_accuracy") == "balanced accuracy"
    assert metric_name("balanced_accuracy", 7) == "balanced accuracy (mean sensitivity)"
    assert metric_name("top2_accuracy", 7) == "top-2 accuracy"


def test_small_p_is_a_bound():
    assert [p_value(p) for p in (0.0004, 0.0456, None)] == ["< 0.001", "0.046", "–"]


def test_shares_are_percent():
    assert [percent(s) for s in (0.666, float("nan"), None)] == ["67 %", "–", "–"]


def test_names_are_listed_as_in_a_sentence():
    assert [listed(n) for n in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_a_shared_prefix_is_dropped_and_no_other():
    assert short_names(["als/p1", "als/p2"]) == {"als/p1": "p1", "als/p2": "p2"}
    assert short_names(["a/p1", "b/p1"]) == {"a/p1": "a/p1", "b/p1": "b/p1"}
    assert short_names(["p1", "a/p2"]) == {"p1": "p1", "a/p2": "a/p2"}


@pytest.mark.parametrize("most", [5, 8, 28])
def test_long_names_lose_their_middle(most):
    name = "a very long name of a class that nobody can print"
    found = clipped(name, most)
    assert len(found) == most
    head, tail = found.split("…")
    assert name.startswith(head)
    assert name.endswith(tail)
    assert clipped("short", most) == "short"


def test_bands_are_ordered_by_number_and_names_by_letter():
    assert natural_order(["from 100", "9–12", "up to 8"]) == ["up to 8", "9–12", "from 100"]
    assert natural_order(["B", "10", "A", "9"]) == ["9", "10", "A", "B"]


def test_configuration_reads_like_words():
    steps = [{"name": "savitzky_golay", "params": {"window": 11, "order": 3}}, {"name": "snv", "params": {}}]
    assert plain({"raman": steps}) == "raman savitzky_golay (window 11, order 3) → snv"
    assert (
        plain({"hidden": [64, 32], "batch_norm": False, "lr": 0.001, "clip": None})
        == "hidden 64, 32, batch_norm no, lr 0.001"
    )
    assert plain({}) == "none"
