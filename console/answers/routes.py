"""The pages and requests of the gallery."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from console.answers import features, query, thumbnails
from console.answers.blobs import BlobCache
from console.answers.features import FeatureFetcher
from console.answers.filling import Filling
from console.answers.index import FILE, OLDEST, AnswerIndex, AnswerRow
from console.answers.query import GalleryQuery
from console.answers.thumbnails import NoThumbnail, ThumbnailCache
from console.answers.unlike import Suggestion, UnlikeOrder, describe_state
from console.context import Console
from console.web.events import Hub
from console.web.rendering import json_response, page, trouble
from console.web.reports import stream_object
from domain.foreign import visible
from domain.keys import result_key
from domain.model import parse_json
from infra.review.stored import CorrectionStore

TOPIC = "answers"
STEP_PAUSE_SECONDS = 1.0
FEATURES_PAUSE_SECONDS = 5.0
"""After an error of the endpoint or of S3."""

IMMUTABLE = {"Cache-Control": "private, max-age=604800, immutable"}
"""Of thumbnails: their address names the version of the image."""


def open_index(console: Console) -> AnswerIndex:
    """The index of the console's bucket. Any number may be open at the same time."""
    return AnswerIndex(console.folder / FILE)


def routes(console: Console, hub: Hub) -> list[BaseRoute]:
    index = open_index(console)
    cache = ThumbnailCache(console.folder / thumbnails.FILE, console.bucket, console.runtime)
    kept = BlobCache(console.folder / features.FILE, "features", "numbers")
    fetcher = FeatureFetcher(kept, console.bucket, index, console.runtime)
    unlike = UnlikeOrder(fetcher, CorrectionStore(console.bucket, console.folder))
    gallery = Gallery(console, hub, index, Filling(console.bucket, index), cache, unlike)
    hub.every(STEP_PAUSE_SECONDS, gallery.fill)
    hub.every(FEATURES_PAUSE_SECONDS, fetcher.step)
    return [
        Route("/look", gallery.gallery_page),
        Route("/look/image", gallery.image_page),
        Route("/original", gallery.original),
        Route("/result", gallery.result),
        Route("/api/answers", gallery.answers),
        Route("/api/answers/options", gallery.options),
        Route("/api/answers/unlike", gallery.unlike_state),
        Route("/api/answers/refresh", gallery.refresh, methods=["POST"]),
        Route("/api/answer", gallery.answer),
        Route("/api/thumbnail", gallery.thumbnail),
    ]


class Gallery:
    def __init__(
        self,
        console: Console,
        hub: Hub,
        index: AnswerIndex,
        filling: Filling,
        cache: ThumbnailCache,
        unlike: UnlikeOrder,
    ) -> None:
        self._console = console
        self._hub = hub
        self._index = index
        self._filling = filling
        self._thumbnails = cache
        self._unlike = unlike
        self._published: dict[str, Any] = {}

    def fill(self) -> float:
        """One step of filling the index, of about two seconds; pages hear what has changed."""
        try:
            return self._filling.step()
        finally:
            state = asdict(self._filling.state())
            if state != self._published:
                self._published = state
                self._hub.publish(TOPIC, state)

    def gallery_page(self, request: Request) -> Response:
        return page(request, "answers/gallery.html.jinja", title="Look")

    def image_page(self, request: Request) -> Response:
        image = query.image_of(request.query_params)
        title = visible(image.rpartition("/")[2])
        return page(request, "answers/image.html.jinja", title=title, image=image)

    def answers(self, request: Request) -> Response:
        """A page of answers, and how many there are with this filter."""
        one = query.parse(request.query_params)
        if one.sort == "unlike":
            suggestions = self._unlike.suggestions(one.chosen, renew=one.offset == 0)
            total = len(suggestions)
            shown = suggestions[one.offset : one.offset + one.limit]
            rows = [_tile(suggestion.row, suggestion) for suggestion in shown]
        else:
            total = self._index.count(one.chosen)
            selected = self._index.select(one.chosen, one.sort, one.offset, one.limit, one.seed)
            rows = [_tile(row) for row in selected]
        return json_response(
            {"total": total, "offset": one.offset, "version": self._index.version, "rows": rows}
        )

    def unlike_state(self, request: Request) -> Response:
        """How many answers of the filter can be compared, in words; fetching goes on by it."""
        state = self._unlike.state(query.parse(request.query_params).chosen)
        sentence = describe_state(state)
        return json_response(
            {"compared": state.compared, "missing": state.missing, "sentence": sentence}
        )

    def options(self, request: Request) -> Response:
        """What there is to filter by, and the state of the filling."""
        options = {
            "labels": self._index.labels(),
            "folders": self._index.folders(),
            "models": self._index.models(),
            "decisions": self._index.decisions(),
        }
        lists = {name: [asdict(option) for option in some] for name, some in options.items()}
        return json_response(lists | {"state": asdict(self._filling.state())})

    def refresh(self, request: Request) -> Response:
        """Have the outbox be listed now."""
        self._filling.refresh()
        return json_response({})

    def answer(self, request: Request) -> Response:
        """Everything about one image: its result as it is in S3 now; with the parameter
        `neighbours`, also the images before and after it in the order of the query.
        """
        image = query.image_of(request.query_params)
        key = result_key(image)
        stored = self._console.bucket.read(key)
        row = self._index.get(image)
        if stored is None and row is None:
            return trouble(request, f"There is no answer for {image}.", HTTPStatus.NOT_FOUND)
        one = query.parse(request.query_params)
        around = self._neighbours(image, one) if request.query_params.get("neighbours") else None
        suggestion = self._unlike.suggestion(image, one.chosen) if one.sort == "unlike" else None
        return json_response(
            {
                "image": image,
                "tile": _tile(row, suggestion) if row else None,
                "document": _document(stored.body) if stored else None,
                "bucket": self._console.bucket.name,
                "result": key,
                "neighbours": around,
            }
        )

    def thumbnail(self, request: Request) -> Response:
        """A small JPEG. 404: there is none of this version; 503: not now, try again later."""
        image = query.image_of(request.query_params)
        made = self._thumbnails.get(image, request.query_params.get("etag", ""))
        if isinstance(made, NoThumbnail):
            status = HTTPStatus.NOT_FOUND if made.is_final else HTTPStatus.SERVICE_UNAVAILABLE
            return trouble(request, "There is no thumbnail of this image.", status)
        return Response(made, headers=IMMUTABLE, media_type="image/jpeg")

    def original(self, request: Request) -> Response:
        """The image itself, as a picture if browsers show it, else as a download."""
        image = query.image_of(request.query_params)
        return stream_object(request, self._console.bucket, image, None)

    def result(self, request: Request) -> Response:
        """The JSON document of the outbox."""
        image = query.image_of(request.query_params)
        kind = "application/json"
        return stream_object(request, self._console.bucket, result_key(image), kind)

    def _neighbours(self, image: str, one: GalleryQuery) -> dict[str, Any] | None:
        """The images before and after it; None if it is not among those of the query."""
        if one.sort == "unlike":
            images = [suggestion.row.image for suggestion in self._unlike.suggestions(one.chosen)]
            place, total = images.index(image) if image in images else None, len(images)
            first = 0
        else:
            place = self._index.position(image, one.chosen, one.sort, one.seed)
            first = max((place or 0) - 1, 0)
            rows = self._index.select(one.chosen, one.sort, first, 3, one.seed)
            images, total = [row.image for row in rows], self._index.count(one.chosen)
        if place is None:
            return None
        after = place - first + 1
        return {
            "place": place,
            "total": total,
            "before": images[place - first - 1] if place else None,
            "after": images[after] if len(images) > after else None,
        }


def _tile(row: AnswerRow, suggestion: Suggestion | None = None) -> dict[str, Any]:
    """What the gallery shows of an answer."""
    return {
        "image": row.image,
        "etag": row.etag,
        "status": row.status,
        "code": row.code,
        "label": row.label,
        "score": row.score,
        "labels": [[one.label, one.score] for one in row.labels],
        "decision": row.decision,
        "model": row.model.partition(":sha256:")[0],
        "format": row.format,
        "at": "" if row.classified_at == OLDEST else row.classified_at,
        "neighbours": suggestion.neighbours if suggestion else "",
    }


def _document(body: bytes) -> Any:
    """The result's JSON; None for what is none."""
    try:
        return parse_json(body.decode())
    except ValueError:
        return None
