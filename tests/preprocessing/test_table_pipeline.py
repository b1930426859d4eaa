"""Tables become numbers as scikit-learn's own transformers make them, whatever the order of rows and columns."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from polydx.errors import BundleError, ConfigError, StudyError
from polydx.preprocessing.table_pipeline import TablePipeline, build_table_pipeline

GRADES = ["low", "middle", "high"]


def drawn(rows: int = 60, seed: int = 0, gaps: float = 0.2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.normal(60, 12, rows),
            "marker": rng.lognormal(0, 1, rows),
            "grade": pd.Categorical(rng.choice(GRADES, rows), GRADES, ordered=True),
            "sex": rng.choice(["f", "m"], rows).astype(object),
            "site": rng.choice(["arm", "leg", "neck"], rows, p=[0.6, 0.3, 0.1]).astype(object),
        }
    )
    for name in ("age", "grade", "site"):
        frame.loc[rng.random(rows) < gaps, name] = None
    return frame


def part(pipeline: TablePipeline, matrix: np.ndarray, name: str) -> np.ndarray:
    field = next(f for f in pipeline.fields if f.name == name)
    return matrix[:, field.start : field.stop]


@pytest.mark.parametrize("how", ["median", "mean"])
def test_numbers_are_filled_marked_and_scaled_as_scikit_learn_does(how):
    train, test = drawn(), drawn(seed=1)
    pipeline = build_table_pipeline([("impute", {"number": how}), "standardise"]).fit(train)
    names = ["age", "marker"]
    imputer = SimpleImputer(strategy=how, add_indicator=True).fit(train[names])
    scaler = StandardScaler().fit(imputer.transform(train[names])[:, :2])
    whole = imputer.transform(test[names])
    values = scaler.transform(whole[:, :2])
    matrix = pipeline.transform(test)
    np.testing.assert_allclose(part(pipeline, matrix, "age"), np.column_stack([values[:, 0], whole[:, 2]]), atol=1e-12)
    np.testing.assert_allclose(part(pipeline, matrix, "marker"), values[:, 1:], atol=1e-12)


@pytest.mark.parametrize("rare", [0, 8])
def test_categories_become_the_columns_that_scikit_learn_gives_them(rare):
    train, test = drawn(), drawn(seed=1)
    pipeline = build_table_pipeline(["impute", ("one_hot", {"rare": rare})]).fit(train)
    filled = [frame[["site"]].fillna("zz") for frame in (train, test)]
    encoder = OneHotEncoder(min_frequency=rare or None, sparse_output=False).fit(filled[0])
    found = part(pipeline, pipeline.transform(test), "site")
    np.testing.assert_array_equal(found, encoder.transform(filled[1]))


def test_the_most_frequent_category_fills_as_scikit_learn_does_with_an_indicator():
    train, test = drawn(), drawn(seed=1)
    pipeline = build_table_pipeline([("impute", {"category": "most_frequent"})]).fit(train)
    told = SimpleImputer(strategy="most_frequent").fit(train[["site"]])
    encoder = OneHotEncoder(sparse_output=False).fit(told.transform(train[["site"]]))
    found = part(pipeline, pipeline.transform(test), "site")
    np.testing.assert_array_equal(found[:, :-1], encoder.transform(told.transform(test[["site"]])))
    np.testing.assert_array_equal(found[:, -1], test["site"].isna())


def test_levels_are_numbered_in_their_order_and_filled_with_a_level():
    train = drawn()
    for how, expected in (
        ("median", np.sort(train["grade"].cat.codes[train["grade"].notna()])),
        ("most_frequent", None),
    ):
        pipeline = build_table_pipeline([("impute", {"ordinal": how})]).fit(train)
        found = part(pipeline, pipeline.transform(train), "grade")
        known = train["grade"].notna().to_numpy()
        np.testing.assert_array_equal(found[known, 0], train["grade"].cat.codes[known])
        fill = expected[(len(expected) - 1) // 2] if expected is not None else train["grade"].cat.codes[known].mode()[0]
        assert set(found[~known, 0]) == {float(fill)}
        np.testing.assert_array_equal(found[:, 1], ~known)


def test_rows_and_columns_in_another_order_give_the_same_numbers():
    train, test = drawn(), drawn(seed=1)
    expected = build_table_pipeline().fit(train).transform(test)
    shuffled = train.sample(frac=1, random_state=3).reset_index(drop=True)[train.columns[::-1]]
    turned = test.iloc[::-1][["sex", "site", "age", "grade", "marker"]]
    np.testing.assert_array_equal(build_table_pipeline().fit(shuffled).transform(turned)[::-1], expected)
    assert np.isfinite(expected).all()


def test_it_goes_through_json_and_back():
    train, test = drawn(), drawn(seed=1)
    pipeline = build_table_pipeline([("drop", {"columns": ["sex"]}), "impute", ("one_hot", {"rare": 8})]).fit(train)
    config, arrays = pipeline.to_state()
    again = TablePipeline.from_state(json.loads(json.dumps(config)), arrays)
    np.testing.assert_array_equal(again.transform(test), pipeline.transform(test))
    assert again.fields == pipeline.fields
    assert config["kind"] == "table"
    assert again.columns == pipeline.columns


def test_an_unknown_category_is_taken_as_missing_and_told():
    train = drawn()
    pipeline = build_table_pipeline().fit(train)
    row = train.iloc[[0]].assign(site="moon", sex="other")
    expected = train.iloc[[0]].assign(site=None, sex=None)
    np.testing.assert_array_equal(pipeline.transform(row), pipeline.transform(expected))
    assert pipeline.unseen(row) == {"site": ("moon",), "sex": ("other",)}
    assert pipeline.unseen(train) == {}
    site, sex = part(pipeline, pipeline.transform(row), "site"), part(pipeline, pipeline.transform(row), "sex")
    assert site[0].tolist() == [0, 0, 0, 1]
    assert sex[0].tolist() in ([1, 0], [0, 1])  # never a vector of zeros


def test_select_and_drop_choose_columns_and_the_others_may_be_lacking_later():
    train = drawn()
    kept = build_table_pipeline([("select", {"columns": ["age", "sex"]})]).fit(train)
    assert [f.name for f in kept.fields] == ["age", "sex"]
    np.testing.assert_array_equal(kept.transform(train[["sex", "age"]]), kept.transform(train))
    dropped = build_table_pipeline([("drop", {"columns": ["marker", "grade", "site"]})]).fit(train)
    np.testing.assert_array_equal(dropped.transform(train), kept.transform(train))


def test_a_column_without_any_value_is_left_out_and_told():
    train = drawn().assign(age=np.nan)
    pipeline = build_table_pipeline().fit(train)
    assert "age" not in [f.name for f in pipeline.fields]
    assert pipeline.notes == ("column 'age' has no value in training: left out",)
    with pytest.raises(StudyError, match="no column of the table holds a value"):
        build_table_pipeline().fit(train[["age"]])


def test_a_gap_where_training_had_none_is_filled():
    train = drawn(gaps=0)
    pipeline = build_table_pipeline(["impute"]).fit(train)
    row = train.iloc[[0]].assign(age=np.nan, sex=None, grade=pd.Categorical([None], GRADES, ordered=True))
    assert part(pipeline, pipeline.transform(row), "age") == np.median(train["age"])
    assert part(pipeline, pipeline.transform(row), "sex").sum() == 1
    assert pipeline.width == pipeline.transform(row).shape[1] == 1 + 1 + 1 + 2 + 3


def test_whole_numbers_and_flags_are_numbers_and_constant_columns_do_no_harm():
    frame = pd.DataFrame({"count": [1, 2, 3], "flag": [True, False, True], "same": [4.0, 4.0, 4.0]})
    matrix = build_table_pipeline().fit_transform(frame)
    np.testing.assert_allclose(matrix.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(matrix[:, 2], 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="age"), "column 'age'.*is lacking; the model knows it as numbers"),
        (lambda f: f.assign(age="old"), "column 'age'.*holds categories; the model knows it as numbers"),
        (lambda f: f.assign(sex=1.0), "column 'sex'.*holds numbers; the model knows it as categories"),
        (lambda f: f.assign(age=np.inf), "column 'age'.*holds an infinite value"),
        (lambda f: f.assign(sex=pd.Timestamp("2020-01-01")), "column 'sex'.*holds datetime64"),
        (
            lambda f: f.assign(grade=f["grade"].cat.reorder_categories(GRADES[::-1])),
            "high < middle < low; .* low < mid",
        ),
    ],
)
def test_columns_that_do_not_fit_are_named(change, message):
    pipeline = build_table_pipeline().fit(drawn())
    with pytest.raises(StudyError, match=message):
        pipeline.transform(change(drawn(seed=1)))


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(StudyError, match="without rows"):
        build_table_pipeline().fit(drawn().iloc[:0])
    with pytest.raises(StudyError, match="column 'when'.*datetime64"):
        build_table_pipeline().fit(drawn().assign(when=pd.Timestamp("2020-01-01")))
    with pytest.raises(StudyError, match="column 'age'.*infinite"):
        build_table_pipeline().fit(drawn().assign(age=np.inf))
    with pytest.raises(ConfigError, match="unknown column 'agee'; did you mean 'age'"):
        build_table_pipeline([("select", {"columns": ["agee"]})]).fit(drawn())
    with pytest.raises(ConfigError, match="unknown column 'bmi'"):
        build_table_pipeline([("drop", {"columns": ["bmi"]})]).fit(drawn())
    with pytest.raises(ConfigError, match="leaves no column"):
        build_table_pipeline([("drop", {"columns": list(drawn().columns)})]).fit(drawn())


def test_wrong_steps_are_refused_all_at_once():
    with pytest.raises(ConfigError, match="2 problems(.|\n)*did you mean 'impute'(.|\n)*rare"):
        build_table_pipeline(["imput", ("one_hot", {"rare": -1})])
    with pytest.raises(ConfigError, match="standardise|impute .*stands after standardise"):
        build_table_pipeline(["standardise", "impute"])
    with pytest.raises(ConfigError, match="stands after one_hot"):
        build_table_pipeline(["one_hot", "one_hot"])


def test_a_broken_state_is_refused_and_an_unfitted_pipeline_says_so():
    from sklearn.exceptions import NotFittedError

    config, arrays = build_table_pipeline().fit(drawn()).to_state()
    with pytest.raises(BundleError, match="state version 9"):
        TablePipeline.from_state({**config, "version": 9}, arrays)
    with pytest.raises(BundleError, match="lacks 'fields'"):
        TablePipeline.from_state({k: v for k, v in config.items() if k != "fields"}, arrays)
    with pytest.raises(BundleError, match="broken"):
        TablePipeline.from_state({**config, "steps": [{"name": "odd", "params": {}, "learned": {}}]}, arrays)
    with pytest.raises(NotFittedError, match="TablePipeline is not fitted yet"):
        build_table_pipeline().transform(drawn())
