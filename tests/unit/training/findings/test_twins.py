"""Every pair that is alike enough is found, however many pictures there are."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.findings import twins
from training.findings.pictures import SIGNATURE_SIDE
from training.findings.twins import PictureList, TwinsOfKinds, find_twins

Signatures = NDArray[np.uint8]


def random_signatures(count: int, seed: int = 0) -> Signatures:
    """As smooth as photographs are at this size."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 5, 5), np.uint8)
    side = (SIGNATURE_SIDE, SIGNATURE_SIDE)
    return np.stack([np.asarray(cv2.resize(one, side), np.uint8) for one in coarse])


def with_noise(signatures: Signatures, seed: int) -> Signatures:
    noise = np.random.default_rng(seed).integers(-4, 5, signatures.shape)
    return np.asarray(np.clip(signatures.astype(int) + noise, 0, 255), np.uint8)


def listed(
    signatures: Signatures,
    splits: list[int] | None = None,
    labels: list[int] | None = None,
    digests: list[str] | None = None,
) -> PictureList:
    count = len(signatures)
    return PictureList(
        signatures,
        digests or [str(row) for row in range(count)],
        np.array(splits or [0] * count),
        np.array(labels or [0] * count),
        np.zeros(count, bool),
    )


def find(pictures: PictureList) -> TwinsOfKinds:
    return find_twins(pictures, lambda done, of: None)


def twins_by_definition(signatures: Signatures, similarity: float) -> set[int]:
    """Rows with a picture before them that is alike enough, it or its mirror image."""
    values = signatures.reshape(len(signatures), -1).astype(np.float32)
    mirrored = signatures[:, :, ::-1].reshape(len(signatures), -1).astype(np.float32)
    for rows in (values, mirrored):
        rows -= rows.mean(1, keepdims=True)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    alike = np.maximum(values @ values.T, values @ mirrored.T) >= similarity
    return set(np.flatnonzero(np.tril(alike, -1).any(1)).tolist())


def test_no_pair_is_lost_between_blocks() -> None:
    """A pair whose pictures are compared in different blocks would stay in the data unseen."""
    originals = random_signatures(twins.BLOCK_ROWS)
    copies = with_noise(originals[::10], 1)
    copies[::2] = copies[::2, :, ::-1]
    signatures = np.concatenate([originals, copies])
    signatures = signatures[np.random.default_rng(2).permutation(len(signatures))]
    found = set(np.flatnonzero(find(listed(signatures)).alike.rows >= 0).tolist())
    assert twins_by_definition(signatures, twins.SIMILARITY + 1e-4) <= found
    assert found <= twins_by_definition(signatures, twins.SIMILARITY - 1e-4)
    assert len(found) >= len(copies)


def test_where_all_pictures_are_one_each_names_one_that_stays() -> None:
    """And not each of its twins, of which there would be as many as pairs."""
    signatures = np.repeat(random_signatures(1), 50, axis=0)
    found = find(listed(signatures)).alike
    assert found.rows[0] == -1
    assert (found.rows[1:] >= 0).all()


@pytest.mark.parametrize("mirror", [False, True])
def test_the_first_of_two_is_kept_and_the_second_names_it(mirror: bool) -> None:
    signatures = random_signatures(3)
    twin = with_noise(signatures[1:2], 7)
    signatures = np.concatenate([signatures, twin[:, :, ::-1] if mirror else twin])
    found = find(listed(signatures)).alike
    assert found.rows.tolist() == [-1, -1, -1, 1]
    assert twins.SIMILARITY <= found.similarity[3] < twins.IDENTICAL


def test_splits_and_labels_make_the_kind() -> None:
    one = random_signatures(1)
    signatures = np.repeat(one, 4, axis=0)
    found = find(listed(signatures, splits=[0, 0, 1, 1], labels=[0, 1, 0, 0]))
    assert (found.in_another_split.rows >= 0).tolist() == [False, False, True, True]
    assert (found.with_another_label.rows >= 0).tolist() == [False, True, True, True]
    assert found.alike.rows.tolist() == [-1, -1, -1, 2]


def test_equal_bytes_are_said_even_of_pictures_of_one_colour() -> None:
    """Their signature is noise, so that it tells nothing; a black picture is not every other."""
    plain = np.full((3, SIGNATURE_SIDE, SIGNATURE_SIDE), 7, np.uint8)
    pictures = listed(plain, digests=["a", "b", "a"])
    pictures.is_plain[:] = True
    found = find(pictures).alike
    assert found.rows.tolist() == [-1, -1, 0]
    assert found.similarity[2] == twins.IDENTICAL
