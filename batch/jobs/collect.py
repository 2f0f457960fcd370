"""Match the outputs of a transform job to the rows of a page by their keys."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws.bucket import Bucket, Listed
from batch.jobs.output_names import SUFFIX, beyond_prefix, find_by_all, find_elsewhere, is_contested
from batch.planning.slice import Row
from domain import reply
from domain.reply import Reply


@dataclass(frozen=True, slots=True)
class NoReply:
    """The job has no usable output for this row, which says nothing about the image."""

    why: str


def output_order(row: Row) -> str:
    """The sort key of a part's rows: with it the outputs of a page are adjacent in a listing."""
    return row.key + SUFFIX


def outputs(
    bucket: Bucket, inputs: str, output: str, rows: tuple[Row, ...], manifest: str
) -> Mapping[str, Listed]:
    """The outputs of a page by image key, with one or two LISTs, because they are adjacent.

    `inputs` is the prefix of the manifest's keys, `output` the prefix of the job's outputs. An
    output is named like the input's key after the prefix, with `.out` appended. If none is there,
    or one could be another image's under the other names that SageMaker's reference allows, all
    outputs of the job decide (`output_names`).
    """
    image_of = {output + beyond_prefix(inputs, row.key) + SUFFIX: row.key for row in rows}
    first, final = min(image_of), max(image_of)
    listing: dict[str, Listed] = {}
    # A listing starts after a key; the first key without its last letter sorts before it.
    for listed in bucket.walk(output, after=first[:-1]):
        if listed.key > final:
            break
        if listed.key in image_of:
            listing[image_of[listed.key]] = listed
    if not listing:
        decided = find_elsewhere(bucket, inputs, output, manifest)
    elif is_contested(bucket, inputs, listing, manifest):
        decided = find_by_all(bucket, inputs, output, manifest)
    else:
        return listing
    return {row.key: decided[row.key] for row in rows if row.key in decided}


def reply_in(bucket: Bucket, listed: Listed | None) -> Reply | NoReply:
    """Read the reply in an output; `listed` is None if there is no output."""
    if listed is None:
        return NoReply("the transform job wrote nothing for it")
    if listed.size > reply.MAX_BYTES:
        return NoReply(f"the transform job wrote {listed.size} bytes for it")
    stored = bucket.read(listed.key)
    if stored is None:
        return NoReply("what the transform job wrote for it is gone")
    try:
        return reply.from_json(stored.body)
    except ValueError as error:
        return NoReply(f"the transform job wrote {error}")
