"""s3:// URIs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> "Location":
        """Raises ValueError for anything that is not s3://BUCKET/KEY; the key may be empty."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not bucket:
            raise ValueError(f"not an S3 URI: {uri!r}")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
