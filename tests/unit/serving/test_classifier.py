"""Which files wait for which: small ones for none that is large, whatever their format."""

import asyncio
from collections.abc import Iterator

import pytest

from serving.classifier import Classifier, is_small
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


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt"], ids=bytes.decode)
def test_metadata_makes_no_png_large(kind: bytes) -> None:
    """It is never unpacked, but for the first profile: so it costs nothing."""
    assert is_small(expensive.png_with_text(kind, 70), "png")


def test_text_that_is_not_packed_makes_no_png_large() -> None:
    assert is_small(expensive.png_with_plain_text(900_000), "png")
