"""Reads one image of a data set that was readable when the data set was prepared."""

from domain.route import LARGEST_BYTES
from serving.decoding.bounds import MAX_PIXELS
from serving.decoding.decode import decode
from serving.decoding.decoded import DecodedImage
from serving.decoding.undecodable import UndecodableError
from serving.files import read_regular
from training.config.errors import TrainingFailed
from training.data.dataset import Dataset, Example


def read_example(dataset: Dataset, example: Example, shorter_side: int) -> DecodedImage:
    """`shorter_side` as in `decode`. Raises TrainingFailed where the file has changed since."""
    try:
        body = read_regular(dataset.root / example.path, LARGEST_BYTES)
        return decode(body, MAX_PIXELS, shorter_side)
    except UndecodableError as error:
        raise TrainingFailed(f"Image {example.path} cannot be read: {error.message}") from error
    except FileNotFoundError as error:
        raise TrainingFailed(f"Image {example.path} was removed meanwhile.") from error
    except OSError as error:
        raise TrainingFailed(f"Image {example.path} cannot be read: {error.strerror}.") from error
