"""The result of one image: the JSON document in the outbox, schema version 1."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from domain.model import Decision, ModelId, read_decision
from domain.reply import Label

SCHEMA = 1

Road = Literal["endpoint", "batch"]

SOURCE_ETAG = "source-etag"
SOURCE_VERSION = "source-version"
MODEL_ID = "model-id"
STATUS = "status"
"""S3 metadata of every result: a HEAD request tells whether the result is current."""

CODE = "code"
UNREADABLE = "unreadable"
"""The code of a rejection for an image that S3 does not let us read.

Such an image is examined again on every event, because it may become readable without a new
version. The code is in the metadata so that a HEAD shows it."""

UNSUPPORTED_NAME = "unsupported_name"
"""The code of a rejection in a stage without an endpoint, for a name that no job takes."""

UNVERSIONED = "null"
"""S3's version id of objects written while versioning is off or suspended."""


@dataclass(frozen=True, slots=True)
class Version:
    """The version of an object that a result is about. `etag` is without quotes.

    An ETag may be an MD5, for which collisions can be constructed. It is compared only if one of
    the two has no version id: the bucket is not versioned, or an old result did not record it.
    """

    etag: str
    id: str | None = None

    def is_same(self, other: "Version") -> bool:
        """Compare version ids if both are known, ETags otherwise."""
        if self.id and other.id and not self.id == other.id == UNVERSIONED:
            return self.id == other.id
        return self.etag == other.etag


@dataclass(frozen=True, slots=True)
class Source:
    """The object version that was read. `etag` is without quotes."""

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
    """How the result was produced. `job` is the transform job's name, None for the endpoint;
    `attempt` counts from 1; `at` is a timestamp (`domain.timestamps`)."""

    route: Road
    job: str | None
    attempt: int
    at: str


@dataclass(frozen=True, slots=True)
class Previous:
    """The result of another model for the same source: its best label, or its rejection's code.

    It is stored within the new result, so that a report on changed labels needs no other store.
    """

    model: ModelId
    answer: Label | str


@dataclass(frozen=True, slots=True)
class Classified:
    """An image with labels, best first; `image` is its inbox key, `model_ms` milliseconds."""

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
    decision: Decision | None = None
    """None, and not in the document, where the model promises nothing."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An image that cannot be classified as it is; `by` is None if no model saw it."""

    image: str
    source: Source
    by: AnsweredBy | None
    how: How
    code: str
    message: str
    previous: Previous | None = None


Result = Classified | Rejected


def metadata(result: Result) -> dict[str, str]:
    """The S3 metadata of the result object."""
    model = str(result.by.model) if result.by else ""
    about = {SOURCE_ETAG: result.source.etag, MODEL_ID: model, STATUS: status(result)}
    version = result.source.version_id
    if version and version.isascii() and version.isprintable() and version == version.strip():
        about[SOURCE_VERSION] = version  # S3's version ids consist of letters, digits and `._-`
    if isinstance(result, Rejected) and result.code == UNREADABLE:
        about[CODE] = UNREADABLE
    return about


def source_version(about: Mapping[str, str]) -> Version:
    """The image version that a result is about, from the result's S3 metadata."""
    return Version(about.get(SOURCE_ETAG, ""), about.get(SOURCE_VERSION))


def previous(result: Result) -> Previous | None:
    """What to record of `result` in the result that replaces it; None if no model saw the image."""
    match result:
        case Classified(labels=(best, *_)):
            return Previous(result.by.model, best)
        case Rejected(by=AnsweredBy(model=model)):
            return Previous(model, result.code)
        case _:
            return None


def status(result: Result) -> Literal["classified", "rejected"]:
    """The value of the field `status`."""
    return "classified" if isinstance(result, Classified) else "rejected"


def to_json(result: Result) -> str:
    """The document in the outbox; `docs/result.schema.json` describes it."""
    source: dict[str, Any] = asdict(result.source)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "status": status(result),
        "image": result.image,
    }
    match result:
        case Classified():
            document["labels"] = [asdict(label) for label in result.labels]
            if result.decision is not None:
                document["decision"] = result.decision
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
    return json.dumps(document, ensure_ascii=False) + "\n"


def from_json(text: str | bytes) -> Result:
    """The inverse of `to_json`. Raises ValueError for a document that is not of this schema."""
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
        decision=read_decision(document.get("decision")),
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
