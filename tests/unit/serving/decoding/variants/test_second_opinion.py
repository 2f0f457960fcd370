"""ImageMagick sees our files as they are meant: our writers do not share an error with our readers.

Only families are compared that it reads without doubt. It scales narrow masks of BMP by shifts,
takes 24-bit integers for others, and inverts white-is-zero at some depths only.
"""

import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from PIL import Image

from tests.unit.serving.decoding.variants import bmp, tiff
from tests.unit.serving.decoding.variants.variant import Variant

SECOND = which("mogrify")
FAMILIES = {
    "bmp": ("24 and 32 bits", "palette", "8-bit run lengths", "4-bit run lengths"),
    "tiff": (
        *("RGB", *tiff.COMPRESSIONS.values()),
        *("bilevel", "bits in the other order", "palette", "CMYK", "JPEG compression"),
    ),
}
LEAST_SHARE = 0.9
ROUNDING = 2


def differs(variant: Variant, file: Path) -> bool:
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    shape = np.shape(variant.expected)
    if pixels.shape != shape:
        return True
    difference = np.abs(np.subtract(pixels, variant.expected)).max()
    return bool(difference > variant.tolerance + ROUNDING)


@pytest.mark.skipif(SECOND is None, reason="ImageMagick is not installed")
@pytest.mark.parametrize("variants", [bmp.VARIANTS, tiff.VARIANTS], ids=["bmp", "tiff"])
def test_another_decoder_sees_the_same_pixels(
    variants: tuple[Variant, ...], tmp_path: Path
) -> None:
    image_format = variants[0].format
    whole = [
        variant
        for variant in variants
        if variant.family in FAMILIES[image_format]
        if not variant.is_refused and (image_format == "bmp" or "24 bits" not in variant.name)
    ]
    for index, variant in enumerate(whole):
        (tmp_path / f"{index}.{image_format}").write_bytes(variant.write())
    files = [f"{index}.{image_format}" for index in range(len(whole))]
    command = [str(SECOND), "-depth", "8", "-format", "ppm", *files]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    outputs = {index: tmp_path / f"{index}.ppm" for index in range(len(whole))}
    compared = [index for index, file in outputs.items() if file.is_file()]
    if not compared:
        pytest.skip("ImageMagick is installed, and may not read such files here")
    different = [str(whole[index]) for index in compared if differs(whole[index], outputs[index])]
    assert len(different) <= (1 - LEAST_SHARE) * len(compared), different
    assert len(compared) > len(whole) / 2
