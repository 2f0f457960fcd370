"""Brightness, contrast and sharpness do not depend on how large a picture is."""

import numpy as np
import pytest
from PIL import Image

from tests.support.data_sets import scenes
from training.findings.check import BLANK, BLURRED, DARK
from training.findings.pictures import SIGNATURE_SIDE, PictureMeasures, measure_picture


def measure(image: Image.Image) -> PictureMeasures:
    return measure_picture(np.asarray(image.convert("RGB")), image.width, image.height)


@pytest.mark.parametrize("side", [70, 192, 240, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_a_picture_is_sharp_and_its_blurred_copy_is_not_at_any_size(seed: int, side: int) -> None:
    image = scenes.scene(seed, side * 6 // 5, side)
    assert measure(image).sharpness > BLURRED
    assert measure(scenes.blurred(image, 0.03)).sharpness < BLURRED


@pytest.mark.parametrize("seed", range(5))
def test_a_dim_picture_is_as_sharp_as_a_bright_one(seed: int) -> None:
    image = scenes.scene(seed)
    dim = image.point(lambda value: value // 5)
    assert measure(image).brightest > DARK > measure(dim).brightest
    assert measure(dim).sharpness > BLURRED


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_pictures_of_odd_sizes_are_measured(size: tuple[int, int]) -> None:
    measures = measure(Image.new("RGB", size, "red"))
    assert measures.signature.shape == (SIGNATURE_SIDE, SIGNATURE_SIDE)
    assert (measures.shorter_side, measures.pixels) == (min(size), size[0] * size[1])
    assert measures.contrast < BLANK


def test_one_bright_pixel_does_not_make_a_picture_bright() -> None:
    night = Image.new("RGB", (200, 200), (9, 9, 9))
    night.putpixel((5, 5), (255, 255, 255))
    assert measure(night).brightest < DARK
