from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from polydx.errors import BundleError, ConfigError, ImageError
from polydx.preprocessing.image_pipeline import TOGETHER, ImagePipeline, build_image_pipeline

EVERY = [
    ("mask_region", {"left": 0.8, "top": 0.8}), ("resize", {"size": [12, 10]}), "to_rgb", "rescale",
    ("clahe", {"tiles": 2}), "stain_normalise", "normalise",
]  # fmt: skip


@pytest.fixture
def mixed(rng) -> list[np.ndarray]:
    """Grey and colour, 8 and 16 bit, of several sizes, more than are read at a time."""
    kinds = [
        lambda: rng.integers(0, 256, (20, 16, 3), dtype=np.uint8),
        lambda: rng.integers(0, 65536, (18, 18), dtype=np.uint16),
        lambda: rng.random((30, 14, 4)).astype(np.float32),
    ]
    return [kinds[i % 3]() for i in range(TOGETHER + 6)]


def test_images_of_any_size_and_type_end_as_one_array(mixed):
    pipeline = build_image_pipeline(EVERY).fit(mixed)
    found = pipeline.transform(mixed)
    assert found.shape == (len(mixed), 3, 12, 10)
    assert found.dtype == np.float32
    assert pipeline.shape == pipeline.shape_out((20, 16, 3)) == (12, 10, 3)
    for i in (0, 1, 2, len(mixed) - 1):
        np.testing.assert_array_equal(pipeline.transform([mixed[i]])[0], found[i])


def test_channels_come_first_and_pixels_keep_their_places(rng):
    images = rng.random((3, 5, 6, 2)).astype(np.float32)
    np.testing.assert_array_equal(ImagePipeline([]).fit(images).transform(images), images.transpose(0, 3, 1, 2))


def test_a_fitted_pipeline_is_stored_as_data_and_comes_back_the_same(mixed):
    pipeline = build_image_pipeline(EVERY).fit(mixed)
    config, arrays = pipeline.to_state()
    again = ImagePipeline.from_state(json.loads(json.dumps(config)), arrays)
    np.testing.assert_array_equal(again.transform(mixed), pipeline.transform(mixed))
    np.testing.assert_array_equal(again.levels(), pipeline.levels())


def test_levels_are_what_black_and_white_become(rng):
    images = rng.random((4, 6, 6, 3)).astype(np.float32)
    pipeline = build_image_pipeline(["normalise"]).fit(images)
    black, white = pipeline.transform(np.stack([np.zeros((6, 6, 3)), np.ones((6, 6, 3))]))[:, :, 0, 0]
    np.testing.assert_allclose(pipeline.levels(), [black, white], rtol=1e-5)
    np.testing.assert_array_equal(build_image_pipeline([]).fit(images).levels(), [[0, 0, 0], [1, 1, 1]])
    assert build_image_pipeline(["colour_histogram"]).fit(images).levels() is None
    assert build_image_pipeline([]).levels() is None


def test_images_that_do_not_end_in_one_shape_are_named(rng):
    images = [rng.random((8, 8, 3)), rng.random((8, 8)), rng.random((9, 8, 3))]
    with pytest.raises(
        ImageError, match=r"2 of 3 images end in another shape .*\(8 x 8 pixels, 3 channels\)"
    ) as caught:
        build_image_pipeline([]).fit(images).transform(images)
    assert [(p.where, p.what) for p in caught.value.problems] == [
        ("row 1", "is 8 x 8 pixels, 1 channel"),
        ("row 2", "is 9 x 8 pixels, 3 channels"),
    ]
    with pytest.raises(ImageError, match="`normalise` learns from images of one shape: .* `resize`") as caught:
        build_image_pipeline(["normalise"]).fit(images)
    assert caught.value.problems[0].where == "row 1"
    histogram = build_image_pipeline(["colour_histogram"]).fit(images)
    assert histogram.transform([images[0], images[2]]).shape == (2, 24)
    with pytest.raises(ImageError, match=r"\(24 features\)"):
        histogram.transform(images)


def test_rows_that_a_step_cannot_work_on_are_named_beyond_the_first_batch(rng):
    images = rng.random((TOGETHER + 3, 8, 8, 3))
    images[TOGETHER + 1, 0, 0] = np.nan
    with pytest.raises(ImageError, match="is not finite") as caught:
        build_image_pipeline(["normalise"]).fit(images)
    assert [p.where for p in caught.value.problems] == [f"row {TOGETHER + 1}"]
    small = [*rng.random((3, 8, 8, 3)), rng.random((4, 4, 3))]
    with pytest.raises(ImageError, match="6 x 6 pixels cannot be cut out") as caught:
        build_image_pipeline([("centre_crop", {"size": 6})]).fit(small).transform(small)
    assert [p.where for p in caught.value.problems] == ["row 3"]


def test_wrong_steps_are_all_listed():
    with pytest.raises(ConfigError, match="4 problems in the preprocessing of images") as caught:
        build_image_pipeline(
            ["resise", ("normalise", {"constants": "mine"}), ("colour_histogram", {}), ("resize", {"sise": 3})]
        )
    assert [p.where for p in caught.value.problems] == ["resise", "normalise.constants", "resize.sise", "resize"]
    assert "did you mean 'resize'" in caught.value.problems[0].what
    assert "stands after colour_histogram, which leaves features" in caught.value.problems[3].what


def test_features_are_scaled_by_the_training_images_and_come_back_from_a_file(rng):
    images = rng.integers(0, 256, (TOGETHER + 6, 9, 9), dtype=np.uint8)
    plain = build_image_pipeline(["local_binary_patterns"]).fit(images)
    scaled = build_image_pipeline(["local_binary_patterns", "normalise"]).fit(images[:40])
    expected = StandardScaler().fit(plain.transform(images[:40])).transform(plain.transform(images))
    np.testing.assert_allclose(scaled.transform(images), expected, atol=1e-4)
    config, arrays = scaled.to_state()
    again = ImagePipeline.from_state(json.loads(json.dumps(config)), arrays)
    np.testing.assert_array_equal(again.transform(images), scaled.transform(images))
    assert scaled.levels() is None


def test_features_take_no_constants_of_imagenet_nor_steps_for_images(rng):
    images = rng.integers(0, 256, (4, 9, 9, 3), dtype=np.uint8)
    with pytest.raises(ImageError, match="are for pixels, not for features: use `constants: training`"):
        build_image_pipeline(["colour_histogram", ("normalise", {"constants": "imagenet"})]).fit(images)
    with pytest.raises(ConfigError) as caught:
        build_image_pipeline(["colour_histogram", "normalise", "to_grey"])
    assert [p.where for p in caught.value.problems] == ["to_grey"]


def test_no_images_and_an_unfitted_pipeline_are_refused(mixed):
    with pytest.raises(ImageError, match="there are no images"):
        build_image_pipeline([]).fit([])
    for use in (lambda p: p.transform(mixed), lambda p: p.to_state()):
        with pytest.raises(NotFittedError, match="this ImagePipeline is not fitted yet"):
            use(build_image_pipeline([]))


def test_a_broken_state_is_refused(mixed):
    config, arrays = build_image_pipeline(EVERY).fit(mixed).to_state()
    with pytest.raises(BundleError, match="state version 9"):
        ImagePipeline.from_state(config | {"version": 9}, arrays)
    with pytest.raises(BundleError, match=r"lacks '6.normalise.mean_'"):
        ImagePipeline.from_state(config, {k: v for k, v in arrays.items() if "mean_" not in k})
    with pytest.raises(BundleError, match="stored preprocessing is broken"):
        ImagePipeline.from_state(config | {"steps": [{"name": "paint", "params": {}}]}, arrays)
