"""What the model's container says about one image: the body of a 200, and of a 4xx."""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Label:
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Server:
    """Who answered: the model's id as CreateModel's environment gave it, and the image's digest."""

    model_id: str
    container: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """The container saw an image; labels come best first, scores are probabilities in [0, 1]."""

    server: Server
    labels: tuple[Label, ...]
    width: int
    height: int
    format: str
    model_ms: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The container says that these bytes will never be classified, and why."""

    server: Server
    code: str
    message: str


Reply = Labelled | Refused


def to_json(reply: Reply) -> str:
    return json.dumps(asdict(reply), ensure_ascii=False)


def from_json(text: str | bytes) -> Reply:
    """The inverse of `to_json`. Raises ValueError for anything else: no evidence about an image."""
    try:
        fields: dict[str, Any] = json.loads(text)
        server = Server(**fields.pop("server"))
        if "code" in fields:
            return Refused(server, **fields)
        labels = tuple(Label(**label) for label in fields.pop("labels"))
        return Labelled(server, labels, **fields)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not a reply of the model container: {error}") from error
