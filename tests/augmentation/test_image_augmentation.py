from __future__ import annotations

import numpy as np
import pytest
import torch

from polydx.augmentation.base import Chain
from polydx.augmentation.image_base import drawn
from polydx.augmentation.images import (
    IMAGE_AUGMENTATIONS,
    Blur,
    ColourJitter,
    Erasing,
    Grey,
    PixelNoise,
    build_image_chain,
)
from polydx.augmentation.plane import (
    Affine,
    HorizontalFlip,
    QuarterTurn,
    RandomCrop,
    Rotation,
    VerticalFlip,
    Warp,
    warped,
)
from polydx.config import Step
from polydx.errors import ConfigError

LUMA = torch.tensor([0.299, 0.587, 0.114])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chain(*steps: object) -> Chain:
    return build_image_chain([Step.model_validate(step) for step in steps])


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(12, 3, 16, 20, generator=generator(7))


@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS)
def test_the_same_generator_gives_the_same_images_and_another_one_others(images, name):
    step = IMAGE_AUGMENTATIONS[name]().fit(images)
    before = images.clone()
    first = step(images, generator(1))
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert torch.isfinite(first).all()
    assert torch.equal(first, step(images, generator(1)))
    assert not torch.equal(first, step(images, generator(2)))
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS)
def test_each_row_draws_its_own_numbers(images, name):
    alike = images[:1].expand(24, -1, -1, -1).contiguous()
    changed = IMAGE_AUGMENTATIONS[name](probability=1.0).fit(images)(alike, generator())
    if name in ("horizontal_flip", "vertical_flip", "grey"):  # nothing is drawn but whether
        changed = IMAGE_AUGMENTATIONS[name](probability=0.5).fit(images)(alike, generator())
    assert len({row.numpy().tobytes() for row in changed}) > 1


@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS)
def test_probability_is_the_share_of_rows_that_change(name):
    images = torch.rand(400, 3, 8, 8, generator=generator(3))
    step = IMAGE_AUGMENTATIONS[name](probability=0.25).fit(images)
    changed = (step(images, generator(4)) != images).flatten(1).any(dim=1).float().mean()
    expected = 0.25 * (0.75 if name == "quarter_turn" else 1.0)  # one turn in four is none
    assert abs(changed - expected) < 0.07
    assert torch.equal(IMAGE_AUGMENTATIONS[name](probability=0.0).fit(images)(images, generator()), images)


@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS)
def test_grey_images_of_any_size_and_levels_are_taken(name):
    images = torch.randn(3, 1, 9, 11, generator=generator()) * 40 - 300
    changed = IMAGE_AUGMENTATIONS[name](probability=1.0).fit(images, [[-1000.0], [400.0]])(images, generator())
    assert changed.shape == images.shape
    assert torch.isfinite(changed).all()


@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS)
@pytest.mark.slow
def test_normalised_images_are_changed_as_plain_ones_are(images, name):
    """Colours count from black to white, wherever a normalisation has put them."""
    mean, sd = torch.tensor([0.3, 0.5, 0.6]).reshape(3, 1, 1), torch.tensor([0.2, 0.1, 0.4]).reshape(3, 1, 1)
    levels = torch.stack([-mean / sd, (1 - mean) / sd]).reshape(2, 3).numpy()
    normal = (images - mean) / sd
    plain = IMAGE_AUGMENTATIONS[name](probability=1.0).fit(images)(images, generator())
    found = IMAGE_AUGMENTATIONS[name](probability=1.0).fit(normal, levels)(normal, generator())
    torch.testing.assert_close(found * sd + mean, plain, atol=2e-5, rtol=0)


def test_levels_of_other_channels_and_a_use_before_the_fit_are_refused(images):
    with pytest.raises(ConfigError, match=r"levels of images must have shape \(2, 3\), but got \(2, 1\)"):
        Blur().fit(images, [[0.0], [1.0]])
    for step in (Blur(), Rotation(), Warp([Rotation(), RandomCrop()])):
        with pytest.raises(ConfigError, match="must be fitted on the training rows before it is used"):
            step(images, generator())


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Rotation(-1.0), "amount of Rotation must be at least 0"),
        (lambda: RandomCrop(scale=0.0), "scale of RandomCrop must be above 0"),
        (lambda: RandomCrop(scale=1.5), "scale of RandomCrop must be above 0 and at most 1"),
        (lambda: RandomCrop(ratio=0.5), "ratio of RandomCrop must be at least 1"),
        (lambda: ColourJitter(hue=-0.1), "hue of ColourJitter must be at least 0"),
        (lambda: Blur(float("nan")), "amount of Blur must be at least 0"),
        (lambda: PixelNoise(-1.0), "amount of PixelNoise must be at least 0"),
        (lambda: Erasing(-0.1), "amount of Erasing must be at least 0"),
        (lambda: Erasing(1.1), "amount of Erasing must be at most 1"),
        (lambda: Grey(probability=2.0), "probability of an augmentation must be from 0 to 1"),
    ],
)
def test_impossible_amounts_are_refused(build, told):
    with pytest.raises(ConfigError, match=told):
        build()


def test_flips_swap_sides(images):
    assert torch.equal(HorizontalFlip(probability=1.0).fit(images)(images, generator()), images.flip(3))
    assert torch.equal(VerticalFlip(probability=1.0).fit(images)(images, generator()), images.flip(2))


def test_quarter_turns_of_squares_are_all_four_and_others_turn_upside_down(images):
    square = images[..., :16]
    changed = QuarterTurn().fit(square)(square.repeat(4, 1, 1, 1), generator())
    kinds = [
        next(k for k in range(4) if torch.equal(row, torch.rot90(square[i % 12], k, (1, 2))))
        for i, row in enumerate(changed)
    ]
    assert set(kinds) == {0, 1, 2, 3}
    for row, own in zip(QuarterTurn().fit(images)(images, generator()), images, strict=True):
        assert torch.equal(row, own) or torch.equal(row, torch.rot90(own, 2, (1, 2)))


class Fixed(Affine):
    """A transform of the plane that draws nothing."""

    def __init__(self, matrix: list[list[float]]) -> None:
        super().__init__()
        self.matrix = torch.tensor(matrix)

    def matrices(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return self.matrix.expand(len(x), 3, 3)


QUARTER = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
MOVED = [[1.0, 0.0, 3.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]]


def test_a_turn_by_90_degrees_is_that_of_torch_and_a_move_is_in_pixels(images):
    square = images[..., :16]
    torch.testing.assert_close(warped(square, torch.tensor(QUARTER).expand(12, 3, 3)), torch.rot90(square, 1, (2, 3)))
    moved = warped(images, torch.tensor(MOVED).expand(12, 3, 3))
    torch.testing.assert_close(moved[:, :, 2:, :17], images[:, :, :14, 3:], atol=1e-5, rtol=0)


def test_transforms_of_the_plane_in_one_interpolation_are_those_in_turn(images):
    square = images[..., :16]
    steps = [Fixed(MOVED), Fixed(QUARTER), Fixed(MOVED)]
    once = Warp(steps).fit(square)(square, generator())
    turn = square
    for step in steps:
        turn = step.fit(square)(turn, generator())
    torch.testing.assert_close(once[:, :, 5:11, 5:11], turn[:, :, 5:11, 5:11], atol=1e-5, rtol=0)


def test_neighbouring_transforms_of_the_plane_are_merged_and_others_keep_their_place(images):
    found = chain("rotation", {"random_crop": {"scale": 0.6}}, "blur", "rotation", "horizontal_flip")
    assert [type(step).__name__ for step in found.steps] == ["Warp", "Blur", "Rotation", "HorizontalFlip"]
    assert found.fit(images)(images, generator()).shape == images.shape


def test_rotations_stay_within_their_amount_and_keep_lengths(images):
    found = Rotation(30.0).fit(images).matrices(images.repeat(50, 1, 1, 1), generator())
    angle = torch.rad2deg(torch.atan2(found[:, 1, 0], found[:, 0, 0]))
    assert 25 < angle.abs().max() <= 30
    torch.testing.assert_close(found @ found.transpose(1, 2), torch.eye(3).expand(600, 3, 3))


def test_crops_stay_inside_the_image_and_keep_the_share_asked_for(images):
    found = RandomCrop(scale=0.3, ratio=2.0).fit(images).matrices(images.repeat(50, 1, 1, 1), generator())
    width, height = found[:, 0, 0], found[:, 1, 1]
    assert 0.3 - 1e-6 <= (width * height).min() < 0.35
    assert (width * height).max() <= 1 + 1e-6
    assert (found[:, 0, 2].abs() + width * 10 <= 10 + 1e-4).all()
    assert (found[:, 1, 2].abs() + height * 8 <= 8 + 1e-4).all()
    assert (torch.maximum(width / height, height / width) <= 2 + 1e-5).all()


def jittered(images: torch.Tensor, **amounts: float) -> torch.Tensor:
    none = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    return ColourJitter(**(none | amounts)).fit(images)(images, generator(5))


def test_each_colour_jitter_is_what_its_name_says():
    images = 0.4 + 0.2 * torch.rand(6, 3, 8, 8, generator=generator())
    grey = (LUMA.reshape(3, 1, 1) * images).sum(dim=1)
    torch.testing.assert_close(jittered(images), images)
    ratio = jittered(images, brightness=0.3) / images
    assert ratio.flatten(1).std(dim=1).max() < 1e-5
    assert 0.7 <= ratio.min() < ratio.max() <= 1.3
    contrast = jittered(images, contrast=0.5)
    mean = grey.flatten(1).mean(dim=1).reshape(-1, 1, 1, 1)
    factor = (contrast - mean) / (images - mean)
    assert factor.flatten(1).median(dim=1).values.std() > 0.01
    torch.testing.assert_close(
        contrast, mean + factor.flatten(1).median(dim=1).values.reshape(-1, 1, 1, 1) * (images - mean)
    )
    for kind in ("saturation", "hue"):
        changed = jittered(images, **{kind: 0.3})
        torch.testing.assert_close((LUMA.reshape(3, 1, 1) * changed).sum(dim=1), grey, atol=1e-3, rtol=0)
        assert (changed - images).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    half = jittered(images, hue=0.5)
    assert (half - images).abs().max() > 0.05


def test_jitter_keeps_within_black_and_white():
    images = torch.rand(8, 3, 8, 8, generator=generator())
    changed = ColourJitter(0.9, 0.9, 0.9, 0.5).fit(images)(images, generator())
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_grey_takes_colour_out_and_leaves_brightness(images):
    changed = Grey(probability=1.0).fit(images)(images, generator())
    torch.testing.assert_close(changed, (LUMA.reshape(3, 1, 1) * images).sum(dim=1, keepdim=True).expand_as(images))


def test_a_blur_is_scipys(images):
    from scipy.ndimage import gaussian_filter

    blur = Blur(2.0).fit(images)
    changed = blur(images, generator(9))
    widths = drawn(images, generator(9), 0.0, 2.0).flatten()
    reach = round(2.5 * 2.0)
    for row, own, sigma in zip(changed, images, widths.tolist(), strict=True):
        expected = gaussian_filter(own.numpy(), (0, sigma, sigma), mode="nearest", radius=(0, reach, reach))
        np.testing.assert_allclose(row.numpy(), expected, atol=1e-5)


def test_erasing_paints_one_rectangle_with_the_mean_pixel(images):
    mean = images.mean(dim=(0, 2, 3)).reshape(3, 1, 1)
    changed = Erasing(0.4, probability=1.0).fit(images)(images, generator())
    for row, own in zip(changed, images, strict=True):
        painted = (row != own).all(dim=0)
        assert painted.float().mean() <= 0.4 + 0.1  # pixels count whole
        down, across = painted.any(dim=1), painted.any(dim=0)
        assert torch.equal(painted, down[:, None] & across[None])
        torch.testing.assert_close(row[:, painted], mean.reshape(3, 1).expand(-1, int(painted.sum())))


def test_noise_counts_from_black_to_white():
    images = torch.zeros(300, 1, 20, 20)
    changed = PixelNoise(0.1).fit(images, [[0.0], [200.0]])(images, generator())
    sizes = changed.flatten(1).std(dim=1)
    assert 17 < sizes.max() < 22
    assert abs(float(sizes.mean()) - 10) < 1


def test_unknown_names_and_options_are_listed():
    with pytest.raises(ConfigError, match="cannot be built") as caught:
        chain("tilt", {"blur": {"sigma": 1}}, {"rotation": {"amount": "much"}})
    assert [p.where for p in caught.value.problems] == [
        "augmentation tilt",
        "augmentation blur",
        "augmentation rotation",
    ]
