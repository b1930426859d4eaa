from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from polydx.errors import ConfigError, StudyError
from polydx.explain.agnostic import occlude_patches
from polydx.explain.asked import Asked
from polydx.explain.choice import targets
from polydx.explain.gradients import finest_of_images
from polydx.explain.methods import Options, explain_by
from polydx.explain.networks import rows_into
from polydx.explain.pictorial import _written, explain_images, shown
from polydx.explain.store import read_explanation, write_explanation
from polydx.explain.subjects import Subject
from polydx.progress import Silent
from polydx.recipes.build import build_recipes
from polydx.study import Images, RowIndex, Study, Task

NETWORK = {
    "kind": "network", "backbones": {"smear": {"name": "cnn", "width": 8, "multipliers": [1, 2]}},
    "preprocessing": {"smear": [{"resize": {"size": 32}}]},
    "training": {"epochs": 12, "batch_size": 8, "lr": 0.01, "patience": None},
}  # fmt: skip
FOREST = {
    "kind": "classical", "model": "random_forest", "params": {"n_estimators": 20},
    "preprocessing": {"smear": [{"colour_histogram": {"bins": 8}}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Grey smears; those of the ill have a bright spot in the upper left quarter."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("smears")
    paths, codes = [], np.arange(24) % 2
    for i, code in enumerate(codes):
        pixels = rng.normal(90, 10, (32, 32, 3))
        pixels[4:12, 4:12] += 120 * code
        paths.append(folder / f"{i}.png")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(paths[-1])
    ids = pd.Index([f"s{i:02d}" for i in range(24)], name="sample", dtype=object)
    return Study(
        "smears", pd.DataFrame({"patient": [f"smears/p{i:02d}" for i in range(24)]}, index=ids),
        {"smear": Images(tuple(paths))}, {"smear": RowIndex.one_each(24)}, {"disease": Task(("no", "yes"))},
        pd.DataFrame({"disease": codes}, index=ids),
    )  # fmt: skip


def explained(study, config, options):
    fitted = build_recipes({"r": config}, study)["r"].fit(study.take(np.arange(16)), 0)
    subject = Subject(fitted, study.take(np.arange(16)), study.take(np.arange(16, 24)))
    return explain_by(Asked(study, "r", ("smear",), [subject], 1), targets(study, "disease"), options, Silent())


@pytest.mark.parametrize(("config", "method"), [(NETWORK, "grad_cam"), (NETWORK, "occlusion"), (FOREST, "occlusion")])
@pytest.mark.slow
def test_maps_of_images_lie_on_the_spot_that_tells_the_classes_apart(study, config, method, tmp_path):
    found = explained(study, config, Options(method, stage="stage1" if method == "grad_cam" else None))
    assert found.tables["examples"]["sample"].tolist() == ["s17", "s19", "s21", "s23"]
    for number in range(4):
        heat = found.arrays[f"heat-{number}"]
        assert heat.shape == found.arrays[f"picture-{number}"].shape[:2] == (32, 32)
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        assert max(x, y) < 18
        assert heat[:16, :16].mean() > heat[16:, 16:].mean()
    write_explanation(tmp_path / "out", found)
    again = read_explanation(tmp_path / "out")
    np.testing.assert_array_equal(again.arrays["heat-0"], found.arrays["heat-0"])
    from polydx.report.explained import figures

    assert list(figures(again)) == ["images-yes"]


@pytest.mark.slow
def test_without_a_stage_the_cells_are_fine_enough_to_point(study):
    fitted = build_recipes({"r": NETWORK}, study)["r"].fit(study.take(np.arange(16)), 0)
    rows = rows_into(fitted, study, "smear")
    with torch.no_grad():
        cells = {name: rows.maps(name, rows.values[:1]).shape[-1] for name in ("stem", "stage1", "stage2")}
    finest = finest_of_images(rows)
    assert cells[finest] >= 7
    assert all(count < 7 for name, count in cells.items() if name > finest and name != "stem")
    tiny = replace(rows, tensors={"smear": rows.values[..., :4, :4]})
    assert finest_of_images(tiny) == "stem"  # no stage has enough


def test_further_fits_are_not_asked_once_there_are_enough_patients(study):
    def fits():
        yield Subject(Certain(), study, study)
        raise AssertionError("a second fit was made")

    def brightness(subject, one, modality, target):
        return np.zeros((2, 2)), np.zeros((2, 2), dtype=np.uint8)

    found = explain_images(fits(), brightness, "smear", targets(study, "disease"), most=3)
    assert len(found) == 3


class Certain:
    def predict_proba(self, study):
        return {"disease": np.tile([0.0, 1.0], (len(study), 1))}


def test_what_is_not_for_images_is_refused(study):
    with pytest.raises(ConfigError, match="`integrated_gradients` is for maps of spectra, and 'smear' holds images"):
        explained(study, FOREST, Options("integrated_gradients"))
    with pytest.raises(
        ConfigError, match="fits a recipe that is no network again, .*: explain the recipe of a run folder"
    ):
        explained(study, FOREST, Options("occlusion", sanity=True))
    healthy = study.take(np.flatnonzero(study.label_codes("disease") == 0))
    asked = Asked(study, "r", ("smear",), [Subject(None, study, healthy)], 1)
    with pytest.raises(StudyError, match="no sample of class yes of task 'disease' to explain"):
        explain_by(asked, targets(study, "disease"), Options("occlusion"), Silent())


def test_the_patch_over_the_only_pixels_a_score_reads_takes_all_of_it(rng):
    image = rng.integers(0, 100, (40, 60)).astype(np.uint16)
    image[10:14, 30:34] = 1000
    found = occlude_patches(lambda images: np.array([float(i[10:14, 30:34].mean()) for i in images]), image, patch=8)
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert (5 <= y <= 18, 25 <= x <= 38) == (True, True)
    assert found[30:].max() == 0
    with pytest.raises(ConfigError, match="a patch of 40 pixels: expected 2 or more, and less than the image"):
        occlude_patches(lambda images: np.zeros(len(images)), image, patch=40)


def test_an_occluded_image_is_written_without_loss_or_not_at_all(tmp_path, rng):
    from polydx.io.images import read_image

    for name, pixels in [
        ("grey", rng.integers(0, 255, (8, 9)).astype(np.uint8)), ("deep", rng.integers(0, 60000, (8, 9)).astype(np.uint16)),
        ("colour", rng.integers(0, 255, (8, 9, 3)).astype(np.uint8)), ("real", rng.normal(size=(8, 9)).astype(np.float32)),
    ]:  # fmt: skip
        np.testing.assert_array_equal(read_image(_written(tmp_path / name, pixels)), pixels)
    with pytest.raises(ConfigError, match="`occlusion` of images in colour needs eight bits a channel"):
        _written(tmp_path / "x", np.zeros((4, 4, 3), dtype=np.uint16))


def test_pictures_are_shown_in_eight_bits(rng):
    assert shown(np.array([[0.0, 2.0]])).tolist() == [[0, 255]]
    assert shown(rng.random((4, 4, 4))).shape == (4, 4, 3)
    assert shown(rng.random((4, 4, 1))).shape == (4, 4)
