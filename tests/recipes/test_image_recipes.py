"""Images through every kind of recipe: fitted, stored, predicted from files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polydx.bundle import load
from polydx.bundle.export import export_bundle
from polydx.errors import ConfigError, ImageError, ReadError, StudyError
from polydx.recipes.build import build_recipes
from polydx.recipes.extract import load_network
from polydx.recipes.protocol import Fitted
from polydx.recipes.provenance import seen_in
from polydx.splits import Fold
from polydx.study import UNLABELLED, Images, RowIndex, Spectra, Study, Table, Task
from polydx.validation.folds import Job, run_job

TASKS = {
    "malignancy": Task(("benign", "malignant"), level="sample"),
    "subtype": Task(("up", "down"), level="sample", parent=("malignancy", "malignant")),
}
NETWORK: dict[str, Any] = {
    "kind": "network",
    "backbones": {"smear": {"name": "cnn", "width": 4}},
    "preprocessing": {"smear": [{"mask_region": {"left": 0.8, "top": 0.8}}, {"resize": {"size": 16}}, "normalise"]},
    "augmentation": {"smear": ["horizontal_flip", {"random_crop": {"scale": 0.8}}, {"colour_jitter": {"hue": 0.0}}]},
    "heads": {"malignancy": {"hidden": [8], "dropout": 0.5}, "subtype": {"hidden": [8], "batch_norm": True}},
    "training": {"epochs": 2, "batch_size": 8, "lr": 0.01, "patience": None},
}
FOREST: dict[str, Any] = {
    "kind": "classical",
    "model": "random_forest",
    "params": {"n_estimators": 20},
    "preprocessing": {"smear": [{"mask_region": {"left": 0.8, "top": 0.8}}, {"colour_histogram": {"bins": 8}}]},
}
Make = Callable[..., Study]


@pytest.fixture
def make_images(tmp_path) -> Make:
    """Smears of three kinds, told apart by colour, of unlike sizes: benign, and two subtypes of malignant."""

    def make(patients: int = 12, each: int = 2, seed: int = 0) -> Study:
        rng = np.random.default_rng(seed)
        paths, kinds = [], np.repeat(np.arange(patients) % 3, each)
        for i, kind in enumerate(kinds):
            pixels = rng.normal(150, 20, (20 + i % 3, 24, 3))
            pixels[..., kind] += 60
            paths.append(tmp_path / f"{seed}-{i}.png")
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(paths[-1])
        ids = pd.Index([f"s{i}" for i in range(len(kinds))], name="sample", dtype=object)
        owners = [f"tiny/p{seed}-{i // each}" for i in range(len(kinds))]
        labels = {"malignancy": (kinds > 0).astype(int), "subtype": np.where(kinds > 0, kinds - 1, UNLABELLED)}
        return Study(
            "tiny",
            pd.DataFrame({"patient": owners}, index=ids),
            {"smear": Images(tuple(paths))},
            {"smear": RowIndex.one_each(len(ids))},
            TASKS,
            pd.DataFrame(labels, index=ids),
        )

    return make


def built(study: Study, config: dict[str, Any]) -> Any:
    return build_recipes({"it": config}, study)["it"]


def stored(fitted: Fitted, recipe: Any, study: Study, folder: Path) -> Any:
    about = {"study": study.name, "recipe": "it", "seed": 0, "polydx": "0", "samples": len(study), "patients": 1}
    export_bundle(folder, fitted, recipe, study, about)
    return load(folder)


FEATURES = {
    "kind": "features",
    "model": "logistic_regression",
    "features": {"network": NETWORK, "stage": "smear.stage2", "pool": "average"},
}
EVERY = {"network": NETWORK, "classical": FOREST, "features": FEATURES}


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.slow
def test_a_stored_model_answers_for_image_files_as_the_fit_does_for_the_study(make_images, tmp_path, kind):
    study = make_images()
    recipe = built(study, EVERY[kind])
    fitted = recipe.fit(study, 0)
    expected = fitted.predict_proba(study)
    for task, probabilities in expected.items():
        assert probabilities.shape == (len(study), len(TASKS[task].classes))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    model = stored(fitted, recipe, study, tmp_path / "model.zip")
    assert model.modalities["smear"]["kind"] == "images"
    answers = model.predict(list(study.images("smear").paths))
    np.testing.assert_allclose(answers["subtype: down"], expected["subtype"][:, 1], atol=1e-6)
    assert list(answers["row"]) == [0] * len(study)


def test_colours_are_learned_from_histograms_for_patients_not_seen(make_images):
    train, test = make_images(), make_images(seed=1)
    found = built(train, FOREST).fit(train, 0).predict_proba(test)
    for task in TASKS:
        codes = test.label_codes(task)
        assert (found[task].argmax(axis=1) == codes)[codes >= 0].mean() > 0.9


@pytest.mark.slow
def test_a_network_learns_from_images_for_patients_not_seen(make_images):
    train, test = make_images(patients=18), make_images(seed=1)
    config = NETWORK | {"heads": {}, "training": NETWORK["training"] | {"epochs": 15}}
    found = built(train, config).fit(train, 0).predict_proba(test)
    assert (found["malignancy"].argmax(axis=1) == test.label_codes("malignancy")).mean() > 0.8


def test_weights_kept_of_a_fold_answer_as_the_fit_did(make_images, tmp_path):
    study = make_images()
    recipe = build_recipes({"cnn": NETWORK}, study)["cnn"]
    fold = Fold(0, np.flatnonzero(study.patient_codes[0] > 2), np.flatnonzero(study.patient_codes[0] <= 2))
    job = Job(recipe, 0, fold, "key")
    outcome = run_job(job, study.take(fold.train), study.take(fold.test), tmp_path)
    kept = load_network(tmp_path / "weights" / "cnn" / "seed-0_fold-000.safetensors")
    told = outcome.predictions.query("task == 'malignancy'")["probability"].to_numpy().reshape(-1, 2)
    np.testing.assert_allclose(kept.predict_proba(study.take(fold.test))["malignancy"], told, atol=1e-6)


def test_what_is_masked_changes_no_answer(make_images):
    study = make_images()
    fitted = built(study, NETWORK).fit(study, 0)
    before = fitted.predict_proba(study)["malignancy"]
    for path in study.images("smear").paths:
        pixels = np.array(Image.open(path))
        pixels[-3:, -4:] = 0
        Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(fitted.predict_proba(study)["malignancy"], before)


def test_simclr_inside_the_fold_pretrains_on_images(make_images):
    study = make_images()
    pretrain = {"method": "simclr", "epochs": 2, "batch_size": 8, "projection": [8, 4]}
    fitted = built(study, NETWORK | {"pretrain": pretrain}).fit(study, 0)
    epochs = [row for row in fitted.history if "pretrain/loss" in row]
    assert len(epochs) == 2
    assert all(np.isfinite(row["pretrain/loss"]) for row in epochs)
    plain = built(study, NETWORK).fit(study, 0)
    assert not np.array_equal(fitted.predict_proba(study)["malignancy"], plain.predict_proba(study)["malignancy"])


@pytest.mark.slow
def test_images_and_spectra_meet_in_one_network(make_images, rng, tmp_path):
    study = make_images()
    spectra = Spectra(rng.normal(10, 1, (len(study), 40)).astype(np.float32), np.linspace(600.0, 1600.0, 40))
    both = replace(
        study,
        modalities={**study.modalities, "raman": spectra},
        rows={**study.rows, "raman": RowIndex.one_each(len(study))},
    )
    config = NETWORK | {
        "backbones": NETWORK["backbones"] | {"raman": {"name": "cnn", "width": 4}},
        "preprocessing": NETWORK["preprocessing"] | {"raman": ["snv"]},
        "augmentation": NETWORK["augmentation"] | {"raman": ["noise"]},
    }
    recipe = built(both, config)
    fitted = recipe.fit(both, 0)
    model = stored(fitted, recipe, both, tmp_path / "model.zip")
    assert {n: m["kind"] for n, m in model.modalities.items()} == {"smear": "images", "raman": "spectra"}
    found, expected = model.model.fitted.predict_proba(both), fitted.predict_proba(both)
    np.testing.assert_allclose(found["subtype"], expected["subtype"], atol=1e-5)
    with pytest.raises(ConfigError, match="the model takes smear, raman; files alone"):
        model.predict([study.images("smear").paths[0]])


def test_channels_of_images_stand_side_by_side(make_images):
    study = make_images()
    channels = [[{"resize": {"size": 16}}, "to_grey", {"clahe": {"tiles": 2}}], [{"resize": {"size": 16}}]]
    fitted = built(study, NETWORK | {"preprocessing": {"smear": {"channels": channels}}}).fit(study, 0)
    tensors, _ = fitted.inputs.tensors(study)
    assert tensors["smear"].shape == (len(study), 4, 16, 16)
    assert fitted.inputs.known["smear"].shape == (2, 4)


def test_a_patient_with_several_images_gets_the_mean_of_their_answers(make_images, tmp_path):
    study = make_images()
    bags = RowIndex.from_lists([[2 * i, 2 * i + 1] for i in range(12)])
    patients = replace(
        study, samples=study.samples[::2], labels=study.labels[::2], rows={"smear": bags}, unit="patient"
    )
    fitted = built(patients, NETWORK).fit(patients, 0)
    single = fitted.predict_proba(study)["malignancy"]
    expected = single.reshape(12, 2, 2).mean(axis=1)
    np.testing.assert_allclose(fitted.predict_proba(patients)["malignancy"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"preprocessing": {"smear": ["snv"]}}, "preprocessing.smear.snv", "unknown step 'snv'"),
        ({"preprocessing": {"smear": [{"resize": {"size": 0}}]}}, "smear.resize.size", "greater than or equal to 1"),
        ({"preprocessing": {"smear": [{"centre_crop": {"size": 99}}]}}, "smear", "cannot be cut out of 20 x 24"),
        ({"preprocessing": {"smear": ["colour_histogram"]}}, "preprocessing.smear", "a network takes images"),
        ({"augmentation": {"smear": ["offset"]}}, "augmentation offset", "expected one of horizontal_flip"),
        (
            {"preprocessing": {"smear": {"channels": [[{"resize": {"size": 16}}], [{"resize": {"size": 8}}]]}}},
            "preprocessing.smear",
            "channel 0 has 16 x 16 pixels, channel 1 8 x 8",
        ),
    ],
)
def test_what_keeps_a_network_from_images_is_told_before_any_fit(make_images, changes, where, what):
    with pytest.raises(ConfigError) as caught:
        built(make_images(), NETWORK | changes)
    assert any(where in p.where and what in p.what for p in caught.value.problems), caught.value


def test_images_of_unlike_sizes_are_named_by_their_files(make_images):
    study = make_images()
    recipe = built(study, NETWORK | {"preprocessing": {"smear": []}, "augmentation": {}})
    with pytest.raises(ImageError, match="'smear': 16 of 24 images end in another shape") as caught:
        recipe.fit(study, 0)
    assert caught.value.problems[0].where == str(study.images("smear").paths[1])


def test_a_modality_of_the_wrong_kind_is_named(make_images):
    study = make_images()
    with pytest.raises(StudyError, match="'smear' of study 'tiny' holds images; expected spectra"):
        study.spectra("smear")
    with pytest.raises(StudyError, match="'raman' of study 'tiny' is not there; expected images"):
        study.images("raman")
    rows = RowIndex.one_each(len(study))
    table = Table(pd.DataFrame({"age": np.arange(len(study))}))
    with_table = replace(study, modalities={"clinical": table}, rows={"clinical": rows})
    with pytest.raises(ConfigError, match="unknown step 'snv'; expected one of: select"):
        built(with_table, FOREST | {"preprocessing": {"clinical": ["snv"]}})


def test_files_that_are_no_images_are_all_named_before_anything_is_predicted(make_images, tmp_path):
    study = make_images()
    recipe = built(study, FOREST)
    model = stored(recipe.fit(study, 0), recipe, study, tmp_path / "model.zip")
    bad = tmp_path / "notes.png"
    bad.write_text("no image")
    with pytest.raises(ReadError, match="2 problems in the files to predict; nothing was predicted") as caught:
        model.predict([study.images("smear").paths[0], bad, tmp_path / "gone.png"])
    assert [p.where for p in caught.value.problems] == [str(bad), str(tmp_path / "gone.png")]


def test_frames_of_a_file_are_rows_and_of_a_patient_one_bag(make_images, tmp_path):
    study = make_images()
    recipe = built(study, FOREST)
    fitted = recipe.fit(study, 0)
    frames = [Image.open(path) for path in study.images("smear").paths[:3]]
    stack = tmp_path / "stack.tiff"
    frames[0].save(stack, save_all=True, append_images=frames[1:])
    model = stored(fitted, recipe, study, tmp_path / "model.zip")
    answers = model.predict([stack])
    expected = fitted.predict_proba(study)["malignancy"][:3, 1]
    assert list(answers["row"]) == [0, 1, 2]
    np.testing.assert_allclose(answers["malignancy: malignant"], expected, atol=1e-9)
    bag = replace(model, model=replace(model.model, unit="patient")).predict([stack])
    assert list(bag.columns[:3]) == ["sample", "file", "images"]
    assert list(bag["images"]) == [3]


def test_copies_of_images_are_known_to_weights_that_saw_them(make_images):
    study = make_images()
    fitted = built(study, NETWORK).fit(study, 0)
    assert fitted.manifest is not None
    assert fitted.manifest.seen.hashes == seen_in(study).hashes
    assert len(seen_in(study).hashes) == len(study)
    assert not fitted.manifest.seen.hashes & seen_in(make_images(seed=1)).hashes
