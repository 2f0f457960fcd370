"""Classify NumPy arrays with an endpoint, by the SageMaker SDK.

    Predictor("sortbox-dev").predict(array).labels[0]

The SDK alone can do it too; this adds the endpoint's size limit and typed replies:

    endpoint = Endpoint.get("sortbox-dev")
    endpoint.serializer, endpoint.deserializer = NumpySerializer(), JSONDeserializer()
    endpoint.invoke(body=array).body
"""

import json
import math

import boto3
import numpy as np
from botocore.exceptions import ClientError
from numpy.typing import NDArray
from sagemaker.core.deserializers import JSONDeserializer
from sagemaker.core.resources import Endpoint
from sagemaker.core.serializers import NumpySerializer

from aws.errors import container_message, is_evidence
from domain.errors import SortboxError
from domain.model import Preprocessing
from domain.reply import Labelled, Refused, from_json
from domain.route import ENDPOINT_BYTES
from serving import preprocess

HEADER_BYTES = 128

Images = NDArray[np.uint8]


class NotAnImage(SortboxError, ValueError):
    """The container's own sentence, or what is wrong with the array."""


class Predictor:
    """Raises botocore's ClientError if the endpoint is absent or fails."""

    def __init__(self, endpoint: str, session: boto3.Session | None = None) -> None:
        self._endpoint = Endpoint.get(endpoint, session=session)
        self._endpoint.serializer = NumpySerializer()
        self._endpoint.deserializer = JSONDeserializer()

    def predict(self, images: Images, top_k: int = 5) -> Labelled | list[Labelled]:
        """(H, W, 3) returns one answer, (N, H, W, 3) a list. Raises NotAnImage."""
        try:
            answer = self._endpoint.invoke(
                body=shrink_to_limit(np.asarray(images)),
                content_type="application/x-npy",
                accept="application/json",
                custom_attributes=f"top_k={top_k}",
            ).body
        except ClientError as error:
            raise _refused(error) or error from None
        if isinstance(answer, list):
            return [_parse_answer(document) for document in answer]
        return _parse_answer(answer)


def shrink_to_limit(images: Images) -> Images:
    """Unchanged if the endpoint accepts it; else cropped to the square that the model sees.

    The shared preprocessing crops the centre of any image. The same function crops and shrinks it
    here to the largest square within the limit, so the same region arrives. Raises NotAnImage.
    """
    if images.nbytes + HEADER_BYTES <= ENDPOINT_BYTES:
        return images
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[-1] != 3:
        raise NotAnImage(
            f"An array of {images.nbytes:,} bytes exceeds the endpoint's {ENDPOINT_BYTES:,}, and "
            "only uint8 values as H x W x 3 or N x H x W x 3 can be shrunk."
        )
    if images.ndim == 4:
        share = (ENDPOINT_BYTES - HEADER_BYTES) // len(images)
        return np.stack([_square(image, share) for image in images])
    return _square(images, ENDPOINT_BYTES - HEADER_BYTES)


def _square(image: Images, limit: int) -> Images:
    side = min(math.isqrt(limit // 3), *image.shape[:2])
    if side < 1:
        raise NotAnImage("There are too many images for one call.")
    whole = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return preprocess.crop(image, Preprocessing(side, side, *whole))


def _refused(error: ClientError) -> NotAnImage | None:
    """The container's own sentence; other errors say nothing about the array."""
    if not is_evidence(error):
        return None
    try:
        reply = from_json(container_message(error))
    except ValueError:
        return None
    return NotAnImage(reply.message) if isinstance(reply, Refused) else None


def _parse_answer(document: object) -> Labelled:
    match from_json(json.dumps(document)):
        case Refused(message=sentence):
            raise NotAnImage(sentence)
        case Labelled() as answer:
            return answer
