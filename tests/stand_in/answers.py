"""What the stand-in says about some bytes; tests compute the same and compare."""

import hashlib

from domain.reply import Label, Labelled, Refused, Reply, Server

REFUSED_START = b"BAD"
OTHER = "something-else"


def label_of(image: bytes) -> str:
    return f"sha-{hashlib.sha256(image).hexdigest()[:8]}"


def answer(server: Server, image: bytes) -> Reply:
    if image.startswith(REFUSED_START):
        return Refused(server, "not_an_image", "the bytes start with BAD")
    labels = (Label(label_of(image), 0.9), Label(OTHER, 0.1))
    return Labelled(server, labels, width=4, height=3, format="jpeg", model_ms=0.5)
