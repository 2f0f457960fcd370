"""The form of a correction: what a person says that one version of an image shows. Schema 1.

Corrections are small objects that are written once and never changed: the next word about an image
is another object. Their names begin with the time, so that they sort by it. Clocks differ: whoever
writes a correction chooses a name later than every name of this version that is known, so that an
answer to somebody else's correction always comes after it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domain import timestamps
from domain.keys import CORRECTIONS, INBOX, KEY_BYTES
from domain.model import parse_json

SCHEMA = 1
DOCUMENT_BYTES = 65_536
"""The largest document that is read; `check` bounds what is written to less."""

LABEL_BYTES = 4_000
PERSON_BYTES = 256
ETAG_BYTES = 128
NAME_TIME = "%Y%m%dT%H%M%S.%f"
NAME = re.compile(r"(2[0-9]{7}T[0-9]{6}\.[0-9]{3})-([0-9a-f]{16})")
SURROGATE = re.compile(r"[\ud800-\udfff]")
FIELDS = frozenset({"schema", "image", "etag", "from", "to", "who", "at", "withdraws"})


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person said of a version of an image.

    `before` is the label that the image had, None if it was rejected; `to` is the right label, None
    for none of them. One that is equal to `before` confirms it. A correction with `withdraws` takes
    back the one of that name, which may itself withdraw another; its `to` is None.
    """

    name: str
    image: str
    etag: str
    before: str | None
    to: str | None
    who: str
    withdraws: str | None = None

    @property
    def at(self) -> str:
        """The time in its name, to the second (`domain.timestamps`)."""
        return timestamps.to_text(moment_of(self.name))

    @property
    def key(self) -> str:
        return f"{CORRECTIONS}{self.name}.json"


def moment_of(name: str) -> datetime:
    """The time in a correction's name. Raises ValueError for what is no such name."""
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"not the name of a correction: {name[:100]!r}")
    return datetime.strptime(match[1], NAME_TIME).replace(tzinfo=UTC)


def name_of(key: str) -> str | None:
    """The name of the correction at this key; None for any other key."""
    name = key.removeprefix(CORRECTIONS).removesuffix(".json")
    is_name = NAME.fullmatch(name) and key == f"{CORRECTIONS}{name}.json"
    return name if is_name else None


def check(correction: Correction) -> None:
    """Raises ValueError for what no correction may hold: too long, no image of the inbox, no text
    that can be written as UTF-8, or a name that is not later than the one it withdraws.
    """
    moment_of(correction.name)
    if not correction.image.startswith(INBOX) or correction.image == INBOX:
        raise ValueError(f"a correction is about an image of {INBOX}")
    for what, text, most in (
        ("image", correction.image, KEY_BYTES),
        ("etag", correction.etag, ETAG_BYTES),
        ("who", correction.who, PERSON_BYTES),
        ("from", correction.before, LABEL_BYTES),
        ("to", correction.to, LABEL_BYTES),
    ):
        if text is not None and not 0 < len(text.encode(errors="surrogatepass")) <= most:
            raise ValueError(f"the field {what!r} of a correction has 1 to {most:,} bytes")
        if text is not None and SURROGATE.search(text):
            raise ValueError(f"the field {what!r} of a correction is no Unicode text")
    if correction.withdraws is None:
        return
    moment_of(correction.withdraws)
    if correction.withdraws >= correction.name:
        raise ValueError("a correction withdraws an earlier one only")
    if correction.to is not None:
        raise ValueError("a correction that withdraws another has no label")


def to_json(correction: Correction) -> str:
    """The document that is stored; `docs/correction.schema.json` describes it. Raises
    ValueError.
    """
    check(correction)
    document = {
        "schema": SCHEMA,
        "image": correction.image,
        "etag": correction.etag,
        "from": correction.before,
        "to": correction.to,
        "who": correction.who,
        "at": correction.at,
        "withdraws": correction.withdraws,
    }
    return json.dumps(document, ensure_ascii=False) + "\n"


def from_json(name: str, text: str | bytes) -> Correction:
    """The inverse of `to_json`; `name` is in the object's key. Raises ValueError."""
    if len(text) > DOCUMENT_BYTES:
        raise ValueError(f"a correction has at most {DOCUMENT_BYTES:,} bytes")
    document = parse_json(text if isinstance(text, str) else text.decode())
    if not isinstance(document, Mapping) or document.keys() != FIELDS:
        raise ValueError(f"not a correction of schema {SCHEMA}: its fields are others")
    if document["schema"] != SCHEMA or isinstance(document["schema"], bool | float):
        raise ValueError(f"correction schema {document['schema']!r} is not {SCHEMA}")
    correction = Correction(
        name,
        _text(document, "image"),
        _text(document, "etag"),
        _text_or_none(document, "from"),
        _text_or_none(document, "to"),
        _text(document, "who"),
        _text_or_none(document, "withdraws"),
    )
    check(correction)
    if document["at"] != correction.at:
        raise ValueError("the field 'at' of a correction is not the time of its name")
    return correction


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        raise ValueError(f"the field {name!r} of a correction is no text")
    return value


def _text_or_none(document: Mapping[str, Any], name: str) -> str | None:
    return None if document[name] is None else _text(document, name)
