"""Which files wait for which: small ones for none that is large, whatever their format."""

import asyncio
from collections.abc import Iterator

import pytest

from serving.classifier import Classifier
from tests.support.builders import expensive, images
from tests.support.builders.colours import Client, colours

SMALL = {
    form: images.encoded(images.picture(), form)
    for form in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
} | {"HEIC": images.heic(images.picture())}
LARGE = expensive.flat_png(4000, 4000, 16)
AT_ONCE = 3


@pytest.fixture(scope="module")
def classifier() -> Iterator[Classifier]:
    classifier = Client(colours).classifier
    yield classifier
    classifier.close()


@pytest.mark.parametrize("form", SMALL)
def test_a_small_file_waits_for_no_large_one(form: str, classifier: Classifier) -> None:
    """Of each format: TIFF and HEIC waited behind all of them, 12 s behind twenty."""

    async def story() -> None:
        large = [asyncio.ensure_future(classifier.file(LARGE, 1)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        await classifier.file(SMALL[form], 1)
        assert not any(each.done() for each in large)
        await asyncio.gather(*large)

    asyncio.run(story())
