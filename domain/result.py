"""The answer a person reads in the outbox: one JSON document an image, schema version 1."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from domain.model import ModelId
from domain.reply import Label

SCHEMA = 1

Road = Literal["endpoint", "batch"]

SOURCE_ETAG = "source-etag"
SOURCE_VERSION = "source-version"
MODEL_ID = "model-id"
STATUS = "status"
"""S3 metadata on every result, so that a HEAD answers "is this current?"."""

CODE = "code"
UNREADABLE = "unreadable"
"""The code of a rejection that is looked at again whenever something happens to its image.

It is in the metadata too, because such an image may become readable without changing."""

UNVERSIONED = "null"
"""S3's version id of everything written while versioning is off or suspended."""


@dataclass(frozen=True, slots=True)
class Version:
    """Which state of an object an answer is about. `etag` is without quotes.

    An ETag may be an MD5, and two different images with one MD5 can be made: it tells states apart
    only where S3 gives no version id, or where whoever wrote an earlier result noted none.
    """

    etag: str
    id: str | None = None

    def is_same(self, other: "Version") -> bool:
        if self.id and other.id and not self.id == other.id == UNVERSIONED:
            return self.id == other.id
        return self.etag == other.etag


@dataclass(frozen=True, slots=True)
class Source:
    """The object version that was looked at. `etag` is without quotes."""

    bucket: str
    etag: str
    version_id: str | None
    bytes: int

    @property
    def version(self) -> Version:
        return Version(self.etag, self.version_id)


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """The model and the container image that answered."""

    model: ModelId
    container: str


@dataclass(frozen=True, slots=True)
class How:
    """The way the answer came about. `job` is the transform job's name; `attempt` counts from 1."""

    route: Road
    job: str | None
    attempt: int
    at: str


@dataclass(frozen=True, slots=True)
class Previous:
    """What another model had answered for the same source: its best label, or its rejection's code.

    Kept with the answer, so that what a change of models changed needs no second store.
    """

    model: ModelId
    answer: Label | str


@dataclass(frozen=True, slots=True)
class Classified:
    image: str
    source: Source
    by: AnsweredBy
    how: How
    labels: tuple[Label, ...]
    width: int
    height: int
    format: str
    model_ms: float
    previous: Previous | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """This image will never be classified as it is; `by` is None where no model was asked."""

    image: str
    source: Source
    by: AnsweredBy | None
    how: How
    code: str
    message: str
    previous: Previous | None = None


Result = Classified | Rejected


def metadata(result: Result) -> dict[str, str]:
    """S3 metadata of the result object."""
    model = str(result.by.model) if result.by else ""
    about = {SOURCE_ETAG: result.source.etag, MODEL_ID: model, STATUS: status(result)}
    version = result.source.version_id
    if version and version.isascii() and version.isprintable() and version == version.strip():
        about[SOURCE_VERSION] = version  # S3's own are of letters, digits and `._-`
    if isinstance(result, Rejected) and result.code == UNREADABLE:
        about[CODE] = UNREADABLE
    return about


def source_version(about: Mapping[str, str]) -> Version:
    """The version that a result is about, by the result's S3 metadata."""
    return Version(about.get(SOURCE_ETAG, ""), about.get(SOURCE_VERSION))


def previous(result: Result) -> Previous | None:
    """What `result` will have been, once another model's answer replaces it."""
    match result:
        case Classified(labels=(best, *_)):
            return Previous(result.by.model, best)
        case Rejected(by=AnsweredBy(model=model)):
            return Previous(model, result.code)
        case _:
            return None


def status(result: Result) -> Literal["classified", "rejected"]:
    return "classified" if isinstance(result, Classified) else "rejected"


def to_json(result: Result) -> str:
    source: dict[str, Any] = asdict(result.source)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "status": status(result),
        "image": result.image,
    }
    match result:
        case Classified():
            document["labels"] = [asdict(label) for label in result.labels]
            source |= {"width": result.width, "height": result.height, "format": result.format}
        case Rejected():
            document |= {"code": result.code, "message": result.message}
    document["model"] = _by_to_json(result.by)
    document["source"] = source
    document |= {"route": result.how.route, "job": result.how.job, "attempt": result.how.attempt}
    document["classified_at"] = result.how.at
    if isinstance(result, Classified):
        document["model_ms"] = result.model_ms
    if result.previous is not None:
        document["previous"] = _previous_to_json(result.previous)
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def from_json(text: str | bytes) -> Result:
    """The inverse of `to_json`. Raises ValueError for what is not a result of this schema."""
    try:
        return _from_document(json.loads(text))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a result of schema {SCHEMA}: {error!r}") from error


def _from_document(document: dict[str, Any]) -> Result:
    if document["schema"] != SCHEMA:
        raise ValueError(f"result schema {document['schema']!r} is not {SCHEMA}")
    about = document["source"]
    source = Source(
        about["bucket"],
        about["etag"],
        about["version_id"],
        about["bytes"],
    )
    how = How(document["route"], document["job"], document["attempt"], document["classified_at"])
    by = _by_from_json(document["model"])
    before = _previous_from_json(document.get("previous"))
    if document["status"] == "rejected":
        code, message = document["code"], document["message"]
        return Rejected(document["image"], source, by, how, code, message, before)
    if document["status"] != "classified" or by is None:
        raise ValueError(f"result status {document['status']!r} is neither classified nor rejected")
    return Classified(
        image=document["image"],
        source=source,
        by=by,
        how=how,
        labels=tuple(Label(**label) for label in document["labels"]),
        width=about["width"],
        height=about["height"],
        format=about["format"],
        model_ms=document["model_ms"],
        previous=before,
    )


def _previous_to_json(before: Previous) -> dict[str, Any]:
    answer = {"code": before.answer} if isinstance(before.answer, str) else asdict(before.answer)
    return {"model": asdict(before.model)} | answer


def _previous_from_json(fields: dict[str, Any] | None) -> Previous | None:
    if fields is None:
        return None
    model = ModelId(**fields["model"])
    if "code" in fields:
        return Previous(model, fields["code"])
    return Previous(model, Label(fields["label"], fields["score"]))


def _by_to_json(by: AnsweredBy | None) -> dict[str, Any] | None:
    if by is None:
        return None
    return {
        "name": by.model.name,
        "version": by.model.version,
        "digest": by.model.digest,
        "container": by.container,
    }


def _by_from_json(fields: dict[str, Any] | None) -> AnsweredBy | None:
    if fields is None:
        return None
    return AnsweredBy(
        ModelId(fields["name"], fields["version"], fields["digest"]), fields["container"]
    )
