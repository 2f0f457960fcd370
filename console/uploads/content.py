"""What a file holds, as one short text: so that a file that is there already is not sent again.

Browsers have SHA-256, but not of a stream. So a file is hashed in parts of `PART_BYTES`, which are
also what a large file is sent in, and a file of several parts by the hash of their hashes.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from aws.bucket import Bucket, ObjectHead
from aws.errors import is_lost_race

PART_BYTES = 16 * 2**20
"""The most that one request carries, and that this machine holds of a file."""

MOST_PARTS = 10_000
"""S3's limit for a multipart upload."""

LARGEST_FILE_BYTES = PART_BYTES * MOST_PARTS

METADATA = "sortbox-sha256"
"""S3 metadata of every object that the console uploads: the fingerprint of its content."""

MOST_COMPARED_BYTES = 2**30
"""The largest object that is read to compare it; a larger one without a fingerprint counts as
another."""

READ_BYTES = 2**20
FORM = re.compile(r"[0-9a-f]{64}(-[0-9]{1,5})?")


def part_count(size: int) -> int:
    """The number of parts of a file of `size` bytes; an empty file has one."""
    return max(1, -(-size // PART_BYTES))


def fingerprint_of(chunks: Iterable[bytes]) -> str:
    """The fingerprint of a content that comes in chunks of any size."""
    digests, part, room = [], hashlib.sha256(), PART_BYTES
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if room == 0:
                digests.append(part.digest())
                part, room = hashlib.sha256(), PART_BYTES
            part.update(rest[:room])
            rest, room = rest[room:], room - len(rest[:room])
    digests.append(part.digest())
    if len(digests) == 1:
        return digests[0].hex()
    return f"{hashlib.sha256(b''.join(digests)).hexdigest()}-{len(digests)}"


def is_same(bucket: Bucket, head: ObjectHead, size: int, fingerprint: str) -> bool:
    """Whether an object holds this content. Reads one that another program uploaded, as a stream,
    if it has the size; so it costs nothing for objects of the console.
    """
    listed = head.listed
    if listed.size != size:
        return False
    if METADATA in head.metadata:
        return head.metadata[METADATA] == fingerprint
    if size > MOST_COMPARED_BYTES:
        return False
    match: Any = {"IfMatch": f'"{listed.etag}"'}
    try:
        answer = bucket.client.get_object(Bucket=bucket.name, Key=listed.key, **match)
    except ClientError as error:
        if is_lost_race(error):
            return False
        raise
    return fingerprint_of(answer["Body"].iter_chunks(READ_BYTES)) == fingerprint
