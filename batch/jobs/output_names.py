"""Which image an output of a transform job belongs to, by its name.

SageMaker's reference says "with an .out suffix in a corresponding subfolder", and its example drops
a folder (TransformOutput.S3OutputPath: of `input-name-prefix/dataset01/data.csv` the output is
`input-name-prefix/data.csv.out`). For a manifest the name beyond the prefix is expected. Where a
page finds nothing by it, the other readings of that text are tried, once and for the whole job.
"""

import json
import logging
from collections.abc import Callable
from itertools import chain

from aws.bucket import Bucket, Listed

SUFFIX = ".out"
NAMES_IN_LOG = 3

logger = logging.getLogger(__name__)


def beyond_prefix(prefix: str, key: str) -> str:
    """As it is expected: `day/c.jpg` of `inbox/trip/day/c.jpg` in a manifest of `inbox/trip/`."""
    return key.removeprefix(prefix)


def whole_key(prefix: str, key: str) -> str:
    """`inbox/trip/day/c.jpg`."""
    return key


def with_folder_of_prefix(prefix: str, key: str) -> str:
    """`trip/day/c.jpg`."""
    return f"{_last_folder(prefix)}/{key.removeprefix(prefix)}"


def in_last_folder(prefix: str, key: str) -> str:
    """`day/c.jpg`."""
    folder, _, name = key.rpartition("/")
    return f"{_last_folder(f'{folder}/')}/{name}"


def in_folder_of_prefix(prefix: str, key: str) -> str:
    """`trip/c.jpg`, as the reference's example has it."""
    return f"{_last_folder(prefix)}/{key.rpartition('/')[2]}"


VARIANTS: tuple[Callable[[str, str], str], ...] = (
    beyond_prefix,
    whole_key,
    with_folder_of_prefix,
    in_last_folder,
    in_folder_of_prefix,
)


def find_elsewhere(bucket: Bucket, prefix: str, output: str, manifest: str) -> dict[str, Listed]:
    """A job's outputs by image key, where they are not named as expected; else none.

    One LIST where the job wrote nothing, and one GET more where its names are as expected. An
    output counts where exactly one image of the job can be meant, whichever variant holds, and one
    that none explains means that the names are not understood. So no image gets another one's
    answer.
    """
    first = bucket.page(output)
    stored = bucket.read(manifest) if first else None
    if stored is None:
        return {}
    keys = [prefix + relative for relative in json.loads(stored.body)[1:]]
    expected = {output + beyond_prefix(prefix, key) + SUFFIX for key in keys}
    if all(listed.key in expected for listed in first):
        return {}
    rest = bucket.walk(output, after=first[-1].key)
    listing = {listed.key: listed for listed in chain(first, rest)}
    owners: dict[str, set[str]] = {name: set() for name in listing}
    for key in keys:
        for name_of in VARIANTS:
            name = output + name_of(prefix, key) + SUFFIX
            if name in owners:
                owners[name].add(key)
    is_understood = all(owners.values())
    logger.warning(
        "a transform job's outputs are not named as expected: %s (%d in all, %s)",
        ", ".join(list(listing)[:NAMES_IN_LOG]),
        len(listing),
        "understood" if is_understood else "not understood",
    )
    if not is_understood:
        return {}
    return {min(owner): listing[name] for name, owner in owners.items() if len(owner) == 1}


def _last_folder(prefix: str) -> str:
    return prefix.rstrip("/").rpartition("/")[2]
