"""Which image an output of a transform job belongs to, by the output's name.

SageMaker's reference says "with an .out suffix in a corresponding subfolder", but its example drops
a folder (TransformOutput.S3OutputPath: the output of `input-name-prefix/dataset01/data.csv` is
`input-name-prefix/data.csv.out`). We expect the key after the manifest's prefix. If a page finds no
output under that name, the other interpretations are tried for the whole job.
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
    """The expected name: `day/c.jpg` of `inbox/trip/day/c.jpg` with the prefix `inbox/trip/`."""
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
    """`trip/c.jpg`, as in the reference's example."""
    return f"{_last_folder(prefix)}/{key.rpartition('/')[2]}"


VARIANTS: tuple[Callable[[str, str], str], ...] = (
    beyond_prefix,
    whole_key,
    with_folder_of_prefix,
    in_last_folder,
    in_folder_of_prefix,
)


def find_elsewhere(bucket: Bucket, prefix: str, output: str, manifest: str) -> dict[str, Listed]:
    """The outputs of a job by image key if they are not named as expected; otherwise empty.

    An output is used only if it can belong to exactly one image of the job under all variants. If
    any output cannot belong to any image, none is used. So no image gets the answer of another one.
    Costs one LIST if the job wrote nothing, and one more GET if the names are as expected.
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
