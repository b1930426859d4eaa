from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from polydx.errors import ConfigError
from polydx.explain.agnostic import exact_shapley, modality_shares, permuted_scores, sampled_shapley, shapley_of_row
from polydx.explain.agnostic.tables import mixed


def game(rng, players):
    worth = rng.normal(size=(2,) * players)
    return lambda coalitions: worth[tuple(coalitions.astype(int).T)]


def by_all_orders(value, players):
    found = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        inside = np.zeros(players, dtype=bool)
        before = value(inside[None])[0]
        for player in order:
            inside[player] = True
            after = value(inside[None])[0]
            found[player] += after - before
            before = after
    return found / len(orders)


@pytest.mark.parametrize("players", [1, 2, 4])
def test_exact_values_are_the_mean_over_all_orders_and_add_up(rng, players):
    value = game(rng, players)
    found = exact_shapley(value, players)
    np.testing.assert_allclose(found, by_all_orders(value, players))
    everyone, nobody = value(np.ones((1, players), bool))[0], value(np.zeros((1, players), bool))[0]
    assert found.sum() == pytest.approx(everyone - nobody)


def test_sampled_values_add_up_and_come_near_the_exact_ones(rng):
    value = game(rng, 5)
    found = sampled_shapley(value, 5, np.random.default_rng(0), orders=400)
    everyone, nobody = value(np.ones((1, 5), bool))[0], value(np.zeros((1, 5), bool))[0]
    assert found.sum() == pytest.approx(everyone - nobody)
    np.testing.assert_allclose(found, exact_shapley(value, 5), atol=0.15)
    few = sampled_shapley(value, 5, np.random.default_rng(0), orders=1)
    assert few.sum() == pytest.approx(everyone - nobody)


def test_too_many_players_are_sent_to_sampling():
    with pytest.raises(ConfigError, match="need 1 to 12 players, but got 13"):
        exact_shapley(lambda c: c.sum(axis=1), 13)


def frame(rng, rows, columns=3):
    found = pd.DataFrame(rng.normal(size=(rows, columns)), columns=[f"c{i}" for i in range(columns)])
    return found.assign(sex=rng.choice(np.array(["f", "m"], dtype=object), rows))


def test_a_linear_score_gives_each_column_its_own_difference_from_the_background(rng):
    row, background = frame(rng, 1), frame(rng, 20)
    slopes = np.array([2.0, -1.0, 0.0])

    def score(x):
        return x[["c0", "c1", "c2"]].to_numpy() @ slopes + 0.5 * (x["sex"] == "f").to_numpy()

    found = shapley_of_row(score, row, background, rng)
    expected = slopes * (row.iloc[0, :3].to_numpy(dtype=float) - background.iloc[:, :3].mean().to_numpy())
    np.testing.assert_allclose(found[:3], expected)
    assert found.sum() == pytest.approx(score(row)[0] - score(background).mean())


def test_many_columns_are_sampled_and_still_add_up(rng):
    row, background = frame(rng, 1, 9), frame(rng, 5, 9)

    def score(x):
        numbers = x.drop(columns="sex").to_numpy(dtype=float)
        return numbers.prod(axis=1) + numbers[:, 0]

    found = shapley_of_row(score, row, background, rng, orders=4)
    assert len(found) == 10
    assert found.sum() == pytest.approx(score(row)[0] - score(background).mean())
    assert found[9] == 0  # sex takes no part


def test_types_and_gaps_of_a_table_stay_what_they_are(rng):
    stages = pd.CategoricalDtype(["I", "II"], ordered=True)
    background = pd.DataFrame(
        {"age": [50.0, np.nan], "sex": ["f", None], "stage": pd.Series(["I", "II"], dtype=stages)}
    )
    row = pd.DataFrame({"age": [np.nan], "sex": ["m"], "stage": pd.Series([None], dtype=stages)})
    found = mixed(background, row, np.array([0, 1]), np.array([[True, False, True], [False, True, False]]))
    assert found.dtypes.astype(str).tolist() == background.dtypes.astype(str).tolist()
    assert np.isnan(found["age"]).tolist() == [True, True]
    assert found["sex"].tolist() == ["f", "m"]
    assert found["stage"].isna().tolist() == [True, False]
    seen = []

    def score(x):
        seen.append(x.dtypes.astype(str).tolist())
        return x["age"].fillna(0).to_numpy()

    drawn = permuted_scores(score, background, row, lambda: np.array([0, 0]), 2)
    np.testing.assert_array_equal(drawn, [[[0, 0]] * 2, *[[[50, 0]] * 2] * 2])
    assert all(dtypes == background.dtypes.astype(str).tolist() for dtypes in seen)


def test_a_row_needs_a_background_with_its_columns(rng):
    with pytest.raises(ConfigError, match="need one row, and background rows with the same columns"):
        shapley_of_row(lambda x: x["c0"].to_numpy(), frame(rng, 2), frame(rng, 3), rng)


def test_only_the_column_that_the_score_reads_changes_it_when_it_is_lent(rng):
    rows, donors = frame(rng, 40), frame(rng, 30)
    found = permuted_scores(lambda x: x["c1"].to_numpy(), rows, donors, lambda: rng.integers(30, size=40), 3)
    assert found.shape == (4, 3, 40)
    assert np.isin(found[1], donors["c1"]).all()
    assert (found[[0, 2, 3]] == rows["c1"].to_numpy()).all()


def test_modalities_that_add_up_get_what_they_add_and_one_that_is_missing_gets_nothing():
    worth = {"raman": np.array([2.0, 1.0, np.nan]), "image": np.array([-1.0, 3.0, 4.0])}
    base = 0.5

    def score(left):
        values = np.array([worth[m] for m in left])
        none = np.isnan(values).all(axis=0)
        return np.where(none, np.nan, base + np.nansum(values, axis=0))

    found = modality_shares(score, ["raman", "image"], base)
    np.testing.assert_allclose(found, [[2, -1], [1, 3], [0, 4]])
    with pytest.raises(ConfigError, match="need 2 to 5 of them, but got 1"):
        modality_shares(score, ["raman"], base)
