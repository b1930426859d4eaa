from __future__ import annotations

import colorsys

import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import NotFittedError

from polydx.errors import ConfigError, ImageError
from polydx.preprocessing.images import (
    CLAHE,
    STEPS,
    CentreCrop,
    ColourHistogram,
    Letterbox,
    LocalBinaryPatterns,
    MaskRegion,
    Normalise,
    Rescale,
    Resize,
    StainNormalise,
    ToGrey,
    ToRGB,
)
from polydx.preprocessing.images.base import as_images
from polydx.preprocessing.images.stain import amounts, density

FILTERS = {
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}
OPTIONS = {"resize": {"size": 12}, "centre_crop": {"size": 12}, "letterbox": {"size": 12}, "clahe": {"tiles": 3},
           "mask_region": {"left": 0.7, "top": 0.7}}  # fmt: skip


@pytest.fixture
def images(rng) -> np.ndarray:
    return rng.random((5, 20, 26, 3), dtype=np.float32)


@pytest.mark.parametrize("how", FILTERS)
@pytest.mark.parametrize("size", [(7, 9), (33, 40), (20, 9), (20, 26)])
def test_resize_equals_pillow(images, how, size):
    found = Resize(size, how).fit_transform(images)
    for image, own in zip(images, found, strict=True):
        for channel in range(3):
            expected = Image.fromarray(image[..., channel]).resize(size[::-1], FILTERS[how])
            np.testing.assert_allclose(own[..., channel], np.asarray(expected), atol=2e-6)


@pytest.mark.parametrize("name", STEPS)
def test_an_image_gets_the_same_answer_alone_and_in_a_batch(images, name):
    step = STEPS[name](**OPTIONS.get(name, {})).fit(images)
    together = step.transform(images)
    assert together.dtype == np.float32
    for i in range(len(images)):
        np.testing.assert_array_equal(step.transform(images[i : i + 1])[0], together[i])


@pytest.mark.parametrize("name", STEPS)
def test_every_step_knows_the_shape_it_leaves_and_leaves_its_input_alone(images, name):
    before, step = images.copy(), STEPS[name](**OPTIONS.get(name, {}))
    assert step.fit_transform(images).shape[1:] == step.shape_out(images.shape[1:])
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", STEPS)
def test_steps_refuse_wrong_parameters_and_work_unfitted_on_nothing(images, name):
    step = STEPS[name](**OPTIONS.get(name, {}))
    with pytest.raises(NotFittedError, match="call `fit` with training images first"):
        step.transform(images)
    assert type(step)(**step.get_params()).get_params() == step.get_params()
    assert repr(step).startswith(type(step).__name__)
    with pytest.raises(ConfigError, match="has no parameter 'colour'"):
        step.set_params(colour="blue")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Resize(0), "Resize.size"),
        (Resize(how="lanczos"), "Resize.how"),
        (Rescale(low=2.0, high=1.0), "expected more than low"),
        (Normalise("test"), "Normalise.constants"),
        (ColourHistogram(bins=1), "ColourHistogram.bins"),
        (LocalBinaryPatterns(radius=0), "LocalBinaryPatterns.radius"),
        (CLAHE(clip=0.5), "CLAHE.clip"),
        (StainNormalise(percentile=60.0), "StainNormalise.percentile"),
        (MaskRegion(left=0.5, right=0.2), "expected more than left"),
        (MaskRegion(right=2.0), "expected at most 1"),
    ],
)
def test_wrong_parameters_are_named(images, step, told):
    with pytest.raises(ConfigError, match=told):
        step.fit(images)


@pytest.mark.parametrize(
    ("step", "shape", "told"),
    [
        (CentreCrop(30), (20, 26, 3), "30 x 30 pixels cannot be cut out of 20 x 26"),
        (Normalise("imagenet"), (20, 26, 1), "for 3 channels, found 1"),
        (ColourHistogram(space="hsv"), (20, 26, 1), "those of 3 channels, found 1"),
        (ColourHistogram(bins=64, joint=True), (20, 26, 3), "262144 features are too many"),
        (LocalBinaryPatterns(radius=9, grid=3), (20, 26, 3), "20 x 26 pixels are too small: expected at least 21"),
        (CLAHE(), (20, 26, 4), "takes grey or RGB images, found 4 channels"),
        (CLAHE(tiles=50), (20, 26, 3), "50 tiles a side do not fit into 20 x 26 pixels"),
        (StainNormalise(), (20, 26, 1), "takes RGB images, found 1 channels"),
        (MaskRegion(left=30, right=40, top=1, bottom=2, unit="pixel"), (20, 26, 3), "lies outside images of 20 x 26"),
        (MaskRegion(), (20, 26, 3), "covers the whole image"),
    ],
)
def test_images_of_a_shape_that_a_step_cannot_work_on_are_refused(rng, step, shape, told):
    with pytest.raises(ImageError, match=told):
        step.fit(rng.random((2, *shape)))


@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_other_channels_than_were_learnt_are_not_normalised(rng, channels):
    step = Normalise().fit(rng.random((3, 8, 8, 3)))
    with pytest.raises(ImageError, match=f"Normalise learnt from 3 channels, images have {channels}"):
        step.transform(rng.random((2, 8, 8, channels)))
    assert step.fit(rng.random((3, 8, 8, channels))).transform(rng.random((2, 8, 8, channels))).shape[-1] == channels


def test_whole_numbers_are_scaled_by_their_type_and_others_stay():
    np.testing.assert_array_equal(as_images(np.array([[[0, 255]]], dtype=np.uint8)).ravel(), [0, 1])
    np.testing.assert_array_equal(as_images(np.array([[[0, 65535]]], dtype=np.uint16)).ravel(), [0, 1])
    np.testing.assert_array_equal(as_images(np.array([[[False, True]]])).ravel(), [0, 1])
    np.testing.assert_array_equal(as_images(np.array([[[-1000, 400]]], dtype=np.int16)).ravel(), [-1000, 400])
    np.testing.assert_array_equal(as_images(np.array([[[0.25, 3.0]]])).ravel(), [0.25, 3.0])


def test_what_is_no_image_is_refused_and_bad_rows_are_named():
    with pytest.raises(ImageError, match=r"found an array of shape \(4, 4\)"):
        as_images(np.zeros((4, 4)))
    with pytest.raises(ImageError, match="found an array of type <U1"):
        as_images(np.full((1, 2, 2), "a"))
    bad = np.zeros((3, 2, 2))
    bad[1, 0, 0] = np.nan
    with pytest.raises(ImageError, match="1 of 3 images: is not finite") as caught:
        as_images(bad)
    assert [p.where for p in caught.value.problems] == ["row 1"]


def test_steps_of_colours_refuse_pixels_outside_0_to_1_and_name_the_rows():
    images = np.zeros((2, 16, 16, 3), dtype=np.int16)
    images[1] = 300
    for step in (ColourHistogram(), CLAHE(), StainNormalise()):
        with pytest.raises(ImageError, match="takes pixels from 0 to 1: put the step `rescale` before it") as caught:
            step.run(as_images(images))
        assert [p.where for p in caught.value.problems] == ["row 1"]


def test_a_centre_crop_is_the_middle(images):
    np.testing.assert_array_equal(CentreCrop((10, 8)).fit_transform(images), images[:, 5:15, 9:17])


def test_a_letterbox_keeps_proportions_and_fills_the_rest(images):
    found = Letterbox(52, fill=0.5).fit_transform(images)
    np.testing.assert_array_equal(found[:, 6:46], Resize((40, 52)).fit_transform(images))
    assert (found[:, :6] == 0.5).all()
    assert (found[:, 46:] == 0.5).all()


def test_grey_equals_pillows_and_rgb_repeats_it(rng):
    image = rng.integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    grey = ToGrey().fit_transform(image)
    assert np.abs(grey[0, ..., 0] * 255 - np.asarray(Image.fromarray(image[0]).convert("L"))).max() <= 0.51
    np.testing.assert_array_equal(ToRGB().fit_transform(grey), np.repeat(grey, 3, axis=3))


def test_transparency_goes(rng):
    for channels in (2, 4):
        images = rng.random((2, 4, 4, channels), dtype=np.float32)
        colours = images[..., : channels - 1]
        np.testing.assert_array_equal(
            ToRGB().fit_transform(images), np.repeat(colours, 3, 3) if channels == 2 else colours
        )
        np.testing.assert_array_equal(ToGrey().fit_transform(images), ToGrey().fit_transform(colours))


def test_rescale_is_a_window_or_the_levels_of_each_image():
    image = np.array([[[-1000, 0, 40, 400]]], dtype=np.int16)
    np.testing.assert_allclose(Rescale(-160, 240).fit_transform(image).ravel(), [0, 0.4, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose(Rescale().fit_transform(image).ravel(), [0, 1000 / 1400, 1040 / 1400, 1], atol=1e-6)
    assert (Rescale().fit_transform(np.full((1, 3, 3), 7)) == 0).all()
    many = np.arange(101.0).reshape(1, 1, 101)
    clipped = Rescale(clip=0.1).fit_transform(many).ravel()
    np.testing.assert_allclose(clipped, np.clip((np.arange(101) - 10) / 80, 0, 1), atol=1e-6)


def test_normalise_centres_and_scales_each_channel_by_the_training_images(images):
    images[..., 2] = 0.25
    step = Normalise().fit(images[:3])
    found = step.transform(images[:3])
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), [1, 1, 0], atol=1e-5)
    np.testing.assert_allclose(step.mean_, images[:3].reshape(-1, 3).mean(axis=0), atol=1e-6)
    published = (images - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(Normalise("imagenet").fit_transform(images), published, rtol=1e-5, atol=1e-6)


def test_a_masked_region_holds_nothing_of_what_was_printed_there(images):
    other = images.copy()
    other[:, 15:, 20:] = 0.0
    for fill in ("median", 0.3):
        step = MaskRegion(left=20 / 26, top=0.75, fill=fill).fit(images)
        np.testing.assert_array_equal(step.transform(images), step.transform(other))
        np.testing.assert_array_equal(step.transform(images)[:, :15], images[:, :15])
    painted = MaskRegion(left=20, top=15, right=99, bottom=99, unit="pixel").fit_transform(images)
    outside = np.ones((20, 26), dtype=bool)
    outside[15:, 20:] = False
    np.testing.assert_array_equal(painted[:, 19, 25], np.median(images[:, outside], axis=1))


def test_a_pixel_that_the_rectangle_touches_is_painted():
    images = np.ones((1, 10, 10))
    painted = MaskRegion(left=0.45, top=0.31, right=0.55, bottom=0.39, fill=0.0).fit_transform(images)[0, ..., 0] == 0
    assert painted.sum() == 2
    assert painted[3, 4:6].all()


@pytest.mark.parametrize("joint", [False, True])
def test_a_histogram_counts_as_numpy_does(images, joint):
    found = ColourHistogram(bins=4, joint=joint).fit_transform(images)
    for image, own in zip(images, found, strict=True):
        pixels = image.reshape(-1, 3)
        expected = (
            np.histogramdd(pixels, bins=4, range=[(0, 1)] * 3)[0].ravel()
            if joint
            else np.concatenate([np.histogram(pixels[:, c], bins=4, range=(0, 1))[0] for c in range(3)])
        )
        np.testing.assert_allclose(own, expected / len(pixels), atol=1e-6)


@pytest.mark.parametrize(("radius", "grid"), [(1, 1), (2, 1), (1, 3)])
def test_local_patterns_are_counted_as_a_plain_loop_does(images, radius, grid):
    found = LocalBinaryPatterns(radius=radius, grid=grid).fit_transform(images)
    around = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    image = images[0].astype(np.float32)
    height, width = image.shape[0] - 2 * radius, image.shape[1] - 2 * radius
    labels = np.empty((height, width, 3), dtype=int)
    for y, x, c in np.ndindex(labels.shape):
        bits = [
            image[y + radius + radius * dy, x + radius + radius * dx, c] >= image[y + radius, x + radius, c]
            for dy, dx in around
        ]
        changes = sum(bits[i] != bits[i - 1] for i in range(8))
        labels[y, x, c] = sum(bits) if changes <= 2 else 9
    expected = [
        (labels[np.ix_(rows, columns, [c])] == pattern).mean()
        for rows in np.array_split(np.arange(height), grid)
        for columns in np.array_split(np.arange(width), grid)
        for c in range(3)
        for pattern in range(10)
    ]
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_local_patterns_do_not_change_with_brightness_contrast_or_a_quarter_turn(rng):
    images = rng.random((2, 12, 12, 1)).astype(np.float32)
    step = LocalBinaryPatterns().fit(images)
    expected = step.transform(images)
    np.testing.assert_array_equal(step.transform(images * 0.5 + 0.25), expected)
    np.testing.assert_allclose(step.transform(np.rot90(images, axes=(1, 2))), expected, atol=1e-6)


def test_hue_saturation_and_value_are_those_of_colorsys(rng):
    from polydx.preprocessing.images.histogram import hsv

    colours = np.vstack([rng.random((40, 3)), np.eye(3), np.ones((1, 3)), np.zeros((1, 3))]).astype(np.float32)
    expected = [colorsys.rgb_to_hsv(*map(float, colour)) for colour in colours]
    np.testing.assert_allclose(hsv(colours), expected, atol=1e-5)
    two = ColourHistogram(bins=2, space="hsv").fit_transform(colours.reshape(1, 5, 9, 3))
    assert two.shape == (1, 6)
    np.testing.assert_allclose(two[0, 4:], np.histogram(colours.max(axis=1), 2, (0, 1))[0] / 45, atol=1e-6)


def clahe_by_loops(image: np.ndarray, clip: float, tiles: int, bins: int) -> np.ndarray:
    """The same, pixel by pixel, for sizes that the tiles divide."""
    down, across = image.shape[0] // tiles, image.shape[1] // tiles
    codes = np.minimum((image * bins).astype(int), bins - 1)
    curves = {}
    for i in range(tiles):
        for j in range(tiles):
            tile = codes[i * down : (i + 1) * down, j * across : (j + 1) * across].ravel().tolist()
            held = [float(tile.count(b)) for b in range(bins)]
            most = max(clip * len(tile) / bins, 1.0)
            over = sum(max(0.0, h - most) for h in held)
            curves[i, j] = np.cumsum([min(h, most) + over / bins for h in held]) / len(tile)
    found = np.zeros(image.shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            v, u = (y + 0.5) / down - 0.5, (x + 0.5) / across - 0.5
            for i in (int(np.floor(v)), int(np.floor(v)) + 1):
                for j in (int(np.floor(u)), int(np.floor(u)) + 1):
                    near = curves[min(max(i, 0), tiles - 1), min(max(j, 0), tiles - 1)]
                    found[y, x] += (1 - abs(v - i)) * (1 - abs(u - j)) * near[codes[y, x]]
    return found


def test_clahe_equals_a_plain_loop(rng):
    image = rng.random((12, 18)) ** 2
    found = CLAHE(clip=1.5, tiles=3, bins=16).fit_transform(image[None])
    np.testing.assert_allclose(found[0, ..., 0], clahe_by_loops(image, 1.5, 3, 16), atol=1e-5)


def test_clahe_of_one_tile_without_a_limit_ranks_the_pixels(rng):
    image = rng.permutation(64).reshape(1, 8, 8) / 64 + 1e-3
    found = CLAHE(clip=1e9, tiles=1, bins=64).fit_transform(image)
    np.testing.assert_allclose(found[0, ..., 0], image[0] + 1 / 64 - 1e-3, atol=1e-6)


def test_clahe_of_colours_keeps_hue_and_saturation(images):
    from polydx.preprocessing.images.histogram import hsv

    images = np.clip(images, 0.05, 1)
    found = CLAHE(tiles=3).fit_transform(images)
    np.testing.assert_allclose(hsv(found)[..., :2], hsv(images)[..., :2], atol=1e-4)
    np.testing.assert_allclose(
        found.max(axis=3, keepdims=True), CLAHE(tiles=3).fit_transform(images.max(axis=3)), atol=1e-6
    )


PURPLE, PINK = np.array([0.65, 0.70, 0.29]), np.array([0.27, 0.57, 0.78])


def stained(rng, purple, pink, strength=1.0, rows=2):
    """Images of two stains, amounts from an exponential law as in tissue."""
    given = rng.exponential(0.5, (rows, 40, 40, 2)) * strength
    given[..., 0] *= rng.random((rows, 40, 40)) < 0.6
    given[..., 1] *= rng.random((rows, 40, 40)) < 0.6
    unit = np.stack([purple / np.linalg.norm(purple), pink / np.linalg.norm(pink)])
    return np.clip(np.exp(-given @ unit), 1 / 255, 1), unit


def test_stains_are_found_and_other_images_get_those_of_the_training_images(rng):
    reference, expected = stained(rng, PURPLE, PINK, rows=4)
    step = StainNormalise().fit(reference)
    np.testing.assert_allclose(step.stains_ @ expected.T, np.ones((2, 2)) * (expected @ expected.T), atol=0.03)
    other, own = stained(rng, np.array([0.55, 0.76, 0.35]), np.array([0.18, 0.75, 0.60]), strength=0.6)
    found = step.transform(other)
    refound = StainNormalise().fit(found)
    np.testing.assert_allclose(refound.stains_, step.stains_, atol=0.05)
    np.testing.assert_allclose(refound.most_, step.most_, rtol=0.15)  # what is darkest is clipped
    before = StainNormalise().fit(other)
    assert np.abs(before.stains_ - step.stains_).max() > 0.08
    assert (before.stains_ @ own.T).diagonal().min() > 0.99


def test_amounts_of_stains_are_those_of_least_squares(rng):
    stains = rng.random((2, 3))
    given = rng.random((7, 2))
    np.testing.assert_allclose(amounts(given @ stains, stains), given, atol=1e-9)
    light = rng.random((2, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(np.exp(-density(light)), light.reshape(-1, 3), rtol=1e-6)


def test_an_unstained_image_stays_and_unstained_training_images_are_refused(rng):
    step = StainNormalise().fit(stained(rng, PURPLE, PINK)[0])
    white = np.ones((1, 40, 40, 3), dtype=np.float32)
    np.testing.assert_array_equal(step.transform(white), white)
    with pytest.raises(ImageError, match="hardly a pixel of the training images is stained"):
        StainNormalise().fit(white)
