from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from domain.model import Preprocessing
from serving import preprocess
from tests.support.builders.images import GREEN, RED, picture, plain

NUMBERS = Preprocessing(resize=64, crop=56, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))


def test_a_crop_is_square_and_keeps_a_plain_colour() -> None:
    pixels = preprocess.crop(plain(RED, 300, 100), NUMBERS)
    assert pixels.shape == (56, 56, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == RED).all()


def test_the_centre_is_what_is_cropped() -> None:
    image = Image.new("RGB", (300, 100), RED)
    image.paste(GREEN, (100, 0, 200, 100))
    assert (preprocess.crop(image, NUMBERS)[:, 2:-2] == GREEN).all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resizing_only_the_centre_equals_resizing_all_and_cropping(interpolation: str) -> None:
    numbers = replace(NUMBERS, interpolation=interpolation)
    image = picture(256, 192)
    whole = image.resize((85, 64), Image.Resampling[interpolation.upper()])
    expected = np.asarray(whole.crop((14, 4, 70, 60))).astype(int)
    assert np.abs(preprocess.crop(image, numbers) - expected).mean() < 1.5


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("interpolation", preprocess.INTERPOLATIONS)
@pytest.mark.parametrize("crop", [60, 61, 120, 160, 201])
@pytest.mark.parametrize("size", [(256, 256), (256, 201), (201, 256), (255, 254)])
def test_each_pixel_is_sampled_where_it_lies(
    size: tuple[int, int], crop: int, interpolation: str, axis: int
) -> None:
    """Of an image that is as bright as its coordinate is large, a crop says where it looked."""
    numbers = replace(NUMBERS, resize=224, crop=crop, interpolation=interpolation)
    ramp = np.arange(size[axis], dtype=np.uint8)
    lines = np.broadcast_to(ramp[:, None] if axis == 0 else ramp, size)
    looked = preprocess.crop(np.stack([lines] * 3, 2), numbers)[..., 0].mean(1 - axis)
    step = min(size) / numbers.resize
    expected = size[axis] / 2 + (np.arange(crop) - (crop - 1) / 2) * step - 0.5
    assert abs((looked - expected).mean()) < 0.13, (
        "Half a pixel moves every answer a little, and no accuracy is low enough to tell."
    )
    assert np.abs(looked - expected).max() <= 1.1


@pytest.mark.parametrize("size", [(1, 1), (65_535, 1), (1, 65_535), (3, 7)])
def test_no_shape_is_too_odd(size: tuple[int, int]) -> None:
    assert (preprocess.crop(Image.new("RGB", size, GREEN), NUMBERS) == GREEN).all()


def test_normalising_subtracts_the_mean_and_divides_by_the_deviation() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8)
    inputs = preprocess.normalise(pixels, NUMBERS)
    expected = (pixels / 255 - np.array(NUMBERS.mean)) / np.array(NUMBERS.std)
    assert inputs.shape == (2, 3, 5, 5)
    assert inputs.dtype == np.float32
    assert np.allclose(inputs, expected.transpose(0, 3, 1, 2), atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(NUMBERS, crop=65),
        replace(NUMBERS, crop=0),
        replace(NUMBERS, std=(1.0, 0.0, 1.0)),
        replace(NUMBERS, interpolation="guess"),
    ],
)
def test_numbers_that_prepare_no_image_are_refused(wrong: Preprocessing) -> None:
    with pytest.raises(ValueError, match="preprocessing"):
        preprocess.check(wrong)
