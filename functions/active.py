"""The active model, read from `models/active.json` and cached for a few seconds."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.parameters import BaseProvider

from aws.bucket import Bucket
from domain.errors import SortboxError
from domain.keys import ACTIVE_MODEL
from domain.model import ActiveModel

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

MAX_AGE_SECONDS = 5


class NoActiveModelError(SortboxError):
    """No model has been activated, so that no image can be classified."""


class CachedPointer(BaseProvider):
    """Reads the pointer at most every `max_age` seconds; an absent pointer is not cached."""

    def __init__(self, s3: "S3Client", bucket: str, max_age: int = MAX_AGE_SECONDS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._s3 = s3
        self._bucket = bucket
        self._max_age = max_age

    def model(self) -> ActiveModel:
        """The active model.

        Raises NoActiveModelError if there is none, powertools' GetParameterError if S3 refuses the
        read, and ValueError if the pointer is malformed.
        """
        text = self.get(ACTIVE_MODEL, max_age=self._max_age)
        if text is None:
            raise NoActiveModelError(f"no model is active: {ACTIVE_MODEL} does not exist")
        assert isinstance(text, bytes)
        return ActiveModel.from_json(text)

    def _get(self, name: str, **sdk_options: Any) -> Any:
        stored = Bucket(self._s3, self._bucket).read(name)
        return stored.body if stored else None

    def _get_multiple(self, path: str, **sdk_options: Any) -> dict[str, str]:
        raise NotImplementedError("there is one pointer")
