"""Why an image is to be answered, where it is: a listing nominates, HEAD decides."""

from dataclasses import dataclass
from typing import Literal

from aws.bucket import Bucket
from batch.planning.listing import Candidate, is_settled_by_listing
from domain.keys import result_key
from domain.result import MODEL_ID, Version, source_version

Reason = Literal["no answer", "newer image", "older model"]

NO_MODEL = ""
"""In the metadata of a rejection for which no model was asked, and no model would matter."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An answer for the present ETag, by whatever model; or by `model`, where one is given."""

    model: str | None = None

    def is_settled_by_listing(self, candidate: Candidate) -> bool:
        """A listing does not tell which model answered: a sweep after a promotion HEADs each."""
        return self.model is None and is_settled_by_listing(candidate)

    def reason(self, bucket: Bucket, candidate: Candidate) -> Reason | None:
        """None where the answer is as it should be. Ids are compared for equality: see rollback."""
        if candidate.result is None:
            return "no answer"
        if self.is_settled_by_listing(candidate):
            return None
        result = bucket.head(result_key(candidate.image.key))
        if result is None:
            return "no answer"
        if not self._is_about(bucket, source_version(result.metadata), candidate):
            return "newer image"
        if self.model is None or result.metadata.get(MODEL_ID) in (NO_MODEL, self.model):
            return None
        return "older model"

    def _is_about(self, bucket: Bucket, answered: Version, candidate: Candidate) -> bool:
        """A listing tells no version id, so that one more HEAD is due where its times leave doubt.

        That is of images in parts, and of those whose bytes were written again after their answer.
        """
        if not answered.is_same(Version(candidate.image.etag)):
            return False
        if not answered.id or is_settled_by_listing(candidate):
            return True
        image = bucket.head(candidate.image.key)
        return image is not None and answered.is_same(image.version)
