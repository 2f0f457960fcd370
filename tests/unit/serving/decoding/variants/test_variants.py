"""The server sees the pixels that were written, or refuses the variant by name."""

import pytest

from tests.unit.serving.decoding.variants.every import VARIANTS
from tests.unit.serving.decoding.variants.variant import Variant, compare

# Decoders warn about odd files, and the server ignores that: the answer is what counts.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_server_sees_the_pixels_or_refuses_the_variant(variant: Variant) -> None:
    expected = variant.expected if isinstance(variant.expected, str) else "equal"
    assert compare(variant) == expected


def test_each_variant_has_a_name_of_its_own() -> None:
    assert len({str(variant) for variant in VARIANTS}) == len(VARIANTS)
