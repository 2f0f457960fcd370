import io
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.decoding import arrays
from serving.decoding.undecodable import UndecodableError

IMAGE = np.random.default_rng(1).integers(0, 256, (6, 4, 3), np.uint8)


def npy(array: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def read(
    body: bytes, max_pixels: int = 1_000, max_images: int = 4
) -> arrays.ArrayImage | arrays.ArrayImages:
    return arrays.read_array(body, max_pixels, max_images)


@pytest.mark.parametrize(
    "array",
    [
        IMAGE,
        np.asfortranarray(IMAGE),
        IMAGE.transpose(2, 0, 1),
        IMAGE / 255,
        (IMAGE / 255).astype(">f4"),
        (IMAGE / 255).astype(np.float16),
        IMAGE.transpose(2, 0, 1) / 255.0,
    ],
    ids=[
        *("bytes", "fortran", "planes", "doubles", "big-endian", "halves"),
        "planes of floats",
    ],
)
def test_an_image_is_understood_however_it_is_laid_out(array: NDArray[np.generic]) -> None:
    images = read(npy(array))
    assert isinstance(images, arrays.ArrayImage)
    assert (images.image == IMAGE).all()


GREY = IMAGE[:, :, 0]


@pytest.mark.parametrize(
    "array", [GREY, GREY[:, :, np.newaxis], GREY[np.newaxis], GREY / 255], ids=["2", "H", "1", "f"]
)
def test_a_grey_image_has_three_equal_channels(array: NDArray[np.generic]) -> None:
    images = read(npy(array))
    assert isinstance(images, arrays.ArrayImage)
    assert (images.image == GREY[:, :, np.newaxis].repeat(3, axis=2)).all()


@pytest.mark.parametrize("axis", [1, 3])
def test_several_grey_images_are_a_list(axis: int) -> None:
    images = read(npy(np.expand_dims(np.stack([GREY, GREY // 2]), axis)))
    assert isinstance(images, arrays.ArrayImages)
    assert (images.images[1] == (GREY // 2)[:, :, np.newaxis].repeat(3, axis=2)).all()


@pytest.mark.parametrize("extreme", [1.0000001, 1.1, -0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_value_beyond_the_range_changes_no_other(
    extreme: float, dtype: type[np.floating[Any]]
) -> None:
    values = (IMAGE / 255).astype(dtype)
    values[0, 0, 0] = extreme
    images = read(npy(values))
    assert isinstance(images, arrays.ArrayImage)
    assert images.image[0, 0, 0] == (255 if extreme > 0 else 0)
    assert (images.image.ravel()[1:] == IMAGE.ravel()[1:]).all()


def test_an_image_does_not_change_with_its_neighbours() -> None:
    dark, white = np.full((6, 4, 3), 0.2, np.float32), np.ones((6, 4, 3), np.float32)
    for stack in ([dark, dark], [dark, white], [dark, white + 0.05]):
        images = read(npy(np.stack(stack)))
        assert isinstance(images, arrays.ArrayImages)
        assert (images.images[0] == 51).all()


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (IMAGE.astype(np.float32), r"values from \d to 25\d; .* Divide them by 255"),
        (IMAGE / 64.0 - 2, "seem to be normalised"),
        (np.full((6, 4, 3), np.nan), "not finite numbers"),
        (np.full((6, 4, 3), -np.inf, np.float32), "not finite numbers"),
        (np.full((6, 4, 3), 1e300), "not finite numbers"),
        (np.where(IMAGE > 250, np.nan, 0.5), "not finite numbers"),
        (IMAGE.astype(np.int64), "type is int64"),
        (IMAGE.astype(np.uint16), "type is uint16"),
        (IMAGE > 128, "type is bool"),
        (IMAGE.astype(np.complex64), "type is complex64"),
    ],
    ids=[
        *("255", "normalised", "NaN", "infinite", "beyond float32", "some NaN"),
        *("int64", "uint16", "bool", "complex"),
    ],
)
def test_values_of_another_range_are_refused_by_name(
    array: NDArray[np.generic], sentence: str
) -> None:
    with pytest.raises(UndecodableError, match=sentence) as refusal:
        read(npy(array))
    assert refusal.value.code == "unsupported_array"


def test_scores_are_written_as_numpy_reads_them() -> None:
    scores = np.array([[0.25, 0.75]], np.float32)
    written = np.load(io.BytesIO(arrays.write_scores(scores)), allow_pickle=False)
    assert written.dtype == np.float32
    assert written.tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize("count", [1, 3])
def test_four_axes_are_a_list_though_it_be_of_one(count: int) -> None:
    stack = np.stack([IMAGE] * count)
    for array in (stack, stack.transpose(0, 3, 1, 2)):
        images = read(npy(array))
        assert isinstance(images, arrays.ArrayImages)
        assert (images.images == stack).all()


def test_the_documented_order_wins_where_both_would_do() -> None:
    array = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    images = read(npy(array))
    assert isinstance(images, arrays.ArrayImage)
    assert (images.image == array).all()


def headed(shape: str, descr: str = "'|u1'") -> bytes:
    """With a header as it is written here, which NumPy would not write."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(3)


HUGE = npy(IMAGE).replace(b"(6, 4, 3)", b"(9999999, 9999, 3)")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff jpeg", "not_an_image"),
        (npy(IMAGE)[:-1], "truncated"),
        (HUGE, "truncated"),
        (npy(IMAGE)[:40], "corrupt"),
        (b"\x93NUMPY\x09\x09" + bytes(100), "corrupt"),
        (npy(IMAGE).replace(b"'descr'", b"'desc)'"), "corrupt"),
        (npy(IMAGE).replace(b"3)", b"3("), "corrupt"),
        (headed("(1, 1, 3)", descr="()"), "corrupt"),
        (headed("(1, 1, 3)", descr="('u1',)"), "corrupt"),
        (headed(f"(0x{'f' * 9000}, 1, 1, 1, 3)"), "corrupt"),
        (headed(f"(-0x{'f' * 9000}, 1, 1, 3)"), "corrupt"),
        (headed("(True, True, 3)"), "corrupt"),
        (npy(np.zeros((6,), np.uint8)), "unsupported_array"),
        (npy(np.zeros((6, 4, 4), np.uint8)), "unsupported_array"),
        (npy(np.zeros((0, 4, 3), np.uint8)), "unsupported_array"),
        (npy(np.zeros((1, 1, 6, 4, 3), np.uint8)), "unsupported_array"),
        (npy(np.array(7.0)), "unsupported_array"),
        (npy(np.zeros((40, 40, 3), np.uint8)), "too_many_pixels"),
        (npy(np.zeros((5, 6, 4, 3), np.uint8)), "too_large"),
    ],
)
def test_any_other_array_is_refused_with_a_sentence(body: bytes, code: str) -> None:
    with pytest.raises(UndecodableError) as refusal:
        read(body)
    assert refusal.value.code == code


def test_a_wrong_shape_is_told_beside_the_right_ones() -> None:
    with pytest.raises(UndecodableError, match=r"6 x 4 x 4.*H x W x 3"):
        read(npy(np.zeros((6, 4, 4), np.uint8)))


def test_a_type_of_a_thousand_fields_is_named_in_short() -> None:
    with pytest.raises(UndecodableError) as refusal:
        read(headed("(1, 1, 3)", descr=f"'{','.join(['f4'] * 1000)}'"))
    assert len(refusal.value.message) < 300


def test_a_row_of_floats_is_read_in_parts() -> None:
    row = np.random.default_rng(2).random((1, 2 * arrays.SLICE_PIXELS + 7, 3), np.float32)
    images = read(npy(row), max_pixels=row.size)
    assert isinstance(images, arrays.ArrayImage)
    assert (images.image == np.rint(row * 255)).all()


class Bang:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("unpickled",))


def test_nothing_is_ever_unpickled() -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(  # type: ignore[no-untyped-call]
        stream, {"descr": "|O", "fortran_order": False, "shape": (1, 1, 3)}
    )
    with pytest.raises(UndecodableError, match="type is object"):
        read(stream.getvalue() + pickle.dumps(Bang()))
