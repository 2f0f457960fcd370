"""What the stand-in says about some bytes; tests compute the same and compare."""

import hashlib

from domain.reply import Label, Labelled, Refused, Reply, Server

REFUSED_START = b"BAD"
OTHER = "something-else"


MODEL = "stand-in"


def label_of(image: bytes, model: str = MODEL) -> str:
    """A model of another name has labels of its own for one half of all images."""
    digest = hashlib.sha256(image).hexdigest()
    return f"{model if model != MODEL and digest[0] < '8' else 'sha'}-{digest[:8]}"


def answer(server: Server, image: bytes) -> Reply:
    if image.startswith(REFUSED_START):
        return Refused(server, "not_an_image", "the bytes start with BAD")
    name = server.model_id.partition(":")[0]
    labels = (Label(label_of(image, name), 0.9), Label(OTHER, 0.1))
    return Labelled(server, labels, width=4, height=3, format="jpeg", model_ms=0.5)
