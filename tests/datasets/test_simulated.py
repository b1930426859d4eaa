"""The simulated cohorts: reproducible, checked, and true to what they say about themselves."""

import hashlib
import math

import numpy as np
import pytest
from scipy.signal import find_peaks, savgol_filter
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polydx.datasets.bands import ABUNDANCE, COMPONENTS, RESPONSES, component_spectra, informative_bands
from polydx.datasets.catalogue import load_study
from polydx.datasets.simulated import Instrument, simulate_cohort, simulate_two_class
from polydx.errors import ConfigError
from polydx.io.images import read_image

SILENT = Instrument(counts=1e6, fluorescence=0, read_noise=0, cosmic_rays=0, axis_error=0, gain_sd=0)


def spectra(study):
    return study.modalities["raman"].values.astype(float)


def patient_labels(study, task):
    """(P,) codes of a task, one a patient."""
    return study.labels[task].groupby(study.samples["patient"]).first().to_numpy()


def macro_auroc(study, task):
    """Cross-validate the plain logistic regression over patients; macro one-vs-rest AUROC of patients."""
    derived = savgol_filter(spectra(study), 11, 3, deriv=1, axis=1)
    derived = (derived - derived.mean(1, keepdims=True)) / derived.std(1, keepdims=True)
    codes, (owner, _) = study.label_codes(task), study.patient_codes
    truth = patient_labels(study, task)
    labelled = np.flatnonzero(truth >= 0)
    scores = np.zeros((len(truth), truth.max() + 1))
    for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(labelled, truth[labelled]):
        rows = np.isin(owner, labelled[train])
        logistic = LogisticRegression(C=0.01, max_iter=500, class_weight="balanced")
        model = make_pipeline(StandardScaler(), logistic).fit(derived[rows], codes[rows])
        for patient in labelled[test]:
            scores[patient] = model.predict_proba(derived[owner == patient]).mean(0)
    hits = truth[labelled][:, None] == np.arange(scores.shape[1])
    return np.mean([roc_auc_score(hit, score) for hit, score in zip(hits.T, scores[labelled].T, strict=True)])


def test_the_same_arguments_give_the_same_bytes_and_another_seed_does_not():
    prints = [simulate_cohort(21, 2, seed=s, points=64).fingerprint() for s in (5, 5, 6)]
    assert prints[0] == prints[1] != prints[2]
    digests = [hashlib.sha256(spectra(simulate_two_class(6, 2, seed=s)).tobytes()).hexdigest() for s in (5, 5, 6)]
    assert digests[0] == digests[1] != digests[2]


def test_a_name_stands_in_front_of_the_patients_and_changes_no_number():
    plain, named = simulate_cohort(21, 2, points=64), simulate_cohort(21, 2, points=64, name="elsewhere")
    np.testing.assert_array_equal(spectra(named), spectra(plain))
    assert (named.labels.to_numpy() == plain.labels.to_numpy()).all()
    assert (named.name, named.ids[0], named.patients[0]) == ("elsewhere", "elsewhere/P001/s01", "elsewhere/P001")
    assert not set(named.patients) & set(plain.patients)


def test_a_yaml_names_the_cohort_and_its_instrument(tmp_path):
    options = "{patients: 21, spectra_per_patient: 2, points: 64, name: elsewhere, instrument: {counts: 500}}"
    (tmp_path / "study.yaml").write_text(f"study: {{dataset: simulated-tumour, options: {options}}}")
    expected = simulate_cohort(21, 2, points=64, name="elsewhere", instrument=Instrument(counts=500.0))
    assert load_study(tmp_path / "study.yaml").fingerprint() == expected.fingerprint()


def test_what_no_instrument_has_is_refused_with_the_other_wrong_options(tmp_path):
    options = "{effect: strong, instrument: {count: 500, gain_sd: much}}"
    (tmp_path / "study.yaml").write_text(f"study: {{dataset: simulated-tumour, options: {options}}}")
    with pytest.raises(ConfigError, match="unknown parameter 'count'; did you mean 'counts'") as caught:
        load_study(tmp_path / "study.yaml")
    where = "study.options of 'simulated-tumour'"
    expected = [f"{where}.instrument.count", f"{where}.instrument.gain_sd", f"{where}.effect"]
    assert [problem.where for problem in caught.value.problems] == expected


def test_the_global_random_state_is_neither_read_nor_moved():
    np.random.seed(1)  # noqa: NPY002
    first = simulate_cohort(21, 1, points=32).fingerprint()
    after = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert np.random.random() == after  # noqa: NPY002
    assert simulate_cohort(21, 1, points=32).fingerprint() == first


@pytest.mark.parametrize("change", [{"spectra_per_patient": 5}, {"effect": 0.0}, {"points": 32}, {"patient_sd": 0.5}])
def test_patients_and_labels_stay_when_only_spectra_change(change):
    usual = {"patients": 30, "spectra_per_patient": 2, "points": 64}
    one, other = simulate_cohort(**usual), simulate_cohort(**usual | change)
    columns = ["patient", "centre", "age", "sex"]
    first_rows = [s.samples[columns].drop_duplicates("patient").to_numpy().tolist() for s in (one, other)]
    assert first_rows[0] == first_rows[1]
    for task in one.tasks:
        np.testing.assert_array_equal(patient_labels(one, task), patient_labels(other, task))


def test_missing_labels_hide_classes_but_change_no_measurement():
    whole, holes = (simulate_cohort(30, 2, points=64, missing_labels=m) for m in (0.0, 0.3))
    np.testing.assert_array_equal(spectra(whole), spectra(holes))
    for task in whole.tasks:
        known = patient_labels(holes, task) >= 0
        np.testing.assert_array_equal(patient_labels(whole, task)[known], patient_labels(holes, task)[known])


def test_a_cohort_has_the_documented_shape():
    study = simulate_cohort(patients=24, spectra_per_patient=3, points=128, centres=3)
    raman = study.modalities["raman"]
    assert (study.name, study.simulated, study.unit, len(study)) == ("simulated-tumour", True, "sample", 72)
    assert raman.values.shape == (72, 128)
    assert raman.values.dtype == np.float32
    assert raman.axis.dtype == np.float64
    assert np.all(np.diff(raman.axis) > 0)
    assert (raman.axis[0], raman.axis[-1]) == (400.0, 1800.0)
    assert study.ids[0] == "simulated-tumour/P001/s01"
    assert study.ids[-1] == "simulated-tumour/P024/s03"
    assert study.samples.loc[study.ids[-1], "patient"] == "simulated-tumour/P024"
    assert [len(t.classes) for t in study.tasks.values()] == [7, 5, 5]
    assert all(t.ordinal and t.level == "patient" for t in study.tasks.values())
    assert "simulated" in study.notes[0]
    assert study.samples["centre"].value_counts().to_dict() == {"A": 24, "B": 24, "C": 24}
    assert study.samples["age"].between(25, 90).all()
    assert set(study.samples["sex"]) == {"F", "M"}
    assert (study.samples.groupby("patient")[["centre", "age", "sex"]].nunique() == 1).all(axis=None)


@pytest.mark.parametrize("patients", [21, 40, 60, 173])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_class_has_three_patients_and_classes_are_imbalanced(patients, seed):
    study = simulate_cohort(patients, 1, seed=seed, points=16, missing_labels=0.0)
    for name, task in study.tasks.items():
        counts = np.bincount(patient_labels(study, name), minlength=len(task.classes))
        assert counts.sum() == patients
        assert counts.min() >= 3
        assert patients < 40 or counts.max() >= 2 * counts.min()


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.25, 1.0])
def test_the_missing_rate_is_met_exactly_and_spares_rare_classes(rate):
    study = simulate_cohort(60, 2, points=16, missing_labels=rate)
    for name, task in study.tasks.items():
        labels = patient_labels(study, name)
        assert (labels < 0).sum() == round(rate * 60)
        assert rate == 1.0 or np.bincount(labels[labels >= 0], minlength=len(task.classes)).min() >= 3
    if 0 < rate < 1:
        assert len({tuple(patient_labels(study, name) < 0) for name in study.tasks}) == 3


def test_tasks_are_correlated_but_not_copies():
    study = simulate_cohort(400, 1, points=16, missing_labels=0.0)
    for a, b in [("t_stage", "n_stage"), ("t_stage", "grade"), ("n_stage", "grade")]:
        assert 0.2 < spearmanr(patient_labels(study, a), patient_labels(study, b)).statistic < 0.6


def test_spectra_of_one_patient_resemble_each_other_more_than_others():
    def likeness(patient_sd):
        """Mean correlation within patients, less that between patients, of what is left of the mean derivative."""
        study = simulate_cohort(30, 4, effect=0.0, patient_sd=patient_sd, instrument=SILENT)
        derived = savgol_filter(spectra(study), 11, 3, deriv=1, axis=1)
        derived = (derived - derived.mean(1, keepdims=True)) / derived.std(1, keepdims=True)
        correlation = np.corrcoef(derived - derived.mean(0))
        same = study.patients[:, None] == study.patients[None, :]
        return correlation[same & ~np.eye(len(study), dtype=bool)].mean() - correlation[~same].mean()

    # Two variances, of patients and of their spectra (0.1 squared): the intraclass correlation is known.
    assert likeness(0.0) == pytest.approx(0.0, abs=0.1)
    assert likeness(0.15) == pytest.approx(0.15**2 / (0.15**2 + 0.1**2), abs=0.15)
    assert likeness(0.4) > likeness(0.15) + 0.1


def test_patient_sd_zero_leaves_no_patient_effect():
    study = simulate_cohort(21, 6, effect=0.0, patient_sd=0.0, instrument=SILENT)
    values = spectra(study).reshape(21, 6, -1)
    ratio = 6 * values.mean(1).var(0, ddof=1) / values.var(1, ddof=1).mean(0)  # F statistic of a one-way analysis
    assert 0.5 < np.median(ratio) < 1.7


@pytest.mark.slow
def test_effect_default_can_be_learnt_and_is_far_from_perfect():
    study = simulate_cohort()
    for task in study.tasks:
        assert 0.68 < macro_auroc(study, task) < 0.95, task


@pytest.mark.slow
def test_effect_zero_leaves_nothing_to_learn():
    cohorts = [simulate_two_class(40, 4, seed=s, points=351, effect=0.0) for s in range(6)]
    assert abs(np.mean([macro_auroc(study, "disease") for study in cohorts]) - 0.5) < 0.12


@pytest.mark.slow
def test_two_classes_can_be_told_apart_and_a_stronger_effect_helps():
    weak, strong = (
        np.mean([macro_auroc(simulate_two_class(seed=s, points=351, effect=e), "disease") for s in range(3)])
        for e in (1.0, 3.0)
    )
    assert 0.65 < weak < 0.97
    assert strong > max(weak, 0.97)


def test_two_classes_halve_the_patients_and_all_are_labelled():
    study = simulate_two_class(patients=10, spectra_per_patient=2, points=32)
    assert study.simulated
    assert (study.name, study.tasks["disease"].classes) == ("simulated-two-class", ("control", "disease"))
    assert study.tasks["disease"].positive_code == 1
    assert np.bincount(patient_labels(study, "disease")).tolist() == [5, 5]


@pytest.mark.parametrize("position", [785, 1003, 1301, 1448, 1520, 1655, 1745])
def test_the_mean_spectrum_peaks_at_published_positions(position):
    study = simulate_cohort(60, 2, instrument=SILENT)
    axis = study.modalities["raman"].axis
    peaks = axis[find_peaks(spectra(study).mean(0))[0]]
    assert np.abs(peaks - position).min() <= 6


def test_a_component_alone_is_highest_at_its_strongest_band():
    axis = np.linspace(400, 1800, 2801)
    for row, (name, bands) in zip(component_spectra(axis), COMPONENTS.items(), strict=True):
        assert abs(axis[row.argmax()] - max(bands, key=lambda b: b.height).position) < 4, name


def test_a_band_has_the_width_it_states():
    axis = np.linspace(1400, 1800, 40_001)
    carotenoid = component_spectra(axis)[list(COMPONENTS).index("carotenoid")]
    above = axis[carotenoid > carotenoid.max() / 2]
    assert above[-1] - above[0] == pytest.approx(18, abs=0.2)  # tails of the band at 1156 add a little


def test_a_shifted_instrument_reads_the_same_bands_higher():
    axis = np.linspace(400, 1800, 1401)
    moved, straight = component_spectra(axis, shift=2.0), component_spectra(axis)
    np.testing.assert_allclose(moved[:, 2:], straight[:, :-2], rtol=1e-12)


def test_centres_differ_by_a_shift_of_the_axis():
    quiet = {"patient_sd": 0.0, "effect": 0.0, "missing_labels": 0.0}
    shifted = Instrument(**{**vars(SILENT), "axis_error": 4.0})
    study = simulate_cohort(30, 8, **quiet, instrument=shifted)
    axis = study.modalities["raman"].axis
    window = (axis > 985) & (axis < 1020)
    centre = {
        name: np.average(axis[window], weights=spectra(study)[study.samples["centre"] == name].mean(0)[window] ** 4)
        for name in "ABC"
    }
    assert np.ptp(list(centre.values())) > 0.5


def test_informative_bands_are_where_classes_differ():
    study = simulate_cohort(120, 4, effect=2.0, missing_labels=0.0, instrument=SILENT)
    axis = study.modalities["raman"].axis
    for task in ("t_stage", "n_stage", "grade"):
        own = informative_bands(task)[:4]
        codes = study.label_codes(task)
        means = np.array([np.log(spectra(study))[codes == code].mean(0) for code in np.unique(codes)])
        change = np.ptp(means, axis=0)[np.abs(axis[:, None] - own).argmin(0)]
        assert change.min() > np.median(np.ptp(means, axis=0)), task


def test_informative_bands_are_those_of_the_task_alone():
    assert set(informative_bands("n_stage")) == {b.position for c in ("lipid", "carotenoid") for b in COMPONENTS[c]}
    for task in RESPONSES:
        bands = informative_bands(task)
        assert len(bands) == len(set(bands))
        assert all(400 < band < 1800 for band in bands)


def test_the_tables_agree_with_each_other_and_with_the_tasks():
    assert list(COMPONENTS) == list(ABUNDANCE)
    tumour = simulate_cohort(21, 1, points=16)
    tasks = {**tumour.tasks, **simulate_two_class(6, 1, points=16).tasks}
    assert set(tasks) == set(RESPONSES)
    for name, task in tasks.items():
        assert {len(response) for response in RESPONSES[name].values()} == {len(task.classes)}
    moved = [component for name in tumour.tasks for component in RESPONSES[name]]
    assert len(moved) == len(set(moved)), "a component answers to one task of the cohort"


def test_an_unknown_task_has_no_bands():
    with pytest.raises(ConfigError, match="no simulated task 'm_stage'; expected one of: t_stage, n_stage, grade"):
        informative_bands("m_stage")


def test_noise_is_that_of_a_photon_counter():
    noisy = Instrument(counts=2000.0, fluorescence=1.0, read_noise=20.0, cosmic_rays=0.0, gain_sd=0.0)
    study = simulate_cohort(40, 10, instrument=noisy)
    values = spectra(study)
    second = np.diff(values, 2, axis=1)[:, 640:670] / math.sqrt(6)  # flat region above 1680 cm^-1
    level = values[:, 641:671].mean()
    assert second.var() == pytest.approx(level + 20.0**2, rel=0.05)


def test_cosmic_rays_come_at_their_rate():
    quiet, struck = (Instrument(**{**vars(Instrument()), "cosmic_rays": rate}) for rate in (0.0, 0.5))
    difference = spectra(simulate_cohort(50, 8, instrument=struck)) - spectra(simulate_cohort(50, 8, instrument=quiet))
    assert difference.min() >= 0
    assert (difference.max(1) > 0).mean() == pytest.approx(1 - math.exp(-0.5), abs=0.08)


def test_without_fluorescence_the_background_is_gone():
    study = simulate_cohort(21, 2, instrument=SILENT)
    values = spectra(study)
    assert values[:, 0].max() < 0.05 * values.max()
    assert spectra(simulate_cohort(21, 2))[:, 0].min() > 0


@pytest.mark.parametrize(
    ("arguments", "where", "found"),
    [
        ({"patients": 20}, "patients", "expected a whole number from 21 .* found 20"),
        ({"patients": 30.0}, "patients", "expected a whole number .* found 30.0"),
        ({"patients": True}, "patients", "found True"),
        ({"spectra_per_patient": 0}, "spectra_per_patient", "found 0"),
        ({"seed": -1}, "seed", "found -1"),
        ({"points": 15}, "points", "from 16 .* found 15"),
        ({"missing_labels": 1.01}, "missing_labels", "expected a number from 0 to 1, found 1.01"),
        ({"missing_labels": -0.1}, "missing_labels", "found -0.1"),
        ({"effect": -1.0}, "effect", "found -1.0"),
        ({"effect": math.nan}, "effect", "found nan"),
        ({"effect": "strong"}, "effect", "found 'strong'"),
        ({"patient_sd": math.inf}, "patient_sd", "found inf"),
        ({"centres": 27}, "centres", "from 1 to 26, found 27"),
        ({"instrument": Instrument(counts=0.0)}, "instrument.counts", "found 0.0"),
        ({"instrument": Instrument(gain_sd=9.0)}, "instrument.gain_sd", "found 9.0"),
        ({"also": ["ct"]}, "also", "unknown modality 'ct'; expected one of: image, clinical"),
        ({"name": ""}, "name", "expected letters, digits, '-' and '_', found ''"),
        ({"name": "here/there"}, "name", "found 'here/there'"),
        ({"name": 7}, "name", "found 7"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(arguments, where, found):
    with pytest.raises(ConfigError, match=found) as caught:
        simulate_cohort(**arguments)
    assert [problem.where for problem in caught.value.problems] == [where]


def test_all_arguments_out_of_range_are_refused_at_once():
    with pytest.raises(ConfigError, match="3 arguments of 'simulated-two-class' out of range") as caught:
        simulate_two_class(patients=5, seed=-1, effect=-1.0)
    assert [problem.where for problem in caught.value.problems] == ["patients", "seed", "effect"]


def test_extreme_but_allowed_arguments_still_make_a_study():
    loud = Instrument(counts=1e6, fluorescence=100.0, read_noise=1e6, cosmic_rays=100.0, axis_error=50.0, gain_sd=2.0)
    study = simulate_cohort(
        21, 2, points=16, missing_labels=1.0, effect=10.0, patient_sd=2.0, centres=26, instrument=loud
    )
    assert np.isfinite(spectra(study)).all()


def pictured(study):
    """(P, H, W) pictures of patients."""
    return np.stack([read_image(path) for path in study.modalities["image"].paths]).astype(float)


def test_pictures_and_tables_come_on_top_and_change_nothing_else():
    plain, more = (simulate_cohort(24, 3, points=64, also=also) for also in ((), ("image", "clinical")))
    assert (list(plain.modalities), list(more.modalities)) == (["raman"], ["raman", "image", "clinical"])
    np.testing.assert_array_equal(spectra(more), spectra(plain))
    assert more.labels.equals(plain.labels)
    assert more.samples.equals(plain.samples)
    for modality in ("image", "clinical"):
        assert len(more.modalities[modality]) == 24
        owners = more.samples["patient"].groupby(np.concatenate([more.rows[modality][i] for i in range(72)])).nunique()
        assert owners.tolist() == [1] * 24, "one row a patient, for all of the patient's samples"
    assert more.fingerprint() == simulate_cohort(24, 3, points=64, also=["image", "clinical"]).fingerprint()


@pytest.mark.parametrize(("effect", "low", "high"), [(1.0, 0.3, 0.75), (0.0, -0.15, 0.15)])
def test_pictures_and_tables_follow_the_classes_loosely_and_at_effect_zero_not_at_all(effect, low, high):
    study = simulate_cohort(300, 1, points=16, effect=effect, missing_labels=0.0, also=["image", "clinical"])
    frame, pictures = study.modalities["clinical"].frame, pictured(study)
    size = (pictures > np.median(pictures, axis=(1, 2), keepdims=True) * 1.3).sum(axis=(1, 2))
    corners = np.concatenate(
        [pictures[:, :9, :9], pictures[:, -9:, :9], pictures[:, :9, -9:], pictures[:, -9:, -9:]], axis=2
    )
    coarse = corners.std(axis=(1, 2)) / corners.mean(axis=(1, 2))
    found = {
        "size": spearmanr(size, patient_labels(study, "t_stage")).statistic,
        "coarse": spearmanr(coarse, patient_labels(study, "grade")).statistic,
        "length": spearmanr(frame["length"], patient_labels(study, "t_stage"), nan_policy="omit").statistic,
        "nodes": frame["nodes"].cat.codes.where(frame["nodes"].notna()).corr(
            study.labels["n_stage"].reset_index(drop=True), method="spearman"
        ),
    }  # fmt: skip
    assert all(low < value < high for value in found.values()), found


def test_the_table_of_the_tumour_cohort_has_typed_columns():
    frame = simulate_cohort(60, 1, points=16, also=["clinical"]).modalities["clinical"].frame
    assert frame.dtypes.astype(str).tolist() == ["float64", "object", "object", "float64", "category"]
    assert set(frame["smoking"]) == {"never", "former", "current", None}
    assert frame["nodes"].cat.ordered
    assert 0.05 < frame.isna().to_numpy().mean() < 0.15
