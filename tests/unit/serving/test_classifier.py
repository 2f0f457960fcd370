"""Which files wait for which: small ones for none that is large, whatever their format."""

import asyncio
from collections.abc import Iterator

import pytest

from serving.classifier import Classifier, is_small
from serving.decoding import bounds
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
        large = [asyncio.ensure_future(classifier.classify_file(LARGE)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        await classifier.classify_file(SMALL[form])
        assert not any(entry.done() for entry in large)
        await asyncio.gather(*large)

    asyncio.run(story())


@pytest.mark.parametrize("kind", bounds.PNG_PACKED)
def test_a_png_whose_text_unpacks_to_megabytes_is_not_small(kind: bytes) -> None:
    """62 chunks of 1 kB hold 62 MB: twenty such files took all the time of small ones.

    Eight did, a machine being busy: a photo beside twenty of them was answered in 1.58 s.
    """
    assert is_small(expensive.png_with_text(kind, 1), "png"), "photos have profiles"
    assert is_small(expensive.png_with_text(kind, 2), "png")
    assert not is_small(expensive.png_with_text(kind, 3), "png")


def test_text_that_is_not_packed_makes_no_png_large() -> None:
    assert is_small(expensive.png_with_plain_text(900_000), "png")
