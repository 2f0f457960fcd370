"""Features are fetched once by each model, a few at a time, while a page asks for them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from aws.bucket import Bucket
from console.answers import features
from console.answers.blobs import BlobCache
from console.answers.features import (
    MOST_IMAGES,
    MOST_TRIES,
    NO_ENDPOINT,
    NO_FEATURES,
    NO_MODEL,
    ONLY_CLASSIFIED,
    WANTED_SECONDS,
    FeatureFetcher,
    FeaturesError,
    FeatureState,
)
from console.answers.index import EVERYTHING, AnswerFilter, AnswerIndex, to_row
from domain.keys import ACTIVE_MODEL, INBOX, result_key
from domain.model import ActiveModel
from tests.support.builders.answers import classified, rejected
from tests.support.fakes.aws import FakeS3
from tests.support.fakes.clock import MonotonicClock
from tests.support.fakes.feature_endpoint import FeatureEndpoint
from tests.support.worlds.uploads import active, model_error


@dataclass
class Stage:
    """An S3, an index of its answers, an endpoint, and a fetcher."""

    folder: Path
    s3: FakeS3 = field(default_factory=FakeS3)
    endpoint: FeatureEndpoint = field(default_factory=lambda: FeatureEndpoint(active(1)))
    time: MonotonicClock = field(default_factory=MonotonicClock)

    def __post_init__(self) -> None:
        self.index = AnswerIndex(self.folder / "answers.db")
        self.activate(active(1))
        self.fetcher = self.another_console()

    def another_console(self) -> FeatureFetcher:
        client: Any = self.s3
        runtime: Any = self.endpoint
        kept = BlobCache(self.folder / features.FILE, "features", "numbers")
        return FeatureFetcher(kept, Bucket(client, "bucket"), self.index, runtime, self.time)

    def activate(self, model: ActiveModel) -> None:
        self.s3.put_object(Bucket="bucket", Key=ACTIVE_MODEL, Body=model.to_json())

    def answer(self, name: str, *labels: tuple[str, float], at: int = 0) -> None:
        """The image `name`, whose content is its name, and its answer in the second `at`."""
        self.s3.put_object(Bucket="bucket", Key=INBOX + name, Body=name.encode())
        etag = self.s3.objects[INBOX + name].etag
        when = f"2026-11-28T09:{at // 60:02}:{at % 60:02}Z"
        result = classified(name, *labels, etag=etag, at=when)
        self.index.put([to_row(result, result_key(result.image), "r")])

    def fetched(self) -> dict[str, list[float]]:
        pairs = self.fetcher.fetched()
        return {
            row.image.removeprefix(INBOX): np.frombuffer(numbers, "<f2").tolist()
            for row, numbers in pairs
        }


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_each_image_is_sent_once_by_this_console_and_the_next(stage: Stage) -> None:
    for number in range(20):
        stage.answer(f"{number}.jpg", at=number)
    stage.endpoint.numbers[b"3.jpg"] = [0.25, -0.5]
    assert stage.fetcher.want(EVERYTHING) == FeatureState(0, 20, 20, 20, "")
    stage.fetcher.step()
    assert stage.fetcher.want(EVERYTHING) == FeatureState(20, 0, 20, 20, "")
    assert stage.fetched()["3.jpg"] == [0.25, -0.5]
    assert next(iter(stage.fetched())) == "19.jpg", "the newest is the first"
    stage.fetcher = stage.another_console()
    stage.fetcher.want(EVERYTHING)
    stage.fetcher.step()
    assert stage.fetched()["3.jpg"] == [0.25, -0.5]
    assert len(stage.endpoint.requests) == 20, "they are kept on this machine"


def test_nothing_is_sent_unless_a_page_asks(stage: Stage) -> None:
    stage.answer("a.jpg")
    stage.fetcher.step()
    stage.fetcher.want(EVERYTHING)
    stage.time.now += WANTED_SECONDS
    stage.fetcher.step()
    assert stage.endpoint.requests == []
    stage.fetcher.want(EVERYTHING)
    stage.fetcher.step()
    assert stage.endpoint.requests == [b"a.jpg"]


def test_only_the_newest_answers_of_the_filter_are_compared(stage: Stage) -> None:
    count = MOST_IMAGES + 5
    rows = []
    for number in range(count):
        when = f"2026-11-28T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        result = classified(f"{number}.jpg", at=when)
        rows.append(to_row(result, result_key(result.image), "r"))
    stage.index.put(rows)
    stage.answer("dog.jpg", ("dog", 0.9))
    state = stage.fetcher.want(AnswerFilter(label="cat"))
    assert (state.chosen, state.total) == (MOST_IMAGES, count)
    assert stage.fetcher.want(AnswerFilter(label="dog")).chosen == 1
    stage.fetcher.step()
    assert stage.endpoint.requests == [b"dog.jpg"], "the filter that was asked for last counts"


def test_what_is_rejected_has_no_label_to_compare(stage: Stage) -> None:
    result = rejected("bad.jpg")
    stage.index.put([to_row(result, result_key(result.image), "r")])
    stage.answer("a.jpg")
    assert stage.fetcher.want(EVERYTHING).chosen == 1
    state = stage.fetcher.want(AnswerFilter(status="rejected"))
    assert (state.chosen, state.trouble) == (0, ONLY_CLASSIFIED)


@pytest.mark.parametrize(
    ("model", "sentence"), [(None, NO_MODEL), (active(1, "none"), NO_ENDPOINT)]
)
def test_a_stage_without_an_endpoint_says_why(
    stage: Stage, model: ActiveModel | None, sentence: str
) -> None:
    stage.answer("a.jpg")
    stage.s3.objects.pop(ACTIVE_MODEL)
    if model:
        stage.activate(model)
    stage.fetcher.want(EVERYTHING)
    stage.fetcher.step()
    assert stage.fetcher.want(EVERYTHING).trouble == sentence
    assert stage.endpoint.requests == []
    stage.activate(active(1))
    stage.fetcher.step()
    assert stage.fetcher.want(EVERYTHING) == FeatureState(1, 0, 1, 1, "")


def test_a_model_without_features_is_asked_for_few_until_another_is_active(stage: Stage) -> None:
    for number in range(50):
        stage.answer(f"{number}.jpg")
        stage.endpoint.numbers[f"{number}.jpg".encode()] = None
    stage.fetcher.want(EVERYTHING)
    for _ in range(3):
        stage.fetcher.step()
    assert stage.fetcher.want(EVERYTHING).trouble == NO_FEATURES
    assert len(stage.endpoint.requests) <= features.BATCH
    stage.endpoint.numbers.clear()
    stage.endpoint.active = active(2)
    stage.activate(active(2))
    stage.fetcher.step(1e9)
    assert stage.fetcher.want(EVERYTHING) == FeatureState(50, 0, 50, 50, "")


def test_features_of_another_model_are_fetched_again(stage: Stage) -> None:
    stage.answer("a.jpg")
    stage.fetcher.want(EVERYTHING)
    stage.fetcher.step()
    stage.activate(active(2))
    with pytest.raises(FeaturesError, match="still runs another model"):
        stage.fetcher.step()
    assert stage.fetched() == {}
    stage.endpoint.active = active(2)
    stage.endpoint.numbers[b"a.jpg"] = [3.0]
    stage.fetcher.step()
    assert stage.fetched() == {"a.jpg": [3.0]}


def test_an_image_that_is_gone_replaced_or_refused_has_none_and_stops_no_other(
    stage: Stage,
) -> None:
    for name in ("gone.jpg", "replaced.jpg", "refused.jpg", "a.jpg"):
        stage.answer(name)
    stage.s3.objects.pop(INBOX + "gone.jpg")
    stage.s3.put_object(Bucket="bucket", Key=INBOX + "replaced.jpg", Body=b"another")
    stage.endpoint.numbers[b"refused.jpg"] = model_error(415, "no image")
    stage.fetcher.want(EVERYTHING)
    for _ in range(3):
        stage.fetcher.step()
    assert stage.fetcher.want(EVERYTHING) == FeatureState(1, 0, 4, 4, "")
    assert sorted(stage.endpoint.requests) == [b"a.jpg", b"refused.jpg"]


def test_an_image_that_always_fails_is_given_up_and_stops_no_other(stage: Stage) -> None:
    stage.answer("odd.jpg", at=59)
    stage.answer("a.jpg")
    stage.endpoint.numbers[b"odd.jpg"] = model_error(503, "time-out")
    stage.fetcher.want(EVERYTHING)
    for _ in range(MOST_TRIES - 1):  # after the first try nothing else is left
        with pytest.raises(ClientError):
            stage.fetcher.step()
    stage.fetcher.step()
    assert stage.fetcher.want(EVERYTHING) == FeatureState(1, 0, 2, 2, "")
    assert stage.endpoint.requests.count(b"odd.jpg") == MOST_TRIES
    assert stage.endpoint.requests.count(b"a.jpg") == 1
    stage.endpoint.numbers.clear()
    stage.time.now += WANTED_SECONDS
    assert stage.fetcher.want(EVERYTHING).missing == 1, "a page that comes later tries again"
    stage.fetcher.step()
    assert stage.fetcher.want(EVERYTHING).compared == 2


def test_the_file_is_bounded_in_bytes(tmp_path: Path) -> None:
    kept = BlobCache(tmp_path / features.FILE, "features", "numbers")
    for number in range(10):
        kept.keep(bytes([number]), b"x" * 100, 4)
    names = [bytes([number]) for number in range(10)]
    assert list(kept.get_all(names)) == names[-4:], "the oldest are deleted first"
