"""The container's reply about one image: the JSON body of a 200 (labels) or a 4xx (refusal)."""

import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Literal

from domain.model import MOST_FEATURES, Decision, read_decision

MAX_BYTES = 1_048_576
"""The longest reply that is read, in bytes; the container never sends a longer one."""

PROBE = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
"""A PNG of one pixel, sent to check the container: a healthy one classifies it."""


@dataclass(frozen=True, slots=True)
class Label:
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Server:
    """Who answered: the model id from CreateModel's environment, and the image's digest."""

    model_id: str
    container: str


@dataclass(frozen=True, slots=True)
class FeatureVector:
    """What the network's head takes, if the request asks for it. `base64` are `length` numbers of
    the type `dtype`, little-endian: float16, two bytes each."""

    dtype: Literal["float16"]
    length: int
    base64: str

    def __post_init__(self) -> None:
        """Raises ValueError unless `base64` is as long as `length` says."""
        if not 1 <= self.length <= MOST_FEATURES or len(self.to_bytes()) != 2 * self.length:
            raise ValueError(f"the features are not {self.length} numbers of two bytes")

    def to_bytes(self) -> bytes:
        return b64decode(self.base64, validate=True)


@dataclass(frozen=True, slots=True)
class Labelled:
    """The image was classified. `labels` is sorted by descending score, scores are probabilities
    in [0, 1]; `width` and `height` are in pixels after orientation, `model_ms` is the time that the
    model took, in milliseconds."""

    server: Server
    labels: tuple[Label, ...]
    width: int
    height: int
    format: str
    model_ms: float
    decision: Decision | None = None
    """None, and not in the JSON, where the model promises nothing."""
    features: FeatureVector | None = None
    """None, and not in the JSON, where they were not asked for or the network has none."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The container cannot classify these bytes, now or later; `message` says why."""

    server: Server
    code: str
    message: str


Reply = Labelled | Refused


def _fields(part: Reply | Server | Label | FeatureVector) -> dict[str, object]:
    values = ((name, getattr(part, name)) for name in part.__slots__)
    return {name: value for name, value in values if value is not None}


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_fields)
"""Takes a third of the time of `dataclasses.asdict`, which copies every value; runs once an
image."""


def to_json(reply: Reply) -> str:
    return _ENCODER.encode(reply)


def from_json(text: str | bytes) -> Reply:
    """The inverse of `to_json`. Raises ValueError for any other text, which says nothing about an
    image."""
    try:
        return _reply(json.loads(text, parse_constant=_no_number))
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a reply of the model container: {error}") from error


def _reply(fields: object) -> Reply:
    match fields:
        case {"server": server, "code": str(code), "message": str(message)}:
            return Refused(_server(server), code, message)
        case {
            "server": server,
            "labels": [*labels],
            "width": int(width),
            "height": int(height),
            "format": str(format),
            "model_ms": int() | float() as model_ms,
            **others,
        }:
            read = tuple(_label(label) for label in labels)
            decision = read_decision(others.get("decision"))
            features = _features(others.get("features"))
            return Labelled(
                _server(server), read, width, height, format, model_ms, decision, features
            )
    raise ValueError("it has neither labels nor a code and a message")


def _server(fields: object) -> Server:
    match fields:
        case {"model_id": str(model_id), "container": str(container)}:
            return Server(model_id, container)
    raise ValueError("it does not say which model answered")


def _label(fields: object) -> Label:
    match fields:
        case {"label": str(label), "score": int() | float() as score}:
            return Label(label, score)
    raise ValueError("a label has a name and a score")


def _features(fields: object) -> FeatureVector | None:
    match fields:
        case None:
            return None
        case {"dtype": "float16", "length": int(length), "base64": str(text)}:
            return FeatureVector("float16", length, text)
    raise ValueError("its features are no numbers of the type float16")


def _no_number(name: str) -> float:
    """Raises ValueError: Python's parser accepts NaN and Infinity, which are not JSON."""
    raise ValueError(f"{name} is not a number in JSON")
