"""The pipeline: names and parameters from YAML, the axis through the steps, storage as data."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from polydx.errors import AxisError, BundleError, ConfigError, SpectrumError
from polydx.preprocessing.pipeline import SpectraPipeline, build_pipeline
from polydx.preprocessing.spectra import SNV, STEPS, SavitzkyGolay, Standardise

AXIS = np.linspace(400, 1800, 141)
LABELS = np.arange(24) % 3


@pytest.fixture
def spectra():
    rng = np.random.default_rng(5)
    shape = np.exp(-(((AXIS - np.array([[700], [1000], [1450]])) / 25) ** 2) / 2)
    return (rng.uniform(0.2, 2, (24, 3)) @ shape + 2 - AXIS / 1800 + rng.normal(0, 0.02, (24, 141))).astype(np.float32)


EVERY_STEP = {
    "crop": {"low": 450.0, "high": 1700},
    "resample": {"onto": [500.0, 600.0, 650.5, 900.0, 1500.0]},
    "savitzky_golay": {"window": 7, "order": 2, "derivative": 1, "spacing": "axis"},
    "polynomial_baseline": {"order": 3},
    "arpls": {"lam": 1000.0},
    "pca": {"components": 4, "whiten": True},
    "select_best": {"k": 9},
}


@pytest.mark.parametrize("name", STEPS)
def test_a_stored_step_gives_the_same_bytes(name, spectra):
    fitted = build_pipeline([(name, EVERY_STEP.get(name, {}))], AXIS).fit(spectra[:16], LABELS[:16])
    config, arrays = fitted.to_state()
    restored = SpectraPipeline.from_state(json.loads(json.dumps(config)), arrays)
    assert restored.transform(spectra).tobytes() == fitted.transform(spectra).tobytes()


def test_a_chain_equals_its_steps_one_by_one(spectra):
    steps = [
        ("savitzky_golay", {"window": 11, "order": 3, "derivative": 1}),
        "snv",
        SimpleNamespace(name="standardise", params={}),
    ]
    found = build_pipeline(steps, AXIS).fit(spectra[:16]).transform(spectra)
    expected = spectra
    for step in (SavitzkyGolay(11, 3, 1), SNV(), Standardise()):
        expected = step.fit(expected[:16]).transform(expected)
    assert np.array_equal(found, expected)


def test_the_axis_travels_through_the_steps(spectra):
    steps = [("crop", {"low": 600, "high": 1500}), ("resample", {"step": 4.0}), "area_norm"]
    pipeline = build_pipeline(steps, AXIS)
    assert np.array_equal(pipeline.input_axis, AXIS)
    assert pipeline.axis_out.tolist() == np.arange(600.0, 1501.0, 4.0).tolist()
    found = pipeline.fit_transform(spectra)
    assert found.shape == (24, len(pipeline.axis_out))
    np.testing.assert_allclose(np.trapezoid(np.abs(found), pipeline.axis_out, axis=1), 1)


@pytest.mark.parametrize("last", [("pca", {"components": 2}), ("select_best", {"k": 3})])
def test_there_is_no_axis_after_columns_stop_being_wavenumbers(last):
    assert build_pipeline([last], AXIS).axis_out is None
    with pytest.raises(AxisError, match=r"step 'crop' works in cm.* put it before pca"):
        build_pipeline([last, ("crop", {"low": 500})], AXIS)


def test_no_axis_is_needed_where_no_step_asks_for_one(spectra):
    pipeline = build_pipeline(["snv"]).fit(spectra)
    assert pipeline.axis_out is None
    with pytest.raises(AxisError, match="step 'resample' works in cm"):
        build_pipeline([("resample", {"step": 2.0})])


def test_scalers_and_references_know_training_rows_only(spectra):
    pipeline = build_pipeline(["msc", "standardise"], AXIS).fit(spectra[:16])
    changed = spectra.copy()
    changed[16:] *= 7
    again = build_pipeline(["msc", "standardise"], AXIS).fit(changed[:16])
    assert np.array_equal(pipeline.transform(spectra[:16]), again.transform(spectra[:16]))
    np.testing.assert_allclose(pipeline.steps[0][1].reference_, spectra[:16].astype(float).mean(axis=0))


def test_all_mistakes_are_listed_at_once():
    steps = [
        ("svn", {}),
        ("savitzky_golay", {"windw": 11}),
        ("arpls", {"lam": -1.0}),
        ("crop", {"axis": [1, 2]}),
    ]
    with pytest.raises(ConfigError) as caught:
        build_pipeline(steps, AXIS)
    found = {p.where: p.what for p in caught.value.problems}
    assert found.keys() == {"svn", "savitzky_golay.windw", "arpls.lam", "crop.axis"}
    assert "did you mean 'snv'?" in found["svn"]
    assert "did you mean 'window'?" in found["savitzky_golay.windw"]
    assert "axis" not in found["savitzky_golay.windw"].split("expected")[1]
    assert "4 problems in the preprocessing of spectra" in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([("savitzky_golay", {"window": 10})], "odd number of points, found 10"),
        ([("savitzky_golay", {"window": 143})], "longer than the spectra of 141 points"),
        ([("crop", {"high": 500}), ("savitzky_golay", {"window": 13})], "longer than the spectra of 11 points"),
        ([("pca", {"components": 200})], "at most 141"),
        ([("select_best", {"k": 200})], "at most 141"),
    ],
)
def test_steps_that_cannot_work_are_refused_before_any_data(steps, message):
    with pytest.raises(ConfigError, match=message):
        build_pipeline(steps, AXIS)


def test_spectra_that_do_not_fit_the_axis_are_refused(spectra):
    pipeline = build_pipeline(["snv"], AXIS)
    with pytest.raises(AxisError, match="spectra have 140 points, the axis 141"):
        pipeline.fit(spectra[:, 1:])
    with pytest.raises(AxisError, match="descending"):
        build_pipeline(["snv"], AXIS[::-1])
    with pytest.raises(SpectrumError, match="row 2 has NaN"):
        pipeline.fit(np.where(np.arange(24)[:, None] == 2, np.nan, spectra))


def test_an_unfitted_pipeline_neither_transforms_nor_is_stored(spectra):
    pipeline = build_pipeline(["snv"], AXIS)
    with pytest.raises(NotFittedError, match="not fitted"):
        pipeline.transform(spectra)
    with pytest.raises(NotFittedError, match="not fitted"):
        pipeline.to_state()
    with pytest.raises(NotFittedError, match="SNV is not fitted"):
        SNV().transform(spectra)


def test_a_clone_is_unfitted_and_fits_the_same(spectra):
    pipeline = build_pipeline([("crop", {"low": 500}), "standardise"], AXIS).fit(spectra)
    copy = clone(pipeline)
    with pytest.raises(NotFittedError):
        copy.transform(spectra)
    assert np.array_equal(copy.fit_transform(spectra), pipeline.transform(spectra))


def test_a_broken_state_is_refused(spectra):
    config, arrays = build_pipeline(["snv", "standardise"], AXIS).fit(spectra).to_state()
    with pytest.raises(BundleError, match=r"lacks '1\.standardise\.mean_'"):
        SpectraPipeline.from_state(config, {"axis": AXIS})
    with pytest.raises(BundleError, match="state version 99"):
        SpectraPipeline.from_state(config | {"version": 99}, arrays)
    steps = [{"name": "nothing", "params": {}, "points": 141}]
    with pytest.raises(BundleError, match="is broken"):
        SpectraPipeline.from_state(config | {"steps": steps}, arrays)


@pytest.mark.slow
def test_a_stored_pipeline_runs_without_scikit_learn(spectra, tmp_path):
    steps = [("arpls", {"lam": 1e3}), ("savitzky_golay", {}), "snv", "standardise", ("pca", {"components": 3})]
    fitted = build_pipeline(steps, AXIS).fit(spectra)
    config, arrays = fitted.to_state()
    np.savez(tmp_path / "state.npz", config=json.dumps(config), spectra=spectra, **arrays)
    script = (
        "import json, sys, numpy as np\n"
        "from polydx.preprocessing.pipeline import SpectraPipeline\n"
        "state = dict(np.load(sys.argv[1]))\n"
        "config, spectra = json.loads(str(state.pop('config'))), state.pop('spectra')\n"
        "np.save(sys.argv[2], SpectraPipeline.from_state(config, state).transform(spectra))\n"
        "loaded = {m.split('.')[0] for m in sys.modules} & {'sklearn', 'torch', 'pybaselines', 'matplotlib'}\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)\n"
    )
    out = tmp_path / "out.npy"
    subprocess.run([sys.executable, "-c", script, tmp_path / "state.npz", out], check=True)
    assert np.array_equal(np.load(out), fitted.transform(spectra))
