"""What an answer that is about to be replaced says."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from domain.keys import result_key
from domain.result import Previous, from_json, previous
from functions.inbox import Absent, absent

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


def previous_answer(s3: "S3Client", bucket: str, image: str, etag: str) -> Previous | Absent | None:
    """Absent where the result is no longer the one with this ETag.

    None where it says nothing: of a schema that is not known here, it is replaced all the same.
    """
    try:
        found = s3.get_object(Bucket=bucket, Key=result_key(image))
    except ClientError as error:
        return absent(error)
    if found["ETag"] != etag:
        return Absent()
    try:
        return previous(from_json(found["Body"].read()))
    except ValueError:
        return None
